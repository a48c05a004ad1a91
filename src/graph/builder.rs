//! The builder: adds the nodes of a graph and compiles them to a plan.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::auto_sleep::AutoSleep;
use super::node::{NodeKind, Switch};
use super::plan::{Plan, Step};
use super::{Meter, MeterWriter, QueueReader, QueueWriter, RollingWriter, SUB_BLOCK};
use crate::dsp::{Delay, MAX_CHANNELS, Processor, Ramp, db_to_gain};

/// The output of a node. Any number of later nodes may read it; it also identifies the node in calls to a running [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bus {
    /// Identifies the builder that made the bus.
    pub(super) builder_id: usize,
    pub(super) node: usize,
    channels: usize,
}

impl Bus {
    /// Number of channels. [any thread]
    #[must_use]
    pub fn channels(self) -> usize {
        self.channels
    }
}

/// An error while a graph is compiled. Nodes are numbered from 0 in the order in which they were added.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CompileError {
    /// A sample rate below 1 Hz or not finite.
    #[error("sample rate is {found} Hz; expected a finite rate of 1 Hz or more")]
    SampleRate {
        /// The sample rate in hertz.
        found: f32,
    },
    /// A node has no channel, or more than [`MAX_CHANNELS`].
    #[error("node {node} ({kind}) has {found} channels; expected 1 to {MAX_CHANNELS}")]
    ChannelCount {
        /// The node.
        node: usize,
        /// Kind of the node.
        kind: &'static str,
        /// Number of channels of the node.
        found: usize,
    },
    /// A node reads a bus that another builder made.
    #[error("node {node} ({kind}) reads a bus of another builder")]
    OtherBuilder {
        /// The node.
        node: usize,
        /// Kind of the node.
        kind: &'static str,
    },
    /// A node reads a bus with a wrong number of channels.
    #[error("node {node} ({kind}) reads {found} channels; expected {expected}")]
    Width {
        /// The node.
        node: usize,
        /// Kind of the node.
        kind: &'static str,
        /// Number of channels that it needs.
        expected: usize,
        /// Number of channels of the bus.
        found: usize,
    },
    /// A split takes no channel, or channels that its bus does not have.
    #[error("node {node} (split) takes channels {start} to {end} of {available}")]
    Split {
        /// The node.
        node: usize,
        /// First channel, from 0.
        start: usize,
        /// One past the last channel.
        end: usize,
        /// Number of channels of the bus.
        available: usize,
    },
    /// A switch starts at an input that it does not have.
    #[error("node {node} (switch) starts at input {selected} of {inputs}")]
    Switch {
        /// The node.
        node: usize,
        /// The input, from 0.
        selected: usize,
        /// Number of inputs.
        inputs: usize,
    },
    /// A node that needs an input has none.
    #[error("node {node} ({kind}) reads nothing; expected one bus or more")]
    NoInput {
        /// The node.
        node: usize,
        /// Kind of the node.
        kind: &'static str,
    },
}

/// A node that was added to a [`Builder`].
struct Node {
    kind: NodeKind,
    /// Buses that it reads.
    reads: Vec<Bus>,
    /// Number of channels of its output.
    channels: usize,
}

/// A graph under construction: its methods add nodes, which read buses of earlier nodes. [control thread]
///
/// # Examples
/// ```
/// use isotherm::{algorithm, dsp::{ProcessSpec, Settings}, graph::Builder};
///
/// let spec = ProcessSpec::new(48_000.0, 2, 512);
/// let clipper = Settings::new(algorithm::find("clipper")?).prepare(spec)?;
///
/// let mut builder = Builder::new(spec.sample_rate);
/// let input = builder.input(2);
/// let clipped = builder.process(input, clipper);
/// let parallel = builder.gain(input, -6.0); // `compile` delays this branch by the clipper's latency.
/// let sum = builder.mix(&[clipped, parallel]);
/// let (metered, meter) = builder.meter(sum);
/// builder.output(metered);
/// let mut plan = builder.compile()?;
///
/// let [mut left, mut right] = [[0.1f32; 512]; 2];
/// plan.run_in_place(&mut [&mut left, &mut right]);
/// assert!(plan.latency() > 0 && left[0] < 0.01, "the output begins after the latency");
/// assert!(left[511] > 0.14 && left == right);
/// assert!(meter.take(0).is_some_and(|reading| reading.peak > 0.14));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Builder {
    /// Identifies this builder, so that buses of other builders are detected.
    id: usize,
    sample_rate: f32,
    nodes: Vec<Node>,
    /// Inputs and outputs added so far.
    inputs: usize,
    outputs: usize,
    /// The first error. `compile` returns it, so that the methods that add nodes need not return a `Result`.
    first_error: Option<CompileError>,
}

