//! The parameters of an instance: their list, made from the registry of algorithms, and the store of their values.
//!
//! A parameter is named by its index in [`descriptors`]. The plug-in and the program set values by
//! [`ParameterStore::set`], from any thread; nothing here knows a host. If a change needs other slots or a recorder, the builder
//! thread is asked for it at once, also while no sound runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use super::builder::{BuilderRequests, jobs};
use crate::algorithm::REGISTRY;
use crate::dsp::{ChangeMode, Parameter, ParameterIndex, ParameterKind, Settings};

/// Names of the slots, by their index.
pub const SLOT_NAMES: [&str; 2] = ["A", "B"];

/// Index in [`descriptors`] of the parameter of [`ParameterRole::Listen`].
pub const LISTEN: usize = 0;
/// Index in [`descriptors`] of the parameter of [`ParameterRole::Bypass`].
pub const BYPASS: usize = 1;
/// Index in [`descriptors`] of the parameter of [`ParameterRole::Blind`].
pub const BLIND: usize = 2;
/// Index in [`descriptors`] of the parameter of [`ParameterRole::Standby`].
pub const STANDBY: usize = 3;
/// Index in [`descriptors`] of the parameter of [`ParameterRole::Record`].
pub const RECORD: usize = 4;

/// Ids of the parameters that were released, in the order in which hosts list them. New ones are appended; no line ever changes.
const RELEASED_IDS: &str = include_str!("parameter_ids.txt");

/// The purpose of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterRole {
    /// The side that is let through: 0 is the left listen button, 1 the right; slots A and B, or X and Y in a blind comparison.
    Listen,
    /// Toggle: the input is let through, delayed as the slots are.
    Bypass,
    /// Toggle: a coin decides which slot each side of [`Self::Listen`] plays.
    Blind,
    /// Toggle: a recorder is kept open, so that takes start and stop at the exact frame of the parameter's change.
    Standby,
    /// Toggle: a take runs.
    Record,
    /// The algorithm that a slot runs, as its index in the registry.
    Algorithm {
        /// 0 for A, 1 for B.
        slot: usize,
    },
    /// A parameter of one of a slot's algorithms. Each algorithm keeps its values while another one runs.
    Effect {
        /// 0 for A, 1 for B.
        slot: usize,
        /// Index of the algorithm in the registry.
        row: usize,
        /// Index among the algorithm's parameters.
        index: ParameterIndex,
    },
}

/// One parameter of an instance.
#[derive(Debug)]
pub struct ParameterDescriptor {
    /// The id, such as `a_saturator_drive`. Saved states hold it, so it never changes.
    pub id: String,
    /// The name that a user reads in a host, such as `A Saturator Drive`.
    pub name: String,
    /// The group in a host's list, such as `A/Saturator`, its parts joined by `/`; empty for none.
    pub group: String,
    /// The purpose of the parameter.
    pub role: ParameterRole,
    /// Range, default, mapping between value and knob position, and text of the values.
    pub parameter: &'static Parameter,
}

impl ParameterDescriptor {
    /// True if a host may automate the parameter. [any thread]
    #[must_use]
    pub fn is_automatable(&self) -> bool {
        match self.role {
            ParameterRole::Listen | ParameterRole::Bypass | ParameterRole::Record => true,
            ParameterRole::Blind | ParameterRole::Standby | ParameterRole::Algorithm { .. } => false,
            ParameterRole::Effect { .. } => self.parameter.change == ChangeMode::Ramped,
        }
    }

    /// The jobs that a change of the value asks the builder thread for, as bits.
    fn jobs(&self) -> u8 {
        match self.role {
            ParameterRole::Listen | ParameterRole::Bypass | ParameterRole::Blind => 0,
            ParameterRole::Standby | ParameterRole::Record => jobs::OPEN_OR_CLOSE_RECORDER,
            ParameterRole::Algorithm { .. } => jobs::BUILD_SLOTS,
            ParameterRole::Effect { .. } if self.parameter.change == ChangeMode::Structural => jobs::BUILD_SLOTS,
            ParameterRole::Effect { .. } => 0,
        }
    }
}

/// A parameter with two values, off by default.
const fn toggle(id: &'static str, name: &'static str, doc: &'static str) -> Parameter {
    Parameter { id, name, kind: ParameterKind::Toggle { default: false }, change: ChangeMode::Ramped, doc }
}

/// The parameters that belong to no slot, in the order of [`LISTEN`] to [`RECORD`].
static COMMON: [(ParameterRole, Parameter); 5] = [
    (
        ParameterRole::Listen,
        Parameter {
            id: "listen",
            name: "Listen",
            kind: ParameterKind::Choice { names: &["A or X", "B or Y"], default: 0 },
            change: ChangeMode::Ramped,
            doc: "The side that is heard",
        },
    ),
    (ParameterRole::Bypass, toggle("bypass", "Bypass", "The input is heard, delayed as the slots are")),
    (ParameterRole::Blind, toggle("blind", "Blind", "A coin decides which slot hides behind which side")),
    (ParameterRole::Standby, toggle("record_arm", "Recorder Standby", "A recorder is kept ready")),
    (ParameterRole::Record, toggle("record", "Record", "A take runs")),
];

