//! Extended capabilities: what PCI Express lists behind the first 256 bytes (PCI Express 5.0 §7.6).
//!
//! VIRTIO 1.4 puts none of its own structures there. An access that does not reach that far
//! ([`LegacyPorts`](crate::LegacyPorts)) answers all ones, which is an empty list.

use crate::caps::find_id;

/// PCI's id for the PCI Express capability: without it, a function has no extended configuration space.
const PCI_EXPRESS: u8 = 0x10;
/// PCI Express's id for the SR-IOV capability.
pub(crate) const SR_IOV: u16 = 0x0010;
/// The list starts here ...
const FIRST: u16 = 0x100;
/// ... and ends before this.
const END: u16 = 0x1000;
/// No list is longer: each entry takes 8 bytes at least.
const MAX_ENTRIES: u16 = 480;
const _: () = assert!(MAX_ENTRIES == (END - FIRST) / 8);

/// Where the first extended capability with this id is.
pub(crate) fn find(read: impl Fn(u16) -> u32, wanted: u16) -> Option<u16> {
    find_id(&read, PCI_EXPRESS)?;
    let mut at = FIRST;
    for _ in 0..MAX_ENTRIES {
        let [id_low, id_high, next_low, next_high] = read(at).to_le_bytes();
        let id = u16::from_le_bytes([id_low, id_high]);
        // An empty list begins with a null capability; nobody answers with all ones.
        if id == 0 || id == u16::MAX {
            return None;
        }
        if id == wanted {
            return Some(at);
        }
        // Bits 20 to 31; the low two are reserved.
        at = u16::from_le_bytes([next_low, next_high]) >> 4 & !3;
        if !(FIRST..END).contains(&at) {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    /// The first 256 bytes of a function whose list has one capability of this id.
    fn header(id: u32) -> impl Fn(u16) -> u32 {
        move |at| match at {
            0x04 => 1 << 20,
            0x34 => 0x40,
            0x40 => id,
            _ => 0,
        }
    }

    /// Looks for SR-IOV behind a header.
    fn find_behind(id: u32, read: impl Fn(u16) -> u32) -> Option<u16> {
        let header = header(id);
        find(|at| if at < FIRST { header(at) } else { read(at) }, SR_IOV)
    }

    /// In a list of these entries: offset, id, next.
    fn found(entries: &[(u16, u32, u32)]) -> Option<u16> {
        let entry = |at| entries.iter().find(|entry| entry.0 == at);
        find_behind(0x10, |at| entry(at).map_or(0, |&(_, id, next)| next << 20 | 1 << 16 | id))
    }

    #[test]
    fn the_first_of_its_id_is_found() {
        assert_eq!(found(&[(0x100, 0x10, 0)]), Some(0x100));
        assert_eq!(found(&[(0x100, 0x0e, 0xffc), (0xffc, 0x10, 0)]), Some(0xffc));
        assert_eq!(found(&[(0x100, 0x0e, 0x142), (0x140, 0x10, 0)]), Some(0x140)); // reserved bits
        assert_eq!(found(&[(0x100, 0x0e, 0)]), None);
        assert_eq!(found(&[(0x100, 0x0e, 0x40), (0x40, 0x10, 0)]), None);
        assert_eq!(find_behind(0x10, |_| 0), None);
        assert_eq!(find_behind(0x10, |_| u32::MAX), None);
    }

    #[test]
    fn a_function_that_is_no_express_function_is_not_asked() {
        assert_eq!(find_behind(0x11, |at| panic!("read at {at:#x}")), None);
    }

    #[test]
    fn a_loop_ends() {
        let reads = Cell::new(0);
        let answer = find_behind(0x10, |at| {
            reads.set(reads.get() + 1);
            u32::from(0x100 + (at + 4) % 0x80) << 20 | 0x0e
        });
        assert_eq!((answer, reads.get()), (None, MAX_ENTRIES));
    }
}
