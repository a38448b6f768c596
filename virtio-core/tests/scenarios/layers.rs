//! Scenarios of the undivided device: borrowed calls, and the reset of one queue.

use virtio_core::{Error, Features, Misbehaved, Misuse};

use crate::rig::{Bench, Config, LIMIT, Lane, Rig, Scatter, Untruth, answer, check, drain, rejected, submit};

/// Blocking calls over slices of the caller's, of any number, on a device that answers at once.
pub(crate) fn borrowed<R: Rig>(config: Config) {
    let bench = Bench::<R>::new(config.answering());
    let mut device = bench.up::<Scatter, ()>();
    let size = usize::from(config.size);
    for round in 0..if cfg!(miri) { size } else { 2 * size + 3 } {
        let total = 1 + round % size;
        let readable = round % (total + 1);
        let sources: Vec<Vec<u8>> = (0..readable).map(|at| vec![(round + at) as u8; 1 + at % 5]).collect();
        let mut targets: Vec<Vec<u8>> = (readable..total).map(|at| vec![0; 1 + at % 4]).collect();
        let sources: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
        let mut writable: Vec<&mut [u8]> = targets.iter_mut().map(Vec::as_mut_slice).collect();
        let room = writable.iter().map(|slice| slice.len()).sum::<usize>();
        let written = device.call(0, &sources, &mut writable, LIMIT).unwrap();
        assert_eq!(usize::try_from(written), Ok(room));
        assert_eq!(targets.concat(), answer(&sources.concat(), room), "round {round}");
    }
    // Nothing at all, and empty slices, are refused; the device stays.
    assert_eq!(device.call(0, &[], &mut [], LIMIT), Err(Misuse::EmptyRequest.into()));
    assert_eq!(device.call(0, &[&[]], &mut [&mut []], LIMIT), Err(Misuse::EmptyRequest.into()));
    let many = vec![&[1_u8][..]; size + 1];
    assert_eq!(device.call(0, &many, &mut [], LIMIT), Err(Misuse::TooManySegments.into()));
    // Headers and responses through the queue's own memory.
    if config.size > 1 {
        for round in 0..5_u8 {
            let mut response = [0; 6];
            assert_eq!(device.exchange(1, &[round; 3], &mut response, LIMIT), Ok(6));
            assert_eq!(response[..], answer(&[round; 3], 6));
        }
    }
    bench.finish(device);
}

/// A blocking call while submitted requests are in flight, and are used before it: each gets its own.
pub(crate) fn borrowed_beside_owned<R: Rig>(config: Config) {
    if config.size < 4 {
        return;
    }
    let bench = Bench::<R>::new(config.answering());
    let mut device = bench.up::<Scatter, ()>();
    for id in 0..if cfg!(miri) { 2 } else { 20 } {
        let mut port = device.port::<Scatter>(0).unwrap();
        let token = submit(&mut port, Scatter::single(id)).unwrap();
        let mut bytes = [0; 5];
        assert_eq!(device.call(0, &[&id.to_le_bytes()], &mut [&mut bytes], LIMIT), Ok(5));
        assert_eq!(bytes[..], answer(&id.to_le_bytes(), 5));
        let mut port = device.port::<Scatter>(0).unwrap();
        assert_eq!(check(port.poll_for(token).unwrap().unwrap()), id);
    }
    bench.finish(device);
}

/// Stops the queue: what comes back is exactly what was not taken.
fn stop<R: Rig>(bench: &Bench<R>, device: &mut crate::rig::Live<R>) -> Vec<u32> {
    let mut back = Vec::new();
    device.stop_queue::<Scatter>(0, |_, payload| back.push(payload.id)).unwrap();
    bench.rig.forget(0);
    back.sort_unstable();
    back
}

