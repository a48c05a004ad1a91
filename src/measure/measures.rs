//! The registry of measures: every figure that is reported has one row here, with its name, unit, definition and the input that
//! it needs.
//!
//! The headings of tables, the keys of JSON and the reference page are made from the rows. To add a measure, write a file with the
//! function that computes it and its row, and append the row to [`MEASURES`]; a measure of cost also has a field in [`Costs`].

use std::sync::OnceLock;

pub use super::a_weighting::{ESR_A_WEIGHTED, ESR_A_WEIGHTED_DB};
use super::bench::Costs;
use super::costs::{
    DEVIATION, FIRST, JITTER, MAX, MAX_LOAD, MEAN, MEMORY, MISSES, P50, P95, P99, P99_9, REAL_TIME, THROUGHPUT, TIME,
};
use super::error_spectrum::ErrorSpectrum;
pub use super::log_spectral_distance::LOG_SPECTRAL_DISTANCE;
pub use super::loudness::{LUFS, TRUE_PEAK};
use super::noise_to_mask::NoiseToMask;
pub use super::noise_to_mask::{DISTURBED_FRAMES, NMR, NMR_WORST_BAND};
pub use super::pre_emphasis::{ESR_PRE_EMPHASIS, ESR_PRE_EMPHASIS_DB};
pub use super::stft::{MR_STFT, MR_STFT_48K};
pub use super::third_octave::THIRD_OCTAVE_ERROR;
pub use super::worst_windows::WORST_WINDOW;
use super::{
    Characteristics, ErrorToSignal, Tone, aliasing, aliasing_curve, idle, intermodulation, latency, model_aliasing, response,
    thd, thd_noise, transfer,
};
use crate::audio::{Audio, AudioError};

/// A row of the registry: one measure.
#[derive(Debug)]
pub struct Measure {
    /// Key in reports, which never changes. Lower case, words joined by `_`.
    pub id: &'static str,
    /// Name for users.
    pub name: &'static str,
    /// Heading of a column of figures, with the unit.
    pub heading: &'static str,
    /// Unit of the figure.
    pub unit: Unit,
    /// Definition in one plain sentence, with the source of the formula.
    pub definition: &'static str,
    /// The better one of two figures.
    pub better: Preference,
    /// Function that computes the figure, by the input that it needs.
    pub function: MeasureFn,
}

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Ratio of two energies.
    Ratio,
    /// A plain number.
    Number,
    /// Hundredths.
    Percent,
    /// Decibels of a ratio of energies.
    Decibel,
    /// Decibels of full scale.
    Dbfs,
    /// Decibels of full scale, also between the samples.
    Dbtp,
    /// Loudness units of full scale.
    Lufs,
    /// Value of a sample, where 1 is full scale.
    Amplitude,
    /// Frames of the sample rate.
    Frames,
    /// Nanoseconds for a sample of one channel.
    Nanoseconds,
    /// Microseconds for a block.
    Microseconds,
    /// Processing time divided by the duration of the sound.
    RealTime,
    /// Samples of all channels that are processed in a second.
    SamplesPerSecond,
    /// Bytes of memory.
    Bytes,
    /// A count of things.
    Count,
}

/// The better one of two figures of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// The lower figure is better.
    Lower,
    /// The higher figure is better.
    Higher,
    /// Neither is better: the figure only describes.
    Neither,
}

/// The function of a measure, by the input that it needs. It returns NaN if there is no figure.
/// [control thread: allocates, takes its time]
#[derive(Clone, Copy, Debug)]
pub enum MeasureFn {
    /// Takes two aligned sounds.
    Comparison(fn(&Comparison<'_>) -> f64),
    /// Takes a sound.
    Sound(fn(&Audio<f32>) -> f64),
    /// Takes the output of an effect for a steady sine.
    Tone(fn(&Tone) -> f64),
    /// Takes the output of an effect for an impulse at frame 0.
    Impulse(fn(&[f32]) -> f64),
    /// Takes the measured characteristics of an effect.
    Effect(fn(&Characteristics) -> f64),
    /// Takes the measured time and memory of an effect.
    Cost(fn(&Costs) -> f64),
}

/// Two aligned sounds of the same sample rate, number of channels and length. What several measures need is computed once.
#[derive(Debug)]
pub struct Comparison<'a> {
    reference: &'a Audio<f32>,
    test: &'a Audio<f32>,
    error_spectrum: OnceLock<ErrorSpectrum>,
    noise_to_mask: OnceLock<NoiseToMask>,
}

impl<'a> Comparison<'a> {
    /// The comparison of `test` with `reference`. [any thread]
    ///
    /// # Errors
    /// If sample rate, number of channels or length differ.
    pub fn new(reference: &'a Audio<f32>, test: &'a Audio<f32>) -> Result<Self, AudioError> {
        if reference.sample_rate() != test.sample_rate() {
            return Err(AudioError::OtherRate { left: reference.sample_rate(), right: test.sample_rate() });
        }
        if reference.shape() != test.shape() {
            return Err(AudioError::WrongShape { expected: reference.shape(), found: test.shape(), channel: None });
        }
        Ok(Self { reference, test, error_spectrum: OnceLock::new(), noise_to_mask: OnceLock::new() })
    }

