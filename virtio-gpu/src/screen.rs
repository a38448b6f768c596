//! Screens: a resource with its backing, shown on a display.

use core::fmt;

use virtio_core::dma::{Dma, ReadBuffer, ToDevice};
use virtio_core::{Hal, Transport};

use crate::abi::SetScanout;
use crate::command::Fence;
use crate::damage::Damage;
use crate::device::Gpu;
use crate::display::ScanoutId;
use crate::error::{CloseError, GpuError, Kept, ScreenError};
use crate::format::Format;
use crate::rect::Rect;
use crate::resource::{Left, Resource, Shape};

/// The memory behind a screen, if nothing else is wanted: contiguous pages of the Hal.
pub type ScreenBuffer<H> = Dma<[u8], H, ToDevice>;

/// Size of the screen where no display is on (VIRTIO 1.4 §5.7.5).
const FALLBACK: Rect = Rect::new(0, 0, 1024, 768);

/// The most pixels a side that a device may ask for. What it asks for is allocated, so it must not be its word alone.
const MOST: u32 = 16384;

/// Pixels that a display shows, over a buffer of type `B`. Draw with [`Gpu::framebuffer`], end with [`Gpu::close`].
///
/// The buffer itself is with the GPU. If the screen is dropped, it stays there until the GPU goes.
#[must_use = "a screen that is dropped stays on the display, and its buffer with the GPU"]
pub struct Screen<B> {
    pub(crate) resource: Resource<B>,
    pub(crate) damage: Damage,
    scanout: ScanoutId,
}

impl<B> Screen<B> {
    /// Width in pixels.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.resource.shape.width
    }

    /// Height in pixels.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.resource.shape.height
    }

    /// Format of its pixels.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.resource.shape.format
    }

    /// The display it was made for.
    #[must_use]
    pub const fn scanout(&self) -> ScanoutId {
        self.scanout
    }

    /// What was drawn, but not flushed yet.
    #[must_use]
    pub fn damage(&self) -> Option<Rect> {
        self.damage.area()
    }
}

impl<B> fmt::Debug for Screen<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen")
            .field("scanout", &self.scanout)
            .field("width", &self.width())
            .field("height", &self.height())
            .field("format", &self.format())
            .field("damage", &self.damage())
            .finish_non_exhaustive()
    }
}

