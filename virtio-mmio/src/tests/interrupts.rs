//! Interrupts of a device that reacts: what is read, what is acknowledged, and how often.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::Mutex;

use virtio_core::interrupt::{Endpoint, Interrupts};
use virtio_core::regs::Registers;
use virtio_core::transport::InterruptStatus;
use virtio_core::{Error, Misuse, QueueIndex, Transport};

use crate::{MmioTransport, probe};

const STATUS: usize = 0x060;
const ACK: usize = 0x064;

/// A device with a level-triggered line: `InterruptStatus` keeps each bit until it is acknowledged.
#[derive(Debug)]
struct Line {
    version: u32,
    status: AtomicU32,
    /// Raised again with every acknowledgement.
    again: u32,
    gone: bool,
    reads: AtomicUsize,
    acks: Mutex<Vec<u32>>,
}

impl Line {
    fn new(status: u32) -> Self {
        let (status, reads, acks) = (AtomicU32::new(status), AtomicUsize::new(0), Mutex::default());
        Self { version: 2, status, again: 0, gone: false, reads, acks }
    }
    fn is_raised(&self) -> bool {
        self.status.load(Relaxed) != 0
    }
    fn acks(&self) -> Vec<u32> {
        core::mem::take(&mut self.acks.lock().unwrap())
    }
    fn reads(&self) -> usize {
        self.reads.swap(0, Relaxed)
    }
}

impl Registers for Line {
    fn len(&self) -> usize {
        0x100
    }
    fn read8(&self, offset: usize) -> u8 {
        panic!("an access of 8 bits at {offset:#x}")
    }
    fn read16(&self, offset: usize) -> u16 {
        panic!("an access of 16 bits at {offset:#x}")
    }
    fn read32(&self, offset: usize) -> u32 {
        match offset {
            0x000 => 0x7472_6976,
            0x004 => self.version,
            0x008 => 4,
            STATUS => {
                self.reads.fetch_add(1, Relaxed);
                if self.gone { u32::MAX } else { self.status.load(Relaxed) }
            }
            _ => panic!("a read at {offset:#x}"),
        }
    }
    fn write8(&self, offset: usize, _: u8) {
        panic!("an access of 8 bits at {offset:#x}")
    }
    fn write16(&self, offset: usize, _: u16) {
        panic!("an access of 16 bits at {offset:#x}")
    }
    fn write32(&self, offset: usize, value: u32) {
        assert_eq!(offset, ACK);
        self.acks.lock().unwrap().push(value);
        self.status.fetch_and(!value, Relaxed);
        self.status.fetch_or(self.again, Relaxed);
    }
}

fn open(line: &Line) -> MmioTransport<&Line> {
    probe(line).unwrap().unwrap()
}

// shows: mmio.regs.19, mmio.op.irq.1, mmio.op.irq.3
#[test]
fn what_is_read_is_acknowledged_once_and_the_line_falls() {
    for version in [1, 2] {
        for status in [1, 2, 3] {
            let line = Line { version, ..Line::new(status) };
            let endpoint = open(&line).endpoint(0).unwrap();
            assert_eq!(endpoint.ack(), InterruptStatus::from_bits_retain(status));
            assert_eq!((line.reads(), line.acks()), (1, [status].into()));
            assert!(!line.is_raised());
            // Nobody is told twice.
            assert_eq!(endpoint.ack(), InterruptStatus::empty());
            assert_eq!((line.reads(), line.acks()), (1, Vec::new()));
        }
    }
}

// shows: mmio.regs.18, mmio.regs.20
#[test]
fn undefined_bits_are_neither_told_nor_acknowledged() {
    let line = Line::new(0x8000_0006);
    let transport = open(&line);
    assert_eq!(transport.ack_interrupt(), InterruptStatus::CONFIG);
    assert_eq!(line.acks(), [2]);
    // Undefined bits alone: nothing to handle, nothing to acknowledge, whoever asks.
    assert_eq!(transport.ack_interrupt(), InterruptStatus::empty());
    assert_eq!(transport.endpoint(0).unwrap().ack(), InterruptStatus::empty());
    assert_eq!(line.acks(), []);
}

#[test]
fn a_device_that_is_gone_has_nothing_to_say() {
    let line = Line { gone: true, ..Line::new(3) };
    assert_eq!(open(&line).endpoint(0).unwrap().ack(), InterruptStatus::empty());
    assert_eq!((line.reads(), line.acks()), (1, Vec::new()));
}

#[test]
fn a_storm_costs_one_read_and_one_acknowledgement_for_each_call() {
    let line = Line { again: 3, ..Line::new(3) };
    let endpoint = open(&line).endpoint(0).unwrap();
    for _ in 0..1000 {
        assert_eq!(endpoint.ack(), InterruptStatus::all());
        assert_eq!((line.reads(), line.acks()), (1, [3].into()));
        assert!(line.is_raised());
    }
}

#[test]
fn what_comes_after_the_read_is_kept_for_the_next_call() {
    // The device raises CONFIG while QUEUE is acknowledged: acknowledging both would lose it.
    let line = Line { again: 2, ..Line::new(1) };
    let endpoint = open(&line).endpoint(0).unwrap();
    assert_eq!(endpoint.ack(), InterruptStatus::QUEUE);
    assert_eq!(line.acks(), [1]);
    assert_eq!(endpoint.ack(), InterruptStatus::CONFIG);
}

// shows: mmio.op.irq.2
#[test]
fn there_is_one_vector_and_it_is_for_every_queue() {
    let line = Line::new(0);
    let transport = open(&line);
    assert_eq!(transport.vectors(), 1);
    assert_eq!(transport.endpoint(1).unwrap_err(), Error::Caller(Misuse::NoSuchVector));
    let endpoint = transport.endpoint(0).unwrap();
    assert!(endpoint.serves(QueueIndex::new(0)) && endpoint.serves(QueueIndex::new(u16::MAX)));
}
