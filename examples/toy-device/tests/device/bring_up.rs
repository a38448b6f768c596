//! Bring-up, interrupts, and the end.

use crate::bench::{Driver, F_SIDES, drive, honest};

use toy_device::{Dice, DiceError};
use virtio_core::device::DeviceEvent;
use virtio_core::transport::InterruptStatus;
use virtio_core::{DeviceId, Error, Features, Incompatible, QueueIndex};
use virtio_testkit::{FakeDevice, Reply, TestHal};

#[test]
fn wrong_devices_are_named() {
    let hal = TestHal::new();
    let other = FakeDevice::builder(DeviceId::GPU).build(&hal);
    let error = Dice::new(other.transport(), hal.clone()).unwrap_err();
    assert_eq!(error, DiceError::Core(Incompatible::WrongDevice(DeviceId::GPU).into()));
    let deaf = FakeDevice::builder(Driver::ID).config([1, 0, 0, 0]).queue(0, 8, |_| Reply::Hold).build(&hal);
    let error = Dice::new(deaf.transport(), hal.clone()).unwrap_err();
    assert_eq!(error, DiceError::Core(Incompatible::NoQueue(QueueIndex::new(1)).into()));
}

#[test]
fn only_what_is_implemented_is_accepted() {
    let hal = TestHal::new();
    let own = Features::from_bits_retain(0xff_ffff);
    let device = honest().features(Features::VERSION_1 | own).build(&hal);
    let dice = drive(&device, &hal);
    assert_eq!(dice.features(), Features::VERSION_1 | F_SIDES);
    assert_eq!(device.accepted(), dice.features());
}

#[test]
fn the_dice_are_those_of_the_configuration() {
    let hal = TestHal::new();
    let dice = drive(&honest().build(&hal), &hal);
    assert_eq!((dice.max_dice(), dice.sides()), (10, 8));
    drop(dice);
    // Without the feature the field means nothing, and need not be there.
    let plain = honest().features(Features::VERSION_1).config([0, 1]).build(&hal);
    let dice = drive(&plain, &hal);
    assert_eq!((dice.max_dice(), dice.sides()), (256, 6));
}

#[test]
fn a_table_without_dice_is_named() {
    let hal = TestHal::new();
    for (config, max, sides) in [([0, 0, 8, 0], 0, 8), ([10, 0, 0, 0], 10, 0)] {
        let device = honest().config(config).build(&hal);
        let error = Dice::new(device.transport(), hal.clone()).unwrap_err();
        assert_eq!(error, DiceError::NoDice { max, sides });
        assert_eq!(error.to_string(), format!("the device is incompatible: {max} dice of {sides} sides"));
    }
    let cut_short = honest().config([10, 0]).build(&hal);
    assert!(matches!(
        Dice::new(cut_short.transport(), hal.clone()),
        Err(DiceError::Core(Error::Incompatible(Incompatible::ConfigTooSmall { offset: 2, .. })))
    ));
}

/// Whichever allocation fails: an error, and nothing is left behind (the Hal's own check at its end).
#[test]
fn every_failed_allocation_is_survived() {
    let mut failures = 0;
    for n in 1.. {
        let hal = TestHal::new();
        let device = honest().build(&hal);
        hal.fail_nth(n);
        match Dice::new(device.transport(), hal.clone()) {
            Err(error) => {
                assert!(matches!(error, DiceError::Core(Error::Platform(_))), "{error}");
                failures += 1;
            }
            Ok(_) => break,
        }
    }
    assert!(failures > 3, "{failures}");
}

#[test]
fn a_device_that_asks_for_a_reset_is_recovered() {
    let hal = TestHal::new();
    let device = honest().build(&hal);
    let mut dice = drive(&device, &hal);
    let endpoint = dice.device().endpoint(0).unwrap();
    device.needs_reset();
    let status = virtio_core::Endpoint::ack(&endpoint);
    assert_eq!(dice.attend(status), Ok(Some(DeviceEvent::NeedsReset)));
    assert!(hal.outstanding().is_none());
    assert_eq!(dice.attend(InterruptStatus::CONFIG), Err(DiceError::Core(Error::Down)));
    let mut dice = dice.recover().unwrap();
    dice.throw(&mut [0; 2]).unwrap();
    let transport = dice.dismantle().unwrap();
    Dice::new(transport, hal.clone()).unwrap().throw(&mut [0; 2]).unwrap();
}
