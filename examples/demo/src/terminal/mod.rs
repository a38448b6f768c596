//! A text terminal: bytes in, pixels out.
//!
//! [`Terminal::write`] changes a grid of character cells, [`Terminal::draw`] paints those that changed since
//! it was last called. Painting is integer arithmetic only, so the same bytes give the same pixels
//! everywhere.

mod ansi;
mod cell;
mod draw;
#[cfg(test)]
mod tests;

use ansi::{Action, Parser};
use cell::{Cell, Pen};
use core::fmt;
use embedded_graphics::geometry::Size;
use static_cell::ConstStaticCell;

/// The widest grid there can be, in cells.
pub const MAX_COLUMNS: usize = 256;
/// The highest grid there can be, in cells.
pub const MAX_ROWS: usize = 100;

/// Least distance between text and the edges of the screen, in pixels.
const MARGIN: u16 = 16;
/// Distance between tab stops, in cells.
const TAB: u16 = 8;

static SHARED: ConstStaticCell<Terminal> = ConstStaticCell::new(Terminal::new());

/// A grid of character cells with a cursor.
///
/// It is about 200 KiB, so it belongs into a `static` ([`Terminal::take`]), not onto a kernel's stack; a new
/// one is all zero bytes and costs nothing in the image. It has no cells until [`Terminal::resize`] has told
/// it the screen's size.
///
/// Understood are line feed (which also returns the carriage), carriage return, backspace and tab; the
/// escapes `ESC [ … m` (0, 1, 22, 30-37, 39, 40-47, 49, 90-97, 100-107 and 24-bit colours with 38;2 and
/// 48;2), `ESC [ 2 J`, `ESC [ row ; column H` and `ESC [ K`. Other escapes are swallowed. Bytes that are not
/// ASCII are shown as `?`.
pub struct Terminal {
    cells: [Cell; MAX_COLUMNS * MAX_ROWS],
    columns: u16,
    rows: u16,
    /// The screen in pixels, and where in it the grid begins.
    width: u16,
    height: u16,
    left: u16,
    top: u16,
    column: u16,
    row: u16,
    /// The last column has been written: the next character starts a new line.
    wrap: bool,
    pen: Pen,
    parser: Parser,
    /// Where the cursor block was last painted.
    painted: (u16, u16),
}

impl Terminal {
    /// A terminal without a screen.
    pub const fn new() -> Self {
        Self {
            cells: [Cell::ZERO; MAX_COLUMNS * MAX_ROWS],
            columns: 0,
            rows: 0,
            width: 0,
            height: 0,
            left: 0,
            top: 0,
            column: 0,
            row: 0,
            wrap: false,
            pen: Pen::new(),
            parser: Parser::new(),
            painted: (0, 0),
        }
    }

