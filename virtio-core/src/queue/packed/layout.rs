//! Where the parts of a packed virtqueue lie (VIRTIO 1.4 §2.8). Pure arithmetic.

use crate::QueueSize;
use crate::abi::packed::{EVENT_ALIGN, EventSuppression, PackedDescriptor};

/// Both event suppression structures keep off the offset in a page of the descriptors that are used most: a load that
/// follows a store 4096 bytes apart waits for it on many processors.
pub(super) const EVENT_OFFSET: usize = 1088;

/// Bytes in a region that holds one event suppression structure.
pub(super) const EVENT_LEN: usize = EVENT_OFFSET + size_of::<EventSuppression>();

/// Bytes in the descriptor ring. Sizes end at 32768, so nothing overflows 32 bits.
pub(super) fn ring_len(size: QueueSize) -> usize {
    size.as_usize().saturating_mul(size_of::<PackedDescriptor>())
}

const _: () = assert!(EVENT_OFFSET % EVENT_ALIGN == 0 && EVENT_OFFSET % 64 == 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_the_specifications() {
        for log in 0..16 {
            let size = QueueSize::new(1 << log).unwrap();
            assert_eq!(ring_len(size), 16 << log);
        }
        assert_eq!(EVENT_LEN - EVENT_OFFSET, 4);
    }
}
