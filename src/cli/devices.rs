//! `isotherm devices`: lists the devices and the formats that they really grant.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::{Failure, examples, print_line};
use crate::device::{self, DeviceInfo, GrantedConfig, Host};

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
        .arg(
            Arg::new("all")
                .long("all")
                .action(ArgAction::SetTrue)
                .help("Also ALSA's converters and other names of the same devices: plughw, dsnoop, default, null ..."),
        )
        .after_help(examples(&["isotherm devices", "isotherm devices --host jack --json", "isotherm devices --host alsa --all"]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let wanted = matches.get_one::<String>("host").and_then(|id| Host::find(id));
    let hosts = Host::ALL.iter().copied().filter(|host| wanted.is_none_or(|wanted| wanted == *host));
    let all: Vec<DeviceInfo> = hosts.flat_map(|host| device::list(host, matches.get_flag("all"))).collect();
    if matches.get_flag("json") {
        let hosts: Vec<&str> = Host::ALL.iter().map(|host| host.id()).collect();
        print_line(json!({ "hosts": hosts, "devices": all.iter().map(device_json).collect::<Vec<_>>() }));
        return Ok(());
    }
    for DeviceInfo { host, device, description, grants, outputs } in &all {
        print_line(format_args!("{:5} {device}: {description}", host.id()));
        match grants {
            Ok(grants) => {
                for line in grant_lines(grants) {
                    print_line(format_args!("      {line}"));
                }
            }
            Err(error) => print_line(format_args!("      {error}")),
        }
        if *outputs > 0 {
            print_line(format_args!("      plays {outputs} channels"));
        }
    }
    print_line("file  any WAV file, looped at the pace of the clock: --host file --device FILE.wav");
    Ok(())
}

fn device_json(info: &DeviceInfo) -> serde_json::Value {
    let grant = |g: &GrantedConfig| {
        json!({
            "sample_rate": g.sample_rate, "format": g.format.name(), "channels": g.channels, "period_frames": g.period_frames,
            "buffer_frames": g.buffer_frames,
        })
    };
    let (grants, error) = match &info.grants {
        Ok(grants) => (grants.iter().map(grant).collect(), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    json!({
        "host": info.host.id(), "device": info.device, "description": info.description, "grants": grants, "error": error,
        "outputs": info.outputs,
    })
}

/// Returns a line for each format with the rates at which it is granted.
fn grant_lines(grants: &[GrantedConfig]) -> Vec<String> {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for g in grants {
        let format = format!("{} channels, {}, period {} frames", g.channels, g.format.name(), g.period_frames);
        let rate = g.sample_rate.to_string();
        match lines.iter_mut().find(|(other, _)| *other == format) {
            Some((_, rates)) => rates.push(rate),
            None => lines.push((format, vec![rate])),
        }
    }
    lines.into_iter().map(|(format, rates)| format!("{format}, {} Hz", rates.join(", "))).collect()
}
