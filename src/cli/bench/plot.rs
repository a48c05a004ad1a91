//! The plot of `isotherm bench`: time for a sample against block size, as a page or a picture.

use std::path::Path;
use std::sync::Once;

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::super::compare::command_line;
use super::{Failure, Measured, table_measures};
use crate::compare::Machine;
use crate::compare::picture::PositionAxis;
use crate::measure::bench::Costs;

/// Width and height of the curves in pixels, in a picture and on a wide page.
const WIDE: (u32, u32) = (1000, 560);
/// Width and height on a narrow page.
const NARROW: (u32, u32) = (380, 360);
/// Width in pixels up to which a page is narrow.
const NARROW_PAGE: u32 = 700;
/// Height of a line of the legend of a picture, and distances in it, in pixels.
const LEGEND_LINE: u32 = 24;
const LEGEND_LEFT: i32 = 80;
const LEGEND_SAMPLE: i32 = 36;
/// Room on the axes beyond the smallest and the largest value, as a factor. With 2, at least one step of a decade is within.
const ROOM: (f64, f64) = (1.1, 2.0);
/// Least distance of two block sizes that are both marked, as a share of the axis.
const TICK_SHARE: f64 = 0.09;
/// The name under which the font is registered.
const FONT: &str = "sans-serif";
/// The colours of the effects (Okabe and Ito, 2008: to be told apart by everybody); they begin again after the last.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];
/// Lengths of a dash and of the gap after it in pixels, for each number of channels and sample rate; they begin again after the last.
const DASHES: [(u32, u32); 4] = [(1, 0), (10, 5), (3, 4), (16, 8)];
/// Colour of the text.
const TEXT: RGBColor = RGBColor(32, 34, 38);
/// Colour of the grid.
const GRID: RGBColor = RGBColor(222, 224, 228);

/// The format of the plot's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A page with the plot and the figures.
    Html,
    /// A picture.
    Png,
}

impl Format {
    /// The format that the end of a file's name tells.
    pub fn of(path: &Path) -> Result<Self, Failure> {
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        match extension.as_ref().and_then(|extension| extension.to_str()) {
            Some("html") => Ok(Self::Html),
            Some("png") => Ok(Self::Png),
            _ => Err(Failure::Usage(format!("--plot {}: expected a name that ends in .html or .png", path.display()))),
        }
    }
}

/// A curve of the plot.
struct Curve {
    label: String,
    colour: RGBColor,
    dash: (u32, u32),
    /// Frames of the blocks and nanoseconds for a sample.
    points: Vec<(f64, f64)>,
}

/// Returns the bytes of the plot's file. There must be blocks of one size.
pub fn draw(all: &[Measured<'_>], format: Format) -> Result<Vec<u8>, Failure> {
    // Effect after effect, for each sample rate and number of channels.
    let first = all.first().map(|measured| (measured.table.sample_rate, measured.table.channels));
    let effects = all.iter().filter(|m| Some((m.table.sample_rate, m.table.channels)) == first).count().max(1);
    let curves: Vec<Curve> = all.iter().enumerate().map(|(i, measured)| curve(measured, i % effects, i / effects)).collect();
    register_font();
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("the plot cannot be drawn: {error}"));
    match format {
        Format::Html => {
            let mut drawn = [WIDE, NARROW].map(|size| (size, String::new()));
            for (size, svg) in &mut drawn {
                let area = SVGBackend::with_string(svg, *size).into_drawing_area();
                area.fill(&WHITE).and_then(|()| draw_curves(&area, &curves)).map_err(|error| failed(&error))?;
            }
            let [(_, wide), (_, narrow)] = drawn;
            Ok(page(all, &curves, &wide, &narrow).into_bytes())
        }
        Format::Png => {
            let size = (WIDE.0, WIDE.1 + LEGEND_LINE * (curves.len() as u32 + 1));
            let mut pixels = vec![0; (size.0 * size.1 * 3) as usize];
            let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
            area.fill(&WHITE).map_err(|error| failed(&error))?;
            let (plot, legend) = area.split_vertically(WIDE.1);
            draw_curves(&plot, &curves).and_then(|()| draw_legend(&legend, &curves)).map_err(|error| failed(&error))?;
            drop((area, plot, legend));
            let mut file = Vec::new();
            let mut encoder = png::Encoder::new(&mut file, size.0, size.1);
            encoder.set_color(png::ColorType::Rgb);
            encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).map_err(|error| failed(&error))?;
            Ok(file)
        }
    }
}

