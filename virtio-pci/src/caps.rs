//! The capability list, and what virtio puts on it (VIRTIO 1.4 §4.1.4).
//!
//! Pure functions over a reader of 32-bit configuration registers: nothing is written, nothing is believed. Whatever the
//! list says, at most 48 entries are looked at, none of them twice at the cost of the bound, and no sum wraps.

use core::fmt;

use crate::bar::BARS;
use crate::header::{CAPABILITIES, COMMAND_STATUS, STATUS_CAPABILITIES};

/// No list is longer: 192 bytes behind the header hold 48 capabilities of the least size.
const MAX_ENTRIES: u8 = 48;
/// The list lies behind the header ...
const FIRST: u16 = 0x40;
/// ... and inside conventional configuration space.
pub(crate) const END: u16 = 0x100;
/// PCI's id for a vendor-specific capability.
const VENDOR_SPECIFIC: u8 = 0x09;

/// What a virtio capability locates (`cfg_type`, VIRTIO 1.4 §4.1.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Structure {
    /// Type 1: common configuration.
    Common,
    /// Type 2: notifications.
    Notify,
    /// Type 3: interrupt status.
    Isr,
    /// Type 4: the device's own configuration space.
    Device,
    /// Type 5: access to BARs through configuration space.
    PciConfig,
    /// Type 8: a shared-memory region.
    SharedMemory,
    /// Type 9: data of the vendor's.
    Vendor,
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Common => "common configuration",
            Self::Notify => "notification structure",
            Self::Isr => "ISR status",
            Self::Device => "device configuration",
            Self::PciConfig => "PCI configuration access",
            Self::SharedMemory => "shared-memory region",
            Self::Vendor => "vendor data",
        })
    }
}

/// A part of a BAR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Region {
    /// The BAR, 0 to 5.
    pub bar: u8,
    /// Where it starts in the BAR, in bytes.
    pub offset: u64,
    /// Its length in bytes. `offset + len` does not wrap; whether it lies in the BAR is for the user to check.
    pub len: u64,
}

/// One virtio capability that is in order by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Capability {
    /// What it locates.
    pub structure: Structure,
    /// Where the capability is in configuration space.
    pub at: u16,
    /// Tells several of one type apart: the id of a shared-memory region.
    pub id: u8,
    /// Where the structure is; `None` for [`Structure::PciConfig`] and [`Structure::Vendor`], which lie in configuration
    /// space.
    pub region: Option<Region>,
    /// [`Structure::Notify`]: what a queue's notification offset is multiplied with, in bytes. Else 0.
    pub notify_multiplier: u32,
    /// [`Structure::Vendor`]: whose data it is, by PCI vendor id. The data follow it in configuration space, and are for
    /// debugging and reports alone (VIRTIO 1.4 §4.1.4.8.2). Else 0.
    pub vendor_id: u16,
}

/// The virtio capabilities of a function, in the order of its list.
///
/// Passed over are: other capabilities, unknown types, a BAR above 5, a capability too short for its type or running
/// past the configuration space, a region that wraps (VIRTIO 1.4 §4.1.4.1).
pub fn capabilities<F: Fn(u16) -> u32>(read: F) -> Capabilities<F> {
    let has_list = read(COMMAND_STATUS) & STATUS_CAPABILITIES != 0;
    let [next, ..] = if has_list { read(CAPABILITIES).to_le_bytes() } else { [0; 4] };
    Capabilities { read, next, left: MAX_ENTRIES }
}

/// The first capability for `structure` that `usable` accepts (VIRTIO 1.4 §4.1.4.1 wants the first that the driver can
/// use).
pub fn find<F: Fn(u16) -> u32>(
    read: F,
    structure: Structure,
    usable: impl Fn(&Capability) -> bool,
) -> Option<Capability> {
    capabilities(read).find(|found| found.structure == structure && usable(found))
}

/// Where the first capability of any kind with this PCI id is.
pub(crate) fn find_id<F: Fn(u16) -> u32>(read: F, wanted: u8) -> Option<u16> {
    let mut list = capabilities(read);
    core::iter::from_fn(|| list.entry()).find(|(_, [id, ..])| *id == wanted).map(|(at, _)| at)
}

