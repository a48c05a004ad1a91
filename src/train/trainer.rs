//! The loop: batches, steps, and what is held out through the network as users will hear it.

use std::sync::Arc;
use std::time::Instant;

use super::Design;
use super::loss::{Loss, Stretch};
use super::material::{Material, Pair, Wanted};
use super::optimise::{Optimiser, Progress, cosine};
use super::{recurrent, wavenet};
use crate::audio::Random;
use crate::dsp::gain_to_db;
use crate::measure::{self, ErrorToSignal};
use crate::neural::description::Architecture;
use crate::neural::engine::{self, Mode};
use crate::neural::simd::Level;

/// When training ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Gives the same weights for the same seed on the same kind of machine.
    Steps(u64),
    /// Of training, measuring apart. The learning rate follows the clock.
    Seconds(f64),
}

/// How a network is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub design: Design,
    pub limit: Limit,
    pub seed: u64,
    /// At most as many as work at once; changes no weight.
    pub threads: usize,
    pub loss: Loss,
    /// First and last.
    pub learning_rates: (f32, f32),
    /// Sequences in a batch and frames of each.
    pub sequences: usize,
    pub frames: usize,
    /// Frames that the twin comes late, so that it knows what comes: an effect with linear-phase filters inside rings before a sound.
    pub look_ahead: usize,
}

/// Of recurrent networks: sequences and frames of each, and frames of those with a slow memory. Many small steps learn sooner; the state
/// is carried from one to the next.
const RECURRENT: (usize, usize, usize) = (32, 256, 512);
/// Of convolutions: sequences, and the fewest and most frames of each. In between it is so many times the reach: of a long network short
/// sequences would be mostly reach.
const CONVOLUTIONAL: (usize, usize, usize) = (16, 1024, 8192);
const REACHES: usize = 16;
/// First and last, found by trial for LSTM-16 and a TCN of 8 channels.
const LEARNING_RATES: (f32, f32) = (1e-2, 5e-5);
/// Frames at a time that the engine is measured with.
const BLOCK: usize = 64;
/// Of the windows whose level decides where their error counts, in seconds.
const WINDOW_SECONDS: f64 = 0.05;
/// Upper ends of the levels that errors are told apart by, in dB of full scale of a window's wet sound.
pub const LEVELS_DB: [f32; 4] = [0.0, -20.0, -40.0, -60.0];

impl Plan {
    /// What serves most effects. [any thread]
    #[must_use]
    pub fn new(design: Design, limit: Limit) -> Self {
        let (sequences, frames) = match &design {
            Design::Recurrent(shape) => {
                let (sequences, frames, slow) = RECURRENT;
                (sequences, if shape.chrono { slow } else { frames })
            }
            Design::Convolutional(shape) => {
                let (sequences, fewest, most) = CONVOLUTIONAL;
                (sequences, (REACHES * shape.reach()).clamp(fewest, most).max(2 * shape.reach()))
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(2));
        Self {
            design,
            limit,
            seed: 1,
            threads,
            loss: Loss::default(),
            learning_rates: LEARNING_RATES,
            sequences,
            frames,
            look_ahead: 0,
        }
    }
}

/// Sequences that are run together, with what they need.
enum Group {
    Recurrent { tape: Box<recurrent::Tape>, input: Vec<f32>, before: Vec<f32> },
    Convolutional { input: Vec<f32> },
}

/// A group and the room for its share of a step.
struct Share {
    group: Group,
    target: Vec<f32>,
    slopes: Vec<f32>,
    gradient: Vec<f32>,
    loss: f64,
}

impl Share {
    fn lanes(&self) -> usize {
        match &self.group {
            Group::Recurrent { before, .. } => before.len(),
            Group::Convolutional { .. } => 1,
        }
    }
}

/// A network that is being trained.
pub struct Trainer {
    plan: Plan,
    material: Arc<Material>,
    optimiser: Optimiser,
    random: Random,
    shares: Vec<Share>,
    /// Of convolutional networks: one for each thread.
    tapes: Vec<wavenet::Tape>,
    /// Of recurrent sequences: frames into their parts of the material, and where the first part begins.
    position: usize,
    roll: usize,
    /// Including those whose gradient was no number.
    steps: u64,
    seconds: f64,
}

/// Why training cannot begin.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    #[error("{found} frames to train on; expected {expected} or more for {sequences} sequences of {frames} frames")]
    Short { found: usize, expected: usize, sequences: usize, frames: usize },
    #[error("{found} sequences; expected a multiple of {expected}, and not 0")]
    Sequences { found: usize, expected: usize },
    #[error("sequences of {found} frames; expected more than {reach}, which the network looks back on")]
    Reach { found: usize, reach: usize },
    #[error("a network of {found} inputs; expected {expected}, the sound and its knobs")]
    Inputs { found: usize, expected: usize },
}

