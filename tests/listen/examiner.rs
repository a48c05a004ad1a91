//! Whole tests in a venue, taken by listeners who know nothing but what they hear.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use isotherm::audio::{Audio, Random, generate};
use isotherm::dsp::ProcessSpec;
use isotherm::effect::Effect;
use isotherm::listen::{
    Answer, Blinding, Button, Change, ControlTrial, Examiner, Form, LOG, Player, Protocol, Question, Rule, SideChoice,
    SoundSource, TestPart, TestSetup, TestStep, Venue, VenueError, line_hash, verify,
};
use isotherm::view::{GateView, ListenAction, ListenStage, ListenView, ResultView, TestView};
use tempfile::TempDir;

/// Sample rate of the venue.
const RATE: u32 = 48_000;
/// Frames of a block.
const BLOCK: usize = 256;

/// The state of a venue that a test can change and hear.
struct Inner {
    player: Option<Box<Player>>,
    spec: Result<ProcessSpec, VenueError>,
    slots: [Effect; 2],
    generation: u64,
    drop_outs: u64,
    /// The count of players that were offered, and true if none is taken.
    offers: u32,
    refuses: bool,
    keeps: bool,
    input: Audio,
}

/// A venue without a device.
#[derive(Clone)]
struct FakeVenue(Arc<Mutex<Inner>>);

impl FakeVenue {
    fn new(slots: [&str; 2]) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            player: None,
            spec: Ok(ProcessSpec::new(RATE as f32, 2, BLOCK)),
            slots: slots.map(|text| text.parse().unwrap()),
            generation: 0,
            drop_outs: 0,
            offers: 0,
            refuses: false,
            keeps: false,
            input: generate::guitar(RATE, 2, 1).unwrap().slice(..4 * RATE as usize).unwrap(),
        })))
    }

    /// Plays some blocks and returns the first channel of the last ones, after the dip.
    fn hear(&self) -> Vec<f32> {
        let mut inner = self.0.lock().unwrap();
        let player = inner.player.as_mut().expect("the examiner gave a player");
        let mut heard = Vec::new();
        for _ in 0..16 {
            let (mut left, mut right) = (vec![0.7; BLOCK], vec![0.7; BLOCK]);
            player.process(&mut [&mut left[..], &mut right[..]]);
            heard.extend(left);
        }
        heard.split_off(4 * BLOCK)
    }
}

impl FakeVenue {
    /// Sends a second of live noise of a level through the player; the energy of its second half.
    fn hear_live(&self, level: f32) -> f64 {
        let mut inner = self.0.lock().unwrap();
        let mut sound = noise(level, RATE as usize);
        let player = inner.player.as_mut().unwrap();
        for from in (0..sound.frames()).step_by(BLOCK) {
            let to = sound.frames().min(from + BLOCK);
            let mut block: Vec<&mut [f32]> = sound.iter_mut().map(|channel| &mut channel[from..to]).collect();
            player.process(&mut block);
        }
        sound.channel(0)[RATE as usize / 2..].iter().map(|sample| f64::from(*sample).powi(2)).sum()
    }
}

/// White noise in two equal channels.
fn noise(level: f32, frames: usize) -> Audio {
    let mut random = Random::new(1);
    let samples: Vec<f32> = (0..frames).map(|_| random.within(-level, level)).collect();
    Audio::from_channels(RATE, &[&samples, &samples]).unwrap()
}

impl Venue for FakeVenue {
    fn name(&self) -> String {
        "a fake venue".into()
    }

    fn spec(&self) -> Result<ProcessSpec, VenueError> {
        self.0.lock().unwrap().spec.clone()
    }

    fn slots(&self) -> [Effect; 2] {
        self.0.lock().unwrap().slots.clone()
    }

    fn generation(&self) -> u64 {
        self.0.lock().unwrap().generation
    }

    fn captured(&self) -> Option<Audio> {
        let inner = self.0.lock().unwrap();
        inner.keeps.then(|| inner.input.clone())
    }

    fn keep(&mut self, keep: bool) {
        self.0.lock().unwrap().keeps = keep;
    }

    fn install(&mut self, player: Option<Box<Player>>) -> Result<(), VenueError> {
        let mut inner = self.0.lock().unwrap();
        inner.offers += u32::from(player.is_some());
        if player.is_some() && inner.refuses {
            return Err(VenueError::Stopped);
        }
        inner.player = player;
        Ok(())
    }

    fn drop_outs(&self) -> u64 {
        self.0.lock().unwrap().drop_outs
    }
}

/// An examiner in a venue, with a folder for its sessions.
pub struct Room {
    venue: FakeVenue,
    pub examiner: Examiner,
    pub sessions: TempDir,
}

impl Room {
    pub fn new(slots: [&str; 2]) -> Self {
        let (venue, sessions) = (FakeVenue::new(slots), TempDir::new().unwrap());
        let mut examiner = Examiner::new(Box::new(venue.clone()), sessions.path().join("listening"));
        examiner.act(ListenAction::Open);
        examiner.act(ListenAction::Capture);
        assert_eq!(examiner.view().error, None);
        Self { venue, examiner, sessions }
    }

    /// Asks for a test and waits until it runs or is refused.
    pub fn start(&mut self, setup: TestSetup) -> ListenView {
        self.examiner.act(ListenAction::Set(setup));
        self.examiner.act(ListenAction::Start);
        self.wait()
    }

    /// Waits for the end of a preparation.
    fn wait(&mut self) -> ListenView {
        let end = Instant::now() + Duration::from_secs(300);
        while matches!(self.examiner.view().stage, ListenStage::Preparing { .. }) {
            assert!(Instant::now() < end);
            std::thread::sleep(Duration::from_millis(5));
            self.examiner.tick();
        }
        self.examiner.view()
    }

