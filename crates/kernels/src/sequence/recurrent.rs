//! LSTM and GRU layers, packed and run in two layouts with the same operations in the same order for every output.
//!
//! One channel has the units in the lanes; many channels have the channels in the lanes. Either way a sum is: bias, then the inputs, then
//! the state's first half and, apart (for short sums, to shorten the chain), its second half.

#![allow(clippy::needless_range_loop, reason = "sums stay in registers in counted loops, not behind iterators")]

use std::sync::OnceLock;

use super::aligned::{Aligned, LINE};
use super::cell::{Cell, GruCell, LstmCell};
use super::twice::Twice;
use crate::activation::{Accuracy, Exact, Fast, Precision};
use crate::description::{Gru, Lstm};
use crate::simd::{Kernel, Level, Simd};

/// Up to this many units the state's two halves are summed apart.
const SHORT: usize = 16;
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

    /// The weights of as many units from `unit` on: `[4][units]` biases, `[inputs][4][units]`, `[hidden][sums][units]`. Units that are
    /// not there have zeros.
    fn pack(&self, unit: usize, units: usize, sums: usize, to: &mut Vec<f32>) {
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
            each(sums, to, &|row| self.state.get(row * hidden + k).copied().unwrap_or(0.0));
        }
    }

    /// Weights with as many units side by side: the lanes of a level, or 1. If at most half of the last vector's lanes would have units,
    /// these have all four sums in two vectors. [control thread]
    fn packed(&self, units: usize) -> &Aligned {
        self.packs[units.ilog2().saturating_sub(2) as usize].get_or_init(|| {
            let mut all = Vec::new();
            let half = has_half(self.hidden, units);
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

    /// Floats of a packed unit.
    fn unit_size(&self) -> usize {
        4 * (1 + self.inputs) + self.recurrent_sums() * self.hidden
    }

    pub fn bytes(&self) -> usize {
        let own = self.bias.len() + self.input.len() + self.state.len() + 2 * self.hidden;
        4 * own + self.packs.iter().filter_map(OnceLock::get).map(Aligned::bytes).sum::<usize>()
    }
}

/// Whether the units behind those that fill whole vectors fit into half of one.
#[inline(always)]
fn has_half(hidden: usize, lanes: usize) -> bool {
    (1..=lanes / 2).contains(&(hidden % lanes))
}

/// Units with room for a whole vector at the end.
fn padded(units: usize) -> usize {
    units.next_multiple_of(LINE)
}

/// Output and own state of some channels in one layer.
#[derive(Clone)]
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
            // Behind the last unit may stand what half vectors left.
            rows[..self.frame].fill(0.0);
            owns.fill(0.0);
            for (unit, (output, own)) in output.iter().zip(own).enumerate() {
                rows[unit * self.width..][..self.width].fill(*output);
                owns[unit * self.width..][..self.width].fill(*own);
            }
        }
        self.before.fill(f32::NAN);
        self.frames = 0;
    }

    /// Output and own state of the first channel.
    pub fn get(&self, [output, own]: &mut [Vec<f32>; 2]) {
        let first =
            |from: &[f32], to: &mut [f32]| to.iter_mut().zip(from.iter().step_by(self.width)).for_each(|(to, x)| *to = *x);
        first(&self.rows[self.frames * self.frame..], output);
        first(&self.own, own);
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
                width if width == S::LANES => many::<S, C, A>(s, run, batches),
                width if width == 2 * S::LANES => many::<Twice<S>, C, A>(Twice(s), run, batches),
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
    let half = has_half(hidden, S::LANES);
    let blocks = if half { hidden / S::LANES } else { hidden.div_ceil(S::LANES) };
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
                match (hidden <= SHORT, blocks, half) {
                    (true, 0, _) => _ = tile::<S, C, A, 0, 1, 2>(s, shape, step, 0),
                    (true, 1, false) => _ = tile::<S, C, A, 1, 0, 2>(s, shape, step, 0),
                    (true, 1, true) => _ = tile::<S, C, A, 1, 1, 2>(s, shape, step, 0),
                    (true, ..) => _ = tile::<S, C, A, 2, 0, 2>(s, shape, step, 0),
                    (false, ..) => {
                        let mut first = 0;
                        while first < blocks {
                            first += match (blocks - first, half) {
                                (1, true) => tile::<S, C, A, 1, 1, 1>(s, shape, step, first),
                                (2, true) => tile::<S, C, A, 2, 1, 1>(s, shape, step, first),
                                (left, false) if left % 2 == 1 => tile::<S, C, A, 3, 0, 1>(s, shape, step, first),
                                _ => tile::<S, C, A, 2, 0, 1>(s, shape, step, first),
                            };
                        }
                    }
                };
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

/// For one frame of one channel: some whole vectors of units and, last, perhaps the units in half a vector, the state summed in so many
/// parts. Gives the number of whole vectors.
#[inline(always)]
unsafe fn tile<S: Simd, C: Cell, A: Accuracy, const BLOCKS: usize, const HALVES: usize, const PARTS: usize>(
    s: S,
    shape: Shape,
    step: Step,
    first: usize,
) -> usize {
    let lanes = S::LANES;
    // SAFETY: the caller's.
    unsafe {
        let weights = step.weights.add(first * shape.block);
        let half_weights = weights.add(BLOCKS * shape.block);
        let mut sums = [[[s.splat(0.0); 4]; BLOCKS]; PARTS];
        // Sums 0 and 1 of the units in one vector, 2 and 3 in the other.
        let mut half = [[[s.splat(0.0); 2]; HALVES]; PARTS];
        for b in 0..BLOCKS {
            for g in 0..4 {
                sums[0][b][g] = s.load(weights.add(b * shape.block + g * lanes));
            }
        }
        for b in 0..HALVES {
            half[0][b] = [s.load(half_weights), s.load(half_weights.add(lanes))];
        }
        for k in 0..shape.inputs {
            let x = s.splat(*step.x.add(k));
            sums[0] = add_broadcast::<S, BLOCKS>(s, sums[0], 4, weights.wrapping_add(4 * lanes * (1 + k)), shape.block, x);
            half[0] = add_broadcast_half::<S, HALVES>(s, half[0], half_weights.wrapping_add(2 * lanes * (1 + k)), x);
        }
        // Behind the weights if there are no whole vectors, or no half: nothing is read there.
        let columns = weights.wrapping_add(4 * lanes * (1 + shape.inputs));
        let half_columns = half_weights.wrapping_add(2 * lanes * (1 + shape.inputs));
        let part = shape.hidden / PARTS;
        for p in 0..PARTS {
            let end = if p + 1 == PARTS { shape.hidden } else { (p + 1) * part };
            for k in p * part..end {
                let h = s.splat(*step.h.add(k));
                let here = columns.wrapping_add(k * C::RECURRENT * lanes);
                sums[p] = add_broadcast::<S, BLOCKS>(s, sums[p], C::RECURRENT, here, shape.block, h);
                half[p] = add_broadcast_half::<S, HALVES>(s, half[p], half_columns.wrapping_add(k * 2 * lanes), h);
            }
        }
        for p in 1..PARTS {
            for b in 0..BLOCKS {
                for g in 0..4 {
                    sums[0][b][g] = s.add(sums[0][b][g], sums[p][b][g]);
                }
            }
            for b in 0..HALVES {
                half[0][b] = [s.add(half[0][b][0], half[p][b][0]), s.add(half[0][b][1], half[p][b][1])];
            }
        }
        let mut b = 0;
        if BLOCKS % 2 == 1 {
            finish::<S, C, A>(s, sums[0][0], step, first * lanes);
            b = 1;
        }
        while b < BLOCKS {
            let [one, other] = [sums[0][b], sums[0][b + 1]];
            let both = [[one[0], other[0]], [one[1], other[1]], [one[2], other[2]], [one[3], other[3]]];
            finish::<Twice<S>, C, A>(Twice(s), both, step, (first + b) * lanes);
            b += 2;
        }
        for [a, b] in half[0] {
            finish::<S, C, A>(s, [a, s.swap_halves(a), b, s.swap_halves(b)], step, (first + BLOCKS) * lanes);
        }
    }
    BLOCKS
}

/// Adds the first `count` weights of every unit times one input (or output of before).
#[inline(always)]
unsafe fn add_broadcast<S: Simd, const BLOCKS: usize>(
    s: S,
    mut sums: [[S::F; 4]; BLOCKS],
    count: usize,
    weights: *const f32,
    block: usize,
    x: S::F,
) -> [[S::F; 4]; BLOCKS] {
    for b in 0..BLOCKS {
        for g in 0..4 {
            if g < count {
                // SAFETY: the caller's.
                let weights = unsafe { s.load(weights.add(b * block + g * S::LANES)) };
                sums[b][g] = s.mul_add(weights, x, sums[b][g]);
            }
        }
    }
    sums
}

/// The same of the units in half a vector.
#[inline(always)]
unsafe fn add_broadcast_half<S: Simd, const HALVES: usize>(
    s: S,
    mut sums: [[S::F; 2]; HALVES],
    weights: *const f32,
    x: S::F,
) -> [[S::F; 2]; HALVES] {
    for b in 0..HALVES {
        for v in 0..2 {
            // SAFETY: the caller's.
            let weights = unsafe { s.load(weights.add(v * S::LANES)) };
            sums[b][v] = s.mul_add(weights, x, sums[b][v]);
        }
    }
    sums
}

/// From the sums of a vector of units (or channels) at a place of the output to what the cell makes of them.
#[inline(always)]
unsafe fn finish<S: Simd, C: Cell, A: Accuracy>(s: S, sums: [S::F; 4], step: Step, place: usize) {
    // SAFETY: the caller's.
    unsafe {
        let (own, h) = C::step::<S, A>(s, sums, s.load(step.own.add(place)));
        s.store(step.own.add(place), own);
        s.store(step.to.add(place), h);
    }
}

/// Channels in the lanes.
#[inline(always)]
unsafe fn many<S: Simd, C: Cell, A: Accuracy>(s: S, run: Run<'_>, batches: usize) {
    let Run { layer, state, input, frames } = run;
    let hidden = layer.hidden;
    let weights = layer.packed(1).as_ptr();
    for batch in 0..batches {
        // SAFETY: within the buffers for every batch, frame and unit; a batch is as wide as a vector.
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
                for unit in 0..hidden {
                    one_unit::<S, C, A>(s, shape, step, unit);
                }
            }
        }
    }
}

