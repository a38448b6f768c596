//! `smoltcp` over it, with what is not to get through, and with buffers of all lengths.

use crate::bench::{HeapCard, MODERN, Seen, Space, all, header};

use smoltcp::phy::{Device, RxToken, TxToken};
use smoltcp::time::Instant;
use virtio_core::{DeviceId, Features};
use virtio_net::{Net, Options, Phy, abi};
use virtio_testkit::{FakeDevice, Reply, TestHal};

/// A card without receive buffers but `count`, whose device keeps what is sent.
fn card(hal: &TestHal, features: Features, options: &Options, count: u16) -> (FakeDevice, HeapCard) {
    let device = FakeDevice::builder(DeviceId::NET)
        .features(MODERN | features)
        .config(Space::default().bytes())
        .event_queue(0, 64)
        .event_queue(1, 64)
        .build(hal);
    let supply = |slot: virtio_net::Slot| (slot.nth < count).then(|| vec![0; slot.good_len]);
    let net = Net::with_buffers(device.transport(), hal.clone(), options, supply).unwrap();
    (device, net)
}

/// A datagram over IPv4 with a checksum, which `change` changes something about.
fn datagram(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut frame = [&[2; 12][..], &[8, 0, 0x45, 0, 0, 36, 0, 1, 0x40, 0, 64, 17]].concat();
    frame.extend([0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 68, 0, 67, 0, 16, 0xdb, 0x30, 1, 2, 3, 4, 5, 6, 7, 8]);
    change(&mut frame);
    frame
}

/// The stack does not look at checksums, so what nobody has looked at must not get to it.
// shows: net.op.rx.7
#[test]
fn nothing_gets_through_whose_checksum_nobody_could_check() {
    let frames = [
        ("right", datagram(|_| {}), true),
        ("wrong", datagram(|frame| frame[49] = 9), false),
        ("none", datagram(|frame| frame[40..42].fill(0)), true),
        // The stack would put these together, and take what comes out for good.
        ("a first fragment", datagram(|frame| frame[20] = 0x20), false),
        ("a last fragment", datagram(|frame| frame[21] = 1), false),
        ("a header of 16 bytes", datagram(|frame| frame[14] = 0x44), false),
        (
            "a datagram that ends before its packet, with a sum of all of it",
            datagram(|frame| (frame[39], frame[41]) = (12, 0x34)),
            false,
        ),
        // Others have sums that the stack checks, or none.
        ("a fragment of ICMP", datagram(|frame| (frame[20], frame[23]) = (0x20, 1)), true),
        ("no packet", datagram(|frame| frame[13] = 6), true),
    ];
    for (what, frame, passes) in frames {
        let hal = TestHal::new();
        let (device, mut net) = card(&hal, abi::F_GUEST_CSUM, &all(1), 4);
        let mut pool = [Some(vec![0; 2048])];
        let (receiver, sender) = net.pair(0).unwrap();
        let mut phy = Phy::new(receiver, sender, &mut pool);
        let checks = phy.capabilities().checksum;
        assert!(!checks.udp.rx() && !checks.tcp.rx());
        device.send(0, &[header(1).as_slice(), &frame].concat());
        let came = phy.receive(Instant::ZERO).map(|(token, _)| token.consume(<[u8]>::to_vec));
        assert_eq!(came, passes.then_some(frame.clone()), "{what}");
        assert_eq!(phy.drops().checksum, u64::from(!passes), "{what}");
        // The device's word is as good as ever.
        let mut validated = header(1);
        validated[0] = 2;
        device.send(0, &[validated.as_slice(), &frame].concat());
        assert!(phy.receive(Instant::ZERO).is_some(), "{what}");
    }
}

/// With more buffers than the queue takes, it is the queue that is waited for.
#[test]
fn a_full_queue_wakes_the_kernel_too() {
    let hal = TestHal::new();
    let options = Options { transmit_queue: 4, ..all(1) };
    let (device, mut net) = card(&hal, Features::empty(), &options, 4);
    let mut pool: Vec<_> = (0..4).map(|_| Some(vec![0; 2048])).collect();
    let (receiver, sender) = net.pair(0).unwrap();
    let mut phy = Phy::new(receiver, sender, &mut pool);
    for _ in 0..2 {
        phy.transmit(Instant::ZERO).unwrap().consume(60, |bytes| bytes.fill(1));
    }
    assert!(phy.transmit(Instant::ZERO).is_none());
    assert!(!phy.enable_interrupts());
    let before = device.interrupts();
    device.complete(1, 0, &[]);
    assert_eq!(device.interrupts(), before + 1, "or it would sleep on");
    assert!(phy.transmit(Instant::ZERO).is_some());
}