    /// The running test.
    pub fn test(&self) -> TestView {
        match self.examiner.view().stage {
            ListenStage::Running(test) => test,
            stage => panic!("{stage:?}: {:?}", self.examiner.view().error),
        }
    }

    /// The result.
    pub fn result(&self) -> ResultView {
        match self.examiner.view().stage {
            ListenStage::Ended(result) => result,
            stage => panic!("{stage:?}: {:?}", self.examiner.view().error),
        }
    }

    /// Leaves the running test as a program does that ends, and resumes it in another one.
    pub fn leave_and_resume(&mut self) {
        let folder = self.examiner.session().expect("a test runs").to_path_buf();
        self.examiner = Examiner::new(Box::new(self.venue.clone()), self.sessions.path().join("listening"));
        self.examiner.act(ListenAction::Open);
        self.examiner.act(ListenAction::Resume(folder));
        self.wait();
    }

    /// Presses a button and listens from the same place of the loop each time.
    fn listen(&mut self, button: Button) -> Vec<f32> {
        self.examiner.act(ListenAction::Press(button));
        assert_eq!(self.test().playing, Some(button));
        self.venue.hear()
    }

    /// Puts another effect into a slot.
    fn set_slot(&mut self, slot: usize, text: &str) {
        let mut inner = self.venue.0.lock().unwrap();
        inner.slots[slot] = text.parse().unwrap();
        inner.generation += 1;
    }

    /// The first line of the log of the only session.
    pub fn configuration(&self) -> serde_json::Value {
        let session = std::fs::read_dir(self.sessions.path().join("listening")).unwrap().next().unwrap().unwrap();
        let log = std::fs::read_to_string(session.path().join("log.jsonl")).unwrap();
        serde_json::from_str(log.lines().next().unwrap()).unwrap()
    }

    /// The answer of somebody who hears everything: which of two sounds is nearer to what the buttons play. The loop runs on, so
    /// brightness and level are compared, not samples.
    fn hear(&mut self) -> Answer {
        match self.test().form {
            Form::Abx => {
                let [a, b, x] = [Button::First, Button::Second, Button::X].map(|button| self.timbre(button));
                if (x - a).abs() < (x - b).abs() { Answer::First } else { Answer::Second }
            }
            Form::SameDifferent => {
                let [first, second] = [Button::First, Button::Second].map(|button| self.timbre(button));
                if (first - second).abs() < 1e-3 * first.abs() { Answer::Same } else { Answer::Different }
            }
            Form::Preference => {
                let [first, second] = [Button::First, Button::Second].map(|button| self.timbre(button));
                if first > second { Answer::First } else { Answer::Second }
            }
        }
    }

    /// A figure of what a button plays over a whole loop: energy of its differences, which is that of its highs.
    pub fn timbre(&mut self, button: Button) -> f64 {
        let mut heard = self.listen(button);
        let frames = (LOOP_SECONDS * f64::from(RATE)) as usize;
        while heard.len() < frames {
            let mut inner = self.venue.0.lock().unwrap();
            let (mut left, mut right) = (vec![0.0; BLOCK], vec![0.0; BLOCK]);
            inner.player.as_mut().unwrap().process(&mut [&mut left[..], &mut right[..]]);
            heard.extend(left);
        }
        heard[..frames].windows(2).map(|pair| f64::from(pair[1] - pair[0]).powi(2)).sum()
    }

    /// Takes the test to its end; `answer` gets what is heard and the number of the trial.
    fn take(&mut self, mut answer: impl FnMut(Answer, &TestView) -> Answer) {
        while let ListenStage::Running(test) = self.examiner.view().stage {
            let action = match test.step {
                TestStep::Introduction | TestStep::Feedback { .. } if test.part == TestPart::Training => {
                    ListenAction::EndTraining
                }
                TestStep::Introduction | TestStep::Pause | TestStep::Feedback { .. } => ListenAction::Continue,
                TestStep::Confidence => ListenAction::Confidence(3),
                TestStep::Answer => {
                    let heard = self.hear();
                    ListenAction::Answer(answer(heard, &test))
                }
            };
            self.examiner.act(action);
            self.examiner.tick();
            assert_eq!(self.examiner.view().error, None);
        }
    }
}

/// Seconds of the loop.
const LOOP_SECONDS: f64 = 0.5;

/// A short test of slot A against slot B.
pub fn setup(protocol: Protocol) -> TestSetup {
    TestSetup { protocol, range: [1.0, 1.0 + LOOP_SECONDS], control: ControlTrial::LowPass, ..TestSetup::default() }
}

/// A protocol with few trials.
fn short(question: Question, form: Form, trials: u32) -> Protocol {
    Protocol { question, form, rule: Rule::Fixed, trials, margin: 0.7 }
}

