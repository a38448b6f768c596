//! Ports awaited, rung for by an interrupt handler.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};

use crate::bench::{
    Bench, CONSOLE_PORT, DEVICE_ADD, DEVICE_REMOVE, ONE, PORT_OPEN, PORT_READY, Setup, TWO, ZERO, open,
};

use virtio_console::{Bells, Console, ConsoleError, Event, Options};
use virtio_core::{Error, Misbehaved, Misuse, QueueIndex};
use virtio_testkit::{FakeTransport, Lie, TestHal};

/// Counts how often it was woken.
#[derive(Default)]
pub(crate) struct Woken(AtomicUsize);

impl Woken {
    pub(crate) fn times(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) fn poll<F: Future>(future: Pin<&mut F>, woken: &Arc<Woken>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(woken.clone())))
}

/// What is ready at once.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match poll(pin!(future), &Arc::default()) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn a_ring_wakes_the_reader_and_buffers_never_run_out() {
    for setup in [Setup::SINGLE, Setup { legacy: true, ..Setup::SINGLE }] {
        let (bench, mut console) = open(setup, &[]);
        let (bells, woken) = (Bells::<8>::new(), Arc::<Woken>::default());
        let mut halves = console.halves().unwrap();
        let mut reader = halves.take(ZERO).unwrap().0.awaited(&bells).unwrap();
        assert_eq!(now(reader.read(&mut [])), Ok(0));
        for round in 0..50 {
            let mut bytes = [0; 4];
            {
                let mut reading = pin!(reader.read(&mut bytes));
                assert_eq!(poll(reading.as_mut(), &woken), Poll::Pending);
                assert_eq!(bench.device.held(0), 2, "round {round}");
                bench.send(0, b"hello");
                bells.ring_queue(QueueIndex::new(1));
                assert_eq!(woken.times(), round);
                bells.ring_queue(QueueIndex::new(0));
                assert_eq!(woken.times(), round + 1);
                assert_eq!(poll(reading, &woken), Poll::Ready(Ok(4)));
            }
            assert_eq!(&bytes, b"hell");
            assert_eq!((now(reader.read(&mut bytes)), bytes[0]), (Ok(1), b'o'));
        }
    }
}

#[test]
fn cancelled_reads_lose_nothing() {
    let (bench, mut console) = open(Setup::SINGLE, &[]);
    let (bells, woken) = (Bells::<8>::new(), Arc::<Woken>::default());
    let mut bytes = [0; 8];
    {
        let mut reader = console.halves().unwrap().take(ZERO).unwrap().0.awaited(&bells).unwrap();
        for _ in 0..5 {
            assert_eq!(poll(pin!(reader.read(&mut bytes)), &woken), Poll::Pending);
        }
        bench.send(0, b"all");
        assert_eq!(now(reader.fill()), Ok(&b"all"[..]));
        reader.consume(1);
    }
    // Those who ask and those who wait take turns.
    assert_eq!((console.port(ZERO).unwrap().read(&mut bytes[..1]), bytes[0]), (Ok(1), b'l'));
    bench.send(0, b"more");
    let mut reader = console.halves().unwrap().take(ZERO).unwrap().0.awaited(&bells).unwrap();
    assert_eq!((now(reader.read(&mut bytes)), bytes[0]), (Ok(1), b'l'));
    assert_eq!((now(reader.read(&mut bytes)), &bytes[..4]), (Ok(4), &b"more"[..]));
}

#[test]
fn writes_wait_for_room() {
    let (bench, mut console) = open(Setup { holds: true, ..Setup::SINGLE }, &[]);
    let (bells, woken) = (Bells::<8>::new(), Arc::<Woken>::default());
    let mut writer = console.halves().unwrap().take(ZERO).unwrap().1.awaited(&bells).unwrap();
    assert_eq!(now(writer.write(&[])), Ok(0));
    assert_eq!(now(writer.write_all(&[])), Ok(()));
    assert_eq!(now(writer.flush()), Ok(()));
    assert_eq!(bench.device.held(1), 0);
    assert_eq!(now(writer.write(&[1; 300])), Ok(256));
    {
        let mut writing = pin!(writer.write_all(&[2; 2000]));
        assert_eq!(poll(writing.as_mut(), &woken), Poll::Pending);
        assert_eq!(bench.device.held(1), 8);
        bench.device.complete(1, 4, &[]);
        bells.ring();
        assert_eq!(woken.times(), 1);
        assert_eq!(poll(writing, &woken), Poll::Ready(Ok(())));
    }
    assert_eq!(bench.heard(0), [&[1; 256][..], &[2; 2000]].concat());
    assert_eq!(poll(pin!(writer.write(b"cancelled")), &woken), Poll::Pending);
    {
        let mut flushing = pin!(writer.flush());
        for _ in 0..8 {
            assert_eq!(poll(flushing.as_mut(), &woken), Poll::Pending);
            bench.device.complete(1, 0, &[]);
            bells.ring();
        }
        assert_eq!(poll(flushing, &woken), Poll::Ready(Ok(())));
    }
    assert_eq!(bench.heard(0), [], "who cancels has written nothing");
    // What is under way when the loan ends is looked after by the next.
    assert_eq!(now(writer.write(b"x")), Ok(1));
    drop(writer);
    let mut port = console.port(ZERO).unwrap();
    assert_eq!(port.write(&[0; 5000]), Ok(7 * 256));
    while bench.device.held(1) > 0 {
        bench.device.complete(1, 0, &[]);
    }
    assert_eq!(port.flush(), Ok(()));
}

