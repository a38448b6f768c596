//! Handing a queue to the device (VIRTIO 1.4 §4.2.3.2, §4.2.4), where the two versions differ most, and taking one
//! back.

use virtio_core::regs::Registers;
use virtio_core::transport::{LEGACY_PAGE, QueueReset, Rings};
use virtio_core::{Error, Incompatible, QueueIndex};

use crate::regs::{
    GUEST_PAGE_SIZE, QUEUE_ALIGN, QUEUE_DESC_HIGH, QUEUE_DESC_LOW, QUEUE_DEVICE_HIGH, QUEUE_DEVICE_LOW,
    QUEUE_DRIVER_HIGH, QUEUE_DRIVER_LOW, QUEUE_PFN, QUEUE_READY, QUEUE_RESET, QUEUE_SEL, QUEUE_SIZE,
};

/// The page size and the used ring's alignment that version 1 is told, whatever pages the kernel has: a page of 16 or
/// 64 KiB is aligned to this as well, and core lays the used ring out for it. Rings must lie below 2^44 bytes therefore
/// ([`Incompatible::RingTooHigh`]); a larger `GuestPageSize` would lift that for machines that nobody has built with a
/// legacy device.
const PAGE: u32 = 4096;
const _: () = assert!(LEGACY_PAGE == 4096);

/// Version 2: three addresses, then `QueueReady` (VIRTIO 1.4 §4.2.3.2).
///
/// `QueueReady` is read back: that a device says it has a queue is one half of what proves, later, that it has given it
/// back ([`reset_progress`]). One that does not say so may use the rings all the same, so it is left to the caller's guard to
/// reset it.
pub(crate) fn enable_modern<R: Registers>(regs: &R, queue: QueueIndex, rings: &Rings) -> Result<(), Error> {
    QUEUE_SEL.write(regs, u32::from(queue.get()));
    if QUEUE_READY.read(regs) != 0 {
        return Err(Incompatible::QueueBusy(queue).into());
    }
    QUEUE_SIZE.write(regs, u32::from(rings.size));
    for (low, high, address) in [
        (QUEUE_DESC_LOW, QUEUE_DESC_HIGH, rings.descriptor),
        (QUEUE_DRIVER_LOW, QUEUE_DRIVER_HIGH, rings.driver),
        (QUEUE_DEVICE_LOW, QUEUE_DEVICE_HIGH, rings.device),
    ] {
        let (low_half, high_half) = address.halves();
        low.write(regs, low_half);
        high.write(regs, high_half);
    }
    // The device may look at the rings from now on: what they hold must be there first.
    regs.memory_before_register();
    QUEUE_READY.write(regs, 1);
    // Anything else is no answer: a device that is gone reads as all ones.
    if QUEUE_READY.read(regs) == 1 { Ok(()) } else { Err(Incompatible::QueueRefused(queue).into()) }
}

/// Version 2: asks for the queue back (VIRTIO 1.4 §2.6.1).
///
/// `QueueReady` is left as it is: that it goes from 1 to 0 without having been told to is what proves the reset.
pub(crate) fn reset<R: Registers>(regs: &R, queue: QueueIndex) {
    QUEUE_SEL.write(regs, u32::from(queue.get()));
    QUEUE_RESET.write(regs, 1);
}

/// Version 2: what has come of [`reset`] (VIRTIO 1.4 §4.2.2.1, §4.2.2.2). The order of the reads counts: a device that
/// completes between them must not look like one that ignores the reset.
pub(crate) fn reset_progress<R: Registers>(regs: &R, queue: QueueIndex) -> QueueReset {
    QUEUE_SEL.write(regs, u32::from(queue.get()));
    if QUEUE_RESET.read(regs) != 0 {
        // A device that is gone is for ever here: it reads as all ones.
        return QueueReset::Ongoing;
    }
    if QUEUE_READY.read(regs) != 0 {
        return QueueReset::Ignored;
    }
    // What is read in the queue's memory from now on is what the device left there.
    regs.register_before_memory();
    QueueReset::Done
}

/// Version 1: one page number, which starts the queue (VIRTIO 1.4 §4.2.4).
pub(crate) fn enable_legacy<R: Registers>(
    regs: &R,
    queue: QueueIndex,
    rings: &Rings,
    page_size_known: &mut bool,
) -> Result<(), Error> {
    let page_number = rings.legacy_page_number(queue)?;
    if !*page_size_known {
        GUEST_PAGE_SIZE.write(regs, PAGE);
        *page_size_known = true;
    }
    QUEUE_SEL.write(regs, u32::from(queue.get()));
    if QUEUE_PFN.read(regs) != 0 {
        return Err(Incompatible::QueueBusy(queue).into());
    }
    QUEUE_SIZE.write(regs, u32::from(rings.size));
    QUEUE_ALIGN.write(regs, PAGE);
    regs.memory_before_register();
    QUEUE_PFN.write(regs, page_number);
    Ok(())
}
