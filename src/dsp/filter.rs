//! A low-pass whose cut-off glides and that can be off, and a DC blocker that can be off.
//!
//! First-order sections run in scattered look-ahead form (Parhi, *VLSI Digital Signal Processing Systems*, ch. 10):
//! 1 / (1 - a z⁻¹) = (1 + a z⁻¹)(1 + a² z⁻²)(1 + a⁴ z⁻⁴) / (1 - a⁸ z⁻⁸), so that eight neighbouring samples do not wait for each
//! other. The recursion itself is in f64. Each output is made by the same operations wherever a block is cut.

use std::f64::consts::{PI, SQRT_2};

use multiversion::multiversion;

use super::ramp::Ramp;
use super::{CHUNK, Chunk};

/// Coefficients follow a gliding cut-off every so many frames, counted from `reset`.
const GRID: usize = 16;
/// The highest cut-off as a part of the sample rate: room for the bilinear transform under Nyquist.
const HIGHEST: f32 = 0.45;
/// Recursions below this (-400 dB) rest at zero: no denormals, and silence ends in silence.
const FLUSH: f64 = 1e-20;

/// Steepness of a low-pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slope {
    /// First order.
    Six,
    /// Second order, Butterworth.
    Twelve,
}

/// A low-pass over all channels of a processor. Bilinear transform with the cut-off prewarped, so that -3 dB is where it says
/// at every sample rate (Zavalishin, *The Art of VA Filter Design*).
#[derive(Clone, Debug)]
pub struct LowPass {
    sample_rate: f32,
    slope: Slope,
    /// ln of the cut-off in hertz.
    cutoff: Ramp,
    /// 0 is off, 1 is on; between them the two are mixed.
    amount: Ramp,
    /// Frames since `reset`, modulo [`GRID`].
    frame: usize,
    /// Whether the coefficients are not those of the cut-off.
    stale: bool,
    /// Whether it was off until it was set: at its next frame the filters start as if the input had always been there.
    cold: bool,
    first: First,
    second: Second,
    channels: Vec<State>,
    mix: Chunk,
}

#[derive(Clone, Debug)]
enum State {
    First(Box<FirstState>),
    Second { s1: f64, s2: f64 },
}

/// y = gain (x + x z⁻¹) / (1 - a z⁻¹)
#[derive(Clone, Copy, Debug, Default)]
struct First {
    gain: f32,
    a: f32,
    a2: f32,
    a4: f32,
    a8: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    b0: f64,
    a1: f64,
    a2: f64,
}

/// The four stages of the look-ahead, each with its history in front of its chunk.
#[derive(Clone, Debug)]
struct FirstState {
    x: [f32; CHUNK + 1],
    w0: [f32; CHUNK + 1],
    w1: [f32; CHUNK + 2],
    w2: [f32; CHUNK + 4],
    /// The last eight outputs; the oldest is at `at`.
    y: [f64; 8],
    at: usize,
}

impl LowPass {
    /// `cutoff_hz` is `None` for off. [control thread: allocates]
    #[must_use]
    pub fn new(sample_rate: f32, channels: usize, slope: Slope, cutoff_hz: Option<f32>) -> Self {
        let state = || match slope {
            Slope::Six => State::First(Box::new(FirstState::new())),
            Slope::Twelve => State::Second { s1: 0.0, s2: 0.0 },
        };
        let mut new = Self {
            sample_rate,
            slope,
            cutoff: Ramp::new(0.0, sample_rate),
            amount: Ramp::new(0.0, sample_rate),
            frame: 0,
            stale: true,
            cold: false,
            first: First::default(),
            second: Second::default(),
            channels: (0..channels).map(|_| state()).collect(),
            mix: [0.0; CHUNK],
        };
        new.set(cutoff_hz, true);
        new.reset();
        new
    }

    /// `None` fades it out, a cut-off fades it in or glides there. [audio thread]
    pub fn set(&mut self, cutoff_hz: Option<f32>, now: bool) {
        self.cold |= cutoff_hz.is_some() && !now && self.is_off();
        self.amount.set(if cutoff_hz.is_some() { 1.0 } else { 0.0 }, now);
        if let Some(hz) = cutoff_hz {
            // A filter that nobody hears need not glide.
            let now = now || self.amount.value() == 0.0;
            self.cutoff.set(hz.min(HIGHEST * self.sample_rate).ln(), now);
            self.stale = true;
            if now {
                self.update();
            }
        }
    }

