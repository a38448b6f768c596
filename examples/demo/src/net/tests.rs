//! The stack on a cable of memory; at the other end a router, made of smoltcp as well.

use super::http::{Content, Moment, PATIENCE};
use super::stack::{CONNECTIONS, instant};
use super::{Lease, Progress, Stack, Storage};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt::{self, Write};
use core::time::Duration;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, HardwareAddress, IpAddress, IpCidr, IpEndpoint,
    Ipv4Address, Ipv4Cidr,
};

const OURS: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);
const ROUTER: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
const NAMES: Ipv4Address = Ipv4Address::new(10, 0, 2, 3);

type Line = Rc<RefCell<VecDeque<Vec<u8>>>>;

/// One end of a cable.
struct End {
    incoming: Line,
    outgoing: Line,
}

fn cable() -> (End, End) {
    let (there, back) = (Line::default(), Line::default());
    (End { incoming: back.clone(), outgoing: there.clone() }, End { incoming: there, outgoing: back })
}

struct Frame(Vec<u8>);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct Room(Line);

impl TxToken for Room {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = alloc::vec![0; len];
        let result = f(&mut frame);
        self.0.borrow_mut().push_back(frame);
        result
    }
}

impl Device for End {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Room;

    fn receive(&mut self, _: Instant) -> Option<(Frame, Room)> {
        let frame = self.incoming.borrow_mut().pop_front()?;
        Some((Frame(frame), Room(self.outgoing.clone())))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room> {
        Some(Room(self.outgoing.clone()))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

struct Counting;

/// Longer than what a socket has room for.
const PARTS: u32 = 3000;

impl Content for Counting {
    fn page(&self, out: &mut dyn Write, moment: Moment) -> fmt::Result {
        write!(out, "served {}:", moment.served)?;
        (0..PARTS).try_for_each(|number| write!(out, " {number}"))
    }
}

/// A router that gives addresses, answers pings, and has clients.
struct Router {
    interface: Interface,
    sockets: SocketSet<'static>,
    dhcp: SocketHandle,
    end: End,
}

impl Router {
    fn new(mut end: End) -> Self {
        let mac = HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, 0, 0, 1]));
        let mut interface = Interface::new(Config::new(mac), &mut end, Instant::ZERO);
        interface.update_ip_addrs(|all| all.push(IpCidr::new(IpAddress::Ipv4(ROUTER), 24)).unwrap());
        let mut sockets = SocketSet::new(Vec::new());
        let buffer =
            || udp::PacketBuffer::new(alloc::vec![udp::PacketMetadata::EMPTY; 8], alloc::vec![0; 8192]);
        let mut server = udp::Socket::new(buffer(), buffer());
        server.bind(67).unwrap();
        let dhcp = sockets.add(server);
        Self { interface, sockets, dhcp, end }
    }

    fn go_on(&mut self, now: Duration) {
        self.interface.poll(instant(now), &mut self.end, &mut self.sockets);
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.dhcp);
        while let Ok((bytes, _)) = socket.recv() {
            let bytes = bytes.to_vec();
            let packet = DhcpPacket::new_checked(&bytes[..]).unwrap();
            let asked = DhcpRepr::parse(&packet).unwrap();
            let message_type = match asked.message_type {
                DhcpMessageType::Discover => DhcpMessageType::Offer,
                DhcpMessageType::Request => DhcpMessageType::Ack,
                other => panic!("{other:?}"),
            };
            let answer = DhcpRepr {
                message_type,
                your_ip: OURS,
                server_ip: ROUTER,
                router: Some(ROUTER),
                subnet_mask: Some(Ipv4Address::new(255, 255, 255, 0)),
                server_identifier: Some(ROUTER),
                requested_ip: None,
                client_identifier: None,
                parameter_request_list: None,
                dns_servers: Some([NAMES].into_iter().collect()),
                max_size: None,
                lease_duration: Some(86400),
                ..asked
            };
            let to = IpEndpoint::new(IpAddress::Ipv4(Ipv4Address::BROADCAST), 68);
            let room = socket.send(answer.buffer_len(), to).unwrap();
            answer.emit(&mut DhcpPacket::new_unchecked(room)).unwrap();
        }
        self.interface.poll(instant(now), &mut self.end, &mut self.sockets);
    }

    fn connect(&mut self, port: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(alloc::vec![0; 2048]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.connect(self.interface.context(), (OURS, 80), port).unwrap();
        self.sockets.add(socket)
    }

    fn client(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }
}

/// Both ends, and a clock.
struct World {
    stack: Stack,
    end: End,
    router: Router,
    now: Duration,
    next: Progress,
}

impl World {
    fn new() -> Self {
        let (mut end, other) = cable();
        let storage = Box::leak(Box::new(Storage::new()));
        let stack = Stack::new(&mut end, [2, 0, 0, 0, 0, 2], 7, Duration::ZERO, storage);
        let router = Router::new(other);
        Self { stack, end, router, now: Duration::ZERO, next: Progress::More }
    }

    /// Goes on for so long, in steps of a millisecond.
    fn run(&mut self, millis: u32) {
        for _ in 0..millis {
            self.now += Duration::from_millis(1);
            self.next = self.stack.go_on(&mut self.end, self.now, &Counting);
            self.router.go_on(self.now);
        }
    }

    fn leased() -> Self {
        let mut world = Self::new();
        world.run(20);
        assert!(world.stack.lease().is_some());
        world
    }

