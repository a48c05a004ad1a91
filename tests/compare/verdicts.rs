//! Stored comparisons with their verdicts: `verdicts.json`. Sides called `made:...` are files made of side A.

use std::path::Path;

use isotherm::audio::wav::{WavFormat, write};
use isotherm::audio::{Audio, generate};
use isotherm::compare::{BuiltIn, MeasureFacts, SoundSource, VERDICTS, low_pass};
use isotherm::effect::Effect;
use isotherm::render::render;
use serde_json::Value;

use super::{finish, model};

/// Frames by which the delayed file is late, and the gain in dB of the louder one.
const DELAY_FRAMES: usize = 37;
const GAIN_DB: f64 = 1.5;

/// The sounds of the stored comparisons.
fn sounds() -> Vec<SoundSource> {
    vec![SoundSource::BuiltIn(BuiltIn::Guitar, -3.0), SoundSource::BuiltIn(BuiltIn::Drums, -3.0)]
}

/// Writes the files of a made side: side A's output for each sound, changed.
fn make(folder: &Path, kind: &str, a: &str) {
    let effect: Effect = a.parse().unwrap();
    for source in sounds() {
        let sound = source.load().unwrap();
        let mut out = render(&effect, &sound.audio).unwrap();
        match kind {
            "gain" => out.gain_db(GAIN_DB),
            "delay" => {
                out = Audio::concatenate(&[&Audio::silence(out.sample_rate(), out.channels(), DELAY_FRAMES), &out]).unwrap();
            }
            "polarity" => out = out.multiply(-1.0).unwrap(),
            "inverted_half" => out = out.multiply(-0.5).unwrap(),
            "low_pass" => out = low_pass(&out).unwrap(),
            "other_sound" => out = generate::pink(out.sample_rate(), 0.1, out.frames(), 7).unwrap(),
            other => panic!("{other}"),
        }
        write(folder.join(format!("{}.wav", sound.name)), &out, WavFormat::Float32).unwrap();
    }
}

#[test]
fn every_stored_comparison_gives_its_stated_verdict() {
    let stored: Vec<Value> = serde_json::from_str(include_str!("verdicts.json")).unwrap();
    let mut wrong = Vec::new();
    for case in &stored {
        let [name, a, b, verdict] = ["name", "a", "b", "verdict"].map(|key| case[key].as_str().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let b = match b.split_once(':') {
            Some(("made", kind)) => {
                make(folder.path(), kind, a);
                format!("file:{}", folder.path().display())
            }
            Some(("model", file)) => format!("neural model={}", model(file)),
            _ => b.to_owned(),
        };
        let report = finish(a, &b, sounds()).report;
        if report.verdict.id != verdict {
            wrong.push(format!("{name}: {} instead of {verdict}: {:?}", report.verdict.id, report.verdict));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_documentation_states_every_rule_of_the_decision_table() {
    let page = include_str!("../../docs/comparing.md");
    for row in VERDICTS {
        assert!(page.contains(&format!("`{}`", row.id)) && page.contains(row.rule), "{}: {}", row.id, row.rule);
    }
}

#[test]
fn a_low_pass_that_scores_like_the_twin_is_called_a_trap() {
    let report = finish("saturator drive=24", &format!("neural model={}", model("saturator-24db-lstm16.nam")), sounds()).report;
    assert_eq!(report.tally(), "A close twin: 2");
    let trap = report.trap.unwrap();
    assert!(trap.low_pass_null_db - trap.b_null_db < 10.0, "{trap:?}");
    assert!(trap.low_pass_nmr_db.unwrap() > trap.b_nmr_db.unwrap(), "{trap:?}");
}

/// The table of measures for `docs/comparing.md`.
fn table_of_measures() -> String {
    let mut table = "| measure | id | better | definition |\n|---|---|---|---|\n".to_owned();
    for measure in MeasureFacts::all() {
        table += &format!("| {} | `{}` | {} | {} |\n", measure.name, measure.id, measure.better, measure.definition);
    }
    table
}

#[test]
fn the_documentation_defines_every_measure() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/comparing.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("## The measures\n").unwrap();
    let (_, after) = rest.split_once("## report.json\n").unwrap();
    let expected = format!("{before}## The measures\n\n{}\n## report.json\n{after}", table_of_measures());
    if std::env::var_os("ISOTHERM_BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap() == expected, "ISOTHERM_BLESS=1 writes the table of measures");
}
