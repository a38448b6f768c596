use super::*;
use alloc::format;
use alloc::vec::Vec;
use dtoolkit::memreserve::MemoryReservation;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};

const MIB: u64 = 1 << 20;

fn cells(name: &str, values: &[u32]) -> DeviceTreeProperty {
    DeviceTreeProperty::new(name, values).unwrap()
}

fn node(name: &str, properties: impl IntoIterator<Item = DeviceTreeProperty>) -> DeviceTreeNode {
    let builder = DeviceTreeNode::builder(name).unwrap();
    properties.into_iter().fold(builder, |builder, property| builder.property(property)).build()
}

fn text(name: &str, value: &str) -> DeviceTreeProperty {
    DeviceTreeProperty::new(name, value).unwrap()
}

/// A tree with two address cells and two size cells, as QEMU makes them, with 128 MiB of RAM at 1 GiB.
fn tree() -> DeviceTree {
    let mut tree = DeviceTree::new();
    tree.root.add_property(cells("#address-cells", &[2]));
    tree.root.add_property(cells("#size-cells", &[2]));
    tree.root.add_child(node(
        "memory@40000000",
        [text("device_type", "memory"), cells("reg", &[0, 0x4000_0000, 0, 0x0800_0000])],
    ));
    tree
}

fn slot(base: u32) -> DeviceTreeNode {
    node(
        &format!("virtio_mmio@{base:x}"),
        [text("compatible", "virtio,mmio"), cells("reg", &[0, base, 0, 0x200])],
    )
}

fn read(tree: &DeviceTree) -> Result<Board, BoardError> {
    Board::read(Fdt::new(&tree.to_dtb()).unwrap())
}

#[test]
fn memory_and_slots() {
    let mut tree = tree();
    for slot_number in 0..32 {
        tree.root.add_child(slot(0x0a00_0000 + slot_number * 0x200));
    }
    let board = read(&tree).unwrap();
    assert_eq!(board.ram, 0x4000_0000..0x4800_0000);
    let machine = board.machine();
    assert_eq!(machine.mmio.len(), 32);
    let mut bases: Vec<u64> = machine.mmio.iter().map(|slot| slot.base.get()).collect();
    bases.sort_unstable();
    assert_eq!(bases.first(), Some(&0x0a00_0000));
    assert_eq!(bases.last(), Some(&0x0a00_3e00));
    assert!(machine.mmio.iter().all(|slot| slot.len == 0x200));
    assert_eq!(machine.pci, None);
}

#[test]
fn the_time_counter_has_a_frequency() {
    let mut tree = tree();
    assert_eq!(read(&tree).unwrap().timebase, None);
    tree.root.add_child(node("cpus", [cells("timebase-frequency", &[10_000_000])]));
    assert_eq!(read(&tree).unwrap().timebase, Some(10_000_000));
    tree.root.remove_child("cpus");
    tree.root.add_child(node("cpus", [cells("timebase-frequency", &[0])]));
    assert_eq!(read(&tree).unwrap().timebase, None);
}

#[test]
fn slots_below_a_bus_count_and_disabled_ones_do_not() {
    let mut tree = tree();
    let mut bus = node(
        "soc",
        [text("compatible", "simple-bus"), cells("#address-cells", &[2]), cells("#size-cells", &[2])],
    );
    bus.add_child(slot(0x1000_1000));
    let mut disabled = slot(0x1000_2000);
    disabled.add_property(text("status", "disabled"));
    bus.add_child(disabled);
    tree.root.add_child(bus);
    let board = read(&tree).unwrap();
    assert_eq!(
        board.machine().mmio,
        [MmioSlot { base: PhysAddr::new(0x1000_1000), len: 0x200, interrupt: None }]
    );
}

