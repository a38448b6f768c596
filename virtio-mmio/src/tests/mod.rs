//! Every register access is recorded and compared.

mod bench;
mod probing;
mod queue_reset;
mod queues;
mod registers;
