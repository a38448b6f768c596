//! What the driver believes about its requests, in private memory (a room of unsafe code).
//!
//! **Shadow Agrees**: for every descriptor there is a private record of what was written to the shared table, and for
//! every head a record of its request. Chains are walked here, never in shared memory (I-SHADOW).
//!
//! **Slots In Place**: the private pages hold `size` records of each kind and `size` payload places of `kind`'s layout,
//! at the offsets computed in `new`; all are initialised for as long as the value lives.
//!
//! **Parked Once**: `parked[i]` is set exactly while payload place `i` holds a live value of `kind`'s type.
#![expect(unsafe_code, reason = "keeps payloads in private pages")]

use core::alloc::Layout;
use core::any::TypeId;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::dma::{Lend, Private, SharedPart, Stretch};
use crate::hal::Direction;
use crate::{DeviceAddr, Error, Hal, Misuse, QueueSize};

/// The type of a queue's payloads, as data.
#[derive(Clone, Copy)]
pub struct PayloadKind {
    layout: Layout,
    id: fn() -> TypeId,
    drop: unsafe fn(NonNull<u8>),
    name: fn() -> &'static str,
}

impl PayloadKind {
    /// Describes `P`.
    #[must_use]
    pub const fn of<P: Lend>() -> Self {
        Self {
            layout: Layout::new::<P>(),
            id: TypeId::of::<P>,
            drop: drop_payload::<P>,
            name: core::any::type_name::<P>,
        }
    }

    fn is<P: 'static>(&self) -> bool {
        (self.id)() == TypeId::of::<P>()
    }
}

impl fmt::Debug for PayloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PayloadKind({})", (self.name)())
    }
}

unsafe fn drop_payload<P>(place: NonNull<u8>) {
    // SAFETY: called once, with a place that holds a live P (Parked Once).
    unsafe { place.cast::<P>().drop_in_place() };
}

/// What the driver knows of one descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct DescriptorShadow {
    pub(super) shared: SharedPart,
    /// The next one of its chain, or of the free list.
    pub(super) next: u16,
}

/// The proof that a payload of type `P` was parked at an index, and not taken since.
#[derive(Debug)]
#[must_use]
pub(super) struct Parked<P> {
    index: u16,
    payload: PhantomData<P>,
}

/// Where a request stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// No request has this head.
    Free,
    /// Its segments are being collected; the device knows nothing of it.
    Building,
    /// The device may use its memory.
    InFlight,
    /// The device has used it; nobody has asked for it yet.
    Used,
    /// Handed out as a completion.
    Taken,
}

/// What the driver knows of the request that a descriptor heads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) state: State,
    /// Tells this request from earlier ones with the same head.
    pub(super) serial: u32,
    /// Last descriptor of the chain, and how many there are.
    pub(super) last: u16,
    pub(super) count: u16,
    /// Bytes that the device may write: of the payload, and of the response area.
    pub(super) payload_room: u32,
    pub(super) response_room: u32,
    /// What the device says it wrote.
    pub(super) claimed: u32,
    /// The attachment whose entries the request names, or 0.
    pub(super) entries: u64,
    /// The next request in the list of used ones.
    pub(super) next_used: u16,
    /// How many requests were added to the queue before it.
    pub(super) order: u64,
}

impl Head {
    pub(super) const FREE: Self = Self {
        state: State::Free,
        serial: 0,
        last: 0,
        count: 0,
        payload_room: 0,
        response_room: 0,
        claimed: 0,
        entries: 0,
        next_used: 0,
        order: 0,
    };
}

/// The private records of one queue.
pub(super) struct Slots<H: Hal> {
    descriptors: NonNull<DescriptorShadow>,
    heads: NonNull<Head>,
    parked: NonNull<bool>,
    payloads: NonNull<u8>,
    stride: usize,
    pub(super) size: QueueSize,
    kind: PayloadKind,
    pub(super) free_first: u16,
    pub(super) free_count: u16,
    /// Owns the memory that the pointers lead into.
    pages: Private<H>,
}

