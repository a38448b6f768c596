//! Pixel formats of 2D resources (VIRTIO 1.4 §5.7.6.8).

use core::fmt;

/// A colour, 8 bits a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rgb {
    /// Red.
    pub r: u8,
    /// Green.
    pub g: u8,
    /// Blue.
    pub b: u8,
}

impl Rgb {
    /// Black.
    pub const BLACK: Self = Self::new(0, 0, 0);
    /// White.
    pub const WHITE: Self = Self::new(255, 255, 255);

    /// The colour of these channels.
    #[must_use]
    pub const fn new(r: u8, g: u8, b: u8) -> Self {
        Self { r, g, b }
    }
}

#[cfg(feature = "embedded-graphics")]
impl From<embedded_graphics_core::pixelcolor::Rgb888> for Rgb {
    fn from(color: embedded_graphics_core::pixelcolor::Rgb888) -> Self {
        use embedded_graphics_core::pixelcolor::RgbColor;
        Self::new(color.r(), color.g(), color.b())
    }
}

/// Bytes of a pixel, in every format.
pub const BYTES_PER_PIXEL: usize = 4;

/// A pixel format. The names give the order of the bytes in memory; X is a byte without meaning, A is opacity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Format {
    /// Blue, green, red, opacity: a little-endian `0xAARRGGBB`.
    B8G8R8A8,
    /// Blue, green, red, unused: a little-endian `0x__RRGGBB`. What [`Gpu::screen`](crate::Gpu::screen) uses.
    B8G8R8X8,
    /// Opacity, red, green, blue.
    A8R8G8B8,
    /// Unused, red, green, blue.
    X8R8G8B8,
    /// Red, green, blue, opacity.
    R8G8B8A8,
    /// Unused, blue, green, red.
    X8B8G8R8,
    /// Opacity, blue, green, red.
    A8B8G8R8,
    /// Red, green, blue, unused.
    R8G8B8X8,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::B8G8R8A8,
        Self::B8G8R8X8,
        Self::A8R8G8B8,
        Self::X8R8G8B8,
        Self::R8G8B8A8,
        Self::X8B8G8R8,
        Self::A8B8G8R8,
        Self::R8G8B8X8,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::B8G8R8A8 => 1,
            Self::B8G8R8X8 => 2,
            Self::A8R8G8B8 => 3,
            Self::X8R8G8B8 => 4,
            Self::R8G8B8A8 => 67,
            Self::X8B8G8R8 => 68,
            Self::A8B8G8R8 => 121,
            Self::R8G8B8X8 => 134,
        }
    }

    /// The format of that number on the wire.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.code() == code)
    }

    /// An opaque pixel of that colour.
    #[must_use]
    pub const fn encode(self, color: Rgb) -> [u8; BYTES_PER_PIXEL] {
        let Rgb { r, g, b } = color;
        match self {
            Self::B8G8R8A8 | Self::B8G8R8X8 => [b, g, r, 0xff],
            Self::A8R8G8B8 | Self::X8R8G8B8 => [0xff, r, g, b],
            Self::R8G8B8A8 | Self::R8G8B8X8 => [r, g, b, 0xff],
            Self::A8B8G8R8 | Self::X8B8G8R8 => [0xff, b, g, r],
        }
    }

    /// The colour of a pixel, without its opacity.
    #[must_use]
    pub const fn decode(self, pixel: [u8; BYTES_PER_PIXEL]) -> Rgb {
        let [one, two, three, four] = pixel;
        match self {
            Self::B8G8R8A8 | Self::B8G8R8X8 => Rgb::new(three, two, one),
            Self::A8R8G8B8 | Self::X8R8G8B8 => Rgb::new(two, three, four),
            Self::R8G8B8A8 | Self::R8G8B8X8 => Rgb::new(one, two, three),
            Self::A8B8G8R8 | Self::X8B8G8R8 => Rgb::new(four, three, two),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    /// The name says where each channel lies: it is the independent description.
    fn byte(format: Format, color: Rgb, index: usize) -> u8 {
        match format!("{format}").as_bytes()[index * 2] {
            b'R' => color.r,
            b'G' => color.g,
            b'B' => color.b,
            _ => 0xff,
        }
    }

    #[test]
    fn bytes_lie_as_the_name_says() {
        let color = Rgb::new(0x12, 0x34, 0x56);
        for format in Format::ALL {
            let pixel = format.encode(color);
            assert_eq!(pixel, [0, 1, 2, 3].map(|index| byte(format, color, index)), "{format}");
            assert_eq!(format.decode(pixel), color);
        }
    }

    #[test]
    fn codes_are_the_specifications() {
        let codes = Format::ALL.map(Format::code);
        assert_eq!(codes, [1, 2, 3, 4, 67, 68, 121, 134]);
        for format in Format::ALL {
            assert_eq!(Format::from_code(format.code()), Some(format));
        }
        assert_eq!(Format::from_code(0), None);
    }
}
