//! Waiting for descriptors: first come, first served, all at once.

use std::sync::Arc;

use virtio_core::dma::{Readable, Writable};
use virtio_core::queue::{AsyncPort, Bell, Request};
use virtio_core::{Error, Misuse};
use virtio_testkit::{Call, FakeTransport, TestHal};

use crate::cancelled::{Counted, counted};
use crate::common::{Bytes, Room, device, hold, up};
use crate::executor::{Task, woken};

type Pair = (Bytes, Room);
type Pairs<'d> = AsyncPort<'d, Pair, FakeTransport, TestHal>;

/// One descriptor, for the device to read.
async fn small(port: &Pairs<'_>, n: u8) -> bool {
    let payload = (Readable(vec![n]), Writable(vec![]));
    port.send(Request::new(payload), &mut []).await.is_ok_and(|done| done.payload.0.0 == [n])
}

/// Four descriptors.
async fn big(port: &Pairs<'_>, n: u8) -> bool {
    let payload = (Readable(vec![n; 2]), Writable(vec![0]));
    let mut answer = [0];
    let done = port.send(Request::new(payload).header(&[n]).response(1), &mut answer).await;
    done.is_ok_and(|done| done.payload.1.0 == [n] && answer == [n])
}

#[test]
fn a_big_request_gets_all_it_needs_at_once_and_nobody_overtakes_it() {
    let hal = TestHal::new();
    let device = device(4, hold).build(&hal);
    let mut live = up::<Pair>(&device, &hal, 4).unwrap();
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Pair>(0).unwrap(), &bell).unwrap();
    let mut before: Vec<_> = (0..3).map(|n| Task::waiting(small(&port, n))).collect();
    let mut large = Task::waiting(big(&port, 10));
    // One descriptor is free, and these need one each. They would fit.
    let mut after: Vec<_> = (20..22).map(|n| Task::waiting(small(&port, n))).collect();
    assert_eq!((port.free(), device.held(0)), (1, 3));
    let late = port.start(Request::new((Readable(vec![9]), Writable(vec![]))), &mut []).unwrap_err();
    assert_eq!((late.error, &late.payload.0.0), (Misuse::QueueFull.into(), &vec![9]));
    assert_eq!(port.post(Request::new(late.payload)).unwrap_err().error, Misuse::QueueFull.into());
    for (n, task) in before.iter_mut().enumerate() {
        device.complete(0, 0, &[]);
        bell.ring();
        // Whoever listens sees to it.
        for task in &mut after {
            assert!(task.poll().is_none());
        }
        assert_eq!(task.poll(), Some(true));
        assert_eq!(port.free(), 2 + u16::try_from(n).unwrap());
        // It waits with nothing in its hands.
        assert_eq!(device.held(0), 2 - n);
        if n < 2 {
            assert!(large.poll().is_none());
            // It has tried, and does not before more is free.
            let tried = hal.calls(Call::Share);
            assert!(large.poll().is_none());
            assert_eq!(hal.calls(Call::Share), tried);
        }
    }
    assert_eq!(port.free(), 4);
    assert!(large.woken() > 0);
    assert!(large.poll().is_none());
    assert_eq!((port.free(), device.held(0)), (0, 1));
    // Who comes next is not woken before there is room, then one after the other.
    woken(&mut after);
    device.complete(0, 0, &[10, 10]);
    port.service();
    assert_eq!(large.poll(), Some(true));
    assert_eq!((after[0].woken(), after[1].woken()), (1, 0));
    assert!(after[0].poll().is_none());
    assert_eq!(after[1].woken(), 1);
    assert!(after[1].poll().is_none());
    assert_eq!(device.held_readable(0), [[20], [21]]);
    device.complete(0, 0, &[]);
    device.complete(0, 0, &[]);
    assert_eq!((after[1].poll(), after[0].poll()), (Some(true), Some(true)));
    assert_eq!((port.free(), hal.outstanding().shares), (4, 0));
}

