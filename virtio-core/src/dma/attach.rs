//! Memory that a device keeps between requests (a room of unsafe code).
//!
//! The backing of a GPU resource is named once, by a table of addresses, and read by the device whenever it likes until
//! it has confirmed the detach. So it cannot be a payload: the device's guard keeps it, and hands out a token.
//!
//! **Node Owned**: every node in the list lies in private pages of its own, which it carries; its payload is parked there
//! and its pointers were taken from there; it leaves the list exactly once, through `Attachments::release` or
//! `Attachments::release_all` (the device has let go: I-RESET) or `Attachments::leak_all` (it has not).
#![expect(unsafe_code, reason = "parks attached buffers in private pages")]

use core::alloc::Layout;
use core::any::TypeId;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use super::lend::{Exclusive, ReadBuffer, Stretch};
use super::private::Private;
use super::region::Region;
use super::shared::{SharedPart, share_all};
use super::{Detached, Stopped};
use crate::abi::mem_entry::MemEntry;
use crate::hal::Direction;
use crate::{DeviceAddr, Error, Hal, Leaked, Misuse};

/// A token for a buffer of type `B` that a device keeps reading: the lease is held by the device's guard.
///
/// Forgetting the token leaks nothing for good: the buffer is released with the device.
pub struct Attachment<B> {
    id: u64,
    /// Where its table of entries lies: what tells it from a token of another device with the same number.
    table: DeviceAddr,
    /// Invariant: the token's type is the buffer's, and no other, however alike.
    buffer: PhantomData<fn(B) -> B>,
}

impl<B> Attachment<B> {
    /// Its number on its device: from 1, never given twice. A front-end that names what it attaches by this number cannot
    /// mix up the tokens of one device, nor those of two that live at the same time in one domain. A token that has outlived
    /// its device names nothing; a later device may by chance take it for one of its own of the same type.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }
}

impl<B> fmt::Debug for Attachment<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attachment({})", self.id)
    }
}

/// Where the table of entries lies that tells the device of an attachment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries {
    pub(crate) device: DeviceAddr,
    pub(crate) bytes: usize,
    pub(crate) id: u64,
}

/// The attachments of one device.
pub(crate) struct Attachments<H: Hal> {
    first: Option<NonNull<Node<H>>>,
    next_id: u64,
}

impl<H: Hal> fmt::Debug for Attachments<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachments").field("next_id", &self.next_id).finish_non_exhaustive()
    }
}

// SAFETY: Node Owned: all nodes belong to this list, wherever it moves; buffers are `Send`, handed over by
// value, and nothing but this value refers to them.
unsafe impl<H: Hal> Send for Attachments<H> {}
// SAFETY: `&Attachments` gives out counts and addresses only.
unsafe impl<H: Hal> Sync for Attachments<H> {}

impl<H: Hal> Drop for Attachments<H> {
    /// The guard has released or leaked everything before, unless it was cut short by a panic: then it is leaked here
    /// (I-RESET).
    fn drop(&mut self) {
        self.leak_all();
    }
}

struct Node<H: Hal> {
    id: u64,
    /// Requests in flight that name the table of entries.
    /// Whether any request has named it: from then on only the device can let go of it.
    named: bool,
    next: Option<NonNull<Node<H>>>,
    buffer_type: TypeId,
    buffer: NonNull<u8>,
    /// Taken once, after parking: what was shared, what is drawn into and what is unshared are one pointer.
    stretch: Stretch,
    drop_buffer: unsafe fn(NonNull<u8>),
    /// `count` segments, and places for `room`.
    segments: NonNull<SharedPart>,
    room: usize,
    count: usize,
    table: ManuallyDrop<Region<H>>,
    pages: ManuallyDrop<Private<H>>,
    hal: H,
}

unsafe fn drop_buffer<B>(buffer: NonNull<u8>) {
    // SAFETY: only ever called once, with the parked buffer of a node whose type is B.
    unsafe { buffer.cast::<B>().drop_in_place() };
}

/// Where the parts of a node lie in its pages.
struct Places {
    total: usize,
    buffer: usize,
    segments: usize,
}

