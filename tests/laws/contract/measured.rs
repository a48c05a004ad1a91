//! Laws that need the feature `measure`: latency, cost and aliasing.

use isotherm::dsp::ProcessSpec;
use isotherm::measure;

use super::{linear, linear_bases, mono, name, rates, renderings, saturator, structures};
use crate::test_models::{TEST_MODELS, plays};

#[test]
fn an_impulse_comes_out_after_the_latency() {
    let effects = linear_bases().flat_map(|base| structures(&linear(&base)));
    for (effect, offline) in effects.flat_map(|effect| renderings(&effect)) {
        for rate in rates(&effect) {
            let mut processor = effect.prepare(ProcessSpec { offline, ..ProcessSpec::new(rate, 1, 4096) }).unwrap();
            let mut impulse = vec![0.0; 512];
            impulse[0] = 0.1;
            let out = mono(&mut *processor, &impulse);
            assert_eq!(measure::latency(&out), processor.latency(), "{rate} Hz, {effect:?}");
        }
    }
}

#[test]
fn models_can_be_benchmarked() {
    let models: Vec<_> = TEST_MODELS.iter().map(|model| model.effect()).filter(|effect| plays(effect, 48_000.0)).collect();
    let blocks = vec![measure::bench::BlockSize::fixed(64)];
    let spec = measure::bench::BenchSpec { channels: 2, blocks, max_blocks: 100, ..Default::default() };
    let tables = measure::bench::measure_interleaved(&models, &spec, |_| true).unwrap();
    for (table, effect) in tables.iter().zip(&models) {
        let figures = &table.rows[0];
        assert!(figures.ns_per_sample > 0.0 && figures.bytes > 0, "{}: {figures:?}", name(effect));
    }
}

#[test]
fn aliasing_at_24_db_drive_is_low_with_the_default_oversampling() {
    for (hz, at_most) in [(5000.0, -60.0), (1244.0, -95.0)] {
        let effect = saturator().with("drive", 24.0).with("tone", 20_000.0);
        let found = measure::aliasing(&measure::tone_response(&effect, 48_000, hz, 1.0).unwrap());
        println!("{hz} Hz: {found} dB");
        assert!(found < at_most, "{hz} Hz: {found} dB");
    }
}

#[test]
fn a_render_has_the_aliasing_of_its_own_oversampling() {
    let at = |oversampling: f32, render: f32| {
        let effect = saturator().with("drive", 24.0).with("tone", 20_000.0);
        let effect = effect.with("oversampling", oversampling).with("render_oversampling", render);
        measure::aliasing(&measure::tone_response(&effect, 48_000, 5000.0, 1.0).unwrap())
    };
    for (live, render) in [(0.0, 3.0), (0.0, 4.0), (3.0, 1.0)] {
        let (found, alone, of_live) = (at(live, render), at(render - 1.0, 0.0), at(live, 0.0));
        println!("render at {}x, set to {}x: {found} dB, {of_live} dB in real time", 1 << (render as u32 - 1), 1 << live as u32);
        assert_eq!(found, alone);
        let lower = if render - 1.0 > live { of_live - found } else { found - of_live };
        assert!(lower > 6.0, "{found} and {of_live}");
    }
}

#[test]
fn antialiasing_and_each_doubling_of_the_rate_reduce_aliasing() {
    let at = |oversampling: f32, antialiasing: f32| {
        let effect = saturator().with("drive", 24.0).with("tone", 20_000.0);
        let effect = effect.with("oversampling", oversampling).with("antialiasing", antialiasing);
        measure::aliasing(&measure::tone_response(&effect, 48_000, 5000.0, 1.0).unwrap())
    };
    for oversampling in 0..4 {
        let (off, first) = (at(oversampling as f32, 0.0), at(oversampling as f32, 1.0));
        println!("{}x: {off} dB, first order {first} dB", 1 << oversampling);
        assert!(first < off - 6.0, "{oversampling}: {off} and {first}");
        if oversampling > 0 {
            assert!(off < at(oversampling as f32 - 1.0, 0.0) - 6.0);
        }
    }
}
