//! Memory that the back-end maps too, and the pages of it that are handed out (a place of unsafe code).
//!
//! **Memfd Mapped**: `map` is a shared mapping of the whole memfd, readable and writable. A [`Memory`] is leaked on purpose, so
//! it stays until the process ends. It is reached through raw pointers: the back-end writes it at will.
//! **Page Out Once**: a page that is handed out is nobody else's until it comes back.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memmap2::MmapRaw;
use rustix::fs::{MemfdFlags, memfd_create};
use virtio_core::DeviceAddr;

/// Bytes in a page.
pub const PAGE: usize = 4096;
/// What a page holds that nobody has.
const POISON: u8 = 0xdb;
/// Where the memory starts for devices: far from where any process has it, so that one address is never taken for the other.
const BASE: u64 = 0x7_0000_0000;

/// Memory that this process and a back-end share.
#[derive(Debug)]
pub struct Memory {
    file: File,
    map: MmapRaw,
    pages: Mutex<Pages>,
    born: Instant,
}

#[derive(Debug)]
struct Pages {
    uses: Vec<Use>,
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

impl Memory {
    /// Memory of `len` bytes, for good: it is not given back before the process ends, and only pages that are used take any.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(len: usize) -> io::Result<&'static Self> {
        let file = File::from(memfd_create("vhost-user", MemfdFlags::CLOEXEC)?);
        let len = len.next_multiple_of(PAGE);
        file.set_len(len as u64)?;
        let map = MmapRaw::map_raw(&file)?;
        let uses = vec![Use::Fresh; len / PAGE];
        let pages = Pages { uses, out: 0, touched: 0, faults: Vec::new() };
        Ok(Box::leak(Box::new(Self { file, map, pages: Mutex::new(pages), born: Instant::now() })))
    }

    /// Bytes.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Since it was made.
    pub(crate) fn age(&self) -> Duration {
        self.born.elapsed()
    }

    /// Where devices see its first byte.
    pub(crate) const fn base(&self) -> u64 {
        BASE
    }

    /// Where this process sees its first byte.
    pub(crate) fn start(&self) -> NonNull<u8> {
        NonNull::new(self.map.as_mut_ptr()).expect("a mapping is not at null")
    }

    /// The descriptor and the first byte, for those who share it in a way of their own.
    #[must_use]
    pub fn file(&self) -> (RawFd, NonNull<u8>) {
        (self.file.as_raw_fd(), self.start())
    }

    /// Where devices see `len` bytes at `pointer`, if they lie inside.
    #[inline]
    pub(crate) fn device_address(&self, pointer: NonNull<u8>, len: usize) -> Option<DeviceAddr> {
        let offset = pointer.addr().get().wrapping_sub(self.map.as_mut_ptr().addr());
        let room = self.map.len().checked_sub(offset)?;
        (len <= room).then(|| DeviceAddr::new(BASE + offset as u64))
    }

