//! Each defect of the incumbent (`virtio-drivers` 0.13) that belongs to queues, as a test that it would fail.
//!
//! Two of them need more than a test here. That no kick is lost on a real machine is shown by two threads (`races`, under Miri
//! with many seeds, and `cargo xtask stress`) and by a model checker (`cargo xtask loom`). That no frame is above 1 KiB is
//! measured by `cargo xtask stack`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::cast_possible_truncation,
    reason = "tests fail by panicking"
)]

mod heap;
mod watched;

use core::time::Duration;
use std::sync::{Arc, Mutex};

use virtio_core::device::{Device, Init, Wanted};
use virtio_core::dma::{Lend, Readable, Writable};
use virtio_core::queue::{Port, QueueSpec, Request};
use virtio_core::{DeviceId, Error, Features, Hal, Misbehaved, Misuse, QueueIndex, Status};
use virtio_testkit::{Builder, Event, FakeDevice, FakeTransport, Lie, Reply, TestHal};
use watched::Watched;

const LIMIT: Duration = Duration::from_secs(5);
const ID: DeviceId = DeviceId::ENTROPY;
const Q0: QueueIndex = QueueIndex::new(0);
const SPLIT: Features = Features::VERSION_1;
const PACKED: Features = SPLIT.union(Features::RING_PACKED);

type Bytes = Readable<Vec<u8>>;
type Room = Writable<Vec<u8>>;

fn device(features: Features) -> Builder {
    FakeDevice::builder(ID).queue(0, 256, |_| Reply::Hold).features(features)
}

fn up<P: Lend, H: Hal + Clone>(device: &FakeDevice, hal: H, size: u16) -> Device<FakeTransport, H> {
    let init = Init::start(device.transport(), hal, ID).unwrap().negotiate(&Wanted::default()).unwrap();
    let spec = QueueSpec::new::<P>(0, size).header(16).response(16).indirect(4);
    init.queues(&[spec]).unwrap().live().unwrap()
}

fn byte() -> Request<'static, ()> {
    Request::new(()).header(&[1])
}

fn kicks(hal: &TestHal) -> usize {
    let kicks = hal.trace().iter().filter(|event| **event == Event::Notify(Q0)).count();
    hal.clear_trace();
    kicks
}

/// Incumbent: the fence stands before the store of `avail.idx`, and none between it and the load of the suppression field. The
/// device misses the index, the driver misses that it is to notify, and a blocking call hangs for ever.
// shows: split.supply.notify.1, packed.supply.notify.1
#[test]
fn the_index_is_in_memory_before_the_driver_asks_whether_to_notify() {
    for features in [SPLIT, SPLIT | Features::EVENT_IDX, PACKED, PACKED | Features::EVENT_IDX] {
        let hal = TestHal::new();
        let watched = Watched::new(&hal);
        let device = device(features | Features::ORDER_PLATFORM).manual().build(&hal);
        let mut live = up::<(), _>(&device, watched.clone(), 8);
        let mut port = live.port::<()>(0).unwrap();
        for round in 0..if cfg!(miri) { 3 } else { 20 } {
            port.add(byte()).unwrap();
            port.publish();
            // The device goes to sleep: it has not seen the request, and asks to be notified. It does so at the last moment
            // that the barrier allows for, so a wish that was read before is out of date.
            let ring = device.ring(0).unwrap();
            if features.contains(Features::EVENT_IDX) {
                device.set_avail_event(0, Some(ring.taken().wrapping_sub(1)));
            } else {
                device.suppress_notifications(0, true);
            }
            let seen = Arc::new(Mutex::new(Vec::new()));
            let (sleeper, saw) = (device.clone(), Arc::clone(&seen));
            watched.at_barriers(move || {
                let ring = sleeper.ring(0).unwrap();
                saw.lock().unwrap().push(ring.waiting(&sleeper.memory()).unwrap());
                if sleeper.accepted().contains(Features::EVENT_IDX) {
                    sleeper.set_avail_event(0, Some(ring.taken()));
                } else {
                    sleeper.suppress_notifications(0, false);
                }
            });
            assert!(port.kick(), "a device that sleeps is not woken: round {round} of {features:?}");
            watched.leave();
            assert_eq!(seen.lock().unwrap()[0], 1, "the request was not visible at the barrier");
            device.poll();
            device.complete(0, 0, &[]);
            drop(port.poll().unwrap().unwrap());
        }
        drop(live);
    }
}

