//! Why a window holds no device that can be served.

use core::fmt;

use virtio_core::HalError;

/// A window of registers that cannot be served. The registers are dropped with it (a mapping made through the
/// [`Hal`](virtio_core::Hal) is undone).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ProbeError {
    /// The window ends before the registers do. Nothing was read.
    WindowTooShort {
        /// Its length in bytes.
        len: usize,
        /// The least length: 256 bytes.
        needed: usize,
    },
    /// There is no virtio device here: `MagicValue` does not read "virt".
    WrongMagic(u32),
    /// The device follows a version of the registers that does not exist yet.
    UnsupportedVersion(u32),
    /// The device has the legacy registers (version 1), and the caller wants version 2 only.
    LegacyRefused,
    /// The platform could not map the window.
    Platform(HalError),
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WindowTooShort { len, needed } => {
                write!(f, "the register window has {len} bytes, {needed} are needed")
            }
            Self::WrongMagic(value) => write!(f, "no virtio device: the magic value is {value:#010x}"),
            Self::UnsupportedVersion(version) => {
                write!(f, "register version {version} is not supported, only 1 and 2 are")
            }
            Self::LegacyRefused => {
                f.write_str("the device is a legacy one (version 1), version 2 was asked for")
            }
            Self::Platform(error) => write!(f, "the platform failed: {error}"),
        }
    }
}

impl core::error::Error for ProbeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Platform(error) => Some(error),
            _ => None,
        }
    }
}

impl From<HalError> for ProbeError {
    fn from(error: HalError) -> Self {
        Self::Platform(error)
    }
}
