//! Convolutions of a WaveNet. The lanes of a vector are frames of one row.

use super::memory::{ChunkPtr, HistoryPtr};
use crate::description::Conv1d;
use crate::simd::Simd;

/// Largest number of outputs that are computed together.
const TILE_OUTPUTS: usize = 4;

/// A convolution; its weights are among the packed weights of the network. Other fields are those of [`Conv1d`].
#[derive(Clone, Copy, Debug)]
pub struct PackedConvolution {
    pub inputs: usize,
    pub outputs: usize,
    pub taps: usize,
    pub dilation: usize,
    groups: usize,
    /// Position of the weights: group after group, for each [`TILE_OUTPUTS`] outputs (fewer at a group's end) their biases, then
    /// for each tap and input their weights.
    offset: usize,
}

/// Checks the shape of a convolution.
///
/// # Panics
/// If the lengths of the weights and the shape disagree.
pub fn check_shape(conv: &Conv1d) {
    let Conv1d { inputs, outputs, taps, groups, .. } = *conv;
    assert!(taps > 0 && groups > 0, "{taps} taps, {groups} groups");
    assert_eq!((inputs % groups, outputs % groups), (0, 0), "{groups} groups of {inputs} inputs and {outputs} outputs");
    assert_eq!(conv.weights.len(), outputs * (inputs / groups) * taps, "weights of a convolution");
    assert!(conv.bias.as_ref().is_none_or(|bias| bias.len() == outputs), "biases of a convolution");
}

/// Appends the weights of some outputs to `packed`, as `[taps][inputs / groups][outputs]`.
pub fn pack_outputs(conv: &Conv1d, outputs: std::ops::Range<usize>, packed: &mut Vec<f32>) {
    let inputs = conv.inputs / conv.groups;
    for tap in 0..conv.taps {
        for input in 0..inputs {
            packed.extend(outputs.clone().map(|output| conv.weights[(output * inputs + input) * conv.taps + tap]));
        }
    }
}

/// Appends the biases of some outputs to `packed`; zeros if there are none.
pub fn pack_biases(conv: &Conv1d, outputs: std::ops::Range<usize>, packed: &mut Vec<f32>) {
    packed.extend(outputs.map(|output| conv.bias.as_ref().map_or(0.0, |bias| bias[output])));
}

impl PackedConvolution {
    /// Appends the weights of a convolution to `packed`.
    ///
    /// # Panics
    /// If the lengths of the weights and the shape disagree.
    pub fn pack(conv: &Conv1d, packed: &mut Vec<f32>) -> Self {
        let Conv1d { inputs, outputs, taps, dilation, groups, .. } = *conv;
        check_shape(conv);
        let offset = packed.len();
        for group in 0..groups {
            let (mut output, end) = (group * outputs / groups, (group + 1) * outputs / groups);
            while output < end {
                let next = (output + TILE_OUTPUTS).min(end);
                pack_biases(conv, output..next, packed);
                pack_outputs(conv, output..next, packed);
                output = next;
            }
        }
        Self { inputs, outputs, taps, dilation, groups, offset }
    }

    /// Computes `to` = bias + convolution of `from` (+ `add`), for the chunk's first `vectors` vectors of frames. `add`
    /// may be `to`.
    ///
    /// # Safety
    /// `weights` are the weights that this was packed into; `from` has `inputs` rows with the history that the taps reach, `to`
    /// and `add` have `outputs` rows, and each row has room for the vectors.
    #[inline(always)]
    pub unsafe fn run<S: Simd>(
        &self,
        s: S,
        weights: *const f32,
        from: HistoryPtr,
        to: ChunkPtr,
        add: Option<ChunkPtr>,
        vectors: usize,
    ) {
        let (inputs, outputs) = (self.inputs / self.groups, self.outputs / self.groups);
        // SAFETY: the caller promises rows and weights; the weights are read in the order in which they were packed.
        unsafe {
            let mut w = weights.add(self.offset);
            for group in 0..self.groups {
                let from = HistoryPtr { ring: from.ring.add(group * inputs * from.stride), ..from };
                let mut output = group * outputs;
                let end = output + outputs;
                while output < end {
                    let left = (end - output).min(TILE_OUTPUTS);
                    let to = to.skip(output);
                    let add = add.map(|add| add.skip(output));
                    match left {
                        4 => self.run_outputs::<S, 4>(s, w, from, to, add, vectors),
                        3 => self.run_outputs::<S, 3>(s, w, from, to, add, vectors),
                        2 => self.run_outputs::<S, 2>(s, w, from, to, add, vectors),
                        _ => self.run_outputs::<S, 1>(s, w, from, to, add, vectors),
                    }
                    w = w.add(left * (1 + inputs * self.taps));
                    output += left;
                }
            }
        }
    }

