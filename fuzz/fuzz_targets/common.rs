//! What every target does with a file.

use isotherm::neural::engine::Mode;
use isotherm::neural::{Loaded, Model};

/// Networks larger than this are read and not run: the fuzzer would wait for them.
const FEW: u64 = 20_000_000;

/// The file is read, or there is an error in one line, which is returned. What is read is packed and plays.
pub fn check(text: &[u8]) -> Option<String> {
    let loaded = match Loaded::read(text) {
        Ok(loaded) => loaded,
        Err(error) => {
            let line = error.to_string();
            assert!(!line.is_empty() && !line.contains(['\n', '\r']) && line.len() < 500, "{line}");
            return Some(line);
        }
    };
    assert!(!loaded.sizes.is_empty());
    let half_a_second = (loaded.info.sample_rate / 2.0) as usize;
    let work = |reach: Option<usize>| (reach.unwrap_or(half_a_second) as u64).saturating_mul(loaded.info.parameters as u64);
    let small = loaded.sizes.iter().all(|s| s.architecture.as_ref().is_some_and(|a| work(a.receptive_field()) < FEW));
    if !small {
        return None;
    }
    let model = Model::read(text.to_vec()).expect("read once, read again");
    for (index, size) in model.sizes().iter().enumerate() {
        let knobs = size.architecture.as_ref().map_or(0, |a| a.inputs() - 1);
        let mut voices = model.network(index).clone().voices(Mode::new(2)).expect("the native engine runs here");
        let knobs = vec![[0.5; 70].as_slice(); knobs];
        let (mut left, mut right) = ([0.25; 70], [-1.0; 70]);
        voices.process(&mut [&mut left, &mut right], &knobs);
    }
    None
}
