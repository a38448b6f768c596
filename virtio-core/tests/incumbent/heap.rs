//! Counts heap allocations of requests, on a Hal and a transport that make none themselves.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, RefCell};
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use core::time::Duration;
use std::alloc::System;

use virtio_core::device::{Device, Init, Wanted};
use virtio_core::dma::{Lend, Readable, Writable};
use virtio_core::queue::{Cookie, QueueSpec, RawBuffer, Request};
use virtio_core::regs::NativeRegs;
use virtio_core::transport::{
    Doorbell, DoorbellWidth, InterruptStatus, QueueReset, Rings, Transport, TransportInfo,
};
use virtio_core::{
    DeviceAddr, DeviceId, Direction, Dma, DmaMemory, Error, Features, Hal, HalError, MmioKind, PhysAddr,
    QueueIndex, Segment, Status,
};
use virtio_testkit::{DeviceQueue, GuestMemory};

const LIMIT: Duration = Duration::from_secs(10);

thread_local! {
    /// Allocations of this thread, while they count.
    static COUNT: Cell<Option<u64>> = const { Cell::new(None) };
    /// The device.
    static QUEUE: RefCell<Option<DeviceQueue>> = const { RefCell::new(None) };
}

struct Counting;

// SAFETY: the system's allocator does all of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get().map(|count| count + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `f` makes.
fn count<V>(f: impl FnOnce() -> V) -> (u64, V) {
    COUNT.set(Some(0));
    let value = f();
    (COUNT.take().unwrap(), value)
}

/// What the device does is not counted.
fn uncounted<V>(f: impl FnOnce() -> V) -> V {
    let before = COUNT.take();
    let value = f();
    COUNT.set(before);
    value
}

/// A Hal on which device addresses are pointers.
#[derive(Clone)]
struct Plain;

fn layout(pages: NonZeroUsize) -> Layout {
    Layout::from_size_align(pages.get() * 4096, 4096).unwrap()
}

fn address(pointer: *mut u8) -> DeviceAddr {
    DeviceAddr::new(pointer.expose_provenance() as u64)
}

// SAFETY: pages are allocations of their own, and the device reaches buffers themselves.
unsafe impl Hal for Plain {
    fn dma_alloc(&self, pages: NonZeroUsize, _: Direction) -> Result<DmaMemory, HalError> {
        // SAFETY: the layout is not empty.
        let pointer = unsafe { std::alloc::alloc_zeroed(layout(pages)) };
        let ptr = NonNull::new(pointer).ok_or(HalError::OutOfMemory)?;
        Ok(DmaMemory { device: address(pointer), ptr })
    }
    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        // SAFETY: what was allocated above, with the same layout.
        unsafe { std::alloc::dealloc(memory.ptr.as_ptr(), layout(pages)) }
    }
    fn map_mmio(&self, _: PhysAddr, _: usize, _: MmioKind) -> Result<NativeRegs, HalError> {
        Err(HalError::CannotMap)
    }
    unsafe fn unmap_mmio(&self, _: NativeRegs) {}
    unsafe fn share(&self, buffer: NonNull<[u8]>, _: Direction) -> Result<Segment, HalError> {
        Ok(Segment::direct(address(buffer.cast().as_ptr()), buffer.len()))
    }
    fn spin_budget(&self) -> Option<u64> {
        Some(1000)
    }
    fn relax(&self) {
        uncounted(work);
    }
}

/// All of memory, by pointers that were made into addresses.
struct Everything;

fn pointer(address: DeviceAddr) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(usize::try_from(address.get()).unwrap())
}

impl GuestMemory for Everything {
    fn read(&self, address: DeviceAddr, bytes: &mut [u8]) -> Result<(), String> {
        // SAFETY: a driver has published the address, of as many bytes.
        unsafe { pointer(address).copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }
    fn read_vec(&self, address: DeviceAddr, len: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; len];
        self.read(address, &mut bytes).map(|()| bytes)
    }
    fn write(&self, address: DeviceAddr, bytes: &[u8]) -> Result<(), String> {
        // SAFETY: as above.
        unsafe { pointer(address).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }
    fn load16(&self, address: DeviceAddr) -> Result<u16, String> {
        // SAFETY: as above; the fields of a ring are aligned.
        Ok(unsafe { pointer(address).cast::<u16>().read_volatile() })
    }
    fn store16(&self, address: DeviceAddr, raw: u16) -> Result<(), String> {
        // SAFETY: as above.
        unsafe { pointer(address).cast::<u16>().write_volatile(raw) };
        Ok(())
    }
}

/// The device uses what is available, and fills what it may write with sevens.
fn work() {
    QUEUE.with_borrow_mut(|queue| {
        let queue = queue.as_mut().unwrap();
        while let Some(chain) = queue.pop(&Everything).unwrap() {
            let written = chain.write(&Everything, &vec![7; chain.writable()]).unwrap();
            queue.finish(&Everything, &chain, u32::try_from(written).unwrap()).unwrap();
        }
    });
}

struct Wire {
    status: Status,
    features: Features,
}

impl Transport for Wire {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: "wire", version: "modern" }
    }
    fn device_id(&self) -> DeviceId {
        DeviceId::ENTROPY
    }
    fn status(&self) -> Status {
        self.status
    }
    fn set_status(&mut self, status: Status) {
        self.status = status;
    }
    fn device_features(&mut self, window: u32) -> u32 {
        self.features.window(window)
    }
    fn set_driver_features(&mut self, _: u32, _: u32) {}
    fn queue_max_size(&mut self, _: QueueIndex) -> u16 {
        256
    }
    fn enable_queue(&mut self, _: QueueIndex, rings: &Rings) -> Result<Doorbell, Error> {
        let queue = DeviceQueue::new(*rings, self.features, false).unwrap();
        QUEUE.set(Some(queue));
        Ok(Doorbell { offset: 0, value: 0, width: DoorbellWidth::Bits16 })
    }
    fn queue_reset(&mut self, _: QueueIndex) -> QueueReset {
        QueueReset::Done
    }
    fn notify(&self, _: Doorbell) {}
    fn ack_interrupt(&self) -> InterruptStatus {
        InterruptStatus::empty()
    }
    fn config_generation(&self) -> u32 {
        0
    }
    fn config_len(&self) -> usize {
        0
    }
    fn read_config(&self, _: usize, _: &mut [u8]) -> Result<(), Error> {
        Err(Error::Down)
    }
    fn write_config(&mut self, _: usize, _: &[u8]) -> Result<(), Error> {
        Err(Error::Down)
    }
}

