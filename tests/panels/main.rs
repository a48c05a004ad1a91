//! Tests of the editor's panels and of the program's panels around it, over plain data and without a window.
#![cfg(feature = "ui")]
#![allow(clippy::unwrap_used)]

#[path = "../listener/running_view.rs"]
mod running_view;

mod editor;
mod program;
mod takes;
