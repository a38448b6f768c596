//! Cutting what is too long for one request into pieces.

use core::mem;

use crate::sector::SECTOR_SIZE;

/// Pieces of a request that is cut out of a list.
pub(crate) const PIECES: usize = 16;

/// How much a request may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    /// Bytes.
    pub(crate) bytes: usize,
    /// Bytes of a piece.
    pub(crate) piece: usize,
    /// Pieces; no more than [`PIECES`].
    pub(crate) pieces: usize,
    /// A request that is not the last ends on a multiple of so many bytes of the disk, if it can: a power of two.
    pub(crate) unit: usize,
    /// Where in such a unit it starts.
    pub(crate) skew: usize,
}

impl Most {
    /// How many bytes of slices of these lengths the next request takes: all, or a multiple of the unit, or of sectors at least.
    /// 0 if not even a sector goes into the pieces that it may have.
    pub(crate) fn reach(&self, lens: impl Iterator<Item = usize>) -> usize {
        let (mut bytes, mut pieces) = (0_usize, 0_usize);
        for mut len in lens {
            while len > 0 {
                let piece = len.min(self.piece).min(self.bytes.saturating_sub(bytes));
                if piece == 0 || pieces == self.pieces {
                    let end = bytes.saturating_add(self.skew) & !self.unit.wrapping_sub(1);
                    let whole = end.saturating_sub(self.skew);
                    return if whole > 0 { whole } else { bytes & !(SECTOR_SIZE - 1) };
                }
                pieces = pieces.wrapping_add(1);
                bytes = bytes.wrapping_add(piece);
                len = len.wrapping_sub(piece);
            }
        }
        bytes
    }
}

/// A place in a list of slices.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Place {
    slice: usize,
    offset: usize,
}

impl Place {
    /// The lengths of what is behind this place in a list of slices with these lengths.
    pub(crate) fn behind(self, lens: impl Iterator<Item = usize>) -> impl Iterator<Item = usize> {
        let Self { slice, offset } = self;
        let cut = move |(nth, len): (usize, usize)| if nth == 0 { len.saturating_sub(offset) } else { len };
        lens.skip(slice).enumerate().map(cut)
    }

    fn go(&mut self, len: usize) {
        self.offset = self.offset.wrapping_add(len);
    }

    fn next_slice(&mut self) {
        *self = Self { slice: self.slice.wrapping_add(1), offset: 0 };
    }

    /// Cuts the next `bytes` out of a list, in pieces of no more than `longest`; answers how many pieces that is, and goes to
    /// the place behind them.
    pub(crate) fn cut<'s>(
        &mut self,
        slices: &[&'s [u8]],
        bytes: usize,
        longest: usize,
        pieces: &mut [&'s [u8]; PIECES],
    ) -> usize {
        let mut places = pieces.iter_mut();
        let (all, mut left) = (places.len(), bytes);
        for slice in slices.iter().skip(self.slice) {
            let mut rest = slice.get(self.offset..).unwrap_or_default();
            while left > 0 && !rest.is_empty() {
                let (Some((piece, behind)), Some(place)) =
                    (rest.split_at_checked(rest.len().min(longest).min(left)), places.next())
                else {
                    return all;
                };
                left = left.wrapping_sub(piece.len());
                self.go(piece.len());
                (*place, rest) = (piece, behind);
            }
            if left == 0 {
                break;
            }
            self.next_slice();
        }
        all.wrapping_sub(places.len())
    }

    /// The same, of slices that are written.
    pub(crate) fn cut_mut<'s>(
        &mut self,
        slices: &'s mut [&mut [u8]],
        bytes: usize,
        longest: usize,
        pieces: &mut [&'s mut [u8]; PIECES],
    ) -> usize {
        let mut places = pieces.iter_mut();
        let (all, mut left) = (places.len(), bytes);
        for slice in slices.iter_mut().skip(self.slice) {
            let mut rest = slice.get_mut(self.offset..).unwrap_or_default();
            while left > 0 && !rest.is_empty() {
                let len = rest.len().min(longest).min(left);
                let (Some((piece, behind)), Some(place)) =
                    (mem::take(&mut rest).split_at_mut_checked(len), places.next())
                else {
                    return all;
                };
                left = left.wrapping_sub(len);
                self.go(len);
                (*place, rest) = (piece, behind);
            }
            if left == 0 {
                break;
            }
            self.next_slice();
        }
        all.wrapping_sub(places.len())
    }
}

#[cfg(test)]
mod tests {
    extern crate alloc;
    use super::*;
    use alloc::vec::Vec;

