//! Summaries of folders: sessions with real sounds, those that do not count, and the page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use isotherm::audio::wav::{WavFormat, write};
use isotherm::audio::{Audio, Random, generate};
use isotherm::listen::summary::{Collected, Origin, Standing, Summary, TestIdentity, collect};
use isotherm::listen::{
    Blinding, Configuration, ControlTrial, Earlier, Entry, Finding, Form, LOG, LOG_VERSION, LOOP, Prepared, Protocol, Question,
    Rule, Session, SessionFolder, SideChoice, SoundSource, TestPart, TestSetup, TestStep, prepare_stimuli, resolve_sides,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::simulated::{fixed, other, right_answer};

const RATE: u32 = 48_000;
/// The sides of all these tests.
pub fn choices() -> [SideChoice; 2] {
    [SideChoice::Effect("saturator drive=24".into()), SideChoice::Dry]
}
/// The loop in seconds.
const RANGE: [f64; 2] = [0.5, 1.5];

/// The sounds of all these tests, which are matched once.
pub static PREPARED: LazyLock<Prepared> = LazyLock::new(|| {
    let mut sound = generate::guitar(RATE, 1, 1).unwrap().slice(..2 * RATE as usize).unwrap();
    sound.normalise_peak(-6.0).unwrap();
    prepared(&sound)
});

/// Matches the sides on a sound.
fn prepared(sound: &Audio) -> Prepared {
    let slots = ["saturator", "clipper"].map(|text| text.parse().unwrap());
    let sides = resolve_sides(&choices(), &slots, sound).unwrap();
    let ready = prepare_stimuli(sound, RANGE, &sides, ControlTrial::LowPass, &|_| (), &AtomicBool::new(false)).unwrap();
    assert!(ready.passed());
    ready
}

/// Error to signal of the sides in dB.
fn esr_db(prepared: &Prepared) -> f64 {
    let [a, b] = [0, 1].map(|path: usize| prepared.stimuli.paths[path].channel(0).to_vec());
    let error: f64 = a.iter().zip(&b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    let signal: f64 = a.iter().map(|a| f64::from(*a).powi(2)).sum();
    10.0 * (error / signal).log10()
}

/// The first line of a session's log.
pub fn configuration(prepared: &Prepared, protocol: Protocol, listener: &str) -> Configuration {
    Configuration {
        version: LOG_VERSION,
        program: format!("isotherm {}", env!("CARGO_PKG_VERSION")),
        venue: "a test".into(),
        setup: TestSetup {
            protocol,
            sides: choices(),
            source: SoundSource::Loop,
            range: RANGE,
            control: ControlTrial::LowPass,
            listener: listener.into(),
            rungs: Vec::new(),
        },
        alpha: 0.05,
        sample_rate: f64::from(RATE),
        channels: 1,
        max_frames: 512,
        is_aa: false,
        esr_db: Some(esr_db(prepared)),
        earlier: Earlier::default(),
        matching: serde_json::to_value(&prepared.matching).unwrap(),
        files: std::collections::BTreeMap::new(),
    }
}

/// A session that begins.
fn create(parent: &Path, prepared: &Prepared, protocol: Protocol, listener: &str) -> (SessionFolder, Session) {
    let blinding = Blinding::new().unwrap();
    let folder = SessionFolder::create(parent, configuration(prepared, protocol, listener), &blinding, |folder| {
        write(folder.join(LOOP), &prepared.around, WavFormat::Float32).map_err(std::io::Error::other)?;
        for (side, name) in prepared.sides.iter().zip(["a", "b"]) {
            side.save(folder, name).map_err(std::io::Error::other)?;
        }
        Ok(())
    });
    let folder = folder.unwrap();
    let session = Session::new(folder.configuration().plan(), blinding);
    (folder, session)
}

/// Answers until the test ends, or until it has so many trials; the first `right` trials of the test are right.
fn answer(folder: &mut SessionFolder, session: &mut Session, right: u32, trials: u32) {
    while let Some(step) = session.step() {
        let is_test = session.part() == TestPart::Test;
        if is_test && session.counted() == trials {
            return;
        }
        let entry = match step {
            _ if session.part() == TestPart::Training => Entry::EndTraining,
            TestStep::Introduction | TestStep::Pause | TestStep::Feedback { .. } => Entry::Continue,
            TestStep::Confidence => Entry::Confidence { confidence: 2 },
            TestStep::Answer => {
                let wanted = right_answer(session);
                let answer = if is_test && session.counted() >= right { other(wanted) } else { wanted };
                session.answered(answer, 2.0, Vec::new(), Vec::new())
            }
        };
        folder.enter(session, entry).unwrap();
    }
}

/// A session with so many right answers of 16, finished; returns its folder.
fn taken(parent: &Path, listener: &str, right: u32) -> PathBuf {
    taken_of(parent, &PREPARED, Protocol::QUICK, listener, right)
}

/// A finished session of any protocol.
fn taken_of(parent: &Path, prepared: &Prepared, protocol: Protocol, listener: &str, right: u32) -> PathBuf {
    let (mut folder, mut session) = create(parent, prepared, protocol, listener);
    answer(&mut folder, &mut session, right, u32::MAX);
    folder.close(&session).unwrap();
    folder.path().into()
}

/// Copies the files of a session.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// The summary of a folder.
fn summarise(folder: &Path) -> Summary {
    let Collected { test, entries } = collect(folder).unwrap();
    Summary::new(test, &folder.display().to_string(), entries).unwrap()
}

/// Standing and reason of the sessions of a folder, by its name.
fn found(summary: &Summary, session: &str) -> (Standing, String) {
    let row = summary.rows.iter().find(|row| row.session == session);
    let row = row.unwrap_or_else(|| panic!("no {session} in {:#?}", summary.rows));
    (row.standing, row.reason.clone())
}

/// The name of a folder.
fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Changes the log of a session.
fn change_log(session: &Path, from: &str, to: &str) {
    let log = session.join(LOG);
    let text = fs::read_to_string(&log).unwrap();
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed);
    fs::write(log, changed).unwrap();
}

#[test]
fn every_session_of_a_folder_counts_once_or_is_told_why_not() {
    let home = TempDir::new().unwrap();
    let home = home.path();
    let ada = taken(home, "Ada", 16);
    let ben = taken(home, "Ben", 9);
    // One in a folder of its own, and one deeper, which is not looked for.
    let day = home.join("day 2");
    let cleo = taken(&day, "Cleo", 8);
    let deep = taken(&home.join("a/b"), "Deep", 16);
    let again = taken(home, " ada", 16);
    copy(&ada, &home.join("copy of Ada"));
    let (mut left, mut session) = create(home, &PREPARED, Protocol::QUICK, "Dora");
    answer(&mut left, &mut session, 4, 7);
    let left = left.path().to_path_buf();
    let (mut folder, mut session) = create(home, &PREPARED, Protocol::QUICK, "Emil");
    answer(&mut folder, &mut session, 2, 5);
    folder.close(&session).unwrap();
    let aborted = folder.path().to_path_buf();
    let damaged = taken(home, "Finn", 16);
    change_log(&damaged, "\"confidence\":2", "\"confidence\":3");
    let newer = taken(home, "Gus", 16);
    change_log(&newer, "\"version\":1", "\"version\":9");
    let longer = taken_of(home, &PREPARED, Protocol { trials: 20, ..Protocol::QUICK }, "Hugo", 20);
    let mut later = generate::guitar(RATE, 1, 1).unwrap().slice(RATE as usize..3 * RATE as usize).unwrap();
    later.normalise_peak(-6.0).unwrap();
    let other_sound = taken_of(home, &prepared(&later), Protocol::QUICK, "Ida", 16);
    let sound = taken(home, "Jo", 16);
    fs::write(sound.join("a.json"), fs::read_to_string(sound.join("a.json")).unwrap().replace("24", "23")).unwrap();
    fs::create_dir(home.join("no session")).unwrap();
    let empty = home.join("empty log");
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join(LOG), "").unwrap();

    let summary = summarise(home);
    let is = |path: &Path, standing: Standing, reason: &str| {
        let below = path.strip_prefix(home).unwrap().to_string_lossy().into_owned();
        let (is, text) = found(&summary, &below);
        assert_eq!(is, standing, "{below}: {text}");
        assert!(text.contains(reason), "{below}: {text}");
    };
    for path in [&ada, &ben, &cleo] {
        is(path, Standing::Counted, "");
    }
    is(&again, Standing::Repeated, "ada took this test before");
    is(&home.join("copy of Ada"), Standing::Copy, &format!("a copy of '{}'", name(&ada)));
    is(&left, Standing::Begun, "not finished");
    is(&aborted, Standing::Begun, "aborted after 5 trials");
    // Nothing of a log whose lines do not follow each other can be trusted, also not which test it is of.
    is(&damaged, Standing::Other, "not verified: line ");
    is(&newer, Standing::Other, "a newer version wrote its log");
    is(&longer, Standing::Other, "another test: 20 trials");
    is(&other_sound, Standing::Other, "another test: other sounds");
    is(&sound, Standing::Begun, "not verified: a.json was changed");
    is(&empty, Standing::Other, "");
    assert!(!summary.rows.iter().any(|row| row.session.contains(&name(&deep)) && row.session.starts_with('a')));
    assert_eq!(summary.begun, 6, "{:#?}", summary.rows);
    let pooled = &summary.result.pooled;
    assert_eq!((pooled.listeners, pooled.trials, pooled.count), (3, 48, 33));
    assert_eq!(summary.result.shown, ["Ada"]);
    let figures = summary.rows[0].figures.unwrap();
    assert!((figures.adjusted_p.unwrap() - 6.0 * 0.5f64.powi(16)).abs() < 1e-12);
    assert_eq!((figures.finding, summary.rows[0].origin), (Finding::Difference, Origin::Session));
    assert_eq!(summary.test.sides, ["saturator drive=24", "dry"]);
    // The table for spreadsheets has a line for each session, and as many fields in each.
    let csv = summary.to_csv();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    assert_eq!((rows.len(), rows[0].len()), (summary.rows.len(), 18));
    assert_eq!((&rows[0][1], &rows[0][3], &rows[0][5], &rows[0][6]), ("Ada", "counted", "16", "16"));
    // Everything that is told of what does not count is told in the remarks, too.
    let remarks = summary.remarks.join(" ");
    for words in ["3 sessions of this test began and are not counted", "1 later one does not", "6 sessions"] {
        assert!(remarks.contains(words), "{words}: {remarks}");
    }
}

