//! A low-pass whose cut-off glides, and a DC blocker. Both fade when they are switched on or off.
//!
//! First-order sections run in scattered look-ahead form (Parhi, *VLSI Digital Signal Processing Systems*, ch. 10):
//! 1 / (1 - a z⁻¹) = (1 + a z⁻¹)(1 + a² z⁻²)(1 + a⁴ z⁻⁴) / (1 - a⁸ z⁻⁸), so that eight neighbouring samples do not depend on each
//! other. The recursion itself is in f64. Each output is computed by the same operations wherever a block is cut.

use std::f64::consts::{PI, SQRT_2};

use multiversion::multiversion;

use super::ramp::Ramp;
use super::{CHUNK, Chunk};

/// Interval in frames, counted from `reset`, at which the coefficients follow a gliding cut-off.
const UPDATE_FRAMES: usize = 16;
/// Highest cut-off as a share of the sample rate, which leaves the bilinear transform room below half the sample rate.
const MAX_CUTOFF: f32 = 0.45;
/// Magnitude (-400 dB) below which a recursion becomes 0: no denormal numbers, and silence ends in exact silence.
const FLUSH: f64 = 1e-20;

/// Steepness of a low-pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slope {
    /// 6 dB per octave, first order.
    Six,
    /// 12 dB per octave, second order, Butterworth.
    Twelve,
}

/// A low-pass for all channels of a processor. Bilinear transform with prewarped cut-off, so that the cut-off is the -3 dB point
/// at every sample rate (Zavalishin, *The Art of VA Filter Design*).
#[derive(Clone, Debug)]
pub struct LowPass {
    sample_rate: f32,
    slope: Slope,
    /// Natural logarithm of the cut-off in hertz.
    cutoff: Ramp,
    /// Fade between input (0, off) and filtered signal (1, on).
    amount: Ramp,
    /// Frames since `reset`, modulo [`UPDATE_FRAMES`].
    frame: usize,
    /// True if the coefficients must be updated: while the cut-off glides, and until the update after its end.
    stale: bool,
    /// True if it was switched on after having been off: at the next frame the state settles at the input's first sample.
    unsettled: bool,
    first_order: FirstOrderCoefficients,
    second_order: SecondOrderCoefficients,
    channels: Vec<ChannelState>,
    /// Values of `amount` in this chunk.
    amounts: Chunk,
}

/// The state of one channel of a [`LowPass`].
#[derive(Clone, Debug)]
enum ChannelState {
    First(Box<FirstOrderState>),
    /// The two delayed values of transposed direct form II.
    Second {
        s1: f64,
        s2: f64,
    },
}

/// Coefficients of y = gain (x + x z⁻¹) / (1 - a z⁻¹), with powers of a for the look-ahead form.
#[derive(Clone, Copy, Debug, Default)]
struct FirstOrderCoefficients {
    gain: f32,
    a: f32,
    a2: f32,
    a4: f32,
    a8: f64,
}

/// Coefficients of y = b0 (1 + 2 z⁻¹ + z⁻²) x / (1 + a1 z⁻¹ + a2 z⁻²).
#[derive(Clone, Copy, Debug, Default)]
struct SecondOrderCoefficients {
    b0: f64,
    a1: f64,
    a2: f64,
}

/// The buffers of the look-ahead form: input and the results of three stages, each with its history before its chunk.
#[derive(Clone, Debug)]
struct FirstOrderState {
    x: [f32; CHUNK + 1],
    w0: [f32; CHUNK + 1],
    w1: [f32; CHUNK + 2],
    w2: [f32; CHUNK + 4],
    /// The last eight outputs; the oldest is at `position`.
    y: [f64; 8],
    position: usize,
}

