//! `isotherm render`: renders a file through an algorithm, with the same plan as in the plug-in.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::input::{self, is_dash};
use super::{
    Failure, algorithm_argument, check_output, examples, force_argument, format_argument, model, parse_format, parse_integer,
    parse_settings, path_text, print_error_line, print_line, with_parameter_flags,
};
use crate::algorithm::REGISTRY;
use crate::audio::wav::{WavFormat, WriteSummary, Writer};
use crate::dsp::{MAX_CHANNELS, ProcessSpec, gain_to_db};
use crate::effect::Effect;
use crate::graph::{FileSink, FileSource, QueueReader};
use crate::render::Renderer;

/// The name of standard output in messages.
const STANDARD_OUTPUT: &str = "standard output";
/// Bytes of an output file from which on it gets room for 64-bit sizes: 4 GiB without the longest header and the effect's tail.
const LONG_BYTES: u64 = (1 << 32) - (1 << 26);
/// Capacity in frames of the queues between the files and the plan.
const BUFFER_FRAMES: usize = 32_768;
/// Time after which a wait for the input looks for an interrupt.
const INTERRUPT_INTERVAL: Duration = Duration::from_millis(50);

pub fn command() -> Command {
    let command = Command::new("render")
        .about("Renders a WAV file through an algorithm; latency is trimmed, the end is flushed")
        .arg(
            Arg::new("in")
                .required(true)
                .num_args(1..)
                .value_name("IN.wav")
                .value_parser(value_parser!(PathBuf))
                .help("The sound to render; - is standard input; several files with --join"),
        )
        .arg(
            Arg::new("out")
                .required(true)
                .value_name("OUT.wav")
                .value_parser(value_parser!(PathBuf))
                .help("The file to write; - is standard output, as a WAV stream"),
        )
        .arg(input::join_argument())
        .arg(
            Arg::new("block").long("block").value_name("FRAMES").default_value("512").help("Frames at a time; changes no sample"),
        )
        .arg(format_argument())
        .arg(force_argument())
        .arg(model::argument())
        .arg(model::rate_argument().requires("model"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("The report as JSON"));
    let algorithm = algorithm_argument("algorithm", REGISTRY.iter().copied(), &[]).required(true);
    with_parameter_flags(command.arg(algorithm.help("The algorithm; --help lists the parameters of each"))).after_help(examples(
        &[
            "isotherm render riff.wav hot.wav --algorithm saturator --drive 24 --oversampling 4 --tone 2.5k",
            "isotherm render riff.wav lofi.wav --algorithm bitcrusher --bits 6.5 --rate 11025 --format 32f",
            "isotherm render riff.wav amp.wav --algorithm neural --model amp.nam",
            "isotherm render riff.wav - --algorithm clipper > hot.wav",
            "isotherm render X-LIVE/00000001.WAV show.wav --join --algorithm clipper",
        ],
    ))
}

/// The figures of a finished render.
struct RenderReport {
    frames: u64,
    /// Latency in frames that was trimmed.
    latency: usize,
    /// The output's peak, linear.
    peak: f32,
    /// Duration of the render.
    seconds: f64,
    written: WriteSummary,
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let inputs: Vec<&Path> = matches.get_many::<PathBuf>("in").into_iter().flatten().map(PathBuf::as_path).collect();
    let to = matches.get_one::<PathBuf>("out").ok_or_else(|| Failure::Usage("no output file".into()))?;
    let from = *inputs.first().ok_or_else(|| Failure::Usage("no input file".into()))?;
    let join = matches.get_flag("join");
    if inputs.len() > 1 && !join {
        let found = inputs.len();
        return Err(Failure::Usage(format!("found {found} input files; expected one, or --join to read them end to end")));
    }
    let algorithm = matches.get_one::<String>("algorithm").map_or("", String::as_str);
    let settings = parse_settings(matches, algorithm)?;
    let block = parse_integer("block", matches.get_one::<String>("block").map_or("", String::as_str), 1, 1 << 20)?;
    let format = parse_format(matches)?;
    let files = if join { input::joined_files(&inputs) } else { vec![from.to_path_buf()] };
    if let Some(same) = files.iter().find(|from| is_same(from, to)) {
        return Err(Failure::Usage(format!("{} is both input and output; expected two files", same.display())));
    }
    let to_stream = is_dash(to);
    if !to_stream {
        check_output(matches, to)?;
    } else if std::io::stdout().is_terminal() {
        return Err(Failure::Usage("-: standard output is a terminal; expected a file or a program, as in > out.wav".into()));
    }
    let effect = model::effect(matches, settings)?;
    let input = if join { input::open_joined(&inputs)? } else { input::open(from)? };
    let from_stream = is_dash(from);
    let from = input.path().to_path_buf();
    let (rate, channels) = (input.sample_rate(), input.channels());
    // Before the queue for them is made.
    if channels > MAX_CHANNELS {
        return Err(Failure::Failed(format!("{}: {channels} channels; expected 1 to {MAX_CHANNELS}", from.display())));
    }
    let (source, reader) = FileSource::from_reader(input, BUFFER_FRAMES).map_err(Failure::failed)?;
    let mut nan_resets = model::NanResets::new(effect.active_model());
    let report = render(RenderFiles { source: &source, reader, from_stream, to, format }, &effect, block, &mut nan_resets)?;
    input::warn_notes(&from, source.late_notes());
    nan_resets.warn(matches.get_one("model"), f64::from(rate));
    let length = report.frames as f64 / f64::from(rate);
    let speed = length / report.seconds.max(1e-9);
    // The report goes to standard error if standard output has the sound.
    let print = |line: std::fmt::Arguments| if to_stream { print_error_line(line) } else { print_line(line) };
    let notes = [source.notes(), source.late_notes()].concat();
    if matches.get_flag("json") {
        let value = json!({
            "input": path_text(&from), "notes": notes, "output": path_text(to), "algorithm": settings.algorithm().id,
            "settings": effect.settings.to_json(),
            "model": model::summary_json(matches.get_one("model"), effect.active_model().map(|model| &**model)),
            "nan_resets": nan_resets.json(),
            "sample_rate": rate, "channels": channels, "frames": report.frames, "latency_frames": report.latency, "block": block,
            "format": format.to_string(), "peak_db": gain_to_db(report.peak), "clipped": report.written.clipped,
            "seconds": report.seconds, "times_real_time": speed,
        });
        print(format_args!("{value}"));
    } else {
        print(format_args!(
            "{}: {length:.2} s, {rate} Hz, {channels} channels, {format}, peak {:.1} dBFS, \
             {speed:.0} x real time, latency {} frames trimmed",
            output_name(to).display(),
            gain_to_db(report.peak),
            report.latency
        ));
        if report.written.clipped > 0 {
            print(format_args!(
                "{} samples were over full scale and are clipped; --format 32f keeps them",
                report.written.clipped
            ));
        }
    }
    Ok(())
}

/// The name of the output in messages.
fn output_name(to: &Path) -> &Path {
    if is_dash(to) { Path::new(STANDARD_OUTPUT) } else { to }
}

/// True if both paths lead to the same file.
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

/// The input and the output of a render.
struct RenderFiles<'a> {
    source: &'a FileSource,
    reader: QueueReader,
    /// True for standard input, whose header may say less than comes.
    from_stream: bool,
    to: &'a Path,
    format: WavFormat,
}

