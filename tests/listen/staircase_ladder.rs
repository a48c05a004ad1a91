//! Ladders of errors: their rungs are measured, matched and played as they are said to be; and whole staircases by ear.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use isotherm::audio::wav::{WavFormat, write};
use isotherm::audio::{Audio, Random, db_to_gain, gain_to_db, generate};
use isotherm::effect::Effect;
use isotherm::listen::{
    Answer, Button, Change, ControlTrial, Extras, FIRST_RUNG, Gate, GateId, LOG, LadderKind, LoudnessMethod, MAX_PATHS,
    MOST_MEASURED_RUNGS, MatchError, Player, Prepared, Protocol, ResolvedSide, SideChoice, SoundSource, Stimuli, TestPart,
    TestSetup, TestStep, prepare_again, prepare_stimuli, resolve_ladder, resolve_sides, verify,
};
use isotherm::measure::measures::{ESR, NMR};
use isotherm::measure::{Comparison, loudness};
use isotherm::view::{ListenAction, ListenStage};
use isotherm_support::counting::allocations;

use crate::examiner::{Room, setup};

const RATE: u32 = 48_000;

fn guitar() -> Audio {
    let mut sound = generate::guitar(RATE, 1, 1).unwrap();
    sound.normalise_peak(-6.0).unwrap();
    sound
}

fn effect(text: &str) -> SideChoice {
    SideChoice::Effect(text.into())
}

fn slots() -> [Effect; 2] {
    ["saturator", "clipper"].map(|text| text.parse().unwrap())
}

/// Prepares a test for a threshold: of B's error if there are no rungs.
fn prepare(a: SideChoice, b: SideChoice, rungs: &[SideChoice], control: ControlTrial) -> Result<Prepared, MatchError> {
    let sound = guitar();
    let b = rungs.last().cloned().unwrap_or(b);
    let sides = resolve_sides(&[a.clone(), b], &slots(), &sound).unwrap();
    let ladder = resolve_ladder(&a, rungs, &slots(), &sound).unwrap();
    prepare_stimuli(&sound, [1.0, 4.2], &sides, Extras { control, ladder }, &|_| (), &AtomicBool::new(false))
}

fn gate(prepared: &Prepared, id: GateId) -> &Gate {
    prepared.matching.gates.iter().find(|gate| gate.id == id).unwrap()
}

/// The sound of a rung, as the paths and gains of the stimuli say, computed in double precision.
fn rung_sound(stimuli: &Stimuli, rung: usize) -> Audio {
    let gains: [f32; MAX_PATHS] = stimuli.rungs[rung];
    let mut sound = stimuli.paths[0].clone();
    for (frame, y) in sound.channel_mut(0).iter_mut().enumerate() {
        let sum: f64 =
            stimuli.paths.iter().zip(gains).map(|(path, gain)| f64::from(path.channel(0)[frame]) * f64::from(gain)).sum();
        *y = sum as f32;
    }
    sound
}

fn esr_db(a: &Audio, b: &Audio) -> f64 {
    10.0 * ESR.compare(&Comparison::new(a, b).unwrap()).unwrap().log10()
}

