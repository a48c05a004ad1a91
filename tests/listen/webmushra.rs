//! Tests for webMUSHRA and its answers: the configuration, the sounds, CSV back and forth, and what is no such table.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use isotherm::audio::wav::read;
use isotherm::listen::summary::{Origin, Standing, Summary, TestIdentity, collect};
use isotherm::listen::{
    Choice, ControlResult, EXPORT, Export, Finding, Form, Import, Prepared, Protocol, Question, Rule, SoundSource, export,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::simulated::fixed;
use crate::summary::PREPARED;

/// An export of a protocol into a folder of a temporary one.
fn exported(home: &TempDir, protocol: Protocol) -> (PathBuf, Export) {
    let out = home.path().join("lab");
    let export = export(&TestIdentity::of_prepared(protocol, &PREPARED), &PREPARED, &out).unwrap();
    (out, export)
}

/// The configuration of an export.
fn yaml(out: &Path, export: &Export) -> String {
    fs::read_to_string(out.join(format!("configs/{}.yaml", export.test_id))).unwrap()
}

/// The columns that `service/write.php` of webMUSHRA writes for paired comparisons, and for ratings, if it asks for a listener.
const COMPARISON: &str =
    "session_test_id,listener,trial_id,choice_reference,choice_non_reference,choice_answer,choice_time,choice_comment\n";
const MUSHRA: &str = "session_test_id,listener,session_uuid,trial_id,rating_stimulus,rating_score,rating_time,rating_comment\n";

/// A table of paired comparisons in which listeners have so many right trials, and hear the control or not.
fn comparisons(export: &Export, listeners: &[(&str, usize, bool)]) -> String {
    let mut text = COMPARISON.to_owned();
    for (name, right, hears) in listeners {
        let answer = |is_right: bool| if is_right { "correct" } else { "incorrect" };
        let control = export.control.iter().enumerate().map(|(index, page)| (page, answer(*hears || index > 0)));
        let trials = export.trials.iter().enumerate().map(|(index, page)| (page, answer(index < *right)));
        for (page, answer) in control.chain(trials) {
            text += &format!("{},{name},{page},reference,other,{answer},{},\n", export.test_id, 4200 + right);
        }
    }
    text
}

/// A file with a text.
fn file(home: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = home.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

/// Checks that a path of the configuration leads to a sound, and tells which one.
fn sound<'a>(out: &Path, export: &'a Export, line: &str) -> &'a str {
    let path: String = serde_json::from_str(line.split_once(": ").unwrap().1).unwrap();
    assert!(out.join(&path).is_file(), "{path}");
    &export.sounds[path.rsplit('/').next().unwrap()]
}

#[test]
fn a_test_is_written_as_pages_with_matched_sounds_and_nothing_names_a_side() {
    let home = TempDir::new().unwrap();
    let (out, export) = exported(&home, Protocol { trials: 40, ..Protocol::QUICK });
    let yaml = yaml(&out, &export);
    for word in ["saturator", "dry", "drive", "control.wav", "listener 1"] {
        assert!(!yaml.contains(word), "{word}");
    }
    assert_eq!((export.control.len(), export.trials.len(), export.sounds.len()), (5, 40, 3));
    // The sounds are those of the test, bit for bit.
    let resources = out.join(format!("configs/resources/{}", export.test_id));
    for (file, name) in &export.sounds {
        let place = ["A", "B", "control"].iter().position(|path| path == name).unwrap();
        assert_eq!(read(resources.join(file)).unwrap().channel(0), PREPARED.stimuli.paths[place].channel(0), "{name}");
    }
    let names: BTreeSet<&str> = export.sounds.keys().map(String::as_str).collect();
    assert_eq!(names, ["1.wav", "2.wav", "3.wav"].into());
    // Each page: an id of its own, a reference and one other sound. Both sides are the reference about as often.
    let blocks: Vec<&str> = yaml.split("\n  - type: ").skip(1).collect();
    assert_eq!(blocks.len(), 1 + 5 + 40 + 1);
    assert!(blocks[0].starts_with("generic\n") && blocks[46].starts_with("finish\n"));
    let mut references = Vec::new();
    for (block, id) in blocks[1..46].iter().zip(export.control.iter().chain(&export.trials)) {
        let lines: Vec<&str> = block.lines().map(str::trim).collect();
        assert_eq!(lines[..2], ["paired_comparison", &format!("id: {id}")]);
        let line = |key: &str| *lines.iter().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key} in {block}"));
        for fixed in ["showWaveform: false", "enableLooping: true", "stimuli:"] {
            assert!(lines.contains(&fixed), "{block}");
        }
        let pair = [line("reference:"), line("other:")].map(|line| sound(&out, &export, line));
        let expected: BTreeSet<&str> = if id.starts_with("control") { ["A", "control"].into() } else { ["A", "B"].into() };
        assert_eq!(BTreeSet::from(pair), expected, "{id}");
        if id.starts_with("trial") {
            references.push(pair[0]);
        }
    }
    let a = references.iter().filter(|side| **side == "A").count();
    // Fewer or more than this in 40 fair draws: 1 in 50 million.
    assert!((4..=36).contains(&a), "{a}");
    for line in ["showResults: false", "writeResults: true", "showButtonPreviousPage: false", "        name: listener"] {
        assert!(yaml.lines().any(|found| found.trim_end().ends_with(line)), "{line}");
    }
    assert_eq!(Export::read(&out).unwrap(), export);
    // An export never goes into a folder that is there.
    let again = isotherm::listen::export(&export.test, &PREPARED, &out).unwrap_err().to_string();
    assert!(again.contains("cannot make the folder"), "{again}");
}

