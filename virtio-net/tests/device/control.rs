//! Commands (VIRTIO 1.4 §5.1.9.5).

use crate::bench::{MODERN, Space, all, answering, drive, legacy, offering};

use virtio_core::{DeviceId, Error, Features, Misbehaved, QueueIndex, Wait};
use virtio_net::{Coalescing, Command, MacAddress, NetError, NetQueue, RxMode, Switch, abi};
use virtio_testkit::{FakeDevice, Lie, Reply, TestHal};

const EVERYTHING: Features = abi::F_CTRL_VQ
    .union(abi::F_CTRL_RX)
    .union(abi::F_CTRL_RX_EXTRA)
    .union(abi::F_CTRL_VLAN)
    .union(abi::F_CTRL_MAC_ADDR)
    .union(abi::F_CTRL_GUEST_OFFLOADS)
    .union(abi::F_STATUS)
    .union(abi::F_GUEST_ANNOUNCE)
    .union(abi::F_NOTF_COAL)
    .union(abi::F_VQ_NOTF_COAL)
    .union(abi::F_GUEST_CSUM)
    .union(abi::F_GUEST_TSO4)
    .union(abi::F_GUEST_USO6)
    .union(abi::F_MRG_RXBUF);

const ONE: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
const TWO: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);
const GROUP: MacAddress = MacAddress([0x33, 0x33, 0, 0, 0, 5]);

/// What the device gets for a command, with all that a device may have but `without`.
fn sent_without(without: Features, command: Command<'_>) -> Result<Vec<u8>, NetError> {
    let hal = TestHal::new();
    let model = offering((MODERN | EVERYTHING) - without, &hal);
    let mut net = drive(&model, &hal, &all(1));
    let outcome = net.control().and_then(|mut control| control.command(command));
    let mut commands = model.commands.bytes();
    assert_eq!(commands.len(), usize::from(outcome.is_ok()), "what is refused is not sent");
    outcome.map(|()| commands.remove(0))
}

fn sent(command: Command<'_>) -> Vec<u8> {
    sent_without(Features::empty(), command).unwrap()
}

// shows: net.op.ctrlq.rx-filter.1, net.op.ctrlq.rx-filter.2
#[test]
fn receive_modes() {
    for (mode, number, needs) in [
        (RxMode::Promiscuous, 0, abi::F_CTRL_RX),
        (RxMode::AllMulticast, 1, abi::F_CTRL_RX),
        (RxMode::AllUnicast, 2, abi::F_CTRL_RX_EXTRA),
        (RxMode::NoMulticast, 3, abi::F_CTRL_RX_EXTRA),
        (RxMode::NoUnicast, 4, abi::F_CTRL_RX_EXTRA),
        (RxMode::NoBroadcast, 5, abi::F_CTRL_RX_EXTRA),
    ] {
        assert_eq!(sent(Command::Mode(mode, Switch::On)), [0, number, 1]);
        assert_eq!(sent(Command::Mode(mode, Switch::Off)), [0, number, 0]);
        let error = sent_without(needs, Command::Mode(mode, Switch::On)).unwrap_err();
        assert_eq!(error, NetError::NotNegotiated(needs));
    }
}

