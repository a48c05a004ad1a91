//! Noise-to-mask ratio: how far the difference of two sounds lies above or below what the ear cannot hear beside the reference.
//!
//! Ear model, masking and ratio are those of the basic version of ITU-R BS.1387-1 (PEAQ), annex 2, with the FFT-based ear model: 0
//! dBFS is 92 dB SPL, transforms of 2048 frames at 48 kHz. P. Kabal, "An Examination and Interpretation of ITU-R BS.1387" (McGill
//! University, 2003), says what the recommendation leaves open; names of constants follow it. At another sample rate the
//! transforms have nearly the same duration, so that bins and time constants are the same.
//!
//! The noise is the difference of the *magnitudes* of both spectra, as the recommendation has it, so neither a short delay nor an
//! allpass counts.

use super::measures::{Comparison, Measure, MeasureFn, Preference, Unit};
use super::spectrum::decibels;
use super::transform::Transform;

/// Noise-to-mask ratios of a comparison.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct NoiseToMask {
    /// Mean ratio over time, bands and channels, in dB: Total NMR. Below -10 a difference is rarely heard, above 0 it mostly is.
    /// -300 without a difference, `None` without frames.
    pub total_db: Option<f64>,
    /// Share of the frames in which at least one band has a ratio above 1.5 dB: Relative Disturbed Frames, 0 to 1.
    pub disturbed_frames: f64,
    /// Mean ratio over time and channels of each band whose middle is below half the sample rate, from low to high.
    pub bands: Vec<MaskBand>,
}

/// Noise-to-mask ratio of a band.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct MaskBand {
    /// Middle frequency in hertz.
    pub hz: f64,
    /// Mean ratio of noise to mask in dB; -300 without a difference.
    pub nmr_db: f64,
}

/// Sample rate for which the recommendation is written, in hertz.
const RATE_HZ: f64 = 48_000.0;
/// Frames of a transform at that rate.
const FRAMES: usize = 2048;
/// Level of a full-scale sine in dB SPL.
const FULL_SCALE_DB: f64 = 92.0;
/// Frequency of the sine by which the level is set, in hertz.
const CALIBRATION_HZ: f64 = 1019.5;
/// Edges of the lowest and highest band in hertz.
const EDGES_HZ: (f64, f64) = (80.0, 18_000.0);
/// Width of a band in Bark.
const BAND_BARK: f64 = 0.25;
/// Smallest energy of a band.
const MIN_ENERGY: f64 = 1e-12;
/// Slope of the spreading towards low frequencies, in dB per Bark.
const LOWER_SLOPE_DB: f64 = 27.0;
/// Exponent with which spread energies add up.
const SPREADING_EXPONENT: f64 = 0.4;
/// Time constants of the smearing in seconds: at 100 Hz, and the least.
const TIME_CONSTANTS: (f64, f64) = (0.030, 0.008);
/// Offset of the mask below the excitation in dB, up to [`OFFSET_BARK`], and what it grows by for each Bark above.
const MASK_OFFSET_DB: (f64, f64) = (3.0, 0.25);
/// Distance from the lowest band in Bark from which the offset grows.
const OFFSET_BARK: f64 = 12.0;
/// Ratio of a band from which a frame counts as disturbed, in dB.
const DISTURBED_DB: f64 = 1.5;

/// Bark of a frequency (Schroeder's approximation, as the recommendation has it).
fn bark(hz: f64) -> f64 {
    7.0 * (hz / 650.0).asinh()
}

/// Frequency of a Bark value.
fn hz_of(bark: f64) -> f64 {
    650.0 * (bark / 7.0).sinh()
}

/// Response of outer and middle ear in dB.
fn ear_db(hz: f64) -> f64 {
    let khz = hz / 1000.0;
    -0.6 * 3.64 * khz.powf(-0.8) + 6.5 * (-0.6 * (khz - 3.3).powi(2)).exp() - 1e-3 * khz.powf(3.6)
}

/// Energy of the internal noise of the ear.
fn internal_noise(hz: f64) -> f64 {
    10f64.powf(0.4 * 0.364 * (hz / 1000.0).powf(-0.8))
}

/// Frames of a transform at a sample rate: the even number whose duration is nearest to that at 48 kHz.
fn transform_frames(rate: f64) -> usize {
    2 * ((rate / RATE_HZ * FRAMES as f64 / 2.0).round() as usize).max(2)
}

