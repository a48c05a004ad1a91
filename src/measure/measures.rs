//! The registry of measures: every figure that is reported has one row here, which says what it is called, in which unit it is, what
//! it means and what it needs.
//!
//! Heads of tables, keys of JSON and the reference page come from the rows. To add a measure: write the function that reckons it, and
//! append its row to [`MEASURES`]; a cost has a field in [`Figures`].

use super::bench::Figures;
use super::{ErrorToSignal, Tone, aliasing, latency, multi_resolution_stft, thd, thd_noise};
use crate::audio::{Audio, AudioError};

/// A row: one figure.
#[derive(Debug)]
pub struct Measure {
    /// Stable for ever: a key of reports. Lower case, words joined by `_`.
    pub id: &'static str,
    /// What a user reads.
    pub name: &'static str,
    /// Over a column of figures, with the unit.
    pub head: &'static str,
    pub unit: Unit,
    /// One plain sentence, with where the formula comes from.
    pub definition: &'static str,
    pub better: Better,
    pub run: Run,
}

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Of two energies.
    Ratio,
    /// A plain number.
    Number,
    Percent,
    Decibel,
    /// Decibels of full scale.
    Dbfs,
    /// Of a sample, where 1 is full scale.
    Amplitude,
    Frames,
    /// For a sample of one channel.
    Nanoseconds,
    Microseconds,
    /// Processing time by the time that the sound lasts.
    RealTime,
    Bytes,
}

/// Which of two figures one would rather have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Lower,
    /// It only tells what is there.
    Neither,
}

/// Input of a measure, with the function that makes its figure of it. One that has no figure gives NaN.
/// [analysis thread: allocates, takes its time]
#[derive(Clone, Copy, Debug)]
pub enum Run {
    Pair(fn(&Pair<'_>) -> f64),
    Sound(fn(&Audio<f32>) -> f64),
    Tone(fn(&Tone) -> f64),
    /// What an effect makes of an impulse at frame 0.
    Impulse(fn(&[f32]) -> f64),
    Cost(fn(&Figures) -> f64),
}

/// Two sounds of one rate, width and length, in step.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    reference: &'a Audio<f32>,
    test: &'a Audio<f32>,
}

impl<'a> Pair<'a> {
    /// `test` is held against `reference`. [any thread]
    ///
    /// # Errors
    /// If they are not of one rate, width and length.
    pub fn new(reference: &'a Audio<f32>, test: &'a Audio<f32>) -> Result<Self, AudioError> {
        if reference.sample_rate() != test.sample_rate() {
            return Err(AudioError::OtherRate { left: reference.sample_rate(), right: test.sample_rate() });
        }
        if reference.shape() != test.shape() {
            return Err(AudioError::WrongShape { expected: reference.shape(), found: test.shape(), channel: None });
        }
        Ok(Self { reference, test })
    }

    /// Each channel of both.
    fn channels(&self) -> impl ExactSizeIterator<Item = (&'a [f32], &'a [f32])> {
        let Self { reference, test } = *self;
        (0..reference.channels()).map(move |channel| (reference.channel(channel), test.channel(channel)))
    }

    /// Of all channels together.
    fn error(&self) -> ErrorToSignal {
        let mut sums = ErrorToSignal::default();
        self.channels().for_each(|(reference, test)| sums.join(ErrorToSignal::of(reference, test)));
        sums
    }
}

impl Unit {
    /// A figure with as many digits as mean something, without the unit. [any thread]
    #[must_use]
    pub fn text(self, figure: f64) -> String {
        match self {
            Self::Ratio => format!("{figure:.1e}"),
            Self::Number => format!("{figure:.3}"),
            Self::Percent => format!("{figure:.4}"),
            Self::Decibel | Self::Dbfs => format!("{figure:.1}"),
            Self::Amplitude => format!("{figure:.6}"),
            Self::Nanoseconds | Self::Microseconds => format!("{figure:.2}"),
            Self::RealTime => format!("{figure:.5}"),
            Self::Frames | Self::Bytes => format!("{figure:.0}"),
        }
    }

