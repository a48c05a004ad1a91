//! Material of a recording before and after an effect: checks that a network can learn from it, finds delay and polarity of the
//! wet sound and undoes both.

use std::collections::HashMap;

use realfft::RealFftPlanner;

use super::material::{Material, SoundPair};
use crate::audio::Audio;
use crate::dsp::{db_to_gain, gain_to_db};
use crate::measure::ErrorToSignal;

/// The shortest recording, in seconds.
pub const MIN_PAIR_SECONDS: f64 = 10.0;
/// RMS level in dBFS below which a recording counts as silence.
const SILENT_BELOW_DB: f32 = -70.0;
/// Seconds by which a wet recording may be longer than the dry one: a recorder that was stopped late. Its end is left out.
const MAX_TRIMMED_SECONDS: f64 = 1.0;
/// Smallest magnitude that counts as full scale.
const FULL_SCALE: f32 = 0.9999;
/// Smallest number of equal samples at full scale in a row that count as clipped.
const CLIPPED_SAMPLES: usize = 4;
/// The largest part of a recording's samples that may be clipped.
const MAX_CLIPPED_PART: f64 = 1e-4;
/// The longest delay that is looked for, in seconds, in both directions.
const MAX_DELAY_SECONDS: f64 = 1.0;
/// Length in seconds of the wet passages whose delay is looked for.
const COMPARED_SECONDS: f64 = 4.0;
/// Smallest correlation (0 to 1) that an effect's output must have with its input at the right delay.
const MIN_CORRELATION: f64 = 0.2;
/// Number of passages whose delay is looked for, evenly spread over the recording.
const PROBES: usize = 8;
/// Smallest correlation that the delay of the loudest passage must give at the other passages, as a share of the best correlation
/// there.
const MIN_AGREEMENT: f64 = 0.7;
/// Length in seconds of the pieces whose correlation with the dry sound is checked separately.
const PIECE_SECONDS: f64 = 0.25;
/// Smallest share of the loud pieces that must correlate with the dry sound.
const MIN_FOLLOWING_PART: f64 = 0.5;
/// Length in seconds of the dry passages whose repetition is looked for.
const REPEAT_SECONDS: f64 = 0.5;
/// Samples at a passage's beginning that are the key to find it again.
const KEY_SAMPLES: usize = 8;
/// The largest error to signal between the wet sounds of a repeated dry passage: NAM's limit.
const MAX_REPLICATE_ESR: f64 = 0.01;
/// The part of a recording, at its end, that is held out.
const HELD_OUT_PART: f64 = 0.1;

/// The reason why a network is not trained on a recorded pair. `which` is "dry" or "wet".
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PairError {
    /// The sample rates differ.
    #[error("dry has {dry} Hz, wet has {wet} Hz; expected one rate")]
    Rate {
        /// Sample rate of the dry sound, in hertz.
        dry: u32,
        /// Sample rate of the wet sound, in hertz.
        wet: u32,
    },
    /// A recording is not mono.
    #[error("{which} has {found} channels; expected 1, or 2 that are equal")]
    Channels {
        /// The recording: "dry" or "wet".
        which: &'static str,
        /// Number of channels of the recording.
        found: usize,
    },
    /// The wet sound is shorter than the dry one, or longer by more than a second.
    #[error("dry has {dry} frames, wet has {wet}; expected as many, or up to {MAX_TRIMMED_SECONDS} s more")]
    Length {
        /// Frames of the dry sound.
        dry: usize,
        /// Frames of the wet sound.
        wet: usize,
    },
    /// The recording is shorter than [`MIN_PAIR_SECONDS`].
    #[error("{found:.1} s; expected {MIN_PAIR_SECONDS} s or more")]
    Short {
        /// Length of the recording in seconds.
        found: f64,
    },
    /// A recording is silent.
    #[error("{which} is silent: RMS {found:.1} dBFS; expected {SILENT_BELOW_DB} or more")]
    Silent {
        /// The recording: "dry" or "wet".
        which: &'static str,
        /// RMS level of the recording in dBFS.
        found: f32,
    },
    /// A recording is clipped.
    #[error("{which} is clipped: {found} samples at full scale, several in a row; expected none")]
    Clipped {
        /// The recording: "dry" or "wet".
        which: &'static str,
        /// Number of clipped samples of the recording.
        found: usize,
    },
    /// No delay gives a correlation of the wet with the dry sound.
    #[error("wet does not come from dry: correlation {found:.3} at best; expected {MIN_CORRELATION} or more")]
    Unrelated {
        /// The best correlation, 0 to 1.
        found: f64,
    },
    /// The delay is not the same throughout.
    #[error(
        "wet is {first} frames late, but {other} frames at {seconds:.1} s; expected one delay: parts are missing, moved or drift"
    )]
    Misaligned {
        /// Delay of the loudest passage, in frames.
        first: isize,
        /// Delay of another passage, in frames.
        other: isize,
        /// The beginning of the other passage, in seconds.
        seconds: f64,
    },
    /// Too few pieces of the wet sound correlate with the dry sound.
    #[error(
        "wet follows dry in {found:.0} % of its quarter seconds; expected {} or more: parts are missing or moved",
        100.0 * MIN_FOLLOWING_PART
    )]
    Shuffled {
        /// Percentage of the loud pieces that correlate.
        found: f64,
    },
    /// A dry passage is repeated, but its wet sound is not: the effect changes over time.
    #[error(
        "dry at {first:.1} s comes again at {second:.1} s, but wet differs: ESR {esr:.3}; expected less than {MAX_REPLICATE_ESR}"
    )]
    Replicate {
        /// The passage's beginning, in seconds.
        first: f64,
        /// The beginning of its repetition, in seconds.
        second: f64,
        /// Error to signal between the two wet sounds.
        esr: f64,
    },
}

