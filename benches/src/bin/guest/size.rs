//! Kernels that read one block and do nothing else (`benches/size`): what they depend on, how long they take to build from
//! nothing, how large they are. Each is run, and has to say what is in the block.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::build;
use crate::qemu::{Machine, Meter};
use crate::samples::median;
use crate::{Fault, say, stamp};

/// Builds of each, in turns.
const BUILDS: usize = 3;
/// The block that the kernels read.
const BLOCK: &str = "block one of two";

/// A kernel.
struct Side {
    /// Its folder below `benches/size`.
    folder: &'static str,
    name: &'static str,
    title: &'static str,
    /// The packages of this family that it may depend on.
    family: &'static [&'static str],
}

const SIDES: [Side; 2] = [
    Side {
        folder: "ours",
        name: "size-ours",
        title: "virtio-blk",
        family: &["virtio-blk", "virtio-core", "virtio-mmio"],
    },
    Side {
        folder: "incumbent",
        name: "size-incumbent",
        title: "virtio-drivers",
        family: &["virtio-drivers"],
    },
];

impl Side {
    fn folder(&self) -> PathBuf {
        build::here().join("size").join(self.folder)
    }

    /// Everything it depends on, for the target or while it is built, without itself.
    fn packages(&self) -> Result<BTreeSet<String>, Fault> {
        let mut cargo = build::cargo(&self.folder());
        cargo.args(["tree", "--locked", "--target", build::TARGET, "--prefix", "none", "--format", "{p}"]);
        let output = cargo.output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        // One package may be there in two versions: they count as two.
        let names = names(&String::from_utf8(output.stdout)?);
        let family: Vec<_> = names
            .iter()
            .filter_map(|package| package.split(' ').next())
            .filter(|name| name.starts_with("virtio"))
            .collect();
        if family != self.family {
            return Err(format!(
                "{} is to depend on {:?}, and depends on {family:?}",
                self.name, self.family
            )
            .into());
        }
        Ok(names)
    }
}

/// `name version` of each line, each once; without the package at the root, which comes first.
fn names(tree: &str) -> BTreeSet<String> {
    let package = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    };
    tree.lines().skip(1).filter_map(package).collect()
}

/// Bytes of a kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Bytes {
    /// Code.
    text: u64,
    /// Constants.
    constants: u64,
    /// Initialised data.
    data: u64,
}

/// What the sections of an ELF file of 64 bits add up to; `None` if it is none.
fn bytes(file: &[u8]) -> Option<Bytes> {
    const WRITE: u64 = 1;
    const ALLOC: u64 = 2;
    const EXECUTE: u64 = 4;
    const NOT_IN_THE_FILE: u64 = 8;
    let number = |at: usize, len: usize| {
        let bytes = file.get(at..at.checked_add(len)?)?;
        Some(bytes.iter().rev().fold(0, |number: u64, byte| number << 8 | u64::from(*byte)))
    };
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, each, count) = (number(40, 8)? as usize, number(58, 2)? as usize, number(60, 2)? as usize);
    let mut sum = Bytes::default();
    for nth in 0..count {
        let at = table.checked_add(nth.checked_mul(each)?)?;
        let (kind, flags, size) = (number(at + 4, 4)?, number(at + 8, 8)?, number(at + 32, 8)?);
        if flags & ALLOC == 0 || kind == NOT_IN_THE_FILE {
            continue;
        }
        let part = match flags {
            _ if flags & EXECUTE != 0 => &mut sum.text,
            _ if flags & WRITE != 0 => &mut sum.data,
            _ => &mut sum.constants,
        };
        *part += size;
    }
    Some(sum)
}

/// Runs it beside a disk whose second block is known.
fn prove(kernel: &Path, scratch: &Path) -> Result<(), Fault> {
    let image = scratch.join("disk");
    let mut disk = vec![0; 1 << 20];
    disk[512..512 + BLOCK.len()].copy_from_slice(BLOCK.as_bytes());
    std::fs::write(&image, disk)?;
    let path = image.display().to_string().replace(',', ",,");
    let devices = [
        "-blockdev".into(),
        format!("driver=file,node-name=disk,read-only=on,filename={path}").into(),
        "-device".into(),
        "virtio-blk-device,drive=disk".into(),
    ];
    let lines = Machine { kernel, meter: Meter::Time, words: Vec::new(), devices: devices.into() }.run()?;
    match lines.first() {
        Some(line) if line == BLOCK => Ok(()),
        other => Err(format!("{} has read {other:?}", kernel.display()).into()),
    }
}

