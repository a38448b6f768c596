//! What QEMU's disk offers, and what it does not: cases that fail on the day that it does, for they are to be written then.

use qemu_bench::{Device, Machine, Way};
use virtio::blk::{BlkError, Operation, Sector, SectorRange, Unmap};
use virtio::{Features, Transport};

use super::{down, image, sectors, span, up};

/// Numbers of VIRTIO 1.4 §5.2.3.
const BITS: [(&str, u32); 14] = [
    ("SIZE_MAX", 1),
    ("SEG_MAX", 2),
    ("GEOMETRY", 4),
    ("RO", 5),
    ("BLK_SIZE", 6),
    ("FLUSH", 9),
    ("TOPOLOGY", 10),
    ("CONFIG_WCE", 11),
    ("MQ", 12),
    ("DISCARD", 13),
    ("WRITE_ZEROES", 14),
    ("LIFETIME", 15),
    ("SECURE_ERASE", 16),
    ("ZONED", 17),
];

fn offered<W: Way>(machine: &Machine, device: &Device) -> Vec<&'static str> {
    let mut transport = W::open(machine, device);
    let features = Features::from_bits_retain(u128::from(transport.device_features(0)));
    let is = |number: u32| features.contains(Features::bit(number));
    BITS.iter().filter(|(_, number)| is(*number)).map(|(name, _)| *name).collect()
}

/// A disk with all that there is. QEMU 7.2 has no lifetime, no secure erase, no zones, and no longest segment.
pub(crate) fn all<W: Way>(machine: &Machine, device: &Device) {
    let all =
        ["SEG_MAX", "GEOMETRY", "BLK_SIZE", "FLUSH", "TOPOLOGY", "CONFIG_WCE", "DISCARD", "WRITE_ZEROES"];
    assert_eq!(offered::<W>(machine, device), all);
    let mut disk = up::<W>(machine, device);
    assert_eq!(disk.lifetime().unwrap_err(), BlkError::Unsupported(Operation::Lifetime));
    let erased = disk.secure_erase(&[SectorRange::new(Sector(0), 1)]).unwrap_err();
    assert_eq!(erased.error, BlkError::Unsupported(Operation::SecureErase));
    let limits = disk.limits();
    assert_eq!((limits.size_max, limits.seg_max), (None, Some(254)));
    assert_eq!(disk.queue_count(), 1);
    down(disk);
}

/// A disk with little: what it has not is refused by name, and the rest works.
pub(crate) fn bare<W: Way>(machine: &Machine, device: &Device) {
    assert_eq!(offered::<W>(machine, device), ["SEG_MAX", "GEOMETRY", "BLK_SIZE", "TOPOLOGY"]);
    let mut disk = up::<W>(machine, device);
    let one = [SectorRange::new(Sector(0), 1)];
    let accesses = machine.qtest().count();
    assert_eq!(disk.flush().unwrap_err(), BlkError::Unsupported(Operation::Flush));
    assert_eq!(disk.discard(&one).unwrap_err().error, BlkError::Unsupported(Operation::Discard));
    let zeroed = disk.write_zeroes(&one, Unmap::Keep).unwrap_err();
    assert_eq!(zeroed.error, BlkError::Unsupported(Operation::WriteZeroes));
    assert_eq!(machine.qtest().count(), accesses, "nothing was sent");
    disk.write(Sector(3), &sectors(5, 1)).unwrap();
    assert!(image(machine, device)[span(3, 5)] == sectors(5, 1));
    down(disk);
}
