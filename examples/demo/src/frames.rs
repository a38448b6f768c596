//! A frame allocator: which pages of one range of RAM are taken. First fit, no heap, shared by all CPUs.

use core::cell::RefCell;
use core::fmt;
use core::ops::Range;
use critical_section::Mutex;

/// Bytes in a frame.
pub const FRAME: u64 = 4096;

/// The most frames one allocator looks after: 256 MiB.
pub const MAX_FRAMES: usize = 64 * 1024;

const WORDS: usize = MAX_FRAMES / 64;

/// Hands out page frames of one range of physical memory.
///
/// ```
/// use demo::Frames;
///
/// static FRAMES: Frames = Frames::new();
///
/// FRAMES.init(0x4020_0000..0x4400_0000)?;
/// let buffer = FRAMES.alloc(3).expect("RAM is full");
/// FRAMES.free(buffer, 3)?;
/// # Ok::<(), demo::frames::FramesError>(())
/// ```
#[derive(Debug)]
pub struct Frames(Mutex<RefCell<State>>);

impl Frames {
    /// An allocator without memory.
    pub const fn new() -> Self {
        Self(Mutex::new(RefCell::new(State::new())))
    }

    /// Gives the allocator its range of physical addresses; what is not a whole frame, and what is beyond
    /// [`MAX_FRAMES`], is left out. Returns the number of frames.
    ///
    /// # Errors
    ///
    /// [`FramesError::InUse`] if frames of an earlier range are still out.
    pub fn init(&self, range: Range<u64>) -> Result<usize, FramesError> {
        self.with(|state| state.init(range))
    }

    /// The physical address of `pages` free frames in a row, or `None` if there are not so many, or for none.
    /// What is in them is not touched.
    pub fn alloc(&self, pages: usize) -> Option<u64> {
        self.with(|state| state.alloc(pages))
    }

    /// Takes back what [`Frames::alloc`] gave, all of it.
    ///
    /// # Errors
    ///
    /// When it did not give this, or has it back already. Nothing is freed then.
    pub fn free(&self, address: u64, pages: usize) -> Result<(), FramesError> {
        self.with(|state| state.free(address, pages))
    }

    /// How many frames are out.
    pub fn used(&self) -> usize {
        self.with(|state| state.taken)
    }

    /// How many frames there are, taken or not.
    pub fn len(&self) -> usize {
        self.with(|state| state.frames)
    }

    /// True before [`Frames::init`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        critical_section::with(|section| change(&mut self.0.borrow_ref_mut(section)))
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

/// What a caller of [`Frames`] got wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FramesError {
    /// A new range, while frames of the old one are out.
    InUse,
    /// The address is not a frame's, or not one of ours.
    OutOfRange,
    /// The frame is free: freed twice, or never allocated.
    NotAllocated,
    /// The frames are allocated, but not as one piece of this place and length.
    WrongPiece,
}

impl fmt::Display for FramesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::InUse => "frames of the old range are in use",
            Self::OutOfRange => "not a frame of this allocator",
            Self::NotAllocated => "the frame is not allocated",
            Self::WrongPiece => "not what was allocated as one piece",
        })
    }
}

impl core::error::Error for FramesError {}

/// One bit a frame.
#[derive(Debug)]
struct Bits([u64; WORDS]);

impl Bits {
    fn get(&self, frame: usize) -> bool {
        self.0.get(frame / 64).is_some_and(|word| word >> (frame % 64) & 1 == 1)
    }

    fn set(&mut self, frame: usize, on: bool) {
        if let Some(word) = self.0.get_mut(frame / 64) {
            let bit = 1 << (frame % 64);
            *word = if on { *word | bit } else { *word & !bit };
        }
    }
}

#[derive(Debug)]
struct State {
    base: u64,
    frames: usize,
    taken: usize,
    used: Bits,
    /// The first frame of each piece: how a free of half a piece is noticed.
    first: Bits,
}

impl State {
    const fn new() -> Self {
        Self { base: 0, frames: 0, taken: 0, used: Bits([0; WORDS]), first: Bits([0; WORDS]) }
    }

    fn init(&mut self, range: Range<u64>) -> Result<usize, FramesError> {
        if self.taken != 0 {
            return Err(FramesError::InUse);
        }
        let base = range.start.checked_next_multiple_of(FRAME).unwrap_or(range.end);
        let frames = range.end.saturating_sub(base) / FRAME;
        self.base = base;
        self.frames = usize::try_from(frames).unwrap_or(MAX_FRAMES).min(MAX_FRAMES);
        Ok(self.frames)
    }

    fn alloc(&mut self, pages: usize) -> Option<u64> {
        if pages == 0 {
            return None;
        }
        let mut free = 0;
        for frame in 0..self.frames {
            free = if self.used.get(frame) { 0 } else { free + 1 };
            if free == pages {
                let start = frame + 1 - pages;
                (start..=frame).for_each(|frame| self.used.set(frame, true));
                self.first.set(start, true);
                self.taken += pages;
                return Some(self.base + u64::try_from(start).ok()? * FRAME);
            }
        }
        None
    }

