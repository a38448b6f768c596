//! The ways to a device: one for each transport.

use std::sync::Arc;

use virtio::mmio::{Version, probe};
use virtio::pci::{
    ConfigAccess, ConfigWindow, Ecam, FunctionAddress, IoRange, LegacyPorts, LegacyTransport, MsixMessage,
    PciTransport,
};
use virtio::{AnyTransport, Interrupts, PhysAddr};

use crate::board::Pci;
use crate::device::{Device, Place};
use crate::machine::Machine;
use crate::qtest::Qtest;
use crate::regs::{QtestRegs, Space};
use crate::signal::{Cause, Signal};

/// Configuration space of a machine's PCI functions.
#[derive(Clone, Debug)]
pub struct Config(Arc<Access>);

#[derive(Debug)]
enum Access {
    Ecam(Ecam<QtestRegs>),
    Ports(LegacyPorts<QtestRegs>),
}

impl Config {
    pub(crate) fn new(qtest: &Arc<Qtest>, pci: &Pci) -> Self {
        let regs = |space, base, len| QtestRegs::new(Arc::clone(qtest), space, base, len);
        Self(Arc::new(match pci.ecam {
            Some(base) => Access::Ecam(Ecam::new(regs(Space::Memory, base, 256 << 20), 0)),
            None => Access::Ports(LegacyPorts::new(regs(Space::Ports, 0xcf8, 8))),
        }))
    }
}

impl ConfigAccess for Config {
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
        match &*self.0 {
            Access::Ecam(ecam) => ecam.read32(function, offset),
            Access::Ports(ports) => ports.read32(function, offset),
        }
    }

    fn write32(&self, function: FunctionAddress, offset: u16, value: u32) {
        match &*self.0 {
            Access::Ecam(ecam) => ecam.write32(function, offset, value),
            Access::Ports(ports) => ports.write32(function, offset, value),
        }
    }
}

/// A transport, and how a device of a machine is reached through it.
pub trait Way: 'static {
    /// Its name in the table.
    const NAME: &'static str;
    /// What the transport says it is.
    const INFO: (&'static str, &'static str);
    /// Whether the interface is the legacy one.
    const LEGACY: bool = false;
    /// How many interrupts it has.
    const VECTORS: u16 = 1;
    /// The transport.
    type Transport: Interrupts<Endpoint: 'static> + core::fmt::Debug + Send + Sync + 'static;

    /// Finds the device.
    ///
    /// # Panics
    /// If it is not there, or not to be reached in this way.
    fn open(machine: &Machine, device: &Device) -> Self::Transport;

    /// Register writes for one kick; nothing is read for it.
    #[must_use]
    fn kick(_machine: &Machine) -> u64 {
        1
    }

    /// Register reads and writes for one acknowledgement of an interrupt that has come.
    fn ack(machine: &Machine) -> (u64, u64);

    /// How the device's interrupt shows.
    #[must_use]
    fn signal<'m>(machine: &'m Machine, device: &Device, _cause: Cause) -> Signal<'m> {
        Signal::Line(Arc::clone(machine.qtest()), line(machine, device))
    }

    /// The vector for a cause.
    #[must_use]
    fn vector(_cause: Cause) -> u16 {
        0
    }
}

/// The device's line at the interrupt controller.
fn line(machine: &Machine, device: &Device) -> u32 {
    let board = &machine.options().board;
    match device.place {
        Place::Slot(slot) => board.slots.expect("a board with slots").irq + slot as u32,
        // Every function of ours uses INTA; the pins of a device are turned by its number.
        Place::Function(number, _) => board.pci.irqs[usize::from(number) % 4],
    }
}

fn mmio(machine: &Machine, device: &Device, version: Version) -> AnyTransport<QtestRegs, Config> {
    let slots = machine.options().board.slots.expect("a board with slots");
    let Place::Slot(slot) = device.place else { panic!("{} has no slot", device.id) };
    assert!(slot < slots.count);
    let base = slots.base + (slot * slots.stride) as u64;
    let regs = QtestRegs::new(Arc::clone(machine.qtest()), Space::Memory, base, slots.stride);
    let transport = probe(regs).expect("a slot that can be served").expect("a device in it");
    assert_eq!(transport.version(), version);
    transport.into()
}

/// virtio-mmio, version 1.
#[derive(Debug)]
pub struct MmioV1;

impl Way for MmioV1 {
    const NAME: &'static str = "mmio-v1";
    const INFO: (&'static str, &'static str) = ("virtio-mmio", "legacy (v1)");
    const LEGACY: bool = true;
    type Transport = AnyTransport<QtestRegs, Config>;

    fn open(machine: &Machine, device: &Device) -> Self::Transport {
        mmio(machine, device, Version::Legacy)
    }

    fn ack(_machine: &Machine) -> (u64, u64) {
        (1, 1)
    }
}

/// virtio-mmio, version 2.
#[derive(Debug)]
pub struct MmioV2;

