//! A WaveNet as a list of steps, each of which works on rows of a chunk. All decisions that depend on the file are taken here,
//! once, when the list is made.

use super::convolution::{PackedConvolution, check_shape};
use super::memory::{ChunkPtr, Layout, Operand, ScratchArea, Upcoming};
use super::plain::{ChunkContext, PlainLayer, PlainStack};
use crate::activation::{StaticPrecision, activate};
use crate::description::{Activation, ConditionModel, Conv1d, Gating, Layer, LayerArray, Sequence, WaveNet, WaveNetLayer};
use crate::simd::{Simd, SimdLevel};

/// A step of a [`StepList`]. Operands may be the same, except those of a convolution's input and output.
pub enum Step {
    /// `to` = 0
    Zero { to: Operand, rows: usize },
    /// `to` = `factor` `from`
    Scale { from: Operand, to: Operand, rows: usize, factor: f32 },
    /// `to` = `a` + `b`
    Add { a: Operand, b: Operand, to: Operand, rows: usize },
    /// A FiLM: `to` = `from` times the first `rows` rows of `scales`, plus the next `rows` rows of `scales` if `shift` is true.
    Modulate { from: Operand, scales: Operand, shift: bool, to: Operand, rows: usize },
    /// `to` = bias + convolution of `from` (+ `add`)
    Convolve { convolution: PackedConvolution, from: Operand, to: Operand, add: Option<Operand> },
    /// `to` = activation of `from`
    Activate { activation: Activation, from: Operand, to: Operand, rows: usize },
    /// `to` *= `by`
    Multiply { to: Operand, by: Operand, rows: usize },
    /// `to` = k `to` + (1 - k) `from`
    Blend { to: Operand, from: Operand, k: Operand, rows: usize },
    /// Plain layers (without gate, FiLM, groups and head1x1; see [`super::plain`]) one after another. They also commit their
    /// inputs.
    Stack(PlainStack),
    /// Completes the chunk that was written to a ring, the history of a convolution's input: copies the frames that the ring
    /// stores twice. It must come between writing and reading a ring.
    Commit { operand: Operand },
}

/// The steps of a network, those of its condition models included.
#[derive(Default)]
pub struct StepList {
    /// The memory that the steps work in.
    pub layout: Layout,
    /// The steps in the order in which they run for each chunk.
    pub steps: Vec<Step>,
    /// The packed weights of all steps.
    pub weights: Vec<f32>,
}

/// An operand and its number of rows.
#[derive(Clone, Copy, Debug)]
struct Signal {
    operand: Operand,
    rows: usize,
}

impl StepList {
    /// Makes the step list of a network. Returns it with the places of the audio and of the output in the scratch memory, one row
    /// each. With `stack_level`, plain layers become [`Step::Stack`]s packed for that level, which run only with
    /// [`crate::activation::Fast`]; with `None` there are only other steps, which run in any precision.
    ///
    /// # Panics
    /// If lengths of weights and shapes disagree, or a condition model is recurrent.
    pub fn new(net: &WaveNet, stack_level: Option<SimdLevel>) -> (Self, ScratchArea, ScratchArea) {
        let mut step_list = Self::default();
        let input = step_list.layout.scratch(1);
        let y = step_list.wavenet(net, Signal { operand: Operand::Scratch(input), rows: 1 }, stack_level);
        assert_eq!(y.rows, 1, "outputs of a WaveNet");
        let Operand::Scratch(output) = y.operand else { unreachable!("an output that is history") };
        step_list.link_plain_layers();
        (step_list, input, output)
    }

    /// Tells each plain layer which one runs next: after the last one, the next channel's first.
    fn link_plain_layers(&mut self) {
        let mut layers = Vec::new();
        for step in &mut self.steps {
            if let Step::Stack(stack) = step {
                let rows = stack.shape.channels;
                layers.extend(stack.layers.iter_mut().map(|layer| (layer.as_upcoming(rows), layer)));
            }
        }
        let mut next = layers.first().map(|(first, _)| Upcoming { next_channel: true, ..*first });
        for (this, layer) in layers.into_iter().rev() {
            layer.upcoming = next.replace(this);
        }
    }