#[test]
fn a_test_for_which_webmushra_has_no_page_is_refused_in_one_line_and_leaves_nothing() {
    let home = TempDir::new().unwrap();
    let out = home.path().join("lab");
    let refusal = |test: &TestIdentity, prepared: &Prepared| {
        let text = export(test, prepared, &out).unwrap_err().to_string();
        assert!(!text.contains('\n') && !out.exists(), "{text}");
        text
    };
    let of = |protocol: Protocol| TestIdentity::of_prepared(protocol, &PREPARED);
    let same_different = of(fixed(Question::Difference, Form::SameDifferent, 16));
    assert!(refusal(&same_different, &PREPARED).contains("no page for the form same-different; expected a test in ABX"));
    let sequential = of(Protocol { rule: Rule::Sprt, trials: 60, ..Protocol::QUICK });
    assert!(refusal(&sequential, &PREPARED).contains("ends a test by its answers, which webMUSHRA cannot do"));
    let live = TestIdentity { source: SoundSource::Live, ..of(Protocol::QUICK) };
    assert!(refusal(&live, &PREPARED).contains("live sound"));
    let mut equal = PREPARED.clone();
    equal.matching.identical = true;
    assert!(refusal(&of(Protocol::QUICK), &equal).contains("nothing to hear"));
}

#[test]
fn answers_come_back_into_the_same_statistics_and_are_called_unverified() {
    let home = TempDir::new().unwrap();
    let (_, export) = exported(&home, Protocol::QUICK);
    let table = comparisons(&export, &[("Ada", 16, true), ("Ben", 9, false), ("Zoë, 2nd", 8, true), ("\"Q\"", 7, true)]);
    // A name with a comma is quoted, as PHP does it, and a quotation mark doubled.
    let table = table.replace("Zoë, 2nd", "\"Zoë, 2nd\"").replace(",\"Q\",", ",\"\"\"Q\"\"\",");
    let import = Import::new(&export, &[file(&home, "paired_comparison.csv", &table)]).unwrap();
    let names: Vec<&str> = import.listeners.iter().map(|listener| listener.listener.as_str()).collect();
    assert_eq!(names, ["Ada", "Ben", "Zoë, 2nd", "\"Q\""]);
    assert_eq!(import.listeners[0].answers[0].seconds, Some(4.216));
    let panel = home.path().join("panel");
    import.write(&panel.join("webmushra")).unwrap();
    let collected = collect(&panel).unwrap();
    assert_eq!(collected.test, export.test);
    let summary = Summary::new(collected.test, "panel", collected.entries).unwrap();
    let pooled = &summary.result.pooled;
    assert_eq!((pooled.listeners, pooled.trials, pooled.count, summary.begun), (4, 64, 40, 4));
    assert_eq!(summary.result.shown, ["Ada"]);
    let figures = summary.rows[0].figures.unwrap();
    assert!((figures.p.unwrap() - 0.5f64.powi(16)).abs() < 1e-15 && figures.finding == Finding::Difference);
    assert_eq!(summary.rows[1].figures.unwrap().control, ControlResult::Failed);
    assert!(summary.rows.iter().all(|row| row.origin == Origin::Webmushra && row.receipt.is_empty()));
    assert!(
        summary
            .sentences
            .iter()
            .any(|text| text.contains("4 of 4 listeners come from webMUSHRA") && text.contains("can be verified"))
    );
    assert!(summary.to_csv().contains("webmushra"));
}

