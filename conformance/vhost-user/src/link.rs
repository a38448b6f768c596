//! One connection to a back-end: what is asked, and told, over the socket.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use vhost::vhost_user::message::{
    VhostUserConfigFlags, VhostUserHeaderFlag, VhostUserProtocolFeatures, VhostUserVirtioFeatures,
};
use vhost::vhost_user::{Frontend, VhostUserFrontend};
use vhost::{VhostBackend, VhostUserMemoryRegionInfo, VringConfigData};
use virtio_core::transport::Rings;
use vmm_sys_util::eventfd::EventFd;

use crate::memory::Memory;

/// The largest queue. vhost-user has no question for it; it is what QEMU's back-ends take at the most.
pub const QUEUE_SIZE_MAX: u16 = 1024;

/// A back-end that does not answer for so long never will.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a back-end must offer of the protocol: a configuration space, and an answer to each message, so that the next thing is
/// not done before the last one was.
const NEEDED: VhostUserProtocolFeatures =
    VhostUserProtocolFeatures::CONFIG.union(VhostUserProtocolFeatures::REPLY_ACK);
/// Bits of the features that are about vhost-user itself, and no driver's business.
const OWN: u64 = VhostUserVirtioFeatures::all().bits();

/// What went wrong, in words: a transport has no place for more.
pub(crate) type Answer<T> = Result<T, String>;

/// A connection.
pub(crate) struct Link {
    frontend: Frontend,
    /// The same socket.
    stream: UnixStream,
    memory: &'static Memory,
    /// What the device offers.
    pub(crate) offered: u64,
    /// How many queues it has.
    pub(crate) queues: u16,
    /// Which of them run.
    running: Vec<u16>,
    /// Whether it was told anything that a reset has to undo.
    touched: bool,
    /// Whether we have closed the connection from both ends: whether the other side hangs up does not show any more.
    cut: bool,
}

impl Link {
    /// Connects: protocol features, the number of queues, the memory.
    pub(crate) fn open(path: &Path, memory: &'static Memory) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        let frontend = Frontend::from_stream(stream.try_clone()?, 1);
        let (running, touched, cut) = (Vec::new(), false, false);
        let mut link = Self { frontend, stream, memory, offered: 0, queues: 1, running, touched, cut };
        let begun = link.ask(Self::begin);
        begun.map_err(|what| io::Error::other(format!("{}: {what}", path.display())))?;
        Ok(link)
    }

    /// Bounds the wait for what a back-end answers. `vhost` itself waits for ever, and takes a socket's own limit for a reason to
    /// try again: so the connection is closed under it.
    fn ask<V>(&mut self, what: impl FnOnce(&mut Self) -> Answer<V>) -> Answer<V> {
        let stream = self.stream.try_clone().map_err(|error| error.to_string())?;
        let (answer, cut) = thread::scope(|threads| {
            let (over, limit) = mpsc::channel::<()>();
            let cut = threads.spawn(move || {
                let late = limit.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
                // If it is closed already, so much the better.
                late && stream.shutdown(Shutdown::Both).is_ok()
            });
            let answer = what(self);
            drop(over);
            // Who cannot be asked may have done it.
            (answer, cut.join().unwrap_or(true))
        });
        self.cut |= cut;
        answer
    }

    fn begin(&mut self) -> Answer<()> {
        let Self { frontend, memory, .. } = self;
        frontend.set_owner().map_err(saying("SET_OWNER"))?;
        self.offered = frontend.get_features().map_err(saying("GET_FEATURES"))?;
        if self.offered & VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits() == 0 {
            return Err("the back-end knows no protocol features".to_owned());
        }
        let offered = frontend.get_protocol_features().map_err(saying("GET_PROTOCOL_FEATURES"))?;
        if !offered.contains(NEEDED) {
            return Err(format!("the back-end lacks {:?}", NEEDED - offered));
        }
        let accepted = NEEDED | offered & VhostUserProtocolFeatures::MQ;
        frontend.set_protocol_features(accepted).map_err(saying("SET_PROTOCOL_FEATURES"))?;
        frontend.set_hdr_flags(VhostUserHeaderFlag::NEED_REPLY);
        if accepted.contains(VhostUserProtocolFeatures::MQ) {
            let queues = frontend.get_queue_num().map_err(saying("GET_QUEUE_NUM"))?;
            self.queues = u16::try_from(queues).unwrap_or(u16::MAX);
        }
        let region = VhostUserMemoryRegionInfo {
            guest_phys_addr: memory.base(),
            memory_size: memory.len() as u64,
            userspace_addr: memory.start().addr().get() as u64,
            mmap_offset: 0,
            mmap_handle: memory.file().0,
        };
        frontend.set_mem_table(&[region]).map_err(saying("SET_MEM_TABLE")).map(drop)
    }

    /// The device's features, without those of vhost-user itself.
    pub(crate) fn features(&self) -> u64 {
        self.offered & !OWN
    }

