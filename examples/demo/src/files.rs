//! The files of a disk's first FAT volume, read through `embedded-sdmmc`: a list of them, and what stands in one.

use crate::style::{ACCENT, DIM, PLAIN, field};
use core::fmt::{self, Write};
use core::ops::ControlFlow;
use embedded_sdmmc::{
    Block, BlockCount, BlockDevice, BlockIdx, Error, Mode, TimeSource, Timestamp, VolumeIdx, VolumeManager,
};

/// The file that is shown.
pub const SHOWN: &str = "README.TXT";
/// The most bytes of it that are.
const MOST: usize = 1024;
/// The most files that are listed.
const FILES: usize = 12;
const NAME: usize = 14;

/// Lists the files of the first partition's volume, and shows the one called [`SHOWN`].
///
/// # Errors
///
/// Those of `out`. What is wrong with the volume is printed.
pub fn print<D: BlockDevice>(out: &mut impl Write, disk: &D) -> fmt::Result {
    let mut said = Ok(());
    let read = show(out, disk, &mut said);
    said?;
    match read {
        Ok(()) => Ok(()),
        Err(error) => field(out, "files", format_args!("none: {error}")),
    }
}

/// `said` is how printing went.
fn show<D: BlockDevice>(
    out: &mut impl Write,
    disk: &D,
    said: &mut fmt::Result,
) -> Result<(), Error<D::Error>> {
    let manager = VolumeManager::new(Lent(disk), NoClock);
    let volume = manager.open_volume(VolumeIdx(0))?;
    let root = volume.open_root_dir()?;
    *said = writeln!(out, "  {DIM}{:<NAME$}BYTES{PLAIN}", "FILE");
    let (mut count, mut found) = (0, false);
    root.iterate_dir(|entry| {
        if entry.attributes.is_volume() || entry.attributes.is_directory() {
            return ControlFlow::Continue(());
        }
        count += 1;
        found |= entry.name.base_name() == b"README" && entry.name.extension() == b"TXT";
        if count <= FILES && said.is_ok() {
            *said = write!(out, "  {ACCENT}{}", entry.name).and_then(|()| {
                writeln!(out, "{:1$}{PLAIN}{2}", "", NAME.saturating_sub(name_len(entry)), entry.size)
            });
        }
        ControlFlow::Continue(())
    })?;
    if count > FILES {
        *said = said.and_then(|()| writeln!(out, "  {DIM}and {} more{PLAIN}", count - FILES));
    }
    if !found {
        return Ok(());
    }
    let file = root.open_file_in_dir(SHOWN, Mode::ReadOnly)?;
    let (mut bytes, mut len) = ([0; MOST], 0);
    while let Some(rest) = bytes.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            read => len += read,
        }
    }
    let (text, mut label) = (bytes.get(..len).unwrap_or_default(), SHOWN);
    for line in text.trim_ascii_end().split(|&byte| byte == b'\n') {
        *said = said.and_then(|()| field(out, label, format_args!("{}", line.escape_ascii())));
        label = "";
    }
    Ok(())
}

fn name_len(entry: &embedded_sdmmc::DirEntry) -> usize {
    let (base, extension) = (entry.name.base_name().len(), entry.name.extension().len());
    base + extension + usize::from(extension > 0)
}

/// A disk that is only lent to a volume manager, which would keep it.
struct Lent<'d, D>(&'d D);

impl<D: BlockDevice> BlockDevice for Lent<'_, D> {
    type Error = D::Error;

    fn read(&self, blocks: &mut [Block], start_block_idx: BlockIdx) -> Result<(), Self::Error> {
        self.0.read(blocks, start_block_idx)
    }

    fn write(&self, blocks: &[Block], start_block_idx: BlockIdx) -> Result<(), Self::Error> {
        self.0.write(blocks, start_block_idx)
    }

    fn num_blocks(&self) -> Result<BlockCount, Self::Error> {
        self.0.num_blocks()
    }
}

/// Nothing is written here that would need the time.
struct NoClock;

