//! A WaveNet as steps over the rows of a chunk: what is decided by the file is decided here, once.

use super::convolution::{Convolution, check};
use super::memory::{Area, Layout, Place, Rows};
use super::plain::{Plain, Stack, Sweep};
use crate::activation::{Accuracy, activate};
use crate::description::{Activation, ConditionModel, Conv1d, Gating, Layer, LayerArray, Sequence, WaveNet, WaveNetLayer};
use crate::simd::{Level, Simd};

/// One thing to do with a chunk. Places may be the same unless a convolution reads them.
pub enum Step {
    Zero {
        to: Place,
        rows: usize,
    },
    /// `to` = factor `from`
    Scale {
        from: Place,
        to: Place,
        rows: usize,
        factor: f32,
    },
    /// `to` = `a` + `b`
    Add {
        a: Place,
        b: Place,
        to: Place,
        rows: usize,
    },
    /// `to` = `from` times the first rows of `scales`, plus the rows behind these if there is a shift.
    Modulate {
        from: Place,
        scales: Place,
        shift: bool,
        to: Place,
        rows: usize,
    },
    Convolve {
        convolution: Convolution,
        from: Place,
        to: Place,
        add: Option<Place>,
    },
    Activate {
        activation: Activation,
        from: Place,
        to: Place,
        rows: usize,
    },
    /// `to` *= `by`
    Multiply {
        to: Place,
        by: Place,
        rows: usize,
    },
    /// `to` = k `to` + (1 - k) `from`
    Blend {
        to: Place,
        from: Place,
        k: Place,
        rows: usize,
    },
    /// Plain layers one after another; commits what they read.
    Stack(Stack),
    /// A place's newest frames are complete.
    Commit {
        place: Place,
    },
}

/// The steps of a network and of the models that it consists of.
#[derive(Default)]
pub struct Program {
    pub layout: Layout,
    pub steps: Vec<Step>,
    pub weights: Vec<f32>,
}

/// Rows at a place.
#[derive(Clone, Copy, Debug)]
struct Signal {
    place: Place,
    rows: usize,
}

impl Program {
    /// Audio in the first place, output in the second, one row each. With a level, layers that are plain run in stacks as is best for
    /// that level; else all is made of steps, which any precision can run.
    ///
    /// # Panics
    /// If lengths of weights and shapes disagree, or a condition model is recurrent.
    pub fn new(net: &WaveNet, stacks: Option<Level>) -> (Self, Area, Area) {
        let mut program = Self::default();
        let input = program.layout.scratch(1);
        let y = program.wavenet(net, Signal { place: Place::Scratch(input), rows: 1 }, stacks);
        let output = program.layout.scratch(1);
        program.scale(y, Signal { place: Place::Scratch(output), rows: 1 }, 1.0);
        (program, input, output)
    }

    fn scratch(&mut self, rows: usize) -> Signal {
        Signal { place: Place::Scratch(self.layout.scratch(rows)), rows }
    }

    /// Where what `conv` reads can be written.
    fn input_of(&mut self, conv: &Conv1d) -> Signal {
        check(conv);
        Signal { place: self.layout.place(conv.inputs, conv.reach()), rows: conv.inputs }
    }

    fn commit(&mut self, signal: Signal) {
        self.steps.push(Step::Commit { place: signal.place });
    }

    /// `to` = bias + convolution of `from` (+ `add`)
    fn convolve(&mut self, conv: &Conv1d, from: Signal, to: Signal, add: Option<Signal>) {
        assert_eq!((conv.inputs, conv.outputs), (from.rows, to.rows), "inputs and outputs of a convolution");
        assert!(add.is_none_or(|add| add.rows == to.rows), "{add:?} added to {to:?}");
        let convolution = Convolution::pack(conv, &mut self.weights);
        self.steps.push(Step::Convolve { convolution, from: from.place, to: to.place, add: add.map(|add| add.place) });
    }

