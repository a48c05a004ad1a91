//! Tests of training.
#![cfg(feature = "train")]
#![allow(clippy::unwrap_used)]

mod networks;
mod training_loop;
mod triode;
mod twins;
