//! Convolutions of planar sound, time in the lanes: forward, for the input's derivatives and for the weights'.

use crate::neural::simd::{Kernel, Simd};

/// Frames at a time: a multiple of all that kernels take at once, so that nothing is left over.
pub const UNIT: usize = 32;
/// Frames after which a kernel turns to other rows, so that what it reads stays in the fastest cache.
const TILE: usize = 1024;

/// Channels of one length, with room for silence before and behind.
pub struct Rows {
    values: Vec<f32>,
    channels: usize,
    frames: usize,
    margin: usize,
}

impl Rows {
    /// Silence. `frames` and `margin` are rounded up to a multiple of [`UNIT`]. [control thread: allocates]
    #[must_use]
    pub fn new(channels: usize, frames: usize, margin: usize) -> Self {
        let (frames, margin) = (frames.next_multiple_of(UNIT), margin.next_multiple_of(UNIT));
        Self { values: vec![0.0; channels * (frames + 2 * margin)], channels, frames, margin }
    }

    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    fn step(&self) -> usize {
        self.frames + 2 * self.margin
    }

    /// Without the margins.
    #[must_use]
    pub fn row(&self, channel: usize) -> &[f32] {
        &self.values[channel * self.step() + self.margin..][..self.frames]
    }

    pub fn row_mut(&mut self, channel: usize) -> &mut [f32] {
        let start = channel * self.step() + self.margin;
        &mut self.values[start..][..self.frames]
    }

    /// The margins stay silent.
    pub fn fill(&mut self, value: f32) {
        for channel in 0..self.channels {
            self.row_mut(channel).fill(value);
        }
    }

    /// Adds another of the same shape, margins apart.
    pub fn add(&mut self, other: &Self) {
        for channel in 0..self.channels {
            self.row_mut(channel).iter_mut().zip(other.row(channel)).for_each(|(a, b)| *a += b);
        }
    }

    /// The first frame of channel 0, behind the margin.
    fn start(&self) -> *const f32 {
        assert!(self.margin < self.values.len());
        self.values[self.margin..].as_ptr()
    }

    fn start_mut(&mut self) -> *mut f32 {
        assert!(self.margin < self.values.len());
        self.values[self.margin..].as_mut_ptr()
    }
}

/// A convolution's shape. Weights are `[outputs][inputs][taps]`, the last tap on the newest sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub inputs: usize,
    pub outputs: usize,
    pub taps: usize,
    pub dilation: usize,
}

impl Shape {
    pub fn dense(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, taps: 1, dilation: 1 }
    }

    pub fn weights(&self) -> usize {
        self.inputs * self.outputs * self.taps
    }

    pub fn reach(&self) -> usize {
        (self.taps - 1) * self.dilation
    }

    fn check(&self, weights: usize, inputs: &Rows, outputs: &Rows) {
        assert_eq!(weights, self.weights(), "weights");
        assert_eq!((inputs.channels, outputs.channels), (self.inputs, self.outputs), "channels");
        assert!(inputs.frames == outputs.frames && inputs.frames.is_multiple_of(UNIT), "frames");
    }
}

/// `output += convolution(input)`; what is before the input is its margin.
pub struct Convolve<'a> {
    pub shape: Shape,
    pub weights: &'a [f32],
    pub input: &'a Rows,
    pub output: &'a mut Rows,
}

/// `input_gradient += ` what the convolution makes of `output_gradient` on the way back; what is behind that is its margin.
pub struct ConvolveBack<'a> {
    pub shape: Shape,
    pub weights: &'a [f32],
    pub output_gradient: &'a Rows,
    pub input_gradient: &'a mut Rows,
}

/// `gradient += ` the derivatives for the weights.
pub struct WeightGradient<'a> {
    pub shape: Shape,
    pub input: &'a Rows,
    pub output_gradient: &'a Rows,
    pub gradient: &'a mut [f32],
}

