//! The part of the loss that weighs each octave by the signal's own level there: the mean of the error-to-signal ratios of the
//! octaves. Without it, the loss is that of the loudest octaves, and a twin is worst in the treble, where a sound has the least
//! energy.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::loss::Segment;

/// Longest window in frames. Longer sequences have several, each beginning where the one before has its middle.
const MAX_WINDOW: usize = 1024;
/// Lowest bin at which an octave may begin; what is below belongs to one band.
const MIN_FIRST_BIN: f64 = 4.0;
/// Middle of the highest octave in hertz, exactly: 16 kHz (IEC 61260-1, base 10).
const TOP_MIDDLE_HZ: f64 = 15_848.931_924_611_134;
/// Ratio of two octaves' middles (IEC 61260-1, base 10).
const OCTAVE_RATIO: f64 = 1.995_262_314_968_879_5;
/// Energy that is added to that of a target in each octave, as part of the target's energy in all: without it, an octave that no
/// sound of a batch reaches would be all of the loss.
const MIN_SHARE: f32 = 1e-7;
/// Energy for each sample that is added, too, for batches of silence.
const MIN_ENERGY: f32 = 1e-10;

/// Octaves of windowed sequences, and the loss in them. For a batch of targets y and outputs z it is the mean over the octaves of
/// (sum of |DFT(w (y - z))|^2) / (sum of |DFT(w y)|^2): both sums over the octave's bins, and over all windows w of all sequences.
pub struct OctaveTerm {
    /// Factor of the mean.
    weight: f32,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// Hann window.
    window: Vec<f32>,
    /// The first bin of each octave, and the end of the last.
    edges: Vec<usize>,
}

/// Energies of a batch's targets in each octave, by which its errors are divided.
#[derive(Clone, Debug, PartialEq)]
pub struct OctaveEnergy(Vec<f32>);

impl OctaveTerm {
    /// Octaves for sequences of `frames` frames that count, at a sample rate in hertz. `weight`: factor of the mean.
    /// [control thread: allocates]
    #[must_use]
    pub fn new(weight: f32, frames: usize, sample_rate: u32) -> Self {
        let length = frames.clamp(2, MAX_WINDOW) & !1;
        let mut planner = RealFftPlanner::new();
        let sine = |i: usize| (std::f64::consts::PI * (i as f64 + 0.5) / length as f64).sin();
        let bin_hz = f64::from(sample_rate) / length as f64;
        // From the highest octave down, as bins. The highest is one whose middle is below Nyquist, and it ends there.
        let middles = (0..).map(|n| TOP_MIDDLE_HZ * OCTAVE_RATIO.powi(-n) / bin_hz);
        let firsts = middles.skip_while(|middle| *middle >= length as f64 / 2.0).map(|middle| middle / OCTAVE_RATIO.sqrt());
        let mut edges = vec![length / 2 + 1];
        edges.extend(firsts.take_while(|first| *first >= MIN_FIRST_BIN).map(|first| first.round() as usize));
        edges.push(0);
        edges.reverse();
        Self {
            weight,
            forward: planner.plan_fft_forward(length),
            inverse: planner.plan_fft_inverse(length),
            window: (0..length).map(|i| sine(i).powi(2) as f32).collect(),
            edges,
        }
    }

    /// Number of octaves. [any thread]
    #[must_use]
    pub fn octaves(&self) -> usize {
        self.edges.len() - 1
    }

    /// First frames of the windows in a sequence of `frames` frames of which those from `first_frame` on count. The last window
    /// ends with the sequence.
    fn starts(&self, first_frame: usize, frames: usize) -> impl Iterator<Item = usize> + use<> {
        let length = self.window.len();
        let last = frames.saturating_sub(length);
        (first_frame..last).step_by(length / 2).chain((last >= first_frame && frames >= length).then_some(last))
    }

    /// The transform of a windowed sequence.
    fn transform(&self, samples: impl Iterator<Item = f32>, input: &mut [f32], bins: &mut [Complex<f32>]) {
        input.iter_mut().zip(samples).zip(&self.window).for_each(|((x, sample), w)| *x = sample * w);
        self.forward.process(input, bins).expect("both are of the plan's length");
    }

