//! A table made of Rust.

use toy_device::Dice;
use virtio_core::Features;
use virtio_testkit::{Builder, FakeDevice, FakeTransport, Reply, Request, TestHal};

/// The driver under test.
pub(crate) type Driver = Dice<FakeTransport, TestHal>;

/// The dice have as many sides as the configuration space says.
pub(crate) const F_SIDES: Features = Features::bit(0);

/// A table with 10 dice of 8 sides, that answers as `handler` says.
pub(crate) fn builder(handler: impl FnMut(Request) -> Reply + Send + 'static) -> Builder {
    FakeDevice::builder(Driver::ID)
        .features(Features::VERSION_1 | F_SIDES)
        .config([10, 0, 8, 0])
        .queue(0, 8, handler)
        .event_queue(1, 8)
}

/// A table whose dice show 1, 2, 3 …
pub(crate) fn honest() -> Builder {
    builder(|request| Reply::Write((1..).take(request.writable - 1).chain([0]).collect()))
}

/// A driver on the device.
pub(crate) fn drive(device: &FakeDevice, hal: &TestHal) -> Driver {
    Dice::new(device.transport(), hal.clone()).unwrap()
}
