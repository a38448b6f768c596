//! Reads of a disk that is all zeros (QEMU's `null-co`): what a request costs the guest, and how many there are in a second.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;

use crate::build;
use crate::chart::{self, Chart, OURS, PART, Side, THEIRS};
use crate::places;
use crate::qemu::{Bus, Machine, Meter};
use crate::samples::{Sample, Samples};
use crate::{Fault, say, stamp};

/// Who is compared with.
const INCUMBENT: &str = "virtio-drivers";
/// Core alone, driving the disk by hand: what of the cost is whose.
const CORE: &str = "virtio-core";
/// Ours.
const BLK: &str = "virtio-blk";
/// All, in the order of the columns.
const ALL: [&str; 3] = [INCUMBENT, CORE, BLK];

/// Requests of 4 KiB in a row of a run whose instructions are counted: each is like the others.
const COUNTED: usize = 256;
/// Requests of 4 KiB in a row of a run that takes time.
const TIMED: usize = 8192;

/// Requests in a run that is looked at instruction by instruction; a multiple of each depth.
const TRACED: usize = 96;

/// Rows, and the incumbent's that each is compared with.
const ROWS: [(&str, &str, &str); 8] = [
    ("4K-blocking-1", "4K-blocking-1", "4 KiB, blocking"),
    ("4K-queued-1", "4K-queued-1", "4 KiB, queued"),
    ("4K-awaited-1", "4K-queued-1", "4 KiB, awaited"),
    ("4K-queued-8", "4K-queued-8", "4 KiB, queued, 8 deep"),
    ("4K-awaited-8", "4K-queued-8", "4 KiB, awaited, 8 deep"),
    ("4K-queued-32", "4K-queued-32", "4 KiB, queued, 32 deep"),
    ("4K-awaited-32", "4K-queued-32", "4 KiB, awaited, 32 deep"),
    ("1M-blocking-1", "1M-blocking-1", "1 MiB, blocking"),
];

/// Ours may take this share of the incumbent's instructions, one request in flight.
const INSTRUCTIONS: f64 = 0.7;
/// Ours is to read this many times as often, 32 requests in flight.
const RATE: f64 = 2.0;

/// The disk, and what drives the device's side of it.
fn devices(bus: Bus, meter: Meter) -> Vec<OsString> {
    let mut disk = "driver=null-co,node-name=disk,size=1073741824,read-zeroes=on".to_owned();
    if meter == Meter::Instructions {
        // Two milliseconds until a request is done: nothing is done while others are still being added, or the task that has
        // added it is still on its way to sleep.
        disk.push_str(",latency-ns=2000000");
    }
    let device = format!("virtio-blk-{}", bus.suffix());
    let (thread, options) = match (bus, meter) {
        // Without KVM, only PCI has doorbells that another thread answers. A counting run does without: each kick is
        // answered in the CPU's own thread, so that it is the same every time.
        (Bus::Pci, Meter::Time) => (true, ",disable-legacy=on,iothread=disk-thread"),
        (Bus::Pci, Meter::Instructions) => (false, ",disable-legacy=on,ioeventfd=off"),
        (Bus::Mmio, _) => (false, ""),
    };
    let thread = if thread { &["-object", "iothread,id=disk-thread"][..] } else { &[] };
    let rest =
        ["-blockdev".into(), disk.into(), "-device".into(), format!("{device},drive=disk{options}").into()];
    thread.iter().map(OsString::from).chain(rest).collect()
}

