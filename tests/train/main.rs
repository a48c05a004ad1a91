//! Training.
#![cfg(feature = "train")]

mod networks;
mod triode;
mod twins;
