//! A disk that changes its size, and one that is brought up again.

use qemu_bench::{Cause, Device, Machine, Way};
use serde_json::json;
use virtio::Endpoint;
use virtio::blk::{BlkError, DiskEvent, DiskOptions, Sector};

use super::{down, image, owning, salt, sectors, span, up};
use crate::case::SOON;

fn resize(machine: &Machine, device: &Device, sectors: u64) {
    let size = sectors * 512;
    machine.run("block_resize", &json!({ "device": format!("{}-disk", device.id), "size": size })).unwrap();
}

/// It grows, told by an interrupt; it shrinks, found by a driver that asks.
pub(crate) fn resized<W: Way>(machine: &Machine, device: &Device) {
    let mut disk = up::<W>(machine, device);
    let signal = W::signal(machine, device, Cause::Config);
    let endpoint = disk.device().endpoint(W::vector(Cause::Config)).unwrap();
    let before = disk.capacity();
    let data = sectors(8, salt(machine, device, 41));
    let refused = disk.write(Sector(before), &data).unwrap_err().error;
    assert!(matches!(refused, BlkError::BeyondCapacity { .. }), "{refused}");

    resize(machine, device, before + 64);
    assert!(signal.wait(SOON), "no interrupt");
    let status = endpoint.ack();
    assert!(signal.settles(SOON), "the line stays up");
    let event = disk.attend(status).unwrap();
    assert_eq!(event, Some(DiskEvent::Resized { before, now: before + 64 }));
    assert_eq!(disk.capacity(), before + 64);
    disk.write(Sector(before), &data).unwrap();
    assert!(image(machine, device)[span(before, 8)] == data);

    resize(machine, device, before);
    assert_eq!(disk.refresh().unwrap(), Some(DiskEvent::Resized { before: before + 64, now: before }));
    assert_eq!(disk.refresh().unwrap(), None);
    let refused = disk.write(Sector(before), &data).unwrap_err().error;
    assert!(matches!(refused, BlkError::BeyondCapacity { .. }), "{refused}");
    down(disk);
}

/// Brought up again on the same transport, with requests under way.
pub(crate) fn recovered<W: Way>(machine: &Machine, device: &Device) {
    let data = sectors(8, salt(machine, device, 42));
    let mut disk = owning::<W>(machine, device, DiskOptions::new());
    disk.write(Sector(100), &data).unwrap();
    let mut queue = disk.queue().unwrap();
    for first in 0..10 {
        queue.add_read(Sector(first * 3), vec![0; 512]).unwrap();
    }
    queue.kick();
    let mut disk = disk.recover().unwrap();
    let mut queue = disk.queue().unwrap();
    assert_eq!(queue.in_flight(), 0);
    let token = queue.add_read(Sector(100), vec![0; data.len()]).unwrap();
    queue.kick();
    assert!(queue.wait(token).unwrap().buffers.unwrap() == data);
    down(disk);
}
