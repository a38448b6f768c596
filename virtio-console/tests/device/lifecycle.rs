//! Interrupts, recovery, and the end.

use crate::bench::{DEVICE_READY, ONE, Setup, ZERO, events, open};

use virtio_console::{ConsoleError, Event};
use virtio_core::device::DeviceEvent;
use virtio_core::transport::InterruptStatus;
use virtio_core::{Endpoint, Error};
use virtio_testkit::Reset;

#[test]
fn interrupts_tell_of_messages_and_of_what_is_received() {
    let (bench, mut console) = open(Setup::MULTI, &[0, 1]);
    assert_eq!(bench.device.interrupts(), 0, "nobody asked for one");
    bench.send(1, b"x");
    assert_eq!(console.enable_interrupts(), Ok(true), "something waits already");
    assert_eq!(console.port(ONE).unwrap().read(&mut [0; 4]), Ok(1));
    assert_eq!(console.enable_interrupts(), Ok(false));
    bench.send(1, b"y");
    assert_eq!(bench.device.interrupts(), 1);
    bench.send(0, b"z");
    bench.say(2, crate::bench::DEVICE_ADD, 0);
    assert_eq!(bench.device.interrupts(), 3);
    assert!(!console.ack_interrupt().unwrap().is_empty());
    assert!(console.ack_interrupt().unwrap().is_empty());
    // Read in part counts as waiting, too.
    bench.send(1, b"ab");
    assert_eq!(console.port(ONE).unwrap().read(&mut [0; 2]), Ok(2));
    assert!(console.port(ONE).unwrap().enable_interrupts());
    console.disable_interrupts().unwrap();
    let before = bench.device.interrupts();
    bench.say(2, crate::bench::DEVICE_REMOVE, 0);
    assert_eq!(bench.device.interrupts(), before);
}

#[test]
fn a_handler_acknowledges_and_the_driver_attends() {
    let (bench, mut console) = open(Setup::MULTI, &[0]);
    let endpoint = console.device().endpoint(0).unwrap();
    assert_eq!(console.enable_interrupts(), Ok(false));
    bench.send(0, b"x");
    let status = endpoint.ack();
    assert_eq!(status, InterruptStatus::QUEUE);
    assert_eq!(console.attend(status), Ok(None));
    assert_eq!(console.port(ZERO).unwrap().read(&mut [0; 4]), Ok(1));

    bench.device.needs_reset();
    assert_eq!(console.attend(endpoint.ack()), Ok(Some(DeviceEvent::NeedsReset)));
    // The driver has one buffer of each port at the most.
    let down = ConsoleError::Core(Error::Down);
    assert_eq!(console.next_event(), Err(down));
    assert_eq!(console.port(ZERO).unwrap_err(), down);
    assert_eq!(console.attend(InterruptStatus::CONFIG), Err(down));
    bench.told();
    let mut console = console.recover().unwrap();
    assert_eq!(bench.told(), [(0, DEVICE_READY, 1)], "the dialogue begins anew");
    assert_eq!(console.present().count(), 0);
    bench.plug(0);
    assert_eq!(events(&mut console), [Event::Added(ZERO), Event::Opened(ZERO)]);
    bench.send(0, b"again");
    assert_eq!(console.port(ZERO).unwrap().read(&mut [0; 8]), Ok(5));
}

#[test]
fn the_transport_comes_back_and_serves_again() {
    let (bench, mut console) = open(Setup::SINGLE, &[]);
    bench.send(0, b"half read");
    assert_eq!(console.port(ZERO).unwrap().read(&mut [0; 4]), Ok(4));
    let transport = console.dismantle().unwrap();
    assert!(bench.hal.outstanding().is_none());
    let mut console = virtio_console::Console::new(transport, bench.hal.clone()).unwrap();
    assert_eq!(console.port(ZERO).unwrap().read(&mut [0; 4]), Ok(0));
}

#[test]
fn a_device_that_does_not_reset_keeps_its_memory() {
    let (bench, console) = open(Setup::SINGLE, &[]);
    bench.hal.allow_leaks();
    bench.device.set_reset(Reset::Never);
    assert!(console.dismantle().is_err());
    assert!(!bench.hal.leaks().is_empty());
}
