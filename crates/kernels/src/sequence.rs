//! Layers one after another: convolutions, dense layers, LSTM, GRU.

mod aligned;
mod cell;
mod conv;
mod head;
mod recurrent;
mod twice;

use std::sync::Arc;

use aligned::Aligned;
use conv::Conv;
use head::Head;
use recurrent::{Recurrent, View};

use super::activation::{Accuracy, Exact, Fast, Precision, activate};
use super::description::{Activation, Layer, Sequence};
use super::network::{self, MIDDLE, Mode, Network};
use super::simd::{Kernel, Level, Simd};
use crate::Block;

/// Packs a description. `sample_rate` gives the half second of silence that a recurrent network is prewarmed with, unless it comes
/// to rest before; with a rate of 0 it starts as its layers do, without. [control thread]
///
/// # Panics
/// If lengths of weights and shapes disagree.
#[must_use]
pub fn build(description: &Sequence, sample_rate: f32) -> Arc<dyn Network> {
    let mut layers: Vec<Packed> = Vec::new();
    for layer in &description.layers {
        layers.push(match layer {
            Layer::Lstm(l) => Packed::Recurrent(Recurrent::lstm(l)),
            Layer::Gru(g) => Packed::Recurrent(Recurrent::gru(g)),
            Layer::Conv1d(c, activation) => match layers.last() {
                Some(Packed::Recurrent(_)) if [c.taps, c.outputs, c.groups] == [1; 3] => {
                    Packed::Head(Head::new(c), activation.clone())
                }
                _ => Packed::Conv(Conv::new(c, activation)),
            },
        });
    }
    Arc::new(Packs {
        layers,
        inputs: description.inputs(),
        input_gain: description.input_gain,
        output_gain: description.output_gain,
        skip: description.skip,
        sample_rate,
    })
}

/// Seconds of silence before the first sample of a recurrent network, as NeuralAmpModelerCore has it.
const PREWARM_SECONDS: f32 = 0.5;
/// Frames that go through all layers before the next ones; fewer for many channels, so that they stay in the cache.
const CHUNK: usize = 64;
const CHUNK_OF_MANY: usize = 32;

enum Packed {
    Recurrent(Recurrent),
    Head(Head, Activation),
    Conv(Conv),
}

struct Packs {
    layers: Vec<Packed>,
    inputs: usize,
    input_gain: f32,
    output_gain: f32,
    skip: bool,
    sample_rate: f32,
}

impl Packs {
    fn reach(&self) -> usize {
        self.layers.iter().map(|l| if let Packed::Conv(c) = l { c.reach() } else { 0 }).sum()
    }

    /// The widest recurrent layer's units, or nothing if there is no such layer.
    fn units(&self) -> Option<usize> {
        self.layers.iter().filter_map(|l| if let Packed::Recurrent(r) = l { Some(r.hidden) } else { None }).max()
    }

    /// Frames of silence that a network is prewarmed with at the most.
    fn prewarming(&self) -> usize {
        match self.units() {
            _ if self.sample_rate <= 0.0 => 0,
            None => self.reach() + 1,
            Some(_) => self.reach() + (PREWARM_SECONDS * self.sample_rate).round() as usize,
        }
    }

    /// Whether a convolution reaches back behind a recurrent layer: then it is hard to know when all is at rest.
    fn reaches_behind(&self) -> bool {
        let recurrent = self.layers.iter().position(|l| matches!(l, Packed::Recurrent(_))).unwrap_or(self.layers.len());
        self.layers[recurrent..].iter().any(|l| matches!(l, Packed::Conv(c) if c.reach() > 0))
    }
}

/// Frames for which knobs stand before it is worth knowing what silence gives there.
const STANDING_FRAMES: usize = 2048;

/// The state that silence leaves, with knobs that stand.
#[derive(Clone)]
struct Rest {
    /// Values of the knobs.
    knobs: Vec<f32>,
    /// Frames of silence so far.
    frames: usize,
    /// There was silence enough: what follows is known.
    done: bool,
    /// Every layer behind the silence.
    start: Vec<Start>,
    /// The last frame that came out.
    output: f32,
}

