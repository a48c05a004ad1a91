//! The parameters of an instance: which there are, made from the registry, and the value that each has now.
//!
//! Every face sets them by [`Parameters::set`], from any thread; nothing here knows a host. What a change asks for (other slots, a
//! recorder) is asked for as soon as it is set, also while no sound runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use super::builder::{Requests, jobs};
use crate::algorithm::REGISTRY;
use crate::dsp::{Change, Index, Kind, Parameter, Settings};

/// Names of the slots.
pub const SLOTS: [&str; 2] = ["A", "B"];

/// Positions of the parameters that belong to no slot in [`descriptors`].
pub const LISTEN: usize = 0;
pub const BYPASS: usize = 1;
pub const BLIND: usize = 2;
pub const ARM: usize = 3;
pub const RECORD: usize = 4;

/// Ids of the parameters that a release had, in the order in which hosts have them. New ones are appended, nothing else ever changes.
const RELEASED: &str = include_str!("parameter_ids.txt");

/// The purpose of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// 0 is the left button, 1 the right: slots A and B, or X and Y in a blind comparison.
    Listen,
    Bypass,
    Blind,
    /// Whether a recorder is kept ready; then takes start and stop at the very frame.
    Arm,
    Record,
    /// The algorithm that a slot runs, as its position in the registry.
    Algorithm {
        slot: usize,
    },
    /// A parameter of one of a slot's algorithms; each algorithm keeps its values while another one runs.
    Effect {
        slot: usize,
        row: usize,
        index: Index,
    },
}

/// One parameter of an instance.
#[derive(Debug)]
pub struct Descriptor {
    /// Stable for ever: `a_saturator_drive`.
    pub id: String,
    /// What a host's user reads: `A Saturator Drive`.
    pub name: String,
    /// What a host groups it under, parts joined by `/`: `A/Saturator`. Empty for none.
    pub group: String,
    pub role: Role,
    /// Range, default, mapping and text of its values.
    pub parameter: &'static Parameter,
}

impl Descriptor {
    /// Whether a host may change it from an automation lane. [any thread]
    #[must_use]
    pub fn is_automatable(&self) -> bool {
        match self.role {
            Role::Listen | Role::Bypass | Role::Record => true,
            Role::Blind | Role::Arm | Role::Algorithm { .. } => false,
            Role::Effect { .. } => self.parameter.change == Change::Ramped,
        }
    }

    /// Jobs that a change asks the builder thread for.
    fn jobs(&self) -> u8 {
        match self.role {
            Role::Listen | Role::Bypass | Role::Blind => 0,
            Role::Arm | Role::Record => jobs::RECORD,
            Role::Algorithm { .. } => jobs::REMAKE,
            Role::Effect { .. } if self.parameter.change == Change::Structural => jobs::REMAKE,
            Role::Effect { .. } => 0,
        }
    }
}

const fn toggle(id: &'static str, name: &'static str, doc: &'static str) -> Parameter {
    Parameter { id, name, kind: Kind::Toggle { default: false }, change: Change::Ramped, doc }
}

/// The parameters that belong to no slot, in the order of [`LISTEN`] and the others.
static COMMON: [(Role, Parameter); 5] = [
    (
        Role::Listen,
        Parameter {
            id: "listen",
            name: "Listen",
            kind: Kind::Choice { names: &["A or X", "B or Y"], default: 0 },
            change: Change::Ramped,
            doc: "The side that is heard",
        },
    ),
    (Role::Bypass, toggle("bypass", "Bypass", "The input is heard, as late as the slots")),
    (Role::Blind, toggle("blind", "Blind", "A coin decides which slot hides behind which side")),
    (Role::Arm, toggle("record_arm", "Arm Recorder", "A recorder is kept ready")),
    (Role::Record, toggle("record", "Record", "A take runs")),
];

/// Made once for the process, the same for every instance.
#[derive(Debug)]
struct Table {
    all: Vec<Descriptor>,
    /// Positions in `all`, in the order in which hosts have them.
    order: Vec<usize>,
    /// Positions in `all` of each slot's algorithm and of the first parameter of each of its rows.
    algorithms: [usize; 2],
    rows: [Vec<usize>; 2],
}

