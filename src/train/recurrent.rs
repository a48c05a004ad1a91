//! One LSTM or GRU layer and a dense head, forward and backward through time, each lane a sequence of its own.

use super::lanes::{Matrix, Series, multiply_add, outer_add};
use super::optimise::Tensor;
use crate::audio::Random;
use crate::neural::activation::{sigmoid, tanh};
use crate::neural::description::{Activation, Architecture, Conv1d, Gru, Layer, Lstm, Sequence};
use crate::neural::simd::{Kernel, Level, Simd};

/// Frames whose derivatives stay in the fastest cache until the weights' gradients are made of them.
const BLOCK: usize = 16;
/// Fastest and slowest memory of a chrono initialisation, in frames.
const CHRONO_FRAMES: (f64, f64) = (30.0, 4000.0);

/// How a cell remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Gates i, f, g, o, as in [`Lstm`].
    Lstm,
    /// Gates r, z, n, as in [`Gru`].
    Gru,
}

impl Cell {
    fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }
}

/// A layer of cells and a dense head on it. Its parameters, one after another: input weights `[gates hidden][inputs]`, hidden weights
/// `[gates hidden][hidden]`, bias `[gates hidden]`, of a GRU the hidden bias `[3 hidden]`, head weights `[hidden]`, head bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrent {
    pub cell: Cell,
    /// The audio and the knobs behind it.
    pub inputs: usize,
    pub hidden: usize,
    /// Begins with the second half of an LSTM's cells remembering for 30 to 4000 frames (Tallec and Ollivier, "Can recurrent neural
    /// networks warp time?", ICLR 2018): for effects with a slow memory.
    pub chrono: bool,
}

/// Where each tensor's first parameter is.
#[derive(Clone, Copy)]
struct Places {
    hidden_weights: usize,
    bias: usize,
    hidden_bias: usize,
    head: usize,
    head_bias: usize,
    end: usize,
}

impl Recurrent {
    fn rows(&self) -> usize {
        self.cell.gates() * self.hidden
    }

    fn places(&self) -> Places {
        let rows = self.rows();
        let hidden_weights = rows * self.inputs;
        let bias = hidden_weights + rows * self.hidden;
        let hidden_bias = bias + rows;
        let head = hidden_bias + if self.cell == Cell::Gru { rows } else { 0 };
        let head_bias = head + self.hidden;
        Places { hidden_weights, bias, hidden_bias, head, head_bias, end: head_bias + 1 }
    }

    /// How many numbers are trained. [any thread]
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.places().end
    }

    /// For each row of gates what comes in, hidden values and bias side by side; and the head. [any thread]
    #[must_use]
    pub fn tensors(&self) -> Vec<Tensor> {
        let (p, hidden, inputs) = (self.places(), self.hidden, self.inputs);
        let gru = self.cell == Cell::Gru;
        let row = |row: usize| {
            (0..inputs)
                .map(move |i| row * inputs + i)
                .chain((0..hidden).map(move |i| p.hidden_weights + row * hidden + i))
                .chain([p.bias + row])
                .chain(gru.then_some(p.hidden_bias + row))
        };
        let cells = Tensor {
            rows: self.rows(),
            columns: inputs + hidden + 1 + usize::from(gru),
            places: (0..self.rows()).flat_map(row).collect(),
        };
        vec![cells, Tensor { rows: 1, columns: hidden + 1, places: (p.head..p.end).collect() }]
    }

    /// Where training begins: evenly spread within 1 / sqrt(hidden), an LSTM's forget gates open. [any thread]
    #[must_use]
    pub fn begin(&self, random: &mut Random) -> Vec<f32> {
        let (places, hidden) = (self.places(), self.hidden);
        let bound = 1.0 / (hidden as f32).sqrt();
        let mut p: Vec<f32> = (0..places.end).map(|_| random.within(-bound, bound)).collect();
        p[places.head_bias] = 0.0;
        if self.cell == Cell::Lstm {
            p[places.bias + hidden..places.bias + 2 * hidden].iter_mut().for_each(|b| *b += 1.0);
            let slow = if self.chrono { hidden / 2 } else { 0 };
            for i in 0..slow {
                let cell = hidden - 1 - i;
                let (fastest, slowest) = CHRONO_FRAMES;
                let frames = fastest * (slowest / fastest).powf(i as f64 / (slow.max(2) - 1) as f64);
                // Forgets 1 part in `frames` a frame, and listens less the longer it remembers.
                let forget = hidden + cell;
                p[places.bias + forget] = frames.ln() as f32;
                p[places.bias + cell] = -0.5 * frames.ln() as f32;
                p[forget * self.inputs..(forget + 1) * self.inputs].iter_mut().for_each(|w| *w *= 0.1);
                let row = places.hidden_weights + forget * hidden;
                p[row..row + hidden].iter_mut().for_each(|w| *w *= 0.1);
            }
        }
        p
    }

    /// The network with these parameters, for the engine and the exports. [any thread]
    ///
    /// # Panics
    /// If there are not [`Self::parameters`] of them.
    #[must_use]
    pub fn architecture(&self, parameters: &[f32]) -> Architecture {
        let (places, hidden, inputs) = (self.places(), self.hidden, self.inputs);
        assert_eq!(parameters.len(), places.end, "parameters");
        let part = |from: usize, to: usize| parameters[from..to].to_vec();
        let input_weights = part(0, places.hidden_weights);
        let hidden_weights = part(places.hidden_weights, places.bias);
        let bias = part(places.bias, places.hidden_bias);
        let h0 = vec![0.0; hidden];
        let layer = match self.cell {
            Cell::Lstm => Layer::Lstm(Lstm { inputs, hidden, input_weights, hidden_weights, bias, c0: h0.clone(), h0 }),
            Cell::Gru => {
                let hidden_bias = part(places.hidden_bias, places.head);
                Layer::Gru(Gru { inputs, hidden, input_weights, hidden_weights, input_bias: bias, hidden_bias, h0 })
            }
        };
        let head = Conv1d {
            inputs: hidden,
            outputs: 1,
            taps: 1,
            dilation: 1,
            groups: 1,
            weights: part(places.head, places.head_bias),
            bias: Some(part(places.head_bias, places.end)),
        };
        let layers = vec![layer, Layer::Conv1d(head, Activation::Identity)];
        Architecture::Sequence(Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false })
    }
}

