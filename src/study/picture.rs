//! The picture of a frontier: noise-to-mask ratio and error against cost, as PNG, and as SVG in the colours of the page.

use plotters::backend::DrawingBackend;
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::frontier::{AUDIBLE_NMR_DB, EffectFrontier, Point};
use crate::compare::PictureError;
use crate::compare::picture::{FONT, GRID, PositionAxis, TEXT, png_of, use_font};

/// Width of a picture, and height of each of its two plots, in pixels.
const SIZE: (u32, u32) = (1100, 520);
/// Colour of a model on the frontier, of one that is not, of the effect itself, and of the limit of what is heard.
const ON_FRONTIER: RGBColor = RGBColor(176, 74, 0);
const OFF_FRONTIER: RGBColor = RGBColor(107, 111, 120);
const EFFECT: RGBColor = RGBColor(20, 87, 184);
const LIMIT: RGBColor = RGBColor(140, 29, 24);
/// Radius of a point in pixels.
const RADIUS: i32 = 6;
/// Lowest figure in dB that is drawn; what is nearer to nothing stands there.
const FLOOR_DB: f64 = -120.0;
/// Room on the axis of cost beyond the points, as a factor, and on the vertical axis as a share of its range.
const ROOM: (f64, f64) = (1.25, 0.12);
/// The colours with the style of the page that replaces them in an SVG.
const PAGE_COLOURS: [(RGBColor, &str); 7] = [
    (TEXT, "var(--ink)"),
    (GRID, "var(--line)"),
    (ON_FRONTIER, "var(--b)"),
    (OFF_FRONTIER, "var(--ruler)"),
    (EFFECT, "var(--a)"),
    (LIMIT, "var(--warn)"),
    (WHITE, "var(--field)"),
];

/// A figure of a point.
type FigureOf = fn(&Point) -> f64;
/// The plots: title, label of the vertical axis, figure, and the limit that is drawn.
const PLOTS: [(&str, &str, FigureOf, Option<f64>); 2] = [
    ("Noise to mask against cost", "Noise to mask, dB, worst sound", |point| point.nmr_db, Some(AUDIBLE_NMR_DB)),
    ("Error against cost", "Error to signal, dB, worst sound", |point| point.error_db, None),
];

/// The reason why a picture cannot be drawn.
type DrawError = Box<dyn std::error::Error>;

/// Draws a frontier as a PNG file in memory. [control thread: takes its time]
///
/// # Errors
/// If the picture cannot be drawn or coded.
pub fn png(frontier: &EffectFrontier) -> Result<Vec<u8>, PictureError> {
    let size = (SIZE.0, SIZE.1 * PLOTS.len() as u32);
    png_of(&frontier.effect, size, |pixels| draw(BitMapBackend::with_buffer(pixels, size).into_drawing_area(), frontier))
}

/// Draws a frontier as an SVG element, whose colours are those of the page. [control thread: takes its time]
///
/// # Errors
/// If the picture cannot be drawn.
pub fn svg(frontier: &EffectFrontier) -> Result<String, DrawError> {
    let mut text = String::new();
    draw(SVGBackend::with_string(&mut text, (SIZE.0, SIZE.1 * PLOTS.len() as u32)).into_drawing_area(), frontier)?;
    for (colour, style) in PAGE_COLOURS {
        let RGBColor(r, g, b) = colour;
        let hex = format!("#{r:02X}{g:02X}{b:02X}");
        for property in ["fill", "stroke"] {
            text = text.replace(&format!("{property}=\"{hex}\""), &format!("style=\"{property}:{style}\""));
        }
    }
    Ok(text)
}

/// Draws both plots, one below the other.
fn draw<DB: DrawingBackend>(area: DrawingArea<DB, Shift>, frontier: &EffectFrontier) -> Result<(), DrawError>
where
    DB::ErrorType: 'static,
{
    use_font();
    area.fill(&WHITE)?;
    for (area, plot) in area.split_evenly((PLOTS.len(), 1)).iter().zip(PLOTS) {
        draw_plot(area, frontier, plot)?;
    }
    area.present()?;
    Ok(())
}