impl Rest {
    fn is_at(&self, knobs: impl Iterator<Item = f32>) -> bool {
        self.knobs.iter().map(|knob| knob.to_bits()).eq(knobs.map(f32::to_bits))
    }
}

/// The state in which a network begins.
#[derive(Clone)]
struct Settled {
    /// The channel that silence goes through; nothing where no knob can ask for another state.
    one: Option<Group>,
    /// Every layer before the first frame.
    first: Vec<Start>,
    /// For the knobs that were asked for last.
    now: Rest,
    /// For the knobs that are expected: worked on little by little while sound plays, so that nobody waits for it.
    next: Rest,
}

impl Settled {
    fn new(packs: &Packs, mode: Mode) -> Self {
        let level = Level::best_up_to(mode.level);
        let start = || packs.layers.iter().map(Packed::start).collect();
        let knobs: Vec<f32> = (0..packs.inputs - 1).map(|k| mode.knobs.get(k).copied().unwrap_or(MIDDLE)).collect();
        let rest = || Rest { knobs: knobs.clone(), frames: 0, done: false, start: start(), output: 0.0 };
        let one = Some(Group::new(packs, level, level, 0, 1, 1));
        let mut new = Self { one, first: start(), now: rest(), next: rest() };
        new.begin(packs, knobs.iter().copied());
        new.go_on(packs, mode.precision, usize::MAX);
        std::mem::swap(&mut new.now, &mut new.next);
        new.one = new.one.filter(|_| packs.inputs > 1);
        new
    }

    /// For other knobs. [audio thread]
    fn turn(&mut self, packs: &Packs, precision: Precision, knobs: &[f32]) {
        let knobs = knobs[..self.now.knobs.len().min(knobs.len())].iter().copied();
        if !self.now.is_at(knobs.clone()) {
            self.prepare(packs, precision, knobs, usize::MAX);
            std::mem::swap(&mut self.now, &mut self.next);
        }
    }

    /// Works on what [`Self::turn`] will be asked for, for about so many frames. [audio thread]
    fn prepare(&mut self, packs: &Packs, precision: Precision, knobs: impl Iterator<Item = f32> + Clone, frames: usize) {
        if self.one.is_none() || self.now.is_at(knobs.clone()) {
            return;
        }
        if !self.next.is_at(knobs.clone()) {
            self.begin(packs, knobs);
        }
        self.go_on(packs, precision, frames);
    }

    fn begin(&mut self, packs: &Packs, knobs: impl Iterator<Item = f32>) {
        let Some(one) = &mut self.one else { return };
        one.set(packs, &self.first);
        self.next.knobs.iter_mut().zip(knobs).for_each(|(own, knob)| *own = knob);
        (self.next.frames, self.next.done) = (0, false);
        for (row, value) in one.input.chunks_exact_mut(one.chunk).zip(std::iter::once(&0.0).chain(&self.next.knobs)) {
            row.fill(*value);
        }
    }

    fn go_on(&mut self, packs: &Packs, precision: Precision, frames: usize) {
        let (Some(one), next) = (&mut self.one, &mut self.next) else { return };
        let (reach, most, knowable) = (packs.reach(), packs.prewarming(), !packs.reaches_behind());
        let end = next.frames.saturating_add(frames);
        if most == 0 && !next.done {
            // Without silence it starts as its layers do.
            one.get(packs, &mut next.start);
            (next.output, next.done) = (0.0, true);
        }
        while !next.done && next.frames < end {
            // Always in the same pieces, so that the end is the same.
            let n = (most - next.frames).min(one.chunk);
            one.run(packs, precision, n);
            next.frames += n;
            if next.frames == most || (knowable && next.frames > reach && one.rests()) {
                let mut last = [0.0; CHUNK];
                one.output(packs, 0, &mut last[..n]);
                next.output = last[n - 1] * packs.output_gain;
                one.get(packs, &mut next.start);
                next.done = true;
            }
        }
    }
}

