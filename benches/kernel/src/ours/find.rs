//! The device, on the transport that is asked for.

use virtio_core::regs::Mapped;
use virtio_core::{DeviceId, PhysAddr, Transport};
use virtio_pci::{BarAllocator, Ecam, PciTransport, Window, Windows, number_buses, walk};

use super::{Kernel, Watched};
use crate::board::{self, Bus};

/// What is done with a transport, whatever its type.
pub trait Visit {
    /// Does it.
    fn with<T: Transport>(self, transport: T);
}

/// Brings the machine's PCI to where a driver can begin; the way to its configuration space.
pub fn pci() -> (Ecam<Mapped<Kernel>>, Windows) {
    let config = Ecam::map(Kernel, PhysAddr::new(board::ECAM), board::ECAM_LEN).expect("it is mapped");
    let windows = Windows {
        mem32: Some(Window::identity(board::MEM32, board::MEM32_LEN)),
        mem64: Some(Window::identity(board::MEM64, board::MEM64_LEN)),
        ..Windows::default()
    };
    number_buses(&config, 0, 255).expect("buses");
    BarAllocator::new(windows).assign_all(&config, 0).expect("BARs");
    (config, windows)
}

/// Calls `what` with the transport of the device.
pub fn visit(bus: Bus, id: DeviceId, what: impl Visit) {
    match bus {
        Bus::Mmio => {
            let slots = virtio_mmio::slots(PhysAddr::new(board::SLOTS), board::SLOT_LEN, board::SLOT_COUNT);
            let transport =
                virtio_mmio::find(Kernel, slots, id).expect("slots").expect("the device is in a slot");
            what.with(Watched(transport));
        }
        Bus::Pci => {
            let (config, windows) = pci();
            let function = walk(&config, 0).find(|function| function.virtio_id() == Some(id));
            let function = function.expect("the device is on the bus").address;
            let transport =
                PciTransport::in_windows(Kernel, &config, function, &windows).expect("its registers");
            what.with(Watched(transport));
        }
    }
}
