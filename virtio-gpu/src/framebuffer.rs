//! Drawing on a screen, and showing what was drawn.

use virtio_core::dma::Exclusive;
use virtio_core::{Hal, Transport};

use crate::canvas::Canvas;
use crate::device::Gpu;
use crate::error::GpuError;
use crate::format::Rgb;
use crate::rect::Rect;
use crate::screen::Screen;

/// A screen, ready to be drawn on.
///
/// What is drawn goes to plain memory; [`Framebuffer::flush`] shows it. Dropped without a flush, the screen remembers what
/// was touched, and the next flush shows it. With the feature `embedded-graphics` this is a `DrawTarget`.
#[derive(Debug)]
pub struct Framebuffer<'a, T: Transport, H: Hal + Clone + 'static, B> {
    gpu: &'a mut Gpu<T, H>,
    screen: &'a mut Screen<B>,
}

impl<T: Transport, H: Hal + Clone + 'static> Gpu<T, H> {
    /// Draws on `screen`.
    ///
    /// # Errors
    /// [`GpuError::Core`] if the device was taken down, and for a screen of another GPU.
    pub fn framebuffer<'a, B: Exclusive>(
        &'a mut self,
        screen: &'a mut Screen<B>,
    ) -> Result<Framebuffer<'a, T, H, B>, GpuError> {
        self.control.bytes(&screen.resource)?;
        Ok(Framebuffer { gpu: self, screen })
    }
}

impl<T: Transport, H: Hal + Clone + 'static, B: Exclusive> Framebuffer<'_, T, H, B> {
    /// The whole screen.
    #[must_use]
    pub fn bounds(&self) -> Rect {
        self.screen.resource.shape.bounds()
    }

    /// The pixels. For many small steps this is faster than the methods here, which look for them each time.
    ///
    /// # Errors
    /// [`GpuError::Core`] if the device was taken down.
    pub fn canvas(&mut self) -> Result<Canvas<'_>, GpuError> {
        let Screen { resource, damage, .. } = &mut *self.screen;
        let shape = resource.shape;
        let bytes = self.gpu.control.bytes(resource)?;
        Canvas::new(bytes, damage, shape.width, shape.height, shape.format)
    }

    /// Sets one pixel. Outside the screen, nothing happens.
    ///
    /// # Errors
    /// As for [`Framebuffer::canvas`].
    pub fn set_pixel(&mut self, x: u32, y: u32, color: impl Into<Rgb>) -> Result<(), GpuError> {
        self.canvas()?.set_pixel(x, y, color);
        Ok(())
    }

    /// Fills the part of a rectangle that lies on the screen.
    ///
    /// # Errors
    /// As for [`Framebuffer::canvas`].
    pub fn fill(&mut self, area: Rect, color: impl Into<Rgb>) -> Result<(), GpuError> {
        self.canvas()?.fill(area, color);
        Ok(())
    }

    /// Fills the screen.
    ///
    /// # Errors
    /// As for [`Framebuffer::canvas`].
    pub fn clear(&mut self, color: impl Into<Rgb>) -> Result<(), GpuError> {
        self.canvas()?.clear(color);
        Ok(())
    }

    /// What was drawn since the last flush.
    #[must_use]
    pub fn damage(&self) -> Option<Rect> {
        self.screen.damage()
    }

    /// Shows what was drawn since the last flush, as [`Gpu::flush`] does.
    ///
    /// # Errors
    /// As for [`Gpu::flush`].
    pub fn flush(&mut self) -> Result<(), GpuError> {
        self.gpu.flush(self.screen)
    }
}

#[cfg(feature = "embedded-graphics")]
mod draw_target {
    use embedded_graphics_core::Pixel;
    use embedded_graphics_core::draw_target::DrawTarget;
    use embedded_graphics_core::geometry::{OriginDimensions, Size};
    use embedded_graphics_core::pixelcolor::Rgb888;
    use embedded_graphics_core::primitives::Rectangle;
    use virtio_core::dma::Exclusive;
    use virtio_core::{Hal, Transport};

    use super::Framebuffer;
    use crate::error::GpuError;

    impl<T: Transport, H: Hal + Clone + 'static, B: Exclusive> OriginDimensions for Framebuffer<'_, T, H, B> {
        fn size(&self) -> Size {
            Size::new(self.screen.width(), self.screen.height())
        }
    }

    impl<T: Transport, H: Hal + Clone + 'static, B: Exclusive> DrawTarget for Framebuffer<'_, T, H, B> {
        type Color = Rgb888;
        type Error = GpuError;

        fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), GpuError> {
            let Ok(()) = self.canvas()?.draw_iter(pixels);
            Ok(())
        }

        fn fill_contiguous<I: IntoIterator<Item = Rgb888>>(
            &mut self,
            area: &Rectangle,
            colors: I,
        ) -> Result<(), GpuError> {
            let Ok(()) = self.canvas()?.fill_contiguous(area, colors);
            Ok(())
        }

        fn fill_solid(&mut self, area: &Rectangle, color: Rgb888) -> Result<(), GpuError> {
            let Ok(()) = self.canvas()?.fill_solid(area, color);
            Ok(())
        }

        fn clear(&mut self, color: Rgb888) -> Result<(), GpuError> {
            Framebuffer::clear(self, color)
        }
    }
}