#[test]
fn pci_windows() {
    let mut tree = tree();
    let ranges = [
        [0x0100_0000, 0, 0, 0, 0x3eff_0000, 0, 0x1_0000],
        [0x0200_0000, 0, 0x1000_0000, 0, 0x1000_0000, 0, 0x2eff_0000],
        [0x0300_0000, 0x80, 0, 0x80, 0, 0x80, 0],
    ];
    tree.root.add_child(node(
        "pcie@10000000",
        [
            text("compatible", "pci-host-ecam-generic"),
            cells("#address-cells", &[3]),
            cells("#size-cells", &[2]),
            cells("reg", &[0x40, 0x1000_0000, 0, 0x1000_0000]),
            cells("bus-range", &[0, 255]),
            cells("ranges", ranges.as_flattened()),
        ],
    ));
    let host = read(&tree).unwrap().machine().pci.unwrap();
    assert_eq!(host.config, PciConfig::Ecam { base: PhysAddr::new(0x40_1000_0000), len: 0x1000_0000 });
    assert_eq!(host.buses, 0..=255);
    let windows = host.windows;
    assert_eq!(windows.mem32, Some(Window::identity(0x1000_0000, 0x2eff_0000)));
    assert_eq!(windows.mem64, Some(Window::identity(0x80_0000_0000, 0x80_0000_0000)));
    assert_eq!(windows.io, Some(Window { bus: 0, cpu: PhysAddr::new(0x3eff_0000), len: 0x1_0000 }));
}

#[test]
fn broken_nodes_are_passed_over() {
    let mut tree = tree();
    let strange =
        |name: &str, reg: &[u32]| node(name, [text("compatible", "virtio,mmio"), cells("reg", reg)]);
    tree.root.add_child(strange("a", &[1, 2, 3]));
    tree.root.add_child(strange("b", &[u32::MAX, u32::MAX, 0, 2]));
    tree.root.add_child(strange("c", &[0, 1, 0, 0]));
    tree.root.add_child(node("d", [text("compatible", "virtio,mmio")]));
    tree.root
        .add_child(node("e", [text("compatible", "pci-host-ecam-generic"), cells("bus-range", &[0, 999])]));
    let board = read(&tree).unwrap();
    assert_eq!(board.machine(), Machine::default());
}

#[test]
fn what_does_not_fit_is_an_error() {
    let mut none = tree();
    none.root.remove_child("memory@40000000");
    assert_eq!(read(&none).unwrap_err(), BoardError::NoMemory);
    let mut slots = tree();
    let many = u32::try_from(MAX_SLOTS).unwrap() + 1;
    (0..many).for_each(|number| slots.root.add_child(slot(number * 0x200)));
    assert_eq!(read(&slots).unwrap_err(), BoardError::TooManySlots);
    let mut reserved = tree();
    reserved.memory_reservations =
        (0..=MAX_RESERVED).map(|_| MemoryReservation::new(0x4000_0000, 4096)).collect();
    assert_eq!(read(&reserved).unwrap_err(), BoardError::TooManyReserved);
}

#[test]
fn free_ram_is_the_largest_gap() {
    let mut tree = tree();
    let ram = 0x4000_0000;
    tree.memory_reservations = [MemoryReservation::new(ram, MIB)].into();
    let mut firmware = node(
        "reserved-memory",
        [cells("#address-cells", &[2]), cells("#size-cells", &[2]), text("ranges", "")],
    );
    firmware.add_child(node("firmware@40000000", [cells("reg", &[0, 0x4000_0000, 0, 0x20_0000])]));
    tree.root.add_child(firmware);
    let board = read(&tree).unwrap();
    let end = ram + 128 * MIB;
    let at = |from: u64, to: u64| ram + from * MIB..ram + to * MIB;
    assert_eq!(board.free_ram(&[]), at(2, 128));
    assert_eq!(board.free_ram(&[at(2, 3), at(64, 65)]), at(65, 128));
    assert_eq!(board.free_ram(&[at(2, 3), at(100, 101)]), at(3, 100));
    assert_eq!(board.free_ram(&[at(4, 50), at(40, 60), at(126, 200)]), at(60, 126));
    assert!(board.free_ram(&[at(0, 128)]).is_empty());
    assert_eq!(board.free_ram(&[0..ram, end..end + MIB, 7..7]), at(2, 128));
}

