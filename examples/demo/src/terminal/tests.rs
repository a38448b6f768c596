use super::*;
use crate::testing::{Canvas, terminal};
use alloc::string::String;
use alloc::vec::Vec;
use embedded_graphics::mono_font::MonoTextStyleBuilder;
use embedded_graphics::mono_font::ascii::FONT_10X20;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Drawable, Point};
use embedded_graphics::text::{Baseline, Text};

fn row(terminal: &Terminal, row: u16) -> String {
    terminal.row(row).collect::<String>().trim_end().into()
}

/// The same bytes on a fresh terminal, painted in one go.
fn fresh(bytes: &[u8], width: u32, height: u32) -> Canvas {
    let mut terminal = terminal(width, height);
    terminal.write(bytes);
    let mut canvas = Canvas::new(width.try_into().unwrap(), height.try_into().unwrap());
    terminal.draw(&mut canvas).unwrap();
    canvas
}

#[test]
fn lines_controls_and_tabs() {
    let mut terminal = terminal(640, 480);
    terminal.write(b"one\ntwo\rT\n\tx\x08y\n\x08z\xc3\xa4\x07");
    assert_eq!(row(&terminal, 0), "one");
    assert_eq!(row(&terminal, 1), "Two");
    assert_eq!(row(&terminal, 2), "        y");
    assert_eq!(row(&terminal, 3), "z??");
    assert_eq!(terminal.cursor(), (3, 3));
}

#[test]
fn a_full_line_wraps_late() {
    let mut terminal = terminal(640, 480);
    let columns = usize::from(terminal.columns());
    terminal.write(&alloc::vec![b'a'; columns]);
    assert_eq!(terminal.cursor(), (terminal.columns() - 1, 0));
    terminal.write(b"\nb");
    assert_eq!(row(&terminal, 1), "b", "no empty line between");
    terminal.write(&alloc::vec![b'c'; columns]);
    assert_eq!(row(&terminal, 2), "c");
}

#[test]
fn scrolling_keeps_the_last_lines() {
    let mut terminal = terminal(640, 480);
    let rows = terminal.rows();
    for line in 0..100 {
        terminal.write(alloc::format!("line {line}\n").as_bytes());
    }
    assert_eq!(row(&terminal, rows - 1), "");
    assert_eq!(row(&terminal, rows - 2), "line 99");
    assert_eq!(row(&terminal, 0), alloc::format!("line {}", 101 - rows));
    terminal.write(b"\x1b[2J\x1b[Htop");
    assert_eq!(row(&terminal, 0), "top");
    assert!((1..rows).all(|line| row(&terminal, line).is_empty()));
}

#[test]
fn unknown_escapes_leave_no_trace() {
    let mut terminal = terminal(640, 480);
    terminal.write(
        b"a\x1b[?25lb\x1b[>1;2;3zc\x1b(Bd\x1b]0;title\x07e\x1b[12;99999999999;;;;;;;;;;;;;;;;;;;Xf\x1b7g",
    );
    terminal.write(b"\x1b[38;5;200mh\x1b[38mi\x1b[38;2;1mj\x1b[48;9;9mk\x1b[77ml");
    assert_eq!(row(&terminal, 0), "abcdefghijkl");
    terminal.write(b"\x1b]never ended\nnext\x1b[1\nlast");
    assert_eq!(row(&terminal, 1), "next");
    assert_eq!(row(&terminal, 2), "last");
}

#[test]
fn the_cursor_moves_within_the_grid() {
    let mut terminal = terminal(640, 480);
    terminal.write(b"\x1b[3;5Hx\x1b[999;999H");
    assert_eq!(row(&terminal, 2), "    x");
    assert_eq!(terminal.cursor(), (terminal.columns() - 1, terminal.rows() - 1));
    terminal.write(b"\x1b[H");
    assert_eq!(terminal.cursor(), (0, 0));
}

