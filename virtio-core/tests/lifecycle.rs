//! Bring-up as the specification orders it (VIRTIO 1.4 §3.1.1), and every way in which it is refused.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use common::{ID, Q0, device, hold, up};
use virtio_core::device::{Init, Wanted};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::{DeviceId, Error, Features, HalError, Incompatible, Misbehaved, Misuse, Status};
use virtio_testkit::{Event, FakeDevice, TestHal};

fn status_writes(hal: &TestHal) -> Vec<Status> {
    let trace = hal.trace().into_iter();
    trace
        .filter_map(|event| if let Event::StatusWrite(status) = event { Some(status) } else { None })
        .collect()
}

const ACK: Status = Status::ACKNOWLEDGE;
const ACK_DRIVER: Status = ACK.union(Status::DRIVER);
const ALL_OK: Status = ACK_DRIVER.union(Status::FEATURES_OK);

// shows: basic.status.1, basic.status.2, init.1
#[test]
fn status_bits_are_set_in_the_order_of_the_specification() {
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    drop(up::<()>(&device, &hal, 8).unwrap());
    let live = ALL_OK | Status::DRIVER_OK;
    assert_eq!(status_writes(&hal), [Status::empty(), ACK, ACK_DRIVER, ALL_OK, live, Status::empty()]);
}

// shows: basic.status.2
#[test]
fn a_bit_that_the_device_has_set_is_not_cleared_either() {
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    let init = Init::start(device.transport(), hal.clone(), ID).unwrap();
    device.needs_reset();
    drop(init.negotiate(&Wanted::default()).unwrap());
    let writes = status_writes(&hal);
    let due = ALL_OK | Status::DEVICE_NEEDS_RESET;
    assert_eq!(writes[3..], [due, due | Status::FAILED]);
}

// shows: init.1, init.4
#[test]
fn features_ok_is_read_back_before_any_queue() {
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    let _live = up::<()>(&device, &hal, 8).unwrap();
    let trace = hal.trace();
    let at = |wanted: Event| trace.iter().position(|event| *event == wanted);
    let written = at(Event::StatusWrite(ALL_OK)).unwrap();
    assert_eq!(trace[written + 1], Event::StatusRead(ALL_OK));
    let queue = trace.iter().position(|event| matches!(event, Event::QueueEnabled { .. })).unwrap();
    let features = trace.iter().rposition(|event| matches!(event, Event::FeaturesWrite { .. })).unwrap();
    assert!(features < written && written + 1 < queue);
}

// shows: init.5, init.6
#[test]
fn refused_features_are_named_and_the_device_is_marked_failed() {
    let hal = TestHal::new();
    let device = device(8, hold).refuses_features().build(&hal);
    let error = up::<()>(&device, &hal, 8).unwrap_err();
    assert_eq!(error, Incompatible::FeaturesRefused(Features::VERSION_1).into());
    assert!(status_writes(&hal).last().unwrap().contains(Status::FAILED));
    assert!(!hal.trace().iter().any(|event| matches!(event, Event::QueueEnabled { .. })));
}

// shows: init.legacy.1
#[test]
fn a_legacy_device_sees_no_features_ok_and_one_window() {
    let hal = TestHal::new();
    let device = device(8, hold).features(Features::EVENT_IDX).legacy().build(&hal);
    let live = up::<()>(&device, &hal, 8).unwrap();
    assert_eq!(live.features(), Features::EVENT_IDX);
    assert_eq!(status_writes(&hal), [Status::empty(), ACK, ACK_DRIVER, ACK_DRIVER | Status::DRIVER_OK]);
    // The transport itself complains of any other window, when `hal` goes.
}

#[test]
fn aliased_feature_windows_do_not_cost_version_1() {
    let far = Features::bit(64);
    for wanted in [Features::empty(), far] {
        let hal = TestHal::new();
        let device = device(8, hold).aliases_feature_windows().build(&hal);
        let wanted = Wanted { optional: wanted, ..Wanted::default() };
        let init = Init::start(device.transport(), hal.clone(), ID).unwrap().negotiate(&wanted).unwrap();
        // Bit 64 aliases bit 32, which is offered: it must not be believed.
        assert_eq!(init.features(), Features::VERSION_1);
        assert_eq!(device.accepted() & Features::VERSION_1, Features::VERSION_1);
    }
}

