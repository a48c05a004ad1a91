//! The sound of a player: the right path at the right place, dips at every press, no click, nothing allocated.

use std::f64::consts::PI;
use std::sync::Arc;

use isotherm::audio::{Audio, Random, generate};
use isotherm::listen::{Player, PlayerControl, Stimuli};
use isotherm_support::counting::allocations;

const RATE: u32 = 48_000;
/// Frames of a fade: 5 ms.
const FADE: usize = 240;
/// Largest residual that is no click, re the signal's peak.
const CLICK_DB: f64 = -80.0;

/// Three sounds of one length that have nothing in common.
fn stimuli(frames: usize) -> Arc<Stimuli> {
    let paths = [1, 2, 3].map(|seed| generate::white(RATE, 0.5, frames, seed).unwrap());
    Arc::new(Stimuli { paths: paths.into(), ..Stimuli::default() })
}

/// Plays blocks of the given lengths; before each, `press` may press.
fn play(player: &mut Player, width: usize, blocks: &[usize], mut press: impl FnMut(usize)) -> Vec<Vec<f32>> {
    let mut out = vec![Vec::new(); width];
    for frames in blocks {
        press(out[0].len());
        // The block's contents before leave no trace.
        let mut block = vec![vec![9.0f32; *frames]; width];
        let mut slices: Vec<&mut [f32]> = block.iter_mut().map(Vec::as_mut_slice).collect();
        player.process(&mut slices);
        for (out, channel) in out.iter_mut().zip(block) {
            out.extend(channel);
        }
    }
    out
}

/// The ideal player, a frame at a time: fades in closed form, between which the path changes.
fn ideal(paths: &[Audio], presses: &[(usize, Option<usize>)], frames: usize) -> Vec<f64> {
    let (mut phase, mut playing, mut wanted, mut pending, mut position) = (None, None, None, false, 0);
    let mut out = Vec::with_capacity(frames);
    for frame in 0..frames {
        for (_, path) in presses.iter().filter(|(at, _)| *at == frame) {
            (wanted, pending) = (*path, true);
        }
        if pending && phase.is_none() {
            phase = Some(0);
        }
        let gain = phase.map_or(1.0, |phase: usize| {
            let step = if phase < FADE { phase + 1 } else { 2 * FADE - phase };
            0.5 * (1.0 + (PI * step as f64 / (FADE + 1) as f64).cos())
        });
        out.push(playing.map_or(0.0, |path: usize| gain * f64::from(paths[path].channel(0)[position])));
        if playing.is_some() {
            position = (position + 1) % paths[0].frames();
        }
        phase = phase.map(|phase| phase + 1).filter(|phase| *phase < 2 * FADE);
        if phase == Some(FADE) {
            (playing, pending) = (wanted, false);
            position = if playing.is_some() { position } else { 0 };
        }
    }
    out
}

/// Largest magnitude of the high-passed (first) difference of two sounds in dB of the signal's peak.
fn click_db(found: &[f32], ideal: &[f64]) -> f64 {
    let signal = ideal.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let residual: Vec<f64> = found.iter().zip(ideal).map(|(found, ideal)| f64::from(*found) - ideal).collect();
    let most = residual.windows(2).fold(0.0, |most: f64, pair| most.max((pair[1] - pair[0]).abs()));
    20.0 * (most / signal).max(1e-12).log10()
}

fn press(control: &PlayerControl, presses: &[(usize, Option<usize>)], now: usize) {
    presses.iter().filter(|(at, _)| *at == now).for_each(|(_, path)| control.play(*path));
}

#[test]
fn the_player_follows_the_ideal_gain_curve_without_a_click_at_any_phase_of_switching() {
    let sounds = stimuli(5_000);
    // A second press at every phase of the first one's dip, and well after it; to every path, to the same path and to silence.
    for second in (0..2 * FADE + 40).step_by(7).chain([1, FADE - 1, FADE, FADE + 1, 2 * FADE - 1, 2 * FADE]) {
        for (from, to) in [(0, Some(1)), (1, Some(0)), (0, Some(0)), (2, Some(2)), (1, Some(2)), (0, None)] {
            let first = 1_500 + second % 64;
            let presses = [(0, Some(from)), (first, Some((from + 1) % 3)), (first + second, to)];
            let mut cuts: Vec<usize> = vec![first, second, 3_000];
            cuts.retain(|cut| *cut > 0);
            let (control, mut player) = Player::of_loop(sounds.clone(), 1);
            let mut at_cut = |now: usize| press(&control, &presses, now);
            let found = play(&mut player, 1, &cuts, &mut at_cut);
            let expected = ideal(&sounds.paths, &presses, found[0].len());
            let found_db = click_db(&found[0], &expected);
            assert!(found_db < CLICK_DB, "{from} to {to:?}, {second} frames later: {found_db:.1} dB");
        }
    }
}

