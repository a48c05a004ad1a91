//! Models in `.onnx` files, which ONNX Runtime runs on a thread of their own. `docs/models.md` has the contract: the inputs and
//! outputs that such a file must have.

mod graph;
mod runtime;
mod threaded;

use std::sync::Arc;
use std::time::Duration;

use self::graph::{Contract, Graph};
use self::runtime::{GraphRunner, StopHandle};
use self::threaded::{BlockProcessor, Dimensions, ThreadedState};
use super::budget::SAMPLE_RATES;
use super::engine::{EngineError, KNOB_MIDDLE, Network, NetworkState, StateSpec};
use super::format::{self, Content, ForeignNetwork, ModelFormat};
use super::metadata::rate_of_text;
use super::model::{MAX_LATE_FRAMES, whole_late_frames};
use super::{ModelError, ModelInfo};

/// The row in the registry of model formats.
pub static FORMAT: ModelFormat = ModelFormat {
    id: "onnx",
    name: "ONNX",
    written_by: "PyTorch and others",
    extensions: &["onnx"],
    content: Content::Bytes { probe: format::is_onnx, read: load },
};

/// Frames of a run if the graph takes any number. More frames would mean more latency, fewer would mean more calls.
const DEFAULT_BLOCK_FRAMES: usize = 256;
/// Sample rate of a file that has none, in Hz.
const SAMPLE_RATE: f32 = 48_000.0;
/// The longest silence that settles a network, in seconds; as for recurrent networks in Neural Amp Modeler.
const SETTLE_SECONDS: f32 = 0.5;
/// Characters of a text from a file, and of an error.
const MAX_LINE_CHARACTERS: usize = 500;
/// Time after which loading a model, or making a state, is given up.
const LOAD_TIMEOUT: Duration = Duration::from_secs(20);

/// Reads the bytes of a file, checks them against the contract, and settles the network. [control thread: allocates, takes up
/// to 20 seconds]
///
/// # Errors
/// If the bytes are not an ONNX file or break the contract, if ONNX Runtime is not there or refuses the graph, or if the graph
/// takes too long.
pub fn load(bytes: &[u8]) -> Result<ForeignNetwork, ModelError> {
    let load = || {
        let graph = graph::read(bytes)?;
        let info = info(&graph)?;
        let network = OnnxNetwork::new(graph.contract, info.sample_rate, bytes)?;
        Ok((info, Arc::new(network) as Arc<dyn Network>))
    };
    load().map_err(|error: String| ModelError::Invalid(one_line(&error)))
}

/// Turns a text into one line of limited length. Names in a file may have any characters.
fn one_line(text: &str) -> String {
    let mut line: String =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(MAX_LINE_CHARACTERS) {
        line.truncate(end);
        line.push_str(" ...");
    }
    line
}

/// The information in the metadata of a graph.
fn info(graph: &Graph) -> Result<ModelInfo, String> {
    let text = |key: &str| {
        let mut found = graph.metadata.iter().filter(|(k, v)| k == key && !v.trim().is_empty());
        found.next_back().map(|(_, v)| one_line(v))
    };
    let mut ignored = Vec::new();
    let mut ignore = |key: &str, expected: &str| {
        let found = text(key).unwrap_or_default();
        ignored.push(format!("metadata '{key}' is '{found}'; expected {expected}"));
    };
    let mut number = |key: &str| match text(key)?.parse::<f32>() {
        Ok(number) if number.is_finite() => Some(number),
        _ => {
            ignore(key, "a number");
            None
        }
    };
    let [loudness_db, input_level_dbu, output_level_dbu, esr, late] =
        ["loudness", "input_level_dbu", "output_level_dbu", "esr", "late_frames"].map(&mut number);
    let (low, high) = SAMPLE_RATES;
    let sample_rate = match text("sample_rate").map(|text| rate_of_text(&text)) {
        None => None,
        Some(Some(rate)) if (low..=high).contains(&rate) => Some(rate as f32),
        Some(Some(rate)) if rate > 0.0 => {
            return Err(format!("metadata 'sample_rate' is {rate}; expected {low} to {high}"));
        }
        Some(_) => {
            ignore("sample_rate", &format!("{low} to {high}"));
            None
        }
    };
    let in_range = |late: &f32| (0.0..=MAX_LATE_FRAMES as f32).contains(late);
    if late.is_some_and(|late| !in_range(&late)) {
        ignore("late_frames", &format!("0 to {MAX_LATE_FRAMES}"));
    }
    let count = graph.contract.knobs;
    let named: Vec<String> = text("knobs").iter().flat_map(|names| names.split(',')).map(|name| name.trim().to_owned()).collect();
    if !named.is_empty() && named.len() != count {
        ignore("knobs", &format!("{count} names, as the input 'knobs' has values"));
    }
    let knobs = if named.len() == count { named } else { (1..=count).map(|n| format!("knob {n}")).collect() };
    let architecture = one_line(&format!("ONNX, {} nodes: {}", graph.nodes, graph.operators.join(", ")));
    Ok(ModelInfo {
        version: text("version"),
        name: text("name"),
        author: text("author"),
        gear_make: text("gear_make"),
        gear_model: text("gear_model"),
        gear_type: text("gear_type"),
        tone_type: text("tone_type"),
        sample_rate_given: sample_rate.is_some(),
        loudness_db,
        input_level_dbu,
        output_level_dbu,
        esr,
        late_frames: late.filter(in_range).map_or(0, whole_late_frames),
        knobs,
        ignored,
        ..ModelInfo::new(FORMAT.id, architecture, graph.parameters, sample_rate.unwrap_or(SAMPLE_RATE))
    })
}

