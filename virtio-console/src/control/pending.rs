//! What was read of the device's messages while somebody waited for something else, and not fetched yet.

use crate::{ConsoleError, Event, PortId};

bitflags::bitflags! {
    /// What has happened to one port, in the order in which it is told.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct News: u8 {
        const REMOVED = 1;
        const ADDED = 1 << 1;
        const IS_CONSOLE = 1 << 2;
        const NAMED = 1 << 3;
        const RESIZED = 1 << 4;
        const CLOSED = 1 << 5;
        const OPENED = 1 << 6;
    }
}

/// Ports that it has room for.
const PORTS: usize = 32;

/// What has happened to each port, put together: so there is always room for more. Of faults, the first is kept.
#[derive(Debug)]
pub(crate) struct Pending {
    news: [News; PORTS],
    fault: Option<ConsoleError>,
}

impl Pending {
    pub(crate) const fn new() -> Self {
        Self { news: [News::empty(); PORTS], fault: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fault.is_none() && self.news.iter().all(News::is_empty)
    }

    /// Takes note of what a message said.
    pub(crate) fn push(&mut self, event: Result<Event, ConsoleError>) {
        let event = match event {
            Ok(event) => event,
            Err(fault) => {
                self.fault.get_or_insert(fault);
                return;
            }
        };
        let Some(news) = self.news.get_mut(event.port().place()) else { return };
        *news = match event {
            // One that came and went has not been there.
            Event::Removed(_) if news.contains(News::ADDED) => *news & News::REMOVED,
            Event::Removed(_) => News::REMOVED,
            Event::Added(_) => *news | News::ADDED,
            Event::IsConsole(_) => *news | News::IS_CONSOLE,
            Event::Named(_) => *news | News::NAMED,
            Event::Resized(_) => *news | News::RESIZED,
            // That it was closed in between is worth knowing; that it was open in between is not.
            Event::Opened(_) => *news | News::OPENED,
            Event::Closed(_) => (*news - News::OPENED) | News::CLOSED,
        };
    }

    /// The next one.
    pub(crate) fn pop(&mut self) -> Option<Result<Event, ConsoleError>> {
        if let Some(fault) = self.fault.take() {
            return Some(Err(fault));
        }
        let (port, news) = (0..).map(PortId::new).zip(&mut self.news).find(|(_, news)| !news.is_empty())?;
        let first = news.iter().next()?;
        *news -= first;
        Some(Ok(match first {
            News::REMOVED => Event::Removed(port),
            News::ADDED => Event::Added(port),
            News::IS_CONSOLE => Event::IsConsole(port),
            News::NAMED => Event::Named(port),
            News::RESIZED => Event::Resized(port),
            News::CLOSED => Event::Closed(port),
            _ => Event::Opened(port),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const ONE: PortId = PortId::new(1);

    fn told(events: &[Event]) -> Vec<Event> {
        let mut pending = Pending::new();
        assert!(pending.is_empty());
        for event in events {
            pending.push(Ok(*event));
        }
        let told = core::iter::from_fn(|| pending.pop()).map(Result::unwrap).collect();
        assert!(pending.is_empty());
        told
    }

    #[test]
    fn what_happened_to_a_port_is_put_together() {
        use Event::{Added, Closed, IsConsole, Named, Opened, Removed, Resized};
        assert_eq!(told(&[]), []);
        let all = [Added(ONE), IsConsole(ONE), Named(ONE), Resized(ONE), Opened(ONE)];
        assert_eq!(told(&all), all);
        assert_eq!(told(&[Opened(ONE), Opened(ONE)]), [Opened(ONE)]);
        assert_eq!(told(&[Opened(ONE), Closed(ONE)]), [Closed(ONE)]);
        assert_eq!(told(&[Closed(ONE), Opened(ONE)]), [Closed(ONE), Opened(ONE)]);
        assert_eq!(told(&[Closed(ONE), Opened(ONE), Closed(ONE)]), [Closed(ONE)]);
        assert_eq!(told(&[Added(ONE), Opened(ONE), Removed(ONE)]), []);
        assert_eq!(
            told(&[Opened(ONE), Removed(ONE), Added(ONE), Named(ONE)]),
            [Removed(ONE), Added(ONE), Named(ONE)]
        );
        assert_eq!(told(&[Removed(ONE), Added(ONE), Removed(ONE)]), [Removed(ONE)]);
        let (first, last) = (PortId::new(0), PortId::new(31));
        assert_eq!(told(&[Added(last), Added(ONE), Added(first)]), [Added(first), Added(ONE), Added(last)]);
    }

    #[test]
    fn the_first_fault_is_kept() {
        let mut pending = Pending::new();
        pending.push(Ok(Event::Added(ONE)));
        pending.push(Err(ConsoleError::PortExists(ONE)));
        pending.push(Err(ConsoleError::UnknownPort { port: ONE, event: 2 }));
        assert_eq!(pending.pop(), Some(Err(ConsoleError::PortExists(ONE))));
        assert_eq!(pending.pop(), Some(Ok(Event::Added(ONE))));
        assert_eq!(pending.pop(), None);
    }
}
