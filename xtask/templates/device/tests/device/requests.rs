//! Requests and their answers (VIRTIO 1.4 §5.N.6).

use crate::bench::{builder, drive, honest};

use std::sync::mpsc::channel;

use virtio_core::{Error, Features, Misbehaved};
use virtio_newdev::NewdevError;
use virtio_testkit::{Reply, TestHal};

#[test]
fn a_request_has_its_form_and_its_answer_comes_back() {
    let packed = Features::VERSION_1 | Features::RING_PACKED;
    for features in [Features::VERSION_1, packed] {
        if features.contains(Features::RING_PACKED) && cfg!(not(feature = "packed")) {
            continue;
        }
        let hal = TestHal::new();
        let (said, seen) = channel();
        let device = builder(move |request| {
            said.send((request.readable, request.writable)).unwrap();
            Reply::Write(vec![0, 0, 0, 0, 9, 0, 0, 0])
        })
        .features(features)
        .build(&hal);
        let mut newdev = drive(&device, &hal);
        assert_eq!(newdev.echo(0x0102), Ok(9), "what the device says, not what was asked");
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [(vec![0, 0, 0, 0, 2, 1, 0, 0], 8)]);
    }
}

#[test]
fn what_the_device_cannot_do_is_not_sent() {
    let hal = TestHal::new();
    let (said, seen) = channel();
    let device = builder(move |_| {
        said.send(()).unwrap();
        Reply::Write(vec![0; 8])
    })
    .build(&hal);
    let mut newdev = drive(&device, &hal);
    assert_eq!(newdev.echo(100), Ok(0));
    assert_eq!(newdev.echo(101), Err(NewdevError::AboveLimit { value: 101, limit: 100 }));
    assert_eq!(seen.try_iter().count(), 1);
}

#[test]
fn a_refusal_keeps_the_status_and_the_device() {
    let hal = TestHal::new();
    let mut status = 0;
    let device = builder(move |_| {
        status = 5 - status;
        Reply::Write(vec![status, 0, 0, 0, 1, 0, 0, 0])
    })
    .build(&hal);
    let mut newdev = drive(&device, &hal);
    let error = newdev.echo(1).unwrap_err();
    assert_eq!(error, NewdevError::Refused { status: 5 });
    assert!(error.to_string().contains("status 5"), "{error}");
    assert_eq!(newdev.echo(1), Ok(1));
}

#[test]
fn an_answer_too_short_to_be_one_fails_that_request_only() {
    let hal = TestHal::new();
    let mut len = 8;
    let device = builder(move |_| {
        len = (len + 1) % 9;
        Reply::Write(vec![0; len])
    })
    .build(&hal);
    let mut newdev = drive(&device, &hal);
    for written in 0..8 {
        let short = Misbehaved::ShortAnswer { written, needed: 8 };
        assert_eq!(newdev.echo(1), Err(NewdevError::Core(short.into())), "{written} bytes");
    }
    assert_eq!(newdev.echo(1), Ok(0));
}

#[test]
fn a_silent_device_is_given_up() {
    let hal = TestHal::new();
    let device = builder(|_| Reply::Hold).build(&hal);
    let mut newdev = drive(&device, &hal);
    let error = newdev.echo(1).unwrap_err();
    assert!(matches!(error, NewdevError::Core(Error::Misbehaved(Misbehaved::Timeout(_)))), "{error}");
    assert_eq!(newdev.echo(1), Err(NewdevError::Core(Error::Down)));
    drop(newdev);
    let honest = honest().build(&hal);
    assert_eq!(drive(&honest, &hal).echo(1), Ok(1));
}
