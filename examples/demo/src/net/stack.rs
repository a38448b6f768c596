//! A network interface with its sockets: DHCP client, ping, and the server's connections.

use super::http::{Connection, Content};
use core::fmt;
use core::time::Duration;
use smoltcp::iface::{
    Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet, SocketStorage,
};
use smoltcp::phy::Device;
use smoltcp::socket::{dhcpv4, icmp, tcp};
use smoltcp::time::Instant;
use smoltcp::wire::{
    EthernetAddress, HardwareAddress, Icmpv4Packet, Icmpv4Repr, IpAddress, IpCidr, Ipv4Address, Ipv4Cidr,
};
use static_cell::StaticCell;

/// Connections that are served at the same time.
pub const CONNECTIONS: usize = 8;
/// Bytes of a connection that wait to be read, and to be sent.
const RECEIVE: usize = 1024;
const SEND: usize = 4096;
/// Pings on their way, and room for each.
const PINGS: usize = 4;
const PING_ROOM: usize = 64;
/// Packets taken in one go: whoever sends faster does not keep the shell from its keys.
const BUDGET: usize = 64;
/// What tells our pings from others'.
const IDENT: u16 = 0x5649;
const PING_TEXT: &[u8] = b"virtio in Rust";

/// Memory of a [`Stack`]'s sockets.
pub struct Storage {
    sockets: [SocketStorage<'static>; CONNECTIONS + 2],
    receive: [[u8; RECEIVE]; CONNECTIONS],
    send: [[u8; SEND]; CONNECTIONS],
    ping_metadata: [[icmp::PacketMetadata; PINGS]; 2],
    ping_bytes: [[u8; PINGS * PING_ROOM]; 2],
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").finish_non_exhaustive()
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self::new()
    }
}

impl Storage {
    /// Nothing is in it.
    pub const fn new() -> Self {
        Self {
            sockets: [SocketStorage::EMPTY; CONNECTIONS + 2],
            receive: [[0; RECEIVE]; CONNECTIONS],
            send: [[0; SEND]; CONNECTIONS],
            ping_metadata: [[icmp::PacketMetadata::EMPTY; PINGS]; 2],
            ping_bytes: [[0; PINGS * PING_ROOM]; 2],
        }
    }

    /// The kernel's, once.
    pub fn take() -> Option<&'static mut Self> {
        static STORAGE: StaticCell<Storage> = StaticCell::new();
        STORAGE.try_init_with(Self::new)
    }
}

/// What a DHCP server gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Our address, and how many bits of it are the network's.
    pub address: Ipv4Cidr,
    /// Where packets to everybody else go.
    pub gateway: Option<Ipv4Address>,
    /// A server that knows names.
    pub dns: Option<Ipv4Address>,
    /// Who gave it.
    pub server: Ipv4Address,
}

/// A ping, from being asked for to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ping {
    number: u16,
    sent: Duration,
    answer: Option<Duration>,
}

/// How far [`Stack::go_on`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All is done; at the latest at this time it wants to go on.
    Until(Option<Duration>),
    /// There is more to do at once.
    More,
}

/// The network as this machine sees it.
pub struct Stack {
    interface: Interface,
    sockets: SocketSet<'static>,
    dhcp: SocketHandle,
    icmp: SocketHandle,
    connections: [(SocketHandle, Connection); CONNECTIONS],
    lease: Option<Lease>,
    ping: Option<Ping>,
    numbers: u16,
    served: u32,
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lease, served, .. } = self;
        f.debug_struct("Stack").field("lease", lease).field("served", served).finish_non_exhaustive()
    }
}

