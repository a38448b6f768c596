//! Made-up PCI buses that route by bus numbers, as real ones do.

use alloc::vec;
use alloc::vec::Vec;

use super::bench::Shared;
use crate::{ConfigAccess, FunctionAddress};

/// One function of the machine, wherever its bus number puts it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Node(usize);

#[derive(Debug)]
struct Slot {
    place: Place,
    /// Device and function number.
    devfn: u8,
    values: [u32; 64],
    writable: [u32; 64],
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Bus(u8),
    Behind(Node),
}

#[derive(Default, Debug)]
pub(crate) struct Machine {
    slots: Shared<Vec<Slot>>,
    writes: Shared<Vec<(FunctionAddress, u16, u32)>>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn put(&self, place: Place, devfn: u8) -> Node {
        let mut slot = Slot { place, devfn, values: [0; 64], writable: [0; 64] };
        slot.values[0] = 0x1234_8086;
        slot.writable[1] = 7; // command: I/O, memory, master
        let mut slots = self.slots.borrow_mut();
        slots.push(slot);
        Node(slots.len() - 1)
    }

    fn put_bridge(&self, place: Place, devfn: u8) -> Node {
        let node = self.put(place, devfn);
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[node.0];
        slot.values[2] = 0x0604_0000;
        slot.values[3] = 1 << 16;
        slot.writable[6] = u32::MAX;
        // As a root port of QEMU comes out of reset: closed, 32-bit I/O, 64-bit prefetchable.
        (slot.values[7], slot.writable[7]) = (0x0000_01f1, 0x0000_f0f0);
        (slot.values[8], slot.writable[8]) = (0x0000_fff0, 0xfff0_fff0);
        (slot.values[9], slot.writable[9]) = (0x0001_fff1, 0xfff0_fff0);
        for upper in [10, 11, 12] {
            slot.writable[upper] = u32::MAX;
        }
        node
    }

    /// A function on a bus whose number is fixed.
    pub(crate) fn add(&self, bus: u8, device: u8, function: u8) -> FunctionAddress {
        self.put(Place::Bus(bus), device << 3 | function);
        FunctionAddress::new(bus, device, function).unwrap()
    }

    /// A device on bus 0.
    pub(crate) fn add_root(&self, device: u8) -> Node {
        self.put(Place::Bus(0), device << 3)
    }

    /// A bridge on a bus whose number is fixed, with its bus numbers.
    pub(crate) fn add_bridge(&self, bus: u8, device: u8, [primary, secondary, subordinate]: [u8; 3]) -> Node {
        let node = self.put_bridge(Place::Bus(bus), device << 3);
        self.slots.borrow_mut()[node.0].values[6] = u32::from_le_bytes([primary, secondary, subordinate, 0]);
        node
    }

    /// A bridge behind another.
    pub(crate) fn add_bridge_behind(&self, bridge: Node, device: u8) -> Node {
        self.put_bridge(Place::Behind(bridge), device << 3)
    }

    /// A device behind a bridge.
    pub(crate) fn add_behind(&self, bridge: Node, device: u8) -> Node {
        self.put(Place::Behind(bridge), device << 3)
    }

    /// Where a function is now.
    pub(crate) fn address(&self, node: Node) -> FunctionAddress {
        let slots = self.slots.borrow();
        let bus = Self::bus_of(&slots, node).expect("the way to the function has bus numbers");
        FunctionAddress::from_number(u16::from_be_bytes([bus, slots[node.0].devfn]))
    }

    /// Sets a read-only value, or the present value of a writable register. Not recorded.
    pub(crate) fn set(&self, function: FunctionAddress, offset: u16, value: u32) {
        let node = self.find(function).unwrap();
        self.slots.borrow_mut()[node.0].values[usize::from(offset / 4)] = value;
    }

    /// Sets a register and which of its bits can be written.
    pub(crate) fn set_register(&self, function: FunctionAddress, offset: u16, value: u32, writable: u32) {
        let node = self.find(function).unwrap();
        self.set_node(node, offset, value, writable);
    }

    /// As `set_register`, for a function that no bus number leads to yet.
    pub(crate) fn set_node(&self, node: Node, offset: u16, value: u32, writable: u32) {
        let slot = &mut self.slots.borrow_mut()[node.0];
        slot.values[usize::from(offset / 4)] = value;
        slot.writable[usize::from(offset / 4)] = writable;
    }

    pub(crate) fn get(&self, function: FunctionAddress, offset: u16) -> u32 {
        let node = self.find(function).unwrap();
        self.slots.borrow()[node.0].values[usize::from(offset / 4)]
    }

    pub(crate) fn set_multi_function(&self, function: FunctionAddress) {
        self.set(function, 0x0c, 0x80 << 16);
    }

    /// No function is left, and nothing was written.
    pub(crate) fn clear(&self) {
        self.slots.take();
        self.writes.take();
    }

    /// All writes since the last call, as they were asked for.
    pub(crate) fn take_writes(&self) -> Vec<(FunctionAddress, u16, u32)> {
        self.writes.take()
    }

    fn buses(slot: &Slot) -> [u8; 3] {
        let [primary, secondary, subordinate, _] = slot.values[6].to_le_bytes();
        [primary, secondary, subordinate]
    }

