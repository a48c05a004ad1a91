//! An LSTM or GRU layer with a dense head: forward pass and backpropagation through time. The lanes of a vector are independent
//! sequences side by side.

use super::lane_products::{MatrixView, VectorSeries, multiply_add, outer_add};
use super::optimiser::ParameterMatrix;
use crate::audio::Random;
use crate::neural::activation::{sigmoid, tanh};
use crate::neural::description::{Activation, Architecture, Conv1d, Gru, Layer, Lstm, Sequence};
use crate::neural::simd::{Kernel, Simd, SimdLevel};

/// Frames of the backward pass whose derivatives stay in the L1 cache until they are added to the weights' gradients.
const BLOCK_FRAMES: usize = 16;
/// Shortest and longest memory that the chrono initialisation gives, in frames.
const CHRONO_MEMORY_FRAMES: (f64, f64) = (30.0, 4000.0);

/// The kind of a recurrent layer's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// Long short-term memory: gates i, f, g, o, as in [`Lstm`].
    Lstm,
    /// Gated recurrent unit: gates r, z, n, as in [`Gru`].
    Gru,
}

impl CellKind {
    /// Number of gates of a cell.
    fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }
}

/// The shape of a layer of cells with a dense head. Its parameters, one after another: input weights `[gates hidden][inputs]`,
/// hidden weights `[gates hidden][hidden]`, bias `[gates hidden]`, for a GRU the hidden bias `[3 hidden]`, head weights
/// `[hidden]`, head bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrent {
    /// LSTM or GRU.
    pub cell: CellKind,
    /// Number of inputs: 1 for the audio, and 1 for a knob if there is one.
    pub inputs: usize,
    /// Number of cells.
    pub hidden: usize,
    /// True if the second half of an LSTM's cells remembers for 30 to 4000 frames when training begins (the chrono initialisation
    /// of Tallec and Ollivier, "Can recurrent neural networks warp time?", ICLR 2018): for effects with a slow memory.
    pub chrono: bool,
}

/// Position of the first parameter of each matrix and bias; the input weights begin at 0.
#[derive(Clone, Copy)]
struct ParameterOffsets {
    hidden_weights: usize,
    bias: usize,
    hidden_bias: usize,
    head: usize,
    head_bias: usize,
    /// Number of all parameters.
    end: usize,
}

impl Recurrent {
    /// Rows of the weight matrices: gates times cells.
    fn rows(&self) -> usize {
        self.cell.gates() * self.hidden
    }

    /// The positions of the parameters.
    fn offsets(&self) -> ParameterOffsets {
        let rows = self.rows();
        let hidden_weights = rows * self.inputs;
        let bias = hidden_weights + rows * self.hidden;
        let hidden_bias = bias + rows;
        let head = hidden_bias + if self.cell == CellKind::Gru { rows } else { 0 };
        let head_bias = head + self.hidden;
        ParameterOffsets { hidden_weights, bias, hidden_bias, head, head_bias, end: head_bias + 1 }
    }

