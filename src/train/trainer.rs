//! The trainer: batches and steps, and evaluation on the held-out sounds by the native engine, which also plays the models of
//! users.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::Design;
use super::clock::{Clock, ClockReading, SystemClock, WorkTime};
use super::loss::{Loss, Segment};
use super::material::{KeepGoing, Material, SoundPair};
use super::octave_term::OctaveTerm;
use super::optimiser::{Optimiser, OptimiserState, cosine};
use super::{recurrent, wavenet};
use crate::audio::{Audio, Random};
use crate::dsp::gain_to_db;
use crate::measure::{self, BandError, Comparison, ErrorToSignal};
use crate::neural::description::Architecture;
use crate::neural::engine::{self, StateSpec};
use crate::neural::simd::SimdLevel;

/// The configuration of a training: network, length, seed, loss and batches.
#[derive(Clone, PartialEq)]
pub struct TrainingConfig {
    /// The network without its weights.
    pub design: Design,
    /// Steps of the training, over which the learning rate falls.
    pub steps: u64,
    /// Steps until the first evaluation, and the largest number of steps from one to the next.
    pub evaluation_steps: (u64, u64),
    /// Seed of the initial weights and of the batches.
    pub seed: u64,
    /// Largest number of threads that work at once. The weights do not depend on it.
    pub threads: usize,
    /// The weights of the loss's parts.
    pub loss: Loss,
    /// Learning rate of the first step and of the last; between them it follows [`cosine`].
    pub learning_rates: (f32, f32),
    /// Sequences in a batch. For a recurrent network a multiple of the SIMD lanes.
    pub sequences: usize,
    /// Frames of each sequence.
    pub frames: usize,
    /// Frames by which the twin is late, so that it knows the sound that follows: an effect that contains linear-phase filters
    /// rings before each sound.
    pub look_ahead: usize,
}

/// Writes the configuration as `Plan { ... }`. A checkpoint keeps this text and can only be resumed if it is the same, so names
/// and order of the fields (also those of the network's design) must not change.
impl fmt::Debug for TrainingConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { design, steps, evaluation_steps, seed, threads, loss, learning_rates, sequences, frames, look_ahead } = self;
        f.debug_struct("Plan")
            .field("design", design)
            .field("steps", steps)
            .field("evaluation_steps", evaluation_steps)
            .field("seed", seed)
            .field("threads", threads)
            .field("loss", loss)
            .field("learning_rates", learning_rates)
            .field("sequences", sequences)
            .field("frames", frames)
            .field("look_ahead", look_ahead)
            .finish()
    }
}

/// Batches of recurrent networks: sequences, frames of each, and frames of each for a network with a slow memory. A network
/// learns sooner in many small steps; its state is carried from one to the next.
const RECURRENT_BATCH: (usize, usize, usize) = (32, 256, 512);
/// Batches of convolutional networks: sequences, and the smallest and the largest number of frames of each.
const CONVOLUTIONAL_BATCH: (usize, usize, usize) = (16, 1024, 8192);
/// Frames of each sequence of a convolutional network, as a multiple of its reach, within the limits above. The first frames, as
/// many as the reach, have no loss; a short sequence would have little else.
const FRAMES_PER_REACH: usize = 16;
/// Learning rate of the first step and of the last, found by trial for LSTM-16 and a TCN of 8 channels.
const LEARNING_RATES: (f32, f32) = (1e-2, 5e-5);
/// Frames of a block at evaluation.
const EVALUATION_BLOCK: usize = 64;
/// Length in seconds of the windows of [`Evaluation::levels`].
const WINDOW_SECONDS: f64 = 0.05;
/// Upper ends of the bands of [`Evaluation::levels`], in dBFS.
pub const LEVEL_BANDS_DB: [f32; 4] = [0.0, -20.0, -40.0, -60.0];

