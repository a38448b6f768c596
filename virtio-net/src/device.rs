//! The network device, brought up and taken down.

use core::marker::PhantomData;

use virtio_core::config::{ByteOrder, Config};
use virtio_core::device::{Device, Driver, Init, QueuesReady, Wanted};
use virtio_core::dma::{Dma, Part, Readable, Writable};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::{DeviceId, Error, Features, Hal, Misuse, Transport, log_info, log_warn};

use crate::MacAddress;
use crate::abi::{
    F_CTRL_VQ, F_MQ, F_MTU, MAX_PAIRS, MIN_MTU, NetConfig, controlq, prerequisites, receiveq, transmitq,
};
use crate::control::{ANSWER, COMMAND, Control, Terms, UNWRITTEN};
use crate::error::NetError;
use crate::fault::Drops;
use crate::link::{Link, Status};
use crate::options::Options;
use crate::payload::{Buffer, Payload};
use crate::receive::Receiver;
use crate::split::Split;
use crate::transmit::{Outlet, Sender};
use crate::wire::Wire;

/// Entries of the control queue: a command takes two, and some may be awaited at once.
const CONTROL_QUEUE: u16 = 16;

/// A virtio network card (VIRTIO 1.4 §5.1).
///
/// `B` is what frames are received into, by default DMA memory that [`Net::new`] allocates; `X` is what is sent, by default a
/// part of such a buffer. Dropping it resets the device and frees everything it was given. See the [crate](crate) for an example.
#[derive(Debug)]
pub struct Net<T: Transport, H: Hal + Clone, B = Dma<[u8], H>, X = Readable<Part<B>>> {
    pub(crate) device: Device<T, H>,
    pub(crate) facts: Facts,
    pub(crate) options: Options,
    /// What came in through [`Net::receive`] and was dropped.
    pub(crate) drops: Drops,
    payloads: PhantomData<fn() -> (B, X)>,
}

/// What is known of a device once it is up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) wire: Wire,
    /// The control queue, if there is one.
    pub(crate) controlq: Option<u16>,
    /// Pairs of queues that were set up.
    pub(crate) set_up: u16,
    /// Pairs in use: the first ones.
    pub(crate) pairs: u16,
    /// The longest frame that is sent by copying.
    copied: usize,
}

impl Facts {
    pub(crate) fn outlet(&self) -> Outlet {
        Outlet { wire: self.wire, copied: self.copied }
    }

    pub(crate) fn terms(&self) -> Terms {
        Terms { wire: self.wire, pairs: self.pairs }
    }

    fn queues(&self) -> u16 {
        self.set_up.saturating_mul(2).saturating_add(u16::from(self.controlq.is_some()))
    }

    /// Queue `nth`, in the order of their numbers but for the control queue, which comes first.
    fn spec<B: Buffer, X: Payload>(&self, nth: u16, options: &Options) -> QueueSpec {
        let nth = match (self.controlq, nth.checked_sub(1)) {
            (Some(controlq), None) => {
                // What a legacy device says of lengths means nothing here (VIRTIO 1.4 §5.1.9.1); an answer that it has not
                // written is none.
                return QueueSpec::new::<()>(controlq, CONTROL_QUEUE)
                    .at_least(2)
                    .header(COMMAND)
                    .response(ANSWER)
                    .status(UNWRITTEN)
                    .ignores_legacy_lengths();
            }
            (Some(_), Some(nth)) => nth,
            (None, _) => nth,
        };
        if nth & 1 == 0 {
            return QueueSpec::new::<Writable<B>>(nth, options.receive_queue);
        }
        let room = self.wire.header.saturating_add(self.copied);
        QueueSpec::new::<Option<X>>(nth, options.transmit_queue).at_least(2).header(room)
    }
}

