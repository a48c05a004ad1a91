//! The filters of the generators: pink noise, biquads, and the loop of a plucked string.

use std::f64::consts::{PI, SQRT_2, TAU};

/// Frequency in Hz at or below which the pink filter has its lowest pole.
const LOWEST_PINK_HZ: f64 = 10.0;
/// Highest pole of the pink filter as a share of the sample rate, and the zero (in z) beside it. Found by search: with them the
/// slope is within 0.17 dB up to 0.45 of the sample rate, where a matched z-transform alone is 1 dB off.
const HIGHEST_PINK: f64 = 0.48;
const TOP_ZERO: f64 = -0.08;

/// A filter that turns white noise into pink, -3 dB per octave: poles an octave apart and a zero half an octave above each, so
/// that the slope is -6 dB per octave over one half of each octave and 0 over the other. Matched z-transform.
pub(super) struct PinkFilter {
    /// First-order sections: pole, zero, last input, last output.
    sections: Vec<[f64; 4]>,
}

impl PinkFilter {
    /// `rate` is the sample rate in Hz.
    pub fn new(rate: f64) -> Self {
        let z = |hz: f64| (-TAU * hz / rate).exp();
        let poles = std::iter::successors(Some(HIGHEST_PINK * rate), |&hz| (hz > LOWEST_PINK_HZ).then_some(hz / 2.0));
        let mut sections: Vec<_> = poles.map(|hz| [z(hz), z(hz * SQRT_2), 0.0, 0.0]).collect();
        sections[0][1] = TOP_ZERO;
        Self { sections }
    }

    /// Filters one sample.
    pub fn next(&mut self, input: f64) -> f64 {
        self.sections.iter_mut().fold(input, |input, [pole, zero, last_input, last_output]| {
            let output = input - *zero * *last_input + *pole * *last_output;
            (*last_input, *last_output) = (input, output);
            output
        })
    }
}

/// A second-order filter after R. Bristow-Johnson's "Cookbook formulae for audio EQ biquad filter coefficients".
pub(super) struct Biquad {
    /// b0, b1, b2, a1, a2, divided by a0.
    coefficients: [f64; 5],
    /// The two delayed values of transposed direct form II.
    state: [f64; 2],
}

impl Biquad {
    /// Highest corner frequency as a share of the sample rate.
    const HIGHEST_CORNER: f64 = 0.42;

    /// `design` gets cos w and alpha of the cookbook and returns b0, b1, b2, a0, a1, a2.
    fn new(rate: f64, hz: f64, q: f64, design: impl Fn(f64, f64) -> [f64; 6]) -> Self {
        let w = TAU * hz.min(Self::HIGHEST_CORNER * rate) / rate;
        let [b0, b1, b2, a0, a1, a2] = design(w.cos(), w.sin() / (2.0 * q));
        Self { coefficients: [b0, b1, b2, a1, a2].map(|c| c / a0), state: [0.0; 2] }
    }

    /// A low-pass at `hz`; `rate` is the sample rate in Hz.
    pub fn low_pass(rate: f64, hz: f64, q: f64) -> Self {
        Self::new(rate, hz, q, |cos, alpha| {
            [(1.0 - cos) / 2.0, 1.0 - cos, (1.0 - cos) / 2.0, 1.0 + alpha, -2.0 * cos, 1.0 - alpha]
        })
    }

    /// A high-pass at `hz`; `rate` is the sample rate in Hz.
    pub fn high_pass(rate: f64, hz: f64, q: f64) -> Self {
        Self::new(rate, hz, q, |cos, alpha| {
            [(1.0 + cos) / 2.0, -1.0 - cos, (1.0 + cos) / 2.0, 1.0 + alpha, -2.0 * cos, 1.0 - alpha]
        })
    }

    /// A peaking filter: `gain_db` at `hz`, 0 dB far from it; `rate` is the sample rate in Hz.
    pub fn peak(rate: f64, hz: f64, q: f64, gain_db: f64) -> Self {
        let a = 10.0_f64.powf(gain_db / 40.0);
        Self::new(rate, hz, q, |cos, alpha| {
            [1.0 + alpha * a, -2.0 * cos, 1.0 - alpha * a, 1.0 + alpha / a, -2.0 * cos, 1.0 - alpha / a]
        })
    }

