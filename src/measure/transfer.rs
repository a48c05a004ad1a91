//! The transfer curve of an effect: output against input, while the input rises and while it falls.

use std::f64::consts::TAU;

use serde::Serialize;

use super::measures::{Measure, MeasureFn, Preference, Unit};
use super::{MeasureError, check_rate};
use crate::audio::Audio;
use crate::effect::Effect;
use crate::render::render;

/// Frequency of the sine in hertz, about: low enough that an effect's filters hardly follow, and above its DC blocker.
const TONE_HZ: f64 = 100.0;
/// Seconds for which the sine plays before a period counts.
const SETTLE_SECONDS: f64 = 0.5;
/// Periods of which the mean is told, so that noise is a third of what it is.
const PERIODS: usize = 10;

/// A point of a transfer curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TransferPoint {
    /// Sample of the input, -1 to 1.
    pub input: f64,
    /// Sample of the output at the same time, less the reported latency.
    pub output: f64,
}

/// The transfer curve for a sine of 100 Hz at full scale. Both halves have the same inputs, in ascending order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TransferCurve {
    /// The exact frequency of the sine in hertz.
    pub hz: f64,
    /// Points while the input rises.
    pub up: Vec<TransferPoint>,
    /// Points while the input falls.
    pub down: Vec<TransferPoint>,
    /// Hysteresis: the largest distance of the outputs of both halves at one input, in percent of the output's range. It
    /// comes from memory, filters and latency that is not reported; 0 if the output is constant.
    pub hysteresis_percent: f64,
}

/// Hysteresis of the transfer curve.
pub static ROW: Measure = Measure {
    id: "hysteresis",
    name: "Hysteresis",
    heading: "Hysteresis %",
    unit: Unit::Percent,
    definition: "A sine of 100 Hz at full scale: the largest distance of the outputs at one input while it rises and while it \
                 falls, in percent of the output's range.",
    better: Preference::Neither,
    function: MeasureFn::Effect(|figures| figures.transfer.hysteresis_percent),
};

/// Measures the transfer curve. [control thread: allocates]
///
/// # Errors
/// If the effect cannot be prepared for this sample rate.
pub fn transfer_curve(effect: &Effect, sample_rate: u32) -> Result<TransferCurve, MeasureError> {
    check_rate(sample_rate)?;
    let rate = f64::from(sample_rate);
    // A period is an even number of frames, so both halves have the same inputs.
    let half = (rate / TONE_HZ / 2.0).round() as usize;
    let frames = 2 * half;
    // Symmetric: the cosine of the nearer end, so that equal inputs are equal bits.
    let input = |frame: usize| -(TAU * frame.min(frames - frame) as f64 / frames as f64).cos();
    let period: Vec<f32> = (0..frames).map(|frame| input(frame) as f32).collect();
    let settle = (SETTLE_SECONDS * rate / frames as f64).ceil() as usize;
    let latency = crate::render::Renderer::for_sound(effect, &Audio::silence(sample_rate, 1, 0))?.latency();
    // Before the end the effect already sees the silence that follows.
    let after = latency.div_ceil(frames) + 1;
    let wet = render(effect, &Audio::from_mono(sample_rate, &period.repeat(settle + PERIODS + after))?)?;
    let steady = &wet.channel(0)[settle * frames..(settle + PERIODS) * frames];
    let mut mean = vec![0.0; frames];
    for (i, y) in steady.iter().enumerate() {
        mean[i % frames] += f64::from(*y) / PERIODS as f64;
    }
    let point = |frame: usize| TransferPoint { input: f64::from(period[frame % frames]), output: mean[frame % frames] };
    let up: Vec<TransferPoint> = (0..=half).map(point).collect();
    let down: Vec<TransferPoint> = (0..=half).map(|frame| point(frames - frame)).collect();
    let (low, high) = mean.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(*y), high.max(*y)));
    let widest = up.iter().zip(&down).map(|(up, down)| (up.output - down.output).abs()).fold(0.0, f64::max);
    let hysteresis_percent = if high > low { 100.0 * widest / (high - low) } else { 0.0 };
    Ok(TransferCurve { hz: rate / frames as f64, up, down, hysteresis_percent })
}

#[cfg(test)]
mod tests {
    use super::super::test_effects::{RATE, delay, effect, shaper};
    use super::*;

    #[test]
    fn a_curve_without_memory_is_its_function_and_has_no_hysteresis() {
        let found = transfer_curve(&shaper(|x| 0.1 + (4.0 * x).tanh()), RATE).unwrap();
        assert_eq!((found.hz, found.up.len()), (100.0, 241));
        assert_eq!((found.up[0].input, found.up[240].input), (-1.0, 1.0));
        assert!(found.up.is_sorted_by(|a, b| a.input < b.input));
        for point in found.up.iter().chain(&found.down) {
            assert!((point.output - 0.1 - (4.0 * point.input).tanh()).abs() < 1e-6, "{point:?}");
        }
        assert_eq!(found.hysteresis_percent, 0.0);
        assert_eq!(transfer_curve(&effect(30, || delay(30)), RATE).unwrap().hysteresis_percent, 0.0);
        assert_eq!(transfer_curve(&shaper(|_| 0.3), RATE).unwrap().hysteresis_percent, 0.0);
    }

    #[test]
    fn play_of_a_known_width_is_found_as_hysteresis() {
        const PLAY: f64 = 0.2;
        let play = || {
            let mut last = 0.0f64;
            move |x: f64| {
                last = last.clamp(x - PLAY, x + PLAY);
                last
            }
        };
        let found = transfer_curve(&effect(0, play), RATE).unwrap();
        // The outputs are x - PLAY and x + PLAY in the middle, from -(1 - PLAY) to 1 - PLAY.
        let expected = 100.0 * 2.0 * PLAY / (2.0 * (1.0 - PLAY));
        assert!((found.hysteresis_percent - expected).abs() < 1e-4, "{}", found.hysteresis_percent);
        assert!((found.up[120].output + PLAY).abs() < 1e-6 && (found.down[120].output - PLAY).abs() < 1e-6);
    }
}
