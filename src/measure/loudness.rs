//! Loudness and true peak of a sound (ITU-R BS.1770, EBU R 128), by the crate `ebur128`.

use ebur128::{EbuR128, Mode};

use super::measures::{Measure, MeasureFn, Preference, Unit};
use super::spectrum::SILENCE_DB;
use crate::audio::{Audio, gain_to_db};

/// Loudness and true peak of a sound.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Loudness {
    /// Integrated loudness in LUFS, with gates at -70 LUFS and 10 LU below the mean (BS.1770-4). `None` for silence, for a sound
    /// below the gate or shorter than 400 ms, and at a sample rate or number of channels that the meter does not have.
    pub integrated_lufs: Option<f64>,
    /// True peak in dB of full scale: the largest magnitude of all channels between the samples, too (4 times oversampled, 2 times
    /// from 96 kHz on, not from 192 kHz on). -300 for silence. The sample peak where the meter does not have the sample rate.
    pub true_peak_dbtp: f64,
}

/// Loudness and true peak of a sound. NaN and infinity make both meaningless. [control thread: allocates]
#[must_use]
pub fn loudness(sound: &Audio) -> Loudness {
    let meter = run(sound, Mode::I | Mode::TRUE_PEAK);
    // The filter of the meter overshoots, but does not always meet the samples themselves.
    let peak = meter.as_ref().map_or(0.0, true_peak).max(sound.peak());
    Loudness {
        integrated_lufs: meter.and_then(|meter| integrated(&meter)),
        true_peak_dbtp: gain_to_db(peak).max(SILENCE_DB.into()),
    }
}

/// Integrated loudness in LUFS alone, as [`Loudness::integrated_lufs`]. [control thread: allocates]
#[must_use]
pub fn integrated_loudness(sound: &Audio) -> Option<f64> {
    integrated(&run(sound, Mode::I)?)
}

/// Loudness of the K-weighted energy of a whole sound in LUFS, without the gates of BS.1770: for sounds that are too short or too
/// quiet for them. `None` for silence, below 1 ms, and at a sample rate or number of channels that the meter does not have.
/// [control thread: allocates]
#[must_use]
pub fn ungated_loudness(sound: &Audio) -> Option<f64> {
    let milliseconds = u32::try_from(sound.frames() as u64 * 1000 / u64::from(sound.sample_rate())).ok().filter(|ms| *ms > 0)?;
    let mut meter = EbuR128::new(u32::try_from(sound.channels()).ok()?, sound.sample_rate(), Mode::M).ok()?;
    meter.set_max_window(milliseconds).ok()?;
    meter.add_frames_planar_f32(&sound.slices()).ok()?;
    meter.loudness_window(milliseconds).ok().filter(|lufs| lufs.is_finite())
}

/// A meter of integrated loudness and true peak that hears a sound block by block.
#[cfg(feature = "listen")]
pub(crate) struct LoudnessMeter(EbuR128);

#[cfg(feature = "listen")]
impl LoudnessMeter {
    /// A meter; `None` at a sample rate or number of channels that it does not have. [control thread: allocates]
    pub(crate) fn new(sample_rate: u32, channels: usize) -> Option<Self> {
        EbuR128::new(u32::try_from(channels).ok()?, sample_rate, Mode::I | Mode::TRUE_PEAK).ok().map(Self)
    }

    /// Hears a block, a slice per channel. [control thread: allocates]
    pub(crate) fn add(&mut self, block: &[&[f32]]) {
        // Fails only for another number of channels than the meter's.
        let _ = self.0.add_frames_planar_f32(block);
    }

    /// [`Loudness::integrated_lufs`] of what was heard since the beginning or the last [`Self::reset`].
    pub(crate) fn integrated_lufs(&self) -> Option<f64> {
        integrated(&self.0)
    }

    /// True peak of what was heard since the beginning or the last [`Self::reset`], over all channels; 1 is full scale.
    pub(crate) fn true_peak(&self) -> f64 {
        true_peak(&self.0)
    }

    /// Forgets what was heard.
    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }
}

/// A meter that has heard the sound; `None` at a sample rate or number of channels that it does not have.
fn run(sound: &Audio, mode: Mode) -> Option<EbuR128> {
    let mut meter = EbuR128::new(u32::try_from(sound.channels()).ok()?, sound.sample_rate(), mode).ok()?;
    meter.add_frames_planar_f32(&sound.slices()).ok()?;
    Some(meter)
}

/// The true peak of what a meter has heard, over all channels; 1 is full scale.
fn true_peak(meter: &EbuR128) -> f64 {
    let peaks = (0..meter.channels()).map(|channel| meter.true_peak(channel).unwrap_or(0.0));
    peaks.fold(0.0, f64::max)
}

/// The loudness of what a meter has heard, if there is one.
fn integrated(meter: &EbuR128) -> Option<f64> {
    meter.loudness_global().ok().filter(|lufs| lufs.is_finite())
}

