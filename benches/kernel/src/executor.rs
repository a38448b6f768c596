//! The smallest executor for up to 32 tasks: a bit for each that is to be polled. What would be the interrupt handler is a look
//! at the used ring: this kernel has no interrupts, for anybody.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::spin_loop;
use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use virtio_core::queue::Bell;

use crate::{meter, ring};

static WOKEN: AtomicU32 = AtomicU32::new(0);

const TABLE: RawWakerVTable = RawWakerVTable::new(|bit| RawWaker::new(bit, &TABLE), wake, wake, |_| {});

fn wake(bit: *const ()) {
    WOKEN.store(WOKEN.load(Relaxed) | 1 << bit.addr(), Relaxed);
}

/// Runs all tasks to their ends, which wait for requests on `queue`: `bell` is rung whenever some are done, and `idle` is called when
/// no task can go on.
pub fn run<F: Future<Output = ()>>(
    tasks: impl Iterator<Item = F>,
    queue: u16,
    bell: &Bell,
    mut idle: impl FnMut(),
) {
    let mut tasks: Vec<Option<Pin<Box<F>>>> = tasks.map(|task| Some(Box::pin(task))).collect();
    assert!(tasks.len() <= 32, "a bit for each");
    WOKEN.store(u32::MAX >> (32 - tasks.len()), Relaxed);
    let mut left = tasks.len();
    let mut seen = ring::used(queue);
    while left > 0 {
        let mut woken = WOKEN.swap(0, Relaxed);
        if woken == 0 {
            idle();
            if meter::counting() {
                ring::settle(queue);
            }
            let used = ring::used(queue);
            if used == seen {
                spin_loop();
            } else {
                seen = used;
                bell.ring();
            }
            continue;
        }
        while woken != 0 {
            let nth = woken.trailing_zeros();
            woken &= woken - 1;
            let place = core::ptr::without_provenance(nth as usize);
            // SAFETY: the functions of the table use the pointer as a number.
            let waker = unsafe { Waker::from_raw(RawWaker::new(place, &TABLE)) };
            let Some(task) = &mut tasks[nth as usize] else { continue };
            if let Poll::Ready(()) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
                tasks[nth as usize] = None;
                left -= 1;
            }
        }
    }
}
