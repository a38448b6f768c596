//! Addresses for BARs that have none, on machines whose firmware assigns none.

use crate::bar::{BarInfo, BarKind, assign, bars_and_error};
use crate::bridge::{self, Opening};
use crate::header::bus_numbers;
use crate::number::MAX_DEPTH;
use crate::rom::rom;
use crate::walk::BusSet;
use crate::window::{Window, Windows};
use crate::{ConfigAccess, Function, Header, PciError, functions_on, walk};

/// Ports below belong to the machine's own devices, wherever there are ports at all.
const FIRST_PORT: u64 = 0x1000;
const FOUR_GIB: u64 = 1 << 32;

/// Assigns addresses from the host bridge's windows, upwards.
///
/// BARs that have an address keep it. New ones go above the highest address in use in their window, each aligned to its
/// size. I/O BARs are left alone where there is no I/O window: a modern virtio device needs none. Bridges get windows
/// around what lies behind them, unless firmware has set their windows.
///
/// Every BAR is sized, and sizing switches decoding off for a moment on each function: where firmware ran and has assigned
/// everything, skip [`assign_all`](Self::assign_all).
#[derive(Debug)]
pub struct BarAllocator {
    windows: Windows,
    room: Room,
    seen: BusSet,
    first_error: Option<PciError>,
    assigned: usize,
}

/// Where the next address of each kind would be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) io: Option<Cursor>,
    pub(crate) mem32: Option<Cursor>,
    pub(crate) mem64: Option<Cursor>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    pub(crate) next: u64,
    end: u64,
}

/// What the way to a bus allows.
#[derive(Clone, Copy, Debug)]
struct Path {
    /// Bridges on the way; 0 on the root bus.
    depth: u8,
    /// Firmware has set a bridge's windows on the way.
    fixed: bool,
    /// Every bridge on the way has a 64-bit prefetchable window.
    prefetch64: bool,
}

impl BarAllocator {
    /// Allocates from these windows.
    #[must_use]
    pub fn new(windows: Windows) -> Self {
        let cursor = |window: Option<Window>, first: u64, end: u64| {
            window.map(|window| Cursor { next: window.bus.max(first), end: window.end().min(end) })
        };
        // Address 0 means "none".
        let mem32 = cursor(windows.mem32, 1, FOUR_GIB);
        let mut mem64 = cursor(windows.mem64, 1, u64::MAX);
        // What both windows hold is given once: below.
        if let (Some(lower), Some(upper)) = (&mem32, &mut mem64) {
            upper.block(lower.next, lower.end);
        }
        let room = Room { io: cursor(windows.io, FIRST_PORT, FOUR_GIB), mem32, mem64 };
        Self { windows, room, seen: BusSet::default(), first_error: None, assigned: 0 }
    }

    /// Gives every BAR below bus `root` that has no address one, and answers how many it gave.
    ///
    /// Bridges need their bus numbers first: [`number_buses`](crate::number_buses). No driver may be at work meanwhile,
    /// for BARs are sized. A device that gets an address does not decode any until a driver switches it on.
    ///
    /// # Errors
    /// The first refusal: [`PciError::NoRoom`], [`PciError::BarOutsideWindow`] (an address that was there already),
    /// [`PciError::MalformedBar`], [`PciError::BarRefused`], [`PciError::BehindFixedBridge`],
    /// [`PciError::BridgeWindowRefused`], [`PciError::TooDeep`]. Everything else that can be assigned is assigned nevertheless, so a machine in which one
    /// exotic card does not fit still comes up.
    pub fn assign_all<A: ConfigAccess>(&mut self, access: &A, root: u8) -> Result<usize, PciError> {
        self.seen = BusSet::default();
        self.seen.insert(root);
        self.first_error = None;
        self.assigned = 0;
        self.stay_clear_of_what_is_in_use(access, root);
        self.assign_bus(access, root, Path { depth: 0, fixed: false, prefetch64: true });
        match self.first_error {
            None => Ok(self.assigned),
            Some(error) => Err(error),
        }
    }

    fn refuse(&mut self, error: PciError) {
        self.first_error.get_or_insert(error);
    }

    fn stay_clear_of_what_is_in_use<A: ConfigAccess>(&mut self, access: &A, root: u8) {
        for function in walk(access, root).filter(|function| !function.is_platform_bridge()) {
            // A malformed BAR is reported by the second pass.
            for bar in bars_and_error(access, &function).0.iter().flatten() {
                self.stay_clear_of_bar(&function, bar);
            }
            if let Some((start, end)) = rom(access, &function) {
                self.room.raise(BarKind::Memory32, start, end);
            }
            if function.header == Header::Bridge {
                for opening in bridge::openings(access, function.address).iter().flatten() {
                    self.room.raise(opening.kind, opening.start, opening.end);
                }
            }
        }
    }

    fn stay_clear_of_bar(&mut self, function: &Function, bar: &BarInfo) {
        let ignored = bar.kind == BarKind::Io && self.windows.io.is_none();
        if !bar.is_assigned() || ignored {
            return;
        }
        // One that lies in a window only in part blocks that part.
        self.room.raise(bar.kind, bar.address, bar.address.saturating_add(bar.size));
        if let Err(error) = self.windows.locate(function.address, bar) {
            self.refuse(error);
        }
    }

