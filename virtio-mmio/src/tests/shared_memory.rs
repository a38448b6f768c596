//! Shared-memory regions: what is read, and what counts as none.

use virtio_core::transport::SharedMemory;
use virtio_core::{PhysAddr, Transport};

use super::bench::{Bench, r, w};
use super::queues::transport;

fn set_wide(bench: &Bench, offset: usize, value: u64) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    bench.set(offset, u32::from_le_bytes([a, b, c, d]));
    bench.set(offset + 4, u32::from_le_bytes([e, f, g, h]));
}

#[test]
fn a_region_is_selected_and_read_in_halves() {
    let bench = Bench::device(2, 16);
    set_wide(&bench, 0x0b0, 0x2_0000_1000);
    set_wide(&bench, 0x0b8, 0x8_4000_0000);
    let expected = SharedMemory { address: PhysAddr::new(0x8_4000_0000), len: 0x2_0000_1000 };
    let mut transport = transport(&bench);
    for id in [1, 0, 255] {
        assert_eq!(transport.shared_memory(id), Some(expected));
        assert_eq!(bench.take(), [w(0x0ac, id.into()), r(0x0b0), r(0x0b4), r(0x0b8), r(0x0bc)]);
    }
}

#[test]
fn what_is_absent_empty_or_wraps_is_no_region() {
    for (len, base, found) in [
        (u64::MAX, u64::MAX, false), // no such id; or the device is gone
        (u64::MAX, 0, false),
        (0, 0x1000, false),
        (1, u64::MAX, false),
        (0x1000, u64::MAX, false),
        (0x1001, u64::MAX - 0x1000, false),
        (0x1000, u64::MAX - 0x1000, true),
        (u64::MAX - 1, 1, true),
        (0x1000, 0, true),
        (0xffff_ffff, 0x1_0000_0000, true), // only one half is all ones
    ] {
        let bench = Bench::device(2, 16);
        set_wide(&bench, 0x0b0, len);
        set_wide(&bench, 0x0b8, base);
        let region = transport(&bench).shared_memory(1);
        let expected = SharedMemory { address: PhysAddr::new(base), len };
        assert_eq!(region, found.then_some(expected), "{len:#x} at {base:#x}");
    }
}

#[test]
fn version_1_has_no_such_registers() {
    let bench = Bench::device(1, 16);
    set_wide(&bench, 0x0b0, 0x1000);
    assert_eq!(transport(&bench).shared_memory(1), None);
    assert_eq!(bench.take(), []);
}
