//! Tests of the verdicts.

use super::*;

fn evidence() -> Evidence {
    Evidence {
        sound: "guitar".into(),
        is_test_signal: false,
        is_unrelated: false,
        is_identical: false,
        is_inverted: false,
        gain_db: 0.0,
        delay_frames: 0.0,
        dc: 0.0,
        drift_ppm: None,
        raw_null_db: -30.0,
        distance: distance(-50.0),
        floor: None,
        octave_hz: 16_000.0,
        missing_from_hz: None,
        missing_to_hz: None,
        lacks_faint_bands: false,
    }
}

/// The figures of a close twin with a null.
fn distance(null_db: f64) -> Distance {
    Distance { null_db, octave_db: -25.0, mask_db: -15.0, disturbed: 0.0, window_db: -40.0, log_spectral_db: 3.0, mr_stft: 0.5 }
}

fn with(change: impl Fn(&mut Evidence)) -> Evidence {
    let mut e = evidence();
    change(&mut e);
    e
}

fn id(all: &[Evidence]) -> &'static str {
    Verdict::of(all).id
}

#[test]
fn the_first_rule_that_holds_gives_the_verdict() {
    assert_eq!(id(&[evidence()]), "close_twin");
    assert_eq!(id(&[with(|e| e.distance.null_db = -6.0)]), "close_twin");
    assert_eq!(id(&[with(|e| (e.distance.null_db, e.distance.mask_db) = (-6.0, 8.0))]), "different");
    assert_eq!(id(&[with(|e| e.missing_from_hz = Some(8000.0))]), "filtered");
    assert_eq!(id(&[with(|e| (e.missing_from_hz, e.distance.null_db) = (Some(8000.0), -90.0))]), "filtered");
    assert_eq!(id(&[with(|e| e.is_identical = true)]), "identical");
    assert_eq!(id(&[with(|e| e.is_identical = true), evidence()]), "close_twin");
    assert_eq!(id(&[evidence(), with(|e| e.is_unrelated = true)]), "unrelated");
    let equal = |change: fn(&mut Evidence)| {
        let mut e = with(|e| e.distance.null_db = -90.0);
        change(&mut e);
        id(&[e])
    };
    assert_eq!(equal(|_| {}), "aligned");
    assert_eq!(equal(|e| e.gain_db = 0.5), "gain");
    assert_eq!(equal(|e| e.delay_frames = 1.0), "delay");
    assert_eq!(equal(|e| (e.gain_db, e.delay_frames) = (0.5, 1.0)), "aligned");
    assert_eq!(equal(|e| (e.gain_db, e.dc) = (0.5, 0.01)), "aligned");
    assert_eq!(equal(|e| (e.gain_db, e.is_inverted) = (0.5, true)), "polarity");
    // A gain that hardly changes the null is no reason for the difference.
    assert_eq!(equal(|e| (e.gain_db, e.raw_null_db) = (0.5, -80.0)), "aligned");
    // Two clocks are more than a gain, a delay or a polarity.
    let changes: [fn(&mut Evidence); 3] = [|e| e.gain_db = 0.5, |e| e.delay_frames = 1.0, |e| e.is_inverted = true];
    for change in changes {
        let drifting = with(|e| {
            e.distance.null_db = -90.0;
            e.drift_ppm = Some(30.0);
            change(e);
        });
        assert_eq!(id(&[drifting]), "aligned");
    }
}

#[test]
fn no_figure_alone_makes_two_sounds_equal() {
    let equal = |change: fn(&mut Evidence)| {
        let mut e = with(|e| e.distance.null_db = -90.0);
        change(&mut e);
        id(&[e])
    };
    let changes: [fn(&mut Evidence); 5] = [
        |e| e.distance.null_db = -59.9,
        |e| e.distance.mask_db = -9.9,
        |e| e.distance.disturbed = 0.1,
        |e| e.lacks_faint_bands = true,
        |e| e.distance.mask_db = f64::NAN,
    ];
    for change in changes {
        assert!(["close_twin", "coarse_twin"].contains(&equal(change)));
    }
}

#[test]
fn a_close_twin_needs_every_figure() {
    let changes: [fn(&mut Evidence); 6] = [
        |e| e.distance.octave_db = -11.9,
        |e| e.distance.mask_db = -9.9,
        |e| e.distance.disturbed = 0.01,
        |e| e.distance.window_db = -32.6,
        |e| e.distance.mask_db = f64::NAN,
        |e| e.distance.disturbed = f64::NAN,
    ];
    for change in changes {
        assert_eq!(id(&[evidence(), with(change)]), "coarse_twin");
    }
}

