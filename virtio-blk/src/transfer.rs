//! Reading and writing over slices of the caller's, who waits (VIRTIO 1.4 §5.2.6).

use virtio_core::queue::{Request, Slices};
use virtio_core::{Error, Hal, Misuse, Transport};

use crate::abi::{BlkStatus, REQUESTQ, RequestType};
use crate::device::Disk;
use crate::error::{BlkError, TransferError};
use crate::payload::{Measure, Payload};
use crate::pieces::{Most, PIECES, Place};
use crate::rules::judge;
use crate::sector::{SECTOR_SIZE, Sector};

impl<T: Transport, H: Hal + Clone, P: Payload> Disk<T, H, P> {
    /// Reads sectors from `sector` on into `bytes`, whose length is a multiple of 512, and waits for them. However long it is:
    /// what is too long for one request is several, one after the other.
    ///
    /// Each request may take as long as the [options](crate::DiskOptions::timeout) say; after that the device is taken down.
    ///
    /// # Errors
    /// [`BlkError::BadLength`], [`BlkError::BeyondCapacity`]: nothing was sent. [`BlkError::Status`]: the device says it could
    /// not. [`BlkError::Core`]: it did not answer in time, or broke the queue's rules, and is taken down; or its answer is too
    /// short to have a status. What is in `bytes` behind [`TransferError::done`] may be anything then.
    pub fn read(&mut self, sector: Sector, bytes: &mut [u8]) -> Result<(), TransferError> {
        self.read_scattered(sector, &mut [bytes])
    }

    /// Reads sectors into several slices, one after the other, of whatever lengths: all together have a multiple of 512.
    ///
    /// # Errors
    /// As for [`Disk::read`]; [`BlkError::TooManyPieces`] for a list that has to be split, and whose slices are so small that a
    /// request of 16, or of as many as the device takes, has no sector.
    pub fn read_scattered(&mut self, sector: Sector, slices: &mut [&mut [u8]]) -> Result<(), TransferError> {
        let data = Measure::of(slices.iter().map(|slice| slice.len()));
        self.rules.check_read(sector, data.bytes).map_err(TransferError::at_once)?;
        if data.bytes == 0 {
            return Ok(());
        }
        let mut most = self.rules.most;
        if self.rules.is_one(sector, &data) {
            match self.request(RequestType::IN, sector, Slices::to_write(slices), data.bytes) {
                Err(error) if is_scattered(&error) => most = half(data.bytes),
                outcome => return outcome.map_err(TransferError::at_once),
            }
        }
        self.in_pieces(sector, data.bytes, most, |disk, sector, cut, place| {
            let bytes = cut.reach(place.behind(slices.iter().map(|slice| slice.len())));
            if bytes == 0 {
                return (0, Ok(()));
            }
            let mut pieces: [&mut [u8]; PIECES] = Default::default();
            let used = place.cut_mut(slices, bytes, cut.piece, &mut pieces);
            let pieces = pieces.get_mut(..used).unwrap_or_default();
            (bytes, disk.request(RequestType::IN, sector, Slices::to_write(pieces), bytes))
        })
    }

    /// Writes `bytes`, whose length is a multiple of 512, to sectors from `sector` on, and waits until the device has them.
    /// However long it is, as for [`Disk::read`]. Whether they are safe by then is a matter of the
    /// [cache](Disk::cache_mode).
    ///
    /// # Errors
    /// As for [`Disk::read`]; [`BlkError::ReadOnly`]. What was written behind [`TransferError::done`] is not known.
    pub fn write(&mut self, sector: Sector, bytes: &[u8]) -> Result<(), TransferError> {
        self.write_gathered(sector, &[bytes])
    }

    /// Writes several slices, one after the other, of whatever lengths: all together have a multiple of 512.
    ///
    /// # Errors
    /// As for [`Disk::write`] and [`Disk::read_scattered`].
    pub fn write_gathered(&mut self, sector: Sector, slices: &[&[u8]]) -> Result<(), TransferError> {
        let data = Measure::of(slices.iter().map(|slice| slice.len()));
        self.rules.check_write(sector, data.bytes).map_err(TransferError::at_once)?;
        if data.bytes == 0 {
            return Ok(());
        }
        let mut most = self.rules.most;
        if self.rules.is_one(sector, &data) {
            match self.request(RequestType::OUT, sector, Slices::to_read(slices), 0) {
                Err(error) if is_scattered(&error) => most = half(data.bytes),
                outcome => return outcome.map_err(TransferError::at_once),
            }
        }
        self.in_pieces(sector, data.bytes, most, |disk, sector, cut, place| {
            let bytes = cut.reach(place.behind(slices.iter().map(|slice| slice.len())));
            if bytes == 0 {
                return (0, Ok(()));
            }
            let mut pieces = [&[][..]; PIECES];
            let used = place.cut(slices, bytes, cut.piece, &mut pieces);
            let pieces = pieces.get(..used).unwrap_or_default();
            (bytes, disk.request(RequestType::OUT, sector, Slices::to_read(pieces), 0))
        })
    }

    /// Transfers `total` bytes in several requests of `most` bytes or less. `transfer` does one, from a place on, and says how
    /// many bytes that is: 0 if it sends none, for not even a sector goes into the pieces that a request may have.
    #[inline(never)]
    fn in_pieces(
        &mut self,
        sector: Sector,
        total: usize,
        mut most: usize,
        mut transfer: impl FnMut(&mut Self, Sector, &Most, &mut Place) -> (usize, Result<(), BlkError>),
    ) -> Result<(), TransferError> {
        let (mut done, mut place) = (0_usize, Place::default());
        while done < total {
            let here = sector.after(done as u64);
            let cut = Most {
                bytes: most.min(self.rules.most_from(here)),
                piece: self.rules.size_max,
                pieces: self.rules.seg_max.min(PIECES),
                unit: self.rules.unit,
                skew: self.rules.skew(here),
            };
            let mut next = place;
            match transfer(self, here, &cut, &mut next) {
                (0, _) => return Err(TransferError { error: BlkError::TooManyPieces, done }),
                (bytes, Ok(())) => (done, place) = (done.saturating_add(bytes), next),
                // The Hal shares it in more segments than the device takes.
                (bytes, Err(error)) if is_scattered(&error) && bytes > SECTOR_SIZE => most = half(bytes),
                (_, Err(error)) => return Err(TransferError { error, done }),
            }
        }
        Ok(())
    }

    /// One request over slices, of which the device writes `expected` bytes, and its end.
    pub(crate) fn request(
        &mut self,
        kind: RequestType,
        sector: Sector,
        slices: Slices<'_, '_>,
        expected: usize,
    ) -> Result<(), BlkError> {
        let header = self.rules.header(kind, sector);
        let mut status = [BlkStatus::UNWRITTEN.get()];
        let limit = self.options().timeout;
        let done =
            self.device.transfer(REQUESTQ, Request::new(slices).header(&header), &mut status, limit)?;
        let [status] = status;
        judge(done.response == 1, status, || (done.payload, expected.saturating_add(1)))
    }
}

/// Whether a request was refused because the Hal shares its buffers in too many segments.
fn is_scattered(error: &BlkError) -> bool {
    *error == BlkError::Core(Error::Caller(Misuse::TooManySegments))
}

/// About half of so many bytes: a multiple of 512, and one sector at least.
fn half(bytes: usize) -> usize {
    ((bytes >> 1) & !(SECTOR_SIZE - 1)).max(SECTOR_SIZE)
}
