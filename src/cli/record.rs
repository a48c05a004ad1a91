//! `isotherm record`: stems of a device; or of files or of standard input, at real-time pace or as fast as it goes.

mod desk;
mod live;
mod view;

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::json;

use super::{Failure, format, format_argument, number, say, whole};
use crate::audio::{Format, NonFinite, wav};
use crate::record::pcm::Words;
use crate::record::{self, Channel, Health, Light, Manifest, Phase, Recorder, Settings, Start, Stop, Writer};

/// Frames that are read from a source at a time when `--fast` lets it.
const FAST_FRAMES: usize = 4096;
/// The health line is written this often.
const TELL: Duration = Duration::from_millis(500);

pub fn command() -> Command {
    let text =
        |name: &'static str, value: &'static str, help: &'static str| Arg::new(name).long(name).value_name(value).help(help);
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("record")
        .about("Records stems, a file per channel, into a folder of their own; exit code 3 if anything was lost")
        .arg(
            text("device", "NAME", "Source: a device (`isotherm devices` lists them)")
                .conflicts_with_all(["input", "fast", "block"]),
        )
        .args(live::arguments())
        .arg(
            text("input", "FILE.wav", "Source: one or more files, their channels side by side; without it, standard input")
                .num_args(1..)
                .action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            text("out", "DIR", "The folder in which the take's folder is made")
                .required(true)
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(text("name", "NAME", "Of the take").default_value("take"))
        .arg(text("channels", "LIST", "Channels to record, such as 1-8,12; without it, all"))
        .arg(text("names", "LIST", "Names of the recorded channels, such as Kick,Snare"))
        .arg(format_argument())
        .arg(flag("interleaved", "One more file, with all channels"))
        .arg(
            text("stdin-format", "FORMAT", "Of standard input: f32, s32 or s24 (24 bits at the bottom of 32), little-endian")
                .default_value("f32"),
        )
        .arg(text("stdin-channels", "COUNT", "Interleaved channels of standard input").default_value("2"))
        .arg(text("stdin-rate", "HZ", "Sample rate of standard input").default_value("48000"))
        .arg(flag("fast", "As fast as it goes, in place of real time"))
        .arg(text("block", "FRAMES", "Frames at a time, at real-time pace").default_value("256"))
        .arg(text("buffer", "TIME", "What the buffer holds while the disk is slow").default_value("10s"))
        .arg(
            text("pre-roll", "TIME", "What is kept and put in front of a take that --start-level starts; 0 to 60s")
                .num_args(0..=1)
                .default_missing_value("5s"),
        )
        .arg(text("start-level", "DB", "Start when a channel reaches this level, in dBFS").allow_hyphen_values(true))
        .arg(
            text("stop-level", "DB", "Stop when all channels have been below this level for --stop-after")
                .allow_hyphen_values(true),
        )
        .arg(text("stop-after", "TIME", "Time below --stop-level").default_value("10s"))
        .arg(text("split", "TIME", "New files after each such time, without losing a frame"))
        .arg(text("duration", "TIME", "Stop after this time"))
        .arg(flag("no-sync", "Leave it to the system when the bytes reach the disk"))
        .arg(flag("no-hashes", "No SHA-256 sums in the manifest"))
        .arg(flag("json", "The report as JSON; with --device also a line every second"))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    if matches.contains_id("device") {
        return live::run(matches);
    }
    let mut source = Source::open(matches)?;
    let form = format!("{} channels, {} Hz, {}", source.channels, source.rate, source.words);
    let given = Given {
        name: &source.name,
        rate: source.rate,
        channels: source.channels,
        words: source.words,
        asked: &form,
        granted: &form,
    };
    let settings = settings(matches, &given)?;
    let fast = matches.get_flag("fast");
    let block = if fast { FAST_FRAMES } else { whole("block", text(matches, "block"), 1, 1 << 20)? };
    let (json, memory, rate) = (matches.get_flag("json"), Recorder::memory_bytes(&settings), settings.sample_rate);
    let (stems, format) = (settings.channels.len(), settings.format);
    let unfinished = tell_unfinished(&settings.folder, json);
    let (recorder, mut writer) = Recorder::open(settings).map_err(Failure::failed)?;
    let level = recorder.level();
    if !json {
        say(format_args!(
            "recording {stems} of {} channels of {} at {rate} Hz to {format}; conversion: {level}; memory: {:.0} MB",
            source.channels,
            source.name,
            memory as f64 / 1e6
        ));
    }
    let started = Instant::now();
    let result = feed(&mut source, &recorder, &mut writer, (!fast).then_some(rate), block);
    let takes = recorder.close();
    let lost = losses(&takes);
    if json {
        say(json!({
            "conversion": level.to_string(), "memory_bytes": memory, "takes": takes_json(&takes),
            "seconds": started.elapsed().as_secs_f64(), "lost": lost.is_some(), "unfinished": unfinished,
        }));
    } else {
        tell_takes(&takes);
    }
    result?;
    lost.map_or(Ok(()), |lost| Err(Failure::Lost(lost)))
}

/// A take that is finished: its folder and what it says.
type Finished = (PathBuf, Manifest);

/// What the takes lack; none if they lack nothing.
fn losses(takes: &[Finished]) -> Option<String> {
    let lost: Vec<String> = takes.iter().filter_map(|(_, manifest)| manifest.loss()).collect();
    (!lost.is_empty()).then(|| lost.join("; "))
}

fn takes_json(takes: &[Finished]) -> serde_json::Value {
    takes.iter().map(|(folder, m)| json!({ "folder": folder, "manifest": m })).collect()
}

fn tell_takes(takes: &[Finished]) {
    for (folder, manifest) in takes {
        say(format_args!("{}: {}", folder.display(), manifest.summary()));
    }
    if takes.is_empty() {
        say("nothing was recorded: the level was never reached");
    }
}

/// Gives the source to the recorder until it ends, the take ends by itself, or Ctrl-C is pressed.
fn feed(source: &mut Source, recorder: &Recorder, writer: &mut Writer, rate: Option<u32>, block: usize) -> Result<(), Failure> {
    let interrupted = interruption();
    writer.wait(rate.is_none());
    let tell = std::io::stderr().is_terminal();
    let (start, mut told, mut frames) = (Instant::now(), Instant::now(), 0u64);
    while !interrupted.load(Ordering::Relaxed) {
        let n = source.read(block)?;
        if n == 0 {
            break;
        }
        frames += n as u64;
        if let Some(rate) = rate {
            // A block is there when its last frame is.
            let due = start + Duration::from_secs_f64(frames as f64 / f64::from(rate));
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        source.give(writer, n);
        if told.elapsed() >= TELL {
            told = Instant::now();
            let health = recorder.health();
            if tell {
                tell_health(&health);
            }
            if health.phase == Phase::Armed && source.ends_with_take && !recorder.takes().is_empty() {
                break;
            }
        }
    }
    if tell {
        let _ = writeln!(std::io::stderr());
    }
    Ok(())
}

/// Becomes true when Ctrl-C is pressed, or the program is told to end.
pub fn interruption() -> Arc<AtomicBool> {
    interruption_or(|| ())
}

/// As [`interruption`]; `leave` is called before the program ends without waiting for the disk.
pub fn interruption_or(leave: impl Fn() + Send + 'static) -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    let mut patience = Patience::default();
    let interrupt = move || {
        flag.store(true, Ordering::Relaxed);
        if patience.is_at_its_end(Instant::now()) {
            // What is on the disk is what `recover` finds.
            let _ = writeln!(
                std::io::stderr(),
                "isotherm: interrupted again: the disk is not waited for; `isotherm recover` makes whole a take that is left unfinished"
            );
            leave();
            std::process::exit(3);
        }
    };
    // Another handler is there only where this runs inside another program.
    let _ = ctrlc::set_handler(interrupt);
    interrupted
}

/// Tells one wish to end, which may come as several signals (`timeout -s INT` sends one to the program and one to its group; a service
/// manager SIGTERM and SIGHUP), from the wish not to wait any longer.
#[derive(Default)]
struct Patience {
    /// When the first signal came, and the last one.
    came: Option<(Instant, Instant)>,
    /// Times that somebody asked.
    times: u32,
}

impl Patience {
    /// Signals that follow one another so closely are one.
    const BURST: Duration = Duration::from_millis(250);
    /// A second wish within this time of the first one is the same.
    const SAME: Duration = Duration::from_secs(2);

    /// A signal has come. Whether it means that the program shall not wait: the second wish after a while, or the third one.
    fn is_at_its_end(&mut self, now: Instant) -> bool {
        let (first, last) = *self.came.get_or_insert((now, now));
        if self.times == 0 || now - last >= Self::BURST {
            self.times += 1;
        }
        self.came = Some((first, now));
        self.times >= 3 || self.times == 2 && now - first >= Self::SAME
    }
}

/// Says which takes in the folder were left unfinished, before another one is made there; for the report, too.
fn tell_unfinished(folder: &Path, json: bool) -> Vec<String> {
    let takes = record::unfinished(folder);
    for take in takes.iter().filter(|_| !json) {
        say(record::unfinished_text(take));
    }
    takes.iter().map(|take| take.display().to_string()).collect()
}

fn light(health: &Health) -> String {
    match health.light {
        Light::Green => "ok".into(),
        Light::Yellow => format!("stretched {}", health.stretched),
        Light::Red => format!("LOST {}", health.lost_frames),
    }
}

fn tell_health(health: &Health) {
    let light = light(health);
    let phase = if health.phase == Phase::Recording { "recording" } else { "waiting" };
    let left = health.disk_seconds_left.map_or(String::new(), |s| format!(", disk for {:.1} h", s / 3600.0));
    let _ = write!(std::io::stderr(), "\r{phase} {:.1} s, {light}, buffer {:.0} %{left}   ", health.seconds, health.fill * 100.0);
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map_or("", String::as_str)
}

/// A time such as 10s, 500ms, 30m or 1h; without a unit, seconds.
fn time(name: &str, text: &str) -> Result<f64, Failure> {
    const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let text = text.trim();
    let (digits, unit) =
        UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds))).unwrap_or((text, 1.0));
    let seconds = digits.trim().parse().ok().map(|n: f64| n * unit).filter(|s| (0.0..=1e9).contains(s));
    seconds.ok_or_else(|| Failure::Usage(format!("--{name}: '{text}' is no time; expected one such as 10s, 500ms, 30m or 1h")))
}

