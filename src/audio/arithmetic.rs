//! Element-wise arithmetic on buffers: methods that return a new buffer, methods that work in place, and operators.

use super::buffer::Audio;
use super::error::{AudioError, Shape, ZeroPosition};
use super::sample::Sample;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Sub, SubAssign};

/// The right-hand side of an operation with a buffer of channels x frames.
///
/// `From` makes it from `f64`, `f32`, slices, vectors, [`ndarray`] arrays of one and two dimensions, and another [`Audio`].
#[derive(Clone)]
pub enum Operand<'a, S> {
    /// One value for every sample, where 1 is full scale.
    Scalar(f64),
    /// One sample per frame, the same for every channel.
    EveryChannel(ArrayView1<'a, S>),
    /// One sample per channel and frame, channels x frames.
    PerChannel(ArrayView2<'a, S>),
    /// Another buffer with the same channels, frames and sample rate.
    Audio(&'a Audio<S>),
}

impl<S> From<f64> for Operand<'_, S> {
    fn from(scalar: f64) -> Self {
        Self::Scalar(scalar)
    }
}

impl<S> From<f32> for Operand<'_, S> {
    fn from(scalar: f32) -> Self {
        Self::Scalar(scalar.into())
    }
}

impl<'a, S> From<&'a [S]> for Operand<'a, S> {
    fn from(samples: &'a [S]) -> Self {
        Self::EveryChannel(samples.into())
    }
}

impl<'a, S, const N: usize> From<&'a [S; N]> for Operand<'a, S> {
    fn from(samples: &'a [S; N]) -> Self {
        samples.as_slice().into()
    }
}

impl<'a, S> From<&'a Vec<S>> for Operand<'a, S> {
    fn from(samples: &'a Vec<S>) -> Self {
        samples.as_slice().into()
    }
}

impl<'a, S> From<ArrayView1<'a, S>> for Operand<'a, S> {
    fn from(array: ArrayView1<'a, S>) -> Self {
        Self::EveryChannel(array)
    }
}

impl<'a, S> From<&'a Array1<S>> for Operand<'a, S> {
    fn from(array: &'a Array1<S>) -> Self {
        Self::EveryChannel(array.view())
    }
}

impl<'a, S> From<ArrayView2<'a, S>> for Operand<'a, S> {
    fn from(array: ArrayView2<'a, S>) -> Self {
        Self::PerChannel(array)
    }
}

impl<'a, S> From<&'a Array2<S>> for Operand<'a, S> {
    fn from(array: &'a Array2<S>) -> Self {
        Self::PerChannel(array.view())
    }
}

impl<'a, S> From<&'a Audio<S>> for Operand<'a, S> {
    fn from(audio: &'a Audio<S>) -> Self {
        Self::Audio(audio)
    }
}

impl<S: Sample> Operand<'_, S> {
    /// Checks that shape and sample rate match `audio`.
    fn check(&self, audio: &Audio<S>) -> Result<(), AudioError> {
        let expected = audio.shape();
        let found = match self {
            Self::Scalar(_) => return Ok(()),
            Self::EveryChannel(array) if array.len() == expected.frames => return Ok(()),
            Self::EveryChannel(array) => Shape { channels: 1, frames: array.len() },
            Self::PerChannel(array) => Shape { channels: array.len_of(Axis(0)), frames: array.len_of(Axis(1)) },
            Self::Audio(other) if other.sample_rate() != audio.sample_rate() => {
                return Err(AudioError::OtherRate { left: audio.sample_rate(), right: other.sample_rate() });
            }
            Self::Audio(other) => other.shape(),
        };
        if found == expected { Ok(()) } else { Err(AudioError::WrongShape { expected, found, channel: None }) }
    }

    /// Position of the first zero, of either sign.
    fn first_zero(&self) -> Option<ZeroPosition> {
        match self {
            Self::Scalar(scalar) => (*scalar == 0.0).then_some(ZeroPosition::Scalar),
            Self::EveryChannel(array) => array.iter().position(|&s| s == S::ZERO).map(ZeroPosition::Frame),
            Self::PerChannel(array) => {
                let zero = array.indexed_iter().find(|&(_, &s)| s == S::ZERO);
                zero.map(|((channel, frame), _)| ZeroPosition::Sample { channel, frame })
            }
            Self::Audio(other) => Operand::PerChannel(other.view()).first_zero(),
        }
    }
}

impl<S: Sample> Audio<S> {
    /// Replaces every sample by `operation(sample, operand)`, computed in `f64` and converted by the rule of [`Sample`].
    fn apply(&mut self, operand: &Operand<'_, S>, operation: impl Fn(f64, f64) -> f64) {
        let update = |sample: &mut S, other: f64| *sample = S::from_f64(operation(sample.to_f64(), other));
        match operand {
            Operand::Scalar(scalar) => self.as_planar_mut().iter_mut().for_each(|s| update(s, *scalar)),
            Operand::EveryChannel(array) => {
                for channel in self.iter_mut() {
                    channel.iter_mut().zip(array).for_each(|(s, other)| update(s, other.to_f64()));
                }
            }
            Operand::PerChannel(array) => {
                for (channel, row) in self.iter_mut().zip(array.rows()) {
                    channel.iter_mut().zip(row).for_each(|(s, other)| update(s, other.to_f64()));
                }
            }
            Operand::Audio(other) => {
                self.as_planar_mut().iter_mut().zip(other.as_planar()).for_each(|(s, o)| update(s, o.to_f64()));
            }
        }
    }
}