#[test]
fn a_difference_that_a_masks_is_never_said_to_be_heard() {
    let text = |change: fn(&mut Evidence)| Verdict::of(&[with(change)]).text();
    let masked = text(|e| e.distance.octave_db = -10.0);
    assert!(masked.contains("In its worst band it is too large for a close twin") && !masked.contains("heard"), "{masked}");
    assert!(text(|e| e.distance.window_db = -20.0).contains("In its worst 400 ms"));
    let heard = text(|e| (e.distance.mask_db, e.distance.disturbed) = (2.0, 3.0));
    assert!(heard.contains("may be heard") && heard.contains("For 3.0 % of the time"), "{heard}");
}

#[test]
fn the_noise_to_mask_ratio_is_said_to_be_blind_where_only_the_phases_differ() {
    let text = |null_db: f64, mask_db: f64| {
        Verdict::of(&[with(|e| (e.distance.null_db, e.distance.mask_db) = (null_db, mask_db))]).text()
    };
    assert!(text(1.9, -87.0).contains("magnitudes only"));
    for (null_db, mask_db) in [(-50.0, -80.0), (-25.0, -12.0), (-20.0, -9.0)] {
        assert!(!text(null_db, mask_db).contains("magnitudes only"), "{null_db} {mask_db}");
    }
}

#[test]
fn music_decides_and_test_signals_have_a_sentence_of_their_own() {
    let sweep = with(|e| (e.sound, e.is_test_signal, e.distance.disturbed) = ("sweep".into(), true, 35.0));
    let verdict = Verdict::of(&[evidence(), sweep.clone()]);
    assert_eq!((verdict.id, verdict.deciding[3].figure), ("close_twin", Some(0.0)));
    let sentence = verdict.test_signals.clone().unwrap();
    assert!(sentence.starts_with("Test signals show what music masks: with them the verdict is “A coarse twin”."), "{sentence}");
    assert!(sentence.contains("35.0 %") && verdict.text().ends_with(&sentence), "{}", verdict.text());
    let alone = Verdict::of(std::slice::from_ref(&sweep));
    assert_eq!((alone.id, alone.test_signals), ("coarse_twin", None));
    let same = Verdict::of(&[evidence(), with(|e| e.is_test_signal = true)]);
    assert_eq!(same.test_signals.as_deref(), Some("Test signals give the same verdict."));
}

#[test]
fn the_verdict_tells_what_was_corrected() {
    let correction = |all: &[Evidence]| Verdict::of(all).correction();
    assert_eq!(correction(&[evidence()]), None);
    // An effect that is not A has a noise of its own, which is not told.
    assert_eq!(correction(&[with(|e| (e.gain_db, e.delay_frames, e.dc) = (0.02, 0.03, 1e-5))]), None);
    let changed = with(|e| (e.is_inverted, e.gain_db, e.delay_frames) = (true, -6.02, 480.0));
    let sentence = "Before that B was turned over (polarity), made 6.0 dB louder and moved 480 frames earlier.";
    assert_eq!(correction(std::slice::from_ref(&changed)).as_deref(), Some(sentence));
    assert!(Verdict::of(std::slice::from_ref(&changed)).text().contains(sentence));
    let drifting = with(|e| (e.delay_frames, e.drift_ppm, e.dc) = (-1.0, Some(30.0), 0.01));
    let sentence = "Before that B was moved 1 frame later, freed of a drift of 30.00 ppm and freed of a DC offset of 0.0100.";
    assert_eq!(correction(&[drifting]).as_deref(), Some(sentence));
    let sentence = "Before that B was turned over (polarity) in 1 of 2 sounds, made from 0 dB louder to 6.0 dB louder and moved from \
                    0 frames earlier to 480 frames earlier.";
    assert_eq!(correction(&[evidence(), changed]).as_deref(), Some(sentence));
}

#[test]
fn a_gain_that_differs_from_sound_to_sound_is_no_gain() {
    let with = |gain_db| with(|e| (e.gain_db, e.distance.null_db) = (gain_db, -90.0));
    assert_eq!(id(&[with(0.5), with(0.55)]), "gain");
    assert_eq!(id(&[with(0.5), with(3.0)]), "close_twin");
}

#[test]
fn b_is_as_equal_as_a_is_to_itself_only_in_every_sound_and_without_gain_delay_dc_and_inversion() {
    let near = with(|e| e.floor = Some(distance(-50.2)));
    assert_eq!(id(&[Evidence { gain_db: 0.05, delay_frames: 0.05, dc: 1e-4, ..near.clone() }]), "within_floor");
    for changed in [
        Evidence { is_inverted: true, ..near.clone() },
        Evidence { gain_db: -6.0, ..near.clone() },
        Evidence { delay_frames: 1.0, ..near.clone() },
        Evidence { dc: 0.01, ..near.clone() },
        Evidence { drift_ppm: Some(30.0), ..near.clone() },
    ] {
        assert_eq!(id(&[changed]), "close_twin");
    }
    // The floor of one sound is not that of another one; where A is exact, B must be, too.
    let far = with(|e| e.floor = Some(distance(-60.0)));
    assert_eq!(id(&[near.clone(), far]), "close_twin");
    assert_eq!(id(&[near.clone(), evidence()]), "close_twin");
    assert_eq!(id(&[near, with(|e| e.distance.null_db = f64::from(SILENCE_DB))]), "within_floor");
}

