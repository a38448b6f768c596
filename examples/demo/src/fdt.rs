//! Reads a flattened device tree: where RAM is, where virtio devices may be, and how they interrupt.

mod interrupts;

use crate::Options;
use crate::machine::{Intx, Machine, MmioSlot, PciConfig, PciHost};
use core::fmt;
use core::ops::{Range, RangeInclusive};
use dtoolkit::fdt::FdtNode;
use dtoolkit::standard::{NodeStandard, Status};
use dtoolkit::{Node, Property, ToCellInt};
use virtio::PhysAddr;
use virtio::pci::{Window, Windows};

pub use dtoolkit::fdt::Fdt;
pub use interrupts::Controller;
use interrupts::Numbering;

/// The most virtio-mmio slots a [`Board`] remembers; QEMU's `virt` machines have 32 and 8.
pub const MAX_SLOTS: usize = 64;

/// The most ranges that [`Board::free_ram`] keeps clear of.
pub const MAX_RESERVED: usize = 16;

/// How deep in the tree devices are looked for: below buses, not below devices.
const DEPTH: usize = 4;

const NO_SLOT: MmioSlot = MmioSlot { base: PhysAddr::new(0), len: 0, interrupt: None };

/// What a device tree says of the machine, as far as the demo needs it.
#[derive(Clone, Debug)]
pub struct Board {
    /// The largest range of RAM: physical addresses.
    pub ram: Range<u64>,
    /// Ticks of the CPUs' time counter in a second, where the device tree says it (riscv64 does).
    pub timebase: Option<u32>,
    /// What the command line (`bootargs`) asks for.
    pub options: Options,
    /// The number of the serial line's interrupt.
    pub serial_interrupt: Option<u32>,
    numbering: Option<Numbering>,
    slots: [MmioSlot; MAX_SLOTS],
    slot_count: usize,
    pci: Option<PciHost>,
    reserved: [Range<u64>; MAX_RESERVED],
    reserved_count: usize,
}

/// Why a device tree cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BoardError {
    /// No memory node has a range.
    NoMemory,
    /// More than [`MAX_SLOTS`] virtio-mmio slots.
    TooManySlots,
    /// More than [`MAX_RESERVED`] reserved ranges.
    TooManyReserved,
}

impl fmt::Display for BoardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoMemory => "the device tree names no memory",
            Self::TooManySlots => "the device tree has more virtio-mmio slots than fit",
            Self::TooManyReserved => "the device tree reserves more ranges than fit",
        })
    }
}

impl core::error::Error for BoardError {}

impl Board {
    /// Reads a device tree that [`Fdt::new`] or `Fdt::from_raw` has accepted. Nodes that make no sense are
    /// passed over.
    ///
    /// # Errors
    ///
    /// No memory, or more of something than there is room for.
    pub fn read(fdt: Fdt<'_>) -> Result<Self, BoardError> {
        let mut board = Self {
            ram: 0..0,
            timebase: None,
            options: Options::default(),
            serial_interrupt: None,
            numbering: None,
            slots: [NO_SLOT; MAX_SLOTS],
            slot_count: 0,
            pci: None,
            reserved: [const { 0..0 }; MAX_RESERVED],
            reserved_count: 0,
        };
        for entry in fdt.memory_reservations() {
            board.reserve(entry.address()..entry.address().saturating_add(entry.size()))?;
        }
        for node in fdt.root().children() {
            match node.name_without_address() {
                "memory" => board.memory(node),
                "chosen" => {
                    let line = node.property("bootargs");
                    let line = line.as_ref().and_then(|line| line.value_as::<&str>().ok());
                    board.options = Options::parse(line.unwrap_or_default());
                }
                "cpus" => {
                    board.timebase = node
                        .property("timebase-frequency")
                        .and_then(|property| property.value_as::<u32>().ok())
                        .filter(|&hertz| hertz > 0);
                }
                "reserved-memory" => {
                    for range in node.children().flat_map(registers) {
                        board.reserve(range)?;
                    }
                }
                _ => {}
            }
        }
        if board.ram.is_empty() {
            return Err(BoardError::NoMemory);
        }
        // First of all: others' numbers are read as it has them.
        board.numbering = controller(fdt.root(), DEPTH);
        board.devices(fdt.root(), DEPTH)?;
        Ok(board)
    }

    /// The interrupt controller, if it is one that is known.
    pub fn controller(&self) -> Option<Controller> {
        self.numbering.map(|numbering| numbering.controller)
    }

