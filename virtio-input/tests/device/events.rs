//! Events and status feedback (VIRTIO 1.4 §5.8.6).

use crate::bench::{builder, drive, keyboard, wire};
use std::sync::mpsc::{Sender, channel};

use virtio_core::device::DeviceEvent;
use virtio_core::transport::InterruptStatus;
use virtio_core::{DeviceId, Endpoint, Error, Incompatible, Misbehaved, Misuse, QueueIndex};
use virtio_input::{EventType, Input, InputError, InputEvent, code};
use virtio_testkit::{Call, FakeDevice, Lie, Reply, Request, Reset, TestHal};

fn key(code: u16) -> InputEvent {
    InputEvent { kind: EventType::KEY, code, value: 1 }
}

#[test]
fn events_arrive_in_order_on_modern_and_legacy() {
    for legacy in [false, true] {
        let hal = TestHal::new();
        let builder = builder(8, keyboard);
        let device = if legacy { builder.legacy() } else { builder }.build(&hal);
        let mut input = drive(&device, &hal);
        assert_eq!(device.held(0), 8, "every buffer is with the device from the start");
        assert_eq!(input.next_event(), Ok(None));
        for number in 0..5 {
            assert!(device.send(0, &wire(1, number, 1)));
        }
        for number in 0..5 {
            assert_eq!(input.next_event(), Ok(Some(key(number))));
        }
        assert_eq!(input.next_event(), Ok(None));
        assert_eq!(device.held(0), 8, "all buffers are back");
    }
}

// shows: input.op.1
#[test]
fn buffers_never_run_out() {
    let hal = TestHal::new();
    let device = builder(64, keyboard).build(&hal);
    let mut input = drive(&device, &hal);
    // So many that the ring's indices wrap; under Miri that would take too long.
    let rounds = if cfg!(miri) { 5 } else { 1400 };
    for round in 0..rounds {
        for number in 0..50 {
            assert!(device.send(0, &wire(1, number, 1)), "round {round}: no buffer for event {number}");
        }
        for number in 0..50 {
            assert_eq!(input.next_event(), Ok(Some(key(number))));
        }
        assert_eq!(input.next_event(), Ok(None));
    }
}

#[test]
fn buffers_go_back_in_batches() {
    let hal = TestHal::new();
    let device = builder(64, keyboard).manual().build(&hal);
    let mut input = drive(&device, &hal);
    device.poll();
    for number in 0..40 {
        assert!(device.send(0, &wire(1, number, 1)));
    }
    for (taken, back) in [(15, 0), (1, 16), (15, 16), (1, 32), (8, 32)] {
        for _ in 0..taken {
            assert!(input.next_event().unwrap().is_some());
        }
        device.poll();
        assert_eq!(device.held(0), 24 + back);
    }
    assert_eq!(input.next_event(), Ok(None));
    device.poll();
    assert_eq!(device.held(0), 64);
}

// shows: input.op.1
#[test]
fn one_event_at_a_time_starves_no_queue() {
    for size in [1, 2, 4, 8, 16, 32, 64] {
        let hal = TestHal::new();
        let device = builder(size, keyboard).build(&hal);
        let mut input = drive(&device, &hal);
        assert_eq!(device.held(0), usize::from(size));
        for number in 0..100 {
            assert!(device.send(0, &wire(1, number, 1)), "{size} entries: no buffer for event {number}");
            // One only, although the driver is to be asked until it has none.
            assert_eq!(input.next_event(), Ok(Some(key(number))));
            assert!(device.held(0) >= usize::from(size) / 2);
        }
    }
}

#[test]
fn a_short_event_is_named_and_dropped() {
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let mut input = drive(&device, &hal);
    for short in 0..8 {
        assert!(device.send(0, &wire(1, 30, 1)[..short]));
        assert!(device.send(0, &wire(1, 31, 1)));
        let written = u32::try_from(short).unwrap();
        assert_eq!(input.next_event(), Err(InputError::ShortEvent { written }));
        assert_eq!(input.next_event(), Ok(Some(key(31))));
        assert_eq!(input.next_event(), Ok(None));
        assert_eq!(device.held(0), 8);
    }
}

#[test]
fn a_length_beyond_the_buffer_is_no_harm() {
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let mut input = drive(&device, &hal);
    device.complete_claiming(0, 0, &wire(1, 30, 1), u32::MAX);
    assert_eq!(input.next_event(), Ok(Some(key(30))));
}

#[test]
fn a_broken_queue_stays_broken() {
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let mut input = drive(&device, &hal);
    device.lie(0, Lie::UsedId { id: 8, len: 8 });
    let broken = InputError::Core(Misbehaved::UsedIdOutOfRange { queue: QueueIndex::new(0), id: 8 }.into());
    assert_eq!(input.next_event(), Err(broken));
    assert_eq!(input.next_event(), Err(broken));
}

#[test]
fn leds_are_events_to_the_device() {
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let mut input = drive(&device, &hal);
    input.set_led(code::LED_CAPS_LOCK, true).unwrap();
    input.set_led(code::LED_NUM_LOCK, false).unwrap();
    assert_eq!(device.held_readable(1), [wire(0x11, 1, 1), wire(0x11, 0, 0)]);
}