#[test]
fn b_without_the_random_part_of_a_is_not_as_equal_as_a_is_to_itself() {
    let floor = distance(-50.0);
    let id_of = |change: fn(&mut Distance)| {
        let mut b = floor;
        change(&mut b);
        id(&[with(|e| (e.distance, e.floor) = (b, Some(floor)))])
    };
    assert_eq!(id_of(|_| {}), "within_floor");
    // A null on either side, and each of the other figures.
    let changes: [fn(&mut Distance); 6] = [
        |b| b.null_db -= 3.0,
        |b| b.null_db += 0.6,
        |b| b.log_spectral_db += 0.6,
        |b| b.mr_stft *= 1.2,
        |b| b.mask_db += 1.1,
        |b| b.octave_db += 2.1,
    ];
    for change in changes {
        assert_eq!(id_of(change), "close_twin");
    }
    let clean = with(|e| (e.distance.null_db, e.floor) = (-53.0, Some(floor)));
    assert_eq!(clean.nearer_than_a_db(), Some(3.0));
    assert_eq!(with(|e| e.floor = Some(floor)).nearer_than_a_db(), None);
}

#[test]
fn bands_are_missing_only_at_an_end_and_only_where_b_is_quieter() {
    let band = |hz, b_db, error_db| Band { hz, a_db: -30.0, b_db, error_db: Some(error_db) };
    let found = |bands: &[Band]| {
        let bands: Vec<_> = bands.iter().zip(audible(bands)).collect();
        (missing(bands.iter().rev().copied()), missing(bands.iter().copied()))
    };
    let bands = [band(1e3, -30.0, -40.0), band(2e3, -30.0, -40.0), band(4e3, -60.0, 0.0), band(8e3, -60.0, 0.0)];
    assert_eq!(found(&bands), (Some(4e3), None));
    assert_eq!(found(&bands.map(|band| Band { b_db: -30.0, ..band })), (None, None));
    assert_eq!(found(&bands[2..]), (None, None));
    assert_eq!(found(&bands[..3]), (None, None));
    // 70 dB below the loudest band a missing one counts only beside one that is not faint.
    let faint = |hz, a_db: f64, lost: f64| Band { hz, a_db, b_db: a_db - lost, error_db: Some(0.0) };
    let loud = band(1e3, -30.0, -40.0);
    assert_eq!(found(&[loud, faint(8e3, -111.0, 30.0), faint(16e3, -120.0, 30.0)]), (None, None));
    assert_eq!(found(&[loud, faint(4e3, -60.0, 30.0), faint(8e3, -120.0, 30.0)]), (Some(4e3), None));
    // Noise in a faint band at the end is not A's.
    let noisy = faint(16e3, -120.0, -20.0);
    assert_eq!(found(&[loud, faint(4e3, -60.0, 30.0), faint(8e3, -70.0, 30.0), noisy]), (Some(4e3), None));
}

#[test]
fn every_row_has_an_id_and_a_rule_of_its_own_and_the_last_one_always_holds() {
    for (i, row) in VERDICTS.iter().enumerate() {
        assert!(VERDICTS[..i].iter().all(|other| other.id != row.id && other.rule != row.rule), "{}", row.id);
        assert!(row.step < SCALE.len(), "{}", row.id);
    }
    assert_eq!(VERDICTS.last().unwrap().id, "different");
}

#[test]
fn texts_have_no_minus_before_a_zero_no_300_decibels_and_one_frame() {
    assert_eq!([decibels(-0.04), decibels(-300.0), decibels(f64::NAN)], ["0.0 dB", "zero", NO_FIGURE]);
    assert_eq!([against(-0.04, "A"), against(-300.0, "A"), against(2.0, "A")], ["as strong as A", "zero", "2.0 dB above A"]);
    assert_eq!([frames(1.0), frames(480.0), frames(0.37)], ["1 frame", "480 frames", "0.37 frames"]);
    let exact = Distance { octave_db: -300.0, mask_db: -300.0, window_db: -300.0, ..distance(-300.0) };
    let text = Verdict::of(&[with(|e| e.distance = exact)]).text();
    assert_eq!(text, "B equals A: nothing is left of the difference. No band has an error. The spectra do not differ.");
}
