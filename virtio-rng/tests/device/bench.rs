//! An entropy device made of Rust.

use virtio_core::DeviceId;
use virtio_core::dma::Writable;
use virtio_testkit::{Builder, FakeDevice, FakeTransport, Reply, Request, TestHal};

use virtio_rng::Rng;

/// A driver that takes buffers of the heap.
pub(crate) type Owning = Rng<FakeTransport, TestHal, Writable<Vec<u8>>>;

/// A device that answers as `handler` says.
pub(crate) fn builder(handler: impl FnMut(Request) -> Reply + Send + 'static) -> Builder {
    FakeDevice::builder(DeviceId::ENTROPY).queue(0, 8, handler)
}

/// A device that answers when the test says so.
pub(crate) fn holding(hal: &TestHal) -> FakeDevice {
    builder(|_| Reply::Hold).build(hal)
}

/// A device that counts: 1, 2, 3 … 255, 1 …, at most `most` bytes an answer.
pub(crate) fn counting(most: usize) -> Builder {
    let mut count = 0_u8;
    builder(move |request| {
        let next = || {
            count = count.checked_add(1).unwrap_or(1);
            count
        };
        Reply::Write(core::iter::repeat_with(next).take(most.min(request.writable)).collect())
    })
}

/// The first `len` bytes of a counting device.
pub(crate) fn counted(len: usize) -> Vec<u8> {
    (1..=255).cycle().take(len).collect()
}

/// A driver on the device.
pub(crate) fn drive(device: &FakeDevice, hal: &TestHal) -> Rng<FakeTransport, TestHal> {
    Rng::new(device.transport(), hal.clone()).unwrap()
}

/// A driver on the device that takes buffers.
pub(crate) fn drive_buffers(device: &FakeDevice, hal: &TestHal) -> Owning {
    Rng::for_buffers(device.transport(), hal.clone()).unwrap()
}
