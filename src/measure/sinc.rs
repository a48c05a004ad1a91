//! Sounds between their frames: a long windowed sinc.

use std::f64::consts::PI;

use multiversion::multiversion;

use crate::audio::kaiser;

// Convolution lies in the package that is optimised while one develops, as tests spend most of their time in it.
pub(crate) use isotherm_kernels::convolution::convolve;

/// Taps of the sinc. Half of them lie before the position that is asked for.
pub(crate) const TAPS: usize = 256;
/// Frames that a position needs on each side.
pub(crate) const REACH: usize = TAPS / 2;
/// Shape of the Kaiser window: with it and [`TAPS`], what is below 0.486 of the sample rate (23.3 kHz at 48 kHz) is within
/// -110 dB of its true value (Kaiser's formulas: beta = 0.1102 (110 - 8.7), transition (110 - 7.95) / (14.36 * 255)).
const KAISER_BETA: f64 = 11.16;
/// Taps of the differentiator, whose window is as long: what is below 0.44 of the sample rate has its slope within -110 dB.
const SLOPE_TAPS: usize = 64;
/// Frames that [`slope`] needs before a frame, and one fewer after it.
pub(super) const SLOPE_REACH: usize = SLOPE_TAPS / 2;
/// Positions between two frames for which the table of [`Interpolator`] has the taps; between them the taps are interpolated
/// linearly, with an error below (pi / 1024)^2 / 8 = -118 dB.
const PHASES: usize = 1024;

/// The taps for a position that lies `fraction` (0 to 1) after frame [`REACH`] - 1 of the [`TAPS`] frames.
pub(crate) fn taps(fraction: f64) -> [f32; TAPS] {
    std::array::from_fn(|i| {
        let x = (i as f64 - (REACH - 1) as f64) - fraction;
        let sinc = if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
        (sinc * kaiser(x / REACH as f64, KAISER_BETA)) as f32
    })
}

/// The taps of the ideal differentiator under the same window: (-1)^n / n for the frame that is n frames earlier. The frame itself
/// is that of tap [`SLOPE_REACH`].
fn differentiator() -> [f32; SLOPE_TAPS] {
    std::array::from_fn(|i| {
        let later = i as f64 - SLOPE_REACH as f64;
        if later == 0.0 { 0.0 } else { (-(PI * later).cos() / later * kaiser(later / SLOPE_REACH as f64, KAISER_BETA)) as f32 }
    })
}

/// Sum of the products of `x` with taps that are interpolated between those of two phases.
#[multiversion(targets("x86_64+avx2"))]
fn dot(x: &[f32], before: &[f32], after: &[f32], weight: f32) -> f32 {
    /// Sums side by side.
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    for ((x, before), after) in x.chunks_exact(LANES).zip(before.chunks_exact(LANES)).zip(after.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * (before[lane] + weight * (after[lane] - before[lane]));
        }
    }
    sums.iter().sum()
}

/// Reads sounds at positions between their frames; beyond a sound's ends is silence.
#[derive(Debug)]
pub(super) struct Interpolator {
    /// The taps of each phase, and of the whole frame after the last phase; empty until a reading speed needs them.
    table: Vec<f32>,
    /// The frames that one call reads.
    frames: Vec<f32>,
}

impl Interpolator {
    pub fn new() -> Self {
        Self { table: Vec::new(), frames: Vec::new() }
    }

