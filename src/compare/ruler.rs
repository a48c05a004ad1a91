//! The ruler: small, known changes of side A, measured like side B, that tell how to read the numbers.

use std::f64::consts::PI;
use std::ops::Range;

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
/// Fewest frames on both sides of the part that a filter takes with it: more than the delay's 256 taps.
const MARGIN_FRAMES: usize = 1024;
/// Frames that the low-pass computes at a time, which stay in the first cache.
const CONVOLUTION_FRAMES: usize = 2048;
/// Null in dB of A against itself, above which A has a random part. What is below is the rounding of 32-bit floats, or the end of how a
/// network settles.
pub const RANDOM_DB: f64 = -100.0;
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
        let again = |effect: &Effect, later: usize| {
            let from = input.offset + start;
            output_later(effect, input.sound, input.sounds, later, from..from + frames)
        };
        let no_effect = || Err("side A is no effect, so it cannot be run again".to_owned());
        let effect = input.side.effect();
        let of_effect = |later: usize| -> Result<Result<Audio, String>, SideError> {
            effect.map_or_else(|| Ok(no_effect()), |effect| again(effect, later).map(Ok))
        };
        let later = later_frames(rate);
        let mut louder = a.clone();
        louder.gain_db(LOUDER_DB);
        // A filter hears what surrounds the part, so it takes that with it, and both ends are cut afterwards.
        let margin = low_pass_half(rate, TRANSITION_HZ).max(MARGIN_FRAMES);
        let wide = with_surroundings(input.a, start, frames, margin);
        let inner = |wide: &Audio| wide.slice(margin..margin + frames).expect("the part has the margin on both sides");
        let late = inner(&Alignment { delay_frames: -LATE_FRAMES, ..Alignment::NONE }.apply(&wide, wide.frames()));
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
            ("low_pass", low_pass(&wide, LOW_PASS_HZ).map(|wide| inner(&wide))),
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

    /// True if A differs from itself when it is run again, at the same time or later. [any thread]
    #[must_use]
    pub fn is_random(&self) -> bool {
        ["self", "self_later"].iter().any(|id| self.figure(id, "null_db").is_some_and(|null| null > RANDOM_DB))
    }
}

/// The floor of a whole sound: the figures of A run again against A, those of the worse of both ways. `None` if A has no random
/// part. [control thread: takes its time]
pub(super) fn floor(effect: &Effect, sound: &Sound, sounds: usize) -> Result<Option<Figures>, SideError> {
    let whole = 0..sound.audio.frames();
    let a = output_later(effect, sound, sounds, 0, whole.clone())?;
    let mut worst: Option<(f64, Figures)> = None;
    for later in [0, later_frames(sound.audio.sample_rate())] {
        let again = output_later(effect, sound, sounds, later, whole.clone())?;
        let figures = comparison_figures(&Comparison::new(&a, &again).expect("both have the same format and length"));
        let null = figures.get("null_db").copied().flatten().filter(|null| *null > RANDOM_DB);
        if let Some(null) = null.filter(|null| worst.as_ref().is_none_or(|worst| *null > worst.0)) {
            worst = Some((null, figures));
        }
    }
    Ok(worst.map(|(_, figures)| figures))
}

/// Frames of [`LATER_SECONDS`].
fn later_frames(sample_rate: u32) -> usize {
    (LATER_SECONDS * f64::from(sample_rate)) as usize
}

/// A part of an effect's output for a sound, which begins after `later` frames of silence that the part does not count.
fn output_later(effect: &Effect, sound: &Sound, sounds: usize, later: usize, part: Range<usize>) -> Result<Audio, SideError> {
    let silence = Audio::silence(sound.audio.sample_rate(), sound.audio.channels(), later);
    let audio = Audio::concatenate(&[&silence, &sound.audio]).expect("both have the same format");
    let output = Side::Effect(effect.clone()).output(&Sound { audio, ..sound.clone() }, sounds)?.audio;
    Ok(output.slice(later + part.start..later + part.end).expect("an effect's output is as long as the sound"))
}