/// What a run of some frames leaves behind for the way back, for as many sequences as a vector has lanes.
pub struct Tape {
    shape: Recurrent,
    level: Level,
    frames: usize,
    /// `[frames][gates hidden][lanes]`: the gates' values; behind `backward` the loss's derivatives for their sums.
    gates: Vec<f32>,
    /// `[frames][hidden][lanes]`: tanh of an LSTM's cells; of a GRU what the gate r multiplies.
    inner: Vec<f32>,
    /// GRU: `[frames][3 hidden][lanes]`, derivatives for the hidden weights' sums, which the gate r sets apart from the inputs'.
    hidden_gates: Vec<f32>,
    /// `[frames + 1][hidden][lanes]`; the first is that of before the run.
    cells: Vec<f32>,
    /// The same.
    hidden: Vec<f32>,
    /// `[frames][lanes]`
    output: Vec<f32>,
    /// A vector for each parameter.
    sums: Vec<f32>,
}

impl Tape {
    /// For runs of `frames` on `level`, at rest. [control thread: allocates]
    #[must_use]
    pub fn new(shape: Recurrent, level: Level, frames: usize) -> Self {
        let lanes = level.lanes();
        let of = |rows: usize| vec![0.0; frames * rows * lanes];
        let state = || vec![0.0; (frames + 1) * shape.hidden * lanes];
        Self {
            shape,
            level,
            frames,
            gates: of(shape.rows()),
            inner: of(shape.hidden),
            hidden_gates: if shape.cell == Cell::Gru { of(shape.rows()) } else { Vec::new() },
            cells: state(),
            hidden: state(),
            output: of(1),
            sums: vec![0.0; shape.parameters() * lanes],
        }
    }

    /// The state of before the first frame becomes zero.
    pub fn reset(&mut self) {
        self.cells.fill(0.0);
        self.hidden.fill(0.0);
    }

    /// The state behind the last run becomes that of before the next.
    pub fn carry(&mut self) {
        let one = self.shape.hidden * self.level.lanes();
        for state in [&mut self.cells, &mut self.hidden] {
            state.copy_within(self.frames * one.., 0);
        }
    }

    /// The state of before the next run, as [`Self::set_state`] takes it.
    #[must_use]
    pub fn state(&self) -> Vec<f32> {
        let one = self.shape.hidden * self.level.lanes();
        [&self.cells[..one], &self.hidden[..one]].concat()
    }

    /// How many numbers [`Self::state`] has.
    #[must_use]
    pub fn state_len(&self) -> usize {
        2 * self.shape.hidden * self.level.lanes()
    }

    /// # Panics
    /// If `state` has not [`Self::state_len`] numbers.
    pub fn set_state(&mut self, state: &[f32]) {
        let (cells, hidden) = state.split_at(self.shape.hidden * self.level.lanes());
        self.cells[..cells.len()].copy_from_slice(cells);
        self.hidden[..hidden.len()].copy_from_slice(hidden);
    }

