//! Scenarios of requests: their shapes, their order, how many at a time.

use virtio_core::queue::Cookie;
use virtio_core::{Features, Misuse};

use crate::rig::{Bench, Config, Lane, Rig, Scatter, add, check, drain, rejected, submit};

/// The lengths of chains to try in a queue: all in a small one.
fn lengths(size: u16) -> Vec<u16> {
    if size <= 8 {
        return (1..=size).collect();
    }
    let mut lengths = vec![1, 2, 3, 4, 5, 7, size / 2, size - 1, size];
    lengths.dedup();
    lengths
}

/// A chain of every length, up to the queue's, all of it readable, all of it writable, and in between; the device sees
/// every segment, in order.
pub(crate) fn chains_of_every_length<R: Rig>(config: Config) {
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let mut port = device.port::<Scatter>(0).unwrap();
    for (id, length) in (0..).zip(lengths(config.size)) {
        for readable in [length, length / 2, 0] {
            let payload = Scatter::new(id, readable, length - readable);
            let expected = (payload.all_readable(), payload.room());
            let token = submit(&mut port, payload).unwrap();
            assert_eq!(port.free(), config.size - config.descriptors(length), "{length} of {config:?}");
            bench.rig.work(0);
            let held = bench.rig.held(0).remove(0);
            assert_eq!((held.readable.clone(), held.room), expected);
            assert_eq!(held.buffers, (usize::from(readable), usize::from(length - readable)));
            bench.answer(0, 0);
            assert_eq!(check(port.poll_for(token).unwrap().unwrap()), id);
            assert_eq!((port.free(), port.in_flight()), (config.size, 0));
        }
    }
    let long = || Scatter::new(7, config.size, 1);
    assert_eq!(rejected(submit(&mut port, long()), &long()), Misuse::TooManySegments.into());
    let empty = Scatter::default;
    assert_eq!(rejected(submit(&mut port, empty()), &empty()), Misuse::EmptyRequest.into());
    bench.finish(device);
}

/// A header before and a response behind, each in its place, whatever lies between.
pub(crate) fn headers_and_responses<R: Rig>(config: Config) {
    if config.size < 4 {
        return;
    }
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let mut port = device.port::<Scatter>(0).unwrap();
    for id in 0..if cfg!(miri) { 2 } else { 3 * u32::from(config.size.min(8)) } {
        let payload = Scatter {
            header: vec![9; 1 + id as usize % 16],
            response: 16 - id as usize % 16,
            ..Scatter::new(id, 1, 1)
        };
        submit(&mut port, payload).unwrap();
        bench.answer_all(0);
        assert_eq!(drain(&mut port), [id]);
    }
    bench.finish(device);
}

/// A full queue gives the payload back, and takes it when there is room again.
pub(crate) fn full<R: Rig>(config: Config) {
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let mut port = device.port::<Scatter>(0).unwrap();
    for round in 0..if config.size > 1024 || cfg!(miri) { 1 } else { 3 } {
        for id in 0..u32::from(config.size) {
            add(&mut port, Scatter::single(id)).unwrap();
        }
        assert_eq!((port.free(), port.in_flight()), (0, config.size));
        assert_eq!(
            rejected(add(&mut port, Scatter::single(99)), &Scatter::single(99)),
            Misuse::QueueFull.into()
        );
        assert_eq!(
            rejected(add(&mut port, Scatter::new(99, 1, 0)), &Scatter::new(99, 1, 0)),
            Misuse::QueueFull.into()
        );
        assert_eq!(bench.rig.count(0), 0, "nothing is published yet");
        port.publish();
        port.kick();
        bench.answer_all(0);
        let mut ids = drain(&mut port);
        if config.size > 256 {
            ids.sort_unstable();
        }
        assert!(ids.into_iter().eq(0..u32::from(config.size)), "round {round}");
        assert_eq!((port.free(), port.in_flight()), (config.size, 0));
    }
    bench.finish(device);
}