/// How far a network is from what is held out.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Error to signal over all that is held out: raw, and with pre-emphasis 0.85.
    pub esr: f64,
    pub esr_emphasised: f64,
    /// Of each sound: its name, raw, with pre-emphasis.
    pub sounds: Vec<(String, f64, f64)>,
    /// Of all sounds with the knob at one place: raw.
    pub places: Vec<(f32, f64)>,
    /// Of windows whose wet sound is up to so many dB of full scale, and above the next: raw. None where there are none.
    pub levels: Vec<(f32, Option<f64>)>,
    /// Of the native engine, one channel, blocks of 64.
    pub ns_per_sample: f64,
}

impl Trainer {
    /// At the beginning. [control thread]
    ///
    /// # Errors
    /// If the plan does not fit the material or itself.
    pub fn new(plan: Plan, material: Arc<Material>) -> Result<Self, PlanError> {
        let (found, level) = (material.train.dry.len(), Level::best_up_to(Level::Avx512));
        let expected = match &plan.design {
            Design::Recurrent(_) => plan.sequences * plan.frames,
            Design::Convolutional(_) => plan.frames,
        };
        if found < expected {
            return Err(PlanError::Short { found, expected, sequences: plan.sequences, frames: plan.frames });
        }
        let expected = 1 + usize::from(material.knob.is_some());
        if plan.design.inputs() != expected {
            return Err(PlanError::Inputs { found: plan.design.inputs(), expected });
        }
        let material = if plan.look_ahead > 0 { Arc::new(late(&material, plan.look_ahead)) } else { material };
        let mut random = Random::new(plan.seed);
        let weights = plan.design.begin(&mut random);
        let share = |group, values| Share {
            group,
            target: vec![0.0; values],
            slopes: vec![0.0; values],
            gradient: vec![0.0; weights.len()],
            loss: 0.0,
        };
        let mut tapes = Vec::new();
        let shares: Vec<Share> = match &plan.design {
            Design::Recurrent(shape) => {
                let lanes = level.lanes();
                if plan.sequences == 0 || !plan.sequences.is_multiple_of(lanes) {
                    return Err(PlanError::Sequences { found: plan.sequences, expected: lanes });
                }
                let make = |_| {
                    let tape = Box::new(recurrent::Tape::new(*shape, level, plan.frames));
                    let values = plan.frames * lanes;
                    share(Group::Recurrent { tape, input: vec![0.0; shape.inputs * values], before: vec![0.0; lanes] }, values)
                };
                (0..plan.sequences / lanes).map(make).collect()
            }
            Design::Convolutional(shape) => {
                tapes = (0..plan.threads.max(1)).map(|_| wavenet::Tape::new(shape, level, plan.frames)).collect();
                let frames = tapes[0].frames();
                if plan.sequences == 0 {
                    return Err(PlanError::Sequences { found: 0, expected: 1 });
                }
                if frames <= shape.reach() {
                    return Err(PlanError::Reach { found: frames, reach: shape.reach() });
                }
                if frames > found {
                    return Err(PlanError::Short { found, expected: frames, sequences: plan.sequences, frames });
                }
                (0..plan.sequences).map(|_| share(Group::Convolutional { input: vec![0.0; frames] }, frames)).collect()
            }
        };
        let optimiser = Optimiser::new(weights, plan.design.tensors());
        // Beyond the end, so that the first step begins an epoch.
        let position = usize::MAX / 2;
        Ok(Self { plan, material, optimiser, random, shares, tapes, position, roll: 0, steps: 0, seconds: 0.0 })
    }