#[test]
fn a_listener_whose_answers_do_not_count_is_told_why() {
    let home = TempDir::new().unwrap();
    let (_, export) = exported(&home, Protocol::QUICK);
    let table =
        comparisons(&export, &[("Ada", 16, true), ("Tom", 9, true), ("Tom", 16, true), ("Cut", 12, true), ("Idle", 12, true)]);
    let last = export.trials.last().unwrap();
    let lines: Vec<String> =
        table
            .lines()
            .filter(|line| !(line.contains(",Cut,") && line.contains(last)))
            .map(|line| {
                if line.contains(",Idle,") && line.contains(last) { line.replace("incorrect", "undecided") } else { line.into() }
            })
            .collect();
    let import = Import::new(&export, &[file(&home, "table.csv", &(lines.join("\n") + "\n"))]).unwrap();
    let panel = home.path().join("panel");
    import.write(&panel.join("webmushra")).unwrap();
    let collected = collect(&panel).unwrap();
    let summary = Summary::new(collected.test, "panel", collected.entries).unwrap();
    // One sheet that was sent twice is one: its times are the same.
    let once: String = table.lines().filter(|line| !line.contains(",Tom,")).map(|line| format!("{line}\n")).collect();
    let sent_again: String = once.lines().skip(1).map(|line| format!("{line}\n")).collect();
    let again = Import::new(&export, &[file(&home, "again.csv", &(once + &sent_again))]).unwrap();
    assert_eq!(again.score(&again.listeners[0]).unwrap().count, 16);
    let reason =
        |name: &str| summary.rows.iter().find(|row| row.listener == name).map(|row| (row.standing, row.reason.as_str())).unwrap();
    assert_eq!(reason("Ada"), (Standing::Counted, ""));
    assert!(reason("Tom").1.starts_with("several answers to control-001: two listeners of one name"), "{:?}", reason("Tom"));
    assert_eq!(reason("Cut").1, "not finished: answers to 15 of 16 trials");
    assert!(reason("Idle").1.starts_with("nothing was chosen in trial-016"), "{:?}", reason("Idle"));
    assert_eq!((summary.begun, summary.result.pooled.listeners), (4, 1));
}

#[test]
fn ratings_are_preferences_and_equal_ones_choose_nothing() {
    let home = TempDir::new().unwrap();
    let (out, export) = exported(&home, fixed(Question::Preference, Form::Preference, 8));
    let yaml = yaml(&out, &export);
    assert_eq!(yaml.matches("  - type: mushra\n").count(), 8);
    assert_eq!(yaml.matches("  - type: paired_comparison\n").count(), 5);
    let places: Vec<&str> = ["reference:", "sound-a:", "sound-b:"]
        .into_iter()
        .map(|key| {
            let block = yaml.split("  - type: mushra\n").nth(1).unwrap();
            sound(&out, &export, block.lines().map(str::trim).find(|line| line.starts_with(key)).unwrap())
        })
        .collect();
    assert_eq!(places, ["dry", "A", "B"]);
    let mut text = MUSHRA.to_owned();
    for (index, page) in export.trials.iter().enumerate() {
        let [a, b] = if index < 2 { [55, 55] } else { [70, 60 + index] };
        for (sound, score) in [("sound-b", b), ("reference", 100), ("sound-a", a)] {
            text += &format!("{},Ada,u-1,{page},{sound},{score},61000,\"two\nlines\"\n", export.test_id);
        }
    }
    let ratings = file(&home, "mushra.csv", &text);
    let import = Import::new(&export, std::slice::from_ref(&ratings)).unwrap();
    let score = import.score(&import.listeners[0]).unwrap();
    assert_eq!((score.trials, score.count, score.control), (6, 6, ControlResult::Open));
    assert_eq!(score.finding, Finding::PrefersA);
    assert_eq!(import.listeners[0].answers[0].choice, Choice::Tie);
    // The positive control is in the other table.
    let control = Export { trials: Vec::new(), ..export.clone() };
    let table = file(&home, "paired_comparison.csv", &comparisons(&control, &[("Ada", 0, true)]));
    let import = Import::new(&export, &[ratings, table]).unwrap();
    assert_eq!(import.score(&import.listeners[0]).unwrap().control, ControlResult::Passed);
}