/// Delay and polarity of a recorded pair, which have been undone, and measures of how well its sounds fit each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairReport {
    /// Frames by which the wet sound is late; negative if it is early.
    pub delay: isize,
    /// True if the wet sound has the opposite polarity.
    pub inverted: bool,
    /// Correlation of the loudest wet passage with the dry sound at that delay, 0 to 1.
    pub correlation: f64,
    /// Largest error to signal between two wet passages whose dry passages are the same; `None` if there are no such passages.
    pub replicate_esr: Option<f64>,
    /// Frames at the end of the wet sound that are left out because the dry sound is shorter.
    pub trimmed_frames: usize,
    /// True for a recording of two channels with the same samples, of which one is taken: dry, wet.
    pub dual_mono: (bool, bool),
}

impl PairReport {
    /// Lines for the user about what of the recordings is left out; empty if nothing is. [any thread]
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let trimmed = format!("wet is {} frames longer than dry: they are left out at its end", self.trimmed_frames);
        let trimmed = (self.trimmed_frames > 0).then_some(trimmed);
        let (dry, wet) = self.dual_mono;
        let dual_mono = [("dry", dry), ("wet", wet)].into_iter().filter(|(_, is_dual)| *is_dual);
        let dual_mono = dual_mono.map(|(which, _)| format!("{which} has two equal channels: it is taken as mono"));
        trimmed.into_iter().chain(dual_mono).collect()
    }
}

impl Material {
    /// Material of a recording before and after an effect, both mono, with delay and polarity undone. The last tenth is held out.
    /// Two equal channels count as mono, and what the wet sound has more than the dry one is left out, up to a second.
    /// [control thread: takes its time]
    ///
    /// # Errors
    /// If no network could learn from it: see [`PairError`].
    pub fn of_pair(dry: &Audio<f32>, wet: &Audio<f32>) -> Result<(Self, PairReport), PairError> {
        let sample_rate = dry.sample_rate();
        if sample_rate != wet.sample_rate() {
            return Err(PairError::Rate { dry: sample_rate, wet: wet.sample_rate() });
        }
        let (dry, dry_is_dual) = mono("dry", dry)?;
        let (wet, wet_is_dual) = mono("wet", wet)?;
        let max_trimmed = (MAX_TRIMMED_SECONDS * f64::from(sample_rate)) as usize;
        let trimmed_frames = wet.len().checked_sub(dry.len()).filter(|frames| *frames <= max_trimmed);
        let trimmed_frames = trimmed_frames.ok_or(PairError::Length { dry: dry.len(), wet: wet.len() })?;
        let wet = &wet[..dry.len()];
        check_recordings(dry, wet, sample_rate)?;
        let report = PairReport { trimmed_frames, dual_mono: (dry_is_dual, wet_is_dual), ..align(dry, wet, sample_rate)? };
        let (dry, wet) = if report.delay >= 0 {
            (&dry[..dry.len() - report.delay.unsigned_abs()], &wet[report.delay.unsigned_abs()..])
        } else {
            (&dry[report.delay.unsigned_abs()..], &wet[..wet.len() - report.delay.unsigned_abs()])
        };
        let sign = if report.inverted { -1.0 } else { 1.0 };
        check_pieces(dry, wet, sign, sample_rate)?;
        let replicate_esr = replicate_esr(dry, wet, sample_rate)?;
        let wet: Vec<f32> = wet.iter().map(|x| sign * x).collect();
        let end = dry.len() - (HELD_OUT_PART * dry.len() as f64) as usize;
        let pair = |name: &str, from: usize, to: usize| SoundPair {
            name: name.into(),
            dry: dry[from..to].into(),
            wet: wet[from..to].into(),
            knob: Vec::new(),
        };
        let (train, held_out) = (pair("beginning", 0, end), vec![pair("last tenth", end, dry.len())]);
        let polarity = if report.inverted { ", turned over" } else { "" };
        let origin = format!(
            "a recorded pair of {:.1} s, {} frames of delay undone{polarity}",
            dry.len() as f64 / f64::from(sample_rate),
            report.delay
        );
        Ok((Self { sample_rate, train, held_out, knob: None, origin }, PairReport { replicate_esr, ..report }))
    }
}

