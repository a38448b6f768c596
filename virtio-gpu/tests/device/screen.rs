//! Screens: what is drawn is what is seen, and no more is sent than was drawn.

use crate::bench::{self, FakeGpu, Seen};
use virtio_core::Misuse;
use virtio_gpu::{Format, Gpu, GpuError, Kept, Rect, Rgb, ScanoutId};
use virtio_testkit::{Event, FakeTransport, TestHal};

const FIRST: ScanoutId = ScanoutId::new(0);
const RED: Rgb = Rgb::new(0xfe, 0x12, 0x34);

fn start(hal: &TestHal) -> (FakeGpu, Gpu<FakeTransport, TestHal>) {
    let fake = FakeGpu::new(hal);
    let gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    (fake, gpu)
}

fn finish(hal: &TestHal, fake: &FakeGpu, gpu: Gpu<FakeTransport, TestHal>) {
    fake.check();
    drop(gpu);
    hal.finish();
}

/// Pixel by pixel, what a display of `width` columns shows.
fn pixel(glass: &[u8], width: usize, x: usize, y: usize) -> [u8; 4] {
    glass[4 * (y * width + x)..][..4].try_into().unwrap()
}

#[test]
fn every_format_reaches_the_glass() {
    for (format, bytes) in [
        (Format::B8G8R8A8, [0x34, 0x12, 0xfe, 0xff]),
        (Format::B8G8R8X8, [0x34, 0x12, 0xfe, 0xff]),
        (Format::A8R8G8B8, [0xff, 0xfe, 0x12, 0x34]),
        (Format::X8R8G8B8, [0xff, 0xfe, 0x12, 0x34]),
        (Format::R8G8B8A8, [0xfe, 0x12, 0x34, 0xff]),
        (Format::X8B8G8R8, [0xff, 0x34, 0x12, 0xfe]),
        (Format::A8B8G8R8, [0xff, 0x34, 0x12, 0xfe]),
        (Format::R8G8B8X8, [0xfe, 0x12, 0x34, 0xff]),
    ] {
        let hal = TestHal::new();
        let (fake, mut gpu) = start(&hal);
        let mut screen = gpu.screen_on(FIRST, 5, 3, format).unwrap();
        assert_eq!(fake.seen()[0], Seen::Create { id: 1, format: format.code(), width: 5, height: 3 });
        let mut picture = gpu.framebuffer(&mut screen).unwrap();
        picture.set_pixel(4, 2, RED).unwrap();
        picture.flush().unwrap();
        let glass = fake.glass(0).unwrap();
        assert_eq!(pixel(&glass, 5, 4, 2), bytes, "{format}");
        assert_eq!(pixel(&glass, 5, 3, 2), [0; 4], "{format}");
        gpu.close(screen).unwrap();
        finish(&hal, &fake, gpu);
    }
}

#[test]
fn only_what_was_touched_is_sent() {
    let hal = TestHal::new();
    let (fake, mut gpu) = start(&hal);
    let mut screen = gpu.screen().unwrap();
    let mut picture = gpu.framebuffer(&mut screen).unwrap();
    picture.flush().unwrap();
    fake.seen();

    picture.flush().unwrap();
    assert_eq!(fake.seen(), [], "nothing was drawn");

    picture.fill(Rect::new(10, 20, 5, 6), RED).unwrap();
    assert_eq!(picture.damage(), Some(Rect::new(10, 20, 5, 6)));
    picture.flush().unwrap();
    let area = [10, 20, 5, 6];
    let offset = 4 * (20 * 64 + 10);
    assert_eq!(
        fake.seen(),
        [Seen::Transfer { id: 1, area, offset, fenced: true }, Seen::Flush { id: 1, area }]
    );
    assert_eq!(picture.damage(), None);

    // Two drawings, one rectangle around both; what lies outside is not sent.
    picture.set_pixel(63, 47, RED).unwrap();
    picture.set_pixel(60, 1000, RED).unwrap();
    picture.fill(Rect::new(50, 40, 2, 1), RED).unwrap();
    picture.flush().unwrap();
    let area = [50, 40, 14, 8];
    let offset = 4 * (40 * 64 + 50);
    assert_eq!(
        fake.seen(),
        [Seen::Transfer { id: 1, area, offset, fenced: true }, Seen::Flush { id: 1, area }]
    );

    let glass = fake.glass(0).unwrap();
    let red = Format::B8G8R8X8.encode(RED);
    for (x, y) in (0..48).flat_map(|y| (0..64).map(move |x| (x, y))) {
        let set = ((10..15).contains(&x) && (20..26).contains(&y))
            || (x, y) == (63, 47)
            || ((50..52).contains(&x) && y == 40);
        assert_eq!(pixel(&glass, 64, x, y), if set { red } else { [0; 4] }, "{x},{y}");
    }
    gpu.close(screen).unwrap();
    finish(&hal, &fake, gpu);
}

