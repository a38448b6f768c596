//! The half of a port that receives (VIRTIO 1.4 §5.3.6).

use core::mem;
use core::time::Duration;

use virtio_core::dma::{Dma, FromDevice};
use virtio_core::queue::{self, Request};
use virtio_core::{Deadline, Error, Hal, Misbehaved, Misuse, QueueIndex, Transport};

use crate::inbox::Inbox;
use crate::state::State;
use crate::{ConsoleError, PortId};

/// What a port receives. Made by [`Port::split`](crate::Port::split) and [`Halves::take`](crate::Halves::take).
#[derive(Debug)]
pub struct Reader<'d, T: ?Sized, H: Hal> {
    pub(crate) id: PortId,
    pub(crate) queue: queue::Port<'d, Dma<[u8], H, FromDevice>, T, H>,
    pub(crate) inbox: &'d mut Inbox<H>,
    pub(crate) state: &'d State,
    pub(crate) hal: &'d H,
    pub(crate) limit: Duration,
}

impl<T: Transport + ?Sized, H: Hal + 'static> Reader<'_, T, H> {
    /// Which port this is.
    #[must_use]
    pub fn id(&self) -> PortId {
        self.id
    }

    /// The queue by which it receives: what its interrupts are about.
    #[must_use]
    pub fn queue(&self) -> QueueIndex {
        self.queue.index()
    }

