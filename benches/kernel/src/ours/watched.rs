//! A transport that notes where the rings are, and each kick.

use virtio_core::transport::{
    Doorbell, InterruptStatus, QueueReset, Rings, SharedMemory, Transport, TransportInfo,
};
use virtio_core::{DeviceId, Error, Features, QueueIndex, Status};

use crate::ring;

/// The transport within does the work.
#[derive(Debug)]
pub struct Watched<T>(pub T);

impl<T: Transport> Transport for Watched<T> {
    fn info(&self) -> TransportInfo {
        self.0.info()
    }
    fn device_id(&self) -> DeviceId {
        self.0.device_id()
    }
    fn is_legacy(&self) -> bool {
        self.0.is_legacy()
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
    fn dictates_queue_size(&self) -> bool {
        self.0.dictates_queue_size()
    }
    fn enable_queue(&mut self, queue: QueueIndex, rings: &Rings) -> Result<Doorbell, Error> {
        ring::note(queue.get(), rings.driver.get(), rings.device.get());
        self.0.enable_queue(queue, rings)
    }
    fn reset_queue(&mut self, queue: QueueIndex) {
        self.0.reset_queue(queue);
    }
    fn queue_reset(&mut self, queue: QueueIndex) -> QueueReset {
        self.0.queue_reset(queue)
    }
    #[inline]
    fn notify(&self, doorbell: Doorbell) {
        self.0.notify(doorbell);
        // Both transports write the queue's number, where there is no NOTIFICATION_DATA; QEMU has none.
        ring::kicked(doorbell.value as u16);
    }
    fn ack_interrupt(&self) -> InterruptStatus {
        self.0.ack_interrupt()
    }
    fn config_generation(&self) -> u32 {
        self.0.config_generation()
    }
    fn has_config_generation(&self) -> bool {
        self.0.has_config_generation()
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
    fn supported_features(&self) -> Features {
        self.0.supported_features()
    }
    fn shared_memory(&mut self, id: u8) -> Option<SharedMemory> {
        self.0.shared_memory(id)
    }
    fn cut_off(&mut self) -> bool {
        self.0.cut_off()
    }
}
