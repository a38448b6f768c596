//! A network card for `smoltcp`, the TCP/IP stack.

mod capabilities;
mod tokens;

use core::fmt;

use smoltcp::phy::{Device, DeviceCapabilities};
use smoltcp::time::Instant;
use virtio_core::dma::{Part, Readable};
use virtio_core::{Hal, Transport};

use crate::error::NetError;
use crate::payload::Buffer;
use crate::receive::{Frame, Receiver, Seen};
use crate::transmit::Sender;
use crate::wire::Wire;

pub use tokens::{RxToken, TxToken};

/// A pair of queues as a device of `smoltcp`. Frames are parsed in the buffers that they came in with, and composed in those that
/// they are sent from; nothing is copied, but for [frames in several buffers](crate::abi::F_MRG_RXBUF).
///
/// * **Checksums.** With [`F_CSUM`](crate::abi::F_CSUM), those of TCP and UDP are the device's work: the stack leaves them out. With
///   [`F_GUEST_CSUM`](crate::abi::F_GUEST_CSUM) the stack does not look at them either: what the device has not validated is checked
///   here, and dropped if it cannot be: fragments of TCP and UDP, which have no checksum before they are put together.
/// * **Interrupts.** Before the kernel sleeps: [`Phy::enable_interrupts`].
/// * **Errors** do not go through the stack. A queue that broke sends and receives nothing more, and [`Phy::error`] says why.
///
/// ```
/// use smoltcp::iface::{Config, Interface};
/// use smoltcp::time::Instant;
/// use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Address};
/// use virtio_core::{Dma, Hal, Transport};
/// use virtio_net::{MacAddress, Net, NetError, Phy};
///
/// fn interface<T: Transport, H: Hal + Clone + 'static>(net: &mut Net<T, H>) -> Result<(), NetError> {
///     let mac = net.mac()?.unwrap_or(MacAddress::local(1));
///     let hal = net.device().hal().clone();
///     // Buffers to send from.
///     let mut pool: [Option<Dma<[u8], H>>; 8] = core::array::from_fn(|_| Dma::zeroed_slice(hal.clone(), 2048).ok());
///
///     let (receiver, sender) = net.pair(0)?;
///     let mut phy = Phy::new(receiver, sender, &mut pool);
///     let config = Config::new(EthernetAddress(mac.0).into());
///     let mut interface = Interface::new(config, &mut phy, Instant::ZERO);
///     interface.update_ip_addrs(|addresses| {
///         let _ = addresses.push(IpCidr::new(Ipv4Address::new(10, 0, 2, 15).into(), 24));
///     });
///     // … sockets, and `interface.poll(now, &mut phy, &mut sockets)` again and again.
///     Ok(())
/// }
/// # use virtio_core::{DeviceId, Features};
/// # use virtio_testkit::{FakeDevice, Reply, TestHal};
/// # let hal = TestHal::new();
/// # let fake = FakeDevice::builder(DeviceId::NET).event_queue(0, 64).queue(1, 64, |_| Reply::Write(vec![]));
/// # let fake = fake.build(&hal);
/// # interface(&mut Net::new(fake.transport(), hal.clone(), &Default::default())?)?;
/// # Ok::<(), NetError>(())
/// ```
pub struct Phy<'p, 'd, B: Buffer, T: Transport + ?Sized, H: Hal> {
    receiver: Receiver<'d, B, T, H>,
    sender: Sender<'d, Readable<Part<B>>, T, H>,
    /// Where frames in several buffers are put together, if there may be any.
    gather: Option<&'p mut B>,
    /// What is sent from; `None` where the device has it.
    pool: &'p mut [Option<B>],
    capabilities: DeviceCapabilities,
    batches: bool,
    drops: PhyDrops,
    error: Option<NetError>,
}

/// Frames that came in and that the stack has not seen, besides [those that were not in order](crate::Receiver::drops).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PhyDrops {
    /// Their checksum was wrong, or nobody could check it: of a fragment, for one.
    pub checksum: u64,
    /// They lay in several buffers, and are longer than the one to put them together in.
    pub long: u64,
    /// Frames that were to be sent, and that the queue did not take.
    pub unsent: u64,
}

impl<B: Buffer, T: Transport + ?Sized, H: Hal> fmt::Debug for Phy<'_, '_, B, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phy({:?}, {:?})", self.receiver, self.sender)
    }
}

impl<'p, 'd, B: Buffer, T: Transport + ?Sized, H: Hal> Phy<'p, 'd, B, T, H> {
    /// Makes a device of both halves of a pair, and of buffers to send from: one for each frame that may be on its way. The
    /// shortest of them limits the length of a frame; but those that have fewer than 82 bytes, as no network's frames do, are of no
    /// use, nor is one that comes back from an earlier `Phy` and is shorter than the limit. Where
    /// [frames may lie in several buffers](crate::abi::F_MRG_RXBUF), the first one that is there goes to the first place, and is
    /// used to put those together.
    pub fn new(
        receiver: Receiver<'d, B, T, H>,
        sender: Sender<'d, Readable<Part<B>>, T, H>,
        pool: &'p mut [Option<B>],
    ) -> Self {
        let wire = sender.wire();
        let first = pool.iter().position(Option::is_some).filter(|_| wire.merges());
        if let Some(first) = first {
            pool.swap(0, first);
        }
        let (gather, pool) = pool.split_at_mut(usize::from(first.is_some()));
        let gather = gather.first_mut().and_then(Option::as_mut);
        let capabilities = capabilities::of(&wire, pool);
        let (drops, error) = (PhyDrops::default(), None);
        Self { receiver, sender, gather, pool, capabilities, batches: false, drops, error }
    }

