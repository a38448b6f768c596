//! Drives one contestant: keeps so many reads in flight, in the same loop for everybody.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::disk::BLOCK;
use crate::row::{Row, Wait};

/// A contestant: a queue of a disk.
pub trait Driver {
    /// Adds `count` reads of a block each, shows them to the device, and notifies it if it wants that.
    fn submit(&mut self, count: usize);

    /// Takes every read that is done; how many those were.
    ///
    /// # Panics
    /// If one was not successful.
    fn complete(&mut self) -> usize;

    /// Asks for an interrupt. Whether something may be there to take already.
    fn arm(&mut self) -> bool;

    /// Asks for none any more.
    fn disarm(&mut self);

    /// The eventfd that the device interrupts by.
    fn interrupt(&self) -> BorrowedFd<'_>;

    /// The buffers that are not on their way.
    fn buffers(&mut self) -> &mut [&'static mut [u8]];
}

/// The two functions whose instructions count: everything a driver does, and nothing else, happens below them. They are
/// found by their names in the profile.
mod counted {
    use super::Driver;

    #[inline(never)]
    pub(super) fn driver_submit<D: Driver>(driver: &mut D, count: usize) {
        driver.submit(count);
    }

    #[inline(never)]
    pub(super) fn driver_complete<D: Driver>(driver: &mut D) -> usize {
        driver.complete()
    }
}

/// How often a ring is looked at in vain before others may have the processor: some microseconds.
const LOOKS: u32 = 1000;

/// For what takes microseconds.
const LONG: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// A contestant, ready to run.
pub trait Bench {
    /// Reads `count` blocks; how long that took.
    fn run(&mut self, row: Row, count: u64) -> Duration;

    /// Reads `count` blocks, `depth` at a time, which are all taken at once when all are done. For counting: nothing of what is
    /// counted depends on how fast the device is.
    ///
    /// # Errors
    /// If it looked too soon too often.
    fn run_in_step(&mut self, depth: usize, count: u64) -> Result<(), String>;
}

impl<D: Driver> Bench for D {
    fn run(&mut self, row: Row, count: u64) -> Duration {
        mark(self);
        let begin = Instant::now();
        let (mut sent, mut done, mut idle) = (row.depth as u64, 0, 0_u32);
        counted::driver_submit(self, row.depth);
        while done < count {
            let taken = counted::driver_complete(self);
            if taken == 0 {
                idle += 1;
                match row.wait {
                    Wait::Eventfd => sleep(self),
                    // On a busy machine the device may be waiting for this very processor.
                    Wait::Polling if idle.is_multiple_of(LOOKS) => std::thread::yield_now(),
                    Wait::Polling => std::hint::spin_loop(),
                }
                continue;
            }
            done += taken as u64;
            let more = (taken as u64).min(count - sent);
            if more > 0 {
                counted::driver_submit(self, more as usize);
                sent += more;
            }
        }
        let time = begin.elapsed();
        verify(self, row.depth);
        time
    }

    fn run_in_step(&mut self, depth: usize, count: u64) -> Result<(), String> {
        let mut early = 0;
        let steps = count / depth as u64;
        for _ in 0..steps {
            mark(self);
            // The last ones are used next, and were chosen while they were here.
            let free = self.buffers();
            let used = free.len() - depth;
            let ends: Vec<_> = free[used..].iter().map(|buffer| &raw const buffer[BLOCK - 1]).collect();
            counted::driver_submit(self, depth);
            for end in ends {
                // SAFETY: the buffers stay for good; the device writes this byte once, to 0.
                while unsafe { end.read_volatile() } != 0 {
                    std::thread::yield_now();
                }
            }
            let mut taken = 0;
            loop {
                // From the zeros to the end of the request, and to the device's wish for the next notification.
                std::thread::sleep(Duration::from_micros(200));
                taken += counted::driver_complete(self);
                if taken == depth {
                    break;
                }
                early += 1;
            }
            verify(self, depth);
        }
        if early * 100 > steps {
            return Err(format!("{early} of {steps} looks were too early: the count means nothing"));
        }
        Ok(())
    }
}

/// What a buffer holds that was not read.
const MARK: u8 = 0xff;

/// Makes sure that what is read can be told.
fn mark<D: Driver>(driver: &mut D) {
    for buffer in driver.buffers() {
        buffer[BLOCK - 1] = MARK;
    }
}

/// Makes sure that it was read.
fn verify<D: Driver>(driver: &mut D, depth: usize) {
    let free = driver.buffers();
    assert_eq!(free.len(), Row::DEEPEST, "buffers that have come back");
    let read = free.iter().filter(|buffer| buffer[BLOCK - 1] == 0).count();
    assert!(read >= depth, "{read} buffers were read, of {depth}");
}

/// Waits for an interrupt, unless there is something to take.
fn sleep<D: Driver>(driver: &mut D) {
    if !driver.arm() {
        let interrupt = driver.interrupt();
        let woken = poll(&mut [PollFd::new(&interrupt, PollFlags::IN)], Some(&LONG));
        assert_eq!(woken, Ok(1), "an interrupt is lost");
        let read = rustix::io::read(interrupt, &mut [0; 8]);
        assert_eq!(read, Ok(8), "the number of interrupts");
    }
    driver.disarm();
}
