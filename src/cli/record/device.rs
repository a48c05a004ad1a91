//! `isotherm record --device`: records the channels of a device as stems and can play some of them through an algorithm
//! meanwhile.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use serde_json::{Value, json};

use super::desk::{self, DeskFollower};
use super::view::{ChannelReading, StatusView, Terminal, read_meters};
use super::{
    FinishedTake, SourceInfo, flag_value, health_text, interrupt_flag, losses, parse_ranges, print_takes, report_unfinished,
    take_settings, takes_json,
};
use crate::algorithm::{REGISTRY, find};
use crate::cli::{Failure, algorithm_argument, check_output, force_argument, model, parse_integer, print_line, settings_failure};
use crate::desk::Desk;
use crate::device::{
    Capture, DeviceState, GrantedConfig, Host, Monitor, MonitorRouting, OpenRequest, SampleFormat, Session, SessionCounts,
};
use crate::dsp::{ProcessSpec, Settings};
use crate::effect::Effect;
use crate::graph::{FileSink, Meter};
use crate::record::pcm::InstructionSet;
use crate::record::{self, Channel, Recorder, RecorderPhase};
use crate::slots::{Listen, Slots};

/// The heading of the flags for monitoring, in the help text.
pub const MONITOR_HEADING: &str = "Monitoring";
/// The device is polled, and the terminal drawn, this often.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Without a terminal, a status line is written this often.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// Capacity in frames of the queue from the monitor to its file.
const FILE_QUEUE_FRAMES: usize = 1 << 17;

/// The flags of `record` for devices and monitoring.
pub fn arguments() -> Vec<Arg> {
    let option =
        |name: &'static str, value: &'static str, help: &'static str| Arg::new(name).long(name).value_name(value).help(help);
    let hosts: Vec<&str> = Host::ALL.iter().map(|host| host.id()).collect();
    let device_flags = [
        option("host", "HOST", "How the device is reached").value_parser(hosts),
        option("device-rate", "HZ", "Sample rate that the device must have; without it, its own"),
        option("device-format", "FORMAT", "Samples that the device must give: S32_LE, S24_LE, S24_3LE, S16_LE or FLOAT_LE"),
        option("device-channels", "COUNT", "Channels that the device must have; without it, as many as it has"),
        option("device-period", "FRAMES", "Period that the device must have; without it, about 256"),
        desk::argument(),
    ];
    let monitor_flags = [
        option("monitor", "LIST", "One or two channels to hear through --algorithm, while all are recorded dry"),
        option("monitor-to", "PAIR", "The device's outputs to hear them on, such as 1,2"),
        option("monitor-device", "NAME", "The device that plays; without it, the one that records"),
        option("monitor-file", "FILE.wav", "The monitor's output goes to this file, too").value_parser(value_parser!(PathBuf)),
        force_argument().requires("monitor-file"),
        algorithm_argument("algorithm", REGISTRY.iter().copied(), &[])
            .help("Algorithm that they are heard through (`isotherm algorithms` lists the parameters)")
            .requires("monitor"),
        option("set", "NAME=VALUE", "A parameter of the algorithm, such as drive=18")
            .action(ArgAction::Append)
            .requires("monitor"),
        model::argument().requires("monitor"),
        model::rate_argument().requires("model"),
    ];
    let device_flags = device_flags.map(|argument| argument.requires("device"));
    let monitor_flags =
        monitor_flags.map(|argument| argument.help_heading(MONITOR_HEADING).hide_short_help(true).requires("device"));
    device_flags.into_iter().chain(monitor_flags).collect()
}

/// The monitoring that the flags ask for.
struct MonitorRequest {
    /// One or two channels of the device, counted from 0.
    channels: Vec<usize>,
    /// The effect through which they are played.
    effect: Effect,
    /// The file to which the monitor's output is written.
    file: Option<PathBuf>,
}

fn parse_open_request(matches: &ArgMatches) -> Result<OpenRequest, Failure> {
    let host = matches.get_one::<String>("host").and_then(|id| Host::find(id)).unwrap_or(Host::ALL[0]);
    let number =
        |name: &str, max: usize| matches.get_one::<String>(name).map(|text| parse_integer(name, text, 1, max)).transpose();
    let mut request = OpenRequest::new(host, flag_value(matches, "device"));
    request.sample_rate = number("device-rate", 10_000_000)?.map(|rate| rate as u32);
    request.channels = number("device-channels", crate::device::MAX_CHANNELS)?;
    request.period_frames = number("device-period", 1 << 16)?;
    if let Some(name) = matches.get_one::<String>("device-format") {
        let known = || SampleFormat::ALL.map(SampleFormat::name).join(", ");
        let error = || Failure::Usage(format!("--device-format: '{name}' is no format; expected {}", known()));
        request.format = Some(SampleFormat::find(name).ok_or_else(error)?);
    }
    if let Some(pair) = matches.get_one::<String>("monitor-to") {
        request.outputs = parse_ranges("monitor-to", pair, crate::device::MAX_CHANNELS)?.into_iter().map(|n| n - 1).collect();
    }
    request.output_device = matches.get_one::<String>("monitor-device").cloned();
    Ok(request)
}