impl Places {
    fn of<H: Hal, B>(segments: usize) -> Result<Self, Misuse> {
        let array = Layout::array::<SharedPart>(segments).map_err(|_| Misuse::BadLength)?;
        let (layout, buffer) =
            Layout::new::<Node<H>>().extend(Layout::new::<B>()).map_err(|_| Misuse::BadLength)?;
        let (layout, segments) = layout.extend(array).map_err(|_| Misuse::BadLength)?;
        if layout.align() > 4096 {
            return Err(Misuse::BadLength);
        }
        Ok(Self { total: layout.size(), buffer, segments })
    }
}

/// The memory of a node that is to be made.
struct Room<H: Hal> {
    pages: Private<H>,
    table: Region<H>,
    /// Places in the pages: for the buffer, and for `most` segments.
    buffer: NonNull<u8>,
    segments: NonNull<SharedPart>,
    most: usize,
}

impl<H: Hal + Clone> Room<H> {
    /// For a buffer of type `B` and of `len` bytes.
    fn new<B>(hal: &H, len: usize) -> Result<Self, Error> {
        // The smallest page there is bounds the number of segments; one more for a buffer that starts inside a page.
        let most = len.div_ceil(4096).saturating_add(1);
        let places = Places::of::<H, B>(most)?;
        let pages = Private::new(hal.clone(), places.total)?;
        let table = Self::table(hal, most)?;
        // SAFETY: the offset lies inside the pages, which hold `places.total` bytes.
        let buffer = unsafe { pages.ptr().add(places.buffer) };
        // SAFETY: likewise.
        let segments = unsafe { pages.ptr().add(places.segments) }.cast();
        Ok(Self { pages, table, buffer, segments, most })
    }

    /// For a table of so many entries.
    fn table(hal: &H, most: usize) -> Result<Region<H>, Error> {
        let bytes = most.checked_mul(size_of::<MemEntry>()).ok_or(Misuse::BadLength)?;
        Region::new(hal.clone(), bytes, Direction::ToDevice)
    }
}

impl<H: Hal + Clone> Attachments<H> {
    pub(crate) const fn new() -> Self {
        Self { first: None, next_id: 1 }
    }

    /// Parks `buffer`, shares it and writes the table of its entries. The device is not told of anything yet.
    // The node is in its place and in the list before anything is shared: a panic of the Hal leaves what was shared to the
    // guard.
    pub(crate) fn attach<B: ReadBuffer>(&mut self, hal: &H, buffer: B) -> Result<Attachment<B>, (Error, B)> {
        let mut buffer = ManuallyDrop::new(buffer);
        // SAFETY: a live value of this function's own, which is used again only if it was not moved.
        let mut node = match unsafe { self.park::<B>(hal, NonNull::from(&mut *buffer)) } {
            Ok(node) => node,
            Err(error) => return Err((error, ManuallyDrop::into_inner(buffer))),
        };
        // SAFETY: Node Owned: live, and `&mut self` makes this the only reference.
        let linked = unsafe { node.as_mut() };
        let token = Attachment { id: linked.id, table: linked.table.device(), buffer: PhantomData };
        // SAFETY: the buffer is readable and parked: nobody uses it until the node lets go.
        if let Err(error) = unsafe { linked.share() } {
            // It is the first.
            self.pop();
            // SAFETY: just unlinked, of type B, and no device was ever told of it.
            return Err((error, unsafe { Self::take_apart(node) }));
        }
        Ok(token)
    }

    /// Moves the buffer into a new node, which is the first of the list then. Nothing is shared yet.
    ///
    /// # Safety
    /// A live value lies at `buffer`, that nobody refers to. If this is `Ok` it was moved, and is there no more.
    unsafe fn park<B: ReadBuffer>(&mut self, hal: &H, buffer: NonNull<B>) -> Result<NonNull<Node<H>>, Error> {
        // SAFETY: live; only the length is used, before the value is moved.
        let len = unsafe { B::region(buffer) }.memory.len();
        if len == 0 {
            return Err(Misuse::BadLength.into());
        }
        let room = Room::new::<B>(hal, len)?;
        // Parked first, pointers after (I-LOAN).
        let place = room.buffer.cast::<B>();
        // SAFETY: the place has room and alignment for a B (`Places`), and the value is moved there once.
        unsafe { place.copy_from_nonoverlapping(buffer, 1) };
        // SAFETY: the parked value is live and untouched until it leaves the node.
        let stretch = unsafe { B::region(place) };
        Ok(self.link::<B>(hal.clone(), room, stretch))
    }

