//! LSTM and GRU layers, packed and run in two layouts with the same operations in the same order for every output.
//!
//! One channel has the units in the lanes; many channels have the channels in the lanes. Either way a sum is: bias, then the inputs, then
//! the state's first half and, apart (for short sums, to shorten the chain), its second half.

use std::sync::OnceLock;

use super::aligned::{Aligned, LINE};
use super::cell::{Cell, GruCell, LstmCell};
use crate::neural::activation::{Accuracy, Exact, Fast, Precision};
use crate::neural::description::{Gru, Lstm};
use crate::neural::simd::{Kernel, Level, Simd};

/// Up to this many units the state's two halves are summed apart.
const SHORT: usize = 24;
/// A bias nearer to 0 becomes this, so that sums cannot decay to what is denormal.
const LEAST_BIAS: f32 = 1e-12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lstm,
    Gru,
}

/// A layer with four sums for each unit (see [`Cell`]).
pub struct Recurrent {
    kind: Kind,
    pub inputs: usize,
    pub hidden: usize,
    /// `[4][hidden]`
    bias: Vec<f32>,
    /// `[4][hidden][inputs]`
    input: Vec<f32>,
    /// `[recurrent sums][hidden][hidden]`
    state: Vec<f32>,
    /// Output and own state before the first sample.
    pub start: [Vec<f32>; 2],
    /// Units in 8 lanes, in 16 lanes, channels in the lanes.
    packs: [OnceLock<Aligned>; 3],
}

impl Recurrent {
    /// # Panics
    /// If lengths of weights and shapes disagree.
    pub fn lstm(l: &Lstm) -> Self {
        let (inputs, hidden) = (l.inputs, l.hidden);
        assert_eq!(l.input_weights.len(), 4 * hidden * inputs, "LSTM input weights");
        assert_eq!(l.hidden_weights.len(), 4 * hidden * hidden, "LSTM hidden weights");
        assert_eq!([l.bias.len(), l.h0.len(), l.c0.len()], [4 * hidden, hidden, hidden], "LSTM bias, h0, c0");
        Self {
            kind: Kind::Lstm,
            inputs,
            hidden,
            bias: l.bias.clone(),
            input: l.input_weights.clone(),
            state: l.hidden_weights.clone(),
            start: [l.h0.clone(), l.c0.clone()],
            packs: Default::default(),
        }
    }

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
            kind: Kind::Gru,
            inputs,
            hidden,
            bias: summed.chain(g.hidden_bias[both..].iter().copied()).chain(g.input_bias[both..].iter().copied()).collect(),
            input: [&g.input_weights[..new], &vec![0.0; hidden * inputs], &g.input_weights[new..]].concat(),
            state: g.hidden_weights.clone(),
            start: [g.h0.clone(), g.h0.clone()],
            packs: Default::default(),
        }
    }

    fn recurrent_sums(&self) -> usize {
        match self.kind {
            Kind::Lstm => LstmCell::RECURRENT,
            Kind::Gru => GruCell::RECURRENT,
        }
    }

    /// The weights of as many units from `unit` on: `[4][units]` biases, `[inputs][4][units]`, `[hidden][recurrent sums][units]`.
    /// Units that are not there have zeros.
    fn pack(&self, unit: usize, units: usize, to: &mut Vec<f32>) {
        let (inputs, hidden) = (self.inputs, self.hidden);
        let each = |sums: usize, to: &mut Vec<f32>, weight: &dyn Fn(usize) -> f32| {
            for sum in 0..sums {
                to.extend((unit..unit + units).map(|u| if u < hidden { weight(sum * hidden + u) } else { 0.0 }));
            }
        };
        each(4, to, &|row| if self.bias[row].abs() < LEAST_BIAS { LEAST_BIAS } else { self.bias[row] });
        for k in 0..inputs {
            each(4, to, &|row| self.input[row * inputs + k]);
        }
        for k in 0..hidden {
            each(self.recurrent_sums(), to, &|row| self.state[row * hidden + k]);
        }
    }

    /// Floats of a packed unit.
    fn unit_size(&self) -> usize {
        4 * (1 + self.inputs) + self.recurrent_sums() * self.hidden
    }

    /// Weights with as many units side by side: the lanes of a level, or 1. [control thread]
    fn packed(&self, units: usize) -> &Aligned {
        self.packs[units.ilog2().saturating_sub(2) as usize].get_or_init(|| {
            let mut all = Vec::new();
            for unit in (0..self.hidden).step_by(units) {
                self.pack(unit, units, &mut all);
            }
            all.into()
        })
    }

    pub fn bytes(&self) -> usize {
        let own = self.bias.len() + self.input.len() + self.state.len() + 2 * self.hidden;
        4 * own + self.packs.iter().filter_map(OnceLock::get).map(Aligned::bytes).sum::<usize>()
    }
}

