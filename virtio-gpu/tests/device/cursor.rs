//! The hardware cursor: set, changed, moved, hidden, any number of times.

use crate::bench::{self, FakeGpu, Seen, TRANSFER, Trouble, UPDATE_CURSOR};
use virtio_core::{Error, Misbehaved, QueueIndex, Wait};
use virtio_gpu::{CursorImage, CursorPosition, Gpu, GpuError, ScanoutId};
use virtio_testkit::{FakeTransport, TestHal};

const FIRST: ScanoutId = ScanoutId::new(0);
const SECOND: ScanoutId = ScanoutId::new(1);

fn start(hal: &TestHal) -> (FakeGpu, Gpu<FakeTransport, TestHal>) {
    let fake = FakeGpu::with(hal, |builder| builder.config(bench::config(2)));
    let gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    (fake, gpu)
}

fn finish(hal: &TestHal, fake: &FakeGpu, gpu: Gpu<FakeTransport, TestHal>) {
    fake.check();
    drop(gpu);
    hal.finish();
}

fn at(x: u32, y: u32) -> CursorPosition {
    CursorPosition::new(FIRST, x, y)
}

/// A picture of one shade, but for its last pixel.
fn shade(shade: u8) -> CursorImage {
    let mut rows = [[[shade; 4]; 64]; 64];
    rows[63][63] = [1, 2, 3, 4];
    CursorImage::new(rows)
}

fn bytes(image: &CursorImage) -> Vec<u8> {
    (0..64).flat_map(|y| (0..64).flat_map(move |x| image.pixel(x, y).unwrap())).collect()
}

// shows: gpu.op.cursor.text.1
#[test]
fn it_changes_five_times_and_more() {
    let hal = TestHal::new();
    let (fake, mut gpu) = start(&hal);
    for round in 0..5_u8 {
        let image = shade(round * 50);
        let (hot, x) = (u32::from(round), 100 + u32::from(round));
        gpu.set_cursor(&image, hot, 2, at(x, 7)).unwrap();
        let cursor = fake.host().cursors[&0].clone();
        assert!(cursor.visible);
        assert_eq!((cursor.at, cursor.hot), ((x, 7), (hot, 2)));
        assert_eq!(cursor.image, bytes(&image), "round {round}");
    }
    // One resource serves for all, and the fenced transfer comes before the update.
    let seen = fake.seen();
    assert_eq!(
        seen[..3],
        [
            Seen::Create { id: 1, format: 1, width: 64, height: 64 },
            Seen::Attach { id: 1, entries: 1 },
            Seen::Transfer { id: 1, area: [0, 0, 64, 64], offset: 0, fenced: true },
        ]
    );
    assert_eq!(seen[3], Seen::UpdateCursor { id: 1, scanout: 0, at: (100, 7), hot: (0, 2) });
    assert_eq!(seen.len(), 2 + 5 * 2);
    finish(&hal, &fake, gpu);
}

#[test]
fn it_moves_and_stays_visible() {
    let hal = TestHal::new();
    let (fake, mut gpu) = start(&hal);
    assert_eq!(gpu.move_cursor(at(1, 1)), Err(GpuError::NoCursor));
    gpu.set_cursor(&shade(9), 0, 0, at(1, 1)).unwrap();
    fake.seen();
    for step in 0..200 {
        gpu.move_cursor(at(step, step + 1)).unwrap();
        assert_eq!(fake.seen(), [Seen::MoveCursor { id: 1, scanout: 0, at: (step, step + 1) }]);
        assert!(fake.host().cursors[&0].visible);
    }
    assert_eq!(fake.host().cursors[&0].at, (199, 200));
    finish(&hal, &fake, gpu);
}

#[test]
fn it_hides_and_comes_back() {
    let hal = TestHal::new();
    let (fake, mut gpu) = start(&hal);
    gpu.hide_cursor().unwrap();
    assert_eq!(fake.seen(), [], "there is none");
    gpu.set_cursor(&shade(9), 0, 0, at(5, 6)).unwrap();
    gpu.hide_cursor().unwrap();
    assert!(!fake.host().cursors[&0].visible);
    fake.seen();
    gpu.hide_cursor().unwrap();
    assert_eq!(fake.seen(), [], "it is hidden already");
    assert_eq!(gpu.move_cursor(at(1, 1)), Err(GpuError::NoCursor));
    gpu.set_cursor(&shade(8), 3, 4, at(7, 8)).unwrap();
    let cursor = fake.host().cursors[&0].clone();
    assert_eq!((cursor.visible, cursor.at, cursor.hot), (true, (7, 8), (3, 4)));
    assert_eq!(cursor.image, bytes(&shade(8)));
    finish(&hal, &fake, gpu);
}

