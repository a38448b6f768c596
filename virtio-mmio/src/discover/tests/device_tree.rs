//! Trees, good and bad.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use dtoolkit::fdt::Fdt;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};
use virtio_core::PhysAddr;

use crate::{Slot, TreeFault, device_tree};

fn cells(name: &str, values: &[u32]) -> DeviceTreeProperty {
    DeviceTreeProperty::new(name, values).unwrap()
}

fn text(name: &str, value: &str) -> DeviceTreeProperty {
    DeviceTreeProperty::new(name, value).unwrap()
}

fn node(name: &str, properties: impl IntoIterator<Item = DeviceTreeProperty>) -> DeviceTreeNode {
    let builder = DeviceTreeNode::builder(name).unwrap();
    properties.into_iter().fold(builder, |builder, property| builder.property(property)).build()
}

/// A slot of 512 bytes with these properties besides.
fn slot(name: &str, base: u32, more: impl IntoIterator<Item = DeviceTreeProperty>) -> DeviceTreeNode {
    let reg = [text("compatible", "virtio,mmio"), cells("reg", &[0, base, 0, 0x200])];
    node(name, reg.into_iter().chain(more))
}

/// A bus with two address cells and two size cells; with `ranges`, if there are any.
fn bus(name: &str, ranges: Option<&[u32]>, children: Vec<DeviceTreeNode>) -> DeviceTreeNode {
    let mut bus = node(name, [cells("#address-cells", &[2]), cells("#size-cells", &[2])]);
    if let Some(ranges) = ranges {
        bus.add_property(cells("ranges", ranges));
    }
    for child in children {
        bus.add_child(child);
    }
    bus
}

