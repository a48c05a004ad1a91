//! Convolutions and dense layers of a sequence. The lanes of a vector are frames; channels are computed one after another.

use super::aligned::{AlignedBuffer, LINE_FLOATS};
use super::recurrent::SignalView;
use crate::activation::{Exact, Fast, Precision, StaticPrecision, activate};
use crate::description::{Activation, Conv1d};
use crate::simd::{Kernel, Simd, SimdLevel};

/// Outputs that are computed together.
const TILE_OUTPUTS: usize = 4;

/// A packed convolution and its activation. Fields are those of [`Conv1d`].
pub struct PackedConv {
    pub inputs: usize,
    pub outputs: usize,
    taps: usize,
    dilation: usize,
    /// Tiles of outputs, group after group.
    tiles: Vec<OutputTile>,
    /// For each tile the biases, then the weights as `[taps][inputs of the group][outputs of the tile]`.
    weights: Vec<f32>,
    activation: Activation,
}

/// Neighbouring outputs of one group that are computed together.
struct OutputTile {
    /// First input of the group.
    first_input: usize,
    /// Inputs of the group.
    inputs: usize,
    /// First output of the tile.
    first_output: usize,
    /// Outputs, 1 to [`TILE_OUTPUTS`]. A single one is computed alone; two or three are padded to [`TILE_OUTPUTS`] with weights
    /// of 0.
    outputs: usize,
    /// Position in [`PackedConv::weights`].
    weights: usize,
}

impl PackedConv {
    /// Packs a convolution.
    ///
    /// # Panics
    /// If lengths of weights and shapes disagree.
    pub fn new(conv: &Conv1d, activation: &Activation) -> Self {
        let (inputs, outputs) = (conv.inputs / conv.groups, conv.outputs / conv.groups);
        assert!(inputs * conv.groups == conv.inputs && outputs * conv.groups == conv.outputs, "{} groups", conv.groups);
        assert_eq!(conv.weights.len(), conv.outputs * inputs * conv.taps, "convolution weights");
        assert!(conv.bias.as_ref().is_none_or(|b| b.len() == conv.outputs), "convolution bias");
        let (mut tiles, mut weights) = (Vec::new(), Vec::new());
        for group in 0..conv.groups {
            for first in (0..outputs).step_by(TILE_OUTPUTS) {
                let count = (outputs - first).min(TILE_OUTPUTS);
                let first_output = group * outputs + first;
                tiles.push(OutputTile {
                    first_input: group * inputs,
                    inputs,
                    first_output,
                    outputs: count,
                    weights: weights.len(),
                });
                let computed = if count == 1 { 1 } else { TILE_OUTPUTS };
                let mut pack = |weight: &dyn Fn(usize) -> f32| {
                    weights.extend((0..computed).map(|o| if o < count { weight(first_output + o) } else { 0.0 }));
                };
                pack(&|o| conv.bias.as_ref().map_or(0.0, |b| b[o]));
                for tap in 0..conv.taps {
                    for input in 0..inputs {
                        pack(&|o| conv.weights[(o * inputs + input) * conv.taps + tap]);
                    }
                }
            }
        }
        let Conv1d { inputs, outputs, taps, dilation, .. } = *conv;
        Self { inputs, outputs, taps, dilation, tiles, weights, activation: activation.clone() }
    }

    /// Frames that it reads before the newest one.
    pub fn reach(&self) -> usize {
        (self.taps - 1) * self.dilation
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.weights[..]) + size_of_val(&self.tiles[..])
    }
}

/// The state of a convolution for some channels: the last input frames, and the outputs of the current chunk.
#[derive(Clone)]
pub struct ConvState {
    channels: usize,
    /// Frames that the history of an input has room for, the current chunk included.
    capacity: usize,
    /// Frames that an input's history holds; the next chunk is stored after them.
    position: usize,
    /// Input frames, `[channels][inputs][capacity]`.
    history: AlignedBuffer,
    /// Outputs of the current chunk, `[channels][outputs][chunk]`.
    outputs: AlignedBuffer,
    /// Frames of a chunk, rounded up so that whole tiles fit.
    chunk: usize,
}