/// The noise-to-mask ratios of a comparison. The sounds count from their first frame to their last, also where both are silent.
/// [control thread: allocates]
#[must_use]
pub fn noise_to_mask(comparison: &Comparison<'_>) -> NoiseToMask {
    comparison.noise_to_mask().clone()
}

impl NoiseToMask {
    pub(super) fn of(comparison: &Comparison<'_>) -> Self {
        let mut ear = Ear::new(f64::from(comparison.sample_rate()));
        let (frames, hop) = (comparison.frames(), ear.left.frames() / 2);
        let bands = ear.bands.len();
        // Transforms from the first frame on until all frames are in one.
        let starts: Vec<usize> =
            if frames == 0 { Vec::new() } else { (0..frames.saturating_sub(hop).max(1)).step_by(hop).collect() };
        let mut sums = vec![0.0; bands];
        let mut worst = vec![0.0f64; starts.len()];
        for (reference, test) in comparison.channels() {
            ear.smeared.fill(0.0);
            for (start, worst) in starts.iter().zip(&mut worst) {
                let ratios = ear.ratios(reference, test, *start);
                for (sum, ratio) in sums.iter_mut().zip(ratios) {
                    *sum += ratio;
                    *worst = worst.max(*ratio);
                }
            }
        }
        let count = (starts.len() * comparison.channel_count()) as f64;
        let mean = |sum: f64| if count > 0.0 { sum / count } else { 0.0 };
        let disturbed = worst.iter().filter(|worst| 10.0 * worst.log10() > DISTURBED_DB).count();
        let total = mean(sums.iter().sum::<f64>()) / bands.max(1) as f64;
        let band = |(band, sum): (&Band, &f64)| MaskBand { hz: band.hz, nmr_db: decibels(mean(*sum)).into() };
        Self {
            total_db: (count > 0.0 && bands > 0).then(|| decibels(total).into()),
            disturbed_frames: disturbed as f64 / starts.len().max(1) as f64,
            bands: ear.bands.iter().zip(&sums).map(band).collect(),
        }
    }
}

/// A band of a quarter of a Bark.
#[derive(Debug)]
struct Band {
    /// Middle frequency in hertz.
    hz: f64,
    /// First bin, and the shares with which the bins from it on count, times the level of full scale and the response of the ear.
    first: usize,
    shares: Vec<f32>,
    internal_noise: f64,
    /// Factor of the time smearing from one transform to the next.
    smearing: f64,
    /// Factor from excitation to mask.
    mask: f64,
    /// Inverse of the spreading of a level of 0 dB in all bands.
    normalisation: f64,
}

/// The FFT-based ear model at a sample rate.
struct Ear {
    left: Transform,
    right: Transform,
    bands: Vec<Band>,
    /// Excitation of the transform before, for each band.
    smeared: Vec<f64>,
    /// Bins of one transform: powers of the reference and of the noise.
    signal: Vec<f32>,
    noise: Vec<f32>,
    /// Energies of the bands, and their spread sums.
    energies: Vec<f64>,
    spread: Vec<f64>,
    ratios: Vec<f64>,
}

