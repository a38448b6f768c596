//! Whether the other side may see and change what is not meant for it.

/// How far a driver may trust the other side: the host, and the devices it makes up. Answered by
/// [`Hal::trust`](super::Hal::trust).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Trust {
    /// The host could read all memory anyway.
    Trusted,
    /// The guest's memory is kept from the host, but for what is shared with it: see
    /// [confidential guests](super#confidential-guests).
    Confidential,
}
