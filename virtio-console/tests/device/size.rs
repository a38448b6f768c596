//! How large consoles are.

use crate::bench::{CONSOLE_PORT, DEVICE_ADD, ONE, RESIZE, Setup, ZERO, events, open};

use virtio_console::abi::F_SIZE;
use virtio_console::{ConsoleError, Event, Size};
use virtio_core::device::DeviceEvent;
use virtio_core::{Features, Incompatible, InterruptStatus, Misbehaved};

// shows: console.config.legacy.1
#[test]
fn the_configuration_states_the_size_of_port_0() {
    for (setup, legacy) in
        [(Setup::SINGLE, false), (Setup::SINGLE, true), (Setup::MULTI, false), (Setup::MULTI, true)]
    {
        let ports: &[u32] = if setup.ports.is_some() { &[0, 1] } else { &[] };
        // No number is the same backwards.
        let (bench, mut console) = open(Setup { legacy, cols: 0x0150, rows: 0x0119, ..setup }, ports);
        let stated = Some(Size { cols: 0x0150, rows: 0x0119 });
        assert_eq!(console.size(ZERO), Ok(stated));
        assert_eq!(console.port(ZERO).unwrap().size(), Ok(stated));
        let other = if setup.ports.is_some() { Ok(None) } else { Err(ConsoleError::NoSuchPort(ONE)) };
        assert_eq!(console.size(ONE), other);
        assert!(bench.device.config().len() == 12);
    }
}

#[test]
fn a_change_of_the_configuration_is_an_event() {
    let (bench, mut console) = open(Setup::SINGLE, &[]);
    assert_eq!(console.size(ZERO), Ok(Some(Size { cols: 80, rows: 25 })));
    bench.device.set_config([132, 0, 43, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let status = console.ack_interrupt().unwrap();
    assert_eq!(console.attend(status), Ok(Some(DeviceEvent::ConfigChanged)));
    assert_eq!(console.size(ZERO), Ok(Some(Size { cols: 132, rows: 43 })));
    assert_eq!(Size { cols: 132, rows: 43 }.to_string(), "132×43");
    // Both numbers are of one state of the device, or it is said that they are not.
    bench.device.unsettle_config(3);
    let size = console.size(ZERO).unwrap().unwrap();
    assert_eq!(size.cols.to_le_bytes()[0] - size.rows.to_le_bytes()[0], 132 - 43);
    bench.device.unsettle_config(u32::MAX);
    assert_eq!(console.size(ZERO), Err(ConsoleError::Core(Misbehaved::ConfigUnstable.into())));
}

#[test]
fn messages_resize_any_console() {
    for legacy in [false, true] {
        let (bench, mut console) =
            open(Setup { legacy, features: Features::empty(), ..Setup::MULTI }, &[0, 1]);
        assert_eq!((console.size(ZERO), console.size(ONE)), (Ok(None), Ok(None)));
        bench.say(1, CONSOLE_PORT, 1);
        bench.say_with(1, RESIZE, 0, &bench.size(0x0102, 0x0304));
        assert_eq!(events(&mut console), [Event::IsConsole(ONE), Event::Resized(ONE)]);
        let told = Size { cols: 0x0102, rows: 0x0304 };
        assert_eq!(console.size(ONE), Ok(Some(told)));
        assert_eq!(console.port(ONE).unwrap().size(), Ok(Some(told)));
        bench.say_with(0, RESIZE, 0, &bench.size(1, u16::MAX));
        assert_eq!(events(&mut console), [Event::Resized(ZERO)]);
        assert_eq!(console.size(ZERO), Ok(Some(Size { cols: 1, rows: u16::MAX })));
        // A console without lines is one whose size nobody knows.
        for (cols, rows) in [(0, 25), (80, 0), (0, 0)] {
            bench.say_with(1, RESIZE, 0, &bench.size(cols, rows));
            assert_eq!(events(&mut console), [Event::Resized(ONE)]);
            assert_eq!(console.size(ONE), Ok(None));
        }
    }
}

#[test]
fn where_both_speak_the_configuration_is_believed() {
    let (bench, mut console) = open(Setup::MULTI, &[0]);
    bench.say_with(0, RESIZE, 0, &bench.size(40, 12));
    assert_eq!(events(&mut console), [Event::Resized(ZERO)]);
    assert_eq!(console.size(ZERO), Ok(Some(Size { cols: 80, rows: 25 })));
    // Unless it does not know: QEMU's says 0 × 0.
    bench.device.set_config([0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(console.size(ZERO), Ok(Some(Size { cols: 40, rows: 12 })));
    let mut halves = console.halves().unwrap();
    let control = halves.take_control().unwrap();
    assert_eq!(control.size(ZERO), Ok(Some(Size { cols: 40, rows: 12 })));
    assert_eq!(control.size(ONE), Err(ConsoleError::NoSuchPort(ONE)));
}

#[test]
fn what_is_not_offered_is_not_read() {
    let (bench, mut console) = open(Setup { features: Features::empty(), ..Setup::SINGLE }, &[]);
    assert_eq!(console.size(ZERO), Ok(None), "the fields hold 80 and 25, and mean nothing");
    assert_eq!(console.attend(InterruptStatus::CONFIG), Ok(Some(DeviceEvent::ConfigChanged)));
    // Offered, and not there.
    drop((console, bench));
    let (bench, console) = open(Setup { features: F_SIZE, ..Setup::SINGLE }, &[]);
    bench.device.set_config([80, 0]);
    let small = Incompatible::ConfigTooSmall { offset: 2, len: 2 };
    assert_eq!(console.size(ZERO), Err(ConsoleError::Core(small.into())));
    drop((console, bench));
    // A port that goes takes its size along.
    let (bench, mut console) = open(Setup { features: Features::empty(), ..Setup::MULTI }, &[1]);
    bench.say_with(1, RESIZE, 0, &bench.size(40, 12));
    bench.say(1, crate::bench::DEVICE_REMOVE, 0);
    bench.say(1, DEVICE_ADD, 0);
    events(&mut console);
    assert_eq!(console.size(ONE), Ok(None));
}
