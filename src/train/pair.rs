//! A recording before and after an effect: whether a network can learn from it, and how late and which way up the second is.

use std::collections::HashMap;

use realfft::RealFftPlanner;

use super::material::{Material, Pair};
use crate::audio::Audio;
use crate::dsp::{db_to_gain, gain_to_db};
use crate::measure::ErrorToSignal;

/// The shortest recording, in seconds.
pub const LEAST_SECONDS: f64 = 10.0;
/// RMS in dB of full scale below which a recording is silence.
const SILENCE_DB: f32 = -70.0;
/// A sample from here on is at full scale, and so many in a row are clipped.
const FULL_SCALE: f32 = 0.9999;
const CLIPPED_RUN: usize = 4;
/// The largest part of samples that may be clipped.
const MOST_CLIPPED: f64 = 1e-4;
/// Delays that are looked for, both ways, in seconds.
const MOST_DELAY_SECONDS: f64 = 1.0;
/// Length of what is compared to find a delay, in seconds.
const COMPARED_SECONDS: f64 = 4.0;
/// The least correlation of an effect's output with its input at the right delay.
const RELATED: f64 = 0.2;
/// Places that are compared, and the least part of the best correlation there that the one delay must give at all of them.
const PLACES: usize = 8;
const AGREEMENT: f64 = 0.7;
/// Length of what must follow the dry sound on its own, in seconds, and the least part of these that do.
const PIECE_SECONDS: f64 = 0.25;
const FOLLOWING: f64 = 0.5;
/// Length of the passage whose repetition is looked for, in seconds.
const PASSAGE_SECONDS: f64 = 0.5;
/// Samples that a passage is looked up by.
const KEY: usize = 8;
/// Error to signal from which on a passage that is repeated is not repeated by the effect: NAM's limit.
const REPLICATE_ESR: f64 = 0.01;
/// Part of a recording that is held out, at its end.
const HELD: f64 = 0.1;

/// Why a pair is not trained on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PairError {
    #[error("dry has {dry} Hz, wet has {wet} Hz; expected one rate")]
    Rate { dry: u32, wet: u32 },
    #[error("{which} has {found} channels; expected 1")]
    Channels { which: &'static str, found: usize },
    #[error("dry has {dry} frames, wet has {wet}; expected as many")]
    Length { dry: usize, wet: usize },
    #[error("{found:.1} s; expected {LEAST_SECONDS} s or more")]
    Short { found: f64 },
    #[error("{which} is silent: RMS {found:.1} dBFS; expected {SILENCE_DB} or more")]
    Silent { which: &'static str, found: f32 },
    #[error("{which} is clipped: {found} samples at full scale, several in a row; expected none")]
    Clipped { which: &'static str, found: usize },
    #[error("wet does not come from dry: correlation {found:.3} at best; expected {RELATED} or more")]
    Unrelated { found: f64 },
    #[error(
        "wet is {first} frames late, but {other} frames at {seconds:.1} s; expected one delay: parts are missing, moved or drift"
    )]
    Misaligned { first: isize, other: isize, seconds: f64 },
    #[error(
        "wet follows dry in {found:.0} % of its quarter seconds; expected {} or more: parts are missing or moved",
        100.0 * FOLLOWING
    )]
    Shuffled { found: f64 },
    #[error(
        "dry at {first:.1} s comes again at {second:.1} s, but wet differs: ESR {esr:.3}; expected less than {REPLICATE_ESR}"
    )]
    Replicate { first: f64, second: f64, esr: f64 },
}

/// What was found and undone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// Frames by which the wet sound came late.
    pub delay: isize,
    pub inverted: bool,
    /// Of the wet with the dry sound at that delay.
    pub correlation: f64,
    /// Error to signal between two wet passages whose dry ones are the same. None if none was found.
    pub replicate_esr: Option<f64>,
}

