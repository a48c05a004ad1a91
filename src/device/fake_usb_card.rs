//! A fake USB card of a mixing desk: a client of a JACK server that plays a looped band recording on 32 outputs.

use std::f64::consts::TAU;

use jack::{AsyncClient, AudioOut, ClientOptions, Control, Port, ProcessHandler, ProcessScope};
use thiserror::Error;

use super::frames_in;
use crate::audio::generate::{drums, guitar, impulse, pink};
use crate::audio::{Audio, AudioError, db_to_gain};

/// Name of the client at the server, that of an X32's USB card.
pub const NAME: &str = "X-USB";
/// Number of outputs.
const CHANNELS: usize = 32;
/// Peak level of tones and clicks in dBFS. The RMS of the noise is 20 dB lower.
const LEVEL_DB: f64 = -18.0;
/// Length of the loops of tones and of noise.
const TONE_SECONDS: f64 = 4.0;
/// Time from one click to the next.
const CLICK_SECONDS: f64 = 0.5;

/// Reason why a [`FakeUsbCard`] cannot be started. Every message is one line.
#[derive(Debug, Error)]
pub enum FakeUsbCardError {
    /// There is no JACK server, or it refuses the client or a port.
    #[error("JACK: no card '{NAME}': {0}")]
    Jack(jack::Error),
    /// No sound can be generated at the server's sample rate.
    #[error("{0}")]
    Sound(AudioError),
}

/// A running fake USB card. Plays until it is dropped. [control thread]
pub struct FakeUsbCard {
    _client: AsyncClient<(), PlaybackCallback>,
}

/// The callback of the JACK server. [device thread]
struct PlaybackCallback {
    ports: Vec<Port<AudioOut>>,
    /// The looped sound of each port.
    sounds: Vec<Vec<f32>>,
    /// Index of the next frame in each sound.
    positions: Vec<usize>,
}

impl FakeUsbCard {
    /// Starts the card at the server that the environment variable `JACK_DEFAULT_SERVER` names. [control thread]
    ///
    /// # Errors
    /// If there is no server, or no sound can be generated at its rate.
    pub fn start() -> Result<Self, FakeUsbCardError> {
        let (client, _) = jack::Client::new(NAME, ClientOptions::NO_START_SERVER).map_err(FakeUsbCardError::Jack)?;
        let rate = client.sample_rate();
        let sounds = (0..CHANNELS).map(|channel| sound(rate, channel)).collect::<Result<Vec<_>, _>>();
        let sounds = sounds.map_err(FakeUsbCardError::Sound)?;
        let port = |channel: usize| client.register_port(&format!("send_{}", channel + 1), AudioOut::default());
        let ports = (0..CHANNELS).map(port).collect::<Result<_, _>>().map_err(FakeUsbCardError::Jack)?;
        let callback = PlaybackCallback { ports, sounds, positions: vec![0; CHANNELS] };
        let client = client.activate_async((), callback).map_err(FakeUsbCardError::Jack)?;
        Ok(Self { _client: client })
    }
}

impl ProcessHandler for PlaybackCallback {
    fn process(&mut self, _: &jack::Client, scope: &ProcessScope) -> Control {
        for ((port, sound), position) in self.ports.iter_mut().zip(&self.sounds).zip(&mut self.positions) {
            for out in port.as_mut_slice(scope) {
                *out = sound[*position];
                *position = (*position + 1) % sound.len();
            }
        }
        Control::Continue
    }
}

/// Returns the sound of a channel, counted from 0. It roughly fits the channel names of the fake desk (`desk/fake.rs`): drums,
/// bass and guitars, tones, a click, noise for the ambience, the mix.
fn sound(rate: u32, channel: usize) -> Result<Vec<f32>, AudioError> {
    let side_of = |audio: Audio<f32>, side: usize| audio.channel(side).to_vec();
    let seed = channel as u64 + 1;
    let gain = db_to_gain(LEVEL_DB);
    Ok(match channel {
        0..=9 => side_of(drums(rate, 1, seed)?, 0),
        10..=14 => side_of(guitar(rate, 1, seed)?, 0),
        25 => side_of(impulse(rate, gain, 0, frames_in(CLICK_SECONDS, rate))?, 0),
        26 | 27 => side_of(guitar(rate, 2, seed)?, channel - 26),
        28 | 29 => side_of(pink(rate, gain * 0.1, frames_in(TONE_SECONDS, rate), seed)?, 0),
        30 | 31 => side_of(drums(rate, 2, seed)?, channel - 30),
        _ => {
            // A whole number of periods, so that the loop's end fits its beginning.
            let hertz = (110.0 * (channel as f64 / 12.0).exp2() * TONE_SECONDS).round() / TONE_SECONDS;
            (0..frames_in(TONE_SECONDS, rate)).map(|i| tone(gain, hertz, i, rate)).collect()
        }
    })
}

/// Returns a frame of a sine tone at a sample rate in hertz.
#[expect(clippy::cast_possible_truncation, reason = "rounds the sample to a float")]
fn tone(gain: f64, hertz: f64, frame: usize, rate: u32) -> f32 {
    (gain * (TAU * hertz * frame as f64 / f64::from(rate)).sin()) as f32
}
