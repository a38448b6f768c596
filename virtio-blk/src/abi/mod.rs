//! The wire: structures and numbers of VIRTIO 1.4 §5.2, without behaviour.
//!
//! A legacy device has its configuration and the headers of requests in the guest's own byte order (VIRTIO 1.4 §5.2.4.1,
//! §5.2.6.3); everything else is little-endian.

mod config;
mod features;
mod request;
mod zoned;

pub(crate) use config::BlkConfig;
pub use features::{
    F_BLK_SIZE, F_CONFIG_WCE, F_DISCARD, F_FLUSH, F_GEOMETRY, F_LIFETIME, F_MQ, F_RO, F_SECURE_ERASE,
    F_SEG_MAX, F_SIZE_MAX, F_TOPOLOGY, F_WRITE_ZEROES, F_ZONED, feature_name,
};
pub use request::{BlkStatus, RequestType};
pub(crate) use request::{
    DiscardWriteZeroes, HEADER_LEN, Header, ID_LEN, LIFETIME_LEN, RANGE_LEN, UNMAP, header,
};
pub use zoned::{ZONE_DESCRIPTOR_LEN, ZONE_REPORT_LEN, ZoneDescriptor, ZoneReport};

/// The first queue for requests (VIRTIO 1.4 §5.2.2); with `MQ` there are more behind it.
pub const REQUESTQ: u16 = 0;