    /// Makes a node, of which nothing is shared yet, and puts it at the head of the list.
    fn link<B: 'static>(&mut self, hal: H, room: Room<H>, stretch: Stretch) -> NonNull<Node<H>> {
        let home = room.pages.ptr().cast::<Node<H>>();
        let node = Node {
            id: self.next_id,
            named: false,
            next: self.first,
            buffer_type: TypeId::of::<B>(),
            buffer: room.buffer,
            stretch,
            drop_buffer: drop_buffer::<B>,
            segments: room.segments,
            room: room.most,
            count: 0,
            table: ManuallyDrop::new(room.table),
            pages: ManuallyDrop::new(room.pages),
            hal,
        };
        // SAFETY: the pages start with room for a node, page-aligned.
        unsafe { home.write(node) };
        self.next_id = self.next_id.wrapping_add(1);
        self.first = Some(home);
        home
    }
}

impl<H: Hal> Node<H> {
    /// Shares the buffer, keeps its segments and writes the table of entries. Once; what was shared before an error is ended
    /// with the node.
    ///
    /// # Safety
    /// The parked buffer is readable, and used by nobody until the segments are ended.
    unsafe fn share(&mut self) -> Result<(), Error> {
        let Self { hal, stretch, table, segments, room, count, .. } = self;
        let accept = |shared: SharedPart| {
            let length = u32::try_from(shared.segment.len).map_err(|_| Misuse::BufferTooLong)?;
            if *count >= *room {
                return Err(Misuse::TooManySegments.into());
            }
            let addr = shared.segment.device.get();
            write_entry(
                table,
                *count,
                MemEntry { addr: addr.into(), length: length.into(), padding: 0.into() },
            );
            // SAFETY: `count < room`, for which the pages have room.
            unsafe { store(*segments, *count, shared) };
            *count = count.saturating_add(1);
            Ok(())
        };
        // SAFETY: passed on; the first `count` segments are those that `accept` took, and end with the node.
        unsafe { share_all(hal, *stretch, Direction::ToDevice, accept) }
    }
}

/// Writes entry `index` of the table.
fn write_entry<H: Hal>(table: &Region<H>, index: usize, entry: MemEntry) {
    let Some(end) = index.checked_add(1).and_then(|n| n.checked_mul(size_of::<MemEntry>())) else { return };
    if end <= table.bytes() {
        // SAFETY: the entry lies inside the region, by the check.
        let place = unsafe { table.ptr().cast::<MemEntry>().add(index) };
        // SAFETY: as above; the device was not told of the table yet.
        unsafe { place.write(entry) };
    }
}

/// # Safety
/// `index` is below the number of segments that the node's pages have room for.
unsafe fn store(segments: NonNull<SharedPart>, index: usize, segment: SharedPart) {
    // SAFETY: the caller's promise.
    let place = unsafe { segments.add(index) };
    // SAFETY: likewise.
    unsafe { place.write(segment) };
}

/// # Safety
/// Segment `index` was stored.
unsafe fn load(segments: NonNull<SharedPart>, index: usize) -> SharedPart {
    // SAFETY: the caller's promise.
    let place = unsafe { segments.add(index) };
    // SAFETY: likewise.
    unsafe { place.read() }
}

