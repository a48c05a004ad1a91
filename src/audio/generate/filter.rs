//! The few filters that the generators need.

use std::f64::consts::{PI, SQRT_2, TAU};

/// The lowest pole of the pinking filter is at or below this, in Hz.
const LOWEST_PINK_HZ: f64 = 10.0;
/// The highest, as a part of the sample rate, and the zero (in z) beside it. Found by search: with them the slope keeps within
/// 0.17 dB up to 0.45 of the sample rate, where a matched z-transform alone is 1 dB off.
const HIGHEST_PINK: f64 = 0.48;
const TOP_ZERO: f64 = -0.08;

/// -3 dB per octave: poles an octave apart and a zero half an octave above each, so that the slope is -6 dB per octave over
/// one half of each octave and 0 over the other. Matched z-transform.
pub(super) struct Pinking {
    /// Pole, zero, last input, last output.
    sections: Vec<[f64; 4]>,
}

impl Pinking {
    pub fn new(rate: f64) -> Self {
        let z = |hz: f64| (-TAU * hz / rate).exp();
        let poles = std::iter::successors(Some(HIGHEST_PINK * rate), |&hz| (hz > LOWEST_PINK_HZ).then_some(hz / 2.0));
        let mut sections: Vec<_> = poles.map(|hz| [z(hz), z(hz * SQRT_2), 0.0, 0.0]).collect();
        sections[0][1] = TOP_ZERO;
        Self { sections }
    }

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
    /// Transposed direct form II.
    state: [f64; 2],
}

impl Biquad {
    /// Highest corner as a part of the sample rate.
    const HIGHEST_CORNER: f64 = 0.42;

    fn new(rate: f64, hz: f64, q: f64, design: impl Fn(f64, f64) -> [f64; 6]) -> Self {
        let turn = TAU * hz.min(Self::HIGHEST_CORNER * rate) / rate;
        let [b0, b1, b2, a0, a1, a2] = design(turn.cos(), turn.sin() / (2.0 * q));
        Self { coefficients: [b0, b1, b2, a1, a2].map(|c| c / a0), state: [0.0; 2] }
    }

    pub fn low_pass(rate: f64, hz: f64, q: f64) -> Self {
        Self::new(rate, hz, q, |cos, alpha| {
            [(1.0 - cos) / 2.0, 1.0 - cos, (1.0 - cos) / 2.0, 1.0 + alpha, -2.0 * cos, 1.0 - alpha]
        })
    }

    pub fn high_pass(rate: f64, hz: f64, q: f64) -> Self {
        Self::new(rate, hz, q, |cos, alpha| {
            [(1.0 + cos) / 2.0, -1.0 - cos, (1.0 + cos) / 2.0, 1.0 + alpha, -2.0 * cos, 1.0 - alpha]
        })
    }

    /// `gain_db` at `hz`, 0 dB far from it.
    pub fn peak(rate: f64, hz: f64, q: f64, gain_db: f64) -> Self {
        let a = 10.0_f64.powf(gain_db / 40.0);
        Self::new(rate, hz, q, |cos, alpha| {
            [1.0 + alpha * a, -2.0 * cos, 1.0 - alpha * a, 1.0 + alpha / a, -2.0 * cos, 1.0 - alpha / a]
        })
    }

    pub fn next(&mut self, input: f64) -> f64 {
        let [b0, b1, b2, a1, a2] = self.coefficients;
        let output = b0 * input + self.state[0];
        self.state = [b1 * input - a1 * output + self.state[1], b2 * input - a2 * output];
        output
    }
}

/// The loss of a plucked string over one period: a low-pass of one pole, and a delay of less than two frames that
/// tunes it.
pub(super) struct StringLoop {
    /// Whole frames of delay.
    line: Vec<f64>,
    at: usize,
    gain: f64,
    pole: f64,
    low: f64,
    tuning: f64,
    tuned: [f64; 2],
}

impl StringLoop {
    /// A string of `hz` that decays by 60 dB in `seconds` at its fundamental and in `high_seconds` at `high_hz`.
    pub fn new(rate: f64, hz: f64, seconds: f64, high_hz: f64, high_seconds: f64) -> Self {
        // 60 dB are a factor of 1000; a period lasts 1 / hz.
        let per_period = |seconds: f64| 1e-3_f64.powf(1.0 / (hz * seconds));
        let turn = TAU * hz / rate;
        let high_cos = (TAU * high_hz.min(0.4 * rate) / rate).cos();
        // |H|^2 = (1 - p)^2 / (1 - 2 p cos + p^2), solved for the pole p at the high frequency.
        let ratio = (per_period(high_seconds) / per_period(seconds)).powi(2).min(1.0 - 1e-9);
        let (half, end) = (1.0 - ratio * high_cos, 1.0 - ratio);
        let pole = (half - (half * half - end * end).sqrt()) / end;
        let at_hz = (1.0 - pole) / (1.0 - 2.0 * pole * turn.cos() + pole * pole).sqrt();
        /// Below 1, or the string would never fall silent at 0 Hz.
        const HIGHEST_GAIN: f64 = 0.999_9;
        let gain = (per_period(seconds) / at_hz).min(HIGHEST_GAIN);
        // What the low-pass delays the fundamental; the rest of the period is the line and the all-pass.
        let low_delay = (pole * turn.sin()).atan2(1.0 - pole * turn.cos()) / turn;
        let rest = rate / hz - low_delay;
        // Between 0.5 and 1.5 frames, where an all-pass of the first order is nearly flat.
        let whole = (rest - 0.5).floor().max(1.0);
        let fraction = rest - whole;
        // Exactly this phase delay at the fundamental.
        let tuning = ((1.0 - fraction) * turn / 2.0).sin() / ((1.0 + fraction) * turn / 2.0).sin();
        Self { line: vec![0.0; whole as usize], at: 0, gain, pole, low: 0.0, tuning, tuned: [0.0; 2] }
    }

    /// One frame: `input` is added to what comes round.
    pub fn next(&mut self, input: f64) -> f64 {
        let delayed = self.line[self.at];
        let tuned = self.tuning * (delayed - self.tuned[1]) + self.tuned[0];
        self.tuned = [delayed, tuned];
        self.low = self.gain * (1.0 - self.pole) * tuned + self.pole * self.low;
        let output = input + self.low;
        self.line[self.at] = output;
        self.at = (self.at + 1) % self.line.len();
        output
    }
}

/// Amplitude of the mode `k` of a string plucked, or heard, at `place` of its length, 0 to 1.
pub(super) fn mode(k: f64, place: f64) -> f64 {
    (PI * k * place).sin()
}
