//! Which features a driver accepts (VIRTIO 1.4 §2.2, §3.1.1): offered ∩ implemented ∩ wanted, closed over prerequisites.

use crate::transport::Transport;
use crate::{Error, Features, Hal, HalError, Incompatible, Trust};

/// Queue and transport features that this crate implements, modern and legacy.
const IMPLEMENTED: Features = Features::EVENT_IDX
    .union(Features::VERSION_1)
    .union(Features::ACCESS_PLATFORM)
    .union(Features::ORDER_PLATFORM)
    .union(Features::INDIRECT_DESC)
    .union(if cfg!(feature = "packed") { Features::RING_PACKED } else { Features::empty() })
    .union(Features::IN_ORDER)
    .union(Features::NOTIFICATION_DATA)
    .union(Features::NOTIF_CONFIG_DATA)
    .union(Features::RING_RESET);
const IMPLEMENTED_LEGACY: Features =
    Features::EVENT_IDX.union(Features::ANY_LAYOUT).union(Features::INDIRECT_DESC);

/// Bits 0–23 and 50–127, and 41 and 42, belong to the device type (VIRTIO 1.4 §2.2). 41 is `ADMIN_VQ` all the same.
const DEVICE_TYPE: Features = Features::from_bits_retain(!(((1 << 50) - 1) & !((1 << 24) - 1)) | 1 << 42);

/// What a front-end wants of its device's own features.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Taken if offered.
    pub optional: Features,
    /// Refused without.
    pub required: Features,
    /// `(feature, what it needs)`: a feature whose needs were not accepted is not accepted either (VIRTIO 1.4 §2.2.1).
    pub prerequisites: &'a [(Features, Features)],
    /// Not taken, even if offered and implemented: to keep a queue's format or its interrupts simple.
    pub refused: Features,
}

impl Wanted<'_> {
    /// The set to accept out of `offered`.
    pub(super) fn choose<H: Hal>(&self, offered: Features, legacy: bool, hal: &H) -> Result<Features, Error> {
        let implemented = if legacy { IMPLEMENTED_LEGACY } else { IMPLEMENTED };
        let own = (self.optional | self.required) & DEVICE_TYPE;
        let mut accepted = (offered & (implemented | own)) - self.refused;
        // Each round drops at least one bit or is the last; there are at most 128.
        for _ in 0..128 {
            let lame = self
                .prerequisites
                .iter()
                .filter(|(feature, needs)| accepted.intersects(*feature) && !accepted.contains(*needs))
                .fold(Features::empty(), |lame, (feature, _)| lame | *feature);
            if lame.is_empty() {
                break;
            }
            accepted -= lame;
        }
        if hal.trust() == Trust::Confidential {
            fit_for_confidential(accepted, hal)?;
        }
        let modern = if legacy { Features::empty() } else { Features::VERSION_1 };
        let missing = (self.required | modern) - accepted;
        if !missing.is_empty() {
            return Err(Incompatible::MissingFeatures(missing).into());
        }
        if hal.translates() && !accepted.contains(Features::ACCESS_PLATFORM) {
            return Err(Incompatible::BypassesTranslation.into());
        }
        Ok(accepted)
    }

    /// Whether the front-end knows of a feature beyond the first 64.
    fn reaches_beyond_64(&self) -> bool {
        let all = self.optional | self.required;
        all.window(2) != 0 || all.window(3) != 0
    }

    /// Reads what the device offers. Windows 2 and 3 are touched only for a front-end that knows a feature there, and
    /// believed only if window 2 is not window 1 over again: QEMU 7.2's MMIO answers every higher window with window 1.
    pub(super) fn offered<T: Transport>(&self, transport: &mut T) -> Features {
        let low = transport.device_features(0);
        let mut offered = Features::from_window(0, low);
        if transport.is_legacy() {
            return offered;
        }
        let second = transport.device_features(1);
        offered |= Features::from_window(1, second);
        if self.reaches_beyond_64() {
            let third = transport.device_features(2);
            if third != second {
                offered |= Features::from_window(2, third);
                offered |= Features::from_window(3, transport.device_features(3));
            }
        }
        offered
    }
}

/// Whether a guest that does not trust its host may use a device with this set. `ACCESS_PLATFORM` says that the device reaches
/// what it is given and no more; a legacy device cannot say so, and reads its rings without any rule (VIRTIO 1.4 §6.1).
fn fit_for_confidential<H: Hal>(accepted: Features, hal: &H) -> Result<(), Error> {
    let lacks = (Features::VERSION_1 | Features::ACCESS_PLATFORM) - accepted;
    if !lacks.is_empty() {
        return Err(Incompatible::UnfitForConfidential(lacks).into());
    }
    // What a driver believes must not lie where the host can change it.
    if !hal.keeps_private() {
        return Err(HalError::NoPrivateMemory.into());
    }
    Ok(())
}

/// Writes the accepted set, highest window first: where windows alias, the last write is the one that counts.
pub(super) fn accept<T: Transport>(transport: &mut T, accepted: Features) {
    let beyond = accepted.window(2) != 0 || accepted.window(3) != 0;
    if !transport.is_legacy() {
        if beyond {
            transport.set_driver_features(3, accepted.window(3));
            transport.set_driver_features(2, accepted.window(2));
        }
        transport.set_driver_features(1, accepted.window(1));
    }
    transport.set_driver_features(0, accepted.window(0));
}
