//! A port that goes while the driver runs, and comes again.

use std::time::{Duration, Instant};

use qemu_bench::{BenchHal, Cause, Device, Machine, Way};
use serde_json::json;
use virtio::console::{Bells, Console, ConsoleError, Event, PortId};
use virtio::{Endpoint, Transport};

use super::{TWO, down, read, text, up};
use crate::case::SOON;
use crate::executor::{all, block_on};

const SECOND: PortId = PortId::new(2);
/// QEMU 7.2 says that the port is closed (event 6) once it has said that there is none.
const AFTERWARDS: ConsoleError = ConsoleError::UnknownPort { port: SECOND, event: 6 };

fn unplug(machine: &Machine, device: &Device) {
    machine.run("device_del", &json!({ "id": TWO.id(&device.id) })).unwrap();
}

/// Puts it back, as soon as QEMU has let go of it.
fn plug_again(machine: &Machine, device: &Device) {
    let port = json!({
        "driver": TWO.model(),
        "id": TWO.id(&device.id),
        "bus": format!("{}.0", device.id),
        "nr": TWO.number,
        "chardev": TWO.line(&device.id),
        "name": TWO.called(&device.id),
    });
    let end = Instant::now() + SOON;
    while let Err(error) = machine.run("device_add", &port) {
        assert!(Instant::now() < end, "{error}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// It is gone, with all that is under way; it comes back, and works.
pub(crate) fn unplugged<W: Way>(machine: &Machine, device: &Device) {
    let mut console = up::<W>(machine, device);
    console.wait_for(SECOND, SOON).unwrap();
    for lap in 0..3 {
        console.open(SECOND).unwrap();
        let mut plug = machine.plug(&device.id, &TWO).unwrap();
        console.wait_open(SECOND, SOON).unwrap();
        let sent = text(300, lap);
        plug.send(&sent).unwrap();
        assert!(read(&mut console, SECOND, 300) == sent);
        unplug(machine, device);
        removed(&mut console);
        let gone = console.port(SECOND).map(drop);
        assert_eq!(gone, Err(ConsoleError::NoSuchPort(SECOND)));
        assert_eq!(console.find(&TWO.called(&device.id).unwrap()), None);
        drop(plug);
        plug_again(machine, device);
        while let Err(fault) = console.wait_for(SECOND, SOON) {
            assert_eq!(fault, AFTERWARDS);
        }
    }
    down(console);
}

/// Waits until the port is gone.
fn removed<T: Transport>(console: &mut Console<T, BenchHal>) {
    let end = Instant::now() + SOON;
    loop {
        match console.next_event() {
            Ok(Some(Event::Removed(SECOND))) => return,
            Ok(_) => assert!(Instant::now() < end, "it is still there"),
            Err(fault) => assert_eq!(fault, AFTERWARDS),
        }
    }
}

/// A task that waits for bytes is told that there will be none.
pub(crate) fn in_mid_read<W: Way>(machine: &Machine, device: &Device) {
    let bells = Bells::<8>::new();
    let mut console = up::<W>(machine, device);
    console.wait_for(SECOND, SOON).unwrap();
    console.open(SECOND).unwrap();
    let plug = machine.plug(&device.id, &TWO).unwrap();
    console.wait_open(SECOND, SOON).unwrap();
    let endpoint = console.device().endpoint(W::vector(Cause::Queue)).unwrap();
    let signal = W::signal(machine, device, Cause::Queue);
    let mut halves = console.halves().unwrap();
    let mut control = halves.take_control().unwrap().awaited(&bells).ok().unwrap();
    let (reader, _) = halves.take(SECOND).unwrap();
    let mut reader = reader.awaited(&bells).ok().unwrap();
    let mut removed = false;
    type Task<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;
    let read: Task<'_> = Box::pin(async {
        let mut room = [0; 64];
        assert_eq!(reader.read(&mut room).await, Err(ConsoleError::NoSuchPort(SECOND)));
    });
    let listen: Task<'_> = Box::pin(async {
        while !removed {
            removed = match control.next_event().await {
                Ok(event) => event == Event::Removed(SECOND),
                Err(fault) => {
                    assert_eq!(fault, AFTERWARDS);
                    false
                }
            };
        }
    });
    let mut slept = 0;
    block_on(all([read, listen]), || {
        slept += 1;
        if slept == 1 {
            unplug(machine, device);
        }
        assert!(signal.wait(SOON), "no interrupt");
        if !endpoint.ack().is_empty() {
            assert!(signal.settles(SOON), "the line stays up");
            bells.ring();
        }
    });
    drop((reader, control, halves, plug));
    plug_again(machine, device);
    down(console);
}
