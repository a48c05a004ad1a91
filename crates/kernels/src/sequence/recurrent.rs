//! LSTM and GRU layers, packed and run in two layouts with the same operations in the same order for every output.
//!
//! For few channels the lanes of a vector are units (channels are run one after another); for many channels the lanes are
//! channels, in lane groups of `width` channels. In both layouts a gate's sum begins with the bias; then the products with the
//! inputs are added, then those with the last outputs. If there are few units, the products with the second half of the last
//! outputs have a sum of their own, so that the chain of dependent additions is shorter.

#![allow(clippy::needless_range_loop, reason = "sums stay in registers in counted loops, not behind iterators")]

use std::sync::OnceLock;

use super::aligned::{AlignedBuffer, LINE_FLOATS};
use super::cell::{Cell, GruCell, LstmCell};
use super::vector_pair::VectorPair;
use crate::activation::{Exact, Fast, Precision, StaticPrecision};
use crate::description::{Gru, Lstm};
use crate::simd::{Kernel, Simd, SimdLevel};

/// Largest number of units for which the two halves of the last outputs are summed separately.
const MAX_SPLIT_UNITS: usize = 16;
/// Value that replaces biases nearer to 0, so that sums cannot decay to denormal numbers.
const MIN_BIAS: f32 = 1e-12;

/// The kinds of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CellKind {
    Lstm,
    Gru,
}

/// The weights of a recurrent layer, with four sums for each unit (see [`Cell`]).
pub struct PackedRecurrent {
    kind: CellKind,
    /// Feature channels that the layer reads.
    pub inputs: usize,
    /// Units, which are also its outputs.
    pub hidden: usize,
    /// Biases, `[4][hidden]`.
    bias: Vec<f32>,
    /// Weights of the inputs, `[4][hidden][inputs]`.
    input: Vec<f32>,
    /// Weights of the last outputs, `[recurrent sums][hidden][hidden]`; see [`Cell::RECURRENT_SUMS`].
    recurrent: Vec<f32>,
    /// Outputs and cell states before the first frame, `[hidden]` each.
    pub start: [Vec<f32>; 2],
    /// The weights as the kernels read them, made when first needed: for channels in the lanes, for 8 units in the lanes, and for
    /// 16 units in the lanes.
    packs: [OnceLock<AlignedBuffer>; 3],
}

impl PackedRecurrent {
    /// Copies the weights of an LSTM layer.
    ///
    /// # Panics
    /// If lengths of weights and shapes disagree.
    pub fn lstm(l: &Lstm) -> Self {
        let (inputs, hidden) = (l.inputs, l.hidden);
        assert_eq!(l.input_weights.len(), 4 * hidden * inputs, "LSTM input weights");
        assert_eq!(l.hidden_weights.len(), 4 * hidden * hidden, "LSTM hidden weights");
        assert_eq!([l.bias.len(), l.h0.len(), l.c0.len()], [4 * hidden, hidden, hidden], "LSTM bias, h0, c0");
        Self {
            kind: CellKind::Lstm,
            inputs,
            hidden,
            bias: l.bias.clone(),
            input: l.input_weights.clone(),
            recurrent: l.hidden_weights.clone(),
            start: [l.h0.clone(), l.c0.clone()],
            packs: Default::default(),
        }
    }

    /// Copies the weights of a GRU layer. The biases b and b' of r and z are added up.
    ///
    /// # Panics
    /// If lengths of weights and shapes disagree.
    pub fn gru(g: &Gru) -> Self {
        let (inputs, hidden) = (g.inputs, g.hidden);
        assert_eq!(g.input_weights.len(), 3 * hidden * inputs, "GRU input weights");
        assert_eq!(g.hidden_weights.len(), 3 * hidden * hidden, "GRU hidden weights");
        assert_eq!([g.input_bias.len(), g.hidden_bias.len(), g.h0.len()], [3 * hidden, 3 * hidden, hidden], "GRU biases, h0");
        let (both, new) = (2 * hidden, 2 * hidden * inputs);
        let summed = g.input_bias[..both].iter().zip(&g.hidden_bias).map(|(a, b)| a + b);
        Self {
            kind: CellKind::Gru,
            inputs,
            hidden,
            bias: summed.chain(g.hidden_bias[both..].iter().copied()).chain(g.input_bias[both..].iter().copied()).collect(),
            input: [&g.input_weights[..new], &vec![0.0; hidden * inputs], &g.input_weights[new..]].concat(),
            recurrent: g.hidden_weights.clone(),
            start: [g.h0.clone(), g.h0.clone()],
            packs: Default::default(),
        }
    }

