//! An x86_64 kernel for QEMU's `q35` and `microvm` machines, just big enough to run the demo.

#![no_std]
#![no_main]

mod boot;
mod critical;
mod exit;
mod fault;
#[cfg(feature = "defmt")]
mod log;
mod machine;
mod memory;
mod paging;
mod port;
mod serial;
mod uart;

/// Where `boot` goes: 64-bit mode, memory zeroed, a stack. `start_info` is its physical address.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_info: usize) -> ! {
    use core::fmt::Write;
    fault::init();
    uart::init();
    // SAFETY: the address comes from the boot protocol, and nothing has been written since.
    let ram = unsafe { memory::free_ram(start_info) };
    let _ = writeln!(
        serial::Serial,
        "hello from x86_64, start info at {start_info:#x}, {ram:x?} {}",
        machine::has_pci()
    );
    exit::power_off(uart::read().is_none())
}
