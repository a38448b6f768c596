//! A picture in memory: read from the PPM file QEMU writes, saved as PNG.
//!
//! PPM, because older QEMUs write no PNG and 7.2 writes it with red and blue swapped.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use crate::failure::{Context, Result, fail};

/// An RGB picture, three bytes a pixel, row by row from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width * height * 3` bytes.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// A black picture.
    pub fn black(width: u32, height: u32) -> Self {
        Self { width, height, rgb: vec![0; width as usize * height as usize * 3] }
    }

    /// Reads a binary PPM file ("P6", 8 bits a channel).
    pub fn from_ppm(file: &[u8]) -> Result<Self> {
        let mut rest = file;
        if token(&mut rest) != Some(b"P6") {
            fail!("the screendump is not a PPM picture");
        }
        let mut number = || -> Option<u32> { std::str::from_utf8(token(&mut rest)?).ok()?.parse().ok() };
        let (Some(width), Some(height), Some(255)) = (number(), number(), number()) else {
            fail!("the screendump's PPM header is damaged");
        };
        // Exactly one white-space byte separates header and pixels.
        let rgb = rest.get(1..).unwrap_or_default().to_vec();
        if u64::from(width) * u64::from(height) * 3 != rgb.len() as u64 {
            fail!("the screendump has {} bytes for {width}x{height} pixels", rgb.len());
        }
        Ok(Self { width, height, rgb })
    }

    /// Saves as PNG, folders above included.
    pub fn save(&self, path: &Path) -> Result {
        let what = || format!("saving {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).context(what())?;
        }
        let file = BufWriter::new(File::create(path).context(what())?);
        let mut encoder = png::Encoder::new(file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().context(what())?;
        writer.write_image_data(&self.rgb).context(what())?;
        writer.finish().context(what())
    }

    /// The pixels, row by row.
    pub fn pixels(&self) -> impl Iterator<Item = &[u8]> {
        self.rgb.chunks_exact(3)
    }
}

/// Takes the next word of a PPM header, comments skipped.
fn token<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    loop {
        *rest = rest.trim_ascii_start();
        if rest.first() != Some(&b'#') {
            break;
        }
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        *rest = rest.get(end..)?;
    }
    let end = rest.iter().position(u8::is_ascii_whitespace)?;
    let (word, after) = rest.split_at_checked(end)?;
    *rest = after;
    Some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ppm_headers_have_spaces_and_comments() {
        let picture = Picture::from_ppm(b"P6 # from QEMU\n2 1\n255\n\x0a\x0b\x0c#\n\x20").unwrap();
        assert_eq!(picture, Picture { width: 2, height: 1, rgb: b"\x0a\x0b\x0c#\n\x20".to_vec() });
    }

    #[test]
    fn damaged_pictures_are_refused() {
        for file in [&b""[..], b"P5\n1 1\n255\nx", b"P6\n1 1\n65535\nxxxxxx", b"P6\n1 1\n255\nxx", b"P6\n1 1"]
        {
            assert!(Picture::from_ppm(file).is_err(), "{file:?}");
        }
    }

    #[test]
    fn a_saved_picture_reads_back() {
        let mut picture = Picture::black(3, 2);
        picture.rgb[4] = 200;
        let folder = crate::workspace::scratch("picture-test").unwrap();
        let path = folder.path().join("a").join("b.png");
        picture.save(&path).unwrap();
        let mut reader =
            png::Decoder::new(std::io::BufReader::new(File::open(&path).unwrap())).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        assert_eq!(Picture { width: info.width, height: info.height, rgb }, picture);
    }
}