    /// Adds rows of scratch memory.
    fn scratch(&mut self, rows: usize) -> Signal {
        Signal { operand: Operand::Scratch(self.layout.scratch(rows)), rows }
    }

    /// Adds rows for the input of `conv`: a ring if it reaches back, else scratch memory.
    fn input_of(&mut self, conv: &Conv1d) -> Signal {
        check_shape(conv);
        Signal { operand: self.layout.operand(conv.inputs, conv.reach()), rows: conv.inputs }
    }

    /// Adds a step that completes the chunk that was written to a ring.
    fn commit(&mut self, signal: Signal) {
        self.steps.push(Step::Commit { operand: signal.operand });
    }

    /// Adds a step: `to` = bias + convolution of `from` (+ `add`).
    fn convolve(&mut self, conv: &Conv1d, from: Signal, to: Signal, add: Option<Signal>) {
        assert_eq!((conv.inputs, conv.outputs), (from.rows, to.rows), "inputs and outputs of a convolution");
        assert!(add.is_none_or(|add| add.rows == to.rows), "{add:?} added to {to:?}");
        let convolution = PackedConvolution::pack(conv, &mut self.weights);
        self.steps.push(Step::Convolve { convolution, from: from.operand, to: to.operand, add: add.map(|add| add.operand) });
    }

    /// Adds a step: `to` = `factor` `from`.
    fn scale(&mut self, from: Signal, to: Signal, factor: f32) {
        assert_eq!(from.rows, to.rows, "rows to scale");
        self.steps.push(Step::Scale { from: from.operand, to: to.operand, rows: to.rows, factor });
    }

    /// Adds a step: `to` = `a` + `b`.
    fn add(&mut self, a: Signal, b: Signal, to: Signal) {
        assert_eq!((a.rows, b.rows), (to.rows, to.rows), "rows to add");
        self.steps.push(Step::Add { a: a.operand, b: b.operand, to: to.operand, rows: to.rows });
    }

    /// Adds a step: `to` = activation of `from`.
    fn activate(&mut self, activation: &Activation, from: Signal, to: Signal) {
        assert_eq!(from.rows, to.rows, "rows to activate");
        if let Activation::LeakyRelu(slopes) = activation {
            assert!(slopes.len() == 1 || slopes.len() == to.rows, "{} slopes for {} rows", slopes.len(), to.rows);
        }
        self.steps.push(Step::Activate { activation: activation.clone(), from: from.operand, to: to.operand, rows: to.rows });
    }

    /// Adds steps: `to` = `from` modulated by the condition through the FiLM.
    fn modulate(&mut self, film: &Conv1d, condition: Signal, from: Signal, to: Signal) {
        let rows = to.rows;
        assert_eq!(from.rows, rows, "rows to modulate");
        assert!(film.outputs == rows || film.outputs == 2 * rows, "{} outputs of a FiLM for {rows} rows", film.outputs);
        let scales = self.scratch(film.outputs);
        self.convolve(film, condition, scales, None);
        let shift = film.outputs == 2 * rows;
        self.steps.push(Step::Modulate { from: from.operand, scales: scales.operand, shift, to: to.operand, rows });
    }

    /// Adds the steps of [`Self::modulate`] in place, if there is a FiLM.
    fn modulate_in_place(&mut self, film: Option<&Conv1d>, condition: Signal, signal: Signal) {
        if let Some(film) = film {
            self.modulate(film, condition, signal, signal);
        }
    }

