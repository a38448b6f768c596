//! The order of writes when a queue is handed over, per version.

use alloc::vec::Vec;

use virtio_core::transport::{Doorbell, DoorbellWidth, Rings};
use virtio_core::{DeviceAddr, Error, HalError, Incompatible, Misuse, QueueIndex, Status, Transport};

use super::bench::{Access, Bench, Publish, r, w};
use crate::{MmioTransport, probe};

pub(super) const QUEUE: QueueIndex = QueueIndex::new(3);

pub(super) fn transport(bench: &Bench) -> MmioTransport<&Bench> {
    let transport = probe(bench).unwrap().unwrap();
    bench.take();
    transport
}

/// Rings as a legacy device computes them from where the descriptors are.
pub(super) fn legacy_rings(size: u16, descriptor: u64) -> Rings {
    let driver = descriptor + 16 * u64::from(size);
    let device = (driver + 2 * u64::from(size) + 6).next_multiple_of(4096);
    Rings {
        size,
        descriptor: DeviceAddr::new(descriptor),
        driver: DeviceAddr::new(driver),
        device: DeviceAddr::new(device),
        notification_data: false,
        notif_config_data: false,
    }
}

const BELL: Doorbell = Doorbell { offset: 0x050, value: 3, width: DoorbellWidth::Bits32 };

// shows: mmio.regs.15
#[test]
fn version_2_in_order_and_ready_last() {
    let bench = Bench::device(2, 16);
    let rings = Rings {
        size: 64,
        descriptor: DeviceAddr::new(0x1_2345_6000),
        driver: DeviceAddr::new(0x2_2345_7008),
        device: DeviceAddr::new(0x3_2345_8004),
        notification_data: false,
        notif_config_data: false,
    };
    assert_eq!(transport(&bench).enable_queue(QUEUE, &rings), Ok(BELL));
    assert_eq!(
        bench.take(),
        [
            w(0x030, 3),
            r(0x044),
            w(0x038, 64),
            w(0x080, 0x2345_6000),
            w(0x084, 1),
            w(0x090, 0x2345_7008),
            w(0x094, 2),
            w(0x0a0, 0x2345_8004),
            w(0x0a4, 3),
            Publish,
            w(0x044, 1),
            r(0x044),
        ]
    );
}

#[test]
fn version_1_in_order_and_page_number_last() {
    let bench = Bench::device(1, 16);
    let mut transport = transport(&bench);
    let rings = legacy_rings(8, 0x8765_4000);
    let queue: [Access; 6] =
        [w(0x030, 3), r(0x040), w(0x038, 8), w(0x03c, 4096), Publish, w(0x040, 0x8_7654)];
    let with_page_size: Vec<Access> = [w(0x028, 4096)].into_iter().chain(queue).collect();

    assert_eq!(transport.enable_queue(QUEUE, &rings), Ok(BELL));
    assert_eq!(bench.take(), with_page_size);
    // The page size is said once ...
    assert_eq!(transport.enable_queue(QUEUE, &rings), Ok(BELL));
    assert_eq!(bench.take(), queue);
    // ... after each reset.
    transport.set_status(Status::ACKNOWLEDGE);
    transport.set_status(Status::empty());
    assert_eq!(bench.take(), [w(0x070, 1), w(0x070, 0)]);
    assert_eq!(transport.enable_queue(QUEUE, &rings), Ok(BELL));
    assert_eq!(bench.take(), with_page_size);
}

// shows: mmio.regs.15
#[test]
fn a_queue_in_use_is_left_alone() {
    for (version, register) in [(1, 0x040), (2, 0x044)] {
        let bench = Bench::device(version, 16);
        bench.set(register, 1);
        let answer = transport(&bench).enable_queue(QUEUE, &legacy_rings(8, 0x1000));
        assert_eq!(answer, Err(Error::Incompatible(Incompatible::QueueBusy(QUEUE))));
        let trace = bench.take();
        assert_eq!(trace.last(), Some(&r(register)));
        assert!(!trace.iter().any(|access| matches!(access, Access::Write(0x038 | 0x040 | 0x044, ..))));
    }
}

#[test]
fn rings_that_version_1_cannot_name_touch_nothing() {
    let bench = Bench::device(1, 16);
    let mut transport = transport(&bench);
    let mut refused = |rings: &Rings| {
        let error = transport.enable_queue(QUEUE, rings).unwrap_err();
        assert_eq!(bench.take(), []);
        error
    };
    let too_high = Error::Incompatible(Incompatible::RingTooHigh(QUEUE));
    assert_eq!(refused(&legacy_rings(8, 1 << 44)), too_high);
    assert_eq!(refused(&legacy_rings(8, 0x1800)), Error::Platform(HalError::BrokenContract));
    assert_eq!(refused(&legacy_rings(8, 0)), Error::Platform(HalError::BrokenContract));

    let elsewhere = Error::Caller(Misuse::BadQueueDeclaration);
    let rings = legacy_rings(8, 0x1000);
    assert_eq!(refused(&Rings { driver: DeviceAddr::new(0x1100), ..rings }), elsewhere);
    assert_eq!(refused(&Rings { device: DeviceAddr::new(0x1800), ..rings }), elsewhere);
    let last_page = DeviceAddr::new(u64::MAX - 0xfff);
    assert_eq!(refused(&Rings { size: 32768, descriptor: last_page, ..rings }), elsewhere);
}

#[test]
fn the_highest_page_number_is_accepted() {
    let bench = Bench::device(1, 16);
    transport(&bench).enable_queue(QUEUE, &legacy_rings(256, 0xffff_ffff_u64 << 12)).unwrap();
    assert_eq!(bench.take().last(), Some(&w(0x040, u32::MAX)));
}

#[test]
fn a_kick_is_one_register_write_behind_a_barrier() {
    for version in [1, 2] {
        let bench = Bench::device(version, 16);
        let mut transport = transport(&bench);
        let bell = transport.enable_queue(QUEUE, &legacy_rings(8, 0x1000)).unwrap();
        bench.take();
        transport.notify(bell);
        assert_eq!(bench.take(), [Publish, w(0x050, 3)]);
    }
}

#[test]
fn a_kick_with_a_position_is_the_same_write() {
    for version in [1, 2] {
        let bench = Bench::device(version, 16);
        let mut transport = transport(&bench);
        let rings = Rings { notification_data: true, ..legacy_rings(8, 0x1000) };
        let bell = transport.enable_queue(QUEUE, &rings);
        assert_eq!(bell, Ok(BELL));
        bench.take();
        for (position, value) in [(0, 3), (1, 0x1_0003), (0x8005, 0x8005_0003), (u16::MAX, 0xffff_0003)] {
            transport.notify(BELL.at(position));
            assert_eq!(bench.take(), [Publish, w(0x050, value)]);
        }
    }
}

#[test]
fn a_queue_is_selected_before_its_size_is_read() {
    for version in [1, 2] {
        for (register, size) in [
            (0, 0),
            (1, 1),
            (1024, 1024),
            (32768, 32768),
            (32769, 32769),
            (65535, u16::MAX),
            (65536, u16::MAX),
            (u32::MAX, u16::MAX),
        ] {
            let bench = Bench::device(version, 16);
            bench.set(0x034, register);
            assert_eq!(transport(&bench).queue_max_size(QUEUE), size);
            assert_eq!(bench.take(), [w(0x030, 3), r(0x034)]);
        }
    }
}