    /// Sample rate of both sounds in Hz. [any thread]
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.reference.sample_rate()
    }

    /// Number of channels of both sounds. [any thread]
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.reference.channels()
    }

    /// Number of frames of both sounds. [any thread]
    #[must_use]
    pub fn frames(&self) -> usize {
        self.reference.frames()
    }

    /// Spectra of the reference and of the error.
    pub(super) fn error_spectrum(&self) -> &ErrorSpectrum {
        self.error_spectrum.get_or_init(|| ErrorSpectrum::of(self))
    }

    /// Noise-to-mask ratios.
    pub(super) fn noise_to_mask(&self) -> &NoiseToMask {
        self.noise_to_mask.get_or_init(|| NoiseToMask::of(self))
    }

    /// Each channel of both sounds: reference, test.
    pub(super) fn channels(&self) -> impl ExactSizeIterator<Item = (&'a [f32], &'a [f32])> {
        let (reference, test) = (self.reference, self.test);
        (0..reference.channels()).map(move |channel| (reference.channel(channel), test.channel(channel)))
    }

    /// Error to signal of all channels together.
    fn error(&self) -> ErrorToSignal {
        let mut sums = ErrorToSignal::default();
        self.channels().for_each(|(reference, test)| sums.add_sums(ErrorToSignal::of(reference, test)));
        sums
    }
}

impl Unit {
    /// Text of a figure with its significant digits, without the unit. [any thread but the audio thread: allocates]
    #[must_use]
    pub fn text(self, figure: f64) -> String {
        let text = match self {
            Self::Ratio => format!("{figure:.1e}"),
            Self::Number => format!("{figure:.3}"),
            Self::Percent => format!("{figure:.4}"),
            Self::Decibel | Self::Dbfs | Self::Dbtp | Self::Lufs => format!("{figure:.1}"),
            Self::Amplitude => format!("{figure:.6}"),
            Self::Nanoseconds | Self::Microseconds => format!("{figure:.2}"),
            Self::RealTime => format!("{figure:.5}"),
            Self::Frames | Self::Bytes | Self::Count => format!("{figure:.0}"),
            Self::SamplesPerSecond => format!("{figure:.3e}"),
        };
        // No minus sign before a zero.
        match text.strip_prefix('-') {
            Some(rest) if figure > -1.0 && rest.bytes().all(|byte| byte == b'0' || byte == b'.') => rest.into(),
            _ => text,
        }
    }

    /// The unit's symbol, which is written after a figure; empty for a plain number. [any thread]
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Ratio | Self::Number | Self::RealTime | Self::Amplitude | Self::Count => "",
            Self::SamplesPerSecond => "samples/s",
            Self::Percent => "%",
            Self::Decibel => "dB",
            Self::Dbfs => "dBFS",
            Self::Dbtp => "dBTP",
            Self::Lufs => "LUFS",
            Self::Frames => "frames",
            Self::Nanoseconds => "ns/sample",
            Self::Microseconds => "us",
            Self::Bytes => "bytes",
        }
    }
}

impl MeasureFn {
    /// A description of the input that the function needs, for the reference page. [any thread]
    #[must_use]
    pub const fn needs(self) -> &'static str {
        match self {
            Self::Comparison(_) => "two sounds in step",
            Self::Sound(_) => "a sound",
            Self::Tone(_) => "an effect's output for a steady sine",
            Self::Impulse(_) => "an effect's output for an impulse",
            Self::Effect(_) => "an effect alone",
            Self::Cost(_) => "an effect, timed",
        }
    }
}

impl Measure {
    /// The figure of an effect alone, NaN if it has none; `None` if this is not such a measure. [any thread]
    #[must_use]
    pub fn effect(&self, characteristics: &Characteristics) -> Option<f64> {
        if let MeasureFn::Effect(run) = self.function { Some(run(characteristics)) } else { None }
    }

