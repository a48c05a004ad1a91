//! Tests of training.
#![cfg(feature = "train")]
#![allow(clippy::unwrap_used)]

mod networks;
mod triode;
mod twins;
