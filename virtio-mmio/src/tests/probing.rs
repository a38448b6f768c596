//! What `probe` touches and what it answers.

use alloc::string::ToString;
use alloc::vec::Vec;

use virtio_core::{DeviceId, PhysAddr, Transport};

use super::bench::{Bench, r};
use crate::{ProbeError, Slot, Version, probe, probe_modern, slots};

// shows: mmio.regs.10, mmio.regs.11, mmio.op.init.1, mmio.op.init.2, mmio.op.init.3, mmio.op.init.4
#[test]
fn an_empty_slot_is_no_error_and_only_three_registers_are_read() {
    for version in [1, 2] {
        let bench = Bench::device(version, 0);
        assert!(probe(&bench).unwrap().is_none());
        assert!(probe_modern(&bench).unwrap().is_none());
        assert_eq!(bench.take(), [r(0x000), r(0x004), r(0x008), r(0x000), r(0x004), r(0x008)]);
    }
}

// shows: mmio.op.init.1, mmio.op.init.2
#[test]
fn both_versions_are_found_and_named() {
    for (number, version, text) in
        [(1, Version::Legacy, "virtio-mmio legacy (v1)"), (2, Version::Modern, "virtio-mmio modern (v2)")]
    {
        let bench = Bench::device(number, 18);
        bench.set(0x00c, 0x554d_4551);
        let transport = probe(&bench).unwrap().unwrap();
        assert_eq!(bench.take(), [r(0x000), r(0x004), r(0x008)]);
        assert_eq!(transport.device_id(), DeviceId::INPUT);
        assert_eq!(transport.version(), version);
        assert_eq!(transport.is_legacy(), number == 1);
        assert_eq!(transport.has_config_generation(), number == 2);
        assert_eq!(transport.info().to_string(), text);
        assert_eq!(transport.vendor_id(), 0x554d_4551);
    }
}

// shows: mmio.regs.6, mmio.regs.8
#[test]
fn each_wrong_window_has_its_own_error() {
    let short = Bench::sized(0xfc);
    assert_eq!(probe(&short).unwrap_err(), ProbeError::WindowTooShort { len: 0xfc, needed: 0x100 });
    assert_eq!(short.take(), []);

    let magic = Bench::device(2, 16);
    magic.set(0, u32::MAX);
    assert_eq!(probe(&magic).unwrap_err(), ProbeError::WrongMagic(u32::MAX));
    assert_eq!(magic.take(), [r(0)]);

    for version in [0, 3, u32::MAX] {
        let bench = Bench::device(version, 16);
        assert_eq!(probe(&bench).unwrap_err(), ProbeError::UnsupportedVersion(version));
        assert_eq!(bench.take(), [r(0), r(4)]);
    }

    assert_eq!(probe_modern(&Bench::device(1, 16)).unwrap_err(), ProbeError::LegacyRefused);
    assert!(probe_modern(&Bench::device(2, 16)).unwrap().is_some());
}

#[test]
fn slots_stop_at_the_end_of_the_address_space() {
    let base = PhysAddr::new(u64::MAX - 0x2ff);
    let all: Vec<Slot> = slots(base, 0x200, 4).collect();
    assert_eq!(all, [Slot { base, len: 0x200 }, Slot { base: PhysAddr::new(u64::MAX - 0xff), len: 0x200 },]);
    let last = slots(PhysAddr::new(0x1000_1000), 0x1000, 8).next_back().unwrap();
    assert_eq!(last, Slot { base: PhysAddr::new(0x1000_8000), len: 0x1000 });
}
