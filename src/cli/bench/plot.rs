//! The plot of `isotherm bench`: time for a sample against block size, as a page or a picture.

use std::path::Path;
use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Failure, Measured, table_measures};

/// Width and height of the plot in pixels.
const SIZE: (u32, u32) = (1000, 620);
/// The name under which the font is registered.
const FONT: &str = "sans-serif";
/// The colours of the curves (Okabe and Ito, 2008: to be told apart by everybody); they begin again after the last.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];
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
    /// Frames of the blocks and nanoseconds for a sample.
    points: Vec<(f64, f64)>,
}

/// Returns the bytes of the plot's file. There must be blocks of one size.
pub fn draw(all: &[Measured<'_>], format: Format) -> Result<Vec<u8>, Failure> {
    let curves: Vec<Curve> = all.iter().map(curve).collect();
    register_font();
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("the plot cannot be drawn: {error}"));
    match format {
        Format::Html => {
            let mut svg = String::new();
            draw_curves(&SVGBackend::with_string(&mut svg, SIZE).into_drawing_area(), &curves).map_err(|error| failed(&error))?;
            Ok(page(all, &svg).into_bytes())
        }
        Format::Png => {
            let mut pixels = vec![0; (SIZE.0 * SIZE.1 * 3) as usize];
            let area = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
            draw_curves(&area, &curves).map_err(|error| failed(&error))?;
            drop(area);
            let mut file = Vec::new();
            let mut encoder = png::Encoder::new(&mut file, SIZE.0, SIZE.1);
            encoder.set_color(png::ColorType::Rgb);
            encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).map_err(|error| failed(&error))?;
            Ok(file)
        }
    }
}

/// The curve of an effect over the blocks of one size, smaller ones first.
fn curve(measured: &Measured<'_>) -> Curve {
    let table = &measured.table;
    let fixed = table.rows.iter().filter(|costs| !costs.block.varies());
    let mut points: Vec<(f64, f64)> = fixed.map(|costs| (costs.block.max as f64, costs.ns_per_sample)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    Curve { label: label(measured), points }
}

/// The effect, with its number of channels and its sample rate.
fn label(measured: &Measured<'_>) -> String {
    let (channels, rate) = (measured.table.channels, measured.table.sample_rate);
    format!("{}, {channels} ch, {} kHz", measured.candidate.label, rate / 1000.0)
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
    area.fill(&WHITE)?;
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let range = |value: fn(&(f64, f64)) -> f64, room: f64| {
        let (low, high) = all().map(value).fold((f64::INFINITY, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
        low.max(1e-3) / room..high.max(1e-2) * room
    };
    let (frames, times) = (range(|point| point.0, 1.1), range(|point| point.1, 1.5));
    let style = |size: i32| (FONT, size).into_font().color(&TEXT);
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .caption("Time for a sample of one channel", style(22))
        .build_cartesian_2d(frames.log_scale().base(2.0), times.log_scale())?;
    let number = |x: &f64| if *x >= 1.0 { format!("{x:.0}") } else { format!("{x}") };
    chart
        .configure_mesh()
        .x_desc("block, frames")
        .y_desc("median, ns per sample")
        .x_label_formatter(&number)
        .y_label_formatter(&number)
        .label_style(style(15))
        .axis_desc_style(style(16))
        .bold_line_style(GRID)
        .light_line_style(GRID.mix(0.5))
        .draw()?;
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let line = LineSeries::new(curve.points.iter().copied(), colour.stroke_width(2)).point_size(3);
        chart
            .draw_series(line)?
            .label(&curve.label)
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .label_font(style(15))
        .draw()?;
    area.present()
}

/// A page with the plot and a table of the figures. It needs no other file.
fn page(all: &[Measured<'_>], svg: &str) -> String {
    let headings: String = table_measures().map(|row| format!("<th scope=\"col\">{}</th>", row.heading)).collect();
    let mut rows = String::new();
    for measured in all {
        for costs in &measured.table.rows {
            let cell = |figure: Option<String>| format!("<td>{}</td>", figure.unwrap_or_else(|| "-".into()));
            let figures: String = table_measures()
                .map(|row| cell(row.cost(costs).filter(|figure| !figure.is_nan()).map(|figure| row.text(figure))))
                .collect();
            rows += &format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td>{figures}</tr>\n",
                escape(&label(measured)),
                costs.block,
                costs.blocks
            );
        }
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Isotherm: cost of effects</title>\n\
         <style>\nbody {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1040px; padding: 0 1rem; }}\n\
         svg {{ max-width: 100%; height: auto; }}\ndiv {{ overflow-x: auto; }}\ntable {{ border-collapse: collapse; }}\n\
         th, td {{ padding: 0.2rem 0.6rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }}\n\
         th[scope=row] {{ text-align: left; }}\n</style>\n</head>\n<body>\n<h1>Cost of effects</h1>\n\
         <p>All effects were measured in turns in one run of <code>isotherm bench</code>. Times are of whole blocks. A dash means \
         that there were too few blocks.</p>\n<figure role=\"img\" aria-label=\"Time for a sample against block size; the table \
         below has the figures\">\n{svg}\n</figure>\n<div>\n<table>\n<thead><tr><th scope=\"col\">Effect</th>\
         <th scope=\"col\">Block</th><th scope=\"col\">Blocks</th>{headings}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n\
         </div>\n</body>\n</html>\n"
    )
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
