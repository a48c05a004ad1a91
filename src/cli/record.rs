//! `isotherm record`: records the channels of a device as stems; or those of files or of standard input, at real-time pace or as
//! fast as possible.

mod desk;
mod device;
mod view;

use std::io::{Chain, Cursor, IsTerminal, Read, Stdin, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::json;

use super::input::{self, STANDARD_INPUT, is_dash};
use super::{Failure, examples, format_argument, parse_format, parse_integer, parse_number, path_text, print_line};
use crate::audio::{NonFinitePolicy, WavFormat, wav};
use crate::record::pcm::WordFormat;
use crate::record::{
    self, Channel, Health, Manifest, Recorder, RecorderPhase, RecorderSettings, StartTrigger, StatusLight, StopConditions, Writer,
};

/// Frames that are read at a time with `--fast`.
const FAST_FRAMES: usize = 4096;
/// The status line is written this often.
const STATUS_INTERVAL: Duration = Duration::from_millis(500);

pub fn command() -> Command {
    let option =
        |name: &'static str, value: &'static str, help: &'static str| Arg::new(name).long(name).value_name(value).help(help);
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("record")
        .about("Records stems, a file per channel, into a folder of their own; exit code 3 if anything was lost")
        .arg(
            option("device", "NAME", "Source: a device (`isotherm devices` lists them)")
                .conflicts_with_all(["input", "fast", "block"]),
        )
        .args(device::arguments())
        .arg(input::join_argument().requires("input"))
        .arg(
            option("input", "FILE.wav", "Source: one or more files, their channels side by side; - or nothing is standard input")
                .num_args(1..)
                .action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            option("out", "DIR", "The folder in which the take's folder is made")
                .required(true)
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(option("name", "NAME", "Name of the take").default_value("take"))
        .arg(option("channels", "LIST", "Channels to record, such as 1-8,12; without it, all"))
        .arg(option("names", "LIST", "Names of the recorded channels, such as Kick,Snare"))
        .arg(format_argument())
        .arg(flag("interleaved", "One more file, with all channels"))
        .arg(
            option("stdin-format", "FORMAT", "Samples of standard input: f32, s32 or s24 (24 low bits of 32), little-endian")
                .default_value("f32"),
        )
        .arg(option("stdin-channels", "COUNT", "Interleaved channels of standard input").default_value("2"))
        .arg(option("stdin-rate", "HZ", "Sample rate of standard input").default_value("48000"))
        .arg(flag("fast", "As fast as it goes, in place of real time"))
        .arg(option("block", "FRAMES", "Frames at a time, at real-time pace").default_value("256"))
        .arg(option("buffer", "TIME", "Sound that the buffer can hold while the disk is slow").default_value("10s"))
        .arg(
            option("pre-roll", "TIME", "Sound from before the start, put in front of a take that --start-level starts; 0 to 60s")
                .num_args(0..=1)
                .default_missing_value("5s"),
        )
        .arg(option("start-level", "DB", "Start when a channel reaches this level, in dBFS").allow_hyphen_values(true))
        .arg(
            option("stop-level", "DB", "Stop when all channels have been below this level for --stop-after")
                .allow_hyphen_values(true),
        )
        .arg(option("stop-after", "TIME", "Time below --stop-level").default_value("10s"))
        .arg(option("split", "TIME", "New files after each such time, without losing a frame"))
        .arg(option("duration", "TIME", "Stop after this time"))
        .arg(flag("no-sync", "Leave it to the system when the bytes reach the disk"))
        .arg(flag("no-hashes", "No SHA-256 sums in the manifest"))
        .arg(flag("json", "The report as JSON; with --device also a line every second"))
        .after_help(examples(&[
            "isotherm record --device hw:X32 --channels 1-16,31,32 --out takes --name Drums",
            "isotherm record --device system --host jack --desk --out takes --duration 30m",
            "isotherm record --input multitrack.wav --fast --channels 1,3,5 --names Kick,Snare,Hat --out takes",
            "isotherm record --input X-LIVE/00000001.WAV --join --fast --out takes --name Show",
        ]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    if matches.contains_id("device") {
        return device::run(matches);
    }
    let mut source = Source::open(matches)?;
    let format_text = format!("{} channels, {} Hz, {}", source.channels, source.rate, source.word_format);
    let source_info = SourceInfo {
        name: &source.name,
        rate: source.rate,
        channels: source.channels,
        word_format: source.word_format,
        requested: &format_text,
        granted: &format_text,
    };
    let settings = take_settings(matches, &source_info)?;
    let fast = matches.get_flag("fast");
    let block = if fast { FAST_FRAMES } else { parse_integer("block", flag_value(matches, "block"), 1, 1 << 20)? };
    let (json, memory, rate) = (matches.get_flag("json"), Recorder::memory_bytes(&settings), settings.sample_rate);
    let (stems, format) = (settings.channels.len(), settings.format);
    let unfinished = report_unfinished(&settings.folder, json);
    let (recorder, mut writer) = Recorder::open(settings).map_err(Failure::failed)?;
    let instruction_set = recorder.instruction_set();
    if !json {
        print_line(format_args!(
            "recording {stems} of {} channels of {} at {rate} Hz to {format}; conversion: {instruction_set}; memory: {:.0} MB",
            source.channels,
            source.name,
            memory as f64 / 1e6
        ));
    }
    let started = Instant::now();
    let result = feed_recorder(&mut source, &recorder, &mut writer, (!fast).then_some(rate), block);
    source.warn_late_notes();
    let takes = recorder.close();
    let lost = losses(&takes);
    if json {
        print_line(json!({
            "conversion": instruction_set.to_string(), "memory_bytes": memory, "takes": takes_json(&takes),
            "seconds": started.elapsed().as_secs_f64(), "lost": lost.is_some(), "unfinished": unfinished,
        }));
    } else {
        print_takes(&takes);
    }
    result?;
    lost.map_or(Ok(()), |lost| Err(Failure::Lost(lost)))
}

/// The folder and the manifest of a finished take.
type FinishedTake = (PathBuf, Manifest);

/// Returns the losses of all takes in one line; `None` if nothing was lost.
fn losses(takes: &[FinishedTake]) -> Option<String> {
    let lost: Vec<String> = takes.iter().filter_map(|(_, manifest)| manifest.loss_text()).collect();
    (!lost.is_empty()).then(|| lost.join("; "))
}

fn takes_json(takes: &[FinishedTake]) -> serde_json::Value {
    takes.iter().map(|(folder, m)| json!({ "folder": path_text(folder), "manifest": m })).collect()
}

fn print_takes(takes: &[FinishedTake]) {
    for (folder, manifest) in takes {
        print_line(format_args!("{}: {}", folder.display(), manifest.summary()));
    }
    if takes.is_empty() {
        print_line("nothing was recorded: the level was never reached");
    }
}

/// Writes the source to the recorder until the source ends, the take ends by itself, or the program is interrupted. `rate` is the
/// pace in Hz; without it, the source is read as fast as the disk takes it.
fn feed_recorder(
    source: &mut Source,
    recorder: &Recorder,
    writer: &mut Writer,
    rate: Option<u32>,
    block: usize,
) -> Result<(), Failure> {
    let interrupted = interrupt_flag();
    writer.set_blocking(rate.is_none());
    let shows_status = std::io::stderr().is_terminal();
    let (start, mut last_status, mut frames) = (Instant::now(), Instant::now(), 0u64);
    while !interrupted.load(Ordering::Relaxed) {
        let n = source.read(block)?;
        if n == 0 {
            break;
        }
        frames += n as u64;
        if let Some(rate) = rate {
            // A block is due at the time of its last frame.
            let due = start + Duration::from_secs_f64(frames as f64 / f64::from(rate));
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        source.write_to(writer, n);
        if last_status.elapsed() >= STATUS_INTERVAL {
            last_status = Instant::now();
            let health = recorder.health();
            if shows_status {
                print_status(&health);
            }
            if health.phase == RecorderPhase::Standby && source.ends_with_take && !recorder.takes().is_empty() {
                break;
            }
        }
    }
    if shows_status {
        let _ = writeln!(std::io::stderr());
    }
    Ok(())
}

/// Returns a flag that becomes true at Ctrl-C or a signal to end (SIGTERM, SIGHUP). Further signals can make the program exit at
/// once, see [`InterruptCounter`].
pub fn interrupt_flag() -> Arc<AtomicBool> {
    interrupt_flag_with(|| ())
}

/// As [`interrupt_flag`]; `before_exit` is called before the program exits at once, without waiting for the disk.
pub fn interrupt_flag_with(before_exit: impl Fn() + Send + 'static) -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    let mut counter = InterruptCounter::default();
    let handler = move || {
        flag.store(true, Ordering::Relaxed);
        if counter.add_signal(Instant::now()) {
            let _ = writeln!(
                std::io::stderr(),
                "isotherm: interrupted again: the disk is not waited for; \
                 `isotherm recover` makes whole a take that is left unfinished"
            );
            before_exit();
            std::process::exit(3);
        }
    };
    // Fails only if the process has a handler already, as in another program that calls this one; then that handler stays.
    let _ = ctrlc::set_handler(handler);
    interrupted
}

/// Counts the requests to end the program, to tell a first request (finish the take) from a repeated one (exit without waiting
/// for the disk). One request may arrive as several signals: `timeout -s INT` sends one to the program and one to its process
/// group; a service manager sends SIGTERM and SIGHUP.
#[derive(Default)]
struct InterruptCounter {
    /// Times of the first and of the newest signal.
    first_and_last: Option<(Instant, Instant)>,
    /// Number of requests; a burst of signals is one request.
    requests: u32,
}

impl InterruptCounter {
    /// Signals that follow one another within this time are one request.
    const BURST: Duration = Duration::from_millis(250);
    /// A second request within this time after the first one is not yet a repeated one; a third is.
    const REPEAT_DELAY: Duration = Duration::from_secs(2);

    /// Counts a signal. Returns true if the program must exit without waiting: at the third request, or at the second one if
    /// [`Self::REPEAT_DELAY`] has passed since the first.
    fn add_signal(&mut self, now: Instant) -> bool {
        let (first, last) = *self.first_and_last.get_or_insert((now, now));
        if self.requests == 0 || now - last >= Self::BURST {
            self.requests += 1;
        }
        self.first_and_last = Some((first, now));
        self.requests >= 3 || self.requests == 2 && now - first >= Self::REPEAT_DELAY
    }
}

/// Returns the paths of the unfinished takes in the folder, for the report. Prints a line on each, unless the report is JSON.
fn report_unfinished(folder: &Path, json: bool) -> Vec<String> {
    let takes = record::unfinished_takes(folder);
    for take in takes.iter().filter(|_| !json) {
        print_line(record::unfinished_message(take));
    }
    takes.iter().map(|take| take.display().to_string()).collect()
}

/// Returns the state of a recording as a word or two.
fn health_text(health: &Health) -> String {
    match health.light {
        StatusLight::Green => "ok".into(),
        StatusLight::Yellow => format!("stretched {}", health.stretched),
        StatusLight::Red => format!("LOST {}", health.lost_frames),
    }
}

/// Writes the status over the last line of standard error.
fn print_status(health: &Health) {
    let state = health_text(health);
    let phase = if health.phase == RecorderPhase::Recording { "recording" } else { "waiting" };
    let left = health.disk_seconds_left.map_or(String::new(), |s| format!(", {:.1} h left", s / 3600.0));
    let line = format!("{phase} {:.1} s, {state}, buffer {:.0} %{left}", health.seconds, health.fill * 100.0);
    let _ = write!(std::io::stderr(), "\r{}\x1b[K", view::fit(&line));
}

/// Returns the value of a flag; without it, an empty text.
fn flag_value<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map_or("", String::as_str)
}

/// Parses the value of the flag `name`: a time such as 10s, 500ms, 30m or 1h; without a unit, seconds. Returns seconds.
fn parse_time(name: &str, text: &str) -> Result<f64, Failure> {
    const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let text = text.trim();
    let (digits, unit) =
        UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds))).unwrap_or((text, 1.0));
    let seconds = crate::dsp::parse_number(digits).map(|n| n * unit).filter(|s| (0.0..=1e9).contains(s));
    seconds.ok_or_else(|| Failure::Usage(format!("--{name}: '{text}' is no time; expected one such as 10s, 500ms, 30m or 1h")))
}

fn optional_time(matches: &ArgMatches, name: &str) -> Result<Option<f64>, Failure> {
    matches.get_one::<String>(name).map(|text| parse_time(name, text)).transpose()
}

fn optional_db(matches: &ArgMatches, name: &str) -> Result<Option<f32>, Failure> {
    matches.get_one::<String>(name).map(|text| Ok(parse_number(name, text, -200.0, 60.0)? as f32)).transpose()
}

/// Parses the value of the flag `name`: integers from 1 to `max` and ranges of them, separated by commas, such as `1-8,12`.
pub fn parse_ranges(name: &str, text: &str, max: usize) -> Result<Vec<usize>, Failure> {
    let mut all = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (parse_integer(name, first, 1, max)?, parse_integer(name, last, 1, max)?);
        if first > last {
            return Err(Failure::Usage(format!("--{name}: '{part}' runs backwards; expected {last}-{first}")));
        }
        all.extend(first..=last);
    }
    Ok(all)
}

