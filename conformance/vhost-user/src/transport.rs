//! The transport itself.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use virtio_core::config::check_access;
use virtio_core::interrupt::Interrupts;
use virtio_core::transport::{Doorbell, DoorbellWidth, InterruptStatus, Rings, TransportInfo};
use virtio_core::{
    DeviceId, Error, Features, Incompatible, Misbehaved, Misuse, QueueIndex, Status, Transport,
};

use crate::call::{Call, Wires};
use crate::life::Life;
use crate::link::QUEUE_SIZE_MAX;
use crate::memory::Memory;

/// What no back-end at hand has, and this transport therefore does not do: a packed ring's position goes over the socket in a
/// way of its own, a kick carries nothing, and there is no message that resets one queue.
const LEFT_OUT: Features = Features::RING_PACKED
    .union(Features::NOTIFICATION_DATA)
    .union(Features::NOTIF_CONFIG_DATA)
    .union(Features::RING_RESET);

/// What vhost-user does not tell of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// Its type.
    pub device: DeviceId,
    /// How many bytes of its configuration space are asked for: no more than any back-end has, for one that is asked for more
    /// answers in a way of its own.
    pub config_len: usize,
}

impl Kind {
    /// A disk: up to the fields of write zeroes, and their padding (VIRTIO 1.4 §5.2.4).
    pub const BLOCK: Self = Self { device: DeviceId::BLOCK, config_len: 60 };
}

/// A device behind a vhost-user socket. One vector for each queue; changes of the configuration space are not signalled.
pub struct VhostUser {
    life: Mutex<Life>,
    kind: Kind,
    queues: Vec<Wires>,
    declined: Features,
}

impl VhostUser {
    /// Connects to the back-end at `path`, which is a device of this `kind`, and shares `memory` with it.
    ///
    /// # Errors
    /// What the system says; a back-end without protocol features, or without CONFIG or REPLY_ACK among them.
    pub fn connect(path: &Path, kind: Kind, memory: &'static Memory) -> io::Result<Self> {
        let mut life = Life::begin(path.to_owned(), memory)?;
        let link = life.link().ok_or_else(|| io::Error::other("not connected"))?;
        let queues = (0..link.queues).map(|_| Wires::new()).collect::<io::Result<_>>()?;
        Ok(Self { life: Mutex::new(life), kind, queues, declined: LEFT_OUT })
    }

    /// The same, but without these features of queues and transports, should the back-end offer them.
    #[must_use]
    pub fn without(mut self, features: Features) -> Self {
        self.declined |= features;
        self
    }

    /// What went wrong since the last reset, in words.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.life().failure().map(str::to_owned)
    }

    /// How many queues the back-end has.
    #[must_use]
    pub fn queues(&self) -> u16 {
        u16::try_from(self.queues.len()).unwrap_or(u16::MAX)
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wires(&self, queue: QueueIndex) -> Option<&Wires> {
        self.queues.get(usize::from(queue.get()))
    }
}

impl std::fmt::Debug for VhostUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VhostUser({:?}, {} queues)", self.kind.device, self.queues.len())
    }
}

impl Transport for VhostUser {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: "vhost-user", version: "modern" }
    }

    fn device_id(&self) -> DeviceId {
        self.kind.device
    }

    fn status(&self) -> Status {
        self.life().status()
    }

    fn set_status(&mut self, status: Status) {
        self.life().set_status(status);
    }

    fn device_features(&mut self, window: u32) -> u32 {
        let offered = self.life().attempt(|link| Ok(link.features())).unwrap_or(0);
        let shifted = offered.checked_shr(window.saturating_mul(32)).unwrap_or(0);
        u32::try_from(shifted & 0xffff_ffff).unwrap_or(0)
    }

    fn set_driver_features(&mut self, window: u32, bits: u32) {
        self.life().choose(window, bits);
    }

    fn queue_max_size(&mut self, queue: QueueIndex) -> u16 {
        if self.wires(queue).is_some() { QUEUE_SIZE_MAX } else { 0 }
    }

    fn enable_queue(&mut self, queue: QueueIndex, rings: &Rings) -> Result<Doorbell, Error> {
        let wires = self.wires(queue).ok_or(Incompatible::NoQueue(queue))?;
        let mut life = self.life();
        if life.link().is_some_and(|link| link.runs(queue.get())) {
            return Err(Incompatible::QueueBusy(queue).into());
        }
        wires.clear();
        life.attempt(|link| {
            let [kick, call] = wires.to_send().map_err(|error| error.to_string())?;
            link.start(queue.get(), rings, &kick, &call)
        })
        .ok_or(Incompatible::QueueRefused(queue))?;
        // QEMU signals once when it learns whom to call, in case something was left over: nothing was.
        wires.was_called();
        Ok(Doorbell { offset: 0, value: u32::from(queue.get()), width: DoorbellWidth::Bits16 })
    }

    /// A write to an eventfd, a system call, orders what was written to memory before it.
    #[inline]
    fn notify(&self, doorbell: Doorbell) {
        if let Some(wires) = self.queues.get(doorbell.value as usize) {
            wires.kick();
        }
    }

    fn ack_interrupt(&self) -> InterruptStatus {
        // All of them, whichever comes first.
        let signalled = self.queues.iter().filter(|wires| wires.was_called()).count();
        if signalled > 0 { InterruptStatus::QUEUE } else { InterruptStatus::empty() }
    }

    fn config_generation(&self) -> u32 {
        0
    }

    fn has_config_generation(&self) -> bool {
        false
    }

    fn config_len(&self) -> usize {
        self.kind.config_len
    }

    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        check_access(offset, bytes.len(), self.kind.config_len)?;
        let answer = self.life().attempt(|link| link.read_config(offset, bytes));
        answer.ok_or_else(|| Misbehaved::NeedsReset.into())
    }

    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        check_access(offset, bytes.len(), self.kind.config_len)?;
        let answer = self.life().attempt(|link| link.write_config(offset, bytes));
        answer.ok_or_else(|| Misbehaved::NeedsReset.into())
    }

    fn supported_features(&self) -> Features {
        !self.declined
    }
}

impl Interrupts for VhostUser {
    type Endpoint = Call;

    fn vectors(&self) -> u16 {
        self.queues()
    }

    fn signals_by_message(&self) -> bool {
        true
    }

    fn endpoint(&self, vector: u16) -> Result<Call, Error> {
        let wires = self.wires(QueueIndex::new(vector)).ok_or(Misuse::NoSuchVector)?;
        Ok(wires.endpoint(QueueIndex::new(vector)))
    }
}
