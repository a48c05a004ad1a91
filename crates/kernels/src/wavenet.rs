//! The WaveNet of Neural Amp Modeler. All layers run over a chunk of frames, then over the next chunk. The lanes of a vector are
//! frames of one feature channel.
//!
//! Every output frame is computed by the same operations in the same order, wherever it lies in a chunk, so neither the cut into
//! blocks nor the choice of AVX2 or AVX-512 changes a bit. A condition model may be a WaveNet or a sequence of convolutions;
//! loaders refuse recurrent ones.

mod convolution;
mod memory;
mod plain;
mod step_list;

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use self::memory::{LineBuffer, PREFETCH_FROM, Ring, ScratchArea, StepMemory};
use self::plain::ChunkContext;
use self::step_list::{Step, StepList};
use super::activation::{Exact, Fast, Precision, StaticPrecision};
use super::description::WaveNet;
use super::network::{EngineError, Network, NetworkState, StateSpec};
use super::simd::{Kernel, Simd, SimdLevel};
use crate::{Block, CHUNK};

/// Packs a description for this machine. [control thread: allocates]
///
/// # Panics
/// If lengths of weights and shapes disagree, or a condition model is recurrent.
#[must_use]
pub fn build(description: &WaveNet) -> Arc<dyn Network> {
    let Some(receptive_field) = description.receptive_field() else { panic!("a recurrent condition model") };
    let packed = PackedWaveNet { description: description.clone(), receptive_field, variants: Default::default() };
    packed.variant(Precision::Fast, SimdLevel::best_up_to(SimdLevel::Avx512));
    Arc::new(packed)
}

/// A network, packed in each way in which a state has asked for it.
struct PackedWaveNet {
    description: WaveNet,
    /// Frames of input that an output frame depends on.
    receptive_field: usize,
    /// Packed for fast precision at the portable level and AVX2, for fast precision at AVX-512, and for exact precision at any
    /// level.
    variants: [OnceLock<PackedVariant>; 3],
}

/// A network packed for one way of running it.
struct PackedVariant {
    /// The steps; the `weights` of the list are empty, because they are in the next field.
    step_list: StepList,
    weights: LineBuffer,
    /// The row of scratch memory that holds the audio of the chunk.
    input: ScratchArea,
    /// The row of scratch memory that holds the output of the chunk.
    output: ScratchArea,
}

impl PackedVariant {
    /// Packs a network; `stack_level` is the level of the kernels of its plain stacks, see [`StepList::new`].
    fn new(description: &WaveNet, stack_level: Option<SimdLevel>) -> Self {
        let (mut step_list, input, output) = StepList::new(description, stack_level);
        let weights = LineBuffer::of(&std::mem::take(&mut step_list.weights));
        Self { step_list, weights, input, output }
    }

    /// Bytes on the heap.
    fn bytes(&self) -> usize {
        self.weights.bytes() + size_of_val(self.step_list.steps.as_slice()) + size_of_val(self.step_list.layout.rings.as_slice())
    }
}

impl PackedWaveNet {
    /// Returns the network packed for a precision and a level. [control thread: allocates the first time; then any thread]
    fn variant(&self, precision: Precision, level: SimdLevel) -> &PackedVariant {
        let (index, stack_level) = match (precision, level) {
            (Precision::Fast, SimdLevel::Portable | SimdLevel::Avx2) => (0, Some(SimdLevel::Avx2)),
            (Precision::Fast, SimdLevel::Avx512) => (1, Some(SimdLevel::Avx512)),
            (Precision::Exact, _) => (2, None),
        };
        self.variants[index].get_or_init(|| PackedVariant::new(&self.description, stack_level))
    }
}

impl Network for PackedWaveNet {
    fn state(self: Arc<Self>, spec: StateSpec) -> Result<Box<dyn NetworkState>, EngineError> {
        Ok(Box::new(WaveNetState::new(self, spec)))
    }

