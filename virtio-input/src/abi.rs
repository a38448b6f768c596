//! What goes over the wire (VIRTIO 1.4 §5.8.2, §5.8.4, §5.8.6). All of it is little-endian, on a legacy transport too:
//! the device type is younger than the legacy interface and has no form of its own there.

use core::mem::{offset_of, size_of};

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Queue of events, from the device.
pub(crate) const EVENT_QUEUE: u16 = 0;
/// Queue of status feedback, to the device.
pub(crate) const STATUS_QUEUE: u16 = 1;

/// What the configuration space shows: values of its field `select` (VIRTIO 1.4 §5.8.4).
pub(crate) mod select {
    /// Nothing.
    pub(crate) const UNSET: u8 = 0x00;
    /// The device's name.
    pub(crate) const ID_NAME: u8 = 0x01;
    /// Its serial number.
    pub(crate) const ID_SERIAL: u8 = 0x02;
    /// Its numbers.
    pub(crate) const ID_DEVIDS: u8 = 0x03;
    /// Its properties, as a bitmap.
    pub(crate) const PROP_BITS: u8 = 0x10;
    /// The codes of the event type in `subsel`, as a bitmap.
    pub(crate) const EV_BITS: u8 = 0x11;
    /// The range of the absolute axis in `subsel`.
    pub(crate) const ABS_INFO: u8 = 0x12;
}

/// Bytes in the data part of the configuration space.
pub(crate) const DATA_LEN: usize = 128;

/// `virtio_input_config`. Only its offsets are used: it is never laid over anything.
#[repr(C)]
struct Config {
    select: u8,
    subsel: u8,
    size: u8,
    reserved: [u8; 5],
    data: [u8; DATA_LEN],
}

pub(crate) const SELECT: usize = offset_of!(Config, select);
pub(crate) const SUBSEL: usize = offset_of!(Config, subsel);
pub(crate) const SIZE: usize = offset_of!(Config, size);
pub(crate) const DATA: usize = offset_of!(Config, data);

/// `virtio_input_devids`, for its offsets.
#[repr(C)]
struct DevIds {
    bustype: U16,
    vendor: U16,
    product: U16,
    version: U16,
}

pub(crate) const DEVIDS_LEN: usize = size_of::<DevIds>();
pub(crate) const BUSTYPE: usize = DATA + offset_of!(DevIds, bustype);
pub(crate) const VENDOR: usize = DATA + offset_of!(DevIds, vendor);
pub(crate) const PRODUCT: usize = DATA + offset_of!(DevIds, product);
pub(crate) const VERSION: usize = DATA + offset_of!(DevIds, version);

/// `virtio_input_absinfo`, for its offsets.
#[repr(C)]
struct AbsInfo {
    min: U32,
    max: U32,
    fuzz: U32,
    flat: U32,
    res: U32,
}

pub(crate) const ABSINFO_LEN: usize = size_of::<AbsInfo>();
pub(crate) const MIN: usize = DATA + offset_of!(AbsInfo, min);
pub(crate) const MAX: usize = DATA + offset_of!(AbsInfo, max);
pub(crate) const FUZZ: usize = DATA + offset_of!(AbsInfo, fuzz);
pub(crate) const FLAT: usize = DATA + offset_of!(AbsInfo, flat);
pub(crate) const RES: usize = DATA + offset_of!(AbsInfo, res);

/// `virtio_input_event`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Event {
    pub(crate) kind: U16,
    pub(crate) code: U16,
    pub(crate) value: U32,
}

pub(crate) const EVENT_LEN: usize = size_of::<Event>();

// The specification's numbers.
const _: () = {
    assert!(size_of::<Config>() == 136);
    assert!(SELECT == 0 && SUBSEL == 1 && SIZE == 2 && DATA == 8);
    assert!(offset_of!(Config, reserved) == 3);
    assert!(DEVIDS_LEN == 8);
    assert!(BUSTYPE == 8 && VENDOR == 10 && PRODUCT == 12 && VERSION == 14);
    assert!(ABSINFO_LEN == 20);
    assert!(MIN == 8 && MAX == 12 && FUZZ == 16 && FLAT == 20 && RES == 24);
    assert!(EVENT_LEN == 8);
    assert!(offset_of!(Event, kind) == 0 && offset_of!(Event, code) == 2 && offset_of!(Event, value) == 4);
};
