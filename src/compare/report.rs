//! The report of a comparison as plain data, from which `report.json`, the table and the page are made.

use serde::Serialize;

use super::figures::{Figures, LimitResult, MeasureFacts, blocks_of, cost_figures};
use super::ruler::Ruler;
use super::side::{FileFacts, SideFacts};
use super::verdict::{VERDICTS, Verdict, VerdictRow, decibels};
use crate::audio::Audio;
use crate::measure::bench::CostTable;
use crate::measure::{Alignment, Characteristics, Comparison, MEASURES, NoiseToMask, WorstWindow, audible_bands, third_octaves};
use crate::neural::simd::SimdLevel;

/// Name of the schema of `report.json`.
pub const SCHEMA: &str = "isotherm-comparison";
/// Version of the schema. It grows when a key changes its meaning or goes; new keys do not change it.
pub const SCHEMA_VERSION: u32 = 1;

/// A comparison of two sides on one or more sounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name and version of the program.
    pub program: String,
    /// The command line that makes this report again; empty if it was made by a call of the library.
    pub command: String,
    /// The machine on which it was made.
    pub machine: Machine,
    /// The settings of the comparison.
    pub settings: Settings,
    /// Side A, the reference.
    pub a: SideFacts,
    /// Side B.
    pub b: SideFacts,
    /// The verdict.
    pub verdict: Verdict,
    /// The low-pass that scores about as well as B in plain error to signal, while other figures tell them apart; `None` if there
    /// is none.
    pub trap: Option<Trap>,
    /// Each measure's worst figure of all sounds, after alignment.
    pub worst: Vec<WorstFigure>,
    /// Every sound.
    pub sounds: Vec<SoundReport>,
    /// The sounds that could not be compared.
    pub refused: Vec<Refused>,
    /// The rulers, of the first sounds.
    pub rulers: Vec<Ruler>,
    /// The figures of each side alone; `None` for a side that is no effect.
    pub alone: SidePair<Option<Alone>>,
    /// The time and memory of each side; `None` if a side is no effect, or no time was given for it.
    pub costs: SidePair<Option<CostTable>>,
    /// The limits.
    pub limits: Vec<LimitResult>,
    /// Remarks on what may make a number unreliable.
    pub warnings: Vec<String>,
    /// Every measure with its definition.
    pub measures: Vec<MeasureFacts>,
}

/// A value for each side.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SidePair<T> {
    /// Side A.
    pub a: T,
    /// Side B.
    pub b: T,
}

/// The machine on which a report was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Machine {
    /// Operating system, as Rust names it.
    pub system: &'static str,
    /// Instruction set, as Rust names it.
    pub architecture: &'static str,
    /// The processor's own name; `None` where the system does not tell it.
    pub processor: Option<String>,
    /// Number of cores that the program may use.
    pub cores: usize,
    /// The SIMD level at which the program runs networks here. Times depend on it.
    pub simd: &'static str,
    /// Date and time in UTC at which this was found out (RFC 3339).
    pub date: String,
}

/// The settings of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// Seconds for measuring time; 0 for none.
    pub cost_seconds: f64,
    /// Sample rate in hertz at which each side alone is measured.
    pub alone_sample_rate: u32,
    /// Length of a worst window in seconds.
    pub window_seconds: f64,
    /// Longest part of a sound, in seconds, that a ruler is measured on.
    pub ruler_seconds: f64,
}

/// A sound of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SoundReport {
    /// Name.
    pub name: String,
    /// The file; `None` for built-in material.
    pub path: Option<String>,
    /// SHA-256 of the samples as little-endian floats, channel after channel, in hexadecimal.
    pub sha256: String,
    /// Sample rate in hertz.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: usize,
    /// Length in frames.
    pub frames: usize,
    /// Length of A in frames; of a file that of the whole file.
    pub a_frames: usize,
    /// Length of B in frames; of a file that of the whole file.
    pub b_frames: usize,
    /// The file of side A; `None` if the side is no file.
    pub a_file: Option<FileFacts>,
    /// The file of side B; `None` if the side is no file.
    pub b_file: Option<FileFacts>,
    /// Frames that were compared after alignment, where both sides have sound.
    pub compared_frames: usize,
    /// First compared frame of A.
    pub first_frame: usize,
    /// True if the sound is a built-in test signal, which shows what music masks.
    pub is_test_signal: bool,
    /// Samples of the input at full scale.
    pub full_scale_samples: usize,
    /// Null of A against itself in dB, the worse of both ways to run it again; `None` if A has no random part or is no effect.
    pub floor_db: Option<f64>,
    /// All figures of that run against A.
    pub floor: Option<Figures>,
    /// Key of the verdict on this sound alone.
    pub verdict: &'static str,
    /// The correlation, if it is no more than that of noise; then no figure of the difference is given.
    pub unrelated_correlation: Option<f64>,
    /// The reason why B is compared without a delay, although one was looked for.
    pub alignment_remark: Option<String>,
    /// The alignment of B with A.
    pub alignment: Option<Alignment>,
    /// Figures of the difference without alignment.
    pub raw: Figures,
    /// Figures of the difference after alignment.
    pub aligned: Figures,
    /// Figures of the input alone.
    pub input: Figures,
    /// Figures of A alone.
    pub a: Figures,
    /// Figures of B alone, before alignment.
    pub b: Figures,
    /// The error after alignment in third octaves.
    pub third_octaves: Vec<Band>,
    /// The noise-to-mask ratio after alignment by band; `None` without figures.
    pub noise_to_mask: Option<NoiseToMask>,
    /// The worst windows after alignment; frames count from the first compared frame.
    pub worst_windows: Vec<WorstWindow>,
}

