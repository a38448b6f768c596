//! Barriers: which class is due, and the I/O-class instructions (a room of unsafe code: inline assembly).
//!
//! **I-ORDER.** Between two CPUs, or a CPU and a device emulated by another CPU, the fences of the memory model do.
//! They say nothing about device registers: riscv64's `fence rw,rw` orders memory against memory only. So everything
//! that involves a register or a real device uses the instructions here.
#![allow(unsafe_code, reason = "barrier instructions; none on some targets")]

use crate::Features;

/// How strong the barriers around a ring have to be (VIRTIO 1.4 §6, `VIRTIO_F_ORDER_PLATFORM`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BarrierClass {
    /// The device runs on a CPU of this machine: what suffices between two CPUs suffices here.
    Smp,
    /// The device may be real hardware: memory accesses are ordered as for any bus device.
    Device,
}

impl BarrierClass {
    /// The class that goes with the negotiated features: device-class barriers exactly if `ORDER_PLATFORM` was accepted.
    #[must_use]
    pub const fn for_features(features: Features) -> Self {
        if features.contains(Features::ORDER_PLATFORM) { Self::Device } else { Self::Smp }
    }
}

/// A full barrier that a bus device observes too.
pub(crate) fn device_barrier() {
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: a barrier instruction changes no state but the order of accesses.
    unsafe {
        core::arch::asm!("dmb osh", options(nostack, preserves_flags));
    }
    #[cfg(all(any(target_arch = "riscv64", target_arch = "riscv32"), not(miri)))]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("fence iorw, iorw", options(nostack, preserves_flags));
    }
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

/// Memory writes before, register writes after.
pub(super) fn memory_before_register() {
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: a barrier instruction changes no state but the order of accesses.
    unsafe {
        core::arch::asm!("dmb oshst", options(nostack, preserves_flags));
    }
    #[cfg(all(any(target_arch = "riscv64", target_arch = "riscv32"), not(miri)))]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("fence w, o", options(nostack, preserves_flags));
    }
    // x86 keeps ordinary stores in front of uncached ones by itself; this keeps the compiler from moving them.
    core::sync::atomic::fence(core::sync::atomic::Ordering::Release);
}

/// Register accesses before, memory reads after. Writes count too: an acknowledgement that arrives after the ring was read takes
/// away the interrupt for what was used in between.
pub(super) fn register_before_memory() {
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: a barrier instruction changes no state but the order of accesses.
    unsafe {
        core::arch::asm!("dmb osh", options(nostack, preserves_flags));
    }
    #[cfg(all(any(target_arch = "riscv64", target_arch = "riscv32"), not(miri)))]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("fence io, r", options(nostack, preserves_flags));
    }
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    // shows: reserved-features.8
    #[test]
    fn order_platform_asks_for_device_barriers_and_nothing_else_does() {
        assert_eq!(BarrierClass::for_features(Features::all()), BarrierClass::Device);
        assert_eq!(BarrierClass::for_features(Features::ORDER_PLATFORM), BarrierClass::Device);
        assert_eq!(BarrierClass::for_features(!Features::ORDER_PLATFORM), BarrierClass::Smp);
    }
}