    /// The figure of an effect's time and memory, NaN for too few blocks; `None` if this is not a measure of cost. [any thread]
    #[must_use]
    pub fn cost(&self, costs: &Costs) -> Option<f64> {
        if let MeasureFn::Cost(run) = self.function { Some(run(costs)) } else { None }
    }

    /// The figure of two sounds; `None` if this measure does not compare sounds. [control thread: allocates]
    #[must_use]
    pub fn compare(&self, comparison: &Comparison<'_>) -> Option<f64> {
        if let MeasureFn::Comparison(run) = self.function { Some(run(comparison)) } else { None }
    }

    /// Text of a figure in the row's unit, without the unit's symbol. [any thread but the audio thread: allocates]
    #[must_use]
    pub fn text(&self, figure: f64) -> String {
        self.unit.text(figure)
    }
}

/// Every measure, in the order of the reference page.
pub static MEASURES: &[&Measure] = &[
    &ESR,
    &NULL,
    &MR_STFT,
    &ESR_PRE_EMPHASIS,
    &ESR_PRE_EMPHASIS_DB,
    &ESR_A_WEIGHTED,
    &ESR_A_WEIGHTED_DB,
    &MR_STFT_48K,
    &LOG_SPECTRAL_DISTANCE,
    &THIRD_OCTAVE_ERROR,
    &NMR,
    &NMR_WORST_BAND,
    &DISTURBED_FRAMES,
    &WORST_WINDOW,
    &PEAK,
    &RMS,
    &DC,
    &LUFS,
    &TRUE_PEAK,
    &THD,
    &THD_NOISE,
    &ALIASING,
    &LATENCY,
    // Of an effect alone.
    &intermodulation::SMPTE,
    &intermodulation::CCIF,
    &transfer::ROW,
    &aliasing_curve::ROW,
    &model_aliasing::ROWS[0],
    &model_aliasing::ROWS[1],
    &model_aliasing::ROWS[2],
    &model_aliasing::ROWS[3],
    &model_aliasing::ROWS[4],
    &model_aliasing::ROWS[5],
    &idle::NOISE,
    &idle::DC,
    &response::ROW,
    // Of time and memory.
    &TIME,
    &REAL_TIME,
    &THROUGHPUT,
    &FIRST,
    &MEAN,
    &DEVIATION,
    &P50,
    &P95,
    &P99,
    &P99_9,
    &MAX,
    &JITTER,
    &MISSES,
    &MAX_LOAD,
    &MEMORY,
];

/// Error to signal as a ratio: [`super::esr`] over all channels.
pub static ESR: Measure = Measure {
    id: "esr",
    name: "Error to signal",
    heading: "ESR",
    unit: Unit::Ratio,
    definition: "Energy of the difference divided by the energy of the reference, all channels together: \
                 sum (y - z)^2 / sum y^2 (Wright et al., DAFx-19), without pre-emphasis.",
    better: Preference::Lower,
    function: MeasureFn::Comparison(|comparison| comparison.error().ratio()),
};

/// Null depth in dB: [`super::null_db`] over all channels.
pub static NULL: Measure = Measure {
    id: "null_db",
    name: "Null",
    heading: "Null dB",
    unit: Unit::Decibel,
    definition: "Energy that is left when one sound is subtracted from the other, in dB of the reference's energy: 10 log10 of \
                 the error to signal; -300 if nothing is left.",
    better: Preference::Lower,
    function: MeasureFn::Comparison(|comparison| comparison.error().db().into()),
};

/// Sample peak of a sound in dBFS.
pub static PEAK: Measure = Measure {
    id: "peak_dbfs",
    name: "Sample peak",
    heading: "Peak dBFS",
    unit: Unit::Dbfs,
    definition: "The largest magnitude of all samples of all channels, in dB of full scale.",
    better: Preference::Neither,
    function: MeasureFn::Sound(|sound| sound.levels().peak_db()),
};

/// RMS level of a sound in dBFS; a full-scale square wave is 0.
pub static RMS: Measure = Measure {
    id: "rms_dbfs",
    name: "RMS level",
    heading: "RMS dBFS",
    unit: Unit::Dbfs,
    definition: "Root of the mean square of all samples of all channels, in dB of a full-scale square wave.",
    better: Preference::Neither,
    function: MeasureFn::Sound(|sound| sound.levels().rms_db()),
};

/// Mean of a sound's samples.
pub static DC: Measure = Measure {
    id: "dc",
    name: "DC offset",
    heading: "DC",
    unit: Unit::Amplitude,
    definition: "Mean of all samples of all channels, where 1 is full scale.",
    better: Preference::Neither,
    function: MeasureFn::Sound(|sound| sound.levels().dc),
};

