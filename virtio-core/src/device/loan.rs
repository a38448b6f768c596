//! Blocking requests over borrowed slices (a room of unsafe code).
//!
//! **I-LOAN (no borrow outlives its loan).** `Device::transfer` borrows slices and the whole device. It returns, by whatever
//! path, only when the request was used, or the device was reset, or cut off the bus. The path is the `Drop` of [`Loan`],
//! so unwinding out of a Hal method takes it too. If neither can be had, the call ends in [`Hal::stuck`].
#![expect(unsafe_code, reason = "lends borrowed slices for the length of a call")]

use core::time::Duration;

use super::guard::{Guard, Parts, Phase, Stop};
use super::live::Device;
use crate::hal::Deadline;
use crate::queue::{Request, Slices, Transferred};
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
        let request = Request::new(Slices::new(readable, writable));
        Ok(self.transfer(queue, request, &mut [], limit)?.payload)
    }

    /// Sends one request over borrowed slices, with a header before them and a response behind them, and waits for it. Header
    /// and response go through the queue's own memory, in the lengths that its
    /// [`QueueSpec`](crate::queue::QueueSpec) has declared; the slices are shared for the request. `response` is filled, up to
    /// its length, which takes the place of the request's own.
    ///
    /// # Errors
    /// As for [`Device::call`].
    ///
    /// # Example
    /// ```
    /// use core::time::Duration;
    /// use virtio_core::device::Device;
    /// use virtio_core::queue::{Request, Slices, Transferred};
    /// use virtio_core::{Error, Hal, Transport};
    ///
    /// /// Reads the block at `at`: a header, the block, a status behind it.
    /// fn read<T: Transport, H: Hal + Clone>(disk: &mut Device<T, H>, at: u64, block: &mut [u8]) -> Result<u8, Error> {
    ///     let mut status = [0xff];
    ///     let (at, mut slices) = (at.to_le_bytes(), [block]);
    ///     let request = Request::new(Slices::to_write(&mut slices)).header(&at);
    ///     disk.transfer(0, request, &mut status, Duration::from_secs(1))?;
    ///     Ok(status[0])
    /// }
    /// # use virtio_core::{DeviceId, device::{Init, Wanted}, queue::QueueSpec};
    /// # use virtio_testkit::{FakeDevice, Reply, TestHal};
    /// # let hal = TestHal::new();
    /// # let fake = FakeDevice::builder(DeviceId::BLOCK)
    /// #     .queue(0, 8, |_| Reply::Write([&[7; 512][..], &[0]].concat())).build(&hal);
    /// # let init = Init::start(fake.transport(), hal.clone(), DeviceId::BLOCK)?.negotiate(&Wanted::default())?;
    /// # let mut disk = init.queues(&[QueueSpec::new::<()>(0, 8).header(8).response(1)])?.live()?;
    /// # let mut block = [0; 512];
    /// # assert_eq!(read(&mut disk, 3, &mut block)?, 0);
    /// # assert_eq!(block, [7; 512]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn transfer(
        &mut self,
        queue: u16,
        mut request: Request<'_, Slices<'_, '_>>,
        response: &mut [u8],
        limit: Duration,
    ) -> Result<Transferred, Error> {
        request.set_response(response.len());
        let index = QueueIndex::new(queue);
        let mut deadline = Deadline::lazily(limit);
        let mut loan = Loan { guard: &mut self.guard, settled: false };
        // Whatever goes wrong before the request is complete, it was not published: nothing is lent.
        let added = loan.guard.parts().and_then(|Parts { transport, hal, queues, .. }| {
            let queue = queues.get(index).ok_or(Misuse::NoSuchQueue)?;
            // SAFETY: I-LOAN: `loan` keeps this call from returning before the request is settled or the queue released,
            // and the slices are borrowed for the length of the call.
            let slot = unsafe { queue.add_borrowed(hal, &mut request) }?;
            Ok((queue, transport, hal, slot))
        });
        let (queue, transport, hal, slot) = match added {
            Ok(added) => added,
            Err(error) => {
                loan.settled = true;
                return Err(error);
            }
        };
        queue.publish(hal);
        queue.kick(transport, hal);
        loop {
            if let Some(transferred) = queue.poll_transferred(hal, slot, response)? {
                loan.settled = true;
                return Ok(transferred);
            }
            if deadline.expired(hal) {
                return Err(Misbehaved::Timeout(Wait::Completion(index)).into());
            }
        }
    }
}
