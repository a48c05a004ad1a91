//! Matching of two sides, and the gates: faults that are planted behind the match are refused with their words.

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use isotherm::audio::wav::{WavFormat, write};
use isotherm::audio::{Audio, db_to_gain, gain_to_db, generate};
use isotherm::effect::Effect;
use isotherm::listen::{
    Change, ControlTrial, DelaySource, Gate, GateFacts, GateId, GateOutcome, LoudnessMethod, MatchError, Prepared, ResolvedSide,
    SideChoice, check_gates, noise_floor_db, prepare_again, prepare_stimuli, resolve_sides,
};
use isotherm::measure::{Alignment, loudness};
use isotherm::render::render;

use crate::high_pass;

const RATE: u32 = 48_000;

/// A phrase of a guitar with a peak of -6 dBFS.
fn guitar() -> Audio {
    let mut sound = generate::guitar(RATE, 1, 1).unwrap();
    sound.normalise_peak(-6.0).unwrap();
    sound
}

fn slots() -> [Effect; 2] {
    ["saturator drive=12", "clipper"].map(|text| text.parse().unwrap())
}

fn effect(text: &str) -> SideChoice {
    SideChoice::Effect(text.into())
}

fn sides(a: SideChoice, b: SideChoice, sound: &Audio) -> [ResolvedSide; 2] {
    resolve_sides(&[a, b], &slots(), sound).unwrap()
}

fn prepare_with(
    sound: &Audio,
    range: [f64; 2],
    sides: &[ResolvedSide; 2],
    control: ControlTrial,
) -> Result<Prepared, MatchError> {
    prepare_stimuli(sound, range, sides, control, &|_| (), &AtomicBool::new(false))
}

fn prepare(sound: &Audio, range: [f64; 2], a: SideChoice, b: SideChoice) -> Prepared {
    prepare_with(sound, range, &sides(a, b, sound), ControlTrial::None).unwrap()
}

fn gate(gates: &[Gate], id: GateId) -> &Gate {
    gates.iter().find(|gate| gate.id == id).unwrap()
}

/// A sound some frames later.
fn later(sound: &Audio, frames: f64) -> Audio {
    Alignment { delay_frames: -frames, ..Alignment::NONE }.apply(sound, sound.frames())
}

fn file(folder: &Path, sound: &Audio) -> SideChoice {
    let path = folder.join("wet.wav");
    write(&path, sound, WavFormat::Float32).unwrap();
    SideChoice::File(path)
}

/// Level of the difference of two sounds in dB re the first.
fn null_db(a: &Audio, b: &Audio) -> f64 {
    gain_to_db(a.subtract(b).unwrap().rms() / a.rms())
}

#[test]
fn a_file_that_is_late_quiet_and_inverted_is_moved_turned_and_raised_to_the_other_side() {
    let folder = tempfile::tempdir().unwrap();
    let sound = guitar();
    let wet = later(&sound, 100.3).multiply(-0.5).unwrap();
    for (a, b, matched) in [
        (SideChoice::Dry, file(folder.path(), &wet), 1),
        // The file has sound around the loop, so it is the one that moves.
        (file(folder.path(), &wet), SideChoice::Dry, 0),
    ] {
        let found = prepare(&sound, [0.5, 4.5], a, b);
        let matching = &found.matching;
        assert!(found.passed(), "{:#?}", matching.gates);
        assert_eq!((matching.matched_side, matching.inverted), (matched, true));
        assert_eq!(matching.delay_source, DelaySource::Measured);
        assert!((matching.delay_frames - 100.3).abs() < 0.01, "{}", matching.delay_frames);
        assert!((matching.gain_db - 6.0206).abs() < 0.01, "{}", matching.gain_db);
        let paths = &found.stimuli.paths;
        assert!(null_db(&paths[0], &paths[1]) < -60.0, "{}", null_db(&paths[0], &paths[1]));
        assert_eq!(paths[0].frames(), 4 * RATE as usize);
    }
}

#[test]
fn an_effect_and_its_twin_pass_the_gates() {
    let sound = guitar();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/saturator-24db-lstm8.nam");
    let found = prepare(&sound, [0.5, 4.5], effect("saturator drive=24"), effect(&format!("neural model={model}")));
    assert!(found.passed(), "{:#?}", found.matching.gates);
    let loudness = gate(&found.matching.gates, GateId::Loudness);
    assert!(loudness.figure.unwrap().abs() < 0.01, "{loudness:?}");
    assert!(loudness.text.contains("(BS.1770); limit 0.1 LU"), "{}", loudness.text);
    assert!(gate(&found.matching.gates, GateId::Deterministic).text.contains("equal bit for bit"));
    assert!(!found.matching.identical);
}

