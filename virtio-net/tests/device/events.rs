//! The link, announcements, and a device that gives up (VIRTIO 1.4 §5.1.4, §5.1.9.5.4).

use crate::bench::{MODERN, Space, all, answering, counting, drive, incoming, legacy, offering};

use virtio_core::transport::InterruptStatus;
use virtio_core::{DeviceId, Endpoint, Error, Features};
use virtio_net::{Duplex, Link, NetError, NetEvent, Options, abi};
use virtio_testkit::{Event, FakeDevice, Reply, TestHal};

const TOLD: Features = abi::F_STATUS.union(abi::F_SPEED_DUPLEX);

fn link(features: Features, space: Space) -> Link {
    let hal = TestHal::new();
    let model = offering(MODERN | features, &hal);
    model.device.set_config(space.bytes());
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    let link = net.link().unwrap();
    assert_eq!(net.split().unwrap().status().link(), Ok(link), "also while the queues are lent");
    link
}

// shows: net.config.5, net.config.6, net.config.11
#[test]
fn the_link_is_as_the_device_says_or_up() {
    let known = Link { up: true, announce: false, speed: Some(10_000), duplex: Some(Duplex::Full) };
    assert_eq!(link(TOLD, Space::default()), known);
    let down = Space { status: 0, ..Space::default() };
    assert_eq!(link(TOLD, down), Link { up: false, ..known });
    assert_eq!(link(TOLD, Space { status: 0xfffc, ..down }), Link { up: false, ..known }, "one bit counts");
    // Nobody says.
    let silent = Link { up: true, announce: false, speed: None, duplex: None };
    assert_eq!(link(Features::empty(), down), silent);
    assert_eq!(link(abi::F_STATUS, down), Link { up: false, ..silent });
    assert_eq!(link(abi::F_SPEED_DUPLEX, down), known);
    // Values that are none.
    for (speed, said) in
        [(0, Some(0)), (0x7fff_ffff, Some(0x7fff_ffff)), (0x8000_0000, None), (u32::MAX, None)]
    {
        assert_eq!(link(TOLD, Space { speed, ..Space::default() }).speed, said);
    }
    for (duplex, said) in [(0, Some(Duplex::Half)), (1, Some(Duplex::Full)), (2, None), (0xff, None)] {
        assert_eq!(link(TOLD, Space { duplex, ..Space::default() }).duplex, said);
    }
}

#[test]
fn an_old_devices_link_is_in_the_guests_byte_order() {
    let hal = TestHal::new();
    let model = legacy(abi::F_STATUS | Features::ANY_LAYOUT, &hal);
    let net = drive(&model, &hal, &Options::DEFAULT);
    assert!(net.link().unwrap().up);
    model.device.set_config(Space { legacy: true, status: 0, ..Space::default() }.bytes());
    assert!(!net.link().unwrap().up);
}

#[test]
fn a_configuration_that_never_settles_is_named() {
    let hal = TestHal::new();
    let model = offering(MODERN | TOLD, &hal);
    let net = drive(&model, &hal, &Options::DEFAULT);
    model.device.unsettle_config(u32::MAX);
    let unstable = virtio_core::Misbehaved::ConfigUnstable;
    assert_eq!(net.link(), Err(NetError::Core(unstable.into())));
    model.device.unsettle_config(0);
    assert!(net.link().is_ok());
}

// shows: net.config.12
#[test]
fn a_change_is_read_anew() {
    let hal = TestHal::new();
    let model = offering(MODERN | TOLD, &hal);
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    let endpoint = net.device().endpoint(0).unwrap();
    assert_eq!(net.attend(InterruptStatus::QUEUE), Ok(None));
    let space = Space { status: 0, speed: 100, duplex: 0, ..Space::default() };
    model.device.set_config(space.bytes());
    let changed = Link { up: false, announce: false, speed: Some(100), duplex: Some(Duplex::Half) };
    assert_eq!(net.attend(endpoint.ack()), Ok(Some(NetEvent::Changed(changed))));
    assert_eq!(net.attend(endpoint.ack()), Ok(None), "it was acknowledged");
}

const ANNOUNCES: Features = abi::F_STATUS.union(abi::F_CTRL_VQ).union(abi::F_GUEST_ANNOUNCE);

