//! Ours: over the transport of `conformance/vhost-user`.

use std::error::Error;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use vhost_user_frontend::{Call, Direct, Kind, Memory, VhostUser};
use virtio_blk::{Disk, DiskOptions, Owned, Queue, Sector};
use virtio_core::DeviceId;
use virtio_core::device::{Init, Wanted};
use virtio_core::dma::Writable;
use virtio_core::queue::{Port, QueueSpec, Request};

use crate::disk::{BLOCK, Places, QUEUE_SIZE};
use crate::drive::Driver;
use crate::row::Row;

type Payload = Writable<&'static mut [u8]>;
type Buffer = &'static mut [u8];

/// `virtio-blk`.
pub struct Blk {
    queue: Queue<'static, VhostUser, Direct, Owned<Buffer>>,
    call: Call,
    free: Vec<Buffer>,
    places: Places,
}

impl Blk {
    /// Connects.
    pub fn connect(
        socket: &Path,
        options: impl FnOnce(DiskOptions) -> DiskOptions,
    ) -> Result<Self, Box<dyn Error>> {
        let memory = Memory::new(MEMORY)?;
        let transport = VhostUser::connect(socket, Kind::BLOCK, memory)?;
        let options = options(DiskOptions::new().queue_size(QUEUE_SIZE));
        let disk = Disk::<_, _, Owned<Buffer>>::open(transport, Direct::new(memory), options)?;
        let call = disk.device().endpoint(0)?;
        let queue = Box::leak(Box::new(disk)).queue()?;
        Ok(Self { queue, call, free: buffers(memory), places: Places::new() })
    }
}

impl Driver for Blk {
    #[inline(always)]
    fn submit(&mut self, count: usize) {
        for _ in 0..count {
            let buffer = self.free.pop().expect("a buffer");
            if self.queue.add_read(Sector(self.places.next()), buffer).is_err() {
                panic!("no room");
            }
        }
        self.queue.kick();
    }

    #[inline(always)]
    fn complete(&mut self) -> usize {
        let free = &mut self.free;
        let drained = self.queue.drain(usize::MAX, |answer| {
            assert!(answer.result.is_ok(), "VIRTIO_BLK_S_OK");
            free.push(answer.buffers.expect("they come back"));
        });
        drained.expect("an honest device")
    }

    fn arm(&mut self) -> bool {
        self.queue.enable_interrupts()
    }

    fn disarm(&mut self) {
        self.queue.disable_interrupts();
    }

    fn interrupt(&self) -> BorrowedFd<'_> {
        self.call.as_fd()
    }

    fn buffers(&mut self) -> &mut [Buffer] {
        &mut self.free
    }
}

/// `virtio-core`'s queue, and no driver above it.
pub struct Core {
    port: Port<'static, Payload, VhostUser, Direct>,
    call: Call,
    free: Vec<&'static mut [u8]>,
    places: Places,
}

/// Shared memory: buffers, rings, and what else there is.
pub const MEMORY: usize = 4 << 20;

/// Buffers for the deepest row.
pub fn buffers(memory: &'static Memory) -> Vec<&'static mut [u8]> {
    let hal = Direct::new(memory);
    (0..Row::DEEPEST).map(|_| hal.buffer(BLOCK).expect("memory enough")).collect()
}

impl Core {
    /// Connects.
    pub fn connect(socket: &Path) -> Result<Self, Box<dyn Error>> {
        let memory = Memory::new(MEMORY)?;
        let transport = VhostUser::connect(socket, Kind::BLOCK, memory)?;
        let init = Init::start(transport, Direct::new(memory), DeviceId::BLOCK)?;
        let spec = QueueSpec::new::<Payload>(0, QUEUE_SIZE).indirect(3).header(16).response(1);
        let device = init.negotiate(&Wanted::default())?.queues(&[spec])?.live()?;
        let call = device.endpoint(0)?;
        let port = Box::leak(Box::new(device)).port(0)?;
        Ok(Self { port, call, free: buffers(memory), places: Places::new() })
    }
}

impl Driver for Core {
    #[inline(always)]
    fn submit(&mut self, count: usize) {
        for _ in 0..count {
            let buffer = self.free.pop().expect("a buffer");
            let mut header = [0; 16];
            header[8..].copy_from_slice(&self.places.next().to_le_bytes());
            let request = Request::new(Writable(buffer)).header(&header).response(1);
            if self.port.add(request).is_err() {
                panic!("no room");
            }
        }
        self.port.publish();
        self.port.kick();
    }

    #[inline(always)]
    fn complete(&mut self) -> usize {
        let free = &mut self.free;
        let drained = self.port.drain(usize::MAX, |mut done| {
            assert_eq!(done.response::<u8>(), Ok(0), "VIRTIO_BLK_S_OK");
            assert_eq!(done.written(), BLOCK as u32 + 1);
            free.push(done.take_payload().expect("nobody took it").0);
        });
        drained.expect("an honest device")
    }

    fn arm(&mut self) -> bool {
        self.port.enable_interrupts()
    }

    fn disarm(&mut self) {
        self.port.disable_interrupts();
    }

    fn interrupt(&self) -> BorrowedFd<'_> {
        self.call.as_fd()
    }

    fn buffers(&mut self) -> &mut [&'static mut [u8]] {
        &mut self.free
    }
}
