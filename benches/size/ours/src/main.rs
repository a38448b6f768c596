//! A kernel that reads one block with `virtio-blk`, and nothing else.

#![no_std]
#![no_main]

#[path = "../../shell.rs"]
mod shell;

use core::num::NonZeroUsize;

use shell::{SLOT_COUNT, SLOT_LEN, SLOTS, finish, leave, pages};
use virtio_blk::{Disk, Sector};
use virtio_core::{DeviceId, Frames, OffsetHal, PhysAddr};

#[derive(Clone, Copy)]
struct Ram;

// SAFETY: fresh pages, for good.
unsafe impl Frames for Ram {
    fn alloc(&self, count: NonZeroUsize) -> Option<PhysAddr> {
        Some(PhysAddr::new(pages(count.get()).addr().get() as u64))
    }

    unsafe fn free(&self, _first: PhysAddr, _count: NonZeroUsize) {}
}

#[unsafe(no_mangle)]
extern "C" fn kernel_main() -> ! {
    // SAFETY: everything is mapped where it is; devices lie below RAM and above 256 GiB.
    let hal = unsafe { OffsetHal::new(0, Ram, &[0..0x4000_0000, 0x40_0000_0000..0x100_0000_0000]) };
    let slots = virtio_mmio::slots(PhysAddr::new(SLOTS as u64), SLOT_LEN, SLOT_COUNT);
    let Ok(Some(transport)) = virtio_mmio::find(hal, slots, DeviceId::BLOCK) else { leave(10) };
    let Ok(mut disk) = Disk::new(transport, hal) else { leave(11) };
    let mut block = [0; 512];
    let Ok(()) = disk.read(Sector(1), &mut block) else { leave(12) };
    finish(&block)
}