    /// `[frames][lanes]` of the last [`Self::forward`].
    #[must_use]
    pub fn output(&self) -> &[f32] {
        &self.output
    }

    /// Runs `input`, `[frames][inputs][lanes]`, from the state that is there.
    ///
    /// # Panics
    /// If a length is wrong.
    pub fn forward(&mut self, parameters: &[f32], input: &[f32]) {
        self.check(parameters, input);
        self.level.run(Forward { tape: self, parameters, input });
    }

    /// Behind [`Self::forward`] of the same: adds to `gradient` the derivatives of a loss whose derivatives for the output are
    /// `output_gradient`, `[frames][lanes]`. What was before the run counts as constant.
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

    fn check(&self, parameters: &[f32], input: &[f32]) {
        assert_eq!(parameters.len(), self.shape.parameters(), "parameters");
        assert_eq!(input.len(), self.frames * self.shape.inputs * self.level.lanes(), "input");
    }
}

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
        let (lanes, width, rows, places) = (S::LANES, shape.hidden, shape.rows(), shape.places());
        let p = self.parameters.as_ptr();
        // SAFETY: `Tape::new` made all buffers for `frames` of this shape and as many lanes as this level has, `check` has seen the
        // lengths of parameters and input, and every index below is of a frame, row and lane within them.
        unsafe {
            for t in 0..*frames {
                let x = self.input.as_ptr().add(t * shape.inputs * lanes);
                let h = hidden.as_mut_ptr().add(t * width * lanes);
                let c = cells.as_mut_ptr().add(t * width * lanes);
                let (h_next, c_next) = (h.add(width * lanes), c.add(width * lanes));
                let gates = gates.as_mut_ptr().add(t * rows * lanes);
                let inner = inner.as_mut_ptr().add(t * width * lanes);
                for row in 0..rows {
                    s.store(gates.add(row * lanes), s.splat(*p.add(places.bias + row)));
                }
                let inputs = Matrix { weights: p, rows, columns: shape.inputs, row_step: shape.inputs, column_step: 1 };
                multiply_add(s, inputs, x, gates);
                let recurrent =
                    Matrix { weights: p.add(places.hidden_weights), rows, columns: width, row_step: width, column_step: 1 };
                let at = |gate: usize, j: usize| gates.add((gate * width + j) * lanes);
                let mut y = s.splat(*p.add(places.head_bias));
                match shape.cell {
                    Cell::Lstm => {
                        multiply_add(s, recurrent, h, gates);
                        for j in 0..width {
                            let i = sigmoid(s, s.load(at(0, j)));
                            let f = sigmoid(s, s.load(at(1, j)));
                            let o = sigmoid(s, s.load(at(3, j)));
                            let g = tanh(s, s.load(at(2, j)));
                            let cell = s.mul_add(f, s.load(c.add(j * lanes)), s.mul(i, g));
                            let bent = tanh(s, cell);
                            let out = s.mul(o, bent);
                            for (gate, value) in [i, f, g, o].into_iter().enumerate() {
                                s.store(at(gate, j), value);
                            }
                            s.store(inner.add(j * lanes), bent);
                            s.store(c_next.add(j * lanes), cell);
                            s.store(h_next.add(j * lanes), out);
                            y = s.mul_add(s.splat(*p.add(places.head + j)), out, y);
                        }
                    }
                    Cell::Gru => {
                        let bias = p.add(places.hidden_bias);
                        for row in 0..2 * width {
                            let place = gates.add(row * lanes);
                            s.store(place, s.add(s.load(place), s.splat(*bias.add(row))));
                        }
                        for j in 0..width {
                            s.store(inner.add(j * lanes), s.splat(*bias.add(2 * width + j)));
                        }
                        multiply_add(s, Matrix { rows: 2 * width, ..recurrent }, h, gates);
                        let new = recurrent.weights.add(2 * width * width);
                        multiply_add(s, Matrix { weights: new, rows: width, ..recurrent }, h, inner);
                        for j in 0..width {
                            let r = sigmoid(s, s.load(at(0, j)));
                            let z = sigmoid(s, s.load(at(1, j)));
                            let n = tanh(s, s.mul_add(r, s.load(inner.add(j * lanes)), s.load(at(2, j))));
                            let out = s.mul_add(z, s.sub(s.load(h.add(j * lanes)), n), n);
                            for (gate, value) in [r, z, n].into_iter().enumerate() {
                                s.store(at(gate, j), value);
                            }
                            s.store(h_next.add(j * lanes), out);
                            y = s.mul_add(s.splat(*p.add(places.head + j)), out, y);
                        }
                    }
                }
                s.store(output.as_mut_ptr().add(t * lanes), y);
            }
        }
    }
}