impl TimeSource for NoClock {
    fn get_timestamp(&self) -> Timestamp {
        Timestamp::from_fat(0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::cell::RefCell;
    use std::io::{Cursor, Seek, SeekFrom, Write as _};

    const PARTITION: usize = 64;
    const SECTORS: usize = 20_000;

    /// A disk in memory, from which one block cannot be read.
    struct Memory {
        bytes: RefCell<Vec<u8>>,
        bad: Option<u32>,
        reads: RefCell<Vec<u32>>,
    }

    impl BlockDevice for Memory {
        type Error = fmt::Error;

        fn read(&self, blocks: &mut [Block], start: BlockIdx) -> Result<(), fmt::Error> {
            for (number, block) in (start.0..).zip(blocks) {
                if self.bad == Some(number) {
                    return Err(fmt::Error);
                }
                self.reads.borrow_mut().push(number);
                let at = usize::try_from(number).unwrap() * 512;
                block.contents.copy_from_slice(&self.bytes.borrow()[at..at + 512]);
            }
            Ok(())
        }

        fn write(&self, _: &[Block], _: BlockIdx) -> Result<(), fmt::Error> {
            panic!("nothing is to be written")
        }

        fn num_blocks(&self) -> Result<BlockCount, fmt::Error> {
            Ok(BlockCount(u32::try_from(SECTORS).unwrap()))
        }
    }

    /// A disk with these files in its only partition.
    fn disk(files: &[(&str, &[u8])]) -> Memory {
        let mut volume = Cursor::new(alloc::vec![0; (SECTORS - PARTITION) * 512]);
        let options = fatfs::FormatVolumeOptions::new().fat_type(fatfs::FatType::Fat16);
        fatfs::format_volume(&mut volume, options).unwrap();
        volume.seek(SeekFrom::Start(0)).unwrap();
        {
            let system = fatfs::FileSystem::new(&mut volume, fatfs::FsOptions::new()).unwrap();
            system.root_dir().create_dir("FOLDER").unwrap();
            for (name, bytes) in files {
                system.root_dir().create_file(name).unwrap().write_all(bytes).unwrap();
            }
        }
        let mut bytes = alloc::vec![0; PARTITION * 512];
        bytes[0x1be + 4] = 0x0e;
        bytes[0x1be + 8] = u8::try_from(PARTITION).unwrap();
        bytes[0x1be + 12..0x1be + 16]
            .copy_from_slice(&u32::try_from(SECTORS - PARTITION).unwrap().to_le_bytes());
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        bytes.extend(volume.into_inner());
        Memory { bytes: RefCell::new(bytes), bad: None, reads: RefCell::default() }
    }

    fn said(disk: &Memory) -> String {
        let mut text = String::new();
        print(&mut text, disk).unwrap();
        let mut plain = String::new();
        for (number, piece) in text.split('\x1b').enumerate() {
            plain.push_str(if number == 0 { piece } else { piece.split_once('m').unwrap().1 });
        }
        plain
    }

    #[test]
    fn files_are_listed_and_one_is_shown() {
        let disk =
            disk(&[("A.B", b"12345"), (SHOWN, b"first line\nsecond \x1b line\n"), ("NOTE", &[7; 3000])]);
        let lines = said(&disk);
        let wanted = [
            "  FILE          BYTES",
            "  A.B           5",
            "  README.TXT    25",
            "  NOTE          3000",
            "  README.TXT    first line",
            "                second \\x1b line",
        ];
        assert_eq!(lines.lines().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn more_files_than_fit_are_counted() {
        let names: Vec<String> = (0..FILES + 3).map(|number| alloc::format!("F{number}")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
        let text = said(&disk(&files));
        assert!(text.ends_with("  and 3 more\n"), "{text}");
        assert_eq!(text.lines().count(), 1 + FILES + 1);
    }

    #[test]
    fn a_long_file_is_cut() {
        let long = [b'x'; 5000];
        let text = said(&disk(&[(SHOWN, &long)]));
        assert_eq!(text.matches('x').count(), MOST);
    }

    #[test]
    fn a_disk_without_a_volume_says_so() {
        let disk = disk(&[]);
        disk.bytes.borrow_mut()[..512].fill(0);
        assert!(said(&disk).starts_with("  files         none: "), "{}", said(&disk));
    }

    #[test]
    fn a_block_that_cannot_be_read_is_an_answer() {
        let whole = disk(&[(SHOWN, b"text\n")]);
        let before = said(&whole);
        let reads = whole.reads.borrow().clone();
        for bad in reads {
            let text = said(&Memory { bad: Some(bad), ..disk(&[(SHOWN, b"text\n")]) });
            assert_ne!(text, before);
            assert!(text.lines().last().unwrap().starts_with("  files         none: "), "{bad}: {text}");
        }
    }
}