/// Total harmonic distortion in percent: [`thd`].
pub static THD: Measure = Measure {
    id: "thd",
    name: "Total harmonic distortion",
    heading: "THD %",
    unit: Unit::Percent,
    definition: "Root of the energy of the harmonics from the second up to 20 kHz, divided by the fundamental (IEC 60268-3).",
    better: Preference::Neither,
    function: MeasureFn::Tone(|tone| 100.0 * f64::from(thd(tone))),
};

/// Total harmonic distortion and noise in percent: [`thd_noise`].
pub static THD_NOISE: Measure = Measure {
    id: "thd_noise",
    name: "Total harmonic distortion and noise",
    heading: "THD+N %",
    unit: Unit::Percent,
    definition: "Root of the energy of all but the fundamental, divided by that of all, 20 Hz to 20 kHz (AES17).",
    better: Preference::Neither,
    function: MeasureFn::Tone(|tone| 100.0 * f64::from(thd_noise(tone))),
};

/// Aliasing to signal in dB: [`aliasing`].
pub static ALIASING: Measure = Measure {
    id: "aliasing_db",
    name: "Aliasing",
    heading: "Aliasing dB",
    unit: Unit::Decibel,
    definition: "Energy of all components that are no harmonics of a sine, divided by the energy of its harmonics, from \
                 20 Hz to 20 kHz, in dB; at a length that is prime, so that no alias falls on a harmonic.",
    better: Preference::Lower,
    function: MeasureFn::Tone(|tone| aliasing(tone).into()),
};

/// Latency in frames beyond the reported one, from an impulse: [`latency`] of a response without the reported latency.
pub static LATENCY: Measure = Measure {
    id: "impulse_frames",
    name: "Impulse peak beyond the reported latency",
    heading: "Impulse frames",
    unit: Unit::Frames,
    definition: "Frames from an impulse to the largest magnitude of the response, after the latency that the effect reports \
                 has been taken away.",
    better: Preference::Lower,
    function: MeasureFn::Impulse(|response| latency(response) as f64),
};

#[cfg(test)]
mod tests {
    use super::super::{PRIME_FRAMES, SILENCE_DB, bench, characterise, coherent_tone, multi_resolution_stft, tone_response};
    use super::*;
    use crate::algorithm::REGISTRY;
    use crate::effect::Effect;
    use crate::render::render;

    const RATE: u32 = 48_000;

    fn samples(amplitude: f32) -> Vec<f32> {
        coherent_tone(RATE as f32, 1000.0, amplitude, PRIME_FRAMES).samples
    }

    fn stereo(left: &[f32], right: &[f32]) -> Audio<f32> {
        Audio::from_channels(RATE, &[left, right]).unwrap()
    }

