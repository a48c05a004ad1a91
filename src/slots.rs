//! The slots: effects side by side on the same input, all running and aligned in time; a switch lets one of them through.
//!
//! This is the plan that the plug-in and the command line run: `input -> each slot -> switch -> output`. The input itself is
//! one more input of the switch, delayed like the slots, so that bypass has the same latency.

use crate::dsp::{Block, ChangeMode, ParameterIndex, PrepareError, ProcessSpec};
use crate::effect::{Effect, EffectSnapshot};
use crate::graph::{Builder, Bus, CompileError, Meter, Plan, TapReceiver};

/// An error while slots are made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SlotsError {
    /// An effect cannot be prepared.
    #[error("{algorithm}: {source}")]
    Prepare {
        /// Id of the effect's algorithm.
        algorithm: &'static str,
        /// The reason.
        source: PrepareError,
    },
    /// The plan cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// The branch that the switch lets through to the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// The slot at this index, from 0.
    Slot(usize),
    /// The input, with the latency of the slots.
    Bypass,
}

/// Effects side by side on the same input, with a switch between them; see [the module](self).
///
/// # Examples
/// ```
/// use isotherm::{dsp::ProcessSpec, effect::Effect, slots::{Listen, Slots}};
///
/// let spec = ProcessSpec::new(48_000.0, 1, 960);
/// let effects = [Effect::from_id("saturator")?, Effect::from_id("clipper")?.with("threshold", -20.0)];
/// let mut slots = Slots::compile(spec, &effects, Listen::Slot(0), None)?;
/// let mut sound = [0.5f32; 960];
/// slots.process(&mut [&mut sound]); // In place, any number of frames.
///
/// slots.set_listen(Listen::Bypass); // With a dip: 5 ms (240 frames) down, 5 ms up.
/// let mut sound = [0.5f32; 960];
/// slots.process(&mut [&mut sound]);
/// assert!(sound[240] < 0.01, "the bottom of the dip");
/// assert_eq!(sound[900], 0.5, "the input, late by the latency of the slots");
/// assert!(slots.listen() == Listen::Bypass && slots.latency() > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Slots {
    plan: Plan,
    /// Node and present settings of each slot's effect.
    slots: Vec<(Bus, EffectSnapshot)>,
    switch: Bus,
    listen: Listen,
}

/// The meters of the slots' input and output.
#[derive(Clone, Debug)]
pub struct Meters {
    /// Level of the input.
    pub input: Meter,
    /// Level of the output, after the switch.
    pub output: Meter,
}

impl Meters {
    /// Meters of `channels` channels each. [control thread: allocates]
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self { input: Meter::new(channels), output: Meter::new(channels) }
    }
}

impl Slots {
    /// Prepares each of `effects` in a slot of its own; `listen` is let through at first. [control thread: allocates]
    ///
    /// # Errors
    /// [`SlotsError`] if `spec` is out of range, or an effect or its model cannot run with it.
    pub fn compile(spec: ProcessSpec, effects: &[Effect], listen: Listen, meters: Option<&Meters>) -> Result<Self, SlotsError> {
        let mut builder = Builder::new(spec.sample_rate);
        let mut input = builder.input(spec.channels);
        if let Some(meters) = meters {
            input = builder.meter_to(input, &meters.input);
        }
        let mut slots = Vec::new();
        let mut branches = Vec::new();
        for effect in effects {
            let failed = |source| SlotsError::Prepare { algorithm: effect.algorithm().id, source };
            let bus = builder.process(input, effect.prepare(spec).map_err(failed)?);
            slots.push((bus, effect.snapshot()));
            branches.push(bus);
        }
        // Only bypass needs the guard: effects sanitise their input themselves.
        let guarded = builder.guard(input);
        branches.push(guarded);
        let switch = builder.switch(&branches, branch(listen, slots.len()));
        let mut output = switch;
        if let Some(meters) = meters {
            output = builder.meter_to(output, &meters.output);
        }
        builder.output(output);
        // The taps, in the order of `process_tapped`.
        builder.output(guarded);
        for (bus, _) in &slots {
            builder.output(*bus);
        }
        Ok(Self { plan: builder.compile()?, slots, switch, listen })
    }

