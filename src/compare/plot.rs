//! The plots of a report as plain data: the page draws them with zoom and cursor, and `picture.rs` as PNG.

use serde::Serialize;

use super::report::{Alone, Report, SoundReport};
use super::ruler::{Ruler, RulerRow};
use crate::measure::TransferPoint;
use crate::measure::bench::{CostTable, Costs};

/// An axis of a plot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Axis {
    /// Name and unit.
    pub label: &'static str,
    /// Unit alone.
    pub unit: &'static str,
    /// True for a logarithmic axis.
    pub log: bool,
    /// Lowest value that is shown, if a curve goes below it.
    pub floor: Option<f64>,
    /// Value that is always shown, also if no curve comes down to it.
    pub from: Option<f64>,
    /// Whole numbers that are marked and written in full; empty if the marks follow from the range.
    pub ticks: Vec<f64>,
}

/// The line of a curve, which means the same in every plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dash {
    /// Side A, or both sides together.
    Solid,
    /// Side B.
    Dashed,
    /// A known change of A: a row of the ruler.
    Dotted,
}

/// A curve of a plot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// Name for the legend.
    pub name: String,
    /// Name of its colour: `a`, `b`, `difference`, `ruler`, `warn` (the low-pass), or `h1` to `h7` for harmonics.
    pub colour: String,
    /// Its line.
    pub dash: Dash,
    /// True for a second figure of the same side, which is drawn with a thinner line.
    pub thin: bool,
    /// Positions along the horizontal axis.
    pub x: Vec<f64>,
    /// Values; `None` where there is no value.
    pub y: Vec<Option<f64>>,
}

/// A plot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plot {
    /// Key, and name of the PNG.
    pub id: String,
    /// Title.
    pub title: String,
    /// Remark on how to read it.
    pub note: &'static str,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// The curves.
    pub series: Vec<Series>,
}

/// Most points of a curve, more than a screen can show.
const MAX_POINTS: usize = 480;
/// Lowest levels in dB that are shown.
const ERROR_FLOOR_DB: f64 = -120.0;
const RESPONSE_FLOOR_DB: f64 = -60.0;
const HARMONIC_FLOOR_DB: f64 = -140.0;

const HERTZ: Axis = Axis { label: "Frequency, Hz", unit: "Hz", log: true, floor: None, from: None, ticks: Vec::new() };

/// A vertical axis.
const fn vertical(label: &'static str, unit: &'static str, floor: Option<f64>) -> Axis {
    Axis { label, unit, log: false, floor, from: None, ticks: Vec::new() }
}

impl Series {
    /// A curve, thinned to [`MAX_POINTS`].
    fn new(name: impl Into<String>, colour: &str, dash: Dash, points: impl IntoIterator<Item = (f64, Option<f64>)>) -> Self {
        let points: Points = points.into_iter().collect();
        let step = points.len().div_ceil(MAX_POINTS).max(1);
        let thinned = points.iter().step_by(step);
        let (x, y) = thinned.map(|(x, y)| (*x, y.filter(|y| y.is_finite()))).unzip();
        Self { name: name.into(), colour: colour.into(), dash, thin: false, x, y }
    }

    /// The curve of a second figure.
    fn thin(self) -> Self {
        Self { thin: true, ..self }
    }
}

/// Points of a curve.
type Points = Vec<(f64, Option<f64>)>;
/// A function that gives the points of a side.
type PointsOf<'a> = &'a dyn Fn(&Alone) -> Points;
/// Positions, and for each harmonic its levels at them.
type Orders<'a> = (&'a [f64], &'a [Vec<Option<f64>>]);

/// Points of two lists of one length.
fn zip<'a>(x: &'a [f64], y: &'a [f64]) -> impl Iterator<Item = (f64, Option<f64>)> + 'a {
    x.iter().zip(y).map(|(x, y)| (*x, Some(*y)))
}

/// Points of a list of values and one of values that may be missing.
fn zip_some<'a>(x: &'a [f64], y: &'a [Option<f64>]) -> impl Iterator<Item = (f64, Option<f64>)> + 'a {
    x.iter().copied().zip(y.iter().copied())
}