/// Units with room for a whole vector at the end.
fn padded(units: usize) -> usize {
    units.next_multiple_of(LINE)
}

/// Output and own state of some channels in one layer.
pub struct State {
    /// Channels side by side in the lanes; 1 has the units in the lanes.
    width: usize,
    /// From one unit of a frame to the next frame's.
    frame: usize,
    /// From one batch of `width` channels to the next.
    batch: usize,
    /// `[batches][frames + 1][units][width]`: the frame before, then those of this chunk.
    rows: Aligned,
    /// `[batches][units][width]`
    own: Aligned,
    /// `own` of before the last frame.
    before: Aligned,
    /// Frames of this chunk.
    frames: usize,
}

/// Where the inputs of a layer stand.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub data: &'a [f32],
    /// From one batch, channel in a batch, feature, frame to the next.
    pub batch: usize,
    pub lane: usize,
    pub feature: usize,
    pub frame: usize,
}

impl View<'_> {
    /// The first frames of one feature of one channel.
    #[inline(always)]
    pub fn copy(&self, batch: usize, lane: usize, feature: usize, to: &mut [f32]) {
        let from = &self.data[batch * self.batch + lane * self.lane + feature * self.feature..];
        if self.frame == 1 {
            to.copy_from_slice(&from[..to.len()]);
        } else {
            to.iter_mut().zip(from.iter().step_by(self.frame)).for_each(|(to, from)| *to = *from);
        }
    }
}

impl State {
    /// For the level that will run it. [control thread]
    pub fn new(layer: &Recurrent, level: Level, batches: usize, width: usize, most_frames: usize) -> Self {
        layer.packed(if width == 1 { level.lanes() } else { 1 });
        let units = if width == 1 { padded(layer.hidden) } else { layer.hidden };
        let frame = units * width;
        let batch = frame * (most_frames + 1);
        let own = Aligned::new(batches * frame);
        Self { width, frame, batch, rows: Aligned::new(batches * batch), before: own.clone(), own, frames: 0 }
    }

    /// Gives every channel one output and own state.
    pub fn set(&mut self, [output, own]: &[Vec<f32>; 2]) {
        for (rows, owns) in self.rows.chunks_exact_mut(self.batch).zip(self.own.chunks_exact_mut(self.frame)) {
            for (unit, (output, own)) in output.iter().zip(own).enumerate() {
                rows[unit * self.width..][..self.width].fill(*output);
                owns[unit * self.width..][..self.width].fill(*own);
            }
        }
        self.before.fill(f32::NAN);
        self.frames = 0;
    }

    /// Output and own state of the first channel.
    pub fn get(&self, layer: &Recurrent) -> [Vec<f32>; 2] {
        let first = |from: &[f32]| (0..layer.hidden).map(|unit| from[unit * self.width]).collect();
        [first(&self.rows[self.frames * self.frame..]), first(&self.own)]
    }

    /// Whether the last frame changed nothing.
    pub fn rests(&self) -> bool {
        let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        self.frames > 0
            && same(&self.own, &self.before)
            && self.rows.chunks_exact(self.batch).all(|rows| {
                let (last, now) = rows[(self.frames - 1) * self.frame..].split_at(self.frame);
                same(last, &now[..self.frame])
            })
    }