impl Ear {
    fn new(rate: f64) -> Self {
        let frames = transform_frames(rate);
        let bin_hz = rate / frames as f64;
        let hann = |i: usize| 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / (frames - 1) as f64).cos();
        let window: Vec<f32> = (0..frames).map(|i| hann(i) as f32).collect();
        let level = 10f64.powf(FULL_SCALE_DB / 10.0) / calibration(rate, frames).powi(2);
        let (low, high) = (bark(EDGES_HZ.0), bark(EDGES_HZ.1));
        let count = ((high - low) / BAND_BARK).ceil() as usize;
        let edge = |i: usize| (low + i as f64 * BAND_BARK).min(high);
        let mut bands: Vec<Band> = (0..count)
            .map(|i| {
                let (from, to) = (edge(i), edge(i + 1));
                let hz = hz_of((from + to) / 2.0);
                let (low, high) = (hz_of(from) / bin_hz + 0.5, hz_of(to) / bin_hz + 0.5);
                let bins = low as usize..(high.ceil() as usize).min(frames / 2 + 1);
                let share = |bin: usize| {
                    let share = (high.min(bin as f64 + 1.0) - low.max(bin as f64)).max(0.0);
                    (share * level * 10f64.powf(ear_db(bin as f64 * bin_hz) / 10.0)) as f32
                };
                let (slow, least) = TIME_CONSTANTS;
                let seconds = least + 100.0 / hz * (slow - least);
                let distance = i as f64 * BAND_BARK;
                let offset = if distance <= OFFSET_BARK { MASK_OFFSET_DB.0 } else { MASK_OFFSET_DB.1 * distance };
                Band {
                    hz,
                    first: bins.start,
                    shares: bins.map(share).collect(),
                    internal_noise: internal_noise(hz),
                    smearing: (-(frames as f64 / 2.0 / rate) / seconds).exp(),
                    mask: 10f64.powf(-offset / 10.0),
                    normalisation: 1.0,
                }
            })
            .collect();
        let mut spread = vec![0.0; count];
        spread_energies(&bands, &vec![1.0; count], &mut spread);
        bands.iter_mut().zip(&spread).for_each(|(band, spread)| band.normalisation = 1.0 / spread);
        // Spreading covers all bands, also at a low sample rate; those without bins are left out of the result.
        bands.retain(|band| band.hz < rate / 2.0);
        let count = bands.len();
        let bins = frames / 2 + 1;
        Self {
            left: Transform::new(frames, window.clone()),
            right: Transform::new(frames, window),
            bands,
            smeared: vec![0.0; count],
            signal: vec![0.0; bins],
            noise: vec![0.0; bins],
            energies: vec![0.0; count],
            spread: vec![0.0; count],
            ratios: vec![0.0; count],
        }
    }

    /// The ratio of noise to mask in each band, for the transform from frame `start` on.
    fn ratios(&mut self, reference: &[f32], test: &[f32], start: usize) -> &[f64] {
        self.left.run(reference, start as isize);
        self.right.run(test, start as isize);
        let bins = self.left.bins.iter().zip(&self.right.bins);
        for ((signal, noise), (left, right)) in self.signal.iter_mut().zip(&mut self.noise).zip(bins) {
            *signal = left.norm_sqr();
            let difference = signal.sqrt() - right.norm_sqr().sqrt();
            *noise = difference * difference;
        }
        for (band, energy) in self.bands.iter().zip(&mut self.energies) {
            *energy = band.energy(&self.signal).max(MIN_ENERGY) + band.internal_noise;
        }
        spread_energies(&self.bands, &self.energies, &mut self.spread);
        for (index, band) in self.bands.iter().enumerate() {
            let excitation = self.spread[index] * band.normalisation;
            let smeared = &mut self.smeared[index];
            *smeared = band.smearing * *smeared + (1.0 - band.smearing) * excitation;
            let mask = smeared.max(excitation) * band.mask;
            self.ratios[index] = band.energy(&self.noise) / mask;
        }
        &self.ratios
    }
}

impl Band {
    /// Energy of the band from the powers of the bins.
    fn energy(&self, powers: &[f32]) -> f64 {
        self.shares.iter().zip(&powers[self.first..]).map(|(share, power)| share * power).sum::<f32>().into()
    }
}

/// Spreads the energies of the bands into each other. A band's energy falls by 27 dB per Bark to lower bands, and to higher ones by
/// a slope that depends on its level L in dB and its frequency f: 24 + 230 / f - 0.2 L dB per Bark. The sum over all bands stays
/// the band's energy. What meets in a band adds up with the exponent 0.4. Not yet normalised.
fn spread_energies(bands: &[Band], energies: &[f64], spread: &mut [f64]) {
    spread.fill(0.0);
    let count = bands.len();
    let down = 10f64.powf(-BAND_BARK * LOWER_SLOPE_DB / 10.0);
    let slow_down = down.powf(SPREADING_EXPONENT);
    // The sum over the lower bands, from the highest on: each band passes on what it has, attenuated.
    let mut from_above = 0.0;
    for index in (0..count).rev() {
        let energy = energies[index];
        let slope_db = 24.0 + 230.0 / bands[index].hz - 0.2 * 10.0 * energy.log10();
        let up = 10f64.powf(-BAND_BARK * slope_db / 10.0);
        // Geometric series of the attenuations below and above the band.
        let below = down * (1.0 - down.powi(index as i32)) / (1.0 - down);
        let above = if up == 1.0 { (count - index) as f64 } else { (1.0 - up.powi((count - index) as i32)) / (1.0 - up) };
        let mut part = (energy / (below + above)).powf(SPREADING_EXPONENT);
        spread[index] += from_above;
        from_above = (from_above + part) * slow_down;
        let slow_up = up.powf(SPREADING_EXPONENT);
        for spread in &mut spread[index..] {
            *spread += part;
            part *= slow_up;
        }
    }
    spread.iter_mut().for_each(|x| *x = x.powf(1.0 / SPREADING_EXPONENT));
}

