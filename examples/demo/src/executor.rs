//! The smallest executor: one task, on a CPU that sleeps while there is nothing to do.
#![allow(unsafe_code, reason = "a waker without a heap is made of a pointer")]

use core::pin::pin;
use core::ptr::from_ref;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

/// Whether the task is to be polled: what its wakers set. It lives in a static, for wakers may be kept for ever.
#[derive(Debug)]
pub struct Woken(AtomicBool);

impl Default for Woken {
    fn default() -> Self {
        Self::new()
    }
}

impl Woken {
    /// A task is polled at least once.
    pub const fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    /// Polls `future` until it is ready. While nothing has woken it, calls `idle`, which sleeps unless the function that it
    /// is given says, asked with interrupts off, that the task was woken meanwhile.
    pub fn block_on<F: Future>(
        &'static self,
        future: F,
        mut idle: impl FnMut(&dyn Fn() -> bool),
    ) -> F::Output {
        let (mut future, waker) = (pin!(future), self.waker());
        self.0.store(true, Ordering::Relaxed);
        loop {
            if !self.0.swap(false, Ordering::Acquire) {
                idle(&|| self.0.load(Ordering::Relaxed));
            } else if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
        }
    }

    fn waker(&'static self) -> Waker {
        // SAFETY: the functions of the table fit a pointer to a `Woken` in a static: there is nothing to count, and the
        // one that follows the pointer reads and writes an atomic.
        unsafe { Waker::from_raw(raw(from_ref(self).cast())) }
    }
}

const fn raw(woken: *const ()) -> RawWaker {
    const TABLE: RawWakerVTable = RawWakerVTable::new(raw_of_same, wake, wake, forget);
    RawWaker::new(woken, &TABLE)
}

unsafe fn raw_of_same(woken: *const ()) -> RawWaker {
    raw(woken)
}

unsafe fn wake(woken: *const ()) {
    // SAFETY: every pointer in a `RawWaker` of this table comes from the `&'static Woken` of `Woken::waker`.
    unsafe { &*woken.cast::<Woken>() }.0.store(true, Ordering::Release);
}

unsafe fn forget(_: *const ()) {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use core::cell::Cell;
    use core::future::poll_fn;

    fn woken() -> &'static Woken {
        Box::leak(Box::new(Woken::new()))
    }

    #[test]
    fn what_is_ready_needs_no_sleep() {
        assert_eq!(woken().block_on(async { 7 }, |_| panic!("nothing to wait for")), 7);
    }

    #[test]
    fn it_sleeps_until_woken_and_polls_once_for_each_wake() {
        let (kept, polls, naps) = (Cell::new(None::<Waker>), Cell::new(0), Cell::new(0));
        let future = poll_fn(|context| {
            polls.set(polls.get() + 1);
            kept.set(Some(context.waker().clone()));
            if polls.get() == 4 { Poll::Ready(()) } else { Poll::Pending }
        });
        woken().block_on(future, |awake| {
            assert!(!awake());
            naps.set(naps.get() + 1);
            // Only every third interrupt is for this task.
            if naps.get() % 3 == 0 {
                kept.take().unwrap().wake();
                assert!(awake(), "an interrupt now would find the CPU awake");
            }
        });
        assert_eq!((polls.get(), naps.get()), (4, 9));
    }

    #[test]
    fn a_wake_during_the_poll_is_not_lost() {
        let polls = Cell::new(0);
        let future = poll_fn(|context| {
            polls.set(polls.get() + 1);
            context.waker().wake_by_ref();
            if polls.get() == 3 { Poll::Ready(()) } else { Poll::Pending }
        });
        woken().block_on(future, |_| panic!("it was woken"));
        assert_eq!(polls.get(), 3);
    }
}
