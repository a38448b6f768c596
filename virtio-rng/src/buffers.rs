//! Buffers of the caller's: given to the device, fetched when they are filled.

use virtio_core::dma::{Writable, WriteBuffer};
use virtio_core::queue::{Rejected, Request, Token};
use virtio_core::{Error, Hal, Misuse, Transport};

use crate::RngError;
use crate::abi::REQUESTQ;
use crate::device::Rng;

/// A buffer that can be filled with random bytes: `&'static mut [u8]`; with the feature `alloc` of `virtio-core`, `Box<[u8]>`
/// and `Vec<u8>`, too.
pub trait Buffer: WriteBuffer + AsRef<[u8]> + AsMut<[u8]> {}

impl<B: WriteBuffer + AsRef<[u8]> + AsMut<[u8]>> Buffer for B {}

/// A buffer, back from the device.
#[derive(Debug)]
pub struct Answer<B> {
    /// Which request this was.
    pub token: Token,
    /// The buffer. What is behind its random bytes is zero.
    pub buffer: B,
    /// How many random bytes are at its start; perhaps none (VIRTIO 1.4 §5.4.6.1).
    pub len: usize,
}

impl<B: AsRef<[u8]>> Answer<B> {
    /// The random bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.as_ref().get(..self.len).unwrap_or_default()
    }
}

impl<T: Transport, H: Hal + Clone, B: Buffer> Rng<T, H, Writable<B>> {
    /// Brings the device up, for buffers of type `B`.
    ///
    /// # Errors
    /// As for [`Rng::new`].
    ///
    /// # Example
    /// ```
    /// use virtio_core::dma::Writable;
    /// use virtio_core::{Hal, Transport};
    /// use virtio_rng::{Rng, RngError};
    ///
    /// type Pool = &'static mut [u8];
    ///
    /// fn stir<T: Transport, H: Hal + Clone>(transport: T, hal: H, pool: Pool) -> Result<(), RngError> {
    ///     let mut rng: Rng<_, _, Writable<Pool>> = Rng::for_buffers(transport, hal)?;
    ///     rng.submit(pool).map_err(|rejected| rejected.error)?;
    ///     loop {
    ///         // … other work …
    ///         if let Some(answer) = rng.poll()? {
    ///             println!("{} random bytes", answer.bytes().len());
    ///             return Ok(());
    ///         }
    ///     }
    /// }
    /// # use virtio_testkit::{FakeDevice, Reply, TestHal};
    /// # let hal = TestHal::new();
    /// # let fake = FakeDevice::builder(virtio_core::DeviceId::ENTROPY);
    /// # let fake = fake.queue(0, 8, |_| Reply::Write(vec![4; 3])).build(&hal);
    /// # stir(fake.transport(), hal.clone(), Box::leak(Box::new([0; 8])))?;
    /// # Ok::<(), RngError>(())
    /// ```
    pub fn for_buffers(transport: T, hal: H) -> Result<Self, RngError> {
        Self::bring_up(transport, hal)
    }

    /// Gives the device a buffer to fill, and returns at once. The buffer is zeroed first. The token names the request in its
    /// [`Answer`]. A [`Hal`] that copies it through memory of its own zeroes that as well, as those of `virtio-core` do: what a
    /// device claims and has not written comes from there.
    ///
    /// # Errors
    /// The buffer comes back with [`Misuse::QueueFull`] while as many as the queue holds are under way,
    /// [`Misuse::EmptyRequest`] if it is empty, [`Error::Platform`] if it cannot be shared with the device, and
    /// [`Error::Down`] or [`Error::Misbehaved`] for a device that was taken down or is lost.
    pub fn submit(&mut self, mut buffer: B) -> Result<Token, Rejected<B>> {
        let bytes = buffer.as_mut();
        if bytes.is_empty() {
            return Err(Rejected { error: Misuse::EmptyRequest.into(), payload: buffer });
        }
        bytes.fill(0);
        let mut port = match self.device.port(REQUESTQ) {
            Ok(port) => port,
            Err(error) => return Err(Rejected { error, payload: buffer }),
        };
        let rejected = |Rejected { error, payload: Writable(payload) }| Rejected { error, payload };
        port.submit(Request::new(Writable(buffer))).map_err(rejected)
    }

    /// The next buffer that the device has filled, or filled in part, or `None`. Does not block.
    ///
    /// # Errors
    /// [`RngError::Core`] if the device was taken down or broke the queue's rules. [`Rng::recover`] drops the buffers that it has.
    pub fn poll(&mut self) -> Result<Option<Answer<B>>, RngError> {
        let mut port = self.device.port::<Writable<B>>(REQUESTQ)?;
        let Some(mut done) = port.poll()? else { return Ok(None) };
        let token = done.token();
        let written = usize::try_from(done.written()).unwrap_or(usize::MAX);
        let Some(Writable(mut buffer)) = done.take_payload() else {
            return Err(Error::from(Misuse::NoSuchRequest).into());
        };
        let bytes = buffer.as_mut();
        let len = written.min(bytes.len());
        // The device may have written behind them, but has not said so.
        bytes.iter_mut().skip(len).for_each(|byte| *byte = 0);
        Ok(Some(Answer { token, buffer, len }))
    }
}