    fn scale(&mut self, from: Signal, to: Signal, factor: f32) {
        assert_eq!(from.rows, to.rows, "rows to scale");
        self.steps.push(Step::Scale { from: from.place, to: to.place, rows: to.rows, factor });
    }

    /// `to` = `a` + `b`
    fn add(&mut self, a: Signal, b: Signal, to: Signal) {
        assert_eq!((a.rows, b.rows), (to.rows, to.rows), "rows to add");
        self.steps.push(Step::Add { a: a.place, b: b.place, to: to.place, rows: to.rows });
    }

    fn activate(&mut self, activation: &Activation, from: Signal, to: Signal) {
        assert_eq!(from.rows, to.rows, "rows to activate");
        if let Activation::LeakyRelu(slopes) = activation {
            assert!(slopes.len() == 1 || slopes.len() == to.rows, "{} slopes for {} rows", slopes.len(), to.rows);
        }
        self.steps.push(Step::Activate { activation: activation.clone(), from: from.place, to: to.place, rows: to.rows });
    }

    /// `to` = `from` modulated by the condition.
    fn modulate(&mut self, film: &Conv1d, condition: Signal, from: Signal, to: Signal) {
        let rows = to.rows;
        assert_eq!(from.rows, rows, "rows to modulate");
        assert!(film.outputs == rows || film.outputs == 2 * rows, "{} outputs of a FiLM for {rows} rows", film.outputs);
        let scales = self.scratch(film.outputs);
        self.convolve(film, condition, scales, None);
        let shift = film.outputs == 2 * rows;
        self.steps.push(Step::Modulate { from: from.place, scales: scales.place, shift, to: to.place, rows });
    }

    /// [`Self::modulate`] in place, if there is such a FiLM.
    fn film(&mut self, film: Option<&Conv1d>, condition: Signal, signal: Signal) {
        if let Some(film) = film {
            self.modulate(film, condition, signal, signal);
        }
    }

