//! Reads of a disk, by either side: the same sectors into the same buffers, waited for alike.

pub mod bare;
pub mod ours;
pub mod theirs;

use core::fmt;

use crate::host::say;
use crate::{Name, Work, memory, meter, ring};

/// The queue that requests go to.
pub const QUEUE: u16 = 0;
/// Bytes in a sector (VIRTIO 1.4 §5.2.6).
const SECTOR: u64 = 512;
/// Bytes of a random read.
const SMALL: usize = 4096;
/// Bytes of a sequential read.
const LARGE: usize = 1 << 20;
/// Requests in flight at the most.
const DEEPEST: usize = 32;
/// Random places, drawn before anything is measured.
const PLACES: usize = 4096;
/// What buffers hold before they are read into. The disk is all zeros.
const STALE: u8 = 0xa5;

/// How a driver is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// A call that returns when the bytes are there.
    Blocking,
    /// Many are added, then what is done is taken.
    Queued,
    /// Tasks that await.
    Awaited,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Blocking => "blocking",
            Self::Queued => "queued",
            Self::Awaited => "awaited",
        })
    }
}

/// Where to read, request by request.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Bytes of one request.
    pub len: usize,
    /// Requests.
    pub requests: usize,
    /// Requests in flight.
    pub depth: usize,
    places: &'static [u32; PLACES],
}

impl Plan {
    /// The first sector of request `nth`.
    #[inline]
    pub fn sector(&self, nth: usize) -> u64 {
        if self.len == SMALL {
            u64::from(self.places[nth % PLACES])
        } else {
            (nth % 512) as u64 * (LARGE as u64 / SECTOR)
        }
    }
}

/// A disk and who drives it.
pub trait Disk {
    /// Reads into the first of its buffers.
    fn read(&mut self, sector: u64, len: usize);

    /// How many requests it can have in flight.
    fn deepest(&self) -> usize;
    /// Lends the queue for many reads ([`flow::run`](crate::flow::run)).
    fn queued(&mut self, plan: Plan);

    /// Runs as many tasks as the plan is deep, each of which awaits its share of the reads, one after the other; `false` if it has
    /// no such thing.
    fn awaited(&mut self, plan: Plan) -> bool;

    /// All its buffers, when nothing is in flight.
    fn each_buffer(&mut self, look: &mut dyn FnMut(&mut [u8]));
}

fn blocking(disk: &mut impl Disk, plan: Plan) {
    ring::settle_after_kicks(meter::counting());
    for nth in 0..plan.requests {
        disk.read(plan.sector(nth), plan.len);
    }
    ring::settle_after_kicks(false);
}

fn run(disk: &mut impl Disk, way: Way, plan: Plan) -> bool {
    match way {
        Way::Blocking => blocking(disk, plan),
        Way::Queued => disk.queued(plan),
        Way::Awaited => return disk.awaited(plan),
    }
    true
}

/// Everything, a line for each kind of read; or the one row of this name.
pub fn measure(disk: &mut impl Disk, Work { count: requests, only }: Work<'_>) {
    let places = places();
    let rows = [
        (Way::Blocking, 1, SMALL),
        (Way::Queued, 1, SMALL),
        (Way::Queued, 8, SMALL),
        (Way::Queued, 32, SMALL),
        (Way::Awaited, 1, SMALL),
        (Way::Awaited, 8, SMALL),
        (Way::Awaited, 32, SMALL),
        (Way::Blocking, 1, LARGE),
    ];
    for (way, depth, len) in rows {
        let size = if len == LARGE { "1M" } else { "4K" };
        if !only.is_empty() && !Name(only).is(format_args!("{size}-{way}-{depth}")) {
            continue;
        }
        let deep = depth.min(disk.deepest());
        let requests = if len == LARGE { requests.div_ceil(64) } else { requests };
        let plan = Plan { len, requests: requests.next_multiple_of(deep), depth: deep, places };
        // Once to see that it reads, and to be warm.
        disk.each_buffer(&mut |buffer| buffer.fill(STALE));
        if !run(disk, way, Plan { requests: deep.max(32).next_multiple_of(deep), ..plan }) {
            continue;
        }
        let mut read = 0;
        disk.each_buffer(&mut |buffer| {
            let fresh = buffer.iter().take(len).all(|byte| *byte == 0);
            read += usize::from(fresh && buffer.iter().skip(len).all(|byte| *byte == STALE));
        });
        assert!(read == deep, "{read} of {deep} buffers were read into, {way}");
        let kicks = ring::kicks();
        meter::start();
        run(disk, way, plan);
        let value = meter::stop();
        say!("row {size}-{way}-{depth} {deep} {} {value} {}", plan.requests, ring::kicks() - kicks);
    }
}

fn places() -> &'static [u32; PLACES] {
    let memory = memory::pages(PLACES * size_of::<u32>() / memory::PAGE).cast::<[u32; PLACES]>();
    // SAFETY: fresh pages that stay, of the right size.
    let places = unsafe { &mut *memory.as_ptr() };
    let mut state = 0x2545_f491_u32;
    for place in &mut *places {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        // In the first 512 MiB, whole blocks of 4 KiB.
        *place = (state >> 15) * (SMALL as u32 / SECTOR as u32);
    }
    places
}

/// Buffers: one large one, of which small reads use the beginning, and small ones.
pub fn buffers() -> [&'static mut [u8]; DEEPEST] {
    core::array::from_fn(|nth| memory::buffer(if nth == 0 { LARGE } else { SMALL }))
}