/// A network that ONNX Runtime runs.
struct OnnxNetwork {
    file: Arc<[u8]>,
    contract: Arc<Contract>,
    /// Frames of a run.
    block_frames: usize,
    /// Largest number of runs of silence that settle the network.
    max_settle_runs: usize,
    /// Values of each state tensor for one channel, settled with all knobs in the middle.
    settled_states: Vec<Vec<f32>>,
}

impl OnnxNetwork {
    /// Settles the network on a thread of its own. If that takes too long, the thread is stopped and an error returned.
    fn new(contract: Contract, sample_rate: f32, bytes: &[u8]) -> Result<Self, String> {
        let block_frames = contract.frames.unwrap_or(DEFAULT_BLOCK_FRAMES);
        let (file, contract, stop): (Arc<[u8]>, _, _) = (bytes.into(), Arc::new(contract), StopHandle::new()?);
        let (done, done_receiver) = std::sync::mpsc::channel();
        let for_thread = (file.clone(), contract.clone(), stop.clone());
        let max_settle_runs = (SETTLE_SECONDS * sample_rate) as usize / block_frames + 1;
        let thread = std::thread::Builder::new().name("isotherm-settle".into()).spawn(move || {
            let (file, contract, stop) = for_thread;
            let _ = done.send(settled_states(&file, &contract, stop, block_frames, max_settle_runs));
        });
        thread.map_err(|e| format!("the system gives no thread for inference: {e}"))?;
        let settled_states = done_receiver.recv_timeout(LOAD_TIMEOUT).map_err(|_| {
            stop.stop();
            format!("the model did not run {max_settle_runs} x {block_frames} frames within {} s", LOAD_TIMEOUT.as_secs())
        })??;
        Ok(Self { file, contract, block_frames, max_settle_runs, settled_states })
    }
}

/// Values of each state tensor for one channel, settled with all knobs in the middle.
fn settled_states(
    file: &[u8],
    contract: &Arc<Contract>,
    stop: StopHandle,
    block_frames: usize,
    max_runs: usize,
) -> Result<Vec<Vec<f32>>, String> {
    let zeros: Vec<Vec<f32>> = contract.states.iter().map(|state| vec![0.0; state.len()]).collect();
    let mut runner = GraphRunner::open(file, contract, stop, 1, block_frames, &zeros)?;
    runner.settle(&vec![KNOB_MIDDLE; contract.knobs], max_runs)?;
    Ok(runner.settled_states().to_vec())
}

/// A graph that runs on the inference thread and can be settled at any values of its knobs.
struct SettledRunner {
    runner: GraphRunner,
    max_settle_runs: usize,
    /// Values of the knobs at which the runner was last settled.
    knobs: Vec<f32>,
}

impl BlockProcessor for SettledRunner {
    fn run(&mut self, audio: &mut [f32], knobs: &[f32]) -> bool {
        self.runner.run(audio, knobs).is_ok()
    }

    fn settle(&mut self, knobs: &[f32]) {
        if self.knobs != knobs && self.runner.settle(knobs, self.max_settle_runs).is_ok() {
            self.knobs.copy_from_slice(knobs);
        }
        self.runner.reset();
    }
}

impl Network for OnnxNetwork {
    fn state(self: Arc<Self>, spec: StateSpec) -> Result<Box<dyn NetworkState>, EngineError> {
        let StateSpec { channels, max_frames, knobs, .. } = spec;
        let dimensions = Dimensions { channels, knobs: self.contract.knobs, block_frames: self.block_frames, max_frames };
        let states = self.settled_states.iter().map(Vec::len).sum::<usize>() * size_of::<f32>();
        // The session keeps a copy of the weights.
        let bytes = self.file.len() + (channels + 1) * states;
        let stop = StopHandle::new().map_err(|e| one_line(&e))?;
        let stop_of_thread = stop.clone();
        let knob_values: Vec<f32> = (0..self.contract.knobs).map(|k| knobs.get(k).copied().unwrap_or(KNOB_MIDDLE)).collect();
        let open = move || {
            let mut runner =
                GraphRunner::open(&self.file, &self.contract, stop_of_thread, channels, self.block_frames, &self.settled_states)?;
            // The first run is the slowest, since the runtime allocates its buffers. It also checks the shapes.
            let middle = vec![KNOB_MIDDLE; self.contract.knobs];
            runner.run(&mut vec![0.0; channels * self.block_frames], &middle)?;
            let mut runner = SettledRunner { runner, max_settle_runs: self.max_settle_runs, knobs: middle };
            runner.settle(&knob_values);
            Ok(runner)
        };
        let state = ThreadedState::open(dimensions, bytes, LOAD_TIMEOUT, move || stop.stop(), open).map_err(|e| one_line(&e))?;
        Ok(Box::new(state))
    }

    fn can_oversample(&self) -> bool {
        false
    }

    fn bytes(&self) -> usize {
        self.file.len() + self.settled_states.iter().map(|state| size_of_val(state.as_slice())).sum::<usize>()
    }
}
