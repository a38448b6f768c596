//! A kernel that reads one block with `virtio-drivers`, and nothing else.

#![no_std]
#![no_main]

#[path = "../../shell.rs"]
mod shell;

use core::ptr::NonNull;

use shell::{SLOT_COUNT, SLOT_LEN, SLOTS, finish, leave, pages};
use virtio_drivers::device::blk::VirtIOBlk;
use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::{DeviceType, Transport};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

struct Identity;

// SAFETY: pages are fresh, zeroed and stay; everything is mapped where it is.
unsafe impl Hal for Identity {
    fn dma_alloc(count: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let memory = pages(count);
        (memory.addr().get() as PhysAddr, memory)
    }

    unsafe fn dma_dealloc(_paddr: PhysAddr, _vaddr: NonNull<u8>, _pages: usize) -> i32 {
        0
    }

    unsafe fn mmio_phys_to_virt(paddr: PhysAddr, _size: usize) -> NonNull<u8> {
        match NonNull::new(core::ptr::with_exposed_provenance_mut(paddr as usize)) {
            Some(pointer) => pointer,
            None => leave(9),
        }
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().expose_provenance().get() as PhysAddr
    }

    unsafe fn unshare(_paddr: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

#[unsafe(no_mangle)]
extern "C" fn kernel_main() -> ! {
    let slots = (0..SLOT_COUNT).filter_map(|nth| {
        let header = NonNull::new(core::ptr::with_exposed_provenance_mut(SLOTS + nth * SLOT_LEN))?;
        // SAFETY: a slot of this machine, mapped where it is, for good.
        unsafe { MmioTransport::new(header, SLOT_LEN) }.ok()
    });
    let mut disks = slots.filter(|transport| transport.device_type() == DeviceType::Block);
    let Some(transport) = disks.next() else { leave(10) };
    let Ok(mut disk) = VirtIOBlk::<Identity, _>::new(transport) else { leave(11) };
    let mut block = [0; 512];
    let Ok(()) = disk.read_blocks(1, &mut block) else { leave(12) };
    finish(&block)
}