/// A unit for one frame of a batch.
#[inline(always)]
unsafe fn one_unit<S: Simd, C: Cell, A: Accuracy>(s: S, shape: Shape, step: Step, unit: usize) {
    // SAFETY: the caller's.
    unsafe {
        let weights = step.weights.add(unit * shape.block);
        let mut sums = [s.splat(0.0); 4];
        for g in 0..4 {
            sums[g] = s.splat(*weights.add(g));
        }
        for k in 0..shape.inputs {
            sums = add_column(s, sums, 4, weights.add(4 * (1 + k)), step.x.add(k * S::LANES));
        }
        let columns = weights.add(4 * (1 + shape.inputs));
        let part = if shape.hidden <= SHORT { shape.hidden / 2 } else { shape.hidden };
        for k in 0..part {
            sums = add_column(s, sums, C::RECURRENT, columns.add(k * C::RECURRENT), step.h.add(k * S::LANES));
        }
        if part < shape.hidden {
            let mut second = [s.splat(0.0); 4];
            for k in part..shape.hidden {
                second = add_column(s, second, C::RECURRENT, columns.add(k * C::RECURRENT), step.h.add(k * S::LANES));
            }
            for g in 0..4 {
                sums[g] = s.add(sums[g], second[g]);
            }
        }
        finish::<S, C, A>(s, sums, step, unit * S::LANES);
    }
}

/// Adds the first `count` weights times one input (or output of before) of every channel.
#[inline(always)]
unsafe fn add_column<S: Simd>(s: S, mut sums: [S::F; 4], count: usize, weights: *const f32, x: *const f32) -> [S::F; 4] {
    // SAFETY: the caller's.
    let x = unsafe { s.load(x) };
    for g in 0..4 {
        if g < count {
            // SAFETY: the caller's.
            sums[g] = s.mul_add(s.splat(unsafe { *weights.add(g) }), x, sums[g]);
        }
    }
    sums
}