fn run(
    samples: &mut Samples,
    kernel: &Path,
    (bus, meter, who): (Bus, Meter, &'static str),
    count: usize,
) -> Result<(), Fault> {
    let words = ["disk", who, bus.word(), meter.word(), &count.to_string()].map(str::to_owned).to_vec();
    let machine = Machine { kernel, meter, words, devices: devices(bus, meter) };
    samples.take(&machine.run()?, bus, meter, who)
}

/// Measures, shows, and writes it all below `folder`.
///
/// # Errors
/// The kernel is not built, or fails.
pub fn measure(folder: &Path, rounds: usize) -> Result<(), Fault> {
    let kernel = build::bench_kernel(folder)?;
    let mut samples = Samples::default();
    for bus in [Bus::Mmio, Bus::Pci] {
        for who in ALL {
            // Twice: that both are alike is part of what is shown.
            for _ in 0..2 {
                run(&mut samples, &kernel, (bus, Meter::Instructions, who), COUNTED)?;
            }
        }
    }
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for bus in [Bus::Mmio, Bus::Pci] {
            // Who begins changes from round to round.
            let mut sides = [INCUMBENT, BLK];
            sides.rotate_left(round % 2);
            for who in sides {
                run(&mut samples, &kernel, (bus, Meter::Time, who), TIMED)?;
            }
        }
    }
    let text = text(&samples);
    let (tsv, png) = (folder.join("blk.tsv"), folder.join("blk.png"));
    std::fs::write(&tsv, samples.tsv())?;
    picture(&samples, &png)?;
    say(&format!("{text}\n{rounds} rounds; {}\n{}\n{}", stamp("blk"), tsv.display(), png.display()));
    Ok(())
}

/// Shows where the instructions of a row are.
///
/// # Errors
/// The kernel is not built, or fails.
pub fn places(folder: &Path, who: &str, row: &str) -> Result<(), Fault> {
    let kernel = build::bench_kernel(folder)?;
    let loader = places::loader(&kernel)?;
    let meter = Meter::Instructions;
    let words = ["disk", who, "mmio", meter.word(), &TRACED.to_string(), row].map(str::to_owned).to_vec();
    let machine = Machine { kernel: &kernel, meter, words, devices: devices(Bus::Mmio, meter) };
    say(&machine.trace(&loader)?.text(&loader, TRACED as f64)?);
    Ok(())
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("none".into(), |value| format!("{value:.digits$}"))
}

fn text(samples: &Samples) -> String {
    let mut out = String::new();
    for bus in [Bus::Mmio, Bus::Pci] {
        instructions(&mut out, samples, bus);
    }
    for bus in [Bus::Mmio, Bus::Pci] {
        rates(&mut out, samples, bus);
    }
    let _ = writeln!(
        out,
        "\n{INCUMBENT} 0.13 has 16 requests in flight at the most: its queue has 16 descriptors. It kicks once per request.\n\
         {CORE}: core alone, without {BLK}'s checks and limits."
    );
    verdict(&mut out, samples);
    out
}

fn instructions(out: &mut String, samples: &Samples, bus: Bus) {
    let _ = writeln!(
        out,
        "\nguest instructions per request, {} (kicks per request; of the incumbent's)",
        bus.word()
    );
    let _ = write!(out, "{:26}", "");
    for who in ALL {
        let _ = write!(out, "  {who:>22}");
    }
    out.push('\n');
    for (row, its, name) in ROWS {
        let _ = write!(out, "{name:26}");
        let base = samples.median((bus, Meter::Instructions, INCUMBENT, its), Sample::each);
        for who in ALL {
            let value = samples.median((bus, Meter::Instructions, who, row), Sample::each);
            let kicks =
                samples.median((bus, Meter::Instructions, who, row), |sample| sample.kicks / sample.count);
            let ratio = value.zip(base).map(|(value, base)| value / base);
            let text = match (value, ratio) {
                (Some(_), Some(_)) if who == INCUMBENT => {
                    format!("{} ({})", number(value, 1), number(kicks, 3))
                }
                (Some(_), Some(_)) => {
                    format!("{} ({}; {}x)", number(value, 1), number(kicks, 3), number(ratio, 2))
                }
                _ => "none".into(),
            };
            let _ = write!(out, "  {text:>22}");
        }
        out.push('\n');
    }
    let spread =
        ALL.iter().flat_map(|who| ROWS.map(|(row, ..)| samples.of(bus, Meter::Instructions, who, row)));
    let spread = spread.filter_map(|twice| match twice {
        [one, other] => Some((one.each() - other.each()).abs()),
        _ => None,
    });
    let _ = writeln!(out, "counted twice; the two differ by {:.3} at the most", spread.fold(0.0, f64::max));
}