impl LowPass {
    /// A low-pass in the state of a `reset`; `cutoff_hz` is `None` for off. [control thread: allocates]
    #[must_use]
    pub fn new(sample_rate: f32, channels: usize, slope: Slope, cutoff_hz: Option<f32>) -> Self {
        let state = || match slope {
            Slope::Six => ChannelState::First(Box::new(FirstOrderState::new())),
            Slope::Twelve => ChannelState::Second { s1: 0.0, s2: 0.0 },
        };
        let mut new = Self {
            sample_rate,
            slope,
            cutoff: Ramp::new(0.0, sample_rate),
            amount: Ramp::new(0.0, sample_rate),
            frame: 0,
            stale: true,
            unsettled: false,
            first_order: FirstOrderCoefficients::default(),
            second_order: SecondOrderCoefficients::default(),
            channels: (0..channels).map(|_| state()).collect(),
            amounts: [0.0; CHUNK],
        };
        new.set(cutoff_hz, true);
        new.reset();
        new
    }

    /// Sets the cut-off: the low-pass fades in if it is off, else the cut-off glides. `None` fades it out. With `now`, the change
    /// is immediate. [audio thread]
    pub fn set(&mut self, cutoff_hz: Option<f32>, now: bool) {
        self.unsettled |= cutoff_hz.is_some() && !now && self.is_off();
        self.amount.set(if cutoff_hz.is_some() { 1.0 } else { 0.0 }, now);
        if let Some(hz) = cutoff_hz {
            // No glide while the output does not contain the filtered signal.
            let now = now || self.amount.value() == 0.0;
            self.cutoff.set(hz.min(MAX_CUTOFF * self.sample_rate).ln(), now);
            self.stale = true;
            if now {
                self.update();
            }
        }
    }

    /// Ends glides and fades at their targets and settles at silence. [audio thread]
    pub fn reset(&mut self) {
        self.cutoff.finish();
        self.amount.finish();
        self.frame = 0;
        self.unsettled = false;
        self.update();
        self.settle_at(0.0);
    }

    /// Settles at `x`: puts the state where an endless constant input of `x` would have left it. [audio thread]
    pub fn settle_at(&mut self, x: f32) {
        for channel in &mut self.channels {
            channel.settle_at(x, &self.first_order, &self.second_order);
        }
    }

    /// Computes the coefficients for the present value of the cut-off.
    fn update(&mut self) {
        let hz = f64::from(self.cutoff.value()).exp();
        let w = (PI * hz / f64::from(self.sample_rate)).tan();
        match self.slope {
            Slope::Six => {
                let a = (1.0 - w) / (1.0 + w);
                let a = if a.abs() < 1e-4 { 0.0 } else { a };
                self.first_order = FirstOrderCoefficients {
                    gain: (0.5 * (1.0 - a)) as f32,
                    a: a as f32,
                    a2: a.powi(2) as f32,
                    a4: a.powi(4) as f32,
                    a8: a.powi(8),
                };
            }
            Slope::Twelve => {
                let scale = 1.0 / (1.0 + SQRT_2 * w + w * w);
                self.second_order = SecondOrderCoefficients {
                    b0: w * w * scale,
                    a1: 2.0 * (w * w - 1.0) * scale,
                    a2: (1.0 - SQRT_2 * w + w * w) * scale,
                };
            }
        }
        self.stale = self.cutoff.steady().is_none();
    }

    /// Filters the first `frames` samples of each channel's chunk, in place. [audio thread]
    pub fn process(&mut self, chunks: &mut [Chunk], frames: usize) {
        if self.is_off() {
            self.skip(frames);
            return;
        }
        if std::mem::take(&mut self.unsettled) {
            self.update();
            for (state, chunk) in self.channels.iter_mut().zip(chunks.iter()) {
                state.settle_at(chunk[0], &self.first_order, &self.second_order);
            }
        }
        let fading = self.amount.steady().is_none();
        if fading {
            self.amount.fill(&mut self.amounts[..frames]);
        }
        let mut at = 0;
        while at < frames {
            if self.stale && self.frame == 0 {
                self.update();
            }
            let n = if self.stale { (UPDATE_FRAMES - self.frame).min(frames - at) } else { frames - at };
            for (state, chunk) in self.channels.iter_mut().zip(chunks.iter_mut()) {
                let samples = &mut chunk[at..at + n];
                let dry = fading.then(|| copy(samples));
                match state {
                    ChannelState::First(state) => filter_first_order(state, &self.first_order, samples),
                    ChannelState::Second { s1, s2 } => filter_second_order(s1, s2, &self.second_order, samples),
                }
                if let Some(dry) = dry {
                    fade(&dry, samples, &self.amounts[at..at + n]);
                }
            }
            self.cutoff.advance(n);
            self.frame = (self.frame + n) % UPDATE_FRAMES;
            at += n;
        }
    }

