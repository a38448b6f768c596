//! Dropping a future cancels its request: nothing is freed too early, nothing is lost, nobody is held up.

use core::ptr::NonNull;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::task::{Context, Waker};

use virtio_core::Misuse;
use virtio_core::dma::{Lend, Stretch};
use virtio_core::queue::{AsyncPort, Bell, Request};
use virtio_testkit::{FakeDevice, FakeTransport, TestHal};

use crate::common::{Live, assert_reset_before_free, device, hold, up};
use crate::executor::Task;

/// A payload whose end can be seen: it is over when `Arc::strong_count` says so, and it cannot be over twice.
#[derive(Debug)]
pub(crate) struct Counted(pub(crate) Arc<()>);

unsafe impl Lend for Counted {
    fn readable(&self) -> usize {
        0
    }
    fn writable(&self) -> usize {
        0
    }
    unsafe fn readable_at(_this: NonNull<Self>, _index: usize) -> Option<Stretch> {
        None
    }
    unsafe fn writable_at(_this: NonNull<Self>, _index: usize) -> Option<Stretch> {
        None
    }
}

pub(crate) type Counting<'d> = AsyncPort<'d, Counted, FakeTransport, TestHal>;

pub(crate) fn counted(payload: &Arc<()>) -> Request<'static, Counted> {
    Request::new(Counted(payload.clone())).response(1)
}

fn ready(hal: &TestHal) -> (FakeDevice, Live) {
    let device = device(8, hold).build(hal);
    let live = up::<Counted>(&device, hal, 8).unwrap();
    (device, live)
}

async fn send(port: &Counting<'_>, payload: Arc<()>) -> bool {
    let mut answer = [0];
    let done = port.send(counted(&payload), &mut answer).await;
    done.is_ok_and(|done| Arc::ptr_eq(&done.payload.0, &payload) && answer == [9])
}

/// The incumbent's issue 151: a cancelled request at the head of the used ring kept every later one from being seen.
#[test]
fn incumbent_issue_151_a_cancelled_request_that_is_used_first_holds_nobody_up() {
    let hal = TestHal::new();
    let (device, mut live) = ready(&hal);
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Counted>(0).unwrap(), &bell).unwrap();
    let payloads = [(); 3].map(Arc::new);
    let [mut first, mut second, mut third] =
        payloads.clone().map(|payload| Task::waiting(send(&port, payload)));
    first.cancel();
    // The device still has it: nothing is free, nothing is dropped.
    assert_eq!((port.in_flight(), port.free()), (3, 5));
    assert_eq!(Arc::strong_count(&payloads[0]), 2);
    assert!(!first.can_be_woken());
    // It is used first, then the youngest.
    device.complete(0, 0, &[1]);
    device.complete(0, 1, &[9]);
    // Not in the interrupt handler.
    bell.ring();
    assert_eq!(Arc::strong_count(&payloads[0]), 2);
    assert_eq!((first.woken(), second.woken() + third.woken()), (0, 1));
    // At the next poll, of whichever task, once.
    assert!(second.poll().is_none());
    assert_eq!(Arc::strong_count(&payloads[0]), 1);
    assert_eq!((port.in_flight(), port.free()), (1, 6));
    assert_eq!(third.poll(), Some(true));
    device.complete(0, 0, &[9]);
    bell.ring();
    assert_eq!(second.woken(), 1);
    assert_eq!(second.poll(), Some(true));
    assert_eq!((port.in_flight(), port.free()), (0, 8));
    assert!(payloads.iter().all(|payload| Arc::strong_count(payload) == 1));
}

#[test]
fn the_slot_of_a_cancelled_request_serves_again() {
    let hal = TestHal::new();
    let (device, mut live) = ready(&hal);
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Counted>(0).unwrap(), &bell).unwrap();
    let payload = Arc::new(());
    for _ in 0..3 {
        for _ in 0..8 {
            drop(Task::waiting(send(&port, payload.clone())));
        }
        assert_eq!((port.free(), Arc::strong_count(&payload)), (0, 9));
        while device.held(0) > 0 {
            device.complete(0, 0, &[1]);
        }
        port.service();
        assert_eq!((port.free(), Arc::strong_count(&payload)), (8, 1));
    }
}

#[test]
fn dropping_a_future_whose_answer_is_there_ends_it_at_once() {
    let hal = TestHal::new();
    let (device, mut live) = ready(&hal);
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Counted>(0).unwrap(), &bell).unwrap();
    let payload = Arc::new(());
    let mut task = Task::waiting(send(&port, payload.clone()));
    device.complete(0, 0, &[9]);
    port.service();
    assert_eq!((task.woken(), port.free()), (1, 7));
    task.cancel();
    assert_eq!((port.free(), Arc::strong_count(&payload)), (8, 1));
}