#[test]
fn a_lag_that_changes_with_level_is_no_drift_of_a_clock_and_is_matched_as_a_whole() {
    // Within two seconds of a decaying guitar, the phase of the saturator changes by almost a sample.
    let sound = guitar();
    let cases = [
        ([0.0, 2.0], "drive=24"),
        ([0.5, 1.5], "drive=12 tone=2000"),
        ([0.0, 4.0], "drive=24 bias=0.5 slope=12"),
        ([2.0, 4.0], "drive=24"),
    ];
    for (range, settings) in cases {
        let found = prepare(&sound, range, effect(&format!("saturator {settings}")), SideChoice::Dry);
        assert!(found.passed(), "{range:?}, {settings}: {:#?}", found.matching.gates);
    }
}

#[test]
fn faults_behind_the_match_are_refused_with_their_words() {
    let sound = guitar();
    let found = prepare(&sound, [0.5, 4.5], effect("saturator drive=6"), SideChoice::Dry);
    let [a, b] = [&found.stimuli.paths[0], &found.stimuli.paths[1]];
    let facts = GateFacts::plain(LoudnessMethod::Integrated, RATE);
    let check = |b: &Audio| check_gates([a, b], &facts);
    assert!(check(b).iter().all(Gate::passed), "{:#?}", check(b));
    let mut clipped = b.multiply(4.0 / b.peak()).unwrap();
    clipped.as_planar_mut().iter_mut().for_each(|x| *x = x.clamp(-1.0, 1.0));
    let faults = [
        (b.multiply(db_to_gain(0.3)).unwrap(), GateId::Loudness, "Loudness: B is 0.30 LU louder (BS.1770); limit 0.1 LU"),
        (b.multiply(db_to_gain(-0.3)).unwrap(), GateId::Loudness, "Loudness: A is 0.30 LU louder (BS.1770); limit 0.1 LU"),
        (later(b, 1.0), GateId::Time, "Time: B is 1.0"),
        (later(b, 0.3), GateId::Time, "Time: B is 0."),
        (later(b, -0.3), GateId::Time, "Time: A is 0."),
        (b.multiply(-1.0).unwrap(), GateId::Polarity, "Polarity: B is inverted"),
        (clipped, GateId::Peak, "dBTP; limit -1 dBTP"),
    ];
    for (fault, id, words) in faults {
        let gates = check(&fault);
        let found = gate(&gates, id);
        assert!(!found.passed() && found.text.contains(words), "{id:?}: {gates:#?}");
        // A fault of one kind is not told as another one, but that a clipped sound is also louder.
        if id != GateId::Peak {
            let others: Vec<&Gate> = gates.iter().filter(|gate| gate.id != id && !gate.passed()).collect();
            assert!(others.is_empty(), "{id:?}: {others:#?}");
        }
    }
    assert!((gate(&check(&later(b, 0.3)), GateId::Time).figure.unwrap() - 0.3).abs() < 0.05);
}

#[test]
fn a_gain_of_one_loop_is_refused_in_a_loop_of_another_level() {
    let sound = guitar();
    let found = prepare(&sound, [0.5, 4.5], effect("saturator drive=24"), SideChoice::Dry);
    assert!(found.passed(), "{:#?}", found.matching.gates);
    let quiet = found.loop_sound.multiply(0.02).unwrap();
    let a = render(&"saturator drive=24".parse().unwrap(), &quiet).unwrap();
    let b = quiet.multiply(db_to_gain(found.matching.gain_db)).unwrap();
    let gates = check_gates([&a, &b], &GateFacts::plain(LoudnessMethod::Integrated, RATE));
    let loudness = gate(&gates, GateId::Loudness);
    assert!(!loudness.passed() && loudness.text.contains("LU louder"), "{gates:#?}");
}

#[test]
fn other_formats_and_nan_are_refused_before_anything_is_measured() {
    let sound = guitar();
    let facts = GateFacts::plain(LoudnessMethod::Integrated, RATE);
    let other_rate = Audio::from_mono(44_100, sound.channel(0)).unwrap();
    let mut broken = sound.clone();
    broken.channel_mut(0)[77] = f32::NAN;
    for (b, facts, words) in [
        (other_rate, facts.clone(), "Sample rate: A has 48000 Hz, B 44100 Hz; expected the loop's 48000 Hz"),
        (sound.repeat_channels(2).unwrap(), facts.clone(), "expected the same"),
        (sound.slice(..1_000).unwrap(), facts.clone(), "expected the same"),
        (broken, facts.clone(), "Finite: side B: "),
        (sound.clone(), GateFacts { nan_resets: [0, 2], ..facts }, "the model of side B gave NaN or infinity 2 times"),
    ] {
        let gates = check_gates([&sound, &b], &facts);
        let failed = gates.iter().find(|gate| !gate.passed()).unwrap();
        assert!(failed.text.contains(words), "{gates:#?}");
    }
}

