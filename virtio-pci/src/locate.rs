//! From capabilities to ranges of registers: everything that is checked before anything is mapped.

use virtio_core::PhysAddr;

use crate::bar::{Bars, bars};
use crate::caps::{Capability, Region, Structure, capabilities, find};
use crate::msix::Msix;
use crate::regs::{COMMON_NEEDED, COMMON_WHOLE};
use crate::shared_memory::BarPlaces;
use crate::{BarInfo, ConfigAccess, Function, PciError, Windows};

/// No device's configuration space is longer.
const DEVICE_WHOLE: u64 = 4096;
/// Register windows are aligned to this.
const ALIGN: u64 = 4;

/// What the addresses of registers count from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum View<'a> {
    /// Memory, as the CPU sees it through these windows; without windows, bus addresses are physical ones.
    Memory(Option<&'a Windows>),
    /// The start of each BAR, which needs no address of its own.
    Bar,
}

/// A range of registers of the function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    /// The BAR it lies in.
    pub(crate) bar: u8,
    /// Where it starts, in the [`View`]: aligned down to 4 bytes.
    pub(crate) base: PhysAddr,
    /// Bytes to skip from there to the structure.
    pub(crate) skip: usize,
    /// Bytes of the structure, without what is skipped.
    pub(crate) len: u64,
}

/// Where the structures of a modern device are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    pub(crate) common: Range,
    /// As long as the device says, as far as the BAR reaches: possibly much longer than is needed.
    pub(crate) notify: Range,
    pub(crate) notify_multiplier: u32,
    pub(crate) isr: Range,
    pub(crate) device: Option<Range>,
    /// The MSI-X capability and where its table is. What is wrong with it does not concern who does not use it.
    pub(crate) msix: Result<Option<(Msix, Range)>, PciError>,
    /// Where the memory BARs are, if they can be mapped.
    pub(crate) places: BarPlaces,
    /// Whether every memory BAR has an address, so that the function may decode them.
    pub(crate) decodable: bool,
}

/// Finds and checks the structures. The BARs are sized, nothing else changes.
pub(crate) fn locate<A: ConfigAccess>(
    access: &A,
    function: &Function,
    view: View<'_>,
) -> Result<Layout, PciError> {
    let read = |offset: u16| access.read32(function.address, offset);
    if function.is_transitional() && capabilities(read).next().is_none() {
        return Err(PciError::LegacyOnly);
    }
    if matches!(view, View::Bar) && find(read, Structure::PciConfig, |_| true).is_none() {
        return Err(PciError::MissingStructure(Structure::PciConfig));
    }
    let bars = bars(access, function)?;
    let places = Places { function, bars: &bars, view };
    let first = |structure| find(read, structure, |found| places.is_usable(found));
    let required = |structure| first(structure).ok_or(PciError::MissingStructure(structure));

    let common = required(Structure::Common)?;
    let notify = required(Structure::Notify)?;
    let isr = required(Structure::Isr)?;
    let unassigned = bars.iter().flatten().find(|bar| bar.is_memory() && !bar.is_assigned());
    let layout = Layout {
        common: places.aligned(&common, COMMON_NEEDED, COMMON_WHOLE)?,
        notify: places.range(&notify, 2, u64::MAX)?,
        notify_multiplier: notify.notify_multiplier,
        isr: places.range(&isr, 1, 1)?,
        device: match first(Structure::Device) {
            Some(device) if device.region.is_some_and(|region| region.len != 0) => {
                Some(places.aligned(&device, 1, DEVICE_WHOLE)?)
            }
            _ => None,
        },
        msix: match view {
            View::Memory(_) => {
                let found = Msix::find(access, function.address);
                let table = |msix: Msix| places.msix(msix.regions(access, function.address));
                found.map(|msix| Ok((msix, table(msix)?))).transpose()
            }
            View::Bar => Ok(None),
        },
        places: match view {
            View::Memory(_) => BarPlaces::new(&bars, |bar| places.start(bar).ok()),
            View::Bar => BarPlaces::default(),
        },
        decodable: unassigned.is_none(),
    };
    // With memory decoding on, a BAR without an address would answer at address 0.
    match (view, unassigned) {
        (View::Memory(_), Some(bar)) => {
            Err(PciError::BarUnassigned { function: function.address, bar: bar.index })
        }
        _ => Ok(layout),
    }
}

