//! Models in `.onnx` files, run by ONNX Runtime on a thread of their own. `docs/models.md` is the contract of such a file.

mod graph;
mod runtime;
mod voices;

use std::sync::Arc;
use std::time::Duration;

use self::graph::{Contract, Graph};
use self::runtime::{Runner, Stop};
use self::voices::{Lengths, Threaded, Work};
use super::engine::{MIDDLE, Mode, Network, Voices};
use super::format::{self, Content, Foreign, Format};
use super::model::MOST_LATE_FRAMES;
use super::{Info, ModelError};

pub static FORMAT: Format = Format {
    id: "onnx",
    name: "ONNX",
    from: "PyTorch and others",
    endings: &["onnx"],
    content: Content::Bytes { probe: format::is_onnx, read: load },
};

/// Frames of a run where the graph leaves the choice: longer ones cost latency, shorter ones the time of more calls.
const CHUNK: usize = 256;
/// Where the file does not say it, in hertz.
const SAMPLE_RATE: f32 = 48_000.0;
/// Rates that a file may say, in hertz.
const SAMPLE_RATES: std::ops::RangeInclusive<f32> = 1000.0..=1_000_000.0;
/// Silence that a network is prewarmed with, in seconds: that of the field's recurrent models.
const PREWARM_SECONDS: f32 = 0.5;
/// The most characters of a text that comes from a file.
const LINE: usize = 500;
/// A model that needs longer is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads a file, checks it against the contract, and runs it once. [control thread: allocates, takes its time]
///
/// # Errors
/// If it is no ONNX file, or not within the contract, or if there is no ONNX Runtime, or if that refuses it.
pub fn load(bytes: &[u8]) -> Result<Foreign, ModelError> {
    let load = || {
        let graph = graph::read(bytes)?;
        let info = info(&graph)?;
        let network = Graphed::new(graph.contract, info.sample_rate, bytes)?;
        Ok((info, Arc::new(network) as Arc<dyn Network>))
    };
    load().map_err(|error: String| ModelError::Invalid(line(&error)))
}

/// One line of a bearable length: names in a file may be anything.
fn line(text: &str) -> String {
    let mut line: String =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(LINE) {
        line.truncate(end);
        line.push_str(" ...");
    }
    line
}

/// What the metadata say.
fn info(graph: &Graph) -> Result<Info, String> {
    let text = |key: &str| {
        let mut found = graph.metadata.iter().filter(|(k, v)| k == key && !v.trim().is_empty());
        found.next_back().map(|(_, v)| line(v))
    };
    let number = |key: &str| match text(key) {
        None => Ok(None),
        Some(value) => match value.parse::<f32>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(format!("metadata '{key}' is '{value}'; expected a number")),
        },
    };
    let sample_rate = number("sample_rate")?;
    if let Some(rate) = sample_rate.filter(|rate| !SAMPLE_RATES.contains(rate)) {
        let (low, high) = (SAMPLE_RATES.start(), SAMPLE_RATES.end());
        return Err(format!("metadata 'sample_rate' is {rate}; expected {low} to {high}"));
    }
    let late = number("late_frames")?.unwrap_or(0.0);
    if !(0.0..=MOST_LATE_FRAMES as f32).contains(&late) {
        return Err(format!("metadata 'late_frames' is {late}; expected 0 to {MOST_LATE_FRAMES}"));
    }
    let count = graph.contract.knobs;
    let knobs: Vec<String> = match text("knobs") {
        None => (1..=count).map(|n| format!("knob {n}")).collect(),
        Some(names) => names.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    if knobs.len() != count {
        return Err(format!("metadata 'knobs' names {}; expected {count}, as the input 'knobs' has", knobs.len()));
    }
    let architecture = line(&format!("ONNX, {} nodes: {}", graph.nodes, graph.operators.join(", ")));
    Ok(Info {
        version: text("version"),
        name: text("name"),
        author: text("author"),
        gear_make: text("gear_make"),
        gear_model: text("gear_model"),
        gear_type: text("gear_type"),
        tone_type: text("tone_type"),
        sample_rate_given: sample_rate.is_some(),
        loudness_db: number("loudness")?,
        input_level_dbu: number("input_level_dbu")?,
        output_level_dbu: number("output_level_dbu")?,
        esr: number("esr")?,
        late_frames: late as usize,
        knobs,
        ..Info::new(FORMAT.id, architecture, graph.parameters, sample_rate.unwrap_or(SAMPLE_RATE))
    })
}

