//! Displays, their EDID, and their changes.

use crate::bench::{self, Display, FakeGpu, GET_EDID, Seen, Trouble};
use virtio_core::{Features, transport::InterruptStatus};
use virtio_gpu::{EdidError, Format, Gpu, GpuError, Rect, ScanoutId};
use virtio_testkit::{Event, TestHal};

fn edid() -> Vec<u8> {
    let mut block = vec![0; 128];
    block[..8].copy_from_slice(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    block[8..10].copy_from_slice(&[0x4a, 0x14]);
    block[54..72]
        .copy_from_slice(&[0x64, 0x19, 0, 0x40, 0x41, 0, 0x26, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x18]);
    block[72..90].copy_from_slice(b"\0\0\0\xfc\0Fake GPU\n    ");
    block[126] = 1;
    block[127] = block.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
    block.extend([0xab; 128]);
    block
}

// shows: gpu.init.text.1
#[test]
fn all_sixteen_displays_are_told() {
    let hal = TestHal::new();
    let fake = FakeGpu::with(&hal, |builder| builder.config(bench::config(3)));
    fake.host().displays = [Display::default(); 16];
    fake.host().displays[1] = Display { area: [0, 0, 800, 600], enabled: 7, flags: 9 };
    fake.host().displays[2] = Display { area: [800, 20, 640, 480], enabled: 1, flags: 0 };
    // Beyond what the device has: an allegation, which is shown, but not used.
    fake.host().displays[15] = Display { area: [1, 2, 3, 4], enabled: 1, flags: 0 };
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let info = gpu.display_info().unwrap();
    assert!(info.all().iter().map(|display| display.scanout.get()).eq(0..16));
    assert_eq!((info.all()[1].enabled, info.all()[1].flags), (true, 9));
    assert_eq!(info.all()[15].rect, Rect::new(1, 2, 3, 4));
    assert_eq!(info.iter().count(), 3);
    let enabled: Vec<_> = info.enabled().map(|display| (display.scanout.get(), display.rect)).collect();
    assert_eq!(enabled, [(1, Rect::new(0, 0, 800, 600)), (2, Rect::new(800, 20, 640, 480))]);
    let screen = gpu.screen().unwrap();
    assert_eq!((screen.scanout().get(), screen.width(), screen.height()), (1, 800, 600));
    gpu.close(screen).unwrap();
    fake.check();
    drop(gpu);
    hal.finish();
}

#[test]
fn with_no_display_on_there_is_a_fallback() {
    for display in [
        Display::default(),
        Display { area: [0, 0, 800, 600], enabled: 0, flags: 0 },
        Display { area: [0, 0, 0, 600], enabled: 1, flags: 0 },
    ] {
        let hal = TestHal::new();
        let fake = FakeGpu::new(&hal);
        fake.host().displays[0] = display;
        let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
        let screen = gpu.screen().unwrap();
        assert_eq!((screen.scanout().get(), screen.width(), screen.height()), (0, 1024, 768));
        drop((gpu, screen));
        hal.finish();
    }
}

#[test]
fn displays_of_absurd_size_are_refused_and_no_memory_is_taken() {
    for (width, height) in
        [(u32::MAX, u32::MAX), (u32::MAX, 1 << 30), (20_000, 20_000), (16_385, 1), (1, 16_385)]
    {
        let hal = TestHal::new();
        let fake = FakeGpu::with(&hal, |builder| builder.config(bench::config(2)));
        fake.host().displays[0] = Display::default();
        fake.host().displays[1] = Display { area: [0, 0, width, height], enabled: 1, flags: 0 };
        let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
        let before = hal.outstanding();
        let scanout = ScanoutId::new(1);
        let absurd = GpuError::AbsurdDisplay { scanout, width, height };
        assert_eq!(gpu.screen().unwrap_err(), absurd);
        assert!(absurd.to_string().contains(&format!("{width}x{height} on scanout 1")), "{absurd}");
        assert_eq!((hal.outstanding(), fake.seen()), (before, vec![Seen::DisplayInfo]));
        drop(gpu);
        hal.finish();
    }
}

#[test]
fn the_largest_display_is_served_and_a_larger_screen_is_the_callers_to_ask_for() {
    for area in [[0, 0, 16_384, 1], [0, 0, 1, 16_384]] {
        let hal = TestHal::new();
        let fake = FakeGpu::new(&hal);
        fake.host().displays[0] = Display { area, enabled: 1, flags: 0 };
        let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
        let screen = gpu.screen().unwrap();
        assert_eq!([0, 0, screen.width(), screen.height()], area);
        gpu.close(screen).unwrap();
        let screen = gpu.screen_on(ScanoutId::new(0), 16_385, 1, Format::B8G8R8X8).unwrap();
        gpu.close(screen).unwrap();
        fake.check();
        drop(gpu);
        hal.finish();
    }
}

#[test]
fn an_edid_is_read_and_parsed() {
    let hal = TestHal::new();
    let fake = FakeGpu::with(&hal, |builder| builder.config(bench::config(2)));
    fake.host().edid = edid();
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let read = gpu.edid(ScanoutId::new(1)).unwrap();
    assert_eq!(fake.seen(), [Seen::Edid { scanout: 1 }]);
    assert_eq!(read.manufacturer.as_str(), "RPT");
    assert_eq!(read.name.unwrap().as_str(), "Fake GPU");
    assert_eq!(read.preferred.map(|mode| (mode.width, mode.height)), Some((1024, 768)));
    let mut bytes = [0x77; 300];
    assert_eq!(gpu.edid_bytes(ScanoutId::new(0), &mut bytes), Ok(256));
    assert_eq!((&bytes[..256], &bytes[256..]), (&edid()[..], &[0x77; 44][..]));
    let mut bytes = [0; 10];
    assert_eq!(gpu.edid_bytes(ScanoutId::new(0), &mut bytes), Ok(10));
    assert_eq!(gpu.edid(ScanoutId::new(2)), Err(GpuError::NoSuchScanout(ScanoutId::new(2))));
    fake.check();
    drop(gpu);
    hal.finish();
}

#[test]
fn the_length_of_an_edid_is_an_allegation() {
    let short = |len| Err(GpuError::Edid(EdidError::TooShort { len }));
    for (size, written, expected) in [
        (Some(u32::MAX), None, Ok(1024)),
        (Some(1025), None, Ok(1024)),
        (Some(127), None, short(127)),
        (Some(0), None, short(0)),
        // The device writes less than it says.
        (Some(1024), Some(8 + 128), Ok(128)),
        (Some(1024), Some(8 + 127), short(127)),
        (Some(1024), Some(8), short(0)),
    ] {
        let hal = TestHal::new();
        let fake = FakeGpu::new(&hal);
        fake.host().edid = edid();
        (fake.host().edid_size, fake.host().edid_written) = (size, written);
        let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
        let read = gpu.edid(ScanoutId::new(0));
        match expected {
            Ok(len) => {
                assert_eq!(read.unwrap().name.unwrap().as_str(), "Fake GPU");
                assert_eq!(
                    gpu.edid_bytes(ScanoutId::new(0), &mut [0; 2000]),
                    Ok(len),
                    "{size:?} {written:?}"
                );
            }
            Err(error) => assert_eq!(read, Err(error), "{size:?} {written:?}"),
        }
        drop(gpu);
        hal.finish();
    }
}

#[test]
fn bad_edids_are_refused_and_the_gpu_goes_on() {
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    fake.host().edid = vec![0; 128];
    assert_eq!(gpu.edid(ScanoutId::new(0)), Err(EdidError::NoHeader.into()));
    fake.host().edid = edid();
    fake.host().edid[20] ^= 0x10;
    assert_eq!(gpu.edid(ScanoutId::new(0)), Err(EdidError::BadChecksum { sum: 0x10 }.into()));
    fake.trouble(GET_EDID, 1, Trouble::Short(31));
    assert!(matches!(
        gpu.edid(ScanoutId::new(0)),
        Err(GpuError::ShortResponse { written: 31, needed: 32, .. })
    ));
    fake.host().edid = edid();
    assert!(gpu.edid(ScanoutId::new(0)).is_ok());
    drop(gpu);
    hal.finish();
}

// shows: basic.features.6
#[test]
fn without_the_feature_no_edid_is_asked_for() {
    let hal = TestHal::new();
    let fake = FakeGpu::with(&hal, |builder| builder.features(Features::VERSION_1));
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    assert_eq!(gpu.edid(ScanoutId::new(0)), Err(GpuError::EdidNotOffered));
    assert_eq!(gpu.edid_bytes(ScanoutId::new(0), &mut []), Err(GpuError::EdidNotOffered));
    assert_eq!(fake.seen(), []);
    drop(gpu);
    hal.finish();
}

// shows: basic.config.3, gpu.config.fields.text.1, pci.layout.1, mmio.regs.5
#[test]
fn in_a_whole_life_two_fields_are_read_and_one_is_written_each_of_32_bits() {
    let hal = TestHal::new();
    // The space ends with the last field, which goes with a feature that is offered, and not accepted.
    let fake = FakeGpu::with(&hal, |builder| builder.features(Features::all()));
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let mut config = bench::config(1);
    config[0] = 1;
    fake.device.set_config(config);
    assert_eq!(gpu.ack_interrupt(), Ok(InterruptStatus::CONFIG));
    assert_eq!(gpu.poll_display_change(), Ok(true));
    gpu.display_info().unwrap();
    let screen = gpu.screen().unwrap();
    gpu.close(screen).unwrap();
    drop(gpu);
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for event in hal.trace() {
        match event {
            Event::ConfigRead { offset, len } => reads.push((offset, len)),
            Event::ConfigWrite { offset, bytes } => writes.push((offset, bytes.len())),
            _ => {}
        }
    }
    reads.sort_unstable();
    reads.dedup();
    assert_eq!((reads, writes), (vec![(0, 4), (8, 4)], vec![(4, 4)]));
    hal.finish();
}

// shows: gpu.config.fields.text.1, gpu.config.events.text.1
#[test]
fn a_change_is_told_once_and_only_its_bit_is_cleared() {
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    assert_eq!(gpu.poll_display_change(), Ok(false));
    let mut config = bench::config(1);
    config[0] = 0x81;
    fake.device.set_config(config);
    fake.host().displays[0].area = [0, 0, 100, 50];
    assert_eq!(gpu.ack_interrupt(), Ok(InterruptStatus::CONFIG));
    hal.clear_trace();
    assert_eq!(gpu.poll_display_change(), Ok(true));
    let written = Event::ConfigWrite { offset: 4, bytes: vec![1, 0, 0, 0] };
    assert_eq!(
        hal.trace().iter().filter(|event| matches!(event, Event::ConfigWrite { .. })).collect::<Vec<_>>(),
        [&written]
    );
    assert_eq!(fake.device.config()[0], 0x80, "an event of another kind stays");
    assert_eq!(gpu.poll_display_change(), Ok(false));
    let screen = gpu.screen().unwrap();
    assert_eq!((screen.width(), screen.height()), (100, 50));
    drop((gpu, screen));
    hal.finish();
}
