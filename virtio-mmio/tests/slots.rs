//! `probe_all` over a Hal: what is mapped, and for how long.

use core::num::NonZeroUsize;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

use virtio_core::regs::NativeRegs;
use virtio_core::{DeviceId, Direction, DmaMemory, Hal, HalError, MmioKind, PhysAddr, Transport};
use virtio_mmio::{ProbeError, find, probe_all, slots};

const SLOT: usize = 0x200;

/// A machine whose registers are memory: physical address 0 is its first byte.
struct Machine {
    base: AtomicPtr<u8>,
    len: usize,
    mapped: AtomicUsize,
}

// SAFETY: `map_mmio` stays inside `base..base + len`, which outlives the machine in the test; there is no DMA memory, so
// the promises about it are kept by never handing any out.
unsafe impl Hal for Machine {
    fn dma_alloc(&self, _: NonZeroUsize, _: Direction) -> Result<DmaMemory, HalError> {
        Err(HalError::OutOfMemory)
    }
    unsafe fn dma_dealloc(&self, _: DmaMemory, _: NonZeroUsize) {}
    fn map_mmio(&self, address: PhysAddr, len: usize, kind: MmioKind) -> Result<NativeRegs, HalError> {
        assert_eq!(kind, MmioKind::Registers);
        let start = usize::try_from(address.get()).map_err(|_| HalError::CannotMap)?;
        if start.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(HalError::CannotMap);
        }
        self.mapped.fetch_add(1, Relaxed);
        let base = NonNull::new(self.base.load(Relaxed)).ok_or(HalError::CannotMap)?;
        // SAFETY: `start < len` was checked.
        let base = unsafe { base.add(start) };
        // SAFETY: the memory is aligned, inside, and touched through registers alone while the machine lives.
        Ok(unsafe { NativeRegs::new(base, len) })
    }
    unsafe fn unmap_mmio(&self, _: NativeRegs) {
        self.mapped.fetch_sub(1, Relaxed);
    }
}

#[test]
fn only_slots_with_a_device_stay_mapped() {
    let mut memory = [0_u32; 4 * SLOT / 4];
    for (slot, version, id) in [(0, 1, 16), (1, 1, 0), (3, 7, 1)] {
        let first = slot * SLOT / 4;
        memory[first] = 0x7472_6976_u32.to_le();
        memory[first + 1] = u32::to_le(version);
        memory[first + 2] = u32::to_le(id);
    }
    let machine = Machine {
        base: AtomicPtr::new(memory.as_mut_ptr().cast()),
        len: size_of_val(&memory),
        mapped: AtomicUsize::new(0),
    };

    let mut devices = Vec::new();
    let mut answers = Vec::new();
    // One slot more than the machine has: it cannot be mapped.
    for (slot, answer) in probe_all(&machine, slots(PhysAddr::new(0), SLOT, 5)) {
        answers.push(answer.map(|found| found.map(|device| devices.push((slot.base.get(), device)))));
        assert_eq!(machine.mapped.load(Relaxed), devices.len(), "{slot:?}");
    }
    assert_eq!(
        answers,
        [
            Ok(Some(())),
            Ok(None),
            Err(ProbeError::WrongMagic(0)),
            Err(ProbeError::UnsupportedVersion(7)),
            Err(ProbeError::Platform(HalError::CannotMap)),
        ]
    );
    // Looking for one device passes over what cannot be served; only if there is none does the first such error count.
    let found = find(&machine, slots(PhysAddr::new(0), SLOT, 5), DeviceId::GPU).unwrap().unwrap();
    assert_eq!(found.device_id(), DeviceId::GPU);
    drop(found);
    let none = |count| {
        find(&machine, slots(PhysAddr::new(0), SLOT, count), DeviceId::INPUT).map(|found| found.is_some())
    };
    assert_eq!(none(2), Ok(false));
    assert_eq!(none(5), Err(ProbeError::WrongMagic(0)));
    let outside = find(&machine, slots(PhysAddr::new(0x10_0000), SLOT, 2), DeviceId::GPU).map(|_| ());
    assert_eq!(outside, Err(ProbeError::Platform(HalError::CannotMap)));
    assert_eq!(devices.len(), 1);
    assert_eq!((devices[0].0, devices[0].1.device_id()), (0, DeviceId::GPU));
    assert_eq!(machine.mapped.load(Relaxed), 1);
    drop(devices);
    assert_eq!(machine.mapped.load(Relaxed), 0);
}
