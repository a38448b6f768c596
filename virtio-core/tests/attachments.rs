//! Memory that a device keeps (attachments), and its configuration space.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking; not every file uses every helper"
)]

mod common;

use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use common::{ID, LIMIT, Live, assert_reset_before_free, device, echo, hold, up};
use virtio_core::config::ByteOrder;
use virtio_core::dma::{Attachment, Dma, ToDevice};
use virtio_core::{DeviceAddr, Error, Incompatible, Misbehaved, Misuse};
use virtio_testkit::{Event, FakeDevice, Reply, Request, Reset, TestHal};

/// Entries as the device finds them behind a header of 4 bytes: address and length.
fn entries(table: &[u8]) -> Vec<(DeviceAddr, usize)> {
    let entries = table[4..].chunks_exact(16).map(|entry| {
        let address = u64::from_le_bytes(entry[..8].try_into().unwrap());
        let len = u32::from_le_bytes(entry[8..12].try_into().unwrap());
        assert_eq!(entry[12..], [0; 4]);
        (DeviceAddr::new(address), len as usize)
    });
    entries.collect()
}

/// What a device sees that reads all of an attachment.
fn backing(memory: &virtio_testkit::DeviceMemory, entries: &[(DeviceAddr, usize)]) -> Vec<u8> {
    entries.iter().map(|(address, len)| memory.read_vec(*address, *len).unwrap()).collect::<Vec<_>>().concat()
}

fn seen(request: &Request) -> Vec<u8> {
    backing(&request.memory, &entries(&request.readable))
}

fn pattern(len: usize) -> Vec<u8> {
    let mut bytes = (0..=250).collect::<Vec<u8>>().repeat(len.div_ceil(251));
    bytes.truncate(len);
    bytes
}

fn attached(device: &FakeDevice, hal: &TestHal, bytes: Vec<u8>) -> (Live, Attachment<Vec<u8>>) {
    let mut live = up::<()>(device, hal, 8).unwrap();
    let attachment = live.attach(bytes).unwrap();
    live.exchange_attaching(0, &[0; 4], &attachment, &mut [0; 1], LIMIT).unwrap();
    (live, attachment)
}

fn confirm(answer: &[u8]) -> Result<(), Error> {
    if answer == [1] { Ok(()) } else { Err(Misbehaved::ShortAnswer { written: 0, needed: 1 }.into()) }
}

#[test]
fn the_table_of_entries_covers_the_buffer_in_order() {
    for scatter in [false, true] {
        let hal = TestHal::new();
        if scatter {
            hal.scatter();
        }
        let device = device(8, |request| {
            if request.readable.len() > 4 {
                assert_eq!(seen(&request), pattern(20_000));
            }
            Reply::Write(vec![1])
        })
        .build(&hal);
        let (mut live, attachment) = attached(&device, &hal, pattern(20_000));
        let count = live.attachment_entries(&attachment).unwrap();
        assert!(if scatter { (5..=6).contains(&count) } else { count == 1 });
        let buffer = live.detach(attachment, 0, &[9], &mut [0; 1], LIMIT, |_| Ok::<(), Error>(())).unwrap();
        assert_eq!(buffer, pattern(20_000));
        assert_eq!(hal.outstanding().shares, 0);
    }
}

#[test]
fn dma_memory_is_attached_as_it_is() {
    let hal = TestHal::new();
    let device = device(8, |request| Reply::Write(seen(&request)[..1].to_vec())).build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    let frame: Dma<[u8], TestHal, ToDevice> = Dma::zeroed_slice(hal.clone(), 9000).unwrap();
    let attachment = live.attach(frame).unwrap();
    for colour in [3, 4] {
        live.attachment_bytes(&attachment).unwrap().fill(colour);
        live.sync_attachment(&attachment, 0, 9000).unwrap();
        let mut answer = [0];
        live.exchange_attaching(0, &[0; 4], &attachment, &mut answer, LIMIT).unwrap();
        assert_eq!(answer, [colour]);
    }
    assert_eq!(hal.calls(virtio_testkit::Call::Share), 0);
}

#[test]
fn syncing_shows_the_device_the_drawn_range_and_no_more() {
    let hal = TestHal::new();
    hal.scatter();
    let device = device(8, hold).build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    let attachment = live.attach(vec![0_u8; 10_000]).unwrap();
    let mut port = live.port::<()>(0).unwrap();
    let request = virtio_core::queue::Request::new(()).header(&[0; 4]);
    port.add_attaching(request, &attachment).unwrap();
    port.publish();
    port.kick();
    let entries = entries(&device.held_readable(0)[0]);
    live.attachment_bytes(&attachment).unwrap().fill(7);
    hal.clear_trace();
    live.sync_attachment(&attachment, 3000, 4000).unwrap();
    let copied: usize = hal
        .trace()
        .iter()
        .map(|event| if let Event::SyncToDevice { len, .. } = event { *len } else { 0 })
        .sum();
    assert_eq!(copied, 4000);
    let mut expected = vec![0; 10_000];
    expected[3000..7000].fill(7);
    assert_eq!(backing(&device.memory(), &entries), expected);
    live.sync_attachment(&attachment, 0, 0).unwrap();
    for (start, len) in [(9_999, 2), (10_001, 0), (usize::MAX, 2)] {
        assert_eq!(live.sync_attachment(&attachment, start, len), Err(Misuse::BadLength.into()));
    }
}

