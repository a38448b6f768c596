//! The half of a port that transmits, awaited.

use virtio_core::dma::Readable;
use virtio_core::queue::{AsyncPort, Request};
use virtio_core::{Error, Hal, Misbehaved, Misuse, Transport};

use super::unless;
use crate::bells::PortBells;
use crate::outbox::{CHUNK, Outbox};
use crate::state::State;
use crate::writer::{Buffer, check};
use crate::{Bells, ConsoleError, NotSent, PortId, Writer};

/// What a port transmits, for a task. Made by [`Writer::awaited`].
#[derive(Debug)]
pub struct AsyncWriter<'d, T: ?Sized, H: Hal, B = &'static [u8]> {
    id: PortId,
    queue: AsyncPort<'d, Option<Readable<B>>, T, H>,
    outbox: &'d mut Outbox,
    state: &'d State,
}

impl<'d, T: Transport + ?Sized, H: Hal, B: Buffer> Writer<'d, T, H, B> {
    /// Makes its writes futures, woken by these bells. Buffers that were [submitted](Writer::submit) and not fetched are dropped when
    /// the device is done with them.
    ///
    /// # Errors
    /// [`ConsoleError::BellTaken`]; [`ConsoleError::NoBell`].
    pub fn awaited<const PORTS: usize>(
        self,
        bells: &'d Bells<PORTS>,
    ) -> Result<AsyncWriter<'d, T, H, B>, ConsoleError> {
        let Self { id, queue, outbox, state, .. } = self;
        let PortBells { transmit, .. } = bells.ports.get(id.place()).ok_or(ConsoleError::NoBell(id))?;
        let queue = AsyncPort::new(queue, transmit).map_err(|_| ConsoleError::BellTaken)?;
        Ok(AsyncWriter { id, queue, outbox, state })
    }
}

impl<T: Transport + ?Sized, H: Hal, B: Buffer> AsyncWriter<'_, T, H, B> {
    /// Which port this is.
    #[must_use]
    pub fn id(&self) -> PortId {
        self.id
    }

    /// Whether the other end is open, as far as control messages were read.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }

    /// Writes some of `bytes`, 256 at the most: waits for room, copies them to the queue's own memory, and does not wait until the
    /// device has taken them. Answers how many; 0 only if `bytes` is empty.
    ///
    /// Dropping the future writes nothing.
    ///
    /// # Errors
    /// [`ConsoleError::NoSuchPort`], [`ConsoleError::Closed`], also while it waits; [`ConsoleError::Core`] as for
    /// [`AsyncReader::read`](crate::AsyncReader::read).
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, ConsoleError> {
        let Some(chunk) = bytes.chunks(CHUNK).next() else { return Ok(0) };
        loop {
            check(self.state, self.id)?;
            if let Some(place) = self.outbox.place() {
                match self.queue.post(Request::new(None).header(chunk)) {
                    Ok(token) => {
                        *place = Some(token);
                        self.queue.kick();
                        return Ok(chunk.len());
                    }
                    Err(rejected) if rejected.error == Misuse::QueueFull.into() => {}
                    Err(rejected) => return Err(rejected.error.into()),
                }
            }
            self.reap().await?;
        }
    }

    /// Writes all of `bytes`. What was written is on its way then; [`AsyncWriter::flush`] waits until it is there. When the future
    /// is dropped, some may have been written.
    ///
    /// # Errors
    /// As for [`AsyncWriter::write`].
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), ConsoleError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = self.write(rest).await?;
            rest = rest.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Waits until the device has taken all that was written by copying.
    ///
    /// # Errors
    /// As for [`AsyncWriter::write`].
    pub async fn flush(&mut self) -> Result<(), ConsoleError> {
        while !self.outbox.is_empty() {
            self.reap().await?;
        }
        Ok(())
    }

    /// Has the device read a buffer, without copying it, and waits until it has. If the queue is full, it waits for its turn.
    ///
    /// Dropping the future gives the buffer up: it is dropped when the device is done with it.
    ///
    /// # Errors
    /// As for [`AsyncWriter::write`], and as for [`Writer::submit`](crate::Writer::submit), with the buffer if the device has not got
    /// it.
    pub async fn send(&mut self, buffer: B) -> Result<B, NotSent<B>> {
        let empty = buffer.as_ref().is_empty();
        let checked = check(self.state, self.id);
        let refused = if empty { Err(Error::from(Misuse::EmptyRequest).into()) } else { checked };
        if let Err(error) = refused {
            return Err(NotSent { error, buffer: Some(buffer) });
        }
        let state = self.state;
        let sending = self.queue.send(Request::new(Some(Readable(buffer))), &mut []);
        let lost = |error| NotSent { error, buffer: None };
        match unless(&self.queue, sending, || !state.is_open()).await.map_err(lost)? {
            Some(Ok(done)) => {
                let buffer = done.payload.map(|Readable(buffer)| buffer);
                buffer.ok_or(lost(Error::from(Misuse::NoSuchRequest).into()))
            }
            Some(Err(failed)) => {
                let buffer = failed.payload.flatten().map(|Readable(buffer)| buffer);
                Err(NotSent { error: failed.error.into(), buffer })
            }
            None => Err(lost(check(state, self.id).err().unwrap_or(ConsoleError::Closed(self.id)))),
        }
    }

    /// Waits until the device has taken something that was written by copying.
    async fn reap(&mut self) -> Result<(), ConsoleError> {
        let state = self.state;
        match unless(&self.queue, self.queue.next(&mut []), || !state.is_open()).await?.transpose()? {
            Some(done) => {
                self.outbox.forget(done.token);
                Ok(())
            }
            None => check(state, self.id),
        }
    }

    /// Gives the queue up, for a reason that it does not see itself. Who waits is woken and gets the error. Then drop all halves and
    /// [recover](crate::Console::recover).
    pub fn fail(&self, why: Misbehaved) {
        self.queue.fail(why);
    }
}