/// Largest magnitude of a bin for a sine of amplitude 1 at [`CALIBRATION_HZ`] under the window, from the window's transform.
fn calibration(rate: f64, frames: usize) -> f64 {
    let bins = CALIBRATION_HZ * frames as f64 / rate;
    // Distance of the sine from the nearest bin.
    let offset = bins - bins.round();
    let last = (frames - 1) as f64;
    // Hann's transform at a fraction of a bin: half the frames, times sin(pi x) / (pi x (1 - x^2)) (Kabal, section 2.3).
    let x = offset * last / frames as f64;
    let gain = if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x * (1.0 - x * x)) };
    gain * last / 4.0
}

/// The noise-to-mask ratio in dB.
pub static NMR: Measure = Measure {
    id: "nmr_db",
    name: "Noise-to-mask ratio",
    heading: "NMR dB",
    unit: Unit::Decibel,
    definition: "Energy of the difference of the magnitude spectra, divided by the masking threshold of the reference, the mean of bands of a \
                 quarter of a Bark, of time and of channels, in dB (Total NMR of the basic version of ITU-R BS.1387-1; 0 dBFS is 92 \
                 dB SPL).",
    better: Preference::Lower,
    function: MeasureFn::Comparison(|comparison| comparison.noise_to_mask().total_db.unwrap_or(f64::NAN)),
};

/// The noise-to-mask ratio of the worst band in dB.
pub static NMR_WORST_BAND: Measure = Measure {
    id: "nmr_worst_band_db",
    name: "Noise-to-mask ratio, worst band",
    heading: "NMR worst band dB",
    unit: Unit::Decibel,
    definition: "The noise-to-mask ratio of the worst of the bands of a quarter of a Bark, the mean of time and of channels, in dB (the ratios \
                 whose mean is the noise-to-mask ratio).",
    better: Preference::Lower,
    function: MeasureFn::Comparison(|comparison| {
        comparison.noise_to_mask().bands.iter().map(|band| band.nmr_db).fold(f64::NAN, f64::max)
    }),
};