// SAFETY: the records lie in pages that this value owns; payloads are `Send` (`Lend`) and handed over by value.
unsafe impl<H: Hal> Send for Slots<H> {}
// SAFETY: `&Slots` gives out copies of plain records only.
unsafe impl<H: Hal> Sync for Slots<H> {}

impl<H: Hal> fmt::Debug for Slots<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slots({} of {:?})", self.size.get(), self.kind)
    }
}

impl<H: Hal> Slots<H> {
    /// Allocates records for `size` descriptors, all free and linked in order.
    pub(super) fn new(hal: H, size: QueueSize, kind: PayloadKind) -> Result<Self, Error> {
        let n = size.as_usize();
        let array = |layout: Result<Layout, _>| layout.map_err(|_| Misuse::BadLength);
        let stride = kind.layout.pad_to_align().size();
        let payloads = Layout::from_size_align(stride.saturating_mul(n), kind.layout.align());
        let layout = array(Layout::array::<DescriptorShadow>(n))?;
        let (layout, heads) =
            layout.extend(array(Layout::array::<Head>(n))?).map_err(|_| Misuse::BadLength)?;
        let (layout, parked) =
            layout.extend(array(Layout::array::<bool>(n))?).map_err(|_| Misuse::BadLength)?;
        let (layout, payloads) = layout.extend(array(payloads)?).map_err(|_| Misuse::BadLength)?;
        if layout.align() > 4096 {
            return Err(Misuse::BadLength.into());
        }
        let pages = Private::new(hal, layout.size())?;
        let base = pages.ptr();
        let mut slots = Self {
            descriptors: base.cast(),
            // SAFETY: the layout has this offset inside the pages.
            heads: unsafe { base.add(heads) }.cast(),
            // SAFETY: likewise.
            parked: unsafe { base.add(parked) }.cast(),
            // SAFETY: likewise.
            payloads: unsafe { base.add(payloads) },
            stride,
            size,
            kind,
            free_first: 0,
            free_count: size.get(),
            pages,
        };
        let nothing = SharedPart::own(DeviceAddr::new(0), 0, Direction::ToDevice);
        for index in 0..size.get() {
            let at = usize::from(index);
            // SAFETY: `at < n`, the array's length.
            let descriptor = unsafe { slots.descriptors.add(at) };
            // SAFETY: in bounds; initialises the record.
            unsafe { descriptor.write(DescriptorShadow { shared: nothing, next: index.wrapping_add(1) }) };
            // SAFETY: `at < n`, the array's length.
            let head = unsafe { slots.heads.add(at) };
            // SAFETY: in bounds; initialises the record.
            unsafe { head.write(Head::FREE) };
        }
        // Zeroed pages hold `false` for every `parked` already; this says so without relying on it.
        slots.parked_mut().fill(false);
        Ok(slots)
    }

    /// Says that the memory will never be freed; parked payloads are not dropped.
    pub(super) fn report_leak(&self) {
        self.pages.report_leak();
    }

