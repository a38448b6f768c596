//! The disk that is read: nothing is behind it, so what is measured is the way there.

use std::error::Error;
use std::io;

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};
use vhost_user_frontend::{Daemon, Disk};

use crate::contestant::Contestant;

/// Bytes of a request.
pub const BLOCK: usize = 4096;
/// Bytes of a sector, which places are counted in.
pub const SECTOR: usize = 512;
/// Bytes of the disk.
const SIZE: u64 = 1 << 40;
/// Entries of every queue: room for the deepest row without tables.
pub const QUEUE_SIZE: u16 = 256;
/// Sectors to read from, before they come round again.
const PLACES: usize = 1 << 12;

/// A daemon with a disk for each contestant: `null-co`, which answers at once, and with zeros.
///
/// # Errors
/// With what to type, if there is no such program.
pub fn daemon() -> io::Result<Daemon> {
    let driver = format!("driver=null-co,size={SIZE},read-zeroes=on");
    Daemon::start(|_| {
        Contestant::ALL.map(|contestant| Disk::new(contestant.name(), &driver).read_only()).to_vec()
    })
}

/// Gives this thread one processor and the daemon another, so that who runs where is not a matter of luck.
///
/// # Errors
/// If there are not two.
pub fn keep_apart(daemon: &Daemon) -> Result<(), Box<dyn Error>> {
    let allowed = sched_getaffinity(None)?;
    let mut processors =
        (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor)).map(|processor| {
            let mut set = CpuSet::new();
            set.set(processor);
            set
        });
    let (Some(own), Some(other)) = (processors.next(), processors.next()) else {
        return Err("driver and device run at the same time only on two processors, and here is one".into());
    };
    sched_setaffinity(Pid::from_raw(daemon.process().try_into()?), &other)?;
    Ok(sched_setaffinity(None, &own)?)
}

/// Where to read next: at random, and the same for everybody.
pub struct Places {
    sectors: Box<[u64; PLACES]>,
    next: usize,
}

impl Places {
    /// From the first one on.
    pub fn new() -> Self {
        // Marsaglia's xorshift.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let sectors = std::array::from_fn(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % (SIZE / BLOCK as u64) * (BLOCK / SECTOR) as u64
        });
        Self { sectors: Box::new(sectors), next: 0 }
    }

    /// The sector at which the next block starts.
    #[inline(always)]
    pub fn next(&mut self) -> u64 {
        let sector = self.sectors[self.next % PLACES];
        self.next += 1;
        sector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_blocks_of_the_disk_and_differ() {
        let mut places = Places::new();
        let mut seen: Vec<_> = (0..PLACES).map(|_| places.next()).collect();
        assert_eq!(places.next(), seen[0], "they come round again");
        assert!(seen.iter().all(|sector| sector % 8 == 0 && sector * 512 + 4096 <= SIZE));
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > PLACES * 9 / 10, "{}", seen.len());
    }
}
