//! The page in Chromium, and `report.json` against its schema. Needs `ISOTHERM_PYTHON`, which `cargo xtask test` sets.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use isotherm::compare::{BuiltIn, Limit, Request, SoundSource, compare, write};
use isotherm::measure::{MEASURES, MeasureFn};
use serde_json::Value;

use super::{model, request};

/// Smallest text of a plot in pixels that is readable.
const MIN_TEXT_PX: f64 = 11.0;
/// Most presses of the Tab key up to the first *Play*: one for the way past the sections, one for each section, three for the verdict's
/// numbers, and a few for links and limits.
const MAX_STOPS: u64 = 18;

/// Runs the script, which opens the page, and returns what it has seen.
fn look_at(python: &OsStr, folder: &Path) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done = Command::new(python)
        .arg(root.join("tests/compare/page.py"))
        .arg(folder)
        .arg(root.join("docs/report.schema.json"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn the_page_works_in_a_browser_without_the_network_and_the_report_obeys_its_schema() {
    let Some(python) = std::env::var_os("ISOTHERM_PYTHON") else {
        println!("skipped: ISOTHERM_PYTHON is not set");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("report");
    let sounds = [BuiltIn::Guitar, BuiltIn::Drums].map(|kind| SoundSource::BuiltIn(kind, -3.0, 1)).to_vec();
    let twin = format!("neural model={}", model("saturator-24db-lstm8.nam"));
    let request =
        Request { cost_seconds: 0.1, limits: Limit::parse("esr=1").unwrap(), ..request("saturator drive=24", &twin, sounds) };
    let finished = compare(&request, &|_| true).unwrap();
    write(&finished, &folder, false, &|| true).unwrap();

    let seen = look_at(&python, &folder);
    assert_eq!(seen["schema_errors"], Value::Array(Vec::new()));
    for (width, view) in seen["views"].as_object().unwrap() {
        assert_eq!(view["errors"], Value::Array(Vec::new()), "{width}");
        assert_eq!(view["requests"], Value::Array(Vec::new()), "{width}: requests to the network");
        assert_eq!(view["unnamed"], Value::Array(Vec::new()), "{width}: controls without a name");
        assert_eq!(view["scroll_width"], view["width"], "{width}: the page scrolls sideways");
        // Two plots of the sound that is shown, eleven of the sides alone, one of the time.
        assert!(view["shown"] == 14 && view["shown"] == view["drawn"], "{view}");
        assert!(view["text"].as_f64().unwrap() >= MIN_TEXT_PX, "{width}: {} px", view["text"]);
        assert_eq!(view["tables"]["silent"], 0, "{width}: a table scrolls and does not say so: {}", view["tables"]);
        assert!(view["tables"]["first"].as_f64().unwrap() <= view["width"].as_f64().unwrap(), "{width}: {}", view["tables"]);
    }
    the_page_is_laid_out(&seen);
    players_and_windows_work_by_keys(&seen);
    assert_ne!(seen["views"]["wide"]["paper"], seen["views"]["dark"]["paper"], "dark is not light");
    let player = &seen["player"];
    assert_eq!([&player["state"], &player["heard"], &player["stopped"]], ["playing", "b", "stopped"]);
    let place = |key: &str| player[key].as_f64().unwrap();
    // A switch goes on at the same place: it takes the time between the two looks, and nothing is skipped or begun again.
    let (passed, moved) = (place("clock_after") - place("clock_before"), place("after") - place("before"));
    assert!(place("before") > 0.0 && (moved - passed).abs() < 0.1, "{player}");
    assert!(seen["keys"]["readout"].as_str().unwrap().contains("Hz: B "), "{seen}");
    assert_ne!(seen["keys"]["whole"], seen["keys"]["zoomed"]);
    assert_eq!(seen["keys"]["whole"], seen["keys"]["again"]);
    assert_eq!(seen["definition_open"], true);
    assert_eq!(seen["definitions_of_table"], 9);
    assert_eq!(seen["sound_shown"], 1);
}

/// The order of the page, its tables, its plots and its paper.
fn the_page_is_laid_out(seen: &Value) {
    let sections: Vec<&str> = seen["sections"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!(sections[..3], ["verdict", "listen", "ruler"]);
    assert!(seen["stops_before_play"].as_u64().unwrap() <= MAX_STOPS, "{}", seen["stops_before_play"]);
    assert_eq!(seen["ruler_stops"], seen["rulers"], "a table of the ruler has one Tab stop, for its definitions");
    assert!(seen["cost"].as_str().unwrap().contains("times as long as A, by the median block"), "{}", seen["cost"]);
    assert_eq!(seen["cost_link"], "#cost");
    for fact in ["SIMD level", "Processor", "Date", "does not name that folder"] {
        assert!(seen["reproduce"].as_str().unwrap().contains(fact), "{fact}: {}", seen["reproduce"]);
    }
    let wide = &seen["views"]["wide"];
    assert_eq!(wide["tables"]["wide"], Value::Array(Vec::new()), "a table is cut at 1280 px");
    assert_eq!(wide["tables"]["costs"], serde_json::json!([5, 10, 5, 10]));
    assert_eq!(wide["tables"]["heads"], serde_json::json!(["NMR dB", "NMR dB"]));
    let sizes = ["16", "32", "64", "128", "256", "512", "1024", "2048", "4096", "Block, frames"];
    assert_eq!(wide["ticks"]["cost"], serde_json::json!(sizes));
    let hertz = ["50", "100", "200", "500", "1k", "2k", "5k", "10k", "20k", "Frequency, Hz"];
    assert_eq!(wide["ticks"]["magnitude"], serde_json::json!(hertz));
    // A colour and a line mean the same in every plot.
    for curve in wide["curves"].as_array().unwrap() {
        let text = |index: usize| curve[index].as_str().unwrap();
        let (name, colour, dash) = (text(1), text(2), text(3));
        let is_harmonic = text(0).starts_with("harmonics");
        match name.split(' ').next().unwrap() {
            "B" if name == "B less A" => assert_eq!((colour, dash), ("difference", "solid")),
            "A" => assert!(dash == "solid" && (is_harmonic || colour == "a"), "{curve}"),
            "B" => assert!(dash == "dashed" && (is_harmonic || colour == "b"), "{curve}"),
            _ => assert!(dash == "dotted" && ["warn", "ruler"].contains(&colour), "{curve}"),
        }
        assert_eq!(is_harmonic, colour.starts_with('h'), "{curve}");
    }
    let (printed, again) = (&seen["print"]["printed"], &seen["print"]["again"]);
    assert_eq!([&printed["sounds"], &printed["folded"], &printed["broken_heads"]], [2, 0, 0]);
    assert_eq!(printed["drawn"], 16, "the plots of both sounds are printed");
    assert_eq!(printed["definitions"], MEASURES.len());
    assert_eq!([&again["sounds"], &again["definitions"]], [1, 0], "afterwards they are folded again");
}

/// The keys of a player, and the buttons beside the worst windows.
fn players_and_windows_work_by_keys(seen: &Value) {
    let keys = &seen["player_keys"];
    assert_eq!(keys["heard_at_place"], serde_json::json!(["input", "a", "b", "difference"]));
    assert_eq!(keys["heard_at_list"], "a");
    assert_eq!([&keys["state_after_space_at_list"], &keys["state_after_space"]], ["stopped", "stopped"]);
    assert_eq!(keys["space_plays"], true);
    assert!((keys["step"].as_f64().unwrap() - 0.5).abs() < 0.01, "{keys}");
    // Half a second, and the time that passes between the two looks.
    for moved in keys["moves"].as_array().unwrap() {
        assert!(moved.as_f64().unwrap() >= 0.45, "{keys}");
    }
    let windows = &seen["windows"];
    assert_eq!([&windows["focused"], &windows["text"], &windows["text_again"]], ["Hear", "Stop", "Hear"]);
    assert!(windows["name"].as_str().unwrap().starts_with("Stop window 1 of "), "{windows}");
    assert_eq!([&windows["plays"], &windows["moved"]], [&Value::from(true), &Value::from(0)]);
    // A first, whatever was heard last in the player.
    assert_eq!([&windows["heard"], &windows["heard_after_key"]], ["a", "b"]);
    assert_eq!([&windows["player"], &windows["stopped"]], ["stopped", "stopped"]);
}

#[test]
fn a_report_names_every_file_and_the_table_has_a_row_for_each_figure() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("report");
    let request = request("saturator", "clipper", vec![SoundSource::BuiltIn(BuiltIn::Noise, -20.0, 1)]);
    let finished = compare(&Request { cost_seconds: 0.1, ..request }, &|_| true).unwrap();
    write(&finished, &folder, false, &|| true).unwrap();
    let mut names: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    for name in ["index.html", "magnitude.png", "mask-0.png", "measures.csv", "octaves-0.png", "report.json", "transfer.png"] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
    assert!(std::fs::read(folder.join("magnitude.png")).unwrap().starts_with(b"\x89PNG"));
    let json: Value = serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
    assert_eq!((&json["schema"], &json["schema_version"]), (&"isotherm-comparison".into(), &1.into()));
    let csv = std::fs::read_to_string(folder.join("measures.csv")).unwrap();
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("sound,side,measure,unit,figure"));
    let lines: Vec<&str> = lines.collect();
    let aligned: Vec<&str> = lines.iter().copied().filter(|line| line.starts_with("noise -20 dBFS,aligned,")).collect();
    assert_eq!(aligned.len(), json["sounds"][0]["aligned"].as_object().unwrap().len());
    assert!(aligned.iter().any(|line| line.starts_with("noise -20 dBFS,aligned,esr,,")), "{aligned:?}");
    // Every block size, side and measure of time and memory has one row with the figure of the report.
    let costs = MEASURES.iter().filter(|row| matches!(row.function, MeasureFn::Cost(_)));
    let mut expected = Vec::new();
    for (side, table) in [("a", &finished.report.costs.a), ("b", &finished.report.costs.b)] {
        for size in &table.as_ref().unwrap().rows {
            for row in costs.clone() {
                let figure =
                    row.cost(size).filter(|figure| figure.is_finite()).map_or_else(String::new, |figure| figure.to_string());
                expected.push(format!("blocks of {},{side},{},{},{figure}", size.block, row.id, row.unit.symbol()));
            }
        }
    }
    assert_eq!(expected.len(), 9 * 2 * 15);
    assert_eq!(lines.iter().copied().filter(|line| line.starts_with("blocks of ")).collect::<Vec<_>>(), expected);
}
