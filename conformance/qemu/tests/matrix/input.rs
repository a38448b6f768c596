//! Keyboards, tablets, mice: what happens at QEMU's side is what the driver reads.

use std::time::Instant;

use qemu_bench::{BenchHal, Cause, Device, Machine, Rings, Way};
use serde_json::{Value, json};
use virtio::input::{EventType, Input, InputEvent, code};
use virtio::queue::{AsyncPort, Bell, QueueSpec, Request};
use virtio::{Endpoint, Transport};

use crate::case::{SOON, down, up};
use crate::executor::block_on;

/// Evdev's numbers of the keys A and B.
const KEYS: [(&str, u16); 2] = [("a", 30), ("b", 48)];

fn bring_up<W: Way>(machine: &Machine, device: &Device) -> Input<W::Transport, BenchHal> {
    let input = Input::new(W::open(machine, device), machine.hal()).unwrap();
    assert_eq!(Rings::of(input.features()), device.rings.features());
    let info = input.transport_info().unwrap();
    assert_eq!((info.name, info.version), W::INFO);
    input
}

fn take_down<T: Transport>(input: Input<T, BenchHal>) {
    let transport = input.dismantle().unwrap();
    assert!(transport.status().is_empty());
}

/// Waits for so many events.
fn events<T: Transport>(input: &mut Input<T, BenchHal>, count: usize) -> Vec<InputEvent> {
    let end = Instant::now() + SOON;
    let mut events = Vec::new();
    while events.len() < count && Instant::now() < end {
        match input.next_event().unwrap() {
            Some(event) => events.push(event),
            None => std::thread::yield_now(),
        }
    }
    events
}

fn event(kind: EventType, code: u16, value: u32) -> InputEvent {
    InputEvent { kind, code, value }
}

fn syn() -> InputEvent {
    event(EventType::SYN, code::SYN_REPORT, 0)
}

fn send(machine: &Machine, events: &[Value]) {
    machine.run("input-send-event", &json!({ "events": events })).unwrap();
}

/// Says what it is, sends keys in order, more than its queue holds, and takes LEDs.
pub(crate) fn keyboard<W: Way>(machine: &Machine, device: &Device) {
    let mut input = bring_up::<W>(machine, device);
    assert_eq!(input.name().unwrap().as_str(), "QEMU Virtio Keyboard");
    assert!(input.supports(EventType::KEY).unwrap().contains(code::KEY_ENTER));
    assert!(input.supports(EventType::LED).unwrap().contains(code::LED_CAPS_LOCK));
    assert!(input.supports(EventType::ABS).unwrap().is_empty());
    assert_eq!(input.ids().unwrap().unwrap().bus, 6, "BUS_VIRTUAL");
    assert_eq!(input.next_event().unwrap(), None);

    // A stroke as QMP makes it: press, a moment, release.
    let keys = json!([{ "type": "qcode", "data": "ret" }]);
    machine.run("send-key", &json!({ "keys": keys, "hold-time": 1 })).unwrap();
    let stroke = |code| [event(EventType::KEY, code, 1), syn(), event(EventType::KEY, code, 0), syn()];
    assert_eq!(events(&mut input, 4), stroke(code::KEY_ENTER));

    // Three laps of the queue.
    for lap in 0..48 {
        let (name, number) = KEYS[lap % 2];
        for down in [true, false] {
            let key = json!({ "type": "qcode", "data": name });
            send(machine, &[json!({ "type": "key", "data": { "down": down, "key": key } })]);
        }
        assert_eq!(events(&mut input, 4), stroke(number), "lap {lap}");
    }
    assert_eq!(input.next_event().unwrap(), None);

    // More than the status queue holds at a time; QEMU takes each at once.
    for number in 0..20 {
        input.set_led(code::LED_CAPS_LOCK, number % 2 == 0).unwrap();
    }

    // Brought up again on the same transport.
    let mut input = input.recover().unwrap();
    machine.run("send-key", &json!({ "keys": keys, "hold-time": 1 })).unwrap();
    assert_eq!(events(&mut input, 4), stroke(code::KEY_ENTER));
    take_down(input);
}

