//! Which slots of a pool are taken: one bit each, changed by compare-and-swap alone.
//!
//! A run of slots lies within one word, so that taking it is a single step: nobody ever sees half of it taken, and nobody
//! waits for anybody.

use core::sync::atomic::{AtomicUsize, Ordering};

/// Slots that one word counts: no run is longer.
pub(super) const BITS: usize = usize::BITS as usize;

/// How often a search may be beaten to a run by others before it gives up (I-BOUND).
const ATTEMPTS: u32 = 4096;

/// Neighbouring slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Run {
    pub(super) first: usize,
    pub(super) count: usize,
}

/// The bits of all slots: 0 is free. Bits that stand for no slot are 1 for good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bitmap<'p> {
    words: &'p [AtomicUsize],
    slots: usize,
}

/// How many words so many slots take.
pub(super) const fn words_for(slots: usize) -> usize {
    slots.div_ceil(BITS)
}

/// So many bits from `at` on; all must lie inside the word.
fn mask(at: usize, count: usize) -> usize {
    let ones = match u32::try_from(BITS.saturating_sub(count)) {
        Ok(zeros) => usize::MAX.checked_shr(zeros).unwrap_or(0),
        Err(_) => 0,
    };
    u32::try_from(at).ok().and_then(|at| ones.checked_shl(at)).unwrap_or(0)
}

/// The first run of `want` free bits; where there is none, the longest one, if it has at least `least`.
fn find(word: usize, want: usize, least: usize) -> Option<(usize, usize)> {
    let mut best: Option<(usize, usize)> = None;
    let mut at = 0_usize;
    // Each round passes at least one bit.
    for _ in 0..BITS {
        let rest = u32::try_from(at).ok().and_then(|at| word.checked_shr(at))?;
        at = at.saturating_add(usize::try_from(rest.trailing_ones()).ok()?);
        let Some(rest) = u32::try_from(at).ok().and_then(|at| word.checked_shr(at)) else { break };
        // Zeros that were shifted in are no slots.
        let free = usize::try_from(rest.trailing_zeros()).ok()?.min(BITS.saturating_sub(at));
        if free >= want {
            return Some((at, want));
        }
        if free >= least && best.is_none_or(|(_, len)| free > len) {
            best = Some((at, free));
        }
        at = at.saturating_add(free);
        if at >= BITS {
            break;
        }
    }
    best
}

impl<'p> Bitmap<'p> {
    /// The bits in `words`, of so many slots.
    pub(super) const fn new(words: &'p [AtomicUsize], slots: usize) -> Self {
        Self { words, slots }
    }

    /// What a word holds while all its slots are free.
    fn all_free(self, index: usize) -> usize {
        let here = self.slots.saturating_sub(index.saturating_mul(BITS)).min(BITS);
        !mask(0, here)
    }

    /// Frees all slots. Only while nobody else knows of them.
    pub(super) fn clear(self) {
        for (index, word) in self.words.iter().enumerate() {
            word.store(self.all_free(index), Ordering::Relaxed);
        }
    }

    /// Whether no slot is taken.
    pub(super) fn is_free(self) -> bool {
        let mut words = self.words.iter().enumerate();
        words.all(|(index, word)| word.load(Ordering::Acquire) == self.all_free(index))
    }

    /// How many slots are free now.
    pub(super) fn count_free(self) -> usize {
        let zeros = self.words.iter().map(|word| word.load(Ordering::Relaxed).count_zeros());
        zeros.fold(0, |sum, zeros| sum.saturating_add(usize::try_from(zeros).unwrap_or(0)))
    }

    /// Takes `want` neighbours, or as many as there are, but not fewer than `least`. What their last owner has written to
    /// the slots is visible then.
    pub(super) fn take(self, want: usize, least: usize) -> Option<Run> {
        let want = want.clamp(1, BITS);
        let least = least.clamp(1, want);
        let mut attempts = ATTEMPTS;
        // The full length anywhere is better than a shorter one here. Long runs are looked for from the far end, so that
        // single slots do not lie between them.
        self.search(want, want, &mut attempts)
            .or_else(|| if least < want { self.search(want, least, &mut attempts) } else { None })
    }