    pub(super) fn kind_is<P: 'static>(&self) -> bool {
        self.kind.is::<P>()
    }

    pub(super) fn descriptor(&self, index: u16) -> Option<&DescriptorShadow> {
        let all = NonNull::slice_from_raw_parts(self.descriptors, self.size.as_usize());
        // SAFETY: Slots In Place, borrowed with `self`.
        unsafe { all.as_ref() }.get(usize::from(index))
    }

    pub(super) fn descriptor_mut(&mut self, index: u16) -> Option<&mut DescriptorShadow> {
        let mut all = NonNull::slice_from_raw_parts(self.descriptors, self.size.as_usize());
        // SAFETY: Slots In Place, borrowed with `self`.
        unsafe { all.as_mut() }.get_mut(usize::from(index))
    }

    pub(super) fn head(&self, index: u16) -> Option<&Head> {
        let all = NonNull::slice_from_raw_parts(self.heads, self.size.as_usize());
        // SAFETY: Slots In Place, borrowed with `self`.
        unsafe { all.as_ref() }.get(usize::from(index))
    }

    pub(super) fn head_mut(&mut self, index: u16) -> Option<&mut Head> {
        let mut all = NonNull::slice_from_raw_parts(self.heads, self.size.as_usize());
        // SAFETY: Slots In Place, borrowed with `self`.
        unsafe { all.as_mut() }.get_mut(usize::from(index))
    }

    fn parked_mut(&mut self) -> &mut [bool] {
        let mut all = NonNull::slice_from_raw_parts(self.parked, self.size.as_usize());
        // SAFETY: Slots In Place, borrowed with `self`; zeroed pages and the writes here hold valid bools.
        unsafe { all.as_mut() }
    }

    fn place(&self, index: u16) -> NonNull<u8> {
        let offset = usize::from(self.size.slot(index)).saturating_mul(self.stride);
        // SAFETY: Slots In Place; the index is reduced.
        unsafe { self.payloads.add(offset) }
    }

    /// Parks a payload in place `index`; answers it back if the place is taken or the type is another.
    pub(super) fn park<P: 'static>(&mut self, index: u16, payload: P) -> Result<Parked<P>, P> {
        if !self.kind.is::<P>() {
            return Err(payload);
        }
        match self.parked_mut().get_mut(usize::from(index)) {
            Some(parked) if !*parked => *parked = true,
            _ => return Err(payload),
        }
        // SAFETY: Slots In Place and the type check: room and alignment for a P; Parked Once: no live value is there.
        unsafe { self.place(index).cast::<P>().write(payload) };
        Ok(Parked { index, payload: PhantomData })
    }

    /// Takes back what `parked` is the proof of. Only on the queue that made the proof, and before the device was told.
    pub(super) fn take_back<P: 'static>(&mut self, parked: Parked<P>) -> P {
        if let Some(flag) = self.parked_mut().get_mut(usize::from(parked.index)) {
            *flag = false;
        }
        // SAFETY: Parked Once: the proof says that a live P is there; proofs are neither copied nor kept past the
        // request's commit, so it has not been taken since.
        unsafe { self.place(parked.index).cast::<P>().read() }
    }

    /// Takes the payload out of place `index`, if one of this type is there.
    ///
    /// # Safety
    /// The device no longer uses its memory (I-RESET), and no sharing of it is open.
    pub(super) unsafe fn unpark<P: 'static>(&mut self, index: u16) -> Option<P> {
        if !self.kind.is::<P>() {
            return None;
        }
        let parked = self.parked_mut().get_mut(usize::from(index))?;
        if !core::mem::replace(parked, false) {
            return None;
        }
        // SAFETY: Parked Once: a live P was there, and the flag has just been cleared.
        Some(unsafe { self.place(index).cast::<P>().read() })
    }

    /// Drops the payload in place `index`, if there is one.
    ///
    /// # Safety
    /// As for [`Slots::unpark`].
    pub(super) unsafe fn drop_parked(&mut self, index: u16) {
        let place = self.place(index);
        if let Some(parked) = self.parked_mut().get_mut(usize::from(index)) {
            if core::mem::replace(parked, false) {
                // SAFETY: Parked Once, and `kind` describes the type of every payload here.
                unsafe { (self.kind.drop)(place) };
            }
        }
    }

    /// Buffer `at` of the payload in place `index`, of those that go in `direction`. Taken after parking, once (I-LOAN).
    pub(super) fn stretch<P: Lend>(
        &mut self,
        index: u16,
        direction: Direction,
        at: usize,
    ) -> Option<Stretch> {
        let parked = self.parked_mut().get(usize::from(index)).copied().unwrap_or(false);
        if !parked || !self.kind.is::<P>() {
            return None;
        }
        let place = self.place(index).cast::<P>();
        // Parked Once: a live P is there, nobody refers to it, and it is neither moved nor touched until it is unparked,
        // which needs the device to be done.
        if direction.device_writes() {
            // SAFETY: as above.
            unsafe { P::writable_at(place, at) }
        } else {
            // SAFETY: as above.
            unsafe { P::readable_at(place, at) }
        }
    }
}
