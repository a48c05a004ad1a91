//! A test on live sound: all paths run, match, are equally late, and their loudness is measured trial by trial.

use std::sync::atomic::AtomicBool;

use isotherm::audio::{Audio, gain_to_db, generate};
use isotherm::dsp::ProcessSpec;
use isotherm::effect::Effect;
use isotherm::listen::{
    Change, ControlTrial, Flag, LiveTest, Matching, ResolvedSide, SideChoice, prepare_live, prepare_stimuli, resolve_sides,
};
use isotherm::measure::{align, loudness};
use isotherm::render::render;
use isotherm_support::counting::allocations;

use crate::high_pass;

const RATE: u32 = 48_000;
const SPEC: ProcessSpec = ProcessSpec::new(RATE as f32, 1, 512);

/// The frames of [`guitar`] on which sides are matched.
const PART: std::ops::Range<usize> = 24_000..216_000;

fn guitar() -> Audio {
    let mut sound = generate::guitar(RATE, 1, 1).unwrap();
    sound.normalise_peak(-6.0).unwrap();
    sound
}

fn matched(a: &str, b: SideChoice, control: ControlTrial) -> ([ResolvedSide; 2], Matching) {
    let sound = guitar();
    let slots: [Effect; 2] = ["saturator", "clipper"].map(|text| text.parse().unwrap());
    let sides = resolve_sides(&[SideChoice::Effect(a.into()), b], &slots, &sound).unwrap();
    let prepared = prepare_stimuli(&sound, [0.5, 4.5], &sides, control, &|_| (), &AtomicBool::new(false)).unwrap();
    assert!(prepared.passed(), "{:#?}", prepared.matching.gates);
    (sides, prepared.matching)
}

/// Plays a sound through a path of a player that plays nothing else.
fn play(test: &mut LiveTest, path: usize, sound: &Audio, block_frames: usize) -> Audio {
    test.control.play(Some(path));
    let mut out = sound.clone();
    for block in out.channel_mut(0).chunks_mut(block_frames) {
        test.player.process(&mut [block]);
        test.meter.poll();
    }
    out
}

#[test]
fn all_paths_of_live_sound_are_late_by_the_latency_and_match() {
    let (sides, matching) = matched("saturator drive=18", SideChoice::Dry, ControlTrial::LowPass);
    let sound = guitar();
    let outputs = [0, 1, 2].map(|path| {
        let mut test = prepare_live(&sides, &matching, SPEC).unwrap();
        let latency = test.player.latency();
        let out = play(&mut test, path, &sound, 100);
        // The part on which the sides were matched.
        (latency, out.slice(latency + PART.start..latency + PART.end).unwrap())
    });
    let latency = outputs[0].0;
    assert!(outputs.iter().all(|(found, _)| *found == latency));
    let wet = render(&"saturator drive=18".parse().unwrap(), &sound).unwrap();
    // All paths have the same high-pass, which turns the phase of low notes.
    let mut wet = wet;
    high_pass(wet.channel_mut(0));
    let wet = wet.slice(PART).unwrap().multiply(10f64.powf(matching.attenuation_db / 20.0)).unwrap();
    let null_db = gain_to_db(outputs[0].1.subtract(&wet).unwrap().rms() / wet.rms());
    assert!(null_db < -80.0, "{null_db}");
    let found = align(&outputs[0].1, &outputs[1].1).unwrap();
    assert!(found.delay_frames.abs() < 0.1 && found.gain_db.abs() < 0.1 && !found.inverted, "{found:?}");
    let control = align(&outputs[0].1, &outputs[2].1).unwrap();
    assert!(control.delay_frames.abs() < 0.1, "{control:?}");
}

#[test]
fn a_fractional_delay_and_an_inversion_of_the_match_are_applied_to_live_sound() {
    let (sides, mut matching) = matched("saturator drive=18", SideChoice::Dry, ControlTrial::None);
    (matching.delay_frames, matching.inverted, matching.gain_db) = (-2.3, true, -6.0);
    let sound = guitar();
    let [plain, moved] = [0, 1].map(|path| {
        let mut test = prepare_live(&sides, &Matching { matched_side: 1, ..matching.clone() }, SPEC).unwrap();
        let latency = test.player.latency();
        play(&mut test, path, &sound, 64).slice(latency + 480..).unwrap()
    });
    let mut dry = sound.slice(480..480 + plain.frames()).unwrap();
    high_pass(dry.channel_mut(0));
    let found = align(&dry, &moved).unwrap();
    assert!((found.delay_frames - 2.3).abs() < 0.01 && found.inverted, "{found:?}");
    assert!((found.gain_db + 6.0 - matching.attenuation_db).abs() < 0.01, "{found:?}");
}