impl Plot {
    /// All plots of a report. [control thread: allocates]
    #[must_use]
    pub fn all(report: &Report) -> Vec<Self> {
        let mut plots = Vec::new();
        for (index, sound) in report.sounds.iter().enumerate().filter(|(_, sound)| sound.alignment.is_some()) {
            plots.extend(difference(index, sound, report.rulers.iter().find(|ruler| ruler.sound == sound.name)));
        }
        plots.extend(alone(report.alone.a.as_ref(), report.alone.b.as_ref()));
        plots.extend(cost(report.costs.a.as_ref(), report.costs.b.as_ref()));
        plots
    }
}

/// Ids, names and colours of the ruler's rows that are drawn beside B.
const DRAWN_ROWS: [(&str, &str, &str); 2] = [("low_pass", "7 kHz low-pass", "warn"), ("late", "0.1 sample late", "ruler")];

/// The plots of the difference on one sound.
fn difference(index: usize, sound: &SoundReport, ruler: Option<&Ruler>) -> Vec<Plot> {
    let mut octaves = vec![Series::new("B", "b", Dash::Dashed, sound.third_octaves.iter().map(|band| (band.hz, band.error_db)))];
    let row = |id: &str| -> Option<&RulerRow> { ruler?.row(id).filter(|row| row.reason.is_none()) };
    for (id, name, colour) in DRAWN_ROWS {
        if let Some(row) = row(id) {
            octaves.push(Series::new(name, colour, Dash::Dotted, row.third_octaves.iter().map(|band| (band.hz, band.error_db))));
        }
    }
    let mask = sound
        .noise_to_mask
        .iter()
        .map(|mask| Series::new("B", "b", Dash::Dashed, mask.bands.iter().map(|band| (band.hz, Some(band.nmr_db)))));
    let mut mask: Vec<Series> = mask.collect();
    if let Some(row) = row("low_pass").and_then(|row| row.noise_to_mask.as_ref()) {
        let points = row.bands.iter().map(|band| (band.hz, Some(band.nmr_db)));
        mask.push(Series::new("7 kHz low-pass", "warn", Dash::Dotted, points));
    }
    vec![
        Plot {
            id: format!("octaves-{index}"),
            title: format!("{}: error in third octaves", sound.name),
            note: "Error against the signal in the same band: 0 dB means that the band is lost.",
            x: HERTZ,
            y: vertical("Error, dB of the signal", "dB", Some(ERROR_FLOOR_DB)),
            series: octaves,
        },
        Plot {
            id: format!("mask-{index}"),
            title: format!("{}: noise-to-mask ratio", sound.name),
            note: "Error against what the sound masks: below -10 dB it is hardly heard.",
            x: HERTZ,
            y: vertical("Noise to mask, dB", "dB", Some(ERROR_FLOOR_DB)),
            series: mask,
        },
    ]
}

/// Ids of the plots of each side alone, in their order.
pub const ALONE_PLOTS: [&str; 11] = [
    "magnitude",
    "magnitude-difference",
    "phase",
    "group-delay",
    "harmonics-frequency",
    "harmonics-level",
    "thd-frequency",
    "thd-level",
    "transfer",
    "aliasing-frequency",
    "aliasing-level",
];

