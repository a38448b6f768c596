//! Device initialization (VIRTIO 1.4 §3.1.1), as types.
//!
//! ```text
//! reset confirmed → ACKNOWLEDGE → DRIVER   Init<Driver>       read configuration and features
//!        → features, FEATURES_OK re-read   Init<FeaturesOk>   decide on queues
//!        → queues enabled                  Init<QueuesReady>  add buffers
//!        → DRIVER_OK, kick what is filled  Device
//! ```
//!
//! A queue can be notified only through a [`Device`], which exists only after DRIVER_OK. Notifying earlier does not
//! compile:
//!
//! ```compile_fail,E0599
//! # // shows: init.7
//! use virtio_core::{device::{FeaturesOk, Init}, Hal, Transport};
//! fn too_early<T: Transport, H: Hal + Clone>(mut init: Init<T, H, FeaturesOk>) {
//!     init.port::<()>(0).unwrap().kick();
//! }
//! ```
//!
//! Until then the configuration space can be read, and not written:
//!
//! ```
//! use virtio_core::{config::ByteOrder, device::Init, Hal, Transport};
//! fn read<T: Transport, H: Hal + Clone, S>(init: &Init<T, H, S>) -> u8 {
//!     init.config(ByteOrder::Little).unwrap().u8(0).unwrap()
//! }
//! ```
//! ```compile_fail,E0599
//! # // shows: init.3
//! use virtio_core::{device::Init, Hal, Transport};
//! fn write_too_early<T: Transport, H: Hal + Clone, S>(mut init: Init<T, H, S>) {
//!     init.write_config(0, &[1]).unwrap();
//! }
//! ```

use core::marker::PhantomData;

use super::guard::{Guard, Phase, Stop};
use super::live::Device;
use super::negotiate::{Wanted, accept};
use crate::config::{ByteOrder, Config};
use crate::dma::Lend;
use crate::queue::{QueueSet, QueueSpec, Rejected, Request, Setup, Token};
use crate::transport::Transport;
use crate::{DeviceId, Error, Features, Hal, Incompatible, Misuse, QueueIndex, QueueSize, Status};

/// DRIVER is set: features and configuration can be read.
#[derive(Debug)]
pub struct Driver;

/// The device has accepted the features: queues can be set up.
#[derive(Debug)]
pub struct FeaturesOk;

/// All queues are set up: buffers can be added, the device is not live yet.
#[derive(Debug)]
pub struct QueuesReady;

/// A device on its way up. Dropping it marks the device FAILED, and resets it if it knows of a queue.
#[derive(Debug)]
pub struct Init<T: Transport, H: Hal + Clone, S> {
    guard: Guard<T, H>,
    stage: PhantomData<S>,
}

impl<T: Transport, H: Hal + Clone> Init<T, H, Driver> {
    /// Resets the device, waits for the confirmation, and sets ACKNOWLEDGE and DRIVER.
    ///
    /// # Errors
    /// [`Incompatible::WrongDevice`] (nothing was touched), [`Misbehaved::Timeout`](crate::Misbehaved) if the reset is not
    /// confirmed, [`HalError::NoClock`](crate::HalError).
    pub fn start(transport: T, hal: H, expected: DeviceId) -> Result<Self, Error> {
        let mut guard = Guard::new(transport, hal);
        guard.acknowledge(expected)?;
        Ok(Self { guard, stage: PhantomData })
    }

    /// The features that the device offers, of the first 64: for a driver that has to know before it decides what it wants.
    /// Negotiation reads them again.
    ///
    /// # Errors
    /// [`Error::Down`] never, before the device was taken down.
    pub fn offered(&mut self) -> Result<Features, Error> {
        Ok(Wanted::default().offered(self.guard.transport_mut()?))
    }

    /// Negotiates: the subset is written, FEATURES_OK set and read back. A legacy device has no FEATURES_OK.
    ///
    /// # Errors
    /// [`Incompatible::MissingFeatures`], [`Incompatible::FeaturesRefused`], [`Incompatible::BypassesTranslation`]; for a
    /// [confidential guest](crate::hal#confidential-guests) [`Incompatible::UnfitForConfidential`] and
    /// [`HalError::NoPrivateMemory`](crate::HalError).
    pub fn negotiate(mut self, wanted: &Wanted<'_>) -> Result<Init<T, H, FeaturesOk>, Error> {
        self.guard.negotiate(wanted)?;
        Ok(Init { guard: self.guard, stage: PhantomData })
    }
}

