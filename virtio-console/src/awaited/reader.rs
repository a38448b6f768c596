//! The half of a port that receives, awaited.

use virtio_core::dma::{Dma, FromDevice};
use virtio_core::queue::{AsyncPort, Bell, Request};
use virtio_core::{Hal, Misbehaved, Transport};

use super::unless;
use crate::bells::PortBells;
use crate::inbox::Inbox;
use crate::state::State;
use crate::{Bells, ConsoleError, PortId, Reader};

/// What a port receives, for a task. Made by [`Reader::awaited`].
#[derive(Debug)]
pub struct AsyncReader<'d, T: ?Sized, H: Hal> {
    id: PortId,
    queue: AsyncPort<'d, Dma<[u8], H, FromDevice>, T, H>,
    inbox: &'d mut Inbox<H>,
    state: &'d State,
    /// Of who reads control messages, and may wait until this one has dropped what a removed port had received.
    control: &'d Bell,
}

impl<'d, T: Transport + ?Sized, H: Hal + 'static> Reader<'d, T, H> {
    /// Makes its reads futures, woken by these bells.
    ///
    /// That the other end was closed is known when a task waits for [`AsyncControl::next_event`](crate::AsyncControl::next_event)
    /// with the same bells.
    ///
    /// # Errors
    /// [`ConsoleError::BellTaken`]; [`ConsoleError::NoBell`].
    pub fn awaited<const PORTS: usize>(
        self,
        bells: &'d Bells<PORTS>,
    ) -> Result<AsyncReader<'d, T, H>, ConsoleError> {
        let Self { id, queue, inbox, state, .. } = self;
        let PortBells { receive, .. } = bells.ports.get(id.place()).ok_or(ConsoleError::NoBell(id))?;
        let queue = AsyncPort::new(queue, receive).map_err(|_| ConsoleError::BellTaken)?;
        // Those that were added and not shown are shown with the first look at the queue.
        inbox.added = 0;
        Ok(AsyncReader { id, queue, inbox, state, control: &bells.control })
    }
}

impl<T: Transport + ?Sized, H: Hal + 'static> AsyncReader<'_, T, H> {
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

    /// Waits until there is something to read, and reads up to all of `bytes`. Answers how many bytes; 0 if the other end is
    /// closed and all it has sent was read, or if `bytes` is empty. What does not fit is there for the next call.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`ConsoleError::NoSuchPort`] if the port is gone, or was never there; [`ConsoleError::Core`] if the device broke the queue's
    /// rules, asks to be reset ([`Misbehaved::NeedsReset`]), or the queue was [given up](AsyncReader::fail).
    pub async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ConsoleError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let unread = self.fill().await?;
        let len = unread.len().min(bytes.len());
        for (place, byte) in bytes.iter_mut().zip(unread) {
            *place = *byte;
        }
        self.consume(len);
        Ok(len)
    }

    /// Waits until there is something to read, and shows it where the device has written it; empty if the other end is closed.
    /// [`AsyncReader::consume`] goes on. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As for [`AsyncReader::read`].
    pub async fn fill(&mut self) -> Result<&[u8], ConsoleError> {
        loop {
            let stale = self.state.is_stale();
            if stale {
                self.inbox.clear();
            }
            if !self.inbox.is_empty() {
                break;
            }
            let state = self.state;
            if self.receive(move || stale || state.is_stale() || !state.is_open()).await? {
                continue;
            }
            if stale {
                // All of it is dropped.
                self.state.set_stale(false);
                self.control.ring();
            } else if !self.state.is_stale() {
                if self.state.is_present() {
                    break;
                }
                return Err(ConsoleError::NoSuchPort(self.id));
            }
        }
        Ok(self.inbox.unread())
    }

    /// So many bytes of what [`AsyncReader::fill`] has shown were read. An emptied buffer goes back to the device.
    pub fn consume(&mut self, bytes: usize) {
        self.inbox.advance(bytes);
        // What cannot be added now is tried again before the next look.
        let _ = self.return_buffer();
        self.queue.kick();
    }

    /// Waits until the other end is open.
    ///
    /// # Errors
    /// As for [`AsyncReader::read`], but that the port is gone is no error: it may come again.
    pub async fn opened(&mut self) -> Result<(), ConsoleError> {
        loop {
            let state = self.state;
            if state.is_stale() {
                // Ends with all of it dropped: there is a reason not to wait.
                match self.fill().await {
                    Ok(_) | Err(ConsoleError::NoSuchPort(_)) => continue,
                    Err(error) => return Err(error),
                }
            }
            if state.is_open() {
                return Ok(());
            }
            if !self.inbox.is_empty() {
                // Sent before it was closed: to be read first.
                return Ok(());
            }
            self.receive(move || state.is_open() || state.is_stale()).await?;
        }
    }

    /// Waits for a buffer, or for a reason not to. Answers whether there is one. Nothing is unread before.
    async fn receive(&mut self, reason: impl Fn() -> bool) -> Result<bool, ConsoleError> {
        self.return_buffer()?;
        self.queue.kick();
        let done = unless(&self.queue, self.queue.next(&mut []), reason).await?;
        let Some(done) = done.transpose()? else { return Ok(false) };
        self.inbox.keep(done.payload, done.written);
        Ok(true)
    }

    /// Adds the buffer that was read to the queue.
    fn return_buffer(&mut self) -> Result<(), ConsoleError> {
        let Some(buffer) = self.inbox.take_read() else { return Ok(()) };
        self.queue.post(Request::new(buffer)).map(drop).map_err(|rejected| {
            self.inbox.put_back(rejected.payload);
            rejected.error.into()
        })
    }

    /// Gives the queue up, for a reason that it does not see itself. Who waits is woken and gets the error. Then drop all halves and
    /// [recover](crate::Console::recover).
    pub fn fail(&self, why: Misbehaved) {
        self.queue.fail(why);
    }
}
