//! Legacy devices on made-up buses; every register access is recorded and compared.

mod detecting;
mod device;
mod opening;
mod queues;
mod registers;