impl Builder {
    /// An empty graph for a sample rate in hertz.
    #[must_use]
    pub fn new(sample_rate: f32) -> Self {
        static NEXT_ID: AtomicUsize = AtomicUsize::new(0);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let valid = sample_rate.is_finite() && sample_rate >= 1.0;
        let first_error = (!valid).then_some(CompileError::SampleRate { found: sample_rate });
        Self { id, sample_rate, nodes: Vec::new(), inputs: 0, outputs: 0, first_error }
    }

    /// Adds a node, and checks it.
    fn add(&mut self, kind: NodeKind, reads: &[Bus], channels: usize) -> Bus {
        let (node, name) = (self.nodes.len(), kind.name());
        let error = if reads.iter().any(|b| b.builder_id != self.id || b.node >= node) {
            Some(CompileError::OtherBuilder { node, kind: name })
        } else if !(1..=MAX_CHANNELS).contains(&channels) {
            Some(CompileError::ChannelCount { node, kind: name, found: channels })
        } else if reads.is_empty() && !matches!(kind, NodeKind::Input(_) | NodeKind::Source(_)) {
            Some(CompileError::NoInput { node, kind: name })
        } else if matches!(kind, NodeKind::Split(_) | NodeKind::Join) {
            None
        } else {
            let other = reads.iter().find(|b| b.channels != channels);
            other.map(|b| CompileError::Width { node, kind: name, expected: channels, found: b.channels })
        };
        self.first_error = self.first_error.take().or(error);
        self.nodes.push(Node { kind, reads: reads.to_vec(), channels });
        Bus { builder_id: self.id, node, channels }
    }

    /// Adds an input of the plan with `channels` channels. Inputs are numbered in the order in which they are added, as in
    /// [`Plan::run`].
    pub fn input(&mut self, channels: usize) -> Bus {
        self.inputs += 1;
        self.add(NodeKind::Input(self.inputs - 1), &[], channels)
    }

    /// Adds a source of frames that another thread writes to a queue; silence where it is late.
    pub fn source(&mut self, reader: QueueReader) -> Bus {
        let channels = reader.channels();
        self.add(NodeKind::Source(reader), &[], channels)
    }

    /// Adds a processor that was prepared for the channels of `from` and the sample rate of this builder.
    pub fn process(&mut self, from: Bus, processor: Box<dyn Processor>) -> Bus {
        let processor = AutoSleep::new(processor, from.channels, self.sample_rate.max(1.0));
        self.add(NodeKind::Process(Box::new(processor)), &[from], from.channels)
    }

    /// Adds a gain in dB; [`Plan::set_gain`] lets it glide to another one.
    pub fn gain(&mut self, from: Bus, db: f32) -> Bus {
        let ramp = Ramp::new(db_to_gain(db), self.sample_rate);
        self.add(NodeKind::Gain(ramp), &[from], from.channels)
    }

    /// Adds the sum of buses, all of the same number of channels.
    pub fn mix(&mut self, from: &[Bus]) -> Bus {
        let channels = from.first().map_or(1, |b| b.channels);
        self.add(NodeKind::Mix, from, channels)
    }

    /// Adds a bus with only the channels `channels`, counted from 0, of another bus.
    pub fn split(&mut self, from: Bus, channels: Range<usize>) -> Bus {
        if channels.end > from.channels || channels.is_empty() {
            let error = CompileError::Split {
                node: self.nodes.len(),
                start: channels.start,
                end: channels.end,
                available: from.channels,
            };
            self.first_error = self.first_error.take().or(Some(error));
            return self.add(NodeKind::Split(0..from.channels), &[from], from.channels);
        }
        let width = channels.len();
        self.add(NodeKind::Split(channels), &[from], width)
    }

    /// Adds a bus with all channels of several buses, in order.
    pub fn join(&mut self, from: &[Bus]) -> Bus {
        let channels = from.iter().map(|b| b.channels).sum();
        self.add(NodeKind::Join, from, channels)
    }

    /// Adds a switch that passes one of several buses on, first the one at `selected`, counted from 0. [`Plan::select`] changes
    /// to another one with a dip.
    pub fn switch(&mut self, from: &[Bus], selected: usize) -> Bus {
        if selected >= from.len() {
            let error = CompileError::Switch { node: self.nodes.len(), selected, inputs: from.len() };
            self.first_error = self.first_error.take().or(Some(error));
        }
        let channels = from.first().map_or(1, |b| b.channels);
        self.add(NodeKind::Switch(Switch::new(selected, self.sample_rate)), from, channels)
    }

    /// Adds a node that passes a bus on and measures its level on a new meter.
    pub fn meter(&mut self, from: Bus) -> (Bus, Meter) {
        let meter = Meter::new(from.channels);
        (self.meter_to(from, &meter), meter)
    }

