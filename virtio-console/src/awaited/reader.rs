//! The half of a port that receives, awaited.

use virtio_core::dma::{Dma, FromDevice};
use virtio_core::queue::{AsyncPort, Bell, Request};
use virtio_core::{Hal, Misbehaved, Transport};

use super::{turn, unless};
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
    /// Buffers in a row that had nothing for anybody.
    fruitless: u16,
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
        let mut reader = self;
        // From here on nobody counts what was added and not shown.
        reader.show();
        let Self { id, queue, inbox, state, .. } = reader;
        let PortBells { receive, .. } = bells.ports.get(id.place()).ok_or(ConsoleError::NoBell(id))?;
        let queue = AsyncPort::new(queue, receive).map_err(|_| ConsoleError::BellTaken)?;
        Ok(AsyncReader { id, queue, inbox, state, control: &bells.control, fruitless: 0 })
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
            self.forget_former_life().await?;
            if !self.inbox.is_empty() {
                break;
            }
            let state = self.state;
            if self.receive(move || state.is_stale() || !state.is_open()).await? || state.is_stale() {
                continue;
            }
            if state.is_present() {
                break;
            }
            return Err(ConsoleError::NoSuchPort(self.id));
        }
        Ok(self.inbox.unread())
    }

    /// After the port was removed: drops what it had received, and tells who reads control messages that it is gone.
    async fn forget_former_life(&mut self) -> Result<(), ConsoleError> {
        while self.state.is_stale() {
            self.inbox.clear();
            if !self.receive(|| true).await? {
                self.state.set_stale(false);
                self.control.ring();
            }
        }
        Ok(())
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
            self.forget_former_life().await?;
            let state = self.state;
            // What was sent before it was closed is to be read first.
            if state.is_open() || !self.inbox.is_empty() {
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
        let fruitless = self.inbox.is_empty() || self.state.is_stale();
        self.fruitless = if fruitless { self.fruitless.saturating_add(1) } else { 0 };
        // A device may use each of them the moment it gets it, and never stop: others have their turn in between.
        if self.fruitless > self.queue.size() {
            self.fruitless = 0;
            turn().await;
        }
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
