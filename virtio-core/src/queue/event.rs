//! When a notification is due under `EVENT_IDX` (VIRTIO 1.4 §2.7.7.2, §2.7.10).

/// Whether moving an index from `old` to `new` passes `event`: whether `event` lies in `old .. new`, counted modulo 2¹⁶.
pub(crate) const fn passes(event: u16, old: u16, new: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_step_passes_exactly_the_old_index() {
        let all = [u16::MAX, 0, 1, 5, u16::MAX - 1];
        // Miri takes seconds for each.
        let few = if cfg!(miri) { 1 } else { all.len() };
        for old in all.into_iter().take(few) {
            for event in 0..=u16::MAX {
                assert_eq!(passes(event, old, old.wrapping_add(1)), event == old, "{event} {old}");
            }
        }
    }

    #[test]
    fn a_batch_across_the_wrap() {
        // Three buffers from 65534 to 1: events 65534, 65535 and 0 are due, and no other.
        let due = (0..=u16::MAX).filter(|event| passes(*event, 65534, 1));
        assert!(due.eq([0, 65534, 65535]));
        // A device that has left its event behind does not want to be told.
        assert!(!passes(10, 40000, 40001));
    }

    #[test]
    fn nothing_new_is_never_due() {
        let last = if cfg!(miri) { 1025 } else { u16::MAX };
        assert!((0..=last).all(|event| !passes(event, 7, 7)));
    }
}
