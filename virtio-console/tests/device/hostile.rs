//! Devices that flood, that are slow to listen, and that say everything at once; callers who change their minds.

use alloc::sync::Arc;
use core::pin::pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Poll;
use std::sync::Mutex;

use crate::awaited::{Woken, now, poll};
use crate::bench::{
    DEVICE_ADD, DEVICE_REMOVE, Driver, Heard, ONE, PORT_OPEN, PORT_READY, SOON, Said, Setup, ZERO, events,
    open,
};

use virtio_console::abi::F_MULTIPORT;
use virtio_console::{Bells, Console, Event, Options};
use virtio_core::{DeviceId, Features, QueueIndex};
use virtio_testkit::{FakeDevice, Reply, TestHal};

/// A device that uses every buffer the moment it gets it, and writes nothing: it has the driver's attention no longer than a poll
/// takes.
#[test]
fn a_device_that_floods_keeps_no_task_from_yielding() {
    const ENDLESS: usize = 10_000;
    let (hal, used) = (TestHal::new(), Arc::<AtomicUsize>::default());
    let counter = used.clone();
    let device = FakeDevice::builder(DeviceId::CONSOLE)
        .queue(0, 8, move |_| match counter.fetch_add(1, Ordering::Relaxed) {
            ENDLESS.. => Reply::Hold,
            _ => Reply::Write(vec![]),
        })
        .queue(1, 8, |_| Reply::Hold)
        .build(&hal);
    let mut console: Driver = Console::new(device.transport(), hal.clone()).unwrap();
    let (bells, woken) = (Bells::<8>::new(), Arc::<Woken>::default());
    let mut reader = console.halves().unwrap().take(ZERO).unwrap().0.awaited(&bells).unwrap();
    let mut reading = pin!(reader.fill());
    assert_eq!(poll(reading.as_mut(), &woken), Poll::Pending);
    let in_one_poll = used.load(Ordering::Relaxed);
    assert!(in_one_poll < 100, "{in_one_poll} buffers in one poll");
    assert!(woken.times() > 0, "there is more to be looked at");
}

/// Buffers that were read but not shown to the device are not forgotten when the reader becomes a task's, and back.
#[test]
fn taking_turns_costs_no_buffers() {
    let (hal, options) = (TestHal::new(), Options { buffers: 4, ..Options::default() });
    let (told, heard) = (Arc::<Mutex<Vec<Said>>>::default(), Heard::default());
    let device = Setup::SINGLE.builder(&told, &heard).build(&hal);
    let mut console: Driver = Console::with_options(device.transport(), hal.clone(), options).unwrap();
    let bells = Bells::<8>::new();
    for round in 0..20 {
        assert!(device.send(0, b"x"), "no buffer in round {round}");
        let mut reader = console.halves().unwrap().take(ZERO).unwrap().0;
        assert_eq!(reader.peek(), Ok(&b"x"[..]));
        reader.consume(1);
        drop(reader.awaited(&bells).unwrap());
    }
}

