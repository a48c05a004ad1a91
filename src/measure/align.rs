//! Alignment of two sounds: delay, polarity, gain, DC, and the drift of two clocks.
//!
//! Three steps, each on what the one before has found. *Search* (`align/search.rs`): the correlation of the whitened sounds over all
//! delays, which says whether they have anything in common, and whether another delay would do nearly as well. *Fit*
//! (`align/fit.rs`): the delay and drift with the smallest squared error, and their standard errors from parts of the sound.
//! *Level*: the gain that gives both the same loudness.

mod fit;
mod search;

use std::ops::Range;

use super::loudness::integrated_loudness;
use super::sinc::Interpolator;
use crate::audio::{Audio, AudioError, db_to_gain, gain_to_db};
use fit::Fit;
use search::Search;

/// The way from a reference to another sound of the same material: the other sound is the reference, `delay_frames` later,
/// `gain_db` louder, perhaps inverted, plus `dc`, plus what an effect has changed.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Alignment {
    /// Frames by which the test is late; negative if it is early. With a drift, those at the reference's first frame. A delay
    /// that is a whole number within twice its uncertainty is that number.
    pub delay_frames: f64,
    /// Standard error of the delay in frames, from how much parts of the sound disagree about it.
    pub delay_uncertainty_frames: f64,
    /// True if another delay explains the test nearly as well: `second_lobe` is above 1 / 1.1, or the sounds have too few
    /// frequencies to tell.
    pub ambiguous: bool,
    /// Second highest lobe of the whitened correlation as a share of the highest, 0 to 1.
    pub second_lobe: f64,
    /// Magnitude of the correlation coefficient of the sounds, after delay and drift are taken away, 0 to 1.
    pub correlation: f64,
    /// True if the polarity is inverted.
    pub inverted: bool,
    /// Gain of the test over the reference in dB, by integrated loudness (BS.1770), or by RMS level where a sound is too short
    /// or too quiet for a loudness.
    pub gain_db: f64,
    /// DC offset that the test has more than the reference with the test's gain; 1 is full scale.
    pub dc: f64,
    /// Millionths by which the test runs slower than the reference: its sounds come later and later. `None` if the sounds are
    /// shorter than a second.
    pub drift_ppm: Option<f64>,
    /// Standard error of the drift in millionths.
    pub drift_uncertainty_ppm: Option<f64>,
    /// True if the drift is more than three standard errors and moves the end of the sound by a tenth of a frame or more. Only
    /// then it is corrected.
    pub is_drifting: bool,
}

/// A failure to align two sounds.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AlignError {
    /// A sound that is silent, or constant.
    #[error("expected sound on both sides, found silence in the {side}")]
    Silent {
        /// `reference` or `test`.
        side: &'static str,
    },
    /// Different sample rates.
    #[error("expected two sounds of one sample rate, found {reference} Hz and {test} Hz")]
    OtherRate {
        /// Sample rate of the reference in Hz.
        reference: u32,
        /// Sample rate of the test in Hz.
        test: u32,
    },
    /// Different numbers of channels.
    #[error("expected two sounds with equally many channels, found {reference} and {test}")]
    OtherChannels {
        /// Channels of the reference.
        reference: usize,
        /// Channels of the test.
        test: usize,
    },
    /// Sounds that do not correlate at any delay.
    #[error(
        "expected the same sound on both sides, found nothing in common: their correlation is {correlation:.3}, as that of noise"
    )]
    NothingInCommon {
        /// Magnitude of the correlation coefficient at the best delay.
        correlation: f64,
    },
    /// A sound, or what both have at the same time, is too short.
    #[error("expected {expected} frames or more to align, found {found}")]
    TooShort {
        /// Frames that were found.
        found: usize,
        /// Frames that are needed.
        expected: usize,
    },
    /// A NaN or an infinity.
    #[error("the {side}: {source}")]
    NotFinite {
        /// `reference` or `test`.
        side: &'static str,
        /// The first such sample.
        source: AudioError,
    },
}

