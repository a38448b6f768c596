//! The allocator on made-up machines.

use virtio_core::PhysAddr;

use super::machine::{Machine, Node};
use crate::{BarAllocator, Function, FunctionAddress, PciError, Window, Windows, bars, number_buses};

/// The windows of QEMU's riscv64 `virt` machine.
pub(super) const VIRT: Windows = Windows {
    io: Some(Window { bus: 0, cpu: PhysAddr::new(0x300_0000), len: 0x1_0000 }),
    mem32: Some(Window::identity(0x4000_0000, 0x4000_0000)),
    mem64: Some(Window::identity(0x4_0000_0000, 0x4_0000_0000)),
};
pub(super) const MEMORY: u32 = 0;
pub(super) const MEMORY64: u32 = 4;
const PREFETCH64: u32 = 0xc;
pub(super) const PORTS: u32 = 1;

/// Gives a function a BAR without an address.
pub(super) fn bar(machine: &Machine, node: Node, index: u16, flags: u32, size: u32) {
    machine.set_node(node, 0x10 + 4 * index, flags, size.wrapping_neg());
    if flags & 7 == 4 {
        machine.set_node(node, 0x14 + 4 * index, 0, u32::MAX);
    }
}

pub(super) fn address_of(machine: &Machine, function: FunctionAddress, index: usize) -> u64 {
    let function = Function::read(machine, function).unwrap();
    bars(machine, &function).unwrap()[index].unwrap().address
}

#[test]
fn each_kind_goes_to_its_window_aligned_to_its_size() {
    let machine = Machine::new();
    let node = machine.add_root(1);
    let function = machine.address(node);
    bar(&machine, node, 0, PORTS, 0x20);
    bar(&machine, node, 1, MEMORY, 0x1000);
    bar(&machine, node, 2, MEMORY, 0x10_0000);
    bar(&machine, node, 4, PREFETCH64, 0x4000);
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Ok(4));
    assert_eq!(address_of(&machine, function, 0), 0x1000);
    assert_eq!(address_of(&machine, function, 1), 0x4000_0000);
    assert_eq!(address_of(&machine, function, 2), 0x4010_0000);
    assert_eq!(address_of(&machine, function, 4), 0x4_0000_0000);
    // Who decodes is decided by a driver.
    assert_eq!(machine.get(function, 4) & 7, 0);
    // There is nothing left to do.
    machine.take_writes();
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Ok(0));
}

#[test]
fn without_an_upper_window_64_bit_bars_go_below() {
    let machine = Machine::new();
    let node = machine.add_root(1);
    bar(&machine, node, 0, PREFETCH64, 0x4000);
    let windows = Windows { mem64: None, ..VIRT };
    assert_eq!(BarAllocator::new(windows).assign_all(&machine, 0), Ok(1));
    assert_eq!(address_of(&machine, machine.address(node), 0), 0x4000_0000);
}

#[test]
fn ports_are_left_alone_where_there_are_none() {
    let machine = Machine::new();
    let node = machine.add_root(1);
    bar(&machine, node, 0, PORTS, 0x20);
    bar(&machine, node, 1, MEMORY, 0x1000);
    let windows = Windows { io: None, ..VIRT };
    assert_eq!(BarAllocator::new(windows).assign_all(&machine, 0), Ok(1));
    assert_eq!(address_of(&machine, machine.address(node), 0), 0);
}

#[test]
fn what_has_an_address_keeps_it_and_nothing_overlaps_it() {
    let machine = Machine::new();
    let (first, second) = (machine.add_root(1), machine.add_root(2));
    bar(&machine, first, 0, MEMORY, 0x1000);
    machine.set_node(second, 0x10, 0x4000_0000, 0xffff_f000);
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Ok(1));
    assert_eq!(address_of(&machine, machine.address(second), 0), 0x4000_0000);
    assert_eq!(address_of(&machine, machine.address(first), 0), 0x4000_1000);
}

#[test]
fn refusals_are_named_and_the_rest_is_assigned() {
    let machine = Machine::new();
    let (big, outside, small) = (machine.add_root(1), machine.add_root(2), machine.add_root(3));
    bar(&machine, big, 0, MEMORY, 0x8000_0000);
    bar(&machine, small, 0, MEMORY, 0x1000);
    let no_room = PciError::NoRoom { function: machine.address(big), bar: 0, size: 0x8000_0000 };
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Err(no_room));
    assert_eq!(address_of(&machine, machine.address(big), 0), 0);
    assert_eq!(address_of(&machine, machine.address(small), 0), 0x4000_0000);

    machine.set_node(outside, 0x10, 0x1000_0000, 0xffff_f000);
    let function = machine.address(outside);
    let error = PciError::BarOutsideWindow { function, bar: 0, address: 0x1000_0000, size: 0x1000 };
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Err(error));

    bar(&machine, outside, 0, 6, 0x1000);
    let error = PciError::NoRoom { function: machine.address(big), bar: 0, size: 0x8000_0000 };
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Err(error));
    bar(&machine, big, 0, MEMORY, 0x1000);
    let error = PciError::MalformedBar { function, bar: 0 };
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Err(error));
    assert_eq!(address_of(&machine, machine.address(big), 0), 0x4000_1000);
}

#[test]
fn a_window_is_used_to_its_last_byte_and_no_further() {
    let windows = Windows { mem32: Some(Window::identity(0x4000_0000, 0x2000)), ..Windows::default() };
    let machine = Machine::new();
    let nodes = [machine.add_root(1), machine.add_root(2), machine.add_root(3)];
    for node in nodes {
        bar(&machine, node, 0, MEMORY, 0x1000);
    }
    let no_room = PciError::NoRoom { function: machine.address(nodes[2]), bar: 0, size: 0x1000 };
    assert_eq!(BarAllocator::new(windows).assign_all(&machine, 0), Err(no_room));
    assert_eq!(address_of(&machine, machine.address(nodes[1]), 0), 0x4000_1000);
}

