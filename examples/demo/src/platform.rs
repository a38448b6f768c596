//! What the demo asks of a kernel.

use crate::Frames;
use virtio::Hal;
use virtio::regs::Registers;

/// The services of a kernel that the demo uses. One implementation per architecture.
pub trait Platform {
    /// What the drivers are given: DMA memory, mappings, time.
    type Hal: Hal + Clone + 'static;

    /// How the ports of PCI configuration space are reached, on an architecture that has ports.
    type Ports: Registers;

    /// The architecture's name, as the banner shows it: `aarch64`, `riscv64`, `x86_64`.
    const ARCH: &'static str;

    /// The drivers' side of the kernel.
    fn hal(&self) -> Self::Hal;

    /// Where [`Platform::hal`] takes its pages from: after `off` all of them must be back.
    fn frames(&self) -> &Frames;

    /// The ports 0xCF8 to 0xCFF, once, to whom the machine says to use them
    /// ([`PciConfig::Ports`](crate::PciConfig::Ports)).
    fn pci_ports(&self) -> Option<Self::Ports> {
        None
    }

    /// Writes to the serial line, and returns when all of it has been taken.
    fn serial_write(&self, bytes: &[u8]);

    /// The next byte from the serial line, or `None` when nothing waits.
    fn serial_read(&self) -> Option<u8>;

    /// Ends the machine. QEMU's exit code tells success from failure.
    fn power_off(&self, success: bool) -> !;
}
