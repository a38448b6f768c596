//! What stands behind a device, on the host's side: an image, a cable, the lines of a console.

use std::path::Path;
use std::{fs, io};

use crate::device::{Device, Kind};
use crate::scratch::Scratch;

/// What a disk is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disk {
    /// How long the image is, in bytes.
    pub bytes: usize,
    /// Whether requests pass a layer that can hold them up and have them fail.
    pub layer: Layer,
    /// Further options of the drive, each with a comma before it.
    pub options: &'static str,
}

/// What lies between a disk and its image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layer {
    /// Nothing.
    None,
    /// QEMU's `blkdebug`, with these rules. Requests can be held up: see [`Machine::hold`](crate::Machine::hold).
    Debug(&'static str),
}

impl Disk {
    /// An image of 1 MiB, and nothing else.
    pub const PLAIN: Self = Self { bytes: 1 << 20, layer: Layer::None, options: "" };
    /// The same, whose requests can be held up.
    pub const BREAKABLE: Self = Self { layer: Layer::Debug(""), ..Self::PLAIN };
}

/// What a network card's cable is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cable {
    /// Two datagram sockets: frames and nothing else. See [`Machine::wire`](crate::Machine::wire).
    Datagrams,
    /// A tap interface with so many queues, which knows offloads. See [`Machine::tap`](crate::Machine::tap). On Linux, with
    /// rights.
    Tap(usize),
}

/// A port of a console. Its other end is a socket of the host: see [`Machine::plug`](crate::Machine::plug).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SerialPort {
    /// Its number.
    pub number: u32,
    /// What its name ends in, if it has one: see [`SerialPort::called`].
    pub name: Option<&'static str>,
    /// Whether it is a console.
    pub console: bool,
}

impl SerialPort {
    /// The console port, number 0.
    pub const CONSOLE: Self = Self { number: 0, name: None, console: true };

    /// A port that is no console.
    #[must_use]
    pub const fn named(number: u32, name: &'static str) -> Self {
        Self { number, name: Some(name), console: false }
    }

    /// QEMU's id of a port of this device.
    #[must_use]
    pub fn id(&self, device: &str) -> String {
        format!("{device}-port{}", self.number)
    }

    /// QEMU's id of its socket.
    #[must_use]
    pub fn line(&self, device: &str) -> String {
        format!("{device}-line{}", self.number)
    }

    /// The name of a port of this device: no two ports of a machine may have the same.
    #[must_use]
    pub fn called(&self, device: &str) -> Option<String> {
        self.name.map(|name| format!("{device}.{name}"))
    }

    /// QEMU's name of the model.
    #[must_use]
    pub const fn model(&self) -> &'static str {
        if self.console { "virtconsole" } else { "virtserialport" }
    }

    fn argument(&self, device: &str) -> String {
        let name = self.called(device).map(|name| format!(",name={name}")).unwrap_or_default();
        let (model, id, line) = (self.model(), self.id(device), self.line(device));
        format!("{model},id={id},bus={device}.0,nr={},chardev={line}{name}", self.number)
    }
}

/// Where QEMU's end of a cable is, and the test's.
pub(crate) fn cable(scratch: &Scratch, id: &str) -> [std::path::PathBuf; 2] {
    ["qemu", "test"].map(|end| scratch.file(&format!("{id}.{end}")))
}

/// QEMU's arguments for a device and what stands behind it: files, for a tap. Images are made on the way.
pub(crate) fn arguments(device: &Device, scratch: &Scratch, files: &[i32]) -> io::Result<Vec<[String; 2]>> {
    let id = &device.id;
    let mut line = Vec::new();
    let mut push = |option: &str, value: String| line.push([option.to_owned(), value]);
    match device.kind {
        Kind::Blk => {
            let file = scratch.file(&format!("{id}.img"));
            fs::write(&file, vec![0; device.disk.bytes])?;
            push("-drive", drive(device, scratch, &file)?);
        }
        Kind::Net if device.cable != Cable::Datagrams => {
            let files: Vec<_> = files.iter().map(ToString::to_string).collect();
            push("-netdev", format!("tap,id={id}-net,vhost=off,fds={}", files.join(":")));
        }
        Kind::Net => {
            let [qemu, test] = cable(scratch, id).map(|path| path.display().to_string());
            let ends = format!("local.type=unix,local.path={qemu},remote.type=unix,remote.path={test}");
            push("-netdev", format!("dgram,id={id}-net,{ends}"));
        }
        _ => {}
    }
    push("-device", device.argument());
    for port in device.ports {
        let name = port.line(id);
        let path = scratch.file(&name).display().to_string();
        push("-chardev", format!("socket,id={name},path={path},server=on,wait=off"));
        push("-device", port.argument(id));
    }
    Ok(line)
}

fn drive(device: &Device, scratch: &Scratch, file: &Path) -> io::Result<String> {
    let (id, Disk { layer, options, .. }) = (&device.id, device.disk);
    let layer = match layer {
        Layer::None => String::new(),
        Layer::Debug("") => "blkdebug::".to_owned(),
        Layer::Debug(rules) => {
            let path = scratch.file(&format!("{id}.rules"));
            fs::write(&path, rules)?;
            format!("blkdebug:{}:", path.display())
        }
    };
    Ok(format!("if=none,id={id}-disk,format=raw,file={layer}{}{options}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Place, Rings};

    #[test]
    fn ports_are_told_apart_by_their_device() {
        let port = SerialPort::named(3, "three");
        assert_eq!(port.called("one"), Some("one.three".to_owned()));
        assert_ne!(port.called("one"), port.called("two"));
        assert_eq!(SerialPort::CONSOLE.called("one"), None);
        assert_eq!((SerialPort::CONSOLE.model(), port.model()), ("virtconsole", "virtserialport"));
    }

    #[test]
    fn rules_of_a_disk_are_written_and_named() {
        let folder = Scratch::new().unwrap();
        let disk = Disk { bytes: 512, layer: Layer::Debug("[rules]\n"), options: ",readonly=on" };
        let device = Device::new(Kind::Blk, Rings::DEFAULT, Place::Slot(0)).with("d", "").over(disk);
        let line = arguments(&device, &folder, &[]).unwrap();
        assert_eq!(fs::read(folder.file("d.rules")).unwrap(), b"[rules]\n");
        assert_eq!(fs::read(folder.file("d.img")).unwrap(), [0; 512]);
        let [option, value] = &line[0];
        assert_eq!(option, "-drive");
        assert!(value.contains("file=blkdebug:") && value.ends_with("d.img,readonly=on"), "{value}");
    }
}