#[test]
fn a_click_of_70_db_below_the_signal_would_be_seen() {
    let sounds = stimuli(5_000);
    let (control, mut player) = Player::of_loop(sounds.clone(), 1);
    control.play(Some(0));
    let mut found = play(&mut player, 1, &[2_000], |_| ()).remove(0);
    let expected = ideal(&sounds.paths, &[(0, Some(0))], found.len());
    assert!(click_db(&found, &expected) < CLICK_DB);
    found[1_000] += 0.5 * 10f32.powf(-70.0 / 20.0);
    assert!(click_db(&found, &expected) > CLICK_DB);
}

#[test]
fn switching_between_opposite_tones_leaves_nothing_above_the_tones_band() {
    // A full-scale tone against its inverse: the hardest switch. A 61-tap high-pass at 6 kHz (Blackman, -74 dB at 3 kHz).
    let tone = generate::sine(RATE, 100.0, 1.0, 48_000).unwrap();
    let sounds = Arc::new(Stimuli { paths: vec![tone.clone(), tone.multiply(-1.0).unwrap()], ..Stimuli::default() });
    let taps: Vec<f64> = (0..61)
        .map(|n| {
            let x = f64::from(n - 30);
            let phase = PI * f64::from(n + 1) / 31.0;
            let window = 0.42 - 0.5 * phase.cos() + 0.08 * (2.0 * phase).cos();
            let low = if n == 30 { 0.25 } else { (PI * x * 0.25).sin() / (PI * x) };
            window * (if n == 30 { 1.0 } else { 0.0 } - low)
        })
        .collect();
    let energy = |sound: &[f32]| sound.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let high = |sound: &[f32]| {
        let filtered = sound.windows(61).map(|w| w.iter().zip(&taps).map(|(x, tap)| f64::from(*x) * tap).sum::<f64>());
        filtered.map(|x| x * x).sum::<f64>()
    };
    for phase in (0..480).step_by(15) {
        let (control, mut player) = Player::of_loop(sounds.clone(), 1);
        control.play(Some(0));
        play(&mut player, 1, &[4_800 + phase], |_| ());
        control.play(Some(1));
        let found = play(&mut player, 1, &[2_400], |_| ()).remove(0);
        let ratio_db = 10.0 * (high(&found) / energy(&found)).log10();
        assert!(ratio_db < CLICK_DB, "{phase}: {ratio_db:.1} dB");
        // A switch without a dip is far above, but for those at a zero crossing.
        let mut hard = found.clone();
        hard[1_200..].iter_mut().for_each(|x| *x = -*x);
        if hard[1_200].abs() > 0.5 {
            assert!(10.0 * (high(&hard) / energy(&hard)).log10() > CLICK_DB + 20.0);
        }
    }
}

#[test]
fn a_press_of_the_side_that_plays_dips_as_any_other() {
    let sounds = Arc::new(Stimuli { paths: vec![Audio::from_mono(RATE, &[0.5; 4_000]).unwrap(); 3], ..Stimuli::default() });
    let after = |path: usize| {
        let (control, mut player) = Player::of_loop(sounds.clone(), 1);
        control.play(Some(0));
        play(&mut player, 1, &[1_000], |_| ());
        control.play(Some(path));
        play(&mut player, 1, &[1_000], |_| ()).remove(0)
    };
    let [same, other, third] = [0, 1, 2].map(after);
    // Equal sounds are equal bit for bit, whatever path is behind a press.
    assert_eq!(same, other);
    assert_eq!(same, third);
    assert!(same[FADE - 1] < 1e-4 && same[FADE] < 1e-4 && same[0] > 0.49 && same[2 * FADE..].iter().all(|x| *x == 0.5));
}

