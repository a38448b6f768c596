//! From cells to pixels: what changed, in as few and as large pieces as possible.

use super::Terminal;
use super::cell::Cell;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::image::GetPixel;
use embedded_graphics::mono_font::MonoFont;
use embedded_graphics::mono_font::ascii::FONT_10X20;
use embedded_graphics::pixelcolor::{BinaryColor, Rgb888};
use embedded_graphics::prelude::DrawTarget;
use embedded_graphics::primitives::Rectangle;

const FONT: &MonoFont<'static> = &FONT_10X20;

/// Width of a cell in pixels.
pub(super) const CELL_WIDTH: u16 = 10;
/// Height of a cell in pixels.
pub(super) const CELL_HEIGHT: u16 = 20;

const _: () = assert!(FONT_10X20.character_size.width == CELL_WIDTH as u32);
const _: () = assert!(FONT_10X20.character_size.height == CELL_HEIGHT as u32);

impl Terminal {
    /// Paints what changed since the last call. The cells at the border of the grid spread their background
    /// to the edge of the screen.
    ///
    /// # Errors
    ///
    /// Those of `target`; what could not be painted is painted by the next call.
    pub fn draw<D: DrawTarget<Color = Rgb888>>(&mut self, target: &mut D) -> Result<(), D::Error> {
        self.mark_cursor();
        for row in 0..self.rows {
            let mut column = 0;
            while column < self.columns {
                let next = self.draw_from(target, column, row)?;
                for drawn in column..next {
                    if let Some(cell) = self.cell_mut(drawn, row) {
                        cell.clean();
                    }
                }
                column = next;
            }
        }
        Ok(())
    }

    /// The block has to go from where it was to where it is.
    fn mark_cursor(&mut self) {
        let cursor = self.cursor();
        if self.painted != cursor {
            let (column, row) = self.painted;
            if let Some(cell) = self.cell_mut(column, row) {
                cell.mark();
            }
            if let Some(cell) = self.cell_mut(self.column, self.row) {
                cell.mark();
            }
            self.painted = cursor;
        }
    }

    /// Paints one cell, or a run of blanks, and says which column comes next.
    fn draw_from<D: DrawTarget<Color = Rgb888>>(
        &self,
        target: &mut D,
        column: u16,
        row: u16,
    ) -> Result<u16, D::Error> {
        let Some(cell) = self.cell(column, row).filter(|cell| cell.is_dirty()) else {
            return Ok(column + 1);
        };
        let cursor = self.cursor() == (column, row);
        if cell.is_blank() && !cursor {
            let same =
                |other: Cell| other.is_dirty() && other.is_blank() && other.background() == cell.background();
            let mut end = column + 1;
            while self.cursor() != (end, row) && self.cell(end, row).is_some_and(same) {
                end += 1;
            }
            target.fill_solid(&self.area(column, end, row), cell.background().into())?;
            return Ok(end);
        }
        let area = self.area(column, column + 1, row);
        let inner = self.inner(column, row);
        if area != inner {
            target.fill_solid(&area, cell.background().into())?;
        }
        target.fill_contiguous(&inner, pixels(if cursor { cell.under_cursor() } else { cell }))?;
        Ok(column + 1)
    }

    /// The pixels of one cell.
    fn inner(&self, column: u16, row: u16) -> Rectangle {
        let corner = Point::new(self.x(column), self.y(row));
        Rectangle::new(corner, FONT.character_size)
    }

    /// The pixels of a run of cells; to the screen's edge where the run touches the grid's.
    fn area(&self, column: u16, end: u16, row: u16) -> Rectangle {
        let left = if column == 0 { 0 } else { self.x(column) };
        let right = if end == self.columns { i32::from(self.width) } else { self.x(end) };
        let top = if row == 0 { 0 } else { self.y(row) };
        let bottom = if row + 1 == self.rows { i32::from(self.height) } else { self.y(row + 1) };
        Rectangle::new(Point::new(left, top), Size::new(left.abs_diff(right), top.abs_diff(bottom)))
    }

    fn x(&self, column: u16) -> i32 {
        i32::from(self.left) + i32::from(column) * i32::from(CELL_WIDTH)
    }

    fn y(&self, row: u16) -> i32 {
        i32::from(self.top) + i32::from(row) * i32::from(CELL_HEIGHT)
    }
}

/// The pixels of a cell's character, row by row. Bold is the character struck twice, one pixel apart.
fn pixels(cell: Cell) -> impl Iterator<Item = Rgb888> {
    let (width, height) = (i32::from(CELL_WIDTH), i32::from(CELL_HEIGHT));
    let index = i32::try_from(FONT.glyph_mapping.index(char::from(cell.byte()))).unwrap_or(0);
    // The font is one picture of characters, so many a row.
    let per_row = per_row();
    let origin = Point::new(index % per_row * width, index / per_row * height);
    let ink = move |x: i32, y: i32| FONT.image.pixel(origin + Point::new(x, y)) == Some(BinaryColor::On);
    let (foreground, background) = (cell.foreground().into(), cell.background().into());
    (0..height).flat_map(move |y| {
        (0..width).map(move |x| {
            let on = ink(x, y) || (cell.is_bold() && x > 0 && ink(x - 1, y));
            if on { foreground } else { background }
        })
    })
}

/// How many characters stand side by side in the font's picture.
fn per_row() -> i32 {
    let columns = FONT.image.size().width / FONT.character_size.width;
    i32::try_from(columns).unwrap_or(1).max(1)
}
