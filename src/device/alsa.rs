//! ALSA: devices of the kernel, and whatever `libasound` is configured for.

use std::ffi::CString;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use alsa::device_name::HintIter;
use alsa::pcm::{Access, Format, Frames, HwParams, PCM, TstampType};
use alsa::{Direction, Output, ValueOr};
use arrayvec::ArrayVec;
use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

use super::chair::Chair;
use super::{DeviceError, Granted, Host, Input, Listed, MAX_CHANNELS, PERIOD_FRAMES, SAMPLE_RATE, SampleFormat, Status, Wish};
use crate::record::pcm::Words;

/// The device shall hold so much of what comes in while this machine does something else; it costs no latency.
const BUFFER_SECONDS: f64 = 0.5;
/// Periods of silence in front of what is played.
pub const PREFILL_PERIODS: usize = 2;
/// A device that gives nothing for this long is gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// The device's thread looks this often whether it shall stop.
const LOOK_MS: u32 = 100;
/// Tried where none is asked for.
const RATES: [u32; 5] = [SAMPLE_RATE, 44_100, 96_000, 88_200, 192_000];

fn format(format: SampleFormat) -> Format {
    match format {
        SampleFormat::S16 => Format::S16LE,
        SampleFormat::S24 => Format::S24LE,
        SampleFormat::S24Packed => Format::S243LE,
        SampleFormat::S32 => Format::S32LE,
        SampleFormat::Float => Format::FloatLE,
    }
}

/// A device with what it granted.
struct Side {
    pcm: PCM,
    format: SampleFormat,
    sample_rate: u32,
    channels: usize,
    period_frames: usize,
    buffer_frames: usize,
}

/// What `libasound` would print while `work` is done; of it, the last line.
fn quietly<T>(work: impl FnOnce() -> T) -> (T, String) {
    let said = Output::local_error_handler().ok();
    let done = work();
    let text = said.map_or(String::new(), |said| said.borrow().to_string());
    (done, text.trim().lines().last().unwrap_or_default().into())
}

fn open_pcm(device: &str, direction: Direction) -> Result<PCM, DeviceError> {
    let name = CString::new(device).map_err(|_| DeviceError::failed(device, "a name with a zero byte"))?;
    // Without waiting: a device in use shall be an error at once.
    let (opened, said) = quietly(|| PCM::open(&name, direction, true));
    let unknown = || DeviceError::Unknown { host: Host::Alsa, device: device.into(), expected: named(direction).join(", ") };
    opened.map_err(|e| match Errno::from_raw(e.errno()) {
        Errno::EBUSY | Errno::EAGAIN => DeviceError::Busy { device: device.into() },
        // Also what is no name of a device: `hw:` and a card that is not there.
        Errno::ENOENT | Errno::ENODEV | Errno::ENXIO => unknown(),
        // A card of a number that there cannot be: cards are counted from 0 to 31.
        Errno::EINVAL if said.contains("card index") => unknown(),
        _ if said.is_empty() => DeviceError::failed(device, format_args!("cannot open it: {}", describe(&e))),
        _ => DeviceError::failed(device, format_args!("cannot open it: {said}")),
    })
}

/// The system's word for an error.
fn describe(e: &alsa::Error) -> String {
    Errno::from_raw(e.errno()).desc().into()
}

/// What a side is asked for.
struct Asked {
    sample_rate: Option<u32>,
    format: Option<SampleFormat>,
    channels: Option<usize>,
    period_frames: Option<usize>,
    buffer_frames: usize,
}

impl Side {
    /// Opens a device in exactly the form that is asked for.
    fn open(device: &str, direction: Direction, asked: &Asked) -> Result<Self, DeviceError> {
        let pcm = open_pcm(device, direction)?;
        quietly(|| Self::set_up(device, pcm, asked)).0
    }

