//! What an interrupt handler raises when no queue's bell is due.

use core::cell::Cell;
use core::fmt;
use core::task::Waker;
use critical_section::Mutex;

/// Wakes one task, once. It keeps nothing else: what happened stands where the task looks after it has registered.
pub struct Signal(Mutex<Cell<Option<Waker>>>);

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").finish_non_exhaustive()
    }
}

impl Default for Signal {
    fn default() -> Self {
        Self::new()
    }
}

impl Signal {
    /// Nobody listens yet.
    pub const fn new() -> Self {
        Self(Mutex::new(Cell::new(None)))
    }

    /// Wakes whoever has registered. May be called from an interrupt handler.
    pub fn raise(&self) {
        if let Some(waker) = self.swap(None) {
            waker.wake();
        }
    }

    /// The next signal is for `waker`, and for nobody else.
    pub fn register(&self, waker: &Waker) {
        drop(self.swap(Some(waker.clone())));
    }

    /// Wakers are cloned, woken and dropped outside the critical section.
    fn swap(&self, waker: Option<Waker>) -> Option<Waker> {
        critical_section::with(|section| self.0.borrow(section).replace(waker))
    }
}
