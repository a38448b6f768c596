//! Slots that a flattened device tree describes: its nodes `virtio,mmio` (Linux's binding, VIRTIO 1.4 §4.2.1).

use core::fmt;

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::standard::{AddressSpaceProperties, NodeStandard, Status};
use dtoolkit::{Node, Property};

use super::slot;
use crate::Slot;

/// The binding's name.
const COMPATIBLE: &str = "virtio,mmio";
/// How deep in the tree slots are looked for: root, buses in buses, the slot.
const DEPTH: usize = 8;
/// No interrupt controller's specifier is longer; the longest that is common, of a GIC, has 4 cells.
const CELLS: usize = 4;
/// No address or length of the CPU's is wider; PCI's addresses have 3 cells.
const WIDEST: u32 = 4;

/// The slots that a device tree describes, in its order.
///
/// Nodes whose `status` is not "okay" are passed over with all that is below them, and so is what lies deeper than seven
/// nodes below the root. Nothing is written and nothing is probed: most slots of a machine are empty.
///
/// ```
/// use dtoolkit::fdt::Fdt;
/// use virtio_core::regs::Mapped;
/// use virtio_core::{DeviceId, Hal};
/// use virtio_mmio::{MmioTransport, ProbeError, device_tree, find};
///
/// fn gpu<H: Hal + Clone>(hal: H, fdt: Fdt<'_>) -> Result<Option<MmioTransport<Mapped<H>>>, ProbeError> {
///     let slots = device_tree(fdt).filter_map(Result::ok).map(|found| found.slot);
///     find(hal, slots, DeviceId::GPU)
/// }
/// ```
#[must_use]
pub fn device_tree(fdt: Fdt<'_>) -> DeviceTree<'_> {
    let mut walk = DeviceTree { levels: [const { None }; DEPTH], depth: 0 };
    walk.put(Level::new(fdt.root(), None));
    walk
}

/// A slot that a device tree describes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TreeSlot {
    /// Where its registers are, as the CPU sees them: the `ranges` of the buses above were followed.
    pub slot: Slot,
    /// Its interrupt; `None` if the node names none.
    pub interrupt: Option<Specifier>,
}

/// An interrupt, as its controller's binding spells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Specifier {
    /// The `phandle` of the controller; `None` if the tree does not say.
    pub controller: Option<u32>,
    cells: [u32; CELLS],
    count: usize,
}

impl Specifier {
    /// The cells, of which the controller's binding says what they mean. A PLIC has one, the number; a GIC three: kind, number
    /// (from 32 on, for kind 0), flags.
    #[must_use]
    pub fn cells(&self) -> &[u32] {
        self.cells.get(..self.count).unwrap_or_default()
    }

    /// From cells in big-endian order.
    fn new(controller: Option<u32>, bytes: &[u8]) -> Option<Self> {
        let mut cells = [0; CELLS];
        let mut count: usize = 0;
        for word in bytes.chunks(size_of::<u32>()) {
            *cells.get_mut(count)? = u32::from_be_bytes(word.try_into().ok()?);
            count = count.saturating_add(1);
        }
        (count != 0).then_some(Self { controller, cells, count })
    }
}

/// A node that cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TreeError<'t> {
    /// Its name, with the unit address.
    pub node: &'t str,
    /// What is wrong with it.
    pub fault: TreeFault,
}

/// What is wrong with a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TreeFault {
    /// It has no `reg`.
    NoRegisters,
    /// Its `reg` is no possible range: no address and length, without a byte, not aligned to 4 bytes, wrapping, longer than
    /// the CPU can address.
    Registers,
    /// The `ranges` of a bus above do not lead from it to the CPU.
    Unreachable,
    /// Its interrupt is not of 1 to 4 cells.
    Interrupt,
}

impl fmt::Display for TreeError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device tree node {}: {}", self.node, self.fault)
    }
}

impl fmt::Display for TreeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRegisters => "no registers",
            Self::Registers => "no possible range of registers",
            Self::Unreachable => "a bus above does not lead to the CPU",
            Self::Interrupt => "the interrupt is not of 1 to 4 cells",
        })
    }
}

impl core::error::Error for TreeError<'_> {}

/// Iterator of [`device_tree`].
#[derive(Clone, Debug)]
pub struct DeviceTree<'t> {
    /// The nodes on the way, from the root on; `None` behind `depth`.
    levels: [Option<Level<'t>>; DEPTH],
    depth: usize,
}

#[derive(Clone, Debug)]
struct Level<'t> {
    node: FdtNode<'t>,
    /// What of it was not looked at.
    children: <FdtNode<'t> as Node>::Children<'t>,
    /// Whom interrupts go to, unless a node says otherwise.
    controller: Option<u32>,
}

