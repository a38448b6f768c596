//! Commands and answers as bytes.

use virtio_core::Features;

use super::command::{Coalescing, Command, NetQueue, RxMode, Switch};
use crate::MacAddress;
use crate::abi::{
    ANNOUNCE_ACK, CLASS_RX, COAL, COAL_MICROSECONDS, COAL_PACKETS, Code, ERR, F_CTRL_GUEST_OFFLOADS,
    F_CTRL_MAC_ADDR, F_CTRL_RX, F_CTRL_RX_EXTRA, F_CTRL_VLAN, F_GUEST_ANNOUNCE, F_GUEST_CSUM, F_GUEST_ECN,
    F_MQ, F_NOTF_COAL, F_VQ_NOTF_COAL, GUEST_OFFLOADS_SET, MAC_ADDR_SET, MAC_TABLE_SET, MQ_VQ_PAIRS_SET,
    NOTF_COAL_RX_SET, NOTF_COAL_TX_SET, NOTF_COAL_VQ_GET, NOTF_COAL_VQ_SET, OK, RECEIVE_SEGMENTS, VLAN_ADD,
    VLAN_DEL, receiveq, transmitq,
};
use crate::error::NetError;
use crate::wire::Wire;

/// The most addresses of a table.
const MOST_ADDRESSES: usize = 64;
/// VLANs have numbers of 12 bits.
const VLANS: u16 = 0x1000;
/// Bytes of the longest command: a table of addresses.
pub(crate) const COMMAND: usize = 2 + 4 + 4 + 6 * MOST_ADDRESSES;
/// What is in an answer's place before the device has written it: neither yes nor no.
pub(crate) const UNWRITTEN: u8 = 0xff;
/// Bytes of the longest answer.
pub(crate) const ANSWER: usize = 1 + COAL;

const _: () = assert!(COMMAND > 2 + 4 + COAL);

/// A command as bytes.
#[derive(Debug)]
pub(crate) struct Encoded {
    code: Code,
    bytes: [u8; COMMAND],
    len: usize,
    /// Bytes that the device answers.
    pub(super) answer: usize,
}

impl Encoded {
    fn new(code: Code) -> Self {
        let Code(class, command) = code;
        let mut encoded = Self { code, bytes: [0; COMMAND], len: 0, answer: 1 };
        encoded.push(&[class, command]);
        encoded
    }

    /// Appends bytes. Whoever builds a command has seen to it that they fit.
    fn push(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        if let Some(place) = self.bytes.get_mut(self.len..end) {
            place.copy_from_slice(bytes);
            self.len = end;
        }
    }

    fn with(code: Code, bytes: &[u8]) -> Self {
        let mut encoded = Self::new(code);
        encoded.push(bytes);
        encoded
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// What the device answers: as many bytes as it wrote.
    pub(super) fn judge(&self, answer: &[u8]) -> Result<(), NetError> {
        let Code(class, command) = self.code;
        match answer.first() {
            Some(&OK) if answer.len() >= self.answer => Ok(()),
            Some(&ERR) => Err(NetError::Refused { class, command }),
            Some(&OK) | None => Err(NetError::ShortAnswer { class, command, written: answer.len() }),
            Some(&answer) => Err(NetError::UnknownAnswer { class, command, answer }),
        }
    }
}

/// What a command is made for: how numbers look, what was negotiated, what is in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) wire: Wire,
    /// Pairs of queues in use.
    pub(crate) pairs: u16,
}

impl Terms {
    fn need(&self, features: Features) -> Result<(), NetError> {
        let lacks = features - self.wire.features;
        if lacks.is_empty() { Ok(()) } else { Err(NetError::NotNegotiated(lacks)) }
    }

    /// Encodes a command, if it may be sent.
    pub(super) fn encode(&self, command: &Command<'_>) -> Result<Encoded, NetError> {
        match *command {
            Command::Mode(mode, switch) => self.mode(mode, switch),
            Command::MacTable { unicast, multicast } => self.table(unicast, multicast),
            Command::SetMac(mac) => {
                // All of this class goes with `CTRL_RX` (VIRTIO 1.4 §5.1.9.5.2.2).
                self.need(F_CTRL_MAC_ADDR | F_CTRL_RX)?;
                if !mac.is_of_a_card() {
                    return Err(NetError::WrongAddress(mac));
                }
                Ok(Encoded::with(MAC_ADDR_SET, &mac.0))
            }
            Command::AddVlan(vlan) => self.vlan(VLAN_ADD, vlan),
            Command::RemoveVlan(vlan) => self.vlan(VLAN_DEL, vlan),
            Command::AcknowledgeAnnounce => {
                self.need(F_GUEST_ANNOUNCE)?;
                Ok(Encoded::new(ANNOUNCE_ACK))
            }
            Command::GuestOffloads(offloads) => self.guest_offloads(offloads),
            Command::CoalesceTransmit(coalescing) => {
                self.need(F_NOTF_COAL)?;
                Ok(Encoded::with(NOTF_COAL_TX_SET, &self.coalescing(coalescing)))
            }
            Command::CoalesceReceive(coalescing) => {
                self.need(F_NOTF_COAL)?;
                Ok(Encoded::with(NOTF_COAL_RX_SET, &self.coalescing(coalescing)))
            }
            Command::CoalesceQueue(queue, coalescing) => {
                let mut encoded = self.of_queue(NOTF_COAL_VQ_SET, queue)?;
                encoded.push(&self.coalescing(coalescing));
                Ok(encoded)
            }
        }
    }