/// Incumbent: `used_event` is stored, and the ring looked at, with no full barrier between; nor is there a call that does both.
#[test]
fn the_wish_for_an_interrupt_is_in_memory_before_the_ring_is_looked_at() {
    for features in [SPLIT, SPLIT | Features::EVENT_IDX, PACKED, PACKED | Features::EVENT_IDX] {
        let hal = TestHal::new();
        let watched = Watched::new(&hal);
        let device = device(features | Features::ORDER_PLATFORM).build(&hal);
        let mut live = up::<(), _>(&device, watched.clone(), 8);
        let mut port = live.port::<()>(0).unwrap();
        let (mut seen, mut both) = (0, false);
        for round in 0..if cfg!(miri) { 4 } else { 20 } {
            port.submit(byte()).unwrap();
            // The device uses the request in one of the barriers: before it can see the wish, or just after.
            let worker = device.clone();
            let mut barriers = 0;
            watched.at_barriers(move || {
                if barriers == round % 4 && worker.held(0) > 0 {
                    worker.complete(0, 0, &[]);
                }
                barriers += 1;
            });
            let waiting = port.enable_interrupts();
            watched.leave();
            let interrupted = device.interrupts() > seen;
            seen = device.interrupts();
            if device.held(0) == 0 {
                assert!(waiting || interrupted, "nobody tells of it: {features:?}, barrier {}", round % 4);
                both |= waiting && interrupted;
            } else {
                assert!(!waiting);
                device.complete(0, 0, &[]);
                seen += 1;
                assert_eq!(device.interrupts(), seen);
            }
            drop(port.poll().unwrap().unwrap());
            port.disable_interrupts();
        }
        assert!(both, "at the barrier in between, the wish is in memory, and the ring is not read yet");
        drop(live);
    }
}

/// Sends header-only requests, a ring full at a time, until so many were sent.
fn advance(port: &mut Port<'_, (), FakeTransport, TestHal>, device: &FakeDevice, from: u32, to: u32) {
    let mut sent = from;
    while sent < to {
        let batch = (to - sent).min(16);
        (0..batch).for_each(|_| assert!(port.add(byte()).is_ok()));
        port.publish();
        port.kick();
        device.poll();
        (0..batch).for_each(|_| device.complete(0, 0, &[]));
        while port.poll().unwrap().is_some() {}
        sent += batch;
    }
}

/// Incumbent: compares `avail_idx >= avail_event + 1` in 16 bits. A batch across the wrap is not notified (the device sleeps for
/// ever); an event that was left behind never suppresses anything.
#[test]
#[cfg_attr(miri, ignore = "too many rounds; `queue::event` has the arithmetic")]
fn event_idx_is_right_at_the_wrap_both_ways() {
    let hal = TestHal::new();
    let device = device(SPLIT | Features::EVENT_IDX).manual().build(&hal);
    let mut live = up::<(), _>(&device, hal.clone(), 16);
    let mut port = live.port::<()>(0).unwrap();
    advance(&mut port, &device, 0, 40_000);
    hal.clear_trace();
    device.set_avail_event(0, Some(10));
    port.submit(byte()).unwrap();
    assert_eq!(kicks(&hal), 0, "event 10 was passed long ago, at index 40001");
    device.poll();
    device.complete(0, 0, &[]);
    drop(port.poll().unwrap().unwrap());
    advance(&mut port, &device, 40_001, 65_534);
    hal.clear_trace();
    device.set_avail_event(0, Some(65_534));
    (0..3).for_each(|_| assert!(port.add(byte()).is_ok()));
    port.publish();
    assert!(port.kick(), "the batch goes from 65534 to 1, and the event is 65534");
    assert_eq!(kicks(&hal), 1);
    drop(live);
}

