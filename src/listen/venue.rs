//! The place where a test is taken: a plug-in in a host, the program with a window, a terminal. It has the slots and the output.

use super::player::Player;
use crate::audio::Audio;
use crate::dsp::ProcessSpec;
use crate::effect::Effect;

/// A reason why a venue cannot do what a test needs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum VenueError {
    /// No sound runs, so that neither the sample rate nor the width is known.
    #[error("no sound runs yet; start the host's engine or a device first")]
    NoStream,
    /// The host bypasses the plug-in, so that no test is heard.
    #[error("the plug-in is bypassed; switch it on again")]
    Bypassed,
    /// The device plays nothing, so that nobody would hear a test.
    #[error("nothing is heard: the device has no outputs; set its outputs, such as 1,2")]
    Unheard,
    /// The player could not be sent to the audio thread.
    #[error("the audio thread does not take the sound: it has stopped")]
    Stopped,
}

/// Everything that a test needs of the place where it is taken. All methods: [control thread]
pub trait Venue {
    /// The venue's name and version for the log: a host, a device.
    fn name(&self) -> String;
    /// Sample rate and width of the stream, which a test must not see change: a trial during which it does is void.
    ///
    /// # Errors
    /// [`VenueError::NoStream`], [`VenueError::Bypassed`], [`VenueError::Unheard`].
    fn spec(&self) -> Result<ProcessSpec, VenueError>;
    /// The effects in slot A and slot B as they are now.
    fn slots(&self) -> [Effect; 2];
    /// A number that grows whenever a setting or model of a slot changes.
    fn generation(&self) -> u64;
    /// The last 30 s of the input, or as much as there is; None if nothing is kept.
    fn captured(&self) -> Option<Audio>;
    /// Keeps the last 30 s of the input from now on, or frees them: the panel opens or closes.
    fn keep(&mut self, keep: bool) {
        let _ = keep;
    }
    /// Seconds of the input that are kept at present, and the memory for them in bytes. It is asked for often.
    fn kept(&self) -> (f32, usize) {
        (0.0, 0)
    }
    /// Hands a player to the audio thread, which plays it in place of its own output; None gives the output back. Through a dip.
    ///
    /// # Errors
    /// [`VenueError`].
    fn install(&mut self, player: Option<Box<Player>>) -> Result<(), VenueError>;
    /// Blocks that came too late or were lost since the venue opened.
    fn drop_outs(&self) -> u64;
}