    /// Number of sums that read the last outputs.
    fn recurrent_sums(&self) -> usize {
        match self.kind {
            CellKind::Lstm => LstmCell::RECURRENT_SUMS,
            CellKind::Gru => GruCell::RECURRENT_SUMS,
        }
    }

    /// Appends the weights of `units` units, starting at `unit`, to `to`: biases `[4][units]`, weights of the inputs
    /// `[inputs][4][units]`, weights of the last outputs `[hidden][sums][units]`. Units beyond the last one have zeros.
    fn pack(&self, unit: usize, units: usize, sums: usize, to: &mut Vec<f32>) {
        let (inputs, hidden) = (self.inputs, self.hidden);
        let pack_sums = |sums: usize, to: &mut Vec<f32>, weight: &dyn Fn(usize) -> f32| {
            for sum in 0..sums {
                to.extend((unit..unit + units).map(|u| if u < hidden { weight(sum * hidden + u) } else { 0.0 }));
            }
        };
        pack_sums(4, to, &|row| if self.bias[row].abs() < MIN_BIAS { MIN_BIAS } else { self.bias[row] });
        for k in 0..inputs {
            pack_sums(4, to, &|row| self.input[row * inputs + k]);
        }
        for k in 0..hidden {
            pack_sums(sums, to, &|row| self.recurrent.get(row * hidden + k).copied().unwrap_or(0.0));
        }
    }

    /// Returns the weights packed for `units` units side by side: the lanes of a level, or 1 for channels in the lanes. If units
    /// would fill at most half of the last vector, their four sums are packed into two vectors (see [`has_half_vector`]).
    /// [control thread: allocates the first time]
    fn packed(&self, units: usize) -> &AlignedBuffer {
        self.packs[units.ilog2().saturating_sub(2) as usize].get_or_init(|| {
            let mut all = Vec::new();
            let half = has_half_vector(self.hidden, units);
            let whole = if half { self.hidden / units * units } else { self.hidden };
            for unit in (0..whole).step_by(units) {
                self.pack(unit, units, self.recurrent_sums(), &mut all);
            }
            if half {
                self.pack(whole, units / 2, 4, &mut all);
            }
            all.into()
        })
    }

    /// Packed floats for each unit.
    fn unit_size(&self) -> usize {
        4 * (1 + self.inputs) + self.recurrent_sums() * self.hidden
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        let floats = self.bias.len() + self.input.len() + self.recurrent.len() + 2 * self.hidden;
        4 * floats + self.packs.iter().filter_map(OnceLock::get).map(AlignedBuffer::bytes).sum::<usize>()
    }
}

/// True if there are units after those that fill whole vectors, and they fit into half a vector.
#[inline(always)]
fn has_half_vector(hidden: usize, lanes: usize) -> bool {
    (1..=lanes / 2).contains(&(hidden % lanes))
}

/// Returns the number of units rounded up so that there is room for a whole vector of any level at the end.
fn padded(units: usize) -> usize {
    units.next_multiple_of(LINE_FLOATS)
}

/// The state of some channels in one recurrent layer: outputs and cell states.
#[derive(Clone)]
pub struct RecurrentState {
    /// Channels side by side in the lanes; 1 if the lanes are units.
    width: usize,
    /// Floats from a frame to the next one.
    frame_stride: usize,
    /// Floats from a lane group of `width` channels to the next one.
    lane_group_stride: usize,
    /// Outputs, `[lane_groups][frames + 1][units][width]`: those of the frame before the chunk, then those of the chunk.
    outputs: AlignedBuffer,
    /// Cell states, `[lane_groups][units][width]`.
    cells: AlignedBuffer,
    /// The cell states before the last frame.
    previous_cells: AlignedBuffer,
    /// Frames of the current chunk.
    frames: usize,
}

/// Feature channels of a chunk of audio in any layout: what a layer reads.
#[derive(Clone, Copy)]
pub struct SignalView<'a> {
    /// The floats, starting with the first frame of the first feature of the first channel.
    pub data: &'a [f32],
    /// Floats from a lane group of audio channels to the next one.
    pub lane_group_stride: usize,
    /// Floats from an audio channel to the next one of its lane group.
    pub lane_stride: usize,
    /// Floats from a feature channel to the next one.
    pub feature_stride: usize,
    /// Floats from a frame to the next one.
    pub frame_stride: usize,
}

