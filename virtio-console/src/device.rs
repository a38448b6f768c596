//! The driver (VIRTIO 1.4 §5.3.5, §5.3.6).

use core::array;
use core::marker::PhantomData;
use core::time::Duration;

use virtio_core::device::{Device, DeviceEvent, Init, Wanted};
use virtio_core::dma::{Dma, FromDevice, Readable};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::{Deadline, DeviceId, Error, Hal, Transport};

use crate::abi::{
    CONTROL_LEN, CONTROL_RECEIVEQ, CONTROL_TRANSMITQ, ConsoleConfig, F_EMERG_WRITE, F_MULTIPORT, F_SIZE,
    Message, event, receiveq,
};
use crate::control::{self, Book, Desk, MESSAGE_ROOM};
use crate::inbox::Inbox;
use crate::line::Line;
use crate::outbox::{CHUNK, COPIES, Outbox};
use crate::state::{Flags, State};
use crate::writer::Buffer;
use crate::{ConsoleError, Control, Event, Halves, Name, Options, Port, PortId, Size};

/// Messages from the device that may wait: with all of them, a page. It may add all ports at once, and QEMU 7.2 drops a message for
/// which there is no buffer.
const MESSAGES: u16 = 32;
/// Messages to the device under way. What does not fit waits for room.
const ANSWERS: u16 = 32;
/// Descriptors of a transmit queue: for the copies, and for as many buffers.
const TRANSMITS: u16 = 16;
const _: () = assert!(2 * COPIES == 16);

/// A console device: one port, or several.
///
/// `B` is what can be transmitted without copying; `PORTS` is how many ports are driven of a device that has more, 32 at the
/// most. [`Console::new`] makes a `Console<T, H>`, which is enough for most.
#[derive(Debug)]
pub struct Console<T: Transport, H: Hal + Clone + 'static, B = &'static [u8], const PORTS: usize = 8> {
    device: Device<T, H>,
    /// The same as the device's, which is borrowed while its queues are lent.
    hal: H,
    options: Options,
    /// Ports that have queues: no more than `PORTS`.
    driven: u16,
    desk: Desk,
    states: [State; PORTS],
    names: [Name; PORTS],
    lines: [Line<H>; PORTS],
    buffer: PhantomData<fn() -> B>,
}

impl<T: Transport, H: Hal + Clone + 'static> Console<T, H> {
    /// Brings the device up, with no more than eight ports and the default [`Options`].
    ///
    /// # Errors
    /// As for [`Console::with_options`].
    pub fn new(transport: T, hal: H) -> Result<Self, ConsoleError> {
        Self::with_options(transport, hal, Options::default())
    }
}

