//! The transport of legacy devices (VIRTIO 1.4 §4.1.4.10).

use virtio_core::config::{read_registers, write_registers};
use virtio_core::regs::{Mapped, Registers};
use virtio_core::transport::{Doorbell, DoorbellWidth, InterruptStatus, Rings, TransportInfo};
use virtio_core::{DeviceId, Error, Hal, HalError, Incompatible, MmioKind, QueueIndex, Status, Transport};

use super::locate::{IoRange, locate};
use super::regs::{CONFIG, DEVICE_FEATURES, DEVICE_STATUS, GUEST_FEATURES, QUEUE_NOTIFY};
use super::{detect, endpoint, queue};
use crate::header::{
    COMMAND_INTX_DISABLE, COMMAND_MASTER, change, command, interrupt_pin, set_command, silence_line,
};
use crate::{ConfigAccess, Function, FunctionAddress, PciError, Windows, msix};

/// A legacy virtio device behind PCI, or a transitional one that is driven as one: through the I/O ports of its BAR 0.
///
/// `R` is how the ports are reached: [`PortRegs`](virtio_core::regs) on x86, [`Mapped`] where the host bridge shows them
/// in memory. `A` is how configuration space is.
///
/// # Limits
/// * The **size of a queue** is the device's decision ([`Transport::dictates_queue_size`]); the memory for it lies in one
///   block below 2^44 bytes, for the device counts pages of 4096 bytes in 32 bits ([`Incompatible::RingTooHigh`]). The
///   kernel's own pages may be larger.
/// * There are **32 feature bits**, no `FEATURES_OK`, no configuration generation and no reset of a single queue.
/// * The rings and the device's configuration space are in the **CPU's byte order**.
/// * **Interrupts** are INTx, or none. MSI-X is switched off: with it on, the configuration space would move.
///
/// # Example
/// A kernel on x86 takes what it finds, the modern interface if there is one:
///
/// ```
/// # #[cfg(target_arch = "x86_64")] mod kernel {
/// use virtio_core::regs::PortRegs;
/// use virtio_core::HalError;
/// use virtio_pci::{ConfigAccess, Function, Interfaces, LegacyTransport, PciError};
///
/// fn legacy<A: ConfigAccess>(
///     access: A,
///     found: &Function,
/// ) -> Option<Result<LegacyTransport<PortRegs, A>, PciError>> {
///     if Interfaces::of(&access, found)? != Interfaces::Legacy {
///         return None; // for `PciTransport`
///     }
///     Some(LegacyTransport::with_mapper(access, found.address, None, |range| {
///         let port = u16::try_from(range.port).map_err(|_| HalError::CannotMap)?;
///         // SAFETY: Ports Ours: the function's own BAR.
///         Ok(unsafe { PortRegs::new(port, range.len) })
///     }))
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct LegacyTransport<R: Registers, A: ConfigAccess> {
    regs: R,
    /// Bytes of `regs` that are the device's own configuration space.
    config_len: usize,
    /// The pin of its interrupt line, if it has one.
    pin: Option<u8>,
    /// The line is to stay off.
    quiet: bool,
    access: A,
    function: FunctionAddress,
    device_id: DeviceId,
}

impl<H: Hal + Clone, A: ConfigAccess> LegacyTransport<Mapped<H>, A> {
    /// Takes a function into use on a machine whose I/O ports are memory-mapped, mapping them through the Hal where
    /// [`Windows::io`] says. QEMU's `virt` machines for aarch64 and riscv64 are such.
    ///
    /// The BARs are sized, and sizing switches decoding off for a moment: the function must not be in use.
    ///
    /// # Errors
    /// [`PciError::BarOutsideWindow`] (there may be no I/O window), [`HalError::CannotMap`] if the window is not aligned to
    /// 4 bytes, else as for [`LegacyTransport::with_mapper`].
    pub fn in_windows(
        hal: H,
        access: A,
        function: FunctionAddress,
        windows: &Windows,
    ) -> Result<Self, PciError> {
        Self::with_mapper(access, function, Some(windows), |range| {
            let base = range.cpu.filter(|base| base.get() & 3 == 0).ok_or(HalError::CannotMap)?;
            Mapped::new(hal.clone(), base, range.len, MmioKind::Registers)
        })
    }
}