    fn free(&mut self, address: u64, pages: usize) -> Result<(), FramesError> {
        let offset = address.checked_sub(self.base).ok_or(FramesError::OutOfRange)?;
        let start = usize::try_from(offset / FRAME).map_err(|_| FramesError::OutOfRange)?;
        let end = start.checked_add(pages).ok_or(FramesError::OutOfRange)?;
        if offset % FRAME != 0 || start >= self.frames || end > self.frames {
            return Err(FramesError::OutOfRange);
        }
        if !self.used.get(start) {
            return Err(FramesError::NotAllocated);
        }
        // One piece: it begins here, and goes on exactly as long as was said.
        let inside = |frame| self.used.get(frame) && !self.first.get(frame);
        if pages == 0 || !self.first.get(start) || !(start + 1..end).all(inside) || inside(end) {
            return Err(FramesError::WrongPiece);
        }
        (start..end).for_each(|frame| self.used.set(frame, false));
        self.first.set(start, false);
        self.taken -= pages;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const BASE: u64 = 0x4000_0000;

    fn frames(count: u64) -> Frames {
        let frames = Frames::new();
        frames.init(BASE..BASE + count * FRAME).unwrap();
        frames
    }

    #[test]
    fn first_fit_and_reuse() {
        let frames = frames(8);
        let a = frames.alloc(2).unwrap();
        let b = frames.alloc(3).unwrap();
        let c = frames.alloc(3).unwrap();
        assert_eq!((a, b, c), (BASE, BASE + 2 * FRAME, BASE + 5 * FRAME));
        assert_eq!((frames.alloc(1), frames.used()), (None, 8));
        frames.free(b, 3).unwrap();
        assert_eq!(frames.alloc(4), None);
        assert_eq!(frames.alloc(1), Some(b));
        assert_eq!(frames.alloc(2), Some(b + FRAME));
        frames.free(a, 2).unwrap();
        assert_eq!(frames.alloc(2), Some(a));
        assert_eq!(frames.used(), 8);
    }

    #[test]
    fn wrong_frees_are_named_and_change_nothing() {
        let frames = frames(8);
        let a = frames.alloc(2).unwrap();
        let b = frames.alloc(2).unwrap();
        assert_eq!(frames.free(BASE - FRAME, 1), Err(FramesError::OutOfRange));
        assert_eq!(frames.free(a + 1, 2), Err(FramesError::OutOfRange));
        assert_eq!(frames.free(BASE + 8 * FRAME, 1), Err(FramesError::OutOfRange));
        assert_eq!(frames.free(b, 7), Err(FramesError::OutOfRange));
        assert_eq!(frames.free(b, usize::MAX), Err(FramesError::OutOfRange));
        assert_eq!(frames.free(u64::MAX, 1), Err(FramesError::OutOfRange));
        assert_eq!(frames.free(BASE + 4 * FRAME, 1), Err(FramesError::NotAllocated));
        assert_eq!(frames.free(a, 1), Err(FramesError::WrongPiece));
        assert_eq!(frames.free(a, 4), Err(FramesError::WrongPiece));
        assert_eq!(frames.free(a, 0), Err(FramesError::WrongPiece));
        assert_eq!(frames.free(a + FRAME, 1), Err(FramesError::WrongPiece));
        assert_eq!(frames.free(b, 3), Err(FramesError::WrongPiece));
        assert_eq!(frames.used(), 4);
        frames.free(a, 2).unwrap();
        assert_eq!(frames.free(a, 2), Err(FramesError::NotAllocated));
        frames.free(b, 2).unwrap();
        assert_eq!(frames.used(), 0);
    }

    #[test]
    fn ranges_are_cut_to_whole_frames() {
        let frames = Frames::new();
        assert_eq!((frames.alloc(1), frames.is_empty()), (None, true));
        assert_eq!(frames.init(BASE + 1..BASE + 3 * FRAME - 1), Ok(1));
        assert_eq!(frames.alloc(1), Some(BASE + FRAME));
        assert_eq!(frames.init(0..FRAME), Err(FramesError::InUse));
        let other = Frames::new();
        assert_eq!(other.init(Range { start: 10, end: 5 }), Ok(0));
        assert_eq!(other.init(u64::MAX - 10..u64::MAX), Ok(0));
        assert_eq!(other.init(0..u64::MAX), Ok(MAX_FRAMES));
        assert_eq!(other.alloc(MAX_FRAMES + 1), None);
        assert_eq!(other.alloc(MAX_FRAMES), Some(0));
        other.free(0, MAX_FRAMES).unwrap();
    }

    /// A long random run against a list of what is out: pieces never overlap, and all come home.
    #[test]
    fn pieces_never_overlap() {
        let frames = frames(256);
        let mut out: Vec<(u64, usize)> = Vec::new();
        let mut seed = 1_u32;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            usize::try_from(seed >> 16).unwrap() % below
        };
        for _ in 0..5000 {
            if random(2) == 0 || out.is_empty() {
                let pages = 1 + random(20);
                if let Some(address) = frames.alloc(pages) {
                    let end =
                        |(address, pages): (u64, usize)| address + u64::try_from(pages).unwrap() * FRAME;
                    let new = (address, pages);
                    assert!(out.iter().all(|&old| end(old) <= address || end(new) <= old.0));
                    assert!(end(new) <= BASE + 256 * FRAME);
                    out.push(new);
                }
            } else {
                let (address, pages) = out.swap_remove(random(out.len()));
                frames.free(address, pages).unwrap();
            }
            assert_eq!(frames.used(), out.iter().map(|&(_, pages)| pages).sum());
        }
        for (address, pages) in out {
            frames.free(address, pages).unwrap();
        }
        assert_eq!(frames.alloc(256), Some(BASE));
    }
}
