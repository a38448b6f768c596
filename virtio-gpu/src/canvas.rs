//! Drawing into pixels in memory: clipped, a row at a time, remembering what was touched.

use zerocopy::{FromBytes, IntoBytes};

use crate::damage::Damage;
use crate::error::GpuError;
use crate::format::{BYTES_PER_PIXEL, Format, Rgb};
use crate::rect::Rect;
use crate::resource::Shape;

type Pixel = [u8; BYTES_PER_PIXEL];

/// Pixels in memory, to draw into. What lies outside is left out.
///
/// A [`Framebuffer`](crate::Framebuffer) draws through one; over a buffer of your own it draws the same picture without any
/// device.
///
/// ```
/// use virtio_gpu::{Canvas, Damage, Format, Rect, Rgb};
///
/// let (mut bytes, mut damage) = ([0; 8 * 4 * 4], Damage::none());
/// let mut canvas = Canvas::new(&mut bytes, &mut damage, 8, 4, Format::R8G8B8X8)?;
/// canvas.fill(Rect::new(6, 1, 9, 2), Rgb::new(1, 2, 3));
/// assert_eq!(canvas.pixel(7, 2), Some(Rgb::new(1, 2, 3)));
/// assert_eq!(damage.area(), Some(Rect::new(6, 1, 2, 2)));
/// # Ok::<(), virtio_gpu::GpuError>(())
/// ```
#[derive(Debug)]
pub struct Canvas<'a> {
    pixels: &'a mut [Pixel],
    damage: &'a mut Damage,
    bounds: Rect,
    format: Format,
    /// Pixels in a row, never 0.
    stride: usize,
}

impl<'a> Canvas<'a> {
    /// Draws into `bytes`, row after row without gaps, and adds what is touched to `damage`.
    ///
    /// # Errors
    /// [`GpuError::BadSize`], [`GpuError::BufferTooSmall`].
    pub fn new(
        bytes: &'a mut [u8],
        damage: &'a mut Damage,
        width: u32,
        height: u32,
        format: Format,
    ) -> Result<Self, GpuError> {
        let shape = Shape::new(width, height, format)?;
        let (len, needed) = (bytes.len(), shape.bytes);
        let bytes = bytes.get_mut(..needed).ok_or(GpuError::BufferTooSmall { len, needed })?;
        // Whole pixels, by `Shape`.
        let pixels = <[Pixel]>::mut_from_bytes(bytes).unwrap_or_default();
        let stride = needed.checked_div(BYTES_PER_PIXEL).unwrap_or(0).checked_div(size(height)).unwrap_or(0);
        Ok(Self { pixels, damage, bounds: shape.bounds(), format, stride: stride.max(1) })
    }

    /// All of it.
    #[must_use]
    pub const fn bounds(&self) -> Rect {
        self.bounds
    }

    /// Format of its pixels.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The colour of a pixel, if it lies inside.
    #[must_use]
    pub fn pixel(&self, x: u32, y: u32) -> Option<Rgb> {
        self.pixels.get(self.index(x, y)?).map(|pixel| self.format.decode(*pixel))
    }

    /// Sets one pixel.
    pub fn set_pixel(&mut self, x: u32, y: u32, color: impl Into<Rgb>) {
        if self.put(x, y, color.into()) {
            self.damage.add(Rect::new(x, y, 1, 1));
        }
    }

    /// Fills a rectangle.
    pub fn fill(&mut self, area: Rect, color: impl Into<Rgb>) {
        let Some(area) = area.intersection(&self.bounds) else { return };
        let pixel = self.format.encode(color.into());
        for row in self.rows(area) {
            row.fill(pixel);
        }
        self.damage.add(area);
    }

    /// Fills all of it.
    pub fn clear(&mut self, color: impl Into<Rgb>) {
        let pixel = self.format.encode(color.into());
        self.pixels.fill(pixel);
        self.damage.add(self.bounds);
    }

    /// Fills `width` × `height` pixels from `x`, `y`, which may lie outside, with `colors`: row after row, one for every
    /// pixel, those outside included. Ends with the colours; where nothing lies inside, takes none.
    pub fn fill_with(
        &mut self,
        x: i64,
        y: i64,
        width: u32,
        height: u32,
        colors: impl IntoIterator<Item = Rgb>,
    ) {
        let mut colors = colors.into_iter();
        let format = self.format;
        // Columns that are left out on either side, and what is in between.
        let left = u32::try_from(x.saturating_neg().clamp(0, i64::from(width))).unwrap_or(width);
        let Ok(first) = u32::try_from(x.max(0)) else { return };
        let inside = self.bounds.width.saturating_sub(first).min(width.saturating_sub(left));
        let right = width.saturating_sub(left).saturating_sub(inside);
        let end = y.saturating_add(i64::from(height)).min(i64::from(self.bounds.height));
        if inside == 0 || end <= 0 {
            // Nothing lies inside. Outside there may be 2³² rows to count.
            return;
        }
        for row in y..end {
            let Ok(row) = u32::try_from(row) else {
                if !skip(&mut colors, width) {
                    return;
                }
                continue;
            };
            let area = Rect::new(first, row, inside, 1);
            if !skip(&mut colors, left) {
                return;
            }
            let mut drawn = 0_u32;
            for row in self.rows(area) {
                for (pixel, color) in row.iter_mut().zip(colors.by_ref()) {
                    *pixel = format.encode(color);
                    drawn = drawn.saturating_add(1);
                }
            }
            self.damage.add(Rect { width: drawn, ..area });
            if drawn < inside || !skip(&mut colors, right) {
                return;
            }
        }
    }

