//! QEMU's command line.

use std::ffi::OsString;
use std::path::Path;

use crate::arch::{Arch, Pair, Transport};
use crate::backends::{Backends, PORTS, Ports};
use crate::cli::RunOptions;
use crate::devices::Kind;
use crate::disk;

/// QEMU's id of the GPU, by which its screen is dumped.
pub const GPU: &str = "gpu0";
/// The size of the screen: fixed, so that pictures can be compared.
pub const SCREEN: (u32, u32) = (1280, 800);

/// What QEMU shows the screen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Display {
    /// Nothing; the screen is still drawn.
    None,
    /// A window, by the toolkit of that name.
    Window(&'static str),
}

/// Where QEMU connects to us.
#[derive(Clone, Copy, Debug)]
pub struct Sockets<'a> {
    /// The serial line.
    pub serial: &'a Path,
    /// QMP.
    pub qmp: &'a Path,
}

/// All arguments for booting `image` as `options` say.
pub fn arguments(
    options: &RunOptions,
    image: &Path,
    sockets: Sockets<'_>,
    backends: &Backends,
    display: &Display,
) -> Vec<OsString> {
    let Pair { arch, transport } = options.pair;
    let mut line = Line(Vec::new());

    // No devices but those named here: no network card with its ROM, no second screen.
    line.word("-nodefaults").word("-no-reboot");
    let machine = options.pair.machine();
    if options.kvm && arch == Arch::Aarch64 {
        line.option("-M", format!("{machine},gic-version=host"));
    } else {
        line.option("-M", machine);
    }
    line.option("-accel", if options.kvm { "kvm" } else { "tcg" });
    match (options.kvm, arch) {
        (true, _) => line.option("-cpu", "host"),
        // The machine's own default is a 32-bit processor.
        (false, Arch::Aarch64) => line.option("-cpu", "cortex-a57"),
        (false, _) => &mut line,
    };
    line.option("-m", "128M").option("-kernel", image);
    match arch {
        // A way out with a failure code, which PSCI has not.
        Arch::Aarch64 => line.option("-semihosting-config", "enable=on,target=native"),
        Arch::Riscv64 => line.option("-bios", "default"),
        Arch::X86_64 => line.option("-device", "isa-debug-exit,iobase=0xf4,iosize=1"),
    };

    if transport == Transport::Mmio {
        line.option("-global", "virtio-mmio.force-legacy=false");
    }
    for kind in options.devices.iter() {
        attach(&mut line, kind, options, backends);
    }
    // What the kernel understands: `demo::Options`.
    let words = [(options.polled, "polled"), (options.iommu, "pool")];
    let words: Vec<_> = words.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect();
    if !words.is_empty() {
        line.option("-append", words.join(" "));
    }

    line.option(
        "-display",
        match display {
            Display::None => "none",
            Display::Window(toolkit) => toolkit,
        },
    );
    line.option("-chardev", socket("serial", sockets.serial, "")).option("-serial", "chardev:serial");
    line.option("-chardev", socket("qmp", sockets.qmp, "")).option("-mon", "chardev=qmp,mode=control");
    line.0.extend(options.qemu_args.iter().cloned());
    line.0
}

struct Line(Vec<OsString>);

impl Line {
    fn word(&mut self, word: impl Into<OsString>) -> &mut Self {
        self.0.push(word.into());
        self
    }

    fn option(&mut self, name: &str, value: impl Into<OsString>) -> &mut Self {
        self.word(name).word(value)
    }
}

/// One device, behind what it needs on this host.
fn attach(line: &mut Line, kind: Kind, options: &RunOptions, backends: &Backends) {
    let transport = options.pair.transport;
    let mut device = OsString::from(kind.qemu(transport));
    match kind {
        Kind::Gpu => {
            let (width, height) = SCREEN;
            device.push(format!(",id={GPU},xres={width},yres={height}"));
        }
        Kind::Blk => {
            if let Some(disk) = &backends.disk {
                let mut drive = OsString::from("if=none,id=disk0,format=raw,discard=unmap,file=");
                drive.push(comma_proof(disk.path()));
                line.option("-drive", drive);
                device.push(format!(",drive=disk0,serial={}", disk::ID));
            }
        }
        Kind::Net => {
            if let Some(port) = backends.web {
                line.option("-netdev", format!("user,id=net0,hostfwd=tcp:127.0.0.1:{port}-:80"));
                device.push(",netdev=net0");
            }
            if transport.device_suffix() == "pci" {
                // The ROM is for firmware that boots from a network, and in another package of QEMU's.
                device.push(",romfile=");
            }
        }
        Kind::Console => device.push(",id=console0"),
        Kind::Keyboard | Kind::Mouse | Kind::Tablet | Kind::Rng => {}
    }
    let legacy = transport == Transport::PciLegacy && kind.has_legacy();
    // A function of both kinds cannot insist on an IOMMU.
    let modern = options.iommu && transport == Transport::Pci && kind.has_legacy();
    for (set, property) in [
        (legacy, ",disable-modern=on,disable-legacy=off"),
        (modern, ",disable-legacy=on"),
        (options.packed, ",packed=on"),
        (options.iommu, ",iommu_platform=on"),
    ] {
        device.push(if set { property } else { "" });
    }
    line.option("-device", device);
    if let (Kind::Console, Some(ports)) = (kind, &backends.ports) {
        attach_ports(line, ports);
    }
}

