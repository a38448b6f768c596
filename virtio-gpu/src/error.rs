//! What can go wrong, and what is left then.

use core::fmt;

use virtio_core::Error;

use crate::abi::{CommandType, ResponseType};
use crate::display::ScanoutId;
use crate::edid::EdidError;
use crate::screen::Screen;

/// Why the GPU did not do what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum GpuError {
    /// From below: transport, queue, platform. It says who is at fault.
    Core(Error),
    /// The device answers a command with an error.
    Refused {
        /// The command.
        command: CommandType,
        /// The device's answer.
        code: ResponseType,
    },
    /// The device misbehaves: its answer is neither the one that belongs to the command nor an error.
    WrongResponse {
        /// The command.
        command: CommandType,
        /// The device's answer.
        answer: ResponseType,
    },
    /// The device misbehaves: its answer is too short.
    ShortResponse {
        /// The command.
        command: CommandType,
        /// Bytes of the answer.
        written: usize,
        /// Bytes it must have.
        needed: usize,
    },
    /// The device misbehaves: it answers a fenced command with success, but does not confirm the fence.
    FenceLost {
        /// The command.
        command: CommandType,
        /// The fence that was sent.
        sent: u64,
        /// The fence in the answer; `None` if it has none.
        echoed: Option<u64>,
    },
    /// The device says it has no display at all (VIRTIO 1.4 §5.7.4: at least 1).
    NoScanouts,
    /// The device says it has more displays than there can be (VIRTIO 1.4 §5.7.4: at most 16).
    TooManyScanouts(u32),
    /// The device has no such display.
    NoSuchScanout(ScanoutId),
    /// The device does not offer EDIDs.
    EdidNotOffered,
    /// The device's EDID makes no sense.
    Edid(EdidError),
    /// A width or height of 0, or more bytes than can be counted.
    BadSize {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The device asks for a display of more pixels a side than any has
    /// ([`Gpu::screen`](crate::Gpu::screen) makes none of more than 16384).
    AbsurdDisplay {
        /// Which display.
        scanout: ScanoutId,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The buffer does not hold all pixels.
    BufferTooSmall {
        /// Its length in bytes.
        len: usize,
        /// Bytes that are needed.
        needed: usize,
    },
    /// The cursor's hot spot lies outside its image.
    HotSpotOutside {
        /// From the left.
        x: u32,
        /// From the top.
        y: u32,
    },
    /// There is no cursor to move.
    NoCursor,
    /// All 2³² resource ids were used up.
    OutOfIds,
}

impl GpuError {
    /// Whether the device has plainly said no, so that the command had no effect.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// The device's error code, if it answered with one.
    #[must_use]
    pub const fn code(&self) -> Option<ResponseType> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl fmt::Display for GpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core(error) => error.fmt(f),
            Self::Refused { command, code } => write!(f, "the device answers {command} with {code}"),
            Self::WrongResponse { command, answer } => {
                write!(f, "the device misbehaved: it answers {command} with {answer}")
            }
            Self::ShortResponse { command, written, needed } => {
                write!(
                    f,
                    "the device misbehaved: its answer to {command} has {written} bytes instead of {needed}"
                )
            }
            Self::FenceLost { command, sent, echoed: Some(echoed) } => {
                write!(f, "the device misbehaved: fence {sent} of {command} comes back as {echoed}")
            }
            Self::FenceLost { command, sent, echoed: None } => {
                write!(f, "the device misbehaved: fence {sent} of {command} does not come back")
            }
            Self::NoScanouts => f.write_str("the device has no scanouts"),
            Self::TooManyScanouts(count) => write!(f, "the device claims {count} scanouts, 16 is the most"),
            Self::NoSuchScanout(scanout) => write!(f, "the device has no scanout {scanout}"),
            Self::EdidNotOffered => f.write_str("the device does not offer EDIDs"),
            Self::Edid(error) => write!(f, "the device's EDID is bad: {error}"),
            Self::BadSize { width, height } => write!(f, "a size of {width}x{height} is impossible"),
            Self::AbsurdDisplay { scanout, width, height } => {
                write!(
                    f,
                    "the device asks for {width}x{height} on scanout {scanout}, 16384 a side is the most"
                )
            }
            Self::BufferTooSmall { len, needed } => {
                write!(f, "the buffer has {len} bytes, {needed} are needed")
            }
            Self::HotSpotOutside { x, y } => write!(f, "hot spot {x},{y} lies outside the cursor"),
            Self::NoCursor => f.write_str("no cursor is shown"),
            Self::OutOfIds => f.write_str("all resource ids were used up"),
        }
    }
}

impl core::error::Error for GpuError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Core(error) => Some(error),
            Self::Edid(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for GpuError {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl From<EdidError> for GpuError {
    fn from(error: EdidError) -> Self {
        Self::Edid(error)
    }
}

/// A screen that could not be made.
pub struct ScreenError<B> {
    /// Why.
    pub error: GpuError,
    /// The buffer. `None` if the device was taken down, or does not say that it has let go of it: then it is released
    /// with the device.
    pub buffer: Option<B>,
}

impl<B> fmt::Debug for ScreenError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScreenError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<B> fmt::Display for ScreenError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<B> core::error::Error for ScreenError<B> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<B> From<ScreenError<B>> for GpuError {
    fn from(error: ScreenError<B>) -> Self {
        error.error
    }
}

/// A screen that could not be closed, or not wholly.
pub struct CloseError<B> {
    /// Why.
    pub error: GpuError,
    /// What is left of it.
    pub kept: Kept<B>,
}

/// What is left of a screen that could not be closed.
pub enum Kept<B> {
    /// The screen: the device may still read its buffer. It can be closed again; if it is dropped, the buffer is released
    /// with the device.
    Screen(Screen<B>),
    /// The buffer, which the device has let go of. The device's resource is left behind until its reset.
    Buffer(B),
}

impl<B> fmt::Debug for Kept<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Screen(_) => "Screen(..)",
            Self::Buffer(_) => "Buffer(..)",
        })
    }
}

impl<B> fmt::Debug for CloseError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseError").field("error", &self.error).field("kept", &self.kept).finish()
    }
}

impl<B> fmt::Display for CloseError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<B> core::error::Error for CloseError<B> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<B> From<CloseError<B>> for GpuError {
    fn from(error: CloseError<B>) -> Self {
        error.error
    }
}
