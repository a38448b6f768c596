//! An riscv64 kernel for QEMU's `virt` machine, just big enough to run the demo.

#![no_std]
#![no_main]

mod boot;
mod critical;
mod exit;
mod fault;
#[cfg(feature = "defmt")]
mod log;
mod serial;
mod uart;

/// Where `boot` goes: memory zeroed, a stack. `device_tree` is its physical address.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(device_tree: usize) -> ! {
    use core::fmt::Write;
    let _ = writeln!(serial::Serial, "hello from riscv64, device tree at {device_tree:#x}");
    exit::power_off(uart::read().is_none())
}