/// How many outputs a kernel works on at once, two vectors of each.
const OUTPUTS: usize = 4;

/// `to[o][t] += sum over i, k of weights[o o_step + i i_step + k] from[i][t + first + k step]`
struct Taps {
    weights: *const f32,
    outputs: usize,
    inputs: usize,
    taps: usize,
    o_step: usize,
    i_step: usize,
    first: isize,
    step: isize,
    from: *const f32,
    from_step: usize,
    to: *mut f32,
    to_step: usize,
    frames: usize,
}

impl Taps {
    /// # Safety
    /// All that the formula names for t below `frames` must be there, and `from` and `to` must not overlap. `frames`: a multiple of
    /// [`UNIT`].
    #[inline(always)]
    unsafe fn run<S: Simd>(&self, s: S) {
        // SAFETY: the caller's; outputs are below `self.outputs`.
        unsafe {
            for start in (0..self.frames).step_by(TILE) {
                let end = (start + TILE).min(self.frames);
                let mut o = 0;
                while o + OUTPUTS <= self.outputs {
                    self.outputs::<S, OUTPUTS>(s, o, start, end);
                    o += OUTPUTS;
                }
                while o < self.outputs {
                    self.outputs::<S, 1>(s, o, start, end);
                    o += 1;
                }
            }
        }
    }

    /// # Safety
    /// As [`Self::run`], and `o + O` must be at most the outputs.
    #[inline(always)]
    unsafe fn outputs<S: Simd, const O: usize>(&self, s: S, o: usize, start: usize, end: usize) {
        // SAFETY: the caller's. A unit is at least two vectors long.
        unsafe {
            for t in (start..end).step_by(2 * S::LANES) {
                let to = self.to.add(o * self.to_step + t);
                let mut sums = [[s.splat(0.0); 2]; O];
                for (j, sum) in sums.iter_mut().enumerate() {
                    let to = to.add(j * self.to_step);
                    *sum = [s.load(to), s.load(to.add(S::LANES))];
                }
                for i in 0..self.inputs {
                    let from = self.from.add(i * self.from_step + t);
                    let weights = self.weights.add(o * self.o_step + i * self.i_step);
                    for k in 0..self.taps {
                        let x = from.offset(self.first + k as isize * self.step);
                        let x = [s.load(x), s.load(x.add(S::LANES))];
                        for (j, sum) in sums.iter_mut().enumerate() {
                            let weight = s.splat(*weights.add(j * self.o_step + k));
                            *sum = [s.mul_add(weight, x[0], sum[0]), s.mul_add(weight, x[1], sum[1])];
                        }
                    }
                }
                for (j, sum) in sums.into_iter().enumerate() {
                    for (v, sum) in sum.into_iter().enumerate() {
                        s.store(to.add(j * self.to_step + v * S::LANES), sum);
                    }
                }
            }
        }
    }
}

impl Kernel for Convolve<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { shape, weights, input, output } = self;
        shape.check(weights.len(), input, output);
        assert!(shape.reach() <= input.margin, "margin");
        let taps = Taps {
            weights: weights.as_ptr(),
            outputs: shape.outputs,
            inputs: shape.inputs,
            taps: shape.taps,
            o_step: shape.inputs * shape.taps,
            i_step: shape.taps,
            first: -(shape.reach() as isize),
            step: shape.dilation as isize,
            from: input.start(),
            from_step: input.step(),
            to: output.start_mut(),
            to_step: output.step(),
            frames: input.frames,
        };
        // SAFETY: lengths were checked, and the earliest tap reads no further back than the margin.
        unsafe { taps.run(s) };
    }
}