impl Network for Packs {
    fn voices(self: Arc<Self>, mode: Mode) -> Result<Box<dyn network::Voices>, String> {
        let settled = Settled::new(&self, mode);
        let groups = groups(&self, mode);
        let signals = mode.channels + self.inputs - 1;
        let constant = vec![Constant { value: 0, frames: 0 }; signals];
        let mut voices = Voices { packs: self, precision: mode.precision, settled, groups, constant };
        network::Voices::reset(&mut voices);
        Ok(Box::new(voices))
    }

    fn bytes(&self) -> usize {
        self.layers.iter().map(Packed::bytes).sum()
    }
}

impl Packed {
    /// State of before the first sample.
    fn start(&self) -> Start {
        match self {
            Self::Recurrent(r) => Start::Recurrent(r.start.clone()),
            Self::Head(..) => Start::Nothing,
            Self::Conv(c) => Start::Past(vec![0.0; c.inputs * c.reach()]),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Recurrent(r) => r.bytes(),
            Self::Head(h, _) => h.bytes(),
            Self::Conv(c) => c.bytes(),
        }
    }
}

/// A layer's state of one channel.
#[derive(Clone)]
enum Start {
    /// Output and own state.
    Recurrent([Vec<f32>; 2]),
    /// `[inputs][reach]`
    Past(Vec<f32>),
    Nothing,
}

/// How the channels are taken together.
fn groups(packs: &Packs, mode: Mode) -> Vec<Group> {
    let best = Level::best_up_to(mode.level);
    let Some(units) = packs.units() else {
        return vec![Group::new(packs, best, best, 0, mode.channels, 1)];
    };
    let mut groups = Vec::new();
    let mut first = 0;
    while first < mode.channels {
        let left = mode.channels - first;
        let (level, width, channels) = if best == Level::Avx512 && left > 24 {
            (best, 32, left.min(32))
        } else if left >= LEAST_SIDE_BY_SIDE {
            (best, 16, left.min(16))
        } else {
            (single_level(best, units), 1, left)
        };
        groups.push(Group::new(packs, level, best, first, channels, width));
        first += channels;
    }
    groups
}

/// Fewer channels than this go one after the other, frame by frame, so that none waits for itself. (Measured: for 8 to 40 units the
/// vectors of sixteen channels pay from nine to fifteen channels on.)
const LEAST_SIDE_BY_SIDE: usize = 12;

/// The level at which one channel, with its units in the lanes, is faster: few units would leave half of the widest lanes empty.
fn single_level(best: Level, units: usize) -> Level {
    if units <= Level::Avx2.lanes() { best.min(Level::Avx2) } else { best }
}

#[derive(Clone)]
enum Stage {
    /// Inputs, `[batches][chunk][inputs][width]`, unless the layer before has them in place.
    Recurrent(Aligned, recurrent::State),
    /// `[batches][chunk][width]`
    Head(Aligned),
    Conv(conv::State),
}

/// Channels that run together: batches of one, or one batch of some side by side.
#[derive(Clone)]
struct Group {
    /// Of recurrent layers and heads.
    level: Level,
    /// Of convolutions.
    conv_level: Level,
    first: usize,
    channels: usize,
    width: usize,
    chunk: usize,
    /// `[channels][inputs][chunk]`
    input: Aligned,
    stages: Vec<Stage>,
}

impl Group {
    fn new(packs: &Packs, level: Level, conv_level: Level, first: usize, channels: usize, width: usize) -> Self {
        let chunk = if width == 1 { CHUNK } else { CHUNK_OF_MANY };
        let batches = channels.div_ceil(width);
        let mut rows_before = false;
        let stages = packs.layers.iter().map(|layer| match layer {
            Packed::Recurrent(r) => {
                let input = if rows_before { 0 } else { batches * chunk * r.inputs * width };
                rows_before = true;
                Stage::Recurrent(Aligned::new(input), recurrent::State::new(r, level, batches, width, chunk))
            }
            Packed::Head(..) => {
                rows_before = false;
                Stage::Head(Aligned::new(batches * chunk * width))
            }
            Packed::Conv(c) => {
                rows_before = false;
                Stage::Conv(conv::State::new(c, channels, chunk))
            }
        });
        let stages = stages.collect();
        Self { level, conv_level, first, channels, width, chunk, input: Aligned::new(channels * packs.inputs * chunk), stages }
    }

