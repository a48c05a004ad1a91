//! NAM's WaveNet: planar rows with time in the vectors' lanes, all layers over a chunk of frames, then the next chunk.
//!
//! An output frame is the same operations in the same order wherever it lies in a chunk, so neither the cut into blocks nor AVX2 or
//! AVX-512 change a bit. Condition models may be WaveNets and convolutions one after another; recurrent ones are refused by the
//! loaders.

mod convolution;
mod memory;
mod plain;
mod program;

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use self::memory::{Area, Arena, Memory, Ring};
use self::plain::Sweep;
use self::program::{Program, Step};
use super::activation::{Accuracy, Exact, Fast, Precision};
use super::description::WaveNet;
use super::network::{Mode, Network, Voices};
use super::simd::{Kernel, Level, Simd};
use crate::{Block, CHUNK};

/// Packs a description. [control thread]
///
/// # Panics
/// If lengths of weights and shapes disagree, or a condition model is recurrent.
#[must_use]
pub fn build(description: &WaveNet) -> Arc<dyn Network> {
    let Some(field) = description.receptive_field() else { panic!("a recurrent condition model") };
    let packed = Packed { description: description.clone(), field, variants: Default::default() };
    packed.variant(Precision::Fast, Level::best_up_to(Level::Avx512));
    Arc::new(packed)
}

/// A network for each way of running it that was asked for.
struct Packed {
    description: WaveNet,
    /// Frames that an output depends on.
    field: usize,
    /// For narrow vectors, for wide ones, and exact.
    variants: [OnceLock<Variant>; 3],
}

struct Variant {
    program: Program,
    weights: Arena,
    input: Area,
    output: Area,
}

impl Variant {
    fn new(description: &WaveNet, stacks: Option<Level>) -> Self {
        let (mut program, input, output) = Program::new(description, stacks);
        let weights = Arena::of(&std::mem::take(&mut program.weights));
        Self { program, weights, input, output }
    }

    fn bytes(&self) -> usize {
        self.weights.bytes() + size_of_val(self.program.steps.as_slice()) + size_of_val(self.program.layout.rings.as_slice())
    }
}

impl Packed {
    fn variant(&self, precision: Precision, level: Level) -> &Variant {
        let (number, stacks) = match (precision, level) {
            (Precision::Fast, Level::Portable | Level::Avx2) => (0, Some(Level::Avx2)),
            (Precision::Fast, Level::Avx512) => (1, Some(Level::Avx512)),
            (Precision::Exact, _) => (2, None),
        };
        self.variants[number].get_or_init(|| Variant::new(&self.description, stacks))
    }
}

impl Network for Packed {
    fn voices(self: Arc<Self>, mode: Mode) -> Result<Box<dyn Voices>, String> {
        Ok(Box::new(Player::new(self, mode)))
    }

    fn bytes(&self) -> usize {
        // The description has the same numbers as any variant.
        let variants = self.variants.iter().filter_map(OnceLock::get);
        variants.clone().map(Variant::bytes).sum::<usize>() + variants.map(|v| v.weights.bytes()).next().unwrap_or(0)
    }
}

/// The state of all channels.
#[derive(Clone)]
struct Player {
    network: Arc<Packed>,
    mode: Mode,
    channels: Vec<Channel>,
    /// Of all channels, one behind the other.
    state: Arena,
    scratch: Arena,
    /// Where the next frame goes in each ring, the same for all channels.
    positions: Vec<usize>,
    /// What each row of the rings holds when silence came in for ever.
    silent: Vec<f32>,
    /// The output then.
    output: f32,
}

#[derive(Clone)]
struct Channel {
    /// The input that came last, and how often it came without another one between, up to the receptive field.
    last: f32,
    run: usize,
}

impl Player {
    fn new(network: Arc<Packed>, mode: Mode) -> Self {
        let mode = Mode { level: Level::best_up_to(mode.level), ..mode };
        let variant = network.variant(mode.precision, mode.level);
        let layout = &variant.program.layout;
        let mut state = Arena::new(mode.channels * layout.state);
        let mut scratch = Arena::new(layout.scratch);
        let positions = vec![0; layout.rings.len()];
        variant.chunk(mode, state.as_mut_slice(), scratch.as_mut_slice(), &positions, 1, true);
        let row = |ring: &Ring, row: usize| state.as_slice()[ring.at + row * ring.stride];
        let silent = layout.rings.iter().flat_map(|ring| (0..ring.rows).map(move |r| row(ring, r))).collect();
        let output = scratch.as_slice()[variant.output.at];
        let channels = vec![Channel { last: 0.0, run: 0 }; mode.channels];
        let mut player = Self { mode, channels, state, scratch, positions, silent, output, network };
        player.reset();
        player
    }
}

