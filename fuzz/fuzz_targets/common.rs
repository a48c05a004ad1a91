//! The checks that every target for model files makes.

use isotherm::neural::engine::StateSpec;
use isotherm::neural::{Model, ParsedModel};

/// Largest number of multiply-adds of a run. Larger networks are read but not run, since that would slow the fuzzer down.
const MAX_WORK: u64 = 20_000_000;

/// Reads a file. Returns the error, which must be one line. If there is no error, the networks must run.
pub fn check(text: &[u8]) -> Option<String> {
    let parsed = match ParsedModel::read(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let line = error.to_string();
            assert!(!line.is_empty() && !line.contains(['\n', '\r']) && line.len() < 500, "{line}");
            return Some(line);
        }
    };
    assert!(!parsed.sizes.is_empty());
    let half_a_second = (parsed.info.sample_rate / 2.0) as usize;
    let work = |field: Option<usize>| (field.unwrap_or(half_a_second) as u64).saturating_mul(parsed.info.parameters as u64);
    let small = parsed.sizes.iter().all(|s| s.architecture.as_ref().is_some_and(|a| work(a.receptive_field()) < MAX_WORK));
    if !small {
        return None;
    }
    let model = Model::read(text.to_vec()).expect("read once, read again");
    for (index, size) in model.sizes().iter().enumerate() {
        let knobs = size.architecture.as_ref().map_or(0, |a| a.inputs() - 1);
        let mut state = model.network(index).clone().state(StateSpec::new(2)).expect("the native engine runs here");
        let knobs = vec![[0.5; 70].as_slice(); knobs];
        let (mut left, mut right) = ([0.25; 70], [-1.0; 70]);
        state.process(&mut [&mut left, &mut right], &knobs);
    }
    None
}
