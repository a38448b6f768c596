//! What is checked before the ports are mapped, and what is written on the way.

use alloc::string::ToString;
use alloc::vec::Vec;

use virtio_core::{HalError, Incompatible, PhysAddr, Transport};

use super::device::{LEN, PORT, add, give_msix, make_modern, ports};
use crate::tests::bench::Bench;
use crate::tests::machine::Machine;
use crate::{FunctionAddress, IoRange, LegacyTransport, PciError, Window, Windows};

/// What becomes of opening this function; the mapper must not be called if it fails.
fn refused(machine: &Machine, function: FunctionAddress, windows: Option<&Windows>) -> PciError {
    let mut mapped = false;
    let answer = LegacyTransport::with_mapper(machine, function, windows, |_| {
        mapped = true;
        Ok(ports())
    });
    assert!(!mapped);
    answer.unwrap_err()
}

// shows: pci.layout.legacy.1
#[test]
fn the_ports_are_those_of_bar_0_and_io_decoding_is_on() {
    let machine = Machine::new();
    let rng = add(&machine);
    let mut range = None;
    let transport = LegacyTransport::with_mapper(&machine, rng, None, |found| {
        range = Some(found);
        Ok(ports())
    });
    assert_eq!(range, Some(IoRange { port: PORT, cpu: None, len: LEN }));
    let transport = transport.unwrap();
    assert_eq!((transport.function(), transport.config_len()), (rng, LEN - 20));
    assert_eq!(transport.info().to_string(), "virtio-pci legacy");
    assert!(transport.is_legacy() && transport.dictates_queue_size() && !transport.has_config_generation());
    // I/O is on; memory is not, nor is the bus.
    assert_eq!(machine.get(rng, 4) & 7, 1);
    assert_eq!(machine.get(rng, 0x10), PORT | 1);
}

#[test]
fn a_transitional_device_may_be_driven_as_legacy() {
    let machine = Machine::new();
    let rng = add(&machine);
    make_modern(&machine, rng);
    let transport = LegacyTransport::with_mapper(&machine, rng, None, |_| Ok(ports())).unwrap();
    assert!(transport.is_legacy());
}

#[test]
fn a_window_says_where_the_cpu_finds_the_ports() {
    let machine = Machine::new();
    let rng = add(&machine);
    let io = |len| Windows {
        io: Some(Window { bus: 0, cpu: PhysAddr::new(0x3eff_0000), len }),
        ..Windows::default()
    };
    let mut cpu = None;
    LegacyTransport::with_mapper(&machine, rng, Some(&io(0x1_0000)), |found| {
        cpu = found.cpu;
        Ok(ports())
    })
    .unwrap();
    assert_eq!(cpu, Some(PhysAddr::new(0x3eff_c040)));
    let outside = PciError::BarOutsideWindow { function: rng, bar: 0, address: PORT.into(), size: 0x40 };
    assert_eq!(refused(&machine, rng, Some(&io(0xc07f))), outside);
    assert_eq!(refused(&machine, rng, Some(&Windows::default())), outside);
}

// shows: pci.layout.legacy.1
#[test]
fn each_unusable_bar_is_named() {
    let machine = Machine::new();
    let rng = add(&machine);
    let unassigned = |bar| PciError::BarUnassigned { function: rng, bar };
    for (low, mask, expected) in [
        (0, 0, PciError::NoLegacyBar),
        (0x4000_0000, 0xffff_f000, PciError::NoLegacyBar), // memory
        (PORT | 1, 0xffff_fff0, PciError::LegacyBarTooShort { size: 16 }),
        (1, 0xffff_ffe0, unassigned(0)),
        (1, 0xffff_f0e0, PciError::MalformedBar { function: rng, bar: 0 }),
    ] {
        machine.set_register(rng, 0x10, low, mask);
        assert_eq!(refused(&machine, rng, None), expected, "{low:#x} {mask:#x}");
        assert_eq!(machine.get(rng, 4) & 7, 0, "nothing decodes");
    }
    // Ports of another BAR that would answer at 0.
    machine.set_register(rng, 0x10, PORT | 1, 0xffff_ffe0);
    machine.set_register(rng, 0x18, 1, 0xffff_ff00);
    assert_eq!(refused(&machine, rng, None), unassigned(2));
    assert_eq!(machine.get(rng, 4) & 7, 0);
}

#[test]
fn the_smallest_bar_will_do_and_of_a_huge_one_a_page_is_mapped() {
    for (mask, len) in [(0xffff_ffe0, 0x20), (0xffff_0000, 0x1000)] {
        let machine = Machine::new();
        let rng = add(&machine);
        machine.set_register(rng, 0x10, 0x1_0001, mask);
        let transport = LegacyTransport::with_mapper(&machine, rng, None, |range| {
            assert_eq!((range.port, range.len), (0x1_0000, len));
            Ok(Bench::sized(len))
        });
        assert_eq!(transport.unwrap().config_len(), len - 20);
    }
}

#[test]
fn a_function_that_does_not_decode_is_named() {
    let machine = Machine::new();
    let rng = add(&machine);
    machine.set_register(rng, 4, 0, 6);
    assert_eq!(refused(&machine, rng, None), PciError::IoDecodeRefused);
}

#[test]
fn what_the_mapper_answers_is_passed_on_and_checked() {
    let machine = Machine::new();
    let rng = add(&machine);
    let error = LegacyTransport::<Bench, _>::with_mapper(&machine, rng, None, |_| Err(HalError::CannotMap));
    assert_eq!(error.unwrap_err(), PciError::Platform(HalError::CannotMap));
    let error = LegacyTransport::with_mapper(&machine, rng, None, |range| Ok(Bench::sized(range.len - 1)));
    assert_eq!(error.unwrap_err(), PciError::Incompatible(Incompatible::RegistersTooShort));
}

#[test]
fn msix_that_someone_left_on_is_switched_off() {
    const ON: u32 = 1 << 31;
    let machine = Machine::new();
    let rng = add(&machine);
    give_msix(&machine, rng, ON, ON);
    LegacyTransport::with_mapper(&machine, rng, None, |_| Ok(ports())).unwrap();
    assert_eq!(machine.get(rng, 0x98) & ON, 0);
    let to_msix: Vec<_> = machine.take_writes().into_iter().filter(|(_, at, _)| *at == 0x98).collect();
    assert_eq!(to_msix, [(rng, 0x98, 0x0001_0011)]);
    // One that stays on: configuration would be read 4 bytes off.
    give_msix(&machine, rng, ON, 0);
    let error = LegacyTransport::with_mapper(&machine, rng, None, |_| Ok(ports())).unwrap_err();
    assert_eq!(error, PciError::MsixRefused);
}

#[test]
fn each_error_says_what_it_is() {
    for (error, words) in [
        (PciError::ModernOnly { device: 0x1050, revision: 1 }, "device 1050 (revision 1) has no legacy"),
        (PciError::NoLegacyBar, "BAR 0 is no I/O BAR"),
        (PciError::LegacyBarTooShort { size: 16 }, "only 16 bytes"),
        (PciError::IoDecodeRefused, "I/O BARs"),
    ] {
        assert!(error.to_string().contains(words), "{error}");
    }
}
