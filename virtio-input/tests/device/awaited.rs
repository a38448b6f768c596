//! Events awaited, rung for by an interrupt handler.

use crate::bench::{builder, drive, keyboard, wire};
use alloc::sync::Arc;
use alloc::task::Wake;
use core::pin::pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use virtio_core::Misbehaved;
use virtio_core::queue::Bell;
use virtio_input::{EventType, InputError, InputEvent, code};
use virtio_testkit::{Lie, TestHal};

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<F: Future>(future: F, woken: &Arc<Woken>) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(&Waker::from(woken.clone())))
}

fn key(code: u16) -> InputEvent {
    InputEvent { kind: EventType::KEY, code, value: 1 }
}

#[test]
fn a_ring_wakes_who_waits_and_buffers_never_run_out() {
    for legacy in [false, true] {
        let hal = TestHal::new();
        let builder = builder(8, keyboard);
        let device = if legacy { builder.legacy() } else { builder }.build(&hal);
        let (mut input, bell, woken) = (drive(&device, &hal), Bell::new(), Arc::<Woken>::default());
        let mut events = input.events(&bell).unwrap();
        for round in 0..50 {
            {
                let mut first = pin!(events.next());
                assert_eq!(poll(first.as_mut(), &woken), Poll::Pending);
                assert_eq!(
                    device.held(0),
                    8,
                    "round {round}: all buffers are with the device while somebody waits"
                );
                for number in 0..5 {
                    assert!(device.send(0, &wire(1, number, 1)));
                }
                bell.ring();
                assert_eq!(woken.0.load(Ordering::Relaxed), round + 1);
                assert_eq!(poll(first, &woken), Poll::Ready(Ok(key(0))));
            }
            for number in 1..5 {
                assert_eq!(poll(events.next(), &woken), Poll::Ready(Ok(key(number))));
            }
        }
    }
}

#[test]
fn asking_and_waiting_take_turns() {
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let (mut input, bell, woken) = (drive(&device, &hal), Bell::new(), Arc::<Woken>::default());
    for number in 0..20 {
        for code in 0..4 {
            assert!(device.send(0, &wire(1, 4 * number + code, 1)), "round {number}");
        }
        assert_eq!(input.next_event(), Ok(Some(key(4 * number))));
        let mut events = input.events(&bell).unwrap();
        assert_eq!(poll(events.next(), &woken), Poll::Ready(Ok(key(4 * number + 1))));
        assert_eq!(poll(events.next(), &woken), Poll::Ready(Ok(key(4 * number + 2))));
        drop(events);
        assert_eq!(input.next_event(), Ok(Some(key(4 * number + 3))));
        assert_eq!(input.next_event(), Ok(None));
        assert_eq!(device.held(0), 8);
    }
}

#[test]
fn leds_are_switched_while_events_are_awaited() {
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let (mut input, bell, woken) = (drive(&device, &hal), Bell::new(), Arc::<Woken>::default());
    let mut events = input.events(&bell).unwrap();
    assert_eq!(poll(events.next(), &woken), Poll::Pending);
    events.set_led(code::LED_CAPS_LOCK, true).unwrap();
    assert_eq!(device.held_readable(1), [wire(0x11, 1, 1)]);
}

#[test]
fn what_is_wrong_with_an_event_or_the_queue_is_said() {
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let (mut input, bell, woken) = (drive(&device, &hal), Bell::new(), Arc::<Woken>::default());
    let mut events = input.events(&bell).unwrap();
    assert!(device.send(0, &[1, 0, 30]));
    assert!(device.send(0, &wire(1, 7, 1)));
    assert_eq!(poll(events.next(), &woken), Poll::Ready(Err(InputError::ShortEvent { written: 3 })));
    assert_eq!(poll(events.next(), &woken), Poll::Ready(Ok(key(7))));
    device.lie(0, Lie::UsedIndex(1000));
    assert!(matches!(poll(events.next(), &woken), Poll::Ready(Err(InputError::Core(_)))));
}

#[test]
fn a_bell_serves_one_device() {
    let hal = TestHal::new();
    let devices = [builder(8, keyboard).build(&hal), builder(8, keyboard).build(&hal)];
    let [mut one, mut two] = devices.each_ref().map(|device| drive(device, &hal));
    let bell = Bell::new();
    let events = one.events(&bell).unwrap();
    assert_eq!(two.events(&bell).unwrap_err(), InputError::BellTaken);
    drop(events);
    assert!(two.events(&bell).is_ok());
}

#[test]
fn who_waits_for_a_device_that_has_given_up_is_told() {
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let (mut input, bell, woken) = (drive(&device, &hal), Bell::new(), Arc::<Woken>::default());
    {
        let mut events = input.events(&bell).unwrap();
        let mut next = pin!(events.next());
        assert_eq!(poll(next.as_mut(), &woken), Poll::Pending);
        device.needs_reset();
        bell.ring();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let given_up = Err(InputError::Core(Misbehaved::NeedsReset.into()));
        assert_eq!(poll(next, &woken), Poll::Ready(given_up));
    }
    let mut input = input.recover().unwrap();
    assert!(device.send(0, &wire(1, 30, 1)));
    assert_eq!(input.next_event(), Ok(Some(key(30))));
}