/// The properties of a source that the settings of its takes need.
struct SourceInfo<'a> {
    name: &'a str,
    /// Sample rate in Hz.
    rate: u32,
    channels: usize,
    word_format: WordFormat,
    /// The request to the device, for the manifest; elsewhere the source's format.
    requested: &'a str,
    /// The device's answer, for the manifest; elsewhere the source's format.
    granted: &'a str,
}

fn take_settings(matches: &ArgMatches, source: &SourceInfo<'_>) -> Result<RecorderSettings, Failure> {
    let out = matches.get_one::<PathBuf>("out").ok_or_else(|| Failure::Usage("--out: no folder".into()))?;
    let mut settings = RecorderSettings::new(out.clone(), flag_value(matches, "name"), source.rate, source.channels);
    if let Some(channels) = matches.get_one::<String>("channels") {
        let channels = parse_ranges("channels", channels, source.channels)?;
        settings.channels = channels.into_iter().map(|n| settings.channels[n - 1].clone()).collect();
        let duplicate = (1..settings.channels.len()).find(|i| settings.channels[..*i].contains(&settings.channels[*i]));
        if let Some(index) = duplicate {
            let channel = settings.channels[index].source_channel + 1;
            return Err(Failure::Usage(format!("--channels: found {channel} twice; expected every channel once")));
        }
    }
    if let Some(names) = matches.get_one::<String>("names") {
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        if names.len() != settings.channels.len() {
            let (found, expected) = (names.len(), settings.channels.len());
            return Err(Failure::Usage(format!(
                "--names: found {found} names; expected {expected}, one for each recorded channel"
            )));
        }
        let named = settings.channels.iter().zip(names);
        settings.channels = named.map(|(channel, name)| Channel { name: name.into(), ..channel.clone() }).collect();
    }
    settings.source = source.name.into();
    settings.requested = source.requested.into();
    settings.granted = source.granted.into();
    settings.word_format = source.word_format;
    settings.format = parse_format(matches)?;
    settings.interleaved = matches.get_flag("interleaved");
    settings.buffer_seconds = parse_time("buffer", flag_value(matches, "buffer"))?;
    settings.pre_roll_seconds = optional_time(matches, "pre-roll")?.unwrap_or(0.0);
    settings.start = optional_db(matches, "start-level")?.map_or(StartTrigger::Now, |db| StartTrigger::Level { db });
    let below = optional_db(matches, "stop-level")?;
    let after = parse_time("stop-after", flag_value(matches, "stop-after"))?;
    settings.stop = StopConditions { after_seconds: optional_time(matches, "duration")?, below: below.map(|db| (db, after)) };
    settings.split_seconds = optional_time(matches, "split")?;
    settings.sync = !matches.get_flag("no-sync");
    settings.hashes = !matches.get_flag("no-hashes");
    Ok(settings)
}