impl SignalView<'_> {
    /// Copies the first frames of one feature of one audio channel (lane `lane` of lane group `lane_group`) into `to`.
    #[inline(always)]
    pub fn copy(&self, lane_group: usize, lane: usize, feature: usize, to: &mut [f32]) {
        let from = &self.data[lane_group * self.lane_group_stride + lane * self.lane_stride + feature * self.feature_stride..];
        if self.frame_stride == 1 {
            to.copy_from_slice(&from[..to.len()]);
        } else {
            to.iter_mut().zip(from.iter().step_by(self.frame_stride)).for_each(|(to, from)| *to = *from);
        }
    }
}

impl RecurrentState {
    /// Returns a state for `lane_groups` lane groups of `width` channels and chunks of at most `max_frames`, and packs the
    /// weights for the level that will run it. [`Self::set`] must be called before the first [`Self::run`]. [control thread:
    /// allocates]
    pub fn new(layer: &PackedRecurrent, level: SimdLevel, lane_groups: usize, width: usize, max_frames: usize) -> Self {
        layer.packed(if width == 1 { level.lanes() } else { 1 });
        let units = if width == 1 { padded(layer.hidden) } else { layer.hidden };
        let frame_stride = units * width;
        let lane_group_stride = frame_stride * (max_frames + 1);
        let cells = AlignedBuffer::new(lane_groups * frame_stride);
        let outputs = AlignedBuffer::new(lane_groups * lane_group_stride);
        Self { width, frame_stride, lane_group_stride, outputs, previous_cells: cells.clone(), cells, frames: 0 }
    }

    /// Gives every channel the same outputs and cell states, `[hidden]` each. [audio thread]
    pub fn set(&mut self, [output, cell]: &[Vec<f32>; 2]) {
        for (rows, cells) in
            self.outputs.chunks_exact_mut(self.lane_group_stride).zip(self.cells.chunks_exact_mut(self.frame_stride))
        {
            // The kernel has written to whole vectors, so there are values after the last unit.
            rows[..self.frame_stride].fill(0.0);
            cells.fill(0.0);
            for (unit, (output, cell)) in output.iter().zip(cell).enumerate() {
                rows[unit * self.width..][..self.width].fill(*output);
                cells[unit * self.width..][..self.width].fill(*cell);
            }
        }
        self.previous_cells.fill(f32::NAN);
        self.frames = 0;
    }

    /// Copies the outputs and cell states of the first channel, `[hidden]` each. [audio thread]
    pub fn get(&self, [output, cell]: &mut [Vec<f32>; 2]) {
        let first =
            |from: &[f32], to: &mut [f32]| to.iter_mut().zip(from.iter().step_by(self.width)).for_each(|(to, x)| *to = *x);
        first(&self.outputs[self.frames * self.frame_stride..], output);
        first(&self.cells, cell);
    }

    /// True if the last frame changed neither outputs nor cell states.
    pub fn rests(&self) -> bool {
        let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        self.frames > 0
            && same(&self.cells, &self.previous_cells)
            && self.outputs.chunks_exact(self.lane_group_stride).all(|rows| {
                let (last, now) = rows[(self.frames - 1) * self.frame_stride..].split_at(self.frame_stride);
                same(last, &now[..self.frame_stride])
            })
    }

    /// Returns the outputs of the current chunk, with units as features.
    pub fn view(&self) -> SignalView<'_> {
        let data = &self.outputs[self.frame_stride..];
        let Self { width, frame_stride, lane_group_stride, .. } = *self;
        SignalView { data, lane_group_stride, lane_stride: 1, feature_stride: width, frame_stride }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.outputs.bytes() + 2 * self.cells.bytes()
    }

    /// Runs a chunk of `frames`. In `input`, a frame of a lane group must be `[inputs][width]` without gaps. [audio thread]
    pub fn run(&mut self, layer: &PackedRecurrent, level: SimdLevel, precision: Precision, input: SignalView<'_>, frames: usize) {
        if self.frames > 0 {
            for rows in self.outputs.chunks_exact_mut(self.lane_group_stride) {
                rows.copy_within(self.frames * self.frame_stride..(self.frames + 1) * self.frame_stride, 0);
            }
        }
        self.frames = frames;
        let run = RecurrentRun { layer, state: self, input, frames };
        match (layer.kind, precision) {
            (CellKind::Lstm, Precision::Fast) => level.run(RecurrentKernel::<LstmCell, Fast>(run, LstmCell, Fast)),
            (CellKind::Lstm, Precision::Exact) => level.run(RecurrentKernel::<LstmCell, Exact>(run, LstmCell, Exact)),
            (CellKind::Gru, Precision::Fast) => level.run(RecurrentKernel::<GruCell, Fast>(run, GruCell, Fast)),
            (CellKind::Gru, Precision::Exact) => level.run(RecurrentKernel::<GruCell, Exact>(run, GruCell, Exact)),
        }
    }
}

