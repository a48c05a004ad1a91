//! `isotherm record --device --desk`: an X32 or M32 gives the stems their names and is watched for changes while the take runs. A
//! desk that is lost never affects the recording.

use clap::{Arg, ArgMatches};
use serde_json::{Value, json};

use crate::cli::{Failure, print_line};
use crate::desk::{Desk, DeskWatch, Timeouts, Track};
use crate::device::GrantedConfig;
use crate::record::{Recorder, RecorderSettings};

/// The flag `--desk`.
pub fn argument() -> Arg {
    Arg::new("desk")
        .long("desk")
        .value_name("ADDRESS")
        .num_args(0..=1)
        .default_missing_value("")
        .help("The X32 or M32 whose card the device is: its names go to the stems; without an address the local net is searched")
}

/// Opens the desk that `--desk` names; `None` without the flag.
///
/// # Errors
/// If no desk answers, or its rate or its number of channels differs from the device's.
pub fn open(matches: &ArgMatches, granted: &GrantedConfig) -> Result<Option<Desk>, Failure> {
    let Some(address) = matches.get_one::<String>("desk") else { return Ok(None) };
    let desk = if address.is_empty() { Desk::find() } else { Desk::open(address) }.map_err(Failure::failed)?;
    desk.check_device(granted.sample_rate, granted.channels).map_err(Failure::failed)?;
    Ok(Some(desk))
}

/// Adds the desk's tracks to the take's settings and, unless `--names` was given, gives the channels the desk's names.
pub fn add_to_settings(desk: &Desk, matches: &ArgMatches, settings: &mut RecorderSettings) {
    let numbers: Vec<usize> = settings.channels.iter().map(|channel| channel.source_channel + 1).collect();
    let (tracks, names) = (desk.tracks(), desk.stem_names(&numbers));
    for (channel, name) in settings.channels.iter_mut().zip(names) {
        if !matches.contains_id("names") {
            channel.name = name;
        }
        channel.desk = tracks.get(channel.source_channel).map(Track::to_channel_info);
    }
    settings.source = format!("{}; desk {} '{}', firmware {}", settings.source, desk.model(), desk.name(), desk.firmware());
}

/// A desk that is watched while a take runs.
pub struct DeskFollower(DeskWatch);

impl DeskFollower {
    /// Prints the desk and its notes, unless `is_quiet`, and then watches it.
    ///
    /// # Errors
    /// If the system provides no socket or thread.
    pub fn start(desk: Desk, is_quiet: bool) -> Result<Self, Failure> {
        if !is_quiet {
            print_line(format_args!("desk {}: {} '{}', firmware {}", desk.address(), desk.model(), desk.name(), desk.firmware()));
            desk.notes().iter().for_each(|note| print_line(format_args!("desk: {note}")));
        }
        Ok(Self(DeskWatch::start(desk, Timeouts::default()).map_err(Failure::failed)?))
    }

    /// Passes the desk's newest changes to the take.
    pub fn forward_changes(&self, recorder: &Recorder) {
        recorder.source_changed(self.0.changes());
    }

    /// Returns the state of the connection and the number of changes in a few words.
    pub fn status(&self) -> String {
        let status = self.0.status();
        let changes = if status.changes > 0 { format!(", {} changes", status.changes) } else { String::new() };
        if status.connected {
            format!("desk connected{changes}")
        } else {
            format!("DESK LOST for {:.0} s{changes}", status.last_seen.as_secs_f64())
        }
    }

    /// Returns the desk for the report.
    pub fn json(&self) -> Value {
        let (desk, status) = (self.0.desk(), self.0.status());
        json!({
            "address": desk.address().to_string(), "model": desk.model(), "name": desk.name(), "firmware": desk.firmware(),
            "notes": desk.notes(), "connected": status.connected, "losses": status.losses, "changes": status.changes,
        })
    }
}