    /// Whether the other end is open, as far as control messages were read: see [`Port::is_open`](crate::Port::is_open).
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }

    /// Changes how long the blocking traits wait.
    pub fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Reads what is there: up to all of `bytes`, and does not wait. Answers how many bytes; 0 if there is nothing now. Whether
    /// there may be more, [`Reader::is_open`] says.
    ///
    /// What does not fit `bytes` is there for the next call.
    ///
    /// # Errors
    /// [`ConsoleError::NoSuchPort`] if the port is gone, or was never there; [`ConsoleError::Core`] if the device broke the
    /// queue's rules. What was read before is answered first.
    pub fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ConsoleError> {
        let room = bytes.len();
        let mut rest = bytes;
        while !rest.is_empty() {
            let unread = match self.peek() {
                Ok([]) => break,
                Ok(unread) => unread,
                Err(error) if rest.len() == room => return Err(error),
                Err(_) => break,
            };
            let len = unread.len().min(rest.len());
            let (place, behind) = mem::take(&mut rest).split_at_mut(len);
            place.copy_from_slice(unread.get(..len).unwrap_or_default());
            rest = behind;
            self.consume(len);
        }
        Ok(room.saturating_sub(rest.len()))
    }

    /// Waits until there is something to read, no longer than `limit`, and reads as [`Reader::read`] does. Answers 0 if the other
    /// end is closed and all it has sent was read, or if `bytes` is empty.
    ///
    /// That the other end was closed is known once the control message is read: by a [`Control`](crate::Control) on another CPU;
    /// a [`Port`](crate::Port) reads it itself.
    ///
    /// # Errors
    /// [`ConsoleError::TimedOut`]; [`Misbehaved::NeedsReset`] if the device asks for it; otherwise as for [`Reader::read`].
    pub fn read_within(&mut self, bytes: &mut [u8], limit: Duration) -> Result<usize, ConsoleError> {
        if bytes.is_empty() || !self.wait(limit, || Ok(()))? {
            return Ok(0);
        }
        self.read(bytes)
    }

    /// What is there to read, where the device has written it; empty if there is nothing now. [`Reader::consume`] goes on.
    ///
    /// # Errors
    /// As for [`Reader::read`].
    pub fn peek(&mut self) -> Result<&[u8], ConsoleError> {
        // First: who sees the port go sees all that it has received before.
        let present = self.state.is_present();
        self.look()?;
        if self.inbox.is_empty() && !present {
            return Err(ConsoleError::NoSuchPort(self.id));
        }
        Ok(self.inbox.unread())
    }

    /// So many bytes of what [`Reader::peek`] has shown were read. An emptied buffer goes back to the device.
    pub fn consume(&mut self, bytes: usize) {
        self.inbox.advance(bytes);
        if self.inbox.is_empty() {
            // What cannot be added now is tried again at the next look.
            let _ = self.return_buffer();
            if self.inbox.added >= self.inbox.batch {
                self.show();
            }
        }
    }

    /// Whether there is something to read, or a reason not to wait for it.
    ///
    /// # Errors
    /// As for [`Reader::read`].
    pub fn is_ready(&mut self) -> Result<bool, ConsoleError> {
        let open = self.is_open();
        Ok(!self.peek()?.is_empty() || !open)
    }

    /// Asks for an interrupt when something is received. Answers whether something waits *already*: read it then, for there may
    /// be no interrupt for it.
    #[must_use = "what waits already may bring no interrupt"]
    pub fn enable_interrupts(&mut self) -> bool {
        self.show();
        self.queue.enable_interrupts() || !self.inbox.is_empty()
    }

    /// Asks for no interrupts, which is how a port starts. One may come all the same.
    pub fn disable_interrupts(&mut self) {
        self.queue.disable_interrupts();
    }

    /// Waits for something to read. Answers whether there is; otherwise the port is closed.
    pub(crate) fn wait(
        &mut self,
        limit: Duration,
        mut meanwhile: impl FnMut() -> Result<(), ConsoleError>,
    ) -> Result<bool, ConsoleError> {
        let mut deadline = Deadline::after(self.hal, limit).map_err(Error::from)?;
        loop {
            // First: see `peek`.
            let open = self.is_open();
            if !self.peek()?.is_empty() {
                return Ok(true);
            }
            if !open {
                return Ok(false);
            }
            meanwhile()?;
            if deadline.expired(self.hal) {
                return Err(self.too_late());
            }
        }
    }

    fn too_late(&self) -> ConsoleError {
        if self.queue.needs_reset() {
            return Error::from(Misbehaved::NeedsReset).into();
        }
        ConsoleError::TimedOut { port: self.id, done: 0 }
    }

    /// Fetches what was received, if nothing is unread.
    fn look(&mut self) -> Result<(), ConsoleError> {
        self.refresh()?;
        // A device may use buffers without writing anything to them; that has an end where the queue has.
        for _ in 0..=self.queue.size() {
            if !self.inbox.is_empty() {
                return Ok(());
            }
            if !self.fetch()? {
                break;
            }
        }
        if self.inbox.is_empty() {
            self.show();
        }
        Ok(())
    }

    /// After the port was removed: drops what it had received. All of it is there already, for nothing comes before the port is
    /// said to be ready again, which waits for this.
    pub(crate) fn refresh(&mut self) -> Result<(), ConsoleError> {
        if !self.state.is_stale() {
            return Ok(());
        }
        self.inbox.clear();
        // No more than were in flight, whatever the device does.
        for _ in 0..=self.queue.size() {
            if !self.fetch()? {
                break;
            }
            self.inbox.clear();
        }
        self.show();
        self.state.set_stale(false);
        Ok(())
    }

    /// Exchanges the buffer that was read for one that the device has written. Answers whether there was one.
    fn fetch(&mut self) -> Result<bool, ConsoleError> {
        self.return_buffer()?;
        let Some(mut done) = self.queue.poll()? else { return Ok(false) };
        let written = done.written();
        let buffer = done.take_payload().ok_or(Error::from(Misuse::NoSuchRequest))?;
        self.inbox.keep(buffer, written);
        Ok(true)
    }

    /// Adds the buffer that was read to the queue.
    fn return_buffer(&mut self) -> Result<(), ConsoleError> {
        let Some(buffer) = self.inbox.take_read() else { return Ok(()) };
        match self.queue.add(Request::new(buffer)) {
            Ok(_) => {
                self.inbox.added = self.inbox.added.saturating_add(1);
                Ok(())
            }
            Err(rejected) => {
                self.inbox.put_back(rejected.payload);
                Err(rejected.error.into())
            }
        }
    }

    /// Shows the device the buffers that were added.
    pub(crate) fn show(&mut self) {
        if self.inbox.added > 0 {
            self.queue.publish();
            self.queue.kick();
            self.inbox.added = 0;
        }
    }
}
