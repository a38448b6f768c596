//! The half of a port that transmits (VIRTIO 1.4 §5.3.6).

use core::fmt;
use core::time::Duration;

use virtio_core::dma::{ReadBuffer, Readable};
use virtio_core::queue::{self, Request, Token};
use virtio_core::{Deadline, Error, Hal, Misbehaved, Misuse, QueueIndex, Transport};

use crate::outbox::{CHUNK, Outbox};
use crate::state::{Flags, State};
use crate::{ConsoleError, PortId};

/// A buffer that can be transmitted without being copied: `&'static [u8]`; with the feature `alloc`, `Box<[u8]>` and `Vec<u8>`,
/// too.
pub trait Buffer: ReadBuffer + AsRef<[u8]> {}

impl<B: ReadBuffer + AsRef<[u8]>> Buffer for B {}

/// A buffer, back from the device.
#[derive(Debug)]
pub struct Sent<B> {
    /// Which request this was.
    pub token: Token,
    /// The buffer.
    pub buffer: B,
}

/// A buffer that was not transmitted.
#[derive(Debug)]
pub struct NotSent<B> {
    /// Why.
    pub error: ConsoleError,
    /// The buffer. `None` if the device has it, or a future had it that waited for its turn when the port was closed; it is dropped
    /// when the device is done with it, or reset.
    pub buffer: Option<B>,
}

impl<B> fmt::Display for NotSent<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<B: fmt::Debug> core::error::Error for NotSent<B> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<B> From<NotSent<B>> for ConsoleError {
    fn from(not_sent: NotSent<B>) -> Self {
        not_sent.error
    }
}

/// What a port transmits. Made by [`Port::split`](crate::Port::split) and [`Halves::take`](crate::Halves::take).
#[derive(Debug)]
pub struct Writer<'d, T: ?Sized, H: Hal, B = &'static [u8]> {
    pub(crate) id: PortId,
    pub(crate) queue: queue::Port<'d, Option<Readable<B>>, T, H>,
    pub(crate) outbox: &'d mut Outbox,
    pub(crate) state: &'d State,
    pub(crate) hal: &'d H,
    pub(crate) limit: Duration,
}

