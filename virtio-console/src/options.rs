//! How much memory a console takes.

use core::time::Duration;

use virtio_core::hal::DEFAULT_TIMEOUT;

/// How much a port can receive while nobody reads, and how long its blocking calls wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Options {
    /// Receive buffers of each port, at least 1; no more than its queue holds are made. 2, unless it is changed.
    pub buffers: u16,
    /// Bytes of each, at least 1: DMA memory, in whole pages. 4096, unless it is changed.
    pub buffer_len: usize,
    /// How long a blocking call waits. 30 s, unless it is changed.
    pub limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { buffers: 2, buffer_len: 4096, limit: DEFAULT_TIMEOUT }
    }
}
