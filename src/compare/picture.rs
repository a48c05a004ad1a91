//! The plots of a report as PNG.

use std::sync::Once;

use plotters::coord::ranged1d::{NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use super::plot::{Dash, Plot, Series};

/// Width of a picture, and height of its curves, in pixels.
const SIZE: (u32, u32) = (1200, 680);
/// Height of a line of the legend, which is below the curves, and its columns.
const LEGEND_LINE: u32 = 26;
const LEGEND_COLUMNS: usize = 4;
/// Left edge of the legend, length of the sample of a line, and room after it, in pixels.
const LEGEND_LEFT: i32 = 90;
const LEGEND_SAMPLE: i32 = 36;
const LEGEND_GAP: i32 = 10;
/// The name under which the font is registered.
pub(crate) const FONT: &str = "sans-serif";
/// Colours of text and grid.
pub(crate) const TEXT: RGBColor = RGBColor(32, 34, 38);
pub(crate) const GRID: RGBColor = RGBColor(222, 224, 228);
/// Widths of the lines of a first and of a second figure, in pixels.
const WIDTHS: [u32; 2] = [3, 1];
/// Steps of a decade on a logarithmic axis.
const DECADE_STEPS: [f64; 3] = [1.0, 2.0, 5.0];
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

impl PictureError {
    /// The picture of a plot that cannot be drawn.
    pub(crate) fn new(plot: &str, reason: impl std::fmt::Display) -> Self {
        Self { plot: plot.into(), reason: reason.to_string() }
    }
}

/// The colour of a curve, as in the light theme of the page.
pub(crate) fn colour(name: &str) -> RGBColor {
    match name {
        "a" => RGBColor(20, 87, 184),
        "b" => RGBColor(176, 74, 0),
        "difference" => RGBColor(138, 28, 124),
        "warn" => RGBColor(140, 29, 24),
        "h1" => RGBColor(27, 29, 34),
        "h2" => RGBColor(0, 112, 127),
        "h3" => RGBColor(28, 122, 62),
        "h4" => RGBColor(91, 75, 183),
        "h5" => RGBColor(138, 109, 0),
        "h6" => RGBColor(176, 42, 91),
        "h7" => RGBColor(122, 82, 48),
        _ => RGBColor(107, 111, 120),
    }
}

/// Pixels of a dash and of the gap after it; `None` for a solid line.
fn dash(dash: Dash) -> Option<(i32, i32)> {
    match dash {
        Dash::Solid => None,
        Dash::Dashed => Some((10, 7)),
        Dash::Dotted => Some((3, 4)),
    }
}

/// Makes the font known to plotters, once.
pub(crate) fn use_font() {
    static ONCE: Once = Once::new();
    // Fails only if the font is not valid; then text is left out.
    ONCE.call_once(|| drop(register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)));
}

/// An axis that is linear in its position, which is the logarithm of the value where the plot says so.
pub(crate) struct PositionAxis {
    /// Positions of both ends.
    pub(crate) range: (f64, f64),
    /// True if a position is the logarithm, to base 10, of a value.
    pub(crate) log: bool,
    /// Whole numbers that are marked and written in full; empty if the marks follow from the range.
    pub(crate) ticks: Vec<f64>,
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
        if !self.ticks.is_empty() {
            return self.ticks.iter().map(|tick| if self.log { tick.log10() } else { *tick }).collect();
        }
        if self.log {
            let powers = low.floor() as i32..=high.ceil() as i32;
            let points = powers.flat_map(|power| DECADE_STEPS.map(|step| step.log10() + f64::from(power)));
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
        if !self.ticks.is_empty() {
            return format!("{value:.0}");
        }
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
    use_font();
    let lines = plot.series.len().div_ceil(LEGEND_COLUMNS) as u32;
    let size = (SIZE.0, SIZE.1 + LEGEND_LINE * (lines + 1));
    png_of(&plot.id, size, |pixels| draw(plot, pixels, size))
}

/// A PNG file in memory of what `draw` draws into 24-bit pixels. [control thread: takes its time]
///
/// # Errors
/// [`PictureError`].
pub(crate) fn png_of(
    plot: &str,
    size: (u32, u32),
    draw: impl FnOnce(&mut [u8]) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<Vec<u8>, PictureError> {
    let mut pixels = vec![255; size.0 as usize * size.1 as usize * 3];
    draw(&mut pixels).map_err(|error| PictureError::new(plot, error))?;
    let failed = |error: png::EncodingError| PictureError::new(plot, error);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
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

fn draw(plot: &Plot, pixels: &mut [u8], size: (u32, u32)) -> Result<(), Box<dyn std::error::Error>> {
    let picture = BitMapBackend::with_buffer(pixels, size).into_drawing_area();
    picture.fill(&WHITE)?;
    let (root, legend) = picture.split_vertically(SIZE.1);
    let x = range(plot.series.iter().flat_map(|series| &series.x).map(|x| position(plot, *x)), 0.0);
    let floor = plot.y.floor.unwrap_or(f64::MIN);
    let values = plot.series.iter().flat_map(|series| &series.y).flatten();
    let mut y = range(values.map(|y| y.max(floor)), MARGIN);
    y.0 = plot.y.from.map_or(y.0, |from| y.0.min(from));
    let x_axis = PositionAxis { range: x, log: plot.x.log, ticks: plot.x.ticks.clone() };
    let y_axis = PositionAxis { range: y, log: false, ticks: Vec::new() };
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
        for run in runs(plot, series, floor) {
            match dash(series.dash) {
                None => chart.draw_series(LineSeries::new(run, style(series)))?,
                Some((dash, gap)) => chart.draw_series(DashedLineSeries::new(run, dash, gap, style(series)))?,
            };
        }
    }
    let column_width = (SIZE.0 as i32 - LEGEND_LEFT) / LEGEND_COLUMNS as i32;
    for (index, series) in plot.series.iter().enumerate() {
        let left = LEGEND_LEFT + column_width * (index % LEGEND_COLUMNS) as i32;
        let middle = LEGEND_LINE as i32 * (index / LEGEND_COLUMNS) as i32 + LEGEND_LINE as i32 / 2;
        let line = [(left, middle), (left + LEGEND_SAMPLE, middle)];
        match dash(series.dash) {
            None => legend.draw(&PathElement::new(line, style(series)))?,
            Some((dash, gap)) => legend.draw(&DashedPathElement::new(line, dash, gap, style(series)))?,
        }
        let font = (FONT, 18).into_font().color(&TEXT);
        legend.draw(&Text::new(series.name.clone(), (left + LEGEND_SAMPLE + LEGEND_GAP, middle - 9), font))?;
    }
    picture.present()?;
    Ok(())
}

/// Colour and width of a curve.
fn style(series: &Series) -> ShapeStyle {
    ShapeStyle::from(colour(&series.colour)).stroke_width(WIDTHS[usize::from(series.thin)])
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
