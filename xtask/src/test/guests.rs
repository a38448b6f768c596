//! Every kernel on every transport: it boots, the pixels are right, a typed command is answered, it powers off.

mod devices;
mod interrupts;

use std::ffi::OsString;
use std::process::Command;

use crate::arch::{Arch, Pair, Transport};
use crate::cli::RunOptions;
use crate::devices::{Devices, Kind};
use crate::exec::{self, BUILD_LIMIT};
use crate::failure::{Result, fail};
use crate::guest::Guest;
use crate::kernel::{self, Kernel};
use crate::qemu::{Display, SCREEN};
use crate::qmp::Negotiated;
use crate::report::Report;
use crate::{pixels, setup, stream, workspace};

/// QEMU's names of features.
const PACKED: &str = "VIRTIO_F_RING_PACKED";
const IOMMU: &str = "VIRTIO_F_IOMMU_PLATFORM";

/// Runs and counts them.
pub fn run(report: &mut Report) {
    for arch in Arch::ALL {
        let built = report.value(&format!("build kernel-{}", arch.name()), || {
            let toolchain = setup::ensure(arch)?;
            kernel::build(arch, &kernel::folder(arch), false, &toolchain)
        });
        for pair in Pair::all().filter(|pair| pair.arch == arch) {
            let options = RunOptions::on(pair);
            converse(report, &options, built.as_ref());
            if pair.transport == Transport::PciLegacy {
                interrupts::random(report, &options, built.as_ref());
            }
            interrupts::asleep(report, &options, built.as_ref());
            interrupts::polled(report, &RunOptions { polled: true, ..options.clone() }, built.as_ref());
            if pair.transport.is_modern() {
                converse(report, &RunOptions { packed: true, ..options.clone() }, built.as_ref());
                converse(report, &RunOptions { iommu: true, ..options }, built.as_ref());
            }
        }
        if arch == Arch::Aarch64 {
            interrupts::gicv3(report, built.as_ref());
        }
        if arch == Arch::X86_64 {
            interrupts::line_on_x86_64(report, built.as_ref());
        }
        with_all_devices(report, arch, built.as_ref());
        with_a_timer(report, arch, built.as_ref());
        without_gpu(report, arch, built.as_ref());
        without_keyboard(report, arch, built.as_ref());
    }
    defmt(report);
    too_slow(report);
    devices::serves(report);
}

/// The kernels with everything attached, alone.
pub fn devices(report: &mut Report) {
    for arch in Arch::ALL {
        let built = report.value(&format!("build kernel-{}", arch.name()), || {
            kernel::build(arch, &kernel::folder(arch), false, &setup::ensure(arch)?)
        });
        with_all_devices(report, arch, built.as_ref());
        with_a_timer(report, arch, built.as_ref());
    }
    devices::serves(report);
}

/// Every transport on interrupts, and each kind of ring, of memory and of waiting on one of them.
fn with_all_devices(report: &mut Report, arch: Arch, kernel: Option<&Kernel>) {
    for pair in Pair::all().filter(|pair| pair.arch == arch) {
        let options = RunOptions::on(pair);
        devices::all(report, &options, kernel);
        match pair.transport {
            Transport::MmioLegacy | Transport::PciLegacy => {
                devices::all(report, &RunOptions { polled: true, ..options }, kernel);
            }
            Transport::Mmio => devices::all(report, &RunOptions { packed: true, ..options }, kernel),
            Transport::Pci => devices::all(report, &RunOptions { iommu: true, ..options }, kernel),
        }
    }
}

/// The timer on each architecture, and with both versions of Arm's interrupt controller.
fn with_a_timer(report: &mut Report, arch: Arch, kernel: Option<&Kernel>) {
    let options = defaults(arch);
    devices::timer(report, &options, kernel);
    if arch == Arch::Aarch64 {
        let qemu_args = ["-machine", "gic-version=3"].map(OsString::from).into();
        let pair = Pair { transport: Transport::Mmio, ..options.pair };
        devices::timer(report, &RunOptions { qemu_args, ..RunOptions::on(pair) }, kernel);
    }
}

