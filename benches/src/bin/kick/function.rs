//! A PCI function whose configuration space is a few words, and whose BAR 4 is the counted pages.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};
use virtio_pci::{ConfigAccess, FunctionAddress};

use crate::trap;

/// Where the structures are in BAR 4, and their lengths.
pub const COMMON: usize = 0;
/// ISR status.
pub const ISR: usize = 0x1000;
/// Doorbells.
pub const NOTIFY: usize = 0x3000;
/// The table of MSI-X, and its pending bits.
const TABLE: u32 = 0x4000;
const PENDING: u32 = 0x5000;

/// Where the window's capability is.
const WINDOW: u16 = 0xa0;

/// An entropy device's function.
#[derive(Debug)]
pub struct Function {
    words: Mutex<[u32; 64]>,
    /// Which bits of each can be written.
    writable: [u32; 64],
    accesses: AtomicUsize,
}

fn capability(head: [u8; 4], offset: u32) -> [u32; 4] {
    [u32::from_le_bytes(head), 4, offset, 0x1000]
}

impl Function {
    /// A modern one, which stays, with MSI-X and a window in configuration space.
    pub fn modern() -> &'static Self {
        let mut words = [0_u32; 64];
        let mut writable = [0_u32; 64];
        words[0] = 0x1044_1af4;
        words[1] = 0x0010_0000;
        writable[1] = 0x0407;
        words[2] = 0x0000_0001;
        // A 64-bit BAR 4, where the pages are.
        let base = trap::base().as_ptr().expose_provenance() as u64;
        words[8] = base as u32 | 4;
        words[9] = (base >> 32) as u32;
        writable[8] = !(trap::LEN as u32 - 1);
        writable[9] = u32::MAX;
        words[13] = 0x40;
        words[15] = 0x0100;
        words[16..20].copy_from_slice(&capability([9, 0x50, 16, 1], COMMON as u32));
        words[20..24].copy_from_slice(&capability([9, 0x60, 16, 3], ISR as u32));
        // Each doorbell has four bytes of its own.
        words[24..28].copy_from_slice(&capability([9, 0x80, 20, 2], NOTIFY as u32));
        words[28] = 4;
        // MSI-X with four vectors.
        words[32..35].copy_from_slice(&[0x11 | u32::from(WINDOW) << 8 | 3 << 16, TABLE | 4, PENDING | 4]);
        writable[32] = 0xc000_0000;
        // The window.
        let at = usize::from(WINDOW / 4);
        words[at] = 9 | 20 << 16 | 5 << 24;
        writable[at + 1..at + 5].fill(u32::MAX);
        Box::leak(Box::new(Self { words: Mutex::new(words), writable, accesses: AtomicUsize::new(0) }))
    }

    /// A legacy one, which stays: BAR 0 is ports.
    pub fn legacy() -> &'static Self {
        let mut words = [0_u32; 64];
        let mut writable = [0_u32; 64];
        words[0] = 0x1005_1af4;
        writable[1] = 0x0407;
        words[4] = 0xc001;
        writable[4] = 0xffff_ffe0;
        words[11] = 0x0004_1af4;
        words[15] = 0x0100;
        Box::leak(Box::new(Self { words: Mutex::new(words), writable, accesses: AtomicUsize::new(0) }))
    }

    /// How many accesses to configuration space there were.
    pub fn accesses(&self) -> usize {
        self.accesses.load(Ordering::Relaxed)
    }

    fn words(&self) -> MutexGuard<'_, [u32; 64]> {
        self.accesses.fetch_add(1, Ordering::Relaxed);
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a register; the window's data come from where it is set to.
    fn read(&self, offset: u16) -> u32 {
        let words = self.words();
        if offset == WINDOW + 16 && words[0] >> 16 == 0x1044 {
            return through(&words, None);
        }
        words.get(usize::from(offset / 4)).copied().unwrap_or(0)
    }

    /// Writes a register; the window's data go where it is set to.
    fn write(&self, offset: u16, value: u32) {
        let mut words = self.words();
        let at = usize::from(offset / 4);
        let Some((word, writable)) = words.get_mut(at).zip(self.writable.get(at)) else { return };
        *word = *word & !writable | value & writable;
        if offset == WINDOW + 16 && words[0] >> 16 == 0x1044 {
            through(&words, Some(value));
        }
    }
}

impl ConfigAccess for Function {
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
        if function.number() == 0 { self.read(offset) } else { u32::MAX }
    }
    fn write32(&self, function: FunctionAddress, offset: u16, value: u32) {
        if function.number() == 0 {
            self.write(offset, value);
        }
    }
}

/// The same, for `virtio-drivers`.
pub struct Access(pub &'static Function);

impl ConfigurationAccess for Access {
    fn read_word(&self, function: DeviceFunction, offset: u8) -> u32 {
        let first = (function.bus, function.device, function.function) == (0, 0, 0);
        if first { self.0.read(offset.into()) } else { u32::MAX }
    }
    fn write_word(&mut self, _: DeviceFunction, offset: u8, data: u32) {
        self.0.write(offset.into(), data);
    }
    unsafe fn unsafe_clone(&self) -> Self {
        Self(self.0)
    }
}

/// The device's part of a transaction through the window: the one access to the BAR that it stands for.
fn through(words: &[u32; 64], value: Option<u32>) -> u32 {
    let at = usize::from(WINDOW / 4);
    let (offset, width) = (words[at + 2] as usize, words[at + 3] as usize);
    assert!(words[at + 1] & 0xff == 4 && matches!(width, 1 | 2 | 4) && offset + width <= trap::LEN);
    trap::device(|bar| {
        let place = &mut bar[offset..offset + width];
        match value {
            Some(value) => {
                place.copy_from_slice(&value.to_le_bytes()[..width]);
                value
            }
            None => {
                let mut bytes = [0; 4];
                bytes[..width].copy_from_slice(place);
                u32::from_le_bytes(bytes)
            }
        }
    })
}
