//! The address windows of a PCI-to-PCI bridge (PCI-to-PCI Bridge 1.2 §3.2.5).

use crate::allocate::{Cursor, Room};
use crate::bar::BarKind;
use crate::header::{
    COMMAND_IO, COMMAND_MASTER, COMMAND_MEMORY, IO_UPPER, IO_WINDOW, MEMORY_WINDOW, PREFETCH_BASE_UPPER,
    PREFETCH_LIMIT_UPPER, PREFETCH_WINDOW, enable,
};
use crate::{ConfigAccess, FunctionAddress};

/// The three windows that a bridge can open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opening {
    Io,
    Memory,
    Prefetch,
}

/// A window that is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OpenWindow {
    pub(crate) kind: BarKind,
    pub(crate) start: u64,
    /// One past its last address.
    pub(crate) end: u64,
}

/// Windows begin and end on multiples of this.
const fn granule(opening: Opening) -> u64 {
    match opening {
        Opening::Io => 1 << 12,
        Opening::Memory | Opening::Prefetch => 1 << 20,
    }
}

/// The next address at which a window of this kind can begin or end.
pub(crate) fn align(opening: Opening, address: u64) -> u64 {
    address.checked_next_multiple_of(granule(opening)).unwrap_or(u64::MAX)
}

/// Base and limit of a register pair of 16 bits each.
fn pair<A: ConfigAccess>(access: &A, bridge: FunctionAddress, offset: u16) -> (u16, u16) {
    let [a, b, c, d] = access.read32(bridge, offset).to_le_bytes();
    (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
}

const fn join(low: u16, high: u16) -> u32 {
    let ([a, b], [c, d]) = (low.to_le_bytes(), high.to_le_bytes());
    u32::from_le_bytes([a, b, c, d])
}

/// Whether the bridge takes 64-bit addresses in its prefetchable window.
pub(crate) fn has_prefetch64<A: ConfigAccess>(access: &A, bridge: FunctionAddress) -> bool {
    pair(access, bridge, PREFETCH_WINDOW).0 & 0xf == 1
}

/// The windows that someone has opened. Closed is a base above the limit, or both 0, as after a reset.
pub(crate) fn openings<A: ConfigAccess>(access: &A, bridge: FunctionAddress) -> [Option<OpenWindow>; 3] {
    let opened = |kind, base: u64, limit: u64, granule: u64| {
        let closed = base > limit || (base == 0 && limit == 0);
        (!closed).then(|| OpenWindow { kind, start: base, end: limit.saturating_add(granule) })
    };
    let [io_base, io_limit, ..] = access.read32(bridge, IO_WINDOW).to_le_bytes();
    let (io_base_upper, io_limit_upper) = pair(access, bridge, IO_UPPER);
    let port = |low: u8, upper: u16| {
        let upper = if low & 0xf == 1 { u64::from(upper) << 16 } else { 0 };
        upper | u64::from(low & 0xf0) << 8
    };
    let megabytes = |value: u16| u64::from(value & 0xfff0) << 16;
    let (base, limit) = pair(access, bridge, MEMORY_WINDOW);
    let (pre_base, pre_limit) = pair(access, bridge, PREFETCH_WINDOW);
    let upper = |offset| match has_prefetch64(access, bridge) {
        true => u64::from(access.read32(bridge, offset)) << 32,
        false => 0,
    };
    [
        opened(
            BarKind::Io,
            port(io_base, io_base_upper),
            port(io_limit, io_limit_upper),
            granule(Opening::Io),
        ),
        opened(BarKind::Memory32, megabytes(base), megabytes(limit), granule(Opening::Memory)),
        opened(
            BarKind::Memory64,
            upper(PREFETCH_BASE_UPPER) | megabytes(pre_base),
            upper(PREFETCH_LIMIT_UPPER) | megabytes(pre_limit),
            granule(Opening::Prefetch),
        ),
    ]
}

/// Opens the windows from `start` to `end`, closes those that would be empty, and lets the bridge forward both ways.
/// Answers whether the bridge keeps what was written.
pub(crate) fn open<A: ConfigAccess>(access: &A, bridge: FunctionAddress, start: &Room, end: &Room) -> bool {
    let io = open_io(access, bridge, range(start.io, end.io));
    let memory = open_memory(access, bridge, MEMORY_WINDOW, range(start.mem32, end.mem32));
    let prefetch = open_prefetch(access, bridge, range(start.mem64, end.mem64));
    enable(access, bridge, COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER);
    io && memory && prefetch
}

/// First and last address, if there is anything in between.
fn range(start: Option<Cursor>, end: Option<Cursor>) -> Option<(u64, u64)> {
    let (start, end) = (start?.next, end?.next);
    if end > start { Some((start, end.saturating_sub(1))) } else { None }
}

fn open_io<A: ConfigAccess>(access: &A, bridge: FunctionAddress, range: Option<(u64, u64)>) -> bool {
    let Some((first, last)) = range else {
        // The secondary status in the upper half is cleared by writing 1: it gets 0.
        access.write32(bridge, IO_WINDOW, 0x0000_00f0);
        return true;
    };
    let low = |address: u64| {
        let [_, byte, ..] = address.to_le_bytes();
        byte & 0xf0
    };
    let upper = |address: u64| {
        let [_, _, a, b, ..] = address.to_le_bytes();
        u16::from_le_bytes([a, b])
    };
    access.write32(bridge, IO_WINDOW, u32::from_le_bytes([low(first), low(last), 0, 0]));
    access.write32(bridge, IO_UPPER, join(upper(first), upper(last)));
    matches!(openings(access, bridge), [Some(kept), ..] if kept.end.wrapping_sub(1) == last)
}

fn open_memory<A: ConfigAccess>(
    access: &A,
    bridge: FunctionAddress,
    offset: u16,
    range: Option<(u64, u64)>,
) -> bool {
    let megabytes = |address: u64| {
        let [_, _, a, b, ..] = address.to_le_bytes();
        u16::from_le_bytes([a, b]) & 0xfff0
    };
    let value = match range {
        Some((first, last)) => join(megabytes(first), megabytes(last)),
        None => join(0xfff0, 0),
    };
    access.write32(bridge, offset, value);
    range.is_none() || access.read32(bridge, offset) & 0xfff0_fff0 == value
}

fn open_prefetch<A: ConfigAccess>(access: &A, bridge: FunctionAddress, range: Option<(u64, u64)>) -> bool {
    let kept = open_memory(access, bridge, PREFETCH_WINDOW, range);
    let (first, last) = range.unwrap_or_default();
    let upper = |address: u64| {
        let [_, _, _, _, a, b, c, d] = address.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    };
    if !has_prefetch64(access, bridge) {
        return kept;
    }
    access.write32(bridge, PREFETCH_BASE_UPPER, upper(first));
    access.write32(bridge, PREFETCH_LIMIT_UPPER, upper(last));
    kept && access.read32(bridge, PREFETCH_BASE_UPPER) == upper(first)
        && access.read32(bridge, PREFETCH_LIMIT_UPPER) == upper(last)
}
