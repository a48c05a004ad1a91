//! A drum pattern.

use super::filter::Biquad;
use super::{BEATS_PER_MINUTE, MUSIC_SECONDS, check_music, finish_music, pan_gains};
use crate::audio::Random;
use crate::audio::{Audio, AudioError, Fade};
use std::f64::consts::TAU;

/// An instrument of the drum kit; `Hat` is the closed one.
#[derive(Clone, Copy)]
enum Drum {
    Kick,
    Snare,
    Hat,
    OpenHat,
    Crash,
}

/// The strokes of all instruments but the closed hat: drum, beat counted from 0, force from 0 to 1. Three bars of four beats, and
/// the first beat of the fourth.
const PATTERN: [(Drum, f64, f64); 28] = {
    use Drum::{Crash, Kick, OpenHat, Snare};
    [
        (Kick, 0.0, 1.0),
        (Snare, 1.0, 0.9),
        (Kick, 1.5, 0.62),
        (Snare, 2.25, 0.2),
        (Kick, 2.5, 0.9),
        (Snare, 3.0, 0.92),
        (OpenHat, 3.5, 0.6),
        (Snare, 3.75, 0.24),
        (Kick, 4.0, 1.0),
        (Snare, 5.0, 0.9),
        (Kick, 5.75, 0.55),
        (Snare, 6.25, 0.2),
        (Kick, 6.5, 0.92),
        (Snare, 7.0, 0.94),
        (OpenHat, 7.5, 0.65),
        (Snare, 7.75, 0.26),
        (Kick, 8.0, 1.0),
        (Snare, 9.0, 0.9),
        (Kick, 9.5, 0.7),
        (Snare, 9.75, 0.2),
        (Kick, 10.5, 0.9),
        (Snare, 11.0, 0.95),
        (Snare, 11.25, 0.42),
        (Snare, 11.5, 0.62),
        (Snare, 11.75, 0.84),
        (Kick, 11.5, 0.5),
        (Kick, 12.0, 1.0),
        (Crash, 12.0, 0.9),
    ]
};

/// The oscillators of a TR-808's cymbals, in Hz (K. Werner, J. Abel, J. Smith, "The TR-808 Cymbal: a Physically-Informed,
/// Circuit-Bendable, Digital Model", ICMC 2014).
const METAL_HZ: [f64; 6] = [205.3, 304.4, 369.6, 522.7, 540.0, 800.0];
/// Largest random deviation of a stroke from its beat (in seconds) and of its force (as a share), as of a human player.
const TIMING_DEVIATION_SECONDS: f64 = 0.003;
const FORCE_DEVIATION: f64 = 0.07;
/// Sample rate in Hz at which noise has an amplitude of 1; at others it is scaled to keep the same level per Hz.
const NOISE_RATE_HZ: f64 = 48_000.0;
/// Fade at the end, in seconds.
const FADE_SECONDS: f64 = 0.25;

/// A drum pattern of 8 s at 100 beats per minute: kick, snare with ghost notes, closed and open hats, a short fill and a cymbal
/// at the end. One or two `channels`; peak -3 dB of full scale; `sample_rate` from 8 kHz. Goes with
/// [`guitar`](super::guitar).
///
/// The kick is a sine that falls from 210 to 48 Hz, the snare two modes of a head and filtered noise, the cymbals the
/// upper harmonics of six square waves and noise. All parameters are in seconds and Hz, so other sample rates give the same
/// sound; partials above half the sample rate are left out. `seed` varies timing and force a little, and the noise.
///
/// # Errors
/// [`AudioError::Parameter`].
pub fn drums(sample_rate: u32, channels: usize, seed: u64) -> Result<Audio<f32>, AudioError> {
    let rate = check_music(sample_rate, channels)?;
    let frames = (MUSIC_SECONDS * rate).round() as usize;
    let mut mix = vec![vec![0.0; frames]; channels];
    for (number, (drum, beat, force)) in strokes().enumerate() {
        let mut random = Random::stream(seed, number as u64);
        let seconds = beat * 60.0 / BEATS_PER_MINUTE + TIMING_DEVIATION_SECONDS * (1.0 + random.bipolar());
        let start = ((seconds * rate).round() as usize).min(frames);
        let force = force * (1.0 + FORCE_DEVIATION * random.bipolar());
        let (sound, pan) = match drum {
            Drum::Kick => (kick(rate, &mut random), 0.0),
            Drum::Snare => (snare(rate, force, &mut random), -0.1),
            Drum::Hat => (cymbal(rate, 0.08, 0.3, &mut random), 0.35),
            Drum::OpenHat => (cymbal(rate, 0.32, 0.6, &mut random), 0.35),
            Drum::Crash => (cymbal(rate, 1.4, 1.2, &mut random), -0.3),
        };
        for (channel, gain) in mix.iter_mut().zip(pan_gains(channels, pan)) {
            channel[start..].iter_mut().zip(&sound).for_each(|(sum, sample)| *sum += gain * force * sample);
        }
    }
    let mut audio = finish_music(sample_rate, &mix)?;
    audio.fade_out((FADE_SECONDS * rate) as usize, Fade::RaisedCosine)?;
    Ok(audio)
}