    fn set(&mut self, packs: &Packs, start: &[Start]) {
        for ((stage, layer), start) in self.stages.iter_mut().zip(&packs.layers).zip(start) {
            match (stage, layer, start) {
                (Stage::Recurrent(_, state), _, Start::Recurrent(start)) => state.set(start),
                (Stage::Conv(state), Packed::Conv(conv), Start::Past(past)) => state.set(conv, past),
                _ => {}
            }
        }
    }

    /// The first channel's state.
    fn get(&self, packs: &Packs, start: &mut [Start]) {
        for ((stage, layer), start) in self.stages.iter().zip(&packs.layers).zip(start) {
            match (stage, layer, start) {
                (Stage::Recurrent(_, state), _, Start::Recurrent(start)) => state.get(start),
                (Stage::Conv(state), Packed::Conv(conv), Start::Past(past)) => state.get(conv, past),
                _ => {}
            }
        }
    }

    /// Takes `input` through all layers.
    fn run(&mut self, packs: &Packs, precision: Precision, frames: usize) {
        let Self { level, conv_level, channels, width, chunk, .. } = *self;
        for (index, layer) in packs.layers.iter().enumerate() {
            let (before, here) = self.stages.split_at_mut(index);
            let from = match (before.last(), index.checked_sub(1).map(|i| &packs.layers[i])) {
                (Some(stage), Some(layer)) => view(stage, layer, width, chunk),
                _ => input_view(&self.input, packs.inputs, width, chunk),
            };
            match (layer, &mut here[0]) {
                (Packed::Recurrent(r), Stage::Recurrent(input, state)) => {
                    let from = if input.is_empty() {
                        from
                    } else {
                        gather(from, r.inputs, channels, width, chunk, frames, input);
                        let (batch, frame) = (chunk * r.inputs * width, r.inputs * width);
                        View { data: input, batch, lane: 1, feature: width, frame }
                    };
                    state.run(r, level, precision, from, frames);
                }
                (Packed::Head(head, activation), Stage::Head(outputs)) => {
                    head.run(level, width, from, outputs, chunk * width, frames);
                    if *activation != Activation::Identity {
                        for outputs in outputs.chunks_exact_mut(chunk * width) {
                            let outputs = &mut outputs[..frames * width];
                            match precision {
                                Precision::Fast => level.run(Activate(activation, outputs, Fast)),
                                Precision::Exact => level.run(Activate(activation, outputs, Exact)),
                            }
                        }
                    }
                }
                (Packed::Conv(conv), Stage::Conv(state)) => state.run(conv, conv_level, precision, from, width, frames),
                _ => unreachable!("stages are made from layers"),
            }
        }
    }

    /// One channel's first output.
    fn output(&self, packs: &Packs, channel: usize, to: &mut [f32]) {
        if let (Some(stage), Some(layer)) = (self.stages.last(), packs.layers.last()) {
            view(stage, layer, self.width, self.chunk).copy(channel / self.width, channel % self.width, 0, to);
        }
    }

    fn rests(&self) -> bool {
        self.stages.iter().all(|stage| match stage {
            Stage::Recurrent(_, state) => state.rests(),
            Stage::Head(_) | Stage::Conv(_) => true,
        })
    }

    fn bytes(&self) -> usize {
        let stages = self.stages.iter().map(|stage| match stage {
            Stage::Recurrent(input, state) => input.bytes() + state.bytes(),
            Stage::Head(outputs) => outputs.bytes(),
            Stage::Conv(state) => state.bytes(),
        });
        self.input.bytes() + stages.sum::<usize>()
    }
}

