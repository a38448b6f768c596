//! The devices of a machine.

use virtio::DeviceId;
use virtio::pci::FunctionAddress;

use crate::backend::{Cable, Disk, SerialPort};
use crate::rings::Rings;

/// A type of device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A GPU, for 2D.
    Gpu,
    /// A keyboard.
    Keyboard,
    /// A tablet: absolute axes.
    Tablet,
    /// A mouse: relative axes.
    Mouse,
    /// Entropy.
    Rng,
    /// A disk.
    Blk,
    /// A network card, whose cable ends in the test.
    Net,
    /// A console, whose ports end in the test.
    Console,
}

impl Kind {
    /// Virtio's number for it.
    #[must_use]
    pub const fn id(self) -> DeviceId {
        match self {
            Self::Gpu => DeviceId::GPU,
            Self::Keyboard | Self::Tablet | Self::Mouse => DeviceId::INPUT,
            Self::Rng => DeviceId::ENTROPY,
            Self::Blk => DeviceId::BLOCK,
            Self::Net => DeviceId::NET,
            Self::Console => DeviceId::CONSOLE,
        }
    }

    /// QEMU's name of the model, without its bus.
    pub(crate) const fn model(self) -> &'static str {
        match self {
            Self::Gpu => "virtio-gpu",
            Self::Keyboard => "virtio-keyboard",
            Self::Tablet => "virtio-tablet",
            Self::Mouse => "virtio-mouse",
            Self::Rng => "virtio-rng",
            Self::Blk => "virtio-blk",
            Self::Net => "virtio-net",
            Self::Console => "virtio-serial",
        }
    }

    /// A short name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Keyboard => "keyboard",
            Self::Tablet => "tablet",
            Self::Mouse => "mouse",
            Self::Rng => "rng",
            Self::Blk => "blk",
            Self::Net => "net",
            Self::Console => "console",
        }
    }

    /// Whether it has a legacy PCI form.
    #[must_use]
    pub const fn was_legacy(self) -> bool {
        matches!(self, Self::Rng | Self::Blk | Self::Net | Self::Console)
    }
}

/// Where a device is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In this slot of the row.
    Slot(usize),
    /// At this device and function number of bus 0.
    Function(u8, u8),
}

impl Place {
    /// The address of a function.
    ///
    /// # Panics
    /// For a slot.
    #[must_use]
    pub fn function(self) -> FunctionAddress {
        match self {
            Self::Function(device, function) => FunctionAddress::new(0, device, function).expect("in range"),
            Self::Slot(slot) => panic!("slot {slot} is no PCI function"),
        }
    }
}

/// A device of a machine.
#[derive(Clone, Debug)]
pub struct Device {
    /// QEMU's id of it.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// What rings it offers.
    pub rings: Rings,
    /// Where it is.
    pub place: Place,
    /// Further properties, each with a comma before it.
    pub properties: String,
    /// What a disk is made of.
    pub disk: Disk,
    /// What the cable of a network card is.
    pub cable: Cable,
    /// The ports of a console.
    pub ports: &'static [SerialPort],
}

impl Device {
    /// A device with an id made of what it is.
    #[must_use]
    pub fn new(kind: Kind, rings: Rings, place: Place) -> Self {
        let id = format!("{}-{}", kind.name(), rings.name().replace('+', "-"));
        let (properties, disk, cable) = (String::new(), Disk::PLAIN, Cable::Datagrams);
        Self { id, kind, rings, place, properties, disk, cable, ports: &[] }
    }

    /// The same with another id, and more properties.
    #[must_use]
    pub fn with(mut self, id: &str, properties: &str) -> Self {
        id.clone_into(&mut self.id);
        self.properties.push_str(properties);
        self
    }

    /// The same over another disk.
    #[must_use]
    pub const fn over(mut self, disk: Disk) -> Self {
        self.disk = disk;
        self
    }

    /// The same on another cable.
    #[must_use]
    pub const fn on(mut self, cable: Cable) -> Self {
        self.cable = cable;
        self
    }

    /// The same with ports.
    #[must_use]
    pub const fn ports(mut self, ports: &'static [SerialPort]) -> Self {
        self.ports = ports;
        self
    }

    /// The address of a network card: another for each place.
    #[must_use]
    pub const fn mac(&self) -> [u8; 6] {
        let (row, number) = match self.place {
            Place::Slot(slot) => (0, slot as u8),
            Place::Function(device, function) => (1, device << 3 | function),
        };
        [0x52, 0x54, 0x00, 0x42, row, number]
    }

    /// QEMU's `-device` argument.
    pub(crate) fn argument(&self) -> String {
        let Self { id, kind, rings, place, properties, .. } = self;
        let (bus, place) = match place {
            Place::Slot(slot) => ("device", format!("bus=virtio-mmio-bus.{slot}")),
            Place::Function(device, function) => {
                ("pci", format!("bus=pcie.0,addr={device:x}.{function},multifunction=on"))
            }
        };
        let backend = match kind {
            Kind::Blk => format!(",drive={id}-disk,serial={id}"),
            Kind::Net => {
                let [a, b, c, d, e, f] = self.mac();
                format!(",netdev={id}-net,mac={a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
            }
            _ => String::new(),
        };
        format!("{}-{bus},id={id},{place},{}{backend}{properties}", kind.model(), rings.properties())
    }
}
