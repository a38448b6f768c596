//! What a monitor says about itself: the base block of an EDID (VESA E-EDID 1.4, section 3). Total on any bytes.

mod read;
mod text;
mod timing;

use core::fmt;

pub use text::{Letters, Name};
pub use timing::Mode;

/// Bytes of a block.
pub const BLOCK_LEN: usize = 128;

const HEADER: [u8; 8] = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];
/// The four descriptors, of 18 bytes each.
const DESCRIPTORS: core::ops::Range<usize> = 54..126;
const DESCRIPTOR_LEN: usize = 18;
/// The kind of descriptor that holds the product's name.
const TAG_NAME: u8 = 0xfc;

/// What a monitor says about itself.
///
/// ```no_run
/// # fn example<T: virtio_core::Transport, H: virtio_core::Hal + Clone>(
/// #     gpu: &mut virtio_gpu::Gpu<T, H>,
/// # ) -> Result<(), virtio_gpu::GpuError> {
/// let edid = gpu.edid(virtio_gpu::ScanoutId::new(0))?;
/// if let (Some(name), Some(mode)) = (edid.name, edid.preferred) {
///     log(format_args!("{name} of {}, {mode}", edid.manufacturer));
/// }
/// # Ok(())
/// # }
/// # fn log(_: core::fmt::Arguments) {}
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Edid {
    /// The three letters of the manufacturer.
    pub manufacturer: Letters,
    /// The manufacturer's number for the product.
    pub product: u16,
    /// Serial number; 0 if there is none.
    pub serial: u32,
    /// Year of manufacture, or of the model.
    pub year: u16,
    /// Version and revision of the structure.
    pub version: (u8, u8),
    /// Width and height of the picture in centimetres, if it has a fixed size.
    pub size_cm: Option<(u8, u8)>,
    /// The product's name.
    pub name: Option<Name>,
    /// The mode that suits the monitor best.
    pub preferred: Option<Mode>,
    /// How many more blocks there are.
    pub extensions: u8,
}

/// Why bytes are no EDID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EdidError {
    /// Fewer than the 128 bytes of a block.
    TooShort {
        /// How many there are.
        len: usize,
    },
    /// They do not start as an EDID does.
    NoHeader,
    /// The bytes of the block do not add up to 0.
    BadChecksum {
        /// What they add up to.
        sum: u8,
    },
}

impl fmt::Display for EdidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { len } => write!(f, "{len} bytes, a block has 128"),
            Self::NoHeader => f.write_str("no EDID header"),
            Self::BadChecksum { sum } => write!(f, "the checksum is off by {sum}"),
        }
    }
}

impl core::error::Error for EdidError {}

impl Edid {
    /// Reads the base block at the start of `bytes`.
    ///
    /// # Errors
    /// [`EdidError`], if that is not what it is.
    pub fn parse(bytes: &[u8]) -> Result<Self, EdidError> {
        let short = EdidError::TooShort { len: bytes.len() };
        let block: &[u8; BLOCK_LEN] = bytes.first_chunk().ok_or(short)?;
        if !block.starts_with(&HEADER) {
            return Err(EdidError::NoHeader);
        }
        let sum = block.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        if sum != 0 {
            return Err(EdidError::BadChecksum { sum });
        }
        // What follows the header, field by field, up to the picture's size.
        let [
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            m0,
            m1,
            p0,
            p1,
            s0,
            s1,
            s2,
            s3,
            _,
            year,
            version,
            revision,
            _,
            width,
            height,
            ..,
        ] = *block;
        let [.., extensions, _] = *block;
        let descriptors = || {
            let bytes = block.get(DESCRIPTORS).unwrap_or_default();
            bytes.chunks_exact(DESCRIPTOR_LEN).filter_map(|bytes| bytes.first_chunk::<DESCRIPTOR_LEN>())
        };
        Ok(Self {
            manufacturer: Letters::unpack(u16::from_be_bytes([m0, m1])),
            product: u16::from_le_bytes([p0, p1]),
            serial: u32::from_le_bytes([s0, s1, s2, s3]),
            year: u16::from(year).saturating_add(1990),
            version: (version, revision),
            size_cm: Some((width, height)).filter(|(width, height)| *width > 0 && *height > 0),
            name: descriptors().find_map(|descriptor| text_of(descriptor, TAG_NAME)),
            // The first descriptor is the preferred mode, if it is one.
            preferred: descriptors().next().and_then(Mode::parse),
            extensions,
        })
    }
}

/// The text of a descriptor of that kind.
fn text_of(descriptor: &[u8; DESCRIPTOR_LEN], tag: u8) -> Option<Name> {
    match descriptor {
        [0, 0, 0, found, _, text @ ..] if *found == tag => Some(Name::new(text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