/// What a layer gave.
fn view<'a>(stage: &'a Stage, layer: &Packed, width: usize, chunk: usize) -> View<'a> {
    match (stage, layer) {
        (Stage::Recurrent(_, state), _) => state.view(),
        (Stage::Head(outputs), _) => View { data: outputs, batch: chunk * width, lane: 1, feature: 0, frame: width },
        (Stage::Conv(state), Packed::Conv(conv)) => state.view(conv, width),
        _ => unreachable!("stages are made from layers"),
    }
}

fn input_view(data: &[f32], inputs: usize, width: usize, chunk: usize) -> View<'_> {
    View { data, batch: width * inputs * chunk, lane: inputs * chunk, feature: chunk, frame: 1 }
}

/// To `[batches][chunk][inputs][width]`.
fn gather(from: View<'_>, inputs: usize, channels: usize, width: usize, chunk: usize, frames: usize, to: &mut [f32]) {
    for channel in 0..channels {
        let (batch, lane) = (channel / width, channel % width);
        for input in 0..inputs {
            let from = from.data[batch * from.batch + lane * from.lane + input * from.feature..].iter().step_by(from.frame);
            let to = to[(batch * chunk * inputs + input) * width + lane..].iter_mut().step_by(inputs * width);
            to.zip(from).take(frames).for_each(|(to, from)| *to = *from);
        }
    }
}

struct Activate<'a, A>(&'a Activation, &'a mut [f32], A);

impl<A: Accuracy> Kernel for Activate<'_, A> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        activate::<S, A>(s, self.0, 0, self.1);
    }
}

/// For how many frames an input has had one value.
#[derive(Clone, Copy)]
struct Constant {
    /// Bits of the value.
    value: u32,
    frames: usize,
}

impl Constant {
    fn follow(&mut self, samples: &[f32]) {
        if let Some(last) = samples.last() {
            let value = last.to_bits();
            let tail = samples.iter().rev().take_while(|x| x.to_bits() == value).count();
            let goes_on = tail == samples.len() && value == self.value;
            *self = Self { value, frames: if goes_on { self.frames.saturating_add(tail) } else { tail } };
        }
    }
}

#[derive(Clone)]
struct Voices {
    packs: Arc<Packs>,
    precision: Precision,
    settled: Settled,
    groups: Vec<Group>,
    /// Of the channels, then the knobs.
    constant: Vec<Constant>,
}

impl network::Voices for Voices {
    fn process(&mut self, block: &mut Block<'_>, knobs: &[&[f32]]) {
        let packs = &*self.packs;
        let (channels, knob_states) = self.constant.split_at_mut(block.len());
        channels.iter_mut().zip(block.iter()).for_each(|(c, samples)| c.follow(samples));
        knob_states.iter_mut().zip(knobs).for_each(|(c, samples)| c.follow(samples));
        let frames = block.first().map_or(0, |b| b.len());
        for group in &mut self.groups {
            let channels = &mut block[group.first..][..group.channels];
            for from in (0..frames).step_by(group.chunk) {
                let now = (frames - from).min(group.chunk);
                for (rows, samples) in group.input.chunks_exact_mut(packs.inputs * group.chunk).zip(channels.iter()) {
                    let (audio, more) = rows.split_at_mut(group.chunk);
                    audio.iter_mut().zip(&samples[from..from + now]).for_each(|(to, x)| *to = flush(x * packs.input_gain));
                    for (row, knob) in more.chunks_exact_mut(group.chunk).zip(knobs) {
                        row[..now].copy_from_slice(&knob[from..from + now]);
                    }
                }
                group.run(packs, self.precision, now);
                for (channel, samples) in channels.iter_mut().enumerate() {
                    let samples = &mut samples[from..from + now];
                    group.output(packs, channel, samples);
                    if packs.skip {
                        let audio = &group.input[channel * packs.inputs * group.chunk..];
                        samples.iter_mut().zip(audio).for_each(|(y, x)| *y += x);
                    }
                    if packs.output_gain != 1.0 {
                        samples.iter_mut().for_each(|y| *y *= packs.output_gain);
                    }
                }
            }
        }
        if !knob_states.is_empty() && knob_states.iter().all(|knob| knob.frames >= STANDING_FRAMES) {
            // A host may begin anew from here at any time.
            let values = knob_states.iter().map(|knob| f32::from_bits(knob.value));
            self.settled.prepare(packs, self.precision, values, frames);
        }
    }