/// Seconds of a step on an idle machine with two threads, besides those that grow with the batch. This number and the next fit
/// the times of LSTM-16 and of a TCN of 8 channels in docs/training.md.
const STEP_SECONDS: f64 = 2.8e-4;
/// Seconds of a step for each parameter of the network and each frame of each sequence.
const PARAMETER_FRAME_SECONDS: f64 = 5.5e-11;
/// Seconds on an idle machine until the first evaluation, and the most from one to the next.
const EVALUATION_SECONDS: (f64, f64) = (2.0, 30.0);

impl TrainingConfig {
    /// A configuration that serves most effects: seed 1, at most two threads, no look-ahead. [any thread]
    #[must_use]
    pub fn new(design: Design, steps: u64) -> Self {
        let (sequences, frames) = match &design {
            Design::Recurrent(shape) => {
                let (sequences, frames, slow) = RECURRENT_BATCH;
                // `chrono` gives cells a slow memory, which needs longer sequences.
                (sequences, if shape.chrono { slow } else { frames })
            }
            Design::Convolutional(shape) => {
                let (sequences, min_frames, max_frames) = CONVOLUTIONAL_BATCH;
                (sequences, (FRAMES_PER_REACH * shape.reach()).clamp(min_frames, max_frames).max(2 * shape.reach()))
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(2));
        let mut config = Self {
            design,
            steps,
            evaluation_steps: (1, 1),
            seed: 1,
            threads,
            loss: Loss::default(),
            learning_rates: LEARNING_RATES,
            sequences,
            frames,
            look_ahead: 0,
        };
        config.set_evaluation_steps();
        config
    }

    /// The configuration with other batches: `sequences` of `frames` frames. [any thread]
    #[must_use]
    pub fn with_batch(mut self, sequences: usize, frames: usize) -> Self {
        (self.sequences, self.frames) = (sequences, frames);
        self.set_evaluation_steps();
        self
    }

    /// Sets the steps between evaluations, which follow from the time of a step.
    fn set_evaluation_steps(&mut self) {
        let (first, max_distance) = EVALUATION_SECONDS;
        self.evaluation_steps = (self.steps_in(first), self.steps_in(max_distance));
    }

    /// The number of steps that take about `seconds` on an idle machine of two cores; at least 1. It does not depend on the
    /// machine that runs this. [any thread]
    #[must_use]
    pub fn steps_in(&self, seconds: f64) -> u64 {
        let parameter_frames = (self.design.parameter_count() * self.sequences * self.frames) as f64;
        (seconds / (STEP_SECONDS + PARAMETER_FRAME_SECONDS * parameter_frames)).round().max(1.0) as u64
    }
}

/// The input of a part of a batch, by kind of network.
enum PartKind {
    /// As many sequences as a vector has lanes. `input` is `[frames][inputs][lanes]`; `last_errors` is `[lanes]`, the error at
    /// the last frame, which the pre-emphasis of the next step needs.
    Recurrent { tape: Box<recurrent::Tape>, input: Vec<f32>, last_errors: Vec<f32> },
    /// One sequence: `[frames]`. Its tape is that of the thread that runs it.
    Convolutional { input: Vec<f32> },
}

/// A part of a batch, which one thread runs, with the buffers for it.
struct BatchPart {
    kind: PartKind,
    /// The wet sound, `[frames][lanes]`.
    target: Vec<f32>,
    /// Derivatives of the loss with respect to the network's output, `[frames][lanes]`.
    output_gradient: Vec<f32>,
    /// Derivatives of the loss with respect to the weights.
    gradient: Vec<f32>,
    loss: f64,
}

impl BatchPart {
    /// Sequences side by side.
    fn lanes(&self) -> usize {
        match &self.kind {
            PartKind::Recurrent { last_errors, .. } => last_errors.len(),
            PartKind::Convolutional { .. } => 1,
        }
    }
}

/// A network in training, with its material.
pub struct Trainer {
    config: TrainingConfig,
    material: Arc<Material>,
    optimiser: Optimiser,
    random: Random,
    parts: Vec<BatchPart>,
    /// A convolutional network has one for each thread. Empty for a recurrent network, whose parts have tapes of their own.
    tapes: Vec<wavenet::Tape>,
    /// The loss's part for the octaves; `None` if its weight is 0.
    octave_term: Option<OctaveTerm>,
    /// Recurrent networks divide the material into one span for each sequence. Frames of the spans that are done in this epoch.
    position: usize,
    /// Frame of the material at which the first span begins; drawn anew for each epoch.
    offset: usize,
    /// Steps done, including those whose gradient was not finite.
    steps: u64,
    /// Seconds of training so far.
    seconds: f64,
    /// Time in which this thread had work to do.
    work_time: WorkTime,
    clock: Box<dyn Clock>,
}

/// A configuration that does not fit its material, or whose values do not fit together.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum TrainingConfigError {
    /// The material has fewer frames than a batch needs.
    #[error("{found} frames to train on; expected {expected} or more for {sequences} sequences of {frames} frames")]
    Short {
        /// Frames of the material.
        found: usize,
        /// Frames that a batch needs.
        expected: usize,
        /// The configuration's sequences in a batch.
        sequences: usize,
        /// Frames of a sequence.
        frames: usize,
    },
    /// The number of sequences is 0 or no multiple of the SIMD lanes.
    #[error("{found} sequences; expected a multiple of {expected}, and not 0")]
    Sequences {
        /// The configuration's sequences in a batch.
        found: usize,
        /// Number of which it must be a multiple.
        expected: usize,
    },
    /// The sequences of a convolutional network are no longer than its reach.
    #[error("sequences of {found} frames; expected more than {reach}, which the network looks back on")]
    Reach {
        /// Frames of a sequence.
        found: usize,
        /// The network's reach in frames.
        reach: usize,
    },
    /// The network has a knob's input and the material no knob, or the other way round.
    #[error("a network of {found} inputs; expected {expected}, the sound and its knobs")]
    Inputs {
        /// Inputs of the network.
        found: usize,
        /// Inputs that the material needs: 1, or 2 with a knob.
        expected: usize,
    },
}