/// The arguments of [`RecurrentState::run`].
struct RecurrentRun<'a> {
    layer: &'a PackedRecurrent,
    state: &'a mut RecurrentState,
    input: SignalView<'a>,
    frames: usize,
}

/// A run with a kind of cell and a precision that are known when it is compiled.
struct RecurrentKernel<'a, C, A>(RecurrentRun<'a>, C, A);

impl<C: Cell, A: StaticPrecision> Kernel for RecurrentKernel<'_, C, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let run = self.0;
        let lane_groups = run.state.cells.len() / run.state.frame_stride;
        assert!(run.frames < run.state.lane_group_stride / run.state.frame_stride, "a chunk of {} frames", run.frames);
        assert!(
            run.input.data.len()
                >= (lane_groups - 1) * run.input.lane_group_stride
                    + (run.frames - 1) * run.input.frame_stride
                    + run.layer.inputs * run.state.width
        );
        // SAFETY: inputs, outputs and cells have the sizes that the layer needs, as asserted here and made in
        // `RecurrentState::new`; a lane group's width is 1 or the lanes of one or two vectors.
        unsafe {
            match run.state.width {
                1 => match run.layer.hidden {
                    8 => run_units_in_lanes::<S, C, A, 8>(s, run, lane_groups),
                    // The two parts of an LSTM's sums do not fit into the registers of AVX2 at once. A compiler that knows all 16
                    // steps computes them together and keeps some in memory from step to step.
                    16 if C::RECURRENT_SUMS < 4 => run_units_in_lanes::<S, C, A, 16>(s, run, lane_groups),
                    20 => run_units_in_lanes::<S, C, A, 20>(s, run, lane_groups),
                    32 => run_units_in_lanes::<S, C, A, 32>(s, run, lane_groups),
                    40 => run_units_in_lanes::<S, C, A, 40>(s, run, lane_groups),
                    _ => run_units_in_lanes::<S, C, A, 0>(s, run, lane_groups),
                },
                width if width == S::LANES => run_channels_in_lanes::<S, C, A>(s, run, lane_groups),
                width if width == 2 * S::LANES => run_channels_in_lanes::<VectorPair<S>, C, A>(VectorPair(s), run, lane_groups),
                width => panic!("{width} channels side by side at {:?}", S::LEVEL),
            }
        }
    }
}

