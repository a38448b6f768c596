//! Bytes, of any number.

use core::fmt::Write as _;
use std::thread;

use qemu_bench::{Device, Machine, SerialPort, Way};
use virtio::console::Console;

use super::{ZERO, down, read, text, up};
use crate::case::SOON;

/// Nothing, one, a buffer's length and one more, and more than all buffers hold. (Not more than a socket holds: what a console
/// says is dropped by QEMU then.)
const LENGTHS: [usize; 9] = [0, 1, 2, 100, 511, 512, 4096, 4097, 9000];

/// The console port: writes of all lengths arrive whole, and in order; what the host writes is read.
pub(crate) fn both_ways<W: Way>(machine: &Machine, device: &Device) {
    let mut console = up::<W>(machine, device);
    console.wait_open(ZERO, SOON).unwrap();
    let mut plug = machine.plug(&device.id, &SerialPort::CONSOLE).unwrap();
    for (salt, len) in LENGTHS.into_iter().enumerate() {
        let sent = text(len, salt);
        // The other end is read at the same time: a socket holds only so much.
        let seen = thread::scope(|scope| {
            let host = scope.spawn(|| plug.receive(len, SOON).unwrap());
            let mut port = console.port(ZERO).unwrap();
            port.write_all(&sent).unwrap();
            port.flush().unwrap();
            host.join().unwrap()
        });
        assert!(seen == sent, "{len} bytes out, {} seen", seen.len());
        let sent = text(len, salt + 100);
        let mut sending = plug.try_clone().unwrap();
        let seen = thread::scope(|scope| {
            scope.spawn(|| sending.send(&sent).unwrap());
            read(&mut console, ZERO, len)
        });
        assert!(seen == sent, "{len} bytes in, {} seen", seen.len());
    }
    let mut room = [0; 16];
    assert_eq!(console.port(ZERO).unwrap().read(&mut room).unwrap(), 0, "nothing more");
    down(console);
}

/// Buffers that the device keeps until it has read them.
pub(crate) fn owned<W: Way>(machine: &Machine, device: &Device) {
    let mut console: Console<_, _, Vec<u8>> =
        Console::with_options(W::open(machine, device), machine.hal(), Default::default()).unwrap();
    console.wait_open(ZERO, SOON).unwrap();
    let mut plug = machine.plug(&device.id, &SerialPort::CONSOLE).unwrap();
    let mut port = console.port(ZERO).unwrap();
    for lap in 0..5 {
        let buffers: Vec<_> = (0..4).map(|nth| text(100 + 1000 * nth, lap * 10 + nth)).collect();
        let tokens: Vec<_> = buffers.iter().map(|buffer| port.submit(buffer.clone()).unwrap()).collect();
        let all = buffers.concat();
        assert!(plug.receive(all.len(), SOON).unwrap() == all, "lap {lap}");
        let mut back = 0;
        let end = std::time::Instant::now() + SOON;
        while back < tokens.len() {
            if let Some(sent) = port.poll_sent().unwrap() {
                assert_eq!(sent.token, tokens[back]);
                assert!(sent.buffer == buffers[back], "lap {lap}: a buffer comes back as it was");
                back += 1;
            }
            assert!(std::time::Instant::now() < end, "{back} came back");
        }
    }
    let transport = console.dismantle().unwrap();
    assert!(virtio::Transport::status(&transport).is_empty());
}

/// The traits that others use.
pub(crate) fn traits<W: Way>(machine: &Machine, device: &Device) {
    let mut console = up::<W>(machine, device);
    console.wait_open(ZERO, SOON).unwrap();
    let mut plug = machine.plug(&device.id, &SerialPort::CONSOLE).unwrap();
    let mut port = console.port(ZERO).unwrap();
    write!(port, "words and {:#x}", 42).unwrap();
    embedded_io::Write::write_all(&mut port, b", bytes").unwrap();
    embedded_io::Write::flush(&mut port).unwrap();
    let expected = b"words and 0x2a, bytes";
    assert_eq!(plug.receive(expected.len(), SOON).unwrap(), expected);
    plug.send(b"an answer").unwrap();
    let mut back = [0; 9];
    embedded_io::Read::read_exact(&mut port, &mut back).unwrap();
    assert_eq!(&back, b"an answer");
    down(console);
}
