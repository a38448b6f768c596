//! Requests and their answers.

use crate::bench::{builder, drive, honest};

use std::sync::mpsc::channel;

use toy_device::DiceError;
use virtio_core::{Error, Features, Misbehaved};
use virtio_testkit::{Reply, TestHal};

#[test]
fn a_throw_has_its_form_and_its_eyes_come_back() {
    let packed = Features::VERSION_1 | Features::RING_PACKED;
    for features in [Features::VERSION_1, packed] {
        if features.contains(Features::RING_PACKED) && cfg!(not(feature = "packed")) {
            continue;
        }
        let hal = TestHal::new();
        let (said, seen) = channel();
        let device = builder(move |request| {
            said.send((request.readable, request.writable)).unwrap();
            Reply::Write(vec![3, 1, 6, 0])
        })
        .features(features)
        .build(&hal);
        let mut eyes = [0xee; 3];
        drive(&device, &hal).throw(&mut eyes).unwrap();
        assert_eq!(eyes, [3, 1, 6]);
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [(vec![3, 0, 0, 0], 4)]);
    }
}

#[test]
fn what_the_table_cannot_do_is_not_sent() {
    let hal = TestHal::new();
    let (said, seen) = channel();
    let device = builder(move |request| {
        said.send(request.writable).unwrap();
        Reply::Write([vec![1; request.writable - 1], vec![0]].concat())
    })
    .build(&hal);
    let mut dice = drive(&device, &hal);
    let mut eyes = [0xee; 11];
    assert_eq!(dice.throw(&mut eyes), Err(DiceError::TooMany { asked: 11, max: 10 }));
    assert_eq!(eyes, [0; 11]);
    assert_eq!(dice.throw(&mut vec![0; 65_537]), Err(DiceError::TooMany { asked: 65_537, max: 10 }));
    assert_eq!(dice.throw(&mut []), Ok(()));
    assert_eq!(dice.throw(&mut [0; 10]), Ok(()));
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [11]);
}

#[test]
fn bad_answers_fail_that_throw_only() {
    let short = |written| Misbehaved::ShortAnswer { written, needed: 3 };
    for (answer, error) in [
        (vec![1, 2, 9], DiceError::Refused { status: 9 }),
        (vec![1, 9, 0], DiceError::ImpossibleEyes { eyes: 9, sides: 8 }),
        (vec![0, 1, 0], DiceError::ImpossibleEyes { eyes: 0, sides: 8 }),
        (vec![1, 2], DiceError::Core(short(2).into())),
        (vec![], DiceError::Core(short(0).into())),
    ] {
        let hal = TestHal::new();
        let mut answers = [answer, vec![8, 1, 0]].into_iter();
        let device = builder(move |_| Reply::Write(answers.next().unwrap())).build(&hal);
        let mut dice = drive(&device, &hal);
        let mut eyes = [0xee; 2];
        assert_eq!(dice.throw(&mut eyes), Err(error));
        assert_eq!(eyes, [0; 2], "{error}: half a throw is none");
        dice.throw(&mut eyes).unwrap();
        assert_eq!(eyes, [8, 1]);
    }
}

#[test]
fn a_silent_device_is_given_up() {
    let hal = TestHal::new();
    let device = builder(|_| Reply::Hold).build(&hal);
    let mut dice = drive(&device, &hal);
    let error = dice.throw(&mut [0; 2]).unwrap_err();
    assert!(matches!(error, DiceError::Core(Error::Misbehaved(Misbehaved::Timeout(_)))), "{error}");
    assert_eq!(dice.throw(&mut [0; 2]), Err(DiceError::Core(Error::Down)));
    drop(dice);
    drive(&honest().build(&hal), &hal).throw(&mut [0; 2]).unwrap();
}
