//! Requests over addresses, for kernels that manage their own memory (a room of unsafe code).
#![expect(unsafe_code, reason = "names memory by its address; declares a payload without buffers")]

use core::ptr::NonNull;

use super::add::Typed;
use super::build::{MOST_BYTES, plan};
use super::cold::ColdBox;
use super::format::{Counts, Entry, Format, INDIRECT, NEXT, WRITE};
use super::port::Port;
use super::virtqueue::{Queue, Token};
use super::request::Rejected;
use super::ring::on;
use super::slots::{Head, Slots, State};
use crate::dma::{Lend, Stretch};
use crate::transport::Transport;
use crate::{DeviceAddr, Error, Hal, Misuse};

/// A buffer by its address, as the device sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RawBuffer {
    /// Where it starts.
    pub device: DeviceAddr,
    /// Its length in bytes; not 0.
    pub len: u32,
}

/// A payload without buffers: a number of the caller's own, that comes back with the completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cookie(pub u64);

// SAFETY: no buffers at all.
unsafe impl Lend for Cookie {
    fn readable(&self) -> usize {
        0
    }
    fn writable(&self) -> usize {
        0
    }
    unsafe fn readable_at(_this: NonNull<Self>, _index: usize) -> Option<Stretch> {
        None
    }
    unsafe fn writable_at(_this: NonNull<Self>, _index: usize) -> Option<Stretch> {
        None
    }
}

impl<P: 'static, H: Hal> Typed<'_, P, H> {
    /// Adds a request over addresses; the payload is kept, its own buffers are not used.
    ///
    /// # Safety
    /// The device may read the readable buffers and write the writable ones until the request is used, or the device or
    /// queue was reset, and nobody else accesses them in a way that conflicts.
    #[inline]
    pub(super) unsafe fn add_raw(
        &mut self,
        readable: &[RawBuffer],
        writable: &[RawBuffer],
        payload: P,
    ) -> Result<Token, (Error, P)> {
        let Queue { ring, slots, counts, cold, open, .. } = &mut *self.queue;
        if !*open || slots.free_count == 0 {
            return Err((self.queue.no_room(), payload));
        }
        let order = counts.added;
        let slot = slots.free_first;
        let written = on!(ring, ring => write(ring, slots, cold, readable, writable, counts));
        match written {
            Ok(()) => {
                // SAFETY: Typed Once; the descriptor headed no request, and so nothing was parked there.
                let _parked = unsafe { slots.park(slot, payload) };
                Ok(self.queue.token(slot, order))
            }
            Err(error) => Err((error.into(), payload)),
        }
    }
}

/// Writes the descriptors of one request, if there is room for all of them.
#[inline]
fn write<R: Format, H: Hal>(
    ring: &mut R,
    slots: &mut Slots,
    cold: &mut ColdBox<H>,
    readable: &[RawBuffer],
    writable: &[RawBuffer],
    counts: &mut Counts,
) -> Result<(), Misuse> {
    let total = readable.len().saturating_add(writable.len());
    if total == 0 {
        return Err(Misuse::EmptyRequest);
    }
    if total > slots.size().as_usize() {
        return Err(Misuse::TooManySegments);
    }
    let direct = usize::from(plan::<R>(total, slots.table_room(), slots.free_count)).min(total);
    let in_table = total.saturating_sub(direct);
    let needed = direct.saturating_add(usize::from(in_table > 0));
    let needed = u32::try_from(needed).unwrap_or(u32::MAX);
    if needed > slots.free_count {
        return Err(Misuse::QueueFull);
    }
    let id = slots.free_first;
    let (mut cursor, mut last) = (id, id);
    let (mut index, mut bytes) = (0_usize, 0_u64);
    let mut each = |buffers: &[RawBuffer], flags: u16| {
        for buffer in buffers {
            let at = index;
            index = index.saturating_add(1);
            bytes = bytes.saturating_add(u64::from(buffer.len));
            let flags = if index < total { flags | NEXT } else { flags };
            let entry = Entry { addr: buffer.device.get(), len: buffer.len, flags };
            if at < direct {
                let next = slots.link(cursor);
                ring.put(id, cursor, next, at == 0, entry);
                last = cursor;
                cursor = next;
            } else if let Ok(at) = u16::try_from(at.saturating_sub(direct)) {
                cold.area.put_entry(id, at, ring.table_entry(entry, at.saturating_add(1)));
            }
        }
        bytes
    };
    let readable = each(readable, 0);
    let bytes = each(writable, WRITE);
    if bytes > MOST_BYTES {
        ring.rewind();
        return Err(Misuse::BufferTooLong);
    }
    if in_table > 0 {
        let (device, len) = cold.area.table(id, u16::try_from(in_table).unwrap_or(u16::MAX));
        let next = slots.link(cursor);
        ring.put(id, cursor, next, direct == 0, Entry { addr: device.get(), len, flags: INDIRECT });
        last = cursor;
        cursor = next;
    }
    slots.free_first = cursor;
    slots.free_count = slots.free_count.saturating_sub(needed);
    *slots.head_mut(id) = Head {
        order: counts.added,
        payload_room: u32::try_from(bytes.saturating_sub(readable)).unwrap_or(u32::MAX),
        taken: u16::try_from(needed).unwrap_or(u16::MAX),
        last,
        state: State::InFlight,
        ..Head::FREE
    };
    ring.commit(id, counts);
    counts.added = counts.added.wrapping_add(1);
    Ok(())
}

impl<P: Lend, T: Transport + ?Sized, H: Hal> Port<'_, P, T, H> {
    /// Adds a request over addresses: `readable` for the device to read, then `writable` for it to write. Nothing is shared
    /// through the Hal, nothing is copied, and the payload's own buffers are not used: it is kept and comes back with the
    /// completion. The device does not see the request before [`Port::publish`].
    ///
    /// # Errors
    /// As for [`Port::add`].
    ///
    /// # Safety
    /// From now on until the request is used, or the device (or this queue of it) was reset:
    /// * the device may read the readable buffers and write the writable ones, at the addresses given;
    /// * nobody accesses them in a way that conflicts with that.
    #[inline]
    pub unsafe fn add_raw(
        &mut self,
        readable: &[RawBuffer],
        writable: &[RawBuffer],
        payload: P,
    ) -> Result<Token, Rejected<P>> {
        // SAFETY: the caller's promise.
        unsafe { self.typed.add_raw(readable, writable, payload) }
            .map_err(|(error, payload)| Rejected { error, payload })
    }
}
