//! Guest memory: a file that QEMU and we map, and the pages of it that are handed out (a place of unsafe code).
//!
//! **File Mapped**: `start..start + len` is a shared mapping of the file, readable and writable, and stays for as long as the
//! value lives. It is reached through raw pointers and atomics: QEMU writes it at will.
//! **Page Out Once**: a page that is handed out is nobody else's until it comes back.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::MmapRaw;

/// Bytes in a page.
pub const PAGE: usize = 4096;
/// What a page holds that nobody has.
const POISON: u8 = 0xdb;

/// The memory of one machine.
#[derive(Debug)]
pub struct Ram {
    map: MmapRaw,
    /// The physical address of the first byte.
    base: u64,
    /// Pages before this one are the machine's own.
    first: usize,
    pages: Vec<Use>,
    out: usize,
    /// One past the last page that was ever handed out.
    touched: usize,
    faults: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    Fresh,
    /// The first of so many.
    Out(usize),
    OutToo,
    /// Came back, and was poisoned.
    Back,
}

impl Ram {
    /// Memory of `len` bytes at physical address `base`; its file is made at `path`. Pages are handed out from `first` bytes on.
    pub(crate) fn create(path: &Path, base: u64, len: usize, first: usize) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        file.set_len(len as u64)?;
        let map = MmapRaw::map_raw(&file)?;
        let pages = vec![Use::Fresh; len / PAGE];
        Ok(Self { map, base, first: first / PAGE, pages, out: 0, touched: first / PAGE, faults: Vec::new() })
    }

    /// Where such a file is best made: in memory, if there is a place.
    pub(crate) fn folder(otherwise: &Path) -> PathBuf {
        let memory = Path::new("/dev/shm");
        let writable =
            fs::metadata(memory).is_ok_and(|found| found.is_dir() && !found.permissions().readonly());
        if writable { memory.to_owned() } else { otherwise.to_owned() }
    }

    /// Writes to the machine's own part, before it starts.
    pub(crate) fn write_start(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.first * PAGE, "more than the machine's own part");
        // SAFETY: File Mapped, and checked: the bytes lie before the first page that is handed out.
        unsafe { self.map.as_mut_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// The physical address of word `number`, of those that devices send messages to: in the machine's own part, half-way.
    pub(crate) fn word_address(&self, number: u16) -> u64 {
        self.base + self.word_at(number) as u64
    }

    fn word_at(&self, number: u16) -> usize {
        assert!(usize::from(number) < PAGE / 4, "one page of words");
        self.first / 2 * PAGE + usize::from(number) * 4
    }

    fn word(&self, number: u16) -> &AtomicU32 {
        // SAFETY: File Mapped: the word lies inside, aligned, before the pages that are handed out.
        let pointer = unsafe { self.map.as_mut_ptr().add(self.word_at(number)) };
        // SAFETY: as above; only atomic accesses are made to it, here, and QEMU writes words whole.
        unsafe { AtomicU32::from_ptr(pointer.cast()) }
    }

    /// What stands there.
    pub(crate) fn read_word(&self, number: u16) -> u32 {
        u32::from_le(self.word(number).load(Ordering::Acquire))
    }

    /// Writes there.
    pub(crate) fn write_word(&self, number: u16, value: u32) {
        self.word(number).store(value.to_le(), Ordering::Release);
    }

    fn page(&self, index: usize) -> NonNull<u8> {
        assert!(index < self.pages.len());
        // SAFETY: File Mapped: the page lies inside.
        let pointer = unsafe { self.map.as_mut_ptr().add(index * PAGE) };
        NonNull::new(pointer).expect("a mapping is not at null")
    }

    /// Takes `count` contiguous pages: their physical address, and where they are mapped.
    pub(crate) fn take(&mut self, count: usize) -> Option<(u64, NonNull<u8>)> {
        let mut start = self.first;
        while start + count <= self.pages.len() {
            let range = &self.pages[start..start + count];
            match range.iter().rposition(|page| matches!(page, Use::Out(_) | Use::OutToo)) {
                Some(taken) => start += taken + 1,
                None => {
                    self.check(start, count);
                    self.pages[start..start + count].fill(Use::OutToo);
                    self.pages[start] = Use::Out(count);
                    self.out += count;
                    self.touched = self.touched.max(start + count);
                    return Some((self.base + (start * PAGE) as u64, self.page(start)));
                }
            }
        }
        None
    }

    /// Takes pages back, which must be what `take` answered.
    pub(crate) fn give(&mut self, address: u64, count: usize) {
        let index = address.checked_sub(self.base).map_or(usize::MAX, |offset| offset as usize / PAGE);
        if self.pages.get(index) != Some(&Use::Out(count)) {
            self.faults.push(format!("{count} pages at {address:#x} came back that are not out"));
            return;
        }
        // SAFETY: File Mapped; Page Out Once: whoever had the pages has given them up.
        unsafe { self.page(index).write_bytes(POISON, count * PAGE) };
        self.pages[index..index + count].fill(Use::Back);
        self.out -= count;
    }

    /// Notes which of these pages were written after they had come back.
    fn check(&mut self, start: usize, count: usize) {
        for index in start..start + count {
            if self.pages[index] != Use::Back {
                continue;
            }
            let mut words = [0_u64; PAGE / 8];
            // SAFETY: File Mapped: the page is inside; the array is ours.
            unsafe {
                self.page(index)
                    .cast::<u64>()
                    .copy_to_nonoverlapping(NonNull::from(&mut words).cast(), PAGE / 8)
            };
            if words.iter().any(|&word| word != u64::from_ne_bytes([POISON; 8])) {
                let address = self.base + (index * PAGE) as u64;
                self.faults.push(format!("the page at {address:#x} was written after it had come back"));
                // Once is enough.
                self.pages[index] = Use::Fresh;
            }
        }
    }

    /// Pages that are out.
    pub(crate) fn out(&self) -> usize {
        self.out
    }

    /// What was found wrong since the last time: pages given back twice, or written after they had come back.
    pub(crate) fn faults(&mut self) -> Vec<String> {
        self.check(self.first, self.touched - self.first);
        std::mem::take(&mut self.faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn ram(folder: &Scratch) -> Ram {
        Ram::create(&folder.file("ram"), 0x4000_0000, 8 * PAGE, 2 * PAGE).unwrap()
    }

    #[test]
    fn pages_are_handed_out_once() {
        let folder = Scratch::new().unwrap();
        let mut ram = ram(&folder);
        let (one, _) = ram.take(2).unwrap();
        let (two, _) = ram.take(4).unwrap();
        assert_eq!((one, two, ram.out()), (0x4000_2000, 0x4000_4000, 6));
        assert_eq!(ram.take(1), None);
        ram.give(one, 2);
        assert_eq!(ram.take(1).unwrap().0, one);
        assert_eq!(ram.take(2), None);
        assert_eq!(ram.faults(), [""; 0]);
    }

    #[test]
    fn what_comes_back_wrongly_is_told() {
        let folder = Scratch::new().unwrap();
        let mut ram = ram(&folder);
        let (one, _) = ram.take(2).unwrap();
        ram.give(one, 1);
        ram.give(one + PAGE as u64, 1);
        ram.give(0, 1);
        assert_eq!(ram.faults().len(), 3);
        ram.give(one, 2);
        ram.give(one, 2);
        assert_eq!(ram.faults().len(), 1);
    }

    #[test]
    fn a_late_write_is_found() {
        let folder = Scratch::new().unwrap();
        let mut ram = ram(&folder);
        let (one, pointer) = ram.take(1).unwrap();
        ram.give(one, 1);
        assert_eq!(ram.faults(), [""; 0]);
        // SAFETY: the page is mapped; this test is the device that writes too late.
        unsafe { pointer.write(7) };
        assert_eq!(ram.faults().len(), 1);
        assert_eq!(ram.faults(), [""; 0]);
    }
}