impl Way for MmioV2 {
    const NAME: &'static str = "mmio-v2";
    const INFO: (&'static str, &'static str) = ("virtio-mmio", "modern (v2)");
    type Transport = AnyTransport<QtestRegs, Config>;

    fn open(machine: &Machine, device: &Device) -> Self::Transport {
        mmio(machine, device, Version::Modern)
    }

    fn ack(_machine: &Machine) -> (u64, u64) {
        (1, 1)
    }
}

fn memory(machine: &Machine, address: PhysAddr, len: usize) -> QtestRegs {
    QtestRegs::new(Arc::clone(machine.qtest()), Space::Memory, address.get(), len)
}

fn pci(machine: &Machine, device: &Device) -> PciTransport<QtestRegs, Config> {
    let windows = &machine.options().board.pci.windows;
    let access = machine.config().clone();
    let map = |address, len| Ok(memory(machine, address, len));
    PciTransport::with_mapper(access, device.place.function(), Some(windows), map)
        .expect("a function that can be served")
}

/// virtio-pci, the modern interface in mapped BARs, and the interrupt line.
#[derive(Debug)]
pub struct PciModern;

impl Way for PciModern {
    const NAME: &'static str = "pci";
    const INFO: (&'static str, &'static str) = ("virtio-pci", "modern");
    type Transport = AnyTransport<QtestRegs, Config>;

    fn open(machine: &Machine, device: &Device) -> Self::Transport {
        pci(machine, device).into()
    }

    fn ack(_machine: &Machine) -> (u64, u64) {
        (1, 0)
    }
}

/// The same with two MSI-X messages, to words in RAM.
#[derive(Debug)]
pub struct PciMsix;

impl Way for PciMsix {
    const NAME: &'static str = "pci-msix";
    const INFO: (&'static str, &'static str) = ("virtio-pci", "modern");
    const VECTORS: u16 = 2;
    type Transport = AnyTransport<QtestRegs, Config>;

    fn open(machine: &Machine, device: &Device) -> Self::Transport {
        let mut transport = pci(machine, device);
        let hal = machine.hal();
        let messages = [0, 1].map(|vector| {
            hal.set_word(vector, 0);
            MsixMessage { address: hal.word_address(vector), data: Signal::data(vector) }
        });
        let map = |address, len| Ok(memory(machine, address, len));
        let count = transport.enable_msix_with(&messages, map).expect("a function with MSI-X");
        assert_eq!(count, Self::VECTORS);
        transport.into()
    }

    fn ack(_machine: &Machine) -> (u64, u64) {
        (0, 0)
    }

    fn signal<'m>(machine: &'m Machine, _device: &Device, cause: Cause) -> Signal<'m> {
        Signal::Word(machine, cause.vector())
    }

    fn vector(cause: Cause) -> u16 {
        cause.vector()
    }
}

/// Accesses to the machine for one of configuration space.
fn config_access(machine: &Machine) -> u64 {
    // By ports, the address is written first.
    if machine.options().board.pci.ecam.is_some() { 1 } else { 2 }
}

/// virtio-pci through the window in configuration space: no BAR is mapped.
#[derive(Debug)]
pub struct PciWindow;

impl Way for PciWindow {
    const NAME: &'static str = "pci-window";
    const INFO: (&'static str, &'static str) = ("virtio-pci", "modern");
    type Transport = PciTransport<ConfigWindow<Config>, Config>;

    fn open(machine: &Machine, device: &Device) -> Self::Transport {
        let access = machine.config().clone();
        PciTransport::through_window(access, device.place.function()).expect("a function with a window")
    }

    /// One transaction: BAR, offset, width, data.
    fn kick(machine: &Machine) -> u64 {
        4 * config_access(machine)
    }

    fn ack(machine: &Machine) -> (u64, u64) {
        (1, 4 * config_access(machine) - 1)
    }
}

/// virtio-pci, the legacy interface in I/O ports, of a transitional device.
#[derive(Debug)]
pub struct PciLegacy;

impl Way for PciLegacy {
    const NAME: &'static str = "pci-legacy";
    const INFO: (&'static str, &'static str) = ("virtio-pci", "legacy");
    const LEGACY: bool = true;
    type Transport = AnyTransport<QtestRegs, Config>;

    fn open(machine: &Machine, device: &Device) -> Self::Transport {
        let pci = &machine.options().board.pci;
        let access = machine.config().clone();
        let map = |range: IoRange| {
            let base = match pci.io {
                Space::Ports => u64::from(range.port),
                Space::Memory => range.cpu.expect("a window was given").get(),
            };
            Ok(QtestRegs::new(Arc::clone(machine.qtest()), pci.io, base, range.len))
        };
        LegacyTransport::with_mapper(access, device.place.function(), Some(&pci.windows), map)
            .expect("a function with a legacy interface")
            .into()
    }

    fn ack(_machine: &Machine) -> (u64, u64) {
        (1, 0)
    }
}
