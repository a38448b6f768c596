//! A riscv64 kernel for QEMU's `virt` machine, just big enough to run the demo.

#![no_std]
#![no_main]

mod boot;
mod critical;
mod exit;
mod fault;
mod hal;
mod interrupt;
#[cfg(feature = "defmt")]
mod log;
mod plic;
mod serial;
mod timer;
mod trap;
mod uart;

use core::ops::Range;
use core::sync::atomic::Ordering;
use core::time::Duration;
use demo::fdt::{Board, Fdt};
use demo::{Frames, Handlers, Options, Platform};
use virtio::pci::IoRange;
use virtio::regs::Mapped;
use virtio::{HalError, OffsetHal};

/// Who is asked when an interrupt arrives.
static HANDLERS: Handlers<OffsetHal<hal::Ram>> = Handlers::new();

/// This kernel, as the demo sees it.
struct Kernel {
    options: Options,
}

impl Platform for Kernel {
    type Hal = OffsetHal<hal::Ram>;
    /// There are no ports: what PCI has behind them is memory here.
    type Ports = Mapped<Self::Hal>;

    const ARCH: &'static str = "riscv64";

    fn hal(&self) -> Self::Hal {
        hal::hal()
    }

    fn frames(&self) -> &Frames {
        &hal::FRAMES
    }

    fn serial_write(&self, bytes: &[u8]) {
        serial::write(bytes);
    }

    fn serial_read(&self) -> Option<u8> {
        uart::read()
    }

    fn io_registers(&self, range: IoRange) -> Result<Self::Ports, HalError> {
        hal::io_registers(range)
    }

    fn options(&self) -> Options {
        self.options
    }

    fn handlers(&self) -> &'static Handlers<Self::Hal, Self::Ports> {
        &HANDLERS
    }

    fn enable_interrupt(&self, number: u32) -> bool {
        interrupt::enable(number)
    }

    fn serial_interrupt(&self) -> Option<u32> {
        interrupt::serial()
    }

    fn sleep(&self, awake: &dyn Fn() -> bool) {
        interrupt::sleep(awake);
    }

    fn set_alarm(&self, after: Duration) -> bool {
        timer::set(after, hal::TIMEBASE.load(Ordering::Relaxed).into())
    }

    fn power_off(&self, success: bool) -> ! {
        exit::power_off(success)
    }
}

/// Where `boot` goes: memory zeroed, a stack. `device_tree` is its physical address.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(device_tree: usize) -> ! {
    // SAFETY: the boot loader put the device tree there, and nothing writes to it: its range is kept out of `FRAMES`.
    let tree = unsafe { Fdt::from_raw(device_tree as *const u8) }.expect("the device tree is valid");
    let board = Board::read(tree).expect("the device tree describes the machine");
    let start = device_tree as u64;
    let taken = [image(), start..start + tree.data().len() as u64];
    if let Some(hertz) = board.timebase {
        hal::TIMEBASE.store(hertz, Ordering::Relaxed);
    }
    hal::FRAMES.init(board.free_ram(&taken)).expect("no frame is out yet");
    // SAFETY: the device tree describes this machine.
    unsafe { interrupt::init(board.controller(), board.serial_interrupt) };
    demo::run(Kernel { options: board.options }, &board.machine())
}

/// The kernel's own memory: code, data and stack.
fn image() -> Range<u64> {
    unsafe extern "C" {
        static __image_start: u8;
        static __image_end: u8;
    }
    &raw const __image_start as u64..&raw const __image_end as u64
}