/// The list of all parameters. It is made once for the process, as it is the same for every instance.
#[derive(Debug)]
struct ParameterTable {
    all: Vec<ParameterDescriptor>,
    /// Indices in `all`, in the order in which hosts list the parameters.
    host_order: Vec<usize>,
    /// Index in `all` of each slot's algorithm.
    algorithms: [usize; 2],
    /// Index in `all` of the first parameter of each algorithm, by slot and the algorithm's index in the registry.
    first_of_rows: [Vec<usize>; 2],
}

/// The parameter for the algorithm of each slot. By default A runs the first row of the registry, B the second.
static ALGORITHMS: LazyLock<[Parameter; 2]> = LazyLock::new(|| {
    // Leaked once: the names have to live as long as the process, as the descriptors do.
    let names: &'static [&'static str] = REGISTRY.iter().map(|row| row.name).collect::<Vec<_>>().leak();
    [0, 1].map(|default| Parameter {
        id: "algorithm",
        name: "Algorithm",
        kind: ParameterKind::Choice { names, default },
        change: ChangeMode::Structural,
        doc: "What the slot runs",
    })
});

static TABLE: LazyLock<ParameterTable> = LazyLock::new(|| {
    let common = COMMON.iter().map(|(role, parameter)| ParameterDescriptor {
        id: parameter.id.into(),
        name: parameter.name.into(),
        group: String::new(),
        role: *role,
        parameter,
    });
    let mut all: Vec<ParameterDescriptor> = common.collect();
    let (mut algorithms, mut first_of_rows) = ([0; 2], [Vec::new(), Vec::new()]);
    for (slot, name) in SLOT_NAMES.into_iter().enumerate() {
        algorithms[slot] = all.len();
        let parameter = &ALGORITHMS[slot];
        all.push(ParameterDescriptor {
            id: format!("{}_{}", name.to_lowercase(), parameter.id),
            name: format!("{name} {}", parameter.name),
            group: name.into(),
            role: ParameterRole::Algorithm { slot },
            parameter,
        });
        for (row, algorithm) in REGISTRY.iter().enumerate() {
            first_of_rows[slot].push(all.len());
            all.extend(algorithm.parameters.iter().enumerate().map(|(index, parameter)| ParameterDescriptor {
                id: format!("{}_{}_{}", name.to_lowercase(), algorithm.id, parameter.id),
                name: format!("{name} {} {}", algorithm.name, parameter.name),
                group: format!("{name}/{}", algorithm.name),
                role: ParameterRole::Effect { slot, row, index },
                parameter,
            }));
        }
    }
    let host_order = released_first(&all.iter().map(|d| d.id.as_str()).collect::<Vec<_>>());
    ParameterTable { all, host_order, algorithms, first_of_rows }
});

/// The order in which hosts list parameters, as indices in `ids`: first the released ones in the order of their release, then
/// the new ones in the order of `ids`.
fn released_first(ids: &[&str]) -> Vec<usize> {
    let released: HashMap<&str, usize> = RELEASED_IDS.lines().enumerate().map(|(rank, id)| (id, rank)).collect();
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|index| released.get(ids[*index]).copied().unwrap_or(usize::MAX));
    order
}

/// All parameters of an instance. A parameter's index in this list names it in the whole crate. [any thread]
#[must_use]
pub fn descriptors() -> &'static [ParameterDescriptor] {
    &TABLE.all
}

/// Indices in [`descriptors`] in the order in which hosts list the parameters. It never changes for released ones. [any thread]
#[must_use]
pub fn host_order() -> &'static [usize] {
    &TABLE.host_order
}

/// The index in [`descriptors`] of the algorithm of a slot (0 for A, 1 for B). [any thread]
#[must_use]
pub fn algorithm_parameter(slot: usize) -> usize {
    TABLE.algorithms[slot]
}

/// The index in [`descriptors`] of a parameter of one of a slot's algorithms. `slot`: 0 for A, 1 for B; `row`: index of the
/// algorithm in the registry; `index`: index among the algorithm's parameters. None if there is no such parameter. [any thread]
#[must_use]
pub fn effect_parameter(slot: usize, row: usize, index: ParameterIndex) -> Option<usize> {
    (index < REGISTRY.get(row)?.parameters.len()).then(|| TABLE.first_of_rows[slot][row] + index)
}

/// The plain values of all parameters of one instance, by their index in [`descriptors`]. [any thread, the audio thread too:
/// atomics only]
#[derive(Debug)]
pub struct ParameterStore {
    table: &'static ParameterTable,
    /// The values as the bits of an f32.
    values: Vec<AtomicU32>,
    /// Count of changes.
    generation: AtomicU32,
    requests: Arc<BuilderRequests>,
}

