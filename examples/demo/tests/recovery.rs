//! The demo's screen on a GPU that has something to say: the device's model is that of `virtio-gpu`'s own tests.
#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

#[allow(dead_code, reason = "this file uses its own part of it")]
#[path = "../../../virtio-gpu/tests/device/bench.rs"]
mod common;

use common::FakeGpu;
use core::cell::RefCell;
use core::fmt::Write;
use demo::screen::Display;
use demo::{Console, Frames, Handlers, Platform, Terminal};
use virtio::gpu::GpuEvent;
use virtio::regs::Mapped;
use virtio_testkit::TestHal;

/// A kernel that keeps what is sent down its serial line.
struct Kernel {
    hal: TestHal,
    sent: RefCell<Vec<u8>>,
}

static FRAMES: Frames = Frames::new();
static HANDLERS: Handlers<TestHal> = Handlers::new();

impl Platform for Kernel {
    type Hal = TestHal;
    type Ports = Mapped<TestHal>;

    const ARCH: &'static str = "none";

    fn hal(&self) -> TestHal {
        self.hal.clone()
    }

    fn frames(&self) -> &Frames {
        &FRAMES
    }

    fn serial_write(&self, bytes: &[u8]) {
        self.sent.borrow_mut().extend(bytes);
    }

    fn serial_read(&self) -> Option<u8> {
        None
    }

    fn handlers(&self) -> &'static Handlers<TestHal> {
        &HANDLERS
    }

    fn power_off(&self, _success: bool) -> ! {
        panic!("nobody asked for that")
    }
}

#[test]
fn a_gpu_that_gives_up_shows_the_same_text_again() {
    let hal = TestHal::new();
    let kernel = Kernel { hal: hal.clone(), sent: RefCell::default() };
    let fake = FakeGpu::new(&hal);
    fake.host().displays[0].area = [0, 0, 640, 480];
    let mut display = Display::new(&kernel, fake.transport(), hal.clone()).unwrap();
    assert_eq!(display.attend(), Ok(None), "it has nothing to say");
    let terminal = Terminal::take().unwrap();
    terminal.resize(display.size());
    let mut console = Console::new(terminal, display);
    console.write_str("still here").unwrap();
    console.flush().unwrap();
    let before = fake.host().glass.clone();
    assert!(before[&0].iter().any(|&byte| byte != before[&0][0]), "there is text on the screen");

    let mut config = common::config(1);
    config[0] = 1;
    fake.device.set_config(config);
    assert_eq!(console.output().attend(), Ok(Some(GpuEvent::DisplayChanged)));
    fake.device.needs_reset();
    assert_eq!(console.output().attend(), Ok(Some(GpuEvent::NeedsReset)));
    let mut console = console.change(Display::recover).unwrap();
    assert!(fake.host().glass.is_empty(), "nothing is shown until the next flush");
    console.flush().unwrap();
    assert_eq!(fake.host().glass, before);

    console.into_output().close().unwrap();
    assert_eq!(*kernel.sent.borrow(), b"still here");
    hal.finish();
}