#[test]
fn each_rung_of_the_error_is_as_loud_as_a_and_measured_as_it_is_played() {
    let found = prepare(effect("saturator drive=18"), effect("clipper"), &[], ControlTrial::LowPass).unwrap();
    assert!(found.passed(), "{:?}", found.matching.gates);
    let (stimuli, rungs) = (&found.stimuli, &found.matching.rungs);
    assert_eq!((stimuli.paths.len(), stimuli.rungs.len()), (3, rungs.len()));
    let [a, b] = [&stimuli.paths[0], &stimuli.paths[1]];
    let own = esr_db(a, b);
    let method = LoudnessMethod::of([a, b]);
    // In steps of 1 dB from 60 dB below B's error on, until -10 dB; and B itself always.
    for (step, rung) in (-60..).zip(rungs) {
        assert_eq!((rung.error_db, &rung.side), (Some(f64::from(step)), &None));
    }
    let highest = rungs.last().unwrap().error_db.unwrap();
    assert!((-10.0 - own - highest) < 1.0 && (highest == 0.0 || own + highest <= -10.0), "{own} {highest}");
    for number in (0..rungs.len()).step_by(7).chain([60, rungs.len() - 1]) {
        let (rung, sound) = (&rungs[number], rung_sound(stimuli, number));
        assert!((esr_db(a, &sound) - rung.esr_db).abs() < 0.01, "{number}: {} {rung:?}", esr_db(a, &sound));
        let nmr = NMR.compare(&Comparison::new(a, &sound).unwrap()).unwrap();
        assert!((nmr - rung.nmr_db).abs() < 0.05, "{number}: {nmr} {rung:?}");
        let louder = method.measure(&sound).unwrap() - method.measure(a).unwrap();
        assert!(louder.abs() < 0.01, "{number}: {louder}");
        assert!(loudness(&sound).true_peak_dbtp <= -1.0 + 0.01, "{number}");
        // By hand: g (A + k (B - A)).
        let (k, gain) = (db_to_gain(rung.error_db.unwrap()), db_to_gain(rung.gain_db));
        let frame = 20_000;
        let [x, y] = [a, b].map(|path| f64::from(path.channel(0)[frame]));
        let by_hand = gain * (x + k * (y - x));
        assert!((by_hand - f64::from(sound.channel(0)[frame])).abs() < 1e-6, "{number}");
    }
    // Small errors are scaled alone: 1 dB from rung to rung.
    for pair in rungs[..30].windows(2) {
        assert!((pair[1].esr_db - pair[0].esr_db - 1.0).abs() < 0.02, "{pair:?}");
    }
    assert!((rungs[60].esr_db - own).abs() < 0.02 && rungs[60].words() == "B itself");
    assert!(gate(&found, GateId::Ladder).text.starts_with(&format!("Ladder: {} rungs, errors of ", rungs.len())));
}

#[test]
fn an_error_beyond_that_of_b_has_headroom() {
    // Twice the difference of two loud sides would clip.
    let sound = generate::white(RATE, 0.99, 4 * RATE as usize, 3).unwrap();
    let choices = [SideChoice::Dry, effect("bitcrusher bits=5")];
    let sides = resolve_sides(&choices, &slots(), &sound).unwrap();
    let extras = Extras { control: ControlTrial::None, ladder: LadderKind::Error };
    let found = prepare_stimuli(&sound, [0.2, 3.6], &sides, extras, &|_| (), &AtomicBool::new(false)).unwrap();
    assert!(found.passed(), "{:?}", found.matching.gates);
    let rungs = &found.matching.rungs;
    assert!(rungs.last().unwrap().error_db.unwrap() > 3.0, "{:?}", rungs.last());
    for rung in [0, 30, 50, 57, 60, rungs.len() - 1] {
        let peak = loudness(&rung_sound(&found.stimuli, rung)).true_peak_dbtp;
        assert!(peak <= -1.0, "{rung}: {peak}");
    }
    assert!(found.matching.notes.iter().any(|note| note.contains("the loudest path or rung would have a peak")));
}

#[test]
fn a_player_mixes_a_rung_without_a_click_of_its_own_and_without_allocating() {
    let found = prepare(effect("saturator drive=18"), effect("clipper"), &[], ControlTrial::None).unwrap();
    let stimuli = &found.stimuli;
    let (control, mut player) = Player::of_loop(Arc::clone(stimuli), 1);
    for rung in [0, 40, 60] {
        control.play(None);
        let mut block = vec![0.0f32; 1024];
        let mut play = |block: &mut Vec<f32>| player.process(&mut [&mut block[..]]);
        (0..2).for_each(|_| play(&mut block));
        control.play(Some(FIRST_RUNG + rung));
        let count = allocations(|| play(&mut block));
        assert_eq!(count, 0);
        // Down and up in 480 frames; the loop begins at the bottom, after 240.
        let expected = rung_sound(stimuli, rung);
        for (frame, y) in block.iter().enumerate().skip(480) {
            let wanted = expected.channel(0)[frame - 240];
            assert!((y - wanted).abs() < 1e-6, "{rung}, {frame}: {y} {wanted}");
        }
    }
    // A rung that is not there is silence.
    control.play(Some(FIRST_RUNG + stimuli.rungs.len()));
    let mut block = vec![0.7f32; 1024];
    (0..2).for_each(|_| player.process(&mut [&mut block[..]]));
    assert!(block.iter().all(|y| *y == 0.0));
}

