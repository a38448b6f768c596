//! A modern device: a BAR whose registers are recorded, mapped piece by piece.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use virtio_core::regs::{Registers, Reopen};
use virtio_core::{HalError, PhysAddr};

use super::bench::{Access, Bench, Shared};
use super::machine::Machine;
use crate::{FunctionAddress, PciError, PciTransport, Windows};

/// Where `Machine::add_gpu` has its BAR.
pub(super) const BAR: u64 = 0x4000_0000;
pub(super) const ISR: usize = 0x1000;
pub(super) const DEVICE: usize = 0x2000;
pub(super) const NOTIFY: usize = 0x3000;
/// Where `Machine::add_gpu_with_msix` has its table ...
pub(super) const MSIX_BAR: u64 = 0x4100_0000;
/// ... and where that is in the trace: behind BAR 4.
pub(super) const TABLE: usize = BAR_LEN;
const BAR_LEN: usize = 0x4000;
pub(super) const STATUS: usize = 0x14;
pub(super) const ENABLE: usize = 0x1c;
/// Where the vectors are mapped.
pub(super) const CONFIG_VECTOR: usize = 0x10;
pub(super) const QUEUE_VECTOR: usize = 0x1a;

/// What is behind BAR 4. Offsets in the trace are offsets in the BAR.
pub(super) struct Device {
    pub(super) bench: Bench,
    /// `queue_notify_off` of each queue.
    pub(super) notify_offs: Vec<u16>,
    /// What was mapped: offset in the BAR, and length.
    pub(super) maps: Shared<Vec<(usize, usize)>>,
    /// Which vectors the device takes, by register, selected queue and vector; it answers `NO_VECTOR` to the others.
    pub(super) takes: Shared<fn(usize, u16, u16) -> bool>,
    /// What becomes of a value that is written into its MSI-X table, by offset in the entry.
    pub(super) table_keeps: Shared<fn(usize, u32) -> u32>,
    /// Whether the device takes the queues it is given.
    pub(super) takes_queues: Shared<bool>,
    selected: Shared<u16>,
    enabled: Shared<BTreeSet<u16>>,
}

impl Device {
    /// A device with as many queues as there are notification offsets.
    pub(super) fn new(notify_offs: &[u16]) -> Self {
        let bench = Bench::sized(BAR_LEN + 0x8000);
        let queues = u16::try_from(notify_offs.len()).unwrap();
        bench.put(0x12, &queues.to_le_bytes());
        Self {
            bench,
            notify_offs: notify_offs.into(),
            maps: Shared::default(),
            takes: Shared::new(|_, _, _| true),
            table_keeps: Shared::new(|_, value| value),
            takes_queues: Shared::new(true),
            selected: Shared::new(0),
            enabled: Shared::default(),
        }
    }

    /// The device lets go of a queue, as after a reset of it.
    pub(super) fn lets_go(&self, queue: u16) {
        self.enabled.borrow_mut().remove(&queue);
        self.bench.put(ENABLE, &[0, 0]);
    }

    /// What was done to the registers since the last call.
    pub(super) fn take(&self) -> Vec<Access> {
        self.bench.take()
    }

    /// Maps from BAR 4 at `base`.
    pub(super) fn map(&self, base: u64, address: PhysAddr, len: usize) -> Result<View<'_>, HalError> {
        assert_eq!(address.get() % 4, 0);
        let start = usize::try_from(address.get() - base).unwrap();
        if start + len > BAR_LEN {
            return Err(HalError::CannotMap);
        }
        self.maps.borrow_mut().push((start, len));
        Ok(View { device: self, start, len })
    }

    /// Maps from the BAR of the MSI-X table.
    pub(super) fn map_table(&self, address: PhysAddr, len: usize) -> Result<View<'_>, HalError> {
        assert_eq!(address, PhysAddr::new(MSIX_BAR));
        Ok(View { device: self, start: TABLE, len })
    }

    /// All of BAR 4.
    pub(super) fn whole(&self) -> View<'_> {
        View { device: self, start: 0, len: BAR_LEN }
    }

    /// One entry of the MSI-X table.
    pub(super) fn entry(&self, vector: usize) -> [u32; 4] {
        [0, 4, 8, 12].map(|at| self.bench.get(TABLE + 16 * vector + at))
    }

    pub(super) fn open<'a>(
        &'a self,
        machine: &'a Machine,
        function: FunctionAddress,
        windows: Option<&Windows>,
    ) -> Result<PciTransport<View<'a>, &'a Machine>, PciError> {
        PciTransport::with_mapper(machine, function, windows, |address, len| self.map(BAR, address, len))
    }
}

/// A part of the BAR.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    device: &'a Device,
    start: usize,
    len: usize,
}

impl core::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "View({:#x}, {:#x})", self.start, self.len)
    }
}

impl View<'_> {
    /// The same registers, said to reach further.
    pub(super) fn said_to_be(self, len: usize) -> Self {
        Self { len, ..self }
    }

    fn at(&self, offset: usize, width: usize) -> usize {
        assert!(offset % width == 0 && offset + width <= self.len, "{self:?}: {offset:#x}+{width}");
        self.start + offset
    }
}

impl Registers for View<'_> {
    fn len(&self) -> usize {
        self.len
    }
    fn read8(&self, offset: usize) -> u8 {
        let at = self.at(offset, 1);
        let value = self.device.bench.read8(at);
        if at == ISR {
            self.device.bench.put(ISR, &[0]);
        }
        value
    }
    fn read16(&self, offset: usize) -> u16 {
        self.device.bench.read16(self.at(offset, 2))
    }
    fn read32(&self, offset: usize) -> u32 {
        self.device.bench.read32(self.at(offset, 4))
    }
    fn write8(&self, offset: usize, value: u8) {
        let at = self.at(offset, 1);
        self.device.bench.write8(at, value);
        if at == STATUS && value == 0 {
            self.device.enabled.take();
            self.device.bench.put(ENABLE, &[0, 0]);
        }
    }
    fn write16(&self, offset: usize, value: u16) {
        let at = self.at(offset, 2);
        self.device.bench.write16(at, value);
        if at == 0x16 {
            let notify_off = self.device.notify_offs[usize::from(value)];
            self.device.bench.put(0x1e, &notify_off.to_le_bytes());
            self.device.selected.set(value);
            if !self.device.enabled.borrow().is_empty() {
                let enabled = self.device.enabled.borrow().contains(&value);
                self.device.bench.put(ENABLE, &[u8::from(enabled), 0]);
            }
        }
        if at == ENABLE && *self.device.takes_queues.borrow() {
            self.device.enabled.borrow_mut().insert(*self.device.selected.borrow());
            self.device.bench.put(ENABLE, &[1, 0]);
        }
        if at == CONFIG_VECTOR || at == QUEUE_VECTOR {
            let takes = *self.device.takes.borrow();
            let kept = if takes(at, *self.device.selected.borrow(), value) { value } else { u16::MAX };
            self.device.bench.put(at, &kept.to_le_bytes());
        }
    }
    fn write32(&self, offset: usize, value: u32) {
        let at = self.at(offset, 4);
        self.device.bench.write32(at, value);
        if at >= TABLE {
            let keeps = *self.device.table_keeps.borrow();
            self.device.bench.set(at, keeps(at % 16, value));
        }
    }
    fn memory_before_register(&self) {
        self.device.bench.memory_before_register();
    }
    fn register_before_memory(&self) {
        self.device.bench.register_before_memory();
    }
}

impl Reopen for View<'_> {
    fn reopen(&self) -> Result<Self, HalError> {
        Ok(*self)
    }
}
