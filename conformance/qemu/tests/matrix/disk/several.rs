//! Many requests under way, and several queues for them.

use std::thread;
use std::time::Instant;

use qemu_bench::{BenchHal, Cause, Device, Machine, PciMsix, Rings, Signal, Way};
use virtio::blk::{Disk, DiskOptions, Owned, Sector};
use virtio::{Endpoint, QueueIndex};

use super::{down, image, owning, put, salt, sectors, span};
use crate::case::SOON;
use crate::messages::with_messages;

const QUEUES: u16 = 4;

/// A full queue whose first request is held up: the rest overtake it, each with its own buffer.
pub(crate) fn out_of_order<W: Way>(machine: &Machine, device: &Device) {
    let data = sectors(600, salt(machine, device, 51));
    put(machine, device, 0, &data);
    let mut disk = owning::<W>(machine, device, DiskOptions::new());
    for lap in 0..2 {
        let mut held = Some(machine.hold(&device.id).unwrap());
        let mut queue = disk.queue().unwrap();
        let size = usize::from(queue.size());
        let mut tokens = Vec::new();
        // The rest are not side by side: QEMU would make one request of them.
        let first = |number: usize| (2 * number) as u64;
        while let Ok(token) = queue.add_read(Sector(first(tokens.len())), vec![0; 512]) {
            tokens.push(token);
            if tokens.len() == 1 {
                // By itself, so that it is the one that is held up.
                queue.kick();
            }
        }
        // One entry each with tables, three without.
        assert_eq!(tokens.len(), if device.rings.indirect { size } else { size / 3 });
        assert_eq!(queue.in_flight(), tokens.len() as u16);
        queue.kick();
        let mut order = Vec::new();
        let end = Instant::now() + SOON;
        while order.len() < tokens.len() {
            if let Some(answer) = queue.poll().unwrap() {
                let number = tokens.iter().position(|&token| token == answer.token).unwrap();
                assert_eq!(answer.result, Ok(()));
                assert!(answer.buffers.unwrap() == data[span(first(number), 1)], "request {number}");
                order.push(number);
            }
            if order.len() == tokens.len() - 1
                && let Some(held) = held.take()
            {
                assert_eq!(queue.in_flight(), 1);
                assert!(queue.poll().unwrap().is_none());
                drop(held);
            }
            assert!(Instant::now() < end, "lap {lap}: {} of {}", order.len(), tokens.len());
        }
        assert_eq!(order.last(), Some(&0), "the first one was held up");
    }
    down(disk);
}

/// What one queue writes, another reads.
pub(crate) fn every_queue<W: Way>(machine: &Machine, device: &Device) {
    let salt = salt(machine, device, 52);
    let mut disk = owning::<W>(machine, device, DiskOptions::new().queues(QUEUES + 4));
    assert_eq!((disk.queue_count(), disk.limits().queues), (QUEUES, QUEUES));
    let data = |queue: u16| sectors(3, salt + usize::from(queue));
    for (write, turn) in [(true, 0), (false, 1), (false, 2)] {
        let mut queues: Vec<_> = disk.queues().unwrap().collect();
        assert_eq!(queues.len(), usize::from(QUEUES));
        for (number, queue) in (0..QUEUES).zip(&mut queues) {
            assert_eq!(queue.index(), QueueIndex::new(number));
            let part = (number + turn) % QUEUES;
            let first = Sector(u64::from(part) * 10);
            let added =
                if write { queue.add_write(first, data(part)) } else { queue.add_read(first, vec![0; 1536]) };
            let token = added.unwrap();
            queue.kick();
            let answer = queue.wait(token).unwrap();
            assert_eq!(answer.result, Ok(()));
            assert!(answer.buffers.unwrap() == data(part), "queue {number}");
        }
    }
    let image = image(machine, device);
    for part in 0..QUEUES {
        assert!(image[span(u64::from(part) * 10, 3)] == data(part));
    }
    // Blocking calls go on beside them.
    let mut back = vec![0; 1536];
    disk.read(Sector(30), &mut back).unwrap();
    assert!(back == data(3));
    down(disk);
}

/// A thread a queue, as CPUs of a kernel would.
pub(crate) fn side_by_side<W: Way>(machine: &Machine, device: &Device) {
    const LAPS: u64 = 20;
    let salt = salt(machine, device, 53);
    let mut disk = owning::<W>(machine, device, DiskOptions::new().queues(QUEUES));
    let queues: Vec<_> = disk.queues().unwrap().collect();
    thread::scope(|scope| {
        for mut queue in queues {
            scope.spawn(move || {
                let number = u64::from(queue.index().get());
                for lap in 0..LAPS {
                    let first = Sector(number * 400 + lap * 4);
                    let data = sectors(3, salt + (number * LAPS + lap) as usize);
                    let write = queue.add_write(first, data.clone()).unwrap();
                    queue.kick();
                    assert_eq!(queue.wait(write).unwrap().result, Ok(()));
                    let read = queue.add_read(first, vec![0; data.len()]).unwrap();
                    queue.kick();
                    let answer = queue.wait(read).unwrap();
                    assert!(answer.buffers.unwrap() == data, "queue {number}, lap {lap}");
                }
            });
        }
    });
    down(disk);
}

/// A message for each queue, and each queue's own only.
pub(crate) fn messages(machine: &Machine, device: &Device) {
    let (transport, taken) = with_messages(machine, device, QUEUES + 1);
    assert_eq!(taken, QUEUES + 1);
    let options = DiskOptions::new().queues(QUEUES);
    let mut disk: Disk<<PciMsix as Way>::Transport, BenchHal, Owned<Vec<u8>>> =
        Disk::open(transport, machine.hal(), options).unwrap();
    assert_eq!(Rings::of(disk.features()), device.rings.features());
    let vectors = 1..=QUEUES;
    let endpoints: Vec<_> = vectors.clone().map(|vector| disk.device().endpoint(vector).unwrap()).collect();
    for number in 0..QUEUES {
        let served: Vec<_> =
            endpoints.iter().map(|endpoint| endpoint.serves(QueueIndex::new(number))).collect();
        assert_eq!(served.iter().position(|&serves| serves), Some(usize::from(number)));
    }
    for (number, mut queue) in (0..QUEUES).zip(disk.queues().unwrap()) {
        vectors.clone().for_each(|vector| machine.hal().set_word(vector, 0));
        assert!(!queue.enable_interrupts());
        let token = queue.add_read(Sector(0), vec![0; 512]).unwrap();
        queue.kick();
        let own = Signal::Word(machine, number + 1);
        assert!(own.wait(SOON), "queue {number}");
        assert_eq!(queue.wait(token).unwrap().result, Ok(()));
        for other in vectors.clone().filter(|&other| other != number + 1) {
            assert_eq!(machine.hal().word(other), 0, "vector {other} for queue {number}");
        }
        assert_eq!(machine.hal().word(Cause::Config.vector()), 0);
        assert!(own.settles(SOON));
        queue.disable_interrupts();
    }
    down(disk);
}