/// Runs a chunk with units in the lanes, channel after channel. `HIDDEN` is the number of units, or 0 if it is not known when
/// this is compiled.
///
/// # Safety
/// `run.layer` has `HIDDEN` units (or `HIDDEN` is 0). `run.input` and the buffers of `run.state` have room for `channels` lane
/// groups of one channel and `run.frames` frames of that layer.
#[inline(always)]
unsafe fn run_units_in_lanes<S: Simd, C: Cell, A: StaticPrecision, const HIDDEN: usize>(
    s: S,
    run: RecurrentRun<'_>,
    channels: usize,
) {
    let RecurrentRun { layer, state, input, frames } = run;
    let hidden = if HIDDEN > 0 { HIDDEN } else { layer.hidden };
    let shape = LayerShape { inputs: layer.inputs, hidden, vector_stride: S::LANES * layer.unit_size() };
    let half = has_half_vector(hidden, S::LANES);
    let vectors = if half { hidden / S::LANES } else { hidden.div_ceil(S::LANES) };
    let weights = layer.packed(S::LANES).as_ptr();
    let (outputs, cells) = (state.outputs.as_mut_ptr(), state.cells.as_mut_ptr());
    for t in 0..frames {
        if t + 1 == frames {
            // SAFETY: `cells` and `previous_cells` have the same length.
            unsafe { std::ptr::copy_nonoverlapping(cells, state.previous_cells.as_mut_ptr(), state.cells.len()) };
        }
        for channel in 0..channels {
            // SAFETY: the caller promises buffers for every channel and frame; the weights are packed for these lanes.
            unsafe {
                let x = input.data.as_ptr().add(channel * input.lane_group_stride + t * input.frame_stride);
                let h = outputs.add(channel * state.lane_group_stride + t * state.frame_stride);
                let step =
                    StepPointers { x, h, to: h.add(state.frame_stride), cells: cells.add(channel * state.frame_stride), weights };
                match (hidden <= MAX_SPLIT_UNITS, vectors, half) {
                    (true, 0, _) => _ = step_units::<S, C, A, 0, 1, 2>(s, shape, step, 0),
                    (true, 1, false) => _ = step_units::<S, C, A, 1, 0, 2>(s, shape, step, 0),
                    (true, 1, true) => _ = step_units::<S, C, A, 1, 1, 2>(s, shape, step, 0),
                    (true, ..) => _ = step_units::<S, C, A, 2, 0, 2>(s, shape, step, 0),
                    (false, ..) => {
                        let mut first = 0;
                        while first < vectors {
                            first += match (vectors - first, half) {
                                (1, true) => step_units::<S, C, A, 1, 1, 1>(s, shape, step, first),
                                (2, true) => step_units::<S, C, A, 2, 1, 1>(s, shape, step, first),
                                (left, false) if left % 2 == 1 => step_units::<S, C, A, 3, 0, 1>(s, shape, step, first),
                                _ => step_units::<S, C, A, 2, 0, 1>(s, shape, step, first),
                            };
                        }
                    }
                };
            }
        }
    }
}

/// The shape of a layer and of its packed weights.
#[derive(Clone, Copy)]
struct LayerShape {
    inputs: usize,
    hidden: usize,
    /// Packed floats from a vector of units (or, with channels in the lanes, from a unit) to the next.
    vector_stride: usize,
}

/// Pointers for one frame of one channel (or of one lane group, with channels in the lanes).
#[derive(Clone, Copy)]
struct StepPointers {
    /// The inputs of the frame.
    x: *const f32,
    /// The outputs of the previous frame.
    h: *const f32,
    /// The outputs of the frame, to be written.
    to: *mut f32,
    /// The cell states, to be updated.
    cells: *mut f32,
    /// The layer's packed weights.
    weights: *const f32,
}

/// Computes one frame of one channel for some units, with units in the lanes: `VECTORS` whole vectors of them from vector `first`
/// on and then, if `HALF_VECTORS` is 1, the units in half a vector. The products with the last outputs are summed in `PARTS`
/// parts. Returns `VECTORS`.
///
/// # Safety
/// `step` has the inputs, outputs and cell states of a layer of this shape, with room for whole vectors, and its weights, packed
/// for the lanes of `S`; the layer has the units that are computed.
#[inline(always)]
unsafe fn step_units<
    S: Simd,
    C: Cell,
    A: StaticPrecision,
    const VECTORS: usize,
    const HALF_VECTORS: usize,
    const PARTS: usize,
