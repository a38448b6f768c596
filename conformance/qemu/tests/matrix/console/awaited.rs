//! Bytes as futures, woken by interrupts.

use qemu_bench::{Cause, Device, Machine, Way};
use virtio::Endpoint;
use virtio::console::{Bells, PortId};

use super::{ONE, down, text, up};
use crate::case::SOON;
use crate::executor::{all, block_on};

const FIRST: PortId = PortId::new(1);

/// A task that writes and one that reads; the test sends back what it sees.
pub(crate) fn both_ways<W: Way>(machine: &Machine, device: &Device) {
    const LEN: usize = 9000;
    let bells = Bells::<8>::new();
    let mut console = up::<W>(machine, device);
    console.wait_for(FIRST, SOON).unwrap();
    console.open(FIRST).unwrap();
    let mut plug = machine.plug(&device.id, &ONE).unwrap();
    console.wait_open(FIRST, SOON).unwrap();
    let endpoint = console.device().endpoint(W::vector(Cause::Queue)).unwrap();
    let signal = W::signal(machine, device, Cause::Queue);
    let mut halves = console.halves().unwrap();
    let (reader, writer) = halves.take(FIRST).unwrap();
    let mut reader = reader.awaited(&bells).ok().unwrap();
    let mut writer = writer.awaited(&bells).ok().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let seen = plug.receive(LEN, SOON).unwrap();
            assert!(seen == text(LEN, 1), "{} bytes out", seen.len());
            plug.send(&seen).unwrap();
        });
        type Task<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;
        let write: Task<'_> = Box::pin(async {
            for part in text(LEN, 1).chunks(700) {
                writer.write_all(part).await.unwrap();
            }
            writer.flush().await.unwrap();
        });
        let read: Task<'_> = Box::pin(async {
            let (mut bytes, mut filled) = (vec![0; LEN], 0);
            while filled < LEN {
                let more = reader.read(&mut bytes[filled..]).await.unwrap();
                assert_ne!(more, 0, "closed after {filled} bytes");
                filled += more;
            }
            assert!(bytes == text(LEN, 1));
        });
        block_on(all([write, read]), || {
            assert!(signal.wait(SOON), "no interrupt");
            if !endpoint.ack().is_empty() {
                assert!(signal.settles(SOON), "the line stays up");
                bells.ring();
            }
        });
    });
    drop((reader, writer, halves));
    down(console);
}
