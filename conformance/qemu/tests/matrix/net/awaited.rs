//! Frames as futures, woken by interrupts.

use qemu_bench::{Cause, Device, Machine, Way};
use virtio::Endpoint;
use virtio::dma::Readable;
use virtio::net::{Options, TxOffload};
use virtio::queue::Bell;

use super::{OTHERS, down, frame, owning, seen};
use crate::case::SOON;
use crate::executor::block_on;

/// The card sends, the test sends back, the card receives; a task for each direction.
pub(crate) fn echo<W: Way>(machine: &Machine, device: &Device) {
    const COUNT: usize = 30;
    let bells = [Bell::new(), Bell::new()];
    let mut net = owning::<W>(machine, device, &Options::default(), 32, None);
    let (wire, mac) = (machine.wire(&device.id), device.mac());
    let endpoint = net.device().endpoint(W::vector(Cause::Queue)).unwrap();
    let signal = W::signal(machine, device, Cause::Queue);
    let (receiver, sender) = net.pair(0).unwrap();
    let mut receiver = receiver.into_async(&bells[0]).ok().unwrap();
    let sender = sender.into_async(&bells[1]).ok().unwrap();
    let made = |number: usize| frame(OTHERS, mac, 60 + number * 40, number);
    let echo = async {
        for number in 0..COUNT {
            if number % 2 == 0 {
                sender.send(&made(number)).await.unwrap();
            } else {
                let payload = sender.send_owned(Readable(made(number)), TxOffload::NONE).await.unwrap();
                assert!(payload.0 == made(number));
            }
            let out = seen(machine, device);
            assert!(out == made(number), "frame {number} out");
            wire.send(&out).unwrap();
            let frame = receiver.receive().await.unwrap();
            assert!(frame.bytes() == Some(&out[..]), "frame {number} in");
        }
    };
    block_on(echo, || {
        assert!(signal.wait(SOON), "no interrupt");
        if !endpoint.ack().is_empty() {
            assert!(signal.settles(SOON), "the line stays up");
            bells.iter().for_each(Bell::ring);
        }
    });
    drop((receiver, sender));
    down(net);
}