fn rates(out: &mut String, samples: &Samples, bus: Bus) {
    let thread = match bus {
        Bus::Mmio => "the CPU's own thread",
        Bus::Pci => "a thread of its own",
    };
    let _ = writeln!(out, "\nrequests per second, {}, the device in {thread} (medians)", bus.word());
    let _ = writeln!(out, "{:26}  {INCUMBENT:>16}  {BLK:>16}  {:>24}", "", "median of the ratios");
    for (row, its, name) in ROWS {
        let rate = |who, row| samples.median((bus, Meter::Time, who, row), Sample::rate);
        let ratio = samples.rates(bus, (BLK, row), (INCUMBENT, its));
        let (theirs, ours) = (rate(INCUMBENT, its), rate(BLK, row));
        let _ = writeln!(
            out,
            "{name:26}  {:>16}  {:>16}  {:>24}",
            number(theirs, 0),
            number(ours, 0),
            number(ratio, 2)
        );
    }
}

/// The least of ours, and of the incumbent's, in instructions.
fn least(samples: &Samples, bus: Bus, who: &'static str, rows: &[&str]) -> Option<f64> {
    let each =
        rows.iter().filter_map(|row| samples.median((bus, Meter::Instructions, who, row), Sample::each));
    each.min_by(f64::total_cmp)
}

/// Whether a target is reached, in a word.
fn judge(reached: Option<bool>) -> &'static str {
    match reached {
        Some(true) => "reached",
        Some(false) => "MISSED",
        None => "NOT MEASURED",
    }
}

fn verdict(out: &mut String, samples: &Samples) {
    out.push('\n');
    for bus in [Bus::Mmio, Bus::Pci] {
        let ways = ["4K-blocking-1", "4K-queued-1", "4K-awaited-1"];
        let (ours, theirs) = (least(samples, bus, BLK, &ways), least(samples, bus, INCUMBENT, &ways));
        let ratio = ours.zip(theirs).map(|(ours, theirs)| ours / theirs);
        let _ = writeln!(
            out,
            "{}: depth 1, the best way of each: {} of its instructions, at most {INSTRUCTIONS}: {}",
            bus.word(),
            number(ratio, 2),
            judge(ratio.map(|ratio| ratio <= INSTRUCTIONS)),
        );
    }
    for bus in [Bus::Mmio, Bus::Pci] {
        let rate = |row| samples.rates(bus, (BLK, row), (INCUMBENT, "4K-queued-32"));
        let best = ["4K-queued-32", "4K-awaited-32"].into_iter().filter_map(rate).max_by(f64::total_cmp);
        let _ = writeln!(
            out,
            "{}: depth 32: {} times its rate, at least {RATE}: {}",
            bus.word(),
            number(best, 2),
            judge(best.map(|best| best >= RATE)),
        );
    }
}

fn picture(samples: &Samples, file: &Path) -> Result<(), Fault> {
    let sides = [
        Side { name: INCUMBENT, colour: THEIRS },
        Side { name: CORE, colour: PART },
        Side { name: BLK, colour: OURS },
    ];
    let of = |bus, meter, value: fn(&Sample) -> f64| {
        let one = |row, its| {
            ALL.map(|who| samples.median((bus, meter, who, if who == INCUMBENT { its } else { row }), value))
        };
        ROWS.map(|(row, its, _)| one(row, its).to_vec()).to_vec()
    };
    let groups: Vec<_> = ROWS.iter().map(|(.., name)| (*name).to_owned()).collect();
    let charts = [
        Chart {
            unit: "guest instructions per request, mmio",
            groups: groups.clone(),
            values: of(Bus::Mmio, Meter::Instructions, Sample::each),
        },
        Chart {
            unit: "thousand requests per second, pci",
            groups,
            values: of(Bus::Pci, Meter::Time, |sample| sample.rate() / 1000.0),
        },
    ];
    chart::draw("What a read costs the guest, and how many there are in a second", &sides, &charts, file)
}