#[test]
fn buffers_are_sent_without_a_copy() {
    let bench = Setup { holds: true, ..Setup::SINGLE }.build();
    let (transport, hal, options) = (bench.device.transport(), bench.hal.clone(), Options::default());
    let mut console: Console<FakeTransport, TestHal, Vec<u8>> =
        Console::with_options(transport, hal, options).unwrap();
    let (bells, woken) = (Bells::<8>::new(), Arc::<Woken>::default());
    let mut writer = console.halves().unwrap().take(ZERO).unwrap().1.awaited(&bells).unwrap();
    let refused = now(writer.send(vec![])).unwrap_err();
    assert_eq!(refused.error, ConsoleError::Core(Misuse::EmptyRequest.into()));
    {
        let mut sending = pin!(writer.send(vec![7; 5000]));
        assert!(poll(sending.as_mut(), &woken).is_pending());
        assert_eq!(bench.heard(0), [7; 5000]);
        bench.device.complete(1, 0, &[]);
        bells.ring();
        assert_eq!(woken.times(), 1);
        let Poll::Ready(sent) = poll(sending, &woken) else { panic!("it waits") };
        assert_eq!(sent.unwrap(), [7; 5000]);
    }
    // Cancelled: the buffer is dropped when the device is done with it.
    assert!(poll(pin!(writer.send(vec![8; 10])), &woken).is_pending());
    bench.device.complete(1, 0, &[]);
    {
        let mut sending = pin!(writer.send(vec![9; 10]));
        assert!(poll(sending.as_mut(), &woken).is_pending());
        bench.device.lie(1, Lie::UsedIndex(1000));
        let Poll::Ready(lost) = poll(sending, &woken) else { panic!("it waits") };
        assert!(matches!(lost.unwrap_err().error, ConsoleError::Core(Error::Misbehaved(_))));
    }
    let refused = now(writer.send(vec![1; 3])).unwrap_err();
    assert_eq!(refused.buffer, Some(vec![1; 3]));
}

