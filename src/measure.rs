//! Figures of a sound and of an effect: spectrum, distortion, aliasing, difference, latency, time.
//!
//! [`MEASURES`] lists every figure that is reported: what it is called, in which unit, what it means and what it needs.
//!
//! Everything here analyses: it allocates, transforms in f64 and takes as long as it takes. Nothing is for the audio thread.
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

pub mod bench;
mod compare;
pub mod measures;
mod stft;
mod tone;
mod transform;

pub use compare::{ErrorToSignal, esr, latency, null_db};
pub use measures::{Better, MEASURES, Measure, Pair, Run, Unit};
pub use stft::multi_resolution_stft;
pub use tone::{PRIME_FRAMES, Tone, aliasing, coherent_tone, thd, thd_noise, tone_response};
pub use transform::{SEGMENT_FRAMES, SILENCE_DB, spectrum};

/// Why a figure of an effect could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    #[error(transparent)]
    Audio(#[from] crate::audio::AudioError),
    #[error(transparent)]
    Render(#[from] crate::render::RenderError),
}
