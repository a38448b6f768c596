//! Talking with the device about its ports (VIRTIO 1.4 §5.3.6.2).

mod book;
mod pending;

use virtio_core::config::{ByteOrder, Config};
use virtio_core::queue::{Port, Request};
use virtio_core::{Error, Features, Hal, QueueIndex, Transport};

use crate::abi::{CONTROL_LEN, ConsoleConfig, F_SIZE};
use crate::name::NAME_LEN;
use crate::state::State;
use crate::{ConsoleError, Event, Name, PortId, Size};

pub(crate) use book::{Book, Desk, find, name_of};

/// Room for one message from the device. A name is cut to what is kept of it.
pub(crate) const MESSAGE_ROOM: usize = 128;
/// What is looked at of a message.
pub(crate) const MESSAGE_LEN: usize = CONTROL_LEN + NAME_LEN;
const _: () = assert!(MESSAGE_LEN <= MESSAGE_ROOM);

/// What the device says of its ports, and what it is told of them. Made by [`Halves::take_control`](crate::Halves::take_control).
///
/// The device expects its messages to be read: [`Control::next_event`] has to be called now and then, or when it interrupts. That
/// is also what answers them. A port that was removed, and comes again, is not said to be ready before its reader was asked for
/// something, which drops what the port had received before.
#[derive(Debug)]
pub struct Control<'d, T: ?Sized, H: Hal> {
    pub(crate) incoming: Port<'d, (), T, H>,
    pub(crate) outgoing: Port<'d, (), T, H>,
    pub(crate) config: Config<'d, T>,
    pub(crate) features: Features,
    pub(crate) book: Book<'d>,
}

