//! Packets between a kernel and a process of the host: what one costs the guest, and how many there are in a second.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::Path;

use crate::build;
use crate::chart::{self, Chart, OURS, PART, Side, THEIRS};
use crate::peer::Peer;
use crate::places;
use crate::qemu::{Bus, Machine, Meter};
use crate::samples::{Sample, Samples};
use crate::{Fault, say, stamp};

/// Who is compared with.
const INCUMBENT: &str = "virtio-drivers";
/// Ours, with what it negotiates if nobody asks for more.
const NET: &str = "virtio-net";
/// Ours, with receive buffers that are merged.
const MERGEABLE: &str = "virtio-net-mergeable";
/// All, in the order of the columns.
const ALL: [&str; 3] = [INCUMBENT, NET, MERGEABLE];

/// Frames in a row of a run whose instructions are counted.
const COUNTED: usize = 1024;
/// Frames in a row of a run that takes time.
const TIMED: usize = 8192;

/// Frames that the kernel has in flight; in a run that is looked at instruction by instruction, all there are.
const BATCH: usize = 32;

/// Rows, what they are, and the incumbent's that each is compared with.
const ROWS: [(&str, &str, &str); 8] = [
    ("send-64", "send 64 B, each waited for", "send-64"),
    ("transmit-64", "send 64 B, 32 in flight", "transmit-64"),
    ("copied-64", "send 64 B, 32 in flight, copied", "transmit-64"),
    ("receive-64", "receive 64 B", "receive-64"),
    ("send-1514", "send 1514 B, each waited for", "send-1514"),
    ("transmit-1514", "send 1514 B, 32 in flight", "transmit-1514"),
    ("copied-1514", "send 1514 B, 32 in flight, copied", "transmit-1514"),
    ("receive-1514", "receive 1514 B", "receive-1514"),
];

/// The card, on a wire to the peer.
fn devices(peer: &Peer, bus: Bus, meter: Meter) -> Vec<OsString> {
    // No boot ROM: there is no firmware to run it.
    let options = match (bus, meter) {
        (Bus::Pci, Meter::Time) => ",disable-legacy=on,romfile=",
        (Bus::Pci, Meter::Instructions) => ",disable-legacy=on,romfile=,ioeventfd=off",
        (Bus::Mmio, _) => "",
    };
    let device = format!("virtio-net-{},netdev=wire{options}", bus.suffix());
    vec!["-netdev".into(), peer.netdev("wire"), "-device".into(), device.into()]
}

fn run(
    samples: &mut Samples,
    kernel: &Path,
    (bus, meter, who): (Bus, Meter, &'static str),
    count: usize,
) -> Result<(), Fault> {
    let peer = Peer::start()?;
    let words = ["net", who, bus.word(), meter.word(), &count.to_string()].map(str::to_owned).to_vec();
    let lines = Machine { kernel, meter, words, devices: devices(&peer, bus, meter) }.run()?;
    peer.finish()?;
    samples.take(&lines, bus, meter, who)
}

/// Shows where the instructions of a row are. Of received frames, it is the last batch's.
///
/// # Errors
/// The kernel is not built, or fails.
pub fn places(folder: &Path, who: &str, row: &str) -> Result<(), Fault> {
    let kernel = build::bench_kernel(folder)?;
    let loader = places::loader(&kernel)?;
    let (peer, meter) = (Peer::start()?, Meter::Instructions);
    let words = ["net", who, "mmio", meter.word(), &BATCH.to_string(), row].map(str::to_owned).to_vec();
    let machine = Machine { kernel: &kernel, meter, words, devices: devices(&peer, Bus::Mmio, meter) };
    say(&machine.trace(&loader)?.text(&loader, BATCH as f64)?);
    peer.finish()
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
            run(&mut samples, &kernel, (bus, Meter::Instructions, who), COUNTED)?;
        }
    }
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        // Who begins changes from round to round.
        let mut sides = ALL;
        sides.rotate_left(round % ALL.len());
        for who in sides {
            run(&mut samples, &kernel, (Bus::Pci, Meter::Time, who), TIMED)?;
        }
    }
    let text = text(&samples);
    let (tsv, png) = (folder.join("net.tsv"), folder.join("net.png"));
    std::fs::write(&tsv, samples.tsv())?;
    picture(&samples, &png)?;
    say(&format!("{text}\n{rounds} rounds; {}\n{}\n{}", stamp("net"), tsv.display(), png.display()));
    Ok(())
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("none".into(), |value| format!("{value:.digits$}"))
}

