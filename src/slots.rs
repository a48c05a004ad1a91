//! The slots: algorithms side by side on the same sound, all running, aligned, one of them heard.
//!
//! This is the plan that the plug-in and the command line run: `input -> each slot -> switch -> output`, with the input itself as
//! one more side of the switch, so that bypass keeps the latency.

use crate::dsp::{Block, Change, Index, PrepareError, Spec};
use crate::effect::{Effect, Outline};
use crate::graph::{Builder, Bus, CompileError, Meter, Plan, Taps};

/// Why there are no slots.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SlotsError {
    #[error("{algorithm}: {source}")]
    Prepare { algorithm: &'static str, source: PrepareError },
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// What is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The slot at this position.
    Slot(usize),
    /// The input, as late as the slots.
    Bypass,
}

/// See the module.
pub struct Slots {
    plan: Plan,
    slots: Vec<(Bus, Outline)>,
    switch: Bus,
    heard: Heard,
}

/// Where the levels of input and output are shown.
#[derive(Clone, Debug)]
pub struct Meters {
    pub input: Meter,
    pub output: Meter,
}

impl Meters {
    /// [control thread: allocates]
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self { input: Meter::new(channels), output: Meter::new(channels) }
    }
}

impl Slots {
    /// Prepares each of `effects` and puts them side by side. [control thread: allocates]
    ///
    /// # Errors
    /// If the specification is out of range, or a model cannot play here.
    pub fn compile(spec: Spec, effects: &[Effect], heard: Heard, meters: Option<&Meters>) -> Result<Self, SlotsError> {
        let mut builder = Builder::new(spec.sample_rate);
        let mut input = builder.input(spec.channels);
        if let Some(meters) = meters {
            input = builder.meter_to(input, &meters.input);
        }
        let mut slots = Vec::new();
        let mut sides = Vec::new();
        for effect in effects {
            let failed = |source| SlotsError::Prepare { algorithm: effect.algorithm().id, source };
            let bus = builder.process(input, effect.prepare(spec).map_err(failed)?);
            slots.push((bus, effect.outline()));
            sides.push(bus);
        }
        // The effects clean what they read themselves.
        let guarded = builder.guard(input);
        sides.push(guarded);
        let switch = builder.switch(&sides, side(heard, slots.len()));
        let mut output = switch;
        if let Some(meters) = meters {
            output = builder.meter_to(output, &meters.output);
        }
        builder.output(output);
        // The taps, in the order that `process_tapped` promises.
        builder.output(guarded);
        for (bus, _) in &slots {
            builder.output(*bus);
        }
        Ok(Self { plan: builder.compile()?, slots, switch, heard })
    }

    /// Frames by which the output lags the input, whatever is heard. [any thread]
    #[must_use]
    pub fn latency(&self) -> usize {
        self.plan.latency()
    }

    /// Bytes on the heap. [any thread]
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.plan.bytes()
    }

    /// The effect that a slot runs. [audio thread]
    ///
    /// # Panics
    /// If there is no such slot.
    #[must_use]
    pub fn outline(&self, slot: usize) -> &Outline {
        &self.slots[slot].1
    }

    /// Sets a ramped parameter of a slot; a structural one needs other slots and is left alone. [audio thread]
    ///
    /// # Panics
    /// If there is no such slot or parameter.
    pub fn set(&mut self, slot: usize, parameter: Index, value: f32) {
        let (bus, Outline { settings, .. }) = &mut self.slots[slot];
        let row = &settings.algorithm().parameters[parameter];
        let value = row.clamp(value);
        if row.change == Change::Ramped && settings.get(parameter) != value {
            settings.set(parameter, value);
            self.plan.set(*bus, parameter, value);
        }
    }

    /// Takes over the ramped values of an effect of the same structure; one of another structure is left alone. [audio thread]
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn follow(&mut self, slot: usize, wanted: &Outline) {
        if self.slots[slot].1.same_structure(wanted) {
            for parameter in 0..wanted.settings.algorithm().parameters.len() {
                self.set(slot, parameter, wanted.settings.get(parameter));
            }
        }
    }

    /// What is heard, or will be behind the dip. [audio thread]
    #[must_use]
    pub fn heard(&self) -> Heard {
        self.heard
    }

    /// Lets something be heard, through a dip, also what is heard already. [audio thread]
    pub fn press(&mut self, heard: Heard) {
        self.heard = heard;
        self.plan.press(self.switch, side(heard, self.slots.len()));
    }

    /// From now on the algorithms may take their time (`true`: nobody listens while they work), or must not. [audio thread]
    pub fn set_offline(&mut self, offline: bool) {
        self.plan.set_offline(offline);
    }

    /// Back to the state right after `compile`; values stay. [audio thread]
    pub fn reset(&mut self) {
        self.plan.reset();
    }

    /// In place, any number of frames. [audio thread]
    pub fn process(&mut self, block: &mut Block<'_>) {
        self.plan.run_in_place(block);
    }

    /// As [`Self::process`], tapped, all taps aligned with the output: tap 0 is the input as bypass lets it through, silent where it is
    /// no finite number; tap 1 is what the first slot gives, and so on. [audio thread]
    pub fn process_tapped(&mut self, block: &mut Block<'_>, taps: &mut impl Taps) {
        self.plan.run_tapped(block, taps);
    }

    /// The plan, to run as it is set now. [any thread]
    #[must_use]
    pub fn into_plan(self) -> Plan {
        self.plan
    }

    /// The plan, for what it measures. [the thread that runs it]
    pub fn plan(&mut self) -> &mut Plan {
        &mut self.plan
    }
}

/// The switch's input for what is heard.
fn side(heard: Heard, slots: usize) -> usize {
    match heard {
        Heard::Slot(slot) => slot.min(slots.saturating_sub(1)),
        Heard::Bypass => slots,
    }
}
