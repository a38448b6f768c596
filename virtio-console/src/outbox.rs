//! What a port transmits by copying.

use virtio_core::queue::Token;

/// Bytes that one request carries as a copy.
pub(crate) const CHUNK: usize = 256;
/// Copies under way, in each port.
pub(crate) const COPIES: usize = 8;

/// The copies that a port's transmit queue holds.
#[derive(Debug)]
pub(crate) struct Outbox {
    copies: [Option<Token>; COPIES],
}

impl Outbox {
    pub(crate) const fn new() -> Self {
        Self { copies: [None; COPIES] }
    }

    /// A place for one more.
    pub(crate) fn place(&mut self) -> Option<&mut Option<Token>> {
        self.copies.iter_mut().find(|copy| copy.is_none())
    }

    pub(crate) fn has_place(&self) -> bool {
        self.copies.iter().any(Option::is_none)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.copies.iter().all(Option::is_none)
    }

    /// The places of those under way.
    pub(crate) fn under_way(&mut self) -> impl Iterator<Item = &mut Option<Token>> {
        self.copies.iter_mut().filter(|copy| copy.is_some())
    }

    /// Frees the place of a copy. Answers whether it was one.
    pub(crate) fn forget(&mut self, token: Token) -> bool {
        let place = self.copies.iter_mut().find(|copy| **copy == Some(token));
        place.is_some_and(|place| place.take().is_some())
    }
}
