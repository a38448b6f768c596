//! One queue, lent by its device.

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

use super::done::Done;
use super::split::Token;
use super::{Queue, chain::Settled};
use crate::dma::{Attachment, Attachments, Entries, Lend};
use crate::hal::Deadline;
use crate::transport::Transport;
use crate::{Error, Hal, Misbehaved, QueueIndex, Wait};

/// A request to be added: a header, a payload and room for a response, each of which may be absent.
#[derive(Debug)]
pub struct Request<'a, P> {
    header: &'a [u8],
    payload: P,
    response: usize,
}

impl<'a, P> Request<'a, P> {
    /// A request that carries just `payload`.
    #[must_use]
    pub const fn new(payload: P) -> Self {
        Self { header: &[], payload, response: 0 }
    }

    pub(crate) fn into_payload(self) -> P {
        self.payload
    }

    /// With a header, which is copied.
    #[must_use]
    pub fn header(mut self, header: &'a [u8]) -> Self {
        self.header = header;
        self
    }

    /// With room for a response of `bytes` behind the payload.
    #[must_use]
    pub fn response(mut self, bytes: usize) -> Self {
        self.response = bytes;
        self
    }
}

/// A request that was not added, with its payload.
#[derive(Debug)]
pub struct Rejected<P> {
    /// Why.
    pub error: Error,
    /// The payload, untouched.
    pub payload: P,
}

impl<P> fmt::Display for Rejected<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<P: fmt::Debug> core::error::Error for Rejected<P> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<P> From<Rejected<P>> for Error {
    fn from(rejected: Rejected<P>) -> Self {
        rejected.error
    }
}

/// One queue of a live device, for requests with payloads of type `P`.
///
/// A port borrows the device, so it exists only while the device is live; queues of two devices cannot be mixed up.
pub struct Port<'d, P, T: ?Sized, H: Hal> {
    queue: &'d mut Queue<H>,
    attachments: &'d mut Attachments<H>,
    transport: &'d T,
    hal: &'d H,
    payload: PhantomData<P>,
}

impl<P, T: ?Sized, H: Hal> fmt::Debug for Port<'_, P, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port({}, {} free)", self.queue.index(), self.queue.free())
    }
}

impl<'d, P: Lend, T: Transport + ?Sized, H: Hal> Port<'d, P, T, H> {
    pub(crate) fn new(
        queue: &'d mut Queue<H>,
        attachments: &'d mut Attachments<H>,
        transport: &'d T,
        hal: &'d H,
    ) -> Self {
        Self { queue, attachments, transport, hal, payload: PhantomData }
    }

    /// Which queue this is.
    #[must_use]
    pub fn index(&self) -> QueueIndex {
        self.queue.index()
    }

    /// Descriptors in the queue.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.queue.size().get()
    }

    /// Descriptors that are free. A request takes one for its header, one per segment of payload, one for its response.
    #[must_use]
    pub fn free(&self) -> u16 {
        self.queue.free()
    }

    /// Requests that were added and not used yet.
    #[must_use]
    pub fn in_flight(&self) -> u16 {
        self.queue.in_flight()
    }

    /// Adds a request. The device does not see it before [`Port::publish`].
    ///
    /// # Errors
    /// [`Misuse`](crate::Misuse) if it cannot fit now or ever, [`Error::Platform`] if sharing fails,
    /// [`Error::Misbehaved`] if the queue is broken. The payload comes back.
    pub fn add(&mut self, request: Request<'_, P>) -> Result<Token, Rejected<P>> {
        self.add_with(request, None)
    }

    /// Adds a request whose header is followed by the table of entries of an attachment.
    ///
    /// # Errors
    /// As for [`Port::add`]; [`Misuse::NoSuchAttachment`](crate::Misuse).
    pub fn add_attaching<B: 'static>(
        &mut self,
        request: Request<'_, P>,
        attachment: &Attachment<B>,
    ) -> Result<Token, Rejected<P>> {
        match self.attachments.entries(attachment) {
            Ok(entries) => self.add_with(request, Some(entries)),
            Err(error) => Err(Rejected { error: error.into(), payload: request.payload }),
        }
    }

    fn add_with(&mut self, request: Request<'_, P>, entries: Option<Entries>) -> Result<Token, Rejected<P>> {
        let Request { header, payload, response } = request;
        match self.queue.add(self.hal, header, entries, payload, response) {
            Ok(token) => {
                if let Some(entries) = entries {
                    self.attachments.retain(entries.id);
                }
                Ok(token)
            }
            Err((error, payload)) => Err(Rejected { error, payload }),
        }
    }

    /// Shows the device all requests added so far, with one index store.
    pub fn publish(&mut self) {
        self.queue.publish();
    }

    /// Notifies the device of what was published, if it wants to be. Answers whether it was.
    pub fn kick(&mut self) -> bool {
        let wanted = self.queue.wants_notification();
        if let Some(doorbell) = self.queue.doorbell().filter(|_| wanted) {
            self.transport.notify(doorbell);
        }
        wanted
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
    pub fn poll(&mut self) -> Result<Option<Done<'_, P, H>>, Error> {
        match self.queue.poll(self.hal)? {
            Some((token, settled)) => Ok(Some(self.done(token, settled))),
            None => Ok(None),
        }
    }

    /// The request of `token`, if it was used. Others stay for [`Port::poll`].
    ///
    /// # Errors
    /// As for [`Port::poll`]; [`Misuse::NoSuchRequest`](crate::Misuse) for a token that is done already.
    pub fn poll_for(&mut self, token: Token) -> Result<Option<Done<'_, P, H>>, Error> {
        match self.queue.poll_for(self.hal, token)? {
            Some(settled) => Ok(Some(self.done(token, settled))),
            None => Ok(None),
        }
    }

    /// Waits for the request of `token`, no longer than `limit`.
    ///
    /// # Errors
    /// As for [`Port::poll_for`]; [`Misbehaved::Timeout`], in which case the request stays in flight.
    pub fn wait(&mut self, token: Token, limit: Duration) -> Result<Done<'_, P, H>, Error> {
        let deadline = Deadline::after(self.hal, limit)?;
        self.wait_until(token, deadline)
    }

    pub(crate) fn wait_until(
        &mut self,
        token: Token,
        mut deadline: Deadline,
    ) -> Result<Done<'_, P, H>, Error> {
        loop {
            if let Some(settled) = self.queue.poll_for(self.hal, token)? {
                return Ok(self.done(token, settled));
            }
            if deadline.expired(self.hal) {
                return Err(Misbehaved::Timeout(Wait::Completion(self.queue.index())).into());
            }
        }
    }

    /// Asks for an interrupt when the next request is used. Answers whether one is waiting *already*: poll again then,
    /// for there may be no interrupt for it (VIRTIO 1.4 §2.7.14).
    #[must_use = "a request that is used already may bring no interrupt"]
    pub fn enable_interrupts(&mut self) -> bool {
        self.queue.enable_interrupts()
    }

    /// Asks for no interrupts, which is how a queue starts. Some may come all the same (VIRTIO 1.4 §2.7.7.2).
    pub fn disable_interrupts(&mut self) {
        self.queue.disable_interrupts();
    }

    fn done(&mut self, token: Token, settled: Settled) -> Done<'_, P, H> {
        if settled.entries != 0 {
            self.attachments.unretain(settled.entries);
        }
        Done::new(self.queue, token, settled)
    }
}