/// A source of samples that is no device: files or standard input.
struct Source {
    name: String,
    /// Sample rate in Hz.
    rate: u32,
    channels: usize,
    /// The type of the samples; it decides which of the block's two buffers is used.
    word_format: WordFormat,
    /// True if reading stops when a take has ended: without `--start-level` there is only one take.
    ends_with_take: bool,
    input: Input,
}

/// The place that samples are read from, with the block that was read last.
enum Input {
    /// WAV files whose channels lie side by side; a buffer per channel.
    Files {
        readers: Vec<wav::Reader>,
        /// Notes of each reader that have been said.
        noted: Vec<usize>,
        floats: Vec<Vec<f32>>,
        integers: Vec<Vec<i32>>,
    },
    /// Standard input; interleaved buffers.
    Stdin { stdin: Chain<Cursor<Vec<u8>>, Stdin>, bytes: Vec<u8>, floats: Vec<f32>, integers: Vec<i32> },
}

impl Source {
    fn open(matches: &ArgMatches) -> Result<Self, Failure> {
        let files: Vec<&PathBuf> = matches.get_many("input").into_iter().flatten().collect();
        let ends_with_take = !matches.contains_id("start-level");
        let (mut stdin, mut stdin_is_sound) = (None, false);
        if files.is_empty() || files.iter().any(|file| is_dash(file)) {
            let mut start = Vec::new();
            std::io::stdin()
                .take(12)
                .read_to_end(&mut start)
                .map_err(|e| Failure::Failed(format!("standard input: cannot read it: {e}")))?;
            stdin_is_sound = wav::is_sound_file(&start);
            stdin = Some(Cursor::new(start).chain(std::io::stdin()));
        }
        if let Some(stdin) = stdin.take_if(|_| !stdin_is_sound && files.iter().all(|file| is_dash(file))) {
            let word_format = match flag_value(matches, "stdin-format") {
                "f32" => WordFormat::Float,
                "s32" => WordFormat::Int32,
                "s24" => WordFormat::Int24,
                other => {
                    return Err(Failure::Usage(format!("--stdin-format: '{other}' is no format; expected f32, s32 or s24")));
                }
            };
            let input = Input::Stdin { stdin, bytes: Vec::new(), floats: Vec::new(), integers: Vec::new() };
            let channels = parse_integer("stdin-channels", flag_value(matches, "stdin-channels"), 1, 512)?;
            let rate = parse_integer("stdin-rate", flag_value(matches, "stdin-rate"), 1, 10_000_000)? as u32;
            return Ok(Self { name: STANDARD_INPUT.into(), rate, channels, word_format, ends_with_take, input });
        }
        let standard_input = PathBuf::from("-");
        let files = if files.is_empty() { vec![&standard_input] } else { files };
        let readers = if matches.get_flag("join") {
            let paths: Vec<&Path> = files.iter().map(|file| file.as_path()).collect();
            vec![input::open_joined(&paths)?]
        } else {
            let mut open = |file: &&PathBuf| match stdin.take_if(|_| is_dash(file)) {
                Some(stdin) => input::open_stream(stdin),
                None => input::open(file),
            };
            files.iter().map(&mut open).collect::<Result<Vec<wav::Reader>, Failure>>()?
        };
        let readers: Vec<wav::Reader> = readers.into_iter().map(|reader| reader.with_non_finite(NonFinitePolicy::Keep)).collect();
        let rate = readers[0].sample_rate();
        if let Some(other) = readers.iter().find(|reader| reader.sample_rate() != rate) {
            let (a, b) = (readers[0].path().display(), other.path().display());
            return Err(Failure::Failed(format!("{a} has {rate} Hz, {b} has {} Hz; expected one rate", other.sample_rate())));
        }
        let channels = readers.iter().map(wav::Reader::channels).sum();
        // Integer files are read, recorded and written as integers; if one file is float, all are read as floats.
        let float = readers.iter().any(|reader| reader.format() == WavFormat::Float32);
        let word_format = if float { WordFormat::Float } else { WordFormat::Int32 };
        let names: Vec<String> = readers.iter().map(|reader| reader.path().display().to_string()).collect();
        let noted = readers.iter().map(|reader| reader.notes().len()).collect();
        let input = Input::Files { readers, noted, floats: vec![Vec::new(); channels], integers: vec![Vec::new(); channels] };
        Ok(Self { name: names.join(", "), rate, channels, word_format, ends_with_take, input })
    }