#[test]
fn windows_are_written_high_to_low_and_far_features_negotiated() {
    let hal = TestHal::new();
    let far = Features::bit(100) | Features::bit(0);
    let device = device(8, hold).features(Features::VERSION_1 | far).build(&hal);
    let wanted = Wanted { required: far, ..Wanted::default() };
    let init = Init::start(device.transport(), hal.clone(), ID).unwrap().negotiate(&wanted).unwrap();
    assert_eq!(init.features(), far | Features::VERSION_1);
    assert_eq!(device.accepted(), far | Features::VERSION_1);
    let trace = hal.trace().into_iter();
    let windows: Vec<u32> = trace
        .filter_map(|event| if let Event::FeaturesWrite { window, .. } = event { Some(window) } else { None })
        .collect();
    assert_eq!(windows, [3, 2, 1, 0]);
}

// shows: basic.features.4, basic.features.5, basic.features.8, reserved-features.1, reserved-features.6
// shows: reserved-features.10
#[test]
fn what_is_not_implemented_or_not_wanted_is_not_accepted() {
    let hal = TestHal::new();
    let device = device(8, hold).features(Features::all()).build(&hal);
    // Asking for them does not help.
    let reserved = (44..50).fold(Features::empty(), |all, number| all | Features::bit(number));
    let foreign = Features::SR_IOV | Features::ADMIN_VQ | Features::SUSPEND | reserved;
    let wanted = Wanted { optional: Features::bit(3) | foreign, ..Wanted::default() };
    let init = Init::start(device.transport(), hal.clone(), ID).unwrap().negotiate(&wanted).unwrap();
    let accepted = init.features();
    assert_eq!(device.accepted(), accepted);
    let queue = Features::EVENT_IDX | Features::INDIRECT_DESC | Features::IN_ORDER | Features::RING_RESET;
    assert!(accepted.contains(Features::VERSION_1 | queue | Features::bit(3)));
    assert_eq!(accepted.contains(Features::RING_PACKED), cfg!(feature = "packed"));
    // Of queue and transport, what this transport cannot do, of the device, and reserved.
    let never = foreign | Features::NOTIF_CONFIG_DATA | Features::bit(2) | Features::bit(101);
    assert!(!accepted.intersects(never), "{accepted:?}");
    drop(init);
    let wanted = Wanted { required: foreign, ..Wanted::default() };
    let init = Init::start(device.transport(), hal.clone(), ID).unwrap();
    assert_eq!(init.negotiate(&wanted).map(drop), Err(Incompatible::MissingFeatures(foreign).into()));
}

#[test]
fn what_is_refused_is_not_accepted() {
    let hal = TestHal::new();
    let device = device(8, hold).features(Features::all()).build(&hal);
    let refused = Features::RING_PACKED | Features::EVENT_IDX;
    let wanted = Wanted { refused, optional: Features::bit(1), ..Wanted::default() };
    let init = Init::start(device.transport(), hal.clone(), ID).unwrap().negotiate(&wanted).unwrap();
    assert!(!init.features().intersects(refused));
    assert!(init.features().contains(Features::VERSION_1 | Features::bit(1)));
    drop(init);
    let wanted = Wanted { refused: Features::VERSION_1, ..Wanted::default() };
    let init = Init::start(device.transport(), hal.clone(), ID).unwrap();
    let missing = Incompatible::MissingFeatures(Features::VERSION_1).into();
    assert_eq!(init.negotiate(&wanted).map(drop), Err(missing));
}

// shows: basic.features.1, basic.features.2, basic.features.3
#[test]
fn a_feature_goes_when_its_prerequisite_does() {
    let (a, b, c) = (Features::bit(1), Features::bit(2), Features::bit(3));
    let wanted = Wanted { optional: a | b | c, prerequisites: &[(c, b), (b, a)], ..Wanted::default() };
    let negotiate = |offered: Features, wanted: &Wanted<'_>| {
        let hal = TestHal::new();
        let device = device(8, hold).features(offered | Features::VERSION_1).build(&hal);
        let init = Init::start(device.transport(), hal.clone(), ID).unwrap();
        init.negotiate(wanted).map(|init| init.features() - Features::VERSION_1)
    };
    assert_eq!(negotiate(b | c, &wanted), Ok(Features::empty()));
    assert_eq!(negotiate(a | c, &wanted), Ok(a));
    assert_eq!(negotiate(a | b | c, &wanted), Ok(a | b | c));
    let needs = Wanted { required: c, ..wanted };
    assert_eq!(negotiate(b | c, &needs), Err(Incompatible::MissingFeatures(c).into()));
}

