//! The measures of time and memory: a row for each figure of [`Costs`].

use super::bench::Costs;
use super::measures::{Measure, MeasureFn, Preference, Unit};

/// A measure of time or memory, of which less is better.
const fn row(
    id: &'static str,
    name: &'static str,
    heading: &'static str,
    unit: Unit,
    definition: &'static str,
    figure: fn(&Costs) -> f64,
) -> Measure {
    Measure { id, name, heading, unit, definition, better: Preference::Lower, function: MeasureFn::Cost(figure) }
}

/// Nanoseconds for a sample of one channel: [`Costs::ns_per_sample`].
pub static TIME: Measure = row(
    "ns_per_sample",
    "Time for a sample",
    "ns/sample",
    Unit::Nanoseconds,
    "The median of the blocks' times, divided by the block's frames and by its channels; of blocks of random sizes, the time of all blocks divided by the samples of all channels.",
    |costs| costs.ns_per_sample,
);

/// Real-time factor: [`Costs::rtf`].
pub static REAL_TIME: Measure = row(
    "rtf",
    "Real-time factor",
    "rtf",
    Unit::RealTime,
    "Time for all blocks, divided by the duration of their sound: below 1 the processor keeps up.",
    |costs| costs.rtf,
);

/// Throughput: [`Costs::samples_per_second`].
pub static THROUGHPUT: Measure = Measure {
    id: "samples_per_second",
    name: "Throughput",
    heading: "Throughput samples/s",
    unit: Unit::SamplesPerSecond,
    definition: "Samples of all channels together, divided by the time for all blocks.",
    better: Preference::Higher,
    function: MeasureFn::Cost(|costs| costs.samples_per_second),
};

/// Time of the first block in microseconds: [`Costs::first_us`].
pub static FIRST: Measure = row(
    "first_us",
    "First block",
    "first us",
    Unit::Microseconds,
    "Time of the first block after the processor is made, which counts in no other figure.",
    |costs| costs.first_us,
);

/// Mean time of a block in microseconds: [`Costs::mean_us`].
pub static MEAN: Measure = row(
    "mean_us",
    "Mean block",
    "mean us",
    Unit::Microseconds,
    "Mean of the blocks' times, after the first 200 blocks or the first 0.1 s.",
    |costs| costs.mean_us,
);

/// Standard deviation of the blocks' times in microseconds: [`Costs::deviation_us`].
pub static DEVIATION: Measure = row(
    "deviation_us",
    "Deviation of the blocks",
    "deviation us",
    Unit::Microseconds,
    "Standard deviation of the blocks' times.",
    |costs| costs.deviation_us,
);

/// Median time of a block in microseconds: [`Costs::p50_us`].
pub static P50: Measure = row(
    "p50_us",
    "Median block",
    "p50 us",
    Unit::Microseconds,
    "Time that half of the blocks stay within (nearest rank).",
    |costs| costs.p50_us,
);

/// 95th percentile of the blocks' times in microseconds: [`Costs::p95_us`].
pub static P95: Measure = row(
    "p95_us",
    "95th percentile of the blocks",
    "p95 us",
    Unit::Microseconds,
    "Time that 95 % of the blocks stay within (nearest rank); blank for fewer than 2000 blocks.",
    |costs| costs.p95_us.unwrap_or(f64::NAN),
);

/// 99th percentile of the blocks' times in microseconds: [`Costs::p99_us`].
pub static P99: Measure = row(
    "p99_us",
    "99th percentile of the blocks",
    "p99 us",
    Unit::Microseconds,
    "Time that 99 % of the blocks stay within (nearest rank); blank for fewer than 10 000 blocks.",
    |costs| costs.p99_us.unwrap_or(f64::NAN),
);

/// 99.9th percentile of the blocks' times in microseconds: [`Costs::p99_9_us`].
pub static P99_9: Measure = row(
    "p99_9_us",
    "99.9th percentile of the blocks",
    "p99.9 us",
    Unit::Microseconds,
    "Time that 99.9 % of the blocks stay within (nearest rank); blank for fewer than 100 000 blocks.",
    |costs| costs.p99_9_us.unwrap_or(f64::NAN),
);

/// Time of the slowest block in microseconds: [`Costs::max_us`].
pub static MAX: Measure = row(
    "max_us",
    "Slowest block",
    "max us",
    Unit::Microseconds,
    "Time of the slowest block after the first 200 blocks or the first 0.1 s.",
    |costs| costs.max_us,
);

/// Jitter in microseconds: [`Costs::jitter_us`].
pub static JITTER: Measure = row(
    "jitter_us",
    "Jitter of the blocks",
    "jitter us",
    Unit::Microseconds,
    "The 99th percentile of the blocks' times less their median; blank for fewer than 10 000 blocks.",
    |costs| costs.jitter_us.unwrap_or(f64::NAN),
);

/// Number of blocks that were late: [`Costs::misses`].
pub static MISSES: Measure = row(
    "misses",
    "Deadline misses",
    "misses",
    Unit::Count,
    "Number of blocks whose time was longer than their sound.",
    |costs| costs.misses as f64,
);

/// The largest load of a block: [`Costs::max_load`].
pub static MAX_LOAD: Measure = row(
    "max_load",
    "Largest load of a block",
    "max load",
    Unit::RealTime,
    "The largest of all blocks' times divided by the duration of their sound: above 1 the block was late.",
    |costs| costs.max_load,
);

/// Memory of a processor in bytes: [`Costs::bytes`].
pub static MEMORY: Measure = row(
    "buffer_bytes",
    "Memory",
    "bytes",
    Unit::Bytes,
    "Memory that a processor holds on the heap, without a model's weights.",
    |costs| costs.bytes as f64,
);