/// The logistic function's derivative, from its value.
#[inline(always)]
fn logistic_slope<S: Simd>(s: S, value: S::F) -> S::F {
    s.mul(value, s.sub(s.splat(1.0), value))
}

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
        let (lanes, width, rows, places) = (S::LANES, shape.hidden, shape.rows(), shape.places());
        let p = self.parameters.as_ptr();
        let one = s.splat(1.0);
        sums.fill(0.0);
        // Of the state behind the frame at hand.
        let (mut hidden_gradient, mut cell_gradient) = (vec![0.0; width * lanes], vec![0.0; width * lanes]);
        let (dh, dc) = (hidden_gradient.as_mut_ptr(), cell_gradient.as_mut_ptr());
        let sums = sums.as_mut_ptr();
        let mut end = *frames;
        while end > 0 {
            let start = end.saturating_sub(BLOCK);
            // SAFETY: as in `Forward`; `sums` has a vector for each parameter, and `dh` and `dc` one for each hidden value.
            unsafe {
                for t in (start..end).rev() {
                    let dy = s.load(self.output_gradient.as_ptr().add(t * lanes));
                    let gates = gates.as_mut_ptr().add(t * rows * lanes);
                    let inner = inner.as_ptr().add(t * width * lanes);
                    let at = |gate: usize, j: usize| gates.add((gate * width + j) * lanes);
                    let transposed = Matrix {
                        weights: p.add(places.hidden_weights),
                        rows: width,
                        columns: rows,
                        row_step: 1,
                        column_step: width,
                    };
                    match shape.cell {
                        Cell::Lstm => {
                            let before = cells.as_ptr().add(t * width * lanes);
                            for j in 0..width {
                                let d = s.mul_add(s.splat(*p.add(places.head + j)), dy, s.load(dh.add(j * lanes)));
                                let (i, f) = (s.load(at(0, j)), s.load(at(1, j)));
                                let (g, o) = (s.load(at(2, j)), s.load(at(3, j)));
                                let bent = s.load(inner.add(j * lanes));
                                let slope = s.sub(one, s.mul(bent, bent));
                                let dcell = s.mul_add(s.mul(d, o), slope, s.load(dc.add(j * lanes)));
                                s.store(at(0, j), s.mul(s.mul(dcell, g), logistic_slope(s, i)));
                                s.store(at(1, j), s.mul(s.mul(dcell, s.load(before.add(j * lanes))), logistic_slope(s, f)));
                                s.store(at(2, j), s.mul(s.mul(dcell, i), s.sub(one, s.mul(g, g))));
                                s.store(at(3, j), s.mul(s.mul(d, bent), logistic_slope(s, o)));
                                s.store(dc.add(j * lanes), s.mul(dcell, f));
                                s.store(dh.add(j * lanes), s.splat(0.0));
                            }
                            multiply_add(s, transposed, gates, dh);
                        }
                        Cell::Gru => {
                            let before = hidden.as_ptr().add(t * width * lanes);
                            let apart = hidden_gates.as_mut_ptr().add(t * rows * lanes);
                            let hidden_at = |gate: usize, j: usize| apart.add((gate * width + j) * lanes);
                            for j in 0..width {
                                let d = s.mul_add(s.splat(*p.add(places.head + j)), dy, s.load(dh.add(j * lanes)));
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
                            multiply_add(s, transposed, apart, dh);
                        }
                    }
                }
                let count = end - start;
                let series = |values: *const f32, rows: usize| Series {
                    values: values.add(start * rows * lanes),
                    rows,
                    step: rows * lanes,
                };
                let own = series(gates.as_ptr(), rows);
                let recurrent = if shape.cell == Cell::Gru { series(hidden_gates.as_ptr(), rows) } else { own };
                let ones = [1.0f32; MOST_LANES];
                let ones = Series { values: ones.as_ptr(), rows: 1, step: 0 };
                let before = series(hidden.as_ptr(), width);
                let dy = series(self.output_gradient.as_ptr(), 1);
                outer_add(s, own, series(self.input.as_ptr(), shape.inputs), count, sums);
                outer_add(s, recurrent, before, count, sums.add(places.hidden_weights * lanes));
                outer_add(s, own, ones, count, sums.add(places.bias * lanes));
                if shape.cell == Cell::Gru {
                    outer_add(s, recurrent, ones, count, sums.add(places.hidden_bias * lanes));
                }
                let behind = Series { values: before.values.add(width * lanes), ..before };
                outer_add(s, dy, behind, count, sums.add(places.head * lanes));
                outer_add(s, dy, ones, count, sums.add(places.head_bias * lanes));
            }
            end = start;
        }
    }
}

/// Lanes of the widest level.
const MOST_LANES: usize = 16;
