//! The state of a recorder, for an interface.

use std::path::PathBuf;

/// What the recorder does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Waits for a start; keeps the pre-roll.
    #[default]
    Armed,
    Recording,
}

/// How the take of now, or the last one, is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Light {
    #[default]
    Green,
    /// The disk was slow and the buffer was stretched; nothing is missing.
    Yellow,
    /// Frames are lost, or the take ended in an error.
    Red,
}

/// What an interface shows. Counts are of the take of now, or of the last one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    pub phase: Phase,
    pub light: Light,
    /// The folder of the take.
    pub folder: Option<PathBuf>,
    /// The length of the take, pre-roll included.
    pub frames: u64,
    pub seconds: f64,
    pub lost_frames: u64,
    pub gaps: usize,
    /// Times that the buffer was stretched.
    pub stretched: u64,
    /// Samples beyond full scale, stem by stem.
    pub overs: Vec<u64>,
    pub markers: usize,
    /// The part of the buffer that is full, 0 to 1.
    pub fill: f32,
    /// Time that the disk has room for.
    pub disk_seconds_left: Option<f64>,
    /// What ended the last take, or kept one from starting.
    pub error: Option<String>,
}
