//! Where the demo may write on a disk: behind the last partition, if a partition table says where that ends.

/// Sectors of a block that is written, or discarded: 4 KiB.
pub const BLOCK: u64 = 8;
/// The same in bytes.
pub const BLOCK_LEN: usize = 4096;
/// Bytes in a sector.
const SECTOR: usize = 512;

const _: () = assert!(BLOCK_LEN == 8 * SECTOR);

/// Two blocks, by their first sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scratch {
    /// Written, and left so.
    pub written: u64,
    /// Written, then discarded.
    pub discarded: u64,
}

impl Scratch {
    /// The last two blocks of a disk of so many sectors. `None` unless its first sector is a partition table that has a
    /// partition, and leaves them free. A GUID partition table has its copy at the end, so it leaves nothing.
    pub fn find(first_sector: &[u8; SECTOR], capacity: u64) -> Option<Self> {
        const TABLE: usize = 0x1be;
        const PROTECTIVE: u8 = 0xee;
        let (entries, mark) = first_sector.get(TABLE..)?.split_at_checked(4 * 16)?;
        if mark != [0x55, 0xaa] {
            return None;
        }
        let written = (capacity / BLOCK).checked_sub(1)? * BLOCK;
        let discarded = written.checked_sub(BLOCK)?;
        let mut partitions = 0;
        for entry in entries.chunks_exact(16) {
            let [_, _, _, _, kind, _, _, _, a, b, c, d, e, f, g, h] = *entry else { return None };
            let (first, count) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
            if kind == PROTECTIVE {
                return None;
            }
            if kind != 0 {
                partitions += 1;
                if u64::from(first) + u64::from(count) > discarded {
                    return None;
                }
            }
        }
        (partitions > 0).then_some(Self { written, discarded })
    }
}

/// Fills a block with what the demo writes to these sectors: each block has something else, in every byte something else
/// than its neighbour's.
pub fn pattern(block: &mut [u8; BLOCK_LEN], first_sector: u64) {
    const TEXT: &[u8] = b"virtio in Rust wrote this block. ";
    let number = first_sector.to_le_bytes();
    let bytes = TEXT.iter().chain(&number).cycle();
    for ((at, place), byte) in block.iter_mut().enumerate().zip(bytes) {
        // The number of the turn, so that no part of the block equals another.
        let turn = u8::try_from(at / (TEXT.len() + number.len()) % 256).unwrap_or_default();
        *place = byte.wrapping_add(turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(u8, u32, u32)]) -> [u8; SECTOR] {
        let mut sector = [0; SECTOR];
        for (place, (kind, first, count)) in sector[0x1be..].chunks_exact_mut(16).zip(entries) {
            place[4] = *kind;
            place[8..12].copy_from_slice(&first.to_le_bytes());
            place[12..].copy_from_slice(&count.to_le_bytes());
        }
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector
    }

    #[test]
    fn the_last_blocks_are_free_or_there_are_none() {
        let found = Some(Scratch { written: 1016, discarded: 1008 });
        assert_eq!(Scratch::find(&table(&[(0x0e, 64, 944)]), 1024), found);
        assert_eq!(Scratch::find(&table(&[(0x0e, 64, 944)]), 1027), found, "a block is whole");
        assert_eq!(
            Scratch::find(&table(&[(0x0e, 64, 100), (0x83, 200, 809)]), 1024),
            None,
            "one sector too long"
        );
        assert_eq!(Scratch::find(&table(&[(0xee, 1, 100)]), 1024), None, "a GUID partition table");
        assert_eq!(Scratch::find(&table(&[]), 1024), None, "nothing says what is free");
        assert_eq!(Scratch::find(&[0; SECTOR], 1024), None);
        assert_eq!(Scratch::find(&table(&[(0x0e, 0, 1)]), 15), None, "too small for two");
        assert_eq!(
            Scratch::find(&table(&[(0x0e, u32::MAX, u32::MAX)]), u64::MAX).map(|found| found.written % 8),
            Some(0)
        );
    }

    #[test]
    fn patterns_differ() {
        let (mut one, mut other) = ([0; BLOCK_LEN], [0; BLOCK_LEN]);
        pattern(&mut one, 1016);
        pattern(&mut other, 1008);
        assert_ne!(one, other);
        let sectors: alloc::vec::Vec<_> = one.chunks(SECTOR).collect();
        for (at, sector) in sectors.iter().enumerate() {
            assert!(sectors[..at].iter().all(|earlier| earlier != sector), "{at}");
        }
        assert!(one.starts_with(b"virtio in Rust wrote"));
    }
}
