//! Bring-up, interrupts, and the end.

use crate::bench::{F_LIMIT, ID, drive, honest};

use virtio_core::device::DeviceEvent;
use virtio_core::transport::InterruptStatus;
use virtio_core::{DeviceId, Error, Features, Incompatible, QueueIndex};
use virtio_newdev::{Newdev, NewdevError};
use virtio_testkit::{FakeDevice, TestHal};

#[test]
fn wrong_devices_are_named() {
    let hal = TestHal::new();
    let other = FakeDevice::builder(DeviceId::new(0)).build(&hal);
    let error = Newdev::new(other.transport(), hal.clone()).unwrap_err();
    assert_eq!(error, NewdevError::Core(Incompatible::WrongDevice(DeviceId::new(0)).into()));
    let queueless = FakeDevice::builder(ID).build(&hal);
    let error = Newdev::new(queueless.transport(), hal.clone()).unwrap_err();
    assert_eq!(error, NewdevError::Core(Incompatible::NoQueue(QueueIndex::new(0)).into()));
}

#[test]
fn only_what_is_implemented_is_accepted() {
    let hal = TestHal::new();
    let own = Features::from_bits_retain(0xff_ffff);
    let device = honest().features(Features::VERSION_1 | own).build(&hal);
    let newdev = drive(&device, &hal);
    assert_eq!(newdev.features(), Features::VERSION_1 | F_LIMIT);
    assert_eq!(device.accepted(), newdev.features());
}

#[test]
fn the_limit_is_read_only_where_there_is_one() {
    let hal = TestHal::new();
    let device = honest().build(&hal);
    assert_eq!(drive(&device, &hal).limit(), Some(100));
    // Without the feature, there may be no such field.
    let unlimited = honest().features(Features::VERSION_1).config([]).build(&hal);
    assert_eq!(drive(&unlimited, &hal).limit(), None);
    let cut_short = honest().config([]).build(&hal);
    assert!(matches!(
        Newdev::new(cut_short.transport(), hal.clone()),
        Err(NewdevError::Core(Error::Incompatible(Incompatible::ConfigTooSmall { .. })))
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
        match Newdev::new(device.transport(), hal.clone()) {
            Err(error) => {
                assert!(matches!(error, NewdevError::Core(Error::Platform(_))), "{error}");
                failures += 1;
            }
            Ok(_) => break,
        }
    }
    assert!(failures > 2, "{failures}");
}

#[test]
fn a_device_that_asks_for_a_reset_is_recovered() {
    let hal = TestHal::new();
    let device = honest().build(&hal);
    let mut newdev = drive(&device, &hal);
    device.needs_reset();
    assert_eq!(newdev.attend(InterruptStatus::CONFIG), Ok(Some(DeviceEvent::NeedsReset)));
    assert!(hal.outstanding().is_none());
    assert_eq!(newdev.echo(1), Err(NewdevError::Core(Error::Down)));
    assert_eq!(newdev.recover().unwrap().echo(2), Ok(2));
}

#[test]
fn the_transport_comes_back_and_serves_again() {
    let hal = TestHal::new();
    let device = honest().build(&hal);
    let newdev = drive(&device, &hal);
    assert!(newdev.transport_info().is_ok());
    let transport = newdev.dismantle().unwrap();
    assert_eq!(Newdev::new(transport, hal.clone()).unwrap().echo(3), Ok(3));
}