/// The event queue by itself, as futures: a task sleeps until a key is pressed, and only an interrupt can wake it.
pub(crate) fn awaited<W: Way>(machine: &Machine, device: &Device) {
    let bell = Bell::new();
    let mut live = up::<W>(machine, device, QueueSpec::new::<()>(0, 8).response(8));
    let endpoint = live.endpoint(W::vector(Cause::Queue)).unwrap();
    let signal = W::signal(machine, device, Cause::Queue);
    let port = AsyncPort::new(live.port::<()>(0).unwrap(), &bell).unwrap();
    let mut slept = 0;
    let two = async {
        let mut both = [[0; 8]; 2];
        let [one, two] = both.each_mut().map(|room| port.start(Request::new(()).response(8), room).unwrap());
        one.await.unwrap();
        two.await.unwrap();
        both
    };
    let bytes = block_on(two, || {
        slept += 1;
        if slept == 1 {
            let key = json!({ "type": "qcode", "data": "a" });
            send(machine, &[json!({ "type": "key", "data": { "down": true, "key": key } })]);
        }
        assert!(signal.wait(SOON), "no interrupt");
        // The handler.
        assert!(!endpoint.ack().is_empty());
        assert!(signal.settles(SOON), "the line stays up");
        bell.ring();
    });
    assert!(slept > 0, "nobody has slept");
    assert_eq!(bytes, [[1, 0, KEYS[0].1 as u8, 0, 1, 0, 0, 0], [0; 8]]);
    drop(port);
    down(live);
}

/// Absolute axes: a tablet's range, and a place on it.
pub(crate) fn tablet<W: Way>(machine: &Machine, device: &Device) {
    let mut input = bring_up::<W>(machine, device);
    assert_eq!(input.name().unwrap().as_str(), "QEMU Virtio Tablet");
    let range = input.abs_info(code::ABS_X).unwrap().unwrap();
    assert_eq!((range.min, range.max), (0, 0x7fff));
    assert!(input.abs_info(40).unwrap().is_none());
    let axis = |axis, value| json!({ "type": "abs", "data": { "axis": axis, "value": value } });
    let button = |down| json!({ "type": "btn", "data": { "button": "left", "down": down } });
    send(machine, &[axis("x", 1234), axis("y", 31000), button(true)]);
    let expected = [
        event(EventType::ABS, code::ABS_X, 1234),
        event(EventType::ABS, code::ABS_Y, 31000),
        event(EventType::KEY, code::BTN_LEFT, 1),
        syn(),
    ];
    assert_eq!(events(&mut input, 4), expected);
    send(machine, &[button(false)]);
    assert_eq!(events(&mut input, 2), [event(EventType::KEY, code::BTN_LEFT, 0), syn()]);
    take_down(input);
}

/// Relative axes: distances have a sign.
pub(crate) fn mouse<W: Way>(machine: &Machine, device: &Device) {
    let mut input = bring_up::<W>(machine, device);
    assert_eq!(input.name().unwrap().as_str(), "QEMU Virtio Mouse");
    assert!(input.supports(EventType::REL).unwrap().contains(code::REL_Y));
    let axis = |axis, value: i32| json!({ "type": "rel", "data": { "axis": axis, "value": value } });
    send(machine, &[axis("x", 7), axis("y", -9)]);
    let moved = events(&mut input, 3);
    assert_eq!(moved.iter().map(|event| event.signed_value()).collect::<Vec<_>>(), [7, -9, 0]);
    assert_eq!(
        moved.iter().map(|event| (event.kind, event.code)).collect::<Vec<_>>(),
        [(EventType::REL, code::REL_X), (EventType::REL, code::REL_Y), (EventType::SYN, code::SYN_REPORT)]
    );
    take_down(input);
}
