//! Networks of layers one after another: convolutions, dense layers, LSTM, GRU.
//!
//! Channels are run in groups. In a network with recurrent layers, a group either takes its channels one by one (the lanes of a
//! vector are units) or side by side (the lanes are channels). The channels that share vectors are a *lane group*: `width`
//! channels side by side, or a single one. In convolutions the lanes are always frames.

mod aligned;
mod cell;
mod conv;
mod head;
mod recurrent;
mod vector_pair;

use std::sync::Arc;

use aligned::AlignedBuffer;
use conv::{ConvState, PackedConv};
use head::PackedHead;
use recurrent::{PackedRecurrent, RecurrentState, SignalView};

use super::activation::{Exact, Fast, Precision, StaticPrecision, activate};
use super::description::{Activation, Layer, Sequence};
use super::network::{self, EngineError, KNOB_MIDDLE, Network, StateSpec};
use super::simd::{Kernel, Simd, SimdLevel};
use crate::Block;

/// Packs a description for this machine. `sample_rate`, in Hz, gives the [`SETTLE_SECONDS`] of silence after which a recurrent
/// network counts as settled, unless it comes to rest before. At a rate of 0 the network is not settled: it begins with `h0` and
/// `c0` of the description and with zeros before the first sample. [control thread: allocates]
///
/// # Panics
/// If lengths of weights and shapes disagree.
#[must_use]
pub fn build(description: &Sequence, sample_rate: f32) -> Arc<dyn Network> {
    let mut layers: Vec<PackedLayer> = Vec::new();
    for layer in &description.layers {
        layers.push(match layer {
            Layer::Lstm(l) => PackedLayer::Recurrent(PackedRecurrent::lstm(l)),
            Layer::Gru(g) => PackedLayer::Recurrent(PackedRecurrent::gru(g)),
            Layer::Conv1d(c, activation) => match layers.last() {
                Some(PackedLayer::Recurrent(_)) if [c.taps, c.outputs, c.groups] == [1; 3] => {
                    PackedLayer::Head(PackedHead::new(c), activation.clone())
                }
                _ => PackedLayer::Conv(PackedConv::new(c, activation)),
            },
        });
    }
    Arc::new(PackedSequence {
        layers,
        inputs: description.inputs(),
        input_gain: description.input_gain,
        output_gain: description.output_gain,
        skip: description.skip,
        sample_rate,
    })
}

/// The longest silence that a recurrent network is settled with, in seconds, as in NeuralAmpModelerCore.
const SETTLE_SECONDS: f32 = 0.5;
/// Frames that go through all layers before the next ones, in a group that takes its channels one by one.
const CHUNK_ONE_BY_ONE: usize = 64;
/// Frames that go through all layers before the next ones, in a group of channels side by side. They are fewer, so that they stay
/// in the cache.
const CHUNK_IN_LANES: usize = 32;

/// The packed weights of a layer.
enum PackedLayer {
    Recurrent(PackedRecurrent),
    /// A dense layer with one output that reads a recurrent layer.
    Head(PackedHead, Activation),
    Conv(PackedConv),
}

/// The packed weights of a network. Fields are those of [`Sequence`].
struct PackedSequence {
    layers: Vec<PackedLayer>,
    /// The audio and the knobs.
    inputs: usize,
    input_gain: f32,
    output_gain: f32,
    skip: bool,
    /// Sample rate in Hz, or 0 for a network that is not settled.
    sample_rate: f32,
}

impl PackedSequence {
    /// Frames before the newest one that all convolutions read together.
    fn reach(&self) -> usize {
        self.layers.iter().map(|l| if let PackedLayer::Conv(c) = l { c.reach() } else { 0 }).sum()
    }

    /// Units (hidden size) of the widest recurrent layer, or `None` if no layer is recurrent.
    fn max_units(&self) -> Option<usize> {
        self.layers.iter().filter_map(|l| if let PackedLayer::Recurrent(r) = l { Some(r.hidden) } else { None }).max()
    }

    /// Largest number of frames of silence that the network is settled with.
    fn max_settle_frames(&self) -> usize {
        match self.max_units() {
            _ if self.sample_rate <= 0.0 => 0,
            None => self.reach() + 1,
            Some(_) => self.reach() + (SETTLE_SECONDS * self.sample_rate).round() as usize,
        }
    }

