//! The configuration space, over GET_CONFIG and SET_CONFIG (VIRTIO 1.4 §2.5, §5.2.4).

use virtio_core::config::ByteOrder;
use virtio_core::{Incompatible, Transport};

use crate::case::{Case, SECTORS, SOON, bring_up, down, eventually, spec};
use crate::raw::{IN, Read, header};

/// `writeback`, 1 byte: the only field that a driver writes.
const WRITEBACK: usize = 32;
const NUM_QUEUES: usize = 34;

#[test]
fn fields_read_as_the_daemon_was_told() {
    let case = Case::file(|disk| disk.queues(3));
    let transport = case.connect();
    assert_eq!(transport.config_len(), 60);
    let live = bring_up(transport, case.hal(), &[spec::<Read>(0)]).unwrap();
    let config = live.config(ByteOrder::Little).unwrap();
    assert_eq!(config.u64(0), Ok(SECTORS as u64));
    assert_eq!(config.u16(NUM_QUEUES), Ok(3));
    assert_eq!(config.u32(20), Ok(512), "the size of a block");
    // Where a field starts makes no difference.
    let capacity = [0, 4].map(|offset| config.u32(offset).unwrap());
    assert_eq!(u64::from(capacity[0]) | u64::from(capacity[1]) << 32, SECTORS as u64);
    down(live);
    case.is_clean();
}

#[test]
fn accesses_outside_fail_alone() {
    let case = Case::file(|disk| disk);
    let mut live = case.up::<Read>();
    let config = live.config(ByteOrder::Little).unwrap();
    for offset in [256, 1 << 20, usize::MAX - 3] {
        assert_eq!(config.u32(offset), Err(Incompatible::ConfigTooSmall { offset, len: 4 }.into()));
    }
    // The device goes on.
    let (mut data, mut status) = ([0; 512], [9]);
    assert_eq!(live.call(0, &[&header(IN, 0)], &mut [&mut data, &mut status], SOON), Ok(513));
    down(live);
}

#[test]
fn what_is_written_reads_back() {
    let case = Case::file(|disk| disk);
    let mut live = case.up::<Read>();
    for mode in [0_u8, 1, 0] {
        live.write_config(WRITEBACK, &[mode]).unwrap();
        assert_eq!(live.config(ByteOrder::Little).unwrap().u8(WRITEBACK), Ok(mode));
    }
    live.write_config(WRITEBACK, &[1]).unwrap();
    down(live);
}

#[test]
fn a_write_that_the_back_end_refuses_ends_the_device_and_not_the_process() {
    let case = Case::file(|disk| disk);
    let mut live = case.up::<Read>();
    // The capacity is not the driver's to choose. QEMU 7.2 says nothing, and hangs up.
    let _ = live.write_config(0, &[1, 0, 0, 0]);
    assert!(eventually(|| live.port::<Read>(0).unwrap().needs_reset()));
    let transport = down(live);
    case.is_clean();
    // The next life is another connection.
    let mut live = bring_up(transport, case.hal(), &[spec::<Read>(0)]).unwrap();
    let (mut data, mut status) = ([0; 512], [9]);
    assert_eq!(live.call(0, &[&header(IN, 0)], &mut [&mut data, &mut status], SOON), Ok(513));
    down(live);
    case.is_clean();
}
