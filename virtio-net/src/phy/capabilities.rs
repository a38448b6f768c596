//! What the stack is told.

use smoltcp::phy::{Checksum, DeviceCapabilities, Medium};

use crate::abi::{ETHERNET, F_CSUM, F_GUEST_CSUM, MIN_MTU, USUAL_FRAME};
use crate::payload::Buffer;
use crate::wire::Wire;

/// Buffers that are shorter are of no use: no network has shorter frames, and the stack subtracts headers from their length.
const LEAST: usize = ETHERNET + MIN_MTU as usize;

/// What the stack may do with a device, and buffers to send from.
pub(super) fn of<B: Buffer>(wire: &Wire, pool: &[Option<B>]) -> DeviceCapabilities {
    let lens = pool.iter().flatten().map(|buffer| buffer.as_ref().len());
    let limit = wire.transmit_limit().unwrap_or(USUAL_FRAME);
    let frame = lens.filter(|len| *len >= LEAST).min().map_or(limit, |shortest| shortest.min(limit));
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ethernet;
    capabilities.max_transmission_unit = frame;
    capabilities.max_burst_size = Some(pool.len().max(1));
    let transport = checksum(wire);
    capabilities.checksum.tcp = transport;
    capabilities.checksum.udp = transport;
    capabilities
}

/// What the stack has to do about checksums of TCP and UDP. Those of IP and ICMP stay its own.
fn checksum(wire: &Wire) -> Checksum {
    match (wire.features.contains(F_CSUM), wire.features.contains(F_GUEST_CSUM)) {
        (false, false) => Checksum::Both,
        (true, false) => Checksum::Rx,
        (false, true) => Checksum::Tx,
        (true, true) => Checksum::None,
    }
}