    /// True if a convolution of more than one tap comes after a recurrent layer. Then it is hard to know when the network is at
    /// rest.
    fn convolves_after_recurrent(&self) -> bool {
        let recurrent = self.layers.iter().position(|l| matches!(l, PackedLayer::Recurrent(_))).unwrap_or(self.layers.len());
        self.layers[recurrent..].iter().any(|l| matches!(l, PackedLayer::Conv(c) if c.reach() > 0))
    }
}

/// Frames for which all knobs must be constant before a settled state is prepared for them.
const STEADY_KNOB_FRAMES: usize = 2048;

/// The state that silence leaves while the knobs are constant; unfinished while the silence still runs.
#[derive(Clone)]
struct SettledState {
    /// Values of the knobs.
    knobs: Vec<f32>,
    /// Frames of silence so far.
    frames: usize,
    /// True if the silence was long enough. Only then are `layers` and `output` valid.
    done: bool,
    /// The state of every layer after the silence.
    layers: Vec<LayerState>,
    /// The last output frame of the silence.
    output: f32,
}

impl SettledState {
    /// True if this state is for these values of the knobs.
    fn has_knobs(&self, knobs: impl Iterator<Item = f32>) -> bool {
        self.knobs.iter().map(|knob| knob.to_bits()).eq(knobs.map(f32::to_bits))
    }
}

/// The settled states of a network: the one in use, and one that is prepared while sound plays.
#[derive(Clone)]
struct SettledStates {
    /// The group, of one channel, that silence is run through; `None` if the network has no knobs, as no other state can be
    /// asked for in that case.
    settling_group: Option<ChannelGroup>,
    /// The state of every layer before the first frame of silence.
    initial: Vec<LayerState>,
    /// The sample that comes in during silence, with the input gain.
    silence: f32,
    /// The state for the knobs of the last [`Self::set_knobs`].
    current: SettledState,
    /// The state for the knobs that will probably be asked for next. [`Self::prepare`] works on it little by little, so that
    /// [`Self::set_knobs`] has little left to do.
    next: SettledState,
}

impl SettledStates {
    /// Makes the state for the knobs of `spec`. [control thread: allocates]
    fn new(packed: &PackedSequence, spec: StateSpec) -> Self {
        let level = SimdLevel::best_up_to(spec.level);
        let layers = || packed.layers.iter().map(PackedLayer::initial_state).collect();
        let knobs: Vec<f32> = (0..packed.inputs - 1).map(|k| spec.knobs.get(k).copied().unwrap_or(KNOB_MIDDLE)).collect();
        let settled = || SettledState { knobs: knobs.clone(), frames: 0, done: false, layers: layers(), output: 0.0 };
        let settling_group = Some(ChannelGroup::new(packed, level, level, 0, 1, 1));
        let silence = flush_denormal(spec.silence * packed.input_gain);
        let mut new = Self { settling_group, initial: layers(), silence, current: settled(), next: settled() };
        new.begin(packed, knobs.iter().copied());
        new.advance(packed, spec.precision, usize::MAX);
        std::mem::swap(&mut new.current, &mut new.next);
        new.settling_group = new.settling_group.filter(|_| packed.inputs > 1);
        new
    }

    /// Makes the state for `knobs` the current one. Processes the silence that is still missing if that state is not prepared
    /// yet. [audio thread]
    fn set_knobs(&mut self, packed: &PackedSequence, precision: Precision, knobs: &[f32]) {
        let knobs = knobs[..self.current.knobs.len().min(knobs.len())].iter().copied();
        if !self.current.has_knobs(knobs.clone()) {
            self.prepare(packed, precision, knobs, usize::MAX);
            std::mem::swap(&mut self.current, &mut self.next);
        }
    }

    /// Works on the state for `knobs`, over about `frames` more frames of silence, so that [`Self::set_knobs`] finds it ready.
    /// [audio thread]
    fn prepare(
        &mut self,
        packed: &PackedSequence,
        precision: Precision,
        knobs: impl Iterator<Item = f32> + Clone,
        frames: usize,
    ) {
        if self.settling_group.is_none() || self.current.has_knobs(knobs.clone()) {
            return;
        }
        if !self.next.has_knobs(knobs.clone()) {
            self.begin(packed, knobs);
        }
        self.advance(packed, precision, frames);
    }