    /// Notifies the device not of every frame, but of many at once: at the next [`Phy::kick`], [`Phy::enable_interrupts`], or poll
    /// of the stack. One of these has to follow each poll that may have sent something.
    #[must_use]
    pub fn in_batches(mut self) -> Self {
        self.batches = true;
        self
    }

    /// Shows the device what was added on both sides.
    pub fn kick(&mut self) {
        self.receiver.kick();
        self.sender.kick();
    }

    /// Asks for an interrupt with the next frame that comes in. Answers whether one waits *already*: poll the stack then, for there
    /// may be no interrupt for it. Frames that were sent bring none, but while no buffer, or no room, is left to send from.
    #[must_use = "a frame that waits already may bring no interrupt"]
    pub fn enable_interrupts(&mut self) -> bool {
        self.kick();
        let received = self.receiver.enable_interrupts();
        if self.can_send() {
            self.sender.disable_interrupts();
            return received;
        }
        let sent = self.sender.enable_interrupts();
        received || sent
    }

    /// Asks for no interrupts.
    pub fn disable_interrupts(&mut self) {
        self.receiver.disable_interrupts();
        self.sender.disable_interrupts();
    }

    /// Frames that the stack has not seen.
    #[must_use]
    pub fn drops(&self) -> PhyDrops {
        self.drops
    }

    /// Why nothing is sent or received any more, if that is so.
    #[must_use]
    pub fn error(&self) -> Option<NetError> {
        self.error
    }

    /// The half that receives: its counters, more buffers for it.
    pub fn receiver(&mut self) -> &mut Receiver<'d, B, T, H> {
        &mut self.receiver
    }

    /// Both halves, back. Buffers that are being sent come back through the sender.
    #[must_use]
    #[expect(clippy::type_complexity, reason = "both halves, by their names")]
    pub fn into_halves(self) -> (Receiver<'d, B, T, H>, Sender<'d, Readable<Part<B>>, T, H>) {
        (self.receiver, self.sender)
    }

    fn wire(&self) -> Wire {
        self.sender.wire()
    }

    /// Fetches buffers of frames that were sent. Answers whether there is one to send from.
    fn reclaim(&mut self) -> bool {
        let Self { sender, pool, .. } = self;
        let budget = pool.len();
        let drained = sender.drain(budget, |sent| {
            if let Some(Readable(part)) = sent.payload {
                // Each came from a place that is empty since.
                if let Some(place) = pool.iter_mut().find(|place| place.is_none()) {
                    *place = Some(part.into_inner());
                }
            }
        });
        if let Err(error) = drained {
            self.error = Some(error);
            return false;
        }
        self.can_send()
    }

    /// Whether there is a place for any frame that the stack may send.
    fn can_send(&self) -> bool {
        let longest = self.capabilities.max_transmission_unit;
        let fits = |buffer: &B| buffer.as_ref().len() >= longest;
        // A frame takes two entries: a header, and itself.
        self.sender.room() >= 2 && self.pool.iter().flatten().any(fits)
    }
}

impl<'d, B: Buffer, T: Transport + ?Sized, H: Hal> Device for Phy<'_, 'd, B, T, H> {
    type RxToken<'a>
        = RxToken<'a, B>
    where
        Self: 'a;
    type TxToken<'a>
        = TxToken<'a, 'd, B, T, H>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        self.sender.kick();
        // An answer may have to be sent at once.
        if !self.reclaim() {
            self.receiver.kick();
            return None;
        }
        let wire = self.wire();
        let Self { receiver, sender, gather, pool, batches, drops, error, .. } = self;
        let send = TxToken::new(sender, pool, *batches, &mut drops.unsent);
        let (port, inlet) = receiver.parts();
        let turn = inlet.turn();
        while inlet.goes_on(turn) {
            let judged = match inlet.next(port) {
                Ok(Some(judged)) => judged,
                Ok(None) => return None,
                Err(why) => {
                    *error = Some(why);
                    return None;
                }
            };
            let Seen { len, offload, .. } = judged.seen;
            let is_sound = |bytes: &[u8]| tokens::is_sound(&wire, offload, bytes);
            if let Some(bytes) = judged.bytes(&wire) {
                if is_sound(bytes) {
                    return Some((RxToken::in_place(Frame::new(port, inlet, judged)), send));
                }
                drops.checksum = drops.checksum.wrapping_add(1);
                drop(Frame::new(port, inlet, judged));
                continue;
            }
            let frame = Frame::new(port, inlet, judged);
            let room = gather.as_deref_mut().and_then(|buffer| buffer.as_mut().get_mut(..len));
            let Some(room) = room else {
                drops.long = drops.long.wrapping_add(1);
                continue;
            };
            frame.copy_to(room);
            drop(frame);
            if is_sound(room) {
                let gathered = gather.as_deref().and_then(|buffer| buffer.as_ref().get(..len));
                return Some((RxToken::gathered(gathered?), send));
            }
            drops.checksum = drops.checksum.wrapping_add(1);
        }
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<Self::TxToken<'_>> {
        if !self.reclaim() {
            // So that one becomes free some time.
            self.sender.kick();
            return None;
        }
        Some(TxToken::new(&mut self.sender, self.pool, self.batches, &mut self.drops.unsent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}