impl Kernel for ConvolveBack<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { shape, weights, output_gradient, input_gradient } = self;
        shape.check(weights.len(), input_gradient, output_gradient);
        assert!(shape.reach() <= output_gradient.margin, "margin");
        let taps = Taps {
            weights: weights.as_ptr(),
            outputs: shape.inputs,
            inputs: shape.outputs,
            taps: shape.taps,
            o_step: shape.taps,
            i_step: shape.inputs * shape.taps,
            first: shape.reach() as isize,
            step: -(shape.dilation as isize),
            from: output_gradient.start(),
            from_step: output_gradient.step(),
            to: input_gradient.start_mut(),
            to_step: input_gradient.step(),
            frames: input_gradient.frames,
        };
        // SAFETY: lengths were checked, and the earliest tap reads no further ahead than the margin.
        unsafe { taps.run(s) };
    }
}

impl Kernel for WeightGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { shape, input, output_gradient, gradient } = self;
        shape.check(gradient.len(), input, output_gradient);
        assert!(shape.reach() <= input.margin, "margin");
        let products = Products { shape, x: input, d: output_gradient };
        for start in (0..input.frames).step_by(TILE) {
            let end = (start + TILE).min(input.frames);
            // SAFETY: lengths were checked, the earliest tap reads no further back than the margin, and outputs and columns are below
            // those of the shape.
            unsafe {
                let columns = shape.inputs * shape.taps;
                let mut o = 0;
                while o < shape.outputs {
                    let four = o + 4 <= shape.outputs;
                    let mut column = 0;
                    while column < columns {
                        let two = column + 2 <= columns;
                        match (four, two) {
                            (true, true) => products.add::<S, 4, 2>(s, o, column, start..end, gradient),
                            (true, false) => products.add::<S, 4, 1>(s, o, column, start..end, gradient),
                            (false, true) => products.add::<S, 1, 2>(s, o, column, start..end, gradient),
                            (false, false) => products.add::<S, 1, 1>(s, o, column, start..end, gradient),
                        }
                        column += if two { 2 } else { 1 };
                    }
                    o += if four { 4 } else { 1 };
                }
            }
        }
    }
}

struct Products<'a> {
    shape: Shape,
    x: &'a Rows,
    d: &'a Rows,
}

impl Products<'_> {
    /// Adds the sums of `O` outputs by `C` columns (a column is an input's tap) over some frames.
    ///
    /// # Safety
    /// `o + O` must be at most the outputs, `column + C` at most inputs x taps, and the frames whole units within the rows.
    #[inline(always)]
    unsafe fn add<S: Simd, const O: usize, const C: usize>(
        &self,
        s: S,
        o: usize,
        column: usize,
        frames: std::ops::Range<usize>,
        gradient: &mut [f32],
    ) {
        let Shape { inputs, taps, dilation, .. } = self.shape;
        // SAFETY: the caller's.
        unsafe {
            let x: [*const f32; C] = std::array::from_fn(|c| {
                let (input, tap) = ((column + c) / taps, (column + c) % taps);
                self.x.start().add(input * self.x.step()).sub((taps - 1 - tap) * dilation)
            });
            let d: [*const f32; O] = std::array::from_fn(|j| self.d.start().add((o + j) * self.d.step()));
            let mut sums = [[s.splat(0.0); C]; O];
            for t in frames.step_by(S::LANES) {
                let mut now = [s.splat(0.0); C];
                for (now, x) in now.iter_mut().zip(x) {
                    *now = s.load(x.add(t));
                }
                for (row, d) in sums.iter_mut().zip(d) {
                    let d = s.load(d.add(t));
                    for (sum, x) in row.iter_mut().zip(now) {
                        *sum = s.mul_add(d, x, *sum);
                    }
                }
            }
            let mut lanes = [0.0; UNIT];
            for (j, row) in sums.into_iter().enumerate() {
                for (c, sum) in row.into_iter().enumerate() {
                    s.store(lanes.as_mut_ptr(), sum);
                    gradient[(o + j) * inputs * taps + column + c] += lanes[..S::LANES].iter().sum::<f32>();
                }
            }
        }
    }
}
