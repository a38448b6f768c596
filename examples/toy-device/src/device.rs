//! The driver. What it says is the device's protocol; rings, memory, resets and waiting are core's.

use virtio_core::config::ByteOrder;
use virtio_core::device::{Device, DeviceEvent, Init, Wanted};
use virtio_core::hal::DEFAULT_TIMEOUT;
use virtio_core::queue::{QueueSpec, Request, Slices};
use virtio_core::{DeviceId, Hal, Misbehaved, Transport};
use zerocopy::IntoBytes;

use crate::DiceError;
use crate::abi::{DiceConfig, EVENTQ, Event, F_SIDES, Header, ID, OK, REQUESTQ};

/// Bytes of a status.
const STATUS: usize = 1;

/// The queues, as data: how many requests may be under way, and how much of each lies in the queue's own memory.
const QUEUES: [QueueSpec; 2] = [
    // The longest chain is a header, the caller's slice and a status.
    QueueSpec::new::<()>(REQUESTQ, 4).at_least(3).header(size_of::<Header>()).response(STATUS),
    QueueSpec::new::<()>(EVENTQ, 8).response(size_of::<Event>()),
];

/// A table with dice.
///
/// Dropping it resets the device and frees everything it was given. See the [crate](crate) for an example.
#[derive(Debug)]
pub struct Dice<T: Transport, H: Hal + Clone> {
    device: Device<T, H>,
    /// The most dice in one throw; at least 1.
    max: u16,
    /// At least 1.
    sides: u8,
    /// Event buffers that are not with the device.
    missing: u16,
}

/// Another player has thrown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thrown {
    /// Who it was.
    pub player: u32,
    /// All eyes together.
    pub sum: u32,
}

impl<T: Transport, H: Hal + Clone> Dice<T, H> {
    /// The device type that this drives.
    pub const ID: DeviceId = ID;

    /// Brings the device up; from here on it collects what the other players throw.
    ///
    /// # Errors
    /// [`DiceError::NoDice`]; [`DiceError::Core`]: it is another kind of device, it lacks a queue, it refuses its features, it
    /// does not reset, or the platform has no memory. The device is reset then.
    pub fn new(transport: T, hal: H) -> Result<Self, DiceError> {
        // Reset, ACKNOWLEDGE, DRIVER; features, FEATURES_OK.
        let wanted = Wanted { optional: F_SIDES, ..Wanted::default() };
        let init = Init::start(transport, hal, ID)?.negotiate(&wanted)?;

        // The configuration, checked before anything relies on it. A field is there only with its feature.
        let config = init.config(ByteOrder::Little)?;
        let max = config.get(DiceConfig::MAX_DICE)?;
        let sides = if init.features().contains(F_SIDES) { config.get(DiceConfig::SIDES)? } else { 6 };
        if max == 0 || sides == 0 {
            return Err(DiceError::NoDice { max, sides });
        }

        // The queues; the event queue is filled before the device is live, so that no event is lost; DRIVER_OK.
        let mut init = init.queues(&QUEUES)?;
        for _ in 0..init.queue_size(EVENTQ) {
            init.prefill(EVENTQ, event_buffer()).map_err(virtio_core::Error::from)?;
        }
        Ok(Self { device: init.live()?, max, sides, missing: 0 })
    }

    /// The most dice in one throw; at least 1.
    #[must_use]
    pub fn max_dice(&self) -> u16 {
        self.max
    }

    /// How many sides a die has; at least 1.
    #[must_use]
    pub fn sides(&self) -> u8 {
        self.sides
    }

