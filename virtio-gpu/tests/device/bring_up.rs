//! Bring-up and the end: what is negotiated, what is refused, that nothing is forgotten.

use crate::bench::{self, CREATE_2D, FakeGpu, GET_DISPLAY_INFO, Seen, Trouble};
use virtio_core::{
    DeviceAddr, DeviceId, Error, Features, HalError, Incompatible, Misbehaved, Misuse, QueueIndex, Status,
    Wait,
};
use virtio_gpu::{CursorImage, CursorPosition, Format, Gpu, GpuError, Rgb, ScanoutId, Screen, abi};
use virtio_testkit::{Event, FakeDevice, FakeTransport, Reset, TestHal};

static CURSOR: CursorImage = CursorImage::from_pattern(&["#"]);

#[test]
fn a_gpu_comes_up_and_goes_down() {
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    assert_eq!(gpu.features(), Features::VERSION_1 | abi::F_EDID);
    assert_eq!(gpu.scanouts(), 1);
    assert_eq!(gpu.transport_info().unwrap().name, "virtio-testkit");
    assert!(fake.device.status().contains(Status::DRIVER_OK));
    assert_eq!(fake.seen(), [], "no command before it is asked for");
    drop(gpu);
    assert!(fake.device.status().is_empty());
    hal.finish();
}

#[test]
fn commands_of_a_whole_life_come_in_order() {
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let mut screen = gpu.screen().unwrap();
    let mut picture = gpu.framebuffer(&mut screen).unwrap();
    picture.clear(Rgb::WHITE).unwrap();
    picture.flush().unwrap();
    drop(gpu.close(screen).unwrap());
    let area = [0, 0, 64, 48];
    assert_eq!(
        fake.seen(),
        [
            Seen::DisplayInfo,
            Seen::Create { id: 1, format: 2, width: 64, height: 48 },
            Seen::Attach { id: 1, entries: 1 },
            Seen::SetScanout { scanout: 0, id: 1, area },
            Seen::Transfer { id: 1, area, offset: 0, fenced: true },
            Seen::Flush { id: 1, area },
            Seen::SetScanout { scanout: 0, id: 0, area: [0; 4] },
            Seen::Detach { id: 1, fenced: true },
            Seen::Unref { id: 1, fenced: true },
        ]
    );
    fake.check();
    let transport = gpu.dismantle().unwrap();
    // The same transport serves again.
    let mut gpu = Gpu::new(transport, hal.clone()).unwrap();
    gpu.display_info().unwrap();
    drop(gpu);
    hal.finish();
}

/// What is said of blob resources and of 3D in the list of what does not apply rests on this.
#[test]
fn of_the_gpus_own_features_edid_alone_is_accepted() {
    let hal = TestHal::new();
    let fake = FakeGpu::with(&hal, |builder| builder.features(Features::all()));
    let gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    assert!(gpu.features().numbers().filter(|number| *number < 24 || *number > 40).eq([1]));
    assert_eq!(fake.device.accepted(), gpu.features());
    drop(gpu);
    hal.finish();
}

#[test]
fn the_device_is_reset_before_anything_is_freed() {
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let screen = gpu.screen().unwrap();
    hal.clear_trace();
    drop(gpu);
    drop(screen);
    let trace = hal.trace();
    let freed = trace.iter().position(Event::gives_memory_back).unwrap();
    let confirmed = trace.iter().position(Event::confirms_reset).unwrap();
    assert!(confirmed < freed, "{trace:?}");
    hal.finish();
}

#[test]
fn a_legacy_transport_will_do() {
    let hal = TestHal::new();
    let fake = FakeGpu::with(&hal, |builder| builder.legacy());
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    assert_eq!(gpu.scanouts(), 1, "the configuration space is little-endian all the same");
    let mut screen = gpu.screen().unwrap();
    gpu.framebuffer(&mut screen).unwrap().flush().unwrap();
    assert!(fake.glass(0).is_some());
    fake.check();
    drop(gpu);
    hal.finish();
}

/// Brings a device up that is refused; answers why, and checks that everything was freed and the device told.
fn refused(make: impl FnOnce(&TestHal) -> FakeDevice) -> GpuError {
    let hal = TestHal::new();
    let device = make(&hal);
    let error = Gpu::new(device.transport(), hal.clone()).unwrap_err();
    assert!(!device.status().contains(Status::DRIVER_OK));
    assert!(hal.outstanding().is_none());
    hal.finish();
    error
}

fn gpu_with(
    hal: &TestHal,
    change: impl FnOnce(virtio_testkit::Builder) -> virtio_testkit::Builder,
) -> FakeDevice {
    FakeGpu::with(hal, change).device
}

