//! The command `blk`: what the disk is, the files on it, and a block that is written, read back and discarded.
//!
//! On interrupts each request is awaited, with a buffer that is given away meanwhile; polled, it is waited for. Files are read
//! through `embedded-sdmmc`, which knows waiting only.

use crate::files;
use crate::scratch::{self, BLOCK, BLOCK_LEN, Scratch};
use crate::style::{PLAIN, WARN, field};
use core::fmt::{self, Write};
use virtio::blk::{
    BlkError, CacheMode, Disk, DiskEvent, DiskId, DiskOptions, Owned, SdmmcDisk, Sector, SectorRange,
};
use virtio::device::Device;
use virtio::queue::Bell;
use virtio::transport::InterruptStatus;
use virtio::{Dma, Features, Hal, Transport};

/// A disk, and what it calls itself.
#[derive(Debug)]
pub struct Drive<T: Transport, H: Hal + Clone + 'static> {
    disk: Disk<T, H, Owned<Dma<[u8], H>>>,
    id: Option<DiskId>,
    /// It interrupts, so it is awaited.
    awaited: bool,
}

impl<T: Transport, H: Hal + Clone> Drive<T, H> {
    /// Brings the disk up.
    ///
    /// # Errors
    ///
    /// It cannot be driven.
    pub fn new(transport: T, hal: H) -> Result<Self, BlkError> {
        let mut disk = Disk::open(transport, hal, DiskOptions::new())?;
        let id = disk.id().ok();
        Ok(Self { disk, id, awaited: false })
    }

    /// Its interrupt is connected: requests can be awaited.
    #[must_use]
    pub fn awaited(self, awaited: bool) -> Self {
        Self { awaited, ..self }
    }

    /// The device.
    pub fn device(&self) -> &Device<T, H> {
        self.disk.device()
    }

    /// The features negotiated.
    pub fn features(&self) -> Features {
        self.disk.features()
    }

    /// Its size in bytes, and what it calls itself.
    pub fn describe(&self) -> (u64, &str) {
        let bytes = self.disk.capacity().saturating_mul(512);
        (bytes, self.id.as_ref().and_then(DiskId::as_str).unwrap_or("nameless"))
    }

    /// Says what the disk is and what is on it, and tries the free end of it out. Gives the drive back, if it is not lost.
    ///
    /// # Errors
    ///
    /// Those of `out`. What is wrong with the disk is printed.
    pub async fn show(mut self, out: &mut impl Write, bell: Option<&Bell>) -> (Option<Self>, fmt::Result) {
        // A disk that polls is asked for its size; one that interrupts has said so.
        if let Ok(Some(DiskEvent::NeedsReset)) = self.disk.attend(InterruptStatus::CONFIG) {
            match self.disk.recover() {
                Ok(disk) => self.disk = disk,
                Err(error) => return (None, writeln!(out, "  {WARN}the disk is lost: {error}{PLAIN}")),
            }
        }
        let mut said = self.identify(out);
        let adapter = SdmmcDisk::new(self.disk);
        said = said.and_then(|()| files::print(out, &adapter));
        self.disk = adapter.into_inner();
        if said.is_ok() {
            said = self.try_out(out, bell).await;
        }
        (Some(self), said)
    }

    fn identify(&self, out: &mut impl Write) -> fmt::Result {
        let (bytes, id) = self.describe();
        let (disk, limits) = (&self.disk, self.disk.limits());
        field(
            out,
            "disk",
            format_args!("{id}, {} MiB: {} sectors of 512 bytes", bytes >> 20, disk.capacity()),
        )?;
        let cache = match disk.cache_mode() {
            Ok(CacheMode::WriteBack) => "write-back cache",
            Ok(CacheMode::WriteThrough) => "no cache, or one that is written through",
            Err(_) => "cache unknown",
        };
        let access = if disk.is_read_only() { "read only" } else { "read and write" };
        field(out, "blocks", format_args!("{} bytes; {access}; {cache}", limits.block_size))?;
        let how = if self.awaited { "awaited" } else { "polled" };
        field(out, "requests", format_args!("{how}, of at most {} buffers", Most(limits.seg_max)))?;
        match limits.discard {
            Some(discard) => {
                field(out, "discard", format_args!("at most {} sectors at a time", discard.max_sectors))
            }
            None => field(out, "discard", format_args!("the device does not")),
        }
    }

    async fn try_out(&mut self, out: &mut impl Write, bell: Option<&Bell>) -> fmt::Result {
        if self.disk.is_read_only() {
            return field(out, "written", format_args!("nothing: the disk is read only"));
        }
        let (capacity, discards) = (self.disk.capacity(), self.disk.limits().discard.is_some());
        let way = Way { disk: &mut self.disk, bell: bell.filter(|_| self.awaited) };
        match try_out(way, capacity, discards).await {
            Ok(tried) => tried.print(out),
            Err(error) => field(out, "written", format_args!("{WARN}{error}{PLAIN}")),
        }
    }
}

