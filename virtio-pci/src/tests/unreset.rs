//! A device that does not confirm its reset: it stays off the bus, and quiet.

use virtio_core::device::Init;
use virtio_core::interrupt::Interrupts;
use virtio_core::{DeviceId, Error, Misbehaved, Status, Transport, Wait};
use virtio_testkit::TestHal;

use super::device::Device;
use super::machine::Machine;
use super::msix::{enabled, gpu, switches};

/// A device that has messages, and whose status reads as that of a live one whatever is written.
fn stuck(device: &Device) {
    device.bench.put(0x14, &[0x0f]);
}

#[test]
fn giving_a_stuck_device_up_does_not_put_it_on_the_bus() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let mut transport = enabled(&machine, &device, 3, 3);
    stuck(&device);
    // Its last driver has cut it off: whatever it still reaches is somebody else's again.
    machine.set(gpu(), 4, 0x0010_0006);
    assert!(transport.cut_off());
    assert_eq!(machine.get(gpu(), 4) & 7, 2);
    let muted = switches(&machine);
    // Another try at the device.
    let timeout = Error::Misbehaved(Misbehaved::Timeout(Wait::Reset));
    assert_eq!(Init::start(&mut transport, TestHal::new(), DeviceId::GPU).err(), Some(timeout));
    assert_eq!(machine.get(gpu(), 4) & 7, 2, "bus mastering is on, and the reset was not confirmed");
    assert_eq!(switches(&machine), muted, "and it may send messages");
}

#[test]
fn a_device_that_is_cut_off_keeps_off_its_line() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let mut transport = enabled(&machine, &device, 3, 3);
    machine.set_register(gpu(), 4, 0x0010_0006, 0x407);
    stuck(&device);
    assert!(transport.cut_off());
    drop(transport);
    // MSI-X is off: what it has to say would go to the line, where nobody reads its ISR status.
    assert_eq!((switches(&machine), machine.get(gpu(), 4) & 0x407), (0, 0x402));
}

#[test]
fn a_function_that_stays_off_the_bus_has_no_vectors() {
    let (machine, device) = (Machine::new(), Device::new(&[]));
    let mut transport = enabled(&machine, &device, 3, 3);
    machine.set_register(gpu(), 4, 0x0010_0002, 0x402);
    transport.set_status(Status::empty());
    transport.set_status(Status::DRIVER_OK);
    // It cannot send a message: the handlers must not wait for one.
    assert_eq!((transport.vectors(), switches(&machine)), (1, 0));
}