    /// As it is written behind a figure; empty for a plain number. [any thread]
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ratio | Self::Number | Self::RealTime | Self::Amplitude => "",
            Self::Percent => "%",
            Self::Decibel => "dB",
            Self::Dbfs => "dBFS",
            Self::Frames => "frames",
            Self::Nanoseconds => "ns/sample",
            Self::Microseconds => "us",
            Self::Bytes => "bytes",
        }
    }
}

impl Run {
    /// What it needs, for a reader. [any thread]
    #[must_use]
    pub const fn needs(self) -> &'static str {
        match self {
            Self::Pair(_) => "two sounds in step",
            Self::Sound(_) => "a sound",
            Self::Tone(_) => "an effect's answer to a steady sine",
            Self::Impulse(_) => "an effect's answer to an impulse",
            Self::Cost(_) => "an effect, timed",
        }
    }
}

impl Measure {
    /// The figure for an effect that was timed; none if it is not a measure of cost. [any thread]
    #[must_use]
    pub fn cost(&self, figures: &Figures) -> Option<f64> {
        if let Run::Cost(run) = self.run { Some(run(figures)) } else { None }
    }

    /// The figure for two sounds; none if it does not compare. [analysis thread: allocates]
    #[must_use]
    pub fn pair(&self, pair: &Pair<'_>) -> Option<f64> {
        if let Run::Pair(run) = self.run { Some(run(pair)) } else { None }
    }

    /// A figure in the row's unit, without it. [any thread]
    #[must_use]
    pub fn text(&self, figure: f64) -> String {
        self.unit.text(figure)
    }
}

/// Every measure.
pub static MEASURES: &[&Measure] = &[
    &ESR, &NULL, &MR_STFT, &PEAK, &RMS, &DC, &THD, &THD_NOISE, &ALIASING, &LATENCY, &TIME, &REAL_TIME, &P50, &P99, &MAX, &MEMORY,
];

pub static ESR: Measure = Measure {
    id: "esr",
    name: "Error to signal",
    head: "ESR",
    unit: Unit::Ratio,
    definition: "Energy of the difference by the energy of the reference, all channels together: sum (y - z)^2 / sum y^2 (Wright et al., DAFx-19), without pre-emphasis and without alignment.",
    better: Better::Lower,
    run: Run::Pair(|pair| pair.error().ratio()),
};

pub static NULL: Measure = Measure {
    id: "null_db",
    name: "Null",
    head: "Null dB",
    unit: Unit::Decibel,
    definition: "What is left when one sound is subtracted from the other, in dB of the reference's energy: 10 log10 of the error to signal; -300 where nothing is left.",
    better: Better::Lower,
    run: Run::Pair(|pair| pair.error().db().into()),
};

pub static MR_STFT: Measure = Measure {
    id: "mr_stft",
    name: "Multi-resolution STFT distance",
    head: "MR-STFT",
    unit: Unit::Number,
    definition: "Spectral convergence plus the mean difference of the magnitudes' natural logarithms, the mean of transforms of 512, 1024 and 2048 frames (Yamamoto et al., ICASSP 2020, for 24 kHz), the mean of the channels.",
    better: Better::Lower,
    run: Run::Pair(|pair| pair.channels().map(|(y, z)| multi_resolution_stft(y, z)).sum::<f64>() / pair.channels().len() as f64),
};

pub static PEAK: Measure = Measure {
    id: "peak_dbfs",
    name: "Sample peak",
    head: "Peak dBFS",
    unit: Unit::Dbfs,
    definition: "The largest magnitude of all samples of all channels, in dB of full scale.",
    better: Better::Neither,
    run: Run::Sound(|sound| sound.levels().peak_db()),
};

pub static RMS: Measure = Measure {
    id: "rms_dbfs",
    name: "RMS level",
    head: "RMS dBFS",
    unit: Unit::Dbfs,
    definition: "Root of the mean square of all samples of all channels, in dB of a full-scale square wave.",
    better: Better::Neither,
    run: Run::Sound(|sound| sound.levels().rms_db()),
};

pub static DC: Measure = Measure {
    id: "dc",
    name: "DC offset",
    head: "DC",
    unit: Unit::Amplitude,
    definition: "Mean of all samples of all channels, where 1 is full scale.",
    better: Better::Neither,
    run: Run::Sound(|sound| sound.levels().dc),
};