impl<T: Transport, H: Hal + Clone, S> Init<T, H, S> {
    // true by construction: init.3 — before it is live a device has `config`, which only reads, and no way to write
    /// The configuration space. `order` is the byte order it has on a legacy transport.
    ///
    /// # Errors
    /// [`Error::Down`] never, before the device was taken down.
    pub fn config(&self, order: ByteOrder) -> Result<Config<'_, T>, Error> {
        let transport = self.guard.transport()?;
        let order = if transport.is_legacy() { order } else { ByteOrder::Little };
        Ok(Config::new(transport, order))
    }

    /// The features accepted so far: none before negotiation.
    #[must_use]
    pub fn features(&self) -> Features {
        self.guard.features
    }
}

impl<T: Transport, H: Hal + Clone> Init<T, H, FeaturesOk> {
    /// Builds the declared queues and enables them (VIRTIO 1.4 §4.1.5.1.3, §4.2.3.2).
    ///
    /// # Errors
    /// [`Incompatible::NoQueue`], [`Incompatible::QueueTooSmall`], what the transport answers, and
    /// [`Error::Platform`] if there is no memory.
    pub fn queues(self, specs: &[QueueSpec]) -> Result<Init<T, H, QueuesReady>, Error> {
        self.queues_each(specs.iter().copied())
    }

    /// Builds queues whose number is known at run time: of a device that says how many it has.
    ///
    /// ```
    /// use virtio_core::device::{FeaturesOk, Init, QueuesReady};
    /// use virtio_core::queue::QueueSpec;
    /// use virtio_core::{Error, Hal, Transport};
    ///
    /// fn pairs<T: Transport, H: Hal + Clone>(
    ///     init: Init<T, H, FeaturesOk>,
    ///     pairs: u16,
    /// ) -> Result<Init<T, H, QueuesReady>, Error> {
    ///     init.queues_each((0..2 * pairs).map(|index| QueueSpec::new::<()>(index, 64).response(64)))
    /// }
    /// ```
    ///
    /// # Errors
    /// As for [`Init::queues`].
    pub fn queues_each(
        mut self,
        specs: impl ExactSizeIterator<Item = QueueSpec>,
    ) -> Result<Init<T, H, QueuesReady>, Error> {
        self.guard.declare(specs)?;
        Ok(Init { guard: self.guard, stage: PhantomData })
    }
}

/// The steps of the stages, on the guard where it is: the stages themselves only change its type, for every move of a guard
/// takes room for all of it on the stack.
impl<T: Transport, H: Hal + Clone> Guard<T, H> {
    fn acknowledge(&mut self, expected: DeviceId) -> Result<(), Error> {
        let id = self.transport()?.device_id();
        if id != expected {
            self.phase = Phase::Down(Stop::Confirmed);
            return Err(Incompatible::WrongDevice(id).into());
        }
        if let Err(error) = self.reset() {
            // Its status is that of whoever had it before, or half reset: nothing is added to that.
            self.phase = Phase::Down(Stop::Running(error));
            return Err(error);
        }
        self.add_status(Status::ACKNOWLEDGE)?;
        self.add_status(Status::DRIVER)
    }

    fn negotiate(&mut self, wanted: &Wanted<'_>) -> Result<(), Error> {
        let transport = self.transport_mut()?;
        let legacy = transport.is_legacy();
        let offered = wanted.offered(transport);
        let accepted = wanted.choose(offered & transport.supported_features(), legacy, &self.hal)?;
        accept(self.transport_mut()?, accepted);
        if !legacy {
            self.add_status(Status::FEATURES_OK)?;
            if !self.transport()?.status().contains(Status::FEATURES_OK) {
                return Err(Incompatible::FeaturesRefused(accepted).into());
            }
        }
        self.features = accepted;
        Ok(())
    }

