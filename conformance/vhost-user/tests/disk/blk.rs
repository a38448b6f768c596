//! `virtio-blk` (VIRTIO 1.4 §5.2): what it writes is in the file, what is in the file it reads.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use vhost_user_frontend::{Bouncing, Direct, Disk as Export, VhostUser};
use virtio_blk::{
    BlkError, BlkStatus, CacheMode, Disk, DiskOptions, Operation, Owned, Sector, SectorRange, Unmap,
};
use virtio_core::interrupt::Endpoint;
use virtio_core::queue::Bell;
use virtio_core::{Features, Hal, Transport};

use crate::case::{Case, SECTOR, SECTORS, SOON, contents};
use crate::executor::block_on;

fn open(case: &Case, options: DiskOptions) -> Disk<VhostUser, Bouncing> {
    Disk::open(case.connect(), case.hal(), options).unwrap()
}

/// Takes a disk down; it has to read as reset then.
fn down<T: Transport, H: Hal + Clone, P: virtio_blk::Payload>(disk: Disk<T, H, P>) {
    let transport = disk.dismantle().expect("a reset that is confirmed");
    assert!(transport.status().is_empty());
}

fn file(case: &Case) -> Vec<u8> {
    fs::read(case.image()).unwrap()
}

#[test]
fn reads_and_writes_of_any_length_reach_the_file() {
    let case = Case::file(|disk| disk);
    for options in [DiskOptions::new(), DiskOptions::new().direct_chains(), DiskOptions::new().queue_size(4)]
    {
        let mut disk = open(&case, options);
        assert_eq!((disk.capacity(), disk.is_read_only(), disk.queue_count()), (SECTORS as u64, false, 1));
        let mut expected = file(&case);
        let mut all = vec![0xee; SECTORS * SECTOR];
        disk.read(Sector(0), &mut all).unwrap();
        assert!(all == expected, "the whole disk as read");
        let new = contents(7);
        for (first, count) in [(0, 1), (3, 2), (100, 300), (SECTORS - 9, 9)] {
            let bytes = &new[first * SECTOR..(first + count) * SECTOR];
            disk.write(Sector(first as u64), bytes).unwrap();
            expected[first * SECTOR..(first + count) * SECTOR].copy_from_slice(bytes);
            assert!(file(&case) == expected, "{count} sectors from {first} on");
        }
        // In pieces, there and back.
        let pieces = contents(8);
        let (one, rest) = pieces[..6 * SECTOR].split_at(SECTOR);
        disk.write_gathered(Sector(40), &[one, rest]).unwrap();
        assert!(file(&case)[40 * SECTOR..46 * SECTOR] == pieces[..6 * SECTOR]);
        let mut back = vec![0; 6 * SECTOR];
        let (one, rest) = back.split_at_mut(4 * SECTOR);
        disk.read_scattered(Sector(40), &mut [one, rest]).unwrap();
        assert!(back == pieces[..6 * SECTOR]);
        down(disk);
        fs::write(case.image(), contents(0)).unwrap();
    }
    case.is_clean();
}

#[test]
fn the_other_commands_do_what_they_say() {
    let case = Case::file(|mut disk| {
        disk.blockdev += ",discard=unmap";
        disk
    });
    let mut disk = open(&case, DiskOptions::new());
    assert_eq!(disk.id().unwrap().as_str(), Some("vhost_user_blk"));
    disk.flush().unwrap();
    for mode in [CacheMode::WriteThrough, CacheMode::WriteBack] {
        disk.set_cache_mode(mode).unwrap();
        assert_eq!(disk.cache_mode(), Ok(mode));
    }
    disk.write_zeroes(&[SectorRange::new(Sector(16), 32)], Unmap::Keep).unwrap();
    let mut expected = contents(0);
    expected[16 * SECTOR..48 * SECTOR].fill(0);
    assert!(file(&case) == expected);
    disk.flush().unwrap();
    let blocks = fs::metadata(case.image()).unwrap().blocks();
    disk.discard(&[SectorRange::new(Sector(1024), 512)]).unwrap();
    disk.flush().unwrap();
    let left = fs::metadata(case.image()).unwrap().blocks();
    assert!(left + 512 <= blocks, "{blocks} blocks before, {left} after");
    assert_eq!(disk.lifetime(), Err(BlkError::Unsupported(Operation::Lifetime)));
    down(disk);
    case.is_clean();
}

