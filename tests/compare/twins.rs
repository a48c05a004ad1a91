//! The shipped twins of the saturator by octave, on sounds that neither a training nor a choice of its settings ever used: generated
//! from seeds of their own, at a level between those of the training's held-out sounds.

use std::collections::BTreeMap;
use std::path::Path;

use isotherm::audio::{Audio, generate};
use isotherm::effect::Effect;
use isotherm::measure::{Comparison, audible_bands, octaves};
use isotherm::render::render;
use serde_json::Value;

use super::model;

/// The twins with their originals.
const TWINS: [(&str, &str); 4] = [
    ("saturator-lstm8.nam", "saturator"),
    ("saturator-lstm16.nam", "saturator"),
    ("saturator-24db-lstm8.nam", "saturator drive=24"),
    ("saturator-24db-lstm16.nam", "saturator drive=24"),
];
/// Largest difference of a stored figure and a measured one in dB: SIMD levels round differently.
const TOLERANCE_DB: f64 = 0.5;
/// Peak of the sounds in dBFS.
const PEAK_DB: f64 = -7.0;

/// The sounds by name.
fn sounds() -> [(&'static str, Audio); 3] {
    let rate = 48_000;
    [
        ("guitar", generate::guitar(rate, 1, 7001).unwrap()),
        ("drums", generate::drums(rate, 1, 7002).unwrap()),
        ("speech-like", generate::speech(rate, 7003).unwrap()),
    ]
    .map(|(name, mut audio)| {
        audio.normalise_peak(PEAK_DB).unwrap();
        (name, audio)
    })
}

/// Error in dB of the octaves that are not faint, from 31.5 Hz to 16 kHz, by twin and sound.
fn measured() -> BTreeMap<String, BTreeMap<String, Vec<Option<f64>>>> {
    let sounds = sounds();
    let of = |(file, original): (&str, &str)| {
        let original: Effect = original.parse().unwrap();
        let twin: Effect = format!("neural model={}", model(file)).parse().unwrap();
        let errors = sounds.iter().map(|(name, sound)| {
            let (a, b) = (render(&original, sound).unwrap(), render(&twin, sound).unwrap());
            let bands = octaves(&Comparison::new(&a, &b).unwrap());
            let audible = audible_bands(&bands.iter().map(|band| (band.hz, band.signal_db)).collect::<Vec<_>>());
            let error = |(band, is_audible): (&isotherm::measure::BandError, bool)| band.error_db.filter(|_| is_audible);
            ((*name).to_owned(), bands.iter().zip(audible).map(error).collect())
        });
        (file.to_owned(), errors.collect())
    };
    TWINS.into_iter().map(of).collect()
}

#[test]
fn the_shipped_twins_have_their_stored_error_in_each_octave_of_sounds_that_nothing_was_chosen_on() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compare/twins.json");
    let found = measured();
    if std::env::var_os("ISOTHERM_BLESS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
    }
    let stored: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for (twin, sounds) in &found {
        for (sound, octaves) in sounds {
            let expected: Vec<Option<f64>> = stored[twin][sound].as_array().unwrap().iter().map(Value::as_f64).collect();
            assert_eq!(octaves.len(), expected.len());
            for (octave, (found, expected)) in octaves.iter().zip(expected).enumerate() {
                let is_near = match (found, expected) {
                    (Some(found), Some(expected)) => (found - expected).abs() <= TOLERANCE_DB,
                    (found, expected) => found.is_none() && expected.is_none(),
                };
                assert!(is_near, "{twin} on {sound}, octave {octave}: {found:?} found, {expected:?} stored");
            }
        }
    }
}