impl<T: Transport + ?Sized, H: Hal, B: Buffer> Writer<'_, T, H, B> {
    /// Which port this is.
    #[must_use]
    pub fn id(&self) -> PortId {
        self.id
    }

    /// The queue by which it transmits: what its interrupts are about.
    #[must_use]
    pub fn queue(&self) -> QueueIndex {
        self.queue.index()
    }

    /// Whether the other end is open, as far as control messages were read: see [`Port::is_open`](crate::Port::is_open).
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }

    /// Changes how long [`Writer::write_all`] and [`Writer::flush`] wait.
    pub fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Writes as much of `bytes` as there is room for, and does not wait: it is copied to the queue's own memory, 2048 bytes at
    /// the most. Answers how many bytes; 0 if there is no room now, or `bytes` is empty.
    ///
    /// # Errors
    /// [`ConsoleError::NoSuchPort`] if the port is gone, or was never there, [`ConsoleError::Closed`];
    /// [`ConsoleError::Core`] if the device broke the queue's rules.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, ConsoleError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.check()?;
        self.reap()?;
        let mut written = 0_usize;
        let mut failed = None;
        for chunk in bytes.chunks(CHUNK) {
            let Some(place) = self.outbox.place() else { break };
            match self.queue.add(Request::new(None).header(chunk)) {
                Ok(token) => *place = Some(token),
                Err(rejected) => {
                    failed = Some(rejected.error).filter(|error| *error != Misuse::QueueFull.into());
                    break;
                }
            }
            written = written.saturating_add(chunk.len());
        }
        match failed {
            Some(error) if written == 0 => Err(error.into()),
            _ => {
                self.show();
                Ok(written)
            }
        }
    }

    /// Writes all of `bytes`, of any length, and waits for room where there is none. What was written is on its way then;
    /// [`Writer::flush`] waits until it is there.
    ///
    /// # Errors
    /// [`ConsoleError::TimedOut`] if the device makes no room for as long as the limit says (30 s, unless it was changed), with
    /// the number of bytes that were written; [`Misbehaved::NeedsReset`] if the device asks for it; otherwise as for
    /// [`Writer::write`].
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), ConsoleError> {
        self.write_while(bytes, || Ok(()))
    }

    pub(crate) fn write_while(
        &mut self,
        bytes: &[u8],
        mut meanwhile: impl FnMut() -> Result<(), ConsoleError>,
    ) -> Result<(), ConsoleError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let done = bytes.len().saturating_sub(rest.len());
            let written = self.write_waiting(rest, done, &mut meanwhile)?;
            rest = rest.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Writes some, and waits for room for that; 0 only if there is nothing to write. `done` was written before.
    pub(crate) fn write_waiting(
        &mut self,
        bytes: &[u8],
        done: usize,
        meanwhile: &mut impl FnMut() -> Result<(), ConsoleError>,
    ) -> Result<usize, ConsoleError> {
        self.wait(meanwhile, done, |writer| {
            let written = writer.write(bytes)?;
            Ok((written > 0 || bytes.is_empty()).then_some(written))
        })
    }

    /// Waits until the device has taken all that was written by copying.
    ///
    /// # Errors
    /// As for [`Writer::write_all`].
    pub fn flush(&mut self) -> Result<(), ConsoleError> {
        self.flush_while(|| Ok(()))
    }

    pub(crate) fn flush_while(
        &mut self,
        mut meanwhile: impl FnMut() -> Result<(), ConsoleError>,
    ) -> Result<(), ConsoleError> {
        self.wait(&mut meanwhile, 0, |writer| {
            writer.reap()?;
            if writer.outbox.is_empty() {
                return Ok(Some(()));
            }
            writer.check()?;
            Ok(None)
        })
    }

    /// Gives the device a buffer to read, without copying it, and returns at once. The token names the request in
    /// [`Writer::poll_sent`]. What the device has read keeps its place in the queue until it is fetched there: with as many as the queue
    /// holds, [`Writer::write`] finds no room.
    ///
    /// # Errors
    /// The buffer comes back with [`Misuse::QueueFull`] while as many as the queue holds are under way,
    /// [`Misuse::EmptyRequest`] if it is empty, [`Error::Platform`] if it cannot be shared with the device; otherwise as for
    /// [`Writer::write`].
    pub fn submit(&mut self, buffer: B) -> Result<Token, NotSent<B>> {
        let outcome = if buffer.as_ref().is_empty() {
            Err(Error::from(Misuse::EmptyRequest).into())
        } else {
            self.check().and_then(|()| self.reap())
        };
        if let Err(error) = outcome {
            return Err(NotSent { error, buffer: Some(buffer) });
        }
        self.queue.submit(Request::new(Some(Readable(buffer)))).map_err(|rejected| NotSent {
            error: rejected.error.into(),
            buffer: rejected.payload.map(|Readable(buffer)| buffer),
        })
    }

    /// The next buffer that the device has read, or `None`. Does not wait.
    ///
    /// # Errors
    /// [`ConsoleError::Core`] if the device broke the queue's rules.
    pub fn poll_sent(&mut self) -> Result<Option<Sent<B>>, ConsoleError> {
        while let Some(mut done) = self.queue.poll()? {
            let token = done.token();
            if let Some(Some(Readable(buffer))) = done.take_payload() {
                return Ok(Some(Sent { token, buffer }));
            }
            self.outbox.forget(token);
        }
        Ok(None)
    }

    /// Whether something can be written now, or there is a reason not to wait for it.
    ///
    /// # Errors
    /// [`ConsoleError::Core`] if the device broke the queue's rules.
    pub fn is_ready(&mut self) -> Result<bool, ConsoleError> {
        self.reap()?;
        Ok(self.check().is_err() || self.outbox.has_place() && self.queue.free() > 0)
    }

    /// Asks for an interrupt when the device has taken something. Answers whether it has *already*.
    #[must_use = "what was taken already may bring no interrupt"]
    pub fn enable_interrupts(&mut self) -> bool {
        self.queue.enable_interrupts()
    }

    /// Asks for no interrupts, which is how a port starts. One may come all the same.
    pub fn disable_interrupts(&mut self) {
        self.queue.disable_interrupts();
    }

    /// Tries until there is an answer, no longer than the limit.
    fn wait<V>(
        &mut self,
        meanwhile: &mut impl FnMut() -> Result<(), ConsoleError>,
        done: usize,
        mut attempt: impl FnMut(&mut Self) -> Result<Option<V>, ConsoleError>,
    ) -> Result<V, ConsoleError> {
        let mut deadline = Deadline::after(self.hal, self.limit).map_err(Error::from)?;
        loop {
            if let Some(value) = attempt(self)? {
                return Ok(value);
            }
            meanwhile()?;
            if deadline.expired(self.hal) {
                return Err(if self.queue.needs_reset() {
                    Error::from(Misbehaved::NeedsReset).into()
                } else {
                    ConsoleError::TimedOut { port: self.id, done }
                });
            }
        }
    }

    fn check(&self) -> Result<(), ConsoleError> {
        check(self.state, self.id)
    }

    /// Frees the places of copies that the device has taken. What it says it wrote means nothing (VIRTIO 1.4 §5.3.6.3).
    fn reap(&mut self) -> Result<(), ConsoleError> {
        for place in self.outbox.under_way() {
            if let Some(token) = *place {
                if self.queue.poll_for(token)?.is_some() {
                    *place = None;
                }
            }
        }
        Ok(())
    }

    fn show(&mut self) {
        self.queue.publish();
        self.queue.kick();
    }
}

/// Whether anybody is there to read what is written.
pub(crate) fn check(state: &State, id: PortId) -> Result<(), ConsoleError> {
    let flags = state.flags();
    if !flags.contains(Flags::PRESENT) {
        return Err(ConsoleError::NoSuchPort(id));
    }
    if !flags.contains(Flags::OPEN) {
        return Err(ConsoleError::Closed(id));
    }
    Ok(())
}

/// As [`Writer::write_all`]. What was wrong is not said; the next write says it again.
impl<T: Transport + ?Sized, H: Hal, B: Buffer> fmt::Write for Writer<'_, T, H, B> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}
