//! The registry of algorithms: every algorithm is one file in `dsp` (`neural` is a module of its own) and one row here.
//!
//! The plug-in's parameters, the command line's flags, the tests in `tests/laws`, the benchmark table and the reference page
//! are made from the rows. To add an algorithm: write its file, declare the file in `dsp.rs`, append its row here, its ids in
//! `instance/parameter_ids.txt` and a recipe in `tests/laws/golden.rs`.

use crate::dsp::{Algorithm, bitcrusher, clipper, saturator};
use crate::neural;

/// All algorithms. New rows go to the end: a host's list of parameters follows this order.
pub static REGISTRY: &[&Algorithm] = &[&saturator::ALGORITHM, &bitcrusher::ALGORITHM, &clipper::ALGORITHM, &neural::ALGORITHM];

/// The error of [`find`] if no algorithm has the id.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("unknown algorithm '{found}'; expected {expected}")]
pub struct UnknownAlgorithm {
    /// The id that was looked for.
    pub found: String,
    /// The ids of all algorithms, separated by commas.
    pub expected: String,
}

/// Returns the algorithm with an id. [any thread]
///
/// # Errors
/// If no algorithm has this id; the error lists all ids.
pub fn find(id: &str) -> Result<&'static Algorithm, UnknownAlgorithm> {
    REGISTRY.iter().find(|a| a.id == id).copied().ok_or_else(|| {
        let ids: Vec<&str> = REGISTRY.iter().map(|a| a.id).collect();
        UnknownAlgorithm { found: id.into(), expected: ids.join(", ") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::{MAX_PARAMETERS, ParameterKind, Scale};

    #[test]
    fn every_row_is_well_formed() {
        let word = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        for (i, row) in REGISTRY.iter().enumerate() {
            assert!(word(row.id) && REGISTRY[..i].iter().all(|r| r.id != row.id), "{}", row.id);
            assert!(row.parameters.len() <= MAX_PARAMETERS, "{}", row.id);
            for (k, p) in row.parameters.iter().enumerate() {
                assert!(word(p.id) && row.parameters[..k].iter().all(|q| q.id != p.id), "{} {}", row.id, p.id);
                let (min, max) = p.range();
                assert!(min < max && (min..=max).contains(&p.default()), "{} {}", row.id, p.id);
                for value in [min, max, p.default(), p.clamp((min + max) / 2.0)] {
                    let read = p.parse(&p.text_with_unit(value)).unwrap();
                    let close = if matches!(p.kind, ParameterKind::Float { .. }) { (max - min) * 1e-3 } else { 0.0 };
                    assert!((read - value).abs() <= close, "{} {}: {value} reads as {read}", row.id, p.id);
                }
            }
        }
    }

    #[test]
    fn positions_and_values_are_inverse_and_logarithmic_parameters_have_equal_ratios() {
        for p in REGISTRY.iter().flat_map(|row| row.parameters) {
            let (min, max) = p.range();
            assert_eq!((p.position(min), p.position(max)), (0.0, 1.0), "{}", p.id);
            for exact in [min, max, p.default()] {
                assert_eq!(p.value_at(p.position(exact)), exact, "{}", p.id);
            }
            for position in (-5..=105).map(|percent| percent as f32 / 100.0) {
                let (value, inside) = (p.value_at(position), position.clamp(0.0, 1.0));
                assert!(p.is_same(p.value_at(p.position(value)), value), "{} at {position}", p.id);
                let expected = match p.kind {
                    ParameterKind::Float { scale: Scale::Logarithmic, .. } => min * (max / min).powf(inside),
                    ParameterKind::Float { .. } => min + (max - min) * inside,
                    _ => continue,
                };
                assert!((value - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{}: {value}, expected {expected}", p.id);
            }
        }
        let tone = REGISTRY[0].parameters.iter().find(|p| p.id == "tone").unwrap();
        assert_eq!(tone.value_at(0.25).round(), 632.0);
    }
}
