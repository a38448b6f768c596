//! The queues of one device, in private memory (a room of unsafe code).
//!
//! **Set In Place**: the first `len` places of the pages hold live queues.
#![expect(unsafe_code, reason = "keeps queues in private pages")]

use core::ptr::NonNull;

use super::{Queue, Setup};
use crate::dma::{Private, Stopped};
use crate::{Error, Hal, Misuse, QueueIndex};

/// Queues that are released, those too that a panic of a payload leaves over.
struct Rest<'s, H: Hal> {
    set: &'s mut QueueSet<H>,
    hal: &'s H,
    proof: &'s Stopped,
}

impl<H: Hal> Rest<'_, H> {
    fn release(mut self) {
        self.release_all();
        self.set.pages = None;
    }

    fn release_all(&mut self) {
        while let Some(mut queue) = self.set.pop() {
            queue.release_all(self.hal, self.proof, |_, _| {});
        }
    }
}

impl<H: Hal> Drop for Rest<'_, H> {
    fn drop(&mut self) {
        self.release_all();
    }
}

/// All queues of a device.
#[derive(Debug)]
pub(crate) struct QueueSet<H: Hal> {
    pages: Option<Private<H>>,
    room: usize,
    len: usize,
    /// Whether a device may know of the rings: then they are never freed without the proof of a reset.
    armed: bool,
}

// SAFETY: the queues lie in pages that this value owns; each is made of regions and pages that are `Send`, and of
// payloads that are `Send`, handed over by value and touched through this value alone.
unsafe impl<H: Hal> Send for QueueSet<H> {}
// SAFETY: `&QueueSet` gives out numbers only.
unsafe impl<H: Hal> Sync for QueueSet<H> {}

impl<H: Hal> QueueSet<H> {
    pub(crate) const fn empty() -> Self {
        Self { pages: None, room: 0, len: 0, armed: false }
    }

    /// Room for `room` queues.
    pub(crate) fn with_room(hal: H, room: usize) -> Result<Self, Error> {
        const { assert!(align_of::<Queue<H>>() <= 4096) };
        if room == 0 {
            return Ok(Self::empty());
        }
        let bytes = size_of::<Queue<H>>().checked_mul(room).ok_or(Misuse::BadLength)?;
        Ok(Self { pages: Some(Private::new(hal, bytes)?), room, len: 0, armed: false })
    }

    /// From here on the device may know of the rings.
    pub(crate) fn arm(&mut self) {
        self.armed = true;
    }

    /// Builds one more queue, in its place.
    pub(crate) fn add(&mut self, hal: &H, setup: &Setup) -> Result<&mut Queue<H>, Error>
    where
        H: Clone,
    {
        let Some(pages) = self.pages.as_ref().filter(|_| self.len < self.room) else {
            return Err(Misuse::NoSuchQueue.into());
        };
        // SAFETY: `len < room`, and the pages have room for that many.
        let mut place = unsafe { pages.ptr().cast::<Queue<H>>().add(self.len) };
        match Queue::new(hal, setup) {
            // SAFETY: in bounds, aligned, and not yet in use.
            Ok(queue) => unsafe { place.write(queue) },
            Err(error) => return Err(error),
        }
        self.len = self.len.saturating_add(1);
        // SAFETY: Set In Place, borrowed with `self`.
        Ok(unsafe { place.as_mut() })
    }

    pub(crate) fn all(&mut self) -> &mut [Queue<H>] {
        let Some(pages) = &self.pages else { return &mut [] };
        let mut queues = NonNull::slice_from_raw_parts(pages.ptr().cast::<Queue<H>>(), self.len);
        // SAFETY: Set In Place, borrowed with `self`.
        unsafe { queues.as_mut() }
    }

    /// The queue of that index.
    pub(crate) fn get(&mut self, index: QueueIndex) -> Option<&mut Queue<H>> {
        let queues = self.all();
        // Most front-ends declare all of a device's queues, in order.
        let likely = usize::from(index.get());
        let at = match queues.get(likely) {
            Some(queue) if queue.index() == index => likely,
            _ => queues.iter().position(|queue| queue.index() == index)?,
        };
        queues.get_mut(at)
    }

    /// All queues, to be lent one by one.
    pub(crate) fn each(&mut self) -> core::slice::IterMut<'_, Queue<H>> {
        self.all().iter_mut()
    }

    fn pop(&mut self) -> Option<Queue<H>> {
        let last = self.len.checked_sub(1)?;
        let pages = self.pages.as_ref()?;
        self.len = last;
        // SAFETY: `last` is in bounds.
        let place = unsafe { pages.ptr().cast::<Queue<H>>().add(last) };
        // SAFETY: Set In Place: a live queue, which the shorter `len` has just disowned.
        Some(unsafe { place.read() })
    }

    /// Takes all memory of all requests back, and frees the queues: the device was reset.
    pub(crate) fn release(&mut self, hal: &H, proof: &Stopped) {
        self.armed = false;
        let rest = Rest { set: self, hal, proof };
        rest.release();
    }

    /// Gives the queues up without freeing them: the device may still use them.
    pub(crate) fn leak(&mut self) {
        while let Some(queue) = self.pop() {
            queue.leak();
        }
        self.pages = None;
    }
}

impl<H: Hal> Drop for QueueSet<H> {
    /// Frees queues that no device was ever told of. Otherwise the guard has released or leaked them before, unless it was
    /// cut short by a panic: then they are leaked here (I-RESET).
    fn drop(&mut self) {
        if self.armed {
            self.leak();
        } else {
            while self.pop().is_some() {}
        }
    }
}
