//! Pictures of sounds: before and after an effect, or an effect's output and its twin's. A picture has two waveforms and a chart
//! of spectra.

use std::fs;
use std::path::Path;
use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::{TaskResult, png, sound};

/// Width and height of a picture, in pixels.
const SIZE: (u32, u32) = (1600, 1100);
const TITLE_HEIGHT: u32 = 60;
/// Height of each of the two waveforms, in pixels.
const WAVEFORM_HEIGHT: u32 = 230;

const FONT: &str = "sans-serif";
const LABEL_HEIGHT: u32 = 20;
const CAPTION_HEIGHT: u32 = 24;
const LEFT_AXIS_WIDTH: u32 = 80;
const BOTTOM_AXIS_HEIGHT: u32 = 44;

const INPUT: RGBColor = RGBColor(120, 124, 132);
const OUTPUT: RGBColor = RGBColor(200, 68, 20);
const DIFFERENCE: RGBColor = RGBColor(20, 96, 190);
const TEXT: RGBColor = RGBColor(32, 34, 38);
const GRID: RGBColor = RGBColor(222, 224, 228);

const LOWEST_DB: f32 = -120.0;
const LOWEST_HZ: f32 = 20.0;
/// Frequencies at which the axis has labels, in hertz.
const LABELLED_HZ: [f32; 10] = [20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0];

/// Draws the waveforms and spectra of `input` and `output`, both mono, into the PNG file `path`.
///
/// # Errors
/// If the file cannot be written.
pub fn draw(path: &Path, title: &str, sample_rate: u32, input: &[f32], output: &[f32]) -> TaskResult {
    let peak = peak(input).max(peak(output));
    let (before, after) = (Trace("Input", INPUT, input), Trace("Output", OUTPUT, output));
    draw_picture(path, title, sample_rate, [(before, peak), (after, peak)], &[before, after])
}

/// Draws the outputs of an effect and its twin, both mono, into the PNG file `path`: waveforms of the effect's output and of the
/// difference, at a scale of its own, and the spectra of all three.
///
/// # Errors
/// If the file cannot be written.
pub fn draw_difference(path: &Path, title: &str, sample_rate: u32, effect: &[f32], twin: &[f32]) -> TaskResult {
    let difference: Vec<f32> = effect.iter().zip(twin).map(|(a, b)| b - a).collect();
    let traces = [Trace("Effect", INPUT, effect), Trace("Twin", OUTPUT, twin), Trace("Difference", DIFFERENCE, &difference)];
    let waveforms = [(traces[0], peak(effect)), (traces[2], peak(&difference))];
    draw_picture(path, title, sample_rate, waveforms, &traces)
}

/// A curve in a chart: name, colour, samples.
#[derive(Clone, Copy)]
struct Trace<'a>(&'static str, RGBColor, &'a [f32]);