    /// Frames by which the output lags the input, the same for every slot and for bypass. [any thread]
    #[must_use]
    pub fn latency(&self) -> usize {
        self.plan.latency()
    }

    /// Bytes on the heap. [any thread]
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.plan.bytes()
    }

    /// Settings and model of the effect that a slot runs. [audio thread]
    ///
    /// # Panics
    /// If there is no such slot.
    #[must_use]
    pub fn snapshot(&self, slot: usize) -> &EffectSnapshot {
        &self.slots[slot].1
    }

    /// Counts the effect of a slot as one with other structural values, which its processor could not be made with: those that
    /// [`Self::snapshot`] tells from now on. [control thread]
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn count_as(&mut self, slot: usize, snapshot: EffectSnapshot) {
        self.slots[slot].1 = snapshot;
    }

    /// Sets a ramped parameter of a slot to a plain value. A structural one is left alone: it needs other slots. [audio thread]
    ///
    /// # Panics
    /// If there is no such slot or parameter.
    pub fn set(&mut self, slot: usize, parameter: ParameterIndex, value: f32) {
        let (bus, EffectSnapshot { settings, .. }) = &mut self.slots[slot];
        let row = &settings.algorithm().parameters[parameter];
        let value = row.clamp(value);
        if row.change == ChangeMode::Ramped && settings.get(parameter) != value {
            settings.set(parameter, value);
            self.plan.set(*bus, parameter, value);
        }
    }

    /// Sets all ramped parameters of a slot to the values in `wanted`, if it has the same structure (algorithm, structural
    /// values, model); else does nothing. [audio thread]
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn follow(&mut self, slot: usize, wanted: &EffectSnapshot) {
        if self.slots[slot].1.same_structure(wanted) {
            for parameter in 0..wanted.settings.algorithm().parameters.len() {
                self.set(slot, parameter, wanted.settings.get(parameter));
            }
        }
    }

    /// The branch that is let through, or will be after the dip. [audio thread]
    #[must_use]
    pub fn listen(&self) -> Listen {
        self.listen
    }

    /// Lets another branch through, with a dip, also if it is let through already. [audio thread]
    pub fn set_listen(&mut self, listen: Listen) {
        self.listen = listen;
        self.plan.select(self.switch, branch(listen, self.slots.len()));
    }

    /// Returns to the state right after `compile`; values that were set stay. [audio thread]
    pub fn reset(&mut self) {
        self.plan.reset();
    }

    /// Processes a block of any length in place. [audio thread]
    pub fn process(&mut self, block: &mut Block<'_>) {
        self.plan.run_in_place(block);
    }

    /// Processes a block like [`Self::process`], and gives input and slots to `receiver`, all aligned with the output: tap 0 is
    /// the input, with NaN and infinities replaced by silence; tap 1 is the output of the first slot, and so on. [audio thread]
    pub fn process_tapped(&mut self, block: &mut Block<'_>, receiver: &mut impl TapReceiver) {
        self.plan.run_tapped(block, receiver);
    }

    /// Returns the plan alone, with its present settings. [any thread]
    #[must_use]
    pub fn into_plan(self) -> Plan {
        self.plan
    }

    /// The plan, for measuring the time of its nodes. [the thread that runs it]
    pub fn plan(&mut self) -> &mut Plan {
        &mut self.plan
    }
}

/// The number of the switch's input for `listen`.
fn branch(listen: Listen, slots: usize) -> usize {
    match listen {
        Listen::Slot(slot) => slot.min(slots.saturating_sub(1)),
        Listen::Bypass => slots,
    }
}
