//! The plug-in's parameters, made from the registry.

use std::sync::Arc;

use nice_plug::plugin::ParamValue;
use nice_plug::prelude::*;

use super::workshop::{Orders, RECORD};
use crate::algorithm::REGISTRY;
use crate::dsp::{Algorithm, Change, Kind, Parameter, Settings};

/// Names of the slots.
pub const SLOTS: [&str; 2] = ["A", "B"];

/// Hosts have each value where knobs have it.
impl FloatMapping for Parameter {
    fn min(&self) -> f32 {
        self.range().0
    }

    fn max(&self) -> f32 {
        self.range().1
    }

    fn normalize(&self, plain: f32) -> f32 {
        self.position(plain)
    }

    fn unnormalize(&self, normalized: f32) -> f32 {
        self.value_at(normalized)
    }
}

/// A parameter that the host knows, whatever its type.
pub enum Knob {
    Float(FloatParam),
    Int(IntParam),
    Bool(BoolParam),
}

impl Knob {
    /// A structural one asks for other slots as soon as it is set, not only when sound runs.
    fn new(name: String, parameter: &'static Parameter, orders: &Arc<Orders>) -> Self {
        let structural = parameter.change == Change::Structural;
        let orders = orders.clone();
        match parameter.kind {
            Kind::Float { default, .. } => {
                let knob = FloatParam::new(name, default, FloatRange::Custom(parameter))
                    .with_unit(parameter.unit().suffix())
                    .with_value_to_string(Arc::new(move |v| parameter.text(v)))
                    .with_string_to_value(Arc::new(move |text| parameter.parse(text).ok()));
                Self::Float(if structural {
                    knob.non_automatable().with_callback(Arc::new(move |_| orders.ask_for_slots()))
                } else {
                    knob
                })
            }
            Kind::Choice { names, default } => {
                let knob = choice(name, names, default);
                Self::Int(if structural {
                    knob.non_automatable().with_callback(Arc::new(move |_| orders.ask_for_slots()))
                } else {
                    knob
                })
            }
            Kind::Toggle { default } => {
                let knob = BoolParam::new(name, default)
                    .with_value_to_string(Arc::new(move |v| parameter.text(f32::from(u8::from(v)))))
                    .with_string_to_value(Arc::new(move |text| parameter.parse(text).ok().map(|v| v >= 0.5)));
                Self::Bool(if structural {
                    knob.non_automatable().with_callback(Arc::new(move |_| orders.ask_for_slots()))
                } else {
                    knob
                })
            }
        }
    }

    /// The plain value, with the host's modulation. [audio thread]
    #[must_use]
    pub fn value(&self) -> f32 {
        match self {
            Self::Float(p) => p.modulated_plain_value(),
            Self::Int(p) => p.modulated_plain_value() as f32,
            Self::Bool(p) => f32::from(u8::from(p.modulated_plain_value())),
        }
    }

    fn pointer(&self) -> ParamPtr {
        match self {
            Self::Float(p) => p.as_ptr(),
            Self::Int(p) => p.as_ptr(),
            Self::Bool(p) => p.as_ptr(),
        }
    }
}

/// A choice among names.
fn choice(name: String, names: &'static [&'static str], default: usize) -> IntParam {
    let last = names.len() as i32 - 1;
    IntParam::new(name, default as i32, IntRange::Linear { min: 0, max: last })
        .with_value_to_string(Arc::new(move |v| names[v.clamp(0, last) as usize].into()))
        .with_string_to_value(Arc::new(move |text| {
            let wanted = crate::dsp::choice_id(text);
            names.iter().position(|n| crate::dsp::choice_id(n) == wanted).map(|i| i as i32)
        }))
}

/// A slot's algorithm and the values of all algorithms, also of those that it does not run.
pub struct SlotParams {
    pub algorithm: IntParam,
    /// Row after row of the registry.
    pub rows: Vec<Vec<Knob>>,
}

impl SlotParams {
    /// The algorithm that the slot shall run. [audio thread]
    #[must_use]
    pub fn row(&self) -> usize {
        (self.algorithm.modulated_plain_value().max(0) as usize).min(REGISTRY.len() - 1)
    }

