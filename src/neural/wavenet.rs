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
use std::sync::Arc;

use self::memory::{Area, Arena, Memory};
use self::program::{Program, Step, Sweep};
use super::activation::{Accuracy, Exact, Fast, Precision};
use super::description::WaveNet;
use super::engine::{Mode, Network, Voices};
use super::simd::{Kernel, Level, Simd};
use crate::dsp::{Block, CHUNK};

/// Packs a description. [control thread]
///
/// # Panics
/// If lengths of weights and shapes disagree, or a condition model is recurrent.
#[must_use]
pub fn build(description: &WaveNet) -> Arc<dyn Network> {
    let Some(field) = description.receptive_field() else { panic!("a recurrent condition model") };
    Arc::new(Packed { fast: Variant::new(description, Sweep::Allowed), exact: Variant::new(description, Sweep::Never), field })
}

/// A network for each precision.
struct Packed {
    fast: Variant,
    exact: Variant,
    /// Frames that an output depends on.
    field: usize,
}

struct Variant {
    program: Program,
    weights: Arena,
    input: Area,
    output: Area,
}

impl Variant {
    fn new(description: &WaveNet, sweep: Sweep) -> Self {
        let (mut program, input, output) = Program::new(description, sweep);
        let weights = Arena::of(&std::mem::take(&mut program.weights));
        Self { program, weights, input, output }
    }

    fn bytes(&self) -> usize {
        self.weights.bytes() + size_of_val(self.program.steps.as_slice()) + size_of_val(self.program.layout.rings.as_slice())
    }
}

impl Packed {
    fn variant(&self, precision: Precision) -> &Variant {
        match precision {
            Precision::Fast => &self.fast,
            Precision::Exact => &self.exact,
        }
    }
}

impl Network for Packed {
    fn voices(self: Arc<Self>, mode: Mode) -> Result<Box<dyn Voices>, String> {
        Ok(Box::new(Player::new(self, mode)))
    }

    fn bytes(&self) -> usize {
        self.fast.bytes() + self.exact.bytes()
    }
}

/// The state of all channels.
struct Player {
    network: Arc<Packed>,
    mode: Mode,
    channels: Vec<Channel>,
    scratch: Arena,
    /// Where the next frame goes in each ring, the same for all channels.
    positions: Vec<usize>,
    /// What each row of the rings holds when silence came in for ever.
    silent: Vec<f32>,
}

struct Channel {
    state: Arena,
    /// The input that came last, and how often it came without another one between, up to the receptive field.
    last: f32,
    run: usize,
}

impl Player {
    fn new(network: Arc<Packed>, mode: Mode) -> Self {
        let layout = &network.variant(mode.precision).program.layout;
        let channel = || Channel { state: Arena::new(layout.state), last: 0.0, run: 0 };
        let mut player = Self {
            mode: Mode { level: Level::best_up_to(mode.level), ..mode },
            channels: (0..mode.channels).map(|_| channel()).collect(),
            scratch: Arena::new(layout.scratch),
            positions: vec![0; layout.rings.len()],
            silent: Vec::new(),
            network: Arc::clone(&network),
        };
        player.chunk(0, 1, true);
        let state = player.channels[0].state.as_slice();
        player.silent =
            layout.rings.iter().flat_map(|ring| (0..ring.rows).map(|row| state[ring.at + row * ring.stride])).collect();
        player.reset();
        player
    }

    /// Runs what stands in the scratch memory at the input through a channel's state.
    fn chunk(&mut self, channel: usize, frames: usize, settle: bool) {
        let variant = self.network.variant(self.mode.precision);
        let memory = Memory {
            rings: &variant.program.layout.rings,
            positions: &self.positions,
            state: self.channels[channel].state.as_mut_slice().as_mut_ptr(),
            scratch: self.scratch.as_mut_slice().as_mut_ptr(),
        };
        let (steps, weights) = (variant.program.steps.as_slice(), variant.weights.as_slice());
        let level = self.mode.level;
        match self.mode.precision {
            Precision::Fast => level.run(Run { steps, memory, weights, frames, settle, accuracy: PhantomData::<Fast> }),
            Precision::Exact => level.run(Run { steps, memory, weights, frames, settle, accuracy: PhantomData::<Exact> }),
        }
    }

    fn row(&mut self, area: Area) -> &mut [f32] {
        &mut self.scratch.as_mut_slice()[area.at..area.at + CHUNK]
    }
}

/// All steps over a chunk.
struct Run<'a, A> {
    steps: &'a [Step],
    memory: Memory<'a>,
    weights: &'a [f32],
    frames: usize,
    settle: bool,
    accuracy: PhantomData<A>,
}

impl<A: Accuracy> Kernel for Run<'_, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { steps, memory, weights, frames, settle, accuracy: _ } = self;
        debug_assert!(frames <= CHUNK);
        for step in steps {
            // SAFETY: `Player` made the memory by the program's layout and passes at most a chunk of frames.
            unsafe { step.run::<S, A>(s, &memory, weights.as_ptr(), frames, settle, S::LEVEL) };
        }
    }
}

impl Voices for Player {
    fn process(&mut self, block: &mut Block<'_>, _knobs: &[&[f32]]) {
        let network = Arc::clone(&self.network);
        let variant = network.variant(self.mode.precision);
        let total = block.first().map_or(0, |channel| channel.len());
        let mut start = 0;
        while start < total {
            let frames = (total - start).min(CHUNK);
            for (number, channel) in block.iter_mut().enumerate() {
                let audio = &mut channel[start..start + frames];
                self.channels[number].listen(audio, network.field);
                let input = self.row(variant.input);
                input[..frames].copy_from_slice(audio);
                input[frames..].fill(0.0);
                self.chunk(number, frames, false);
                audio.copy_from_slice(&self.row(variant.output)[..frames]);
            }
            for (position, ring) in self.positions.iter_mut().zip(&variant.program.layout.rings) {
                *position = (*position + frames) % ring.frames;
            }
            start += frames;
        }
    }

    fn reset(&mut self) {
        let rings = &self.network.variant(self.mode.precision).program.layout.rings;
        self.positions.fill(0);
        for channel in &mut self.channels {
            let mut silent = self.silent.iter();
            let state = channel.state.as_mut_slice();
            for ring in rings {
                let rows = &mut state[ring.at..ring.at + ring.rows * ring.stride];
                for (row, value) in rows.chunks_exact_mut(ring.stride).zip(&mut silent) {
                    row.fill(*value);
                }
            }
            (channel.last, channel.run) = (0.0, self.network.field);
        }
    }

    fn rests(&self) -> bool {
        self.channels.iter().all(|channel| channel.run >= self.network.field)
    }

    fn bytes(&self) -> usize {
        self.channels.iter().map(|channel| channel.state.bytes()).sum::<usize>()
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