/// Fewest frames that can be aligned.
const FEWEST_FRAMES: usize = 512;
/// Largest ratio of both lobes at which the second is close (TONE3000's survey of captures).
const CLOSE_LOBE: f64 = 1.1;
/// Correlation coefficient from which sounds have something in common, however few frequencies they have.
const SURE_CORRELATION: f64 = 0.5;
/// Shortest sound in seconds of which a drift is reported.
const DRIFT_SECONDS: f64 = 1.0;
/// Standard errors from which a drift is no chance.
const SURE_DRIFT: f64 = 3.0;
/// Frames that a drift moves the end of the sound at least.
const LEAST_DRIFT_FRAMES: f64 = 0.1;
/// Standard errors within which a delay counts as a whole number.
const WHOLE_ERRORS: f64 = 2.0;
/// Frames within which a delay counts as a whole number in any case: the rounding of the fit.
const WHOLE_FRAMES: f64 = 1e-6;
/// Samples for which [`Alignment::apply`] reads at a time.
const CHUNK_FRAMES: usize = 1 << 14;

/// Measures how `test` lies to `reference`. Both may begin and end with other frames: delays up to 1.5 s, and by the difference
/// of the lengths more, are looked for. Equal sounds give [`Alignment::NONE`] with a correlation of 1, and sounds that only
/// differ by a whole delay come out equal. [control thread: allocates, takes its time]
///
/// # Errors
/// [`AlignError`]: other rate or channels, NaN, silence, too short, or nothing in common.
pub fn align(reference: &Audio, test: &Audio) -> Result<Alignment, AlignError> {
    check(reference, test)?;
    if reference == test {
        return Ok(Alignment { correlation: 1.0, ..Alignment::NONE });
    }
    let search = Search::of(reference, test);
    let (fit, alone) = Fit::of(reference, test, search.line());
    let overlap_frames = fit.overlap(reference, test).len();
    if !fit.correlation.is_finite() || (!search.is_sharp() && fit.correlation < SURE_CORRELATION) {
        return Err(AlignError::NothingInCommon { correlation: if fit.correlation.is_finite() { fit.correlation } else { 0.0 } });
    }
    if overlap_frames < FEWEST_FRAMES {
        return Err(AlignError::TooShort { found: overlap_frames, expected: FEWEST_FRAMES });
    }
    let drift_end = fit.drift.abs() * overlap_frames as f64;
    let is_drifting = fit.drift.abs() > SURE_DRIFT * fit.drift_error && drift_end >= LEAST_DRIFT_FRAMES;
    let is_long = overlap_frames as f64 >= DRIFT_SECONDS * f64::from(reference.sample_rate());
    let (drift, drift_error) = (fit.drift, fit.drift_error);
    let is_drifting = is_drifting && is_long;
    let fit = if is_drifting { fit } else { alone };
    let whole = fit.delay.round();
    let is_whole = (fit.delay - whole).abs() <= f64::max(WHOLE_FRAMES, WHOLE_ERRORS * fit.delay_error);
    let delay_frames = if is_whole && !is_drifting { whole } else { fit.delay };
    let shared = fit.overlap(reference, test);
    let gain_db = level_difference(reference, test, &shared, whole as isize, fit.gain);
    let inverted = fit.gain < 0.0;
    let gain = if inverted { -db_to_gain(gain_db) } else { db_to_gain(gain_db) };
    Ok(Alignment {
        delay_frames,
        delay_uncertainty_frames: fit.delay_error,
        ambiguous: search.second_lobe() * CLOSE_LOBE > 1.0 || !search.is_sharp(),
        second_lobe: search.second_lobe(),
        correlation: fit.correlation,
        inverted,
        gain_db,
        dc: fit.test_mean - gain * fit.reference_mean,
        drift_ppm: is_long.then_some(drift * 1e6),
        drift_uncertainty_ppm: is_long.then_some(drift_error * 1e6),
        is_drifting,
    })
}

/// Checks that two sounds can be aligned at all.
fn check(reference: &Audio, test: &Audio) -> Result<(), AlignError> {
    if reference.sample_rate() != test.sample_rate() {
        return Err(AlignError::OtherRate { reference: reference.sample_rate(), test: test.sample_rate() });
    }
    if reference.channels() != test.channels() {
        return Err(AlignError::OtherChannels { reference: reference.channels(), test: test.channels() });
    }
    let found = reference.frames().min(test.frames());
    if found < FEWEST_FRAMES {
        return Err(AlignError::TooShort { found, expected: FEWEST_FRAMES });
    }
    for (side, sound) in [("reference", reference), ("test", test)] {
        sound.check_finite().map_err(|source| AlignError::NotFinite { side, source })?;
        // A constant is silence with a DC offset.
        if sound.iter().all(|channel| channel.iter().all(|x| *x == channel[0])) {
            return Err(AlignError::Silent { side });
        }
    }
    Ok(())
}

