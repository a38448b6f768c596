//! What a queue needs now and then, kept out of its way (a room of unsafe code).
//!
//! **Cold In Place**: `place` leads to a live `Cold` in the private pages that this same `Cold` owns; it belongs to this
//! value alone.
#![expect(unsafe_code, reason = "keeps a value in pages that the value owns")]

use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::area::RequestArea;
use super::split::Regions;
use crate::dma::{Private, Region};
use crate::transport::Doorbell;
use crate::{Hal, Misbehaved, QueueIndex};

/// Why a queue takes no requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Closed {
    /// It saw a violated invariant.
    Broken(Misbehaved),
    /// It was stopped, and not started again.
    Stopped,
}

/// The cold half of a queue.
pub(super) struct Cold<H: Hal> {
    pub(super) area: RequestArea<H>,
    pub(super) regions: Regions<H>,
    pub(super) index: QueueIndex,
    pub(super) doorbell: Option<Doorbell>,
    pub(super) closed: Option<Closed>,
    /// The device ends what it is at when the queue is reset.
    pub(super) drains_on_reset: bool,
    /// The pages that this lies in, and all private records of the queue.
    pub(super) pages: Private<H>,
}

/// A place for a `Cold` in private pages. **Place Free**: it was laid out for a `Cold` of the same Hal, and is used by nobody;
/// the pages come with it and go into the `Cold`.
#[derive(Debug)]
pub(super) struct Place(pub(super) NonNull<u8>);

/// A `Cold` in its place.
pub(super) struct ColdBox<H: Hal> {
    place: NonNull<Cold<H>>,
}

// SAFETY: Cold In Place: an owner, and what it owns is `Send`.
unsafe impl<H: Hal> Send for ColdBox<H> {}
// SAFETY: Cold In Place: `&ColdBox` gives out `&Cold`, which is `Sync`.
unsafe impl<H: Hal> Sync for ColdBox<H> {}

impl<H: Hal> fmt::Debug for ColdBox<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cold({}, {:?})", self.index, self.closed)
    }
}

impl<H: Hal> ColdBox<H> {
    /// A `Cold` without any memory but the pages it lies in: what `Slots::new` has allocated. The rest is allocated when it
    /// is there, and never moved.
    pub(super) fn new(place: Place, pages: Private<H>, index: QueueIndex) -> Self {
        let place = place.0.cast::<Cold<H>>();
        let cold = Cold {
            area: RequestArea::EMPTY,
            regions: [const { None }; 3],
            index,
            doorbell: None,
            closed: None,
            drains_on_reset: false,
            pages,
        };
        // SAFETY: Place Free: aligned, with room for a `Cold`, and used by nobody else; `place` is consumed.
        unsafe { place.write(cold) };
        Self { place }
    }

    /// Where the memory came from: nothing before there is any.
    pub(super) fn hal(&self) -> Option<&H> {
        self.regions.iter().flatten().next().map(Region::hal)
    }

    /// Says that all this memory is lost.
    pub(super) fn report_leak(&self) {
        for region in self.regions.iter().flatten() {
            region.report_leak();
        }
        self.area.report_leak();
        self.pages.report_leak();
    }
}

impl<H: Hal> Deref for ColdBox<H> {
    type Target = Cold<H>;

    fn deref(&self) -> &Cold<H> {
        // SAFETY: Cold In Place, borrowed with `self`.
        unsafe { self.place.as_ref() }
    }
}

impl<H: Hal> DerefMut for ColdBox<H> {
    fn deref_mut(&mut self) -> &mut Cold<H> {
        // SAFETY: Cold In Place, borrowed with `self`.
        unsafe { self.place.as_mut() }
    }
}

impl<H: Hal> Drop for ColdBox<H> {
    fn drop(&mut self) {
        // Out of the pages first, for dropping it frees them.
        // SAFETY: Cold In Place: live, and read only here.
        drop(unsafe { self.place.read() });
    }
}
