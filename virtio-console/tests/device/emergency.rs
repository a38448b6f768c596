//! Words by way of the configuration space.

use alloc::sync::Arc;
use core::fmt::Write;
use std::sync::Mutex;

use crate::bench::{Setup, ZERO};

use virtio_console::abi::F_EMERG_WRITE;
use virtio_console::{Console, ConsoleError, Emergency};
use virtio_core::{DeviceId, Error, Features, Incompatible, Status};
use virtio_testkit::{Event as Trace, FakeDevice, Lie, TestHal};

type Words = Arc<Mutex<Vec<Vec<u8>>>>;

fn speaking(hal: &TestHal, legacy: bool) -> (FakeDevice, Words) {
    let said = Words::default();
    let ear = said.clone();
    let builder = FakeDevice::builder(DeviceId::CONSOLE)
        .features(Features::VERSION_1 | F_EMERG_WRITE)
        .config([0; 12])
        .on_config_write(move |_, offset, bytes| {
            assert_eq!(offset, 8);
            ear.lock().unwrap().push(bytes.to_vec());
        })
        .event_queue(0, 8)
        .event_queue(1, 8);
    (if legacy { builder.legacy() } else { builder }.build(hal), said)
}

fn wire(text: &[u8], legacy: bool) -> Vec<Vec<u8>> {
    let word = |byte: &u8| {
        let word = u32::from(*byte);
        if legacy { word.to_ne_bytes() } else { word.to_le_bytes() }.to_vec()
    };
    text.iter().map(word).collect()
}

/// Before anybody has touched the device: no reset, no status, no queue, no memory.
#[test]
fn on_a_bare_transport_before_anything_is_set_up() {
    for legacy in [false, true] {
        let hal = TestHal::new();
        let (device, said) = speaking(&hal, legacy);
        let mut transport = device.transport();
        Emergency::new(&mut transport).unwrap().write(b"early\xff").unwrap();
        write!(Emergency::new(&mut transport).unwrap(), "{}", 42).unwrap();
        assert_eq!(*said.lock().unwrap(), wire(b"early\xff42", legacy));
        assert_eq!(device.status(), Status::empty());
        let touched =
            |event: &Trace| !matches!(event, Trace::ConfigWrite { .. } | Trace::FeaturesRead { .. });
        assert_eq!(hal.trace().into_iter().find(touched), None);
    }
}

#[test]
fn on_a_live_device_whose_queues_are_broken_and_on_one_that_was_given_up() {
    for legacy in [false, true] {
        let hal = TestHal::new();
        let (device, said) = speaking(&hal, legacy);
        let mut console = Console::new(device.transport(), hal.clone()).unwrap();
        console.emergency_write(b"ok ").unwrap();
        device.lie(1, Lie::UsedIndex(999));
        assert!(console.port(ZERO).unwrap().poll_sent().is_err());
        console.emergency_write(b"still").unwrap();
        device.needs_reset();
        assert!(console.ack_interrupt().is_err());
        assert_eq!(console.emergency_write(b"x"), Err(ConsoleError::Core(Error::Down)));
        let mut transport = console.dismantle().unwrap();
        Emergency::new(&mut transport).unwrap().write(b"!").unwrap();
        assert_eq!(*said.lock().unwrap(), wire(b"ok still!", legacy));
    }
}

#[test]
fn only_where_it_is_offered() {
    let bench = Setup { features: Features::empty(), ..Setup::SINGLE }.build();
    let mut transport = bench.device.transport();
    let refused = ConsoleError::NoEmergencyWrite;
    assert_eq!(Emergency::new(&mut transport).unwrap_err(), refused);
    assert_eq!(bench.drive().emergency_write(b"x"), Err(refused));
    let written = |event: &Trace| matches!(event, Trace::ConfigWrite { .. });
    assert!(!bench.hal.trace().iter().any(written));

    let hal = TestHal::new();
    let gpu = FakeDevice::builder(DeviceId::GPU).features(F_EMERG_WRITE).config([0; 12]).build(&hal);
    let wrong = ConsoleError::Core(Incompatible::WrongDevice(DeviceId::GPU).into());
    assert_eq!(Emergency::new(&mut gpu.transport()).unwrap_err(), wrong);
    let short = FakeDevice::builder(DeviceId::CONSOLE).features(F_EMERG_WRITE).config([0; 8]).build(&hal);
    let small = ConsoleError::Core(Incompatible::ConfigTooSmall { offset: 8, len: 4 }.into());
    assert_eq!(Emergency::new(&mut short.transport()).unwrap().write(b"x"), Err(small));
}
