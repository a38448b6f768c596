//! What the tests have in common.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vhost_user_frontend::{Bouncing, Daemon, Disk, Kind, Memory, VhostUser};
use virtio_core::device::{Device, Init, Wanted};
use virtio_core::dma::Lend;
use virtio_core::queue::QueueSpec;
use virtio_core::{DeviceId, Error, Hal, Transport};

/// For what takes microseconds, on a loaded host.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// Bytes.
pub(crate) const SECTOR: usize = 512;
/// What a file of a disk holds, in sectors.
pub(crate) const SECTORS: usize = 2048;
/// Shared memory of one test.
const MEMORY: usize = 8 << 20;

pub(crate) type Up<H> = Device<VhostUser, H>;

/// A daemon, and the memory that is shared with it.
pub(crate) struct Case {
    pub(crate) daemon: Daemon,
    pub(crate) memory: &'static Memory,
}

impl Case {
    /// A disk in a file, whose sectors all differ.
    pub(crate) fn file(change: impl FnOnce(Disk) -> Disk) -> Self {
        Self::with(|folder| {
            fs::write(folder.join("image"), contents(0)).unwrap();
            change(Disk::new("disk", format!("driver=file,filename={}", folder.join("image").display())))
        })
    }

    /// A disk that takes `latency` for each request, and reads as zeros, which it writes at once.
    pub(crate) fn slow(latency: Duration) -> Self {
        let nanoseconds = latency.as_nanos();
        let driver = format!("driver=null-co,size=1048576,read-zeroes=on,latency-ns={nanoseconds}");
        Self::with(|_| Disk::new("disk", driver))
    }

    fn with(disk: impl FnOnce(&Path) -> Disk) -> Self {
        let daemon = Daemon::start(|folder| vec![disk(folder)]).unwrap_or_else(|error| panic!("{error}"));
        Self { daemon, memory: Memory::new(MEMORY).unwrap() }
    }

    pub(crate) fn image(&self) -> PathBuf {
        self.daemon.file("image")
    }

    pub(crate) fn hal(&self) -> Bouncing {
        Bouncing::new(self.memory)
    }

    pub(crate) fn connect(&self) -> VhostUser {
        VhostUser::connect(&self.daemon.socket("disk"), Kind::BLOCK, self.memory).unwrap()
    }

    /// Its queue 0, for payloads of type `P`.
    pub(crate) fn up<P: Lend>(&self) -> Up<Bouncing> {
        bring_up(self.connect(), self.hal(), &[spec::<P>(0)]).expect("a device that comes up")
    }

    /// Nothing is out, and nothing was written that was not lent.
    pub(crate) fn is_clean(&self) {
        assert_eq!((self.memory.out(), self.memory.faults()), (0, vec![]), "pages that are out, and faults");
    }
}

/// A queue for requests of a disk: a header of 16 bytes, a status of 1 (VIRTIO 1.4 §5.2.6).
pub(crate) fn spec<P: Lend>(queue: u16) -> QueueSpec {
    QueueSpec::new::<P>(queue, 64).at_least(3).indirect(4).header(16).response(1)
}

pub(crate) fn bring_up<T: Transport, H: Hal + Clone>(
    transport: T,
    hal: H,
    specs: &[QueueSpec],
) -> Result<Device<T, H>, Error> {
    Init::start(transport, hal, DeviceId::BLOCK)?.negotiate(&Wanted::default())?.queues(specs)?.live()
}

/// Takes a device down; it has to read as reset then.
pub(crate) fn down<T: Transport, H: Hal + Clone>(live: Device<T, H>) -> T {
    let transport = live.dismantle().expect("a reset that is confirmed");
    assert!(transport.status().is_empty(), "status after the reset: {:?}", transport.status());
    transport
}

/// What a disk holds: each sector differs, from that of another `salt` too.
pub(crate) fn contents(salt: usize) -> Vec<u8> {
    (0..SECTORS * SECTOR).map(|at| (at / SECTOR * 7 + at * 3 + salt * 31 + (at >> 8)) as u8).collect()
}

/// Tries again until it is so.
pub(crate) fn eventually(mut is: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + SOON;
    while !is() {
        if Instant::now() >= end {
            return false;
        }
        std::thread::yield_now();
    }
    true
}