    /// Adds the steps of a WaveNet. Returns its output.
    fn wavenet(&mut self, net: &WaveNet, audio: Signal, stack_level: Option<SimdLevel>) -> Signal {
        let condition = match net.condition.as_deref() {
            None => audio,
            Some(ConditionModel::WaveNet(inner)) => self.wavenet(inner, audio, stack_level),
            Some(ConditionModel::Sequence(inner)) => self.sequence(inner, audio),
        };
        let mut x = audio;
        let mut head = self.input_of(&net.arrays[0].head);
        self.steps.push(Step::Zero { to: head.operand, rows: head.rows });
        for (number, array) in net.arrays.iter().enumerate() {
            let next = net.arrays.get(number + 1);
            if let Some(output) = self.array(array, x, condition, head, next.is_some(), stack_level) {
                x = output;
            }
            self.commit(head);
            // This array's head output is the start of the next array's head accumulator.
            let to = match next {
                Some(next) => self.input_of(&next.head),
                None => self.scratch(array.head.outputs),
            };
            self.convolve(&array.head, head, to, None);
            head = to;
        }
        self.scale(head, head, net.head_scale);
        let mut y = head;
        for (activation, conv) in &net.post {
            let from = self.input_of(conv);
            self.activate(activation, y, from);
            self.commit(from);
            y = self.scratch(conv.outputs);
            self.convolve(conv, from, y, None);
        }
        y
    }

    /// Adds rows for the input of a layer: the input of its convolution or, if there is a FiLM between, scratch memory.
    fn input_of_layer(&mut self, layer: &WaveNetLayer) -> Signal {
        if layer.film.conv_pre.is_none() { self.input_of(&layer.conv) } else { self.scratch(layer.conv.inputs) }
    }

    /// Adds the steps of a layer array, without its head. Returns the last layer's output, or `None` unless `needs_output`.
    fn array(
        &mut self,
        array: &LayerArray,
        input: Signal,
        condition: Signal,
        head: Signal,
        needs_output: bool,
        stack_level: Option<SimdLevel>,
    ) -> Option<Signal> {
        let mut x = self.input_of_layer(&array.layers[0]);
        self.convolve(&array.rechannel, input, x, None);
        for (number, layer) in array.layers.iter().enumerate() {
            let to = match array.layers.get(number + 1) {
                Some(next) => Some(self.input_of_layer(next)),
                None if needs_output => Some(self.scratch(x.rows)),
                None => None,
            };
            self.layer(layer, x, condition, head, to, stack_level);
            x = to?;
        }
        Some(x)
    }

    /// Adds the steps of a layer: from `x` to `to`, if that is read, and to the head accumulator.
    fn layer(
        &mut self,
        layer: &WaveNetLayer,
        x: Signal,
        condition: Signal,
        head: Signal,
        to: Option<Signal>,
        stack_level: Option<SimdLevel>,
    ) {
        if stack_level.is_some_and(|level| self.push_plain(layer, level, x, condition, head, to)) {
            return;
        }
        self.commit(x);
        let film = &layer.film;

        let mut from = x;
        if let Some(film) = &film.conv_pre {
            from = self.input_of(&layer.conv);
            self.modulate(film, condition, x, from);
            self.commit(from);
        }
        // The names z, c and y are those of the formula at `WaveNetLayer`.
        let z = self.scratch(layer.conv.outputs);
        self.convolve(&layer.conv, from, z, None);
        self.modulate_in_place(film.conv_post.as_ref(), condition, z);

        let mut c = condition;
        if let Some(film) = &film.mixin_pre {
            c = self.scratch(condition.rows);
            self.modulate(film, condition, condition, c);
        }
        if film.mixin_post.is_some() {
            let mixed = self.scratch(z.rows);
            self.convolve(&layer.mixin, c, mixed, None);
            self.modulate_in_place(film.mixin_post.as_ref(), condition, mixed);
            self.add(z, mixed, z);
        } else {
            self.convolve(&layer.mixin, c, z, Some(z));
        }
        self.modulate_in_place(film.activation_pre.as_ref(), condition, z);

        let y = self.activate_and_gate(layer, z);
        self.modulate_in_place(film.activation_post.as_ref(), condition, y);

        let blended = matches!(layer.gating, Gating::Blended(_));
        match (&layer.layer1x1, to) {
            (_, None) => {}
            (None, Some(to)) => self.scale(x, to, 1.0),
            (Some(conv), Some(to)) if blended && film.layer1x1_post.is_some() => {
                let out = self.scratch(x.rows);
                self.convolve(conv, y, out, None);
                self.modulate_in_place(film.layer1x1_post.as_ref(), condition, out);
                self.add(x, out, to);
            }
            (Some(conv), Some(to)) => self.convolve(conv, y, to, Some(x)),
        }
        match &layer.head1x1 {
            None => self.add(head, y, head),
            Some(conv) if film.head1x1_post.is_some() => {
                let out = self.scratch(head.rows);
                self.convolve(conv, y, out, None);
                self.modulate_in_place(film.head1x1_post.as_ref(), condition, out);
                self.add(head, out, head);
            }
            Some(conv) => self.convolve(conv, y, head, Some(head)),
        }
    }