/// The errors of a network on the held-out sounds. Each is an error-to-signal ratio as [`measure::esr`] defines it: 0 is no
/// error.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Error to signal over all held-out sounds, without pre-emphasis.
    pub esr: f64,
    /// Error to signal over all held-out sounds with pre-emphasis 0.85 on both (see [`Loss::emphasis`]).
    pub esr_emphasised: f64,
    /// Each held-out sound: name, error to signal, error to signal with pre-emphasis.
    pub sounds: Vec<(String, f64, f64)>,
    /// Each position of the knob (0 to 1) at which it stands still in a sound, with the error to signal of all these sounds.
    /// Empty without a knob.
    pub knob_positions: Vec<(f32, f64)>,
    /// Each band of levels: its upper end in dBFS (RMS of a window of 50 ms of the wet sound), and the error to signal of the
    /// windows in it; `None` if there are no such windows.
    pub levels: Vec<(f32, Option<f64>)>,
    /// Nanoseconds for a sample: the native engine, one channel, blocks of 64 frames.
    pub ns_per_sample: f64,
}

impl Trainer {
    /// A network with initial weights, before the first step. [control thread: allocates]
    ///
    /// # Errors
    /// If the configuration does not fit the material, or its values do not fit together.
    pub fn new(config: TrainingConfig, material: Arc<Material>) -> Result<Self, TrainingConfigError> {
        Self::with_clock(config, material, Box::new(SystemClock::new()))
    }