impl ConvState {
    /// Returns a state after silence, for chunks of at most `max_frames`. [control thread: allocates]
    pub fn new(conv: &PackedConv, channels: usize, max_frames: usize) -> Self {
        let chunk = (max_frames + TILE_FRAMES - 1).next_multiple_of(LINE_FLOATS);
        // The history is moved to the front when the capacity is used up. The capacity is so large that this is rare and costs
        // little.
        let capacity = (conv.reach() + conv.reach().max(4 * chunk) + chunk).next_multiple_of(LINE_FLOATS);
        Self {
            channels,
            capacity,
            position: conv.reach(),
            history: AlignedBuffer::new(channels * conv.inputs * capacity),
            outputs: AlignedBuffer::new(channels * conv.outputs * chunk),
            chunk,
        }
    }

    /// Gives every channel the same history, `[inputs][reach]`. [audio thread]
    pub fn set(&mut self, conv: &PackedConv, history: &[f32]) {
        self.position = conv.reach();
        if self.position > 0 {
            for (row, history) in self.history.chunks_exact_mut(self.capacity).zip(history.chunks_exact(self.position).cycle()) {
                row[..self.position].copy_from_slice(history);
            }
        }
    }

    /// Copies the history of the first channel into `history`, `[inputs][reach]`. [audio thread]
    pub fn get(&self, conv: &PackedConv, history: &mut [f32]) {
        let reach = conv.reach();
        for (to, row) in history.chunks_exact_mut(reach.max(1)).zip(self.history.chunks_exact(self.capacity)) {
            to.copy_from_slice(&row[self.position - reach..self.position]);
        }
    }

    /// Returns the outputs of the current chunk; a lane group of the view is `width` channels.
    pub fn view(&self, conv: &PackedConv, width: usize) -> SignalView<'_> {
        let lane_stride = conv.outputs * self.chunk;
        SignalView {
            data: &self.outputs,
            lane_group_stride: width * lane_stride,
            lane_stride,
            feature_stride: self.chunk,
            frame_stride: 1,
        }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.history.bytes() + self.outputs.bytes()
    }

    /// Computes the outputs of a chunk of `frames` from the inputs in `from`, whose lane groups are `width` channels. [audio
    /// thread]
    pub fn run(
        &mut self,
        conv: &PackedConv,
        level: SimdLevel,
        precision: Precision,
        from: SignalView<'_>,
        width: usize,
        frames: usize,
    ) {
        let reach = conv.reach();
        if self.position + self.chunk > self.capacity {
            for row in self.history.chunks_exact_mut(self.capacity) {
                row.copy_within(self.position - reach..self.position, 0);
            }
            self.position = reach;
        }
        for channel in 0..self.channels {
            let (lane_group, lane) = (channel / width, channel % width);
            for input in 0..conv.inputs {
                let to = &mut self.history[(channel * conv.inputs + input) * self.capacity + self.position..][..frames];
                from.copy(lane_group, lane, input, to);
            }
        }
        match precision {
            Precision::Fast => level.run(ConvKernel(conv, &mut *self, frames, Fast)),
            Precision::Exact => level.run(ConvKernel(conv, &mut *self, frames, Exact)),
        }
        self.position = if reach == 0 { 0 } else { self.position + frames };
    }
}

/// Largest number of frames that are computed together: four of the widest vectors.
const TILE_FRAMES: usize = 4 * LINE_FLOATS;

/// A convolution over a number of frames of the state's history, in a precision.
struct ConvKernel<'a, A>(&'a PackedConv, &'a mut ConvState, usize, A);