#[test]
fn devices_that_cannot_be_served_are_refused_by_name() {
    type Make = fn(&TestHal) -> FakeDevice;
    let cases: [(GpuError, Make); 9] = [
        (GpuError::NoScanouts, |hal| gpu_with(hal, |builder| builder.config(bench::config(0)))),
        (GpuError::TooManyScanouts(17), |hal| gpu_with(hal, |builder| builder.config(bench::config(17)))),
        (GpuError::TooManyScanouts(u32::MAX), |hal| {
            gpu_with(hal, |builder| builder.config(bench::config(u32::MAX)))
        }),
        (Error::from(Incompatible::ConfigTooSmall { offset: 8, len: 4 }).into(), |hal| {
            gpu_with(hal, |builder| builder.config([0; 8]))
        }),
        (Error::from(Incompatible::WrongDevice(DeviceId::BLOCK)).into(), |hal| {
            FakeDevice::builder(DeviceId::BLOCK).build(hal)
        }),
        (Error::from(Incompatible::FeaturesRefused(Features::VERSION_1 | abi::F_EDID)).into(), |hal| {
            gpu_with(hal, |builder| builder.refuses_features())
        }),
        (Error::from(Incompatible::MissingFeatures(Features::VERSION_1)).into(), |hal| {
            gpu_with(hal, |builder| builder.features(abi::F_EDID))
        }),
        (Error::from(Incompatible::NoQueue(QueueIndex::new(0))).into(), |hal| {
            FakeDevice::builder(DeviceId::GPU).config(bench::config(1)).build(hal)
        }),
        (
            Error::from(Incompatible::QueueTooSmall { queue: QueueIndex::new(0), max: 2, needed: 3 }).into(),
            |hal| {
                let nothing = |_| virtio_testkit::Reply::Hold;
                FakeDevice::builder(DeviceId::GPU).config(bench::config(1)).queue(0, 2, nothing).build(hal)
            },
        ),
    ];
    for (error, make) in cases {
        assert_eq!(refused(make), error);
    }
}

/// Later versions have more to say there, earlier ones less.
// shows: basic.config.4, basic.config.5
#[test]
fn a_configuration_space_of_any_length_will_do_that_holds_what_is_needed() {
    for len in [12, 16, 20, 21, 4096] {
        let hal = TestHal::new();
        let mut config = bench::config(3);
        config.resize(len, 0xee);
        let fake = FakeGpu::with(&hal, |builder| builder.config(config));
        let gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
        assert_eq!(gpu.scanouts(), 3, "{len} bytes");
        drop(gpu);
        hal.finish();
    }
    let small = Error::from(Incompatible::ConfigTooSmall { offset: 8, len: 4 });
    assert_eq!(refused(|hal| gpu_with(hal, |builder| builder.config([0; 11]))), small.into());
}

#[test]
fn small_queues_will_do() {
    for max in [[4, 1], [3, 2], [256, 256]] {
        let hal = TestHal::new();
        let fake = FakeGpu::with_queues(&hal, max, |builder| builder);
        let gpu = Gpu::new(fake.transport(), hal.clone());
        if max[0] == 3 {
            // Two is the largest power of two that fits.
            let small = Incompatible::QueueTooSmall { queue: QueueIndex::new(0), max: 2, needed: 3 };
            assert_eq!(gpu.unwrap_err(), Error::from(small).into());
        } else {
            let mut gpu = gpu.unwrap();
            let screen = gpu.screen().unwrap();
            gpu.set_cursor(&CURSOR, 0, 0, CursorPosition::default()).unwrap();
            gpu.close(screen).unwrap();
        }
        hal.finish();
    }
}

#[test]
fn a_reset_that_never_ends_is_named_and_the_memory_leaked() {
    let hal = TestHal::new();
    let fake = FakeGpu::with(&hal, |builder| builder.reset(Reset::Never));
    // Fresh, its status is 0 already.
    let gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    hal.allow_leaks();
    let stuck = gpu.dismantle().unwrap_err();
    let timeout = Error::from(Misbehaved::Timeout(Wait::Reset));
    assert_eq!(stuck.error, timeout);
    assert!(!hal.leaks().is_empty());
    let again = stuck.transport.unwrap();
    assert_eq!(Gpu::new(again, hal.clone()).unwrap_err(), timeout.into());
    hal.finish();
}

type Fake = Gpu<FakeTransport, TestHal>;

static PIXELS: [u8; 64 * 48 * 4] = [5; 64 * 48 * 4];