#[test]
fn the_one_that_listens_hands_over_when_it_is_dropped() {
    let hal = TestHal::new();
    let (device, mut live) = ready(&hal);
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Counted>(0).unwrap(), &bell).unwrap();
    let payloads = [(); 3].map(Arc::new);
    for was_rung in [false, true] {
        let mut tasks = payloads.clone().map(|payload| Task::waiting(send(&port, payload)));
        // The last one polled listens. It may have been woken for all when it is dropped.
        if was_rung {
            device.complete(0, 0, &[9]);
            bell.ring();
            assert_eq!(tasks.each_mut().map(Task::woken), [0, 0, 1]);
            tasks[2].cancel();
            // What had rung was looked after, and another listens.
            assert_eq!(tasks.each_mut().map(Task::woken), [1, 0, 0]);
            assert_eq!(tasks[0].poll(), Some(true));
        } else {
            tasks[2].cancel();
            device.complete(0, 0, &[9]);
            bell.ring();
            assert_eq!(tasks[0].woken() + tasks[1].woken(), 1);
            assert_eq!((tasks[1].poll(), tasks[0].poll()), (None, Some(true)));
        }
        let interrupts = device.interrupts();
        device.complete(0, 0, &[9]);
        assert_eq!(device.interrupts(), interrupts + 1, "nobody asked for an interrupt");
        bell.ring();
        assert!(tasks[1].woken() > 0);
        assert_eq!(tasks[1].poll(), Some(true));
        device.complete(0, 0, &[9]);
        port.service();
        assert_eq!(port.free(), 8);
    }
}

#[test]
fn a_request_that_is_cancelled_before_it_was_shown_is_shown_and_ends() {
    let hal = TestHal::new();
    let (device, mut live) = ready(&hal);
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Counted>(0).unwrap(), &bell).unwrap();
    let payload = Arc::new(());
    drop(port.start(counted(&payload), &mut []).unwrap());
    assert_eq!((device.held(0), Arc::strong_count(&payload)), (1, 2));
    device.complete(0, 0, &[9]);
    port.service();
    assert_eq!((port.free(), Arc::strong_count(&payload)), (8, 1));
}

#[test]
fn what_was_cancelled_ends_with_the_device_or_when_the_port_is_polled() {
    for polled in [false, true] {
        let hal = TestHal::new();
        let (device, mut live) = ready(&hal);
        let bell = Bell::new();
        let port = AsyncPort::new(live.port::<Counted>(0).unwrap(), &bell).unwrap();
        let payload = Arc::new(());
        drop(Task::waiting(send(&port, payload.clone())));
        let mut port = port.into_port();
        if polled {
            device.complete(0, 0, &[9]);
            assert!(port.poll().unwrap().is_none());
            assert_eq!(Arc::strong_count(&payload), 1);
        }
        hal.clear_trace();
        drop(live);
        assert_eq!(Arc::strong_count(&payload), 1);
        assert_reset_before_free(&hal.trace());
    }
}

#[test]
fn a_future_that_is_forgotten_loses_nothing() {
    let hal = TestHal::new();
    let (device, mut live) = ready(&hal);
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Counted>(0).unwrap(), &bell).unwrap();
    let payloads = [(); 2].map(Arc::new);
    for payload in &payloads {
        core::mem::forget(port.start(counted(payload), &mut []).unwrap());
    }
    port.kick();
    device.complete(0, 0, &[9]);
    port.service();
    let mut port = port.into_port();
    device.complete(0, 0, &[9]);
    for payload in &payloads {
        let back = port.poll().unwrap().unwrap().take_payload().unwrap();
        assert!(Arc::ptr_eq(&back.0, payload));
    }
    assert_eq!(port.free(), 8);
}

/// A future that waits in line, in memory that is never freed. Its port moves to another thread.
#[test]
fn a_place_in_line_that_is_forgotten_is_never_touched_wrongly() {
    static KEPT: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
    let hal = TestHal::new();
    let (device, mut live) = ready(&hal);
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Counted>(0).unwrap(), &bell).unwrap();
    let payloads = [(); 9].map(Arc::new);
    let tasks: Vec<_> =
        payloads[..8].iter().map(|payload| Task::waiting(send(&port, payload.clone()))).collect();
    let mut waits = Box::pin(send(&port, payloads[8].clone()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(waits.as_mut().poll(&mut cx).is_pending());
    // Safe code would forget the box; this way leak checkers know where it is.
    KEPT.store(
        Box::into_raw(unsafe { core::pin::Pin::into_inner_unchecked(waits) }).cast(),
        Ordering::SeqCst,
    );
    drop(tasks);
    for _ in 0..8 {
        device.complete(0, 0, &[9]);
    }
    std::thread::scope(|threads| {
        let moved = threads.spawn(move || {
            port.service();
            // It waits for ever, and nobody gets by.
            let refused = port.start(counted(&Arc::new(())), &mut []).unwrap_err();
            assert_eq!((refused.error, port.free()), (Misuse::QueueFull.into(), 8));
            let behind = Task::waiting(async { port.send(counted(&Arc::new(())), &mut []).await.is_ok() });
            drop(behind);
            drop(port.into_port());
        });
        moved.join().unwrap();
    });
    assert!(payloads[..8].iter().all(|payload| Arc::strong_count(payload) == 1));
}
