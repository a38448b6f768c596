//! Requests that are awaited: over slices of the caller's, which are copied, and over owned buffers, which are not.

use core::cell::Cell;
use core::fmt;

use virtio_core::config::Config;
use virtio_core::dma::Either;
use virtio_core::queue::{AsyncPort, Bell, Failed, InFlight, Port, Rejected, Request};
use virtio_core::{Error, Hal, Misbehaved, Misuse, QueueIndex, Transport};
use zerocopy::IntoBytes;

use crate::abi::{BlkStatus, DiscardWriteZeroes, ID_LEN, LIFETIME_LEN, RequestType};
use crate::about::{DiskId, Lifetime};
use crate::error::{BlkError, Lost, TransferError};
use crate::event::{DiskEvent, read_capacity, resized};
use crate::payload::{Buffers, Owned, Payload, returned};
use crate::ranges::{RANGES, Unmap};
use crate::rules::{RangeCommand, Rules, judge};
use crate::sector::{Sector, SectorRange};

/// Requests that one transfer has in flight at once.
const AT_ONCE: usize = 8;

/// A status before the device has written it.
const UNWRITTEN: [u8; 1] = [BlkStatus::UNWRITTEN.get()];

/// One of a disk's queues, lent to tasks that await. Made by [`Disk::awaited`](crate::Disk::awaited) and
/// [`Queue::awaited`](crate::Queue::awaited).
///
/// Tasks of one executor's thread may share it; each waits for its own request, in whatever order they end, and for its turn if
/// the queue is full. There is no time limit: drop a future when it takes too long. That cancels it: nothing more is written to its
/// slice, and owned buffers are dropped when the device is done with them. Whether what was written has reached the disk is not
/// known then.
///
/// ```
/// use virtio_blk::{BlkError, Disk, Sector};
/// use virtio_core::queue::Bell;
/// use virtio_core::{Hal, Transport};
///
/// static DISK: Bell = Bell::new(); // rung by the interrupt handler
///
/// async fn copy<T: Transport, H: Hal + Clone>(disk: &mut Disk<T, H>) -> Result<(), BlkError> {
///     let queue = disk.awaited(&DISK)?;
///     let mut block = [0; 4096];
///     queue.read(Sector(0), &mut block).await?;
///     queue.write(Sector(8), &block).await?;
///     queue.flush().await
/// }
/// ```
pub struct AsyncQueue<'d, T: Transport, H: Hal, P: Payload> {
    port: AsyncPort<'d, P::Carried, T, H>,
    config: Config<'d, T>,
    rules: Rules,
    /// What has become of the capacity in `rules`.
    capacity: Cell<u64>,
}

impl<T: Transport, H: Hal, P: Payload> fmt::Debug for AsyncQueue<'_, T, H, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.port.fmt(f)
    }
}

impl<'d, T: Transport, H: Hal, P: Payload> AsyncQueue<'d, T, H, P> {
    pub(crate) fn new(
        port: Port<'d, P::Carried, T, H>,
        bell: &'d Bell,
        config: Config<'d, T>,
        rules: Rules,
    ) -> Result<Self, BlkError> {
        let port = AsyncPort::new(port, bell).map_err(|_| BlkError::BellTaken)?;
        Ok(Self { port, config, rules, capacity: Cell::new(rules.capacity) })
    }

    fn rules(&self) -> Rules {
        Rules { capacity: self.capacity.get(), ..self.rules }
    }

    /// Which queue this is.
    #[must_use]
    pub fn index(&self) -> QueueIndex {
        self.port.index()
    }