/// Everything of one device, each in a task of its own.
fn dialogue(bench: &Bench, console: &mut crate::bench::Driver) {
    let (bells, woken) = (Bells::<8>::new(), Arc::<Woken>::default());
    let mut halves = console.halves().unwrap();
    let mut control = halves.take_control().unwrap().awaited(&bells).unwrap();
    let (reader, writer) = halves.take(ONE).unwrap();
    let (mut reader, mut writer) = (reader.awaited(&bells).unwrap(), writer.awaited(&bells).unwrap());
    let mut bytes = [0; 8];

    // Not there yet.
    assert_eq!(now(reader.read(&mut bytes)), Err(ConsoleError::NoSuchPort(ONE)));
    assert_eq!(now(writer.write(b"x")), Err(ConsoleError::NoSuchPort(ONE)));
    let opened = Arc::<Woken>::default();
    {
        let mut opening = pin!(reader.opened());
        assert_eq!(poll(opening.as_mut(), &opened), Poll::Pending);
        {
            let mut next = pin!(control.next_event());
            assert_eq!(poll(next.as_mut(), &woken), Poll::Pending);
            bench.say(1, DEVICE_ADD, 0);
            bells.ring_queue(QueueIndex::new(2));
            assert_eq!((woken.times(), opened.times()), (1, 0));
            assert_eq!(poll(next, &woken), Poll::Ready(Ok(Event::Added(ONE))));
        }
        assert_eq!(bench.told(), []);
        assert_eq!(poll(pin!(control.next_event()), &woken), Poll::Pending);
        assert_eq!(bench.told(), [(1, PORT_READY, 1)], "it is told when nothing more waits to be read");
        assert_eq!(poll(opening.as_mut(), &opened), Poll::Pending);
        bench.say(1, CONSOLE_PORT, 1);
        let before = opened.times();
        assert_eq!(now(control.next_event()), Ok(Event::IsConsole(ONE)));
        assert_eq!(bench.told(), [(1, PORT_OPEN, 1)]);
        assert_eq!(opened.times(), before + 1, "whoever reads the message rings for the port");
        assert_eq!(poll(opening, &opened), Poll::Ready(Ok(())));
    }
    assert!(reader.is_open() && writer.is_open());
    assert_eq!(now(writer.write(b"hello")), Ok(5));
    assert_eq!(bench.heard(1), b"hello");

    // It closes in mid-read: with its last words, and then with none.
    let read = Arc::<Woken>::default();
    {
        let mut reading = pin!(reader.read(&mut bytes));
        assert_eq!(poll(reading.as_mut(), &read), Poll::Pending);
        bench.send(1, b"bye");
        bench.say(1, PORT_OPEN, 0);
        assert_eq!(now(control.next_event()), Ok(Event::Closed(ONE)));
        assert_eq!(read.times(), 1);
        assert_eq!(poll(reading, &read), Poll::Ready(Ok(3)));
    }
    assert_eq!(now(reader.read(&mut bytes)), Ok(0));
    assert_eq!(now(writer.write(b"x")), Err(ConsoleError::Closed(ONE)));

    // It goes and comes again, and what it had received is not read in its next life.
    bench.say(1, PORT_OPEN, 1);
    assert_eq!(now(control.next_event()), Ok(Event::Opened(ONE)));
    bench.send(1, b"old");
    bench.say(1, DEVICE_REMOVE, 0);
    bench.say(1, DEVICE_ADD, 0);
    assert_eq!(now(control.next_event()), Ok(Event::Removed(ONE)));
    assert_eq!(now(control.next_event()), Ok(Event::Added(ONE)));
    assert_eq!(bench.told(), [], "the reader has not looked yet");
    {
        let mut next = pin!(control.next_event());
        assert_eq!(poll(next.as_mut(), &woken), Poll::Pending);
        let before = woken.times();
        assert_eq!(now(reader.read(&mut bytes)), Ok(0));
        assert_eq!(woken.times(), before + 1, "it rings for whoever has to say so");
        assert_eq!(poll(next.as_mut(), &woken), Poll::Pending);
        assert_eq!(bench.told(), [(1, PORT_READY, 1)]);
        bench.say(1, PORT_OPEN, 1);
        assert_eq!(poll(next, &woken), Poll::Ready(Ok(Event::Opened(ONE))));
    }
    bench.send(1, b"new");
    assert_eq!((now(reader.read(&mut bytes)), &bytes[..3]), (Ok(3), &b"new"[..]));
    control.open(ONE).unwrap();
    assert_eq!(bench.told(), [(1, PORT_OPEN, 1)]);
    assert_eq!(control.open(TWO), Err(ConsoleError::NoSuchPort(TWO)));

    // A message that no device should send.
    bench.say(1, DEVICE_ADD, 0);
    assert_eq!(now(control.next_event()), Err(ConsoleError::PortExists(ONE)));
    bench.say(1, DEVICE_REMOVE, 0);
    assert_eq!(now(control.next_event()), Ok(Event::Removed(ONE)));
}

#[test]
fn the_whole_dialogue() {
    for legacy in [false, true] {
        let bench = Setup { legacy, ..Setup::MULTI }.build();
        let mut console = bench.drive();
        bench.told();
        for _ in 0..3 {
            dialogue(&bench, &mut console);
            assert_eq!(bench.device.held(2), 16);
        }
    }
}

#[test]
fn what_waited_before_is_told_first() {
    let bench = Setup::MULTI.build();
    let mut console = bench.drive();
    bench.plug(1);
    console.wait_open(ONE, crate::bench::SOON).unwrap();
    let bells = Bells::<8>::new();
    let mut control = console.halves().unwrap().take_control().unwrap().awaited(&bells).unwrap();
    assert_eq!(now(control.next_event()), Ok(Event::Added(ONE)));
    assert_eq!(now(control.next_event()), Ok(Event::Opened(ONE)));
    bench.plug(2);
    assert_eq!(now(control.next_event()), Ok(Event::Added(TWO)));
}

