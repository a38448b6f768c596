//! Interrupts of a live device, and what they are about besides used buffers.

use super::live::Device;
use crate::interrupt::Interrupts;
use crate::transport::{InterruptStatus, Transport};
use crate::{Error, Hal};

/// What a device has to tell its driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DeviceEvent {
    /// Its configuration space may have changed (VIRTIO 1.4 §2.5): read again what matters.
    ConfigChanged,
    /// It has met an error that it cannot recover from (VIRTIO 1.4 §2.1.2). It was taken down: reset and its memory released,
    /// or, if it does not confirm the reset, its memory leaked and reported. What was in flight is neither done nor undone. [`Device::rebuild`] brings it up again.
    NeedsReset,
}

impl<T: Interrupts, H: Hal + Clone> Device<T, H> {
    /// The handler's part of one of the device's interrupts: see [`interrupt`](crate::interrupt).
    ///
    /// There is none before DRIVER_OK:
    ///
    /// ```compile_fail,E0599
    /// use virtio_core::device::{Init, QueuesReady};
    /// use virtio_core::{Hal, Interrupts};
    /// fn too_early<T: Interrupts, H: Hal + Clone>(init: Init<T, H, QueuesReady>) {
    ///     let _ = init.endpoint(0);
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Misuse::NoSuchVector`](crate::Misuse), [`Error::Platform`], [`Error::Down`].
    pub fn endpoint(&self, vector: u16) -> Result<T::Endpoint, Error> {
        self.guard.transport()?.endpoint(vector)
    }

    /// How many vectors the device signals by: 1, unless it was given more.
    ///
    /// # Errors
    /// [`Error::Down`].
    pub fn vectors(&self) -> Result<u16, Error> {
        Ok(self.guard.transport()?.vectors())
    }

    /// Whether the device signals by messages rather than by a line.
    ///
    /// # Errors
    /// [`Error::Down`].
    pub fn signals_by_message(&self) -> Result<bool, Error> {
        Ok(self.guard.transport()?.signals_by_message())
    }
}

impl<T: Transport, H: Hal + Clone> Device<T, H> {
    /// Follows up on an interrupt that [`Endpoint::ack`](crate::Endpoint::ack) has acknowledged: after
    /// [`InterruptStatus::CONFIG`], asks the device what it is about. A kernel that polls may call it at any time with that
    /// bit set.
    ///
    /// # Errors
    /// [`Error::Down`].
    pub fn attend(&mut self, status: InterruptStatus) -> Result<Option<DeviceEvent>, Error> {
        self.guard.transport()?;
        if !status.contains(InterruptStatus::CONFIG) {
            return Ok(None);
        }
        if self.needs_reset() {
            self.guard.stop();
            return Ok(Some(DeviceEvent::NeedsReset));
        }
        Ok(Some(DeviceEvent::ConfigChanged))
    }

    /// Takes the device down, if it is not, and brings it up again on the same transport: recovery from
    /// [`DeviceEvent::NeedsReset`], or from anything else, in one call. A front-end passes its own constructor. Endpoints have
    /// to be [taken anew](crate::interrupt).
    ///
    /// ```
    /// use virtio_core::device::{Device, Init, Wanted};
    /// use virtio_core::queue::QueueSpec;
    /// use virtio_core::{DeviceId, Error, Hal, Transport};
    ///
    /// struct Random<T: Transport, H: Hal + Clone>(Device<T, H>);
    ///
    /// impl<T: Transport, H: Hal + Clone> Random<T, H> {
    ///     fn new(transport: T, hal: H) -> Result<Self, Error> {
    ///         let init = Init::start(transport, hal, DeviceId::ENTROPY)?.negotiate(&Wanted::default())?;
    ///         Ok(Self(init.queues(&[QueueSpec::new::<()>(0, 8).response(64)])?.live()?))
    ///     }
    ///     fn recover(self) -> Result<Self, Error> {
    ///         self.0.rebuild(Self::new)
    ///     }
    /// }
    /// # use virtio_testkit::{FakeDevice, Reply, TestHal};
    /// # let hal = TestHal::new();
    /// # let fake = FakeDevice::builder(DeviceId::ENTROPY).queue(0, 8, |_| Reply::Hold).build(&hal);
    /// # let random = Random::new(fake.transport(), hal.clone())?;
    /// # let random = random.recover()?;
    /// # drop(random);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// If the device does not confirm its reset, it is given up with that error; else what `build` answers.
    pub fn rebuild<D, E: From<Error>>(self, build: impl FnOnce(T, H) -> Result<D, E>) -> Result<D, E> {
        let hal = self.hal().clone();
        match self.dismantle() {
            Ok(transport) => build(transport, hal),
            Err(not_stopped) => Err(not_stopped.error.into()),
        }
    }
}
