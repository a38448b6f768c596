//! Requests as futures, woken by interrupts.

use qemu_bench::{Cause, Device, Machine, Way};
use virtio::Endpoint;
use virtio::blk::{DiskOptions, Sector, SectorRange, Unmap};
use virtio::queue::Bell;

use super::{down, image, owning, salt, sectors, span, up};
use crate::case::SOON;
use crate::executor::{all, block_on};

/// Borrowed slices, longer than a request takes: cut, copied, and several tasks at a time.
pub(crate) fn borrowed<W: Way>(machine: &Machine, device: &Device) {
    let bell = Bell::new();
    let mut disk = up::<W>(machine, device);
    let (signal, endpoint) =
        (W::signal(machine, device, Cause::Queue), disk.device().endpoint(W::vector(Cause::Queue)).unwrap());
    // QEMU's legacy disk has no ANY_LAYOUT on MMIO: header, data and status have descriptors of their own there.
    let salt = salt(machine, device, 61);
    let data: Vec<_> = (0..4).map(|task| sectors(5 + task, salt + task)).collect();
    let first = |task: usize| Sector(task as u64 * 50);
    let queue = disk.awaited(&bell).unwrap();
    let tasks = (0..4).map(|task| {
        let (queue, data) = (&queue, &data[task]);
        async move {
            queue.write(first(task), data).await.unwrap();
            let mut back = vec![0; data.len()];
            queue.read(first(task), &mut back).await.unwrap();
            assert!(back == *data, "task {task}");
        }
    });
    let handler = || {
        assert!(signal.wait(SOON), "no interrupt");
        if !endpoint.ack().is_empty() {
            assert!(signal.settles(SOON), "the line stays up");
            bell.ring();
        }
    };
    block_on(all(tasks), handler);
    let rest = async {
        queue.flush().await.unwrap();
        assert_eq!(queue.id().await.unwrap().as_str(), Some(device.id.get(..20).unwrap_or(&device.id)));
        queue.write_zeroes(&[SectorRange::new(Sector(50), 2)], Unmap::Keep).await.unwrap();
        queue.discard(&[SectorRange::new(Sector(800), 8)]).await.unwrap();
    };
    block_on(rest, handler);
    drop(queue);
    let image = image(machine, device);
    for (task, data) in data.iter().enumerate().filter(|(task, _)| *task != 1) {
        assert!(image[span(first(task).0, data.len() / 512)] == *data, "task {task}");
    }
    assert!(image[span(50, 2)].iter().all(|&byte| byte == 0));
    assert!(image[span(52, 4)] == data[1][1024..]);
    down(disk);
}

/// Buffers that are not copied.
pub(crate) fn owned<W: Way>(machine: &Machine, device: &Device) {
    let bell = Bell::new();
    let mut disk = owning::<W>(machine, device, DiskOptions::new());
    let (signal, endpoint) =
        (W::signal(machine, device, Cause::Queue), disk.device().endpoint(W::vector(Cause::Queue)).unwrap());
    let salt = salt(machine, device, 62);
    let queue = disk.awaited(&bell).unwrap();
    let tasks = (0..4).map(|task| {
        let queue = &queue;
        async move {
            let (first, data) = (Sector(task * 100 + 7), sectors(40, salt + task as usize));
            let data = queue.write_owned(first, data).await.unwrap();
            let back = queue.read_owned(first, vec![0; data.len()]).await.unwrap();
            assert!(back == data, "task {task}");
        }
    });
    block_on(all(tasks), || {
        assert!(signal.wait(SOON), "no interrupt");
        if !endpoint.ack().is_empty() {
            assert!(signal.settles(SOON), "the line stays up");
            bell.ring();
        }
    });
    drop(queue);
    let image = image(machine, device);
    for task in 0..4 {
        assert!(image[span(task * 100 + 7, 40)] == sectors(40, salt + task as usize), "task {task}");
    }
    down(disk);
}
