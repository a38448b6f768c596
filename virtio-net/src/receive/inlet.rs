//! What a device's buffers make of a frame, whoever waits for them.

use virtio_core::Error;

use crate::abi::ETHERNET;
use crate::error::{NetError, Rejected};
use crate::fault::{Drops, Fault};
use crate::offload::RxOffload;
use crate::payload::Buffer;
use crate::wire::{MOST_PIECES, Wire};

/// Buffers of a frame behind its first.
const MOST_BEHIND: usize = MOST_PIECES - 1;

/// A buffer that the device has used.
#[derive(Debug)]
pub(crate) struct Used<B> {
    pub(crate) buffer: B,
    /// Bytes the device wrote, no more than there are.
    pub(crate) written: u32,
    /// Bytes it says it wrote.
    pub(crate) claimed: u32,
}

/// A receive queue.
pub(crate) trait Inbound<B> {
    /// The next buffer that was used, if there is one.
    fn next_used(&mut self) -> Result<Option<Used<B>>, Error>;

    /// Adds a buffer that the device does not see yet.
    fn add(&mut self, buffer: B) -> Result<(), (Error, B)>;

    /// Shows the device what was added. Answers whether it was notified.
    fn show(&mut self) -> bool;
}

/// A buffer with a piece of a frame: its bytes up to `end`.
#[derive(Debug)]
pub(super) struct Filled<B> {
    pub(super) buffer: B,
    pub(super) end: usize,
}

/// A frame that is in order: its first buffer. The others are with the [`Inlet`].
#[derive(Debug)]
pub(crate) struct Judged<B> {
    pub(super) first: Filled<B>,
    pub(crate) seen: Seen,
}

/// What a header says of a frame, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) offload: RxOffload,
    /// Bytes of the frame.
    pub(crate) len: usize,
    /// Whether it has buffers behind its first, be there anything in them or not.
    pub(crate) merged: bool,
}

#[cfg(feature = "smoltcp")]
impl<B: Buffer> Judged<B> {
    /// Its bytes, if it lies in one buffer.
    pub(crate) fn bytes(&self, wire: &Wire) -> Option<&[u8]> {
        let Filled { buffer, end } = &self.first;
        let bytes = buffer.as_ref().get(wire.header..*end)?;
        (!self.seen.merged).then_some(bytes)
    }
}

/// When somebody began to look for a frame: for [`Inlet::goes_on`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn(u32);

/// The driver's side of a receive queue, without the queue.
#[derive(Debug)]
pub(crate) struct Inlet<B> {
    pub(super) wire: Wire,
    /// Bytes that a buffer must have.
    pub(super) least: usize,
    /// Entries of the queue.
    size: u16,
    /// Buffers that were added and not shown.
    unshown: u16,
    /// Buffers that were looked at, ever.
    looked: u32,
    pub(super) drops: Drops,
    /// The buffers of the present frame behind its first, in order.
    pub(super) behind: [Option<Filled<B>>; MOST_BEHIND],
}

impl<B: Buffer> Inlet<B> {
    pub(crate) fn new(wire: Wire, size: u16) -> Self {
        // What an earlier user of the queue may have left is shown at the first occasion.
        let unshown = 1;
        let least = wire.least_buffer(size);
        let (looked, drops, behind) = (0, Drops::default(), [const { None }; MOST_BEHIND]);
        Self { wire, least, size, unshown, looked, drops, behind }
    }

    /// Begins to look for a frame.
    pub(crate) fn turn(&self) -> Turn {
        Turn(self.looked)
    }

    /// Whether whoever began then may look at one more: a device that fills buffers as fast as they come back to it would keep
    /// him for ever. As many buffers as the queue has are one turn, whatever lies in them; the last frame may take as many
    /// again.
    pub(crate) fn goes_on(&self, turn: Turn) -> bool {
        self.looked.wrapping_sub(turn.0) <= u32::from(self.size)
    }

    /// The next frame that is in order. Others are dropped, no more of them at a time than go into one turn.
    #[inline]
    pub(crate) fn next<Q: Inbound<B>>(&mut self, queue: &mut Q) -> Result<Option<Judged<B>>, NetError> {
        let turn = self.turn();
        while self.goes_on(turn) {
            let Some(used) = queue.next_used()? else { break };
            if let Some(judged) = self.judge(queue, used)? {
                return Ok(Some(judged));
            }
        }
        self.show(queue);
        Ok(None)
    }

    /// Makes a frame of a buffer and those that belong to it. `None` if there is something wrong with it: it was dropped then.
    ///
    /// # Errors
    /// The queue broke.
    #[inline]
    pub(super) fn judge<Q: Inbound<B>>(
        &mut self,
        queue: &mut Q,
        used: Used<B>,
    ) -> Result<Option<Judged<B>>, NetError> {
        let Used { buffer, written, claimed } = used;
        self.looked = self.looked.wrapping_add(1);
        let end = usize::try_from(written).unwrap_or(usize::MAX);
        let verdict = self.look(queue, buffer.as_ref(), end, claimed);
        match verdict {
            Ok(Ok(seen)) => Ok(Some(Judged { first: Filled { buffer, end }, seen })),
            Ok(Err(fault)) => {
                self.drops.frame(fault);
                self.give_back(queue, buffer);
                self.give_back_behind(queue);
                Ok(None)
            }
            Err(error) => {
                // Nothing can be added to a broken queue: they are counted as lost.
                self.give_back(queue, buffer);
                self.give_back_behind(queue);
                Err(error.into())
            }
        }
    }

