//! Bring-up that fails, and the end.

use crate::bench::{HeapCard, MODERN, all, drive, drive_heap, incoming, offering};

use virtio_core::dma::{Part, Readable};
use virtio_core::{Error, Features};
use virtio_net::{Net, NetError, Options, TxOffload, abi};
use virtio_testkit::{Call, Reset, TestHal};

/// Whichever allocation fails: an error, and nothing is left behind (the Hal's own check at its end).
#[test]
fn every_failed_allocation_is_survived() {
    let mut failures = 0;
    for n in 1.. {
        let hal = TestHal::new();
        let model = offering(MODERN | abi::F_CTRL_VQ | abi::F_CTRL_VLAN, &hal);
        hal.fail_nth(n);
        let options = Options { receive_queue: 4, transmit_queue: 4, ..all(1) };
        let outcome =
            Net::<_, _>::new(model.device.transport(), hal.clone(), &options).and_then(|mut net| {
                net.control()?.add_vlan(1)?;
                net.send(&[0; 60])
            });
        match outcome {
            Err(error) => {
                assert!(matches!(error, NetError::Core(Error::Platform(_))), "{error}");
                failures += 1;
            }
            Ok(()) => {
                assert!(!hal.has_failed());
                break;
            }
        }
    }
    assert!(failures > 8, "{failures}");
    // And one call by name, so that the loop above is known to have failed something.
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    hal.fail_nth_of(Call::DmaAlloc, 1);
    assert!(Net::<_, _>::new(model.device.transport(), hal.clone(), &Options::DEFAULT).is_err());
}

#[test]
fn dropped_in_mid_flight() {
    let hal = TestHal::new();
    let device = virtio_testkit::FakeDevice::builder(virtio_core::DeviceId::NET)
        .features(MODERN | abi::F_MRG_RXBUF)
        .event_queue(0, 64)
        .event_queue(1, 64)
        .build(&hal);
    let mut net: HeapCard = Net::with_buffers(device.transport(), hal.clone(), &all(1), |slot| {
        (slot.nth < 20).then(|| vec![0; slot.good_len])
    })
    .unwrap();
    {
        let (mut receiver, mut sender) = net.pair(0).unwrap();
        for _ in 0..3 {
            let frame = Readable(Part::new(vec![0; 100], 0..60).unwrap());
            sender.submit(frame, TxOffload::NONE).unwrap();
            sender.send(&[0; 60]).unwrap();
        }
        device.send(0, &incoming(1, 60));
        let frame = receiver.receive().unwrap().unwrap();
        assert_eq!((device.held(0), device.held(1)), (19, 6));
        drop(frame);
    }
    drop(net);
    assert!(hal.outstanding().is_none());
    hal.finish();
}

#[test]
fn the_transport_comes_back_and_serves_again() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let net = drive(&model, &hal, &Options::DEFAULT);
    assert!(net.transport_info().is_ok());
    let transport = net.dismantle().unwrap();
    Net::<_, _>::new(transport, hal.clone(), &Options::DEFAULT).unwrap().send(&[0; 60]).unwrap();
    assert_eq!(model.sent.take().len(), 1);
}

#[test]
fn a_driver_with_buffers_of_the_callers_recovers_with_new_ones() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let net = drive_heap(&model, &hal, &Options::DEFAULT, 3, 1526);
    assert_eq!(model.device.held(0), 3);
    let net = net.recover_with(|slot| (slot.nth < 5).then(|| vec![0; slot.least_len])).unwrap();
    assert_eq!(model.device.held(0), 5);
    drop(net);
}

#[test]
fn a_device_that_does_not_reset_keeps_its_memory() {
    let hal = TestHal::new();
    hal.allow_leaks();
    let model = offering(MODERN, &hal);
    let net = drive(&model, &hal, &Options::DEFAULT);
    model.device.set_reset(Reset::Never);
    assert!(net.dismantle().is_err());
    assert!(!hal.leaks().is_empty());
}

/// Buffers in several segments take several descriptors: the queue is filled as far as it goes.
#[test]
fn scattered_buffers_fill_a_queue_earlier() {
    let hal = TestHal::new();
    hal.set_max_segment(512);
    let model = offering(MODERN, &hal);
    let mut net = drive_heap(&model, &hal, &Options::DEFAULT, u16::MAX, 1536);
    assert_eq!(model.device.held(0), 21);
    let (mut receiver, mut sender) = net.pair(0).unwrap();
    for first in 0..50 {
        assert!(model.device.send(0, &incoming(first, 1500)));
        assert_eq!(receiver.receive().unwrap().unwrap().len(), 1500);
        assert!(receiver.receive().unwrap().is_none());
        let frame = Part::new(vec![first; 1536], 0..1400).unwrap();
        sender.submit(Readable(frame), TxOffload::NONE).unwrap();
        assert_eq!(model.sent.bytes()[0].len(), 1412);
        assert!(sender.poll().unwrap().is_some());
    }
    assert_eq!(model.device.held(0), 21);
}

/// A guest that does not trust its host brings the device up as others do, or not at all.
#[test]
fn refused_features_are_refused() {
    let hal = TestHal::new();
    let model = offering(MODERN | Features::RING_PACKED | Features::EVENT_IDX, &hal);
    let options = Options { refused: Features::RING_PACKED | Features::EVENT_IDX, ..Options::DEFAULT };
    let net = drive(&model, &hal, &options);
    assert_eq!(net.features(), MODERN);
}
