//! Finds the checksum of a frame: Ethernet, VLAN tags, IPv4 or IPv6, TCP or UDP.

use super::checksum::{fold, sum};
use super::{Partial, TxOffload};
use crate::abi::ETHERNET;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Where a header of IPv4 says what follows.
const PROTOCOL_V4: usize = 9;
/// More tags than anybody uses.
const MOST_TAGS: usize = 2;
/// More extension headers than anybody uses.
const MOST_EXTENSIONS: usize = 8;

/// A TCP segment or UDP datagram in a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Transport {
    pub(crate) protocol: u8,
    /// Where its header starts.
    pub(crate) start: usize,
    /// Where it ends: what follows is padding of the packet, or the frame.
    pub(crate) end: usize,
    /// The sum of its pseudo header, not complemented.
    pub(crate) pseudo: u32,
}

impl Transport {
    /// Where the checksum is.
    pub(crate) fn partial(self) -> Option<Partial> {
        let offset = if self.protocol == TCP { 16 } else { 6 };
        Some(Partial { start: u16::try_from(self.start).ok()?, offset })
    }
}

fn word(frame: &[u8], at: usize) -> Option<u16> {
    match *frame.get(at..at.checked_add(2)?)? {
        [high, low] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

/// What the frame carries, and where: its ether type, past the tags.
fn network(frame: &[u8]) -> Option<(u16, usize)> {
    let mut at = ETHERNET.checked_sub(2)?;
    for _ in 0..=MOST_TAGS {
        let kind = word(frame, at)?;
        if !is_tag(kind) {
            return Some((kind, at.checked_add(2)?));
        }
        at = at.checked_add(4)?;
    }
    None
}

/// Whether an ether type says that a VLAN tag follows.
pub(crate) fn is_tag(kind: u16) -> bool {
    matches!(kind, 0x8100 | 0x88a8)
}

/// Whether a frame that starts like this has a VLAN tag.
pub(crate) fn is_tagged(start: &[u8]) -> bool {
    ETHERNET.checked_sub(2).and_then(|at| word(start, at)).is_some_and(is_tag)
}

/// A TCP segment or UDP datagram in a packet, as the packet's headers have it.
struct Inside<'f> {
    protocol: u8,
    start: usize,
    end: usize,
    /// Of sender and receiver.
    addresses: &'f [u8],
}

/// The TCP segment or UDP datagram of a frame. `None` for everything else, fragments included, and for what is cut short.
pub(crate) fn transport(frame: &[u8]) -> Option<Transport> {
    let (kind, at) = network(frame)?;
    let Inside { protocol, start, end, addresses } = match kind {
        IPV4 => ipv4(frame, at),
        IPV6 => ipv6(frame, at),
        _ => None,
    }?;
    let bytes = frame.get(start..end)?;
    // All of the header that has the checksum; a datagram may end before its packet does.
    let (least, len) = if protocol == TCP { (20, bytes.len()) } else { (8, usize::from(word(bytes, 4)?)) };
    if len < least || len > bytes.len() {
        return None;
    }
    Some(Transport {
        protocol,
        start,
        end: start.checked_add(len)?,
        pseudo: pseudo(addresses, protocol, len),
    })
}

fn ipv4(frame: &[u8], at: usize) -> Option<Inside<'_>> {
    let version = *frame.get(at)?;
    let header = usize::from(version & 0xf).checked_mul(4)?;
    let len = usize::from(word(frame, at.checked_add(2)?)?);
    let fragment = word(frame, at.checked_add(6)?)?;
    let protocol = *frame.get(at.checked_add(PROTOCOL_V4)?)?;
    let addresses = frame.get(at.checked_add(12)?..at.checked_add(20)?)?;
    // More fragments, or not the first.
    if version >> 4 != 4 || header < 20 || fragment & 0x3fff != 0 || !matches!(protocol, TCP | UDP) {
        return None;
    }
    // A length of 0 is a packet that is too long for the field, still to be segmented.
    let end = if len == 0 { frame.len() } else { at.checked_add(len)? };
    Some(Inside { protocol, start: at.checked_add(header)?, end, addresses })
}