    /// Begins the next state anew, for `knobs`.
    fn begin(&mut self, packed: &PackedSequence, knobs: impl Iterator<Item = f32>) {
        let Some(group) = &mut self.settling_group else { return };
        group.set(packed, &self.initial);
        self.next.knobs.iter_mut().zip(knobs).for_each(|(own, knob)| *own = knob);
        (self.next.frames, self.next.done) = (0, false);
        for (row, value) in group.input.chunks_exact_mut(group.chunk).zip(std::iter::once(&self.silence).chain(&self.next.knobs))
        {
            row.fill(*value);
        }
    }

    /// Runs `frames` more frames of silence, rounded up to chunks, until the next state is done.
    fn advance(&mut self, packed: &PackedSequence, precision: Precision, frames: usize) {
        let (Some(group), next) = (&mut self.settling_group, &mut self.next) else { return };
        let (reach, max_frames, detects_rest) = (packed.reach(), packed.max_settle_frames(), !packed.convolves_after_recurrent());
        let end = next.frames.saturating_add(frames);
        if max_frames == 0 && !next.done {
            // At a rate of 0 there is no silence: the layers keep their initial state.
            group.get(packed, &mut next.layers);
            (next.output, next.done) = (0.0, true);
        }
        while !next.done && next.frames < end {
            // The silence is always cut in the same way, so that it always ends at the same frame.
            let n = (max_frames - next.frames).min(group.chunk);
            group.run(packed, precision, n);
            next.frames += n;
            if next.frames == max_frames || (detects_rest && next.frames > reach && group.rests()) {
                let mut last = [0.0; CHUNK_ONE_BY_ONE];
                group.output(packed, 0, &mut last[..n]);
                let skipped = if packed.skip { self.silence } else { 0.0 };
                next.output = (last[n - 1] + skipped) * packed.output_gain;
                group.get(packed, &mut next.layers);
                next.done = true;
            }
        }
    }
}

impl Network for PackedSequence {
    fn state(self: Arc<Self>, spec: StateSpec) -> Result<Box<dyn network::NetworkState>, EngineError> {
        let settled = SettledStates::new(&self, spec);
        let channel_groups = channel_groups(&self, spec);
        let signals = spec.channels + self.inputs - 1;
        let constant_runs = vec![ConstantRun { value: 0, frames: 0 }; signals];
        let mut state = SequenceState { packed: self, precision: spec.precision, settled, channel_groups, constant_runs };
        network::NetworkState::reset(&mut state);
        Ok(Box::new(state))
    }

    fn bytes(&self) -> usize {
        self.layers.iter().map(PackedLayer::bytes).sum()
    }
}