/// Requests are used in another order than they were made available, and each brings its own payload.
pub(crate) fn out_of_order<R: Rig>(config: Config) {
    if config.has(Features::IN_ORDER) {
        return;
    }
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let mut port = device.port::<Scatter>(0).unwrap();
    let most = u32::from(config.size.min(32));
    for round in 0..if cfg!(miri) { 1 } else { 4_u32 } {
        let mut tokens = Vec::new();
        for id in 0..most {
            let Ok(token) =
                submit(&mut port, Scatter::new(id, 1 + u16::from(config.size > 1 && id % 3 == round % 3), 0))
            else {
                break;
            };
            tokens.push(token);
        }
        bench.rig.work(0);
        let mut used = 0;
        while bench.rig.count(0) > 0 {
            used += 1;
            bench.answer(0, (used * 7 + round as usize) % bench.rig.count(0));
        }
        // One by its name, from the middle of those used; the others as they come.
        let middle = tokens.len() / 2;
        let mut ids = vec![check(port.poll_for(tokens[middle]).unwrap().unwrap())];
        assert_eq!(usize::try_from(ids[0]), Ok(middle));
        ids.extend(drain(&mut port));
        ids.sort_unstable();
        assert!(ids.into_iter().eq(0..u32::try_from(tokens.len()).unwrap()), "each of them, once");
        assert_eq!((port.free(), port.in_flight()), (config.size, 0));
    }
    bench.finish(device);
}

/// The device sees a batch at once, when it is published, with one notification; a drain takes no more than its budget.
pub(crate) fn batches<R: Rig>(config: Config) {
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let mut port = device.port::<Scatter>(0).unwrap();
    let size = u32::from(config.size.min(16));
    for round in 0..if cfg!(miri) { size } else { 5 * size } {
        let batch = 1 + round % size;
        for id in 0..batch {
            add(&mut port, Scatter::single(id)).unwrap();
        }
        assert!(!port.kick(), "nothing is published");
        bench.rig.work(0);
        assert_eq!((bench.rig.count(0), bench.kicks()), (0, 0));
        port.publish();
        assert!(port.kick());
        assert!(!port.kick(), "once is enough");
        assert_eq!(bench.kicks(), 1, "a batch of {batch}");
        bench.rig.work(0);
        assert_eq!(bench.rig.count(0), batch as usize);
        bench.answer_all(0);
        let mut ids = Vec::new();
        while port.drain(2, |done| ids.push(check(done))).unwrap() == 2 {}
        assert!(ids.into_iter().eq(0..batch));
    }
    bench.finish(device);
}

/// With indirect tables: one that is full takes one descriptor; longer chains go direct, or, in a split queue that is nearly
/// full, in part: direct descriptors first, a full table behind.
pub(crate) fn tables<R: Rig>(config: Config) {
    let (size, table) = (config.size, config.table);
    if !config.has(Features::INDIRECT_DESC) || size < 8 {
        return;
    }
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let mut port = device.port::<Scatter>(0).unwrap();
    for round in 0..3 {
        // All but three descriptors, each with a table that is exactly full.
        for id in 0..u32::from(size) - 3 {
            add(&mut port, Scatter::new(id, table / 2, table - table / 2)).unwrap();
        }
        assert_eq!((port.free(), port.in_flight()), (3, size - 3), "round {round}");
        // Two segments more than a table holds: two direct, one that leads to the table.
        let long = || Scatter::new(u32::from(size) - 3, 3, table - 1);
        if config.has(Features::RING_PACKED) {
            assert_eq!(rejected(add(&mut port, long()), &long()), Misuse::QueueFull.into());
        } else {
            add(&mut port, long()).unwrap();
            assert_eq!(port.free(), 0);
        }
        port.publish();
        port.kick();
        bench.answer_all(0);
        let expected = u32::from(size) - if config.has(Features::RING_PACKED) { 3 } else { 2 };
        assert!(drain(&mut port).into_iter().eq(0..expected));
        // In an empty queue the same chain goes direct.
        submit(&mut port, long()).unwrap();
        assert_eq!(port.free(), size - (table + 2));
        bench.answer_all(0);
        assert_eq!(drain(&mut port).len(), 1);
        assert_eq!(port.free(), size);
    }
    bench.finish(device);
}

