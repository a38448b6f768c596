//! Disks (VIRTIO 1.4 §5.2), by their driver: what it says was done is in the image, and what is in the image is read.

mod awaited;
mod errors;
mod events;
mod limits;
mod offers;
mod operations;
mod ranges;
mod several;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;

use qemu_bench::{BenchHal, Device, Disk as Image, Kind, Layer, Machine, Rings, Way};
use virtio::Transport;
use virtio::blk::{Disk, DiskOptions, Owned, SECTOR_SIZE};

use crate::case::Group;
use crate::fronts::Special;

/// An image whose holes are holes in the file.
pub(crate) const HOLEY: Image = Image { options: ",discard=unmap", ..Image::PLAIN };

pub(crate) const SPECIALS: &[Special] = &[
    Special::new("blk-held", Kind::Blk, "").over(Image::BREAKABLE),
    Special::new("blk-several", Kind::Blk, ",num-queues=4"),
    Special::new("blk-failing", Kind::Blk, "").over(errors::FAILING),
    Special::new("blk-read-only", Kind::Blk, "").over(Image { options: ",readonly=on", ..Image::PLAIN }),
    Special::new("blk-shaped", Kind::Blk, limits::SHAPE),
    Special::new("blk-narrow", Kind::Blk, limits::NARROW),
    Special::new("blk-wide", Kind::Blk, ",queue-size=64,seg-max-adjust=off"),
    Special::new("blk-through", Kind::Blk, ",write-cache=off"),
    Special::new("blk-bare", Kind::Blk, ",write-cache=off,config-wce=off,discard=off,write-zeroes=off"),
    Special::new("blk-sinking", Kind::Blk, "").over(errors::SINKING),
];

/// A disk of the bench whose requests carry borrowed slices only.
type Plain<W> = Disk<<W as Way>::Transport, BenchHal>;
/// One whose requests carry buffers.
type Owning<W> = Disk<<W as Way>::Transport, BenchHal, Owned<Vec<u8>>>;

/// What is to be checked of a disk.
pub(crate) fn cases<W: Way>(group: &mut Group, device: &Device) {
    type Check = fn(&Machine, &Device);
    let checks: &[(&str, Check)] = match device.id.as_str() {
        "blk-held" => &[("disk out of order", several::out_of_order::<W>)],
        "blk-several" => &[
            ("disk queues", several::every_queue::<W>),
            ("disk queues side by side", several::side_by_side::<W>),
        ],
        "blk-failing" => &[("disk errors", errors::each_its_own::<W>)],
        "blk-sinking" => &[("disk errors of ranges and flushes", errors::of_ranges::<W>)],
        "blk-read-only" => &[("disk read-only", operations::read_only::<W>)],
        "blk-shaped" => &[("disk shape", limits::shape::<W>)],
        "blk-narrow" => &[("disk in pieces", limits::in_pieces::<W>)],
        "blk-wide" => &[("disk segments", limits::segments::<W>)],
        "blk-through" => &[("disk written through", operations::written_through::<W>)],
        "blk-bare" => &[("disk without extras", offers::bare::<W>)],
        _ => &[
            ("disk", operations::borrowed::<W>),
            ("disk owned", operations::owned::<W>),
            ("disk scattered", operations::scattered::<W>),
            ("disk cache", operations::cache::<W>),
            ("disk ranges", ranges::ranges::<W>),
            ("disk bad input", errors::bad_input::<W>),
            ("disk awaited", awaited::borrowed::<W>),
            ("disk awaited owned", awaited::owned::<W>),
            ("disk resized", events::resized::<W>),
            ("disk recovered", events::recovered::<W>),
            ("disk offers", offers::all::<W>),
        ],
    };
    for (what, check) in checks {
        group.case(what, &device.id, *check);
    }
    if W::VECTORS > 1 && device.id == "blk-several" {
        group.case("disk messages", &device.id, several::messages);
    }
}

/// Brings a disk up, which has the rings that it was made with.
fn up<W: Way>(machine: &Machine, device: &Device) -> Plain<W> {
    checked::<W, _>(device, Disk::new(W::open(machine, device), machine.hal()).unwrap())
}

/// The same, for buffers.
fn owning<W: Way>(machine: &Machine, device: &Device, options: DiskOptions) -> Owning<W> {
    checked::<W, _>(device, Disk::open(W::open(machine, device), machine.hal(), options).unwrap())
}

fn checked<W: Way, P: virtio::blk::Payload>(
    device: &Device,
    disk: Disk<W::Transport, BenchHal, P>,
) -> Disk<W::Transport, BenchHal, P> {
    assert_eq!(Rings::of(disk.features()), device.rings.features());
    let info = disk.transport_info().unwrap();
    assert_eq!((info.name, info.version), W::INFO);
    disk
}

/// Takes it down; it has to read as reset then.
fn down<T: Transport, P: virtio::blk::Payload>(disk: Disk<T, BenchHal, P>) -> T {
    let transport = disk.dismantle().expect("a reset that is confirmed");
    assert!(transport.status().is_empty());
    transport
}

/// The image, as it is now.
fn image(machine: &Machine, device: &Device) -> Vec<u8> {
    fs::read(machine.disk(&device.id)).unwrap()
}

/// Writes to the image from outside, from this sector on.
fn put(machine: &Machine, device: &Device, sector: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(machine.disk(&device.id)).unwrap();
    file.write_all_at(bytes, sector * SECTOR_SIZE as u64).unwrap();
}

/// So many sectors, of which none is like another, nor like those of another salt.
fn sectors(count: usize, salt: usize) -> Vec<u8> {
    let byte = |at: usize| (at % 251 + (at / SECTOR_SIZE) * 7 + salt * 29) as u8;
    (0..count * SECTOR_SIZE).map(byte).collect()
}

/// The bytes of these sectors.
fn span(first: u64, count: usize) -> std::ops::Range<usize> {
    let start = first as usize * SECTOR_SIZE;
    start..start + count * SECTOR_SIZE
}

/// Salt of a case: no case finds what another has left.
fn salt(machine: &Machine, device: &Device, case: usize) -> usize {
    device.id.len() * 31 + case * 7 + machine.process() as usize
}

/// Nothing between a disk and its image but a layer with rules.
const fn ruled(rules: &'static str) -> Image {
    Image { layer: Layer::Debug(rules), ..Image::PLAIN }
}