impl PackedLayer {
    /// Returns the layer's state before the first frame.
    fn initial_state(&self) -> LayerState {
        match self {
            Self::Recurrent(r) => LayerState::Recurrent(r.start.clone()),
            Self::Head(..) => LayerState::Stateless,
            Self::Conv(c) => LayerState::History(vec![0.0; c.inputs * c.reach()]),
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

/// The state of a layer for one channel, as it is stored.
#[derive(Clone)]
enum LayerState {
    /// Outputs and cell states, `[hidden]` each.
    Recurrent([Vec<f32>; 2]),
    /// The last input frames of a convolution, `[inputs][reach]`.
    History(Vec<f32>),
    /// A head keeps nothing from frame to frame.
    Stateless,
}

/// Divides the channels into groups, each of which runs in the way that is fastest for it.
fn channel_groups(packed: &PackedSequence, spec: StateSpec) -> Vec<ChannelGroup> {
    let best = SimdLevel::best_up_to(spec.level);
    let Some(units) = packed.max_units() else {
        return vec![ChannelGroup::new(packed, best, best, 0, spec.channels, 1)];
    };
    let mut groups = Vec::new();
    let mut first = 0;
    while first < spec.channels {
        let left = spec.channels - first;
        let (level, width, channels) = if best == SimdLevel::Avx512 && left > 24 {
            (best, 32, left.min(32))
        } else if left >= MIN_CHANNELS_IN_LANES && !(best == SimdLevel::Avx2 && units == UNITS_ONE_BY_ONE) {
            (best, 16, left.min(16))
        } else {
            (level_for_units(best, units), 1, left)
        };
        groups.push(ChannelGroup::new(packed, level, best, first, channels, width));
        first += channels;
    }
    groups
}

/// Smallest number of channels that are run side by side, in vectors of sixteen. (Measured for 8 to 40 units: that is faster if
/// there are at least nine to fifteen channels, depending on the units.) Fewer channels are run one by one, frame by frame: all
/// of them in turn, so that the work on one channel fills the time in which another waits for its last frame's result.
const MIN_CHANNELS_IN_LANES: usize = 12;
/// Number of units with which channels are always run one by one with AVX2. Two whole vectors of units keep their sums in
/// registers, so that even sixteen channels side by side are slower (measured for 8 to 16, 20, 32 and 40 units).
const UNITS_ONE_BY_ONE: usize = 16;

/// Returns the level that is faster for channels that are run one by one, with units in the lanes: few units would leave half of
/// the widest vectors empty.
fn level_for_units(best: SimdLevel, units: usize) -> SimdLevel {
    if units <= SimdLevel::Avx2.lanes() { best.min(SimdLevel::Avx2) } else { best }
}

/// The state and buffers of a layer in a group.
#[derive(Clone)]
enum GroupLayer {
    /// The inputs, `[lane_groups][chunk][inputs][width]`, and the state. The buffer of inputs is empty if the layer before is
    /// recurrent, too, and has its outputs in this layout already.
    Recurrent(AlignedBuffer, RecurrentState),
    /// The outputs, `[lane_groups][chunk][width]`.
    Head(AlignedBuffer),
    Conv(ConvState),
}

/// Channels that run together: one by one (in lane groups of one channel) or side by side (in one lane group of `width`
/// channels).
#[derive(Clone)]
struct ChannelGroup {
    /// The level that runs recurrent layers and heads.
    level: SimdLevel,
    /// The level that runs convolutions.
    conv_level: SimdLevel,
    /// The first channel.
    first: usize,
    channels: usize,
    /// Channels of a lane group. There may be fewer in the group; the results of the other lanes are ignored.
    width: usize,
    /// Largest number of frames that go through all layers before the next ones.
    chunk: usize,
    /// The inputs of the first layer, `[channels][inputs][chunk]`.
    input: AlignedBuffer,
    layers: Vec<GroupLayer>,
}

impl ChannelGroup {
    /// Makes a group. [control thread: allocates]
    fn new(
        packed: &PackedSequence,
        level: SimdLevel,
        conv_level: SimdLevel,
        first: usize,
        channels: usize,
        width: usize,
    ) -> Self {
        let chunk = if width == 1 { CHUNK_ONE_BY_ONE } else { CHUNK_IN_LANES };
        let lane_groups = channels.div_ceil(width);
        let mut after_recurrent = false;
        let layers = packed.layers.iter().map(|layer| match layer {
            PackedLayer::Recurrent(r) => {
                let input = if after_recurrent { 0 } else { lane_groups * chunk * r.inputs * width };
                after_recurrent = true;
                GroupLayer::Recurrent(AlignedBuffer::new(input), RecurrentState::new(r, level, lane_groups, width, chunk))
            }
            PackedLayer::Head(..) => {
                after_recurrent = false;
                GroupLayer::Head(AlignedBuffer::new(lane_groups * chunk * width))
            }
            PackedLayer::Conv(c) => {
                after_recurrent = false;
                GroupLayer::Conv(ConvState::new(c, channels, chunk))
            }
        });
        let layers = layers.collect();
        Self {
            level,
            conv_level,
            first,
            channels,
            width,
            chunk,
            input: AlignedBuffer::new(channels * packed.inputs * chunk),
            layers,
        }
    }

    /// Gives every channel the same state.
    fn set(&mut self, packed: &PackedSequence, states: &[LayerState]) {
        for ((group_layer, layer), stored) in self.layers.iter_mut().zip(&packed.layers).zip(states) {
            match (group_layer, layer, stored) {
                (GroupLayer::Recurrent(_, state), _, LayerState::Recurrent(stored)) => state.set(stored),
                (GroupLayer::Conv(state), PackedLayer::Conv(conv), LayerState::History(history)) => state.set(conv, history),
                _ => {}
            }
        }
    }

    /// Copies the first channel's state.
    fn get(&self, packed: &PackedSequence, states: &mut [LayerState]) {
        for ((group_layer, layer), stored) in self.layers.iter().zip(&packed.layers).zip(states) {
            match (group_layer, layer, stored) {
                (GroupLayer::Recurrent(_, state), _, LayerState::Recurrent(stored)) => state.get(stored),
                (GroupLayer::Conv(state), PackedLayer::Conv(conv), LayerState::History(history)) => state.get(conv, history),
                _ => {}
            }
        }
    }

    /// Runs `frames` frames of [`Self::input`] through all layers.
    fn run(&mut self, packed: &PackedSequence, precision: Precision, frames: usize) {
        let Self { level, conv_level, channels, width, chunk, .. } = *self;
        for (index, layer) in packed.layers.iter().enumerate() {
            let (before, here) = self.layers.split_at_mut(index);
            let from = match (before.last(), index.checked_sub(1).map(|i| &packed.layers[i])) {
                (Some(group_layer), Some(layer)) => output_view(group_layer, layer, width, chunk),
                _ => input_view(&self.input, packed.inputs, width, chunk),
            };
            match (layer, &mut here[0]) {
                (PackedLayer::Recurrent(r), GroupLayer::Recurrent(input, state)) => {
                    let from = if input.is_empty() {
                        from
                    } else {
                        gather(from, r.inputs, channels, width, chunk, frames, input);
                        let (lane_group_stride, frame_stride) = (chunk * r.inputs * width, r.inputs * width);
                        SignalView { data: input, lane_group_stride, lane_stride: 1, feature_stride: width, frame_stride }
                    };
                    state.run(r, level, precision, from, frames);
                }
                (PackedLayer::Head(head, activation), GroupLayer::Head(outputs)) => {
                    head.run(level, width, from, outputs, chunk * width, frames);
                    if *activation != Activation::Identity {
                        for outputs in outputs.chunks_exact_mut(chunk * width) {
                            let outputs = &mut outputs[..frames * width];
                            match precision {
                                Precision::Fast => level.run(ActivateKernel(activation, outputs, Fast)),
                                Precision::Exact => level.run(ActivateKernel(activation, outputs, Exact)),
                            }
                        }
                    }
                }
                (PackedLayer::Conv(conv), GroupLayer::Conv(state)) => state.run(conv, conv_level, precision, from, width, frames),
                _ => unreachable!("a group has the layers of its network"),
            }
        }
    }

    /// Copies the first frames of one channel's output, which is the first output of the last layer.
    fn output(&self, packed: &PackedSequence, channel: usize, to: &mut [f32]) {
        if let (Some(group_layer), Some(layer)) = (self.layers.last(), packed.layers.last()) {
            output_view(group_layer, layer, self.width, self.chunk).copy(channel / self.width, channel % self.width, 0, to);
        }
    }

    /// True if the last frame changed no recurrent layer's state.
    fn rests(&self) -> bool {
        self.layers.iter().all(|group_layer| match group_layer {
            GroupLayer::Recurrent(_, state) => state.rests(),
            GroupLayer::Head(_) | GroupLayer::Conv(_) => true,
        })
    }

    fn bytes(&self) -> usize {
        let layers = self.layers.iter().map(|group_layer| match group_layer {
            GroupLayer::Recurrent(input, state) => input.bytes() + state.bytes(),
            GroupLayer::Head(outputs) => outputs.bytes(),
            GroupLayer::Conv(state) => state.bytes(),
        });
        self.input.bytes() + layers.sum::<usize>()
    }
}

/// Returns the outputs of a layer.
fn output_view<'a>(group_layer: &'a GroupLayer, layer: &PackedLayer, width: usize, chunk: usize) -> SignalView<'a> {
    match (group_layer, layer) {
        (GroupLayer::Recurrent(_, state), _) => state.view(),
        (GroupLayer::Head(outputs), _) => {
            SignalView { data: outputs, lane_group_stride: chunk * width, lane_stride: 1, feature_stride: 0, frame_stride: width }
        }
        (GroupLayer::Conv(state), PackedLayer::Conv(conv)) => state.view(conv, width),
        _ => unreachable!("a group has the layers of its network"),
    }
}

/// Returns the inputs of a group's first layer.
fn input_view(data: &[f32], inputs: usize, width: usize, chunk: usize) -> SignalView<'_> {
    SignalView {
        data,
        lane_group_stride: width * inputs * chunk,
        lane_stride: inputs * chunk,
        feature_stride: chunk,
        frame_stride: 1,
    }
}

