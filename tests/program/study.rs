//! `isotherm study`: the table, what resumes, cells as processes of their own, frontiers, and calls that cannot be done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use isotherm::audio::generate;
use isotherm::audio::wav::{WavFormat, write};
use serde_json::Value;

use crate::run::{failure_line, isotherm, run_failing};

/// A study of three pairs and two sounds, one of them random with two seeds.
const STUDY: &str = r#"
title = "Clipping"
cost_seconds = 0
seeds = [1, 2]
pairs = [["warm", "near"], ["warm", "twin"], ["hard", "near"]]

[effects]
warm = "saturator drive=24"
hard = "clipper"

[models]
near = "saturator drive=23"
twin = "MODEL"

[sounds]
noise = "noise.wav"
drums = "drums -20"
"#;
/// Cells of that study.
const CELLS: usize = 9;

/// Writes noise that is the same for the same seed.
fn write_noise(home: &Path, name: &str, frames: usize, seed: u64) {
    write(home.join(name), &generate::pink(48_000, 0.1, frames, seed).unwrap(), WavFormat::Float32).unwrap();
}

/// Half a second of noise, and a study beside it; returns the study's path.
fn study(home: &Path, text: &str) -> String {
    write_noise(home, "noise.wav", 24_000, 1);
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/saturator-24db-lstm8.nam");
    let path = home.join("study.toml");
    std::fs::write(&path, text.replace("MODEL", &model.display().to_string())).unwrap();
    path.display().to_string()
}

/// The files of a folder that a user reads, by name, with their contents.
fn tables(folder: &Path) -> BTreeMap<String, String> {
    ["study.json", "table.csv", "index.html"]
        .into_iter()
        .map(|name| (name.to_owned(), std::fs::read_to_string(folder.join(name)).unwrap()))
        .collect()
}

/// The files of [`STUDY`], made in one go; once for all tests.
fn whole() -> &'static (tempfile::TempDir, BTreeMap<String, String>) {
    static WHOLE: OnceLock<(tempfile::TempDir, BTreeMap<String, String>)> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let home = tempfile::tempdir().unwrap();
        let file = study(home.path(), STUDY);
        lines(&["study", &file, "--out", &home.path().join("out").display().to_string()]);
        let tables = tables(&home.path().join("out"));
        (home, tables)
    })
}

/// The table of a study as JSON.
fn table(folder: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join("study.json")).unwrap()).unwrap()
}