    /// [any thread]
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// [any thread]
    #[must_use]
    pub fn material(&self) -> &Material {
        &self.material
    }

    /// Steps done. [any thread]
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Seconds of training so far, measuring apart. [any thread]
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// How much of the plan is done: 0 to 1. [any thread]
    #[must_use]
    pub fn progress(&self) -> f64 {
        let part = match self.plan.limit {
            Limit::Steps(limit) => self.steps as f64 / limit.max(1) as f64,
            Limit::Seconds(limit) => self.seconds / limit.max(1e-9),
        };
        part.min(1.0)
    }

    /// What is shipped: the average of the weights. [any thread]
    #[must_use]
    pub fn shipped(&self) -> &[f32] {
        &self.optimiser.now.average
    }

    /// The network with [`Self::shipped`]. [any thread]
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        self.plan.design.architecture(self.shipped())
    }

    /// One batch. Returns its loss. [control thread]
    pub fn step(&mut self) -> f64 {
        let start = Instant::now();
        self.fill();
        let from = match &self.plan.design {
            Design::Recurrent(_) => 0,
            Design::Convolutional(shape) => shape.reach(),
        };
        let loss = self.plan.loss;
        let energy = loss.energy(self.shares.iter().map(|s| (s.target.as_slice(), s.lanes(), from)));
        let weights = &self.optimiser.now.weights;
        let work = |shares: &mut [Share], own_tape: Option<&mut wavenet::Tape>| {
            let mut own_tape = own_tape;
            for share in shares {
                let lanes = share.lanes();
                let Share { group, target, slopes, gradient, loss: found } = share;
                gradient.fill(0.0);
                match group {
                    Group::Recurrent { tape, input, before } => {
                        tape.forward(weights, input);
                        let stretch = Stretch { target, output: tape.output(), lanes, from };
                        *found = loss.gradient(&energy, &stretch, before, slopes);
                        tape.backward(weights, input, slopes, gradient);
                        tape.carry();
                    }
                    Group::Convolutional { input } => {
                        let Some(tape) = &mut own_tape else { continue };
                        tape.forward(weights, input);
                        let stretch = Stretch { target, output: tape.output(), lanes, from };
                        *found = loss.gradient(&energy, &stretch, &mut [0.0], slopes);
                        tape.backward(weights, slopes, gradient);
                    }
                }
            }
        };
        let each = self.shares.len().div_ceil(self.plan.threads.max(1));
        let mut tapes = self.tapes.iter_mut();
        let mut parts = self.shares.chunks_mut(each).map(|shares| (shares, tapes.next()));
        let own = parts.next();
        std::thread::scope(|scope| {
            for (shares, tape) in parts {
                let work = &work;
                scope.spawn(move || work(shares, tape));
            }
            if let Some((shares, tape)) = own {
                work(shares, tape);
            }
        });
        // In the order of the groups, so that threads change nothing.
        let (first, rest) = self.shares.split_at_mut(1);
        for share in rest.iter() {
            first[0].gradient.iter_mut().zip(&share.gradient).for_each(|(sum, g)| *sum += g);
        }
        let rate = cosine(self.plan.learning_rates.0, self.plan.learning_rates.1, self.progress());
        self.optimiser.step(&self.shares[0].gradient, rate);
        self.steps += 1;
        self.seconds += start.elapsed().as_secs_f64();
        self.shares.iter().map(|s| s.loss).sum()
    }

    /// The next batch.
    fn fill(&mut self) {
        let Pair { dry, wet, knob, .. } = &self.material.train;
        let (frames, total) = (self.plan.frames, dry.len());
        match &self.plan.design {
            Design::Recurrent(shape) => {
                let part = total / self.plan.sequences;
                if self.position + frames > part {
                    self.position = 0;
                    self.roll = self.random.below(total);
                    for share in &mut self.shares {
                        if let Group::Recurrent { tape, before, .. } = &mut share.group {
                            tape.reset();
                            before.fill(0.0);
                        }
                    }
                }
                let mut sequence = 0;
                for share in &mut self.shares {
                    let Share { group: Group::Recurrent { input, before, .. }, target, .. } = share else { continue };
                    let lanes = before.len();
                    for lane in 0..lanes {
                        let mut at = (sequence * part + self.position + self.roll) % total;
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
                let part = total / self.plan.sequences;
                for (i, share) in self.shares.iter_mut().enumerate() {
                    let Share { group: Group::Convolutional { input }, target, .. } = share else { continue };
                    let length = input.len();
                    let at = (i * part + self.random.below(part)).min(total - length);
                    input.copy_from_slice(&dry[at..at + length]);
                    target.copy_from_slice(&wet[at..at + length]);
                }
            }
        }
    }

    /// Everything that is held out through the native engine. [control thread]
    #[must_use]
    pub fn evaluate(&self) -> Evaluation {
        evaluate(&self.architecture(), &self.material)
    }

    /// [`Self::evaluate`] as long as that is wanted. [control thread]
    #[must_use]
    pub fn evaluate_while(&self, wanted: Wanted<'_>) -> Option<Evaluation> {
        evaluate_while(&self.architecture(), &self.material, wanted)
    }

    /// Distance of the spectra of what is held out: see [`measure::multi_resolution_stft`]; the mean of the sounds. [control thread]
    #[must_use]
    pub fn mr_stft(&self) -> f64 {
        let architecture = self.architecture();
        let of = |pair: &Pair| {
            measure::multi_resolution_stft(
                &pair.wet,
                &play_turning(&architecture, self.material.sample_rate, &pair.dry, &pair.knob),
            )
        };
        self.material.held.iter().map(of).sum::<f64>() / self.material.held.len().max(1) as f64
    }

    /// What [`Self::restore`] takes: all that the next step depends on, apart from plan and material. [control thread]
    #[must_use]
    pub fn state(&self) -> State {
        let mut memory = Vec::new();
        for share in &self.shares {
            if let Group::Recurrent { tape, before, .. } = &share.group {
                memory.extend_from_slice(&tape.state());
                memory.extend_from_slice(before);
            }
        }
        State {
            optimiser: self.optimiser.now.clone(),
            random: self.random.clone(),
            position: self.position as u64,
            roll: self.roll as u64,
            steps: self.steps,
            seconds: self.seconds,
            memory,
        }
    }

    /// Goes on where another of the same plan and material stood. `false`, and nothing changes, if the state is of another shape.
    /// [control thread]
    #[must_use]
    pub fn restore(&mut self, state: State) -> bool {
        let memory: usize = self.state().memory.len();
        if memory != state.memory.len()
            || state.roll >= self.material.train.dry.len() as u64
            || !self.optimiser.restore(state.optimiser)
        {
            return false;
        }
        let mut memory = state.memory.as_slice();
        for share in &mut self.shares {
            if let Group::Recurrent { tape, before, .. } = &mut share.group {
                let (own, rest) = memory.split_at(tape.state_len());
                tape.set_state(own);
                let (errors, rest) = rest.split_at(before.len());
                before.copy_from_slice(errors);
                memory = rest;
            }
        }
        self.random = state.random;
        self.position = (state.position as usize).min(usize::MAX / 2);
        self.roll = state.roll as usize;
        self.steps = state.steps;
        self.seconds = state.seconds;
        true
    }
}

/// The material with wet sounds that come so many frames later.
fn late(material: &Material, frames: usize) -> Material {
    let mut late = material.clone();
    for pair in late.held.iter_mut().chain([&mut late.train]) {
        let frames = frames.min(pair.wet.len());
        pair.wet.rotate_right(frames);
        pair.wet[..frames].fill(0.0);
    }
    late
}

/// Where a [`Trainer`] stands.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub optimiser: Progress,
    pub random: Random,
    pub position: u64,
    pub roll: u64,
    pub steps: u64,
    pub seconds: f64,
    /// Of each group of recurrent sequences: cells, hidden values, last errors.
    pub memory: Vec<f32>,
}

