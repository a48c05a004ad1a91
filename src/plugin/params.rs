//! The parameters as the host sees them: a parameter of nice-plug for each of the instance's, which passes every value on to the
//! instance as soon as it is set.

use std::collections::BTreeMap;
use std::sync::Arc;

use nice_plug::plugin::ParamValue;
use nice_plug::prelude::*;

use super::geometry::{self, WindowGeometry};
use crate::dsp::{Parameter, ParameterKind};
use crate::instance::parameters::{ParameterDescriptor, ParameterRole, ParameterStore, descriptors, host_order};
use crate::instance::{Instance, ParameterGestures, SharedInstance};

/// A host's normalised value is the position of the knob.
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

/// A parameter of nice-plug, of one of its types.
enum HostParameter {
    Float(FloatParam),
    Int(IntParam),
    Bool(BoolParam),
}

impl HostParameter {
    /// The parameter for `descriptor`, whose place in `descriptors` is `index`. Each value that it gets, modulation included,
    /// goes to the instance at once, on whatever thread the host sets it, so that an automation point within a block takes effect
    /// at its frame.
    fn new(index: usize, descriptor: &ParameterDescriptor, values: &Arc<ParameterStore>) -> Self {
        let (parameter, name, values) = (descriptor.parameter, descriptor.name.as_str(), values.clone());
        match parameter.kind {
            ParameterKind::Float { default, .. } => {
                let float = FloatParam::new(name, default, FloatRange::Custom(parameter))
                    .with_unit(parameter.unit().suffix())
                    .with_value_to_string(Arc::new(move |value| parameter.text(value)))
                    .with_string_to_value(Arc::new(move |text| parameter.parse(text).ok()))
                    .with_callback(Arc::new(move |value| values.set(index, value)));
                Self::Float(if descriptor.is_automatable() { float } else { float.non_automatable() })
            }
            ParameterKind::Choice { names, default } => {
                let int = IntParam::new(name, default as i32, IntRange::Linear { min: 0, max: names.len() as i32 - 1 })
                    .with_value_to_string(Arc::new(move |value| parameter.text(value as f32)))
                    .with_string_to_value(Arc::new(move |text| parameter.parse(text).ok().map(|value| value as i32)))
                    .with_callback(Arc::new(move |value| values.set(index, value as f32)));
                Self::Int(if descriptor.is_automatable() { int } else { int.non_automatable() })
            }
            ParameterKind::Toggle { default } => {
                let mut toggle =
                    BoolParam::new(name, default).with_callback(Arc::new(move |on| values.set(index, f32::from(u8::from(on)))));
                if let ParameterRole::Effect { .. } = descriptor.role {
                    toggle = toggle
                        .with_value_to_string(Arc::new(move |on| parameter.text(f32::from(u8::from(on)))))
                        .with_string_to_value(Arc::new(move |text| parameter.parse(text).ok().map(|value| value >= 0.5)));
                }
                if descriptor.role == ParameterRole::Bypass {
                    toggle = toggle.make_bypass();
                }
                Self::Bool(if descriptor.is_automatable() { toggle } else { toggle.non_automatable() })
            }
        }
    }

    /// The pointer by which nice-plug names the parameter.
    fn pointer(&self) -> ParamPtr {
        match self {
            Self::Float(p) => p.as_ptr(),
            Self::Int(p) => p.as_ptr(),
            Self::Bool(p) => p.as_ptr(),
        }
    }
}

/// All parameters of the plug-in, and the rest of its saved state: models, setup of takes, size of the window.
pub struct HostParameters {
    /// The parameters, by their index in `instance::parameters::descriptors`.
    all: Vec<HostParameter>,
    shared: Arc<SharedInstance>,
    /// Size of the editor's window.
    pub window: WindowGeometry,
}