    /// [`Self::new`] with other clocks than the system's. [control thread: allocates]
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_clock(
        config: TrainingConfig,
        material: Arc<Material>,
        clock: Box<dyn Clock>,
    ) -> Result<Self, TrainingConfigError> {
        let (found, level) = (material.train.dry.len(), SimdLevel::best_up_to(SimdLevel::Avx512));
        let expected = match &config.design {
            Design::Recurrent(_) => config.sequences * config.frames,
            Design::Convolutional(_) => config.frames,
        };
        if found < expected {
            return Err(TrainingConfigError::Short { found, expected, sequences: config.sequences, frames: config.frames });
        }
        let expected = 1 + usize::from(material.knob.is_some());
        if config.design.inputs() != expected {
            return Err(TrainingConfigError::Inputs { found: config.design.inputs(), expected });
        }
        let material = if config.look_ahead > 0 { Arc::new(delayed(&material, config.look_ahead)) } else { material };
        let mut random = Random::new(config.seed);
        let weights = config.design.initial_weights(&mut random);
        let part = |kind, values| BatchPart {
            kind,
            target: vec![0.0; values],
            output_gradient: vec![0.0; values],
            gradient: vec![0.0; weights.len()],
            loss: 0.0,
        };
        let mut tapes = Vec::new();
        let parts: Vec<BatchPart> = match &config.design {
            Design::Recurrent(shape) => {
                let lanes = level.lanes();
                if config.sequences == 0 || !config.sequences.is_multiple_of(lanes) {
                    return Err(TrainingConfigError::Sequences { found: config.sequences, expected: lanes });
                }
                let make = |_| {
                    let tape = Box::new(recurrent::Tape::new(*shape, level, config.frames));
                    let values = config.frames * lanes;
                    let (input, last_errors) = (vec![0.0; shape.inputs * values], vec![0.0; lanes]);
                    part(PartKind::Recurrent { tape, input, last_errors }, values)
                };
                (0..config.sequences / lanes).map(make).collect()
            }
            Design::Convolutional(shape) => {
                tapes = (0..config.threads.max(1)).map(|_| wavenet::Tape::new(shape, level, config.frames)).collect();
                let frames = tapes[0].frames();
                if config.sequences == 0 {
                    return Err(TrainingConfigError::Sequences { found: 0, expected: 1 });
                }
                if frames <= shape.reach() {
                    return Err(TrainingConfigError::Reach { found: frames, reach: shape.reach() });
                }
                if frames > found {
                    return Err(TrainingConfigError::Short { found, expected: frames, sequences: config.sequences, frames });
                }
                (0..config.sequences).map(|_| part(PartKind::Convolutional { input: vec![0.0; frames] }, frames)).collect()
            }
        };
        let octaves = config.loss.octaves;
        let octave_term = (octaves > 0.0).then(|| {
            let frames = parts[0].target.len() / parts[0].lanes() - first_frame(&config.design);
            OctaveTerm::new(octaves, frames, material.sample_rate)
        });
        // The optimiser (SOAP) works on matrices of weights.
        let optimiser = Optimiser::new(weights, config.design.matrices());
        // A position beyond the end, so that the first step begins an epoch.
        let position = usize::MAX / 2;
        let (offset, steps, seconds, work_time) = (0, 0, 0.0, WorkTime::default());
        Ok(Self {
            config,
            material,
            optimiser,
            random,
            parts,
            tapes,
            octave_term,
            position,
            offset,
            steps,
            seconds,
            work_time,
            clock,
        })
    }

    /// The configuration that [`Self::new`] was given. [any thread]
    #[must_use]
    pub fn config(&self) -> &TrainingConfig {
        &self.config
    }

    /// The material, its wet sounds delayed by the configuration's look-ahead. [any thread]
    #[must_use]
    pub fn material(&self) -> &Material {
        &self.material
    }

    /// [`Self::material`], shared. [any thread]
    pub(super) fn shared_material(&self) -> Arc<Material> {
        self.material.clone()
    }

    /// Number of steps done. [any thread]
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Seconds of training so far, without the time for evaluation. [any thread]
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Time in which the training's thread had work to do, and had a core. [any thread]
    #[must_use]
    pub fn work_time(&self) -> WorkTime {
        self.work_time
    }

    /// Reads the clocks. [training thread]
    pub(super) fn read_clock(&mut self) -> ClockReading {
        self.clock.read()
    }

    /// Part of the steps that is done: 0 to 1. [any thread]
    #[must_use]
    pub fn progress(&self) -> f64 {
        (self.steps as f64 / self.config.steps.max(1) as f64).min(1.0)
    }