#[test]
fn who_gives_up_waiting_lets_the_next_one_in() {
    let hal = TestHal::new();
    let device = device(4, hold).build(&hal);
    let mut live = up::<Pair>(&device, &hal, 4).unwrap();
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Pair>(0).unwrap(), &bell).unwrap();
    let mut first = Task::waiting(small(&port, 1));
    let mut large = Task::waiting(big(&port, 10));
    let [mut next, mut other, mut last] = [2, 3, 4].map(|n| Task::waiting(small(&port, n)));
    // One from the middle: nobody else gets anywhere.
    other.cancel();
    assert_eq!((next.woken(), last.woken(), device.held(0)), (0, 0, 1));
    // The first in line: three descriptors are free, for one each.
    large.cancel();
    assert_eq!((next.woken(), last.woken()), (1, 0));
    assert!(next.poll().is_none());
    assert_eq!(last.woken(), 1);
    assert!(last.poll().is_none());
    assert_eq!((device.held(0), port.free()), (3, 1));
    // Woken, and dropped before it could take them: the wake-up goes to the next one.
    let mut more = [5, 6, 7].map(|n| Task::new(small(&port, n)));
    assert!(more.iter_mut().all(|task| task.poll().is_none()));
    device.complete(0, 0, &[]);
    assert_eq!(first.poll(), Some(true));
    assert_eq!(more.each_mut().map(Task::woken), [0, 1, 0]);
    more[1].cancel();
    assert_eq!(more.each_mut().map(Task::woken), [0, 0, 1]);
    assert!(more[2].poll().is_none());
    assert_eq!(device.held_readable(0), [[2], [4], [5], [7]]);
}

#[test]
fn many_more_than_fit_are_served_in_the_order_in_which_they_came() {
    const MANY: u8 = if cfg!(miri) { 20 } else { 200 };
    let hal = TestHal::new();
    let device = device(4, hold).build(&hal);
    let mut live = up::<Pair>(&device, &hal, 4).unwrap();
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Pair>(0).unwrap(), &bell).unwrap();
    let mut tasks: Vec<_> = (0..MANY).map(|n| Task::waiting(small(&port, n))).collect();
    let mut served = Vec::new();
    let mut done = 0;
    for _ in 0..10 * usize::from(MANY) {
        if device.held(0) > 0 {
            served.push(device.held_readable(0)[0][0]);
            let interrupts = device.interrupts();
            device.complete(0, 0, &[]);
            if device.interrupts() > interrupts {
                bell.ring();
            }
        }
        // Those that were woken, in the order of the last come first.
        for task in tasks.iter_mut().rev() {
            if task.woken() > 0 {
                done += usize::from(task.poll() == Some(true));
            }
        }
    }
    assert_eq!(done, usize::from(MANY), "somebody was not woken");
    assert!(served.into_iter().eq(0..MANY));
}

#[test]
fn when_all_in_flight_is_cancelled_who_waits_for_descriptors_listens() {
    let hal = TestHal::new();
    let device = device(2, hold).build(&hal);
    let mut live = up::<Counted>(&device, &hal, 2).unwrap();
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Counted>(0).unwrap(), &bell).unwrap();
    let payload = Arc::new(());
    let mut first: Vec<_> = (0..2)
        .map(|_| Task::waiting(async { port.send(counted(&payload), &mut []).await.is_ok() }))
        .collect();
    let mut waits = Task::waiting(async { port.send(counted(&payload), &mut []).await.is_ok() });
    first.iter_mut().for_each(Task::cancel);
    let interrupts = device.interrupts();
    device.complete(0, 1, &[]);
    assert_eq!(device.interrupts(), interrupts + 1);
    bell.ring();
    assert_eq!(waits.woken(), 1);
    assert!(waits.poll().is_none());
    assert_eq!((device.held(0), port.free(), Arc::strong_count(&payload)), (2, 0, 3));
}

#[test]
fn what_can_never_fit_is_refused_at_once_and_from_the_line() {
    let hal = TestHal::new();
    hal.set_max_segment(1);
    let device = device(4, hold).build(&hal);
    let mut live = up::<Pair>(&device, &hal, 4).unwrap();
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Pair>(0).unwrap(), &bell).unwrap();
    let never = || async {
        let failed =
            port.send(Request::new((Readable(vec![7; 5]), Writable(vec![]))), &mut []).await.unwrap_err();
        (failed.error, failed.payload.unwrap().0.0)
    };
    let refused = Some((Error::Caller(Misuse::TooManySegments), vec![7; 5]));
    assert_eq!(Task::new(never()).poll(), refused);
    let mut fills = [0, 1, 2, 3].map(|n| Task::waiting(small(&port, n)));
    let mut waits = Task::waiting(never());
    let mut behind = Task::waiting(small(&port, 9));
    let mut done = 0;
    while device.held(0) > 0 {
        device.complete(0, 0, &[]);
        done += fills.iter_mut().map(done_now).filter(|done| *done).count();
        if waits.woken() > 0 {
            let outcome = waits.poll();
            if outcome.is_some() {
                assert_eq!(outcome, refused);
                break;
            }
        }
    }
    assert_eq!(done, 4, "the queue was empty before it was known that it does not fit");
    assert_eq!(behind.woken(), 1);
    assert!(behind.poll().is_none());
    assert_eq!(device.held_readable(0), [[9]]);
}

fn done_now(task: &mut Task<'_, bool>) -> bool {
    task.is_waiting() && task.poll() == Some(true)
}
