//! Changes of the displays (VIRTIO 1.4 §5.7.4).

use virtio_core::config::ByteOrder;
use virtio_core::transport::InterruptStatus;
use virtio_core::{Hal, Transport};

use crate::abi::{EVENTS_CLEAR, EVENTS_READ, Events};
use crate::device::Gpu;
use crate::error::GpuError;

impl<T: Transport, H: Hal + Clone + 'static> Gpu<T, H> {
    /// Whether displays were added, removed or resized since the last call. If so, read [`Gpu::display_info`] and
    /// [`Gpu::edid`] again, and perhaps make another screen.
    ///
    /// # Errors
    /// [`GpuError::Core`] if the configuration space is too small, or the device was taken down.
    pub fn poll_display_change(&mut self) -> Result<bool, GpuError> {
        let device = &mut self.control.device;
        let pending = Events::from_bits_retain(device.config(ByteOrder::Little)?.u32(EVENTS_READ)?);
        let changed = pending.contains(Events::DISPLAY);
        if changed {
            device.write_config(EVENTS_CLEAR, &Events::DISPLAY.bits().to_le_bytes())?;
        }
        Ok(changed)
    }

    /// Reads why the device interrupts and acknowledges it. After [`InterruptStatus::CONFIG`], look at
    /// [`Gpu::poll_display_change`].
    ///
    /// # Errors
    /// [`GpuError::Core`] if the device asks to be reset, and is taken down for it, or was taken down before.
    pub fn ack_interrupt(&mut self) -> Result<InterruptStatus, GpuError> {
        Ok(self.control.device.ack_interrupt()?)
    }
}