/// The sound of a recording of one channel, or of two with the same samples: then the second value is true.
fn mono<'a>(which: &'static str, sound: &'a Audio<f32>) -> Result<(&'a [f32], bool), PairError> {
    let bits = |channel: usize| sound.channel(channel).iter().map(|x| x.to_bits());
    match sound.channels() {
        1 => Ok((sound.channel(0), false)),
        2 if bits(0).eq(bits(1)) => Ok((sound.channel(0), true)),
        found => Err(PairError::Channels { which, found }),
    }
}

/// Checks the length of a pair, and each recording by itself.
fn check_recordings(dry: &[f32], wet: &[f32], sample_rate: u32) -> Result<(), PairError> {
    let seconds = dry.len() as f64 / f64::from(sample_rate);
    if seconds < MIN_PAIR_SECONDS {
        return Err(PairError::Short { found: seconds });
    }
    for (which, sound) in [("dry", dry), ("wet", wet)] {
        let rms = (energy(sound) / sound.len() as f64).sqrt() as f32;
        if rms < db_to_gain(SILENT_BELOW_DB) {
            return Err(PairError::Silent { which, found: gain_to_db(rms) });
        }
        let runs = sound.chunk_by(|a, b| a.abs() >= FULL_SCALE && *a == *b);
        let found: usize = runs.map(<[f32]>::len).filter(|n| *n >= CLIPPED_SAMPLES).sum();
        if found as f64 > MAX_CLIPPED_PART * sound.len() as f64 {
            return Err(PairError::Clipped { which, found });
        }
    }
    Ok(())
}

/// The delay and polarity of the loudest of [`PROBES`] passages, if all the others have them too.
fn align(dry: &[f32], wet: &[f32], sample_rate: u32) -> Result<PairReport, PairError> {
    let rate = f64::from(sample_rate);
    let max_delay = (MAX_DELAY_SECONDS * rate) as usize;
    let length = ((COMPARED_SECONDS * rate) as usize).min(dry.len() - 2 * max_delay);
    let room = dry.len() - length - 2 * max_delay;
    let mut probes: Vec<(f64, usize)> = (0..PROBES)
        .map(|i| {
            let at = max_delay + room * i / (PROBES - 1);
            (energy(&wet[at..at + length]), at)
        })
        .collect();
    probes.sort_by(|a, b| b.0.total_cmp(&a.0));
    let loudest = probes[0].0;
    let mut report: Option<PairReport> = None;
    for (probe_energy, at) in probes {
        // A quiet passage is mostly noise.
        if probe_energy < 0.01 * loudest {
            continue;
        }
        let passage = &wet[at..at + length];
        let around = &dry[at - max_delay..at + length + max_delay];
        let products = correlate(passage, around);
        // A delay is a lag of `max_delay - delay` into the dry sound around.
        let scale = |lag: usize| (probe_energy * energy(&around[lag..lag + length])).sqrt().max(1e-30);
        let by_size = |a: &usize, b: &usize| products[*a].abs().total_cmp(&products[*b].abs());
        let best = (0..=2 * max_delay).max_by(by_size).unwrap_or(max_delay);
        let delay = max_delay as isize - best as isize;
        match report {
            None => {
                let correlation = f64::from(products[best]) / scale(best);
                if correlation.abs() < MIN_CORRELATION {
                    return Err(PairError::Unrelated { found: correlation.abs() });
                }
                let inverted = correlation < 0.0;
                let correlation = correlation.abs();
                let (replicate_esr, trimmed_frames, dual_mono) = (None, 0, (false, false));
                report = Some(PairReport { delay, inverted, correlation, replicate_esr, trimmed_frames, dual_mono });
            }
            Some(first) => {
                let at_first_delay = products[max_delay.wrapping_add_signed(-first.delay)];
                let agrees = f64::from(at_first_delay.abs()) >= MIN_AGREEMENT * f64::from(products[best].abs());
                if !agrees || (at_first_delay < 0.0) != first.inverted {
                    let seconds = at as f64 / rate;
                    return Err(PairError::Misaligned { first: first.delay, other: delay, seconds });
                }
            }
        }
    }
    report.ok_or(PairError::Unrelated { found: 0.0 })
}

