//! The measures against independent implementations.
#![cfg(feature = "measure")]
#![allow(clippy::unwrap_used)]

mod effects;
mod python;
