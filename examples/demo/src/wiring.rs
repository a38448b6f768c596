//! From a device's interrupts to those who handle them.

use crate::interrupts::{Kind, Source};
use crate::machine::MsixMessage;
use crate::platform::Platform;
use core::fmt;
use virtio::device::Device;
use virtio::pci::ConfigAccess;
use virtio::regs::Mapped;
use virtio::{AnyTransport, Error, Hal};

/// Messages for one device: configuration changes, and two queues.
pub const MESSAGES: usize = 3;

/// How a device's interrupts reach the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// Not at all.
    None,
    /// By the line of this number.
    Line(u32),
    /// By messages of its own, which arrive under these numbers: as many as its transport has vectors.
    Messages([u32; MESSAGES]),
}

/// Messages, and the numbers that they arrive under; fewer if the platform has no more.
pub fn messages<P: Platform>(platform: &P) -> ([u32; MESSAGES], [MsixMessage; MESSAGES], usize) {
    let (mut numbers, mut messages, mut count) = ([0; MESSAGES], [MsixMessage::default(); MESSAGES], 0);
    for (number, message) in numbers.iter_mut().zip(&mut messages) {
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
    pub fn connect<A: ConfigAccess, D: Hal + Clone>(
        &mut self,
        source: Source,
        wiring: Wiring,
        device: &Device<AnyTransport<Mapped<P::Hal>, A>, D>,
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

    fn vectors<A: ConfigAccess, D: Hal + Clone>(
        &self,
        source: Source,
        wiring: Wiring,
        device: &Device<AnyTransport<Mapped<P::Hal>, A>, D>,
        queues: u16,
    ) -> Result<bool, Error> {
        let mut connected = false;
        for vector in 0..device.vectors()? {
            let (number, kind) = match wiring {
                Wiring::None => return Ok(false),
                Wiring::Line(number) => (number, Kind::Line),
                Wiring::Messages(numbers) => match numbers.get(usize::from(vector)) {
                    Some(&number) => (number, Kind::Message(vector)),
                    None => return Ok(false),
                },
            };
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
