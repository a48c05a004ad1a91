//! Tests of effects as values: text and JSON that read back as the same effect, comparison, and streams.

use isotherm::algorithm::REGISTRY;
use isotherm::audio::generate;
use isotherm::dsp::{ChangeMode, Parameter, ParameterKind, ProcessSpec, Settings};
use isotherm::effect::Effect;

use crate::test_models::{TEST_MODELS, plays};

#[cfg(feature = "models")]
const MODEL: &str = "assets/models/saturator-24db-lstm16.nam";

/// Settings at several positions in all ranges: the ends, and numbers that need many decimal digits.
fn values(row: &'static isotherm::dsp::Algorithm) -> impl Iterator<Item = Settings> {
    [0.0, 0.123_456_79, 1.0 / 3.0, 0.777, 1.0].into_iter().map(move |part| {
        let mut settings = Settings::new(row);
        for (index, p) in row.parameters.iter().enumerate() {
            let (min, max) = p.range();
            settings.set(index, min + part * (max - min));
        }
        settings
    })
}

#[test]
fn a_text_reads_back_as_the_same_effect() {
    for row in REGISTRY {
        for settings in values(row).chain([Settings::new(row)]) {
            let effect = Effect::from(settings);
            let text = effect.to_text().unwrap();
            let read: Effect = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(read, effect, "{text}");
            for (a, b) in read.settings.iter().zip(settings.iter()) {
                assert_eq!(a.1.to_bits(), b.1.to_bits(), "{text}: {}", a.0.id);
            }
        }
    }
}

#[test]
fn a_text_leaves_out_defaults_and_accepts_units_quotes_and_blanks() {
    let text = |effect: Effect| effect.to_text().unwrap();
    assert_eq!(text(Effect::from_id("saturator").unwrap()), "saturator");
    assert_eq!(
        text(Effect::from_id("clipper").unwrap().with("threshold", -12.5).with("shape", 0.0)),
        "clipper threshold=-12.5 shape=hard"
    );
    let read = |text: &str| text.parse::<Effect>().unwrap();
    let long = read("  saturator\tdrive=24dB  dc-blocker=off tone=\"2 kHz\" oversampling=4x\n");
    let settings = long.settings;
    let value = |id: &str| settings.get(settings.index(id).unwrap());
    assert_eq!((value("drive"), value("dc_blocker"), value("tone"), value("oversampling")), (24.0, 0.0, 2000.0, 2.0));
    assert_eq!(read("neural model=none"), Effect::from_id("neural").unwrap());
}

#[test]
fn every_wrong_text_has_a_message_of_one_line_with_what_was_found_and_expected() {
    for (text, words) in [
        ("", ["no effect", "expected"]),
        ("satorator drive=2", ["satorator", "saturator"]),
        ("saturator drive", ["'drive'", "PARAMETER=VALUE"]),
        ("saturator gain=2", ["'gain'", "drive"]),
        ("saturator drive=2 drive=3", ["drive", "once"]),
        ("bitcrusher post_filter=300 post-filter=400", ["post-filter", "once"]),
        ("saturator drive=999", ["999", "48"]),
        ("saturator drive=much", ["much", "48"]),
        ("saturator model=a.nam", ["saturator", "neural"]),
        ("neural", ["no model", "model=FILE"]),
        ("clipper threshold=\"-3", ["quotation", "another"]),
    ] {
        let error = text.parse::<Effect>().unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)) && error.lines().count() == 1, "{text:?}: {error}");
    }
}

#[test]
fn effects_compare_by_algorithm_settings_and_active_model() {
    let saturator = Effect::from_id("saturator").unwrap();
    assert_eq!(saturator, saturator.clone());
    assert_ne!(saturator, saturator.with("drive", 7.0));
    assert_ne!(saturator, Effect::from_id("clipper").unwrap());
    let (a, b) = (TEST_MODELS[0].effect(), TEST_MODELS[1].effect());
    assert_eq!(a, TEST_MODELS[0].effect());
    assert_ne!(a, b);
    // A model is ignored by an algorithm that plays no models.
    assert_eq!(saturator.clone().with_model(TEST_MODELS[0].model.clone()), saturator);
}

/// Streams a sound in blocks of the lengths `cuts`, again and again. `effects` has the frame from which each effect is used.
fn streamed(effects: &[(usize, Effect)], cuts: &[usize], sound: &[f32], spec: ProcessSpec) -> Vec<f32> {
    let mut state = effects[0].1.state(spec).unwrap();
    let (mut out, mut at, mut cut) = (sound.to_vec(), 0, cuts.iter().cycle());
    let mut index = 0;
    while at < out.len() {
        let next = effects.get(index + 1).map_or(out.len(), |(frame, _)| *frame);
        let to = next.min(at + cut.next().unwrap());
        effects[index].1.process(&mut [&mut out[at..to]], &mut state).unwrap();
        at = to;
        index += usize::from(at == next);
    }
    out
}