    #[test]
    fn every_row_is_well_formed() {
        for (i, row) in MEASURES.iter().enumerate() {
            assert!(row.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{}", row.id);
            assert!(MEASURES[..i].iter().all(|r| r.id != row.id && r.name != row.name && r.heading != row.heading), "{}", row.id);
            assert!(row.heading.ends_with(row.unit.symbol()), "{}: '{}' shows no unit", row.id, row.heading);
            assert!(row.definition.ends_with(['.']) && !row.definition.contains('\n'), "{}", row.id);
        }
    }

    #[test]
    fn comparisons_count_all_channels_and_a_sound_has_no_distance_from_itself() {
        let (loud, quiet) = (samples(1.0), samples(0.5));
        let (a, b) = (stereo(&loud, &quiet), stereo(&loud, &loud));
        let comparison = Comparison::new(&a, &b).unwrap();
        // Half of the right channel's amplitude is missing: 0.25 of a total of 1.25.
        assert!((ESR.compare(&comparison).unwrap() - 0.2).abs() < 1e-9);
        assert!((NULL.compare(&comparison).unwrap() - 10.0 * 0.2f64.log10()).abs() < 1e-5);
        assert!((MR_STFT.compare(&comparison).unwrap() - 0.5 * multi_resolution_stft(&quiet, &loud)).abs() < 1e-12);
        let itself = Comparison::new(&a, &a).unwrap();
        let figures = [&ESR, &NULL, &MR_STFT].map(|row| row.compare(&itself).unwrap());
        assert_eq!(figures, [0.0, f64::from(SILENCE_DB), 0.0]);
        assert_eq!(THD.compare(&itself), None);
    }

    #[test]
    fn sounds_of_different_format_or_length_are_not_compared() {
        let (a, b) = (stereo(&[0.0; 4], &[0.0; 4]), stereo(&[0.0; 5], &[0.0; 5]));
        assert!(Comparison::new(&a, &b).is_err());
        assert!(Comparison::new(&a, &Audio::from_mono(RATE, &[0.0; 4]).unwrap()).is_err());
        let error = Comparison::new(&a, &Audio::silence(44_100, 2, 4)).unwrap_err().to_string();
        assert!(error.contains("48000 Hz") && error.contains("44100 Hz"), "{error}");
    }

    #[test]
    fn rows_give_the_figures_of_their_functions_in_their_unit() {
        let half = stereo(&samples(0.5), &samples(0.5));
        let sound = |row: &Measure| if let MeasureFn::Sound(run) = row.function { run(&half) } else { f64::NAN };
        assert_eq!([&PEAK, &RMS].map(|row| row.text(sound(row))), ["-6.0", "-9.0"]);
        assert!(sound(&DC).abs() < 1e-6);
        let sine = coherent_tone(RATE as f32, 1000.0, 2.0, PRIME_FRAMES);
        let tone = Tone { samples: sine.samples.iter().map(|x| x.clamp(-1.0, 1.0)).collect(), ..sine };
        let tone_figure = |row: &Measure| if let MeasureFn::Tone(run) = row.function { run(&tone) } else { f64::NAN };
        assert!((tone_figure(&THD) - 100.0 * f64::from(thd(&tone))).abs() < 1e-9 && tone_figure(&THD) > 1.0);
        assert!(tone_figure(&THD_NOISE) > tone_figure(&THD) * 0.9 && tone_figure(&ALIASING) < -30.0);
        let MeasureFn::Impulse(run) = LATENCY.function else { panic!("{:?}", LATENCY.function) };
        assert_eq!(LATENCY.text(run(&[0.0, 0.1, -0.9])), "2");
        let costs = Costs {
            block: bench::BlockSize::fixed(64),
            blocks: 10_000,
            ns_per_sample: 1.0,
            rtf: 0.5,
            samples_per_second: 96_000.0,
            first_us: 6.0,
            mean_us: 2.5,
            deviation_us: 0.25,
            p50_us: 2.0,
            p95_us: Some(2.75),
            p99_us: Some(3.0),
            p99_9_us: None,
            max_us: 4.0,
            jitter_us: Some(1.0),
            misses: 7,
            max_load: 0.75,
            bytes: 5,
            times: Vec::new(),
        };
        let texts: Vec<String> = MEASURES.iter().filter_map(|row| Some(row.text(row.cost(&costs)?))).collect();
        let expected = [
            "1.00", "0.50000", "9.600e4", "6.00", "2.50", "0.25", "2.00", "2.75", "3.00", "NaN", "4.00", "1.00", "7", "0.75000",
            "5",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn every_effect_has_a_figure_in_every_row_that_needs_an_effect() {
        for algorithm in REGISTRY {
            let effect = Effect::new(algorithm);
            let tone = tone_response(&effect, RATE, 1000.0, 0.5).unwrap();
            let mut impulse = vec![0.0; 4000];
            impulse[0] = 1.0;
            let response = render(&effect, &Audio::from_mono(RATE, &impulse).unwrap()).unwrap();
            let spec = bench::BenchSpec { blocks: vec![bench::BlockSize::fixed(64)], max_blocks: 100, ..Default::default() };
            let tables = bench::measure_interleaved(std::slice::from_ref(&effect), &spec, |_| true).unwrap();
            let costs = &tables[0].rows[0];
            let characteristics = characterise(&effect, RATE).unwrap();
            for row in MEASURES {
                let figure = match row.function {
                    MeasureFn::Comparison(_) | MeasureFn::Sound(_) => continue,
                    MeasureFn::Tone(run) => run(&tone),
                    MeasureFn::Impulse(run) => run(response.channel(0)),
                    MeasureFn::Effect(run) => run(&characteristics),
                    MeasureFn::Cost(run) => run(costs),
                };
                // Without a model there is no aliasing of one.
                if model_aliasing::ROWS.iter().any(|measure| measure.id == row.id) {
                    assert!(figure.is_nan(), "{} of {}: {figure}", row.id, algorithm.id);
                    continue;
                }
                // 100 blocks give no percentiles but the median, and an effect that gives a constant for silence no noise.
                let may_be_blank = ["p95_us", "p99_us", "p99_9_us", "jitter_us", "idle_noise_dbfs"].contains(&row.id);
                assert!(figure.is_finite() || may_be_blank, "{} of {}: {figure}", row.id, algorithm.id);
                // The algorithms' latency is compensated, so only a little is left.
                assert!(row.id != LATENCY.id || figure < 100.0, "{} of {}: {figure}", row.id, algorithm.id);
            }
        }
    }
}
