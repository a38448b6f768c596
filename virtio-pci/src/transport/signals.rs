//! How the device interrupts: by its line, by messages, or not at all (VIRTIO 1.4 §4.1.5.1.2).

use virtio_core::regs::{Mapped, Registers};
use virtio_core::{Hal, HalError, Incompatible, MmioKind, PhysAddr, QueueIndex};

use super::PciTransport;
use super::open::map_whole;
use crate::header::{COMMAND_INTX_DISABLE, COMMAND_MASTER, change, interrupt_pin, silence_line};
use crate::locate::Range;
use crate::msix::{CONFIG_VECTOR, ENTRY, Msix, MsixMessage, Vectors, program};
use crate::regs::{CONFIG_MSIX_VECTOR, NO_VECTOR, QUEUE_MSIX_VECTOR};
use crate::{ConfigAccess, FunctionAddress, PciError};

/// How the device interrupts.
#[derive(Debug)]
pub(crate) struct Signals {
    /// What there is for messages.
    msix: Result<Option<(Msix, Range)>, PciError>,
    /// The vectors in use; `None`: the line, if there is one.
    vectors: Option<Vectors>,
    /// Since the last reset, the configuration vector has been mapped and messages been let go.
    armed: bool,
    /// Since the last reset, the device has been live: endpoints may be around, and nothing changes under them.
    settled: bool,
    /// The pin of its line, if it has one.
    pin: Option<u8>,
    /// The line is to stay off.
    quiet: bool,
}

impl Signals {
    /// The line, as every transport begins.
    pub(super) fn line<A: ConfigAccess>(
        access: &A,
        function: FunctionAddress,
        msix: Result<Option<(Msix, Range)>, PciError>,
    ) -> Self {
        Self {
            msix,
            vectors: None,
            armed: false,
            settled: false,
            pin: interrupt_pin(access, function),
            quiet: false,
        }
    }

    /// The vectors in use; `None` without messages.
    pub(crate) const fn vectors(&self) -> Option<Vectors> {
        self.vectors
    }

    /// Whether the device has a line that it may use.
    pub(crate) const fn has_line(&self) -> bool {
        self.pin.is_some() && !self.quiet
    }

    /// The device has forgotten its vectors.
    pub(super) fn after_reset(&mut self) {
        self.armed = false;
        self.settled = false;
        if let Some(vectors) = &mut self.vectors {
            vectors.forget();
        }
    }

    /// The device is live.
    pub(super) fn settle(&mut self) {
        self.settled = true;
    }
}

impl<H: Hal, A: ConfigAccess> PciTransport<Mapped<H>, A> {
    /// Makes the device interrupt by messages (MSI-X) instead of its line: one vector for each message, as far as the
    /// device's table goes. Answers how many are in use; 0 if the function has no MSI-X or no message was given: the
    /// device keeps its line then.
    ///
    /// To be called before the transport goes to a driver, for the vectors are settled while the device comes up. With one
    /// vector, configuration changes and all queues share it. With `n` of them, vector 0 is for configuration changes, and
    /// queue `q` has vector `1 + q % (n - 1)`. A vector that the device refuses for a queue is replaced by vector 0; if it
    /// refuses that, the device goes back to its line. So what holds is said by [`Interrupts`](virtio_core::Interrupts)
    /// once the device is live.
    ///
    /// The table is mapped through the Hal, written, and given back. No message is sent before the reset that brings the
    /// device up. MSI-X is switched off again when the transport is dropped.
    ///
    /// # Errors
    /// [`PciError::MsixMisplaced`], [`PciError::BarOutsideWindow`] for the BAR of the table,
    /// [`PciError::BadMessage`], [`PciError::MsixRefused`] if the function does not keep what is written, or what the Hal
    /// answers. The device keeps its line.
    pub fn enable_msix(&mut self, hal: H, messages: &[MsixMessage]) -> Result<u16, PciError> {
        self.enable_msix_with(messages, |base, len| Mapped::new(hal, base, len, MmioKind::Registers))
    }
}

impl<R: Registers, A: ConfigAccess> PciTransport<R, A> {
    /// The pin of the function's interrupt line, 1 for INTA to 4 for INTD, if it has one: what a device tree's
    /// `interrupt-map` and ACPI's `_PRT` are asked with.
    #[must_use]
    pub const fn interrupt_pin(&self) -> Option<u8> {
        self.signals.pin
    }

    /// Keeps the function's interrupt line off for good: for a kernel that polls, where the line may be somebody else's as
    /// well. To be called before the transport goes to a driver. Messages are not affected.
    pub fn keep_line_quiet(&mut self) {
        self.signals.quiet = true;
        silence_line(&self.access, self.function);
    }

    /// Entries of the function's MSI-X table, 1 to 2048 (VIRTIO 1.4 §4.1.5.1.2); 0 if it has none that can be used.
    #[must_use]
    pub fn msix_vectors(&self) -> u16 {
        self.signals.msix.ok().flatten().map_or(0, |(msix, _)| msix.size)
    }