    fn mode(&self, mode: RxMode, switch: Switch) -> Result<Encoded, NetError> {
        let (number, needs) = match mode {
            RxMode::Promiscuous => (0, F_CTRL_RX),
            RxMode::AllMulticast => (1, F_CTRL_RX),
            RxMode::AllUnicast => (2, F_CTRL_RX_EXTRA),
            RxMode::NoMulticast => (3, F_CTRL_RX_EXTRA),
            RxMode::NoUnicast => (4, F_CTRL_RX_EXTRA),
            RxMode::NoBroadcast => (5, F_CTRL_RX_EXTRA),
        };
        self.need(needs)?;
        let on = match switch {
            Switch::Off => 0,
            Switch::On => 1,
        };
        Ok(Encoded::with(Code(CLASS_RX, number), &[on]))
    }

    fn table(&self, unicast: &[MacAddress], multicast: &[MacAddress]) -> Result<Encoded, NetError> {
        self.need(F_CTRL_RX)?;
        let all = unicast.len().saturating_add(multicast.len());
        if all > MOST_ADDRESSES {
            return Err(NetError::TooManyAddresses(all));
        }
        let mut encoded = Encoded::new(MAC_TABLE_SET);
        for (macs, for_groups) in [(unicast, false), (multicast, true)] {
            if let Some(wrong) = macs.iter().find(|mac| mac.is_multicast() != for_groups) {
                return Err(NetError::WrongAddress(*wrong));
            }
            let count = u32::try_from(macs.len()).unwrap_or(u32::MAX);
            encoded.push(&self.wire.to_bytes32(count));
            macs.iter().for_each(|mac| encoded.push(&mac.0));
        }
        Ok(encoded)
    }

    fn vlan(&self, code: Code, vlan: u16) -> Result<Encoded, NetError> {
        self.need(F_CTRL_VLAN)?;
        if vlan >= VLANS {
            return Err(NetError::BadVlan(vlan));
        }
        Ok(Encoded::with(code, &self.wire.to_bytes(vlan)))
    }

    /// The bits of the command are those of the features (VIRTIO 1.4 §5.1.9.5.9.1), for those that there are here.
    fn guest_offloads(&self, offloads: Features) -> Result<Encoded, NetError> {
        self.need(F_CTRL_GUEST_OFFLOADS)?;
        let possible = self.wire.features & (F_GUEST_CSUM | RECEIVE_SEGMENTS | F_GUEST_ECN);
        let lacks = offloads - possible;
        if !lacks.is_empty() {
            return Err(NetError::NotNegotiated(lacks));
        }
        let (low, high) = (u64::from(offloads.window(0)), u64::from(offloads.window(1)));
        Ok(Encoded::with(GUEST_OFFLOADS_SET, &self.wire.to_bytes64(high << 32 | low)))
    }

    fn coalescing(&self, coalescing: Coalescing) -> [u8; 8] {
        let [a, b, c, d] = self.wire.to_bytes32(coalescing.frames);
        let [e, f, g, h] = self.wire.to_bytes32(coalescing.microseconds);
        [a, b, c, d, e, f, g, h]
    }

    /// A command for one of the queues that are in use; two reserved bytes follow its number.
    fn of_queue(&self, code: Code, queue: NetQueue) -> Result<Encoded, NetError> {
        self.need(F_VQ_NOTF_COAL)?;
        let (NetQueue::Receive(pair) | NetQueue::Transmit(pair)) = queue;
        if pair >= self.pairs {
            return Err(NetError::NoSuchPair(pair));
        }
        let index = match queue {
            NetQueue::Receive(pair) => receiveq(pair),
            NetQueue::Transmit(pair) => transmitq(pair),
        };
        let [low, high] = self.wire.to_bytes(index);
        Ok(Encoded::with(code, &[low, high, 0, 0]))
    }

    /// Asks when a queue interrupts.
    pub(super) fn encode_query(&self, queue: NetQueue) -> Result<Encoded, NetError> {
        let mut encoded = self.of_queue(NOTF_COAL_VQ_GET, queue)?;
        encoded.answer = ANSWER;
        Ok(encoded)
    }

    /// What a device has answered to that.
    pub(super) fn decode_query(&self, answer: &[u8; ANSWER]) -> Coalescing {
        let [_, result @ ..] = answer;
        let number = |at: usize| {
            let bytes = result.get(at..).and_then(|bytes| bytes.first_chunk()).copied();
            self.wire.to_number32(bytes.unwrap_or_default())
        };
        Coalescing { frames: number(COAL_PACKETS), microseconds: number(COAL_MICROSECONDS) }
    }

    /// Sets how many pairs are in use: for the undivided device alone, so that nobody sends on one that is not.
    pub(crate) fn encode_pairs(&self, pairs: u16) -> Result<Encoded, NetError> {
        self.need(F_MQ)?;
        Ok(Encoded::with(MQ_VQ_PAIRS_SET, &self.wire.to_bytes(pairs)))
    }
}
