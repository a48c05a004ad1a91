//! The controller's desk: the mixing desk whose USB card is the device. It is queried once, then watched for changes of its
//! channels.

use super::log::spawn_detached;
use super::{Command, ControllerThread};
use crate::desk::{Desk, DeskWatch, Timeouts, Track};
use crate::device::GrantedConfig;
use crate::source::{DeskChannelInfo, SourceChange};

/// The address that means: search the local network for a desk.
const FIND: &str = "find";

/// Name, colour and routing of a device channel, as the desk reports them.
#[derive(Clone, Debug, Default)]
pub struct DeskChannel {
    pub name: String,
    /// Red, green and blue of the strip's colour.
    pub colour: Option<[u8; 3]>,
    /// The entry for a take's manifest.
    pub info: DeskChannelInfo,
}

/// The desk that is queried and then watched; without a desk its methods return nothing.
#[derive(Default)]
pub struct DeskFollower {
    /// True from the query until the desk's answer.
    is_querying: bool,
    watch: Option<DeskWatch>,
    /// The newest status line, and true if the desk is well.
    status: Option<(String, bool)>,
    /// The watch's count of changes when `channels` was read.
    change_count: u64,
    /// Model, name and firmware.
    description: String,
    channels: Vec<DeskChannel>,
}

impl DeskFollower {
    /// True from the query until the desk's answer.
    pub fn is_querying(&self) -> bool {
        self.is_querying
    }

    /// Returns a line on the desk's state, and true if it is well. `None` without a desk.
    pub fn status(&self) -> Option<(String, bool)> {
        self.status.clone()
    }

    /// Returns the desk's values of a device channel, counted from 0.
    pub fn channel(&self, channel: usize) -> Option<&DeskChannel> {
        self.channels.get(channel)
    }

    /// Returns the source of a take for its manifest: the device, and the desk if there is one.
    pub fn source(&self, device: &str) -> String {
        if self.watch.is_some() { format!("{device}; desk {}", self.description) } else { device.into() }
    }

    /// Starts to watch a desk. Returns lines for the log.
    ///
    /// # Errors
    /// If the desk's rate or number of channels is not the device's, or the system provides no socket or thread.
    fn follow(&mut self, desk: Desk, granted: &GrantedConfig) -> Result<Vec<String>, String> {
        desk.check_device(granted.sample_rate, granted.channels).map_err(|e| e.to_string())?;
        let watch = DeskWatch::start(desk, Timeouts::default()).map_err(|e| e.to_string())?;
        let desk = watch.desk();
        self.read(&desk);
        self.change_count = watch.status().changes;
        self.watch = Some(watch);
        let mut lines = vec![format!("desk {}: {}", desk.address(), self.description)];
        lines.extend(desk.notes().into_iter().map(|note| format!("desk: {note}")));
        Ok(lines)
    }

    /// Reads the desk's description and channels.
    fn read(&mut self, desk: &Desk) {
        self.description = format!("{} '{}', firmware {}", desk.model(), desk.name(), desk.firmware());
        let tracks = desk.tracks();
        let numbers: Vec<usize> = (1..=tracks.len()).collect();
        let channel =
            |(name, track): (String, Track)| DeskChannel { name, colour: track.strip().colour, info: track.to_channel_info() };
        self.channels = desk.stem_names(&numbers).into_iter().zip(tracks).map(channel).collect();
    }

    /// Updates the status and, unless a take runs, the channels. Returns a line for the log if the connection was lost or is
    /// back, and true if the line is an alarm.
    pub fn poll(&mut self, recording: bool) -> Option<(String, bool)> {
        let Some(watch) = &self.watch else {
            if self.is_querying {
                self.status = Some(("asking".into(), true));
            }
            return None;
        };
        let status = watch.status();
        let connected = status.connected;
        let text = if connected {
            format!("{} connected", self.description)
        } else {
            format!("lost for {:.0} s", status.last_seen.as_secs_f64())
        };
        let differs = self.status.as_ref().is_some_and(|(_, was_connected)| *was_connected != connected);
        self.status = Some((text, connected));
        // A take keeps the names that it began with.
        if status.changes != self.change_count && !recording {
            self.change_count = status.changes;
            let desk = watch.desk();
            self.read(&desk);
        }
        differs.then(|| (if connected { "desk: back".into() } else { "desk: lost; the recording goes on".into() }, !connected))
    }
}

/// Returns a line with the first of the changes and the number of the others; `None` without changes.
fn changes_line(changes: &[SourceChange]) -> Option<String> {
    let first = changes.first()?;
    let quoted = |text: &Option<String>| text.as_ref().map_or("nothing".into(), |text| format!("'{text}'"));
    let more = if changes.len() > 1 { format!(" (and {} more changes)", changes.len() - 1) } else { String::new() };
    let (channel, what, from, to) = (first.source_channel + 1, first.what, quoted(&first.from), quoted(&first.to));
    Some(format!("desk: channel {channel}: the {what} was {from} and is {to}{more}"))
}

impl ControllerThread {
    /// Queries the desk that is set, if any, on a thread of its own, as this may take seconds; the thread sends the answer back.
    pub(super) fn query_desk(&mut self) {
        let address = self.settings.device.desk.trim().to_owned();
        self.desk.is_querying = !address.is_empty();
        if address.is_empty() {
            return;
        }
        let (sender, start) = (self.self_sender.clone(), self.start_count);
        spawn_detached(move || {
            let desk = if address == FIND { Desk::find() } else { Desk::open(&address) };
            let _ = sender.send(Command::DeskAnswered(start, desk.map_err(|e| e.to_string())));
        });
    }

    /// Takes the desk's answer: watches the desk, or reports why this is not possible.
    pub(super) fn desk_answered(&mut self, desk: Result<Desk, String>) {
        self.desk.is_querying = false;
        let Some(device) = &self.device else { return };
        match desk.and_then(|desk| self.desk.follow(desk, &device.granted)) {
            Ok(lines) => lines.into_iter().for_each(|line| self.log.add_line(line)),
            // A recording that runs is never stopped by the desk.
            Err(error) if self.recorder.is_recording() => {
                self.log.add_alarm(format!("desk: {error}"));
                self.desk.status = Some((error, false));
            }
            Err(error) => {
                self.stop_device();
                self.report_device_failure(format!("desk: {error}"));
            }
        }
    }

    /// Passes the desk's newest changes to the take and to the log.
    pub(super) fn forward_desk_changes(&mut self) {
        let changes = self.desk.watch.as_ref().map(DeskWatch::changes).unwrap_or_default();
        let Some(line) = changes_line(&changes) else { return };
        let alarm = self.recorder.is_recording() && changes.iter().any(|change| change.what == "source");
        self.recorder.source_changed(changes);
        self.log.add(line, alarm);
    }
}