    /// Sectors of the disk, as far as this queue knows.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.capacity.get()
    }

    /// Reads the disk's capacity again, for this queue, and says if it has changed: after an interrupt for the configuration.
    ///
    /// # Errors
    /// As for [`Disk::refresh`](crate::Disk::refresh).
    pub fn refresh(&self) -> Result<Option<DiskEvent>, BlkError> {
        let now = read_capacity(&self.config)?;
        let mut capacity = self.capacity.get();
        let event = resized(&mut capacity, now);
        self.capacity.set(capacity);
        Ok(event)
    }

    /// Leaves it to the executor when the disk hears of requests: at [`AsyncQueue::kick`], and not whenever a future is polled.
    /// Many tasks that each send one cost one notification then. As
    /// [`AsyncPort::in_batches`](virtio_core::queue::AsyncPort::in_batches), which says who has to call it.
    #[must_use]
    pub fn in_batches(mut self) -> Self {
        self.port = self.port.in_batches();
        self
    }

    /// Shows the disk what was sent, and notifies it if it wants to be. Answers whether it was. Only for a queue that works
    /// [in batches](AsyncQueue::in_batches): otherwise every poll does it.
    pub fn kick(&self) -> bool {
        self.port.kick()
    }

    /// Gives the queue up, for a reason that it does not see itself: a device that asks to be reset, or does not answer in time.
    /// Everybody who waits is woken and gets the error. Then drop it and [recover](crate::Disk::recover).
    pub fn fail(&self, why: Misbehaved) {
        self.port.fail(why);
    }

    /// Reads sectors from `sector` on into `bytes`, whose length is a multiple of 512. They come through the queue's own
    /// memory: [`room`](crate::DiskOptions::room) bytes a request, eight of them at a time.
    ///
    /// # Errors
    /// As for [`Disk::read`](crate::Disk::read), but there is no time limit.
    pub async fn read(&self, sector: Sector, bytes: &mut [u8]) -> Result<(), TransferError> {
        let rules = self.rules();
        let checked = rules.check_read(sector, bytes.len()).and_then(|()| rules.check_layout());
        checked.map_err(TransferError::at_once)?;
        let (total, mut done) = (bytes.len(), 0);
        while done < total {
            let here = sector.after(done as u64);
            let window = bytes.get_mut(done..).unwrap_or_default();
            let len = window_len(&rules, here, window.len());
            let window = window.get_mut(..len).unwrap_or_default();
            let header = |at: usize| rules.header(RequestType::IN, here.after(at as u64));
            let mut statuses = [UNWRITTEN; AT_ONCE];
            let mut ended = {
                let chunks = window.chunks_mut(rules.room);
                self.window(chunks.zip(&mut statuses), rules.room, |at, chunk, status| {
                    let header = header(at);
                    self.port.start_in_parts(reading::<P>(&header, chunk.len()), chunk, status)
                })
                .await
            };
            if ended.is_full() {
                let (first, header) = (window.get_mut(..rules.room.min(len)).unwrap_or_default(), header(0));
                let [status, ..] = &mut statuses;
                ended = Ended::one(
                    self.port.send_in_parts(reading::<P>(&header, first.len()), first, status).await,
                );
            }
            let chunks = window.chunks(rules.room).map(<[u8]>::len);
            ended.count(chunks, |len| len.saturating_add(1), &statuses, &mut done)?;
        }
        Ok(())
    }

    /// Writes `bytes`, whose length is a multiple of 512, to sectors from `sector` on, through the queue's own memory, as
    /// [`AsyncQueue::read`] does. The requests of one call are not ordered.
    ///
    /// # Errors
    /// As for [`Disk::write`](crate::Disk::write), but there is no time limit.
    pub async fn write(&self, sector: Sector, bytes: &[u8]) -> Result<(), TransferError> {
        let rules = self.rules();
        let checked = rules.check_write(sector, bytes.len()).and_then(|()| rules.check_layout());
        checked.map_err(TransferError::at_once)?;
        let mut done = 0;
        while done < bytes.len() {
            let here = sector.after(done as u64);
            let window = bytes.get(done..).unwrap_or_default();
            let len = window_len(&rules, here, window.len());
            let window = window.get(..len).unwrap_or_default();
            let header = |at: usize| rules.header(RequestType::OUT, here.after(at as u64));
            let mut statuses = [UNWRITTEN; AT_ONCE];
            let mut ended = {
                let chunks = window.chunks(rules.room);
                self.window(chunks.zip(&mut statuses), rules.room, |at, chunk, status| {
                    let header = header(at);
                    self.port.start(writing::<P>(&header, chunk), status)
                })
                .await
            };
            if ended.is_full() {
                let (first, header) = (window.get(..rules.room.min(len)).unwrap_or_default(), header(0));
                let [status, ..] = &mut statuses;
                ended = Ended::one(self.port.send(writing::<P>(&header, first), status).await);
            }
            let chunks = window.chunks(rules.room).map(<[u8]>::len);
            ended.count(chunks, |_| 1, &statuses, &mut done)?;
        }
        Ok(())
    }

    /// Starts as many requests as there are chunks, or fit, and waits for all of them.
    async fn window<'p, 'r, C>(
        &'p self,
        chunks: impl Iterator<Item = (C, &'r mut [u8; 1])>,
        room: usize,
        start: impl Fn(
            usize,
            C,
            &'r mut [u8],
        ) -> Result<InFlight<'p, 'd, 'r, P::Carried, T, H>, Rejected<P::Carried>>,
    ) -> Ended {
        let mut flights = [const { None }; AT_ONCE];
        let mut ended = Ended { started: 0, lens: [0; AT_ONCE], error: None };
        for ((chunk, status), flight) in chunks.zip(&mut flights) {
            match start(ended.started.saturating_mul(room), chunk, status) {
                Ok(started) => *flight = Some(started),
                Err(rejected) => {
                    ended.error = Some(rejected.error);
                    break;
                }
            }
            ended.started = ended.started.saturating_add(1);
        }
        for (flight, len) in flights.iter_mut().zip(&mut ended.lens) {
            let Some(flight) = flight.take() else { break };
            match flight.await {
                Ok(completion) => *len = completion.response,
                Err(failed) => {
                    ended.error = Some(failed.error);
                    break;
                }
            }
        }
        ended
    }

    /// Waits until everything whose end was seen before is on persistent storage.
    ///
    /// # Errors
    /// As for [`Disk::flush`](crate::Disk::flush).
    pub async fn flush(&self) -> Result<(), BlkError> {
        self.rules.check_flush()?;
        self.bare(RequestType::FLUSH, &[], &mut []).await
    }

    /// Tells the disk that what is in these sectors is not needed any more, in one request: no more ranges and sectors than the
    /// device takes at once ([`Limits::discard`](crate::Limits)), and no more than 16.
    ///
    /// # Errors
    /// As for [`Queue::add_discard`](crate::Queue::add_discard); [`BlkError::Status`].
    pub async fn discard(&self, ranges: &[SectorRange]) -> Result<(), BlkError> {
        self.ranges(RangeCommand::Discard, ranges).await
    }

    /// Has these sectors read as zeroes, as [`AsyncQueue::discard`] does.
    ///
    /// # Errors
    /// As for [`AsyncQueue::discard`].
    pub async fn write_zeroes(&self, ranges: &[SectorRange], unmap: Unmap) -> Result<(), BlkError> {
        self.ranges(RangeCommand::WriteZeroes(unmap), ranges).await
    }

    /// Erases these sectors for good, as [`AsyncQueue::discard`] does.
    ///
    /// # Errors
    /// As for [`AsyncQueue::discard`].
    pub async fn secure_erase(&self, ranges: &[SectorRange]) -> Result<(), BlkError> {
        self.ranges(RangeCommand::SecureErase, ranges).await
    }

    async fn ranges(&self, command: RangeCommand, ranges: &[SectorRange]) -> Result<(), BlkError> {
        let rules = self.rules();
        let mut wire = [DiscardWriteZeroes::default(); RANGES];
        let wire = rules.one_request_of(command, ranges, &mut wire)?;
        rules.check_layout()?;
        self.bare(command.kind(), wire.as_bytes(), &mut []).await
    }

    /// The disk's name.
    ///
    /// # Errors
    /// As for [`Disk::id`](crate::Disk::id).
    pub async fn id(&self) -> Result<DiskId, BlkError> {
        self.rules.check_layout()?;
        let mut id = [0; ID_LEN];
        self.bare(RequestType::GET_ID, &[], &mut id).await?;
        Ok(DiskId::new(id))
    }

    /// The wear of the disk's storage.
    ///
    /// # Errors
    /// As for [`Disk::lifetime`](crate::Disk::lifetime).
    pub async fn lifetime(&self) -> Result<Lifetime, BlkError> {
        self.rules.check_lifetime()?;
        self.rules.check_layout()?;
        let mut wear = [0; LIFETIME_LEN];
        self.bare(RequestType::GET_LIFETIME, &[], &mut wear).await?;
        Ok(Lifetime::new(wear))
    }

    /// One request whose data, and what it is told, are copied.
    async fn bare(&self, kind: RequestType, data: &[u8], told: &mut [u8]) -> Result<(), BlkError> {
        let header = self.rules.header(kind, Sector(0));
        let needed = told.len().saturating_add(1);
        let request = Request::new(P::nothing()).header(&header).data(data).response(needed);
        let mut status = UNWRITTEN;
        let done = self.port.send_in_parts(request, told, &mut status).await.map_err(Error::from)?;
        let [status] = status;
        judge(done.response == needed, status, || (done.written, needed))
    }
}

