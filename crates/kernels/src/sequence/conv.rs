//! Convolutions and dense layers: time in the lanes, channel after channel.

use super::aligned::{Aligned, LINE};
use super::recurrent::View;
use crate::activation::{Accuracy, Exact, Fast, Precision, activate};
use crate::description::{Activation, Conv1d};
use crate::simd::{Kernel, Level, Simd};

/// Outputs that are computed together.
const TILE: usize = 4;

/// A packed convolution and its activation.
pub struct Conv {
    pub inputs: usize,
    pub outputs: usize,
    taps: usize,
    dilation: usize,
    tiles: Vec<Tile>,
    /// Tile after tile: biases, then `[taps][inputs of the group][outputs of the tile]`.
    weights: Vec<f32>,
    activation: Activation,
}

/// Outputs of one group.
struct Tile {
    first_input: usize,
    inputs: usize,
    first_output: usize,
    /// Up to [`TILE`]; one alone or four are computed, those that are not there have zeros.
    outputs: usize,
    weights: usize,
}

impl Conv {
    /// # Panics
    /// If lengths of weights and shapes disagree.
    pub fn new(conv: &Conv1d, activation: &Activation) -> Self {
        let (inputs, outputs) = (conv.inputs / conv.groups, conv.outputs / conv.groups);
        assert!(inputs * conv.groups == conv.inputs && outputs * conv.groups == conv.outputs, "{} groups", conv.groups);
        assert_eq!(conv.weights.len(), conv.outputs * inputs * conv.taps, "convolution weights");
        assert!(conv.bias.as_ref().is_none_or(|b| b.len() == conv.outputs), "convolution bias");
        let (mut tiles, mut weights) = (Vec::new(), Vec::new());
        for group in 0..conv.groups {
            for first in (0..outputs).step_by(TILE) {
                let count = (outputs - first).min(TILE);
                let first_output = group * outputs + first;
                tiles.push(Tile { first_input: group * inputs, inputs, first_output, outputs: count, weights: weights.len() });
                let computed = if count == 1 { 1 } else { TILE };
                let mut each = |weight: &dyn Fn(usize) -> f32| {
                    weights.extend((0..computed).map(|o| if o < count { weight(first_output + o) } else { 0.0 }));
                };
                each(&|o| conv.bias.as_ref().map_or(0.0, |b| b[o]));
                for tap in 0..conv.taps {
                    for input in 0..inputs {
                        each(&|o| conv.weights[(o * inputs + input) * conv.taps + tap]);
                    }
                }
            }
        }
        let Conv1d { inputs, outputs, taps, dilation, .. } = *conv;
        Self { inputs, outputs, taps, dilation, tiles, weights, activation: activation.clone() }
    }

    /// Frames before the newest that it reads.
    pub fn reach(&self) -> usize {
        (self.taps - 1) * self.dilation
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&self.weights[..]) + size_of_val(&self.tiles[..])
    }
}

/// What some channels' inputs were, and the outputs of this chunk.
#[derive(Clone)]
pub struct State {
    channels: usize,
    /// Frames that an input's past and present have room for.
    room: usize,
    /// Frames of the past that are there; what comes goes behind them.
    now: usize,
    /// `[channels][inputs][room]`
    past: Aligned,
    /// `[channels][outputs][chunk]`
    outputs: Aligned,
    /// Frames of a chunk with room for whole vectors.
    chunk: usize,
}

impl State {
    pub fn new(conv: &Conv, channels: usize, most_frames: usize) -> Self {
        let chunk = (most_frames + BLOCK - 1).next_multiple_of(LINE);
        // The past is moved to the front when the room is full: seldom, so that it costs little.
        let room = (conv.reach() + conv.reach().max(4 * chunk) + chunk).next_multiple_of(LINE);
        Self {
            channels,
            room,
            now: conv.reach(),
            past: Aligned::new(channels * conv.inputs * room),
            outputs: Aligned::new(channels * conv.outputs * chunk),
            chunk,
        }
    }