/// Integrated loudness of a sound: [`Loudness::integrated_lufs`].
pub static LUFS: Measure = Measure {
    id: "lufs",
    name: "Integrated loudness",
    heading: "Loudness LUFS",
    unit: Unit::Lufs,
    definition: "Loudness of the whole sound with its pauses left out (ITU-R BS.1770-4, EBU R 128): a sine of 997 Hz in one channel \
                 at full scale is -3.01.",
    better: Preference::Neither,
    function: MeasureFn::Sound(|sound| integrated_loudness(sound).unwrap_or(f64::NAN)),
};

/// True peak of a sound: [`Loudness::true_peak_dbtp`].
pub static TRUE_PEAK: Measure = Measure {
    id: "true_peak_dbtp",
    name: "True peak",
    heading: "True peak dBTP",
    unit: Unit::Dbtp,
    definition: "The largest magnitude of all channels, also between the samples (ITU-R BS.1770-4, annex 2), in dB of full scale.",
    better: Preference::Neither,
    function: MeasureFn::Sound(|sound| loudness(sound).true_peak_dbtp),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::generate;

    #[test]
    fn a_full_scale_sine_of_997_hz_in_one_channel_has_the_loudness_of_the_standard_at_any_rate() {
        for rate in [44_100, 48_000, 96_000] {
            let sine = generate::sine(rate, 997.0, 1.0, 4 * rate as usize).unwrap();
            let found = loudness(&sine);
            assert!((found.integrated_lufs.unwrap() + 3.01).abs() < 0.02, "{rate} Hz: {found:?}");
            assert!(found.true_peak_dbtp.abs() < 0.02, "{rate} Hz: {found:?}");
            // Two equal channels have twice the power.
            let both = loudness(&sine.repeat_channels(2).unwrap());
            assert!((both.integrated_lufs.unwrap()).abs() < 0.02, "{both:?}");
        }
    }

    #[test]
    fn the_true_peak_lies_between_samples_that_miss_it() {
        // A quarter of the rate, sampled 45 degrees beside its peaks: the samples are at 0.707.
        let samples: Vec<f32> =
            (0..48_000).map(|n| (std::f64::consts::FRAC_PI_2 * (f64::from(n) + 0.5)).sin() as f32 * 0.5).collect();
        let found = loudness(&Audio::from_mono(48_000, &samples).unwrap());
        assert!((found.true_peak_dbtp + 6.02).abs() < 0.3, "{found:?}");
    }

    #[test]
    fn a_gain_raises_loudness_and_true_peak_by_itself() {
        let quiet = generate::pink(48_000, 0.05, 96_000, 1).unwrap();
        let mut loud = quiet.clone();
        loud.gain_db(6.0);
        let (quiet, loud) = (loudness(&quiet), loudness(&loud));
        assert!((loud.integrated_lufs.unwrap() - quiet.integrated_lufs.unwrap() - 6.0).abs() < 1e-4);
        assert!((loud.true_peak_dbtp - quiet.true_peak_dbtp - 6.0).abs() < 1e-4);
    }

    #[test]
    fn the_ungated_loudness_of_a_steady_sound_is_its_integrated_loudness_and_a_short_or_quiet_one_has_it_too() {
        let tone = |amplitude: f64, frames: usize| generate::sine(48_000, 997.0, amplitude, frames).unwrap();
        let found = ungated_loudness(&tone(1.0, 480_000)).unwrap();
        assert!((found - integrated_loudness(&tone(1.0, 480_000)).unwrap()).abs() < 0.005, "{found}");
        for (amplitude, frames) in [(0.5, 24_000), (0.5, 9_600), (1e-5, 96_000)] {
            let found = ungated_loudness(&tone(amplitude, frames)).unwrap();
            // The filter's beginning is part of a short sound.
            assert!((found - (-3.01 + gain_to_db(amplitude))).abs() < 0.05, "{amplitude}, {frames}: {found}");
        }
        // Silence counts here: half of the sound is 3 dB less.
        let half = Audio::concatenate(&[&tone(0.5, 48_000), &Audio::silence(48_000, 1, 48_000)]).unwrap();
        assert!((ungated_loudness(&half).unwrap() + 3.01 + 6.02 + 3.01).abs() < 0.05);
        assert_eq!(ungated_loudness(&Audio::silence(48_000, 1, 48_000)), None);
    }

    #[test]
    fn silence_and_a_short_sound_have_no_loudness() {
        let silence = loudness(&Audio::silence(48_000, 2, 48_000));
        assert_eq!(silence, Loudness { integrated_lufs: None, true_peak_dbtp: SILENCE_DB.into() });
        let short = loudness(&generate::sine(48_000, 1000.0, 0.5, 4800).unwrap());
        assert_eq!(short.integrated_lufs, None);
        assert!((short.true_peak_dbtp + 6.02).abs() < 0.1, "{short:?}");
    }
}