    /// Moving average of the weights, which is evaluated and exported: [`OptimiserState::average`]. [any thread]
    #[must_use]
    pub fn averaged_weights(&self) -> &[f32] {
        &self.optimiser.state.average
    }

    /// The network with [`Self::averaged_weights`], for the engine and the exports. [any thread]
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        self.config.design.architecture(self.averaged_weights())
    }

    /// Trains on one batch. Returns its loss before the step. [control thread: takes its time]
    pub fn step(&mut self) -> f64 {
        let start = self.clock.read();
        self.fill_batch();
        let first_frame = first_frame(&self.config.design);
        let loss = self.config.loss;
        let targets = || self.parts.iter().map(|part| (part.target.as_slice(), part.lanes(), first_frame));
        let target_energy = loss.energy(targets());
        let octaves = self.octave_term.as_ref().map(|term| (term, term.energy(targets())));
        let octave_loss = |segment: &Segment<'_>, gradient: &mut [f32]| {
            octaves.as_ref().map_or(0.0, |(term, energy)| term.add_gradient(energy, segment, gradient))
        };
        let weights = &self.optimiser.state.weights;
        let work = |parts: &mut [BatchPart], thread_tape: Option<&mut wavenet::Tape>| {
            let mut thread_tape = thread_tape;
            for part in parts {
                let lanes = part.lanes();
                let BatchPart { kind, target, output_gradient, gradient, loss: part_loss } = part;
                gradient.fill(0.0);
                match kind {
                    PartKind::Recurrent { tape, input, last_errors } => {
                        tape.forward(weights, input);
                        let segment = Segment { target, output: tape.output(), lanes, first_frame };
                        *part_loss = loss.gradient(&target_energy, &segment, last_errors, output_gradient);
                        *part_loss += octave_loss(&segment, output_gradient);
                        tape.backward(weights, input, output_gradient, gradient);
                        tape.carry_state();
                    }
                    PartKind::Convolutional { input } => {
                        let Some(tape) = &mut thread_tape else { continue };
                        tape.forward(weights, input);
                        let segment = Segment { target, output: tape.output(), lanes, first_frame };
                        *part_loss = loss.gradient(&target_energy, &segment, &mut [0.0], output_gradient);
                        *part_loss += octave_loss(&segment, output_gradient);
                        tape.backward(weights, output_gradient, gradient);
                    }
                }
            }
        };
        let parts_per_thread = self.parts.len().div_ceil(self.config.threads.max(1));
        let mut tapes = self.tapes.iter_mut();
        let mut jobs = self.parts.chunks_mut(parts_per_thread).map(|parts| (parts, tapes.next()));
        let own_job = jobs.next();
        let clock = &mut self.clock;
        let own_end = std::thread::scope(|scope| {
            for (parts, tape) in jobs {
                let work = &work;
                scope.spawn(move || work(parts, tape));
            }
            if let Some((parts, tape)) = own_job {
                work(parts, tape);
            }
            clock.read()
        });
        let all_end = self.clock.read();
        // Added in the order of the parts, so that the number of threads changes nothing.
        let (first, rest) = self.parts.split_at_mut(1);
        for part in rest.iter() {
            first[0].gradient.iter_mut().zip(&part.gradient).for_each(|(sum, g)| *sum += g);
        }
        let learning_rate = cosine(self.config.learning_rates.0, self.config.learning_rates.1, self.progress());
        self.optimiser.step(&self.parts[0].gradient, learning_rate);
        self.steps += 1;
        let end = self.clock.read();
        self.seconds += end.wall.saturating_sub(start.wall).as_secs_f64();
        self.work_time.add(start, own_end);
        self.work_time.add(all_end, end);
        self.parts.iter().map(|part| part.loss).sum()
    }

    /// Copies the next batch from the material into the parts.
    fn fill_batch(&mut self) {
        let SoundPair { dry, wet, knob, .. } = &self.material.train;
        let (frames, total) = (self.config.frames, dry.len());
        match &self.config.design {
            Design::Recurrent(shape) => {
                let span = total / self.config.sequences;
                if self.position + frames > span {
                    self.position = 0;
                    self.offset = self.random.below(total);
                    for part in &mut self.parts {
                        if let PartKind::Recurrent { tape, last_errors, .. } = &mut part.kind {
                            tape.reset();
                            last_errors.fill(0.0);
                        }
                    }
                }
                let mut sequence = 0;
                for part in &mut self.parts {
                    let BatchPart { kind: PartKind::Recurrent { input, last_errors, .. }, target, .. } = part else { continue };
                    let lanes = last_errors.len();
                    for lane in 0..lanes {
                        let mut at = (sequence * span + self.position + self.offset) % total;
                        for t in 0..frames {
                            input[t * shape.inputs * lanes + lane] = dry[at];
                            if shape.inputs > 1 {
                                input[(t * shape.inputs + 1) * lanes + lane] = knob[at];
                            }
                            target[t * lanes + lane] = wet[at];
                            at = if at + 1 == total { 0 } else { at + 1 };
                        }
                        sequence += 1;
                    }
                }
                self.position += frames;
            }
            Design::Convolutional(_) => {
                let span = total / self.config.sequences;
                for (i, part) in self.parts.iter_mut().enumerate() {
                    let BatchPart { kind: PartKind::Convolutional { input }, target, .. } = part else { continue };
                    let length = input.len();
                    let at = (i * span + self.random.below(span)).min(total - length);
                    input.copy_from_slice(&dry[at..at + length]);
                    target.copy_from_slice(&wet[at..at + length]);
                }
            }
        }
    }

    /// Plays all held-out sounds through the network with the native engine and measures the errors.
    /// [control thread: takes its time]
    #[must_use]
    pub fn evaluate(&self) -> Evaluation {
        evaluate(&self.architecture(), &self.material)
    }

    /// [`Self::evaluate`]; `None` as soon as `keep_going` returns false. [control thread: takes its time]
    #[must_use]
    pub fn evaluate_while(&self, keep_going: KeepGoing<'_>) -> Option<Evaluation> {
        evaluate_while(&self.architecture(), &self.material, keep_going)
    }

    /// The state that [`Self::restore`] takes: all that the next step depends on, apart from configuration and material.
    /// [control thread: allocates]
    #[must_use]
    pub fn state(&self) -> TrainerState {
        let mut recurrent_state = Vec::new();
        for part in &self.parts {
            if let PartKind::Recurrent { tape, last_errors, .. } = &part.kind {
                recurrent_state.extend_from_slice(&tape.state());
                recurrent_state.extend_from_slice(last_errors);
            }
        }
        TrainerState {
            optimiser: self.optimiser.state.clone(),
            random: self.random.clone(),
            position: self.position as u64,
            offset: self.offset as u64,
            steps: self.steps,
            seconds: self.seconds,
            work_time: self.work_time,
            recurrent_state,
        }
    }

    /// Takes the state of another trainer of the same configuration and material, to go on from there. Returns false, and changes
    /// nothing, if the sizes differ. [control thread]
    #[must_use]
    pub fn restore(&mut self, state: TrainerState) -> bool {
        if self.state().recurrent_state.len() != state.recurrent_state.len()
            || state.offset >= self.material.train.dry.len() as u64
            || !self.optimiser.restore(state.optimiser)
        {
            return false;
        }
        let mut recurrent_state = state.recurrent_state.as_slice();
        for part in &mut self.parts {
            if let PartKind::Recurrent { tape, last_errors, .. } = &mut part.kind {
                let (tape_state, rest) = recurrent_state.split_at(tape.state_len());
                tape.set_state(tape_state);
                let (errors, rest) = rest.split_at(last_errors.len());
                last_errors.copy_from_slice(errors);
                recurrent_state = rest;
            }
        }
        self.random = state.random;
        self.position = (state.position as usize).min(usize::MAX / 2);
        self.offset = state.offset as usize;
        self.steps = state.steps;
        self.seconds = state.seconds;
        self.work_time = state.work_time;
        true
    }
}

