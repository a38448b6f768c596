//! An entropy device that answers what libFuzzer likes: too little, nothing, more than was asked for, what it has not written,
//! the ring's rules broken. What comes out is what was written and counted, and zeros; or an error by name, and zeros.
#![no_main]

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use virtio_core::DeviceId;
use virtio_core::dma::Writable;
use virtio_core::queue::Bell;
use virtio_rng::{Rng, RngError};
use virtio_testkit::{FakeDevice, Lie, Reply, Request, TestHal};

/// What a device writes. What a driver hands in holds another byte.
const RANDOM: u8 = 7;
const STALE: u8 = 0xee;

/// Answers as the next two bytes say; honestly when there are no more.
fn answer(script: &mut impl Iterator<Item = u8>, request: &Request) -> Reply {
    let room = request.writable;
    let Some(how) = script.next() else { return Reply::Write(vec![RANDOM; room]) };
    let number = usize::from(script.next().unwrap_or(0));
    match how % 8 {
        0 | 1 => Reply::Write(vec![RANDOM; number.min(room)]),
        2 => Reply::Write(vec![]),
        // Less than was written.
        3 => Reply::Claim { bytes: vec![RANDOM; room], len: number as u32 },
        // More.
        4 => Reply::Claim { bytes: vec![RANDOM; number.min(room)], len: u32::MAX - u32::from(how) },
        5 => Reply::Lie(Lie::UsedId { id: number as u32, len: room as u32 }),
        6 => Reply::Lie(Lie::UsedIndex(number as u16)),
        _ => Reply::Hold,
    }
}

fuzz_target!(|input: &[u8]| {
    let [how, len, script @ ..] = input else { return };
    let hal = TestHal::new();
    let script = Arc::new(Mutex::new(Vec::from(script).into_iter()));
    let builder = FakeDevice::builder(DeviceId::ENTROPY)
        .queue(0, 8, move |request| answer(&mut *script.lock().unwrap(), &request));
    let device = if how & 1 != 0 { builder.legacy() } else { builder }.build(&hal);
    let asked = usize::from(*len) * 5;
    if how & 2 != 0 {
        return buffers(&device, &hal, asked);
    }
    let mut rng = Rng::new(device.transport(), hal.clone()).unwrap();
    for round in 0..4 {
        let mut bytes = vec![STALE; asked];
        if (how >> 2) & 1 == round & 1 {
            let outcome = rng.fill(&mut bytes);
            whole(&bytes, outcome);
            let mut bytes = vec![STALE; asked];
            match rng.read(&mut bytes) {
                Ok(len) => part(&bytes, len),
                Err(error) => whole(&bytes, Err(error)),
            }
        } else if !awaited(&mut rng, &mut bytes) {
            return;
        }
    }
});

/// Awaits; a device that keeps quiet is given up. Answers whether it may be asked again.
fn awaited(rng: &mut Rng<virtio_testkit::FakeTransport, TestHal>, bytes: &mut [u8]) -> bool {
    let bell = Bell::new();
    let Ok(source) = rng.source(&bell) else { return false };
    let outcome = {
        let mut filling = pin!(source.fill(bytes));
        let mut context = Context::from_waker(Waker::noop());
        // More than any device takes that does not keep quiet: a byte, after as many empty answers as are forgiven.
        (0..30_000).find_map(|_| match filling.as_mut().poll(&mut context) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        })
    };
    match outcome {
        Some(outcome) => whole(bytes, outcome),
        None => assert!(!bytes.contains(&STALE), "cancelled"),
    }
    true
}

/// Buffers, as many as fit. This Hal's bounces hold rubbish, which a device may claim.
fn buffers(device: &FakeDevice, hal: &TestHal, asked: usize) {
    let mut rng = Rng::<_, _, Writable<Vec<u8>>>::for_buffers(device.transport(), hal.clone()).unwrap();
    for _ in 0..6 {
        match rng.submit(vec![STALE; asked]) {
            Ok(_) => {}
            Err(rejected) => assert_eq!(rejected.payload.len(), asked),
        }
        while let Ok(Some(answer)) = rng.poll() {
            assert!(answer.len <= asked && answer.buffer.len() == asked);
            assert_eq!(answer.bytes().len(), answer.len);
            assert!(!answer.buffer.contains(&STALE));
            assert!(answer.buffer[answer.len..].iter().all(|byte| *byte == 0));
        }
    }
}

/// All or nothing. What a device claims and has not written is zero.
fn whole(bytes: &[u8], outcome: Result<(), RngError>) {
    match outcome {
        Ok(()) => assert!(bytes.iter().all(|byte| [0, RANDOM].contains(byte))),
        Err(_) => assert!(bytes.iter().all(|byte| *byte == 0)),
    }
}

/// One answer, and zeros.
fn part(bytes: &[u8], len: usize) {
    assert!(len <= bytes.len() && len <= 512);
    assert!(bytes[..len].iter().all(|byte| [0, RANDOM].contains(byte)));
    assert!(bytes[len..].iter().all(|byte| *byte == 0));
}