    fn declare(&mut self, specs: impl ExactSizeIterator<Item = QueueSpec>) -> Result<(), Error> {
        self.queues = QueueSet::with_room(self.hal.clone(), specs.len())?;
        for spec in specs {
            self.declare_one(&spec)?;
        }
        Ok(())
    }

    fn declare_one(&mut self, spec: &QueueSpec) -> Result<(), Error> {
        let setup = self.fit(spec)?;
        // In the guard's hands at once: whatever happens below, a panic included, it frees the rings after the reset.
        let rings = self.queues.add(&self.hal, &setup)?.addresses().with(self.features);
        // From here on the device may know of the rings, whatever `enable_queue` answers.
        self.phase = Phase::Armed;
        self.queues.arm();
        let doorbell = self.transport_mut()?.enable_queue(spec.index, &rings)?;
        if let Some(queue) = self.queues.get(spec.index) {
            queue.set_doorbell(doorbell);
        }
        Ok(())
    }

    /// The queue that comes out of a declaration, of the size that the device allows or dictates.
    fn fit(&mut self, spec: &QueueSpec) -> Result<Setup, Error> {
        let features = self.features;
        if self.queues.get(spec.index).is_some() {
            return Err(Misuse::BadQueueDeclaration.into());
        }
        let transport = self.transport_mut()?;
        let max = transport.queue_max_size(spec.index);
        if max == 0 {
            return Err(Incompatible::NoQueue(spec.index).into());
        }
        let wanted = if transport.dictates_queue_size() { max } else { spec.wanted };
        let size = QueueSize::fit(wanted, max).ok_or(Misuse::BadQueueDeclaration)?;
        // Where the device dictates its size, a power of two below it will not do (VIRTIO 1.4 §4.1.5.1.3).
        let dictated = !transport.dictates_queue_size() || size.get() == max;
        if size.get() < spec.least || !dictated {
            let max = size.get();
            return Err(Incompatible::QueueTooSmall { queue: spec.index, max, needed: spec.least }.into());
        }
        Ok(Setup {
            index: spec.index,
            size,
            header_room: spec.header_room,
            response_room: spec.response_room,
            wipes_responses: spec.wipes_responses,
            status: spec.status,
            ignores_legacy_lengths: spec.ignores_legacy_lengths,
            longest: spec.longest,
            framed: spec.framed && transport.is_legacy() && !features.contains(Features::ANY_LAYOUT),
            table_room: spec.table_room,
            mixed: spec.mixed,
            drains_on_reset: spec.drains_on_reset,
            payload: spec.payload,
            legacy: transport.is_legacy(),
            features,
        })
    }
}

impl<T: Transport, H: Hal + Clone> Init<T, H, QueuesReady> {
    /// Adds a request before the device is live. It is published and notified with DRIVER_OK.
    ///
    /// # Errors
    /// As for [`Port::add`](crate::queue::Port::add).
    pub fn prefill<P: Lend>(&mut self, queue: u16, request: Request<'_, P>) -> Result<Token, Rejected<P>> {
        let reject = |error, payload| Err(Rejected { error, payload });
        match self.guard.port::<P>(QueueIndex::new(queue)) {
            Ok(mut port) => port.add(request),
            Err(error) => reject(error, request.into_payload()),
        }
    }

    /// The size that a queue has come to, in descriptors; 0 for a queue that was not declared.
    #[must_use]
    pub fn queue_size(&mut self, queue: u16) -> u16 {
        self.guard.queues.get(QueueIndex::new(queue)).map_or(0, |queue| queue.size().get())
    }

    /// Sets DRIVER_OK, then notifies the device of each queue that has requests waiting.
    ///
    /// # Errors
    /// [`Misbehaved::NeedsReset`](crate::Misbehaved) if the device asks for a reset at once.
    pub fn live(mut self) -> Result<Device<T, H>, Error> {
        for queue in self.guard.queues.all() {
            queue.publish(&self.guard.hal);
        }
        self.guard.live = true;
        self.guard.add_status(Status::DRIVER_OK)?;
        Device::start(self.guard)
    }
}