/// Whatever bytes are changed in a tree, reading it ends, with a board or an error.
#[test]
fn damaged_trees_do_no_harm() {
    let mut tree = tree();
    (0..3).for_each(|number| tree.root.add_child(slot(0x1000 * (number + 1))));
    let good = tree.to_dtb();
    let mut accepted = 0;
    for position in 0..good.len() {
        for value in [0, 1, 3, 9, 0x7f, 0xff] {
            let mut bad = good.clone();
            bad[position] = value;
            if let Ok(fdt) = Fdt::new(&bad) {
                accepted += usize::from(Board::read(fdt).is_ok());
            }
        }
    }
    assert!(accepted > 0);
}

const GIC: u32 = 0x8001;

/// A GIC as QEMU describes it, version 2 with a frame for messages or version 3.
fn gic(version: u32) -> DeviceTreeNode {
    let (name, second) =
        if version == 2 { ("arm,cortex-a15-gic", 0x0801_0000) } else { ("arm,gic-v3", 0x080a_0000) };
    let mut gic = node(
        "intc@8000000",
        [
            text("compatible", name),
            cells("reg", &[0, 0x0800_0000, 0, 0x1_0000, 0, second, 0, 0x1_0000]),
            cells("#address-cells", &[2]),
            cells("#size-cells", &[2]),
            cells("#interrupt-cells", &[3]),
            cells("phandle", &[GIC]),
            text("ranges", ""),
        ],
    );
    if version == 2 {
        gic.add_child(node(
            "v2m@8020000",
            [text("compatible", "arm,gic-v2m-frame"), cells("reg", &[0, 0x0802_0000, 0, 0x1000])],
        ));
    }
    gic
}

fn with(mut node: DeviceTreeNode, property: DeviceTreeProperty) -> DeviceTreeNode {
    node.add_property(property);
    node
}

/// A bridge whose interrupt map has these cells.
fn bridge(mask: &[u32], map: &[u32]) -> DeviceTreeNode {
    node(
        "pcie@10000000",
        [
            text("compatible", "pci-host-ecam-generic"),
            cells("#address-cells", &[3]),
            cells("#size-cells", &[2]),
            cells("reg", &[0x40, 0x1000_0000, 0, 0x1000_0000]),
            cells("interrupt-map-mask", mask),
            cells("interrupt-map", map),
        ],
    )
}

#[test]
fn numbers_are_those_of_the_gic() {
    for version in [2, 3] {
        let mut tree = tree();
        // Behind what refers to it.
        tree.root.add_child(with(slot(0x0a00_0000), cells("interrupts", &[0, 16, 1])));
        tree.root.add_child(with(
            with(slot(0x0a00_0200), cells("interrupts", &[0, 17, 1])),
            cells("interrupt-parent", &[GIC + 1]),
        ));
        tree.root.add_child(node(
            "pl011@9000000",
            [text("compatible", "arm,pl011"), cells("interrupts", &[0, 1, 4])],
        ));
        let mut map = Vec::new();
        for device in 0..4 {
            for pin in 1..=4 {
                let number = 3 + (device + pin - 1) % 4;
                map.extend([device << 11, 0, 0, pin, GIC, 0, 0, 0, number, 4]);
            }
        }
        tree.root.add_child(bridge(&[0x1800, 0, 0, 7], &map));
        tree.root.add_child(gic(version));
        let board = read(&tree).unwrap();
        let machine = board.machine();
        let of = |base| machine.mmio.iter().find(|slot| slot.base.get() == base).unwrap().interrupt;
        assert_eq!(of(0x0a00_0000), Some(48));
        assert_eq!(of(0x0a00_0200), None, "it is another controller's");
        assert_eq!(board.serial_interrupt, Some(33));
        let intx = machine.pci.unwrap().intx.unwrap();
        assert_eq!([intx.line(0, 1), intx.line(1, 1), intx.line(6, 2)], [Some(35), Some(36), Some(38)]);
        assert_eq!([intx.line(31, 4), intx.line(0, 0), intx.line(0, 5)], [Some(37), None, None]);
        let distributor = 0x0800_0000;
        let wanted = if version == 2 {
            Controller::GicV2 { distributor, cpu: 0x0801_0000, messages: Some(0x0802_0000) }
        } else {
            Controller::GicV3 { distributor, redistributor: 0x080a_0000 }
        };
        assert_eq!(board.controller(), Some(wanted));
    }
}