#[test]
fn damage_outlives_a_framebuffer_that_was_not_flushed() {
    let hal = TestHal::new();
    let (fake, mut gpu) = start(&hal);
    let mut screen = gpu.screen().unwrap();
    gpu.framebuffer(&mut screen).unwrap().flush().unwrap();
    gpu.framebuffer(&mut screen).unwrap().set_pixel(1, 2, RED).unwrap();
    assert_eq!(screen.damage(), Some(Rect::new(1, 2, 1, 1)));
    gpu.framebuffer(&mut screen).unwrap().set_pixel(3, 2, RED).unwrap();
    fake.seen();
    gpu.framebuffer(&mut screen).unwrap().flush().unwrap();
    let area = [1, 2, 3, 1];
    assert_eq!(
        fake.seen(),
        [Seen::Transfer { id: 1, area, offset: 4 * (2 * 64 + 1), fenced: true }, Seen::Flush { id: 1, area }]
    );
    assert_eq!(screen.damage(), None);
    gpu.close(screen).unwrap();
    finish(&hal, &fake, gpu);
}

/// Memory that lives for the whole program, as a kernel's static does.
fn lasting(len: usize) -> &'static mut [u8] {
    Box::leak(vec![0x40; len].into_boxed_slice())
}

#[test]
fn lent_memory_in_pieces_is_seen_also_when_drawn_on_again() {
    let hal = TestHal::new();
    // Every sharing is a bounce of at most 4100 bytes: no piece ends with a row.
    hal.set_max_segment(4100);
    let (fake, mut gpu) = start(&hal);
    let mut screen = gpu.screen_over(FIRST, 64, 48, Format::R8G8B8X8, lasting(64 * 48 * 4)).unwrap();
    assert!(fake.seen().contains(&Seen::Attach { id: 1, entries: 3 }));
    assert_eq!(fake.host().resources[&1].backing.as_ref().unwrap().len(), 3);

    // What the buffer held is shown with the first flush.
    gpu.framebuffer(&mut screen).unwrap().flush().unwrap();
    assert_eq!(fake.glass(0).unwrap(), [0x40; 64 * 48 * 4]);

    let red = Format::R8G8B8X8.encode(RED);
    for step in 0..40_u32 {
        let mut picture = gpu.framebuffer(&mut screen).unwrap();
        picture.set_pixel(step, step, RED).unwrap();
        picture.flush().unwrap();
        let glass = fake.glass(0).unwrap();
        for (x, y) in (0..48).flat_map(|y| (0..64).map(move |x| (x, y))) {
            let expected = if x == y && x <= step as usize { red } else { [0x40; 4] };
            assert_eq!(pixel(&glass, 64, x, y), expected, "step {step} at {x},{y}");
        }
    }
    // Without a flush the device does not see it: the bounce is real.
    gpu.framebuffer(&mut screen).unwrap().set_pixel(63, 0, RED).unwrap();
    assert_eq!(pixel(&fake.glass(0).unwrap(), 64, 63, 0), [0x40; 4]);

    let buffer = gpu.close(screen).unwrap();
    assert_eq!(&buffer[..4], red);
    assert_eq!(pixel(buffer, 64, 63, 0), red, "the buffer comes back as drawn");
    assert!(hal.outstanding().shares == 0);
    finish(&hal, &fake, gpu);
}

#[test]
fn only_the_touched_bytes_are_copied() {
    let hal = TestHal::new();
    let (fake, mut gpu) = start(&hal);
    let mut screen = gpu.screen_over(FIRST, 64, 48, Format::R8G8B8X8, lasting(64 * 48 * 4)).unwrap();
    gpu.framebuffer(&mut screen).unwrap().flush().unwrap();
    hal.clear_trace();
    let mut picture = gpu.framebuffer(&mut screen).unwrap();
    picture.fill(Rect::new(3, 5, 2, 3), RED).unwrap();
    picture.flush().unwrap();
    let copied: Vec<_> = hal
        .trace()
        .iter()
        .filter_map(|event| match event {
            Event::SyncToDevice { offset, len, .. } => Some((*offset, *len)),
            _ => None,
        })
        .collect();
    assert_eq!(copied, [(4 * (5 * 64 + 3), 4 * (2 * 64 + 2))]);
    gpu.close(screen).unwrap();
    finish(&hal, &fake, gpu);
}

