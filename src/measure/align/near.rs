//! The lag of a sound that repeats itself: of the lags that fit equally well, the one that is nearest to none.

use super::super::sinc::{Interpolator, REACH};
use super::search::{Correlator, PRE_EMPHASIS};
use crate::audio::Audio;

/// Correlation coefficient of a lag, as a share of the best, from which it fits equally well.
const EQUAL_SHARE: f32 = 0.99;

/// Energy of a part of the test, as a share of all of it, from which it is correlated.
const LEAST_SHARE: f64 = 1e-6;
/// Second difference of a peak's correlation coefficients from which it is sharp.
const SHARP_BEND: f64 = 0.05;
/// Points for a frame at which peaks are looked for.
const STEPS: usize = 4;

/// A lag, and the correlation there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearLag {
    /// Frames by which the test is late; negative if it is early.
    pub delay_frames: f64,
    /// Correlation coefficient of the pre-emphasised sounds at this lag, -1 to 1.
    pub correlation: f64,
}

/// Finds, of the lags of up to `reach` frames to either side at which `test` fits `reference` equally well, the nearest one; lags
/// that turn the polarity over only where no other one fits. The reference begins at frame `lead` of the test if there is no lag.
/// `None` if both have other rates or channels, or one is silent. [control thread: allocates, takes its time]
#[must_use]
pub fn nearest_lag(reference: &Audio, test: &Audio, lead: usize, reach: usize) -> Option<NearLag> {
    let frames = reference.frames();
    if (reference.sample_rate(), reference.channels()) != (test.sample_rate(), test.channels()) || frames < 2 {
        return None;
    }
    // Some lags more on each side, between which the outermost ones lie.
    let wide = reach + REACH;
    let first = lead as isize - wide as isize;
    let delays = 2 * wide + 1;
    let mut correlator = Correlator::new(frames, delays);
    correlator.set_whole(reference, test, first);
    let size = correlator.size() as f64;
    let cross = correlator.correlation();
    let energy = power_sums(reference)[frames];
    let sums = power_sums(test);
    let at = |frame: isize| sums[frame.clamp(0, test.frames() as isize) as usize];
    let coefficients: Vec<f64> = (0..delays)
        .map(|n| {
            let start = first + n as isize;
            let part = at(start + frames as isize) - at(start);
            // Next to nothing correlates with the rounding of the spectra.
            let norm = if part > LEAST_SHARE * sums[test.frames()] { (energy * part).sqrt() } else { 0.0 };
            if norm > 0.0 { f64::from(cross[n]) / (size * norm) } else { 0.0 }
        })
        .collect();
    // A peak that lies between two frames is higher than both, and the lobes beside it are not.
    let series: Vec<f32> = coefficients.iter().map(|x| *x as f32).collect();
    let mut fine = vec![0.0_f32; 2 * reach * STEPS + 1];
    Interpolator::new().read(&series, REACH as f64, 1.0 / STEPS as f64, &mut fine);
    let best = |sign: f32| fine.iter().map(|x| sign * x).fold(0.0, f32::max);
    let sign = if best(-1.0) * EQUAL_SHARE > best(1.0) { -1.0 } else { 1.0 };
    let least = EQUAL_SHARE * best(sign);
    let height = |n: usize| sign * fine[n];
    let is_peak = |n: &usize| {
        let beside = [n.checked_sub(1), Some(n + 1)].into_iter().flatten().filter(|m| *m < fine.len());
        height(*n) > 0.0 && height(*n) >= least && beside.into_iter().all(|m| height(m) <= height(*n))
    };
    let peak = (0..fine.len()).filter(is_peak).min_by_key(|n| n.abs_diff(reach * STEPS))?;
    let delay_frames = top(&coefficients, &fine, peak) - reach as f64;
    Some(NearLag { delay_frames, correlation: f64::from(fine[peak]).clamp(-1.0, 1.0) })
}

/// The place of the top of a peak among the `fine` coefficients, in frames after the first of them.
fn top(coefficients: &[f64], fine: &[f32], peak: usize) -> f64 {
    let around = |n: usize| Some([coefficients[n.checked_sub(1)?], *coefficients.get(n)?, *coefficients.get(n + 1)?]);
    let nearest = REACH + (peak as f64 / STEPS as f64).round() as usize;
    let is_higher = |a: &usize, b: &usize| coefficients[*a].abs().total_cmp(&coefficients[*b].abs());
    let highest = (nearest - 1..=nearest + 1).filter(|n| *n < coefficients.len()).max_by(is_higher).unwrap_or(nearest);
    // A blunt peak is a parabola between frames. Between nearer points it would drown in rounding.
    if let Some(coarse) = around(highest).filter(|[before, at, after]| (before - 2.0 * at + after).abs() < SHARP_BEND) {
        return highest as f64 - REACH as f64 + parabola_top(coarse);
    }
    let between = match (peak.checked_sub(1).map(|n| fine[n]), fine.get(peak + 1)) {
        (Some(before), Some(after)) => parabola_top([before, fine[peak], *after].map(f64::from)),
        _ => 0.0,
    };
    (peak as f64 + between) / STEPS as f64
}

/// The place of the top of the parabola through three neighbouring points, from the middle one.
fn parabola_top([before, at, after]: [f64; 3]) -> f64 {
    let bend = before - 2.0 * at + after;
    if bend == 0.0 { 0.0 } else { (0.5 * (before - after) / bend).clamp(-0.5, 0.5) }
}

/// Energies of all channels of a sound, with pre-emphasis, of its first frames: of none, of one, and so on.
fn power_sums(sound: &Audio) -> Vec<f64> {
    let mut sums = vec![0.0; sound.frames() + 1];
    for channel in sound.iter() {
        // The first frame has no frame before it, as in the correlation.
        for (n, pair) in channel.windows(2).enumerate() {
            sums[n + 2] += f64::from(pair[1] - PRE_EMPHASIS * pair[0]).powi(2);
        }
    }
    let mut sum = 0.0;
    for x in &mut sums {
        sum += *x;
        *x = sum;
    }
    sums
}
