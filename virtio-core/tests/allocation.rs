//! Every allocation fails once: a named error, and nothing is left behind.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use common::{Bytes, ID, LIMIT, Live, Room, echo};
use virtio_core::device::{Init, Wanted};
use virtio_core::dma::{Dma, Readable, ToDevice, Writable};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::{Error, HalError};
use virtio_testkit::{FakeDevice, TestHal};

fn bring_up(device: &FakeDevice, hal: &TestHal) -> Result<Live, Error> {
    let init = Init::start(device.transport(), hal.clone(), ID)?.negotiate(&Wanted::default())?;
    let control = QueueSpec::new::<()>(0, 8).header(64).response(64);
    let data = QueueSpec::new::<(Bytes, Room)>(1, 8);
    init.queues(&[control, data])?.live()
}

fn work(device: &FakeDevice, hal: &TestHal) -> Result<(), Error> {
    let mut live = bring_up(device, hal)?;
    let attachment = live.attach(vec![3_u8; 10_000])?;
    live.exchange_attaching(0, &[1], &attachment, &mut [0; 4], LIMIT)?;
    let detached = live.detach(attachment, 0, &[2], &mut [0; 4], LIMIT, |_| Ok::<(), Error>(()));
    detached.map_err(|kept| kept.error)?;
    let mut bytes = [0; 100];
    live.call(1, &[&[1; 50]], &mut [&mut bytes], LIMIT)?;
    let mut port = live.port::<(Bytes, Room)>(1)?;
    let token = port.submit(Request::new((Readable(vec![1; 9]), Writable(vec![0; 9]))))?;
    let done = port.wait(token, LIMIT)?;
    assert_eq!(done.written(), 9);
    drop(done);
    let frame: Dma<[u8], TestHal, ToDevice> = Dma::zeroed_slice(hal.clone(), 5000)?;
    let attachment = live.attach(frame)?;
    live.exchange_attaching(0, &[1], &attachment, &mut [0; 4], LIMIT)?;
    Ok(())
}

#[test]
fn whichever_allocation_fails_the_error_is_named_and_nothing_is_left() {
    for scatter in [false, true] {
        for n in 1.. {
            let hal = TestHal::new();
            if scatter {
                hal.scatter();
            }
            let device = FakeDevice::builder(ID).queue(0, 8, echo).queue(1, 8, echo).build(&hal);
            hal.fail_nth(n);
            let outcome = work(&device, &hal);
            assert!(hal.outstanding().is_none(), "{n}: {:?}", hal.outstanding());
            assert!(hal.faults().is_empty(), "{n}: {:?}", hal.faults());
            if !hal.has_failed() {
                assert_eq!(outcome, Ok(()));
                assert!(n > 15, "only {n} allocations?");
                break;
            }
            let named =
                [HalError::OutOfMemory, HalError::CannotShare].map(|error| Err(Error::Platform(error)));
            assert!(named.contains(&outcome), "{n}: {outcome:?}");
        }
    }
}
