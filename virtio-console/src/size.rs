//! How large a console is.

use core::fmt;

use virtio_core::Transport;
use virtio_core::config::Config;

use crate::ConsoleError;
use crate::abi::ConsoleConfig;

/// The size of a console, in characters. Neither number is 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Size {
    /// Characters in a line.
    pub cols: u16,
    /// Lines.
    pub rows: u16,
}

impl Size {
    /// A size that a device states. A console without columns or rows is one whose host does not know its size.
    pub(crate) const fn stated(cols: u16, rows: u16) -> Option<Self> {
        if cols == 0 || rows == 0 { None } else { Some(Self { cols, rows }) }
    }

    /// What the configuration states: both fields of one state of the device (VIRTIO 1.4 §5.3.4).
    pub(crate) fn of<T: Transport + ?Sized>(config: &Config<'_, T>) -> Result<Option<Self>, ConsoleError> {
        let read = config
            .consistent(|config| Ok((config.get(ConsoleConfig::COLS)?, config.get(ConsoleConfig::ROWS)?)));
        let (cols, rows) = read?;
        Ok(Self::stated(cols, rows))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.cols, self.rows)
    }
}