impl<T: Transport, H: Hal, B: Buffers> AsyncQueue<'_, T, H, Owned<B>> {
    /// Reads sectors from `sector` on into `buffers`, as many as they hold, in one request and without copying them.
    ///
    /// # Errors
    /// As for [`Queue::add_read`](crate::Queue::add_read), but a full queue is waited for; [`BlkError::Status`].
    pub async fn read_owned(&self, sector: Sector, buffers: B) -> Result<B, Lost<B>> {
        let (rules, data) = (self.rules(), buffers.measure());
        let checked = rules.check_read(sector, data.bytes).and_then(|()| rules.check_owned(sector, &data));
        match checked {
            Ok(()) => {
                let carried = Either::Second(buffers.to_write());
                self.owned(RequestType::IN, sector, carried, data.bytes).await
            }
            Err(error) => Err(Lost { error, buffers: Some(buffers) }),
        }
    }

    /// Writes `buffers` to sectors from `sector` on, in one request and without copying them.
    ///
    /// # Errors
    /// As for [`Queue::add_write`](crate::Queue::add_write), but a full queue is waited for; [`BlkError::Status`].
    pub async fn write_owned(&self, sector: Sector, buffers: B) -> Result<B, Lost<B>> {
        let (rules, data) = (self.rules(), buffers.measure());
        let checked = rules.check_write(sector, data.bytes).and_then(|()| rules.check_owned(sector, &data));
        match checked {
            Ok(()) => {
                let carried = Either::First(buffers.to_read());
                self.owned(RequestType::OUT, sector, carried, 0).await
            }
            Err(error) => Err(Lost { error, buffers: Some(buffers) }),
        }
    }

    async fn owned(
        &self,
        kind: RequestType,
        sector: Sector,
        carried: Either<B::Read, B::Write>,
        expected: usize,
    ) -> Result<B, Lost<B>> {
        let header = self.rules.header(kind, sector);
        let mut status = UNWRITTEN;
        let request = Request::new(Some(carried)).header(&header).response(1);
        let done = self.port.send(request, &mut status).await.map_err(|Failed { error, payload }| Lost {
            error: BlkError::Core(error),
            buffers: payload.and_then(returned::<B>),
        })?;
        let [status] = status;
        let lost = |error, buffers| Err(Lost { error, buffers });
        let judged = judge(done.response == 1, status, || (done.written, expected.saturating_add(1)));
        match (judged, returned::<B>(done.payload)) {
            (Ok(()), Some(buffers)) => Ok(buffers),
            (Ok(()), None) => lost(Error::from(Misuse::NoSuchRequest).into(), None),
            (Err(error), buffers) => lost(error, buffers),
        }
    }
}

