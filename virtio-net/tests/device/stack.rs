//! `smoltcp` over it: two stacks whose cards are wired to each other, and one that gets what the test sends.

use crate::bench::{
    Card, HeapCard, MODERN, Seen, Space, all, counting, drive, drive_heap, header, incoming, kicks, offering,
};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, Device, RxToken, TxToken};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr, IpEndpoint, Ipv4Address};
use virtio_core::{DeviceId, Dma, Features};
use virtio_net::{Fault, Net, Options, Phy, PhyDrops, abi};
use virtio_testkit::{FakeDevice, FakeTransport, Lie, Reply, TestHal};

type Pool = Vec<Option<Dma<[u8], TestHal>>>;

fn pool(hal: &TestHal, count: usize) -> Pool {
    (0..count).map(|_| Some(Dma::zeroed_slice(hal.clone(), 2048).unwrap())).collect()
}

/// A card whose frames go through a wire.
struct Node {
    device: FakeDevice,
    sent: Seen,
    net: Card,
}

fn node(features: Features, hal: &TestHal, options: &Options) -> Node {
    let model = offering(MODERN | abi::F_MAC | abi::F_MTU | features, hal);
    let net = drive(&model, hal, options);
    Node { device: model.device, sent: model.sent, net }
}

/// Does for the device what a frame's header asks for; answers the frame as it is on a wire.
fn completed(bytes: &[u8]) -> Vec<u8> {
    let (header, frame) = bytes.split_at(12);
    let mut frame = frame.to_vec();
    if header[0] & 1 != 0 {
        let number = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let partial = virtio_net::Partial { start: number(6), offset: number(8) };
        assert!(partial.complete(&mut frame));
    }
    frame
}

/// How a frame comes in at the other end.
#[derive(Clone, Copy)]
enum Arrival {
    /// As it was on the wire.
    Plain,
    /// As it was sent: on one host, nobody completes a checksum.
    Local,
    /// On the wire, and validated.
    Valid,
}

/// Carries what was sent to the other card, `room` bytes a buffer. Answers how many frames that were.
fn carry(from: &Seen, to: &FakeDevice, arrival: Arrival, room: usize) -> usize {
    let frames = from.bytes();
    for sent in &frames {
        let mut came = match arrival {
            Arrival::Local => sent.clone(),
            Arrival::Plain => [&[0; 12], completed(sent).as_slice()].concat(),
            Arrival::Valid => [&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], completed(sent).as_slice()].concat(),
        };
        let buffers = u16::try_from(came.len().div_ceil(room)).unwrap();
        came[10..12].copy_from_slice(&buffers.to_le_bytes());
        came.chunks(room).for_each(|piece| assert!(to.send(0, piece)));
    }
    frames.len()
}

fn interface<D: Device>(phy: &mut D, last: u8) -> Interface {
    let config = Config::new(EthernetAddress([2, 0, 0, 0, 0, last]).into());
    let mut interface = Interface::new(config, phy, Instant::ZERO);
    interface.update_ip_addrs(|addresses| {
        addresses.push(IpCidr::new(Ipv4Address::new(10, 0, 0, last).into(), 24)).unwrap();
    });
    interface
}

fn udp_socket(sockets: &mut SocketSet<'_>, port: u16) -> SocketHandle {
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 8], vec![0; 8192]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(port).unwrap();
    sockets.add(socket)
}

fn tcp_socket(sockets: &mut SocketSet<'_>) -> SocketHandle {
    let buffer = || tcp::SocketBuffer::new(vec![0; 8192]);
    sockets.add(tcp::Socket::new(buffer(), buffer()))
}

