//! Ways to break an invariant without writing `unsafe`, none of which may work.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use common::{ID, LIMIT, Live, Room, device, echo, hold, up};
use virtio_core::config::ByteOrder;
use virtio_core::device::{Init, Wanted};
use virtio_core::dma::{Both, Dma, Readable, Writable};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::transport::{Doorbell, InterruptStatus, Rings, TransportInfo};
use virtio_core::{DeviceId, Error, Features, Misbehaved, Misuse, QueueIndex, Status, Transport};
use virtio_testkit::{Call, Event, FakeDevice, FakeTransport, Lie, Reply, Reset, TestHal};

/// A transport that hands a queue to the device, and then panics.
struct Panicky(FakeTransport);

impl Transport for Panicky {
    fn info(&self) -> TransportInfo {
        self.0.info()
    }
    fn device_id(&self) -> DeviceId {
        self.0.device_id()
    }
    fn status(&self) -> Status {
        self.0.status()
    }
    fn set_status(&mut self, status: Status) {
        self.0.set_status(status);
    }
    fn device_features(&mut self, window: u32) -> u32 {
        self.0.device_features(window)
    }
    fn set_driver_features(&mut self, window: u32, bits: u32) {
        self.0.set_driver_features(window, bits);
    }
    fn queue_max_size(&mut self, queue: QueueIndex) -> u16 {
        self.0.queue_max_size(queue)
    }
    fn enable_queue(&mut self, queue: QueueIndex, rings: &Rings) -> Result<Doorbell, Error> {
        self.0.enable_queue(queue, rings)?;
        panic!("after the device was told")
    }
    fn notify(&self, doorbell: Doorbell) {
        self.0.notify(doorbell);
    }
    fn ack_interrupt(&self) -> InterruptStatus {
        self.0.ack_interrupt()
    }
    fn config_generation(&self) -> u32 {
        self.0.config_generation()
    }
    fn config_len(&self) -> usize {
        self.0.config_len()
    }
    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.0.read_config(offset, bytes)
    }
    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.0.write_config(offset, bytes)
    }
}

#[test]
fn a_panic_while_a_queue_is_enabled_frees_the_rings_after_the_reset() {
    let hal = TestHal::new();
    let fake = device(8, hold).build(&hal);
    let init = Init::start(Panicky(fake.transport()), hal.clone(), ID).unwrap();
    let init = init.negotiate(&Wanted::default()).unwrap();
    let specs = [QueueSpec::new::<()>(0, 8)];
    assert!(catch_unwind(AssertUnwindSafe(|| drop(init.queues(&specs)))).is_err());
    let trace = hal.trace();
    let enabled = trace.iter().position(|event| matches!(event, Event::QueueEnabled { .. })).unwrap();
    common::assert_reset_before_free(&trace[enabled..]);
}

#[test]
fn a_queue_declared_twice_is_refused() {
    let hal = TestHal::new();
    let fake = device(8, hold).build(&hal);
    let init = Init::start(fake.transport(), hal.clone(), ID).unwrap().negotiate(&Wanted::default()).unwrap();
    let twice = [QueueSpec::new::<()>(0, 8), QueueSpec::new::<()>(0, 8)];
    assert_eq!(init.queues(&twice).unwrap_err(), Misuse::BadQueueDeclaration.into());
}

#[test]
fn a_used_element_for_a_request_that_was_not_published_breaks_the_queue() {
    let hal = TestHal::new();
    let fake = FakeDevice::builder(ID).queue(0, 8, |_| Reply::Lie(Lie::UsedId { id: 1, len: 0 })).build(&hal);
    let mut live: Live = up::<Room>(&fake, &hal, 8).unwrap();
    let mut port = live.port::<Room>(0).unwrap();
    port.add(Request::new(Writable(vec![0; 10]))).unwrap();
    port.publish();
    let hidden = port.add(Request::new(Writable(vec![0; 20]))).unwrap();
    port.kick();
    let error = port.poll_for(hidden).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Misbehaved(Misbehaved::UsedIdNotInFlight { id: 1, .. })), "{error}");
    assert_eq!(hal.outstanding().shares, 2);
}