/// A number, or that there is none.
struct Most(Option<u32>);

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(most) => most.fmt(f),
            None => f.write_str("any number of"),
        }
    }
}

/// How requests are made: awaited with a bell, waited for without.
struct Way<'d, T: Transport, H: Hal + Clone + 'static> {
    disk: &'d mut Disk<T, H, Owned<Dma<[u8], H>>>,
    bell: Option<&'d Bell>,
}

impl<T: Transport, H: Hal + Clone> Way<'_, T, H> {
    async fn read(&mut self, sector: u64, mut block: Dma<[u8], H>) -> Result<Dma<[u8], H>, BlkError> {
        match self.bell {
            Some(bell) => {
                let read = self.disk.awaited(bell)?.read_owned(Sector(sector), block).await;
                read.map_err(|lost| lost.error)
            }
            None => {
                self.disk.read(Sector(sector), block.as_mut())?;
                Ok(block)
            }
        }
    }

    async fn write(&mut self, sector: u64, block: Dma<[u8], H>) -> Result<Dma<[u8], H>, BlkError> {
        match self.bell {
            Some(bell) => {
                let written = self.disk.awaited(bell)?.write_owned(Sector(sector), block).await;
                written.map_err(|lost| lost.error)
            }
            None => {
                self.disk.write(Sector(sector), block.as_ref())?;
                Ok(block)
            }
        }
    }

    /// A device without a cache to flush has written when it says so.
    async fn flush(&mut self) -> Result<(), BlkError> {
        let flushed = match self.bell {
            Some(bell) => self.disk.awaited(bell)?.flush().await,
            None => self.disk.flush(),
        };
        match flushed {
            Err(BlkError::Unsupported(_)) => Ok(()),
            flushed => flushed,
        }
    }

    async fn discard(&mut self, sector: u64) -> Result<(), BlkError> {
        let range = [SectorRange::new(Sector(sector), BLOCK)];
        match self.bell {
            Some(bell) => self.disk.awaited(bell)?.discard(&range).await,
            None => Ok(self.disk.discard(&range)?),
        }
    }
}

/// What came of trying a disk out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    /// No place is known to be free.
    NoPlace,
    /// Something else was read than was written to this sector.
    Differs(u64),
    /// All went well; what is read of what was discarded, if the device discards.
    Well(Scratch, Option<Left>),
}

/// What is read where something was discarded: the device may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Zeros,
    AsBefore,
    SomethingElse,
}

impl Tried {
    fn print(self, out: &mut impl Write) -> fmt::Result {
        let last = |first: u64| first + BLOCK - 1;
        match self {
            Self::NoPlace => {
                field(out, "written", format_args!("nothing: no partition table says what is free"))
            }
            Self::Differs(sector) => {
                field(out, "written", format_args!("{WARN}sector {sector} reads as something else{PLAIN}"))
            }
            Self::Well(Scratch { written, discarded }, left) => {
                let left = left.map(|left| match left {
                    Left::Zeros => "reads as zeros",
                    Left::AsBefore => "reads as before",
                    Left::SomethingElse => "reads as something else",
                });
                field(
                    out,
                    "written",
                    format_args!("sectors {written} to {}, and read back the same", last(written)),
                )?;
                match left {
                    Some(left) => field(
                        out,
                        "discarded",
                        format_args!("sectors {discarded} to {}, which {left}", last(discarded)),
                    ),
                    None => Ok(()),
                }
            }
        }
    }
}

async fn try_out<T: Transport, H: Hal + Clone>(
    mut way: Way<'_, T, H>,
    capacity: u64,
    discards: bool,
) -> Result<Tried, BlkError> {
    let block = Dma::zeroed_slice(way.disk.device().hal().clone(), BLOCK_LEN)?;
    let mut block = way.read(0, block).await?;
    let place = block.as_ref().first_chunk().and_then(|sector| Scratch::find(sector, capacity));
    let Some(place) = place else { return Ok(Tried::NoPlace) };
    let mut wanted = [0; BLOCK_LEN];
    for sector in [place.written, place.discarded] {
        scratch::pattern(&mut wanted, sector);
        block.as_mut().copy_from_slice(&wanted);
        block = way.write(sector, block).await?;
        way.flush().await?;
        block.as_mut().fill(0);
        block = way.read(sector, block).await?;
        if block.as_ref() != wanted {
            return Ok(Tried::Differs(sector));
        }
    }
    if !discards {
        return Ok(Tried::Well(place, None));
    }
    way.discard(place.discarded).await?;
    block = way.read(place.discarded, block).await?;
    let left = if block.as_ref() == wanted {
        Left::AsBefore
    } else if block.as_ref().iter().all(|byte| *byte == 0) {
        Left::Zeros
    } else {
        Left::SomethingElse
    };
    Ok(Tried::Well(place, Some(left)))
}
