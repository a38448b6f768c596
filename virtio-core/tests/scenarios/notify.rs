//! Scenarios of notifications, both ways.

use virtio_core::Features;

use crate::rig::{Bench, Config, Rig, Scatter, add, check, drain, submit};

/// Where the device asks for a notification: the index of a request, or the position of its first descriptor, if each
/// request takes so many.
fn event(config: &Config, request: u64, descriptors: u64) -> u16 {
    if !config.has(Features::RING_PACKED) {
        return u16::try_from(request % 65536).unwrap();
    }
    let size = u64::from(config.size);
    let at = request * descriptors % (2 * size);
    let wrap = if at < size { 0x8000 } else { 0 };
    u16::try_from(at % size).unwrap() | wrap
}

/// Under `EVENT_IDX` the device is notified when a batch reaches the request that it asked for, and not otherwise: for
/// every distance, every size of batch, chains of one and of two descriptors, across the wraps of all indices.
pub(crate) fn kicks_are_the_minimum<R: Rig>(config: Config, every: u64, requests: u64) {
    assert!(config.has(Features::EVENT_IDX));
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let mut port = device.port::<Scatter>(0).unwrap();
    let two = config.size >= 4 && every % 2 == 0;
    let descriptors = if two { u64::from(config.descriptors(2)) } else { 1 };
    let most = u64::from(config.size) / descriptors;
    if config.has(Features::RING_PACKED) && every * descriptors > 2 * u64::from(config.size) {
        // A position cannot say more than two laps.
        return;
    }
    let (mut sent, mut asked, mut due, mut batch) = (0_u64, every - 1, 0_usize, 0_u64);
    bench.rig.kick_at(0, event(&config, asked, descriptors));
    while sent < requests {
        batch = batch % most.min(5) + 1;
        for _ in 0..batch {
            let id = u32::try_from(sent % 65536).unwrap();
            add(&mut port, if two { Scatter::small(id) } else { Scatter::single(id) }).unwrap();
            sent += 1;
        }
        port.publish();
        let wanted = asked < sent;
        assert_eq!(port.kick(), wanted, "{sent} sent, asked for {asked}: {config:?}");
        if wanted {
            due += 1;
            // A device that wants every k-th: the next is k behind the one that made it look.
            asked = sent + every - 1;
            bench.rig.kick_at(0, event(&config, asked, descriptors));
        }
        // It polls meanwhile: the ring is never full, and an event far ahead is reached.
        bench.answer_all(0);
        let mut back = 0;
        port.drain(usize::MAX, |done| {
            check(done);
            back += 1;
        })
        .unwrap();
        assert_eq!(back, batch);
    }
    assert_eq!(bench.kicks(), due);
    bench.finish(device);
}

/// An event that was left behind brings no notification, however far the driver goes on: until it is passed again, once
/// around the index.
pub(crate) fn an_event_left_behind_is_not_due<R: Rig>(config: Config) {
    assert!(config.has(Features::EVENT_IDX) && !config.has(Features::RING_PACKED));
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let mut port = device.port::<Scatter>(0).unwrap();
    bench.rig.kick_at(0, 9);
    let rounds = if cfg!(miri) { 40 } else { 65536 + 20 };
    for index in 0..rounds {
        add(&mut port, Scatter::single(index)).unwrap();
        port.publish();
        assert_eq!(port.kick(), index % 65536 == 9, "{index}");
        bench.answer_all(0);
        assert_eq!(drain(&mut port), [index]);
    }
    bench.finish(device);
}

/// Without `EVENT_IDX` the device asks for notifications or for none, and gets one for each batch, or none.
pub(crate) fn suppression<R: Rig>(config: Config) {
    if config.has(Features::EVENT_IDX) {
        return;
    }
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let mut port = device.port::<Scatter>(0).unwrap();
    for round in 0..10 {
        let suppress = round % 3 > 0;
        bench.rig.suppress(0, suppress);
        submit(&mut port, Scatter::single(round)).unwrap();
        assert_eq!(bench.kicks(), usize::from(!suppress));
        bench.answer_all(0);
        assert_eq!(drain(&mut port), [round]);
    }
    bench.finish(device);
}

/// Interrupts are off until they are asked for, and off again; asking tells of what is there already; "after n" brings one
/// at the n-th under `EVENT_IDX`, and at the first without.
pub(crate) fn interrupts<R: Rig>(config: Config) {
    let event_idx = config.has(Features::EVENT_IDX);
    let bench = Bench::<R>::new(config);
    let mut device = bench.up::<Scatter, Scatter>();
    let mut port = device.port::<Scatter>(0).unwrap();
    let most = u32::from(config.size.min(8));
    let mut seen = 0;
    let mut news = |bench: &Bench<R>| {
        let all = bench.rig.interrupts();
        let news = all - seen;
        seen = all;
        news
    };
    let rounds = if cfg!(miri) { 2 } else { 2 * (u32::from(config.size.min(16)) + 1) };
    for round in 0..rounds {
        let fill = |port: &mut _| {
            for id in 0..most {
                submit(port, Scatter::single(id)).unwrap();
            }
            bench.rig.work(0);
        };
        // Off.
        fill(&mut port);
        bench.answer(0, 0);
        assert_eq!(news(&bench), 0, "round {round} of {config:?}");
        assert!(port.enable_interrupts(), "one is used already");
        drain(&mut port);
        port.disable_interrupts();
        bench.answer_all(0);
        assert_eq!(news(&bench), 0, "round {round} of {config:?}");
        drain(&mut port);
        // The next one.
        fill(&mut port);
        assert!(!port.enable_interrupts());
        for nth in 0..most {
            bench.answer(0, 0);
            let due = nth == 0 || !event_idx;
            assert_eq!(news(&bench), usize::from(due), "request {nth} in round {round} of {config:?}");
        }
        assert_eq!(drain(&mut port).len(), most as usize);
        // The n-th.
        for after in 1..=most {
            fill(&mut port);
            assert!(!port.enable_interrupts_after(u16::try_from(after).unwrap()));
            for nth in 1..=most {
                bench.answer(0, 0);
                let due = nth == after || !event_idx;
                assert_eq!(
                    news(&bench),
                    usize::from(due),
                    "{nth} used, asked for {after} in round {round} of {config:?}"
                );
            }
            port.disable_interrupts();
            drain(&mut port);
        }
        // More than there are: all of them.
        fill(&mut port);
        assert!(!port.enable_interrupts_after(u16::MAX));
        for nth in 1..=most {
            bench.answer(0, 0);
            assert_eq!(news(&bench), usize::from(nth == most || !event_idx));
        }
        assert!(port.enable_interrupts(), "all of them are used");
        port.disable_interrupts();
        drain(&mut port);
    }
    bench.finish(device);
}
