//! Talking with the device about its ports, awaited.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use virtio_core::config::Config;
use virtio_core::queue::{AsyncPort, Port};
use virtio_core::{Error, Features, Hal, Misbehaved, Transport};

use crate::bells::PortBells;
use crate::control::{self, Book, MESSAGE_LEN, find, name_of, room};
use crate::{Bells, ConsoleError, Control, Event, Name, PortId, Size};

/// What the device says of its ports, and what it is told of them, for a task. Made by [`Control::awaited`].
#[derive(Debug)]
pub struct AsyncControl<'d, T: ?Sized, H: Hal> {
    incoming: AsyncPort<'d, (), T, H>,
    outgoing: Port<'d, (), T, H>,
    config: Config<'d, T>,
    features: Features,
    book: Book<'d>,
    bells: &'d [PortBells],
}

impl<'d, T: Transport + ?Sized, H: Hal> Control<'d, T, H> {
    /// Makes the device's messages futures, woken by these bells. Who waits for a port hears of what happens to it by the bells, too.
    ///
    /// # Errors
    /// [`ConsoleError::BellTaken`].
    pub fn awaited<const PORTS: usize>(
        self,
        bells: &'d Bells<PORTS>,
    ) -> Result<AsyncControl<'d, T, H>, ConsoleError> {
        let Self { incoming, outgoing, config, features, book } = self;
        let incoming = AsyncPort::new(incoming, &bells.control).map_err(|_| ConsoleError::BellTaken)?;
        Ok(AsyncControl { incoming, outgoing, config, features, book, bells: &bells.ports })
    }
}

impl<T: Transport + ?Sized, H: Hal> AsyncControl<'_, T, H> {
    /// Waits for what the device has to say next, and answers it where an answer is due. A task has to wait for it all the time:
    /// without it, no port is ready, and nobody hears that one was closed. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As for [`Control::next_event`]; [`Misbehaved::NeedsReset`] if the device asks to be reset: drop all halves and
    /// [recover](crate::Console::recover).
    pub async fn next_event(&mut self) -> Result<Event, ConsoleError> {
        if let Some(event) = self.book.desk.pending.pop() {
            return event;
        }
        self.return_buffers();
        let mut bytes = [0; MESSAGE_LEN];
        let done = {
            let Self { incoming, outgoing, book, .. } = self;
            let mut next = pin!(incoming.next(&mut bytes));
            poll_fn(|context| {
                loop {
                    if let Poll::Ready(done) = next.as_mut().poll(context) {
                        return Poll::Ready(done.map_err(ConsoleError::from));
                    }
                    // Only now, when it listens: a port may have become fit for an answer meanwhile.
                    if let Err(error) = book.flush(outgoing, incoming.in_flight()) {
                        return Poll::Ready(Err(error));
                    }
                    // Once the device has taken what it was told, there may be more to tell, and more to read before.
                    if !book.owes() || !outgoing.enable_interrupts() {
                        break;
                    }
                }
                if outgoing.needs_reset() {
                    return Poll::Ready(Err(Error::from(Misbehaved::NeedsReset).into()));
                }
                Poll::Pending
            })
            .await?
        };
        self.book.desk.missing = self.book.desk.missing.saturating_add(1);
        self.return_buffers();
        let event = self.book.enter(bytes.get(..done.response).unwrap_or_default(), done.written);
        if let Ok(event) = event {
            if let Some(bells) = self.bells.get(event.port().place()) {
                bells.ring();
            }
        }
        // The message is read whatever comes of the answer; that is tried again.
        let _ = self.book.flush(&mut self.outgoing, 0);
        event
    }

    /// Gives the device its buffers back. What cannot be added now is tried again the next time.
    fn return_buffers(&mut self) {
        let desk = &mut self.book.desk;
        while desk.missing > 0 && self.incoming.post(room()).is_ok() {
            desk.missing = desk.missing.saturating_sub(1);
        }
        self.incoming.kick();
    }

    /// Opens this end of a port: see [`Control::open`].
    ///
    /// # Errors
    /// As for [`Control::open`].
    pub fn open(&mut self, port: PortId) -> Result<(), ConsoleError> {
        self.book.want(port, true)?;
        self.book.flush(&mut self.outgoing, 0)
    }

    /// Closes this end of a port: see [`Control::close`].
    ///
    /// # Errors
    /// As for [`Control::open`].
    pub fn close(&mut self, port: PortId) -> Result<(), ConsoleError> {
        self.book.want(port, false)?;
        self.book.flush(&mut self.outgoing, 0)
    }

    /// The size of a console: see [`Control::size`].
    ///
    /// # Errors
    /// As for [`Control::size`].
    pub fn size(&self, port: PortId) -> Result<Option<Size>, ConsoleError> {
        control::size(port, self.book.state(port).ok(), self.features, &self.config)
    }

    /// What a port is called; `None` if it has no name, or is not there.
    #[must_use]
    pub fn name(&self, port: PortId) -> Option<&Name> {
        name_of(self.book.states, self.book.names, port)
    }

    /// The port of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PortId> {
        find(self.book.states, self.book.names, name)
    }

    /// Gives the queue up, for a reason that it does not see itself. Who waits is woken and gets the error.
    pub fn fail(&self, why: Misbehaved) {
        self.incoming.fail(why);
    }
}
