//! The queue of a disk, without a driver for disks (VIRTIO 1.4 §5.2.6): rings, notifications and memory are what is shown.

use std::fs;

use vhost_user_frontend::{Direct, Kind, VhostUser};
use virtio_core::dma::{Readable, Writable};
use virtio_core::queue::{Port, Request};
use virtio_core::{Error, Features, Hal, Misuse};

use crate::case::{Case, SECTOR, SECTORS, SOON, bring_up, contents, down, eventually, spec};

pub(crate) const IN: u32 = 0;
pub(crate) const OUT: u32 = 1;

pub(crate) type Read = Writable<Vec<u8>>;

/// A header: type, reserved, sector.
pub(crate) fn header(kind: u32, sector: usize) -> [u8; 16] {
    let mut header = [0; 16];
    header[..4].copy_from_slice(&kind.to_le_bytes());
    header[8..].copy_from_slice(&(sector as u64).to_le_bytes());
    header
}

/// Reads `requests` parts of the disk, at once if they fit, and compares each.
fn read_all<H: Hal>(port: &mut Port<'_, Read, VhostUser, H>, requests: usize) {
    let part = SECTORS / requests;
    let expected = contents(0);
    let mut tokens = Vec::new();
    let (mut sent, mut taken) = (0, 0);
    while taken < requests {
        while sent < requests {
            let room = Writable(vec![0xee; part * SECTOR]);
            let header = header(IN, sent * part);
            match port.add(Request::new(room).header(&header).response(1)).map_err(|rejected| rejected.error)
            {
                Ok(token) => tokens.push(token),
                Err(Error::Caller(Misuse::QueueFull)) => break,
                Err(error) => panic!("{error}"),
            }
            sent += 1;
        }
        port.publish();
        port.kick();
        assert!(eventually(|| port.poll().unwrap().is_some_and(|mut done| {
            assert_eq!(done.response::<u8>().unwrap(), 0, "VIRTIO_BLK_S_OK");
            assert_eq!(done.written() as usize, part * SECTOR + 1);
            let number = tokens.iter().position(|token| *token == done.token()).unwrap();
            let bytes = done.take_payload().unwrap().0;
            assert!(bytes == expected[number * part * SECTOR..][..part * SECTOR], "part {number}");
            true
        })));
        taken += 1;
    }
    assert_eq!(port.in_flight(), 0);
}

#[test]
fn what_is_in_the_file_is_read_and_what_is_written_is_in_the_file() {
    let case = Case::file(|disk| disk);
    let mut live = case.up::<Read>();
    assert_eq!(live.features(), Features::VERSION_1 | Features::EVENT_IDX | Features::INDIRECT_DESC);
    read_all(&mut live.port(0).unwrap(), 1);
    // More than the queue has room for.
    read_all(&mut live.port(0).unwrap(), 256);
    let new = contents(5);
    let mut status = [9];
    let header = header(OUT, 8);
    let readable = [&header[..], &new[..3 * SECTOR], &new[3 * SECTOR..4 * SECTOR]];
    assert_eq!(live.call(0, &readable, &mut [&mut status], SOON), Ok(1));
    assert_eq!(status, [0], "VIRTIO_BLK_S_OK");
    let file = fs::read(case.image()).unwrap();
    let old = contents(0);
    assert!(file[8 * SECTOR..12 * SECTOR] == new[..4 * SECTOR], "the sectors that were written");
    assert!(file[..8 * SECTOR] == old[..8 * SECTOR] && file[12 * SECTOR..] == old[12 * SECTOR..]);
    down(live);
    case.is_clean();
}

#[test]
fn buffers_in_shared_memory_are_not_copied() {
    let case = Case::file(|disk| disk);
    let hal = Direct::new(case.memory);
    let mut live = bring_up(case.connect(), hal, &[spec::<Readable<&'static mut [u8]>>(0)]).unwrap();
    let buffer = hal.buffer(SECTOR).unwrap();
    buffer.copy_from_slice(&contents(9)[..SECTOR]);
    let out = case.memory.out();
    let mut port = live.port::<Readable<&'static mut [u8]>>(0).unwrap();
    let header = header(OUT, 77);
    let token = port.submit(Request::new(Readable(buffer)).header(&header).response(1)).unwrap();
    assert_eq!(case.memory.out(), out, "no page was taken for a copy");
    let mut done = port.wait(token, SOON).unwrap();
    assert_eq!(done.response::<u8>().unwrap(), 0);
    assert_eq!(done.take_payload().unwrap().0, &contents(9)[..SECTOR]);
    drop(done);
    assert!(fs::read(case.image()).unwrap()[77 * SECTOR..][..SECTOR] == contents(9)[..SECTOR]);
    // A buffer of the heap is.
    let mut read = vec![0; SECTOR];
    let mut status = [9];
    assert_eq!(live.call(0, &[&header_of_in(77)], &mut [&mut read, &mut status], SOON), Ok(513));
    assert!(read == contents(9)[..SECTOR] && status == [0]);
    down(live);
    assert_eq!(
        (case.memory.out(), case.memory.faults()),
        (1, vec![]),
        "the buffer stays out, nothing else does"
    );
}

fn header_of_in(sector: usize) -> [u8; 16] {
    header(IN, sector)
}

#[test]
fn each_of_several_queues_has_its_own_thread() {
    let case = Case::file(|disk| disk.queues(3));
    let transport = case.connect();
    assert_eq!(transport.queues(), 3);
    let specs = [0, 1, 2].map(spec::<Read>);
    let mut live = bring_up(transport, case.hal(), &specs).unwrap();
    let mut ports = live.ports().unwrap();
    std::thread::scope(|threads| {
        for queue in 0..3 {
            let mut port = ports.take::<Read>(queue).unwrap();
            threads.spawn(move || read_all(&mut port, 64));
        }
    });
    down(live);
    case.is_clean();
}

#[test]
fn every_layout_and_suppression_works() {
    let case = Case::file(|disk| disk);
    for declined in [
        Features::empty(),
        Features::EVENT_IDX,
        Features::INDIRECT_DESC,
        Features::EVENT_IDX | Features::INDIRECT_DESC,
    ] {
        let transport = case.connect().without(declined);
        let mut live = bring_up(transport, case.hal(), &[spec::<Read>(0)]).unwrap();
        assert_eq!(
            live.features(),
            Features::VERSION_1 | ((Features::EVENT_IDX | Features::INDIRECT_DESC) - declined)
        );
        read_all(&mut live.port(0).unwrap(), 128);
        down(live);
    }
    case.is_clean();
}

#[test]
fn nobody_there_is_an_error() {
    let case = Case::file(|disk| disk);
    let elsewhere = case.daemon.file("nobody.sock");
    assert!(VhostUser::connect(&elsewhere, Kind::BLOCK, case.memory).is_err());
}