#[test]
fn a_test_on_live_sound_is_taken_by_ear_and_trials_with_faults_are_flagged() {
    let mut room = Room::new(["clipper", "saturator drive=12"]);
    room.venue.0.lock().unwrap().input = noise(0.5, 4 * RATE as usize);
    let sides = [SideChoice::Dry, SideChoice::Slot(1)];
    let setup = TestSetup { sides, source: SoundSource::Live, control: ControlTrial::None, ..setup(QUICKEST) };
    let view = room.start(setup);
    assert!(matches!(view.stage, ListenStage::Running(_)), "{view:?}");
    room.examiner.act(ListenAction::EndTraining);
    room.examiner.act(ListenAction::Continue);
    // Effects that begin in silence warm up before anything is heard.
    room.examiner.act(ListenAction::Press(Button::First));
    assert_eq!((room.test().playing, room.test().note.is_some_and(|note| note.contains("warming up"))), (None, true));
    (0..20).for_each(|_| room.examiner.tick());
    for trial in 1..=5 {
        // A saturator makes quiet passages louder, and loud ones softer than dry sound, which gets high peaks.
        let level = match trial {
            3 => 0.1,
            5 => 0.95,
            _ => 0.5,
        };
        let mut energies = Vec::new();
        for button in [Button::First, Button::Second, Button::X] {
            room.examiner.act(ListenAction::Press(button));
            energies.push(room.venue.hear_live(level));
            // Nobody measures the fourth trial while it plays.
            if trial != 4 {
                room.examiner.tick();
            }
        }
        assert_eq!(room.examiner.view().position, None);
        let is_first = (energies[2] - energies[0]).abs() < (energies[2] - energies[1]).abs();
        room.examiner.act(ListenAction::Answer(if is_first { Answer::First } else { Answer::Second }));
        room.examiner.act(ListenAction::Confidence(4));
    }
    let result = room.result();
    let without =
        "The result hangs on trials with faults. Without the 3 flagged trials: 2 of 2, no difference is shown (p = .25).";
    assert_eq!(result.sentences[..2], ["This test shows nothing: 3 of 5 trials had faults.", without]);
    assert!(result.sentences[2].starts_with("5 of 5: you heard a difference"), "{:?}", result.sentences);
    let flagged = "Flagged trials: 3 of 5, for unequal loudness (2), peaks beyond -1 dBTP (1), sound that was not measured (1).";
    assert!(result.remarks.iter().any(|remark| remark == flagged), "{:?}", result.remarks);
    let checked = verify(&result.folder, Some(&result.receipt)).unwrap();
    assert!(checked.passed(), "{:?}", checked.checks);
    let table = std::fs::read_to_string(result.folder.join("trials.csv")).unwrap();
    // The last columns: loudness_difference_lu, true_peak_dbtp, lost_frames.
    let has = |column: usize| -> Vec<bool> {
        table.lines().skip(1).map(|line| !matches!(line.rsplit(',').nth(column), Some("" | "0"))).collect()
    };
    assert_eq!(has(2), [false, false, true, false, true], "{table}");
    assert_eq!(has(1), [false, false, false, false, true], "{table}");
    assert_eq!(has(0), [false, false, false, true, false], "{table}");
}

#[test]
fn a_test_whose_table_cannot_be_written_ends_all_the_same_and_is_finished_later() {
    let mut room = Room::new(PLAIN);
    room.start(TestSetup { control: ControlTrial::None, ..setup(QUICKEST) });
    room.examiner.act(ListenAction::EndTraining);
    room.examiner.act(ListenAction::Continue);
    let folder = room.examiner.session().unwrap().to_path_buf();
    // A folder stands in the way.
    std::fs::create_dir(folder.join(".trials.csv.part")).unwrap();
    room.examiner.act(ListenAction::Abort);
    assert!(room.examiner.view().error.unwrap().contains("trials.csv"));
    let log = std::fs::read(folder.join(LOG)).unwrap();
    for action in [ListenAction::Press(Button::First), ListenAction::Answer(Answer::First), ListenAction::Confidence(1)] {
        room.examiner.act(action);
    }
    assert_eq!(std::fs::read(folder.join(LOG)).unwrap(), log, "nothing follows the last line");
    assert!(room.result().sentences[0].starts_with("Aborted after 0 of 5"));
    assert!(room.venue.0.lock().unwrap().player.is_none());
    // It is offered again, and then whole.
    std::fs::remove_dir(folder.join(".trials.csv.part")).unwrap();
    room.examiner.act(ListenAction::Done);
    assert_eq!(room.examiner.view().unfinished.as_deref(), Some(folder.as_path()));
    room.examiner.act(ListenAction::Resume(folder.clone()));
    assert!(room.result().sentences[0].starts_with("Aborted after 0 of 5"));
    let checked = verify(&folder, None).unwrap();
    assert!(checked.passed(), "{:?}", checked.checks);
}

#[test]
fn a_test_whose_folder_is_deleted_is_left_at_the_next_answer_and_says_so() {
    let mut room = Room::new(PLAIN);
    room.start(TestSetup { control: ControlTrial::None, ..setup(QUICKEST) });
    room.examiner.act(ListenAction::EndTraining);
    room.examiner.act(ListenAction::Continue);
    room.listen(Button::First);
    std::fs::remove_dir_all(room.examiner.session().unwrap()).unwrap();
    room.examiner.tick();
    assert_eq!(room.test().step, TestStep::Answer);
    room.examiner.act(ListenAction::Answer(Answer::First));
    let view = room.examiner.view();
    assert_eq!((&view.stage, &view.unfinished), (&ListenStage::Setup, &None));
    let error = view.error.unwrap();
    assert!(error.ends_with("the log was deleted or moved by another program; this test cannot go on"), "{error}");
    assert!(room.venue.0.lock().unwrap().player.is_none(), "the output is given back");
}