#[test]
fn numbers_are_those_of_the_plic() {
    let mut tree = tree();
    let mut soc = node(
        "soc",
        [text("compatible", "simple-bus"), cells("#address-cells", &[2]), cells("#size-cells", &[2])],
    );
    let ours = |node| with(node, cells("interrupt-parent", &[9]));
    soc.add_child(ours(with(slot(0x1000_1000), cells("interrupts", &[1]))));
    soc.add_child(ours(node("serial", [text("compatible", "ns16550a"), cells("interrupts", &[10])])));
    let map: Vec<u32> = (0..4)
        .flat_map(|device| (1..=4).map(move |pin| (device, pin)))
        .flat_map(|(device, pin)| [device << 11, 0, 0, pin, 9, 32 + (device + pin - 1) % 4])
        .collect();
    soc.add_child(bridge(&[0x1800, 0, 0, 7], &map));
    soc.add_child(node(
        "plic@c000000",
        [
            text("compatible", "sifive,plic-1.0.0"),
            cells("reg", &[0, 0x0c00_0000, 0, 0x60_0000]),
            cells("#interrupt-cells", &[1]),
            cells("#address-cells", &[0]),
            cells("interrupts-extended", &[4, 11, 4, 9]),
            cells("phandle", &[9]),
        ],
    ));
    tree.root.add_child(soc);
    let board = read(&tree).unwrap();
    assert_eq!(board.machine().mmio[0].interrupt, Some(1));
    assert_eq!(board.serial_interrupt, Some(10));
    assert_eq!(board.controller(), Some(Controller::Plic { base: 0x0c00_0000, context: 1 }));
    let intx = board.machine().pci.unwrap().intx.unwrap();
    assert_eq!([intx.line(1, 1), intx.line(3, 2)], [Some(33), Some(32)]);
}

#[test]
fn a_map_that_is_not_understood_is_none() {
    let entry = [0, 0, 0, 1, GIC, 0, 0, 0, 3, 4];
    let read = |mask: &[u32], map: &[u32]| {
        let mut tree = tree();
        tree.root.add_child(bridge(mask, map));
        tree.root.add_child(gic(2));
        read(&tree).unwrap().machine().pci.unwrap().intx
    };
    // One entry for all.
    assert_eq!(read(&[0, 0, 0, 0], &entry), Some(Intx([[35; 4]; 4])));
    assert_eq!(read(&[0x1800, 0, 0, 7], &entry), None, "pins without an entry");
    assert_eq!(read(&[0xf800, 0, 0, 7], &entry), None, "devices are told apart by more than two bits");
    assert_eq!(read(&[0, 0, 0, 0], &entry[..8]), None, "an entry that is cut off");
    assert_eq!(read(&[0, 0], &entry), None);
    let mut others = entry;
    others[4] = 7;
    assert_eq!(read(&[0, 0, 0, 0], &others), None, "another controller");
}

#[test]
fn the_command_line_is_read() {
    let mut tree = tree();
    assert_eq!(read(&tree).unwrap().options, Options::default());
    tree.root.add_child(node("chosen", [text("bootargs", "console=ttyAMA0 polled")]));
    assert_eq!(read(&tree).unwrap().options, Options { polled: true, pool: false });
}
