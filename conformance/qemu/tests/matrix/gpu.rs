//! The GPU: what was drawn is what QEMU shows, pixel by pixel.

use qemu_bench::{Device, Machine, Picture, Rings, Way};
use virtio::Transport;
use virtio::gpu::{Format, Gpu, Rect, Rgb, ScanoutId};

const FIRST: ScanoutId = ScanoutId::new(0);
/// Small, and no multiple of anything.
const SMALL: (u32, u32) = (101, 67);
/// QEMU's own, unless told otherwise.
const PREFERRED: (u32, u32) = (1280, 800);

/// Every channel differs from its neighbours', and every pixel from those around it.
fn colour(seed: usize, x: usize, y: usize) -> Rgb {
    Rgb::new((x * 3 + seed) as u8, (y * 5 + 40 * seed) as u8, (x ^ y) as u8)
}

/// Brings it up, reads what the monitor says, draws in every format and over every kind of memory.
pub(crate) fn pictures<W: Way>(machine: &Machine, device: &Device) {
    let mut gpu = Gpu::new(W::open(machine, device), machine.hal()).unwrap();
    assert_eq!(Rings::of(gpu.features()), device.rings.features());
    let info = gpu.transport_info().unwrap();
    assert_eq!((info.name, info.version), W::INFO);
    assert_eq!(gpu.scanouts(), 1);

    let displays = gpu.display_info().unwrap();
    let shown: Vec<_> = displays.enabled().map(|display| display.rect).collect();
    assert_eq!(shown, [Rect::new(0, 0, PREFERRED.0, PREFERRED.1)]);
    let edid = gpu.edid(FIRST).unwrap();
    let mode = edid.preferred.unwrap();
    assert_eq!((mode.width, mode.height), PREFERRED);
    assert_eq!(edid.name.unwrap().as_str(), "QEMU Monitor");

    for (seed, format) in Format::ALL.into_iter().enumerate() {
        let mut screen = gpu.screen_on(FIRST, SMALL.0, SMALL.1, format).unwrap();
        draw(machine, device, &mut gpu, &mut screen, seed);
        gpu.close(screen).unwrap();
    }
    // As large as the display likes it, in pages.
    let mut screen = gpu.screen().unwrap();
    assert_eq!((screen.width(), screen.height()), PREFERRED);
    draw(machine, device, &mut gpu, &mut screen, 9);
    gpu.close(screen).unwrap();
    // Over memory of this process, which is bounced.
    let heap = vec![0; (SMALL.0 * SMALL.1 * 4) as usize];
    let mut screen = gpu.screen_over(FIRST, SMALL.0, SMALL.1, Format::B8G8R8X8, heap).unwrap();
    draw(machine, device, &mut gpu, &mut screen, 10);
    let heap = gpu.close(screen).unwrap();
    assert_eq!(heap.len(), (SMALL.0 * SMALL.1 * 4) as usize);

    // Brought up again on the same transport, with a screen on the display.
    let _ = gpu.screen_on(FIRST, SMALL.0, SMALL.1, Format::B8G8R8X8).unwrap();
    let mut gpu = gpu.recover().unwrap();
    let mut screen = gpu.screen_on(FIRST, SMALL.0, SMALL.1, Format::B8G8R8A8).unwrap();
    draw(machine, device, &mut gpu, &mut screen, 11);

    let transport = gpu.dismantle().unwrap();
    assert!(transport.status().is_empty());
}

/// Draws all of a screen, then a part of it; looks at both.
fn draw<W: Transport, B: virtio::dma::Exclusive>(
    machine: &Machine,
    device: &Device,
    gpu: &mut Gpu<W, qemu_bench::BenchHal>,
    screen: &mut virtio::gpu::Screen<B>,
    seed: usize,
) {
    let (width, height, format) = (screen.width(), screen.height(), screen.format());
    let whole = Picture::new(width as usize, height as usize, |x, y| colour(seed, x, y));
    let mut frame = gpu.framebuffer(screen).unwrap();
    let pixels = (0..height as usize).flat_map(|y| (0..width as usize).map(move |x| colour(seed, x, y)));
    frame.canvas().unwrap().fill_with(0, 0, width, height, pixels);
    frame.flush().unwrap();
    let seen = machine.screenshot(&device.id).unwrap();
    assert_eq!(seen.difference(&whole), None, "{format}, whole");

    let (part, red) = (Rect::new(13, 17, 31, 11), Rgb::new(250, 30, 60));
    frame.fill(part, red).unwrap();
    assert_eq!(frame.damage(), Some(part));
    frame.flush().unwrap();
    let inside = |x, y| (13..44).contains(&x) && (17..28).contains(&y);
    let both =
        Picture::new(
            width as usize,
            height as usize,
            |x, y| if inside(x, y) { red } else { colour(seed, x, y) },
        );
    let seen = machine.screenshot(&device.id).unwrap();
    assert_eq!(seen.difference(&both), None, "{format}, a part");
}
