//! The distance of two sounds' spectra over time (STFT: short-time Fourier transform).

use realfft::RealFftPlanner;

/// Frames of a transform, from one transform to the next, and of the Hann window in its middle (Yamamoto et al., ICASSP 2020; the
/// defaults of auraloss).
const RESOLUTIONS: [(usize, usize, usize); 3] = [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)];
/// Smallest power of a bin, so that the logarithm is finite.
const MIN_POWER: f32 = 1e-8;

/// Multi-resolution STFT distance, 0 for equal sounds: at each of three resolutions the spectral convergence plus the mean
/// difference of the magnitudes' natural logarithms, and the mean of the three. Only transforms that lie wholly within the sounds
/// count; a resolution whose transform is longer than the sounds gives 0. [control thread: allocates]
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn multi_resolution_stft(reference: &[f32], test: &[f32]) -> f64 {
    assert_eq!(reference.len(), test.len(), "lengths");
    RESOLUTIONS.iter().map(|resolution| distance(reference, test, *resolution)).sum::<f64>() / RESOLUTIONS.len() as f64
}

/// The distance at one resolution.
fn distance(reference: &[f32], test: &[f32], (frames, hop, window): (usize, usize, usize)) -> f64 {
    if reference.len() < frames {
        return 0.0;
    }
    let hann = |i: usize| 0.5 - 0.5 * (std::f32::consts::TAU * i as f32 / window as f32).cos();
    let window: Vec<f32> = (0..window).map(hann).collect();
    let before = (frames - window.len()) / 2;
    let plan = RealFftPlanner::<f32>::new().plan_fft_forward(frames);
    let (mut input, mut bins) = (plan.make_input_vec(), plan.make_output_vec());
    let mut magnitudes = |sound: &[f32]| -> Vec<f32> {
        input.fill(0.0);
        let windowed = input[before..].iter_mut().zip(&sound[before..]).zip(&window);
        windowed.for_each(|((x, sound), w)| *x = sound * w);
        plan.process(&mut input, &mut bins).expect("both vectors are of the plan's length");
        bins.iter().map(|x| x.norm_sqr().max(MIN_POWER).sqrt()).collect()
    };
    let (mut error, mut energy, mut logarithms, mut count) = (0.0, 0.0, 0.0, 0usize);
    for start in (0..=reference.len() - frames).step_by(hop) {
        let (a, b) = (magnitudes(&reference[start..start + frames]), magnitudes(&test[start..start + frames]));
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
    fn distances_of_a_sound_from_half_its_level_and_from_itself_are_as_the_formula_says() {
        let mut random = crate::audio::Random::new(1);
        let sound: Vec<f32> = (0..6000).map(|_| random.within(-0.5, 0.5)).collect();
        let half: Vec<f32> = sound.iter().map(|x| 0.5 * x).collect();
        let found = multi_resolution_stft(&sound, &half);
        assert!((found - 0.5 - 2f64.ln()).abs() < 1e-4, "{found}");
        assert_eq!(multi_resolution_stft(&sound, &sound), 0.0);
        assert_eq!(multi_resolution_stft(&sound[..400], &half[..400]), 0.0);
    }
}