/// The curve of an effect over the blocks of one size, smaller ones first.
fn curve(measured: &Measured<'_>, effect: usize, run: usize) -> Curve {
    let table = &measured.table;
    let fixed = table.rows.iter().filter(|costs| !costs.block.varies());
    let mut points: Vec<(f64, f64)> = fixed.map(|costs| (costs.block.max as f64, costs.ns_per_sample)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (colour, dash) = (COLOURS[effect % COLOURS.len()], DASHES[run % DASHES.len()]);
    Curve { label: label(measured), colour, dash, points }
}

/// The effect, with its number of channels and its sample rate. Of a file it has the name without the folders.
fn label(measured: &Measured<'_>) -> String {
    let (channels, rate) = (measured.table.channels, measured.table.sample_rate);
    let words = measured.candidate.label.split(' ').map(|word| match (word.split_once('='), word.rsplit_once('/')) {
        (Some((key, _)), Some((_, name))) => format!("{key}={name}"),
        _ => word.to_owned(),
    });
    format!("{}, {channels} ch, {} kHz", words.collect::<Vec<_>>().join(" "), rate / 1000.0)
}

/// Makes the font known that ships with the window: no system font is needed.
fn register_font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only if the font is none.
        let _ = plotters::style::register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
}

fn draw_curves<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    curves: &[Curve],
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    // The axes are linear in the logarithms.
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let range = |value: fn(&(f64, f64)) -> f64, room: f64| {
        let (low, high) = all().map(value).fold((f64::INFINITY, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
        ((low.max(1e-3) / room).log10(), (high.max(1e-2) * room).log10())
    };
    let (frames, times) = (range(|point| point.0, ROOM.0), range(|point| point.1, ROOM.1));
    let mut sizes: Vec<f64> = all().map(|point| point.0).collect();
    sizes.sort_by(f64::total_cmp);
    let mut ticks: Vec<f64> = Vec::new();
    for size in sizes {
        if ticks.last().is_none_or(|last| (size / last).log10() >= TICK_SHARE * (frames.1 - frames.0)) {
            ticks.push(size);
        }
    }
    let style = |size: i32| (FONT, size).into_font().color(&TEXT);
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .caption("Time for a sample of one channel", style(22))
        .build_cartesian_2d(
            PositionAxis { range: frames, log: true, ticks },
            PositionAxis { range: times, log: true, ticks: Vec::new() },
        )?;
    chart
        .configure_mesh()
        .x_desc("block, frames")
        .y_desc("median, ns per sample")
        .label_style(style(15))
        .axis_desc_style(style(16))
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .draw()?;
    for curve in curves {
        let (dash, gap) = curve.dash;
        let points = || curve.points.iter().map(|(frames, ns)| (frames.log10(), ns.log10()));
        if gap == 0 {
            chart.draw_series(LineSeries::new(points(), curve.colour.stroke_width(2)))?;
        } else {
            chart.draw_series(DashedLineSeries::new(points(), dash, gap, curve.colour.stroke_width(2)))?;
        }
        chart.draw_series(points().map(|point| Circle::new(point, 3, curve.colour.filled())))?;
    }
    area.present()
}

/// A line for each curve.
fn draw_legend<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    curves: &[Curve],
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let style = (FONT, 16).into_font().color(&TEXT);
    for (index, curve) in curves.iter().enumerate() {
        let middle = LEGEND_LINE as i32 * index as i32 + LEGEND_LINE as i32 / 2;
        let line = [(LEGEND_LEFT, middle), (LEGEND_LEFT + LEGEND_SAMPLE, middle)];
        let (dash, gap) = curve.dash;
        if gap == 0 {
            area.draw(&PathElement::new(line, curve.colour.stroke_width(3)))?;
        } else {
            area.draw(&DashedPathElement::new(line, dash, gap, curve.colour.stroke_width(3)))?;
        }
        area.draw(&Text::new(curve.label.clone(), (LEGEND_LEFT + LEGEND_SAMPLE + 12, middle - 3), style.clone()))?;
    }
    area.present()
}

