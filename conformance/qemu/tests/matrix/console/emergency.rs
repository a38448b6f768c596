//! Bytes before there is any queue.

use core::fmt::Write as _;

use qemu_bench::{Device, Machine, SerialPort, Way};
use virtio::Transport;
use virtio::console::{Console, ConsoleError, Emergency};

use super::{ZERO, down, up};
use crate::case::SOON;

/// From a transport that nothing was done to, and from a live driver.
pub(crate) fn before_anything<W: Way>(machine: &Machine, device: &Device) {
    let mut plug = machine.plug(&device.id, &SerialPort::CONSOLE).unwrap();
    let mut transport = W::open(machine, device);
    assert!(transport.status().is_empty());
    let mut writer = Emergency::new(&mut transport).unwrap();
    writer.write(b"panic: \x01\xff").unwrap();
    assert_eq!(plug.receive(9, SOON).unwrap(), b"panic: \x01\xff");
    write!(writer, "at {}", 12).unwrap();
    assert_eq!(plug.receive(5, SOON).unwrap(), b"at 12");

    let mut console = Console::new(transport, machine.hal()).unwrap();
    console.wait_open(ZERO, SOON).unwrap();
    console.port(ZERO).unwrap().write_all(b"well again").unwrap();
    assert_eq!(plug.receive(10, SOON).unwrap(), b"well again");
    console.emergency_write(b"and not").unwrap();
    assert_eq!(plug.receive(7, SOON).unwrap(), b"and not");
    let console: super::Plain<W> = console;
    down(console);
}

/// A device without it says so; nothing is written anywhere.
pub(crate) fn refused<W: Way>(machine: &Machine, device: &Device) {
    let mut console = up::<W>(machine, device);
    let refused = console.emergency_write(b"panic").unwrap_err();
    assert_eq!(refused, ConsoleError::NoEmergencyWrite);
    let mut transport = console.dismantle().unwrap();
    assert_eq!(Emergency::new(&mut transport).map(drop), Err(ConsoleError::NoEmergencyWrite));
}