    /// Adds a node that passes a bus on and measures its level on an existing meter.
    pub fn meter_to(&mut self, from: Bus, meter: &Meter) -> Bus {
        let metering = MeterWriter::new(meter, from.channels, self.sample_rate.max(1.0));
        self.add(NodeKind::Meter(metering), &[from], from.channels)
    }

    /// Adds a node that passes a bus on with NaN and infinities replaced by silence.
    pub fn guard(&mut self, from: Bus) -> Bus {
        self.add(NodeKind::Guard, &[from], from.channels)
    }

    /// Adds a node that passes a bus on and copies it to a queue; frames without room are counted as lost
    /// ([`QueueReader::overflow`]).
    pub fn tap(&mut self, from: Bus, writer: QueueWriter) -> Bus {
        let channels = writer.channels();
        self.add(NodeKind::Tap(writer), &[from], channels)
    }

    /// Adds a node that passes a bus on and copies it to a rolling buffer, which keeps the last frames.
    pub fn tap_rolling(&mut self, from: Bus, writer: RollingWriter) -> Bus {
        let channels = writer.channels();
        self.add(NodeKind::RollingTap(writer), &[from], channels)
    }

    /// Adds an output of the plan. Outputs are numbered in the order in which they are added, as in [`Plan::run`]; all have the
    /// same latency.
    pub fn output(&mut self, from: Bus) {
        self.outputs += 1;
        self.add(NodeKind::Output(self.outputs - 1), &[from], from.channels);
    }

    /// Checks the nodes, aligns branches of different latency and allocates all memory of the plan.
    ///
    /// # Errors
    /// [`CompileError`] for the first node that is wrong.
    pub fn compile(self) -> Result<Plan, CompileError> {
        if let Some(error) = self.first_error {
            return Err(error);
        }
        let latencies = latencies(&self.nodes);
        let outputs = self.nodes.iter().zip(&latencies).filter(|(node, _)| matches!(node.kind, NodeKind::Output(_)));
        let total = outputs.map(|(_, latency)| *latency).max().unwrap_or(0);

        // The steps of the plan: the nodes, with a delay before each input that would be early. `step_of_node[node]` is the index
        // of a node's step.
        let mut steps: Vec<Step> = Vec::new();
        let mut step_of_node = Vec::new();
        for (node, &latency) in self.nodes.into_iter().zip(&latencies) {
            // Latency that all inputs of the node must have, by a delay where they would be early.
            let due = match &node.kind {
                NodeKind::Output(_) => total,
                NodeKind::Process(p) => latency - p.latency(),
                _ => latency,
            };
            let mut reads = Vec::new();
            for bus in &node.reads {
                let early = due - latencies[bus.node];
                let mut from: usize = step_of_node[bus.node];
                if early > 0 {
                    // Nodes that need the same bus with the same delay share one delay step.
                    let delays =
                        |s: &Step| matches!(&s.kind, NodeKind::Delay(d) if s.input_steps == [from] && d[0].frames() == early);
                    from = steps.iter().position(delays).unwrap_or_else(|| {
                        let delays = vec![Delay::new(early); bus.channels];
                        steps.push(Step::new(NodeKind::Delay(delays), vec![from], bus.channels));
                        steps.len() - 1
                    });
                }
                reads.push(from);
            }
            steps.push(Step::new(node.kind, reads, node.channels));
            step_of_node.push(steps.len() - 1);
        }

        // Assigns storages: a step that can work in place shares the storage of its input, unless a later step reads that input.
        let mut last_reader = vec![0; steps.len()];
        for (i, step) in steps.iter().enumerate() {
            for &from in &step.input_steps {
                last_reader[from] = i;
            }
        }
        let mut widths: Vec<usize> = Vec::new();
        for i in 0..steps.len() {
            let storage = match steps[i].input_steps.as_slice() {
                &[from] if steps[i].kind.in_place() && last_reader[from] == i => steps[from].storage,
                _ => {
                    widths.push(steps[i].channels);
                    widths.len() - 1
                }
            };
            steps[i].storage = storage;
            let input_storages = steps[i].input_steps.iter().map(|&from| steps[from].storage).collect();
            steps[i].input_storages = input_storages;
        }
        let storages = widths.iter().map(|channels| vec![0.0; channels * SUB_BLOCK]).collect();
        Ok(Plan::new(self.id, steps, storages, step_of_node, total))
    }
}

/// Latency of each node's output, in frames after the plan's inputs.
fn latencies(nodes: &[Node]) -> Vec<usize> {
    let mut latencies: Vec<usize> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let due = node.reads.iter().map(|b| latencies[b.node]).max().unwrap_or(0);
        latencies.push(due + if let NodeKind::Process(p) = &node.kind { p.latency() } else { 0 });
    }
    latencies
}