#[test]
fn figures_of_the_first_line_that_do_not_follow_from_the_sound_do_not_verify() {
    let mut room = Room::new(PLAIN);
    room.start(TestSetup { control: ControlTrial::None, ..setup(QUICKEST) });
    let folder = room.examiner.session().unwrap().to_path_buf();
    let seed = std::fs::read_to_string(folder.join("seed")).unwrap();
    let digits: Vec<&str> = seed.split_whitespace().collect();
    let blinding = Blinding::opened(digits[0], digits[1]).unwrap();
    room.take(|heard, _| heard);
    let log = std::fs::read_to_string(folder.join(LOG)).unwrap();
    // Somebody with the seed makes the whole log anew: a commitment, and right hashes.
    let forge = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut previous = "0".repeat(64);
        let mut commitment = String::new();
        let mut text = String::new();
        for (number, line) in log.lines().enumerate() {
            let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
            value["previous"] = previous.into();
            match number {
                0 => change(&mut value),
                1 => value["commitment"] = commitment.clone().into(),
                _ => {}
            }
            let line = value.to_string();
            if number == 0 {
                commitment = blinding.commitment(line.as_bytes());
            }
            previous = line_hash(line.as_bytes());
            text += &(line + "\n");
        }
        std::fs::write(folder.join(LOG), text).unwrap();
        verify(&folder, None).unwrap()
    };
    let honest = forge(&|_| ());
    assert!(honest.passed());
    let subject = "A: slot A: clipper; B: slot B: bitcrusher bits=5; is there a difference? ABX, fixed number of trials, 5 trials; a \
                   loop of 0.50 s";
    assert_eq!(honest.subject, subject);
    type Change<'a> = (&'a str, &'a dyn Fn(&mut serde_json::Value));
    let changes: [Change; 11] = [
        ("side", &|line| line["setup"]["sides"][0] = serde_json::json!({ "effect": "saturator drive=24" })),
        ("side", &|line| line["setup"]["sides"][1] = serde_json::json!({ "file": "/x/hardware.wav" })),
        ("outcome", &|line| line["matching"]["gates"][0]["outcome"] = "failed".into()),
        ("limit", &|line| line["matching"]["gates"][3]["limit"] = 99.0.into()),
        ("dc", &|line| line["matching"]["dc"][0] = 9.0.into()),
        ("esr_db", &|line| line["esr_db"] = (line["esr_db"].as_f64().unwrap() - 1.0).into()),
        ("sample_rate", &|line| line["sample_rate"] = 44_100.0.into()),
        ("range", &|line| line["setup"]["range"][0] = 0.0.into()),
        ("gates", &|line| line["matching"]["gates"][0]["text"] = "fair".into()),
        ("is_aa", &|line| line["is_aa"] = true.into()),
        ("files", &|line| line["files"] = serde_json::json!({})),
    ];
    for (name, change) in changes {
        assert!(!forge(change).passed(), "{name}");
    }
    // A version whose sound differs names both versions.
    let other = forge(&|line| {
        line["program"] = "isotherm 99".into();
        line["matching"]["gain_db"] = (line["matching"]["gain_db"].as_f64().unwrap() + 1.0).into();
    });
    let fault = other.checks.iter().find(|check| !check.passed).unwrap();
    assert!(fault.text.starts_with("the sides are not matched as isotherm 99 says in the log: gain"), "{}", fault.text);
    assert!(fault.text.ends_with("which may compute another sound: verify the session with isotherm 99"), "{}", fault.text);
}

/// The shortest test.
const QUICKEST: Protocol = Protocol { trials: 5, ..Protocol::QUICK };

/// Slots that differ plainly.
const PLAIN: [&str; 2] = ["clipper", "bitcrusher bits=5"];

#[test]
fn who_hears_passes_every_form_and_the_record_verifies() {
    let protocols = [
        short(Question::Difference, Form::Abx, 6),
        short(Question::Difference, Form::SameDifferent, 6),
        short(Question::Preference, Form::Preference, 6),
    ];
    for protocol in protocols {
        let mut room = Room::new(PLAIN);
        room.start(setup(protocol));
        room.take(|heard, _| heard);
        let result = room.result();
        let expected = match protocol.question {
            Question::Preference => "6 of 6 for ",
            _ => "6 of 6: you heard a difference (p = .016).",
        };
        assert!(result.sentences[0].starts_with(expected), "{protocol:?}: {:?}", result.sentences);
        assert!(!result.sentences.iter().chain(&result.remarks).any(|text| text.contains("Sensitivity")), "{result:?}");
        for name in ["Error to signal", "Integrated loudness of A", "Real-time factor of B"] {
            assert!(result.measures.iter().any(|(found, _)| found.starts_with(name)), "{name}: {:?}", result.measures);
        }
        for (start, unit) in [("Noise-to-mask ratio", " dB"), ("Total harmonic distortion of B", " %")] {
            let (name, figure) = result.measures.iter().find(|(name, _)| name.starts_with(start)).unwrap();
            assert!(figure.ends_with(unit), "{name}: {figure}");
        }
        let checked = verify(&result.folder, Some(&result.receipt)).unwrap();
        assert!(checked.passed() && checked.anchor.starts_with("anchored: "), "{:?}", checked.checks);
        assert_eq!(checked.sentences, result.sentences);
        assert!(room.venue.0.lock().unwrap().player.is_none(), "the output is given back");
        room.examiner.act(ListenAction::Done);
        assert_eq!(room.examiner.view().stage, ListenStage::Setup);
    }
}