impl Variant {
    /// Runs what stands in the scratch memory at the input through a channel's state. With `settle`, the last of it has been there for
    /// ever.
    fn chunk(&self, mode: Mode, state: &mut [f32], scratch: &mut [f32], positions: &[usize], frames: usize, settle: bool) {
        let layout = &self.program.layout;
        assert!(state.len() >= layout.state && scratch.len() >= layout.scratch && frames <= CHUNK);
        let rings = &layout.rings;
        let memory = Memory { rings, positions, state: state.as_mut_ptr(), scratch: scratch.as_mut_ptr() };
        let sweep = Sweep { memory: &memory, weights: self.weights.as_slice().as_ptr(), frames, settle };
        let steps = self.program.steps.as_slice();
        match mode.precision {
            Precision::Fast => mode.level.run(Run { steps, sweep, accuracy: PhantomData::<Fast> }),
            Precision::Exact => mode.level.run(Run { steps, sweep, accuracy: PhantomData::<Exact> }),
        }
    }
}

/// All steps over a chunk.
struct Run<'a, A> {
    steps: &'a [Step],
    sweep: Sweep<'a>,
    accuracy: PhantomData<A>,
}

impl<A: Accuracy> Kernel for Run<'_, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for step in self.steps {
            // SAFETY: whoever makes this has made the memory by the program's layout and has at most a chunk of frames.
            unsafe { step.run::<S, A>(s, &self.sweep) };
        }
    }
}

impl Voices for Player {
    fn process(&mut self, block: &mut Block<'_>, _knobs: &[&[f32]]) {
        let Self { network, mode, channels, state, scratch, positions, .. } = self;
        let variant = network.variant(mode.precision, mode.level);
        let layout = &variant.program.layout;
        let (state, scratch) = (state.as_mut_slice(), scratch.as_mut_slice());
        let total = block.first().map_or(0, |channel| channel.len());
        let mut start = 0;
        while start < total {
            let frames = (total - start).min(CHUNK);
            for (number, (audio, channel)) in block.iter_mut().zip(&mut *channels).enumerate() {
                let audio = &mut audio[start..start + frames];
                channel.listen(audio, network.field);
                let input = &mut scratch[variant.input.at..][..CHUNK];
                input[..frames].copy_from_slice(audio);
                input[frames..].fill(0.0);
                variant.chunk(*mode, &mut state[number * layout.state..], scratch, positions, frames, false);
                audio.copy_from_slice(&scratch[variant.output.at..][..frames]);
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
        self.output
    }

    fn reset(&mut self) {
        let layout = &self.network.variant(self.mode.precision, self.mode.level).program.layout;
        // Spread, so that not all rings end in the same block.
        for (number, (position, ring)) in self.positions.iter_mut().zip(&layout.rings).enumerate() {
            *position = ring.frames * number / layout.rings.len();
        }
        for state in self.state.as_mut_slice().chunks_mut(layout.state.max(1)) {
            let mut silent = self.silent.iter();
            for ring in &layout.rings {
                let rows = &mut state[ring.at..ring.at + ring.rows * ring.stride];
                for (row, value) in rows.chunks_exact_mut(ring.stride).zip(&mut silent) {
                    row.fill(*value);
                }
            }
        }
        self.channels.fill(Channel { last: 0.0, run: self.network.field });
    }

    fn rests(&self) -> bool {
        self.channels.iter().all(|channel| channel.run >= self.network.field)
    }

    fn duplicate(&self) -> Option<Box<dyn Voices>> {
        Some(Box::new(self.clone()))
    }

    fn bytes(&self) -> usize {
        self.state.bytes()
            + size_of_val(self.channels.as_slice())
            + self.scratch.bytes()
            + size_of_val(self.positions.as_slice())
            + size_of_val(self.silent.as_slice())
    }
}

impl Channel {
    /// Counts equal frames.
    fn listen(&mut self, audio: &[f32], enough: usize) {
        let Some(last) = audio.last() else { return };
        let equal = audio.iter().rev().take_while(|x| x.to_bits() == last.to_bits()).count();
        let goes_on = equal == audio.len() && last.to_bits() == self.last.to_bits();
        self.run = if goes_on { (self.run + equal).min(enough) } else { equal.min(enough) };
        self.last = *last;
    }
}
