//! What a driver takes, whatever else the function says, and what it leaves alone, whatever it does.

use alloc::vec::Vec;
use core::cell::Cell;

use virtio_core::device::{Init, Wanted};
use virtio_core::regs::Registers;
use virtio_core::{DeviceId, Features, QueueIndex, Status, Transport};
use virtio_testkit::TestHal;

use super::bench::{Access, Write};
use super::device::{BAR, CONFIG_VECTOR, Device, QUEUE_VECTOR, View};
use super::machine::Machine;
use super::msix::{MSIX, enabled, messages};
use super::queues::{QUEUE, RINGS};
use super::window_regs::{Windowed, through};
use crate::{FunctionAddress, PciTransport};

// shows: pci.discovery.1, pci.discovery.2, pci.discovery.3
#[test]
fn a_function_is_taken_whatever_its_revision_and_subsystem() {
    for (ids, expected) in
        [(0x1050_1af4, DeviceId::GPU), (0x107f_1af4, DeviceId::new(63)), (0x1005_1af4, DeviceId::ENTROPY)]
    {
        for revision in [0, 1, 2, 7, 0xff] {
            for subsystem in [0, 0x1100_1af4, 0x1234_8086, u32::MAX] {
                let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
                let function = machine.add_gpu(0, 1);
                machine.set(function, 0x00, ids);
                machine.set(function, 0x08, 0x0380_0000 | revision);
                machine.set(function, 0x2c, subsystem);
                let transport = device.open(&machine, function, None).unwrap();
                assert_eq!(transport.device_id(), expected, "revision {revision} of {subsystem:#x}");
            }
        }
    }
}

/// Does everything with a transport that a driver does.
fn whole_life(mut transport: impl Transport) {
    transport.set_status(Status::empty());
    transport.device_features(1);
    transport.set_driver_features(1, 1);
    for queue in [QueueIndex::new(0), QUEUE] {
        transport.queue_max_size(queue);
        let bell = transport.enable_queue(queue, &RINGS).unwrap();
        transport.notify(bell);
    }
    transport.set_status(Status::DRIVER_OK);
    transport.ack_interrupt();
    transport.write_config(0, &[1, 2, 3, 4]).unwrap();
    transport.reset_queue(QUEUE);
    transport.queue_reset(QUEUE);
    transport.shared_memory(1);
    transport.set_status(Status::empty());
    transport.cut_off();
}

/// Where in the virtio capabilities something was written: they lie at 0x40 to 0x84.
fn into_capabilities(machine: &Machine) -> Vec<(FunctionAddress, u16, u32)> {
    let writes = machine.take_writes();
    assert!(!writes.is_empty(), "the command register at least");
    writes.into_iter().filter(|(_, at, _)| (0x40..0x84).contains(at)).collect()
}

// shows: pci.caps.8
#[test]
fn no_capability_is_written_but_the_window() {
    for vectors in [0, 3] {
        let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
        let function = machine.add_gpu_with_msix(0, 1, 3);
        let mut transport = device.open(&machine, function, None).unwrap();
        let map = |address, len| device.map_table(address, len);
        assert_eq!(transport.enable_msix_with(&messages(vectors), map), Ok(vectors));
        whole_life(transport);
        assert!(machine.get(function, MSIX) & 0x8000_0000 == 0);
        assert_eq!(into_capabilities(&machine), []);
    }
    // Of the window's own capability, the test's device asserts which fields they are.
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let (access, gpu) = Windowed::new(&machine, &device);
    whole_life(through(&access, gpu));
    assert_eq!(into_capabilities(&machine), []);
}

/// Fields of the common structure that a driver may write, `queue_reset` included (VIRTIO 1.4 §4.1.4.3).
const WRITABLE: [usize; 16] = [
    0x00,
    0x08,
    0x0c,
    CONFIG_VECTOR,
    STATUS,
    0x16,
    0x18,
    QUEUE_VECTOR,
    ENABLE,
    0x20,
    0x24,
    0x28,
    0x2c,
    0x30,
    0x34,
    0x3a,
];
const ENABLE: usize = 0x1c;

