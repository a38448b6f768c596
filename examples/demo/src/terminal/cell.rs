//! One character cell, packed into eight bytes.

use embedded_graphics::pixelcolor::Rgb888;

const RGB: u32 = 0x00ff_ffff;
const BOLD: u32 = 1 << 24;
const DIRTY: u32 = 1 << 31;

/// A colour, 0x00RRGGBB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Color(u32);

/// Text without a colour of its own.
pub(crate) const FOREGROUND: Color = Color(0x00c8_d0d9);
/// The screen.
pub(crate) const BACKGROUND: Color = Color(0x0012_171e);

/// Black, red, green, yellow, blue, magenta, cyan, white; then the same, bright.
const NAMED: [Color; 16] = [
    Color(0x0026_2d37),
    Color(0x00d9_5f5b),
    Color(0x0062_b866),
    Color(0x00d8_ae52),
    Color(0x0056_96de),
    Color(0x00ae_78d6),
    Color(0x0048_b0ba),
    Color(0x00c8_d0d9),
    Color(0x006a_7480),
    Color(0x00f5_837f),
    Color(0x0074_e07c),
    Color(0x00f2_cf78),
    Color(0x0084_baf8),
    Color(0x00d0_a2f4),
    Color(0x0076_d8e0),
    Color(0x00f6_f8fb),
];

impl Color {
    /// A colour from its parts; a part above 255 counts as 255.
    pub(crate) fn rgb(r: u16, g: u16, b: u16) -> Self {
        let part = |value: u16| u32::from(value.min(255));
        Self(part(r) << 16 | part(g) << 8 | part(b))
    }

    /// One of the 16 named colours.
    pub(crate) fn named(index: u16) -> Option<Self> {
        NAMED.get(usize::from(index)).copied()
    }
}

impl From<Color> for Rgb888 {
    fn from(color: Color) -> Self {
        let [_, r, g, b] = color.0.to_be_bytes();
        Self::new(r, g, b)
    }
}

/// The colours and weight that new text gets. All-zero until something sets it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pen {
    pub(crate) foreground: Option<Color>,
    pub(crate) background: Option<Color>,
    pub(crate) bold: bool,
}

impl Pen {
    pub(crate) const fn new() -> Self {
        Self { foreground: None, background: None, bold: false }
    }

    /// `byte` in the pen's colours.
    pub(crate) fn cell(self, byte: u8) -> Cell {
        let Color(foreground) = self.foreground.unwrap_or(FOREGROUND);
        let Color(background) = self.background.unwrap_or(BACKGROUND);
        let weight = if self.bold { BOLD } else { 0 };
        Cell { glyph: foreground | u32::from(byte) << 24, ground: background | weight }
    }
}

/// A character with its colours, and whether the screen has to be told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cell {
    /// Character and foreground: 0xCCRRGGBB.
    glyph: u32,
    /// Flags and background.
    ground: u32,
}

impl Cell {
    pub(crate) const ZERO: Self = Self { glyph: 0, ground: 0 };

    /// Takes over what `new` shows, and remembers if that is a change.
    pub(crate) fn set(&mut self, new: Self) {
        let same = self.glyph == new.glyph && (self.ground ^ new.ground) & !DIRTY == 0;
        let dirty = if same { self.ground & DIRTY } else { DIRTY };
        *self = Self { glyph: new.glyph, ground: new.ground & !DIRTY | dirty };
    }

    pub(crate) fn mark(&mut self) {
        self.ground |= DIRTY;
    }

    pub(crate) fn clean(&mut self) {
        self.ground &= !DIRTY;
    }

    pub(crate) fn is_dirty(self) -> bool {
        self.ground & DIRTY != 0
    }

    pub(crate) fn is_bold(self) -> bool {
        self.ground & BOLD != 0
    }

    pub(crate) fn byte(self) -> u8 {
        let [byte, ..] = self.glyph.to_be_bytes();
        byte
    }

    pub(crate) fn is_blank(self) -> bool {
        self.byte() == b' '
    }

    pub(crate) fn foreground(self) -> Color {
        Color(self.glyph & RGB)
    }

    pub(crate) fn background(self) -> Color {
        Color(self.ground & RGB)
    }

    /// The cell under the cursor block.
    pub(crate) fn under_cursor(self) -> Self {
        let Color(block) = FOREGROUND;
        let Color(glyph) = BACKGROUND;
        Self { glyph: self.glyph & !RGB | glyph, ground: self.ground & !RGB | block }
    }
}
