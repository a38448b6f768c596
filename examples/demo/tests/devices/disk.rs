//! What the command `blk` writes, and where, and what it says of a disk that does not do what it says.

use crate::blk_bench::{Bench, Seen, Setup, kind, ranges_of};
use crate::{finish, plain};
use demo::disk::Drive;
use demo::scratch::{BLOCK_LEN, pattern};
use virtio::Features;
use virtio::blk::abi::{F_BLK_SIZE, F_DISCARD, F_FLUSH, F_RO};
use virtio::queue::Bell;
use virtio_testkit::{FakeTransport, Reply, TestHal};

const SECTORS: u64 = 1024;
/// The last block, and the one before.
const WRITTEN: usize = 1016 * 512;
const DISCARDED: usize = 1008 * 512;

fn bench(hal: &TestHal, features: Features, legacy: bool) -> Bench {
    let setup = Setup { sectors: SECTORS, legacy, ..Setup::offering(F_BLK_SIZE | F_FLUSH | features) };
    let bench = setup.with(36, 4, 1000).with(40, 4, 1).with(44, 4, 1).build(hal);
    let mut table = [0; 512];
    // A partition that is no volume: it ends where the second last block begins.
    (table[0x1be + 4], table[0x1be + 8]) = (0x83, 8);
    table[0x1be + 12..][..4].copy_from_slice(&1000_u32.to_le_bytes());
    table[510..].copy_from_slice(&[0x55, 0xaa]);
    bench.model().store[..512].copy_from_slice(&table);
    bench
}

fn drive(bench: &Bench) -> Drive<FakeTransport, TestHal> {
    Drive::new(bench.device.transport(), bench.hal.clone()).unwrap()
}

/// What it says, and the drive again.
fn show(drive: Drive<FakeTransport, TestHal>, awaited: bool) -> (String, Drive<FakeTransport, TestHal>) {
    let (bell, mut text) = (Bell::new(), String::new());
    let (drive, said) = finish(drive.awaited(awaited).show(&mut text, Some(&bell)));
    said.unwrap();
    (plain(&text), drive.unwrap())
}

fn line<'a>(text: &'a str, label: &str) -> &'a str {
    text.lines().find_map(|line| line.trim_start().strip_prefix(label)).unwrap_or_default().trim()
}

#[test]
fn two_blocks_at_the_end_are_written_and_one_is_discarded() {
    for (awaited, legacy) in [(false, false), (true, false), (false, true), (true, true)] {
        let hal = TestHal::new();
        let bench = bench(&hal, F_DISCARD, legacy);
        let before = bench.model().store.clone();
        let (text, drive) = show(drive(&bench), awaited);
        assert_eq!(line(&text, "disk"), "a disk made of Rust, 0 MiB: 1024 sectors of 512 bytes");
        assert_eq!(line(&text, "written"), "sectors 1016 to 1023, and read back the same");
        assert_eq!(line(&text, "discarded"), "sectors 1008 to 1015, which reads as zeros");
        assert!(line(&text, "requests").starts_with(if awaited { "awaited" } else { "polled" }), "{text}");
        let mut wanted = [0; BLOCK_LEN];
        pattern(&mut wanted, 1016);
        let model = bench.model();
        assert_eq!(model.store[WRITTEN..], wanted);
        assert_eq!(model.store[DISCARDED..WRITTEN], [0; BLOCK_LEN]);
        assert_eq!(model.store[..DISCARDED], before[..DISCARDED], "the rest is as it was");
        let discards: Vec<_> = model.seen.iter().filter(|seen| seen.kind == kind::DISCARD).collect();
        assert_eq!(discards.len(), 1);
        assert_eq!(ranges_of(&discards[0].data), [(1008, 8, 0)]);
        let is_flush = |seen: &&Seen| seen.kind == kind::FLUSH;
        assert_eq!(
            model.seen.iter().filter(is_flush).count(),
            2,
            "each block is flushed before it is read back"
        );
        drop(discards);
        drop((model, drive));
        drop(bench);
        hal.finish();
    }
}

#[test]
fn nothing_is_written_where_no_table_says_what_is_free() {
    let hal = TestHal::new();
    let bench = bench(&hal, F_DISCARD, false);
    bench.model().store[511] = 0;
    let (text, _drive) = show(drive(&bench), true);
    assert!(line(&text, "written").starts_with("nothing: "), "{text}");
    assert!(line(&text, "files").starts_with("none: "), "{text}");
    assert!(bench.model().seen.iter().all(|seen| ![kind::OUT, kind::DISCARD].contains(&seen.kind)));
}

#[test]
fn nothing_is_written_to_a_disk_that_is_read_only() {
    let hal = TestHal::new();
    let bench = bench(&hal, F_RO, false);
    let (text, _drive) = show(drive(&bench), false);
    assert_eq!(line(&text, "written"), "nothing: the disk is read only");
    assert!(bench.model().seen.iter().all(|seen| seen.kind != kind::OUT));
}

#[test]
fn a_disk_that_forgets_what_it_was_given_is_found_out() {
    for awaited in [false, true] {
        let hal = TestHal::new();
        let bench = bench(&hal, F_DISCARD, false);
        let drive = drive(&bench);
        // Asked about its volume, asked for its table, then the first block.
        let forget = |skip| {
            bench.trick(skip, |seen, _| {
                assert_eq!(seen.kind, kind::OUT);
                Reply::Write(vec![0])
            })
        };
        forget(2);
        let (text, drive) = show(drive, awaited);
        assert_eq!(line(&text, "written"), "sector 1016 reads as something else", "{text}");
        // The next time all is well.
        let (text, _drive) = show(drive, awaited);
        assert!(line(&text, "written").ends_with("read back the same"), "{text}");
    }
}

#[test]
fn an_error_is_an_answer_and_the_disk_goes_on() {
    for awaited in [false, true] {
        let hal = TestHal::new();
        let bench = bench(&hal, F_DISCARD, false);
        let drive = drive(&bench);
        bench.status(2, 1);
        let (text, drive) = show(drive, awaited);
        let said = line(&text, "written");
        assert!(!said.is_empty() && !said.contains("read back"), "{text}");
        let (text, _drive) = show(drive, awaited);
        assert!(line(&text, "written").ends_with("read back the same"), "{text}");
    }
}
