//! Plain layers: layers without gate, FiLM, groups and head1x1, with tanh, ReLU or LeakyReLU, of a width that [`stack_fn`] has a
//! kernel for. Nearly all files have only such layers. Each is computed in one pass over the chunk: convolution and mixin,
//! activation, head accumulator, 1x1 convolution.

use std::marker::PhantomData;
use std::ops::Range;

use super::convolution::{TapPositions, accumulate, check_shape, load_biases, pack_biases, pack_outputs};
use super::memory::{ChunkPtr, HistoryPtr, Operand, StepMemory, Upcoming};
use crate::CHUNK;
use crate::activation;
use crate::description::{Activation, Conv1d, Gating, WaveNetLayer};
use crate::simd::{Kernel, Simd, SimdLevel};

/// Plain layers of one shape, one after another.
#[derive(Debug)]
pub struct PlainStack {
    pub shape: StackShape,
    /// The condition.
    pub condition: Operand,
    /// The head accumulator.
    pub head: Operand,
    pub layers: Vec<PlainLayer>,
    /// The function that runs a stack of this shape.
    pub run: StackFn,
}

/// The properties that the layers of a stack share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StackShape {
    pub channels: usize,
    /// Rows of the condition.
    pub condition_rows: usize,
    activation: PlainActivation,
}

/// The activations that plain layers may have.
#[derive(Clone, Copy, Debug, PartialEq)]
enum PlainActivation {
    Tanh,
    /// max(x, slope x), with a slope from 0 (ReLU) to 1.
    Leaky,
}

/// A plain layer.
#[derive(Clone, Copy, Debug)]
pub struct PlainLayer {
    taps: usize,
    dilation: usize,
    /// The slope of [`PlainActivation::Leaky`].
    slope: f32,
    /// Position of its weights among the packed weights of the network: for each tile of outputs their biases, the mixin's
    /// weights and the convolution's weights; then for each tile the biases and weights of the 1x1 convolution.
    offset: usize,
    /// The layer's input.
    pub from: Operand,
    /// The next layer's input, if it is read.
    pub to: Option<Operand>,
    /// The plain layer that runs next, perhaps in another stack.
    pub upcoming: Option<Upcoming>,
}

/// A function that runs a stack over a chunk.
///
/// # Safety
/// The requirements of [`super::step_list::Step::run`] hold.
pub type StackFn = unsafe fn(SimdLevel, &PlainStack, &ChunkContext);

/// The memory, weights and length of a chunk: what steps run with.
#[derive(Clone, Copy)]
pub struct ChunkContext<'a> {
    pub memory: &'a StepMemory<'a>,
    /// The packed weights of the network.
    pub weights: *const f32,
    /// Frames of the chunk, at most [`crate::CHUNK`].
    pub frames: usize,
    /// True to settle: rings become as if the chunk's frame had come in for ever. The chunk is one frame then.
    pub settle: bool,
}

/// Returns the function for stacks of a width and an activation, and the number of outputs that it computes together; `None` if
/// there is none. The tiles (outputs x vectors; two vectors or one at a chunk's end) are the fastest that were found on an Intel
/// Xeon: 8 to 12 sums with the 16 registers of AVX2; 8 (the constants of tanh need registers, too) or 16 with the 32 of AVX-512.
fn stack_fn(level: SimdLevel, channels: usize, activation: PlainActivation) -> Option<(StackFn, usize)> {
    macro_rules! table {
        ($wide:literal $($channels:literal: $activation:ident $outputs:literal x $vectors:literal),*) => {
            match (channels, activation) {
                $(($channels, PlainActivation::$activation) => {
                    Some((run::<$wide, $channels, $outputs, $vectors, $activation> as StackFn, $outputs))
                },)*
                _ => None,
            }
        };
    }
    match level {
        SimdLevel::Portable | SimdLevel::Avx2 => table!(false
            2: Tanh 2 x 4, 3: Tanh 3 x 3, 4: Tanh 4 x 2, 6: Tanh 6 x 2, 8: Tanh 4 x 2, 12: Tanh 4 x 2, 16: Tanh 4 x 2,
            2: Leaky 2 x 4, 3: Leaky 3 x 3, 4: Leaky 4 x 2, 6: Leaky 6 x 2, 8: Leaky 4 x 2, 12: Leaky 4 x 2, 16: Leaky 4 x 2),
        SimdLevel::Avx512 => table!(true
            2: Tanh 2 x 4, 3: Tanh 3 x 4, 4: Tanh 4 x 2, 6: Tanh 6 x 2, 8: Tanh 8 x 1, 12: Tanh 4 x 2, 16: Tanh 8 x 1,
            2: Leaky 2 x 4, 3: Leaky 3 x 4, 4: Leaky 4 x 2, 6: Leaky 6 x 2, 8: Leaky 8 x 2, 12: Leaky 6 x 2, 16: Leaky 8 x 1),
    }
}