impl<H: Hal> Attachments<H> {
    /// The node of a token, if it is of this list and of its type.
    fn find<B: 'static>(&mut self, token: &Attachment<B>) -> Result<&mut Node<H>, Misuse> {
        let node = self.find_id(token.id).ok_or(Misuse::NoSuchAttachment)?;
        let mine = node.table.device() == token.table && node.buffer_type == TypeId::of::<B>();
        if mine { Ok(node) } else { Err(Misuse::NoSuchAttachment) }
    }

    fn find_id(&mut self, id: u64) -> Option<&mut Node<H>> {
        let mut at = self.first;
        while let Some(mut node) = at {
            // SAFETY: Node Owned: every node in the list is live, and `&mut self` makes this the only reference.
            let node = unsafe { node.as_mut() };
            if node.id == id {
                return Some(node);
            }
            at = node.next;
        }
        None
    }

    /// The table of entries, for a request that names it.
    pub(crate) fn entries<B: 'static>(&mut self, token: &Attachment<B>) -> Result<Entries, Misuse> {
        let node = self.find(token)?;
        let bytes = node.count.saturating_mul(size_of::<MemEntry>());
        Ok(Entries { device: node.table.device(), bytes, id: node.id })
    }

    /// How many entries the table has.
    pub(crate) fn count<B: 'static>(&mut self, token: &Attachment<B>) -> Result<usize, Misuse> {
        Ok(self.find(token)?.count)
    }

    /// The number of the attachment, if the token is of this device.
    pub(crate) fn id<B: 'static>(&mut self, token: &Attachment<B>) -> Result<u64, Misuse> {
        Ok(self.find(token)?.id)
    }

    /// How many bytes the buffer has.
    pub(crate) fn len<B: 'static>(&mut self, token: &Attachment<B>) -> Result<usize, Misuse> {
        Ok(self.find(token)?.stretch.memory.len())
    }

    /// A request names the table from now on. Which requests still do is for the queues to say.
    pub(crate) fn name(&mut self, id: u64) {
        if let Some(node) = self.find_id(id) {
            node.named = true;
        }
    }

    /// The bytes of the buffer. The device only reads them.
    pub(crate) fn bytes<B: Exclusive>(&mut self, token: &Attachment<B>) -> Result<&mut [u8], Misuse> {
        let node = self.find(token)?;
        let Stretch { mut memory, .. } = node.stretch;
        // SAFETY: Node Owned: the buffer is parked, its owner may write it (`Exclusive`), the device only reads it, and the
        // borrow of `self` makes this the only reference.
        Ok(unsafe { memory.as_mut() })
    }

    /// Shows the device `len` bytes from `start` that were drawn since: the Hal may have to copy or clean caches.
    pub(crate) fn sync<B: 'static>(
        &mut self,
        token: &Attachment<B>,
        start: usize,
        len: usize,
    ) -> Result<(), Misuse> {
        let node = self.find(token)?;
        let Stretch { memory, .. } = node.stretch;
        let end = start.checked_add(len).filter(|end| *end <= memory.len()).ok_or(Misuse::BadLength)?;
        let mut base = 0_usize;
        for index in 0..node.count {
            // SAFETY: all `count` segments were stored.
            let shared = unsafe { load(node.segments, index) };
            let next = base.saturating_add(shared.segment.len);
            let (from, to) = (start.max(base), end.min(next));
            let overlap = to.checked_sub(from).filter(|overlap| *overlap > 0 && !shared.is_direct());
            if let Some(overlap) = overlap {
                // SAFETY: segments cover the buffer in order, so `base` lies inside it.
                let buffer = unsafe { memory.cast::<u8>().add(base) };
                let offset = from.saturating_sub(base);
                // SAFETY: still shared, and the overlap lies within the segment.
                unsafe { node.hal.sync_to_device(&shared.segment, buffer, offset, overlap) };
            }
            base = next;
        }
        Ok(())
    }

    /// Lets go of one attachment, which the device has answered to detach and no request in flight names, and hands its buffer
    /// back.
    ///
    /// # Errors
    /// [`Misuse::NoSuchAttachment`]. The token comes back.
    pub(crate) fn release<B: 'static>(
        &mut self,
        token: Attachment<B>,
        _proof: &Detached,
    ) -> Result<B, (Misuse, Attachment<B>)> {
        if let Err(error) = self.id(&token) {
            return Err((error, token));
        }
        // SAFETY: the proof says that the device has let go.
        unsafe { self.hand_back(token) }
    }

    /// Hands the buffer of an attachment back that no request has named: the device knows nothing of it.
    ///
    /// # Errors
    /// [`Misuse::NoSuchAttachment`], also once a request has named it; the token comes back.
    pub(crate) fn withdraw<B: 'static>(
        &mut self,
        token: Attachment<B>,
    ) -> Result<B, (Misuse, Attachment<B>)> {
        match self.find(&token) {
            Ok(node) if !node.named => {}
            _ => return Err((Misuse::NoSuchAttachment, token)),
        }
        // SAFETY: the device was never told of the buffer.
        unsafe { self.hand_back(token) }
    }

    /// Unlinks a node and takes it apart.
    ///
    /// # Safety
    /// The token was found to be of this list and of its type, and no device uses the buffer.
    unsafe fn hand_back<B: 'static>(&mut self, token: Attachment<B>) -> Result<B, (Misuse, Attachment<B>)> {
        let Some(node) = self.unlink(token.id) else { return Err((Misuse::NoSuchAttachment, token)) };
        // SAFETY: just unlinked, and the caller promises the rest.
        Ok(unsafe { Self::take_apart(node) })
    }

    /// Frees a node, all but its buffer, which is the answer.
    ///
    /// # Safety
    /// The node was unlinked, its buffer is of type `B`, and no device uses it.
    unsafe fn take_apart<B>(node: NonNull<Node<H>>) -> B {
        // SAFETY: the caller's promise.
        let parts = unsafe { Self::dissolve(node) };
        // SAFETY: the parked buffer is of type B, is moved out once, and its pages live until `parts` drops.
        let buffer = unsafe { parts.buffer.cast::<B>().read() };
        drop(parts);
        buffer
    }

    /// Lets go of everything: the device was reset.
    pub(crate) fn release_all(&mut self, _proof: &Stopped) {
        while let Some(node) = self.pop() {
            // SAFETY: just unlinked; the proof says that the device was reset.
            let parts = unsafe { Self::dissolve(node) };
            // SAFETY: the function is the one of the parked buffer's type, called once, before the pages go.
            unsafe { (parts.drop_buffer)(parts.buffer) };
        }
    }

    /// Gives everything up: the device may still use it.
    pub(crate) fn leak_all(&mut self) {
        while let Some(node) = self.pop() {
            // SAFETY: Node Owned: live, and just unlinked. Nothing of it is dropped; it stays where it is for good.
            let node = unsafe { node.as_ref() };
            node.hal.leaked(Leaked { device: node.table.device(), pages: node.table.pages().get() });
            node.pages.report_leak();
            for index in 0..node.count {
                // SAFETY: all `count` segments were stored.
                unsafe { load(node.segments, index) }.leak(&node.hal);
            }
        }
    }

    fn pop(&mut self) -> Option<NonNull<Node<H>>> {
        let first = self.first?;
        // SAFETY: Node Owned.
        self.first = unsafe { first.as_ref() }.next;
        Some(first)
    }

    fn unlink(&mut self, id: u64) -> Option<NonNull<Node<H>>> {
        let mut before: Option<NonNull<Node<H>>> = None;
        let mut at = self.first;
        while let Some(pointer) = at {
            // SAFETY: Node Owned.
            let node = unsafe { pointer.as_ref() };
            let (found, next) = (node.id == id, node.next);
            if found {
                match before {
                    // SAFETY: Node Owned; `&mut self` makes this the only reference.
                    Some(mut before) => unsafe { before.as_mut() }.next = next,
                    None => self.first = next,
                }
                return Some(pointer);
            }
            before = at;
            at = next;
        }
        None
    }

    /// Ends the sharing of a node's buffer, frees its table and takes its pages.
    ///
    /// # Safety
    /// The node was unlinked and the device no longer uses the buffer.
    unsafe fn dissolve(node: NonNull<Node<H>>) -> Remains<H> {
        // SAFETY: Node Owned: live, moved out of its pages once; the pages go into the answer.
        let node = unsafe { node.read() };
        for index in 0..node.count {
            // SAFETY: all `count` segments were stored.
            let shared = unsafe { load(node.segments, index) };
            // SAFETY: the device has let go, the buffer is still parked, and each segment is ended once.
            unsafe { shared.end(&node.hal, 0) };
        }
        drop(ManuallyDrop::into_inner(node.table));
        Remains {
            buffer: node.buffer,
            drop_buffer: node.drop_buffer,
            _pages: ManuallyDrop::into_inner(node.pages),
        }
    }
}

/// What is left of a node: the parked buffer, and the pages it is parked in.
struct Remains<H: Hal> {
    buffer: NonNull<u8>,
    drop_buffer: unsafe fn(NonNull<u8>),
    _pages: Private<H>,
}