impl HostParameters {
    /// The parameters of an instance. [control thread: allocates]
    pub fn new(instance: &Instance) -> Self {
        let shared = instance.shared().clone();
        let all = descriptors().iter().enumerate().map(|(index, d)| HostParameter::new(index, d, &shared.parameters)).collect();
        Self { all, shared, window: WindowGeometry::default() }
    }

    /// The shared part of the instance. [any thread]
    pub fn shared(&self) -> &Arc<SharedInstance> {
        &self.shared
    }

    /// Adds a parameter to a page of a hardware controller.
    pub fn add_to(&self, page: &mut impl RemoteControlsPage, index: usize) {
        match &self.all[index] {
            HostParameter::Float(p) => page.add_param(p),
            HostParameter::Int(p) => page.add_param(p),
            HostParameter::Bool(p) => page.add_param(p),
        }
    }
}

/// Adds the algorithms' parameters that a state of an older version lacks, at their defaults, so that it sounds as it did when it
/// was saved, whatever the instance was set to before. [control thread]
pub fn add_missing_parameters(state: &mut PluginState) {
    for descriptor in descriptors().iter().filter(|d| matches!(d.role, ParameterRole::Effect { .. })) {
        let default = descriptor.parameter.default();
        state.params.entry(descriptor.id.clone()).or_insert(match descriptor.parameter.kind {
            ParameterKind::Float { .. } => ParamValue::F32(default),
            ParameterKind::Choice { .. } => ParamValue::I32(default as i32),
            ParameterKind::Toggle { .. } => ParamValue::Bool(default >= 0.5),
        });
    }
}

// SAFETY: the pointers are to elements of `all`, which never changes after `new`; nice-plug keeps `self` in an `Arc` for as
// long as it uses them.
unsafe impl Params for HostParameters {
    fn param_map(&self) -> Vec<(String, ParamPtr, String)> {
        let entry = |index: &usize| {
            let descriptor = &descriptors()[*index];
            (descriptor.id.clone(), self.all[*index].pointer(), descriptor.group.clone())
        };
        host_order().iter().map(entry).collect()
    }

    fn serialize_fields(&self) -> BTreeMap<String, String> {
        let mut fields = self.shared.fields();
        fields.insert(geometry::WINDOW_FIELD.into(), self.window.state_text());
        fields
    }

    /// Restores the fields of a state; anything whose field is missing stays unchanged. Reads no file, as a host may call it on
    /// any thread.
    fn deserialize_fields(&self, fields: &BTreeMap<String, String>) {
        if let Some(field) = fields.get(geometry::WINDOW_FIELD) {
            self.window.restore(field);
        }
        self.shared.restore_fields(fields);
    }
}

/// Setting of parameters through the host, which may record it as automation.
pub struct HostGestures<'a> {
    /// The parameters to set.
    pub parameters: &'a HostParameters,
    /// The way to the host.
    pub setter: ParamSetter<'a>,
}