/// Incumbent: `set_dev_notify(false)` does nothing under `EVENT_IDX`, which QEMU negotiates.
#[test]
fn interrupts_can_be_masked_under_event_idx() {
    for features in [SPLIT, PACKED] {
        let hal = TestHal::new();
        let device = device(features | Features::EVENT_IDX).build(&hal);
        let mut live = up::<(), _>(&device, hal.clone(), 8);
        let mut port = live.port::<()>(0).unwrap();
        for round in 0..if cfg!(miri) { 8 } else { 500 } {
            port.submit(byte()).unwrap();
            if round % 7 == 0 {
                assert!(!port.enable_interrupts());
                port.disable_interrupts();
            }
            device.complete(0, 0, &[]);
            assert_eq!(device.interrupts(), 0, "round {round} of {features:?}");
            drop(port.poll().unwrap().unwrap());
        }
        drop(live);
    }
}

/// Incumbent: `add_notify_wait_pop` answers `WrongToken` when another request is used first, and returns while the device still
/// writes the caller's stack.
#[test]
fn a_blocking_call_returns_only_when_its_own_request_is_used() {
    for features in [SPLIT, PACKED] {
        let hal = TestHal::new();
        let device = device(features).build(&hal);
        let mut live = up::<(Bytes, Room), _>(&device, hal.clone(), 16);
        let mut port = live.port::<(Bytes, Room)>(0).unwrap();
        let pair = |n| Request::new((Readable(vec![n; 3]), Writable(vec![0; 4])));
        let tokens: Vec<_> = (0..2).map(|n| port.submit(pair(n)).unwrap()).collect();
        // One of the others is used first, then the call's own, then the last.
        let worker = device.clone();
        let mut rounds = 0;
        hal.on_relax(move || {
            rounds += 1;
            match rounds {
                3 => worker.complete(0, 1, &[1; 4]),
                6 => worker.complete(0, 1, &[9; 5]),
                _ => {}
            }
        });
        let mut stack = [0; 5];
        assert_eq!(live.call(0, &[&[5; 2]], &mut [&mut stack], LIMIT), Ok(5));
        assert_eq!(stack, [9; 5]);
        assert_eq!(device.held_readable(0), [[0; 3]], "the device holds the submitted one, and no other");
        let mut port = live.port::<(Bytes, Room)>(0).unwrap();
        let mut done = port.poll_for(tokens[1]).unwrap().unwrap();
        assert_eq!(done.take_payload().unwrap().1.0, [1; 4]);
        drop(done);
        assert!(port.poll_for(tokens[0]).unwrap().is_none());
        // One that is never used: the slices come back after a reset, when nothing is shared any more.
        let error = live.call(0, &[], &mut [&mut stack], LIMIT).unwrap_err();
        assert!(matches!(error, Error::Misbehaved(Misbehaved::Timeout(_))));
        assert!(device.status().is_empty());
        assert_eq!(hal.outstanding().shares, 0);
    }
}

/// A live queue with one request in flight.
fn one_in_flight(features: Features) -> (TestHal, FakeDevice, Device<FakeTransport, TestHal>) {
    let hal = TestHal::new();
    let device = device(features).build(&hal);
    let mut live = up::<Room, _>(&device, hal.clone(), 8);
    live.port::<Room>(0).unwrap().submit(Request::new(Writable(vec![0; 4]))).unwrap();
    (hal, device, live)
}

/// Incumbent: used ids are taken for array indices (`event_buf[token]`, `rx_buffers[token]`, `desc_shadow[head]`): three panics
/// that a device can bring about.
#[test]
fn an_id_that_is_beyond_the_queue_is_no_panic() {
    for features in [SPLIT, PACKED] {
        for id in [8, 255, 65_535] {
            let (_hal, device, mut live) = one_in_flight(features);
            device.lie(0, Lie::UsedId { id, len: 4 });
            let error = live.port::<Room>(0).unwrap().poll().map(drop);
            assert_eq!(error, Err(Misbehaved::UsedIdOutOfRange { queue: Q0, id }.into()));
        }
    }
}