#[test]
fn a_disk_that_is_read_only_is_not_written() {
    let case = Case::file(Export::read_only);
    let mut disk = open(&case, DiskOptions::new());
    assert!(disk.is_read_only());
    assert_eq!(disk.write(Sector(0), &[1; SECTOR]).unwrap_err().error, BlkError::ReadOnly);
    let mut sector = [0; SECTOR];
    disk.read(Sector(3), &mut sector).unwrap();
    assert!(sector == contents(0)[3 * SECTOR..4 * SECTOR]);
    down(disk);
    assert!(file(&case) == contents(0));
    case.is_clean();
}

#[test]
fn a_sector_that_cannot_be_read_fails_that_request_alone() {
    let case = Case::file(|mut disk| {
        let image = disk.blockdev.replace("driver=file,filename=", "image.driver=file,image.filename=");
        let error = "inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.errno=5";
        disk.blockdev = format!("driver=blkdebug,{error},inject-error.0.sector=64,{image}");
        disk
    });
    let mut disk = open(&case, DiskOptions::new());
    let mut bytes = vec![0; 8 * SECTOR];
    for _ in 0..3 {
        let failed = disk.read(Sector(60), &mut bytes).unwrap_err();
        assert_eq!(failed.error, BlkError::Status(BlkStatus::IOERR));
        disk.read(Sector(65), &mut bytes).unwrap();
        assert!(bytes == contents(0)[65 * SECTOR..73 * SECTOR]);
    }
    down(disk);
    case.is_clean();
}

#[test]
fn each_of_several_queues_has_its_own_thread() {
    let case = Case::file(|disk| disk.queues(4));
    let mut disk: Disk<_, _, Owned<Vec<u8>>> =
        Disk::open(case.connect(), case.hal(), DiskOptions::new().queues(3)).unwrap();
    assert_eq!((disk.queue_count(), disk.limits().queues), (3, 4));
    let (old, new) = (contents(0), contents(4));
    let share = SECTORS / 3;
    let queues = disk.queues().unwrap();
    thread::scope(|threads| {
        for mut queue in queues {
            let first = usize::from(queue.index().get()) * share;
            let (old, new) = (&old, &new);
            threads.spawn(move || {
                for sector in first..first + 200 {
                    let range = sector * SECTOR..(sector + 1) * SECTOR;
                    let read = queue.add_read(Sector(sector as u64), vec![0; SECTOR]).unwrap();
                    queue.kick();
                    let answer = queue.wait(read).unwrap();
                    assert_eq!(answer.result, Ok(()));
                    assert!(answer.buffers.unwrap() == old[range.clone()], "sector {sector}");
                    let write = queue.add_write(Sector(sector as u64), new[range].to_vec()).unwrap();
                    queue.kick();
                    assert_eq!(queue.wait(write).unwrap().result, Ok(()));
                }
                let flush = queue.add_flush().unwrap();
                queue.kick();
                assert_eq!(queue.wait(flush).unwrap().result, Ok(()));
            });
        }
    });
    down(disk);
    let file = file(&case);
    for sector in 0..SECTORS {
        let range = sector * SECTOR..(sector + 1) * SECTOR;
        let written = sector / share < 3 && sector % share < 200;
        assert!(file[range.clone()] == if written { &new } else { &old }[range], "sector {sector}");
    }
    case.is_clean();
}

#[test]
fn a_device_with_fewer_queues_gives_what_it_has() {
    let case = Case::file(|disk| disk.queues(2));
    let disk = open(&case, DiskOptions::new().queues(8));
    assert_eq!((disk.queue_count(), disk.limits().queues), (2, 2));
    down(disk);
    case.is_clean();
}

