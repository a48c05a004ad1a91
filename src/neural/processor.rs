//! The algorithm that plays a neural model.
//!
//! Without a model the sound passes unchanged but for the gains. With one: input gain, to the model's rate, the network, back to the
//! host's rate, a DC blocker if it is on, the gain of the output mode. What a network gives that is no number becomes silence, and the
//! network begins anew.
//!
//! The first frame is as if silence had come in for ever: the network is settled at the knobs as they are set then, and all behind it
//! at what it gives for silence.

use std::sync::Arc;

use multiversion::multiversion;

use super::activation::Precision;
use super::alignment::Aligner;
use super::engine::{KNOBS, MIDDLE, Mode};
use super::model::{Model, Size};
use super::play::{Play, Player};
use super::rate::Rates;
use crate::dsp::blend::Blend;
use crate::dsp::filter::DcBlocker;
use crate::dsp::{
    Algorithm, Block, CHUNK, Change, Chunk, Index, Parameter, PrepareError, Processor, Ramp, Settings, Spec, Unit, db_to_gain,
};

/// The registry's row.
pub static ALGORITHM: Algorithm = Algorithm {
    id: "neural",
    name: "Neural model",
    description: "Plays a neural model of an amplifier or another device; without one, the sound passes",
    parameters: &PARAMETERS,
    model: true,
    prepare: |spec, settings| Ok(Box::new(Neural::new(spec, settings, None)?)),
};

const INPUT: Index = Parameter::place(&PARAMETERS, "input");
const OUTPUT: Index = Parameter::place(&PARAMETERS, "output");
const MIX: Index = Parameter::place(&PARAMETERS, "mix");
const OUTPUT_MODE: Index = Parameter::place(&PARAMETERS, "output_mode");
const CALIBRATE_INPUT: Index = Parameter::place(&PARAMETERS, "calibrate_input");
const INTERFACE_LEVEL: Index = Parameter::place(&PARAMETERS, "interface_level");
const SIZE: Index = Parameter::place(&PARAMETERS, "size");
const PRECISION: Index = Parameter::place(&PARAMETERS, "precision");
const ALIGN: Index = Parameter::place(&PARAMETERS, "align");
const KNOB_1: Index = Parameter::place(&PARAMETERS, "knob_1");
const DC_BLOCKER: Index = Parameter::place(&PARAMETERS, "dc_blocker");

/// Corner of the DC blocker, in hertz: more than two octaves below the lowest note of a bass (B0, 31 Hz).
const DC_HZ: f64 = 5.0;

/// One of the four further inputs of a model.
const fn knob(id: &'static str, name: &'static str) -> Parameter {
    let doc = "A control that the model was trained with; nothing where it has none";
    Parameter::number(id, name, (0.0, 1.0), MIDDLE, Unit::None, doc)
}

static PARAMETERS: [Parameter; 14] = [
    Parameter::number("input", "Input", (-24.0, 24.0), 0.0, Unit::Decibel, "Gain into the model: more drive"),
    Parameter::output(),
    Parameter::mix("Dry at 0, the model at 100"),
    Parameter::choice(
        "output_mode",
        "Output mode",
        &["Raw", "Normalised", "Calibrated"],
        1,
        "Level of the model: its own, -18 dB loudness for all, or that of the device; its own if it does not say",
    )
    .ramped(),
    Parameter::toggle(
        "calibrate_input",
        "Calibrate input",
        false,
        "Drives the model as the device was driven, where it says its level",
    ),
    Parameter::number(
        "interface_level",
        "Interface level",
        (-10.0, 30.0),
        12.0,
        Unit::Dbu,
        "Level of the audio interface's full scale, for both calibrations",
    ),
    Parameter::number(
        "size",
        "Size",
        (0.0, 1.0),
        1.0,
        Unit::None,
        "Which of a slimmable model's networks: closer to the device, more work",
    )
    .structural(),
    Parameter::choice(
        "precision",
        "Precision",
        &["Fast", "Exact"],
        0,
        "Exact computes tanh and its like by the standard library: for comparisons, many times slower",
    ),
    Parameter::toggle(
        "align",
        "Align",
        false,
        "Undoes the model's measured delay and polarity: in phase with what it is compared with",
    )
    .structural(),
    knob("knob_1", "Knob 1"),
    knob("knob_2", "Knob 2"),
    knob("knob_3", "Knob 3"),
    knob("knob_4", "Knob 4"),
    Parameter::toggle(
        "dc_blocker",
        "DC blocker",
        false,
        "High-pass (5 Hz behind a model, 10 Hz in the saturator) against a constant offset",
    ),
];