#[test]
fn a_change_after_matching_is_exempt_from_its_own_gate_by_name_and_from_no_other() {
    let sound = guitar();
    for (change, id, other, figure) in [
        (Change::GainDb(0.5), GateId::Loudness, GateId::Time, 0.5),
        (Change::DelayFrames(1.0), GateId::Time, GateId::Loudness, 1.0),
        (Change::DelayFrames(0.4), GateId::Time, GateId::Loudness, 0.4),
    ] {
        let a = effect("saturator drive=12");
        let found = prepare(&sound, [0.5, 4.5], a, SideChoice::Changed(change.clone()));
        let gates = &found.matching.gates;
        assert!(found.passed(), "{gates:#?}");
        let exempt = gate(gates, id);
        assert_eq!(exempt.outcome, GateOutcome::Exempt);
        assert!((exempt.figure.unwrap() - figure).abs() < 0.02, "{exempt:?}");
        assert!(exempt.text.ends_with("exempt: this is the change that is tested"), "{}", exempt.text);
        assert_eq!(gate(gates, other).outcome, GateOutcome::Passed);
        assert_eq!(found.matching.changes, [None, Some(change)]);
        assert_eq!((found.matching.gain_db, found.matching.delay_frames), (0.0, 0.0), "the match itself has nothing to do");
    }
}

#[test]
fn sides_that_are_equal_bit_for_bit_are_no_test() {
    let sound = guitar();
    let setting = SideChoice::Changed(Change::Setting("drive=12".into()));
    for (a, b) in [(SideChoice::Dry, SideChoice::Dry), (effect("saturator drive=12"), setting)] {
        let found = prepare(&sound, [0.5, 4.5], a, b);
        assert!(found.matching.identical && !found.passed());
        assert!(found.matching.gates.iter().all(Gate::passed), "{:#?}", found.matching.gates);
    }
    assert!(!prepare(&sound, [0.5, 4.5], SideChoice::Slot(0), SideChoice::Slot(1)).matching.identical);
}

#[test]
fn a_loop_that_cannot_be_used_is_refused_in_one_line() {
    let sound = guitar();
    let both = sides(SideChoice::Dry, effect("clipper"), &sound);
    let refusal = |sound: &Audio, range: [f64; 2]| {
        let text = prepare_with(sound, range, &both, ControlTrial::None).unwrap_err().to_string();
        assert!(!text.contains('\n'));
        text
    };
    let long = Audio::silence(RATE, 1, 40 * RATE as usize);
    assert_eq!(refusal(&long, [0.0, 5.0]), "the loop is silent; expected a sound");
    assert_eq!(refusal(&sound, [1.0, 1.4]), "the loop is 0.4000 s long; expected 0.5 to 30 s");
    assert_eq!(refusal(&long, [0.0, 31.0]), "the loop is 31.0000 s long; expected 0.5 to 30 s");
    assert_eq!(refusal(&long, [35.0, 41.0]), "the loop is 35.00 s to 41.00 s; the sound has 40.00 s");
    assert!(refusal(&sound, [3.0, 1.0]).starts_with("the loop is 3.00 s to 1.00 s"));
    assert!(refusal(&sound, [f64::NAN, 1.0]).starts_with("the loop is NaN s to"));
    let mut clipped = sound.clone();
    clipped.channel_mut(0)[60_000..60_004].fill(1.0);
    clipped.channel_mut(0)[70_000..70_003].fill(-1.0);
    // A single sample at full scale is no clipped peak.
    clipped.channel_mut(0)[80_000] = 1.0;
    let text = "the loop is clipped in 2 places, the first at 0.75 s; expected a sound below full scale";
    assert_eq!(refusal(&clipped, [0.5, 3.0]), text);
    let mut broken = sound.clone();
    broken.channel_mut(0)[60_000] = f32::INFINITY;
    assert!(refusal(&broken, [0.5, 3.0]).starts_with("the loop: "));
}