/// Runs a command that succeeds and returns its lines.
fn lines(arguments: &[&str]) -> Vec<String> {
    let done = isotherm(arguments);
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn every_pair_on_every_sound_is_a_row_that_equals_a_comparison() {
    let (home, tables) = whole();
    let table = table(&home.path().join("out"));
    let rows = table["rows"].as_array().unwrap();
    // Three pairs on the noise, and on drums from both seeds.
    assert_eq!(rows.len(), CELLS);
    assert!(rows.iter().all(|row| row["status"] == "done"), "{table}");
    let names: Vec<String> =
        rows.iter().take(4).map(|row| format!("{} {} {}", row["model"], row["sound"], row["seed"])).collect();
    assert_eq!(names, ["\"near\" \"noise\" null", "\"near\" \"drums\" 1", "\"near\" \"drums\" 2", "\"twin\" \"noise\" null"]);
    let figure = |row: &Value, id: &str| row["figures"][id].as_f64().unwrap();
    // Another seed is another sound.
    assert_ne!(figure(&rows[1], "null_db"), figure(&rows[2], "null_db"));
    let sound = home.path().join("noise.wav").display().to_string();
    let sides = ["--a", "saturator drive=24", "--b", "saturator drive=23"];
    let compared = lines(&[&["compare", &sound][..], &sides, &["--cost-seconds", "0", "--json"]].concat());
    let report: Value = serde_json::from_str(&compared.join("\n")).unwrap();
    assert_eq!(report["sounds"][0]["aligned"], rows[0]["figures"]);
    assert_eq!(report["sounds"][0]["verdict"], rows[0]["verdict"]);
    let csv = &tables["table.csv"];
    let head: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    let first: Vec<&str> = csv.lines().nth(1).unwrap().split(',').collect();
    assert_eq!((csv.lines().count(), head.len()), (1 + rows.len(), first.len()));
    let column = head.iter().position(|name| *name == "nmr_db").unwrap();
    assert_eq!(first[column].parse::<f64>().unwrap(), figure(&rows[0], "nmr_db"));
    assert_eq!(&first[..6], ["warm.near.noise", "warm", "near", "noise", "", "done"]);
}

#[test]
fn the_same_study_as_processes_of_their_own_gives_the_same_table() {
    let home = tempfile::tempdir().unwrap();
    let file = study(home.path(), STUDY);
    let apart = home.path().join("apart");
    let plan = lines(&["study", "plan", &file, "--out", &apart.display().to_string()]);
    assert_eq!(plan.len(), CELLS);
    // The last first, as a cluster may run them.
    for (index, line) in plan.iter().rev().enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(&words[..3], ["isotherm", "study", "cell"], "{line}");
        lines(&words[1..]);
        if index == 3 {
            let half = isotherm(&["study", "collect", &apart.display().to_string()]);
            assert_eq!(half.status.code(), Some(3));
            assert!(String::from_utf8(half.stderr).unwrap().trim_end().ends_with("5 of 9 rows have no figures"));
            assert_eq!(table(&apart)["rows"][0]["reason"], "not run");
            // What is left to run is all that the plan lists now.
            assert_eq!(lines(&["study", "plan", &file, "--out", &apart.display().to_string()]).len(), 5);
        }
    }
    lines(&["study", "collect", &apart.display().to_string()]);
    assert_eq!(tables(&apart), whole().1);
}

#[test]
fn a_study_that_is_killed_goes_on_to_the_same_table() {
    let home = tempfile::tempdir().unwrap();
    let file = study(home.path(), STUDY);
    let killed = home.path().join("killed");
    let arguments = ["study", &file, "--out", &killed.display().to_string()];
    let mut child = Command::new(env!("CARGO_BIN_EXE_isotherm")).args(arguments).stdout(Stdio::null()).spawn().unwrap();
    let cells = || std::fs::read_dir(killed.join("cells")).into_iter().flatten().flatten().map(|entry| entry.path());
    let results = || cells().filter(|path| path.extension().is_some_and(|ending| ending == "json")).count();
    let start = Instant::now();
    while results() < 2 {
        assert!(start.elapsed() < Duration::from_secs(300), "no result of a cell");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = results();
    assert!(before < CELLS, "{before}");
    let said = lines(&arguments);
    assert!(said[0].ends_with("of 9 cells are done already"), "{said:?}");
    assert_eq!(tables(&killed), whole().1);
}

#[test]
fn a_cell_that_fails_or_is_killed_is_a_row_that_says_why_and_the_rest_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let text = "cost_seconds = 0\n[effects]\na = \"saturator\"\n[models]\nwet = \"file:wet.wav\"\nb = \"clipper\"\n[sounds]\nnoise = \"noise.wav\"\n";
    let file = study(home.path(), text);
    // A quarter of a second is too short to compare with half a second.
    write_noise(home.path(), "wet.wav", 12_000, 1);
    let out = home.path().join("out").display().to_string();
    let done = isotherm(&["study", &file, "--out", &out]);
    assert_eq!(done.status.code(), Some(3));
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("a.wet.noise on noise: failed: wet.wav: ") && said.contains("0.25 s long; expected"), "{said}");
    let rows = table(Path::new(&out))["rows"].clone();
    assert_eq!((&rows[0]["status"], &rows[1]["status"]), (&"failed".into(), &"done".into()));
    assert!(std::fs::read_to_string(Path::new(&out).join("table.csv")).unwrap().contains(",failed,"));
    // The reason is mended, and the same command does what is left.
    write_noise(home.path(), "wet.wav", 24_000, 1);
    lines(&["study", &file, "--out", &out]);
    assert_eq!(table(Path::new(&out))["rows"][0]["status"], "done");
}