#[test]
fn a_sound_or_a_gain_that_was_changed_after_the_test_does_not_verify() {
    let mut room = Room::new(PLAIN);
    room.start(TestSetup { control: ControlTrial::None, ..setup(short(Question::Difference, Form::Abx, 5)) });
    room.take(|heard, _| heard);
    let folder = room.result().folder;
    let log = std::fs::read_to_string(folder.join(LOG)).unwrap();
    let gain = log.find("\"gain_db\":").unwrap() + 10;
    let end = gain + log[gain..].find(',').unwrap();
    let other = format!("{}{}{}", &log[..gain], log[gain..end].parse::<f64>().unwrap() + 0.02, &log[end..]);
    std::fs::write(folder.join(LOG), other).unwrap();
    let faults = |folder: &Path| {
        let checked = verify(folder, None).unwrap();
        checked.checks.into_iter().filter(|check| !check.passed).map(|check| check.text).collect::<Vec<_>>().join("; ")
    };
    assert!(faults(&folder).contains("line 1 was changed"), "{}", faults(&folder));
    std::fs::write(folder.join(LOG), log).unwrap();
    assert_eq!(faults(&folder), "");
    let mut bytes = std::fs::read(folder.join("loop.wav")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(folder.join("loop.wav"), bytes).unwrap();
    assert_eq!(faults(&folder), "loop.wav was changed");
}

#[test]
fn who_hears_nothing_does_not_pass_the_control_and_the_result_says_so() {
    let mut room = Room::new(PLAIN);
    room.start(setup(short(Question::Difference, Form::Abx, 6)));
    let mut number = 0;
    // Wrong in the control once in each round, and always in the test.
    room.take(|heard, test| {
        number += 1;
        let wrong = if heard == Answer::First { Answer::Second } else { Answer::First };
        if test.part == TestPart::Control && test.number != 3 { heard } else { wrong }
    });
    let result = room.result();
    assert_eq!(number, 10 + 6);
    let texts = result.sentences.join(" ");
    assert!(texts.starts_with("0 of 6: no difference was shown"), "{texts}");
    assert!(texts.contains("Sensitivity was not proven: the positive control was not heard 5 times out of 5."), "{texts}");
    assert!(result.remarks.join(" ").contains("mixed up the answers"), "{result:?}");
}

#[test]
fn an_answer_without_listening_is_refused_and_presses_are_recorded() {
    let mut room = Room::new(PLAIN);
    room.start(TestSetup { control: ControlTrial::None, ..setup(short(Question::Difference, Form::Abx, 5)) });
    let test = room.test();
    assert_eq!((test.part, test.step, test.of), (TestPart::Training, TestStep::Introduction, None));
    room.examiner.act(ListenAction::Press(Button::First));
    assert_eq!(room.test().playing, None, "no trial runs");
    room.examiner.act(ListenAction::Continue);
    room.examiner.act(ListenAction::Answer(Answer::First));
    assert_eq!(room.test().note.as_deref(), Some("Listen first: press one of the buttons."));
    // Training tells, and may go on as long as one likes.
    for number in 1..=3 {
        assert_eq!((room.test().step, room.test().number), (TestStep::Answer, number));
        let heard = room.hear();
        let answer = if number == 2 { if heard == Answer::First { Answer::Second } else { Answer::First } } else { heard };
        room.examiner.act(ListenAction::Answer(answer));
        assert_eq!(room.test().step, TestStep::Feedback { right: number != 2 });
        room.examiner.act(ListenAction::Continue);
    }
    room.examiner.act(ListenAction::EndTraining);
    room.examiner.act(ListenAction::Continue);
    assert_eq!((room.test().part, room.test().number, room.test().of), (TestPart::Test, 1, Some(5)));
    for action in [ListenAction::Press(Button::X), ListenAction::SwitchBack, ListenAction::SwitchBack] {
        room.examiner.act(action);
    }
    assert_eq!(room.test().playing, Some(Button::X));
    // The other form's answer does nothing.
    room.examiner.act(ListenAction::Answer(Answer::Same));
    assert_eq!(room.test().step, TestStep::Answer);
    room.examiner.act(ListenAction::Answer(Answer::Second));
    assert_eq!((room.test().step, room.test().answer, room.test().number), (TestStep::Confidence, Some(Answer::Second), 1));
    room.examiner.act(ListenAction::Confidence(4));
    assert_eq!(room.test().number, 2);
    let folder = std::fs::read_dir(room.sessions.path().join("listening")).unwrap().next().unwrap().unwrap().path();
    let log = std::fs::read_to_string(folder.join(LOG)).unwrap();
    let answer: serde_json::Value = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|line: &serde_json::Value| line["part"] == "test")
        .unwrap();
    let buttons: Vec<&str> =
        answer["switches"].as_array().unwrap().iter().map(|switch| switch["button"].as_str().unwrap()).collect();
    assert_eq!(buttons, ["x", "first", "x"]);
}