    /// Number of parameters: weights and biases. [any thread]
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.offsets().end
    }

    /// The parameters as matrices for the optimiser: one with a row for each gate of each cell (input weights, hidden weights and
    /// biases side by side), and the head. [any thread]
    #[must_use]
    pub fn matrices(&self) -> Vec<ParameterMatrix> {
        let (p, hidden, inputs) = (self.offsets(), self.hidden, self.inputs);
        let gru = self.cell == CellKind::Gru;
        let row = |row: usize| {
            (0..inputs)
                .map(move |i| row * inputs + i)
                .chain((0..hidden).map(move |i| p.hidden_weights + row * hidden + i))
                .chain([p.bias + row])
                .chain(gru.then_some(p.hidden_bias + row))
        };
        let cells = ParameterMatrix {
            rows: self.rows(),
            columns: inputs + hidden + 1 + usize::from(gru),
            indices: (0..self.rows()).flat_map(row).collect(),
        };
        vec![cells, ParameterMatrix { rows: 1, columns: hidden + 1, indices: (p.head..p.end).collect() }]
    }

    /// Parameters to begin training with: uniform within 1 / sqrt(hidden), an LSTM's forget gates open. [any thread: allocates]
    #[must_use]
    pub fn initial_weights(&self, random: &mut Random) -> Vec<f32> {
        let (offsets, hidden) = (self.offsets(), self.hidden);
        let bound = 1.0 / (hidden as f32).sqrt();
        let mut p: Vec<f32> = (0..offsets.end).map(|_| random.within(-bound, bound)).collect();
        p[offsets.head_bias] = 0.0;
        if self.cell == CellKind::Lstm {
            p[offsets.bias + hidden..offsets.bias + 2 * hidden].iter_mut().for_each(|b| *b += 1.0);
            let slow = if self.chrono { hidden / 2 } else { 0 };
            for i in 0..slow {
                let cell = hidden - 1 - i;
                let (fastest, slowest) = CHRONO_MEMORY_FRAMES;
                let frames = fastest * (slowest / fastest).powf(i as f64 / (slow.max(2) - 1) as f64);
                // The cell forgets 1 part in `frames` at each frame; the longer it remembers, the less of the input it takes.
                let forget = hidden + cell;
                p[offsets.bias + forget] = frames.ln() as f32;
                p[offsets.bias + cell] = -0.5 * frames.ln() as f32;
                p[forget * self.inputs..(forget + 1) * self.inputs].iter_mut().for_each(|w| *w *= 0.1);
                let row = offsets.hidden_weights + forget * hidden;
                p[row..row + hidden].iter_mut().for_each(|w| *w *= 0.1);
            }
        }
        p
    }

    /// The network with these parameters, for the engine and the exports. [any thread]
    ///
    /// # Panics
    /// If their number is not [`Self::parameter_count`].
    #[must_use]
    pub fn architecture(&self, parameters: &[f32]) -> Architecture {
        let (offsets, hidden, inputs) = (self.offsets(), self.hidden, self.inputs);
        assert_eq!(parameters.len(), offsets.end, "parameters");
        let part = |from: usize, to: usize| parameters[from..to].to_vec();
        let input_weights = part(0, offsets.hidden_weights);
        let hidden_weights = part(offsets.hidden_weights, offsets.bias);
        let bias = part(offsets.bias, offsets.hidden_bias);
        let h0 = vec![0.0; hidden];
        let layer = match self.cell {
            CellKind::Lstm => Layer::Lstm(Lstm { inputs, hidden, input_weights, hidden_weights, bias, c0: h0.clone(), h0 }),
            CellKind::Gru => {
                let hidden_bias = part(offsets.hidden_bias, offsets.head);
                Layer::Gru(Gru { inputs, hidden, input_weights, hidden_weights, input_bias: bias, hidden_bias, h0 })
            }
        };
        let head = Conv1d {
            inputs: hidden,
            outputs: 1,
            taps: 1,
            dilation: 1,
            groups: 1,
            weights: part(offsets.head, offsets.head_bias),
            bias: Some(part(offsets.head_bias, offsets.end)),
        };
        let layers = vec![layer, Layer::Conv1d(head, Activation::Identity)];
        Architecture::Sequence(Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false })
    }
}

/// The values of a forward pass over some frames that the backward pass needs (the "tape" of automatic differentiation), for as
/// many sequences as a vector has lanes.
pub struct Tape {
    shape: Recurrent,
    level: SimdLevel,
    frames: usize,
    /// `[frames][gates hidden][lanes]`: the gates' values; after `backward` the derivatives of the loss with respect to the sums
    /// before the gates.
    gates: Vec<f32>,
    /// `[frames][hidden][lanes]`: for an LSTM tanh of the cells; for a GRU the hidden sum of gate n, which gate r multiplies.
    inner: Vec<f32>,
    /// `[frames][3 hidden][lanes]`, only for a GRU: derivatives with respect to the sums of the hidden weights, which gate r
    /// makes differ from those for the sums of the input weights.
    hidden_gates: Vec<f32>,
    /// `[frames + 1][hidden][lanes]`: an LSTM's cell values; the first is the state before the first frame.
    cells: Vec<f32>,
    /// `[frames + 1][hidden][lanes]`: hidden values; the first is the state before the first frame.
    hidden: Vec<f32>,
    /// `[frames][lanes]`
    output: Vec<f32>,
    /// `[parameters][lanes]`: derivatives for each parameter, whose lanes are still to be added up.
    sums: Vec<f32>,
}

impl Tape {
    /// A tape for sequences of `frames` with the vectors of `level`; all states are zero. [control thread: allocates]
    #[must_use]
    pub fn new(shape: Recurrent, level: SimdLevel, frames: usize) -> Self {
        let lanes = level.lanes();
        let series = |rows: usize| vec![0.0; frames * rows * lanes];
        let state = || vec![0.0; (frames + 1) * shape.hidden * lanes];
        Self {
            shape,
            level,
            frames,
            gates: series(shape.rows()),
            inner: series(shape.hidden),
            hidden_gates: if shape.cell == CellKind::Gru { series(shape.rows()) } else { Vec::new() },
            cells: state(),
            hidden: state(),
            output: series(1),
            sums: vec![0.0; shape.parameter_count() * lanes],
        }
    }