    fn wavenet(&mut self, net: &WaveNet, audio: Signal, stacks: Option<Level>) -> Signal {
        let condition = match net.condition.as_deref() {
            None => audio,
            Some(ConditionModel::WaveNet(inner)) => self.wavenet(inner, audio, stacks),
            Some(ConditionModel::Sequence(inner)) => self.sequence(inner, audio),
        };
        let mut x = audio;
        let mut head = self.input_of(&net.arrays[0].head);
        self.steps.push(Step::Zero { to: head.place, rows: head.rows });
        for (number, array) in net.arrays.iter().enumerate() {
            let next = net.arrays.get(number + 1);
            if let Some(output) = self.array(array, x, condition, head, next.is_some(), stacks) {
                x = output;
            }
            self.commit(head);
            // The next array's layers add to this array's head output.
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

    /// Where a layer reads: what its convolution does or, before a FiLM, scratch memory.
    fn input_of_layer(&mut self, layer: &WaveNetLayer) -> Signal {
        if layer.film.conv_pre.is_none() { self.input_of(&layer.conv) } else { self.scratch(layer.conv.inputs) }
    }

    /// Gives the last layer's output if it is `wanted`.
    fn array(
        &mut self,
        array: &LayerArray,
        input: Signal,
        condition: Signal,
        head: Signal,
        wanted: bool,
        stacks: Option<Level>,
    ) -> Option<Signal> {
        let mut x = self.input_of_layer(&array.layers[0]);
        self.convolve(&array.rechannel, input, x, None);
        for (number, layer) in array.layers.iter().enumerate() {
            let to = match array.layers.get(number + 1) {
                Some(next) => Some(self.input_of_layer(next)),
                None if wanted => Some(self.scratch(x.rows)),
                None => None,
            };
            self.layer(layer, x, condition, head, to, stacks);
            x = to?;
        }
        Some(x)
    }

    fn layer(
        &mut self,
        layer: &WaveNetLayer,
        x: Signal,
        condition: Signal,
        head: Signal,
        to: Option<Signal>,
        stacks: Option<Level>,
    ) {
        if stacks.is_some_and(|level| self.plain(layer, level, x, condition, head, to)) {
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
        let z = self.scratch(layer.conv.outputs);
        self.convolve(&layer.conv, from, z, None);
        self.film(film.conv_post.as_ref(), condition, z);

        let mut c = condition;
        if let Some(film) = &film.mixin_pre {
            c = self.scratch(condition.rows);
            self.modulate(film, condition, condition, c);
        }
        if film.mixin_post.is_some() {
            let mixed = self.scratch(z.rows);
            self.convolve(&layer.mixin, c, mixed, None);
            self.film(film.mixin_post.as_ref(), condition, mixed);
            self.add(z, mixed, z);
        } else {
            self.convolve(&layer.mixin, c, z, Some(z));
        }
        self.film(film.activation_pre.as_ref(), condition, z);

        let y = self.activated(layer, z);
        self.film(film.activation_post.as_ref(), condition, y);

        let blended = matches!(layer.gating, Gating::Blended(_));
        match (&layer.layer1x1, to) {
            (_, None) => {}
            (None, Some(to)) => self.scale(x, to, 1.0),
            (Some(conv), Some(to)) if blended && film.layer1x1_post.is_some() => {
                let out = self.scratch(x.rows);
                self.convolve(conv, y, out, None);
                self.film(film.layer1x1_post.as_ref(), condition, out);
                self.add(x, out, to);
            }
            (Some(conv), Some(to)) => self.convolve(conv, y, to, Some(x)),
        }
        match &layer.head1x1 {
            None => self.add(head, y, head),
            Some(conv) if film.head1x1_post.is_some() => {
                let out = self.scratch(head.rows);
                self.convolve(conv, y, out, None);
                self.film(film.head1x1_post.as_ref(), condition, out);
                self.add(head, out, head);
            }
            Some(conv) => self.convolve(conv, y, head, Some(head)),
        }
    }

    /// Whether the layer is plain and was added as such.
    fn plain(
        &mut self,
        layer: &WaveNetLayer,
        level: Level,
        x: Signal,
        condition: Signal,
        head: Signal,
        to: Option<Signal>,
    ) -> bool {
        let packed = Plain::pack(layer, level, x.place, to.map(|to| to.place), &mut self.weights);
        let Some((plain, shape, entry)) = packed else { return false };
        assert_eq!((x.rows, condition.rows, head.rows), (shape.channels, shape.rows, shape.channels), "rows of a layer");
        assert!(to.is_none_or(|to| to.rows == shape.channels), "channels of a layer");
        match self.steps.last_mut() {
            Some(Step::Stack(stack)) if (stack.shape, stack.head) == (shape, head.place) => stack.layers.push(plain),
            _ => {
                let (condition, head) = (condition.place, head.place);
                self.steps.push(Step::Stack(Stack { shape, condition, head, layers: vec![plain], entry }));
            }
        }
        true
    }

    /// Behind activation and gate.
    fn activated(&mut self, layer: &WaveNetLayer, z: Signal) -> Signal {
        let (Gating::Gated(gate) | Gating::Blended(gate)) = &layer.gating else {
            self.activate(&layer.activation, z, z);
            return z;
        };
        let rows = z.rows / 2;
        let (top, k) = (Signal { rows, ..z }, Signal { place: z.place.skip(rows), rows });
        let y = self.scratch(rows);
        self.activate(&layer.activation, top, y);
        self.activate(gate, k, k);
        self.steps.push(match layer.gating {
            Gating::Blended(_) => Step::Blend { to: y.place, from: top.place, k: k.place, rows },
            _ => Step::Multiply { to: y.place, by: k.place, rows },
        });
        y
    }

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
                let x = Signal { place: x.place.skip(row), rows: 1 };
                self.add(x, input, x);
            }
        }
        self.scale(x, x, sequence.output_gain);
        x
    }
}

