//! Which cases there are.

use qemu_bench::{
    Board, Device, Disk, Kind, Machine, MmioV1, MmioV2, Options, PciLegacy, PciModern, PciMsix, PciWindow,
    Place, Rings, Way,
};

use crate::case::Group;
use crate::{blk, events, gpu, input, interrupts, legacy, messages, negative, queue_reset, rng};

/// The devices that the matrix is made of, and those that come once.
const KINDS: [Kind; 4] = [Kind::Gpu, Kind::Keyboard, Kind::Rng, Kind::Blk];

/// Hands out places for devices.
pub(crate) struct Places {
    pub(crate) pci: bool,
    pub(crate) next: usize,
}

impl Places {
    pub(crate) fn next(&mut self) -> Place {
        let number = self.next;
        self.next += 1;
        // Several functions a device, so that the walk meets those too; numbers from 1, for q35 has its own at the end.
        if self.pci {
            Place::Function((1 + number / 4) as u8, (number % 4) as u8)
        } else {
            Place::Slot(number)
        }
    }
}

/// How a machine is to be filled.
#[derive(Clone, Copy)]
struct Fill {
    board: Board,
    rings: &'static [Rings],
    kinds: &'static [Kind],
    /// Properties of devices that have a legacy form, on PCI.
    properties: &'static str,
    /// Devices that come once: their names, what they are, and their properties.
    more: &'static [(&'static str, Kind, &'static str)],
}

/// Devices that come once.
type More = &'static [(&'static str, Kind, &'static str)];

/// A disk whose requests can be held up.
const BREAKABLE: &str = "breakable";
const DISK: (&str, Kind, &str) = (BREAKABLE, Kind::Blk, "");
const TABLET: (&str, Kind, &str) = ("tablet", Kind::Tablet, "");
const MOUSE: (&str, Kind, &str) = ("mouse", Kind::Mouse, "");

/// A group for a machine that is filled so, still without cases.
fn group<W: Way>(pci: bool, fill: &Fill) -> Group {
    let mut places = Places { pci, next: 0 };
    let mut devices = Vec::new();
    for &rings in fill.rings {
        for &kind in fill.kinds {
            let mut device = Device::new(kind, rings, places.next());
            if kind.was_legacy() && pci {
                device.properties.push_str(fill.properties);
            }
            devices.push(device);
        }
    }
    for &(name, kind, properties) in fill.more {
        let device = Device::new(kind, fill.rings[0], places.next()).with(name, properties);
        devices.push(if name == BREAKABLE { device.over(Disk::BREAKABLE) } else { device });
    }
    let options = Options { board: fill.board, mmio_legacy: W::LEGACY, devices };
    Group { way: W::NAME, options, cases: Vec::new() }
}

/// The devices that the matrix is made of: those that have the name of their kind and rings.
fn plain(group: &Group) -> Vec<Device> {
    let devices = group.options.devices.iter();
    devices
        .filter(|device| device.id == Device::new(device.kind, device.rings, device.place).id)
        .cloned()
        .collect()
}