    /// Sets the state before the first frame to zero. [training thread]
    pub fn reset(&mut self) {
        self.cells.fill(0.0);
        self.hidden.fill(0.0);
    }

    /// Takes the state after the last frame as the state before the first frame of the next pass. [training thread]
    pub fn carry_state(&mut self) {
        let state_len = self.shape.hidden * self.level.lanes();
        for state in [&mut self.cells, &mut self.hidden] {
            state.copy_within(self.frames * state_len.., 0);
        }
    }

    /// The state before the first frame, for [`Self::set_state`]: cells, then hidden values. [training thread: allocates]
    #[must_use]
    pub fn state(&self) -> Vec<f32> {
        let state_len = self.shape.hidden * self.level.lanes();
        [&self.cells[..state_len], &self.hidden[..state_len]].concat()
    }

    /// Number of values of [`Self::state`]. [any thread]
    #[must_use]
    pub fn state_len(&self) -> usize {
        2 * self.shape.hidden * self.level.lanes()
    }

    /// Sets the state before the first frame. [training thread]
    ///
    /// # Panics
    /// If `state` has not [`Self::state_len`] values.
    pub fn set_state(&mut self, state: &[f32]) {
        let (cells, hidden) = state.split_at(self.shape.hidden * self.level.lanes());
        self.cells[..cells.len()].copy_from_slice(cells);
        self.hidden[..hidden.len()].copy_from_slice(hidden);
    }

    /// Output of the last [`Self::forward`], `[frames][lanes]`. [training thread]
    #[must_use]
    pub fn output(&self) -> &[f32] {
        &self.output
    }

    /// The forward pass over `input`, `[frames][inputs][lanes]`, from the state before the first frame. [training thread]
    ///
    /// # Panics
    /// If a length is wrong.
    pub fn forward(&mut self, parameters: &[f32], input: &[f32]) {
        self.check(parameters, input);
        self.level.run(Forward { tape: self, parameters, input });
    }

    /// The backward pass of the last [`Self::forward`] with the same parameters and input: adds to `gradient` the derivatives for
    /// the parameters of a loss whose derivatives with respect to the output are `output_gradient`, `[frames][lanes]`. The state
    /// before the first frame counts as a constant (truncated backpropagation through time). [training thread]
    ///
    /// # Panics
    /// If a length is wrong.
    pub fn backward(&mut self, parameters: &[f32], input: &[f32], output_gradient: &[f32], gradient: &mut [f32]) {
        self.check(parameters, input);
        assert_eq!(output_gradient.len(), self.frames * self.level.lanes(), "output gradient");
        self.level.run(Backward { tape: self, parameters, input, output_gradient });
        for (gradient, sum) in gradient.iter_mut().zip(self.sums.chunks_exact(self.level.lanes())) {
            *gradient += sum.iter().sum::<f32>();
        }
    }

    /// Panics if a length is wrong.
    fn check(&self, parameters: &[f32], input: &[f32]) {
        assert_eq!(parameters.len(), self.shape.parameter_count(), "parameters");
        assert_eq!(input.len(), self.frames * self.shape.inputs * self.level.lanes(), "input");
    }
}

