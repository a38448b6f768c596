//! Either format of ring, matched once per call.

use super::format::{Counts, Format, UsedEntry};
#[cfg(feature = "packed")]
use super::packed::PackedRing;
use super::split::{Regions, SplitRing};
use super::virtqueue::Setup;
use crate::abi::features::Features;
use crate::regs::BarrierClass;
use crate::transport::Rings;
use crate::{DeviceAddr, Error, Hal, Misbehaved, QueueIndex};

/// The ring of one queue.
#[derive(Debug)]
pub(super) enum Ring {
    Split(SplitRing),
    #[cfg(feature = "packed")]
    Packed(PackedRing),
}

/// Calls the same method of whichever ring it is.
macro_rules! on {
    ($ring:expr, $it:ident => $call:expr) => {
        match $ring {
            $crate::queue::ring::Ring::Split($it) => $call,
            #[cfg(feature = "packed")]
            $crate::queue::ring::Ring::Packed($it) => $call,
        }
    };
}
pub(super) use on;

impl Ring {
    /// Allocates the ring that goes with the negotiated features, and leaves its memory in `regions`.
    pub(super) fn new<H: Hal + Clone>(
        hal: &H,
        regions: &mut Regions<H>,
        setup: &Setup,
    ) -> Result<Self, Error> {
        let &Setup { size, legacy, features, .. } = setup;
        let class = BarrierClass::for_features(features);
        let event_idx = features.contains(Features::EVENT_IDX);
        #[cfg(feature = "packed")]
        if features.contains(Features::RING_PACKED) {
            return PackedRing::new(hal, regions, size, event_idx, class).map(Self::Packed);
        }
        let ring = SplitRing::new(hal, regions, size, legacy, event_idx, class)?;
        Ok(Self::Split(if setup.ignores_legacy_lengths { ring.ignoring_legacy_lengths() } else { ring }))
    }

    pub(super) fn addresses<H: Hal>(&self, regions: &Regions<H>) -> Rings {
        on!(self, ring => ring.addresses(regions))
    }

    /// Where the device sees the descriptors.
    pub(super) fn device(&self) -> DeviceAddr {
        on!(self, ring => ring.device())
    }

    pub(super) fn restart(&mut self) {
        on!(self, ring => ring.restart());
    }

    pub(super) fn publish<H: Hal>(&mut self, hal: &H, counts: &Counts) {
        on!(self, ring => ring.publish(hal, counts));
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn wants_notification<H: Hal>(&mut self, hal: &H, counts: &Counts) -> bool {
        on!(self, ring => ring.wants_notification(hal, counts))
    }

    pub(super) fn position(&self, counts: &Counts) -> u16 {
        on!(self, ring => ring.position(counts))
    }

    pub(super) fn enable_interrupts<H: Hal>(&mut self, hal: &H, counts: &Counts, ahead: u16) -> bool {
        on!(self, ring => ring.enable_interrupts(hal, counts, ahead))
    }

    pub(super) fn disable_interrupts<H: Hal>(&mut self, hal: &H, counts: &Counts) {
        on!(self, ring => ring.disable_interrupts(hal, counts));
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn next_used<H: Hal>(
        &mut self,
        hal: &H,
        counts: &Counts,
        look: bool,
        queue: impl FnOnce() -> QueueIndex,
    ) -> Result<Option<UsedEntry>, Misbehaved> {
        on!(self, ring => ring.next_used(hal, counts, look, queue))
    }

    pub(super) fn has_seen_more(&self, counts: &Counts) -> bool {
        on!(self, ring => ring.has_seen_more(counts))
    }

    #[inline]
    pub(super) fn retire(&mut self, descriptors: u16) {
        on!(self, ring => ring.retire(descriptors));
    }

    pub(super) fn can_retire(&self, counts: &Counts, requests: u64) -> bool {
        on!(self, ring => ring.can_retire(counts, requests))
    }
}
