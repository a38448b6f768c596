//! What goes over the wire. One file for each thing, in the specification's terms, and every layout asserted.

mod config;
mod event;
mod features;
mod request;

use virtio_core::DeviceId;

pub(crate) use config::DiceConfig;
pub(crate) use event::Event;
pub(crate) use features::F_SIDES;
pub(crate) use request::{Header, OK};

/// The device type.
pub(crate) const ID: DeviceId = DeviceId::new(63);

/// Throws.
pub(crate) const REQUESTQ: u16 = 0;
/// News from the other players.
pub(crate) const EVENTQ: u16 = 1;