/// Starts a study of one cell, which takes ten minutes. Returns its process, its arguments and its folder.
fn long_study(home: &Path) -> (Child, [String; 4], PathBuf) {
    let text = "cost_seconds = 600\n[effects]\na = \"saturator\"\n[models]\nb = \"clipper\"\n[sounds]\nnoise = \"noise.wav\"\n";
    let out = home.join("out");
    let arguments = ["study".into(), study(home, text), "--out".into(), out.display().to_string()];
    let program = env!("CARGO_BIN_EXE_isotherm");
    let child = Command::new(program).args(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    (child, arguments, out)
}

#[test]
fn a_process_that_is_killed_is_a_row_with_the_signal() {
    let home = tempfile::tempdir().unwrap();
    let (child, _, out) = long_study(home.path());
    let start = Instant::now();
    let cell = loop {
        assert!(start.elapsed() < Duration::from_secs(60), "no process of a cell");
        let found = Command::new("pgrep").args(["-P", &child.id().to_string()]).output().unwrap();
        if let Ok(id) = String::from_utf8(found.stdout).unwrap().trim().parse::<i32>() {
            break nix::unistd::Pid::from_raw(id);
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    nix::sys::signal::kill(cell, nix::sys::signal::Signal::SIGKILL).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(3));
    let row = &table(&out)["rows"][0];
    assert_eq!(row["status"], "failed");
    assert!(row["reason"].as_str().unwrap().contains("signal: 9"), "{row}");
}

#[test]
fn ctrl_c_ends_the_study_and_its_cell_with_a_line_that_says_how_to_go_on() {
    let home = tempfile::tempdir().unwrap();
    let (child, arguments, out) = long_study(home.path());
    let start = Instant::now();
    while !out.join("cells/.a.b.noise.lock").is_file() {
        assert!(start.elapsed() < Duration::from_secs(60), "no cell");
        std::thread::sleep(Duration::from_millis(5));
    }
    // A second process is refused before it writes anything, also with another plan.
    let plan = std::fs::read_to_string(out.join("plan.json")).unwrap();
    let other = STUDY.replace("MODEL", "clipper");
    std::fs::write(&arguments[1], other).unwrap();
    for call in [&["study"][..], &["study", "plan"]] {
        let call: Vec<&str> = call.iter().copied().chain(arguments[1..].iter().map(String::as_str)).collect();
        assert!(run_failing(&call, 1).contains("another process runs this study; expected it to end first"));
    }
    assert_eq!(std::fs::read_to_string(out.join("plan.json")).unwrap(), plan);
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let line = failure_line(child.wait_with_output().unwrap(), &arguments.each_ref().map(String::as_str), 1);
    assert!(line.ends_with("interrupted: 0 of 1 cells are done; the same command goes on\n"), "{line}");
    assert!(!out.join("study.json").exists() && !out.join("cells/a.b.noise.json").exists());
}

#[test]
fn a_changed_study_or_file_runs_only_what_changed() {
    let home = tempfile::tempdir().unwrap();
    let text = "cost_seconds = 0\n[effects]\na = \"saturator\"\n[models]\nb = \"clipper\"\nc = \"saturator drive=3\"\n[sounds]\nnoise = \"noise.wav\"\n";
    let file = study(home.path(), text);
    let out = home.path().join("out").display().to_string();
    let plan = |file: &str| lines(&["study", "plan", file, "--out", &out]).len();
    lines(&["study", &file, "--out", &out]);
    assert_eq!(plan(&file), 0);
    study(home.path(), &text.replace("drive=3", "drive=4"));
    assert_eq!(plan(&file), 1);
    let said = isotherm(&["study", "collect", &out]);
    assert_eq!(said.status.code(), Some(3));
    assert_eq!(table(Path::new(&out))["rows"][1]["reason"], "not run since the plan or a file changed");
    lines(&["study", &file, "--out", &out]);
    write_noise(home.path(), "noise.wav", 24_000, 2);
    assert_eq!(plan(&file), 2);
    // A file that changes after the plan is told by the cell.
    write_noise(home.path(), "noise.wav", 24_000, 3);
    assert!(run_failing(&["study", "cell", &out, "a.b.noise"], 1).contains("noise.wav: changed since the plan was made"));
}

#[test]
fn a_study_that_cannot_be_done_is_one_line_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    let out_text = out.display().to_string();
    let model = STUDY.replace("\"MODEL\"", "\"gone.nam\"");
    for (text, expected) in [
        ("effects = 1", "line 1: "),
        ("title = \"x\"\n[effects]\na = \"clipper\"\n", "missing field `models`"),
        ("tile = \"x\"\n[effects]\n[models]\n", "line 1: unknown field `tile`"),
        ("[effects]\n[models]\na = \"clipper\"\n", "no effects; expected one or more"),
        ("[effects]\na = 3\n[models]\nb = \"clipper\"\n", "effects.a: integer; expected a text"),
        ("[effects]\na = \"saturatr\"\n[models]\nb = \"clipper\"\n", "did you mean 'saturator'?"),
        (&model, "models.twin: gone.nam: "),
        ("[effects]\na = \"clipper\"\na = \"clipper\"\n[models]\nb = \"clipper\"\n", "line 3: duplicate key"),
        (
            "[effects]\n\"a b\" = \"clipper\"\n\"a-b\" = \"clipper\"\n[models]\nb = \"clipper\"\n[sounds]\nx = \"guitar\"\n",
            "two cells of one name: 'a b' and 'b' on 'x', seed 1 and 'a-b' and 'b' on 'x', seed 1 are both 'a-b.b.x'",
        ),
        (
            "pairs = [[\"a\", \"c\"]]\n[effects]\na = \"clipper\"\n[models]\nb = \"clipper\"\n",
            "no models entry 'c'; expected one of b",
        ),
        ("blocks = [0]\n[effects]\na = \"clipper\"\n[models]\nb = \"clipper\"\n", "blocks: 0; expected 1 to 65536"),
        ("seeds = [1, 1]\n[effects]\na = \"clipper\"\n[models]\nb = \"clipper\"\n", "seeds: 1 twice; expected different numbers"),
        ("[effects]\na = \"clipper\"\n[models]\nb = \"clipper\"\n[sounds]\nx = \"gone.wav\"\n", "sounds.x: gone.wav: "),
        ("[effects]\na = \"clipper\"\n[models]\nb = \"clipper\"\n[sounds]\nx = \"banjo\"\n", "'banjo' is no sound; expected"),
        ("[effects]\na = \"clipper\"\n[models]\nb = \"clipper\"\n[sounds]\nx = \"drums 3\"\n", "'3' is no level; expected"),
    ] {
        let file = study(home.path(), text);
        let line = run_failing(&["study", &file, "--out", &out_text], 1);
        assert!(line.contains(expected), "{text}: {line}");
        assert!(!out.exists(), "{text}");
    }
    let gone = home.path().join("gone.toml").display().to_string();
    assert!(run_failing(&["study", &gone], 1).contains("gone.toml: No such file"));
    // A folder with other files is not touched.
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("notes.txt"), "x").unwrap();
    let file = study(home.path(), STUDY);
    assert!(run_failing(&["study", &file, "--out", &out_text], 1).contains("holds no study"));
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
    assert!(run_failing(&["study", "collect", &out_text], 1).contains("no plan.json in it"));
    assert!(run_failing(&["study", "--frontier", "neural model=none"], 1).contains("plays a model"));
    assert!(run_failing(&["study", "--frontier", "saturator", "--networks", "lstm-0"], 1).contains("'lstm-0' is no network"));
    assert!(run_failing(&["study"], 2).contains("FILE"));
}

