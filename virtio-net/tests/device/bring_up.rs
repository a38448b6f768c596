//! Features, configuration and queues (VIRTIO 1.4 §5.1.2 to §5.1.6).

use crate::bench::{MAC, MODERN, Space, all, answering, drive, legacy, offering};

use virtio_core::{DeviceId, Features, Incompatible, QueueIndex};
use virtio_net::{MacAddress, Net, NetError, Options, abi};
use virtio_testkit::{Event, FakeDevice, Reply, TestHal};

/// What a driver accepts of `offered`.
fn accepted(offered: Features, options: &Options) -> Features {
    let hal = TestHal::new();
    let model = offering(MODERN | offered, &hal);
    let net = drive(&model, &hal, options);
    assert_eq!(net.features(), model.device.accepted());
    model.device.accepted() - MODERN
}

// shows: net.config.2, net.config.7, net.config.14
#[test]
fn features_are_taken_with_what_they_need() {
    let only = |features: Features| accepted(features, &all(4));
    assert_eq!(only(abi::F_MAC | abi::F_MTU), abi::F_MAC | abi::F_MTU);
    // None of these without the control queue.
    let controlled = abi::F_CTRL_RX
        | abi::F_CTRL_RX_EXTRA
        | abi::F_CTRL_VLAN
        | abi::F_CTRL_MAC_ADDR
        | abi::F_CTRL_GUEST_OFFLOADS
        | abi::F_MQ
        | abi::F_GUEST_ANNOUNCE
        | abi::F_NOTF_COAL
        | abi::F_VQ_NOTF_COAL;
    assert_eq!(only(controlled), Features::empty());
    let with_queue = controlled | abi::F_CTRL_VQ | abi::F_STATUS;
    assert_eq!(only(with_queue), with_queue);
    assert_eq!(only(abi::F_CTRL_VQ | abi::F_GUEST_ANNOUNCE), abi::F_CTRL_VQ, "nobody says when to announce");
    // Nor these without checksums.
    let segments = abi::F_HOST_TSO4 | abi::F_HOST_TSO6 | abi::F_HOST_USO | abi::F_HOST_ECN;
    assert_eq!(only(segments), Features::empty());
    assert_eq!(only(segments | abi::F_CSUM), segments | abi::F_CSUM);
    assert_eq!(only(abi::F_CSUM | abi::F_HOST_ECN), abi::F_CSUM);
    let received = abi::RECEIVE_SEGMENTS | abi::F_GUEST_ECN;
    assert_eq!(only(received | abi::F_MRG_RXBUF), abi::F_MRG_RXBUF);
    assert_eq!(only(received | abi::F_GUEST_CSUM), received | abi::F_GUEST_CSUM);
    assert_eq!(only(abi::F_GUEST_CSUM | abi::F_GUEST_ECN), abi::F_GUEST_CSUM);
}

#[test]
fn what_nobody_asked_for_or_is_not_implemented_is_not_taken() {
    let everything = Features::from_bits_retain((1 << 24) - 1) | Features::from_bits_retain(!0 << 50);
    let strange = abi::F_STANDBY
        | abi::F_HOST_UFO
        | abi::F_GUEST_UFO
        | abi::F_RSS
        | abi::F_HASH_REPORT
        | abi::F_HASH_TUNNEL
        | abi::F_DEVICE_STATS
        | abi::F_RSC_EXT
        | abi::F_IPSEC
        | abi::F_OUT_NET_HEADER
        | abi::F_GUEST_UDP_TUNNEL_GSO
        | abi::F_HOST_UDP_TUNNEL_GSO;
    let taken = accepted(everything, &all(1));
    assert!(!taken.intersects(strange), "{taken:?}");
    assert!(!taken.contains(abi::F_MQ), "one pair was asked for");
    assert!(taken.contains(abi::OFFLOADS));
    let usual = accepted(everything, &Options::DEFAULT);
    assert!(usual.contains(abi::TRANSMIT_OFFLOADS));
    assert!(!usual.intersects(abi::F_GUEST_CSUM | abi::RECEIVE_SEGMENTS | abi::F_MRG_RXBUF));
    let refused = Options { refused: abi::F_CTRL_VQ | abi::F_MTU, ..Options::DEFAULT };
    assert!(!accepted(everything, &refused).intersects(abi::F_CTRL_VQ | abi::F_MTU | abi::F_CTRL_RX));
}

