//! Buffers given and fetched.

use crate::bench::{Owning, drive_buffers, holding};

use virtio_core::{Error, Misbehaved, Misuse, QueueIndex};
use virtio_rng::{Rng, RngError};
use virtio_testkit::{Lie, TestHal};

#[test]
fn buffers_come_back_in_the_order_in_which_they_were_filled() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let mut rng = drive_buffers(&device, &hal);
    assert!(rng.poll().unwrap().is_none());
    let first = rng.submit(vec![0xee; 4]).unwrap();
    let second = rng.submit(vec![0xee; 6]).unwrap();
    assert!(rng.poll().unwrap().is_none());
    device.complete(0, 1, &[2; 6]);
    device.complete(0, 0, &[1; 4]);
    let answer = rng.poll().unwrap().unwrap();
    assert_eq!((answer.token, answer.bytes()), (second, &[2; 6][..]));
    let answer = rng.poll().unwrap().unwrap();
    assert_eq!((answer.token, answer.bytes()), (first, &[1; 4][..]));
    assert!(rng.poll().unwrap().is_none());
}

// shows: entropy.op.2
#[test]
fn a_buffer_holds_what_was_counted_and_zeros() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let mut rng = drive_buffers(&device, &hal);
    for (claim, kept) in [(0, 0), (3, 3), (8, 8), (9, 8), (u32::MAX, 8)] {
        rng.submit(vec![0xee; 8]).unwrap();
        device.complete_claiming(0, 0, &[7; 8], claim);
        let answer = rng.poll().unwrap().unwrap();
        assert_eq!(answer.len, kept);
        assert_eq!(answer.bytes(), vec![7; kept]);
        assert_eq!(answer.buffer[kept..], vec![0; 8 - kept]);
        // And if it has written nothing of what it claims: never what was there before. (This Hal does not zero its bounces.)
        rng.submit(vec![0xee; 8]).unwrap();
        device.complete_claiming(0, 0, &[], claim);
        let answer = rng.poll().unwrap().unwrap();
        assert!(!answer.buffer.contains(&0xee));
        assert_eq!(answer.buffer[kept..], vec![0; 8 - kept]);
    }
}

#[test]
fn what_cannot_be_submitted_comes_back() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let mut rng = drive_buffers(&device, &hal);
    let rejected = rng.submit(vec![]).unwrap_err();
    assert_eq!(rejected.error, Misuse::EmptyRequest.into());
    for _ in 0..8 {
        rng.submit(vec![0; 8]).unwrap();
    }
    let rejected = rng.submit(vec![0; 9]).unwrap_err();
    assert_eq!((rejected.error, rejected.payload.len()), (Misuse::QueueFull.into(), 9));
    device.complete(0, 0, &[1]);
    assert_eq!(rng.poll().unwrap().unwrap().bytes(), [1]);
    rng.submit(vec![0; 8]).unwrap();

    device.lie(0, Lie::UsedId { id: 8, len: 8 });
    let broken: Error = Misbehaved::UsedIdOutOfRange { queue: QueueIndex::new(0), id: 8 }.into();
    assert_eq!(rng.poll().unwrap_err(), RngError::Core(broken));
    assert_eq!(rng.submit(vec![0; 8]).unwrap_err().error, broken);
    let mut rng = rng.recover().unwrap();
    assert_eq!(device.held(0), 0);
    rng.submit(vec![0; 8]).unwrap();
    device.complete(0, 0, &[2; 8]);
    assert_eq!(rng.poll().unwrap().unwrap().bytes(), [2; 8]);
}

#[test]
fn dropped_in_mid_flight() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let mut rng = drive_buffers(&device, &hal);
    for _ in 0..3 {
        rng.submit(vec![0; 8]).unwrap();
    }
    assert_eq!(device.held(0), 3);
    drop(rng);
    // The Hal's own check: the device was reset first, and all is freed.
    assert!(hal.outstanding().is_none());
    hal.finish();
}

#[test]
fn a_device_that_is_down_takes_no_buffers() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let mut rng = drive_buffers(&device, &hal);
    rng.submit(vec![0; 8]).unwrap();
    device.needs_reset();
    assert!(rng.ack_interrupt().is_err());
    assert_eq!(rng.poll().unwrap_err(), RngError::Core(Error::Down));
    let rejected = rng.submit(vec![0; 5]).unwrap_err();
    assert_eq!((rejected.error, rejected.payload.len()), (Error::Down, 5));
}

#[test]
fn every_failed_sharing_gives_the_buffer_back() {
    let mut failures = 0;
    for n in 1.. {
        let hal = TestHal::new();
        hal.set_max_segment(4);
        let device = holding(&hal);
        let mut rng: Owning = Rng::for_buffers(device.transport(), hal.clone()).unwrap();
        hal.fail_nth(n);
        match rng.submit(vec![0xee; 16]) {
            Err(rejected) => {
                assert!(matches!(rejected.error, Error::Platform(_)), "{}", rejected.error);
                assert_eq!(rejected.payload, [0; 16]);
                failures += 1;
            }
            Ok(_) => {
                assert!(!hal.has_failed());
                break;
            }
        }
    }
    assert!(failures >= 4, "{failures}");
}
