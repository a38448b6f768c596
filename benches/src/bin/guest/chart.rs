//! Pictures: charts of bars, a group for each row.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const WIDTH: u32 = 1800;
const CHART: u32 = 560;
/// Rows of pixels for the title.
const HEAD: u32 = 90;

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// One of the sides.
#[derive(Clone, Copy)]
pub struct Side {
    /// Its name.
    pub name: &'static str,
    /// Its colour; they differ in brightness too.
    pub colour: RGBColor,
}

/// The incumbent's.
pub const THEIRS: RGBColor = RGBColor(230, 159, 0);
/// Ours.
pub const OURS: RGBColor = RGBColor(0, 90, 160);
/// Ours, a part.
pub const PART: RGBColor = RGBColor(110, 180, 230);

/// One chart.
pub struct Chart {
    /// What the bars show.
    pub unit: &'static str,
    /// Names below the groups; a comma ends a line.
    pub groups: Vec<String>,
    /// For each group, a value for each side that has one.
    pub values: Vec<Vec<Option<f64>>>,
}

/// Draws the charts, one below the other, into `file`.
///
/// # Errors
/// What the drawing or the file system says.
pub fn draw(title: &str, sides: &[Side], charts: &[Chart], file: &Path) -> Result<(), Box<dyn Error>> {
    register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
        .map_err(|_| "the font that came along is no font")?;
    let height = HEAD + CHART * u32::try_from(charts.len())?;
    let mut pixels = vec![0; (WIDTH * height * 3) as usize];
    {
        let root = BitMapBackend::with_buffer(&mut pixels, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE)?;
        let (head, body) = root.split_vertically(HEAD);
        legend(&head, title, sides)?;
        for (area, chart) in body.split_evenly((charts.len(), 1)).iter().zip(charts) {
            bars(area, sides, chart)?;
        }
        root.present()?;
    }
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(file)?), WIDTH, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(())
}

fn bars(area: &Area<'_>, sides: &[Side], chart: &Chart) -> Result<(), Box<dyn Error>> {
    let top = chart.values.iter().flatten().flatten().copied().fold(0.0, f64::max) * 1.12;
    let top = if top > 0.0 { top } else { 1.0 };
    let mut context = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(56)
        .y_label_area_size(96)
        .build_cartesian_2d(0.0..chart.groups.len() as f64, 0.0..top)?;
    context
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .x_labels(0)
        .y_label_formatter(&|value| format!("{value:.0}"))
        .y_desc(chart.unit)
        .axis_desc_style(("sans-serif", 24))
        .y_label_style(("sans-serif", 20))
        .draw()?;
    let width = 0.86 / sides.len() as f64;
    let digits = if top < 20.0 { 1 } else { 0 };
    for (place, side) in sides.iter().enumerate() {
        for (group, values) in chart.values.iter().enumerate() {
            let Some(value) = values.get(place).copied().flatten() else { continue };
            let left = group as f64 + 0.07 + place as f64 * width;
            let bar = Rectangle::new([(left, 0.0), (left + width * 0.94, value)], side.colour.filled());
            let style = TextStyle::from(("sans-serif", 16)).pos(Pos::new(HPos::Center, VPos::Bottom));
            let label =
                Text::new(format!("{value:.digits$}"), (left + width * 0.47, value + top * 0.008), style);
            context.draw_series([bar])?;
            context.draw_series([label])?;
        }
    }
    let style = TextStyle::from(("sans-serif", 19)).pos(Pos::new(HPos::Center, VPos::Top));
    for (group, name) in chart.groups.iter().enumerate() {
        let (x, y) = context.backend_coord(&(group as f64 + 0.5, 0.0));
        let (left, up) = area.get_base_pixel();
        for (line, text) in (0..).zip(name.split(',')) {
            area.draw_text(text.trim(), &style, (x - left, y - up + 10 + 21 * line))?;
        }
    }
    Ok(())
}

fn legend(area: &Area<'_>, title: &str, sides: &[Side]) -> Result<(), Box<dyn Error>> {
    area.draw_text(title, &TextStyle::from(("sans-serif", 30)), (84, 14))?;
    let style = TextStyle::from(("sans-serif", 24));
    let mut x = 96;
    for side in sides {
        area.draw(&Rectangle::new([(x, 60), (x + 20, 80)], side.colour.filled()))?;
        area.draw_text(side.name, &style, (x + 30, 58))?;
        x += 260;
    }
    Ok(())
}
