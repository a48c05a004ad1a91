//! The methods of the audio thread allocate and free nothing, for every algorithm of the registry and with models.

use crate::test_models::{TEST_MODELS, plays};
use isotherm::algorithm::REGISTRY;
use isotherm::dsp::{ChangeMode, ProcessSpec, Processor};
use isotherm::effect::Effect;
use isotherm_support::counting::allocations;

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| ()), 0);
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8; 64]))), 2);
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![0_u8; 64]))), 2);
    let spec = ProcessSpec::new(48_000.0, 2, 64);
    assert!(allocations(|| drop(Effect::new(REGISTRY[0]).prepare(spec).unwrap())) > 0, "prepare allocates");
}

const BLOCK_SIZES: [usize; 8] = [0, 1, 7, 63, 64, 65, 512, 4096];

/// Allocations in each method of the audio thread (set, process, skip, reset), at several block sizes, with every parameter at
/// both ends of its range.
fn count_allocations(processor: &mut dyn Processor, effect: &Effect, buffers: &mut [Vec<f32>; 2]) -> [usize; 4] {
    let [mut setting, mut processing, mut skipping, mut resetting] = [0; 4];
    let parameters = effect.algorithm().parameters;
    for frames in BLOCK_SIZES {
        for index in 0..=parameters.len() {
            for value in parameters.get(index).map_or([0.0, 1.0], |p| [p.range().0, p.range().1]) {
                setting += allocations(|| processor.set(index, value));
                let [a, b] = &mut *buffers;
                processing += allocations(|| processor.process(&mut [&mut a[..frames], &mut b[..frames]]));
            }
        }
        skipping += allocations(|| {
            let _ = processor.skip(frames);
        });
        resetting += allocations(|| processor.reset());
    }
    [setting, processing, skipping, resetting]
}

#[test]
fn the_audio_threads_methods_allocate_and_free_nothing() {
    let models = TEST_MODELS.iter().map(|model| model.effect());
    // Every algorithm and model, with each value of each structural parameter.
    for defaults in REGISTRY.iter().map(|row| Effect::new(row)).chain(models) {
        let row = defaults.algorithm();
        let mut all = vec![defaults.clone()];
        for (index, parameter) in row.parameters.iter().enumerate().filter(|(_, p)| p.change == ChangeMode::Structural) {
            for value in 0..=parameter.range().1 as usize {
                let mut effect = defaults.clone();
                effect.settings.set(index, value as f32);
                all.push(effect);
            }
        }
        for effect in all {
            for sample_rate in [8000.0, 48_000.0, 192_000.0].into_iter().filter(|rate| plays(&effect, *rate)) {
                let mut buffers = [0.5, f32::NAN].map(|x| vec![x; 4096]);
                let mut processor = effect.prepare(ProcessSpec::new(sample_rate, 2, 4096)).unwrap();
                let counts = count_allocations(&mut *processor, &effect, &mut buffers);
                assert_eq!(counts, [0; 4], "set, process, skip, reset at {sample_rate} Hz; {effect:?}");
            }
        }
    }
}

#[cfg(feature = "measure")]
#[test]
fn feeding_an_analyser_allocates_and_frees_nothing() {
    use isotherm::measure::analyser::{Analyser, AnalyserSettings};
    let (analyser, mut feed) = Analyser::start(48_000, 2, AnalyserSettings::default()).unwrap();
    let block = [0.5f32; 4096];
    // Control: reading the spectra as the window does allocates.
    assert!(allocations(|| drop(std::hint::black_box((*analyser.spectra()).clone()))) > 0);
    // Also when the queue is full, and when the block has other channels than the analyser.
    let (mut whole, mut refused) = (0, 0);
    let counted = allocations(|| {
        for frames in BLOCK_SIZES.into_iter().cycle().take(200) {
            for block in [&[&block[..frames], &block[..frames]][..], &[&block[..frames]]] {
                let written = feed.write(block);
                whole += usize::from(written == frames);
                refused += usize::from(written < frames);
            }
        }
    });
    assert_eq!(counted, 0);
    assert!(whole > 10 && refused > 10, "{whole} blocks found room, {refused} did not");
}