// shows: net.config.3
#[test]
fn the_address_is_the_devices() {
    for old in [false, true] {
        let hal = TestHal::new();
        let model = if old {
            legacy(abi::F_MAC | Features::ANY_LAYOUT, &hal)
        } else {
            offering(MODERN | abi::F_MAC, &hal)
        };
        let mut net = drive(&model, &hal, &Options::DEFAULT);
        assert_eq!(net.mac(), Ok(Some(MacAddress(MAC))));
        assert_eq!(net.split().unwrap().status().mac(), Ok(Some(MacAddress(MAC))));
    }
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    assert_eq!(
        drive(&model, &hal, &Options::DEFAULT).mac(),
        Ok(None),
        "the bytes are there, and mean nothing"
    );
}

/// Stacks panic on them.
#[test]
fn an_address_that_no_card_can_have_is_none() {
    let hal = TestHal::new();
    let model = offering(MODERN | abi::F_MAC, &hal);
    let net = drive(&model, &hal, &Options::DEFAULT);
    for mac in [[0; 6], [0xff; 6], [1, 0, 0, 0, 0, 0], [0x33, 0x33, 0, 0, 0, 5]] {
        let mut bytes = Space::default().bytes();
        bytes[..6].copy_from_slice(&mac);
        model.device.set_config(bytes);
        assert_eq!(net.mac(), Ok(None), "{mac:?}");
    }
}

fn with_space(features: Features, space: Space, options: &Options) -> Result<Option<u16>, NetError> {
    let hal = TestHal::new();
    let builder = FakeDevice::builder(DeviceId::NET).features(MODERN | features).config(space.bytes());
    let model = answering(builder, 4, |_| Reply::Write(vec![0]), &hal);
    let net = Net::new(model.device.transport(), hal.clone(), options)?;
    assert_eq!(net.features().contains(abi::F_MTU), net.mtu().is_some());
    Ok(net.mtu())
}

#[test]
fn an_mtu_that_no_network_has_is_not_believed() {
    for (mtu, taken) in
        [(0, None), (67, None), (68, Some(68)), (1500, Some(1500)), (u16::MAX, Some(u16::MAX))]
    {
        let space = Space { mtu, ..Space::default() };
        let options = Options { buffer_len: 65_600, receive_queue: 2, ..Options::DEFAULT };
        assert_eq!(with_space(abi::F_MTU, space, &options), Ok(taken), "{mtu}");
        assert_eq!(with_space(Features::empty(), space, &options), Ok(None), "{mtu}, not offered");
    }
}

/// A device whose MTU is another as soon as it was looked at.
#[test]
fn an_mtu_that_changes_its_mind_is_named() {
    let hal = TestHal::new();
    let model = offering(MODERN | abi::F_MTU, &hal);
    model.device.set_config(Space { mtu: 0xff20, ..Space::default() }.bytes());
    // Every byte is one more after the next read: 0x0021.
    model.device.unsettle_config(1);
    let error = Net::new(model.device.transport(), hal.clone(), &Options::DEFAULT).unwrap_err();
    assert_eq!(error, NetError::Core(Incompatible::ConfigOutOfRange { offset: 10, value: 33 }.into()));
}

#[test]
fn numbers_of_pairs_that_cannot_be_are_named() {
    let mq = abi::F_MQ | abi::F_CTRL_VQ;
    for pairs in [0, 0x8000, 0x8001, u16::MAX] {
        let space = Space { pairs, ..Space::default() };
        assert_eq!(with_space(mq, space, &all(4)), Err(NetError::BadPairs(pairs)));
        // Who wants one pair does not ask.
        assert_eq!(with_space(mq, space, &Options::DEFAULT), Ok(None));
    }
    let space = Space { pairs: 4, ..Space::default() };
    assert!(with_space(mq, space, &all(4)).is_ok());
}

#[test]
fn the_control_queue_is_behind_all_pairs() {
    for (offered, options, pairs) in [
        (abi::F_CTRL_VQ, all(4), 1),
        (abi::F_CTRL_VQ | abi::F_MQ, all(1), 1),
        (abi::F_CTRL_VQ | abi::F_MQ, all(2), 4),
        (abi::F_CTRL_VQ | abi::F_MQ, all(9), 4),
    ] {
        let hal = TestHal::new();
        let space = Space { pairs, ..Space::default() };
        let builder = FakeDevice::builder(DeviceId::NET)
            .features(MODERN | abi::F_CTRL_RX | offered)
            .config(space.bytes());
        let model = answering(builder, pairs, |_| Reply::Write(vec![0]), &hal);
        let mut net = drive(&model, &hal, &options);
        let used = options.pairs.min(pairs);
        assert_eq!((net.pairs(), net.most_pairs()), (used, used));
        let enabled: Vec<u16> = hal
            .trace()
            .iter()
            .filter_map(|event| match event {
                Event::QueueEnabled { queue, .. } => Some(queue.get()),
                _ => None,
            })
            .collect();
        let expected: Vec<u16> = core::iter::once(2 * pairs).chain(0..2 * used).collect();
        assert_eq!(enabled, expected);
        model.commands.take();
        net.control().unwrap().set_mac_table(&[], &[]).unwrap();
        assert_eq!(model.commands.bytes(), [vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0]]);
    }
}

