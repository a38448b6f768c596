//! The displays of the device.

use core::fmt;

use virtio_core::{Hal, Transport};
use zerocopy::FromZeros;

use crate::abi::{GetDisplayInfo, MAX_SCANOUTS, RespDisplayInfo};
use crate::device::Gpu;
use crate::error::GpuError;
use crate::rect::Rect;

/// Which display ("scanout").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ScanoutId(u32);

impl ScanoutId {
    /// Display `number`, from 0.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number, to look something up.
    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ScanoutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the host would like one display to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Display {
    /// Which one.
    pub scanout: ScanoutId,
    /// Whether somebody looks at it.
    pub enabled: bool,
    /// The size it should have, and where it stands next to the others.
    pub rect: Rect,
    /// Flags. None are defined.
    pub flags: u32,
}

/// What the host would like all displays to be (VIRTIO 1.4 §5.7.6.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DisplayInfo {
    displays: [Display; MAX_SCANOUTS],
    scanouts: u32,
}

impl DisplayInfo {
    /// All sixteen entries of the answer, also those beyond the displays that the device has.
    #[must_use]
    pub const fn all(&self) -> &[Display; MAX_SCANOUTS] {
        &self.displays
    }

    /// The displays that the device has, on or off.
    pub fn iter(&self) -> impl Iterator<Item = &Display> {
        self.displays.iter().filter(|display| display.scanout.get() < self.scanouts)
    }

    /// The displays that are on and have a size.
    pub fn enabled(&self) -> impl Iterator<Item = &Display> {
        self.iter().filter(|display| display.enabled && !display.rect.is_empty())
    }
}

impl<T: Transport, H: Hal + Clone + 'static> Gpu<T, H> {
    /// Asks for the displays.
    ///
    /// # Errors
    /// [`GpuError::Refused`] and what else the device or the queue answers.
    pub fn display_info(&mut self) -> Result<DisplayInfo, GpuError> {
        let mut response = RespDisplayInfo::new_zeroed();
        self.control.ask(GetDisplayInfo::default(), &mut response)?;
        let mut displays = [Display::default(); MAX_SCANOUTS];
        for ((number, display), mode) in (0..).zip(&mut displays).zip(&response.pmodes) {
            *display = Display {
                scanout: ScanoutId::new(number),
                enabled: mode.enabled.get() != 0,
                rect: mode.r.into(),
                flags: mode.flags.get(),
            };
        }
        Ok(DisplayInfo { displays, scanouts: self.scanouts })
    }
}
