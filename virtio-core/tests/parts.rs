//! What requests are made of: data behind a header, slices between header and response, payloads made of others.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use common::{ID, LIMIT, Q0, assert_reset_before_free, device, echo, hold, keep, up_with};
use virtio_core::config::ByteOrder;
use virtio_core::device::{Init, Wanted};
use virtio_core::dma::{Dma, Either, Lend, Part, Readable, Writable};
use virtio_core::queue::{QueueSpec, Request, Slices, Transferred};
use virtio_core::{Error, Features, Misbehaved, Misuse, Wait};
use virtio_testkit::{Builder, FakeDevice, Reply, TestHal};

const RINGS: [Features; 4] = [
    Features::empty(),
    Features::INDIRECT_DESC,
    Features::RING_PACKED,
    Features::RING_PACKED.union(Features::INDIRECT_DESC),
];

fn spec<P: Lend>() -> QueueSpec {
    QueueSpec::new::<P>(0, 16).header(16).response(16).indirect(4)
}

fn with_rings(rings: Features, builder: Builder) -> Builder {
    builder.features(rings | Features::VERSION_1)
}

#[test]
fn data_follow_their_header_in_one_buffer() {
    for rings in RINGS {
        let hal = TestHal::new();
        let device = with_rings(rings, device(16, echo)).build(&hal);
        let mut live = up_with(&device, &hal, spec::<()>()).unwrap();
        let mut port = live.port::<()>(0).unwrap();
        for (header, data) in
            [(&b"head"[..], &b"and tail"[..]), (b"", b"only data"), (b"0123456789", b"abcdef")]
        {
            let before = port.free();
            let token = port.add(Request::new(()).header(header).data(data).response(16)).unwrap();
            let taken = if rings.contains(Features::INDIRECT_DESC) { 1 } else { 2 };
            assert_eq!(before - port.free(), taken);
            port.publish();
            port.kick();
            let done = port.wait(token, LIMIT).unwrap();
            let mut all = [0; 16];
            assert_eq!(done.copy_response(&mut all), 16);
            assert!(all.starts_with(&[header, data].concat()));
            // From anywhere, as far as it goes.
            let mut rest = [0; 16];
            assert_eq!(done.copy_response_at(5, &mut rest), 11);
            assert_eq!(rest[..11], all[5..]);
            assert_eq!(done.copy_response_at(16, &mut rest), 0);
            assert_eq!(done.copy_response_at(usize::MAX, &mut rest), 0);
        }
        let rejected = port.add(Request::new(()).header(b"0123456789").data(b"abcdefg")).unwrap_err();
        assert_eq!(rejected.error, Misuse::NoRoomDeclared.into());
    }
}

#[test]
fn a_transfer_has_slices_between_its_header_and_its_response() {
    for rings in RINGS {
        let hal = TestHal::new();
        hal.set_max_segment(3);
        let device = with_rings(rings, device(16, echo)).build(&hal);
        let mut live = up_with(&device, &hal, spec::<()>()).unwrap();
        for _ in 0..if cfg!(miri) { 3 } else { 40 } {
            let (mut first, mut second, mut response) = ([0; 4], [0; 3], [0; 5]);
            let readable: [&[u8]; 2] = [b"efg", b"h"];
            let mut writable: [&mut [u8]; 2] = [&mut first, &mut second];
            let request = Request::new(Slices::new(&readable, &mut writable)).header(b"ab").data(b"cd");
            let transferred = live.transfer(0, request, &mut response, LIMIT);
            assert_eq!(transferred, Ok(Transferred { payload: 7, response: 5 }));
            assert_eq!((&first, &second, &response), (b"abcd", b"efg", b"h\x07\x07\x07\x07"));
        }
        // Nothing but a header, or a response.
        let mut none: [&mut [u8]; 0] = [];
        let request = Request::new(Slices::to_write(&mut none)).header(b"x");
        assert_eq!(live.transfer(0, request, &mut [], LIMIT), Ok(Transferred { payload: 0, response: 0 }));
        let mut response = [0];
        let request = Request::new(Slices::to_read(&[]));
        let transferred = live.transfer(0, request, &mut response, LIMIT);
        assert_eq!((transferred, response), (Ok(Transferred { payload: 0, response: 1 }), [7]));
        let request = Request::new(Slices::to_read(&[]));
        assert_eq!(live.transfer(0, request, &mut [], LIMIT), Err(Misuse::EmptyRequest.into()));
        assert_eq!(
            live.transfer(0, Request::new(Slices::to_read(&[])), &mut [0; 17], LIMIT),
            Err(Misuse::NoRoomDeclared.into())
        );
        let request = Request::new(Slices::to_read(&[])).header(&[1; 17]);
        assert_eq!(live.transfer(0, request, &mut [], LIMIT), Err(Misuse::NoRoomDeclared.into()));
    }
}

