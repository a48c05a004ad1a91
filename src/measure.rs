//! Figures of a sound and of an effect: spectrum, distortion, aliasing, difference, latency, time.
//!
//! Everything here analyses: it allocates, transforms in f64 and takes as long as it takes. Nothing is for the audio thread.
//!
//! ```
//! use isotherm::{effect::Effect, measure};
//!
//! let effect = Effect::from_id("saturator")?.with("drive", 24.0).with("tone", 20_000.0);
//! let (sound, hz) = measure::tone_response(&effect, 48_000, 1244.0, 1.0)?;
//! assert!(measure::thd(&sound, 48_000.0, hz) > 0.3);
//! assert!(measure::aliasing(&sound, 48_000.0, hz) < -95.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bench;
mod compare;
mod stft;
mod tone;
mod transform;

pub use compare::{ErrorToSignal, esr, latency, null_db};
pub use stft::multi_resolution_stft;
pub use tone::{PRIME_FRAMES, aliasing, coherent_tone, thd, thd_noise, tone_response};
pub use transform::{SEGMENT_FRAMES, SILENCE_DB, spectrum};

/// Why a figure of an effect could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    #[error(transparent)]
    Audio(#[from] crate::audio::AudioError),
    #[error(transparent)]
    Render(#[from] crate::render::RenderError),
}
