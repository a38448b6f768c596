//! The driver (VIRTIO 1.4 §5.N.5, §5.N.6).

use virtio_core::config::ByteOrder;
use virtio_core::device::{Device, DeviceEvent, Init, Wanted};
use virtio_core::hal::DEFAULT_TIMEOUT;
use virtio_core::queue::QueueSpec;
use virtio_core::zerocopy::{FromZeros, IntoBytes};
use virtio_core::{DeviceId, Hal, Misbehaved, Transport};

use crate::NewdevError;
use crate::abi::{ECHO, F_LIMIT, Header, ID, OK, REQUESTQ, Response, Space};

/// Requests under way.
const REQUESTS: u16 = 8;

/// The newdev device.
///
/// Dropping it resets the device and frees everything it was given. See the [crate](crate) for an example.
#[derive(Debug)]
pub struct Newdev<T: Transport, H: Hal + Clone> {
    device: Device<T, H>,
    limit: Option<u32>,
}

impl<T: Transport, H: Hal + Clone> Newdev<T, H> {
    /// The device type that this drives.
    pub const ID: DeviceId = ID;

    /// Brings the device up.
    ///
    /// # Errors
    /// [`NewdevError::Core`]: it is another kind of device, it lacks its queue, it refuses its features, it does not reset, or
    /// the platform has no memory. The device is reset then.
    pub fn new(transport: T, hal: H) -> Result<Self, NewdevError> {
        let wanted = Wanted { optional: F_LIMIT, ..Wanted::default() };
        let init = Init::start(transport, hal, ID)?.negotiate(&wanted)?;
        // A field is there only with the feature that it belongs to.
        let limit = if init.features().contains(F_LIMIT) {
            Some(init.config(ByteOrder::Little)?.get(Space::LIMIT)?)
        } else {
            None
        };
        let queue =
            QueueSpec::new::<()>(REQUESTQ, REQUESTS).header(size_of::<Header>()).response(size_of::<Response>());
        Ok(Self { device: init.queues(&[queue])?.live()?, limit })
    }

    /// The greatest value that [`Newdev::echo`] takes; `None` if there is no such limit.
    #[must_use]
    pub fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// Has the device answer `value`, and waits for it, for [`DEFAULT_TIMEOUT`] at most.
    ///
    /// # Errors
    /// [`NewdevError::AboveLimit`]: nothing was sent. [`NewdevError::Refused`]; [`NewdevError::Core`], also for an answer that
    /// is too short to be one.
    pub fn echo(&mut self, value: u32) -> Result<u32, NewdevError> {
        match self.limit {
            Some(limit) if value > limit => return Err(NewdevError::AboveLimit { value, limit }),
            _ => {}
        }
        let header = Header { kind: ECHO.into(), value: value.into() };
        let mut answer = Response::new_zeroed();
        let written =
            self.device.exchange(REQUESTQ, header.as_bytes(), answer.as_mut_bytes(), DEFAULT_TIMEOUT)?;
        // Every answer is checked: its length, its status, and what it says.
        if written < size_of::<Response>() {
            let written = u32::try_from(written).unwrap_or(u32::MAX);
            let needed = u32::try_from(size_of::<Response>()).unwrap_or(u32::MAX);
            return Err(virtio_core::Error::from(Misbehaved::ShortAnswer { written, needed }).into());
        }
        match answer.status.get() {
            OK => Ok(answer.value.get()),
            status => Err(NewdevError::Refused { status }),
        }
    }
}

virtio_core::lifecycle! {
    impl[T: Transport, H: Hal + Clone] Newdev<T, H> {
        device: device, transport: T, hal: H, error: NewdevError,
        attend: DeviceEvent, recover: Self::new,
    }
}