/// Boot screen, typed command, power-off.
fn converse(report: &mut Report, options: &RunOptions, kernel: Option<&Kernel>) {
    let name =
        |step: &str| format!("{}{} {step}", options.name(), if options.defmt { " (defmt)" } else { "" });
    let [boot, typed, off] = ["boot screen", "typed command", "power off"].map(name);
    let booted = kernel.and_then(|kernel| {
        report.value(&boot, || {
            let mut guest = Guest::boot(options, kernel, &Display::None)?;
            guest.wait_ready()?;
            check_pixels(&mut guest, options, "boot")?;
            Ok(guest)
        })
    });
    if kernel.is_none() {
        report.not_reached(&boot);
    }
    let booted = match booted {
        Some(mut guest) if options.packed => {
            report.value(&name("rings"), || check_features(&mut guest, PACKED)).map(|()| guest)
        }
        Some(mut guest) if options.iommu => {
            report.value(&name("features"), || check_features(&mut guest, IOMMU)).map(|()| guest)
        }
        booted => booted,
    };
    let answered = booted.and_then(|mut guest| {
        report.value(&typed, || {
            check_edid(&mut guest)?;
            check_pixels(&mut guest, options, "edid")?;
            Ok(guest)
        })
    });
    match answered {
        Some(guest) => report.check(&off, || guest.power_off()),
        None => {
            report.not_reached(&typed);
            report.not_reached(&off);
        }
    }
}

/// Asks QEMU, not the guest, whether a feature is in use.
fn check_features(guest: &mut Guest, wanted: &str) -> Result {
    match guest.features()? {
        Some(devices) => in_use(&devices, wanted),
        None if workspace::in_ci() => {
            fail!("QEMU 7.2 or newer is needed, which can say what features a guest uses")
        }
        None => {
            println!("note    whether {wanted} is in use was not checked: QEMU 7.2 or newer could say");
            Ok(())
        }
    }
}

/// Every device offers a feature, and its driver has accepted it.
fn in_use(devices: &[Negotiated], wanted: &str) -> Result {
    let has = |names: &[String], wanted: &str| names.iter().any(|name| name == wanted);
    if devices.len() < 2 {
        fail!("QEMU knows {} virtio devices, not a GPU and a keyboard", devices.len());
    }
    for Negotiated { device, offered, accepted } in devices {
        if !has(accepted, "VIRTIO_F_VERSION_1") {
            fail!("{device} is not driven: it says {accepted:?} was accepted");
        }
        if !has(offered, wanted) {
            fail!("{device} does not offer {wanted}");
        }
        if !has(accepted, wanted) {
            fail!("{device} is driven without {wanted}");
        }
    }
    Ok(())
}

/// Types `edid`; the answer must have the size that QEMU was told to give its screen.
fn check_edid(guest: &mut Guest) -> Result {
    let before = guest.serial.received().len();
    guest.command("edid")?;
    let received = guest.serial.received();
    let answer = stream::plain(received.get(before..).unwrap_or_default());
    let (width, height) = SCREEN;
    if !(answer.contains(&width.to_string()) && answer.contains(&height.to_string())) {
        fail!("the answer to edid has no {width} and {height}: {answer}");
    }
    Ok(())
}

fn check_pixels(guest: &mut Guest, options: &RunOptions, step: &str) -> Result {
    let actual = guest.screenshot()?;
    if (actual.width, actual.height) != SCREEN {
        fail!("the screen has {}x{} pixels, not {SCREEN:?}", actual.width, actual.height);
    }
    let kind = if options.defmt { "-defmt" } else { "" };
    let name = format!("{}{kind}-{step}", options.file_name());
    actual.save(&workspace::pictures().join(format!("{name}.png")))?;
    pixels::check(&actual, &guest.serial.received(), &workspace::pictures(), &name)
}

/// Without a GPU the kernel says so in one line and powers off with a failure.
fn without_gpu(report: &mut Report, arch: Arch, kernel: Option<&Kernel>) {
    let name = format!("{} without a GPU says so", arch.name());
    let Some(kernel) = kernel else { return report.not_reached(&name) };
    report.check(&name, || {
        let options = RunOptions { devices: Devices::default().without(Kind::Gpu), ..defaults(arch) };
        let said = Guest::boot(&options, kernel, &Display::None)?.wait_failure()?;
        if !said.to_ascii_lowercase().contains("gpu") {
            fail!("it does not say that the GPU is missing: {said}");
        }
        Ok(())
    });
}

