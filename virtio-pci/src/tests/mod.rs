//! Every register access is recorded and compared; the buses are made up.

mod allocating;
pub(crate) mod bench;
mod device;
pub(crate) mod machine;
mod opening;
mod queues;