    /// As [`PciTransport::enable_msix`], with the table from a function of the caller's: it is given a physical address
    /// and a length in bytes, as in [`PciTransport::with_mapper`].
    ///
    /// # Errors
    /// As for [`PciTransport::enable_msix`].
    pub fn enable_msix_with(
        &mut self,
        messages: &[MsixMessage],
        map: impl FnOnce(PhysAddr, usize) -> Result<R, HalError>,
    ) -> Result<u16, PciError> {
        self.stop_messages();
        if messages.is_empty() {
            return Ok(0);
        }
        let Some((msix, table)) = self.signals.msix? else { return Ok(0) };
        let count = u16::try_from(messages.len()).map_or(msix.size, |given| given.min(msix.size));
        for (vector, message) in (0..count).zip(messages) {
            if message.address % 4 != 0 {
                return Err(PciError::BadMessage { vector, address: message.address });
            }
        }
        let table = Range { len: u64::from(count).saturating_mul(ENTRY), ..table };
        let regs = map_whole(table, |len| Ok(map(table.base, len)?))?;
        // On, but mute: some devices keep their table only while MSI-X is on.
        let mut kept = msix.turn_on(&self.access, self.function, true);
        for (vector, message) in (0..usize::from(count)).zip(messages) {
            kept = kept && program(&regs, vector, message);
        }
        if !kept {
            msix.turn_off(&self.access, self.function);
            return Err(PciError::MsixRefused);
        }
        self.signals.vectors = Some(Vectors::new(count));
        self.signals.armed = false;
        Ok(count)
    }

    /// Switches MSI-X off, if it is this transport that switched it on; answers whether it is off.
    pub(super) fn stop_messages(&mut self) -> bool {
        match (self.signals.vectors.take(), self.signals.msix) {
            (Some(_), Ok(Some((msix, _)))) => msix.turn_off(&self.access, self.function),
            _ => true,
        }
    }

    /// Lets the device access memory and interrupt, after a reset: bus mastering, and the line or the configuration
    /// vector.
    pub(super) fn let_interrupt(&mut self) -> Result<(), Incompatible> {
        let quiet = self.signals.vectors.is_some() || self.signals.quiet;
        let clear = if quiet { 0 } else { COMMAND_INTX_DISABLE };
        if !change(&self.access, self.function, COMMAND_MASTER, clear) {
            return Err(Incompatible::BusMasteringRefused);
        }
        if self.signals.vectors.is_none() || self.signals.armed {
            return Ok(());
        }
        CONFIG_MSIX_VECTOR.write(&self.common, CONFIG_VECTOR);
        let unmasked = match self.signals.msix {
            Ok(Some((msix, _))) if CONFIG_MSIX_VECTOR.read(&self.common) == CONFIG_VECTOR => {
                msix.turn_on(&self.access, self.function, false)
            }
            _ => false,
        };
        if unmasked {
            self.signals.armed = true;
            Ok(())
        } else {
            self.fall_back_to_line()
        }
    }

    /// Gives the selected queue its vector, and makes sure that the device has taken it. A queue of a live device (one that
    /// was reset by itself) gets the one it had, or none.
    pub(super) fn map_queue(&mut self, queue: QueueIndex) -> Result<(), Incompatible> {
        let takes = |vector| {
            QUEUE_MSIX_VECTOR.write(&self.common, vector);
            QUEUE_MSIX_VECTOR.read(&self.common) == vector
        };
        let Some(vectors) = &mut self.signals.vectors else {
            QUEUE_MSIX_VECTOR.write(&self.common, NO_VECTOR);
            return Ok(());
        };
        let own = vectors.own(queue);
        if own != CONFIG_VECTOR && !vectors.is_sharing(queue) {
            if takes(own) {
                return Ok(());
            }
            if self.signals.settled {
                return Err(Incompatible::InterruptRefused);
            }
            vectors.share(queue);
        }
        if takes(CONFIG_VECTOR) {
            return Ok(());
        }
        QUEUE_MSIX_VECTOR.write(&self.common, NO_VECTOR);
        if self.signals.settled { Err(Incompatible::InterruptRefused) } else { self.fall_back_to_line() }
    }

    /// The device does not take its vectors. With MSI-X off they mean nothing, whatever the queues before have got.
    fn fall_back_to_line(&mut self) -> Result<(), Incompatible> {
        let off = self.stop_messages();
        CONFIG_MSIX_VECTOR.write(&self.common, NO_VECTOR);
        if !off || !self.signals.has_line() {
            return Err(Incompatible::InterruptRefused);
        }
        change(&self.access, self.function, 0, COMMAND_INTX_DISABLE);
        Ok(())
    }
}

impl<R: Registers, A: ConfigAccess> Drop for PciTransport<R, A> {
    /// Switches MSI-X off: a message must not go to a vector whose handler may be gone. The device has been reset
    /// before, if a driver had it; the line has nothing to say then.
    fn drop(&mut self) {
        self.stop_messages();
    }
}
