//! `isotherm devices`: what there is to record from, and what it really grants.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::{Failure, say};
use crate::device::{self, Granted, Host, Listed};

pub fn command() -> Command {
    Command::new("devices")
        .about("Lists the devices that `record --device` and `app` can open, and what they really grant")
        .arg(
            Arg::new("host")
                .long("host")
                .value_name("HOST")
                .value_parser(Host::ALL.iter().map(|host| host.id()).collect::<Vec<_>>())
                .help("Only the devices of this host"),
        )
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("The list as JSON"))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let wanted = matches.get_one::<String>("host").and_then(|id| Host::find(id));
    let hosts = Host::ALL.iter().copied().filter(|host| wanted.is_none_or(|wanted| wanted == *host));
    let all: Vec<Listed> = hosts.flat_map(device::list).collect();
    if matches.get_flag("json") {
        let hosts: Vec<&str> = Host::ALL.iter().map(|host| host.id()).collect();
        say(json!({ "hosts": hosts, "devices": all.iter().map(listed_json).collect::<Vec<_>>() }));
        return Ok(());
    }
    for Listed { host, device, description, grants, outputs } in &all {
        say(format_args!("{:5} {device}: {description}", host.id()));
        match grants {
            Ok(grants) => {
                for line in lines(grants) {
                    say(format_args!("      {line}"));
                }
            }
            Err(error) => say(format_args!("      {error}")),
        }
        if *outputs > 0 {
            say(format_args!("      plays {outputs} channels"));
        }
    }
    say("file  any WAV file, looped at the pace of the clock: --host file --device FILE.wav");
    Ok(())
}

fn listed_json(listed: &Listed) -> serde_json::Value {
    let grant = |g: &Granted| {
        json!({
            "sample_rate": g.sample_rate, "format": g.format.name(), "channels": g.channels, "period_frames": g.period_frames,
            "buffer_frames": g.buffer_frames,
        })
    };
    let (grants, error) = match &listed.grants {
        Ok(grants) => (grants.iter().map(grant).collect(), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    json!({
        "host": listed.host.id(), "device": listed.device, "description": listed.description, "grants": grants, "error": error,
        "outputs": listed.outputs,
    })
}

/// A line for each format with its rates.
fn lines(grants: &[Granted]) -> Vec<String> {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for g in grants {
        let form = format!("{} channels, {}, period {} frames", g.channels, g.format.name(), g.period_frames);
        let rate = g.sample_rate.to_string();
        match lines.iter_mut().find(|(known, _)| *known == form) {
            Some((_, rates)) => rates.push(rate),
            None => lines.push((form, vec![rate])),
        }
    }
    lines.into_iter().map(|(form, rates)| format!("{form}, {} Hz", rates.join(", "))).collect()
}