fn up<P: Lend>(features: Features) -> Device<Wire, Plain> {
    let wire = Wire { status: Status::empty(), features: features | Features::VERSION_1 };
    let init = Init::start(wire, Plain, DeviceId::ENTROPY).unwrap();
    let init = init.negotiate(&Wanted::default()).unwrap();
    let spec = QueueSpec::new::<P>(0, 64).header(16).response(16).indirect(4);
    init.queues(&[spec]).unwrap().live().unwrap()
}

fn formats() -> impl Iterator<Item = Features> {
    let others = [
        Features::empty(),
        Features::INDIRECT_DESC,
        Features::IN_ORDER | Features::EVENT_IDX,
        Features::INDIRECT_DESC | Features::EVENT_IDX,
    ];
    let both = |format: Features| others.map(|other| format | other);
    both(Features::empty()).into_iter().chain(both(Features::RING_PACKED))
}

/// Incumbent: `Box::leak` of a table for each indirect request, a `Vec` for each packet sent.
#[test]
#[cfg_attr(miri, ignore = "turns addresses into pointers; there is nothing to be seen for it")]
fn a_blocking_request_allocates_nothing() {
    for features in formats() {
        let mut device = up::<()>(features);
        for round in 0..200 {
            let (mut one, mut two) = ([0; 10], [0; 300]);
            let (count, written) = count(|| {
                let call = device.call(0, &[&[1; 40], &[2; 3]], &mut [&mut one, &mut two], LIMIT).unwrap();
                let mut response = [0; 8];
                call as usize + device.exchange(0, &[5; 16], &mut response, LIMIT).unwrap()
            });
            assert_eq!((count, written), (0, 318), "round {round}, {features:?}");
            assert_eq!((one, two), ([7; 10], [7; 300]));
        }
    }
}

/// As above, for requests with owned payloads: added, published, taken, dropped.
#[test]
#[cfg_attr(miri, ignore = "turns addresses into pointers; there is nothing to be seen for it")]
fn an_owned_request_allocates_nothing() {
    type Pair = (Readable<&'static [u8]>, Writable<&'static mut [u8]>);
    for features in formats() {
        let mut device = up::<Pair>(features);
        let mut port = device.port::<Pair>(0).unwrap();
        let mut memory: Option<&'static mut [u8]> = Some(vec![0; 64].leak());
        for round in 0..200 {
            let room = memory.take().unwrap();
            let (added, token) = count(|| {
                let request = Request::new((Readable(&b"read"[..]), Writable(room)));
                let token = port.add(request.header(&[1; 8]).response(8)).unwrap();
                port.publish();
                port.kick();
                token
            });
            work();
            let (taken, back) = count(|| {
                let mut back = None;
                if round % 2 == 0 {
                    back = port.poll_for(token).unwrap().unwrap().take_payload();
                } else {
                    port.drain(8, |mut done| back = done.take_payload()).unwrap();
                }
                back.unwrap().1.0
            });
            assert_eq!((added, taken), (0, 0), "round {round}, {features:?}");
            assert_eq!(*back, [7; 64]);
            memory = Some(back);
        }
    }
}

/// As above, for the raw layer.
#[test]
#[cfg_attr(miri, ignore = "turns addresses into pointers; there is nothing to be seen for it")]
fn a_raw_request_allocates_nothing() {
    for features in formats() {
        let memory: Dma<[u8], Plain> = Dma::zeroed_slice(Plain, 64).unwrap();
        let mut device = up::<Cookie>(features);
        let mut port = device.port::<Cookie>(0).unwrap();
        let at = |offset| RawBuffer { device: DeviceAddr::new(memory.paddr().get() + offset), len: 8 };
        for round in 0..200 {
            let (added, ()) = count(|| {
                // SAFETY: the memory lives until after the device, and is not looked at meanwhile.
                unsafe { port.add_raw(&[at(0)], &[at(8), at(16)], Cookie(round)) }.unwrap();
                port.publish();
                port.kick();
            });
            work();
            let (taken, back) = count(|| port.poll().unwrap().unwrap().take_payload());
            assert_eq!((added, taken, back), (0, 0, Some(Cookie(round))), "{features:?}");
        }
        drop(device);
    }
}

/// The count counts: otherwise the tests above prove nothing.
#[test]
fn an_allocation_is_counted() {
    assert_eq!(count(|| core::hint::black_box(Box::new(5))).0, 1);
    assert_eq!(count(|| uncounted(|| core::hint::black_box(Box::new(5)))).0, 0);
}
