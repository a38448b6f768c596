//! Interrupts: who is asked when one arrives, how often each came, and whom it wakes.
//!
//! A kernel keeps one [`Handlers`] in a static and calls [`Handlers::handle`] from its interrupt entry. The demo enters
//! an [`Endpoint`] for each interrupt of its devices; the drivers themselves are never touched here.
//!
//! ```text
//! interrupt ─► handle(number) ─► endpoint.ack() ─► QUEUE   ─► the device's bell rings ─┐
//!                                              └─► CONFIG ─► noted for its driver ────┼─► the task is polled again
//!                                 serial line ────────────────────────────────────────┘
//! ```

use crate::signal::Signal;
use core::cell::RefCell;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use critical_section::Mutex;
use virtio::interrupt::Shareable;
use virtio::queue::Bell;
use virtio::regs::{Mapped, Registers};
use virtio::transport::InterruptStatus;
use virtio::{AnyEndpoint, Endpoint, Hal, QueueIndex};

/// The most interrupts that are told apart: three of each device, and the serial line's.
pub const MAX_WATCHES: usize = 3 * (Source::COUNT - 1) + 1;

/// What raises an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The GPU.
    Gpu,
    /// The keyboard.
    Keyboard,
    /// The entropy device.
    Random,
    /// The disk.
    Disk,
    /// The network card.
    Net,
    /// The console and its ports.
    Ports,
    /// The serial line: a byte has been received.
    Serial,
}

impl Source {
    const COUNT: usize = 7;

    /// Its name in a table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Keyboard => "keyboard",
            Self::Random => "rng",
            Self::Disk => "blk",
            Self::Net => "net",
            Self::Ports => "console",
            Self::Serial => "serial",
        }
    }
}

/// How an interrupt reaches the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By a wire, which others may share.
    Line,
    /// By a message of its own (MSI-X): the device's vector of this number.
    Message(u16),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line => f.pad("line"),
            Self::Message(_) => f.pad("message"),
        }
    }
}

/// An interrupt that somebody waits for, as a table shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number at the interrupt controller.
    pub number: u32,
    /// How it comes.
    pub kind: Kind,
    /// Whose it is.
    pub source: Source,
    /// Whether it tells of changes of the device's configuration.
    pub config: bool,
    /// The queues it tells of, a bit each.
    pub queues: u32,
    /// How often it came and was this source's.
    pub count: u32,
}

/// A source's interrupt, and the way to acknowledge it; the serial line's needs none.
struct Watch<H: Hal, R: Registers> {
    row: Row,
    endpoint: Option<AnyEndpoint<Mapped<H>, R>>,
}

/// Places for all of them.
struct Watches<H: Hal, R: Registers>([Option<Watch<H, R>>; MAX_WATCHES]);

/// All interrupts of the demo: a static of the kernel. `R` is how the ports of legacy PCI devices are reached.
pub struct Handlers<H: Hal, R: Registers = Mapped<H>> {
    watches: Mutex<RefCell<Watches<H, R>>>,
    /// Bells of the queues: of [`Source::Keyboard`], [`Source::Random`] and [`Source::Disk`].
    keyboard: Bell,
    random: Bell,
    disk: Bell,
    /// Wakes the task that waits for anything besides a queue.
    other: Signal,
    /// The source has something to say besides its queues.
    attention: [AtomicBool; Source::COUNT],
    stray: AtomicU32,
}

impl<H: Hal, R: Registers> fmt::Debug for Handlers<H, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").finish_non_exhaustive()
    }
}

impl<H: Hal + Clone, R: Shareable> Default for Handlers<H, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H: Hal + Clone, R: Shareable> Handlers<H, R> {
    /// Nobody waits for anything yet.
    pub const fn new() -> Self {
        Self {
            watches: Mutex::new(RefCell::new(Watches([const { None }; MAX_WATCHES]))),
            keyboard: Bell::new(),
            random: Bell::new(),
            disk: Bell::new(),
            other: Signal::new(),
            attention: [const { AtomicBool::new(false) }; Source::COUNT],
            stray: AtomicU32::new(0),
        }
    }

