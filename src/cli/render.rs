//! `isotherm render`: a file through an algorithm, by the same plan as in the plug-in.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Failure, format, format_argument, model, say, settings, settings_json, whole, with_parameters};
use crate::audio::wav::{Format, NonFinite, Written};
use crate::dsp::{MAX_CHANNELS, Settings, Spec, gain_to_db};
use crate::graph::{FileSink, FileSource, QueueReader, QueueWriter};
use crate::slots::{Heard, Slots};

/// Frames that wait between a file and the plan.
const BUFFER_FRAMES: usize = 32_768;

pub fn command() -> Command {
    let command = Command::new("render")
        .about("Renders a WAV file through an algorithm; latency is trimmed, the end is flushed")
        .arg(Arg::new("in").required(true).value_name("IN.wav").value_parser(value_parser!(PathBuf)))
        .arg(Arg::new("out").required(true).value_name("OUT.wav").value_parser(value_parser!(PathBuf)))
        .arg(
            Arg::new("block").long("block").value_name("FRAMES").default_value("512").help("Frames at a time; changes no sample"),
        )
        .arg(format_argument())
        .arg(model::argument())
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("The report as JSON"));
    with_parameters(command, Arg::new("algorithm").required(true))
}

/// What a rendering was.
struct Report {
    frames: u64,
    latency: usize,
    peak: f32,
    seconds: f64,
    written: Written,
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let path = |name: &str| matches.get_one::<PathBuf>(name).ok_or_else(|| Failure::Usage(format!("no {name} file")));
    let (from, to) = (path("in")?, path("out")?);
    let algorithm = matches.get_one::<String>("algorithm").map_or("", String::as_str);
    let mut settings = settings(matches, algorithm)?;
    let block = whole("block", matches.get_one::<String>("block").map_or("", String::as_str), 1, 1 << 20)?;
    let format = format(matches)?;
    if is_same(from, to) {
        return Err(Failure::Usage(format!("{} is both input and output; expected two files", from.display())));
    }
    // Settings know it only as long as it is held.
    let model = model::load(matches, &mut settings)?;
    let (source, reader) = FileSource::open(from, NonFinite::Refuse, BUFFER_FRAMES).map_err(Failure::failed)?;
    let (rate, channels) = (source.sample_rate(), source.channels());
    if channels > MAX_CHANNELS {
        return Err(Failure::Failed(format!("{}: {channels} channels; expected 1 to {MAX_CHANNELS}", from.display())));
    }
    let mut explosions = model::Explosions::watch(model.as_ref());
    let report = render(&source, reader, to, settings, block, format, &mut explosions)?;
    explosions.warn(matches.get_one("model"), f64::from(rate));
    let length = report.frames as f64 / f64::from(rate);
    let speed = length / report.seconds.max(1e-9);
    if matches.get_flag("json") {
        let value = json!({
            "input": from, "output": to, "algorithm": settings.algorithm().id, "settings": settings_json(&settings),
            "model": model::summary_json(matches.get_one("model"), model.as_deref()), "explosions": explosions.json(),
            "sample_rate": rate, "channels": channels, "frames": report.frames, "latency_frames": report.latency, "block": block,
            "format": format.to_string(), "peak_db": gain_to_db(report.peak), "clipped": report.written.clipped,
            "seconds": report.seconds, "times_real_time": speed,
        });
        say(value);
    } else {
        say(format_args!(
            "{}: {length:.2} s, {rate} Hz, {channels} channels, {format}, peak {:.1} dBFS, {speed:.0} x real time, latency {} frames trimmed",
            to.display(),
            gain_to_db(report.peak),
            report.latency
        ));
        if report.written.clipped > 0 {
            say(format_args!("{} samples were over full scale and are clipped; --format 32f keeps them", report.written.clipped));
        }
    }
    Ok(())
}

/// Whether both paths lead to one file.
fn is_same(a: &Path, b: &Path) -> bool {
    let (Ok(a), Ok(b)) = (a.canonicalize(), b.canonicalize()) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if let (Ok(a), Ok(b)) = (a.metadata(), b.metadata()) {
            return (a.dev(), a.ino()) == (b.dev(), b.ino());
        }
    }
    a == b
}

fn render(
    source: &FileSource,
    mut reader: QueueReader,
    to: &Path,
    settings: Settings,
    block: usize,
    format: Format,
    explosions: &mut model::Explosions,
) -> Result<Report, Failure> {
    let (rate, channels) = (source.sample_rate(), source.channels());
    let spec = Spec { sample_rate: rate as f32, channels, max_frames: block };
    let mut slots = Slots::compile(spec, &[settings], Heard::Slot(0), None).map_err(Failure::failed)?;
    slots.set_offline(true);
    let (sink, mut writer) = FileSink::create(to, rate, channels, format, BUFFER_FRAMES).map_err(Failure::failed)?;
    let start = Instant::now();
    match through(source, &mut reader, &mut slots, &mut writer, block, explosions) {
        Ok((frames, peak)) => {
            let written = sink.finish(writer).map_err(Failure::failed)?;
            Ok(Report { frames, latency: slots.latency(), peak, seconds: start.elapsed().as_secs_f64(), written })
        }
        Err(failure) => {
            sink.discard(writer);
            Err(failure)
        }
    }
}

/// Everything that the source gives, through the slots, without their latency. Returns frames and peak.
fn through(
    source: &FileSource,
    reader: &mut QueueReader,
    slots: &mut Slots,
    writer: &mut QueueWriter,
    block: usize,
    explosions: &mut model::Explosions,
) -> Result<(u64, f32), Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    // Another handler is there only where this runs inside another program.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(source.frames()) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent} % {eta}") {
        bar.set_style(style);
    }
    let mut buffers = vec![vec![0.0f32; block]; reader.channels()];
    let (mut frames, mut peak) = (0u64, 0.0f32);
    let mut early = slots.latency();
    // Silence behind the end, until the last sample has come out.
    let mut owed = slots.latency();
    loop {
        let mut n = reader.read(&mut buffers, None);
        if interrupted.load(Ordering::Relaxed) {
            return Err(Failure::Failed("interrupted; nothing was written".into()));
        }
        frames += n as u64;
        if n < block {
            if let Some(error) = source.error() {
                return Err(Failure::failed(error));
            }
            let flush = owed.min(block - n);
            owed -= flush;
            for channel in &mut buffers {
                channel[n..n + flush].fill(0.0);
            }
            n += flush;
        }
        if n == 0 {
            break;
        }
        let mut views: Vec<&mut [f32]> = buffers.iter_mut().map(|c| &mut c[..n]).collect();
        slots.process(&mut views);
        explosions.look(frames);
        let skip = early.min(n);
        early -= skip;
        let out: Vec<&[f32]> = buffers.iter().map(|c| &c[skip..n]).collect();
        for channel in &out {
            peak = channel.iter().fold(peak, |p, x| p.max(x.abs()));
        }
        if writer.write_all(&out) < n - skip {
            // The sink says why when it is finished.
            break;
        }
        bar.set_position(frames);
    }
    bar.finish_and_clear();
    Ok((frames, peak))
}