#[test]
fn a_write_that_waits_ends_when_the_port_closes() {
    let (bench, mut console) = open(Setup { holds: true, ..Setup::MULTI }, &[1]);
    let (bells, woken) = (Bells::<8>::new(), Arc::<Woken>::default());
    let mut halves = console.halves().unwrap();
    let mut control = halves.take_control().unwrap().awaited(&bells).unwrap();
    let mut writer = halves.take(ONE).unwrap().1.awaited(&bells).unwrap();
    {
        let mut writing = pin!(writer.write_all(&[2; 5000]));
        assert_eq!(poll(writing.as_mut(), &woken), Poll::Pending);
        bench.say(1, PORT_OPEN, 0);
        assert_eq!(now(control.next_event()), Ok(Event::Closed(ONE)));
        assert_eq!(woken.times(), 1);
        assert_eq!(poll(writing, &woken), Poll::Ready(Err(ConsoleError::Closed(ONE))));
    }
    let refused = now(writer.send(b"x")).unwrap_err();
    assert_eq!((refused.error, refused.buffer), (ConsoleError::Closed(ONE), Some(&b"x"[..])));
}

#[test]
fn whoever_waits_for_a_device_that_has_given_up_is_told() {
    let (bench, mut console) = open(Setup { holds: true, ..Setup::MULTI }, &[1]);
    let given_up = ConsoleError::Core(Misbehaved::NeedsReset.into());
    {
        let (bells, woken) = (Bells::<8>::new(), Arc::<Woken>::default());
        let mut halves = console.halves().unwrap();
        let mut control = halves.take_control().unwrap().awaited(&bells).unwrap();
        let (reader, writer) = halves.take(ONE).unwrap();
        let (mut reader, mut writer) = (reader.awaited(&bells).unwrap(), writer.awaited(&bells).unwrap());
        let mut bytes = [0; 8];
        let mut next = pin!(control.next_event());
        let mut reading = pin!(reader.read(&mut bytes));
        let mut writing = pin!(writer.write_all(&[0; 3000]));
        assert_eq!(poll(next.as_mut(), &woken), Poll::Pending);
        assert_eq!(poll(reading.as_mut(), &woken), Poll::Pending);
        assert_eq!(poll(writing.as_mut(), &woken), Poll::Pending);
        bench.device.needs_reset();
        bells.ring();
        assert_eq!(woken.times(), 3);
        assert_eq!(poll(next, &woken), Poll::Ready(Err(given_up)));
        assert_eq!(poll(reading, &woken), Poll::Ready(Err(given_up)));
        assert_eq!(poll(writing, &woken), Poll::Ready(Err(given_up)));
    }
    // And by name, without a register being read.
    let mut console = console.recover().unwrap();
    bench.plug(1);
    console.wait_open(ONE, crate::bench::SOON).unwrap();
    let (bells, woken) = (Bells::<8>::new(), Arc::<Woken>::default());
    let mut reader = console.halves().unwrap().take(ONE).unwrap().0.awaited(&bells).unwrap();
    assert_eq!(poll(pin!(reader.read(&mut [0; 4])), &woken), Poll::Pending);
    reader.fail(Misbehaved::NeedsReset);
    assert_eq!(now(reader.read(&mut [0; 4])), Err(given_up));
}

#[test]
fn a_bell_serves_one_console() {
    let benches = [Setup::MULTI.build(), Setup::MULTI.build()];
    let [mut one, mut two] = benches.each_ref().map(Bench::drive);
    let bells = Bells::<2>::new();
    {
        let (mut first, mut second) = (one.halves().unwrap(), two.halves().unwrap());
        let (reader, writer) = first.take(ONE).unwrap();
        let _taken = (reader.awaited(&bells).unwrap(), writer.awaited(&bells).unwrap());
        let _control = first.take_control().unwrap().awaited(&bells).unwrap();
        let (reader, writer) = second.take(ONE).unwrap();
        assert_eq!(reader.awaited(&bells).unwrap_err(), ConsoleError::BellTaken);
        assert_eq!(writer.awaited(&bells).unwrap_err(), ConsoleError::BellTaken);
        let control = second.take_control().unwrap();
        assert_eq!(control.awaited(&bells).unwrap_err(), ConsoleError::BellTaken);
        let (reader, writer) = second.take(TWO).unwrap();
        assert_eq!(reader.awaited(&bells).unwrap_err(), ConsoleError::NoBell(TWO));
        assert_eq!(writer.awaited(&bells).unwrap_err(), ConsoleError::NoBell(TWO));
    }
    assert!(two.halves().unwrap().take(ONE).unwrap().0.awaited(&bells).is_ok());
}
