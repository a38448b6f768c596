//! The card, driven by `virtio-net`.

use core::hint::spin_loop;

use virtio_core::dma::Readable;
use virtio_core::{Features, Transport};
use virtio_net::abi::F_MRG_RXBUF;
use virtio_net::{Net, Options, Sender, TxOffload};

use super::{BATCH, Card, ROOM, SIZE, TRANSMIT};
use crate::flow::{self, Queue};
use crate::ours::Kernel;
use crate::{Work, memory};

type Buffer = &'static mut [u8];
type Frame = Readable<&'static [u8]>;

/// The contestant.
pub struct Ours<T: Transport> {
    net: Net<T, Kernel, Buffer, Frame>,
    /// The longest frames; shorter ones are their beginnings.
    frames: [&'static [u8]; BATCH],
}

impl<T: Transport> Ours<T> {
    /// Brings the card up and posts its buffers; merged ones, if so asked.
    pub fn new(transport: T, mergeable: bool) -> Self {
        let offloads = if mergeable { F_MRG_RXBUF } else { Features::empty() };
        let offloads = Options::DEFAULT.offloads | offloads;
        let options = Options { offloads, receive_queue: SIZE, transmit_queue: SIZE, ..Options::DEFAULT };
        let net = Net::with_buffers(transport, Kernel, &options, |_| Some(memory::buffer(ROOM)));
        let net = net.expect("a network card");
        assert_eq!(net.features().contains(F_MRG_RXBUF), mergeable, "merged buffers");
        let frames = core::array::from_fn(|_| {
            let frame = memory::buffer(ROOM);
            frame[..6].fill(0xff);
            &*frame
        });
        Self { net, frames }
    }
}

impl<T: Transport> Card for Ours<T> {
    fn send(&mut self, frame: &[u8]) {
        self.net.send(frame).expect("it sends");
    }

    fn transmit(&mut self, len: usize, depth: usize, count: usize) {
        let (_, sender) = self.net.pair(0).expect("a pair");
        let frames = self.frames.map(|frame| Some(Readable(&frame[..len])));
        flow::run(Sending { sender, frames, free: BATCH }, TRANSMIT, depth, count);
    }

    fn transmit_copied(&mut self, len: usize, depth: usize, count: usize) -> bool {
        let (_, sender) = self.net.pair(0).expect("a pair");
        flow::run(Copying { sender, frame: &self.frames[0][..len] }, TRANSMIT, depth, count);
        true
    }

    fn receive(&mut self, len: usize, count: usize, mut look: impl FnMut(&[u8])) {
        let (mut receiver, _) = self.net.pair(0).expect("a pair");
        let mut left = count;
        while left > 0 {
            let Some(frame) = receiver.receive().expect("an honest device") else {
                spin_loop();
                continue;
            };
            assert_eq!(frame.len(), len, "a frame of that length");
            look(frame.bytes().expect("in one buffer"));
            left -= 1;
            // Its buffer is posted again.
        }
        receiver.kick();
    }
}

/// Frames on their way out.
struct Sending<'d, T> {
    sender: Sender<'d, Frame, T, Kernel>,
    frames: [Option<Frame>; BATCH],
    free: usize,
}

impl<T: Transport> Queue for Sending<'_, T> {
    #[inline]
    fn add(&mut self, _nth: usize) {
        self.free -= 1;
        let frame = self.frames[self.free].take().expect("it is free");
        assert!(self.sender.add(frame, TxOffload::NONE).is_ok(), "room");
    }

    #[inline]
    fn kick(&mut self) {
        self.sender.kick();
    }

    #[inline]
    fn take(&mut self) -> usize {
        let taken = self.sender.drain(usize::MAX, |sent| {
            self.frames[self.free] = sent.payload;
            self.free += 1;
        });
        taken.expect("an honest device")
    }
}

/// A frame that is copied again and again.
struct Copying<'d, T> {
    sender: Sender<'d, Frame, T, Kernel>,
    frame: &'static [u8],
}

impl<T: Transport> Queue for Copying<'_, T> {
    #[inline]
    fn add(&mut self, _nth: usize) {
        assert!(self.sender.add_copied(self.frame, TxOffload::NONE).is_ok(), "room");
    }

    #[inline]
    fn kick(&mut self) {
        self.sender.kick();
    }

    #[inline]
    fn take(&mut self) -> usize {
        self.sender.drain(usize::MAX, |_| {}).expect("an honest device")
    }
}

/// Measures.
pub struct Run<'a> {
    /// What.
    pub work: Work<'a>,
    /// With merged receive buffers.
    pub mergeable: bool,
}

impl crate::ours::Visit for Run<'_> {
    fn with<T: Transport>(self, transport: T) {
        super::measure(&mut Ours::new(transport, self.mergeable), self.work);
    }
}