pub static THD: Measure = Measure {
    id: "thd",
    name: "Total harmonic distortion",
    head: "THD %",
    unit: Unit::Percent,
    definition: "Root of the energy of the harmonics from the second up to 20 kHz, by the fundamental (IEC 60268-3).",
    better: Better::Neither,
    run: Run::Tone(|tone| 100.0 * f64::from(thd(tone))),
};

pub static THD_NOISE: Measure = Measure {
    id: "thd_noise",
    name: "Total harmonic distortion and noise",
    head: "THD+N %",
    unit: Unit::Percent,
    definition: "Root of the energy of all but the fundamental by that of all, 20 Hz to 20 kHz (AES17).",
    better: Better::Neither,
    run: Run::Tone(|tone| 100.0 * f64::from(thd_noise(tone))),
};

pub static ALIASING: Measure = Measure {
    id: "aliasing_db",
    name: "Aliasing",
    head: "Aliasing dB",
    unit: Unit::Decibel,
    definition: "Energy of all that is no harmonic of a sine by the energy of its harmonics, above 0 Hz up to 20 kHz, in dB; told apart by a length that is prime.",
    better: Better::Lower,
    run: Run::Tone(|tone| aliasing(tone).into()),
};

pub static LATENCY: Measure = Measure {
    id: "impulse_frames",
    name: "Measured latency",
    head: "Impulse frames",
    unit: Unit::Frames,
    definition: "Frames from an impulse to the largest magnitude of what comes of it.",
    better: Better::Lower,
    run: Run::Impulse(|response| latency(response) as f64),
};

pub static TIME: Measure = Measure {
    id: "ns_per_sample",
    name: "Time for a sample",
    head: "ns/sample",
    unit: Unit::Nanoseconds,
    definition: "The median block's time by its frames and channels.",
    better: Better::Lower,
    run: Run::Cost(|figures| figures.ns_per_sample.into()),
};

pub static REAL_TIME: Measure = Measure {
    id: "rtf",
    name: "Real-time factor",
    head: "rtf",
    unit: Unit::RealTime,
    definition: "Time for all blocks by the time that their sound lasts: below 1 keeps up.",
    better: Better::Lower,
    run: Run::Cost(|figures| figures.rtf.into()),
};

pub static P50: Measure = Measure {
    id: "p50_us",
    name: "Median block",
    head: "p50 us",
    unit: Unit::Microseconds,
    definition: "Time that half of the blocks stay within (nearest rank).",
    better: Better::Lower,
    run: Run::Cost(|figures| figures.p50_us.into()),
};

pub static P99: Measure = Measure {
    id: "p99_us",
    name: "99th percentile of the blocks",
    head: "p99 us",
    unit: Unit::Microseconds,
    definition: "Time that 99 % of the blocks stay within (nearest rank).",
    better: Better::Lower,
    run: Run::Cost(|figures| figures.p99_us.into()),
};

pub static MAX: Measure = Measure {
    id: "max_us",
    name: "Slowest block",
    head: "max us",
    unit: Unit::Microseconds,
    definition: "Time of the slowest block behind the first 200.",
    better: Better::Lower,
    run: Run::Cost(|figures| figures.max_us.into()),
};

pub static MEMORY: Measure = Measure {
    id: "buffer_bytes",
    name: "Memory",
    head: "bytes",
    unit: Unit::Bytes,
    definition: "What a processor holds on the heap, apart from a model's weights.",
    better: Better::Lower,
    run: Run::Cost(|figures| figures.bytes as f64),
};