    /// [audio thread]
    pub fn reset(&mut self) {
        self.cutoff.finish();
        self.amount.finish();
        self.frame = 0;
        self.cold = false;
        self.update();
        self.rest_at(0.0);
    }

    /// The state of an input that has always been `x`. [audio thread]
    pub fn rest_at(&mut self, x: f32) {
        for channel in &mut self.channels {
            channel.rest_at(x, &self.first, &self.second);
        }
    }

    /// The coefficients of the cut-off's present value.
    fn update(&mut self) {
        let hz = f64::from(self.cutoff.value()).exp();
        let w = (PI * hz / f64::from(self.sample_rate)).tan();
        match self.slope {
            Slope::Six => {
                let a = (1.0 - w) / (1.0 + w);
                let a = if a.abs() < 1e-4 { 0.0 } else { a };
                self.first = First {
                    gain: (0.5 * (1.0 - a)) as f32,
                    a: a as f32,
                    a2: a.powi(2) as f32,
                    a4: a.powi(4) as f32,
                    a8: a.powi(8),
                };
            }
            Slope::Twelve => {
                let scale = 1.0 / (1.0 + SQRT_2 * w + w * w);
                self.second =
                    Second { b0: w * w * scale, a1: 2.0 * (w * w - 1.0) * scale, a2: (1.0 - SQRT_2 * w + w * w) * scale };
            }
        }
        self.stale = self.cutoff.resting().is_none();
    }

    /// The first `frames` of each channel's chunk, in place. [audio thread]
    pub fn process(&mut self, chunks: &mut [Chunk], frames: usize) {
        if self.is_off() {
            self.skip(frames);
            return;
        }
        if std::mem::take(&mut self.cold) {
            self.update();
            for (state, chunk) in self.channels.iter_mut().zip(chunks.iter()) {
                state.rest_at(chunk[0], &self.first, &self.second);
            }
        }
        let blended = self.amount.resting().is_none();
        if blended {
            self.amount.fill(&mut self.mix[..frames]);
        }
        let mut at = 0;
        while at < frames {
            if self.stale && self.frame == 0 {
                self.update();
            }
            let n = if self.stale { (GRID - self.frame).min(frames - at) } else { frames - at };
            for (state, chunk) in self.channels.iter_mut().zip(chunks.iter_mut()) {
                let samples = &mut chunk[at..at + n];
                let dry = blended.then(|| copy(samples));
                match state {
                    State::First(state) => first_order(state, &self.first, samples),
                    State::Second { s1, s2 } => second_order(s1, s2, &self.second, samples),
                }
                if let Some(dry) = dry {
                    fade(&dry, samples, &self.mix[at..at + n]);
                }
            }
            self.cutoff.advance(n);
            self.frame = (self.frame + n) % GRID;
            at += n;
        }
    }

    /// Whether [`Self::skip`] leaves what frames in which nothing changes would leave. [audio thread]
    #[must_use]
    pub fn can_skip(&self) -> bool {
        self.is_off() || !(self.cold || self.stale)
    }

    /// Passes over frames in which nothing changes, or that it does not hear as it is off. [audio thread]
    pub fn skip(&mut self, frames: usize) {
        self.amount.advance(frames);
        self.cutoff.advance(frames);
        self.frame = (self.frame + frames) % GRID;
        for channel in &mut self.channels {
            if let State::First(state) = channel {
                state.at = (state.at + frames) % 8;
            }
        }
    }

    /// Whether it changes nothing and will not, until it is set. [audio thread]
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.amount.rests_at(0.0)
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let each = size_of::<State>() + if self.slope == Slope::Six { size_of::<FirstState>() } else { 0 };
        self.channels.len() * each
    }
}

impl State {
    /// As if its input had always been `x`.
    fn rest_at(&mut self, x: f32, first: &First, second: &Second) {
        match self {
            Self::First(state) => state.rest_at(x, first),
            Self::Second { s1, s2 } => {
                let x = f64::from(x);
                *s1 = x * (1.0 - second.b0);
                *s2 = x * (second.b0 - second.a2);
            }
        }
    }
}

