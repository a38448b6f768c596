//! How an interrupt shows: an interrupt controller's input, or a word in RAM that a message was written to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::machine::Machine;
use crate::qtest::Qtest;

/// What an interrupt is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Queue 0 has used a buffer.
    Queue,
    /// The configuration changed, or a reset is needed.
    Config,
}

impl Cause {
    /// The vector for it, of two.
    #[must_use]
    pub const fn vector(self) -> u16 {
        match self {
            Self::Config => 0,
            Self::Queue => 1,
        }
    }
}

/// One interrupt of a device, as the machine sees it.
#[derive(Clone, Debug)]
pub enum Signal<'m> {
    /// This input of the interrupt controller.
    Line(Arc<Qtest>, u32),
    /// Messages: the word of this vector.
    Word(&'m Machine, u16),
}

impl Signal<'_> {
    /// What a message of this vector says.
    #[must_use]
    pub const fn data(vector: u16) -> u32 {
        0x5a00_0001 + vector as u32
    }

    /// Waits until it is there.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> bool {
        match self {
            Self::Line(qtest, line) => qtest.wait_irq(*line, true, limit),
            Self::Word(machine, vector) => {
                let end = Instant::now() + limit;
                loop {
                    let word = machine.hal().word(*vector);
                    if word != 0 {
                        assert_eq!(word, Self::data(*vector), "the message of vector {vector}");
                        return true;
                    }
                    if Instant::now() >= end {
                        return false;
                    }
                    std::thread::yield_now();
                }
            }
        }
    }

    /// Whether it is gone, after it was acknowledged: the line has to fall by itself, a word is taken.
    #[must_use]
    pub fn settles(&self, limit: Duration) -> bool {
        match self {
            Self::Line(qtest, line) => qtest.wait_irq(*line, false, limit),
            Self::Word(machine, vector) => {
                machine.hal().set_word(*vector, 0);
                true
            }
        }
    }
}