/// Laps around the ring with some requests always in flight: completions lag behind, in batches of all sizes.
pub(crate) fn laps<R: Rig>(config: Config, requests: u32) {
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let mut port = device.port::<Scatter>(0).unwrap();
    let mut random = crate::random::Random::new(u64::from(requests) ^ u64::from(config.size));
    let (mut sent, mut back, mut sum) = (0_u32, 0_u32, 0_u64);
    while back < requests {
        for _ in 0..=random.below(u32::from(config.size.min(8))) {
            let payload = if random.below(4) == 0 { Scatter::small(sent) } else { Scatter::single(sent) };
            if payload.segments() > config.size {
                continue;
            }
            if sent == requests || add(&mut port, payload).is_err() {
                break;
            }
            sum += u64::from(sent);
            sent += 1;
        }
        port.publish();
        port.kick();
        bench.rig.work(0);
        let held = bench.rig.count(0);
        let keep = if sent == requests { 0 } else { random.below(4) as usize };
        let use_up = held.saturating_sub(keep);
        for left in (0..use_up).rev() {
            let in_order = config.has(Features::IN_ORDER);
            bench.answer(0, if in_order { 0 } else { random.below(left as u32 + 1) as usize });
        }
        port.drain(usize::MAX, |done| {
            sum -= u64::from(check(done));
            back += 1;
        })
        .unwrap();
        bench.kicks();
    }
    assert_eq!((sum, port.free(), port.in_flight()), (0, config.size, 0));
    bench.finish(device);
}

/// The raw layer: addresses in, a number back; chains of one to as many buffers as the queue has descriptors.
pub(crate) fn raw<R: Rig>(config: Config) {
    use virtio_core::Dma;
    use virtio_core::queue::RawBuffer;

    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Cookie, Cookie>();
    let bytes = usize::from(config.size) * 2;
    let mut memory: Dma<[u8], R::H> = Dma::zeroed_slice(bench.rig.hal(), bytes).unwrap();
    for (number, length) in (1_u64..).zip(lengths(config.size)) {
        let readable = length / 2;
        memory.as_mut_slice().fill(number as u8);
        let start = memory.paddr().get();
        let buffers: Vec<_> = (0..u64::from(length))
            .map(|at| RawBuffer { device: virtio_core::DeviceAddr::new(start + 2 * at), len: 2 })
            .collect();
        let (read, write) = buffers.split_at(usize::from(readable));
        let mut port = device.port::<Cookie>(0).unwrap();
        // SAFETY: the memory lives until after the device, and nobody looks at it while the request is in flight.
        let token = unsafe { port.add_raw(read, write, Cookie(number)) }.unwrap();
        assert_eq!(port.free(), config.size - config.descriptors(length));
        port.publish();
        port.kick();
        bench.rig.work(0);
        let held = bench.rig.held(0).remove(0);
        assert_eq!(held.readable, vec![number as u8; 2 * read.len()]);
        assert_eq!(held.buffers, (read.len(), write.len()));
        bench.answer(0, 0);
        let mut done = port.poll_for(token).unwrap().unwrap();
        assert_eq!(done.take_payload(), Some(Cookie(number)));
        assert_eq!(usize::try_from(done.written()), Ok(2 * write.len()));
        drop(done);
        let expected = crate::rig::answer(&held.readable, held.room);
        assert_eq!(memory.as_slice()[2 * read.len()..][..2 * write.len()], expected);
        // SAFETY: what is refused is never read or written.
        let refused = unsafe { port.add_raw(&[], &[], Cookie(0)) }.unwrap_err();
        assert_eq!((refused.error, refused.payload), (Misuse::EmptyRequest.into(), Cookie(0)));
        let mut long = buffers.clone();
        long.resize(usize::from(config.size) + 1, buffers[0]);
        // SAFETY: as above.
        let refused = unsafe { port.add_raw(&long, &[], Cookie(5)) }.unwrap_err();
        assert_eq!((refused.error, refused.payload), (Misuse::TooManySegments.into(), Cookie(5)));
    }
    drop(device);
    drop(memory);
    bench.rig.finish();
}