/// Takes a GPU down that has one screen and whose device does not reset: nothing that the device knows of may go.
fn stuck_with<B: 'static>(hal: &TestHal, dropped: bool, make: impl FnOnce(&mut Fake) -> Screen<B>) {
    hal.allow_leaks();
    let fake = FakeGpu::new(hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let mut screen = make(&mut gpu);
    gpu.flush(&mut screen).unwrap();
    let backing = fake.host().resources[&1].backing.clone().unwrap();
    fake.device.set_reset(Reset::Never);
    hal.clear_trace();
    if dropped {
        drop(gpu);
    } else {
        let stuck = gpu.dismantle().unwrap_err();
        assert_eq!(stuck.error, Error::from(Misbehaved::Timeout(Wait::Reset)));
    }
    drop(screen);
    // Private pages do not count: the device cannot reach them.
    let reachable = |event: &Event| matches!(event, Event::DmaDealloc { .. } | Event::Unshare { .. });
    let freed: Vec<_> = hal.trace().into_iter().filter(reachable).collect();
    assert_eq!(freed, []);
    // Each stretch of the screen is named as leaked, and still there to be read: the device goes on.
    let leaks = hal.leaks();
    for (address, len) in backing {
        let named = leaks.iter().any(|leak| leak.device.get() == address);
        assert!(named, "{address:#x} is not in {leaks:?}");
        hal.memory().read_vec(DeviceAddr::new(address), len as usize).unwrap();
    }
    assert_eq!(fake.host().resources.len(), 1);
    hal.finish();
}

#[test]
fn a_lent_screen_on_a_device_that_never_resets_is_leaked_and_reported() {
    for dropped in [false, true] {
        let hal = TestHal::new();
        hal.set_max_segment(5000);
        stuck_with(&hal, dropped, |gpu| {
            gpu.screen_over(ScanoutId::new(0), 64, 48, Format::B8G8R8X8, &PIXELS[..]).unwrap()
        });
    }
}

#[test]
fn a_screen_of_pages_on_a_device_that_never_resets_is_leaked_and_reported() {
    for dropped in [false, true] {
        stuck_with(&TestHal::new(), dropped, |gpu| gpu.screen().unwrap());
    }
}

#[test]
fn a_device_that_aliases_its_feature_windows_comes_up() {
    // QEMU 7.2's virtio-mmio: what is written beyond window 1 lands in it, and would take VERSION_1 back.
    let hal = TestHal::new();
    let fake = FakeGpu::with(&hal, |builder| builder.aliases_feature_windows());
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    assert_eq!(gpu.features(), Features::VERSION_1 | abi::F_EDID);
    assert_eq!(fake.device.accepted(), Features::VERSION_1 | abi::F_EDID);
    let screen = gpu.screen().unwrap();
    gpu.close(screen).unwrap();
    fake.check();
    drop(gpu);
    hal.finish();
}

#[test]
fn a_gpu_has_a_second_life() {
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut transport = fake.transport();
    for (life, shade) in [(1, 10), (2, 20), (3, 30)] {
        let mut gpu = Gpu::new(transport, hal.clone()).unwrap();
        assert!(fake.glass(0).is_none(), "life {life}: the display is dark again");
        let mut screen = gpu.screen().unwrap();
        let mut picture = gpu.framebuffer(&mut screen).unwrap();
        picture.clear(Rgb::new(shade, shade, shade)).unwrap();
        picture.flush().unwrap();
        gpu.set_cursor(&CURSOR, 0, 0, CursorPosition::default()).unwrap();
        assert_eq!(fake.glass(0).unwrap()[0], shade);
        assert_eq!(fake.host().resources.keys().copied().collect::<Vec<_>>(), [1, 2], "ids start anew");
        // Its end comes with the screen on and the cursor shown: the reset takes both.
        transport = gpu.dismantle().unwrap();
        drop(screen);
        assert!(fake.host().resources.is_empty() && fake.host().shown.is_empty());
        assert!(hal.outstanding().is_none());
    }
    fake.check();
    hal.finish();
}

#[test]
fn a_screen_of_the_life_before_does_no_harm() {
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let mut old = gpu.screen().unwrap();
    let mut gpu = Gpu::new(gpu.dismantle().unwrap(), hal.clone()).unwrap();
    // The same device, the same resource id.
    let new = gpu.screen().unwrap();
    fake.seen();
    let unknown = GpuError::Core(Misuse::NoSuchAttachment.into());
    assert_eq!(gpu.framebuffer(&mut old).err(), Some(unknown));
    assert_eq!(gpu.show(&old), Err(unknown));
    assert_eq!(gpu.close(old).unwrap_err().error, unknown);
    assert_eq!(fake.seen(), [], "the device hears nothing of it");
    gpu.close(new).unwrap();
    assert!(fake.host().resources.is_empty());
    fake.check();
    drop(gpu);
    hal.finish();
}