impl PlainLayer {
    /// Returns what is fetched ahead of this layer, which has `rows` channels.
    pub fn as_upcoming(&self, rows: usize) -> Upcoming {
        let Self { from, taps, dilation, to, .. } = *self;
        Upcoming { rows, from, reach: (taps - 1) * dilation, dilation, to, next_channel: false }
    }

    /// Fetches the rows of the upcoming layer that `part` chooses of their number, if rows are to be fetched.
    #[inline(always)]
    fn prefetch(&self, memory: &StepMemory, frames: usize, part: impl FnOnce(usize) -> Range<usize>) {
        if let (Some(upcoming), Some(_)) = (&self.upcoming, memory.next_state) {
            memory.prefetch(upcoming, part(upcoming.rows), frames);
        }
    }

    /// Packs a layer, appending its weights to `packed`. Returns it with its shape and the function for such stacks, or `None` if
    /// the layer is not plain.
    ///
    /// # Panics
    /// If the lengths of the weights and the shape disagree.
    pub fn pack(
        layer: &WaveNetLayer,
        level: SimdLevel,
        from: Operand,
        to: Option<Operand>,
        packed: &mut Vec<f32>,
    ) -> Option<(Self, StackShape, StackFn)> {
        let WaveNetLayer { conv, mixin, layer1x1, head1x1, film, .. } = layer;
        let (activation, slope) = match &layer.activation {
            Activation::Tanh => (PlainActivation::Tanh, 0.0),
            Activation::Relu => (PlainActivation::Leaky, 0.0),
            Activation::LeakyRelu(slopes) if slopes.len() == 1 && (0.0..=1.0).contains(&slopes[0]) => {
                (PlainActivation::Leaky, slopes[0])
            }
            _ => return None,
        };
        let channels = conv.inputs;
        let layer1x1 = layer1x1.as_ref()?;
        let square = |c: &Conv1d| (c.inputs, c.outputs, c.groups) == (channels, channels, 1);
        if !(square(conv) && square(layer1x1) && layer1x1.taps == 1)
            || (mixin.outputs, mixin.groups, mixin.taps) != (channels, 1, 1)
            || layer.gating != Gating::None
            || head1x1.is_some()
            || *film != Default::default()
        {
            return None;
        }
        let (run, tile) = stack_fn(level, channels, activation)?;
        check_shape(conv);
        check_shape(mixin);
        check_shape(layer1x1);
        let offset = packed.len();
        for output in (0..channels).step_by(tile) {
            pack_biases(conv, output..output + tile, packed);
            pack_outputs(mixin, output..output + tile, packed);
            pack_outputs(conv, output..output + tile, packed);
        }
        for output in (0..channels).step_by(tile) {
            pack_biases(layer1x1, output..output + tile, packed);
            pack_outputs(layer1x1, output..output + tile, packed);
        }
        let plain = Self { taps: conv.taps, dilation: conv.dilation, slope, offset, from, to, upcoming: None };
        Some((plain, StackShape { channels, condition_rows: mixin.inputs, activation }, run))
    }
}

/// A [`PlainActivation`] as a type.
trait ActivationFn {
    /// Returns the activation of `x`. `slope` is that of [`PlainActivation::Leaky`].
    fn apply<S: Simd>(s: S, slope: S::F, x: S::F) -> S::F;
}

/// [`PlainActivation::Tanh`] as a type.
struct Tanh;
/// [`PlainActivation::Leaky`] as a type.
struct Leaky;

impl ActivationFn for Tanh {
    #[inline(always)]
    fn apply<S: Simd>(s: S, _: S::F, x: S::F) -> S::F {
        activation::tanh(s, x)
    }
}

impl ActivationFn for Leaky {
    #[inline(always)]
    fn apply<S: Simd>(s: S, slope: S::F, x: S::F) -> S::F {
        s.max(x, s.mul(slope, x))
    }
}

/// Runs a stack. `WIDE` is true for AVX-512; `C` is the number of channels, `O` the number of outputs that are computed together,
/// `T` the number of vectors of frames at a time.
///
/// # Safety
/// The requirements of [`StackFn`] hold.
unsafe fn run<const WIDE: bool, const C: usize, const O: usize, const T: usize, F: ActivationFn>(
    level: SimdLevel,
    stack: &PlainStack,
    context: &ChunkContext,
) {
    level.run(StackKernel::<WIDE, C, O, T, F>(stack, context, PhantomData));
}

/// The arguments of [`run`].
struct StackKernel<'a, const WIDE: bool, const C: usize, const O: usize, const T: usize, F>(
    &'a PlainStack,
    &'a ChunkContext<'a>,
    PhantomData<F>,
);

