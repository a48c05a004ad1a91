//! Tests of the generators: frequency, level, spectrum, and the same samples every time.

use isotherm::audio::{Audio, AudioError, generate};
use std::f64::consts::{PI, TAU};

const RATE: u32 = 48_000;

fn assert_close(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} and {b} differ by more than {tolerance}");
}

/// Amplitude of the frequency `hz` in `samples`, which should have whole periods of it.
fn amplitude_at(samples: &[f32], rate: u32, hz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let (sin, cos) = (TAU * (hz * n as f64 / f64::from(rate)).fract()).sin_cos();
        re += f64::from(*sample) * cos;
        im += f64::from(*sample) * sin;
    }
    2.0 * re.hypot(im) / samples.len() as f64
}

/// Rising zero crossings per second, from the first to the last.
fn crossings_hz(samples: &[f32], rate: u32) -> f64 {
    let positions: Vec<f64> = samples
        .windows(2)
        .enumerate()
        .filter(|(_, w)| w[0] < 0.0 && w[1] >= 0.0)
        .map(|(n, w)| n as f64 + f64::from(w[0]) / f64::from(w[0] - w[1]))
        .collect();
    (positions.len() - 1) as f64 * f64::from(rate) / (positions.last().unwrap() - positions[0])
}

/// Power between two frequencies in a second of sound, from the DFT at every `step_hz`.
fn band_power(samples: &[f32], rate: u32, low_hz: usize, high_hz: usize, step_hz: usize) -> f64 {
    let bins: Vec<f64> = (low_hz..high_hz).step_by(step_hz).map(|hz| amplitude_at(samples, rate, hz as f64).powi(2)).collect();
    bins.iter().sum::<f64>() / bins.len() as f64 * (high_hz - low_hz) as f64
}

/// Decibels of a ratio of powers.
fn power_db(ratio: f64) -> f64 {
    10.0 * ratio.log10()
}

#[test]
fn a_sine_has_its_frequency_and_level_and_no_distortion() {
    for (rate, hz) in [(RATE, 1_000.0), (44_100, 440.0), (8_000, 1_999.0), (192_000, 20_000.5)] {
        let sine = generate::sine(rate, hz, 0.5, 2 * rate as usize).unwrap();
        assert_eq!((sine.sample_rate(), sine.channels(), sine.frames()), (rate, 1, 2 * rate as usize));
        assert_close(crossings_hz(sine.channel(0), rate), hz, 1e-3);
        assert_close(amplitude_at(sine.channel(0), rate, hz), 0.5, 1e-7);
        assert_close(sine.rms(), 0.5 / 2.0_f64.sqrt(), 1e-6);
        assert_close(sine.dc(), 0.0, 1e-7);
        for (n, sample) in sine.channel(0).iter().enumerate() {
            let turns = (hz * n as f64 / f64::from(rate)).fract();
            assert_close(f64::from(*sample), 0.5 * (TAU * turns).sin(), 1e-7);
        }
    }
}

#[test]
fn waves_have_the_harmonics_of_their_fourier_series_and_no_other() {
    type Generate = fn(u32, f64, f64, usize) -> Result<Audio<f32>, AudioError>;
    type Weight = fn(f64) -> f64;
    let odd = |k: usize, weight: f64| if k % 2 == 1 { weight } else { 0.0 };
    let cases: [(Generate, Weight, bool); 3] = [
        (generate::square, |k| 4.0 / (PI * k), true),
        (generate::saw, |k| 2.0 / (PI * k), false),
        (generate::triangle, |k| 8.0 / (PI * k).powi(2), true),
    ];
    for (make, weight, only_odd) in cases {
        let hz = 997.0;
        let wave = make(RATE, hz, 0.5, RATE as usize).unwrap();
        let mut power = 0.0;
        for k in 1..=24 {
            let ideal = 0.5 * weight(k as f64);
            let expected = if only_odd { odd(k, ideal) } else { ideal };
            assert_close(amplitude_at(wave.channel(0), RATE, k as f64 * hz), expected, 1e-6);
            power += expected * expected / 2.0;
        }
        // All power is in the harmonics: there is no aliasing.
        assert_close(wave.rms().powi(2), power, 1e-7);
        assert_close(crossings_hz(wave.channel(0), RATE), hz, 1.0);
        assert!(wave.channel(0)[1] > 0.0, "begins rising");
    }
    assert!(generate::triangle(RATE, 100.0, 0.5, 4_800).unwrap().peak() <= 0.5);
    let peak = generate::square(RATE, 100.0, 0.5, 4_800).unwrap().peak();
    assert!((0.5..0.59).contains(&peak), "{peak}");
}