    /// All pieces of all requests, as (request, piece).
    fn cut(lens: &[usize], most: Most) -> Option<Vec<Vec<usize>>> {
        let total: usize = lens.iter().sum();
        let memory: Vec<u8> = (0..total).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let mut copy = memory.clone();
        let (mut rest, mut rest_mut) = (&memory[..], &mut copy[..]);
        let (mut slices, mut slices_mut) = (Vec::new(), Vec::new());
        for len in lens {
            let (first, behind) = rest.split_at(*len);
            slices.push(first);
            rest = behind;
            let (first, behind) = mem::take(&mut rest_mut).split_at_mut(*len);
            slices_mut.push(first);
            rest_mut = behind;
        }
        let (mut place, mut place_mut) = (Place::default(), Place::default());
        let (mut requests, mut seen) = (Vec::new(), Vec::new());
        while seen.len() < total {
            let bytes = most.reach(place.behind(slices.iter().map(|slice| slice.len())));
            if bytes == 0 {
                return None;
            }
            let mut pieces = [&[][..]; PIECES];
            let used = place.cut(&slices, bytes, most.piece, &mut pieces);
            let mut pieces_mut: [&mut [u8]; PIECES] = Default::default();
            assert_eq!(place_mut.cut_mut(&mut slices_mut, bytes, most.piece, &mut pieces_mut), used);
            assert_eq!(place, place_mut);
            for (piece, piece_mut) in pieces[..used].iter().zip(&pieces_mut[..used]) {
                assert_eq!(piece, piece_mut);
                seen.extend_from_slice(piece);
            }
            let lens: Vec<usize> = pieces[..used].iter().map(|piece| piece.len()).collect();
            assert_eq!(lens.iter().sum::<usize>(), bytes);
            assert!(lens.iter().all(|len| (1..=most.piece).contains(len)) && used <= most.pieces);
            assert!(bytes <= most.bytes);
            requests.push(lens);
        }
        assert_eq!(seen, memory);
        Some(requests)
    }

    const MOST: Most = Most { bytes: 4096, piece: 4096, pieces: PIECES, unit: 512, skew: 0 };

    #[test]
    fn nothing_is_lost_between_pieces() {
        assert_eq!(cut(&[8192, 512], MOST).unwrap(), [&[4096][..], &[4096], &[512]]);
        assert_eq!(cut(&[100, 412, 4096], MOST).unwrap(), [&[100, 412, 3584][..], &[512]]);
        let narrow = Most { piece: 1000, ..MOST };
        assert_eq!(cut(&[4608], narrow).unwrap(), [&[1000, 1000, 1000, 1000, 96][..], &[512]]);
        let few = Most { pieces: 2, ..MOST };
        assert_eq!(cut(&[300, 300, 424], few).unwrap(), [&[300, 212][..], &[88, 424]]);
        assert_eq!(cut(&[300, 300, 300, 124], few), None);
    }

    #[test]
    fn requests_end_on_units_if_they_can() {
        let most = Most { bytes: 5000 & !511, unit: 4096, ..MOST };
        assert_eq!(cut(&[8192 + 512], most).unwrap(), [&[4096][..], &[4096, 512]]);
        // Of the disk's, not of the transfer's.
        let most = Most { skew: 512, ..most };
        assert_eq!(cut(&[8192 + 512], most).unwrap()[0], [3584]);
        let small = Most { piece: 256, pieces: 4, unit: 4096, ..MOST };
        assert_eq!(cut(&[1536], small).unwrap(), [[256; 4].to_vec(), [256; 2].to_vec()]);
    }

    #[test]
    fn pieces_that_hold_no_sector_are_seen() {
        assert_eq!(cut(&[256, 256], Most { pieces: 1, ..MOST }), None);
        assert_eq!(cut(&[16; 64], MOST), None);
        assert!(cut(&[32; 64], MOST).is_some());
        assert_eq!(cut(&[512, 256, 128, 128], Most { pieces: 2, ..MOST }), None);
    }
}
