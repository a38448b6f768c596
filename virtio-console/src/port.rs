//! One port of an undivided console.

use core::fmt;
use core::time::Duration;

use virtio_core::config::Config;
use virtio_core::queue::Token;
use virtio_core::{Features, Hal, Transport};

use crate::control;
use crate::writer::Buffer;
use crate::{ConsoleError, Control, NotSent, PortId, Reader, Sent, Size, Writer};

/// A port, lent by its console: to read from and write to.
///
/// Whoever waits with it reads the device's control messages in between, so that it learns when the other end is closed. What
/// they say is there for [`Console::next_event`](crate::Console::next_event) afterwards.
#[derive(Debug)]
pub struct Port<'d, T: ?Sized, H: Hal, B = &'static [u8]> {
    pub(crate) reader: Reader<'d, T, H>,
    pub(crate) writer: Writer<'d, T, H, B>,
    pub(crate) control: Option<Control<'d, T, H>>,
    pub(crate) features: Features,
    pub(crate) config: Config<'d, T>,
}

impl<'d, T: Transport + ?Sized, H: Hal + 'static, B: Buffer> Port<'d, T, H, B> {
    /// Which port this is.
    #[must_use]
    pub fn id(&self) -> PortId {
        self.reader.id
    }

    /// Whether the other end is open. It always is without `MULTIPORT`; otherwise the device says so, and this is what it had said
    /// when its messages were last read: by any call that finds nothing to read or no room to write, or has to wait, and by
    /// [`Console::next_event`](crate::Console::next_event).
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.reader.is_open()
    }

    /// The size of the console: see [`Console::size`](crate::Console::size).
    ///
    /// # Errors
    /// As for [`Control::size`].
    pub fn size(&self) -> Result<Option<Size>, ConsoleError> {
        let state = Some(self.reader.state).filter(|state| state.is_present());
        control::size(self.id(), state, self.features, &self.config)
    }

    /// Changes how long [`Port::write_all`], [`Port::flush`] and the blocking traits wait.
    pub fn set_limit(&mut self, limit: Duration) {
        self.reader.set_limit(limit);
        self.writer.set_limit(limit);
    }

    /// Reads what is there, and does not wait: see [`Reader::read`].
    ///
    /// # Errors
    /// As for [`Reader::read`].
    pub fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ConsoleError> {
        let len = self.reader.read(bytes)?;
        if len > 0 || bytes.is_empty() {
            return Ok(len);
        }
        self.attend()?;
        // What it had sent before it was closed, or went, is there now.
        self.reader.read(bytes)
    }

    /// Waits for something to read, and reads: see [`Reader::read_within`]. It learns by itself that the port is closed.
    ///
    /// # Errors
    /// As for [`Reader::read_within`].
    pub fn read_within(&mut self, bytes: &mut [u8], limit: Duration) -> Result<usize, ConsoleError> {
        if bytes.is_empty() || !self.wait(limit)? {
            return Ok(0);
        }
        self.reader.read(bytes)
    }

    /// Waits for something to read; answers whether there is.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<bool, ConsoleError> {
        self.attend()?;
        let control = &mut self.control;
        self.reader.wait(limit, || control.as_mut().map_or(Ok(()), Control::attend))
    }

    /// What is there to read, without copying it: see [`Reader::peek`].
    ///
    /// # Errors
    /// As for [`Reader::read`].
    pub fn peek(&mut self) -> Result<&[u8], ConsoleError> {
        self.reader.peek()
    }

    /// So many bytes were read: see [`Reader::consume`].
    pub fn consume(&mut self, bytes: usize) {
        self.reader.consume(bytes);
    }

    /// Writes as much as there is room for, and does not wait: see [`Writer::write`].
    ///
    /// # Errors
    /// As for [`Writer::write`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, ConsoleError> {
        let written = self.writer.write(bytes)?;
        if written == 0 && !bytes.is_empty() {
            self.attend()?;
        }
        Ok(written)
    }

    /// Writes all, and waits for room: see [`Writer::write_all`].
    ///
    /// # Errors
    /// As for [`Writer::write_all`].
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), ConsoleError> {
        let control = &mut self.control;
        self.writer.write_while(bytes, || control.as_mut().map_or(Ok(()), Control::attend))
    }

    /// Waits until the device has taken all that was written: see [`Writer::flush`].
    ///
    /// # Errors
    /// As for [`Writer::write_all`].
    pub fn flush(&mut self) -> Result<(), ConsoleError> {
        let control = &mut self.control;
        self.writer.flush_while(|| control.as_mut().map_or(Ok(()), Control::attend))
    }

    /// Gives the device a buffer to read, without copying it: see [`Writer::submit`].
    ///
    /// # Errors
    /// As for [`Writer::submit`].
    pub fn submit(&mut self, buffer: B) -> Result<Token, NotSent<B>> {
        self.writer.submit(buffer)
    }

    /// The next buffer that the device has read: see [`Writer::poll_sent`].
    ///
    /// # Errors
    /// As for [`Writer::poll_sent`].
    pub fn poll_sent(&mut self) -> Result<Option<Sent<B>>, ConsoleError> {
        self.writer.poll_sent()
    }

    /// Asks for an interrupt when something is received: see [`Reader::enable_interrupts`].
    #[must_use = "what waits already may bring no interrupt"]
    pub fn enable_interrupts(&mut self) -> bool {
        self.reader.enable_interrupts()
    }

    /// Asks for no interrupts, which is how a port starts.
    pub fn disable_interrupts(&mut self) {
        self.reader.disable_interrupts();
    }

    /// Both halves. Neither reads control messages.
    #[must_use]
    pub fn split(self) -> (Reader<'d, T, H>, Writer<'d, T, H, B>) {
        (self.reader, self.writer)
    }

    /// Reads what the device has to say about its ports.
    pub(crate) fn attend(&mut self) -> Result<(), ConsoleError> {
        let Some(control) = &mut self.control else { return Ok(()) };
        control.attend()
    }
}

/// As [`Port::write_all`]. What was wrong is not said; the next write says it again.
impl<T: Transport + ?Sized, H: Hal + 'static, B: Buffer> fmt::Write for Port<'_, T, H, B> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}
