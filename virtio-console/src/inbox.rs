//! Where what a port receives is kept until it is read.

use virtio_core::Hal;
use virtio_core::dma::{Dma, FromDevice};

/// The one receive buffer of a port that is being read: all others are with the device, or filled and in its queue.
#[derive(Debug)]
pub(crate) struct Inbox<H: Hal> {
    buffer: Option<Dma<[u8], H, FromDevice>>,
    /// What is not read yet.
    start: usize,
    end: usize,
    /// Buffers that were added to the queue, but not shown to the device.
    pub(crate) added: u16,
    /// So many are shown to it at a time: at most half of them, for a device without buffers has to wait.
    pub(crate) batch: u16,
}

impl<H: Hal> Inbox<H> {
    /// Of a port with so many buffers, all of them with the device.
    pub(crate) fn new(buffers: u16) -> Self {
        Self { buffer: None, start: 0, end: 0, added: 0, batch: buffers.wrapping_shr(1).max(1) }
    }

    /// What is not read yet.
    pub(crate) fn unread(&self) -> &[u8] {
        let buffer = self.buffer.as_ref().map(Dma::as_slice).unwrap_or_default();
        buffer.get(self.start..self.end).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// So many bytes were read.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes).min(self.end);
    }

    /// Forgets what is not read.
    pub(crate) fn clear(&mut self) {
        self.start = self.end;
    }

    /// Keeps a buffer that the device has written so many bytes to. It is no longer than that, whatever the device says.
    pub(crate) fn keep(&mut self, buffer: Dma<[u8], H, FromDevice>, written: u32) {
        self.end = usize::try_from(written).unwrap_or(usize::MAX).min(buffer.len());
        self.start = 0;
        self.buffer = Some(buffer);
    }

    /// The buffer, if all of it was read: for the device.
    pub(crate) fn take_read(&mut self) -> Option<Dma<[u8], H, FromDevice>> {
        if self.is_empty() { self.buffer.take() } else { None }
    }

    /// A buffer that could not be given to the device: for another try.
    pub(crate) fn put_back(&mut self, buffer: Dma<[u8], H, FromDevice>) {
        (self.start, self.end) = (0, 0);
        self.buffer = Some(buffer);
    }
}