#[test]
fn the_cut_into_blocks_changes_no_bit() {
    let sounds = stimuli(777);
    let presses: Vec<(usize, Option<usize>)> =
        [(0, Some(0)), (900, Some(1)), (1_000, Some(2)), (1_700, Some(2)), (2_500, None), (3_100, Some(1))].into();
    let render = |blocks: &[usize]| {
        let (control, mut player) = Player::of_loop(sounds.clone(), 2);
        play(&mut player, 2, blocks, |now| press(&control, &presses, now))
    };
    let whole = render(&[900, 100, 700, 800, 600, 1_900]);
    let mut random = Random::new(7);
    for most in [1, 2, 63, 64, 65, 700] {
        let mut blocks = Vec::new();
        for mut span in [900, 100, 700, 800, 600, 1_900] {
            while span > 0 {
                let n = (1 + random.below(most)).min(span);
                blocks.push(n);
                span -= n;
            }
        }
        // Blocks without frames change nothing either.
        blocks.insert(3, 0);
        assert_eq!(render(&blocks), whole, "blocks of up to {most} frames");
    }
}

#[test]
fn all_paths_play_at_the_same_place_and_the_loop_goes_round_without_a_gap() {
    let sounds = stimuli(1_000);
    let (control, mut player) = Player::of_loop(sounds.clone(), 1);
    control.play(Some(0));
    // The fade-out of the silence before is not part of the loop.
    play(&mut player, 1, &[FADE], |_| ());
    let out = play(&mut player, 1, &[3_500], |_| ()).remove(0);
    for (frame, x) in out.iter().enumerate().skip(FADE) {
        assert_eq!(*x, sounds.paths[0].channel(0)[frame % 1_000], "frame {frame}");
    }
    assert_eq!(control.position(), 500);
    control.play(Some(1));
    let out = play(&mut player, 1, &[1_000], |_| ()).remove(0);
    for (frame, x) in out.iter().enumerate().skip(2 * FADE) {
        assert_eq!(*x, sounds.paths[1].channel(0)[(500 + frame) % 1_000], "frame {frame}");
    }
    assert_eq!(control.position(), 500);
}

#[test]
fn the_player_is_silent_until_a_path_is_asked_for_and_after_none_is() {
    let (control, mut player) = Player::of_loop(stimuli(1_000), 2);
    assert_eq!(play(&mut player, 2, &[500], |_| ()), vec![vec![0.0; 500]; 2]);
    control.play(Some(1));
    assert!(play(&mut player, 2, &[600], |_| ())[1].iter().any(|x| *x != 0.0));
    control.play(None);
    play(&mut player, 2, &[FADE], |_| ());
    assert_eq!(play(&mut player, 2, &[1_000], |_| ()), vec![vec![0.0; 1_000]; 2]);
    assert_eq!(control.position(), 0, "the next test begins at the loop's beginning");
    let (_, mut empty) = Player::of_loop(Arc::new(Stimuli { paths: Vec::new(), ..Stimuli::default() }), 1);
    assert_eq!(play(&mut empty, 1, &[100], |_| ()), vec![vec![0.0; 100]]);
}

#[test]
fn a_loop_of_another_width_is_duplicated_mixed_down_or_padded_with_silence() {
    let mono = generate::white(RATE, 0.5, 1_000, 1).unwrap();
    let other = generate::white(RATE, 0.5, 1_000, 2).unwrap();
    let stereo = Audio::from_channels(RATE, &[mono.channel(0), other.channel(0)]).unwrap();
    let steady = |sound: &Audio, width: usize| {
        let (control, mut player) =
            Player::of_loop(Arc::new(Stimuli { paths: vec![sound.clone(); 2], ..Stimuli::default() }), width);
        control.play(Some(1));
        play(&mut player, width, &[2 * FADE], |_| ());
        play(&mut player, width, &[300], |_| ())
    };
    let there = FADE..FADE + 300;
    let (left, right) = (&mono.channel(0)[there.clone()], &other.channel(0)[there]);
    assert_eq!(steady(&mono, 2), [left, left]);
    assert_eq!(steady(&stereo, 2), [left, right]);
    assert_eq!(steady(&stereo, 3), [left, right, &[0.0; 300]]);
    for (frame, x) in steady(&stereo, 1)[0].iter().enumerate() {
        assert!((x - 0.5 * (left[frame] + right[frame])).abs() < 1e-6, "frame {frame}");
    }
}

#[test]
fn the_audio_thread_of_a_player_allocates_nothing() {
    let sounds = stimuli(700);
    let (control, mut player) = Player::of_loop(sounds.clone(), 2);
    let (mut left, mut right) = (vec![0.0f32; 333], vec![0.0f32; 333]);
    let work = || {
        for path in [Some(0), Some(1), Some(1), None, Some(2)] {
            control.play(path);
            for _ in 0..5 {
                player.process(&mut [&mut left, &mut right]);
            }
        }
    };
    assert_eq!(allocations(work), 0);
    assert!(allocations(|| drop(Player::of_loop(sounds.clone(), 2))) > 0, "making a player allocates");
}