#[test]
fn the_host_bridge_is_not_touched() {
    let machine = Machine::new();
    let node = machine.add_root(0);
    machine.set_node(node, 0x08, 0x0600_0000, 0);
    bar(&machine, node, 0, MEMORY, 0x1000);
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Ok(0));
    assert_eq!(machine.take_writes(), []);
}

#[test]
fn bridges_get_windows_around_what_lies_behind_them() {
    let machine = Machine::new();
    let before = machine.add_root(1);
    bar(&machine, before, 0, MEMORY, 0x1000);
    let outer = machine.add_bridge(0, 2, [0; 3]);
    let inner = machine.add_bridge_behind(outer, 0);
    let deep = machine.add_behind(inner, 0);
    bar(&machine, deep, 0, PORTS, 0x20);
    bar(&machine, deep, 1, MEMORY, 0x1000);
    bar(&machine, deep, 2, MEMORY64, 0x1000); // not prefetchable: a bridge cannot take it up
    bar(&machine, deep, 4, PREFETCH64, 0x4000);
    let empty = machine.add_bridge(0, 3, [0; 3]);
    let after = machine.add_root(4);
    bar(&machine, after, 0, MEMORY, 0x1000);

    assert_eq!(number_buses(&machine, 0, 255), Ok(3));
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Ok(6));
    let deep = machine.address(deep);
    assert_eq!(address_of(&machine, deep, 0), 0x1000);
    assert_eq!(address_of(&machine, deep, 1), 0x4010_0000);
    assert_eq!(address_of(&machine, deep, 2), 0x4010_1000);
    assert_eq!(address_of(&machine, deep, 4), 0x4_0000_0000);
    assert_eq!(address_of(&machine, machine.address(after), 0), 0x4020_0000);
    for bridge in [outer, inner].map(|node| machine.address(node)) {
        assert_eq!(machine.get(bridge, 0x1c) & 0xf0f0, 0x1010); // 0x1000 to 0x1fff
        assert_eq!(machine.get(bridge, 0x20), 0x4010_4010); // 0x4010_0000 to 0x401f_ffff
        assert_eq!(machine.get(bridge, 0x24) & 0xfff0_fff0, 0); // 0x4_0000_0000 to 0x4_000f_ffff
        assert_eq!((machine.get(bridge, 0x28), machine.get(bridge, 0x2c)), (4, 4));
        assert_eq!(machine.get(bridge, 4) & 7, 7);
    }
    // Nothing behind: closed, base above limit.
    let empty = machine.address(empty);
    assert_eq!(machine.get(empty, 0x1c) & 0xf0f0, 0x00f0);
    assert_eq!(machine.get(empty, 0x20), 0x0000_fff0);
    assert_eq!(machine.get(empty, 0x24) & 0xfff0_fff0, 0x0000_fff0);
    // A second run finds everything in place.
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Ok(0));
}

#[test]
fn a_bridge_without_64_bits_sends_everything_below() {
    let machine = Machine::new();
    let bridge = machine.add_bridge(0, 1, [0, 1, 1]);
    machine.set_node(bridge, 0x24, 0x0000_fff0, 0xfff0_fff0);
    let device = machine.add_behind(bridge, 0);
    bar(&machine, device, 0, PREFETCH64, 0x4000);
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Ok(1));
    assert_eq!(address_of(&machine, machine.address(device), 0), 0x4000_0000);
}

#[test]
fn a_bridge_that_firmware_has_set_is_left_alone() {
    let machine = Machine::new();
    let bridge = machine.add_bridge(0, 1, [0, 1, 1]);
    machine.set_node(bridge, 0x20, 0x4000_4000, 0xfff0_fff0);
    let (kept, new) = (machine.add_behind(bridge, 0), machine.add_behind(bridge, 1));
    machine.set_node(kept, 0x10, 0x4000_0000, 0xffff_f000);
    bar(&machine, new, 0, MEMORY, 0x1000);
    let direct = machine.add_root(2);
    bar(&machine, direct, 0, MEMORY, 0x1000);
    let error = PciError::BehindFixedBridge { function: machine.address(new), bar: 0 };
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Err(error));
    assert_eq!(machine.get(machine.address(bridge), 0x20), 0x4000_4000);
    // Beside the bridge, not in its window.
    assert_eq!(address_of(&machine, machine.address(direct), 0), 0x4010_0000);
}

#[test]
fn a_bridge_that_does_not_keep_its_window_is_named() {
    let machine = Machine::new();
    let bridge = machine.add_bridge(0, 1, [0, 1, 1]);
    machine.set_node(bridge, 0x20, 0x0000_fff0, 0);
    let device = machine.add_behind(bridge, 0);
    bar(&machine, device, 0, MEMORY, 0x1000);
    let error = PciError::BridgeWindowRefused(machine.address(bridge));
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Err(error));
}

#[test]
fn two_bridges_to_one_bus_do_not_assign_it_twice() {
    let machine = Machine::new();
    machine.add_bridge(0, 1, [0, 1, 1]);
    machine.add_bridge(0, 2, [0, 1, 1]);
    let function = machine.add(1, 0, 0);
    machine.set_register(function, 0x10, 0, 0xffff_f000);
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Ok(1));
    assert_eq!(address_of(&machine, function, 0), 0x4000_0000);
}
