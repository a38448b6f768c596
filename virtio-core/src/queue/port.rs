//! One queue, lent by its device: owned requests.

use core::fmt;
use core::time::Duration;

use super::add::Typed;
use super::done::Done;
use super::request::{Rejected, Request};
use super::slots::Slot;
use super::take::{Next, Settled};
use super::virtqueue::{Queue, Token};
use crate::dma::{Attachment, Attachments, Entries, Lend};
use crate::hal::Deadline;
use crate::transport::Transport;
use crate::{Error, Hal, Misbehaved, Misuse, QueueIndex, Status, Wait};

/// One queue of a live device, for requests with payloads of type `P`.
///
/// A port borrows the device, so it exists only while the device is live; queues of two devices cannot be mixed up.
pub struct Port<'d, P, T: ?Sized, H: Hal> {
    pub(super) typed: Typed<'d, P, H>,
    /// Attached memory, if the whole device was lent.
    attachments: Option<&'d mut Attachments<H>>,
    pub(super) transport: &'d T,
    pub(super) hal: &'d H,
}

impl<P, T: ?Sized, H: Hal> fmt::Debug for Port<'_, P, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port({}, {} free)", self.typed.queue.index(), self.typed.queue.free())
    }
}

impl<'d, P: Lend, T: Transport + ?Sized, H: Hal> Port<'d, P, T, H> {
    pub(crate) fn new(
        queue: &'d mut Queue<H>,
        attachments: Option<&'d mut Attachments<H>>,
        transport: &'d T,
        hal: &'d H,
    ) -> Result<Self, Error> {
        Ok(Self { typed: Typed::new(queue)?, attachments, transport, hal })
    }

    /// Which queue this is.
    #[must_use]
    pub fn index(&self) -> QueueIndex {
        self.typed.queue.index()
    }

