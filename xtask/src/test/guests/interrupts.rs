//! Interrupts in the guests: the CPU sleeps, keys wake it, messages are told apart, and `--polled` does without.

use std::ffi::OsString;
use std::time::Duration;

use super::defaults;
use crate::arch::{Arch, Pair, Transport};
use crate::cli::RunOptions;
use crate::failure::{Context, Result, fail};
use crate::guest::Guest;
use crate::kernel::Kernel;
use crate::qemu::Display;
use crate::report::Report;
use crate::stream;

/// How long nothing is done. The least that is slept of it is [`ASLEEP`]: the rest is what drawing two commands takes, and
/// whatever else keeps the host from running the guest.
const IDLE: Duration = Duration::from_secs(3);
/// Percent.
pub const ASLEEP: f64 = 90.0;

/// What the command `irq` answers.
#[derive(Debug)]
struct Answer {
    /// Of each line: how it comes, whose it is, what it tells of, how often it came.
    rows: Vec<(String, String, String, u32)>,
    /// Percent of the time since the last answer.
    asleep: f64,
}

impl Answer {
    fn parse(text: &str) -> Result<Self> {
        let mut answer = Self { rows: Vec::new(), asleep: -1.0 };
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                [number, kind @ ("line" | "message"), device, tells @ .., came]
                    if number.parse::<u32>().is_ok() =>
                {
                    let came = came.parse().context(format!("irq: {line}"))?;
                    answer.rows.push((kind.to_string(), device.to_string(), tells.join(" "), came));
                }
                ["asleep", percent, "%", ..] => {
                    answer.asleep = percent.parse().context(format!("irq: {line}"))?
                }
                ["nobody's", ..] => fail!("interrupts that nobody asked for: {line}"),
                _ => {}
            }
        }
        if answer.rows.is_empty() || answer.asleep < 0.0 {
            fail!("the answer to irq is none: {text}");
        }
        Ok(answer)
    }

    /// How often a device interrupted for a queue.
    fn came(&self, device: &str) -> u32 {
        let rows = self.rows.iter().filter(|(_, name, tells, _)| name == device && tells.contains("queue 0"));
        rows.map(|(.., came)| came).sum()
    }
}

fn irq(guest: &mut Guest) -> Result<String> {
    let before = guest.serial.received().len();
    guest.command("irq")?;
    let received = guest.serial.received();
    Ok(stream::plain(received.get(before..).unwrap_or_default()))
}

/// Percent of the time since the last such question that the CPU has slept.
pub fn share_asleep(guest: &mut Guest) -> Result<f64> {
    Ok(Answer::parse(&irq(guest)?)?.asleep)
}

/// Whether devices interrupt by messages of their own.
fn by_message(pair: Pair) -> bool {
    let pci = matches!(pair.transport, Transport::Pci | Transport::PciLegacy);
    // RISC-V's messages need a controller that QEMU's machine has not by default.
    pci && pair.arch != Arch::Riscv64
}

/// An idle time shows the CPU asleep, and each key wakes it by an interrupt.
pub fn asleep(report: &mut Report, options: &RunOptions, kernel: Option<&Kernel>) {
    let name = format!("{} sleeps, and keys wake it", options.name());
    let Some(kernel) = kernel else { return report.not_reached(&name) };
    // The entropy device has only a line there.
    let legacy = options.pair.transport == Transport::PciLegacy;
    report.check(&name, || {
        sleeps(options, kernel, |device| by_message(options.pair) && !(legacy && device == "rng"))
    });
}

/// `by_message` says of each device whether it should interrupt by messages.
fn sleeps(options: &RunOptions, kernel: &Kernel, by_message: impl Fn(&str) -> bool) -> Result {
    let mut guest = Guest::boot(options, kernel, &Display::None)?;
    guest.wait_ready()?;
    let first = Answer::parse(&irq(&mut guest)?)?;
    std::thread::sleep(IDLE);
    let second = Answer::parse(&irq(&mut guest)?)?;
    if second.asleep < ASLEEP {
        fail!("of {} idle seconds the CPU slept {} %", IDLE.as_secs(), second.asleep);
    }
    // Keys that come while the others' echo is drawn need no interrupt of their own; the first one did.
    if second.came("keyboard") <= first.came("keyboard") {
        fail!("the keyboard woke a CPU without an interrupt: {first:?}, {second:?}");
    }
    for (kind, device, tells, _) in &second.rows {
        let by_message = by_message(device);
        let wanted = if by_message { "message" } else { "line" };
        if device != "serial" && kind != wanted {
            fail!("{device} interrupts by {kind}, not by {wanted}");
        }
        if by_message && tells.contains("config") && tells.contains("queue") {
            fail!("{device}: one message for {tells}");
        }
    }
    guest.power_off()
}

