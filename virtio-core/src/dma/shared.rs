//! Buffers made reachable through the Hal, and taken back (a room of unsafe code).
//!
//! **Share Paired**: each [`SharedPart`] that `share_all` hands out is ended exactly once, by `SharedPart::end`, when
//! the device no longer uses it (I-RESET).
#![expect(unsafe_code, reason = "calls Hal::share and Hal::unshare")]

use core::ptr::NonNull;

use super::lend::Stretch;
use crate::hal::{Direction, Segment};
use crate::{DeviceAddr, Error, Hal, HalError, Leaked};

/// One segment of a buffer, contiguous for the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedPart {
    /// What the Hal gave; for DMA memory, which is not shared, just its address and length.
    pub(crate) segment: Segment,
    home: Home,
    pub(crate) direction: Direction,
}

/// A segment, as it is kept: 32 bytes, of which the second half is written only where something has to be undone.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Record {
    device: u64,
    len: u32,
    direction: Direction,
    kind: Kind,
    buffer: Option<NonNull<u8>>,
    bounce: Option<NonNull<u8>>,
}

const _: () = assert!(size_of::<Record>() <= 32);

/// What there is to do for a segment in the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Kind {
    /// Nothing.
    Own,
    /// To report it, if it is lost.
    Lent,
    /// Likewise.
    Direct,
    /// To end its sharing.
    Undo,
}

impl Record {
    /// Nothing at all.
    pub(crate) const NOTHING: Self = Self {
        device: 0,
        len: 0,
        direction: Direction::ToDevice,
        kind: Kind::Own,
        buffer: None,
        bounce: None,
    };

    /// Keeps a segment.
    #[inline]
    pub(crate) fn keep(&mut self, part: &SharedPart, len: u32) {
        self.device = part.segment.device.get();
        self.len = len;
        self.direction = part.direction;
        self.kind = match part.home {
            Home::Own => Kind::Own,
            Home::Lent => Kind::Lent,
            Home::Shared(_) if part.segment.direct => Kind::Direct,
            Home::Shared(buffer) => {
                self.buffer = Some(buffer);
                self.bounce = part.segment.bounce;
                Kind::Undo
            }
        };
    }

    /// The segment that was kept.
    pub(crate) fn part(&self) -> SharedPart {
        let segment = Segment {
            device: DeviceAddr::new(self.device),
            len: usize::try_from(self.len).unwrap_or(usize::MAX),
            bounce: self.bounce.filter(|_| self.kind == Kind::Undo),
            direct: self.kind != Kind::Undo,
        };
        let home = match (self.kind, self.buffer) {
            (Kind::Own, _) => Home::Own,
            (Kind::Lent, _) => Home::Lent,
            (Kind::Undo, Some(buffer)) => Home::Shared(buffer),
            // Nothing has to be done with it; a direct one's buffer is not needed.
            (Kind::Direct | Kind::Undo, _) => Home::Shared(NonNull::dangling()),
        };
        SharedPart { segment, home, direction: self.direction }
    }
}

/// Whose memory a segment is.
#[derive(Clone, Copy, Debug)]
enum Home {
    /// The queue's or the guard's own DMA memory, which reports its leaks itself.
    Own,
    /// DMA memory that was lent: the device reaches it as it is.
    Lent,
    /// Memory shared through the Hal; its first byte, as the driver sees it.
    Shared(NonNull<u8>),
}

impl SharedPart {
    /// A stretch of the driver's own DMA memory.
    pub(crate) const fn own(device: DeviceAddr, len: usize, direction: Direction) -> Self {
        Self { segment: Segment::direct(device, len), home: Home::Own, direction }
    }

    /// Ends the sharing. `written` bytes of the segment were written by the device.
    ///
    /// # Safety
    /// The device no longer uses the segment (I-RESET), the buffer is still valid and unused, and this is the only end of
    /// this part (Share Paired).
    pub(crate) unsafe fn end<H: Hal + ?Sized>(&self, hal: &H, written: usize) {
        if let Some(buffer) = self.undone_at() {
            // SAFETY: the segment came from `share` for this buffer and direction; the caller promises the rest.
            unsafe { hal.unshare(self.segment, buffer, self.direction, written.min(self.segment.len)) };
        }
    }