/// A device with a short control queue, which takes its time: what did not fit is said when it has taken something, and whoever
/// sleeps until then is woken for it.
#[test]
fn what_did_not_fit_is_said_when_there_is_room() {
    for awaited in [false, true] {
        let hal = TestHal::new();
        let builder = FakeDevice::builder(DeviceId::CONSOLE)
            .features(Features::VERSION_1 | F_MULTIPORT)
            .config([0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        let builder =
            [0, 1, 2, 4, 5].into_iter().fold(builder, |builder, queue| builder.event_queue(queue, 8));
        let device = builder.event_queue(3, 1).build(&hal);
        let message = |port: u32, event: u16, value: u16| {
            [&port.to_le_bytes()[..], &event.to_le_bytes(), &value.to_le_bytes()].concat()
        };
        let mut console: Driver = Console::new(device.transport(), hal.clone()).unwrap();
        // That the driver is ready, then that port 1 is.
        device.complete(3, 0, &[]);
        assert!(device.send(2, &message(1, DEVICE_ADD, 0)));
        assert_eq!(events(&mut console), [Event::Added(ONE)]);
        assert_eq!(device.held_readable(3), [message(1, PORT_READY, 1)]);

        let bells = Bells::<8>::new();
        let mut control = console.halves().unwrap().take_control().unwrap();
        let before = device.interrupts();
        let taken = || {
            device.complete(3, 0, &[]);
            assert!(device.interrupts() > before, "nobody asked to hear that there is room");
            bells.ring_queue(QueueIndex::new(3));
        };
        if awaited {
            let woken = Arc::<Woken>::default();
            let mut control = control.awaited(&bells).unwrap();
            control.open(ONE).unwrap();
            let mut next = pin!(control.next_event());
            assert_eq!(poll(next.as_mut(), &woken), Poll::Pending);
            taken();
            assert_eq!(woken.times(), 1);
            assert_eq!(poll(next, &woken), Poll::Pending);
        } else {
            control.open(ONE).unwrap();
            assert!(!control.enable_interrupts());
            taken();
            assert_eq!(control.next_event(), Ok(None));
        }
        assert_eq!(device.held_readable(3), [message(1, PORT_OPEN, 1)]);
    }
}

/// Removed, added and open again, before the reader looks: it is open then, and waits for no data to say so.
#[test]
fn a_port_that_came_back_open_is_open() {
    let (bench, mut console) = open(Setup::MULTI, &[1]);
    let bells = Bells::<8>::new();
    let mut halves = console.halves().unwrap();
    let mut control = halves.take_control().unwrap();
    let mut reader = halves.take(ONE).unwrap().0.awaited(&bells).unwrap();
    bench.send(1, b"old");
    bench.say(1, DEVICE_REMOVE, 0);
    bench.plug(1);
    for event in [Event::Removed(ONE), Event::Added(ONE), Event::Opened(ONE)] {
        assert_eq!(control.next_event(), Ok(Some(event)));
    }
    assert_eq!(now(reader.opened()), Ok(()));
    bench.send(1, b"new");
    assert_eq!(now(reader.fill()), Ok(&b"new"[..]));
}

/// Ports that are not driven, added all at once: each is declined, not just the last.
#[test]
fn each_port_too_many_is_declined() {
    let bench = Setup { ports: Some(12), ..Setup::MULTI }.build();
    let mut console = bench.drive();
    for port in [0, 8, 9, 10, 11] {
        bench.say(port, DEVICE_ADD, 0);
    }
    console.wait_for(ZERO, SOON).unwrap();
    let mut declined = bench.told();
    declined.retain(|(_, event, value)| (*event, *value) == (PORT_READY, 0));
    assert_eq!(declined, [8, 9, 10, 11].map(|port| (port, PORT_READY, 0)));
}

/// The same of a port that is gone, whose buffers are emptied: a device that goes on filling them is not waited for for ever.
#[test]
fn a_removed_port_that_goes_on_sending_keeps_no_task_from_yielding() {
    const ENDLESS: usize = 10_000;
    let (hal, used) = (TestHal::new(), Arc::<AtomicUsize>::default());
    let counter = used.clone();
    let builder = FakeDevice::builder(DeviceId::CONSOLE)
        .features(Features::VERSION_1 | F_MULTIPORT)
        .config([0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    let builder = [0, 1, 2, 3, 5].into_iter().fold(builder, |builder, queue| builder.event_queue(queue, 8));
    // Two that it holds at first.
    let device = builder
        .queue(4, 8, move |_| match counter.fetch_add(1, Ordering::Relaxed) {
            0 | 1 | ENDLESS.. => Reply::Hold,
            _ => Reply::Write(b"noise".to_vec()),
        })
        .build(&hal);
    let mut console: Driver = Console::new(device.transport(), hal.clone()).unwrap();
    let (bells, woken) = (Bells::<8>::new(), Arc::<Woken>::default());
    let mut halves = console.halves().unwrap();
    let mut control = halves.take_control().unwrap();
    let mut reader = halves.take(ONE).unwrap().0.awaited(&bells).unwrap();
    for event in [DEVICE_ADD, DEVICE_REMOVE] {
        let message = [&1_u32.to_le_bytes()[..], &event.to_le_bytes(), &[0; 2]].concat();
        assert!(device.send(2, &message));
        assert!(matches!(control.next_event(), Ok(Some(Event::Added(ONE) | Event::Removed(ONE)))));
    }
    device.complete(4, 0, b"old");
    assert_eq!(poll(pin!(reader.fill()), &woken).map(|_| ()), Poll::Pending);
    let in_one_poll = used.load(Ordering::Relaxed);
    assert!(in_one_poll < 100, "{in_one_poll} buffers in one poll");
    assert!(woken.times() > 0, "there is more to be looked at");
}