    /// The octaves' bins.
    fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        self.edges.windows(2).map(|edges| edges[0]..edges[1])
    }

    /// The energies of a batch. Each item of `targets` is a target, `[frames][lanes]`, with its number of lanes and the first
    /// frame that counts. [training thread: allocates]
    #[must_use]
    pub fn energy<'a>(&self, targets: impl Iterator<Item = (&'a [f32], usize, usize)>) -> OctaveEnergy {
        let (mut input, mut bins) = (self.forward.make_input_vec(), self.forward.make_output_vec());
        let (mut sums, mut count) = (vec![0.0f64; self.octaves()], 0usize);
        for (target, lanes, first_frame) in targets {
            for start in self.starts(first_frame, target.len() / lanes) {
                for lane in 0..lanes {
                    count += self.window.len();
                    self.transform(target[start * lanes + lane..].iter().step_by(lanes).copied(), &mut input, &mut bins);
                    for (sum, range) in sums.iter_mut().zip(self.ranges()) {
                        *sum += f64::from(bins[range].iter().map(Complex::norm_sqr).sum::<f32>());
                    }
                }
            }
        }
        let all: f64 = sums.iter().sum();
        // The bins of a window have as much energy as its samples, times its length.
        let floor = f64::from(MIN_SHARE) * all + f64::from(MIN_ENERGY) * (count * self.window.len()) as f64;
        OctaveEnergy(sums.into_iter().map(|sum| (sum + floor) as f32).collect())
    }

    /// Returns the part of some sequences of a batch in the loss, and adds its derivatives for their outputs to `gradient`,
    /// `[frames][lanes]`. `energy`: of the whole batch. [training thread: allocates]
    ///
    /// # Panics
    /// If lengths disagree.
    pub fn add_gradient(&self, energy: &OctaveEnergy, segment: &Segment<'_>, gradient: &mut [f32]) -> f64 {
        let Segment { target, output, lanes, first_frame } = *segment;
        assert_eq!((target.len(), gradient.len()), (output.len(), output.len()), "lengths");
        let (mut samples, mut bins) = (self.forward.make_input_vec(), self.forward.make_output_vec());
        let last = bins.len() - 1;
        let factors: Vec<f32> = energy.0.iter().map(|energy| self.weight / (self.octaves() as f32 * energy)).collect();
        let mut total = 0.0f64;
        for start in self.starts(first_frame, target.len() / lanes) {
            for lane in 0..lanes {
                let first = start * lanes + lane;
                let both = target[first..].iter().zip(&output[first..]).step_by(lanes);
                self.transform(both.map(|(y, z)| y - z), &mut samples, &mut bins);
                for (factor, range) in factors.iter().zip(self.ranges()) {
                    let mut sum = 0.0;
                    for bin in &mut bins[range] {
                        sum += bin.norm_sqr();
                        *bin *= *factor;
                    }
                    total += f64::from(factor * sum);
                }
                // The inverse counts each bin but DC and Nyquist twice, as it has a mirror image that is not in the sums above.
                bins[1..last].iter_mut().for_each(|bin| *bin *= 0.5);
                bins[0].im = 0.0;
                bins[last].im = 0.0;
                self.inverse.process(&mut bins, &mut samples).expect("both are of the plan's length");
                let slopes = samples.iter().zip(&self.window).map(|(x, w)| -2.0 * x * w);
                gradient[first..].iter_mut().step_by(lanes).zip(slopes).for_each(|(gradient, slope)| *gradient += slope);
            }
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octaves_are_those_of_the_norm_and_cover_all_bins() {
        // 512 frames at 48 kHz: edges at 708, 1413, 2818, 5623 and 11220 Hz, bins of 93.75 Hz. Below 355 Hz there are less than
        // four bins.
        assert_eq!(OctaveTerm::new(1.0, 512, 48_000).edges, [0, 8, 15, 30, 60, 120, 257]);
        assert_eq!(OctaveTerm::new(1.0, 128, 48_000).edges, [0, 8, 15, 30, 65]);
        // At 8 kHz the highest octave whose middle is below Nyquist is that of 4 kHz.
        assert_eq!(OctaveTerm::new(1.0, 128, 8000).edges, [0, 6, 11, 23, 45, 65]);
        assert_eq!(OctaveTerm::new(1.0, 2, 48_000).edges, [0, 2]);
    }

    /// The loss by its formula, with plain transforms.
    fn loss(term: &OctaveTerm, targets: &[Vec<f64>], outputs: &[Vec<f64>], first_frame: usize) -> f64 {
        let length = term.window.len();
        let power = |samples: &[f64], bin: usize| {
            let sum = samples.iter().zip(&term.window).enumerate().fold((0.0, 0.0), |(re, im), (t, (x, w))| {
                let angle = -std::f64::consts::TAU * ((bin * t) % length) as f64 / length as f64;
                let x = x * f64::from(*w);
                (re + x * angle.cos(), im + x * angle.sin())
            });
            sum.0 * sum.0 + sum.1 * sum.1
        };
        let ratio = |edges: &[usize]| {
            let (mut error, mut signal) = (0.0, 0.0);
            for (target, output) in targets.iter().zip(outputs) {
                let difference: Vec<f64> = target.iter().zip(output).map(|(y, z)| y - z).collect();
                for start in term.starts(first_frame, target.len()) {
                    for bin in edges[0]..edges[1] {
                        error += power(&difference[start..start + length], bin);
                        signal += power(&target[start..start + length], bin);
                    }
                }
            }
            error / signal
        };
        f64::from(term.weight) * term.edges.windows(2).map(ratio).sum::<f64>() / term.octaves() as f64
    }

    #[test]
    fn loss_and_gradient_agree_with_plain_code() {
        for (frames, first_frame, lanes, sample_rate) in [(64, 0, 3, 48_000), (41, 0, 1, 44_100), (75, 10, 2, 8000)] {
            let mut random = crate::audio::Random::new(5);
            let mut noise = || (0..frames * lanes).map(|_| random.within(-1.0, 1.0)).collect::<Vec<f32>>();
            let (target, output) = (noise(), noise());
            let term = OctaveTerm::new(0.7, frames - first_frame, sample_rate);
            let energy = term.energy([(target.as_slice(), lanes, first_frame)].into_iter());
            let mut gradient = vec![0.25; frames * lanes];
            let segment = Segment { target: &target, output: &output, lanes, first_frame };
            let found = term.add_gradient(&energy, &segment, &mut gradient);
            let split = |x: &[f32]| -> Vec<Vec<f64>> {
                (0..lanes).map(|l| x.iter().skip(l).step_by(lanes).map(|x| f64::from(*x)).collect()).collect()
            };
            let (targets, mut outputs) = (split(&target), split(&output));
            let expected = loss(&term, &targets, &outputs, first_frame);
            assert!((found / expected - 1.0).abs() < 1e-4, "{found}, {expected}");
            for (t, lane) in (0..frames).flat_map(|t| (0..lanes).map(move |lane| (t, lane))) {
                let mut at = |change: f64| {
                    outputs[lane][t] += change;
                    let loss = loss(&term, &targets, &outputs, first_frame);
                    outputs[lane][t] -= change;
                    loss
                };
                let slope = (at(1e-4) - at(-1e-4)) / 2e-4;
                let found = f64::from(gradient[t * lanes + lane] - 0.25);
                assert!((found - slope).abs() < 1e-5 * expected, "frame {t}, lane {lane}: {found}, {slope}");
            }
        }
    }

    #[test]
    fn an_octave_without_signal_and_silence_have_a_finite_loss() {
        let term = OctaveTerm::new(1.0, 512, 48_000);
        let tone: Vec<f32> = (0..512).map(|t| (0.05 * t as f32).sin()).collect();
        for target in [tone, vec![0.0; 512]] {
            let output: Vec<f32> = target.iter().map(|y| 0.9 * y).collect();
            let energy = term.energy([(target.as_slice(), 1, 0)].into_iter());
            let mut gradient = vec![0.0; 512];
            let segment = Segment { target: &target, output: &output, lanes: 1, first_frame: 0 };
            let found = term.add_gradient(&energy, &segment, &mut gradient);
            // A gain error of a tenth is -20 dB in every octave; where the floor is more than the signal it is less.
            assert!(found <= 0.01 * 1.001 && gradient.iter().all(|g| g.is_finite()), "{found}");
        }
    }

    #[test]
    fn windows_cover_a_sequence_to_its_end() {
        let term = OctaveTerm::new(1.0, 5000, 48_000);
        assert_eq!(term.window.len(), 1024);
        assert_eq!(term.starts(100, 2148).collect::<Vec<_>>(), [100, 612, 1124]);
        assert_eq!(term.starts(100, 2100).collect::<Vec<_>>(), [100, 612, 1076]);
        assert_eq!(term.starts(0, 1024).collect::<Vec<_>>(), [0]);
        assert_eq!(term.starts(1, 1024).count(), 0);
    }
}