/// Incumbent: an id that is in range and not in flight frees a descriptor twice, and panics later.
#[test]
fn an_id_that_is_not_in_flight_is_no_panic() {
    for features in [SPLIT, PACKED] {
        let (_hal, device, mut live) = one_in_flight(features);
        device.lie(0, Lie::UsedId { id: 5, len: 4 });
        let error = live.port::<Room>(0).unwrap().poll().map(drop);
        assert_eq!(error, Err(Misbehaved::UsedIdNotInFlight { queue: Q0, id: 5 }.into()));
    }
}

/// Incumbent: `assert_ne!(len, 0)` in the console: a device that has nothing to say ends the kernel.
#[test]
fn a_length_of_nothing_is_no_panic() {
    for features in [SPLIT, PACKED] {
        let (_hal, device, mut live) = one_in_flight(features);
        device.complete(0, 0, &[]);
        let mut port = live.port::<Room>(0).unwrap();
        let mut done = port.poll().unwrap().unwrap();
        assert_eq!((done.written(), done.take_payload()), (0, Some(Writable(vec![0; 4]))));
    }
}

/// Incumbent: lengths are believed (the console's `pending_len`, the network's `packet_len`): slices go out of bounds.
#[test]
fn a_length_beyond_the_buffer_is_no_panic() {
    for features in [SPLIT, PACKED] {
        for claim in [5, 4096, u32::MAX] {
            let (_hal, device, mut live) = one_in_flight(features);
            device.complete_claiming(0, 0, &[3; 4], claim);
            let mut port = live.port::<Room>(0).unwrap();
            let mut done = port.poll().unwrap().unwrap();
            assert_eq!((done.written(), done.claimed()), (4, claim));
            assert_eq!(done.take_payload(), Some(Writable(vec![3; 4])));
        }
    }
}

/// Incumbent: an empty slice ends in `assert`: `write!(console, "{}", "")` panics.
#[test]
fn an_empty_buffer_is_no_panic() {
    for features in [SPLIT, PACKED, SPLIT | Features::INDIRECT_DESC, PACKED | Features::INDIRECT_DESC] {
        let hal = TestHal::new();
        let device = device(features).build(&hal);
        let mut live = up::<(Bytes, Room), _>(&device, hal.clone(), 8);
        let mut port = live.port::<(Bytes, Room)>(0).unwrap();
        let nothing = Request::new((Readable(vec![]), Writable(vec![])));
        assert_eq!(port.submit(nothing).unwrap_err().error, Misuse::EmptyRequest.into());
        let half = Request::new((Readable(vec![]), Writable(vec![0; 2])));
        let token = port.submit(half).unwrap();
        device.complete(0, 0, &[6, 6]);
        assert_eq!(port.wait(token, LIMIT).unwrap().take_payload().unwrap().1.0, [6, 6]);
        assert_eq!(live.call(0, &[&[]], &mut [], LIMIT), Err(Misuse::EmptyRequest.into()));
    }
}

/// Incumbent: `pop_used` takes the oldest used request and no other; `peek_used` shows only that one, so who waits for another
/// waits for ever.
#[test]
fn completions_come_in_any_order() {
    for features in [SPLIT, PACKED] {
        let hal = TestHal::new();
        let device = device(features).build(&hal);
        let size = if cfg!(miri) { 8 } else { 64 };
        let mut live = up::<Bytes, _>(&device, hal.clone(), size.into());
        let mut port = live.port::<Bytes>(0).unwrap();
        let tokens: Vec<_> =
            (0..size).map(|n| port.submit(Request::new(Readable(vec![n]))).unwrap()).collect();
        for nth in (0..usize::from(size)).map(|n| (n * 37) % (usize::from(size) - n)) {
            device.complete(0, nth, &[]);
        }
        for (n, token) in (0..size).zip(tokens).rev() {
            assert_eq!(port.poll_for(token).unwrap().unwrap().take_payload(), Some(Readable(vec![n])));
        }
    }
}

