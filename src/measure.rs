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
mod align;
pub mod bench;
mod difference;
mod error_spectrum;
mod log_spectral_distance;
mod loudness;
pub mod measures;
mod noise_to_mask;
mod pre_emphasis;
mod sinc;
mod spectrum;
mod stft;
mod third_octave;
mod tone;
mod transform;
mod worst_windows;

pub use align::{AlignError, Alignment, align};
pub use difference::{ErrorToSignal, esr, latency, null_db};
pub use loudness::{Loudness, loudness};
pub use measures::{Comparison, MEASURES, Measure, MeasureFn, Preference, Unit};
pub use noise_to_mask::{MaskBand, NoiseToMask, noise_to_mask};
pub use spectrum::{SEGMENT_FRAMES, SILENCE_DB, spectrum};
pub use stft::multi_resolution_stft;
pub use third_octave::{BandError, third_octaves};
pub use tone::{PRIME_FRAMES, Tone, aliasing, coherent_tone, thd, thd_noise, tone_response};
pub use worst_windows::{WorstWindow, worst_windows};

/// A failure to measure an effect.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// No test sound can be made, as at an unusual sample rate.
    #[error(transparent)]
    Audio(#[from] crate::audio::AudioError),
    /// The effect cannot be prepared or rendered.
    #[error(transparent)]
    Render(#[from] crate::render::RenderError),
}