    fn set_up(device: &str, pcm: PCM, asked: &Asked) -> Result<Self, DeviceError> {
        let failed = |e: alsa::Error| DeviceError::failed(device, format_args!("{}: {}", e.func(), describe(&e)));
        let set = HwParams::any(&pcm).map_err(failed)?;
        set.set_access(Access::RWInterleaved).map_err(failed)?;
        // No conversion by software: what the device itself can, or an error. Plug-ins without it refuse the switch.
        let _ = set.set_rate_resample(false);

        let all: Vec<SampleFormat> = SampleFormat::ALL.into_iter().filter(|f| set.test_format(format(*f)).is_ok()).collect();
        let chosen = match asked.format {
            Some(wanted) => all.contains(&wanted).then_some(wanted),
            None => all.first().copied(),
        };
        let Some(chosen) = chosen else {
            let names = |formats: &[SampleFormat]| formats.iter().map(|f| f.name()).collect::<Vec<_>>().join(", ");
            let wanted = asked.format.map_or_else(|| names(&SampleFormat::ALL), |f| f.name().into());
            let gives = if all.is_empty() { "none of them".into() } else { names(&all) };
            return Err(DeviceError::difference(device, wanted, gives));
        };
        set.set_format(format(chosen)).map_err(failed)?;

        let least = set.get_channels_min().map_err(failed)? as usize;
        let most = (set.get_channels_max().map_err(failed)? as usize).min(MAX_CHANNELS);
        let channels = asked.channels.unwrap_or(most);
        if set.set_channels(channels as u32).is_err() {
            let gives = if least == most { format!("{most}") } else { format!("{least} to {most}") };
            return Err(DeviceError::difference(device, format_args!("{channels} channels"), gives));
        }

        let (slowest, fastest) = (set.get_rate_min().map_err(failed)?, set.get_rate_max().map_err(failed)?);
        let any = || RATES.into_iter().find(|rate| set.test_rate(*rate).is_ok()).unwrap_or(fastest);
        let sample_rate = asked.sample_rate.unwrap_or_else(any);
        if set.set_rate(sample_rate, ValueOr::Nearest).is_err() {
            let gives = if slowest == fastest { format!("{fastest}") } else { format!("{slowest} to {fastest}") };
            return Err(DeviceError::difference(device, format_args!("{sample_rate} Hz"), gives));
        }

        let period = asked.period_frames.unwrap_or(PERIOD_FRAMES) as Frames;
        set.set_period_size_near(period, ValueOr::Nearest).map_err(failed)?;
        let buffer = (asked.buffer_frames as Frames).max(period * 2);
        set.set_buffer_size_near(buffer).map_err(failed)?;
        pcm.hw_params(&set).map_err(failed)?;
        drop(set);

        // What runs now, whatever was said before.
        let now = pcm.hw_params_current().map_err(failed)?;
        let given = now.get_format().map_err(failed)?;
        let Some(granted) = SampleFormat::ALL.into_iter().find(|f| format(*f) == given) else {
            return Err(DeviceError::difference(device, chosen.name(), given));
        };
        if granted != chosen {
            return Err(DeviceError::difference(device, chosen.name(), granted.name()));
        }
        let granted_rate = now.get_rate().map_err(failed)?;
        if asked.sample_rate.is_some_and(|rate| rate != granted_rate) {
            return Err(DeviceError::difference(device, format_args!("{sample_rate} Hz"), granted_rate));
        }
        let period_frames = now.get_period_size().map_err(failed)? as usize;
        let buffer_frames = now.get_buffer_size().map_err(failed)? as usize;
        let channels = now.get_channels().map_err(failed)? as usize;
        drop(now);
        {
            let software = pcm.sw_params_current().map_err(failed)?;
            software.set_avail_min(period_frames as Frames).map_err(failed)?;
            // Started by us, at both sides.
            software.set_start_threshold(Frames::MAX).map_err(failed)?;
            // A plug-in without time stamps has ours.
            let _ = software.set_tstamp_mode(true);
            let _ = software.set_tstamp_type(TstampType::Monotonic);
            pcm.sw_params(&software).map_err(failed)?;
        }
        Ok(Self { pcm, format: chosen, sample_rate: granted_rate, channels, period_frames, buffer_frames })
    }
}

pub(super) struct Device {
    capture: Side,
    playback: Option<Side>,
    /// The playback channel of each output.
    outputs: Vec<usize>,
}

impl Device {
    pub fn open(wish: &Wish) -> Result<(Granted, Self), DeviceError> {
        let rate = wish.sample_rate.unwrap_or(SAMPLE_RATE);
        let asked = Asked {
            sample_rate: wish.sample_rate,
            format: wish.format,
            channels: wish.channels,
            period_frames: wish.period_frames,
            buffer_frames: (BUFFER_SECONDS * f64::from(rate)) as usize,
        };
        let capture = Side::open(&wish.device, Direction::Capture, &asked)?;
        let playback = if let Some(highest) = wish.outputs.iter().max() {
            let device = wish.output_device.as_deref().unwrap_or(&wish.device);
            let asked = Asked {
                sample_rate: Some(capture.sample_rate),
                format: None,
                channels: None,
                period_frames: Some(capture.period_frames),
                buffer_frames: capture.period_frames * 2 * PREFILL_PERIODS,
            };
            let side = Side::open(device, Direction::Playback, &asked)?;
            if *highest >= side.channels {
                let asked = format!("output channel {}", highest + 1);
                return Err(DeviceError::difference(device, asked, side.channels));
            }
            if side.buffer_frames < PREFILL_PERIODS * capture.period_frames {
                let asked = format!("a buffer of {} frames", PREFILL_PERIODS * capture.period_frames);
                return Err(DeviceError::difference(device, asked, side.buffer_frames));
            }
            Some(side)
        } else {
            None
        };
        let granted = Granted {
            host: Host::Alsa,
            device: wish.device.clone(),
            sample_rate: capture.sample_rate,
            format: capture.format,
            channels: capture.channels,
            period_frames: capture.period_frames,
            buffer_frames: capture.buffer_frames,
            outputs: wish.outputs.len(),
        };
        Ok((granted, Self { capture, playback, outputs: wish.outputs.clone() }))
    }

