//! Where the parts of a split virtqueue lie (VIRTIO 1.4 §2.7, legacy §2.7.2). Pure arithmetic.

use crate::QueueSize;
use crate::abi::split::{Descriptor, LEGACY_ALIGN, USED_ALIGN, UsedElem};

/// Byte offsets and lengths of a split virtqueue's parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SplitLayout {
    /// The available ring, from the start of the descriptor table: right behind it.
    pub(crate) avail: usize,
    /// `used_event`, from the start of the descriptor table.
    pub(crate) used_event: usize,
    /// Length of descriptor table and available ring together.
    pub(crate) driver_len: usize,
    /// The used ring, from the start of the descriptor table, where the legacy layout puts it.
    pub(crate) legacy_used: usize,
    /// `avail_event`, from the start of the used ring.
    pub(crate) avail_event: usize,
    /// Length of the used ring.
    pub(crate) used_len: usize,
}

impl SplitLayout {
    /// The layout for `size` entries. Sizes end at 32768, so nothing overflows 32 bits.
    pub(crate) fn new(size: QueueSize) -> Self {
        let n = size.as_usize();
        let avail = n.saturating_mul(size_of::<Descriptor>());
        // flags, idx, ring[n], used_event
        let used_event = avail.saturating_add(4).saturating_add(n.saturating_mul(2));
        let driver_len = used_event.saturating_add(2);
        // flags, idx, ring[n], avail_event
        let avail_event = n.saturating_mul(size_of::<UsedElem>()).saturating_add(4);
        Self {
            avail,
            used_event,
            driver_len,
            legacy_used: driver_len.next_multiple_of(LEGACY_ALIGN),
            avail_event,
            used_len: avail_event.saturating_add(2),
        }
    }
}

const _: () = assert!(LEGACY_ALIGN % USED_ALIGN == 0);
// The largest queue takes 850 KiB.
const _: () = assert!(usize::BITS >= 32);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::split::{AVAIL_ALIGN, DESC_ALIGN};

    #[test]
    fn sizes_and_alignments_are_the_specifications() {
        for log in 0..16 {
            let size = QueueSize::new(1 << log).unwrap();
            let n = size.as_usize();
            let layout = SplitLayout::new(size);
            assert_eq!(layout.avail, 16 * n);
            assert_eq!(layout.driver_len, 16 * n + 6 + 2 * n);
            assert_eq!(layout.used_len, 6 + 8 * n);
            assert_eq!(layout.used_event, 16 * n + 4 + 2 * n);
            assert_eq!(layout.avail_event, 4 + 8 * n);
            assert_eq!(layout.legacy_used % 4096, 0);
            assert!(layout.legacy_used >= layout.driver_len && layout.legacy_used - layout.driver_len < 4096);
            assert_eq!(layout.avail % AVAIL_ALIGN, 0);
            assert_eq!(layout.avail % DESC_ALIGN, 0);
            // QEMU leaves `used_event` out of the sum; with an alignment of 4096 both agree for every size.
            assert_eq!(layout.legacy_used, (layout.driver_len - 2).next_multiple_of(4096));
        }
    }
}
