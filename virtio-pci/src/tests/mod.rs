//! Every register access is recorded and compared; the buses are made up.

mod absurd;
mod allocating;
pub(crate) mod bench;
mod counted;
mod device;
mod in_use;
pub(crate) mod machine;
mod msix;
mod msix_refused;
mod notification_data;
mod opening;
mod queue_reset;
mod queues;
mod rules;
mod shared_memory;
mod unreset;
mod window_regs;