#[test]
fn a_trial_is_void_if_settings_or_the_stream_change_and_flagged_after_drop_outs() {
    let mut room = Room::new(PLAIN);
    room.start(TestSetup { control: ControlTrial::None, ..setup(short(Question::Difference, Form::Abx, 5)) });
    room.examiner.act(ListenAction::EndTraining);
    room.examiner.act(ListenAction::Continue);
    room.listen(Button::First);
    room.set_slot(0, "clipper threshold=-20");
    room.examiner.tick();
    let test = room.test();
    let note = "This trial does not count and is repeated: a setting was changed from outside.";
    assert_eq!((test.note.as_deref(), test.playing, test.number), (Some(note), None, 1));
    // Nothing can be heard or answered until nothing has moved for a second, and what moves on makes no other trial void.
    for moved in 1..=40 {
        room.set_slot(0, &format!("clipper threshold=-{moved}"));
        room.examiner.tick();
        room.examiner.act(ListenAction::Press(Button::First));
        room.examiner.act(ListenAction::Answer(Answer::First));
        assert_eq!((room.test().playing, room.test().step), (None, TestStep::Answer));
        assert!(room.test().note.unwrap().starts_with("A setting of a slot moves."));
    }
    for _ in 0..20 {
        room.examiner.tick();
    }
    assert_eq!(room.test().note, None);
    // A setting that moves before anybody has listened, or in a slot that is no side, makes none void either.
    room.set_slot(0, "clipper threshold=-3");
    (0..21).for_each(|_| room.examiner.tick());
    room.listen(Button::First);
    // The device goes and comes again with other blocks.
    room.venue.0.lock().unwrap().spec = Err(VenueError::NoStream);
    room.examiner.tick();
    room.examiner.tick();
    assert!(room.test().note.unwrap().contains("the sound went"), "{:?}", room.test());
    for action in [ListenAction::Press(Button::First), ListenAction::SwitchBack, ListenAction::Answer(Answer::First)] {
        room.examiner.act(action);
        assert_eq!((room.test().playing, room.test().step), (None, TestStep::Answer), "there is no sound");
        assert!(room.test().note.unwrap().starts_with("No sound comes."));
    }
    room.venue.0.lock().unwrap().player = None;
    room.venue.0.lock().unwrap().spec = Ok(ProcessSpec::new(RATE as f32, 2, 2 * BLOCK));
    room.examiner.tick();
    room.listen(Button::X);
    room.venue.0.lock().unwrap().drop_outs += 3;
    let heard = room.hear();
    room.examiner.act(ListenAction::Answer(heard));
    assert!(room.test().note.unwrap().starts_with("Sound was lost in this trial"));
    room.examiner.act(ListenAction::Confidence(1));
    assert_eq!(room.test().note, None);
    room.take(|heard, _| heard);
    let result = room.result();
    assert!(
        result.sentences[0].ends_with("Without the flagged trial: 4 of 4, no difference is shown (p = .062)."),
        "{:?}",
        result.sentences
    );
    assert!(result.remarks.contains(&"Void and repeated: 2 trials.".into()), "{:?}", result.remarks);
    assert!(result.remarks.iter().any(|text| text == "Flagged trials: 1 of 5, for drop-outs (1)."), "{:?}", result.remarks);
    assert!(verify(&result.folder, Some(&result.receipt)).unwrap().passed());
}

#[test]
fn a_stream_that_takes_no_player_makes_one_trial_void_and_is_asked_once_a_second() {
    let mut room = Room::new(PLAIN);
    room.start(TestSetup { control: ControlTrial::None, ..setup(QUICKEST) });
    room.examiner.act(ListenAction::EndTraining);
    room.examiner.act(ListenAction::Continue);
    room.listen(Button::First);
    let before = {
        let mut inner = room.venue.0.lock().unwrap();
        inner.refuses = true;
        inner.spec = Ok(ProcessSpec::new(RATE as f32, 2, 2 * BLOCK));
        inner.offers
    };
    for _ in 0..63 {
        room.examiner.tick();
        room.examiner.act(ListenAction::Press(Button::First));
        assert_eq!(room.test().playing, None, "nothing can be heard");
    }
    assert_eq!(room.venue.0.lock().unwrap().offers - before, 3);
    room.venue.0.lock().unwrap().refuses = false;
    (0..21).for_each(|_| room.examiner.tick());
    room.take(|heard, _| heard);
    let result = room.result();
    assert!(result.remarks.contains(&"Void and repeated: 1 trial.".into()), "{:?}", result.remarks);
}

#[test]
fn a_wide_sound_is_matched_as_a_mono_stream_plays_it_and_refused_where_it_is_not_played_whole() {
    let mut room = Room::new(PLAIN);
    let stream = |channels: usize| Ok(ProcessSpec::new(RATE as f32, channels, BLOCK));
    let mut wide = generate::guitar(RATE, 2, 1).unwrap().slice(..4 * RATE as usize).unwrap();
    wide.channel_mut(1).iter_mut().for_each(|x| *x *= -0.5);
    room.venue.0.lock().unwrap().input = wide.clone();
    room.examiner.act(ListenAction::Capture);
    room.venue.0.lock().unwrap().spec = stream(1);
    let plain = TestSetup { control: ControlTrial::None, ..setup(short(Question::Difference, Form::Abx, 5)) };
    room.start(plain.clone());
    let configuration = room.configuration();
    assert_eq!(configuration["matching"]["channels"], 1);
    room.examiner.act(ListenAction::Abort);
    room.examiner.act(ListenAction::Done);
    room.venue.0.lock().unwrap().spec = stream(2);
    let six = Audio::from_channels(RATE, &[wide.channel(0); 6]).unwrap();
    room.venue.0.lock().unwrap().input = six;
    room.examiner.act(ListenAction::Capture);
    room.examiner.act(ListenAction::Set(plain));
    room.examiner.act(ListenAction::Start);
    let error = room.examiner.view().error;
    assert_eq!(error.as_deref(), Some("the sound has 6 channels and the stream 2; expected as many, or mono"));
}

#[test]
fn a_match_on_live_sound_may_need_half_the_gain_of_one_on_a_loop() {
    let mut room = Room::new(["clipper", "saturator drive=0 output=-15"]);
    room.venue.0.lock().unwrap().input = noise(0.5, 4 * RATE as usize);
    let sides = [SideChoice::Dry, SideChoice::Slot(1)];
    let plain = TestSetup { sides, control: ControlTrial::None, ..setup(QUICKEST) };
    let view = room.start(TestSetup { source: SoundSource::Live, ..plain.clone() });
    let ListenStage::Refused { gates } = view.stage else { panic!("{view:?}") };
    let failed: Vec<GateView> = gates.into_iter().filter(|gate| !gate.passed).collect();
    assert!(matches!(&failed[..], [gate] if gate.text.ends_with(" dB; limit 12 dB")), "{failed:?}");
    room.examiner.act(ListenAction::Done);
    room.examiner.act(ListenAction::Capture);
    let view = room.start(plain);
    assert!(matches!(view.stage, ListenStage::Running(_)), "{view:?}");
}