impl Stack {
    /// A stack on `device`, which has this Ethernet address. It has no other address until a server gives one. `seed` is to be
    /// different each time: numbers that others should not guess are made of it.
    pub fn new(
        device: &mut (impl Device + ?Sized),
        mac: [u8; 6],
        seed: u64,
        now: Duration,
        storage: &'static mut Storage,
    ) -> Self {
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac)));
        config.random_seed = seed;
        let interface = Interface::new(config, device, instant(now));
        let mut sockets = SocketSet::new(&mut storage.sockets[..]);
        let dhcp = sockets.add(dhcpv4::Socket::new());
        let [in_metadata, out_metadata] = &mut storage.ping_metadata;
        let [in_bytes, out_bytes] = &mut storage.ping_bytes;
        let mut pings = icmp::Socket::new(
            icmp::PacketBuffer::new(&mut in_metadata[..], &mut in_bytes[..]),
            icmp::PacketBuffer::new(&mut out_metadata[..], &mut out_bytes[..]),
        );
        // A new socket can be bound, and this one is not 0.
        let _ = pings.bind(icmp::Endpoint::Ident(IDENT));
        let icmp = sockets.add(pings);
        let mut buffers = storage.receive.iter_mut().zip(&mut storage.send);
        let connections = core::array::from_fn(|_| {
            let (receive, send): (&mut [u8], &mut [u8]) =
                buffers.next().map_or((&mut [], &mut []), |(receive, send)| (receive, send));
            let mut socket = tcp::Socket::new(tcp::SocketBuffer::new(receive), tcp::SocketBuffer::new(send));
            // Pages go out in whole pieces, and nobody waits for more to acknowledge.
            socket.set_nagle_enabled(false);
            socket.set_ack_delay(None);
            (sockets.add(socket), Connection::new())
        });
        Self { interface, sockets, dhcp, icmp, connections, lease: None, ping: None, numbers: 0, served: 0 }
    }

    /// Does what is to be done now: packets in, timers, packets out. Pages are made of `content`.
    pub fn go_on(
        &mut self,
        device: &mut (impl Device + ?Sized),
        now: Duration,
        content: &impl Content,
    ) -> Progress {
        let time = instant(now);
        self.interface.poll_maintenance(time);
        let mut budget = BUDGET;
        while budget > 0 {
            if let PollIngressSingleResult::None =
                self.interface.poll_ingress_single(time, device, &mut self.sockets)
            {
                break;
            }
            budget -= 1;
        }
        // What the sockets have to say to it may make them send, and having sent makes room for more. Bounded: by what the
        // connections have to send until somebody acknowledges it, and by the card's queue.
        for _ in 0..BUDGET {
            self.configure();
            self.hear_ping(now);
            self.serve(now, content);
            if let PollResult::None = self.interface.poll_egress(time, device, &mut self.sockets) {
                let next = self.interface.poll_at(time, &self.sockets).map(duration);
                let idle = self.connections.iter().filter_map(|(_, connection)| connection.gives_up()).min();
                let next = [next, idle].into_iter().flatten().min();
                return if budget == 0 { Progress::More } else { Progress::Until(next) };
            }
        }
        Progress::More
    }

    /// What a DHCP server gave; `None` if there was none yet, or it has run out.
    pub fn lease(&self) -> Option<Lease> {
        self.lease
    }

    /// Requests answered so far.
    pub fn served(&self) -> u32 {
        self.served
    }

    /// Sends a ping; an earlier one is not waited for any more. False if there is no room for it.
    pub fn send_ping(&mut self, to: Ipv4Address, now: Duration) -> bool {
        let checksums = smoltcp::phy::ChecksumCapabilities::default();
        self.numbers = self.numbers.wrapping_add(1);
        let request = Icmpv4Repr::EchoRequest { ident: IDENT, seq_no: self.numbers, data: PING_TEXT };
        let socket = self.sockets.get_mut::<icmp::Socket<'_>>(self.icmp);
        let Ok(room) = socket.send(request.buffer_len(), IpAddress::Ipv4(to)) else { return false };
        request.emit(&mut Icmpv4Packet::new_unchecked(room), &checksums);
        self.ping = Some(Ping { number: self.numbers, sent: now, answer: None });
        true
    }

    /// How long the answer to the last ping took; `None` if there is none yet.
    pub fn pong(&self) -> Option<Duration> {
        self.ping?.answer
    }

    /// Takes over what the DHCP client has learned.
    fn configure(&mut self) {
        let Some(event) = self.sockets.get_mut::<dhcpv4::Socket<'_>>(self.dhcp).poll() else { return };
        let lease = match event {
            dhcpv4::Event::Configured(config) => Some(Lease {
                address: config.address,
                gateway: config.router,
                dns: config.dns_servers.first().copied(),
                server: config.server.address,
            }),
            dhcpv4::Event::Deconfigured => None,
        };
        self.lease = lease;
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            if let Some(lease) = lease {
                // There is room for one.
                let _ = addresses.push(IpCidr::Ipv4(lease.address));
            }
        });
        let routes = self.interface.routes_mut();
        routes.remove_default_ipv4_route();
        if let Some(gateway) = lease.and_then(|lease| lease.gateway) {
            // There is room for one.
            let _ = routes.add_default_ipv4_route(gateway);
        }
    }

    fn hear_ping(&mut self, now: Duration) {
        let socket = self.sockets.get_mut::<icmp::Socket<'_>>(self.icmp);
        while let Ok((bytes, _)) = socket.recv() {
            let checksums = smoltcp::phy::ChecksumCapabilities::default();
            let packet = Icmpv4Packet::new_checked(bytes);
            let reply = packet.as_ref().ok().and_then(|packet| Icmpv4Repr::parse(packet, &checksums).ok());
            if let Some(Icmpv4Repr::EchoReply { ident: IDENT, seq_no, data: PING_TEXT }) = reply
                && let Some(ping) = &mut self.ping
                && ping.number == seq_no
            {
                ping.answer.get_or_insert(now.saturating_sub(ping.sent));
            }
        }
    }

    fn serve(&mut self, now: Duration, content: &impl Content) {
        if self.lease.is_none() {
            return;
        }
        for (handle, connection) in &mut self.connections {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(*handle);
            if connection.go_on(socket, now, self.served, content) {
                self.served = self.served.wrapping_add(1);
            }
        }
    }
}

pub(crate) fn instant(now: Duration) -> Instant {
    Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

fn duration(at: Instant) -> Duration {
    Duration::from_micros(u64::try_from(at.total_micros()).unwrap_or_default())
}