/// Runs a command on a disk that takes no more than 1 KiB of a file, and returns its line.
fn on_a_full_disk(arguments: &[&str]) -> String {
    let shell = "ulimit -f 1; trap '' XFSZ; exec \"$0\" \"$@\"";
    let call = Command::new("bash").args(["-c", shell, env!("CARGO_BIN_EXE_isotherm")]).args(arguments).output().unwrap();
    failure_line(call, arguments, 1)
}

#[test]
fn a_full_disk_is_one_line_and_leaves_what_was_there() {
    let home = tempfile::tempdir().unwrap();
    let file = study(home.path(), STUDY);
    let out = home.path().join("out");
    let out_text = out.display().to_string();
    let line = on_a_full_disk(&["study", &file, "--out", &out_text]);
    assert!(line.contains("plan.json: File too large"), "{line}");
    assert!(!out.exists());
    // A process that was killed before it wrote the plan leaves no obstacle.
    std::fs::create_dir_all(out.join("cells")).unwrap();
    std::fs::write(out.join(".lock"), "").unwrap();
    lines(&["study", "plan", &file, "--out", &out_text]);
    let names = || {
        let names = [out.clone(), out.join("cells")].into_iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
        names.map(|entry| entry.unwrap().file_name()).collect::<BTreeSet<_>>()
    };
    assert_eq!(isotherm(&["study", "collect", &out_text]).status.code(), Some(3));
    let (before, left) = (tables(&out), names());
    let line = on_a_full_disk(&["study", "collect", &out_text]);
    assert!(line.contains("study.json: File too large"), "{line}");
    let line = on_a_full_disk(&["study", "cell", &out_text, "warm.near.noise"]);
    assert!(line.contains("warm.near.noise.json: File too large"), "{line}");
    assert_eq!(tables(&out), before);
    let lock = std::ffi::OsString::from(".warm.near.noise.lock");
    assert_eq!(names().into_iter().filter(|name| *name != lock).collect::<BTreeSet<_>>(), left);
}