    fn bytes(&self) -> usize {
        // The description has as many weights as any variant.
        let variants = self.variants.iter().filter_map(OnceLock::get);
        variants.clone().map(PackedVariant::bytes).sum::<usize>() + variants.map(|v| v.weights.bytes()).next().unwrap_or(0)
    }
}

/// The state of all channels of one processor.
#[derive(Clone)]
struct WaveNetState {
    network: Arc<PackedWaveNet>,
    spec: StateSpec,
    /// One for each channel.
    constant_runs: Vec<ConstantRun>,
    /// The rings of all channels, one channel after the other.
    rings: LineBuffer,
    /// Memory for one chunk of one channel.
    scratch: LineBuffer,
    /// The frame in each ring at which the next chunk begins, the same for all channels.
    positions: Vec<usize>,
    /// The settled value of each row of the rings: after endless silence all its frames have the same value.
    settled_rows: Vec<f32>,
    /// The output for endless silence.
    settled_output: f32,
}

/// The number of frames for which a channel's input has had the same value.
#[derive(Clone)]
struct ConstantRun {
    /// The value of the last frame.
    value: f32,
    /// Frames with that value, up to the last one; counted up to the receptive field.
    frames: usize,
}

impl WaveNetState {
    /// Makes a settled state. [control thread: allocates]
    fn new(network: Arc<PackedWaveNet>, spec: StateSpec) -> Self {
        let spec = StateSpec { level: SimdLevel::best_up_to(spec.level), ..spec };
        let variant = network.variant(spec.precision, spec.level);
        let layout = &variant.step_list.layout;
        let mut rings = LineBuffer::new(spec.channels * layout.state_floats);
        let mut scratch = LineBuffer::new(layout.scratch);
        let positions = vec![0; layout.rings.len()];
        scratch.as_mut_slice()[variant.input.offset] = spec.silence;
        variant.run_chunk(spec, (rings.as_mut_slice(), None), scratch.as_mut_slice(), &positions, 1, true);
        let row = |ring: &Ring, row: usize| rings.as_slice()[ring.offset + row * ring.stride];
        let settled_rows = layout.rings.iter().flat_map(|ring| (0..ring.rows).map(move |r| row(ring, r))).collect();
        let settled_output = scratch.as_slice()[variant.output.offset];
        let constant_runs = vec![ConstantRun { value: 0.0, frames: 0 }; spec.channels];
        let mut state = Self { spec, constant_runs, rings, scratch, positions, settled_rows, settled_output, network };
        state.reset();
        state
    }
}

impl PackedVariant {
    /// Runs a chunk of one channel: reads its `frames` frames at [`Self::input`] in the scratch memory, writes those at
    /// [`Self::output`], and updates the channel's rings. `next_state` is that of [`StepMemory`]. `positions` are the frames at
    /// which the chunk begins in the rings. With `settle` there must be one frame, and the rings become as if it had come in for
    /// ever.
    fn run_chunk(
        &self,
        spec: StateSpec,
        (state, next_state): (&mut [f32], Option<*const f32>),
        scratch: &mut [f32],
        positions: &[usize],
        frames: usize,
        settle: bool,
    ) {
        let layout = &self.step_list.layout;
        assert!(state.len() >= layout.state_floats && scratch.len() >= layout.scratch && frames <= CHUNK);
        let rings = &layout.rings;
        let memory = StepMemory { rings, positions, state: state.as_mut_ptr(), next_state, scratch: scratch.as_mut_ptr() };
        let context = ChunkContext { memory: &memory, weights: self.weights.as_slice().as_ptr(), frames, settle };
        let steps = self.step_list.steps.as_slice();
        match spec.precision {
            Precision::Fast => spec.level.run(StepListKernel { steps, context, precision: PhantomData::<Fast> }),
            Precision::Exact => spec.level.run(StepListKernel { steps, context, precision: PhantomData::<Exact> }),
        }
    }
}

/// All steps of a step list over a chunk.
struct StepListKernel<'a, A> {
    steps: &'a [Step],
    context: ChunkContext<'a>,
    precision: PhantomData<A>,
}