#[cfg(feature = "alloc")]
#[test]
fn heap_memory_is_lent_and_comes_back() {
    let hal = TestHal::new();
    hal.scatter();
    let (fake, mut gpu) = start(&hal);
    let buffer = vec![9; 64 * 48 * 4 + 5].into_boxed_slice();
    let address = buffer.as_ptr();
    let mut screen = gpu.screen_over(FIRST, 64, 48, Format::B8G8R8A8, buffer).unwrap();
    let mut picture = gpu.framebuffer(&mut screen).unwrap();
    picture.clear(RED).unwrap();
    picture.flush().unwrap();
    assert_eq!(fake.glass(0).unwrap(), Format::B8G8R8A8.encode(RED).repeat(64 * 48));
    let buffer = gpu.close(screen).unwrap();
    assert_eq!(buffer.as_ptr(), address);
    assert_eq!(buffer[64 * 48 * 4..], [9; 5], "beyond the pixels nothing is drawn");
    finish(&hal, &fake, gpu);
}

#[test]
fn bad_sizes_and_places_are_refused_before_the_device_hears_of_them() {
    let hal = TestHal::new();
    let (fake, mut gpu) = start(&hal);
    for (width, height) in [(0, 5), (5, 0), (u32::MAX, u32::MAX)] {
        let refused = gpu.screen_on(FIRST, width, height, Format::B8G8R8X8).unwrap_err();
        assert_eq!(refused, GpuError::BadSize { width, height });
    }
    let nowhere = ScanoutId::new(1);
    let refused = gpu.screen_on(nowhere, 5, 5, Format::B8G8R8X8).unwrap_err();
    assert_eq!(refused, GpuError::NoSuchScanout(nowhere));
    let buffer: &'static [u8] = &[7; 99];
    let refused = gpu.screen_over(FIRST, 5, 5, Format::B8G8R8X8, buffer).unwrap_err();
    assert_eq!(refused.error, GpuError::BufferTooSmall { len: 99, needed: 100 });
    assert_eq!(refused.buffer, Some(buffer));
    let refused = gpu.screen_over(nowhere, 5, 5, Format::B8G8R8X8, buffer).unwrap_err();
    assert_eq!((refused.error, refused.buffer), (GpuError::NoSuchScanout(nowhere), Some(buffer)));
    assert_eq!(fake.seen(), []);
    assert_eq!(hal.outstanding().shares, 0);
    finish(&hal, &fake, gpu);
}

#[test]
fn several_screens_share_one_gpu() {
    let hal = TestHal::new();
    let fake = FakeGpu::with(&hal, |builder| builder.config(bench::config(2)));
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let mut left = gpu.screen_on(FIRST, 8, 8, Format::R8G8B8X8).unwrap();
    let mut right = gpu.screen_on(ScanoutId::new(1), 4, 4, Format::R8G8B8X8).unwrap();
    for (screen, shade) in [(&mut left, 10), (&mut right, 20)] {
        let mut picture = gpu.framebuffer(screen).unwrap();
        picture.clear(Rgb::new(shade, 0, 0)).unwrap();
        picture.flush().unwrap();
    }
    assert_eq!((fake.glass(0).unwrap()[0], fake.glass(1).unwrap()[0]), (10, 20));

    // A second one on the same display takes its place, and the first can come back.
    let over = gpu.screen_on(FIRST, 8, 8, Format::R8G8B8X8).unwrap();
    assert_eq!(fake.host().shown[&0].0, 3);
    gpu.show(&left).unwrap();
    assert_eq!(fake.host().shown[&0].0, 1);
    // Closing what is not shown leaves the display alone.
    gpu.close(over).unwrap();
    assert_eq!(fake.host().shown[&0].0, 1);
    gpu.close(left).unwrap();
    assert!(!fake.host().shown.contains_key(&0));
    assert_eq!(fake.host().shown[&1].0, 2);
    // Ids are never used twice.
    let next = gpu.screen_on(FIRST, 8, 8, Format::R8G8B8X8).unwrap();
    assert_eq!(fake.host().shown[&0].0, 4);
    gpu.close(next).unwrap();
    gpu.close(right).unwrap();
    assert!(fake.host().resources.is_empty());
    finish(&hal, &fake, gpu);
}