#[test]
fn a_plan_of_another_version_and_a_cell_that_is_none_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = study(home.path(), STUDY);
    let out = home.path().join("out");
    let out_text = out.display().to_string();
    lines(&["study", "plan", &file, "--out", &out_text]);
    assert!(run_failing(&["study", "cell", &out_text, "x"], 1).contains("no cell 'x'"));
    let plan = out.join("plan.json");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replace("\"version\": 1", "\"version\": 99")).unwrap();
    assert!(run_failing(&["study", "collect", &out_text], 1).contains("a plan of version 99; expected 1"));
    std::fs::write(&plan, &text[..text.len() / 2]).unwrap();
    assert!(run_failing(&["study", "collect", &out_text], 1).contains("no plan of a study"));
}

/// The words of a call for a frontier of a few steps on short noise, which it writes.
fn frontier_call(effect: &str, home: &Path, out: &Path) -> Vec<String> {
    write_noise(home, "short.wav", 12_000, 1);
    let (sound, out) = (home.join("short.wav").display().to_string(), out.display().to_string());
    let words = ["--frontier", effect, "--steps", "20", "--material", "20", "--sound", &sound, "--out", &out];
    words.map(str::to_owned).to_vec()
}

/// Makes a frontier of a few steps.
fn frontier(effect: &str, home: &Path, out: &Path, more: &[&str]) -> Vec<String> {
    let call = frontier_call(effect, home, out);
    let call: Vec<&str> = ["study"].into_iter().chain(call.iter().map(String::as_str)).chain(more.iter().copied()).collect();
    lines(&call)
}