    /// True if [`Self::skip`] leaves the same state as processing a constant would. [audio thread]
    #[must_use]
    pub fn can_skip(&self) -> bool {
        self.is_off() || !(self.unsettled || self.stale)
    }

    /// Moves on by `frames` frames in which input and output are constant, or in which the filter is off. [audio thread]
    pub fn skip(&mut self, frames: usize) {
        self.amount.advance(frames);
        self.cutoff.advance(frames);
        self.frame = (self.frame + frames) % UPDATE_FRAMES;
        for channel in &mut self.channels {
            if let ChannelState::First(state) = channel {
                state.position = (state.position + frames) % 8;
            }
        }
    }

    /// True if the filter is off and not fading: the signal passes unchanged. [audio thread]
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.amount.is_steady_at(0.0)
    }

    /// Bytes on the heap. [any thread]
    #[must_use]
    pub fn bytes(&self) -> usize {
        let each = size_of::<ChannelState>() + if self.slope == Slope::Six { size_of::<FirstOrderState>() } else { 0 };
        self.channels.len() * each
    }
}

impl ChannelState {
    /// Settles at a constant input of `x`.
    fn settle_at(&mut self, x: f32, first: &FirstOrderCoefficients, second: &SecondOrderCoefficients) {
        match self {
            Self::First(state) => state.settle_at(x, first),
            Self::Second { s1, s2 } => {
                let x = f64::from(x);
                *s1 = x * (1.0 - second.b0);
                *s2 = x * (second.b0 - second.a2);
            }
        }
    }
}

impl FirstOrderState {
    fn new() -> Self {
        Self { x: [0.0; _], w0: [0.0; _], w1: [0.0; _], w2: [0.0; _], y: [0.0; 8], position: 0 }
    }

    /// Settles at a constant input of `x`.
    fn settle_at(&mut self, x: f32, c: &FirstOrderCoefficients) {
        let w0 = 2.0 * c.gain * x;
        let w1 = w0 + c.a * w0;
        self.x[0] = x;
        self.w0[0] = w0;
        self.w1[..2].fill(w1);
        self.w2[..4].fill(w1 + c.a2 * w1);
        self.y = [f64::from(x); 8];
        self.position = 0;
    }
}

/// Replaces a value below [`FLUSH`] by 0.
#[inline(always)]
fn flush(y: f64) -> f64 {
    if y.abs() < FLUSH { 0.0 } else { y }
}

/// A copy of at most a chunk of samples.
fn copy(samples: &[f32]) -> Chunk {
    let mut dry = [0.0; CHUNK];
    dry[..samples.len()].copy_from_slice(samples);
    dry
}

/// Mixes dry and wet by amounts from 0 to 1. At 1 the result is exactly the wet sample, so that it does not depend on the chunk
/// in which a fade ends.
fn fade(dry: &Chunk, wet: &mut [f32], amounts: &[f32]) {
    for ((y, x), amount) in wet.iter_mut().zip(dry).zip(amounts) {
        *y = if *amount < 1.0 { *x + *amount * (*y - *x) } else { *y };
    }
}

/// One stage of the look-ahead form, `out[i] = x[i + LAG] + a * x[i]`, where `x` begins with a history of `LAG` samples; moves
/// the new history to its front.
#[inline(always)]
fn look_ahead_stage<const LAG: usize, const N: usize>(x: &mut [f32; N], a: f32, out: &mut [f32]) {
    let n = out.len();
    for ((y, x), past) in out.iter_mut().zip(&x[LAG..LAG + n]).zip(&x[..n]) {
        *y = *x + a * *past;
    }
    x.copy_within(n..n + LAG, 0);
}