/// The plots of each side alone.
fn alone(a: Option<&Alone>, b: Option<&Alone>) -> Vec<Plot> {
    let sides: Vec<(&str, &str, Dash, &Alone)> = [("A", "a", Dash::Solid, a), ("B", "b", Dash::Dashed, b)]
        .into_iter()
        .filter_map(|(n, c, d, side)| Some((n, c, d, side?)))
        .collect();
    if sides.is_empty() {
        return Vec::new();
    }
    let curves = |points: PointsOf<'_>| -> Vec<Series> {
        sides.iter().map(|(name, colour, dash, side)| Series::new(*name, colour, *dash, points(side))).collect()
    };
    let plot =
        |id: &str, title: &str, note, x: Axis, y: Axis, series| Plot { id: id.into(), title: title.into(), note, x, y, series };
    let level = |label, unit| vertical(label, unit, None);
    let magnitude = curves(&|side| zip(&side.characteristics.response.hz, &side.characteristics.response.magnitude_db).collect());
    let phase = curves(&|side| zip(&side.characteristics.response.hz, &side.characteristics.response.phase_degrees).collect());
    let delay =
        curves(&|side| zip(&side.characteristics.response.hz, &side.characteristics.response.group_delay_frames).collect());
    let of_difference = match (a, b) {
        (Some(a), Some(b)) => {
            let (a, b) = (&a.characteristics.response, &b.characteristics.response);
            let points = a.hz.iter().zip(a.magnitude_db.iter().zip(&b.magnitude_db)).map(|(hz, (a, b))| (*hz, Some(b - a)));
            vec![Series::new("B less A", "difference", Dash::Solid, points)]
        }
        _ => Vec::new(),
    };
    let harmonics = |of: fn(&Alone) -> Orders<'_>| -> Vec<Series> {
        let mut series = Vec::new();
        for (name, _, dash, side) in &sides {
            let (x, orders) = of(side);
            for (index, order) in orders.iter().enumerate() {
                let order_name = format!("{name} H{}", index + 1);
                series.push(Series::new(order_name, &format!("h{}", index + 1), *dash, zip_some(x, order)));
            }
        }
        series
    };
    let over_frequency = harmonics(|side| (&side.characteristics.sweep.hz, &side.characteristics.sweep.orders));
    let over_level = harmonics(|side| (&side.characteristics.levels.input_dbfs, &side.characteristics.levels.orders));
    let thd_frequency =
        curves(&|side| zip_some(&side.characteristics.sweep.hz, &side.characteristics.sweep.thd_percent).collect());
    let mut thd_level = Vec::new();
    for (name, colour, dash, side) in &sides {
        let levels = &side.characteristics.levels;
        thd_level.push(Series::new(format!("{name} THD"), colour, *dash, zip(&levels.input_dbfs, &levels.thd_percent)));
        let noise = zip(&levels.input_dbfs, &levels.thd_noise_percent);
        thd_level.push(Series::new(format!("{name} THD+N"), colour, *dash, noise).thin());
    }
    let mut transfer = Vec::new();
    for (name, colour, dash, side) in &sides {
        let curve = &side.characteristics.transfer;
        let branch = |direction: &str, points: &[TransferPoint]| {
            let points = points.iter().map(|point| (point.input, Some(point.output)));
            Series::new(format!("{name} {direction}"), colour, *dash, points)
        };
        transfer.extend([branch("rising", &curve.up), branch("falling", &curve.down).thin()]);
    }
    let aliasing_frequency = curves(&|side| {
        side.characteristics.aliasing.over_frequency.iter().map(|tone| (tone.hz, Some(tone.aliasing_db))).collect()
    });
    let aliasing_level = curves(&|side| {
        side.characteristics.aliasing.over_level.iter().map(|tone| (tone.level_dbfs, Some(tone.aliasing_db))).collect()
    });
    let input = level("Level of the input, dBFS", "dBFS");
    vec![
        plot(
            "magnitude",
            "Magnitude for small signals",
            "For sounds so quiet that the effect is linear.",
            HERTZ,
            vertical("Gain, dB", "dB", Some(RESPONSE_FLOOR_DB)),
            magnitude,
        ),
        plot(
            "magnitude-difference",
            "Magnitude of B less that of A",
            "0 dB: both have the same gain.",
            HERTZ,
            vertical("Difference, dB", "dB", Some(RESPONSE_FLOOR_DB)),
            of_difference,
        ),
        plot(
            "phase",
            "Phase for small signals",
            "The reported latency is taken away.",
            HERTZ,
            vertical("Phase, degrees", "degrees", None),
            phase,
        ),
        plot(
            "group-delay",
            "Group delay for small signals",
            "The reported latency is taken away.",
            HERTZ,
            vertical("Delay, frames", "frames", None),
            delay,
        ),
        plot(
            "harmonics-frequency",
            "Harmonics against frequency",
            "Synchronised sweep at -12 dBFS. H1 is the fundamental. A solid, B dashed.",
            HERTZ,
            vertical("Level, dB", "dB", Some(HARMONIC_FLOOR_DB)),
            over_frequency,
        ),
        plot(
            "harmonics-level",
            "Harmonics against level",
            "A tone of 1 kHz. H1 is the fundamental. A solid, B dashed.",
            input.clone(),
            vertical("Level, dB", "dB", Some(HARMONIC_FLOOR_DB)),
            over_level,
        ),
        plot(
            "thd-frequency",
            "THD against frequency",
            "Sweep at -12 dBFS. Harmonics above 20 kHz do not count: without even ones, the curve ends at 6.7 kHz.",
            HERTZ,
            vertical("THD, %", "%", None),
            thd_frequency,
        ),
        plot(
            "thd-level",
            "THD and THD+N against level",
            "A tone of 1 kHz.",
            input.clone(),
            vertical("Distortion, %", "%", None),
            thd_level,
        ),
        plot(
            "transfer",
            "Transfer curve",
            "Output against input for a sine of 100 Hz at full scale. Two branches mean memory.",
            level("Input", ""),
            vertical("Output", "", None),
            transfer,
        ),
        plot(
            "aliasing-frequency",
            "Aliasing against frequency",
            "Sines of 0 dBFS. Energy of all that is no harmonic, against the harmonics, 20 Hz to 20 kHz.",
            HERTZ,
            vertical("Aliasing, dB", "dB", Some(HARMONIC_FLOOR_DB)),
            aliasing_frequency,
        ),
        plot(
            "aliasing-level",
            "Aliasing against level",
            "A sine of 5 kHz. Energy of all that is no harmonic, against the harmonics, 20 Hz to 20 kHz.",
            input,
            vertical("Aliasing, dB", "dB", Some(HARMONIC_FLOOR_DB)),
            aliasing_level,
        ),
    ]
}

