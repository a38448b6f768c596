//! A disk, by its raw queue (VIRTIO 1.4 §5.2): what is written is in the file, what is in the file is read.

use std::fs;
use std::time::Instant;

use qemu_bench::{Device, Machine, Way};
use virtio::dma::{Both, Dma, Lend, Readable, Writable};
use virtio::queue::{Cookie, Port, QueueSpec, RawBuffer, Request};
use virtio::{DeviceAddr, Error, Hal, Misuse, Transport};

use crate::case::{SOON, down, up};

const SECTOR: usize = 512;
/// Bytes of a disk, in sectors.
const SECTORS: usize = 2048;
const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;
/// How many requests are made of the whole disk.
const PARTS: usize = 40;

type Written = Readable<Vec<u8>>;
type Read = Writable<Vec<u8>>;

/// A header: type, reserved, sector. Little-endian, as the boards of this bench are, for legacy devices.
fn header(kind: u32, sector: usize) -> [u8; 16] {
    let mut header = [0; 16];
    header[..4].copy_from_slice(&kind.to_le_bytes());
    header[8..].copy_from_slice(&(sector as u64).to_le_bytes());
    header
}

pub(crate) fn spec<P: Lend>() -> QueueSpec {
    QueueSpec::new::<P>(0, 64).at_least(3).indirect(4).header(16).response(1)
}

/// The sectors of part `number`: all lengths from 1 sector up, one behind the other.
fn part(number: usize) -> std::ops::Range<usize> {
    let start = number * (number + 1) / 2;
    start..start + number + 1
}

const _: () = assert!(PARTS * (PARTS + 1) / 2 <= SECTORS);

/// What part `number` holds; every sector of every part differs.
fn contents(number: usize, salt: usize) -> Vec<u8> {
    part(number)
        .flat_map(|sector| (0..SECTOR).map(move |byte| (sector * 7 + byte * 3 + salt + (byte >> 8)) as u8))
        .collect()
}

/// Takes what is done; answers how many that were.
fn drain<P: Lend, T: Transport + ?Sized, H: Hal>(
    port: &mut Port<'_, P, T, H>,
    pending: &mut [Option<virtio::queue::Token>; PARTS],
    mut each: impl FnMut(usize, Option<P>, u32),
) -> usize {
    let mut count = 0;
    while let Some(mut done) = port.poll().unwrap() {
        assert_eq!(done.response::<u8>().unwrap(), 0, "VIRTIO_BLK_S_OK");
        let token = done.token();
        let number = pending.iter().position(|known| *known == Some(token)).expect("a request of ours");
        pending[number] = None;
        let written = done.written();
        each(number, done.take_payload(), written);
        count += 1;
    }
    count
}

/// Sends a request for each part, as many at a time as fit, and takes the answers in whatever order they come.
fn all_parts<P: Lend, T: Transport + ?Sized, H: Hal>(
    port: &mut Port<'_, P, T, H>,
    kind: u32,
    mut payload: impl FnMut(usize) -> P,
    mut each: impl FnMut(usize, Option<P>, u32),
) {
    let mut pending = [None; PARTS];
    let (mut sent, mut done) = (0, 0);
    let end = Instant::now() + SOON;
    while done < PARTS {
        while sent < PARTS {
            // Large and small ones by turns.
            let number = if sent % 2 == 0 { PARTS - 1 - sent / 2 } else { sent / 2 };
            let header = header(kind, part(number).start);
            let request = Request::new(payload(number)).header(&header).response(1);
            match port.add(request) {
                Ok(token) => pending[number] = Some(token),
                Err(rejected) if rejected.error == Error::Caller(Misuse::QueueFull) => break,
                Err(rejected) => panic!("{}", rejected.error),
            }
            sent += 1;
        }
        port.publish();
        port.kick();
        done += drain(port, &mut pending, &mut each);
        assert!(Instant::now() < end, "{done} of {PARTS} answers");
    }
    assert_eq!(port.in_flight(), 0);
}

