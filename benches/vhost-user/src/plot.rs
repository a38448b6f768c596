//! The picture: reads per second and instructions per read, a group of bars for each row.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::contestant::Contestant;
use crate::results::{Cell, Results};
use crate::row::Row;
use crate::table::today;

const WIDTH: u32 = 1400;
const HEIGHT: u32 = 1100;
/// Rows of pixels for the title.
const HEAD: u32 = 90;

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Colours that differ in brightness too.
fn colour(place: usize) -> RGBColor {
    let colours =
        [RGBColor(0, 90, 160), RGBColor(110, 180, 230), RGBColor(230, 159, 0), RGBColor(204, 121, 167)];
    colours[place % colours.len()]
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
        let all: Vec<_> = Row::all().collect();
        bars(&above, results, &all, "thousand reads per second", |cell| cell.time.iops / 1000.0)?;
        let counted: Vec<_> = Row::all().filter(|row| row.is_counted()).collect();
        let total = |cell: &Cell| cell.count.as_ref().map_or(0.0, crate::profile::Count::total);
        bars(&below, results, &counted, "driver instructions per read", total)?;
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
    rows: &[Row],
    unit: &str,
    value: fn(&Cell) -> f64,
) -> Result<(), Box<dyn Error>> {
    let values = rows.iter().flat_map(|row| Contestant::ALL.map(|who| value(results.cell(*row, who))));
    let top = values.fold(1.0, f64::max) * 1.12;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(40)
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
    let text = TextStyle::from(("sans-serif", 16)).pos(Pos::new(HPos::Center, VPos::Bottom));
    let below = TextStyle::from(("sans-serif", 20)).pos(Pos::new(HPos::Center, VPos::Top));
    for (group, row) in rows.iter().enumerate() {
        for (place, contestant) in Contestant::ALL.into_iter().enumerate() {
            let height = value(results.cell(*row, contestant));
            let left = group as f64 + 0.07 + place as f64 * width;
            let corners = [(left, 0.0), (left + width * 0.94, height)];
            let label =
                Text::new(format!("{height:.0}"), (left + width * 0.47, height + top * 0.008), text.clone());
            chart.draw_series([Rectangle::new(corners, colour(place).filled())])?;
            chart.draw_series([label])?;
        }
        let (x, y) = chart.backend_coord(&(group as f64 + 0.5, 0.0));
        let (left, up) = area.get_base_pixel();
        area.draw_text(&row.to_string(), &below, (x - left, y - up + 10))?;
    }
    Ok(())
}

/// The title and what the colours mean.
fn legend(area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    let title = format!("Random reads of 4 KiB, qemu-storage-daemon over vhost-user, {}", today());
    area.draw_text(&title, &TextStyle::from(("sans-serif", 32)), (84, 14))?;
    let style = TextStyle::from(("sans-serif", 24));
    let mut x = 96;
    for (place, contestant) in Contestant::ALL.into_iter().enumerate() {
        area.draw(&Rectangle::new([(x, 60), (x + 20, 80)], colour(place).filled()))?;
        area.draw_text(contestant.name(), &style, (x + 30, 58))?;
        x += 280;
    }
    Ok(())
}
