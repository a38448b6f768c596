//! Ports that come, open, speak, close and go.

use crate::console_bench::{Bench, CONSOLE_PORT, DEVICE_ADD, DEVICE_REMOVE, PORT_NAME, PORT_OPEN, Setup};
use crate::plain;
use demo::ports::{Ports, Turn};
use virtio_testkit::{FakeTransport, TestHal};

type Console = Ports<FakeTransport, TestHal>;

/// A device with an open port of a name, and a closed one without, and the demo's side.
fn bench() -> (Bench, Console) {
    let bench = Setup::MULTI.build();
    let ports = Ports::new(bench.device.transport(), bench.hal.clone()).unwrap();
    bench.plug(0);
    bench.say_with(0, PORT_NAME, 1, b"org.example.first");
    bench.say(1, DEVICE_ADD, 0);
    (bench, ports)
}

fn listed(ports: &mut Console) -> String {
    let mut text = String::new();
    ports.print(&mut text, "none").unwrap();
    plain(&text)
}

/// Goes on until nothing is left to do.
fn settle(ports: &mut Console) {
    for _ in 0..100 {
        if ports.go_on("none").unwrap() == Turn::Idle {
            return;
        }
    }
    panic!("it does not come to rest");
}

const HELLO: &[u8] = b"hello from none, on port 0 org.example.first\n";

#[test]
fn nothing_is_said_before_the_command() {
    let (bench, mut ports) = bench();
    settle(&mut ports);
    assert!(bench.told().iter().all(|(_, event, _)| *event != PORT_OPEN));
    assert_eq!(bench.heard(0), b"");
    assert_eq!(ports.count(), 2);
    let text = listed(&mut ports);
    let rows: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1], ["0", "org.example.first", "open", "80", "x", "25", "0", "bytes"]);
    assert_eq!(rows[2][..2], ["1", "closed"]);
    assert!(bench.told().contains(&(0, PORT_OPEN, 1)) && bench.told().is_empty());
    assert_eq!(bench.heard(0), HELLO);
    assert_eq!(bench.heard(1), b"");
}

#[test]
fn what_comes_in_goes_back() {
    let (bench, mut ports) = bench();
    listed(&mut ports);
    bench.heard(0);
    let mut sent = Vec::new();
    for round in 0..50_u8 {
        let piece: Vec<u8> = (0..round * 5).map(|at| at ^ round).collect();
        if !piece.is_empty() {
            bench.send(0, &piece);
        }
        sent.extend(piece);
        settle(&mut ports);
    }
    assert_eq!(bench.heard(0), sent);
    assert!(listed(&mut ports).contains(&format!("{} bytes", sent.len())));
    assert_eq!(bench.heard(0), b"", "it is not greeted twice");
}

#[test]
fn who_opens_a_port_again_is_greeted_again() {
    let (bench, mut ports) = bench();
    listed(&mut ports);
    assert_eq!(bench.heard(0), HELLO);
    // Both messages are there before anybody looks.
    bench.say(0, PORT_OPEN, 0);
    bench.say(0, PORT_OPEN, 1);
    settle(&mut ports);
    assert_eq!(bench.heard(0), HELLO);
    // And one after the other.
    bench.say(0, PORT_OPEN, 0);
    settle(&mut ports);
    assert_eq!(bench.heard(0), b"");
    bench.say(0, PORT_OPEN, 1);
    settle(&mut ports);
    assert_eq!(bench.heard(0), HELLO);
}

#[test]
fn the_only_port_of_a_device_is_open() {
    let bench = Setup::SINGLE.build();
    let mut ports = Ports::new(bench.device.transport(), bench.hal.clone()).unwrap();
    listed(&mut ports);
    assert_eq!(bench.heard(0), b"hello from none, on port 0 \n");
    bench.send(0, b"again");
    settle(&mut ports);
    assert_eq!(bench.heard(0), b"again");
}

#[test]
fn a_port_that_is_replaced_is_opened_anew() {
    let (bench, mut ports) = bench();
    listed(&mut ports);
    bench.heard(0);
    bench.told();
    bench.say(0, DEVICE_REMOVE, 0);
    bench.plug(0);
    settle(&mut ports);
    assert!(bench.told().contains(&(0, PORT_OPEN, 1)));
    assert_eq!(bench.heard(0), b"hello from none, on port 0 \n");
}

#[test]
fn ports_come_and_go() {
    let (bench, mut ports) = bench();
    listed(&mut ports);
    bench.say(0, DEVICE_REMOVE, 0);
    bench.say(2, DEVICE_ADD, 0);
    bench.say(2, CONSOLE_PORT, 1);
    bench.say(2, PORT_OPEN, 1);
    settle(&mut ports);
    assert_eq!(bench.heard(2), b"hello from none, on port 2 \n");
    bench.send(2, b"still here");
    settle(&mut ports);
    assert_eq!(bench.heard(2), b"still here");
    assert!(!listed(&mut ports).contains("org.example.first"));
}

#[test]
fn a_device_that_asks_to_be_reset_is_brought_up_again() {
    let (bench, mut ports) = bench();
    listed(&mut ports);
    bench.device.needs_reset();
    let mut ports = ports.attend().unwrap();
    settle(&mut ports);
    assert_eq!(ports.count(), 0, "it has not said anything yet");
    bench.heard(0);
    bench.plug(0);
    settle(&mut ports);
    assert_eq!(bench.heard(0), b"hello from none, on port 0 \n", "it is still looked after");
}
