//! Handing a queue to a legacy device (VIRTIO 1.4 §4.1.5.1.3.1): one page number, which starts it.

use virtio_core::regs::Registers;
use virtio_core::transport::Rings;
use virtio_core::{Error, Incompatible, Misuse, QueueIndex};

use super::regs::{QUEUE_ADDRESS, QUEUE_SELECT, QUEUE_SIZE};

/// The size of a queue, which is the device's decision: 0 if there is none.
pub(super) fn size<R: Registers>(regs: &R, queue: QueueIndex) -> u16 {
    QUEUE_SELECT.write(regs, queue.get());
    QUEUE_SIZE.read(regs)
}

/// Everything that can be wrong is found before the device has been told anything. Answers the page number.
pub(super) fn check<R: Registers>(regs: &R, queue: QueueIndex, rings: &Rings) -> Result<u32, Error> {
    let page_number = rings.legacy_page_number(queue)?;
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
