//! What a disk says of itself, and requests cut to it.

use qemu_bench::{Device, Machine, Way};
use virtio::blk::{BlkError, Disk, DiskOptions, Owned, Scattered, Sector, SectorRange, Unmap};

use super::{down, image, salt, sectors, span, up};

/// Properties that all can be read back.
pub(crate) const SHAPE: &str = ",logical_block_size=4096,physical_block_size=16384,min_io_size=8192,\
    opt_io_size=65536,discard_granularity=8192,max-discard-sectors=64,max-write-zeroes-sectors=48,\
    cyls=16,heads=2,secs=56";

/// A short queue, and segments to fit.
pub(crate) const NARROW: &str = ",queue-size=16";

/// The shape that was asked for, as the driver reads it; ranges are cut to it.
pub(crate) fn shape<W: Way>(machine: &Machine, device: &Device) {
    let mut disk = up::<W>(machine, device);
    let limits = *disk.limits();
    assert_eq!(limits.block_size, 4096);
    let topology = limits.topology.expect("TOPOLOGY is offered");
    assert_eq!(topology.physical_block_exp, 2);
    assert_eq!((topology.min_io_size, topology.opt_io_size), (2, 16));
    let geometry = limits.geometry.expect("GEOMETRY is offered");
    assert_eq!((geometry.cylinders, geometry.heads, geometry.sectors), (16, 2, 56));
    let discard = limits.discard.expect("DISCARD is offered");
    assert_eq!((discard.max_sectors, discard.max_ranges, discard.alignment), (64, 1, 16));
    let zeroes = limits.write_zeroes.expect("WRITE_ZEROES is offered");
    assert_eq!((zeroes.max_sectors, zeroes.max_ranges), (48, 1));

    // Longer than one request takes: cut.
    let salt = salt(machine, device, 21);
    let mut expected = sectors(512, salt);
    disk.write(Sector(0), &expected).unwrap();
    disk.write_zeroes(&[SectorRange::new(Sector(8), 200)], Unmap::Keep).unwrap();
    expected[span(8, 200)].fill(0);
    assert!(image(machine, device)[span(0, 512)] == expected);
    disk.discard(&[SectorRange::new(Sector(256), 192)]).unwrap();
    down(disk);
}

/// A queue of 16 entries; more bytes than any request of it takes are read and written all the same.
pub(crate) fn in_pieces<W: Way>(machine: &Machine, device: &Device) {
    let mut disk = up::<W>(machine, device);
    assert_eq!(disk.limits().seg_max, Some(14));
    let data = sectors(1000, salt(machine, device, 22));
    disk.write(Sector(17), &data).unwrap();
    assert!(image(machine, device)[span(17, 1000)] == data);
    let mut back = vec![0; data.len()];
    disk.read(Sector(17), &mut back).unwrap();
    assert!(back == data);
    // 40 pieces, of which no request of this disk takes more than 14.
    let pieces: Vec<&[u8]> = data[..40 * 512].chunks(512).collect();
    disk.write_gathered(Sector(3), &pieces).unwrap();
    assert!(image(machine, device)[span(3, 40)] == data[..40 * 512]);
    let mut back = vec![0; 40 * 512];
    let mut pieces: Vec<&mut [u8]> = back.chunks_mut(512).collect();
    disk.read_scattered(Sector(3), &mut pieces).unwrap();
    assert!(back == data[..40 * 512]);
    down(disk);
}

/// `seg-max-adjust=off`: QEMU says what it has said before it counted, whatever the queue.
pub(crate) fn segments<W: Way>(machine: &Machine, device: &Device) {
    let disk = up::<W>(machine, device);
    assert_eq!(disk.limits().seg_max, Some(126));
    let transport = down(disk);
    type Many = Owned<Scattered<Vec<Vec<u8>>>>;
    let options = DiskOptions::new().segments(30);
    let mut disk = Disk::<_, _, Many>::open(transport, machine.hal(), options).unwrap();
    let data = sectors(30, salt(machine, device, 23));
    let mut queue = disk.queue().unwrap();
    let pieces = |count| Scattered(data.chunks(512).take(count).map(<[u8]>::to_vec).collect::<Vec<_>>());
    let token = queue.add_write(Sector(5), pieces(30)).unwrap();
    queue.kick();
    assert_eq!(queue.wait(token).unwrap().result, Ok(()));
    assert!(image(machine, device)[span(5, 30)] == data);
    // More than were declared go through the ring itself; more than it has entries, or the disk takes, come back as
    // they were.
    let more = sectors(60, salt(machine, device, 24));
    let pieces = |count| Scattered(more.chunks(512).take(count).map(<[u8]>::to_vec).collect::<Vec<_>>());
    let token = queue.add_write(Sector(100), pieces(60)).unwrap();
    queue.kick();
    assert_eq!(queue.wait(token).unwrap().result, Ok(()));
    assert!(image(machine, device)[span(100, 60)] == more);
    let long = Scattered((0..200).map(|_| vec![7; 512]).collect::<Vec<_>>());
    let refused = queue.add_write(Sector(5), long).unwrap_err();
    assert_eq!(refused.buffers.unwrap().0.len(), 200);
    assert!(!matches!(refused.error, BlkError::Status(_)), "{}", refused.error);
    assert!(image(machine, device)[span(5, 30)] == data);
    down(disk);
}