impl<T: Transport + ?Sized, H: Hal> Control<'_, T, H> {
    /// What the device has to say next, or `None`. Does not wait, and answers the device where an answer is due.
    ///
    /// # Errors
    /// [`ConsoleError::ShortMessage`], [`ConsoleError::PortOutOfRange`], [`ConsoleError::UnknownPort`],
    /// [`ConsoleError::PortExists`], [`ConsoleError::UnknownEvent`], [`ConsoleError::PortNotDriven`]: that message is ignored, the
    /// next call goes on with the one after it. [`ConsoleError::Core`] if the device broke the queue's rules.
    pub fn next_event(&mut self) -> Result<Option<Event>, ConsoleError> {
        let event = match self.book.desk.pending.pop() {
            Some(event) => Some(event),
            None => self.receive()?,
        };
        let mut drained = event.is_none();
        if !drained && self.book.is_due() {
            // Ports are told ready when nothing more waits to be read.
            match self.receive()? {
                Some(next) => self.book.desk.pending.push(next),
                None => drained = true,
            }
        }
        if drained {
            self.drained()?
        } else {
            self.flush()?
        }
        event.transpose()
    }

    /// The queue by which the device talks: what its interrupts are about.
    #[must_use]
    pub fn queue(&self) -> QueueIndex {
        self.incoming.index()
    }

    /// Opens this end of a port, and tells the device, as soon as there is room to tell it. A device may keep what it has for a port
    /// whose end here is closed, as they all are at first, but for those of consoles.
    ///
    /// # Errors
    /// [`ConsoleError::NoSuchPort`]; [`ConsoleError::Core`] if the device broke the queue's rules.
    pub fn open(&mut self, port: PortId) -> Result<(), ConsoleError> {
        self.book.want(port, true)?;
        self.flush()
    }

    /// Closes this end of a port, and tells the device.
    ///
    /// # Errors
    /// As for [`Control::open`].
    pub fn close(&mut self, port: PortId) -> Result<(), ConsoleError> {
        self.book.want(port, false)?;
        self.flush()
    }

    /// The size of a console; `None` if it is not known. Port 0 has the size that the configuration states, if the device offers
    /// `SIZE`; any port has what the last message said.
    ///
    /// # Errors
    /// [`ConsoleError::NoSuchPort`]; [`ConsoleError::Core`] if the configuration space is too small or does not settle.
    pub fn size(&self, port: PortId) -> Result<Option<Size>, ConsoleError> {
        let state = self.book.state(port).ok();
        size(port, state, self.features, &self.config)
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

    /// Asks for an interrupt with the next message. Answers whether one waits *already*: fetch it then, for there may be no
    /// interrupt for it.
    #[must_use = "a message that waits already may bring no interrupt"]
    pub fn enable_interrupts(&mut self) -> bool {
        // There may be more to tell once the device has taken what it was told.
        let waits = self.book.owes() && self.outgoing.enable_interrupts();
        self.incoming.enable_interrupts() || waits || !self.book.desk.pending.is_empty()
    }

    /// Asks for no interrupts, which is how the device starts. One may come all the same.
    pub fn disable_interrupts(&mut self) {
        self.incoming.disable_interrupts();
    }

    /// Reads what messages there are, and keeps what they say for [`Control::next_event`]; sends what is due.
    pub(crate) fn attend(&mut self) -> Result<(), ConsoleError> {
        // No more than fit the queue, if a device never stops.
        for _ in 0..=self.incoming.size() {
            let Some(event) = self.receive()? else { return self.drained() };
            self.book.desk.pending.push(event);
        }
        self.flush()
    }

    /// Sends what is due, but does not say that ports are ready.
    pub(crate) fn flush(&mut self) -> Result<(), ConsoleError> {
        self.book.flush(&mut self.outgoing, 0)
    }

    /// Sends what is due, when nothing waits to be read.
    pub(crate) fn drained(&mut self) -> Result<(), ConsoleError> {
        self.book.flush(&mut self.outgoing, self.incoming.in_flight())
    }

    /// The next message, taken note of.
    fn receive(&mut self) -> Result<Option<Result<Event, ConsoleError>>, ConsoleError> {
        let mut bytes = [0; MESSAGE_LEN];
        let Some(done) = self.incoming.poll()? else {
            self.return_buffers();
            return Ok(None);
        };
        let (len, written) = (done.copy_response(&mut bytes), done.written());
        drop(done);
        self.book.desk.missing = self.book.desk.missing.saturating_add(1);
        self.return_buffers();
        let event = self.book.enter(bytes.get(..len).unwrap_or_default(), written);
        if self.book.desk.declined.is_some() {
            // Before the next one is declined. The message is read whatever comes of this; it is tried again.
            let _ = self.flush();
        }
        Ok(Some(event))
    }

    /// Gives the device its buffers back. What cannot be added now is tried again the next time.
    fn return_buffers(&mut self) {
        let desk = &mut self.book.desk;
        while desk.missing > 0 && self.incoming.add(room()).is_ok() {
            desk.missing = desk.missing.saturating_sub(1);
        }
        self.incoming.publish();
        self.incoming.kick();
    }
}

/// Room for one message.
pub(crate) fn room() -> Request<'static, ()> {
    Request::new(()).response(MESSAGE_ROOM)
}

/// The size of a port that is there.
pub(crate) fn size<T: Transport + ?Sized>(
    port: PortId,
    state: Option<&State>,
    features: Features,
    config: &Config<'_, T>,
) -> Result<Option<Size>, ConsoleError> {
    let told = state.ok_or(ConsoleError::NoSuchPort(port))?.size();
    if port != PortId::new(0) || !features.contains(F_SIZE) {
        return Ok(told);
    }
    Ok(Size::of(config)?.or(told))
}

/// How many ports a device has, as it says itself (VIRTIO 1.4 §5.3.4).
pub(crate) fn max_ports<T: Transport + ?Sized>(config: &Config<'_, T>) -> Result<u32, ConsoleError> {
    let max = config.get(ConsoleConfig::MAX_NR_PORTS)?;
    if max == 0 {
        let offset = ConsoleConfig::MAX_NR_PORTS.offset();
        return Err(Error::from(virtio_core::Incompatible::ConfigOutOfRange { offset, value: 0 }).into());
    }
    Ok(max)
}

/// The byte order of control messages (VIRTIO 1.4 §5.3.6.3).
pub(crate) const fn order(features: Features) -> ByteOrder {
    if features.contains(Features::VERSION_1) { ByteOrder::Little } else { ByteOrder::Native }
}