    /// Where to look for devices.
    pub fn machine(&self) -> Machine<'_> {
        Machine { mmio: self.slots.get(..self.slot_count).unwrap_or_default(), pci: self.pci.clone() }
    }

    /// The largest part of RAM that neither the device tree reserves nor `taken` names: the kernel's own
    /// image and the device tree itself belong there. Empty if nothing is left.
    pub fn free_ram(&self, taken: &[Range<u64>]) -> Range<u64> {
        let reserved = self.reserved.get(..self.reserved_count).unwrap_or_default();
        let blocks = || reserved.iter().chain(taken).filter(|range| !range.is_empty());
        // A gap begins with RAM or behind a block, and ends at the next block.
        let starts = blocks().map(|block| block.end).chain([self.ram.start]);
        let gaps = starts.filter(|start| self.ram.contains(start)).map(|start| {
            let inside = blocks().any(|block| block.contains(&start));
            let next = blocks().map(|block| block.start).filter(|&block| block >= start).min();
            let end = if inside { start } else { next.unwrap_or(u64::MAX).min(self.ram.end) };
            start..end
        });
        gaps.max_by_key(|gap| gap.end - gap.start).unwrap_or(0..0)
    }

    fn memory(&mut self, node: FdtNode<'_>) {
        let size = |range: &Range<u64>| range.end - range.start;
        if let Some(largest) = registers(node).max_by_key(size).filter(|range| size(range) > size(&self.ram))
        {
            self.ram = largest;
        }
    }

    fn reserve(&mut self, range: Range<u64>) -> Result<(), BoardError> {
        let place = self.reserved.get_mut(self.reserved_count).ok_or(BoardError::TooManyReserved)?;
        *place = range;
        self.reserved_count += 1;
        Ok(())
    }

    fn devices(&mut self, parent: FdtNode<'_>, depth: usize) -> Result<(), BoardError> {
        let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
        for node in parent.children() {
            // A status that cannot be read counts as "okay", like one that is absent.
            if matches!(node.status(), Ok(Status::Disabled | Status::Fail)) {
                continue;
            }
            let interrupt = self.numbering.and_then(|numbering| numbering.interrupt(node));
            if node.is_compatible("virtio,mmio") {
                for range in registers(node) {
                    let place = self.slots.get_mut(self.slot_count).ok_or(BoardError::TooManySlots)?;
                    let Ok(len) = usize::try_from(range.end - range.start) else { continue };
                    *place = MmioSlot { base: PhysAddr::new(range.start), len, interrupt };
                    self.slot_count += 1;
                }
            } else if node.is_compatible("pci-host-ecam-generic") {
                let intx = self.numbering.and_then(|numbering| numbering.intx(node));
                self.pci = self.pci.take().or_else(|| pci_host(node, intx));
            } else if node.is_compatible("arm,pl011") || node.is_compatible("ns16550a") {
                // The first is the console of QEMU's machines.
                self.serial_interrupt = self.serial_interrupt.or(interrupt);
            } else {
                self.devices(node, depth)?;
            }
        }
        Ok(())
    }
}

/// The first interrupt controller of a known kind.
fn controller(parent: FdtNode<'_>, depth: usize) -> Option<Numbering> {
    let depth = depth.checked_sub(1)?;
    parent.children().find_map(|node| Numbering::read(node).or_else(|| controller(node, depth)))
}

/// The ranges of a node's `reg`; those that are empty or wrap around are left out.
fn registers(node: FdtNode<'_>) -> impl Iterator<Item = Range<u64>> {
    node.reg().ok().flatten().into_iter().flatten().filter_map(|reg| {
        let (start, size): (u64, u64) = (reg.address().ok()?, reg.size().ok()?);
        let end = start.checked_add(size)?;
        (size > 0).then_some(start..end)
    })
}

fn pci_host(node: FdtNode<'_>, intx: Option<Intx>) -> Option<PciHost> {
    let ecam = registers(node).next()?;
    let mut host = PciHost {
        config: PciConfig::Ecam { base: PhysAddr::new(ecam.start), len: ecam.end - ecam.start },
        buses: buses(node).unwrap_or(0..=u8::MAX),
        windows: Windows::default(),
        intx,
    };
    let windows = &mut host.windows;
    for range in node.ranges().ok().flatten().into_iter().flatten() {
        // A PCI address is three cells: the kind of space, then 64 bits.
        let [kind, high, low] = range.child_bus_address.as_ref() else { continue };
        let start = u64::from(high.get()) << 32 | u64::from(low.get());
        let (Ok(cpu), Ok(len)) = (range.parent_bus_address.to_int::<u64>(), range.length.to_int::<u64>())
        else {
            continue;
        };
        if len == 0 || start.checked_add(len).is_none() {
            continue;
        }
        let place = match kind.get() >> 24 & 3 {
            1 => &mut windows.io,
            2 => &mut windows.mem32,
            3 => &mut windows.mem64,
            _ => continue,
        };
        place.get_or_insert(Window { bus: start, cpu: PhysAddr::new(cpu), len });
    }
    Some(host)
}

fn buses(node: FdtNode<'_>) -> Option<RangeInclusive<u8>> {
    let [first, last] = node.property("bus-range")?.value_as::<[u32; 2]>().ok()?;
    Some(u8::try_from(first).ok()?..=u8::try_from(last).ok()?)
}

#[cfg(test)]
mod tests;
