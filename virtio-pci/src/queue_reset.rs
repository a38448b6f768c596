//! Taking one queue back from the device (VIRTIO 1.4 §2.6.1, §4.1.4.3): for the queue that is selected.

use virtio_core::regs::Registers;
use virtio_core::transport::QueueReset;

use crate::regs::{QUEUE_ENABLE, QUEUE_RESET};

/// Asks for the queue back. Never through `queue_enable`: a driver does not write 0 there, and that the register goes
/// to 0 by itself is half of the proof.
pub(crate) fn start<R: Registers>(common: &R) {
    QUEUE_RESET.write(common, 1);
}

/// What has come of it. The order of the reads counts: a device that completes between them must not look like one that
/// ignores the reset.
pub(crate) fn progress<R: Registers>(common: &R) -> QueueReset {
    if QUEUE_RESET.read(common) != 0 {
        // A device that is gone is for ever here: it reads as all ones.
        return QueueReset::Ongoing;
    }
    if QUEUE_ENABLE.read(common) != 0 {
        return QueueReset::Ignored;
    }
    // What is read in the queue's memory from now on is what the device left there.
    common.register_before_memory();
    QueueReset::Done
}