/// The first frame of a sequence that has a loss. A convolutional network has no past where a sequence begins, so the first
/// frames, as many as its reach, do not count.
fn first_frame(design: &Design) -> usize {
    match design {
        Design::Recurrent(_) => 0,
        Design::Convolutional(shape) => shape.reach(),
    }
}

/// The material with its wet sounds delayed by `frames`.
fn delayed(material: &Material, frames: usize) -> Material {
    let mut delayed = material.clone();
    for pair in delayed.held_out.iter_mut().chain([&mut delayed.train]) {
        let frames = frames.min(pair.wet.len());
        pair.wet.rotate_right(frames);
        pair.wet[..frames].fill(0.0);
    }
    delayed
}

/// The state of a [`Trainer`], which a checkpoint keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainerState {
    /// Weights and the means that the optimiser keeps.
    pub optimiser: OptimiserState,
    /// State of the generator that draws the batches.
    pub random: Random,
    /// Frames done of each sequence's span of the material in this epoch; beyond the span before the first step.
    pub position: u64,
    /// Frame of the material at which the first span begins.
    pub offset: u64,
    /// Steps done, including those whose gradient was not finite.
    pub steps: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Time in which the training's thread had work to do.
    pub work_time: WorkTime,
    /// Each part of a recurrent batch in turn: cells, hidden values, errors at the last frame. Empty for a convolutional network.
    pub recurrent_state: Vec<f32>,
}