/// Kernel of [`Tape::forward`].
struct Forward<'a> {
    tape: &'a mut Tape,
    parameters: &'a [f32],
    input: &'a [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Tape { shape, frames, gates, inner, cells, hidden, output, .. } = self.tape;
        let (lanes, width, rows, offsets) = (S::LANES, shape.hidden, shape.rows(), shape.offsets());
        let p = self.parameters.as_ptr();
        // SAFETY: `Tape::new` made all buffers for `frames` of this shape and as many lanes as this level has, `check` has seen
        // the lengths of parameters and input, and every index below is of a frame, row and lane within them.
        unsafe {
            for t in 0..*frames {
                let x = self.input.as_ptr().add(t * shape.inputs * lanes);
                let h = hidden.as_mut_ptr().add(t * width * lanes);
                let c = cells.as_mut_ptr().add(t * width * lanes);
                let (h_next, c_next) = (h.add(width * lanes), c.add(width * lanes));
                let gates = gates.as_mut_ptr().add(t * rows * lanes);
                let inner = inner.as_mut_ptr().add(t * width * lanes);
                for row in 0..rows {
                    s.store(gates.add(row * lanes), s.splat(*p.add(offsets.bias + row)));
                }
                let inputs = MatrixView { weights: p, rows, columns: shape.inputs, row_step: shape.inputs, column_step: 1 };
                multiply_add(s, inputs, x, gates);
                let recurrent =
                    MatrixView { weights: p.add(offsets.hidden_weights), rows, columns: width, row_step: width, column_step: 1 };
                let at = |gate: usize, j: usize| gates.add((gate * width + j) * lanes);
                let mut y = s.splat(*p.add(offsets.head_bias));
                match shape.cell {
                    CellKind::Lstm => {
                        multiply_add(s, recurrent, h, gates);
                        for j in 0..width {
                            let i = sigmoid(s, s.load(at(0, j)));
                            let f = sigmoid(s, s.load(at(1, j)));
                            let o = sigmoid(s, s.load(at(3, j)));
                            let g = tanh(s, s.load(at(2, j)));
                            let cell = s.mul_add(f, s.load(c.add(j * lanes)), s.mul(i, g));
                            let cell_tanh = tanh(s, cell);
                            let out = s.mul(o, cell_tanh);
                            for (gate, value) in [i, f, g, o].into_iter().enumerate() {
                                s.store(at(gate, j), value);
                            }
                            s.store(inner.add(j * lanes), cell_tanh);
                            s.store(c_next.add(j * lanes), cell);
                            s.store(h_next.add(j * lanes), out);
                            y = s.mul_add(s.splat(*p.add(offsets.head + j)), out, y);
                        }
                    }
                    CellKind::Gru => {
                        let bias = p.add(offsets.hidden_bias);
                        for row in 0..2 * width {
                            let place = gates.add(row * lanes);
                            s.store(place, s.add(s.load(place), s.splat(*bias.add(row))));
                        }
                        for j in 0..width {
                            s.store(inner.add(j * lanes), s.splat(*bias.add(2 * width + j)));
                        }
                        multiply_add(s, MatrixView { rows: 2 * width, ..recurrent }, h, gates);
                        let new = recurrent.weights.add(2 * width * width);
                        multiply_add(s, MatrixView { weights: new, rows: width, ..recurrent }, h, inner);
                        for j in 0..width {
                            let r = sigmoid(s, s.load(at(0, j)));
                            let z = sigmoid(s, s.load(at(1, j)));
                            let n = tanh(s, s.mul_add(r, s.load(inner.add(j * lanes)), s.load(at(2, j))));
                            let out = s.mul_add(z, s.sub(s.load(h.add(j * lanes)), n), n);
                            for (gate, value) in [r, z, n].into_iter().enumerate() {
                                s.store(at(gate, j), value);
                            }
                            s.store(h_next.add(j * lanes), out);
                            y = s.mul_add(s.splat(*p.add(offsets.head + j)), out, y);
                        }
                    }
                }
                s.store(output.as_mut_ptr().add(t * lanes), y);
            }
        }
    }
}

/// Derivative of the logistic function, from the function's value.
#[inline(always)]
fn logistic_slope<S: Simd>(s: S, value: S::F) -> S::F {
    s.mul(value, s.sub(s.splat(1.0), value))
}