#[test]
fn a_live_test_with_a_file_leaves_no_session() {
    let mut room = Room::new(PLAIN);
    let sides = [SideChoice::Dry, SideChoice::File("wet.wav".into())];
    room.examiner.act(ListenAction::Set(TestSetup { sides, source: SoundSource::Live, ..setup(QUICKEST) }));
    room.examiner.act(ListenAction::Start);
    let view = room.examiner.view();
    assert_eq!(view.error.as_deref(), Some("side B is a file, which cannot play live; expected an effect or dry"));
    assert_eq!((view.stage, view.unfinished), (ListenStage::Setup, None));
}

#[test]
fn another_sample_rate_leaves_the_test_and_the_first_one_resumes_it() {
    let mut room = Room::new(PLAIN);
    room.start(TestSetup { control: ControlTrial::None, ..setup(short(Question::Difference, Form::Abx, 5)) });
    room.examiner.act(ListenAction::EndTraining);
    room.examiner.act(ListenAction::Continue);
    for _ in 0..2 {
        let heard = room.hear();
        room.examiner.act(ListenAction::Answer(heard));
        room.examiner.act(ListenAction::Confidence(2));
    }
    let spec = room.venue.0.lock().unwrap().spec.clone();
    room.venue.0.lock().unwrap().spec = Ok(ProcessSpec::new(44_100.0, 2, BLOCK));
    room.examiner.tick();
    let view = room.examiner.view();
    assert_eq!(view.stage, ListenStage::Setup);
    assert!(view.error.unwrap().contains("the sample rate changed from 48000 to 44100 Hz"));
    let left = view.unfinished.unwrap();
    room.examiner.act(ListenAction::Resume(left.clone()));
    assert!(room.examiner.view().error.unwrap().contains("expected the same rate"));
    // Neither is it resumed in another width, nor with another side.
    room.venue.0.lock().unwrap().spec = Ok(ProcessSpec::new(RATE as f32, 1, BLOCK));
    room.examiner.act(ListenAction::Resume(left.clone()));
    assert!(room.examiner.view().error.unwrap().contains("the session has 2 channels, and the sound now 1"));
    room.venue.0.lock().unwrap().spec = spec;
    let side = std::fs::read_to_string(left.join("b.json")).unwrap();
    std::fs::write(left.join("b.json"), side.replace("bits", "bitz")).unwrap();
    room.examiner.act(ListenAction::Resume(left.clone()));
    assert!(room.examiner.view().error.unwrap().contains("'b.json' is not the file that the test began with"));
    std::fs::write(left.join("b.json"), side).unwrap();
    assert_eq!(room.examiner.session(), None);
    room.examiner.act(ListenAction::Resume(left.clone()));
    assert_eq!(room.examiner.session(), Some(left.as_path()));
    // The stream is another one when the sides are ready.
    let mono = ProcessSpec::new(RATE as f32, 1, BLOCK);
    let spec = std::mem::replace(&mut room.venue.0.lock().unwrap().spec, Ok(mono));
    assert!(room.wait().error.unwrap().contains("the session has 2 channels, and the sound now 1"));
    room.venue.0.lock().unwrap().spec = spec;
    room.examiner.act(ListenAction::Resume(left.clone()));
    room.wait();
    assert_eq!(room.examiner.session(), Some(left.as_path()));
    let log = std::fs::read_to_string(left.join(LOG)).unwrap();
    let resumed = log.lines().find(|line| line.contains("\"kind\":\"resume\"")).unwrap();
    assert!(resumed.contains("\"venue\":\"a fake venue\"") && resumed.contains("\"channels\":2"), "{resumed}");
    assert_eq!((room.test().number, room.test().note.as_deref()), (3, Some("The session goes on where it was left.")));
    // Its sides come from its folder, so a slot that moves changes none.
    room.listen(Button::First);
    room.set_slot(0, "clipper threshold=-30");
    room.examiner.tick();
    assert_eq!(room.test().playing, Some(Button::First));
    room.take(|heard, _| heard);
    let result = room.result();
    assert!(result.sentences[0].starts_with("5 of 5"), "{:?}", result.sentences);
    assert_eq!(result.folder, left);
    assert!(verify(&left, Some(&result.receipt)).unwrap().passed());
    assert_eq!(room.examiner.view().unfinished, None::<PathBuf>);
}

#[test]
fn a_test_that_is_aborted_closed_or_left_says_so_and_has_no_p() {
    for closes in [false, true] {
        let mut room = Room::new(PLAIN);
        room.start(TestSetup { control: ControlTrial::None, ..setup(short(Question::Difference, Form::Abx, 5)) });
        room.examiner.act(if closes { ListenAction::Close } else { ListenAction::Abort });
        let folder = std::fs::read_dir(room.sessions.path().join("listening")).unwrap().next().unwrap().unwrap().path();
        let checked = verify(&folder, None).unwrap();
        assert!(checked.passed() && checked.sentences[0].starts_with("Aborted after 0 of 5"), "{checked:?}");
        assert!(room.venue.0.lock().unwrap().player.is_none());
        assert_eq!(room.examiner.view().is_open, !closes);
        assert_eq!(room.venue.0.lock().unwrap().keeps, !closes);
    }
    // The window goes while the test runs.
    let mut room = Room::new(PLAIN);
    room.start(TestSetup { control: ControlTrial::None, ..setup(short(Question::Difference, Form::Abx, 5)) });
    let sessions = room.sessions.path().join("listening");
    room.examiner = Examiner::new(Box::new(room.venue.clone()), sessions);
    room.examiner.act(ListenAction::Open);
    let left = room.examiner.view().unfinished.unwrap();
    room.examiner.act(ListenAction::CloseAborted(left.clone()));
    assert!(room.result().sentences[0].starts_with("Aborted after 0 of 5"));
    assert!(verify(&left, None).unwrap().passed());
    room.examiner.act(ListenAction::Done);
    assert_eq!(room.examiner.view().unfinished, None);
}