/// Calls `f` with where each vector of some rows begins, counted in rows and frames.
#[inline(always)]
fn vectors<S: Simd>(rows: usize, frames: usize, mut f: impl FnMut(usize, usize)) {
    for row in 0..rows {
        for v in 0..frames.div_ceil(S::LANES) {
            f(row, v * S::LANES);
        }
    }
}

impl Rows {
    /// # Safety
    /// There is that row, with a vector at that frame.
    #[inline(always)]
    unsafe fn load<S: Simd>(self, s: S, row: usize, frame: usize) -> S::F {
        // SAFETY: the caller's.
        unsafe { s.load(self.at.add(row * self.stride + frame)) }
    }

    /// # Safety
    /// There is that row, with room for a vector at that frame.
    #[inline(always)]
    unsafe fn store<S: Simd>(self, s: S, row: usize, frame: usize, v: S::F) {
        // SAFETY: the caller's.
        unsafe { s.store(self.at.add(row * self.stride + frame), v) }
    }
}

impl Step {
    /// Runs it over the first frames of the chunk, rounded up to whole vectors.
    ///
    /// # Safety
    /// Memory and weights are those of the program, and at most a chunk of frames.
    #[inline(always)]
    pub unsafe fn run<S: Simd, A: Accuracy>(&self, s: S, sweep: &Sweep) {
        let Sweep { memory, weights, frames, settle } = *sweep;
        // SAFETY, for all: the caller's; the program gave each step places with the rows that it needs.
        unsafe {
            match self {
                Self::Zero { to, rows } => {
                    let to = memory.rows(*to);
                    vectors::<S>(*rows, frames, |r, f| to.store(s, r, f, s.splat(0.0)));
                }
                Self::Scale { from, to, rows, factor } => {
                    let (from, to, factor) = (memory.rows(*from), memory.rows(*to), s.splat(*factor));
                    vectors::<S>(*rows, frames, |r, f| to.store(s, r, f, s.mul(factor, from.load(s, r, f))));
                }
                Self::Add { a, b, to, rows } => {
                    let (a, b, to) = (memory.rows(*a), memory.rows(*b), memory.rows(*to));
                    vectors::<S>(*rows, frames, |r, f| to.store(s, r, f, s.add(a.load(s, r, f), b.load(s, r, f))));
                }
                Self::Modulate { from, scales, shift, to, rows } => {
                    let (from, to, scales) = (memory.rows(*from), memory.rows(*to), memory.rows(*scales));
                    vectors::<S>(*rows, frames, |r, f| {
                        let shift = if *shift { scales.load(s, rows + r, f) } else { s.splat(0.0) };
                        to.store(s, r, f, s.mul_add(from.load(s, r, f), scales.load(s, r, f), shift));
                    });
                }
                Self::Convolve { convolution, from, to, add } => {
                    let (from, to, add) = (memory.past(*from), memory.rows(*to), add.map(|add| memory.rows(add)));
                    convolution.run(s, weights, from, to, add, frames.div_ceil(S::LANES));
                }
                Self::Activate { activation, from, to, rows } => {
                    let (from, to) = (memory.rows(*from), memory.rows(*to));
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
                    let (to, by) = (memory.rows(*to), memory.rows(*by));
                    vectors::<S>(*rows, frames, |r, f| to.store(s, r, f, s.mul(to.load(s, r, f), by.load(s, r, f))));
                }
                Self::Blend { to, from, k, rows } => {
                    let (to, from, k) = (memory.rows(*to), memory.rows(*from), memory.rows(*k));
                    vectors::<S>(*rows, frames, |r, f| {
                        let k = k.load(s, r, f);
                        let rest = s.mul(s.sub(s.splat(1.0), k), from.load(s, r, f));
                        to.store(s, r, f, s.mul_add(k, to.load(s, r, f), rest));
                    });
                }
                Self::Stack(stack) => (stack.entry)(S::LEVEL, stack, sweep),
                Self::Commit { place } => memory.commit(s, *place, frames, settle),
            }
        }
    }
}
