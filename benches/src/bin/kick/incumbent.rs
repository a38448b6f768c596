//! The crate `virtio-drivers` 0.13: its transports, with its queue on each.

use std::error::Error;

use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::pci::PciTransport;
use virtio_drivers::transport::pci::bus::{DeviceFunction, PciRoot};
use virtio_drivers::transport::{DeviceStatus, Transport};

use crate::function::{Access, Function, ISR};
use crate::kernel::Kernel;
use crate::ours::{COUNT, SIZE, set_up_mmio, set_up_pci};
use crate::show::{Cost, PCI, Row};
use crate::trap;

/// Brings the device up as its drivers do, and counts.
fn count<T: Transport>(
    mut transport: T,
    function: &Function,
    interrupt: (usize, u8),
) -> Result<(Cost, Cost), Box<dyn Error>> {
    transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);
    let offered = transport.read_device_features();
    transport.write_driver_features(offered & 1 << 32);
    transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK);
    transport.set_guest_page_size(4096);
    let mut queue = VirtQueue::<Kernel, { SIZE as usize }>::new(&mut transport, 0, false, false)
        .map_err(|error| format!("{error:?}"))?;
    transport.finish_init();
    let config = function.accesses();
    let mut kicks = trap::Accesses::default();
    for _ in 0..COUNT {
        // For good: nothing is ever taken from the queue.
        let buffer: &'static mut [u8] = Box::leak(Box::new([0; 8]));
        let (accesses, outcome) = trap::during(|| {
            // SAFETY: the buffer stays, and nobody touches it.
            let added = unsafe { queue.add(&[], &mut [buffer]) }.map(drop);
            if queue.should_notify() {
                transport.notify(0);
            }
            added
        });
        outcome.map_err(|error| format!("{error:?}"))?;
        kicks.reads += accesses.reads;
        kicks.writes += accesses.writes;
    }
    let kick = Cost::each(kicks, function.accesses() - config, COUNT)?;
    let config = function.accesses();
    let mut registers = trap::Accesses::default();
    for _ in 0..COUNT {
        trap::device(|bytes| bytes[interrupt.0] = interrupt.1);
        let (accesses, status) = trap::during(|| transport.ack_interrupt());
        if status.is_empty() {
            return Err("it does not see its interrupt".into());
        }
        registers.reads += accesses.reads;
        registers.writes += accesses.writes;
    }
    Ok((kick, Cost::each(registers, function.accesses() - config, COUNT)?))
}

/// Every transport that it has: no MSI-X, no NOTIFICATION_DATA, no window, no legacy PCI.
///
/// # Errors
/// What keeps a device from being brought up.
pub fn all() -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    let mut row = |transport, (kick, interrupt)| rows.push(Row { transport, kick, interrupt });
    for (name, version) in [("mmio v1", 1), ("mmio v2", 2)] {
        set_up_mmio(version);
        // SAFETY: the pages stay, and are registers to whoever accesses them.
        let transport = unsafe { MmioTransport::new(trap::base().cast(), 0x200) };
        let transport = transport.map_err(|error| format!("{error:?}"))?;
        row(name, count(transport, Function::legacy(), (0x60, 1))?);
    }
    set_up_pci();
    let function = Function::modern();
    let mut root = PciRoot::new(Access(function));
    let first = DeviceFunction { bus: 0, device: 0, function: 0 };
    let transport = PciTransport::new::<Kernel, _>(&mut root, first).map_err(|error| format!("{error:?}"))?;
    row(PCI, count(transport, function, (ISR, 1))?);
    Ok(rows)
}
