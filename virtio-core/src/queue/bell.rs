//! What an interrupt handler rings.

use core::cell::Cell;
use core::fmt;
use core::task::Waker;

use critical_section::Mutex;

/// Wakes the task that listens to a queue. It belongs to the kernel, in a static usually, and its interrupt handler rings it
/// after it has acknowledged the device's interrupt:
///
/// ```
/// use virtio_core::Transport;
/// use virtio_core::queue::Bell;
///
/// static DISK: Bell = Bell::new();
///
/// fn handler(transport: &impl Transport) {
///     transport.ack_interrupt();
///     DISK.ring();
/// }
/// ```
///
/// One bell serves one [`AsyncPort`](super::AsyncPort). Where one interrupt stands for several queues or devices, its handler
/// rings the bell of each: a ring that nobody needs costs a wake-up at most.
///
/// # Critical sections
/// A bell, and nothing else in this crate, uses the `critical-section` crate, so whoever makes one has to link an
/// implementation. In the section a waker changes its place and no more: it is cloned, woken and dropped outside.
//
// All methods are `inline`, so that code for them, which refers to the implementation, exists only where they are used.
pub struct Bell {
    listener: Mutex<Cell<Option<Waker>>>,
    taken: Mutex<Cell<bool>>,
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").finish_non_exhaustive()
    }
}

impl Default for Bell {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

impl Bell {
    /// A bell that nobody listens to.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self { listener: Mutex::new(Cell::new(None)), taken: Mutex::new(Cell::new(false)) }
    }

    /// Wakes whoever listens, once. May be called from an interrupt handler, on any CPU, at any time.
    #[inline]
    pub fn ring(&self) {
        if let Some(waker) = self.swap(None) {
            waker.wake();
        }
    }

    /// The next ring is for `waker`, and for nobody else. What rang before does not count: look at the queue after this.
    #[inline]
    pub(super) fn register(&self, waker: &Waker) {
        if !self.listens(waker) {
            drop(self.swap(Some(waker.clone())));
        }
    }

    /// The next ring is for nobody.
    #[inline]
    pub(super) fn silence(&self) {
        drop(self.swap(None));
    }

    /// Whether a ring would do the same as waking `waker`.
    #[inline]
    fn listens(&self, waker: &Waker) -> bool {
        critical_section::with(|section| {
            let listener = self.listener.borrow(section);
            let now = listener.take();
            let same = now.as_ref().is_some_and(|now| now.will_wake(waker));
            // Nothing is dropped here: the place was just emptied.
            listener.set(now);
            same
        })
    }

    #[inline]
    fn swap(&self, waker: Option<Waker>) -> Option<Waker> {
        critical_section::with(|section| self.listener.borrow(section).replace(waker))
    }
}

/// The use of a bell by the only port that it serves.
#[derive(Debug)]
pub(super) struct Listening<'b> {
    bell: &'b Bell,
}

impl<'b> Listening<'b> {
    /// `None` if another port has it.
    #[inline]
    pub(super) fn to(bell: &'b Bell) -> Option<Self> {
        let was_taken = critical_section::with(|section| bell.taken.borrow(section).replace(true));
        (!was_taken).then_some(Self { bell })
    }

    #[inline]
    pub(super) const fn bell(&self) -> &'b Bell {
        self.bell
    }
}

impl Drop for Listening<'_> {
    #[inline]
    fn drop(&mut self) {
        self.bell.silence();
        critical_section::with(|section| self.bell.taken.borrow(section).set(false));
    }
}