    /// Fills `out` with the sound at the positions `start`, `start + step`, `start + 2 step` ..., in frames.
    pub fn read(&mut self, sound: &[f32], start: f64, step: f64, out: &mut [f32]) {
        let whole = start.floor();
        let last = start + step * out.len().saturating_sub(1) as f64;
        let first = whole as isize - (REACH as isize - 1);
        let count = (last.floor() as isize + REACH as isize + 1 - first).max(0) as usize;
        self.frames.clear();
        self.frames.extend(frames(sound, first, count));
        let fraction = start - whole;
        if step == 1.0 {
            if fraction == 0.0 {
                out.copy_from_slice(&self.frames[REACH - 1..REACH - 1 + out.len()]);
            } else {
                convolve(&self.frames, &taps(fraction), out);
            }
            return;
        }
        if self.table.is_empty() {
            self.table = (0..=PHASES).flat_map(|phase| taps(phase as f64 / PHASES as f64)).collect();
        }
        for (n, out) in out.iter_mut().enumerate() {
            let position = fraction + step * n as f64;
            let phase = position.fract() * PHASES as f64;
            let row = phase as usize * TAPS;
            let (before, after) = self.table[row..row + 2 * TAPS].split_at(TAPS);
            let at = position as usize;
            *out = dot(&self.frames[at..at + TAPS], before, after, phase.fract() as f32);
        }
    }
}

/// The slope of a sound, per frame, at frames of its own: `sound` has [`SLOPE_REACH`] more frames before and one
/// fewer after.
pub(super) fn slope(sound: &[f32], out: &mut [f32]) {
    convolve(sound, &differentiator(), out);
}

/// `count` frames of a sound from frame `first` on; silence outside of it.
fn frames(sound: &[f32], first: isize, count: usize) -> impl Iterator<Item = f32> + '_ {
    let before = first.min(0).unsigned_abs().min(count);
    let from = (first.max(0) as usize).min(sound.len());
    let inside = &sound[from..(from + count - before).min(sound.len())];
    std::iter::repeat_n(0.0, before).chain(inside.iter().copied()).chain(std::iter::repeat_n(0.0, count - before - inside.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, at: f64) -> f64 {
        (std::f64::consts::TAU * hz / 48_000.0 * at + 0.3).sin()
    }

    #[test]
    fn a_tone_between_its_frames_is_the_tone_there() {
        let mut interpolator = Interpolator::new();
        for hz in [30.0, 997.0, 15_000.0, 23_000.0] {
            let sound: Vec<f32> = (0..4000).map(|n| tone(hz, f64::from(n)) as f32).collect();
            for (start, step) in [(1000.37, 1.0), (1000.0, 1.0), (1000.5, 1.000_1), (999.99, 0.999_9)] {
                let mut out = vec![0.0; 1001];
                interpolator.read(&sound, start, step, &mut out);
                for (n, y) in out.iter().enumerate() {
                    let expected = tone(hz, start + step * n as f64);
                    // -110 dB of the window, -118 dB of the table, and the rounding of 256 products.
                    assert!((f64::from(*y) - expected).abs() < 6e-6, "{hz} Hz, {start}, {step}, {n}: {y}, {expected}");
                }
            }
            // The differentiator is shorter.
            if hz > 20_000.0 {
                continue;
            }
            let mut slopes = vec![0.0; 100];
            slope(&sound[1000 - SLOPE_REACH..], &mut slopes[..]);
            for (n, found) in slopes.iter().enumerate() {
                let at = 1000.0 + n as f64;
                let expected = (tone(hz, at + 1e-4) - tone(hz, at - 1e-4)) / 2e-4;
                assert!((f64::from(*found) - expected).abs() < 3e-5, "{hz} Hz, {n}: {found}, {expected}");
            }
        }
    }

    #[test]
    fn a_sound_is_silent_beyond_its_ends() {
        let mut interpolator = Interpolator::new();
        let mut out = vec![1.0; 6];
        interpolator.read(&[0.5, 0.25], -2.0, 1.0, &mut out);
        assert_eq!(out, [0.0, 0.0, 0.5, 0.25, 0.0, 0.0]);
        interpolator.read(&[0.5, 0.25], 1e6, 1.0, &mut out);
        assert_eq!(out, [0.0; 6]);
        interpolator.read(&[0.5, 0.25], -1e6 + 0.5, 1.0, &mut out);
        assert_eq!(out, [0.0; 6]);
    }
}