>(
    s: S,
    shape: LayerShape,
    step: StepPointers,
    first: usize,
) -> usize {
    let lanes = S::LANES;
    // SAFETY: the caller promises what `# Safety` asks for.
    unsafe {
        let weights = step.weights.add(first * shape.vector_stride);
        let half_weights = weights.add(VECTORS * shape.vector_stride);
        let mut sums = [[[s.splat(0.0); 4]; VECTORS]; PARTS];
        // The units of the half vector have sums 0 and 1 in the halves of one vector, 2 and 3 in those of another.
        let mut half = [[[s.splat(0.0); 2]; HALF_VECTORS]; PARTS];
        for b in 0..VECTORS {
            for g in 0..4 {
                sums[0][b][g] = s.load(weights.add(b * shape.vector_stride + g * lanes));
            }
        }
        for b in 0..HALF_VECTORS {
            half[0][b] = [s.load(half_weights), s.load(half_weights.add(lanes))];
        }
        for k in 0..shape.inputs {
            let x = s.splat(*step.x.add(k));
            sums[0] =
                add_broadcast::<S, VECTORS>(s, sums[0], 4, weights.wrapping_add(4 * lanes * (1 + k)), shape.vector_stride, x);
            half[0] = add_broadcast_half::<S, HALF_VECTORS>(s, half[0], half_weights.wrapping_add(2 * lanes * (1 + k)), x);
        }
        // Without whole vectors, or without a half vector, one of these points past the weights and is not read.
        let columns = weights.wrapping_add(4 * lanes * (1 + shape.inputs));
        let half_columns = half_weights.wrapping_add(2 * lanes * (1 + shape.inputs));
        let part = shape.hidden / PARTS;
        for p in 0..PARTS {
            let end = if p + 1 == PARTS { shape.hidden } else { (p + 1) * part };
            for k in p * part..end {
                let h = s.splat(*step.h.add(k));
                let here = columns.wrapping_add(k * C::RECURRENT_SUMS * lanes);
                sums[p] = add_broadcast::<S, VECTORS>(s, sums[p], C::RECURRENT_SUMS, here, shape.vector_stride, h);
                half[p] = add_broadcast_half::<S, HALF_VECTORS>(s, half[p], half_columns.wrapping_add(k * 2 * lanes), h);
            }
        }
        for p in 1..PARTS {
            for b in 0..VECTORS {
                for g in 0..4 {
                    sums[0][b][g] = s.add(sums[0][b][g], sums[p][b][g]);
                }
            }
            for b in 0..HALF_VECTORS {
                half[0][b] = [s.add(half[0][b][0], half[p][b][0]), s.add(half[0][b][1], half[p][b][1])];
            }
        }
        let mut b = 0;
        if VECTORS % 2 == 1 {
            step_cells::<S, C, A>(s, sums[0][0], step, first * lanes);
            b = 1;
        }
        while b < VECTORS {
            let [one, other] = [sums[0][b], sums[0][b + 1]];
            let both = [[one[0], other[0]], [one[1], other[1]], [one[2], other[2]], [one[3], other[3]]];
            step_cells::<VectorPair<S>, C, A>(VectorPair(s), both, step, (first + b) * lanes);
            b += 2;
        }
        for [a, b] in half[0] {
            step_cells::<S, C, A>(s, [a, s.swap_halves(a), b, s.swap_halves(b)], step, (first + VECTORS) * lanes);
        }
    }
    VECTORS
}

/// Adds to the sums of `VECTORS` vectors of units the products of one value `x`, an input or a last output, with its weights;
/// only to the first `count` of the four sums.
///
/// # Safety
/// `weights` has, every `vector_stride` floats, `count` vectors for each of the `VECTORS` vectors.
#[inline(always)]
unsafe fn add_broadcast<S: Simd, const VECTORS: usize>(
    s: S,
    mut sums: [[S::F; 4]; VECTORS],
    count: usize,
    weights: *const f32,
    vector_stride: usize,
    x: S::F,
) -> [[S::F; 4]; VECTORS] {
    for b in 0..VECTORS {
        for g in 0..4 {
            if g < count {
                // SAFETY: the caller promises what `# Safety` asks for.
                let weights = unsafe { s.load(weights.add(b * vector_stride + g * S::LANES)) };
                sums[b][g] = s.mul_add(weights, x, sums[b][g]);
            }
        }
    }
    sums
}

/// Adds to the sums of the units in half a vector the products of one value `x` with its weights.
///
/// # Safety
/// `weights` has two vectors, unless `HALF_VECTORS` is 0.
#[inline(always)]
unsafe fn add_broadcast_half<S: Simd, const HALF_VECTORS: usize>(
    s: S,
    mut sums: [[S::F; 2]; HALF_VECTORS],
    weights: *const f32,
    x: S::F,
) -> [[S::F; 2]; HALF_VECTORS] {
    for b in 0..HALF_VECTORS {
        for v in 0..2 {
            // SAFETY: the caller promises what `# Safety` asks for.
            let weights = unsafe { s.load(weights.add(v * S::LANES)) };
            sums[b][v] = s.mul_add(weights, x, sums[b][v]);
        }
    }
    sums
}

/// Steps a vector of units (or of one unit's channels): computes their cell states and outputs from their sums, and stores both
/// at `position` in the frame.
///
/// # Safety
/// `step.cells` and `step.to` have room for a vector at `position`.
#[inline(always)]
unsafe fn step_cells<S: Simd, C: Cell, A: StaticPrecision>(s: S, sums: [S::F; 4], step: StepPointers, position: usize) {
    // SAFETY: the caller promises what `# Safety` asks for.
    unsafe {
        let (cell, h) = C::step::<S, A>(s, sums, s.load(step.cells.add(position)));
        s.store(step.cells.add(position), cell);
        s.store(step.to.add(position), h);
    }
}

