//! The disk that a kernel is given: an image with one partition, a FAT volume in it, and a few files.
//!
//! ```text
//! sector 0        2048                    28672            32768
//!        | table  | FAT16: README.TXT, …  | scratch area   |
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fatfs::{FatType, FileSystem, FormatVolumeOptions, FsOptions};

use crate::failure::{Context, Result};

/// Bytes in a sector, of the image as of the device.
pub const SECTOR: u64 = 512;
/// Sectors of the whole disk: 16 MiB.
pub const SECTORS: u64 = 32 * 1024;
/// First sector of the partition, and their number.
const PARTITION: (u32, u32) = (2048, 26 * 1024);
/// A FAT volume with 16-bit entries, and Linux' name for "by block number".
const FAT16_LBA: u8 = 0x0e;
/// Where the first entry of the partition table is, and the mark at the sector's end.
const FIRST_ENTRY: usize = 0x1be;
const MARK: [u8; 2] = [0x55, 0xaa];

/// What the disk calls itself.
pub const ID: &str = "demo-disk";
/// The file that the kernel reads out, and what stands in it.
pub const README: (&str, &str) = (
    "README.TXT",
    "This file lies on a FAT volume that cargo xtask made.\n\
     The kernel read it through embedded-sdmmc and virtio-blk.\n",
);
/// Another, longer than a cluster: its length is what a list shows of it.
pub const SQUARES: &str = "SQUARES.CSV";
/// What the part of the disk behind the partition is full of, before the kernel writes there.
pub const FILL: u8 = 0xe5;

/// An image that belongs to one run.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    /// The image itself, whatever is at its path by now.
    file: File,
}

impl Disk {
    /// Makes a new image at `path`. One of an earlier run is replaced, not written to: that run keeps it.
    pub fn make(path: &Path) -> Result<Self> {
        let what = || format!("making {}", path.display());
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).context(what())?;
        let new = path.with_extension(format!("new-{}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&new);
        let file = file.context(what())?;
        fill(&file).context(what())?;
        fs::rename(&new, path).context(what())?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands in some sectors now.
    pub fn sectors(&self, first: u64, count: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count * SECTOR as usize];
        self.file.read_exact_at(&mut bytes, first * SECTOR).context(self.path.display())?;
        Ok(bytes)
    }

    /// What stands in a file of the volume now.
    pub fn file(&self, name: &str) -> Result<Vec<u8>> {
        let what = || format!("{name} in {}", self.path.display());
        let mut bytes = Vec::new();
        let volume = FileSystem::new(Part::of(&self.file), FsOptions::new()).context(what())?;
        volume.root_dir().open_file(name).context(what())?.read_to_end(&mut bytes).context(what())?;
        Ok(bytes)
    }
}

/// The longer file.
pub fn squares() -> String {
    (0..600).map(|number: u32| format!("{number},{}\n", number * number)).collect()
}

fn fill(file: &File) -> std::io::Result<()> {
    file.set_len(SECTORS * SECTOR)?;
    file.write_all_at(&table(), 0)?;
    let end = u64::from(PARTITION.0 + PARTITION.1);
    file.write_all_at(&vec![FILL; ((SECTORS - end) * SECTOR) as usize], end * SECTOR)?;

    let options = FormatVolumeOptions::new().fat_type(FatType::Fat16).volume_label(*b"VIRTIO DEMO");
    fatfs::format_volume(Part::of(file), options)?;
    let volume = FileSystem::new(Part::of(file), FsOptions::new())?;
    let root = volume.root_dir();
    for (name, text) in [(README.0, README.1), (SQUARES, squares().as_str())] {
        let mut entry = root.create_file(name)?;
        entry.write_all(text.as_bytes())?;
        entry.flush()?;
    }
    drop(root);
    volume.unmount()?;
    file.sync_all()
}

/// A partition table with one entry.
fn table() -> [u8; SECTOR as usize] {
    let mut sector = [0; SECTOR as usize];
    let (first, count) = PARTITION;
    // By block number alone: cylinders, heads and sectors stand at the values that say so.
    let [a, b, c, d] = first.to_le_bytes();
    let [e, f, g, h] = count.to_le_bytes();
    let entry = [0x00, 0xfe, 0xff, 0xff, FAT16_LBA, 0xfe, 0xff, 0xff, a, b, c, d, e, f, g, h];
    for (place, byte) in sector.iter_mut().skip(FIRST_ENTRY).zip(entry) {
        *place = byte;
    }
    for (place, byte) in sector.iter_mut().rev().zip(MARK.into_iter().rev()) {
        *place = byte;
    }
    sector
}

/// The partition, as a file of its own.
struct Part<'f> {
    file: &'f File,
    at: u64,
}

impl<'f> Part<'f> {
    const START: u64 = PARTITION.0 as u64 * SECTOR;
    const LEN: u64 = PARTITION.1 as u64 * SECTOR;

    fn of(file: &'f File) -> Self {
        Self { file, at: 0 }
    }

    /// How much of a buffer still lies inside.
    fn room(&self, len: usize) -> usize {
        len.min(usize::try_from(Self::LEN.saturating_sub(self.at)).unwrap_or(usize::MAX))
    }
}

impl Read for Part<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let room = self.room(bytes.len());
        let len = self.file.read_at(bytes.get_mut(..room).unwrap_or_default(), Self::START + self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}

impl Write for Part<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = self.room(bytes.len());
        let len = self.file.write_at(bytes.get(..room).unwrap_or_default(), Self::START + self.at)?;
        self.at += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Part<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => Self::LEN.checked_add_signed(by),
        };
        self.at = at.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn an_image_has_a_table_a_volume_and_a_scratch_area() {
        let folder = workspace::scratch("disk").unwrap();
        let path = folder.path().join("disk.img");
        let disk = Disk::make(&path).unwrap();
        assert_eq!(fs::metadata(disk.path()).unwrap().len(), 16 << 20);
        let table = disk.sectors(0, 1).unwrap();
        assert_eq!(table[510..], [0x55, 0xaa]);
        assert_eq!(table[0x1be + 4], 0x0e);
        assert_eq!(u32::from_le_bytes(table[0x1be + 8..0x1be + 12].try_into().unwrap()), 2048);
        // A FAT16 volume says so itself.
        assert_eq!(&disk.sectors(2048, 1).unwrap()[0x36..0x3b], b"FAT16");
        assert_eq!(disk.file(README.0).unwrap(), README.1.as_bytes());
        assert_eq!(disk.file(SQUARES).unwrap(), squares().as_bytes());
        assert!(disk.file("NOTHING.TXT").is_err());
        for sector in [2048 + 26 * 1024, SECTORS - 1] {
            assert_eq!(disk.sectors(sector, 1).unwrap(), [FILL; 512]);
        }
    }

    #[test]
    fn a_new_image_leaves_the_old_run_its_own() {
        let folder = workspace::scratch("disk").unwrap();
        let path = folder.path().join("disk.img");
        let old = Disk::make(&path).unwrap();
        old.file.write_all_at(b"mine", 0).unwrap();
        let new = Disk::make(&path).unwrap();
        assert_eq!(&old.sectors(0, 1).unwrap()[..4], b"mine");
        assert_eq!(&new.sectors(0, 1).unwrap()[..4], [0; 4]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left there");
    }
}
