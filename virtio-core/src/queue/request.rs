//! A request to be added, and one that was not.

use core::fmt;

use super::slots::Shape;
use crate::Error;

/// A request to be added: a header, a payload and room for a response, each of which may be absent.
#[derive(Debug)]
pub struct Request<'a, P> {
    pub(super) copied: Copied<'a>,
    pub(super) payload: P,
    pub(super) response: usize,
}

impl<'a, P> Request<'a, P> {
    /// A request that carries just `payload`.
    #[must_use]
    pub const fn new(payload: P) -> Self {
        Self { copied: Copied::NOTHING, payload, response: 0 }
    }

    /// As [`Request::response`], where it is: a request is not small.
    pub(crate) const fn set_response(&mut self, bytes: usize) {
        self.response = bytes;
    }

    pub(crate) fn into_payload(self) -> P {
        self.payload
    }

    /// With a header, which is copied.
    #[must_use]
    pub fn header(mut self, header: &'a [u8]) -> Self {
        self.copied.header = header;
        self
    }

    /// With data that are copied behind the header, into the same room: for a caller who keeps his buffer. The room that the
    /// queue has [declared](super::QueueSpec::header) has to hold both.
    #[must_use]
    pub fn data(mut self, data: &'a [u8]) -> Self {
        self.copied.data = data;
        self
    }

    /// With room for a response of `bytes` behind the payload.
    #[must_use]
    pub fn response(mut self, bytes: usize) -> Self {
        self.response = bytes;
        self
    }
}

/// What of a request the driver copies: its header, and data that follow it in the same descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copied<'a> {
    pub(super) header: &'a [u8],
    pub(super) data: &'a [u8],
}

impl Copied<'_> {
    pub(super) const NOTHING: Self = Self { header: &[], data: &[] };

    /// The shape of a request of this, one buffer, and a response.
    #[inline]
    pub(super) const fn shape(&self, response: usize) -> Shape {
        if self.data.is_empty() { Shape::new(self.header.len(), response) } else { Shape::NONE }
    }

    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.header.is_empty() && self.data.is_empty()
    }
}

/// A request that was not added, with its payload.
#[derive(Debug)]
pub struct Rejected<P> {
    /// Why.
    pub error: Error,
    /// The payload, untouched.
    pub payload: P,
}

impl<P> fmt::Display for Rejected<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<P: fmt::Debug> core::error::Error for Rejected<P> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<P> From<Rejected<P>> for Error {
    fn from(rejected: Rejected<P>) -> Self {
        rejected.error
    }
}
