//! Requests that fail, each by itself, and what is refused before it is sent.

use qemu_bench::{Device, Disk as Image, Machine, Way};
use virtio::blk::{BlkError, BlkStatus, DiskOptions, Sector, SectorRange, Unmap};

use super::{down, image, owning, put, ruled, salt, sectors, span, up};

/// One sector cannot be read, another not written.
pub(crate) const FAILING: Image = ruled(
    "[inject-error]\nevent = \"read_aio\"\nerrno = \"5\"\nsector = \"40\"\n\
     [inject-error]\nevent = \"write_aio\"\nerrno = \"5\"\nsector = \"80\"\n",
);

/// Nothing can be discarded, zeroed or flushed.
pub(crate) const SINKING: Image = Image {
    options: ",discard=unmap",
    ..ruled(
        "[inject-error]\nevent = \"none\"\nerrno = \"5\"\niotype = \"discard\"\n\
         [inject-error]\nevent = \"none\"\nerrno = \"5\"\niotype = \"write-zeroes\"\n\
         [inject-error]\nevent = \"none\"\nerrno = \"5\"\niotype = \"flush\"\n",
    )
};

const FAILED: BlkError = BlkError::Status(BlkStatus::IOERR);

/// Of many requests, just those fail that touch a bad sector; the disk goes on.
pub(crate) fn each_its_own<W: Way>(machine: &Machine, device: &Device) {
    let salt = salt(machine, device, 31);
    let before = sectors(200, salt);
    put(machine, device, 0, &before);
    let mut disk = owning::<W>(machine, device, DiskOptions::new());
    // Not side by side: QEMU would make one request of them.
    let firsts: Vec<u64> = (0..12).map(|number| number * 10).collect();
    for write in [false, true] {
        let bad = if write { 80 } else { 40 };
        let mut queue = disk.queue().unwrap();
        let data = |first: u64| sectors(2, salt + first as usize + 1);
        let add = |&first: &u64| {
            let sector = Sector(first);
            let added = if write {
                queue.add_write(sector, data(first))
            } else {
                queue.add_read(sector, vec![0; 1024])
            };
            (first, added.unwrap())
        };
        let tokens: Vec<_> = firsts.iter().map(add).collect();
        queue.kick();
        for (first, token) in tokens {
            let answer = queue.wait(token).unwrap();
            let expected = if first == bad { Err(FAILED) } else { Ok(()) };
            assert_eq!(answer.result, expected, "sector {first}, write: {write}");
            let buffer = answer.buffers.unwrap();
            if write {
                assert!(buffer == data(first));
            } else if first != bad {
                assert!(buffer == before[span(first, 2)], "sector {first}");
            }
        }
        let image = image(machine, device);
        for &first in &firsts {
            let written = write && first != bad;
            let expected = if written { data(first) } else { before[span(first, 2)].to_vec() };
            assert!(image[span(first, 2)] == expected, "sector {first} of the image");
        }
    }
    // The same, waited for.
    let mut bytes = vec![0; 8 * 512];
    assert_eq!(disk.read(Sector(36), &mut bytes).unwrap_err().error, FAILED);
    assert_eq!(disk.write(Sector(77), &bytes).unwrap_err().error, FAILED);
    disk.write(Sector(70), &bytes).unwrap();
    disk.read(Sector(41), &mut bytes).unwrap();
    down(disk);
}

/// Ranges and flushes fail, too, and are told to have failed.
pub(crate) fn of_ranges<W: Way>(machine: &Machine, device: &Device) {
    let mut disk = up::<W>(machine, device);
    let two = [SectorRange::new(Sector(16), 8), SectorRange::new(Sector(64), 8)];
    let failed = disk.discard(&two).unwrap_err();
    assert_eq!((failed.error, failed.done), (FAILED, 0));
    let failed = disk.write_zeroes(&two, Unmap::Allow).unwrap_err();
    assert_eq!((failed.error, failed.done), (FAILED, 0));
    disk.write(Sector(0), &sectors(1, 3)).unwrap();
    assert_eq!(disk.flush().unwrap_err(), FAILED);
    let mut back = [0; 512];
    disk.read(Sector(0), &mut back).unwrap();
    assert!(back == *sectors(1, 3));
    down(disk);
}

/// Beyond the end, of no whole sectors, of no sectors: named, and never sent.
pub(crate) fn bad_input<W: Way>(machine: &Machine, device: &Device) {
    let mut disk = up::<W>(machine, device);
    let (end, mut bytes) = (disk.capacity(), vec![0; 4096]);
    let accesses = machine.qtest().count();
    for first in [end, end - 7, u64::MAX, u64::MAX / 512, u64::MAX - 7] {
        let first = Sector(first);
        let beyond = |error: &BlkError| matches!(error, BlkError::BeyondCapacity { .. });
        assert!(beyond(&disk.read(first, &mut bytes).unwrap_err().error), "{first:?}");
        assert!(beyond(&disk.write(first, &bytes).unwrap_err().error), "{first:?}");
        let range = [SectorRange::new(first, 8)];
        assert!(beyond(&disk.discard(&range).unwrap_err().error), "{first:?}");
        assert!(beyond(&disk.write_zeroes(&range, Unmap::Keep).unwrap_err().error), "{first:?}");
    }
    let beyond = disk.discard(&[SectorRange::new(Sector(1), u64::MAX)]).unwrap_err().error;
    assert!(matches!(beyond, BlkError::BeyondCapacity { .. }), "{beyond}");
    for len in [1, 511, 513] {
        let bad = |error: &BlkError| matches!(error, BlkError::BadLength { .. });
        assert!(bad(&disk.read(Sector(0), &mut bytes[..len]).unwrap_err().error), "{len} bytes");
        assert!(bad(&disk.write(Sector(0), &bytes[..len]).unwrap_err().error), "{len} bytes");
    }
    // Registers are looked at, perhaps, but no request was sent.
    assert_eq!(machine.qtest().count().writes, accesses.writes);
    disk.read(Sector(end - 8), &mut bytes).unwrap();
    down(disk);
}
