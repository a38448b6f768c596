//! The hardware cursor (VIRTIO 1.4 §5.7.6.10).
//!
//! The control queue and the cursor queue are not ordered with each other: the image is transferred with a fence, and the
//! cursor updated only when the fence has come back.

use core::fmt;

use virtio_core::dma::Dma;
use virtio_core::{Hal, Transport};
use zerocopy::IntoBytes;

use crate::abi::{CommandType, CursorPos, UpdateCursor};
use crate::device::Gpu;
use crate::display::ScanoutId;
use crate::error::GpuError;
use crate::format::{BYTES_PER_PIXEL, Format};
use crate::resource::{Resource, Shape};
use crate::screen::ScreenBuffer;

/// Width and height of every cursor, in pixels.
pub const CURSOR_SIZE: u32 = 64;

/// Pixels in a row, and rows.
const SIDE: usize = 64;

type Pixel = [u8; BYTES_PER_PIXEL];

/// The picture of a cursor: 64 × 64 pixels of blue, green, red and opacity. Large: make it a `static`.
///
/// ```
/// use virtio_gpu::CursorImage;
/// static ARROW: CursorImage = CursorImage::from_pattern(&[
///     "#",
///     "##",
///     "#o#",
///     "#oo#",
///     "#ooo#",
///     "#####",
/// ]);
/// assert_eq!(ARROW.pixel(1, 3), Some([255, 255, 255, 255]));
/// assert_eq!(ARROW.pixel(9, 0), Some([0, 0, 0, 0]));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CursorImage {
    rows: [[Pixel; SIDE]; SIDE],
}

impl CursorImage {
    /// The picture of these pixels, row after row.
    #[must_use]
    pub const fn new(rows: [[Pixel; SIDE]; SIDE]) -> Self {
        Self { rows }
    }

    /// A picture drawn in characters, from the upper left corner: `#` is black, `o` is white, everything else lets
    /// through what lies below. What goes beyond 64 columns or rows is left out.
    #[must_use]
    pub const fn from_pattern(mut pattern: &[&str]) -> Self {
        let mut rows = [[[0; BYTES_PER_PIXEL]; SIDE]; SIDE];
        let mut left: &mut [[Pixel; SIDE]] = &mut rows;
        while let (Some((line, lines)), Some((row, below))) = (pattern.split_first(), left.split_first_mut())
        {
            let mut line = line.as_bytes();
            let mut row: &mut [Pixel] = row;
            while let (Some((mark, marks)), Some((pixel, right))) =
                (line.split_first(), row.split_first_mut())
            {
                *pixel = match *mark {
                    b'#' => [0, 0, 0, 255],
                    b'o' => [255; 4],
                    _ => [0; 4],
                };
                (line, row) = (marks, right);
            }
            (pattern, left) = (lines, below);
        }
        Self { rows }
    }

    /// A pixel, if it lies inside: blue, green, red, opacity.
    #[must_use]
    pub fn pixel(&self, x: usize, y: usize) -> Option<Pixel> {
        self.rows.get(y)?.get(x).copied()
    }
}

impl fmt::Debug for CursorImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorImage(..)")
    }
}

/// Where the cursor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CursorPosition {
    /// On which display.
    pub scanout: ScanoutId,
    /// Where, from the left, in pixels.
    pub x: u32,
    /// Where, from the top, in pixels.
    pub y: u32,
}

impl CursorPosition {
    /// That place on that display.
    #[must_use]
    pub const fn new(scanout: ScanoutId, x: u32, y: u32) -> Self {
        Self { scanout, x, y }
    }
}

impl From<CursorPosition> for CursorPos {
    fn from(position: CursorPosition) -> Self {
        Self {
            scanout_id: position.scanout.get().into(),
            x: position.x.into(),
            y: position.y.into(),
            ..Self::default()
        }
    }
}

/// The resource that holds the picture, made once, and where it is shown.
pub(crate) struct Cursor<H: Hal> {
    resource: Resource<ScreenBuffer<H>>,
    hot: (u32, u32),
    shown: Option<CursorPosition>,
}

