//! Detailed timings: a mode, as the monitor describes it (VESA E-EDID 1.4, section 3.10.2).

use core::fmt;

use super::DESCRIPTOR_LEN;

/// A video mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Mode {
    /// Visible pixels in a row.
    pub width: u32,
    /// Visible rows. Of an interlaced mode, both fields together.
    pub height: u32,
    /// Pictures (interlaced: fields) in a thousand seconds.
    pub refresh_millihertz: u32,
    /// Pixels in a millisecond, the invisible ones included.
    pub pixel_clock_khz: u32,
    /// Whether rows come in two fields.
    pub interlaced: bool,
}

impl Mode {
    /// Reads a descriptor; `None` if it is no timing, or one without pixels.
    pub(super) fn parse(descriptor: &[u8; DESCRIPTOR_LEN]) -> Option<Self> {
        let [c0, c1, h, h_blank, h_high, v, v_blank, v_high, .., flags] = *descriptor;
        let clock = u32::from(u16::from_le_bytes([c0, c1])).saturating_mul(10);
        if clock == 0 {
            return None;
        }
        let join = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high & 0x0f]));
        let (width, width_blank) = (join(h, h_high >> 4), join(h_blank, h_high));
        let (rows, rows_blank) = (join(v, v_high >> 4), join(v_blank, v_high));
        if width == 0 || rows == 0 {
            return None;
        }
        let interlaced = flags & 0x80 != 0;
        let all = u64::from(width.saturating_add(width_blank))
            .saturating_mul(u64::from(rows.saturating_add(rows_blank)));
        let refresh = u64::from(clock).saturating_mul(1_000_000).checked_div(all)?;
        Some(Self {
            width,
            height: if interlaced { rows.saturating_mul(2) } else { rows },
            refresh_millihertz: u32::try_from(refresh).unwrap_or(u32::MAX),
            pixel_clock_khz: clock,
            interlaced,
        })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.refresh_millihertz / 1000, self.refresh_millihertz % 1000);
        let scan = if self.interlaced { "i" } else { "" };
        write!(f, "{}x{}{scan} at {whole}.{:02} Hz", self.width, self.height, rest / 10)
    }
}