/// What the level of a model follows; the values of `output_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputMode {
    Raw,
    Normalised,
    Calibrated,
}

/// Loudness that normalised models have, in dB; NeuralAmpModelerCore's.
const NORMALISED_DB: f32 = -18.0;

/// No level that a model says of itself changes a gain by more, in dB.
const MOST_DB: f32 = 60.0;

/// The output modes that a size of a model says enough for; with another one it plays raw. [any thread]
///
/// # Panics
/// If there is no such size.
pub fn output_modes(model: &Model, size: usize) -> impl Iterator<Item = OutputMode> {
    let levels = Levels::new(model, &model.sizes()[size]);
    [
        (OutputMode::Raw, true),
        (OutputMode::Normalised, levels.loudness_db.is_some()),
        (OutputMode::Calibrated, levels.output_dbu.is_some()),
    ]
    .into_iter()
    .filter_map(|(mode, says)| says.then_some(mode))
}

/// What a model says of its levels. The gains are NeuralAmpModelerPlugin's.
#[derive(Clone, Copy, Default)]
struct Levels {
    loudness_db: Option<f32>,
    input_dbu: Option<f32>,
    output_dbu: Option<f32>,
}

impl Levels {
    fn new(model: &Model, size: &Size) -> Self {
        let info = model.info();
        Self {
            loudness_db: size.loudness_db.or(info.loudness_db),
            input_dbu: info.input_level_dbu,
            output_dbu: info.output_level_dbu,
        }
    }

    fn input_db(&self, settings: &Settings) -> f32 {
        let calibration = match self.input_dbu {
            Some(level) if settings.get(CALIBRATE_INPUT) >= 0.5 => settings.get(INTERFACE_LEVEL) - level,
            _ => 0.0,
        };
        settings.get(INPUT) + sane_db(calibration)
    }

    fn output_db(&self, settings: &Settings) -> f32 {
        let db = match settings.get(OUTPUT_MODE) as usize {
            1 => self.loudness_db.map(|loudness| NORMALISED_DB - loudness),
            2 => self.output_dbu.map(|level| level - settings.get(INTERFACE_LEVEL)),
            _ => None,
        };
        sane_db(db.unwrap_or(0.0))
    }
}

fn sane_db(db: f32) -> f32 {
    if db.is_nan() { 0.0 } else { db.clamp(-MOST_DB, MOST_DB) }
}

/// See [`ALGORITHM`].
pub struct Neural {
    /// Values as they were set; the ramps' targets follow from them.
    settings: Settings,
    /// No frame since `reset`: values take effect at once.
    fresh: bool,
    levels: Levels,
    /// In dB: at a constant number of dB a frame no glide makes a step at its quiet end.
    input_db: Ramp,
    /// What `input_db` goes to, as a factor.
    input: f32,
    /// Factor behind the model; negative where its polarity is undone.
    level: Ramp,
    polarity: f32,
    play: Option<Play>,
    blend: Blend,
    wet: Vec<Chunk>,
    gains: Chunk,
    latency: usize,
}

impl Neural {
    /// A processor with these settings, which are [`ALGORITHM`]'s, and perhaps a model. [control thread: allocates]
    ///
    /// # Errors
    /// If `spec` is out of range, or the model cannot play here.
    pub fn new(spec: Spec, settings: &Settings, model: Option<Arc<Model>>) -> Result<Self, PrepareError> {
        spec.check()?;
        let (rate, channels) = (spec.sample_rate, spec.channels);
        let mut new = Self {
            settings: *settings,
            fresh: true,
            levels: Levels::default(),
            input_db: Ramp::new(0.0, rate),
            input: 1.0,
            level: Ramp::new(1.0, rate),
            polarity: 1.0,
            play: None,
            blend: Blend::new(rate, channels, 0, 100.0, 0.0),
            wet: vec![[0.0; CHUNK]; channels],
            gains: [0.0; CHUNK],
            latency: 0,
        };
        if let Some(model) = model {
            new.load(spec, model)?;
            new.blend = Blend::new(rate, channels, new.latency, 100.0, 0.0);
        }
        for (index, parameter) in ALGORITHM.parameters.iter().enumerate() {
            if parameter.change == Change::Ramped {
                new.set(index, settings.get(index));
            }
        }
        new.reset();
        Ok(new)
    }

