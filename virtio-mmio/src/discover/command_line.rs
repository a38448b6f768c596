//! Slots that a kernel's command line names, as Linux defines it: `virtio_mmio.device=SIZE@BASE:IRQ[:ID]`.
//!
//! Firecracker and QEMU's `microvm` tell their guests of devices in this way.

use core::fmt;

use super::{number, slot};
use crate::Slot;

/// The parameter's name.
const NAME: &str = "virtio_mmio.device";

/// The slots that a command line names, in its order.
///
/// Everything else on the line is passed over, and so is what follows a `--` (the arguments of the first process). Words
/// may be quoted, as a whole or from behind the `=`; `-` in the name counts as `_`.
///
/// ```
/// use virtio_mmio::{Slot, command_line};
/// use virtio_core::PhysAddr;
///
/// let line = "console=ttyS0 virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=512@0xfeb00e00:12:3";
/// let mut found = command_line(line);
///
/// let first = found.next().unwrap()?;
/// assert_eq!(first.slot, Slot { base: PhysAddr::new(0xd000_0000), len: 4096 });
/// assert_eq!((first.interrupt, first.id), (5, None));
///
/// let second = found.next().unwrap()?;
/// assert_eq!((second.slot.len, second.interrupt, second.id), (512, 12, Some(3)));
/// assert!(found.next().is_none());
///
/// // All that is in order, for `find` or `probe_all`:
/// let slots = command_line(line).filter_map(Result::ok).map(|placed| placed.slot);
/// assert_eq!(slots.count(), 2);
/// # Ok::<(), virtio_mmio::ParameterError>(())
/// ```
#[must_use]
pub const fn command_line(text: &str) -> CommandLine<'_> {
    CommandLine { text, next: 0 }
}

/// A slot that a command line names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Placed {
    /// Where its registers are.
    pub slot: Slot,
    /// Its interrupt, as the platform numbers them; never 0.
    pub interrupt: u32,
    /// Its number, if it is given one. Linux counts on from the one before otherwise.
    pub id: Option<i32>,
}

/// A parameter that cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ParameterError {
    /// Where its word begins in the command line, in bytes.
    pub at: usize,
    /// What is wrong with it.
    pub fault: ParameterFault,
}

/// What is wrong with a parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ParameterFault {
    /// The size is no number of bytes (`512`, `0x200`, `4K`).
    Size,
    /// There is no `@` with a base behind the size.
    NoBase,
    /// The base is no address.
    Base,
    /// The range has no byte, wraps, is not aligned to 4 bytes, or is longer than the CPU can address.
    Range,
    /// There is no `:` with an interrupt behind the base.
    NoInterrupt,
    /// The interrupt is no number in decimal, or 0.
    Interrupt,
    /// The id is no number in decimal, or something follows it.
    Id,
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME} at byte {} of the command line: {}", self.at, self.fault)
    }
}

impl fmt::Display for ParameterFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "the size is no number",
            Self::NoBase => "no base address",
            Self::Base => "the base is no address",
            Self::Range => "no possible range of registers",
            Self::NoInterrupt => "no interrupt",
            Self::Interrupt => "the interrupt is no number above 0",
            Self::Id => "the id is no number",
        })
    }
}

impl core::error::Error for ParameterError {}

/// Iterator of [`command_line`].
#[derive(Clone, Debug)]
pub struct CommandLine<'t> {
    text: &'t str,
    /// Where the next word is looked for.
    next: usize,
}

impl<'t> CommandLine<'t> {
    /// The next word, quotes and all, and where it begins. Quoted spaces are part of a word.
    fn word(&mut self) -> Option<(usize, &'t str)> {
        let rest = self.text.get(self.next..)?;
        let skipped = rest.find(|letter: char| !letter.is_ascii_whitespace())?;
        let begun = rest.get(skipped..)?;
        let mut quoted = false;
        let end = begun.find(|letter: char| {
            quoted ^= letter == '"';
            letter.is_ascii_whitespace() && !quoted
        });
        let word = begun.get(..end.unwrap_or(begun.len()))?;
        let at = self.next.saturating_add(skipped);
        self.next = at.saturating_add(word.len());
        Some((at, word))
    }
}

impl Iterator for CommandLine<'_> {
    type Item = Result<Placed, ParameterError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (at, word) = self.word()?;
            let word = word.trim_matches('"');
            if word == "--" {
                self.next = self.text.len();
                return None;
            }
            let value = word.split_once('=').filter(|(name, _)| is_ours(name));
            if let Some((_, value)) = value {
                return Some(placed(value.trim_matches('"')).map_err(|fault| ParameterError { at, fault }));
            }
        }
    }
}

impl core::iter::FusedIterator for CommandLine<'_> {}

fn is_ours(name: &str) -> bool {
    let plain = |byte| if byte == b'-' { b'_' } else { byte };
    name.bytes().map(plain).eq(NAME.bytes())
}

fn placed(value: &str) -> Result<Placed, ParameterFault> {
    let (size, rest) = match value.split_once('@') {
        Some((size, rest)) => (number::size(size).ok_or(ParameterFault::Size)?, rest),
        None => return Err(number::size(value).map_or(ParameterFault::Size, |_| ParameterFault::NoBase)),
    };
    let mut parts = rest.splitn(3, ':');
    let base = parts.next().and_then(number::address).ok_or(ParameterFault::Base)?;
    let interrupt = parts.next().ok_or(ParameterFault::NoInterrupt)?;
    let interrupt = number::decimal(interrupt).filter(|&irq| irq != 0).ok_or(ParameterFault::Interrupt)?;
    let id = parts.next().map(|id| number::signed(id).ok_or(ParameterFault::Id)).transpose()?;
    Ok(Placed { slot: slot(base, size).ok_or(ParameterFault::Range)?, interrupt, id })
}
