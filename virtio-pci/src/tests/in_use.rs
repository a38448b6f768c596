//! The allocator among addresses that are in use, and among devices and windows that are not in order.

use virtio_core::PhysAddr;

use super::allocating::{MEMORY, MEMORY64, PORTS, VIRT, address_of, bar};
use super::machine::{Machine, Node};
use crate::{BarAllocator, PciError, Window, Windows};

/// A device with one 32-bit memory BAR of a page that has no address.
fn newcomer(machine: &Machine, device: u8) -> Node {
    let node = machine.add_root(device);
    bar(machine, node, 0, MEMORY, 0x1000);
    node
}

#[test]
fn beside_a_malformed_bar_the_others_keep_their_addresses() {
    let machine = Machine::new();
    let new = newcomer(&machine, 1);
    let odd = machine.add_root(2);
    machine.set_node(odd, 0x10, 0x4000_0000, 0xffff_f000);
    bar(&machine, odd, 1, 6, 0x1000);
    bar(&machine, odd, 2, MEMORY, 0x1000);
    let function = machine.address(odd);
    let malformed = PciError::MalformedBar { function, bar: 1 };
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Err(malformed));
    assert_eq!(machine.get(function, 0x10), 0x4000_0000);
    assert_eq!(address_of(&machine, machine.address(new), 0), 0x4000_1000);
    assert_eq!(machine.get(function, 0x18), 0x4000_2000);
}

#[test]
fn a_range_that_reaches_past_a_window_blocks_what_it_covers() {
    // A bridge that forwards all from 0x4000_0000 on, where the host's window ends at 0x7fff_ffff.
    let machine = Machine::new();
    let bridge = machine.add_bridge(0, 2, [0, 1, 1]);
    machine.set_node(bridge, 0x20, 0xfff0_4000, 0xfff0_fff0);
    let new = newcomer(&machine, 3);
    let no_room = PciError::NoRoom { function: machine.address(new), bar: 0, size: 0x1000 };
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Err(no_room));

    // One that ends inside the window and one that lies above it.
    for (window, expected) in [(0x4ff0_3000, 0x5000_0000), (0xfff0_9000, 0x4000_0000)] {
        let machine = Machine::new();
        let bridge = machine.add_bridge(0, 2, [0, 1, 1]);
        machine.set_node(bridge, 0x20, window, 0xfff0_fff0);
        let new = newcomer(&machine, 3);
        assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Ok(1));
        assert_eq!(address_of(&machine, machine.address(new), 0), expected);
    }
}

#[test]
fn a_bar_that_reaches_past_a_window_blocks_what_it_covers() {
    let windows = Windows { mem32: Some(Window::identity(0x4000_1000, 0x4000)), ..Windows::default() };
    let machine = Machine::new();
    let (there, new) = (machine.add_root(1), newcomer(&machine, 2));
    machine.set_node(there, 0x10, 0x4000_0000, 0xffff_c000);
    let function = machine.address(there);
    let outside = PciError::BarOutsideWindow { function, bar: 0, address: 0x4000_0000, size: 0x4000 };
    assert_eq!(BarAllocator::new(windows).assign_all(&machine, 0), Err(outside));
    assert_eq!(address_of(&machine, machine.address(new), 0), 0x4000_4000);
}

#[test]
fn nothing_decodes_while_it_gets_an_address() {
    let machine = Machine::new();
    let node = machine.add_root(1);
    machine.set_node(node, 0x10, 0x4000_0000, 0xffff_f000);
    bar(&machine, node, 2, MEMORY64, 0x1000);
    let function = machine.address(node);
    machine.set(function, 4, 7);
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Ok(1));
    assert_eq!(address_of(&machine, function, 2), 0x4_0000_0000);
    let mut command = 7;
    for (_, offset, value) in machine.take_writes() {
        match offset {
            4 => command = value,
            _ => assert_eq!(command, 4, "{offset:#x} was written while the function decoded"),
        }
    }
    // It stays off until a driver switches it on. `address_of` puts back what it finds.
    assert_eq!(machine.get(function, 4) & 7, 4);
}

#[test]
fn a_bridge_with_a_bar_of_its_own_goes_on_forwarding() {
    let machine = Machine::new();
    let bridge = machine.add_bridge(0, 1, [0, 1, 1]);
    machine.set_node(bridge, 0x20, 0x4000_4000, 0xfff0_fff0);
    bar(&machine, bridge, 0, MEMORY, 0x1000);
    let function = machine.address(bridge);
    machine.set(function, 4, 7);
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Ok(1));
    assert_eq!(machine.get(function, 0x10), 0x4010_0000);
    assert_eq!(machine.get(function, 4) & 7, 7);
}

#[test]
fn a_bar_that_does_not_keep_its_address_is_named_and_has_none() {
    // A BAR of 16 address bits, and ports above 64 KiB.
    let io = Some(Window { bus: 0x1_8000, cpu: PhysAddr::new(0x300_0000), len: 0x1000 });
    let machine = Machine::new();
    let node = machine.add_root(1);
    machine.set_node(node, 0x10, PORTS, 0xffe0);
    let refused = Err(PciError::BarRefused { function: machine.address(node), bar: 0 });
    assert_eq!(BarAllocator::new(Windows { io, ..VIRT }).assign_all(&machine, 0), refused);
    assert_eq!(machine.get(machine.address(node), 0x10), PORTS);
}

#[test]
fn a_bar_hard_wired_to_ports_takes_none() {
    let machine = Machine::new();
    let node = machine.add_root(1);
    machine.set_node(node, 0x10, PORTS, 0);
    assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Ok(0));
}

#[test]
fn a_rom_that_is_switched_on_is_left_its_addresses() {
    for (rom, expected) in [(0x4000_0001, 0x4010_0000), (0x4000_0000, 0x4000_0000)] {
        let machine = Machine::new();
        let (there, new) = (machine.add_root(2), newcomer(&machine, 3));
        machine.set_node(there, 0x30, rom, 0xfff0_0001);
        assert_eq!(BarAllocator::new(VIRT).assign_all(&machine, 0), Ok(1));
        assert_eq!(address_of(&machine, machine.address(new), 0), expected);
        assert_eq!(machine.get(machine.address(there), 0x30), rom);
    }
}

#[test]
fn what_two_windows_share_is_given_once() {
    // The same window twice, one around the other both ways, and one that begins in the other.
    for (base, len, upper) in [
        (0x4000_0000, 0x4000_0000, 0x4000_1000),
        (0x4000_1000, 0x1000, 0x4000_1000),
        (0x3000_0000, 0x1_0000_0000, 0x8000_0000),
        (0x7000_0000, 0x2000_0000, 0x8000_0000),
    ] {
        let windows = Windows { mem64: Some(Window::identity(base, len)), ..VIRT };
        let machine = Machine::new();
        let (low, high) = (newcomer(&machine, 1), machine.add_root(2));
        bar(&machine, high, 0, MEMORY64, 0x1000);
        assert_eq!(BarAllocator::new(windows).assign_all(&machine, 0), Ok(2));
        assert_eq!(address_of(&machine, machine.address(low), 0), 0x4000_0000);
        assert_eq!(address_of(&machine, machine.address(high), 0), upper, "{base:#x}");
    }
}
