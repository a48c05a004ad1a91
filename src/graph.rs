//! What moves samples. Algorithms never do I/O; here is how they are put together and reached from outside.
//!
//! A [`Builder`] adds nodes that read channels that exist already, so a cycle cannot be written and the order is the order of
//! adding. [`Builder::compile`] checks widths, allocates everything and aligns branches of different latency. The resulting
//! [`Plan`] never changes while it runs: another one is compiled off the audio thread and swapped in with a dip ([`Swap`]).
//! Host buffers are copied in and out at the plan's ends. At the borders of threads stand [`queue`]s and [`rolling`] buffers;
//! files stand behind queues ([`FileSource`], [`FileSink`]).
//!
//! ```
//! use isotherm::graph::{Builder, queue, rolling};
//!
//! let mut builder = Builder::new(48_000.0);
//! // Another thread writes two channels to a queue, from which the plan reads.
//! let (mut sound, reader) = queue(2, 4096);
//! let source = builder.source(reader);
//! let quiet = builder.gain(source, -6.0);
//! // The left channel and the quiet right one are added; beside the sum stands the left channel.
//! let (left, right) = (builder.split(source, 0..1), builder.split(quiet, 1..2));
//! let sum = builder.mix(&[left, right]);
//! let both = builder.join(&[sum, left]);
//! // A tap copies what passes it to a queue; a roll keeps the last frames for whoever looks.
//! let (writer, mut tapped) = queue(2, 4096);
//! let (roll, scope) = rolling(2, 1024);
//! let both = builder.tap(both, writer);
//! let both = builder.roll(both, roll);
//! builder.output(both);
//! let mut plan = builder.compile()?;
//! plan.set_gain(quiet, -12.0); // At once here; while it runs, it glides.
//!
//! sound.write(&[[0.5f32; 256], [0.25; 256]]);
//! let [mut first, mut second] = [[0.0f32; 256]; 2];
//! plan.run(&[], &mut [&mut [&mut first, &mut second]], 256);
//! assert!((first[255] - (0.5 + 0.25 * 0.2512)).abs() < 1e-4 && second[255] == 0.5);
//!
//! let mut copied = [[0.0f32; 256]; 2];
//! assert_eq!((tapped.read_available(&mut copied), tapped.overflow()), (256, 0));
//! let mut last = [0.0; 64];
//! assert_eq!(scope.last(0, &mut last), 256);
//! assert_eq!((copied, last[63]), ([first, second], first[255]));
//! # Ok::<(), isotherm::graph::CompileError>(())
//! ```

mod builder;
mod dip;
mod file;
mod meter;
mod node;
mod plan;
mod queue;
mod rest;
mod rolling;
mod storage;
mod swap;

pub use builder::{Builder, Bus, CompileError};
pub use file::{FileSink, FileSource};
pub use meter::{Level, Meter, Metering};
pub use plan::{NodeTime, Plan, Taps};
pub use queue::{QueueReader, QueueWriter, queue};
pub use rolling::{RollingReader, RollingWriter, rolling};
pub use swap::{Swap, SwapSender};

/// Frames that a plan moves at a time.
pub const SUB_BLOCK: usize = crate::dsp::CHUNK;

/// Length of each half of a dip: fade-out, then fade-in (ITU-R BS.1534-3, 5.3).
pub const DIP_SECONDS: f32 = 0.005;