/// A connection between two stacks: 20 000 bytes one way, and a datagram the other.
fn talk(features: Features, arrival: Arrival, room: usize) {
    let hal = TestHal::new();
    let options = Options { buffer_len: room, ..all(1) };
    let (mut one, mut two) = (node(features, &hal, &options), node(features, &hal, &options));
    let (mut one_pool, mut two_pool) = (pool(&hal, 5), pool(&hal, 5));
    let data = counting(3, 20_000);
    {
        let (receiver, sender) = one.net.pair(0).unwrap();
        let mut client_phy = Phy::new(receiver, sender, &mut one_pool);
        let (receiver, sender) = two.net.pair(0).unwrap();
        let mut server_phy = Phy::new(receiver, sender, &mut two_pool).in_batches();
        let (mut client, mut server) = (interface(&mut client_phy, 1), interface(&mut server_phy, 2));
        let (mut clients, mut servers) = (SocketSet::new(vec![]), SocketSet::new(vec![]));
        let (client_tcp, server_tcp) = (tcp_socket(&mut clients), tcp_socket(&mut servers));
        let (client_udp, server_udp) = (udp_socket(&mut clients, 68), udp_socket(&mut servers, 67));
        servers.get_mut::<tcp::Socket<'_>>(server_tcp).listen(80).unwrap();
        let remote = IpEndpoint::new(Ipv4Address::new(10, 0, 0, 2).into(), 80);
        clients.get_mut::<tcp::Socket<'_>>(client_tcp).connect(client.context(), remote, 49_152).unwrap();
        let mine = IpEndpoint::new(Ipv4Address::new(10, 0, 0, 1).into(), 68);
        servers.get_mut::<udp::Socket<'_>>(server_udp).send_slice(&[7; 1000], mine).unwrap();
        let (mut written, mut read, mut datagram) = (0, vec![], None);
        for now in 0..2000 {
            let now = Instant::from_millis(now);
            client.poll(now, &mut client_phy, &mut clients);
            server.poll(now, &mut server_phy, &mut servers);
            server_phy.kick();
            carry(&one.sent, &two.device, arrival, room);
            carry(&two.sent, &one.device, arrival, room);
            let socket = clients.get_mut::<tcp::Socket<'_>>(client_tcp);
            if socket.can_send() && written < data.len() {
                written += socket.send_slice(&data[written..]).unwrap();
            }
            let socket = servers.get_mut::<tcp::Socket<'_>>(server_tcp);
            if socket.can_recv() {
                socket
                    .recv(|bytes| {
                        read.extend_from_slice(bytes);
                        (bytes.len(), ())
                    })
                    .unwrap();
            }
            if let Ok((bytes, _)) = clients.get_mut::<udp::Socket<'_>>(client_udp).recv() {
                datagram = Some(bytes.to_vec());
            }
            if read.len() == data.len() && datagram.is_some() {
                break;
            }
        }
        // What is on its way still.
        for now in 2000..2010 {
            let now = Instant::from_millis(now);
            client.poll(now, &mut client_phy, &mut clients);
            server.poll(now, &mut server_phy, &mut servers);
            server_phy.kick();
            if carry(&one.sent, &two.device, arrival, room) + carry(&two.sent, &one.device, arrival, room)
                == 0
            {
                break;
            }
        }
        assert_eq!(datagram, Some(vec![7; 1000]));
        assert!(read == data, "{} bytes came through", read.len());
        for phy in [&mut client_phy, &mut server_phy] {
            assert_eq!(
                (phy.drops(), phy.error(), phy.receiver().drops().frames),
                (PhyDrops::default(), None, 0)
            );
        }
    }
    assert_eq!((one.device.held(0), two.device.held(0)), (64, 64), "every buffer is back");
}

#[test]
fn two_stacks_talk_with_checksums_of_their_own() {
    talk(Features::empty(), Arrival::Plain, 2048);
}

/// The device completes what is sent, and the receiver checks what it is not told about.
// shows: net.op.tx.29, net.op.tx.30
#[test]
fn two_stacks_leave_checksums_to_the_devices() {
    talk(abi::F_CSUM, Arrival::Plain, 2048);
    talk(abi::F_GUEST_CSUM, Arrival::Plain, 2048);
    talk(abi::F_CSUM | abi::F_GUEST_CSUM, Arrival::Plain, 2048);
    talk(abi::F_CSUM | abi::F_GUEST_CSUM, Arrival::Valid, 2048);
}

#[test]
fn two_stacks_on_one_host_have_no_checksums_at_all() {
    talk(abi::F_CSUM | abi::F_GUEST_CSUM, Arrival::Local, 2048);
}

#[test]
fn frames_in_several_buffers_are_put_together() {
    talk(abi::F_MRG_RXBUF, Arrival::Plain, 256);
    talk(abi::F_MRG_RXBUF | abi::F_CSUM | abi::F_GUEST_CSUM, Arrival::Local, 600);
}