/// Filters at most a chunk of samples, in place, in look-ahead form.
#[multiversion(targets("x86_64+avx2"))]
fn filter_first_order(s: &mut FirstOrderState, c: &FirstOrderCoefficients, samples: &mut [f32]) {
    let n = samples.len();
    assert!(n <= CHUNK);
    s.x[1..=n].copy_from_slice(samples);
    for ((w, x), past) in s.w0[1..=n].iter_mut().zip(&s.x[1..=n]).zip(&s.x[..n]) {
        *w = c.gain * (*x + *past);
    }
    s.x[0] = s.x[n];
    look_ahead_stage::<1, _>(&mut s.w0, c.a, &mut s.w1[2..2 + n]);
    look_ahead_stage::<2, _>(&mut s.w1, c.a2, &mut s.w2[4..4 + n]);
    look_ahead_stage::<4, _>(&mut s.w2, c.a4, samples);
    // The recursion over eight frames: single frames up to the start of the ring `y`, then groups of eight, then single frames.
    let one = |y: &mut f64, x: &mut f32| {
        *y = flush(f64::from(*x) + c.a8 * *y);
        *x = *y as f32;
    };
    let head = ((8 - s.position) % 8).min(n);
    let (first, rest) = samples.split_at_mut(head);
    for (y, x) in s.y[s.position..].iter_mut().zip(first) {
        one(y, x);
    }
    let mut groups = rest.chunks_exact_mut(8);
    for group in &mut groups {
        for (y, x) in s.y.iter_mut().zip(group) {
            one(y, x);
        }
    }
    for (y, x) in s.y.iter_mut().zip(groups.into_remainder()) {
        one(y, x);
    }
    s.position = (s.position + n) % 8;
}

/// Filters samples in place, in transposed direct form II.
fn filter_second_order(s1: &mut f64, s2: &mut f64, c: &SecondOrderCoefficients, samples: &mut [f32]) {
    let (mut z1, mut z2) = (*s1, *s2);
    for sample in samples {
        let x = c.b0 * f64::from(*sample);
        let y = x + z1;
        z1 = flush(2.0 * x - c.a1 * y + z2);
        z2 = flush(x - c.a2 * y);
        *sample = flush(y) as f32;
    }
    (*s1, *s2) = (z1, z2);
}

/// A DC blocker for all channels of a processor: a first-order high-pass of a few hertz that can be switched on and off.
#[derive(Clone, Debug)]
pub struct DcBlocker {
    /// Fade between input (0, off) and filtered signal (1, on).
    amount: Ramp,
    /// True if it was switched on after having been off: at the next frame the state settles at the input's first sample.
    unsettled: bool,
    /// The pole.
    r: f64,
    channels: Vec<DcBlockerState>,
    /// Values of `amount` in this chunk.
    amounts: Chunk,
}

/// The state of one channel of a [`DcBlocker`]: look-ahead form like [`FirstOrderState`], but in f64 and over four frames,
/// 1 / (1 - r z⁻¹) = (1 + r z⁻¹)(1 + r² z⁻²) / (1 - r⁴ z⁻⁴).
#[derive(Clone, Debug)]
struct DcBlockerState {
    /// The last input.
    x: f32,
    /// Differences of neighbouring inputs, and the result of one look-ahead stage, each with its history before it.
    d: [f64; CHUNK + 1],
    w: [f64; CHUNK + 2],
    /// The last four outputs; the oldest is at `position`.
    y: [f64; 4],
    position: usize,
}

impl DcBlockerState {
    /// Settles at a constant input of `x`.
    fn settle_at(&mut self, x: f32) {
        self.x = x;
        self.d[0] = 0.0;
        self.w[..2].fill(0.0);
        self.y = [0.0; 4];
        self.position = 0;
    }
}

impl DcBlocker {
    /// A DC blocker, settled at silence, with its -3 dB point at `corner_hz`. [control thread: allocates]
    #[must_use]
    pub fn new(sample_rate: f32, channels: usize, corner_hz: f64, on: bool) -> Self {
        let w = (PI * corner_hz / f64::from(sample_rate)).min(1.4).tan();
        Self {
            amount: Ramp::new(if on { 1.0 } else { 0.0 }, sample_rate),
            unsettled: false,
            r: (1.0 - w) / (1.0 + w),
            channels: (0..channels)
                .map(|_| DcBlockerState { x: 0.0, d: [0.0; _], w: [0.0; _], y: [0.0; 4], position: 0 })
                .collect(),
            amounts: [0.0; CHUNK],
        }
    }

