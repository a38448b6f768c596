//! Rules for what a driver writes into a ring, and when: looked up in memory, as a device finds it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_alloc,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;
#[path = "incumbent/watched.rs"]
mod watched;

use core::ptr::NonNull;
use std::sync::{Arc, Mutex};

use common::{Bytes, ID, Room, device, hold};
use virtio_core::device::{Device, Init, Wanted};
use virtio_core::dma::{Lend, Readable, Stretch, Writable};
use virtio_core::queue::{Cookie, Port, QueueSpec, RawBuffer, Request};
use virtio_core::{DeviceAddr, Features, Hal, Misuse};
use virtio_testkit::{Call, FakeDevice, FakeTransport, Lie, TestHal};
use watched::Watched;

type Pair = (Bytes, Room);

const SPLIT: Features = Features::VERSION_1;
const PACKED: Features = SPLIT.union(Features::RING_PACKED);
const SIZE: u16 = 8;
const INDIRECT: u16 = 4;

fn live<P: Lend, H: Hal + Clone>(fake: &FakeDevice, hal: H) -> Device<FakeTransport, H> {
    let init = Init::start(fake.transport(), hal, ID).unwrap().negotiate(&Wanted::default()).unwrap();
    let table = if init.features().contains(Features::INDIRECT_DESC) { 4 } else { 0 };
    let spec = QueueSpec::new::<P>(0, SIZE).header(16).response(16).indirect(table);
    init.queues(&[spec]).unwrap().live().unwrap()
}

fn pair() -> Request<'static, Pair> {
    Request::new((Readable(vec![1; 20]), Writable(vec![0; 20])))
}

/// What stands in the device's memory there, whoever may write it.
fn bytes(hal: &TestHal, at: DeviceAddr, len: usize) -> Vec<u8> {
    hal.memory().hostile().read_vec(at, len).unwrap()
}

// shows: split.avail-notif-suppress.1
#[test]
fn the_devices_part_of_a_ring_starts_at_zero() {
    for (features, legacy) in [(SPLIT, false), (PACKED, false), (Features::empty(), true)] {
        // Fresh pages are full of rubbish.
        let hal = TestHal::new();
        let builder = device(SIZE, hold).features(features).manual();
        let fake = if legacy { builder.legacy() } else { builder }.build(&hal);
        let _live = live::<(), _>(&fake, hal.clone());
        let rings = fake.ring(0).unwrap().rings();
        let len = if features.contains(Features::RING_PACKED) { 4 } else { 6 + 8 * usize::from(SIZE) };
        assert_eq!(bytes(&hal, rings.device, len), vec![0; len], "{features:?}");
        assert_eq!(bytes(&hal, rings.descriptor, 16 * usize::from(SIZE)), [0; 16 * SIZE as usize]);
    }
}

// shows: split.avail-notif-suppress.2, split.avail-notif-suppress.3, split.avail-notif-suppress.4
// shows: split.avail-notif-suppress.5, split.avail-notif-suppress.6, split.avail-notif-suppress.7
#[test]
fn the_field_that_was_not_negotiated_is_not_looked_at() {
    for event_idx in [false, true] {
        let features = if event_idx { SPLIT | Features::EVENT_IDX } else { SPLIT };
        let hal = TestHal::new();
        let fake = device(SIZE, hold).features(features).build(&hal);
        let mut live = live::<(), _>(&fake, hal.clone());
        let mut port = live.port::<()>(0).unwrap();
        for index in 0..40_u16 {
            // The index that is about to be published, one before, one behind, and one far away.
            let event = [index, index.wrapping_sub(1), index.wrapping_add(1), 0x8000][usize::from(index % 4)];
            let flags = (index / 4) % 2;
            fake.lie(0, Lie::Suppression { event, flags });
            port.add(Request::new(()).header(&[1])).unwrap();
            port.publish();
            let due = if event_idx { event == index } else { flags == 0 };
            assert_eq!(port.kick(), due, "index {index}, event {event}, flags {flags}, {features:?}");
            fake.poll();
            fake.complete(0, 0, &[]);
            drop(port.poll().unwrap().unwrap());
        }
    }
}