/// Runs a chunk with channels in the lanes, lane group after lane group.
///
/// # Safety
/// `run.input` and the buffers of `run.state` have room for `lane_groups` lane groups of as many channels as `S` has lanes, and
/// for `run.frames` frames of `run.layer`.
#[inline(always)]
unsafe fn run_channels_in_lanes<S: Simd, C: Cell, A: StaticPrecision>(s: S, run: RecurrentRun<'_>, lane_groups: usize) {
    let RecurrentRun { layer, state, input, frames } = run;
    let hidden = layer.hidden;
    let weights = layer.packed(1).as_ptr();
    for lane_group in 0..lane_groups {
        // SAFETY: the caller promises buffers for every lane group, frame and unit; a lane group is as wide as a vector.
        unsafe {
            let outputs = state.outputs.as_mut_ptr().add(lane_group * state.lane_group_stride);
            let cells = state.cells.as_mut_ptr().add(lane_group * state.frame_stride);
            for t in 0..frames {
                if t + 1 == frames {
                    std::ptr::copy_nonoverlapping(
                        cells,
                        state.previous_cells.as_mut_ptr().add(lane_group * state.frame_stride),
                        state.frame_stride,
                    );
                }
                let x = input.data.as_ptr().add(lane_group * input.lane_group_stride + t * input.frame_stride);
                let h = outputs.add(t * state.frame_stride);
                let step = StepPointers { x, h, to: h.add(state.frame_stride), cells, weights };
                let shape = LayerShape { inputs: layer.inputs, hidden, vector_stride: layer.unit_size() };
                for unit in 0..hidden {
                    step_unit::<S, C, A>(s, shape, step, unit);
                }
            }
        }
    }
}

/// Computes one frame of a lane group for one unit, with channels in the lanes.
///
/// # Safety
/// `step` has the inputs, outputs and cell states of a lane group for a layer of this shape, and its weights packed for one unit
/// at a time; the layer has the unit.
#[inline(always)]
unsafe fn step_unit<S: Simd, C: Cell, A: StaticPrecision>(s: S, shape: LayerShape, step: StepPointers, unit: usize) {
    // SAFETY: the caller promises what `# Safety` asks for.
    unsafe {
        let weights = step.weights.add(unit * shape.vector_stride);
        let mut sums = [s.splat(0.0); 4];
        for g in 0..4 {
            sums[g] = s.splat(*weights.add(g));
        }
        for k in 0..shape.inputs {
            sums = add_column(s, sums, 4, weights.add(4 * (1 + k)), step.x.add(k * S::LANES));
        }
        let columns = weights.add(4 * (1 + shape.inputs));
        let part = if shape.hidden <= MAX_SPLIT_UNITS { shape.hidden / 2 } else { shape.hidden };
        for k in 0..part {
            sums = add_column(s, sums, C::RECURRENT_SUMS, columns.add(k * C::RECURRENT_SUMS), step.h.add(k * S::LANES));
        }
        if part < shape.hidden {
            let mut second = [s.splat(0.0); 4];
            for k in part..shape.hidden {
                second = add_column(s, second, C::RECURRENT_SUMS, columns.add(k * C::RECURRENT_SUMS), step.h.add(k * S::LANES));
            }
            for g in 0..4 {
                sums[g] = s.add(sums[g], second[g]);
            }
        }
        step_cells::<S, C, A>(s, sums, step, unit * S::LANES);
    }
}

/// Adds to the sums of one unit the products of one input (or last output) of every channel, at `x`, with its weights; only to
/// the first `count` of the four sums.
///
/// # Safety
/// `weights` has `count` values; `x` is a vector.
#[inline(always)]
unsafe fn add_column<S: Simd>(s: S, mut sums: [S::F; 4], count: usize, weights: *const f32, x: *const f32) -> [S::F; 4] {
    // SAFETY: the caller promises what `# Safety` asks for.
    let x = unsafe { s.load(x) };
    for g in 0..4 {
        if g < count {
            // SAFETY: the caller promises what `# Safety` asks for.
            sums[g] = s.mul_add(s.splat(unsafe { *weights.add(g) }), x, sums[g]);
        }
    }
    sums
}
