//! Finding virtio devices: in every MMIO slot, and behind every PCI bridge.

use crate::banner::{Location, Transport as Kind};
use crate::machine::{Machine, MmioSlot, PciConfig, PciHost};
use crate::platform::Platform;
use crate::wiring::{self, Wiring};
use core::fmt;
use virtio::pci::{
    BarAllocator, ConfigAccess, Ecam, FunctionAddress, LegacyPorts, LegacyTransport, PciError, PciTransport,
    number_buses,
};
use virtio::regs::{Mapped, Registers};
use virtio::{AnyTransport, DeviceId, Hal, HalError, MmioKind, mmio, pci};

/// The most devices that are remembered.
pub const MAX_DEVICES: usize = 32;

/// PCI configuration space, however this machine reaches it.
#[derive(Debug)]
pub enum Config<H: Hal, R: Registers> {
    /// Memory-mapped.
    Ecam(Ecam<Mapped<H>>),
    /// By ports.
    Ports(LegacyPorts<R>),
}

impl<H: Hal, R: Registers> ConfigAccess for Config<H, R> {
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
        match self {
            Self::Ecam(access) => access.read32(function, offset),
            Self::Ports(access) => access.read32(function, offset),
        }
    }

    fn write32(&self, function: FunctionAddress, offset: u16, value: u32) {
        match self {
            Self::Ecam(access) => access.write32(function, offset, value),
            Self::Ports(access) => access.write32(function, offset, value),
        }
    }
}

impl<H: Hal, R: Registers> Config<H, R> {
    /// Opens configuration space; `None` if there is no such thing here.
    ///
    /// # Errors
    ///
    /// It cannot be mapped.
    pub fn open<P: Platform<Hal = H, Ports = R>>(
        platform: &P,
        host: &PciHost,
    ) -> Result<Option<Self>, HalError> {
        match host.config {
            PciConfig::Ecam { base, len } => {
                let len = usize::try_from(len).map_err(|_| HalError::CannotMap)?;
                let regs = Mapped::new(platform.hal(), base, len, MmioKind::PciConfig)?;
                Ok(Some(Self::Ecam(Ecam::new(regs, *host.buses.start()))))
            }
            PciConfig::Ports => Ok(platform.pci_ports().map(|ports| Self::Ports(LegacyPorts::new(ports)))),
        }
    }
}

/// How the demo's drivers reach their devices.
pub type AnyDevice<'c, P> = AnyTransport<
    Mapped<<P as Platform>::Hal>,
    &'c Config<<P as Platform>::Hal, <P as Platform>::Ports>,
    <P as Platform>::Ports,
>;

/// A virtio device that was found.
#[derive(Debug)]
pub struct Found<T> {
    /// What it is.
    pub id: DeviceId,
    /// Where it is.
    pub location: Location,
    /// How it is reached.
    pub kind: Kind,
    /// The way to it; `None` if it cannot be used, or is in use.
    pub transport: Option<T>,
    /// How it interrupts.
    pub wiring: Wiring,
}

/// All devices found, in the order of their places.
#[derive(Debug)]
pub struct Devices<T> {
    all: [Option<Found<T>>; MAX_DEVICES],
    count: usize,
}

impl<T> Devices<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { all: [const { None }; MAX_DEVICES], count: 0 }
    }

    /// The devices.
    pub fn iter(&self) -> impl Iterator<Item = &Found<T>> {
        self.all.iter().flatten()
    }

    /// The devices, to take their transports.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Found<T>> {
        self.all.iter_mut().flatten()
    }

    /// Adds one. Those beyond [`MAX_DEVICES`] are dropped.
    pub(crate) fn push(&mut self, found: Found<T>) {
        if let Some(place) = self.all.get_mut(self.count) {
            *place = Some(found);
            self.count += 1;
        }
    }
}

