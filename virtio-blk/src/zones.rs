//! Disks with zones (VIRTIO 1.4 §5.2.6): parts that are written from start to end, and emptied as a whole.

use core::fmt;

use virtio_core::queue::{Request, Slices};
use virtio_core::{Hal, Transport};
use zerocopy::FromBytes;

use crate::abi::{
    BlkStatus, F_ZONED, REQUESTQ, RequestType, ZONE_DESCRIPTOR_LEN, ZONE_REPORT_LEN, ZoneDescriptor,
    ZoneReport,
};
use crate::device::Disk;
use crate::error::{BlkError, Operation};
use crate::payload::Payload;
use crate::rules::judge;
use crate::sector::{SECTOR_SHIFT, SECTOR_SIZE, Sector, SectorRange};

/// Zones of one report.
const AT_ONCE: usize = 4;
/// Bytes of an answer to an append: where it went, and a status.
const APPENDED_LEN: usize = 9;

/// What kind of zones a disk has (VIRTIO 1.4 §5.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ZoneModel(u8);

impl ZoneModel {
    /// None that a driver has to know of.
    pub const NONE: Self = Self(0);
    /// Host-managed: they are written in order, or not at all.
    pub const HOST_MANAGED: Self = Self(1);
    /// Host-aware: they are better written in order.
    pub const HOST_AWARE: Self = Self(2);

    pub(crate) const fn new(value: u8) -> Self {
        Self(value)
    }

    /// Its value in the configuration space.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for ZoneModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => f.write_str("not"),
            Self::HOST_MANAGED => f.write_str("host-managed"),
            Self::HOST_AWARE => f.write_str("host-aware"),
            Self(other) => write!(f, "strangely ({other})"),
        }
    }
}

impl fmt::Debug for ZoneModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZoneModel({self})")
    }
}

/// What a disk's zones are like (VIRTIO 1.4 §5.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ZoneLimits {
    /// Of what kind they are.
    pub model: ZoneModel,
    /// Sectors of a zone; the last one may be shorter.
    pub zone_sectors: u32,
    /// Zones that can be open at a time.
    pub max_open: u32,
    /// Zones that can be open or closed, neither empty nor full, at a time.
    pub max_active: u32,
    /// Sectors that can be appended at once; 0 if none can.
    pub max_append_sectors: u32,
    /// Bytes that a write is a multiple of: a power of two, at least 512.
    pub write_granularity: u32,
}

impl ZoneLimits {
    /// Of the fields of the configuration space; `None` if there are no zones.
    pub(crate) fn check(
        [zone_sectors, max_open, max_active, max_append_sectors, write_granularity]: [u32; 5],
        model: ZoneModel,
    ) -> Result<Option<Self>, BlkError> {
        if model == ZoneModel::NONE {
            return Ok(None);
        }
        let bytes = u64::from(zone_sectors) << SECTOR_SHIFT;
        let granularity = u64::from(write_granularity);
        // Otherwise there would be zones that cannot be written to their end.
        let writable = write_granularity.is_power_of_two() && write_granularity >= 512;
        if zone_sectors == 0 || !writable || bytes & granularity.wrapping_sub(1) != 0 {
            return Err(BlkError::BadZones);
        }
        Ok(Some(Self { model, zone_sectors, max_open, max_active, max_append_sectors, write_granularity }))
    }
}

/// How a zone may be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ZoneType {
    /// Anywhere.
    Conventional,
    /// At its write pointer only.
    SequentialRequired,
    /// Anywhere, but better at its write pointer.
    SequentialPreferred,
    /// A value that the specification does not have.
    Unknown(u8),
}

/// What state a zone is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ZoneState {
    /// A conventional one has none.
    NotWritePointer,
    /// Empty.
    Empty,
    /// Opened by a write.
    ImplicitlyOpen,
    /// Opened by [`Disk::zone_open`].
    ExplicitlyOpen,
    /// Begun, and closed.
    Closed,
    /// It can be read only.
    ReadOnly,
    /// Full.
    Full,
    /// It can be neither read nor written.
    Offline,
    /// A value that the specification does not have.
    Unknown(u8),
}

/// A zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Zone {
    /// Its first sector.
    pub start: Sector,
    /// Sectors that can be written, from the first on.
    pub capacity: u64,
    /// Where the next write goes. Means nothing in a zone that is conventional, full, read-only or offline.
    pub write_pointer: Sector,
    /// How it may be written.
    pub kind: ZoneType,
    /// What state it is in.
    pub state: ZoneState,
}