#[test]
fn a_frontier_of_a_few_steps_is_the_same_again_from_processes_of_their_own() {
    let home = tempfile::tempdir().unwrap();
    let kinds = ["--networks", "gru-4,tcn-2x3", "--cost-seconds", "0"];
    let [first, apart] = ["first", "apart"].map(|name| home.path().join(name));
    frontier("saturator drive=24", home.path(), &first, &kinds);
    let call = frontier_call("saturator drive=24", home.path(), &apart);
    let call: Vec<&str> = ["study", "plan"].into_iter().chain(call.iter().map(String::as_str)).chain(kinds).collect();
    for line in lines(&call) {
        lines(&line.split(' ').skip(1).collect::<Vec<_>>());
    }
    lines(&["study", "collect", &apart.display().to_string()]);
    assert_eq!(tables(&first), tables(&apart));
    let rows = table(&first)["rows"].clone();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!((row["status"].as_str(), row["twin"]["steps"].as_u64()), (Some("done"), Some(20)), "{row}");
        let model: PathBuf = first.join(row["twin"]["model"].as_str().unwrap());
        assert!(model.is_file(), "{}", model.display());
    }
}

#[test]
fn the_frontier_of_the_circuit_has_times_points_and_sentences() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("triode");
    let said = frontier("triode volts=2", home.path(), &out, &["--networks", "lstm-2", "--cost-seconds", "0.2"]);
    assert!(said.iter().any(|line| line.starts_with("No model") || line.starts_with("The cheapest model")), "{said:?}");
    let frontier = &table(&out)["frontiers"][0];
    assert_eq!((&frontier["effect"], &frontier["left_out"]), (&"triode volts=2".into(), &serde_json::json!([])));
    let points = frontier["points"].as_array().unwrap();
    assert_eq!(points.len(), 1, "{frontier}");
    // A circuit takes longer than any of its twins.
    assert!((0.0..1.0).contains(&points[0]["ratio"].as_f64().unwrap()), "{frontier}");
    assert!(out.join("frontier-1.png").metadata().unwrap().len() > 10_000);
    assert!(tables(&out)["index.html"].contains("<svg"));
}

#[test]
fn the_page_sorts_and_filters_in_a_browser_without_the_network_and_the_table_obeys_its_schema() {
    let Some(python) = std::env::var_os("ISOTHERM_PYTHON") else {
        println!("skipped: ISOTHERM_PYTHON is not set");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("frontier");
    frontier("saturator drive=12", home.path(), &out, &["--networks", "lstm-2,lstm-3,gru-3", "--cost-seconds", "0.2"]);
    // A twin that is not there is a row without figures.
    std::fs::remove_file(out.join("cells/gru-3.json")).unwrap();
    assert_eq!(isotherm(&["study", "collect", &out.display().to_string()]).status.code(), Some(3));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("tests/program/study_page.py");
    let done = Command::new(python).arg(script).arg(&out).arg(root.join("docs/study.schema.json")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let seen: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&seen["errors"], &seen["requests"]), (&serde_json::json!([]), &serde_json::json!([])), "{seen}");
    let values = |key: &str| seen[key].as_array().unwrap().iter().map(Value::as_f64).collect::<Vec<_>>();
    let (ascending, descending) = (values("ascending"), values("descending"));
    // A row without a figure stays last, whichever way the others are sorted.
    assert_eq!((ascending.len(), ascending[2], descending[2]), (3, None, None));
    assert!(ascending[0] < ascending[1] && descending[..2] == [ascending[1], ascending[0]], "{ascending:?} {descending:?}");
    assert_eq!((&seen["none"], &seen["filtered"]), (&0.into(), &1.into()));
    // Two points in each of the two plots.
    assert_eq!((&seen["points"], &seen["narrow"]), (&4.into(), &375.into()), "{seen}");
}
