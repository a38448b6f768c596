//! The driver (VIRTIO 1.4 §5.4.5, §5.4.6).

use core::marker::PhantomData;
use core::mem;

use virtio_core::device::{Device, DeviceEvent, Init, Wanted};
use virtio_core::dma::Lend;
use virtio_core::hal::DEFAULT_TIMEOUT;
use virtio_core::queue::QueueSpec;
use virtio_core::{DeviceId, Hal, Transport};

use crate::RngError;
use crate::abi::REQUESTQ;
use crate::patience::Patience;

/// Requests under way.
const REQUESTS: u16 = 8;
/// Bytes that one request in the queue's own memory asks for: with all of them, a page.
pub(crate) const ROOM: usize = 512;

/// An entropy device.
///
/// `P` is what its queue carries: `()`, made by [`Rng::new`], is for callers that wait or await;
/// [`Writable<B>`](virtio_core::dma::Writable), made by [`Rng::for_buffers`], takes buffers of type `B` and gives them back
/// filled.
#[derive(Debug)]
pub struct Rng<T: Transport, H: Hal + Clone, P = ()> {
    pub(crate) device: Device<T, H>,
    payload: PhantomData<fn() -> P>,
}

impl<T: Transport, H: Hal + Clone> Rng<T, H> {
    /// Brings the device up.
    ///
    /// # Errors
    /// [`RngError::Core`]: it is no entropy device, it lacks its queue, it refuses its features, it does not reset, or the
    /// platform has no memory. The device is reset then.
    pub fn new(transport: T, hal: H) -> Result<Self, RngError> {
        Self::bring_up(transport, hal)
    }

    /// Fills `bytes` with random bytes, of any number, and waits for them. A device may answer with less than was asked for
    /// (VIRTIO 1.4 §5.4.6.1); it is asked again then.
    ///
    /// Each answer may take [`DEFAULT_TIMEOUT`] by the Hal's clock. All of `bytes` is zero after an error: half a key is none.
    ///
    /// # Errors
    /// [`RngError::NoEntropy`] if answer after answer is empty; otherwise as for [`Rng::read`].
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<(), RngError> {
        bytes.fill(0);
        let outcome = self.fill_zeroed(bytes);
        if outcome.is_err() {
            bytes.fill(0);
        }
        outcome
    }

    fn fill_zeroed(&mut self, mut rest: &mut [u8]) -> Result<(), RngError> {
        let mut patience = Patience::default();
        while !rest.is_empty() {
            let len = self.ask(rest)?;
            patience.answer(len)?;
            rest = mem::take(&mut rest).get_mut(len..).unwrap_or_default();
        }
        Ok(())
    }

    /// Asks for random bytes once, for 512 at the most, and waits for the answer. Answers how many there are, at the start of
    /// `bytes`; perhaps none. What is behind them is zero.
    ///
    /// # Errors
    /// [`RngError::Core`]: the device was taken down, did not answer within [`DEFAULT_TIMEOUT`] or broke the queue's rules
    /// (it is taken down then); or the queue is full of awaited requests that were cancelled and that it has not answered. All of
    /// `bytes` is zero then.
    pub fn read(&mut self, bytes: &mut [u8]) -> Result<usize, RngError> {
        bytes.fill(0);
        self.ask(bytes)
    }

    /// One answer into the start of `bytes`, which are zero; so is what follows it.
    fn ask(&mut self, bytes: &mut [u8]) -> Result<usize, RngError> {
        let room = bytes.len().min(ROOM);
        let chunk = bytes.get_mut(..room).unwrap_or_default();
        if chunk.is_empty() {
            return Ok(0);
        }
        // What the device wrote behind what it counted is not copied: it never leaves the queue's memory.
        Ok(self.device.exchange(REQUESTQ, &[], chunk, DEFAULT_TIMEOUT)?)
    }
}

impl<T: Transport, H: Hal + Clone, P: Lend> Rng<T, H, P> {
    pub(crate) fn bring_up(transport: T, hal: H) -> Result<Self, RngError> {
        let init = Init::start(transport, hal, DeviceId::ENTROPY)?.negotiate(&Wanted::default())?;
        let queue = QueueSpec::new::<P>(REQUESTQ, REQUESTS).response(ROOM).wiped();
        Ok(Self { device: init.queues(&[queue])?.live()?, payload: PhantomData })
    }

    /// Asks for an interrupt with the next answer. Answers whether one waits *already*: fetch it then, for there may be no
    /// interrupt for it.
    ///
    /// # Errors
    /// [`RngError::Core`].
    #[must_use = "an answer that waits already may bring no interrupt"]
    pub fn enable_interrupts(&mut self) -> Result<bool, RngError> {
        Ok(self.device.port::<P>(REQUESTQ)?.enable_interrupts())
    }

    /// Asks for no interrupts, which is how the device starts. One may come all the same.
    ///
    /// # Errors
    /// [`RngError::Core`].
    pub fn disable_interrupts(&mut self) -> Result<(), RngError> {
        self.device.port::<P>(REQUESTQ)?.disable_interrupts();
        Ok(())
    }
}

virtio_core::lifecycle! {
    impl[T: Transport, H: Hal + Clone, P: Lend] Rng<T, H, P> {
        device: device, transport: T, hal: H, error: RngError,
        attend: DeviceEvent, recover: Self::bring_up,
    }
}