#[test]
fn a_short_or_quiet_loop_is_matched_by_its_energy_without_gating_and_says_so() {
    let sound = guitar();
    let quiet = sound.multiply(db_to_gain(-70.0)).unwrap();
    for (sound, range) in [(&sound, [0.5, 2.5]), (&quiet, [0.5, 4.5])] {
        let found = prepare(sound, range, effect("saturator drive=12"), SideChoice::Dry);
        assert_eq!(found.matching.loudness, LoudnessMethod::Ungated);
        let loudness = gate(&found.matching.gates, GateId::Loudness);
        assert!(loudness.passed() && loudness.text.contains("K-weighted energy without gating"), "{loudness:?}");
    }
    assert_eq!(prepare(&sound, [0.5, 4.5], effect("clipper"), SideChoice::Dry).matching.loudness, LoudnessMethod::Integrated);
}

#[test]
fn a_low_pass_control_keeps_what_is_below_its_corner_and_nothing_above_4_khz() {
    let noise = generate::white(RATE, 0.2, 4 * RATE as usize, 3).unwrap();
    let both = sides(SideChoice::Dry, effect("clipper threshold=-30"), &noise);
    let found = prepare_with(&noise, [0.5, 2.5], &both, ControlTrial::LowPass).unwrap();
    let [a, control] = [&found.stimuli.paths[0], &found.stimuli.paths[2]];
    let power = |sound: &Audio, range: std::ops::Range<f32>| {
        let lines = isotherm::measure::spectrum(sound.channel(0), RATE as f32);
        lines.iter().filter(|(hz, _)| range.contains(hz)).map(|(_, db)| 10f64.powf(f64::from(*db) / 10.0)).sum::<f64>()
    };
    let change_db = |range: std::ops::Range<f32>| 10.0 * (power(control, range.clone()) / power(a, range)).log10();
    assert!(change_db(100.0..3_400.0).abs() < 0.1, "{}", change_db(100.0..3_400.0));
    assert!(change_db(4_100.0..20_000.0) < -60.0, "{}", change_db(4_100.0..20_000.0));
    assert!(gate(&found.matching.gates, GateId::Control).passed());
}

#[test]
fn a_control_that_nobody_could_hear_is_refused() {
    let bass = generate::sine(RATE, 80.0, 0.2, 4 * RATE as usize).unwrap();
    let both = sides(SideChoice::Dry, effect("saturator drive=6"), &bass);
    let found = prepare_with(&bass, [0.5, 3.75], &both, ControlTrial::LowPass).unwrap();
    let control = gate(&found.matching.gates, GateId::Control);
    assert!(!control.passed() && control.text.contains("at least -40 dB"), "{control:?}");
    assert!(!found.passed());
    let louder = prepare_with(&bass, [0.5, 3.75], &both, ControlTrial::Louder).unwrap();
    assert!(gate(&louder.matching.gates, GateId::Control).passed());
}

#[test]
fn everything_is_played_softer_if_a_path_would_clip_and_the_record_says_so() {
    let mut sound = generate::guitar(RATE, 1, 1).unwrap();
    sound.normalise_peak(-0.5).unwrap();
    let both = sides(SideChoice::Dry, effect("saturator drive=12"), &sound);
    let found = prepare_with(&sound, [0.0, sound.seconds()], &both, ControlTrial::Louder).unwrap();
    assert!(found.passed(), "{:#?}", found.matching.gates);
    let paths = &found.stimuli.paths;
    let peak = |path: &Audio| loudness(path).true_peak_dbtp;
    assert!(paths.iter().all(|path| peak(path) <= -1.0), "{:?}", paths.iter().map(peak).collect::<Vec<_>>());
    assert!((gain_to_db(paths[2].rms() / paths[0].rms()) - 3.0).abs() < 1e-3, "the control is still 3 dB louder");
    assert!(found.matching.attenuation_db < -2.0, "{}", found.matching.attenuation_db);
    assert!(found.matching.notes.iter().any(|note| note.starts_with("Everything is played ")), "{:?}", found.matching.notes);
}

#[test]
fn a_file_of_an_effects_own_render_does_not_differ_from_the_effect_at_the_ends_of_the_loop() {
    let folder = tempfile::tempdir().unwrap();
    let sound = guitar();
    let text = "saturator drive=24 bias=0.3";
    let wet = render(&text.parse().unwrap(), &sound).unwrap();
    for (range, limit_db) in [([2.37, 5.11], -80.0), ([0.0, 3.0], -80.0)] {
        let found = prepare(&sound, range, effect(text), file(folder.path(), &wet));
        assert!(found.passed() || found.matching.identical, "{:#?}", found.matching.gates);
        let [a, b] = [&found.stimuli.paths[0], &found.stimuli.paths[1]];
        let frames = a.frames();
        for part in [0..2_400, 2_400..frames - 960, frames - 960..frames] {
            let difference = a.slice(part.clone()).unwrap().subtract(&b.slice(part.clone()).unwrap()).unwrap();
            let level = gain_to_db(difference.rms() / a.rms());
            assert!(level < limit_db, "{range:?}, frames {part:?}: {level} dB");
        }
    }
}

