//! `cargo xtask stack`: how much stack core's functions take in a debug build, as the compiler says.

use std::collections::BTreeMap;

use crate::exec::{self, BUILD_LIMIT, DOWNLOAD_LIMIT};
use crate::failure::{Context, Result, fail};
use crate::report::Report;
use crate::{nightly, symbols, workspace};

/// The largest frame, in bytes: a kernel's stack has a few pages, and is shared with everything above and below.
const LIMIT: u64 = 1024;
/// How many of the largest are printed; all that are above the limit, in any case.
const SHOWN: usize = 10;

/// Runs it and prints the closing line.
pub fn verb() -> Result {
    let mut report = Report::default();
    run(&mut report);
    report.close()
}

/// Measures, prints the largest frames, and counts.
pub fn run(report: &mut Report) {
    if report.value("nightly, which tells the sizes of frames", nightly::ensure).is_none() {
        return;
    }
    report.check(&format!("no frame of virtio-core above {LIMIT} bytes in a debug build"), || {
        let program = build()?;
        let frames = frames(&program)?;
        for (name, bytes) in frames.iter().take(SHOWN.max(above(&frames))) {
            println!("        {bytes:5} {name}");
        }
        judge(&frames)
    });
}

/// Builds conformance/frames, runs it, and returns the program.
fn build() -> Result<Vec<u8>> {
    let folder = workspace::root().join("conformance/frames");
    let target = workspace::target().join("frames");
    let prepare = |verb: &str| {
        let mut cargo = nightly::cargo(&[verb, "--locked"]);
        cargo.current_dir(&folder).env("CARGO_TARGET_DIR", &target);
        // The names of generic functions are whole only in this form.
        cargo.env("RUSTFLAGS", "-Zemit-stack-sizes -Csymbol-mangling-version=v0");
        cargo.env_remove("CARGO_ENCODED_RUSTFLAGS");
        cargo
    };
    let label = "fetching what conformance/frames depends on";
    exec::run(&mut prepare("fetch"), label, DOWNLOAD_LIMIT)?.success(label)?;
    let label = "conformance/frames";
    // It runs, too: what is measured is what works.
    exec::run(&mut prepare("run"), label, BUILD_LIMIT)?.success(label)?;
    let program = target.join("debug/frames");
    std::fs::read(&program).context(program.display())
}

/// The functions of core, or made from its types, and the size of their frames, largest first.
fn frames(program: &[u8]) -> Result<Vec<(String, u64)>> {
    let names: BTreeMap<u64, &str> = symbols::functions(program)?.into_iter().collect();
    let sizes = sizes(symbols::section(program, ".stack_sizes")?).context(".stack_sizes is damaged")?;
    let named = sizes.into_iter().filter_map(|(address, bytes)| {
        let name = format!("{:#}", rustc_demangle::demangle(names.get(&address)?));
        is_core(&name).then_some((name, bytes))
    });
    let mut frames: Vec<_> = named.collect();
    frames.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
    Ok(frames)
}

/// Whether a function is core's own, or made by the compiler from core's types: a drop, a closure. Not the program's.
fn is_core(name: &str) -> bool {
    let start = name.trim_start_matches(['<', '&']);
    name.contains("virtio_core::") && !start.starts_with("frames::") && !start.starts_with("virtio_testkit::")
}

fn judge(frames: &[(String, u64)]) -> Result {
    // So that no renamed crate and no new format of names makes this pass with nothing in hand.
    for part in ["virtio_core::queue::", "virtio_core::device::", "virtio_core::dma::"] {
        if !frames.iter().any(|(name, _)| name.contains(part)) {
            fail!("{} frames, and none of {part}", frames.len());
        }
    }
    match (above(frames), frames.first()) {
        (above @ 1.., Some((name, bytes))) => fail!("{above} frames are larger, up to {bytes}: {name}"),
        _ => Ok(()),
    }
}

/// How many frames are above the limit; the largest come first.
fn above(frames: &[(String, u64)]) -> usize {
    frames.iter().take_while(|(_, bytes)| *bytes > LIMIT).count()
}

/// The entries of `.stack_sizes`: an address of eight bytes and a size in LEB128. `None` if it ends in the middle of one.
fn sizes(mut section: &[u8]) -> Option<Vec<(u64, u64)>> {
    let mut sizes = Vec::new();
    while let Some((address, rest)) = section.split_first_chunk() {
        let end = rest.iter().position(|byte| byte & 0x80 == 0)?;
        let (number, rest) = rest.split_at_checked(end.checked_add(1)?)?;
        let add = |sum: u64, byte: &u8| Some(sum.checked_mul(1 << 7)? | u64::from(byte & 0x7f));
        sizes.push((u64::from_le_bytes(*address), number.iter().rev().try_fold(0, add)?));
        section = rest;
    }
    section.is_empty().then_some(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_leb128_behind_an_address() {
        let mut section = 0x1000_u64.to_le_bytes().to_vec();
        section.push(8);
        section.extend(0x2000_u64.to_le_bytes());
        section.extend([0xe5, 0x8e, 0x26]);
        assert_eq!(sizes(&section).unwrap(), [(0x1000, 8), (0x2000, 624_485)]);
        assert_eq!(sizes(&[]).unwrap(), []);
        for cut in (1..section.len()).filter(|&cut| cut != 9) {
            assert_eq!(sizes(&section[..cut]), None, "{cut}");
        }
        let endless = [0xff; 40];
        assert_eq!(sizes(&endless), None);
    }

    #[test]
    fn functions_of_core_are_known_by_name() {
        for name in [
            "<virtio_core::queue::port::Port<()>>::add",
            "core::ptr::drop_glue::<virtio_core::device::Device<frames::Transport>>",
            "virtio_core::device::init::start::<frames::Hal>",
        ] {
            assert!(is_core(name), "{name}");
        }
        for name in [
            "frames::drive::<virtio_core::queue::Port<()>>",
            "<frames::Hal as virtio_core::hal::Hal>::share",
            "<virtio_testkit::hal::TestHal as virtio_core::hal::Hal>::share",
            "core::fmt::write",
        ] {
            assert!(!is_core(name), "{name}");
        }
    }

    #[test]
    fn one_frame_above_the_limit_is_too_many() {
        let frames = |largest: u64| {
            let parts = [("queue", largest), ("device", LIMIT), ("dma", 8)];
            parts.map(|(part, bytes)| (format!("virtio_core::{part}::f"), bytes))
        };
        judge(&frames(LIMIT)).unwrap();
        let said = judge(&frames(LIMIT + 1)).unwrap_err().to_string();
        assert!(said.contains("1025") && said.contains("queue::f"), "{said}");
    }

    #[test]
    fn no_frames_are_no_proof() {
        assert!(judge(&[]).is_err());
        assert!(judge(&[("virtio_core::queue::f".to_owned(), 8)]).is_err());
    }
}
