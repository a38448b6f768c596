//! Completions in any order wake who waits for them, and nobody else.

use virtio_core::Features;
use virtio_core::queue::{AsyncPort, Bell};
use virtio_testkit::{Event, TestHal};

use crate::common::{device, hold, up};
use crate::executor::{Task, woken};
use crate::{RINGS, ask, up_with_all};

/// 0 .. n, shuffled, always the same way.
fn shuffled(n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for at in (1..n).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(at, usize::try_from(state % (at as u64 + 1)).unwrap());
    }
    order
}

/// The place of `wanted` among those that the device still holds.
fn nth(held: &mut Vec<usize>, wanted: usize) -> usize {
    let at = held.iter().position(|n| *n == wanted).unwrap();
    held.remove(at);
    at
}

const N: usize = if cfg!(miri) { 12 } else { 64 };

fn in_any_order(features: Features) {
    let hal = TestHal::new();
    let device = device(128, hold).features(Features::VERSION_1 | features).build(&hal);
    let mut live = up_with_all::<()>(&device, &hal, 128);
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<()>(0).unwrap(), &bell).unwrap();
    let mut answers = vec![[0_u8]; N];
    let mut tasks: Vec<_> = answers
        .iter_mut()
        .enumerate()
        .map(|(n, answer)| {
            let port = &port;
            Task::waiting(async move { port.send(ask(&[u8::try_from(n).unwrap()]), answer).await })
        })
        .collect();
    assert_eq!((device.held(0), usize::from(port.in_flight())), (N, N));
    let order = shuffled(N);
    let mut held: Vec<usize> = (0..N).collect();
    // Half by way of the bell: who listens takes what was used, and wakes the one.
    for wanted in order[..N / 2].iter().copied() {
        let interrupts = device.interrupts();
        device.complete(0, nth(&mut held, wanted), &[u8::try_from(wanted).unwrap() ^ 0x55]);
        assert_eq!(device.interrupts(), interrupts + 1, "nobody asked for an interrupt");
        assert_eq!(woken(&mut tasks), []);
        bell.ring();
        let rung = woken(&mut tasks);
        let [(listener, 1)] = rung[..] else { panic!("{rung:?}") };
        if listener != wanted {
            assert!(tasks[listener].poll().is_none());
            assert_eq!(woken(&mut tasks), [(wanted, 1)]);
        }
        let done = tasks[wanted].poll().unwrap().unwrap();
        assert_eq!((done.written, done.claimed, done.response), (1, 1, 1));
        assert_eq!(woken(&mut tasks), []);
        assert!(!tasks[wanted].can_be_woken(), "its waker is kept somewhere");
    }
    // Half at once, and then they are polled in yet another order.
    let rest = order[N / 2..].to_vec();
    for wanted in rest.iter().copied() {
        device.complete(0, nth(&mut held, wanted), &[u8::try_from(wanted).unwrap() ^ 0x55]);
    }
    port.service();
    let mut expected: Vec<(usize, usize)> = rest.iter().map(|n| (*n, 1)).collect();
    expected.sort_unstable();
    assert_eq!(woken(&mut tasks), expected);
    for wanted in rest.iter().copied().rev() {
        assert!(tasks[wanted].poll().unwrap().is_ok());
    }
    assert_eq!(woken(&mut tasks), []);
    assert_eq!((port.in_flight(), port.free()), (0, 128));
    drop(tasks);
    for (n, [answer]) in (0_u8..).zip(answers) {
        assert_eq!(answer, n ^ 0x55);
    }
}

#[test]
fn sixty_four_requests_in_any_order_wake_exactly_the_right_tasks() {
    RINGS.into_iter().for_each(in_any_order);
}