    /// The outputs of this chunk.
    pub fn view(&self) -> View<'_> {
        let data = &self.rows[self.frame..];
        View { data, batch: self.batch, lane: 1, feature: self.width, frame: self.frame }
    }

    pub fn bytes(&self) -> usize {
        self.rows.bytes() + 2 * self.own.bytes()
    }

    /// Runs some frames. A frame's input of a batch is `[inputs][width]` in a row. [audio thread]
    pub fn run(&mut self, layer: &Recurrent, level: Level, precision: Precision, input: View<'_>, frames: usize) {
        if self.frames > 0 {
            for rows in self.rows.chunks_exact_mut(self.batch) {
                rows.copy_within(self.frames * self.frame..(self.frames + 1) * self.frame, 0);
            }
        }
        self.frames = frames;
        let run = Run { layer, state: self, input, frames };
        match (layer.kind, precision) {
            (Kind::Lstm, Precision::Fast) => level.run(Typed::<LstmCell, Fast>(run, LstmCell, Fast)),
            (Kind::Lstm, Precision::Exact) => level.run(Typed::<LstmCell, Exact>(run, LstmCell, Exact)),
            (Kind::Gru, Precision::Fast) => level.run(Typed::<GruCell, Fast>(run, GruCell, Fast)),
            (Kind::Gru, Precision::Exact) => level.run(Typed::<GruCell, Exact>(run, GruCell, Exact)),
        }
    }
}

struct Run<'a> {
    layer: &'a Recurrent,
    state: &'a mut State,
    input: View<'a>,
    frames: usize,
}

struct Typed<'a, C, A>(Run<'a>, C, A);

impl<C: Cell, A: Accuracy> Kernel for Typed<'_, C, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let run = self.0;
        let batches = run.state.own.len() / run.state.frame;
        assert!(run.frames < run.state.batch / run.state.frame, "a chunk of {} frames", run.frames);
        assert!(
            run.input.data.len()
                >= (batches - 1) * run.input.batch + (run.frames - 1) * run.input.frame + run.layer.inputs * run.state.width
        );
        // SAFETY: inputs, rows and states have been sized for the layer, as checked here and in `State::new`; a batch's width is 1 or
        // one or two vectors.
        unsafe {
            match run.state.width {
                1 => match run.layer.hidden {
                    8 => single::<S, C, A, 8>(s, run, batches),
                    16 => single::<S, C, A, 16>(s, run, batches),
                    20 => single::<S, C, A, 20>(s, run, batches),
                    32 => single::<S, C, A, 32>(s, run, batches),
                    40 => single::<S, C, A, 40>(s, run, batches),
                    _ => single::<S, C, A, 0>(s, run, batches),
                },
                width if width == S::LANES => many::<S, C, A, 1>(s, run, batches),
                width if width == 2 * S::LANES => many::<S, C, A, 2>(s, run, batches),
                width => panic!("{width} channels side by side at {:?}", S::LEVEL),
            }
        }
    }
}