static ALGORITHMS: LazyLock<[Parameter; 2]> = LazyLock::new(|| {
    // Lives as long as the process, as descriptors do.
    let names: &'static [&'static str] = REGISTRY.iter().map(|row| row.name).collect::<Vec<_>>().leak();
    [0, 1].map(|default| Parameter {
        id: "algorithm",
        name: "Algorithm",
        kind: Kind::Choice { names, default },
        change: Change::Structural,
        doc: "What the slot runs",
    })
});

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let common = COMMON.iter().map(|(role, parameter)| Descriptor {
        id: parameter.id.into(),
        name: parameter.name.into(),
        group: String::new(),
        role: *role,
        parameter,
    });
    let mut all: Vec<Descriptor> = common.collect();
    let (mut algorithms, mut rows) = ([0; 2], [Vec::new(), Vec::new()]);
    for (slot, name) in SLOTS.into_iter().enumerate() {
        algorithms[slot] = all.len();
        let parameter = &ALGORITHMS[slot];
        all.push(Descriptor {
            id: format!("{}_{}", name.to_lowercase(), parameter.id),
            name: format!("{name} {}", parameter.name),
            group: name.into(),
            role: Role::Algorithm { slot },
            parameter,
        });
        for (row, algorithm) in REGISTRY.iter().enumerate() {
            rows[slot].push(all.len());
            all.extend(algorithm.parameters.iter().enumerate().map(|(index, parameter)| Descriptor {
                id: format!("{}_{}_{}", name.to_lowercase(), algorithm.id, parameter.id),
                name: format!("{name} {} {}", algorithm.name, parameter.name),
                group: format!("{name}/{}", algorithm.name),
                role: Role::Effect { slot, row, index },
                parameter,
            }));
        }
    }
    let order = released_first(&all.iter().map(|d| d.id.as_str()).collect::<Vec<_>>());
    Table { all, order, algorithms, rows }
});

/// Positions in `ids`: those that were released in their order, whatever else there is, and behind them those that are new.
fn released_first(ids: &[&str]) -> Vec<usize> {
    let released: HashMap<&str, usize> = RELEASED.lines().enumerate().map(|(place, id)| (id, place)).collect();
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|at| released.get(ids[*at]).copied().unwrap_or(usize::MAX));
    order
}

/// All parameters of an instance, by position. [any thread]
#[must_use]
pub fn descriptors() -> &'static [Descriptor] {
    &TABLE.all
}

/// Positions of all parameters in the order in which hosts have them, which never changes for those that were released. [any thread]
#[must_use]
pub fn host_order() -> &'static [usize] {
    &TABLE.order
}

/// The position of a slot's algorithm. [any thread]
#[must_use]
pub fn algorithm_of(slot: usize) -> usize {
    TABLE.algorithms[slot]
}

/// The position of a parameter of one of a slot's algorithms; nothing if there is none. [any thread]
#[must_use]
pub fn effect_of(slot: usize, row: usize, index: Index) -> Option<usize> {
    (index < REGISTRY.get(row)?.parameters.len()).then(|| TABLE.rows[slot][row] + index)
}

/// The values of one instance, plain, by position. [any thread, the audio thread too: atomics only]
#[derive(Debug)]
pub struct Parameters {
    table: &'static Table,
    /// Bits of f32.
    values: Vec<AtomicU32>,
    generation: AtomicU32,
    requests: Arc<Requests>,
}

impl Parameters {
    /// All at their defaults. [control thread: allocates]
    #[must_use]
    pub fn new(requests: Arc<Requests>) -> Self {
        let table = &*TABLE;
        let values = table.all.iter().map(|d| AtomicU32::new(d.parameter.default().to_bits())).collect();
        Self { table, values, generation: AtomicU32::new(0), requests }
    }

    /// The value now.
    #[must_use]
    pub fn get(&self, at: usize) -> f32 {
        f32::from_bits(self.values[at].load(Ordering::Relaxed))
    }

    /// Whether a toggle is on.
    #[must_use]
    pub fn is_on(&self, at: usize) -> bool {
        self.get(at) >= 0.5
    }

