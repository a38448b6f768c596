//! Requests over owned buffers: many in flight, ended in any order.

use core::fmt;

use virtio_core::config::{ByteOrder, Config};
use virtio_core::device::Ports;
use virtio_core::dma::Either;
use virtio_core::queue::{Bell, Done, Port, Rejected, Request, Token};
use virtio_core::{Hal, QueueIndex, Transport};
use zerocopy::IntoBytes;

use crate::abi::{BlkStatus, DiscardWriteZeroes, REQUESTQ, RequestType};
use crate::device::Disk;
use crate::error::{BlkError, Refused};
use crate::event::{DiskEvent, read_capacity, resized};
use crate::payload::{Buffers, Owned, Payload, returned};
use crate::ranges::{RANGES, Unmap};
use crate::rules::{RangeCommand, Rules, judge};
use crate::sector::{Sector, SectorRange};
use crate::tasks::AsyncQueue;

/// One of a disk's queues, lent by [`Disk::queue`] or [`Disk::queues`].
///
/// The example's `Vec`s need the feature `alloc`; without a heap, buffers are `&'static mut [u8]` or DMA memory.
///
/// Requests are *added*, then the device is *kicked*: a batch costs one store of an index and at most one notification.
///
/// ```
/// use virtio_blk::{BlkError, Disk, Owned, Sector};
/// use virtio_core::{Hal, Transport};
///
/// /// Reads blocks, all at once, and gives them back as they come.
/// fn read_all<T: Transport, H: Hal + Clone>(
///     disk: &mut Disk<T, H, Owned<Vec<u8>>>,
///     blocks: &[u64],
///     mut each: impl FnMut(usize, Vec<u8>),
/// ) -> Result<(), BlkError> {
///     let mut queue = disk.queue()?;
///     let mut tokens = Vec::new();
///     for block in blocks {
///         tokens.push(queue.add_read(Sector(8 * block), vec![0; 4096])?);
///     }
///     queue.kick();
///     while queue.in_flight() > 0 {
///         // … other work …
///         while let Some(answer) = queue.poll()? {
///             answer.result?;
///             let nth = tokens.iter().position(|token| *token == answer.token);
///             each(nth.unwrap(), answer.buffers.unwrap());
///         }
///     }
///     Ok(())
/// }
/// # use virtio_blk::DiskOptions;
/// # use virtio_testkit::{FakeDevice, Reply, TestHal};
/// # let hal = TestHal::new();
/// # let fake = FakeDevice::builder(virtio_core::DeviceId::BLOCK)
/// #     .config([&64_u64.to_le_bytes()[..], &[0; 88]].concat())
/// #     .queue(0, 64, |request| {
/// #         let mut answer = vec![request.readable[8]; request.writable];
/// #         *answer.last_mut().unwrap() = 0;
/// #         Reply::Write(answer)
/// #     })
/// #     .build(&hal);
/// # let mut disk = Disk::open(fake.transport(), hal.clone(), DiskOptions::new())?;
/// # let mut seen = 0;
/// # read_all(&mut disk, &[3, 1, 2], |nth, block| {
/// #     assert_eq!(block, vec![[24, 8, 16][nth]; 4096]);
/// #     seen += 1;
/// # })?;
/// # assert_eq!(seen, 3);
/// # Ok::<(), BlkError>(())
/// ```
pub struct Queue<'d, T: Transport, H: Hal, P: Payload> {
    port: Port<'d, P::Carried, T, H>,
    config: Config<'d, T>,
    rules: Rules,
}

impl<T: Transport, H: Hal, P: Payload> fmt::Debug for Queue<'_, T, H, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.port.fmt(f)
    }
}

/// A request that the device is done with.
#[derive(Debug)]
pub struct Answer<B> {
    /// Which request it was.
    pub token: Token,
    /// Its buffers, if it had any. What was read is in them if `result` is [`Ok`]; otherwise they may hold anything.
    pub buffers: Option<B>,
    /// How it ended: [`BlkError::Status`] is the device's own word, [`BlkError::Core`] means that it gave none.
    pub result: Result<(), BlkError>,
}

