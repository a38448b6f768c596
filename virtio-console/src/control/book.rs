//! What was said about ports, and what is still to be said.

use virtio_core::config::ByteOrder;
use virtio_core::queue::{Port, Request};
use virtio_core::{Error, Hal, Misuse, Transport};

use super::pending::Pending;
use crate::abi::{CONTROL_LEN, Message, RESIZE_LEN, event, read_resize};
use crate::state::{Flags, State};
use crate::{ConsoleError, Event, Name, PortId, Size};

/// Messages that a device may answer with when a port is ready: that it is a console, its size, its name, that it is open.
const ANSWERS: u16 = 4;

/// The part of it that outlives a loan of the queues. One bit a port: there are 32 at the most.
#[derive(Debug)]
pub(crate) struct Desk {
    /// Byte order of messages.
    pub(crate) order: ByteOrder,
    /// Ports that the device may have.
    pub(crate) max: u32,
    /// What was read and not fetched.
    pub(crate) pending: Pending,
    /// Buffers for messages that are not with the device.
    pub(crate) missing: u16,
    /// Ports that the device was not told yet that they are ready.
    unready: u32,
    /// Ports whose end here is open.
    wanted: u32,
    /// Ports whose end here is open as far as the device was told.
    told: u32,
    /// The last port that was declined, until the device was told.
    pub(crate) declined: Option<PortId>,
}

impl Desk {
    pub(crate) const fn new(order: ByteOrder, max: u32) -> Self {
        Self {
            order,
            max,
            pending: Pending::new(),
            missing: 0,
            unready: 0,
            wanted: 0,
            told: 0,
            declined: None,
        }
    }
}

/// All of it. Ports are as many as are driven.
#[derive(Debug)]
pub(crate) struct Book<'d> {
    pub(crate) states: &'d [State],
    pub(crate) names: &'d mut [Name],
    pub(crate) desk: &'d mut Desk,
}

