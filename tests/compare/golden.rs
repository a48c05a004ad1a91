//! A stored report: the saturator against its twin on two sounds. A change of a measure, an effect or the report shows here.

use std::path::Path;

use isotherm::compare::{BuiltIn, SoundSource};
use serde_json::Value;

use super::{finish, model};

/// Largest difference of two figures: as a share, or absolute: of decibels and loudness, and of everything else. A ratio of
/// energies has no absolute tolerance: its scale is the figure's own.
const SHARE: f64 = 0.01;
const ABSOLUTE_DB: f64 = 0.05;
const ABSOLUTE: f64 = 1e-3;
/// Keys that depend on the machine, on paths or on the version, and curves of many points, which other tests hold.
const LEFT_OUT: [&str; 11] = [
    "machine",
    "program",
    "command",
    "text",
    "path",
    "measures",
    "characteristics",
    "noise_to_mask",
    "costs",
    "sha256",
    "worst_windows",
];

/// The report without [`LEFT_OUT`].
fn pruned(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            map.into_iter().filter(|(key, _)| !LEFT_OUT.contains(&key.as_str())).map(|(key, v)| (key, pruned(v))).collect()
        }
        Value::Array(values) => values.into_iter().map(pruned).collect(),
        other => other,
    }
}

/// Adds the places where two reports differ.
fn differences(path: &str, stored: &Value, found: &Value, out: &mut Vec<String>) {
    match (stored, found) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                differences(&format!("{path}.{key}"), &stored[key], &found[key], out);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().for_each(|(i, (a, b))| differences(&format!("{path}[{i}]"), a, b, out));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            let key = path.rsplit('.').next().unwrap_or_default();
            let is_level = ["_db", "_dbfs", "_dbtp", "lufs", "figure"].iter().any(|end| key.ends_with(end));
            let absolute = match key {
                _ if is_level => ABSOLUTE_DB,
                key if key.starts_with("esr") => 0.0,
                _ => ABSOLUTE,
            };
            if (a - b).abs() > absolute.max(SHARE * a.abs()) {
                out.push(format!("{path}: {a} stored, {b} found"));
            }
        }
        // The sentences hold rounded figures, which are compared as numbers elsewhere.
        (Value::String(_), Value::String(_)) if path.contains("sentences") || path.contains(".deciding") => {}
        (a, b) if a == b => {}
        (a, b) => out.push(format!("{path}: {a} stored, {b} found")),
    }
}

#[test]
fn the_twin_of_the_saturator_has_its_stored_report() {
    let sounds = [BuiltIn::Guitar, BuiltIn::Drums].map(|kind| SoundSource::BuiltIn(kind, -3.0, 1)).to_vec();
    let twin = format!("neural model={}", model("saturator-24db-lstm16.nam"));
    let report = finish("saturator drive=24", &twin, sounds).report;
    let found = pruned(serde_json::from_str(&report.to_json().unwrap()).unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compare/golden.json");
    if std::env::var_os("ISOTHERM_BLESS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
    }
    let stored: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut out = Vec::new();
    differences("report", &stored, &found, &mut out);
    assert!(out.is_empty(), "{out:#?}");
}