#[cfg(test)]
mod tests {
    use super::super::{PRIME_FRAMES, SILENCE_DB, bench, coherent_tone, tone_response};
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
            assert!(MEASURES[..i].iter().all(|r| r.id != row.id && r.name != row.name && r.head != row.head), "{}", row.id);
            assert!(row.head.ends_with(row.unit.name()), "{}: '{}' shows no unit", row.id, row.head);
            assert!(row.definition.ends_with(['.']) && !row.definition.contains('\n'), "{}", row.id);
        }
    }

    #[test]
    fn a_pair_counts_all_channels_and_a_sound_is_no_distance_from_itself() {
        let (loud, quiet) = (samples(1.0), samples(0.5));
        let (a, b) = (stereo(&loud, &quiet), stereo(&loud, &loud));
        let pair = Pair::new(&a, &b).unwrap();
        // Half of the right channel's amplitude is missing: 0.25 of a total of 1.25.
        assert!((ESR.pair(&pair).unwrap() - 0.2).abs() < 1e-9);
        assert!((NULL.pair(&pair).unwrap() - 10.0 * 0.2f64.log10()).abs() < 1e-5);
        assert!((MR_STFT.pair(&pair).unwrap() - 0.5 * multi_resolution_stft(&quiet, &loud)).abs() < 1e-12);
        let own = Pair::new(&a, &a).unwrap();
        let figures = [&ESR, &NULL, &MR_STFT].map(|row| row.pair(&own).unwrap());
        assert_eq!(figures, [0.0, f64::from(SILENCE_DB), 0.0]);
        assert_eq!(THD.pair(&own), None);
    }

    #[test]
    fn sounds_that_do_not_fit_are_no_pair() {
        let (a, b) = (stereo(&[0.0; 4], &[0.0; 4]), stereo(&[0.0; 5], &[0.0; 5]));
        assert!(Pair::new(&a, &b).is_err());
        assert!(Pair::new(&a, &Audio::from_mono(RATE, &[0.0; 4]).unwrap()).is_err());
        let error = Pair::new(&a, &Audio::silence(44_100, 2, 4)).unwrap_err().to_string();
        assert!(error.contains("48000 Hz") && error.contains("44100 Hz"), "{error}");
    }

    #[test]
    fn rows_give_the_figures_of_their_functions_in_their_unit() {
        let half = stereo(&samples(0.5), &samples(0.5));
        let sound = |row: &Measure| if let Run::Sound(run) = row.run { run(&half) } else { f64::NAN };
        assert_eq!([&PEAK, &RMS].map(|row| row.text(sound(row))), ["-6.0", "-9.0"]);
        assert!(sound(&DC).abs() < 1e-6);
        let sine = coherent_tone(RATE as f32, 1000.0, 2.0, PRIME_FRAMES);
        let tone = Tone { samples: sine.samples.iter().map(|x| x.clamp(-1.0, 1.0)).collect(), ..sine };
        let of = |row: &Measure| if let Run::Tone(run) = row.run { run(&tone) } else { f64::NAN };
        assert!((of(&THD) - 100.0 * f64::from(thd(&tone))).abs() < 1e-9 && of(&THD) > 1.0);
        assert!(of(&THD_NOISE) > of(&THD) * 0.9 && of(&ALIASING) < -30.0);
        let Run::Impulse(run) = LATENCY.run else { panic!("{:?}", LATENCY.run) };
        assert_eq!(LATENCY.text(run(&[0.0, 0.1, -0.9])), "2");
        let figures = Figures { ns_per_sample: 1.0, rtf: 0.5, p50_us: 2.0, p99_us: 3.0, max_us: 4.0, bytes: 5 };
        let costs: Vec<String> = MEASURES.iter().filter_map(|row| Some(row.text(row.cost(&figures)?))).collect();
        assert_eq!(costs, ["1.00", "0.50000", "2.00", "3.00", "4.00", "5"]);
    }

    #[test]
    fn every_effect_has_a_figure_in_every_row_that_needs_an_effect() {
        for algorithm in REGISTRY {
            let effect = Effect::new(algorithm);
            let tone = tone_response(&effect, RATE, 1000.0, 0.5).unwrap();
            let mut impulse = vec![0.0; 4000];
            impulse[0] = 1.0;
            let response = render(&effect, &Audio::from_mono(RATE, &impulse).unwrap()).unwrap();
            let figures = bench::measure(&effect, RATE as f32, 1, 64, bench::Length::Blocks(100)).unwrap();
            for row in MEASURES {
                let figure = match row.run {
                    Run::Pair(_) | Run::Sound(_) => continue,
                    Run::Tone(run) => run(&tone),
                    Run::Impulse(run) => run(response.channel(0)),
                    Run::Cost(run) => run(&figures),
                };
                assert!(figure.is_finite(), "{} of {}: {figure}", row.id, algorithm.id);
                // The latency is cut off by then.
                assert!(row.id != LATENCY.id || figure < 100.0, "{} of {}: {figure}", row.id, algorithm.id);
            }
        }
    }
}
