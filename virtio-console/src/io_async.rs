//! Ports where `embedded-io-async` is spoken.

use embedded_io::ErrorType;
use embedded_io_async::{BufRead, Read, Write};
use virtio_core::{Hal, Transport};

use crate::writer::Buffer;
use crate::{AsyncReader, AsyncWriter, ConsoleError};

impl<T: ?Sized, H: Hal> ErrorType for AsyncReader<'_, T, H> {
    type Error = ConsoleError;
}

impl<T: ?Sized, H: Hal, B> ErrorType for AsyncWriter<'_, T, H, B> {
    type Error = ConsoleError;
}

/// Dropping the future loses nothing.
impl<T: Transport + ?Sized, H: Hal + 'static> Read for AsyncReader<'_, T, H> {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ConsoleError> {
        AsyncReader::read(self, bytes).await
    }
}

/// Without copying. Dropping the future loses nothing.
impl<T: Transport + ?Sized, H: Hal + 'static> BufRead for AsyncReader<'_, T, H> {
    async fn fill_buf(&mut self) -> Result<&[u8], ConsoleError> {
        self.fill().await
    }

    fn consume(&mut self, bytes: usize) {
        AsyncReader::consume(self, bytes);
    }
}

/// Copies. Dropping the future of a `write` writes nothing.
impl<T: Transport + ?Sized, H: Hal, B: Buffer> Write for AsyncWriter<'_, T, H, B> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ConsoleError> {
        AsyncWriter::write(self, bytes).await
    }

    async fn flush(&mut self) -> Result<(), ConsoleError> {
        AsyncWriter::flush(self).await
    }

    async fn write_all(&mut self, bytes: &[u8]) -> Result<(), ConsoleError> {
        AsyncWriter::write_all(self, bytes).await
    }
}
