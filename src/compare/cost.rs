//! The ratio of the times that both sides take, in a sentence.

use super::report::Report;
use crate::measure::bench::BlockSize;

/// Frames of the blocks whose times are named beside the ratio, if they were measured: a size that most hosts offer.
const NAMED_FRAMES: usize = 64;

/// Nanoseconds for a sample of both sides with blocks of one size.
#[derive(Clone, Copy)]
struct Times {
    block: BlockSize,
    a_ns: f64,
    b_ns: f64,
}

/// A ratio with about two digits.
fn text(ratio: f64) -> String {
    if ratio >= 1.0 { format!("{ratio:.1}") } else { format!("{ratio:.2}") }
}

/// The sentence for the times at every block size; `None` without any.
fn sentence(times: &[Times]) -> Option<String> {
    let ratios = || times.iter().map(|times| times.b_ns / times.a_ns);
    let (low, high) = (text(ratios().reduce(f64::min)?), text(ratios().reduce(f64::max)?));
    let range = if low == high { low } else { format!("{low} to {high}") };
    let named = times.iter().find(|times| times.block == BlockSize::fixed(NAMED_FRAMES)).or(times.first())?;
    Some(format!(
        "B takes {range} times as long as A, by the median block ({:.1} against {:.1} ns a sample with blocks of {}).",
        named.b_ns, named.a_ns, named.block
    ))
}

impl Report {
    /// The ratio of the times of both sides over all block sizes, in a sentence; `None` if a side has no times.
    /// [control thread: allocates]
    #[must_use]
    pub fn cost_sentence(&self) -> Option<String> {
        let (a, b) = (self.costs.a.as_ref()?, self.costs.b.as_ref()?);
        let times =
            a.rows.iter().zip(&b.rows).map(|(a, b)| Times { block: a.block, a_ns: a.ns_per_sample, b_ns: b.ns_per_sample });
        sentence(&times.filter(|times| times.a_ns > 0.0 && times.b_ns.is_finite()).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_has_the_range_of_the_ratios_and_the_times_with_blocks_of_64() {
        let times = |frames, a_ns, b_ns| Times { block: BlockSize::fixed(frames), a_ns, b_ns };
        assert_eq!(
            sentence(&[times(16, 10.0, 23.0), times(64, 18.0, 61.2)]).unwrap(),
            "B takes 2.3 to 3.4 times as long as A, by the median block (61.2 against 18.0 ns a sample with blocks of 64)."
        );
        assert_eq!(
            sentence(&[times(128, 20.0, 10.0), times(256, 20.0, 10.01)]).unwrap(),
            "B takes 0.50 times as long as A, by the median block (10.0 against 20.0 ns a sample with blocks of 128)."
        );
        assert_eq!(sentence(&[]), None);
    }
}