impl ParameterStore {
    /// A store with all values at their defaults. `requests` gets what changes need. [control thread: allocates]
    #[must_use]
    pub fn new(requests: Arc<BuilderRequests>) -> Self {
        let table = &*TABLE;
        let values = table.all.iter().map(|d| AtomicU32::new(d.parameter.default().to_bits())).collect();
        Self { table, values, generation: AtomicU32::new(0), requests }
    }

    /// The current plain value.
    #[must_use]
    pub fn get(&self, index: usize) -> f32 {
        f32::from_bits(self.values[index].load(Ordering::Relaxed))
    }

    /// True if a toggle is on.
    #[must_use]
    pub fn is_on(&self, index: usize) -> bool {
        self.get(index) >= 0.5
    }

    /// Sets a parameter to the nearest value that it can have. If that is a change, asks the builder thread for the work that it
    /// requires.
    pub fn set(&self, index: usize, value: f32) {
        let descriptor = &self.table.all[index];
        let bits = descriptor.parameter.clamp(value).to_bits();
        if self.values[index].swap(bits, Ordering::AcqRel) == bits {
            return;
        }
        // Counted after the value is stored: a reader who sees the new count sees the new value.
        self.generation.fetch_add(1, Ordering::Release);
        match descriptor.jobs() {
            0 => {}
            jobs::BUILD_SLOTS => self.requests.request_slots(),
            other => self.requests.post(other),
        }
    }

    /// Count of changes of any value. Values that were read are current as long as the count is the same as before they were
    /// read.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// The index in the registry of the algorithm that a slot is set to run.
    #[must_use]
    pub fn algorithm(&self, slot: usize) -> usize {
        (self.get(self.table.algorithms[slot]) as usize).min(REGISTRY.len() - 1)
    }

    /// The settings of the algorithm that a slot is set to run.
    #[must_use]
    pub fn settings(&self, slot: usize) -> Settings {
        let row = self.algorithm(slot);
        let first = self.table.first_of_rows[slot][row];
        let mut settings = Settings::new(REGISTRY[row]);
        for index in 0..REGISTRY[row].parameters.len() {
            settings.set(index, self.get(first + index));
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(order: &[usize]) -> Vec<&'static str> {
        order.iter().map(|index| descriptors()[*index].id.as_str()).collect()
    }

    #[test]
    fn ids_are_unique_and_all_of_them_are_released() {
        let ids = ids(host_order());
        let released: Vec<&str> = RELEASED_IDS.lines().collect();
        let new: Vec<&str> = ids.iter().copied().filter(|id| !released.contains(id)).collect();
        assert!(new.is_empty(), "append to parameter_ids.txt:\n{}", new.join("\n"));
        // No released id is missing, so each is at its old place.
        assert_eq!(ids, released);
        let mut sorted = ids;
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), released.len());
    }

    #[test]
    fn a_new_parameter_never_moves_a_released_one() {
        let released: Vec<&str> = RELEASED_IDS.lines().collect();
        for index in [0, 7, released.len() / 2, released.len()] {
            let mut with_new = released.clone();
            // The registry may have any order.
            with_new.reverse();
            with_new.insert(index, "a_wavefolder_folds");
            with_new.insert(index, "a_saturator_sag");
            let order: Vec<&str> = released_first(&with_new).into_iter().map(|index| with_new[index]).collect();
            assert_eq!(order[..released.len()], released);
            assert_eq!(order[released.len()..], ["a_saturator_sag", "a_wavefolder_folds"]);
        }
    }

    #[test]
    fn a_value_is_clamped_and_only_another_one_is_a_change() {
        let parameters = ParameterStore::new(Arc::default());
        let drive = effect_parameter(1, 0, 0).unwrap();
        let (min, max) = descriptors()[drive].parameter.range();
        let before = parameters.generation();
        for (value, expected, changes) in [(max + 1.0, max, 1), (max, max, 1), (min, min, 2), (f32::NEG_INFINITY, min, 2)] {
            parameters.set(drive, value);
            assert_eq!((parameters.get(drive), parameters.generation() - before), (expected, changes), "{value}");
        }
        assert_eq!((parameters.settings(1).algorithm().id, parameters.algorithm(1)), (REGISTRY[1].id, 1));
        parameters.set(algorithm_parameter(1), 0.0);
        assert_eq!(parameters.settings(1).get(0), min);
        assert_eq!(parameters.settings(0), Settings::new(REGISTRY[0]));
    }

    #[test]
    fn a_structural_parameter_asks_for_slots_and_a_ramped_one_does_not() {
        for (index, descriptor) in descriptors().iter().enumerate() {
            let requests: Arc<BuilderRequests> = Arc::default();
            let parameters = ParameterStore::new(requests.clone());
            let (min, max) = descriptor.parameter.range();
            let other = if descriptor.parameter.default() == min { max } else { min };
            parameters.set(index, other);
            let structural = matches!(descriptor.role, ParameterRole::Algorithm { .. } | ParameterRole::Effect { .. })
                && descriptor.parameter.change == ChangeMode::Structural;
            assert_eq!(requests.is_building_slots(), structural, "{}", descriptor.id);
            assert!(!structural || !descriptor.is_automatable(), "{}", descriptor.id);
        }
    }
}
