//! The layers that nearly all files have, each in one sweep over the frames: convolution and mixin, activation, head accumulator, 1x1.

use std::marker::PhantomData;

use super::convolution::{Taps, biases, check, multiply, pack_biases, pack_outputs};
use super::memory::{Memory, Past, Place, Rows};
use crate::activation;
use crate::description::{Activation, Conv1d, Gating, WaveNetLayer};
use crate::simd::{Kernel, Level, Simd};

/// Layers one after another without gate, FiLM, groups and head1x1, of a number of channels that [`entry`] knows.
#[derive(Debug)]
pub struct Stack {
    pub shape: Shape,
    pub condition: Place,
    /// Head accumulator.
    pub head: Place,
    pub layers: Vec<Plain>,
    pub entry: Entry,
}

/// What the layers of a stack share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    pub channels: usize,
    /// Rows of the condition.
    pub rows: usize,
    bend: Bend,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bend {
    Tanh,
    /// max(x, slope x), slope 0 to 1.
    Leaky,
}

#[derive(Clone, Copy, Debug)]
pub struct Plain {
    taps: usize,
    dilation: usize,
    /// For [`Bend::Leaky`].
    slope: f32,
    /// Where its weights begin in the network's packed ones: for each tile of outputs their biases, mixin's and convolution's
    /// weights; then for each tile the 1x1's biases and weights.
    at: usize,
    /// What the convolution reads.
    pub from: Place,
    /// The next layer's input, if anybody reads it.
    pub to: Option<Place>,
}

/// Runs a stack over the first frames of a chunk.
///
/// # Safety
/// As for [`super::program::Step::run`].
pub type Entry = unsafe fn(Level, &Stack, &Sweep);

/// What a stack works in.
#[derive(Clone, Copy)]
pub struct Sweep<'a> {
    pub memory: &'a Memory<'a>,
    pub weights: *const f32,
    pub frames: usize,
    /// What is now in a ring has been there for ever.
    pub settle: bool,
}

/// The kernel for a number of channels, and how many outputs it computes at once. The shapes of the tiles (outputs x vectors, or two
/// or one vector where fewer are left) are the fastest that were found on an Intel Xeon: with 16 registers, 8 to 12 sums; with 32, 8
/// (the constants of tanh want some, too) or 16.
fn entry(level: Level, channels: usize, bend: Bend) -> Option<(Entry, usize)> {
    macro_rules! table {
        ($wide:literal $($channels:literal: $bend:ident $outputs:literal x $vectors:literal),*) => {
            match (channels, bend) {
                $(($channels, Bend::$bend) => Some((run::<$wide, $channels, $outputs, $vectors, $bend> as Entry, $outputs)),)*
                _ => None,
            }
        };
    }
    match level {
        Level::Portable | Level::Avx2 => table!(false
            2: Tanh 2 x 4, 3: Tanh 3 x 3, 4: Tanh 4 x 2, 6: Tanh 6 x 2, 8: Tanh 4 x 2, 12: Tanh 4 x 2, 16: Tanh 4 x 2,
            2: Leaky 2 x 4, 3: Leaky 3 x 3, 4: Leaky 4 x 2, 6: Leaky 6 x 2, 8: Leaky 4 x 2, 12: Leaky 4 x 2, 16: Leaky 4 x 2),
        Level::Avx512 => table!(true
            2: Tanh 2 x 4, 3: Tanh 3 x 4, 4: Tanh 4 x 2, 6: Tanh 6 x 2, 8: Tanh 8 x 1, 12: Tanh 4 x 2, 16: Tanh 8 x 1,
            2: Leaky 2 x 4, 3: Leaky 3 x 4, 4: Leaky 4 x 2, 6: Leaky 6 x 2, 8: Leaky 8 x 2, 12: Leaky 6 x 2, 16: Leaky 8 x 1),
    }
}

