//! From a device's interrupts to those who handle them.

use crate::interrupts::{Kind, Source};
use crate::machine::MsixMessage;
use crate::platform::Platform;
use core::fmt;
use virtio::device::Device;
use virtio::regs::Mapped;
use virtio::{AnyEndpoint, Error, Hal, Interrupts};

/// Messages for one device: configuration changes, and two queues.
pub const MESSAGES: usize = 3;

/// How a device's interrupts reach the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// Not at all.
    None,
    /// By the line of this number.
    Line(u32),
    /// By messages of its own, unless the device thinks better of it while it comes up.
    Messages {
        /// The numbers that they arrive under.
        numbers: [u32; MESSAGES],
        /// The device's line.
        line: Option<u32>,
    },
}

impl Wiring {
    /// How the interrupt of one vector comes from a live device that signals in this way.
    fn interrupt(self, vector: u16, by_message: bool) -> Option<(u32, Kind)> {
        match self {
            Self::Messages { numbers, .. } if by_message => {
                numbers.get(usize::from(vector)).map(|&number| (number, Kind::Message(vector)))
            }
            Self::Line(number) | Self::Messages { line: Some(number), .. } => {
                (vector == 0).then_some((number, Kind::Line))
            }
            Self::Messages { line: None, .. } => None,
            Self::None => None,
        }
    }
}

/// So many messages, at most [`MESSAGES`], and the numbers that they arrive under; fewer if the platform has no more.
pub fn messages<P: Platform>(platform: &P, most: u16) -> ([u32; MESSAGES], [MsixMessage; MESSAGES], usize) {
    let (mut numbers, mut messages, mut count) = ([0; MESSAGES], [MsixMessage::default(); MESSAGES], 0);
    for (number, message) in numbers.iter_mut().zip(&mut messages).take(most.into()) {
        let Some(next) = platform.message_interrupt() else { break };
        (*number, *message) = next;
        count += 1;
    }
    (numbers, messages, count)
}

/// Connects the demo's devices, as long as there is something to be had from it.
#[derive(Debug)]
pub struct Wires<'p, P> {
    platform: &'p P,
    polled: bool,
}

impl<'p, P: Platform> Wires<'p, P> {
    /// Interrupts are used, unless the command line says otherwise.
    pub fn new(platform: &'p P) -> Self {
        Self { platform, polled: platform.options().polled }
    }

    /// Enters a live device's interrupts with the platform's handlers, and switches its line on. Answers whether the device
    /// can interrupt now: not if this run polls.
    pub fn connect<T: Interrupts<Endpoint = AnyEndpoint<Mapped<P::Hal>, P::Ports>>, D: Hal + Clone>(
        &mut self,
        source: Source,
        wiring: Wiring,
        device: &Device<T, D>,
        queues: u16,
        log: &mut impl fmt::Write,
    ) -> bool {
        if self.polled {
            return false;
        }
        self.vectors(source, wiring, device, queues).unwrap_or_else(|error| {
            let _ = writeln!(log, "{}: no interrupts: {error}", source.name());
            false
        })
    }

    fn vectors<T: Interrupts<Endpoint = AnyEndpoint<Mapped<P::Hal>, P::Ports>>, D: Hal + Clone>(
        &self,
        source: Source,
        wiring: Wiring,
        device: &Device<T, D>,
        queues: u16,
    ) -> Result<bool, Error> {
        let mut connected = false;
        let by_message = device.signals_by_message()?;
        for vector in 0..device.vectors()? {
            let Some((number, kind)) = wiring.interrupt(vector, by_message) else { return Ok(false) };
            let endpoint = device.endpoint(vector)?;
            connected = self.platform.handlers().watch(number, kind, source, queues, Some(endpoint))
                && (kind != Kind::Line || self.platform.enable_interrupt(number));
            if !connected {
                break;
            }
        }
        Ok(connected)
    }

    /// Gives interrupts up, for this reason.
    pub fn poll(&mut self, why: &str, log: &mut impl fmt::Write) {
        if !self.polled {
            self.polled = true;
            let _ = writeln!(log, "interrupts: {why}; polling");
        }
    }

    /// Switches the serial line's interrupt on: the last one. Answers whether this run polls.
    pub fn finish(mut self, log: &mut impl fmt::Write) -> bool {
        if !self.polled {
            let handlers = self.platform.handlers();
            let connected = self.platform.serial_interrupt().is_some_and(|number| {
                handlers.watch(number, Kind::Line, Source::Serial, 0, None)
                    && self.platform.enable_interrupt(number)
            });
            if !connected {
                self.poll("the serial line has none", log);
            }
        }
        self.polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_refuses_its_messages_is_heard_on_its_line() {
        let line = |number| Some((number, Kind::Line));
        assert_eq!(Wiring::Line(7).interrupt(0, false), line(7));
        assert_eq!(Wiring::None.interrupt(0, false), None);
        let both = Wiring::Messages { numbers: [80, 81, 0], line: Some(35) };
        assert_eq!(both.interrupt(0, true), Some((80, Kind::Message(0))));
        assert_eq!(both.interrupt(1, true), Some((81, Kind::Message(1))));
        assert_eq!(both.interrupt(0, false), line(35));
        assert_eq!(Wiring::Messages { numbers: [80, 81, 0], line: None }.interrupt(0, false), None);
    }
}
