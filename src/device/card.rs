//! The card of a desk that is not there: a client of a JACK server that plays a band on 32 outputs, over and over.

use std::f64::consts::TAU;

use jack::{AsyncClient, AudioOut, ClientOptions, Control, Port, ProcessHandler, ProcessScope};

use crate::audio::generate::{drums, guitar, impulse, pink};
use crate::audio::{Audio, AudioError, db_to_gain};

/// Its name at the server, as that of an X32's card.
pub const NAME: &str = "X-USB";
const CHANNELS: usize = 32;
/// Of tones, clicks and noise.
const LEVEL_DB: f64 = -18.0;
/// Seconds of a tone, and of a click with what follows it.
const TONE_SECONDS: f64 = 4.0;
const CLICK_SECONDS: f64 = 0.5;

/// Plays until it is dropped. [control thread]
pub struct FakeCard {
    _client: AsyncClient<(), Player>,
}

struct Player {
    ports: Vec<Port<AudioOut>>,
    sounds: Vec<Vec<f32>>,
    /// Of each sound, the frame that comes next.
    at: Vec<usize>,
}

impl FakeCard {
    /// At the server that `JACK_DEFAULT_SERVER` names.
    ///
    /// # Errors
    /// One line: there is no server, or no sound can be made at its rate.
    pub fn start() -> Result<Self, String> {
        let failed = |e: jack::Error| format!("JACK: no card '{NAME}': {e}");
        let (client, _) = jack::Client::new(NAME, ClientOptions::NO_START_SERVER).map_err(failed)?;
        let rate = client.sample_rate();
        let sounds =
            (0..CHANNELS).map(|channel| sound(rate, channel)).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
        let port = |channel: usize| client.register_port(&format!("send_{}", channel + 1), AudioOut::default());
        let ports = (0..CHANNELS).map(port).collect::<Result<_, _>>().map_err(failed)?;
        let player = Player { ports, sounds, at: vec![0; CHANNELS] };
        let client = client.activate_async((), player).map_err(failed)?;
        Ok(Self { _client: client })
    }
}

impl ProcessHandler for Player {
    fn process(&mut self, _: &jack::Client, scope: &ProcessScope) -> Control {
        for ((port, sound), at) in self.ports.iter_mut().zip(&self.sounds).zip(&mut self.at) {
            for out in port.as_mut_slice(scope) {
                *out = sound[*at];
                *at = (*at + 1) % sound.len();
            }
        }
        Control::Continue
    }
}

/// What the fake desk's names promise, about: drums, a bass and guitars, tones, a click, a room, the mix.
fn sound(rate: u32, channel: usize) -> Result<Vec<f32>, AudioError> {
    let of = |audio: Audio<f32>, side: usize| audio.channel(side).to_vec();
    let seed = channel as u64 + 1;
    let gain = db_to_gain(LEVEL_DB);
    Ok(match channel {
        0..=9 => of(drums(rate, 1, seed)?, 0),
        10..=14 => of(guitar(rate, 1, seed)?, 0),
        25 => of(impulse(rate, gain, 0, (CLICK_SECONDS * f64::from(rate)) as usize)?, 0),
        26 | 27 => of(guitar(rate, 2, seed)?, channel - 26),
        28 | 29 => of(pink(rate, gain * 0.1, (TONE_SECONDS * f64::from(rate)) as usize, seed)?, 0),
        30 | 31 => of(drums(rate, 2, seed)?, channel - 30),
        _ => {
            // Whole turns, so that the end fits the beginning.
            let hertz = (110.0 * (channel as f64 / 12.0).exp2() * TONE_SECONDS).round() / TONE_SECONDS;
            let frames = (TONE_SECONDS * f64::from(rate)) as usize;
            (0..frames).map(|i| (gain * (TAU * hertz * i as f64 / f64::from(rate)).sin()) as f32).collect()
        }
    })
}