    /// Reads the next block of up to `block` frames. Returns the number of frames read, 0 at the end.
    fn read(&mut self, block: usize) -> Result<usize, Failure> {
        match &mut self.input {
            Input::Files { readers, floats, .. } if self.word_format == WordFormat::Float => read_files(readers, floats, block),
            Input::Files { readers, integers, .. } => read_files(readers, integers, block),
            Input::Stdin { stdin, bytes, floats, integers } => {
                bytes.resize(block * self.channels * 4, 0);
                let mut filled = 0;
                while filled < bytes.len() {
                    match stdin.read(&mut bytes[filled..]) {
                        Ok(0) => break,
                        Ok(n) => filled += n,
                        Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                        Err(e) => return Err(Failure::Failed(format!("standard input: cannot read it: {e}"))),
                    }
                }
                let (raw_samples, _) = bytes[..filled].as_chunks::<4>();
                let n = raw_samples.len() / self.channels;
                let raw_samples = &raw_samples[..n * self.channels];
                floats.clear();
                integers.clear();
                if self.word_format == WordFormat::Float {
                    floats.extend(raw_samples.iter().map(|raw| f32::from_le_bytes(*raw)));
                } else {
                    integers.extend(raw_samples.iter().map(|raw| i32::from_le_bytes(*raw)));
                }
                Ok(n)
            }
        }
    }

