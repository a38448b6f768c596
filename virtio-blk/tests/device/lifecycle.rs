//! Interrupts, events, and the end.

use crate::bench::{ALL, Setup, contents};
use crate::executor::finish;

use virtio_blk::{BlkError, CacheMode, Disk, DiskEvent, DiskOptions, Sector};
use virtio_core::queue::Bell;
use virtio_core::transport::InterruptStatus;
use virtio_core::{Endpoint, Error};
use virtio_testkit::{Reset, TestHal};

fn sectors(count: u64) -> Setup {
    Setup { sectors: count, ..Setup::default() }
}

// shows: blk.op.1
#[test]
fn a_resized_disk_is_noticed() {
    let hal = TestHal::new();
    let bench = sectors(64).build(&hal);
    let mut disk = bench.owning();
    let endpoint = disk.device().endpoint(0).unwrap();
    assert_eq!(disk.attend(endpoint.ack()), Ok(None));
    bench.device.set_config(sectors(32).config());
    bench.model().store.truncate(32 * 512);
    assert_eq!(disk.attend(endpoint.ack()), Ok(Some(DiskEvent::Resized { before: 64, now: 32 })));
    let error = disk.read(Sector(32), &mut [0; 512]).unwrap_err().error;
    assert!(matches!(error, BlkError::BeyondCapacity { capacity: 32, .. }));
    // Something else.
    bench.device.set_config(sectors(32).config());
    assert_eq!(disk.attend(endpoint.ack()), Ok(Some(DiskEvent::ConfigChanged)));
    assert_eq!(disk.attend(InterruptStatus::QUEUE), Ok(None));

    // While queues are lent, each can look.
    let (mut queue, bell) = (disk.queue().unwrap(), Bell::new());
    bench.device.set_config(sectors(40).config());
    bench.model().store.resize(40 * 512, 9);
    assert_eq!(queue.refresh(), Ok(Some(DiskEvent::Resized { before: 32, now: 40 })));
    assert_eq!((queue.refresh(), queue.capacity()), (Ok(None), 40));
    queue.add_read(Sector(39), vec![0; 512]).unwrap();
    let queue = queue.awaited(&bell).unwrap();
    bench.device.set_config(sectors(50).config());
    bench.model().store.resize(50 * 512, 9);
    assert_eq!(queue.refresh(), Ok(Some(DiskEvent::Resized { before: 40, now: 50 })));
    assert_eq!((queue.refresh(), queue.capacity()), (Ok(None), 50));
    finish(queue.read(Sector(49), &mut [0; 512])).unwrap();
    drop(queue);
    assert_eq!(disk.capacity(), 32);
    assert_eq!(disk.refresh(), Ok(Some(DiskEvent::Resized { before: 32, now: 50 })));
    assert_eq!(disk.refresh(), Ok(None));
}

#[test]
fn a_capacity_that_cannot_be_is_named_and_not_taken() {
    let hal = TestHal::new();
    let bench = sectors(64).build(&hal);
    let mut disk = bench.owning();
    bench.device.set_config(sectors(u64::MAX).config());
    assert_eq!(disk.refresh(), Err(BlkError::BadCapacity(u64::MAX)));
    assert_eq!(disk.queue().unwrap().refresh(), Err(BlkError::BadCapacity(u64::MAX)));
    assert_eq!(disk.capacity(), 64);
}

/// A capacity is two accesses: both of one state.
// shows: blk.op.1
#[test]
fn a_capacity_that_changes_while_it_is_read() {
    let hal = TestHal::new();
    let bench = sectors(64).build(&hal);
    let mut disk = bench.plain();
    bench.device.unsettle_config(3);
    // Every byte was changed three times by then.
    let now = bench.device.config();
    let outcome = disk.refresh();
    let settled = bench.device.config();
    assert_ne!(now, settled);
    let capacity = u64::from_le_bytes(settled[..8].try_into().unwrap());
    match outcome {
        Ok(Some(DiskEvent::Resized { before: 64, now })) => assert_eq!(now, capacity),
        Err(BlkError::BadCapacity(sectors)) => assert_eq!(sectors, capacity),
        other => panic!("{other:?}"),
    }
    bench.device.unsettle_config(u32::MAX);
    assert!(matches!(disk.refresh(), Err(BlkError::Core(Error::Misbehaved(_)))));
}