#[test]
fn a_refused_detach_keeps_the_memory_with_the_device() {
    let hal = TestHal::new();
    let device = device(8, |request| Reply::Write(vec![u8::from(request.readable == [8])])).build(&hal);
    let (mut live, attachment) = attached(&device, &hal, pattern(100));
    let shares = hal.outstanding().shares;
    let kept = live.detach(attachment, 0, &[9], &mut [0; 1], LIMIT, confirm).unwrap_err();
    assert_eq!(hal.outstanding().shares, shares);
    let buffer = live.detach(kept.attachment, 0, &[8], &mut [0; 1], LIMIT, confirm).unwrap();
    assert_eq!(buffer, pattern(100));
}

#[test]
fn a_detach_while_the_table_is_in_flight_keeps_the_memory() {
    let hal = TestHal::new();
    let device = FakeDevice::builder(ID)
        .queue(0, 8, |request| if request.readable.len() > 4 { Reply::Hold } else { Reply::Write(vec![1]) })
        .build(&hal);
    let mut live = up::<()>(&device, &hal, 8).unwrap();
    let attachment = live.attach(pattern(10)).unwrap();
    let mut port = live.port::<()>(0).unwrap();
    port.add_attaching(virtio_core::queue::Request::new(()).header(&[0; 4]), &attachment).unwrap();
    port.publish();
    port.kick();
    let kept = live.detach(attachment, 0, &[8], &mut [0; 1], LIMIT, confirm).unwrap_err();
    assert_eq!(kept.error, Misuse::AttachmentInUse.into());
    device.complete(0, 0, &[]);
    drop(live.port::<()>(0).unwrap().poll().unwrap().unwrap());
    live.detach(kept.attachment, 0, &[8], &mut [0; 1], LIMIT, confirm).unwrap();
}

#[test]
fn a_panic_in_the_judge_of_a_detach_keeps_the_memory_until_the_reset() {
    let hal = TestHal::new();
    let device = device(8, echo).build(&hal);
    let (mut live, attachment) = attached(&device, &hal, pattern(100));
    hal.clear_trace();
    let detach = AssertUnwindSafe(|| {
        live.detach(attachment, 0, &[9], &mut [0; 1], LIMIT, |_| -> Result<(), Error> { panic!("the judge") })
    });
    assert!(catch_unwind(detach).is_err());
    assert_eq!(hal.outstanding().shares, 1);
    // The device lives on, and releases the memory with everything else.
    live.exchange(0, &[1], &mut [0; 1], LIMIT).unwrap();
    drop(live);
    assert_reset_before_free(&hal.trace());
}

#[test]
fn forgotten_attachments_go_with_the_device_after_its_reset() {
    let hal = TestHal::new();
    let device = device(8, echo).build(&hal);
    let (mut live, attachment) = attached(&device, &hal, pattern(5000));
    let _forgotten = core::mem::ManuallyDrop::new(attachment);
    let _never_named = live.attach(pattern(10)).unwrap();
    hal.clear_trace();
    drop(live);
    assert_reset_before_free(&hal.trace());
    assert!(hal.outstanding().is_none());
}

#[test]
fn attachments_of_a_device_that_will_not_stop_are_leaked() {
    let hal = TestHal::new();
    hal.allow_leaks();
    let device = device(8, echo).build(&hal);
    let (live, _attachment) = attached(&device, &hal, pattern(5000));
    device.set_reset(Reset::Never);
    drop(live);
    assert!(hal.outstanding().is_none());
    assert!(hal.leaks().iter().any(|leaked| leaked.pages == 0), "the shared buffer is among them");
}

#[test]
fn a_failed_attach_gives_the_buffer_back() {
    for n in 1.. {
        let hal = TestHal::new();
        let device = device(8, echo).build(&hal);
        let mut live = up::<()>(&device, &hal, 8).unwrap();
        let before = hal.outstanding();
        hal.scatter();
        hal.fail_nth(n);
        match live.attach(pattern(9000)) {
            Ok(_) => {
                assert!(n > 3);
                break;
            }
            Err(rejected) => assert_eq!(rejected.payload, pattern(9000)),
        }
        assert_eq!(hal.outstanding(), before, "allocation {n}");
    }
    let hal = TestHal::new();
    let mut live = up::<()>(&device(8, echo).build(&hal), &hal, 8).unwrap();
    assert_eq!(live.attach(Vec::new()).unwrap_err().error, Misuse::BadLength.into());
}

