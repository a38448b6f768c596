//! One running kernel: QEMU's process, the serial line and QMP, and the steps of a conversation with it.

use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use crate::backends::Backends;
use crate::cli::RunOptions;
use crate::devices::Kind;
use crate::failure::{Context, Result, fail};
use crate::kernel::Kernel;
use crate::picture::Picture;
use crate::process::Process;
use crate::qemu::{self, Display, GPU, Sockets};
use crate::qmp::{Negotiated, Qmp};
use crate::serial::{Serial, Waited};
use crate::workspace::{self, Scratch};
use crate::{keys, stream};

/// A booted kernel. Its QEMU ends with the value.
#[derive(Debug)]
pub struct Guest {
    // First, so that QEMU is gone before its sockets' folder.
    process: Process,
    qmp: Control,
    /// What the kernel says, and where it listens.
    pub serial: Serial,
    /// What is behind its devices.
    pub backends: Backends,
    folder: Scratch,
    name: String,
    success_status: i32,
    keyboard: bool,
    started: Instant,
    deadline: Instant,
    timeout: Duration,
}

/// QMP, from the connection to the first command.
#[derive(Debug)]
enum Control {
    Connected(UnixStream),
    Open(Qmp),
}

impl Control {
    fn open(&mut self) -> Result<&mut Qmp> {
        if let Self::Connected(connection) = self {
            *self = Self::Open(Qmp::start(connection.try_clone().context("QMP")?)?);
        }
        match self {
            Self::Open(qmp) => Ok(qmp),
            Self::Connected(_) => fail!("QMP is not open"),
        }
    }
}

impl Guest {
    /// Starts QEMU with `kernel`. The time of `options.timeout` begins now.
    pub fn boot(options: &RunOptions, kernel: &Kernel, display: &Display) -> Result<Self> {
        let decode = kernel.decoder()?;
        let folder = workspace::scratch("run")?;
        let [serial_path, qmp_path] = ["serial", "qmp"].map(|name| folder.path().join(name));
        let serial = UnixListener::bind(&serial_path).context("serial socket")?;
        let qmp = UnixListener::bind(&qmp_path).context("QMP socket")?;
        let sockets = Sockets { serial: &serial_path, qmp: &qmp_path };

        let backends = Backends::prepare(options, folder.path())?;
        let arguments = qemu::arguments(options, &kernel.image, sockets, &backends, display);
        let mut process = Process::start(options.pair.arch.qemu(), &arguments, folder.path())?;
        let started = Instant::now();
        let deadline = started + options.timeout;

        let serial = Serial::start(process.accept(&serial, deadline)?, decode)?;
        // Greeted only when needed: a kernel that fails at once has its say before QMP is missed.
        let qmp = Control::Connected(process.accept(&qmp, deadline)?);
        Ok(Self {
            process,
            qmp,
            serial,
            backends,
            folder,
            name: options.name(),
            success_status: options.pair.arch.success_status(),
            keyboard: options.devices.has(Kind::Keyboard),
            started,
            deadline,
            timeout: options.timeout,
        })
    }

    /// Waits for the complete boot screen.
    pub fn wait_ready(&mut self) -> Result {
        self.wait("READY", |received| stream::is_ready(received).then_some(()))
    }

    /// Waits until the kernel says why it cannot go on, and powers off with a failure; returns what it said.
    pub fn wait_failure(&mut self) -> Result<String> {
        let said = match self.serial.wait(Some(self.deadline), stream::kernel_failure) {
            Waited::Found(said) => said,
            Waited::TimedOut => fail!("{}", self.time_is_up("FAILED")),
            Waited::Closed => {
                let status = self.process.end();
                fail!("{}", self.ended(status?, "FAILED"))
            }
        };
        let status = self.process.end()?;
        if status.success() || status.code() == Some(self.success_status) {
            fail!("{}", self.ended(status, "a power-off with a failure"));
        }
        Ok(said)
    }

    /// Types `text` and Enter, then waits for the prompt behind the answer.
    pub fn command(&mut self, text: &str) -> Result {
        let before = self.serial.received().len();
        self.type_line(text)?;
        self.wait(&format!("the answer to {text:?}"), |received| {
            stream::is_answered(received, before).then_some(())
        })
    }