#[test]
fn the_cut_into_blocks_changes_no_bit_of_live_sound() {
    let (sides, matching) = matched("saturator drive=18", SideChoice::Dry, ControlTrial::Louder);
    let sound = guitar().slice(..24_000).unwrap();
    let [a, b, c] = [64, 1, 4_800].map(|frames| {
        let mut test = prepare_live(&sides, &matching, SPEC).unwrap();
        play(&mut test, 1, &sound, frames)
    });
    assert_eq!(a, b);
    assert_eq!(a, c);
}

#[test]
fn the_meter_tells_the_loudness_of_a_trial_whatever_path_plays_and_flags_a_difference() {
    let (sides, matching) = matched("saturator drive=24", SideChoice::Dry, ControlTrial::None);
    let mut test = prepare_live(&sides, &matching, SPEC).unwrap();
    let sound = guitar().slice(PART).unwrap();
    play(&mut test, 0, &sound, 512);
    let same = test.meter.difference_lu().unwrap();
    assert!(same.abs() < 0.3, "{same}");
    assert_eq!(test.meter.flags(), []);
    // A saturator makes quiet sound louder than loud sound.
    test.meter.begin();
    assert_eq!(test.meter.difference_lu(), None, "a new trial has heard nothing");
    play(&mut test, 1, &sound.multiply(0.05).unwrap(), 512);
    let quiet = test.meter.difference_lu().unwrap();
    assert!(quiet < -1.0, "{quiet}");
    assert_eq!(test.meter.flags(), [Flag::Loudness { difference_lu: quiet }]);
    // A gain that the test is about is not flagged.
    let change = SideChoice::Changed(Change::GainDb(1.0));
    let (sides, matching) = matched("saturator drive=24", change, ControlTrial::None);
    let mut test = prepare_live(&sides, &matching, SPEC).unwrap();
    play(&mut test, 0, &sound, 512);
    let difference = test.meter.difference_lu().unwrap();
    assert!(difference.abs() < 0.01, "{difference}");
}

#[test]
fn live_paths_have_no_dc_and_forget_nothing_that_is_no_number() {
    let (sides, matching) = matched("saturator drive=12 bias=0.5 dc-blocker=off", SideChoice::Dry, ControlTrial::LowPass);
    for path in 0..3 {
        let mut test = prepare_live(&sides, &matching, SPEC).unwrap();
        let out = play(&mut test, path, &guitar(), 512).slice(PART).unwrap();
        let level = gain_to_db(out.dc().abs() / out.rms());
        assert!(level < -50.0, "path {path}: {level} dB");
        let mut sound = guitar().slice(..24_000).unwrap();
        sound.channel_mut(0)[5_000] = f32::NAN;
        sound.channel_mut(0)[9_000] = f32::INFINITY;
        let mut test = prepare_live(&sides, &matching, SPEC).unwrap();
        assert!(play(&mut test, path, &sound, 512).check_finite().is_ok(), "path {path}");
    }
}

#[test]
fn what_needs_no_part_of_a_frame_and_no_low_pass_is_not_late() {
    let change = SideChoice::Changed(Change::GainDb(1.0));
    let (sides, matching) = matched("clipper", change, ControlTrial::None);
    let test = prepare_live(&sides, &matching, SPEC).unwrap();
    let effect: Effect = "clipper".parse().unwrap();
    assert_eq!(test.player.latency(), effect.prepare(SPEC).unwrap().latency());
    let (sides, mut matching) = matched("clipper", SideChoice::Dry, ControlTrial::None);
    matching.delay_frames = 0.25;
    assert!(prepare_live(&sides, &matching, SPEC).unwrap().player.latency() >= 128);
}

#[test]
fn a_side_or_a_control_that_would_clip_is_noticed() {
    let (sides, matching) = matched("saturator drive=12", SideChoice::Dry, ControlTrial::Louder);
    let mut test = prepare_live(&sides, &matching, SPEC).unwrap();
    play(&mut test, 0, &guitar(), 512);
    assert!(!test.meter.is_clipping(true));
    let loud = guitar().multiply(100.0).unwrap();
    play(&mut test, 0, &loud, 512);
    assert!(test.meter.is_clipping(false));
    test.meter.begin();
    assert!(!test.meter.is_clipping(true), "a new trial has heard nothing");
    // The control is 3 dB louder than side A.
    let (sides, matching) = matched("clipper", SideChoice::Effect("saturator drive=12".into()), ControlTrial::Louder);
    let mut test = prepare_live(&sides, &matching, SPEC).unwrap();
    let out = play(&mut test, 0, &guitar(), 512);
    let level = Matching { attenuation_db: matching.attenuation_db - 2.0 - gain_to_db(out.peak()), ..matching };
    let mut test = prepare_live(&sides, &level, SPEC).unwrap();
    play(&mut test, 2, &guitar(), 512);
    assert_eq!((test.meter.is_clipping(false), test.meter.is_clipping(true)), (false, true));
}

