//! Changes of the displays (VIRTIO 1.4 §5.7.4).

use virtio_core::config::ByteOrder;
use virtio_core::device::DeviceEvent;
use virtio_core::transport::InterruptStatus;
use virtio_core::{Hal, Transport};

use crate::abi::{Events, Space};
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
        let pending = Events::from_bits_retain(device.config(ByteOrder::Little)?.get(Space::EVENTS_READ)?);
        let changed = pending.contains(Events::DISPLAY);
        if changed {
            device.set_config(ByteOrder::Little, Space::EVENTS_CLEAR, Events::DISPLAY.bits())?;
        }
        Ok(changed)
    }

    /// Follows up on an interrupt that an [`Endpoint`](virtio_core::Endpoint) has acknowledged in its handler; a kernel that polls
    /// may call it at any time, with [`InterruptStatus::CONFIG`]. The endpoint comes from [`Gpu::device`]'s [`endpoint`](virtio_core::device::Device::endpoint).
    ///
    /// # Errors
    /// As for [`Gpu::poll_display_change`].
    pub fn attend(&mut self, status: InterruptStatus) -> Result<Option<GpuEvent>, GpuError> {
        match self.control.device.attend(status)? {
            Some(DeviceEvent::NeedsReset) => Ok(Some(GpuEvent::NeedsReset)),
            Some(_) => Ok(self.poll_display_change()?.then_some(GpuEvent::DisplayChanged)),
            None => Ok(None),
        }
    }
}

/// What a GPU has to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GpuEvent {
    /// Displays were added, removed or resized: read [`Gpu::display_info`] and [`Gpu::edid`] again.
    DisplayChanged,
    /// It has met an error that it cannot recover from, and was reset: [`Gpu::recover`] brings it up again. Nothing that was
    /// shown or attached survives: make a new [`screen`](Gpu::screen) then.
    NeedsReset,
}