struct Places<'a> {
    function: &'a Function,
    bars: &'a Bars,
    view: View<'a>,
}

impl Places<'_> {
    /// The memory BAR of a region: only such can be mapped.
    fn bar(&self, region: Region) -> Option<BarInfo> {
        self.bars.get(usize::from(region.bar)).copied().flatten().filter(BarInfo::is_memory)
    }

    fn is_usable(&self, found: &Capability) -> bool {
        found.region.and_then(|region| self.bar(region)).is_some()
    }

    fn aligned(&self, found: &Capability, needed: u64, wanted: u64) -> Result<Range, PciError> {
        let range = self.range(found, needed, wanted)?;
        if range.skip == 0 { Ok(range) } else { Err(PciError::RegionMisaligned(found.structure)) }
    }

    /// The range of a structure: at least `needed` bytes, at most `wanted`, inside the BAR, inside the windows.
    fn range(&self, found: &Capability, needed: u64, wanted: u64) -> Result<Range, PciError> {
        let structure = found.structure;
        let missing = PciError::MissingStructure(structure);
        let region = found.region.ok_or(missing)?;
        let bar = self.bar(region).ok_or(missing)?;
        if region.len < needed {
            return Err(PciError::RegionTooShort { structure, len: region.len });
        }
        // A length beyond the BAR is tolerated where the BAR holds what is needed (VIRTIO 1.4 §4.1.4.1).
        let room = bar.size.checked_sub(region.offset).filter(|&room| room >= needed);
        let outside = PciError::RegionOutsideBar { structure, bar: region.bar, offset: region.offset };
        let len = region.len.min(room.ok_or(outside)?).min(wanted);
        self.part(&bar, region.offset, len)?.ok_or(outside)
    }

    /// The range of the MSI-X table. Table and pending bits must lie in memory BARs, whole, and apart; the table on an
    /// address that 32-bit accesses can be made to.
    fn msix(&self, [table, pending]: [Region; 2]) -> Result<Range, PciError> {
        let whole = |region: Region| {
            let misplaced = PciError::MsixMisplaced { bar: region.bar, offset: region.offset };
            let bar = self.bar(region).ok_or(misplaced)?;
            let inside = region.offset.checked_add(region.len).is_some_and(|end| end <= bar.size);
            let range = if inside { self.part(&bar, region.offset, region.len)? } else { None };
            range.ok_or(misplaced)
        };
        let range = whole(table)?;
        whole(pending)?;
        let apart = table.bar != pending.bar
            || table.offset.saturating_add(table.len) <= pending.offset
            || pending.offset.saturating_add(pending.len) <= table.offset;
        if apart && range.skip == 0 {
            Ok(range)
        } else {
            Err(PciError::MsixMisplaced { bar: table.bar, offset: table.offset })
        }
    }

    /// A part of a BAR, in the view; `None` if it wraps.
    fn part(&self, bar: &BarInfo, offset: u64, len: u64) -> Result<Option<Range>, PciError> {
        let address = self.start(bar)?.checked_add(offset).map(PhysAddr::get);
        let Some(address) = address.filter(|address| address.checked_add(len).is_some()) else {
            return Ok(None);
        };
        let base = address & !ALIGN.wrapping_sub(1);
        let skip = usize::try_from(address.wrapping_sub(base)).ok();
        Ok(skip.map(|skip| Range { bar: bar.index, base: PhysAddr::new(base), skip, len }))
    }

    /// Where a BAR starts, in the view.
    fn start(&self, bar: &BarInfo) -> Result<PhysAddr, PciError> {
        match self.view {
            View::Bar => Ok(PhysAddr::new(0)),
            View::Memory(Some(windows)) => windows.locate(self.function.address, bar),
            View::Memory(None) if bar.is_assigned() => Ok(PhysAddr::new(bar.address)),
            View::Memory(None) => {
                Err(PciError::BarUnassigned { function: self.function.address, bar: bar.index })
            }
        }
    }
}