/// A part of a sound with `margin` frames more on both sides; silence beyond the sound's ends.
fn with_surroundings(sound: &Audio, start: usize, frames: usize, margin: usize) -> Audio {
    let (from, to) = (start.saturating_sub(margin), (start + frames + margin).min(sound.frames()));
    let inside = sound.slice(from..to).expect("the range is limited to the sound");
    let silence = |frames| Audio::silence(sound.sample_rate(), sound.channels(), frames);
    let (before, after) = (silence(margin - (start - from)), silence(margin - (to - start - frames)));
    Audio::concatenate(&[&before, &inside, &after]).expect("all have the same format")
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

/// The effect with half of the oversampling that it renders with, or the reason why there is none.
fn half_oversampling(effect: &Effect) -> Result<Effect, String> {
    let id = effect.algorithm().id;
    let value = |parameter: &str| effect.settings.index(parameter).map(|index| effect.settings.get(index));
    let set = value("oversampling").ok_or_else(|| format!("{id} has no oversampling"))?;
    // The values are powers of two, in order; those of renders begin behind "As set".
    let (parameter, value, one) = match value("render_oversampling") {
        Some(render) if render >= 1.0 => ("render_oversampling", render, 1.0),
        _ => ("oversampling", set, 0.0),
    };
    if value <= one {
        return Err(format!("{id} runs without oversampling here, so it cannot be halved"));
    }
    Ok(effect.with(parameter, value - 1.0))
}

/// Taps of the low-pass on each side of its middle.
pub(crate) fn low_pass_half(sample_rate: u32, transition_hz: f64) -> usize {
    (5.5 * f64::from(sample_rate) / transition_hz / 2.0).ceil() as usize
}

/// A sound through a steep low-pass at `corner_hz` of linear phase, which is not late: a sinc with a Blackman window.
/// [control thread: allocates]
///
/// # Errors
/// A sentence, if the sound has nothing above the corner.
pub fn low_pass(sound: &Audio, corner_hz: f64) -> Result<Audio, String> {
    low_pass_at(sound, corner_hz, TRANSITION_HZ)
}

/// Taps of a steep low-pass of linear phase, symmetric around the middle one: a sinc with a Blackman window. At `corner_hz` it is
/// 6 dB down; from half of `transition_hz` above it, 74 dB.
pub(crate) fn low_pass_taps(sample_rate: u32, corner_hz: f64, transition_hz: f64) -> Result<Vec<f32>, String> {
    let rate = f64::from(sample_rate);
    if rate <= 2.0 * corner_hz {
        return Err(format!("a sound of {rate} Hz has nothing above {corner_hz} Hz"));
    }
    let half = low_pass_half(sample_rate, transition_hz);
    let length = 2 * half + 1;
    let cutoff = 2.0 * corner_hz / rate;
    let tap = |i: usize| {
        let t = i as f64 - half as f64;
        let sinc = if t == 0.0 { cutoff } else { (PI * cutoff * t).sin() / (PI * t) };
        sinc * Window::Blackman.value((i + 1) as f64 / (length + 1) as f64)
    };
    let taps: Vec<f64> = (0..length).map(tap).collect();
    let sum: f64 = taps.iter().sum();
    Ok(taps.iter().map(|tap| (tap / sum) as f32).collect())
}

/// A sound through the filter of [`low_pass_taps`], which is not late.
pub(crate) fn low_pass_at(sound: &Audio, corner_hz: f64, transition_hz: f64) -> Result<Audio, String> {
    let taps = low_pass_taps(sound.sample_rate(), corner_hz, transition_hz)?;
    let half = taps.len() / 2;
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
        let a = side.output(&sound, 1).unwrap().audio;
        let b = side.output(&sound, 1).unwrap().audio;
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
    fn the_oversampling_that_is_halved_is_that_of_the_render() {
        let halved = |text: &str| half_oversampling(&text.parse().unwrap()).unwrap().to_text().unwrap();
        assert_eq!(halved("clipper oversampling=4x"), "clipper oversampling=2x");
        assert_eq!(halved("clipper oversampling=1x render_oversampling=4x"), "clipper oversampling=1x render_oversampling=2x");
    }

    #[test]
    fn a_row_that_cannot_apply_says_why() {
        let reason = |text: &str| ruler(text).row("oversampling").unwrap().reason.clone().unwrap();
        assert_eq!(reason("bitcrusher"), "bitcrusher has no oversampling");
        assert_eq!(reason("saturator oversampling=1x"), "saturator runs without oversampling here, so it cannot be halved");
        assert_eq!(reason("clipper render_oversampling=1x"), "clipper runs without oversampling here, so it cannot be halved");
        assert_eq!(reason("dry"), "side A is no effect, so it cannot be run again");
        let low = Audio::from_mono(8_000, &[0.5; 100]).unwrap();
        assert_eq!(low_pass(&low, LOW_PASS_HZ).unwrap_err(), "a sound of 8000 Hz has nothing above 7000 Hz");
    }

    #[test]
    fn rows_with_a_filter_do_not_click_where_a_long_sound_is_cut() {
        // The loudest 10 s begin after 1 or 2 s, in the middle of the tone.
        let mut tone = generate::sine(48_000, 100.1, 0.5, 600_000).unwrap();
        tone.channel_mut(0)[..24_000].fill(0.0);
        let sound = Sound::new("tone".into(), tone.clone()).unwrap();
        let input = RulerInput { side: &Side::Dry, sound: &sound, sounds: 1, a: &tone, b: &tone, offset: 0 };
        let ruler = Ruler::measure(&input).unwrap();
        assert!(ruler.start_seconds >= 1.0 && ruler.seconds == RULER_SECONDS);
        assert!(ruler.figure("low_pass", "null_db").unwrap() < -100.0, "{:?}", ruler.figure("low_pass", "null_db"));
        // A delay of d frames leaves 2 sin(pi f d / rate) of a tone.
        let expected = 20.0 * (2.0 * (PI * 100.1 * LATE_FRAMES / 48_000.0).sin()).log10();
        let late = ruler.figure("late", "null_db").unwrap();
        assert!((late - expected).abs() < 0.01, "{late} {expected}");
    }

    #[test]
    fn an_effect_with_random_parts_has_a_floor() {
        let ruler = ruler("bitcrusher bits=8 dither=tpdf");
        assert!(ruler.is_random());
        let sound = Sound::new("guitar".into(), generate::guitar(48_000, 1, 1).unwrap()).unwrap();
        let alone = |text: &str| floor(&text.parse().unwrap(), &sound, 1).unwrap();
        // The sound is shorter than a ruler.
        assert_eq!(alone("bitcrusher bits=8 dither=tpdf").as_ref(), Some(&ruler.row("self_later").unwrap().figures));
        assert_eq!(alone("saturator"), None);
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
