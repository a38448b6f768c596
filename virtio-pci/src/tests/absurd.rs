//! Devices that say absurd things, and one that is gone.

use virtio_core::config::{ByteOrder, Config};
use virtio_core::regs::Registers;
use virtio_core::transport::InterruptStatus;
use virtio_core::{Error, Features, Incompatible, Misbehaved, QueueIndex, QueueSize, Status, Transport};

use super::bench::{Read, Write};
use super::device::{DEVICE, Device, ISR};
use super::machine::Machine;
use super::queues::{PLAIN, QUEUE, RINGS, with_notify};
use crate::PciTransport;

#[test]
fn a_queue_has_no_size_or_at_most_32768() {
    for (said, taken) in [(0, 0), (1, 1), (48, 48), (32768, 32768), (32769, 32768), (65535, 32768)] {
        let device = Device::new(&[0, 1]);
        device.bench.put(0x18, &u16::to_le_bytes(said));
        with_notify(PLAIN, &device, |transport, _| {
            let max = transport.queue_max_size(QUEUE);
            assert_eq!(max, taken);
            // What a driver makes of it is a power of two, or nothing.
            let size = QueueSize::fit(u16::MAX, max).map_or(0, QueueSize::get);
            assert!(size <= taken && (size == 0) == (said == 0) && (size == 0 || size.is_power_of_two()));
        });
    }
}

#[test]
fn a_device_with_no_queue_or_65535_is_bounded() {
    for queues in [0, u16::MAX] {
        let device = Device::new(&alloc::vec![0; queues.into()]);
        device.bench.put(0x18, &64_u16.to_le_bytes());
        with_notify(PLAIN, &device, |transport, _| {
            for queue in [0, 0x7fff, 0xfffe] {
                let size = transport.queue_max_size(QueueIndex::new(queue));
                assert_eq!(size, if queues == 0 { 0 } else { 64 });
            }
            assert_eq!(transport.queue_max_size(QueueIndex::new(u16::MAX)), 0);
        });
    }
}

/// All registers, and configuration space, read as all ones.
fn vanish(device: &Device, machine: &Machine) {
    device.bench.put(0, &[0xff; 0x4000]);
    machine.clear();
}

#[test]
fn a_device_that_is_gone_gets_no_queue_and_says_nothing() {
    let device = Device::new(&[0; 0xffff]);
    with_notify(PLAIN, &device, |transport, machine| {
        vanish(&device, machine);
        let busy = Err(Error::Incompatible(Incompatible::QueueBusy(QUEUE)));
        assert_eq!(transport.enable_queue(QUEUE, &RINGS), busy);
        // It was asked, and told nothing but which queue.
        assert_eq!(device.take(), [Read(0x12, 2), Write(0x16, 2, 1), Read(0x1c, 2)]);
        assert_eq!(machine.take_writes(), []);
        // A reset is never confirmed, a queue's neither; it asks for one for ever.
        transport.set_status(Status::empty());
        assert!(transport.status().contains(Status::DEVICE_NEEDS_RESET));
        assert_eq!(transport.ack_interrupt(), InterruptStatus::empty());
        assert!(!transport.cut_off());
        assert_eq!(transport.shared_memory(0), None);
    });
}

#[test]
fn a_function_that_goes_while_its_queue_is_set_up_is_named() {
    // Its BAR still answers, its configuration space does not: all ones are no bus master.
    let device = Device::new(&[0, 1]);
    with_notify(PLAIN, &device, |transport, machine| {
        machine.clear();
        let refused = Err(Error::Incompatible(Incompatible::BusMasteringRefused));
        assert_eq!(transport.enable_queue(QUEUE, &RINGS), refused);
        assert!(!device.take().contains(&Write(0x1c, 2, 1)));
    });
}

#[test]
fn with_messages_too() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let mut transport = super::msix::enabled(&machine, &device, 3, 3);
    machine.clear();
    let refused = Err(Error::Incompatible(Incompatible::BusMasteringRefused));
    assert_eq!(transport.enable_queue(QUEUE, &RINGS), refused);
    // The status is written all the same, and dropping the transport ends.
    transport.set_status(Status::DRIVER_OK);
    assert_eq!(device.take().last(), Some(&Write(0x14, 1, 4)));
}

/// Registers whose configuration generation is another one at each look.
#[derive(Debug)]
struct Restless<R>(R, core::cell::Cell<u8>);