    /// The bus of a function, if every bridge on the way forwards to it.
    fn bus_of(slots: &[Slot], node: Node) -> Option<u8> {
        let (mut place, mut bus) = (slots[node.0].place, None);
        loop {
            match place {
                Place::Bus(fixed) => return bus.or(Some(fixed)),
                Place::Behind(bridge) => {
                    let [_, secondary, subordinate] = Self::buses(&slots[bridge.0]);
                    let wanted = *bus.get_or_insert(secondary);
                    if secondary == 0 || !(secondary..=subordinate).contains(&wanted) {
                        return None;
                    }
                    place = slots[bridge.0].place;
                }
            }
        }
    }

    fn find(&self, function: FunctionAddress) -> Option<Node> {
        let slots = self.slots.borrow();
        let [bus, devfn] = function.number().to_be_bytes();
        let hits: Vec<Node> = (0..slots.len())
            .map(Node)
            .filter(|&node| slots[node.0].devfn == devfn && Self::bus_of(&slots, node) == Some(bus))
            .collect();
        assert!(hits.len() <= 1, "{function} is answered twice");
        hits.first().copied()
    }

    /// A virtio GPU as QEMU 7.2 shows it: a 64-bit prefetchable BAR 4 of 16 KiB with four structures.
    pub(crate) fn add_gpu(&self, bus: u8, device: u8) -> FunctionAddress {
        let gpu = self.add(bus, device, 0);
        self.set(gpu, 0x00, 0x1050_1af4);
        self.set(gpu, 0x04, 0x0010_0000);
        self.set(gpu, 0x08, 0x0380_0001);
        self.set_register(gpu, 0x20, 0x4000_000c, 0xffff_c000);
        self.set_register(gpu, 0x24, 0, u32::MAX);
        self.set(gpu, 0x34, 0x40);
        let caps: [(u16, [u8; 4], u32, u32); 4] = [
            (0x40, [9, 0x50, 16, 1], 0, 0x1000),
            (0x50, [9, 0x60, 16, 3], 0x1000, 0x1000),
            (0x60, [9, 0x70, 16, 4], 0x2000, 0x1000),
            (0x70, [9, 0, 20, 2], 0x3000, 0x1000),
        ];
        for (at, head, offset, len) in caps {
            self.set(gpu, at, u32::from_le_bytes(head));
            self.set(gpu, at + 4, 4);
            self.set(gpu, at + 8, offset);
            self.set(gpu, at + 12, len);
        }
        self.set(gpu, 0x80, 4);
        self.set(gpu, 0x3c, 0x0100); // INTA
        gpu
    }

    /// As `add_gpu`, with MSI-X: the table and its pending bits in BAR 1, as in QEMU 7.2.
    pub(crate) fn add_gpu_with_msix(&self, bus: u8, device: u8, vectors: u16) -> FunctionAddress {
        let gpu = self.add_gpu(bus, device);
        self.set(gpu, 0x34, 0x98);
        self.set_register(gpu, 0x98, u32::from(vectors - 1) << 16 | 0x4011, 0xc000_0000);
        self.set(gpu, 0x9c, 1);
        self.set(gpu, 0xa0, 0x8001);
        self.set_register(gpu, 0x14, 0x4100_0000, 0xffff_0000);
        gpu
    }

    /// Adds a shared-memory region (VIRTIO 1.4 §4.1.4.7) in front of the list: id, BAR, offset, length.
    pub(crate) fn add_shared_memory(
        &self,
        gpu: FunctionAddress,
        at: u16,
        id: u8,
        bar: u8,
        [offset, len]: [u64; 2],
    ) {
        let next = self.get(gpu, 0x34);
        self.set(gpu, 0x34, at.into());
        self.set(gpu, at, 9 | next << 8 | 24 << 16 | 8 << 24);
        self.set(gpu, at + 4, u32::from(id) << 8 | u32::from(bar));
        for (place, value) in [(8, offset), (12, len)] {
            let [low, high] = [value & 0xffff_ffff, value >> 32].map(|half| u32::try_from(half).unwrap());
            self.set(gpu, at + place, low);
            self.set(gpu, at + place + 8, high);
        }
    }
}

impl ConfigAccess for Machine {
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
        match self.find(function) {
            Some(node) if offset < 256 => self.slots.borrow()[node.0].values[usize::from(offset / 4)],
            _ => u32::MAX,
        }
    }

    fn write32(&self, function: FunctionAddress, offset: u16, value: u32) {
        self.writes.borrow_mut().push((function, offset, value));
        if let Some(node) = self.find(function) {
            let slot = &mut self.slots.borrow_mut()[node.0];
            let register = usize::from(offset / 4);
            let writable = slot.writable[register];
            slot.values[register] = slot.values[register] & !writable | value & writable;
        }
    }
}

#[test]
fn the_machine_routes_by_bus_numbers() {
    let machine = Machine::new();
    let bridge = machine.add_bridge(0, 1, [0, 0, 0]);
    let device = machine.add_behind(bridge, 3);
    assert_eq!(machine.read32(FunctionAddress::new(0, 3, 0).unwrap(), 0), u32::MAX);
    machine.write32(FunctionAddress::new(0, 1, 0).unwrap(), 0x18, 0x0007_0700);
    assert_eq!(machine.address(device), FunctionAddress::new(7, 3, 0).unwrap());
    assert_eq!(machine.read32(machine.address(device), 0), 0x1234_8086);
    assert_eq!(vec![(FunctionAddress::new(0, 1, 0).unwrap(), 0x18, 0x0007_0700)], machine.take_writes());
}