/// Plays `dry` through a network with the native engine, from the state that long silence leaves. [control thread: allocates]
///
/// # Panics
/// If the description is not valid.
#[must_use]
pub fn play(architecture: &Architecture, sample_rate: u32, dry: &[f32]) -> Vec<f32> {
    play_with_knob(architecture, sample_rate, dry, &[])
}

/// [`play`] for a network with a knob: `knob` has its position, 0 to 1, at each frame; empty for a network without one.
/// [control thread: allocates]
///
/// # Panics
/// If the description is not valid, or there are not as many positions as frames.
#[must_use]
pub fn play_with_knob(architecture: &Architecture, sample_rate: u32, dry: &[f32], knob: &[f32]) -> Vec<f32> {
    play_while(architecture, sample_rate, dry, knob, &|| true).expect("nothing calls it off")
}

/// [`play_with_knob`]; `None` as soon as `keep_going` returns false.
fn play_while(
    architecture: &Architecture,
    sample_rate: u32,
    dry: &[f32],
    knob: &[f32],
    keep_going: KeepGoing<'_>,
) -> Option<Vec<f32>> {
    let network = engine::build(architecture, sample_rate as f32);
    let mut spec = StateSpec::new(1);
    // The network settles at the knob's first position, as in a slot.
    knob.first().into_iter().for_each(|position| spec.knobs[0] = *position);
    let mut state = network.state(spec).expect("the native engine always runs");
    let mut out = dry.to_vec();
    for (i, block) in out.chunks_mut(EVALUATION_BLOCK).enumerate() {
        let positions = (!knob.is_empty()).then(|| &knob[i * EVALUATION_BLOCK..i * EVALUATION_BLOCK + block.len()]);
        state.process(&mut [block], positions.as_slice());
        if !keep_going() {
            return None;
        }
    }
    Some(out)
}

/// Plays all held-out sounds through a network with the native engine and measures the errors. [control thread: takes its time]
///
/// # Panics
/// If the description is not valid.
#[must_use]
pub fn evaluate(architecture: &Architecture, material: &Material) -> Evaluation {
    evaluate_while(architecture, material, &|| true).expect("nothing calls it off")
}