#[test]
fn effects_hear_the_sound_around_the_loop() {
    let sound = guitar();
    let text = "saturator drive=24 bias=0.5";
    let found = prepare(&sound, [1.5, 3.5], effect(text), SideChoice::Dry);
    let mut wet = render(&text.parse().unwrap(), &sound).unwrap();
    high_pass(wet.channel_mut(0));
    let wet = wet.slice(72_000..168_000).unwrap();
    let wet = wet.multiply(db_to_gain(found.matching.attenuation_db)).unwrap();
    let inner = 240..wet.frames() - 240;
    let null = null_db(&wet.slice(inner.clone()).unwrap(), &found.stimuli.paths[0].slice(inner).unwrap());
    assert!(null < -60.0, "{null}");
    assert_eq!(found.matching.lead, 72_000);
    assert_eq!(found.around.slice(72_000..168_000).unwrap(), found.loop_sound);
}

#[test]
fn the_dc_of_a_side_is_told() {
    let sound = guitar();
    let side = |switch: &str| effect(&format!("saturator drive=12 bias=0.5 dc-blocker={switch}"));
    let found = prepare(&sound, [0.5, 4.5], side("off"), side("on"));
    assert!(found.passed(), "{:#?}", found.matching.gates);
    let [dc, none] = found.matching.dc;
    assert!(dc.abs() > 0.05 && none.abs() < 0.01, "{:?}", found.matching.dc);
    assert!(found.matching.notes.iter().any(|note| note.starts_with("The DC of side A, ")), "{:?}", found.matching.notes);
}

#[test]
fn a_dip_makes_no_thump_of_dc_that_follows_the_level() {
    // Hits that decay: an asymmetric curve has a DC that rises with each of them and falls after it. In 20 ms both tones have whole
    // periods.
    let hit = |n: usize| {
        let t = n as f64 / f64::from(RATE);
        let tone = |hz: f64| (std::f64::consts::TAU * hz * t).sin();
        (0.33 * (-t / 0.06).exp() * (tone(200.0) + 0.5 * tone(1_200.0))) as f32
    };
    let samples: Vec<f32> = (0..6 * RATE as usize).map(|n| hit(n % (RATE as usize / 2))).collect();
    let sound = Audio::from_mono(RATE, &samples).unwrap();
    let side = |switch: &str| effect(&format!("saturator drive=12 bias=0.5 dc-blocker={switch}"));
    let found = prepare(&sound, [1.0, 4.0], side("off"), side("on"));
    assert!(found.passed(), "{:#?}", found.matching.gates);
    // The slow part of 20 ms, re what is heard in them, in dB.
    let worst = |path: &[f32]| {
        let parts = path[4_800..path.len() - 4_800].chunks_exact(960).map(|part| {
            let mean = part.iter().map(|x| f64::from(*x)).sum::<f64>() / part.len() as f64;
            let rest = part.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / part.len() as f64;
            10.0 * (mean * mean / (rest + 1e-12)).log10()
        });
        parts.fold(f64::MIN, f64::max)
    };
    let wet = render(&"saturator drive=12 bias=0.5 dc-blocker=off".parse().unwrap(), &sound).unwrap();
    let mut wet = wet.slice(48_000..192_000).unwrap();
    let mean = wet.dc() as f32;
    wet.channel_mut(0).iter_mut().for_each(|x| *x -= mean);
    assert!(worst(wet.channel(0)) > 20.0, "without its mean, the slow part is the loudest: {}", worst(wet.channel(0)));
    for path in &found.stimuli.paths {
        assert!(worst(path.channel(0)) < -10.0, "{} dB", worst(path.channel(0)));
    }
}

