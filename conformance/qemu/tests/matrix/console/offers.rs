//! What QEMU's console offers, and what it does not: cases that fail on the day that it does, for they are to be written then.

use qemu_bench::{Device, Machine, Way};
use virtio::Transport;
use virtio::console::PortId;

use super::{ZERO, down, up};
use crate::case::SOON;

/// SIZE, MULTIPORT, EMERG_WRITE (VIRTIO 1.4 §5.3.3).
fn offered<W: Way>(machine: &Machine, device: &Device) -> [bool; 3] {
    let mut transport = W::open(machine, device);
    let features = transport.device_features(0);
    [0, 1, 2].map(|number| features >> number & 1 == 1)
}

/// QEMU 7.2 knows no size of a console.
pub(crate) fn all<W: Way>(machine: &Machine, device: &Device) {
    assert_eq!(offered::<W>(machine, device), [false, true, true]);
    let mut console = up::<W>(machine, device);
    console.wait_for(ZERO, SOON).unwrap();
    assert_eq!(console.size(ZERO).unwrap(), None);
    down(console);
}

/// One port, and no dialogue about it.
pub(crate) fn single<W: Way>(machine: &Machine, device: &Device) {
    assert_eq!(offered::<W>(machine, device), [false, false, true]);
    let mut console = up::<W>(machine, device);
    assert!(!console.is_multiport());
    assert_eq!(console.max_ports(), 1);
    assert_eq!(console.present().collect::<Vec<_>>(), [ZERO]);
    assert_eq!(console.next_event().unwrap(), None);
    assert_eq!(console.size(ZERO).unwrap(), None);
    assert!(console.port(PortId::new(1)).is_err());
    down(console);
}