fn optional_time(matches: &ArgMatches, name: &str) -> Result<Option<f64>, Failure> {
    matches.get_one::<String>(name).map(|text| time(name, text)).transpose()
}

fn optional_db(matches: &ArgMatches, name: &str) -> Result<Option<f32>, Failure> {
    matches.get_one::<String>(name).map(|text| Ok(number(name, text, -200.0, 60.0)? as f32)).transpose()
}

/// Numbers and ranges between commas, such as `1-8,12`.
pub fn ranges(name: &str, text: &str, most: usize) -> Result<Vec<usize>, Failure> {
    let mut all = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (whole(name, first, 1, most)?, whole(name, last, 1, most)?);
        if first > last {
            return Err(Failure::Usage(format!("--{name}: '{part}' runs backwards; expected {last}-{first}")));
        }
        all.extend(first..=last);
    }
    Ok(all)
}

/// What a source gives.
struct Given<'a> {
    name: &'a str,
    rate: u32,
    channels: usize,
    words: Words,
    asked: &'a str,
    granted: &'a str,
}

fn settings(matches: &ArgMatches, source: &Given<'_>) -> Result<Settings, Failure> {
    let out = matches.get_one::<PathBuf>("out").ok_or_else(|| Failure::Usage("--out: no folder".into()))?;
    let mut settings = Settings::new(out.clone(), text(matches, "name"), source.rate, source.channels);
    if let Some(channels) = matches.get_one::<String>("channels") {
        let channels = ranges("channels", channels, source.channels)?;
        settings.channels = channels.into_iter().map(|n| settings.channels[n - 1].clone()).collect();
        let twice = (1..settings.channels.len()).find(|i| settings.channels[..*i].contains(&settings.channels[*i]));
        if let Some(index) = twice {
            let channel = settings.channels[index].source + 1;
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
    settings.asked = source.asked.into();
    settings.granted = source.granted.into();
    settings.words = source.words;
    settings.format = format(matches)?;
    settings.interleaved = matches.get_flag("interleaved");
    settings.buffer_seconds = time("buffer", text(matches, "buffer"))?;
    settings.pre_roll_seconds = optional_time(matches, "pre-roll")?.unwrap_or(0.0);
    settings.start = optional_db(matches, "start-level")?.map_or(Start::Now, |db| Start::Level { db });
    let below = optional_db(matches, "stop-level")?;
    let after = time("stop-after", text(matches, "stop-after"))?;
    settings.stop = Stop { after_seconds: optional_time(matches, "duration")?, below: below.map(|db| (db, after)) };
    settings.split_seconds = optional_time(matches, "split")?;
    settings.sync = !matches.get_flag("no-sync");
    settings.hashes = !matches.get_flag("no-hashes");
    Ok(settings)
}

/// Where the sound comes from.
struct Source {
    name: String,
    rate: u32,
    channels: usize,
    words: Words,
    /// A take that starts at once is the only one.
    ends_with_take: bool,
    origin: Origin,
}

enum Origin {
    Files { readers: Vec<wav::Reader>, floats: Vec<Vec<f32>>, integers: Vec<Vec<i32>> },
    Stdin { bytes: Vec<u8>, floats: Vec<f32>, integers: Vec<i32> },
}

impl Source {
    fn open(matches: &ArgMatches) -> Result<Self, Failure> {
        let files: Vec<&PathBuf> = matches.get_many("input").into_iter().flatten().collect();
        let ends_with_take = !matches.contains_id("start-level");
        if files.is_empty() || files.iter().all(|file| **file == Path::new("-")) {
            let words = match text(matches, "stdin-format") {
                "f32" => Words::Float,
                "s32" => Words::Int32,
                "s24" => Words::Int24,
                other => {
                    return Err(Failure::Usage(format!("--stdin-format: '{other}' is no format; expected f32, s32 or s24")));
                }
            };
            let origin = Origin::Stdin { bytes: Vec::new(), floats: Vec::new(), integers: Vec::new() };
            let channels = whole("stdin-channels", text(matches, "stdin-channels"), 1, 512)?;
            let rate = whole("stdin-rate", text(matches, "stdin-rate"), 1, 10_000_000)? as u32;
            return Ok(Self { name: "standard input".into(), rate, channels, words, ends_with_take, origin });
        }
        let mut readers = Vec::new();
        for file in &files {
            readers.push(wav::Reader::open(file).map_err(Failure::failed)?.with_non_finite(NonFinite::Keep));
        }
        let rate = readers[0].sample_rate();
        if let Some(other) = readers.iter().find(|reader| reader.sample_rate() != rate) {
            let (a, b) = (readers[0].path().display(), other.path().display());
            return Err(Failure::Failed(format!("{a} has {rate} Hz, {b} has {} Hz; expected one rate", other.sample_rate())));
        }
        let channels = readers.iter().map(wav::Reader::channels).sum();
        // Integers stay integers from end to end.
        let float = readers.iter().any(|reader| reader.format() == Format::Float32);
        let words = if float { Words::Float } else { Words::Int32 };
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let origin = Origin::Files { readers, floats: vec![Vec::new(); channels], integers: vec![Vec::new(); channels] };
        Ok(Self { name: names.join(", "), rate, channels, words, ends_with_take, origin })
    }

    /// Reads up to `block` frames. Returns how many there are: 0 at the end.
    fn read(&mut self, block: usize) -> Result<usize, Failure> {
        match &mut self.origin {
            Origin::Files { readers, floats, .. } if self.words == Words::Float => read_files(readers, floats, block),
            Origin::Files { readers, integers, .. } => read_files(readers, integers, block),
            Origin::Stdin { bytes, floats, integers } => {
                bytes.resize(block * self.channels * 4, 0);
                let mut filled = 0;
                let mut stdin = std::io::stdin().lock();
                while filled < bytes.len() {
                    match stdin.read(&mut bytes[filled..]) {
                        Ok(0) => break,
                        Ok(n) => filled += n,
                        Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                        Err(e) => return Err(Failure::Failed(format!("standard input: cannot read it: {e}"))),
                    }
                }
                let (words, _) = bytes[..filled].as_chunks::<4>();
                let n = words.len() / self.channels;
                let words = &words[..n * self.channels];
                floats.clear();
                integers.clear();
                if self.words == Words::Float {
                    floats.extend(words.iter().map(|w| f32::from_le_bytes(*w)));
                } else {
                    integers.extend(words.iter().map(|w| i32::from_le_bytes(*w)));
                }
                Ok(n)
            }
        }
    }

    /// Gives the frames that were read.
    fn give(&self, writer: &mut Writer, n: usize) {
        match &self.origin {
            Origin::Files { floats, .. } if self.words == Words::Float => {
                let block: Vec<&[f32]> = floats.iter().map(|c| &c[..n]).collect();
                writer.write(&block);
            }
            Origin::Files { integers, .. } => {
                let block: Vec<&[i32]> = integers.iter().map(|c| &c[..n]).collect();
                writer.write(&block);
            }
            Origin::Stdin { floats, .. } if self.words == Words::Float => {
                writer.write_interleaved(floats, self.channels);
            }
            Origin::Stdin { integers, .. } => {
                writer.write_interleaved(integers, self.channels);
            }
        }
    }
}

/// Reads the next frames of all files; a shorter one is silent after its end.
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

    /// Milliseconds of the signals that end it at once, of those given.
    fn ends(signals: &[u64]) -> Vec<u64> {
        let (begin, mut patience) = (Instant::now(), Patience::default());
        signals.iter().copied().filter(|at| patience.is_at_its_end(begin + Duration::from_millis(*at))).collect()
    }

    #[test]
    fn signals_that_come_together_are_one_wish_to_end() {
        let none: [u64; 0] = [];
        for together in [&[0][..], &[0, 0, 0, 0], &[0, 1, 2], &[0, 400], &[0, 1, 500, 501, 502], &[0, 1999]] {
            assert_eq!(ends(together), none, "{together:?}");
        }
        for (meant, end) in [(&[0, 2000][..], 2000), (&[0, 1, 2, 9000], 9000), (&[0, 500, 1000], 1000)] {
            assert_eq!(ends(meant), [end], "{meant:?}");
        }
    }
}