impl<T> Default for Devices<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Looks everywhere. What is wrong with a place is said to `log`, and the place passed over.
pub fn all<'c, P: Platform>(
    platform: &P,
    machine: &Machine<'_>,
    config: Option<&'c Config<P::Hal, P::Ports>>,
    log: &mut impl fmt::Write,
) -> Devices<AnyDevice<'c, P>> {
    let mut devices = Devices::new();
    mmio_slots(platform.hal(), machine.mmio, &mut devices, log);
    if let (Some(host), Some(config)) = (&machine.pci, config) {
        pci_functions(platform, host, config, &mut devices, log);
    }
    devices
}

/// The way to a PCI function that has the legacy interface only, and how it interrupts: by its line.
fn legacy<'c, P: Platform>(
    platform: &P,
    host: &PciHost,
    config: &'c Config<P::Hal, P::Ports>,
    function: FunctionAddress,
) -> Result<(AnyDevice<'c, P>, Wiring), PciError> {
    let mut transport = LegacyTransport::with_mapper(config, function, Some(&host.windows), |range| {
        platform.io_registers(range)
    })?;
    let line = line(host, function, transport.interrupt_pin()).filter(|_| !platform.options().polled);
    if line.is_none() {
        // It is asked again and again, and its line may be somebody else's as well.
        transport.keep_line_quiet();
    }
    Ok((transport.into(), line.map_or(Wiring::None, Wiring::Line)))
}

/// The interrupt that a function's pin is wired to.
fn line(host: &PciHost, function: FunctionAddress, pin: Option<u8>) -> Option<u32> {
    let line = host.intx.zip(pin).and_then(|(intx, pin)| intx.line(function.device(), pin));
    line.filter(|_| function.bus() == *host.buses.start())
}

fn mmio_slots<H: Hal + Clone, A: ConfigAccess, R: Registers>(
    hal: H,
    slots: &[MmioSlot],
    devices: &mut Devices<AnyTransport<Mapped<H>, A, R>>,
    log: &mut impl fmt::Write,
) {
    for (slot, probed) in
        mmio::probe_all(hal, slots.iter().map(|slot| mmio::Slot { base: slot.base, len: slot.len }))
    {
        match probed {
            Ok(None) => {}
            Ok(Some(transport)) => devices.push(Found {
                wiring: slots
                    .iter()
                    .find(|place| place.base == slot.base)
                    .and_then(|place| place.interrupt)
                    .map_or(Wiring::None, Wiring::Line),
                id: virtio::Transport::device_id(&transport),
                location: Location::Address(slot.base.get()),
                kind: match transport.version() {
                    mmio::Version::Legacy => Kind::MmioLegacy,
                    mmio::Version::Modern => Kind::Mmio,
                },
                transport: Some(transport.into()),
            }),
            Err(error) => note(log, format_args!("slot {}: {error}", slot.base)),
        }
    }
}

fn pci_functions<'c, P: Platform>(
    platform: &P,
    host: &PciHost,
    config: &'c Config<P::Hal, P::Ports>,
    devices: &mut Devices<AnyDevice<'c, P>>,
    log: &mut impl fmt::Write,
) {
    let root = *host.buses.start();
    // On a machine with firmware both find all done already.
    if let Err(error) = number_buses(config, root, *host.buses.end()) {
        note(log, format_args!("pci: {error}"));
    }
    if let Err(error) = BarAllocator::new(host.windows).assign_all(config, root) {
        note(log, format_args!("pci: {error}"));
    }
    for function in pci::walk(config, root) {
        let Some(id) = function.virtio_id() else { continue };
        let address = function.address;
        let modern = PciTransport::in_windows(platform.hal(), config, address, &host.windows);
        let kind = match modern {
            Err(PciError::LegacyOnly) => Kind::PciLegacy,
            _ => Kind::Pci,
        };
        let reached = match modern {
            Ok(mut transport) => {
                let wiring = wire(platform, host, id, &mut transport, log);
                Ok((transport.into(), wiring))
            }
            Err(PciError::LegacyOnly) => legacy(platform, host, config, address),
            Err(error) => Err(error),
        };
        let (transport, wiring) = match reached {
            Ok((transport, wiring)) => (Some(transport), wiring),
            Err(error) => {
                note(log, format_args!("pci {address}: {error}"));
                (None, Wiring::None)
            }
        };
        devices.push(Found {
            id,
            location: Location::Function {
                bus: address.bus(),
                device: address.device(),
                function: address.function(),
            },
            kind,
            transport,
            wiring,
        });
    }
}

