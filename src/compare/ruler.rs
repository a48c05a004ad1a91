//! The ruler: small, known changes of side A, measured like side B, that tell how to read the numbers.

use std::f64::consts::PI;

use serde::Serialize;

use super::figures::{Figures, comparison_figures};
use super::report::{Band, bands};
use super::side::{Side, SideError};
use super::sound::Sound;
use crate::audio::{Audio, Window};
use crate::effect::Effect;
use crate::measure::{Alignment, Comparison, NoiseToMask, noise_to_mask};

/// Gain of the row *louder* in dB.
const LOUDER_DB: f64 = 0.1;
/// Delay of the row *late* in frames.
const LATE_FRAMES: f64 = 0.1;
/// Corner of the row *low-pass* in hertz.
pub const LOW_PASS_HZ: f64 = 7_000.0;
/// Width in hertz of the low-pass's transition, from nothing lost to 75 dB (Blackman window: 5.5 / N of the sample rate).
const TRANSITION_HZ: f64 = 500.0;
/// Seconds of silence before the sound in the row *started later*. Neither a whole number of milliseconds nor of blocks.
const LATER_SECONDS: f64 = 0.123_4;
/// Frames that the low-pass computes at a time, which stay in the first cache.
const CONVOLUTION_FRAMES: usize = 2048;
/// Longest part of a sound that the ruler is measured on, in seconds.
pub const RULER_SECONDS: f64 = 10.0;

/// A row of the ruler.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RulerRow {
    /// Key that never changes.
    pub id: &'static str,
    /// The change in words.
    pub name: &'static str,
    /// The figures of the changed side A against side A, not aligned; empty if the row cannot be applied.
    pub figures: Figures,
    /// The error in third octaves.
    pub third_octaves: Vec<Band>,
    /// The noise-to-mask ratio by band.
    pub noise_to_mask: Option<NoiseToMask>,
    /// The reason why the row cannot be applied.
    pub reason: Option<String>,
}

/// The ruler on one sound.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ruler {
    /// Name of the sound.
    pub sound: String,
    /// Begin of the part that is measured, in seconds.
    pub start_seconds: f64,
    /// Length of the part in seconds.
    pub seconds: f64,
    /// The rows, side B first.
    pub rows: Vec<RulerRow>,
}

/// Sides, outputs and the part of a sound that a ruler is made of.
pub(super) struct RulerInput<'a> {
    pub side: &'a Side,
    pub sound: &'a Sound,
    pub sounds: usize,
    /// The outputs, aligned and of one length; their first frame is the sound's frame `offset`.
    pub a: &'a Audio,
    pub b: &'a Audio,
    pub offset: usize,
}

