//! Packets to and from a peer on the host, by either side.
//!
//! The peer (`benches/src/bin/guest/peer.rs`) counts what it gets. A frame of its own kind asks it for so many frames of a
//! length, or how many it has got.

pub mod ours;
pub mod theirs;

use core::fmt;

use crate::host::say;
use crate::{Name, Work, memory, meter, ring};

/// The queue of received frames (VIRTIO 1.4 §5.1.2).
pub const RECEIVE: u16 = 0;
/// The queue of frames to send.
pub const TRANSMIT: u16 = 1;
/// Descriptors of each queue.
pub const SIZE: u16 = 64;
/// Frames in flight, or fetched at a time.
pub const BATCH: usize = 32;
/// Bytes of a receive buffer; there are as many as descriptors.
pub const ROOM: usize = 2048;

/// Bytes of an Ethernet header.
const HEADER: usize = 14;
/// The ethertype for local experiments (IEEE 802).
const EXPERIMENT: [u8; 2] = [0x88, 0xb5];
/// A shortest frame, and a longest.
const LENGTHS: [usize; 2] = [64, 1514];

/// What the peer is to do.
#[derive(Clone, Copy)]
enum Ask {
    /// Send so many frames of so many bytes.
    Send(u32, u16),
    /// Say how many frames have come since it was last asked.
    Count,
}

/// The frame that asks it.
fn frame(ask: Ask) -> [u8; 64] {
    let mut frame = [0; 64];
    frame[..6].fill(0xff);
    frame[6] = 2;
    frame[12..HEADER].copy_from_slice(&EXPERIMENT);
    match ask {
        Ask::Send(count, len) => {
            frame[HEADER..18].copy_from_slice(b"send");
            frame[18..22].copy_from_slice(&count.to_le_bytes());
            frame[22..24].copy_from_slice(&len.to_le_bytes());
        }
        Ask::Count => frame[HEADER..19].copy_from_slice(b"count"),
    }
    frame
}

/// A network card and who drives it.
pub trait Card {
    /// Sends a frame and waits until the device has it.
    fn send(&mut self, frame: &[u8]);
    /// Sends `count` frames of `len` bytes, `depth` in flight.
    fn transmit(&mut self, len: usize, depth: usize, count: usize);
    /// The same, by copying each into memory of the driver's; `false` if it has no such thing.
    fn transmit_copied(&mut self, len: usize, depth: usize, count: usize) -> bool;
    /// Receives `count` frames, waiting for what is missing, and puts their buffers back. Each has to be `len` bytes long; `look`
    /// sees the bytes.
    fn receive(&mut self, len: usize, count: usize, look: impl FnMut(&[u8]));
}

fn count(card: &mut impl Card) -> u32 {
    card.send(&frame(Ask::Count));
    let mut answer = 0;
    card.receive(LENGTHS[0], 1, |frame| {
        answer = u32::from_le_bytes(frame[HEADER..18].try_into().expect("four bytes"));
    });
    answer
}

/// What is measured, and kicks meanwhile.
type Cost = (u64, u64);

/// Sends, and asks the peer whether all has come.
fn transmit(card: &mut impl Card, way: Way, len: usize, requests: usize) -> Option<Cost> {
    let kicks = ring::kicks();
    meter::start();
    match way {
        Way::Send => {
            let frame = memory::buffer(len);
            frame[..6].fill(0xff);
            ring::settle_after_kicks(meter::counting());
            for _ in 0..requests {
                card.send(frame);
            }
            ring::settle_after_kicks(false);
        }
        Way::Batch => card.transmit(len, BATCH, requests),
        Way::Copied => {
            if !card.transmit_copied(len, BATCH, requests) {
                return None;
            }
        }
    }
    let cost = (meter::stop(), ring::kicks() - kicks);
    assert_eq!(count(card), requests as u32, "frames have come");
    Some(cost)
}

/// Has frames sent, and takes them.
fn receive(card: &mut impl Card, len: usize, requests: usize) -> Cost {
    let (mut sum, mut kicks) = (0, 0);
    if meter::counting() {
        for _ in 0..requests / BATCH {
            let before = ring::used(RECEIVE);
            card.send(&frame(Ask::Send(BATCH as u32, len as u16)));
            ring::wait(RECEIVE, before, BATCH as u16);
            let kicked = ring::kicks();
            meter::start();
            card.receive(len, BATCH, |_| {});
            sum += meter::stop();
            kicks += ring::kicks() - kicked;
        }
    } else {
        card.send(&frame(Ask::Send(requests as u32, len as u16)));
        let kicked = ring::kicks();
        meter::start();
        card.receive(len, requests, |_| {});
        sum = meter::stop();
        kicks = ring::kicks() - kicked;
    }
    // The questions are forgotten.
    count(card);
    (sum, kicks)
}

/// How frames are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// One after the other, each waited for.
    Send,
    /// Many in flight.
    Batch,
    /// Many in flight, of copies.
    Copied,
}

/// A row.
enum Row {
    Transmit(Way, usize),
    Receive(usize),
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transmit(Way::Send, len) => write!(f, "send-{len}"),
            Self::Transmit(Way::Batch, len) => write!(f, "transmit-{len}"),
            Self::Transmit(Way::Copied, len) => write!(f, "copied-{len}"),
            Self::Receive(len) => write!(f, "receive-{len}"),
        }
    }
}

/// Everything, a line for each row; or the one of this name.
pub fn measure(card: &mut impl Card, Work { count: requests, only }: Work<'_>) {
    let requests = requests.next_multiple_of(BATCH);
    count(card);
    let rows = |len| {
        let sent = [Way::Send, Way::Batch, Way::Copied].map(|way| Row::Transmit(way, len));
        sent.into_iter().chain([Row::Receive(len)])
    };
    for row in LENGTHS.into_iter().flat_map(rows) {
        if !only.is_empty() && !Name(only).is(format_args!("{row}")) {
            continue;
        }
        let run = |card: &mut _, requests| match row {
            Row::Transmit(way, len) => transmit(card, way, len, requests),
            Row::Receive(len) => Some(receive(card, len, requests)),
        };
        // Once to be warm.
        if run(card, BATCH).is_none() {
            continue;
        }
        let Some((value, kicks)) = run(card, requests) else { continue };
        let depth = if matches!(row, Row::Transmit(Way::Send, _)) { 1 } else { BATCH };
        say!("row {row} {depth} {requests} {value} {kicks}");
    }
}
