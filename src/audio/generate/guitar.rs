//! A guitar phrase by plucked-string synthesis.

use super::filter::{Biquad, StringLoop, mode_amplitude};
use super::{BEATS_PER_MINUTE, MUSIC_SECONDS, check_music, finish_music, pan_gains};
use crate::audio::{Audio, AudioError, Fade, Random};
use std::f64::consts::TAU;

/// A note of the phrase.
struct Note {
    /// The beat at which it is plucked, counted from 0.
    beat: f64,
    /// The number of beats for which it is held.
    beats: f64,
    /// MIDI note number; 69 is A4, 440 Hz.
    key: u8,
    /// Force of the pluck, 0 to 1.
    force: f64,
}

const fn note(beat: f64, beats: f64, key: u8, force: f64) -> Note {
    Note { beat, beats, key, force }
}

/// Three bars in A minor: a rising line over A, sixths falling over F and G, a walk down to C and B, and a strummed Am9 that
/// rings.
const PHRASE: [Note; 30] = [
    note(0.0, 3.8, 45, 0.80),
    note(0.5, 1.2, 57, 0.50),
    note(1.0, 0.9, 60, 0.58),
    note(1.5, 0.6, 62, 0.66),
    note(2.0, 1.2, 64, 0.92),
    note(3.0, 0.5, 67, 0.62),
    note(3.5, 0.5, 64, 0.48),
    note(4.0, 2.9, 41, 0.74),
    note(4.5, 0.7, 60, 0.62),
    note(4.5, 0.7, 69, 0.78),
    note(5.25, 0.7, 59, 0.52),
    note(5.25, 0.7, 67, 0.64),
    note(6.0, 0.95, 57, 0.56),
    note(6.0, 0.95, 65, 0.70),
    note(7.0, 0.95, 43, 0.72),
    note(7.0, 0.5, 62, 0.54),
    note(7.5, 0.25, 64, 0.60),
    note(7.75, 0.3, 62, 0.42),
    note(8.0, 0.95, 48, 0.66),
    note(8.0, 0.5, 64, 0.60),
    note(8.5, 0.5, 60, 0.46),
    note(9.0, 0.5, 47, 0.60),
    note(9.0, 0.5, 62, 0.64),
    // The chord, strummed from low to high.
    note(9.500, 4.0, 45, 0.72),
    note(9.530, 4.0, 52, 0.58),
    note(9.558, 4.0, 55, 0.55),
    note(9.584, 4.0, 59, 0.56),
    note(9.608, 4.0, 60, 0.60),
    note(9.630, 4.0, 64, 0.72),
    note(11.5, 2.0, 76, 0.34),
];

/// Positions of the pick and of the pickup, as shares of the string's length from the bridge.
const PICK: f64 = 0.13;
const PICKUP: f64 = 0.21;
/// Decay times to -60 dB, in seconds: of A2 at its fundamental, and of every string at [`HIGH_RING_HZ`].
const RING_SECONDS: f64 = 6.5;
const HIGH_RING_SECONDS: f64 = 0.42;
const HIGH_RING_HZ: f64 = 4_000.0;
/// Decay time to -60 dB, in seconds, of a string that the hand damps.
const DAMPED_SECONDS: f64 = 0.16;
/// Corner in Hz above which the partials of a note become weak: of the softest pluck, and its rise up to the hardest.
const SOFT_CORNER_HZ: f64 = 900.0;
const CORNER_RISE_HZ: f64 = 4_200.0;
/// Highest partial of a plucked note, in Hz.
const HIGHEST_HZ: f64 = 14_000.0;
/// The two planes in which a string vibrates: factor of its frequency, factor of its decay time, share in the output.
const PLANES: [(f64, f64, f64); 2] = [(1.000_25, 1.0, 0.62), (0.999_75, 0.42, 0.38)];
/// Largest random deviation of a pluck from its beat (in seconds) and of its force (as a share), as of a human player.
const TIMING_DEVIATION_SECONDS: f64 = 0.004;
const FORCE_DEVIATION: f64 = 0.06;
/// Largest random deviation of the partials' phases, in turns.
const PHASE_DEVIATION: f64 = 0.2;
/// Fade at the end, in seconds.
const FADE_SECONDS: f64 = 0.5;