impl FirstState {
    fn new() -> Self {
        Self { x: [0.0; _], w0: [0.0; _], w1: [0.0; _], w2: [0.0; _], y: [0.0; 8], at: 0 }
    }

    fn rest_at(&mut self, x: f32, c: &First) {
        let w0 = 2.0 * c.gain * x;
        let w1 = w0 + c.a * w0;
        self.x[0] = x;
        self.w0[0] = w0;
        self.w1[..2].fill(w1);
        self.w2[..4].fill(w1 + c.a2 * w1);
        self.y = [f64::from(x); 8];
        self.at = 0;
    }
}

#[inline(always)]
fn flush(y: f64) -> f64 {
    if y.abs() < FLUSH { 0.0 } else { y }
}

/// What a fade starts from.
fn copy(samples: &[f32]) -> Chunk {
    let mut dry = [0.0; CHUNK];
    dry[..samples.len()].copy_from_slice(samples);
    dry
}

/// From dry to wet by amounts from 0 to 1. At 1 it is wet exactly: the rest of the chunk in which a fade ends must equal what
/// no fade gives.
fn fade(dry: &Chunk, wet: &mut [f32], amounts: &[f32]) {
    for ((y, x), amount) in wet.iter_mut().zip(dry).zip(amounts) {
        *y = if *amount < 1.0 { *x + *amount * (*y - *x) } else { *y };
    }
}

/// `out[i] = stage[i + lag] + a * stage[i]`, and the history moves to the front.
#[inline(always)]
fn stage<const LAG: usize, const N: usize>(stage: &mut [f32; N], a: f32, out: &mut [f32]) {
    let n = out.len();
    for ((y, x), past) in out.iter_mut().zip(&stage[LAG..LAG + n]).zip(&stage[..n]) {
        *y = *x + a * *past;
    }
    stage.copy_within(n..n + LAG, 0);
}

#[multiversion(targets("x86_64+avx2"))]
fn first_order(s: &mut FirstState, c: &First, samples: &mut [f32]) {
    let n = samples.len();
    assert!(n <= CHUNK);
    s.x[1..=n].copy_from_slice(samples);
    for ((w, x), past) in s.w0[1..=n].iter_mut().zip(&s.x[1..=n]).zip(&s.x[..n]) {
        *w = c.gain * (*x + *past);
    }
    s.x[0] = s.x[n];
    stage::<1, _>(&mut s.w0, c.a, &mut s.w1[2..2 + n]);
    stage::<2, _>(&mut s.w1, c.a2, &mut s.w2[4..4 + n]);
    stage::<4, _>(&mut s.w2, c.a4, samples);
    // The recursion, eight frames apart: single steps to the ring's start, then whole turns, then single steps.
    let one = |y: &mut f64, x: &mut f32| {
        *y = flush(f64::from(*x) + c.a8 * *y);
        *x = *y as f32;
    };
    let head = ((8 - s.at) % 8).min(n);
    let (first, rest) = samples.split_at_mut(head);
    for (y, x) in s.y[s.at..].iter_mut().zip(first) {
        one(y, x);
    }
    let mut turns = rest.chunks_exact_mut(8);
    for turn in &mut turns {
        for (y, x) in s.y.iter_mut().zip(turn) {
            one(y, x);
        }
    }
    for (y, x) in s.y.iter_mut().zip(turns.into_remainder()) {
        one(y, x);
    }
    s.at = (s.at + n) % 8;
}