/// Two queues of one device, each through a port of its own: nothing of one reaches the other.
pub(crate) fn two_queues<R: Rig>(config: Config) {
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let mut ports = device.ports().unwrap();
    let mut first: Lane<'_, R> = ports.take(0).unwrap();
    let mut second: Lane<'_, R> = ports.take(1).unwrap();
    assert_eq!(ports.take::<Scatter>(0).unwrap_err(), Misuse::NoSuchQueue.into());
    for id in 0..if cfg!(miri) { 2 } else { 20 } {
        let one = submit(&mut first, Scatter::single(id)).unwrap();
        let two = submit(&mut second, Scatter::single(1000 + id)).unwrap();
        bench.answer_all(1);
        assert!(first.poll().unwrap().is_none());
        assert_eq!(second.poll_for(one).map(drop), Err(Misuse::NoSuchRequest.into()));
        assert_eq!(check(second.poll_for(two).unwrap().unwrap()), 1000 + id);
        bench.answer_all(0);
        assert_eq!(drain(&mut first), [id]);
    }
    bench.finish(device);
}

/// A request that is given up halfway, with some of its descriptors written, leaves nothing for the device to find: not behind
/// a shorter one that takes its place, in any slot and any lap.
pub(crate) fn rejected_requests_leave_nothing_behind<R: Rig>(config: Config) {
    if config.size < 4 {
        return;
    }
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let mut port = device.port::<Scatter>(0).unwrap();
    for id in 0..if cfg!(miri) { 6 } else { 5 * u32::from(config.size.min(16)) } {
        // Its last segment has no room.
        let bad = || Scatter { response: crate::rig::ROOM + 1, ..Scatter::new(id, 2, 1) };
        assert_eq!(rejected(add(&mut port, bad()), &bad()), Misuse::NoRoomDeclared.into());
        assert_eq!((port.free(), port.in_flight()), (config.size, 0));
        submit(&mut port, Scatter::single(id)).unwrap();
        bench.rig.work(0);
        assert_eq!(bench.rig.count(0), 1, "the device finds the one that was added, and no other");
        bench.answer_all(0);
        assert_eq!(drain(&mut port), [id]);
    }
    bench.finish(device);
}

/// One drain takes all that was used before it, however much of it the driver has seen already.
pub(crate) fn a_drain_takes_all_that_is_used<R: Rig>(config: Config) {
    if config.size < 4 {
        return;
    }
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let mut port = device.port::<Scatter>(0).unwrap();
    for round in 0..if cfg!(miri) { 2 } else { 10 } {
        let tokens: Vec<_> = (0..4).map(|id| submit(&mut port, Scatter::single(id)).unwrap()).collect();
        bench.rig.work(0);
        let mut expected: Vec<u32> = (0..4).collect();
        if round % 2 == 0 {
            // One is seen, and stays for whoever asks for it.
            bench.answer(0, 0);
            assert!(port.poll_for(tokens[3]).unwrap().is_none());
        } else {
            // Two are seen, one of them is taken.
            bench.answer(0, 0);
            bench.answer(0, 0);
            assert_eq!(check(port.poll().unwrap().unwrap()), expected.remove(0));
        }
        while bench.rig.count(0) > 0 {
            bench.answer(0, 0);
        }
        let mut ids = Vec::new();
        assert_eq!(port.drain(usize::MAX, |done| ids.push(check(done))).unwrap(), expected.len());
        assert_eq!(ids, expected, "round {round}");
    }
    bench.finish(device);
}
