//! Every register access is recorded and compared; the buses are made up.

mod allocating;
pub(crate) mod bench;
mod device;
mod in_use;
pub(crate) mod machine;
mod notification_data;
mod opening;
mod queue_reset;
mod queues;
