//! The audio graph: connects processors, meters and queues, and runs them in order.
//!
//! A [`Builder`] adds nodes one after another. A node reads only nodes that exist already, so a cycle cannot be written, and
//! nodes run in the order in which they were added. [`Builder::compile`] checks the numbers of channels, allocates everything and
//! aligns branches of different latency. The resulting [`Plan`] never changes its structure: another plan is compiled on another
//! thread and swapped in with a dip ([`Swap`]), a fade-out and fade-in of 5 ms each. Host buffers are copied in at the plan's
//! inputs and out at its outputs. Threads exchange samples by [`queue`]s (every frame) and [`rolling_buffer`]s (the last frames);
//! a file is read or written on a thread of its own, through a queue ([`FileSource`], [`FileSink`]).
//!
//! # Examples
//! ```
//! use isotherm::graph::{Builder, queue, rolling_buffer};
//!
//! let mut builder = Builder::new(48_000.0);
//! // A source reads a queue of two channels, to which another thread may write.
//! let (mut sound, reader) = queue(2, 4096);
//! let source = builder.source(reader);
//! let quiet = builder.gain(source, -6.0);
//! // The first output channel is the sum of the left and the quiet right channel, the second is the left channel.
//! let (left, right) = (builder.split(source, 0..1), builder.split(quiet, 1..2));
//! let sum = builder.mix(&[left, right]);
//! let both = builder.join(&[sum, left]);
//! // A tap copies its input to a queue, a rolling tap to a buffer of the last frames.
//! let (writer, mut tapped) = queue(2, 4096);
//! let (roll, scope) = rolling_buffer(2, 1024);
//! let both = builder.tap(both, writer);
//! let both = builder.tap_rolling(both, roll);
//! builder.output(both);
//! let mut plan = builder.compile()?;
//! plan.set_gain(quiet, -12.0); // At once before the first block; later it glides.
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

mod auto_sleep;
mod builder;
mod dip;
mod file;
mod meter;
mod node;
mod plan;
mod queue;
mod rolling;
mod storage;
mod swap;

#[cfg(feature = "listen")]
pub(crate) use dip::Dip;

pub use builder::{Builder, Bus, CompileError};
pub use file::{FileSink, FileSource};
pub use meter::{Meter, MeterReading, MeterWriter};
pub use plan::{NodeTime, Plan, TapReceiver};
pub use queue::{QueueReader, QueueWriter, queue};
pub use rolling::{RollingReader, RollingWriter, rolling_buffer};
pub use swap::{Swap, SwapSender};

/// Largest number of frames that a plan processes at a time.
pub const SUB_BLOCK: usize = crate::dsp::CHUNK;

/// Length in seconds of the fade-out, and of the fade-in, of a dip (ITU-R BS.1534-3, 5.3).
pub const DIP_SECONDS: f32 = 0.005;