#[test]
fn a_table_of_another_kind_is_refused_in_one_line_that_names_its_place() {
    let home = TempDir::new().unwrap();
    let (out, export) = exported(&home, Protocol::QUICK);
    let good = comparisons(&export, &[("Ada", 16, true)]);
    let id = &export.test_id;
    let refusal = |text: &[u8]| {
        let path = home.path().join("table.csv");
        fs::write(&path, text).unwrap();
        let text = Import::new(&export, &[path]).unwrap_err().to_string();
        assert!(text.lines().count() == 1 && text.contains("table.csv") && text.contains("expected"), "{text}");
        text
    };
    let cases: [(String, &str); 9] = [
        (String::new(), "the columns are ''"),
        ("a,b\n1,2\n".into(), "the columns are 'a, b'"),
        (good.replace(',', ";"), "the columns are 'session_test_id;listener"),
        (MUSHRA.to_owned() + id + ",Ada,u,trial-001,sound-a,50,1,\n", "expected those of paired_comparison.csv"),
        (COMPARISON.into(), "no answers"),
        (good.replace(",listener,", ",name,"), "no column 'listener'"),
        (good.replace(id.as_str(), "other-test"), "line 2: answers to the test 'other-test'"),
        (good.replace("trial-003", "trial-300"), "line 9: an answer to the page 'trial-300'"),
        (good.replacen("correct", "maybe", 1), "line 2: the answer 'maybe'"),
    ];
    for (text, words) in cases {
        let refused = refusal(text.as_bytes());
        assert!(refused.contains(words), "{words}: {refused}");
    }
    let short = good.lines().take(3).collect::<Vec<_>>().join("\n") + "\n" + id + ",Ada\n";
    assert!(refusal(short.as_bytes()).contains("line 4: 2 fields, and 8 in its head"));
    assert!(
        refusal(
            &good
                .replace("Ada", "A\u{1}")
                .into_bytes()
                .iter()
                .map(|byte| if *byte == 1 { 0xfe } else { *byte })
                .collect::<Vec<u8>>()
        )
        .contains("not UTF-8")
    );
    // A mark of Excel is no part of the head, and PHP writes a backslash before a quotation mark.
    let marked = [b"\xef\xbb\xbf".as_slice(), good.replace(",Ada,", ",\"A\\\"d,a\",").as_bytes()].concat();
    fs::write(home.path().join("table.csv"), marked).unwrap();
    let import = Import::new(&export, &[home.path().join("table.csv")]).unwrap();
    assert_eq!(import.listeners[0].listener, "A\"d,a");
    let twice = [home.path().join("table.csv"), home.path().join("table.csv")];
    assert!(Import::new(&export, &twice).unwrap_err().to_string().contains("named twice"));
    // An export that is none.
    assert!(Export::read(home.path()).unwrap_err().to_string().contains("cannot read it"));
    for (text, words) in [("{", "no JSON"), ("{}", "no 'schema'"), (r#"{"schema":"x","schema_version":1}"#, "x of version 1")] {
        fs::write(out.join(EXPORT), text).unwrap();
        let refused = Export::read(&out).unwrap_err().to_string();
        assert!(refused.contains(words) && refused.lines().count() == 1, "{refused}");
    }
    // A damaged import is a row with its reason.
    let panel = home.path().join("panel");
    fs::create_dir_all(panel.join("webmushra")).unwrap();
    fs::write(panel.join("webmushra/import.json"), "{}").unwrap();
    let collected = collect(&panel);
    assert!(collected.unwrap_err().to_string().contains("no 'schema' and 'schema_version'"));
}

/// Runs webMUSHRA's own code on an export; None if it is not there. `ISOTHERM_WEBMUSHRA` names a copy of it.
fn by_webmushra(out: &Path, export: &Export, listener: &str, right: usize) -> Option<Value> {
    let webmushra = PathBuf::from(std::env::var_os("ISOTHERM_WEBMUSHRA")?);
    // A copy whose parts are links, and the configuration beside them.
    let root = out.join("webmushra");
    if !root.exists() {
        fs::create_dir(&root).unwrap();
        for name in ["lib", "startup.js", "service"] {
            #[cfg(unix)]
            std::os::unix::fs::symlink(webmushra.join(name), root.join(name)).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(out.join("configs"), root.join("configs")).unwrap();
    }
    let done = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/listen/webmushra.js"))
        .arg(&root)
        .arg(format!("configs/{}.yaml", export.test_id))
        .args([listener, &right.to_string()])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(serde_json::from_slice(&done.stdout).unwrap())
}

/// The tables that webMUSHRA's own service writes for sessions; None without PHP.
fn tables(home: &TempDir, sessions: &[Value]) -> Option<PathBuf> {
    let service = PathBuf::from(std::env::var_os("ISOTHERM_WEBMUSHRA")?).join("service");
    Command::new("php").arg("--version").output().ok()?;
    let root = home.path().join("server");
    fs::create_dir_all(root.join("service")).unwrap();
    fs::create_dir_all(root.join("results")).unwrap();
    fs::copy(service.join("write.php"), root.join("service/write.php")).unwrap();
    for (number, session) in sessions.iter().enumerate() {
        let posted = root.join(format!("{number}.json"));
        fs::write(&posted, session.to_string()).unwrap();
        let code = format!("$_POST['sessionJSON'] = file_get_contents('{}'); include 'write.php';", posted.display());
        // With PHP 8 the script ends with an error behind the tables that are read here, since other kinds of pages are missing.
        Command::new("php").args(["-r", &code]).current_dir(root.join("service")).output().unwrap();
    }
    let folder = fs::read_dir(root.join("results")).unwrap().next()?.unwrap().path();
    Some(folder)
}

#[test]
fn webmushras_own_code_loads_the_configuration_and_its_tables_are_read() {
    for protocol in [Protocol::QUICK, fixed(Question::Preference, Form::Preference, 8)] {
        let home = TempDir::new().unwrap();
        let (out, export) = exported(&home, protocol);
        let listeners = [("Ada", export.trials.len()), ("Zoe", 5)];
        let mut sessions = Vec::new();
        for (listener, right) in listeners {
            let Some(found) = by_webmushra(&out, &export, listener, right) else {
                println!("skipped: ISOTHERM_WEBMUSHRA is not set");
                return;
            };
            let pages: Vec<&str> =
                found["seen"]["pages"].as_array().unwrap().iter().map(|page| page[0].as_str().unwrap()).collect();
            assert_eq!(pages.len(), 1 + 5 + export.trials.len() + 1, "{pages:?}");
            assert_eq!(found["config"]["testId"], export.test_id.as_str());
            assert_eq!(found["seen"]["finish"]["showResults"], false);
            assert_eq!(found["config"]["stopOnErrors"], true);
            assert_eq!(found["session"]["participant"]["name"][0], "listener");
            sessions.push(found["session"].clone());
        }
        let Some(folder) = tables(&home, &sessions) else {
            println!("skipped: no PHP");
            return;
        };
        let files: Vec<PathBuf> = ["mushra.csv", "paired_comparison.csv"]
            .into_iter()
            .map(|name| folder.join(name))
            .filter(|path| path.exists())
            .collect();
        let import = Import::new(&export, &files).unwrap();
        for (listener, right) in listeners {
            let found = import.listeners.iter().find(|found| found.listener == listener).unwrap();
            let score = import.score(found).unwrap();
            assert_eq!((score.trials as usize, score.count as usize), (export.trials.len(), right));
            assert_eq!(score.control, ControlResult::Passed);
        }
    }
}