/// Measures, shows, and writes it all below `folder`.
///
/// # Errors
/// A kernel depends on what it should not, is not built, or does not read the block.
pub fn measure(folder: &Path) -> Result<(), Fault> {
    let scratch = folder.join("size");
    std::fs::create_dir_all(&scratch)?;
    let mut times = [const { Vec::<Duration>::new() }; SIDES.len()];
    let mut sizes = [Bytes::default(); SIDES.len()];
    for side in &SIDES {
        // Downloads are not part of it.
        let mut cargo = build::cargo(&side.folder());
        let output = cargo.args(["fetch", "--locked", "--target", build::TARGET]).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
    }
    for nth in 0..BUILDS {
        eprintln!("build {} of {BUILDS}", nth + 1);
        for (place, side) in SIDES.iter().enumerate() {
            let target = scratch.join("target");
            if target.exists() {
                std::fs::remove_dir_all(&target)?;
            }
            let (kernel, took) = build::kernel(&side.folder(), side.name, &target)?;
            times[place].push(took);
            if nth == 0 {
                sizes[place] = bytes(&std::fs::read(&kernel)?).ok_or("the kernel is no ELF file")?;
                prove(&kernel, &scratch)?;
            }
        }
    }
    let mut out = format!(
        "a kernel that reads one block over mmio, {} (opt-level s, one unit, fat lto, without a heap)\n\
         {:16}{:>10}{:>14}{:>10}{:>12}{:>8}\n",
        build::TARGET,
        "",
        "packages",
        "cold build, s",
        "text",
        "constants",
        "data"
    );
    let mut tsv = String::from("who\tpackages\tcold_build_s\ttext\tconstants\tdata\tnames\n");
    for ((side, times), Bytes { text, constants, data }) in SIDES.iter().zip(&times).zip(sizes) {
        let packages = side.packages()?;
        let seconds = median(times.iter().map(Duration::as_secs_f64)).ok_or("nothing was built")?;
        let count = packages.len();
        let _ =
            writeln!(out, "{:16}{count:>10}{seconds:>14.1}{text:>10}{constants:>12}{data:>8}", side.title);
        let names: Vec<_> = packages.into_iter().collect();
        let names = names.join(", ");
        let _ = writeln!(tsv, "{}\t{count}\t{seconds:.2}\t{text}\t{constants}\t{data}\t{names}", side.title);
    }
    out.push_str(
        "packages: all that is compiled, for the target and for the build, without the kernel itself\n",
    );
    let file = folder.join("size.tsv");
    std::fs::write(&file, tsv)?;
    say(&format!("{out}\n{}\n{}", stamp("size"), file.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_once() {
        let tree = "kernel v0.1.0 (/k)\na v1.0.0\nb v2.0.0 (proc-macro)\na v1.0.0 (*)\na v2.0.0\n\n";
        assert_eq!(names(tree).into_iter().collect::<Vec<_>>(), ["a v1.0.0", "a v2.0.0", "b v2.0.0"]);
    }

    #[test]
    fn each_kernel_depends_on_its_own_family_alone() {
        for side in &SIDES {
            let packages = side.packages().unwrap();
            assert!(packages.len() > side.family.len(), "{}: {packages:?}", side.name);
        }
    }

    #[test]
    fn sections_are_added_up() {
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[40] = 64;
        file[58] = 64;
        let sections = [(1, 6, 100), (1, 2, 30), (1, 3, 7), (8, 3, 4096), (1, 0, 5), (1, 6, 11)];
        file[60] = sections.len() as u8;
        for (kind, flags, size) in sections {
            let mut section = [0; 64];
            section[4] = kind;
            section[8] = flags;
            section[32..34].copy_from_slice(&u16::to_le_bytes(size));
            file.extend_from_slice(&section);
        }
        assert_eq!(bytes(&file), Some(Bytes { text: 111, constants: 30, data: 7 }));
        // The last 24 bytes of a section's entry are not read.
        for cut in 0..file.len() - 24 {
            assert_eq!(bytes(&file[..cut]), None, "{cut}");
        }
        assert_eq!(bytes(b"MZ"), None);
    }
}
