//! Which virtio devices are attached.

use std::fmt;

use crate::arch::Transport;

/// A device that can be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The screen.
    Gpu,
    /// What types.
    Keyboard,
    /// A pointer that moves.
    Mouse,
    /// A pointer that is somewhere.
    Tablet,
    /// Random bytes.
    Rng,
    /// A disk, with a FAT volume on it.
    Blk,
    /// A network card, behind which QEMU plays a network.
    Net,
    /// Ports to this host.
    Console,
}

impl Kind {
    /// Every kind, in the order in which they are attached.
    pub const ALL: [Self; 8] = [
        Self::Gpu,
        Self::Keyboard,
        Self::Mouse,
        Self::Tablet,
        Self::Rng,
        Self::Blk,
        Self::Net,
        Self::Console,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Keyboard => "keyboard",
            Self::Mouse => "mouse",
            Self::Tablet => "tablet",
            Self::Rng => "rng",
            Self::Blk => "blk",
            Self::Net => "net",
            Self::Console => "console",
        }
    }

    /// The kind called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether there is such a device with the legacy interface of PCI: those that came with VIRTIO 1.0 have none.
    pub fn has_legacy(self) -> bool {
        matches!(self, Self::Rng | Self::Blk | Self::Net | Self::Console)
    }

    /// QEMU's name of the device.
    pub fn qemu(self, transport: Transport) -> String {
        // A bus of ports; the port that is a terminal is a device of its own there.
        let name = if self == Self::Console { "serial" } else { self.name() };
        format!("virtio-{name}-{}", transport.device_suffix())
    }
}

/// A set of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Devices(u8);

const _: () = assert!(Kind::ALL.len() <= u8::BITS as usize);

impl Devices {
    /// Every one.
    pub const ALL: Self = Self(u8::MAX);

    /// Reads `all`, or names with commas between them; an error is the word that is no name.
    pub fn parse(list: &str) -> Result<Self, String> {
        if list == "all" {
            return Ok(Self::ALL);
        }
        list.split(',').map(str::trim).try_fold(Self(0), |set, name| {
            Kind::parse(name).map(|kind| set.with(kind)).ok_or_else(|| name.to_owned())
        })
    }

    /// These and one more.
    pub fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// These without one.
    pub fn without(self, kind: Kind) -> Self {
        Self(self.0 & !(1 << kind as u8))
    }

    /// These and those.
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether one is among them.
    pub fn has(self, kind: Kind) -> bool {
        self.0 >> kind as u8 & 1 == 1
    }

    /// Which there are.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |&kind| self.has(kind))
    }
}

/// What is attached when nothing is said.
impl Default for Devices {
    fn default() -> Self {
        Self(0).with(Kind::Gpu).with(Kind::Keyboard)
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Kind::name).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.name()), Some(kind));
            assert!(Devices::parse(kind.name()).unwrap().iter().eq([kind]));
            assert!(!Devices::ALL.without(kind).has(kind));
        }
        assert!(Devices::parse("all").unwrap().iter().eq(Kind::ALL));
        assert_eq!(Devices::parse("blk, net").unwrap().to_string(), "blk, net");
        assert_eq!(Devices::parse("blk,disk"), Err("disk".to_owned()));
        assert_eq!(Devices::parse(""), Err(String::new()));
    }

    #[test]
    fn all_fit_the_smallest_machine() {
        // riscv64's `virt` has 8 MMIO slots, and microvm without a second I/O APIC too.
        assert!(Kind::ALL.len() <= 8);
    }

    #[test]
    fn the_console_is_a_bus_of_ports() {
        assert_eq!(Kind::Console.qemu(Transport::Mmio), "virtio-serial-device");
        assert_eq!(Kind::Net.qemu(Transport::PciLegacy), "virtio-net-pci");
    }
}