// shows: basic.features.3, basic.features.7, basic.features.legacy.1, init.5, init.6
#[test]
fn a_modern_transport_needs_version_1() {
    let hal = TestHal::new();
    let device = device(8, hold).features(Features::EVENT_IDX).build(&hal);
    let error = up::<()>(&device, &hal, 8).unwrap_err();
    assert_eq!(error, Incompatible::MissingFeatures(Features::VERSION_1).into());
    assert_eq!(status_writes(&hal), [Status::empty(), ACK, ACK_DRIVER, ACK_DRIVER | Status::FAILED]);
    assert!(!hal.trace().iter().any(|event| matches!(event, Event::QueueEnabled { .. })));
}

// shows: basic.status.3
#[test]
fn a_device_that_was_marked_failed_is_reset_before_the_next_attempt() {
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    let init = Init::start(device.transport(), hal.clone(), ID).unwrap();
    drop(init.negotiate(&Wanted::default()).unwrap());
    assert!(device.status().contains(Status::FAILED));
    hal.clear_trace();
    let _live = up::<()>(&device, &hal, 8).unwrap();
    assert_eq!(hal.trace()[..2], [Event::StatusWrite(Status::empty()), Event::StatusRead(Status::empty())]);
}

// shows: reserved-features.legacy.1, reserved-features.legacy.2
#[test]
fn of_a_legacy_device_any_layout_is_accepted_and_bit_30_is_not() {
    let hal = TestHal::new();
    let unused = Features::bit(30);
    let device = device(8, hold).features(Features::ANY_LAYOUT | unused).legacy().build(&hal);
    let wanted = Wanted { optional: unused, ..Wanted::default() };
    let init = Init::start(device.transport(), hal.clone(), ID).unwrap().negotiate(&wanted).unwrap();
    assert_eq!((init.features(), device.accepted()), (Features::ANY_LAYOUT, Features::ANY_LAYOUT));
}

// shows: reserved-features.3, reserved-features.5
#[test]
fn a_translating_platform_refuses_a_device_that_bypasses_it() {
    let hal = TestHal::new();
    hal.set_translates(true);
    let plain = device(8, hold).build(&hal);
    assert_eq!(up::<()>(&plain, &hal, 8).unwrap_err(), Incompatible::BypassesTranslation.into());
    let access = Features::VERSION_1 | Features::ACCESS_PLATFORM;
    let polite = device(8, hold).features(access).build(&hal);
    assert_eq!(up::<()>(&polite, &hal, 8).unwrap().features(), access);
}

#[test]
fn a_device_of_another_type_is_not_touched() {
    let hal = TestHal::new();
    let device = FakeDevice::builder(DeviceId::BLOCK).build(&hal);
    let error = Init::start(device.transport(), hal.clone(), ID).unwrap_err();
    assert_eq!(error, Incompatible::WrongDevice(DeviceId::BLOCK).into());
    assert_eq!(hal.trace(), []);
}

#[test]
fn no_clock_is_a_named_error_and_a_spin_budget_will_do() {
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    hal.without_clock(None);
    let error = Init::start(device.transport(), hal.clone(), ID).unwrap_err();
    assert_eq!(error, Error::Platform(HalError::NoClock));
    hal.without_clock(Some(100));
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    let error = live.exchange(0, &[1], &mut [], common::LIMIT).unwrap_err();
    assert!(matches!(error, Error::Misbehaved(Misbehaved::Timeout(_))));
}

// shows: split.legacy-virtqueue-layout.1, pci.layout.common-cfg.2, pci.layout.common-cfg.3
#[test]
fn queue_sizes_are_fitted_or_refused() {
    for format in [Features::VERSION_1, Features::VERSION_1 | Features::RING_PACKED] {
        if cfg!(feature = "packed") || !format.contains(Features::RING_PACKED) {
            sizes_are_fitted_or_refused(format);
        }
    }
}

