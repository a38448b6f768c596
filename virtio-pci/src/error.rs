//! What can be wrong with a PCI function, a BAR or a bus.

use core::fmt;

use virtio_core::{HalError, Incompatible};

use crate::FunctionAddress;
use crate::caps::Structure;

/// Why a function cannot be driven, or a resource not be assigned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PciError {
    /// No function answers at this address.
    NotPresent(FunctionAddress),
    /// The function is no virtio device.
    NotVirtio {
        /// Its vendor id.
        vendor: u16,
        /// Its device id.
        device: u16,
    },
    /// The device has no virtio capabilities: it has the legacy interface only, in I/O ports (VIRTIO 1.4 §4.1.4.10).
    LegacyOnly,
    /// The device has no legacy interface: by its device id (0x1041 and above), or by its revision.
    ModernOnly {
        /// Its device id.
        device: u16,
        /// Its revision; a transitional device has 0 (VIRTIO 1.4 §4.1.2.3).
        revision: u8,
    },
    /// BAR 0 is no I/O BAR: there is no legacy interface (VIRTIO 1.4 §4.1.4.10).
    NoLegacyBar,
    /// BAR 0 ends before the legacy registers do.
    LegacyBarTooShort {
        /// Its size in bytes.
        size: u64,
    },
    /// The function does not decode its I/O BARs although told to.
    IoDecodeRefused,
    /// The device lists no usable structure of a type it must have (in a memory BAR that it implements).
    MissingStructure(Structure),
    /// A structure does not lie in its BAR.
    RegionOutsideBar {
        /// What it is.
        structure: Structure,
        /// The BAR.
        bar: u8,
        /// Where it should start in the BAR, in bytes.
        offset: u64,
    },
    /// A structure is too short to be used.
    RegionTooShort {
        /// What it is.
        structure: Structure,
        /// The length the device states, in bytes.
        len: u64,
    },
    /// A structure is not aligned as its fields need.
    RegionMisaligned(Structure),
    /// The function does not decode its memory BARs although told to.
    DecodeRefused,
    /// The function does not switch MSI-X off (its ISR status would stay silent) or on although told to, or does not keep
    /// what is written into its table.
    MsixRefused,
    /// The MSI-X table or its pending bits do not lie in a memory BAR, or overlap.
    MsixMisplaced {
        /// The BAR, as the capability names it.
        bar: u8,
        /// Where it should start in the BAR, in bytes.
        offset: u64,
    },
    /// The address of a message is no multiple of 4.
    BadMessage {
        /// Its vector.
        vector: u16,
        /// The address.
        address: u64,
    },
    /// A BAR breaks the format: a reserved type, a size that is no power of two, a 64-bit BAR without an upper half.
    MalformedBar {
        /// The function.
        function: FunctionAddress,
        /// The BAR.
        bar: u8,
    },
    /// A BAR has no address: neither firmware nor [`BarAllocator`](crate::BarAllocator) gave it one.
    BarUnassigned {
        /// The function.
        function: FunctionAddress,
        /// The BAR.
        bar: u8,
    },
    /// A BAR lies outside the windows that the host bridge forwards.
    BarOutsideWindow {
        /// The function.
        function: FunctionAddress,
        /// The BAR.
        bar: u8,
        /// Its address on the bus.
        address: u64,
        /// Its size in bytes.
        size: u64,
    },
    /// No window has room for a BAR.
    NoRoom {
        /// The function.
        function: FunctionAddress,
        /// The BAR.
        bar: u8,
        /// Its size in bytes.
        size: u64,
    },
    /// A BAR does not keep the address that was written to it. It has none again.
    BarRefused {
        /// The function.
        function: FunctionAddress,
        /// The BAR.
        bar: u8,
    },
    /// A BAR without an address lies behind a bridge whose windows the firmware has set: they are not moved.
    BehindFixedBridge {
        /// The function.
        function: FunctionAddress,
        /// The BAR.
        bar: u8,
    },
    /// A bridge does not keep the window that was written to it.
    BridgeWindowRefused(FunctionAddress),
    /// There are more buses than numbers for them; this bridge got none.
    TooManyBuses(FunctionAddress),
    /// Bridges are nested deeper than 16.
    TooDeep(FunctionAddress),
    /// The device cannot be served: [`Incompatible::RegistersTooShort`] if less of a BAR was mapped than asked for.
    Incompatible(Incompatible),
    /// The platform could not map a BAR.
    Platform(HalError),
}

