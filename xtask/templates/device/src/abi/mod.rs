//! What goes over the wire (VIRTIO 1.4 §5.N), in the specification's terms.

mod config;
mod features;
mod request;

use virtio_core::DeviceId;

pub(crate) use config::Space;
pub(crate) use features::F_LIMIT;
pub(crate) use request::{ECHO, Header, OK, Response};

/// The device type (VIRTIO 1.4 §5).
pub(crate) const ID: DeviceId = DeviceId::new(NUMBER);

/// The queue of requests (VIRTIO 1.4 §5.N.2).
pub(crate) const REQUESTQ: u16 = 0;