/// Defines a method that returns a new buffer and one that works in place.
macro_rules! operation {
    ($name:ident, $in_place:ident, $does:literal, $operator:tt) => {
        impl<S: Sample> Audio<S> {
            #[doc = concat!($does, " as a new buffer. [control thread]")]
            ///
            /// Computed in `f64` on values where 1 is full scale and converted back by the rule of [`Sample`]: the result is
            /// that of float arithmetic for float samples, and rounded to nearest and limited to full scale for integers.
            ///
            /// # Errors
            /// [`AudioError::WrongShape`], [`AudioError::OtherRate`].
            pub fn $name<'a>(&self, operand: impl Into<Operand<'a, S>>) -> Result<Self, AudioError> {
                let operand = operand.into();
                operand.check(self)?;
                let mut result = self.clone();
                result.$in_place(operand)?;
                Ok(result)
            }

            #[doc = concat!($does, " in place. [any thread: nothing allocated]")]
            ///
            #[doc = concat!("Same arithmetic as [`", stringify!($name), "`](Self::", stringify!($name), ").")]
            /// After an error the buffer is unchanged.
            ///
            /// # Errors
            /// [`AudioError::WrongShape`], [`AudioError::OtherRate`].
            pub fn $in_place<'a>(&mut self, operand: impl Into<Operand<'a, S>>) -> Result<(), AudioError> {
                let operand = operand.into();
                operand.check(self)?;
                self.apply(&operand, |sample, other| sample $operator other);
                Ok(())
            }
        }
    };
}

operation!(add, add_in_place, "Adds `operand` to each sample", +);
operation!(subtract, subtract_in_place, "Subtracts `operand` from each sample", -);
operation!(multiply, multiply_in_place, "Multiplies each sample by `operand`", *);

impl<S: Sample> Audio<S> {
    /// Divides each sample by `operand` as a new buffer; arithmetic as in [`add`](Self::add). [control thread]
    ///
    /// # Errors
    /// [`AudioError::DivisionByZero`] with the position of the first zero, [`AudioError::WrongShape`],
    /// [`AudioError::OtherRate`].
    pub fn divide<'a>(&self, operand: impl Into<Operand<'a, S>>) -> Result<Self, AudioError> {
        let operand = operand.into();
        operand.check(self)?;
        let mut result = self.clone();
        result.divide_in_place(operand)?;
        Ok(result)
    }

    /// Divides each sample by `operand` in place; arithmetic as in [`add`](Self::add). After an error the buffer is
    /// unchanged. [any thread: nothing allocated]
    ///
    /// # Errors
    /// [`AudioError::DivisionByZero`] with the position of the first zero, [`AudioError::WrongShape`],
    /// [`AudioError::OtherRate`].
    pub fn divide_in_place<'a>(&mut self, operand: impl Into<Operand<'a, S>>) -> Result<(), AudioError> {
        let operand = operand.into();
        operand.check(self)?;
        if let Some(at) = operand.first_zero() {
            return Err(AudioError::DivisionByZero { at });
        }
        self.apply(&operand, |sample, other| sample / other);
        Ok(())
    }
}

/// Defines `buffer op rhs`, `&buffer op rhs` and `buffer op= rhs`. The only scalar type is `f64`: with two, `&a * 0.5 + &b` would
/// need a type at every literal.
macro_rules! operators {
    ($trait:ident $operator:ident $assign_trait:ident $assign:ident $in_place:ident: $($rhs:ty),+) => {$(
        /// # Panics
        #[doc = concat!("If [`", stringify!($in_place), "`](Audio::", stringify!($in_place), ") would return an error.")]
        impl<S: Sample> $assign_trait<$rhs> for Audio<S> {
            fn $assign(&mut self, rhs: $rhs) {
                if let Err(error) = self.$in_place(rhs) {
                    panic!("{error}");
                }
            }
        }

        /// Reuses the left buffer.
        ///
        /// # Panics
        #[doc = concat!("If [`", stringify!($in_place), "`](Audio::", stringify!($in_place), ") would return an error.")]
        impl<S: Sample> $trait<$rhs> for Audio<S> {
            type Output = Audio<S>;
            fn $operator(mut self, rhs: $rhs) -> Audio<S> {
                $assign_trait::$assign(&mut self, rhs);
                self
            }
        }

        /// # Panics
        #[doc = concat!("If [`", stringify!($in_place), "`](Audio::", stringify!($in_place), ") would return an error.")]
        impl<S: Sample> $trait<$rhs> for &Audio<S> {
            type Output = Audio<S>;
            fn $operator(self, rhs: $rhs) -> Audio<S> {
                $trait::$operator(self.clone(), rhs)
            }
        }
    )+};
}

operators!(Add add AddAssign add_assign add_in_place: f64, &Audio<S>);
operators!(Sub sub SubAssign sub_assign subtract_in_place: f64, &Audio<S>);
operators!(Mul mul MulAssign mul_assign multiply_in_place: f64, &Audio<S>);
operators!(Div div DivAssign div_assign divide_in_place: f64, &Audio<S>);
