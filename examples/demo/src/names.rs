//! Names of feature bits, for the banner and the command `features`.

use virtio::{DeviceId, Features};
use virtio::{blk, console, gpu, net};

/// The most features of one device that are named.
pub const MAX_NAMES: usize = 64;

/// The names of a set of features.
#[derive(Clone, Copy, Debug)]
pub struct FeatureNames {
    names: [&'static str; MAX_NAMES],
    count: usize,
}

impl FeatureNames {
    /// Names the features of a device; those without a name are left out.
    pub fn new(id: DeviceId, features: Features) -> Self {
        let own = |bit| match id {
            DeviceId::GPU => gpu::abi::feature_name(bit),
            DeviceId::BLOCK => blk::abi::feature_name(bit),
            DeviceId::NET => net::abi::feature_name(bit),
            DeviceId::CONSOLE => console::abi::feature_name(bit),
            _ => None,
        };
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
        let all = [DeviceId::GPU, DeviceId::BLOCK, DeviceId::NET, DeviceId::CONSOLE, DeviceId::ENTROPY];
        let all = all.map(|id| FeatureNames::new(id, Features::all()));
        assert_eq!(all[0].as_slice().first(), Some(&"VIRGL"));
        let common = all[4].as_slice().len();
        for names in &all {
            assert!(names.as_slice().len() < MAX_NAMES, "there is room for all");
        }
        assert!(all[..4].iter().all(|names| names.as_slice().len() > common), "each has features of its own");
    }
}
