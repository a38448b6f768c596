//! The end of a device, with requests in flight: its memory comes back when the back-end has let go of it, and not earlier
//! (VIRTIO 1.4 §2.4).

use std::process::Command;
use std::time::{Duration, Instant};

use vhost_user_frontend::{Bouncing, Kind, VhostUser};
use virtio_core::dma::{Both, Dma, Writable};
use virtio_core::queue::Request;
use virtio_core::{Error, Features, Incompatible, Misbehaved, Status, Transport};

use crate::case::{Case, SOON, Up, bring_up, down, eventually, spec};
use crate::raw::{IN, Read, header};

/// How long the slow disk takes.
const LATENCY: Duration = Duration::from_millis(400);

#[test]
fn a_device_comes_up_again_and_again() {
    let case = Case::file(|disk| disk);
    let mut transport = case.connect();
    for lap in 0..4 {
        let mut live = bring_up(transport, case.hal(), &[spec::<Read>(0)]).unwrap();
        let (mut data, mut status) = ([0; 512], [9]);
        assert_eq!(live.call(0, &[&header(IN, lap)], &mut [&mut data, &mut status], SOON), Ok(513));
        transport = down(live);
        case.is_clean();
    }
    // One connection at a time is all that QEMU serves.
    drop(transport);
    down(case.up::<Read>());
    case.is_clean();
}

#[test]
fn a_reset_of_a_device_that_knows_of_nothing_is_immediate() {
    let case = Case::file(|disk| disk);
    let mut transport = case.connect();
    for status in [Status::empty(), Status::ACKNOWLEDGE, Status::empty()] {
        transport.set_status(status);
        assert_eq!(transport.status(), status);
    }
    assert_ne!(transport.device_features(0), 0);
    // Features that are vhost-user's own are none of the device's.
    assert_eq!(transport.device_features(0) & (1 << 30 | 1 << 26), 0);
    assert_eq!([2, 3, u32::MAX].map(|window| transport.device_features(window)), [0; 3]);
}

type Page = Dma<[u8], Bouncing, Both>;

/// Sends a read, and comes back when the disk is at it: its zeros are there, and its answer is not.
fn begin(case: &Case, live: &mut Up<Bouncing>) {
    let mut page: Page = Dma::zeroed_slice(case.hal(), 4096).unwrap();
    page.as_mut_slice().fill(0x55);
    let place = &raw const page.as_slice()[4095];
    let mut port = live.port::<Writable<Page>>(0).unwrap();
    let sent = port.submit(Request::new(Writable(page)).header(&header(IN, 0)).response(1));
    sent.map_err(|rejected| rejected.error).unwrap();
    // SAFETY: the page is alive, in the queue; the device writes it meanwhile, which is what this looks for.
    assert!(eventually(|| unsafe { place.read_volatile() } == 0), "the disk has not begun");
    assert!(port.poll().unwrap().is_none(), "it is not done either");
}

#[test]
fn memory_comes_back_when_requests_in_flight_have_ended_and_not_earlier() {
    let case = Case::slow(LATENCY);
    let mut live = case.up::<Writable<Page>>();
    let sent = Instant::now();
    begin(&case, &mut live);
    assert!(sent.elapsed() < LATENCY, "the machine is too slow for this test");
    // The answer of a ring that is stopped comes at once; the end of the request does not.
    let transport = down(live);
    assert!(sent.elapsed() >= LATENCY, "the device read as reset while it was at work");
    case.is_clean();
    std::thread::sleep(2 * LATENCY);
    case.is_clean();
    drop(transport);
}

#[test]
fn a_back_end_that_dies_gives_everything_back() {
    let mut case = Case::slow(Duration::from_secs(60));
    let mut live = case.up::<Read>();
    let mut port = live.port::<Read>(0).unwrap();
    port.submit(Request::new(Writable(vec![0; 512])).header(&header(IN, 0)).response(1)).unwrap();
    assert!(!port.needs_reset());
    case.daemon.kill();
    assert!(eventually(|| live.port::<Read>(0).unwrap().needs_reset()));
    let transport = down(live);
    case.is_clean();
    // Nobody is there to talk to, which is told as what it comes to: a device that offers nothing.
    let missing = Incompatible::MissingFeatures(Features::VERSION_1);
    let again = bring_up(transport, case.hal(), &[spec::<Read>(0)]).unwrap_err();
    assert_eq!(again, Error::Incompatible(missing));
}

#[test]
fn a_device_that_does_not_let_go_is_a_time_out_and_its_memory_is_leaked() {
    let case = Case::slow(Duration::from_secs(60));
    let mut live = case.up::<Writable<Page>>();
    begin(&case, &mut live);
    let out = case.memory.out();
    let stuck = live.dismantle().unwrap_err();
    assert!(matches!(stuck.error, Error::Misbehaved(Misbehaved::Timeout(_))), "{}", stuck.error);
    assert!(!stuck.transport.expect("it comes back").status().is_empty());
    assert_eq!(case.memory.out(), out, "no page has gone back");
}

/// QEMU serves one connection at a time, and lets the next one wait.
#[test]
fn a_back_end_that_does_not_answer_is_an_error_and_no_wait_for_ever() {
    let case = Case::file(|disk| disk);
    let live = case.up::<Read>();
    let begin = Instant::now();
    let refused = VhostUser::connect(&case.daemon.socket("disk"), Kind::BLOCK, case.memory).unwrap_err();
    assert!(refused.to_string().contains("GET_FEATURES"), "{refused}");
    assert!(begin.elapsed() < SOON);
    down(live);
    down(case.up::<Read>());
    case.is_clean();
}

/// One that hangs is not one that has hung up: what it may still write to is not given back.
#[test]
fn a_back_end_that_hangs_is_a_time_out_and_its_memory_is_leaked() {
    let case = Case::file(|disk| disk);
    let live = case.up::<Read>();
    let out = case.memory.out();
    let process = case.daemon.process().to_string();
    let signal =
        |name: &str| assert!(Command::new("kill").args([name, process.as_str()]).status().unwrap().success());
    signal("-STOP");
    let stuck = live.dismantle().unwrap_err();
    signal("-CONT");
    assert!(matches!(stuck.error, Error::Misbehaved(Misbehaved::Timeout(_))), "{}", stuck.error);
    assert_eq!(case.memory.out(), out, "no page has gone back");
    // Its transport is of no use any more; the device is, once more over another one.
    assert!(!stuck.transport.unwrap().status().is_empty());
    let live = case.up::<Read>();
    down(live);
    assert_eq!((case.memory.out(), case.memory.faults()), (out, vec![]));
}
