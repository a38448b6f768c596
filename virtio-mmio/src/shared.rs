//! Shared-memory regions (VIRTIO 1.4 §2.10, §4.2.2).

use virtio_core::PhysAddr;
use virtio_core::regs::{RO, Register, Registers};
use virtio_core::transport::SharedMemory;

use crate::regs::{SHM_BASE_HIGH, SHM_BASE_LOW, SHM_LEN_HIGH, SHM_LEN_LOW, SHM_SEL};

/// What `SHMLen` reads where there is no region of the selected id.
const ABSENT: u64 = u64::MAX;

/// Selects a region and reads where it is. One that is empty, or wraps, is none.
pub(crate) fn region<R: Registers>(regs: &R, id: u8) -> Option<SharedMemory> {
    SHM_SEL.write(regs, u32::from(id));
    let len = wide(regs, &SHM_LEN_LOW, &SHM_LEN_HIGH);
    if matches!(len, 0 | ABSENT) {
        return None;
    }
    // A region without a base reads all ones there as well, and wraps.
    let base = wide(regs, &SHM_BASE_LOW, &SHM_BASE_HIGH);
    base.checked_add(len)?;
    Some(SharedMemory { address: PhysAddr::new(base), len })
}

fn wide<R: Registers>(regs: &R, low: &Register<RO<u32>>, high: &Register<RO<u32>>) -> u64 {
    let low = u64::from(low.read(regs));
    u64::from(high.read(regs)) << 32 | low
}
