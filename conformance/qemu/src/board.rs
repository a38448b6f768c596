//! The machines that QEMU is asked for, and where their devices are.

use virtio::PhysAddr;
use virtio::pci::{Window, Windows};

use crate::regs::Space;

/// A kind of machine. Addresses are those of QEMU's source and device trees, the same since long before QEMU 7.2.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// Its name, and that of its processor.
    pub name: &'static str,
    /// QEMU's program for it.
    pub program: &'static str,
    /// The package that has the program, on Debian.
    pub package: &'static str,
    /// Arguments: the machine itself, and what keeps its processors idle.
    pub(crate) arguments: &'static [&'static str],
    /// Physical address of the first byte of RAM.
    pub(crate) ram: u64,
    /// Bytes of RAM that are the machine's own, at its start.
    pub(crate) reserved: usize,
    /// What stands at the start of RAM: a loop that waits for ever.
    pub(crate) idle: &'static [u8],
    /// What stands in ROM, if it needs one.
    pub(crate) rom: Option<fn() -> Vec<u8>>,
    /// The interrupt controller: its path among QEMU's objects, or, in `/machine/unattached`, its type.
    pub(crate) controller: Controller,
    /// Slots for devices with memory-mapped registers.
    pub slots: Option<Slots>,
    /// Its PCI host bridge.
    pub pci: Pci,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Controller {
    Path(&'static str),
    Type(&'static str),
}

/// A row of virtio MMIO slots.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    /// Where the first one is.
    pub base: u64,
    /// From one to the next, in bytes.
    pub stride: usize,
    /// How many.
    pub count: usize,
    /// The first one's line at the interrupt controller.
    pub irq: u32,
}

/// A PCI host bridge.
#[derive(Clone, Copy, Debug)]
pub struct Pci {
    /// Where configuration space is memory-mapped; by the ports 0xCF8 and 0xCFC if not.
    pub ecam: Option<u64>,
    /// What it forwards.
    pub windows: Windows,
    /// How its I/O window is reached.
    pub io: Space,
    /// The lines of INTA to INTD at the interrupt controller, for device 0.
    pub irqs: [u32; 4],
}

impl Board {
    /// QEMU's `virt` for 64-bit Arm.
    pub const AARCH64: Self = Self {
        name: "aarch64",
        program: "qemu-system-aarch64",
        package: "qemu-system-arm",
        arguments: &[
            "-M",
            "virt,memory-backend=m",
            "-cpu",
            "cortex-a57",
            "-global",
            "arm-cpu.start-powered-off=true",
        ],
        ram: 0x4000_0000,
        reserved: 0x10_0000,
        idle: &[],
        rom: None,
        controller: Controller::Type("child<arm_gic>"),
        slots: Some(Slots { base: 0x0a00_0000, stride: 0x200, count: 32, irq: 16 }),
        pci: Pci {
            ecam: Some(0x40_1000_0000),
            windows: Windows {
                io: Some(Window { bus: 0, cpu: PhysAddr::new(0x3eff_0000), len: 0x1_0000 }),
                mem32: Some(Window::identity(0x1000_0000, 0x2eff_0000)),
                mem64: Some(Window::identity(0x80_0000_0000, 0x80_0000_0000)),
            },
            io: Space::Memory,
            irqs: [3, 4, 5, 6],
        },
    };

    /// QEMU's `virt` for 64-bit RISC-V.
    pub const RISCV64: Self = Self {
        name: "riscv64",
        program: "qemu-system-riscv64",
        package: "qemu-system-misc",
        arguments: &["-M", "virt,memory-backend=m", "-bios", "none"],
        ram: 0x8000_0000,
        reserved: 0x10_0000,
        // wfi; j .-4
        idle: &[0x73, 0x00, 0x50, 0x10, 0x6f, 0xf0, 0xdf, 0xff],
        rom: None,
        controller: Controller::Type("child<riscv.sifive.plic>"),
        slots: Some(Slots { base: 0x1000_1000, stride: 0x1000, count: 8, irq: 1 }),
        pci: Pci {
            ecam: Some(0x3000_0000),
            windows: Windows {
                io: Some(Window { bus: 0, cpu: PhysAddr::new(0x0300_0000), len: 0x1_0000 }),
                mem32: Some(Window::identity(0x4000_0000, 0x4000_0000)),
                mem64: Some(Window::identity(0x4_0000_0000, 0x4_0000_0000)),
            },
            io: Space::Memory,
            irqs: [32, 33, 34, 35],
        },
    };

    /// QEMU's `q35`: a PC. Configuration space and legacy devices are reached through I/O ports.
    pub const X86_64: Self = Self {
        name: "x86_64",
        program: "qemu-system-x86_64",
        package: "qemu-system-x86",
        arguments: &["-M", "q35,memory-backend=m"],
        ram: 0,
        reserved: 0x20_0000,
        idle: &[],
        rom: Some(halting_rom),
        controller: Controller::Path("/machine/q35/ioapic"),
        slots: None,
        pci: Pci {
            ecam: None,
            windows: Windows {
                io: Some(Window::identity(0xc000, 0x4000)),
                mem32: Some(Window::identity(0xe000_0000, 0x1000_0000)),
                mem64: Some(Window::identity(0x10_0000_0000, 0x10_0000_0000)),
            },
            io: Space::Ports,
            // PIRQE to PIRQH, which firmware has nothing to do with.
            irqs: [20, 21, 22, 23],
        },
    };
}

/// 64 KiB whose reset vector, 16 bytes before the end, is `cli; hlt` in a loop.
fn halting_rom() -> Vec<u8> {
    let mut rom = vec![0xf4; 0x1_0000];
    rom[0xfff0..0xfff4].copy_from_slice(&[0xfa, 0xf4, 0xeb, 0xfd]);
    rom
}
