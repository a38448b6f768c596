//! What the tests of this crate share: a screen in memory.

use crate::terminal::Terminal;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::convert::Infallible;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::{DrawTarget, OriginDimensions, Pixel, Size};

/// A terminal for a screen of this size. The box is for the test threads' small stacks.
pub(crate) fn terminal(width: u32, height: u32) -> Box<Terminal> {
    let mut terminal = Box::new(Terminal::new());
    terminal.resize(Size::new(width, height));
    terminal
}

/// A screen that counts how often its pixels are written.
pub(crate) struct Canvas {
    width: usize,
    pixels: Vec<Rgb888>,
    pub(crate) written: usize,
}

impl Canvas {
    /// A screen in a colour that the terminal never shows by itself.
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, pixels: alloc::vec![Rgb888::new(255, 0, 254); width * height], written: 0 }
    }

    pub(crate) fn pixel(&self, x: usize, y: usize) -> Rgb888 {
        self.pixels[y * self.width + x]
    }

    pub(crate) fn pixels(&self) -> &[Rgb888] {
        &self.pixels
    }

    pub(crate) fn save(&self, path: &std::path::Path) {
        let file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
        let size = self.size();
        let mut encoder = png::Encoder::new(file, size.width, size.height);
        encoder.set_color(png::ColorType::Rgb);
        let bytes: Vec<u8> = self.pixels.iter().flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()]).collect();
        encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        let height = self.pixels.len() / self.width;
        Size::new(u32::try_from(self.width).unwrap(), u32::try_from(height).unwrap())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, color) in pixels {
            let (x, y) = (usize::try_from(point.x).unwrap(), usize::try_from(point.y).unwrap());
            assert!(x < self.width, "drawn outside the screen");
            self.pixels[y * self.width + x] = color;
            self.written += 1;
        }
        Ok(())
    }
}