#[test]
fn a_stream_does_not_depend_on_its_blocks_and_follows_values() {
    let spec = ProcessSpec::new(48_000.0, 1, 256);
    let sound = generate::pink(48_000, 0.5, 9000, 3).unwrap().channel(0).to_vec();
    for base in REGISTRY
        .iter()
        .map(|row| Effect::new(row))
        .chain(TEST_MODELS.iter().filter(|model| model.stable).map(|model| model.effect()))
        .filter(|e| plays(e, 48_000.0))
    {
        let is_number = |p: &&Parameter| p.change == ChangeMode::Ramped && matches!(p.kind, ParameterKind::Float { .. });
        let ramped = base.algorithm().parameters.iter().find(is_number).expect("a ramped number");
        let (low, high) = (base.with(ramped.id, ramped.value_at(0.1)), base.with(ramped.id, ramped.value_at(0.9)));
        let effects = [(0, low), (3001, high.clone()), (6000, base.clone())];
        let whole = streamed(&effects, &[100_000], &sound, spec);
        assert_eq!(whole, streamed(&effects, &[1, 64, 7, 1000, 255], &sound, spec), "{}", base.algorithm().id);
        assert_ne!(whole, streamed(&effects[..1], &[512], &sound, spec), "{}", base.algorithm().id);
    }
}

#[test]
fn a_duplicated_state_continues_like_the_original() {
    let spec = ProcessSpec::new(48_000.0, 1, 256);
    let sound = generate::pink(48_000, 0.5, 4000, 3).unwrap().channel(0).to_vec();
    let effect = Effect::from_id("saturator").unwrap().with("drive", 20.0);
    let mut state = effect.state(spec).unwrap();
    effect.process(&mut [&mut sound[..1000].to_vec()], &mut state).unwrap();
    let mut copy = state.duplicate().unwrap();
    let (mut one, mut two) = (sound[1000..].to_vec(), sound[1000..].to_vec());
    effect.process(&mut [&mut one], &mut state).unwrap();
    effect.process(&mut [&mut two], &mut copy).unwrap();
    assert_eq!(one, two);
    // A state that is used with another effect starts again.
    let other = Effect::from_id("clipper").unwrap();
    let (mut used, mut fresh) = (sound.clone(), sound.clone());
    other.process(&mut [&mut used], &mut state).unwrap();
    other.process(&mut [&mut fresh], &mut other.state(spec).unwrap()).unwrap();
    assert_eq!(used, fresh);
}

#[cfg(feature = "models")]
#[test]
fn json_reads_back_as_the_same_effect_and_models_by_their_files() {
    for row in REGISTRY {
        for settings in values(row).chain([Settings::new(row)]) {
            let effect = Effect::from(settings);
            let json = effect.to_json().unwrap();
            assert_eq!(Effect::from_json(&serde_json::from_str(&json.to_string()).unwrap()).unwrap(), effect, "{json}");
        }
    }
    let effect: Effect = format!("neural model={MODEL} input=3").parse().unwrap();
    assert_eq!(effect.to_text().unwrap(), format!("neural model={MODEL} input=3"));
    assert_eq!(Effect::from_json(&effect.to_json().unwrap()).unwrap(), effect, "another load of the same file");
    // A path with a blank, a quotation mark and a backslash.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my \"amp\" \\ 1.nam");
    std::fs::copy(MODEL, &path).unwrap();
    let odd = Effect::from_id("neural").unwrap().with_model(isotherm::neural::Model::open(&path).unwrap());
    assert_eq!(odd.to_text().unwrap().parse::<Effect>().unwrap(), odd);
    // A sample rate that the user gives, as the file has none.
    let mut value: serde_json::Value = serde_json::from_slice(&std::fs::read(MODEL).unwrap()).unwrap();
    value.as_object_mut().unwrap().remove("sample_rate");
    let path = folder.path().join("rateless.nam");
    std::fs::write(&path, value.to_string()).unwrap();
    let plain: Effect = format!("neural model={}", path.display()).parse().unwrap();
    let slow: Effect = format!("neural model={} model_rate=44.1k", path.display()).parse().unwrap();
    assert_eq!(slow.model.as_ref().unwrap().info().sample_rate, 44_100.0);
    assert_ne!(slow, plain);
    assert_eq!(slow.to_text().unwrap().parse::<Effect>().unwrap(), slow);
    assert_eq!(Effect::from_json(&slow.to_json().unwrap()).unwrap(), slow);
    for (text, word) in [
        (format!("neural model={MODEL} model_rate=44100"), "expected no other rate than the file's"),
        (format!("neural model={} model_rate=10", path.display()), "expected 1000 to 768000"),
        (format!("neural model={} model_rate=fast", path.display()), "'fast' is no number"),
        ("neural model=none model_rate=48000".into(), "no model"),
    ] {
        let error = text.parse::<Effect>().unwrap_err().to_string();
        assert!(error.contains(word) && error.lines().count() == 1, "{text}: {error}");
    }
    assert!(TEST_MODELS[0].effect().to_text().unwrap_err().to_string().contains("no file"));
    for (json, word) in [
        ("3", "object"),
        (r#"{"settings": {}}"#, "algorithm"),
        (r#"{"algorithm": "saturator", "drive": 3}"#, "drive"),
        (r#"{"algorithm": "saturator", "settings": 5}"#, "settings"),
        (r#"{"algorithm": "saturator", "settings": {"drive": null}}"#, "null"),
        (r#"{"algorithm": "saturator", "settings": {"drive": 1e300}}"#, "32 bits"),
        (r#"{"algorithm": "saturator", "settings": {"dc_blocker": true, "dc-blocker": false}}"#, "twice"),
        (r#"{"algorithm": "saturator", "model": "a.nam"}"#, "plays no model"),
        (r#"{"algorithm": "neural"}"#, "no model"),
    ] {
        let error = Effect::from_json(&serde_json::from_str(json).unwrap()).unwrap_err().to_string();
        assert!(error.contains(word) && error.lines().count() == 1, "{json}: {error}");
    }
}
