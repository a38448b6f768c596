//! Memory that a device reaches (a room of unsafe code).
//!
//! * [`Dma<T, H>`](Dma): a typed, zeroed region of whole pages that frees itself.
//! * [`Lend`]: what may travel through a queue as an owned payload.
//! * [`Attachment`]: memory that a device keeps between requests, such as the backing of a GPU resource.
//!
//! # Invariants
//! **I-RESET (reset before free).** Memory is *reachable* from the publish that names it until its used element is
//! accepted; *attached* memory until the device has answered the detach. Either goes back to Hal or caller only then, or
//! after a confirmed reset. The one place that decides is [`device`](crate::device)'s guard; what it has to release is
//! kept here, behind types that have no `Drop` of their own for it.
//!
//! **I-LOAN (no borrow outlives its loan).** A payload is parked in its slot *before* its pointers are taken, is not
//! touched while the device may use them, and leaves the slot only after that.
mod attach;
mod compose;
mod direction;
mod lend;
mod part;
mod private;
mod region;
mod shared;
mod typed;

pub use attach::Attachment;
pub(crate) use attach::{Attachments, Entries};
pub use compose::Either;
pub use direction::{Both, DmaDirection, FromDevice, ToDevice};
pub use lend::{Exclusive, Lend, ReadBuffer, Readable, Stretch, Writable, WriteBuffer};
pub use part::Part;
pub(crate) use private::Private;
pub(crate) use region::Region;
pub(crate) use shared::{Record, SharedPart, share_all, share_whole};
pub use typed::Dma;

/// Proof that a device was reset and has confirmed it, so that everything it could reach may go back (I-RESET). Made in one
/// place, the guard's reset.
#[derive(Debug)]
pub(crate) struct Stopped(());

impl Stopped {
    /// Only after device status was read back as 0.
    pub(crate) const fn confirmed() -> Self {
        Self(())
    }
}

/// Proof that a device has answered the detach of an attachment (I-RESET). Made in one place, `Device::detach`.
#[derive(Debug)]
pub(crate) struct Detached(());

impl Detached {
    /// Only after the request that detaches was used and its response found to be a success.
    pub(crate) const fn confirmed() -> Self {
        Self(())
    }
}