/// The output of a network of the native engine, which begins as after long silence. [control thread]
///
/// # Panics
/// If the description is not sound.
#[must_use]
pub fn play(architecture: &Architecture, sample_rate: u32, dry: &[f32]) -> Vec<f32> {
    play_turning(architecture, sample_rate, dry, &[])
}

/// [`play`] with a knob, whose place each frame has; empty for a network without one. [control thread]
///
/// # Panics
/// If the description is not sound, or there are not as many places as frames.
#[must_use]
pub fn play_turning(architecture: &Architecture, sample_rate: u32, dry: &[f32], knob: &[f32]) -> Vec<f32> {
    play_while(architecture, sample_rate, dry, knob, &|| true).expect("it is wanted")
}

fn play_while(architecture: &Architecture, sample_rate: u32, dry: &[f32], knob: &[f32], wanted: Wanted<'_>) -> Option<Vec<f32>> {
    let network = engine::build(architecture, sample_rate as f32);
    let mut mode = Mode::new(1);
    // Prewarmed where the knob stands at first, as the slot is.
    knob.first().into_iter().for_each(|place| mode.knobs[0] = *place);
    let mut voices = network.voices(mode).expect("the native engine always runs");
    let mut out = dry.to_vec();
    for (i, block) in out.chunks_mut(BLOCK).enumerate() {
        let places = (!knob.is_empty()).then(|| &knob[i * BLOCK..i * BLOCK + block.len()]);
        voices.process(&mut [block], places.as_slice());
        if !wanted() {
            return None;
        }
    }
    Some(out)
}

