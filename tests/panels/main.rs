//! The editor and the program around it, over plain data and without a window.
#![cfg(feature = "ui")]

mod editor;
mod program;
mod takes;