    /// [device thread]
    pub fn run(self, status: &Status, chair: &Chair) {
        // What `libasound` has to say is in its results. Its handler is for as long as the thread lives.
        let said = Output::local_error_handler();
        let ended = if self.capture.format.words() == Words::Float {
            Loop::new(&self, 0.0f32).run(status, chair, |channels| Input::Floats(channels))
        } else {
            Loop::new(&self, 0i32).run(status, chair, |channels| Input::Integers(channels))
        };
        if let Err(e) = ended {
            let what = match Errno::from_raw(e.errno()) {
                Errno::ENODEV | Errno::ETIMEDOUT => "the device is gone".into(),
                _ => format!("{}: {}", e.func(), describe(&e)),
            };
            status.end(what);
        }
        drop(said);
    }
}

/// A sample that a client gets.
trait Unpacked: Copy + 'static {
    /// Of the bytes of one sample.
    fn unpack(format: SampleFormat, bytes: &[u8]) -> Self;
}

impl Unpacked for f32 {
    fn unpack(_: SampleFormat, bytes: &[u8]) -> Self {
        bytes.first_chunk().map_or(0.0, |b| Self::from_le_bytes(*b))
    }
}

impl Unpacked for i32 {
    fn unpack(format: SampleFormat, bytes: &[u8]) -> Self {
        let whole = || bytes.first_chunk().map_or(0, |b| Self::from_le_bytes(*b));
        match (format, bytes) {
            (SampleFormat::S16, [a, b, ..]) => Self::from_le_bytes([0, 0, *a, *b]),
            (SampleFormat::S24Packed, [a, b, c, ..]) => Self::from_le_bytes([0, *a, *b, *c]),
            (SampleFormat::S24, _) => whole() << 8,
            _ => whole(),
        }
    }
}

/// One channel of interleaved bytes.
fn unpack<S: Unpacked>(format: SampleFormat, bytes: &[u8], channels: usize, channel: usize, out: &mut [S]) {
    // A loop of its own for each, so that the format is decided outside of it.
    macro_rules! each {
        ($format:expr) => {{
            let rows = bytes.chunks_exact(channels * $format.bytes());
            for (out, row) in out.iter_mut().zip(rows) {
                *out = S::unpack($format, &row[channel * $format.bytes()..]);
            }
        }};
    }
    match format {
        SampleFormat::S16 => each!(SampleFormat::S16),
        SampleFormat::S24 => each!(SampleFormat::S24),
        SampleFormat::S24Packed => each!(SampleFormat::S24Packed),
        SampleFormat::S32 => each!(SampleFormat::S32),
        SampleFormat::Float => each!(SampleFormat::Float),
    }
}

/// A sample to be played, in the format's bytes; beyond full scale it is limited.
fn pack(format: SampleFormat, x: f32, out: &mut [u8]) {
    let code = |bits: i32| (f64::from(x) * 2f64.powi(bits - 1)).round_ties_even() as i64;
    let limited = |bits: i32| code(bits).clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1) as i32;
    let bytes = match format {
        SampleFormat::S16 => limited(16).to_le_bytes(),
        SampleFormat::S24 | SampleFormat::S24Packed => limited(24).to_le_bytes(),
        SampleFormat::S32 => limited(32).to_le_bytes(),
        SampleFormat::Float => x.to_le_bytes(),
    };
    out.copy_from_slice(&bytes[..out.len()]);
}

/// The device's thread at work.
struct Loop<'a, S> {
    device: &'a Device,
    bytes: Vec<u8>,
    planar: Vec<Vec<S>>,
    output: Vec<Vec<f32>>,
    output_bytes: Vec<u8>,
    /// Frames since the device runs, given or lost.
    frames: u64,
    /// When, in nanoseconds of the monotonic clock, how many frames had come into the device.
    anchor: Option<(i64, u64)>,
}