    /// Throws as many dice as there are bytes in `eyes`, and waits until they lie, for [`DEFAULT_TIMEOUT`] at most. Each shows
    /// 1 to [`Dice::sides`]. After an error, all of `eyes` is zero.
    ///
    /// # Errors
    /// [`DiceError::TooMany`]: nothing was sent. [`DiceError::Refused`], [`DiceError::ImpossibleEyes`]; [`DiceError::Core`],
    /// also for an answer that is too short to be one.
    pub fn throw(&mut self, eyes: &mut [u8]) -> Result<(), DiceError> {
        eyes.fill(0);
        let outcome = self.ask(eyes).and_then(|()| self.check(eyes));
        if outcome.is_err() {
            eyes.fill(0);
        }
        outcome
    }

    /// One request: header and status go through the queue's memory, the caller's slice is lent for as long as it takes.
    fn ask(&mut self, eyes: &mut [u8]) -> Result<(), DiceError> {
        let asked = eyes.len();
        let too_many = DiceError::TooMany { asked, max: self.max };
        let dice = u16::try_from(asked).ok().filter(|&dice| dice <= self.max).ok_or(too_many)?;
        if dice == 0 {
            return Ok(());
        }
        let header = Header { dice: dice.into(), reserved: 0.into() };
        let mut status = [0xff; STATUS];
        let mut slices = [eyes];
        let request = Request::new(Slices::to_write(&mut slices)).header(header.as_bytes());
        let done = self.device.transfer(REQUESTQ, request, &mut status, DEFAULT_TIMEOUT)?;
        // A device says how much it has written. Less than the whole answer is none.
        if done.response < STATUS {
            let (written, needed) = (done.payload, u32::from(dice).saturating_add(1));
            return Err(virtio_core::Error::from(Misbehaved::ShortAnswer { written, needed }).into());
        }
        match status {
            [OK] => Ok(()),
            [status] => Err(DiceError::Refused { status }),
        }
    }

    /// What a device writes is an allegation.
    fn check(&self, eyes: &[u8]) -> Result<(), DiceError> {
        let sides = self.sides;
        match eyes.iter().find(|&&eyes| eyes == 0 || eyes > sides) {
            None => Ok(()),
            Some(&eyes) => Err(DiceError::ImpossibleEyes { eyes, sides }),
        }
    }

    /// What another player has thrown, or `None` when there is no more for now. Does not block.
    ///
    /// # Errors
    /// [`DiceError::ShortEvent`]: that event is dropped, the next call goes on with the one after it. [`DiceError::Core`] if the
    /// device broke the queue's rules.
    pub fn next_event(&mut self) -> Result<Option<Thrown>, DiceError> {
        let mut port = self.device.port::<()>(EVENTQ)?;
        let event = match port.poll()? {
            None => return Ok(None),
            Some(done) => {
                self.missing = self.missing.saturating_add(1);
                let written = done.written();
                done.response::<Event>().map_err(|_| DiceError::ShortEvent { written })
            }
        };
        // The buffer goes back at once. What cannot be added now is tried again with the next event.
        while self.missing > 0 && port.add(event_buffer()).is_ok() {
            self.missing = self.missing.saturating_sub(1);
        }
        port.publish();
        port.kick();
        event.map(|event| Some(Thrown { player: event.player.get(), sum: event.sum.get() }))
    }

    /// Asks for an interrupt with the next event. Answers whether one waits *already*: fetch it then, for there may be no
    /// interrupt for it.
    ///
    /// # Errors
    /// [`DiceError::Core`].
    #[must_use = "an event that waits already may bring no interrupt"]
    pub fn enable_interrupts(&mut self) -> Result<bool, DiceError> {
        Ok(self.device.port::<()>(EVENTQ)?.enable_interrupts())
    }
}

// What all drivers have: `features`, `transport_info`, `device`, `ack_interrupt`, `attend`, `recover`, `dismantle`.
virtio_core::lifecycle! {
    impl[T: Transport, H: Hal + Clone] Dice<T, H> {
        device: device, transport: T, hal: H, error: DiceError,
        attend: DeviceEvent, recover: Self::new,
    }
}

/// Room for one event.
fn event_buffer() -> Request<'static, ()> {
    Request::new(()).response(size_of::<Event>())
}
