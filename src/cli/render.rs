//! `isotherm render`: a file through an algorithm, by the same plan as in the plug-in.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Failure, format, format_argument, model, say, settings, whole, with_parameters};
use crate::audio::wav::{Format, NonFinite, Written};
use crate::dsp::{MAX_CHANNELS, Spec, gain_to_db};
use crate::effect::Effect;
use crate::graph::{FileSink, FileSource, QueueReader};
use crate::render::Renderer;

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
    let settings = settings(matches, algorithm)?;
    let block = whole("block", matches.get_one::<String>("block").map_or("", String::as_str), 1, 1 << 20)?;
    let format = format(matches)?;
    if is_same(from, to) {
        return Err(Failure::Usage(format!("{} is both input and output; expected two files", from.display())));
    }
    let effect = model::effect(matches, settings)?;
    let (source, reader) = FileSource::open(from, NonFinite::Refuse, BUFFER_FRAMES).map_err(Failure::failed)?;
    let (rate, channels) = (source.sample_rate(), source.channels());
    if channels > MAX_CHANNELS {
        return Err(Failure::Failed(format!("{}: {channels} channels; expected 1 to {MAX_CHANNELS}", from.display())));
    }
    let mut explosions = model::Explosions::watch(effect.played());
    let report = render(Ends { source: &source, reader, to, format }, &effect, block, &mut explosions)?;
    explosions.warn(matches.get_one("model"), f64::from(rate));
    let length = report.frames as f64 / f64::from(rate);
    let speed = length / report.seconds.max(1e-9);
    if matches.get_flag("json") {
        let value = json!({
            "input": from, "output": to, "algorithm": settings.algorithm().id, "settings": effect.settings.to_json(),
            "model": model::summary_json(matches.get_one("model"), effect.played().map(|model| &**model)), "explosions": explosions.json(),
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

/// Where sound comes from and goes to.
struct Ends<'a> {
    source: &'a FileSource,
    reader: QueueReader,
    to: &'a Path,
    format: Format,
}

/// Everything that the source gives, through the effect, to a file that is there once it is whole.
fn render(ends: Ends<'_>, effect: &Effect, block: usize, explosions: &mut model::Explosions) -> Result<Report, Failure> {
    let Ends { source, mut reader, to, format } = ends;
    let (rate, channels) = (source.sample_rate(), source.channels());
    let spec = Spec { sample_rate: rate as f32, channels, max_frames: block };
    let renderer = Renderer::new(effect, spec).map_err(Failure::failed)?;
    let latency = renderer.latency();
    let (sink, mut writer) = FileSink::create(to, rate, channels, format, BUFFER_FRAMES).map_err(Failure::failed)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    // Another handler is there only where this runs inside another program.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(source.frames()) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent} % {eta}") {
        bar.set_style(style);
    }
    let start = Instant::now();
    let (mut frames, mut peak) = (0u64, 0.0f32);
    let read = |buffers: &mut [Vec<f32>]| {
        explosions.look(frames);
        let n = reader.read(buffers, None);
        if interrupted.load(Ordering::Relaxed) {
            return Err(Some(Failure::Failed("interrupted; nothing was written".into())));
        }
        frames += n as u64;
        bar.set_position(frames);
        match source.error() {
            Some(error) if n < block => Err(Some(Failure::failed(error))),
            _ => Ok(n),
        }
    };
    let done = renderer.run(read, |out| {
        for channel in out {
            peak = channel.iter().fold(peak, |peak, x| peak.max(x.abs()));
        }
        let n = out.first().map_or(0, |channel| channel.len());
        // If not all is taken, the sink says why when it is finished.
        if writer.write_all(out) < n { Err(None) } else { Ok(()) }
    });
    explosions.look(frames);
    bar.finish_and_clear();
    if let Err(Some(failure)) = done {
        sink.discard(writer);
        return Err(failure);
    }
    let written = sink.finish(writer).map_err(Failure::failed)?;
    Ok(Report { frames, latency, peak, seconds: start.elapsed().as_secs_f64(), written })
}
