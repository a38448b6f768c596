//! A device on a thread of its own, on pinned memory: nothing but the rings orders it and the driver.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering, fence};
use core::time::Duration;
use std::sync::{Condvar, Mutex};

use common::{AVAIL, NEXT, PACKED, PLAIN, Pages, USED, WRITE};
use virtio_core::{DeviceAddr, Direction, Features, Hal};
use virtio_testkit::{DeviceQueue, GuestMemory, Pinned, TestHal};

const SIZE: u16 = 8;
/// Each request takes two descriptors.
const MOST: u16 = SIZE / 2;
const ROUNDS: u32 = if cfg!(miri) { 15 } else { 20_000 };

/// A doorbell, or an interrupt. It orders nothing unless it rings.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.rings.notify_one();
    }

    /// Waits. A kick or an interrupt that was lost ends the test.
    fn wait(&self) {
        let rung = self.rung.lock().unwrap();
        let patience = Duration::from_secs(20);
        let (mut rung, late) = self.rings.wait_timeout_while(rung, patience, |rung| !*rung).unwrap();
        assert!(!late.timed_out(), "a kick or an interrupt was lost");
        *rung = false;
    }
}

/// Answers every request with its bytes plus one, until it is told to stop.
fn serve(memory: &[Pinned], queue: &mut DeviceQueue, [bell, interrupt]: [&Bell; 2], stop: &AtomicBool) {
    loop {
        while let Some(chain) = queue.pop(memory).unwrap() {
            let answer: Vec<u8> =
                chain.readable(memory).unwrap().iter().map(|byte| byte.wrapping_add(1)).collect();
            let len = chain.write(memory, &answer).unwrap();
            let before = queue.used();
            queue.finish(memory, &chain, u32::try_from(len).unwrap()).unwrap();
            if queue.wants_interrupt(memory, before).unwrap() {
                interrupt.ring();
            }
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // Ask for a kick, and look once more.
        if queue.event_idx() {
            queue.set_avail_event(memory, queue.taken()).unwrap();
        } else {
            queue.suppress_notifications(memory, false).unwrap();
        }
        if queue.waiting(memory).unwrap() > 0 {
            continue;
        }
        bell.wait();
        if !queue.event_idx() {
            queue.suppress_notifications(memory, true).unwrap();
        }
    }
}

/// A driver written by hand, through pointers.
struct Driver {
    first: NonNull<u8>,
    device: DeviceAddr,
    features: Features,
    /// Requests so far: published, and found used.
    published: u16,
    used: u16,
}

impl Driver {
    fn packed(&self) -> bool {
        self.features.contains(Features::RING_PACKED)
    }

    fn field(&self, page: usize, offset: usize) -> &AtomicU16 {
        // SAFETY: inside the four pages of the test, which outlive the driver; aligned, for offsets are even.
        let cell = unsafe { self.first.add(page * 4096 + offset) };
        // SAFETY: as above; both sides access these fields atomically while they share them.
        unsafe { AtomicU16::from_ptr(cell.cast().as_ptr()) }
    }

    fn write(&self, page: usize, offset: usize, bytes: &[u8]) {
        // SAFETY: inside the four pages of the test; the driver's own until it is published.
        let to = unsafe { self.first.add(page * 4096 + offset) };
        // SAFETY: as above.
        unsafe { to.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
    }

    fn read<const N: usize>(&self, page: usize, offset: usize) -> [u8; N] {
        // SAFETY: inside the four pages of the test; the driver's again when it is used.
        let from = unsafe { self.first.add(page * 4096 + offset) };
        // SAFETY: as above.
        unsafe { from.cast().read() }
    }

    /// Address and length of one half of the data of a request: what is read, or what is written.
    fn half(&self, request: u16, half: usize) -> [u8; 12] {
        let address = self.device.get() + (3 * 4096 + usize::from(request) * 8 + half * 4) as u64;
        let mut raw = [0; 12];
        raw[..8].copy_from_slice(&address.to_le_bytes());
        raw[8] = 4;
        raw
    }

    fn publish(&mut self, value: u32) {
        let request = self.published % MOST;
        self.write(3, usize::from(request) * 8, &value.to_ne_bytes());
        let slot = usize::from(request * 2);
        self.write(0, 16 * slot, &self.half(request, 0));
        self.write(0, 16 * (slot + 1), &self.half(request, 1));
        if self.packed() {
            let bits = if (self.published / MOST) % 2 == 0 { AVAIL } else { USED };
            self.write(0, 16 * (slot + 1) + 12, &request.to_le_bytes());
            self.field(0, 16 * (slot + 1) + 14).store((bits | WRITE).to_le(), Ordering::Relaxed);
            self.field(0, 16 * slot + 14).store((bits | NEXT).to_le(), Ordering::Release);
            self.published += 1;
        } else {
            let [head, next] = [request * 2, request * 2 + 1].map(u16::to_le_bytes);
            self.write(0, 16 * slot + 12, &[1, 0, next[0], next[1]]);
            self.write(0, 16 * (slot + 1) + 12, &[2, 0, 0, 0]);
            self.write(1, 4 + 2 * usize::from(self.published % SIZE), &head);
            self.published += 1;
            self.field(1, 2).store(self.published.to_le(), Ordering::Release);
        }
    }

    /// Whether the device wants to hear of what was published since `before`.
    fn wants_kick(&self, before: u16) -> bool {
        fence(Ordering::SeqCst);
        let load = |page, offset| u16::from_le(self.field(page, offset).load(Ordering::Acquire));
        if !self.packed() {
            if !self.event_idx() {
                return load(2, 0) == 0;
            }
            let event = load(2, 4 + 8 * usize::from(SIZE));
            return self.published.wrapping_sub(event).wrapping_sub(1) < self.published.wrapping_sub(before);
        }
        match load(2, 2) {
            0 => true,
            1 => false,
            _ => {
                // Both as a number of slots since the first lap, modulo two laps.
                let raw = load(2, 0);
                let lap = if raw & 0x8000 != 0 { 0 } else { SIZE };
                let event = (raw & 0x7fff) + lap;
                let (from, count) = (before % SIZE * 2, (self.published - before) * 2);
                (event + 2 * SIZE - from % (2 * SIZE)) % (2 * SIZE) < count
            }
        }
    }

    fn event_idx(&self) -> bool {
        self.features.contains(Features::EVENT_IDX)
    }

    /// Asks for an interrupt when the next request is used, or for none. With `EVENT_IDX` there is one only when it was
    /// asked for.
    fn ask(&self, wanted: bool) {
        let store = |offset: usize, value: u16| self.field(1, offset).store(value.to_le(), Ordering::Release);
        match (self.packed(), self.event_idx()) {
            (false, false) => store(0, u16::from(!wanted)),
            (false, true) => store(4 + 2 * usize::from(SIZE), self.used),
            (true, false) => store(2, u16::from(!wanted)),
            (true, true) => {
                let wrap = u16::from((self.used / MOST) % 2 == 0);
                store(0, (self.used % MOST * 2) | (wrap << 15));
                store(2, 2);
            }
        }
        fence(Ordering::SeqCst);
    }

    /// The answer to the oldest request; sleeps until it is there.
    fn wait(&mut self, interrupt: &Bell) -> u32 {
        loop {
            if let Some(answer) = self.poll() {
                return answer;
            }
            self.ask(true);
            if let Some(answer) = self.poll() {
                return answer;
            }
            interrupt.wait();
            if !self.event_idx() {
                self.ask(false);
            }
        }
    }

    /// The answer to the oldest request, if it is there.
    fn poll(&mut self) -> Option<u32> {
        let request = self.used % MOST;
        if self.packed() {
            let bits = if (self.used / MOST) % 2 == 0 { AVAIL | USED } else { 0 };
            let flags = u16::from_le(self.field(0, 32 * usize::from(request) + 14).load(Ordering::Acquire));
            if flags != bits | WRITE {
                return None;
            }
            assert_eq!(self.read(0, 32 * usize::from(request) + 12), request.to_le_bytes());
        } else {
            if u16::from_le(self.field(2, 2).load(Ordering::Acquire)) == self.used {
                return None;
            }
            let element = 4 + 8 * usize::from(self.used % SIZE);
            assert_eq!(self.read(2, element), u32::from(request * 2).to_le_bytes());
        }
        self.used += 1;
        Some(u32::from_ne_bytes(self.read(3, usize::from(request) * 8 + 4)))
    }
}

#[test]
fn no_request_no_kick_and_no_interrupt_is_lost_between_threads() {
    for format in [PLAIN, PACKED] {
        for features in [format, format | Features::EVENT_IDX] {
            let pages = Pages::new(&TestHal::new());
            // SAFETY: `serve` keeps to the protocol, and ends before the pages go.
            let pin = |page, len| unsafe { pages.memory.pin(pages.at(page, 0), len) }.unwrap();
            let pins = vec![pin(3, 4096), pin(0, 3 * 4096)];
            let mut queue = DeviceQueue::new(pages.rings(SIZE, features), features, false).unwrap();
            let (first, device) = (pages.dma.ptr, pages.dma.device);
            let mut driver = Driver { first, device, features, published: 0, used: 0 };
            let (bells, stop) = ([Bell::default(), Bell::default()], AtomicBool::new(false));
            let [bell, interrupt] = &bells;
            std::thread::scope(|threads| {
                let stop = &stop;
                threads.spawn(move || serve(&pins, &mut queue, [bell, interrupt], stop));
                let (mut sent, mut seen) = (0_u32, 0_u32);
                for round in 0..ROUNDS {
                    let before = driver.published;
                    for _ in 0..=round % u32::from(MOST) {
                        driver.publish(sent * 256);
                        sent += 1;
                    }
                    if driver.wants_kick(before) {
                        bell.ring();
                    }
                    while seen < sent {
                        let expected = (seen * 256).to_ne_bytes().map(|byte| byte.wrapping_add(1));
                        assert_eq!(driver.wait(interrupt).to_ne_bytes(), expected);
                        seen += 1;
                    }
                }
                stop.store(true, Ordering::Relaxed);
                bell.ring();
            });
        }
    }
}

#[test]
fn pinned_memory_is_what_was_asked_for_and_no_more() {
    let hal = TestHal::new();
    let pages = Pages::new(&hal);
    let base = pages.at(1, 0);
    // SAFETY: nobody else uses the pages.
    let pin = unsafe { pages.memory.pin(base, 64) }.unwrap();
    assert_eq!(pin.address(), base);
    pin.write(base, &[1, 2, 3]).unwrap();
    pin.store16(pages.at(1, 62), 0x0102).unwrap();
    assert_eq!(pages.read(base, 3), [1, 2, 3]);
    assert_eq!((pin.load16(pages.at(1, 62)), pin.load16_relaxed(pages.at(1, 62))), (Ok(0x0102), Ok(0x0102)));
    pin.store16_relaxed(pages.at(1, 60), 7).unwrap();
    assert_eq!(pages.memory.load16(pages.at(1, 60)), Ok(7));
    assert_eq!(pin.read_vec(base, 2), Ok(vec![1, 2]));
    for (place, len) in
        [(pages.at(0, 4095), 1), (pages.at(1, 63), 2), (pages.at(1, 64), 1), (base, usize::MAX)]
    {
        assert!(pin.read_vec(place, len).is_err(), "{len} at {place:?}");
    }
    assert!(pin.load16(pages.at(1, 1)).unwrap_err().contains("not aligned"));

    // A slice of them finds the one that has all of it.
    // SAFETY: as above.
    let two = [pin, unsafe { pages.memory.pin(pages.at(2, 0), 16) }.unwrap()];
    assert_eq!(two.read_vec(base, 3), Ok(vec![1, 2, 3]));
    two.store16(pages.at(2, 2), 5).unwrap();
    assert_eq!(two.load16(pages.at(2, 2)), Ok(5));
    assert!(two.write(pages.at(1, 60), &[0; 8]).is_err());

    // What the device may not have at all is a violation, as everywhere.
    // SAFETY: it is refused.
    let refused = unsafe { pages.memory.pin(pages.at(3, 4000), 200) };
    assert!(refused.unwrap_err().contains("runs past its block"));
    assert_eq!(hal.take_faults().len(), 1);
}

#[test]
fn what_a_device_only_reads_is_pinned_so() {
    let hal = TestHal::new();
    let page = core::num::NonZeroUsize::MIN;
    let dma = hal.dma_alloc(page, Direction::ToDevice).unwrap();
    // SAFETY: nobody else uses the page.
    let pin = unsafe { hal.memory().pin(dma.device, 4096) }.unwrap();
    assert!(pin.read_vec(dma.device, 4096).is_ok());
    assert!(pin.write(dma.device, &[1]).is_err() && pin.store16(dma.device, 1).is_err());
    // SAFETY: allocated above, used by nobody any more.
    unsafe { hal.dma_dealloc(dma, page) };
    // It holds the page, though it should not be looked at.
    assert_eq!(pin.read_vec(dma.device, 1).unwrap().len(), 1);
}
