//! What a device says of itself (VIRTIO 1.4 §5.8.4).

use crate::bench::{builder, drive, honest, keyboard};
use virtio_core::Features;
use virtio_input::{AbsInfo, DeviceIds, EventType, Input, InputError, code};
use virtio_testkit::{Event, FakeTransport, TestHal};

#[test]
fn everything_is_read_on_modern_and_legacy() {
    for legacy in [false, true] {
        let hal = TestHal::new();
        let builder = builder(8, keyboard);
        let device = if legacy { builder.legacy() } else { builder }.build(&hal);
        let mut input = drive(&device, &hal);
        assert_eq!(input.features().contains(Features::VERSION_1), !legacy);
        assert_eq!(input.name().unwrap().as_str(), "Test Keyboard");
        assert_eq!(input.serial().unwrap().as_str(), "s-1?");
        // Little-endian on both.
        let ids = DeviceIds { bus: 6, vendor: 0x0627, product: 1, version: 2 };
        assert_eq!(input.ids(), Ok(Some(ids)));
        assert!(input.properties().unwrap().iter().eq([1]));
        let keys = input.supports(EventType::KEY).unwrap();
        assert!(keys.contains(code::KEY_ENTER) && keys.iter().count() == 1);
        assert!(input.supports(EventType::LED).unwrap().iter().eq([0, 1, 2]));
        let x = AbsInfo { min: -5, max: 32767, fuzz: 1, flat: 2, resolution: 3 };
        assert_eq!(input.abs_info(code::ABS_X), Ok(Some(x)));
    }
}

#[test]
fn what_a_device_has_not_is_empty() {
    let hal = TestHal::new();
    let device = builder(8, |_, _| None).build(&hal);
    let mut input = drive(&device, &hal);
    assert_eq!(input.name().unwrap().as_str(), "");
    assert_eq!(input.ids(), Ok(None));
    assert_eq!(input.abs_info(code::ABS_Y), Ok(None));
    assert!(input.supports(EventType::REL).unwrap().is_empty());
    // Beyond what the selector can ask for.
    assert!(input.supports(EventType::new(0x101)).unwrap().is_empty());
    assert_eq!(input.abs_info(0x100), Ok(None));
}

#[test]
fn the_window_is_left_pointing_at_nothing() {
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let mut input = drive(&device, &hal);
    input.name().unwrap();
    let config = device.config();
    assert_eq!(config.first_chunk::<3>(), Some(&[0, 0, 0]));
}

// shows: input.init.3
#[test]
fn sizes_that_cannot_be_are_named_and_the_device_stays_usable() {
    let hal = TestHal::new();
    let device = builder(8, |select, _| match select {
        0x01 => Some((129, vec![b'x'; 128])),
        0x03 => honest([6, 0, 0x27]),
        0x12 => honest([0; 19]),
        0x11 => Some((128, vec![0x80; 128])),
        _ => None,
    })
    .build(&hal);
    let mut input = drive(&device, &hal);
    assert_eq!(input.name(), Err(InputError::AnswerTooLong { select: 0x01, size: 129 }));
    assert_eq!(input.ids(), Err(InputError::AnswerTooShort { select: 0x03, size: 3 }));
    assert_eq!(input.abs_info(0), Err(InputError::AnswerTooShort { select: 0x12, size: 19 }));
    let codes = input.supports(EventType::KEY).unwrap();
    assert_eq!((codes.iter().count(), codes.iter().last()), (128, Some(1023)));
}

#[test]
fn a_space_that_changes_meanwhile_is_read_again() {
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let mut input = drive(&device, &hal);
    // The selector is answered, then every byte grows with each read, until it settles.
    device.unsettle_config(20);
    let name = input.name().unwrap();
    let settled: Vec<u8> = b"Test Keyboard".iter().map(|byte| byte + 20).collect();
    assert!(name.as_str().bytes().zip(settled).all(|(read, settled)| read == settled || read == b'?'));
    device.unsettle_config(u32::MAX);
    let unstable = virtio_core::Misbehaved::ConfigUnstable;
    assert_eq!(input.name(), Err(InputError::Core(unstable.into())));
    assert_eq!(device.config().first(), Some(&0), "the window points at nothing all the same");
    device.unsettle_config(0);
    assert_eq!(input.name().unwrap().as_str(), "Test Keyboard");
}