    /// Whether the device reaches the memory itself, without a sharing that would have to be kept in step.
    pub(crate) fn is_direct(&self) -> bool {
        self.undone_at().is_none()
    }

    /// The buffer of a sharing that has to be ended and kept in step.
    fn undone_at(&self) -> Option<NonNull<u8>> {
        match self.home {
            Home::Shared(buffer) if !self.segment.direct => Some(buffer),
            _ => None,
        }
    }

    /// Tells the Hal that the segment is lost.
    pub(crate) fn leak<H: Hal + ?Sized>(&self, hal: &H) {
        let pages = match self.home {
            Home::Own => return,
            Home::Lent => self.segment.len.div_ceil(hal.page_size().max(1)),
            Home::Shared(_) => 0,
        };
        hal.leaked(Leaked { device: self.segment.device, pages });
    }
}

/// Shares all of the stretch if it comes out as one segment; otherwise nothing is shared.
///
/// # Safety
/// As for [`share_all`]; the segment is the caller's to end.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) unsafe fn share_whole<H: Hal + ?Sized>(
    hal: &H,
    stretch: Stretch,
    direction: Direction,
) -> Result<Option<SharedPart>, HalError> {
    let len = stretch.memory.len();
    if len == 0 {
        return Ok(None);
    }
    if let Some((device, _)) = stretch.device.filter(|(_, domain)| *domain == hal.domain()) {
        return Ok(Some(SharedPart { segment: Segment::direct(device, len), home: Home::Lent, direction }));
    }
    // SAFETY: not empty; the caller promises what `share` asks for.
    let segment = unsafe { hal.share(stretch.memory, direction) }?;
    let part = SharedPart { segment, home: Home::Shared(stretch.memory.cast()), direction };
    if segment.len != len {
        // SAFETY: shared just now, and never named to the device.
        unsafe { part.end(hal, 0) };
        return Ok(None);
    }
    Ok(Some(part))
}

/// Shares all of the stretch, giving each segment to `accept`. DMA memory is one segment and is not shared.
///
/// # Safety
/// The memory is valid as `direction` says, and used by nobody else until each segment that `accept` took is
/// ended.
///
/// # Errors
/// What the Hal or `accept` answers. A segment that `accept` refuses is ended here; those it took are the caller's to
/// end.
pub(crate) unsafe fn share_all<H: Hal + ?Sized>(
    hal: &H,
    stretch: Stretch,
    direction: Direction,
    mut accept: impl FnMut(SharedPart) -> Result<(), Error>,
) -> Result<(), Error> {
    let len = stretch.memory.len();
    if len == 0 {
        return Ok(());
    }
    // An address of another domain means nothing to this device: such memory is shared like any other.
    if let Some((device, _)) = stretch.device.filter(|(_, domain)| *domain == hal.domain()) {
        let segment = Segment::direct(device, len);
        return accept(SharedPart { segment, home: Home::Lent, direction });
    }
    let base = stretch.memory.cast::<u8>();
    let mut done = 0_usize;
    while let Some(rest) = len.checked_sub(done).filter(|rest| *rest > 0) {
        // SAFETY: `done < len`, so the pointer stays inside the buffer.
        let start = unsafe { base.add(done) };
        // SAFETY: a non-empty rest of a buffer for which the caller promises what `share` asks for.
        let segment = unsafe { hal.share(NonNull::slice_from_raw_parts(start, rest), direction) }?;
        let shared = SharedPart { segment, home: Home::Shared(start), direction };
        let sane = segment.len > 0 && segment.len <= rest;
        let taken = if sane { accept(shared) } else { Err(HalError::BrokenContract.into()) };
        if let Err(error) = taken {
            // SAFETY: shared just now and never named to the device; `accept` did not take it.
            unsafe { shared.end(hal, 0) };
            return Err(error);
        }
        done = done.saturating_add(segment.len);
    }
    Ok(())
}