impl Plain {
    /// Nothing if this layer is not plain.
    ///
    /// # Panics
    /// If the lengths of the weights and the shape disagree.
    pub fn pack(
        layer: &WaveNetLayer,
        level: Level,
        from: Place,
        to: Option<Place>,
        packed: &mut Vec<f32>,
    ) -> Option<(Self, Shape, Entry)> {
        let WaveNetLayer { conv, mixin, layer1x1, head1x1, film, .. } = layer;
        let (bend, slope) = match &layer.activation {
            Activation::Tanh => (Bend::Tanh, 0.0),
            Activation::Relu => (Bend::Leaky, 0.0),
            Activation::LeakyRelu(slopes) if slopes.len() == 1 && (0.0..=1.0).contains(&slopes[0]) => (Bend::Leaky, slopes[0]),
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
        let (entry, tile) = entry(level, channels, bend)?;
        check(conv);
        check(mixin);
        check(layer1x1);
        let at = packed.len();
        for output in (0..channels).step_by(tile) {
            pack_biases(conv, output..output + tile, packed);
            pack_outputs(mixin, output..output + tile, packed);
            pack_outputs(conv, output..output + tile, packed);
        }
        for output in (0..channels).step_by(tile) {
            pack_biases(layer1x1, output..output + tile, packed);
            pack_outputs(layer1x1, output..output + tile, packed);
        }
        let plain = Self { taps: conv.taps, dilation: conv.dilation, slope, at, from, to };
        Some((plain, Shape { channels, rows: mixin.inputs, bend }, entry))
    }
}

trait Curve {
    fn bend<S: Simd>(s: S, slope: S::F, x: S::F) -> S::F;
}

struct Tanh;
struct Leaky;

impl Curve for Tanh {
    #[inline(always)]
    fn bend<S: Simd>(s: S, _: S::F, x: S::F) -> S::F {
        activation::tanh(s, x)
    }
}

impl Curve for Leaky {
    #[inline(always)]
    fn bend<S: Simd>(s: S, slope: S::F, x: S::F) -> S::F {
        s.max(x, s.mul(slope, x))
    }
}

/// # Safety
/// As [`Entry`].
unsafe fn run<const WIDE: bool, const C: usize, const O: usize, const T: usize, B: Curve>(
    level: Level,
    stack: &Stack,
    sweep: &Sweep,
) {
    level.run(Run::<WIDE, C, O, T, B>(stack, sweep, PhantomData));
}

struct Run<'a, const WIDE: bool, const C: usize, const O: usize, const T: usize, B>(&'a Stack, &'a Sweep<'a>, PhantomData<B>);

impl<const WIDE: bool, const C: usize, const O: usize, const T: usize, B: Curve> Kernel for Run<'_, WIDE, C, O, T, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self(stack, Sweep { memory, weights, frames, settle }, _) = self;
        // Not compiled for the levels that have other tiles.
        if WIDE != (S::LEVEL == Level::Avx512) {
            unreachable!("tiles for {:?}", S::LEVEL);
        }
        let vectors = frames.div_ceil(S::LANES);
        for plain in &stack.layers {
            // SAFETY: whoever made this is bound by `Entry`.
            unsafe {
                memory.commit(s, plain.from, *frames, *settle);
                let layer = Layer {
                    plain,
                    rows: stack.shape.rows,
                    weights: weights.add(plain.at),
                    from: memory.past(plain.from),
                    condition: memory.rows(stack.condition),
                    head: memory.rows(stack.head),
                    to: plain.to.map(|to| memory.rows(to)),
                };
                let mut v = 0;
                while v + T <= vectors {
                    layer.tile::<S, C, O, T, B>(s, v * S::LANES);
                    v += T;
                }
                if T > 2 {
                    while v + 2 <= vectors {
                        layer.tile::<S, C, O, 2, B>(s, v * S::LANES);
                        v += 2;
                    }
                }
                while v < vectors {
                    layer.tile::<S, C, O, 1, B>(s, v * S::LANES);
                    v += 1;
                }
            }
        }
    }
}

/// A layer and where it works.
struct Layer<'a> {
    plain: &'a Plain,
    /// Of the condition.
    rows: usize,
    weights: *const f32,
    from: Past,
    condition: Rows,
    head: Rows,
    to: Option<Rows>,
}

impl Layer<'_> {
    /// `T` vectors of frames.
    ///
    /// # Safety
    /// The rows are those that the layer was packed for, with room for that many vectors from `frame` on.
    #[inline(always)]
    unsafe fn tile<S: Simd, const C: usize, const O: usize, const T: usize, B: Curve>(&self, s: S, frame: usize) {
        let Self { plain, from, condition, head, .. } = *self;
        let slope = s.splat(plain.slope);
        let mut z = [[s.splat(0.0); T]; C];
        // SAFETY: the caller's; the weights are walked as they were packed.
        unsafe {
            let mut w = self.weights;
            for output in (0..C).step_by(O) {
                let mut sums = biases::<S, O, T>(s, w);
                w = w.add(O);
                w = multiply(s, &mut sums, w, condition.at.add(frame), condition.stride, self.rows);
                for tap in Taps::new(&from, plain.taps, plain.dilation) {
                    w = multiply(s, &mut sums, w, from.ring.add(tap + frame), from.stride, C);
                }
                for (o, sums) in sums.iter().enumerate() {
                    for (t, sum) in sums.iter().enumerate() {
                        let y = B::bend(s, slope, *sum);
                        z[output + o][t] = y;
                        let head = head.at.add((output + o) * head.stride + frame + t * S::LANES);
                        s.store(head, s.add(s.load(head), y));
                    }
                }
            }
            let Some(to) = self.to else { return };
            for output in (0..C).step_by(O) {
                let mut sums = biases::<S, O, T>(s, w);
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
