//! The parts of a sound where a difference is largest.

use super::measures::{Comparison, Measure, MeasureFn, Preference, Unit};
use super::spectrum::{SILENCE_DB, decibels};

/// A part of a sound, and the difference there.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct WorstWindow {
    /// First frame.
    pub start_frame: usize,
    /// Length in frames.
    pub frames: usize,
    /// Energy of the difference in dB of the reference's energy in this window, or of 40 dB below the reference's mean if that is
    /// more, so that a pause does not count as the worst.
    pub error_db: f64,
    /// Level of the difference in dBFS (RMS; a full-scale square wave is 0).
    pub error_dbfs: f64,
}

/// Length of a window in seconds for the one figure and for reports: a syllable or a drum's stroke.
pub const WINDOW_SECONDS: f64 = 0.4;
/// Seconds between the beginnings of two windows.
const HOP_SECONDS: f64 = 0.01;
/// Energy, as a ratio to the reference's mean, that counts in a window at least: -40 dB.
const QUIET: f64 = 1e-4;

/// The `count` windows of `seconds` seconds with the largest error to signal, the worst first; no two of them overlap. They begin
/// at steps of 10 ms. Windows without any error are left out; a sound shorter than a window is one window.
/// [control thread: allocates]
#[must_use]
pub fn worst_windows(comparison: &Comparison<'_>, seconds: f64, count: usize) -> Vec<WorstWindow> {
    let (frames, rate) = (comparison.frames(), f64::from(comparison.sample_rate()));
    if frames == 0 {
        return Vec::new();
    }
    let hop = ((HOP_SECONDS * rate).round() as usize).max(1);
    let window = ((seconds * rate).round() as usize).clamp(1, frames);
    // Energies of signal and error before each hop.
    let mut before = vec![(0.0, 0.0); frames.div_ceil(hop) + 1];
    for (reference, test) in comparison.channels() {
        let hops = reference.chunks(hop).zip(test.chunks(hop));
        let (mut signal, mut error) = (0.0, 0.0);
        for ((reference, test), before) in hops.zip(&mut before[1..]) {
            let sums = super::ErrorToSignal::of(reference, test);
            signal += sums.signal();
            error += sums.error();
            before.0 += signal;
            before.1 += error;
        }
    }
    let hops = (window as f64 / hop as f64).ceil() as usize;
    let samples = (window * comparison.channel_count()) as f64;
    let quiet = QUIET * before[before.len() - 1].0 * window as f64 / frames as f64;
    let mut windows: Vec<(f64, f64, usize)> = (0..before.len().saturating_sub(hops).max(1))
        .map(|first| {
            let (start, end) = (before[first], before[(first + hops).min(before.len() - 1)]);
            let (signal, error) = (end.0 - start.0, end.1 - start.1);
            (if error > 0.0 { error / signal.max(quiet) } else { 0.0 }, error, first)
        })
        .filter(|(_, error, _)| *error > 0.0)
        .collect();
    windows.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.2.cmp(&b.2)));
    let mut worst: Vec<WorstWindow> = Vec::new();
    for (ratio, error, first) in windows {
        if worst.len() == count {
            break;
        }
        // The last window ends with the sound.
        let start_frame = (first * hop).min(frames - window);
        if worst.iter().all(|other| start_frame.abs_diff(other.start_frame) >= window) {
            let (error_db, error_dbfs) = (decibels(ratio).into(), decibels(error / samples).into());
            worst.push(WorstWindow { start_frame, frames: window, error_db, error_dbfs });
        }
    }
    worst
}

/// The error in the worst window in dB.
pub static WORST_WINDOW: Measure = Measure {
    id: "worst_window_db",
    name: "Error of the worst window",
    heading: "Worst 400 ms dB",
    unit: Unit::Decibel,
    definition: "Energy of the difference in dB of the reference's energy in the same window of 400 ms, or of 40 dB below the reference's mean \
                 if that is more, in the worst window; -300 if nothing is left.",
    better: Preference::Lower,
    function: MeasureFn::Comparison(|comparison| {
        let is_empty = comparison.frames() == 0;
        let worst = worst_windows(comparison, WINDOW_SECONDS, 1).first().map(|window| window.error_db);
        worst.unwrap_or(if is_empty { f64::NAN } else { SILENCE_DB.into() })
    }),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Audio, generate};

    #[test]
    fn the_worst_windows_are_where_the_errors_are_in_their_order_and_never_overlap() {
        for rate in [44_100u32, 48_000, 96_000] {
            let frames = 10 * rate as usize;
            let reference = generate::white(rate, 0.5, frames, 1).unwrap();
            let mut test = reference.clone();
            // Errors of 400 ms at 2 s and 7 s: -20 and -30 dB of the signal.
            for (second, gain) in [(2.0, 1.1), (7.0, 1.0 + 10f32.powf(-1.5))] {
                let from = (second * f64::from(rate)) as usize;
                test.channel_mut(0)[from..from + rate as usize * 2 / 5].iter_mut().for_each(|x| *x *= gain);
            }
            let comparison = Comparison::new(&reference, &test).unwrap();
            let found = worst_windows(&comparison, 0.4, 10);
            assert_eq!(found[0].start_frame, 2 * rate as usize);
            assert!((found[0].error_db + 20.0).abs() < 0.01, "{found:?}");
            // White noise of amplitude 0.5 is at 20 log10(0.5 / sqrt 3) dBFS.
            assert!((found[0].error_dbfs + 20.0 + 10.79).abs() < 0.1, "{found:?}");
            assert_eq!((found[1].start_frame, found[1].frames), (7 * rate as usize, rate as usize * 2 / 5));
            assert!((found[1].error_db + 30.0).abs() < 0.01, "{found:?}");
            assert_eq!(WORST_WINDOW.compare(&comparison), Some(found[0].error_db));
            // Nothing else differs, and no window may overlap these.
            assert_eq!(found.len(), 2);
        }
    }

    #[test]
    fn a_pause_with_a_faint_error_is_not_the_worst() {
        let mut reference = generate::sine(48_000, 1000.0, 0.5, 96_000).unwrap();
        reference.channel_mut(0)[48_000..].fill(0.0);
        let mut test = reference.clone();
        test.channel_mut(0)[..48_000].iter_mut().for_each(|x| *x *= 1.01);
        test.channel_mut(0)[48_000..].fill(1e-5);
        let found = worst_windows(&Comparison::new(&reference, &test).unwrap(), 0.4, 4);
        assert!(found[0].start_frame < 48_000 && (found[0].error_db + 40.0).abs() < 0.1, "{found:?}");
    }

    #[test]
    fn equal_sounds_have_no_worst_window_and_a_short_sound_is_one() {
        let sound = generate::white(48_000, 0.5, 5000, 1).unwrap();
        assert!(worst_windows(&Comparison::new(&sound, &sound).unwrap(), 0.4, 10).is_empty());
        let zero = Audio::silence(48_000, 1, 5000);
        let found = worst_windows(&Comparison::new(&sound, &zero).unwrap(), 0.4, 10);
        assert_eq!((found.len(), found[0].start_frame, found[0].frames), (1, 0, 5000));
        assert!(found[0].error_db.abs() < 1e-6);
        assert_eq!(WORST_WINDOW.compare(&Comparison::new(&sound, &sound).unwrap()), Some(SILENCE_DB.into()));
        let empty = Audio::silence(48_000, 1, 0);
        assert!(worst_windows(&Comparison::new(&empty, &empty).unwrap(), 0.4, 10).is_empty());
    }
}
