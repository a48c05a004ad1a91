//! Measurements of sounds and effects: spectrum, distortion, aliasing, difference, latency, time.
//!
//! [`MEASURES`] lists every figure (measured number) that is reported, with its name, unit, definition and the input that it
//! needs.
//!
//! Everything here allocates and takes its time, so nothing is for the audio thread.
//!
//! ```
//! use isotherm::{effect::Effect, measure};
//!
//! let effect = Effect::from_id("saturator")?.with("drive", 24.0).with("tone", 20_000.0);
//! let tone = measure::tone_response(&effect, 48_000, 1244.0, 1.0)?;
//! assert!(measure::thd(&tone) > 0.3);
//! assert!(measure::aliasing(&tone) < -95.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod a_weighting;
mod aliasing_curve;
mod align;
pub mod analyser;
pub mod bench;
mod characteristics;
pub mod costs;
mod difference;
mod error_spectrum;
mod harmonics;
mod idle;
mod intermodulation;
mod log_spectral_distance;
mod loudness;
pub mod measures;
mod model_aliasing;
mod noise_to_mask;
mod pre_emphasis;
mod response;
pub(crate) mod sinc;
mod spectrum;
mod stft;
#[cfg(test)]
mod test_effects;
mod third_octave;
mod tone;
mod transfer;
mod transform;
mod worst_windows;

pub use aliasing_curve::{AliasingCurve, aliasing_curve};
#[cfg(feature = "compare")]
pub(crate) use align::is_long;
pub use align::{AlignError, Alignment, NearLag, Passage, align, align_levels, align_synchronous, find_passage, nearest_lag};
pub use characteristics::{Characteristics, WORKING_LEVEL_DBFS, characterise};
pub use difference::{ErrorToSignal, esr, latency, null_db};
pub use harmonics::{HarmonicSweep, HarmonicsOverLevel, ORDERS, harmonic_sweep, harmonics_over_level};
pub use idle::{Idle, idle};
pub use intermodulation::{Intermodulation, intermodulation};
#[cfg(feature = "listen")]
pub(crate) use loudness::LoudnessMeter;
pub use loudness::{Loudness, integrated_loudness, loudness, ungated_loudness};
pub use measures::{Comparison, MEASURES, Measure, MeasureFn, Preference, Unit};
pub use model_aliasing::{MODEL_TONES_HZ, ModelAliasing, OVERSAMPLING_FACTORS, ToneAliasing};
pub use noise_to_mask::{MaskBand, NoiseToMask, noise_to_mask};
pub use response::{LatencyCheck, LinearResponse, latency_check, linear_response};
pub use spectrum::{SEGMENT_FRAMES, SILENCE_DB, spectrum};
pub use stft::multi_resolution_stft;
pub use third_octave::{BandError, audible_bands, octaves, third_octaves};
pub use tone::{PRIME_FRAMES, Tone, ToneFigures, aliasing, coherent_tone, highest_tone_hz, thd, thd_noise, tone_response};
pub use transfer::{TransferCurve, TransferPoint, transfer_curve};
pub use worst_windows::{WINDOW_SECONDS, WorstWindow, worst_windows};

/// The lowest and the highest sample rate at which an effect is measured, in hertz.
pub const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 8_000..=768_000;

/// A failure to measure an effect.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// No test sound can be made, as at an unusual sample rate.
    #[error(transparent)]
    Audio(#[from] crate::audio::AudioError),
    /// The effect cannot be prepared or rendered.
    #[error(transparent)]
    Render(#[from] crate::render::RenderError),
    /// A sample rate at which the test sounds have no room.
    #[error("sample rate is {found} Hz; expected {} to {}", SAMPLE_RATES.start(), SAMPLE_RATES.end())]
    SampleRate {
        /// The sample rate in hertz.
        found: u32,
    },
    /// A sine that is too high for the sample rate.
    #[error("a sine of {found_hz} Hz; expected more than 0 and at most {highest_hz} Hz at this sample rate")]
    Frequency {
        /// The frequency asked for, in hertz.
        found_hz: f64,
        /// The highest possible one, in hertz.
        highest_hz: f64,
    },
}

/// Checks that effects can be measured at a sample rate in hertz.
fn check_rate(found: u32) -> Result<(), MeasureError> {
    if SAMPLE_RATES.contains(&found) { Ok(()) } else { Err(MeasureError::SampleRate { found }) }
}