    /// Adds the layer to a stack if it is plain; returns true if it was.
    fn push_plain(
        &mut self,
        layer: &WaveNetLayer,
        level: SimdLevel,
        x: Signal,
        condition: Signal,
        head: Signal,
        to: Option<Signal>,
    ) -> bool {
        let packed = PlainLayer::pack(layer, level, x.operand, to.map(|to| to.operand), &mut self.weights);
        let Some((plain, shape, run)) = packed else { return false };
        assert_eq!(
            (x.rows, condition.rows, head.rows),
            (shape.channels, shape.condition_rows, shape.channels),
            "rows of a layer"
        );
        assert!(to.is_none_or(|to| to.rows == shape.channels), "channels of a layer");
        match self.steps.last_mut() {
            Some(Step::Stack(stack)) if (stack.shape, stack.head) == (shape, head.operand) => stack.layers.push(plain),
            _ => {
                let (condition, head) = (condition.operand, head.operand);
                self.steps.push(Step::Stack(PlainStack { shape, condition, head, layers: vec![plain], run }));
            }
        }
        true
    }

    /// Adds the steps of activation and gate. Returns the activated (and gated) signal, y in the formula of [`WaveNetLayer`].
    fn activate_and_gate(&mut self, layer: &WaveNetLayer, z: Signal) -> Signal {
        let (Gating::Gated(gate) | Gating::Blended(gate)) = &layer.gating else {
            self.activate(&layer.activation, z, z);
            return z;
        };
        let rows = z.rows / 2;
        let (top, k) = (Signal { rows, ..z }, Signal { operand: z.operand.skip(rows), rows });
        let y = self.scratch(rows);
        self.activate(&layer.activation, top, y);
        self.activate(gate, k, k);
        self.steps.push(match layer.gating {
            Gating::Blended(_) => Step::Blend { to: y.operand, from: top.operand, k: k.operand, rows },
            _ => Step::Multiply { to: y.operand, by: k.operand, rows },
        });
        y
    }

    /// Adds the steps of a sequence of convolutions. Returns its output.
    fn sequence(&mut self, sequence: &Sequence, audio: Signal) -> Signal {
        let input = self.scratch(1);
        self.scale(audio, input, sequence.input_gain);
        let mut x = input;
        for layer in &sequence.layers {
            let Layer::Conv1d(conv, activation) = layer else { panic!("a recurrent condition model") };
            let from = self.input_of(conv);
            self.scale(x, from, 1.0);
            self.commit(from);
            x = self.scratch(conv.outputs);
            self.convolve(conv, from, x, None);
            self.activate(activation, x, x);
        }
        if sequence.skip {
            for row in 0..x.rows {
                let x = Signal { operand: x.operand.skip(row), rows: 1 };
                self.add(x, input, x);
            }
        }
        self.scale(x, x, sequence.output_gain);
        x
    }
}

/// Calls `f` with the row and the first frame of each vector of `rows` rows and `frames` frames.
#[inline(always)]
fn for_each_vector<S: Simd>(rows: usize, frames: usize, mut f: impl FnMut(usize, usize)) {
    for row in 0..rows {
        for v in 0..frames.div_ceil(S::LANES) {
            f(row, v * S::LANES);
        }
    }
}

impl ChunkPtr {
    /// Reads a vector.
    ///
    /// # Safety
    /// The memory has that row, with a vector at that frame.
    #[inline(always)]
    unsafe fn load<S: Simd>(self, s: S, row: usize, frame: usize) -> S::F {
        // SAFETY: the caller promises what `# Safety` asks for.
        unsafe { s.load(self.at.add(row * self.stride + frame)) }
    }