impl Zone {
    /// What [`Disk::zones`] writes over.
    pub const NONE: Self = Self {
        start: Sector(0),
        capacity: 0,
        write_pointer: Sector(0),
        kind: ZoneType::Unknown(0),
        state: ZoneState::NotWritePointer,
    };

    fn from_wire(wire: &ZoneDescriptor) -> Self {
        Self {
            start: Sector(wire.z_start.get()),
            capacity: wire.z_cap.get(),
            write_pointer: Sector(wire.z_wp.get()),
            kind: match wire.z_type {
                1 => ZoneType::Conventional,
                2 => ZoneType::SequentialRequired,
                3 => ZoneType::SequentialPreferred,
                other => ZoneType::Unknown(other),
            },
            state: match wire.z_state {
                0 => ZoneState::NotWritePointer,
                1 => ZoneState::Empty,
                2 => ZoneState::ImplicitlyOpen,
                3 => ZoneState::ExplicitlyOpen,
                4 => ZoneState::Closed,
                13 => ZoneState::ReadOnly,
                14 => ZoneState::Full,
                15 => ZoneState::Offline,
                other => ZoneState::Unknown(other),
            },
        }
    }
}

impl<T: Transport, H: Hal + Clone, P: Payload> Disk<T, H, P> {
    /// Has the disk tell of its zones: the one that `from` is in, and those behind it, as many as there is room for. Answers
    /// how many there were.
    ///
    /// # Errors
    /// [`BlkError::Unsupported`] if it was not opened with [`Zones::Use`](crate::Zones::Use), or has none;
    /// [`BlkError::BeyondCapacity`]; [`BlkError::BadZoneReport`] if they are not where they must be; otherwise as for
    /// [`Disk::read`].
    pub fn zones(&mut self, from: Sector, zones: &mut [Zone]) -> Result<usize, BlkError> {
        let size = self.zone_sectors()?;
        self.rules.check_range(SectorRange::new(from, 1))?;
        let inside = from.0.checked_rem(size).unwrap_or(0);
        let mut start = from.0.saturating_sub(inside);
        let mut places = zones.iter_mut();
        let all = places.len();
        while places.len() > 0 && start < self.capacity() {
            let left = self.capacity().saturating_sub(start).div_ceil(size);
            let wanted = places.len().min(AT_ONCE).min(usize::try_from(left).unwrap_or(usize::MAX));
            let mut report = [0; ZONE_REPORT_LEN + AT_ONCE * ZONE_DESCRIPTOR_LEN];
            let len = wanted.saturating_mul(ZONE_DESCRIPTOR_LEN).saturating_add(ZONE_REPORT_LEN);
            let report = report.get_mut(..len).unwrap_or_default();
            let slices = &mut [&mut *report];
            self.request(RequestType::ZONE_REPORT, Sector(start), Slices::to_write(slices), len)?;
            let bad = |_| BlkError::BadZoneReport;
            let (head, mut rest) =
                ZoneReport::read_from_prefix(report).map_err(|_| BlkError::BadZoneReport)?;
            let told = usize::try_from(head.nr_zones.get()).map_err(bad)?;
            if told == 0 || told > wanted {
                return Err(BlkError::BadZoneReport);
            }
            for place in places.by_ref().take(told) {
                let (wire, behind) =
                    ZoneDescriptor::read_from_prefix(rest).map_err(|_| BlkError::BadZoneReport)?;
                let zone = Zone::from_wire(&wire);
                if zone.start.0 != start || start >= self.capacity() || zone.capacity > size {
                    return Err(BlkError::BadZoneReport);
                }
                (*place, rest) = (zone, behind);
                start = start.saturating_add(size);
            }
        }
        Ok(all.saturating_sub(places.len()))
    }

    /// Opens a zone, which begins at `start`.
    ///
    /// # Errors
    /// [`BlkError::Misaligned`] if no zone begins there, [`BlkError::ReadOnly`]; [`BlkError::Status`] if the zone is not in a state
    /// for it, or too many are open; otherwise as for [`Disk::zones`].
    pub fn zone_open(&mut self, start: Sector) -> Result<(), BlkError> {
        self.zone_command(RequestType::ZONE_OPEN, start)
    }

    /// Closes a zone: others can be opened in its place.
    ///
    /// # Errors
    /// As for [`Disk::zone_open`].
    pub fn zone_close(&mut self, start: Sector) -> Result<(), BlkError> {
        self.zone_command(RequestType::ZONE_CLOSE, start)
    }

    /// Makes a zone full, whatever it holds.
    ///
    /// # Errors
    /// As for [`Disk::zone_open`].
    pub fn zone_finish(&mut self, start: Sector) -> Result<(), BlkError> {
        self.zone_command(RequestType::ZONE_FINISH, start)
    }

