//! BAR 0 of a legacy device: everything that is checked before anything is mapped.

use virtio_core::PhysAddr;

use super::regs::CONFIG;
use crate::bar::{BarKind, bars};
use crate::header::{COMMAND_IO, enable};
use crate::{ConfigAccess, Function, PciError, Windows};

/// Mapped at most: no device's configuration space is longer than a page.
const MOST: u64 = 4096;

/// A range of I/O ports on the PCI bus, and how a CPU without port instructions reaches it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct IoRange {
    /// The first port: an address on the bus. On x86 it is below 0x1_0000, and what `in` and `out` take.
    pub port: u32,
    /// Where the CPU finds that port in its own address space, by the window that was given
    /// ([`Windows::io`](crate::Windows)). `None` if none was; of no use on x86.
    pub cpu: Option<PhysAddr>,
    /// Its length in bytes.
    pub len: usize,
}

/// Finds and checks BAR 0, and switches I/O decoding on. The BARs are sized, nothing else changes.
pub(super) fn locate<A: ConfigAccess>(
    access: &A,
    function: &Function,
    windows: Option<&Windows>,
) -> Result<IoRange, PciError> {
    let bars = bars(access, function)?;
    let [first, ..] = bars;
    let bar = first.filter(|bar| bar.kind == BarKind::Io).ok_or(PciError::NoLegacyBar)?;
    let len = usize::try_from(bar.size.min(MOST)).unwrap_or(CONFIG);
    if len < CONFIG {
        return Err(PciError::LegacyBarTooShort { size: bar.size });
    }
    // With I/O decoding on, a BAR without an address would answer at port 0.
    if let Some(bar) = bars.iter().flatten().find(|bar| !bar.is_memory() && !bar.is_assigned()) {
        return Err(PciError::BarUnassigned { function: function.address, bar: bar.index });
    }
    let cpu = windows.map(|windows| windows.locate(function.address, &bar)).transpose()?;
    let outside = PciError::BarOutsideWindow {
        function: function.address,
        bar: bar.index,
        address: bar.address,
        size: bar.size,
    };
    let port = u32::try_from(bar.address).map_err(|_| outside)?;
    if !enable(access, function.address, COMMAND_IO) {
        return Err(PciError::IoDecodeRefused);
    }
    Ok(IoRange { port, cpu, len })
}
