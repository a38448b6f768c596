//! What a port transmits without copying.

use crate::bench::{Bench, DEVICE_ADD, ONE, SOON, Setup, ZERO};

use virtio_console::{Console, ConsoleError, Options};
use virtio_core::{Error, Misuse};
use virtio_testkit::{FakeTransport, TestHal};

fn drive(bench: &Bench) -> Console<FakeTransport, TestHal, Vec<u8>> {
    Console::with_options(bench.device.transport(), bench.hal.clone(), Options::default()).unwrap()
}

#[test]
fn buffers_come_back_in_the_order_in_which_they_were_taken() {
    let bench = Setup { holds: true, ..Setup::SINGLE }.build();
    let mut console = drive(&bench);
    let mut port = console.port(ZERO).unwrap();
    assert!(port.poll_sent().unwrap().is_none());
    let first = port.submit(vec![1; 5000]).unwrap();
    assert_eq!(port.write(b"copied"), Ok(6));
    let second = port.submit(vec![2; 3]).unwrap();
    assert!(port.poll_sent().unwrap().is_none());
    assert_eq!(bench.heard(0), [&[1; 5000][..], b"copied", &[2; 3]].concat());
    bench.device.complete(1, 2, &[]);
    bench.device.complete(1, 1, &[]);
    bench.device.complete(1, 0, &[]);
    let sent = port.poll_sent().unwrap().unwrap();
    assert_eq!((sent.token, sent.buffer), (second, vec![2; 3]));
    let sent = port.poll_sent().unwrap().unwrap();
    assert_eq!((sent.token, sent.buffer), (first, vec![1; 5000]));
    assert!(port.poll_sent().unwrap().is_none());
    assert_eq!(port.flush(), Ok(()));
}

/// Copies are looked after without taking the buffers of those who have lent theirs.
#[test]
fn copies_and_buffers_do_not_mix() {
    let bench = Setup::SINGLE.build();
    let mut console = drive(&bench);
    let mut port = console.port(ZERO).unwrap();
    let mut tokens = vec![];
    for round in 0..6 {
        tokens.push(port.submit(vec![round; 2]).unwrap());
        port.write_all(&[9; 3000]).unwrap();
        port.flush().unwrap();
    }
    for (round, token) in (0..).zip(tokens) {
        let sent = port.poll_sent().unwrap().unwrap();
        assert_eq!((sent.token, sent.buffer), (token, vec![round; 2]));
    }
}

#[test]
fn what_cannot_be_submitted_comes_back() {
    let bench = Setup { holds: true, ..Setup::MULTI }.build();
    let mut console = drive(&bench);
    bench.say(1, DEVICE_ADD, 0);
    let mut port = console.port(ONE).unwrap();
    let refused = port.submit(vec![7; 4]).unwrap_err();
    assert_eq!((refused.error, refused.buffer), (ConsoleError::Closed(ONE), Some(vec![7; 4])));
    bench.plug(0);
    console.wait_open(ZERO, SOON).unwrap();
    let mut port = console.port(ZERO).unwrap();
    let refused = port.submit(vec![]).unwrap_err();
    assert_eq!(
        (refused.error, refused.buffer),
        (ConsoleError::Core(Misuse::EmptyRequest.into()), Some(vec![]))
    );
    for _ in 0..16 {
        port.submit(vec![0; 8]).unwrap();
    }
    let refused = port.submit(vec![0; 9]).unwrap_err();
    assert_eq!(
        (refused.error, refused.buffer),
        (ConsoleError::Core(Misuse::QueueFull.into()), Some(vec![0; 9]))
    );
    assert_eq!(port.write(b"x"), Ok(0), "nor is there room for a copy");
    bench.device.complete(1, 0, &[]);
    assert_eq!(port.poll_sent().unwrap().unwrap().buffer, [0; 8]);
    assert_eq!(port.write(b"x"), Ok(1));
}

#[test]
fn static_texts_need_no_copy_and_no_heap() {
    let bench = Setup::SINGLE.build();
    let mut console = bench.drive();
    let mut port = console.port(ZERO).unwrap();
    port.submit(b"a text in the image").unwrap();
    assert_eq!(bench.heard(0), b"a text in the image");
    assert_eq!(port.poll_sent().unwrap().unwrap().buffer, b"a text in the image");
}

#[test]
fn every_failed_sharing_gives_the_buffer_back() {
    let mut failures = 0;
    for n in 1.. {
        let bench = Setup::SINGLE.build();
        bench.hal.set_max_segment(4);
        let mut console = drive(&bench);
        let mut port = console.port(ZERO).unwrap();
        bench.hal.fail_nth(n);
        match port.submit(vec![5; 16]) {
            Err(refused) => {
                assert!(matches!(refused.error, ConsoleError::Core(Error::Platform(_))), "{}", refused.error);
                assert_eq!(refused.buffer, Some(vec![5; 16]));
                failures += 1;
            }
            Ok(_) => {
                assert!(!bench.hal.has_failed());
                break;
            }
        }
    }
    assert!(failures >= 4, "{failures}");
}

#[test]
fn dropped_in_mid_flight() {
    let bench = Setup { holds: true, ..Setup::SINGLE }.build();
    let mut console = drive(&bench);
    let mut port = console.port(ZERO).unwrap();
    port.submit(vec![5; 16]).unwrap();
    port.write_all(b"copied").unwrap();
    bench.send(0, b"unread");
    assert_eq!(port.read(&mut [0; 2]), Ok(2));
    drop(console);
    // The Hal's own check: the device was reset first, and all is freed.
    assert!(bench.hal.outstanding().is_none());
    bench.hal.finish();
}
