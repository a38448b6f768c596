//! The least that a kernel needs around these crates: an allocator of frames and a `Hal`. It has no
//! `critical-section` implementation, no heap and no interrupts, and must link all the same.
//!
//! It is linked, not run: `cargo xtask test packages`.

#![no_std]
#![no_main]

use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicU64, Ordering};

use virtio::gpu::{Gpu, GpuError, Rgb};
use virtio::input::{Input, InputError};
use virtio::mmio::{self, MmioTransport};
use virtio::regs::Mapped;
use virtio::{DeviceId, Frames, OffsetHal, PhysAddr, Transport};

type Hal = OffsetHal<Bump>;
type Device = MmioTransport<Mapped<Hal>>;

/// Frames that are never reused.
#[derive(Clone, Copy)]
struct Bump;

static NEXT: AtomicU64 = AtomicU64::new(0x4800_0000);

// SAFETY: each frame is handed out once; the memory from 128 MiB into RAM on is nobody's.
unsafe impl Frames for Bump {
    fn alloc(&self, count: NonZeroUsize) -> Option<PhysAddr> {
        let bytes = (count.get() as u64).checked_mul(4096)?;
        Some(PhysAddr::new(NEXT.fetch_add(bytes, Ordering::Relaxed)))
    }
    unsafe fn free(&self, _first: PhysAddr, _count: NonZeroUsize) {}
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    // SAFETY: before any mapping, addresses are physical; below RAM there are devices only.
    let hal = unsafe { OffsetHal::new(0, Bump, &[0..0x4000_0000]) };
    for (_slot, device) in mmio::probe_all(hal, mmio::slots(PhysAddr::new(0x0a00_0000), 0x200, 32)) {
        let Ok(Some(device)) = device else { continue };
        let _ = match device.device_id() {
            DeviceId::GPU => show(device, hal).is_ok(),
            DeviceId::INPUT => listen(device, hal).is_ok(),
            _ => false,
        };
    }
    loop {}
}

fn show(device: Device, hal: Hal) -> Result<(), GpuError> {
    let mut gpu = Gpu::new(device, hal)?;
    let mut screen = gpu.screen()?;
    let mut frame = gpu.framebuffer(&mut screen)?;
    frame.clear(Rgb::WHITE)?;
    frame.flush()
}

fn listen(device: Device, hal: Hal) -> Result<(), InputError> {
    let mut keyboard = Input::new(device, hal)?;
    while keyboard.next_event()?.is_some() {}
    Ok(())
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
