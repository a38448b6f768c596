//! Register, then look again: whenever the device answers, and whatever was rung before, no wake-up is lost.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use virtio_core::Features;
use virtio_core::queue::{AsyncPort, Bell};
use virtio_testkit::{FakeDevice, TestHal};

use crate::ask;
use crate::common::{device, echo, hold, up};
use crate::executor::{Task, Wakes};

type Hook = Box<dyn FnMut()>;

thread_local! {
    /// What happens when a waker of `hooked` is cloned.
    static ON_CLONE: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        let inner = unsafe { ManuallyDrop::new(Box::from_raw(data.cast::<Waker>().cast_mut())) };
        let hook = ON_CLONE.with_borrow_mut(Option::take);
        if let Some(mut hook) = hook {
            hook();
            ON_CLONE.with_borrow_mut(|place| {
                place.get_or_insert(hook);
            });
        }
        raw(Waker::clone(&inner))
    },
    |data| unsafe { Box::from_raw(data.cast::<Waker>().cast_mut()) }.wake(),
    |data| unsafe { ManuallyDrop::new(Box::from_raw(data.cast::<Waker>().cast_mut())) }.wake_by_ref(),
    |data| drop(unsafe { Box::from_raw(data.cast::<Waker>().cast_mut()) }),
);

fn raw(waker: Waker) -> RawWaker {
    RawWaker::new(Box::into_raw(Box::new(waker)).cast_const().cast(), &VTABLE)
}

/// A waker that does something whenever it is cloned, which is between two steps of a poll.
fn hooked(inner: Waker, hook: impl FnMut() + 'static) -> Waker {
    ON_CLONE.set(Some(Box::new(hook)));
    unsafe { Waker::from_raw(raw(inner)) }
}

struct Unhook;

impl Drop for Unhook {
    fn drop(&mut self) {
        ON_CLONE.set(None);
    }
}

#[test]
fn an_answer_that_comes_while_a_task_registers_is_seen() {
    // The device answers, and rings, when the waker is cloned for the n-th time: before it is left with the request, before
    // it is left with the bell.
    for features in [Features::empty(), Features::EVENT_IDX] {
        for n in 1..=2 {
            let hal = TestHal::new();
            let device = device(8, hold).features(Features::VERSION_1 | features).build(&hal);
            let mut live = up::<()>(&device, &hal, 8).unwrap();
            static BELL: Bell = Bell::new();
            let port = AsyncPort::new(live.port::<()>(0).unwrap(), &BELL).unwrap();
            let mut task = Task::new(async { port.send(ask(b"1"), &mut [0]).await.is_ok() });
            let (mut clones, there) = (0, device.clone());
            let _unhook = Unhook;
            let waker = hooked(Waker::noop().clone(), move || {
                clones += 1;
                if clones == n {
                    there.complete(0, 0, b"x");
                    // For nobody.
                    BELL.ring();
                }
            });
            assert_eq!(task.poll_with(&waker), Some(true), "clone {n}: it waits for an interrupt that was");
            assert_eq!(device.held(0), 0);
        }
    }
}

/// A waker that uses the port when it is cloned, which `hand_over` does on behalf of another task.
#[test]
fn a_waker_may_use_the_port_when_it_is_cloned() {
    static BELL: Bell = Bell::new();
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    let port = Rc::new(AsyncPort::new(live.port::<()>(0).unwrap(), &BELL).unwrap());
    // As long as the hook lives, the port does.
    let address = Rc::as_ptr(&port).cast::<()>();
    let mut waits = Task::new(async { port.send(ask(b"1"), &mut [0]).await.is_ok() });
    let mut other = Task::new(async { port.send(ask(b"2"), &mut [0]).await.is_ok() });
    let _unhook = Unhook;
    let there = device.clone();
    let wakes = std::sync::Arc::new(Wakes::default());
    let mut armed = false;
    let waker = hooked(Waker::from(wakes.clone()), move || {
        let port = unsafe { &*address.cast::<crate::Plain<'_>>() };
        if std::mem::replace(&mut armed, true) && there.held(0) == 2 {
            // While the port hands over: the one whose waker this is has its answer.
            there.complete(0, 0, b"x");
        }
        port.service();
    });
    assert!(waits.poll_with(&waker).is_none());
    assert!(other.poll().is_none());
    // The one that listens ends, and hands over to the first.
    other.cancel();
    assert!(wakes.count() > 0, "nobody woke it");
    assert_eq!(waits.poll(), Some(true));
}

#[test]
fn a_ring_before_anybody_listens_is_not_missed() {
    let hal = TestHal::new();
    let device = device(8, echo).build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<()>(0).unwrap(), &bell).unwrap();
    let mut answer = [0];
    let request = port.start(ask(b"1"), &mut answer).unwrap();
    port.kick();
    bell.ring();
    assert!(Task::new(request).poll().unwrap().is_ok());
    assert_eq!(answer, *b"1");
}

/// An executor that polls inside `wake`: a wake-up that comes while the port is in use must not find it so.
#[test]
fn a_wake_up_may_poll_at_once() {
    type Shared = Arc<std::sync::Mutex<Vec<(usize, bool)>>>;
    thread_local! {
        static TASKS: RefCell<Vec<Option<Task<'static, bool>>>> = const { RefCell::new(Vec::new()) };
    }
    struct Inline(usize, Shared);
    impl std::task::Wake for Inline {
        fn wake(self: Arc<Self>) {
            let task = TASKS.with_borrow_mut(|tasks| tasks[self.0].take());
            let Some(mut task) = task else { return };
            let waker = Waker::from(self.clone());
            match task.poll_with(&waker) {
                Some(outcome) => self.1.lock().unwrap().push((self.0, outcome)),
                None => TASKS.with_borrow_mut(|tasks| tasks[self.0] = Some(task)),
            }
        }
    }
    static BELL: Bell = Bell::new();
    // The tasks live as long as the thread, as far as the compiler can tell: all three are dropped by hand.
    let hal = Box::into_raw(Box::new(TestHal::new()));
    let device: FakeDevice = device(4, hold).build(unsafe { &*hal });
    let live = Box::into_raw(Box::new(up::<()>(&device, unsafe { &*hal }, 4).unwrap()));
    let lent = unsafe { &mut *live }.port::<()>(0).unwrap();
    let owned = Box::into_raw(Box::new(AsyncPort::new(lent, &BELL).unwrap()));
    let port: &'static crate::Plain<'static> = unsafe { &*owned };
    let done: Shared = Shared::default();
    for n in 0..6_u8 {
        // The last four wait for descriptors, and are let in by the end of others.
        let task = Task::new(async move { port.send(ask(&[n]), &mut [0]).await.is_ok() });
        TASKS.with_borrow_mut(|tasks| tasks.push(Some(task)));
        Waker::from(Arc::new(Inline(usize::from(n), done.clone()))).wake();
    }
    for _ in 0..3 {
        assert_eq!(device.held(0), 2);
        device.complete(0, 1, b"x");
        device.complete(0, 0, b"x");
        BELL.ring();
    }
    let mut ended: Vec<_> = done.lock().unwrap().clone();
    ended.sort_unstable();
    assert_eq!(ended, [0, 1, 2, 3, 4, 5].map(|n| (n, true)));
    assert_eq!((port.in_flight(), port.free()), (0, 4));
    TASKS.with_borrow_mut(Vec::clear);
    drop(unsafe { Box::from_raw(owned) });
    drop(unsafe { Box::from_raw(live) });
    drop(device);
    drop(unsafe { Box::from_raw(hal) });
}