#[test]
fn a_session_with_two_ends_counts_with_neither() {
    let home = TempDir::new().unwrap();
    let (mut folder, mut session) = create(home.path(), &PREPARED, Protocol::QUICK, "Ada");
    answer(&mut folder, &mut session, 6, 8);
    let path = folder.path().to_path_buf();
    drop(folder);
    let back = home.path().join("taken back");
    copy(&path, &back);
    for (path, right) in [(&path, 12), (&back, 16)] {
        let reopened = SessionFolder::open(path).unwrap();
        let (mut folder, mut session) = (reopened.folder, reopened.session);
        folder.resume(&mut session, Default::default()).unwrap();
        answer(&mut folder, &mut session, right, u32::MAX);
        folder.close(&session).unwrap();
    }
    taken(home.path(), "Ben", 8);
    let summary = summarise(home.path());
    let (standings, reasons): (Vec<Standing>, Vec<String>) =
        [name(&path), name(&back)].iter().map(|session| found(&summary, session)).unzip();
    assert_eq!(standings, [Standing::Begun, Standing::Copy]);
    assert!(reasons.iter().all(|reason| reason.contains("answers were taken back, so none counts")), "{reasons:?}");
    assert_eq!((summary.begun, summary.result.pooled.listeners), (2, 1));
}

