//! The test kit's devices, whose drivers bounce everything through a pool.

use virtio_core::BouncePool;
use virtio_testkit::{FakeTransport, TestHal};

use crate::kit::Kit;
use crate::rig::{Config, Held, Rig, Trouble, Untruth};

/// What the largest scenario has in flight, a slot for each of its segments.
const BYTES: usize = 1 << 20;

pub(crate) struct Pooled {
    /// Dropped first: the kit looks whether anything is left.
    pool: BouncePool<TestHal>,
    kit: Kit,
}

impl Rig for Pooled {
    type T = FakeTransport;
    type H = BouncePool<TestHal>;

    fn new(config: &Config) -> Self {
        let kit = Kit::new(config);
        let pool = BouncePool::new(kit.hal(), BYTES).unwrap();
        Self { kit, pool }
    }
    fn transport(&self) -> FakeTransport {
        self.kit.transport()
    }
    fn hal(&self) -> BouncePool<TestHal> {
        self.pool.clone()
    }
    fn work(&self, queue: u16) {
        self.kit.work(queue);
    }
    fn held(&self, queue: u16) -> Vec<Held> {
        self.kit.held(queue)
    }
    fn count(&self, queue: u16) -> usize {
        self.kit.count(queue)
    }
    fn complete(&self, queue: u16, nth: usize, bytes: &[u8], claim: Option<u32>) {
        self.kit.complete(queue, nth, bytes, claim);
    }
    fn complete_batch(&self, queue: u16, answers: &[Vec<u8>]) {
        self.kit.complete_batch(queue, answers);
    }
    fn forget(&self, queue: u16) {
        self.kit.forget(queue);
    }
    fn interrupts(&self) -> usize {
        self.kit.interrupts()
    }
    fn suppress(&self, queue: u16, suppress: bool) {
        self.kit.suppress(queue, suppress);
    }
    fn kick_at(&self, queue: u16, event: u16) {
        self.kit.kick_at(queue, event);
    }
    fn lie(&self, queue: u16, untruth: Untruth) {
        self.kit.lie(queue, untruth);
    }
    fn trouble(&self, trouble: Trouble) -> bool {
        // Sharing is the pool's, and does not ask the platform.
        matches!(trouble, Trouble::Failure(_)) && self.kit.trouble(trouble)
    }
    fn finish(self) {
        assert_eq!(self.pool.free(), self.pool.bytes(), "slots came back");
        drop(self.pool);
        self.kit.finish();
    }
}