#[test]
fn the_stack_is_told_what_the_device_can_do() {
    for (features, tcp_tx, tcp_rx) in [
        (Features::empty(), true, true),
        (abi::F_CSUM, false, true),
        (abi::F_GUEST_CSUM, true, false),
        (abi::F_CSUM | abi::F_GUEST_CSUM, false, false),
    ] {
        let hal = TestHal::new();
        let mut node = node(features, &hal, &all(1));
        let mut pool = pool(&hal, 3);
        let (receiver, sender) = node.net.pair(0).unwrap();
        let phy = Phy::new(receiver, sender, &mut pool);
        let capabilities = phy.capabilities();
        assert_eq!((capabilities.max_transmission_unit, capabilities.ip_mtu()), (1514, 1500));
        assert_eq!(capabilities.max_burst_size, Some(3));
        for checksum in [capabilities.checksum.tcp, capabilities.checksum.udp] {
            assert_eq!((checksum.tx(), checksum.rx()), (tcp_tx, tcp_rx));
        }
        let untouched = |checksum: Checksum| checksum.tx() && checksum.rx();
        assert!(untouched(capabilities.checksum.ipv4) && untouched(capabilities.checksum.icmpv4));
    }
    // The shortest buffer limits a frame, and one of them is kept where frames are merged.
    let hal = TestHal::new();
    let model = offering(MODERN | abi::F_MRG_RXBUF, &hal);
    let mut pool: Vec<Option<Vec<u8>>> = vec![Some(vec![0; 2000]), Some(vec![0; 700]), Some(vec![0; 900])];
    let mut net = drive_heap(&model, &hal, &all(1), 0, 0);
    let (receiver, sender) = net.pair(0).unwrap();
    let phy = Phy::new(receiver, sender, &mut pool);
    let capabilities = phy.capabilities();
    assert_eq!((capabilities.max_transmission_unit, capabilities.max_burst_size), (700, Some(2)));
}

/// What the stack would have to take for good, since it does not look.
// shows: net.op.rx.7
#[test]
fn a_wrong_checksum_that_nobody_has_validated_is_dropped() {
    let hal = TestHal::new();
    let mut two = node(abi::F_GUEST_CSUM | abi::F_MRG_RXBUF, &hal, &all(1));
    let mut one = node(Features::empty(), &hal, &all(1));
    let (mut one_pool, mut two_pool) = (pool(&hal, 2), pool(&hal, 2));
    let (receiver, sender) = one.net.pair(0).unwrap();
    let mut phy = Phy::new(receiver, sender, &mut one_pool);
    // A datagram out of a token, so that nobody asks for addresses first.
    let datagram = {
        let mut frame = [&[2; 12][..], &[8, 0, 0x45, 0, 0, 36, 0, 1, 0x40, 0, 64, 17]].concat();
        frame.extend([
            0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 68, 0, 67, 0, 16, 0x12, 0x34, 1, 2, 3, 4, 5, 6, 7, 8,
        ]);
        frame
    };
    let token = phy.transmit(Instant::ZERO).unwrap();
    token.consume(datagram.len(), |bytes| bytes.copy_from_slice(&datagram));
    let sent = one.sent.bytes();
    assert_eq!(sent[0][12..], datagram);

    let (receiver, sender) = two.net.pair(0).unwrap();
    let mut phy = Phy::new(receiver, sender, &mut two_pool);
    let mut bad = sent[0].clone();
    bad[10] = 1;
    two.device.send(0, &bad);
    assert!(phy.receive(Instant::ZERO).is_none());
    assert_eq!(phy.drops().checksum, 1);
    // In two buffers it is no better; validated, it is.
    bad[10] = 2;
    bad.chunks(31).for_each(|piece| assert!(two.device.send(0, piece)));
    assert!(phy.receive(Instant::ZERO).is_none());
    assert_eq!(phy.drops().checksum, 2);
    (bad[0], bad[10]) = (2, 1);
    two.device.send(0, &bad);
    let (token, _) = phy.receive(Instant::ZERO).unwrap();
    assert_eq!(token.consume(<[u8]>::to_vec), datagram);
    assert!(phy.receive(Instant::ZERO).is_none());
    assert_eq!(two.device.held(0), 64);
}

/// A card with buffers of its own to send from, whose device takes its time.
fn slow(hal: &TestHal, features: Features) -> (FakeDevice, Card) {
    let device = FakeDevice::builder(DeviceId::NET)
        .features(MODERN | features)
        .config(Space::default().bytes())
        .event_queue(0, 64)
        .event_queue(1, 64)
        .build(hal);
    let net = Net::<FakeTransport, TestHal>::new(device.transport(), hal.clone(), &all(1)).unwrap();
    (device, net)
}

