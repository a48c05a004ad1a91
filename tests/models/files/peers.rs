//! Model files of other makers, with renders by their own implementations.

use super::*;

/// The folder with the files and renders, if it is there.
pub fn peer_folder() -> Option<PathBuf> {
    let shared = std::env::var_os("ISOTHERM_SHARED").map(PathBuf::from);
    let folder = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared")).join("peer-models");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no {}", folder.display());
    None
}

#[test]
fn peer_models_have_as_many_weights_as_their_makers_say() {
    let Some(folder) = peer_folder() else { return };
    for (name, weights, reach) in [("lstm", 70, None), ("wavenet", 131, Some(23)), ("wavenet_a1_standard", 13_802, Some(4093))] {
        let parsed = ParsedModel::read(&std::fs::read(folder.join(format!("{name}.nam"))).unwrap()).unwrap();
        assert_eq!(parsed.info.parameters, weights, "{name}");
        assert_eq!(only_architecture(parsed).receptive_field(), reach, "{name}");
    }
}

/// The output of a network for one channel of input, in blocks of different lengths.
fn render(model: &Model, input: &[f32]) -> Vec<f32> {
    let mut state = model.network(0).clone().state(StateSpec::new(1)).unwrap();
    let mut output = input.to_vec();
    let (mut rest, mut block) = (output.as_mut_slice(), 1);
    while !rest.is_empty() {
        let (part, behind) = rest.split_at_mut(block.min(rest.len()));
        state.process(&mut [part], &[]);
        (rest, block) = (behind, block % 512 + 37);
    }
    output
}

#[test]
fn peer_models_sound_as_in_their_makers_implementation() {
    let Some(folder) = peer_folder() else { return };
    let input = wav::read(folder.join("input.wav")).unwrap();
    for (name, bound) in [("lstm", 1e-6), ("wavenet", 1e-6), ("wavenet_a1_standard", 5e-6)] {
        let model = Model::open(&folder.join(format!("{name}.nam"))).unwrap();
        let reference = wav::read(folder.join(format!("{name}_reference.wav"))).unwrap();
        let output = render(&model, input.channel(0));
        let worst = output.iter().zip(reference.channel(0)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name}: within {worst:e}");
        assert!(worst <= bound && output.len() == reference.frames(), "{name}: {worst:e}");
    }
}