    /// Accepts features.
    pub(crate) fn accept(&mut self, features: u64) -> Answer<()> {
        self.touched = true;
        let all = features & !OWN | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits();
        self.ask(|link| link.frontend.set_features(all).map_err(saying("SET_FEATURES")))
    }

    /// Sets a queue up and switches it on.
    pub(crate) fn start(&mut self, queue: u16, rings: &Rings, kick: &EventFd, call: &EventFd) -> Answer<()> {
        self.touched = true;
        // A ring is named by where *we* have it.
        let place = |address| {
            let place = self.memory.at(address).ok_or("a ring outside of the shared memory")?;
            Ok::<_, String>(place.addr().get() as u64)
        };
        let addresses = VringConfigData {
            queue_max_size: QUEUE_SIZE_MAX,
            queue_size: rings.size,
            flags: 0,
            desc_table_addr: place(rings.descriptor)?,
            used_ring_addr: place(rings.device)?,
            avail_ring_addr: place(rings.driver)?,
            log_addr: None,
        };
        let index = usize::from(queue);
        self.ask(|Self { frontend, running, .. }| {
            frontend.set_vring_num(index, rings.size).map_err(saying("SET_VRING_NUM"))?;
            frontend.set_vring_base(index, 0).map_err(saying("SET_VRING_BASE"))?;
            frontend.set_vring_addr(index, &addresses).map_err(saying("SET_VRING_ADDR"))?;
            frontend.set_vring_call(index, call).map_err(saying("SET_VRING_CALL"))?;
            // A ring starts with its kick descriptor.
            running.push(queue);
            frontend.set_vring_kick(index, kick).map_err(saying("SET_VRING_KICK"))?;
            frontend.set_vring_enable(index, true).map_err(saying("SET_VRING_ENABLE"))
        })
    }

    /// Whether the queue was switched on.
    pub(crate) fn runs(&self, queue: u16) -> bool {
        self.running.contains(&queue)
    }

    /// Whether nothing was told that a reset has to undo.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.touched
    }

    /// Stops every ring, and then says good-bye. What the back-end still has in its hands is its own affair until it hangs up,
    /// too: see [`hung_up`].
    pub(crate) fn close(mut self) -> Answer<UnixStream> {
        // An answer is worth no more than none: see `life`. But what was not begun is not begun any more.
        let _ = self.ask(|Self { frontend, running, .. }| {
            let stop = |&queue: &u16| frontend.get_vring_base(usize::from(queue));
            running.iter().map(stop).collect::<Result<Vec<_>, _>>().map_err(saying("GET_VRING_BASE"))
        });
        if self.cut {
            return Err("the back-end did not answer, and whether it ever hangs up cannot be seen".to_owned());
        }
        self.stream
            .shutdown(Shutdown::Write)
            .map_err(|error| format!("the end of the connection: {error}"))?;
        Ok(self.stream)
    }

    /// Whether the back-end has hung up by itself.
    pub(crate) fn is_lost(&self) -> bool {
        hung_up(&self.stream)
    }

    /// The first `len` bytes of the configuration space. Always from its start: QEMU 7.2 does not look at the offset.
    fn config_prefix(&mut self, len: usize) -> Answer<Vec<u8>> {
        let flags = VhostUserConfigFlags::empty();
        let size = u32::try_from(len).map_err(|_| "too long")?;
        let answer = self.ask(|link| {
            link.frontend.get_config(0, size, flags, &vec![0; len]).map_err(saying("GET_CONFIG"))
        });
        answer.map(|(_, bytes)| bytes)
    }

    /// Reads the configuration space.
    pub(crate) fn read_config(&mut self, offset: usize, bytes: &mut [u8]) -> Answer<()> {
        let prefix = self.config_prefix(offset + bytes.len())?;
        let found = prefix.get(offset..).filter(|found| found.len() == bytes.len());
        bytes.copy_from_slice(found.ok_or("another length than was asked for")?);
        Ok(())
    }

    /// Writes to the configuration space.
    pub(crate) fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Answer<()> {
        let offset = u32::try_from(offset).map_err(|_| "too far")?;
        let flags = VhostUserConfigFlags::empty();
        self.ask(|link| link.frontend.set_config(offset, flags, bytes).map_err(saying("SET_CONFIG")))
    }
}

/// An error in words, with the message that met it.
fn saying<E: std::fmt::Display>(message: &str) -> impl Fn(E) -> String {
    move |error| format!("{message}: {error}")
}

/// Whether the other side has closed the connection. Does not wait, and takes nothing out of it.
pub(crate) fn hung_up(stream: &UnixStream) -> bool {
    let mut byte = [0_u8];
    match recv(stream, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((0, _)) => true,
        // An answer that nobody waited for.
        Ok(_) => false,
        Err(error) => {
            let error: io::Error = Errno::into(error);
            !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
        }
    }
}
