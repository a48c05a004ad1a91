//! How far two sounds' spectra over time are from each other.

use realfft::RealFftPlanner;

/// Frames of a transform, between two, and of the Hann window in its middle (Yamamoto et al., ICASSP 2020; the defaults of auraloss).
const RESOLUTIONS: [(usize, usize, usize); 3] = [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)];
/// The least power of a bin.
const LEAST: f32 = 1e-8;

/// Multi-resolution STFT distance: spectral convergence and the mean difference of the magnitudes' natural logarithms, added, at each
/// of three resolutions, and the mean of these. Transforms lie wholly within the sounds. 0 if the sounds are shorter than one.
/// [analysis thread: allocates]
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn multi_resolution_stft(target: &[f32], output: &[f32]) -> f64 {
    assert_eq!(target.len(), output.len(), "lengths");
    RESOLUTIONS.iter().map(|resolution| distance(target, output, *resolution)).sum::<f64>() / RESOLUTIONS.len() as f64
}

fn distance(target: &[f32], output: &[f32], (frames, hop, window): (usize, usize, usize)) -> f64 {
    if target.len() < frames {
        return 0.0;
    }
    let hann = |i: usize| 0.5 - 0.5 * (std::f32::consts::TAU * i as f32 / window as f32).cos();
    let window: Vec<f32> = (0..window).map(hann).collect();
    let before = (frames - window.len()) / 2;
    let plan = RealFftPlanner::<f32>::new().plan_fft_forward(frames);
    let (mut input, mut bins) = (plan.make_input_vec(), plan.make_output_vec());
    let mut magnitudes = |sound: &[f32]| -> Vec<f32> {
        input.fill(0.0);
        let own = input[before..].iter_mut().zip(&sound[before..]).zip(&window);
        own.for_each(|((x, sound), w)| *x = sound * w);
        plan.process(&mut input, &mut bins).expect("both vectors are of the plan's length");
        bins.iter().map(|x| x.norm_sqr().max(LEAST).sqrt()).collect()
    };
    let (mut error, mut energy, mut logarithms, mut count) = (0.0, 0.0, 0.0, 0usize);
    for start in (0..=target.len() - frames).step_by(hop) {
        let (a, b) = (magnitudes(&target[start..start + frames]), magnitudes(&output[start..start + frames]));
        for (a, b) in a.iter().zip(&b) {
            error += f64::from((a - b) * (a - b));
            energy += f64::from(a * a);
            logarithms += f64::from((a / b).ln().abs());
        }
        count += a.len();
    }
    (error / energy).sqrt() + logarithms / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_at_half_its_level_is_as_far_as_the_formula_says_and_from_itself_nothing() {
        let mut random = crate::audio::Random::new(1);
        let sound: Vec<f32> = (0..6000).map(|_| random.within(-0.5, 0.5)).collect();
        let half: Vec<f32> = sound.iter().map(|x| 0.5 * x).collect();
        let found = multi_resolution_stft(&sound, &half);
        assert!((found - 0.5 - 2f64.ln()).abs() < 1e-4, "{found}");
        assert_eq!(multi_resolution_stft(&sound, &sound), 0.0);
        assert_eq!(multi_resolution_stft(&sound[..400], &half[..400]), 0.0);
    }
}
