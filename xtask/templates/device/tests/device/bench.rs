//! A newdev device made of Rust.

use virtio_core::{DeviceId, Features};
use virtio_testkit::{Builder, FakeDevice, FakeTransport, Reply, Request, TestHal};

use virtio_newdev::Newdev;

/// The device type.
pub(crate) const ID: DeviceId = DeviceId::new(NUMBER);
/// The device has a limit.
pub(crate) const F_LIMIT: Features = Features::bit(0);

/// A device with a limit of 100, that answers as `handler` says.
pub(crate) fn builder(handler: impl FnMut(Request) -> Reply + Send + 'static) -> Builder {
    FakeDevice::builder(ID)
        .features(Features::VERSION_1 | F_LIMIT)
        .config(100_u32.to_le_bytes())
        .queue(0, 8, handler)
}

/// A device that does what it should.
pub(crate) fn honest() -> Builder {
    builder(|request| Reply::Write([&[0; 4], request.readable.split_at(4).1].concat()))
}

/// A driver on the device.
pub(crate) fn drive(device: &FakeDevice, hal: &TestHal) -> Newdev<FakeTransport, TestHal> {
    Newdev::new(device.transport(), hal.clone()).unwrap()
}