impl SoundReport {
    /// True if no sample that both sides have differs, without alignment. [any thread]
    #[must_use]
    pub fn is_equal_as_it_is(&self) -> bool {
        self.raw.get("esr").copied().flatten() == Some(0.0)
    }
}

/// A third octave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Band {
    /// Centre in hertz.
    pub hz: f64,
    /// Level of A in dBFS.
    pub a_db: f64,
    /// Level of B in dBFS.
    pub b_db: f64,
    /// Level of the difference against A in dB; `None` where A has nothing.
    pub error_db: Option<f64>,
}

/// The third octaves of A that are not faint.
pub(super) fn audible(bands: &[Band]) -> Vec<bool> {
    audible_bands(&bands.iter().map(|band| (band.hz, band.a_db)).collect::<Vec<_>>())
}

/// The third octave with the largest error against the signal, of those that are not faint. [any thread]
#[must_use]
pub fn worst_band(bands: &[Band]) -> Option<(f64, f64)> {
    let counted = bands.iter().zip(audible(bands)).filter(|(_, is_audible)| *is_audible);
    counted.filter_map(|(band, _)| Some((band.hz, band.error_db?))).max_by(|a, b| a.1.total_cmp(&b.1))
}

/// A sound that could not be compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// Name of the sound.
    pub sound: String,
    /// The reason in one line.
    pub reason: String,
}

/// The worst figure of a measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorstFigure {
    /// Id of the measure.
    pub measure: &'static str,
    /// The figure; `None` if no sound has one.
    pub figure: Option<f64>,
    /// The sound that has it.
    pub sound: Option<String>,
}

/// A side alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alone {
    /// Figures of the measures that take a tone or an impulse.
    pub figures: Figures,
    /// Responses, harmonics, transfer curve, aliasing, noise and latency.
    pub characteristics: Characteristics,
}

/// The low-pass of the ruler that plain error to signal hardly tells from B, and the figures that do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trap {
    /// The sound.
    pub sound: String,
    /// Null of the low-pass in dB.
    pub low_pass_null_db: f64,
    /// Null of B in dB.
    pub b_null_db: f64,
    /// The figures that tell them apart; one or more.
    pub told_apart_by: Vec<TrapFigure>,
}

/// A figure that tells the low-pass from B.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrapFigure {
    /// Id of the measure.
    pub measure: &'static str,
    /// The figure of the low-pass in dB.
    pub low_pass: f64,
    /// The figure of B in dB.
    pub b: f64,
}

/// Decibels of plain error to signal by which the low-pass and B must differ, so that nobody takes one for the other; and of another
/// figure by which B must be better, so that it tells them apart.
const TRAP_DB: f64 = 10.0;
/// The figures that may tell them apart.
const TRAP_MEASURES: [&str; 2] = ["third_octave_error_db", "nmr_worst_band_db"];

impl Trap {
    /// The trap in the rulers, if there is one: that of the sound where the low-pass is nearest to B.
    pub(super) fn find(rulers: &[Ruler]) -> Option<Self> {
        let trap = |ruler: &Ruler| {
            let both = |measure: &str| Some((ruler.figure("low_pass", measure)?, ruler.figure("b", measure)?));
            let (low_pass_null_db, b_null_db) = both("null_db")?;
            let told_apart_by: Vec<TrapFigure> = TRAP_MEASURES
                .into_iter()
                .filter_map(|measure| both(measure).map(|(low_pass, b)| TrapFigure { measure, low_pass, b }))
                .filter(|figure| figure.low_pass - figure.b >= TRAP_DB)
                .collect();
            let is_trap = (low_pass_null_db - b_null_db).abs() < TRAP_DB && !told_apart_by.is_empty();
            is_trap.then(|| Self { sound: ruler.sound.clone(), low_pass_null_db, b_null_db, told_apart_by })
        };
        let margin = |trap: &Self| (trap.low_pass_null_db - trap.b_null_db).abs();
        rulers.iter().filter_map(trap).min_by(|a, b| margin(a).total_cmp(&margin(b)))
    }

