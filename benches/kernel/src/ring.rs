//! Where the rings of the queues lie, whoever drives them; and waiting that is not the driver's own.

use Ordering::{Acquire, Relaxed};
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};

use crate::meter;

/// The index, in the driver's area and in the device's.
const INDEX: usize = 2;
/// As many as any device here has.
const QUEUES: usize = 4;

struct Place {
    driver: AtomicUsize,
    device: AtomicUsize,
}

static PLACES: [Place; QUEUES] =
    [const { Place { driver: AtomicUsize::new(0), device: AtomicUsize::new(0) } }; QUEUES];
static KICKS: AtomicU64 = AtomicU64::new(0);
static SETTLING: AtomicBool = AtomicBool::new(false);

/// Remembers where the split ring of a queue is.
pub fn note(queue: u16, driver: u64, device: u64) {
    let place = &PLACES[usize::from(queue)];
    place.driver.store(driver as usize, Relaxed);
    place.device.store(device as usize, Relaxed);
}

fn index(area: &AtomicUsize) -> u16 {
    let index = core::ptr::with_exposed_provenance_mut::<u16>(area.load(Relaxed) + INDEX);
    // SAFETY: the ring's index, in pages that stay; it is accessed atomically here and by the device.
    unsafe { AtomicU16::from_ptr(index) }.load(Acquire)
}

/// Requests the device has used, counted for ever.
pub fn used(queue: u16) -> u16 {
    index(&PLACES[usize::from(queue)].device)
}

/// Waits until the device has used `count` since it had used `since`; what that costs is not measured.
pub fn wait(queue: u16, since: u16, count: u16) {
    meter::pause();
    while used(queue).wrapping_sub(since) < count {
        spin_loop();
    }
    meter::resume();
}

/// Waits until the device has used all that it was given; what that costs is not measured.
pub fn settle(queue: u16) {
    meter::pause();
    while used(queue) != index(&PLACES[usize::from(queue)].driver) {
        spin_loop();
    }
    meter::resume();
}

/// Whether each kick is followed by [`settle`]: for blocking calls whose instructions are counted. Their own waiting then
/// finds at once what it waits for.
pub fn settle_after_kicks(on: bool) {
    SETTLING.store(on, Relaxed);
}

/// A transport has written a doorbell.
#[inline]
pub fn kicked(queue: u16) {
    KICKS.store(KICKS.load(Relaxed) + 1, Relaxed);
    if SETTLING.load(Relaxed) {
        settle(queue);
    }
}

/// Kicks so far.
pub fn kicks() -> u64 {
    KICKS.load(Relaxed)
}