/// What became of the requests of a window.
struct Ended {
    /// How many were started.
    started: usize,
    /// Bytes of each one's answer, as far as it had any.
    lens: [usize; AT_ONCE],
    /// Why one more was not started, or did not end.
    error: Option<Error>,
}

impl Ended {
    /// Not even the first could be started, for want of descriptors.
    fn is_full(&self) -> bool {
        self.started == 0 && self.error == Some(Error::Caller(Misuse::QueueFull))
    }

    /// One that has waited for its turn.
    fn one<P>(outcome: Result<virtio_core::queue::Completion<P>, Failed<P>>) -> Self {
        let mut ended = Self { started: 1, lens: [0; AT_ONCE], error: None };
        match outcome {
            Ok(done) => ended.lens = [done.response; AT_ONCE],
            Err(failed) => ended.error = Some(failed.error),
        }
        ended
    }

    /// Counts what was transferred, chunk by chunk, up to the first that was not. `needed` is how long an answer is for a chunk
    /// of a length.
    fn count(
        self,
        chunks: impl Iterator<Item = usize>,
        needed: impl Fn(usize) -> usize,
        statuses: &[[u8; 1]; AT_ONCE],
        done: &mut usize,
    ) -> Result<(), TransferError> {
        let failed = |error: BlkError, done: &usize| Err(TransferError { error, done: *done });
        let all = chunks.zip(self.lens).zip(statuses).take(self.started);
        for ((chunk, len), [status]) in all {
            let needed = needed(chunk);
            // It has no answer because the queue broke, or was given up.
            if let (0, Some(error)) = (len, self.error) {
                return failed(error.into(), done);
            }
            let written = u32::try_from(len).unwrap_or(u32::MAX);
            if let Err(error) = judge(len == needed, *status, || (written, needed)) {
                return failed(error, done);
            }
            *done = done.saturating_add(chunk);
        }
        match self.error {
            // Those behind are started in the next window.
            Some(Error::Caller(Misuse::QueueFull)) if self.started > 0 => Ok(()),
            Some(error) => failed(error.into(), done),
            None => Ok(()),
        }
    }
}

/// Bytes that are transferred at once, of `rest`: none across the end of a zone.
fn window_len(rules: &Rules, here: Sector, rest: usize) -> usize {
    rest.min(rules.room.saturating_mul(AT_ONCE)).min(rules.most_from(here))
}

fn reading<'a, P: Payload>(header: &'a [u8], len: usize) -> Request<'a, P::Carried> {
    Request::new(P::nothing()).header(header).response(len.saturating_add(1))
}

fn writing<'a, P: Payload>(header: &'a [u8], chunk: &'a [u8]) -> Request<'a, P::Carried> {
    Request::new(P::nothing()).header(header).data(chunk).response(1)
}