#[test]
fn a_folder_that_has_nothing_to_summarise_is_refused_in_one_line() {
    let home = TempDir::new().unwrap();
    let refusal = |folder: &Path| {
        let text = match collect(folder) {
            Err(error) => error.to_string(),
            Ok(Collected { test, entries }) => Summary::new(test, "here", entries).unwrap_err().to_string(),
        };
        assert!(!text.contains('\n'), "{text}");
        text
    };
    assert!(refusal(&home.path().join("none")).contains("cannot be listed"));
    assert!(refusal(home.path()).contains("no sessions in it"));
    let (mut folder, mut session) = create(home.path(), &PREPARED, Protocol::QUICK, "Ada");
    answer(&mut folder, &mut session, 4, 7);
    assert!(refusal(home.path()).contains("none of its 1 session counts: not finished"), "{}", refusal(home.path()));
    assert!(refusal(folder.path()).contains("a session itself; expected the folder that holds sessions"));
    drop(folder);
    taken(home.path(), "Ben", 8);
    taken_of(home.path(), &PREPARED, Protocol { trials: 20, ..Protocol::QUICK }, "Cleo", 8);
    assert!(refusal(home.path()).contains("sessions of several tests, of which none has most listeners"));
    taken(home.path(), "Dora", 8);
    assert_eq!(summarise(home.path()).result.pooled.listeners, 2);
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf_8_are_told_with_a_sign_in_their_place() {
    use std::os::unix::ffi::OsStrExt;
    let home = TempDir::new().unwrap();
    let odd = home.path().join(std::ffi::OsStr::from_bytes(b"panel \xfe"));
    let session = taken(&odd, "", 16);
    let summary = summarise(home.path());
    assert_eq!(summary.rows[0].session, format!("panel \u{fffd}/{}", name(&session)));
    assert_eq!(summary.rows[0].listener, summary.rows[0].session);
    assert_eq!(summarise(&odd).result.pooled.count, 16);
}

#[test]
fn an_aborted_test_with_an_e_value_counts_with_its_e_and_without_a_p() {
    let home = TempDir::new().unwrap();
    let protocol = Protocol { rule: Rule::EValue, trials: 18, ..Protocol::QUICK };
    taken_of(home.path(), &PREPARED, protocol, "Ada", 18);
    let (mut folder, mut session) = create(home.path(), &PREPARED, protocol, "Ben");
    answer(&mut folder, &mut session, 4, 5);
    folder.close(&session).unwrap();
    let summary = summarise(home.path());
    let [ada, ben] = [0, 1].map(|row: usize| summary.rows[row].figures.unwrap());
    assert_eq!((ada.trials, ben.trials), (7, 5));
    assert!((ada.p.unwrap() - 0.5f64.powi(7)).abs() < 1e-12 && ben.p.is_none() && ben.adjusted_p.is_none());
    assert!((ada.adjusted_p.unwrap() - 2.0 * 0.5f64.powi(7)).abs() < 1e-12);
    let product = ada.ln_e.unwrap() + ben.ln_e.unwrap();
    assert!((summary.result.pooled.ln_e.unwrap() - product).abs() < 1e-12 && product > 20f64.ln());
    assert_eq!(summary.result.pooled.finding, Finding::Difference);
    assert!(summary.sentences[1].contains("all e-values multiplied show that somebody hears it, but not who"));
}

#[test]
fn sounds_that_were_rendered_from_the_same_bytes_are_the_same_on_another_machine() {
    let identity = TestIdentity {
        protocol: Protocol::QUICK,
        control: ControlTrial::None,
        is_aa: false,
        source: SoundSource::Loop,
        sides: Default::default(),
        stimuli_sha256: vec!["1".into(), "2".into()],
        files: [("loop.wav".to_owned(), "3".to_owned())].into(),
    };
    let last_bit = TestIdentity { stimuli_sha256: vec!["1".into(), "4".into()], ..identity.clone() };
    assert_eq!(last_bit.difference(&identity), None);
    let imported = TestIdentity { files: Default::default(), ..identity.clone() };
    assert_eq!(imported.difference(&identity), None);
    let other = TestIdentity { files: Default::default(), ..last_bit };
    assert!(other.difference(&identity).unwrap().contains("other sounds"));
    let none = TestIdentity { files: Default::default(), stimuli_sha256: Vec::new(), ..identity.clone() };
    assert!(none.difference(&none).is_some(), "sounds that nothing is known of are not the same");
    let swapped = TestIdentity { stimuli_sha256: vec!["2".into(), "1".into()], files: Default::default(), ..identity.clone() };
    assert!(swapped.difference(&identity).is_some());
    let margin = TestIdentity { protocol: Protocol { margin: 0.6, ..Protocol::QUICK }, ..identity.clone() };
    assert!(margin.difference(&identity).unwrap().contains("margin"));
}

/// Opens the page of a summary in Chromium, and checks `summary.json` against its schema.
fn look_at(folder: &Path) -> Value {
    let python = std::env::var_os("ISOTHERM_PYTHON").expect("ISOTHERM_PYTHON is not set: run `cargo xtask test`");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done = Command::new(python)
        .arg(root.join("tests/listen/summary_page.py"))
        .arg(folder)
        .arg(root.join("docs/summary.schema.json"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn the_page_of_a_panel_works_in_a_browser_without_the_network_and_obeys_its_schema() {
    let home = TempDir::new().unwrap();
    let mut random = Random::new(5);
    let protocol = fixed(Question::Equivalence, Form::Abx, 20);
    let mut names = vec!["Ada <b>bold</b> & =1+1".to_owned(), "Zoë \u{202e}".into(), String::new()];
    names.extend((0..5).map(|number| format!("A listener with a very long name, number {number}")));
    let sessions = home.path().join("sessions");
    for (index, listener) in names.iter().enumerate() {
        let right = if index == 0 { 20 } else { 8 + random.below(6) as u32 };
        taken_of(&sessions, &PREPARED, protocol, listener, right);
    }
    let (mut folder, mut session) = create(&sessions, &PREPARED, protocol, "Dora");
    answer(&mut folder, &mut session, 4, 7);
    let summary = summarise(&sessions);
    let out = home.path().join("page");
    summary.write(&out, false).unwrap();
    assert!(summary.write(&out, false).unwrap_err().to_string().contains("exists already"));
    summary.write(&out, true).unwrap();
    for name in ["summary.json", "index.html", "listeners.csv", "shares.png", "counts.png"] {
        assert!(fs::metadata(out.join(name)).unwrap().len() > 500, "{name}");
    }
    // Beside what a summary has, nothing is replaced.
    fs::write(out.join("notes.txt"), "mine").unwrap();
    assert!(summary.write(&out, true).unwrap_err().to_string().contains("notes.txt"));
    fs::remove_file(out.join("notes.txt")).unwrap();
    let seen = look_at(&out);
    assert_eq!(seen["schema_errors"], Value::Array(Vec::new()));
    for (width, view) in seen["views"].as_object().unwrap() {
        for empty in ["errors", "requests", "unnamed"] {
            assert_eq!(view[empty], Value::Array(Vec::new()), "{width}: {empty}");
        }
        assert_eq!(view["scroll_width"], view["width"], "{width}: the page scrolls sideways");
        assert_eq!(view["bars"].as_u64().unwrap(), names.len() as u64 + 1, "{width}");
        assert_eq!(view["bold"], 0, "{width}: a name is no markup");
        // The dot of each row is where the share is, and the margin at .7.
        for row in view["rows"].as_array().unwrap() {
            let [share, dot, margin] = ["share", "dot", "margin"].map(|key| row[key].as_f64().unwrap());
            assert!((share - dot).abs() < 0.01 && (margin - 0.7).abs() < 0.01, "{width}: {row}");
        }
        assert_eq!((view["shown"].as_u64(), view["drawn"].as_u64()), (Some(1), Some(1)), "{width}");
    }
    assert_ne!(seen["views"]["wide"]["paper"], seen["views"]["dark"]["paper"]);
    assert!(seen["text"].as_str().unwrap().contains("Not counted"), "{}", seen["text"]);
}

#[test]
fn ten_thousand_folders_are_sorted_out() {
    let home = TempDir::new().unwrap();
    taken(home.path(), "Ada", 16);
    let (mut folder, mut session) = create(home.path(), &PREPARED, Protocol::QUICK, "Ben");
    answer(&mut folder, &mut session, 1, 1);
    let left = folder.path().join(LOG);
    for number in 0..10_000 {
        let path = home.path().join(format!("copy {number}"));
        fs::create_dir(&path).unwrap();
        fs::hard_link(&left, path.join(LOG)).unwrap();
    }
    let summary = summarise(home.path());
    assert_eq!((summary.rows.len(), summary.begun, summary.result.pooled.listeners), (10_002, 2, 1));
    assert!(summary.remarks.iter().any(|text| text.contains("10000 sessions")), "{:?}", summary.remarks);
}