/// Returns an algorithm's settings with the values of `--set`.
fn parse_monitor_settings(matches: &ArgMatches, algorithm: &str) -> Result<Settings, Failure> {
    let mut settings = Settings::new(find(algorithm)?);
    for text in matches.get_many::<String>("set").into_iter().flatten() {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        settings.parse(name.trim(), value.trim()).map_err(settings_failure)?;
    }
    Ok(settings)
}

/// Returns the monitoring that `--monitor` and its flags ask for; `None` without `--monitor`.
fn parse_monitor_request(matches: &ArgMatches, request: &OpenRequest) -> Result<Option<MonitorRequest>, Failure> {
    let Some(list) = matches.get_one::<String>("monitor") else { return Ok(None) };
    let channels: Vec<usize> =
        parse_ranges("monitor", list, crate::device::MAX_CHANNELS)?.into_iter().map(|channel| channel - 1).collect();
    if channels.len() > 2 {
        return Err(Failure::Usage(format!("--monitor: found {} channels; expected one or two", channels.len())));
    }
    let algorithm = matches.get_one::<String>("algorithm").ok_or_else(|| Failure::Usage("--monitor: no --algorithm".into()))?;
    let effect = model::effect(matches, parse_monitor_settings(matches, algorithm)?)?;
    let file = matches.get_one::<PathBuf>("monitor-file").cloned();
    file.as_deref().map_or(Ok(()), |file| check_output(matches, file))?;
    if file.is_none() && request.outputs.is_empty() {
        return Err(Failure::Usage("--monitor: nowhere to hear it; expected --monitor-to or --monitor-file".into()));
    }
    Ok(Some(MonitorRequest { channels, effect, file }))
}