    fn load(&mut self, spec: Spec, model: Arc<Model>) -> Result<(), PrepareError> {
        let size = model.size_for(self.settings.get(SIZE));
        let native = model.info().sample_rate;
        self.levels = Levels::new(&model, &model.sizes()[size]);
        let precision = if self.settings.get(PRECISION) >= 1.0 { Precision::Exact } else { Precision::Fast };
        // A turn of the way to the model's rate may end in any block.
        let ratio = f64::from(native) / f64::from(spec.sample_rate);
        let longest = if ratio == 1.0 { spec.max_frames } else { ((spec.max_frames + CHUNK) as f64 * ratio).ceil() as usize };
        let knobs = std::array::from_fn(|k| self.settings.get(KNOB_1 + k));
        let mode = Mode { precision, max_frames: longest, knobs, ..Mode::new(spec.channels) };
        let voices = model.network(size).clone().voices(mode).map_err(PrepareError::Engine)?;
        let knobs = model.knobs(size);
        if knobs > KNOBS {
            return Err(PrepareError::Engine(format!("the model has {knobs} controls; expected at most {KNOBS}")));
        }
        let latency = voices.latency() + model.info().late_frames;
        self.latency = latency;
        let rates = if native == spec.sample_rate {
            None
        } else {
            let rates = Rates::new(spec.sample_rate, native, spec.channels, latency)?;
            self.latency = rates.latency();
            Some(rates)
        };
        let mut aligner = None;
        if self.settings.get(ALIGN) >= 0.5 {
            let found = model.alignment(size).map_err(PrepareError::Engine)?;
            self.polarity = if found.inverted { -1.0 } else { 1.0 };
            let (new, latency) = Aligner::new(found.delay_frames * spec.sample_rate / native, spec.channels);
            self.latency += latency;
            aligner = new;
        }
        let turn = rates.as_ref().map_or(CHUNK, Rates::longest_turn);
        let player = Player::new(model, voices, knobs, native, spec.channels, turn);
        let dc_blocker = DcBlocker::new(spec.sample_rate, spec.channels, DC_HZ, false);
        self.play = Some(Play::new(player, rates, aligner, dc_blocker));
        Ok(())
    }
}