/// Without a keyboard everything works over the serial line.
fn without_keyboard(report: &mut Report, arch: Arch, kernel: Option<&Kernel>) {
    let name = format!("{} without a keyboard works by the serial line", arch.name());
    let Some(kernel) = kernel else { return report.not_reached(&name) };
    report.check(&name, || {
        let options = RunOptions { devices: Devices::default().without(Kind::Keyboard), ..defaults(arch) };
        let mut guest = Guest::boot(&options, kernel, &Display::None)?;
        guest.wait_ready()?;
        check_edid(&mut guest)?;
        check_pixels(&mut guest, &options, "serial")?;
        guest.power_off()
    });
}

fn defaults(arch: Arch) -> RunOptions {
    RunOptions::on(Pair { arch, transport: arch.default_transport() })
}

/// The kernels that log by defmt, where this xtask can decode them; else by one that can.
pub fn defmt(report: &mut Report) {
    if !cfg!(feature = "defmt") {
        return defmt_by_another(report);
    }
    for arch in Arch::ALL {
        let built = report.value(&format!("build kernel-{} with defmt", arch.name()), || {
            kernel::build(arch, &kernel::folder(arch), true, &setup::ensure(arch)?)
        });
        let options = RunOptions { defmt: true, ..defaults(arch) };
        converse(report, &options, built.as_ref());
    }
}

fn defmt_by_another(report: &mut Report) {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root());
    cargo.args(["run", "--quiet", "--package", "xtask", "--features", "defmt", "--", "test", "defmt"]);
    let label = "the kernels with defmt";
    let Some(outcome) = report.value("decoding defmt", || exec::run(&mut cargo, label, BUILD_LIMIT)) else {
        return;
    };
    let count = |word: &str| outcome.stdout.lines().filter(|line| line.starts_with(word)).count();
    let count = |word: &str| u32::try_from(count(word)).unwrap_or(u32::MAX);
    let (passed, failed) = (count("ok "), count("FAILED "));
    report.add(passed, failed);
    for line in outcome.stdout.lines().filter(|line| line.starts_with("ok ") || line.starts_with("FAILED ")) {
        println!("{line}");
    }
    report.check("defmt was tested", || match (outcome.status.success(), passed) {
        (true, 1..) => Ok(()),
        _ => fail!("{}: {}", outcome.status, stream::tail(outcome.stderr.as_bytes())),
    });
}

/// A kernel that is not ready in time ends the run with one line.
fn too_slow(report: &mut Report) {
    report.check("a timeout ends in one clear line", || {
        let mut shell = Command::new("sh");
        shell.arg(workspace::root().join("run.sh")).args(["--headless", "--timeout", "0"]);
        let outcome = exec::quiet(&mut shell, exec::BUILD_LIMIT)?;
        let lines: Vec<_> = outcome.stderr.lines().collect();
        match lines.as_slice() {
            [line] if !outcome.status.success() && line.contains("READY") => Ok(()),
            _ => fail!("{}, and it said: {}", outcome.status, outcome.stderr),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(offered: &[&str], accepted: &[&str]) -> Negotiated {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Negotiated { device: "virtio-x".to_owned(), offered: names(offered), accepted: names(accepted) }
    }

    #[test]
    fn features_are_what_every_device_negotiated() {
        const ONE: &str = "VIRTIO_F_VERSION_1";
        let both = [ONE, PACKED];
        let good = device(&both, &both);
        in_use(&[good.clone(), good.clone()], PACKED).unwrap();
        for bad in [device(&[ONE], &[ONE]), device(&both, &[]), device(&both, &[ONE])] {
            assert!(in_use(&[good.clone(), bad.clone()], PACKED).is_err(), "{bad:?}");
        }
        assert!(in_use(std::slice::from_ref(&good), PACKED).is_err());
    }

    #[test]
    fn defaults_are_those_of_the_architecture() {
        assert_eq!(defaults(Arch::X86_64).pair.transport, Transport::Pci);
        assert_eq!(defaults(Arch::Riscv64).pair.transport, Transport::MmioLegacy);
    }
}
