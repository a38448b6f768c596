//! Several queues, driven from different CPUs (VIRTIO 1.4 §5.2.2).

use crate::bench::{Owning, Setup, contents};
use crate::executor::finish;
use std::thread;

use virtio_blk::abi::F_MQ;
use virtio_blk::{BlkError, DiskOptions, Sector};
use virtio_core::queue::Bell;
use virtio_core::{Error, Features};
use virtio_testkit::TestHal;

#[test]
fn as_many_queues_as_there_are_and_as_were_asked_for() {
    for (offered, told, asked, used) in [
        (F_MQ, 4, 2, 2),
        (F_MQ, 4, 9, 4),
        (F_MQ, 4, 0, 1),
        // It says nonsense, but every disk has one.
        (F_MQ, 0, 2, 1),
        (Features::empty(), 4, 2, 1),
    ] {
        let hal = TestHal::new();
        let setup = Setup { queues: 4, ..Setup::offering(offered) };
        let bench = setup.with(34, 2, told).build(&hal);
        let mut disk: Owning = bench.open(DiskOptions::new().queues(asked));
        assert_eq!(disk.queue_count(), used);
        assert_eq!(disk.queues().unwrap().count(), usize::from(used));
    }
}

#[test]
fn each_queue_on_a_cpu_of_its_own() {
    let hal = TestHal::new();
    let setup = Setup { queues: 3, ..Setup::offering(F_MQ) };
    let bench = setup.build(&hal);
    let mut disk: Owning = bench.open(DiskOptions::new().queues(3));
    let queues = disk.queues().unwrap();
    thread::scope(|cpus| {
        for mut queue in queues {
            cpus.spawn(move || {
                let nth = u64::from(queue.index().get());
                for round in 0..4 {
                    let sector = Sector(nth * 8 + round);
                    let token = queue.add_read(sector, vec![0; 512]).unwrap();
                    queue.kick();
                    let answer = queue.wait(token).unwrap();
                    assert_eq!((answer.result, answer.buffers.unwrap()), (Ok(()), contents(sector.0, 512)));
                }
            });
        }
    });
    let mut seen: Vec<_> = bench.model().take_seen().iter().map(|seen| (seen.queue, seen.sector)).collect();
    seen.sort_unstable();
    let expected = (0..3_u16).flat_map(|queue| (0..4).map(move |at| (queue, u64::from(queue) * 8 + at)));
    assert_eq!(seen, expected.collect::<Vec<_>>());
    // And the disk again, whole.
    disk.read(Sector(0), &mut [0; 512]).unwrap();
}

#[test]
fn queues_are_awaited_each_with_its_bell() {
    let hal = TestHal::new();
    let bench = Setup { queues: 2, ..Setup::offering(F_MQ) }.build(&hal);
    let mut disk: Owning = bench.open(DiskOptions::new().queues(2));
    let bells = [Bell::new(), Bell::new()];
    let queues = disk.queues().unwrap().zip(&bells);
    let queues: Vec<_> = queues.map(|(queue, bell)| queue.awaited(bell).unwrap()).collect();
    for (nth, queue) in (0..).zip(&queues) {
        assert_eq!(queue.index().get(), nth);
        let buffer = finish(queue.read_owned(Sector(nth.into()), vec![0; 512])).unwrap();
        assert_eq!(buffer, contents(nth.into(), 512));
    }
    assert_eq!(bench.model().seen.iter().map(|seen| seen.queue).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_device_that_lacks_a_queue_it_has_counted_is_named() {
    let hal = TestHal::new();
    let bench = Setup { queues: 2, ..Setup::offering(F_MQ) }.with(34, 2, 3).build(&hal);
    let transport = bench.device.transport();
    let opened = virtio_blk::Disk::<_, _, ()>::open(transport, hal.clone(), DiskOptions::new().queues(3));
    assert!(matches!(opened, Err(BlkError::Core(Error::Incompatible(_)))));
    assert!(hal.outstanding().is_none());
}
