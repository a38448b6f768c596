use super::*;
use crate::offload::checksum::of;

extern crate alloc;
use alloc::vec::Vec;

/// A frame around an IP packet.
fn ethernet(kind: u16, tags: usize, packet: &[u8]) -> Vec<u8> {
    let mut frame = Vec::from([2; 12]);
    for tag in 0..tags {
        frame.extend(if tag == 0 { [0x81, 0, 0, 7] } else { [0x88, 0xa8, 0, 8] });
    }
    frame.extend(kind.to_be_bytes());
    frame.extend(packet);
    frame
}

/// A UDP datagram or TCP segment of `len` bytes of data, whose checksum is 0.
fn segment(protocol: u8, len: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend([0x30, 0x39, 0, 80]);
    if protocol == UDP {
        bytes.extend((len + 8).to_be_bytes());
        bytes.extend([0, 0]);
    } else {
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    }
    bytes.extend((0..len).map(|at| at.to_le_bytes()[0]));
    bytes
}

fn v4(protocol: u8, inside: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + inside.len()).unwrap();
    let mut packet = Vec::from([0x45, 0]);
    packet.extend(len.to_be_bytes());
    packet.extend([0, 1, 0x40, 0, 64, protocol, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2]);
    packet.extend(inside);
    packet
}

fn v6(next: u8, inside: &[u8]) -> Vec<u8> {
    let len = u16::try_from(inside.len()).unwrap();
    let mut packet = Vec::from([0x60, 0, 0, 0]);
    packet.extend(len.to_be_bytes());
    packet.extend([next, 64]);
    packet.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    packet.extend(inside);
    packet
}

/// Every frame that this finds a checksum in.
fn known() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for protocol in [TCP, UDP] {
        for len in [0, 1, 2, 17, 1400] {
            let inside = segment(protocol, len);
            for tags in 0..=2 {
                frames.push(ethernet(IPV4, tags, &v4(protocol, &inside)));
                frames.push(ethernet(IPV6, tags, &v6(protocol, &inside)));
            }
            let mut behind_options = Vec::from([60, 0, 1, 4, 0, 0, 0, 0, protocol, 1]);
            behind_options.extend([0; 14]);
            behind_options.extend(inside);
            frames.push(ethernet(IPV6, 0, &v6(0, &behind_options)));
        }
    }
    frames
}

// shows: net.op.tx.29, net.op.tx.30
#[test]
fn what_the_device_completes_is_a_right_checksum() {
    for mut frame in known() {
        let found = transport(&frame).unwrap();
        let partial = found.partial().unwrap();
        assert_eq!(TxOffload::for_frame(&mut frame), TxOffload::checksum(partial));
        assert!(!is_sound(&frame) || found.pseudo == 0, "not complete yet");
        // As a device does it: a sum from `start` to the end, into its place.
        let sum = of(&frame[usize::from(partial.start)..]);
        let at = usize::from(partial.start) + usize::from(partial.offset);
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        assert!(is_sound(&frame), "{frame:02x?}");
        // And so every bit of it counts.
        let last = frame.len() - 1;
        frame[last] ^= 0x40;
        assert!(!is_sound(&frame));
    }
}

#[test]
fn what_has_no_checksum_here_is_left_alone() {
    let datagram = segment(UDP, 9);
    let mut fragment = v4(UDP, &datagram);
    fragment[6] = 0x20;
    let mut later = v4(UDP, &datagram);
    later[7] = 3;
    let mut strange = v4(UDP, &datagram);
    strange[0] = 0x55;
    let mut routed = Vec::from([UDP, 0, 0, 0, 0, 0, 0, 0]);
    routed.extend(&datagram);
    let mut longer = datagram.clone();
    longer[5] += 1;
    let mut shorter = datagram.clone();
    shorter[5] = 7;
    let frames = [
        (ethernet(0x0806, 0, &[0; 28]), true),
        (ethernet(IPV4, 0, &v4(1, &datagram)), true),
        (ethernet(IPV4, 3, &v4(UDP, &datagram)), true),
        (ethernet(IPV6, 0, &v6(43, &routed)), true),
        (ethernet(IPV6, 0, &v6(44, &routed)), true),
        // It has one, and nobody can tell whether it is right.
        (ethernet(IPV4, 0, &fragment), false),
        (ethernet(IPV4, 0, &later), false),
        (ethernet(IPV4, 0, &strange), false),
        (ethernet(IPV4, 0, &v4(UDP, &longer)), false),
        (ethernet(IPV4, 0, &v4(UDP, &shorter)), false),
        (ethernet(IPV6, 0, &v6(TCP, &datagram)), false),
    ];
    for (frame, sound) in frames {
        let mut same = frame.clone();
        assert_eq!(TxOffload::for_frame(&mut same), TxOffload::NONE);
        assert_eq!(same, frame);
        assert_eq!(is_sound(&frame), sound, "{frame:02x?}");
    }
    // A datagram over IPv4 may go without; over IPv6, it may not (RFC 8200 §8.1).
    assert!(is_sound(&ethernet(IPV4, 0, &v4(UDP, &datagram))));
    assert!(!is_sound(&ethernet(IPV6, 0, &v6(UDP, &datagram))));
}

/// What is behind a datagram, in its packet or in the frame, is no part of it.
#[test]
fn padding_does_not_count() {
    let mut frame = ethernet(IPV4, 0, &v4(UDP, &segment(UDP, 9)));
    let partial = transport(&frame).unwrap().partial().unwrap();
    assert_ne!(TxOffload::for_frame(&mut frame), TxOffload::NONE);
    assert!(partial.complete(&mut frame) && is_sound(&frame));
    let inside = frame[34..].to_vec();
    frame.extend([7; 5]);
    assert!(is_sound(&frame));
    let mut frame = ethernet(IPV4, 0, &v4(UDP, &[inside.as_slice(), &[7; 5]].concat()));
    assert!(is_sound(&frame));
    frame[50] ^= 1;
    assert!(!is_sound(&frame));
}

#[test]
fn frames_that_are_cut_short_or_garbled_are_no_danger() {
    for frame in known().into_iter().filter(|frame| frame.len() < 120) {
        for len in 0..frame.len() {
            let mut cut = frame[..len].to_vec();
            assert_eq!(TxOffload::for_frame(&mut cut), TxOffload::NONE, "{len} of {}", frame.len());
        }
        for at in 0..frame.len() {
            for byte in [0, 0x0f, 0x7f, 0xff] {
                let mut garbled = frame.clone();
                garbled[at] = byte;
                let _ = TxOffload::for_frame(&mut garbled);
                let _ = is_sound(&garbled);
            }
        }
    }
}