impl Material {
    /// A recording before and after an effect; the last tenth is held out. [control thread]
    ///
    /// # Errors
    /// If no network could learn from it.
    pub fn of_pair(dry: &Audio<f32>, wet: &Audio<f32>) -> Result<(Self, Found), PairError> {
        let sample_rate = dry.sample_rate();
        check(dry, wet)?;
        let (dry, wet) = (dry.channel(0), wet.channel(0));
        let found = align(dry, wet, sample_rate)?;
        let (dry, wet) = if found.delay >= 0 {
            (&dry[..dry.len() - found.delay.unsigned_abs()], &wet[found.delay.unsigned_abs()..])
        } else {
            (&dry[found.delay.unsigned_abs()..], &wet[..wet.len() - found.delay.unsigned_abs()])
        };
        let sign = if found.inverted { -1.0 } else { 1.0 };
        check_pieces(dry, wet, sign, sample_rate)?;
        let replicate_esr = replicate(dry, wet, sample_rate)?;
        let wet: Vec<f32> = wet.iter().map(|x| sign * x).collect();
        let end = dry.len() - (HELD * dry.len() as f64) as usize;
        let pair = |name: &str, from: usize, to: usize| Pair {
            name: name.into(),
            dry: dry[from..to].into(),
            wet: wet[from..to].into(),
            knob: Vec::new(),
        };
        let (train, held) = (pair("beginning", 0, end), vec![pair("last tenth", end, dry.len())]);
        let turned = if found.inverted { ", turned over" } else { "" };
        let origin = format!(
            "a recorded pair of {:.1} s, {} frames of delay undone{turned}",
            dry.len() as f64 / f64::from(sample_rate),
            found.delay
        );
        Ok((Self { sample_rate, train, held, knob: None, origin }, Found { replicate_esr, ..found }))
    }
}

fn check(dry: &Audio<f32>, wet: &Audio<f32>) -> Result<(), PairError> {
    if dry.sample_rate() != wet.sample_rate() {
        return Err(PairError::Rate { dry: dry.sample_rate(), wet: wet.sample_rate() });
    }
    for (which, sound) in [("dry", dry), ("wet", wet)] {
        if sound.channels() != 1 {
            return Err(PairError::Channels { which, found: sound.channels() });
        }
    }
    if dry.frames() != wet.frames() {
        return Err(PairError::Length { dry: dry.frames(), wet: wet.frames() });
    }
    if dry.seconds() < LEAST_SECONDS {
        return Err(PairError::Short { found: dry.seconds() });
    }
    for (which, sound) in [("dry", dry), ("wet", wet)] {
        let rms = sound.rms() as f32;
        if rms < db_to_gain(SILENCE_DB) {
            return Err(PairError::Silent { which, found: gain_to_db(rms) });
        }
        let runs = sound.channel(0).chunk_by(|a, b| a.abs() >= FULL_SCALE && *a == *b);
        let found: usize = runs.map(<[f32]>::len).filter(|n| *n >= CLIPPED_RUN).sum();
        if found as f64 > MOST_CLIPPED * sound.frames() as f64 {
            return Err(PairError::Clipped { which, found });
        }
    }
    Ok(())
}

/// One delay for the whole recording, from the loudest of some places.
fn align(dry: &[f32], wet: &[f32], sample_rate: u32) -> Result<Found, PairError> {
    let rate = f64::from(sample_rate);
    let most = (MOST_DELAY_SECONDS * rate) as usize;
    let length = ((COMPARED_SECONDS * rate) as usize).min(dry.len() - 2 * most);
    let room = dry.len() - length - 2 * most;
    let mut places: Vec<(f64, usize)> = (0..PLACES)
        .map(|i| {
            let at = most + room * i / (PLACES - 1);
            (energy(&wet[at..at + length]), at)
        })
        .collect();
    places.sort_by(|a, b| b.0.total_cmp(&a.0));
    let loudest = places[0].0;
    let mut all: Option<Found> = None;
    for (energy_there, at) in places {
        // A quiet place is mostly noise.
        if energy_there < 0.01 * loudest {
            continue;
        }
        let part = &wet[at..at + length];
        let around = &dry[at - most..at + length + most];
        let products = correlate(part, around);
        // The dry part at a lag of `most - delay` is compared with the wet one.
        let scale = |lag: usize| (energy_there * energy(&around[lag..lag + length])).sqrt().max(1e-30);
        let best = (0..=2 * most).max_by(|a, b| products[*a].abs().total_cmp(&products[*b].abs())).unwrap_or(most);
        let delay = most as isize - best as isize;
        match all {
            None => {
                let correlation = f64::from(products[best]) / scale(best);
                if correlation.abs() < RELATED {
                    return Err(PairError::Unrelated { found: correlation.abs() });
                }
                all = Some(Found { delay, inverted: correlation < 0.0, correlation: correlation.abs(), replicate_esr: None });
            }
            Some(found) => {
                let own = products[most.wrapping_add_signed(-found.delay)];
                let agrees = f64::from(own.abs()) >= AGREEMENT * f64::from(products[best].abs());
                if !agrees || (own < 0.0) != found.inverted {
                    let seconds = at as f64 / rate;
                    return Err(PairError::Misaligned { first: found.delay, other: delay, seconds });
                }
            }
        }
    }
    all.ok_or(PairError::Unrelated { found: 0.0 })
}