#[test]
fn a_space_that_is_too_small_is_named_and_the_window_left() {
    let hal = TestHal::new();
    // The device shows a name that its space has no room for.
    let device = builder(8, |_, _| None)
        .config(vec![0; 10])
        .on_config_write(|space, _, _| space[2] = if space[0] == 0 { 0 } else { 8 })
        .build(&hal);
    let mut input = drive(&device, &hal);
    let small = virtio_core::Incompatible::ConfigTooSmall { offset: 10, len: 1 };
    assert_eq!(input.name(), Err(InputError::Core(small.into())));
    assert_eq!(device.config().first_chunk::<3>(), Some(&[0, 0, 0]));
}

#[test]
fn names_command_no_terminal() {
    let hal = TestHal::new();
    let evil = |select, _| if select == 1 { honest(*b"\x1b[2J\x1b]0;x\x07kbd\r\n") } else { None };
    let device = builder(8, evil).build(&hal);
    let mut input = drive(&device, &hal);
    assert_eq!(input.name().unwrap().to_string(), "?[2J?]0;x?kbd??");
}

// shows: input.init.1, input.init.2, input.init.3
#[test]
fn both_selectors_are_written_and_then_the_size_is_read_first() {
    type Ask = fn(&mut Input<FakeTransport, TestHal>) -> bool;
    let asks: [Ask; 7] = [
        |input| input.name().is_ok(),
        |input| input.serial().is_ok(),
        |input| input.ids().is_ok(),
        |input| input.properties().is_ok(),
        |input| input.supports(EventType::KEY).is_ok(),
        |input| input.supports(EventType::LED).is_ok(),
        |input| input.abs_info(code::ABS_X).is_ok(),
    ];
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let mut input = drive(&device, &hal);
    for (number, ask) in asks.into_iter().enumerate() {
        hal.clear_trace();
        assert!(ask(&mut input));
        let trace = hal.trace();
        let read = trace.iter().position(|event| matches!(event, Event::ConfigRead { .. })).unwrap();
        assert_eq!(trace[read], Event::ConfigRead { offset: 2, len: 1 }, "question {number}");
        let written = |event: &Event| match event {
            Event::ConfigWrite { offset, bytes } => Some((*offset, bytes.len())),
            _ => None,
        };
        let mut before: Vec<_> = trace[..read].iter().filter_map(written).collect();
        before.sort_unstable();
        assert_eq!(before, [(0, 1), (1, 1)], "question {number}");
        assert!(trace.iter().filter_map(written).all(|(offset, len)| offset + len <= 2), "question {number}");
    }
}

// shows: pci.layout.1, mmio.regs.5
#[test]
fn each_field_is_read_with_one_access_of_its_width() {
    type Ask = fn(&mut Input<FakeTransport, TestHal>) -> bool;
    let text = "Test Keyboard".len();
    let asks: [(Ask, &[(usize, usize)]); 4] = [
        (|input| input.name().is_ok(), &[(2, 1)]),
        (|input| input.ids().is_ok(), &[(2, 1), (8, 2), (10, 2), (12, 2), (14, 2)]),
        (|input| input.supports(EventType::KEY).is_ok(), &[(2, 1), (8, 1), (9, 1), (10, 1), (11, 1)]),
        (|input| input.abs_info(code::ABS_X).is_ok(), &[(2, 1), (8, 4), (12, 4), (16, 4), (20, 4), (24, 4)]),
    ];
    let hal = TestHal::new();
    let device = builder(8, keyboard).build(&hal);
    let mut input = drive(&device, &hal);
    for (number, (ask, due)) in asks.into_iter().enumerate() {
        hal.clear_trace();
        assert!(ask(&mut input));
        let read = hal.trace().into_iter().filter_map(|event| match event {
            Event::ConfigRead { offset, len } => Some((offset, len)),
            _ => None,
        });
        let name = (8..8 + text).map(|at| (at, 1)).filter(|_| number == 0);
        assert!(read.eq(due.iter().copied().chain(name)), "question {number}");
    }
}
