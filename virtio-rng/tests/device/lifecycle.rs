//! Bring-up, interrupts, and the end.

use crate::bench::{builder, counting, drive, drive_buffers, holding};

use virtio_core::device::DeviceEvent;
use virtio_core::transport::InterruptStatus;
use virtio_core::{DeviceId, Endpoint, Error, Incompatible, QueueIndex};
use virtio_rng::{Rng, RngError};
use virtio_testkit::{Call, FakeDevice, Reply, Reset, TestHal};

#[test]
fn wrong_devices_are_named() {
    let hal = TestHal::new();
    let other = FakeDevice::builder(DeviceId::GPU).build(&hal);
    let error = Rng::new(other.transport(), hal.clone()).unwrap_err();
    assert_eq!(error, RngError::Core(Incompatible::WrongDevice(DeviceId::GPU).into()));
    let queueless = FakeDevice::builder(DeviceId::ENTROPY).build(&hal);
    let error = Rng::new(queueless.transport(), hal.clone()).unwrap_err();
    assert_eq!(error, RngError::Core(Incompatible::NoQueue(QueueIndex::new(0)).into()));
}

/// Whichever allocation fails: an error, and nothing is left behind (the Hal's own check at its end).
#[test]
fn every_failed_allocation_is_survived() {
    let mut failures = 0;
    for n in 1.. {
        let hal = TestHal::new();
        let device = counting(300).build(&hal);
        hal.fail_nth(n);
        let mut bytes = [0xee; 700];
        let outcome = Rng::new(device.transport(), hal.clone()).and_then(|mut rng| rng.fill(&mut bytes));
        match outcome {
            Err(error) => {
                assert!(matches!(error, RngError::Core(Error::Platform(_))), "{error}");
                assert_eq!(bytes, [0xee; 700], "nothing was asked for yet; asking allocates nothing");
                failures += 1;
            }
            Ok(()) => {
                assert!(!hal.has_failed());
                break;
            }
        }
    }
    assert!(failures > 3, "{failures}");
    // And one call by name, so that the loop above is known to have failed something.
    let hal = TestHal::new();
    hal.fail_nth_of(Call::DmaAlloc, 1);
    assert!(Rng::new(holding(&hal).transport(), hal.clone()).is_err());
}

#[test]
fn interrupts_tell_of_answers() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let mut rng = drive_buffers(&device, &hal);
    rng.submit(vec![0; 8]).unwrap();
    device.complete(0, 0, &[1; 8]);
    assert_eq!(device.interrupts(), 0, "nobody asked for one");
    assert_eq!(rng.enable_interrupts(), Ok(true), "one waits already");
    assert!(rng.poll().unwrap().is_some());
    assert_eq!(rng.enable_interrupts(), Ok(false));
    rng.submit(vec![0; 8]).unwrap();
    device.complete(0, 0, &[1; 8]);
    assert_eq!(device.interrupts(), 1);
    assert!(!rng.ack_interrupt().unwrap().is_empty());
    assert!(rng.ack_interrupt().unwrap().is_empty());
    assert!(rng.poll().unwrap().is_some());
    rng.disable_interrupts().unwrap();
    rng.submit(vec![0; 8]).unwrap();
    device.complete(0, 0, &[1; 8]);
    assert_eq!(device.interrupts(), 1);
}

#[test]
fn a_handler_acknowledges_and_the_driver_attends() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let mut rng = drive_buffers(&device, &hal);
    let endpoint = rng.device().endpoint(0).unwrap();
    assert_eq!(rng.enable_interrupts(), Ok(false));
    rng.submit(vec![0; 8]).unwrap();
    device.complete(0, 0, &[1; 8]);
    let status = endpoint.ack();
    assert_eq!(status, InterruptStatus::QUEUE);
    assert_eq!(rng.attend(status), Ok(None));
    assert_eq!(rng.poll().unwrap().unwrap().bytes(), [1; 8]);

    rng.submit(vec![0; 8]).unwrap();
    device.needs_reset();
    assert_eq!(rng.attend(endpoint.ack()), Ok(Some(DeviceEvent::NeedsReset)));
    assert!(hal.outstanding().is_none());
    assert_eq!(rng.attend(InterruptStatus::CONFIG), Err(RngError::Core(Error::Down)));
    let mut rng = rng.recover().unwrap();
    rng.submit(vec![0; 8]).unwrap();
    device.complete(0, 0, &[2; 8]);
    assert_eq!(rng.poll().unwrap().unwrap().bytes(), [2; 8]);
}

#[test]
fn the_transport_comes_back_and_serves_again() {
    let hal = TestHal::new();
    let device = builder(|request| Reply::Write(vec![5; request.writable])).build(&hal);
    let rng = drive(&device, &hal);
    assert!(rng.transport_info().is_ok());
    let transport = rng.dismantle().unwrap();
    let mut bytes = [0; 4];
    Rng::new(transport, hal.clone()).unwrap().fill(&mut bytes).unwrap();
    assert_eq!(bytes, [5; 4]);
}

#[test]
fn a_device_that_does_not_reset_keeps_its_memory() {
    let hal = TestHal::new();
    hal.allow_leaks();
    let device = holding(&hal);
    let mut rng = drive_buffers(&device, &hal);
    rng.submit(vec![0; 8]).unwrap();
    device.set_reset(Reset::Never);
    assert!(rng.dismantle().is_err());
    assert!(!hal.leaks().is_empty());
}