#[test]
fn what_a_device_writes_of_a_transfer_is_counted_where_it_fell() {
    for (claim, expected) in [
        (0, Transferred { payload: 0, response: 0 }),
        (3, Transferred { payload: 3, response: 0 }),
        (4, Transferred { payload: 4, response: 0 }),
        (5, Transferred { payload: 4, response: 1 }),
        (6, Transferred { payload: 4, response: 2 }),
        (u32::MAX, Transferred { payload: 4, response: 2 }),
    ] {
        let hal = TestHal::new();
        let handler = move |_| Reply::Claim { bytes: vec![5; 6], len: claim };
        let device = FakeDevice::builder(ID).queue(0, 16, handler).build(&hal);
        let mut live = up_with(&device, &hal, spec::<()>()).unwrap();
        let (mut data, mut response) = ([9; 4], [9; 2]);
        let mut slices: [&mut [u8]; 1] = [&mut data];
        let request = Request::new(Slices::to_write(&mut slices));
        assert_eq!(live.transfer(0, request, &mut response, LIMIT), Ok(expected));
        // What was not counted is not copied.
        for (at, byte) in data.iter().enumerate() {
            assert_eq!(*byte, if at < expected.payload as usize { 5 } else { 9 });
        }
        for (at, byte) in response.iter().enumerate() {
            assert_eq!(*byte, if at < expected.response { 5 } else { 9 });
        }
    }
}

#[test]
fn a_transfer_that_is_not_answered_takes_the_device_down_first() {
    for rings in RINGS {
        let hal = TestHal::new();
        let device = with_rings(rings, device(16, hold)).build(&hal);
        let mut live = up_with(&device, &hal, spec::<()>()).unwrap();
        let mut data = [0; 64];
        let mut slices: [&mut [u8]; 1] = [&mut data];
        let request = Request::new(Slices::to_write(&mut slices)).header(b"h");
        let timeout = Error::Misbehaved(Misbehaved::Timeout(Wait::Completion(Q0)));
        assert_eq!(live.transfer(0, request, &mut [0], LIMIT), Err(timeout));
        assert_reset_before_free(&hal.trace());
        assert_eq!(
            live.transfer(0, Request::new(Slices::to_read(&[b"x"])), &mut [], LIMIT),
            Err(Error::Down)
        );
    }
}

type Choice = Option<Either<Readable<Vec<u8>>, Writable<Vec<u8>>>>;

#[test]
fn a_payload_is_one_thing_or_another_or_nothing() {
    for rings in RINGS {
        let hal = TestHal::new();
        let device = with_rings(rings, device(16, echo)).build(&hal);
        let mut live = up_with(&device, &hal, spec::<Choice>()).unwrap();
        let mut port = live.port::<Choice>(0).unwrap();
        for round in 0..if cfg!(miri) { 6 } else { 30_u8 } {
            let payload = match round % 3 {
                0 => Some(Either::First(Readable(vec![round; 6]))),
                1 => Some(Either::Second(Writable(vec![0; 6]))),
                _ => None,
            };
            let token = port.submit(Request::new(payload).header(&[round; 4]).response(8)).unwrap();
            let mut done = port.wait(token, LIMIT).unwrap();
            let mut response = [0; 8];
            done.copy_response(&mut response);
            match (round % 3, done.take_payload().unwrap()) {
                (0, Some(Either::First(Readable(bytes)))) => {
                    assert_eq!((bytes, response), (vec![round; 6], [round; 8]));
                }
                (1, Some(Either::Second(Writable(bytes)))) => {
                    assert_eq!(bytes, [&[round; 4][..], &[7, 7]].concat());
                    assert_eq!(response, [7; 8]);
                }
                (2, None) => assert_eq!(response, [round, round, round, round, 7, 7, 7, 7]),
                (_, payload) => panic!("{payload:?}"),
            }
        }
    }
}

/// Sends a payload and answers it, back.
fn round_trip<P: Lend + core::fmt::Debug>(rings: Features, payload: P) -> P {
    let hal = TestHal::new();
    let device = with_rings(rings, device(16, echo)).build(&hal);
    let mut live = up_with(&device, &hal, spec::<P>()).unwrap();
    let mut port = live.port::<P>(0).unwrap();
    let token = port.submit(Request::new(payload)).unwrap();
    let payload = port.wait(token, LIMIT).unwrap().take_payload().unwrap();
    drop(live);
    hal.finish();
    payload
}