#[test]
fn there_are_as_many_frames_on_their_way_as_buffers() {
    let hal = TestHal::new();
    let (device, mut net) = slow(&hal, Features::empty());
    let mut pool = pool(&hal, 2);
    let addresses: Vec<_> = pool.iter().map(|buffer| buffer.as_ref().unwrap().paddr()).collect();
    let (receiver, sender) = net.pair(0).unwrap();
    let mut phy = Phy::new(receiver, sender, &mut pool);
    for len in [60, 1514] {
        phy.transmit(Instant::ZERO).unwrap().consume(len, |bytes| bytes.copy_from_slice(&counting(1, len)));
    }
    assert!(phy.transmit(Instant::ZERO).is_none());
    device.send(0, &incoming(1, 60));
    assert!(phy.receive(Instant::ZERO).is_none(), "nobody could answer");
    assert!(phy.enable_interrupts(), "a frame waits");
    device.complete(1, 1, &[]);
    assert_eq!(device.interrupts(), 1, "a buffer to send from is one more reason");
    let (token, answer) = phy.receive(Instant::ZERO).unwrap();
    assert_eq!(token.consume(<[u8]>::to_vec), counting(1, 60));
    answer.consume(60, |bytes| bytes.fill(9));
    assert_eq!(device.held_readable(1)[1], [header(0).as_slice(), &[9; 60]].concat());
    device.complete(1, 0, &[]);
    device.complete(1, 0, &[]);
    assert!(phy.transmit(Instant::ZERO).is_some());
    assert!(!phy.enable_interrupts());
    phy.disable_interrupts();
    let (_, mut sender) = phy.into_halves();
    assert!(sender.poll().unwrap().is_none());
    let back: Vec<_> = pool.iter().map(|buffer| buffer.as_ref().unwrap().paddr()).collect();
    assert_eq!(addresses.len(), back.iter().filter(|address| addresses.contains(address)).count());
}

#[test]
fn a_batch_is_one_notification() {
    let hal = TestHal::new();
    let mut one = node(Features::empty(), &hal, &all(1));
    let mut pool = pool(&hal, 4);
    let (receiver, sender) = one.net.pair(0).unwrap();
    let mut phy = Phy::new(receiver, sender, &mut pool).in_batches();
    hal.clear_trace();
    for _ in 0..4 {
        phy.transmit(Instant::ZERO).unwrap().consume(60, |bytes| bytes.fill(1));
    }
    assert_eq!((kicks(&hal, 1), one.sent.take().len()), (0, 0));
    phy.kick();
    assert_eq!((kicks(&hal, 1), one.sent.take().len()), (1, 4));
    phy.transmit(Instant::ZERO).unwrap().consume(60, |bytes| bytes.fill(1));
    assert!(phy.receive(Instant::ZERO).is_none());
    assert_eq!((kicks(&hal, 1), one.sent.take().len()), (2, 1), "each poll begins with one");
}

#[test]
fn errors_are_kept_beside() {
    let hal = TestHal::new();
    let (device, mut net) = slow(&hal, abi::F_MRG_RXBUF);
    let mut pool: Pool = pool(&hal, 2);
    pool[0] = Some(Dma::zeroed_slice(hal.clone(), 100).unwrap());
    let (receiver, sender) = net.pair(0).unwrap();
    let mut phy = Phy::new(receiver, sender, &mut pool);
    // Not in order; and too long to be put together.
    device.send(0, &incoming(1, 8));
    device.send(0, &[header(2).as_slice(), &counting(1, 80)].concat());
    device.send(0, &counting(1, 30));
    assert!(phy.receive(Instant::ZERO).is_none());
    assert_eq!(phy.receiver().drops().last, Some(Fault::Short { written: 20 }));
    assert_eq!((phy.drops().long, phy.error()), (1, None));
    assert_eq!(device.held(0), 64);
    device.lie(0, Lie::UsedId { id: 200, len: 8 });
    assert!(phy.receive(Instant::ZERO).is_none());
    assert!(phy.error().is_some());
}

#[test]
fn a_frame_that_cannot_be_sent_leaves_its_buffer() {
    let hal = TestHal::new();
    let device = FakeDevice::builder(DeviceId::NET)
        .features(MODERN)
        .event_queue(0, 64)
        .queue(1, 64, |_| Reply::Write(vec![]))
        .build(&hal);
    let mut net: HeapCard = Net::with_buffers(device.transport(), hal.clone(), &all(1), |_| None).unwrap();
    let mut pool = vec![Some(vec![0; 2048])];
    let (receiver, sender) = net.pair(0).unwrap();
    let mut phy = Phy::new(receiver, sender, &mut pool);
    let token = phy.transmit(Instant::ZERO).unwrap();
    hal.fail_nth(1);
    token.consume(60, |bytes| bytes.fill(1));
    assert!(hal.has_failed());
    assert_eq!(phy.drops().unsent, 1);
    // Shorter than any frame.
    phy.transmit(Instant::ZERO).unwrap().consume(5, |bytes| bytes.fill(1));
    assert_eq!(phy.drops().unsent, 2);
    phy.transmit(Instant::ZERO).unwrap().consume(60, |bytes| bytes.fill(1));
    assert_eq!(phy.drops().unsent, 2);
    assert!(phy.transmit(Instant::ZERO).is_some(), "it is back");
}
