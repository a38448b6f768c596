//! What others offer, used as their documentation says.

mod vhost_user;
pub mod virtio_driver;
pub mod virtio_drivers;