#[test]
fn a_dip_makes_no_thump_in_pauses() {
    // Hits with digital silence between them: what an asymmetric hit leaves behind it, on either side.
    let hit = |n: usize| {
        let t = n as f64 / f64::from(RATE);
        let tone = (std::f64::consts::TAU * 180.0 * t).sin();
        if n < 9_600 { (0.6 * (-t / 0.03).exp() * tone) as f32 } else { 0.0 }
    };
    let samples: Vec<f32> = (0..6 * RATE as usize).map(|n| hit(n % (RATE as usize / 2))).collect();
    let sound = Audio::from_mono(RATE, &samples).unwrap();
    for text in ["saturator drive=12 bias=0.5", "saturator drive=12 bias=0.5 dc-blocker=off"] {
        let found = prepare(&sound, [1.0, 4.0], SideChoice::Dry, effect(text));
        for (path, name) in found.stimuli.paths.iter().zip(["A", "B"]) {
            let left =
                path.channel(0).chunks_exact(24_000).map(|part| part[21_600..].iter().fold(0.0_f32, |peak, x| peak.max(x.abs())));
            let level = gain_to_db(f64::from(left.fold(0.0, f32::max)) / path.rms());
            assert!(level < -80.0, "{name} of {text}: {level} dB");
        }
    }
}

#[test]
fn a_file_of_a_sound_that_repeats_itself_is_moved_to_the_nearest_lag_that_fits() {
    let folder = tempfile::tempdir().unwrap();
    let bar = generate::drums(RATE, 1, 1).unwrap().slice(..RATE as usize).unwrap().multiply(0.4).unwrap();
    let beat = bar.slice(..6_000).unwrap();
    let repeat = |part: &Audio, times: usize| Audio::concatenate(&vec![part; times]).unwrap();
    let bass = [(110.0, 0.4), (220.0, 0.1)].map(|(hz, level)| generate::sine(RATE, hz, level, 6 * RATE as usize).unwrap());
    let mut both = bass[0].clone();
    both.add_in_place(&bass[1]).unwrap();
    // A period of the bass is 436.36 frames, so a file that is 480 frames late is as one that is 43.64 frames late.
    let period = f64::from(RATE) / 110.0;
    let sounds = [(repeat(&bar, 6), 480.0), (repeat(&beat, 48), 480.0), (both, 480.0 - period)];
    for (n, (sound, expected)) in sounds.into_iter().enumerate() {
        for sign in [1.0, -1.0] {
            let wet = later(&sound, 480.0).multiply(sign).unwrap();
            let found = prepare(&sound, [1.0, 5.0], SideChoice::Dry, file(folder.path(), &wet));
            let matching = &found.matching;
            assert!(matching.gates.iter().all(Gate::passed), "{n}, {sign}: {:#?}", matching.gates);
            let [a, b] = [&found.stimuli.paths[0], &found.stimuli.paths[1]];
            assert!(null_db(a, b) < -40.0, "{n}, {sign}: {} dB, {matching:?}", null_db(a, b));
            if sign > 0.0 {
                assert!((matching.delay_frames - expected).abs() < 0.1 && !matching.inverted, "{n}: {matching:?}");
            }
        }
    }
}

#[test]
fn a_file_whose_lag_is_unknown_is_refused_and_not_turned() {
    let sound = repeated_beat();
    let facts = GateFacts { has_file: true, ..GateFacts::plain(LoudnessMethod::Integrated, RATE) };
    for frames in [480.0, 0.3] {
        let gates = check_gates([&sound, &later(&sound, frames)], &facts);
        let time = gate(&gates, GateId::Time);
        assert!(!time.passed() && time.text.ends_with("(the nearest of several lags that fit); limit 0.1 sample"), "{time:?}");
        assert!((time.figure.unwrap() - frames).abs() < 0.05, "{time:?}");
        assert!(gate(&gates, GateId::Polarity).passed(), "{gates:#?}");
    }
    // A tone of another frequency fits at no lag.
    let [a, b] = [400.0, 407.0].map(|hz| generate::sine(RATE, hz, 0.3, 4 * RATE as usize).unwrap());
    let gates = check_gates([&a, &b], &facts);
    let time = gate(&gates, GateId::Time);
    assert!(!time.passed() && time.text.contains("expected"), "{time:?}");
}

/// A beat of an eighth of a second, again and again.
fn repeated_beat() -> Audio {
    let beat = generate::drums(RATE, 1, 1).unwrap().slice(..6_000).unwrap().multiply(0.4).unwrap();
    Audio::concatenate(&vec![&beat; 32]).unwrap()
}