/// Checks that most of the loud pieces of the wet sound correlate with the dry pieces at the same time. `sign` is the polarity, 1
/// or -1.
fn check_pieces(dry: &[f32], wet: &[f32], sign: f32, sample_rate: u32) -> Result<(), PairError> {
    let length = (PIECE_SECONDS * f64::from(sample_rate)) as usize;
    let loud = 0.1 * energy(wet) / wet.len() as f64 * length as f64;
    let (mut loud_pieces, mut following) = (0, 0);
    for (x, y) in dry.chunks_exact(length).zip(wet.chunks_exact(length)) {
        if energy(y) < loud {
            continue;
        }
        let product: f64 = x.iter().zip(y).map(|(x, y)| f64::from(sign * x * y)).sum();
        loud_pieces += 1;
        following += usize::from(product >= MIN_CORRELATION * (energy(x) * energy(y)).sqrt());
    }
    let found = following as f64 / f64::from(loud_pieces.max(1));
    if found < MIN_FOLLOWING_PART { Err(PairError::Shuffled { found: 100.0 * found }) } else { Ok(()) }
}

/// Looks for passages of the dry sound that are repeated, sample by sample. Returns the largest error to signal between their wet
/// sounds; `None` if there are no such passages.
fn replicate_esr(dry: &[f32], wet: &[f32], sample_rate: u32) -> Result<Option<f64>, PairError> {
    let rate = f64::from(sample_rate);
    let length = (REPEAT_SECONDS * rate) as usize;
    let loud = 0.5 * energy(dry) / dry.len() as f64 * length as f64;
    let key = |at: usize| -> [u32; KEY_SAMPLES] { std::array::from_fn(|i| dry[at + i].to_bits()) };
    let starts = (0..dry.len() / length).map(|i| i * length).filter(|at| energy(&dry[*at..at + length]) > loud);
    // First frames of the loud passages of which no repetition was found yet, by their first samples.
    let mut passages: HashMap<[u32; KEY_SAMPLES], usize> = starts.map(|at| (key(at), at)).collect();
    let mut worst: Option<f64> = None;
    for other in 0..(dry.len() + 1).saturating_sub(length) {
        let Some(&at) = passages.get(&key(other)) else { continue };
        if other.abs_diff(at) < length || dry[at..at + length] != dry[other..other + length] {
            continue;
        }
        passages.remove(&key(at));
        // In the first half the effect may still ring from the previous sound.
        let (a, b) = (&wet[at + length / 2..at + length], &wet[other + length / 2..other + length]);
        let esr = ErrorToSignal::of(a, b).ratio();
        if esr > MAX_REPLICATE_ESR {
            let (first, second) = (at.min(other) as f64 / rate, at.max(other) as f64 / rate);
            return Err(PairError::Replicate { first, second, esr });
        }
        worst = Some(worst.map_or(esr, |w| w.max(esr)));
    }
    Ok(worst)
}

/// Sum of the squares.
fn energy(x: &[f32]) -> f64 {
    x.chunks(1024).map(|part| f64::from(part.iter().map(|x| x * x).sum::<f32>())).sum()
}

/// Cross-correlation by Fourier transforms: sum over t of passage\[t\] around\[t + lag\] for each lag from 0.
fn correlate(passage: &[f32], around: &[f32]) -> Vec<f32> {
    let length = (passage.len() + around.len()).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(length));
    let transform = |x: &[f32]| {
        let mut padded = x.to_vec();
        padded.resize(length, 0.0);
        let mut out = forward.make_output_vec();
        forward.process(&mut padded, &mut out).expect("the lengths are the plan's");
        out
    };
    let (a, mut b) = (transform(passage), transform(around));
    for (b, a) in b.iter_mut().zip(&a) {
        *b = *b * a.conj() / length as f32;
    }
    // DC and Nyquist of a real signal are real; rounding may have left an imaginary part, which the inverse transform refuses.
    b[0].im = 0.0;
    b[length / 2].im = 0.0;
    let mut out = inverse.make_output_vec();
    inverse.process(&mut b, &mut out).expect("the lengths are the plan's");
    out
}