/// Whether most of the loud pieces of the wet sound come from the dry ones beside them.
fn check_pieces(dry: &[f32], wet: &[f32], sign: f32, sample_rate: u32) -> Result<(), PairError> {
    let length = (PIECE_SECONDS * f64::from(sample_rate)) as usize;
    let loud = 0.1 * energy(wet) / wet.len() as f64 * length as f64;
    let (mut loud_ones, mut following) = (0, 0);
    for (x, y) in dry.chunks_exact(length).zip(wet.chunks_exact(length)) {
        if energy(y) < loud {
            continue;
        }
        let product: f64 = x.iter().zip(y).map(|(x, y)| f64::from(sign * x * y)).sum();
        loud_ones += 1;
        following += usize::from(product >= RELATED * (energy(x) * energy(y)).sqrt());
    }
    let found = following as f64 / f64::from(loud_ones.max(1));
    if found < FOLLOWING { Err(PairError::Shuffled { found: 100.0 * found }) } else { Ok(()) }
}

/// If passages of the dry sound come again, sample by sample, the largest error to signal of the wet sounds.
fn replicate(dry: &[f32], wet: &[f32], sample_rate: u32) -> Result<Option<f64>, PairError> {
    let rate = f64::from(sample_rate);
    let length = (PASSAGE_SECONDS * rate) as usize;
    let loud = 0.5 * energy(dry) / dry.len() as f64 * length as f64;
    let key = |at: usize| -> [u32; KEY] { std::array::from_fn(|i| dry[at + i].to_bits()) };
    let starts = (0..dry.len() / length).map(|i| i * length).filter(|at| energy(&dry[*at..at + length]) > loud);
    // Where passages that are still to be found again begin, by their first samples.
    let mut passages: HashMap<[u32; KEY], usize> = starts.map(|at| (key(at), at)).collect();
    let mut worst: Option<f64> = None;
    for other in 0..(dry.len() + 1).saturating_sub(length) {
        let Some(&at) = passages.get(&key(other)) else { continue };
        if other.abs_diff(at) < length || dry[at..at + length] != dry[other..other + length] {
            continue;
        }
        passages.remove(&key(at));
        // What was before still rings in the first half.
        let (a, b) = (&wet[at + length / 2..at + length], &wet[other + length / 2..other + length]);
        let esr = ErrorToSignal::of(a, b).ratio();
        if esr > REPLICATE_ESR {
            let (first, second) = (at.min(other) as f64 / rate, at.max(other) as f64 / rate);
            return Err(PairError::Replicate { first, second, esr });
        }
        worst = Some(worst.map_or(esr, |w| w.max(esr)));
    }
    Ok(worst)
}

fn energy(x: &[f32]) -> f64 {
    x.chunks(1024).map(|part| f64::from(part.iter().map(|x| x * x).sum::<f32>())).sum()
}

/// Sum over t of part\[t\] around\[t + lag\] for each lag from 0, by transforms.
fn correlate(part: &[f32], around: &[f32]) -> Vec<f32> {
    let length = (part.len() + around.len()).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(length));
    let transform = |x: &[f32]| {
        let mut padded = x.to_vec();
        padded.resize(length, 0.0);
        let mut out = forward.make_output_vec();
        forward.process(&mut padded, &mut out).expect("the lengths are the plan's");
        out
    };
    let (a, mut b) = (transform(part), transform(around));
    for (b, a) in b.iter_mut().zip(&a) {
        *b = *b * a.conj() / length as f32;
    }
    // Of real sequences both ends are real.
    b[0].im = 0.0;
    b[length / 2].im = 0.0;
    let mut out = inverse.make_output_vec();
    inverse.process(&mut b, &mut out).expect("the lengths are the plan's");
    out
}
