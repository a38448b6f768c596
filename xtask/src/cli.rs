//! Command-line options of `run`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::prelude::*;

use crate::arch::{Arch, Pair, Transport};
use crate::devices::{Devices, Kind};
use crate::failure::{Context, Failure, Result, fail};
use crate::keys;

/// What `cargo xtask help` prints.
pub const HELP: &str = "\
cargo xtask run [OPTIONS] [-- QEMU ARGS]   boot an example kernel in QEMU (the same as ./run.sh)
    --arch aarch64|riscv64|x86_64          which kernel      [aarch64; with pci-legacy: x86_64]
    --transport mmio-legacy|mmio|pci|pci-legacy
                                           which kind of device  [mmio-legacy; x86_64: pci]
    --devices LIST|all                     attach these as well, with commas between them: rng, blk, net, console, mouse,
                                           tablet (gpu and keyboard are always there, but for --without)
    --without DEVICE                       leave a device out; may be said again
    --headless                             no window: picture, then power off; if the kernel serves its page by then
                                           (--devices net --type net), prints the page's URL and stays, until Ctrl-C,
                                           or for --timeout SECONDS if that is said; with --screenshot it does not stay
    --screenshot FILE.png                  where the picture goes  [target/demo/ARCH-TRANSPORT[-…].png]
    --type TEXT                            type TEXT and Enter before the picture is taken
    --packed                               devices that offer packed rings (mmio and pci only)
    --polled                               no interrupts: the kernel asks its devices again and again
    --iommu                                devices with ACCESS_PLATFORM, all buffers through a pool (mmio, pci)
    --timeout SECONDS                      counted from QEMU's start: for all up to the power-off, or to stay  [60]
    --accel tcg|kvm                        emulate, or use the host's processor      [tcg]
    --defmt                                build the kernel with defmt, decode its log here
    --list                                 print the valid pairs, of --arch and --transport if given, and stop
cargo xtask test [host|bench|outside|packages|guests|devices|defmt]  every test, or a part; ends in `N passed, N failed`
cargo xtask ci                             all that CI runs
cargo xtask miri                           the host tests of core and test kit under Miri, the races with many seeds
cargo xtask loom                           the hand-shakes of the queue, in every order of accesses that loom finds
cargo xtask fuzz [--seconds N] [TARGET]    feed each target of fuzz/, or one, with what libFuzzer invents  [60 s each]
cargo xtask fuzz TARGET INPUT              feed it this one file, as after a crash
cargo xtask stack                          the frames of core in a debug build, none above 1024 bytes
cargo xtask stress [--requests N]          two threads, one queue, no lost notification       [50000000]
cargo xtask bench [ARGS]                   measure; `cargo xtask bench` alone says what there is
cargo xtask conformance [--record]         which clauses of the specification are shown, and by what
cargo xtask new-device NAME [--id N]       lay out the crate of a device: CONTRIBUTING, \"How to add a device\"
    --out DIR [--core DIR|URL]             as a package of its own, outside this tree, on the core at DIR or URL
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
    /// Which devices are attached.
    pub devices: Devices,
    /// How long everything up to the power-off may take, from QEMU's start.
    pub timeout: Duration,
    /// That was asked for: a run that would stay ends then.
    pub ends: bool,
    /// Have the devices offer packed rings.
    pub packed: bool,
    /// Have the kernel use no interrupts.
    pub polled: bool,
    /// Have the devices insist on the platform's addresses, and the kernel on its pool of pages.
    pub iommu: bool,
    /// Use KVM.
    pub kvm: bool,
    /// Log by defmt.
    pub defmt: bool,
    /// Run nothing, print these pairs.
    pub list: Option<Vec<Pair>>,
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
            devices: Devices::default(),
            timeout: Duration::from_secs(60),
            ends: false,
            packed: false,
            polled: false,
            iommu: false,
            kvm: false,
            defmt: false,
            list: None,
            qemu_args: Vec::new(),
        }
    }
}

impl RunOptions {
    /// A run on one pair, with the devices that belong to it.
    pub fn on(pair: Pair) -> Self {
        let mut options = Self { pair, ..Self::default() };
        if pair.transport == Transport::PciLegacy {
            // Something that has the legacy interface: what that transport is about.
            options.devices = options.devices.with(Kind::Rng);
        }
        options
    }