/// A page with the plot, drawn for wide and for narrow pages, and a table of the figures. It needs no other file.
fn page(all: &[Measured<'_>], curves: &[Curve], wide: &str, narrow: &str) -> String {
    let legend: String = curves
        .iter()
        .map(|Curve { label, colour: RGBColor(red, green, blue), dash: (dash, gap), .. }| {
            format!(
                "<li><svg width=\"36\" height=\"10\" aria-hidden=\"true\"><line x1=\"0\" x2=\"36\" y1=\"5\" y2=\"5\" \
                 stroke=\"rgb({red},{green},{blue})\" stroke-width=\"3\" stroke-dasharray=\"{dash} {gap}\"/></svg><span>{}</span></li>\n",
                escape(label)
            )
        })
        .collect();
    let machine = Machine::this();
    let columns = table_measures().count() + 3;
    let heading = |text: &str| text.replace(" us", " \u{b5}s");
    let headings: String = table_measures().map(|row| format!("<th scope=\"col\">{}</th>", heading(row.heading))).collect();
    let definitions: String = table_measures()
        .map(|row| format!("<div><dt>{}: {}</dt><dd>{}</dd></div>\n", heading(row.heading), row.name, escape(row.definition)))
        .collect();
    let mut bodies = String::new();
    for measured in all {
        let mut rows = String::new();
        for costs in &measured.table.rows {
            let cell = |figure: Option<String>| format!("<td>{}</td>", figure.unwrap_or_else(|| "-".into()));
            let figures: String = table_measures()
                .map(|row| cell(row.cost(costs).filter(|figure| !figure.is_nan()).map(|figure| row.text(figure))))
                .collect();
            let ratio = cell(times_of_first(all, measured, costs).map(|ratio| format!("{ratio:.2}")));
            rows += &format!("<tr><th scope=\"row\">{}</th><td>{}</td>{ratio}{figures}</tr>\n", costs.block, costs.blocks);
        }
        let name = escape(&label(measured));
        bodies += &format!("<tbody>\n<tr><th scope=\"rowgroup\" colspan=\"{columns}\">{name}</th></tr>\n{rows}</tbody>\n");
    }
    let is_random = all.iter().any(|measured| measured.table.rows.iter().any(|costs| costs.block.varies()));
    let random = if is_random { "<p>Blocks of random sizes are in the table, not in the plot.</p>\n" } else { "" };
    let (command, processor) = (escape(&command_line()), escape(machine.processor.as_deref().unwrap_or("unknown processor")));
    let (cores, simd, date) = (machine.cores, machine.simd, &machine.date);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Isotherm: cost of effects</title>\n\
         <style>\n{STYLE}@media (max-width: {NARROW_PAGE}px) {{ .wide {{ display: none; }} .narrow {{ display: block; }} }}\n\
         </style>\n\
         </head>\n<body>\n<h1>Cost of effects</h1>\n\
         <p>All effects were measured in turns in one run. Times are of whole blocks. A dash means that \
         there were too few blocks.</p>\n\
         <figure role=\"img\" aria-label=\"Time for a sample against block size; the table below has the figures\">\n\
         <div class=\"wide\">{wide}</div>\n<div class=\"narrow\">{narrow}</div>\n</figure>\n\
         <ul aria-label=\"Curves\">\n{legend}</ul>\n{random}\
         <div class=\"table\" tabindex=\"0\" role=\"region\" aria-label=\"Figures\">\n\
         <table>\n<thead><tr><th scope=\"col\">Block, frames</th><th scope=\"col\">Blocks</th>\
         <th scope=\"col\">Times the first effect</th>{headings}</tr></thead>\n{bodies}</table>\n</div>\n\
         <details><summary>What these names mean</summary><dl>\n\
         <div><dt>Times the first effect</dt><dd>The time for a sample, divided \
         by that of the first effect with the same channels, sample rate and blocks.</dd></div>\n{definitions}</dl></details>\n\
         <h2>Reproduce</h2>\n<p><code>{command}</code></p>\n<p>{processor}, {cores} cores, SIMD level {simd}, {date}</p>\n\
         </body>\n</html>\n"
    )
}

/// The style of the page.
const STYLE: &str = "\
:root { --ink: #202226; --paper: #fff; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e9e8e3; --paper: #14161a; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1040px; padding: 0 1rem; }
body { color: var(--ink); background: var(--paper); }
figure { margin: 1rem 0; background: #fff; }
.wide svg, .narrow svg { width: 100%; height: auto; }
.narrow { display: none; }
ul { list-style: none; padding: 0; display: grid; gap: 0.2rem 1.5rem; }
ul { grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
li { display: flex; gap: 0.5rem; overflow-wrap: anywhere; }
li svg { flex: none; margin-top: 0.5rem; background: #fff; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.6rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; font-weight: 500; }
thead th { white-space: normal; vertical-align: bottom; font-weight: 700; }
th:first-child { text-align: left; }
[scope=rowgroup] { padding-top: 0.9rem; white-space: normal; font-weight: 700; overflow-wrap: anywhere; }
dt { font-weight: 700; } dd { margin: 0 0 0.5rem; } code { overflow-wrap: anywhere; }
";

/// Time for a sample, divided by that of the first effect under the same conditions.
fn times_of_first(all: &[Measured<'_>], measured: &Measured<'_>, costs: &Costs) -> Option<f64> {
    let condition = |m: &Measured<'_>| (m.table.sample_rate, m.table.channels);
    let first = all.iter().find(|first| condition(first) == condition(measured))?;
    let same = first.table.rows.iter().find(|row| row.block == costs.block)?;
    Some(costs.ns_per_sample / same.ns_per_sample).filter(|ratio| ratio.is_finite())
}

/// A text for HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_tells_the_format() {
        assert_eq!(Format::of(Path::new("a.HTML")).unwrap(), Format::Html);
        assert_eq!(Format::of(Path::new("a.b.png")).unwrap(), Format::Png);
        for name in ["a", "a.svg", ".html"] {
            assert!(matches!(Format::of(Path::new(name)), Err(Failure::Usage(line)) if line.contains("--plot")), "{name}");
        }
    }

    #[test]
    fn markup_in_a_name_is_text() {
        assert_eq!(escape("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
    }
}