impl Book<'_> {
    /// A port that is there.
    pub(crate) fn state(&self, port: PortId) -> Result<&State, ConsoleError> {
        let state = self.states.get(port.place()).filter(|state| state.is_present());
        state.ok_or(ConsoleError::NoSuchPort(port))
    }

    /// Whether the device was told that the port is ready.
    pub(crate) fn is_ready(&self, port: PortId) -> bool {
        self.state(port).is_ok() && !is_in(self.desk.unready, port)
    }

    /// Opens or closes this end of a port. The device is told with the next [`Book::flush`].
    pub(crate) fn want(&mut self, port: PortId, open: bool) -> Result<(), ConsoleError> {
        self.state(port)?;
        put(&mut self.desk.wanted, port, open);
        Ok(())
    }

    /// Takes note of a message: `bytes` is its start, of `written` bytes.
    pub(crate) fn enter(&mut self, bytes: &[u8], written: u32) -> Result<Event, ConsoleError> {
        let short = |needed: usize| ConsoleError::ShortMessage {
            written,
            needed: u32::try_from(needed).unwrap_or(u32::MAX),
        };
        let (header, rest) = bytes.split_first_chunk::<CONTROL_LEN>().ok_or(short(CONTROL_LEN))?;
        let message = Message::from_wire(*header, self.desk.order);
        let Message { port, event, value } = message;
        if !matches!(event, event::DEVICE_ADD | event::DEVICE_REMOVE | event::CONSOLE_PORT..=event::PORT_NAME)
        {
            return Err(ConsoleError::UnknownEvent { port, event });
        }
        if port.get() >= self.desk.max {
            return Err(ConsoleError::PortOutOfRange { port, max: self.desk.max });
        }
        let Some(state) = self.states.get(port.place()) else {
            if event == event::DEVICE_ADD {
                self.desk.declined = Some(port);
            }
            let driven = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
            return Err(ConsoleError::PortNotDriven { port, driven });
        };
        let flags = state.flags();
        match (event, flags.contains(Flags::PRESENT)) {
            (event::DEVICE_ADD, true) => return Err(ConsoleError::PortExists(port)),
            (event::DEVICE_ADD, false) => {
                state.set_flags(Flags::PRESENT);
                put(&mut self.desk.unready, port, true);
                return Ok(Event::Added(port));
            }
            (_, false) => return Err(ConsoleError::UnknownPort { port, event }),
            (_, true) => {}
        }
        Ok(match event {
            event::DEVICE_REMOVE => {
                // In this order: who sees that it is gone sees that there is something to drop.
                state.set_stale(true);
                state.set_flags(Flags::empty());
                state.set_size(None);
                if let Some(name) = self.names.get_mut(port.place()) {
                    *name = Name::EMPTY;
                }
                for set in [&mut self.desk.unready, &mut self.desk.wanted, &mut self.desk.told] {
                    put(set, port, false);
                }
                Event::Removed(port)
            }
            event::CONSOLE_PORT => {
                state.set_flags(flags | Flags::CONSOLE | Flags::OPEN);
                // Due as an answer, whatever it was told before.
                put(&mut self.desk.wanted, port, true);
                put(&mut self.desk.told, port, false);
                Event::IsConsole(port)
            }
            event::RESIZE => {
                let size = rest.first_chunk::<RESIZE_LEN>();
                let size = size.ok_or(short(CONTROL_LEN.saturating_add(RESIZE_LEN)))?;
                let (cols, rows) = read_resize(*size, self.desk.order);
                state.set_size(Size::stated(cols, rows));
                Event::Resized(port)
            }
            event::PORT_OPEN if value == 0 => {
                state.set_flags(flags - Flags::OPEN);
                Event::Closed(port)
            }
            event::PORT_OPEN => {
                state.set_flags(flags | Flags::OPEN);
                Event::Opened(port)
            }
            // PORT_NAME: the others were sorted out above.
            _ => {
                if let Some(name) = self.names.get_mut(port.place()) {
                    *name = Name::lossy(rest);
                }
                Event::Named(port)
            }
        })
    }

    /// Whether there is a port to be told ready.
    pub(crate) fn is_due(&self) -> bool {
        let ports = (0..).map(PortId::new).zip(self.states);
        ports.into_iter().any(|(port, state)| is_in(self.desk.unready, port) && !state.is_stale())
    }

    /// Whether the device is to be told something for which there was no room.
    pub(crate) fn owes(&self) -> bool {
        let Desk { unready, wanted, told, declined, .. } = *self.desk;
        let mut ports = (0..).map(PortId::new).zip(self.states);
        let owed = |(port, state): (PortId, &State)| {
            if is_in(unready, port) { !state.is_stale() } else { is_in(wanted, port) != is_in(told, port) }
        };
        declined.is_some() || ports.any(owed)
    }

    /// Tells the device what it was not told yet, as far as there is room: that ports are ready, then which are open. `buffers`
    /// is how many the device has for its own messages, if nothing waits to be read.
    ///
    /// A device answers that a port is ready with several messages, and QEMU 7.2 drops those for which there is no buffer. So only so
    /// many ports are told ready at a time as there is room for the answers.
    pub(crate) fn flush<T: Transport + ?Sized, H: Hal>(
        &mut self,
        queue: &mut Port<'_, (), T, H>,
        buffers: u16,
    ) -> Result<(), ConsoleError> {
        // Frees the places of messages that were taken.
        while queue.poll()?.is_some() {}
        let ports = match buffers {
            0 => 0,
            _ => buffers.checked_div(ANSWERS).unwrap_or(0).max(1).saturating_sub(queue.in_flight()),
        };
        let outcome = self.send_due(queue, ports);
        queue.publish();
        queue.kick();
        match outcome {
            // Later, then.
            Err(Error::Caller(Misuse::QueueFull)) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    fn send_due<T: Transport + ?Sized, H: Hal>(
        &mut self,
        queue: &mut Port<'_, (), T, H>,
        mut ports: u16,
    ) -> Result<(), Error> {
        let order = self.desk.order;
        let mut send = |port, event, value| {
            let wire = Message { port, event, value }.to_wire(order);
            queue.add(Request::new(()).header(&wire)).map(drop).map_err(Error::from)
        };
        if let Some(port) = self.desk.declined {
            send(port, event::PORT_READY, 0)?;
            self.desk.declined = None;
        }
        for (port, state) in (0..).map(PortId::new).zip(self.states) {
            if is_in(self.desk.unready, port) {
                if state.is_stale() || ports == 0 {
                    continue;
                }
                send(port, event::PORT_READY, 1)?;
                put(&mut self.desk.unready, port, false);
                ports = ports.saturating_sub(1);
            }
            let open = is_in(self.desk.wanted, port);
            if open != is_in(self.desk.told, port) {
                send(port, event::PORT_OPEN, u16::from(open))?;
                put(&mut self.desk.told, port, open);
            }
        }
        Ok(())
    }
}

/// What a port is called, if it is there and has a name.
pub(crate) fn name_of<'n>(states: &[State], names: &'n [Name], port: PortId) -> Option<&'n Name> {
    let state = states.get(port.place())?;
    names.get(port.place()).filter(|name| state.is_present() && !name.as_str().is_empty())
}

/// The port of a name.
pub(crate) fn find(states: &[State], names: &[Name], name: &str) -> Option<PortId> {
    let mut ports = (0..).map(PortId::new).take(states.len());
    ports.find(|port| name_of(states, names, *port).is_some_and(|other| other.as_str() == name))
}

/// The bit of a port; none for one that is not driven.
fn bit(port: PortId) -> u32 {
    1_u32.checked_shl(port.get()).unwrap_or(0)
}

fn is_in(set: u32, port: PortId) -> bool {
    set & bit(port) != 0
}

fn put(set: &mut u32, port: PortId, is_in: bool) {
    *set = if is_in { *set | bit(port) } else { *set & !bit(port) };
}