/// Makes the monitor and the sink of its file.
fn make_monitor(request: &MonitorRequest, granted: &GrantedConfig) -> Result<(Monitor, Option<FileSink>), Failure> {
    if let Some(channel) = request.channels.iter().find(|channel| **channel >= granted.channels) {
        let (channel, device, channels) = (channel + 1, &granted.device, granted.channels);
        return Err(Failure::Failed(format!("{device}: asked for channel {channel}, the device gave {channels}")));
    }
    let width = request.channels.len();
    let spec = ProcessSpec::new(granted.sample_rate as f32, width, granted.period_frames);
    let slots = Slots::compile(spec, std::slice::from_ref(&request.effect), Listen::Slot(0), None).map_err(Failure::failed)?;
    let create =
        |path: &Path| FileSink::create(path, granted.sample_rate, width, crate::audio::WavFormat::Int24, FILE_QUEUE_FRAMES);
    let (sink, queue) = request.file.as_deref().map(create).transpose().map_err(Failure::failed)?.unzip();
    Ok((Monitor::new(slots.into_plan(), MonitorRouting::one_to_one(&request.channels), granted, queue), sink))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let request = parse_open_request(matches)?;
    let monitor_request = parse_monitor_request(matches, &request)?;
    let mut nan_resets = model::NanResets::new(monitor_request.as_ref().and_then(|monitor| monitor.effect.active_model()));
    let json = matches.get_flag("json");
    let interrupted = interrupt_flag();
    let prepared = Session::prepare(&request, monitor_request.is_some()).map_err(Failure::failed)?;
    let granted = prepared.granted().clone();
    check_channels(matches, &granted)?;
    let desk = desk::open(matches, &granted)?;
    let settings = device_take_settings(matches, &request, &granted, desk.as_ref())?;
    let ends_with_take = !matches.contains_id("start-level");
    let channels = settings.channels.clone();
    let (monitor, sink) = monitor_request.as_ref().map(|monitor| make_monitor(monitor, &granted)).transpose()?.unzip();
    let sink = sink.flatten();
    let monitor_counts = monitor.as_ref().map(Monitor::counts);
    let meter = Meter::new(granted.channels);
    let unfinished = report_unfinished(&settings.folder, json);
    let (recorder, writer) = Recorder::open(settings).map_err(Failure::failed)?;
    let instruction_set = recorder.instruction_set();
    if !json {
        print_line(format_args!("{}: asked for {request}; granted {granted}", granted.device));
    }
    let desk = desk.map(|desk| DeskFollower::start(desk, json)).transpose()?;
    let (started, cpu_seconds_before) = (Instant::now(), cpu_seconds());
    let mut session = match prepared.start(Capture::new(writer, &meter, &granted), monitor) {
        Ok(session) => session,
        Err(error) => {
            discard(recorder);
            return Err(Failure::failed(error));
        }
    };
    let mut display = StatusDisplay::new(&meter, &channels, json);
    while !interrupted.load(Ordering::Relaxed) && !session.has_panicked() {
        std::thread::sleep(POLL_INTERVAL);
        session.poll();
        if let Some(desk) = &desk {
            desk.forward_changes(&recorder);
        }
        let health = recorder.health();
        nan_resets.update((started.elapsed().as_secs_f64() * f64::from(granted.sample_rate)) as u64);
        display.update(&health, session.state(), desk.as_ref());
        if let DeviceState::RateChanged(reason) = session.state() {
            recorder.source_ended(reason);
            break;
        }
        if health.phase == RecorderPhase::Standby && ends_with_take && !recorder.takes().is_empty() {
            break;
        }
    }
    let state = session.state().clone();
    let (counts, monitor) = session.stop();
    if let Some(desk) = &desk {
        desk.forward_changes(&recorder);
    }
    nan_resets.warn(matches.get_one("model"), f64::from(granted.sample_rate));
    let takes = recorder.close();
    let seconds = started.elapsed().as_secs_f64();
    let cpu_share = (cpu_seconds() - cpu_seconds_before) / seconds;
    let file = match (sink, monitor.and_then(Monitor::into_file)) {
        (Some(sink), Some(queue)) => Some(sink.finish(queue).map_err(Failure::failed)?),
        _ => None,
    };
    let lost = loss_text(&takes, &counts, &state, &granted);
    let report = RecordingReport {
        instruction_set,
        granted: &granted,
        takes: &takes,
        seconds,
        cpu_share,
        counts,
        dropped_frames: monitor_counts.map_or(0, |counts| counts.dropped_frames()),
        monitor_frames: file.map(|written| written.frames),
        nan_resets: nan_resets.json(),
        desk: desk.as_ref().map(DeskFollower::json),
        unfinished,
    };
    if json {
        print_line(report.json(lost.is_some()))
    } else {
        report.print()
    }
    lost.map_or(Ok(()), |lost| Err(Failure::Lost(lost)))
}

/// Returns the settings of the takes of a device, with the names and tracks of its desk.
fn device_take_settings(
    matches: &ArgMatches,
    request: &OpenRequest,
    granted: &GrantedConfig,
    desk: Option<&Desk>,
) -> Result<record::RecorderSettings, Failure> {
    let source = SourceInfo {
        name: &format!("{} ({})", granted.device, granted.host.id()),
        rate: granted.sample_rate,
        channels: granted.channels,
        word_format: granted.format.word_format(),
        requested: &request.to_string(),
        granted: &granted.to_string(),
    };
    let mut settings = take_settings(matches, &source)?;
    if let Some(desk) = desk {
        desk::add_to_settings(desk, matches, &mut settings);
    }
    Ok(settings)
}

/// Returns the losses of the recording in one line; `None` if nothing was lost.
fn loss_text(takes: &[FinishedTake], counts: &SessionCounts, state: &DeviceState, granted: &GrantedConfig) -> Option<String> {
    match (losses(takes), state) {
        _ if counts.panicked => Some("the capture broke".into()),
        // No take ran that would have this reason in its manifest.
        (None, DeviceState::RateChanged(reason)) => Some(format!("{}: {reason}", granted.device)),
        (lost, _) => lost,
    }
}

/// The figures of a finished recording.
struct RecordingReport<'a> {
    /// The instructions that converted the samples.
    instruction_set: InstructionSet,
    granted: &'a GrantedConfig,
    takes: &'a [FinishedTake],
    /// Duration of the recording.
    seconds: f64,
    /// Processor time of all threads, as a share of one core.
    cpu_share: f64,
    counts: SessionCounts,
    /// Frames that the monitor's file lacks.
    dropped_frames: u64,
    /// Frames that the monitor's file has.
    monitor_frames: Option<u64>,
    nan_resets: Value,
    desk: Option<Value>,
    /// Paths of takes that were unfinished before this recording.
    unfinished: Vec<String>,
}