    /// Sets a parameter to the nearest value that it can have. If that is another one, what it asks for is asked for.
    pub fn set(&self, at: usize, value: f32) {
        let descriptor = &self.table.all[at];
        let bits = descriptor.parameter.clamp(value).to_bits();
        if self.values[at].swap(bits, Ordering::AcqRel) == bits {
            return;
        }
        // Behind the value: who sees the number sees the value.
        self.generation.fetch_add(1, Ordering::Release);
        match descriptor.jobs() {
            0 => {}
            jobs::REMAKE => self.requests.ask_for_slots(),
            other => self.requests.ask(other),
        }
    }

    /// Grows with every change of any value: what was read is current as long as this is what it was before it was read.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// The position in the registry of the algorithm that a slot shall run.
    #[must_use]
    pub fn algorithm(&self, slot: usize) -> usize {
        (self.get(self.table.algorithms[slot]) as usize).min(REGISTRY.len() - 1)
    }

    /// The settings of the algorithm that a slot shall run, as they are set now.
    #[must_use]
    pub fn settings(&self, slot: usize) -> Settings {
        let row = self.algorithm(slot);
        let first = self.table.rows[slot][row];
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
        order.iter().map(|at| descriptors()[*at].id.as_str()).collect()
    }

    #[test]
    fn ids_are_unique_and_all_of_them_are_released() {
        let ids = ids(host_order());
        let released: Vec<&str> = RELEASED.lines().collect();
        let new: Vec<&str> = ids.iter().copied().filter(|id| !released.contains(id)).collect();
        assert!(new.is_empty(), "append to parameter_ids.txt:\n{}", new.join("\n"));
        // Nothing that was released has gone either, so each stands in its place.
        assert_eq!(ids, released);
        let mut sorted = ids;
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), released.len());
    }

    #[test]
    fn what_is_new_never_moves_what_was_released_wherever_it_stands() {
        let released: Vec<&str> = RELEASED.lines().collect();
        for place in [0, 7, released.len() / 2, released.len()] {
            let mut with_new = released.clone();
            // The registry has another order than hosts.
            with_new.reverse();
            with_new.insert(place, "a_wavefolder_folds");
            with_new.insert(place, "a_saturator_sag");
            let order: Vec<&str> = released_first(&with_new).into_iter().map(|at| with_new[at]).collect();
            assert_eq!(order[..released.len()], released);
            assert_eq!(order[released.len()..], ["a_saturator_sag", "a_wavefolder_folds"]);
        }
    }

    #[test]
    fn a_value_is_clamped_and_only_another_one_is_a_change() {
        let parameters = Parameters::new(Arc::default());
        let drive = effect_of(1, 0, 0).unwrap();
        let (min, max) = descriptors()[drive].parameter.range();
        let before = parameters.generation();
        for (value, expected, changes) in [(max + 1.0, max, 1), (max, max, 1), (min, min, 2), (f32::NEG_INFINITY, min, 2)] {
            parameters.set(drive, value);
            assert_eq!((parameters.get(drive), parameters.generation() - before), (expected, changes), "{value}");
        }
        assert_eq!((parameters.settings(1).algorithm().id, parameters.algorithm(1)), (REGISTRY[1].id, 1));
        parameters.set(algorithm_of(1), 0.0);
        assert_eq!(parameters.settings(1).get(0), min);
        assert_eq!(parameters.settings(0), Settings::new(REGISTRY[0]));
    }

    #[test]
    fn a_structural_parameter_asks_for_slots_and_a_ramped_one_does_not() {
        for (at, descriptor) in descriptors().iter().enumerate() {
            let requests: Arc<Requests> = Arc::default();
            let parameters = Parameters::new(requests.clone());
            let (min, max) = descriptor.parameter.range();
            let other = if descriptor.parameter.default() == min { max } else { min };
            parameters.set(at, other);
            let structural = matches!(descriptor.role, Role::Algorithm { .. } | Role::Effect { .. })
                && descriptor.parameter.change == Change::Structural;
            assert_eq!(requests.is_making(), structural, "{}", descriptor.id);
            assert!(!structural || !descriptor.is_automatable(), "{}", descriptor.id);
        }
    }
}