#[test]
fn one_used_element_for_many_wakes_them_all_and_ends_the_cancelled() {
    for packed in [Features::empty(), Features::RING_PACKED] {
        let hal = TestHal::new();
        let offered = Features::VERSION_1 | Features::IN_ORDER | packed;
        let device = device(8, hold).features(offered).build(&hal);
        let mut live = up_with_all::<()>(&device, &hal, 8);
        let bell = Bell::new();
        let port = AsyncPort::new(live.port::<()>(0).unwrap(), &bell).unwrap();
        for _ in 0..3 {
            let mut answers = [[0]; 4];
            let mut tasks: Vec<_> =
                answers.iter_mut().map(|answer| Task::waiting(port.send(ask(b"1"), answer))).collect();
            let mut waits = Task::waiting(async { port.send(ask(b"2"), &mut [0]).await.is_ok() });
            tasks[1].cancel();
            tasks[3].cancel();
            device.complete_batch(0, 4);
            port.service();
            assert_eq!(woken(&mut tasks), [(0, 1), (2, 1)]);
            assert!(tasks[2].poll().unwrap().is_ok() && tasks[0].poll().unwrap().is_ok());
            assert!(waits.woken() > 0 && waits.poll().is_none());
            device.complete(0, 0, b"x");
            bell.ring();
            assert_eq!((waits.woken(), waits.poll()), (1, Some(true)));
            assert_eq!((port.in_flight(), port.free()), (0, 8));
        }
    }
}

#[test]
fn what_is_started_in_a_row_is_shown_with_one_notification() {
    let hal = TestHal::new();
    let device = device(16, hold).build(&hal);
    let mut live = up::<()>(&device, &hal, 16).unwrap();
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<()>(0).unwrap(), &bell).unwrap();
    let (mut one, mut two, mut three) = ([0], [0], [0]);
    hal.clear_trace();
    let requests = [
        port.start(ask(b"1"), &mut one).unwrap(),
        port.start(ask(b"2"), &mut two).unwrap(),
        port.start(ask(b"3"), &mut three).unwrap(),
    ];
    assert_eq!(device.held(0), 0, "shown before anybody has asked for it");
    let mut tasks = requests.map(Task::waiting);
    assert_eq!(device.held_readable(0), [b"1", b"2", b"3"]);
    let notifications = hal.trace().into_iter().filter(|event| matches!(event, Event::Notify(_))).count();
    assert_eq!(notifications, 1);
    for nth in [2, 0, 0] {
        device.complete(0, nth, b"x");
    }
    port.service();
    for task in &mut tasks {
        assert_eq!(task.woken(), 1);
        assert_eq!(task.poll().unwrap().unwrap().response, 1);
    }
}

#[test]
fn a_future_that_moves_to_another_task_wakes_that_one() {
    let hal = TestHal::new();
    let device = device(16, hold).build(&hal);
    let mut live = up::<()>(&device, &hal, 16).unwrap();
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<()>(0).unwrap(), &bell).unwrap();
    let mut old = Task::waiting(async { port.send(ask(b"1"), &mut [0]).await });
    let mut new = Task::new(async {});
    let waker = std::task::Waker::from(std::sync::Arc::new(crate::executor::Wakes::default()));
    assert!(old.poll_with(&waker).is_none());
    assert!(!old.can_be_woken(), "the old waker is kept");
    device.complete(0, 0, b"x");
    port.service();
    assert_eq!(old.woken(), 0);
    assert!(old.poll().unwrap().is_ok());
    assert!(new.poll().is_some());
}

#[test]
fn a_bell_serves_one_port() {
    let hal = TestHal::new();
    let (one, two) = (device(8, hold).build(&hal), device(8, hold).build(&hal));
    let (mut first, mut second) = (up::<()>(&one, &hal, 8).unwrap(), up::<()>(&two, &hal, 8).unwrap());
    let bell = Bell::new();
    let port = AsyncPort::new(first.port::<()>(0).unwrap(), &bell).unwrap();
    let refused = AsyncPort::new(second.port::<()>(0).unwrap(), &bell).unwrap_err();
    drop(port.into_port());
    AsyncPort::new(refused, &bell).unwrap();
}
