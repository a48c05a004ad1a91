//! Typed multichannel audio with its sample rate.
//!
//! [`Audio`] holds planar samples of `i16`, [`I24`], `i32`, `f32` or `f64`, channels x frames, together with
//! their sample rate; the two cannot be taken apart. Every sample stands for a value on one scale, where 1 is full
//! scale, whatever its type: [`Sample`] gives the rule. Around it: element-wise arithmetic ([`Operand`]), edits
//! ([`Fade`], [`Window`]), levels ([`Levels`]), and WAV files ([`wav`]).

mod arithmetic;
mod buffer;
mod edit;
mod error;
mod levels;
mod sample;
pub mod wav;

pub use arithmetic::Operand;
pub use buffer::Audio;
pub use edit::{Fade, Window};
pub use error::{AudioError, Divisor, Shape, WavError};
pub use levels::{Levels, db_to_gain, gain_to_db};
pub use sample::{I24, Sample};
pub use wav::{Format, NonFinite};