/// A queue is stopped with requests in every state, and started again; the other queue goes on.
pub(crate) fn stop_and_start<R: Rig>(config: Config) {
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let most = u32::from(config.size.min(8));
    for round in 0..if cfg!(miri) { 2 } else { 4_u32 } {
        let mut port: Lane<'_, R> = device.port(0).unwrap();
        // As far as there is room: taken, used and not taken, in flight, not even published.
        let mut tokens = Vec::new();
        for id in 0..most {
            tokens.push(
                if id + 1 < most {
                    submit(&mut port, Scatter::single(id))
                } else {
                    crate::rig::add(&mut port, Scatter::single(id))
                }
                .unwrap(),
            );
        }
        bench.rig.work(0);
        let used = most.saturating_sub(2).min(round);
        for _ in 0..used {
            bench.answer(0, 0);
        }
        let taken = if used > 1 {
            let last = tokens[used as usize - 1];
            Some(check(port.poll_for(last).unwrap().unwrap()))
        } else {
            None
        };
        let mut other: Lane<'_, R> = device.port(1).unwrap();
        let kept = submit(&mut other, Scatter::single(77)).unwrap();
        let back = stop(&bench, &mut device);
        assert!(back.into_iter().eq((0..most).filter(|id| Some(*id) != taken)), "round {round}");

        let mut port: Lane<'_, R> = device.port(0).unwrap();
        assert_eq!(
            rejected(submit(&mut port, Scatter::single(5)), &Scatter::single(5)),
            Misuse::QueueStopped.into()
        );
        assert_eq!(port.poll().map(drop), Err(Misuse::QueueStopped.into()));
        bench.answer_all(1);
        let mut other: Lane<'_, R> = device.port(1).unwrap();
        assert_eq!(check(other.poll_for(kept).unwrap().unwrap()), 77);
        device.start_queue(0).unwrap();
        assert_eq!(device.start_queue(0), Err(Misuse::QueueNotStopped.into()));

        let mut port: Lane<'_, R> = device.port(0).unwrap();
        assert_eq!((port.free(), port.in_flight()), (config.size, 0));
        for token in tokens {
            assert_eq!(
                port.poll_for(token).map(drop),
                Err(Misuse::NoSuchRequest.into()),
                "a token of before"
            );
        }
        for id in 0..3 * most {
            submit(&mut port, Scatter::single(id)).unwrap();
            bench.answer_all(0);
            assert_eq!(drain(&mut port), [id]);
        }
    }
    bench.finish(device);
}

/// A queue that saw a lie is broken, says why, and works again after its reset.
pub(crate) fn reset_of_a_broken_queue<R: Rig>(config: Config) {
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    for round in 0..if cfg!(miri) { 2 } else { 4_u32 } {
        let mut port: Lane<'_, R> = device.port(0).unwrap();
        submit(&mut port, Scatter::single(1)).unwrap();
        bench.rig.work(0);
        let announce = round % 2 == 1 && !config.has(Features::RING_PACKED);
        let beyond = Untruth::Id(u32::from(config.size) + round);
        let lie = if announce { Untruth::Advance(config.size + 1) } else { beyond };
        bench.rig.lie(0, lie);
        let why = match port.poll().map(drop).unwrap_err() {
            Error::Misbehaved(
                why @ (Misbehaved::UsedIdOutOfRange { .. }
                | Misbehaved::UsedIdNotInFlight { .. }
                | Misbehaved::UsedIndexJump { .. }),
            ) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(port.poll().map(drop), Err(why.into()));
        assert_eq!(rejected(submit(&mut port, Scatter::single(2)), &Scatter::single(2)), why.into());
        let mut back = Vec::new();
        device.reset_queue::<Scatter>(0, |_, payload| back.push(payload.id)).unwrap();
        bench.rig.forget(0);
        assert_eq!(back, [1], "what was in flight, once");
        let mut port: Lane<'_, R> = device.port(0).unwrap();
        for id in 0..2 * u32::from(config.size.min(8)) + 1 {
            submit(&mut port, Scatter::single(id)).unwrap();
            bench.answer_all(0);
            assert_eq!(drain(&mut port), [id]);
        }
    }
    bench.finish(device);
}
