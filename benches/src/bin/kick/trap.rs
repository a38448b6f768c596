//! Pages whose every access is counted.
//!
//! **Stepped**: a page in here has no rights but for the one instruction that faulted on it. The fault's handler counts it,
//! gives the right, and asks the processor to stop after one instruction; the handler of that stop takes the right away
//! again. Whoever made the access does not notice. There is one thread, and no other user of these two signals.

use std::io::{Error, Result};
use std::mem::{MaybeUninit, zeroed};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{c_int, c_void, siginfo_t, ucontext_t};

/// Bytes in all: a BAR, aligned to its size as BARs are.
pub const LEN: usize = 0x1_0000;
/// The processor's flag that stops it after one instruction.
const TRAP_FLAG: i64 = 1 << 8;
/// In a page fault's error code: it was a write.
const WRITE: i64 = 1 << 1;

static BASE: AtomicUsize = AtomicUsize::new(0);
static READS: AtomicUsize = AtomicUsize::new(0);
static WRITES: AtomicUsize = AtomicUsize::new(0);

/// Accesses of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Accesses {
    /// Loads.
    pub reads: usize,
    /// Stores.
    pub writes: usize,
}

impl std::ops::Sub for Accesses {
    type Output = Self;
    fn sub(self, earlier: Self) -> Self {
        Self { reads: self.reads - earlier.reads, writes: self.writes - earlier.writes }
    }
}

/// How many there were so far.
pub fn accesses() -> Accesses {
    Accesses { reads: READS.load(Ordering::SeqCst), writes: WRITES.load(Ordering::SeqCst) }
}

fn protect(rights: c_int) -> c_int {
    let base = BASE.load(Ordering::SeqCst) as *mut c_void;
    // SAFETY: the mapping that `install` has made, and keeps.
    unsafe { libc::mprotect(base, LEN, rights) }
}

extern "C" fn faulted(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes both to a handler that was installed with SA_SIGINFO, for a fault.
    let address = unsafe { (*info).si_addr() } as usize;
    let inside = address.checked_sub(BASE.load(Ordering::SeqCst)).is_some_and(|offset| offset < LEN);
    if !inside || protect(libc::PROT_READ | libc::PROT_WRITE) != 0 {
        // A real fault: it happens again, and ends the program.
        // SAFETY: the default action is a valid one.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        return;
    }
    // SAFETY: as above; the context is this thread's alone until the handler returns.
    let registers = unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    let wrote = registers[libc::REG_ERR as usize] & WRITE != 0;
    if wrote { &WRITES } else { &READS }.fetch_add(1, Ordering::SeqCst);
    registers[libc::REG_EFL as usize] |= TRAP_FLAG;
}

extern "C" fn stepped(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: as in `faulted`.
    let registers = unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    registers[libc::REG_EFL as usize] &= !TRAP_FLAG;
    protect(libc::PROT_NONE);
}

/// Makes the pages and installs the handlers. Once.
///
/// # Errors
/// What the system answers.
pub fn install() -> Result<()> {
    assert_eq!(BASE.load(Ordering::SeqCst), 0, "once");
    // SAFETY: a fresh mapping, of twice the length so that an aligned stretch lies in it.
    let mapping = unsafe {
        libc::mmap(null_mut(), 2 * LEN, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    };
    if mapping == libc::MAP_FAILED {
        return Err(Error::last_os_error());
    }
    BASE.store((mapping.expose_provenance()).next_multiple_of(LEN), Ordering::SeqCst);
    type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
    for (signal, handler) in [(libc::SIGSEGV, faulted as Handler), (libc::SIGTRAP, stepped)] {
        // SAFETY: all zeros are an action, without flags and with an empty mask.
        let mut action: libc::sigaction = unsafe { MaybeUninit::new(zeroed()).assume_init() };
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO;
        // SAFETY: a valid action; its handler does nothing but count and change rights.
        if unsafe { libc::sigaction(signal, &action, null_mut()) } != 0 {
            return Err(Error::last_os_error());
        }
    }
    Ok(())
}

/// The first byte of the pages.
pub fn base() -> NonNull<u8> {
    let base = std::ptr::with_exposed_provenance_mut(BASE.load(Ordering::SeqCst));
    NonNull::new(base).expect("the pages are there: `install` was called")
}

/// A device as it comes out of reset: zeros, but for these bytes at these offsets. Not counted.
pub fn set_up(registers: &[(usize, &[u8])]) {
    device(|bytes| {
        bytes.fill(0);
        for (offset, value) in registers {
            bytes[*offset..offset + value.len()].copy_from_slice(value);
        }
    });
}

/// What the device itself does to its registers. Not counted.
pub fn device<V>(act: impl FnOnce(&mut [u8]) -> V) -> V {
    assert_eq!(protect(libc::PROT_READ | libc::PROT_WRITE), 0, "{}", Error::last_os_error());
    // SAFETY: the pages are there for good and may be accessed now; there is one thread, and no driver runs meanwhile.
    let answer = act(unsafe { NonNull::slice_from_raw_parts(base(), LEN).as_mut() });
    assert_eq!(protect(libc::PROT_NONE), 0, "{}", Error::last_os_error());
    answer
}

/// Counts what happens in here.
pub fn during<V>(act: impl FnOnce() -> V) -> (Accesses, V) {
    let before = accesses();
    let answer = act();
    (accesses() - before, answer)
}

/// Counts what is known.
///
/// # Errors
/// If it is counted wrongly, or the accesses did something else than without counting.
pub fn prove() -> std::result::Result<(), String> {
    let (accesses, value) = during(|| {
        let first = base().cast::<u32>();
        // SAFETY: the pages are aligned and stay; each access is stepped over (Stepped).
        unsafe { first.write_volatile(0x0102_0304) };
        // SAFETY: likewise.
        unsafe { first.cast::<u8>().write_volatile(9) };
        // SAFETY: likewise.
        unsafe { first.read_volatile() }
    });
    let expected = Accesses { reads: 1, writes: 2 };
    if accesses == expected && value == 0x0102_0309 {
        return Ok(());
    }
    Err(format!("{expected:?} were counted as {accesses:?}, and {value:#x} was read"))
}