// shows: pci.layout.common-cfg.1, pci.layout.common-cfg.6
#[test]
fn no_read_only_field_is_written_and_no_queue_switched_off() {
    let common = |device: &Device| {
        let trace = device.take().into_iter();
        let writes: Vec<_> = trace
            .filter_map(|access| match access {
                Write(at, _, value) if at < 0x40 => Some((at, value)),
                _ => None,
            })
            .collect();
        assert!(writes.iter().all(|(at, _)| WRITABLE.contains(at)), "{writes:x?}");
        let enables = writes.iter().filter(|(at, _)| *at == ENABLE);
        assert!(enables.map(|(_, value)| *value).eq([1, 1]), "{writes:x?}");
        assert!(writes.contains(&(0x3a, 1)), "a queue was reset");
    };
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let function = machine.add_gpu(0, 1);
    whole_life(device.open(&machine, function, None).unwrap());
    common(&device);
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let (access, gpu) = Windowed::new(&machine, &device);
    whole_life(through(&access, gpu));
    common(&device);
}

// shows: pci.op.init.msix.1, pci.op.init.msix.4
#[test]
fn every_size_of_table_will_do_and_no_vector_lies_outside() {
    for entries in [1, 2, 3, 16, 64, 65, 2047, 2048] {
        for count in [1, 2, entries, 2048] {
            let (machine, device) = (Machine::new(), Device::new(&[0; 5]));
            let mut transport = enabled(&machine, &device, entries, count);
            transport.set_status(Status::empty());
            for queue in 0..5 {
                transport.enable_queue(QueueIndex::new(queue), &RINGS).unwrap();
            }
            transport.set_status(Status::DRIVER_OK);
            let vector = |access: &Access| match *access {
                Write(CONFIG_VECTOR | QUEUE_VECTOR, 2, vector) => Some(vector),
                _ => None,
            };
            let mapped: Vec<u32> = device.take().iter().filter_map(vector).collect();
            assert_eq!(mapped.len(), 6, "the configuration's and five queues'");
            assert!(mapped.iter().all(|vector| *vector < u32::from(entries)), "{mapped:?} of {entries}");
        }
    }
}

/// The common structure of a device that offers everything, and remembers its status.
#[derive(Debug)]
struct Willing<'a> {
    view: View<'a>,
    status: Cell<u8>,
}

const FEATURE: usize = 0x04;
const STATUS: usize = 0x14;

impl Registers for Willing<'_> {
    fn len(&self) -> usize {
        self.view.len()
    }
    fn read8(&self, offset: usize) -> u8 {
        if offset == STATUS { self.status.get() } else { self.view.read8(offset) }
    }
    fn read16(&self, offset: usize) -> u16 {
        self.view.read16(offset)
    }
    fn read32(&self, offset: usize) -> u32 {
        if offset == FEATURE { u32::MAX } else { self.view.read32(offset) }
    }
    fn write8(&self, offset: usize, value: u8) {
        if offset == STATUS {
            self.status.set(value);
        }
    }
    fn write16(&self, offset: usize, value: u16) {
        self.view.write16(offset, value);
    }
    fn write32(&self, offset: usize, value: u32) {
        self.view.write32(offset, value);
    }
}

// shows: reserved-features.13, reserved-features.10
#[test]
fn of_what_is_offered_the_devices_number_for_notifications_is_accepted_and_virtual_functions_are_not() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let gpu = machine.add_gpu(0, 1);
    let transport = PciTransport::with_mapper(&machine, gpu, None, |address, len| {
        Ok(Willing { view: device.map(BAR, address, len)?, status: Cell::new(0) })
    })
    .unwrap();
    let init =
        Init::start(transport, TestHal::new(), DeviceId::GPU).unwrap().negotiate(&Wanted::default()).unwrap();
    assert!(init.features().contains(Features::NOTIF_CONFIG_DATA | Features::RING_RESET));
    assert!(!init.features().intersects(Features::SR_IOV | Features::ADMIN_VQ));
}
