//! The pictures of a summary: each listener's share with its interval (a forest plot), and how many listeners had how many right
//! answers.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Summary;
use crate::compare::picture::{FONT, GRID, TEXT, colour, png_of, use_font};
use crate::compare::{Axis, Dash, PictureError, Plot, Series};
use crate::listen::statistics::{GUESSING, binomial};
use crate::view::{Question, Rule};

/// Width of the picture, of its names and of its figures, height of a row, and of title and axis, in pixels.
const WIDTH: i32 = 1200;
const NAMES: i32 = 300;
const FIGURES: i32 = 190;
const ROW: i32 = 30;
const TOP: i32 = 64;
const BOTTOM: i32 = 92;
/// Most listeners in the picture; the table of the page has all.
const MOST_ROWS: usize = 200;
/// Longest name in characters.
const LONGEST_NAME: usize = 28;
/// Fewest listeners whose counts are drawn beside what guessing gives.
const FEWEST_COUNTS: usize = 8;
/// Shares that are marked.
const MARKS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// A row of the picture.
struct Bar {
    name: String,
    figure: String,
    share: f64,
    interval: [f64; 2],
    colour: &'static str,
}

/// A name of at most so many characters.
fn short(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.into();
    }
    name.chars().take(LONGEST_NAME - 1).chain(['…']).collect()
}

/// The title of the picture.
fn title(summary: &Summary, shown: usize, of: usize) -> String {
    let what = if summary.test.protocol.question == Question::Preference { "Choices of A" } else { "Right answers" };
    let part = if shown < of { format!(" ({shown} of {of} listeners)") } else { String::new() };
    format!("{what}, share with 95 % interval{part}")
}

/// Draws the forest plot as a PNG file in memory.
pub(super) fn picture(summary: &Summary) -> Result<Vec<u8>, PictureError> {
    let of = summary.listeners().count();
    let mut bars: Vec<Bar> = summary
        .listeners()
        .take(MOST_ROWS)
        .map(|(row, figures)| Bar {
            name: short(&row.listener),
            figure: format!("{} of {}", figures.count, figures.trials),
            share: figures.share,
            interval: figures.interval,
            colour: if figures.is_shown { "b" } else { "a" },
        })
        .collect();
    let title = title(summary, bars.len(), of);
    let pooled = &summary.result.pooled;
    bars.push(Bar {
        name: "All answers together".into(),
        figure: format!("{} of {}", pooled.count, pooled.trials),
        share: pooled.share,
        interval: pooled.interval,
        colour: "h1",
    });
    use_font();
    let height = TOP + ROW * bars.len() as i32 + BOTTOM;
    let size = (WIDTH as u32, height as u32);
    png_of("shares", size, |pixels| draw(summary, &title, &bars, pixels, size))
}

/// Draws the rows.
fn draw(
    summary: &Summary,
    title: &str,
    bars: &[Bar],
    pixels: &mut [u8],
    size: (u32, u32),
) -> Result<(), Box<dyn std::error::Error>> {
    let root = BitMapBackend::with_buffer(pixels, size).into_drawing_area();
    root.fill(&WHITE)?;
    let style = |pixels: i32, horizontal: HPos| {
        TextStyle::from((FONT, pixels).into_font()).color(&TEXT).pos(Pos::new(horizontal, VPos::Center))
    };
    let (left, right, bottom) = (NAMES + 20, WIDTH - FIGURES - 20, TOP + ROW * bars.len() as i32);
    let x = |share: f64| left + (share * f64::from(right - left)).round() as i32;
    root.draw(&Text::new(title.to_owned(), (WIDTH / 2, TOP / 2), style(28, HPos::Center)))?;
    for mark in MARKS {
        root.draw(&PathElement::new([(x(mark), TOP), (x(mark), bottom)], GRID.stroke_width(1)))?;
        root.draw(&Text::new(format!("{:.0} %", 100.0 * mark), (x(mark), bottom + 16), style(18, HPos::Center)))?;
    }
    let mut lines = vec![(GUESSING, "ruler", "guessing")];
    if summary.test.protocol.question == Question::Equivalence {
        lines.push((summary.test.protocol.margin, "warn", "margin"));
    }
    for (share, name, words) in lines {
        root.draw(&PathElement::new([(x(share), TOP), (x(share), bottom)], colour(name).stroke_width(2)))?;
        let paint = colour(name);
        root.draw(&Text::new(words, (x(share), bottom + 44), style(18, HPos::Center).color(&paint)))?;
    }
    for (index, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * index as i32 + ROW / 2;
        let is_last = index + 1 == bars.len();
        if is_last {
            root.draw(&PathElement::new([(20, y - ROW / 2), (WIDTH - 20, y - ROW / 2)], TEXT.stroke_width(1)))?;
        }
        let paint = colour(bar.colour);
        let width = if is_last { 5 } else { 3 };
        root.draw(&PathElement::new([(x(bar.interval[0]), y), (x(bar.interval[1]), y)], paint.stroke_width(width)))?;
        root.draw(&Circle::new((x(bar.share), y), if is_last { 8 } else { 6 }, paint.filled()))?;
        root.draw(&Text::new(bar.name.clone(), (NAMES, y), style(19, HPos::Right)))?;
        root.draw(&Text::new(bar.figure.clone(), (right + 20, y), style(19, HPos::Left)))?;
    }
    root.present()?;
    Ok(())
}

/// The plot of the number of listeners with each count, beside what guessing gives; None if listeners had different numbers of trials,
/// or there are few.
pub(super) fn counts(summary: &Summary) -> Option<Plot> {
    let protocol = &summary.test.protocol;
    let counts: Vec<(u32, u32)> = summary.listeners().map(|(_, figures)| (figures.count, figures.trials)).collect();
    let n = counts.first()?.1;
    if protocol.rule != Rule::Fixed || counts.len() < FEWEST_COUNTS || counts.iter().any(|(_, trials)| *trials != n) {
        return None;
    }
    let mut listeners = vec![0u32; n as usize + 1];
    for (count, _) in &counts {
        listeners[*count as usize] += 1;
    }
    let x: Vec<f64> = (0..=n).map(f64::from).collect();
    let expected = binomial(n, GUESSING).into_iter().map(|share| Some(share * counts.len() as f64)).collect();
    let series = |name: &str, colour: &str, dash: Dash, y: Vec<Option<f64>>| Series {
        name: name.into(),
        colour: colour.into(),
        dash,
        thin: false,
        x: x.clone(),
        y,
    };
    let is_preference = protocol.question == Question::Preference;
    let (label, title) = if is_preference {
        ("Choices of A", "Listeners by their choices of A")
    } else {
        ("Right answers", "Listeners by their right answers")
    };
    Some(Plot {
        id: "counts".into(),
        title: title.into(),
        note: "Solid: the listeners who were counted. Dotted: how many there would be on average if all of them guessed.",
        x: Axis {
            label,
            unit: "",
            log: false,
            floor: None,
            from: None,
            ticks: x.iter().copied().step_by((n as usize).div_ceil(20)).collect(),
        },
        y: Axis { label: "Listeners", unit: "", log: false, floor: None, from: Some(0.0), ticks: Vec::new() },
        series: vec![
            series("Listeners", "a", Dash::Solid, listeners.into_iter().map(|count| Some(f64::from(count))).collect()),
            series("If all guess", "ruler", Dash::Dotted, expected),
        ],
    })
}