impl<T: Transport, H: Hal + Clone + 'static> Net<T, H> {
    /// Brings the card behind `transport` up, with receive buffers of DMA memory: as many as the receive queues have entries.
    ///
    /// # Errors
    /// As for [`Net::with_buffers`].
    pub fn new(transport: T, hal: H, options: &Options) -> Result<Self, NetError> {
        let (memory, len) = (hal.clone(), options.buffer_len);
        let mut failed = None;
        let net = Self::with_buffers(transport, hal, options, |slot| {
            let len = if len == 0 { slot.good_len } else { len };
            Dma::zeroed_slice(memory.clone(), len).map_err(|error| failed = Some(error)).ok()
        })?;
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(net),
        }
    }

    /// Resets the device and brings it up again: after [`NetEvent::NeedsReset`](crate::NetEvent), or any [`NetError::Core`] that
    /// says that the device is down or its queues broken. What was with it is dropped; interrupts are off until enabled, and
    /// endpoints have to be [taken anew](virtio_core::interrupt). On an error the transport is gone: find the device again.
    ///
    /// # Errors
    /// As for [`Net::new`].
    pub fn recover(self) -> Result<Self, NetError> {
        let options = self.options;
        self.device.rebuild(|transport, hal| Self::new(transport, hal, &options))
    }
}

/// A place in a receive queue that is to be filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// The pair of queues.
    pub pair: u16,
    /// Which buffer of that queue, from 0.
    pub nth: u16,
    /// Bytes that it must have at least (VIRTIO 1.4 §5.1.9.3.1).
    pub least_len: usize,
    /// Bytes with which every frame that was not put together from several fits into one buffer, a tagged one too.
    pub good_len: usize,
}

impl<T: Transport, H: Hal + Clone, B: Buffer, X: Payload> Net<T, H, B, X> {
    /// Brings the card behind `transport` up, with receive buffers from `supply`: it is asked for one after the other, for each
    /// queue until it answers `None` or the queue is full. More can be [posted](Receiver::post) later.
    ///
    /// # Errors
    /// [`NetError::BadPairs`], [`NetError::NeedsAnyLayout`], [`NetError::BufferTooShort`], [`NetError::Refused`] if the device will
    /// not use several pairs; [`NetError::Core`] with what else stands in the way, such as another kind of device, features that it
    /// refuses, a platform without memory. The device is reset then, and everything freed.
    pub fn with_buffers(
        transport: T,
        hal: H,
        options: &Options,
        mut supply: impl FnMut(Slot) -> Option<B>,
    ) -> Result<Self, NetError> {
        let init = Init::start(transport, hal, DeviceId::NET)?;
        let wanted = options.wanted() - unusable(&init)?;
        let prerequisites = prerequisites(wanted);
        let init = init.negotiate(&Wanted {
            optional: wanted,
            prerequisites: &prerequisites,
            refused: options.refused,
            ..Wanted::default()
        })?;
        let facts = facts(&init.config(ByteOrder::Native)?, init.features(), options)?;
        // One of each in turn: nothing is declared twice.
        let specs = Specs::<B, X> { facts, options: *options, next: 0, payloads: PhantomData };
        let mut init = init.queues_each(specs)?;
        for pair in 0..facts.set_up {
            fill(&mut init, &facts.wire, pair, &mut supply)?;
        }
        let device = init.live()?;
        log_info!("virtio-net: {} pairs of queues, features {:#x}", facts.set_up, facts.wire.features.bits());
        let drops = Drops::default();
        let mut net = Self { device, facts, options: *options, drops, payloads: PhantomData };
        if facts.set_up > 1 {
            net.set_pairs(facts.set_up)?;
        }
        Ok(net)
    }

    /// As [`Net::recover`], with buffers from `supply`.
    ///
    /// # Errors
    /// As for [`Net::with_buffers`].
    pub fn recover_with(self, supply: impl FnMut(Slot) -> Option<B>) -> Result<Self, NetError> {
        let options = self.options;
        self.device.rebuild(|transport, hal| Self::with_buffers(transport, hal, &options, supply))
    }