#[test]
fn a_file_that_moves_in_time_is_refused_and_one_with_another_phase_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let sound = guitar();
    let half = sound.frames() / 2;
    let drift = |ppm: f64| {
        let way = Alignment { drift_ppm: Some(-ppm), is_drifting: true, ..Alignment::NONE };
        way.apply(&sound, sound.frames())
    };
    let jump = |frames: f64| {
        let parts = [sound.slice(..half).unwrap(), later(&sound, frames).slice(half..).unwrap()];
        Audio::concatenate(&[&parts[0], &parts[1]]).unwrap()
    };
    for wet in [drift(5.0), drift(100.0), jump(1.0), jump(5.0), jump(30.0)] {
        let found = prepare(&sound, [0.5, 6.5], SideChoice::Dry, file(folder.path(), &wet));
        let time = gate(&found.matching.gates, GateId::Time);
        assert!(!time.passed() && time.text.contains("in parts of the loop"), "{time:?}");
    }
    for text in ["saturator drive=24", "saturator drive=12 tone=2000", "saturator drive=24 bias=0.5 slope=12", "clipper"] {
        let wet = later(&render(&text.parse().unwrap(), &sound).unwrap(), 12.4);
        for range in [[0.5, 6.5], [0.5, 2.5]] {
            let found = prepare(&sound, range, SideChoice::Dry, file(folder.path(), &wet));
            assert!(found.passed(), "{text}, {range:?}: {:#?}", found.matching.gates);
        }
    }
}

#[test]
fn a_side_with_one_inverted_channel_is_refused_with_the_channel() {
    let folder = tempfile::tempdir().unwrap();
    let sound = generate::guitar(RATE, 2, 1).unwrap().multiply(0.5).unwrap();
    let mut wet = sound.clone();
    wet.channel_mut(1).iter_mut().for_each(|x| *x *= -0.5);
    let found = prepare(&sound, [0.5, 4.5], SideChoice::Dry, file(folder.path(), &wet));
    let polarity = gate(&found.matching.gates, GateId::Polarity);
    assert!(!polarity.passed() && polarity.text.contains("inverted in channel 2 alone"), "{polarity:?}");
}

#[test]
fn a_match_that_needs_a_large_gain_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sound = guitar();
    for (gain_db, passes) in [(-23.0, true), (-25.0, false)] {
        let wet = sound.multiply(db_to_gain(gain_db)).unwrap();
        let found = prepare(&sound, [0.5, 4.5], SideChoice::Dry, file(folder.path(), &wet));
        let gain = gate(&found.matching.gates, GateId::Gain);
        assert_eq!(gain.passed(), passes, "{gain:?}");
        assert_eq!(gain.text, format!("Gain: the match needs {:+.1} dB; limit 24 dB", -gain_db));
    }
}

#[test]
fn a_file_is_cut_at_the_place_of_the_loop() {
    let folder = tempfile::tempdir().unwrap();
    let sound = guitar();
    let found = prepare(&sound, [1.25, 4.5], SideChoice::Dry, file(folder.path(), &sound.multiply(0.5).unwrap()));
    assert!((found.matching.gain_db - 6.0206).abs() < 0.01 && found.matching.delay_frames == 0.0, "{:?}", found.matching);
    assert!(null_db(&found.stimuli.paths[0], &found.stimuli.paths[1]) < -60.0);
    let unrelated = generate::drums(RATE, 1, 1).unwrap();
    let found = prepare(&sound, [0.5, 4.5], SideChoice::Dry, file(folder.path(), &unrelated));
    let time = gate(&found.matching.gates, GateId::Time);
    assert!(!time.passed() && time.text.ends_with("expected the same sound on both sides"), "{time:?}");
}

#[test]
fn where_the_lag_is_ambiguous_the_reported_latency_is_used_and_named() {
    let tone = generate::sine(RATE, 1_000.0, 0.3, 5 * RATE as usize).unwrap();
    let found = prepare(&tone, [0.5, 4.5], SideChoice::Dry, effect("saturator drive=24 oversampling=8x"));
    let matching = &found.matching;
    assert_eq!((matching.delay_source, matching.delay_frames), (DelaySource::Reported, 0.0));
    let time = gate(&matching.gates, GateId::Time);
    assert!(time.passed() && time.text.contains("the latency that the effects report is used"), "{time:?}");
    assert!(matching.notes.iter().any(|note| note.contains("the latency that the effects report is used")), "{matching:?}");
}

