//! Several pairs of queues, and halves on several CPUs (VIRTIO 1.4 §5.1.9.5.6).

use crate::bench::{Card, MODERN, Model, Space, all, answering, counting, drive, header, incoming};
use std::thread;

use virtio_core::config::ByteOrder;
use virtio_core::{DeviceId, Error, Features};
use virtio_net::{Net, NetError, Options, RxMode, Switch, TxOffload, abi};
use virtio_testkit::{FakeDevice, Reply, Request, TestHal};

const SEVERAL: Features =
    MODERN.union(abi::F_MQ).union(abi::F_CTRL_VQ).union(abi::F_CTRL_RX).union(abi::F_STATUS);

fn with_pairs(pairs: u16, answer: impl FnMut(Request) -> Reply + Send + 'static, hal: &TestHal) -> Model {
    let space = Space { pairs, ..Space::default() };
    let builder = FakeDevice::builder(DeviceId::NET).features(SEVERAL).config(space.bytes());
    answering(builder, pairs, answer, hal)
}

fn yes(_: Request) -> Reply {
    Reply::Write(vec![0])
}

// shows: net.op.ctrlq.mq-auto.1, net.op.ctrlq.mq-auto.2, net.op.rx-buffers.5
#[test]
fn all_that_were_asked_for_are_set_up_filled_and_then_used() {
    let hal = TestHal::new();
    let model = with_pairs(4, yes, &hal);
    // When the command comes, the queues that it is about are there and have their buffers.
    let mut net = drive(&model, &hal, &all(3));
    assert_eq!(net.pairs(), 3);
    for pair in 0..4 {
        assert_eq!(model.device.held(2 * pair), if pair < 3 { 64 } else { 0 });
        assert_eq!(model.device.ring(2 * pair + 1).is_some(), pair < 3);
    }
    assert_eq!(model.commands.bytes(), [vec![4, 0, 3, 0]]);
    let mut split = net.split().unwrap();
    let mut taken = 0;
    while let Some((mut receiver, mut sender)) = split.next_pair().unwrap() {
        model.device.send(2 * taken, &incoming(7, 60));
        assert_eq!(receiver.receive().unwrap().unwrap().bytes().unwrap(), counting(7, 60));
        sender.send(&counting(8, 60)).unwrap();
        let sent = model.sent.take();
        assert_eq!((sent.len(), sent[0].queue), (1, 2 * taken + 1));
        taken += 1;
    }
    assert_eq!(taken, 3);
}

// shows: net.op.ctrlq.mq-auto.3, net.op.ctrlq.mq-auto.4
#[test]
fn only_pairs_in_use_are_lent() {
    let hal = TestHal::new();
    let model = with_pairs(4, yes, &hal);
    let mut net = drive(&model, &hal, &all(4));
    for pairs in [2, 1, 4, 3] {
        net.set_pairs(pairs).unwrap();
        assert_eq!(net.pairs(), pairs);
        for pair in 0..5 {
            let outcome = net.pair(pair).map(drop);
            assert_eq!(outcome, if pair < pairs { Ok(()) } else { Err(NetError::NoSuchPair(pair)) });
        }
        let mut split = net.split().unwrap();
        for _ in 0..pairs {
            assert!(split.next_pair().unwrap().is_some());
        }
        assert!(split.next_pair().unwrap().is_none());
    }
    model.commands.take();
    for wrong in [0, 5, u16::MAX] {
        assert_eq!(net.set_pairs(wrong), Err(NetError::NoSuchPair(wrong)));
    }
    assert!(model.commands.take().is_empty());
    // A device with one pair is not asked.
    let single = crate::bench::offering(MODERN | abi::F_CTRL_VQ, &hal);
    let mut net = drive(&single, &hal, &all(4));
    assert_eq!(net.set_pairs(1), Err(NetError::NotNegotiated(abi::F_MQ)));
    assert!(single.commands.take().is_empty());
}