impl Ruler {
    /// Measures all rows on the loudest part of a sound. [control thread: takes its time]
    pub(super) fn measure(input: &RulerInput<'_>) -> Result<Self, SideError> {
        let rate = input.a.sample_rate();
        let (start, frames) = loudest(input.a, (RULER_SECONDS * f64::from(rate)) as usize);
        let part = |audio: &Audio| audio.slice(start..start + frames).expect("the part lies within the output");
        let a = part(input.a);
        let row = |id: &'static str, changed: Result<Audio, String>| {
            let name = name_of(id);
            match changed {
                Ok(changed) => {
                    let comparison = Comparison::new(&a, &changed).expect("a changed output has the output's format and length");
                    let (figures, third_octaves) = rayon::join(|| comparison_figures(&comparison), || bands(&a, &changed));
                    let noise_to_mask = noise_to_mask(&comparison);
                    RulerRow { id, name, figures, third_octaves, noise_to_mask: noise_to_mask.into(), reason: None }
                }
                Err(reason) => RulerRow {
                    id,
                    name,
                    figures: Figures::new(),
                    third_octaves: Vec::new(),
                    noise_to_mask: None,
                    reason: Some(reason),
                },
            }
        };
        let again = |effect: &Effect, later: usize| -> Result<Audio, SideError> {
            let silence = Audio::silence(rate, a.channels(), later);
            let sound = if later == 0 {
                input.sound.clone()
            } else {
                let audio = Audio::concatenate(&[&silence, &input.sound.audio]).expect("both have the same format");
                Sound { audio, ..input.sound.clone() }
            };
            let output = Side::Effect(effect.clone()).output(&sound, input.sounds)?;
            let from = later + input.offset + start;
            Ok(output.slice(from..from + frames).expect("an effect's output is as long as the sound"))
        };
        let no_effect = || Err("side A is no effect, so it cannot be run again".to_owned());
        let effect = input.side.effect();
        let of_effect = |later: usize| -> Result<Result<Audio, String>, SideError> {
            effect.map_or_else(|| Ok(no_effect()), |effect| again(effect, later).map(Ok))
        };
        let later = (LATER_SECONDS * f64::from(rate)) as usize;
        let mut louder = a.clone();
        louder.gain_db(LOUDER_DB);
        let late = Alignment { delay_frames: -LATE_FRAMES, ..Alignment::NONE }.apply(&a, frames);
        let oversampling = match effect.map(half_oversampling) {
            None => no_effect(),
            Some(Err(reason)) => Err(reason),
            Some(Ok(effect)) => Ok(again(&effect, 0)?),
        };
        let itself = match effect {
            None => Ok(a.clone()),
            Some(effect) => Ok(again(effect, 0)?),
        };
        let changes = [
            ("b", Ok(part(input.b))),
            ("self", itself),
            ("self_later", of_effect(later)?),
            ("louder", Ok(louder)),
            ("late", Ok(late)),
            ("oversampling", oversampling),
            ("low_pass", low_pass(&a)),
        ];
        let rows = changes.into_iter().map(|(id, changed)| row(id, changed)).collect();
        let seconds = |frames: usize| frames as f64 / f64::from(rate);
        Ok(Self { sound: input.sound.name.clone(), start_seconds: seconds(input.offset + start), seconds: seconds(frames), rows })
    }

    /// A row by its id. [any thread]
    #[must_use]
    pub fn row(&self, id: &str) -> Option<&RulerRow> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// A figure of a row. [any thread]
    #[must_use]
    pub fn figure(&self, id: &str, measure: &str) -> Option<f64> {
        self.row(id)?.figures.get(measure).copied().flatten()
    }
}

/// The name of a row.
fn name_of(id: &str) -> &'static str {
    match id {
        "b" => "B, aligned",
        "self" => "A again",
        "self_later" => "A again, started 0.1234 s later",
        "louder" => "A, 0.1 dB louder",
        "late" => "A, 0.1 sample late",
        "oversampling" => "A with half its oversampling",
        _ => "A through a 7 kHz low-pass",
    }
}

/// The effect with half of its oversampling, or the reason why there is none.
fn half_oversampling(effect: &Effect) -> Result<Effect, String> {
    let id = effect.algorithm().id;
    let index = effect.settings.index("oversampling").ok_or_else(|| format!("{id} has no oversampling"))?;
    let value = effect.settings.get(index);
    if value < 1.0 {
        return Err(format!("{id} runs without oversampling here, so it cannot be halved"));
    }
    // The values are powers of two, in order.
    Ok(effect.with("oversampling", value - 1.0))
}

/// A sound through a steep low-pass at [`LOW_PASS_HZ`] of linear phase, which is not late: a sinc with a Blackman window.
pub fn low_pass(sound: &Audio) -> Result<Audio, String> {
    let rate = f64::from(sound.sample_rate());
    if rate <= 2.0 * LOW_PASS_HZ {
        return Err(format!("a sound of {rate} Hz has nothing above {LOW_PASS_HZ} Hz"));
    }
    let half = (5.5 * rate / TRANSITION_HZ / 2.0).ceil() as usize;
    let length = 2 * half + 1;
    let cutoff = 2.0 * LOW_PASS_HZ / rate;
    let tap = |i: usize| {
        let t = i as f64 - half as f64;
        let sinc = if t == 0.0 { cutoff } else { (PI * cutoff * t).sin() / (PI * t) };
        sinc * Window::Blackman.value((i + 1) as f64 / (length + 1) as f64)
    };
    let taps: Vec<f64> = (0..length).map(tap).collect();
    let sum: f64 = taps.iter().sum();
    let taps: Vec<f32> = taps.iter().map(|tap| (tap / sum) as f32).collect();
    let mut out = sound.clone();
    for (to, from) in out.iter_mut().zip(sound.iter()) {
        let padded: Vec<f32> =
            std::iter::repeat_n(0.0, half).chain(from.iter().copied()).chain(std::iter::repeat_n(0.0, half)).collect();
        // Tap by tap over a chunk, so that neighbouring frames share a vector.
        for (index, to) in to.chunks_mut(CONVOLUTION_FRAMES).enumerate() {
            to.fill(0.0);
            for (from, tap) in padded[index * CONVOLUTION_FRAMES..].windows(to.len()).zip(&taps) {
                to.iter_mut().zip(from).for_each(|(to, x)| *to += tap * x);
            }
        }
    }
    Ok(out)
}