#[test]
fn many_in_flight_come_back_whole_and_lent_buffers_are_not_copied() {
    for refused in [Features::empty(), Features::EVENT_IDX, Features::INDIRECT_DESC] {
        let case = Case::file(|disk| disk);
        let hal = Direct::new(case.memory);
        let options = DiskOptions::new().refuse(refused);
        let mut disk: Disk<_, _, Owned<&'static mut [u8]>> =
            Disk::open(case.connect(), hal, options).unwrap();
        assert!(!disk.features().intersects(refused));
        let expected = contents(0);
        let mut free: Vec<_> = (0..32).map(|_| hal.buffer(4096).unwrap()).collect();
        let out = case.memory.out();
        let mut queue = disk.queue().unwrap();
        let mut sent = Vec::new();
        let (mut next, mut done) = (0, 0);
        while done < 256 {
            while next < 256
                && let Some(buffer) = free.pop()
            {
                // Not one behind the other.
                let sector = next * 91 % 256 * 8;
                sent.push((queue.add_read(Sector(sector as u64), buffer).unwrap(), sector));
                next += 1;
            }
            assert_eq!(case.memory.out(), out, "no page was taken for a copy");
            queue.kick();
            done += queue
                .drain(usize::MAX, |answer| {
                    assert_eq!(answer.result, Ok(()));
                    let at = sent.iter().position(|(token, _)| *token == answer.token).unwrap();
                    let (_, sector) = sent.swap_remove(at);
                    let buffer = answer.buffers.unwrap();
                    assert!(*buffer == expected[sector * SECTOR..][..4096], "sector {sector}");
                    buffer.fill(0xee);
                    free.push(buffer);
                })
                .unwrap();
            thread::yield_now();
        }
        assert_eq!((queue.in_flight(), sent.len(), free.len()), (0, 0, 32));
        down(disk);
        assert_eq!(case.memory.faults(), [""; 0]);
    }
}

#[test]
fn awaited_requests_are_woken_by_the_eventfd() {
    static BELL: Bell = Bell::new();
    let case = Case::file(|disk| disk);
    let mut disk: Disk<_, _, Owned<Vec<u8>>> =
        Disk::open(case.connect(), case.hal(), DiskOptions::new().room(2048)).unwrap();
    let call = disk.device().endpoint(0).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|threads| {
        // The interrupt handler.
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if call.wait(SOON / 1000) && !call.ack().is_empty() {
                    BELL.ring();
                }
            }
        });
        let queue = disk.awaited(&BELL).unwrap();
        let (old, new) = (contents(0), contents(6));
        block_on(async {
            let mut bytes = vec![0; 100 * SECTOR];
            queue.read(Sector(50), &mut bytes).await.unwrap();
            assert!(bytes == old[50 * SECTOR..150 * SECTOR]);
            queue.write(Sector(200), &new[200 * SECTOR..333 * SECTOR]).await.unwrap();
            queue.flush().await.unwrap();
            let read = queue.read_owned(Sector(198), vec![0; 4 * SECTOR]).await.map_err(|lost| lost.error);
            let read = read.unwrap();
            assert!(read[..2 * SECTOR] == old[198 * SECTOR..200 * SECTOR]);
            assert!(read[2 * SECTOR..] == new[200 * SECTOR..202 * SECTOR]);
            let owned = new[..SECTOR].to_vec();
            let back = queue.write_owned(Sector(1000), owned).await.map_err(|lost| lost.error).unwrap();
            assert!(back == new[..SECTOR], "a buffer comes back as it was");
            assert_eq!(queue.id().await.unwrap().as_str(), Some("vhost_user_blk"));
            let beyond = queue.read(Sector(SECTORS as u64), &mut [0; SECTOR]).await.unwrap_err();
            assert!(matches!(beyond.error, BlkError::BeyondCapacity { .. }));
        });
        over.store(true, Ordering::Relaxed);
    });
    down(disk);
    let (old, new, file) = (contents(0), contents(6), file(&case));
    assert!(file[200 * SECTOR..333 * SECTOR] == new[200 * SECTOR..333 * SECTOR]);
    assert!(file[1000 * SECTOR..1001 * SECTOR] == new[..SECTOR]);
    assert!(file[..200 * SECTOR] == old[..200 * SECTOR] && file[1001 * SECTOR..] == old[1001 * SECTOR..]);
    case.is_clean();
}

#[test]
fn a_disk_recovers_on_a_new_connection() {
    let case = Case::file(|disk| disk);
    let mut disk = open(&case, DiskOptions::new());
    let mut sector = [0; SECTOR];
    disk.read(Sector(1), &mut sector).unwrap();
    let disk = disk.recover().unwrap();
    let mut disk = disk.recover().unwrap();
    disk.read(Sector(2), &mut sector).unwrap();
    assert!(sector == contents(0)[2 * SECTOR..3 * SECTOR]);
    down(disk);
    case.is_clean();
}
