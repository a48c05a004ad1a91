//! Typed multichannel audio with its sample rate.
//!
//! [`Audio`] holds planar samples of `i16`, [`I24`], `i32`, `f32` or `f64`, channels x frames, together with
//! their sample rate. Samples of every type are read on one scale, where 1 is full scale; [`Sample`] has the conversion rule.
//! The module also has element-wise arithmetic ([`Operand`]), edits ([`Fade`], [`Window`]), levels ([`Levels`]), other rates
//! ([`Resampler`]), random numbers ([`Random`]), test signals and music ([`generate`]) and WAV files ([`wav`]).
//!
//! ```
//! use isotherm::audio::{Audio, Fade, generate};
//!
//! let tone = generate::sine(48_000, 1_000.0, 0.5, 480)?;
//! let ramp: Vec<f32> = (0..480).map(|n| n as f32 / 480.0).collect();
//! let mut faded = tone.multiply(&ramp)?;      // a new buffer
//! faded.add_in_place(0.001)?;                 // the same buffer, nothing allocated
//! assert!(faded.peak() < 0.502);
//! let other = Audio::<f32>::silence(44_100, 1, 480);
//! assert_eq!(faded.add(&other).unwrap_err().to_string(), "other rate: 48000 Hz and 44100 Hz");
//!
//! faded.fade_in(48, Fade::Linear)?;
//! faded.gain_db(-6.0);
//! let both = Audio::concatenate(&[&faded, &tone.divide(2.0)?])?;
//! assert!(both.dc().abs() < 0.01 && both.levels().crest_db().is_some_and(|db| db > 3.0));
//! let stereo = both.repeat_channels(2)?;
//! assert_eq!(stereo.to_array().dim(), (2, 960));
//! assert_eq!(stereo.extract(1)?, both);
//! let back = Audio::from_interleaved(48_000, 2, &stereo.to_interleaved())?;
//! assert_eq!(back, stereo);
//! # Ok::<(), isotherm::audio::AudioError>(())
//! ```

mod arithmetic;
mod buffer;
mod edit;
mod error;
pub mod generate;
mod levels;
mod random;
mod resample;
mod sample;
pub mod wav;

pub use arithmetic::Operand;
pub use buffer::Audio;
pub use edit::{Fade, Window};
pub use error::{AudioError, Shape, WavError, ZeroPosition};
pub use levels::{Levels, db_to_gain, gain_to_db};
pub use random::Random;
#[cfg(feature = "measure")]
pub(crate) use resample::kaiser;
pub use resample::{Resampler, Resampling};
pub use sample::{I24, Sample};
pub use wav::{NonFinitePolicy, WavFormat};