    /// Reads the options; paths count from `folder`, the one the user called from.
    pub fn parse(args: &[OsString], folder: &Path) -> Result<Self> {
        // What follows `--` is QEMU's and none of ours.
        let mut parts = args.splitn(2, |arg| arg == "--");
        let ours = parts.next().unwrap_or_default();
        let mut options = Self { qemu_args: parts.next().unwrap_or_default().to_vec(), ..Self::default() };
        let (mut arch, mut transport, mut list) = (None, None, false);
        let mut left_out = Vec::new();

        let mut parser = lexopt::Parser::from_args(ours);
        while let Some(arg) = parser.next().context("options")? {
            match arg {
                Long("arch") => {
                    let name = value(&mut parser, "--arch")?;
                    arch = Some(
                        Arch::parse(&name)
                            .context(format!("--arch {name}: it is aarch64, riscv64 or x86_64"))?,
                    );
                }
                Long("transport") => {
                    let name = value(&mut parser, "--transport")?;
                    transport = Some(Transport::parse(&name).context(format!(
                        "--transport {name}: it is mmio-legacy, mmio, pci or pci-legacy"
                    ))?);
                }
                Long("headless") => options.headless = true,
                Long("screenshot") => {
                    let file = PathBuf::from(parser.value().map_err(Failure::new)?);
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
                Long("devices") => match Devices::parse(&value(&mut parser, "--devices")?) {
                    Ok(devices) => options.devices = options.devices.and(devices),
                    Err(word) => fail!("--devices: {word:?} is none; they are {}, or all", Devices::ALL),
                },
                Long("without") => {
                    let name = value(&mut parser, "--without")?;
                    let kind = Kind::parse(&name);
                    left_out.push(kind.context(format!("--without {name}: it is one of {}", Devices::ALL))?);
                }
                Long("packed") => options.packed = true,
                Long("polled") => options.polled = true,
                Long("iommu") => options.iommu = true,
                Long("timeout") => {
                    options.timeout = Duration::from_secs(number(&mut parser, "--timeout")?);
                    options.ends = true;
                }
                Long("accel") => match value(&mut parser, "--accel")?.as_str() {
                    "tcg" => options.kvm = false,
                    "kvm" => options.kvm = true,
                    other => fail!("--accel {other}: it is tcg or kvm"),
                },
                Long("defmt") => options.defmt = true,
                Long("list") => list = true,
                other => fail!("{}; `./run.sh --help` lists the options", other.unexpected()),
            }
        }
        if list {
            let chosen = |pair: &Pair| {
                arch.is_none_or(|arch| pair.arch == arch)
                    && transport.is_none_or(|transport| pair.transport == transport)
                    && (!(options.packed || options.iommu) || pair.transport.is_modern())
            };
            options.list = Some(Pair::all().filter(chosen).collect());
            return Ok(options);
        }
        // Legacy PCI is reached by ports, and those are at home on x86.
        let usual = if transport == Some(Transport::PciLegacy) { Arch::X86_64 } else { options.pair.arch };
        let arch = arch.unwrap_or(usual);
        options.pair = Pair { arch, transport: transport.unwrap_or(arch.default_transport()) };
        options.devices = options.devices.and(Self::on(options.pair).devices);
        options.devices = left_out.into_iter().fold(options.devices, Devices::without);
        let name = options.pair;
        if options.packed && !name.transport.is_modern() {
            fail!(
                "--packed: {name} has a legacy device, which has no packed rings; use --transport mmio or pci"
            );
        }
        if options.iommu && !name.transport.is_modern() {
            fail!("--iommu: {name} has a legacy device, which knows no IOMMU; use --transport mmio or pci");
        }
        Ok(options)
    }

    /// What is run, for messages: `aarch64/mmio`, `x86_64/pci packed`.
    pub fn name(&self) -> String {
        let mut name = self.pair.to_string();
        for (set, word) in [(self.packed, " packed"), (self.polled, " polled"), (self.iommu, " iommu")] {
            name.push_str(if set { word } else { "" });
        }
        name
    }

    /// The same, for files.
    pub fn file_name(&self) -> String {
        self.name().replace(['/', ' '], "-")
    }
}

/// The value of the option just read. Where there is none, the parser says of which.
pub fn value(parser: &mut lexopt::Parser, option: &str) -> Result<String> {
    parser.value().map_err(Failure::new)?.string().context(option)
}

/// The value of the option just read, as a number.
pub fn number(parser: &mut lexopt::Parser, option: &str) -> Result<u64> {
    let text = value(parser, option)?;
    text.parse().context(format!("{option} {text}: not a number"))
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
        assert_eq!(parse("--transport pci-legacy").unwrap().pair.to_string(), "x86_64/pci-legacy");
        assert_eq!(parse("--arch=riscv64").unwrap().pair.to_string(), "riscv64/mmio-legacy");
    }

