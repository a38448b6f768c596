//! Devices that do not switch a queue on.

use core::cell::Cell;

use virtio_core::regs::Registers;
use virtio_core::{Error, Incompatible, Transport};

use super::bench::{Access, Bench, Read, Write};
use super::queues::{QUEUE, legacy_rings};
use crate::probe;

const QUEUE_READY: usize = 0x044;

/// Once `QueueReady` was written, it reads as something else; if it is all ones, so does everything.
struct Deaf {
    bench: Bench,
    answer: u32,
    written: Cell<bool>,
}

impl Deaf {
    fn new(answer: u32) -> Self {
        Self { bench: Bench::device(2, 16), answer, written: Cell::new(false) }
    }
}

impl Registers for Deaf {
    fn len(&self) -> usize {
        self.bench.len()
    }
    fn read8(&self, offset: usize) -> u8 {
        self.bench.read8(offset)
    }
    fn read16(&self, offset: usize) -> u16 {
        self.bench.read16(offset)
    }
    fn read32(&self, offset: usize) -> u32 {
        let value = self.bench.read32(offset);
        let deaf = self.written.get() && (offset == QUEUE_READY || self.answer == u32::MAX);
        if deaf { self.answer } else { value }
    }
    fn write8(&self, offset: usize, value: u8) {
        self.bench.write8(offset, value);
    }
    fn write16(&self, offset: usize, value: u16) {
        self.bench.write16(offset, value);
    }
    fn write32(&self, offset: usize, value: u32) {
        self.bench.write32(offset, value);
        self.written.set(self.written.get() || offset == QUEUE_READY);
    }
}

#[test]
fn a_queue_that_does_not_read_as_switched_on_is_an_error() {
    for (answer, taken) in [(1, true), (0, false), (2, false), (0x1_0001, false), (u32::MAX, false)] {
        let device = Deaf::new(answer);
        let mut transport = probe(&device).unwrap().unwrap();
        let outcome = transport.enable_queue(QUEUE, &legacy_rings(8, 0x1000)).map(drop);
        let refused = Error::Incompatible(Incompatible::QueueRefused(QUEUE));
        assert_eq!(outcome, if taken { Ok(()) } else { Err(refused) }, "{answer:#x}");
        // The read-back is the last access, and nothing takes the queue away again: that is the reset's business.
        let trace = device.bench.take();
        assert_eq!(trace.last(), Some(&Read(QUEUE_READY, 4)));
        let to_ready: alloc::vec::Vec<&Access> =
            trace.iter().filter(|access| matches!(access, Write(QUEUE_READY, ..))).collect();
        assert_eq!(to_ready, [&Write(QUEUE_READY, 4, 1)]);
    }
}