/// Copies the inputs of a recurrent layer to `to`, as `[lane_groups][chunk][inputs][width]`.
fn gather(from: SignalView<'_>, inputs: usize, channels: usize, width: usize, chunk: usize, frames: usize, to: &mut [f32]) {
    for channel in 0..channels {
        let (lane_group, lane) = (channel / width, channel % width);
        for input in 0..inputs {
            let from = from.data[lane_group * from.lane_group_stride + lane * from.lane_stride + input * from.feature_stride..]
                .iter()
                .step_by(from.frame_stride);
            let to = to[(lane_group * chunk * inputs + input) * width + lane..].iter_mut().step_by(inputs * width);
            to.zip(from).take(frames).for_each(|(to, from)| *to = *from);
        }
    }
}

/// [`activate`] with an activation, on samples, in a precision.
struct ActivateKernel<'a, A>(&'a Activation, &'a mut [f32], A);

impl<A: StaticPrecision> Kernel for ActivateKernel<'_, A> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        activate::<S, A>(s, self.0, 0, self.1);
    }
}

/// The number of frames for which an input (a channel or a knob) has had the same value.
#[derive(Clone, Copy)]
struct ConstantRun {
    /// The value of the last frame, as bits.
    value: u32,
    /// Frames with that value, up to the last one.
    frames: usize,
}

