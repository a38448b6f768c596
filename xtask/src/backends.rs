//! What stands behind the devices on this host: the disk's image, the forwarded port, the ends of the console's ports.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::RunOptions;
use crate::devices::Kind;
use crate::disk::Disk;
use crate::failure::{Context, Result};
use crate::{web, workspace};

/// The console's ports, by the names that the kernel sees. The first is a terminal, as QEMU's own port 0 is.
pub const PORTS: [&str; 3] = ["demo.terminal", "demo.echo", "demo.notes"];

/// The backends of one run; `None` where the device is not attached.
#[derive(Debug, Default)]
pub struct Backends {
    /// The disk's image.
    pub disk: Option<Disk>,
    /// The TCP port of this host that leads to port 80 of the kernel.
    pub web: Option<u16>,
    /// Where the console's ports end.
    pub ports: Option<Ports>,
}

/// Ends of the ports of [`PORTS`].
#[derive(Clone, Debug)]
pub struct Ports {
    /// The terminal's: a file.
    pub terminal: PathBuf,
    /// A socket that QEMU listens on; the port is open while somebody is connected.
    pub echo: PathBuf,
    /// A file that keeps what is written.
    pub notes: PathBuf,
}

impl Backends {
    /// Makes what the devices of `options` need. Sockets lie in `folder`, where paths are short; files beside the pictures.
    pub fn prepare(options: &RunOptions, folder: &Path) -> Result<Self> {
        let file = |ending: &str| workspace::pictures().join(format!("{}{ending}", options.file_name()));
        let mut backends = Self::default();
        if options.devices.has(Kind::Blk) {
            backends.disk = Some(Disk::make(&file(".img"))?);
        }
        if options.devices.has(Kind::Net) {
            backends.web = Some(web::free_port()?);
        }
        if options.devices.has(Kind::Console) {
            let ports = Ports {
                terminal: file("-terminal.txt"),
                echo: folder.join("echo"),
                notes: file("-notes.txt"),
            };
            fs::create_dir_all(workspace::pictures()).context("the pictures' folder")?;
            for path in [&ports.terminal, &ports.notes] {
                // Not written to: an earlier run keeps its own.
                match fs::remove_file(path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error).context(path.display());
                    }
                    _ => {}
                }
            }
            backends.ports = Some(ports);
        }
        Ok(backends)
    }

    /// What a person may want to use while the kernel runs, a line each.
    pub fn hints(&self) -> Vec<String> {
        let mut hints = Vec::new();
        if let Some(disk) = &self.disk {
            hints.push(format!("disk: {}", disk.path().display()));
        }
        if let Some(port) = self.web {
            hints.push(format!("page: {} after the command `net`", web::url(port)));
        }
        if let Some(ports) = &self.ports {
            let [terminal, echo, notes] = PORTS;
            hints.push(format!("port {terminal}: {}", ports.terminal.display()));
            hints.push(format!("port {echo}: nc -U {}", ports.echo.display()));
            hints.push(format!("port {notes}: {}", ports.notes.display()));
        }
        hints
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::Devices;

    #[test]
    fn only_what_is_attached_has_a_backend() {
        let folder = workspace::scratch("backends").unwrap();
        let none = Backends::prepare(&RunOptions::default(), folder.path()).unwrap();
        assert!(none.disk.is_none() && none.web.is_none() && none.ports.is_none());
        assert!(none.hints().is_empty());
        let devices = Devices::default().with(Kind::Net).with(Kind::Console);
        let some =
            Backends::prepare(&RunOptions { devices, ..RunOptions::default() }, folder.path()).unwrap();
        assert_eq!((some.disk.is_none(), some.hints().len()), (true, 4));
        assert!(some.hints()[0].contains(&some.web.unwrap().to_string()));
    }
}
