//! The two hand-shakes, whoever the driver is.

use std::fmt;
use std::thread;

use crate::device::Device;
use crate::signal::{Patience, Signal};

/// Which notifications may be lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From driver to device.
    Kicks,
    /// From device to driver.
    Interrupts,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kicks => "kicks",
            Self::Interrupts => "interrupts",
        })
    }
}

/// A driver with one queue.
pub trait Driver {
    /// Makes a request, shows it, and kicks if the device wants it.
    fn submit(&mut self);
    /// Takes a used request, if there is one.
    fn take(&mut self) -> bool;
    /// Asks for an interrupt. Answers whether something is used already.
    fn enable_interrupts(&mut self) -> bool;
    /// Asks for none.
    fn disable_interrupts(&mut self);
}

/// What driver and device have in common beside the ring.
#[derive(Default)]
pub struct Wire {
    /// The driver's doorbell.
    pub bell: Signal,
    /// The device's interrupt.
    pub line: Signal,
}

/// Runs so many requests, and answers how many notifications were lost.
pub fn run(
    direction: Direction,
    requests: u64,
    driver: &mut impl Driver,
    device: impl Device,
    wire: &Wire,
) -> u64 {
    thread::scope(|threads| match direction {
        Direction::Kicks => {
            let device = threads.spawn(move || sleeping_device(requests, device, wire));
            polling_driver(requests, driver, wire);
            device.join().expect("the device ends")
        }
        Direction::Interrupts => {
            threads.spawn(move || polling_device(requests, device, wire));
            sleeping_driver(requests, driver, wire)
        }
    })
}

fn polling_driver(requests: u64, driver: &mut impl Driver, wire: &Wire) {
    for request in 1..=requests {
        driver.submit();
        wire.bell.decided(request);
        let mut patience = Patience::default();
        while !driver.take() {
            patience.pause();
        }
    }
}

fn sleeping_device(requests: u64, mut device: impl Device, wire: &Wire) -> u64 {
    let (mut seen, mut lost, mut dawdle) = (0, 0, Dawdle::default());
    loop {
        device.suppress_kicks();
        while device.is_available() {
            device.answer();
            seen += 1;
        }
        if seen == requests {
            return lost;
        }
        dawdle.some();
        device.ask_for_kick();
        if !device.is_available() {
            lost += u64::from(wire.bell.sleep(seen));
        }
    }
}

fn polling_device(requests: u64, mut device: impl Device, wire: &Wire) {
    device.suppress_kicks();
    for request in 1..=requests {
        let mut patience = Patience::default();
        while !device.is_available() {
            patience.pause();
        }
        device.answer();
        if device.wants_interrupt() {
            wire.line.send();
        }
        wire.line.decided(request);
    }
}

fn sleeping_driver(requests: u64, driver: &mut impl Driver, wire: &Wire) -> u64 {
    let (mut lost, mut dawdle) = (0, Dawdle::default());
    for request in 0..requests {
        driver.submit();
        loop {
            driver.disable_interrupts();
            if driver.take() {
                break;
            }
            dawdle.some();
            if !driver.enable_interrupts() {
                lost += u64::from(wire.line.sleep(request));
            }
        }
    }
    lost
}

/// Random delays, the same in each run (xorshift).
struct Dawdle(u32);

impl Default for Dawdle {
    fn default() -> Self {
        Self(0x9e37_79b9)
    }
}

impl Dawdle {
    /// Up to 399 no-ops.
    fn some(&mut self) {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        for _ in 0..self.0 % 400 {
            // SAFETY: it does nothing. It is not known to the compiler to do nothing, so the loop stays.
            unsafe { std::arch::asm!("nop", options(nomem, nostack, preserves_flags)) };
        }
    }
}