    /// Switches on or off, by a fade or, if `now`, at once. [audio thread]
    pub fn set(&mut self, on: bool, now: bool) {
        self.unsettled |= on && !now && self.is_off();
        self.amount.set(if on { 1.0 } else { 0.0 }, now);
    }

    /// Ends a fade at its target and settles at silence. [audio thread]
    pub fn reset(&mut self) {
        self.amount.finish();
        self.unsettled = false;
        self.settle_at(0.0);
    }

    /// Settles at `x`: puts the state where an endless constant input of `x` would have left it, with an output of 0.
    /// [audio thread]
    pub fn settle_at(&mut self, x: f32) {
        for state in &mut self.channels {
            state.settle_at(x);
        }
    }

    /// Filters the first `frames` samples of each channel's chunk, in place. [audio thread]
    pub fn process(&mut self, chunks: &mut [Chunk], frames: usize) {
        if self.is_off() {
            self.skip(frames);
            return;
        }
        if std::mem::take(&mut self.unsettled) {
            for (state, chunk) in self.channels.iter_mut().zip(chunks.iter()) {
                state.settle_at(chunk[0]);
            }
        }
        let fading = self.amount.steady().is_none();
        if fading {
            self.amount.fill(&mut self.amounts[..frames]);
        }
        for (state, chunk) in self.channels.iter_mut().zip(chunks.iter_mut()) {
            let samples = &mut chunk[..frames];
            let dry = fading.then(|| copy(samples));
            filter_dc(state, self.r, samples);
            if let Some(dry) = dry {
                fade(&dry, samples, &self.amounts);
            }
        }
    }

    /// True if [`Self::skip`] leaves the same state as processing a constant would. [audio thread]
    #[must_use]
    pub fn can_skip(&self) -> bool {
        self.is_off() || !self.unsettled
    }

    /// Moves on by `frames` frames in which input and output are constant, or in which the filter is off. [audio thread]
    pub fn skip(&mut self, frames: usize) {
        self.amount.advance(frames);
        for state in &mut self.channels {
            state.position = (state.position + frames) % 4;
        }
    }

    /// True if the filter is off and not fading: the signal passes unchanged. [audio thread]
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.amount.is_steady_at(0.0)
    }

    /// Bytes on the heap. [any thread]
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(self.channels.as_slice())
    }
}