    /// Has the kernel power itself off, and checks that it did so content.
    pub fn power_off(mut self) -> Result {
        self.type_line("off")?;
        let Some(status) = self.process.wait(Some(self.deadline))? else {
            fail!("{}", self.time_is_up("the kernel to power off"));
        };
        if status.code() != Some(self.success_status) {
            fail!("{}", self.ended(status, "a clean power-off"));
        }
        Ok(())
    }

    /// What the screen shows.
    pub fn screenshot(&mut self) -> Result<Picture> {
        let file = self.folder.path().join("screen.ppm");
        self.qmp.open()?.screendump(GPU, &file)?;
        Picture::from_ppm(&std::fs::read(&file).context("the screendump")?)
    }

    /// What QEMU's virtio devices offer and what was accepted, by device.
    pub fn features(&mut self) -> Result<Option<Vec<Negotiated>>> {
        self.qmp.open()?.virtio_features()
    }

    /// Waits, without a limit, until QEMU ends: by `off`, or by its window being closed.
    pub fn wait_end(mut self) -> Result {
        let Some(status) = self.process.wait(None)? else { return Ok(()) };
        if status.code() != Some(self.success_status) && !status.success() {
            fail!("{}", self.ended(status, "a clean power-off"));
        }
        Ok(())
    }

    /// Waits as long as it may run, `None` for ever, and powers it off then, unless it ends before.
    pub fn stay(mut self, limit: Option<Duration>) -> Result {
        /// For the power-off, which comes after the time to stay.
        const OFF: Duration = Duration::from_secs(20);
        let until = limit.map(|limit| self.started + limit);
        match self.process.wait(until)? {
            Some(status) => fail!("{}", self.ended(status, "the time to be up")),
            None => {
                self.deadline = Instant::now() + OFF;
                self.power_off()
            }
        }
    }

    /// How much of the time is left.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Types on the keyboard, or on the serial line where there is none.
    fn type_line(&mut self, text: &str) -> Result {
        if !self.keyboard {
            return self.serial.send(format!("{text}\n").as_bytes());
        }
        for letter in text.chars() {
            let key = keys::key(letter).context(format!("no key for {letter:?}"))?;
            let before = self.serial.received().len();
            self.qmp.open()?.press(key)?;
            // The guest has a handful of event buffers: the next key waits until this one has been seen.
            self.wait(&format!("the echo of the key {letter:?}"), |received| {
                (received.len() > before).then_some(())
            })?;
        }
        self.qmp.open()?.press(keys::ENTER)
    }

    /// Waits until `look` finds something in what the kernel said; a failure it reports ends the wait.
    fn wait(&mut self, what: &str, look: impl Fn(&[u8]) -> Option<()>) -> Result {
        let found =
            self.serial.wait(Some(self.deadline), |received| match stream::kernel_failure(received) {
                Some(failure) => Some(Err(failure)),
                None => look(received).map(Ok),
            });
        match found {
            Waited::Found(Ok(())) => Ok(()),
            Waited::Found(Err(failure)) => {
                fail!("{}: the kernel says {failure:?} (waited for {what}); {}", self.name, self.said())
            }
            Waited::TimedOut => fail!("{}", self.time_is_up(what)),
            Waited::Closed => {
                let status = self.process.end();
                fail!("{}", self.ended(status?, what))
            }
        }
    }

    fn time_is_up(&self, what: &str) -> String {
        time_is_up(&self.name, self.timeout, what, &self.serial.received())
    }

    fn ended(&self, status: ExitStatus, what: &str) -> String {
        let complaint = self.process.complaint();
        format!("{}: QEMU ended ({status}) while waiting for {what}; {}{complaint}", self.name, self.said())
    }

    fn said(&self) -> String {
        format!("last serial lines: {}", stream::tail(&self.serial.received()))
    }
}

/// The line for a wait that took too long.
pub fn time_is_up(name: &str, timeout: Duration, what: &str, received: &[u8]) -> String {
    let (seconds, said) = (timeout.as_secs(), stream::tail(received));
    format!("{name}: timed out after {seconds} s waiting for {what}; last serial lines: {said}")
}