impl<R: Registers, A: ConfigAccess> LegacyTransport<R, A> {
    /// Takes a function into use, with registers from a function of the caller's. With `windows`, BAR 0 must lie in the I/O
    /// window, and [`IoRange::cpu`] says where the CPU sees it.
    ///
    /// I/O decoding is switched on, an MSI-X enable that someone left is cleared; the virtio registers are not touched. The
    /// function becomes a bus master when its first queue is enabled.
    ///
    /// # Errors
    /// [`PciError::NotPresent`], [`PciError::NotVirtio`]; [`PciError::ModernOnly`] for a device without the legacy interface;
    /// [`PciError::NoLegacyBar`], [`PciError::LegacyBarTooShort`], [`PciError::BarUnassigned`],
    /// [`PciError::BarOutsideWindow`], [`PciError::MalformedBar`]; [`PciError::IoDecodeRefused`],
    /// [`PciError::MsixRefused`]; what `map` answers, and [`Incompatible::RegistersTooShort`] if it mapped less than was
    /// asked for. The function is left as it was, with I/O decoding perhaps switched on.
    pub fn with_mapper(
        access: A,
        function: FunctionAddress,
        windows: Option<&Windows>,
        map: impl FnOnce(IoRange) -> Result<R, HalError>,
    ) -> Result<Self, PciError> {
        let found = Function::read(&access, function).ok_or(PciError::NotPresent(function))?;
        let device_id = detect::device_id(&access, &found)?;
        let range = locate(&access, &found, windows)?;
        let regs = map(range)?;
        if regs.len() < range.len {
            return Err(Incompatible::RegistersTooShort.into());
        }
        // With MSI-X on, configuration would start elsewhere, and the ISR status would stay silent.
        if !msix::turn_off(&access, function) {
            return Err(PciError::MsixRefused);
        }
        let config_len = range.len.saturating_sub(CONFIG);
        let pin = interrupt_pin(&access, function);
        Ok(Self { regs, config_len, pin, quiet: false, access, function, device_id })
    }

    pub(super) const fn registers(&self) -> &R {
        &self.regs
    }

    pub(super) const fn has_line(&self) -> bool {
        self.pin.is_some() && !self.quiet
    }

    /// As [`PciTransport::interrupt_pin`](crate::PciTransport::interrupt_pin).
    #[must_use]
    pub const fn interrupt_pin(&self) -> Option<u8> {
        self.pin
    }

    /// As [`PciTransport::keep_line_quiet`](crate::PciTransport::keep_line_quiet).
    pub fn keep_line_quiet(&mut self) {
        self.quiet = true;
        silence_line(&self.access, self.function);
    }

    /// Where the function is.
    #[must_use]
    pub const fn function(&self) -> FunctionAddress {
        self.function
    }

    /// The access to configuration space that this was built with.
    #[must_use]
    pub const fn access(&self) -> &A {
        &self.access
    }
}

impl<R: Registers, A: ConfigAccess> Transport for LegacyTransport<R, A> {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: "virtio-pci", version: "legacy" }
    }

    fn device_id(&self) -> DeviceId {
        self.device_id
    }

    fn is_legacy(&self) -> bool {
        true
    }

    fn status(&self) -> Status {
        let status = Status::from_bits_retain(DEVICE_STATUS.read(&self.regs));
        // After the end of a reset, memory is read as the device left it.
        self.regs.register_before_memory();
        status
    }

    fn set_status(&mut self, status: Status) {
        DEVICE_STATUS.write(&self.regs, status.bits());
    }

    fn device_features(&mut self, window: u32) -> u32 {
        if window == 0 { DEVICE_FEATURES.read(&self.regs) } else { 0 }
    }

    fn set_driver_features(&mut self, window: u32, bits: u32) {
        if window == 0 {
            GUEST_FEATURES.write(&self.regs, bits);
        }
    }

    fn queue_max_size(&mut self, queue: QueueIndex) -> u16 {
        queue::size(&self.regs, queue)
    }

    fn dictates_queue_size(&self) -> bool {
        true
    }

    fn enable_queue(&mut self, queue: QueueIndex, rings: &Rings) -> Result<Doorbell, Error> {
        let page_number = queue::check(&self.regs, queue, rings)?;
        // Only now may the device access memory and assert its interrupt: it has been reset. Earlier, a device that someone
        // else left running with bus mastering off would have been let loose on its old rings.
        let clear = if self.quiet { 0 } else { COMMAND_INTX_DISABLE };
        if !change(&self.access, self.function, COMMAND_MASTER, clear) {
            return Err(Incompatible::BusMasteringRefused.into());
        }
        queue::start(&self.regs, page_number);
        Ok(Doorbell {
            offset: QUEUE_NOTIFY.offset(),
            value: u32::from(queue.get()),
            width: DoorbellWidth::Bits16,
        })
    }

    fn notify(&self, doorbell: Doorbell) {
        let [low, high, ..] = doorbell.value.to_le_bytes();
        self.regs.memory_before_register();
        QUEUE_NOTIFY.write(&self.regs, u16::from_le_bytes([low, high]));
    }

    fn ack_interrupt(&self) -> InterruptStatus {
        endpoint::acknowledge(&self.regs)
    }

    fn config_generation(&self) -> u32 {
        0
    }

    fn config_len(&self) -> usize {
        self.config_len
    }

    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        read_registers(&self.regs, CONFIG, self.config_len, offset, bytes)
    }

    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        write_registers(&self.regs, CONFIG, self.config_len, offset, bytes)
    }

    /// Clears bus mastering and reads it back. A function that no longer answers counts as not cut off. Its line is switched
    /// off as well, for nobody will acknowledge what it says there.
    fn cut_off(&mut self) -> bool {
        let before = command(&self.access, self.function);
        set_command(&self.access, self.function, before & !COMMAND_MASTER | COMMAND_INTX_DISABLE);
        command(&self.access, self.function) & COMMAND_MASTER == 0
    }
}
