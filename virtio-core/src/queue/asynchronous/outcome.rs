//! How a request ends.

use core::fmt;

use crate::Error;
use crate::queue::{Rejected, Token};

/// A request that the device has used.
#[derive(Debug)]
pub struct Completion<P> {
    /// Which request this was.
    pub token: Token,
    /// The payload, back from the device.
    pub payload: P,
    /// How many bytes the device wrote, payload and response together, in that order. Never more than was posted. A device
    /// may have written more than it says (VIRTIO 1.4 §2.7.8.2); nothing beyond may be relied on.
    pub written: u32,
    /// How many bytes the device *says* it wrote.
    pub claimed: u32,
    /// How many bytes of the response were copied.
    pub response: usize,
}

/// A request that failed.
#[derive(Debug)]
pub struct Failed<P> {
    /// Why.
    pub error: Error,
    /// The payload, untouched, if the device was never told of it. Otherwise it stays with the queue until the device, or the
    /// queue of it, was reset.
    pub payload: Option<P>,
}

impl<P> fmt::Display for Failed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<P: fmt::Debug> core::error::Error for Failed<P> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<P> From<Failed<P>> for Error {
    fn from(failed: Failed<P>) -> Self {
        failed.error
    }
}

impl<P> From<Rejected<P>> for Failed<P> {
    fn from(rejected: Rejected<P>) -> Self {
        Self { error: rejected.error, payload: Some(rejected.payload) }
    }
}
