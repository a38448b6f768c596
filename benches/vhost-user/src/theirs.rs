//! libblkio's crate `virtio-driver` 0.6: its driver of disks, over its transport.
//!
//! It has no indirect descriptors, and each request publishes itself. The rest is as its documentation has it: requests are
//! added, the device is notified if it wants to be, completions are iterated over.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use vhost_user_frontend::Memory;
use virtio_driver::{
    EventFd, QueueNotifier, VhostUser, VirtioBlkFeatureFlags, VirtioBlkQueue, VirtioBlkTransport,
    VirtioFeatureFlags,
};

use crate::disk::{BLOCK, Places, QUEUE_SIZE, SECTOR};
use crate::drive::Driver;
use crate::ours::{MEMORY, buffers};

/// The contestant.
pub struct VirtioDriver {
    queue: VirtioBlkQueue<'static, &'static mut [u8]>,
    notifier: Box<dyn QueueNotifier>,
    call: Arc<EventFd>,
    free: Vec<&'static mut [u8]>,
    places: Places,
    /// The connection.
    _transport: Box<VirtioBlkTransport>,
}

impl VirtioDriver {
    /// Connects.
    pub fn connect(socket: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let wanted = VirtioFeatureFlags::VERSION_1 | VirtioFeatureFlags::RING_EVENT_IDX;
        let wanted = wanted.bits() | VirtioBlkFeatureFlags::all().bits();
        let mut transport: Box<VirtioBlkTransport> =
            Box::new(VhostUser::new(&socket.to_string_lossy(), wanted)?);
        let mut queues = VirtioBlkQueue::setup_queues(&mut *transport, 1, QUEUE_SIZE)?;
        let queue = queues.pop().ok_or("no queue")?;
        let memory = Memory::new(MEMORY)?;
        let (file, start) = memory.file();
        transport.map_mem_region(start.addr().get(), memory.len(), file, 0)?;
        let (notifier, call) = (transport.get_submission_notifier(0), transport.get_completion_fd(0));
        let (free, places) = (buffers(memory), Places::new());
        Ok(Self { queue, notifier, call, free, places, _transport: transport })
    }
}

impl Driver for VirtioDriver {
    #[inline(always)]
    fn submit(&mut self, count: usize) {
        for _ in 0..count {
            let buffer = self.free.pop().expect("a buffer");
            let (pointer, place) = (buffer.as_mut_ptr(), self.places.next() * SECTOR as u64);
            // SAFETY: the buffer is lent to the queue with the request, whose context it is, and stays for good.
            unsafe { self.queue.read_raw(place, pointer, BLOCK, buffer) }.expect("room");
        }
        if self.queue.avail_notif_needed() {
            self.notifier.notify().expect("an eventfd that can be written");
        }
    }

    #[inline(always)]
    fn complete(&mut self) -> usize {
        let mut taken = 0;
        for completion in self.queue.completions() {
            assert_eq!(completion.ret, 0, "VIRTIO_BLK_S_OK");
            self.free.push(completion.context);
            taken += 1;
        }
        taken
    }

    fn arm(&mut self) -> bool {
        self.queue.set_used_notif_enabled(true);
        self.queue.completions().has_next()
    }

    fn disarm(&mut self) {
        self.queue.set_used_notif_enabled(false);
    }

    fn interrupt(&self) -> BorrowedFd<'_> {
        self.call.as_fd()
    }

    fn buffers(&mut self) -> &mut [&'static mut [u8]] {
        &mut self.free
    }
}