/// The devices that there are drivers for.
const DRIVEN: [DeviceId; 6] =
    [DeviceId::GPU, DeviceId::INPUT, DeviceId::ENTROPY, DeviceId::BLOCK, DeviceId::NET, DeviceId::CONSOLE];

/// By messages where device and platform can, by its line otherwise.
fn wire<P: Platform, A: ConfigAccess>(
    platform: &P,
    host: &PciHost,
    id: DeviceId,
    transport: &mut PciTransport<Mapped<P::Hal>, A>,
    log: &mut impl fmt::Write,
) -> Wiring {
    let function = transport.function();
    let line = line(host, function, transport.interrupt_pin());
    // Platforms have few messages: none for a device that nobody here drives, or for a run without interrupts.
    if DRIVEN.contains(&id) && !platform.options().polled {
        let (numbers, messages, count) = wiring::messages(platform, transport.msix_vectors());
        let messages = messages.get(..count).unwrap_or_default();
        match transport.enable_msix(platform.hal(), messages) {
            Ok(0) => {}
            Ok(_) => return Wiring::Messages { numbers, line },
            Err(error) => note(log, format_args!("pci {function}: {error}")),
        }
    }
    line.map_or(Wiring::None, Wiring::Line)
}

/// Says something. The log is the serial line: if that fails, there is nobody left to tell.
fn note(log: &mut impl fmt::Write, what: fmt::Arguments<'_>) {
    let _ = writeln!(log, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;
    use virtio::PhysAddr;
    use virtio::pci::AccessFns;
    use virtio_testkit::TestHal;

    type NoPci = AccessFns<fn(FunctionAddress, u16) -> u32, fn(FunctionAddress, u16, u32)>;

    const MAGIC: u32 = 0x7472_6976;

    /// Slots with these values of magic, version and device id; what was found in them, and what was said.
    fn look(contents: &[[u32; 3]]) -> (Vec<(u32, Location, Kind)>, String) {
        let hal = TestHal::new();
        let slots: Vec<MmioSlot> = mmio::slots(PhysAddr::new(0x0a00_0000), 0x200, contents.len())
            .map(|slot| MmioSlot { base: slot.base, len: slot.len, interrupt: None })
            .collect();
        let registers: Vec<_> = slots.iter().map(|slot| hal.add_registers(slot.base, slot.len)).collect();
        for (slot, values) in registers.iter().zip(contents) {
            for (offset, value) in [0, 4, 8].into_iter().zip(values) {
                slot.write32(offset, *value);
            }
        }
        let (mut devices, mut log) = (Devices::<AnyTransport<_, NoPci>>::new(), String::new());
        mmio_slots(hal.clone(), &slots, &mut devices, &mut log);
        assert!(devices.iter().all(|found| found.transport.is_some()));
        (devices.iter().map(|found| (found.id.get(), found.location, found.kind)).collect(), log)
    }

    #[test]
    fn slots_are_empty_taken_or_strange() {
        let (found, log) =
            look(&[[MAGIC, 1, 0], [MAGIC, 1, 16], [7, 1, 16], [MAGIC, 2, 18], [MAGIC, 3, 18], [MAGIC, 2, 0]]);
        let at = |slot: u64| Location::Address(0x0a00_0000 + 0x200 * slot);
        assert_eq!(found, [(16, at(1), Kind::MmioLegacy), (18, at(3), Kind::Mmio)]);
        assert_eq!(log.lines().count(), 2);
        assert!(log.contains("slot 0xa000400: ") && log.contains("slot 0xa000800: "), "{log}");
    }

    #[test]
    fn more_devices_than_fit_do_no_harm() {
        let (found, log) = look(&[[MAGIC, 2, 4]; MAX_DEVICES + 3]);
        assert_eq!((found.len(), log.as_str()), (MAX_DEVICES, ""));
    }
}
