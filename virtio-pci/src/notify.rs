//! Doorbells (VIRTIO 1.4 §4.1.4.4): computed and checked once for each queue, then one write each.

use virtio_core::regs::Registers;
use virtio_core::transport::{Doorbell, DoorbellWidth};
use virtio_core::{Incompatible, QueueIndex};

use crate::locate::Range;
use crate::regs::{NUM_QUEUES, QUEUE_NOTIFY_OFF, QUEUE_SELECT};

/// A doorbell without a position.
const NARROW: u64 = 2;
/// A doorbell with one (`NOTIFICATION_DATA`).
const WIDE: u64 = 4;
/// Queues whose doorbells are looked up before mapping. A device with more has said something absurd.
const MAX_QUEUES: u16 = 4096;
/// Mapped in any case, if the structure is that long: a page is what a mapping takes.
const LEAST: u64 = 4096;
/// Mapped at most, whatever the device says: a page for each of so many queues.
const MOST: u64 = 16 << 20;

/// The notification structure.
#[derive(Debug)]
pub(crate) struct Notifications<R> {
    regs: R,
    /// Bytes of `regs` before the structure.
    skip: usize,
    /// Bytes of the structure that are mapped.
    len: u64,
    multiplier: u32,
}

impl<R: Registers> Notifications<R> {
    /// Maps as much of the structure as the doorbells of the device's queues take: with a page for each queue a device
    /// may offer megabytes and use two pages of them.
    pub(crate) fn new<E>(
        common: &R,
        whole: Range,
        multiplier: u32,
        map: impl FnOnce(Range) -> Result<R, E>,
    ) -> Result<Self, E> {
        let most = whole.len.min(MOST);
        let mut needed = most.min(LEAST);
        for queue in 0..NUM_QUEUES.read(common).min(MAX_QUEUES) {
            QUEUE_SELECT.write(common, queue);
            let start = start(QUEUE_NOTIFY_OFF.read(common), multiplier);
            // A doorbell outside is refused when its queue is enabled, and must not make the mapping longer.
            if start.saturating_add(NARROW) <= most {
                // Which width it will have, only the negotiation tells: room for the wide one, where there is.
                needed = needed.max(start.saturating_add(WIDE).min(most));
            }
        }
        let range = Range { len: needed, ..whole };
        Ok(Self { regs: map(range)?, skip: range.skip, len: range.len, multiplier })
    }

    /// Where the doorbell of a queue is: all of it must lie in the structure, and one access must reach it.
    pub(crate) fn doorbell(
        &self,
        queue: QueueIndex,
        notify_off: u16,
        width: DoorbellWidth,
    ) -> Result<usize, Incompatible> {
        let start = start(notify_off, self.multiplier);
        let (bytes, misaligned) = match width {
            DoorbellWidth::Bits16 => (NARROW, 1),
            DoorbellWidth::Bits32 => (WIDE, 3),
        };
        let outside = Incompatible::DoorbellOutside(queue);
        if start.saturating_add(bytes) > self.len {
            return Err(outside);
        }
        let offset =
            usize::try_from(start).ok().and_then(|start| start.checked_add(self.skip)).ok_or(outside)?;
        // An odd multiplier (or one of 2, with positions) makes doorbells that no access of this width can reach.
        if offset & misaligned == 0 { Ok(offset) } else { Err(Incompatible::DoorbellMisaligned(queue)) }
    }

    /// One write, behind a barrier.
    pub(crate) fn ring(&self, doorbell: Doorbell) {
        self.regs.memory_before_register();
        match doorbell.width {
            DoorbellWidth::Bits16 => {
                let [a, b, ..] = doorbell.value.to_le_bytes();
                self.regs.write16(doorbell.offset, u16::from_le_bytes([a, b]));
            }
            DoorbellWidth::Bits32 => self.regs.write32(doorbell.offset, doorbell.value),
        }
    }
}

/// Bytes from the start of the structure. 16 bits times 32 bits fit.
fn start(notify_off: u16, multiplier: u32) -> u64 {
    u64::from(notify_off).saturating_mul(u64::from(multiplier))
}