/// Filters at most a chunk of samples, in place, by the high-pass with the pole `r`.
#[multiversion(targets("x86_64+avx2"))]
fn filter_dc(s: &mut DcBlockerState, r: f64, samples: &mut [f32]) {
    let n = samples.len();
    assert!(n <= CHUNK);
    let (gain, r2, r4) = (0.5 * (1.0 + r), r * r, r * r * r * r);
    let mut before = s.x;
    for (d, x) in s.d[1..].iter_mut().zip(samples.iter()) {
        *d = gain * (f64::from(*x) - f64::from(before));
        before = *x;
    }
    s.x = before;
    for ((w, d), past) in s.w[2..2 + n].iter_mut().zip(&s.d[1..=n]).zip(&s.d[..n]) {
        *w = *d + r * *past;
    }
    s.d[0] = s.d[n];
    let one = |y: &mut f64, x: &mut f32, i: usize| {
        *y = flush(s.w[i + 2] + r2 * s.w[i] + r4 * *y);
        *x = *y as f32;
    };
    let head = ((4 - s.position) % 4).min(n);
    let (first, rest) = samples.split_at_mut(head);
    for (i, (y, x)) in s.y[s.position..].iter_mut().zip(first).enumerate() {
        one(y, x, i);
    }
    let mut i = head;
    let mut groups = rest.chunks_exact_mut(4);
    for group in &mut groups {
        for (k, (y, x)) in s.y.iter_mut().zip(group).enumerate() {
            one(y, x, i + k);
        }
        i += 4;
    }
    for (k, (y, x)) in s.y.iter_mut().zip(groups.into_remainder()).enumerate() {
        one(y, x, i + k);
    }
    s.position = (s.position + n) % 4;
    s.w.copy_within(n..n + 2, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of a filter for one channel of samples.
    fn run(filter: &mut impl FnMut(&mut [Chunk], usize), x: &[f32]) -> Vec<f32> {
        let mut y = Vec::new();
        for part in x.chunks(CHUNK) {
            let mut chunk = [[0.0; CHUNK]];
            chunk[0][..part.len()].copy_from_slice(part);
            filter(&mut chunk, part.len());
            y.extend_from_slice(&chunk[0][..part.len()]);
        }
        y
    }

    /// Amplitude in dB of the frequency `hz` in the second half of `y`, which should have whole periods.
    fn gain_db(y: &[f32], hz: f32, rate: f32) -> f32 {
        // One bin of a DFT.
        let y = &y[y.len() / 2..];
        let (mut re, mut im) = (0.0f64, 0.0f64);
        for (i, v) in y.iter().enumerate() {
            let p = 2.0 * PI * f64::from(hz) / f64::from(rate) * i as f64;
            re += f64::from(*v) * p.cos();
            im += f64::from(*v) * p.sin();
        }
        (20.0 * ((re * re + im * im).sqrt() * 2.0 / y.len() as f64).log10()) as f32
    }

    fn sine(hz: f32, rate: f32, n: usize) -> Vec<f32> {
        (0..n).map(|i| (2.0 * PI * f64::from(hz) / f64::from(rate) * i as f64).sin() as f32).collect()
    }

    #[test]
    fn the_low_pass_is_3_db_down_at_its_cut_off_and_has_its_slope() {
        for rate in [44_100.0f32, 48_000.0, 192_000.0] {
            for (slope, octave_above) in [(Slope::Six, -6.99), (Slope::Twelve, -12.3)] {
                for cut in [200.0f32, 1000.0, 4000.0] {
                    let at = |hz: f32| {
                        let mut filter = LowPass::new(rate, 1, slope, Some(cut));
                        gain_db(&run(&mut |c, n| filter.process(c, n), &sine(hz, rate, rate as usize)), hz, rate)
                    };
                    assert!((at(cut) + 3.01).abs() < 0.05, "{rate} {slope:?} {cut}: {}", at(cut));
                    if cut < 2000.0 {
                        assert!((at(2.0 * cut) - octave_above).abs() < 0.2, "{rate} {slope:?} {cut}: {}", at(2.0 * cut));
                    }
                    assert!(at(cut / 100.0).abs() < 0.01);
                }
            }
        }
    }

    #[test]
    fn the_look_ahead_form_equals_the_plain_recursion() {
        let mut filter = LowPass::new(48_000.0, 1, Slope::Six, Some(700.0));
        let x: Vec<f32> = (0..5000).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
        let y = run(&mut |c, n| filter.process(c, n), &x);
        let w = (PI * 700.0 / 48_000.0).tan();
        let a = (1.0 - w) / (1.0 + w);
        let (mut before, mut state) = (0.0f64, 0.0f64);
        for (x, y) in x.iter().zip(&y) {
            state = 0.5 * (1.0 - a) * (f64::from(*x) + before) + a * state;
            before = f64::from(*x);
            assert!((state - f64::from(*y)).abs() < 1e-6);
        }
    }

    #[test]
    fn the_dc_blocker_removes_dc_and_ends_in_exact_silence() {
        let mut blocker = DcBlocker::new(48_000.0, 1, 10.0, true);
        let y = run(&mut |c, n| blocker.process(c, n), &vec![0.7; 96_000]);
        assert!((y[0] - 0.7).abs() < 1e-3);
        assert!(y[4800].abs() < 0.7 * 0.002, "{}", y[4800]);
        assert!(y[80_000..].iter().all(|v| *v == 0.0));
        let mut blocker = DcBlocker::new(48_000.0, 1, 10.0, true);
        let y = run(&mut |c, n| blocker.process(c, n), &sine(10.0, 48_000.0, 96_000));
        assert!((gain_db(&y, 10.0, 48_000.0) + 3.01).abs() < 0.05);
    }
}