fn table(out: &mut String, title: &str, cell: impl Fn(&'static str, &str, &str) -> String) {
    let _ = write!(out, "\n{title}\n{:34}", "");
    for who in ALL {
        let _ = write!(out, "  {who:>24}");
    }
    out.push('\n');
    for (row, name, its) in ROWS {
        let _ = write!(out, "{name:34}");
        for who in ALL {
            let _ = write!(out, "  {:>24}", cell(who, row, its));
        }
        out.push('\n');
    }
}

fn text(samples: &Samples) -> String {
    let mut out = String::new();
    for bus in [Bus::Mmio, Bus::Pci] {
        let title =
            format!("guest instructions per packet, {} (kicks per packet; of the incumbent's)", bus.word());
        table(&mut out, &title, |who, row, its| {
            let each = |who, row| samples.median((bus, Meter::Instructions, who, row), Sample::each);
            let kicks =
                samples.median((bus, Meter::Instructions, who, row), |sample| sample.kicks / sample.count);
            let ratio = each(who, row).zip(each(INCUMBENT, its)).map(|(one, base)| one / base);
            match (each(who, row), ratio) {
                (None, _) | (_, None) => "none".into(),
                (value, _) if who == INCUMBENT => format!("{} ({})", number(value, 1), number(kicks, 3)),
                (value, ratio) => {
                    format!("{} ({}; {}x)", number(value, 1), number(kicks, 3), number(ratio, 2))
                }
            }
        });
    }
    let title = "packets per second, pci (medians; times the incumbent's, median of the ratios)";
    table(&mut out, title, |who, row, its| {
        let rate = samples.median((Bus::Pci, Meter::Time, who, row), Sample::rate);
        let ratio = samples.rates(Bus::Pci, (who, row), (INCUMBENT, its));
        match (rate, ratio) {
            (None, _) => "none".into(),
            (rate, Some(ratio)) if who != INCUMBENT => format!("{} ({ratio:.2}x)", number(rate, 0)),
            (rate, _) => number(rate, 0),
        }
    });
    out.push_str(
        "\nThe wire is a datagram socket to a process of the host. QEMU offers no checksum or segmentation offload there: such a\n\
         backend has no header for it, so what offloads save cannot be measured on it. Mergeable buffers it does offer.\n\
         All receive buffers are of 2048 bytes, so that a frame takes one, merged or not.\n",
    );
    out
}

fn picture(samples: &Samples, file: &Path) -> Result<(), Fault> {
    let sides = [
        Side { name: INCUMBENT, colour: THEIRS },
        Side { name: NET, colour: OURS },
        Side { name: MERGEABLE, colour: PART },
    ];
    let of = |bus, meter, value: fn(&Sample) -> f64| {
        ROWS.map(|(row, ..)| ALL.map(|who| samples.median((bus, meter, who, row), value)).to_vec()).to_vec()
    };
    let groups: Vec<_> = ROWS.iter().map(|(_, name, _)| (*name).to_owned()).collect();
    let charts = [
        Chart {
            unit: "guest instructions per packet, mmio",
            groups: groups.clone(),
            values: of(Bus::Mmio, Meter::Instructions, Sample::each),
        },
        Chart {
            unit: "thousand packets per second, pci",
            groups,
            values: of(Bus::Pci, Meter::Time, |sample| sample.rate() / 1000.0),
        },
    ];
    chart::draw("What a packet costs the guest, and how many there are in a second", &sides, &charts, file)
}
