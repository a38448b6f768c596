//! A configuration space whose length, contents and generation are libFuzzer's: what is read is what the device showed within
//! one generation, reads end, and none lies outside.
#![no_main]

use std::cell::{Cell, RefCell};

use libfuzzer_sys::fuzz_target;
use virtio_core::config::{ByteOrder, Config, check_access, read_registers, write_registers};
use virtio_core::regs::Registers;
use virtio_core::transport::{Doorbell, InterruptStatus, Rings, TransportInfo};
use virtio_core::{DeviceId, Error, Misbehaved, QueueIndex, Status, Transport};

/// What the driver saw last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen {
    Generation(u32),
    Bytes { offset: usize, bytes: [u8; 4] },
}

struct Space<'i> {
    /// What is left of the input: bytes of the space as they are asked for.
    input: Cell<&'i [u8]>,
    len: usize,
    legacy: bool,
    log: RefCell<Vec<Seen>>,
}

impl Space<'_> {
    fn next(&self) -> u8 {
        let (first, rest) = self.input.get().split_first().unwrap_or((&0, &[]));
        self.input.set(rest);
        *first
    }
}

impl Transport for Space<'_> {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: "fuzz", version: "modern" }
    }
    fn device_id(&self) -> DeviceId {
        DeviceId::ENTROPY
    }
    fn is_legacy(&self) -> bool {
        self.legacy
    }
    fn status(&self) -> Status {
        Status::empty()
    }
    fn set_status(&mut self, _: Status) {}
    fn device_features(&mut self, _: u32) -> u32 {
        0
    }
    fn set_driver_features(&mut self, _: u32, _: u32) {}
    fn queue_max_size(&mut self, _: QueueIndex) -> u16 {
        0
    }
    fn enable_queue(&mut self, _: QueueIndex, _: &Rings) -> Result<Doorbell, Error> {
        Err(Error::Down)
    }
    fn notify(&self, _: Doorbell) {}
    fn ack_interrupt(&self) -> InterruptStatus {
        InterruptStatus::empty()
    }
    fn config_generation(&self) -> u32 {
        let generation = u32::from(self.next() & 3);
        self.log.borrow_mut().push(Seen::Generation(generation));
        generation
    }
    fn config_len(&self) -> usize {
        self.len
    }
    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        check_access(offset, bytes.len(), self.len)?;
        let mut kept = [0; 4];
        for (to, kept) in bytes.iter_mut().zip(&mut kept) {
            // Few values, so that two reads may well agree.
            *to = self.next() & 1;
            *kept = *to;
        }
        self.log.borrow_mut().push(Seen::Bytes { offset, bytes: kept });
        Ok(())
    }
    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        Ok(check_access(offset, bytes.len(), self.len)?)
    }
}

/// Registers of which nothing outside may be touched.
struct Block(usize);

impl Block {
    fn check(&self, offset: usize, width: usize) {
        assert!(offset.is_multiple_of(width) && offset.checked_add(width).is_some_and(|end| end <= self.0));
    }
}

impl Registers for Block {
    fn len(&self) -> usize {
        self.0
    }
    fn read8(&self, offset: usize) -> u8 {
        self.check(offset, 1);
        1
    }
    fn read16(&self, offset: usize) -> u16 {
        self.check(offset, 2);
        2
    }
    fn read32(&self, offset: usize) -> u32 {
        self.check(offset, 4);
        4
    }
    fn write8(&self, offset: usize, _: u8) {
        self.check(offset, 1);
    }
    fn write16(&self, offset: usize, _: u16) {
        self.check(offset, 2);
    }
    fn write32(&self, offset: usize, _: u32) {
        self.check(offset, 4);
    }
}

/// What the last reads, of four bytes each, say, if they are the last that happened and lie within one generation.
fn settled(log: &[Seen], legacy: bool, offset: usize) -> Option<[u8; 8]> {
    let pair = |low: &Seen, high: &Seen| match (low, high) {
        (Seen::Bytes { offset: a, bytes: low }, Seen::Bytes { offset: b, bytes: high })
            if *a == offset && *b == offset + 4 =>
        {
            Some([low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3]])
        }
        _ => None,
    };
    if legacy {
        // Two equal answers in a row.
        let [.., a, b, c, d] = log else { return None };
        return pair(c, d).filter(|value| pair(a, b) == Some(*value));
    }
    let [.., Seen::Generation(before), low, high, Seen::Generation(after)] = log else { return None };
    pair(low, high).filter(|_| before == after)
}

fuzz_target!(|input: &[u8]| {
    let [how, len, offset, width, rest @ ..] = input else { return };
    let far = how & 4 != 0;
    let offset = if far { usize::MAX - usize::from(*offset) } else { usize::from(*offset) };
    let legacy = how & 1 != 0;
    let order = if how & 2 != 0 { ByteOrder::Native } else { ByteOrder::Little };
    let space = Space { input: Cell::new(rest), len: usize::from(*len), legacy, log: RefCell::default() };
    let config = Config::new(&space, order);
    let inside = |width: usize| {
        offset.is_multiple_of(width) && offset.checked_add(width).is_some_and(|end| end <= space.len)
    };
    assert_eq!(config.u8(offset).is_ok(), inside(1));
    assert_eq!(config.u16(offset).is_ok(), inside(2));
    assert_eq!(config.u32(offset).is_ok(), inside(4));

    space.log.borrow_mut().clear();
    match config.u64(offset) {
        Ok(value) => {
            let bytes = settled(&space.log.borrow(), legacy, offset).expect("what was read belongs together");
            // Both orders are the same here, or this is no little-endian machine.
            let expected = if order == ByteOrder::Little {
                u64::from_le_bytes(bytes)
            } else {
                u64::from_ne_bytes(bytes)
            };
            assert_eq!(value, expected);
        }
        Err(Error::Misbehaved(Misbehaved::ConfigUnstable)) => {
            let log = space.log.borrow();
            assert_eq!(settled(&log, legacy, offset), None);
        }
        Err(error) => {
            assert!(matches!(error, Error::Incompatible(_)), "{error}");
            assert!(offset % 4 != 0 || offset.checked_add(8).is_none_or(|end| end > space.len));
        }
    }
    assert!(space.log.borrow().len() <= 64 * 3 + 1, "reads end");

    let mut bytes = vec![0; usize::from(*width)];
    let start = usize::from(*how) & !3;
    let block = Block(start + space.len);
    let fits = matches!(width, 1 | 2 | 4) && inside(usize::from(*width).max(1));
    assert_eq!(read_registers(&block, start, space.len, offset, &mut bytes).is_ok(), fits);
    assert_eq!(write_registers(&block, start, space.len, offset, &bytes).is_ok(), fits);
});
