//! Devices that make noise, or say one thing and then another.

use core::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use virtio_core::device::{Init, Wanted};
use virtio_core::hal::{Direction, DmaMemory, HalError, MmioKind};
use virtio_core::queue::{AsyncPort, Bell, QueueSpec};
use virtio_core::regs::NativeRegs;
use virtio_core::{DeviceAddr, Features, Hal, PhysAddr};
use virtio_testkit::{DeviceMemory, TestHal};

use crate::ask;
use crate::common::{ID, device, hold, up};
use crate::executor::{Task, woken};

// shows: split.used-notif-suppress.5
#[test]
fn a_flood_of_interrupts_costs_one_poll_each() {
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<()>(0).unwrap(), &bell).unwrap();
    let mut answers = [[0]; 3];
    let mut tasks: Vec<_> =
        answers.iter_mut().map(|answer| Task::waiting(port.start(ask(b"1"), answer).unwrap())).collect();
    for _ in 0..if cfg!(miri) { 20 } else { 10_000 } {
        for _ in 0..5 {
            bell.ring();
        }
        let rung = woken(&mut tasks);
        let [(listener, 1)] = rung[..] else { panic!("{rung:?}") };
        assert!(tasks[listener].poll().is_none());
        assert_eq!(woken(&mut tasks), []);
    }
    for _ in 0..3 {
        device.complete(0, 0, b"x");
    }
    port.service();
    assert!(tasks.iter_mut().all(|task| task.woken() == 1 && task.poll().is_some()));
    // Nobody is left: a ring wakes nobody.
    bell.ring();
    assert_eq!(woken(&mut tasks), []);
}

/// Lets the device act whenever the driver passes a barrier.
#[derive(Clone)]
struct Between {
    hal: TestHal,
    barriers: Arc<AtomicUsize>,
    act: Arc<Mutex<Option<Act>>>,
}

/// What it does at the n-th barrier.
type Act = Box<dyn FnMut(usize) + Send>;

unsafe impl Hal for Between {
    fn dma_alloc(&self, pages: NonZeroUsize, direction: Direction) -> Result<DmaMemory, HalError> {
        self.hal.dma_alloc(pages, direction)
    }
    unsafe fn dma_dealloc(&self, memory: DmaMemory, pages: NonZeroUsize) {
        unsafe { self.hal.dma_dealloc(memory, pages) };
    }
    fn map_mmio(&self, address: PhysAddr, len: usize, kind: MmioKind) -> Result<NativeRegs, HalError> {
        self.hal.map_mmio(address, len, kind)
    }
    unsafe fn unmap_mmio(&self, regs: NativeRegs) {
        unsafe { self.hal.unmap_mmio(regs) };
    }
    fn page_size(&self) -> usize {
        self.hal.page_size()
    }
    fn now(&self) -> Option<core::time::Duration> {
        self.hal.now()
    }
    fn relax(&self) {
        self.hal.relax();
    }
    fn device_barrier(&self) {
        if let Some(act) = &mut *self.act.lock().unwrap() {
            act(self.barriers.fetch_add(1, Ordering::SeqCst));
        }
    }
}

/// `used.idx` of the only queue.
fn used_index(hal: &TestHal, device: &virtio_testkit::FakeDevice) -> (DeviceMemory, DeviceAddr) {
    let used = device.ring(0).expect("the queue is enabled").rings().device;
    (hal.memory(), DeviceAddr::new(used.get() + 2))
}

#[test]
fn a_device_that_says_there_is_more_and_takes_it_back_gets_another_look_later() {
    let hal = TestHal::new();
    let device = device(8, hold).features(Features::VERSION_1 | Features::ORDER_PLATFORM).build(&hal);
    let between = Between { hal: hal.clone(), barriers: Arc::default(), act: Arc::new(Mutex::new(None)) };
    let init = Init::start(device.transport(), between.clone(), ID).unwrap();
    let wanted = Wanted { optional: Features::ORDER_PLATFORM, ..Wanted::default() };
    let specs = [QueueSpec::new::<()>(0, 8).header(1).response(1)];
    let mut live = init.negotiate(&wanted).unwrap().queues(&specs).unwrap().live().unwrap();
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<()>(0).unwrap(), &bell).unwrap();
    let mut task = Task::waiting(async { port.send(ask(b"1"), &mut [0]).await.is_ok() });
    // A look at the ring passes one barrier, after it has read the index. Asking for an interrupt passes two: one before the
    // look, one after it.
    let (memory, index) = used_index(&hal, &device);
    *between.act.lock().unwrap() = Some(Box::new(move |n| match n % 3 {
        1 => memory.store16(index, 1).unwrap(),
        2 => memory.store16(index, 0).unwrap(),
        _ => {}
    }));
    for _ in 0..5 {
        between.barriers.store(0, Ordering::SeqCst);
        assert!(task.poll().is_none());
        // It has looked twice, and left it at that; and it will look again, because it woke itself.
        assert_eq!(between.barriers.load(Ordering::SeqCst), 4);
        assert_eq!(task.woken(), 1);
    }
    // Likewise on behalf of others.
    between.barriers.store(0, Ordering::SeqCst);
    port.service();
    assert_eq!((between.barriers.load(Ordering::SeqCst), task.woken()), (4, 1));
    *between.act.lock().unwrap() = None;
    assert!(task.poll().is_none());
    assert_eq!(task.woken(), 0);
    device.complete(0, 0, b"x");
    bell.ring();
    assert_eq!((task.woken(), task.poll()), (1, Some(true)));
}