/// Rungs whose errors rise: the drive moves away from 24 dB.
fn drives(drives: &[f32]) -> Vec<SideChoice> {
    drives.iter().map(|drive| effect(&format!("saturator drive={drive}"))).collect()
}

const A: &str = "saturator drive=24";

#[test]
fn a_measured_ladder_has_a_rung_for_each_effect_in_the_order_of_its_error() {
    let choices = drives(&[24.1, 24.5, 25.0, 26.0, 28.0, 31.0]);
    for control in [ControlTrial::None, ControlTrial::Louder] {
        let found = prepare(effect(A), SideChoice::Dry, &choices, control).unwrap();
        assert!(found.passed(), "{:?}", found.matching.gates);
        let rungs = &found.matching.rungs;
        assert_eq!(rungs.len(), 6);
        let a = &found.stimuli.paths[0];
        for (number, rung) in rungs.iter().enumerate() {
            assert_eq!(rung.words(), format!("saturator drive={}", [24.1, 24.5, 25.0, 26.0, 28.0, 31.0][number]));
            let sound = rung_sound(&found.stimuli, number);
            assert!((esr_db(a, &sound) - rung.esr_db).abs() < 0.01, "{rung:?}");
            let method = LoudnessMethod::of([a, &sound]);
            assert!((method.measure(&sound).unwrap() - method.measure(a).unwrap()).abs() < 0.05, "{rung:?}");
        }
        // The last rung is side B.
        assert_eq!(rung_sound(&found.stimuli, 5), found.stimuli.paths[1]);
        assert!(rungs.is_sorted_by(|a, b| a.esr_db + 0.1 <= b.esr_db), "{rungs:?}");
        assert_eq!((found.rungs.len(), &found.rungs[0].text[..]), (5, "saturator drive=24.1"));
    }
}

