//! The devices of a machine.

use virtio::DeviceId;
use virtio::pci::FunctionAddress;

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
    /// A disk of 1 MiB.
    Blk,
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
        }
    }

    /// Whether it has a legacy PCI form.
    #[must_use]
    pub const fn was_legacy(self) -> bool {
        matches!(self, Self::Rng | Self::Blk)
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
    pub properties: &'static str,
    /// Whether requests of a disk can be held up: see [`Machine::hold`](crate::Machine::hold).
    pub breakable: bool,
}

impl Device {
    /// A device with an id made of what it is.
    #[must_use]
    pub fn new(kind: Kind, rings: Rings, place: Place) -> Self {
        let id = format!("{}-{}", kind.name(), rings.name().replace('+', "-"));
        Self { id, kind, rings, place, properties: "", breakable: false }
    }

    /// The same with another id, and more properties.
    #[must_use]
    pub fn with(mut self, id: &str, properties: &'static str) -> Self {
        id.clone_into(&mut self.id);
        self.properties = properties;
        self
    }

    /// The same, whose requests can be held up.
    #[must_use]
    pub fn breakable(mut self) -> Self {
        self.breakable = true;
        self
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
        let drive = if *kind == Kind::Blk { format!(",drive={id}-disk,serial={id}") } else { String::new() };
        format!("{}-{bus},id={id},{place},{}{drive}{properties}", kind.model(), rings.properties())
    }
}