/// Owned payloads: writes, compares the file, changes the file's other half from outside, reads.
pub(crate) fn write_and_read<W: Way>(machine: &Machine, device: &Device) {
    let salt = device.id.len() * 31 + machine.process() as usize;
    let mut live = up::<W>(machine, device, spec::<Written>());
    let mut port = live.port::<Written>(0).unwrap();
    all_parts(
        &mut port,
        OUT,
        |number| Readable(contents(number, salt)),
        |number, payload, _| {
            assert_eq!(payload.unwrap().0, contents(number, salt), "a payload comes back as it was");
        },
    );
    let mut status = [9];
    let len = live.exchange(0, &header(FLUSH, 0), &mut status, SOON);
    // The queue carries payloads of another type: an exchange is not for it.
    assert_eq!(len, Err(Error::Caller(Misuse::WrongPayload)));
    let len = live.call(0, &[&header(FLUSH, 0)], &mut [&mut status], SOON).unwrap();
    assert_eq!((len, status), (1, [0]));
    let file = fs::read(machine.disk(&device.id)).unwrap();
    for number in 0..PARTS {
        let range = part(number);
        let bytes = &file[range.start * SECTOR..range.end * SECTOR];
        assert!(bytes == contents(number, salt), "part {number} of the file");
    }
    let transport = down(live);

    let hal = machine.hal();
    let mut live =
        crate::case::bring_up(transport, hal, device, &crate::case::wanted(), spec::<Read>()).unwrap();
    let mut port = live.port::<Read>(0).unwrap();
    let mut seen = [false; PARTS];
    let room = |number: usize| Writable(vec![0; part(number).len() * SECTOR]);
    all_parts(&mut port, IN, room, |number, payload, written| {
        let expected = contents(number, salt);
        assert_eq!(written as usize, expected.len() + 1, "the sectors and the status");
        assert!(payload.unwrap().0 == expected, "part {number} as read");
        seen[number] = true;
    });
    assert_eq!(seen, [true; PARTS]);
    down(live);
}

/// Borrowed slices: the disk's name, and its first sectors scattered over three.
pub(crate) fn borrowed<W: Way>(machine: &Machine, device: &Device) {
    let mut live = up::<W>(machine, device, spec::<()>());
    let (mut id, mut status) = ([0; 20], [9]);
    let len = live.call(0, &[&header(GET_ID, 0)], &mut [&mut id, &mut status], SOON).unwrap();
    assert_eq!((len, status), (21, [0]));
    let name: Vec<u8> = id.into_iter().take_while(|&byte| byte != 0).collect();
    assert_eq!(String::from_utf8(name).unwrap(), serial(device));
    let data: Vec<u8> = (0..3 * SECTOR).map(|byte| (byte * 11 + 5) as u8).collect();
    let (one, rest) = data.split_at(100);
    let (two, three) = rest.split_at(412);
    live.call(0, &[&header(OUT, 1), one, two, three], &mut [&mut status], SOON).unwrap();
    assert_eq!(status, [0]);
    let mut back = vec![0; data.len()];
    let (one, rest) = back.split_at_mut(1000);
    live.call(0, &[&header(IN, 1)], &mut [one, rest, &mut status], SOON).unwrap();
    assert_eq!(status, [0]);
    assert!(back == data);
    // Beyond the end: the disk says so, and goes on.
    live.call(0, &[&header(IN, SECTORS)], &mut [&mut back[..SECTOR], &mut status], SOON).unwrap();
    assert_eq!(status, [1], "VIRTIO_BLK_S_IOERR");
    down(live);
}

/// A disk without payloads answers a request.
pub(crate) fn answers<T: Transport, H: Hal + Clone>(live: &mut virtio::device::Device<T, H>) {
    let (mut id, mut status) = ([0; 20], [9]);
    live.call(0, &[&header(GET_ID, 0)], &mut [&mut id, &mut status], SOON).unwrap();
    assert_eq!(status, [0]);
}

/// What a disk of the bench is called.
fn serial(device: &Device) -> String {
    device.id.chars().take(20).collect()
}

