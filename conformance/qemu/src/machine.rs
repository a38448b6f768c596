//! One QEMU with its devices: started, asked, and ended.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
#[cfg(target_os = "linux")]
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use virtio::pci::{BarAllocator, number_buses};

use crate::backend::{self, SerialPort};
use crate::board::{Board, Controller};
use crate::cables::Cables;
use crate::device::{Device, Place};
use crate::hal::BenchHal;
use crate::picture::Picture;
use crate::plug::Plug;
use crate::qmp::Qmp;
use crate::qtest::Qtest;
use crate::ram::Ram;
use crate::scratch::Scratch;
use crate::socket::{Lines, listen};
use crate::way::Config;
use crate::wire::Wire;

/// How long QEMU may take to start.
const START: Duration = Duration::from_secs(30);
/// How long it may take to notice who comes and goes on a console's line.
const LINE: Duration = Duration::from_secs(10);
/// RAM of a machine. Only what is used becomes memory.
const RAM: usize = 64 << 20;

/// What a machine is to have.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which kind it is.
    pub board: Board,
    /// Whether MMIO devices have version 1 of the registers.
    pub mmio_legacy: bool,
    /// Its devices.
    pub devices: Vec<Device>,
}

/// A running QEMU. It ends when this is dropped, and when the process ends in whatever way.
#[derive(Debug)]
pub struct Machine {
    // First: QEMU ends before what it uses goes.
    qemu: Qemu,
    qtest: Arc<Qtest>,
    qmp: Mutex<Qmp>,
    hal: BenchHal,
    options: Options,
    config: Option<Config>,
    cables: Cables,
    scratch: Scratch,
}