/// Gain of the test over the reference in dB, over the frames that both have when the test is moved by `delay` whole frames: by
/// loudness, or by the level of what varies; by the `fitted` gain if that says more than the level.
fn level_difference(reference: &Audio, test: &Audio, shared: &Range<usize>, delay: isize, fitted: f64) -> f64 {
    let moved = |at: usize| at.saturating_add_signed(delay).min(test.frames());
    let reference = reference.slice(shared.clone()).expect("the overlap lies within the reference");
    let test = test.slice(moved(shared.start)..moved(shared.end)).expect("the positions are limited to the test");
    if let (Some(left), Some(right)) = (integrated_loudness(&reference), integrated_loudness(&test)) {
        return right - left;
    }
    let varying = |sound: &Audio| {
        let levels = sound.levels();
        (levels.rms * levels.rms - levels.dc * levels.dc).max(0.0).sqrt()
    };
    let difference = gain_to_db(varying(&test)) - gain_to_db(varying(&reference));
    if difference.is_finite() { difference } else { gain_to_db(fitted.abs()) }
}

impl Alignment {
    /// The alignment that changes nothing.
    pub const NONE: Self = Self {
        delay_frames: 0.0,
        delay_uncertainty_frames: 0.0,
        ambiguous: false,
        second_lobe: 0.0,
        correlation: 0.0,
        inverted: false,
        gain_db: 0.0,
        dc: 0.0,
        drift_ppm: None,
        drift_uncertainty_ppm: None,
        is_drifting: false,
    };

    /// The first `frames` frames of `test` as the reference would have them: earlier by the delay (with a 256-tap windowed sinc
    /// if it is no whole number), with the same polarity, gain and DC; silence where the test has no sound, see
    /// [`Self::overlap`]. The drift is only corrected if [`Self::is_drifting`]. An alignment without delay, gain and DC changes
    /// no bit. [control thread: allocates]
    #[must_use]
    pub fn apply(&self, test: &Audio, frames: usize) -> Audio {
        let gain = if self.inverted { -db_to_gain(-self.gain_db) } else { db_to_gain(-self.gain_db) };
        let mut aligned = Audio::silence(test.sample_rate(), test.channels(), frames);
        let inside = self.overlap(frames, test.frames());
        let mut interpolator = Interpolator::new();
        for (test, aligned) in test.iter().zip(aligned.iter_mut()) {
            let mut at = inside.start;
            for chunk in aligned[inside.clone()].chunks_mut(CHUNK_FRAMES) {
                interpolator.read(test, self.position(at), self.step(), chunk);
                at += chunk.len();
            }
            if gain != 1.0 || self.dc != 0.0 {
                for x in &mut aligned[inside.clone()] {
                    *x = ((f64::from(*x) - self.dc) * gain) as f32;
                }
            }
        }
        aligned
    }

    /// The frames of a reference of `reference_frames` frames at whose time a test of `test_frames` frames has sound. Only these
    /// can be compared. [any thread]
    #[must_use]
    pub fn overlap(&self, reference_frames: usize, test_frames: usize) -> Range<usize> {
        overlap(self.position(0), self.step(), reference_frames, test_frames)
    }

    /// Position in the test, in frames, of a frame of the reference.
    fn position(&self, frame: usize) -> f64 {
        self.delay_frames + frame as f64 * self.step()
    }

    /// Frames of the test for one of the reference.
    fn step(&self) -> f64 {
        if self.is_drifting { 1.0 + self.drift_ppm.unwrap_or(0.0) * 1e-6 } else { 1.0 }
    }
}

/// The frames of a reference whose positions lie within a test: from its first frame to its last.
fn overlap(start: f64, step: f64, reference_frames: usize, test_frames: usize) -> Range<usize> {
    // `as` makes a negative number 0.
    let first = (-start / step).ceil() as usize;
    let last = ((test_frames as f64 - 1.0 - start) / step).floor();
    let end = if last < 0.0 { 0 } else { last as usize + 1 };
    let end = end.min(reference_frames);
    first.min(end)..end
}
