//! Shared-memory regions (VIRTIO 1.4 §2.10, §4.1.4.7).

use virtio_core::PhysAddr;
use virtio_core::transport::SharedMemory;

use crate::BarInfo;
use crate::bar::{BARS, Bars};
use crate::caps::{Region, Structure, capabilities};

/// Where the memory BARs are, as the CPU sees them: start and length, 0 and 0 for one that cannot be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct BarPlaces([(u64, u64); BARS]);

impl BarPlaces {
    /// Of the memory BARs for which `start` has an answer.
    pub(crate) fn new(bars: &Bars, start: impl Fn(&BarInfo) -> Option<PhysAddr>) -> Self {
        Self(bars.map(|bar| {
            let bar = bar.filter(BarInfo::is_memory);
            bar.and_then(|bar| Some((start(&bar)?.get(), bar.size))).unwrap_or_default()
        }))
    }

    /// Where a region is, if all of it lies in its BAR and it is not empty.
    fn find(&self, region: Region) -> Option<SharedMemory> {
        let &(start, size) = self.0.get(usize::from(region.bar))?;
        let inside = region.len != 0 && region.offset.checked_add(region.len)? <= size;
        let address = start.checked_add(region.offset).filter(|_| inside)?;
        address.checked_add(region.len)?;
        Some(SharedMemory { address: PhysAddr::new(address), len: region.len })
    }

    /// The first usable region with this id.
    pub(crate) fn shared_memory(&self, read: impl Fn(u16) -> u32, id: u8) -> Option<SharedMemory> {
        capabilities(read)
            .filter(|found| found.structure == Structure::SharedMemory && found.id == id)
            .find_map(|found| self.find(found.region?))
    }
}