/// The queues of a disk, each to be taken once. Made by [`Disk::queues`].
pub struct Queues<'d, T: Transport, H: Hal, P: Payload> {
    ports: Ports<'d, T, H>,
    rules: Rules,
    next: u16,
    payload: core::marker::PhantomData<fn() -> P>,
}

impl<T: Transport, H: Hal, P: Payload> fmt::Debug for Queues<'_, T, H, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ports.fmt(f)
    }
}

impl<T: Transport, H: Hal + Clone, P: Payload> Disk<T, H, P> {
    /// Lends the first queue.
    ///
    /// # Errors
    /// [`BlkError::Core`]: the device was taken down.
    pub fn queue(&mut self) -> Result<Queue<'_, T, H, P>, BlkError> {
        let rules = self.rules;
        let mut ports = self.device.ports()?;
        let config = ports.config(ByteOrder::Native);
        Ok(Queue { port: ports.take(REQUESTQ)?, config, rules })
    }

    /// Lends all queues, one after the other: each may be driven by a CPU of its own, without a lock. They do not order each
    /// other's requests.
    ///
    /// ```
    /// use virtio_blk::{BlkError, Disk, Owned, Sector};
    /// use virtio_core::{Hal, Transport};
    ///
    /// fn on_every_cpu<T: Transport + Sync, H: Hal + Clone>(
    ///     disk: &mut Disk<T, H, Owned<Vec<u8>>>,
    /// ) -> Result<(), BlkError> {
    ///     let queues = disk.queues()?;
    ///     std::thread::scope(|cpus| {
    ///         for mut queue in queues {
    ///             cpus.spawn(move || {
    ///                 let token = queue.add_read(Sector(0), vec![0; 512]).unwrap();
    ///                 queue.kick();
    ///                 queue.wait(token).unwrap();
    ///             });
    ///         }
    ///     });
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`BlkError::Core`]: the device was taken down.
    pub fn queues(&mut self) -> Result<Queues<'_, T, H, P>, BlkError> {
        let rules = self.rules;
        Ok(Queues { ports: self.device.ports()?, rules, next: REQUESTQ, payload: core::marker::PhantomData })
    }

    /// Lends the first queue to tasks that await: [`Queue::awaited`].
    ///
    /// # Errors
    /// [`BlkError::BellTaken`]; [`BlkError::Core`]: the device was taken down.
    pub fn awaited<'d>(&'d mut self, bell: &'d Bell) -> Result<AsyncQueue<'d, T, H, P>, BlkError> {
        self.queue()?.awaited(bell)
    }
}

impl<'d, T: Transport, H: Hal, P: Payload> Iterator for Queues<'d, T, H, P> {
    type Item = Queue<'d, T, H, P>;

    fn next(&mut self) -> Option<Self::Item> {
        let config = self.ports.config(ByteOrder::Native);
        let port = self.ports.take(self.next).ok()?;
        self.next = self.next.saturating_add(1);
        Some(Queue { port, config, rules: self.rules })
    }
}

impl<'d, T: Transport, H: Hal, P: Payload> Queue<'d, T, H, P> {
    /// Which queue this is.
    #[must_use]
    pub fn index(&self) -> QueueIndex {
        self.port.index()
    }