fn ipv6(frame: &[u8], at: usize) -> Option<Inside<'_>> {
    let len = usize::from(word(frame, at.checked_add(4)?)?);
    let addresses = frame.get(at.checked_add(8)?..at.checked_add(40)?)?;
    if *frame.get(at)? >> 4 != 6 {
        return None;
    }
    let (protocol, start) = behind_extensions(frame, at)?;
    let end = if len == 0 { frame.len() } else { at.checked_add(40)?.checked_add(len)? };
    matches!(protocol, TCP | UDP).then_some(Inside { protocol, start, end, addresses })
}

/// What follows the extension headers of an IPv6 packet, and where.
fn behind_extensions(frame: &[u8], at: usize) -> Option<(u8, usize)> {
    let mut next = *frame.get(at.checked_add(6)?)?;
    let mut start = at.checked_add(40)?;
    for _ in 0..MOST_EXTENSIONS {
        // Hop by hop, and destination options. A routing header changes which address counts; fragments have no whole sum.
        if !matches!(next, 0 | 60) {
            break;
        }
        let units = usize::from(*frame.get(start.checked_add(1)?)?).checked_add(1)?;
        next = *frame.get(start)?;
        start = start.checked_add(units.checked_mul(8)?)?;
    }
    Some((next, start))
}

/// The sum of a pseudo header.
fn pseudo(addresses: &[u8], protocol: u8, len: usize) -> u32 {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    let rest = u32::from(protocol).wrapping_add(len >> 16).wrapping_add(len & 0xffff);
    sum(addresses, rest)
}

/// Whether the checksum of a received frame is right, or it is of another protocol. What has one that cannot be checked here, as
/// a fragment does, is not sound.
#[cfg(any(test, feature = "smoltcp"))]
pub(crate) fn is_sound(frame: &[u8]) -> bool {
    let Some(found) = transport(frame) else { return !is_of_transport(frame) };
    let Some(bytes) = frame.get(found.start..found.end) else { return false };
    // Over IPv4 alone a datagram may go without.
    let none = found.protocol == UDP
        && word(bytes, 6) == Some(0)
        && network(frame).is_some_and(|(kind, _)| kind == IPV4);
    none || fold(sum(bytes, found.pseudo)) == u16::MAX
}

/// Whether a frame says that it carries TCP or UDP, whatever state it is in.
#[cfg(any(test, feature = "smoltcp"))]
fn is_of_transport(frame: &[u8]) -> bool {
    let protocol = network(frame).and_then(|(kind, at)| match kind {
        IPV4 => frame.get(at.checked_add(PROTOCOL_V4)?).copied(),
        IPV6 => behind_extensions(frame, at).map(|(protocol, _)| protocol),
        _ => None,
    });
    matches!(protocol, Some(TCP | UDP))
}

impl TxOffload {
    /// Leaves the checksum of `frame` to the device if it is TCP or UDP, and not a fragment: the sum of the pseudo header is
    /// put in its place. Otherwise nothing is done, and [`TxOffload::NONE`] answered. Needs [`F_CSUM`](crate::abi::F_CSUM).
    ///
    /// Bytes behind the segment or datagram, which pad a short frame, have to be zero: they are summed, too.
    pub fn for_frame(frame: &mut [u8]) -> Self {
        let Some(found) = transport(frame) else { return Self::NONE };
        let Some(partial) = found.partial() else { return Self::NONE };
        let Some(field) = frame.get_mut(partial.field()) else { return Self::NONE };
        field.copy_from_slice(&fold(found.pseudo).to_be_bytes());
        Self::checksum(partial)
    }
}

#[cfg(test)]
mod tests;