impl<A: StaticPrecision> Kernel for ConvKernel<'_, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self(conv, state, frames, _) = self;
        assert!(
            state.position + frames.next_multiple_of(TILE_FRAMES) <= state.capacity
                && frames.next_multiple_of(TILE_FRAMES) <= state.chunk
        );
        for channel in 0..state.channels {
            for tile in &conv.tiles {
                let pointers = TilePointers {
                    weights: conv.weights[tile.weights..].as_ptr(),
                    inputs: tile.inputs,
                    taps: conv.taps,
                    dilation: conv.dilation,
                    x: state.history
                        [(channel * conv.inputs + tile.first_input) * state.capacity + state.position - conv.reach()..]
                        .as_ptr(),
                    stride: state.capacity,
                    outputs: tile.outputs,
                    y: state.outputs[(channel * conv.outputs + tile.first_output) * state.chunk..].as_mut_ptr(),
                    chunk: state.chunk,
                };
                // SAFETY: whole tiles of frames fit into capacity and chunk, as asserted above; the weights are packed for the
                // tile.
                unsafe {
                    if tile.outputs == 1 {
                        pointers.run::<S, 1, 4>(s, frames);
                    } else {
                        pointers.run::<S, TILE_OUTPUTS, 2>(s, frames);
                    }
                }
            }
            for (output, y) in
                state.outputs.chunks_exact_mut(state.chunk).skip(channel * conv.outputs).take(conv.outputs).enumerate()
            {
                activate::<S, A>(s, &conv.activation, output, &mut y[..frames]);
            }
        }
    }
}

/// Pointers to the weights, inputs and outputs of one tile for one channel.
struct TilePointers {
    /// The tile's biases and weights.
    weights: *const f32,
    /// Inputs of the group.
    inputs: usize,
    taps: usize,
    dilation: usize,
    /// The oldest frame of the first input that the first output frame reads.
    x: *const f32,
    /// Floats from an input to the next.
    stride: usize,
    /// Outputs of the tile that are stored.
    outputs: usize,
    /// The first frame of the first output.
    y: *mut f32,
    /// Floats from an output to the next.
    chunk: usize,
}

impl TilePointers {
    /// Computes the tile for `frames` frames, rounded up to `VECTORS` vectors; `OUTPUTS` outputs of `VECTORS` vectors at a time.
    ///
    /// # Safety
    /// `weights` must be packed for `OUTPUTS` outputs, of which `outputs` are stored. For every input and output there must be as
    /// many frames as are computed: at `x` those that the taps read, at `y` those that are written.
    #[inline(always)]
    unsafe fn run<S: Simd, const OUTPUTS: usize, const VECTORS: usize>(&self, s: S, frames: usize) {
        // SAFETY: the caller promises what `# Safety` asks for.
        unsafe {
            for t in (0..frames).step_by(VECTORS * S::LANES) {
                let mut weights = self.weights;
                let mut sums = [[s.splat(0.0); VECTORS]; OUTPUTS];
                for (o, sums) in sums.iter_mut().enumerate() {
                    *sums = [s.splat(*weights.add(o)); VECTORS];
                }
                weights = weights.add(OUTPUTS);
                for tap in 0..self.taps {
                    let mut x = self.x.add(t + tap * self.dilation);
                    for _ in 0..self.inputs {
                        let mut now = [s.splat(0.0); VECTORS];
                        for (v, now) in now.iter_mut().enumerate() {
                            *now = s.load(x.add(v * S::LANES));
                        }
                        for (o, sums) in sums.iter_mut().enumerate() {
                            let weight = s.splat(*weights.add(o));
                            for (sum, now) in sums.iter_mut().zip(now) {
                                *sum = s.mul_add(weight, now, *sum);
                            }
                        }
                        weights = weights.add(OUTPUTS);
                        x = x.add(self.stride);
                    }
                }
                for (o, sums) in sums.iter().take(self.outputs).enumerate() {
                    for (v, sum) in sums.iter().enumerate() {
                        s.store(self.y.add(o * self.chunk + t + v * S::LANES), *sum);
                    }
                }
            }
        }
    }
}
