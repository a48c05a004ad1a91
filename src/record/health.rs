//! The status of a recorder, for an interface.

use std::path::PathBuf;

/// The state a recorder is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecorderPhase {
    /// Waits for a start; keeps the pre-roll.
    #[default]
    Standby,
    /// A take is being written.
    Recording,
}

/// Summary of a take's health as a traffic light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusLight {
    /// Nothing is lost, and the disk keeps up.
    #[default]
    Green,
    /// The disk was slow and the ring was stretched (see [`Health::stretched`]); nothing is lost.
    Yellow,
    /// Frames are lost, or the take ended with an error.
    Red,
}

/// Status of a recorder. Counts are those of the running take or, while no take runs, of the last one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// The recorder's state.
    pub phase: RecorderPhase,
    /// Summary of the fields below.
    pub light: StatusLight,
    /// The take's folder; `None` before the first take.
    pub folder: Option<PathBuf>,
    /// Length of the take in frames, pre-roll included.
    pub frames: u64,
    /// Length of the take in seconds, pre-roll included.
    pub seconds: f64,
    /// Frames that are silence because the ring was full or the source lost them.
    pub lost_frames: u64,
    /// Number of gaps that the lost frames form.
    pub gaps: usize,
    /// Number of times that the ring was stretched: filled to more than a tenth because the disk was slow.
    pub stretched: u64,
    /// Samples beyond full scale, per stem.
    pub overs: Vec<u64>,
    /// Number of markers.
    pub markers: usize,
    /// Filled part of the ring, 0 to 1.
    pub fill: f32,
    /// Seconds of sound that the disk has room for; `None` if the system does not say.
    pub disk_seconds_left: Option<f64>,
    /// Error that ended the last take or kept it from starting.
    pub error: Option<String>,
}