impl ParameterGestures for HostGestures<'_> {
    fn begin(&self, index: usize) {
        match &self.parameters.all[index] {
            HostParameter::Float(p) => self.setter.begin_set_parameter(p),
            HostParameter::Int(p) => self.setter.begin_set_parameter(p),
            HostParameter::Bool(p) => self.setter.begin_set_parameter(p),
        }
    }

    fn set(&self, index: usize, value: f32) {
        match &self.parameters.all[index] {
            HostParameter::Float(p) => self.setter.set_parameter(p, value),
            HostParameter::Int(p) => self.setter.set_parameter(p, value.round() as i32),
            HostParameter::Bool(p) => self.setter.set_parameter(p, value >= 0.5),
        }
    }

    fn end(&self, index: usize) {
        match &self.parameters.all[index] {
            HostParameter::Float(p) => self.setter.end_set_parameter(p),
            HostParameter::Int(p) => self.setter.end_set_parameter(p),
            HostParameter::Bool(p) => self.setter.end_set_parameter(p),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use nice_plug::context::gui::GuiContext;

    use super::*;
    use crate::dsp::ProcessSpec;
    use crate::instance::parameters::effect_parameter;
    use crate::slots::{Listen, Slots};

    fn parameters() -> (Instance, Arc<HostParameters>) {
        let instance = Instance::default();
        let parameters = Arc::new(HostParameters::new(&instance));
        (instance, parameters)
    }

    /// Sets a parameter to a normalised value as a host's automation does.
    fn automate(parameters: &HostParameters, index: usize, position: f32) {
        // SAFETY: `parameters` outlives the pointer.
        unsafe { parameters.all[index].pointer()._internal_set_normalized_value(position) };
    }

    #[test]
    fn a_value_stays_the_same_on_its_way_through_the_host_and_differs_from_its_neighbours() {
        let (_instance, parameters) = parameters();
        let mut inexact = 0;
        for (index, descriptor) in descriptors().iter().enumerate() {
            let p = descriptor.parameter;
            let (min, max) = p.range();
            // Values that a user types, and values of a knob.
            let typed = (0..=200).map(|i| p.parse(&p.text(min + i as f32 / 200.0 * (max - min))).unwrap());
            let values = typed.chain((0..=200).map(|i| p.value_at(i as f32 / 200.0)));
            let values = values.chain([p.default(), min, max, min.ceil(), 8.0, 4000.0]);
            for value in values.map(|v| p.clamp(v)) {
                // SAFETY: `parameters` outlives the pointer.
                let position = unsafe { parameters.all[index].pointer().preview_normalized(value) };
                automate(&parameters, index, position);
                let back = parameters.shared.parameters.get(index);
                inexact += usize::from(back != value);
                assert!(p.is_same(back, value), "{}: {value} comes back as {back}", descriptor.id);
                assert_eq!(p.text_with_unit(back), p.text_with_unit(value), "{}", descriptor.id);
                assert_eq!(p.is_off(back), p.is_off(value), "{}", descriptor.id);
                assert_eq!(p.is_default(back), p.is_default(value), "{}", descriptor.id);
            }
            // Steps a hundred times finer than a user turns a knob.
            for (a, b) in (0..2000).map(|i| (p.value_at(i as f32 / 2000.0), p.value_at((i + 1) as f32 / 2000.0))) {
                assert!(a == b || !p.is_same(a, b), "{}: {a} and {b}", descriptor.id);
            }
        }
        assert!(inexact > 100, "{inexact} values are changed on their way");
    }

    #[test]
    fn a_value_has_the_same_position_for_a_host_and_a_knob() {
        let (_instance, parameters) = parameters();
        for (index, descriptor) in descriptors().iter().enumerate() {
            let p = descriptor.parameter;
            for position in [0.0, 0.25, 0.5, 0.75, 1.0] {
                let value = p.value_at(position);
                automate(&parameters, index, position);
                assert_eq!(parameters.shared.parameters.get(index), value, "{} at {position}", descriptor.id);
                // SAFETY: `parameters` outlives the pointer.
                let host_value = unsafe { parameters.all[index].pointer().preview_normalized(value) };
                assert_eq!(host_value, p.position(value), "{} at {position}", descriptor.id);
            }
        }
    }

    /// Two threads set parameters at once when a host loads a state while it plays automation.
    #[test]
    fn the_instance_and_the_host_have_the_same_value_when_two_threads_set_it_at_once() {
        const ROUNDS: usize = 4000;
        let (_instance, parameters) = parameters();
        let all: Vec<usize> = ["a_saturator_drive", "a_algorithm", "bypass"]
            .map(|id| descriptors().iter().position(|d| d.id == id).unwrap())
            .to_vec();
        let barrier = std::sync::Barrier::new(2);
        let round = |thread: usize, round: usize| {
            barrier.wait();
            for (k, index) in all.iter().enumerate() {
                let position = ((round * 7 + thread * 3 + k) % 5) as f32 / 4.0;
                automate(&parameters, *index, position);
            }
            barrier.wait();
        };
        std::thread::scope(|scope| {
            scope.spawn(|| (0..ROUNDS).for_each(|i| round(0, i)));
            for i in 0..ROUNDS {
                round(1, i);
                for index in &all {
                    // SAFETY: `parameters` outlives the pointer.
                    let host_value = unsafe { parameters.all[*index].pointer().modulated_plain_value() };
                    assert_eq!(parameters.shared.parameters.get(*index), host_value, "{}, round {i}", descriptors()[*index].id);
                }
            }
        });
    }

    /// The window of a VST3 host: a value that it sets takes effect at once, and the host is told.
    struct Window {
        parameters: Arc<HostParameters>,
        sent: Mutex<Vec<f32>>,
    }

    impl GuiContextInner for Window {
        fn plugin_api(&self) -> PluginApi {
            PluginApi::Vst3
        }

        unsafe fn raw_begin_set_parameter(&self, _: ParamPtr) {}

        unsafe fn raw_set_parameter_normalized(&self, parameter: ParamPtr, normalized: f32) {
            let index = self.parameters.all.iter().position(|p| p.pointer() == parameter).unwrap();
            automate(&self.parameters, index, normalized);
            self.sent.lock().unwrap().push(normalized);
        }

        unsafe fn raw_end_set_parameter(&self, _: ParamPtr) {}

        fn get_state(&self) -> PluginState {
            unreachable!()
        }

        fn set_state(&self, _: PluginState) {}

        fn request_restart(&self) {}
    }

    #[test]
    fn in_one_block_the_last_value_of_window_and_host_plays_and_both_show_it() {
        const SPEC: ProcessSpec = ProcessSpec::new(48_000.0, 1, 512);
        let (instance, parameters) = parameters();
        let window = Arc::new(Window { parameters: parameters.clone(), sent: Mutex::default() });
        let context = GuiContext::new(window.clone());
        let gestures = HostGestures { parameters: &parameters, setter: context.param_setter() };
        let drive = effect_parameter(0, 0, 0).unwrap();
        let p = descriptors()[drive].parameter;
        let sound: Vec<f32> = (0..512).map(|i| 0.5 * (i as f32 * 0.07).sin()).collect();
        // Both orders within a block: the user first, then the host's point in the middle of it; and the other way round.
        for host_is_last in [true, false] {
            let mut insert = instance.monitor_insert(SPEC).unwrap();
            let (by_user, by_host) = (p.value_at(0.8), p.value_at(0.3));
            let set = |is_user: bool| {
                if is_user {
                    gestures.begin(drive);
                    gestures.set(drive, by_user);
                    gestures.end(drive);
                } else {
                    automate(&parameters, drive, 0.3);
                }
            };
            let [first, last] = if host_is_last { [by_user, by_host] } else { [by_host, by_user] };
            let mut found = sound.clone();
            let (one, two) = found.split_at_mut(200);
            set(host_is_last);
            insert.process(&mut [one]);
            set(!host_is_last);
            insert.process(&mut [two]);
            let state = parameters.shared.parameters.get(drive);
            assert!(p.is_same(state, last), "{state}, expected {last}");

            let clamped = p.clamp(first);
            let mut settings = [instance.shared().parameters.settings(0), instance.shared().parameters.settings(1)];
            settings[0].set(0, clamped);
            let mut slots = Slots::compile(SPEC, &settings.map(Into::into), Listen::Slot(0), None).unwrap();
            let mut expected = sound.clone();
            let (one, two) = expected.split_at_mut(200);
            slots.process(&mut [one]);
            slots.set(0, 0, state);
            slots.process(&mut [two]);
            assert!(found == expected && found != sound, "host last: {host_is_last}");
        }
        assert_eq!(*window.sent.lock().unwrap(), [p.position(p.value_at(0.8)); 2]);
    }
}