#[test]
fn a_true_peak_beyond_the_limit_of_the_gate_is_flagged_on_whichever_side() {
    for a in ["saturator drive=12", "clipper"] {
        let (sides, matching) = matched(a, SideChoice::Effect("saturator drive=6".into()), ControlTrial::None);
        let peaks = [0, 1].map(|path| {
            let mut test = prepare_live(&sides, &matching, SPEC).unwrap();
            loudness(&play(&mut test, path, &guitar(), 512)).true_peak_dbtp
        });
        let highest = peaks[0].max(peaks[1]);
        assert!((peaks[0] - peaks[1]).abs() > 0.5, "one side is the higher: {peaks:?}");
        for (wanted, is_flagged) in [(-1.5, false), (-0.5, true)] {
            let louder = Matching { attenuation_db: matching.attenuation_db + wanted - highest, ..matching.clone() };
            let mut test = prepare_live(&sides, &louder, SPEC).unwrap();
            // Side A plays, whichever has the peak.
            play(&mut test, 0, &guitar(), 512);
            let found = test.meter.flags().into_iter().find_map(|flag| match flag {
                Flag::Peak { true_peak_dbtp } => Some(true_peak_dbtp),
                _ => None,
            });
            assert_eq!(found.is_some(), is_flagged, "{wanted}: {found:?}");
            assert!(found.is_none_or(|peak| (peak - wanted).abs() < 0.1), "{wanted}: {found:?}");
        }
    }
}

#[test]
fn frames_that_the_meter_lost_are_flagged_in_their_trial() {
    let (sides, matching) = matched("saturator drive=12", SideChoice::Dry, ControlTrial::None);
    let mut test = prepare_live(&sides, &matching, SPEC).unwrap();
    let sound = guitar();
    assert!(sound.frames() > 3 * RATE as usize);
    test.control.play(Some(0));
    // Nobody polls: two seconds fit.
    for block in sound.clone().channel_mut(0).chunks_mut(512) {
        test.player.process(&mut [block]);
    }
    let lost_frames = (sound.frames() - 2 * RATE as usize) as u64;
    assert!(test.meter.flags().contains(&Flag::NotMeasured { lost_frames }), "{:?}", test.meter.flags());
    test.meter.begin();
    play(&mut test, 1, &sound, 512);
    assert!(!test.meter.flags().iter().any(|flag| matches!(flag, Flag::NotMeasured { .. })));
}

#[test]
fn live_sound_without_a_meter_for_its_rate_is_refused() {
    let (_, matching) = matched("clipper", SideChoice::Dry, ControlTrial::None);
    let slots: [Effect; 2] = ["saturator", "clipper"].map(|text| text.parse().unwrap());
    let sides = resolve_sides(&[SideChoice::Dry, SideChoice::Dry], &slots, &guitar()).unwrap();
    let refusal = prepare_live(&sides, &matching, ProcessSpec { sample_rate: 5e6, ..SPEC }).err().unwrap().to_string();
    assert_eq!(refusal, "the loudness of live sound cannot be measured at 5000000 Hz and a width of 1; take a loop");
    // A rate that nothing else has is none of those.
    let plain = Matching { gain_db: 0.0, ..matching };
    let mut test = prepare_live(&sides, &plain, ProcessSpec { sample_rate: 47_999.0, ..SPEC }).unwrap();
    play(&mut test, 0, &guitar(), 512);
    assert_eq!(test.meter.difference_lu(), Some(0.0));
}

#[test]
fn a_file_cannot_play_live() {
    let (mut sides, matching) = matched("saturator", SideChoice::Dry, ControlTrial::None);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wet.wav");
    isotherm::audio::wav::write(&path, &guitar(), isotherm::audio::WavFormat::Float32).unwrap();
    let slots: [Effect; 2] = ["saturator", "clipper"].map(|text| text.parse().unwrap());
    sides[1] = resolve_sides(&[SideChoice::Dry, SideChoice::File(path)], &slots, &guitar()).unwrap()[1].clone();
    let refusal = prepare_live(&sides, &matching, SPEC).err().unwrap().to_string();
    assert_eq!(refusal, "side B is a file, which cannot play live; expected an effect or dry");
}

#[test]
fn the_audio_thread_of_live_sound_allocates_nothing() {
    let (sides, matching) = matched("saturator drive=18", SideChoice::Dry, ControlTrial::LowPass);
    let mut test = prepare_live(&sides, &matching, SPEC).unwrap();
    let mut block = vec![0.1f32; 333];
    let work = || {
        for path in [Some(0), Some(1), None, Some(2)] {
            test.control.play(path);
            for _ in 0..10 {
                test.player.process(&mut [&mut block]);
            }
        }
    };
    assert_eq!(allocations(work), 0);
    assert!(allocations(|| drop(prepare_live(&sides, &matching, SPEC).unwrap())) > 0, "making one allocates");
}