/// Transposed direct form II.
fn second_order(s1: &mut f64, s2: &mut f64, c: &Second, samples: &mut [f32]) {
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

/// A first-order high-pass of a few hertz over all channels; fades in and out.
#[derive(Clone, Debug)]
pub struct DcBlocker {
    amount: Ramp,
    /// As the low-pass's.
    cold: bool,
    r: f64,
    channels: Vec<DcState>,
    mix: Chunk,
}

/// As [`FirstState`], in f64 and four frames wide: 1 / (1 - r z⁻¹) = (1 + r z⁻¹)(1 + r² z⁻²) / (1 - r⁴ z⁻⁴).
#[derive(Clone, Debug)]
struct DcState {
    x: f32,
    d: [f64; CHUNK + 1],
    w: [f64; CHUNK + 2],
    y: [f64; 4],
    at: usize,
}

impl DcState {
    fn rest_at(&mut self, x: f32) {
        self.x = x;
        self.d[0] = 0.0;
        self.w[..2].fill(0.0);
        self.y = [0.0; 4];
        self.at = 0;
    }
}

impl DcBlocker {
    /// [control thread: allocates]
    #[must_use]
    pub fn new(sample_rate: f32, channels: usize, corner_hz: f64, on: bool) -> Self {
        let w = (PI * corner_hz / f64::from(sample_rate)).min(1.4).tan();
        Self {
            amount: Ramp::new(if on { 1.0 } else { 0.0 }, sample_rate),
            cold: false,
            r: (1.0 - w) / (1.0 + w),
            channels: (0..channels).map(|_| DcState { x: 0.0, d: [0.0; _], w: [0.0; _], y: [0.0; 4], at: 0 }).collect(),
            mix: [0.0; CHUNK],
        }
    }

    /// [audio thread]
    pub fn set(&mut self, on: bool, now: bool) {
        self.cold |= on && !now && self.is_off();
        self.amount.set(if on { 1.0 } else { 0.0 }, now);
    }

    /// [audio thread]
    pub fn reset(&mut self) {
        self.amount.finish();
        self.cold = false;
        self.rest_at(0.0);
    }

    /// The state of an input that has always been `x`: nothing comes out of it then. [audio thread]
    pub fn rest_at(&mut self, x: f32) {
        for state in &mut self.channels {
            state.rest_at(x);
        }
    }

    /// The first `frames` of each channel's chunk, in place. [audio thread]
    pub fn process(&mut self, chunks: &mut [Chunk], frames: usize) {
        if self.is_off() {
            self.skip(frames);
            return;
        }
        if std::mem::take(&mut self.cold) {
            for (state, chunk) in self.channels.iter_mut().zip(chunks.iter()) {
                state.rest_at(chunk[0]);
            }
        }
        let blended = self.amount.resting().is_none();
        if blended {
            self.amount.fill(&mut self.mix[..frames]);
        }
        for (state, chunk) in self.channels.iter_mut().zip(chunks.iter_mut()) {
            let samples = &mut chunk[..frames];
            let dry = blended.then(|| copy(samples));
            block_dc(state, self.r, samples);
            if let Some(dry) = dry {
                fade(&dry, samples, &self.mix);
            }
        }
    }

    /// Whether [`Self::skip`] leaves what frames in which nothing changes would leave. [audio thread]
    #[must_use]
    pub fn can_skip(&self) -> bool {
        self.is_off() || !self.cold
    }

    /// Passes over frames in which nothing changes, or that it does not hear as it is off. [audio thread]
    pub fn skip(&mut self, frames: usize) {
        self.amount.advance(frames);
        for state in &mut self.channels {
            state.at = (state.at + frames) % 4;
        }
    }

    /// Whether it changes nothing and will not, until it is set. [audio thread]
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.amount.rests_at(0.0)
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(self.channels.as_slice())
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn block_dc(s: &mut DcState, r: f64, samples: &mut [f32]) {
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
    let head = ((4 - s.at) % 4).min(n);
    let (first, rest) = samples.split_at_mut(head);
    for (i, (y, x)) in s.y[s.at..].iter_mut().zip(first).enumerate() {
        one(y, x, i);
    }
    let mut i = head;
    let mut turns = rest.chunks_exact_mut(4);
    for turn in &mut turns {
        for (k, (y, x)) in s.y.iter_mut().zip(turn).enumerate() {
            one(y, x, i + k);
        }
        i += 4;
    }
    for (k, (y, x)) in s.y.iter_mut().zip(turns.into_remainder()).enumerate() {
        one(y, x, i + k);
    }
    s.at = (s.at + n) % 4;
    s.w.copy_within(n..n + 2, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn gain_db(y: &[f32], hz: f32, rate: f32) -> f32 {
        // One-bin DFT over the second half, whole periods assumed.
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
    fn the_low_pass_is_3_db_down_at_its_cut_off_and_as_steep_as_it_says() {
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
