//! Sides of a test: from a listener's choice to values that a session's folder keeps.

use isotherm::audio::wav::{WavFormat, write};
use isotherm::audio::{Audio, generate};
use isotherm::effect::Effect;
use isotherm::listen::{Change, ResolvedSide, SideChoice, SideError, SideSource, resolve_sides};

fn sound() -> Audio {
    generate::pink(48_000, 0.1, 96_000, 1).unwrap()
}

fn slots() -> [Effect; 2] {
    ["saturator drive=18", "bitcrusher"].map(|text| text.parse().unwrap())
}

fn resolve(a: SideChoice, b: SideChoice) -> Result<[ResolvedSide; 2], SideError> {
    resolve_sides(&[a, b], &slots(), &sound())
}

fn changed(setting: &str) -> SideChoice {
    SideChoice::Changed(Change::Setting(setting.into()))
}

fn effect_of(side: &ResolvedSide) -> &Effect {
    let SideSource::Effect(effect) = &side.source else { panic!("{side:?}") };
    effect
}

#[test]
fn a_side_is_a_slot_an_effect_the_dry_sound_or_the_other_side_with_one_thing_changed() {
    let [a, b] = resolve(SideChoice::Slot(0), SideChoice::Slot(1)).unwrap();
    assert_eq!([effect_of(&a), effect_of(&b)], [&slots()[0], &slots()[1]]);
    assert_eq!(a.text, "slot A: saturator drive=18");
    let [a, b] = resolve(changed("oversampling=2x"), SideChoice::Slot(0)).unwrap();
    assert_eq!(effect_of(&a), &slots()[0].with_setting("oversampling=2x").unwrap());
    assert_eq!(effect_of(&b), &slots()[0]);
    assert!(a.text.starts_with("B with oversampling=2x: saturator drive=18"), "{}", a.text);
    let [a, b] = resolve(SideChoice::Dry, SideChoice::Changed(Change::GainDb(0.5))).unwrap();
    assert_eq!((a.source, a.change), (SideSource::Dry, None));
    assert_eq!((b.source, b.change, b.text.as_str()), (SideSource::Dry, Some(Change::GainDb(0.5)), "A +0.5 dB"));
}

#[test]
fn a_choice_that_makes_no_side_is_refused_in_one_line() {
    let refusal = |a, b| {
        let text = resolve(a, b).unwrap_err().to_string();
        assert!(!text.contains('\n'));
        text
    };
    assert!(refusal(changed("drive=1"), changed("drive=2")).starts_with("both sides are the other side"));
    assert_eq!(refusal(SideChoice::Slot(2), SideChoice::Dry), "slot 2; expected 0 (A) or 1 (B)");
    assert!(refusal(SideChoice::Dry, changed("drive=2")).contains("the other side is dry, which has no settings"));
    assert!(refusal(SideChoice::Slot(0), changed("drive=2 mix=50")).contains("is no setting"));
    assert!(refusal(SideChoice::Slot(0), changed("volume=2")).contains("volume"));
    assert!(refusal(SideChoice::Slot(0), changed("model=x.nam")).contains("plays no model"));
    assert!(
        refusal(SideChoice::Slot(0), SideChoice::Changed(Change::GainDb(60.0))).contains("gain of 60; expected -24 to 24 dB")
    );
    assert!(refusal(SideChoice::Slot(0), SideChoice::Changed(Change::DelayFrames(f32::NAN))).contains("delay of NaN"));
    assert!(refusal(SideChoice::Effect("saturatr".into()), SideChoice::Dry).contains("saturatr"));
    let folder = tempfile::tempdir().unwrap();
    assert!(refusal(SideChoice::File(folder.path().join("none.wav")), SideChoice::Dry).contains("none.wav"));
    let path = folder.path().join("other.wav");
    write(&path, &Audio::from_mono(44_100, sound().channel(0)).unwrap(), WavFormat::Int24).unwrap();
    assert!(refusal(SideChoice::File(path), SideChoice::Dry).contains("44100 Hz; expected 48000 Hz"));
}

#[test]
fn a_side_is_loaded_from_the_folder_as_it_was_saved_with_the_bytes_of_its_model() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("a model.nam");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/saturator-lstm8.nam"), &model).unwrap();
    let file = folder.path().join("wet.wav");
    write(&file, &sound(), WavFormat::Float32).unwrap();
    let neural = SideChoice::Effect(format!("neural model=\"{}\" input=3", model.display()));
    let session = tempfile::tempdir().unwrap();
    let pairs = [
        (neural.clone(), SideChoice::Changed(Change::DelayFrames(1.5))),
        (neural, changed("model=none")),
        (SideChoice::File(file), SideChoice::Dry),
        (SideChoice::Slot(0), SideChoice::Slot(1)),
    ];
    for (a, b) in pairs {
        let sides = resolve(a, b).unwrap();
        for (side, name) in sides.iter().zip(["a", "b"]) {
            side.save(session.path(), name).unwrap();
        }
        for (side, name) in sides.iter().zip(["a", "b"]) {
            assert_eq!(&ResolvedSide::load(session.path(), name).unwrap(), side);
        }
    }
}

#[test]
fn a_file_of_a_session_that_holds_no_side_is_named() {
    let session = tempfile::tempdir().unwrap();
    let refusal = |text: &str| {
        std::fs::write(session.path().join("a.json"), text).unwrap();
        let refusal = ResolvedSide::load(session.path(), "a").unwrap_err().to_string();
        assert!(!refusal.contains('\n'), "{refusal}");
        refusal
    };
    assert!(ResolvedSide::load(session.path(), "a").unwrap_err().to_string().contains("a.json: "));
    assert!(refusal("{").contains("expected a side of a test as JSON"));
    assert!(refusal("{}").contains("expected a kind of side"));
    assert!(refusal(r#"{"kind": "wet", "text": "x", "change": null}"#).contains("kind 'wet'; expected effect, file or dry"));
    assert!(refusal(r#"{"kind": "dry", "text": "x", "change": 3}"#).contains("expected a gain, a delay or null"));
    assert!(refusal(r#"{"kind": "effect", "effect": {"algorithm": "x"}, "text": "x", "change": null}"#).contains('x'));
    // A name never leads out of the folder.
    let outside = session.path().parent().unwrap().join("outside.wav");
    let text =
        refusal(&format!(r#"{{"kind": "file", "file": {outside:?}, "name": "x", "lead": 0, "text": "x", "change": null}}"#));
    assert!(text.contains(&session.path().display().to_string()), "{text}");
}

#[cfg(unix)]
#[test]
fn a_file_whose_name_is_not_utf_8_has_a_place_in_the_record() {
    use std::os::unix::ffi::OsStrExt;
    let odd = SideChoice::File(std::ffi::OsStr::from_bytes(b"r\xfe.wav").into());
    let text = serde_json::to_string(&odd).unwrap();
    assert_eq!(serde_json::from_str::<SideChoice>(&text).unwrap(), SideChoice::File("r\u{fffd}.wav".into()));
}