impl<T: Transport, H: Hal + Clone + 'static, B: Buffer, const PORTS: usize> Console<T, H, B, PORTS> {
    /// Brings the device up, for buffers of type `B`, with no more than `PORTS` ports. All memory is taken here: receive buffers as
    /// [`Options`] says, and queues, for each port that the device may have.
    ///
    /// A device with several ports is told that the driver is ready; which ports there are, it says then:
    /// [`Console::wait_for`], [`Console::next_event`].
    ///
    /// # Errors
    /// [`ConsoleError::Core`]: it is no console, it lacks a queue, it says that it has 0 ports, it refuses its features, it does not
    /// reset, or the platform has no memory. The device is reset then. [`ConsoleError::BadOptions`].
    pub fn with_options(transport: T, hal: H, options: Options) -> Result<Self, ConsoleError> {
        const { assert!(PORTS >= 1 && PORTS <= 32, "a console drives 1 to 32 ports") };
        if options.buffers == 0 || options.buffer_len == 0 {
            return Err(ConsoleError::BadOptions);
        }
        let optional = F_SIZE | F_MULTIPORT | F_EMERG_WRITE;
        let init = Init::start(transport, hal.clone(), DeviceId::CONSOLE)?
            .negotiate(&Wanted { optional, ..Wanted::default() })?;
        let features = init.features();
        let multiport = features.contains(F_MULTIPORT);
        let order = control::order(features);
        let max = if multiport { control::max_ports(&init.config(order)?)? } else { 1 };
        let driven = u16::try_from(max).unwrap_or(u16::MAX).min(u16::try_from(PORTS).unwrap_or(u16::MAX));

        // Queues have no gaps: those of port 0, those of control messages, those of the other ports.
        let queues = if multiport { receiveq(driven) } else { receiveq(0).saturating_add(2) };
        let mut init = init.queues_each((0..usize::from(queues)).map(|queue| {
            let queue = u16::try_from(queue).unwrap_or(u16::MAX);
            match queue {
                CONTROL_RECEIVEQ => QueueSpec::new::<()>(queue, MESSAGES).response(MESSAGE_ROOM),
                CONTROL_TRANSMITQ => QueueSpec::new::<()>(queue, ANSWERS).header(CONTROL_LEN),
                _ if queue & 1 == 0 => QueueSpec::new::<Dma<[u8], H, FromDevice>>(queue, options.buffers),
                _ => QueueSpec::new::<Option<Readable<B>>>(queue, TRANSMITS).header(CHUNK),
            }
        }))?;

        let mut buffers = [0; PORTS];
        for (port, buffers) in (0..driven).zip(&mut buffers) {
            *buffers = options.buffers.min(init.queue_size(receiveq(port)));
            for _ in 0..*buffers {
                let buffer: Dma<[u8], H, FromDevice> = Dma::zeroed_slice(hal.clone(), options.buffer_len)?;
                init.prefill(receiveq(port), Request::new(buffer)).map_err(Error::from)?;
            }
        }
        if multiport {
            for _ in 0..init.queue_size(CONTROL_RECEIVEQ).min(MESSAGES) {
                init.prefill(CONTROL_RECEIVEQ, control::room()).map_err(Error::from)?;
            }
            let ready = Message { port: PortId::new(0), event: event::DEVICE_READY, value: 1 }.to_wire(order);
            init.prefill(CONTROL_TRANSMITQ, Request::new(()).header(&ready)).map_err(Error::from)?;
        }

        // The only port of a device is there, and nobody says anything about it.
        let flags = if multiport { Flags::empty() } else { Flags::all() };
        Ok(Self {
            device: init.live()?,
            hal,
            options,
            driven,
            desk: Desk::new(order, max),
            states: array::from_fn(|_| State::new(flags)),
            names: array::from_fn(|_| Name::EMPTY),
            lines: buffers.map(|buffers| Line { inbox: Inbox::new(buffers), outbox: Outbox::new() }),
            buffer: PhantomData,
        })
    }

    /// How many ports the device may have, as it says itself: 1 without `MULTIPORT`. No more than `PORTS` of them are driven.
    #[must_use]
    pub fn max_ports(&self) -> u32 {
        self.desk.max
    }

    /// Whether the device may have several ports, and says which.
    #[must_use]
    pub fn is_multiport(&self) -> bool {
        self.features().contains(F_MULTIPORT)
    }

    /// What the device has to say next of its ports, or `None`. Does not wait, and answers the device where an answer is due: call
    /// it now and then, or when the device interrupts. Without `MULTIPORT` there is never anything.
    ///
    /// # Errors
    /// As for [`Control::next_event`].
    pub fn next_event(&mut self) -> Result<Option<Event>, ConsoleError> {
        if !self.is_multiport() {
            return Ok(None);
        }
        self.refresh()?;
        let Some(mut control) = self.halves()?.take_control() else { return Ok(None) };
        let event = control.next_event();
        self.refresh()?;
        event
    }

    /// Waits until a port is there, and the device was told that it is ready; no longer than `limit`. What the device says
    /// meanwhile is there for [`Console::next_event`], put together for each port; of faults, the first.
    ///
    /// # Errors
    /// [`ConsoleError::TimedOut`]; [`ConsoleError::PortNotDriven`]; otherwise as for [`Console::port`].
    pub fn wait_for(&mut self, port: PortId, limit: Duration) -> Result<(), ConsoleError> {
        self.wait(port, limit, |console| console.book().is_ready(port))
    }

    /// Waits until a port is there and its other end is open, as [`Console::wait_for`] does.
    ///
    /// # Errors
    /// As for [`Console::wait_for`].
    pub fn wait_open(&mut self, port: PortId, limit: Duration) -> Result<(), ConsoleError> {
        self.wait(port, limit, |console| console.book().is_ready(port) && console.is_open(port))
    }

    fn wait(
        &mut self,
        port: PortId,
        limit: Duration,
        mut over: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), ConsoleError> {
        self.driven(port)?;
        let mut deadline = Deadline::after(&self.hal, limit).map_err(Error::from)?;
        loop {
            self.settle()?;
            if over(self) {
                return Ok(());
            }
            if deadline.expired(&self.hal) {
                return Err(ConsoleError::TimedOut { port, done: 0 });
            }
        }
    }

    fn driven(&self, port: PortId) -> Result<(), ConsoleError> {
        let driven = u32::from(self.driven);
        if port.get() < driven { Ok(()) } else { Err(ConsoleError::PortNotDriven { port, driven }) }
    }

    /// The ports that are there, as far as control messages were read.
    pub fn present(&self) -> impl Iterator<Item = PortId> + '_ {
        let ports = (0..).map(PortId::new).zip(self.states());
        ports.filter(|(_, state)| state.is_present()).map(|(port, _)| port)
    }

    /// What a port is called; `None` if it has no name, or is not there.
    #[must_use]
    pub fn name(&self, port: PortId) -> Option<&Name> {
        control::name_of(self.states(), &self.names, port)
    }

    /// The port of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PortId> {
        control::find(self.states(), &self.names, name)
    }

    /// Whether a port is there, and its other end open.
    #[must_use]
    pub fn is_open(&self, port: PortId) -> bool {
        self.states().get(port.place()).is_some_and(State::is_open)
    }

    /// Whether a port is there, and a console: somebody reads what is written to it.
    #[must_use]
    pub fn is_console(&self, port: PortId) -> bool {
        self.states().get(port.place()).is_some_and(|state| state.flags().contains(Flags::CONSOLE))
    }

    /// Opens this end of a port, and tells the device: see [`Control::open`]. Without `MULTIPORT` it is open.
    ///
    /// # Errors
    /// As for [`Control::open`].
    pub fn open(&mut self, port: PortId) -> Result<(), ConsoleError> {
        self.put(port, |control, port| control.open(port))
    }

    /// Closes this end of a port, and tells the device: see [`Control::close`]. Without `MULTIPORT` nothing happens.
    ///
    /// # Errors
    /// As for [`Control::open`].
    pub fn close(&mut self, port: PortId) -> Result<(), ConsoleError> {
        self.put(port, |control, port| control.close(port))
    }

    fn put(
        &mut self,
        port: PortId,
        how: impl FnOnce(&mut Control<'_, T, H>, PortId) -> Result<(), ConsoleError>,
    ) -> Result<(), ConsoleError> {
        self.settle()?;
        match self.halves()?.take_control() {
            Some(mut control) => how(&mut control, port),
            None => self.driven(port),
        }
    }

    /// The size of a console; `None` if it is not known. Port 0 has the size that the configuration states, if the device offers
    /// `SIZE`; any port has what the last message said. Ask again after [`Event::Resized`], and, for port 0, after
    /// [`DeviceEvent::ConfigChanged`].
    ///
    /// # Errors
    /// [`ConsoleError::NoSuchPort`]; [`ConsoleError::Core`] if the configuration space is too small or does not settle, or
    /// the device was taken down.
    pub fn size(&self, port: PortId) -> Result<Option<Size>, ConsoleError> {
        let state = self.states().get(port.place()).filter(|state| state.is_present());
        let config = self.device.config(self.desk.order)?;
        control::size(port, state, self.features(), &config)
    }

    /// Writes text by way of the configuration space, one register access a byte: it needs no queue, and works when they are broken.
    /// For a device that was taken down, there is [`Emergency`](crate::Emergency).
    ///
    /// # Errors
    /// [`ConsoleError::NoEmergencyWrite`] if the device does not offer it; [`ConsoleError::Core`] if the device was taken down,
    /// or its configuration space is too small.
    pub fn emergency_write(&mut self, text: &[u8]) -> Result<(), ConsoleError> {
        if !self.features().contains(F_EMERG_WRITE) {
            return Err(ConsoleError::NoEmergencyWrite);
        }
        for byte in text {
            self.device.set_config(self.desk.order, ConsoleConfig::EMERG_WR, (*byte).into())?;
        }
        Ok(())
    }

    /// Lends a port. Control messages are read first.
    ///
    /// # Errors
    /// [`ConsoleError::NoSuchPort`], [`ConsoleError::PortNotDriven`]; [`ConsoleError::Core`] if the device was taken down or broke
    /// the rules of the control queues.
    pub fn port(&mut self, port: PortId) -> Result<Port<'_, T, H, B>, ConsoleError> {
        self.driven(port)?;
        self.settle()?;
        if !self.states().get(port.place()).is_some_and(State::is_present) {
            return Err(ConsoleError::NoSuchPort(port));
        }
        let (features, order) = (self.features(), self.desk.order);
        let mut halves = self.halves()?;
        let control = halves.take_control();
        let (reader, writer) = halves.take(port)?;
        Ok(Port { reader, writer, control, features, config: halves.ports.config(order) })
    }

    /// Lends all ports at once, and who talks with the device about them. They share nothing that needs a lock, so each can be
    /// driven by a CPU of its own; they are `Send` if the transport is `Sync`.
    ///
    /// ```
    /// use virtio_console::{Console, ConsoleError, PortId};
    /// use virtio_core::{Hal, Transport};
    ///
    /// fn three_cpus<T, H>(console: &mut Console<T, H>) -> Result<(), ConsoleError>
    /// where
    ///     T: Transport + Sync,
    ///     H: Hal + Clone + 'static,
    /// {
    ///     let mut halves = console.halves()?;
    ///     let control = halves.take_control();
    ///     let (mut reader, mut writer) = halves.take(PortId::new(0))?;
    ///     std::thread::scope(|cpus| {
    ///         cpus.spawn(move || reader.read(&mut [0; 80]));
    ///         cpus.spawn(move || writer.write_all(b"hello"));
    ///         cpus.spawn(move || control.map(|mut control| control.next_event()));
    ///     });
    ///     Ok(())
    /// }
    /// # use virtio_testkit::{FakeDevice, Reply, TestHal};
    /// # let hal = TestHal::new();
    /// # let device = FakeDevice::builder(virtio_core::DeviceId::CONSOLE);
    /// # let device = device.event_queue(0, 8).queue(1, 8, |_| Reply::Hold).build(&hal);
    /// # let mut console = Console::new(device.transport(), hal.clone())?;
    /// # three_cpus(&mut console)?;
    /// # assert_eq!(device.held_readable(1), [b"hello"]);
    /// # Ok::<(), ConsoleError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConsoleError::Core`] if the device was taken down.
    pub fn halves(&mut self) -> Result<Halves<'_, T, H, B>, ConsoleError> {
        let Self { device, hal, options, driven, desk, states, names, lines, .. } = self;
        let driven = usize::from(*driven);
        let (states, lines) =
            (states.get(..driven).unwrap_or_default(), lines.get_mut(..driven).unwrap_or_default());
        let features = device.features();
        let mut ports = device.ports()?;
        let config = ports.config(desk.order);
        let mut lines = lines.iter_mut().zip(states);
        let first = lines.next().map(|(line, state)| line.lend(0, &mut ports, state, (&*hal, options.limit)));
        let first = first.transpose()?;
        let control = if features.contains(F_MULTIPORT) {
            let (incoming, outgoing) = (ports.take(CONTROL_RECEIVEQ)?, ports.take(CONTROL_TRANSMITQ)?);
            Some(Control { incoming, outgoing, config, features, book: Book { states, names, desk } })
        } else {
            None
        };
        let driven = u32::try_from(driven).unwrap_or(u32::MAX);
        Ok(Halves { ports, control, first, lines, next: 1, hal, limit: options.limit, driven })
    }

    /// Asks for an interrupt when a port receives something, or the device has something to say. Answers whether something waits
    /// *already*: look at it then, for there may be no interrupt for it.
    ///
    /// # Errors
    /// [`ConsoleError::Core`] if the device was taken down.
    #[must_use = "what waits already may bring no interrupt"]
    pub fn enable_interrupts(&mut self) -> Result<bool, ConsoleError> {
        let driven = u32::from(self.driven);
        let mut halves = self.halves()?;
        let mut waits = halves.take_control().is_some_and(|mut control| control.enable_interrupts());
        for port in (0..driven).map(PortId::new) {
            waits |= halves.take(port)?.0.enable_interrupts();
        }
        Ok(waits)
    }

    /// Asks for no interrupts, which is how the device starts. One may come all the same.
    ///
    /// # Errors
    /// [`ConsoleError::Core`] if the device was taken down.
    pub fn disable_interrupts(&mut self) -> Result<(), ConsoleError> {
        let driven = u32::from(self.driven);
        let mut halves = self.halves()?;
        if let Some(mut control) = halves.take_control() {
            control.disable_interrupts();
        }
        for port in (0..driven).map(PortId::new) {
            halves.take(port)?.0.disable_interrupts();
        }
        Ok(())
    }

    /// Resets the device and brings it up again, as it was made: after [`DeviceEvent::NeedsReset`], or any
    /// [`ConsoleError::Core`]. What was under way is lost, no port is there before the device says so, interrupts are off until
    /// enabled, and endpoints have to be [taken anew](virtio_core::interrupt). On an error the transport is gone: find the device
    /// again.
    ///
    /// # Errors
    /// As for [`Console::with_options`].
    pub fn recover(self) -> Result<Self, ConsoleError> {
        let Self { device, options, .. } = self;
        device.rebuild(|transport, hal| Self::with_options(transport, hal, options))
    }

    /// Reads and answers what the device says.
    fn settle(&mut self) -> Result<(), ConsoleError> {
        if let Some(mut control) = self.halves()?.take_control() {
            control.attend()?;
        }
        self.refresh()
    }

    /// Drops what removed ports had received, and says that those are ready that have come again.
    fn refresh(&mut self) -> Result<(), ConsoleError> {
        if !self.states().iter().any(State::is_stale) {
            return Ok(());
        }
        let driven = u32::from(self.driven);
        let mut halves = self.halves()?;
        let control = halves.take_control();
        for port in (0..driven).map(PortId::new) {
            // One whose queue is broken stays as it is: it says so itself, and the others go on.
            let _ = halves.take(port)?.0.refresh();
        }
        control.map_or(Ok(()), |mut control| control.attend())
    }

    fn states(&self) -> &[State] {
        self.states.get(..usize::from(self.driven)).unwrap_or_default()
    }

    fn book(&mut self) -> Book<'_> {
        let states = self.states.get(..usize::from(self.driven)).unwrap_or_default();
        Book { states, names: &mut self.names, desk: &mut self.desk }
    }
}

virtio_core::lifecycle! {
    impl[T: Transport, H: Hal + Clone + 'static, B: Buffer, const PORTS: usize] Console<T, H, B, PORTS> {
        device: device, transport: T, hal: H, error: ConsoleError,
        attend: DeviceEvent,
    }
}
