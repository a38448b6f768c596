//! A PCI function made of bytes: its configuration space and what lies in its BARs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use virtio_core::regs::{Registers, Reopen};
use virtio_core::{HalError, PhysAddr};
use virtio_pci::{ConfigAccess, FunctionAddress};

/// More accesses than any honest bring-up takes by far.
const PATIENCE: usize = 200_000;
/// Where ports are kept: far from all memory.
const PORTS: u64 = 1 << 63;

/// Bytes, one after the other; zeros behind the end.
pub struct Bytes<'i>(pub &'i [u8]);

impl Bytes<'_> {
    pub fn u8(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.u8(), self.u8()])
    }
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes([self.u8(), self.u8(), self.u8(), self.u8()])
    }
    pub fn done(&self) -> bool {
        self.0.is_empty()
    }
}

/// Which addresses a BAR may hold, and what it says about itself.
#[derive(Clone, Copy, Default)]
struct Bar {
    writable: u32,
    fixed: u32,
}

struct State {
    config: [u32; 1024],
    bars: [Bar; 6],
    /// Registers outside the BARs that keep what is written: all, or the command register alone.
    keeps: bool,
    /// Which words the driver has written.
    written: [bool; 1024],
    /// BAR memory, a byte an address; what is not here is 0.
    memory: BTreeMap<u64, u8>,
    accesses: usize,
}

impl State {
    fn count(&mut self) {
        self.accesses += 1;
        assert!(self.accesses < PATIENCE, "the driver does not stop");
    }

    /// If a word is the data of a window into the BARs that the driver has set up (VIRTIO 1.4 §4.1.4.9): the address and the
    /// width of the access that it stands for.
    fn window(&self, at: usize) -> Option<(u64, usize)> {
        let [head, bar, offset, width, _] = *self.config.get(at.checked_sub(4)?..=at)? else { return None };
        if head & 0xff00_00ff != 0x0500_0009 || !self.written[at - 1] {
            return None;
        }
        let number = usize::from(bar as u8);
        let width = width as usize;
        assert!(
            matches!(width, 1 | 2 | 4) && (offset as usize).is_multiple_of(width),
            "{width} bytes at {offset:#x}"
        );
        let decoded = self.decoded();
        let (_, range) =
            decoded.iter().find(|(index, _)| *index == number).expect("the window is onto a BAR");
        let start = range.start + u128::from(offset);
        assert!(start + width as u128 <= range.end, "{width} bytes at {offset:#x} lie outside BAR {number}");
        Some((start as u64, width))
    }

    fn load(&self, address: u64, width: usize) -> u64 {
        let byte = |at: usize| {
            let address = address.wrapping_add(at as u64);
            u64::from(self.memory.get(&address).copied().unwrap_or(0)) << (8 * at)
        };
        (0..width).map(byte).sum()
    }

    fn store(&mut self, address: u64, width: usize, value: u64) {
        for at in 0..width {
            self.memory.insert(address.wrapping_add(at as u64), (value >> (8 * at)) as u8);
        }
    }

    /// What the memory BARs decode now, by number.
    fn decoded(&self) -> Vec<(usize, Range<u128>)> {
        let mut ranges = Vec::new();
        let mut index = 0;
        while index < 6 {
            let value = self.config[4 + index];
            let bar = self.bars[index];
            let wide = bar.fixed & 7 == 4 && index < 5;
            if bar.fixed & 1 == 0 && bar.writable != 0 {
                let upper = if wide { self.config[5 + index] } else { 0 };
                let upper_bits = if wide { self.bars[index + 1].writable } else { u32::MAX };
                let base = u128::from(upper) << 32 | u128::from(value & !0xf);
                let mask = u128::from(upper_bits) << 32 | u128::from(bar.writable & !0xf);
                let size = (1 << 64) - mask;
                ranges.push((index, base..base + size));
            }
            index += if wide { 2 } else { 1 };
        }
        ranges
    }
}

/// The function, at 00:00.0. Clones are the same one.
#[derive(Clone)]
pub struct Hardware(Arc<Mutex<State>>);

