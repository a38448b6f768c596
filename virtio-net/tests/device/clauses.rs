//! Clauses about everything that can be said, and about when, rather than about one case (VIRTIO 1.4 §5.1.9).

use crate::bench::{HEADER, MODERN, Space, all, answering, counting, drive, legacy, offering};
use alloc::sync::Arc;
use core::num::NonZeroU16;
use std::sync::OnceLock;

use virtio_core::{DeviceId, Features};
use virtio_net::{Gso, Net, NetError, Partial, TxOffload, abi};
use virtio_testkit::{FakeDevice, Reply, TestHal};

/// Every bit that belongs to the device type (VIRTIO 1.4 §2.2): 0 to 23, 41, 42 and 50 to 127.
fn every_bit() -> Features {
    Features::from_bits_retain((1 << 24) - 1) | Features::from_bits_retain(0b11 << 41 | !0 << 50)
}

/// Not one more: no command, and no field of a header, belongs to a feature that is missing here.
#[test]
fn only_what_is_implemented_is_accepted() {
    let hal = TestHal::new();
    let model = offering(MODERN | every_bit(), &hal);
    let net = drive(&model, &hal, &all(1));
    let expected = abi::F_CSUM
        | abi::F_GUEST_CSUM
        | abi::F_CTRL_GUEST_OFFLOADS
        | abi::F_MTU
        | abi::F_MAC
        | abi::F_GUEST_TSO4
        | abi::F_GUEST_TSO6
        | abi::F_GUEST_ECN
        | abi::F_HOST_TSO4
        | abi::F_HOST_TSO6
        | abi::F_HOST_ECN
        | abi::F_MRG_RXBUF
        | abi::F_STATUS
        | abi::F_CTRL_VQ
        | abi::F_CTRL_RX
        | abi::F_CTRL_VLAN
        | abi::F_CTRL_RX_EXTRA
        | abi::F_GUEST_ANNOUNCE
        | abi::F_CTRL_MAC_ADDR
        | abi::F_VQ_NOTF_COAL
        | abi::F_NOTF_COAL
        | abi::F_GUEST_USO4
        | abi::F_GUEST_USO6
        | abi::F_HOST_USO
        | abi::F_GUEST_HDRLEN
        | abi::F_SPEED_DUPLEX;
    assert_eq!(model.device.accepted(), MODERN | expected);
    assert_eq!(net.features(), MODERN | expected);
}

// shows: net.op.tx.2, net.op.tx.11, net.op.tx.17, net.op.tx.22, net.op.tx.23, net.op.tx.24, net.op.tx.25, net.op.tx.26
// shows: net.op.tx.42, net.op.tx.43, net.op.tx.44, net.op.tx.45, net.op.tx.46
#[test]
fn nothing_that_can_be_said_sets_a_bit_that_was_not_negotiated() {
    let hal = TestHal::new();
    let model = offering(MODERN | every_bit(), &hal);
    let mut net = drive(&model, &hal, &all(1));
    assert!(net.features().contains(abi::F_GUEST_HDRLEN));
    let (_, mut sender) = net.pair(0).unwrap();
    let frame = counting(1, 200);
    let mut sent = 0;
    let mut say = |offload: TxOffload| {
        sender.add_copied(&frame, offload).unwrap();
        sender.kick();
        while sender.poll().unwrap().is_some() {}
        for bytes in model.sent.bytes() {
            let (header, rest) = bytes.split_at(HEADER);
            assert_eq!(rest, frame);
            // NEEDS_CSUM: neither DATA_VALID, RSC_INFO nor a bit of tunnels or IPsec, which are 2, 4, 8 and above.
            assert_eq!(header[0] & !1, 0, "flags of {header:?}");
            // NONE, TCPV4, TCPV6, UDP_L4; not 3, which fragments UDP; nor 0x20 and 0x40, which are tunnels.
            assert!([0, 1, 4, 5, 0x81, 0x84].contains(&header[1]), "gso_type of {header:?}");
            assert_eq!(header[10..], [0, 0], "num_buffers of {header:?}");
            sent += 1;
        }
    };
    let mut said = 0;
    for start in [0, 14, 34, 54, 180] {
        for offset in [0, 6, 16, 18] {
            let partial = Partial { start, offset };
            let mut kinds = vec![TxOffload::NONE, TxOffload::checksum(partial)];
            for gso in [Gso::TcpV4, Gso::TcpV6, Gso::Udp] {
                for size in [1, 1448, u16::MAX].map(|size| NonZeroU16::new(size).unwrap()) {
                    let all = [start + offset + 2, 200];
                    kinds.extend(all.map(|headers| TxOffload::segments(gso, size, headers, partial)));
                }
            }
            for kind in kinds {
                said += 2;
                say(kind);
                say(kind.with_ecn());
            }
        }
    }
    assert_eq!(sent, said);
}

/// Header and data, or the fields of a command, would have to lie in descriptors of their own (VIRTIO 1.4 §5.1.9.8).
#[test]
fn an_old_device_that_wants_a_layout_is_refused() {
    for features in [Features::empty(), abi::F_MRG_RXBUF, abi::F_CTRL_VQ | abi::F_CTRL_RX] {
        let hal = TestHal::new();
        let model = legacy(features, &hal);
        let opened = Net::new(model.device.transport(), hal.clone(), &all(1));
        assert_eq!(opened.map(drop), Err(NetError::NeedsAnyLayout));
        assert!(hal.outstanding().is_none());
        assert!(model.sent.take().is_empty() && model.commands.take().is_empty());
        // With the feature it is driven.
        let model = legacy(features | Features::ANY_LAYOUT, &hal);
        assert!(drive(&model, &hal, &all(1)).features().contains(Features::ANY_LAYOUT));
    }
}

