//! All ports at once: to be driven by different CPUs.

use core::iter::Zip;
use core::slice::{Iter, IterMut};
use core::time::Duration;

use virtio_core::device::Ports;
use virtio_core::{Hal, Transport};

use crate::line::Line;
use crate::state::State;
use crate::writer::Buffer;
use crate::{ConsoleError, Control, PortId, Reader, Writer};

/// The ports of a device, and who talks with it about them, each to be taken once. Made by
/// [`Console::halves`](crate::Console::halves).
#[derive(Debug)]
pub struct Halves<'d, T: ?Sized, H: Hal, B = &'static [u8]> {
    pub(crate) ports: Ports<'d, T, H>,
    pub(crate) control: Option<Control<'d, T, H>>,
    #[expect(clippy::type_complexity, reason = "two halves, each with its own parameters")]
    pub(crate) first: Option<(Reader<'d, T, H>, Writer<'d, T, H, B>)>,
    /// The ports behind the last one that was taken.
    pub(crate) lines: Zip<IterMut<'d, Line<H>>, Iter<'d, State>>,
    /// The first of them.
    pub(crate) next: usize,
    pub(crate) hal: &'d H,
    pub(crate) limit: Duration,
    pub(crate) driven: u32,
}

impl<'d, T: Transport, H: Hal + 'static, B: Buffer> Halves<'d, T, H, B> {
    /// Takes who talks with the device about its ports. `None` for a device with one port, and the second time.
    pub fn take_control(&mut self) -> Option<Control<'d, T, H>> {
        self.control.take()
    }

    /// Takes both halves of a port, whether it is there already or not. Ports are taken in ascending order; those in between are
    /// passed by.
    ///
    /// # Errors
    /// [`ConsoleError::PortTaken`], also for one that was passed by; [`ConsoleError::PortNotDriven`].
    #[expect(clippy::type_complexity, reason = "two halves, each with its own parameters")]
    pub fn take(&mut self, port: PortId) -> Result<(Reader<'d, T, H>, Writer<'d, T, H, B>), ConsoleError> {
        if port.get() >= self.driven {
            return Err(ConsoleError::PortNotDriven { port, driven: self.driven });
        }
        let taken = ConsoleError::PortTaken(port);
        if port == PortId::new(0) {
            return self.first.take().ok_or(taken);
        }
        let place = port.place();
        let passed = place.checked_sub(self.next).ok_or(taken)?;
        let (line, state) = self.lines.nth(passed).ok_or(taken)?;
        self.next = place.saturating_add(1);
        let number = u16::try_from(place).map_err(|_| taken)?;
        Ok(line.lend(number, &mut self.ports, state, (self.hal, self.limit))?)
    }
}
