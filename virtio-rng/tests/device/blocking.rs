//! Waiting for random bytes (VIRTIO 1.4 §5.4.6).

use crate::bench::{builder, counted, counting, drive, drive_buffers, holding};
use core::time::Duration;
use std::sync::mpsc::channel;

use virtio_core::{Error, Features, Misbehaved, QueueIndex, Wait};
use virtio_rng::RngError;
use virtio_testkit::{Lie, Reply, TestHal};

#[test]
fn slices_of_any_length_are_filled_on_every_ring() {
    let packed = Features::VERSION_1 | Features::RING_PACKED;
    for (legacy, features) in [(false, Features::VERSION_1), (true, Features::empty()), (false, packed)] {
        if features.contains(Features::RING_PACKED) && cfg!(not(feature = "packed")) {
            continue;
        }
        for len in [0, 1, 7, 511, 512, 513, 10_000] {
            let hal = TestHal::new();
            let builder = counting(usize::MAX).features(features);
            let device = if legacy { builder.legacy() } else { builder }.build(&hal);
            let mut rng = drive(&device, &hal);
            let mut bytes = vec![0xee; len];
            rng.fill(&mut bytes).unwrap();
            assert_eq!(bytes, counted(len), "{len} bytes");
        }
    }
}

// shows: entropy.op.1
#[test]
fn no_buffer_is_for_the_device_to_read() {
    let hal = TestHal::new();
    let (said, seen) = channel();
    let device = builder(move |request| {
        said.send((request.readable.len(), request.writable)).unwrap();
        Reply::Write(vec![1; request.writable])
    })
    .build(&hal);
    let mut rng = drive(&device, &hal);
    rng.fill(&mut [0; 700]).unwrap();
    assert_eq!(rng.read(&mut [0; 16]), Ok(16));
    drop(rng);
    let mut owning = drive_buffers(&device, &hal);
    owning.submit(vec![0; 33]).unwrap();
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [(0, 512), (0, 188), (0, 16), (0, 33)]);
}

// shows: entropy.op.2
#[test]
fn only_what_the_device_says_it_wrote_counts() {
    for most in [1, 3, 8, 13] {
        let hal = TestHal::new();
        let device = counting(most).build(&hal);
        let mut rng = drive(&device, &hal);
        let mut bytes = [0xee; 40];
        assert_eq!(rng.read(&mut bytes), Ok(most));
        assert_eq!(bytes[..most], counted(most));
        assert_eq!(bytes[most..], vec![0; 40 - most], "what was there before is no randomness");
        drop(rng);

        let mut rng = drive(&device, &hal);
        let mut bytes = [0xee; 40];
        rng.fill(&mut bytes).unwrap();
        assert_eq!(
            bytes[..],
            counted(40 + most)[most..],
            "{most} an answer: one goes on where the last one ended"
        );
    }
}

// shows: entropy.op.2
#[test]
fn what_was_written_and_not_counted_is_dropped() {
    let hal = TestHal::new();
    let device = builder(|request| Reply::Claim { bytes: vec![7; request.writable], len: 3 }).build(&hal);
    let mut rng = drive(&device, &hal);
    let mut bytes = [0xee; 8];
    assert_eq!(rng.read(&mut bytes), Ok(3));
    assert_eq!(bytes, [7, 7, 7, 0, 0, 0, 0, 0]);
    rng.fill(&mut bytes).unwrap();
    assert_eq!(bytes, [7; 8]);
}

#[test]
fn a_claim_beyond_the_buffer_is_cut() {
    let hal = TestHal::new();
    let mut most = 9;
    let device = builder(move |_| {
        most -= 1;
        Reply::Claim { bytes: vec![7; most], len: u32::MAX }
    })
    .build(&hal);
    let mut rng = drive(&device, &hal);
    // A device that claims what it has not written leaves zeros: neither what was in the slice before, nor earlier answers.
    for written in (0..=8).rev() {
        let mut bytes = [0xee; 8];
        assert_eq!(rng.read(&mut bytes), Ok(8));
        assert_eq!(bytes[..written], vec![7; written]);
        assert_eq!(bytes[written..], vec![0; 8 - written]);
    }
}

#[test]
fn one_empty_answer_is_forgiven_and_many_are_named() {
    let hal = TestHal::new();
    let mut turn = 0_u32;
    // Fifteen empty ones before each byte.
    let device = builder(move |_| {
        turn += 1;
        Reply::Write(if turn % 16 == 0 { vec![9] } else { vec![] })
    })
    .build(&hal);
    let mut rng = drive(&device, &hal);
    let mut bytes = [0xee; 3];
    rng.fill(&mut bytes).unwrap();
    assert_eq!(bytes, [9; 3]);
    assert_eq!(rng.read(&mut bytes), Ok(0));
    assert_eq!(bytes, [0; 3]);
}

#[test]
fn a_dry_device_is_named_and_stays_usable() {
    let hal = TestHal::new();
    let mut turn = 0_u32;
    let device = builder(move |request| {
        turn += 1;
        Reply::Write(if (2..=17).contains(&turn) { vec![] } else { vec![9; request.writable.min(5)] })
    })
    .build(&hal);
    let mut rng = drive(&device, &hal);
    let mut bytes = [0xee; 8];
    let error = rng.fill(&mut bytes).unwrap_err();
    assert_eq!(error, RngError::NoEntropy { answers: 16 });
    assert!(error.to_string().starts_with("the device misbehaved: 16 answers"), "{error}");
    assert_eq!(bytes, [0; 8], "half a key is none");
    rng.fill(&mut bytes).unwrap();
    assert_eq!(bytes, [9; 8]);
}

#[test]
fn a_silent_device_is_given_up() {
    for clock in [true, false] {
        let hal = TestHal::new();
        if !clock {
            hal.without_clock(Some(100));
        }
        let device = holding(&hal);
        let mut rng = drive(&device, &hal);
        let mut bytes = [0xee; 8];
        let timeout = Misbehaved::Timeout(Wait::Completion(QueueIndex::new(0)));
        assert_eq!(rng.fill(&mut bytes), Err(RngError::Core(timeout.into())));
        assert_eq!(bytes, [0; 8]);
        bytes = [0xee; 8];
        assert_eq!(rng.read(&mut bytes), Err(RngError::Core(Error::Down)));
        assert_eq!(bytes, [0; 8]);
    }
}

#[test]
fn a_slow_device_is_waited_for() {
    let hal = TestHal::new();
    hal.set_tick(Duration::from_secs(1));
    let device = counting(6).manual().build(&hal);
    let mut rng = drive(&device, &hal);
    let (other, mut ticks) = (device.clone(), 0);
    hal.on_relax(move || {
        ticks += 1;
        if ticks % 20 == 0 {
            other.poll();
        }
    });
    let mut bytes = [0; 12];
    rng.fill(&mut bytes).unwrap();
    assert_eq!(bytes[..], counted(12));
}

#[test]
fn a_broken_ring_takes_the_device_down() {
    let hal = TestHal::new();
    let device = builder(|_| Reply::Lie(Lie::UsedId { id: 8, len: 8 })).build(&hal);
    let mut rng = drive(&device, &hal);
    let mut bytes = [0xee; 8];
    let broken = Misbehaved::UsedIdOutOfRange { queue: QueueIndex::new(0), id: 8 };
    assert_eq!(rng.fill(&mut bytes), Err(RngError::Core(broken.into())));
    assert_eq!(bytes, [0; 8]);
    assert_eq!(rng.fill(&mut bytes), Err(RngError::Core(Error::Down)));
}
