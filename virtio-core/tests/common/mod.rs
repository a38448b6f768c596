//! What the tests of this folder share.

use core::time::Duration;
use std::sync::Mutex;

use virtio_core::device::{Device, Init, Wanted};
use virtio_core::dma::{Lend, Readable, Writable};
use virtio_core::queue::QueueSpec;
use virtio_core::{DeviceId, Error, Features, QueueIndex};
use virtio_testkit::{Builder, Event, FakeDevice, FakeTransport, Reply, Request, TestHal};

pub(crate) const LIMIT: Duration = Duration::from_secs(1);
pub(crate) const ID: DeviceId = DeviceId::ENTROPY;
pub(crate) const Q0: QueueIndex = QueueIndex::new(0);

pub(crate) type Live = Device<FakeTransport, TestHal>;
pub(crate) type Bytes = Readable<Vec<u8>>;
pub(crate) type Room = Writable<Vec<u8>>;

/// Answers with what it was sent, then sevens.
pub(crate) fn echo(request: Request) -> Reply {
    let mut answer = request.readable;
    answer.resize(answer.len().max(request.writable), 7);
    Reply::Write(answer)
}

pub(crate) fn hold(_: Request) -> Reply {
    Reply::Hold
}

/// A device with one queue.
pub(crate) fn device(max: u16, handler: fn(Request) -> Reply) -> Builder {
    FakeDevice::builder(ID).queue(0, max, handler)
}

/// Brings a device with one queue up.
pub(crate) fn up<P: Lend>(device: &FakeDevice, hal: &TestHal, size: u16) -> Result<Live, Error> {
    up_with(device, hal, QueueSpec::new::<P>(0, size).header(16).response(16))
}

/// The same, with the queue declared by the caller.
pub(crate) fn up_with(device: &FakeDevice, hal: &TestHal, spec: QueueSpec) -> Result<Live, Error> {
    let init = Init::start(device.transport(), hal.clone(), ID)?;
    let wanted = Wanted { optional: Features::EVENT_IDX, ..Wanted::default() };
    init.negotiate(&wanted)?.queues(&[spec])?.live()
}

/// Asserts that in the trace memory went back only after a reset was confirmed.
pub(crate) fn assert_reset_before_free(trace: &[Event]) {
    let freed = trace.iter().position(Event::gives_memory_back).expect("memory went back");
    assert!(
        trace[..freed].iter().any(Event::confirms_reset),
        "memory went back before the reset: {trace:#?}"
    );
}

/// Keeps a device reachable whose driver was forgotten, for leak checkers.
pub(crate) fn keep(device: &FakeDevice) {
    static KEPT: Mutex<Vec<FakeDevice>> = Mutex::new(Vec::new());
    KEPT.lock().unwrap().push(device.clone());
}