/// What is found below the root: base, length, controller and cells of each slot, or name and fault.
#[derive(PartialEq, Eq, Debug)]
enum Found {
    Slot(u64, usize, Option<(Option<u32>, Vec<u32>)>),
    Fault(&'static str, TreeFault),
}

fn plain(base: u64) -> Found {
    Found::Slot(base, 0x200, None)
}

fn found(root: Vec<DeviceTreeProperty>, children: Vec<DeviceTreeNode>) -> Vec<Found> {
    let mut tree = DeviceTree::new();
    for property in [cells("#address-cells", &[2]), cells("#size-cells", &[2])].into_iter().chain(root) {
        tree.root.add_property(property);
    }
    for child in children {
        tree.root.add_child(child);
    }
    let dtb = tree.to_dtb();
    let mut walk = device_tree(Fdt::new(&dtb).unwrap());
    let mut all = Vec::new();
    for answer in walk.by_ref() {
        all.push(match answer {
            Ok(found) => {
                let interrupt =
                    found.interrupt.map(|interrupt| (interrupt.controller, interrupt.cells().to_vec()));
                Found::Slot(found.slot.base.get(), found.slot.len, interrupt)
            }
            Err(error) => {
                assert!(error.to_string().contains(error.node));
                let name = ["bad@0", "other@0"].into_iter().find(|name| *name == error.node).unwrap();
                Found::Fault(name, error.fault)
            }
        });
    }
    assert!(walk.next().is_none(), "the end is the end");
    all
}

#[test]
fn slots_are_found_in_order_wherever_they_are() {
    let all = found(
        vec![],
        vec![
            slot("a@a000000", 0x0a00_0000, []),
            node("memory@0", [text("compatible", "virtio,pci"), cells("reg", &[0, 0, 0, 0x1000])]),
            bus(
                "soc",
                Some(&[]),
                vec![
                    slot("b", 0x1000, []),
                    bus("inner", Some(&[]), vec![slot("c", 0x2000, [])]),
                    slot("d", 0x3000, []),
                ],
            ),
            slot("e", 0x4000, []),
        ],
    );
    assert_eq!(all, [0x0a00_0000, 0x1000, 0x2000, 0x3000, 0x4000].map(plain));
    let (base, len) = (PhysAddr::new(0x4000), 0x200);
    assert_eq!(Slot { base, len }, crate::slots(base, len, 1).next().unwrap());
    assert_eq!(found(vec![], vec![]), []);
}

#[test]
fn interrupts_are_plain_cells_and_their_controller_is_inherited() {
    let parent = |phandle| cells("interrupt-parent", &[phandle]);
    let all = found(
        vec![parent(0x8001)],
        vec![
            slot("gic", 0x1000, [cells("interrupts", &[0, 16, 1])]),
            slot("own", 0x2000, [cells("interrupts", &[8]), parent(3)]),
            slot("extended", 0x3000, [cells("interrupts-extended", &[9, 7]), cells("interrupts", &[1])]),
            slot("none", 0x4000, []),
            node(
                "soc",
                [cells("#address-cells", &[2]), cells("#size-cells", &[2]), cells("ranges", &[]), parent(5)],
            ),
        ],
    );
    let with =
        |base, controller, cells: &[u32]| Found::Slot(base, 0x200, Some((Some(controller), cells.to_vec())));
    assert_eq!(
        all,
        [with(0x1000, 0x8001, &[0, 16, 1]), with(0x2000, 3, &[8]), with(0x3000, 9, &[7]), plain(0x4000),]
    );
    // From the bus, and from nobody.
    let mut soc = bus("soc", Some(&[]), vec![slot("b", 0x1000, [cells("interrupts", &[1])])]);
    soc.add_property(parent(5));
    let orphan = slot("c", 0x2000, [cells("interrupts", &[2])]);
    let nobody = Found::Slot(0x2000, 0x200, Some((None, vec![2])));
    assert_eq!(found(vec![], vec![soc, orphan]), [with(0x1000, 5, &[1]), nobody]);
}

#[test]
fn addresses_are_those_that_the_cpu_sees() {
    let at = |base| vec![slot("bad@0", base, [])];
    // Child, parent, length: two windows, of which the second holds the slot.
    let windows = [0, 0, 1, 0, 0, 0x1000, 0, 0x8000, 4, 0x2000, 0, 0x400];
    for (ranges, base, expected) in [
        (Some(&[][..]), 0x1000, plain(0x1000)),
        (Some(&windows), 0x200, plain(0x1_0000_0200)),
        (Some(&windows), 0x8200, plain(0x4_0000_2200)),
        (Some(&windows), 0x8204, Found::Fault("bad@0", TreeFault::Unreachable)),
        (Some(&windows), 0x4000, Found::Fault("bad@0", TreeFault::Unreachable)),
        (Some(&[1, 2, 3]), 0x1000, Found::Fault("bad@0", TreeFault::Unreachable)),
        (None, 0x1000, Found::Fault("bad@0", TreeFault::Unreachable)),
    ] {
        assert_eq!(found(vec![], vec![bus("soc", ranges, at(base))]), [expected], "{base:#x}");
    }
    // One bus in another: both count.
    let outer = [0, 0x1_0000, 0, 0x5000_0000, 0, 0x1_0000];
    let inner = bus("inner", Some(&[0, 0, 0, 0x1_8000, 0, 0x1000]), at(0x400));
    assert_eq!(found(vec![], vec![bus("outer", Some(&outer), vec![inner])]), [plain(0x5000_8400)]);
}

#[test]
fn what_is_not_okay_is_passed_over_with_all_below() {
    for (status, counts) in [
        ("okay", true),
        ("disabled", false),
        ("reserved", false),
        ("fail", false),
        ("fail-sss", false),
        ("what?", true),
    ] {
        let mut soc = bus("soc", Some(&[]), vec![slot("a", 0x1000, [])]);
        soc.add_property(text("status", status));
        let all = found(vec![], vec![soc, slot("b", 0x2000, [text("status", status)])]);
        assert_eq!(all, if counts { vec![plain(0x1000), plain(0x2000)] } else { vec![] }, "{status}");
    }
}

#[test]
fn each_fault_has_its_name_and_stops_nothing() {
    let bad = |reg: Option<&[u32]>| {
        let mut bad = node("bad@0", [text("compatible", "virtio,mmio")]);
        if let Some(reg) = reg {
            bad.add_property(cells("reg", reg));
        }
        bad
    };
    let irq = |name, values: &[u32]| slot("bad@0", 0x1000, [cells(name, values)]);
    for (node, fault) in [
        (bad(None), TreeFault::NoRegisters),
        (bad(Some(&[])), TreeFault::NoRegisters),
        (bad(Some(&[0, 0x1000, 0])), TreeFault::Registers),
        (bad(Some(&[0, 0x1000, 0, 0])), TreeFault::Registers),
        (bad(Some(&[0, 0x1002, 0, 0x200])), TreeFault::Registers),
        (bad(Some(&[u32::MAX, 0xffff_ff00, 0, 0x200])), TreeFault::Registers),
        (irq("interrupts", &[]), TreeFault::Interrupt),
        (irq("interrupts", &[1, 2, 3, 4, 5]), TreeFault::Interrupt),
        (irq("interrupts-extended", &[1]), TreeFault::Interrupt),
        (irq("interrupts-extended", &[]), TreeFault::Interrupt),
        (irq("interrupts-extended", &[1, 2, 3, 4, 5, 6]), TreeFault::Interrupt),
        // Three bytes, with the zero.
        (slot("bad@0", 0x1000, [text("interrupts", "od")]), TreeFault::Interrupt),
    ] {
        let all = found(vec![], vec![node, slot("good", 0x2000, [])]);
        assert_eq!(all, [Found::Fault("bad@0", fault), plain(0x2000)]);
    }
}

#[test]
fn addresses_wider_than_64_bits_are_named() {
    let mut soc =
        node("soc", [cells("#address-cells", &[3]), cells("#size-cells", &[1]), cells("ranges", &[])]);
    soc.add_child(node("bad@0", [text("compatible", "virtio,mmio"), cells("reg", &[0, 0, 0x1000, 0x200])]));
    assert_eq!(found(vec![], vec![soc]), [Found::Fault("bad@0", TreeFault::Registers)]);
}

#[test]
fn slots_in_a_nest_of_buses_are_found_down_to_a_depth() {
    for (buses, reached) in [(0, true), (7, true), (8, false), (40, false)] {
        let nest = (0..buses).fold(slot("deep", 0x1000, []), |node, _| bus("bus", Some(&[]), vec![node]));
        let mut expected = vec![plain(0x2000)];
        if reached {
            expected.insert(0, plain(0x1000));
        }
        assert_eq!(found(vec![], vec![nest, slot("beside", 0x2000, [])]), expected, "{buses}");
    }
}

#[test]
fn absurdly_wide_addresses_are_named() {
    // Their sum, in bytes, is 4 where `usize` has 32 bits.
    for (address, size) in [(0x4000_0000, 1), (1, 0x4000_0000), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
        let wide = || [cells("#address-cells", &[address]), cells("#size-cells", &[size])];
        let bad = |reg: &[u32]| node("bad@0", [text("compatible", "virtio,mmio"), cells("reg", reg)]);
        let mut soc = node("soc", wide().into_iter().chain([cells("ranges", &[])]));
        soc.add_child(bad(&[7]));
        assert_eq!(found(vec![], vec![soc]), [Found::Fault("bad@0", TreeFault::Registers)]);
        // A bus on the way, between two that are in order.
        let mut soc = node("soc", wide().into_iter().chain([cells("ranges", &[7])]));
        soc.add_child(bus("inner", Some(&[]), vec![slot("bad@0", 0x1000, [])]));
        let [Found::Fault("bad@0", _)] = found(vec![], vec![soc])[..] else { panic!("not refused") };
    }
}
