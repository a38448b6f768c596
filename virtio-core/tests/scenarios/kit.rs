//! The test kit's device models, split and packed, as a rig.

use std::sync::{Arc, Mutex};

use virtio_testkit::{FakeDevice, FakeTransport, Lie, Reply, Request, TestHal};

use crate::rig::{ALL, ALL_LEGACY, Config, Held, ID, Rig, Trouble, Untruth, answer};

type Keep = Arc<Mutex<Vec<Held>>>;

/// A device of the test kit, and what it holds.
pub(crate) struct Kit {
    hal: TestHal,
    device: FakeDevice,
    held: [Keep; 2],
    event_idx: bool,
}

fn held(request: &Request) -> Held {
    let writable = request.buffers.iter().filter(|buffer| buffer.writable).count();
    Held {
        readable: request.readable.clone(),
        buffers: (request.buffers.len() - writable, writable),
        room: request.writable,
    }
}

fn handler(keep: &Keep, answers: bool) -> impl FnMut(Request) -> Reply + Send + use<> {
    let keep = Arc::clone(keep);
    move |request| {
        if answers {
            return Reply::Write(answer(&request.readable, request.writable));
        }
        keep.lock().unwrap().push(held(&request));
        Reply::Hold
    }
}

impl Rig for Kit {
    type T = FakeTransport;
    type H = TestHal;

    fn new(config: &Config) -> Self {
        let hal = TestHal::new();
        let keep = [Keep::default(), Keep::default()];
        let mut builder = FakeDevice::builder(ID);
        for (index, keep) in (0..).zip(&keep) {
            builder = builder.queue(index, config.size, handler(keep, config.answers));
        }
        builder = if config.legacy { builder.features(ALL_LEGACY).legacy() } else { builder.features(ALL) };
        if !config.answers {
            builder = builder.manual();
        }
        let device = builder.build(&hal);
        Self { hal, device, held: keep, event_idx: config.has(virtio_core::Features::EVENT_IDX) }
    }

    fn transport(&self) -> FakeTransport {
        self.device.transport()
    }

    fn hal(&self) -> TestHal {
        self.hal.clone()
    }

    fn work(&self, _queue: u16) {
        self.hal.clear_trace();
        self.device.poll();
        assert_eq!(self.hal.faults(), Vec::<String>::new());
    }

    fn held(&self, queue: u16) -> Vec<Held> {
        self.held[usize::from(queue)].lock().unwrap().clone()
    }

    fn count(&self, queue: u16) -> usize {
        self.device.held(queue)
    }

    fn complete(&self, queue: u16, nth: usize, bytes: &[u8], claim: Option<u32>) {
        self.held[usize::from(queue)].lock().unwrap().remove(nth);
        match claim {
            Some(len) => self.device.complete_claiming(queue, nth, bytes, len),
            None => self.device.complete(queue, nth, bytes),
        }
    }

    fn complete_batch(&self, queue: u16, answers: &[Vec<u8>]) {
        self.held[usize::from(queue)].lock().unwrap().drain(..answers.len());
        let answers: Vec<_> = answers.iter().map(Vec::as_slice).collect();
        self.device.complete_batch_with(queue, &answers);
    }

    fn forget(&self, queue: u16) {
        self.held[usize::from(queue)].lock().unwrap().clear();
    }

    fn interrupts(&self) -> usize {
        self.device.interrupts()
    }

    fn suppress(&self, queue: u16, suppress: bool) {
        assert!(!self.event_idx);
        self.device.suppress_notifications(queue, suppress);
    }

    fn kick_at(&self, queue: u16, event: u16) {
        self.device.set_avail_event(queue, Some(event));
    }

    fn lie(&self, queue: u16, untruth: Untruth) {
        let lie = match untruth {
            Untruth::Id(id) => Lie::UsedId { id, len: 0 },
            Untruth::Advance(by) => Lie::UsedIndex(by),
            Untruth::Descriptors(byte) => Lie::OverwriteDescriptors(byte),
            Untruth::Suppression(event, flags) => Lie::Suppression { event, flags },
        };
        self.device.lie(queue, lie);
    }

    fn trouble(&self, trouble: Trouble) -> bool {
        match trouble {
            Trouble::Segments(most) => self.hal.set_max_segment(most),
            Trouble::Failure(nth) => self.hal.fail_nth(nth),
        }
        true
    }

    fn finish(self) {
        assert_eq!(self.hal.faults(), Vec::<String>::new());
        let outstanding = self.hal.outstanding();
        assert!(outstanding.is_none(), "{outstanding:?}");
        self.hal.finish();
    }
}