impl<'t> Level<'t> {
    fn new(node: FdtNode<'t>, inherited: Option<u32>) -> Self {
        Self { node, children: node.children(), controller: controller(node).or(inherited) }
    }
}

impl<'t> DeviceTree<'t> {
    fn put(&mut self, level: Level<'t>) {
        if let Some(place) = self.levels.get_mut(self.depth) {
            *place = Some(level);
        }
    }

    fn go_below(&mut self, level: Level<'t>) {
        let below = self.depth.saturating_add(1);
        if below < DEPTH {
            self.depth = below;
            self.put(level);
        }
    }

    fn read(&self, node: FdtNode<'t>, inherited: Option<u32>) -> Result<TreeSlot, TreeFault> {
        if !self.levels.iter().flatten().all(|level| is_sensible(level.node)) {
            return Err(TreeFault::Registers);
        }
        let first = node.reg().map_err(|_| TreeFault::Registers)?.and_then(|mut all| all.next());
        let reg = first.ok_or(TreeFault::NoRegisters)?;
        let (Ok(base), Ok(len)) = (reg.address::<u64>(), reg.size::<u64>()) else {
            return Err(TreeFault::Registers);
        };
        slot(base, len).ok_or(TreeFault::Registers)?;
        let base = self.seen_by_the_cpu(base, len).ok_or(TreeFault::Unreachable)?;
        let slot = slot(base, len).ok_or(TreeFault::Registers)?;
        Ok(TreeSlot { slot, interrupt: interrupt(node, inherited)? })
    }

    /// Follows the buses up to the root, whose addresses are the CPU's.
    fn seen_by_the_cpu(&self, base: u64, len: u64) -> Option<u64> {
        let buses = self.levels.get(1..)?;
        buses.iter().rev().flatten().try_fold(base, |base, bus| translate(bus.node, base, len))
    }
}

impl<'t> Iterator for DeviceTree<'t> {
    type Item = Result<TreeSlot, TreeError<'t>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let place = self.levels.get_mut(self.depth)?;
            let level = place.as_mut()?;
            let inherited = level.controller;
            let Some(node) = level.children.next() else {
                *place = None;
                self.depth = self.depth.checked_sub(1)?;
                continue;
            };
            // A status that cannot be read counts as "okay", like one that is absent.
            if !matches!(node.status(), Ok(Status::Okay) | Err(_)) {
                continue;
            }
            if node.is_compatible(COMPATIBLE) {
                let found = self.read(node, inherited);
                return Some(found.map_err(|fault| TreeError { node: node.name(), fault }));
            }
            self.go_below(Level::new(node, inherited));
        }
    }
}

impl core::iter::FusedIterator for DeviceTree<'_> {}

/// Where a bus puts a range: an empty `ranges` puts it where it is, none at all nowhere.
fn translate(bus: FdtNode<'_>, base: u64, len: u64) -> Option<u64> {
    let mut ranges = bus.ranges().ok()??.peekable();
    if ranges.peek().is_none() {
        return Some(base);
    }
    ranges.find_map(|range| {
        let (child, parent) =
            (range.child_bus_address::<u64>().ok()?, range.parent_bus_address::<u64>().ok()?);
        let offset = base.checked_sub(child)?;
        let inside = offset.checked_add(len)? <= range.length::<u64>().ok()?;
        if inside { parent.checked_add(offset) } else { None }
    })
}

/// Whether addresses and lengths below a node have a width that can be. On CPUs of 32 bits the sum of absurd ones wraps.
fn is_sensible(bus: FdtNode<'_>) -> bool {
    let AddressSpaceProperties { address_cells, size_cells } = bus.address_space();
    address_cells <= WIDEST && size_cells <= WIDEST
}

fn controller(node: FdtNode<'_>) -> Option<u32> {
    node.property("interrupt-parent")?.value_as::<u32>().ok()
}

/// The node's one interrupt. `interrupts-extended` has precedence, and names the controller itself.
fn interrupt(node: FdtNode<'_>, inherited: Option<u32>) -> Result<Option<Specifier>, TreeFault> {
    if let Some(property) = node.property("interrupts-extended") {
        let split = property.value().split_first_chunk();
        let found =
            split.and_then(|(phandle, cells)| Specifier::new(Some(u32::from_be_bytes(*phandle)), cells));
        return found.map(Some).ok_or(TreeFault::Interrupt);
    }
    let Some(property) = node.property("interrupts") else { return Ok(None) };
    let found = Specifier::new(controller(node).or(inherited), property.value());
    found.map(Some).ok_or(TreeFault::Interrupt)
}