    #[inline]
    fn look<Q: Inbound<B>>(
        &mut self,
        queue: &mut Q,
        bytes: &[u8],
        end: usize,
        claimed: u32,
    ) -> Result<Result<Seen, Fault>, Error> {
        let written = bytes.get(..end).unwrap_or(bytes);
        let Some(header) = self.wire.header_of(written) else {
            return Ok(Err(Fault::Short { written: claimed }));
        };
        let (mut whole, mut merged) = (end, false);
        if self.wire.merges() {
            match self.wire.to_number(header.num_buffers) {
                1 => {}
                stated => match self.collect(queue, stated)? {
                    Ok(more) => (whole, merged) = (whole.saturating_add(more), true),
                    Err(fault) => return Ok(Err(fault)),
                },
            }
        }
        if is_above(claimed, bytes.len()) {
            return Ok(Err(Fault::Long { claimed, room: bytes.len() }));
        }
        let len = whole.saturating_sub(self.wire.header);
        if len < ETHERNET {
            return Ok(Err(Fault::Short { written: claimed }));
        }
        Ok(RxOffload::parse(&header, &self.wire, len).map(|offload| Seen { offload, len, merged }))
    }

    /// Fetches the buffers behind the first of a frame that lies in `stated`. They were all used together
    /// (VIRTIO 1.4 §5.1.9.4.1), so what is not there will not come. Answers how many bytes are in them.
    #[cold]
    fn collect<Q: Inbound<B>>(&mut self, queue: &mut Q, stated: u16) -> Result<Result<usize, Fault>, Error> {
        if stated == 0 {
            return Ok(Err(Fault::NoBuffers));
        }
        // So many there never were: nothing says that any of those that follow belongs to it.
        if stated > self.size {
            return Ok(Err(Fault::MissingBuffers { stated, found: 1 }));
        }
        // A frame that its user has forgotten (`mem::forget`) is no part of this one.
        self.give_back_behind(queue);
        let (mut bytes, mut fault) = (0_usize, None);
        for found in 1..stated {
            let Some(Used { buffer, written, claimed }) = queue.next_used()? else {
                return Ok(Err(Fault::MissingBuffers { stated, found }));
            };
            self.looked = self.looked.wrapping_add(1);
            let room = buffer.as_ref().len();
            if is_above(claimed, room) {
                fault = Some(Fault::Long { claimed, room });
            }
            let end = usize::try_from(written).unwrap_or(usize::MAX);
            bytes = bytes.saturating_add(end);
            let at = usize::from(found).saturating_sub(1);
            match self.behind.get_mut(at) {
                Some(place) => *place = Some(Filled { buffer, end }),
                None => {
                    fault = Some(Fault::TooManyBuffers { stated });
                    self.give_back(queue, buffer);
                }
            }
        }
        Ok(fault.map_or(Ok(bytes), Err))
    }

    /// Gives the device a buffer again.
    pub(super) fn give_back<Q: Inbound<B> + ?Sized>(&mut self, queue: &mut Q, buffer: B) {
        match queue.add(buffer) {
            Ok(()) => self.added(queue),
            Err((_, _buffer)) => self.drops.buffer(),
        }
    }

    /// Gives the device again what is left of the present frame's buffers behind the first.
    pub(super) fn give_back_behind<Q: Inbound<B> + ?Sized>(&mut self, queue: &mut Q) {
        for at in 0..MOST_BEHIND {
            let Some(Filled { buffer, .. }) = self.behind.get_mut(at).and_then(Option::take) else {
                continue;
            };
            self.give_back(queue, buffer);
        }
    }

    /// Half a queue of buffers is not kept from the device, however long its user takes to look for the next frame.
    fn added<Q: Inbound<B> + ?Sized>(&mut self, queue: &mut Q) {
        self.unshown = self.unshown.saturating_add(1);
        if self.unshown > self.size.div_ceil(2) {
            self.show(queue);
        }
    }

    /// Adds an empty buffer.
    pub(super) fn post<Q: Inbound<B> + ?Sized>(
        &mut self,
        queue: &mut Q,
        buffer: B,
    ) -> Result<(), Rejected<B>> {
        let len = buffer.as_ref().len();
        if len < self.least {
            let error = NetError::BufferTooShort { len, needed: self.least };
            return Err(Rejected { error, payload: Some(buffer) });
        }
        match queue.add(buffer) {
            Ok(()) => {
                self.unshown = self.unshown.saturating_add(1);
                Ok(())
            }
            Err((error, buffer)) => Err(Rejected { error: error.into(), payload: Some(buffer) }),
        }
    }

    /// Shows the device what was added, if anything was: one store, and one notification at most.
    #[inline]
    pub(super) fn show<Q: Inbound<B> + ?Sized>(&mut self, queue: &mut Q) -> bool {
        if self.unshown == 0 {
            return false;
        }
        self.unshown = 0;
        queue.show()
    }
}

/// Whether the device says that it wrote more than there is room for.
fn is_above(claimed: u32, room: usize) -> bool {
    usize::try_from(claimed).is_ok_and(|claimed| claimed > room)
}