/// All strokes (drum, beat, force): the pattern, and closed hats on every half beat, accented on the beat.
fn strokes() -> impl Iterator<Item = (Drum, f64, f64)> {
    let open = |beat: f64| beat == 3.5 || beat == 7.5;
    let hats = (0..24).map(|half| f64::from(half) / 2.0).filter(move |&beat| !open(beat));
    let hats = hats.map(|beat| (Drum::Hat, beat, if beat.fract() == 0.0 { 0.62 } else { 0.4 }));
    PATTERN.into_iter().chain(hats)
}

/// Renders `seconds` of sound; `sample` gets the time of each frame in seconds.
fn render(rate: f64, seconds: f64, mut sample: impl FnMut(f64) -> f64) -> Vec<f64> {
    (0..(seconds * rate) as usize).map(|frame| sample(frame as f64 / rate)).collect()
}

/// A sample of white noise with the same level per Hz at every sample rate.
fn noise(rate: f64, random: &mut Random) -> f64 {
    (rate / NOISE_RATE_HZ).sqrt() * random.bipolar()
}

/// The gain of a linear attack of `seconds`, which avoids a click.
fn attack(time: f64, seconds: f64) -> f64 {
    (time / seconds).min(1.0)
}

fn kick(rate: f64, random: &mut Random) -> Vec<f64> {
    const LOW_HZ: f64 = 48.0;
    const FALL_HZ: f64 = 162.0;
    const FALL_SECONDS: f64 = 0.022;
    let mut click = Biquad::low_pass(rate, 3_500.0, 0.7);
    render(rate, 0.5, |time| {
        // The integral of LOW_HZ + FALL_HZ exp(-t / FALL_SECONDS).
        let turns = LOW_HZ * time + FALL_HZ * FALL_SECONDS * (1.0 - (-time / FALL_SECONDS).exp());
        let body = (TAU * turns).sin() * (-time / 0.11).exp();
        let beater = click.next(noise(rate, random) * (-time / 0.003).exp());
        // Soft clipping, as of a drum head that is struck hard.
        (1.6 * body + 0.5 * beater).tanh() * attack(time, 0.000_5) * attack(0.5 - time, 0.05)
    })
}

fn snare(rate: f64, force: f64, random: &mut Random) -> Vec<f64> {
    // The snare wires sound brighter and longer at hard strokes.
    let wires_seconds = 0.03 + 0.04 * force;
    let mut filters = [Biquad::high_pass(rate, 1_100.0, 0.7), Biquad::low_pass(rate, 5_000.0 + 5_000.0 * force, 0.7)];
    render(rate, 0.45, |time| {
        let bend = 1.0 + 0.35 * (-time / 0.008).exp();
        let head = (TAU * 186.0 * bend * time).sin() * (-time / 0.055).exp()
            + 0.6 * (TAU * 331.0 * bend * time).sin() * (-time / 0.035).exp();
        let wires = noise(rate, random) * (-time / wires_seconds).exp();
        let wires = filters.iter_mut().fold(wires, |sample, filter| filter.next(sample));
        (0.45 * head + 0.75 * wires) * attack(time, 0.000_5) * attack(0.45 - time, 0.05)
    })
}

/// A cymbal that decays by 60 dB in `seconds`; a larger `body` adds lower partials.
fn cymbal(rate: f64, seconds: f64, body: f64, random: &mut Random) -> Vec<f64> {
    let lowest = 6_500.0 - 2_500.0 * body;
    let highest = 15_500.0_f64.min(0.45 * rate);
    let partials: Vec<(f64, f64)> = METAL_HZ
        .iter()
        .flat_map(|hz| (1..).step_by(2).map(move |k| hz * f64::from(k)).take_while(|&hz| hz < 15_500.0))
        .filter(|&hz| hz > lowest)
        // A random phase is drawn also for partials that a low sample rate leaves out, so that the others keep theirs.
        .map(|hz| (hz, random.bipolar() / 2.0))
        .filter(|&(hz, _)| hz < highest)
        .collect();
    let mut filters = [Biquad::high_pass(rate, lowest, 0.7), Biquad::low_pass(rate, 15_500.0, 0.7)];
    // 60 dB are 6.91 time constants; the hiss decays a little faster than the ring.
    let constant = seconds / 6.91;
    render(rate, 1.1 * seconds, |time| {
        let ring: f64 = partials.iter().map(|(hz, turns)| (TAU * (hz * time + turns)).sin()).sum();
        let hiss = noise(rate, random) * (-time / (0.8 * constant)).exp();
        let hiss = filters.iter_mut().fold(hiss, |sample, filter| filter.next(sample));
        (0.03 * ring * (-time / constant).exp() + 0.45 * hiss) * attack(time, 0.000_5)
    })
}