    /// Descriptors in the queue.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.port.size()
    }

    /// Descriptors that are free. With `INDIRECT_DESC`, a request takes one.
    #[must_use]
    pub fn free(&self) -> u16 {
        self.port.free()
    }

    /// Requests that were added and have not come back.
    #[must_use]
    pub fn in_flight(&self) -> u16 {
        self.port.in_flight()
    }

    /// Sectors of the disk, as far as this queue knows.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.rules.capacity
    }

    /// Reads the disk's capacity again, for this queue, and says if it has changed: after an interrupt for the configuration,
    /// while queues are lent.
    ///
    /// # Errors
    /// As for [`Disk::refresh`].
    pub fn refresh(&mut self) -> Result<Option<DiskEvent>, BlkError> {
        let now = read_capacity(&self.config)?;
        Ok(resized(&mut self.rules.capacity, now))
    }

    /// Whether the device asks to be reset: it answers no more then, and the queue does not tell. One register read.
    #[must_use]
    pub fn needs_reset(&self) -> bool {
        self.port.needs_reset()
    }

    /// Lends the queue to tasks: its requests are awaited. The handler of its interrupt rings `bell`, after the
    /// [`Endpoint`](virtio_core::Endpoint) has acknowledged.
    ///
    /// # Errors
    /// [`BlkError::BellTaken`].
    pub fn awaited(self, bell: &'d Bell) -> Result<AsyncQueue<'d, T, H, P>, BlkError> {
        AsyncQueue::new(self.port, bell, self.config, self.rules)
    }

    /// Shows the device what was added, and notifies it if it wants to be. Answers whether it was.
    #[inline]
    pub fn kick(&mut self) -> bool {
        self.port.publish();
        self.port.kick()
    }

    /// Asks for an interrupt when the next request ends. Answers whether one has ended *already*: fetch it then, for there may
    /// be no interrupt for it.
    #[must_use = "a request that has ended already may bring no interrupt"]
    pub fn enable_interrupts(&mut self) -> bool {
        self.port.enable_interrupts()
    }

    /// Asks for an interrupt once `after` more have ended, where the device can count.
    #[must_use = "a request that has ended already may bring no interrupt"]
    pub fn enable_interrupts_after(&mut self, after: u16) -> bool {
        self.port.enable_interrupts_after(after)
    }

    /// Asks for no interrupts, which is how a queue starts. One may come all the same.
    pub fn disable_interrupts(&mut self) {
        self.port.disable_interrupts();
    }
}

