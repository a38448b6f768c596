//! A screenshot as QEMU writes it: a binary PPM.

use virtio::gpu::Rgb;

/// Pixels, row by row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    pixels: Vec<Rgb>,
}

impl Picture {
    /// A picture of these pixels.
    pub fn new(width: usize, height: usize, mut pixel: impl FnMut(usize, usize) -> Rgb) -> Self {
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            pixels.extend((0..width).map(|x| pixel(x, y)));
        }
        Self { width, height, pixels }
    }

    /// Reads a binary PPM; `None` if it is none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut word = || {
            let start = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
            let len = rest[start..].iter().position(u8::is_ascii_whitespace)?;
            let text = std::str::from_utf8(&rest[start..start + len]).ok()?;
            // The one white space behind the last word ends the header.
            rest = &rest[start + len + 1..];
            Some(text.to_owned())
        };
        let (magic, width, height, most) = (word()?, word()?, word()?, word()?);
        let (width, height): (usize, usize) = (width.parse().ok()?, height.parse().ok()?);
        let used = width.checked_mul(3)?;
        // QEMU fills rows up to a multiple of 4 bytes, which the format does not have.
        let row = [used, used.next_multiple_of(4)]
            .into_iter()
            .find(|row| row.checked_mul(height) == Some(rest.len()))?;
        if magic != "P6" || most != "255" || row == 0 {
            return None;
        }
        let pixel = |rgb: &[u8]| Rgb::new(rgb[0], rgb[1], rgb[2]);
        let pixels = rest.chunks_exact(row).flat_map(|row| row[..used].chunks_exact(3).map(pixel)).collect();
        Some(Self { width, height, pixels })
    }

    /// The pixel there.
    #[must_use]
    pub fn at(&self, x: usize, y: usize) -> Rgb {
        self.pixels[y * self.width + x]
    }

    /// Where and how it first differs from `other`; `None` if they are the same.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        if (self.width, self.height) != (other.width, other.height) {
            return Some(format!("{}x{} against {}x{}", self.width, self.height, other.width, other.height));
        }
        let differ = self.pixels.iter().zip(&other.pixels).filter(|(a, b)| a != b).count();
        let first = self.pixels.iter().zip(&other.pixels).position(|(a, b)| a != b)?;
        let (x, y) = (first % self.width, first / self.width);
        Some(format!(
            "{differ} pixels, the first at {x},{y}: {:?} against {:?}",
            self.at(x, y),
            other.at(x, y)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ppm_is_read() {
        let picture = Picture::parse(b"P6\n2 1\n255\n\x01\x02\x03\x0a\x20\xff").unwrap();
        assert_eq!((picture.width, picture.height), (2, 1));
        assert_eq!(picture.at(0, 0), Rgb::new(1, 2, 3));
        assert_eq!(picture.at(1, 0), Rgb::new(10, 32, 255));
        let other = Picture::new(2, 1, |x, _| if x == 0 { Rgb::new(1, 2, 3) } else { Rgb::BLACK });
        assert_eq!(picture.difference(&picture), None);
        assert!(picture.difference(&other).unwrap().starts_with("1 pixels, the first at 1,0"));
    }

    #[test]
    fn filled_up_rows_are_read() {
        let picture = Picture::parse(b"P6\n1 2\n255\n\x01\x02\x03\x00\x04\x05\x06\x00").unwrap();
        assert_eq!((picture.at(0, 0), picture.at(0, 1)), (Rgb::new(1, 2, 3), Rgb::new(4, 5, 6)));
    }

    #[test]
    fn what_is_none_is_refused() {
        for bytes in
            [&b""[..], b"P6\n2 1\n255\n\x01", b"P5\n1 1\n255\n\x01\x02\x03", b"P6 1 1 65535 \x01\x02\x03"]
        {
            assert_eq!(Picture::parse(bytes), None);
        }
    }
}
