//! Convolutions over planar rows, time in the vectors' lanes.

use super::memory::{Past, Rows};
use crate::description::Conv1d;
use crate::simd::Simd;

/// Outputs that are computed at once, as far as there are so many.
const OUTPUTS: usize = 4;

/// A convolution whose weights stand in the network's packed ones from `at` on: for each group and there for each
/// [`OUTPUTS`] (or what is left), their biases, then for each tap and input their weights.
#[derive(Clone, Copy, Debug)]
pub struct Convolution {
    pub inputs: usize,
    pub outputs: usize,
    pub taps: usize,
    pub dilation: usize,
    groups: usize,
    at: usize,
}

/// # Panics
/// If the lengths of the weights and the shape disagree.
pub fn check(conv: &Conv1d) {
    let Conv1d { inputs, outputs, taps, groups, .. } = *conv;
    assert!(taps > 0 && groups > 0, "{taps} taps, {groups} groups");
    assert_eq!((inputs % groups, outputs % groups), (0, 0), "{groups} groups of {inputs} inputs and {outputs} outputs");
    assert_eq!(conv.weights.len(), outputs * (inputs / groups) * taps, "weights of a convolution");
    assert!(conv.bias.as_ref().is_none_or(|bias| bias.len() == outputs), "biases of a convolution");
}

/// `[outputs][inputs / groups][taps]` as `[taps][inputs / groups][outputs]` of some outputs.
pub fn pack_outputs(conv: &Conv1d, outputs: std::ops::Range<usize>, packed: &mut Vec<f32>) {
    let inputs = conv.inputs / conv.groups;
    for tap in 0..conv.taps {
        for input in 0..inputs {
            packed.extend(outputs.clone().map(|output| conv.weights[(output * inputs + input) * conv.taps + tap]));
        }
    }
}

pub fn pack_biases(conv: &Conv1d, outputs: std::ops::Range<usize>, packed: &mut Vec<f32>) {
    packed.extend(outputs.map(|output| conv.bias.as_ref().map_or(0.0, |bias| bias[output])));
}

impl Convolution {
    /// # Panics
    /// If the lengths of the weights and the shape disagree.
    pub fn pack(conv: &Conv1d, packed: &mut Vec<f32>) -> Self {
        let Conv1d { inputs, outputs, taps, dilation, groups, .. } = *conv;
        check(conv);
        let at = packed.len();
        for group in 0..groups {
            let (mut output, end) = (group * outputs / groups, (group + 1) * outputs / groups);
            while output < end {
                let next = (output + OUTPUTS).min(end);
                pack_biases(conv, output..next, packed);
                pack_outputs(conv, output..next, packed);
                output = next;
            }
        }
        Self { inputs, outputs, taps, dilation, groups, at }
    }

    /// `to` = bias + convolution (+ `add`), for that many vectors of frames. `add` may be `to`.
    ///
    /// # Safety
    /// `weights` are those that this was packed into; `from` has `inputs` rows with the past that it reaches, `to` and `add` have
    /// `outputs` rows, and each row has room for the vectors.
    #[inline(always)]
    pub unsafe fn run<S: Simd>(&self, s: S, weights: *const f32, from: Past, to: Rows, add: Option<Rows>, vectors: usize) {
        let (inputs, outputs) = (self.inputs / self.groups, self.outputs / self.groups);
        // SAFETY: the caller's; the weights are walked as they were packed.
        unsafe {
            let mut w = weights.add(self.at);
            for group in 0..self.groups {
                let from = Past { ring: from.ring.add(group * inputs * from.stride), ..from };
                let mut output = group * outputs;
                let end = output + outputs;
                while output < end {
                    let left = (end - output).min(OUTPUTS);
                    let to = to.skip(output);
                    let add = add.map(|add| add.skip(output));
                    match left {
                        4 => self.outputs::<S, 4>(s, w, from, to, add, vectors),
                        3 => self.outputs::<S, 3>(s, w, from, to, add, vectors),
                        2 => self.outputs::<S, 2>(s, w, from, to, add, vectors),
                        _ => self.outputs::<S, 1>(s, w, from, to, add, vectors),
                    }
                    w = w.add(left * (1 + inputs * self.taps));
                    output += left;
                }
            }
        }
    }