    fn assign_bus<A: ConfigAccess>(&mut self, access: &A, bus: u8, path: Path) {
        for function in functions_on(access, bus).filter(|function| !function.is_platform_bridge()) {
            let (all, error) = bars_and_error(access, &function);
            if let Some(error) = error {
                self.refuse(error);
            }
            for bar in all.iter().flatten().filter(|bar| !bar.is_assigned()) {
                self.assign_bar(access, &function, bar, path);
            }
            if function.header == Header::Bridge {
                self.assign_behind(access, &function, path);
            }
        }
    }

    fn assign_bar<A: ConfigAccess>(&mut self, access: &A, function: &Function, bar: &BarInfo, path: Path) {
        if bar.kind == BarKind::Io && self.room.io.is_none() {
            return;
        }
        if path.fixed {
            return self.refuse(PciError::BehindFixedBridge { function: function.address, bar: bar.index });
        }
        match self.room.take(bar, path) {
            Some(address) if assign(access, function, bar, address) => {
                self.assigned = self.assigned.saturating_add(1);
            }
            Some(_) => self.refuse(PciError::BarRefused { function: function.address, bar: bar.index }),
            None => {
                self.refuse(PciError::NoRoom { function: function.address, bar: bar.index, size: bar.size });
            }
        }
    }

    fn assign_behind<A: ConfigAccess>(&mut self, access: &A, function: &Function, path: Path) {
        let address = function.address;
        let [_, secondary, _] = bus_numbers(access, address);
        if secondary == 0 || !self.seen.insert(secondary) {
            return;
        }
        if path.depth >= MAX_DEPTH {
            return self.refuse(PciError::TooDeep(address));
        }
        let depth = path.depth.saturating_add(1);
        let fixed = path.fixed || bridge::openings(access, address).iter().any(Option::is_some);
        if fixed {
            return self.assign_bus(access, secondary, Path { depth, fixed, ..path });
        }
        let prefetch64 = path.prefetch64 && bridge::has_prefetch64(access, address);
        let before = self.room;
        let start = self.room.map(bridge::align);
        self.room = start;
        self.assign_bus(access, secondary, Path { depth, fixed, prefetch64 });
        let end = self.room.map(bridge::align);
        // What stayed empty gives the alignment back.
        self.room = Room {
            io: used_or(start.io, end.io, before.io),
            mem32: used_or(start.mem32, end.mem32, before.mem32),
            mem64: used_or(start.mem64, end.mem64, before.mem64),
        };
        if !bridge::open(access, address, &start, &end) {
            self.refuse(PciError::BridgeWindowRefused(address));
        }
    }
}

fn used_or(start: Option<Cursor>, end: Option<Cursor>, before: Option<Cursor>) -> Option<Cursor> {
    let used = start.map(|cursor| cursor.next) != end.map(|cursor| cursor.next);
    if used { end } else { before }
}

impl Room {
    /// Takes room for a BAR: a 64-bit one from the upper window if the way there allows it.
    fn take(&mut self, bar: &BarInfo, path: Path) -> Option<u64> {
        match bar.kind {
            BarKind::Io => self.io.as_mut()?.take(bar.size),
            BarKind::Memory32 => self.mem32.as_mut()?.take(bar.size),
            BarKind::Memory64 => {
                // A bridge forwards 64-bit addresses only in its prefetchable window.
                let upper = path.depth == 0 || (bar.prefetchable && path.prefetch64);
                let high =
                    if upper { self.mem64.as_mut().and_then(|cursor| cursor.take(bar.size)) } else { None };
                high.or_else(|| self.mem32.as_mut()?.take(bar.size))
            }
        }
    }

    /// Keeps everything below `end` out of the windows that the range reaches into.
    fn raise(&mut self, kind: BarKind, start: u64, end: u64) {
        let cursors = match kind {
            BarKind::Io => [self.io.as_mut(), None],
            BarKind::Memory32 | BarKind::Memory64 => [self.mem32.as_mut(), self.mem64.as_mut()],
        };
        for cursor in cursors.into_iter().flatten() {
            cursor.block(start, end);
        }
    }

    fn map(&self, change: impl Fn(Opening, u64) -> u64) -> Self {
        let apply = |cursor: Option<Cursor>, opening| {
            cursor.map(|cursor| Cursor { next: change(opening, cursor.next), ..cursor })
        };
        Self {
            io: apply(self.io, Opening::Io),
            mem32: apply(self.mem32, Opening::Memory),
            mem64: apply(self.mem64, Opening::Prefetch),
        }
    }
}

impl Cursor {
    /// Goes past a range if it reaches into what is left.
    fn block(&mut self, start: u64, end: u64) {
        if start < self.end && end > self.next {
            self.next = end.min(self.end);
        }
    }

    fn take(&mut self, size: u64) -> Option<u64> {
        let address = self.next.checked_next_multiple_of(size)?;
        let end = address.checked_add(size)?;
        if end > self.end {
            return None;
        }
        self.next = end;
        Some(address)
    }
}