/// Iterator of [`capabilities`].
pub struct Capabilities<F> {
    read: F,
    next: u8,
    left: u8,
}

impl<F> fmt::Debug for Capabilities<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capabilities")
            .field("next", &self.next)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl<F: Fn(u16) -> u32> Capabilities<F> {
    /// The next entry of the list, whatever it is: where it is, and its first register.
    fn entry(&mut self) -> Option<(u16, [u8; 4])> {
        // The low two bits of a pointer are reserved.
        let at = u16::from(self.next & !3);
        if at < FIRST {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let head = (self.read)(at).to_le_bytes();
        let [_, next, ..] = head;
        self.next = next;
        Some((at, head))
    }
}

impl<F: Fn(u16) -> u32> Iterator for Capabilities<F> {
    type Item = Capability;

    fn next(&mut self) -> Option<Capability> {
        loop {
            let (at, [id, _, len, cfg_type]) = self.entry()?;
            if id == VENDOR_SPECIFIC {
                if let Some(found) = parse(&self.read, at, len, cfg_type) {
                    return Some(found);
                }
            }
        }
    }
}

fn parse(read: impl Fn(u16) -> u32, at: u16, len: u8, cfg_type: u8) -> Option<Capability> {
    let (structure, needed) = match cfg_type {
        1 => (Structure::Common, 16),
        2 => (Structure::Notify, 20),
        3 => (Structure::Isr, 16),
        4 => (Structure::Device, 16),
        5 => (Structure::PciConfig, 20),
        8 => (Structure::SharedMemory, 24),
        9 => (Structure::Vendor, 6),
        _ => return None,
    };
    // Longer than needed is fine, as long as what is needed is there.
    if len < needed || at.checked_add(u16::from(needed))? > END {
        return None;
    }
    let word = |number: u16| read(at.saturating_add(number.saturating_mul(4)));
    let bare = Capability { structure, at, id: 0, region: None, notify_multiplier: 0, vendor_id: 0 };
    let [bar, id, ..] = word(1).to_le_bytes();
    match structure {
        Structure::PciConfig => return Some(bare),
        // true by construction: pci.layout.vendor-cap.1, pci.layout.vendor-cap.2 — only whose data it is, is read: the data
        // are for whoever knows that vendor.
        Structure::Vendor => return Some(Capability { vendor_id: u16::from_le_bytes([bar, id]), ..bare }),
        _ => {}
    }
    if usize::from(bar) >= BARS {
        return None;
    }
    let wide = |low: u16, high: u16| match structure {
        Structure::SharedMemory => u64::from(word(high)) << 32 | u64::from(word(low)),
        _ => u64::from(word(low)),
    };
    let (offset, len) = (wide(2, 4), wide(3, 5));
    offset.checked_add(len)?;
    let notify_multiplier = if structure == Structure::Notify { word(4) } else { 0 };
    Some(Capability { id, region: Some(Region { bar, offset, len }), notify_multiplier, ..bare })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use core::cell::Cell;

    /// A configuration space with a capability list that starts at 0x40.
    struct Space([u8; 256]);

    impl Space {
        fn new() -> Self {
            let mut space = Self([0; 256]);
            space.0[0x06] = 0x10;
            space.0[0x34] = 0x40;
            space
        }

        /// Puts bytes somewhere.
        fn put(mut self, at: usize, bytes: &[u8]) -> Self {
            self.0[at..at + bytes.len()].copy_from_slice(bytes);
            self
        }

        /// Puts a virtio capability somewhere: next, cap_len, type, BAR; then id, offset and length.
        fn cap(self, at: usize, head: [u8; 4], id: u8, offset: u32, len: u32) -> Self {
            let [next, cap_len, cfg_type, bar] = head;
            self.put(at, &[9, next, cap_len, cfg_type, bar, id, 0, 0])
                .put(at + 8, &offset.to_le_bytes())
                .put(at + 12, &len.to_le_bytes())
        }

        fn read(&self, at: u16) -> u32 {
            assert_eq!(at % 4, 0);
            let at = usize::from(at);
            u32::from_le_bytes(self.0[at..at + 4].try_into().unwrap())
        }

        fn found(&self) -> Vec<Capability> {
            capabilities(|at| self.read(at)).collect()
        }

        fn structures(&self) -> Vec<(Structure, u16)> {
            self.found().into_iter().map(|found| (found.structure, found.at)).collect()
        }
    }

    #[test]
    fn what_qemu_lists() {
        // virtio-gpu-pci of QEMU 7.2: MSI-X first, then five capabilities backwards.
        let space = Space::new()
            .put(0x34, &[0x98])
            .put(0x98, &[0x11, 0x84, 2, 0])
            .cap(0x84, [0x70, 20, 5, 0], 0, 0, 0)
            .cap(0x70, [0x60, 20, 2, 4], 0, 0x3000, 0x1000)
            .put(0x80, &4_u32.to_le_bytes())
            .cap(0x60, [0x50, 16, 4, 4], 0, 0x2000, 0x1000)
            .cap(0x50, [0x40, 16, 3, 4], 0, 0x1000, 0x1000)
            .cap(0x40, [0, 16, 1, 4], 0, 0, 0x1000);
        let region = |offset| Some(Region { bar: 4, offset, len: 0x1000 });
        let cap = |structure, at, region, notify_multiplier| Capability {
            structure,
            at,
            id: 0,
            region,
            notify_multiplier,
            vendor_id: 0,
        };
        assert_eq!(
            space.found(),
            [
                cap(Structure::PciConfig, 0x84, None, 0),
                cap(Structure::Notify, 0x70, region(0x3000), 4),
                cap(Structure::Device, 0x60, region(0x2000), 0),
                cap(Structure::Isr, 0x50, region(0x1000), 0),
                cap(Structure::Common, 0x40, region(0), 0),
            ]
        );
    }

    #[test]
    fn no_list_no_capabilities() {
        assert_eq!(Space::new().cap(0x40, [0, 16, 1, 0], 0, 0, 64).put(0x06, &[0]).found(), []);
        assert_eq!(Space::new().put(0x34, &[0]).found(), []);
        // A function that has gone answers all ones.
        assert_eq!(capabilities(|_| u32::MAX).count(), 0);
    }

    #[test]
    fn loops_end_after_48_entries() {
        let reads = Cell::new(0);
        let count = |space: &Space| {
            reads.set(0);
            capabilities(|at| {
                reads.set(reads.get() + 1);
                space.read(at)
            })
            .count()
        };
        // One that points to itself, and a pair.
        assert_eq!(count(&Space::new().cap(0x40, [0x40, 16, 1, 0], 0, 0, 64)), 48);
        let pair = Space::new().cap(0x40, [0x50, 16, 1, 0], 0, 0, 64).cap(0x50, [0x40, 16, 3, 0], 0, 0, 64);
        assert_eq!(count(&pair), 48);
        // One that is of no interest: nothing is found, and it still ends.
        assert_eq!(count(&Space::new().put(0x40, &[5, 0x40, 0, 0])), 0);
        assert_eq!(reads.get(), 2 + 48);
    }

    #[test]
    fn pointers_into_the_header_end_the_list_and_low_bits_are_dropped() {
        let space =
            |next| Space::new().cap(0x40, [next, 16, 1, 0], 0, 0, 64).cap(0x50, [0, 16, 3, 0], 0, 0, 1);
        for next in [0, 1, 4, 0x10, 0x3f] {
            assert_eq!(space(next).structures(), [(Structure::Common, 0x40)]);
        }
        for next in [0x50, 0x51, 0x53] {
            assert_eq!(space(next).structures(), [(Structure::Common, 0x40), (Structure::Isr, 0x50)]);
        }
        assert_eq!(space(0x50).put(0x34, &[0x3c]).structures(), []);
    }

    // shows: pci.caps.3
    #[test]
    fn capabilities_too_short_or_cut_off_are_passed_over() {
        for (cfg_type, needed) in [(1, 16), (2, 20), (3, 16), (4, 16), (5, 20), (8, 24), (9, 6)] {
            let space =
                |at: u8, len| Space::new().put(0x34, &[at]).put(usize::from(at), &[9, 0, len, cfg_type]);
            assert_eq!(space(0x40, needed - 1).found(), [], "type {cfg_type}");
            assert_eq!(space(0x40, needed).found().len(), 1, "type {cfg_type}");
            assert_eq!(space(0x40, 255).found().len(), 1, "type {cfg_type}");
            let last = (256 - usize::from(needed)) & !3;
            assert_eq!(space(u8::try_from(last).unwrap(), needed).found().len(), 1, "type {cfg_type}");
            assert_eq!(space(0xfc, 255).found(), [], "type {cfg_type}");
        }
    }

    // shows: pci.caps.1, pci.caps.4
    #[test]
    fn reserved_bars_and_unknown_types_are_passed_over() {
        for bar in 0..=255 {
            let space = Space::new().cap(0x40, [0, 16, 1, bar], 0, 0, 64);
            assert_eq!(space.found().len(), usize::from(bar < 6), "BAR {bar}");
        }
        for cfg_type in (0..=255).filter(|cfg_type| ![1, 2, 3, 4, 5, 8, 9].contains(cfg_type)) {
            assert_eq!(Space::new().cap(0x40, [0, 255, cfg_type, 0], 0, 0, 64).found(), [], "{cfg_type}");
        }
        // Types 5 and 9 have no BAR to be wrong about.
        assert_eq!(Space::new().cap(0x40, [0, 20, 5, 255], 0, 0, 4).found().len(), 1);
    }

    #[test]
    fn vendor_data_say_whose_they_are() {
        let space = Space::new().cap(0x40, [0x48, 8, 9, 0xf4], 0x1a, 0, 0).put(0x48, &[9, 0, 16, 1]);
        let found = space.found();
        assert_eq!((found[0].structure, found[0].vendor_id), (Structure::Vendor, 0x1af4));
        // They are passed over by whoever looks for a structure.
        assert_eq!((found[1].structure, found[1].vendor_id), (Structure::Common, 0));
    }

    #[test]
    fn shared_memory_has_64_bits_and_must_not_wrap() {
        let space = |offset_high: u32, len_high: u32| {
            Space::new()
                .cap(0x40, [0, 24, 8, 2], 7, 0xffff_f000, 0x1000)
                .put(0x50, &offset_high.to_le_bytes())
                .put(0x54, &len_high.to_le_bytes())
        };
        let found = space(1, 2).found();
        assert_eq!(found[0].id, 7);
        assert_eq!(found[0].region, Some(Region { bar: 2, offset: 0x1_ffff_f000, len: 0x2_0000_1000 }));
        assert_eq!(space(u32::MAX, 0).found(), []);
        assert_eq!(space(u32::MAX, u32::MAX).found(), []);
        assert_eq!(space(u32::MAX - 1, 0).found().len(), 1);
        // 32-bit fields cannot wrap 64 bits.
        let largest = Space::new().cap(0x40, [0, 16, 1, 0], 0, u32::MAX, u32::MAX).found();
        let max = u64::from(u32::MAX);
        assert_eq!(largest[0].region, Some(Region { bar: 0, offset: max, len: max }));
    }

    // shows: pci.caps.2
    #[test]
    fn the_first_usable_of_a_type_wins() {
        let space = Space::new()
            .cap(0x40, [0x50, 16, 1, 6], 0, 0, 64)
            .cap(0x50, [0x60, 16, 1, 0], 0, 0, 64)
            .cap(0x60, [0x70, 16, 1, 1], 0, 0, 64)
            .cap(0x70, [0, 16, 1, 2], 0, 0, 64);
        let first = |usable: &dyn Fn(&Capability) -> bool| {
            find(|at| space.read(at), Structure::Common, usable).map(|found| found.at)
        };
        assert_eq!(first(&|_| true), Some(0x50));
        assert_eq!(first(&|found| found.region.is_some_and(|region| region.bar != 0)), Some(0x60));
        assert_eq!(first(&|_| false), None);
        assert_eq!(find(|at| space.read(at), Structure::Notify, |_| true), None);
    }

    #[test]
    fn overlapping_capabilities_are_read_as_they_stand() {
        // The second lies in the offset field of the first.
        let space = Space::new().cap(0x40, [0x48, 16, 1, 0], 0, 0, 64).cap(0x48, [0, 16, 3, 1], 0, 0x20, 1);
        let found = space.found();
        assert_eq!(found[0].region, Some(Region { bar: 0, offset: 0x0310_0009, len: 1 }));
        assert_eq!(found[1].region, Some(Region { bar: 1, offset: 0x20, len: 1 }));
    }
}
