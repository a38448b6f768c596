//! What is known of a port: written by who reads control messages, read by who uses the port, perhaps on another CPU.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use crate::Size;

bitflags::bitflags! {
    /// What the device has said of a port.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) struct Flags: u8 {
        /// It is there.
        const PRESENT = 1;
        /// It is a console.
        const CONSOLE = 2;
        /// The device's end is open.
        const OPEN = 4;
    }
}

/// One port. Loads and stores only: there is one who changes the flags, and one who takes note that the port was removed.
#[derive(Debug)]
pub(crate) struct State {
    flags: AtomicU8,
    /// The port was removed, and what it had received is still there. It is not told ready again before that is gone.
    stale: AtomicBool,
    /// Columns in the upper half, rows in the lower; 0 is not known.
    size: AtomicU32,
}

impl State {
    /// A port that is known from the start, or not.
    pub(crate) const fn new(flags: Flags) -> Self {
        Self { flags: AtomicU8::new(flags.bits()), stale: AtomicBool::new(false), size: AtomicU32::new(0) }
    }

    // Acquire and Release: who sees that a port was closed sees, afterwards, all that it had received before.
    pub(crate) fn flags(&self) -> Flags {
        Flags::from_bits_retain(self.flags.load(Ordering::Acquire))
    }

    pub(crate) fn set_flags(&self, flags: Flags) {
        self.flags.store(flags.bits(), Ordering::Release);
    }

    pub(crate) fn is_present(&self) -> bool {
        self.flags().contains(Flags::PRESENT)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.flags().contains(Flags::OPEN)
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }

    pub(crate) fn set_stale(&self, stale: bool) {
        self.stale.store(stale, Ordering::Release);
    }

    pub(crate) fn size(&self) -> Option<Size> {
        let [a, b, c, d] = self.size.load(Ordering::Relaxed).to_le_bytes();
        Size::stated(u16::from_le_bytes([c, d]), u16::from_le_bytes([a, b]))
    }

    pub(crate) fn set_size(&self, size: Option<Size>) {
        let (cols, rows) = size.map_or((0, 0), |size| (size.cols, size.rows));
        let ([a, b], [c, d]) = (rows.to_le_bytes(), cols.to_le_bytes());
        self.size.store(u32::from_le_bytes([a, b, c, d]), Ordering::Relaxed);
    }
}
