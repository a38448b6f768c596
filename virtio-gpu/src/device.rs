//! The GPU, brought up and taken down.

use virtio_core::config::ByteOrder;
use virtio_core::device::{Init, Wanted};
use virtio_core::queue::QueueSpec;
use virtio_core::{DeviceId, Hal, Transport, log_info};

use crate::abi::{CONTROLQ, CURSORQ, F_EDID, MAX_SCANOUTS, RespEdid, Space, TransferToHost2d, UpdateCursor};
use crate::command::Control;
use crate::cursor::Cursor;
use crate::display::ScanoutId;
use crate::error::GpuError;

/// Commands are answered one at a time; the longest is a header, a table of entries and an answer.
const QUEUES: [QueueSpec; 2] = [
    QueueSpec::new::<()>(CONTROLQ, 64)
        .at_least(3)
        .indirect(3)
        .header(size_of::<TransferToHost2d>())
        .response(size_of::<RespEdid>()),
    QueueSpec::new::<()>(CURSORQ, 16).header(size_of::<UpdateCursor>()),
];

/// A virtio GPU (VIRTIO 1.4 §5.7), for 2D.
///
/// Dropping it resets the device and frees everything it was given. See the [crate](crate) for an example.
/// [`abi::feature_name`](crate::abi::feature_name) names what is the GPU's own of [`Gpu::features`].
#[derive(Debug)]
pub struct Gpu<T: Transport, H: Hal + Clone + 'static> {
    pub(crate) control: Control<T, H>,
    /// How many displays there are: 1 to 16.
    pub(crate) scanouts: u32,
    /// Which resource each display shows; 0 for none, `None` after an answer that does not tell.
    pub(crate) shown: [Option<u32>; MAX_SCANOUTS],
    pub(crate) cursor: Option<Cursor<H>>,
}

impl<T: Transport, H: Hal + Clone + 'static> Gpu<T, H> {
    /// Brings the GPU behind `transport` up.
    ///
    /// # Errors
    /// [`GpuError::NoScanouts`], [`GpuError::TooManyScanouts`]; [`GpuError::Core`] with what else stands in the way, such
    /// as another kind of device, features that it refuses, a platform without memory. The device is reset then, and
    /// everything freed.
    pub fn new(transport: T, hal: H) -> Result<Self, GpuError> {
        let wanted = Wanted { optional: F_EDID, ..Wanted::default() };
        let init = Init::start(transport, hal, DeviceId::GPU)?.negotiate(&wanted)?;
        let scanouts = init.config(ByteOrder::Little)?.get(Space::NUM_SCANOUTS)?;
        match usize::try_from(scanouts) {
            Ok(0) => return Err(GpuError::NoScanouts),
            Ok(1..=MAX_SCANOUTS) => {}
            _ => return Err(GpuError::TooManyScanouts(scanouts)),
        }
        let device = init.queues(&QUEUES)?.live()?;
        log_info!("virtio-gpu: {} scanouts, features {:#x}", scanouts, device.features().bits());
        Ok(Self { control: Control::new(device), scanouts, shown: [Some(0); MAX_SCANOUTS], cursor: None })
    }

    /// How many displays the device has, on or off: 1 to 16.
    #[must_use]
    pub fn scanouts(&self) -> u32 {
        self.scanouts
    }

    /// An error for a display that the device does not have.
    pub(crate) fn check_scanout(&self, scanout: ScanoutId) -> Result<(), GpuError> {
        if scanout.get() < self.scanouts { Ok(()) } else { Err(GpuError::NoSuchScanout(scanout)) }
    }
}

// `attend` is in event.rs: a configuration change means displays here.
virtio_core::lifecycle! {
    impl[T: Transport, H: Hal + Clone + 'static] Gpu<T, H> {
        device: (control.device), transport: T, hal: H, error: GpuError,
        recover: Self::new,
    }
}