/// The first of several is held up, and the rest overtake it; each answer comes with its own payload all the same.
pub(crate) fn out_of_order<W: Way>(machine: &Machine, device: &Device) {
    let data = |sector: usize| -> Vec<u8> { (0..SECTOR).map(|byte| (byte + 17 * sector) as u8).collect() };
    // Not side by side: QEMU would make one request of them.
    let image: Vec<u8> = (0..5).flat_map(|number| [data(number), vec![0; SECTOR]].concat()).collect();
    let file = fs::OpenOptions::new().write(true).open(machine.disk(&device.id)).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &image, 0).unwrap();
    let mut live = up::<W>(machine, device, spec::<Read>());
    let mut port = live.port::<Read>(0).unwrap();
    for lap in 0..3 {
        let held = machine.hold(&device.id).unwrap();
        let mut held = Some(held);
        let tokens: Vec<_> = (0..5)
            .map(|number| {
                let request = Request::new(Writable(vec![0; SECTOR]));
                port.submit(request.header(&header(IN, 2 * number)).response(1)).unwrap()
            })
            .collect();
        let mut order = Vec::new();
        let end = Instant::now() + SOON;
        while order.len() < 5 {
            if let Some(mut done) = port.poll().unwrap() {
                let number = tokens.iter().position(|&token| token == done.token()).unwrap();
                assert_eq!(done.response::<u8>().unwrap(), 0, "VIRTIO_BLK_S_OK");
                assert!(done.take_payload().unwrap().0 == data(number), "request {number}");
                order.push(number);
            }
            if order.len() == 4
                && let Some(held) = held.take()
            {
                assert_eq!(port.in_flight(), 1);
                assert!(port.poll().unwrap().is_none());
                drop(held);
            }
            assert!(Instant::now() < end, "lap {lap}: only {order:?}");
        }
        assert_eq!(order[4], 0, "the first one was held up");
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2, 3, 4]);
    }
    down(live);
}

/// Addresses: nothing shared by the Hal, nothing copied.
pub(crate) fn raw<W: Way>(machine: &Machine, device: &Device) {
    let hal = machine.hal();
    let mut page: Dma<[u8], _, Both> = Dma::zeroed_slice(hal.clone(), 3 * 4096).unwrap();
    let mut live = up::<W>(machine, device, spec::<Cookie>());
    let base = page.paddr().get();
    let at = |offset: u64, len| RawBuffer { device: DeviceAddr::new(base + offset), len };
    let requests = [(0, OUT, 100), (1, IN, 100), (2, OUT, 102), (3, IN, 102)];
    let data: Vec<u8> = (0..SECTOR).map(|byte| (byte * 13 + 1) as u8).collect();
    page.as_mut_slice()[4096..4096 + SECTOR].copy_from_slice(&data);
    for (cookie, kind, sector) in requests {
        page.as_mut_slice()[..16].copy_from_slice(&header(kind, sector));
        let mut port = live.port::<Cookie>(0).unwrap();
        let (status, out, back) = (at(2048, 1), at(4096, 512), at(8192, 512));
        let (readable, writable) = if kind == OUT {
            (vec![at(0, 16), out], vec![status])
        } else {
            (vec![at(0, 16)], vec![back, status])
        };
        // SAFETY: the pages are DMA memory that outlives the device, and nobody touches them until the request is used.
        let token = unsafe { port.add_raw(&readable, &writable, Cookie(cookie)) }.unwrap();
        port.publish();
        port.kick();
        let mut done = port.wait(token, SOON).unwrap();
        assert_eq!(done.take_payload(), Some(Cookie(cookie)));
        assert_eq!(done.written(), if kind == OUT { 1 } else { 513 });
        drop(done);
        assert_eq!(page.as_slice()[2048], 0, "VIRTIO_BLK_S_OK");
        if kind == IN {
            assert!(page.as_slice()[8192..8192 + SECTOR] == data);
            page.as_mut_slice()[8192..].fill(0);
        }
    }
    let file = fs::read(machine.disk(&device.id)).unwrap();
    for sector in [100, 102] {
        assert!(file[sector * SECTOR..(sector + 1) * SECTOR] == data, "sector {sector} of the file");
    }
    down(live);
}