/// Every descriptor that was written, and the table it leads to: place and bytes.
fn written(hal: &TestHal, fake: &FakeDevice) -> Vec<(DeviceAddr, Vec<u8>)> {
    let table = fake.ring(0).unwrap().rings().descriptor;
    let mut all = Vec::new();
    for slot in 0..u64::from(SIZE) {
        let place = DeviceAddr::new(table.get() + 16 * slot);
        let raw = bytes(hal, place, 16);
        if raw.iter().all(|byte| *byte == 0) {
            continue;
        }
        // In a packed descriptor the flags come last, in a split one `next` does.
        let packed = fake.accepted().contains(Features::RING_PACKED);
        let flags = if packed { [raw[14], raw[15]] } else { [raw[12], raw[13]] };
        if u16::from_le_bytes(flags) & INDIRECT != 0 {
            let at = DeviceAddr::new(u64::from_le_bytes(raw[..8].try_into().unwrap()));
            let len = u32::from_le_bytes(raw[8..12].try_into().unwrap());
            all.push((at, bytes(hal, at, usize::try_from(len).unwrap())));
        }
        all.push((place, raw));
    }
    all
}

#[track_caller]
fn assert_untouched(hal: &TestHal, exposed: &[(DeviceAddr, Vec<u8>)]) {
    for (place, before) in exposed {
        assert_eq!(bytes(hal, *place, before.len()), *before, "at {place}");
    }
}

/// All that a driver does beside a request in flight, and nothing that uses it up.
fn meanwhile(hal: &TestHal, port: &mut Port<'_, Pair, FakeTransport, TestHal>) {
    // Requests that are given up halfway, or that never can be.
    hal.fail_nth_of(Call::Share, 2);
    assert!(port.submit(pair()).is_err());
    assert!(port.submit(Request::new((Readable(vec![]), Writable(vec![])))).is_err());
    port.publish();
    port.kick();
    let _ = port.enable_interrupts();
    port.disable_interrupts();
    assert!(port.poll().unwrap().is_none());
}

// shows: init.cleanup.1, packed.desc.1, packed.desc.2
#[test]
fn what_is_with_the_device_is_not_written_again() {
    for format in [SPLIT, PACKED] {
        for more in [Features::empty(), Features::INDIRECT_DESC, Features::EVENT_IDX, Features::IN_ORDER] {
            let hal = TestHal::new();
            let fake = device(SIZE, hold).features(format | more).build(&hal);
            let mut live = live::<Pair, _>(&fake, hal.clone());
            let mut port = live.port::<Pair>(0).unwrap();
            port.submit(pair()).unwrap();
            let first = written(&hal, &fake);
            port.submit(pair()).unwrap();
            let mut second = written(&hal, &fake);
            second.retain(|one| !first.contains(one));
            assert!(!first.is_empty() && !second.is_empty());
            meanwhile(&hal, &mut port);
            assert_untouched(&hal, &first);
            assert_untouched(&hal, &second);
            // The first is used, which gives its descriptors back, and those only; then the queue is filled to the last.
            fake.complete(0, 0, &[3; 20]);
            drop(port.poll().unwrap().unwrap());
            meanwhile(&hal, &mut port);
            while port.free() >= 2 {
                port.submit(pair()).unwrap();
                assert_untouched(&hal, &second);
            }
            while port.submit(pair()).is_ok() {}
            let all = written(&hal, &fake);
            assert!(port.submit(pair()).is_err());
            meanwhile(&hal, &mut port);
            assert_untouched(&hal, &second);
            assert_untouched(&hal, &all);
        }
    }
}