/// What a device says to a number of pairs decides which are used.
// shows: net.op.ctrlq.mq-auto.4
#[test]
fn a_device_that_will_not_use_so_many() {
    let hal = TestHal::new();
    let model = with_pairs(4, |_| Reply::Write(vec![1]), &hal);
    let refused = NetError::Refused { class: 4, command: 0 };
    let error = Net::<_, _>::new(model.device.transport(), hal.clone(), &all(4)).unwrap_err();
    assert_eq!(error, refused);
    // It would with one.
    assert_eq!(drive(&model, &hal, &all(1)).pairs(), 1);
    drop(model);

    let mut answers = [0, 1, 7, 1].into_iter();
    let model = with_pairs(4, move |_| Reply::Write(vec![answers.next().unwrap()]), &hal);
    let mut net = drive(&model, &hal, &all(4));
    assert_eq!(net.set_pairs(2), Err(refused));
    assert_eq!(net.pairs(), 4, "it said no: nothing has changed");
    assert_eq!(net.set_pairs(2), Err(NetError::UnknownAnswer { class: 4, command: 0, answer: 7 }));
    assert_eq!(net.pairs(), 2, "it may have done it: nobody sends on what it may have given up");
    assert_eq!(net.set_pairs(3), Err(refused));
    assert_eq!(net.pairs(), 2);
}

// shows: net.config.legacy.1, net.op.ctrlq.mq-auto.legacy.1
#[test]
fn an_old_device_with_several_pairs() {
    let hal = TestHal::new();
    let space = Space { legacy: true, pairs: 2, status: 0, ..Space::default() };
    let features = (SEVERAL - MODERN) | Features::ANY_LAYOUT;
    let builder = FakeDevice::builder(DeviceId::NET).features(features).config(space.bytes()).legacy();
    let model = answering(builder, 2, yes, &hal);
    let net = drive(&model, &hal, &all(2));
    assert_eq!(net.pairs(), 2);
    assert_eq!(model.commands.bytes(), [[&[4, 0][..], &2_u16.to_ne_bytes()].concat()]);
    assert!(!net.link().unwrap().up);
    assert_eq!(net.device().config(ByteOrder::Native).unwrap().u16(8), Ok(2));
}

/// Each half on a thread of its own, the control queue on another, and the link looked at from a fourth.
#[test]
fn every_part_has_a_cpu_of_its_own() {
    const ROUNDS: u8 = 100;
    let hal = TestHal::new();
    let model = with_pairs(2, yes, &hal);
    let mut net: Card = drive(&model, &hal, &all(2));
    {
        let mut split = net.split().unwrap();
        let mut control = split.control().unwrap();
        assert!(split.control().is_err(), "there is one");
        let status = split.status();
        thread::scope(|cpus| {
            for pair in 0..2_u16 {
                let (mut receiver, mut sender) = split.next_pair().unwrap().unwrap();
                let device = model.device.clone();
                cpus.spawn(move || {
                    for first in 0..ROUNDS {
                        assert!(device.send(2 * pair, &incoming(first, 60)));
                        let frame = receiver.receive().unwrap().unwrap();
                        assert_eq!(frame.bytes().unwrap(), counting(first, 60));
                        drop(frame);
                        assert!(receiver.receive().unwrap().is_none());
                    }
                });
                cpus.spawn(move || {
                    for first in 0..ROUNDS {
                        sender.add_copied(&counting(first, 60), TxOffload::NONE).unwrap();
                        sender.kick();
                        while sender.poll().unwrap().is_some() {}
                    }
                });
            }
            cpus.spawn(move || {
                for _ in 0..ROUNDS {
                    control.set_mode(RxMode::Promiscuous, Switch::On).unwrap();
                }
            });
            cpus.spawn(move || {
                for _ in 0..ROUNDS {
                    assert!(status.link().unwrap().up);
                }
            });
        });
    }
    let sent = model.sent.take();
    for pair in 0..2 {
        let of_pair: Vec<_> = sent
            .iter()
            .filter(|request| request.queue == 2 * pair + 1)
            .map(|request| &request.readable)
            .collect();
        let expected: Vec<Vec<u8>> =
            (0..ROUNDS).map(|first| [header(0).as_slice(), &counting(first, 60)].concat()).collect();
        assert_eq!(of_pair, expected.iter().collect::<Vec<_>>());
    }
    assert_eq!(model.commands.take().len(), usize::from(ROUNDS) + 1);
    assert_eq!(net.pairs(), 2);
}

#[test]
fn parts_of_a_device_that_is_down() {
    let hal = TestHal::new();
    let model = with_pairs(1, yes, &hal);
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    model.device.needs_reset();
    assert!(net.ack_interrupt().is_err());
    let down = NetError::Core(Error::Down);
    assert_eq!(net.pair(0).unwrap_err(), down);
    assert_eq!(net.split().unwrap_err(), down);
    assert_eq!(net.control().unwrap_err(), down);
    assert_eq!(net.link().unwrap_err(), down);
    assert_eq!(net.recover().unwrap().pairs(), 1);
}
