//! From capabilities to physical ranges: everything that is checked before anything is mapped.

use virtio_core::PhysAddr;

use crate::bar::{Bars, bars};
use crate::caps::{Capability, Structure, capabilities, find};
use crate::regs::{COMMON_NEEDED, COMMON_WHOLE};
use crate::{ConfigAccess, Function, PciError, Windows};

/// No device's configuration space is longer.
const DEVICE_WHOLE: u64 = 4096;
/// Register windows are aligned to this.
const ALIGN: u64 = 4;

/// A range of registers of the function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    /// Where to map from: aligned down to 4 bytes.
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
}

/// Finds and checks the structures. The BARs are sized, nothing else changes.
pub(crate) fn locate<A: ConfigAccess>(
    access: &A,
    function: &Function,
    windows: Option<&Windows>,
) -> Result<Layout, PciError> {
    let read = |offset: u16| access.read32(function.address, offset);
    if function.is_transitional() && capabilities(read).next().is_none() {
        return Err(PciError::LegacyOnly);
    }
    let bars = bars(access, function)?;
    let places = Places { function, bars: &bars, windows };
    let first = |structure| find(read, structure, |found| places.is_usable(found));
    let required = |structure| first(structure).ok_or(PciError::MissingStructure(structure));

    let common = required(Structure::Common)?;
    let notify = required(Structure::Notify)?;
    let isr = required(Structure::Isr)?;
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
    };
    // With memory decoding on, a BAR without an address would answer at address 0.
    match bars.iter().flatten().find(|bar| bar.is_memory() && !bar.is_assigned()) {
        Some(bar) => Err(PciError::BarUnassigned { function: function.address, bar: bar.index }),
        None => Ok(layout),
    }
}

struct Places<'a> {
    function: &'a Function,
    bars: &'a Bars,
    windows: Option<&'a Windows>,
}

impl Places<'_> {
    /// Only memory BARs can be mapped.
    fn is_usable(&self, found: &Capability) -> bool {
        let bar = found.region.and_then(|region| self.bars.get(usize::from(region.bar)).copied().flatten());
        bar.is_some_and(|bar| bar.is_memory())
    }

    fn aligned(&self, found: &Capability, needed: u64, wanted: u64) -> Result<Range, PciError> {
        let range = self.range(found, needed, wanted)?;
        if range.skip == 0 { Ok(range) } else { Err(PciError::RegionMisaligned(found.structure)) }
    }

    /// The physical range of a structure: at least `needed` bytes, at most `wanted`, inside the BAR, inside the windows.
    fn range(&self, found: &Capability, needed: u64, wanted: u64) -> Result<Range, PciError> {
        let structure = found.structure;
        let missing = PciError::MissingStructure(structure);
        let region = found.region.ok_or(missing)?;
        let bar = self.bars.get(usize::from(region.bar)).copied().flatten().ok_or(missing)?;
        if region.len < needed {
            return Err(PciError::RegionTooShort { structure, len: region.len });
        }
        // A length beyond the BAR is tolerated where the BAR holds what is needed (VIRTIO 1.4 §4.1.4.1).
        let room = bar.size.checked_sub(region.offset).filter(|&room| room >= needed);
        let outside = PciError::RegionOutsideBar { structure, bar: region.bar, offset: region.offset };
        let len = region.len.min(room.ok_or(outside)?).min(wanted);

        let start = match self.windows {
            Some(windows) => windows.locate(self.function.address, &bar)?,
            None if bar.is_assigned() => PhysAddr::new(bar.address),
            None => return Err(PciError::BarUnassigned { function: self.function.address, bar: bar.index }),
        };
        let address = start.checked_add(region.offset).ok_or(outside)?.get();
        address.checked_add(len).ok_or(outside)?;
        let base = address & !ALIGN.wrapping_sub(1);
        let skip = usize::try_from(address.wrapping_sub(base)).map_err(|_| outside)?;
        Ok(Range { base: PhysAddr::new(base), skip, len })
    }
}
