//! Tasks that wait for their turn, in a line without a heap: each has its place in its own future (a room of unsafe code).
//!
//! **Members Pinned**: every pointer in a line, its ends and the links of its members, leads to a [`Place`] that has joined
//! that line and not left it. A place joins only when it is pinned, and leaves at the latest when it is dropped; `Pin` promises
//! that its memory is not used for anything else before. A place that is forgotten stays in the line, in memory that is never
//! used again.
//!
//! **One Thread**: a line and its places are reached from one thread at a time: neither is `Sync`, and a place borrows its
//! line, so a line moves to another thread only when no place can be used any more. All that changes is in `Cell`s, no
//! reference into which is ever made.
#![expect(unsafe_code, reason = "links places that lie in their owners' futures")]

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::Waker;

/// Who waits, first come, first served.
pub(super) struct Line {
    first: Cell<Option<NonNull<Links>>>,
    last: Cell<Option<NonNull<Links>>>,
}

/// The part of a place that other places and the line refer to.
struct Links {
    next: Cell<Option<NonNull<Links>>>,
    previous: Cell<Option<NonNull<Links>>>,
    waker: Cell<Option<Waker>>,
    /// What is waited for: so many of whatever it is.
    need: Cell<u16>,
    joined: Cell<bool>,
    _pinned: PhantomPinned,
}

/// A place in a line.
pub(super) struct Place<'l> {
    line: &'l Line,
    links: Links,
}

// SAFETY: One Thread: when a line moves, its places are gone or forgotten: nobody else reaches them. What a line takes out
// of them, wakers, is `Send`.
unsafe impl Send for Line {}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Line(empty)" } else { "Line(waiting)" })
    }
}

impl Line {
    pub(super) const fn new() -> Self {
        Self { first: Cell::new(None), last: Cell::new(None) }
    }

    pub(super) const fn place(&self) -> Place<'_> {
        let links = Links {
            next: Cell::new(None),
            previous: Cell::new(None),
            waker: Cell::new(None),
            need: Cell::new(0),
            joined: Cell::new(false),
            _pinned: PhantomPinned,
        };
        Place { line: self, links }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.get().is_none()
    }

    fn links(&self, member: Option<NonNull<Links>>) -> Option<&Links> {
        // SAFETY: Members Pinned: `member` is a pointer of this line, so it leads to live links; One Thread: nobody else
        // uses them, and they stay where they are: nothing but cells is changed through this reference or any other. It is
        // used before anything that could leave the line.
        member.map(|member| unsafe { member.as_ref() })
    }

    /// What the first in line waits for.
    pub(super) fn first_need(&self) -> Option<u16> {
        self.links(self.first.get()).map(|first| first.need.get())
    }

    /// The waker of the first in line, unless it was woken already.
    pub(super) fn call_first(&self) -> Option<Waker> {
        self.links(self.first.get())?.waker.take()
    }

    /// A copy of the waker of the first in line, unless it was woken already.
    pub(super) fn first_waker(&self) -> Option<Waker> {
        let first = self.first.get();
        let waker = self.links(first)?.waker.take()?;
        // No member is borrowed while foreign code makes the copy.
        let copy = waker.clone();
        if self.first.get() == first {
            // Still a member, or a new one in the same place.
            if let Some(first) = self.links(first) {
                drop(first.waker.replace(Some(waker)));
            }
        } else {
            // It has left meanwhile. What it waited for may be another's, who looks for himself.
            waker.wake();
        }
        Some(copy)
    }

    /// Sends the first in line away. Answers whether there was one, with its waker.
    pub(super) fn dismiss_first(&self) -> Option<Option<Waker>> {
        let first = self.links(self.first.get())?;
        let waker = first.waker.take();
        self.unlink(first);
        Some(waker)
    }

    fn unlink(&self, links: &Links) {
        if !links.joined.replace(false) {
            return;
        }
        let (previous, next) = (links.previous.take(), links.next.take());
        match self.links(previous) {
            Some(previous) => previous.next.set(next),
            None => self.first.set(next),
        }
        match self.links(next) {
            Some(next) => next.previous.set(previous),
            None => self.last.set(previous),
        }
    }
}

impl Place<'_> {
    /// Joins the line at its end, if it has not yet.
    pub(super) fn join(self: Pin<&Self>) {
        let links = &self.get_ref().links;
        if links.joined.replace(true) {
            return;
        }
        let here = NonNull::from(links);
        let last = self.line.last.replace(Some(here));
        links.previous.set(last);
        match self.line.links(last) {
            Some(last) => last.next.set(Some(here)),
            None => self.line.first.set(Some(here)),
        }
    }

    /// Leaves the line. Its waker is dropped.
    pub(super) fn leave(&self) {
        self.line.unlink(&self.links);
        drop(self.links.waker.take());
    }

    /// Whether nobody is before this one: it is the first, or could be.
    pub(super) fn is_next(&self) -> bool {
        match self.line.first.get() {
            Some(first) => first == NonNull::from(&self.links),
            None => true,
        }
    }

    pub(super) fn need(&self) -> u16 {
        self.links.need.get()
    }

    pub(super) fn set_need(&self, need: u16) {
        self.links.need.set(need);
    }

    /// Leaves a waker, or takes it away; answers the one that was there.
    pub(super) fn set_waker(&self, waker: Option<Waker>) -> Option<Waker> {
        self.links.waker.replace(waker)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
