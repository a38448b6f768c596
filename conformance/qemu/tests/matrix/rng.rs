//! Entropy: a raw queue with several requests in flight, and the driver.

use qemu_bench::{Cause, Device, Machine, Rings, Way};
use virtio::dma::Writable;
use virtio::queue::{AsyncPort, Bell, Port, QueueSpec, Request};
use virtio::rng::Rng;
use virtio::{Endpoint, Hal, Transport};

use crate::case::{SOON, Up, down, up};
use crate::executor::block_on;

type Bytes = Writable<Vec<u8>>;

/// QEMU's queue has 8 entries.
pub(crate) fn spec() -> QueueSpec {
    QueueSpec::new::<Bytes>(0, 8).indirect(2)
}

/// As many bytes as one request takes: more than a page, so that it is bounced in one piece of two.
const LEN: usize = 5000;

/// Waits for the oldest request to be used.
pub(crate) fn take<T: Transport + ?Sized, H: Hal>(port: &mut Port<'_, Bytes, T, H>) -> Vec<u8> {
    let end = std::time::Instant::now() + SOON;
    loop {
        if let Some(mut done) = port.poll().unwrap() {
            let len = done.written() as usize;
            let Writable(mut bytes) = done.take_payload().unwrap();
            bytes.truncate(len);
            return bytes;
        }
        assert!(std::time::Instant::now() < end, "no answer");
        std::thread::yield_now();
    }
}

/// Whether this may be random: long bytes that are all the same are not.
pub(crate) fn looks_random(bytes: &[u8]) -> bool {
    bytes.len() >= 8 && bytes.iter().any(|&byte| byte != bytes[0])
}

/// Fills the queue and empties it, many times round; counts what a kick costs.
pub(crate) fn polled<W: Way>(machine: &Machine, device: &Device) {
    let mut live = up::<W>(machine, device, spec());
    let mut port = live.port::<Bytes>(0).unwrap();
    let mut seen = Vec::new();
    for _ in 0..5 {
        for _ in 0..6 {
            port.add(Request::new(Writable(vec![0; LEN]))).unwrap();
        }
        let before = machine.qtest().count();
        port.publish();
        assert_eq!(machine.qtest().count(), before, "showing requests touches no register");
        assert!(port.kick());
        let after = machine.qtest().count();
        let spent = (after.writes - before.writes, after.reads - before.reads);
        assert_eq!(spent, (W::kick(machine), 0), "writes and reads for a kick");
        assert!(!port.kick(), "there is nothing new to be told");
        for _ in 0..6 {
            let bytes = take(&mut port);
            assert!(looks_random(&bytes), "{} bytes", bytes.len());
            assert!(!seen.contains(&bytes));
            seen.push(bytes);
        }
        assert_eq!((port.in_flight(), port.free()), (0, 8));
    }
    down(live);
}

/// The same bytes, borrowed and blocking.
pub(crate) fn blocking<W: Way>(machine: &Machine, device: &Device) {
    let mut live: Up<W> = up::<W>(machine, device, spec());
    let (mut one, mut two) = ([0; 100], vec![0; LEN]);
    let len = live.call(0, &[], &mut [&mut one, &mut two], SOON).unwrap();
    assert!(len >= 8, "{len} bytes");
    assert!(looks_random(&one[..one.len().min(len as usize)]));
    down(live);
}

/// Requests as futures, awaited out of order. QEMU may answer before anybody has to sleep.
pub(crate) fn awaited<W: Way>(machine: &Machine, device: &Device) {
    let bell = Bell::new();
    let mut live = up::<W>(machine, device, spec());
    let endpoint = live.endpoint(W::vector(Cause::Queue)).unwrap();
    let signal = W::signal(machine, device, Cause::Queue);
    let port = AsyncPort::new(live.port::<Bytes>(0).unwrap(), &bell).unwrap();
    let mut interrupts = 0;
    let three = async {
        let mut nothing = [[0; 0]; 3];
        let [a, b, c] =
            nothing.each_mut().map(|none| port.start(Request::new(Writable(vec![0; LEN])), none).unwrap());
        let (c, a, b) = (c.await.unwrap(), a.await.unwrap(), b.await.unwrap());
        [a, b, c].map(|done| (done.written, done.payload.0))
    };
    let answers = block_on(three, || {
        assert!(signal.wait(SOON), "no interrupt");
        // The handler.
        if !endpoint.ack().is_empty() {
            interrupts += 1;
            assert!(signal.settles(SOON), "the line stays up");
            bell.ring();
        }
    });
    for (written, bytes) in answers {
        assert!(looks_random(&bytes[..written as usize]));
    }
    assert!(interrupts <= 3, "{interrupts} interrupts for 3 requests");
    assert_eq!(port.free(), 8);
    drop(port);
    down(live);
}

/// The driver of `virtio-rng`: waiting, awaiting, recovered, and with buffers of its caller's.
pub(crate) fn driver<W: Way>(machine: &Machine, device: &Device) {
    let bell = Bell::new();
    let mut rng = Rng::new(W::open(machine, device), machine.hal()).unwrap();
    assert_eq!(Rings::of(rng.features()), device.rings.features());
    let mut bytes = vec![0; LEN];
    rng.fill(&mut bytes).unwrap();
    // No piece of what is asked for at a time is like another, and none was left out.
    let pieces: Vec<_> = bytes.chunks(500).collect();
    assert!(pieces.iter().all(|piece| looks_random(piece)));
    assert!(pieces.windows(2).all(|two| two[0] != two[1]));

    let endpoint = rng.device().endpoint(W::vector(Cause::Queue)).unwrap();
    let signal = W::signal(machine, device, Cause::Queue);
    let mut awaited = vec![0; 1000];
    let source = rng.source(&bell).unwrap();
    let filled = block_on(source.fill(&mut awaited), || {
        assert!(signal.wait(SOON), "no interrupt");
        if !endpoint.ack().is_empty() {
            assert!(signal.settles(SOON), "the line stays up");
            bell.ring();
        }
    });
    filled.unwrap();
    drop(source);
    assert!(looks_random(&awaited) && awaited[..500] != awaited[500..]);

    // Brought up again on the same transport, and then for buffers.
    let mut rng = rng.recover().unwrap();
    let mut again = [0; 64];
    rng.fill(&mut again).unwrap();
    assert!(looks_random(&again) && again != bytes[..64]);
    let mut rng: Rng<_, _, Bytes> = Rng::for_buffers(rng.dismantle().unwrap(), machine.hal()).unwrap();
    let token = rng.submit(vec![0; LEN]).unwrap();
    let end = std::time::Instant::now() + SOON;
    let answer = loop {
        match rng.poll().unwrap() {
            Some(answer) => break answer,
            None => assert!(std::time::Instant::now() < end, "no answer"),
        }
    };
    assert_eq!(answer.token, token);
    assert!(looks_random(answer.bytes()));
    assert!(rng.dismantle().unwrap().status().is_empty());
}
