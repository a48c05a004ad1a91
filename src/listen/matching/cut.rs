//! The loop of a test, cut from its sound.

use super::{LOOP_SECONDS, MatchError};
use crate::audio::Audio;

/// The largest value of a 16-bit file.
const FULL_SCALE: f32 = 32_767.0 / 32_768.0;
/// Samples in a row at full scale that are a clipped peak.
const CLIPPED_RUN: usize = 3;

/// Cuts the loop from a sound and checks it. [control thread]
///
/// # Errors
/// [`MatchError::Range`], [`MatchError::Length`], [`MatchError::Silent`], [`MatchError::Clipped`], [`MatchError::NotFinite`].
pub fn cut_loop(sound: &Audio, range: [f64; 2]) -> Result<(usize, Audio), MatchError> {
    let rate = f64::from(sound.sample_rate());
    let [start, end] = range;
    let outside = MatchError::Range { start, end, seconds: sound.seconds() };
    if !(start.is_finite() && end.is_finite() && start >= 0.0 && start < end) {
        return Err(outside);
    }
    let [first, last] = range.map(|seconds| (seconds * rate).round() as usize);
    if last > sound.frames() || first >= last {
        return Err(outside);
    }
    let found = (last - first) as f64 / rate;
    if !(LOOP_SECONDS[0]..=LOOP_SECONDS[1]).contains(&found) {
        return Err(MatchError::Length { found });
    }
    let cut = sound.slice(first..last).map_err(|_| outside)?;
    cut.check_finite().map_err(MatchError::NotFinite)?;
    if cut.peak() == 0.0 {
        return Err(MatchError::Silent);
    }
    let runs: Vec<usize> = cut.iter().flat_map(clipped_runs).collect();
    if let Some(first) = runs.iter().min() {
        return Err(MatchError::Clipped { runs: runs.len(), seconds: *first as f64 / rate });
    }
    Ok((first, cut))
}

/// First frames of the runs of [`CLIPPED_RUN`] or more samples at full scale with one sign.
fn clipped_runs(channel: &[f32]) -> Vec<usize> {
    let side = |x: f32| {
        if x >= FULL_SCALE {
            1
        } else if x <= -FULL_SCALE {
            -1
        } else {
            0
        }
    };
    let mut runs = Vec::new();
    let mut length = 0;
    for (frame, x) in channel.iter().enumerate() {
        let follows = frame > 0 && side(channel[frame - 1]) == side(*x);
        length = if side(*x) == 0 {
            0
        } else if follows {
            length + 1
        } else {
            1
        };
        if length == CLIPPED_RUN {
            runs.push(frame + 1 - CLIPPED_RUN);
        }
    }
    runs
}