    /// Descriptors in the queue.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.typed.queue.size().get()
    }

    /// Descriptors that are free. A request takes one for its header, one per segment of payload, one for its response.
    #[must_use]
    pub fn free(&self) -> u16 {
        self.typed.queue.free()
    }

    /// Requests that were added and not used yet.
    #[must_use]
    pub fn in_flight(&self) -> u16 {
        self.typed.queue.in_flight()
    }

    /// Whether the device asks to be reset (VIRTIO 1.4 §2.1.2): it will use nothing any more, and the queue does not tell. One
    /// register read.
    #[must_use]
    pub fn needs_reset(&self) -> bool {
        self.transport.status().contains(Status::DEVICE_NEEDS_RESET)
    }

    /// Adds a request. The device does not see it before [`Port::publish`].
    ///
    /// # Errors
    /// [`Misuse`](crate::Misuse) if it cannot fit now or ever, [`Error::Platform`] if sharing fails,
    /// [`Error::Misbehaved`] if the queue is broken. The payload comes back.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn add(&mut self, request: Request<'_, P>) -> Result<Token, Rejected<P>> {
        self.add_with(request, None)
    }

    /// Adds a request whose header is followed by the table of entries of an attachment.
    ///
    /// # Errors
    /// As for [`Port::add`]; [`Misuse::NoSuchAttachment`](crate::Misuse), also from a port of
    /// [`Device::ports`](crate::device::Device::ports): attachments belong to the whole device.
    pub fn add_attaching<B: 'static>(
        &mut self,
        request: Request<'_, P>,
        attachment: &Attachment<B>,
    ) -> Result<Token, Rejected<P>> {
        let attachments = self.attachments.as_mut().ok_or(Misuse::NoSuchAttachment);
        match attachments.and_then(|attachments| attachments.entries(attachment)) {
            Ok(entries) => self.add_with(request, Some(entries)),
            Err(error) => Err(Rejected { error: error.into(), payload: request.payload }),
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn add_with(&mut self, request: Request<'_, P>, entries: Option<Entries>) -> Result<Token, Rejected<P>> {
        let Request { copied, payload, response } = request;
        match self.typed.add(self.hal, copied, entries, payload, response) {
            Ok(token) => {
                if let (Some(entries), Some(attachments)) = (entries, &mut self.attachments) {
                    attachments.name(entries.id);
                }
                Ok(token)
            }
            Err((error, payload)) => Err(Rejected { error, payload }),
        }
    }

    /// Shows the device all requests added so far, with one index store.
    pub fn publish(&mut self) {
        self.typed.queue.publish(self.hal);
    }

    /// Notifies the device of what was published, if it wants to be. Answers whether it was.
    pub fn kick(&mut self) -> bool {
        self.typed.queue.kick(self.transport, self.hal)
    }

    /// Adds, publishes and kicks.
    ///
    /// # Errors
    /// As for [`Port::add`].
    pub fn submit(&mut self, request: Request<'_, P>) -> Result<Token, Rejected<P>> {
        let token = self.add(request)?;
        self.publish();
        self.kick();
        Ok(token)
    }

    /// The next used request, if there is one, oldest first.
    ///
    /// # Errors
    /// [`Error::Misbehaved`] if the device broke the ring's rules; the queue stays broken.
    #[inline]
    pub fn poll(&mut self) -> Result<Option<Done<'_, P, H>>, Error> {
        match self.typed.queue.poll(self.hal)? {
            Some((slot, settled)) => Ok(Some(self.done(slot, settled))),
            None => Ok(None),
        }
    }

    /// Takes up to `budget` used requests, oldest first, and gives each to `each`; answers how many there were. It looks at the
    /// used ring's index once: what is used while it runs is left for the next time.
    ///
    /// # Errors
    /// As for [`Port::poll`]; what was taken before was given to `each`.
    #[inline]
    pub fn drain(&mut self, budget: usize, mut each: impl FnMut(Done<'_, P, H>)) -> Result<usize, Error> {
        self.typed.queue.look(self.hal)?;
        if !self.typed.queue.plain {
            return self.drain_slowly(budget, each);
        }
        let mut taken = 0_usize;
        while taken < budget {
            let (slot, settled) = match self.typed.queue.take_next(self.hal, false) {
                Next::Taken(slot, settled) => (slot, settled),
                Next::Nothing => break,
                Next::Special(slot, len) => match self.typed.queue.settle_special(self.hal, slot, len) {
                    Some(settled) => (slot, settled),
                    None => continue,
                },
                Next::Wrong(why) => return Err(self.typed.queue.fail(why)),
            };
            taken = taken.wrapping_add(1);
            each(self.done(slot, settled));
        }
        Ok(taken)
    }

    #[cold]
    fn drain_slowly(&mut self, budget: usize, mut each: impl FnMut(Done<'_, P, H>)) -> Result<usize, Error> {
        let mut taken = 0_usize;
        while taken < budget && self.typed.queue.has_seen_more() {
            let Some((slot, settled)) = self.typed.queue.poll(self.hal)? else { break };
            taken = taken.wrapping_add(1);
            each(self.done(slot, settled));
        }
        Ok(taken)
    }

    /// The request of `token`, if it was used. Others stay for [`Port::poll`].
    ///
    /// # Errors
    /// As for [`Port::poll`]; [`Misuse::NoSuchRequest`](crate::Misuse) for a token that is done already.
    pub fn poll_for(&mut self, token: Token) -> Result<Option<Done<'_, P, H>>, Error> {
        match self.typed.queue.poll_for(self.hal, token)? {
            Some((slot, settled)) => Ok(Some(self.done(slot, settled))),
            None => Ok(None),
        }
    }

    /// Waits for the request of `token`, no longer than `limit`.
    ///
    /// # Errors
    /// As for [`Port::poll_for`]; [`Misbehaved::Timeout`], in which case the request stays in flight.
    pub fn wait(&mut self, token: Token, limit: Duration) -> Result<Done<'_, P, H>, Error> {
        self.wait_until(token, Deadline::lazily(limit))
    }

    pub(crate) fn wait_until(
        &mut self,
        token: Token,
        mut deadline: Deadline,
    ) -> Result<Done<'_, P, H>, Error> {
        loop {
            if let Some((slot, settled)) = self.typed.queue.poll_for(self.hal, token)? {
                return Ok(self.done(slot, settled));
            }
            if deadline.expired(self.hal) {
                return Err(Misbehaved::Timeout(Wait::Completion(self.typed.queue.index())).into());
            }
        }
    }

    /// Asks for an interrupt when the next request is used. Answers whether one is waiting *already*: poll again then,
    /// for there may be no interrupt for it (VIRTIO 1.4 §2.7.14).
    #[must_use = "a request that is used already may bring no interrupt"]
    pub fn enable_interrupts(&mut self) -> bool {
        self.typed.queue.enable_interrupts(self.hal, 1)
    }

    /// Asks for an interrupt once `after` requests more are used, or all that are in flight, if those are fewer: 1 is the
    /// next one. A hint, for devices with `EVENT_IDX`; others interrupt at the next one. Answers whether there is something
    /// to poll for *already*.
    #[must_use = "a request that is used already may bring no interrupt"]
    pub fn enable_interrupts_after(&mut self, after: u16) -> bool {
        self.typed.queue.enable_interrupts(self.hal, after)
    }

    /// Asks for no interrupts, which is how a queue starts. Some may come all the same (VIRTIO 1.4 §2.7.7.2).
    pub fn disable_interrupts(&mut self) {
        self.typed.queue.disable_interrupts(self.hal);
    }

    #[inline]
    pub(super) fn done(&mut self, slot: Slot, settled: Settled) -> Done<'_, P, H> {
        Done::new(self.typed.reborrow(), slot, settled)
    }
}