/// Units in the lanes, channels in turn. `HIDDEN` is the number of units, or 0 if it is only known now.
#[inline(always)]
unsafe fn single<S: Simd, C: Cell, A: Accuracy, const HIDDEN: usize>(s: S, run: Run<'_>, channels: usize) {
    let Run { layer, state, input, frames } = run;
    let hidden = if HIDDEN > 0 { HIDDEN } else { layer.hidden };
    let shape = Shape { inputs: layer.inputs, hidden, block: S::LANES * layer.unit_size() };
    let blocks = hidden.div_ceil(S::LANES);
    let weights = layer.packed(S::LANES).as_ptr();
    let (rows, own) = (state.rows.as_mut_ptr(), state.own.as_mut_ptr());
    for t in 0..frames {
        if t + 1 == frames {
            // SAFETY: two buffers of one length.
            unsafe { std::ptr::copy_nonoverlapping(own, state.before.as_mut_ptr(), state.own.len()) };
        }
        for channel in 0..channels {
            // SAFETY: within the buffers for every channel and frame.
            unsafe {
                let x = input.data.as_ptr().add(channel * input.batch + t * input.frame);
                let h = rows.add(channel * state.batch + t * state.frame);
                let step = Step { x, h, to: h.add(state.frame), own: own.add(channel * state.frame), weights };
                let mut block = 0;
                if hidden <= SHORT {
                    while block < blocks {
                        tile::<S, C, A, 1, 2>(s, shape, step, block);
                        block += 1;
                    }
                } else {
                    if blocks % 2 == 1 {
                        tile::<S, C, A, 3, 1>(s, shape, step, 0);
                        block = 3;
                    }
                    while block < blocks {
                        tile::<S, C, A, 2, 1>(s, shape, step, block);
                        block += 2;
                    }
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Shape {
    inputs: usize,
    hidden: usize,
    /// Packed floats of a vector of units.
    block: usize,
}

/// One frame of one channel.
#[derive(Clone, Copy)]
struct Step {
    x: *const f32,
    h: *const f32,
    to: *mut f32,
    own: *mut f32,
    weights: *const f32,
}

/// Some vectors of units for one frame of one channel, the state summed in so many parts.
#[inline(always)]
unsafe fn tile<S: Simd, C: Cell, A: Accuracy, const BLOCKS: usize, const PARTS: usize>(
    s: S,
    shape: Shape,
    step: Step,
    first: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let weights = step.weights.add(first * shape.block);
        let mut sums = [[[s.splat(0.0); 4]; BLOCKS]; PARTS];
        for (b, sums) in sums[0].iter_mut().enumerate() {
            for (g, sum) in sums.iter_mut().enumerate() {
                *sum = s.load(weights.add(b * shape.block + g * S::LANES));
            }
        }
        let mut column = weights.add(4 * S::LANES);
        for k in 0..shape.inputs {
            let x = s.splat(*step.x.add(k));
            for (b, sums) in sums[0].iter_mut().enumerate() {
                for (g, sum) in sums.iter_mut().enumerate() {
                    *sum = s.mul_add(s.load(column.add(b * shape.block + g * S::LANES)), x, *sum);
                }
            }
            column = column.add(4 * S::LANES);
        }
        let stride = C::RECURRENT * S::LANES;
        let part = shape.hidden / PARTS;
        for k in 0..part {
            for (p, sums) in sums.iter_mut().enumerate() {
                let h = s.splat(*step.h.add(p * part + k));
                let column = column.add((p * part + k) * stride);
                for (b, sums) in sums.iter_mut().enumerate() {
                    for (g, sum) in sums[..C::RECURRENT].iter_mut().enumerate() {
                        *sum = s.mul_add(s.load(column.add(b * shape.block + g * S::LANES)), h, *sum);
                    }
                }
            }
        }
        for k in PARTS * part..shape.hidden {
            let h = s.splat(*step.h.add(k));
            let column = column.add(k * stride);
            for (b, sums) in sums[PARTS - 1].iter_mut().enumerate() {
                for (g, sum) in sums[..C::RECURRENT].iter_mut().enumerate() {
                    *sum = s.mul_add(s.load(column.add(b * shape.block + g * S::LANES)), h, *sum);
                }
            }
        }
        for b in 0..BLOCKS {
            let mut all = sums[0][b];
            for part in &sums[1..] {
                for (sum, more) in all.iter_mut().zip(part[b]) {
                    *sum = s.add(*sum, more);
                }
            }
            let place = (first + b) * S::LANES;
            let (own, h) = C::step::<S, A>(s, all, s.load(step.own.add(place)));
            s.store(step.own.add(place), own);
            s.store(step.to.add(place), h);
        }
    }
}

/// Channels in the lanes of `VECTORS` vectors.
#[inline(always)]
unsafe fn many<S: Simd, C: Cell, A: Accuracy, const VECTORS: usize>(s: S, run: Run<'_>, batches: usize) {
    let Run { layer, state, input, frames } = run;
    let hidden = layer.hidden;
    let weights = layer.packed(1).as_ptr();
    for batch in 0..batches {
        // SAFETY: within the buffers for every batch, frame and unit; `width` is `VECTORS` vectors.
        unsafe {
            let rows = state.rows.as_mut_ptr().add(batch * state.batch);
            let own = state.own.as_mut_ptr().add(batch * state.frame);
            for t in 0..frames {
                if t + 1 == frames {
                    std::ptr::copy_nonoverlapping(own, state.before.as_mut_ptr().add(batch * state.frame), state.frame);
                }
                let x = input.data.as_ptr().add(batch * input.batch + t * input.frame);
                let h = rows.add(t * state.frame);
                let step = Step { x, h, to: h.add(state.frame), own, weights };
                let shape = Shape { inputs: layer.inputs, hidden, block: layer.unit_size() };
                let mut unit = 0;
                if VECTORS == 1 {
                    while unit + 1 < hidden {
                        units::<S, C, A, VECTORS, 2>(s, shape, step, unit);
                        unit += 2;
                    }
                }
                while unit < hidden {
                    units::<S, C, A, VECTORS, 1>(s, shape, step, unit);
                    unit += 1;
                }
            }
        }
    }
}

/// `UNITS` units of one frame of a batch.
#[inline(always)]
unsafe fn units<S: Simd, C: Cell, A: Accuracy, const VECTORS: usize, const UNITS: usize>(
    s: S,
    shape: Shape,
    step: Step,
    first: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let weights = step.weights.add(first * shape.block);
        let width = VECTORS * S::LANES;
        let mut sums = [[[s.splat(0.0); 4]; VECTORS]; UNITS];
        for (u, sums) in sums.iter_mut().enumerate() {
            for sums in sums.iter_mut() {
                for (g, sum) in sums.iter_mut().enumerate() {
                    *sum = s.splat(*weights.add(u * shape.block + g));
                }
            }
        }
        for k in 0..shape.inputs {
            add_column::<S, VECTORS, UNITS, 4>(s, &mut sums, weights.add(4 * (1 + k)), shape.block, step.x.add(k * width));
        }
        let columns = weights.add(4 * (1 + shape.inputs));
        let first_part = if shape.hidden <= SHORT { shape.hidden / 2 } else { shape.hidden };
        for k in 0..first_part {
            add_state_column::<S, C, VECTORS, UNITS>(
                s,
                &mut sums,
                columns.add(k * C::RECURRENT),
                shape.block,
                step.h.add(k * width),
            );
        }
        if first_part < shape.hidden {
            let mut second = [[[s.splat(0.0); 4]; VECTORS]; UNITS];
            for k in first_part..shape.hidden {
                add_state_column::<S, C, VECTORS, UNITS>(
                    s,
                    &mut second,
                    columns.add(k * C::RECURRENT),
                    shape.block,
                    step.h.add(k * width),
                );
            }
            for (sums, second) in sums.iter_mut().flatten().zip(second.iter().flatten()) {
                for (sum, second) in sums.iter_mut().zip(second) {
                    *sum = s.add(*sum, *second);
                }
            }
        }
        for (u, sums) in sums.iter().enumerate() {
            for (v, sums) in sums.iter().enumerate() {
                let place = (first + u) * width + v * S::LANES;
                let (own, h) = C::step::<S, A>(s, *sums, s.load(step.own.add(place)));
                s.store(step.own.add(place), own);
                s.store(step.to.add(place), h);
            }
        }
    }
}

#[inline(always)]
unsafe fn add_state_column<S: Simd, C: Cell, const VECTORS: usize, const UNITS: usize>(
    s: S,
    sums: &mut [[[S::F; 4]; VECTORS]; UNITS],
    weights: *const f32,
    unit: usize,
    x: *const f32,
) {
    // SAFETY: the caller's.
    unsafe {
        match C::RECURRENT {
            3 => add_column::<S, VECTORS, UNITS, 3>(s, sums, weights, unit, x),
            _ => add_column::<S, VECTORS, UNITS, 4>(s, sums, weights, unit, x),
        }
    }
}

/// Adds the first `SUMS` weights times one input (or output of before) of every channel.
#[inline(always)]
unsafe fn add_column<S: Simd, const VECTORS: usize, const UNITS: usize, const SUMS: usize>(
    s: S,
    sums: &mut [[[S::F; 4]; VECTORS]; UNITS],
    weights: *const f32,
    unit: usize,
    x: *const f32,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut inputs = [s.splat(0.0); VECTORS];
        for (v, input) in inputs.iter_mut().enumerate() {
            *input = s.load(x.add(v * S::LANES));
        }
        for (u, sums) in sums.iter_mut().enumerate() {
            for g in 0..SUMS {
                let weight = s.splat(*weights.add(u * unit + g));
                for (sums, input) in sums.iter_mut().zip(inputs) {
                    sums[g] = s.mul_add(weight, input, sums[g]);
                }
            }
        }
    }
}
