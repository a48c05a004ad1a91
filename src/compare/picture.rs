//! The plots of a report as PNG.

use std::sync::Once;

use plotters::coord::ranged1d::{NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use super::plot::{Plot, Series};

/// Width and height of a picture in pixels.
const SIZE: (u32, u32) = (1200, 720);
const FONT: &str = "sans-serif";
const TEXT: RGBColor = RGBColor(32, 34, 38);
const GRID: RGBColor = RGBColor(222, 224, 228);
/// Pixels of a dash and of the gap after it.
const DASH: (i32, i32) = (10, 7);
/// Share of the vertical range that is left free above and below the curves.
const MARGIN: f64 = 0.06;

/// The picture cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the picture of '{plot}' cannot be drawn: {reason}")]
pub struct PictureError {
    /// Id of the plot.
    plot: String,
    /// The reason.
    reason: String,
}

/// The colour of a curve, as in the light theme of the page.
fn colour(name: &str) -> RGBColor {
    match name {
        "a" | "h1" => RGBColor(20, 87, 184),
        "b" | "h2" => RGBColor(176, 74, 0),
        "difference" | "h4" => RGBColor(138, 28, 124),
        "h3" => RGBColor(28, 122, 62),
        "h5" => RGBColor(138, 109, 0),
        "h6" => RGBColor(0, 122, 138),
        _ => RGBColor(107, 111, 120),
    }
}

/// Makes the font known to plotters, once.
fn use_font() {
    static ONCE: Once = Once::new();
    // Fails only if the font is not valid; then text is left out.
    ONCE.call_once(|| drop(register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)));
}

/// An axis that is linear in its position, which is the logarithm of the value where the plot says so.
struct PositionAxis {
    range: (f64, f64),
    log: bool,
}

impl Ranged for PositionAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.range.0) / (self.range.1 - self.range.0);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: plotters::coord::ranged1d::KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let (low, high) = self.range;
        if self.log {
            let factors: &[f64] = if high - low > 2.2 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let powers = low.floor() as i32..=high.ceil() as i32;
            let points = powers.flat_map(|power| factors.iter().map(move |factor| factor.log10() + f64::from(power)));
            return points.filter(|point| (low - 1e-9..=high + 1e-9).contains(point)).collect();
        }
        let rough = (high - low) / hint.max_num_points().clamp(2, 8) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let first = (low / step).ceil() as i64;
        (first..).map(|i| i as f64 * step).take_while(|tick| *tick <= high + 1e-9 * step).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.range.0..self.range.1
    }
}

impl ValueFormatter<f64> for PositionAxis {
    fn format_ext(&self, value: &f64) -> String {
        let value = if self.log { 10f64.powf(*value) } else { *value };
        if value.abs() >= 1000.0 {
            return format!("{}k", round(value / 1000.0));
        }
        round(value).to_string()
    }
}

/// A number with three significant digits.
fn round(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { format!("{value:.2e}").parse().unwrap_or(value) }
}

/// Draws a plot as a PNG file in memory. [control thread: takes its time]
///
/// # Errors
/// [`PictureError`].
pub fn png(plot: &Plot) -> Result<Vec<u8>, PictureError> {
    let failed = |reason: String| PictureError { plot: plot.id.clone(), reason };
    use_font();
    let mut pixels = vec![255; SIZE.0 as usize * SIZE.1 as usize * 3];
    draw(plot, &mut pixels).map_err(|error| failed(error.to_string()))?;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|error| failed(error.to_string()))?;
    writer.write_image_data(&pixels).map_err(|error| failed(error.to_string()))?;
    writer.finish().map_err(|error| failed(error.to_string()))?;
    Ok(file)
}

/// Position of a value on the horizontal axis.
fn position(plot: &Plot, x: f64) -> f64 {
    if plot.x.log { x.log10() } else { x }
}

/// The lowest and the highest finite value, with a margin as a share; 0 to 1 without values.
fn range(values: impl Iterator<Item = f64>, margin: f64) -> (f64, f64) {
    let (low, high) = values.filter(|v| v.is_finite()).fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let margin = if high > low { margin * (high - low) } else { 0.5 };
    (low - margin, high + margin)
}

fn draw(plot: &Plot, pixels: &mut [u8]) -> Result<(), Box<dyn std::error::Error>> {
    let root = BitMapBackend::with_buffer(pixels, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let x = range(plot.series.iter().flat_map(|series| &series.x).map(|x| position(plot, *x)), 0.0);
    let floor = plot.y.floor.unwrap_or(f64::MIN);
    let values = plot.series.iter().flat_map(|series| &series.y).flatten();
    let y = range(values.map(|y| y.max(floor)), MARGIN);
    let x_axis = PositionAxis { range: x, log: plot.x.log };
    let y_axis = PositionAxis { range: y, log: false };
    let mut chart = ChartBuilder::on(&root)
        .caption(&plot.title, (FONT, 28).into_font().color(&TEXT))
        .margin(14)
        .x_label_area_size(52)
        .y_label_area_size(76)
        .build_cartesian_2d(x_axis, y_axis)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(TEXT)
        .x_desc(plot.x.label)
        .y_desc(plot.y.label)
        .label_style((FONT, 18).into_font().color(&TEXT))
        .axis_desc_style((FONT, 19).into_font().color(&TEXT))
        .draw()?;
    for series in &plot.series {
        let style = ShapeStyle::from(colour(&series.colour)).stroke_width(2);
        let mut is_named = false;
        for run in runs(plot, series, floor) {
            let drawn = if series.dashed {
                chart.draw_series(DashedLineSeries::new(run, DASH.0, DASH.1, style))?
            } else {
                chart.draw_series(LineSeries::new(run, style))?
            };
            if !std::mem::replace(&mut is_named, true) {
                drawn.label(&series.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], style));
            }
        }
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .label_font((FONT, 17).into_font().color(&TEXT))
        .position(SeriesLabelPosition::LowerLeft)
        .draw()?;
    root.present()?;
    Ok(())
}

/// The parts of a curve between missing values.
fn runs(plot: &Plot, series: &Series, floor: f64) -> Vec<Vec<(f64, f64)>> {
    let mut runs = vec![Vec::new()];
    for (x, y) in series.x.iter().zip(&series.y) {
        match y {
            Some(y) if position(plot, *x).is_finite() => {
                if let Some(run) = runs.last_mut() {
                    run.push((position(plot, *x), y.max(floor)));
                }
            }
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}
