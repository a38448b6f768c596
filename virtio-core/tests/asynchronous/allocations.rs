//! I-ALLOC: no request as a future takes anything from the heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use virtio_core::queue::{AsyncPort, Bell};
use virtio_testkit::TestHal;

use crate::ask;
use crate::common::{device, echo, up};
use crate::executor::Wakes;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How many allocations this thread makes meanwhile.
fn allocations<O>(work: impl FnOnce() -> O) -> (usize, O) {
    let before = ALLOCATIONS.get();
    let output = work();
    (ALLOCATIONS.get() - before, output)
}

#[test]
fn the_allocations_are_counted() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))).0, 1);
}

#[test]
fn no_request_allocates_also_if_it_waits_for_descriptors_or_is_cancelled() {
    let hal = TestHal::new();
    // It works when the test says so, and wants no notifications: what it allocates itself is not counted.
    let device = device(4, echo).manual().build(&hal);
    let mut live = up::<()>(&device, &hal, 4).unwrap();
    device.suppress_notifications(0, true);
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<()>(0).unwrap(), &bell).unwrap();
    let waker = Waker::from(std::sync::Arc::new(Wakes::default()));
    let mut cx = Context::from_waker(&waker);
    let mut total = 0;
    for n in 0..if cfg!(miri) { 5 } else { 1000_u32 } {
        let header = n.to_le_bytes();
        let mut answers = [[0]; 4];
        let [one, two, three, four] = &mut answers;
        let mut one = pin!(port.send(ask(&header[..1]), one));
        let mut waits = pin!(port.send(ask(&header[..1]), three));
        {
            // In flight, and waiting for descriptors, and then cancelled.
            let mut two = pin!(port.send(ask(&header[..1]), two));
            let mut gives_up = pin!(port.send(ask(&header[..1]), four));
            let (count, pending) = allocations(|| {
                one.as_mut().poll(&mut cx).is_pending()
                    && two.as_mut().poll(&mut cx).is_pending()
                    && waits.as_mut().poll(&mut cx).is_pending()
                    && gives_up.as_mut().poll(&mut cx).is_pending()
            });
            assert!(pending);
            total += count;
            let before = ALLOCATIONS.get();
            // The two are dropped here.
            let _counted = Since { before, total: &mut total };
        }
        device.poll();
        let (count, ready) = allocations(|| {
            bell.ring();
            waits.as_mut().poll(&mut cx).is_pending()
                && matches!(one.as_mut().poll(&mut cx), Poll::Ready(Ok(_)))
        });
        assert!(ready);
        total += count;
        device.poll();
        let (count, ready) = allocations(|| matches!(waits.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
        assert!(ready);
        total += count;
    }
    assert_eq!(port.free(), 4);
    assert_eq!(total, 0);
}

/// Adds what was allocated since, when it is dropped.
struct Since<'t> {
    before: usize,
    total: &'t mut usize,
}

impl Drop for Since<'_> {
    fn drop(&mut self) {
        *self.total += ALLOCATIONS.get() - self.before;
    }
}