    /// Computes `O` outputs whose weights begin at `w`.
    ///
    /// # Safety
    /// The requirements of [`Self::run`] hold, with `O` rows in `to` and `add`, and the rows of the outputs' group in `from`.
    #[inline(always)]
    unsafe fn run_outputs<S: Simd, const O: usize>(
        &self,
        s: S,
        w: *const f32,
        from: HistoryPtr,
        to: ChunkPtr,
        add: Option<ChunkPtr>,
        vectors: usize,
    ) {
        let mut v = 0;
        // SAFETY: the caller promises what `# Safety` asks for.
        unsafe {
            // With fewer outputs, more vectors are computed at a time, so that there are always enough independent sums.
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

    /// Computes `O` outputs whose weights begin at `w`, for `T` vectors of frames, starting at `frame`.
    ///
    /// # Safety
    /// The requirements of [`Self::run_outputs`] hold.
    #[inline(always)]
    unsafe fn tile<S: Simd, const O: usize, const T: usize>(
        &self,
        s: S,
        w: *const f32,
        from: HistoryPtr,
        to: ChunkPtr,
        add: Option<ChunkPtr>,
        frame: usize,
    ) {
        // SAFETY: the caller promises what `# Safety` asks for.
        unsafe {
            let mut sums = load_biases::<S, O, T>(s, w);
            if let Some(add) = add {
                for (o, sums) in sums.iter_mut().enumerate() {
                    for (t, sum) in sums.iter_mut().enumerate() {
                        *sum = s.add(*sum, s.load(add.at.add(o * add.stride + frame + t * S::LANES)));
                    }
                }
            }
            let mut w = w.add(O);
            let inputs = self.inputs / self.groups;
            for tap in TapPositions::new(&from, self.taps, self.dilation) {
                w = accumulate(s, &mut sums, w, from.ring.add(tap + frame), from.stride, inputs);
            }
            for (o, sums) in sums.iter().enumerate() {
                for (t, sum) in sums.iter().enumerate() {
                    s.store(to.at.add(o * to.stride + frame + t * S::LANES), *sum);
                }
            }
        }
    }
}

impl ChunkPtr {
    /// Returns a pointer to the rows that start at `row`.
    ///
    /// # Safety
    /// The memory has such a row.
    #[inline(always)]
    pub unsafe fn skip(self, row: usize) -> Self {
        // SAFETY: the caller promises what `# Safety` asks for.
        Self { at: unsafe { self.at.add(row * self.stride) }, ..self }
    }
}

/// The frames of a ring at which each tap of a convolution reads the chunk's first frame, oldest tap first.
pub struct TapPositions {
    /// The next tap's frame.
    position: usize,
    /// Taps that are left.
    left: usize,
    dilation: usize,
    /// Frames after which the ring wraps around.
    frames: usize,
}

impl TapPositions {
    /// Returns the positions in `from`.
    #[inline(always)]
    pub fn new(from: &HistoryPtr, taps: usize, dilation: usize) -> Self {
        let reach = (taps - 1) * dilation;
        let position = if from.position >= reach { from.position - reach } else { from.position + from.frames - reach };
        Self { position, left: taps, dilation, frames: from.frames }
    }
}

impl Iterator for TapPositions {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let position = self.position;
        self.left = self.left.checked_sub(1)?;
        self.position += self.dilation;
        if self.position >= self.frames {
            self.position -= self.frames;
        }
        Some(position)
    }
}

/// Returns the initial sums of `O` outputs for `T` vectors of frames: the outputs' biases.
///
/// # Safety
/// `w` has `O` values.
#[inline(always)]
pub unsafe fn load_biases<S: Simd, const O: usize, const T: usize>(s: S, w: *const f32) -> [[S::F; T]; O] {
    let mut sums = [[s.splat(0.0); T]; O];
    for (o, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller promises what `# Safety` asks for.
        *sums = [s.splat(unsafe { *w.add(o) }); T];
    }
    sums
}

/// Adds `inputs` rows of `T` vectors, starting at `x`, times their weights to the sums of `O` outputs. Returns the end of the
/// weights.
///
/// # Safety
/// `x` has `inputs` rows of `T` vectors, `stride` floats apart; `w` has `O` weights for each row.
#[inline(always)]
pub unsafe fn accumulate<S: Simd, const O: usize, const T: usize>(
    s: S,
    sums: &mut [[S::F; T]; O],
    mut w: *const f32,
    mut x: *const f32,
    stride: usize,
    inputs: usize,
) -> *const f32 {
    for _ in 0..inputs {
        // SAFETY: the caller promises what `# Safety` asks for.
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