#[test]
fn noise_is_the_same_for_the_same_seed_only() {
    type Generate = fn(u32, f64, usize, u64) -> Result<Audio<f32>, AudioError>;
    let makes: [Generate; 2] = [generate::white, generate::pink];
    for make in makes {
        let noise = make(RATE, 0.25, 4_800, 7).unwrap();
        assert_eq!(noise, make(RATE, 0.25, 4_800, 7).unwrap());
        assert_eq!(noise.slice(..100).unwrap(), make(RATE, 0.25, 100, 7).unwrap(), "the length changes no sample");
        assert_ne!(noise, make(RATE, 0.25, 4_800, 8).unwrap());
    }
    // SplitMix64's first number for seed 0 is 0xE220A8397B1DCDAF.
    let first = (0xE220_A839_7B1D_CDAF_u64 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
    assert_eq!(generate::white(RATE, 1.0, 1, 0).unwrap().channel(0)[0], first as f32);
}

#[test]
fn white_noise_is_uncorrelated_and_stays_within_its_amplitude() {
    let noise = generate::white(RATE, 0.5, 10 * RATE as usize, 3).unwrap();
    assert!(noise.peak() <= 0.5 && noise.peak() > 0.499);
    assert_close(noise.rms(), 0.5 / 3.0_f64.sqrt(), 1e-3);
    assert_close(noise.dc(), 0.0, 2e-3);
    let samples = noise.channel(0);
    // Autocorrelation.
    for lag in [1, 2, 3, 10, 100] {
        let sum: f64 = samples.iter().zip(&samples[lag..]).map(|(a, b)| f64::from(a * b)).sum();
        assert_close(sum / samples.len() as f64 / noise.rms().powi(2), 0.0, 0.01);
    }
}

#[test]
fn pink_noise_falls_by_3_db_per_octave_and_has_its_rms() {
    let rate = 44_100;
    let noise = generate::pink(rate, 0.1, 12 * rate as usize, 5).unwrap();
    assert_close(power_db((noise.rms() / 0.1).powi(2)), 0.0, 0.3);
    let seconds: Vec<&[f32]> = noise.channel(0).chunks(rate as usize).collect();
    // Power per octave is the same in every octave. The estimate from 12 x 60 bins deviates by 4 %, or 0.16 dB.
    let octaves: Vec<f64> = (0..9)
        .map(|n| 39 << n)
        .map(|low| power_db(seconds.iter().map(|s| band_power(s, rate, low, 2 * low, (low / 60).max(1))).sum::<f64>() / 12.0))
        .collect();
    let mean = octaves.iter().sum::<f64>() / 9.0;
    octaves.iter().for_each(|level| assert_close(*level, mean, 0.8));
    // The slope of the regression line; 60 is the sum of the squared distances from octave 4.
    let slope = octaves.iter().zip(-4..).map(|(level, n)| f64::from(n) * level).sum::<f64>() / 60.0;
    assert_close(slope, 0.0, 0.1);
    let high = generate::pink(192_000, 0.1, 4 * 192_000, 5).unwrap();
    assert_close(power_db((high.rms() / 0.1).powi(2)), 0.0, 0.5);
}

#[test]
fn a_sweep_goes_from_one_frequency_to_the_other() {
    let (from, to) = (20.0, 20_000.0);
    let frames = 5 * RATE as usize;
    let sweep = generate::sweep(RATE, from, to, 0.8, frames).unwrap();
    assert_eq!(sweep.channel(0)[0], 0.0);
    assert!(sweep.peak() < 0.800_001 && sweep.peak() > 0.799);
    let frequency_at =
        |center: usize, length: usize| crossings_hz(&sweep.channel(0)[center - length / 2..center + length / 2], RATE);
    // Equal frequency ratios in equal times.
    for part in [0.3, 0.5, 0.7, 0.9] {
        let expected = from * (to / from).powf(part);
        let length = (20.0 * f64::from(RATE) / expected) as usize;
        assert_close(frequency_at((part * frames as f64) as usize, length) / expected, 1.0, 0.02);
    }
    assert_close(frequency_at(frames - 200, 400), to * (to / from).powf(-200.0 / frames as f64), 20.0);
    // A downward sweep ends low; a sweep between equal frequencies is a sine.
    let down = generate::sweep(RATE, to, 100.0, 0.8, frames).unwrap();
    assert_close(crossings_hz(&down.channel(0)[frames - 4_800..], RATE), 100.0, 6.0);
    let level = generate::sweep(RATE, 100.0, 100.0, 0.8, 480).unwrap();
    let sine = generate::sine(RATE, 100.0, 0.8, 480).unwrap();
    assert!(level.subtract(&sine).unwrap().peak() < 1e-6);
}

#[test]
fn an_impulse_is_one_sample_and_silence_is_zeros() {
    let impulse = generate::impulse(RATE, -0.5, 3, 8).unwrap();
    assert_eq!(impulse.channel(0), [0.0, 0.0, 0.0, -0.5, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(generate::silence(RATE, 2, 4).unwrap(), Audio::silence(RATE, 2, 4));
}

#[test]
fn parameters_outside_their_range_are_named_with_the_range() {
    let message = |result: Result<Audio<f32>, AudioError>| result.unwrap_err().to_string();
    let frequency = "frequency_hz: expected above 0 and below 24000 Hz, found";
    assert_eq!(message(generate::sine(RATE, 30_000.0, 1.0, 8)), format!("{frequency} 30000 Hz"));
    assert_eq!(message(generate::saw(RATE, f64::NAN, 1.0, 8)), format!("{frequency} NaN Hz"));
    assert_eq!(message(generate::square(RATE, 0.0, 1.0, 8)), format!("{frequency} 0 Hz"));
    assert_eq!(message(generate::white(RATE, -1.0, 8, 0)), "amplitude: expected 0 to 1000000, found -1");
    assert_eq!(message(generate::pink(RATE, f64::INFINITY, 8, 0)), "rms: expected 0 to 1000000, found inf");
    assert_eq!(
        message(generate::sweep(RATE, 20.0, 24_001.0, 1.0, 8)),
        "to_hz: expected above 0 and at most 24000 Hz, found 24001 Hz"
    );
    assert_eq!(message(generate::impulse(RATE, 1.0, 8, 8)), "expected frames within 0..8, found 8..9");
    assert_eq!(message(generate::silence(0, 1, 8)), "expected a sample rate of 1 Hz or more, found 0 Hz");
    assert_eq!(message(generate::silence(RATE, 0, 8)), "expected 1 channel or more, found 0");
    assert_eq!(message(generate::guitar(RATE, 3, 0)), "channels: expected 1 to 2, found 3");
    assert_eq!(message(generate::drums(4_000, 1, 0)), "sample_rate: expected 8000 to 1536000, found 4000");
    assert_eq!(message(generate::sine(0, 1.0, 1.0, 8)), "expected a sample rate of 1 Hz or more, found 0 Hz");
    assert_eq!(generate::triangle(RATE, 1.0, 1.0, 0).unwrap().frames(), 0);
}

/// RMS of the mix of all channels between two times.
fn rms_between(audio: &Audio<f32>, from_seconds: f64, to_seconds: f64) -> f64 {
    let frame = |seconds: f64| (seconds * f64::from(audio.sample_rate())) as usize;
    audio.mix_down().slice(frame(from_seconds)..frame(to_seconds)).unwrap().rms()
}

#[test]
fn music_lasts_eight_seconds_peaks_at_minus_3_db_and_ends_in_silence() {
    type Generate = fn(u32, usize, u64) -> Result<Audio<f32>, AudioError>;
    let makes: [Generate; 2] = [generate::guitar, generate::drums];
    for make in makes {
        for (rate, channels) in [(8_000, 2), (44_100, 1), (RATE, 2), (192_000, 1)] {
            let sound = make(rate, channels, 1).unwrap();
            assert_eq!((sound.sample_rate(), sound.channels()), (rate, channels));
            assert_close(sound.seconds(), 8.0, 1e-9);
            assert_close(sound.levels().peak_db(), -3.0, 0.01);
            assert!(sound.dc().abs() < 2e-3, "{}", sound.dc());
            assert!((-26.0..-14.0).contains(&sound.levels().rms_db()), "{}", sound.levels().rms_db());
            sound.check_finite().unwrap();
            assert!(rms_between(&sound, 7.99, 8.0) < 1e-3);
            assert_eq!(sound, make(rate, channels, 1).unwrap());
            if channels == 2 {
                assert_ne!(sound.channel(0), sound.channel(1), "the two channels differ");
            }
        }
        assert_ne!(make(RATE, 1, 1).unwrap(), make(RATE, 1, 2).unwrap());
    }
}

#[test]
fn speech_has_pauses_and_most_of_its_energy_below_1_khz_at_every_sample_rate() {
    for rate in [8_000, 44_100, 96_000] {
        let speech = generate::speech(rate, 1).unwrap();
        assert_eq!((speech.sample_rate(), speech.channels()), (rate, 1));
        assert_close(speech.seconds(), 8.0, 1e-9);
        assert_close(speech.levels().peak_db(), -3.0, 0.01);
        assert!(speech.dc().abs() < 2e-3, "{}", speech.dc());
        let levels: Vec<f64> = (0..160).map(|n| rms_between(&speech, f64::from(n) * 0.05, f64::from(n + 1) * 0.05)).collect();
        let loudest = levels.iter().copied().fold(0.0, f64::max);
        let quiet = levels.iter().filter(|level| **level < 0.003 * loudest).count();
        assert!((5..60).contains(&quiet), "{quiet} of 160 parts are pauses at {rate} Hz");
        // The mean square of the slope, against that of a sine of 1 kHz at the same level.
        let slope: f64 = speech.channel(0).windows(2).map(|w| (f64::from(w[1] - w[0]) * f64::from(rate)).powi(2)).sum();
        let sine = (TAU * 1_000.0).powi(2) * speech.channel(0).iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        assert!(slope < sine, "{} at {rate} Hz", slope / sine);
        assert_eq!(speech, generate::speech(rate, 1).unwrap());
        assert_ne!(speech, generate::speech(rate, 2).unwrap());
    }
}

#[test]
fn the_guitar_is_in_tune_at_every_sample_rate() {
    for rate in [8_000, 44_100, 96_000] {
        let guitar = generate::guitar(rate, 1, 1).unwrap();
        // E4 is plucked over a held A2 at beat 2, 1.2 s; the strongest frequency near it is that of the note.
        let from = (1.25 * f64::from(rate)) as usize;
        let mut window = guitar.slice(from..from + rate as usize / 2).unwrap();
        window.window(isotherm::audio::Window::Hann);
        let note = 440.0 * (-5.0_f64 / 12.0).exp2();
        let cents = (-60..=60_i32).max_by_key(|&cents| {
            let hz = note * (f64::from(cents) / 1_200.0).exp2();
            (1e9 * amplitude_at(window.channel(0), rate, hz)) as u64
        });
        assert!(cents.unwrap().abs() <= 2, "{cents:?} cents at {rate} Hz");
    }
}

#[test]
fn the_guitar_has_the_same_level_over_time_at_every_sample_rate() {
    let (a, b) = (generate::guitar(RATE, 1, 1).unwrap(), generate::guitar(96_000, 1, 1).unwrap());
    for n in 0..15 {
        let (from, to) = (f64::from(n) * 0.5, f64::from(n + 1) * 0.5);
        let difference = power_db((rms_between(&a, from, to) / rms_between(&b, from, to)).powi(2));
        assert_close(difference, 0.0, 0.7);
    }
}

#[test]
fn snares_are_on_their_beats() {
    let drums = generate::drums(RATE, 1, 1).unwrap();
    // After each snare stroke, on beats 1, 3, 5 ..., there is more high-frequency energy than just before it.
    let high_energy = |from: f64| {
        let frame = (from * f64::from(RATE)) as usize;
        let samples = &drums.channel(0)[frame..frame + 2_400];
        samples.windows(2).map(|w| f64::from(w[1] - w[0]).powi(2)).sum::<f64>()
    };
    for beat in [1.0, 3.0, 5.0, 7.0, 9.0, 11.0] {
        let seconds = beat * 0.6;
        assert!(high_energy(seconds) > 30.0 * high_energy(seconds - 0.06), "beat {beat}");
    }
}
