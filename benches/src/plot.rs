//! The picture: instructions and nanoseconds per request, a group of bars for each row.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;

use crate::contestant::Contestant;
use crate::results::{Cell, Results};
use crate::row::Row;
use crate::table::TARGET;

const WIDTH: u32 = 1800;
const HEIGHT: u32 = 1240;
/// Rows of pixels for the title.
const HEAD: u32 = 90;

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Colours that differ in brightness too.
fn colour(contestant: Contestant) -> RGBColor {
    match contestant {
        Contestant::Floor => RGBColor(120, 120, 120),
        Contestant::OursRaw => RGBColor(0, 90, 160),
        Contestant::OursOwned => RGBColor(110, 180, 230),
        Contestant::VirtioDrivers => RGBColor(230, 159, 0),
        Contestant::VirtioDriver => RGBColor(204, 121, 167),
    }
}

/// Draws it into `file`.
///
/// # Errors
/// What the drawing or the file system says.
pub fn draw(results: &Results, file: &Path) -> Result<(), Box<dyn Error>> {
    register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
        .map_err(|_| "the font that came along is no font")?;
    let mut pixels = vec![0; (WIDTH * HEIGHT * 3) as usize];
    {
        let root = BitMapBackend::with_buffer(&mut pixels, (WIDTH, HEIGHT)).into_drawing_area();
        root.fill(&WHITE)?;
        let (head, charts) = root.split_vertically(HEAD);
        legend(&head)?;
        let (above, below) = charts.split_vertically((HEIGHT - HEAD) / 2);
        bars(&above, results, "driver instructions per request", |cell| cell.count.total())?;
        bars(&below, results, "ns per request, with the device", |cell| cell.time.both)?;
        root.present()?;
    }
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(file)?), WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(())
}

/// One chart.
fn bars(
    area: &Area<'_>,
    results: &Results,
    unit: &str,
    value: fn(&Cell) -> f64,
) -> Result<(), Box<dyn Error>> {
    let rows = Row::all();
    let of = |row, contestant| results.cell(row, contestant).map(value).filter(|value| value.is_finite());
    let values = rows.iter().flat_map(|row| Contestant::ALL.map(|contestant| of(*row, contestant)));
    let top = values.flatten().fold(1.0, f64::max) * 1.12;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(56)
        .y_label_area_size(84)
        .build_cartesian_2d(0.0..rows.len() as f64, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_labels(0)
        .y_label_formatter(&|value| format!("{value:.0}"))
        .y_desc(unit)
        .axis_desc_style(("sans-serif", 24))
        .y_label_style(("sans-serif", 20))
        .draw()?;
    let width = 0.86 / Contestant::ALL.len() as f64;
    for (place, contestant) in Contestant::ALL.into_iter().enumerate() {
        let colour = colour(contestant);
        let left = |group: usize| group as f64 + 0.07 + place as f64 * width;
        let cells = || {
            let of = |(group, row): (usize, &Row)| of(*row, contestant).map(|value| (group, value));
            rows.iter().enumerate().filter_map(of).collect::<Vec<_>>()
        };
        let bar = |(group, value): (usize, f64)| {
            Rectangle::new(
                [(left(group), 0.0), (left(group) + width * 0.94, value.max(0.0))],
                colour.filled(),
            )
        };
        chart.draw_series(cells().into_iter().map(bar))?;
        let style = TextStyle::from(("sans-serif", 14)).pos(centred_above());
        chart.draw_series(cells().into_iter().map(|(group, value)| {
            let at = (left(group) + width * 0.47, value.max(0.0) + top * 0.008);
            Text::new(format!("{value:.0}"), at, style.clone())
        }))?;
    }
    // The target, across each group.
    for (group, row) in rows.iter().enumerate() {
        let target = TARGET * value(results.floor(*row));
        let line = vec![(group as f64 + 0.04, target), (group as f64 + 0.96, target)];
        chart.draw_series([PathElement::new(line, BLACK.stroke_width(2))])?;
    }
    // Names of the groups, below the axis: ring and shape, then the rest.
    let style = TextStyle::from(("sans-serif", 19)).pos(centred_below());
    for (group, row) in rows.iter().enumerate() {
        let (x, y) = chart.backend_coord(&(group as f64 + 0.5, 0.0));
        let (left, up) = area.get_base_pixel();
        let name = row.to_string();
        let words: Vec<_> = name.splitn(3, '-').collect();
        let lines = [words[..2].join("-"), words[2..].join("-").replace("-event", ", event idx")];
        for (line, text) in (0..).zip(lines) {
            area.draw_text(&text, &style, (x - left, y - up + 10 + 21 * line))?;
        }
    }
    Ok(())
}

/// The title and what the colours mean.
fn legend(area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let title =
        format!("What a request costs, against a ring written by hand (black line: {TARGET} times that)");
    area.draw_text(&title, &TextStyle::from(("sans-serif", 32)), (84, 14))?;
    let style = TextStyle::from(("sans-serif", 24));
    let mut x = 96;
    for contestant in Contestant::ALL {
        area.draw(&Rectangle::new([(x, 60), (x + 20, 80)], colour(contestant).filled()))?;
        area.draw_text(contestant.name(), &style, (x + 30, 58))?;
        x += 240;
    }
    Ok(())
}

fn centred_above() -> plotters::style::text_anchor::Pos {
    use plotters::style::text_anchor::{HPos, Pos, VPos};
    Pos::new(HPos::Center, VPos::Bottom)
}

fn centred_below() -> plotters::style::text_anchor::Pos {
    use plotters::style::text_anchor::{HPos, Pos, VPos};
    Pos::new(HPos::Center, VPos::Top)
}
