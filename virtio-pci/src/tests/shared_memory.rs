//! Shared-memory regions: found by their id, inside their BAR, where the CPU sees it.

use virtio_core::transport::SharedMemory;
use virtio_core::{PhysAddr, Transport};

use super::device::Device;
use super::machine::Machine;
use crate::{FunctionAddress, PciTransport, Window, Windows};

/// A GPU with a host-visible region's BAR: 8 GiB at 0x80_0000_0000, in BAR 2.
fn with_bar(machine: &Machine) -> FunctionAddress {
    let gpu = machine.add_gpu(0, 1);
    machine.set_register(gpu, 0x18, 0xc, 0);
    machine.set_register(gpu, 0x1c, 0x80, 0xffff_fffe);
    gpu
}

fn region(address: u64, len: u64) -> Option<SharedMemory> {
    Some(SharedMemory { address: PhysAddr::new(address), len })
}

/// What becomes of one region in BAR `bar`.
fn found(bar: u8, place: [u64; 2]) -> Option<SharedMemory> {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let gpu = with_bar(&machine);
    machine.add_shared_memory(gpu, 0xa0, 1, bar, place);
    let mut transport = device.open(&machine, gpu, None).unwrap();
    device.take();
    machine.take_writes();
    let found = transport.shared_memory(1);
    // Looking for it neither touches the device nor takes its BARs away.
    assert_eq!((device.take(), machine.take_writes()), ([].into(), [].into()));
    found
}

const GIB: u64 = 1 << 30;

#[test]
fn a_region_has_64_bits_and_lies_in_its_bar() {
    assert_eq!(found(2, [0, 8 * GIB]), region(0x80_0000_0000, 8 * GIB));
    assert_eq!(found(2, [5 * GIB, 3 * GIB]), region(0x81_4000_0000, 3 * GIB));
    assert_eq!(found(2, [8 * GIB - 1, 1]), region(0x81_ffff_ffff, 1));
    for place in [
        [0, 0],
        [8 * GIB, 0],
        [0, 8 * GIB + 1],
        [8 * GIB, 1],
        [5 * GIB, 3 * GIB + 1],
        [u64::MAX, 1],
        [1, u64::MAX],
        [u64::MAX, u64::MAX],
    ] {
        assert_eq!(found(2, place), None, "{place:x?}");
    }
    // In a BAR that is not there, in the upper half of one, in reserved ones.
    for bar in [0, 1, 3, 5, 6, 7, 255] {
        assert_eq!(found(bar, [0, 1]), None, "BAR {bar}");
    }
    // Beside the registers, if the device wants it so.
    assert_eq!(found(4, [0x3000, 0x1000]), region(0x4000_3000, 0x1000));
}

#[test]
fn the_first_usable_of_an_id_wins() {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let gpu = with_bar(&machine);
    // The list is built from its end.
    for (at, id, bar, place) in
        [(0xa0, 1, 2, [0, 9]), (0xb8, 1, 2, [16, 5]), (0xd0, 1, 2, [16, 0]), (0xe8, 2, 2, [32, 1])]
    {
        machine.add_shared_memory(gpu, at, id, bar, place);
    }
    let mut transport = device.open(&machine, gpu, None).unwrap();
    assert_eq!(transport.shared_memory(1), region(0x80_0000_0010, 5));
    assert_eq!(transport.shared_memory(2), region(0x80_0000_0020, 1));
    for id in [0, 3, 255] {
        assert_eq!(transport.shared_memory(id), None);
    }
}

#[test]
fn windows_translate_it_and_hide_what_they_do_not_hold() {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let gpu = with_bar(&machine);
    machine.add_shared_memory(gpu, 0xa0, 1, 2, [GIB, GIB]);
    let cpu = PhysAddr::new(0x12_0000_0000);
    for (len, expected) in [(8 * GIB, region(0x12_4000_0000, GIB)), (7 * GIB, None)] {
        let windows = Windows {
            mem32: Some(Window::identity(0x4000_0000, 0x1000_0000)),
            mem64: Some(Window { bus: 0x80_0000_0000, cpu, len }),
            ..Windows::default()
        };
        // A BAR that the CPU cannot reach does not keep the device from being driven.
        let mut transport = PciTransport::with_mapper(&machine, gpu, Some(&windows), |address, len| {
            device.map(super::device::BAR, address, len)
        })
        .unwrap();
        assert_eq!(transport.shared_memory(1), expected);
    }
}
