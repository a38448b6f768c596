//! A doorbell or an interrupt line, and what its sender says of its decisions.
//!
//! Nothing here may order the hand-shake under test. So it is written after the sender has decided, with plain stores, and
//! read by the other side only when it sleeps, after its own last look at the ring.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::yield_now;

/// On cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// One direction.
#[derive(Default)]
pub struct Signal {
    pending: Apart<AtomicBool>,
    decided: Apart<AtomicU64>,
}

/// Polls a little, then lets others run.
#[derive(Default)]
pub struct Patience(u32);

impl Patience {
    /// Between two looks.
    #[inline(always)]
    pub fn pause(&mut self) {
        self.0 = self.0.wrapping_add(1);
        if self.0.is_multiple_of(1024) {
            yield_now();
        }
        std::hint::spin_loop();
    }
}

impl Signal {
    /// Notifies.
    #[inline(always)]
    pub fn send(&self) {
        self.pending.0.store(true, Ordering::Release);
    }

    /// Notifications about the first `count` requests were sent, or will never be.
    #[inline(always)]
    pub fn decided(&self, count: u64) {
        self.decided.0.store(count, Ordering::Release);
    }

    /// Sleeps until notified. Who sleeps has seen the first `seen` requests, and no more when it looked after it had asked.
    /// Answers whether a notification was lost.
    ///
    /// That is certain: a notification about what is decided is pending before that is said, and one that was taken earlier
    /// had brought along the sight of everything that it was about. So if none is pending, and something was decided that
    /// was not seen, none will ever come for it.
    pub fn sleep(&self, seen: u64) -> bool {
        let mut patience = Patience::default();
        loop {
            let decided = self.decided.0.load(Ordering::Acquire);
            if self.pending.0.load(Ordering::Acquire) && self.pending.0.swap(false, Ordering::Acquire) {
                return false;
            }
            if decided > seen {
                return true;
            }
            patience.pause();
        }
    }
}
