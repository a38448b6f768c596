//! Blocking requests over borrowed slices (a room of unsafe code).
//!
//! **I-LOAN (no borrow outlives its loan).** `Device::call` borrows slices and the whole device. It returns, by whatever
//! path, only when the request was used, or the device was reset, or cut off the bus. The path is the `Drop` of [`Loan`],
//! so unwinding out of a Hal method takes it too. If neither can be had, the call ends in [`Hal::stuck`].
#![expect(unsafe_code, reason = "lends borrowed slices for the length of a call")]

use core::time::Duration;

use super::guard::{Guard, Parts, Phase, Stop};
use super::live::Device;
use crate::hal::Deadline;
use crate::transport::Transport;
use crate::{Error, Hal, Misbehaved, Misuse, QueueIndex, Wait};

/// A loan that is not settled yet.
struct Loan<'g, T: Transport, H: Hal> {
    guard: &'g mut Guard<T, H>,
    settled: bool,
}

/// A device on its way down. However that ends, a panic included: a device that may go on reaching the slices ends the call
/// for good.
struct Stopping<'g, T: Transport, H: Hal>(&'g mut Guard<T, H>);

impl<T: Transport, H: Hal> Drop for Stopping<'_, T, H> {
    fn drop(&mut self) {
        if !matches!(self.0.phase, Phase::Down(Stop::Confirmed | Stop::CutOff(_))) {
            self.0.hal.stuck();
        }
    }
}

impl<T: Transport, H: Hal> Drop for Loan<'_, T, H> {
    fn drop(&mut self) {
        if !self.settled {
            Stopping(self.guard).0.stop();
        }
    }
}

impl<T: Transport, H: Hal + Clone> Device<T, H> {
    /// Sends one request over borrowed slices and waits for it: `readable` for the device to read, then `writable` for it
    /// to write. Answers how many bytes it wrote, never more than there is room for: a longer claim is cut.
    ///
    /// # Errors
    /// As for [`Port::add`](crate::queue::Port::add). On a timeout or a broken ring the device is reset before this
    /// returns: the slices are the caller's again, the device is [`Error::Down`].
    pub fn call(
        &mut self,
        queue: u16,
        readable: &[&[u8]],
        writable: &mut [&mut [u8]],
        limit: Duration,
    ) -> Result<u32, Error> {
        let index = QueueIndex::new(queue);
        let mut deadline = Deadline::after(&self.guard.hal, limit)?;
        let mut loan = Loan { guard: &mut self.guard, settled: false };
        // Whatever goes wrong before the request is complete, it was not published: nothing is lent.
        let added = loan.guard.parts().and_then(|Parts { hal, queues, .. }| {
            let queue = queues.get(index).ok_or(Misuse::NoSuchQueue)?;
            // SAFETY: I-LOAN: `loan` keeps this call from returning before the request is settled or the queue released,
            // and the slices are borrowed for the length of the call.
            unsafe { queue.add_borrowed(hal, readable, writable) }
        });
        let token = match added {
            Ok(token) => token,
            Err(error) => {
                loan.settled = true;
                return Err(error);
            }
        };
        loop {
            let Parts { transport, hal, queues, .. } = loan.guard.parts()?;
            let queue = queues.get(index).ok_or(Misuse::NoSuchQueue)?;
            queue.publish(hal);
            queue.kick(transport, hal);
            if let Some(written) = queue.poll_written(hal, token)? {
                loan.settled = true;
                return Ok(written);
            }
            if deadline.expired(hal) {
                return Err(Misbehaved::Timeout(Wait::Completion(index)).into());
            }
        }
    }
}