impl<T: Transport, H: Hal, B: Buffers> Queue<'_, T, H, Owned<B>> {
    /// Adds a request to read sectors from `sector` on into `buffers`, as many as they hold. The device sees it with the next
    /// [`Queue::kick`].
    ///
    /// # Errors
    /// The buffers come back with [`BlkError::BadLength`], [`BlkError::BeyondCapacity`], [`BlkError::TooLong`],
    /// [`BlkError::TooManyPieces`] or [`BlkError::CrossesZones`] for what is no request, and with [`BlkError::Core`] if the queue is full
    /// ([`Misuse::QueueFull`](virtio_core::Misuse)) or broken, or if they cannot be shared.
    #[inline]
    pub fn add_read(&mut self, sector: Sector, buffers: B) -> Result<Token, Refused<B>> {
        let data = buffers.measure();
        let checked = self.rules.check_read(sector, data.bytes);
        match checked.and_then(|()| self.rules.check_owned(sector, &data)) {
            Ok(()) => self.add(RequestType::IN, sector, Either::Second(buffers.to_write())),
            Err(error) => Err(Refused { error, buffers: Some(buffers) }),
        }
    }

    /// Adds a request to write `buffers` to sectors from `sector` on.
    ///
    /// # Errors
    /// As for [`Queue::add_read`]; [`BlkError::ReadOnly`], [`BlkError::Misaligned`].
    #[inline]
    pub fn add_write(&mut self, sector: Sector, buffers: B) -> Result<Token, Refused<B>> {
        let data = buffers.measure();
        let checked = self.rules.check_write(sector, data.bytes);
        match checked.and_then(|()| self.rules.check_owned(sector, &data)) {
            Ok(()) => self.add(RequestType::OUT, sector, Either::First(buffers.to_read())),
            Err(error) => Err(Refused { error, buffers: Some(buffers) }),
        }
    }

    #[inline]
    fn add(
        &mut self,
        kind: RequestType,
        sector: Sector,
        carried: Either<B::Read, B::Write>,
    ) -> Result<Token, Refused<B>> {
        let header = self.rules.header(kind, sector);
        let request = Request::new(Some(carried)).header(&header).response(1);
        self.port.add(request).map_err(|Rejected { error, payload }| Refused {
            error: BlkError::Core(error),
            buffers: returned::<B>(payload),
        })
    }

    /// Adds a request to commit everything whose end was seen before it was added.
    ///
    /// # Errors
    /// [`BlkError::Unsupported`]; [`BlkError::Core`].
    pub fn add_flush(&mut self) -> Result<Token, BlkError> {
        self.rules.check_flush()?;
        self.add_bare(RequestType::FLUSH, &[])
    }

    /// Adds a request to discard sectors. It is not split: no more ranges and sectors than the device takes at once
    /// ([`Limits::discard`](crate::Limits)), and no more than 16.
    ///
    /// # Errors
    /// As for [`Disk::discard`]; [`BlkError::TooManyRanges`], [`BlkError::RangeTooLong`], [`BlkError::BadLength`] for no sector.
    pub fn add_discard(&mut self, ranges: &[SectorRange]) -> Result<Token, BlkError> {
        self.add_ranges(RangeCommand::Discard, ranges)
    }

    /// Adds a request to zero sectors, as [`Queue::add_discard`] does.
    ///
    /// # Errors
    /// As for [`Queue::add_discard`].
    pub fn add_write_zeroes(&mut self, ranges: &[SectorRange], unmap: Unmap) -> Result<Token, BlkError> {
        self.add_ranges(RangeCommand::WriteZeroes(unmap), ranges)
    }

    /// Adds a request to erase sectors for good, as [`Queue::add_discard`] does.
    ///
    /// # Errors
    /// As for [`Queue::add_discard`].
    pub fn add_secure_erase(&mut self, ranges: &[SectorRange]) -> Result<Token, BlkError> {
        self.add_ranges(RangeCommand::SecureErase, ranges)
    }

    fn add_ranges(&mut self, command: RangeCommand, ranges: &[SectorRange]) -> Result<Token, BlkError> {
        let mut wire = [DiscardWriteZeroes::default(); RANGES];
        let wire = self.rules.one_request_of(command, ranges, &mut wire)?;
        self.rules.check_layout()?;
        self.add_bare(command.kind(), wire.as_bytes())
    }

    /// Adds a request that carries no buffers, but perhaps data that are copied.
    fn add_bare(&mut self, kind: RequestType, data: &[u8]) -> Result<Token, BlkError> {
        let header = self.rules.header(kind, Sector(0));
        let request = Request::new(None).header(&header).data(data).response(1);
        self.port.add(request).map_err(|rejected| BlkError::Core(rejected.error))
    }

    /// The next request that has ended, oldest end first, or `None`. Does not block.
    ///
    /// # Errors
    /// [`BlkError::Core`] if the device broke the queue's rules: the queue takes and gives nothing more.
    #[inline]
    pub fn poll(&mut self) -> Result<Option<Answer<B>>, BlkError> {
        Ok(self.port.poll()?.map(answer))
    }

    /// Takes up to `budget` requests that have ended, and gives each to `each`; answers how many there were.
    ///
    /// # Errors
    /// As for [`Queue::poll`]; what was taken before was given to `each`.
    #[inline]
    pub fn drain(&mut self, budget: usize, mut each: impl FnMut(Answer<B>)) -> Result<usize, BlkError> {
        Ok(self.port.drain(budget, |done| each(answer(done)))?)
    }

    /// Waits for one request, for [`DEFAULT_TIMEOUT`](virtio_core::hal::DEFAULT_TIMEOUT) at most. Others that end meanwhile stay
    /// for [`Queue::poll`].
    ///
    /// # Errors
    /// [`BlkError::Core`]: it did not end in time, and may still; or as for [`Queue::poll`].
    pub fn wait(&mut self, token: Token) -> Result<Answer<B>, BlkError> {
        Ok(answer(self.port.wait(token, virtio_core::hal::DEFAULT_TIMEOUT)?))
    }
}

/// What became of a request. Its status counts only if the device says that it wrote so far; then it says as well that it wrote
/// all the data before it.
#[inline]
fn answer<B: Buffers, H: Hal>(mut done: Done<'_, <Owned<B> as Payload>::Carried, H>) -> Answer<B> {
    let mut status = [BlkStatus::UNWRITTEN.get()];
    let copied = done.copy_response(&mut status) == 1;
    let [status] = status;
    let (token, written) = (done.token(), done.written());
    let carried = done.take_payload().flatten();
    let read = matches!(carried, Some(Either::Second(_)));
    let buffers = returned::<B>(carried);
    let result = judge(copied, status, || {
        let expected = buffers.as_ref().filter(|_| read).map_or(0, |buffers| buffers.measure().bytes);
        (written, expected.saturating_add(1))
    });
    Answer { token, buffers, result }
}