impl<T: Transport, H: Hal + Clone + 'static> Gpu<T, H> {
    /// A screen on the first display that is on, as large as it likes to be; 1024x768 on display 0 if none is on
    /// (VIRTIO 1.4 §5.7.5). What it likes is not obeyed beyond 16384 pixels a side.
    ///
    /// It takes width × height × 4 bytes of contiguous pages of the Hal: 1000 of them for 1280x800. Where those are not to
    /// be had, [`Gpu::screen_over`] takes memory of any other kind.
    ///
    /// # Errors
    /// [`GpuError::AbsurdDisplay`]; as for [`Gpu::display_info`] and [`Gpu::screen_on`].
    pub fn screen(&mut self) -> Result<Screen<ScreenBuffer<H>>, GpuError> {
        let info = self.display_info()?;
        let (scanout, size) =
            info.enabled().next().map_or((ScanoutId::new(0), FALLBACK), |first| (first.scanout, first.rect));
        let Rect { width, height, .. } = size;
        if width > MOST || height > MOST {
            return Err(GpuError::AbsurdDisplay { scanout, width, height });
        }
        self.screen_on(scanout, width, height, Format::B8G8R8X8)
    }

    /// A screen on that display, over pages of the Hal, black.
    ///
    /// # Errors
    /// [`GpuError::NoSuchScanout`], [`GpuError::BadSize`], [`GpuError::Refused`] and what else the device answers,
    /// [`GpuError::Core`] with no memory. Nothing is left behind.
    pub fn screen_on(
        &mut self,
        scanout: ScanoutId,
        width: u32,
        height: u32,
        format: Format,
    ) -> Result<Screen<ScreenBuffer<H>>, GpuError> {
        self.check_scanout(scanout)?;
        let shape = Shape::new(width, height, format)?;
        let buffer = Dma::zeroed_slice(self.control.device.hal().clone(), shape.bytes)?;
        Ok(self.put(scanout, shape, buffer)?)
    }

    /// A screen over any memory that can be lent: statics, boxed slices, pages wherever they lie. What it holds is shown
    /// with the first flush. A picture that is only read (`&'static [u8]`) can be shown, with [`Gpu::flush`], but not drawn
    /// on:
    ///
    /// ```compile_fail,E0277
    /// use virtio_core::{Hal, Transport};
    /// use virtio_gpu::{Gpu, GpuError, Screen};
    ///
    /// fn draw_on_a_constant<T: Transport, H: Hal + Clone>(
    ///     gpu: &mut Gpu<T, H>,
    ///     screen: &mut Screen<&'static [u8]>,
    /// ) -> Result<(), GpuError> {
    ///     gpu.framebuffer(screen)?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As for [`Gpu::screen_on`]; [`GpuError::BufferTooSmall`]. The buffer comes back, unless the device was taken down or
    /// keeps it.
    pub fn screen_over<B: ReadBuffer>(
        &mut self,
        scanout: ScanoutId,
        width: u32,
        height: u32,
        format: Format,
        buffer: B,
    ) -> Result<Screen<B>, ScreenError<B>> {
        let shape = self.check_scanout(scanout).and_then(|()| Shape::new(width, height, format));
        match shape {
            Ok(shape) => self.put(scanout, shape, buffer),
            Err(error) => Err(ScreenError { error, buffer: Some(buffer) }),
        }
    }

    fn put<B: ReadBuffer>(
        &mut self,
        scanout: ScanoutId,
        shape: Shape,
        buffer: B,
    ) -> Result<Screen<B>, ScreenError<B>> {
        let resource = self.control.make(buffer, shape)?;
        if let Err(error) = self.set_scanout(scanout, resource.id(), shape.bounds()) {
            if !error.is_refusal() {
                // It may be shown all the same.
                let _ = self.set_scanout(scanout, 0, Rect::default());
            }
            let buffer = match self.control.destroy(resource) {
                Ok(buffer) | Err((_, Left::Buffer(buffer))) => Some(buffer),
                Err((_, Left::Resource(_))) => None,
            };
            return Err(ScreenError { error, buffer });
        }
        // All of it is new to the host.
        let mut damage = Damage::none();
        damage.add(shape.bounds());
        Ok(Screen { resource, damage, scanout })
    }

    /// Shows a screen on its display again, after another one was made for it.
    ///
    /// # Errors
    /// [`GpuError::Refused`] and what else the device or the queue answers; [`GpuError::Core`] for a screen of another GPU.
    pub fn show<B: 'static>(&mut self, screen: &Screen<B>) -> Result<(), GpuError> {
        self.check_scanout(screen.scanout)?;
        self.control.check(&screen.resource)?;
        self.set_scanout(screen.scanout, screen.resource.id(), screen.resource.shape.bounds())
    }

    /// Shows what was drawn on a screen since the last flush: the smallest rectangle around it, and nothing if there is
    /// none. The first flush of a screen shows all of it.
    ///
    /// # Errors
    /// What the device or the queue answers. What was drawn is still to be flushed then.
    pub fn flush<B: 'static>(&mut self, screen: &mut Screen<B>) -> Result<(), GpuError> {
        let Some(area) = screen.damage() else { return Ok(()) };
        self.control.transfer(&screen.resource, area)?;
        self.control.flush(&screen.resource, area)?;
        screen.damage.clear();
        Ok(())
    }

    /// Ends a screen: its display shows nothing, the device lets go of the buffer and confirms it, the resource is
    /// destroyed, the buffer comes back.
    ///
    /// # Errors
    /// What the device or the queue answers, with what is left of the screen.
    pub fn close<B: 'static>(&mut self, screen: Screen<B>) -> Result<B, CloseError<B>> {
        if let Err(error) = self.control.check(&screen.resource) {
            return Err(CloseError { error, kept: Kept::Screen(screen) });
        }
        let id = screen.resource.id();
        // Also if it is not known: a resource must not go while it is shown.
        let shown = self.shown.get(screen.scanout.index()).copied().flatten();
        if shown.is_none_or(|shown| shown == id) {
            if let Err(error) = self.set_scanout(screen.scanout, 0, Rect::default()) {
                return Err(CloseError { error, kept: Kept::Screen(screen) });
            }
        }
        let Screen { resource, damage, scanout } = screen;
        self.control.destroy(resource).map_err(|(error, left)| {
            let kept = match left {
                Left::Resource(resource) => Kept::Screen(Screen { resource, damage, scanout }),
                Left::Buffer(buffer) => Kept::Buffer(buffer),
            };
            CloseError { error, kept }
        })
    }

    /// Shows a resource on a display, or, with 0, nothing.
    fn set_scanout(&mut self, scanout: ScanoutId, resource: u32, area: Rect) -> Result<(), GpuError> {
        let command = SetScanout {
            r: area.into(),
            scanout_id: scanout.get().into(),
            resource_id: resource.into(),
            ..Default::default()
        };
        let answer = self.control.order(command, Fence::No);
        if let Some(shown) = self.shown.get_mut(scanout.index()) {
            match &answer {
                Ok(()) => *shown = Some(resource),
                Err(error) if error.is_refusal() => {}
                // It may have taken effect or not.
                Err(_) => *shown = None,
            }
        }
        answer
    }
}