    fn search(self, want: usize, least: usize, attempts: &mut u32) -> Option<Run> {
        let count = self.words.len();
        for step in 0..count {
            let index = if want > 1 { count.checked_sub(step)?.checked_sub(1)? } else { step };
            let cell = self.words.get(index)?;
            let mut word = cell.load(Ordering::Relaxed);
            while let Some((at, len)) = find(word, want, least) {
                *attempts = attempts.checked_sub(1)?;
                let taken = word | mask(at, len);
                match cell.compare_exchange(word, taken, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(_) => {
                        let first = index.saturating_mul(BITS).saturating_add(at);
                        return Some(Run { first, count: len });
                    }
                    Err(now) => word = now,
                }
            }
        }
        None
    }

    /// Gives a run back that [`Bitmap::take`] has answered.
    pub(super) fn give(self, run: Run) {
        let (Some(index), Some(at)) = (run.first.checked_div(BITS), run.first.checked_rem(BITS)) else {
            return;
        };
        if let Some(cell) = self.words.get(index) {
            cell.fetch_and(!mask(at, run.count), Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn words(slots: usize) -> Vec<AtomicUsize> {
        let words: Vec<_> = (0..words_for(slots)).map(|_| AtomicUsize::new(0)).collect();
        Bitmap::new(&words, slots).clear();
        words
    }

    #[test]
    fn masks_cover_every_place_and_length() {
        for at in 0..BITS {
            for count in 0..=BITS - at {
                let expected = (at..at + count).fold(0_usize, |all, bit| all | 1 << bit);
                assert_eq!(mask(at, count), expected, "{at} {count}");
            }
        }
    }

    #[test]
    fn the_first_run_that_is_long_enough_or_the_longest() {
        assert_eq!(find(0, BITS, 1), Some((0, BITS)));
        assert_eq!(find(usize::MAX, 1, 1), None);
        assert_eq!(find(1 << (BITS - 1), BITS, 1), Some((0, BITS - 1)));
        // Free: 2, 4–5, 8–10, then none.
        let word = !0b0111_0011_0100;
        assert_eq!(find(word, 1, 1), Some((2, 1)));
        assert_eq!(find(word, 2, 2), Some((4, 2)));
        assert_eq!(find(word, 3, 1), Some((8, 3)));
        assert_eq!(find(word, 9, 2), Some((8, 3)));
        assert_eq!(find(word, 9, 4), None);
    }

    #[test]
    fn every_slot_is_given_once_and_comes_back() {
        for slots in [1, 2, BITS - 1, BITS, BITS + 1, 3 * BITS - 5] {
            let words = words(slots);
            let map = Bitmap::new(&words, slots);
            assert!(map.is_free());
            assert_eq!(map.count_free(), slots);
            for want in [1, 2, 3, 7, BITS, 10 * BITS] {
                let mut seen = Vec::new();
                let mut runs = Vec::new();
                while let Some(run) = map.take(want, 1) {
                    assert!(run.count >= 1 && run.count <= want && run.first % BITS + run.count <= BITS);
                    seen.extend(run.first..run.first + run.count);
                    runs.push(run);
                }
                seen.sort_unstable();
                assert!(seen.into_iter().eq(0..slots), "{slots} slots, {want} at a time");
                assert!(!map.is_free());
                runs.into_iter().rev().for_each(|run| map.give(run));
                assert!(map.is_free());
            }
        }
    }

    #[test]
    fn fewer_than_the_least_are_not_taken() {
        let words = words(4);
        let map = Bitmap::new(&words, 4);
        let held: Vec<_> = (0..4).filter_map(|_| map.take(1, 1)).collect();
        map.give(held[1]);
        map.give(held[3]);
        assert_eq!(map.take(4, 2), None);
        assert_eq!(map.count_free(), 2);
        map.give(held[2]);
        assert_eq!(map.take(4, 2), Some(Run { first: 1, count: 3 }));
    }
}
