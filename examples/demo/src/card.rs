//! The network card under the [`Stack`]: brought up at the start, used from the first command `net` on.

use crate::net::http::Content;
use crate::net::{Progress, Stack, Storage};
use core::time::Duration;
use virtio::net::{MacAddress, Net, NetError, NetEvent, Options, Phy};
use virtio::transport::InterruptStatus;
use virtio::{Dma, Features, Hal, Transport};

/// Frames that may wait to be looked at, and to be sent.
const RECEIVE: u16 = 32;
const SEND: usize = 16;
/// Bytes of one: a whole Ethernet frame with its tag.
const FRAME: usize = 1518;

/// A network card, and what is spoken over it.
#[derive(Debug)]
pub struct Card<T: Transport, H: Hal + Clone + 'static> {
    net: Net<T, H>,
    /// Buffers to send from.
    pool: [Option<Dma<[u8], H>>; SEND],
    mac: MacAddress,
    stack: Option<Stack>,
}

impl<T: Transport, H: Hal + Clone + 'static> Card<T, H> {
    /// Brings the card up.
    ///
    /// # Errors
    ///
    /// It cannot be driven.
    pub fn new(transport: T, hal: H) -> Result<Self, NetError> {
        // Frames are sent from the pool, none is copied.
        let options = Options { receive_queue: RECEIVE, copied: 0, ..Options::default() };
        let net = Net::new(transport, hal.clone(), &options)?;
        let mut pool = [const { None }; SEND];
        for place in &mut pool {
            *place = Some(Dma::zeroed_slice(hal.clone(), FRAME)?);
        }
        let mac = net.mac()?.unwrap_or(MacAddress::local(1));
        Ok(Self { net, pool, mac, stack: None })
    }

    /// The device.
    pub fn net(&self) -> &Net<T, H> {
        &self.net
    }

    /// The features negotiated.
    pub fn features(&self) -> Features {
        self.net.features()
    }

    /// Its Ethernet address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac.0
    }

    /// What is spoken over it, once begun.
    pub fn stack(&mut self) -> Option<&mut Stack> {
        self.stack.as_mut()
    }

    /// Begins to speak, if it has not; `seed` as in [`Stack::new`]. False if another card has the memory for it.
    ///
    /// # Errors
    ///
    /// The device is lost.
    pub fn begin(&mut self, now: Duration, seed: u64) -> Result<bool, NetError> {
        if self.stack.is_none()
            && let Some(storage) = Storage::take()
        {
            let (receiver, sender) = self.net.pair(0)?;
            let mut phy = Phy::new(receiver, sender, &mut self.pool);
            self.stack = Some(Stack::new(&mut phy, self.mac.0, seed, now, storage));
        }
        Ok(self.stack.is_some())
    }

    /// Follows up on an interrupt about something else than frames. The card is brought up again if it asks for that; the
    /// stack takes what was under way then for lost, and sends it again.
    ///
    /// # Errors
    ///
    /// The device is lost.
    pub fn attend(mut self) -> Result<Self, NetError> {
        match self.net.attend(InterruptStatus::CONFIG)? {
            Some(NetEvent::NeedsReset) => {
                let hal = self.net.device().hal().clone();
                let net = self.net.recover()?;
                for place in self.pool.iter_mut().filter(|place| place.is_none()) {
                    *place = Some(Dma::zeroed_slice(hal.clone(), FRAME)?);
                }
                Ok(Self { net, ..self })
            }
            // The link is up again, or down: packets are sent again until they get through.
            _ => Ok(self),
        }
    }

    /// Goes on with what has come and with what is due. Pages are made of `content`.
    ///
    /// # Errors
    ///
    /// The device is lost.
    pub fn go_on(
        &mut self,
        now: Duration,
        content: &impl Content,
        polled: bool,
    ) -> Result<Progress, NetError> {
        let Some(stack) = &mut self.stack else { return Ok(Progress::Until(None)) };
        let (receiver, sender) = self.net.pair(0)?;
        let mut phy = Phy::new(receiver, sender, &mut self.pool).in_batches();
        let progress = stack.go_on(&mut phy, now, content);
        let waits = if polled {
            phy.kick();
            false
        } else {
            phy.enable_interrupts()
        };
        match phy.error() {
            Some(error) => Err(error),
            None if waits => Ok(Progress::More),
            None => Ok(progress),
        }
    }
}