// shows: net.op.ctrlq.announce.2
#[test]
fn an_announcement_is_passed_on_and_acknowledged() {
    let hal = TestHal::new();
    let model = offering(MODERN | ANNOUNCES, &hal);
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    let announce = Space { status: 3, ..Space::default() };
    model.device.set_config(announce.bytes());
    let Ok(Some(NetEvent::Changed(link))) = net.attend(InterruptStatus::CONFIG) else { panic!() };
    assert!(link.up && link.announce);
    assert_eq!(model.commands.bytes(), [[3, 0]]);
    model.device.set_config(Space::default().bytes());
    let Ok(Some(NetEvent::Changed(link))) = net.attend(InterruptStatus::CONFIG) else { panic!() };
    assert!(link.up && !link.announce);
    assert!(model.commands.take().is_empty());
    // Who has lent everything looks and acknowledges by the parts.
    model.device.set_config(announce.bytes());
    let mut split = net.split().unwrap();
    assert!(split.status().link().unwrap().announce);
    split.control().unwrap().acknowledge_announce().unwrap();
    assert_eq!(model.commands.bytes(), [[3, 0]]);
}

#[test]
fn nobody_announces_who_has_not_said_so() {
    let hal = TestHal::new();
    let model = offering(MODERN | ANNOUNCES, &hal);
    let options = Options { refused: abi::F_GUEST_ANNOUNCE, ..Options::DEFAULT };
    let mut net = drive(&model, &hal, &options);
    model.device.set_config(Space { status: 3, ..Space::default() }.bytes());
    let Ok(Some(NetEvent::Changed(link))) = net.attend(InterruptStatus::CONFIG) else { panic!() };
    assert!(link.up && !link.announce);
    assert!(model.commands.take().is_empty());
}

#[test]
fn a_device_that_does_not_take_the_acknowledgement() {
    let hal = TestHal::new();
    let builder =
        FakeDevice::builder(DeviceId::NET).features(MODERN | ANNOUNCES).config(Space::default().bytes());
    let model = answering(builder, 1, |_| Reply::Write(vec![1]), &hal);
    let mut net = drive(&model, &hal, &Options::DEFAULT);
    model.device.set_config(Space { status: 3, ..Space::default() }.bytes());
    let refused = NetError::Refused { class: 3, command: 0 };
    assert_eq!(net.attend(InterruptStatus::CONFIG), Err(refused));
    net.send(&[0; 60]).unwrap();
}

#[test]
fn a_device_that_gives_up_is_taken_down_and_comes_back() {
    let hal = TestHal::new();
    let model = offering(MODERN | abi::F_CTRL_VQ | abi::F_MQ, &hal);
    let mut net = drive(&model, &hal, &all(2));
    model.device.send(0, &incoming(1, 60));
    model.device.needs_reset();
    assert_eq!(net.attend(InterruptStatus::CONFIG), Ok(Some(NetEvent::NeedsReset)));
    assert!(hal.outstanding().is_none());
    assert_eq!(net.attend(InterruptStatus::CONFIG), Err(NetError::Core(Error::Down)));
    let options = all(2);
    let mut net = net.recover().unwrap();
    assert_eq!(model.device.held(0), usize::from(options.receive_queue));
    model.device.send(0, &incoming(2, 60));
    let (mut receiver, _) = net.pair(0).unwrap();
    assert_eq!(receiver.receive().unwrap().unwrap().bytes().unwrap(), counting(2, 60));
}

/// Frames go in and out without a look at the configuration.
#[test]
fn no_frame_reads_the_configuration() {
    let hal = TestHal::new();
    let model = offering(MODERN | TOLD | abi::F_MAC | abi::F_MTU, &hal);
    let mut net = drive(&model, &hal, &all(1));
    hal.clear_trace();
    let (mut receiver, mut sender) = net.pair(0).unwrap();
    for first in 0..20 {
        model.device.send(0, &incoming(first, 60));
        drop(receiver.receive().unwrap().unwrap());
        sender.send(&[0; 60]).unwrap();
        while sender.poll().unwrap().is_some() {}
    }
    let read = |event: &Event| matches!(event, Event::ConfigRead { .. } | Event::StatusRead(_));
    assert!(!hal.trace().iter().any(read));
}