/// A guitar phrase of 8 s at 100 beats per minute, in A minor: soft and hard single notes, double stops, a strummed chord at the
/// end. One or two `channels`; peak -3 dB of full scale; `sample_rate` from 8 kHz.
///
/// Plucked strings after K. Karplus and A. Strong, "Digital Synthesis of Plucked-String and Drum Timbres", and
/// D. Jaffe and J. Smith, "Extensions of the Karplus-Strong Plucked-String Algorithm" (Computer Music Journal 7, 1983): tuned
/// to fractions of a frame by an all-pass, damped by a one-pole low-pass that sets the decay times, with a position of the pick
/// and of the pickup, in two planes of vibration; then resonances of body and pickup, as at the output of an electric guitar
/// without an amplifier. All parameters are in seconds and Hz: other sample rates give the same sound. `seed` varies timing,
/// force and phases a little.
///
/// # Errors
/// [`AudioError::Parameter`].
pub fn guitar(sample_rate: u32, channels: usize, seed: u64) -> Result<Audio<f32>, AudioError> {
    let rate = check_music(sample_rate, channels)?;
    let frames = (MUSIC_SECONDS * rate).round() as usize;
    let mut mix = vec![vec![0.0; frames]; channels];
    for (number, note) in PHRASE.iter().enumerate() {
        let mut random = Random::stream(seed, number as u64);
        let seconds = note.beat * 60.0 / BEATS_PER_MINUTE + TIMING_DEVIATION_SECONDS * (1.0 + random.bipolar());
        let start = ((seconds * rate).round() as usize).min(frames);
        let held = note.beats * 60.0 / BEATS_PER_MINUTE;
        let force = note.force * (1.0 + FORCE_DEVIATION * random.bipolar());
        let sound = pluck(rate, note.key, force, held, &mut random);
        // Low strings a little to the left, high ones to the right.
        let pan = ((f64::from(note.key) - 58.0) / 40.0).clamp(-0.5, 0.5);
        for (channel, gain) in mix.iter_mut().zip(pan_gains(channels, pan)) {
            channel[start..].iter_mut().zip(&sound).for_each(|(sum, sample)| *sum += gain * sample);
        }
    }
    for channel in &mut mix {
        let mut filters = [
            Biquad::high_pass(rate, 55.0, 0.7),
            Biquad::peak(rate, 112.0, 1.4, 2.0),
            Biquad::peak(rate, 235.0, 1.1, 2.5),
            Biquad::low_pass(rate, 4_300.0, 1.5),
        ];
        for sample in channel {
            *sample = filters.iter_mut().fold(*sample, |sample, filter| filter.next(sample));
        }
    }
    let mut audio = finish_music(sample_rate, &mix)?;
    audio.fade_out((FADE_SECONDS * rate) as usize, Fade::RaisedCosine)?;
    Ok(audio)
}

/// Synthesises one note, held for `held` seconds and then damped.
fn pluck(rate: f64, key: u8, force: f64, held: f64, random: &mut Random) -> Vec<f64> {
    let hz = 440.0 * ((f64::from(key) - 69.0) / 12.0).exp2();
    let period = excitation(rate, hz, force, random);
    let frames = ((held + DAMPED_SECONDS) * rate) as usize;
    // Higher notes ring shorter, as on light strings.
    let ring = RING_SECONDS * (110.0 / hz).sqrt();
    let mut sound = vec![0.0; frames];
    for (tuning, decay, share) in PLANES {
        let mut string = StringLoop::new(rate, hz * tuning, ring * decay, HIGH_RING_HZ, HIGH_RING_SECONDS * decay);
        for (frame, sample) in sound.iter_mut().enumerate() {
            *sample += share * string.next(period.get(frame).copied().unwrap_or(0.0));
        }
    }
    let damping = 1e-3_f64.powf(1.0 / (DAMPED_SECONDS * rate));
    let mut damped = 1.0;
    for sample in &mut sound[(held * rate) as usize..] {
        damped *= damping;
        *sample *= damped;
    }
    sound
}

/// The first period of a string as the sum of its modes; louder and brighter with more force.
fn excitation(rate: f64, hz: f64, force: f64, random: &mut Random) -> Vec<f64> {
    let highest = HIGHEST_HZ.min(0.45 * rate);
    let frames = rate / hz;
    let mut period = vec![0.0; frames.round() as usize];
    let corner = SOFT_CORNER_HZ + CORNER_RISE_HZ * force * force;
    let mut power = 0.0;
    for k in (1..).map(f64::from).take_while(|k| k * hz <= HIGHEST_HZ) {
        // The factor 1 / k is the velocity of a plucked string, to which a magnetic pickup responds.
        let amplitude = mode_amplitude(k, PICK) * mode_amplitude(k, PICKUP) / k * (-k * hz / corner).exp();
        let phase = PHASE_DEVIATION * random.bipolar();
        // Partials that a low sample rate leaves out are included here, so that the others do not become louder.
        power += amplitude * amplitude / 2.0;
        if k * hz <= highest {
            for (frame, sample) in period.iter_mut().enumerate() {
                *sample += amplitude * (TAU * (k * frame as f64 / frames + phase)).sin();
            }
        }
    }
    let gain = force.powf(1.3) / power.sqrt();
    period.iter_mut().for_each(|sample| *sample *= gain);
    period
}
