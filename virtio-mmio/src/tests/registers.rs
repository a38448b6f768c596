//! Status, features, interrupts and configuration space.

use virtio_core::transport::InterruptStatus;
use virtio_core::{Error, Incompatible, Status, Transport};

use super::bench::{Acquire, Bench, Read, Write, r, w};
use crate::{MmioTransport, probe};

fn transport(bench: &Bench) -> MmioTransport<&Bench> {
    let transport = probe(bench).unwrap().unwrap();
    bench.take();
    transport
}

// shows: mmio.regs.4
#[test]
fn status_is_one_32_bit_access() {
    let bench = Bench::device(2, 16);
    bench.set(0x070, 0x40 | 0x0f);
    let mut transport = transport(&bench);
    assert_eq!(transport.status(), Status::from_bits_retain(0x4f));
    transport.set_status(Status::ACKNOWLEDGE | Status::DRIVER);
    assert_eq!(bench.take(), [r(0x070), Acquire, w(0x070, 3)]);
}

// shows: mmio.regs.12, mmio.regs.13
#[test]
fn a_feature_window_is_selected_before_each_access() {
    let bench = Bench::device(2, 16);
    bench.set(0x010, 0xabcd);
    let mut transport = transport(&bench);
    for window in [3, 1, 1, 0] {
        assert_eq!(transport.device_features(window), 0xabcd);
        transport.set_driver_features(window, 7);
        assert_eq!(bench.take(), [w(0x014, window), r(0x010), w(0x024, window), w(0x020, 7)]);
    }
}

#[test]
fn version_1_has_32_feature_bits() {
    let bench = Bench::device(1, 16);
    bench.set(0x010, 0xabcd);
    let mut transport = transport(&bench);
    assert_eq!(transport.device_features(0), 0xabcd);
    transport.set_driver_features(0, 5);
    assert_eq!(bench.take(), [w(0x014, 0), r(0x010), w(0x024, 0), w(0x020, 5)]);
    for window in 1..4 {
        assert_eq!(transport.device_features(window), 0);
        transport.set_driver_features(window, u32::MAX);
    }
    assert_eq!(bench.take(), []);
}

// shows: mmio.regs.18, mmio.regs.19, mmio.regs.20
#[test]
fn exactly_the_known_interrupt_bits_are_acknowledged() {
    for version in [1, 2] {
        let bench = Bench::device(version, 16);
        let transport = transport(&bench);
        for (status, known) in [(1, 1), (2, 2), (3, 3), (0xffff_fff9, 1)] {
            bench.set(0x060, status);
            assert_eq!(transport.ack_interrupt(), InterruptStatus::from_bits_retain(known));
            assert_eq!(bench.take(), [r(0x060), w(0x064, known), Acquire]);
        }
        bench.set(0x060, 0xfffc);
        assert_eq!(transport.ack_interrupt(), InterruptStatus::empty());
        assert_eq!(bench.take(), [r(0x060), Acquire]);
    }
}

#[test]
fn only_version_2_has_a_generation() {
    let modern = Bench::device(2, 16);
    modern.set(0x0fc, 77);
    assert_eq!(transport(&modern).config_generation(), 77);
    assert_eq!(modern.take(), [r(0x0fc)]);

    let legacy = Bench::device(1, 16);
    legacy.set(0x0fc, 77);
    assert_eq!(transport(&legacy).config_generation(), 0);
    assert_eq!(legacy.take(), []);
}

// shows: mmio.regs.5
#[test]
fn configuration_accesses_have_the_width_asked_for() {
    let bench = Bench::device(2, 16);
    bench.set(0x104, 0x0403_0201);
    let mut transport = transport(&bench);
    assert_eq!(transport.config_len(), 0x100);
    let (mut one, mut two, mut four) = ([0; 1], [0; 2], [0; 4]);
    transport.read_config(5, &mut one).unwrap();
    transport.read_config(6, &mut two).unwrap();
    transport.read_config(4, &mut four).unwrap();
    assert_eq!((one, two, four), ([2], [3, 4], [1, 2, 3, 4]));
    assert_eq!(bench.take(), [Read(0x105, 1), Read(0x106, 2), Read(0x104, 4)]);
    transport.write_config(1, &[0x11]).unwrap();
    transport.write_config(2, &[0x22, 0x33]).unwrap();
    transport.write_config(0xfc, &[1, 2, 3, 4]).unwrap();
    assert_eq!(bench.take(), [Write(0x101, 1, 0x11), Write(0x102, 2, 0x3322), w(0x1fc, 0x0403_0201)]);
}

#[test]
fn a_device_that_is_gone_does_not_look_reset() {
    let bench = Bench::device(2, 16);
    let transport = transport(&bench);
    for (register, empty) in [(0, true), (0x100, false), (u32::MAX, false)] {
        bench.set(0x070, register);
        assert_eq!(transport.status().is_empty(), empty, "{register:#x}");
    }
}

// shows: mmio.regs.1, mmio.regs.5
#[test]
fn configuration_accesses_outside_or_askew_touch_nothing() {
    let bench = Bench::device(2, 16);
    let mut transport = transport(&bench);
    for (offset, len) in [(0x100, 1), (0xfe, 4), (2, 4), (1, 2), (0, 3), (0, 0), (0, 8), (usize::MAX, 1)] {
        let expected = Err(Error::Incompatible(Incompatible::ConfigTooSmall { offset, len }));
        let mut bytes = [0; 8];
        assert_eq!(transport.read_config(offset, &mut bytes[..len]), expected);
        assert_eq!(transport.write_config(offset, &bytes[..len]), expected);
    }
    assert_eq!(bench.take(), []);

    // A window without a configuration space is a device without one.
    let bare = Bench::sized(0x100);
    bare.set(0, 0x7472_6976);
    bare.set(4, 2);
    bare.set(8, 4);
    assert_eq!(probe(&bare).unwrap().unwrap().config_len(), 0);
}
