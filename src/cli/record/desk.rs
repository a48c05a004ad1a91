//! `isotherm record --device --desk`: an X32 or M32 gives the stems their names. What becomes of the desk later never touches the
//! recording.

use clap::{Arg, ArgMatches};
use serde_json::{Value, json};

use crate::cli::{Failure, say};
use crate::desk::{Desk, Patience, Track, Watch};
use crate::device::Granted;
use crate::record::{Recorder, Settings};

pub fn argument() -> Arg {
    Arg::new("desk")
        .long("desk")
        .value_name("ADDRESS")
        .num_args(0..=1)
        .default_missing_value("")
        .help("The X32 or M32 whose card the device is: its names go to the stems; without an address the local net is searched")
}

/// The desk that was asked for, if it fits the device.
///
/// # Errors
/// If there is none, or its rate or its number of channels differs from the device's.
pub fn open(matches: &ArgMatches, granted: &Granted) -> Result<Option<Desk>, Failure> {
    let Some(address) = matches.get_one::<String>("desk") else { return Ok(None) };
    let desk = if address.is_empty() { Desk::find() } else { Desk::open(address) }.map_err(Failure::failed)?;
    desk.check(granted.sample_rate, granted.channels).map_err(Failure::failed)?;
    Ok(Some(desk))
}

/// Tells the take what the desk says of its tracks, and names the channels so, unless `--names` did.
pub fn name(desk: &Desk, matches: &ArgMatches, settings: &mut Settings) {
    let numbers: Vec<usize> = settings.channels.iter().map(|channel| channel.source + 1).collect();
    let (tracks, names) = (desk.tracks(), desk.names(&numbers));
    for (channel, name) in settings.channels.iter_mut().zip(names) {
        if !matches.contains_id("names") {
            channel.name = name;
        }
        channel.desk = tracks.get(channel.source).map(Track::entry);
    }
    settings.source = format!("{}; desk {} '{}', firmware {}", settings.source, desk.model(), desk.name(), desk.firmware());
}

/// The desk while a take runs.
pub struct Beside(Watch);

impl Beside {
    /// Tells what stands out, and follows the desk from now on.
    ///
    /// # Errors
    /// If the system gives no socket or no thread.
    pub fn start(desk: Desk, quietly: bool) -> Result<Self, Failure> {
        if !quietly {
            say(format_args!("desk {}: {} '{}', firmware {}", desk.address(), desk.model(), desk.name(), desk.firmware()));
            desk.notes().iter().for_each(|note| say(format_args!("desk: {note}")));
        }
        Ok(Self(Watch::start(desk, Patience::default()).map_err(Failure::failed)?))
    }

    /// What the desk changed goes to the take.
    pub fn attend(&self, recorder: &Recorder) {
        recorder.change(self.0.changes());
    }

    /// In a few words.
    pub fn status(&self) -> String {
        let status = self.0.status();
        let changes = if status.changes > 0 { format!(", {} changes", status.changes) } else { String::new() };
        if status.connected {
            format!("desk connected{changes}")
        } else {
            format!("DESK LOST for {:.0} s{changes}", status.last_seen.as_secs_f64())
        }
    }

    /// For the report.
    pub fn json(&self) -> Value {
        let (desk, status) = (self.0.desk(), self.0.status());
        json!({
            "address": desk.address().to_string(), "model": desk.model(), "name": desk.name(), "firmware": desk.firmware(),
            "notes": desk.notes(), "connected": status.connected, "losses": status.losses, "changes": status.changes,
        })
    }
}
