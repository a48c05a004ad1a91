//! Plays a network of the engine at a multiple of its rate, as the neural algorithm does.

use isotherm::dsp::ProcessSpec;
use isotherm::effect::Effect;
use isotherm::neural::description::Architecture;
use isotherm::neural::{Model, ModelInfo, ModelSize, ParsedModel};

/// The output of a network of this rate for audio at `phases` times that rate, which is also the host's, without the delay.
pub fn play(architecture: Architecture, rate: f32, audio: &[f32], phases: usize) -> Vec<f32> {
    let knobs = (1..architecture.inputs()).map(|k| format!("Knob {k}")).collect();
    let info = ModelInfo { sample_rate_given: true, knobs, ..ModelInfo::new("test model", "network", 0, rate) };
    let sizes = vec![ModelSize::new(1.0, Some(architecture))];
    let model = Model::new(ParsedModel { info, sizes, test_vector: None }, Vec::new());
    let effect = Effect::from_id("neural").unwrap().with("output_mode", 0.0).with("oversampling", phases.ilog2() as f32);
    let spec = ProcessSpec { sample_rate: rate * phases as f32, channels: 1, max_frames: 64 };
    let mut processor = effect.with_model(model).prepare(spec).unwrap();
    let latency = processor.latency();
    assert_eq!(latency, phases - 1);
    let mut out = audio.to_vec();
    out.resize(audio.len() + latency, 0.0);
    for (number, block) in out.chunks_mut(61).enumerate() {
        let (one, other) = block.split_at_mut(block.len().min(number % 5));
        processor.process(&mut [one]);
        processor.process(&mut [other]);
    }
    out.split_off(latency)
}