    /// The one terminal that lives in static memory, to the first who asks.
    pub fn take() -> Option<&'static mut Self> {
        SHARED.try_take()
    }

    /// Takes a screen of `size` pixels: as many cells as fit, all blank, and everything to be painted.
    ///
    /// A screen with room for more than [`MAX_COLUMNS`] by [`MAX_ROWS`] has the grid in its middle; one with
    /// room for none is left alone.
    pub fn resize(&mut self, size: Size) {
        let pixels = |length: u32| u16::try_from(length).unwrap_or(u16::MAX);
        let fit = |length: u16, cell: u16, most: usize| {
            let room = length.saturating_sub(2 * MARGIN) / cell;
            room.min(u16::try_from(most).unwrap_or(u16::MAX))
        };
        self.width = pixels(size.width);
        self.height = pixels(size.height);
        self.columns = fit(self.width, draw::CELL_WIDTH, MAX_COLUMNS);
        self.rows = fit(self.height, draw::CELL_HEIGHT, MAX_ROWS);
        if self.columns == 0 || self.rows == 0 {
            (self.columns, self.rows) = (0, 0);
        }
        self.left = (self.width - self.columns * draw::CELL_WIDTH) / 2;
        self.top = (self.height - self.rows * draw::CELL_HEIGHT) / 2;
        (self.column, self.row, self.wrap) = (0, 0, false);
        self.pen = Pen::new();
        self.parser = Parser::new();
        self.painted = (0, 0);
        self.clear();
        self.repaint();
    }

    /// Forgets what the screen shows: the next [`Terminal::draw`] paints everything.
    pub fn repaint(&mut self) {
        self.cells.iter_mut().for_each(Cell::mark);
    }

    /// Puts `bytes` on the grid. Nothing is painted yet.
    pub fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match self.parser.feed(byte) {
                Action::None => {}
                Action::Print(byte) => self.print(byte),
                Action::Control(byte) => self.control(byte),
                Action::MoveTo { row, column } => {
                    self.go(column.min(self.columns.saturating_sub(1)), row.min(self.rows.saturating_sub(1)));
                }
                Action::ClearScreen => self.clear(),
                Action::ClearToEndOfLine => self.blank(self.column, self.columns, self.row),
                Action::Pen => self.parser.apply(&mut self.pen),
            }
        }
    }

    /// Columns of the grid.
    pub fn columns(&self) -> u16 {
        self.columns
    }

    /// Rows of the grid.
    pub fn rows(&self) -> u16 {
        self.rows
    }

    /// The cursor's column and row, counted from 0.
    pub fn cursor(&self) -> (u16, u16) {
        (self.column, self.row)
    }

    /// The characters of one row, trailing blanks included; none if there is no such row.
    pub fn row(&self, row: u16) -> impl Iterator<Item = char> + '_ {
        (0..self.columns).filter_map(move |column| Some(char::from(self.cell(column, row)?.byte())))
    }

    fn print(&mut self, byte: u8) {
        if self.wrap {
            self.next_line();
        }
        let shown = if let 0x20..=0x7e = byte { byte } else { b'?' };
        let new = self.pen.cell(shown);
        if let Some(cell) = self.cell_mut(self.column, self.row) {
            cell.set(new);
        }
        // The cursor stays on the last column: a line that fits exactly is not followed by an empty one.
        if self.column + 1 < self.columns {
            self.column += 1;
        } else {
            self.wrap = true;
        }
    }

    fn control(&mut self, byte: u8) {
        match byte {
            b'\n' => self.next_line(),
            b'\r' => self.go(0, self.row),
            0x08 => self.go(self.column.saturating_sub(1), self.row),
            b'\t' => {
                let stop = (self.column / TAB + 1) * TAB;
                self.go(stop.min(self.columns.saturating_sub(1)), self.row);
            }
            _ => {}
        }
    }

    fn go(&mut self, column: u16, row: u16) {
        (self.column, self.row, self.wrap) = (column, row, false);
    }

    fn next_line(&mut self) {
        if self.row + 1 < self.rows {
            self.go(0, self.row + 1);
        } else {
            self.go(0, self.row);
            self.scroll();
        }
    }

    fn scroll(&mut self) {
        let stride = usize::from(self.columns);
        let last = self.rows.saturating_sub(1);
        for index in 0..stride * usize::from(last) {
            let below = self.cells.get(index + stride).copied().unwrap_or(Cell::ZERO);
            if let Some(cell) = self.cells.get_mut(index) {
                cell.set(below);
            }
        }
        self.blank(0, self.columns, last);
    }

    fn clear(&mut self) {
        for row in 0..self.rows {
            self.blank(0, self.columns, row);
        }
    }

    /// Blanks a part of a row, in the pen's background.
    fn blank(&mut self, from: u16, to: u16, row: u16) {
        let blank = self.pen.cell(b' ');
        for column in from..to {
            if let Some(cell) = self.cell_mut(column, row) {
                cell.set(blank);
            }
        }
    }

    fn index(&self, column: u16, row: u16) -> Option<usize> {
        let inside = column < self.columns && row < self.rows;
        inside.then(|| usize::from(row) * usize::from(self.columns) + usize::from(column))
    }

    fn cell(&self, column: u16, row: u16) -> Option<Cell> {
        self.cells.get(self.index(column, row)?).copied()
    }

    fn cell_mut(&mut self, column: u16, row: u16) -> Option<&mut Cell> {
        let index = self.index(column, row)?;
        self.cells.get_mut(index)
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Write for Terminal {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal")
            .field("columns", &self.columns)
            .field("rows", &self.rows)
            .field("cursor", &self.cursor())
            .finish_non_exhaustive()
    }
}