    /// Filters one sample.
    pub fn next(&mut self, input: f64) -> f64 {
        let [b0, b1, b2, a1, a2] = self.coefficients;
        let output = b0 * input + self.state[0];
        self.state = [b1 * input - a1 * output + self.state[1], b2 * input - a2 * output];
        output
    }
}

/// The feedback loop of a plucked string (Karplus-Strong): a delay of one period, a one-pole low-pass that damps it, and a
/// first-order all-pass that tunes it by a fraction of a frame.
pub(super) struct StringLoop {
    /// Delay line of whole frames; the oldest sample is at `position`.
    line: Vec<f64>,
    position: usize,
    /// Gain and pole of the low-pass, and its last output.
    gain: f64,
    pole: f64,
    low_output: f64,
    /// Coefficient of the all-pass, and its last input and output.
    all_pass: f64,
    all_pass_state: [f64; 2],
}

impl StringLoop {
    /// A string of `hz` that decays by 60 dB in `seconds` at its fundamental and in `high_seconds` at `high_hz`.
    pub fn new(rate: f64, hz: f64, seconds: f64, high_hz: f64, high_seconds: f64) -> Self {
        // Gain of one period, 1 / hz long: 60 dB are a factor of 1000.
        let per_period = |seconds: f64| 1e-3_f64.powf(1.0 / (hz * seconds));
        // The fundamental in radians per frame.
        let w = TAU * hz / rate;
        let high_cos = (TAU * high_hz.min(0.4 * rate) / rate).cos();
        // The low-pass has |H|^2 = (1 - p)^2 / (1 - 2 p cos w + p^2). With |H|^2 = ratio at the high frequency, the pole p is the
        // solution of a p^2 - 2 b p + a = 0 with a = 1 - ratio and b = 1 - ratio cos w.
        let ratio = (per_period(high_seconds) / per_period(seconds)).powi(2).min(1.0 - 1e-9);
        let (b, a) = (1.0 - ratio * high_cos, 1.0 - ratio);
        let pole = (b - (b * b - a * a).sqrt()) / a;
        let low_pass_gain = (1.0 - pole) / (1.0 - 2.0 * pole * w.cos() + pole * pole).sqrt();
        /// Below 1, or the string would never become silent at 0 Hz.
        const HIGHEST_GAIN: f64 = 0.999_9;
        let gain = (per_period(seconds) / low_pass_gain).min(HIGHEST_GAIN);
        // Phase delay of the low-pass at the fundamental; the delay line and the all-pass make up the rest of the period.
        let low_delay = (pole * w.sin()).atan2(1.0 - pole * w.cos()) / w;
        let rest = rate / hz - low_delay;
        // The all-pass delays between 0.5 and 1.5 frames, where the delay of a first-order all-pass is nearly flat.
        let whole = (rest - 0.5).floor().max(1.0);
        let fraction = rest - whole;
        // The coefficient that gives exactly this phase delay at the fundamental.
        let all_pass = ((1.0 - fraction) * w / 2.0).sin() / ((1.0 + fraction) * w / 2.0).sin();
        Self { line: vec![0.0; whole as usize], position: 0, gain, pole, low_output: 0.0, all_pass, all_pass_state: [0.0; 2] }
    }

    /// Computes one frame: `input` is added to the damped sample of one period ago.
    pub fn next(&mut self, input: f64) -> f64 {
        let delayed = self.line[self.position];
        let tuned = self.all_pass * (delayed - self.all_pass_state[1]) + self.all_pass_state[0];
        self.all_pass_state = [delayed, tuned];
        self.low_output = self.gain * (1.0 - self.pole) * tuned + self.pole * self.low_output;
        let output = input + self.low_output;
        self.line[self.position] = output;
        self.position = (self.position + 1) % self.line.len();
        output
    }
}

/// Amplitude of the mode `k` (1 is the fundamental) of a string that is plucked, or picked up, at `position` of its length,
/// 0 to 1.
pub(super) fn mode_amplitude(k: f64, position: f64) -> f64 {
    (PI * k * position).sin()
}