#[test]
fn a_dropped_screen_goes_with_the_gpu() {
    let hal = TestHal::new();
    let (fake, mut gpu) = start(&hal);
    drop(gpu.screen().unwrap());
    assert!(!hal.outstanding().is_none());
    assert!(fake.host().shown.contains_key(&0));
    drop(gpu);
    assert!(hal.outstanding().is_none());
    hal.finish();
}

#[test]
fn a_screen_of_another_gpu_does_no_harm() {
    let hal = TestHal::new();
    let (_, mut first) = start(&hal);
    let (fake, mut second) = start(&hal);
    let mut stranger = first.screen_on(FIRST, 64, 48, Format::B8G8R8X8).unwrap();
    // With the same number on the other device.
    let own = second.screen_on(FIRST, 64, 48, Format::B8G8R8X8).unwrap();
    fake.seen();
    let unknown = GpuError::Core(Misuse::NoSuchAttachment.into());
    assert_eq!(second.framebuffer(&mut stranger).err(), Some(unknown));
    assert_eq!(second.show(&stranger), Err(unknown));
    let refused = second.close(stranger).unwrap_err();
    assert_eq!(refused.error, unknown);
    assert_eq!(fake.seen(), [], "the device hears nothing of it");
    let Kept::Screen(stranger) = refused.kept else { panic!("it had nothing to give back") };
    assert_eq!(first.close(stranger).unwrap().len(), 64 * 48 * 4);
    second.close(own).unwrap();
    assert!(fake.host().resources.is_empty());
    drop(first);
    finish(&hal, &fake, second);
}

#[cfg(feature = "embedded-graphics")]
#[test]
fn embedded_graphics_draws_and_only_that_is_sent() {
    use virtio_gpu::embedded_graphics_core::Pixel;
    use virtio_gpu::embedded_graphics_core::draw_target::DrawTarget;
    use virtio_gpu::embedded_graphics_core::geometry::{OriginDimensions, Point, Size};
    use virtio_gpu::embedded_graphics_core::pixelcolor::Rgb888;
    use virtio_gpu::embedded_graphics_core::primitives::Rectangle;

    let hal = TestHal::new();
    let (fake, mut gpu) = start(&hal);
    let mut screen = gpu.screen_over(FIRST, 64, 48, Format::R8G8B8X8, lasting(64 * 48 * 4)).unwrap();
    let mut picture = gpu.framebuffer(&mut screen).unwrap();
    DrawTarget::clear(&mut picture, Rgb888::new(1, 1, 1)).unwrap();
    picture.flush().unwrap();
    fake.seen();
    assert_eq!(picture.size(), Size::new(64, 48));
    picture.fill_solid(&Rectangle::new(Point::new(-3, 4), Size::new(5, 2)), Rgb888::new(2, 2, 2)).unwrap();
    picture
        .draw_iter([
            Pixel(Point::new(7, 5), Rgb888::new(3, 3, 3)),
            Pixel(Point::new(-1, 0), Rgb888::new(9, 9, 9)),
        ])
        .unwrap();
    let colors = (10..14).map(|shade| Rgb888::new(shade, shade, shade));
    picture.fill_contiguous(&Rectangle::new(Point::new(4, 4), Size::new(2, 2)), colors).unwrap();
    picture.flush().unwrap();
    let area = [0, 4, 8, 2];
    assert_eq!(
        fake.seen(),
        [Seen::Transfer { id: 1, area, offset: 4 * 64 * 4, fenced: true }, Seen::Flush { id: 1, area }]
    );
    let glass = fake.glass(0).unwrap();
    let row = |y| (0..9).map(|x| pixel(&glass, 64, x, y)[0]).collect::<Vec<_>>();
    assert_eq!(row(4), [2, 2, 1, 1, 10, 11, 1, 1, 1]);
    assert_eq!(row(5), [2, 2, 1, 1, 12, 13, 1, 3, 1]);
    gpu.close(screen).unwrap();
    finish(&hal, &fake, gpu);
}
