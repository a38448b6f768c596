//! Interrupts, apart from the driver (VIRTIO 1.4 §4.1.5.3, §4.1.5.4, §4.2.3.4).
//!
//! An interrupt handler must not wait for whoever drives the device at that moment. So what it needs, and no more, comes as
//! a value of its own: an [`Endpoint`], made from the live device by [`Device::endpoint`](crate::device::Device::endpoint).
//! It acknowledges, and says what the interrupt was about; the driver looks at its queues, or
//! [`attends`](crate::device::Device::attend) to the device, later and elsewhere.
//!
//! ```text
//! handler                                            driver
//!   endpoint.ack() ─► QUEUE   ─► ring a bell, set a flag ─► drain the queues
//!                  └► CONFIG  ─► set a flag              ─► device.attend(status) ─► ConfigChanged, NeedsReset
//!                  └► nothing ─► another device's, on a shared line
//! ```
//!
//! An endpoint reaches the registers by a way of its own ([`Reopen`]), which stays open until the endpoint is dropped. It may
//! outlive the driver: it then acknowledges a device that has nothing to say.
//!
//! What a vector means is settled while the device comes up. So endpoints are **taken anew whenever the device is brought up
//! again** ([`Device::rebuild`](crate::device::Device::rebuild), a front-end's `recover`, a new driver on the same transport): the
//! device may share vectors differently then, or have gone back to its line, of which an old endpoint knows nothing.

use crate::regs::Reopen;
use crate::transport::{InterruptStatus, Transport};
use crate::{Error, QueueIndex};

/// One interrupt of a device, for its handler.
pub trait Endpoint: Send + Sync {
    /// Reads why the device interrupts, acknowledges it, and says so. Nothing if it was not this device, on a shared line.
    ///
    /// Look at the queues *after* this: what is used from now on has an interrupt of its own, what was used before need not.
    #[must_use = "reading clears: nobody is told a second time"]
    fn ack(&self) -> InterruptStatus;

    /// Whether [`InterruptStatus::QUEUE`] may mean this queue. Always, where a device has one interrupt for all.
    fn serves(&self, queue: QueueIndex) -> bool;
}

/// A transport that interrupts, and whose endpoints can be had apart from it.
///
/// Vectors are numbered from 0. Without MSI-X there is one.
pub trait Interrupts: Transport {
    /// What the handler of one vector gets.
    type Endpoint: Endpoint;

    /// How many vectors the device signals by; 1 for a line.
    fn vectors(&self) -> u16 {
        1
    }

    /// Whether it signals by messages (MSI-X) rather than by a line: a kernel that has offered messages learns from this, once
    /// the device is live, whether the device took them.
    fn signals_by_message(&self) -> bool {
        false
    }

    /// The endpoint of a vector, good for as long as the device is not reset.
    ///
    /// # Errors
    /// [`Misuse::NoSuchVector`](crate::Misuse); [`Error::Platform`] if the registers cannot be mapped once more.
    fn endpoint(&self, vector: u16) -> Result<Self::Endpoint, Error>;
}

impl<E: Endpoint + ?Sized> Endpoint for &E {
    fn ack(&self) -> InterruptStatus {
        (**self).ack()
    }
    fn serves(&self, queue: QueueIndex) -> bool {
        (**self).serves(queue)
    }
}

/// Registers that an endpoint can have for itself: reached a second time, and safe to use from anywhere.
pub trait Shareable: Reopen + Send + Sync {}

impl<R: Reopen + Send + Sync> Shareable for R {}
