//! The place of a test in a terminal: a device that plays nothing but the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::audio::Audio;
use crate::device::{Client, DeviceError, InputBlock, OpenRequest, Stream, open};
use crate::dsp::ProcessSpec;
use crate::effect::Effect;
use crate::graph::{Swap, SwapSender};
use crate::listen::{Player, Venue, VenueError};

/// The thing that plays: a player, or silence.
type Deck = Option<Box<Player>>;

/// The client of the device.
struct DeckClient {
    deck: Swap<Deck>,
    lost: Arc<AtomicU64>,
}

impl Client for DeckClient {
    fn process(&mut self, lost_frames: u64, _: InputBlock<'_>, output: &mut [&mut [f32]]) {
        if lost_frames > 0 {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        self.deck.run(
            output,
            |_| 0,
            |deck, block| match deck {
                Some(player) => player.process(block),
                None => block.iter_mut().for_each(|channel| channel.fill(0.0)),
            },
        );
    }
}

/// A device for a test.
pub struct DeckVenue {
    stream: Stream<DeckClient>,
    sender: SwapSender<Deck>,
    lost: Arc<AtomicU64>,
    name: String,
    outputs: usize,
}

impl DeckVenue {
    /// Opens and starts a device.
    pub fn open(request: &OpenRequest) -> Result<Self, DeviceError> {
        let opened = open(request)?;
        let granted = opened.granted().clone();
        let (deck, sender) = Swap::new(Box::new(None), granted.sample_rate as f32);
        let lost = Arc::<AtomicU64>::default();
        let stream = opened.start(DeckClient { deck, lost: lost.clone() }).map_err(|(_, error)| error)?;
        let name = format!("isotherm listen, {} {}", granted.host.id(), granted.device);
        Ok(Self { stream, sender, lost, name, outputs: request.outputs.len() })
    }
}

impl Venue for DeckVenue {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn spec(&self) -> Result<ProcessSpec, VenueError> {
        if self.stream.ended().is_some() {
            return Err(VenueError::NoStream);
        }
        let granted = self.stream.granted();
        Ok(ProcessSpec::new(granted.sample_rate as f32, self.outputs, granted.period_frames))
    }

    fn slots(&self) -> [Effect; 2] {
        super::no_slots()
    }

    fn generation(&self) -> u64 {
        0
    }

    fn captured(&self) -> Option<Audio> {
        None
    }

    fn install(&mut self, player: Option<Box<Player>>) -> Result<(), VenueError> {
        if self.stream.ended().is_some() {
            return Err(VenueError::Stopped);
        }
        self.sender.send(Box::new(player)).map_err(|_| VenueError::Stopped)
    }

    fn drop_outs(&self) -> u64 {
        self.lost.load(Ordering::Relaxed) + self.stream.underruns()
    }
}
