//! Taking a function into use.

use virtio_core::regs::{Mapped, Registers};
use virtio_core::{Features, Hal, HalError, Incompatible, MmioKind, PhysAddr};

use super::{PciTransport, Signals};
use crate::header::{COMMAND_MEMORY, enable};
use crate::locate::{Layout, Range, View, locate};
use crate::msix;
use crate::notify::Notifications;
use crate::regs::{COMMON_TO_NOTIF_CONFIG_DATA, COMMON_TO_QUEUE_RESET};
use crate::{ConfigAccess, ConfigWindow, Function, FunctionAddress, PciError, Windows};

impl<H: Hal + Clone, A: ConfigAccess> PciTransport<Mapped<H>, A> {
    /// Takes a function into use, mapping through the Hal what is needed of its BARs.
    ///
    /// Bus addresses are taken for physical ones, as they are on x86 and on most other machines: see
    /// [`PciTransport::in_windows`] for the rest. The Hal is asked for ranges that are aligned to 4 bytes and no more;
    /// several may lie in one page.
    ///
    /// The BARs are sized, and sizing switches decoding off for a moment: the function must not be in use. An MSI-X enable
    /// that someone left is cleared: see [the crate](crate#interrupts).
    ///
    /// # Errors
    /// [`PciError`]. The function is left as it was, with memory decoding perhaps switched on.
    pub fn new(hal: H, access: A, function: FunctionAddress) -> Result<Self, PciError> {
        Self::with_mapper(access, function, None, |base, len| {
            Mapped::new(hal.clone(), base, len, MmioKind::Registers)
        })
    }

    /// As [`PciTransport::new`], on a machine whose windows are known: BARs must lie in them, and are found where the
    /// CPU sees the window.
    ///
    /// # Errors
    /// [`PciError::BarOutsideWindow`], else as for [`PciTransport::new`].
    pub fn in_windows(
        hal: H,
        access: A,
        function: FunctionAddress,
        windows: &Windows,
    ) -> Result<Self, PciError> {
        Self::with_mapper(access, function, Some(windows), |base, len| {
            Mapped::new(hal.clone(), base, len, MmioKind::Registers)
        })
    }
}

impl<A: ConfigAccess + Clone> PciTransport<ConfigWindow<A>, A> {
    /// Takes a function into use whose BARs cannot be mapped: its registers are reached through the window that it has in
    /// configuration space (VIRTIO 1.4 §4.1.4.9). Slow, and complete but for shared memory and MSI-X, whose table no driver
    /// may reach this way.
    ///
    /// The BARs need no addresses. Memory decoding is switched on if all have one, in case the device asks for it.
    ///
    /// # Errors
    /// [`PciError::MissingStructure`] of [`Structure::PciConfig`](crate::caps::Structure::PciConfig) without a window, else
    /// as for [`PciTransport::new`].
    pub fn through_window(access: A, function: FunctionAddress) -> Result<Self, PciError> {
        Self::open(access.clone(), function, View::Bar, |range, len| {
            let window = ConfigWindow::find(access.clone(), function)?;
            window.onto(range.bar, range.base.get(), len).ok_or(HalError::CannotMap.into())
        })
    }
}

impl<R: Registers, A: ConfigAccess> PciTransport<R, A> {
    /// Takes a function into use, with register blocks from a function of the caller's: it is given a physical address
    /// (aligned to 4 bytes) and a length in bytes.
    ///
    /// The device itself is not touched but for its queue selector, which is moved to learn where the doorbells are.
    ///
    /// # Errors
    /// [`Incompatible::RegistersTooShort`] if a block is shorter than was asked for, else as for [`PciTransport::in_windows`].
    pub fn with_mapper(
        access: A,
        function: FunctionAddress,
        windows: Option<&Windows>,
        mut map: impl FnMut(PhysAddr, usize) -> Result<R, HalError>,
    ) -> Result<Self, PciError> {
        Self::open(access, function, View::Memory(windows), |range, len| Ok(map(range.base, len)?))
    }

    fn open(
        access: A,
        function: FunctionAddress,
        view: View<'_>,
        mut map: impl FnMut(Range, usize) -> Result<R, PciError>,
    ) -> Result<Self, PciError> {
        let found = Function::read(&access, function).ok_or(PciError::NotPresent(function))?;
        let not_virtio = PciError::NotVirtio { vendor: found.vendor, device: found.device };
        let device_id = found.virtio_id().ok_or(not_virtio)?;
        let Layout { common, notify, notify_multiplier, isr, device, msix, places, decodable } =
            locate(&access, &found, view)?;
        // Who maps BARs needs them decoded; the window in configuration space may do without.
        let decoded = decodable && enable(&access, function, COMMAND_MEMORY);
        if !decoded && matches!(view, View::Memory(_)) {
            return Err(PciError::DecodeRefused);
        }
        let mut map = |range| map_whole(range, |len| map(range, len));
        let features = carried_out(common.len) & extended_features(&access, function);
        let common = map(common)?;
        let isr_offset = isr.skip;
        let isr = map(isr)?;
        let device_len = device.and_then(|range| usize::try_from(range.len).ok()).unwrap_or(0);
        let device = device.map(&mut map).transpose()?;
        let notify = Notifications::new(&common, notify, notify_multiplier, &mut map)?;
        // With MSI-X on, the device would say nothing in the ISR status.
        if !msix::turn_off(&access, function) {
            return Err(PciError::MsixRefused);
        }
        let signals = Signals::line(&access, function, msix);
        Ok(Self {
            common,
            features,
            notify,
            isr,
            isr_offset,
            device,
            device_len,
            signals,
            places,
            access,
            function,
            device_id,
        })
    }
}

/// Maps a range and checks that all of it is there.
pub(super) fn map_whole<R: Registers>(
    range: Range,
    map: impl FnOnce(usize) -> Result<R, PciError>,
) -> Result<R, PciError> {
    let len = usize::try_from(range.len).ok().and_then(|len| len.checked_add(range.skip));
    let len = len.and_then(|len| len.checked_next_multiple_of(4)).ok_or(HalError::CannotMap)?;
    let regs = map(len)?;
    if regs.len() < len { Err(Incompatible::RegistersTooShort.into()) } else { Ok(regs) }
}

/// What a common structure of this length can carry out. Administration virtqueues are not reached: they lie beyond
/// `num_queues`.
fn carried_out(len: u64) -> Features {
    let mut features = !Features::ADMIN_VQ;
    features.set(Features::NOTIF_CONFIG_DATA, len >= COMMON_TO_NOTIF_CONFIG_DATA);
    features.set(Features::RING_RESET, len >= COMMON_TO_QUEUE_RESET);
    features
}

/// What the function's extended configuration space allows: `SR_IOV` without the PCI capability must not be accepted
/// (VIRTIO 1.4 §6.1).
fn extended_features<A: ConfigAccess>(access: &A, function: FunctionAddress) -> Features {
    let mut features = Features::all();
    let read = |offset| access.read32(function, offset);
    features.set(Features::SR_IOV, crate::extended::find(read, crate::extended::SR_IOV).is_some());
    features
}
