//! Every register access is recorded and compared.

mod bench;
mod probing;
mod queues;
mod registers;
