//! Plain data between panels, programs and the owner of the values: the state of an instance, and the actions of a user.

mod model;
mod take;
mod twin;

use std::path::Path;

use crate::dsp::Index;

pub use model::{FolderView, ModelFacts, ModelView};
pub use take::{StemView, TakeAction, TakeLight, TakeSetup, TakeStart, TakeView};
pub use twin::{TWIN_SIZES, TwinSize, TwinStage, TwinView, TwinWish};

/// One of the two places for an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    A,
    B,
}

impl Slot {
    /// Both, in the order of the screen.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// What a user reads.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// What can be turned or pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Control {
    /// Which slot is heard: 0 is A, 1 is B.
    Listen,
    /// 0 or 1.
    Bypass,
    /// 0 or 1.
    Blind,
    /// The slot's algorithm as its position in the registry.
    Algorithm(Slot),
    /// A parameter of one of the slot's algorithms; each algorithm keeps its values while another is chosen.
    Parameter {
        slot: Slot,
        /// Position in the registry.
        algorithm: usize,
        index: Index,
    },
}

/// Where values live. Values are plain (in the parameter's unit). One gesture is `begin`, `set`..., `end`: hosts record
/// automation by it. The editor never nests two gestures. [control thread]
pub trait Controls {
    /// The value now. Anything that is no value of the parameter is shown as the nearest one.
    fn get(&self, control: Control) -> f32;
    fn begin(&self, control: Control);
    fn set(&self, control: Control, value: f32);
    fn end(&self, control: Control);
    /// The left (0) or right (1) listen button was pressed, also if it was pressed already. Sets [`Control::Listen`]: to the
    /// slot of that name, or in a blind comparison to the slot that hides behind the button.
    fn press_listen(&self, side: u8);
    /// Show which slot was which in a blind comparison.
    fn reveal(&self);
    /// A file is to become the slot's model; a folder is to be listed in [`ModelView::folder`].
    fn open_model(&self, slot: Slot, path: &Path);
    /// The folder that was looked at last is to be listed anew.
    fn browse_models(&self, slot: Slot);
    /// The model so many places behind (or before, if negative) the one that was tried last in its folder, round and round.
    fn step_model(&self, slot: Slot, step: i32);
    /// The slot is to run without a model.
    fn clear_model(&self, slot: Slot);
    /// The training of slot A's twin.
    fn twin(&self, wish: TwinWish);
    /// Something is to be done with the recorder.
    fn take(&self, action: TakeAction);
}

/// What the audio side tells, once a frame of the window.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Channels that run; the first 32 have meters.
    pub channels: usize,
    /// One per channel.
    pub input: Vec<Level>,
    /// One per channel.
    pub output: Vec<Level>,
    /// In hertz; what is not finite and positive is "not known yet".
    pub sample_rate: f32,
    pub latency_frames: usize,
    /// Processing time as a share of real time, 0 to 1.
    pub load: f32,
    pub blind: BlindView,
    /// Of slot A and of slot B; shown where the slot's algorithm runs a model.
    pub models: [ModelView; 2],
    pub twin: TwinView,
    pub take: TakeView,
}

/// Level of one channel since the last snapshot. Linear, full scale is 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Level {
    pub peak: f32,
    pub rms: f32,
    /// Whether a sample left full scale since the last snapshot; the editor keeps it lit.
    pub clipped: bool,
}

/// How far a blind comparison is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlindView {
    Off,
    /// The listen buttons read X and Y; slots, parameters, meters and load are hidden.
    Hidden,
    Revealed {
        /// The slot that was X, on the left.
        left: Slot,
    },
}