    /// Says what the end of a stream has shown to be odd.
    fn warn_late_notes(&self) {
        if let Input::Files { readers, noted, .. } = &self.input {
            for (reader, noted) in readers.iter().zip(noted) {
                input::warn_notes(reader.path(), reader.notes().get(*noted..).unwrap_or(&[]));
            }
        }
    }

    /// Writes the block that was read last, of `n` frames, to the recorder.
    fn write_to(&self, writer: &mut Writer, n: usize) {
        match &self.input {
            Input::Files { floats, .. } if self.word_format == WordFormat::Float => {
                let block: Vec<&[f32]> = floats.iter().map(|c| &c[..n]).collect();
                writer.write(&block);
            }
            Input::Files { integers, .. } => {
                let block: Vec<&[i32]> = integers.iter().map(|c| &c[..n]).collect();
                writer.write(&block);
            }
            Input::Stdin { floats, .. } if self.word_format == WordFormat::Float => {
                writer.write_interleaved(floats, self.channels);
            }
            Input::Stdin { integers, .. } => {
                writer.write_interleaved(integers, self.channels);
            }
        }
    }
}

/// Reads the next block of all files into `channels`. Returns the frames of the longest; a shorter file is silent after its end.
fn read_files<S: crate::audio::Sample>(
    readers: &mut [wav::Reader],
    channels: &mut [Vec<S>],
    block: usize,
) -> Result<usize, Failure> {
    for channel in channels.iter_mut() {
        channel.clear();
        channel.resize(block, S::ZERO);
    }
    let (mut first, mut longest) = (0, 0);
    for reader in readers {
        let width = reader.channels();
        let mut views: Vec<&mut [S]> = channels[first..first + width].iter_mut().map(Vec::as_mut_slice).collect();
        longest = longest.max(reader.read_block(&mut views).map_err(Failure::failed)?);
        first += width;
    }
    Ok(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns those of the signal times, in milliseconds, at which the program must exit at once.
    fn exit_times(signals: &[u64]) -> Vec<u64> {
        let (begin, mut counter) = (Instant::now(), InterruptCounter::default());
        signals.iter().copied().filter(|at| counter.add_signal(begin + Duration::from_millis(*at))).collect()
    }

    #[test]
    fn signals_in_quick_succession_are_one_request() {
        let none: [u64; 0] = [];
        for one_request in [&[0][..], &[0, 0, 0, 0], &[0, 1, 2], &[0, 400], &[0, 1, 500, 501, 502], &[0, 1999]] {
            assert_eq!(exit_times(one_request), none, "{one_request:?}");
        }
        for (repeated, exit) in [(&[0, 2000][..], 2000), (&[0, 1, 2, 9000], 9000), (&[0, 500, 1000], 1000)] {
            assert_eq!(exit_times(repeated), [exit], "{repeated:?}");
        }
    }
}
