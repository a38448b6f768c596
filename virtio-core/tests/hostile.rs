//! What a hostile device, or a careless user of the safe interface, gets away with.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unsafe_code,
    reason = "tests fail by panicking; not every file uses every helper; a payload is declared by hand"
)]

mod common;

use core::mem::forget;
use core::panic::AssertUnwindSafe;
use core::ptr::NonNull;
use std::panic::catch_unwind;
use std::process::Command;

use common::{Bytes, ID, LIMIT, Live, Room, device, hold, up};
use virtio_core::device::{Init, Wanted};
use virtio_core::dma::{Lend, Readable, Stretch, Writable};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::{Error, Features, Misuse};
use virtio_testkit::{FakeDevice, Reply, TestHal};

/// Panics when it is dropped, if it is armed. No buffers.
#[derive(Debug)]
struct Bomb(bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!core::mem::take(&mut self.0), "a payload that panics when it is dropped");
    }
}

// SAFETY: no buffers at all.
unsafe impl Lend for Bomb {
    fn readable(&self) -> usize {
        0
    }
    fn writable(&self) -> usize {
        0
    }
    unsafe fn readable_at(_this: NonNull<Self>, _index: usize) -> Option<Stretch> {
        None
    }
    unsafe fn writable_at(_this: NonNull<Self>, _index: usize) -> Option<Stretch> {
        None
    }
}

/// A live device with one queue of eight, whose requests carry `P`.
fn live<P: Lend>(hal: &TestHal, features: Features, table: u16) -> (FakeDevice, Live) {
    let features = features | Features::VERSION_1 | Features::RING_RESET;
    let fake = FakeDevice::builder(ID).features(features).queue(0, 8, hold).build(hal);
    let init = Init::start(fake.transport(), hal.clone(), ID).unwrap().negotiate(&Wanted::default()).unwrap();
    let specs = [QueueSpec::new::<P>(0, 8).header(16).response(16).indirect(table).drains_on_reset()];
    let live = init.queues(&specs).unwrap().live().unwrap();
    (fake, live)
}

/// A live device with two queues. It answers what does not begin with 9, and keeps the rest.
fn two_queues(hal: &TestHal) -> (FakeDevice, Live) {
    fn answer(request: virtio_testkit::Request) -> Reply {
        if request.readable.first() == Some(&9) { Reply::Hold } else { Reply::Write(vec![1]) }
    }
    let features = Features::VERSION_1 | Features::RING_RESET;
    let fake = FakeDevice::builder(ID).features(features).queue(0, 8, answer).queue(1, 8, answer).build(hal);
    let init = Init::start(fake.transport(), hal.clone(), ID).unwrap().negotiate(&Wanted::default()).unwrap();
    let specs = [0, 1].map(|index| QueueSpec::new::<()>(index, 8).header(16).response(16).drains_on_reset());
    let live = init.queues(&specs).unwrap().live().unwrap();
    (fake, live)
}

#[test]
fn a_forgotten_completion_does_not_let_go_of_an_attachment_twice() {
    let hal = TestHal::new();
    let (fake, mut live) = two_queues(&hal);
    let attachment = live.attach(vec![7_u8; 50]).unwrap();
    for (queue, header) in [(0, 0), (1, 9)] {
        let mut port = live.port::<()>(queue).unwrap();
        port.add_attaching(Request::new(()).header(&[header]), &attachment).unwrap();
        port.publish();
        port.kick();
        if queue == 0 {
            forget(port.poll().unwrap().unwrap());
        }
    }
    live.reset_queue::<()>(0, |_, ()| {}).unwrap();
    // The device holds a request that names the table of entries: nobody may free it.
    assert_eq!(fake.held(1), 1);
    let answer = live.detach(attachment, 0, &[0], &mut [0], LIMIT, |_| Ok::<(), Error>(()));
    assert_eq!(answer.map(|_| ()).map_err(|kept| kept.error), Err(Misuse::AttachmentInUse.into()));
}

#[test]
fn a_request_that_names_an_attachment_may_be_taken_through_any_port() {
    let hal = TestHal::new();
    let (_fake, mut live) = two_queues(&hal);
    let attachment = live.attach(vec![7_u8; 50]).unwrap();
    let mut port = live.port::<()>(0).unwrap();
    port.add_attaching(Request::new(()).header(&[0]), &attachment).unwrap();
    port.publish();
    port.kick();
    let mut ports = live.ports().unwrap();
    drop(ports.take::<()>(0).unwrap().poll().unwrap().unwrap());
    let answer = live.detach(attachment, 0, &[0], &mut [0], LIMIT, |_| Ok::<(), Error>(()));
    assert_eq!(answer.map_err(|kept| kept.error), Ok(vec![7; 50]));
}