/// The device looks when the command comes, not the test afterwards.
// shows: net.op.ctrlq.mq-auto.1, net.op.ctrlq.mq-auto.3
#[test]
fn the_queues_are_ready_and_unused_when_the_command_comes() {
    const PAIRS: u16 = 3;
    let hal = TestHal::new();
    let known = Arc::new(OnceLock::<FakeDevice>::new());
    let device = known.clone();
    let space = Space { pairs: PAIRS, ..Space::default() };
    let builder = FakeDevice::builder(DeviceId::NET)
        .features(MODERN | abi::F_CTRL_VQ | abi::F_MQ)
        .config(space.bytes());
    let answer = move |request: virtio_testkit::Request| {
        let device = device.get().unwrap();
        assert_eq!(request.readable, [4, 0, 3, 0]);
        for pair in 0..PAIRS {
            assert_eq!(device.held(2 * pair), 64, "buffers of pair {pair}");
            assert!(device.ring(2 * pair + 1).is_some(), "queue of pair {pair}");
        }
        Reply::Write(vec![0])
    };
    let model = answering(builder, PAIRS, answer, &hal);
    known.set(model.device.clone()).unwrap();
    let mut net = drive(&model, &hal, &all(PAIRS));
    assert_eq!(model.commands.take().len(), 1);
    assert!(model.sent.take().is_empty(), "nothing was sent before");
    net.send(&counting(1, 60)).unwrap();
    assert_eq!(model.sent.take().len(), 1);
}

/// Sums as RFC 1071 has them, apart from the driver's.
fn complete(frame: &mut [u8], start: usize, at: usize) {
    let sum = frame[start..].chunks(2).fold(0_u32, |sum, pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        let sum = sum + u32::from(u16::from_be_bytes([pair[0], low]));
        (sum & 0xffff) + (sum >> 16)
    });
    frame[at..at + 2].copy_from_slice(&u16::try_from(!sum & 0xffff).unwrap().to_be_bytes());
}

/// Frames whose checksums were computed elsewhere: what the device completes comes to the same.
// shows: net.op.tx.29, net.op.tx.30
#[test]
fn known_frames_come_out_as_they_were() {
    let frames = [
        "525400123456525400aabbcc08004500002112344000401110880a00020f0a00020200440043000da36a68656c6c6f",
        "525400123456525400aabbcc08004500003a123440004006107a0a00020f0a000202c0000050010203040a0b0c0d5018ffff\
         de9b0000474554202f20485454502f312e300d0a0d0a",
        "333300010002525400aabbcc86dd60000000000c1101fe800000000000000000000000000001ff0200000000000000000000\
         000100020222\
         0223000c2e6f01abcdef",
    ];
    for (frame, (start, offset)) in frames.into_iter().zip([(34, 6), (34, 16), (54, 6)]) {
        let digits: Vec<u8> = frame.chars().filter_map(|digit| digit.to_digit(16)?.try_into().ok()).collect();
        let right: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        let mut frame = right.clone();
        let at = start + offset;
        // Whatever stood there.
        frame[at..at + 2].fill(0x5a);
        let hal = TestHal::new();
        let model = offering(MODERN | abi::F_CSUM, &hal);
        let mut net = drive(&model, &hal, &all(1));
        let offload = TxOffload::for_frame(&mut frame);
        let (_, mut sender) = net.pair(0).unwrap();
        sender.add_copied(&frame, offload).unwrap();
        sender.kick();
        let mut sent = model.sent.bytes().remove(0);
        let said = |at: usize| usize::from(u16::from_le_bytes([sent[at], sent[at + 1]]));
        assert_eq!((sent[0], said(6), said(8)), (1, start, offset));
        complete(&mut sent[HEADER..], start, at);
        assert_eq!(sent[HEADER..], right);
    }
}

/// An old device may say any length; what it has written counts, and what it has not is no answer.
// shows: net.op.legacy.2
#[test]
fn lengths_of_an_old_devices_answers_are_ignored() {
    let hal = TestHal::new();
    let mut answers = [(vec![0], 0), (vec![1], 0), (vec![0], 77), (vec![], 1), (vec![], 0)].into_iter();
    let builder = FakeDevice::builder(DeviceId::NET)
        .features(abi::F_CTRL_VQ | abi::F_CTRL_VLAN | Features::ANY_LAYOUT)
        .config(Space { legacy: true, ..Space::default() }.bytes())
        .legacy();
    let answer = move |_| {
        let (bytes, len) = answers.next().unwrap();
        Reply::Claim { bytes, len }
    };
    let model = answering(builder, 1, answer, &hal);
    let mut net = drive(&model, &hal, &all(1));
    let mut add = || net.control().unwrap().add_vlan(5);
    assert_eq!(add(), Ok(()));
    assert_eq!(add(), Err(NetError::Refused { class: 2, command: 0 }));
    assert_eq!(add(), Ok(()));
    let unwritten = NetError::UnknownAnswer { class: 2, command: 0, answer: 0xff };
    assert_eq!(add(), Err(unwritten), "not the yes of an earlier command");
    assert_eq!(add(), Err(unwritten));
}