#[test]
fn dma_memory_of_another_domain_is_shared_like_any_other() {
    type Foreign = Writable<Dma<[u8], TestHal, Both>>;
    let (hal, other) = (TestHal::new(), TestHal::new());
    let fake = device(8, |request| Reply::Write(vec![0x55; request.writable])).build(&hal);
    let mut live = up::<Foreign>(&fake, &hal, 8).unwrap();
    // The same address in both domains: memory that safe code holds here, and the buffer there.
    let mut lent = Dma::zeroed_slice(other.clone(), 4096).unwrap();
    let mut held: Vec<Dma<[u8], TestHal, Both>> = Vec::new();
    while held.last().is_none_or(|last| last.paddr() < lent.paddr()) {
        held.push(Dma::zeroed_slice(hal.clone(), 4096).unwrap());
        if held.last().is_some_and(|last| last.paddr() > lent.paddr()) {
            lent = Dma::zeroed_slice(other.clone(), 4096).unwrap();
        }
    }
    let mut port = live.port::<Foreign>(0).unwrap();
    let token = port.submit(Request::new(Writable(lent))).unwrap();
    let back = port.poll_for(token).unwrap().unwrap().take_payload().unwrap();
    assert!(back.0.as_slice().iter().all(|byte| *byte == 0x55));
    assert!(held.iter().all(|memory| memory.as_slice().iter().all(|byte| *byte == 0)));
}

#[test]
fn dismantling_after_an_unconfirmed_stop_says_so() {
    let hal = TestHal::new();
    hal.allow_leaks();
    let fake = device(8, hold).build(&hal);
    let mut live = up::<()>(&fake, &hal, 8).unwrap();
    fake.set_reset(Reset::Never);
    let error = live.exchange(0, b"x", &mut [0; 4], LIMIT).unwrap_err();
    assert!(matches!(error, Error::Misbehaved(Misbehaved::Timeout(_))), "{error}");
    assert!(live.dismantle().is_err());
}

// shows: basic.status.4
#[test]
fn a_device_that_asks_for_a_reset_is_taken_down_and_says_so_instead_of_a_timeout() {
    let hal = TestHal::new();
    let fake = device(8, hold).build(&hal);
    let mut live = up::<()>(&fake, &hal, 8).unwrap();
    fake.needs_reset();
    let error = live.exchange(0, b"x", &mut [0; 4], LIMIT).unwrap_err();
    assert_eq!(error, Misbehaved::NeedsReset.into());
    // From here on everything says the same.
    assert_eq!(live.exchange(0, b"x", &mut [0; 4], LIMIT), Err(Error::Down));
    assert_eq!(live.ack_interrupt(), Err(Error::Down));
    assert_eq!(live.transport_info(), Err(Error::Down));
    assert_eq!(live.write_config(0, &[0]), Err(Error::Down));
    assert!(live.config(ByteOrder::Little).is_err());
    assert!(live.dismantle().is_ok());
}

/// What is answered at once does not need a clock, nor a number of polls instead.
#[test]
fn the_clock_is_read_only_where_there_is_something_to_wait_for() {
    let hal = TestHal::new();
    let fake = device(8, |request| if request.readable == b"wait" { Reply::Hold } else { echo(request) });
    let fake = fake.build(&hal);
    let mut live = up::<()>(&fake, &hal, 8).unwrap();
    hal.without_clock(None);
    assert_eq!(live.exchange(0, b"x", &mut [0; 4], LIMIT), Ok(4));
    assert_eq!(live.call(0, &[b"x"], &mut [&mut [0; 4]], LIMIT), Ok(4));
    hal.without_clock(Some(10));
    let error = live.exchange(0, b"wait", &mut [0; 4], LIMIT).unwrap_err();
    assert!(matches!(error, Error::Misbehaved(Misbehaved::Timeout(_))), "{error}");
}

