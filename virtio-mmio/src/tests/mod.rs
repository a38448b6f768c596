//! Every register access is recorded and compared.

mod bench;
mod interrupts;
mod probing;
mod queue_reset;
mod queues;
mod refused;
mod registers;
mod shared_memory;
