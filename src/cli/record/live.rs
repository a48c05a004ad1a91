//! `isotherm record --device`: stems of a device while it plays.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use serde_json::json;

use super::desk::{self, Beside};
use super::view::{Picture, Screen, Shown, look};
use super::{Given, interruption, light, losses, ranges, takes_json, tell_takes, tell_unfinished, text};
use crate::algorithm::find;
use crate::cli::{Failure, model, say, whole};
use crate::device::{Capture, Granted, Host, Monitor, SampleFormat, Session, Sides, State, Wish};
use crate::dsp::{SettingError, Settings, Spec};
use crate::effect::Effect;
use crate::graph::{FileSink, Meter};
use crate::record::{Channel, Phase, Recorder};
use crate::slots::{Heard, Slots};

/// The heading of what can be heard.
pub const MONITOR: &str = "Monitoring";
/// The device is looked after, and a terminal drawn, this often.
const LOOK: Duration = Duration::from_millis(100);
/// A line is written this often.
const TELL: Duration = Duration::from_secs(1);
/// Frames that wait on their way to a file.
const FILE_FRAMES: usize = 1 << 17;

pub fn arguments() -> Vec<Arg> {
    let text =
        |name: &'static str, value: &'static str, help: &'static str| Arg::new(name).long(name).value_name(value).help(help);
    let hosts: Vec<&str> = Host::ALL.iter().map(|host| host.id()).collect();
    let of_device = [
        text("host", "HOST", "How the device is reached").value_parser(hosts),
        text("device-rate", "HZ", "Sample rate that the device must have; without it, its own"),
        text("device-format", "FORMAT", "Samples that the device must give: S32_LE, S24_LE, S24_3LE, S16_LE or FLOAT_LE"),
        text("device-channels", "COUNT", "Channels that the device must have; without it, as many as it has"),
        text("device-period", "FRAMES", "Period that the device must have; without it, about 256"),
        desk::argument(),
    ];
    let of_monitor = [
        text("monitor", "LIST", "One or two channels to hear through --algorithm, while all are recorded dry"),
        text("monitor-to", "PAIR", "The device's outputs to hear them on, such as 1,2"),
        text("monitor-device", "NAME", "The device that plays; without it, the one that records"),
        text("monitor-file", "FILE.wav", "What is heard goes to this file, too").value_parser(value_parser!(PathBuf)),
        text("algorithm", "ID", "What they are heard through (`isotherm algorithms` lists them)").requires("monitor"),
        text("set", "NAME=VALUE", "A parameter of it, such as drive=18").action(ArgAction::Append).requires("monitor"),
        model::argument().requires("monitor"),
    ];
    let of_device = of_device.map(|argument| argument.requires("device"));
    let of_monitor = of_monitor.map(|argument| argument.help_heading(MONITOR).requires("device"));
    of_device.into_iter().chain(of_monitor).collect()
}

/// What shall be heard, and where.
struct Heed {
    channels: Vec<usize>,
    effect: Effect,
    file: Option<PathBuf>,
}

fn wish(matches: &ArgMatches) -> Result<Wish, Failure> {
    let host = matches.get_one::<String>("host").and_then(|id| Host::find(id)).unwrap_or(Host::ALL[0]);
    let number = |name: &str, most: usize| matches.get_one::<String>(name).map(|text| whole(name, text, 1, most)).transpose();
    let mut wish = Wish::new(host, text(matches, "device"));
    wish.sample_rate = number("device-rate", 10_000_000)?.map(|rate| rate as u32);
    wish.channels = number("device-channels", crate::device::MAX_CHANNELS)?;
    wish.period_frames = number("device-period", 1 << 16)?;
    if let Some(name) = matches.get_one::<String>("device-format") {
        let known = || SampleFormat::ALL.map(SampleFormat::name).join(", ");
        let wrong = || Failure::Usage(format!("--device-format: '{name}' is no format; expected {}", known()));
        wish.format = Some(SampleFormat::find(name).ok_or_else(wrong)?);
    }
    if let Some(pair) = matches.get_one::<String>("monitor-to") {
        wish.outputs = ranges("monitor-to", pair, crate::device::MAX_CHANNELS)?.into_iter().map(|n| n - 1).collect();
    }
    wish.output_device = matches.get_one::<String>("monitor-device").cloned();
    Ok(wish)
}

/// The settings that `--set` makes of an algorithm.
fn parameters(matches: &ArgMatches, algorithm: &str) -> Result<Settings, Failure> {
    let mut settings = Settings::new(find(algorithm)?);
    for text in matches.get_many::<String>("set").into_iter().flatten() {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        settings.parse(name.trim(), value.trim()).map_err(|error| match error {
            SettingError::Value(error) => error.into(),
            SettingError::Parameter { .. } => Failure::Usage(format!("--set: {error}")),
        })?;
    }
    Ok(settings)
}

