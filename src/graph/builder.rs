//! Puts a plan together.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::node::{Kind, Switch};
use super::plan::{Plan, Step};
use super::rest::Resting;
use super::{Meter, Metering, QueueReader, QueueWriter, RollingWriter, SUB_BLOCK};
use crate::dsp::{Delay, MAX_CHANNELS, Processor, Ramp, db_to_gain};

/// The one output of a node: what any number of later nodes may read, and how the node is named to a running [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bus {
    pub(super) builder: usize,
    pub(super) node: usize,
    channels: usize,
}

impl Bus {
    /// [any thread]
    #[must_use]
    pub fn channels(self) -> usize {
        self.channels
    }
}

/// Why nodes make no plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CompileError {
    #[error("sample rate is {found} Hz; expected a finite rate of 1 Hz or more")]
    SampleRate { found: f32 },
    #[error("node {node} ({kind}) has {found} channels; expected 1 to {MAX_CHANNELS}")]
    TooWide { node: usize, kind: &'static str, found: usize },
    #[error("node {node} ({kind}) reads a bus of another builder")]
    OtherBuilder { node: usize, kind: &'static str },
    #[error("node {node} ({kind}) reads {found} channels; expected {expected}")]
    Width { node: usize, kind: &'static str, expected: usize, found: usize },
    #[error("node {node} (split) takes channels {start} to {end} of {available}")]
    Split { node: usize, start: usize, end: usize, available: usize },
    #[error("node {node} (switch) starts at input {selected} of {inputs}")]
    Switch { node: usize, selected: usize, inputs: usize },
    #[error("node {node} ({kind}) reads nothing; expected one bus or more")]
    NoInput { node: usize, kind: &'static str },
}

struct Node {
    kind: Kind,
    reads: Vec<Bus>,
    channels: usize,
}

/// Adds nodes that read buses that exist already. [control thread]
pub struct Builder {
    id: usize,
    sample_rate: f32,
    nodes: Vec<Node>,
    inputs: usize,
    outputs: usize,
    /// The first thing that was wrong; told by `compile`, so that adding nodes reads as a list.
    wrong: Option<CompileError>,
}

impl Builder {
    /// For sound at `sample_rate` hertz.
    #[must_use]
    pub fn new(sample_rate: f32) -> Self {
        static IDS: AtomicUsize = AtomicUsize::new(0);
        let wrong = (!(sample_rate.is_finite() && sample_rate >= 1.0)).then_some(CompileError::SampleRate { found: sample_rate });
        Self { id: IDS.fetch_add(1, Ordering::Relaxed), sample_rate, nodes: Vec::new(), inputs: 0, outputs: 0, wrong }
    }

    fn add(&mut self, kind: Kind, reads: &[Bus], channels: usize) -> Bus {
        let (node, name) = (self.nodes.len(), kind.name());
        let problem = if reads.iter().any(|b| b.builder != self.id || b.node >= node) {
            Some(CompileError::OtherBuilder { node, kind: name })
        } else if !(1..=MAX_CHANNELS).contains(&channels) {
            Some(CompileError::TooWide { node, kind: name, found: channels })
        } else if reads.is_empty() && !matches!(kind, Kind::Input(_) | Kind::Source(_)) {
            Some(CompileError::NoInput { node, kind: name })
        } else if matches!(kind, Kind::Split(_) | Kind::Join) {
            None
        } else {
            let other = reads.iter().find(|b| b.channels != channels);
            other.map(|b| CompileError::Width { node, kind: name, expected: channels, found: b.channels })
        };
        self.wrong = self.wrong.take().or(problem);
        self.nodes.push(Node { kind, reads: reads.to_vec(), channels });
        Bus { builder: self.id, node, channels }
    }

    /// The next input end: what [`Plan::run`] is given at this position.
    pub fn input(&mut self, channels: usize) -> Bus {
        self.inputs += 1;
        self.add(Kind::Input(self.inputs - 1), &[], channels)
    }

    /// What another thread writes to a queue; silence where it is late.
    pub fn source(&mut self, reader: QueueReader) -> Bus {
        let channels = reader.channels();
        self.add(Kind::Source(reader), &[], channels)
    }

    /// A prepared effect.
    pub fn process(&mut self, from: Bus, processor: Box<dyn Processor>) -> Bus {
        let resting = Resting::new(processor, from.channels, self.sample_rate.max(1.0));
        self.add(Kind::Process(Box::new(resting)), &[from], from.channels)
    }

    /// A level that glides where [`Plan::set_gain`] sets it.
    pub fn gain(&mut self, from: Bus, db: f32) -> Bus {
        let ramp = Ramp::new(db_to_gain(db), self.sample_rate);
        self.add(Kind::Gain(ramp), &[from], from.channels)
    }

    /// The sum of buses of one width.
    pub fn mix(&mut self, from: &[Bus]) -> Bus {
        let channels = from.first().map_or(1, |b| b.channels);
        self.add(Kind::Mix, from, channels)
    }

    /// Some channels of a bus.
    pub fn split(&mut self, from: Bus, channels: Range<usize>) -> Bus {
        if channels.end > from.channels || channels.is_empty() {
            let problem = CompileError::Split {
                node: self.nodes.len(),
                start: channels.start,
                end: channels.end,
                available: from.channels,
            };
            self.wrong = self.wrong.take().or(Some(problem));
            return self.add(Kind::Split(0..from.channels), &[from], from.channels);
        }
        let width = channels.len();
        self.add(Kind::Split(channels), &[from], width)
    }

    /// All channels of some buses, side by side.
    pub fn join(&mut self, from: &[Bus]) -> Bus {
        let channels = from.iter().map(|b| b.channels).sum();
        self.add(Kind::Join, from, channels)
    }

    /// One of several buses, changed with a dip by [`Plan::press`].
    pub fn switch(&mut self, from: &[Bus], selected: usize) -> Bus {
        if selected >= from.len() {
            let problem = CompileError::Switch { node: self.nodes.len(), selected, inputs: from.len() };
            self.wrong = self.wrong.take().or(Some(problem));
        }
        let channels = from.first().map_or(1, |b| b.channels);
        self.add(Kind::Switch(Switch::new(selected, self.sample_rate)), from, channels)
    }

    /// Passes a bus on and shows its level.
    pub fn meter(&mut self, from: Bus) -> (Bus, Meter) {
        let meter = Meter::new(from.channels);
        (self.meter_to(from, &meter), meter)
    }

    /// Passes a bus on and shows its level on a meter that there is already.
    pub fn meter_to(&mut self, from: Bus, meter: &Meter) -> Bus {
        let metering = Metering::new(meter, from.channels, self.sample_rate.max(1.0));
        self.add(Kind::Meter(metering), &[from], from.channels)
    }

    /// Passes a bus on, silent where it is no finite number.
    pub fn guard(&mut self, from: Bus) -> Bus {
        self.add(Kind::Guard, &[from], from.channels)
    }

    /// Passes a bus on and writes it to a queue; what does not fit is counted there.
    pub fn tap(&mut self, from: Bus, writer: QueueWriter) -> Bus {
        let channels = writer.channels();
        self.add(Kind::Tap(writer), &[from], channels)
    }

    /// Passes a bus on and keeps its last frames.
    pub fn roll(&mut self, from: Bus, writer: RollingWriter) -> Bus {
        let channels = writer.channels();
        self.add(Kind::Roll(writer), &[from], channels)
    }

    /// The next output end: what [`Plan::run`] fills at this position. All output ends are aligned with each other.
    pub fn output(&mut self, from: Bus) {
        self.outputs += 1;
        self.add(Kind::Output(self.outputs - 1), &[from], from.channels);
    }

    /// Checks the nodes, aligns branches of different latency and allocates all that the plan needs.
    ///
    /// # Errors
    /// The first node that reads what it cannot.
    pub fn compile(self) -> Result<Plan, CompileError> {
        if let Some(problem) = self.wrong {
            return Err(problem);
        }
        let latencies = latencies(&self.nodes);
        let total = latencies.iter().zip(&self.nodes).filter(|(_, n)| matches!(n.kind, Kind::Output(_))).map(|(l, _)| *l).max();
        let total = total.unwrap_or(0);

        // Steps: the nodes, with a delay before each input that would be early. `place[node]` is its step.
        let mut steps: Vec<Step> = Vec::new();
        let mut place = Vec::new();
        for (node, &own) in self.nodes.into_iter().zip(&latencies) {
            let due = match &node.kind {
                Kind::Output(_) => total,
                Kind::Process(p) => own - p.latency(),
                _ => own,
            };
            let mut reads = Vec::new();
            for bus in &node.reads {
                let early = due - latencies[bus.node];
                let mut from: usize = place[bus.node];
                if early > 0 {
                    // All that need this bus so late read one delay.
                    let delays = |s: &Step| matches!(&s.kind, Kind::Delay(d) if s.reads == [from] && d[0].frames() == early);
                    from = steps.iter().position(delays).unwrap_or_else(|| {
                        let delays = vec![Delay::new(early); bus.channels];
                        steps.push(Step::new(Kind::Delay(delays), vec![from], bus.channels));
                        steps.len() - 1
                    });
                }
                reads.push(from);
            }
            steps.push(Step::new(node.kind, reads, node.channels));
            place.push(steps.len() - 1);
        }

        // A step that may work in place does so if nobody reads its input later.
        let mut last_reader = vec![0; steps.len()];
        for (i, step) in steps.iter().enumerate() {
            for &from in &step.reads {
                last_reader[from] = i;
            }
        }
        let mut widths: Vec<usize> = Vec::new();
        for i in 0..steps.len() {
            let storage = match steps[i].reads.as_slice() {
                &[from] if steps[i].kind.in_place() && last_reader[from] == i => steps[from].storage,
                _ => {
                    widths.push(steps[i].channels);
                    widths.len() - 1
                }
            };
            steps[i].storage = storage;
            let inputs = steps[i].reads.iter().map(|&from| steps[from].storage).collect();
            steps[i].inputs = inputs;
        }
        let storages = widths.iter().map(|channels| vec![0.0; channels * SUB_BLOCK]).collect();
        Ok(Plan::new(self.id, steps, storages, place, total))
    }
}

/// Frames by which each node's output lags the plan's inputs.
fn latencies(nodes: &[Node]) -> Vec<usize> {
    let mut latencies: Vec<usize> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let due = node.reads.iter().map(|b| latencies[b.node]).max().unwrap_or(0);
        latencies.push(due + if let Kind::Process(p) = &node.kind { p.latency() } else { 0 });
    }
    latencies
}
