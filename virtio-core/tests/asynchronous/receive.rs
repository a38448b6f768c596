//! Event and receive queues: whatever comes next.

use virtio_core::dma::Writable;
use virtio_core::queue::{AsyncPort, Bell, Request};
use virtio_testkit::TestHal;

use crate::common::{Room, device, hold, up};
use crate::executor::Task;

fn room() -> Request<'static, Room> {
    Request::new(Writable(vec![0; 2]))
}

#[test]
fn buffers_that_were_filled_before_come_in_the_order_of_their_use() {
    let hal = TestHal::new();
    let device = device(4, hold).build(&hal);
    let mut live = up::<Room>(&device, &hal, 4).unwrap();
    let mut port = live.port::<Room>(0).unwrap();
    let tokens: Vec<_> = (0..3).map(|_| port.submit(room()).unwrap()).collect();
    let bell = Bell::new();
    let port = AsyncPort::new(port, &bell).unwrap();
    // One is asked for by name; it is nobody else's.
    let mut named = Task::waiting(async { port.send(room(), &mut []).await.unwrap().payload.0 });
    let next = || async { port.next(&mut []).await.map(|done| (done.token, done.payload.0)).unwrap() };
    let mut first = Task::waiting(next());
    let mut second = Task::waiting(next());
    device.complete(0, 3, &[4; 2]);
    device.complete(0, 1, &[2; 2]);
    bell.ring();
    assert_eq!((first.woken(), second.woken(), named.woken()), (0, 1, 0));
    // First come, first served.
    assert!(second.poll().is_none());
    assert_eq!((first.woken(), second.woken(), named.woken()), (1, 0, 1));
    assert_eq!(first.poll(), Some((tokens[1], vec![2; 2])));
    assert_eq!(named.poll(), Some(vec![4; 2]));
    // Cancelled before and after it was woken: the request stays for the next one.
    let mut third = Task::waiting(next());
    device.complete(0, 0, &[1; 2]);
    bell.ring();
    assert!(third.poll().is_none());
    assert_eq!(second.woken(), 1);
    second.cancel();
    assert_eq!(third.woken(), 2, "once for the bell, once because it is its turn");
    assert_eq!(third.poll(), Some((tokens[0], vec![1; 2])));
    // Filled again, by and by.
    let token = port.post(room()).unwrap();
    port.kick();
    device.complete(0, 1, &[7; 2]);
    device.complete(0, 0, &[3; 2]);
    assert_eq!(Task::new(next()).poll(), Some((token, vec![7; 2])));
    // What nobody has taken is the port's.
    drop((named, first, second, third));
    let mut port = port.into_port();
    let mut done = port.poll().unwrap().unwrap();
    assert_eq!((done.token(), done.take_payload().unwrap().0), (tokens[2], vec![3; 2]));
    drop(done);
    assert!(port.poll().unwrap().is_none());
    assert_eq!(port.free(), 4);
}

#[test]
fn requests_that_nobody_takes_do_not_keep_the_bell_from_being_listened_to() {
    let hal = TestHal::new();
    let device = device(4, hold).build(&hal);
    let mut live = up::<Room>(&device, &hal, 4).unwrap();
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Room>(0).unwrap(), &bell).unwrap();
    port.post(room()).unwrap();
    let mut named = Task::waiting(async { port.send(room(), &mut []).await.is_ok() });
    device.complete(0, 0, &[1]);
    for _ in 0..3 {
        bell.ring();
        assert_eq!(named.woken(), 1, "it listens, and does not spin");
        assert!(named.poll().is_none());
        assert_eq!(named.woken(), 0);
    }
    let interrupts = device.interrupts();
    device.complete(0, 0, &[1]);
    assert_eq!(device.interrupts(), interrupts + 1);
    bell.ring();
    assert_eq!((named.woken(), named.poll()), (1, Some(true)));
}

#[test]
fn what_a_future_will_ask_for_is_not_for_whoever_asks_for_the_next() {
    let hal = TestHal::new();
    let device = device(4, hold).build(&hal);
    let mut live = up::<Room>(&device, &hal, 4).unwrap();
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Room>(0).unwrap(), &bell).unwrap();
    for _ in 0..2 {
        // Used before it was polled for the first time.
        let named = port.start(room(), &mut []).unwrap();
        let token = port.post(room()).unwrap();
        assert!(port.kick());
        device.complete(0, 0, &[1]);
        let mut next = Task::waiting(async { port.next(&mut []).await.unwrap().token });
        device.complete(0, 0, &[1]);
        port.service();
        assert_eq!((next.woken(), next.poll()), (1, Some(token)));
        let mut named = Task::new(named);
        assert!(named.poll().unwrap().is_ok());
        assert_eq!(port.free(), 4);
    }
}

#[test]
fn one_that_waits_for_the_next_hands_the_bell_over_to_another() {
    let hal = TestHal::new();
    let device = device(4, hold).build(&hal);
    let mut live = up::<Room>(&device, &hal, 4).unwrap();
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Room>(0).unwrap(), &bell).unwrap();
    port.post(room()).unwrap();
    let next = || async { port.next(&mut []).await.is_ok() };
    let (mut stays, mut leaves) = (Task::waiting(next()), Task::waiting(next()));
    leaves.cancel();
    let interrupts = device.interrupts();
    device.complete(0, 0, &[1]);
    assert_eq!(device.interrupts(), interrupts + 1);
    bell.ring();
    assert_eq!((stays.woken(), stays.poll()), (1, Some(true)));
}