/// Renders the whole source through the effect, `block` frames at a time. The output file appears only when it is complete.
fn render(
    files: RenderFiles<'_>,
    effect: &Effect,
    block: usize,
    nan_resets: &mut model::NanResets,
) -> Result<RenderReport, Failure> {
    let RenderFiles { source, mut reader, from_stream, to, format } = files;
    let (rate, channels) = (source.sample_rate(), source.channels());
    let spec = ProcessSpec::new(rate as f32, channels, block);
    let renderer = Renderer::new(effect, spec).map_err(Failure::failed)?;
    let latency = renderer.latency();
    let is_long = from_stream || source.frames().saturating_mul((channels * format.bytes()) as u64) >= LONG_BYTES;
    let writer = if is_dash(to) {
        Writer::stream(std::io::stdout(), STANDARD_OUTPUT, rate, channels, format)
    } else if is_long {
        Writer::create_long(to, rate, channels, format)
    } else {
        Writer::create(to, rate, channels, format)
    };
    let (sink, mut writer) = writer.and_then(|writer| FileSink::from_writer(writer, BUFFER_FRAMES)).map_err(Failure::failed)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    // Fails only if the process has a handler already, as in another program that calls this one; then that handler stays.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    let shows_bar = std::io::stderr().is_terminal() && source.frames() != u64::MAX;
    let bar = if shows_bar { ProgressBar::new(source.frames()) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent} % {eta}") {
        bar.set_style(style);
    }
    let start = Instant::now();
    let (mut frames, mut peak) = (0u64, 0.0f32);
    // An interrupt is the only end that a live input may have; `left` are the frames that had come by then.
    let is_endless = source.frames() == u64::MAX;
    let mut left: Option<usize> = None;
    let read = |buffers: &mut [Vec<f32>]| {
        nan_resets.update(frames);
        if let Some(left) = &mut left {
            let last = (*left).min(block);
            let mut part: Vec<&mut [f32]> = buffers.iter_mut().map(|buffer| &mut buffer[..last]).collect();
            let n = reader.read_available(&mut part);
            *left -= n;
            frames += n as u64;
            return Ok(n);
        }
        let (mut n, mut stopped) = (0, false);
        while n < block && !stopped && !reader.is_finished() {
            let mut rest: Vec<&mut [f32]> = buffers.iter_mut().map(|buffer| &mut buffer[n..]).collect();
            n += reader.read(&mut rest, Some(INTERRUPT_INTERVAL));
            stopped = interrupted.load(Ordering::Relaxed);
        }
        if stopped && !is_endless {
            let left = if is_dash(to) { "the stream is cut short" } else { "nothing was written" };
            return Err(Some(Failure::Failed(format!("interrupted; {left}"))));
        }
        frames += n as u64;
        if stopped {
            left = Some(reader.available());
        }
        bar.set_position(frames);
        match source.error() {
            Some(error) if n < block => Err(Some(Failure::failed(error))),
            _ => Ok(n),
        }
    };
    let result = renderer.run(read, |out| {
        for channel in out {
            peak = channel.iter().fold(peak, |peak, x| peak.max(x.abs()));
        }
        let n = out.first().map_or(0, |channel| channel.len());
        // If the sink takes fewer frames, `sink.finish` returns the error.
        if writer.write_all(out) < n { Err(None) } else { Ok(()) }
    });
    nan_resets.update(frames);
    bar.finish_and_clear();
    if let Err(Some(failure)) = result {
        sink.discard(writer);
        return Err(failure);
    }
    if left.is_some() {
        print_error_line(format_args!("interrupted: the input ends here, after {frames} frames"));
    }
    let written = sink.finish(writer).map_err(Failure::failed)?;
    Ok(RenderReport { frames, latency, peak, seconds: start.elapsed().as_secs_f64(), written })
}
