//! Ports where `embedded-io` is spoken.

use embedded_io::{BufRead, ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use virtio_core::{Error, Hal, Misbehaved, Transport};

use crate::writer::Buffer;
use crate::{ConsoleError, Control, Port, Reader, Writer};

impl embedded_io::Error for ConsoleError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Core(Error::Misbehaved(Misbehaved::Timeout(_))) | Self::TimedOut { .. } => {
                ErrorKind::TimedOut
            }
            Self::Core(Error::Caller(_)) | Self::BadOptions | Self::PortTaken(_) => ErrorKind::InvalidInput,
            Self::Core(Error::Down) | Self::NoSuchPort(_) | Self::PortNotDriven { .. } => {
                ErrorKind::NotConnected
            }
            Self::Closed(_) => ErrorKind::BrokenPipe,
            Self::NoEmergencyWrite => ErrorKind::Unsupported,
            Self::ShortMessage { .. }
            | Self::PortOutOfRange { .. }
            | Self::UnknownPort { .. }
            | Self::PortExists(_)
            | Self::UnknownEvent { .. } => ErrorKind::InvalidData,
            _ => ErrorKind::Other,
        }
    }
}

impl<T: ?Sized, H: Hal> ErrorType for Reader<'_, T, H> {
    type Error = ConsoleError;
}

impl<T: ?Sized, H: Hal, B> ErrorType for Writer<'_, T, H, B> {
    type Error = ConsoleError;
}

impl<T: ?Sized, H: Hal, B> ErrorType for Port<'_, T, H, B> {
    type Error = ConsoleError;
}

/// Waits no longer than the limit, 30 s unless it was changed, and ends with [`ConsoleError::TimedOut`] then; nothing is lost by
/// trying again. 0 bytes: the other end is closed.
impl<T: Transport + ?Sized, H: Hal + 'static> Read for Reader<'_, T, H> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ConsoleError> {
        self.read_within(bytes, self.limit)
    }
}

/// Without copying. Waits as `Read` does.
impl<T: Transport + ?Sized, H: Hal + 'static> BufRead for Reader<'_, T, H> {
    fn fill_buf(&mut self) -> Result<&[u8], ConsoleError> {
        self.wait(self.limit, || Ok(()))?;
        // Not another look: one buffer after the other.
        Ok(self.inbox.unread())
    }

    fn consume(&mut self, bytes: usize) {
        Reader::consume(self, bytes);
    }
}

impl<T: Transport + ?Sized, H: Hal + 'static> ReadReady for Reader<'_, T, H> {
    fn read_ready(&mut self) -> Result<bool, ConsoleError> {
        self.is_ready()
    }
}

/// Waits for room for one byte, no longer than the limit; takes what there is room for. What was written is on its way;
/// `flush` waits until it is there.
impl<T: Transport + ?Sized, H: Hal, B: Buffer> Write for Writer<'_, T, H, B> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ConsoleError> {
        self.write_waiting(bytes, 0, &mut || Ok(()))
    }

    fn flush(&mut self) -> Result<(), ConsoleError> {
        Writer::flush(self)
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), ConsoleError> {
        Writer::write_all(self, bytes)
    }
}

impl<T: Transport + ?Sized, H: Hal, B: Buffer> WriteReady for Writer<'_, T, H, B> {
    fn write_ready(&mut self) -> Result<bool, ConsoleError> {
        self.is_ready()
    }
}

/// As for [`Reader`], and learns by itself that the other end is closed.
impl<T: Transport + ?Sized, H: Hal + 'static, B: Buffer> Read for Port<'_, T, H, B> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ConsoleError> {
        self.read_within(bytes, self.reader.limit)
    }
}

/// As for [`Reader`].
impl<T: Transport + ?Sized, H: Hal + 'static, B: Buffer> BufRead for Port<'_, T, H, B> {
    fn fill_buf(&mut self) -> Result<&[u8], ConsoleError> {
        self.wait(self.reader.limit)?;
        Ok(self.reader.inbox.unread())
    }

    fn consume(&mut self, bytes: usize) {
        Port::consume(self, bytes);
    }
}

impl<T: Transport + ?Sized, H: Hal + 'static, B: Buffer> ReadReady for Port<'_, T, H, B> {
    fn read_ready(&mut self) -> Result<bool, ConsoleError> {
        if self.reader.is_ready()? {
            return Ok(true);
        }
        self.attend()?;
        self.reader.is_ready()
    }
}

/// As for [`Writer`].
impl<T: Transport + ?Sized, H: Hal + 'static, B: Buffer> Write for Port<'_, T, H, B> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ConsoleError> {
        let Self { writer, control, .. } = self;
        writer.write_waiting(bytes, 0, &mut || control.as_mut().map_or(Ok(()), Control::attend))
    }

    fn flush(&mut self) -> Result<(), ConsoleError> {
        Port::flush(self)
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), ConsoleError> {
        Port::write_all(self, bytes)
    }
}

impl<T: Transport + ?Sized, H: Hal + 'static, B: Buffer> WriteReady for Port<'_, T, H, B> {
    fn write_ready(&mut self) -> Result<bool, ConsoleError> {
        self.writer.is_ready()
    }
}