#[derive(Debug)]
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nobody to be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine {
    /// Starts QEMU, gives PCI functions their addresses and has interrupt lines reported.
    ///
    /// # Errors
    /// QEMU is not there (the message says how to get it), or does not start.
    pub fn start(options: Options) -> io::Result<Self> {
        let scratch = Scratch::new()?;
        let Board { ram, reserved, idle, .. } = options.board;
        // The file has a name only until QEMU has opened it.
        let name = scratch.path().file_name().unwrap_or_default().to_owned();
        let file = Named(Ram::folder(scratch.path()).join(name).with_extension("ram"));
        let mut ram = Ram::create(&file.0, ram, RAM, reserved)?;
        ram.write_start(idle);
        let sockets = [listen(&scratch.file("qtest"))?, listen(&scratch.file("qmp"))?];
        let cables = Cables::new(&options.devices, &scratch)?;
        let log = File::create(scratch.file("log"))?;
        let mut command = Command::new(options.board.program);
        command.args(arguments(&options, &scratch, &file.0, &cables)?);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        die_with_us(&mut command);
        cables.hand_over(&mut command);
        let mut qemu = Qemu(command.spawn().map_err(|error| missing(&options.board, &error))?);
        let accept = |socket| Lines::accept(socket, &mut qemu.0, START);
        let connected = sockets.each_ref().map(accept).into_iter().collect::<io::Result<Vec<_>>>();
        let started = connected.and_then(|lines| match <[Lines; 2]>::try_from(lines) {
            Ok([qtest, qmp]) => Ok((Arc::new(Qtest::new(qtest)), Qmp::start(qmp)?)),
            Err(_) => Err(io::ErrorKind::NotConnected.into()),
        });
        // Why it has ended, it says in its log.
        let (qtest, qmp) = started.map_err(|error| {
            let log = fs::read_to_string(scratch.file("log")).unwrap_or_default();
            io::Error::new(error.kind(), format!("{error}: {}", log.trim_end()))
        })?;
        drop(file);
        let hal = BenchHal::new(ram, Arc::clone(&qtest));
        let qmp = Mutex::new(qmp);
        let mut machine = Self { qemu, qtest, qmp, hal, options, config: None, cables, scratch };
        machine.qtest.intercept_inputs(&machine.controller()?)?;
        if machine.options.devices.iter().any(|device| matches!(device.place, Place::Function(..))) {
            machine.config = Some(machine.assign()?);
        }
        Ok(machine)
    }

    /// Numbers the buses and assigns BARs, as firmware would.
    fn assign(&self) -> io::Result<Config> {
        let config = Config::new(&self.qtest, &self.options.board.pci);
        number_buses(&config, 0, 255).map_err(io::Error::other)?;
        let mut allocator = BarAllocator::new(self.options.board.pci.windows);
        allocator.assign_all(&config, 0).map_err(io::Error::other)?;
        Ok(config)
    }

    /// The interrupt controller's path among QEMU's objects.
    fn controller(&self) -> io::Result<String> {
        let wanted = match self.options.board.controller {
            Controller::Path(path) => return Ok(path.to_owned()),
            Controller::Type(wanted) => wanted,
        };
        let folder = "/machine/unattached";
        let objects = self.qmp().run("qom-list", &json!({ "path": folder }))?;
        let found = objects.as_array().into_iter().flatten().find(|object| object["type"] == wanted);
        let name = found.and_then(|object| object["name"].as_str());
        name.map(|name| format!("{folder}/{name}")).ok_or_else(|| io::Error::other(format!("no {wanted}")))
    }

    /// The register accesses and interrupt lines.
    #[must_use]
    pub fn qtest(&self) -> &Arc<Qtest> {
        &self.qtest
    }

    /// The kernel's side, for drivers.
    #[must_use]
    pub fn hal(&self) -> BenchHal {
        self.hal.clone()
    }

    /// What was asked for.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Configuration space.
    ///
    /// # Panics
    /// On a machine without PCI devices.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.config.as_ref().expect("a machine with PCI devices")
    }

    fn qmp(&self) -> MutexGuard<'_, Qmp> {
        self.qmp.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a QMP command.
    ///
    /// # Errors
    /// What QEMU says against it.
    pub fn run(&self, command: &str, arguments: &Value) -> io::Result<Value> {
        self.qmp().run(command, arguments)
    }

    /// The first two numbers of QEMU's version.
    ///
    /// # Errors
    /// As for [`Machine::run`].
    pub fn version(&self) -> io::Result<(u64, u64)> {
        let answer = self.run("query-version", &json!({}))?;
        let number = |name| answer["qemu"][name].as_u64().unwrap_or(0);
        Ok((number("major"), number("minor")))
    }

    /// The device of this id.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn device(&self, id: &str) -> &Device {
        self.options.devices.iter().find(|device| device.id == id).expect("a device of this id")
    }

    /// What a GPU shows on its first display.
    ///
    /// # Errors
    /// QEMU has no picture, or writes none.
    pub fn screenshot(&self, gpu: &str) -> io::Result<Picture> {
        let file = self.scratch.file("screen.ppm");
        self.run("screendump", &json!({ "filename": file, "device": gpu, "head": 0 }))?;
        let bytes = fs::read(file)?;
        Picture::parse(&bytes).ok_or_else(|| {
            let start = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]).into_owned();
            io::Error::other(format!("the screenshot is no PPM: {} bytes, {start:?}", bytes.len()))
        })
    }

    /// The file that a disk is.
    #[must_use]
    pub fn disk(&self, id: &str) -> PathBuf {
        self.scratch.file(&format!("{id}.img"))
    }

    /// The test's end of a network card's cable.
    ///
    /// # Panics
    /// If there is no such card.
    #[must_use]
    pub fn wire(&self, id: &str) -> &Wire {
        self.cables.wires.get(id).expect("a network card of this id")
    }

    /// The test's side of a network card's tap.
    ///
    /// # Panics
    /// If there is no such card.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn tap(&self, id: &str) -> &crate::tap::Tap {
        self.cables.taps.get(id).expect("a network card of this id, on a tap")
    }

    /// Opens the host's end of a console port, and waits until QEMU knows. It is closed when the answer is dropped.
    ///
    /// # Errors
    /// Somebody has it open already; as for [`Machine::run`].
    pub fn plug(&self, console: &str, port: &SerialPort) -> io::Result<Plug> {
        let line = port.line(console);
        // QEMU may not have noticed yet that the one before has hung up.
        self.wait_for_line(&line, false)?;
        let plug = Plug::connect(&self.scratch.file(&line))?;
        self.wait_for_line(&line, true)?;
        Ok(plug)
    }

    /// Waits until somebody is at the other end of a console's line, or nobody.
    fn wait_for_line(&self, label: &str, connected: bool) -> io::Result<()> {
        let end = Instant::now() + LINE;
        loop {
            let line = self.line(label)?;
            let is = line["filename"].as_str().is_some_and(|name| !name.starts_with("disconnected:"));
            if is == connected {
                return Ok(());
            }
            if Instant::now() >= end {
                let what = if connected { "QEMU does not take" } else { "somebody has" };
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{what} {label}")));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// What QEMU says of a console's line.
    fn line(&self, label: &str) -> io::Result<Value> {
        let mut lines = self.run("query-chardev", &json!({}))?;
        let found = lines.as_array_mut().into_iter().flatten().find(|line| line["label"] == label);
        found.map(Value::take).ok_or_else(|| io::Error::other(format!("{label} is not there")))
    }

    /// Whether a driver has a console port open, as QEMU sees it.
    ///
    /// # Errors
    /// As for [`Machine::run`].
    pub fn is_opened(&self, console: &str, port: &SerialPort) -> io::Result<bool> {
        let line = self.line(&port.line(console))?;
        line["frontend-open"].as_bool().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// What QEMU knows of a network card's filters.
    ///
    /// # Errors
    /// As for [`Machine::run`].
    pub fn filters(&self, card: &str) -> io::Result<Value> {
        let mut answer = self.run("query-rx-filter", &json!({ "name": card }))?;
        Ok(answer[0].take())
    }

    /// Whether QEMU tells a disk's writes done before they are on the medium.
    ///
    /// # Errors
    /// As for [`Machine::run`].
    pub fn writes_back(&self, disk: &str) -> io::Result<bool> {
        let device = format!("{disk}-disk");
        let disks = self.run("query-block", &json!({}))?;
        let found = disks.as_array().into_iter().flatten().find(|one| one["device"] == device.as_str());
        found
            .and_then(|one| one["inserted"]["cache"]["writeback"].as_bool())
            .ok_or_else(|| io::Error::other(format!("{device} is not there")))
    }

    /// Has a breakable disk keep the next read to itself, until the answer is dropped. Others overtake it.
    ///
    /// # Errors
    /// As for [`Machine::run`].
    pub fn hold<'m>(&'m self, disk: &'m str) -> io::Result<Held<'m>> {
        self.io(disk, "break read_aio held")?;
        Ok(Held { machine: self, disk })
    }

    fn io(&self, disk: &str, command: &str) -> io::Result<()> {
        let line = format!("qemu-io {disk}-disk \"{command}\"");
        let answer = self.run("human-monitor-command", &json!({ "command-line": line }))?;
        match answer.as_str() {
            Some("") => Ok(()),
            other => Err(io::Error::other(format!("{line}: {other:?}"))),
        }
    }

    /// What QEMU has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.scratch.file("log")).unwrap_or_default()
    }

    /// QEMU's process id.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.qemu.0.id()
    }
}

/// A read of a disk that is held up. It goes on when this is dropped: a reset would wait for it.
#[derive(Debug)]
pub struct Held<'m> {
    machine: &'m Machine,
    disk: &'m str,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // If no read has come, there is none to go on.
        let _ = self.machine.io(self.disk, "resume held");
    }
}