impl<H: Hal> fmt::Debug for Cursor<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("hot", &self.hot).field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl<H: Hal> Cursor<H> {
    fn wire(&self, position: CursorPosition) -> UpdateCursor {
        let (hot_x, hot_y) = self.hot;
        UpdateCursor {
            pos: position.into(),
            resource_id: self.resource.id().into(),
            hot_x: hot_x.into(),
            hot_y: hot_y.into(),
            ..Default::default()
        }
    }
}

impl<T: Transport, H: Hal + Clone + 'static> Gpu<T, H> {
    /// Shows the cursor with this picture at that place, as often as you like. Pixel `hot_x`, `hot_y` of the picture is the
    /// one that points.
    ///
    /// # Errors
    /// [`GpuError::NoSuchScanout`], [`GpuError::HotSpotOutside`], [`GpuError::Refused`] and what else the device or the
    /// queue answers.
    pub fn set_cursor(
        &mut self,
        image: &CursorImage,
        hot_x: u32,
        hot_y: u32,
        position: CursorPosition,
    ) -> Result<(), GpuError> {
        self.check_scanout(position.scanout)?;
        if hot_x >= CURSOR_SIZE || hot_y >= CURSOR_SIZE {
            return Err(GpuError::HotSpotOutside { x: hot_x, y: hot_y });
        }
        self.leave_other_than(position.scanout)?;
        let cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => self.make_cursor()?,
        };
        // Kept, whatever comes: the next picture goes into the same resource.
        let cursor = self.cursor.insert(cursor);
        for (place, row) in
            self.control.bytes(&cursor.resource)?.chunks_exact_mut(SIDE * BYTES_PER_PIXEL).zip(&image.rows)
        {
            // As long as each other.
            let _ = row.write_to(place);
        }
        self.control.transfer(&cursor.resource, cursor.resource.shape.bounds())?;
        cursor.hot = (hot_x, hot_y);
        self.control.cursor(CommandType::UPDATE_CURSOR, cursor.wire(position))?;
        cursor.shown = Some(position);
        Ok(())
    }

    /// Moves the cursor.
    ///
    /// # Errors
    /// [`GpuError::NoCursor`] if none is shown, [`GpuError::NoSuchScanout`], and what the queue answers.
    pub fn move_cursor(&mut self, position: CursorPosition) -> Result<(), GpuError> {
        self.check_scanout(position.scanout)?;
        let shown = self.cursor.as_ref().and_then(|cursor| cursor.shown).ok_or(GpuError::NoCursor)?;
        self.leave_other_than(position.scanout)?;
        let cursor = self.cursor.as_mut().ok_or(GpuError::NoCursor)?;
        // A display that has not had the cursor does not have the picture either.
        let same = shown.scanout == position.scanout;
        let kind = if same { CommandType::MOVE_CURSOR } else { CommandType::UPDATE_CURSOR };
        // Only the position matters to a move (VIRTIO 1.4 §5.7.6.10), but some devices hide a cursor that is moved
        // without its resource.
        self.control.cursor(kind, cursor.wire(position))?;
        cursor.shown = Some(position);
        Ok(())
    }

    /// Hides the cursor. [`Gpu::set_cursor`] shows it again.
    ///
    /// # Errors
    /// What the queue answers.
    pub fn hide_cursor(&mut self) -> Result<(), GpuError> {
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        let Some(position) = cursor.shown else { return Ok(()) };
        let hidden = UpdateCursor { pos: position.into(), ..Default::default() };
        self.control.cursor(CommandType::UPDATE_CURSOR, hidden)?;
        cursor.shown = None;
        Ok(())
    }

    /// Hides the cursor if it is on another display.
    fn leave_other_than(&mut self, scanout: ScanoutId) -> Result<(), GpuError> {
        match self.cursor.as_ref().and_then(|cursor| cursor.shown) {
            Some(shown) if shown.scanout != scanout => self.hide_cursor(),
            _ => Ok(()),
        }
    }

    fn make_cursor(&mut self) -> Result<Cursor<H>, GpuError> {
        let shape = Shape::new(CURSOR_SIZE, CURSOR_SIZE, Format::B8G8R8A8)?;
        let buffer = Dma::zeroed_slice(self.control.device.hal().clone(), shape.bytes)?;
        let resource = self.control.make(buffer, shape)?;
        Ok(Cursor { resource, hot: (0, 0), shown: None })
    }
}
