//! The layer that nearly all files have, in one sweep over the frames: convolution and mixin, activation, head accumulator, 1x1.

use super::convolution::{Taps, biases, check, multiply, pack_biases, pack_outputs};
use super::memory::{Past, Rows};
use crate::neural::activation;
use crate::neural::description::{Activation, Conv1d, Gating, WaveNetLayer};
use crate::neural::simd::{Kernel, Level, Simd};

/// A layer without gate, FiLM, groups and head1x1, of a number of channels that [`entry`] knows.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    pub channels: usize,
    pub taps: usize,
    pub dilation: usize,
    /// Of the condition.
    pub rows: usize,
    pub bend: Bend,
    /// Where its weights begin in the network's packed ones: for each tile of outputs their biases, mixin's and convolution's
    /// weights; then for each tile the 1x1's biases and weights.
    at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bend {
    Tanh,
    /// max(x, slope x), slope 0 to 1.
    Leaky(f32),
}

/// What a plain layer works on.
#[derive(Clone, Copy)]
pub struct Call {
    pub layer: Plain,
    pub weights: *const f32,
    /// Input and its past.
    pub from: Past,
    pub condition: Rows,
    /// Head accumulator.
    pub head: Rows,
    /// The next layer's input, if anybody reads it.
    pub to: Option<Rows>,
    pub frames: usize,
}

/// Runs a plain layer.
///
/// # Safety
/// The call's rows are those that the layer was packed for, with room for the frames rounded up to whole vectors.
pub type Entry = unsafe fn(Level, &Call);

/// The kernel for a number of channels, and how many outputs it computes at once.
fn entry(channels: usize, bend: Bend) -> Option<(Entry, usize)> {
    macro_rules! table {
        ($($channels:literal: $outputs:literal x $vectors:literal),*) => {
            match (channels, bend) {
                $(
                    ($channels, Bend::Tanh) => Some((run::<$channels, $outputs, $vectors, Tanh> as Entry, $outputs)),
                    ($channels, Bend::Leaky(_)) => Some((run::<$channels, $outputs, $vectors, Leaky> as Entry, $outputs)),
                )*
                _ => None,
            }
        };
    }
    table!(2: 2 x 4, 3: 3 x 4, 4: 4 x 2, 6: 6 x 2, 8: 4 x 2, 12: 4 x 2, 16: 4 x 2)
}

impl Plain {
    /// Nothing if this layer is not plain.
    ///
    /// # Panics
    /// If the lengths of the weights and the shape disagree.
    pub fn pack(layer: &WaveNetLayer, packed: &mut Vec<f32>) -> Option<(Self, Entry)> {
        let WaveNetLayer { conv, mixin, layer1x1, head1x1, film, .. } = layer;
        let bend = match &layer.activation {
            Activation::Tanh => Bend::Tanh,
            Activation::Relu => Bend::Leaky(0.0),
            Activation::LeakyRelu(slopes) if slopes.len() == 1 && (0.0..=1.0).contains(&slopes[0]) => Bend::Leaky(slopes[0]),
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
        let (entry, tile) = entry(channels, bend)?;
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
        Some((Self { channels, taps: conv.taps, dilation: conv.dilation, rows: mixin.inputs, bend, at }, entry))
    }
}

trait Curve: Copy {
    fn new(bend: Bend) -> Self;
    fn bend<S: Simd>(self, s: S, x: S::F) -> S::F;
}

#[derive(Clone, Copy)]
struct Tanh;
#[derive(Clone, Copy)]
struct Leaky(f32);

impl Curve for Tanh {
    fn new(_: Bend) -> Self {
        Self
    }
    #[inline(always)]
    fn bend<S: Simd>(self, s: S, x: S::F) -> S::F {
        activation::tanh(s, x)
    }
}

impl Curve for Leaky {
    fn new(bend: Bend) -> Self {
        Self(if let Bend::Leaky(slope) = bend { slope } else { 1.0 })
    }
    #[inline(always)]
    fn bend<S: Simd>(self, s: S, x: S::F) -> S::F {
        s.max(x, s.mul(s.splat(self.0), x))
    }
}

/// # Safety
/// As [`Entry`].
unsafe fn run<const C: usize, const O: usize, const T: usize, B: Curve>(level: Level, call: &Call) {
    level.run(Run::<C, O, T, B>(call, B::new(call.layer.bend)));
}

struct Run<'a, const C: usize, const O: usize, const T: usize, B>(&'a Call, B);

impl<const C: usize, const O: usize, const T: usize, B: Curve> Kernel for Run<'_, C, O, T, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self(call, curve) = self;
        let vectors = call.frames.div_ceil(S::LANES);
        let mut v = 0;
        // SAFETY: whoever made this is bound by `Entry`.
        unsafe {
            while v + T <= vectors {
                tile::<S, C, O, T, B>(s, call, curve, v * S::LANES);
                v += T;
            }
            if T > 2 {
                while v + 2 <= vectors {
                    tile::<S, C, O, 2, B>(s, call, curve, v * S::LANES);
                    v += 2;
                }
            }
            while v < vectors {
                tile::<S, C, O, 1, B>(s, call, curve, v * S::LANES);
                v += 1;
            }
        }
    }
}

/// `T` vectors of frames.
///
/// # Safety
/// As [`Entry`].
#[inline(always)]
unsafe fn tile<S: Simd, const C: usize, const O: usize, const T: usize, B: Curve>(s: S, call: &Call, curve: B, frame: usize) {
    let Call { layer, from, condition, head, .. } = *call;
    let mut z = [[s.splat(0.0); T]; C];
    // SAFETY: the caller's; the weights are walked as they were packed.
    unsafe {
        let mut w = call.weights.add(layer.at);
        for output in (0..C).step_by(O) {
            let mut sums = biases::<S, O, T>(s, w);
            w = w.add(O);
            w = multiply(s, &mut sums, w, condition.at.add(frame), condition.stride, layer.rows);
            for tap in Taps::new(&from, layer.taps, layer.dilation) {
                w = multiply(s, &mut sums, w, from.ring.add(tap + frame), from.stride, C);
            }
            for (o, sums) in sums.iter().enumerate() {
                for (t, sum) in sums.iter().enumerate() {
                    let y = curve.bend(s, *sum);
                    z[output + o][t] = y;
                    let head = head.at.add((output + o) * head.stride + frame + t * S::LANES);
                    s.store(head, s.add(s.load(head), y));
                }
            }
        }
        let Some(to) = call.to else { return };
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
