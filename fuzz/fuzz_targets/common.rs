//! The checks that every target for model files makes.

use std::sync::Arc;

use isotherm::dsp::ProcessSpec;
use isotherm::effect::Effect;
use isotherm::neural::engine::{KNOBS, StateSpec};
use isotherm::neural::{ALGORITHM, Model, OversampleError, ParsedModel};

/// Largest number of multiply-adds of a run. Larger networks are read but not run, since that would slow the fuzzer down.
const MAX_WORK: u64 = 20_000_000;

/// Largest number of bytes of the state of two channels that is also played at 2x and 4x, with up to four times as many.
const MAX_STATE_BYTES: usize = 16 << 20;

/// Reads a file. Returns the error, which must be one line. If there is no error, the networks must run, also oversampled, and a
/// `.nam` file must be exported as one that is read and sounds the same, or be refused.
pub fn check(text: &[u8]) -> Option<String> {
    let parsed = match ParsedModel::read(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let line = error.to_string();
            assert_one_line(&line);
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
        if state.bytes() <= MAX_STATE_BYTES && size.architecture.as_ref().is_some_and(|a| a.inputs() <= 1 + KNOBS) {
            // The sizes begin where the ones before them end.
            let begin = index.checked_sub(1).map_or(0.0, |before| model.sizes()[before].below);
            [1.0, 2.0].into_iter().for_each(|oversampling| play(&model, begin, oversampling));
        }
    }
    if model.info().format == "nam" {
        [2, 4].into_iter().for_each(|factor| export(&model, factor));
    }
    None
}

fn assert_one_line(line: &str) {
    assert!(!line.is_empty() && !line.contains(['\n', '\r']) && line.len() < 500, "{line}");
}

/// Plays the model with oversampling (the index of the choice): the output must be finite, the same after a reset, and the same in
/// blocks of other lengths.
fn play(model: &Arc<Model>, size: f32, oversampling: f32) {
    let effect = Effect::new(&ALGORITHM).with_model(model.clone()).with("size", size).with("oversampling", oversampling);
    let spec = ProcessSpec::new(model.info().sample_rate, 2, 70);
    let mut processor = effect.prepare(spec).expect("the native engine runs here");
    let mut run = |cuts: &[usize]| {
        processor.reset();
        let mut channels = [[0.25f32; 70], [-1.0; 70]];
        let mut at = 0;
        for frames in cuts {
            let [left, right] = &mut channels;
            processor.process(&mut [&mut left[at..at + frames], &mut right[at..at + frames]]);
            at += frames;
        }
        assert!(channels.iter().flatten().all(|y| y.is_finite()));
        channels.map(|channel| channel.map(f32::to_bits))
    };
    let whole = run(&[70]);
    assert!(whole == run(&[70]), "another sound after a reset");
    assert!(whole == run(&[1, 2, 30, 37]), "another sound in other blocks");
}

/// Exports a model; an export sounds as the original.
fn export(model: &Model, factor: usize) {
    match model.oversampled(factor) {
        Ok(exported) => {
            // In a series a Linear gets zeros as taps, which make NaN of what a model before it makes infinite.
            let series = model.info().architecture.contains(", then ");
            match model.check_oversampled(&exported, factor) {
                Err(error @ OversampleError::Sound { .. }) if !series => panic!("{error}"),
                _ => {}
            }
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
}
