//! What goes on beside the shell: the network, and the console's ports.

use crate::card::Card;
use crate::discover::AnyDevice;
use crate::interrupts::Source;
use crate::inventory::Inventory;
use crate::net::Progress;
use crate::net::page::Page;
use crate::platform::Platform;
use crate::ports::{Ports, Turn};
use core::fmt;
use core::time::Duration;
use virtio::Hal;
use virtio::console::ConsoleError;
use virtio::net::NetError;

/// The devices that have something to do whatever is typed.
pub struct Background<'c, P: Platform, H: Hal + Clone + 'static> {
    /// The network card, if there is one.
    pub card: Option<Card<AnyDevice<'c, P>, H>>,
    /// The console, if there is one.
    pub ports: Option<Ports<AnyDevice<'c, P>, H>>,
}

/// What the page says that is not the network's own.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'s> {
    /// Everything found.
    pub inventory: &'s Inventory,
    /// The disk's size in bytes, and what it calls itself.
    pub disk: Option<(u64, &'s str)>,
    /// No interrupts are used.
    pub polled: bool,
}

/// A device is lost, and was given up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// The network card.
    Card(NetError),
    /// The console.
    Ports(ConsoleError),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Card(error) => write!(f, "the network card is lost: {error}"),
            Self::Ports(error) => write!(f, "the console is lost: {error}"),
        }
    }
}

impl core::error::Error for Loss {}

impl<P: Platform, H: Hal + Clone> fmt::Debug for Background<'_, P, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").field("card", &self.card.is_some()).finish_non_exhaustive()
    }
}

impl<P: Platform, H: Hal + Clone> Background<'_, P, H> {
    /// Goes on with all that waits. What its devices have to say from now on wakes the task.
    ///
    /// # Errors
    ///
    /// A device is lost; what is left goes on next time.
    pub fn go_on(&mut self, platform: &P, facts: Facts<'_>, now: Duration) -> Result<Progress, Loss> {
        let handlers = platform.handlers();
        if handlers.take_attention(Source::Net) {
            self.card = self.card.take().map(Card::attend).transpose().map_err(Loss::Card)?;
        }
        if handlers.take_attention(Source::Ports) {
            self.ports = self.ports.take().map(Ports::attend).transpose().map_err(Loss::Ports)?;
        }
        let mut progress = Progress::Until(None);
        let mut ports = 0;
        if let Some(console) = &mut self.ports {
            match console.go_on(P::ARCH) {
                Ok(Turn::Idle) => {}
                Ok(Turn::More) => progress = Progress::More,
                Err(error) => {
                    self.ports = None;
                    return Err(Loss::Ports(error));
                }
            }
            ports = self.ports.as_ref().map_or(0, Ports::count);
        }
        if let Some(card) = &mut self.card {
            let lease = card.stack().and_then(|stack| stack.lease());
            let Facts { inventory, disk, polled } = facts;
            let page = Page { arch: P::ARCH, inventory, mac: card.mac(), lease, disk, ports, polled };
            match card.go_on(now, &page, polled) {
                Ok(next) if progress == Progress::Until(None) => progress = next,
                Ok(_) => {}
                Err(error) => {
                    self.card = None;
                    return Err(Loss::Card(error));
                }
            }
        }
        Ok(progress)
    }
}