#[test]
fn a_panicking_hal_never_lets_a_borrow_out_before_the_reset() {
    for call in [Call::Share, Call::Relax, Call::Now, Call::DmaAlloc] {
        for nth in 1..4 {
            let hal = TestHal::new();
            hal.scatter();
            let fake = device(8, hold).build(&hal);
            let mut live = up::<()>(&fake, &hal, 8).unwrap();
            hal.panic_nth(call, nth);
            let mut memory = vec![0; 5000];
            let outcome =
                catch_unwind(AssertUnwindSafe(|| live.call(0, &[b"in"], &mut [&mut memory], LIMIT)));
            assert!(outcome.is_err() || outcome.is_ok_and(|answer| answer.is_err()));
            // Whatever happened: the memory is ours again, and the kit sees any access to it by the device.
            assert_eq!(hal.outstanding().shares, 0, "{call:?} {nth}");
        }
    }
}

#[test]
fn any_order_of_everything_keeps_the_books_straight() {
    type Both = (Readable<Vec<u8>>, Writable<Vec<u8>>);
    let (seeds, steps) = if cfg!(miri) { (1, 60) } else { (40, 400) };
    for size in [1, 2, 4, 8] {
        for seed in 0..seeds {
            let hal = TestHal::new();
            hal.set_max_segment(5);
            let features = Features::VERSION_1 | Features::EVENT_IDX;
            let fake = FakeDevice::builder(ID).features(features).queue(0, size, hold).build(&hal);
            let mut live = up::<Both>(&fake, &hal, size).unwrap();
            let mut random = Random(seed * 4 + u64::from(size));
            let mut posted = Vec::new();
            for step in 0..steps {
                let mut port = live.port::<Both>(0).unwrap();
                match random.below(5) {
                    0 | 1 => {
                        let fill = u8::try_from(step % 256).unwrap();
                        let (read, write) = (random.below(12), random.below(12));
                        let header = &[7; 4][..random.below(2) * 4];
                        let payload = (Readable(vec![fill; read]), Writable(vec![0; write]));
                        let free = port.free();
                        let request = Request::new(payload).header(header).response(random.below(2) * 4);
                        match port.submit(request) {
                            Ok(token) => posted.push((token, vec![fill; read])),
                            Err(refused) => {
                                assert_eq!(refused.payload.0.0, vec![fill; read]);
                                assert_eq!(port.free(), free);
                            }
                        }
                    }
                    2 if fake.held(0) > 0 => {
                        let answer = &[9; 20][..random.below(20)];
                        fake.complete(0, random.below(fake.held(0)), answer);
                    }
                    3 => {
                        if let Some(mut done) = port.poll().unwrap() {
                            let at = posted.iter().position(|(token, _)| *token == done.token()).unwrap();
                            assert_eq!(done.take_payload().unwrap().0.0, posted.swap_remove(at).1);
                        }
                    }
                    _ if !posted.is_empty() => {
                        let at = random.below(posted.len());
                        if let Some(mut done) = port.poll_for(posted[at].0).unwrap() {
                            assert_eq!(done.take_payload().unwrap().0.0, posted.swap_remove(at).1);
                        }
                    }
                    _ => {}
                }
            }
            drop(live);
            hal.finish();
        }
    }
}

/// A small generator, so that a failing run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

#[test]
fn dma_memory_that_is_lost_with_a_device_is_reported() {
    type Pages = Writable<Dma<[u8], TestHal, Both>>;
    let hal = TestHal::new();
    hal.allow_leaks();
    let fake = device(8, hold).build(&hal);
    let mut live = up::<Pages>(&fake, &hal, 8).unwrap();
    let lent = Dma::zeroed_slice(hal.clone(), 9000).unwrap();
    let address = lent.paddr();
    live.port::<Pages>(0).unwrap().submit(Request::new(Writable(lent))).unwrap();
    let attached: Dma<[u8], TestHal, Both> = Dma::zeroed_slice(hal.clone(), 5000).unwrap();
    let attached_at = attached.paddr();
    live.attach(attached).unwrap();
    fake.set_reset(Reset::Never);
    drop(live);
    let pages = |at| hal.leaks().iter().find(|leak| leak.device == at).map(|leak| leak.pages);
    assert_eq!((pages(address), pages(attached_at)), (Some(3), Some(2)));
}
