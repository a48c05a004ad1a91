//! Convolutions over planar buffers: the forward pass, the derivatives with respect to the input and to the weights. The lanes of
//! a vector are successive frames.

use crate::neural::simd::{Kernel, Simd};

/// The length of every buffer is a multiple of this many frames, which fill two of the widest vectors, so that no kernel has a
/// remainder to treat.
pub const FRAME_UNIT: usize = 32;
/// Frames that a kernel computes for all channels before it goes on to later frames, so that its input stays in the L1 cache.
const TILE_FRAMES: usize = 1024;

/// Channels one after another, each with a margin of silence before and after it.
pub struct PlanarBuffer {
    /// `[channels][margin + frames + margin]`
    values: Vec<f32>,
    channels: usize,
    frames: usize,
    /// Frames of a margin.
    margin: usize,
}

impl PlanarBuffer {
    /// A silent buffer. `frames` and `margin` are rounded up to a multiple of [`FRAME_UNIT`]. [control thread: allocates]
    #[must_use]
    pub fn new(channels: usize, frames: usize, margin: usize) -> Self {
        let (frames, margin) = (frames.next_multiple_of(FRAME_UNIT), margin.next_multiple_of(FRAME_UNIT));
        Self { values: vec![0.0; channels * (frames + 2 * margin)], channels, frames, margin }
    }

    /// Frames of a channel without its margins.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Values from one channel to the next.
    fn stride(&self) -> usize {
        self.frames + 2 * self.margin
    }

    /// The frames of a channel without its margins.
    #[must_use]
    pub fn channel(&self, channel: usize) -> &[f32] {
        &self.values[channel * self.stride() + self.margin..][..self.frames]
    }

    /// The frames of a channel without its margins.
    pub fn channel_mut(&mut self, channel: usize) -> &mut [f32] {
        let start = channel * self.stride() + self.margin;
        &mut self.values[start..][..self.frames]
    }

    /// Sets all frames; the margins stay silent.
    pub fn fill(&mut self, value: f32) {
        for channel in 0..self.channels {
            self.channel_mut(channel).fill(value);
        }
    }

    /// Adds the frames of a buffer of the same shape; the margins stay silent.
    pub fn add(&mut self, other: &Self) {
        for channel in 0..self.channels {
            self.channel_mut(channel).iter_mut().zip(other.channel(channel)).for_each(|(a, b)| *a += b);
        }
    }

    /// Pointer to the first frame of channel 0, after its margin.
    fn start(&self) -> *const f32 {
        assert!(self.margin < self.values.len());
        self.values[self.margin..].as_ptr()
    }

    /// Pointer to the first frame of channel 0, after its margin.
    fn start_mut(&mut self) -> *mut f32 {
        assert!(self.margin < self.values.len());
        self.values[self.margin..].as_mut_ptr()
    }
}

/// A convolution's shape. Weights are `[outputs][inputs][taps]`, the last tap on the newest sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Taps (kernel size).
    pub taps: usize,
    /// Frames from one tap to the next.
    pub dilation: usize,
}

impl ConvShape {
    /// A convolution of one tap.
    pub fn pointwise(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, taps: 1, dilation: 1 }
    }

    /// Number of weights, without biases.
    pub fn weight_count(&self) -> usize {
        self.inputs * self.outputs * self.taps
    }

    /// Frames before the newest that the output depends on.
    pub fn reach(&self) -> usize {
        (self.taps - 1) * self.dilation
    }

    /// Panics if buffers or the number of weights do not fit.
    fn check(&self, weights: usize, inputs: &PlanarBuffer, outputs: &PlanarBuffer) {
        assert_eq!(weights, self.weight_count(), "weights");
        assert_eq!((inputs.channels, outputs.channels), (self.inputs, self.outputs), "channels");
        assert!(inputs.frames == outputs.frames && inputs.frames.is_multiple_of(FRAME_UNIT), "frames");
    }
}

/// Kernel: `output += convolution(input)`. Frames before the first are read from the input's margin.
pub struct Convolve<'a> {
    pub shape: ConvShape,
    pub weights: &'a [f32],
    pub input: &'a PlanarBuffer,
    pub output: &'a mut PlanarBuffer,
}

/// Kernel: adds to `input_gradient` the derivatives with respect to the convolution's input, from those for its output. Frames
/// after the last are read from the margin of `output_gradient`.
pub struct InputGradient<'a> {
    pub shape: ConvShape,
    pub weights: &'a [f32],
    pub output_gradient: &'a PlanarBuffer,
    pub input_gradient: &'a mut PlanarBuffer,
}

/// Kernel: adds to `gradient` the derivatives with respect to the weights.
pub struct WeightGradient<'a> {
    pub shape: ConvShape,
    pub input: &'a PlanarBuffer,
    pub output_gradient: &'a PlanarBuffer,
    pub gradient: &'a mut [f32],
}

/// Outputs that a kernel computes at once, two vectors of each.
const BLOCK_OUTPUTS: usize = 4;