/// Kernel of [`Tape::backward`].
struct Backward<'a> {
    tape: &'a mut Tape,
    parameters: &'a [f32],
    input: &'a [f32],
    output_gradient: &'a [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Tape { shape, frames, gates, inner, hidden_gates, cells, hidden, sums, .. } = self.tape;
        let (lanes, width, rows, offsets) = (S::LANES, shape.hidden, shape.rows(), shape.offsets());
        let p = self.parameters.as_ptr();
        let one = s.splat(1.0);
        sums.fill(0.0);
        // Derivatives for the hidden and cell values after frame t.
        let (mut hidden_gradient, mut cell_gradient) = (vec![0.0; width * lanes], vec![0.0; width * lanes]);
        let (dh, dc) = (hidden_gradient.as_mut_ptr(), cell_gradient.as_mut_ptr());
        let sums = sums.as_mut_ptr();
        let mut end = *frames;
        while end > 0 {
            let start = end.saturating_sub(BLOCK_FRAMES);
            // SAFETY: as in `Forward`; `sums` has a vector for each parameter, and `dh` and `dc` one for each hidden value.
            unsafe {
                for t in (start..end).rev() {
                    let dy = s.load(self.output_gradient.as_ptr().add(t * lanes));
                    let gates = gates.as_mut_ptr().add(t * rows * lanes);
                    let inner = inner.as_ptr().add(t * width * lanes);
                    let at = |gate: usize, j: usize| gates.add((gate * width + j) * lanes);
                    let transposed = MatrixView {
                        weights: p.add(offsets.hidden_weights),
                        rows: width,
                        columns: rows,
                        row_step: 1,
                        column_step: width,
                    };
                    match shape.cell {
                        CellKind::Lstm => {
                            let before = cells.as_ptr().add(t * width * lanes);
                            for j in 0..width {
                                let d = s.mul_add(s.splat(*p.add(offsets.head + j)), dy, s.load(dh.add(j * lanes)));
                                let (i, f) = (s.load(at(0, j)), s.load(at(1, j)));
                                let (g, o) = (s.load(at(2, j)), s.load(at(3, j)));
                                let cell_tanh = s.load(inner.add(j * lanes));
                                let slope = s.sub(one, s.mul(cell_tanh, cell_tanh));
                                let dcell = s.mul_add(s.mul(d, o), slope, s.load(dc.add(j * lanes)));
                                s.store(at(0, j), s.mul(s.mul(dcell, g), logistic_slope(s, i)));
                                s.store(at(1, j), s.mul(s.mul(dcell, s.load(before.add(j * lanes))), logistic_slope(s, f)));
                                s.store(at(2, j), s.mul(s.mul(dcell, i), s.sub(one, s.mul(g, g))));
                                s.store(at(3, j), s.mul(s.mul(d, cell_tanh), logistic_slope(s, o)));
                                s.store(dc.add(j * lanes), s.mul(dcell, f));
                                s.store(dh.add(j * lanes), s.splat(0.0));
                            }
                            multiply_add(s, transposed, gates, dh);
                        }
                        CellKind::Gru => {
                            let before = hidden.as_ptr().add(t * width * lanes);
                            let hidden_gates = hidden_gates.as_mut_ptr().add(t * rows * lanes);
                            let hidden_at = |gate: usize, j: usize| hidden_gates.add((gate * width + j) * lanes);
                            for j in 0..width {
                                let d = s.mul_add(s.splat(*p.add(offsets.head + j)), dy, s.load(dh.add(j * lanes)));
                                let (r, z, n) = (s.load(at(0, j)), s.load(at(1, j)), s.load(at(2, j)));
                                let dz = s.mul(s.mul(d, s.sub(s.load(before.add(j * lanes)), n)), logistic_slope(s, z));
                                let dn = s.mul(s.mul(d, s.sub(one, z)), s.sub(one, s.mul(n, n)));
                                let dr = s.mul(s.mul(dn, s.load(inner.add(j * lanes))), logistic_slope(s, r));
                                for (gate, (value, hidden_value)) in
                                    [(dr, dr), (dz, dz), (dn, s.mul(dn, r))].into_iter().enumerate()
                                {
                                    s.store(at(gate, j), value);
                                    s.store(hidden_at(gate, j), hidden_value);
                                }
                                s.store(dh.add(j * lanes), s.mul(d, z));
                            }
                            multiply_add(s, transposed, hidden_gates, dh);
                        }
                    }
                }
                let count = end - start;
                let series = |values: *const f32, rows: usize| VectorSeries {
                    values: values.add(start * rows * lanes),
                    rows,
                    step: rows * lanes,
                };
                let input_sums = series(gates.as_ptr(), rows);
                let hidden_sums = if shape.cell == CellKind::Gru { series(hidden_gates.as_ptr(), rows) } else { input_sums };
                let ones = [1.0f32; MAX_LANES];
                let ones = VectorSeries { values: ones.as_ptr(), rows: 1, step: 0 };
                let before = series(hidden.as_ptr(), width);
                let dy = series(self.output_gradient.as_ptr(), 1);
                outer_add(s, input_sums, series(self.input.as_ptr(), shape.inputs), count, sums);
                outer_add(s, hidden_sums, before, count, sums.add(offsets.hidden_weights * lanes));
                outer_add(s, input_sums, ones, count, sums.add(offsets.bias * lanes));
                if shape.cell == CellKind::Gru {
                    outer_add(s, hidden_sums, ones, count, sums.add(offsets.hidden_bias * lanes));
                }
                let after = VectorSeries { values: before.values.add(width * lanes), ..before };
                outer_add(s, dy, after, count, sums.add(offsets.head * lanes));
                outer_add(s, dy, ones, count, sums.add(offsets.head_bias * lanes));
            }
            end = start;
        }
    }
}

/// Lanes of the widest SIMD level.
const MAX_LANES: usize = 16;