#[test]
fn a_queue_that_starts_again_after_a_panic_has_let_go_of_everything() {
    let hal = TestHal::new();
    let (_fake, mut live) = live::<Room>(&hal, Features::empty(), 0);
    let mut port = live.port::<Room>(0).unwrap();
    for _ in 0..3 {
        port.submit(Request::new(Writable(vec![0; 10]))).unwrap();
    }
    let stopped = catch_unwind(AssertUnwindSafe(|| live.stop_queue::<Room>(0, |_, _| panic!("too many"))));
    assert!(stopped.is_err());
    live.start_queue(0).unwrap();
    assert_eq!(hal.outstanding().shares, 0);
}

#[test]
fn a_stopped_queue_is_not_notified() {
    let hal = TestHal::new();
    let (_fake, mut live) = live::<Room>(&hal, Features::empty(), 0);
    live.port::<Room>(0).unwrap().add(Request::new(Writable(vec![0; 10]))).unwrap();
    live.stop_queue::<Room>(0, |_, _| ()).unwrap();
    let mut port = live.port::<Room>(0).unwrap();
    port.publish();
    assert!(!port.kick());
    assert_eq!((port.in_flight(), hal.take_faults()), (0, Vec::new()));
}

#[test]
fn an_interrupt_after_some_is_not_late_where_requests_differ_in_length() {
    type Three = (Bytes, (Bytes, Bytes));
    for ring in [Features::empty(), Features::RING_PACKED] {
        let hal = TestHal::new();
        let (fake, mut live) = live::<Three>(&hal, ring | Features::EVENT_IDX, 0);
        let mut port = live.port::<Three>(0).unwrap();
        for len in [4, 0, 0] {
            let some = || Readable(vec![1; len]);
            let header = &[0; 4][..len];
            port.submit(Request::new((Readable(vec![1; 4]), (some(), some()))).header(header)).unwrap();
        }
        assert!(!port.enable_interrupts_after(2));
        fake.complete(0, 1, &[]);
        fake.complete(0, 1, &[]);
        assert_eq!(fake.interrupts(), 1, "{ring:?}: two more were used");
    }
}

#[test]
fn nothing_but_a_head_leads_to_a_table() {
    // QEMU and DPDK look for INDIRECT in the first descriptor of a chain only; QEMU 7.2 asks for a reset otherwise.
    let hal = TestHal::new();
    let (fake, mut live) = live::<(Bytes, Bytes)>(&hal, Features::INDIRECT_DESC, 2);
    let mut port = live.port::<(Bytes, Bytes)>(0).unwrap();
    let request = || Request::new((Readable(vec![1]), Readable(vec![2])));
    // Six, so that two are left for the next one, which has three segments and a table for two.
    for _ in 0..6 {
        port.submit(request()).unwrap();
    }
    let refused = port.submit(request().header(&[0])).unwrap_err();
    assert_eq!(refused.error, Misuse::QueueFull.into());
    assert_eq!((fake.held(0), port.free()), (6, 2));
}

#[test]
fn a_payload_that_panics_when_it_is_dropped_costs_no_descriptor() {
    for ring in [Features::empty(), Features::RING_PACKED, Features::IN_ORDER] {
        let hal = TestHal::new();
        let (fake, mut live) = live::<Bomb>(&hal, ring, 0);
        let mut port = live.port::<Bomb>(0).unwrap();
        port.submit(Request::new(Bomb(true)).header(&[1])).unwrap();
        fake.complete(0, 0, &[]);
        let done = port.poll().unwrap().unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(done))).is_err());
        assert_eq!(port.free(), 8, "{ring:?}");
    }
}

#[test]
fn a_payload_that_panics_when_it_is_dropped_keeps_no_other_from_coming_back() {
    let hal = TestHal::new();
    let fake = device(8, hold).build(&hal);
    let mut live = up::<(Bomb, Room)>(&fake, &hal, 8).unwrap();
    for armed in [true, false, false] {
        let payload = (Bomb(armed), Writable(vec![1; 9]));
        live.port::<(Bomb, Room)>(0).unwrap().submit(Request::new(payload)).unwrap();
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(live))).is_err());
    assert!(hal.outstanding().is_none(), "{:?}", hal.outstanding());
}

#[test]
#[cfg_attr(miri, ignore = "starts a process")]
fn a_payload_that_panics_when_it_is_dropped_does_not_hang_a_call_whose_device_was_reset() {
    const STUCK: i32 = 42;
    if std::env::var_os("VIRTIO_BOMB_CHILD").is_some() {
        let hal = TestHal::new();
        hal.exit_when_stuck(STUCK);
        let fake = device(8, hold).build(&hal);
        let mut live = up::<Bomb>(&fake, &hal, 8).unwrap();
        live.port::<Bomb>(0).unwrap().submit(Request::new(Bomb(true)).header(&[1])).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| live.call(0, &[&[1]], &mut [], LIMIT)));
        std::process::exit(if outcome.is_err() { 0 } else { 1 });
    }
    let name = "a_payload_that_panics_when_it_is_dropped_does_not_hang_a_call_whose_device_was_reset";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env("VIRTIO_BOMB_CHILD", "1")
        .output()
        .unwrap();
    assert_eq!(child.status.code(), Some(0), "{STUCK} means that the call would have waited for ever");
}