/// A run without interrupts works as well, and says so.
pub fn polled(report: &mut Report, options: &RunOptions, kernel: Option<&Kernel>) {
    let name = format!("{} works without interrupts", options.name());
    let Some(kernel) = kernel else { return report.not_reached(&name) };
    report.check(&name, || {
        let mut guest = Guest::boot(options, kernel, &Display::None)?;
        guest.wait_ready()?;
        let said = irq(&mut guest)?;
        if !said.contains("polled") {
            fail!("it does not say that it polls: {said}");
        }
        guest.power_off()
    });
}

/// The legacy function gives bytes, other ones each time.
pub fn random(report: &mut Report, options: &RunOptions, kernel: Option<&Kernel>) {
    let name = format!("{} gives random bytes", options.name());
    let Some(kernel) = kernel else { return report.not_reached(&name) };
    report.check(&name, || {
        let mut guest = Guest::boot(options, kernel, &Display::None)?;
        guest.wait_ready()?;
        let booted = stream::plain(&guest.serial.received());
        let at_boot = bytes(&booted, "rng:")
            .context(format!("no random bytes at boot: {}", stream::tail(booted.as_bytes())))?;
        if !booted
            .lines()
            .any(|line| line.contains("entropy") && line.contains("pci, legacy") && line.contains("driven"))
        {
            fail!("no entropy device is driven as a legacy PCI function: {booted}");
        }
        let before = guest.serial.received().len();
        guest.command("rng")?;
        let said = stream::plain(guest.serial.received().get(before..).unwrap_or_default());
        let later = bytes(&said, "random").context(format!("no random bytes: {said}"))?;
        if at_boot == later {
            fail!("the same bytes twice: {later}");
        }
        guest.power_off()
    });
}

/// The sixteen bytes behind `label`, as text.
pub fn bytes(text: &str, label: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix(label)?.trim();
        let all = rest.split(' ').all(|byte| byte.len() == 2 && u8::from_str_radix(byte, 16).is_ok());
        (all && rest.split(' ').count() == 16).then(|| rest.to_owned())
    })
}

/// The other version of Arm's interrupt controller; it has no messages that the kernel could use.
pub fn gicv3(report: &mut Report, kernel: Option<&Kernel>) {
    for transport in [Transport::Mmio, Transport::Pci] {
        let pair = Pair { transport, ..defaults(Arch::Aarch64).pair };
        let name = format!("{pair} sleeps with version 3 of the interrupt controller");
        let Some(kernel) = kernel else { return report.not_reached(&name) };
        let qemu_args = ["-machine", "gic-version=3"].map(OsString::from).into();
        let options = RunOptions { qemu_args, ..RunOptions::on(pair) };
        report.check(&name, || sleeps(&options, kernel, |_| false));
    }
}

/// A keyboard without messages, on a line that is high already when the kernel lets it through: a pin of the I/O APIC that is
/// turned from edge to level only then never delivers it.
pub fn line_on_x86_64(report: &mut Report, kernel: Option<&Kernel>) {
    let pair = Pair { arch: Arch::X86_64, transport: Transport::Pci };
    let name = format!("{pair} is woken by a line as well");
    let Some(kernel) = kernel else { return report.not_reached(&name) };
    let qemu_args = ["-global", "virtio-keyboard-pci.vectors=0"].map(OsString::from).into();
    let options = RunOptions { qemu_args, ..RunOptions::on(pair) };
    report.check(&name, || sleeps(&options, kernel, |device| device != "keyboard"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "irq
  NUMBER   KIND      DEVICE     TELLS OF                  CAME
  48       message   keyboard   config                    1
  49       message   keyboard   queue 0, queue 1          9
  33       line      serial     received bytes            0
  asleep        97.5 % of 3.10 s
> ";

    #[test]
    fn an_answer_is_read() {
        let answer = Answer::parse(TEXT).unwrap();
        assert_eq!((answer.rows.len(), answer.came("keyboard"), answer.came("gpu")), (3, 9, 0));
        assert!((answer.asleep - 97.5).abs() < 0.01);
        assert!(Answer::parse("irq\n  polled: interrupts are off\n> ").is_err());
        assert!(Answer::parse(&TEXT.replace("  asleep", "  nobody's      3\n  asleep")).is_err());
    }

    #[test]
    fn bytes_are_sixteen() {
        let line = format!("a\nrng: {}\n", ["0f"; 16].join(" "));
        assert_eq!(bytes(&line, "rng:"), Some(["0f"; 16].join(" ")));
        assert_eq!(bytes(&line.replace("0f 0f", "0f"), "rng:"), None);
        assert_eq!(bytes("rng: the device misbehaved", "rng:"), None);
    }
}