#[test]
fn places_of_taken_leds_are_used_again() {
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let mut input = drive(&device, &hal);
    for _ in 0..8 {
        input.set_led(code::LED_CAPS_LOCK, true).unwrap();
    }
    assert_eq!(input.set_led(code::LED_CAPS_LOCK, true), Err(InputError::Core(Misuse::QueueFull.into())));
    for _ in 0..3 {
        device.complete(1, 0, &[]);
    }
    for _ in 0..3 {
        input.set_led(code::LED_CAPS_LOCK, false).unwrap();
    }
    assert_eq!(device.held(1), 8);
}

#[test]
fn interrupts_tell_of_events() {
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let mut input = drive(&device, &hal);
    device.send(0, &wire(1, 30, 1));
    assert_eq!(device.interrupts(), 0, "nobody asked for one");
    assert_eq!(input.enable_interrupts(), Ok(true), "one waits already");
    assert!(input.next_event().unwrap().is_some());
    assert_eq!(input.enable_interrupts(), Ok(false));
    device.send(0, &wire(1, 30, 0));
    assert_eq!(device.interrupts(), 1);
    assert!(!input.ack_interrupt().unwrap().is_empty());
    assert!(input.ack_interrupt().unwrap().is_empty());
}

#[test]
fn a_handler_acknowledges_and_the_driver_attends() {
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let mut input = drive(&device, &hal);
    let endpoint = input.device().endpoint(0).unwrap();
    assert_eq!(input.enable_interrupts(), Ok(false));
    device.send(0, &wire(1, 30, 1));
    let status = endpoint.ack();
    assert_eq!(status, InterruptStatus::QUEUE);
    assert_eq!(input.attend(status), Ok(None));
    assert_eq!(input.next_event(), Ok(Some(key(30))));

    device.needs_reset();
    assert_eq!(input.attend(endpoint.ack()), Ok(Some(DeviceEvent::NeedsReset)));
    assert!(hal.outstanding().is_none());
    assert_eq!(input.next_event(), Err(InputError::Core(Error::Down)));
    assert_eq!(input.attend(InterruptStatus::CONFIG), Err(InputError::Core(Error::Down)));
    let mut input = input.recover().unwrap();
    assert_eq!(device.held(0), 8, "every buffer is with the device again");
    device.send(0, &wire(1, 31, 1));
    assert_eq!(input.next_event(), Ok(Some(key(31))));
}

#[test]
fn wrong_devices_are_named() {
    let hal = TestHal::new();
    let other = virtio_testkit::FakeDevice::builder(virtio_core::DeviceId::GPU).build(&hal);
    let error = Input::new(other.transport(), hal.clone()).unwrap_err();
    assert_eq!(error, InputError::Core(Incompatible::WrongDevice(virtio_core::DeviceId::GPU).into()));
    let queueless = virtio_testkit::FakeDevice::builder(virtio_core::DeviceId::INPUT).build(&hal);
    let error = Input::new(queueless.transport(), hal.clone()).unwrap_err();
    assert_eq!(error, InputError::Core(Incompatible::NoQueue(QueueIndex::new(0)).into()));
}

#[test]
fn a_device_that_does_not_reset_keeps_its_memory() {
    let hal = TestHal::new();
    hal.allow_leaks();
    let device = builder(8, keyboard).build(&hal);
    let input = drive(&device, &hal);
    device.set_reset(Reset::Never);
    assert!(input.dismantle().is_err());
    assert!(!hal.leaks().is_empty());
}

/// Whichever allocation fails: an error, and nothing is left behind (the Hal's own check at its end).
#[test]
fn every_failed_allocation_is_survived() {
    let mut failures = 0;
    for n in 1.. {
        let hal = TestHal::new();
        let device = builder(8, keyboard).build(&hal);
        hal.fail_nth(n);
        match Input::new(device.transport(), hal.clone()) {
            Err(error) => {
                assert!(matches!(error, InputError::Core(virtio_core::Error::Platform(_))), "{error}");
                failures += 1;
            }
            Ok(_) => {
                assert!(!hal.has_failed());
                break;
            }
        }
    }
    assert!(failures > 3);
    // And one call by name, so that the loop above is known to have failed something.
    let hal = TestHal::new();
    hal.fail_nth_of(Call::DmaAlloc, 1);
    assert!(Input::new(builder(8, keyboard).build(&hal).transport(), hal.clone()).is_err());
}

// shows: input.op.2, input.op.3, input.op.4
#[test]
fn every_buffer_has_room_for_an_event() {
    let hal = TestHal::new();
    let (said, seen) = channel();
    let note = |said: &Sender<_>| {
        let said = said.clone();
        move |request: Request| {
            said.send((request.queue, request.readable.len(), request.writable)).unwrap();
            Reply::Hold
        }
    };
    let builder = FakeDevice::builder(DeviceId::INPUT).config(vec![0; 136]);
    let device = builder.queue(0, 8, note(&said)).queue(1, 8, note(&said)).build(&hal);
    let mut input = drive(&device, &hal);
    input.set_led(code::LED_CAPS_LOCK, true).unwrap();
    let mut expected = vec![(0, 0, 8); 8];
    expected.push((1, 8, 0));
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), expected);
    // One that comes back is as good as a new one.
    device.complete(0, 0, &wire(1, 30, 1));
    assert_eq!(input.next_event(), Ok(Some(key(30))));
    assert_eq!(input.next_event(), Ok(None));
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [(0, 0, 8)]);
}