#[test]
fn an_attachment_that_no_request_has_named_can_be_withdrawn() {
    let hal = TestHal::new();
    let device = device(8, echo).build(&hal);
    let (mut live, named) = attached(&device, &hal, pattern(10));
    assert_eq!(live.withdraw(named).unwrap_err().error, Misuse::NoSuchAttachment.into());
    let fresh = live.attach(pattern(11)).unwrap();
    assert_eq!(live.withdraw(fresh).unwrap(), pattern(11));
}

#[test]
fn attachments_of_two_devices_are_not_mixed_up() {
    let hal = TestHal::new();
    let (one, two) = (device(8, echo).build(&hal), device(8, echo).build(&hal));
    let (mut first, mine) = attached(&one, &hal, pattern(10));
    let (mut second, theirs) = attached(&two, &hal, vec![1; 20]);
    let no_such = Error::from(Misuse::NoSuchAttachment);
    assert_eq!(second.attachment_bytes(&mine).map(drop), Err(no_such));
    assert_eq!(second.attachment_entries(&mine), Err(no_such));
    assert_eq!(second.sync_attachment(&mine, 0, 1), Err(no_such));
    assert_eq!(second.exchange_attaching(0, &[0; 4], &mine, &mut [0; 1], LIMIT), Err(no_such));
    let kept = second.detach(mine, 0, &[1], &mut [0; 1], LIMIT, |_| Ok::<(), Error>(())).unwrap_err();
    assert_eq!(kept.error, no_such);
    let buffer = first.detach(kept.attachment, 0, &[1], &mut [0; 1], LIMIT, |_| Ok::<(), Error>(())).unwrap();
    assert_eq!(buffer, pattern(10));
    assert_eq!(second.attachment_bytes(&theirs).unwrap(), [1; 20]);
}

// shows: basic.config.1, basic.config.2, basic.config.legacy.1
#[test]
fn configuration_fields_belong_to_one_state_of_the_device() {
    let hal = TestHal::new();
    for legacy in [false, true] {
        let builder = device(8, hold).config([0; 16]);
        let device = if legacy { builder.legacy() } else { builder }.build(&hal);
        let live = up::<()>(&device, &hal, 8).unwrap();
        let config = live.config(ByteOrder::Little).unwrap();
        device.unsettle_config(3);
        // Every read changes every byte: only a settled space has equal halves.
        let value = config.u64(0).unwrap();
        assert_eq!(value, value.rotate_left(32));
        assert!(value.to_le_bytes().iter().all(|byte| *byte == 3), "{value:#x}");
        device.unsettle_config(u32::MAX);
        assert_eq!(config.u64(8), Err(Misbehaved::ConfigUnstable.into()));
    }
}

// shows: pci.layout.1, mmio.regs.5
#[test]
fn each_field_is_one_access_of_its_width_and_64_bits_are_two() {
    let hal = TestHal::new();
    for legacy in [false, true] {
        let builder = device(8, hold).config([7; 16]);
        let device = if legacy { builder.legacy() } else { builder }.build(&hal);
        let live = up::<()>(&device, &hal, 8).unwrap();
        let config = live.config(ByteOrder::Little).unwrap();
        hal.clear_trace();
        config.u8(3).unwrap();
        config.u16(2).unwrap();
        config.u32(4).unwrap();
        let read = |offset, len| Event::ConfigRead { offset, len };
        assert_eq!(hal.trace(), [read(3, 1), read(2, 2), read(4, 4)]);
        hal.clear_trace();
        config.u64(8).unwrap();
        // Without a generation, until two readings agree.
        let times = if legacy { 2 } else { 1 };
        let halves = (0..times).flat_map(|_| [read(8, 4), read(12, 4)]);
        assert!(hal.trace().into_iter().eq(halves), "{:?}", hal.trace());
    }
}

#[test]
fn configuration_order_is_little_endian_unless_the_device_is_legacy() {
    let hal = TestHal::new();
    let space: Vec<u8> = (1..=8).collect();
    for (legacy, order) in [(false, ByteOrder::Native), (true, ByteOrder::Little), (true, ByteOrder::Native)]
    {
        let builder = device(8, hold).config(space.clone());
        let device = if legacy { builder.legacy() } else { builder }.build(&hal);
        let live = up::<()>(&device, &hal, 8).unwrap();
        let config = live.config(order).unwrap();
        let native = legacy && order == ByteOrder::Native;
        let expected = if native { u32::from_ne_bytes([5, 6, 7, 8]) } else { 0x0807_0605 };
        assert_eq!((config.u8(1), config.u32(4)), (Ok(2), Ok(expected)));
        let outside = Incompatible::ConfigTooSmall { offset: 8, len: 2 };
        assert_eq!(config.u16(8), Err(outside.into()));
    }
}
