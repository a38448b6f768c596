//! The card, driven by `virtio-drivers`: its layer over raw slices, which is the quicker of its two.
//!
//! A frame to be sent has room for the device's header before it, so it takes one descriptor. Each frame is told of at once, and
//! so is each receive buffer.

use core::hint::spin_loop;

use virtio_drivers::device::net::VirtIONetRaw;
use virtio_drivers::transport::Transport;

use super::{BATCH, Card, ROOM, SIZE, TRANSMIT};
use crate::flow::{self, Queue};
use crate::theirs::Identity;
use crate::{Work, memory};

const ENTRIES: usize = SIZE as usize;
type Buffer = &'static mut [u8];

/// The contestant.
pub struct Theirs<T: Transport> {
    net: VirtIONetRaw<Identity, T, ENTRIES>,
    /// By token.
    posted: [Option<Buffer>; ENTRIES],
    frames: [Buffer; BATCH],
    /// Which frame a token stands for.
    of_token: [u8; ENTRIES],
    free: [u8; BATCH],
    free_count: usize,
}

impl<T: Transport> Theirs<T> {
    /// Brings the card up and posts its buffers.
    pub fn new(transport: T) -> Self {
        let net = VirtIONetRaw::new(transport).expect("a network card");
        let mut card = Self {
            net,
            posted: [const { None }; ENTRIES],
            frames: core::array::from_fn(|_| memory::buffer(ROOM)),
            of_token: [0; ENTRIES],
            free: core::array::from_fn(|nth| nth as u8),
            free_count: BATCH,
        };
        for frame in &mut card.frames {
            let header = card.net.fill_buffer_header(frame).expect("room");
            frame[header..header + 6].fill(0xff);
        }
        (0..ENTRIES).for_each(|_| card.post(memory::buffer(ROOM)));
        card
    }

    #[inline]
    fn post(&mut self, buffer: Buffer) {
        // SAFETY: nobody touches the buffer before it is completed in `receive`.
        let token = unsafe { self.net.receive_begin(buffer) }.expect("room");
        self.posted[usize::from(token)] = Some(buffer);
    }
}

impl<T: Transport> Card for Theirs<T> {
    fn send(&mut self, frame: &[u8]) {
        self.net.send(frame).expect("it sends");
    }

    fn transmit(&mut self, len: usize, depth: usize, count: usize) {
        // Modern: the header has `num_buffers`.
        let len = len + self.net.fill_buffer_header(&mut [0; 16]).expect("room");
        flow::run(Sending { card: self, len }, TRANSMIT, depth, count);
    }

    fn transmit_copied(&mut self, _len: usize, _depth: usize, _count: usize) -> bool {
        false
    }

    fn receive(&mut self, len: usize, count: usize, mut look: impl FnMut(&[u8])) {
        let mut left = count;
        while left > 0 {
            let Some(token) = self.net.poll_receive() else {
                spin_loop();
                continue;
            };
            let buffer = self.posted[usize::from(token)].take().expect("it was posted");
            // SAFETY: what was given to `receive_begin` for this token.
            let (header, bytes) = unsafe { self.net.receive_complete(token, buffer) }.expect("a frame");
            assert_eq!(bytes, len, "a frame of that length");
            look(&buffer[header..header + bytes]);
            self.post(buffer);
            left -= 1;
        }
    }
}

/// Frames on their way out.
struct Sending<'c, T: Transport> {
    card: &'c mut Theirs<T>,
    /// With the device's header.
    len: usize,
}

impl<T: Transport> Queue for Sending<'_, T> {
    #[inline]
    fn add(&mut self, _nth: usize) {
        let card = &mut *self.card;
        card.free_count -= 1;
        let nth = card.free[card.free_count];
        // SAFETY: nobody touches the frame before it is completed in `take`.
        let token = unsafe { card.net.transmit_begin(&card.frames[usize::from(nth)][..self.len]) };
        card.of_token[usize::from(token.expect("room"))] = nth;
    }

    /// It has kicked already.
    fn kick(&mut self) {}

    #[inline]
    fn take(&mut self) -> usize {
        let card = &mut *self.card;
        let mut taken = 0;
        while let Some(token) = card.net.poll_transmit() {
            let nth = card.of_token[usize::from(token)];
            // SAFETY: what was given to `transmit_begin` for this token.
            let sent =
                unsafe { card.net.transmit_complete(token, &card.frames[usize::from(nth)][..self.len]) };
            sent.expect("it is sent");
            card.free[card.free_count] = nth;
            card.free_count += 1;
            taken += 1;
        }
        taken
    }
}

/// Measures.
pub struct Run<'a>(pub Work<'a>);

impl crate::theirs::Visit for Run<'_> {
    fn with<T: Transport>(self, transport: T) {
        super::measure(&mut Theirs::new(transport), self.0);
    }
}
