//! What moves samples. Algorithms never do I/O; here is how they are put together and reached from outside.
//!
//! A [`Builder`] adds nodes that read channels that exist already, so a cycle cannot be written and the order is the order of
//! adding. [`Builder::compile`] checks widths, allocates everything and aligns branches of different latency. The resulting
//! [`Plan`] never changes while it runs: another one is compiled off the audio thread and swapped in with a dip ([`Swap`]).
//! Host buffers are copied in and out at the plan's ends. At the borders of threads stand [`queue`]s and [`rolling`] buffers;
//! files stand behind queues ([`FileSource`], [`FileSink`]).

mod builder;
mod dip;
mod file;
mod node;
mod plan;
mod queue;
mod rolling;
mod swap;

pub use builder::{Builder, Bus, CompileError};
pub use file::{FileSink, FileSource};
pub use node::{Level, Meter, Metering};
pub use plan::{NodeTime, Plan, Taps};
pub use queue::{QueueReader, QueueWriter, queue};
pub use rolling::{RollingReader, RollingWriter, rolling};
pub use swap::{Swap, SwapSender};

/// Frames that a plan moves at a time.
pub const SUB_BLOCK: usize = crate::dsp::CHUNK;

/// Length of each half of a dip: fade-out, then fade-in (ITU-R BS.1534-3, 5.3).
pub const DIP_SECONDS: f32 = 0.005;