#[test]
fn colours_reach_the_pixels() {
    let canvas = fresh(b"\x1b[48;2;1;2;3m \x1b[0m \x1b[48;2;300;0;9m\x1b[K", 640, 480);
    // 640 - 2 * 16 is 60 cells and 8 pixels over: the grid begins at 20.
    assert_eq!(canvas.pixel(25, 20), Rgb888::new(1, 2, 3));
    assert_eq!(canvas.pixel(35, 20), Rgb888::from(cell::BACKGROUND));
    assert_eq!(canvas.pixel(0, 0), Rgb888::new(1, 2, 3), "the corner takes its cell's colour");
    assert_eq!(canvas.pixel(639, 20), Rgb888::new(255, 0, 9), "to the edge");
    assert_eq!(canvas.pixel(639, 479), Rgb888::from(cell::BACKGROUND));
}

/// Our glyphs are those that embedded-graphics draws as text.
#[test]
fn characters_are_the_fonts() {
    let line: String = (' '..='~').collect();
    let sent = alloc::format!("\x1b[38;2;255;255;255m\x1b[48;2;0;0;1m{line}");
    let ours = fresh(sent.as_bytes(), 1280, 800);
    let style = MonoTextStyleBuilder::new()
        .font(&FONT_10X20)
        .text_color(Rgb888::new(255, 255, 255))
        .background_color(Rgb888::new(0, 0, 1))
        .build();
    let mut theirs = Canvas::new(1280, 800);
    Text::with_baseline(&line, Point::new(20, 20), style, Baseline::Top).draw(&mut theirs).unwrap();
    for y in 20..40 {
        for x in 20..20 + 95 * 10 {
            assert_eq!(ours.pixel(x, y), theirs.pixel(x, y), "at {x}, {y}");
        }
    }
}

#[test]
fn bold_is_struck_twice() {
    let plain = fresh(b"\x1b[HI\n", 640, 480);
    let bold = fresh(b"\x1b[H\x1b[1mI\n", 640, 480);
    let background = Rgb888::from(cell::BACKGROUND);
    let mut thicker = 0;
    for y in 20..40 {
        for x in 21..30 {
            let ink = |canvas: &Canvas, x| canvas.pixel(x, y) != background;
            assert_eq!(ink(&bold, x), ink(&plain, x) || ink(&plain, x - 1));
            thicker += usize::from(ink(&bold, x) && !ink(&plain, x));
        }
    }
    assert!(thicker > 0);
}

#[test]
fn the_first_draw_covers_the_screen_and_the_next_nothing() {
    for (width, height) in [(640, 480), (1280, 800), (1366, 768), (3840, 2160), (43, 57)] {
        let mut terminal = terminal(width, height);
        let mut canvas = Canvas::new(width.try_into().unwrap(), height.try_into().unwrap());
        terminal.draw(&mut canvas).unwrap();
        assert!(canvas.pixels().iter().all(|&pixel| pixel != Rgb888::new(255, 0, 254)), "{width}x{height}");
        canvas.written = 0;
        terminal.draw(&mut canvas).unwrap();
        assert_eq!(canvas.written, 0);
    }
}

#[test]
fn only_what_changed_is_painted() {
    let mut terminal = terminal(640, 480);
    let mut canvas = Canvas::new(640, 480);
    terminal.write(b"\n\n   abc\n");
    terminal.draw(&mut canvas).unwrap();
    canvas.written = 0;
    // A character away from the border, written again as it was; then one that differs; the cursor at its end.
    terminal.write(b"\x1b[3;4Habc\x1b[4;1H");
    terminal.draw(&mut canvas).unwrap();
    assert_eq!(canvas.written, 0);
    terminal.write(b"\x1b[3;4HX\x1b[4;1H");
    terminal.draw(&mut canvas).unwrap();
    assert_eq!(canvas.written, 200);
}

#[test]
fn a_failed_draw_is_made_good() {
    struct Fails;
    impl embedded_graphics::geometry::OriginDimensions for Fails {
        fn size(&self) -> Size {
            Size::new(640, 480)
        }
    }
    impl embedded_graphics::draw_target::DrawTarget for Fails {
        type Color = Rgb888;
        type Error = ();
        fn draw_iter<I>(&mut self, _: I) -> Result<(), ()>
        where
            I: IntoIterator<Item = embedded_graphics::Pixel<Rgb888>>,
        {
            Err(())
        }
    }
    let mut terminal = terminal(640, 480);
    let mut canvas = Canvas::new(640, 480);
    terminal.write(b"hello");
    assert_eq!(terminal.draw(&mut Fails), Err(()));
    terminal.draw(&mut canvas).unwrap();
    assert_eq!(canvas.pixels(), fresh(b"hello", 640, 480).pixels());
}

