//! A queue of 256 entries, used in every way that its interface has. It answers for itself by running to its end;
//! `cargo xtask stack` reads from the debug build how much stack each function takes.

use std::time::Duration;

use virtio_core::device::{Device, Init, Wanted};
use virtio_core::dma::{Both, Dma, Readable, Writable};
use virtio_core::queue::{QueueSpec, RawBuffer, Request};
use virtio_core::{DeviceAddr, DeviceId, Error, Features};
use virtio_testkit::{FakeDevice, FakeTransport, Reply, TestHal};

const SIZE: u16 = 256;
const LIMIT: Duration = Duration::from_secs(1);

type Payload = (Readable<Vec<u8>>, Writable<Vec<u8>>);
/// As small as a Hal with a state can be.
type Hal = &'static TestHal;
type Live = Device<FakeTransport, Hal>;

fn main() -> Result<(), Error> {
    let feature_sets = [
        Features::VERSION_1,
        Features::VERSION_1 | Features::EVENT_IDX,
        Features::VERSION_1 | Features::EVENT_IDX | Features::INDIRECT_DESC,
        Features::VERSION_1 | Features::IN_ORDER,
        Features::VERSION_1 | Features::RING_PACKED | Features::EVENT_IDX | Features::RING_RESET,
        Features::VERSION_1 | Features::RING_PACKED | Features::INDIRECT_DESC | Features::IN_ORDER,
    ];
    for features in feature_sets {
        // Its memory goes with the process.
        let hal: Hal = Box::leak(Box::new(TestHal::new()));
        let device = FakeDevice::builder(DeviceId::ENTROPY)
            .features(features)
            .queue(0, SIZE, |request| Reply::Write(vec![7; request.writable]))
            .queue(1, SIZE, |request| Reply::Write(vec![7; request.writable]))
            .build(hal);
        let mut live = bring_up(&device, hal)?;
        assert_eq!(live.features(), features);
        blocking(&mut live)?;
        owned(&mut live)?;
        attached(&mut live)?;
        raw(&mut live, hal)?;
        side_by_side(&mut live)?;
        if features.contains(Features::RING_RESET) {
            live.reset_queue::<Payload>(1, |_, _| {})?;
        }
        live.dismantle().map_err(|not_stopped| not_stopped.error)?;
        hal.finish();
    }
    Ok(())
}

fn bring_up(device: &FakeDevice, hal: Hal) -> Result<Live, Error> {
    let init = Init::start(device.transport(), hal, DeviceId::ENTROPY)?;
    let init = init.negotiate(&Wanted::default())?;
    let calls = QueueSpec::new::<()>(0, SIZE).header(16).response(16);
    let payloads = QueueSpec::new::<Payload>(1, SIZE).header(16).response(16).indirect(4).drains_on_reset();
    let mut init = init.queues(&[calls, payloads])?;
    init.prefill(1, request())?;
    assert_eq!((init.queue_size(0), init.queue_size(1)), (SIZE, SIZE));
    init.live()
}

fn request() -> Request<'static, Payload> {
    Request::new((Readable(vec![1; 64]), Writable(vec![0; 64]))).header(&[1; 16]).response(16)
}

/// Calls that lend borrowed slices and return when the device is done.
fn blocking(live: &mut Live) -> Result<(), Error> {
    let mut room = [0; 96];
    let (first, second) = room.split_at_mut(32);
    assert_eq!(live.call(0, &[&[1; 10], &[2; 20]], &mut [first, second], LIMIT)?, 96);
    assert_eq!(room, [7; 96]);
    let mut answer = [0; 8];
    assert_eq!(live.exchange(0, &[1, 2, 3], &mut answer, LIMIT)?, 8);
    assert_eq!(answer, [7; 8]);
    Ok(())
}

/// Requests that own their payload: one by one, as a batch, waited for and polled.
fn owned(live: &mut Live) -> Result<(), Error> {
    let mut port = live.port::<Payload>(1)?;
    while let Some(done) = port.poll()? {
        drop(done);
    }
    let token = port.submit(request())?;
    let mut done = port.wait(token, LIMIT)?;
    assert_eq!(done.response::<[u8; 16]>()?, [7; 16]);
    assert_eq!(done.take_payload().map(|(_, room)| room.0), Some(vec![7; 64]));
    drop(done);

    port.disable_interrupts();
    let mut tokens = Vec::new();
    for _ in 0..16 {
        tokens.push(port.add(request())?);
    }
    port.publish();
    port.kick();
    let already = port.enable_interrupts();
    assert!(already, "the device has used all of them");
    assert!(port.poll_for(tokens[9])?.is_some());
    let mut seen = 1;
    while let Some(mut done) = port.poll()? {
        assert!(done.take_payload().is_some());
        seen += 1;
    }
    assert_eq!((seen, port.in_flight(), port.free()), (16, 0, SIZE));
    Ok(())
}

/// Requests over addresses, taken back in one go.
fn raw(live: &mut Live, hal: Hal) -> Result<(), Error> {
    let page: Dma<[u8], Hal, Both> = Dma::zeroed_slice(hal, 4096)?;
    let part = |at: u64| RawBuffer { device: DeviceAddr::new(page.paddr().get() + at), len: 16 };
    let mut port = live.port::<Payload>(1)?;
    for _ in 0..4 {
        let payload = (Readable(Vec::new()), Writable(Vec::new()));
        // SAFETY: the page outlives the requests, which are all used below, and nobody else touches it.
        unsafe { port.add_raw(&[part(0)], &[part(16), part(32)], payload) }?;
    }
    port.publish();
    port.kick();
    let mut seen = 0;
    assert_eq!(
        port.drain(usize::MAX, |mut done| seen += done.take_payload().map_or(0, |_| done.written()))?,
        4
    );
    assert_eq!(seen, 4 * 32);
    Ok(())
}

/// Both queues lent at once.
fn side_by_side(live: &mut Live) -> Result<(), Error> {
    let mut ports = live.ports()?;
    let (mut calls, mut payloads) = (ports.take::<()>(0)?, ports.take::<Payload>(1)?);
    calls.submit(Request::new(()).header(&[1]).response(1))?;
    payloads.submit(request())?;
    assert!(calls.poll()?.is_some() && payloads.poll()?.is_some());
    assert!(!payloads.enable_interrupts_after(3));
    Ok(())
}

/// Memory that the device keeps for longer than a request.
fn attached(live: &mut Live) -> Result<(), Error> {
    let attachment = live.attach(vec![0; 8192])?;
    live.exchange_attaching(0, &[4; 4], &attachment, &mut [0; 4], LIMIT)?;
    let back = live.detach(attachment, 0, &[5; 4], &mut [0; 4], LIMIT, |_| Ok::<(), Error>(()));
    assert_eq!(back.map(|buffer| buffer.len()).ok(), Some(8192));
    Ok(())
}