/// The part of at most `frames` frames with the most energy: its first frame and its length. Parts begin at whole tenths of their
/// length.
pub(super) fn loudest(audio: &Audio, frames: usize) -> (usize, usize) {
    if audio.frames() <= frames {
        return (0, audio.frames());
    }
    let step = (frames / 10).max(1);
    let energy = |from: usize| -> f64 {
        audio.iter().flat_map(|channel| &channel[from..from + frames]).map(|x| f64::from(*x) * f64::from(*x)).sum()
    };
    let starts = (0..=audio.frames() - frames).step_by(step);
    let best = starts.map(|start| (start, energy(start))).fold((0, -1.0), |best, next| if next.1 > best.1 { next } else { best });
    (best.0, frames)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::generate;
    use crate::measure::SILENCE_DB;

    fn ruler(text: &str) -> Ruler {
        let sound = Sound::new("guitar".into(), generate::guitar(48_000, 1, 1).unwrap()).unwrap();
        let side: Side = text.parse().unwrap();
        let a = side.output(&sound, 1).unwrap();
        let b = side.output(&sound, 1).unwrap();
        Ruler::measure(&RulerInput { side: &side, sound: &sound, sounds: 1, a: &a, b: &b, offset: 0 }).unwrap()
    }

    #[test]
    fn each_row_obeys_its_law() {
        let ruler = ruler("saturator drive=24 oversampling=4x");
        let ids: Vec<&str> = ruler.rows.iter().map(|row| row.id).collect();
        assert_eq!(ids, ["b", "self", "self_later", "louder", "late", "oversampling", "low_pass"]);
        let null = |id: &str| ruler.figure(id, "null_db").unwrap();
        // Nothing is left of an effect against itself, nor if it starts later.
        assert_eq!([null("self"), null("self_later")], [f64::from(SILENCE_DB); 2]);
        // A gain g leaves (g - 1)^2 of the energy.
        let gain = 10f64.powf(LOUDER_DB / 20.0);
        assert!((null("louder") - 20.0 * (gain - 1.0).log10()).abs() < 0.01, "{}", null("louder"));
        assert!(null("late") < -30.0 && null("oversampling") < -20.0 && null("low_pass") < -20.0);
        // Everything above the corner is lost, nothing below.
        let band = |hz: f64| {
            let bands = &ruler.row("low_pass").unwrap().third_octaves;
            bands.iter().min_by(|a, b| (a.hz / hz).ln().abs().total_cmp(&(b.hz / hz).ln().abs())).unwrap().error_db.unwrap()
        };
        assert!(band(10_000.0).abs() < 0.1 && band(4_000.0) < -50.0, "{} {}", band(10_000.0), band(4_000.0));
    }

    #[test]
    fn a_row_that_cannot_apply_says_why() {
        let reason = |text: &str| ruler(text).row("oversampling").unwrap().reason.clone().unwrap();
        assert_eq!(reason("bitcrusher"), "bitcrusher has no oversampling");
        assert_eq!(reason("saturator oversampling=1x"), "saturator runs without oversampling here, so it cannot be halved");
        assert_eq!(reason("dry"), "side A is no effect, so it cannot be run again");
        let low = Audio::from_mono(8_000, &[0.5; 100]).unwrap();
        assert_eq!(low_pass(&low).unwrap_err(), "a sound of 8000 Hz has nothing above 7000 Hz");
    }

    #[test]
    fn an_effect_with_random_parts_has_a_floor() {
        let ruler = ruler("bitcrusher bits=8 dither=tpdf");
        assert_eq!(ruler.figure("self", "null_db"), Some(f64::from(SILENCE_DB)));
        assert!(ruler.figure("self_later", "null_db").unwrap() > -80.0);
    }

    #[test]
    fn the_loudest_part_holds_the_most_energy() {
        let mut samples = vec![0.1f32; 1000];
        samples[500..600].fill(0.9);
        let audio = Audio::from_mono(48_000, &samples).unwrap();
        assert_eq!(loudest(&audio, 100), (500, 100));
        assert_eq!(loudest(&audio, 2000), (0, 1000));
    }
}