/// The console's ports, in the order of their numbers.
fn attach_ports(line: &mut Line, ports: &Ports) {
    let file = |id: &str, path: &Path| {
        let mut device = OsString::from(format!("file,id={id},path="));
        device.push(comma_proof(path));
        device
    };
    line.option("-chardev", file("port0", &ports.terminal));
    line.option("-chardev", socket("port1", &ports.echo, ",server=on,wait=off"));
    line.option("-chardev", file("port2", &ports.notes));
    for (number, name) in PORTS.into_iter().enumerate() {
        let kind = if number == 0 { "virtconsole" } else { "virtserialport" };
        line.option("-device", format!("{kind},bus=console0.0,nr={number},chardev=port{number},name={name}"));
    }
}

/// A character device that connects to a socket of ours, where nobody has to wait for a file to appear, or listens on one.
fn socket(id: &str, path: &Path, how: &str) -> OsString {
    let mut device = OsString::from(format!("socket,id={id},path="));
    device.push(comma_proof(path));
    device.push(how);
    device
}

/// A comma ends an option, two are a comma.
fn comma_proof(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(args: &[&str]) -> String {
        let args: Vec<_> = args.iter().map(OsString::from).collect();
        let options = RunOptions::parse(&args, Path::new("/")).unwrap();
        let sockets = Sockets { serial: Path::new("/t,1/s"), qmp: Path::new("/t,1/q") };
        let ports = Ports { terminal: "/t,1/t".into(), echo: "/t,1/e".into(), notes: "/n".into() };
        let backends = Backends { disk: None, web: Some(7), ports: Some(ports) };
        let all = arguments(&options, Path::new("/kernel"), sockets, &backends, &Display::None);
        all.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_default_is_qemus_own() {
        let line = line(&[]);
        assert!(line.contains("-M virt -accel tcg -cpu cortex-a57"));
        assert!(line.contains("virtio-gpu-device,id=gpu0,xres=1280,yres=800"));
        assert!(line.contains("virtio-keyboard-device"));
        assert!(line.contains("path=/t,,1/s"));
        assert!(!line.contains("force-legacy"));
    }

    #[test]
    fn transports_differ_where_they_should() {
        assert!(line(&["--transport", "mmio"]).contains("force-legacy=false"));
        let pci = line(&["--arch", "riscv64", "--transport", "pci"]);
        assert!(pci.contains("virtio-gpu-pci") && pci.contains("virtio-keyboard-pci"));
        assert!(!pci.contains("force-legacy"));
        assert!(line(&["--arch", "x86_64"]).contains("-M q35"));
        assert!(line(&["--arch", "x86_64", "--transport", "mmio-legacy"]).contains("-M microvm"));
    }

    #[test]
    fn packed_rings_are_a_property_of_every_device() {
        for transport in ["mmio", "pci"] {
            assert_eq!(line(&["--transport", transport, "--packed"]).matches(",packed=on").count(), 2);
            assert_eq!(line(&["--transport", transport]).matches("packed").count(), 0);
        }
    }

    #[test]
    fn the_kernel_is_told_how_to_run() {
        assert!(!line(&[]).contains("-append"));
        assert!(line(&["--polled"]).contains("-append polled "));
        let iommu = line(&["--transport", "pci", "--iommu", "--polled"]);
        assert!(iommu.contains("-append polled pool "));
        assert_eq!(iommu.matches(",iommu_platform=on").count(), 2);
    }

    #[test]
    fn a_legacy_function_stands_beside_modern_ones() {
        let line = line(&["--arch", "x86_64", "--transport", "pci-legacy"]);
        assert!(
            line.contains("-M q35")
                && line.contains("virtio-gpu-pci")
                && line.contains("virtio-keyboard-pci")
        );
        assert!(line.contains("virtio-rng-pci,disable-modern=on"));
    }

    #[test]
    fn devices_come_with_what_is_behind_them() {
        let line = line(&["--devices", "all"]);
        for part in [
            "virtio-mouse-device",
            "virtio-tablet-device",
            "virtio-rng-device",
            "virtio-blk-device",
            "-netdev user,id=net0,hostfwd=tcp:127.0.0.1:7-:80 -device virtio-net-device,netdev=net0 ",
            "-device virtio-serial-device,id=console0 -chardev file,id=port0,path=/t,,1/t ",
            "-chardev socket,id=port1,path=/t,,1/e,server=on,wait=off ",
            "-device virtconsole,bus=console0.0,nr=0,chardev=port0,name=demo.terminal ",
            "-device virtserialport,bus=console0.0,nr=2,chardev=port2,name=demo.notes ",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }

    #[test]
    fn who_insists_on_an_iommu_is_modern_only() {
        let pci = line(&["--transport", "pci", "--iommu", "--devices", "all"]);
        assert_eq!(pci.matches(",iommu_platform=on").count(), 8);
        assert_eq!(pci.matches(",disable-legacy=on").count(), 4);
        assert!(!line(&["--transport", "mmio", "--iommu", "--devices", "all"]).contains("disable-legacy"));
        assert!(!line(&["--transport", "pci", "--devices", "all"]).contains("disable-legacy"));
    }

    #[test]
    fn what_can_be_legacy_is_legacy_there() {
        let line = line(&["--transport", "pci-legacy", "--devices", "all"]);
        assert_eq!(line.matches(",disable-modern=on,disable-legacy=off").count(), 4);
        assert!(line.contains("virtio-net-pci,netdev=net0,romfile=,disable-modern=on"));
    }

    #[test]
    fn devices_can_be_left_out_and_arguments_added() {
        let without = line(&["--without", "gpu", "--without", "keyboard", "--", "-smp", "2"]);
        assert!(!without.contains("virtio-"));
        assert!(without.ends_with(" -smp 2"));
    }
}