    /// Empties a zone.
    ///
    /// # Errors
    /// As for [`Disk::zone_open`].
    pub fn zone_reset(&mut self, start: Sector) -> Result<(), BlkError> {
        self.zone_command(RequestType::ZONE_RESET, start)
    }

    /// Empties all zones.
    ///
    /// # Errors
    /// As for [`Disk::zone_open`].
    pub fn zone_reset_all(&mut self) -> Result<(), BlkError> {
        self.zone_sectors()?;
        if self.is_read_only() {
            return Err(BlkError::ReadOnly);
        }
        self.request(RequestType::ZONE_RESET_ALL, Sector(0), Slices::to_read(&[]), 0)
    }

    /// Writes `bytes` to the zone that begins at `start`, at its write pointer, in one request; answers where they went.
    ///
    /// # Errors
    /// As for [`Disk::zone_open`]; [`BlkError::TooLong`], [`BlkError::BadLength`]; [`BlkError::BadAppend`] if they cannot be where the
    /// device says.
    pub fn zone_append(&mut self, start: Sector, bytes: &[u8]) -> Result<Sector, BlkError> {
        let size = self.zone_sectors()?;
        let limit = self.limits().zones.map_or(0, |zones| zones.max_append_sectors);
        if limit == 0 {
            return Err(BlkError::Unsupported(Operation::ZoneAppend));
        }
        self.rules.check_write(start, bytes.len())?;
        self.check_zone(start, size)?;
        let most = usize::try_from(u64::from(limit) << SECTOR_SHIFT).unwrap_or(usize::MAX);
        let most = most.min(self.rules.most_from(start)).min(self.rules.size_max);
        if bytes.is_empty() || bytes.len() > most {
            let bytes = bytes.len();
            return Err(if bytes == 0 {
                BlkError::BadLength { bytes }
            } else {
                BlkError::TooLong { bytes, most }
            });
        }
        let header = self.rules.header(RequestType::ZONE_APPEND, start);
        let mut answer = [BlkStatus::UNWRITTEN.get(); APPENDED_LEN];
        let limit = self.options().timeout;
        let slices = [bytes];
        let request = Request::new(Slices::to_read(&slices)).header(&header);
        let done = self.device.transfer(REQUESTQ, request, &mut answer, limit)?;
        let [a, b, c, d, e, f, g, h, status] = answer;
        let written = u32::try_from(done.response).unwrap_or(u32::MAX);
        judge(done.response == APPENDED_LEN, status, || (written, APPENDED_LEN))?;
        let at = Sector(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
        let sectors = (bytes.len() / SECTOR_SIZE) as u64;
        let inside = at.0.checked_sub(start.0).and_then(|offset| offset.checked_add(sectors));
        if inside.is_some_and(|end| end <= size) { Ok(at) } else { Err(BlkError::BadAppend(at)) }
    }

    /// A command to the zone that begins at `start`.
    fn zone_command(&mut self, kind: RequestType, start: Sector) -> Result<(), BlkError> {
        let size = self.zone_sectors()?;
        if self.is_read_only() {
            return Err(BlkError::ReadOnly);
        }
        self.check_zone(start, size)?;
        self.request(kind, start, Slices::to_read(&[]), 0)
    }

    fn check_zone(&self, start: Sector, size: u64) -> Result<(), BlkError> {
        self.rules.check_range(SectorRange::new(start, 1))?;
        if start.0.checked_rem(size) == Some(0) { Ok(()) } else { Err(BlkError::Misaligned(start)) }
    }

    /// Sectors of a zone, of a disk that has them.
    fn zone_sectors(&self) -> Result<u64, BlkError> {
        self.rules.check_feature(F_ZONED, Operation::Zones)?;
        match self.rules.zone_sectors {
            0 => Err(BlkError::Unsupported(Operation::Zones)),
            sectors => Ok(sectors),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_can_be_written_to_their_end() {
        let check = |sectors, granularity| {
            ZoneLimits::check([sectors, 1, 2, 3, granularity], ZoneModel::HOST_MANAGED)
        };
        assert_eq!(check(8, 4096).unwrap().unwrap().max_active, 2);
        for (sectors, granularity) in [(0, 512), (8, 0), (8, 256), (8, 513), (9, 1024), (8, 8192)] {
            assert_eq!(check(sectors, granularity), Err(BlkError::BadZones), "{sectors} {granularity}");
        }
        assert_eq!(ZoneLimits::check([0; 5], ZoneModel::NONE), Ok(None));
    }
}