/// Draws a plot: points with their names, the line of the frontier, the effect's own cost and the limit.
fn draw_plot<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    frontier: &EffectFrontier,
    (title, label, figure, limit): (&str, &str, FigureOf, Option<f64>),
) -> Result<(), DrawError>
where
    DB::ErrorType: 'static,
{
    let points: Vec<(f64, f64, &Point)> =
        frontier.points.iter().map(|point| (point.ratio.log10(), figure(point).max(FLOOR_DB), point)).collect();
    let room = ROOM.0.log10();
    // Cost 1 is the effect itself, which is always shown.
    let x = points.iter().fold((0.0f64, 0.0f64), |(low, high), (x, ..)| (low.min(*x), high.max(*x)));
    // The names stand to the right of their points.
    let x = (x.0 - room, x.1 + 2.0 * room + 0.1 * (x.1 - x.0));
    let values = points.iter().map(|(_, y, _)| *y).chain(limit).filter(|y| y.is_finite());
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), y| (low.min(y), high.max(y)));
    let (low, high) = if low > high { (-1.0, 0.0) } else { (low, high) };
    let margin = ROOM.1 * (high - low).max(1.0);
    let y = (low - margin, high + margin);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: {}", frontier.effect, title.to_lowercase()), (FONT, 26).into_font().color(&TEXT))
        .margin(14)
        .x_label_area_size(50)
        .y_label_area_size(72)
        .build_cartesian_2d(
            PositionAxis { range: x, log: true, ticks: Vec::new() },
            PositionAxis { range: y, log: false, ticks: Vec::new() },
        )?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(TEXT)
        .x_desc("Time, as a multiple of the effect's own")
        .y_desc(label)
        .label_style((FONT, 17).into_font().color(&TEXT))
        .axis_desc_style((FONT, 18).into_font().color(&TEXT))
        .draw()?;
    chart.draw_series([PathElement::new([(0.0, y.0), (0.0, y.1)], EFFECT.stroke_width(2))])?;
    let font = |colour: &RGBColor| (FONT, 17).into_font().color(colour);
    let own = format!("{} itself, {:.0} ns", frontier.effect, frontier.effect_ns);
    chart.draw_series([EmptyElement::at((0.0, y.0)) + Text::new(own, (8, -24), font(&EFFECT))])?;
    if let Some(limit) = limit {
        chart.draw_series([PathElement::new([(x.0, limit), (x.1, limit)], LIMIT.stroke_width(1))])?;
        let text = format!("{limit} dB: below, it is hardly heard");
        chart.draw_series([EmptyElement::at((x.0, limit)) + Text::new(text, (8, -22), font(&LIMIT))])?;
    }
    // The line of the frontier of this figure: a better model costs as much as the first that has it.
    let mut steps: Vec<(f64, f64)> = Vec::new();
    let mut best = f64::INFINITY;
    for (x, y, _) in &points {
        if *y < best {
            steps.extend((best.is_finite()).then_some((*x, best)));
            steps.push((*x, *y));
            best = *y;
        }
    }
    let is_best: Vec<bool> = points.iter().map(|(x, y, _)| steps.contains(&(*x, *y))).collect();
    chart.draw_series(LineSeries::new(steps, ON_FRONTIER.stroke_width(2)))?;
    for ((x, y, point), is_best) in points.iter().zip(is_best) {
        let colour = if is_best { ON_FRONTIER } else { OFF_FRONTIER };
        chart.draw_series([EmptyElement::at((*x, *y))
            + Circle::new((0, 0), RADIUS, colour.filled())
            + Text::new(point.model.clone(), (RADIUS + 5, -9), font(&TEXT))])?;
    }
    Ok(())
}
