//! A device that works and interrupts on another thread, while an executor polls on this one.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use virtio_core::Features;
use virtio_core::queue::{AsyncPort, Bell};
use virtio_testkit::TestHal;

use crate::common::{device, echo};
use crate::{Plain, RINGS, ask, up_with_all};

struct Flag {
    ready: AtomicBool,
    thread: Thread,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.ready.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

async fn many(port: &Plain<'_>, from: u32, count: u32) -> u32 {
    let mut right = 0;
    for n in from..from + count {
        let [byte, ..] = n.to_le_bytes();
        let mut answer = [0];
        let done = port.send(ask(&[byte]), &mut answer).await.unwrap();
        right += u32::from(answer == [byte] && done.written == 1);
    }
    right
}

fn run(features: Features, count: u32) {
    let hal = TestHal::new();
    let device = device(4, echo).features(Features::VERSION_1 | features).manual().build(&hal);
    let mut live = up_with_all::<()>(&device, &hal, 4);
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<()>(0).unwrap(), &bell).unwrap();
    // Four tasks of two descriptors each, for two of which there is room.
    let (one, two, three, four) =
        (many(&port, 0, count), many(&port, 50, count), many(&port, 100, count), many(&port, 150, count));
    let mut tasks: [(_, _, Option<u32>); 4] = {
        let flag = || {
            let ready = AtomicBool::new(true);
            Arc::new(Flag { ready, thread: std::thread::current() })
        };
        [(0, flag(), None), (1, flag(), None), (2, flag(), None), (3, flag(), None)]
    };
    let (mut one, mut two, mut three, mut four) = (pin!(one), pin!(two), pin!(three), pin!(four));
    let stop = AtomicBool::new(false);
    let rings = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut seen = 0;
            while !stop.load(Ordering::Acquire) {
                device.poll();
                // Only when the driver has asked for it.
                let interrupts = device.interrupts();
                if interrupts != seen {
                    seen = interrupts;
                    bell.ring();
                    rings.fetch_add(1, Ordering::Relaxed);
                    if seen % 64 == 0 {
                        hal.clear_trace();
                    }
                }
                std::thread::yield_now();
            }
        });
        // Also when this one fails.
        let _stop = Stop(&stop);
        while tasks.iter().any(|(_, _, outcome)| outcome.is_none()) {
            let mut idle = true;
            for (n, flag, outcome) in &mut tasks {
                if outcome.is_some() || !flag.ready.swap(false, Ordering::Acquire) {
                    continue;
                }
                idle = false;
                let waker = Waker::from(flag.clone());
                let mut cx = Context::from_waker(&waker);
                let polled = match *n {
                    0 => one.as_mut().poll(&mut cx),
                    1 => two.as_mut().poll(&mut cx),
                    2 => three.as_mut().poll(&mut cx),
                    _ => four.as_mut().poll(&mut cx),
                };
                if let Poll::Ready(right) = polled {
                    *outcome = Some(right);
                }
            }
            if idle {
                let parked = std::time::Instant::now();
                std::thread::park_timeout(Duration::from_secs(20));
                let woken = tasks.iter().any(|(_, flag, _)| flag.ready.load(Ordering::Acquire));
                assert!(woken || parked.elapsed() < Duration::from_secs(20), "a wake-up was lost");
            }
        }
    });
    for (_, _, outcome) in tasks {
        assert_eq!(outcome, Some(count));
    }
    assert!(rings.into_inner() > 0);
    assert_eq!((port.in_flight(), port.free()), (0, 4));
}

struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

const COUNT: u32 = if cfg!(miri) { 2 } else { 3000 };

#[test]
fn no_wake_up_is_lost_on_any_ring() {
    for features in RINGS {
        run(features, COUNT);
    }
}
