//! What a GPU tells by its interrupt, apart from the driver, and the way back from one that gives up.

use crate::bench::{self, FakeGpu};
use virtio_core::transport::InterruptStatus;
use virtio_core::{Endpoint, Error, Misbehaved, Wait};
use virtio_gpu::{Gpu, GpuError, GpuEvent, Rgb};
use virtio_testkit::{Reset, TestHal};

#[test]
fn a_change_of_the_displays_is_one_event() {
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let endpoint = gpu.device().endpoint(0).unwrap();
    let mut config = bench::config(1);
    config[0] = 1;
    fake.device.set_config(config);
    let status = endpoint.ack();
    assert_eq!(status, InterruptStatus::CONFIG);
    assert_eq!(gpu.attend(status), Ok(Some(GpuEvent::DisplayChanged)));
    // Told once; a change that is none of the displays' is none; nor is an interrupt of the queues.
    assert_eq!(gpu.attend(status), Ok(None));
    assert_eq!(gpu.attend(InterruptStatus::QUEUE), Ok(None));
    assert_eq!(gpu.attend(endpoint.ack()), Ok(None));
    drop(gpu);
    hal.finish();
}

#[test]
fn a_gpu_that_gives_up_shows_a_picture_again_after_one_call() {
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let endpoint = gpu.device().endpoint(0).unwrap();
    let screen = gpu.screen().unwrap();
    fake.device.needs_reset();
    assert_eq!(gpu.attend(endpoint.ack()), Ok(Some(GpuEvent::NeedsReset)));
    assert!(hal.outstanding().is_none(), "rings and backing are back: {:?}", hal.outstanding());
    let down = GpuError::Core(Error::Down);
    assert_eq!(gpu.attend(InterruptStatus::CONFIG), Err(down));
    assert_eq!(gpu.poll_display_change(), Err(down));
    drop(screen);

    let mut gpu = gpu.recover().unwrap();
    let mut screen = gpu.screen().unwrap();
    let mut picture = gpu.framebuffer(&mut screen).unwrap();
    picture.clear(Rgb::new(7, 7, 7)).unwrap();
    picture.flush().unwrap();
    assert_eq!(fake.glass(0).unwrap()[..3], [7, 7, 7]);
    fake.check();
    drop((gpu, screen));
    hal.finish();
}

#[test]
fn a_gpu_that_does_not_stop_is_not_brought_up_again() {
    let hal = TestHal::new();
    hal.allow_outstanding();
    let fake = FakeGpu::new(&hal);
    let gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    fake.device.set_reset(Reset::Never);
    let timeout = Misbehaved::Timeout(Wait::Reset);
    assert_eq!(gpu.recover().map(drop), Err(GpuError::Core(timeout.into())));
    assert!(!hal.leaks().is_empty());
}
