//! The wire format of what every device shares: plain layouts and numbers, no behaviour.

pub mod device_id;
pub mod features;
pub mod mem_entry;
pub mod packed;
pub mod split;
pub mod status;
