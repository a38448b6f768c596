//! An input device whose answers to the selectors are libFuzzer's, and change when it likes (VIRTIO 1.4 §5.8.4): texts are
//! texts, bits lie in their range, and every question is answered or refused by name.
#![no_main]

use libfuzzer_sys::fuzz_target;
use virtio_core::DeviceId;
use virtio_input::{EventType, Input};
use virtio_testkit::{FakeDevice, Reply, TestHal};

fuzz_target!(|input: &[u8]| {
    let [how, rest @ ..] = input else { return };
    let hal = TestHal::new();
    let mut bytes = Vec::from(rest).into_iter();
    let len = if how & 1 == 0 { 136 } else { usize::from(*how) };
    let mut builder = FakeDevice::builder(DeviceId::INPUT)
        .config(vec![0; len])
        .on_config_write(move |space, _, _| {
            for byte in space.iter_mut().skip(2) {
                *byte = bytes.next().unwrap_or(0);
            }
        })
        .event_queue(0, 8)
        .queue(1, 8, |_| Reply::Hold);
    if how & 2 != 0 {
        builder = builder.legacy();
    }
    let device = builder.build(&hal);
    let Ok(mut driver) = Input::new(device.transport(), hal.clone()) else { return };
    if how & 4 != 0 {
        device.unsettle_config(u32::from(how >> 3));
    }
    for text in [driver.name(), driver.serial()].into_iter().flatten() {
        let text = text.as_str();
        assert!(text.len() <= 128 * 3 && text.chars().all(|c| !c.is_control()), "{text:?}");
    }
    let _ = driver.ids();
    let mut sets = vec![driver.properties()];
    for kind in 0..32 {
        sets.push(driver.supports(EventType::new(kind)));
    }
    for set in sets.into_iter().flatten() {
        let listed: Vec<u16> = set.iter().collect();
        assert!(listed.len() <= 1024 && listed.is_sorted());
        assert!(listed.iter().all(|number| set.contains(*number)));
        assert_eq!(listed.is_empty(), set.is_empty());
    }
    for axis in [0, 1, 63, 255, 256, u16::MAX] {
        let _ = driver.abs_info(axis);
    }
    // It is still a device: what it could not answer did it no harm.
    device.send(0, &[1, 0, 30, 0, 1, 0, 0, 0]);
    assert!(driver.next_event().is_ok_and(|event| event.is_some()));
});
