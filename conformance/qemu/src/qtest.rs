//! The qtest protocol: registers by line, and interrupt lines as they change.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::socket::Lines;

/// How long QEMU may take to answer. It takes microseconds; a loaded host, longer.
const LIMIT: Duration = Duration::from_secs(20);

/// One QEMU's qtest socket.
#[derive(Debug)]
pub struct Qtest {
    wire: Mutex<Wire>,
    reads: AtomicU64,
    writes: AtomicU64,
    broken: AtomicBool,
}

#[derive(Debug)]
struct Wire {
    lines: Lines,
    /// Interrupt lines that were seen to change: how often they were raised, and whether they are.
    irqs: BTreeMap<u32, (u64, bool)>,
    failure: Option<String>,
}

/// Register accesses so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
}

impl Qtest {
    pub(crate) fn new(lines: Lines) -> Self {
        let wire = Wire { lines, irqs: BTreeMap::new(), failure: None };
        Self {
            wire: Mutex::new(wire),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            broken: AtomicBool::new(false),
        }
    }

    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads by `command` (`readl`, `inw` …). All ones once the socket has failed, as where nobody answers.
    pub(crate) fn read(&self, command: &str, address: u64) -> u64 {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.ask(&format!("{command} {address:#x}\n")).and_then(|answer| parse(&answer)).unwrap_or(u64::MAX)
    }

    /// Writes by `command` (`writel`, `outw` …).
    pub(crate) fn write(&self, command: &str, address: u64, value: u32) {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.ask(&format!("{command} {address:#x} {value:#x}\n"));
    }

    /// Has the inputs of an interrupt controller, by its path in QEMU's object tree, reported from now on.
    ///
    /// # Errors
    /// QEMU refuses it.
    pub fn intercept_inputs(&self, controller: &str) -> io::Result<()> {
        match self.ask(&format!("irq_intercept_in {controller}\n")) {
            Some(_) => Ok(()),
            None => Err(io::Error::other(self.failure().unwrap_or_default())),
        }
    }

    fn ask(&self, command: &str) -> Option<String> {
        let mut wire = self.wire();
        if wire.failure.is_some() {
            return None;
        }
        match wire.ask(command) {
            Ok(answer) => Some(answer),
            Err(error) => {
                wire.failure = Some(format!("qtest: {}: {error}", command.trim_end()));
                self.broken.store(true, Ordering::Relaxed);
                None
            }
        }
    }

    /// What went wrong with the socket, if anything has.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.wire().failure.clone()
    }

    /// Whether the socket has failed.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Register accesses so far, configuration space included.
    #[must_use]
    pub fn count(&self) -> Count {
        Count { reads: self.reads.load(Ordering::Relaxed), writes: self.writes.load(Ordering::Relaxed) }
    }

    /// How often an interrupt line was raised so far, and whether it is, as far as QEMU has told within `limit`.
    #[must_use]
    pub fn irq(&self, line: u32, limit: Duration) -> (u64, bool) {
        let mut wire = self.wire();
        wire.listen(limit);
        wire.irqs.get(&line).copied().unwrap_or_default()
    }

    /// Waits until an interrupt line is raised (`true`) or lowered. Answers whether it came to be.
    #[must_use]
    pub fn wait_irq(&self, line: u32, raised: bool, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut wire = self.wire();
        loop {
            if wire.irqs.get(&line).copied().unwrap_or_default().1 == raised {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            wire.listen(Duration::from_millis(2));
        }
    }
}

impl Wire {
    fn ask(&mut self, command: &str) -> io::Result<String> {
        self.lines.send(command.as_bytes())?;
        let end = Instant::now() + LIMIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.next(left)?.ok_or(io::ErrorKind::TimedOut)?;
            if line.starts_with("OK") {
                return Ok(line);
            }
            if !self.note(&line) {
                return Err(io::Error::other(line));
            }
        }
    }

    /// Takes what QEMU says unasked.
    fn listen(&mut self, limit: Duration) {
        let mut left = limit;
        while let Ok(Some(line)) = self.lines.next(left) {
            self.note(&line);
            left = Duration::ZERO;
        }
    }

    /// Keeps what a line says about an interrupt; answers whether it was such a line.
    fn note(&mut self, line: &str) -> bool {
        let mut words = line.split_whitespace();
        let raised = match (words.next(), words.next()) {
            (Some("IRQ"), Some("raise")) => true,
            (Some("IRQ"), Some("lower")) => false,
            _ => return false,
        };
        let Some(Ok(number)) = words.next().map(str::parse) else { return false };
        let (count, level) = self.irqs.entry(number).or_default();
        *count += u64::from(raised && !*level);
        *level = raised;
        true
    }
}

/// The number in `OK 0x…`.
fn parse(answer: &str) -> Option<u64> {
    let digits = answer.split_whitespace().nth(1)?.strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn answers_hold_a_number() {
        assert_eq!(parse("OK 0x0000000074726976"), Some(0x7472_6976));
        assert_eq!(parse("OK"), None);
        assert_eq!(parse("OK 12"), None);
    }
}