#[test]
fn renders_that_differ_have_a_noise_floor_which_is_named() {
    let sound = guitar();
    assert_eq!(noise_floor_db(&sound, &sound), None);
    let mut noisy = sound.clone();
    noisy.add_in_place(&generate::white(RATE, 0.001, sound.frames(), 1).unwrap()).unwrap();
    let floor = noise_floor_db(&sound, &noisy);
    assert!((-60.0..-20.0).contains(&floor.unwrap()), "{floor:?}");
    let facts = GateFacts { noise_floor_db: [None, floor], ..GateFacts::plain(LoudnessMethod::Integrated, RATE) };
    let gates = check_gates([&sound, &sound], &facts);
    let found = gate(&gates, GateId::Deterministic);
    assert!(found.text.starts_with("Deterministic: no; noise floor: two renders of side B differ by -"), "{found:?}");
}

#[test]
fn a_preparation_tells_its_progress_and_can_be_called_off() {
    let sound = guitar();
    let both = sides(effect("saturator"), effect("clipper"), &sound);
    let last = Cell::new(0.0);
    let progress = |share: f32| {
        assert!(share >= last.get() && share <= 1.0, "{share} after {}", last.get());
        last.set(share);
    };
    prepare_stimuli(&sound, [0.5, 2.5], &both, ControlTrial::LowPass, &progress, &AtomicBool::new(false)).unwrap();
    assert_eq!(last.get(), 1.0);
    let found = prepare_stimuli(&sound, [0.5, 2.5], &both, ControlTrial::LowPass, &|_| (), &AtomicBool::new(true));
    assert!(matches!(found, Err(MatchError::Cancelled)));
}

#[test]
fn a_side_that_is_silent_is_refused() {
    let sound = guitar();
    let half = Audio::concatenate(&[&sound, &Audio::silence(RATE, 1, 5 * RATE as usize)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let both = sides(SideChoice::Dry, file(folder.path(), &half), &sound);
    assert!(prepare_with(&sound, [0.5, 3.0], &both, ControlTrial::None).is_ok());
    // The whole file is not silent, but its part beside the loop is.
    let mut quiet_at_end = sound.clone();
    quiet_at_end.channel_mut(0)[24_000..].fill(0.0);
    let both = sides(SideChoice::Dry, file(folder.path(), &quiet_at_end), &sound);
    let found = prepare_with(&sound, [3.0, 4.5], &both, ControlTrial::None).unwrap_err();
    assert_eq!(found.to_string(), "side B is silent for this loop; expected a sound");
}

#[test]
fn a_match_is_computed_again_from_a_sessions_folder_and_a_changed_figure_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let sound = guitar();
    let model = folder.path().join("twin.nam");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/saturator-24db-lstm8.nam"), &model).unwrap();
    let session = folder.path().join("session");
    std::fs::create_dir(&session).unwrap();
    let wet = later(&sound, 30.4).multiply(0.7).unwrap();
    let both = sides(effect(&format!("neural model={}", model.display())), file(folder.path(), &wet), &sound);
    let first = prepare_with(&sound, [1.0, 4.5], &both, ControlTrial::LowPass).unwrap();
    write(session.join("loop.wav"), &first.around, WavFormat::Float32).unwrap();
    first.sides[0].save(&session, "a").unwrap();
    first.sides[1].save(&session, "b").unwrap();
    // The session needs nothing outside of its folder.
    std::fs::remove_file(&model).unwrap();
    std::fs::remove_file(folder.path().join("wet.wav")).unwrap();
    let loop_sound = isotherm::audio::wav::read(session.join("loop.wav")).unwrap();
    let loaded = ["a", "b"].map(|name| ResolvedSide::load(&session, name).unwrap());
    let place = [first.matching.lead, first.matching.frames];
    let low_pass = ControlTrial::LowPass;
    let again = prepare_again(&loop_sound, place, &loaded, low_pass, &|_| (), &AtomicBool::new(false)).unwrap();
    assert_eq!(first.matching.difference(&again.matching), None);
    assert_eq!(first.matching.stimuli_sha256, again.matching.stimuli_sha256);
    // The record survives as JSON.
    let text = serde_json::to_string(&first.matching).unwrap();
    assert_eq!(serde_json::from_str::<isotherm::listen::Matching>(&text).unwrap(), first.matching);
    let mut changed = first.matching.clone();
    changed.gain_db += 0.02;
    assert!(changed.difference(&again.matching).unwrap().starts_with("gain in dB: the log has "));
    changed.gain_db = f64::NAN;
    assert!(changed.difference(&again.matching).is_some());
    let mut changed = first.matching.clone();
    changed.gates[3].outcome = GateOutcome::Failed;
    assert!(changed.difference(&again.matching).unwrap().starts_with("gates: "));
    let mut changed = first.matching;
    changed.loop_sha256.replace_range(..1, "x");
    assert!(changed.difference(&again.matching).unwrap().starts_with("hash of the loop: "));
}