impl ConstantRun {
    /// Continues the count with the next samples.
    fn follow(&mut self, samples: &[f32]) {
        if let Some(last) = samples.last() {
            let value = last.to_bits();
            let tail = samples.iter().rev().take_while(|x| x.to_bits() == value).count();
            let goes_on = tail == samples.len() && value == self.value;
            *self = Self { value, frames: if goes_on { self.frames.saturating_add(tail) } else { tail } };
        }
    }
}

/// The state of all channels of one processor.
#[derive(Clone)]
struct SequenceState {
    packed: Arc<PackedSequence>,
    precision: Precision,
    settled: SettledStates,
    /// All channels, in order.
    channel_groups: Vec<ChannelGroup>,
    /// One for each channel, then one for each knob.
    constant_runs: Vec<ConstantRun>,
}

impl network::NetworkState for SequenceState {
    fn process(&mut self, block: &mut Block<'_>, knobs: &[&[f32]]) {
        let packed = &*self.packed;
        let (channels, knob_states) = self.constant_runs.split_at_mut(block.len());
        channels.iter_mut().zip(block.iter()).for_each(|(c, samples)| c.follow(samples));
        knob_states.iter_mut().zip(knobs).for_each(|(c, samples)| c.follow(samples));
        let frames = block.first().map_or(0, |b| b.len());
        for group in &mut self.channel_groups {
            let channels = &mut block[group.first..][..group.channels];
            for from in (0..frames).step_by(group.chunk) {
                let n = (frames - from).min(group.chunk);
                for (rows, samples) in group.input.chunks_exact_mut(packed.inputs * group.chunk).zip(channels.iter()) {
                    let (audio, knob_rows) = rows.split_at_mut(group.chunk);
                    audio
                        .iter_mut()
                        .zip(&samples[from..from + n])
                        .for_each(|(to, x)| *to = flush_denormal(x * packed.input_gain));
                    for (row, knob) in knob_rows.chunks_exact_mut(group.chunk).zip(knobs) {
                        row[..n].copy_from_slice(&knob[from..from + n]);
                    }
                }
                group.run(packed, self.precision, n);
                for (channel, samples) in channels.iter_mut().enumerate() {
                    let samples = &mut samples[from..from + n];
                    group.output(packed, channel, samples);
                    if packed.skip {
                        let audio = &group.input[channel * packed.inputs * group.chunk..];
                        samples.iter_mut().zip(audio).for_each(|(y, x)| *y += x);
                    }
                    if packed.output_gain != 1.0 {
                        samples.iter_mut().for_each(|y| *y *= packed.output_gain);
                    }
                }
            }
        }
        if !knob_states.is_empty() && knob_states.iter().all(|knob| knob.frames >= STEADY_KNOB_FRAMES) {
            // The host may reset at any time and then expects the state that is settled at these knobs.
            let values = knob_states.iter().map(|knob| f32::from_bits(knob.value));
            self.settled.prepare(packed, self.precision, values, frames);
        }
    }