    /// Writes a vector.
    ///
    /// # Safety
    /// The memory has that row, with room for a vector at that frame.
    #[inline(always)]
    unsafe fn store<S: Simd>(self, s: S, row: usize, frame: usize, v: S::F) {
        // SAFETY: the caller promises what `# Safety` asks for.
        unsafe { s.store(self.at.add(row * self.stride + frame), v) }
    }
}

impl Step {
    /// Runs the step over the frames of a chunk, rounded up to whole vectors. [audio thread]
    ///
    /// # Safety
    /// The memory of `context` was sized by the layout of the step's list, its weights are those of the list, and its
    /// frames are at most [`crate::CHUNK`].
    #[inline(always)]
    pub unsafe fn run<S: Simd, A: StaticPrecision>(&self, s: S, context: &ChunkContext) {
        let ChunkContext { memory, weights, frames, settle } = *context;
        // SAFETY: the caller promises memory, weights and frames; the step list gave each step operands with the rows that it
        // needs.
        unsafe {
            match self {
                Self::Zero { to, rows } => {
                    let to = memory.chunk(*to);
                    for_each_vector::<S>(*rows, frames, |r, f| to.store(s, r, f, s.splat(0.0)));
                }
                Self::Scale { from, to, rows, factor } => {
                    let (from, to, factor) = (memory.chunk(*from), memory.chunk(*to), s.splat(*factor));
                    for_each_vector::<S>(*rows, frames, |r, f| to.store(s, r, f, s.mul(factor, from.load(s, r, f))));
                }
                Self::Add { a, b, to, rows } => {
                    let (a, b, to) = (memory.chunk(*a), memory.chunk(*b), memory.chunk(*to));
                    for_each_vector::<S>(*rows, frames, |r, f| to.store(s, r, f, s.add(a.load(s, r, f), b.load(s, r, f))));
                }
                Self::Modulate { from, scales, shift, to, rows } => {
                    let (from, to, scales) = (memory.chunk(*from), memory.chunk(*to), memory.chunk(*scales));
                    for_each_vector::<S>(*rows, frames, |r, f| {
                        let shift = if *shift { scales.load(s, rows + r, f) } else { s.splat(0.0) };
                        to.store(s, r, f, s.mul_add(from.load(s, r, f), scales.load(s, r, f), shift));
                    });
                }
                Self::Convolve { convolution, from, to, add } => {
                    let (from, to, add) = (memory.history(*from), memory.chunk(*to), add.map(|add| memory.chunk(add)));
                    convolution.run(s, weights, from, to, add, frames.div_ceil(S::LANES));
                }
                Self::Activate { activation, from, to, rows } => {
                    let (from, to) = (memory.chunk(*from), memory.chunk(*to));
                    let frames = frames.next_multiple_of(S::LANES);
                    for row in 0..*rows {
                        let (from, to) = (from.skip(row).at, to.skip(row).at);
                        if from != to {
                            to.copy_from_nonoverlapping(from, frames);
                        }
                        activate::<S, A>(s, activation, row, std::slice::from_raw_parts_mut(to, frames));
                    }
                }
                Self::Multiply { to, by, rows } => {
                    let (to, by) = (memory.chunk(*to), memory.chunk(*by));
                    for_each_vector::<S>(*rows, frames, |r, f| to.store(s, r, f, s.mul(to.load(s, r, f), by.load(s, r, f))));
                }
                Self::Blend { to, from, k, rows } => {
                    let (to, from, k) = (memory.chunk(*to), memory.chunk(*from), memory.chunk(*k));
                    for_each_vector::<S>(*rows, frames, |r, f| {
                        let k = k.load(s, r, f);
                        let rest = s.mul(s.sub(s.splat(1.0), k), from.load(s, r, f));
                        to.store(s, r, f, s.mul_add(k, to.load(s, r, f), rest));
                    });
                }
                Self::Stack(stack) => (stack.run)(S::LEVEL, stack, context),
                Self::Commit { operand } => memory.commit(s, *operand, frames, settle),
            }
        }
    }
}