#[test]
fn it_wanders_from_display_to_display() {
    let hal = TestHal::new();
    let (fake, mut gpu) = start(&hal);
    gpu.set_cursor(&shade(9), 1, 2, at(5, 6)).unwrap();
    gpu.move_cursor(CursorPosition::new(SECOND, 3, 4)).unwrap();
    assert!(!fake.host().cursors[&0].visible);
    let cursor = fake.host().cursors[&1].clone();
    assert_eq!((cursor.visible, cursor.at, cursor.hot), (true, (3, 4), (1, 2)));
    assert_eq!(cursor.image, bytes(&shade(9)));
    gpu.set_cursor(&shade(7), 0, 0, at(1, 1)).unwrap();
    assert!(fake.host().cursors[&0].visible && !fake.host().cursors[&1].visible);
    finish(&hal, &fake, gpu);
}

#[test]
fn bad_places_are_refused_before_the_device_hears_of_them() {
    let hal = TestHal::new();
    let (fake, mut gpu) = start(&hal);
    let nowhere = CursorPosition::new(ScanoutId::new(2), 0, 0);
    assert_eq!(gpu.set_cursor(&shade(1), 0, 0, nowhere), Err(GpuError::NoSuchScanout(nowhere.scanout)));
    assert_eq!(gpu.move_cursor(nowhere), Err(GpuError::NoSuchScanout(nowhere.scanout)));
    for (x, y) in [(64, 0), (0, 64), (u32::MAX, u32::MAX)] {
        assert_eq!(gpu.set_cursor(&shade(1), x, y, at(0, 0)), Err(GpuError::HotSpotOutside { x, y }));
    }
    assert_eq!(fake.seen(), []);
    finish(&hal, &fake, gpu);
}

#[test]
fn after_a_failed_change_the_next_one_works() {
    let hal = TestHal::new();
    let (fake, mut gpu) = start(&hal);
    fake.trouble(TRANSFER, 1, Trouble::Refuse(0x1205));
    assert!(gpu.set_cursor(&shade(1), 0, 0, at(0, 0)).is_err());
    assert!(!fake.host().cursors.contains_key(&0), "no update without the picture");
    gpu.set_cursor(&shade(2), 0, 0, at(0, 0)).unwrap();
    assert_eq!(fake.host().cursors[&0].image, bytes(&shade(2)));
    assert_eq!(fake.host().resources.len(), 1);
    finish(&hal, &fake, gpu);
}

#[test]
fn silence_on_the_cursor_queue_ends_in_a_timeout() {
    let hal = TestHal::new();
    let (fake, mut gpu) = start(&hal);
    fake.trouble(UPDATE_CURSOR, 1, Trouble::Silence);
    let timeout = Misbehaved::Timeout(Wait::Completion(QueueIndex::new(1)));
    assert_eq!(gpu.set_cursor(&shade(1), 0, 0, at(0, 0)), Err(Error::from(timeout).into()));
    assert!(hal.outstanding().is_none());
    assert_eq!(gpu.display_info(), Err(GpuError::Core(Error::Down)));
    finish(&hal, &fake, gpu);
}

#[test]
fn patterns_are_drawn_from_the_upper_left_corner() {
    static PATTERN: CursorImage = CursorImage::from_pattern(&["#o", "", " #"]);
    let (black, white, clear) = ([0, 0, 0, 255], [255; 4], [0; 4]);
    for (place, pixel) in [
        ((0, 0), black),
        ((1, 0), white),
        ((2, 0), clear),
        ((0, 1), clear),
        ((0, 2), clear),
        ((1, 2), black),
        ((63, 63), clear),
    ] {
        assert_eq!(PATTERN.pixel(place.0, place.1), Some(pixel), "{place:?}");
    }
    assert_eq!(PATTERN.pixel(64, 0), None);
    // More than fits is left out.
    let row = "o".repeat(70);
    let image = CursorImage::from_pattern(&[row.as_str(); 70]);
    assert!(bytes(&image).iter().all(|byte| *byte == 255));
}