/// The sums that forward and backward pass have in common, for outputs o, inputs i, taps k and frames t below `frames`:
/// `to[o][t] += sum over i, k of weights[o o_step + i i_step + k] from[i][t + first + k step]`.
struct TapSums {
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

impl TapSums {
    /// Adds the sums to `to`.
    ///
    /// # Safety
    /// All values that the formula names must be within the buffers, `from` and `to` must not overlap, and `frames` must be a
    /// multiple of [`FRAME_UNIT`].
    #[inline(always)]
    unsafe fn run<S: Simd>(&self, s: S) {
        // SAFETY: the caller keeps the contract; outputs are below `self.outputs`.
        unsafe {
            for start in (0..self.frames).step_by(TILE_FRAMES) {
                let end = (start + TILE_FRAMES).min(self.frames);
                let mut o = 0;
                while o + BLOCK_OUTPUTS <= self.outputs {
                    self.outputs::<S, BLOCK_OUTPUTS>(s, o, start, end);
                    o += BLOCK_OUTPUTS;
                }
                while o < self.outputs {
                    self.outputs::<S, 1>(s, o, start, end);
                    o += 1;
                }
            }
        }
    }

    /// Adds the sums of the outputs from `o` to `o + O`, for the frames from `start` to `end`.
    ///
    /// # Safety
    /// The requirements of [`Self::run`] hold, and `o + O` must be at most the outputs.
    #[inline(always)]
    unsafe fn outputs<S: Simd, const O: usize>(&self, s: S, o: usize, start: usize, end: usize) {
        // SAFETY: the caller keeps the contract. [`FRAME_UNIT`] is at least two vectors long.
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
        let sums = TapSums {
            weights: weights.as_ptr(),
            outputs: shape.outputs,
            inputs: shape.inputs,
            taps: shape.taps,
            o_step: shape.inputs * shape.taps,
            i_step: shape.taps,
            first: -(shape.reach() as isize),
            step: shape.dilation as isize,
            from: input.start(),
            from_step: input.stride(),
            to: output.start_mut(),
            to_step: output.stride(),
            frames: input.frames,
        };
        // SAFETY: `check` has seen the lengths, and the earliest tap reads no further back than the margin.
        unsafe { sums.run(s) };
    }
}

impl Kernel for InputGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { shape, weights, output_gradient, input_gradient } = self;
        shape.check(weights.len(), input_gradient, output_gradient);
        assert!(shape.reach() <= output_gradient.margin, "margin");
        let sums = TapSums {
            weights: weights.as_ptr(),
            outputs: shape.inputs,
            inputs: shape.outputs,
            taps: shape.taps,
            o_step: shape.taps,
            i_step: shape.inputs * shape.taps,
            first: shape.reach() as isize,
            step: -(shape.dilation as isize),
            from: output_gradient.start(),
            from_step: output_gradient.stride(),
            to: input_gradient.start_mut(),
            to_step: input_gradient.stride(),
            frames: input_gradient.frames,
        };
        // SAFETY: `check` has seen the lengths, and the earliest tap reads no further ahead than the margin.
        unsafe { sums.run(s) };
    }
}

impl Kernel for WeightGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { shape, input, output_gradient, gradient } = self;
        shape.check(gradient.len(), input, output_gradient);
        assert!(shape.reach() <= input.margin, "margin");
        let products = WeightProducts { shape, x: input, d: output_gradient };
        for start in (0..input.frames).step_by(TILE_FRAMES) {
            let end = (start + TILE_FRAMES).min(input.frames);
            // SAFETY: `check` has seen the lengths, the earliest tap reads no further back than the margin, and outputs and
            // columns are below those of the shape.
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

/// The products of input x and output derivative d whose sums over time are the derivatives with respect to the weights.
struct WeightProducts<'a> {
    shape: ConvShape,
    x: &'a PlanarBuffer,
    d: &'a PlanarBuffer,
}

impl WeightProducts<'_> {
    /// Adds the sums over `frames` of `O` outputs from `o` by `C` columns from `column` to `gradient`. A column is a tap of an
    /// input: `input * taps + tap`.
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
        let ConvShape { inputs, taps, dilation, .. } = self.shape;
        // SAFETY: the caller keeps the contract.
        unsafe {
            let x: [*const f32; C] = std::array::from_fn(|c| {
                let (input, tap) = ((column + c) / taps, (column + c) % taps);
                self.x.start().add(input * self.x.stride()).sub((taps - 1 - tap) * dilation)
            });
            let d: [*const f32; O] = std::array::from_fn(|j| self.d.start().add((o + j) * self.d.stride()));
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
            let mut lanes = [0.0; FRAME_UNIT];
            for (j, row) in sums.into_iter().enumerate() {
                for (c, sum) in row.into_iter().enumerate() {
                    s.store(lanes.as_mut_ptr(), sum);
                    gradient[(o + j) * inputs * taps + column + c] += lanes[..S::LANES].iter().sum::<f32>();
                }
            }
        }
    }
}
