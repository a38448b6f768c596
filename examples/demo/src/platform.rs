//! What the demo asks of a kernel.

use crate::{Frames, Handlers, MsixMessage, Options};
use core::time::Duration;
use virtio::interrupt::Shareable;
use virtio::pci::IoRange;
use virtio::{Hal, HalError};

/// The services of a kernel that the demo uses. One implementation per architecture.
pub trait Platform {
    /// What the drivers are given: DMA memory, mappings, time.
    type Hal: Hal + Clone + 'static;

    /// How ports are reached, or what stands for ports: those of PCI configuration space, those of legacy devices.
    type Ports: Shareable + 'static;

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

    /// The registers of a PCI device that lie in I/O space: ports, or memory that stands for ports.
    ///
    /// # Errors
    ///
    /// This machine has no such space.
    fn io_registers(&self, range: IoRange) -> Result<Self::Ports, HalError> {
        let _ = range;
        Err(HalError::CannotMap)
    }

    /// Writes to the serial line, and returns when all of it has been taken.
    fn serial_write(&self, bytes: &[u8]);

    /// The next byte from the serial line, or `None` when nothing waits.
    fn serial_read(&self) -> Option<u8>;

    /// What the command line asks for.
    fn options(&self) -> Options {
        Options::default()
    }

    /// Where the kernel's interrupt entry asks who an interrupt is for: one static.
    fn handlers(&self) -> &'static Handlers<Self::Hal, Self::Ports>;

    /// Switches a wired interrupt on at the controller, by the number that the [`Machine`](crate::Machine) gives; false if
    /// there is no such interrupt.
    fn enable_interrupt(&self, number: u32) -> bool {
        let _ = number;
        false
    }

    /// A message that raises an interrupt of its own, switched on, and the number it arrives under. `None` if there are no
    /// messages, or no more.
    fn message_interrupt(&self) -> Option<(u32, MsixMessage)> {
        None
    }

    /// The number of the serial line's receive interrupt. The kernel's interrupt entry masks it at the UART when it comes,
    /// and [`Platform::serial_read`] unmasks it when nothing is left to read. It is switched on by
    /// [`Platform::enable_interrupt`] like any other.
    fn serial_interrupt(&self) -> Option<u32> {
        None
    }

    /// Sleeps until an interrupt arrives, unless `awake`, asked with interrupts off, says that there is something to do.
    /// Returns with interrupts on, and with the handler of what arrived behind it.
    fn sleep(&self, awake: &dyn Fn() -> bool) {
        if !awake() {
            core::hint::spin_loop();
        }
    }

    /// Asks for an interrupt after so long, or earlier if the timer does not count that far: one that nobody handles, and that
    /// ends a sleep. It takes the place of the one asked for before. False if there is no timer.
    fn set_alarm(&self, after: Duration) -> bool {
        let _ = after;
        false
    }

    /// Ends the machine. QEMU's exit code tells success from failure.
    fn power_off(&self, success: bool) -> !;
}
