//! `AnyTransport` does what the transport in it does, access by access.
#![cfg(all(feature = "mmio", feature = "pci"))]

use core::cell::RefCell;

use virtio::pci::{AccessFns, FunctionAddress, LegacyTransport};
use virtio::regs::Registers;
use virtio::transport::{Doorbell, DoorbellWidth, Rings};
use virtio::{AnyTransport, DeviceAddr, QueueIndex, Status, Transport, mmio};

/// Registers that answer with numbers of their own, and remember every access.
#[derive(Debug, Default)]
struct Recorder(RefCell<Vec<(usize, Option<u32>)>>);

impl Recorder {
    fn was_written(&self, offset: usize) -> bool {
        self.0.borrow().iter().any(|access| matches!(access, (at, Some(_)) if *at == offset))
    }
    fn note(&self, offset: usize, written: Option<u32>) {
        self.0.borrow_mut().push((offset, written));
    }
}

impl Registers for &Recorder {
    fn len(&self) -> usize {
        0x200
    }
    fn read8(&self, offset: usize) -> u8 {
        self.note(offset, None);
        0x5a
    }
    fn read16(&self, offset: usize) -> u16 {
        self.note(offset, None);
        8
    }
    fn read32(&self, offset: usize) -> u32 {
        self.note(offset, None);
        match offset {
            0x000 => 0x7472_6976, // magic
            0x004 => 2,           // version
            0x044 => u32::from(self.was_written(0x044)),
            _ => 16,
        }
    }
    fn write8(&self, offset: usize, value: u8) {
        self.note(offset, Some(value.into()));
    }
    fn write16(&self, offset: usize, value: u16) {
        self.note(offset, Some(value.into()));
    }
    fn write32(&self, offset: usize, value: u32) {
        self.note(offset, Some(value));
    }
}

/// Configuration access for the variant that this machine does not have.
type NoPci = AccessFns<fn(FunctionAddress, u16) -> u32, fn(FunctionAddress, u16, u32)>;

/// Calls everything, and answers what came of it.
fn exercise(transport: &mut impl Transport) -> String {
    let queue = QueueIndex::new(3);
    let rings = Rings {
        size: 8,
        descriptor: DeviceAddr::new(0x1_2345_6000),
        driver: DeviceAddr::new(0x1_2345_6080),
        device: DeviceAddr::new(0x1_2345_7000),
        notification_data: false,
        notif_config_data: false,
    };
    let mut bytes = [0; 4];
    let mut answers = format!("{:?} {:?}", transport.info(), transport.device_id());
    let legacy = (transport.is_legacy(), transport.dictates_queue_size(), transport.has_config_generation());
    answers += &format!("{legacy:?} {:?}", transport.status());
    transport.set_status(Status::DRIVER);
    transport.set_driver_features(1, 0xabc);
    answers += &format!("{} {}", transport.device_features(1), transport.queue_max_size(queue));
    assert!(transport.enable_queue(queue, &rings).is_ok());
    assert!(transport.enable_queue(queue, &rings).is_err(), "it is in use");
    transport.notify(Doorbell { offset: 0x50, value: 3, width: DoorbellWidth::Bits32 });
    transport.reset_queue(queue);
    answers += &format!("{:?}", transport.queue_reset(queue));
    answers += &format!("{:?} {}", transport.ack_interrupt(), transport.config_generation());
    answers += &format!("{:?} {bytes:?}", transport.read_config(4, &mut bytes));
    answers += &format!("{:?} {:?}", transport.write_config(8, &bytes), transport.write_config(2, &bytes));
    answers += &format!("{} {}", transport.config_len(), transport.cut_off());
    answers += &format!("{:?} {:?}", transport.supported_features(), transport.shared_memory(1));
    answers
}

#[test]
fn every_call_goes_through() {
    let (plain, wrapped) = (Recorder::default(), Recorder::default());
    let mut transport = mmio::probe(&plain).unwrap().unwrap();
    let expected = exercise(&mut transport);
    let mut any: AnyTransport<_, NoPci> = mmio::probe(&wrapped).unwrap().unwrap().into();
    assert_eq!(exercise(&mut any), expected);
    let accesses = plain.0.take();
    assert!(accesses.len() > 20);
    assert_eq!(wrapped.0.take(), accesses);
}

/// Legacy registers, over the same recorder: no queue has an address until it is given one.
#[derive(Debug)]
struct LegacyPorts<'a>(&'a Recorder);

impl Registers for LegacyPorts<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn read8(&self, offset: usize) -> u8 {
        self.0.read8(offset)
    }
    fn read16(&self, offset: usize) -> u16 {
        self.0.read16(offset)
    }
    fn read32(&self, offset: usize) -> u32 {
        let value = self.0.read32(offset);
        if offset == 8 { u32::from(self.0.was_written(8)) } else { value }
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

/// A legacy entropy source whose command register says that all is on, and whose BAR cannot be moved.
fn legacy_source(_: FunctionAddress, offset: u16) -> u32 {
    match offset {
        0x00 => 0x1005_1af4,
        0x04 => 7,
        0x10 => 0xffff_ffe1,
        _ => 0,
    }
}

#[test]
fn every_call_of_a_legacy_device_goes_through() {
    let config: NoPci = AccessFns::new(legacy_source, |_, _, _| {});
    let function = FunctionAddress::from_number(8);
    let open = |recorder| {
        LegacyTransport::with_mapper(&config, function, None, |range| {
            assert_eq!((range.port, range.len), (0xffff_ffe0, 0x20));
            Ok(LegacyPorts(recorder))
        })
    };
    let (plain, wrapped) = (Recorder::default(), Recorder::default());
    let mut transport = open(&plain).unwrap();
    let expected = exercise(&mut transport);
    let mut any: AnyTransport<_, _> = open(&wrapped).unwrap().into();
    assert_eq!(exercise(&mut any), expected);
    let accesses = plain.0.take();
    assert!(accesses.len() > 10);
    assert_eq!(wrapped.0.take(), accesses);
}
