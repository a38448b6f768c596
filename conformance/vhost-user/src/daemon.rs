//! A qemu-storage-daemon with disks.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::scratch::Scratch;

/// The program.
const PROGRAM: &str = "qemu-storage-daemon";
/// How long it may take to open its sockets, on a loaded machine.
const START: Duration = Duration::from_secs(30);

/// A disk to be exported.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Its name, and its socket's.
    pub id: &'static str,
    /// What `--blockdev` is told, but for its `node-name`.
    pub blockdev: String,
    /// How many queues it has.
    pub queues: u16,
    /// Whether it may be written to.
    pub writable: bool,
}

impl Disk {
    /// A writable disk of one queue.
    #[must_use]
    pub fn new(id: &'static str, blockdev: impl Into<String>) -> Self {
        Self { id, blockdev: blockdev.into(), queues: 1, writable: true }
    }

    /// With so many queues.
    #[must_use]
    pub const fn queues(mut self, queues: u16) -> Self {
        self.queues = queues;
        self
    }

    /// Not to be written to.
    #[must_use]
    pub const fn read_only(mut self) -> Self {
        self.writable = false;
        self
    }
}

/// A running daemon. It is killed when the value is dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    scratch: Scratch,
}

impl Daemon {
    /// Starts one with the disks that `disks` answers; it is given a folder for their files, which goes with the daemon.
    /// Comes back when all their sockets are there.
    ///
    /// # Errors
    /// With what to type, if the program is missing; with what it says, if it ends at once; what the system says.
    pub fn start(disks: impl FnOnce(&Path) -> Vec<Disk>) -> io::Result<Self> {
        let scratch = Scratch::new()?;
        let disks = disks(scratch.path());
        let mut command = Command::new(PROGRAM);
        for Disk { id, blockdev, queues, writable } in &disks {
            command.arg("--blockdev").arg(format!("{blockdev},node-name={id}"));
            let on = if *writable { "on" } else { "off" };
            let socket = socket(scratch.path(), id);
            command.arg("--export").arg(format!(
                "type=vhost-user-blk,id=export-{id},node-name={id},addr.type=unix,addr.path={},writable={on},num-queues={queues}",
                socket.display()
            ));
        }
        let log = scratch.path().join("log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let child = command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => io::Error::new(ErrorKind::NotFound, missing()),
            _ => error,
        })?;
        let mut daemon = Self { child, scratch };
        let end = Instant::now() + START;
        while !disks.iter().all(|disk| daemon.socket(disk.id).exists()) {
            let over = daemon.child.try_wait()?;
            if over.is_some() || Instant::now() > end {
                return Err(io::Error::other(format!("{PROGRAM} opens no sockets: {}", daemon.log())));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(daemon)
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The socket of a disk.
    #[must_use]
    pub fn socket(&self, id: &str) -> PathBuf {
        socket(self.scratch.path(), id)
    }

    /// A file in its folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// Ends it at once, whatever it is doing.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

fn socket(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.sock"))
}

/// What to type.
fn missing() -> String {
    format!(
        "{PROGRAM} is missing; type: sudo apt-get install --no-install-recommends qemu-system-common (Debian, Ubuntu) \
         or sudo dnf install qemu-img (Fedora)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_ends_at_once_is_told_with_what_it_says() {
        let error = Daemon::start(|_| vec![Disk::new("disk", "driver=nonsense")]).unwrap_err().to_string();
        assert!(error.contains("nonsense"), "{error}");
    }

    #[test]
    fn what_is_missing_comes_with_the_command() {
        assert!(missing().contains("apt-get install --no-install-recommends qemu-system-common"));
    }
}
