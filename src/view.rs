//! Plain data between the panels and the owner of an instance (plug-in or program): the state that panels show, and the actions
//! of a user.

mod listen;
mod model;
mod take;
mod twin;

use std::path::Path;

use crate::dsp::ParameterIndex;

pub use listen::{
    Answer, Button, Change, ControlTrial, Form, GateView, ListenAction, ListenStage, ListenView, Protocol, Question, ResultView,
    Rule, SideChoice, SoundSource, TestPart, TestSetup, TestStep, TestView, Waveform,
};
pub use model::{FolderView, ModelAliasingFacts, ModelDelay, ModelFacts, ModelView, ParameterUse};
pub use take::{StemView, TakeAction, TakeLight, TakeSetup, TakeStart, TakeView};
pub use twin::{TWIN_SIZES, TwinRequest, TwinSize, TwinStage, TwinView};

/// One of the two slots, each of which runs an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The left slot, index 0.
    A,
    /// The right slot, index 1.
    B,
}

impl Slot {
    /// Both slots, in their order on the screen.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The name that a user reads.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }

    /// The other slot.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A control whose value a user can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Control {
    /// The slot that is let through: 0 for A, 1 for B. It is set by [`Controls::press_listen`].
    Listen,
    /// Bypass: 0 for off, 1 for on.
    Bypass,
    /// The blind comparison: 0 for off, 1 for on.
    Blind,
    /// The slot's algorithm, as its index in the registry.
    Algorithm(Slot),
    /// A parameter of one of the slot's algorithms. Each algorithm keeps its values while another one is chosen.
    Parameter {
        /// The slot.
        slot: Slot,
        /// Index of the algorithm in the registry.
        algorithm: usize,
        /// Index among the algorithm's parameters.
        index: ParameterIndex,
    },
}

/// Access of the panels to an instance. Values are plain, that is in the parameter's unit. A gesture is `begin`, any number of
/// `set`, `end`; hosts record it as automation. The panels never nest two gestures. [control thread]
pub trait Controls {
    /// The current plain value. A value that the parameter cannot have is shown as the nearest one that it can have.
    fn get(&self, control: Control) -> f32;
    /// Begins a gesture on a control.
    fn begin(&self, control: Control);
    /// Sets a control to a plain value, within a gesture.
    fn set(&self, control: Control, value: f32);
    /// Ends the gesture on a control.
    fn end(&self, control: Control);
    /// Presses the left (0) or right (1) listen button. Sets [`Control::Listen`]: to the slot of that name, or in a blind
    /// comparison to the slot behind the button. A press of the button that is pressed already dips the sound just as a change
    /// does.
    fn press_listen(&self, side: u8);
    /// Shows which slot was behind which button in a blind comparison.
    fn reveal(&self);
    /// Loads a model file into the slot; lists a folder in [`ModelView::folder`].
    fn open_model(&self, slot: Slot, path: &Path);
    /// Lists the folder that was looked at last in [`ModelView::folder`].
    fn browse_models(&self, slot: Slot);
    /// Loads the model that is `step` places after the one that was tried last, in its folder (before it, if negative). After the
    /// last one comes the first.
    fn step_model(&self, slot: Slot, step: i32);
    /// Runs the slot's model at this sample rate in Hz, because its file has none.
    fn set_model_rate(&self, slot: Slot, sample_rate: f32);
    /// Lets the slot run without a model.
    fn clear_model(&self, slot: Slot);
    /// Passes on an action on the twin of slot A.
    fn request_twin(&self, request: TwinRequest);
    /// Passes on an action on the recorder and its takes.
    fn request_take(&self, action: TakeAction);
    /// Passes on an action of a listener on listening tests.
    fn listen(&self, action: ListenAction);
}

/// The state of an instance, as the panels get it for each frame of their window.
#[derive(Clone, Debug)]
pub struct InstanceView {
    /// Number of channels that run; the first 32 have meters.
    pub channels: usize,
    /// Level of each input channel.
    pub input: Vec<ChannelLevel>,
    /// Level of each output channel.
    pub output: Vec<ChannelLevel>,
    /// Sample rate in hertz; not known yet if it is not finite and positive.
    pub sample_rate: f32,
    /// Latency of the slots in frames.
    pub latency_frames: usize,
    /// Processing time as a share of real time: 1 is all of it, and more is too much.
    pub load: f32,
    /// The blind comparison.
    pub blind: BlindView,
    /// The models of slot A and slot B, which are shown where the slot's algorithm runs one.
    pub models: [ModelView; 2],
    /// The twin of slot A.
    pub twin: TwinView,
    /// The recorder and its takes.
    pub take: TakeView,
    /// The panel of listening tests.
    pub listen: ListenView,
}

/// Level of one channel, linear: full scale is 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChannelLevel {
    /// Largest magnitude since the last view.
    pub peak: f32,
    /// Root mean square over the meter's time window.
    pub rms: f32,
    /// True if a sample was beyond full scale since the last view. The panels keep the light on.
    pub clipped: bool,
}

/// The stage of a blind comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlindView {
    /// No comparison runs.
    Off,
    /// A comparison runs: the listen buttons read X and Y; slots, parameters, meters and load are hidden.
    Hidden,
    /// The user has asked which slot is which.
    Revealed {
        /// The slot that was X, on the left.
        left: Slot,
    },
}