/// Incumbent: a queue that is larger than the device's is refused, so its users pick the smallest that works anywhere.
#[test]
fn a_queue_is_as_large_as_the_device_allows() {
    for (wanted, max, size) in [(256, 64, 64), (16, 64, 16), (100, 64, 64), (256, 100, 64), (1, 1, 1)] {
        let hal = TestHal::new();
        let device = FakeDevice::builder(ID).queue(0, max, |_| Reply::Hold).build(&hal);
        let mut live = up::<(), _>(&device, hal.clone(), wanted);
        assert_eq!(live.port::<()>(0).unwrap().size(), size);
    }
}

/// Incumbent: `VirtQueue<1024>` is 32 KiB that is built on the stack and moved. (Frames are measured by `cargo xtask stack`.)
#[test]
fn what_stands_on_the_stack_does_not_grow_with_the_queue() {
    assert!(size_of::<Device<FakeTransport, TestHal>>() <= 512);
    assert!(size_of::<Port<'_, [u8; 4096], FakeTransport, TestHal>>() <= 64);
    assert!(size_of::<QueueSpec>() <= 128);
}

/// Incumbent: a queue has no `Drop`: buffers in flight stay shared, and indirect tables are lost.
#[test]
fn a_queue_that_is_dropped_in_mid_flight_gives_everything_back() {
    for features in [SPLIT, PACKED, SPLIT | Features::INDIRECT_DESC, PACKED | Features::INDIRECT_DESC] {
        let hal = TestHal::new();
        let device = device(features).build(&hal);
        let mut live = up::<(Bytes, Room), _>(&device, hal.clone(), 8);
        for n in 0..3 {
            let request = Request::new((Readable(vec![n; 9]), Writable(vec![0; 9])));
            live.port::<(Bytes, Room)>(0).unwrap().submit(request).unwrap();
        }
        assert_eq!(hal.outstanding().shares, 6);
        drop(live);
        assert!(hal.outstanding().is_none());
    }
}

/// Incumbent: `share` gives one address for a slice, so a buffer that is not contiguous breaks silently.
#[test]
fn a_buffer_in_pieces_arrives_whole() {
    for features in [SPLIT, PACKED, SPLIT | Features::INDIRECT_DESC, PACKED | Features::INDIRECT_DESC] {
        let hal = TestHal::new();
        hal.set_max_segment(3);
        let device = device(features).build(&hal);
        let mut live = up::<(Bytes, Room), _>(&device, hal.clone(), 16);
        let mut port = live.port::<(Bytes, Room)>(0).unwrap();
        let bytes: Vec<u8> = (0..20).collect();
        let request = Request::new((Readable(bytes.clone()), Writable(vec![0; 20])));
        let token = port.submit(request).unwrap();
        assert_eq!(device.held_readable(0), [&bytes[..]]);
        device.complete(0, 0, &bytes);
        assert_eq!(port.wait(token, LIMIT).unwrap().take_payload().unwrap().1.0, bytes);
    }
}

/// Incumbent: `input` notifies before DRIVER_OK.
// shows: init.7
#[test]
fn what_is_filled_early_is_notified_after_driver_ok() {
    let hal = TestHal::new();
    let device = device(SPLIT).build(&hal);
    let init = Init::start(device.transport(), hal.clone(), ID).unwrap();
    let init = init.negotiate(&Wanted::default()).unwrap();
    let mut ready = init.queues(&[QueueSpec::new::<()>(0, 8).header(4)]).unwrap();
    ready.prefill(0, byte()).unwrap();
    ready.prefill(0, byte()).unwrap();
    let live = ready.live().unwrap();
    let trace = hal.trace();
    let ok = trace
        .iter()
        .position(|event| matches!(event, Event::StatusWrite(status) if status.contains(Status::DRIVER_OK)));
    let notified = trace.iter().position(|event| *event == Event::Notify(Q0));
    assert!(ok.unwrap() < notified.unwrap());
    assert_eq!((kicks(&hal), device.held(0)), (1, 2), "one for both");
    drop(live);
}