    /// Sends `request` and reads until the other side closes.
    fn ask(&mut self, port: u16, request: &[u8]) -> String {
        let handle = self.router.connect(port);
        let (mut sent, mut answer) = (0, Vec::new());
        for _ in 0..2000 {
            self.run(1);
            let client = self.router.client(handle);
            if client.can_send() && sent < request.len() {
                sent += client.send_slice(&request[sent..]).unwrap();
            }
            while client.can_recv() {
                client.recv(|bytes| (bytes.len(), answer.extend_from_slice(bytes))).unwrap();
            }
            if sent == request.len() && !client.may_recv() {
                client.close();
                break;
            }
        }
        self.run(5);
        String::from_utf8(answer).unwrap()
    }
}

#[test]
fn an_address_comes_by_dhcp() {
    let world = World::leased();
    let lease =
        Lease { address: Ipv4Cidr::new(OURS, 24), gateway: Some(ROUTER), dns: Some(NAMES), server: ROUTER };
    assert_eq!(world.stack.lease(), Some(lease));
    let Progress::Until(Some(renewal)) = world.next else { panic!("{:?}", world.next) };
    assert!(renewal > Duration::from_secs(3600), "nothing is to be done for long: {renewal:?}");
}

#[test]
fn a_lost_packet_is_sent_again_when_its_time_has_come() {
    let mut world = World::new();
    world.next = world.stack.go_on(&mut world.end, world.now, &Counting);
    assert_eq!(world.end.outgoing.borrow_mut().drain(..).count(), 1, "the first DISCOVER is lost");
    let Progress::Until(Some(at)) = world.next else { panic!("{:?}", world.next) };
    assert!(at > Duration::ZERO && at < Duration::from_secs(60), "{at:?}");
    world.now = at;
    world.run(20);
    assert!(world.stack.lease().is_some());
}

#[test]
fn a_ping_is_answered_and_timed() {
    let mut world = World::leased();
    assert!(world.stack.send_ping(ROUTER, world.now));
    assert_eq!(world.stack.pong(), None);
    world.run(10);
    let time = world.stack.pong().unwrap();
    assert!((1..10).contains(&time.as_millis()), "{time:?}");
    assert!(world.stack.send_ping(Ipv4Address::new(10, 0, 2, 99), world.now));
    world.run(50);
    assert_eq!(world.stack.pong(), None, "nobody is there");
}

#[test]
fn pages_come_whole_one_after_another() {
    let mut world = World::leased();
    // More than there are connections: those that are over make room.
    for number in 0..3 * u16::try_from(CONNECTIONS).unwrap() {
        let text = world.ask(50_000 + number, b"GET / HTTP/1.1\r\nHost: 10.0.2.15\r\n\r\n");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert!(head.contains(&alloc::format!("Content-Length: {}\r\n", body.len())), "{head}");
        assert!(body.starts_with(&alloc::format!("served {number}: 0 1 2 ")), "{body}");
        assert!(body.ends_with(&alloc::format!(" {}", PARTS - 1)), "{number}");
    }
    assert_eq!(world.stack.served(), 3 * u32::try_from(CONNECTIONS).unwrap());
}

#[test]
fn errors_are_named() {
    let mut world = World::leased();
    let text = world.ask(50_000, b"GET /other HTTP/1.1\r\n\r\n");
    assert!(text.starts_with("HTTP/1.1 404 Not Found\r\n"), "{text}");
    let text = world.ask(50_001, b"BREW / HTTP/1.1\r\n\r\n");
    assert!(text.starts_with("HTTP/1.1 405 "), "{text}");
}

#[test]
fn who_says_nothing_does_not_keep_others_away_for_ever() {
    let mut world = World::leased();
    let silent: Vec<_> = (0..CONNECTIONS)
        .map(|number| world.router.connect(60_000 + u16::try_from(number).unwrap()))
        .collect();
    world.run(20);
    assert!(silent.iter().all(|&handle| world.router.client(handle).may_send()), "all are connected");
    let Progress::Until(Some(at)) = world.next else { panic!("{:?}", world.next) };
    assert!(at <= world.now + PATIENCE, "it wants to look after them: {at:?}");
    world.run(u32::try_from(PATIENCE.as_millis()).unwrap() + 20);
    assert!(silent.iter().all(|&handle| !world.router.client(handle).is_open()), "they were ended");
    let text = world.ask(50_000, b"GET / HTTP/1.1\r\n\r\n");
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
}

#[test]
fn half_a_request_gets_no_answer_and_no_place() {
    let mut world = World::leased();
    let handle = world.router.connect(50_000);
    world.run(5);
    world.router.client(handle).send_slice(b"GET / HT").unwrap();
    world.run(5);
    world.router.client(handle).close();
    world.run(30);
    assert!(!world.router.client(handle).can_recv());
    assert_eq!(world.stack.served(), 0);
    assert!(world.ask(50_001, b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn a_flood_is_taken_in_portions() {
    let mut world = World::leased();
    for _ in 0..500 {
        world.end.incoming.borrow_mut().push_back(alloc::vec![0xff; 60]);
    }
    let mut rounds = 0;
    while world.stack.go_on(&mut world.end, world.now, &Counting) == Progress::More {
        rounds += 1;
        assert!(rounds < 500);
    }
    assert!(rounds > 4, "{rounds}");
    assert!(world.end.incoming.borrow().is_empty());
}
