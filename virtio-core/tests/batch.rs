//! What a batch costs: counted through the barriers, which with `ORDER_PLATFORM` are calls of the Hal. There is one at each
//! store of `avail.idx`, one before the suppression field is read, and one at each load of `used.idx`.
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

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use common::{ID, device, hold};
use virtio_core::device::{Init, Wanted};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::{Features, QueueIndex};
use virtio_testkit::{Event, TestHal};
use watched::Watched;

const BATCH: u16 = 16;

// shows: reserved-features.8
#[test]
fn a_batch_is_one_store_of_the_index_one_kick_at_most_and_one_load_per_drain() {
    for event_idx in [Features::empty(), Features::EVENT_IDX] {
        let hal = TestHal::new();
        let watched = Watched::new(&hal);
        let features = Features::VERSION_1 | Features::ORDER_PLATFORM | event_idx;
        let device = device(64, hold).features(features).manual().build(&hal);
        let init = Init::start(device.transport(), watched.clone(), ID).unwrap();
        let spec = QueueSpec::new::<()>(0, 64).header(1);
        let init = init.negotiate(&Wanted::default()).unwrap().queues(&[spec]).unwrap();
        let mut live = init.live().unwrap();
        let mut port = live.port::<()>(0).unwrap();
        let barriers = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&barriers);
        watched.at_barriers(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let take = || barriers.swap(0, Ordering::Relaxed);
        for round in 0..5 {
            for _ in 0..BATCH {
                port.add(Request::new(()).header(b"x")).unwrap();
            }
            assert_eq!(take(), 0, "adding tells the device nothing");
            port.publish();
            assert_eq!(take(), 1, "one store of avail.idx");
            port.publish();
            assert_eq!(take(), 0, "nothing new");
            hal.clear_trace();
            assert!(port.kick());
            assert!(!port.kick(), "once is enough");
            assert_eq!(take(), 1, "one look at the device's wish");
            let kicks =
                hal.trace().into_iter().filter(|event| *event == Event::Notify(QueueIndex::new(0))).count();
            assert_eq!(kicks, 1);
            device.poll();
            for _ in 0..BATCH {
                device.complete(0, 0, &[]);
            }
            // In one go, or in two.
            let first = if round % 2 == 0 { usize::MAX } else { 5 };
            let mut seen = 0;
            assert_eq!(port.drain(first, |_| seen += 1), Ok(first.min(16)));
            assert_eq!(take(), 1, "one load of used.idx");
            assert_eq!(port.drain(usize::MAX, |_| seen += 1), Ok(16 - first.min(16)));
            assert_eq!(take(), 1, "one load of used.idx");
            assert_eq!(seen, 16);
        }
        watched.leave();
    }
}