    /// What the slot shall run, as it is set now. [audio thread]
    #[must_use]
    pub fn settings(&self) -> Settings {
        let row = self.row();
        let mut settings = Settings::new(REGISTRY[row]);
        for (index, knob) in self.rows[row].iter().enumerate() {
            settings.set(index, knob.value());
        }
        settings
    }
}

/// All parameters.
pub struct Bank {
    /// 0 is the left button, 1 the right: slots A and B, or X and Y in a blind comparison.
    pub listen: IntParam,
    pub bypass: BoolParam,
    pub blind: BoolParam,
    /// Whether a recorder is kept ready; then takes start and stop at the very frame.
    pub arm: BoolParam,
    pub record: BoolParam,
    pub slots: [SlotParams; 2],
}

impl Bank {
    /// [control thread: allocates]
    pub fn new(orders: &Arc<Orders>) -> Self {
        // Leaked once for the process: the framework wants names that live for ever.
        static NAMES: std::sync::LazyLock<Vec<&'static str>> =
            std::sync::LazyLock::new(|| REGISTRY.iter().map(|r| r.name).collect());
        let slot = |slot: &str, default: usize| SlotParams {
            algorithm: choice(format!("{slot} Algorithm"), &NAMES, default).non_automatable().with_callback({
                let orders = orders.clone();
                Arc::new(move |_| orders.ask_for_slots())
            }),
            rows: REGISTRY
                .iter()
                .map(|row| {
                    let knob = |p: &'static Parameter| Knob::new(format!("{slot} {} {}", row.name, p.name), p, orders);
                    row.parameters.iter().map(knob).collect()
                })
                .collect(),
        };
        let take = |name: &str| {
            let orders = orders.clone();
            BoolParam::new(name, false).with_callback(Arc::new(move |_| orders.ask(RECORD)))
        };
        Self {
            listen: choice("Listen".into(), &["A or X", "B or Y"], 0),
            bypass: BoolParam::new("Bypass", false).make_bypass(),
            blind: BoolParam::new("Blind", false).non_automatable(),
            arm: take("Arm Recorder").non_automatable(),
            record: take("Record"),
            slots: [slot(SLOTS[0], 0), slot(SLOTS[1], 1)],
        }
    }
}

/// A parameter's id for ever: `a_saturator_drive`.
fn id(slot: &str, row: &Algorithm, parameter: &Parameter) -> String {
    format!("{}_{}_{}", slot.to_lowercase(), row.id, parameter.id)
}

/// Adds the algorithms' parameters that a state of an older version does not know, at their defaults: what plays then is what
/// played, whatever the instance was set to before. [control thread]
pub fn complete(state: &mut PluginState) {
    for (slot, row) in SLOTS.iter().flat_map(|slot| REGISTRY.iter().map(move |row| (slot, row))) {
        for parameter in row.parameters {
            let default = parameter.default();
            state.params.entry(id(slot, row, parameter)).or_insert(match parameter.kind {
                Kind::Float { .. } => ParamValue::F32(default),
                Kind::Choice { .. } => ParamValue::I32(default as i32),
                Kind::Toggle { .. } => ParamValue::Bool(default >= 0.5),
            });
        }
    }
}

/// Ids of the parameters that a release had, in the order in which hosts have them. New ones are appended, nothing else ever changes.
const RELEASED: &str = include_str!("parameter_ids.txt");