    fn settle(&mut self, knobs: &[f32]) -> f32 {
        self.settled.turn(&self.packs, self.precision, knobs);
        self.reset();
        self.settled.now.output
    }

    fn reset(&mut self) {
        for group in &mut self.groups {
            group.set(&self.packs, &self.settled.now.start);
        }
        self.constant.fill(Constant { value: 0, frames: 0 });
    }

    /// When the inputs have been constant for the convolutions' reach and the last frame changed no recurrent layer's state. With a
    /// convolution that reaches back behind a recurrent layer it never says so.
    fn rests(&self) -> bool {
        let receptive_field = self.packs.reach() + 1;
        !self.packs.reaches_behind()
            && self.constant.iter().all(|c| c.frames >= receptive_field)
            && self.groups.iter().all(Group::rests)
    }

    fn duplicate(&self) -> Option<Box<dyn network::Voices>> {
        Some(Box::new(self.clone()))
    }

    fn bytes(&self) -> usize {
        self.groups.iter().chain(&self.settled.one).map(Group::bytes).sum()
    }
}

/// What is added and subtracted to make less than 6e-17 zero.
const TINY: f32 = 1e-9;

/// `x`, or 0 where it is so small that products of it might be denormal.
fn flush(x: f32) -> f32 {
    (x + TINY) - TINY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::Lstm;
    use crate::network::Voices as _;

    #[test]
    fn knobs_that_have_stood_while_sound_played_are_settled_at_without_further_work() {
        let (inputs, hidden) = (2, 8);
        let weights = |n: usize| (0..n).map(|i| 0.4 * (i as f32 * 1.7).sin()).collect();
        let lstm = Lstm {
            inputs,
            hidden,
            input_weights: weights(4 * hidden * inputs),
            hidden_weights: weights(4 * hidden * hidden),
            bias: weights(4 * hidden),
            h0: vec![0.0; hidden],
            c0: vec![0.0; hidden],
        };
        let packs = Packs {
            layers: vec![Packed::Recurrent(Recurrent::lstm(&lstm))],
            inputs,
            input_gain: 1.0,
            output_gain: 1.0,
            skip: false,
            sample_rate: 48_000.0,
        };
        let (packs, mode) = (Arc::new(packs), Mode::new(1));
        let settled = Settled::new(&packs, mode);
        let constant = vec![Constant { value: 0, frames: 0 }; inputs];
        let groups = groups(&packs, mode);
        let mut voices = Voices { packs, precision: mode.precision, settled, groups, constant };
        let (mut sound, knob) = ([0.0f32; 256], [0.9f32; 256]);
        // Sound for as long as the longest prewarming, after the knob counts as standing.
        for block in 0..(24_000 + STANDING_FRAMES).div_ceil(256) + 1 {
            assert!(block >= STANDING_FRAMES / 256 || !voices.settled.next.is_at([0.9].into_iter()), "block {block}");
            sound.iter_mut().enumerate().for_each(|(i, x)| *x = (i as f32 * 0.1).sin());
            voices.process(&mut [&mut sound], &[&knob]);
        }
        assert!(voices.settled.next.done && voices.settled.next.is_at([0.9].into_iter()));
        let frames = voices.settled.next.frames;
        let output = voices.settle(&[0.9]);
        assert_eq!((voices.settled.now.frames, voices.settled.now.output), (frames, output), "it was taken as it was");
        // The state from before is kept for the way back.
        assert!(voices.settled.next.done && voices.settled.next.is_at([MIDDLE].into_iter()));
    }
}