/// The plot of time against block size.
fn cost(a: Option<&CostTable>, b: Option<&CostTable>) -> Option<Plot> {
    let mut series = Vec::new();
    let mut sizes: Vec<f64> = Vec::new();
    for (name, colour, dash, table) in [("A", "a", Dash::Solid, a), ("B", "b", Dash::Dashed, b)] {
        let Some(table) = table else { continue };
        let frames = |row: &Costs| (row.block.min + row.block.max) as f64 / 2.0;
        let points = |figure: fn(&Costs) -> Option<f64>| {
            let channels = table.channels as f64;
            table.rows.iter().map(move |row| (frames(row), figure(row).map(|us| us * 1000.0 / (frames(row) * channels))))
        };
        sizes = table.rows.iter().filter(|row| !row.block.varies()).map(frames).collect();
        series.push(Series::new(format!("{name} median"), colour, dash, points(|row| Some(row.p50_us))));
        series.push(Series::new(format!("{name} 99th percentile"), colour, dash, points(|row| row.p99_us)).thin());
    }
    (!series.is_empty()).then(|| Plot {
        id: "cost".into(),
        title: "Time for a sample against block size".into(),
        note: "Time of a block divided by its samples of all channels. Thin: the 99th percentile.",
        x: Axis { label: "Block, frames", unit: "frames", log: true, floor: None, from: None, ticks: sizes },
        y: Axis { from: Some(0.0), ..vertical("Time, ns per sample and channel", "ns", None) },
        series,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Effect;
    use crate::measure::bench::{BenchSpec, BlockSize, measure_interleaved};

    #[test]
    fn the_plot_of_cost_marks_each_block_size_and_tells_sides_by_colour_and_line_and_figures_by_width() {
        let blocks = vec![BlockSize::fixed(16), BlockSize::fixed(48)];
        let spec = BenchSpec { blocks, seconds: 0.0, max_blocks: 100, ..BenchSpec::default() };
        let effects: [Effect; 2] = ["clipper", "clipper"].map(|text| text.parse().unwrap());
        let tables = measure_interleaved(&effects, &spec, |_| true).unwrap();
        let plot = cost(Some(&tables[0]), Some(&tables[1])).unwrap();
        assert_eq!((plot.x.ticks, plot.y.from), (vec![16.0, 48.0], Some(0.0)));
        let drawn: Vec<_> = plot.series.iter().map(|curve| (curve.colour.as_str(), curve.dash, curve.thin)).collect();
        let (a, b) = (Dash::Solid, Dash::Dashed);
        assert_eq!(drawn, [("a", a, false), ("a", a, true), ("b", b, false), ("b", b, true)]);
    }

    #[test]
    fn a_curve_is_thinned_and_what_is_not_finite_is_left_out() {
        let series = Series::new("x", "a", Dash::Solid, (0..10_000).map(|i| (f64::from(i), Some(1.0))));
        assert!(series.x.len() <= MAX_POINTS && series.x.len() > MAX_POINTS / 2);
        assert_eq!(Series::new("x", "a", Dash::Solid, [(1.0, Some(f64::NAN)), (2.0, Some(3.0))]).y, [None, Some(3.0)]);
    }
}