/// Mean of [`measure::multi_resolution_stft`] of a network over the held-out sounds. [control thread: takes its time]
///
/// # Panics
/// If the description is not valid.
#[must_use]
pub fn mr_stft(architecture: &Architecture, material: &Material) -> f64 {
    let distance = |pair: &SoundPair| {
        measure::multi_resolution_stft(&pair.wet, &play_with_knob(architecture, material.sample_rate, &pair.dry, &pair.knob))
    };
    material.held_out.iter().map(distance).sum::<f64>() / material.held_out.len().max(1) as f64
}

/// Error of a network in each octave of each held-out sound: its name, and the octaves of [`measure::octaves`].
/// [control thread: takes its time]
///
/// # Panics
/// If the description is not valid.
#[must_use]
pub fn octave_errors(architecture: &Architecture, material: &Material) -> Vec<(String, Vec<BandError>)> {
    let rate = material.sample_rate;
    let errors = |pair: &SoundPair| {
        let sound = |samples: &[f32]| Audio::from_mono(rate, samples).expect("the rate of a sound, and one channel");
        let (wet, out) = (sound(&pair.wet), sound(&play_with_knob(architecture, rate, &pair.dry, &pair.knob)));
        let comparison = Comparison::new(&wet, &out).expect("two sounds of one shape");
        (pair.name.clone(), measure::octaves(&comparison))
    };
    material.held_out.iter().map(errors).collect()
}

/// [`evaluate`]; `None` as soon as `keep_going` returns false.
pub(super) fn evaluate_while(architecture: &Architecture, material: &Material, keep_going: KeepGoing<'_>) -> Option<Evaluation> {
    let emphasis = Loss::default().emphasis;
    let window = ((WINDOW_SECONDS * f64::from(material.sample_rate)) as usize).max(1);
    let mut levels = [ErrorToSignal::default(); LEVEL_BANDS_DB.len()];
    let (mut total, mut total_emphasised) = (ErrorToSignal::default(), ErrorToSignal::default());
    let mut sounds = Vec::new();
    let mut knob_positions: Vec<(f32, ErrorToSignal)> = Vec::new();
    let (mut seconds, mut frames) = (0.0, 0);
    for pair in &material.held_out {
        let start = Instant::now();
        let out = play_while(architecture, material.sample_rate, &pair.dry, &pair.knob, keep_going)?;
        seconds += start.elapsed().as_secs_f64();
        frames += out.len();
        let (mut sound, mut sound_emphasised) = (ErrorToSignal::default(), ErrorToSignal::default());
        for (target, out) in pair.wet.chunks(window).zip(out.chunks(window)) {
            let sums = ErrorToSignal::of(target, out);
            let level = gain_to_db((sums.signal() / target.len() as f64).sqrt() as f32);
            let band = LEVEL_BANDS_DB.iter().rposition(|top| level <= *top).unwrap_or(0);
            levels[band].add_sums(sums);
            sound.add_sums(sums);
        }
        for (target, out) in pair.wet.windows(2).zip(out.windows(2)) {
            sound_emphasised.add(target[1] - emphasis * target[0], out[1] - emphasis * out[0]);
        }
        total.add_sums(sound);
        if let Some(position) = pair.knob.first().filter(|first| pair.knob.iter().all(|position| position == *first)) {
            match knob_positions.iter_mut().find(|(known, _)| known == position) {
                Some((_, sums)) => sums.add_sums(sound),
                None => knob_positions.push((*position, sound)),
            }
        }
        total_emphasised.add_sums(sound_emphasised);
        sounds.push((pair.name.clone(), sound.ratio(), sound_emphasised.ratio()));
    }
    Some(Evaluation {
        esr: total.ratio(),
        esr_emphasised: total_emphasised.ratio(),
        sounds,
        knob_positions: knob_positions.into_iter().map(|(position, sums)| (position, sums.ratio())).collect(),
        levels: LEVEL_BANDS_DB
            .iter()
            .zip(levels)
            .map(|(top, sums)| (*top, (sums.signal() > 0.0).then(|| sums.ratio())))
            .collect(),
        ns_per_sample: seconds * 1e9 / frames.max(1) as f64,
    })
}