impl<'a, S: Unpacked> Loop<'a, S> {
    fn new(device: &'a Device, zero: S) -> Self {
        let Side { period_frames: n, channels, format, .. } = device.capture;
        let output_bytes = device.playback.as_ref().map_or(0, |side| n * side.channels * side.format.bytes());
        Self {
            device,
            bytes: vec![0; n * channels * format.bytes()],
            planar: vec![vec![zero; n]; channels],
            output: vec![vec![0.0; n]; device.outputs.len()],
            output_bytes: vec![0; output_bytes],
            frames: 0,
            anchor: None,
        }
    }

    fn run(mut self, status: &Status, chair: &Chair, input: impl for<'b> Fn(&'b [&'b [S]]) -> Input<'b>) -> alsa::Result<()> {
        let pcm = &self.device.capture.pcm;
        let io = pcm.io_bytes();
        let mut lost = 0;
        let mut heard = Instant::now();
        self.start()?;
        while !status.stop.load(Ordering::Acquire) {
            if heard.elapsed() > PATIENCE {
                return Err(alsa::Error::new("snd_pcm_wait", Errno::ETIMEDOUT as i32));
            }
            let read = match pcm.wait(Some(LOOK_MS)) {
                Ok(false) => continue,
                Ok(true) => io.readi(&mut self.bytes),
                Err(e) => Err(e),
            };
            match read {
                Ok(0) => {}
                Ok(n) => {
                    heard = Instant::now();
                    self.give(n, lost, status, chair, &input);
                    lost = 0;
                    self.set_anchor();
                }
                Err(e) if e.errno() == Errno::EAGAIN as i32 => {}
                Err(e) if [Errno::EPIPE as i32, Errno::ESTRPIPE as i32].contains(&e.errno()) => {
                    status.overruns.fetch_add(1, Ordering::Relaxed);
                    lost += self.restart()?;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Both sides, from their beginning.
    fn start(&self) -> alsa::Result<()> {
        self.device.capture.pcm.prepare()?;
        if self.device.playback.is_some() {
            self.prefill()?;
        }
        self.device.capture.pcm.start()
    }

    fn prefill(&self) -> alsa::Result<()> {
        let Some(side) = &self.device.playback else { return Ok(()) };
        side.pcm.prepare()?;
        let silence = vec![0; self.output_bytes.len()];
        for _ in 0..PREFILL_PERIODS {
            side.pcm.io_bytes().writei(&silence)?;
        }
        side.pcm.start()
    }

    /// Keeps how far the device is, by its own time stamp or, if it has none, by ours.
    fn set_anchor(&mut self) {
        if let Ok(status) = self.device.capture.pcm.status() {
            let waiting = u64::try_from(status.get_avail()).unwrap_or(0);
            let stamp = status.get_htstamp();
            let time = if stamp.tv_sec != 0 { stamp.tv_sec * 1_000_000_000 + stamp.tv_nsec } else { now() };
            self.anchor = Some((time, self.frames + waiting));
        }
    }

    /// After an overrun. Returns the frames that are missing, by the clock.
    fn restart(&mut self) -> alsa::Result<u64> {
        self.start()?;
        let Some((time, frames)) = self.anchor else { return Ok(0) };
        let passed = (now() - time) as f64 * 1e-9 * f64::from(self.device.capture.sample_rate);
        let lost = (frames + passed.round().max(0.0) as u64).saturating_sub(self.frames);
        self.frames += lost;
        Ok(lost)
    }

    fn give(&mut self, n: usize, lost: u64, status: &Status, chair: &Chair, input: &impl for<'b> Fn(&'b [&'b [S]]) -> Input<'b>) {
        let Side { channels, format, .. } = self.device.capture;
        for (channel, out) in self.planar.iter_mut().enumerate() {
            unpack(format, &self.bytes, channels, channel, &mut out[..n]);
        }
        self.frames += n as u64;
        let views: ArrayVec<&[S], MAX_CHANNELS> = self.planar.iter().map(|channel| &channel[..n]).collect();
        self.output.iter_mut().for_each(|channel| channel.fill(0.0));
        let mut output: ArrayVec<&mut [f32], MAX_CHANNELS> = self.output.iter_mut().map(|channel| &mut channel[..n]).collect();
        status.called(n);
        status.run(chair, lost, input(&views), &mut output);
        drop((views, output));
        if self.device.playback.is_some() {
            self.play(n, status);
        }
    }

    /// Plays what the client gave; what finds no room is left out, and a side that ran dry starts anew.
    fn play(&mut self, n: usize, status: &Status) {
        let Some(side) = &self.device.playback else { return };
        let frame = side.channels * side.format.bytes();
        for (channel, output) in self.device.outputs.iter().zip(&self.output) {
            for (row, x) in self.output_bytes.chunks_exact_mut(frame).zip(&output[..n]) {
                let at = channel * side.format.bytes();
                pack(side.format, *x, &mut row[at..at + side.format.bytes()]);
            }
        }
        let written = side.pcm.io_bytes().writei(&self.output_bytes[..n * frame]);
        if written.is_ok_and(|frames| frames == n) {
            return;
        }
        status.underruns.fetch_add(1, Ordering::Relaxed);
        if written.is_err_and(|e| e.errno() != Errno::EAGAIN as i32) {
            // If it cannot play any more, it is silent; the next block tries again.
            let _ = self.prefill();
        }
    }
}

/// Nanoseconds of the monotonic clock.
fn now() -> i64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec())
}

/// Devices that can be opened in a direction, as `libasound` knows them.
fn hints(direction: Direction) -> Vec<(String, String)> {
    let (found, _) = quietly(|| {
        let hints = HintIter::new_str(None, "pcm").ok()?;
        let fits = |d: Option<Direction>| d.is_none_or(|d| d == direction);
        let named =
            hints.filter(|hint| fits(hint.direction)).filter_map(|hint| Some((hint.name?, hint.desc.unwrap_or_default())));
        Some(named.collect())
    });
    found.unwrap_or_default()
}

fn named(direction: Direction) -> Vec<String> {
    hints(direction).into_iter().map(|(name, _)| name).collect()
}

/// What can be recorded.
pub(super) fn names() -> Vec<String> {
    named(Direction::Capture)
}

pub(super) fn list() -> Vec<Listed> {
    let playing = named(Direction::Playback);
    let listed = |(device, description): (String, String)| {
        let outputs = if playing.contains(&device) { outputs(&device) } else { 0 };
        Listed { host: Host::Alsa, grants: grants(&device), description: description.replace('\n', ", "), device, outputs }
    };
    hints(Direction::Capture).into_iter().map(listed).collect()
}

fn outputs(device: &str) -> usize {
    let Ok(pcm) = open_pcm(device, Direction::Playback) else { return 0 };
    let most = quietly(|| HwParams::any(&pcm).and_then(|set| set.get_channels_max())).0;
    most.map_or(0, |n| (n as usize).min(MAX_CHANNELS))
}

/// Every format and rate that is really granted: each is set up and looked at.
fn grants(device: &str) -> Result<Vec<Granted>, DeviceError> {
    let mut all = Vec::new();
    let mut refused = None;
    for format in SampleFormat::ALL {
        for rate in RATES {
            let wish = Wish { format: Some(format), sample_rate: Some(rate), ..Wish::new(Host::Alsa, device) };
            match Device::open(&wish) {
                Ok((granted, _)) => all.push(granted),
                // Another format or rate may do.
                Err(e @ DeviceError::Difference { .. }) => refused = Some(e),
                Err(e) if all.is_empty() => return Err(e),
                Err(_) => {}
            }
        }
    }
    match refused {
        Some(refused) if all.is_empty() => Err(refused),
        _ => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_keeps_its_codes_and_what_is_played_comes_back() {
        for (format, step) in [
            (SampleFormat::S16, 1 << 16),
            (SampleFormat::S24, 1 << 8),
            (SampleFormat::S24Packed, 1 << 8),
            (SampleFormat::S32, 1 << 8),
        ] {
            for k in -1000i32..1000 {
                let code = k.wrapping_mul(7919 * step);
                let code = code / step * step;
                let mut bytes = vec![0; format.bytes()];
                pack(format, code as f32 / 2_147_483_648.0, &mut bytes);
                let mut out = [0i32];
                unpack(format, &bytes, 1, 0, &mut out);
                // A float has 24 bits.
                assert_eq!(out[0], code as f32 as i32, "{format:?}");
            }
            let mut bytes = vec![0; format.bytes()];
            pack(format, 2.0, &mut bytes);
            assert!(i32::unpack(format, &bytes) > 0x7FFF_0000 - 1, "{format:?}");
        }
    }

    #[test]
    fn channels_are_taken_from_their_places() {
        let bytes: Vec<u8> = (0..3 * 2 * 3).collect();
        let mut out = [0i32; 3];
        unpack(SampleFormat::S24Packed, &bytes, 2, 1, &mut out);
        assert_eq!(out, [0x0504_0300, 0x0B0A_0900, 0x1110_0F00]);
    }
}