    /// The bytes, row after row, to change by other means. Say with [`Canvas::touch`] what was changed.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.pixels.as_mut_bytes()
    }

    /// Adds to what was touched.
    pub fn touch(&mut self, area: Rect) {
        if let Some(area) = area.intersection(&self.bounds) {
            self.damage.add(area);
        }
    }

    /// Where a pixel lies, if it lies inside.
    fn index(&self, x: u32, y: u32) -> Option<usize> {
        if x >= self.bounds.width || y >= self.bounds.height {
            return None;
        }
        size(y).checked_mul(self.stride)?.checked_add(size(x))
    }

    /// Sets a pixel without remembering it. Answers whether it lies inside.
    fn put(&mut self, x: u32, y: u32, color: Rgb) -> bool {
        let pixel = self.format.encode(color);
        match self.index(x, y).and_then(|index| self.pixels.get_mut(index)) {
            Some(place) => {
                *place = pixel;
                true
            }
            None => false,
        }
    }

    /// The rows of an area that lies inside.
    fn rows(&mut self, area: Rect) -> impl Iterator<Item = &mut [Pixel]> {
        let (first, last) = (size(area.x), size(area.right()));
        self.pixels
            .chunks_exact_mut(self.stride)
            .skip(size(area.y))
            .take(size(area.height))
            .filter_map(move |row| row.get_mut(first..last))
    }
}

/// A number of pixels, as a length.
fn size(pixels: u32) -> usize {
    usize::try_from(pixels).unwrap_or(usize::MAX)
}

/// Drops `count` colours. Answers whether there were as many.
fn skip(colors: &mut impl Iterator<Item = Rgb>, count: u32) -> bool {
    match size(count).checked_sub(1) {
        Some(last) => colors.nth(last).is_some(),
        None => true,
    }
}

#[cfg(feature = "embedded-graphics")]
mod draw_target {
    use core::convert::Infallible;

    use embedded_graphics_core::Pixel;
    use embedded_graphics_core::draw_target::DrawTarget;
    use embedded_graphics_core::geometry::{OriginDimensions, Size};
    use embedded_graphics_core::pixelcolor::Rgb888;
    use embedded_graphics_core::primitives::Rectangle;

    use super::{Canvas, Rgb};
    use crate::damage::Damage;
    use crate::rect::Rect;

    impl OriginDimensions for Canvas<'_> {
        fn size(&self) -> Size {
            Size::new(self.bounds.width, self.bounds.height)
        }
    }

    /// The part of `area` with coordinates that are not negative.
    fn inside(area: &Rectangle) -> Option<Rect> {
        let clip = |start: i32, len: u32| {
            let end = i64::from(start).saturating_add(i64::from(len));
            let start = start.max(0);
            let len = end.saturating_sub(i64::from(start));
            Some((u32::try_from(start).ok()?, u32::try_from(len).ok()?))
        };
        let (x, width) = clip(area.top_left.x, area.size.width)?;
        let (y, height) = clip(area.top_left.y, area.size.height)?;
        Some(Rect::new(x, y, width, height))
    }

    impl DrawTarget for Canvas<'_> {
        type Color = Rgb888;
        type Error = Infallible;

        fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
            let mut touched = Damage::none();
            for Pixel(point, color) in pixels {
                if let (Ok(x), Ok(y)) = (u32::try_from(point.x), u32::try_from(point.y)) {
                    if self.put(x, y, color.into()) {
                        touched.add(Rect::new(x, y, 1, 1));
                    }
                }
            }
            if let Some(area) = touched.area() {
                self.damage.add(area);
            }
            Ok(())
        }

        fn fill_contiguous<I: IntoIterator<Item = Rgb888>>(
            &mut self,
            area: &Rectangle,
            colors: I,
        ) -> Result<(), Infallible> {
            let colors = colors.into_iter().map(Rgb::from);
            let (x, y) = (i64::from(area.top_left.x), i64::from(area.top_left.y));
            self.fill_with(x, y, area.size.width, area.size.height, colors);
            Ok(())
        }

        fn fill_solid(&mut self, area: &Rectangle, color: Rgb888) -> Result<(), Infallible> {
            if let Some(area) = inside(area) {
                self.fill(area, color);
            }
            Ok(())
        }

        fn clear(&mut self, color: Rgb888) -> Result<(), Infallible> {
            Canvas::clear(self, color);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