/// A file that is removed when this is dropped.
struct Named(PathBuf);

impl Drop for Named {
    fn drop(&mut self) {
        // The mapping stays, whatever becomes of the name.
        let _ = fs::remove_file(&self.0);
    }
}

fn missing(board: &Board, error: &io::Error) -> io::Error {
    let Board { program, package, .. } = board;
    let how = format!("install it with: sudo apt-get install --no-install-recommends {package}");
    io::Error::new(error.kind(), format!("{program} cannot be started ({error}); {how}"))
}

fn arguments(options: &Options, scratch: &Scratch, ram: &Path, cables: &Cables) -> io::Result<Vec<OsString>> {
    let board = &options.board;
    let mut line: Vec<OsString> = board.arguments.iter().map(OsString::from).collect();
    let mut push = |words: &[&str]| line.extend(words.iter().map(OsString::from));
    push(&["-nodefaults", "-display", "none", "-accel", "tcg", "-m", &format!("{}M", RAM >> 20)]);
    push(&["-object", &format!("memory-backend-file,id=m,size={RAM},mem-path={},share=on", ram.display())]);
    if board.slots.is_some() && !options.mmio_legacy {
        push(&["-global", "virtio-mmio.force-legacy=false"]);
    }
    if let Some(rom) = board.rom {
        let file = scratch.file("rom");
        fs::write(&file, rom())?;
        push(&["-bios", &file.display().to_string()]);
    }
    for device in &options.devices {
        for [option, value] in backend::arguments(device, scratch, &cables.files(&device.id))? {
            push(&[&option, &value]);
        }
    }
    push(&["-qtest", &format!("unix:{}", scratch.file("qtest").display()), "-qtest-log", "/dev/null"]);
    push(&["-qmp", &format!("unix:{}", scratch.file("qmp").display())]);
    Ok(line)
}

/// Has QEMU end with the thread that starts it, should that be killed.
#[cfg(target_os = "linux")]
fn die_with_us(command: &mut Command) {
    let ask = || {
        // SAFETY: a plain system call that touches no memory of ours.
        match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec only a system call is made; its error is kept without allocating.
    unsafe { command.pre_exec(ask) };
}

/// Elsewhere it ends when the machine is dropped, and not otherwise.
#[cfg(not(target_os = "linux"))]
fn die_with_us(_command: &mut Command) {}