impl RecordingReport<'_> {
    fn period_seconds(&self) -> f64 {
        self.granted.period_frames as f64 / f64::from(self.granted.sample_rate)
    }

    fn json(&self, lost: bool) -> Value {
        let Self { counts, .. } = self;
        json!({
            "conversion": self.instruction_set.to_string(), "granted": self.granted.to_string(), "takes": takes_json(self.takes),
            "seconds": self.seconds, "lost": lost, "cpu_share": self.cpu_share,
            "worst_callback_seconds": counts.longest_callback.as_secs_f64(),
            "period_seconds": self.period_seconds(), "overruns": counts.overruns, "departures": counts.disconnects,
            "output_underruns": counts.underruns, "monitor_dropped_frames": self.dropped_frames,
            "monitor_frames": self.monitor_frames,
            "nan_resets": self.nan_resets, "desk": self.desk, "unfinished": self.unfinished,
        })
    }

    fn print(&self) {
        let Self { counts, dropped_frames, .. } = self;
        print_takes(self.takes);
        let (percent, period) = (self.cpu_share * 100.0, self.period_seconds() * 1e6);
        let (longest, overruns) = (counts.longest_callback.as_secs_f64() * 1e6, counts.overruns);
        print_line(format_args!(
            "{percent:.2} % of one core, longest callback {longest:.0} us of {period:.0} us, {overruns} overruns"
        ));
        if *dropped_frames > 0 || counts.underruns > 0 {
            print_line(format_args!("monitoring: {dropped_frames} frames dropped, {} times nothing to play", counts.underruns));
        }
    }
}

/// Checks that the device has the channels of `--channels`, so that the error names the device.
fn check_channels(matches: &ArgMatches, granted: &GrantedConfig) -> Result<(), Failure> {
    let Some(list) = matches.get_one::<String>("channels") else { return Ok(()) };
    match parse_ranges("channels", list, crate::device::MAX_CHANNELS)?.into_iter().find(|channel| *channel > granted.channels) {
        Some(channel) => {
            let GrantedConfig { device, channels, .. } = granted;
            Err(Failure::Failed(format!("{device}: asked for channel {channel}, the device gave {channels}")))
        }
        None => Ok(()),
    }
}

/// Closes a recorder that got no frame, and deletes its takes.
fn discard(recorder: Recorder) {
    for (folder, _) in recorder.close() {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// Returns the processor time of all threads of this process so far, in seconds; 0 where the system does not provide it.
fn cpu_seconds() -> f64 {
    #[cfg(unix)]
    if let Ok(time) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID) {
        return time.tv_sec() as f64 + time.tv_nsec() as f64 * 1e-9;
    }
    0.0
}

/// The display of a running recording on standard output.
struct StatusDisplay<'a> {
    meter: &'a Meter,
    channels: &'a [Channel],
    /// The newest reading of each channel.
    readings: Vec<ChannelReading>,
    /// `None` if standard output is not a terminal, or for JSON.
    terminal: Option<Terminal>,
    json: bool,
    last_line: Instant,
}

impl<'a> StatusDisplay<'a> {
    fn new(meter: &'a Meter, channels: &'a [Channel], json: bool) -> Self {
        let terminal = (!json && std::io::stdout().is_terminal()).then(Terminal::default);
        let readings = vec![ChannelReading::default(); channels.len()];
        Self { meter, channels, readings, terminal, json, last_line: Instant::now() }
    }

    /// Draws the status on the terminal; without one, prints a line if it is time.
    fn update(&mut self, health: &crate::record::Health, state: &DeviceState, desk: Option<&DeskFollower>) {
        let is_due = self.last_line.elapsed() >= STATUS_INTERVAL;
        if self.terminal.is_none() && !is_due {
            return;
        }
        read_meters(self.meter, self.channels, &mut self.readings);
        let mut device = match state {
            DeviceState::Running => "device running".to_string(),
            DeviceState::Disconnected(reason) => format!("DEVICE AWAY: {reason}"),
            DeviceState::RateChanged(reason) => format!("DEVICE CHANGED: {reason}"),
            DeviceState::Panicked(reason) => format!("BROKEN: {reason}"),
        };
        if let Some(desk) = desk {
            device = format!("{device}, {}", desk.status());
        }
        let health_text = health_text(health);
        let (channels, readings) = (self.channels, &self.readings[..]);
        let view = StatusView { health, health_text: &health_text, device: &device, channels, readings };
        match &mut self.terminal {
            Some(terminal) => terminal.draw(&view.lines()),
            None if self.json => print_line(view.json()),
            None => print_line(view.headline()),
        }
        if is_due {
            self.last_line = Instant::now();
        }
    }
}
