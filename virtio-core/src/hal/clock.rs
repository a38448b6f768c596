//! Clocks that need no driver, for [`Hal::now`](super::Hal::now) (a room of unsafe code: inline assembly).
#![allow(unsafe_code, reason = "reads a counter register; there is none to read on some targets")]

use core::time::Duration;

/// Turns a counter value and its frequency in Hz into time; `None` for a frequency of 0.
#[must_use]
pub fn ticks_to_duration(ticks: u64, hertz: u64) -> Option<Duration> {
    let seconds = ticks.checked_div(hertz)?;
    let rest = ticks.checked_rem(hertz)?;
    let nanos = match rest.checked_mul(1_000_000_000) {
        Some(product) => u128::from(product.checked_div(hertz)?),
        // A counter of more than 18 GHz.
        None => u128::from(rest).checked_mul(1_000_000_000)?.checked_div(u128::from(hertz))?,
    };
    Some(Duration::new(seconds, u32::try_from(nanos).ok()?))
}

/// The generic timer's virtual counter, at the frequency that firmware has written to `cntfrq_el0`.
#[cfg(target_arch = "aarch64")]
#[must_use]
pub fn cntvct() -> Option<Duration> {
    let (ticks, hertz): (u64, u64);
    // SAFETY: reads two counter registers, which EL1 may always read; `isb` keeps the read from drifting upwards.
    unsafe {
        core::arch::asm!("isb", "mrs {t}, cntvct_el0", "mrs {f}, cntfrq_el0", t = out(reg) ticks, f = out(reg) hertz,
            options(nomem, nostack, preserves_flags));
    }
    ticks_to_duration(ticks, hertz)
}

/// The `time` counter, at the given frequency (the device tree's `timebase-frequency`; 10 MHz on QEMU).
#[cfg(target_arch = "riscv64")]
#[must_use]
pub fn rdtime(hertz: u64) -> Option<Duration> {
    let ticks: u64;
    // SAFETY: reads the time counter, which has no side effect; firmware emulates it where hardware lacks it.
    unsafe {
        core::arch::asm!("rdtime {t}", t = out(reg) ticks, options(nomem, nostack, preserves_flags));
    }
    ticks_to_duration(ticks, hertz)
}

/// The time-stamp counter, at the given frequency. For a bound, a guess above the real one is on the safe side.
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn tsc(hertz: u64) -> Option<Duration> {
    // SAFETY: RDTSC exists on every x86_64 CPU and has no side effect.
    let ticks = unsafe { core::arch::x86_64::_rdtsc() };
    ticks_to_duration(ticks, hertz)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_time_without_overflow() {
        assert_eq!(ticks_to_duration(15_000_000, 10_000_000), Some(Duration::from_millis(1500)));
        assert_eq!(ticks_to_duration(u64::MAX, 1), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(ticks_to_duration(u64::MAX, u64::MAX), Some(Duration::from_secs(1)));
        assert_eq!(ticks_to_duration(7, 0), None);
        for hertz in [1, 3, 24_000_000, 62_500_000, 1_000_000_000, 18_446_744_073, 18_446_744_075, u64::MAX] {
            for ticks in [0, 1, hertz - 1, hertz, hertz.saturating_add(hertz / 3), u64::MAX / 7] {
                let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(hertz);
                assert_eq!(
                    ticks_to_duration(ticks, hertz).map(|time| time.as_nanos()),
                    Some(nanos),
                    "{ticks}/{hertz}"
                );
            }
        }
    }
}