/// What is held out through a network of the native engine. [control thread]
///
/// # Panics
/// If the description is not sound.
#[must_use]
pub fn evaluate(architecture: &Architecture, material: &Material) -> Evaluation {
    evaluate_while(architecture, material, &|| true).expect("it is wanted")
}

fn evaluate_while(architecture: &Architecture, material: &Material, wanted: Wanted<'_>) -> Option<Evaluation> {
    let emphasis = Loss::default().emphasis;
    let window = ((WINDOW_SECONDS * f64::from(material.sample_rate)) as usize).max(1);
    let mut levels = [ErrorToSignal::default(); LEVELS_DB.len()];
    let (mut raw, mut emphasised) = (ErrorToSignal::default(), ErrorToSignal::default());
    let mut sounds = Vec::new();
    let mut places: Vec<(f32, ErrorToSignal)> = Vec::new();
    let (mut seconds, mut frames) = (0.0, 0);
    for pair in &material.held {
        let start = Instant::now();
        let out = play_while(architecture, material.sample_rate, &pair.dry, &pair.knob, wanted)?;
        seconds += start.elapsed().as_secs_f64();
        frames += out.len();
        let (mut own, mut own_emphasised) = (ErrorToSignal::default(), ErrorToSignal::default());
        for (target, out) in pair.wet.chunks(window).zip(out.chunks(window)) {
            let sums = ErrorToSignal::of(target, out);
            let level = gain_to_db((sums.signal() / target.len() as f64).sqrt() as f32);
            let place = LEVELS_DB.iter().rposition(|top| level <= *top).unwrap_or(0);
            levels[place].join(sums);
            own.join(sums);
        }
        for (target, out) in pair.wet.windows(2).zip(out.windows(2)) {
            own_emphasised.add(target[1] - emphasis * target[0], out[1] - emphasis * out[0]);
        }
        raw.join(own);
        if let Some(place) = pair.knob.first().filter(|first| pair.knob.iter().all(|place| place == *first)) {
            match places.iter_mut().find(|(known, _)| known == place) {
                Some((_, sums)) => sums.join(own),
                None => places.push((*place, own)),
            }
        }
        emphasised.join(own_emphasised);
        sounds.push((pair.name.clone(), own.ratio(), own_emphasised.ratio()));
    }
    Some(Evaluation {
        esr: raw.ratio(),
        esr_emphasised: emphasised.ratio(),
        sounds,
        places: places.into_iter().map(|(place, sums)| (place, sums.ratio())).collect(),
        levels: LEVELS_DB.iter().zip(levels).map(|(top, sums)| (*top, (sums.signal() > 0.0).then(|| sums.ratio()))).collect(),
        ns_per_sample: seconds * 1e9 / frames.max(1) as f64,
    })
}