impl<A: StaticPrecision> Kernel for StepListKernel<'_, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for step in self.steps {
            // SAFETY: `PackedVariant::run_chunk`, which makes this, asserts the sizes of memory and chunk; the weights are the
            // step list's.
            unsafe { step.run::<S, A>(s, &self.context) };
        }
    }
}

impl NetworkState for WaveNetState {
    fn process(&mut self, block: &mut Block<'_>, _knobs: &[&[f32]]) {
        let Self { network, spec, constant_runs, rings, scratch, positions, .. } = self;
        let variant = network.variant(spec.precision, spec.level);
        let layout = &variant.step_list.layout;
        let (rings, scratch) = (rings.as_mut_slice(), scratch.as_mut_slice());
        let prefetch = size_of_val(rings) >= PREFETCH_FROM;
        let total = block.first().map_or(0, |channel| channel.len());
        let mut start = 0;
        while start < total {
            let frames = (total - start).min(CHUNK);
            for (channel, (audio, constant)) in block.iter_mut().zip(&mut *constant_runs).enumerate() {
                let audio = &mut audio[start..start + frames];
                constant.follow(audio, network.receptive_field);
                let input = &mut scratch[variant.input.offset..][..CHUNK];
                input[..frames].copy_from_slice(audio);
                input[frames..frames.next_multiple_of(spec.level.lanes())].fill(0.0);
                let next = (channel + 1) % spec.channels;
                let next_state = prefetch.then(|| rings[next * layout.state_floats..].as_ptr());
                let state = &mut rings[channel * layout.state_floats..];
                variant.run_chunk(*spec, (state, next_state), scratch, positions, frames, false);
                audio.copy_from_slice(&scratch[variant.output.offset..][..frames]);
            }
            for (position, ring) in positions.iter_mut().zip(&layout.rings) {
                *position += frames;
                if *position >= ring.frames {
                    *position -= ring.frames;
                }
            }
            start += frames;
        }
    }

    fn settle(&mut self, _knobs: &[f32]) -> f32 {
        self.reset();
        self.settled_output
    }

    fn reset(&mut self) {
        let layout = &self.network.variant(self.spec.precision, self.spec.level).step_list.layout;
        // The positions are spread, so that not all rings wrap around in the same block.
        for (index, (position, ring)) in self.positions.iter_mut().zip(&layout.rings).enumerate() {
            *position = ring.frames * index / layout.rings.len();
        }
        for state in self.rings.as_mut_slice().chunks_mut(layout.state_floats.max(1)) {
            let mut settled = self.settled_rows.iter();
            for ring in &layout.rings {
                let rows = &mut state[ring.offset..ring.offset + ring.rows * ring.stride];
                for (row, value) in rows.chunks_exact_mut(ring.stride).zip(&mut settled) {
                    row.fill(*value);
                }
            }
        }
        self.constant_runs.fill(ConstantRun { value: self.spec.silence, frames: self.network.receptive_field });
    }

    fn rests(&self) -> bool {
        self.constant_runs.iter().all(|run| run.frames >= self.network.receptive_field)
    }

    fn duplicate(&self) -> Option<Box<dyn NetworkState>> {
        Some(Box::new(self.clone()))
    }

    fn bytes(&self) -> usize {
        self.rings.bytes()
            + size_of_val(self.constant_runs.as_slice())
            + self.scratch.bytes()
            + size_of_val(self.positions.as_slice())
            + size_of_val(self.settled_rows.as_slice())
    }
}

impl ConstantRun {
    /// Continues the count with the next samples of the input, up to `limit` frames.
    fn follow(&mut self, audio: &[f32], limit: usize) {
        let Some(last) = audio.last() else { return };
        let equal = audio.iter().rev().take_while(|x| x.to_bits() == last.to_bits()).count();
        let goes_on = equal == audio.len() && last.to_bits() == self.value.to_bits();
        self.frames = if goes_on { (self.frames + equal).min(limit) } else { equal.min(limit) };
        self.value = *last;
    }
}
