//! The queues of one device, lent one by one: to be driven by different CPUs.

use core::fmt;
use core::slice::IterMut;

use super::guard::Parts;
use super::live::Device;
use crate::config::{ByteOrder, Config};
use crate::dma::Lend;
use crate::queue::{Port, Queue};
use crate::transport::Transport;
use crate::{Error, Hal, Misuse, QueueIndex};

/// The queues of a device, each to be taken once. Made by [`Device::ports`].
pub struct Ports<'d, T: ?Sized, H: Hal> {
    queues: IterMut<'d, Queue<H>>,
    transport: &'d T,
    hal: &'d H,
}

impl<T: ?Sized, H: Hal> fmt::Debug for Ports<'_, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ports({} left)", self.queues.len())
    }
}

impl<'d, T: Transport + ?Sized, H: Hal> Ports<'d, T, H> {
    /// Takes the port of a queue. Queues are taken in the order in which they were declared; those in between are passed by.
    ///
    /// # Errors
    /// [`Misuse::NoSuchQueue`] if there is no such queue behind the last one taken; [`Misuse::WrongPayload`].
    pub fn take<P: Lend>(&mut self, queue: u16) -> Result<Port<'d, P, T, H>, Error> {
        let index = QueueIndex::new(queue);
        let queue = self.queues.find(|queue| queue.index() == index).ok_or(Misuse::NoSuchQueue)?;
        Port::new(queue, None, self.transport, self.hal)
    }
}

impl<'d, T: Transport + ?Sized, H: Hal> Ports<'d, T, H> {
    /// The configuration space, for reading while the queues are lent. `order` is the byte order it has on a legacy transport.
    #[must_use]
    pub fn config(&self, order: ByteOrder) -> Config<'d, T> {
        let order = if self.transport.is_legacy() { order } else { ByteOrder::Little };
        Config::new(self.transport, order)
    }
}

impl<T: Transport, H: Hal + Clone> Device<T, H> {
    /// Lends every queue at once, for as long as the device is borrowed. The ports share nothing that is written but the
    /// device's doorbells, so each can be driven by a CPU of its own, without a lock; they are `Send` if the transport is
    /// `Sync`. From a device that lives for ever (`&'static mut`), they do too.
    ///
    /// What needs the undivided device (blocking calls over borrowed slices, attachments, resets) has to wait until all ports
    /// are gone.
    ///
    /// ```
    /// # use core::time::Duration;
    /// use virtio_core::device::Device;
    /// use virtio_core::dma::{Readable, Writable};
    /// use virtio_core::queue::Request;
    /// use virtio_core::{Error, Hal, Transport};
    ///
    /// type Received = Writable<Vec<u8>>;
    /// type Sent = Readable<&'static [u8]>;
    ///
    /// fn two_cpus<T, H>(device: &mut Device<T, H>, buffer: Vec<u8>) -> Result<(), Error>
    /// where
    ///     T: Transport + Sync,
    ///     H: Hal + Clone,
    /// {
    ///     let mut ports = device.ports()?;
    ///     let mut receive = ports.take::<Received>(0)?;
    ///     let mut send = ports.take::<Sent>(1)?;
    ///     std::thread::scope(|cpus| {
    ///         cpus.spawn(move || receive.submit(Request::new(Writable(buffer))).map(drop));
    ///         cpus.spawn(move || send.submit(Request::new(Readable(b"hello"))).map(drop));
    ///     });
    ///     Ok(())
    /// }
    /// # use virtio_core::{DeviceId, device::{Init, Wanted}, queue::QueueSpec};
    /// # use virtio_testkit::{FakeDevice, Reply, TestHal};
    /// # let hal = TestHal::new();
    /// # let fake = FakeDevice::builder(DeviceId::NET).queue(0, 8, |_| Reply::Hold).queue(1, 8, |_| Reply::Hold).build(&hal);
    /// # let init = Init::start(fake.transport(), hal.clone(), DeviceId::NET).unwrap();
    /// # let specs = [QueueSpec::new::<Received>(0, 8), QueueSpec::new::<Sent>(1, 8)];
    /// # let mut device = init.negotiate(&Wanted::default()).unwrap().queues(&specs).unwrap().live().unwrap();
    /// # two_cpus(&mut device, vec![0; 64]).unwrap();
    /// # assert_eq!((fake.held(0), fake.held(1)), (1, 1));
    /// ```
    ///
    /// # Errors
    /// [`Error::Down`].
    pub fn ports(&mut self) -> Result<Ports<'_, T, H>, Error> {
        let Parts { transport, hal, queues, .. } = self.guard.parts()?;
        Ok(Ports { queues: queues.each(), transport, hal })
    }
}