/// A graph and the state that it starts from.
struct Graphed {
    file: Arc<[u8]>,
    contract: Arc<Contract>,
    chunk: usize,
    /// Runs of silence that it is prewarmed with at the most.
    runs: usize,
    /// Prewarmed, knobs in the middle, of one channel, for each state.
    start: Vec<Vec<f32>>,
}

impl Graphed {
    /// Runs silence through it, on a thread of its own that is given up if it takes too long.
    fn new(contract: Contract, sample_rate: f32, bytes: &[u8]) -> Result<Self, String> {
        let chunk = contract.frames.unwrap_or(CHUNK);
        let (file, contract, stop): (Arc<[u8]>, _, _) = (bytes.into(), Arc::new(contract), Stop::new()?);
        let (done, is_done) = std::sync::mpsc::channel();
        let theirs = (file.clone(), contract.clone(), stop.clone());
        let runs = (PREWARM_SECONDS * sample_rate) as usize / chunk + 1;
        let thread = std::thread::Builder::new().name("isotherm-prewarm".into()).spawn(move || {
            let (file, contract, stop) = theirs;
            let _ = done.send(prewarm(&file, &contract, stop, chunk, runs));
        });
        thread.map_err(|e| format!("the system gives no thread for inference: {e}"))?;
        let start = is_done.recv_timeout(PATIENCE).map_err(|_| {
            stop.stop();
            format!("the model did not run {runs} x {chunk} frames within {} s", PATIENCE.as_secs())
        })??;
        Ok(Self { file, contract, chunk, runs, start })
    }
}

/// The state of one channel after silence.
fn prewarm(file: &[u8], contract: &Arc<Contract>, stop: Stop, chunk: usize, runs: usize) -> Result<Vec<Vec<f32>>, String> {
    let zeros: Vec<Vec<f32>> = contract.states.iter().map(|state| vec![0.0; state.len()]).collect();
    let mut runner = Runner::open(file, contract, stop, 1, chunk, &zeros)?;
    runner.settle(&vec![MIDDLE; contract.knobs], runs)?;
    Ok(runner.start().to_vec())
}

/// A graph that starts prewarmed wherever its knobs stand.
struct Prewarmed {
    runner: Runner,
    runs: usize,
    /// Their values when it was.
    knobs: Vec<f32>,
}

impl Work for Prewarmed {
    fn run(&mut self, audio: &mut [f32], knobs: &[f32]) -> bool {
        self.runner.run(audio, knobs).is_ok()
    }

    fn settle(&mut self, knobs: &[f32]) {
        if self.knobs != knobs && self.runner.settle(knobs, self.runs).is_ok() {
            self.knobs.copy_from_slice(knobs);
        }
        self.runner.reset();
    }
}

impl Network for Graphed {
    fn voices(self: Arc<Self>, mode: Mode) -> Result<Box<dyn Voices>, String> {
        let Mode { channels, max_frames, knobs, .. } = mode;
        let lengths = Lengths { channels, knobs: self.contract.knobs, chunk: self.chunk, max_frames };
        let states = self.start.iter().map(Vec::len).sum::<usize>() * size_of::<f32>();
        // The session has weights of its own.
        let bytes = self.file.len() + (channels + 1) * states;
        let stop = Stop::new().map_err(|e| line(&e))?;
        let theirs = stop.clone();
        let set: Vec<f32> = (0..self.contract.knobs).map(|k| knobs.get(k).copied().unwrap_or(MIDDLE)).collect();
        let work = move || {
            let mut runner = Runner::open(&self.file, &self.contract, theirs, channels, self.chunk, &self.start)?;
            // The first run is the slowest: the runtime sizes its buffers. It also shows whether the shapes are right.
            let middle = vec![MIDDLE; self.contract.knobs];
            runner.run(&mut vec![0.0; channels * self.chunk], &middle)?;
            let mut work = Prewarmed { runner, runs: self.runs, knobs: middle };
            work.settle(&set);
            Ok(work)
        };
        let voices = Threaded::open(lengths, bytes, PATIENCE, move || stop.stop(), work).map_err(|e| line(&e))?;
        Ok(Box::new(voices))
    }

    fn bytes(&self) -> usize {
        self.file.len() + self.start.iter().map(|state| size_of_val(state.as_slice())).sum::<usize>()
    }
}
