//! Disks, network cards, consoles: the drivers of whole devices, each on every transport and kind of ring.
//!
//! Every machine has one device of each kind for each of its rings, and specials: devices with a property or a backend of
//! their own, of which one is enough. Which rings a special has changes from machine to machine, so that each is met with each.

use qemu_bench::{
    Board, Device, Disk, Kind, MmioV1, MmioV2, Options, PciLegacy, PciModern, PciMsix, PciWindow, Rings,
    SerialPort, Way,
};

use crate::case::Group;
use crate::plan::{FEW_PACKED, FEW_SPLIT, PACKED, Places, SPLIT};
use crate::{console, disk, net};

/// The kinds, in the order of their specials.
const KINDS: [Kind; 3] = [Kind::Blk, Kind::Net, Kind::Console];

/// A device of which one is enough.
pub(crate) struct Special {
    pub(crate) id: &'static str,
    pub(crate) kind: Kind,
    pub(crate) properties: &'static str,
    pub(crate) disk: Disk,
    pub(crate) ports: &'static [SerialPort],
}

impl Special {
    pub(crate) const fn new(id: &'static str, kind: Kind, properties: &'static str) -> Self {
        Self { id, kind, properties, disk: Disk::PLAIN, ports: &[] }
    }

    pub(crate) const fn over(mut self, disk: Disk) -> Self {
        self.disk = disk;
        self
    }

    pub(crate) const fn ports(mut self, ports: &'static [SerialPort]) -> Self {
        self.ports = ports;
        self
    }
}

/// A machine's devices.
fn devices<W: Way>(pci: bool, board: &Board, rings: &[Rings], turn: usize) -> Vec<Device> {
    let mut places = Places { pci, next: 0 };
    let bus = match (pci, W::LEGACY) {
        (false, _) => "",
        (true, false) => ",disable-legacy=on",
        (true, true) => ",disable-legacy=off,disable-modern=off",
    };
    let mut devices = Vec::new();
    for &rings in rings {
        for kind in KINDS {
            let mut device = Device::new(kind, rings, places.next());
            device.properties.push_str(bus);
            devices.push(match kind {
                Kind::Blk => device.over(disk::HOLEY),
                Kind::Console => {
                    device.properties.push_str(console::ROOM);
                    device.ports(console::PORTS)
                }
                _ => device,
            });
        }
    }
    let specials = [disk::SPECIALS, net::SPECIALS, console::SPECIALS];
    for (number, special) in specials.into_iter().flatten().enumerate() {
        if board.slots.is_some_and(|slots| !pci && places.next >= slots.count) {
            // The board with few slots has the first ones; others have all.
            break;
        }
        let rings = rings[(number + turn) % rings.len()];
        let device = Device::new(special.kind, rings, places.next());
        let device = device.with(special.id, bus).with(special.id, special.properties);
        devices.push(device.over(special.disk).ports(special.ports));
    }
    devices
}

/// A machine with its cases.
fn group<W: Way>(pci: bool, board: Board, rings: &[Rings], turn: usize) -> Group {
    let devices = devices::<W>(pci, &board, rings, turn);
    let options = Options { board, mmio_legacy: W::LEGACY, devices };
    let mut group = Group { way: W::NAME, options, cases: Vec::new() };
    for device in group.options.devices.clone() {
        match device.kind {
            Kind::Blk => disk::cases::<W>(&mut group, &device),
            Kind::Net => net::cases::<W>(&mut group, &device),
            Kind::Console => console::cases::<W>(&mut group, &device),
            _ => {}
        }
    }
    group
}

/// Two kinds of rings, where the transport is the slower one or has been through all of them: between two machines, both
/// features are met on and off.
const ENDS: [usize; 2] = [0, 3];
const MIDDLE: [usize; 2] = [1, 2];

fn two(rings: &[Rings; 4], which: [usize; 2]) -> [Rings; 2] {
    which.map(|number| rings[number])
}

/// Everything; what needs a tap, if that is asked for.
pub(crate) fn all(tap: bool) -> Vec<Group> {
    let (arm, riscv, pc) = (Board::AARCH64, Board::RISCV64, Board::X86_64);
    let mut groups = vec![
        group::<MmioV1>(false, arm, &SPLIT, 0),
        group::<MmioV2>(false, arm, &SPLIT, 1),
        group::<MmioV2>(false, arm, &PACKED, 2),
        group::<PciModern>(true, arm, &SPLIT, 3),
        group::<PciModern>(true, pc, &PACKED, 0),
        group::<PciMsix>(true, pc, &two(&SPLIT, ENDS), 1),
        group::<PciMsix>(true, arm, &two(&PACKED, MIDDLE), 0),
        group::<PciWindow>(true, pc, &two(&SPLIT, MIDDLE), 1),
        group::<PciWindow>(true, arm, &two(&PACKED, ENDS), 0),
        group::<PciLegacy>(true, pc, &two(&SPLIT, ENDS), 1),
        group::<PciLegacy>(true, arm, &two(&SPLIT, MIDDLE), 0),
        group::<MmioV1>(false, riscv, &FEW_SPLIT, 0),
        group::<MmioV2>(false, riscv, &FEW_PACKED, 0),
        group::<PciModern>(true, riscv, &FEW_SPLIT, 0),
    ];
    if tap {
        // Elsewhere there is none, and nobody who asks for it is to think that it was tried.
        #[cfg(target_os = "linux")]
        groups.extend(net::tap::all());
        #[cfg(not(target_os = "linux"))]
        panic!("taps are for Linux");
    }
    groups
}
