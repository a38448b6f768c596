//! Handing a queue to a legacy device (VIRTIO 1.4 §4.1.5.1.3.1): one page number, which starts it.

use virtio_core::regs::Registers;
use virtio_core::transport::Rings;
use virtio_core::{DeviceAddr, Error, HalError, Incompatible, Misuse, QueueIndex};

use super::regs::{QUEUE_ADDRESS, QUEUE_SELECT, QUEUE_SIZE};

/// What page numbers count, and where the used ring starts, whatever pages the kernel has.
const PAGE: usize = 4096;
const PAGE_SHIFT: u32 = PAGE.trailing_zeros();
const _: () = assert!(PAGE == 1 << PAGE_SHIFT);

/// The size of a queue, which is the device's decision: 0 if there is none.
pub(super) fn size<R: Registers>(regs: &R, queue: QueueIndex) -> u16 {
    QUEUE_SELECT.write(regs, queue.get());
    QUEUE_SIZE.read(regs)
}

/// Everything that can be wrong is found before the device has been told anything. Answers the page number.
pub(super) fn check<R: Registers>(regs: &R, queue: QueueIndex, rings: &Rings) -> Result<u32, Error> {
    let page_number = page_number(queue, rings)?;
    match size(regs, queue) {
        0 => return Err(Incompatible::NoQueue(queue).into()),
        // There is no register to tell the device of another size.
        dictated if dictated != rings.size => return Err(Misuse::BadQueueDeclaration.into()),
        _ => {}
    }
    if QUEUE_ADDRESS.read(regs) != 0 {
        return Err(Incompatible::QueueBusy(queue).into());
    }
    Ok(page_number)
}

/// Starts the queue that [`check`] has selected. It stops with the reset of the whole device.
pub(super) fn start<R: Registers>(regs: &R, page_number: u32) {
    // The device may look at the rings from now on: what they hold must be there first.
    regs.memory_before_register();
    QUEUE_ADDRESS.write(regs, page_number);
}

/// What goes into the Queue Address field, if the rings are laid out as the device computes them for itself
/// (VIRTIO 1.4 §2.7.2).
fn page_number(queue: QueueIndex, rings: &Rings) -> Result<u32, Error> {
    // Page number 0 means "no queue".
    if !rings.descriptor.is_aligned_to(PAGE) || rings.descriptor.get() == 0 {
        return Err(HalError::BrokenContract.into());
    }
    if layout(rings) != Some((rings.driver, rings.device)) {
        return Err(Misuse::BadQueueDeclaration.into());
    }
    u32::try_from(rings.descriptor.get().wrapping_shr(PAGE_SHIFT))
        .map_err(|_| Incompatible::RingTooHigh(queue).into())
}

/// Where a legacy device looks for the available and the used ring of a queue whose descriptors are at
/// `rings.descriptor`.
fn layout(rings: &Rings) -> Option<(DeviceAddr, DeviceAddr)> {
    let size = usize::from(rings.size);
    let driver = rings.descriptor.checked_add(size.checked_mul(16)?)?;
    // flags, idx, the ring and used_event, 2 bytes each; then up to the next page.
    let end = size.checked_mul(18)?.checked_add(6)?;
    let device = rings.descriptor.checked_add(end.checked_next_multiple_of(PAGE)?)?;
    Some((driver, device))
}
