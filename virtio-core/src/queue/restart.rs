//! Stopping one queue and starting it again, while its device lives (VIRTIO 1.4 §2.6.1) (a room of unsafe code).
#![expect(unsafe_code, reason = "takes payloads back from a queue that the device has let go of")]

use super::cold::Closed;
use super::format::Counts;
use super::virtqueue::{NONE, Queue, Token};
use crate::dma::{Lend, Stopped};
use crate::{Hal, Misuse};

impl<H: Hal> Queue<H> {
    /// Takes all requests back: the device has reset the queue. Payloads of type `P` of requests that were not taken yet go
    /// to `returned`. The queue stays stopped.
    pub(crate) fn stop<P: Lend>(
        &mut self,
        hal: &H,
        proof: &Stopped,
        mut returned: impl FnMut(Token, P),
    ) -> Result<(), Misuse> {
        if !self.carries::<P>() {
            return Err(Misuse::WrongPayload);
        }
        self.close(Closed::Stopped);
        self.release_all(hal, proof, |queue, slot| {
            let head = *queue.slots.head(slot);
            let token = queue.token(slot, head.order);
            // SAFETY: just checked to carry P; the proof says that the device does not use its memory any more, and
            // `release_all` has ended its segments.
            if let Some(payload) = unsafe { queue.slots.unpark(slot) } {
                returned(token, payload);
            }
        });
        Ok(())
    }

    /// Makes the queue as it was when it was new, but for the serial numbers. Only a stopped queue, which the device does not
    /// know.
    pub(crate) fn restart(&mut self, hal: &H) -> Result<(), Misuse> {
        if self.cold.closed != Some(Closed::Stopped) {
            return Err(Misuse::QueueNotStopped);
        }
        self.base = self.base.wrapping_add(self.counts.added);
        self.counts = Counts::default();
        (self.used_first, self.used_last, self.run_last) = (NONE, NONE, NONE);
        for slot in self.slots.all() {
            // What a panic has kept `stop` from handing out.
            drop(self.slots.stand_up(slot));
            // SAFETY: the queue is stopped: the device does not use its memory any more, and all sharing has ended.
            unsafe { self.slots.drop_parked(slot) };
        }
        self.slots.clear();
        for region in self.cold.regions.iter().flatten() {
            region.zero();
        }
        self.ring.restart();
        self.cold.closed = None;
        (self.open, self.plain) = (true, !self.in_order);
        self.disable_interrupts(hal);
        Ok(())
    }
}