    #[test]
    fn everything_at_once() {
        let options = parse(
            "--headless --screenshot a.png --type edid --without gpu --without keyboard \
             --transport mmio --packed --polled --iommu --timeout 7 --accel kvm --defmt -- -smp 2 --headless",
        )
        .unwrap();
        assert!(options.headless && options.kvm && options.defmt && options.packed);
        assert!(options.polled && options.iommu);
        assert_eq!(options.file_name(), "aarch64-mmio-packed-polled-iommu");
        assert_eq!(options.devices.iter().count(), 0);
        assert!(options.ends);
        assert_eq!(options.screenshot.as_deref(), Some(Path::new("/home/me/a.png")));
        assert_eq!(options.text.as_deref(), Some("edid"));
        assert_eq!(options.timeout, Duration::from_secs(7));
        assert_eq!(options.qemu_args, ["-smp", "2", "--headless"]);
    }

    #[test]
    fn devices_are_added_and_left_out_wherever_they_stand() {
        let devices = |line: &str| parse(line).unwrap().devices.to_string();
        assert_eq!(devices(""), "gpu, keyboard");
        assert_eq!(devices("--devices blk,net"), "gpu, keyboard, blk, net");
        assert_eq!(devices("--without net --devices blk,net --without keyboard"), "gpu, blk");
        assert_eq!(devices("--devices all"), Devices::ALL.to_string());
        assert_eq!(devices("--devices all --without gpu").split(", ").count(), 7);
        assert_eq!(devices("--transport pci-legacy"), "gpu, keyboard, rng");
        assert!(!parse("--devices all").unwrap().ends);
    }

    #[test]
    fn packed_rings_need_a_modern_device() {
        for line in ["--packed --transport mmio", "--arch x86_64 --packed"] {
            assert!(parse(line).unwrap().packed, "{line}");
        }
        for line in ["--packed", "--packed --arch x86_64 --transport mmio-legacy"] {
            let said = parse(line).unwrap_err().to_string();
            assert!(said.contains("--transport mmio or pci"), "{said}");
        }
        let options = parse("--transport pci --packed").unwrap();
        assert_eq!(options.name(), "aarch64/pci packed");
        assert_eq!(options.file_name(), "aarch64-pci-packed");
    }

    #[test]
    fn the_list_is_of_what_was_asked_for() {
        let list = |line: &str| -> Vec<String> {
            parse(line).unwrap().list.unwrap().iter().map(Pair::to_string).collect()
        };
        assert_eq!(list("--list").len(), 12);
        let riscv64 = ["riscv64/mmio-legacy", "riscv64/mmio", "riscv64/pci", "riscv64/pci-legacy"];
        assert_eq!(list("--arch riscv64 --list"), riscv64);
        assert_eq!(list("--list --transport mmio --arch riscv64"), riscv64[1..2]);
        assert_eq!(list("--list --packed --arch riscv64"), riscv64[1..3]);
        assert_eq!(parse("--arch riscv64").unwrap().list, None);
    }

    #[test]
    fn a_missing_value_is_said_once() {
        for option in ["--arch", "--transport", "--screenshot", "--type", "--timeout", "--devices"] {
            let said = parse(option).unwrap_err().to_string();
            assert_eq!(said.matches(option).count(), 1, "{said}");
        }
    }

    #[test]
    fn wrong_options_are_named() {
        for (line, word) in [
            ("--arch arm", "aarch64, riscv64 or x86_64"),
            ("--transport ccw", "mmio-legacy, mmio, pci or pci-legacy"),
            ("--iommu", "--transport mmio or pci"),
            ("--without disk", "gpu, keyboard, mouse"),
            ("--devices blk,disk", "\"disk\""),
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