impl Hardware {
    /// Takes: how it is, six BARs, the lists of capabilities, then bytes in the BARs as they come.
    pub fn new(input: &mut Bytes<'_>) -> Self {
        let how = input.u8();
        let mut config = [0_u32; 1024];
        // Modern; transitional; whatever it says.
        config[0] = match how & 3 {
            0 => u32::from(input.u8() & 31) << 16 | 0x1040_1af4,
            1 => u32::from(input.u8() & 7) << 16 | 0x1000_1af4,
            2 => 0x1050_1af4,
            _ => input.u32(),
        };
        config[1] = if how & 4 == 0 { 0x0010_0000 } else { input.u32() };
        config[2] = if how & 8 == 0 { 0x0380_0000 | u32::from(how & 3 != 1) } else { input.u32() };
        config[3] = if how & 16 == 0 { 0 } else { input.u32() };
        config[15] = 0x0100;
        let mut bars = [Bar::default(); 6];
        for (index, bar) in bars.iter_mut().enumerate() {
            let kind = input.u8();
            let size = u32::from(input.u8() & 31);
            let fixed = [0, 4, 8, 0xc, 1, 2, 6, 0][usize::from(kind & 7)];
            let low = if fixed & 1 == 1 { 2 } else { 4 };
            *bar = match kind & 0x30 {
                0 => Bar::default(),
                // As they are: a power of two.
                0x10 | 0x20 => Bar { writable: (u32::MAX << size.max(low)) & !(0xf >> (4 - low)), fixed },
                // As they must not be.
                _ => Bar { writable: input.u32(), fixed: fixed | u32::from(kind >> 6) },
            };
            if kind & 0x40 != 0 {
                // The upper half of the one before.
                *bar = Bar { writable: u32::MAX, fixed: 0 };
            }
            config[4 + index] = (input.u32() & bar.writable) | bar.fixed;
        }
        config[13] = u32::from(input.u8());
        // Lists: a word each, at a place that may be anywhere behind the header.
        for _ in 0..input.u8() {
            let place = usize::from(input.u8());
            let place = if how & 32 == 0 { 16 + place % 48 } else { 16 + place * 4 % 1008 };
            config[place] = input.u32();
            if input.done() {
                break;
            }
        }
        let mut state = State {
            config,
            bars,
            keeps: how & 64 != 0,
            written: [false; 1024],
            memory: BTreeMap::new(),
            accesses: 0,
        };
        let decoded = state.decoded();
        while !input.done() {
            let (bar, offset, value) = (usize::from(input.u8()), input.u16(), input.u8());
            // Ports are those of an I/O BAR 0.
            let ports = bar & 0x80 != 0;
            let base = if ports {
                Some(PORTS | u64::from(config[4] & !3))
            } else {
                decoded.get(bar % decoded.len().max(1)).map(|(_, range)| range.start as u64)
            };
            if let Some(base) = base {
                state.memory.insert(base.wrapping_add(offset.into()), value);
            }
        }
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether a range lies in one memory BAR as it is now.
    pub fn covers(&self, address: u64, len: u64) -> bool {
        let (start, end) = (u128::from(address), u128::from(address) + u128::from(len));
        self.state().decoded().iter().any(|(_, bar)| bar.start <= start && end <= bar.end)
    }

    /// What a mapper of BARs does: refuses nothing, and complains of what no driver may ask for.
    pub fn map(&self, address: PhysAddr, len: usize) -> Result<Window, HalError> {
        assert!(len > 0 && address.get().is_multiple_of(4), "{len} bytes at {address}");
        assert!(self.covers(address.get(), len as u64), "{len} bytes at {address} lie outside the BARs");
        Ok(Window { hardware: self.clone(), base: address.get(), len })
    }

    /// Registers that lie in no memory BAR: an I/O BAR's.
    pub fn ports(&self, port: u32, len: usize) -> Window {
        Window { hardware: self.clone(), base: PORTS | u64::from(port), len }
    }
}

impl ConfigAccess for Hardware {
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
        assert!(offset.is_multiple_of(4) && offset < 4096, "a read at {offset:#x}");
        let mut state = self.state();
        state.count();
        if function.number() != 0 {
            return u32::MAX;
        }
        let at = usize::from(offset / 4);
        state.window(at).map_or(state.config[at], |(address, width)| state.load(address, width) as u32)
    }

    fn write32(&self, function: FunctionAddress, offset: u16, value: u32) {
        assert!(offset.is_multiple_of(4) && offset < 4096, "a write at {offset:#x}");
        let mut state = self.state();
        state.count();
        if function.number() != 0 {
            return;
        }
        let at = usize::from(offset / 4);
        match at {
            1 => state.config[1] = state.config[1] & 0xffff_0000 | value & 0x0000_0407,
            4..=9 => {
                let bar = state.bars[at - 4];
                state.config[at] = value & bar.writable | bar.fixed;
            }
            _ if state.keeps => {
                state.config[at] = value;
                state.written[at] = true;
                if let Some((address, width)) = state.window(at) {
                    state.store(address, width, value.into());
                }
            }
            _ => {}
        }
    }
}

/// Registers of the function: memory, but for a status that a reset clears.
#[derive(Clone)]
pub struct Window {
    hardware: Hardware,
    base: u64,
    len: usize,
}

impl Window {
    fn read(&self, offset: usize, width: usize) -> u64 {
        assert!(
            offset.is_multiple_of(width) && offset + width <= self.len,
            "a read of {width} at {offset:#x} of {:#x}",
            self.len
        );
        let mut state = self.hardware.state();
        state.count();
        state.load(self.base.wrapping_add(offset as u64), width)
    }

    fn write(&self, offset: usize, width: usize, value: u64) {
        assert!(
            offset.is_multiple_of(width) && offset + width <= self.len,
            "a write of {width} at {offset:#x} of {:#x}",
            self.len
        );
        let mut state = self.hardware.state();
        state.count();
        state.store(self.base.wrapping_add(offset as u64), width, value);
    }
}

impl Registers for Window {
    fn len(&self) -> usize {
        self.len
    }
    fn read8(&self, offset: usize) -> u8 {
        self.read(offset, 1) as u8
    }
    fn read16(&self, offset: usize) -> u16 {
        self.read(offset, 2) as u16
    }
    fn read32(&self, offset: usize) -> u32 {
        self.read(offset, 4) as u32
    }
    fn write8(&self, offset: usize, value: u8) {
        self.write(offset, 1, value.into());
    }
    fn write16(&self, offset: usize, value: u16) {
        self.write(offset, 2, value.into());
    }
    fn write32(&self, offset: usize, value: u32) {
        self.write(offset, 4, value.into());
    }
}

impl Reopen for Window {
    fn reopen(&self) -> Result<Self, HalError> {
        Ok(self.clone())
    }
}