#[test]
fn equal_sides_are_offered_as_a_test_of_habits_only() {
    let mut room = Room::new(["clipper", "clipper"]);
    let protocol = short(Question::Difference, Form::Abx, 5);
    let refused = |view: ListenView| match view.stage {
        ListenStage::Refused { gates } => gates,
        stage => panic!("{stage:?}"),
    };
    let gates = refused(room.start(setup(protocol)));
    let failed: Vec<GateView> = gates.into_iter().filter(|gate| !gate.passed).collect();
    assert!(failed.iter().any(|gate| gate.text.starts_with("A and B are the same, bit for bit")), "{failed:?}");
    room.examiner.act(ListenAction::Done);
    let same = [SideChoice::Slot(0), SideChoice::Slot(0)];
    room.start(TestSetup { sides: same, control: ControlTrial::None, ..setup(protocol) });
    room.take(|_, _| Answer::First);
    let result = room.result();
    assert!(result.sentences.iter().any(|text| text.contains("A and B are the same, bit for bit")), "{:?}", result.sentences);
    assert!(verify(&result.folder, Some(&result.receipt)).unwrap().passed());
}

#[test]
fn a_change_is_blamed_alone_and_logged() {
    let mut room = Room::new(PLAIN);
    let sides = [SideChoice::Slot(0), SideChoice::Changed(Change::GainDb(6.0))];
    let view = room.start(TestSetup { sides, control: ControlTrial::None, ..setup(short(Question::Difference, Form::Abx, 5)) });
    assert!(matches!(view.stage, ListenStage::Running(_)), "{view:?}");
    room.take(|heard, _| heard);
    let result = room.result();
    assert!(result.sentences[0].starts_with("5 of 5: you heard a difference"), "{:?}", result.sentences);
    let log = std::fs::read_to_string(result.folder.join(LOG)).unwrap();
    assert!(log.lines().next().unwrap().contains("{\"gain-db\":6.0}"), "{log}");
    assert!(verify(&result.folder, Some(&result.receipt)).unwrap().passed());
}

#[test]
fn a_test_does_not_start_without_a_sound_a_stream_or_a_protocol_and_says_why() {
    let venue = FakeVenue::new(PLAIN);
    let sessions = TempDir::new().unwrap();
    let mut examiner = Examiner::new(Box::new(venue.clone()), sessions.path().into());
    let mut error = |action: ListenAction| {
        examiner.act(action);
        examiner.view().error
    };
    assert_eq!(error(ListenAction::Open), None);
    assert_eq!(error(ListenAction::Start).unwrap(), "no sound yet; take the last 30 s of the input, or open a file");
    assert_eq!(error(ListenAction::Capture), None);
    let few = Protocol { trials: 3, ..Protocol::QUICK };
    assert_eq!(error(ListenAction::Set(setup(few))), None);
    assert!(error(ListenAction::Start).unwrap().ends_with("expected 5 or more"));
    assert_eq!(error(ListenAction::Set(setup(Protocol::QUICK))), None);
    venue.0.lock().unwrap().spec = Err(VenueError::NoStream);
    assert!(error(ListenAction::Start).unwrap().starts_with("no sound runs yet"));
    assert!(error(ListenAction::OpenSound("/no/such.wav".into())).unwrap().contains("/no/such.wav"));
    assert!(error(ListenAction::Resume(sessions.path().into())).unwrap().contains("no session of a listening test"));
}

#[test]
fn what_is_shown_does_not_differ_between_mappings() {
    let mut views = std::collections::BTreeSet::new();
    let mut room = Room::new(PLAIN);
    room.start(TestSetup { control: ControlTrial::None, ..setup(short(Question::Difference, Form::Abx, 5)) });
    room.examiner.act(ListenAction::EndTraining);
    room.examiner.act(ListenAction::Continue);
    room.listen(Button::First);
    let (mut before, mut last_line) = (0.0, room.test().receipt);
    for number in 0..16 {
        // A changed setting, and then a second in which nothing moves, repeats the trial with another mapping.
        room.set_slot(0, &format!("clipper threshold=-{}", number + 1));
        (0..21).for_each(|_| room.examiner.tick());
        room.listen(Button::First);
        let mut view = room.examiner.view();
        if let ListenStage::Running(test) = &mut view.stage {
            assert_ne!(test.receipt, last_line, "the trial before is void");
            last_line = std::mem::take(&mut test.receipt);
        }
        // The loop runs on by what was heard, whatever that was.
        let position = view.position.take().unwrap() * f64::from(RATE);
        let moved = (position - before).rem_euclid(LOOP_SECONDS * f64::from(RATE));
        assert!(number == 0 || (moved - 16.0 * BLOCK as f64).abs() < 1e-3, "{moved}");
        before = position;
        views.insert(format!("{view:?}"));
    }
    assert_eq!(views.len(), 1, "{views:#?}");
}