    /// An interrupt of this number has arrived. To be called by the kernel's interrupt entry, interrupts off, before it
    /// tells the controller that the interrupt is over: a line is quiet by then.
    pub fn handle(&self, number: u32) {
        let mut said = [InterruptStatus::empty(); Source::COUNT];
        critical_section::with(|section| {
            let mut watches = self.watches.borrow_ref_mut(section);
            for watch in watches.0.iter_mut().flatten().filter(|watch| watch.row.number == number) {
                // The serial line's was acknowledged by the kernel.
                let status = watch.endpoint.as_ref().map_or(InterruptStatus::CONFIG, Endpoint::ack);
                if status.is_empty() {
                    continue;
                }
                watch.row.count = watch.row.count.wrapping_add(1);
                if let Some(place) = said.get_mut(watch.row.source as usize) {
                    *place |= status;
                }
            }
        });
        if said.iter().all(InterruptStatus::is_empty) {
            self.stray.fetch_add(1, Ordering::Relaxed);
        }
        for (source, status) in ALL.into_iter().zip(said) {
            if status.contains(InterruptStatus::QUEUE) {
                match self.bell(source) {
                    Some(bell) => bell.ring(),
                    // Whoever drives it looks at all of its queues.
                    None => self.call(source),
                }
            }
            if status.contains(InterruptStatus::CONFIG) {
                self.call(source);
            }
        }
    }

    /// Waits for a line or a message from now on. The first call of [`Handlers::take_attention`] then answers yes: what
    /// happened before is looked at once. False if there is no room.
    #[must_use]
    pub fn watch(
        &self,
        number: u32,
        kind: Kind,
        source: Source,
        queues: u16,
        endpoint: Option<AnyEndpoint<Mapped<H>, R>>,
    ) -> bool {
        let serves = |queue: &u16| endpoint.as_ref().is_some_and(|end| end.serves(QueueIndex::new(*queue)));
        let row = Row {
            number,
            kind,
            source,
            config: endpoint.is_some() && matches!(kind, Kind::Line | Kind::Message(0)),
            queues: (0..queues.min(32)).filter(serves).fold(0, |bits, queue| bits | 1 << queue),
            count: 0,
        };
        let entered = critical_section::with(|section| {
            let mut watches = self.watches.borrow_ref_mut(section);
            let place = watches.0.iter_mut().find(|place| place.is_none());
            place.map(|place| *place = Some(Watch { row, endpoint })).is_some()
        });
        self.call(source);
        entered
    }

    /// Nobody waits any more. The ways to the devices are closed.
    pub fn clear(&self) {
        for place in 0..MAX_WATCHES {
            // Dropped outside the section.
            drop(critical_section::with(|section| {
                self.watches.borrow_ref_mut(section).0.get_mut(place).and_then(Option::take)
            }));
        }
    }

    /// What a task that waits for a source's queues listens to.
    pub fn bell(&self, source: Source) -> Option<&Bell> {
        match source {
            Source::Keyboard => Some(&self.keyboard),
            Source::Random => Some(&self.random),
            Source::Disk => Some(&self.disk),
            // The GPU's driver waits by itself, and a serial line has no queue. The others are not awaited: they are asked
            // to go on.
            Source::Gpu | Source::Net | Source::Ports | Source::Serial => None,
        }
    }

    /// Wakes the task that waits for anything besides a queue. Register first, then look.
    pub fn other(&self) -> &Signal {
        &self.other
    }

    /// Whether the source's configuration may have changed, or, of the serial line, a byte has come, or anything of a source
    /// that has no bell, since the last call.
    pub fn take_attention(&self, source: Source) -> bool {
        self.attention.get(source as usize).is_some_and(|flag| flag.swap(false, Ordering::Acquire))
    }

    /// Interrupts that nobody claimed.
    pub fn stray(&self) -> u32 {
        self.stray.load(Ordering::Relaxed)
    }

    /// A copy of the table's line `index`; `None` beyond its end.
    pub fn row(&self, index: usize) -> Option<Row> {
        critical_section::with(|section| {
            self.watches.borrow_ref(section).0.iter().flatten().nth(index).map(|watch| watch.row)
        })
    }

    fn call(&self, source: Source) {
        if let Some(flag) = self.attention.get(source as usize) {
            flag.store(true, Ordering::Release);
        }
        self.other.raise();
    }
}

const ALL: [Source; Source::COUNT] =
    [Source::Gpu, Source::Keyboard, Source::Random, Source::Disk, Source::Net, Source::Ports, Source::Serial];

#[cfg(test)]
mod tests;