/// Largest magnitude.
fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// Draws a picture of waveforms, each with the magnitude at the top of its axis, and of spectra.
fn draw_picture(
    path: &Path,
    title: &str,
    sample_rate: u32,
    waveforms: [(Trace<'_>, f32); 2],
    spectra: &[Trace<'_>],
) -> TaskResult {
    register_font();
    let mut pixels = vec![0; SIZE.0 as usize * SIZE.1 as usize * png::PIXEL];
    let root = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let style = (FONT, 30).into_font().color(&TEXT);
    root.draw(&Text::new(title.to_owned(), (LEFT_AXIS_WIDTH as i32, 18), style))?;
    let (_, below) = root.split_vertically(TITLE_HEIGHT);
    let (upper, lower) = below.split_vertically(2 * WAVEFORM_HEIGHT);
    let (first, second) = upper.split_vertically(WAVEFORM_HEIGHT);
    for (area, (Trace(name, color, samples), peak)) in [&first, &second].into_iter().zip(waveforms) {
        let height = if peak > 0.0 { 1.05 * peak } else { 1.0 };
        draw_waveform(area, name, color, sample_rate, samples, height)?;
    }
    draw_spectra(&lower, sample_rate, spectra)?;
    root.present()?;
    // The drawing areas borrow the pixels.
    drop((root, below, upper, lower, first, second));
    fs::write(path, png::encode(SIZE, &pixels)?).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(())
}

fn draw_waveform(
    area: &DrawingArea<BitMapBackend<'_>, Shift>,
    caption: &str,
    color: RGBColor,
    sample_rate: u32,
    samples: &[f32],
    height: f32,
) -> TaskResult {
    let seconds = samples.len() as f32 / sample_rate as f32;
    let mut chart = ChartBuilder::on(area)
        .margin_right(30)
        .margin_top(4)
        .caption(caption, (FONT, CAPTION_HEIGHT).into_font().color(&TEXT))
        .x_label_area_size(BOTTOM_AXIS_HEIGHT)
        .y_label_area_size(LEFT_AXIS_WIDTH)
        .build_cartesian_2d(0.0..seconds, -height..height)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .y_labels(5)
        .x_labels(12)
        .x_label_formatter(&|seconds| format!("{seconds:.1} s"))
        .y_label_formatter(&|value| if height < 0.05 { format!("{value:.0e}") } else { format!("{value:.2}") })
        .label_style((FONT, LABEL_HEIGHT).into_font().color(&TEXT))
        .draw()?;
    // The lowest and the highest sample of each column of pixels, joined with the previous column.
    let columns = chart.plotting_area().dim_in_pixel().0.max(1) as usize;
    let mut line = Vec::with_capacity(2 * columns);
    for column in 0..columns {
        let range = column * samples.len() / columns..((column + 1) * samples.len() / columns + 1).min(samples.len());
        let part = &samples[range];
        let second = seconds * column as f32 / columns as f32;
        let (low, high) = part.iter().fold((f32::MAX, f32::MIN), |(low, high), &s| (low.min(s), high.max(s)));
        if low <= high {
            line.extend([(second, low), (second, high)]);
        }
    }
    chart.draw_series(LineSeries::new(line, color.stroke_width(1)))?;
    Ok(())
}

fn draw_spectra(area: &DrawingArea<BitMapBackend<'_>, Shift>, sample_rate: u32, sounds: &[Trace<'_>]) -> TaskResult {
    let highest_hz = (sample_rate as f32 / 2.0).max(2.0 * LOWEST_HZ);
    let labelled: Vec<f32> = LABELLED_HZ.into_iter().filter(|&hz| hz <= highest_hz).collect();
    let mut chart = ChartBuilder::on(area)
        .margin_right(30)
        .margin_top(4)
        .margin_bottom(8)
        .caption("Spectrum, dBFS", (FONT, CAPTION_HEIGHT).into_font().color(&TEXT))
        .x_label_area_size(BOTTOM_AXIS_HEIGHT)
        .y_label_area_size(LEFT_AXIS_WIDTH)
        .build_cartesian_2d((LOWEST_HZ..highest_hz).log_scale().with_key_points(labelled), LOWEST_DB..0.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .y_labels(13)
        .x_label_formatter(&|&hz| if hz < 1000.0 { format!("{hz:.0} Hz") } else { format!("{:.0} kHz", hz / 1000.0) })
        .y_label_formatter(&|db| format!("{db:.0}"))
        .label_style((FONT, LABEL_HEIGHT).into_font().color(&TEXT))
        .draw()?;
    let columns = chart.plotting_area().dim_in_pixel().0.max(1) as usize;
    for &Trace(name, color, samples) in sounds {
        let line = per_column(&sound::spectrum(samples, sample_rate), highest_hz, columns);
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 28, y)], color.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .legend_area_size(36)
        .label_font((FONT, LABEL_HEIGHT).into_font().color(&TEXT))
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .draw()?;
    Ok(())
}

/// The points of a spectrum, reduced to the highest level in each column of pixels of the logarithmic axis.
fn per_column(spectrum: &[(f32, f32)], highest_hz: f32, columns: usize) -> Vec<(f32, f32)> {
    let octaves = (highest_hz / LOWEST_HZ).log2();
    let mut line: Vec<(f32, f32)> = Vec::new();
    let mut last_column = None;
    for &(hz, db) in spectrum.iter().filter(|(hz, _)| (LOWEST_HZ..=highest_hz).contains(hz)) {
        let column = ((hz / LOWEST_HZ).log2() / octaves * columns as f32) as usize;
        let db = if db.is_nan() { LOWEST_DB } else { db.clamp(LOWEST_DB, 0.0) };
        match line.last_mut() {
            Some(last) if last_column == Some(column) => last.1 = last.1.max(db),
            _ => line.push((hz, db)),
        }
        last_column = Some(column);
    }
    line
}

/// Registers the pictures' font, which is part of this program: a bare system has none.
fn register_font() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        let font = epaint_default_fonts::HACK_REGULAR;
        if plotters::style::register_font(FONT, FontStyle::Normal, font).is_err() {
            unreachable!("the font of epaint_default_fonts is whole");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_keeps_its_loudest_frequency() {
        let spectrum: Vec<(f32, f32)> = (1..24_000).map(|hz| (hz as f32, if hz == 9_973 { -6.0 } else { -150.0 })).collect();
        let line = per_column(&spectrum, 24_000.0, 1000);
        assert!(line.len() <= 1001);
        assert_eq!(line.iter().filter(|(_, db)| *db == -6.0).count(), 1);
        assert!(line.iter().all(|(_, db)| (LOWEST_DB..=0.0).contains(db)));
    }
}
