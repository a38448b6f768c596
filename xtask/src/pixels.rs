//! The screen as it must be: the kernel's own terminal code, run here on the bytes it sent.

use std::path::Path;

use demo::Terminal;
use embedded_graphics_core::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics_core::prelude::{DrawTarget, OriginDimensions, Pixel, Size};

use crate::failure::{Context, Result, fail};
use crate::picture::Picture;
use crate::stream;

/// Compares `actual` with what `received` must look like, pixel by pixel.
///
/// If they differ, the pictures are saved into `folder` as `NAME-{expected,actual,diff}.png`.
pub fn check(actual: &Picture, received: &[u8], folder: &Path, name: &str) -> Result {
    let fed = stream::screen(received).context("the kernel never cleared the screen")?;
    let expected = render(fed, actual.width, actual.height)?;
    let wrong = differences(&expected, actual);
    if wrong == 0 {
        return Ok(());
    }
    let save = |kind: &str, picture: &Picture| picture.save(&folder.join(format!("{name}-{kind}.png")));
    save("expected", &expected)?;
    save("actual", actual)?;
    save("diff", &difference(&expected, actual))?;
    let place = folder.join(format!("{name}-diff.png"));
    fail!("{wrong} of {} pixels are wrong, see {}", actual.pixels().count(), place.display())
}

/// What a screen of that size shows when its terminal was fed `fed`.
fn render(fed: &[u8], width: u32, height: u32) -> Result<Picture> {
    let mut canvas = Canvas(Picture::black(width, height));
    let mut terminal = Box::new(Terminal::new());
    terminal.resize(Size::new(width, height));
    terminal.write(fed);
    terminal.draw(&mut canvas).context("drawing")?;
    Ok(canvas.0)
}

/// How many pixels are not the same. Pictures of different sizes differ in all.
fn differences(a: &Picture, b: &Picture) -> usize {
    if (a.width, a.height) != (b.width, b.height) {
        return b.pixels().count();
    }
    a.pixels().zip(b.pixels()).filter(|(a, b)| a != b).count()
}

/// Wrong pixels in red on a faint copy of `expected`.
fn difference(expected: &Picture, actual: &Picture) -> Picture {
    let rgb = expected.pixels().zip(actual.pixels()).flat_map(|(expected, actual)| {
        if expected == actual {
            let sum: u16 = expected.iter().map(|&part| u16::from(part)).sum();
            [u8::try_from(sum / 12).unwrap_or(u8::MAX); 3]
        } else {
            [255, 0, 0]
        }
    });
    Picture { width: expected.width, height: expected.height, rgb: rgb.collect() }
}

/// A picture that can be drawn on.
struct Canvas(Picture);

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.0.width, self.0.height)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(
        &mut self,
        pixels: I,
    ) -> std::result::Result<(), Self::Error> {
        let Picture { width, height, rgb } = &mut self.0;
        for Pixel(point, color) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(point.x), u32::try_from(point.y)) else { continue };
            if x >= *width || y >= *height {
                continue;
            }
            let at = (y as usize * *width as usize + x as usize) * 3;
            if let Some(pixel) = rgb.get_mut(at..at + 3) {
                pixel.copy_from_slice(&[color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FED: &[u8] = b"\x1b[2J\x1b[Hhello\n\x1b[1;32mREADY\x1b[0m\n> ";

    #[test]
    fn the_same_bytes_pass_and_firmware_text_is_no_matter() {
        let picture = render(FED, 320, 200).unwrap();
        assert!(picture.pixels().any(|pixel| pixel != picture.pixels().next().unwrap()));
        let folder = crate::workspace::scratch("pixels").unwrap();
        check(&picture, &[b"OpenSBI\n", FED].concat(), folder.path(), "x").unwrap();
    }

    #[test]
    fn one_wrong_pixel_is_found_and_shown() {
        let mut picture = render(FED, 320, 200).unwrap();
        *picture.rgb.last_mut().unwrap() ^= 1;
        let folder = crate::workspace::scratch("pixels").unwrap();
        let failure = check(&picture, FED, folder.path(), "x").unwrap_err().to_string();
        assert!(failure.starts_with("1 of 64000 pixels"), "{failure}");
        for kind in ["expected", "actual", "diff"] {
            assert!(folder.path().join(format!("x-{kind}.png")).is_file());
        }
    }

    #[test]
    fn another_text_is_another_picture() {
        let picture = render(FED, 320, 200).unwrap();
        let other = [FED, b"x"].concat();
        let folder = crate::workspace::scratch("pixels").unwrap();
        assert!(check(&picture, &other, folder.path(), "x").is_err());
    }

    #[test]
    fn a_stream_without_a_screen_is_refused() {
        let picture = Picture::black(320, 200);
        let folder = crate::workspace::scratch("pixels").unwrap();
        assert!(check(&picture, b"text", folder.path(), "x").is_err());
    }
}