    /// The address of the card; `None` if the device has none, or one that no card can have, of a group or all zeros: use
    /// [one of your own](MacAddress::local) then.
    ///
    /// # Errors
    /// [`NetError::Core`].
    pub fn mac(&self) -> Result<Option<MacAddress>, NetError> {
        self.status()?.mac()
    }

    /// The MTU of the network, in bytes without the Ethernet header, if the device states one.
    #[must_use]
    pub fn mtu(&self) -> Option<u16> {
        self.facts.wire.mtu
    }

    /// The link, as it is now.
    ///
    /// # Errors
    /// [`NetError::Core`].
    pub fn link(&self) -> Result<Link, NetError> {
        self.status()?.link()
    }

    fn status(&self) -> Result<Status<'_, T>, NetError> {
        Ok(Status::new(self.device.config(ByteOrder::Native)?, self.facts.wire))
    }

    /// Pairs of queues in use.
    #[must_use]
    pub fn pairs(&self) -> u16 {
        self.facts.pairs
    }

    /// Pairs of queues that were set up: as many can be in use.
    #[must_use]
    pub fn most_pairs(&self) -> u16 {
        self.facts.set_up
    }

    /// Uses the first `pairs` pairs of queues (VIRTIO 1.4 §5.1.9.5.6); after bring-up, all of them are. The device steers the
    /// frames of a connection to the queue of the pair that it is sent through.
    ///
    /// # Errors
    /// [`NetError::NoSuchPair`] for 0 or more than were [set up](Net::most_pairs); otherwise as for [`Control::command`].
    pub fn set_pairs(&mut self, pairs: u16) -> Result<(), NetError> {
        if pairs == 0 || pairs > self.facts.set_up {
            return Err(NetError::NoSuchPair(pairs));
        }
        let command = self.facts.terms().encode_pairs(pairs)?;
        let before = self.facts.pairs;
        // Nobody sends meanwhile, for the device is whole and lends no queue; nor afterwards, on those that are given up, unless
        // the device says that they are not (VIRTIO 1.4 §5.1.9.5.6.1).
        self.facts.pairs = before.min(pairs);
        let outcome = self.control()?.run(&command);
        match outcome {
            Ok(_) => self.facts.pairs = pairs,
            Err(NetError::Refused { .. }) => self.facts.pairs = before,
            Err(_) => {}
        }
        outcome.map(drop)
    }

    /// The control queue.
    ///
    /// # Errors
    /// [`NetError::NotNegotiated`] if the device has none; [`NetError::Core`].
    pub fn control(&mut self) -> Result<Control<'_, T, H>, NetError> {
        let controlq = self.facts.controlq.ok_or(NetError::NotNegotiated(F_CTRL_VQ))?;
        Ok(Control::new(self.device.port(controlq)?, self.facts.terms()))
    }

    /// Lends both halves of a pair of queues, from 0.
    ///
    /// # Errors
    /// [`NetError::NoSuchPair`] if it is not in use; [`NetError::Core`].
    #[expect(clippy::type_complexity, reason = "both halves, by their names")]
    pub fn pair(&mut self, pair: u16) -> Result<(Receiver<'_, B, T, H>, Sender<'_, X, T, H>), NetError> {
        if pair >= self.facts.pairs {
            return Err(NetError::NoSuchPair(pair));
        }
        let facts = self.facts;
        let mut ports = self.device.ports()?;
        let receiver = Receiver::new(ports.take(receiveq(pair))?, facts.wire);
        Ok((receiver, Sender::new(ports.take(transmitq(pair))?, facts.outlet())))
    }

    /// Lends everything at once, each to a CPU of its own: the halves of all pairs, the control queue, the state of the link.
    ///
    /// # Errors
    /// [`NetError::Core`].
    pub fn split(&mut self) -> Result<Split<'_, T, H, B, X>, NetError> {
        let facts = self.facts;
        Split::new(self.device.ports()?, facts)
    }
}

virtio_core::lifecycle! {
    impl[T: Transport, H: Hal + Clone, B: Buffer, X: Payload] Net<T, H, B, X> {
        device: device, transport: T, hal: H, error: NetError,
    }
}

