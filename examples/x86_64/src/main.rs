//! An x86_64 kernel for QEMU's `q35` and `microvm` machines, just big enough to run the demo.

#![no_std]
#![no_main]

mod apic;
mod boot;
mod clock;
mod critical;
mod exit;
mod fault;
mod hal;
mod idt;
mod interrupt;
mod ioapic;
#[cfg(feature = "defmt")]
mod log;
mod machine;
mod memory;
mod paging;
mod port;
mod serial;
mod start;
mod uart;

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use demo::{Frames, Handlers, Machine, MsixMessage, Options, Platform};
use start::StartInfo;
use virtio::pci::IoRange;
use virtio::regs::PortRegs;
use virtio::{HalError, OffsetHal};

/// Who is asked when an interrupt arrives.
static HANDLERS: Handlers<OffsetHal<hal::Ram>, PortRegs> = Handlers::new();

/// This kernel, as the demo sees it.
struct Kernel {
    options: Options,
}

impl Platform for Kernel {
    type Hal = OffsetHal<hal::Ram>;
    type Ports = PortRegs;

    const ARCH: &'static str = "x86_64";

    fn hal(&self) -> Self::Hal {
        hal::hal()
    }

    fn frames(&self) -> &Frames {
        &hal::FRAMES
    }

    fn pci_ports(&self) -> Option<Self::Ports> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let first = !TAKEN.swap(true, Ordering::Relaxed);
        // SAFETY: only the first call gets here, and `machine` has looked at the ports before.
        first.then(|| unsafe { machine::pci_ports() })
    }

    fn io_registers(&self, range: IoRange) -> Result<Self::Ports, HalError> {
        // SAFETY: the demo asks for the BAR of a function that it is about to drive.
        unsafe { machine::bar_ports(range) }
    }

    fn serial_write(&self, bytes: &[u8]) {
        serial::write(bytes);
    }

    fn serial_read(&self) -> Option<u8> {
        uart::read()
    }

    fn options(&self) -> Options {
        self.options
    }

    fn handlers(&self) -> &'static Handlers<Self::Hal, Self::Ports> {
        &HANDLERS
    }

    fn enable_interrupt(&self, number: u32) -> bool {
        interrupt::enable_line(number)
    }

    fn message_interrupt(&self) -> Option<(u32, MsixMessage)> {
        interrupt::message()
    }

    fn serial_interrupt(&self) -> Option<u32> {
        Some(uart::LINE)
    }

    fn sleep(&self, awake: &dyn Fn() -> bool) {
        interrupt::sleep(awake);
    }

    fn set_alarm(&self, after: Duration) -> bool {
        interrupt::alarm(after);
        true
    }

    fn power_off(&self, success: bool) -> ! {
        exit::power_off(success)
    }
}

/// Where `boot` goes: 64-bit mode, memory zeroed, a stack. `start_info` is its physical address.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_info: usize) -> ! {
    // SAFETY: first of all; the entries are those of exceptions and of interrupts.
    unsafe { idt::init(fault::entries(), interrupt::entries()) };
    uart::init();
    clock::init();
    // SAFETY: the address comes from the boot protocol. No frame that is free by the memory map is in use yet, and
    // what the start information names lies in none.
    let start = unsafe { StartInfo::at(start_info) };
    hal::FRAMES.init(memory::free_ram(&start)).expect("no frame is out yet");
    // SAFETY: once, and the table has the entries.
    unsafe { interrupt::init() };
    let options = Options::parse(start.command_line());
    let pci = machine::pci();
    // Each of the two machines has one kind of device; on q35 something else is where microvm has its slots.
    let mmio = if pci.is_some() { &[] } else { machine::mmio(start.has_acpi()) };
    demo::run(Kernel { options }, &Machine { mmio, pci })
}