fn heed(matches: &ArgMatches, wish: &Wish) -> Result<Option<Heed>, Failure> {
    let Some(list) = matches.get_one::<String>("monitor") else { return Ok(None) };
    let channels: Vec<usize> =
        ranges("monitor", list, crate::device::MAX_CHANNELS)?.into_iter().map(|channel| channel - 1).collect();
    if channels.len() > 2 {
        return Err(Failure::Usage(format!("--monitor: found {} channels; expected one or two", channels.len())));
    }
    let algorithm = matches.get_one::<String>("algorithm").ok_or_else(|| Failure::Usage("--monitor: no --algorithm".into()))?;
    let effect = model::effect(matches, parameters(matches, algorithm)?)?;
    let file = matches.get_one::<PathBuf>("monitor-file").cloned();
    if file.is_none() && wish.outputs.is_empty() {
        return Err(Failure::Usage("--monitor: nowhere to hear it; expected --monitor-to or --monitor-file".into()));
    }
    Ok(Some(Heed { channels, effect, file }))
}

/// The monitor, and the file behind it.
fn monitor(heed: &Heed, granted: &Granted) -> Result<(Monitor, Option<FileSink>), Failure> {
    if let Some(channel) = heed.channels.iter().find(|channel| **channel >= granted.channels) {
        let (asked, device, channels) = (channel + 1, &granted.device, granted.channels);
        return Err(Failure::Failed(format!("{device}: asked for channel {asked}, the device gave {channels}")));
    }
    let width = heed.channels.len();
    let spec = Spec { sample_rate: granted.sample_rate as f32, channels: width, max_frames: granted.period_frames };
    let slots = Slots::compile(spec, std::slice::from_ref(&heed.effect), Heard::Slot(0), None).map_err(Failure::failed)?;
    let create = |path: &Path| FileSink::create(path, granted.sample_rate, width, crate::audio::Format::Int24, FILE_FRAMES);
    let (sink, queue) = heed.file.as_deref().map(create).transpose().map_err(Failure::failed)?.unzip();
    Ok((Monitor::new(slots.into_plan(), Sides::each(&heed.channels), granted, queue), sink))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let wish = wish(matches)?;
    let heed = heed(matches, &wish)?;
    let mut explosions = model::Explosions::watch(heed.as_ref().and_then(|heed| heed.effect.played()));
    let json = matches.get_flag("json");
    let interrupted = interruption();
    let prepared = Session::prepare(&wish, heed.is_some()).map_err(Failure::failed)?;
    let granted = prepared.granted().clone();
    check_channels(matches, &granted)?;
    let console = desk::open(matches, &granted)?;
    let given = Given {
        name: &format!("{} ({})", granted.device, granted.host.id()),
        rate: granted.sample_rate,
        channels: granted.channels,
        words: granted.format.words(),
        asked: &wish.to_string(),
        granted: &granted.to_string(),
    };
    let mut settings = super::settings(matches, &given)?;
    if let Some(console) = &console {
        desk::name(console, matches, &mut settings);
    }
    let ends_with_take = !matches.contains_id("start-level");
    let channels = settings.channels.clone();
    let (monitor, sink) = heed.as_ref().map(|heed| monitor(heed, &granted)).transpose()?.unzip();
    let sink = sink.flatten();
    let counts = monitor.as_ref().map(Monitor::counts);
    let meter = Meter::new(granted.channels);
    let unfinished = tell_unfinished(&settings.folder, json);
    let (recorder, writer) = Recorder::open(settings).map_err(Failure::failed)?;
    let conversion = recorder.level();
    if !json {
        say(format_args!("{}: asked for {wish}; granted {granted}", granted.device));
    }
    let console = console.map(|console| Beside::start(console, json)).transpose()?;
    let (started, busy) = (Instant::now(), processor_seconds());
    let mut session = match prepared.start(Capture::new(writer, &meter, &granted), monitor) {
        Ok(session) => session,
        Err(error) => {
            discard(recorder);
            return Err(Failure::failed(error));
        }
    };
    let mut watch = Watch::new(&meter, &channels, json);
    while !interrupted.load(Ordering::Relaxed) && !session.is_broken() {
        std::thread::sleep(LOOK);
        session.attend();
        if let Some(console) = &console {
            console.attend(&recorder);
        }
        let health = recorder.health();
        explosions.look((started.elapsed().as_secs_f64() * f64::from(granted.sample_rate)) as u64);
        watch.tell(&health, session.state(), console.as_ref());
        if let State::Changed(why) = session.state() {
            recorder.source_ended(why);
            break;
        }
        if health.phase == Phase::Armed && ends_with_take && !recorder.takes().is_empty() {
            break;
        }
    }
    let state = session.state().clone();
    let (seen, heard) = session.stop();
    if let Some(console) = &console {
        console.attend(&recorder);
    }
    explosions.warn(matches.get_one("model"), f64::from(granted.sample_rate));
    let takes = recorder.close();
    let seconds = started.elapsed().as_secs_f64();
    let share = (processor_seconds() - busy) / seconds;
    let file = match (sink, heard.and_then(Monitor::into_file)) {
        (Some(sink), Some(queue)) => Some(sink.finish(queue).map_err(Failure::failed)?),
        _ => None,
    };
    let mut lost = losses(&takes);
    if seen.broken {
        lost = Some("the capture broke".into());
    }
    if let (State::Changed(why), None) = (state, &lost) {
        // No take ran, so none says it.
        lost = Some(format!("{}: {why}", granted.device));
    }
    let dropped = counts.map_or(0, |counts| counts.dropped_frames());
    if json {
        say(json!({
            "conversion": conversion.to_string(), "granted": granted.to_string(), "takes": takes_json(&takes), "seconds": seconds,
            "lost": lost.is_some(), "cpu_share": share, "worst_callback_seconds": seen.worst.as_secs_f64(),
            "period_seconds": granted.period_frames as f64 / f64::from(granted.sample_rate), "overruns": seen.overruns,
            "departures": seen.departures, "output_underruns": seen.underruns, "monitor_dropped_frames": dropped,
            "monitor_frames": file.map(|written| written.frames), "explosions": explosions.json(),
            "desk": console.as_ref().map(Beside::json), "unfinished": unfinished,
        }));
    } else {
        tell_takes(&takes);
        say(format_args!(
            "{:.2} % of one core, longest callback {:.0} us of {:.0} us, {} overruns",
            share * 100.0,
            seen.worst.as_secs_f64() * 1e6,
            granted.period_frames as f64 / f64::from(granted.sample_rate) * 1e6,
            seen.overruns,
        ));
        if dropped > 0 || seen.underruns > 0 {
            say(format_args!("monitoring: {dropped} frames dropped, {} times nothing to play", seen.underruns));
        }
    }
    lost.map_or(Ok(()), |lost| Err(Failure::Lost(lost)))
}