    /// # Safety
    /// As [`Self::run`], for `O` outputs whose weights begin at `w`.
    #[inline(always)]
    unsafe fn outputs<S: Simd, const O: usize>(
        &self,
        s: S,
        w: *const f32,
        from: Past,
        to: Rows,
        add: Option<Rows>,
        vectors: usize,
    ) {
        let mut v = 0;
        // SAFETY: the caller's.
        unsafe {
            // So many sums that they need not wait for each other.
            if O == 1 {
                while v + 8 <= vectors {
                    self.tile::<S, O, 8>(s, w, from, to, add, v * S::LANES);
                    v += 8;
                }
            }
            if O <= 2 {
                while v + 4 <= vectors {
                    self.tile::<S, O, 4>(s, w, from, to, add, v * S::LANES);
                    v += 4;
                }
            }
            while v + 2 <= vectors {
                self.tile::<S, O, 2>(s, w, from, to, add, v * S::LANES);
                v += 2;
            }
            if v < vectors {
                self.tile::<S, O, 1>(s, w, from, to, add, v * S::LANES);
            }
        }
    }

    /// # Safety
    /// As [`Self::run`], for `O` outputs whose weights begin at `w`, and `T` vectors from `frame` on.
    #[inline(always)]
    unsafe fn tile<S: Simd, const O: usize, const T: usize>(
        &self,
        s: S,
        w: *const f32,
        from: Past,
        to: Rows,
        add: Option<Rows>,
        frame: usize,
    ) {
        // SAFETY: the caller's.
        unsafe {
            let mut sums = biases::<S, O, T>(s, w);
            if let Some(add) = add {
                for (o, sums) in sums.iter_mut().enumerate() {
                    for (t, sum) in sums.iter_mut().enumerate() {
                        *sum = s.add(*sum, s.load(add.at.add(o * add.stride + frame + t * S::LANES)));
                    }
                }
            }
            let mut w = w.add(O);
            let inputs = self.inputs / self.groups;
            for tap in Taps::new(&from, self.taps, self.dilation) {
                w = multiply(s, &mut sums, w, from.ring.add(tap + frame), from.stride, inputs);
            }
            for (o, sums) in sums.iter().enumerate() {
                for (t, sum) in sums.iter().enumerate() {
                    s.store(to.at.add(o * to.stride + frame + t * S::LANES), *sum);
                }
            }
        }
    }
}

impl Rows {
    /// From row `row` on.
    ///
    /// # Safety
    /// There is one.
    #[inline(always)]
    pub unsafe fn skip(self, row: usize) -> Self {
        // SAFETY: the caller's.
        Self { at: unsafe { self.at.add(row * self.stride) }, ..self }
    }
}

/// Where the chunk begins for each tap, oldest first, in the ring.
pub struct Taps {
    at: usize,
    left: usize,
    dilation: usize,
    frames: usize,
}

impl Taps {
    #[inline(always)]
    pub fn new(from: &Past, taps: usize, dilation: usize) -> Self {
        let reach = (taps - 1) * dilation;
        let at = if from.position >= reach { from.position - reach } else { from.position + from.frames - reach };
        Self { at, left: taps, dilation, frames: from.frames }
    }
}

impl Iterator for Taps {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let at = self.at;
        self.left = self.left.checked_sub(1)?;
        self.at += self.dilation;
        if self.at >= self.frames {
            self.at -= self.frames;
        }
        Some(at)
    }
}

/// `O` sums in each of `T` vectors that begin with their biases.
///
/// # Safety
/// `w` has `O` values.
#[inline(always)]
pub unsafe fn biases<S: Simd, const O: usize, const T: usize>(s: S, w: *const f32) -> [[S::F; T]; O] {
    let mut sums = [[s.splat(0.0); T]; O];
    for (o, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller's.
        *sums = [s.splat(unsafe { *w.add(o) }); T];
    }
    sums
}

/// Adds `inputs` rows times their weights to the sums; gives where the weights end.
///
/// # Safety
/// `x` has `inputs` rows of `T` vectors, `w` has `O` weights for each.
#[inline(always)]
pub unsafe fn multiply<S: Simd, const O: usize, const T: usize>(
    s: S,
    sums: &mut [[S::F; T]; O],
    mut w: *const f32,
    mut x: *const f32,
    stride: usize,
    inputs: usize,
) -> *const f32 {
    for _ in 0..inputs {
        // SAFETY: the caller's.
        unsafe {
            let mut row = [s.splat(0.0); T];
            for (t, v) in row.iter_mut().enumerate() {
                *v = s.load(x.add(t * S::LANES));
            }
            for (o, sums) in sums.iter_mut().enumerate() {
                let weight = s.splat(*w.add(o));
                for (sum, v) in sums.iter_mut().zip(row) {
                    *sum = s.mul_add(weight, v, *sum);
                }
            }
            w = w.add(O);
            x = x.add(stride);
        }
    }
    w
}
