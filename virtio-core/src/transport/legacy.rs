//! Rings as a legacy interface is told of them: by one page number (VIRTIO 1.4 §2.7.2, §4.1.5.1.3.1, §4.2.4).

use super::Rings;
use crate::{DeviceAddr, Error, HalError, Incompatible, Misuse, QueueIndex};

/// What page numbers count, and where the used ring starts, whatever pages the kernel has: the only value that legacy PCI
/// knows, and the one that every device has been tried with.
pub const LEGACY_PAGE: usize = 4096;
const SHIFT: u32 = LEGACY_PAGE.trailing_zeros();
const _: () = assert!(LEGACY_PAGE == 1 << SHIFT);

impl Rings {
    /// The page number that stands for these rings: the descriptors' address in units of [`LEGACY_PAGE`].
    ///
    /// # Errors
    /// [`Misuse::BadQueueDeclaration`] if the rings do not lie where the device computes them to be, [`Incompatible::RingTooHigh`] if
    /// the number does not fit 32 bits; [`HalError::BrokenContract`] for memory that is not aligned to a page, or at 0,
    /// which means "no queue".
    pub fn legacy_page_number(&self, queue: QueueIndex) -> Result<u32, Error> {
        if !self.descriptor.is_aligned_to(LEGACY_PAGE) || self.descriptor.get() == 0 {
            return Err(HalError::BrokenContract.into());
        }
        if self.legacy_layout() != Some((self.driver, self.device)) {
            return Err(Misuse::BadQueueDeclaration.into());
        }
        u32::try_from(self.descriptor.get().wrapping_shr(SHIFT))
            .map_err(|_| Incompatible::RingTooHigh(queue).into())
    }

    /// Where a legacy device looks for the available and the used ring.
    fn legacy_layout(&self) -> Option<(DeviceAddr, DeviceAddr)> {
        let size = usize::from(self.size);
        let driver = self.descriptor.checked_add(size.checked_mul(16)?)?;
        // flags, idx, the ring and used_event, 2 bytes each; then up to the next page.
        let end = size.checked_mul(18)?.checked_add(6)?;
        let device = self.descriptor.checked_add(end.checked_next_multiple_of(LEGACY_PAGE)?)?;
        Some((driver, device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rings(descriptor: u64, size: u16, driver: u64, device: u64) -> Rings {
        let at = |offset| DeviceAddr::new(descriptor.wrapping_add(offset));
        Rings {
            size,
            descriptor: at(0),
            driver: at(driver),
            device: at(device),
            notification_data: false,
            notif_config_data: false,
        }
    }

    #[test]
    fn the_address_counts_pages() {
        let number = |rings: Rings| rings.legacy_page_number(QueueIndex::new(3));
        assert_eq!(number(rings(0x1000, 8, 0x80, 0x1000)), Ok(1));
        assert_eq!(number(rings(0xffff_ffff_f000 & !(0xf << 44), 8, 0x80, 0x1000)), Ok(u32::MAX));
        // 227 entries and what belongs to them just fit one page, 228 do not.
        assert_eq!(number(rings(0x1000, 227, 227 * 16, 0x1000)), Ok(1));
        assert_eq!(number(rings(0x1000, 228, 228 * 16, 0x2000)), Ok(1));
        assert_eq!(number(rings(0x1000, 1 << 15, 16 << 15, 0x9_1000)), Ok(1));
    }

    #[test]
    fn what_the_device_would_not_find_is_refused() {
        let number = |rings: Rings| rings.legacy_page_number(QueueIndex::new(3));
        let high = Err(Incompatible::RingTooHigh(QueueIndex::new(3)).into());
        assert_eq!(number(rings(1 << 44, 8, 0x80, 0x1000)), high);
        for descriptor in [0, 0x800, 0x1010] {
            assert_eq!(number(rings(descriptor, 8, 0x80, 0x1000)), Err(HalError::BrokenContract.into()));
        }
        for (driver, device) in [(0x90, 0x1000), (0x80, 0x2000), (0x80, 0x100), (0, 0)] {
            let answer = number(rings(0x1000, 8, driver, device));
            assert_eq!(answer, Err(Misuse::BadQueueDeclaration.into()), "{driver:#x} {device:#x}");
        }
        assert_eq!(number(rings(!0xfff, 256, 0x1000, 0x2000)), Err(Misuse::BadQueueDeclaration.into()));
    }
}
