//! One run of a kernel.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Fault;
use crate::places::Counts;

/// What runs the kernels.
pub const PROGRAM: &str = "qemu-system-aarch64";

/// Far more than a run takes: a lost notification stops one for ever.
const LIMIT: Duration = Duration::from_secs(120);

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Meter {
    /// Instructions of the guest.
    Instructions,
    /// Time of the host.
    Time,
}

impl Meter {
    /// The kernel's word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Time => "time",
        }
    }
}

/// How the device is reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Bus {
    /// Version 2.
    Mmio,
    /// Modern.
    Pci,
}

impl Bus {
    /// The kernel's word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mmio => "mmio",
            Self::Pci => "pci",
        }
    }

    /// The end of the device's name.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Mmio => "device",
            Self::Pci => "pci",
        }
    }
}

/// A machine with one device.
pub struct Machine<'a> {
    /// What it boots.
    pub kernel: &'a Path,
    /// What is measured.
    pub meter: Meter,
    /// The words it gets.
    pub words: Vec<String>,
    /// The device and what is behind it.
    pub devices: Vec<OsString>,
}

/// Kills it, should it still run.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only where it has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine<'_> {
    /// Runs the kernel to its end, one instruction at a time, and counts those that are measured.
    ///
    /// # Errors
    /// As for [`Machine::run`].
    pub fn trace(&self, loader: &addr2line::Loader) -> Result<Counts, Fault> {
        let mut command = self.command();
        // QEMU's log is its error output.
        command.args(["-singlestep", "-d", "exec,nochain", "-D", "/dev/stderr"]).stdout(Stdio::null());
        let mut qemu = Running(command.spawn().map_err(|error| format!("{PROGRAM}: {error}"))?);
        let mut counts = Counts::default();
        let said = counts.read(qemu.0.stderr.take().ok_or("no log")?, loader)?;
        let status = qemu.0.wait()?;
        if !status.success() {
            return Err(format!("{}: {status}\n{said}", self.words.join(" ")).into());
        }
        Ok(counts)
    }

    fn command(&self) -> Command {
        let mut qemu = Command::new(PROGRAM);
        qemu.args(["-nodefaults", "-no-reboot", "-M", "virt", "-cpu", "cortex-a57", "-accel", "tcg"]);
        qemu.args(["-m", "256M", "-display", "none", "-global", "virtio-mmio.force-legacy=false"]);
        if self.meter == Meter::Instructions {
            qemu.args(["-icount", "shift=0"]);
        }
        qemu.arg("-kernel").arg(self.kernel).args(&self.devices);
        // The first word is the program's name, which the kernel looks for.
        let words: String = ["bench"]
            .into_iter()
            .chain(self.words.iter().map(String::as_str))
            .map(|word| format!(",arg={word}"))
            .collect();
        qemu.args(["-chardev", "stdio,id=host,signal=off", "-semihosting-config"]);
        qemu.arg(format!("enable=on,target=native,chardev=host{words}"));
        qemu.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        qemu
    }

    /// Runs the kernel to its end: the lines it has said.
    ///
    /// # Errors
    /// It failed, or took too long.
    pub fn run(&self) -> Result<Vec<String>, Fault> {
        let mut qemu = Running(self.command().spawn().map_err(|error| format!("{PROGRAM}: {error}"))?);
        let mut pipe = qemu.0.stdout.take().ok_or("no output")?;
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).map(|_| text)
        });
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = qemu.0.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                drop(qemu);
                let said = reader.join().map_err(|_| "the reader failed")??;
                return Err(
                    format!("{}: no end after {LIMIT:?}; it said:\n{said}", self.words.join(" ")).into()
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let said = reader.join().map_err(|_| "the reader failed")??;
        if !status.success() {
            let mut errors = String::new();
            if let Some(mut pipe) = qemu.0.stderr.take() {
                pipe.read_to_string(&mut errors)?;
            }
            return Err(format!("{}: {status}\n{said}{errors}", self.words.join(" ")).into());
        }
        let lines: Vec<_> = said.lines().map(str::to_owned).collect();
        if lines.last().is_none_or(|line| line != "done") {
            return Err(format!("{}: it did not come to its end:\n{said}", self.words.join(" ")).into());
        }
        Ok(lines)
    }
}