impl<const WIDE: bool, const C: usize, const O: usize, const T: usize, F: ActivationFn> Kernel
    for StackKernel<'_, WIDE, C, O, T, F>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self(stack, context, _) = self;
        let ChunkContext { weights, frames, settle, .. } = *context;
        // A copy, which the compiler can keep in registers: no row that is written can overlap it.
        let memory = *context.memory;
        // At levels that have other tiles this is always true, so the compiler drops the code below.
        if WIDE != (S::LEVEL == SimdLevel::Avx512) {
            unreachable!("tiles for {:?}", S::LEVEL);
        }
        let vectors = frames.div_ceil(S::LANES);
        // The rows of `rows` that are fetched ahead before vector `v` of a whole chunk.
        let share = |rows: usize, v: usize| rows * v * S::LANES / CHUNK;
        let (condition, head) = (memory.chunk(stack.condition), memory.chunk(stack.head));
        for plain in &stack.layers {
            // SAFETY: the caller of `run` promises what `StackFn` asks for.
            unsafe {
                let from = memory.history(plain.from);
                if let Operand::Ring(_) = plain.from {
                    from.commit(s, C, frames, settle);
                }
                let layer = LayerPointers {
                    plain,
                    condition_rows: stack.shape.condition_rows,
                    weights: weights.add(plain.offset),
                    from,
                    condition,
                    head,
                    to: plain.to.map(|to| memory.chunk(to)),
                };
                let mut v = 0;
                while v + T <= vectors {
                    plain.prefetch(&memory, frames, |rows| share(rows, v)..share(rows, v + T));
                    layer.tile::<S, C, O, T, F>(s, v * S::LANES);
                    v += T;
                }
                plain.prefetch(&memory, frames, |rows| share(rows, v)..rows);
                if T > 2 {
                    while v + 2 <= vectors {
                        layer.tile::<S, C, O, 2, F>(s, v * S::LANES);
                        v += 2;
                    }
                }
                while v < vectors {
                    layer.tile::<S, C, O, 1, F>(s, v * S::LANES);
                    v += 1;
                }
            }
        }
    }
}

/// A layer with pointers to its weights and to the rows that it reads and writes.
struct LayerPointers<'a> {
    plain: &'a PlainLayer,
    condition_rows: usize,
    weights: *const f32,
    from: HistoryPtr,
    condition: ChunkPtr,
    /// The head accumulator.
    head: ChunkPtr,
    to: Option<ChunkPtr>,
}

impl LayerPointers<'_> {
    /// Computes the layer for `T` vectors of frames, starting at `frame`.
    ///
    /// # Safety
    /// The rows are those that the layer was packed for, with `C` channels and room for the vectors.
    #[inline(always)]
    unsafe fn tile<S: Simd, const C: usize, const O: usize, const T: usize, F: ActivationFn>(&self, s: S, frame: usize) {
        let Self { plain, from, condition, head, .. } = *self;
        let slope = s.splat(plain.slope);
        let mut z = [[s.splat(0.0); T]; C];
        // SAFETY: the caller promises rows and weights; the weights are read in the order in which they were packed.
        unsafe {
            let mut w = self.weights;
            for output in (0..C / O).map(|tile| tile * O) {
                let mut sums = load_biases::<S, O, T>(s, w);
                w = w.add(O);
                w = accumulate(s, &mut sums, w, condition.at.add(frame), condition.stride, self.condition_rows);
                for tap in TapPositions::new(&from, plain.taps, plain.dilation) {
                    w = accumulate(s, &mut sums, w, from.ring.add(tap + frame), from.stride, C);
                }
                for (o, sums) in sums.iter().enumerate() {
                    for (t, sum) in sums.iter().enumerate() {
                        let y = F::apply(s, slope, *sum);
                        z[output + o][t] = y;
                        let head = head.at.add((output + o) * head.stride + frame + t * S::LANES);
                        s.store(head, s.add(s.load(head), y));
                    }
                }
            }
            let Some(to) = self.to else { return };
            for output in (0..C / O).map(|tile| tile * O) {
                let mut sums = load_biases::<S, O, T>(s, w);
                w = w.add(O);
                for (o, sums) in sums.iter_mut().enumerate() {
                    for (t, sum) in sums.iter_mut().enumerate() {
                        let x = from.ring.add((output + o) * from.stride + from.position + frame + t * S::LANES);
                        *sum = s.add(*sum, s.load(x));
                    }
                }
                for z in &z {
                    for (o, sums) in sums.iter_mut().enumerate() {
                        let weight = s.splat(*w.add(o));
                        for (sum, z) in sums.iter_mut().zip(z) {
                            *sum = s.mul_add(weight, *z, *sum);
                        }
                    }
                    w = w.add(O);
                }
                for (o, sums) in sums.iter().enumerate() {
                    for (t, sum) in sums.iter().enumerate() {
                        s.store(to.at.add((output + o) * to.stride + frame + t * S::LANES), *sum);
                    }
                }
            }
        }
    }
}
