//! Names of feature bits, for the banner and the command `features`.

use virtio::gpu::abi::feature_name;
use virtio::{DeviceId, Features};

/// The most features of one device that are named.
pub const MAX_NAMES: usize = 32;

/// The names of a set of features.
#[derive(Clone, Copy, Debug)]
pub struct FeatureNames {
    names: [&'static str; MAX_NAMES],
    count: usize,
}

impl FeatureNames {
    /// Names the features of a device; those without a name are left out.
    pub fn new(id: DeviceId, features: Features) -> Self {
        let own = |bit| if id == DeviceId::GPU { feature_name(bit) } else { None };
        let name = |bit| own(bit).or_else(|| Features::name_of(bit));
        let mut all = Self { names: [""; MAX_NAMES], count: 0 };
        for (place, name) in all.names.iter_mut().zip(features.numbers().filter_map(name)) {
            *place = name;
            all.count += 1;
        }
        all
    }

    /// The names, by ascending bits.
    pub fn as_slice(&self) -> &[&'static str] {
        self.names.get(..self.count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_bits_and_common_ones() {
        let set = Features::bit(1) | Features::EVENT_IDX | Features::VERSION_1 | Features::bit(60);
        assert_eq!(FeatureNames::new(DeviceId::GPU, set).as_slice(), ["EDID", "EVENT_IDX", "VERSION_1"]);
        assert_eq!(FeatureNames::new(DeviceId::INPUT, set).as_slice(), ["EVENT_IDX", "VERSION_1"]);
        assert_eq!(FeatureNames::new(DeviceId::GPU, Features::empty()).as_slice().len(), 0);
        let all = FeatureNames::new(DeviceId::GPU, Features::all());
        assert_eq!(all.as_slice().first(), Some(&"VIRGL"));
        assert!(all.as_slice().len() < MAX_NAMES, "there is room for all");
    }
}
