//! An x86_64 kernel for QEMU's `q35` and `microvm` machines, just big enough to run the demo.

#![no_std]
#![no_main]

mod boot;
mod critical;
mod exit;
mod fault;
mod hal;
#[cfg(feature = "defmt")]
mod log;
mod machine;
mod memory;
mod paging;
mod port;
mod serial;
mod uart;

use core::sync::atomic::{AtomicBool, Ordering};
use demo::{Frames, Machine, Platform};
use virtio::OffsetHal;
use virtio::regs::PortRegs;

/// This kernel, as the demo sees it.
struct Kernel;

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

    fn serial_write(&self, bytes: &[u8]) {
        serial::write(bytes);
    }

    fn serial_read(&self) -> Option<u8> {
        uart::read()
    }

    fn power_off(&self, success: bool) -> ! {
        exit::power_off(success)
    }
}

/// Where `boot` goes: 64-bit mode, memory zeroed, a stack. `start_info` is its physical address.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_info: usize) -> ! {
    fault::init();
    uart::init();
    // SAFETY: the address comes from the boot protocol, and nothing has been written since.
    let ram = unsafe { memory::free_ram(start_info) };
    hal::FRAMES.init(ram).expect("no frame is out yet");
    let pci = machine::pci();
    // Each of the two machines has one kind of device; on q35 something else is where microvm has its slots.
    let mmio: &[_] = if pci.is_some() { &[] } else { &machine::MMIO };
    demo::run(Kernel, &Machine { mmio, pci })
}