fn amplify_all(wet: &mut [Chunk], frames: usize, gain: f32) {
    if gain != 1.0 {
        wet.iter_mut().for_each(|wet| wet[..frames].iter_mut().for_each(|x| *x *= gain));
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn amplify(samples: &mut [f32], gains: &Chunk) {
    for (x, gain) in samples.iter_mut().zip(gains) {
        *x *= gain;
    }
}

impl Processor for Neural {
    fn set(&mut self, index: Index, value: f32) {
        let Some(value) = ALGORITHM.ramped(index, value) else { return };
        self.settings.set(index, value);
        let now = self.fresh;
        match index {
            INPUT | CALIBRATE_INPUT | INTERFACE_LEVEL | OUTPUT_MODE => {
                self.input_db.set(self.levels.input_db(&self.settings), now);
                self.input = db_to_gain(self.input_db.target());
                self.level.set(self.polarity * db_to_gain(self.levels.output_db(&self.settings)), now);
            }
            OUTPUT => self.blend.set_output(value, now),
            MIX => self.blend.set_mix(value, now),
            DC_BLOCKER => {
                if let Some(play) = &mut self.play {
                    play.dc_blocker.set(value >= 0.5, now);
                }
            }
            _ => {
                if let Some(play) = &mut self.play
                    && let Some(ramp) = play.player.knobs.get_mut(index - KNOB_1)
                {
                    ramp.set(value, now);
                }
            }
        }
    }

    fn reset(&mut self) {
        self.fresh = true;
        self.input_db.finish();
        self.level.finish();
        self.blend.reset();
        if let Some(play) = &mut self.play {
            play.reset();
        }
    }

    fn process(&mut self, block: &mut Block<'_>) {
        let frames = block.first().map_or(0, |c| c.len());
        if frames > 0
            && std::mem::take(&mut self.fresh)
            && let Some(play) = &mut self.play
        {
            play.settle();
        }
        let mut at = 0;
        while at < frames {
            let room = self.play.as_ref().map_or(CHUNK, Play::room);
            let n = room.min(frames - at);
            self.blend.split(block, at, n, &mut self.wet);
            if let Some(gain) = self.input_db.resting().map(|_| self.input) {
                amplify_all(&mut self.wet, n, gain);
            } else {
                self.input_db.fill(&mut self.gains[..n]);
                self.gains[..n].iter_mut().for_each(|g| *g = db_to_gain(*g));
                self.wet.iter_mut().for_each(|wet| amplify(&mut wet[..n], &self.gains));
            }
            if let Some(play) = &mut self.play {
                play.run(&mut self.wet, n);
            }
            if let Some(gain) = self.level.resting() {
                amplify_all(&mut self.wet, n, gain);
            } else {
                self.level.fill(&mut self.gains[..n]);
                self.wet.iter_mut().for_each(|wet| amplify(&mut wet[..n], &self.gains));
            }
            self.blend.join(&self.wet, block, at, n);
            at += n;
        }
    }

    fn latency(&self) -> usize {
        self.latency
    }

    fn skip(&mut self, frames: usize) -> bool {
        if let Some(play) = &mut self.play {
            let glides = self.input_db.resting().is_none() || self.level.resting().is_none();
            if self.fresh || glides || !play.rests() {
                return false;
            }
            play.skip(frames);
        }
        self.input_db.advance(frames);
        self.level.advance(frames);
        self.blend.skip(frames);
        true
    }

    fn set_offline(&mut self, offline: bool) {
        if let Some(play) = &mut self.play {
            play.player.voices.set_offline(offline);
        }
    }

    fn duplicate(&self) -> Option<Box<dyn Processor>> {
        let play = match &self.play {
            Some(play) => Some(play.duplicate()?),
            None => None,
        };
        Some(Box::new(Self {
            settings: self.settings,
            fresh: self.fresh,
            levels: self.levels,
            input_db: self.input_db.clone(),
            input: self.input,
            level: self.level.clone(),
            polarity: self.polarity,
            play,
            blend: self.blend.clone(),
            wet: self.wet.clone(),
            gains: self.gains,
            latency: self.latency,
        }))
    }

    fn bytes(&self) -> usize {
        self.blend.bytes() + size_of_val(self.wet.as_slice()) + self.play.as_ref().map_or(0, Play::bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Effect;
    use crate::neural::Info;
    use crate::neural::engine::{Network, Voices};

    type Function = Box<dyn FnMut(f32) -> f32 + Send>;
    /// A network of one channel by a function with a state.
    struct Double(Box<dyn Fn() -> Function + Send + Sync>);
    struct State(Arc<Double>, Vec<Function>);

    impl Network for Double {
        fn voices(self: Arc<Self>, mode: Mode) -> Result<Box<dyn Voices>, String> {
            let channels = (0..mode.channels).map(|_| (self.0)()).collect();
            Ok(Box::new(State(self, channels)))
        }
        fn bytes(&self) -> usize {
            0
        }
    }

    impl Voices for State {
        fn process(&mut self, block: &mut Block<'_>, _: &[&[f32]]) {
            for (samples, f) in block.iter_mut().zip(&mut self.1) {
                samples.iter_mut().for_each(|x| *x = f(*x));
            }
        }
        fn settle(&mut self, _: &[f32]) -> f32 {
            self.reset();
            (self.0.0)()(0.0)
        }
        fn reset(&mut self) {
            for f in &mut self.1 {
                *f = (self.0.0)();
            }
        }
        fn rests(&self) -> bool {
            false
        }
        fn bytes(&self) -> usize {
            0
        }
    }

    fn info() -> Info {
        Info {
            sample_rate_given: true,
            loudness_db: Some(-30.0),
            input_level_dbu: Some(18.0),
            output_level_dbu: Some(9.0),
            ..Info::new("double", "double", 0, 48_000.0)
        }
    }

    fn model(info: Info, make: impl Fn() -> Function + Send + Sync + 'static) -> Arc<Model> {
        Model::from_network(info, Arc::new(Double(Box::new(make))), Vec::new())
    }

    fn effect(model: &Arc<Model>) -> Effect {
        Effect { settings: Settings::new(&ALGORITHM), model: Some(model.clone()) }
    }

    fn prepared(effect: &Effect, rate: f32) -> Box<dyn Processor> {
        effect.prepare(Spec { sample_rate: rate, channels: 1, max_frames: 4096 }).unwrap()
    }

    #[test]
    fn each_mode_has_its_gain_and_what_a_model_does_not_say_is_raw() {
        let play = |effect: Effect| {
            let mut x = [0.125f32];
            prepared(&effect, 48_000.0).process(&mut [&mut x]);
            crate::dsp::gain_to_db(x[0] / 0.125)
        };
        let all = model(info(), || Box::new(|x| x));
        let none = model(Info { loudness_db: None, input_level_dbu: None, output_level_dbu: None, ..info() }, || Box::new(|x| x));
        // Mode, calibrated input, interface level, gain of what says all; see the page of facts: -18 - loudness, and differences
        // of dBu.
        for (mode, calibrate, interface, expected) in
            [(0.0, 0.0, 12.0, 0.0), (1.0, 0.0, 12.0, 12.0), (2.0, 0.0, 12.0, -3.0), (2.0, 0.0, 4.0, 5.0), (0.0, 1.0, 12.0, -6.0)]
        {
            let with = |model: &Arc<Model>| {
                let effect = effect(model).with("output_mode", mode);
                play(effect.with("calibrate_input", calibrate).with("interface_level", interface))
            };
            assert!((with(&all) - expected).abs() < 1e-3, "mode {mode}: {} dB", with(&all));
            assert!(with(&none).abs() < 1e-6, "mode {mode}: {} dB", with(&none));
        }
        assert_eq!(output_modes(&all, 0).count(), 3);
        assert_eq!(output_modes(&none, 0).collect::<Vec<_>>(), [OutputMode::Raw]);
    }

    #[test]
    fn every_size_is_as_loud_by_its_own_loudness() {
        use crate::neural::description::{Activation, Architecture, Conv1d, Layer, Sequence};
        use crate::neural::{Loaded, Size};
        let size = |below: f32, gain: f32, loudness_db: f32| {
            let weights = vec![gain];
            let conv = Conv1d { inputs: 1, outputs: 1, taps: 1, dilation: 1, groups: 1, weights, bias: None };
            let layers = vec![Layer::Conv1d(conv, Activation::Identity)];
            let architecture = Architecture::Sequence(Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false });
            Size { below, architecture: Some(architecture), loudness_db: Some(loudness_db) }
        };
        // One is 6.02 dB louder than the other, and says so.
        let sizes = vec![size(0.5, 0.5, -24.0206), size(1.0, 1.0, -18.0)];
        let model = Model::new(Loaded { info: info(), sizes, golden: None }, Vec::new());
        let [small, large] = [0.0, 1.0].map(|wish| {
            let mut x = [0.25f32; 8];
            prepared(&effect(&model).with("size", wish), 48_000.0).process(&mut [&mut x]);
            x[7]
        });
        assert!((small / large - 1.0).abs() < 1e-4 && (large - 0.25).abs() < 1e-4, "{small} and {large}");
    }

    #[test]
    fn the_voices_are_told_when_nobody_listens() {
        use crate::slots::{Heard, Slots};
        use std::sync::atomic::{AtomicBool, Ordering};
        struct Told(Arc<AtomicBool>);
        impl Network for Told {
            fn voices(self: Arc<Self>, _: Mode) -> Result<Box<dyn Voices>, String> {
                Ok(Box::new(Told(self.0.clone())))
            }
            fn bytes(&self) -> usize {
                0
            }
        }
        impl Voices for Told {
            fn process(&mut self, _: &mut Block<'_>, _: &[&[f32]]) {}
            fn settle(&mut self, _: &[f32]) -> f32 {
                0.0
            }
            fn reset(&mut self) {}
            fn rests(&self) -> bool {
                false
            }
            fn set_offline(&mut self, offline: bool) {
                self.0.store(offline, Ordering::Relaxed);
            }
            fn bytes(&self) -> usize {
                0
            }
        }
        let told = Arc::new(AtomicBool::new(false));
        let model = Model::from_network(info(), Arc::new(Told(told.clone())), Vec::new());
        let spec = Spec { sample_rate: 48_000.0, channels: 1, max_frames: 64 };
        let mut slots = Slots::compile(spec, &[effect(&model)], Heard::Slot(0), None).unwrap();
        for offline in [true, false] {
            slots.set_offline(offline);
            assert_eq!(told.load(Ordering::Relaxed), offline);
        }
    }

    #[test]
    fn what_is_not_ready_in_time_is_counted_once() {
        struct Late(u64);
        impl Network for Late {
            fn voices(self: Arc<Self>, _: Mode) -> Result<Box<dyn Voices>, String> {
                Ok(Box::new(Self(0)))
            }
            fn bytes(&self) -> usize {
                0
            }
        }
        impl Voices for Late {
            /// Late in every block.
            fn process(&mut self, _: &mut Block<'_>, _: &[&[f32]]) {
                self.0 += 1;
            }
            fn settle(&mut self, _: &[f32]) -> f32 {
                0.0
            }
            fn reset(&mut self) {}
            fn rests(&self) -> bool {
                false
            }
            fn misses(&self) -> u64 {
                self.0
            }
            fn bytes(&self) -> usize {
                0
            }
        }
        let model = Model::from_network(info(), Arc::new(Late(0)), Vec::new());
        for so_far in [1, 2] {
            let mut neural = prepared(&effect(&model), 48_000.0);
            neural.process(&mut [&mut [0.0; CHUNK]]);
            assert_eq!(model.misses(), 2 * so_far - 1);
            neural.process(&mut [&mut [0.0; CHUNK]]);
            assert_eq!(model.misses(), 2 * so_far);
        }
    }

    #[test]
    fn without_a_model_the_sound_passes() {
        let x: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut y = x.clone();
        prepared(&Effect::new(&ALGORITHM), 44_100.0).process(&mut [&mut y]);
        assert_eq!(x, y);
    }

    #[test]
    fn a_model_that_explodes_is_silenced_and_begins_anew_by_the_next_turn() {
        // Full scale lights it.
        let model = model(info(), || {
            let mut lit = false;
            Box::new(move |x| {
                lit |= x >= 1.0;
                if lit { f32::NAN } else { 0.5 * x }
            })
        });
        let mut x = vec![0.25f32; 300];
        x[70] = 1.0;
        let mut neural = prepared(&effect(&model).with("output_mode", 0.0), 48_000.0);
        neural.process(&mut [&mut x]);
        let expected: Vec<f32> = (0..300).map(|i| if (70..128).contains(&i) { 0.0 } else { 0.125 }).collect();
        assert_eq!(x, expected);
        assert_eq!(model.explosions(), 1);
    }

    #[test]
    fn an_aligned_model_cancels_what_it_is_compared_with() {
        use crate::slots::{Heard, Slots};
        use std::f64::consts::{PI, TAU};
        for frames in [8.0, 45.25, 45.6] {
            // Upside down and late: a sinc under a Hann window.
            let taps: Vec<f64> = (0..128)
                .map(|k| f64::from(k) - frames)
                .map(|t| {
                    if t == 0.0 {
                        -1.0
                    } else if t.abs() < 45.0 {
                        -(PI * t).sin() / (PI * t) * (0.5 + 0.5 * (PI * t / 45.0).cos())
                    } else {
                        0.0
                    }
                })
                .collect();
            let other = model(Info { loudness_db: None, ..info() }, move || {
                let (taps, mut line) = (taps.clone(), vec![0.0; 128]);
                Box::new(move |x| {
                    line.rotate_right(1);
                    line[0] = f64::from(x);
                    line.iter().zip(&taps).map(|(x, h)| x * h).sum::<f64>() as f32
                })
            });
            for rate in if cfg!(feature = "models") { vec![48_000.0, 44_100.0] } else { vec![48_000.0] } {
                // Up to 15 kHz.
                let tones = [200.0, 1000.0, 5000.0, 15_000.0].map(|hz| TAU * hz / f64::from(rate));
                let x: Vec<f32> =
                    (0..8192).map(|i| tones.map(|w| 0.1 * (w * f64::from(i)).sin()).iter().sum::<f64>() as f32).collect();
                let residue = |align: f32| {
                    let both = [Effect::new(&ALGORITHM), effect(&other).with("align", align)];
                    let [a, b] = [0, 1].map(|slot| {
                        let spec = Spec { sample_rate: rate, channels: 1, max_frames: 8192 };
                        let mut slots = Slots::compile(spec, &both, Heard::Slot(slot), None).unwrap();
                        let mut y = x.clone();
                        slots.process(&mut [&mut y]);
                        y
                    });
                    let power = |y: &[f32]| y[4096..].iter().map(|y| f64::from(*y).powi(2)).sum::<f64>();
                    let difference: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
                    10.0 * (power(&difference) / power(&a)).log10()
                };
                let (off, on) = (residue(0.0), residue(1.0));
                println!("{frames} frames at {rate} Hz: {off:.1} dB, aligned {on:.1} dB");
                assert!(off > -10.0 && on < -80.0, "{frames} frames at {rate} Hz: {off} dB, aligned {on} dB");
            }
        }
    }
}