#[test]
fn the_cursor_block_follows() {
    let mut terminal = terminal(640, 480);
    let mut canvas = Canvas::new(640, 480);
    terminal.draw(&mut canvas).unwrap();
    let block = Rgb888::from(cell::FOREGROUND);
    assert_eq!(canvas.pixel(25, 30), block);
    terminal.write(b"ab");
    terminal.draw(&mut canvas).unwrap();
    assert_ne!(canvas.pixel(25, 21), block);
    assert_eq!(canvas.pixel(45, 30), block);
}

/// Many random streams in random pieces, drawn after each piece: the screen is always what one draw of
/// everything gives, and no bytes do harm.
#[test]
fn drawing_in_pieces_changes_nothing() {
    let mut seed = 7_u32;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(seed >> 16).unwrap() % below
    };
    let pieces: [&[u8]; 14] = [
        b"hello ",
        b"\n",
        b"\x1b[1;32m",
        b"\x1b[0m",
        b"\x1b[2J",
        b"\x1b[H",
        b"\x1b[K",
        b"\x1b[48;2;9;90;200m",
        b"\t",
        b"\x08",
        b"\x1b[7;30H",
        b"\x1b[38;2;250",
        b"\xff\x00",
        b"\r",
    ];
    for _ in 0..8 {
        let mut terminal = terminal(320, 200);
        let mut canvas = Canvas::new(320, 200);
        let mut all: Vec<u8> = Vec::new();
        for _ in 0..60 {
            let noise = [u8::try_from(random(256)).unwrap()];
            let piece = if random(3) == 0 { &noise[..] } else { pieces[random(pieces.len())] };
            terminal.write(piece);
            all.extend_from_slice(piece);
            if random(2) == 0 {
                terminal.draw(&mut canvas).unwrap();
            }
        }
        terminal.draw(&mut canvas).unwrap();
        assert!(canvas.pixels() == fresh(&all, 320, 200).pixels(), "{:?}", String::from_utf8_lossy(&all));
    }
}

#[test]
fn without_a_screen_nothing_happens() {
    let mut terminal = alloc::boxed::Box::new(Terminal::new());
    let mut canvas = Canvas::new(10, 10);
    terminal.write(b"hello\n\t\x08\x1b[9;9H\x1b[2J\x1b[Kworld");
    terminal.draw(&mut canvas).unwrap();
    for (width, height) in [(0, 0), (1, 1), (30, 800), (800, 30), (u32::MAX, 1)] {
        terminal.resize(Size::new(width, height));
        terminal.write(b"hello\n\t\x08\x1b[9;9H\x1b[2J\x1b[Kworld");
        terminal.draw(&mut canvas).unwrap();
        assert_eq!((terminal.columns(), terminal.rows()), (0, 0));
    }
    assert_eq!(canvas.written, 0);
    terminal.resize(Size::new(100_000, 100_000));
    assert_eq!(usize::from(terminal.columns()), MAX_COLUMNS);
    assert_eq!(usize::from(terminal.rows()), MAX_ROWS);
}

#[test]
fn the_static_terminal_is_taken_once() {
    let terminal = Terminal::take().unwrap();
    terminal.resize(Size::new(640, 480));
    terminal.write(b"mine");
    assert_eq!(row(terminal, 0), "mine");
    assert!(Terminal::take().is_none());
}

#[test]
fn the_block_stays_in_its_cell_at_the_border() {
    let canvas = fresh(b"\x1b[999;999H", 640, 480);
    let block = Rgb888::from(cell::FOREGROUND);
    let painted = canvas.pixels().iter().filter(|&&pixel| pixel == block).count();
    assert_eq!(painted, 200);
}
