//! `isotherm listen`: a test that is taken by keys in a terminal, its sounds for other tools, and the check of its record.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use isotherm::audio::wav::{self, WavFormat};
use isotherm::audio::{Audio, generate};
use nix::pty::openpty;
use serde_json::Value;

use crate::run::{failure_line, isotherm, run_failing};

/// Longest time that a test by keys may take, on a machine that is busy with other things.
const TIMEOUT: Duration = Duration::from_secs(240);
/// Time in which a key shows on the screen, if it shows at all.
const ECHO: Duration = Duration::from_millis(400);

/// The program in a pseudo-terminal.
struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    fn start(arguments: &[&str]) -> Self {
        let pty = openpty(None, None).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_isotherm"));
        let child = command.args(arguments).stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let mut output = File::from(pty.master.try_clone().unwrap());
        let screen: Arc<Mutex<String>> = Arc::default();
        let shown = screen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The terminal ends with an error when nobody holds its other end.
            while let Ok(n @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        });
        Self { child, keys: File::from(pty.master), screen }
    }

    fn screen(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    /// The newest heading, and the line of the status.
    fn lines(&self) -> (String, String) {
        let screen = self.screen();
        let status = screen.rsplit("\r\x1b[K").next().unwrap_or_default().to_owned();
        let heading = screen.rsplit("\r\x1b[K").find(|line| line.contains(", trial ")).unwrap_or_default();
        (heading.trim().to_owned(), status)
    }

    /// Presses a key, and waits until it shows.
    fn press(&mut self, key: &str) {
        let before = self.screen().len();
        self.keys.write_all(key.as_bytes()).unwrap();
        let begun = Instant::now();
        while self.screen().len() == before && begun.elapsed() < ECHO {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A listener who hears nothing: plays A, B and X of each trial and answers by `answer`, until the program ends or `stop`
    /// says so of the heading. Returns true if it has ended.
    fn listen(&mut self, mut answer: impl FnMut() -> bool, stop: impl Fn(&str) -> bool) -> bool {
        let begun = Instant::now();
        let mut heard = String::new();
        loop {
            assert!(begun.elapsed() < TIMEOUT, "{}", self.screen());
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            let (heading, status) = self.lines();
            if stop(&heading) {
                return false;
            }
            if status.contains("how sure?") {
                self.press("2");
            } else if status.contains("e: end training") {
                self.press("e");
            } else if status.contains("enter: go on") {
                self.press("\r");
            } else if status.contains("plays ") && heard != heading {
                ["a", "b", "x", " ", if answer() { "\x1b[D" } else { "\x1b[C" }].iter().for_each(|key| self.press(key));
                heard = heading;
            } else if status.contains("answer: X is") {
                self.press("\r");
            } else {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes a phrase of a guitar of a few seconds.
fn sound(folder: &Path) -> PathBuf {
    let path = folder.join("riff.wav");
    let mut sound = generate::guitar(48_000, 1, 1).unwrap();
    sound.normalise_peak(-6.0).unwrap();
    wav::write(&path, &sound.slice(..144_000).unwrap(), WavFormat::Int24).unwrap();
    path
}

/// The arguments of a short test with a file in place of a device.
fn arguments<'a>(sound: &'a str, sessions: &'a str) -> Vec<&'a str> {
    let sides = ["listen", "run", "--a", "saturator drive=24", "--b", "dry", "--sound", sound, "--to", "2"];
    let rest = ["--control", "none", "--trials", "16", "--host", "file", "--sessions", sessions];
    sides.into_iter().chain(rest).collect()
}

/// The value after a word at the beginning of a line of the screen.
fn after(screen: &str, word: &str) -> String {
    let line = screen.lines().find_map(|line| line.trim_start_matches("\r\x1b[K").trim().strip_prefix(word));
    line.unwrap_or_else(|| panic!("no {word} in {screen}")).trim().to_owned()
}

fn verified(session: &str, receipt: &str) -> Value {
    let done = isotherm(&["listen", "verify", session, "--receipt", receipt, "--json"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn a_test_of_16_trials_is_taken_by_keys_in_a_terminal_and_its_record_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let (sound, sessions) = (sound(folder.path()), folder.path().join("sessions"));
    let mut terminal = Terminal::start(&arguments(sound.to_str().unwrap(), sessions.to_str().unwrap()));
    let mut answers = 0;
    let ended = terminal.listen(
        || {
            answers += 1;
            answers % 2 == 0
        },
        |_| false,
    );
    let screen = terminal.screen();
    assert!(ended && terminal.child.wait().unwrap().success(), "{screen}");
    assert_eq!(answers, 16, "{screen}");
    let (session, receipt) = (after(&screen, "session: "), after(&screen, "receipt: "));
    let report = verified(&session, &receipt);
    assert!(report["checks"].as_array().unwrap().iter().all(|check| check["passed"] == true), "{report}");
    assert!(report["anchor"].as_str().unwrap().starts_with("anchored"), "{report}");
    // A changed answer is found, and named in one line.
    let log = Path::new(&session).join("log.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.replacen("\"confidence\":2", "\"confidence\":3", 1)).unwrap();
    assert_ne!(std::fs::read_to_string(&log).unwrap(), text);
    run_failing(&["listen", "verify", &session], 1);
    std::fs::write(&log, text).unwrap();
    // The sounds of the session are those that were played.
    let out = folder.path().join("stimuli");
    let done = isotherm(&["listen", "render", &session, "--out", out.to_str().unwrap()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let key: Value = serde_json::from_slice(&std::fs::read(out.join("key.json")).unwrap()).unwrap();
    assert_eq!(key["files"].as_object().unwrap().len(), 2);
    assert!(screen.contains("The host 'file' plays nothing"), "{screen}");
    // Commitment and receipt are shown while the test runs.
    assert!(screen.contains("commitment: ") && screen.matches("[receipt ").count() > 16, "{screen}");
    // A side that was changed has other sounds.
    let side = Path::new(&session).join("a.json");
    let text = std::fs::read_to_string(&side).unwrap();
    std::fs::write(&side, format!("{text}\n")).unwrap();
    let out = folder.path().join("others");
    let error = run_failing(&["listen", "render", &session, "--out", out.to_str().unwrap()], 1);
    assert!(error.contains("a.json was changed"), "{error}");
}

#[test]
fn a_staircase_is_taken_by_keys_in_a_terminal_and_its_record_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let (sound, sessions) = (sound(folder.path()), folder.path().join("sessions"));
    let mut arguments = arguments(sound.to_str().unwrap(), sessions.to_str().unwrap());
    let trials = arguments.iter().position(|argument| *argument == "--trials").unwrap();
    arguments.splice(trials..trials + 2, ["--question", "threshold", "--reversals", "16"]);
    let mut terminal = Terminal::start(&arguments);
    // Somebody who answers without listening.
    let mut answers = 0;
    let ended = terminal.listen(
        || {
            answers += 1;
            answers % 2 == 0
        },
        |_| false,
    );
    let screen = terminal.screen();
    assert!(ended && terminal.child.wait().unwrap().success(), "{screen}");
    assert!((17..=96).contains(&answers), "{answers}: {screen}");
    assert!(screen.contains("The test ends after 16 reversals, which takes about 48 trials, 96 at the most."), "{screen}");
    let (session, receipt) = (after(&screen, "session: "), after(&screen, "receipt: "));
    let report = verified(&session, &receipt);
    let sentence = report["sentences"][0].as_str().unwrap();
    assert!(sentence.contains("error") && sentence.contains("on this loop"), "{report}");
    assert!(screen.contains(sentence) && screen.contains("  Reversals: 16 of 16"), "{screen}");
    let words = "levels and 16 reversals of the staircase follow from the answers";
    assert!(report["checks"].as_array().unwrap().iter().any(|check| check["text"] == words), "{report}");
    // Its sounds are A and B; the errors between them are mixed from both.
    let out = folder.path().join("stimuli");
    let done = isotherm(&["listen", "render", &session, "--out", out.to_str().unwrap()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let key: Value = serde_json::from_slice(&std::fs::read(out.join("key.json")).unwrap()).unwrap();
    assert_eq!(key["files"].as_object().unwrap().len(), 2);
    assert!(key["matching"]["rungs"].as_array().unwrap().len() > 60);
}

#[test]
fn a_ladder_that_is_none_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (sound, sessions) = (sound(folder.path()), folder.path().join("sessions"));
    let refused = |question: &str, more: &[&str], code: i32| {
        let start = ["listen", "run", "--question", question, "--a", "saturator drive=24", "--sound", sound.to_str().unwrap()];
        let rest = ["--to", "2", "--host", "file", "--sessions", sessions.to_str().unwrap()];
        run_failing(&[&start[..], more, &rest[..]].concat(), code)
    };
    let rungs = |drives: &[&'static str]| -> Vec<&'static str> { drives.iter().flat_map(|drive| ["--rung", *drive]).collect() };
    let five = rungs(&["saturator drive=25"; 5]);
    assert!(refused("threshold", &five, 2).contains("--rung: 5 rungs; expected 6 to 16"));
    assert!(refused("threshold", &[&five[..], &["--b", "dry"]].concat(), 2).contains("--b: the last --rung is side B"));
    assert!(refused("difference", &five, 2).contains("--rung: a threshold alone has rungs"));
    assert!(refused("difference", &["--b", "dry", "--reversals", "16"], 2).contains("--reversals: only a staircase has them"));
    assert!(refused("threshold", &["--b", "dry", "--reversals", "8"], 2).contains("8 reversals; expected 16 to 60"));
    assert!(refused("threshold", &["--b", "dry", "--rule", "sprt"], 2).contains("does not answer the question"));
    assert!(refused("difference", &["--b", "dry", "--rule", "staircase"], 2).contains("does not answer the question"));
    assert!(!sessions.exists(), "nothing was begun");
    // Rungs in another order than their errors are measured first, and then refused.
    let order = ["24.5", "25", "28", "26", "29", "31"].map(|drive| format!("saturator drive={drive}"));
    let order: Vec<&str> = order.iter().flat_map(|rung| ["--rung", rung]).collect();
    let start = ["listen", "run", "--question", "threshold", "--a", "saturator drive=24", "--sound", sound.to_str().unwrap()];
    let rest = ["--to", "2", "--control", "none", "--host", "file", "--sessions", sessions.to_str().unwrap()];
    let mut terminal = Terminal::start(&[&start[..], &order[..], &rest[..]].concat());
    assert!(terminal.listen(|| true, |_| false));
    assert_eq!(terminal.child.wait().unwrap().code(), Some(1));
    std::thread::sleep(ECHO);
    let screen = terminal.screen();
    assert!(screen.contains("Ladder: the errors do not rise: rung 3 (saturator drive=28) has "), "{screen}");
}

#[test]
fn a_test_that_was_interrupted_goes_on_where_it_was() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let folder = tempfile::tempdir().unwrap();
    let (sound, sessions) = (sound(folder.path()), folder.path().join("sessions"));
    let mut terminal = Terminal::start(&arguments(sound.to_str().unwrap(), sessions.to_str().unwrap()));
    assert!(!terminal.listen(|| true, |heading| heading.contains("trial 4")), "{}", terminal.screen());
    kill(Pid::from_raw(terminal.child.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(terminal.child.wait().unwrap().code(), Some(1));
    std::thread::sleep(ECHO);
    let screen = terminal.screen();
    let line = screen.lines().find(|line| line.contains("to go on: isotherm listen run '")).unwrap_or_else(|| panic!("{screen}"));
    let session = line.split('\'').nth(1).unwrap().to_owned();
    assert!(line.contains("receipt: ") && line.trim_end().ends_with("' --host 'file'"), "{line}");
    assert!(screen.contains("12 right of 16 show a difference") && screen.contains("keys: a b x play"), "{screen}");
    // A test that does not start has nothing to go on with, though an older session was left.
    let mut refused = arguments(sound.to_str().unwrap(), sessions.to_str().unwrap());
    let side = refused.iter().position(|argument| *argument == "--b").unwrap() + 1;
    refused[side] = "saturator drive=24.0";
    let mut equal = Terminal::start(&refused);
    assert!(equal.listen(|| true, |_| false));
    assert_eq!(equal.child.wait().unwrap().code(), Some(1));
    let shown = equal.screen();
    assert!(shown.contains("the test does not start") && !shown.contains("to go on"), "{shown}");
    let mut answers = 0;
    let mut terminal = Terminal::start(&["listen", "run", &session, "--host", "file"]);
    let ended = terminal.listen(
        || {
            answers += 1;
            true
        },
        |_| false,
    );
    let screen = terminal.screen();
    assert!(ended && terminal.child.wait().unwrap().success(), "{screen}");
    assert_eq!(answers, 13, "three answers were on the disk: {screen}");
    verified(&session, &after(&screen, "receipt: "));
}

#[test]
fn a_test_that_is_told_to_end_gives_the_terminal_back_and_can_go_on() {
    use nix::sys::signal::{Signal, kill};
    use nix::sys::termios::{LocalFlags, tcgetattr};
    use nix::unistd::Pid;

    let folder = tempfile::tempdir().unwrap();
    let (sound, sessions) = (sound(folder.path()), folder.path().join("sessions"));
    let shown = LocalFlags::ICANON | LocalFlags::ECHO;
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let mut terminal = Terminal::start(&arguments(sound.to_str().unwrap(), sessions.to_str().unwrap()));
        assert!(!terminal.listen(|| true, |heading| heading.contains("trial 1")), "{}", terminal.screen());
        assert_eq!(tcgetattr(&terminal.keys).unwrap().local_flags & shown, LocalFlags::empty());
        // Ctrl-\ and Ctrl-Z end or stop nothing.
        terminal.keys.write_all(b"\x1c\x1a").unwrap();
        kill(Pid::from_raw(terminal.child.id() as i32), signal).unwrap();
        assert_eq!(terminal.child.wait().unwrap().code(), Some(1), "{signal}");
        assert_eq!(tcgetattr(&terminal.keys).unwrap().local_flags & shown, shown, "{signal}");
        let begun = Instant::now();
        while !terminal.screen().contains("to go on: isotherm listen run '") {
            assert!(begun.elapsed() < TIMEOUT, "{}", terminal.screen());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn the_plan_of_a_saved_session_is_not_changed_by_a_flag() {
    for flag in [["--trials", "99"], ["--a", "dry"], ["--control", "none"], ["--listener", "Zoe"], ["--from", "0"]] {
        let line = run_failing(&["listen", "run", "session", flag[0], flag[1]], 2);
        let expected =
            format!("isotherm: {}: the plan of a saved session cannot be changed; expected SESSION without it", flag[0]);
        assert!(line.starts_with(&expected), "{line}");
    }
    assert!(run_failing(&["listen", "run", "no-session"], 1).contains("no-session: no session of a listening test"));
    assert!(run_failing(&["listen", "render", "session", "--to", "3", "--out", "x"], 2).contains("--to: the plan of a saved"));
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf_8_are_opened_or_refused_in_one_line() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join(OsStr::from_bytes(b"r\xfe.wav"));
    std::fs::copy(sound(folder.path()), &odd).unwrap();
    let side = OsString::from_vec([b"file:", odd.as_os_str().as_bytes()].concat());
    let start = |name: &str| -> Vec<OsString> {
        let words: [&OsStr; 8] = [
            "listen".as_ref(),
            name.as_ref(),
            "--a".as_ref(),
            &side,
            "--b".as_ref(),
            "saturator drive=24".as_ref(),
            "--sound".as_ref(),
            odd.as_ref(),
        ];
        words.map(OsStr::to_owned).into()
    };
    let call = |name: &str, more: &[&OsStr]| {
        let arguments: Vec<OsString> = start(name).into_iter().chain(more.iter().map(|word| (*word).to_owned())).collect();
        isotherm(&arguments)
    };
    let out = folder.path().join(OsStr::from_bytes(b"out\xfe"));
    let done = call("render", &["--out".as_ref(), out.as_ref()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(out.join("key.json").exists());
    // The sound would be the name of the device, too, and names of devices are text.
    let line = failure_line(call("run", &["--host".as_ref(), "file".as_ref()]), &[], 2);
    assert!(line.contains("--device: none, and the name of the sound") && line.contains("is not UTF-8"), "{line}");
    let line = failure_line(call("run", &["--listener".as_ref(), OsStr::from_bytes(b"\xfe")]), &[], 2);
    assert!(line.contains("not UTF-8 where a text is expected"), "{line}");
    let line =
        failure_line(call("run", &["--control".as_ref(), "none".as_ref(), "--b".as_ref(), OsStr::from_bytes(b"\xfe")]), &[], 2);
    assert!(line.contains("--b"), "{line}");
}

#[test]
fn the_sounds_of_a_test_are_written_for_other_tools_with_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let sound = sound(folder.path());
    let out = folder.path().join("stimuli");
    let call = |a: &str, b: &str, out: &Path| {
        isotherm(&["listen", "render", "--a", a, "--b", b, "--sound", sound.to_str().unwrap(), "--out", out.to_str().unwrap()])
    };
    let done = call("saturator drive=24", "other:gain_db=1", &out);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{text}{}", String::from_utf8_lossy(&done.stderr));
    assert!(text.contains("exempt: this is the change that is tested"), "{text}");
    let key: Value = serde_json::from_slice(&std::fs::read(out.join("key.json")).unwrap()).unwrap();
    let named = |side: &str| -> Audio {
        let files = key["files"].as_object().unwrap();
        let file = files.iter().find(|(_, found)| found.as_str() == Some(side)).unwrap().0;
        wav::read(out.join(file)).unwrap()
    };
    let [a, b, control] = ["A", "B", "control"].map(named);
    let gain_db = 20.0 * (b.rms() / a.rms()).log10();
    assert!((gain_db - 1.0).abs() < 1e-3, "{gain_db}");
    assert_eq!(a.frames(), control.frames());
    assert_eq!(key["passed"], true);
    // The folder is never replaced.
    let arguments = ["listen", "render", "--a", "dry", "--b", "dry", "--sound", sound.to_str().unwrap(), "--out"];
    let arguments: Vec<&str> = arguments.into_iter().chain([out.to_str().unwrap()]).collect();
    assert!(run_failing(&arguments, 1).contains("exists already"));
    // Equal sides are written, and said to be equal.
    let equal = folder.path().join("equal");
    assert_eq!(call("dry", "dry", &equal).status.code(), Some(4));
}

#[test]
fn a_test_that_cannot_be_taken_is_refused_in_one_line_before_a_device_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let sound = sound(folder.path());
    let sound = sound.to_str().unwrap();
    let run = |more: &[&str], code| {
        let arguments: Vec<&str> = ["listen", "run", "--sound", sound].into_iter().chain(more.iter().copied()).collect();
        run_failing(&arguments, code)
    };
    assert!(run(&["--a", "dry"], 2).contains("--b: no side"));
    assert!(run(&["--a", "saturatr", "--b", "dry"], 1).contains("saturatr"));
    assert!(run(&["--a", "dry", "--b", "clipper", "--to", "0.3"], 1).contains("0.3000 s long; expected 0.5 to 30 s"));
    assert!(run(&["--a", "dry", "--b", "clipper", "--to", "x"], 2).contains("--to: 'x'"));
    assert!(run(&["--a", "dry", "--b", "clipper", "--trials", "0"], 2).contains("--trials"));
    assert!(run_failing(&["listen", "run", "--a", "dry", "--b", "clipper"], 2).contains("--sound: no sound"));
    assert!(run_failing(&["listen", "verify", folder.path().to_str().unwrap()], 1).contains("no session of a listening test"));
}

#[test]
fn the_power_of_a_protocol_is_told_in_words() {
    let done = isotherm(&["listen", "power", "--trials", "16"]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && text.contains("16"), "{text}");
    let other = isotherm(&["listen", "power", "--rule", "sprt", "--trials", "60"]);
    assert_ne!(String::from_utf8(other.stdout).unwrap(), text);
    // Equivalence has the number of trials that it needs.
    for (margin, trials) in [("0.7", "53"), ("0.75", "33"), ("0.6", "214")] {
        let power = |more: &[&str]| {
            isotherm(&[&["listen", "power", "--question", "equivalence", "--margin", margin][..], more].concat()).stdout
        };
        assert_eq!(power(&[]), power(&["--trials", trials]), "{margin}");
    }
}
