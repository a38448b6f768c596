//! Command-line options of `run`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::prelude::*;

use crate::arch::{Arch, Pair, Transport};
use crate::failure::{Context, Result, fail};
use crate::keys;

/// What `cargo xtask help` prints.
pub const HELP: &str = "\
cargo xtask run [OPTIONS] [-- QEMU ARGS]   boot an example kernel in QEMU (the same as ./run.sh)
    --arch aarch64|riscv64|x86_64          which kernel                          [aarch64]
    --transport mmio-legacy|mmio|pci       which kind of device  [mmio-legacy; x86_64: pci]
    --headless                             no window, no shell: picture, then power off
    --screenshot FILE.png                  where the picture goes  [target/demo/ARCH-TRANSPORT.png]
    --type TEXT                            type TEXT and Enter before the picture is taken
    --without gpu|keyboard                 leave a device out
    --timeout SECONDS                      counted from QEMU's start                  [60]
    --accel tcg|kvm                        emulate, or use the host's processor      [tcg]
    --defmt                                build the kernel with defmt, decode its log here
    --list                                 print the valid pairs and stop
cargo xtask test [host|packages|guests|defmt]  every test, or a part; ends in `N passed, N failed`
cargo xtask ci                             all that CI runs
cargo xtask miri                           the host tests of core and test kit under Miri
cargo xtask setup [--arch ARCH]            find and fetch what is missing, for one or all
cargo xtask help                           this text";

/// Everything `run` can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOptions {
    /// Which kernel on which devices.
    pub pair: Pair,
    /// No window, no shell.
    pub headless: bool,
    /// Where the picture goes, if not to the default place.
    pub screenshot: Option<PathBuf>,
    /// What is typed before the picture is taken.
    pub text: Option<String>,
    /// Attach a GPU.
    pub gpu: bool,
    /// Attach a keyboard.
    pub keyboard: bool,
    /// How long everything up to the power-off may take, from QEMU's start.
    pub timeout: Duration,
    /// Use KVM.
    pub kvm: bool,
    /// Log by defmt.
    pub defmt: bool,
    /// Print the pairs only.
    pub list: bool,
    /// Handed to QEMU behind our own.
    pub qemu_args: Vec<OsString>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            pair: Pair { arch: Arch::Aarch64, transport: Arch::Aarch64.default_transport() },
            headless: false,
            screenshot: None,
            text: None,
            gpu: true,
            keyboard: true,
            timeout: Duration::from_secs(60),
            kvm: false,
            defmt: false,
            list: false,
            qemu_args: Vec::new(),
        }
    }
}

impl RunOptions {
    /// Reads the options; paths count from `folder`, the one the user called from.
    pub fn parse(args: &[OsString], folder: &Path) -> Result<Self> {
        // What follows `--` is QEMU's and none of ours.
        let mut parts = args.splitn(2, |arg| arg == "--");
        let ours = parts.next().unwrap_or_default();
        let mut options = Self { qemu_args: parts.next().unwrap_or_default().to_vec(), ..Self::default() };
        let mut transport = None;

        let mut parser = lexopt::Parser::from_args(ours);
        while let Some(arg) = parser.next().context("options")? {
            match arg {
                Long("arch") => {
                    let name = value(&mut parser, "--arch")?;
                    options.pair.arch = Arch::parse(&name)
                        .context(format!("--arch {name}: it is aarch64, riscv64 or x86_64"))?;
                }
                Long("transport") => {
                    let name = value(&mut parser, "--transport")?;
                    transport = Some(
                        Transport::parse(&name)
                            .context(format!("--transport {name}: it is mmio-legacy, mmio or pci"))?,
                    );
                }
                Long("headless") => options.headless = true,
                Long("screenshot") => {
                    let file = PathBuf::from(parser.value().context("--screenshot")?);
                    if file.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("png")) {
                        fail!("--screenshot {}: the name must end in .png", file.display());
                    }
                    options.screenshot = Some(folder.join(file));
                }
                Long("type") => {
                    let text = value(&mut parser, "--type")?;
                    if let Some(letter) = text.chars().find(|&letter| keys::key(letter).is_none()) {
                        fail!("--type: the keyboard has no key for {letter:?}");
                    }
                    options.text = Some(text);
                }
                Long("without") => match value(&mut parser, "--without")?.as_str() {
                    "gpu" => options.gpu = false,
                    "keyboard" => options.keyboard = false,
                    other => fail!("--without {other}: it is gpu or keyboard"),
                },
                Long("timeout") => {
                    let text = value(&mut parser, "--timeout")?;
                    let seconds =
                        text.parse().context(format!("--timeout {text}: not a number of seconds"))?;
                    options.timeout = Duration::from_secs(seconds);
                }
                Long("accel") => match value(&mut parser, "--accel")?.as_str() {
                    "tcg" => options.kvm = false,
                    "kvm" => options.kvm = true,
                    other => fail!("--accel {other}: it is tcg or kvm"),
                },
                Long("defmt") => options.defmt = true,
                Long("list") => options.list = true,
                other => fail!("{}; `./run.sh --help` lists the options", other.unexpected()),
            }
        }
        options.pair.transport = transport.unwrap_or(options.pair.arch.default_transport());
        Ok(options)
    }
}

fn value(parser: &mut lexopt::Parser, option: &str) -> Result<String> {
    parser.value().and_then(|value| value.string()).context(option)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<RunOptions> {
        let args: Vec<_> = line.split_whitespace().map(OsString::from).collect();
        RunOptions::parse(&args, Path::new("/home/me"))
    }

    #[test]
    fn nothing_said_is_aarch64_with_qemus_default() {
        assert_eq!(parse("").unwrap(), RunOptions::default());
        assert_eq!(parse("").unwrap().pair.to_string(), "aarch64/mmio-legacy");
    }

    #[test]
    fn the_default_transport_follows_the_architecture_wherever_it_stands() {
        assert_eq!(parse("--arch x86_64").unwrap().pair.to_string(), "x86_64/pci");
        assert_eq!(parse("--transport mmio --arch x86_64").unwrap().pair.to_string(), "x86_64/mmio");
        assert_eq!(parse("--arch=riscv64").unwrap().pair.to_string(), "riscv64/mmio-legacy");
    }

    #[test]
    fn everything_at_once() {
        let options = parse(
            "--headless --screenshot a.png --type edid --without gpu --without keyboard \
             --timeout 7 --accel kvm --defmt --list -- -smp 2 --headless",
        )
        .unwrap();
        assert!(options.headless && options.kvm && options.defmt && options.list);
        assert!(!options.gpu && !options.keyboard);
        assert_eq!(options.screenshot.as_deref(), Some(Path::new("/home/me/a.png")));
        assert_eq!(options.text.as_deref(), Some("edid"));
        assert_eq!(options.timeout, Duration::from_secs(7));
        assert_eq!(options.qemu_args, ["-smp", "2", "--headless"]);
    }

    #[test]
    fn wrong_options_are_named() {
        for (line, word) in [
            ("--arch arm", "aarch64, riscv64 or x86_64"),
            ("--transport ccw", "mmio-legacy, mmio or pci"),
            ("--without mouse", "gpu or keyboard"),
            ("--timeout soon", "soon"),
            ("--accel hvf", "tcg or kvm"),
            ("--screenshot a.jpg", ".png"),
            ("--screenshot", "--screenshot"),
            ("--type ä", "'ä'"),
            ("--fast", "--fast"),
            ("edid", "edid"),
        ] {
            let said = parse(line).unwrap_err().to_string();
            assert!(said.contains(word), "{line}: {said}");
        }
    }
}
