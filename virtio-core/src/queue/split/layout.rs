//! Where the parts of a split virtqueue lie (VIRTIO 1.4 §2.7, legacy §2.7.2). Pure arithmetic.

use crate::QueueSize;
use crate::abi::split::{Descriptor, LEGACY_ALIGN, USED_ALIGN, UsedElem};

/// The available ring keeps off the descriptors' cache lines, and off their offset in a page: a load that follows a store
/// 4096 bytes apart waits for it on many processors.
const AVAIL_GAP: usize = 192;
/// The used ring likewise, in the pages of its own that it has on a modern device.
const USED_OFFSET: usize = 1088;

/// Byte offsets and lengths of a split virtqueue's parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SplitLayout {
    /// The available ring, from the start of the descriptor table: right behind it on a legacy device.
    pub(crate) avail: usize,
    /// Length of descriptor table and available ring together.
    pub(crate) driver_len: usize,
    /// The used ring, from the start of its region: which is the only one on a legacy device.
    pub(crate) used: usize,
    /// End of the used ring, from the start of its region.
    pub(crate) device_len: usize,
}

impl SplitLayout {
    /// The layout for `size` entries. Sizes end at 32768, so nothing overflows 32 bits.
    pub(crate) fn new(size: QueueSize, legacy: bool) -> Self {
        let n = size.as_usize();
        let table = n.saturating_mul(size_of::<Descriptor>());
        let avail = if legacy { table } else { table.saturating_add(AVAIL_GAP) };
        // flags, idx, ring[n], used_event
        let driver_len = avail.saturating_add(6).saturating_add(n.saturating_mul(2));
        let used = if legacy { driver_len.next_multiple_of(LEGACY_ALIGN) } else { USED_OFFSET };
        // flags, idx, ring[n], avail_event
        let used_len = n.saturating_mul(size_of::<UsedElem>()).saturating_add(6);
        Self { avail, driver_len, used, device_len: used.saturating_add(used_len) }
    }
}

const _: () = {
    assert!(LEGACY_ALIGN % USED_ALIGN == 0);
    assert!(USED_OFFSET % USED_ALIGN == 0 && USED_OFFSET % 64 == 0 && AVAIL_GAP % 64 == 0);
    // The largest queue takes 850 KiB.
    assert!(usize::BITS >= 32);
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::split::{AVAIL_ALIGN, DESC_ALIGN};

    // shows: split.1, split.legacy-virtqueue-layout.2, split.legacy-virtqueue-layout.3
    #[test]
    fn sizes_and_alignments_are_the_specifications() {
        for log in 0..16 {
            let size = QueueSize::new(1 << log).unwrap();
            let n = size.as_usize();
            let legacy = SplitLayout::new(size, true);
            assert_eq!(legacy.avail, 16 * n);
            assert_eq!(legacy.driver_len, 16 * n + 6 + 2 * n);
            assert_eq!(legacy.device_len - legacy.used, 6 + 8 * n);
            assert_eq!(legacy.used % 4096, 0);
            assert!(legacy.used >= legacy.driver_len && legacy.used - legacy.driver_len < 4096);
            // QEMU leaves `used_event` out of the sum; with an alignment of 4096 both agree for every size.
            assert_eq!(legacy.used, (legacy.driver_len - 2).next_multiple_of(4096));
            let modern = SplitLayout::new(size, false);
            for layout in [legacy, modern] {
                assert!(layout.avail >= 16 * n && layout.driver_len >= layout.avail + 6 + 2 * n);
                assert_eq!(layout.avail % AVAIL_ALIGN, 0);
                assert_eq!(layout.used % USED_ALIGN, 0);
                assert_eq!(layout.avail % DESC_ALIGN, 0);
            }
            assert_ne!(modern.avail % 4096, 0, "the same offset in a page as the descriptors");
            assert_ne!(modern.used % 4096, 0, "the same offset in a page as the descriptors");
        }
    }
}