// shows: split.supply.updating-idx.1, packed.supply.updating-flags.1, packed.sg.6
#[test]
fn a_list_is_whole_in_memory_before_the_barrier_and_shown_after_it() {
    for format in [SPLIT, PACKED] {
        let hal = TestHal::new();
        let watched = Watched::new(&hal);
        let fake = device(SIZE, hold).features(format | Features::ORDER_PLATFORM).manual().build(&hal);
        let mut live = live::<(), _>(&fake, watched.clone());
        let mut port = live.port::<()>(0).unwrap();
        let rings = fake.ring(0).unwrap().rings();
        for round in 0..6_u16 {
            // Two requests of two descriptors each.
            for _ in 0..2 {
                port.add(Request::new(()).header(&[9; 5]).response(3)).unwrap();
            }
            let seen = Arc::new(Mutex::new(Vec::new()));
            let (at_barrier, kit, looked) = (Arc::clone(&seen), hal.clone(), fake.clone());
            let image = move || {
                let table = bytes(&kit, rings.descriptor, 16 * usize::from(SIZE));
                (looked.ring(0).unwrap().waiting(&looked.memory()).unwrap(), table)
            };
            let at = image.clone();
            watched.at_barriers(move || at_barrier.lock().unwrap().push(at()));
            port.publish();
            watched.leave();
            let seen = seen.lock().unwrap();
            let [(waiting, before)] = &seen[..] else { panic!("{} barriers", seen.len()) };
            let (shown, after) = image();
            assert_eq!((*waiting, shown), (0, 2), "nothing is shown at the barrier, all of it after");
            let differ: Vec<_> = (0..before.len()).filter(|at| before[*at] != after[*at]).collect();
            if format == PACKED {
                // The flags of the first descriptor of all alone.
                let first = 16 * usize::from(round * 4 % SIZE);
                let flags = first + 14..first + 16;
                assert!(!differ.is_empty() && differ.iter().all(|at| flags.contains(at)), "{differ:?}");
            } else {
                assert_eq!(differ, [0_usize; 0]);
            }
            drop(seen);
            port.kick();
            fake.poll();
            for _ in 0..2 {
                fake.complete(0, 0, &[4; 3]);
                drop(port.poll().unwrap().unwrap());
            }
        }
    }
}

/// Buffers that lie where the payload says; nobody may ever look at them.
struct Far {
    lengths: Vec<usize>,
    domain: u64,
}

// SAFETY: the addresses are the device's alone, and name memory that exists for no one; no request with them is published.
unsafe impl Lend for Far {
    fn readable(&self) -> usize {
        self.lengths.len()
    }
    fn writable(&self) -> usize {
        0
    }
    unsafe fn readable_at(this: NonNull<Self>, index: usize) -> Option<Stretch> {
        // SAFETY: `this` points to a live value that nobody refers to.
        let Self { lengths, domain } = unsafe { &*this.as_ptr() };
        let len = *lengths.get(index)?;
        let memory = NonNull::slice_from_raw_parts(NonNull::<u8>::dangling(), len);
        Some(Stretch { memory, device: Some((DeviceAddr::new(0x1_0000_0000), *domain)) })
    }
    unsafe fn writable_at(_this: NonNull<Self>, _index: usize) -> Option<Stretch> {
        None
    }
}

// shows: split.desc.1
#[test]
fn a_chain_holds_4_gib_at_most() {
    let most = u32::MAX;
    let lengths =
        [(vec![most, 1], true), (vec![most, 2], false), (vec![most, most], false), (vec![most], true)];
    for format in [SPLIT, PACKED, SPLIT | Features::INDIRECT_DESC, PACKED | Features::INDIRECT_DESC] {
        for (lengths, fits) in &lengths {
            let hal = TestHal::new();
            let fake = device(SIZE, hold).features(format).manual().build(&hal);
            let mut up = live::<Cookie, _>(&fake, hal.clone());
            let mut port = up.port::<Cookie>(0).unwrap();
            let buffers: Vec<_> =
                lengths.iter().map(|len| RawBuffer { device: DeviceAddr::new(0x1000), len: *len }).collect();
            // SAFETY: it is never published.
            let added = unsafe { port.add_raw(&buffers, &[], Cookie(7)) };
            assert_eq!(added.is_ok(), *fits, "{lengths:?} of {format:?}");
            if let Err(refused) = added {
                assert_eq!((refused.error, refused.payload), (Misuse::BufferTooLong.into(), Cookie(7)));
                assert_eq!(port.free(), SIZE);
            }
            #[cfg(target_pointer_width = "64")]
            {
                let hal = TestHal::new();
                let fake = device(SIZE, hold).features(format).manual().build(&hal);
                let mut up = live::<Far, _>(&fake, hal.clone());
                let mut port = up.port::<Far>(0).unwrap();
                let lengths: Vec<_> = lengths.iter().map(|len| usize::try_from(*len).unwrap()).collect();
                let far = Far { lengths: lengths.clone(), domain: hal.domain() };
                match port.add(Request::new(far)) {
                    Ok(_) => assert!(fits, "{lengths:?} of {format:?}"),
                    Err(refused) => {
                        assert_eq!((refused.error, *fits), (Misuse::BufferTooLong.into(), false));
                        assert_eq!(port.free(), SIZE);
                    }
                }
            }
        }
    }
}
