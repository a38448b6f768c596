//! What is measured: how many requests are in flight × how their ends are waited for.

use std::fmt;

/// How the end of a request is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// By looking at the used ring, again and again.
    Polling,
    /// Asleep, once nothing is there to take: the device writes to an eventfd.
    Eventfd,
}

/// One line of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// Requests in flight.
    pub depth: usize,
    /// How they are waited for.
    pub wait: Wait,
}

impl Row {
    /// The most that are in flight in any row.
    pub const DEEPEST: usize = 64;

    /// All of them, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        let waits = [Wait::Polling, Wait::Eventfd];
        waits.into_iter().flat_map(|wait| [1, 8, 32, Self::DEEPEST].map(|depth| Self { depth, wait }))
    }

    /// The row called so.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|row| row.to_string() == name)
    }

    /// Whether instructions are counted: those of waiting are as many as the device is slow, so only where none are spent on it.
    pub fn is_counted(self) -> bool {
        self.wait == Wait::Polling
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wait = match self.wait {
            Wait::Polling => "polling",
            Wait::Eventfd => "eventfd",
        };
        write!(f, "{wait}-{}", self.depth)
    }
}

#[cfg(test)]
mod tests {
    use super::Row;

    #[test]
    fn every_row_is_found_by_its_name() {
        assert_eq!(Row::all().count(), 8);
        for row in Row::all() {
            assert_eq!(Row::parse(&row.to_string()), Some(row));
        }
    }
}
