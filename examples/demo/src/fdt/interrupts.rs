//! The interrupt controller of a device tree, and the numbers that it gives to the devices' interrupts.
//!
//! Numbers are those the controller's own registers use: interrupt ids of a GIC, sources of a PLIC.

use crate::machine::Intx;
use dtoolkit::fdt::FdtNode;
use dtoolkit::standard::NodeStandard;
use dtoolkit::{Node, Property};

/// Where an interrupt controller's registers are: physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// Arm's, version 2.
    GicV2 {
        /// The distributor.
        distributor: u64,
        /// The CPU's interface.
        cpu: u64,
        /// The frame that turns messages into interrupts (GICv2m), if there is one.
        messages: Option<u64>,
    },
    /// Arm's, version 3. Messages would need its translation service, which nobody here drives.
    GicV3 {
        /// The distributor.
        distributor: u64,
        /// The first CPU's redistributor.
        redistributor: u64,
    },
    /// RISC-V's, of the platform level.
    Plic {
        /// Its registers.
        base: u64,
        /// The number of the first hart's context in supervisor mode.
        context: u32,
    },
}

/// Supervisor external interrupt: what a PLIC's context for supervisor mode is wired to.
const SUPERVISOR_EXTERNAL: u32 = 9;
/// The kinds of a GIC's interrupts, and the id of the first of each.
const SHARED: (u32, u32) = (0, 32);
const PRIVATE: (u32, u32) = (1, 16);

/// The controller, and what it takes to read numbers that are meant for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbering {
    pub(super) controller: Controller,
    handle: Option<u32>,
    address_cells: usize,
}

impl Numbering {
    /// Reads the node, if it is an interrupt controller of a known kind.
    pub(super) fn read(node: FdtNode<'_>) -> Option<Self> {
        let is = |name| node.is_compatible(name);
        let mut parts = super::registers(node).map(|range| range.start);
        let controller = if is("arm,cortex-a15-gic") || is("arm,gic-400") {
            let frame = node.children().find(|child| child.is_compatible("arm,gic-v2m-frame"));
            let messages = frame.and_then(|frame| Some(super::registers(frame).next()?.start));
            Controller::GicV2 { distributor: parts.next()?, cpu: parts.next()?, messages }
        } else if is("arm,gic-v3") {
            Controller::GicV3 { distributor: parts.next()?, redistributor: parts.next()? }
        } else if is("riscv,plic0") || is("sifive,plic-1.0.0") {
            // Pairs: a hart's own controller, and the input there that a context is wired to.
            let inputs = node.property("interrupts-extended")?;
            let mut contexts = words(inputs.value()).skip(1).step_by(2).zip(0..);
            let (_, context) = contexts.find(|&(input, _)| input == SUPERVISOR_EXTERNAL)?;
            Controller::Plic { base: parts.next()?, context }
        } else {
            return None;
        };
        let address_cells = word(node, "#address-cells").unwrap_or(0).try_into().ok()?;
        Some(Self { controller, handle: node.phandle().ok().flatten(), address_cells })
    }

    /// The node's first interrupt.
    pub(super) fn interrupt(&self, node: FdtNode<'_>) -> Option<u32> {
        let parent = word(node, "interrupt-parent");
        if parent.is_some() && parent != self.handle {
            return None;
        }
        self.number(words(node.property("interrupts")?.value()))
    }

    /// The lines of a PCI host bridge's devices.
    pub(super) fn intx(&self, bridge: FdtNode<'_>) -> Option<Intx> {
        let (mask, map) = (bridge.property("interrupt-map-mask")?, bridge.property("interrupt-map")?);
        let mut mask = words(mask.value());
        let mask = Unit { address: mask.next()?, pin: mask.nth(2)? };
        // Where devices are told apart by more than this, one table of lines does not do.
        if mask.address & !DEVICE != 0 {
            return None;
        }
        let mut lines = [[0; 4]; 4];
        for (device, pins) in (0..).zip(&mut lines) {
            for (pin, line) in (1..).zip(pins) {
                *line = self.mapped(words(map.value()), mask, Unit { address: device << 11, pin })?;
            }
        }
        Some(Intx(lines))
    }

    /// The number of one pin in an interrupt map: entries of the pin's place, a controller, an address there, an interrupt.
    fn mapped(&self, mut map: impl Iterator<Item = u32>, mask: Unit, unit: Unit) -> Option<u32> {
        loop {
            let place = Unit { address: map.next()?, pin: map.nth(2)? };
            let ours = Some(map.next()?) == self.handle;
            for _ in 0..self.address_cells {
                map.next()?;
            }
            let number = self.number(map.by_ref().take(self.cells()));
            if ours && place.masked(mask) == unit.masked(mask) {
                return number;
            }
        }
    }

    /// Cells of one interrupt.
    fn cells(&self) -> usize {
        match self.controller {
            Controller::GicV2 { .. } | Controller::GicV3 { .. } => 3,
            Controller::Plic { .. } => 1,
        }
    }

    /// The number that the cells of one interrupt stand for.
    fn number(&self, mut cells: impl Iterator<Item = u32>) -> Option<u32> {
        match self.controller {
            Controller::Plic { .. } => cells.next().filter(|&source| source != 0),
            Controller::GicV2 { .. } | Controller::GicV3 { .. } => {
                let (kind, number, _flags) = (cells.next()?, cells.next()?, cells.next()?);
                let (_, first) = [SHARED, PRIVATE].into_iter().find(|&(known, _)| known == kind)?;
                number.checked_add(first)
            }
        }
    }
}

/// The bits of a function's address that hold its device number modulo 4, in the first of three cells.
const DEVICE: u32 = 0b11 << 11;

/// A pin of a PCI function, or which bits of one count.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Unit {
    address: u32,
    pin: u32,
}

impl Unit {
    fn masked(self, mask: Self) -> Self {
        Self { address: self.address & mask.address, pin: self.pin & mask.pin }
    }
}

/// A property's cells of 32 bits.
fn words(value: &[u8]) -> impl Iterator<Item = u32> + '_ {
    value.chunks_exact(4).filter_map(|cell| Some(u32::from_be_bytes(cell.try_into().ok()?)))
}

/// A property of one cell.
fn word(node: FdtNode<'_>, name: &str) -> Option<u32> {
    words(node.property(name)?.value()).next()
}