#[test]
fn without_a_clock_no_wait_begins() {
    let hal = TestHal::new();
    hal.without_clock(None);
    let fake = FakeGpu::new(&hal);
    assert_eq!(Gpu::new(fake.transport(), hal.clone()).unwrap_err(), Error::from(HalError::NoClock).into());
    hal.finish();
}

#[test]
fn silence_ends_in_a_timeout_and_then_the_device_is_down() {
    for command in [GET_DISPLAY_INFO, CREATE_2D] {
        let hal = TestHal::new();
        let fake = FakeGpu::new(&hal);
        fake.trouble(command, 1, Trouble::Silence);
        let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
        let error = gpu.screen().unwrap_err();
        assert_eq!(error, Error::from(Misbehaved::Timeout(Wait::Completion(QueueIndex::new(0)))).into());
        assert!(hal.outstanding().is_none(), "the reset has freed everything");
        let down = GpuError::Core(Error::Down);
        assert_eq!(gpu.screen().unwrap_err(), down);
        assert_eq!(gpu.poll_display_change(), Err(down));
        assert_eq!(gpu.ack_interrupt(), Err(down));
        assert_eq!(gpu.transport_info(), Err(down));
        drop(gpu);
        hal.finish();
    }
}

#[test]
fn a_device_that_asks_to_be_reset_is_taken_down() {
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let screen = gpu.screen().unwrap();
    fake.device.needs_reset();
    assert_eq!(gpu.ack_interrupt(), Err(Error::from(Misbehaved::NeedsReset).into()));
    assert!(fake.device.status().is_empty() && hal.outstanding().is_none());
    let down = GpuError::Core(Error::Down);
    assert_eq!(gpu.ack_interrupt(), Err(down));
    assert_eq!(gpu.display_info().unwrap_err(), down);
    assert_eq!(gpu.close(screen).unwrap_err().error, down);
    drop(gpu);
    hal.finish();
}

// shows: basic.status.4
#[test]
fn silence_of_a_device_that_asks_to_be_reset_is_no_timeout() {
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    fake.device.set_hung(true);
    fake.device.needs_reset();
    assert_eq!(gpu.display_info(), Err(Error::from(Misbehaved::NeedsReset).into()));
    assert!(hal.outstanding().is_none());
    assert_eq!(gpu.display_info(), Err(Error::Down.into()));
    drop(gpu);
    hal.finish();
}

#[test]
fn dropped_in_mid_flight_nothing_is_lost() {
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let screen = gpu.screen().unwrap();
    // Out of half-way: the request is with the device when the kernel's clock panics.
    fake.device.set_hung(true);
    hal.panic_nth(virtio_testkit::Call::Relax, 1);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| gpu.display_info()));
    std::panic::set_hook(hook);
    assert!(unwound.is_err());
    drop(gpu);
    drop(screen);
    assert!(hal.outstanding().is_none());
    hal.finish();
}

#[test]
fn every_allocation_fails_once() {
    let mut failures = 0;
    for n in 1.. {
        let hal = TestHal::new();
        let fake = FakeGpu::new(&hal);
        hal.fail_nth(n);
        let outcome = Gpu::new(fake.transport(), hal.clone()).and_then(|mut gpu| {
            let screen = gpu.screen();
            if screen.is_err() {
                assert!(fake.host().resources.is_empty(), "nothing is left on the device");
            }
            let mut screen = screen?;
            gpu.framebuffer(&mut screen)?.flush()?;
            let shown = gpu.set_cursor(&CURSOR, 0, 0, CursorPosition::default());
            if shown.is_err() {
                assert_eq!(fake.host().resources.len(), 1, "the cursor is not left on the device");
                // Once there is memory again, it works.
                gpu.set_cursor(&CURSOR, 0, 0, CursorPosition::default())?;
            }
            gpu.close(screen)?;
            shown
        });
        assert_eq!(outcome.is_err(), hal.has_failed(), "{n}");
        assert!(hal.outstanding().is_none(), "{n}");
        fake.check();
        hal.finish();
        match outcome {
            Ok(()) => break,
            Err(error) => assert_eq!(error, Error::from(HalError::OutOfMemory).into(), "{n}"),
        }
        failures = n;
    }
    // Rings, slots and request areas of two queues; pixels and attachment of the screen, and of the cursor.
    assert!(failures >= 12, "{failures}");
}