#[test]
fn too_few_or_too_many_rungs_and_errors_that_do_not_rise_are_refused() {
    let refused = |choices: &[SideChoice]| prepare(effect(A), SideChoice::Dry, choices, ControlTrial::None).unwrap_err();
    let error = refused(&drives(&[24.5, 25.0, 26.0, 28.0, 31.0])).to_string();
    assert_eq!(error, "5 rungs; expected 6 to 16, or none for the error of B itself");
    let error = refused(&drives(&[25.0; MOST_MEASURED_RUNGS + 1])).to_string();
    assert!(error.starts_with("17 rungs; expected 6 to 16"), "{error}");
    // In another order, and one that is side A itself.
    for (choices, words) in [
        (drives(&[24.5, 25.0, 28.0, 26.0, 29.0, 31.0]), "the errors do not rise: rung 3 (saturator drive=28) has "),
        (drives(&[24.5, 25.0, 24.0, 26.0, 29.0, 31.0]), "the errors do not rise: rung 2 (saturator drive=25) has "),
    ] {
        let found = prepare(effect(A), SideChoice::Dry, &choices, ControlTrial::None).unwrap();
        assert!(!found.passed());
        let text = &gate(&found, GateId::Ladder).text;
        assert!(text.starts_with(&format!("Ladder: {words}")), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wav");
    write(&path, &guitar(), WavFormat::Float32).unwrap();
    let error =
        prepare(SideChoice::File(path), SideChoice::Dry, &drives(&[24.5, 25.0, 26.0, 28.0, 30.0, 31.0]), ControlTrial::None);
    assert!(matches!(error, Err(MatchError::LadderFile)));
    // Equal sides have no error.
    let found = prepare(effect(A), effect(A), &[], ControlTrial::None).unwrap();
    assert!(!found.passed());
    let text = &gate(&found, GateId::Ladder).text;
    assert_eq!(text, "Ladder: A and B are the same, bit for bit, so there is no error to make larger or smaller");
}

#[test]
fn a_difference_in_level_that_is_tested_is_not_taken_away_from_the_rungs() {
    let found = prepare(effect(A), SideChoice::Changed(Change::GainDb(1.0)), &[], ControlTrial::None).unwrap();
    assert!(found.passed(), "{:?}", found.matching.gates);
    let rung = &found.matching.rungs[60 - 12];
    let sound = rung_sound(&found.stimuli, 60 - 12);
    let louder = gain_to_db(sound.rms() / found.stimuli.paths[0].rms());
    // A quarter of 1 dB's excess.
    let expected = gain_to_db(1.0 + db_to_gain(-12.0) * (db_to_gain(1.0) - 1.0));
    assert!((louder - expected).abs() < 1e-3 && rung.gain_db == 0.0, "{louder} {expected} {rung:?}");
}

#[test]
fn a_ladder_is_computed_again_from_a_sessions_folder_and_a_changed_rung_is_named() {
    let first = prepare(effect(A), effect("clipper"), &[], ControlTrial::None).unwrap();
    let place = [first.matching.lead, first.matching.frames];
    let extras = || Extras { control: ControlTrial::None, ladder: LadderKind::Error };
    let again = prepare_again(&first.around, place, &first.sides, extras(), &|_| (), &AtomicBool::new(false)).unwrap();
    assert_eq!(first.matching.difference(&again.matching), None);
    let mut changed = first.matching.clone();
    changed.rungs[7].esr_db += 0.02;
    assert!(changed.difference(&again.matching).unwrap().starts_with("rung 8: the log has "));
    changed.rungs.pop();
    assert!(changed.difference(&again.matching).unwrap().starts_with("rungs: the log has "));
}

/// Takes a staircase by ear: the listener hears a difference in brightness above a limit, and guesses below it.
fn take_by_ear(room: &mut Room, limit: f64, seed: u64) {
    let mut random = Random::new(seed);
    while let ListenStage::Running(test) = room.examiner.view().stage {
        let action = match test.step {
            TestStep::Introduction | TestStep::Feedback { .. } if test.part == TestPart::Training => ListenAction::EndTraining,
            TestStep::Introduction | TestStep::Pause | TestStep::Feedback { .. } => ListenAction::Continue,
            TestStep::Confidence => ListenAction::Confidence(2),
            TestStep::Answer => {
                let [a, b, x] = [Button::First, Button::Second, Button::X].map(|button| room.timbre(button));
                let is_first = (x - a).abs() < (x - b).abs();
                let hears = (a / b).ln().abs() > limit || test.part == TestPart::Control;
                ListenAction::Answer(if if hears { is_first } else { random.unit() < 0.5 } {
                    Answer::First
                } else {
                    Answer::Second
                })
            }
        };
        room.examiner.act(action);
        room.examiner.tick();
        assert_eq!(room.examiner.view().error, None);
    }
}

#[test]
fn a_staircase_is_taken_by_ear_and_its_record_is_verified_from_the_sound_up() {
    let mut room = Room::new(["saturator drive=24", "saturator drive=24 tone=9000"]);
    let protocol = Protocol::staircase(16);
    let view = room.start(setup(protocol));
    assert!(matches!(view.stage, ListenStage::Running(_)), "{view:?}");
    let TestSetup { sides, .. } = room.examiner.view().setup;
    assert_eq!(sides, [SideChoice::Slot(0), SideChoice::Slot(1)]);
    take_by_ear(&mut room, 0.01, 1);
    let result = room.result();
    assert!(result.sentences[0].starts_with("The largest error that you did not hear on this loop: "), "{:?}", result.sentences);
    assert!(result.sentences[1].starts_with("That is the error of B made "), "{:?}", result.sentences);
    assert!(
        !result.sentences.iter().chain(&result.remarks).any(|text| text.starts_with("Sensitivity")),
        "{:?}",
        result.sentences
    );
    let checked = verify(&result.folder, Some(&result.receipt)).unwrap();
    assert!(checked.passed(), "{:?}", checked.checks);
    assert!(crate::record::python(&result.folder, Some(&result.receipt), false).unwrap().contains("threshold {"));
    // The measured error of a rung stands in line 1; another one does not follow from the sound.
    let log = std::fs::read_to_string(result.folder.join(LOG)).unwrap();
    let mut lines: Vec<String> = log.lines().map(String::from).collect();
    let mut line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    let rungs = line["matching"]["rungs"].as_array_mut().unwrap();
    assert!(rungs.len() > 60);
    let nmr = rungs[60]["nmr_db"].as_f64().unwrap();
    rungs[60]["nmr_db"] = (nmr + 1.0).into();
    lines[0] = line.to_string();
    std::fs::write(result.folder.join(LOG), crate::record::rehashed(&lines)).unwrap();
    let checked = verify(&result.folder, None).unwrap();
    let faults = crate::record::faults(&checked).join("; ");
    assert!(faults.contains("rung 61: the log has"), "{faults}");
}

#[test]
fn a_measured_ladder_is_taken_resumed_and_verified_with_the_files_of_its_rungs() {
    let mut room = Room::new(["saturator drive=24", "clipper"]);
    let rungs = drives(&[24.2, 24.5, 25.0, 26.0, 28.0, 31.0]);
    let sides = [effect(A), SideChoice::Dry];
    let setup = TestSetup { sides, rungs, control: ControlTrial::None, ..setup(Protocol::staircase(16)) };
    let view = room.start(setup);
    assert!(matches!(view.stage, ListenStage::Running(_)), "{view:?}");
    let folder = room.examiner.session().unwrap().to_path_buf();
    for name in ["rung-1.json", "rung-5.json", "b.json"] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    assert!(!folder.join("rung-6.json").exists(), "the last rung is side B");
    // Side B of the record is the last rung, whatever was chosen.
    let line = room.configuration();
    assert_eq!(line["setup"]["sides"][1], line["setup"]["rungs"][5]);
    // Left in the test, and resumed.
    room.examiner.act(ListenAction::EndTraining);
    room.examiner.act(ListenAction::Continue);
    for _ in 0..3 {
        room.timbre(Button::First);
        room.examiner.act(ListenAction::Answer(Answer::First));
        room.examiner.act(ListenAction::Confidence(1));
    }
    room.leave_and_resume();
    assert_eq!(room.test().part, TestPart::Test);
    take_by_ear(&mut room, 0.02, 2);
    let result = room.result();
    let checked = verify(&result.folder, Some(&result.receipt)).unwrap();
    assert!(checked.passed(), "{:?}", checked.checks);
    assert!(crate::record::python(&result.folder, Some(&result.receipt), false).is_ok());
    // A rung that is another one is named.
    let rung = std::fs::read_to_string(folder.join("rung-2.json")).unwrap();
    std::fs::write(folder.join("rung-2.json"), rung.replace("24.5", "24.6")).unwrap();
    let checked = verify(&folder, None).unwrap();
    assert!(crate::record::faults(&checked).join("; ").contains("rung-2.json was changed"), "{:?}", checked.checks);
}

#[test]
fn a_threshold_on_live_sound_is_refused() {
    let mut room = Room::new(["saturator drive=24", "clipper"]);
    let wanted = TestSetup { source: SoundSource::Live, ..setup(Protocol::staircase(16)) };
    let view = room.start(wanted);
    assert_eq!(view.stage, ListenStage::Setup);
    assert_eq!(
        view.error.unwrap(),
        "a threshold is measured on a loop, whose errors are known; expected a loop, and not live sound"
    );
    // Rungs that another question does not have are left out.
    let plain = TestSetup { rungs: drives(&[25.0; 6]), control: ControlTrial::None, ..setup(Protocol::QUICK) };
    assert!(matches!(room.start(plain).stage, ListenStage::Running(_)));
    assert!(room.configuration()["setup"].get("rungs").is_none());
}

#[test]
fn a_rung_is_a_resolved_side_of_its_own() {
    let sound = guitar();
    let LadderKind::Measured(rungs) = resolve_ladder(&effect(A), &drives(&[24.5, 25.0]), &slots(), &sound).unwrap() else {
        panic!("two rungs are named");
    };
    let texts: Vec<&str> = rungs.iter().map(|rung: &ResolvedSide| rung.text.as_str()).collect();
    assert_eq!(texts, ["saturator drive=24.5"]);
    assert!(matches!(resolve_ladder(&effect(A), &[], &slots(), &sound), Ok(LadderKind::Error)));
    assert!(resolve_ladder(&effect(A), &[effect("no effect"), effect(A)], &slots(), &sound).is_err());
}