// shows: net.op.ctrlq.mac-filter.1, net.op.ctrlq.mac-filter.3, net.op.ctrlq.mac-filter.4
#[test]
fn tables_of_addresses() {
    let table = |unicast, multicast| Command::MacTable { unicast, multicast };
    assert_eq!(sent(table(&[], &[])), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let expected = [&[1, 0, 2, 0, 0, 0][..], &ONE.0, &TWO.0, &[1, 0, 0, 0], &GROUP.0].concat();
    assert_eq!(sent(table(&[ONE, TWO], &[GROUP])), expected);
    assert_eq!(sent(table(&[], &[GROUP; 64])).len(), 2 + 8 + 6 * 64);
    let refused =
        |unicast, multicast| sent_without(Features::empty(), table(unicast, multicast)).unwrap_err();
    assert_eq!(refused(&[ONE; 33], &[GROUP; 32]), NetError::TooManyAddresses(65));
    assert_eq!(refused(&[ONE, GROUP], &[]), NetError::WrongAddress(GROUP));
    assert_eq!(refused(&[], &[GROUP, TWO]), NetError::WrongAddress(TWO));
    for command in [table(&[ONE], &[]), Command::SetMac(ONE)] {
        let error = sent_without(abi::F_CTRL_RX, command).unwrap_err();
        assert_eq!(error, NetError::NotNegotiated(abi::F_CTRL_RX));
    }
    assert_eq!(sent(Command::SetMac(ONE)), [&[1, 1][..], &ONE.0].concat());
    let error = sent_without(abi::F_CTRL_MAC_ADDR, Command::SetMac(ONE)).unwrap_err();
    assert_eq!(error, NetError::NotNegotiated(abi::F_CTRL_MAC_ADDR));
    for wrong in [GROUP, MacAddress([0; 6])] {
        let error = sent_without(Features::empty(), Command::SetMac(wrong)).unwrap_err();
        assert_eq!(error, NetError::WrongAddress(wrong));
    }
}

#[test]
fn vlans() {
    assert_eq!(sent(Command::AddVlan(0x0abc)), [2, 0, 0xbc, 0x0a]);
    assert_eq!(sent(Command::RemoveVlan(4095)), [2, 1, 0xff, 0x0f]);
    assert_eq!(sent_without(Features::empty(), Command::AddVlan(4096)), Err(NetError::BadVlan(4096)));
    let lacks = Err(NetError::NotNegotiated(abi::F_CTRL_VLAN));
    assert_eq!(sent_without(abi::F_CTRL_VLAN, Command::AddVlan(1)), lacks);
    assert_eq!(sent_without(abi::F_CTRL_VLAN, Command::RemoveVlan(1)), lacks);
}

#[test]
fn announcements() {
    assert_eq!(sent(Command::AcknowledgeAnnounce), [3, 0]);
    let lacks = Err(NetError::NotNegotiated(abi::F_GUEST_ANNOUNCE));
    assert_eq!(sent_without(abi::F_GUEST_ANNOUNCE, Command::AcknowledgeAnnounce), lacks);
}

// shows: net.op.ctrlq.offloads.1
#[test]
fn offloads_of_received_frames() {
    let all = abi::F_GUEST_CSUM | abi::F_GUEST_TSO4 | abi::F_GUEST_USO6;
    assert_eq!(sent(Command::GuestOffloads(all)), [5, 0, 0x82, 0, 0, 0, 0, 0, 0x80, 0]);
    assert_eq!(sent(Command::GuestOffloads(Features::empty())), [5, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // Not negotiated, not of this kind, not of a bit that the command has.
    for wrong in [
        abi::F_GUEST_TSO6,
        abi::F_GUEST_USO4,
        abi::F_CSUM,
        abi::F_MRG_RXBUF,
        Features::bit(46),
        Features::bit(65),
    ] {
        let error = sent_without(Features::empty(), Command::GuestOffloads(all | wrong)).unwrap_err();
        assert_eq!(error, NetError::NotNegotiated(wrong));
    }
    let lacks = Err(NetError::NotNegotiated(abi::F_CTRL_GUEST_OFFLOADS));
    assert_eq!(sent_without(abi::F_CTRL_GUEST_OFFLOADS, Command::GuestOffloads(all)), lacks);
}

// shows: net.op.ctrlq.notf-coal.1, net.op.ctrlq.notf-coal.2, net.op.ctrlq.notf-coal.3
#[test]
fn interrupts_held_back() {
    let coalescing = Coalescing { frames: 0x0102_0304, microseconds: 0x0506_0708 };
    let bytes = [4, 3, 2, 1, 8, 7, 6, 5];
    assert_eq!(sent(Command::CoalesceTransmit(coalescing)), [&[6, 0][..], &bytes].concat());
    assert_eq!(sent(Command::CoalesceReceive(coalescing)), [&[6, 1][..], &bytes].concat());
    let of_queue = |queue| Command::CoalesceQueue(queue, coalescing);
    assert_eq!(sent(of_queue(NetQueue::Receive(0))), [&[6, 2, 0, 0, 0, 0][..], &bytes].concat());
    assert_eq!(sent(of_queue(NetQueue::Transmit(0))), [&[6, 2, 1, 0, 0, 0][..], &bytes].concat());
    for queue in [NetQueue::Receive(1), NetQueue::Transmit(1), NetQueue::Receive(u16::MAX)] {
        let (NetQueue::Receive(pair) | NetQueue::Transmit(pair)) = queue;
        assert_eq!(sent_without(Features::empty(), of_queue(queue)), Err(NetError::NoSuchPair(pair)));
    }
    let lacks = Err(NetError::NotNegotiated(abi::F_NOTF_COAL));
    assert_eq!(sent_without(abi::F_NOTF_COAL, Command::CoalesceTransmit(coalescing)), lacks);
    assert_eq!(sent_without(abi::F_NOTF_COAL, Command::CoalesceReceive(coalescing)), lacks);
    let lacks = Err(NetError::NotNegotiated(abi::F_VQ_NOTF_COAL));
    assert_eq!(sent_without(abi::F_VQ_NOTF_COAL, of_queue(NetQueue::Receive(0))), lacks);
}

/// A device that answers commands with these bytes, in turn.
fn scripted(answers: Vec<Reply>, hal: &TestHal) -> crate::bench::Model {
    let mut answers = answers.into_iter();
    let builder =
        FakeDevice::builder(DeviceId::NET).features(MODERN | EVERYTHING).config(Space::default().bytes());
    answering(builder, 1, move |_| answers.next().unwrap_or(Reply::Write(vec![0])), hal)
}

// shows: net.op.ctrlq.notf-coal.4
#[test]
fn a_queue_says_how_its_interrupts_are_held_back() {
    let hal = TestHal::new();
    let yes = [0, 4, 3, 2, 1, 8, 7, 6, 5];
    let no = [1, 4, 3, 2, 1, 8, 7, 6, 5];
    let answers = [&yes[..], &no, &yes[..8], &yes[..1]].map(|bytes| Reply::Write(bytes.to_vec()));
    let model = scripted(answers.to_vec(), &hal);
    let mut net = drive(&model, &hal, &all(1));
    let mut control = net.control().unwrap();
    let expected = Coalescing { frames: 0x0102_0304, microseconds: 0x0506_0708 };
    let transmit = NetQueue::Transmit(0);
    assert_eq!(control.coalescing(transmit), Ok(expected));
    let requests = model.commands.take();
    assert_eq!((requests[0].readable.as_slice(), requests[0].writable), (&[6, 3, 1, 0, 0, 0][..], 9));
    assert_eq!(control.coalescing(transmit), Err(NetError::Refused { class: 6, command: 3 }));
    let short = |written| Err(NetError::ShortAnswer { class: 6, command: 3, written });
    assert_eq!(control.coalescing(transmit), short(8));
    assert_eq!(control.coalescing(transmit), short(1));
    assert_eq!(control.coalescing(NetQueue::Receive(1)), Err(NetError::NoSuchPair(1)));
}

#[test]
fn answers_that_are_no_yes_are_named_and_the_queue_goes_on() {
    let hal = TestHal::new();
    let mut answers = vec![Reply::Write(vec![1]), Reply::Write(vec![])];
    answers.extend([2, 3, 0x80, 0xff].map(|answer| Reply::Write(vec![answer])));
    answers.push(Reply::Claim { bytes: vec![0], len: u32::MAX });
    let model = scripted(answers, &hal);
    let mut net = drive(&model, &hal, &all(1));
    let mut add = || net.control().unwrap().add_vlan(5);
    assert_eq!(add(), Err(NetError::Refused { class: 2, command: 0 }));
    assert_eq!(add(), Err(NetError::ShortAnswer { class: 2, command: 0, written: 0 }));
    for answer in [2, 3, 0x80, 0xff] {
        assert_eq!(add(), Err(NetError::UnknownAnswer { class: 2, command: 0, answer }));
    }
    assert_eq!(add(), Ok(()), "a claim that is too long is cut");
    assert_eq!(add(), Ok(()));
}

/// A device that does not answer in time: frames go on, and a late answer is taken for nobody's.
#[test]
fn a_late_answer_is_not_that_of_the_next_command() {
    let hal = TestHal::new();
    let model = scripted(vec![Reply::Hold, Reply::Hold], &hal);
    let mut net = drive(&model, &hal, &all(1));
    let timeout = Misbehaved::Timeout(Wait::Completion(QueueIndex::new(2)));
    let error = net.control().unwrap().add_vlan(1).unwrap_err();
    assert_eq!(error, NetError::Core(timeout.into()));
    net.send(&[0; 60]).unwrap();
    model.device.complete(2, 0, &[1]);
    let error = net.control().unwrap().add_vlan(2).unwrap_err();
    assert_eq!(error, NetError::Core(timeout.into()), "not the late no");
    assert_eq!(net.control().unwrap().add_vlan(3), Ok(()), "nor anything else");
    model.device.lie(2, Lie::UsedId { id: 99, len: 1 });
    let broken = Misbehaved::UsedIdOutOfRange { queue: QueueIndex::new(2), id: 99 };
    assert_eq!(net.control().unwrap().add_vlan(4), Err(NetError::Core(Error::from(broken))));
    net.send(&[0; 60]).unwrap();
}

#[test]
fn without_a_control_queue_there_is_none() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let mut net = drive(&model, &hal, &all(1));
    assert_eq!(net.control().unwrap_err(), NetError::NotNegotiated(abi::F_CTRL_VQ));
    assert_eq!(net.split().unwrap().control().unwrap_err(), NetError::NotNegotiated(abi::F_CTRL_VQ));
}

// shows: net.op.ctrlq.mac-filter.legacy.1, net.op.ctrlq.vlan-filter.legacy.1, net.op.ctrlq.offloads.legacy.1
#[test]
fn an_old_device_gets_numbers_in_the_guests_byte_order() {
    let hal = TestHal::new();
    // Features above 31 are not those of an old device.
    let old = EVERYTHING & Features::from_bits_retain(u128::from(u32::MAX));
    let model = legacy(old | Features::ANY_LAYOUT, &hal);
    let mut net = drive(&model, &hal, &all(1));
    let mut control = net.control().unwrap();
    control.set_mac_table(&[ONE], &[]).unwrap();
    control.add_vlan(0x0abc).unwrap();
    control.set_guest_offloads(abi::F_GUEST_CSUM).unwrap();
    let expected = [
        [&[1, 0][..], &1_u32.to_ne_bytes(), &ONE.0, &0_u32.to_ne_bytes()].concat(),
        [&[2, 0][..], &0x0abc_u16.to_ne_bytes()].concat(),
        [&[5, 0][..], &2_u64.to_ne_bytes()].concat(),
    ];
    assert_eq!(model.commands.bytes(), expected);
}

/// Every method is the command that it is named after.
#[test]
fn methods_are_commands() {
    let hal = TestHal::new();
    let model = offering(MODERN | EVERYTHING, &hal);
    let mut net = drive(&model, &hal, &all(1));
    let mut control = net.control().unwrap();
    control.set_mode(RxMode::NoUnicast, Switch::On).unwrap();
    control.set_mac_table(&[ONE], &[GROUP]).unwrap();
    control.set_mac(TWO).unwrap();
    control.add_vlan(3).unwrap();
    control.remove_vlan(3).unwrap();
    control.acknowledge_announce().unwrap();
    control.set_guest_offloads(abi::F_GUEST_CSUM).unwrap();
    let expected: Vec<Vec<u8>> = [
        Command::Mode(RxMode::NoUnicast, Switch::On),
        Command::MacTable { unicast: &[ONE], multicast: &[GROUP] },
        Command::SetMac(TWO),
        Command::AddVlan(3),
        Command::RemoveVlan(3),
        Command::AcknowledgeAnnounce,
        Command::GuestOffloads(abi::F_GUEST_CSUM),
    ]
    .map(sent)
    .to_vec();
    assert_eq!(model.commands.bytes(), expected);
}