    /// Where this process sees what devices see at `address`, if it lies inside.
    pub(crate) fn at(&self, address: DeviceAddr) -> Option<NonNull<u8>> {
        let offset = usize::try_from(address.get().checked_sub(BASE)?).ok()?;
        // SAFETY: Memfd Mapped: the offset is inside.
        (offset < self.len()).then(|| unsafe { self.start().add(offset) })
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn page(&self, index: usize) -> NonNull<u8> {
        assert!(index < self.len() / PAGE);
        // SAFETY: Memfd Mapped: the page lies inside.
        unsafe { self.start().add(index * PAGE) }
    }

    /// Takes `count` contiguous pages: where devices see them, and where they are mapped.
    pub(crate) fn take(&self, count: usize) -> Option<(DeviceAddr, NonNull<u8>)> {
        let mut pages = self.pages();
        let mut start = 0;
        while start + count <= pages.uses.len() {
            let range = &pages.uses[start..start + count];
            if let Some(taken) = range.iter().rposition(|page| matches!(page, Use::Out(_) | Use::OutToo)) {
                start += taken + 1;
                continue;
            }
            self.check(&mut pages, start, count);
            pages.uses[start..start + count].fill(Use::OutToo);
            pages.uses[start] = Use::Out(count);
            pages.out += count;
            pages.touched = pages.touched.max(start + count);
            return Some((DeviceAddr::new(BASE + (start * PAGE) as u64), self.page(start)));
        }
        None
    }

    /// Takes pages back, which must be what `take` answered.
    pub(crate) fn give(&self, address: DeviceAddr, count: usize) {
        let mut pages = self.pages();
        let index = address.get().checked_sub(BASE).map_or(usize::MAX, |offset| offset as usize / PAGE);
        if pages.uses.get(index) != Some(&Use::Out(count)) {
            pages.faults.push(format!("{count} pages at {:#x} came back that are not out", address.get()));
            return;
        }
        // SAFETY: Memfd Mapped; Page Out Once: whoever had the pages has given them up.
        unsafe { self.page(index).write_bytes(POISON, count * PAGE) };
        pages.uses[index..index + count].fill(Use::Back);
        pages.out -= count;
    }

    /// Notes which of these pages were written after they had come back.
    fn check(&self, pages: &mut Pages, start: usize, count: usize) {
        for index in start..start + count {
            if pages.uses[index] != Use::Back {
                continue;
            }
            let mut words = [0_u64; PAGE / 8];
            // SAFETY: Memfd Mapped: the page is inside; the array is ours, and as long.
            unsafe {
                self.page(index)
                    .cast::<u64>()
                    .copy_to_nonoverlapping(NonNull::from(&mut words).cast(), PAGE / 8);
            };
            if words.iter().any(|&word| word != u64::from_ne_bytes([POISON; 8])) {
                let offset = index * PAGE;
                pages
                    .faults
                    .push(format!("the page at offset {offset:#x} was written after it had come back"));
                // Once is enough.
                pages.uses[index] = Use::Fresh;
            }
        }
    }

    /// Pages that are out.
    #[must_use]
    pub fn out(&self) -> usize {
        self.pages().out
    }

    /// What was found wrong since the last time: pages given back twice, or written after they had come back.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut pages = self.pages();
        let touched = pages.touched;
        self.check(&mut pages, 0, touched);
        std::mem::take(&mut pages.faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_handed_out_once() {
        let memory = Memory::new(6 * PAGE).unwrap();
        let (one, at) = memory.take(2).unwrap();
        let (two, _) = memory.take(4).unwrap();
        assert_eq!((one.get(), two.get(), memory.out()), (BASE, BASE + 2 * PAGE as u64, 6));
        assert!(memory.take(1).is_none());
        memory.give(one, 2);
        assert_eq!(memory.take(1), Some((one, at)));
        assert!(memory.take(2).is_none());
        assert_eq!(memory.faults(), [""; 0]);
    }

    #[test]
    fn what_comes_back_wrongly_and_what_is_written_late_is_told() {
        let memory = Memory::new(6 * PAGE).unwrap();
        let (one, at) = memory.take(2).unwrap();
        memory.give(one, 1);
        memory.give(DeviceAddr::new(0), 1);
        assert_eq!(memory.faults().len(), 2);
        memory.give(one, 2);
        assert_eq!(memory.faults(), [""; 0]);
        // SAFETY: Memfd Mapped: inside.
        let place = unsafe { at.add(PAGE + 7) };
        // SAFETY: Memfd Mapped; this is the write that must not be, and nobody else has the page.
        unsafe { place.write(0) };
        assert_eq!(memory.faults(), ["the page at offset 0x1000 was written after it had come back"]);
    }

    #[test]
    fn only_what_is_inside_has_a_device_address() {
        let memory = Memory::new(2 * PAGE).unwrap();
        let address = |offset, len| {
            let pointer = memory.start().as_ptr().wrapping_offset(offset);
            memory.device_address(NonNull::new(pointer).unwrap(), len).map(DeviceAddr::get)
        };
        assert_eq!(address(0, 2 * PAGE), Some(BASE));
        assert_eq!(address(5, 3), Some(BASE + 5));
        for (offset, len) in [(-1, 1), (1, 2 * PAGE), (2 * PAGE as isize, 1), (0, usize::MAX)] {
            assert_eq!(address(offset, len), None, "{offset} {len}");
        }
        assert_eq!(
            memory.at(DeviceAddr::new(BASE + 8)),
            NonNull::new(memory.start().as_ptr().wrapping_add(8))
        );
        assert_eq!(memory.at(DeviceAddr::new(BASE + 2 * PAGE as u64)), None);
        assert_eq!(memory.at(DeviceAddr::new(0)), None);
    }
}
