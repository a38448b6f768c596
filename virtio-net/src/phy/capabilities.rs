//! What the stack is told.

use smoltcp::phy::{Checksum, DeviceCapabilities, Medium};

use crate::abi::{F_CSUM, F_GUEST_CSUM, LARGEST_FRAME, USUAL_FRAME};
use crate::payload::Buffer;
use crate::wire::Wire;

/// What the stack may do with a device, and buffers to send from.
pub(super) fn of<B: Buffer>(wire: &Wire, pool: &[Option<B>]) -> DeviceCapabilities {
    let shortest = pool.iter().flatten().map(|buffer| buffer.as_ref().len()).min();
    let frame = wire.transmit_limit().unwrap_or(USUAL_FRAME).min(shortest.unwrap_or(LARGEST_FRAME));
    let buffers = pool.len().saturating_sub(usize::from(wire.merges()));
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ethernet;
    capabilities.max_transmission_unit = frame;
    capabilities.max_burst_size = Some(buffers.max(1));
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
