//! rust-vmm's device side of a split virtqueue, behind a transport.

use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex};

use virtio_core::transport::{
    Doorbell, DoorbellWidth, InterruptStatus, QueueReset, Rings, Transport, TransportInfo,
};
use virtio_core::{DeviceId, Error, Features, Incompatible, QueueIndex, Status};
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use crate::memory::VmHal;
use crate::rig::{ALL, ALL_LEGACY, Config, Held, ID, Rig, Untruth, answer};

/// A request that the device has taken.
struct Taken {
    head: u16,
    held: Held,
    writable: Vec<(GuestAddress, usize)>,
}

struct Side {
    queue: Queue,
    taken: Vec<Taken>,
    /// The test says where the driver has to notify.
    frozen: bool,
}

struct State {
    sides: [Side; 2],
    status: Status,
    accepted: [u32; 2],
    interrupts: usize,
}

/// A device with two queues of rust-vmm's.
#[derive(Clone)]
pub(crate) struct Vm {
    hal: VmHal,
    config: Config,
    state: Arc<Mutex<State>>,
}

fn side(size: u16) -> Side {
    Side { queue: Queue::new(size).unwrap(), taken: Vec::new(), frozen: false }
}

impl Side {
    /// A 16-bit field of the rings, at an offset from the available ring, or the used ring.
    fn avail(&self, offset: u64) -> GuestAddress {
        GuestAddress(self.queue.avail_ring() + offset)
    }

    fn used(&self, offset: u64) -> GuestAddress {
        GuestAddress(self.queue.used_ring() + offset)
    }

    fn work(&mut self, memory: &GuestMemoryMmap) {
        if !self.queue.ready() {
            return;
        }
        loop {
            while let Some(chain) = self.queue.pop_descriptor_chain(memory) {
                let head = chain.head_index();
                let (mut readable, mut writable, mut reads) = (Vec::new(), Vec::new(), 0);
                for descriptor in chain {
                    let len = descriptor.len() as usize;
                    assert!(len > 0, "an empty buffer");
                    if descriptor.is_write_only() {
                        writable.push((descriptor.addr(), len));
                        continue;
                    }
                    assert!(writable.is_empty(), "a readable buffer behind a writable one");
                    let start = readable.len();
                    readable.resize(start + len, 0);
                    memory.read_slice(&mut readable[start..], descriptor.addr()).unwrap();
                    reads += 1;
                }
                assert!(reads + writable.len() > 0, "a chain that cannot be walked");
                assert!(self.taken.iter().all(|other| other.head != head), "{head} is in flight already");
                let room = writable.iter().map(|(_, len)| len).sum();
                let held = Held { readable, buffers: (reads, writable.len()), room };
                self.taken.push(Taken { head, held, writable });
            }
            if self.frozen || !self.queue.enable_notification(memory).unwrap() {
                return;
            }
        }
    }

    /// Answers whether the driver wants an interrupt. What it says without `EVENT_IDX` is not looked at by rust-vmm.
    fn complete(&mut self, memory: &GuestMemoryMmap, nth: usize, bytes: &[u8], claim: Option<u32>) -> bool {
        let taken = self.taken.remove(nth);
        let mut rest = bytes;
        for (address, len) in taken.writable {
            let (now, later) = rest.split_at(rest.len().min(len));
            memory.write_slice(now, address).unwrap();
            rest = later;
        }
        let written = u32::try_from(bytes.len() - rest.len()).unwrap();
        self.queue.add_used(memory, taken.head, claim.unwrap_or(written)).unwrap();
        let wants = self.queue.needs_notification(memory).unwrap();
        if self.queue.event_idx_enabled() {
            return wants;
        }
        memory.load::<u16>(self.avail(0), Ordering::Relaxed).unwrap() & 1 == 0
    }
}

impl Vm {
    fn with<V>(&self, queue: u16, f: impl FnOnce(&mut Side, &GuestMemoryMmap) -> V) -> V {
        let mut state = self.state.lock().unwrap();
        f(&mut state.sides[usize::from(queue)], self.hal.memory())
    }

    fn features(&self) -> Features {
        let [low, high] = self.state.lock().unwrap().accepted;
        Features::from_window(0, low) | Features::from_window(1, high)
    }
}

impl Rig for Vm {
    type T = Self;
    type H = VmHal;

    fn new(config: &Config) -> Self {
        let state = State {
            sides: [side(config.size), side(config.size)],
            status: Status::empty(),
            accepted: [0; 2],
            interrupts: 0,
        };
        Self { hal: VmHal::new(), config: *config, state: Arc::new(Mutex::new(state)) }
    }

    fn transport(&self) -> Self {
        self.clone()
    }

    fn hal(&self) -> VmHal {
        self.hal.clone()
    }

    fn work(&self, queue: u16) {
        self.with(queue, Side::work);
    }

    fn held(&self, queue: u16) -> Vec<Held> {
        self.with(queue, |side, _| side.taken.iter().map(|taken| taken.held.clone()).collect())
    }

    fn count(&self, queue: u16) -> usize {
        self.with(queue, |side, _| side.taken.len())
    }

    fn complete(&self, queue: u16, nth: usize, bytes: &[u8], claim: Option<u32>) {
        let wants = self.with(queue, |side, memory| side.complete(memory, nth, bytes, claim));
        self.state.lock().unwrap().interrupts += usize::from(wants);
    }

    /// It knows nothing of batches: one used element each, in order.
    fn complete_batch(&self, queue: u16, answers: &[Vec<u8>]) {
        for answer in answers {
            self.complete(queue, 0, answer, None);
        }
    }

    fn forget(&self, queue: u16) {
        self.with(queue, |side, _| side.taken.clear());
    }