impl<R: Registers> Registers for Restless<R> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn read8(&self, offset: usize) -> u8 {
        let value = self.0.read8(offset);
        if offset != 0x15 {
            return value;
        }
        self.1.set(self.1.get().wrapping_add(1));
        self.1.get()
    }
    fn read16(&self, offset: usize) -> u16 {
        self.0.read16(offset)
    }
    fn read32(&self, offset: usize) -> u32 {
        self.0.read32(offset)
    }
    fn write8(&self, offset: usize, value: u8) {
        self.0.write8(offset, value);
    }
    fn write16(&self, offset: usize, value: u16) {
        self.0.write16(offset, value);
    }
    fn write32(&self, offset: usize, value: u32) {
        self.0.write32(offset, value);
    }
}

#[test]
fn a_generation_that_never_settles_is_named_after_a_bound() {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let gpu = machine.add_gpu(0, 1);
    let transport = PciTransport::with_mapper(&machine, gpu, None, |address, len| {
        Ok(Restless(device.map(super::device::BAR, address, len)?, core::cell::Cell::new(0)))
    })
    .unwrap();
    device.take();
    let config = Config::new(&transport, ByteOrder::Little);
    let unstable = Err(Error::Misbehaved(Misbehaved::ConfigUnstable));
    assert_eq!(config.u64(8), unstable);
    let trace = device.take();
    let of_space = trace.iter().filter(|access| matches!(access, Read(at, 4) if *at >= DEVICE)).count();
    assert_eq!(of_space % 2, 0);
    assert!((2..=256).contains(&of_space) && trace.len() <= of_space * 3 / 2 + 1, "{of_space}");
}

#[test]
fn an_interrupt_storm_is_answered_one_read_at_a_time() {
    let device = Device::new(&[0]);
    with_notify(PLAIN, &device, |transport, _| {
        for _ in 0..1000 {
            device.bench.put(ISR, &[3]);
            assert_eq!(transport.ack_interrupt(), InterruptStatus::all());
            assert_eq!(device.take().len(), 2); // with its barrier
        }
    });
}

#[test]
fn structures_on_top_of_each_other_are_driven_as_they_stand() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 1]));
    let gpu = machine.add_gpu(0, 1);
    for at in [0x58, 0x68, 0x78] {
        machine.set(gpu, at, 0);
    }
    let mut transport = device.open(&machine, gpu, None).unwrap();
    let bell = transport.enable_queue(QUEUE, &RINGS).unwrap();
    device.take();
    transport.notify(bell);
    assert_eq!(device.take()[1], Write(4, 2, 1));
    assert_eq!(transport.config_len(), 0x1000);
}

#[test]
fn features_end_where_the_registers_do() {
    let never = Features::SR_IOV | Features::ADMIN_VQ;
    for (len, missing) in [
        (0x38, Features::NOTIF_CONFIG_DATA | Features::RING_RESET),
        (0x39, Features::NOTIF_CONFIG_DATA | Features::RING_RESET),
        (0x3a, Features::RING_RESET),
        (0x3b, Features::RING_RESET),
        (0x3c, Features::empty()),
        (0x1000, Features::empty()),
    ] {
        let (machine, device) = (Machine::new(), Device::new(&[0]));
        let gpu = machine.add_gpu(0, 1);
        machine.set(gpu, 0x4c, len);
        let transport = device.open(&machine, gpu, None).unwrap();
        assert_eq!(transport.supported_features(), !(missing | never), "{len:#x}");
    }
}

// shows: reserved-features.10
#[test]
fn virtual_functions_need_the_capability() {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let gpu = machine.add_gpu(0, 1);
    let access = crate::AccessFns::new(
        |function, offset| match offset {
            0x100 => 0x1401_000e, // ARI, then at 0x140:
            0x140 => 0x0001_0010,
            _ => crate::ConfigAccess::read32(&machine, function, offset),
        },
        |function, offset, value| crate::ConfigAccess::write32(&machine, function, offset, value),
    );
    let offers = |access: &dyn crate::ConfigAccess| {
        let map = |address, len| device.map(super::device::BAR, address, len);
        let transport = PciTransport::with_mapper(access, gpu, None, map).unwrap();
        transport.supported_features().contains(Features::SR_IOV)
    };
    // Only a PCI Express function has extended configuration space.
    assert!(!offers(&access));
    machine.set(gpu, 0x34, 0xe0);
    machine.set(gpu, 0xe0, 0x4010);
    assert!(offers(&access));
    assert!(!offers(&machine));
}