#[test]
fn a_device_that_asks_for_a_reset_gets_one() {
    let hal = TestHal::new();
    let bench = Setup::offering(ALL).with(8, 4, 4096).with(32, 1, 1).build(&hal);
    bench.model().holds = true;
    let options = DiskOptions::new().cache_mode(CacheMode::WriteThrough);
    let mut disk: crate::bench::Owning = bench.open(options);
    let endpoint = disk.device().endpoint(0).unwrap();
    let mut queue = disk.queue().unwrap();
    queue.add_read(Sector(0), vec![0; 512]).unwrap();
    queue.kick();
    assert!(!queue.needs_reset());
    bench.device.needs_reset();
    assert!(queue.needs_reset());
    assert_eq!(disk.attend(endpoint.ack()), Ok(Some(DiskEvent::NeedsReset)));
    assert!(hal.outstanding().is_none());
    let down = BlkError::Core(Error::Down);
    assert_eq!(disk.attend(InterruptStatus::CONFIG), Err(down));
    assert_eq!(disk.queue().map(drop), Err(down));
    assert_eq!(disk.refresh(), Err(down));
    bench.model().holds = false;
    bench.device.set_config(Setup::offering(ALL).with(8, 4, 4096).with(32, 1, 1).config());
    let mut disk = disk.recover().unwrap();
    // With the options that it had.
    assert_eq!(disk.cache_mode(), Ok(CacheMode::WriteThrough));
    let mut bytes = [0; 512];
    disk.read(Sector(3), &mut bytes).unwrap();
    assert_eq!(bytes[..], contents(3, 512));
}

#[test]
fn interrupts_tell_of_ends() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    bench.model().holds = true;
    let mut disk = bench.owning();
    let mut queue = disk.queue().unwrap();
    let submit = |queue: &mut virtio_blk::Queue<'_, _, _, _>| {
        queue.add_read(Sector(0), vec![0; 512]).unwrap();
        queue.kick();
        bench.complete(0, 0);
    };
    submit(&mut queue);
    assert_eq!(bench.device.interrupts(), 0, "nobody asked for one");
    assert!(queue.enable_interrupts(), "one waits already");
    assert!(queue.poll().unwrap().is_some());
    assert!(!queue.enable_interrupts());
    submit(&mut queue);
    assert_eq!(bench.device.interrupts(), 1);
    assert!(queue.poll().unwrap().is_some());
    queue.disable_interrupts();
    submit(&mut queue);
    assert_eq!(bench.device.interrupts(), 1);
    assert!(queue.enable_interrupts_after(3));
    assert!(!disk.ack_interrupt().unwrap().is_empty());
    assert!(disk.ack_interrupt().unwrap().is_empty());
}

#[test]
fn the_transport_comes_back_and_serves_again() {
    let hal = TestHal::new();
    let bench = Setup::default().build(&hal);
    let transport = bench.plain().dismantle().unwrap();
    let mut bytes = [0; 512];
    Disk::new(transport, hal.clone()).unwrap().read(Sector(1), &mut bytes).unwrap();
    assert_eq!(bytes[..], contents(1, 512));
}

#[test]
fn a_device_that_does_not_reset_keeps_its_memory() {
    let hal = TestHal::new();
    hal.allow_leaks();
    let bench = Setup::default().build(&hal);
    bench.model().holds = true;
    let mut disk = bench.owning();
    let mut queue = disk.queue().unwrap();
    queue.add_read(Sector(0), vec![0; 512]).unwrap();
    queue.kick();
    bench.device.set_reset(Reset::Never);
    assert!(disk.dismantle().is_err());
    assert!(!hal.leaks().is_empty());
}
