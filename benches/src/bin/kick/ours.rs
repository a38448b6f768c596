//! Our transports, with the driver of an entropy device on each.

use std::error::Error;

use virtio_core::device::{Device, Init, Wanted};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::regs::Mapped;
use virtio_core::{DeviceId, Endpoint, Features, Interrupts, MmioKind, PhysAddr, Transport};
use virtio_pci::{FunctionAddress, LegacyTransport, MsixMessage, PciTransport};

use crate::function::{COMMON, Function, ISR};
use crate::kernel::Kernel;
use crate::show::{Cost, PCI, Row, WINDOW};
use crate::trap;

/// Entries of the queue.
pub const SIZE: u16 = 256;
/// Kicks and interrupts that are counted: each request stays in the queue.
pub const COUNT: usize = 200;

/// Registers of a virtio-mmio device (VIRTIO 1.4 §4.2.2), as it comes out of reset.
fn mmio(version: u32) -> Vec<(usize, [u8; 4])> {
    [(0x00, 0x7472_6976), (0x04, version), (0x08, 4), (0x10, FEATURES), (0x34, SIZE.into())]
        .into_iter()
        .map(|(offset, value): (usize, u32)| (offset, value.to_le_bytes()))
        .collect()
}

/// Both windows show the same bits: VERSION_1 and NOTIFICATION_DATA in the second; in the first, two of the device type that
/// nobody knows.
const FEATURES: u32 = 1 | 1 << 6;

/// Puts a virtio-mmio device into the pages.
pub fn set_up_mmio(version: u32) {
    let registers = mmio(version);
    trap::set_up(&registers.iter().map(|(at, bytes)| (*at, &bytes[..])).collect::<Vec<_>>());
}

/// Puts a PCI device's structures into the pages.
pub fn set_up_pci() {
    trap::set_up(&[
        (COMMON + 0x04, &FEATURES.to_le_bytes()),
        (COMMON + 0x12, &1_u16.to_le_bytes()),
        (COMMON + 0x18, &SIZE.to_le_bytes()),
    ]);
}

/// Where the pages are.
fn pages() -> PhysAddr {
    PhysAddr::new(trap::base().as_ptr().expose_provenance() as u64)
}

/// Brings the device up and counts. `interrupt` is where it says, and with which value, why it interrupts.
fn count<T: Interrupts>(
    transport: T,
    function: &Function,
    data: Features,
    interrupt: (usize, u8),
) -> Result<(Cost, Cost), Box<dyn Error>> {
    let wanted = Wanted { refused: Features::NOTIFICATION_DATA - data, ..Wanted::default() };
    let init = Init::start(transport, Kernel, DeviceId::ENTROPY)?.negotiate(&wanted)?;
    if !init.features().contains(data) {
        return Err(format!("{data:?} was not accepted").into());
    }
    let mut device = init.queues(&[QueueSpec::new::<()>(0, SIZE).response(8)])?.live()?;
    let kick = kicks(&mut device, function)?;
    // The last vector is a queue's, if there are several.
    let vector = device.vectors()?.checked_sub(1).ok_or("the device does not interrupt")?;
    let endpoint = device.endpoint(vector)?;
    let config = function.accesses();
    let mut registers = trap::Accesses::default();
    for _ in 0..COUNT {
        trap::device(|bytes| bytes[interrupt.0] = interrupt.1);
        let (accesses, status) = trap::during(|| endpoint.ack());
        if status.is_empty() {
            return Err("the endpoint does not see its interrupt".into());
        }
        registers.reads += accesses.reads;
        registers.writes += accesses.writes;
    }
    let interrupt = Cost::each(registers, function.accesses() - config, COUNT)?;
    Ok((kick, interrupt))
}

fn kicks<T: Transport>(device: &mut Device<T, Kernel>, function: &Function) -> Result<Cost, Box<dyn Error>> {
    let mut port = device.port::<()>(0)?;
    let config = function.accesses();
    let mut registers = trap::Accesses::default();
    for _ in 0..COUNT {
        // All of it: adding and publishing touch no register.
        let (accesses, outcome) = trap::during(|| {
            port.add(Request::new(()).response(8)).map(drop).map_err(|rejected| rejected.error)?;
            port.publish();
            port.kick();
            Ok::<_, virtio_core::Error>(())
        });
        outcome?;
        registers.reads += accesses.reads;
        registers.writes += accesses.writes;
    }
    Ok(Cost::each(registers, function.accesses() - config, COUNT)?)
}

/// Every transport.
///
/// # Errors
/// What keeps a device from being brought up.
pub fn all() -> Result<Vec<Row>, Box<dyn Error>> {
    let first = FunctionAddress::from_number(0);
    let none = Features::empty();
    let data = Features::NOTIFICATION_DATA;
    let mut rows = Vec::new();
    let mut row = |transport, (kick, interrupt)| rows.push(Row { transport, kick, interrupt });
    for (name, version, data) in
        [("mmio v1", 1, none), ("mmio v2", 2, none), ("mmio v2, NOTIFICATION_DATA", 2, data)]
    {
        set_up_mmio(version);
        let regs = Mapped::new(Kernel, pages(), 0x200, MmioKind::Registers)?;
        let transport = virtio_mmio::probe(regs)?.ok_or("no device")?;
        row(name, count(transport, Function::legacy(), data, (0x60, 1))?);
    }
    for (name, data, vectors) in [
        (PCI, none, 0),
        ("pci, NOTIFICATION_DATA", data, 0),
        ("pci, MSI-X, one vector", none, 1),
        ("pci, MSI-X, a vector per queue", none, 2),
    ] {
        set_up_pci();
        let function = Function::modern();
        let mut transport = PciTransport::new(Kernel, function, first)?;
        let messages = [MsixMessage { address: 0xfee0_0000, data: 0x40 }; 4];
        if transport.enable_msix(Kernel, &messages[..vectors])? != vectors as u16 {
            return Err("MSI-X was not enabled".into());
        }
        row(name, count(transport, function, data, (ISR, 1))?);
    }
    set_up_pci();
    let function = Function::modern();
    let transport = PciTransport::through_window(function, first)?;
    row(WINDOW, count(transport, function, none, (ISR, 1))?);

    trap::set_up(&[(0x0c, &SIZE.to_le_bytes())]);
    let function = Function::legacy();
    let transport = LegacyTransport::with_mapper(function, first, None, |range| {
        Mapped::new(Kernel, pages(), range.len, MmioKind::Registers)
    })?;
    row("pci legacy, ports in memory", count(transport, function, none, (0x13, 1))?);
    Ok(rows)
}