#[test]
fn several_payloads_are_gathered_and_scattered() {
    type Piece = Either<Readable<Vec<u8>>, Writable<Vec<u8>>>;
    let read = |bytes: &[u8]| Piece::First(Readable(bytes.to_vec()));
    let room = |len| Piece::Second(Writable(vec![0; len]));
    let filled = |bytes: &[u8]| Piece::Second(Writable(bytes.to_vec()));
    for rings in RINGS {
        let sent = [read(b"ab"), room(3), read(b"cde"), room(1)];
        let back = [read(b"ab"), filled(b"abc"), read(b"cde"), filled(b"d")];
        assert_eq!(round_trip(rings, sent.clone()), back);
        assert_eq!(round_trip(rings, sent.to_vec()), back);
        assert_eq!(*round_trip(rings, sent.to_vec().into_boxed_slice()), back);
        let nested = [[read(b"a"), room(1)], [read(b"b"), room(1)]];
        assert_eq!(round_trip(rings, nested), [[read(b"a"), filled(b"a")], [read(b"b"), filled(b"b")]]);
        let sparse = [None, Some(room(2)), None, Some(read(b"xy"))];
        assert_eq!(round_trip(rings, sparse), [None, Some(filled(b"xy")), None, Some(read(b"xy"))]);
    }
}

#[test]
fn a_part_of_a_buffer_is_all_that_a_device_gets() {
    for rings in RINGS {
        let source = Part::new(b"_hello_".to_vec(), 1..6).unwrap();
        let target = Part::new(vec![0; 8], 2..7).unwrap();
        assert_eq!(source.bytes(), b"hello");
        let (Readable(source), Writable(target)) = round_trip(rings, (Readable(source), Writable(target)));
        assert_eq!(target.range(), 2..7);
        assert_eq!(
            (&source.into_inner()[..], &target.into_inner()[..]),
            (&b"_hello_"[..], &b"\0\0hello\0"[..])
        );
        // An empty one has no segment.
        let (empty, target) = (Part::new(vec![1; 4], 4..4).unwrap(), Part::new(vec![0; 2], 0..2).unwrap());
        let (_, Writable(target)) = round_trip(rings, (Readable(empty), Writable(target)));
        assert_eq!(target.into_inner(), [7; 2]);
    }
    for (start, end) in [(3, 5), (5, 5), (2, 1), (usize::MAX, usize::MAX), (0, usize::MAX)] {
        assert_eq!(Part::new(vec![1; 4], start..end).unwrap_err(), [1; 4]);
    }
}

/// DMA memory is lent where it is: the part has an address of its own.
#[test]
fn a_part_of_a_dma_region_is_not_shared() {
    type Piece = Writable<Part<Dma<[u8], TestHal>>>;
    let hal = TestHal::new();
    let device = device(16, echo).build(&hal);
    let mut live = up_with(&device, &hal, QueueSpec::new::<Piece>(0, 16).header(16)).unwrap();
    let mut port = live.port::<Piece>(0).unwrap();
    let region: Dma<[u8], _> = Dma::zeroed_slice(hal.clone(), 5000).unwrap();
    let token =
        port.submit(Request::new(Writable(Part::new(region, 4095..4099).unwrap())).header(b"abcd")).unwrap();
    let Writable(part) = port.wait(token, LIMIT).unwrap().take_payload().unwrap();
    assert_eq!(part.bytes(), b"abcd");
    let region = part.into_inner();
    assert_eq!(region.as_ref()[4094..4100], *b"\0abcd\0");
    assert!(!hal.trace().iter().any(|event| matches!(event, virtio_testkit::Event::Share { .. })));
    // The device has it when it is reset.
    port.submit(Request::new(Writable(Part::new(region, 0..8).unwrap()))).unwrap();
    drop(live);
    hal.finish();
    keep(&device);
}

