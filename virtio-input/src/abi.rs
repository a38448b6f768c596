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

virtio_core::config_space! {
    /// `virtio_input_config`.
    pub(crate) struct Config {
        SELECT: u8 = 0,
        SUBSEL: u8 = 1,
        /// Bytes of `DATA` that mean something.
        SIZE: u8 = 2,
        RESERVED: [u8; 5] = 3,
        DATA: [u8; DATA_LEN] = 8,
    }
}

virtio_core::config_space! {
    /// The configuration space while it shows a `virtio_input_devids`.
    pub(crate) struct DevIds {
        BEFORE: [u8; 8] = 0,
        BUSTYPE: u16 = 8,
        VENDOR: u16 = 10,
        PRODUCT: u16 = 12,
        VERSION: u16 = 14,
    }
}

virtio_core::config_space! {
    /// The configuration space while it shows a `virtio_input_absinfo`.
    pub(crate) struct AbsInfo {
        BEFORE: [u8; 8] = 0,
        MIN: u32 = 8,
        MAX: u32 = 12,
        FUZZ: u32 = 16,
        FLAT: u32 = 20,
        RES: u32 = 24,
    }
}

pub(crate) const DEVIDS_LEN: usize = DevIds::LEN - Config::DATA.offset();
pub(crate) const ABSINFO_LEN: usize = AbsInfo::LEN - Config::DATA.offset();

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
    assert!(Config::LEN == 136);
    assert!(DEVIDS_LEN == 8 && ABSINFO_LEN == 20);
    assert!(EVENT_LEN == 8);
    assert!(offset_of!(Event, kind) == 0 && offset_of!(Event, code) == 2 && offset_of!(Event, value) == 4);
};