// SAFETY: the pointers are to fields of `self`, which the wrapper keeps in an `Arc` for as long as it uses them; `Knob`s live in
// vectors that never change after `default`.
unsafe impl Params for Bank {
    /// Those that were released stand where they stood; behind them comes what is new.
    fn param_map(&self) -> Vec<(String, ParamPtr, String)> {
        let mut map: Vec<(String, ParamPtr, String)> = vec![
            ("listen".into(), self.listen.as_ptr(), String::new()),
            ("bypass".into(), self.bypass.as_ptr(), String::new()),
            ("blind".into(), self.blind.as_ptr(), String::new()),
            ("record_arm".into(), self.arm.as_ptr(), String::new()),
            ("record".into(), self.record.as_ptr(), String::new()),
        ];
        for (slot, name) in self.slots.iter().zip(SLOTS) {
            map.push((format!("{}_algorithm", name.to_lowercase()), slot.algorithm.as_ptr(), name.into()));
        }
        for (r, row) in REGISTRY.iter().enumerate() {
            for (slot, name) in self.slots.iter().zip(SLOTS) {
                for (parameter, knob) in row.parameters.iter().zip(&slot.rows[r]) {
                    map.push((id(name, row, parameter), knob.pointer(), format!("{name}/{}", row.name)));
                }
            }
        }
        map.sort_by_key(|(id, ..)| RELEASED.lines().position(|released| released == id).unwrap_or(usize::MAX));
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_went_through_the_host_is_the_same_value_and_one_that_a_user_tells_apart_is_not() {
        let bank = Bank::new(&Arc::default());
        let mut inexact = 0;
        for (row, knobs) in REGISTRY.iter().zip(&bank.slots[0].rows) {
            for (p, knob) in row.parameters.iter().zip(knobs) {
                let (min, max) = p.range();
                // As they are typed, and as a knob has them.
                let typed = (0..=200).map(|i| min + i as f32 / 200.0 * (max - min));
                let values = typed.chain((0..=200).map(|i| p.value_at(i as f32 / 200.0))).chain([
                    p.default(),
                    min,
                    max,
                    min.ceil(),
                    8.0,
                    4000.0,
                ]);
                for value in values.map(|v| p.clamp(v)) {
                    let pointer = knob.pointer();
                    // SAFETY: the bank that it points into lives.
                    unsafe { pointer._internal_set_normalized_value(pointer.preview_normalized(value)) };
                    let back = knob.value();
                    inexact += usize::from(back != value);
                    assert!(p.is_same(back, value), "{} {}: {value} comes back as {back}", row.id, p.id);
                    assert_eq!(p.text_with_unit(back), p.text_with_unit(value), "{} {}", row.id, p.id);
                    assert_eq!(p.is_off(back), p.is_off(value), "{} {}", row.id, p.id);
                    assert_eq!(p.is_default(back), p.is_default(value), "{} {}", row.id, p.id);
                }
                // A hundred times finer than a hand turns a knob.
                for (a, b) in (0..2000).map(|i| (p.value_at(i as f32 / 2000.0), p.value_at((i + 1) as f32 / 2000.0))) {
                    assert!(a == b || !p.is_same(a, b), "{} {}: {a} and {b}", row.id, p.id);
                }
            }
        }
        assert!(inexact > 100, "{inexact} values are changed on their way");
    }

    #[test]
    fn a_host_and_a_knob_have_each_value_at_the_same_place() {
        let bank = Bank::new(&Arc::default());
        for (row, knobs) in bank.slots.iter().flat_map(|slot| REGISTRY.iter().zip(&slot.rows)) {
            for (p, knob) in row.parameters.iter().zip(knobs) {
                let pointer = knob.pointer();
                // SAFETY: the bank that it points into lives.
                let (to_value, to_position) =
                    unsafe { (|at| pointer.preview_plain(at), |value| pointer.preview_normalized(value)) };
                for position in [0.0, 0.25, 0.5, 0.75, 1.0] {
                    let value = p.value_at(position);
                    assert_eq!(to_value(position), value, "{} {} at {position}", row.id, p.id);
                    assert_eq!(to_position(value), p.position(value), "{} {} at {value}", row.id, p.id);
                }
            }
        }
    }

    #[test]
    fn ids_are_unique_and_their_order_only_ever_grows() {
        let ids: Vec<String> = Bank::new(&Arc::default()).param_map().into_iter().map(|(id, ..)| id).collect();
        let mut sorted = ids.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), ids.len());
        let released: Vec<&str> = RELEASED.lines().collect();
        let new: Vec<&str> = ids.iter().map(String::as_str).filter(|id| !released.contains(id)).collect();
        assert!(new.is_empty(), "append to parameter_ids.txt:\n{}", new.join("\n"));
        // Nothing that was released has gone either, so each stands in its place.
        assert_eq!(ids, released);
    }
}
