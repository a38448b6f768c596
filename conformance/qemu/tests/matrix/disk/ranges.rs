//! Discarding, and writing zeroes without sending them.

use std::os::unix::fs::MetadataExt;

use qemu_bench::{Device, Machine, Way};
use virtio::blk::{BlkError, Operation, Sector, SectorRange, Unmap};

use super::{down, image, put, salt, sectors, span, up};

/// Of a disk that is full of other things, just what was named is gone; where it may be a hole, it is one.
pub(crate) fn ranges<W: Way>(machine: &Machine, device: &Device) {
    let mut disk = up::<W>(machine, device);
    let count = disk.capacity() as usize;
    let full = sectors(count, salt(machine, device, 11));
    put(machine, device, 0, &full);
    // Whole pages of the host, so that they can be holes.
    let allocated = || std::fs::metadata(machine.disk(&device.id)).unwrap().blocks();
    let before = allocated();
    let mut expected = full;

    disk.discard(&[SectorRange::new(Sector(64), 128)]).unwrap();
    expected[span(64, 128)].fill(0);
    let discarded = allocated();
    assert!(discarded < before, "{before} blocks before, {discarded} after");
    assert!(image(machine, device) == expected, "after a discard");

    disk.write_zeroes(&[SectorRange::new(Sector(301), 77)], Unmap::Keep).unwrap();
    expected[span(301, 77)].fill(0);
    assert!(image(machine, device) == expected, "after zeroes");
    disk.write_zeroes(&[SectorRange::new(Sector(512), 128)], Unmap::Allow).unwrap();
    expected[span(512, 128)].fill(0);
    assert!(image(machine, device) == expected, "after zeroes that may be a hole");
    assert!(allocated() < discarded, "a hole");

    // Several at once; QEMU takes one a request.
    let several =
        [(800, 8), (816, 16), (900, 1)].map(|(first, count)| SectorRange::new(Sector(first), count));
    disk.write_zeroes(&several, Unmap::Keep).unwrap();
    several.iter().for_each(|range| expected[span(range.first.0, range.count as usize)].fill(0));
    assert!(image(machine, device) == expected, "after zeroes at three places");
    let several = [(1000, 8), (1048, 16)].map(|(first, count)| SectorRange::new(Sector(first), count));
    disk.discard(&several).unwrap();
    several.iter().for_each(|range| expected[span(range.first.0, range.count as usize)].fill(0));
    assert!(image(machine, device) == expected, "after two discards");

    let erased = disk.secure_erase(&[SectorRange::new(Sector(0), 8)]).unwrap_err();
    assert_eq!(erased.error, BlkError::Unsupported(Operation::SecureErase));
    let mut back = vec![1; 256 * 512];
    disk.read(Sector(0), &mut back).unwrap();
    assert!(back == expected[..back.len()]);
    down(disk);
}