fn sizes_are_fitted_or_refused(format: Features) {
    let size = |max: u16, wanted: u16, least: u16, dictates: bool| {
        let hal = TestHal::new();
        let mut builder = device(max, hold).features(format);
        if dictates {
            builder = builder.dictates_queue_size();
        }
        let device = builder.build(&hal);
        let init = Init::start(device.transport(), hal.clone(), ID)?.negotiate(&Wanted::default())?;
        assert_eq!(init.features(), format);
        let ready = init.queues(&[QueueSpec::new::<()>(0, wanted).at_least(least)]);
        let named = hal.trace().into_iter().filter_map(|event| match event {
            Event::QueueEnabled { rings, .. } => Some(rings.size),
            _ => None,
        });
        assert!(named.eq(ready.is_ok().then(|| device.ring(0).unwrap().rings().size)));
        let mut ready = ready?;
        let size = ready.queue_size(0);
        assert_eq!(device.ring(0).unwrap().rings().size, size);
        Ok::<u16, Error>(size)
    };
    let too_small = |max, needed| Err(Incompatible::QueueTooSmall { queue: Q0, max, needed }.into());
    assert_eq!(size(0, 8, 1, false), Err(Incompatible::NoQueue(Q0).into()));
    assert_eq!(size(8, 64, 1, false), Ok(8));
    assert_eq!(size(1024, 64, 1, false), Ok(64));
    assert_eq!(size(48, 64, 1, false), Ok(32));
    assert_eq!(size(2, 64, 3, false), too_small(2, 3));
    assert_eq!(size(256, 64, 1, true), Ok(256));
    assert!(matches!(size(48, 64, 1, true), Err(Error::Incompatible(Incompatible::QueueTooSmall { .. }))));
    assert_eq!(size(8, 0, 1, false), Err(Error::Caller(Misuse::BadQueueDeclaration)));
}

// shows: split.1
#[test]
fn rings_lie_in_dma_pages_of_their_own_aligned_and_zeroed() {
    for legacy in [false, true] {
        let hal = TestHal::new();
        let builder = device(16, hold);
        let device = if legacy { builder.legacy() } else { builder }.build(&hal);
        let _live = up::<()>(&device, &hal, 16).unwrap();
        let rings = device.ring(0).unwrap().rings();
        let parts =
            [(rings.descriptor, 16, 16 * 16), (rings.driver, 2, 6 + 2 * 16), (rings.device, 4, 6 + 8 * 16)];
        let trace = hal.trace();
        for (address, align, len) in parts {
            assert!(address.is_aligned_to(align));
            let inside = trace.iter().any(|event| match *event {
                Event::DmaAlloc { device, pages } => {
                    let end = device.get() + 4096 * pages as u64;
                    device <= address && address.get() + len <= end
                }
                _ => false,
            });
            assert!(inside, "{address} is not in DMA pages");
        }
        let table = device.memory().hostile().read_vec(rings.descriptor, 256).unwrap();
        assert!(table.iter().all(|byte| *byte == 0));
    }
}

// shows: init.7
#[test]
fn a_queue_is_filled_before_driver_ok_and_kicked_after_it() {
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    let init =
        Init::start(device.transport(), hal.clone(), ID).unwrap().negotiate(&Wanted::default()).unwrap();
    let specs = [QueueSpec::new::<()>(0, 8).header(4)];
    let mut ready = init.queues(&specs).unwrap();
    for n in 0..3 {
        ready.prefill(0, Request::new(()).header(&[n])).unwrap();
    }
    let rejected = ready.prefill(1, Request::new(())).unwrap_err();
    assert_eq!(rejected.error, Misuse::NoSuchQueue.into());
    let _live = ready.live().unwrap();
    assert_eq!(device.held_readable(0), [[0], [1], [2]]);
    let trace = hal.trace();
    let kicks = trace.iter().filter(|event| **event == Event::Notify(Q0)).count();
    assert_eq!(kicks, 1);
    assert_eq!(trace.last(), Some(&Event::Notify(Q0)));
}

#[test]
fn a_device_that_needs_a_reset_says_so() {
    let hal = TestHal::new();
    let device = device(8, hold).build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    device.needs_reset();
    assert_eq!(live.ack_interrupt(), Err(Misbehaved::NeedsReset.into()));
}
