//! Architectures and transports, and what QEMU calls the machines that have them.

use std::fmt;

/// An architecture with an example kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit Arm.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
    /// 64-bit x86.
    X86_64,
}

/// How the virtio devices are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// virtio-mmio version 1, QEMU's own default.
    MmioLegacy,
    /// virtio-mmio version 2.
    Mmio,
    /// virtio-pci, modern.
    Pci,
    /// The same, and beside it an entropy device with the legacy interface of PCI: QEMU's GPU and keyboard have none.
    PciLegacy,
}

/// An architecture with one of its transports: one thing that can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Which kernel.
    pub arch: Arch,
    /// Which devices.
    pub transport: Transport,
}

impl Arch {
    /// Every architecture.
    pub const ALL: [Self; 3] = [Self::Aarch64, Self::Riscv64, Self::X86_64];

    /// The name on the command line, and of the folder under `examples/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::Riscv64 => "riscv64",
            Self::X86_64 => "x86_64",
        }
    }

    /// The architecture called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.name() == name)
    }

    /// The Rust target the kernel is built for.
    pub fn target(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64-unknown-none",
            Self::Riscv64 => "riscv64gc-unknown-none-elf",
            Self::X86_64 => "x86_64-unknown-none",
        }
    }

    /// The QEMU program.
    pub fn qemu(self) -> &'static str {
        match self {
            Self::Aarch64 => "qemu-system-aarch64",
            Self::Riscv64 => "qemu-system-riscv64",
            Self::X86_64 => "qemu-system-x86_64",
        }
    }

    /// The transport that is taken when none is asked for.
    pub fn default_transport(self) -> Transport {
        match self {
            Self::Aarch64 | Self::Riscv64 => Transport::MmioLegacy,
            Self::X86_64 => Transport::Pci,
        }
    }

    /// The status QEMU exits with when the kernel powered off content.
    ///
    /// On x86_64 the kernel leaves through `isa-debug-exit`, which turns the written value `v`
    /// into `2 v + 1` and so can never be 0: the kernels write 0x10.
    pub fn success_status(self) -> i32 {
        match self {
            Self::Aarch64 | Self::Riscv64 => 0,
            Self::X86_64 => 0x10 << 1 | 1,
        }
    }
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 4] = [Self::MmioLegacy, Self::Mmio, Self::Pci, Self::PciLegacy];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::MmioLegacy => "mmio-legacy",
            Self::Mmio => "mmio",
            Self::Pci => "pci",
            Self::PciLegacy => "pci-legacy",
        }
    }

    /// The transport called `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.name() == name)
    }

    /// Whether no device on it is a legacy one: those have neither packed rings nor an IOMMU (VIRTIO 1.4 §2.8 and §6 came
    /// after them).
    pub fn is_modern(self) -> bool {
        matches!(self, Self::Mmio | Self::Pci)
    }

    /// The end of QEMU's device names: `virtio-gpu-…`.
    pub fn device_suffix(self) -> &'static str {
        match self {
            Self::MmioLegacy | Self::Mmio => "device",
            Self::Pci | Self::PciLegacy => "pci",
        }
    }
}

impl Pair {
    /// Every pair QEMU has a machine for, which is all of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Arch::ALL
            .into_iter()
            .flat_map(|arch| Transport::ALL.into_iter().map(move |transport| Self { arch, transport }))
    }

    /// QEMU's name of the machine.
    pub fn machine(self) -> &'static str {
        match (self.arch, self.transport) {
            (Arch::Aarch64 | Arch::Riscv64, _) => "virt",
            (Arch::X86_64, Transport::Pci | Transport::PciLegacy) => "q35",
            (Arch::X86_64, _) => "microvm",
        }
    }

    /// What `--list` prints: one pair a line, the defaults marked.
    pub fn list(pairs: &[Self]) -> String {
        let line = |pair: &Self| {
            let default = if pair.transport != pair.arch.default_transport() {
                ""
            } else if pair.arch == Arch::Aarch64 {
                "  (default)"
            } else {
                "  (default of the architecture)"
            };
            format!("{:8} {:12} {:8}{default}", pair.arch.name(), pair.transport.name(), pair.machine())
                .trim_end()
                .to_owned()
        };
        pairs.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.arch.name(), self.transport.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for pair in Pair::all() {
            assert_eq!(Arch::parse(pair.arch.name()), Some(pair.arch));
            assert_eq!(Transport::parse(pair.transport.name()), Some(pair.transport));
        }
        assert_eq!(Arch::parse("arm"), None);
        assert_eq!(Transport::parse(""), None);
    }

    #[test]
    fn x86_64_has_its_mmio_on_microvm() {
        let machine = |transport| Pair { arch: Arch::X86_64, transport }.machine();
        assert_eq!(Transport::ALL.map(machine), ["microvm", "microvm", "q35", "q35"]);
    }

    #[test]
    fn the_list_has_every_pair_and_one_default() {
        let list = Pair::list(&Pair::all().collect::<Vec<_>>());
        assert_eq!(list.lines().count(), 12);
        assert_eq!(list.matches("(default)").count(), 1);
        assert!(
            list.lines().any(|line| line.starts_with("aarch64  mmio-legacy  virt") && line.ends_with(")"))
        );
    }
}
