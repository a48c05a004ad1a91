//! The measures against independent implementations.
#![allow(clippy::unwrap_used)]

mod python;
