//! What was found, as plain data: it stays when drivers have taken the devices.

use crate::banner::DeviceLine;
use crate::discover::{Devices, MAX_DEVICES};
use crate::names::FeatureNames;
use virtio::{DeviceId, Features};

const NO_LINE: DeviceLine<'static> = DeviceLine {
    name: "",
    transport: crate::banner::Transport::Mmio,
    location: crate::banner::Location::Address(0),
    features: None,
};

/// Every device found, and the features of those that have a driver.
#[derive(Debug)]
pub struct Inventory {
    lines: [DeviceLine<'static>; MAX_DEVICES],
    features: [Option<FeatureNames>; MAX_DEVICES],
    count: usize,
}

impl Inventory {
    /// Notes all devices. None of them is driven yet.
    pub fn new<T>(devices: &Devices<T>) -> Self {
        let mut inventory = Self { lines: [NO_LINE; MAX_DEVICES], features: [None; MAX_DEVICES], count: 0 };
        for (line, found) in inventory.lines.iter_mut().zip(devices.iter()) {
            *line = DeviceLine {
                name: found.id.name().unwrap_or("unknown"),
                transport: found.kind,
                location: found.location,
                features: None,
            };
            inventory.count += 1;
        }
        inventory
    }

    /// Notes that device `index` is driven, and which features were negotiated; `name` if it now has a better one.
    pub fn driven(&mut self, index: usize, id: DeviceId, features: Features, name: Option<&'static str>) {
        if let Some(place) = self.features.get_mut(index) {
            *place = Some(FeatureNames::new(id, features));
        }
        if let (Some(line), Some(name)) = (self.lines.get_mut(index), name) {
            line.name = name;
        }
    }

    /// Device `index`.
    pub fn line(&self, index: usize) -> Option<DeviceLine<'_>> {
        let features = self.features.get(index).and_then(Option::as_ref).map(FeatureNames::as_slice);
        (index < self.count).then(|| self.lines.get(index).map(|line| DeviceLine { features, ..*line }))?
    }

    /// Lends all lines, in the order of the devices' places.
    pub fn with_lines<R>(&self, use_them: impl FnOnce(&[DeviceLine<'_>]) -> R) -> R {
        let mut lines = [NO_LINE; MAX_DEVICES];
        for (index, line) in lines.iter_mut().enumerate() {
            *line = self.line(index).unwrap_or(NO_LINE);
        }
        use_them(lines.get(..self.count).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::banner::{Location, Transport};
    use crate::discover::Found;
    use crate::wiring::Wiring;

    #[test]
    fn a_driven_device_has_features_and_perhaps_a_name() {
        let mut devices: Devices<()> = Devices::new();
        for (number, id) in (0..).zip([DeviceId::GPU, DeviceId::INPUT, DeviceId::new(999)]) {
            let location = Location::Address(number);
            devices.push(Found {
                id,
                location,
                kind: Transport::Mmio,
                transport: None,
                wiring: Wiring::None,
            });
        }
        let mut inventory = Inventory::new(&devices);
        inventory.driven(1, DeviceId::INPUT, Features::EVENT_IDX, Some("keyboard"));
        inventory.driven(99, DeviceId::GPU, Features::empty(), Some("nowhere"));
        inventory.with_lines(|lines| {
            assert!(lines.iter().map(|line| line.name).eq(["gpu", "keyboard", "unknown"]));
            assert!(lines.iter().map(|line| line.features).eq([None, Some(&["EVENT_IDX"][..]), None]));
        });
        assert!(inventory.line(3).is_none());
    }
}
