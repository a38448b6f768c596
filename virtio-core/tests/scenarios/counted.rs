//! A transport that counts how often its device is notified.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use virtio_core::transport::{Doorbell, InterruptStatus, QueueReset, Rings, TransportInfo};
use virtio_core::{DeviceId, Error, QueueIndex, Status, Transport};

pub(crate) struct Counted<T> {
    inner: T,
    kicks: Arc<AtomicUsize>,
}

impl<T> Counted<T> {
    pub(crate) fn new(inner: T, kicks: Arc<AtomicUsize>) -> Self {
        Self { inner, kicks }
    }
}

impl<T: Transport> Transport for Counted<T> {
    fn notify(&self, doorbell: Doorbell) {
        self.kicks.fetch_add(1, Ordering::Relaxed);
        self.inner.notify(doorbell);
    }

    fn info(&self) -> TransportInfo {
        self.inner.info()
    }
    fn device_id(&self) -> DeviceId {
        self.inner.device_id()
    }
    fn is_legacy(&self) -> bool {
        self.inner.is_legacy()
    }
    fn status(&self) -> Status {
        self.inner.status()
    }
    fn set_status(&mut self, status: Status) {
        self.inner.set_status(status);
    }
    fn device_features(&mut self, window: u32) -> u32 {
        self.inner.device_features(window)
    }
    fn set_driver_features(&mut self, window: u32, bits: u32) {
        self.inner.set_driver_features(window, bits);
    }
    fn queue_max_size(&mut self, queue: QueueIndex) -> u16 {
        self.inner.queue_max_size(queue)
    }
    fn dictates_queue_size(&self) -> bool {
        self.inner.dictates_queue_size()
    }
    fn enable_queue(&mut self, queue: QueueIndex, rings: &Rings) -> Result<Doorbell, Error> {
        self.inner.enable_queue(queue, rings)
    }
    fn reset_queue(&mut self, queue: QueueIndex) {
        self.inner.reset_queue(queue);
    }
    fn queue_reset(&mut self, queue: QueueIndex) -> QueueReset {
        self.inner.queue_reset(queue)
    }
    fn ack_interrupt(&self) -> InterruptStatus {
        self.inner.ack_interrupt()
    }
    fn config_generation(&self) -> u32 {
        self.inner.config_generation()
    }
    fn has_config_generation(&self) -> bool {
        self.inner.has_config_generation()
    }
    fn config_len(&self) -> usize {
        self.inner.config_len()
    }
    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.inner.read_config(offset, bytes)
    }
    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.inner.write_config(offset, bytes)
    }
    fn cut_off(&mut self) -> bool {
        self.inner.cut_off()
    }
}