/// A device that says how many queues it has, and whose configuration is read while they are lent.
#[test]
fn queues_are_counted_at_run_time() {
    let hal = TestHal::new();
    let mut builder = FakeDevice::builder(ID).config(5_u16.to_le_bytes());
    for index in 0..5 {
        builder = builder.queue(index, 8, echo);
    }
    let device = builder.build(&hal);
    let init =
        Init::start(device.transport(), hal.clone(), ID).unwrap().negotiate(&Wanted::default()).unwrap();
    let count = init.config(ByteOrder::Little).unwrap().u16(0).unwrap();
    let init = init
        .queues_each((0..count).map(|index| QueueSpec::new::<()>(index, 8).header(4).response(4)))
        .unwrap();
    let mut live = init.live().unwrap();
    let mut ports = live.ports().unwrap();
    let config = ports.config(ByteOrder::Little);
    for index in 0..count {
        let mut port = ports.take::<()>(index).unwrap();
        let token = port.submit(Request::new(()).header(&[7; 4]).response(4)).unwrap();
        assert_eq!(port.wait(token, LIMIT).unwrap().response::<[u8; 4]>(), Ok([7; 4]));
    }
    device.set_config(3_u16.to_le_bytes());
    assert_eq!(config.u16(0), Ok(3));
}

/// One slot, taken again and again, whose table is written again only where it has to be: requests of all shapes in turn, each as if it were the first.
#[test]
fn a_table_that_is_prepared_is_that_of_the_request() {
    type Payload = Vec<Either<Readable<Vec<u8>>, Writable<Vec<u8>>>>;
    for rings in RINGS {
        let hal = TestHal::new();
        let device = with_rings(rings, device(4, echo)).build(&hal);
        let spec = QueueSpec::new::<Payload>(0, 4).header(300).response(300).indirect(4);
        let mut live = up_with(&device, &hal, spec).unwrap();
        if !rings.contains(Features::INDIRECT_DESC) {
            continue;
        }
        let shapes = [
            (4, 1),
            (4, 1),
            (6, 1),
            (4, 2),
            (4, 1),
            (0, 1),
            (4, 1),
            (4, 0),
            (4, 1),
            (255, 255),
            (256, 1),
            (4, 256),
        ];
        for round in 0..if cfg!(miri) { 1 } else { 4_u8 } {
            for (nth, (header, response)) in (0_u8..).zip(shapes) {
                let header: Vec<u8> =
                    (0..header).map(|at: u16| at.to_le_bytes()[0].wrapping_mul(7) ^ nth ^ round).collect();
                let kinds: [Payload; 6] = [
                    vec![Either::First(Readable(vec![nth; 5]))],
                    vec![Either::Second(Writable(vec![0; 9]))],
                    vec![],
                    vec![Either::First(Readable(vec![nth; 2])), Either::Second(Writable(vec![0; 3]))],
                    vec![Either::Second(Writable(vec![0; 700]))],
                    vec![Either::First(Readable(vec![1])), Either::First(Readable(vec![2]))],
                ];
                let order: &[usize] =
                    if cfg!(miri) { &[0, 0, 1, 4, 0] } else { &[0, 0, 1, 1, 2, 3, 1, 4, 1, 5, 0] };
                for &kind in order {
                    let payload = kinds[kind].clone();
                    // The first 300 bytes of that are in two segments.
                    if kind == 4 {
                        hal.set_max_segment(400);
                    }
                    let request = Request::new(payload).header(&header).response(response);
                    if header.is_empty() && response == 0 && kind == 2 {
                        continue;
                    }
                    let mut port = live.port::<Payload>(0).unwrap();
                    let token = port.submit(request).unwrap();
                    let mut done = port.wait(token, LIMIT).unwrap();
                    let mut answered = vec![0; response];
                    assert_eq!(done.copy_response(&mut answered), response);
                    let (mut sent, mut written) = (header.clone(), Vec::new());
                    for piece in done.take_payload().unwrap() {
                        match piece {
                            Either::First(Readable(bytes)) => sent.extend(bytes),
                            Either::Second(Writable(bytes)) => written.extend(bytes),
                        }
                    }
                    drop(done);
                    written.extend(answered);
                    sent.resize(written.len().max(sent.len()), 7);
                    assert_eq!(written[..], sent[..written.len()], "{header:?} {response} {kind}");
                    hal.set_max_segment(usize::MAX);
                    // And over slices.
                    let (mut target, mut answered) = ([0; 6], vec![0; response]);
                    let mut slices: [&mut [u8]; 1] = [&mut target];
                    let request = Request::new(Slices::to_write(&mut slices)).header(&header);
                    live.transfer(0, request, &mut answered, LIMIT).unwrap();
                    let mut expected = header.clone();
                    expected.resize(header.len().max(6 + response), 7);
                    assert_eq!([&target[..], &answered].concat()[..], expected[..6 + response]);
                }
            }
        }
    }
}
