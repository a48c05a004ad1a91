//! A sound with the level, the spectrum and the rhythm of speech.

use super::filter::Biquad;
use super::{MUSIC_SECONDS, check_music, finish_music};
use crate::audio::{Audio, AudioError, Random};

/// The first three formants in Hz of a few vowels of a man (G. Peterson and H. Barney, "Control Methods Used in a Study of the
/// Vowels", JASA 24, 1952): heed, head, had, hod, who'd, heard.
const VOWELS_HZ: [[f64; 3]; 6] = [
    [270.0, 2290.0, 3010.0],
    [530.0, 1840.0, 2480.0],
    [660.0, 1720.0, 2410.0],
    [730.0, 1090.0, 2440.0],
    [300.0, 870.0, 2240.0],
    [490.0, 1350.0, 1690.0],
];
/// Quality of the formants' resonances, and the gain of each in dB.
const FORMANT_Q: f64 = 6.0;
const FORMANT_GAINS_DB: [f64; 3] = [24.0, 20.0, 16.0];
/// Range of a syllable's length in seconds: about four syllables a second.
const SYLLABLE_SECONDS: (f32, f32) = (0.16, 0.34);
/// Range of a voiced syllable's pitch in Hz, at its beginning.
const PITCH_HZ: (f32, f32) = (95.0, 150.0);
/// Fall of the pitch over a syllable, as a share.
const PITCH_FALL: f64 = 0.15;
/// Share of the syllables that begin with a fricative, and its share of the syllable's length.
const FRICATIVES: f64 = 0.5;
const FRICATIVE_LENGTH: f64 = 0.3;
/// Lower corner of a fricative's noise in Hz, and its level against the voice.
const FRICATIVE_HZ: f64 = 3_500.0;
const FRICATIVE_GAIN: f64 = 0.25;
/// Share of the syllables that are followed by a pause, and the pause's length in seconds.
const PAUSES: f64 = 0.2;
const PAUSE_SECONDS: f64 = 0.25;
/// Corner in Hz of the low-pass that makes pulses of the glottis out of impulses: -12 dB per octave.
const GLOTTIS_HZ: f64 = 150.0;
/// Corner in Hz of the high-pass for the radiation of the lips, which passes no DC.
const LIPS_HZ: f64 = 80.0;
/// Rise and fall of a syllable in seconds.
const FADE_SECONDS: f64 = 0.02;

/// Eight seconds of syllables without a meaning, mono: pulses through the formants of vowels, with fricatives and pauses. Peak -3
/// dB of full scale; `sample_rate` from 8 kHz. Another `seed` gives other syllables.
///
/// # Errors
/// [`AudioError::Parameter`].
pub fn speech(sample_rate: u32, seed: u64) -> Result<Audio<f32>, AudioError> {
    let rate = check_music(sample_rate, 1)?;
    let frames = (MUSIC_SECONDS * rate) as usize;
    let mut random = Random::new(seed);
    let mut out = Vec::with_capacity(frames);
    while out.len() < frames {
        syllable(&mut out, rate, &mut random);
        if random.unit() < PAUSES {
            out.resize(out.len() + (PAUSE_SECONDS * rate) as usize, 0.0);
        }
    }
    out.truncate(frames);
    finish_music(sample_rate, &[out])
}

/// Adds a syllable: perhaps a fricative, then a vowel.
fn syllable(out: &mut Vec<f64>, rate: f64, random: &mut Random) {
    let seconds = f64::from(random.within(SYLLABLE_SECONDS.0, SYLLABLE_SECONDS.1));
    let force = f64::from(random.within(0.4, 1.0));
    let envelope = |n: usize, frames: usize| ((n.min(frames - n) as f64) / (FADE_SECONDS * rate)).min(1.0);
    let mut voiced = seconds;
    if random.unit() < FRICATIVES {
        voiced *= 1.0 - FRICATIVE_LENGTH;
        let frames = (seconds * FRICATIVE_LENGTH * rate) as usize;
        let mut high_pass = Biquad::high_pass(rate, FRICATIVE_HZ, 0.7);
        let noise = (0..frames).map(|n| FRICATIVE_GAIN * force * envelope(n, frames) * high_pass.next(random.bipolar()));
        out.extend(noise);
    }
    let vowel = VOWELS_HZ[random.below(VOWELS_HZ.len())];
    let mut glottis = Biquad::low_pass(rate, GLOTTIS_HZ, 0.7);
    let mut lips = Biquad::high_pass(rate, LIPS_HZ, 0.7);
    let mut formants: Vec<Biquad> =
        vowel.iter().zip(FORMANT_GAINS_DB).map(|(hz, gain)| Biquad::peak(rate, *hz, FORMANT_Q, gain)).collect();
    let pitch = f64::from(random.within(PITCH_HZ.0, PITCH_HZ.1));
    let frames = (voiced * rate) as usize;
    let mut phase = 0.0;
    out.extend((0..frames).map(|n| {
        phase += pitch * (1.0 - PITCH_FALL * n as f64 / frames as f64) / rate;
        // The impulse's height makes its energy in a second the same at every sample rate.
        let impulse = if phase >= 1.0 { rate / pitch } else { 0.0 };
        phase = phase.fract();
        let pulse = lips.next(glottis.next(impulse));
        force * envelope(n, frames) * formants.iter_mut().fold(pulse, |x, formant| formant.next(x))
    }));
}