#[test]
fn an_old_device_that_wants_headers_apart_is_named() {
    let hal = TestHal::new();
    let model = legacy(abi::F_MAC, &hal);
    let error = Net::new(model.device.transport(), hal.clone(), &Options::DEFAULT).unwrap_err();
    assert_eq!(error, NetError::NeedsAnyLayout);
}

#[test]
fn wrong_devices_are_named() {
    let hal = TestHal::new();
    let other = FakeDevice::builder(DeviceId::BLOCK).build(&hal);
    let error = Net::new(other.transport(), hal.clone(), &Options::DEFAULT).unwrap_err();
    assert_eq!(error, NetError::Core(Incompatible::WrongDevice(DeviceId::BLOCK).into()));
    let half = FakeDevice::builder(DeviceId::NET).event_queue(0, 64).build(&hal);
    let error = Net::new(half.transport(), hal.clone(), &Options::DEFAULT).unwrap_err();
    assert_eq!(error, NetError::Core(Incompatible::NoQueue(QueueIndex::new(1)).into()));
    // A frame to be sent takes two descriptors.
    let small = FakeDevice::builder(DeviceId::NET).event_queue(0, 64).event_queue(1, 1).build(&hal);
    let error = Net::new(small.transport(), hal.clone(), &Options::DEFAULT).unwrap_err();
    let queue = QueueIndex::new(1);
    assert_eq!(error, NetError::Core(Incompatible::QueueTooSmall { queue, max: 1, needed: 2 }.into()));
    let spaceless = FakeDevice::builder(DeviceId::NET).features(MODERN | abi::F_MAC | abi::F_MTU);
    let spaceless = spaceless.event_queue(0, 64).event_queue(1, 64).build(&hal);
    let net = Net::new(spaceless.transport(), hal.clone(), &Options::DEFAULT).unwrap();
    assert_eq!(net.mtu(), None);
    assert_eq!(net.mac(), Err(NetError::Core(Incompatible::ConfigTooSmall { offset: 0, len: 1 }.into())));
}

// shows: net.config.1
#[test]
fn the_configuration_is_read_and_never_written() {
    let hal = TestHal::new();
    let features = abi::F_MAC | abi::F_STATUS | abi::F_MTU | abi::F_CTRL_VQ | abi::F_CTRL_RX;
    let model = offering(MODERN | features | abi::F_CTRL_MAC_ADDR | abi::F_SPEED_DUPLEX, &hal);
    let mut net = drive(&model, &hal, &all(1));
    net.link().unwrap();
    net.control().unwrap().set_mac(MacAddress::local(7)).unwrap();
    net.send(&[0; 60]).unwrap();
    assert!(!hal.trace().iter().any(|event| matches!(event, Event::ConfigWrite { .. })));
}

/// What a caller may ask for by mistake: an error, or what there is; never a panic.
#[test]
fn options_that_make_no_sense() {
    let with = |change: &dyn Fn(&mut Options)| {
        let hal = TestHal::new();
        let model = offering(MODERN | abi::F_MRG_RXBUF, &hal);
        let mut options = all(1);
        change(&mut options);
        let mut net = virtio_net::Net::<_, _>::new(model.device.transport(), hal.clone(), &options)?;
        net.send(&[0; 60])
    };
    for (room, works) in [(0, false), (1, true), (u16::MAX, true)] {
        assert_eq!(with(&|options| options.receive_queue = room).is_ok(), works, "{room}");
    }
    for (room, works) in [(0, false), (1, false), (2, true), (u16::MAX, true)] {
        assert_eq!(with(&|options| options.transmit_queue = room).is_ok(), works, "{room}");
    }
    for pairs in [0, 1, u16::MAX] {
        assert_eq!(with(&|options| options.pairs = pairs), Ok(()), "{pairs}");
    }
    let needed = NetError::BufferTooShort { len: 84, needed: 85 };
    assert_eq!(with(&|options| options.buffer_len = 84), Err(needed));
    for huge in [usize::MAX, usize::MAX - 64, isize::MAX.unsigned_abs()] {
        assert!(with(&|options| options.buffer_len = huge).is_err(), "{huge:#x}");
        assert!(with(&|options| options.copied = huge).is_err(), "{huge:#x}");
    }
    assert_eq!(with(&|options| options.copied = 0), Ok(()));
}