/// What must not be negotiated for what the configuration space says. It may be read before (VIRTIO 1.4 §3.1.1); of a feature
/// that is not offered, it says nothing that matters.
fn unusable<T: Transport, H: Hal + Clone>(init: &Init<T, H, Driver>) -> Result<Features, NetError> {
    // No network has such an MTU, so the device does not know it (VIRTIO 1.4 §5.1.4.1).
    match init.config(ByteOrder::Native)?.get(NetConfig::MTU) {
        Ok(MIN_MTU..) => Ok(Features::empty()),
        Ok(_) | Err(Error::Incompatible(_)) => Ok(F_MTU),
        Err(error) => Err(error.into()),
    }
}

/// Reads what decides on the queues.
fn facts<T: Transport>(
    config: &Config<'_, T>,
    features: Features,
    options: &Options,
) -> Result<Facts, NetError> {
    if !features.intersects(Features::VERSION_1 | Features::ANY_LAYOUT) {
        return Err(NetError::NeedsAnyLayout);
    }
    let mtu = if features.contains(F_MTU) {
        match config.get(NetConfig::MTU)? {
            mtu @ MIN_MTU.. => Some(mtu),
            mtu => {
                // It has changed since it was looked at before.
                log_warn!("virtio-net: an MTU of {}", mtu);
                let (offset, value) = (NetConfig::MTU.offset(), u64::from(mtu));
                return Err(Error::from(virtio_core::Incompatible::ConfigOutOfRange { offset, value }).into());
            }
        }
    } else {
        None
    };
    let most = if features.contains(F_MQ) { config.get(NetConfig::MAX_VIRTQUEUE_PAIRS)? } else { 1 };
    let bad = NetError::BadPairs(most);
    if most == 0 || most > MAX_PAIRS {
        return Err(bad);
    }
    let controlq = match features.contains(F_CTRL_VQ) {
        true => Some(controlq(most).ok_or(bad)?),
        false => None,
    };
    let wire = Wire::new(features, mtu);
    Ok(Facts { wire, controlq, set_up: options.pairs_of(most), pairs: 1, copied: options.copied })
}

/// Fills the receive queue of a pair.
fn fill<T: Transport, H: Hal + Clone, B: Buffer>(
    init: &mut Init<T, H, QueuesReady>,
    wire: &Wire,
    pair: u16,
    supply: &mut impl FnMut(Slot) -> Option<B>,
) -> Result<(), NetError> {
    let size = init.queue_size(receiveq(pair));
    let (least_len, good_len) = (wire.least_buffer(size), wire.good_buffer(size));
    for nth in 0..size {
        let Some(buffer) = supply(Slot { pair, nth, least_len, good_len }) else { break };
        let len = buffer.as_ref().len();
        if len < least_len {
            return Err(NetError::BufferTooShort { len, needed: least_len });
        }
        match init.prefill(receiveq(pair), Request::new(Writable(buffer))) {
            Ok(_) => {}
            // Buffers of several segments fill a queue earlier.
            Err(rejected) if rejected.error == Misuse::QueueFull.into() => break,
            Err(rejected) => return Err(rejected.error.into()),
        }
    }
    Ok(())
}

/// The queues of a device, one after the other.
struct Specs<B, X> {
    facts: Facts,
    options: Options,
    next: u16,
    payloads: PhantomData<fn() -> (B, X)>,
}

impl<B: Buffer, X: Payload> Iterator for Specs<B, X> {
    type Item = QueueSpec;

    fn next(&mut self) -> Option<QueueSpec> {
        if self.next >= self.facts.queues() {
            return None;
        }
        let spec = self.facts.spec::<B, X>(self.next, &self.options);
        self.next = self.next.saturating_add(1);
        Some(spec)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.facts.queues().saturating_sub(self.next));
        (left, Some(left))
    }
}

impl<B: Buffer, X: Payload> ExactSizeIterator for Specs<B, X> {}