    /// Gives every channel one past, `[inputs][reach]`.
    pub fn set(&mut self, conv: &Conv, past: &[f32]) {
        self.now = conv.reach();
        if self.now > 0 {
            for (row, past) in self.past.chunks_exact_mut(self.room).zip(past.chunks_exact(self.now).cycle()) {
                row[..self.now].copy_from_slice(past);
            }
        }
    }

    /// The past of the first channel, `[inputs][reach]`.
    pub fn get(&self, conv: &Conv, past: &mut [f32]) {
        let reach = conv.reach();
        for (to, row) in past.chunks_exact_mut(reach.max(1)).zip(self.past.chunks_exact(self.room)) {
            to.copy_from_slice(&row[self.now - reach..self.now]);
        }
    }

    /// The outputs of this chunk, of batches of `width` channels.
    pub fn view(&self, conv: &Conv, width: usize) -> View<'_> {
        let lane = conv.outputs * self.chunk;
        View { data: &self.outputs, batch: width * lane, lane, feature: self.chunk, frame: 1 }
    }

    pub fn bytes(&self) -> usize {
        self.past.bytes() + self.outputs.bytes()
    }

    /// Takes some frames from batches of `width` channels. [audio thread]
    pub fn run(&mut self, conv: &Conv, level: Level, precision: Precision, from: View<'_>, width: usize, frames: usize) {
        let reach = conv.reach();
        if self.now + self.chunk > self.room {
            for row in self.past.chunks_exact_mut(self.room) {
                row.copy_within(self.now - reach..self.now, 0);
            }
            self.now = reach;
        }
        for channel in 0..self.channels {
            let (batch, lane) = (channel / width, channel % width);
            for input in 0..conv.inputs {
                let to = &mut self.past[(channel * conv.inputs + input) * self.room + self.now..][..frames];
                from.copy(batch, lane, input, to);
            }
        }
        match precision {
            Precision::Fast => level.run(Run(conv, &mut *self, frames, Fast)),
            Precision::Exact => level.run(Run(conv, &mut *self, frames, Exact)),
        }
        self.now = if reach == 0 { 0 } else { self.now + frames };
    }
}

/// Frames that are computed together at the widest.
const BLOCK: usize = 4 * LINE;

struct Run<'a, A>(&'a Conv, &'a mut State, usize, A);

impl<A: Accuracy> Kernel for Run<'_, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self(conv, state, frames, _) = self;
        assert!(state.now + frames.next_multiple_of(BLOCK) <= state.room && frames.next_multiple_of(BLOCK) <= state.chunk);
        for channel in 0..state.channels {
            for tile in &conv.tiles {
                let place = Place {
                    weights: conv.weights[tile.weights..].as_ptr(),
                    inputs: tile.inputs,
                    taps: conv.taps,
                    dilation: conv.dilation,
                    x: state.past[(channel * conv.inputs + tile.first_input) * state.room + state.now - conv.reach()..].as_ptr(),
                    room: state.room,
                    outputs: tile.outputs,
                    y: state.outputs[(channel * conv.outputs + tile.first_output) * state.chunk..].as_mut_ptr(),
                    chunk: state.chunk,
                };
                // SAFETY: whole blocks fit into the room and the chunk, as checked above; the weights are packed for the tile.
                unsafe {
                    if tile.outputs == 1 {
                        place.run::<S, 1, 4>(s, frames);
                    } else {
                        place.run::<S, TILE, 2>(s, frames);
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

/// A tile of one channel: `x` is the oldest frame that the first output reads.
struct Place {
    weights: *const f32,
    inputs: usize,
    taps: usize,
    dilation: usize,
    x: *const f32,
    room: usize,
    outputs: usize,
    y: *mut f32,
    chunk: usize,
}

impl Place {
    /// `OUTPUTS` outputs of `VECTORS` vectors of frames at a time.
    #[inline(always)]
    unsafe fn run<S: Simd, const OUTPUTS: usize, const VECTORS: usize>(&self, s: S, frames: usize) {
        // SAFETY: the caller's.
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
                        x = x.add(self.room);
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