/// What holds on every transport.
fn common<W: Way>(group: &mut Group) {
    type Check = fn(&Machine, &Device);
    let of_kind = |kind: Kind| -> &'static [(&'static str, Check)] {
        match kind {
            Kind::Gpu => &[("gpu", gpu::pictures::<W>)],
            Kind::Keyboard => {
                &[("keyboard", input::keyboard::<W>), ("keyboard awaited", input::awaited::<W>)]
            }
            Kind::Rng => &[
                ("rng", rng::polled::<W>),
                ("rng blocking", rng::blocking::<W>),
                ("rng awaited", rng::awaited::<W>),
                ("rng driver", rng::driver::<W>),
                ("interrupts", interrupts::asked_for::<W>),
            ],
            Kind::Blk => &[
                ("blk", blk::write_and_read::<W>),
                ("blk borrowed", blk::borrowed::<W>),
                ("blk raw", blk::raw::<W>),
            ],
            Kind::Tablet | Kind::Mouse | Kind::Net | Kind::Console => &[],
        }
    };
    for device in plain(group) {
        for (what, check) in of_kind(device.kind) {
            group.case(what, &device.id, check);
        }
    }
    for device in group.options.devices.clone() {
        match device.kind {
            Kind::Tablet => group.case("tablet", &device.id, input::tablet::<W>),
            Kind::Mouse => group.case("mouse", &device.id, input::mouse::<W>),
            Kind::Blk if device.disk == Disk::BREAKABLE => {
                group.case("blk out of order", &device.id, blk::out_of_order::<W>)
            }
            _ => {}
        }
    }
    // Once a machine.
    let (rng, blk) = (first(group, Kind::Rng), first(group, Kind::Blk));
    group.case("wrong declarations", &rng, negative::wrong_declarations::<W>);
    group.case("given up half-way", &rng, negative::given_up_half_way::<W>);
    group.case("past the iommu", &rng, negative::past_the_iommu::<W>);
    group.case("unfit for a confidential guest", &rng, negative::confidential::<W>);
    group.case("configuration changes", &blk, events::config_changes::<W>);
    let rich = plain(group).into_iter().rev().find(|device| device.kind == Kind::Rng).expect("an rng").id;
    group.case("ring features declined", &rich, negative::declined::<W>);
    if W::VECTORS == 1 {
        group.case("an interrupt is told once", &rng, interrupts::told_once::<W>);
        group.case("a reset lowers the line", &rng, interrupts::reset_lowers_it::<W>);
    }
    if W::LEGACY {
        group.case("legacy features", &rng, negative::legacy_features::<W>);
    }
}

/// What legacy devices have not.
fn modern<W: Way>(group: &mut Group) {
    for device in plain(group) {
        match device.kind {
            Kind::Rng => {
                if !device.rings.packed {
                    group.case("no memory there", &device.id, events::no_memory_there::<W>);
                }
                if device.rings.indirect && !device.rings.packed {
                    group.case("mixed chain", &device.id, events::mixed_chain::<W>);
                }
                group.case("wide features", &device.id, negative::wide_features::<W>);
            }
            Kind::Blk => group.case("needs a reset", &device.id, events::needs_reset::<W>),
            _ => {}
        }
    }
    if group.options.devices.iter().any(|device| device.id == "iommu") {
        group.case("behind an iommu", "iommu", negative::behind_an_iommu::<W>);
        group.case("confidential", "iommu", negative::confidential::<W>);
    }
}

/// The first one of the matrix.
fn first(group: &Group, kind: Kind) -> String {
    group.options.devices.iter().find(|device| device.kind == kind).expect("one of the kind").id.clone()
}

/// Two kinds of rings, where there is little room.
pub(crate) const FEW_SPLIT: [Rings; 1] = [Rings::DEFAULT];
pub(crate) const FEW_PACKED: [Rings; 1] = [Rings { packed: true, ..Rings::DEFAULT }];
pub(crate) const SPLIT: [Rings; 4] = Rings::all(false);
pub(crate) const PACKED: [Rings; 4] = Rings::all(true);

/// What else there is room for.
fn more(board: &Board, all: More) -> More {
    if board.slots.is_some_and(|slots| slots.count > 8) { all } else { &[] }
}

fn mmio_v1(board: Board, rings: &'static [Rings]) -> Group {
    let more = more(&board, &[TABLET, MOUSE, DISK]);
    let mut group = group::<MmioV1>(false, &Fill { board, rings, kinds: &KINDS, properties: "", more });
    common::<MmioV1>(&mut group);
    group.case("empty slots", &first(&group, Kind::Rng), negative::empty_slots);
    group
}

fn mmio_v2(board: Board, rings: &'static [Rings]) -> Group {
    let more = more(&board, &[TABLET, MOUSE, DISK, ("iommu", Kind::Rng, ",iommu_platform=on")]);
    let mut group = group::<MmioV2>(false, &Fill { board, rings, kinds: &KINDS, properties: "", more });
    common::<MmioV2>(&mut group);
    modern::<MmioV2>(&mut group);
    for rng in rngs(&group) {
        group.case("queue reset ignored", &rng, queue_reset::ignored::<MmioV2>);
    }
    group.case("empty slots", &first(&group, Kind::Rng), negative::empty_slots);
    group
}

