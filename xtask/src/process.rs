//! QEMU's process: started, watched, and never left behind.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::exec::Collector;
use crate::failure::{Context, Result, fail};

/// How long QEMU may take to end once its kernel is through.
const END_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(2);

/// QEMU, killed when dropped.
#[derive(Debug)]
pub struct Process {
    qemu: Child,
    stderr: Collector,
    /// Ends QEMU when we are killed before we can.
    watcher: Option<Child>,
}

impl Process {
    /// Starts `program`; its sockets lie in `folder`.
    pub fn start(program: &str, arguments: &[OsString], folder: &Path) -> Result<Self> {
        let mut qemu = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context(program)?;
        let stderr = Collector::start(qemu.stderr.take());
        let watcher = watch(&qemu, folder);
        Ok(Self { qemu, stderr, watcher })
    }

    /// Waits for QEMU to connect to one of our sockets.
    pub fn accept(&mut self, listener: &UnixListener, deadline: Instant) -> Result<UnixStream> {
        listener.set_nonblocking(true).context("socket")?;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).context("socket")?;
                    return Ok(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("waiting for QEMU to connect"),
            }
            if let Some(status) = self.qemu.try_wait().context("QEMU")? {
                fail!("QEMU did not start ({status}){}", self.complaint());
            }
            if Instant::now() >= deadline {
                fail!("QEMU did not connect in time{}", self.complaint());
            }
            thread::sleep(POLL);
        }
    }

    /// QEMU's status if it ends before `deadline`; without one, it is waited for as long as it takes.
    pub fn wait(&mut self, deadline: Option<Instant>) -> Result<Option<ExitStatus>> {
        let Some(deadline) = deadline else { return self.qemu.wait().context("QEMU").map(Some) };
        loop {
            if let Some(status) = self.qemu.try_wait().context("QEMU")? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }

    /// QEMU's status once the kernel is through: it ends any moment, or is ended.
    pub fn end(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.wait(Some(Instant::now() + END_LIMIT))? {
            return Ok(status);
        }
        self.qemu.kill().context("QEMU")?;
        self.qemu.wait().context("QEMU")
    }

    /// What QEMU said on its error output, to be put behind a failure.
    pub fn complaint(&self) -> String {
        let text = self.stderr.text();
        match text.trim() {
            "" => String::new(),
            text => format!("; QEMU says: {text}"),
        }
    }
}

/// Starts a shell that sleeps on a pipe of ours. Whatever kills us closes the pipe; the shell then ends QEMU and
/// removes the folder of its sockets. Where it cannot be started, only that protection is missing.
fn watch(qemu: &Child, folder: &Path) -> Option<Child> {
    const SCRIPT: &str = "trap '' HUP INT TERM; read -r _; kill -9 \"$1\" 2>/dev/null; rm -rf \"$2\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", SCRIPT, "sh", &qemu.id().to_string()]).arg(folder);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watcher first: QEMU's process number may be another's once QEMU is gone.
        if let Some(mut watcher) = self.watcher.take() {
            let _ = watcher.kill();
            let _ = watcher.wait();
        }
        // Fails only where it has already ended.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    fn sh(script: &str, folder: &Path) -> Process {
        Process::start("sh", &["-c", script].map(OsString::from), folder).unwrap()
    }

    #[test]
    fn a_qemu_that_does_not_start_is_quoted() {
        let folder = workspace::scratch("process").unwrap();
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        let mut process = sh("echo no such machine >&2; sleep 0.1; exit 1", folder.path());
        let deadline = Instant::now() + Duration::from_secs(10);
        let failure = process.accept(&listener, deadline).unwrap_err().to_string();
        assert!(failure.contains("exit status: 1") && failure.contains("no such machine"), "{failure}");
    }

    #[test]
    fn it_is_gone_when_dropped() {
        let folder = workspace::scratch("process").unwrap();
        let process = sh("exec sleep 60", folder.path());
        let id = process.qemu.id().to_string();
        let is_there = || {
            let signal =
                Command::new("sh").args(["-c", "kill -0 \"$1\"", "sh", &id]).stderr(Stdio::null()).status();
            signal.unwrap().success()
        };
        assert!(is_there());
        drop(process);
        assert!(!is_there());
    }

    #[test]
    fn the_watcher_ends_it_when_we_are_gone() {
        let folder = workspace::scratch("process").unwrap();
        let mut process = sh("exec sleep 60", folder.path());
        // What the end of this process would do: close the pipe.
        drop(process.watcher.as_mut().unwrap().stdin.take());
        let status = process.wait(Some(Instant::now() + Duration::from_secs(10))).unwrap();
        assert_eq!(status.unwrap().code(), None, "killed");
        process.watcher.as_mut().unwrap().wait().unwrap();
        assert!(!folder.path().exists());
    }
}