impl fmt::Display for PciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotPresent(function) => write!(f, "no PCI function at {function}"),
            Self::NotVirtio { vendor, device } => {
                write!(f, "PCI function {vendor:04x}:{device:04x} is no virtio device")
            }
            Self::LegacyOnly => {
                f.write_str("the device has the legacy interface only (no virtio capabilities)")
            }
            Self::ModernOnly { device, revision } => {
                write!(f, "device {device:04x} (revision {revision}) has no legacy interface")
            }
            Self::NoLegacyBar => f.write_str("there is no legacy interface: BAR 0 is no I/O BAR"),
            Self::LegacyBarTooShort { size } => {
                write!(f, "BAR 0 has only {size} bytes: the legacy registers do not fit")
            }
            Self::IoDecodeRefused => f.write_str("the function does not enable its I/O BARs"),
            Self::MissingStructure(structure) => write!(f, "the device has no usable {structure}"),
            Self::RegionOutsideBar { structure, bar, offset } => {
                write!(f, "the {structure} at {offset:#x} does not lie in BAR {bar}")
            }
            Self::RegionTooShort { structure, len } => write!(f, "the {structure} has only {len} bytes"),
            Self::RegionMisaligned(structure) => write!(f, "the {structure} is not aligned"),
            Self::DecodeRefused => f.write_str("the function does not enable its memory BARs"),
            Self::MsixRefused => f.write_str("the function does not switch MSI-X as told"),
            Self::MsixMisplaced { bar, offset } => {
                write!(f, "the MSI-X table or pending bits at {offset:#x} of BAR {bar} are misplaced")
            }
            Self::BadMessage { vector, address } => {
                write!(f, "the message address {address:#x} of vector {vector} is no multiple of 4")
            }
            Self::MalformedBar { function, bar } => write!(f, "BAR {bar} of {function} is malformed"),
            Self::BarUnassigned { function, bar } => write!(f, "BAR {bar} of {function} has no address"),
            Self::BarOutsideWindow { function, bar, address, size } => {
                write!(
                    f,
                    "BAR {bar} of {function} ({size:#x} bytes at {address:#x}) lies outside the bridge's windows"
                )
            }
            Self::NoRoom { function, bar, size } => {
                write!(f, "no window has room for BAR {bar} of {function} ({size:#x} bytes)")
            }
            Self::BarRefused { function, bar } => {
                write!(f, "BAR {bar} of {function} does not keep its address")
            }
            Self::BehindFixedBridge { function, bar } => {
                write!(f, "BAR {bar} of {function} has no address, and firmware has set the bridge above it")
            }
            Self::BridgeWindowRefused(function) => write!(f, "bridge {function} does not keep its window"),
            Self::TooManyBuses(function) => write!(f, "no bus number is left for bridge {function}"),
            Self::TooDeep(function) => write!(f, "bridge {function} is nested too deep"),
            Self::Incompatible(what) => write!(f, "the device is incompatible: {what}"),
            Self::Platform(error) => write!(f, "the platform failed: {error}"),
        }
    }
}

impl core::error::Error for PciError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Incompatible(what) => Some(what),
            Self::Platform(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Incompatible> for PciError {
    fn from(what: Incompatible) -> Self {
        Self::Incompatible(what)
    }
}

impl From<HalError> for PciError {
    fn from(error: HalError) -> Self {
        Self::Platform(error)
    }
}
