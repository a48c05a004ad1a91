//! The desk beside the device: asked, followed, and what it says of the channels.

use super::log::aside;
use super::{Command, Worker};
use crate::desk::{Desk, Patience, Track, Watch};
use crate::device::Granted;
use crate::source::{DeskTrack, SourceChange};

/// A desk on the local net is looked for.
const FIND: &str = "find";

/// Name, colour and routing of a channel, as a desk tells them.
#[derive(Clone, Debug, Default)]
pub struct FromDesk {
    pub name: String,
    pub colour: Option<[u8; 3]>,
    /// For the manifest.
    pub track: DeskTrack,
}

/// See the module.
#[derive(Default)]
pub struct Console {
    /// A desk was asked and has not answered yet.
    asking: bool,
    watch: Option<Watch>,
    /// The status line that was told last, and true if it is good news.
    status: Option<(String, bool)>,
    /// The watch's count when the strips were read.
    changes: u64,
    /// Model, name and firmware.
    whose: String,
    strips: Vec<FromDesk>,
}

impl Console {
    pub fn is_asking(&self) -> bool {
        self.asking
    }

    /// How it is, in a line, and whether that is well.
    pub fn status(&self) -> Option<(String, bool)> {
        self.status.clone()
    }

    /// What it says of a channel.
    pub fn strip(&self, channel: usize) -> Option<&FromDesk> {
        self.strips.get(channel)
    }

    /// A take's source: the device, and the desk before it.
    pub fn source(&self, device: &str) -> String {
        if self.watch.is_some() { format!("{device}; desk {}", self.whose) } else { device.into() }
    }

    /// Follows a desk that fits the device. Returns what there is to tell.
    fn follow(&mut self, desk: Desk, granted: &Granted) -> Result<Vec<String>, String> {
        desk.check(granted.sample_rate, granted.channels).map_err(|e| e.to_string())?;
        let watch = Watch::start(desk, Patience::default()).map_err(|e| e.to_string())?;
        let desk = watch.desk();
        self.read(&desk);
        self.changes = watch.status().changes;
        self.watch = Some(watch);
        let mut lines = vec![format!("desk {}: {}", desk.address(), self.whose)];
        lines.extend(desk.notes().into_iter().map(|note| format!("desk: {note}")));
        Ok(lines)
    }

    fn read(&mut self, desk: &Desk) {
        self.whose = format!("{} '{}', firmware {}", desk.model(), desk.name(), desk.firmware());
        let tracks = desk.tracks();
        let numbers: Vec<usize> = (1..=tracks.len()).collect();
        let strip = |(name, track): (String, Track)| FromDesk { name, colour: track.strip().colour, track: track.entry() };
        self.strips = desk.names(&numbers).into_iter().zip(tracks).map(strip).collect();
    }

    /// Looks how it is. Returns a line if it was lost or is back, and whether that is an alarm.
    pub fn attend(&mut self, recording: bool) -> Option<(String, bool)> {
        let Some(watch) = &self.watch else {
            if self.asking {
                self.status = Some(("asking".into(), true));
            }
            return None;
        };
        let status = watch.status();
        let well = status.connected;
        let text =
            if well { format!("{} connected", self.whose) } else { format!("lost for {:.0} s", status.last_seen.as_secs_f64()) };
        let other = self.status.as_ref().is_some_and(|(_, was)| *was != well);
        self.status = Some((text, well));
        // A take keeps the names that it began with.
        if status.changes != self.changes && !recording {
            self.changes = status.changes;
            let desk = watch.desk();
            self.read(&desk);
        }
        other.then(|| (if well { "desk: back".into() } else { "desk: lost; the recording goes on".into() }, !well))
    }
}

/// Some changes in a line.
fn changed(changes: &[SourceChange]) -> Option<String> {
    let first = changes.first()?;
    let said = |text: &Option<String>| text.as_ref().map_or("nothing".into(), |text| format!("'{text}'"));
    let more = if changes.len() > 1 { format!(" (and {} more changes)", changes.len() - 1) } else { String::new() };
    let (channel, what, from, to) = (first.source + 1, first.what, said(&first.from), said(&first.to));
    Some(format!("desk: channel {channel}: the {what} was {from} and is {to}{more}"))
}

impl Worker {
    /// Asks the desk who it is and what it carries, which may take its time.
    pub(super) fn ask_desk(&mut self) {
        let address = self.kept.device.desk.trim().to_owned();
        self.desk.asking = !address.is_empty();
        if address.is_empty() {
            return;
        }
        let (back, start) = (self.back.clone(), self.starts);
        aside(move || {
            let desk = if address == FIND { Desk::find() } else { Desk::open(&address) };
            let _ = back.send(Command::Desk(start, desk.map_err(|e| e.to_string())));
        });
    }

    pub(super) fn desk_is_there(&mut self, desk: Result<Desk, String>) {
        self.desk.asking = false;
        let Some(live) = &self.live else { return };
        match desk.and_then(|desk| self.desk.follow(desk, &live.granted)) {
            Ok(lines) => lines.into_iter().for_each(|line| self.log.say(line, false)),
            // A recording that runs is never stopped by the desk.
            Err(error) if self.deck.is_recording() => {
                self.log.say(format!("desk: {error}"), true);
                self.desk.status = Some((error, false));
            }
            Err(error) => {
                self.stop();
                self.fail(format!("desk: {error}"));
            }
        }
    }

    /// What the desk changed goes to the take, and into the log.
    pub(super) fn desk_changed(&mut self) {
        let changes = self.desk.watch.as_ref().map(Watch::changes).unwrap_or_default();
        let Some(line) = changed(&changes) else { return };
        let alarm = self.deck.is_recording() && changes.iter().any(|change| change.what == "source");
        self.deck.change(changes);
        self.log.say(line, alarm);
    }
}