/// A frame is as long as the stack says, or there is no place for one: never less.
#[test]
fn buffers_that_are_shorter_than_the_stack_was_told_are_not_sent_from() {
    let hal = TestHal::new();
    let (device, mut net) = card(&hal, Features::empty(), &all(1), 4);
    let mut pool = vec![Some(vec![0; 700]), None];
    {
        let (receiver, sender) = net.pair(0).unwrap();
        let mut phy = Phy::new(receiver, sender, &mut pool);
        assert_eq!(phy.capabilities().max_transmission_unit, 700);
        phy.transmit(Instant::ZERO).unwrap().consume(60, |bytes| bytes.fill(1));
    }
    // It is on its way; another one takes over, with a longer one.
    pool[1] = Some(vec![0; 2048]);
    let (receiver, sender) = net.pair(0).unwrap();
    let mut phy = Phy::new(receiver, sender, &mut pool);
    assert_eq!(phy.capabilities().max_transmission_unit, 1514);
    device.complete(1, 0, &[]);
    for _ in 0..3 {
        let len = phy.transmit(Instant::ZERO).map(|token| {
            token.consume(1514, |bytes| {
                bytes.fill(2);
                bytes.len()
            })
        });
        if device.held(1) == 0 {
            assert_eq!(len, Some(1514));
        }
        assert!(matches!(len, None | Some(1514)), "{len:?}");
    }
    assert_eq!((phy.drops().unsent, device.held(1)), (0, 1));
}

/// The stack subtracts headers from what it is told.
#[test]
fn buffers_that_are_too_short_for_any_network_are_none() {
    for lens in [vec![], vec![0], vec![5, 13], vec![81], vec![5, 82]] {
        let hal = TestHal::new();
        let (_, mut net) = card(&hal, Features::empty(), &all(1), 4);
        let mut pool: Vec<_> = lens.iter().map(|len| Some(vec![0; *len])).collect();
        let (receiver, sender) = net.pair(0).unwrap();
        let mut phy = Phy::new(receiver, sender, &mut pool);
        let some = lens.contains(&82);
        let capabilities = phy.capabilities();
        assert_eq!(capabilities.max_transmission_unit, if some { 82 } else { 1514 });
        assert!(capabilities.ip_mtu() >= 68);
        assert_eq!(phy.transmit(Instant::ZERO).is_some(), some, "{lens:?}");
    }
}

/// Where frames are merged, a buffer is kept to put them together, whichever places are empty; a frame that is longer than what
/// is sent from does not make those that are sent shorter.
#[test]
fn the_first_buffer_that_is_there_puts_frames_together() {
    let hal = TestHal::new();
    let (device, mut net) = card(&hal, abi::F_MRG_RXBUF, &all(1), 16);
    let mut pool = vec![None, Some(vec![0; 900]), Some(vec![0; 2000])];
    let (receiver, sender) = net.pair(0).unwrap();
    let mut phy = Phy::new(receiver, sender, &mut pool);
    assert_eq!(phy.capabilities().max_transmission_unit, 1514);
    device.send(0, &[header(3).as_slice(), &[1; 400]].concat());
    device.send(0, &[2; 412]);
    device.send(0, &[]);
    let (token, _) = phy.receive(Instant::ZERO).unwrap();
    assert_eq!(token.consume(<[u8]>::to_vec), [vec![1; 400], vec![2; 412]].concat());
    // All of it in the first, and an empty one behind.
    device.send(0, &[header(2).as_slice(), &[3; 400]].concat());
    device.send(0, &[]);
    let (token, _) = phy.receive(Instant::ZERO).unwrap();
    assert_eq!(token.consume(<[u8]>::to_vec), [3; 400]);
    assert!(phy.receive(Instant::ZERO).is_none());
    assert_eq!((phy.drops().long, device.held(0)), (0, 16));
}

/// Frames with wrong checksums and frames out of order, without end: each look at the card comes to one.
#[test]
fn a_flood_does_not_keep_the_stack() {
    const SIZE: u16 = 64;
    let hal = TestHal::new();
    let seen = Seen::default();
    let (count, bad) = (seen.clone(), datagram(|frame| frame[49] = 9));
    let mut place = 0_u32;
    let device = FakeDevice::builder(DeviceId::NET)
        .features(MODERN | abi::F_GUEST_CSUM)
        .config(Space::default().bytes())
        .queue(0, SIZE, move |request| {
            count.push(request);
            place += 1;
            let bytes = if place % 60 == 0 { [header(1).as_slice(), &bad].concat() } else { vec![0; 3] };
            Reply::Write(bytes)
        })
        .event_queue(1, 64)
        .build(&hal);
    let supply = |slot: virtio_net::Slot| Some(vec![0; slot.good_len]);
    let mut net: HeapCard = Net::with_buffers(device.transport(), hal.clone(), &all(1), supply).unwrap();
    let mut pool = [Some(vec![0; 2048])];
    let (receiver, sender) = net.pair(0).unwrap();
    let mut phy = Phy::new(receiver, sender, &mut pool);
    for _ in 0..5 {
        seen.take();
        assert!(phy.receive(Instant::ZERO).is_none());
        let used = seen.take().len();
        assert!(used <= 4 * usize::from(SIZE), "{used} buffers in one call");
    }
    assert!(phy.drops().checksum > 0 && phy.receiver().drops().frames > 0);
}