/// Whether the device has the channels; before there is a recorder, whose message is about the call.
fn check_channels(matches: &ArgMatches, granted: &Granted) -> Result<(), Failure> {
    let Some(list) = matches.get_one::<String>("channels") else { return Ok(()) };
    match ranges("channels", list, crate::device::MAX_CHANNELS)?.into_iter().find(|channel| *channel > granted.channels) {
        Some(channel) => {
            let Granted { device, channels, .. } = granted;
            Err(Failure::Failed(format!("{device}: asked for channel {channel}, the device gave {channels}")))
        }
        None => Ok(()),
    }
}

/// Nothing has been recorded: a take that was begun leaves nothing.
fn discard(recorder: Recorder) {
    for (folder, _) in recorder.close() {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// Processor time of this program so far, all threads.
fn processor_seconds() -> f64 {
    #[cfg(unix)]
    if let Ok(time) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID) {
        return time.tv_sec() as f64 + time.tv_nsec() as f64 * 1e-9;
    }
    0.0
}

/// What is shown while it runs.
struct Watch<'a> {
    meter: &'a Meter,
    channels: &'a [Channel],
    shown: Vec<Shown>,
    screen: Option<Screen>,
    json: bool,
    told: Instant,
}

impl<'a> Watch<'a> {
    fn new(meter: &'a Meter, channels: &'a [Channel], json: bool) -> Self {
        let screen = (!json && std::io::stdout().is_terminal()).then(Screen::default);
        Self { meter, channels, shown: vec![Shown::default(); channels.len()], screen, json, told: Instant::now() }
    }

    fn tell(&mut self, health: &crate::record::Health, state: &State, console: Option<&Beside>) {
        let due = self.told.elapsed() >= TELL;
        if self.screen.is_none() && !due {
            return;
        }
        look(self.meter, self.channels, &mut self.shown);
        let mut device = match state {
            State::Running => "device running".to_string(),
            State::Away(why) => format!("DEVICE AWAY: {why}"),
            State::Changed(why) => format!("DEVICE CHANGED: {why}"),
            State::Broken(why) => format!("BROKEN: {why}"),
        };
        if let Some(console) = console {
            device = format!("{device}, {}", console.status());
        }
        let light = light(health);
        let picture = Picture { health, light: &light, device: &device, channels: self.channels, levels: &self.shown };
        match &mut self.screen {
            Some(screen) => screen.draw(&picture.lines()),
            None if self.json => say(picture.json()),
            None => say(picture.headline()),
        }
        if due {
            self.told = Instant::now();
        }
    }
}
