//! What the other players throw.

use crate::bench::{drive, honest};

use toy_device::{DiceError, Thrown};
use virtio_testkit::TestHal;

fn wire(player: u32, sum: u32) -> Vec<u8> {
    [player.to_le_bytes(), sum.to_le_bytes()].concat()
}

#[test]
fn events_come_in_order_and_their_buffers_go_back() {
    let hal = TestHal::new();
    let device = honest().build(&hal);
    let mut dice = drive(&device, &hal);
    assert_eq!(device.held(1), 8, "the device has buffers before it is live");
    // Three times what the queue holds.
    for round in 0..8 {
        for player in 0..3 {
            assert!(device.send(1, &wire(player, round)));
        }
        for player in 0..3 {
            assert_eq!(dice.next_event(), Ok(Some(Thrown { player, sum: round })));
        }
        assert_eq!(dice.next_event(), Ok(None));
        assert_eq!(device.held(1), 8);
    }
}

#[test]
fn a_short_event_is_dropped_and_the_next_one_comes() {
    let hal = TestHal::new();
    let device = honest().build(&hal);
    let mut dice = drive(&device, &hal);
    device.send(1, &[1; 7]);
    device.send(1, &wire(4, 5));
    assert_eq!(dice.next_event(), Err(DiceError::ShortEvent { written: 7 }));
    assert_eq!(dice.next_event(), Ok(Some(Thrown { player: 4, sum: 5 })));
    assert_eq!(device.held(1), 8);
}

#[test]
fn interrupts_tell_of_events() {
    let hal = TestHal::new();
    let device = honest().build(&hal);
    let mut dice = drive(&device, &hal);
    device.send(1, &wire(1, 1));
    assert_eq!(device.interrupts(), 0, "nobody asked for one");
    assert_eq!(dice.enable_interrupts(), Ok(true), "one waits already");
    assert!(dice.next_event().unwrap().is_some());
    assert_eq!(dice.enable_interrupts(), Ok(false));
    device.send(1, &wire(1, 2));
    assert_eq!(device.interrupts(), 1);
    assert!(!dice.ack_interrupt().unwrap().is_empty());
    assert_eq!(dice.next_event(), Ok(Some(Thrown { player: 1, sum: 2 })));
}
