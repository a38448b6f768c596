//! The device, on the transport that is asked for.

use core::ptr::NonNull;

use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::pci::bus::{Cam, Command, MmioCam, PciRoot};
use virtio_drivers::transport::pci::{PciTransport, virtio_device_type};
use virtio_drivers::transport::{DeviceType, Transport};

use super::{Identity, Watched};
use crate::board::{self, Bus};
use crate::ours;

/// What is done with a transport, whatever its type.
pub trait Visit {
    /// Does it.
    fn with<T: Transport>(self, transport: T);
}

/// Calls `what` with the transport of the device.
pub fn visit(bus: Bus, kind: DeviceType, what: impl Visit) {
    match bus {
        Bus::Mmio => {
            let slot = |nth| board::SLOTS as usize + nth * board::SLOT_LEN;
            let open = |nth| {
                let header = NonNull::new(core::ptr::with_exposed_provenance_mut(slot(nth)))?;
                // SAFETY: a slot of this machine, mapped where it is, for good.
                unsafe { MmioTransport::new(header, board::SLOT_LEN) }.ok()
            };
            let mut all = (0..board::SLOT_COUNT).filter_map(open);
            let transport = all.find(|transport| transport.device_type() == kind);
            what.with(Watched(transport.expect("the device is in a slot")));
        }
        Bus::Pci => {
            // Addresses are assigned by ours: it has nothing for that.
            drop(ours::pci());
            let base = core::ptr::with_exposed_provenance_mut(board::ECAM as usize);
            // SAFETY: configuration space, mapped where it is, for good.
            let mut root = PciRoot::new(unsafe { MmioCam::new(base, Cam::Ecam) });
            let found = root.enumerate_bus(0).find(|(_, info)| virtio_device_type(info) == Some(kind));
            let (function, _) = found.expect("the device is on the bus");
            root.set_command(function, Command::MEMORY_SPACE | Command::BUS_MASTER);
            let transport = PciTransport::new::<Identity, _>(&mut root, function);
            what.with(Watched(transport.expect("its registers")));
        }
    }
}