    fn interrupts(&self) -> usize {
        self.state.lock().unwrap().interrupts
    }

    fn suppress(&self, queue: u16, suppress: bool) {
        self.with(queue, |side, memory| {
            side.frozen = suppress;
            if suppress {
                side.queue.disable_notification(memory).unwrap();
            } else {
                side.queue.enable_notification(memory).unwrap();
            }
        });
    }

    fn kick_at(&self, queue: u16, event: u16) {
        self.with(queue, |side, memory| {
            side.frozen = true;
            let field = side.used(4 + 8 * u64::from(side.queue.size()));
            memory.store(event.to_le(), field, Ordering::Relaxed).unwrap();
            fence(Ordering::SeqCst);
        });
    }

    fn lie(&self, queue: u16, untruth: Untruth) {
        self.with(queue, |side, memory| {
            let next = side.queue.next_used();
            let size = side.queue.size();
            let advance = match untruth {
                Untruth::Id(id) => {
                    let element = side.used(4 + 8 * u64::from(next % size));
                    memory.write_obj([id.to_le(), 0], element).unwrap();
                    1
                }
                Untruth::Advance(by) => by,
                Untruth::Descriptors(byte) => {
                    let table = GuestAddress(side.queue.desc_table());
                    memory.write_slice(&vec![byte; 16 * usize::from(size)], table).unwrap();
                    return;
                }
                Untruth::Suppression(event, flags) => {
                    side.frozen = true;
                    memory.store(flags.to_le(), side.used(0), Ordering::Relaxed).unwrap();
                    let field = side.used(4 + 8 * u64::from(size));
                    memory.store(event.to_le(), field, Ordering::Relaxed).unwrap();
                    return;
                }
            };
            let index = next.wrapping_add(advance).to_le();
            memory.store(index, side.used(2), Ordering::Release).unwrap();
        });
    }

    fn finish(self) {
        assert_eq!(self.hal.outstanding(), 0, "pages that were not given back");
    }
}

impl Transport for Vm {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: "rust-vmm", version: "virtio-queue" }
    }

    fn device_id(&self) -> DeviceId {
        ID
    }

    fn is_legacy(&self) -> bool {
        self.config.legacy
    }

    fn status(&self) -> Status {
        self.state.lock().unwrap().status
    }

    fn set_status(&mut self, status: Status) {
        let mut state = self.state.lock().unwrap();
        state.status = status;
        if status.is_empty() {
            state.accepted = [0; 2];
            for side in &mut state.sides {
                side.queue.reset();
                side.taken.clear();
            }
        }
    }

    fn device_features(&mut self, window: u32) -> u32 {
        let packed = Features::RING_PACKED;
        let offered = if self.config.legacy { ALL_LEGACY } else { ALL - packed };
        offered.window(window)
    }

    fn set_driver_features(&mut self, window: u32, bits: u32) {
        self.state.lock().unwrap().accepted[window as usize] = bits;
    }

    fn queue_max_size(&mut self, queue: QueueIndex) -> u16 {
        if queue.get() < 2 { self.config.size } else { 0 }
    }

    fn enable_queue(&mut self, queue: QueueIndex, rings: &Rings) -> Result<Doorbell, Error> {
        let features = self.features();
        assert_eq!(rings.notification_data, features.contains(Features::NOTIFICATION_DATA));
        self.with(queue.get(), |side, memory| {
            if side.queue.ready() {
                return Err(Incompatible::QueueBusy(queue).into());
            }
            side.queue.try_set_size(rings.size).unwrap();
            let address = |part: virtio_core::DeviceAddr| GuestAddress(part.get());
            side.queue.try_set_desc_table_address(address(rings.descriptor)).unwrap();
            side.queue.try_set_avail_ring_address(address(rings.driver)).unwrap();
            side.queue.try_set_used_ring_address(address(rings.device)).unwrap();
            side.queue.set_event_idx(features.contains(Features::EVENT_IDX));
            side.queue.set_ready(true);
            side.frozen = false;
            assert!(side.queue.is_valid(memory), "{rings:?}");
            let value = u32::from(queue.get());
            Ok(Doorbell { offset: 0, value, width: DoorbellWidth::Bits32 })
        })
    }

    fn reset_queue(&mut self, queue: QueueIndex) {
        assert!(self.features().contains(Features::RING_RESET));
        self.with(queue.get(), |side, _| side.queue.reset());
    }

    fn queue_reset(&mut self, queue: QueueIndex) -> QueueReset {
        self.with(
            queue.get(),
            |side, _| {
                if side.queue.ready() { QueueReset::Ignored } else { QueueReset::Done }
            },
        )
    }

    fn notify(&self, doorbell: Doorbell) {
        assert!(self.status().contains(Status::DRIVER_OK));
        let [a, b, c, d] = doorbell.value.to_le_bytes();
        let (queue, position) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        let carries = self.features().contains(Features::NOTIFICATION_DATA);
        let published = self.with(queue, |side, memory| {
            memory.load::<u16>(side.avail(2), Ordering::Acquire).map(u16::from_le).unwrap()
        });
        assert_eq!(position, if carries { published } else { 0 }, "what the doorbell carries");
        if self.config.answers {
            self.work(queue);
            while let Some(held) = self.held(queue).first() {
                self.complete(queue, 0, &answer(&held.readable, held.room), None);
            }
        }
    }

    fn ack_interrupt(&self) -> InterruptStatus {
        InterruptStatus::QUEUE
    }

    fn config_generation(&self) -> u32 {
        0
    }

    fn config_len(&self) -> usize {
        0
    }

    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        Err(Incompatible::ConfigTooSmall { offset, len: bytes.len() }.into())
    }

    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        Err(Incompatible::ConfigTooSmall { offset, len: bytes.len() }.into())
    }
}