/// Any way to the modern interface.
fn pci<W: Way>(board: Board, rings: &'static [Rings]) -> Group {
    let more: More = &[
        TABLET,
        MOUSE,
        (BREAKABLE, Kind::Blk, ",disable-legacy=on"),
        ("iommu", Kind::Rng, ",disable-legacy=on,iommu_platform=on"),
        ("no-msix", Kind::Rng, ",disable-legacy=on,vectors=0"),
    ];
    let mut group =
        group::<W>(true, &Fill { board, rings, kinds: &KINDS, properties: ",disable-legacy=on", more });
    common::<W>(&mut group);
    modern::<W>(&mut group);
    for rng in rngs(&group) {
        group.case("queue reset", &rng, queue_reset::in_mid_flight::<W>);
    }
    group.case("queue reset under a read", BREAKABLE, queue_reset::while_at_work::<W>);
    group.case("all functions", &first(&group, Kind::Rng), negative::all_functions);
    group
}

fn pci_msix(board: Board, rings: &'static [Rings]) -> Group {
    let mut group = pci::<PciMsix>(board, rings);
    group.case("each vector its own", &first(&group, Kind::Blk), messages::each_its_own);
    group.case("few messages and many", &first(&group, Kind::Rng), messages::few_and_many);
    group.case("refused vectors", &first(&group, Kind::Rng), messages::refused_vectors);
    group.case("no MSI-X at all", "no-msix", messages::none_at_all);
    group
}

fn pci_legacy(board: Board, rings: &'static [Rings]) -> Group {
    let more: More = &[
        DISK,
        ("legacy-alone", Kind::Rng, ",disable-modern=on,disable-legacy=off"),
        ("modern-alone", Kind::Rng, ",disable-legacy=on"),
    ];
    let properties = ",disable-legacy=off,disable-modern=off";
    let kinds = &[Kind::Rng, Kind::Blk];
    let mut group = group::<PciLegacy>(true, &Fill { board, rings, kinds, properties, more });
    common::<PciLegacy>(&mut group);
    group.case("transitional", &first(&group, Kind::Rng), legacy::transitional);
    group.case("legacy alone", "legacy-alone", legacy::legacy_alone);
    group.case("modern alone", "modern-alone", legacy::modern_alone);
    for kind in [Kind::Rng, Kind::Blk] {
        group.case(
            &format!("dictated size of {}", kind.name()),
            &first(&group, kind),
            legacy::dictated_sizes,
        );
    }
    group
}

fn rngs(group: &Group) -> Vec<String> {
    plain(group).into_iter().filter(|device| device.kind == Kind::Rng).map(|device| device.id).collect()
}

/// Everything.
pub(crate) fn all() -> Vec<Group> {
    let (arm, riscv, pc) = (Board::AARCH64, Board::RISCV64, Board::X86_64);
    vec![
        mmio_v1(arm, &SPLIT),
        mmio_v2(arm, &SPLIT),
        mmio_v2(arm, &PACKED),
        pci::<PciModern>(arm, &SPLIT),
        pci::<PciModern>(arm, &PACKED),
        pci::<PciModern>(pc, &SPLIT),
        pci::<PciModern>(pc, &PACKED),
        pci_msix(arm, &FEW_SPLIT),
        pci_msix(pc, &SPLIT),
        pci_msix(pc, &PACKED),
        pci::<PciWindow>(arm, &SPLIT),
        pci::<PciWindow>(arm, &PACKED),
        pci::<PciWindow>(pc, &FEW_SPLIT),
        pci_legacy(arm, &SPLIT),
        pci_legacy(pc, &SPLIT),
        mmio_v1(riscv, &FEW_SPLIT),
        mmio_v2(riscv, &FEW_PACKED),
        pci::<PciModern>(riscv, &FEW_SPLIT),
        pci_legacy(riscv, &FEW_SPLIT),
    ]
}