    fn settle(&mut self, knobs: &[f32]) -> f32 {
        self.settled.set_knobs(&self.packed, self.precision, knobs);
        self.reset();
        self.settled.current.output
    }

    fn reset(&mut self) {
        for group in &mut self.channel_groups {
            group.set(&self.packed, &self.settled.current.layers);
        }
        self.constant_runs.fill(ConstantRun { value: 0, frames: 0 });
    }

    /// True if the inputs have been constant for the receptive field of the convolutions and the last frame changed no recurrent
    /// layer's state. Always false if a convolution of more than one tap comes after a recurrent layer.
    fn rests(&self) -> bool {
        let receptive_field = self.packed.reach() + 1;
        !self.packed.convolves_after_recurrent()
            && self.constant_runs.iter().all(|c| c.frames >= receptive_field)
            && self.channel_groups.iter().all(ChannelGroup::rests)
    }

    fn duplicate(&self) -> Option<Box<dyn network::NetworkState>> {
        Some(Box::new(self.clone()))
    }

    fn bytes(&self) -> usize {
        self.channel_groups.iter().chain(&self.settled.settling_group).map(ChannelGroup::bytes).sum()
    }
}

/// Offset that is added and subtracted to turn values below 6e-17 into 0.
const FLUSH_OFFSET: f32 = 1e-9;

/// Returns `x`, or 0 if its magnitude is below 6e-17, so that products of it are not denormal.
fn flush_denormal(x: f32) -> f32 {
    (x + FLUSH_OFFSET) - FLUSH_OFFSET
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::Lstm;
    use crate::network::NetworkState as _;

    #[test]
    fn knobs_that_were_constant_while_sound_played_settle_without_further_work() {
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
        let packed = PackedSequence {
            layers: vec![PackedLayer::Recurrent(PackedRecurrent::lstm(&lstm))],
            inputs,
            input_gain: 1.0,
            output_gain: 1.0,
            skip: false,
            sample_rate: 48_000.0,
        };
        let (packed, spec) = (Arc::new(packed), StateSpec::new(1));
        let settled = SettledStates::new(&packed, spec);
        let constant_runs = vec![ConstantRun { value: 0, frames: 0 }; inputs];
        let channel_groups = channel_groups(&packed, spec);
        let mut state = SequenceState { packed, precision: spec.precision, settled, channel_groups, constant_runs };
        let (mut sound, knob) = ([0.0f32; 256], [0.9f32; 256]);
        // The sound lasts as long as the longest silence of settling, counted from when the knob counts as steady.
        for block in 0..(24_000 + STEADY_KNOB_FRAMES).div_ceil(256) + 1 {
            assert!(block >= STEADY_KNOB_FRAMES / 256 || !state.settled.next.has_knobs([0.9].into_iter()), "block {block}");
            sound.iter_mut().enumerate().for_each(|(i, x)| *x = (i as f32 * 0.1).sin());
            state.process(&mut [&mut sound], &[&knob]);
        }
        assert!(state.settled.next.done && state.settled.next.has_knobs([0.9].into_iter()));
        let frames = state.settled.next.frames;
        let output = state.settle(&[0.9]);
        assert_eq!(
            (state.settled.current.frames, state.settled.current.output),
            (frames, output),
            "the prepared state was taken as it was"
        );
        // The state for the previous knob values is kept, in case they return.
        assert!(state.settled.next.done && state.settled.next.has_knobs([KNOB_MIDDLE].into_iter()));
    }
}
