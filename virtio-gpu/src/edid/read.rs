//! Reading the EDID of a display (VIRTIO 1.4 §5.7.6.8).

use virtio_core::{Hal, Transport};
use zerocopy::FromZeros;

use super::Edid;
use crate::abi::{F_EDID, GetEdid, RespEdid};
use crate::device::Gpu;
use crate::display::ScanoutId;
use crate::error::GpuError;

impl<T: Transport, H: Hal + Clone + 'static> Gpu<T, H> {
    /// What the monitor on a display says about itself. Needs somewhat more than 1 KiB of stack.
    ///
    /// # Errors
    /// [`GpuError::EdidNotOffered`], [`GpuError::NoSuchScanout`], [`GpuError::Edid`] if it makes no sense,
    /// [`GpuError::Refused`] and what else the device or the queue answers.
    pub fn edid(&mut self, scanout: ScanoutId) -> Result<Edid, GpuError> {
        let mut response = RespEdid::new_zeroed();
        let len = self.read_edid(scanout, &mut response)?;
        Ok(Edid::parse(response.edid.get(..len).unwrap_or_default())?)
    }

    /// The bytes of a display's EDID, extension blocks included, as the device has them: up to 1024. Answers how many were
    /// copied.
    ///
    /// # Errors
    /// As for [`Gpu::edid`], but the bytes are not looked at.
    pub fn edid_bytes(&mut self, scanout: ScanoutId, bytes: &mut [u8]) -> Result<usize, GpuError> {
        let mut response = RespEdid::new_zeroed();
        let len = self.read_edid(scanout, &mut response)?.min(bytes.len());
        for (place, byte) in bytes.iter_mut().zip(&response.edid).take(len) {
            *place = *byte;
        }
        Ok(len)
    }

    /// Answers how many bytes are valid: no more than the device says, has written, and there is room for.
    fn read_edid(&mut self, scanout: ScanoutId, response: &mut RespEdid) -> Result<usize, GpuError> {
        if !self.features().contains(F_EDID) {
            return Err(GpuError::EdidNotOffered);
        }
        self.check_scanout(scanout)?;
        let command = GetEdid { scanout: scanout.get().into(), ..Default::default() };
        let written = self.control.ask(command, response)?;
        let room = written.saturating_sub(core::mem::offset_of!(RespEdid, edid)).min(response.edid.len());
        Ok(usize::try_from(response.size.get()).unwrap_or(usize::MAX).min(room))
    }
}
