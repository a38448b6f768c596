//! Frames and commands awaited, rung for by an interrupt handler.

use crate::bench::{
    Card, HEADER, HeapCard, MODERN, all, counting, drive, drive_heap, header, incoming, kicks, offering,
};
use alloc::sync::Arc;
use alloc::task::Wake;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};

use virtio_core::dma::{Part, Readable};
use virtio_core::queue::Bell;
use virtio_core::{DeviceId, Misbehaved, QueueIndex};
use virtio_net::{Coalescing, Command, Fault, Net, NetError, NetQueue, Options, Partial, TxOffload, abi};
use virtio_testkit::{FakeDevice, Lie, TestHal};

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<F: Future>(future: Pin<&mut F>, woken: &Arc<Woken>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(woken.clone())))
}

fn ready<F: Future>(future: F) -> F::Output {
    match poll(pin!(future), &Arc::default()) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn a_task_waits_for_a_frame() {
    let hal = TestHal::new();
    let model = offering(MODERN, &hal);
    let (mut net, bell, woken) =
        (drive(&model, &hal, &Options::DEFAULT), Bell::new(), Arc::<Woken>::default());
    let (receiver, _) = net.pair(0).unwrap();
    let mut receiver = receiver.into_async(&bell).unwrap();
    for round in 0..5 {
        let mut waiting = pin!(receiver.receive());
        assert!(poll(waiting.as_mut(), &woken).is_pending());
        model.device.send(0, &incoming(3, 60));
        assert_eq!(model.device.interrupts(), round + 1);
        bell.ring();
        assert_eq!(woken.0.load(Ordering::Relaxed), round + 1);
        let Poll::Ready(frame) = poll(waiting, &woken) else { panic!() };
        assert_eq!(frame.unwrap().bytes().unwrap(), counting(3, 60));
    }
    // Dropping a future loses nothing.
    {
        let mut waiting = pin!(receiver.receive());
        assert!(poll(waiting.as_mut(), &woken).is_pending());
        model.device.send(0, &incoming(4, 60));
    }
    assert_eq!(ready(receiver.receive()).unwrap().bytes().unwrap(), counting(4, 60));
    let mut receiver = receiver.into_receiver();
    assert!(receiver.receive().unwrap().is_none());
    assert_eq!(model.device.held(0), 64);
}

/// Frames that were used, and that nobody has asked for yet, are there for whoever has the queue next.
#[test]
fn a_half_that_is_dropped_loses_no_frame() {
    let hal = TestHal::new();
    let model = offering(MODERN | abi::F_MRG_RXBUF, &hal);
    let mut net = drive_heap(&model, &hal, &all(1), 16, 512);
    let bell = Bell::new();
    {
        let (receiver, sender) = net.pair(0).unwrap();
        let mut receiver = receiver.into_async(&bell).unwrap();
        let mut waiting = pin!(receiver.receive());
        assert!(poll(waiting.as_mut(), &Arc::default()).is_pending());
        for first in 1..4 {
            let bytes = [header(3).as_slice(), &counting(first, 1400)].concat();
            bytes.chunks(512).for_each(|piece| assert!(model.device.send(0, piece)));
        }
        let Poll::Ready(Ok(mut frame)) = poll(waiting, &Arc::default()) else { panic!() };
        assert_eq!(frame.take().unwrap().bytes(), &counting(1, 1400)[..500]);
        drop((frame, sender));
    }
    let (mut receiver, _) = net.pair(0).unwrap();
    for first in 2..4 {
        let frame = receiver.receive().unwrap().unwrap();
        assert_eq!(frame.pieces().collect::<Vec<_>>().concat(), counting(first, 1400));
    }
    assert!(receiver.receive().unwrap().is_none());
    assert_eq!((receiver.posted(), model.device.held(0), receiver.drops().frames), (15, 15, 0));
}

#[test]
fn merged_frames_and_bad_ones_are_awaited_too() {
    let hal = TestHal::new();
    let model = offering(MODERN | abi::F_MRG_RXBUF, &hal);
    let mut net = drive_heap(&model, &hal, &all(1), 16, 512);
    let bell = Bell::new();
    let (receiver, _) = net.pair(0).unwrap();
    let mut receiver = receiver.into_async(&bell).unwrap();
    assert_eq!(receiver.needed_len(), 85);
    for round in 1..20_u64 {
        // Too short; of four buffers, of which there are three; and one of three.
        model.device.send(0, &[0; 9]);
        let missing = [header(4).as_slice(), &counting(1, 1000)].concat();
        missing.chunks(512).for_each(|piece| assert!(model.device.send(0, piece)));
        {
            let woken = Arc::default();
            let mut waiting = pin!(receiver.receive());
            assert!(poll(waiting.as_mut(), &woken).is_pending(), "nothing good yet");
        }
        let good = [header(3).as_slice(), &counting(2, 1400)].concat();
        good.chunks(512).for_each(|piece| assert!(model.device.send(0, piece)));
        let frame = ready(receiver.receive()).unwrap();
        assert_eq!(frame.pieces().collect::<Vec<_>>().concat(), counting(2, 1400));
        drop(frame);
        let drops = receiver.drops();
        assert_eq!((drops.frames, drops.buffers), (2 * round, 0));
        assert_eq!(drops.last, Some(Fault::MissingBuffers { stated: 4, found: 2 }));
        receiver.kick();
        assert_eq!(model.device.held(0), 16);
    }
    let rejected = receiver.post(vec![0; 84]).unwrap_err();
    assert_eq!(rejected.error, NetError::BufferTooShort { len: 84, needed: 85 });
    receiver.post(vec![0; 85]).unwrap();
    receiver.kick();
    assert_eq!(model.device.held(0), 17);
}

/// A device that fills every buffer with rubbish as soon as it has it: others have their turn all the same.
#[test]
fn rubbish_without_end_does_not_take_the_cpu() {
    let hal = TestHal::new();
    let device = FakeDevice::builder(DeviceId::NET)
        .queue(0, 8, |_| virtio_testkit::Reply::Write(vec![0; 3]))
        .event_queue(1, 8)
        .build(&hal);
    let mut net: Card = Net::new(device.transport(), hal.clone(), &Options::DEFAULT).unwrap();
    let (bell, woken) = (Bell::new(), Arc::<Woken>::default());
    let (receiver, _) = net.pair(0).unwrap();
    let mut receiver = receiver.into_async(&bell).unwrap();
    {
        let mut waiting = pin!(receiver.receive());
        for _ in 0..5 {
            let before = woken.0.load(Ordering::Relaxed);
            assert!(poll(waiting.as_mut(), &woken).is_pending());
            assert!(woken.0.load(Ordering::Relaxed) > before, "and it comes back");
        }
    }
    assert!((5..=200).contains(&receiver.drops().frames), "{:?}", receiver.drops());
    let mut receiver = receiver.into_receiver();
    assert!(receiver.receive().unwrap().is_none(), "nor does asking");
}

#[test]
fn tasks_send_copies_and_wait_for_room() {
    let hal = TestHal::new();
    let device = FakeDevice::builder(DeviceId::NET).event_queue(0, 8).event_queue(1, 2).build(&hal);
    let mut net: Card = Net::new(device.transport(), hal.clone(), &Options::DEFAULT).unwrap();
    let (bell, woken) = (Bell::new(), Arc::<Woken>::default());
    let (_, sender) = net.pair(0).unwrap();
    let sender = sender.into_async(&bell).unwrap();
    let frames = [counting(1, 60), counting(2, 60), counting(3, 60)];
    {
        let mut one = pin!(sender.send(&frames[0]));
        let mut two = pin!(sender.send(&frames[1]));
        let mut three = pin!(sender.send(&frames[2]));
        assert!(poll(one.as_mut(), &woken).is_pending());
        assert!(poll(two.as_mut(), &woken).is_pending());
        assert!(poll(three.as_mut(), &woken).is_pending());
        let expected = [&frames[0], &frames[1]].map(|frame| [header(0).as_slice(), frame].concat());
        assert_eq!(device.held_readable(1), expected);
        device.complete(1, 0, &[]);
        bell.ring();
        assert_eq!(poll(one, &woken), Poll::Ready(Ok(())));
        assert!(poll(three.as_mut(), &woken).is_pending(), "there was room for it");
        assert_eq!(device.held_readable(1)[1][HEADER..], frames[2]);
        device.complete(1, 1, &[]);
        assert_eq!(poll(three, &woken), Poll::Ready(Ok(())));
        device.complete(1, 0, &[]);
        assert_eq!(poll(two, &woken), Poll::Ready(Ok(())));
    }
    let long = NetError::FrameTooLong { len: 1515, limit: 1514 };
    assert_eq!(ready(sender.send(&[0; 1515])), Err(long));
    let lacks = NetError::NotNegotiated(abi::F_CSUM);
    let offload = TxOffload::checksum(Partial { start: 34, offset: 6 });
    assert_eq!(ready(sender.send_with(&[0; 60], offload)), Err(lacks));
}

#[test]
fn owned_frames_come_back() {
    let hal = TestHal::new();
    let model = offering(MODERN | abi::F_CSUM, &hal);
    let mut net = drive_heap(&model, &hal, &Options::DEFAULT, 0, 0);
    let bell = Bell::new();
    let (_, sender) = net.pair(0).unwrap();
    let sender = sender.into_async(&bell).unwrap();
    hal.clear_trace();
    let buffer = counting(1, 100);
    let address = buffer.as_ptr();
    let frame = Readable(Part::new(buffer, 10..70).unwrap());
    let offload = TxOffload::checksum(Partial { start: 34, offset: 6 });
    let Readable(frame) = ready(sender.send_owned(frame, offload)).unwrap();
    let sent = model.sent.bytes();
    assert_eq!(sent[0][..10], [1, 0, 0, 0, 0, 0, 34, 0, 6, 0]);
    assert_eq!(sent[0][HEADER..], counting(1, 100)[10..70]);
    let buffer = frame.into_inner();
    assert_eq!((buffer.as_ptr(), kicks(&hal, 1)), (address, 1));
    let short = Readable(Part::new(vec![1; 100], 0..13).unwrap());
    let rejected = ready(sender.send_owned(short, TxOffload::NONE)).unwrap_err();
    assert_eq!(rejected.error, NetError::FrameTooShort(13));
    assert_eq!(rejected.payload.unwrap().0.bytes(), [1; 13]);
    sender.fail(Misbehaved::NeedsReset);
    let frame = Readable(Part::new(vec![1; 100], 0..60).unwrap());
    let rejected = ready(sender.send_owned(frame, TxOffload::NONE)).unwrap_err();
    assert_eq!(rejected.error, NetError::Core(Misbehaved::NeedsReset.into()));
    assert!(rejected.payload.is_some());
    assert!(sender.into_sender().send(&[0; 60]).is_err());
}

#[test]
fn commands_are_awaited() {
    let hal = TestHal::new();
    let device = FakeDevice::builder(DeviceId::NET)
        .features(MODERN | abi::F_CTRL_VQ | abi::F_CTRL_VLAN | abi::F_VQ_NOTF_COAL)
        .config(crate::bench::Space::default().bytes())
        .event_queue(0, 8)
        .event_queue(1, 8)
        .event_queue(2, 64)
        .build(&hal);
    let mut net: Card = Net::new(device.transport(), hal.clone(), &Options::DEFAULT).unwrap();
    let (bell, woken) = (Bell::new(), Arc::<Woken>::default());
    let control = net.control().unwrap().into_async(&bell).unwrap();
    {
        let mut add = pin!(control.command(Command::AddVlan(1)));
        let mut remove = pin!(control.command(Command::RemoveVlan(2)));
        let mut ask = pin!(control.coalescing(NetQueue::Receive(0)));
        assert!(poll(add.as_mut(), &woken).is_pending());
        assert!(poll(remove.as_mut(), &woken).is_pending());
        assert!(poll(ask.as_mut(), &woken).is_pending());
        assert_eq!(device.held_readable(2), [&[2, 0, 1, 0][..], &[2, 1, 2, 0], &[6, 3, 0, 0, 0, 0]]);
        device.complete(2, 2, &[0, 5, 0, 0, 0, 6, 0, 0, 0]);
        device.complete(2, 1, &[1]);
        device.complete(2, 0, &[0]);
        bell.ring();
        assert_eq!(poll(add, &woken), Poll::Ready(Ok(())));
        let refused = NetError::Refused { class: 2, command: 1 };
        assert_eq!(poll(remove, &woken), Poll::Ready(Err(refused)));
        assert_eq!(poll(ask, &woken), Poll::Ready(Ok(Coalescing { frames: 5, microseconds: 6 })));
    }
    let lacks = NetError::NotNegotiated(abi::F_CTRL_RX | abi::F_CTRL_MAC_ADDR);
    assert_eq!(ready(control.command(Command::SetMac(virtio_net::MacAddress::local(1)))), Err(lacks));
    assert_eq!(ready(control.command(Command::AddVlan(4096))), Err(NetError::BadVlan(4096)));
    // Cancelled: its answer is nobody's.
    {
        let mut add = pin!(control.command(Command::AddVlan(3)));
        assert!(poll(add.as_mut(), &woken).is_pending());
    }
    device.complete(2, 0, &[1]);
    let mut add = pin!(control.command(Command::AddVlan(4)));
    assert!(poll(add.as_mut(), &woken).is_pending());
    device.complete(2, 0, &[0]);
    assert_eq!(poll(add, &woken), Poll::Ready(Ok(())));
}

#[test]
fn a_broken_ring_ends_the_waiting() {
    let hal = TestHal::new();
    let model = offering(MODERN | abi::F_CTRL_VQ | abi::F_MRG_RXBUF, &hal);
    let mut net = drive(&model, &hal, &all(1));
    let (bell, other, woken) = (Bell::new(), Bell::new(), Arc::<Woken>::default());
    {
        let (receiver, sender) = net.pair(0).unwrap();
        let mut receiver = receiver.into_async(&bell).unwrap();
        let sender = sender.into_async(&bell).unwrap_err();
        let sender = sender.into_async(&other).unwrap();
        let broken = Misbehaved::UsedIdOutOfRange { queue: QueueIndex::new(0), id: 64 };
        {
            let mut waiting = pin!(receiver.receive());
            assert!(poll(waiting.as_mut(), &woken).is_pending());
            model.device.send(0, &[header(2).as_slice(), &counting(1, 100)].concat());
            model.device.lie(0, Lie::UsedId { id: 64, len: 8 });
            bell.ring();
            let Poll::Ready(Err(error)) = poll(waiting, &woken) else { panic!() };
            assert_eq!(error, NetError::Core(broken.into()));
        }
        assert_eq!(receiver.drops().buffers, 1);
        assert_eq!(ready(sender.send(&[0; 60])), Ok(()), "the other queue goes on");
        receiver.fail(Misbehaved::NeedsReset);
        assert!(ready(receiver.receive()).is_err());
    }
    let mut net = net.recover().unwrap();
    model.device.send(0, &incoming(1, 60));
    assert_eq!(net.pair(0).unwrap().0.receive().unwrap().unwrap().len(), 60);
}

/// Whoever waits for a device that has given up would wait for ever: the interrupt of the configuration wakes him, too.
#[test]
fn a_device_that_gives_up_ends_the_waiting() {
    let hal = TestHal::new();
    let device = FakeDevice::builder(DeviceId::NET)
        .features(MODERN | abi::F_CTRL_VQ | abi::F_CTRL_VLAN)
        .config(crate::bench::Space::default().bytes())
        .event_queue(0, 8)
        .event_queue(1, 8)
        .event_queue(2, 64)
        .build(&hal);
    let mut net: HeapCard = Net::with_buffers(device.transport(), hal.clone(), &Options::DEFAULT, |slot| {
        Some(vec![0; slot.good_len])
    })
    .unwrap();
    let bells = [Bell::new(), Bell::new(), Bell::new()];
    let woken = [(); 4].map(|()| Arc::<Woken>::default());
    let gave_up = NetError::Core(Misbehaved::NeedsReset.into());
    {
        let mut split = net.split().unwrap();
        let (receiver, sender) = split.next_pair().unwrap().unwrap();
        let mut receiver = receiver.into_async(&bells[0]).unwrap();
        let sender = sender.into_async(&bells[1]).unwrap();
        let control = split.control().unwrap().into_async(&bells[2]).unwrap();
        assert!(!receiver.needs_reset() && !sender.needs_reset() && !control.needs_reset());
        let frame = Readable(Part::new(vec![1; 100], 0..60).unwrap());
        {
            let mut comes = pin!(receiver.receive());
            let mut goes = pin!(sender.send(&[0; 60]));
            let mut goes_owned = pin!(sender.send_owned(frame, TxOffload::NONE));
            let mut command = pin!(control.command(Command::AddVlan(1)));
            assert!(poll(comes.as_mut(), &woken[0]).is_pending());
            assert!(poll(goes.as_mut(), &woken[1]).is_pending());
            assert!(poll(goes_owned.as_mut(), &woken[2]).is_pending());
            assert!(poll(command.as_mut(), &woken[3]).is_pending());
            // What came before is there, whatever came after.
            device.send(0, &incoming(1, 60));
            device.needs_reset();
            bells.iter().for_each(Bell::ring);
            let Poll::Ready(frame) = poll(comes, &woken[0]) else { panic!() };
            assert_eq!(frame.unwrap().len(), 60);
            // The bell has woken one, who tells the other.
            assert_eq!([1, 2].map(|at: usize| woken[at].0.load(Ordering::Relaxed)), [0, 1]);
            let Poll::Ready(Err(rejected)) = poll(goes_owned, &woken[2]) else { panic!() };
            assert_eq!((rejected.error, rejected.payload.is_none()), (gave_up, true));
            assert_eq!(woken[1].0.load(Ordering::Relaxed), 1);
            assert_eq!(poll(goes, &woken[1]), Poll::Ready(Err(gave_up)));
            assert_eq!(poll(command, &woken[3]), Poll::Ready(Err(gave_up)));
        }
        assert!(receiver.needs_reset() && sender.needs_reset() && control.needs_reset());
        assert_eq!(ready(receiver.receive()).unwrap_err(), gave_up);
        assert_eq!(ready(sender.send(&[0; 60])), Err(gave_up));
    }
    let mut net = net.recover_with(|slot| Some(vec![0; slot.good_len])).unwrap();
    device.send(0, &incoming(2, 60));
    assert_eq!(net.pair(0).unwrap().0.receive().unwrap().unwrap().len(), 60);
}