/// The share of disturbed frames in percent.
pub static DISTURBED_FRAMES: Measure = Measure {
    id: "disturbed_frames",
    name: "Disturbed frames",
    heading: "Disturbed frames %",
    unit: Unit::Percent,
    definition: "Share of the transforms of 43 ms in which the noise is more than 1.5 dB above the masking threshold in at least one band and \
                 channel (Relative Disturbed Frames of ITU-R BS.1387-1).",
    better: Preference::Lower,
    function: MeasureFn::Comparison(|comparison| 100.0 * comparison.noise_to_mask().disturbed_frames),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Audio, generate};

    #[test]
    fn a_tone_in_one_band_is_the_worst_band_and_one_that_sounds_for_a_while_disturbs_only_its_frames() {
        let noise = generate::pink(48_000, 0.05, 480_000, 1).unwrap();
        let mut beep = generate::sine(48_000, 3000.0, 0.05, 480_000).unwrap();
        beep.channel_mut(0)[48_000..].fill(0.0);
        let test = noise.add(&beep).unwrap();
        let comparison = Comparison::new(&noise, &test).unwrap();
        let [worst, mean, disturbed] = [&NMR_WORST_BAND, &NMR, &DISTURBED_FRAMES].map(|row| row.compare(&comparison).unwrap());
        let at_beep = noise_to_mask(&comparison).bands.into_iter().find(|band| (band.hz / 3000.0 - 1.0).abs() < 0.02).unwrap();
        assert!((worst - at_beep.nmr_db).abs() < 3.0 && worst > mean + 10.0, "{worst} {at_beep:?} {mean}");
        // A tenth of the sound, and the transform that the beep's end lies in.
        assert!((disturbed - 10.0).abs() < 0.5, "{disturbed}");
        let same = Comparison::new(&noise, &noise).unwrap();
        assert_eq!((NMR_WORST_BAND.compare(&same), DISTURBED_FRAMES.compare(&same)), (Some(-300.0), Some(0.0)));
    }

    #[test]
    fn the_bands_are_those_of_the_table_in_the_recommendation() {
        let ear = Ear::new(RATE_HZ);
        assert_eq!(ear.bands.len(), 109);
        // Centre frequencies of the recommendation's table.
        for (index, hz) in [(0, 91.708), (1, 115.216), (2, 138.870), (108, 17_690.045)] {
            assert!((ear.bands[index].hz / hz - 1.0).abs() < 1e-5, "{index}: {}", ear.bands[index].hz);
        }
    }

    #[test]
    fn a_full_scale_sine_has_the_level_of_the_recommendation_at_any_rate() {
        for rate in [44_100u32, 48_000, 96_000] {
            let mut ear = Ear::new(f64::from(rate));
            let sine = generate::sine(rate, CALIBRATION_HZ, 1.0, rate as usize).unwrap();
            ear.ratios(sine.channel(0), sine.channel(0), 5000);
            let strongest = ear.signal.iter().copied().fold(0.0, f32::max);
            let level =
                20.0 * (f64::from(strongest).sqrt() / calibration(f64::from(rate), ear.left.frames())).log10() + FULL_SCALE_DB;
            assert!((level - FULL_SCALE_DB).abs() < 0.01, "{rate} Hz: {level}");
        }
    }

    #[test]
    fn spreading_keeps_a_flat_excitation_flat_and_falls_by_the_slopes_beside_a_single_band() {
        let ear = Ear::new(RATE_HZ);
        let mut spread = vec![0.0; 109];
        spread_energies(&ear.bands, &[1.0; 109], &mut spread);
        assert!(spread.iter().zip(&ear.bands).all(|(x, band)| (x * band.normalisation - 1.0).abs() < 1e-12));
        let mut energies = [1e-30; 109];
        energies[60] = 1e6;
        spread_energies(&ear.bands, &energies, &mut spread);
        let step = |from: usize, to: usize| 10.0 * (spread[to] / spread[from]).log10();
        assert!((step(59, 58) + 0.25 * 27.0).abs() < 1e-3, "{}", step(59, 58));
        let slope = 24.0 + 230.0 / ear.bands[60].hz - 0.2 * 60.0;
        assert!((step(61, 62) + 0.25 * slope).abs() < 1e-3, "{}", step(61, 62));
    }

    #[test]
    fn a_gain_changes_the_ratio_by_twenty_decibels_for_a_tenth_of_the_error() {
        for rate in [44_100, 48_000, 96_000] {
            let sound = generate::pink(rate, 0.1, 2 * rate as usize, 1).unwrap();
            let ratio = |gain: f64| NMR.compare(&Comparison::new(&sound, &sound.multiply(gain).unwrap()).unwrap()).unwrap();
            assert!((ratio(1.1) - ratio(1.01) - 20.0).abs() < 0.01, "{rate} Hz");
            // The magnitudes, not the samples, are compared.
            assert!(ratio(-1.0) < -100.0);
            assert_eq!(ratio(1.0), -300.0);
        }
    }

    #[test]
    fn noise_beside_the_spectrum_of_a_sound_is_far_above_the_mask_and_noise_below_it_is_not() {
        let tone = generate::sine(48_000, 1000.0, 0.5, 96_000).unwrap();
        let with = |hz: f64| tone.add(&generate::sine(48_000, hz, 0.5e-3, 96_000).unwrap()).unwrap();
        let result = |hz: f64| noise_to_mask(&Comparison::new(&tone, &with(hz)).unwrap());
        let (masked, heard) = (result(1150.0), result(5000.0));
        assert!(masked.total_db.unwrap() < heard.total_db.unwrap() - 15.0, "{:?}, {:?}", masked.total_db, heard.total_db);
        assert!(masked.disturbed_frames < 0.05 && heard.disturbed_frames == 1.0, "{masked:?}");
        let worst = heard.bands.iter().max_by(|a, b| a.nmr_db.total_cmp(&b.nmr_db)).unwrap();
        assert!((worst.hz / 5000.0 - 1.0).abs() < 0.05, "{worst:?}");
    }

    #[test]
    fn bands_above_half_the_sample_rate_are_left_out_and_an_empty_sound_has_no_ratio() {
        let sound = generate::pink(22_050, 0.1, 22_050, 1).unwrap();
        let found = noise_to_mask(&Comparison::new(&sound, &sound).unwrap());
        assert!(found.bands.len() < 109 && found.bands.iter().all(|band| band.hz < 11_025.0));
        let empty = Audio::silence(48_000, 1, 0);
        let found = noise_to_mask(&Comparison::new(&empty, &empty).unwrap());
        assert_eq!((found.total_db, found.disturbed_frames), (None, 0.0));
        let short = generate::pink(48_000, 0.1, 100, 1).unwrap();
        assert_eq!(noise_to_mask(&Comparison::new(&short, &short).unwrap()).total_db, Some(-300.0));
    }
}