    /// The trap in words. [any thread but the audio thread: allocates]
    #[must_use]
    pub fn text(&self) -> String {
        let figure = |figure: &TrapFigure| {
            let name = MEASURES.iter().find(|row| row.id == figure.measure).map_or(figure.measure, |row| row.name);
            format!("{name}: low-pass {}, B {}", decibels(figure.low_pass), decibels(figure.b))
        };
        format!(
            "The null, which is the plain error to signal in dB, says little here. On {} a 7 kHz low-pass, which takes the treble \
             away, has {}, and B {}. Other figures tell them apart. {}.",
            self.sound,
            decibels(self.low_pass_null_db),
            decibels(self.b_null_db),
            self.told_apart_by.iter().map(figure).collect::<Vec<_>>().join(". ")
        )
    }
}

/// The error of `test` in third octaves, with the levels of both. [control thread: takes its time]
#[must_use]
pub fn bands(reference: &Audio, test: &Audio) -> Vec<Band> {
    let of = |reference, test| Comparison::new(reference, test).map(|comparison| third_octaves(&comparison)).unwrap_or_default();
    let (error, level) = rayon::join(|| of(reference, test), || of(test, reference));
    error
        .iter()
        .zip(&level)
        .map(|(error, level)| Band { hz: error.hz, a_db: error.signal_db, b_db: level.signal_db, error_db: error.error_db })
        .collect()
}

impl Machine {
    /// This machine. [control thread]
    #[must_use]
    pub fn this() -> Self {
        let processor = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        Self {
            system: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            processor,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            simd: match SimdLevel::best_up_to(SimdLevel::Avx512) {
                SimdLevel::Portable => "portable",
                SimdLevel::Avx2 => "AVX2",
                SimdLevel::Avx512 => "AVX-512",
            },
            date: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        }
    }
}

impl Report {
    /// `report.json`, with line breaks. Numbers that are not finite are null. [control thread: allocates]
    ///
    /// # Errors
    /// Never with the types of this report.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// The verdicts on each sound alone, counted, in words: `A close twin: 14, A coarse twin: 1`. [control thread: allocates]
    #[must_use]
    pub fn tally(&self) -> String {
        let count = |row: &VerdictRow| self.sounds.iter().filter(|sound| sound.verdict == row.id).count();
        let counted = VERDICTS.iter().map(|row| (row.title, count(row))).filter(|(_, count)| *count > 0);
        counted.map(|(title, count)| format!("{title}: {count}")).collect::<Vec<_>>().join(", ")
    }

    /// `measures.csv`: a header, then a line for each sound, side and measure. The sides are `input`, `a`, `b`, `raw` (the
    /// difference without alignment), `aligned` (after it), and the ids of the ruler's rows. The sound of a figure of an effect alone is
    /// empty, that of a figure of cost is the size of the blocks: `blocks of 64`. A figure that is not there is empty. A name that a
    /// spreadsheet would take for a formula has an apostrophe before it.
    /// [control thread: allocates]
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut text = "sound,side,measure,unit,figure\n".to_owned();
        let mut add = |sound: &str, side: &str, figures: &Figures| {
            for measure in &self.measures {
                if let Some(figure) = figures.get(measure.id) {
                    let figure = figure.map_or_else(String::new, |figure| figure.to_string());
                    text += &format!("{},{side},{},{},{figure}\n", csv_field(sound), measure.id, measure.unit);
                }
            }
        };
        for sound in &self.sounds {
            for (side, figures) in
                [("input", &sound.input), ("a", &sound.a), ("b", &sound.b), ("raw", &sound.raw), ("aligned", &sound.aligned)]
            {
                add(&sound.name, side, figures);
            }
        }
        for ruler in &self.rulers {
            for row in ruler.rows.iter().filter(|row| row.id != "b") {
                add(&ruler.sound, &format!("ruler {}", row.id), &row.figures);
            }
        }
        for (side, alone) in [("a", &self.alone.a), ("b", &self.alone.b)] {
            if let Some(alone) = alone {
                add("", side, &alone.figures);
            }
        }
        for (side, table) in [("a", &self.costs.a), ("b", &self.costs.b)] {
            for costs in table.iter().flat_map(|table| &table.rows) {
                add(&blocks_of(costs), side, &cost_figures(costs));
            }
        }
        text
    }
}

/// A name as a field of a CSV file (RFC 4180): in quotation marks if it holds a comma, a quotation mark or a line break. Before a
/// first character with which spreadsheets begin a formula comes an apostrophe (OWASP, CSV injection).
pub(crate) fn csv_field(name: &str) -> String {
    let is_formula = name.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = format!("{}{name}", if is_formula { "'" } else { "" });
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_commas_and_quotation_marks_is_one_field() {
        assert_eq!(csv_field("a, \"b\""), "\"a, \"\"b\"\"\"");
        assert_eq!(csv_field("guitar"), "guitar");
    }

    #[test]
    fn a_name_is_no_formula() {
        for (name, field) in
            [("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("=a,b", "\"'=a,b\""), ("a=1", "a=1")]
        {
            assert_eq!(csv_field(name), field);
        }
    }
}
