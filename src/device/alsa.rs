//! The host [`Host::Alsa`]: devices of the kernel, and devices that `libasound`'s configuration defines.

use std::ffi::CString;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use alsa::device_name::HintIter;
use alsa::pcm::{Access, Format, Frames, HwParams, PCM, TstampType};
use alsa::{Direction, Output, ValueOr};
use arrayvec::ArrayVec;
use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

use super::client_slot::ClientSlot;
use super::{
    DeviceError, DeviceInfo, GrantedConfig, Host, InputBlock, MAX_CHANNELS, OpenRequest, PERIOD_FRAMES, SAMPLE_RATE,
    SampleFormat, StreamStatus, frames_in, whole_frames,
};
use crate::record::pcm::WordFormat;

/// Length of the device's input buffer, which holds the sound that arrives while the thread cannot run. It adds no latency.
const BUFFER_SECONDS: f64 = 0.5;
/// Number of periods of silence that are played before the first block.
pub const PREFILL_PERIODS: usize = 2;
/// A device that gives no input for this long is gone.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time in milliseconds after which the device's thread checks whether it is told to stop.
const WAIT_MS: u32 = 100;
/// Sample rates in hertz that are tried if the request names none, in this order.
const RATES: [u32; 5] = [SAMPLE_RATE, 44_100, 96_000, 88_200, 192_000];

/// Returns ALSA's constant for a format.
fn format(format: SampleFormat) -> Format {
    match format {
        SampleFormat::S16 => Format::S16LE,
        SampleFormat::S24 => Format::S24LE,
        SampleFormat::S24Packed => Format::S243LE,
        SampleFormat::S32 => Format::S32LE,
        SampleFormat::Float => Format::FloatLE,
    }
}

/// An open device in one direction, with the configuration that it granted.
struct PcmStream {
    pcm: PCM,
    format: SampleFormat,
    sample_rate: u32,
    channels: usize,
    period_frames: usize,
    buffer_frames: usize,
}

/// Executes `work` while `libasound` prints nothing. Returns its result and the last line that the library would have printed.
fn without_printing<T>(work: impl FnOnce() -> T) -> (T, String) {
    // The plug-in `jack` of `libasound` opens libjack, which prints by itself.
    super::jack::silence();
    let messages = Output::local_error_handler().ok();
    let result = work();
    let text = messages.map_or(String::new(), |messages| messages.borrow().to_string());
    (result, text.trim().lines().last().unwrap_or_default().into())
}

/// Opens a device in one direction, without setting its configuration.
fn open_pcm(device: &str, direction: Direction) -> Result<PCM, DeviceError> {
    let name = CString::new(device).map_err(|_| DeviceError::failed(device, "a name with a zero byte"))?;
    // Non-blocking, so that a device in use is an error at once.
    let (opened, message) = without_printing(|| PCM::open(&name, direction, true));
    let unknown =
        || DeviceError::Unknown { host: Host::Alsa, device: device.into(), expected: device_names(direction).join(", ") };
    opened.map_err(|e| match Errno::from_raw(e.errno()) {
        Errno::EBUSY | Errno::EAGAIN => DeviceError::Busy { device: device.into() },
        // The library also gives these errors for invalid names, and for `hw:` with a card that does not exist.
        Errno::ENOENT | Errno::ENODEV | Errno::ENXIO => unknown(),
        // A card number that ALSA does not have: it numbers cards from 0 to 31.
        Errno::EINVAL if message.contains("card index") => unknown(),
        _ if message.is_empty() => DeviceError::failed(device, format_args!("cannot open it: {}", describe(&e))),
        _ => DeviceError::failed(device, format_args!("cannot open it: {message}")),
    })
}

/// Returns the system's description of an error.
fn describe(e: &alsa::Error) -> String {
    Errno::from_raw(e.errno()).desc().into()
}

/// Converts a number of frames to ALSA's type.
fn to_alsa_frames(frames: usize) -> Frames {
    Frames::try_from(frames).unwrap_or(Frames::MAX)
}

/// Converts a number of frames from ALSA's type. None is negative here: the library has returned those as errors.
fn from_alsa_frames(frames: Frames) -> usize {
    usize::try_from(frames).unwrap_or(0)
}

/// Configuration that a [`PcmStream`] is to be opened with. `None` leaves the choice to the device.
struct PcmRequest {
    sample_rate: Option<u32>,
    format: Option<SampleFormat>,
    channels: Option<usize>,
    period_frames: Option<usize>,
    buffer_frames: usize,
}

impl PcmStream {
    /// Opens a device in exactly the requested configuration.
    ///
    /// # Errors
    /// If the device cannot be opened, or gives something else.
    fn open(device: &str, direction: Direction, request: &PcmRequest) -> Result<Self, DeviceError> {
        let pcm = open_pcm(device, direction)?;
        without_printing(|| Self::configure(device, pcm, request)).0
    }

    /// Sets the configuration of an open device and reads back what the device granted.
    fn configure(device: &str, pcm: PCM, request: &PcmRequest) -> Result<Self, DeviceError> {
        let failed = |e: alsa::Error| DeviceError::failed(device, format_args!("{}: {}", e.func(), describe(&e)));
        let set = HwParams::any(&pcm).map_err(failed)?;
        set.set_access(Access::RWInterleaved).map_err(failed)?;
        // No software resampling: the device gives the rate itself, or it is an error. ALSA plug-ins that cannot resample refuse
        // this call.
        let _ = set.set_rate_resample(false);

        let offered: Vec<SampleFormat> = SampleFormat::ALL.into_iter().filter(|f| set.test_format(format(*f)).is_ok()).collect();
        let chosen = match request.format {
            Some(requested) => offered.contains(&requested).then_some(requested),
            None => offered.first().copied(),
        };
        let Some(chosen) = chosen else {
            let names = |formats: &[SampleFormat]| formats.iter().map(|f| f.name()).collect::<Vec<_>>().join(", ");
            let requested = request.format.map_or_else(|| names(&SampleFormat::ALL), |f| f.name().into());
            let gives = if offered.is_empty() { "none of them".into() } else { names(&offered) };
            return Err(DeviceError::difference(device, requested, gives));
        };
        set.set_format(format(chosen)).map_err(failed)?;

        let min_channels = set.get_channels_min().map_err(failed)? as usize;
        let max_channels = (set.get_channels_max().map_err(failed)? as usize).min(MAX_CHANNELS);
        let channels = request.channels.unwrap_or(max_channels);
        if set.set_channels(u32::try_from(channels).unwrap_or(u32::MAX)).is_err() {
            let gives = if min_channels == max_channels {
                format!("{max_channels}")
            } else {
                format!("{min_channels} to {max_channels}")
            };
            return Err(DeviceError::difference(device, format_args!("{channels} channels"), gives));
        }

        let (slowest, fastest) = (set.get_rate_min().map_err(failed)?, set.get_rate_max().map_err(failed)?);
        let any = || RATES.into_iter().find(|rate| set.test_rate(*rate).is_ok()).unwrap_or(fastest);
        let sample_rate = request.sample_rate.unwrap_or_else(any);
        if set.set_rate(sample_rate, ValueOr::Nearest).is_err() {
            let gives = if slowest == fastest { format!("{fastest}") } else { format!("{slowest} to {fastest}") };
            return Err(DeviceError::difference(device, format_args!("{sample_rate} Hz"), gives));
        }

        let period = to_alsa_frames(request.period_frames.unwrap_or(PERIOD_FRAMES));
        set.set_period_size_near(period, ValueOr::Nearest).map_err(failed)?;
        let buffer = to_alsa_frames(request.buffer_frames).max(period * 2);
        set.set_buffer_size_near(buffer).map_err(failed)?;
        pcm.hw_params(&set).map_err(failed)?;
        drop(set);

        // The configuration that the device really has now, whatever it answered above.
        let now = pcm.hw_params_current().map_err(failed)?;
        let current = now.get_format().map_err(failed)?;
        let Some(granted) = SampleFormat::ALL.into_iter().find(|f| format(*f) == current) else {
            return Err(DeviceError::difference(device, chosen.name(), current));
        };
        if granted != chosen {
            return Err(DeviceError::difference(device, chosen.name(), granted.name()));
        }
        let granted_rate = now.get_rate().map_err(failed)?;
        if request.sample_rate.is_some_and(|rate| rate != granted_rate) {
            return Err(DeviceError::difference(device, format_args!("{sample_rate} Hz"), granted_rate));
        }
        let period_frames = from_alsa_frames(now.get_period_size().map_err(failed)?);
        let buffer_frames = from_alsa_frames(now.get_buffer_size().map_err(failed)?);
        let channels = now.get_channels().map_err(failed)? as usize;
        drop(now);
        {
            let software = pcm.sw_params_current().map_err(failed)?;
            software.set_avail_min(to_alsa_frames(period_frames)).map_err(failed)?;
            // The amount of data in the buffer starts nothing: both directions are started explicitly.
            software.set_start_threshold(Frames::MAX).map_err(failed)?;
            // Errors are ignored: for an ALSA plug-in without time stamps the machine's clock is read.
            let _ = software.set_tstamp_mode(true);
            let _ = software.set_tstamp_type(TstampType::Monotonic);
            pcm.sw_params(&software).map_err(failed)?;
        }
        Ok(Self { pcm, format: chosen, sample_rate: granted_rate, channels, period_frames, buffer_frames })
    }
}

/// An open device: its input, and perhaps an output.
pub(super) struct Device {
    capture: PcmStream,
    playback: Option<PcmStream>,
    /// Playback channel of each output of the client, from 0.
    outputs: Vec<usize>,
}

impl Device {
    /// Opens a device in exactly the requested configuration. [control thread]
    ///
    /// # Errors
    /// If a device cannot be opened, or gives something else.
    pub fn open(request: &OpenRequest) -> Result<(GrantedConfig, Self), DeviceError> {
        let rate = request.sample_rate.unwrap_or(SAMPLE_RATE);
        let capture_request = PcmRequest {
            sample_rate: request.sample_rate,
            format: request.format,
            channels: request.channels,
            period_frames: request.period_frames,
            buffer_frames: frames_in(BUFFER_SECONDS, rate),
        };
        let capture = PcmStream::open(&request.device, Direction::Capture, &capture_request)?;
        let playback = if let Some(highest) = request.outputs.iter().max() {
            let device = request.output_device.as_deref().unwrap_or(&request.device);
            let playback_request = PcmRequest {
                sample_rate: Some(capture.sample_rate),
                format: None,
                channels: None,
                period_frames: Some(capture.period_frames),
                buffer_frames: capture.period_frames * 2 * PREFILL_PERIODS,
            };
            let playback = PcmStream::open(device, Direction::Playback, &playback_request)?;
            if *highest >= playback.channels {
                let asked = format!("output channel {}", highest + 1);
                return Err(DeviceError::difference(device, asked, playback.channels));
            }
            if playback.buffer_frames < PREFILL_PERIODS * capture.period_frames {
                let asked = format!("a buffer of {} frames", PREFILL_PERIODS * capture.period_frames);
                return Err(DeviceError::difference(device, asked, playback.buffer_frames));
            }
            Some(playback)
        } else {
            None
        };
        let granted = GrantedConfig {
            host: Host::Alsa,
            device: request.device.clone(),
            sample_rate: capture.sample_rate,
            format: capture.format,
            channels: capture.channels,
            period_frames: capture.period_frames,
            buffer_frames: capture.buffer_frames,
            outputs: request.outputs.len(),
        };
        Ok((granted, Self { capture, playback, outputs: request.outputs.clone() }))
    }

    /// Calls the client with block after block until the stream is told to stop or the device fails. [device thread]
    pub fn run(self, status: &StreamStatus, client_slot: &ClientSlot) {
        // Keeps `libasound` from printing: the errors that it returns are enough. The handler belongs to this thread.
        let messages = Output::local_error_handler();
        let ended = if self.capture.format.word_format() == WordFormat::Float {
            DuplexLoop::new(&self, 0.0f32).run(status, client_slot, |channels| InputBlock::Floats(channels))
        } else {
            DuplexLoop::new(&self, 0i32).run(status, client_slot, |channels| InputBlock::Integers(channels))
        };
        if let Err(e) = ended {
            let what = match Errno::from_raw(e.errno()) {
                Errno::ENODEV | Errno::ETIMEDOUT => "the device is gone".into(),
                _ => format!("{}: {}", e.func(), describe(&e)),
            };
            status.end(what);
        }
        drop(messages);
    }
}

/// A sample as a client receives it: a float, or an integer in the high bits of 32.
trait ClientSample: Copy + 'static {
    /// Returns the sample that `bytes` begins with.
    fn unpack(format: SampleFormat, bytes: &[u8]) -> Self;
}

impl ClientSample for f32 {
    fn unpack(_: SampleFormat, bytes: &[u8]) -> Self {
        bytes.first_chunk().map_or(0.0, |b| Self::from_le_bytes(*b))
    }
}

impl ClientSample for i32 {
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

/// Copies one channel of interleaved frames to `out`.
fn unpack<S: ClientSample>(format: SampleFormat, bytes: &[u8], channels: usize, channel: usize, out: &mut [S]) {
    // A loop for each format, so that the format is not decided again for every sample.
    macro_rules! unpack_all {
        ($format:expr) => {{
            let frames = bytes.chunks_exact(channels * $format.bytes());
            for (out, frame) in out.iter_mut().zip(frames) {
                *out = S::unpack($format, &frame[channel * $format.bytes()..]);
            }
        }};
    }
    match format {
        SampleFormat::S16 => unpack_all!(SampleFormat::S16),
        SampleFormat::S24 => unpack_all!(SampleFormat::S24),
        SampleFormat::S24Packed => unpack_all!(SampleFormat::S24Packed),
        SampleFormat::S32 => unpack_all!(SampleFormat::S32),
        SampleFormat::Float => unpack_all!(SampleFormat::Float),
    }
}

/// Writes a sample to `out` in a device's format. Integers are clamped to full scale; NaN becomes 0 in them.
fn pack(format: SampleFormat, x: f32, out: &mut [u8]) {
    #[expect(clippy::cast_possible_truncation, reason = "the value is in range, or NaN, which the cast makes 0")]
    let limited = |bits: i32| {
        let full_scale = 2f64.powi(bits - 1);
        (f64::from(x) * full_scale).round_ties_even().clamp(-full_scale, full_scale - 1.0) as i32
    };
    let bytes = match format {
        SampleFormat::S16 => limited(16).to_le_bytes(),
        SampleFormat::S24 | SampleFormat::S24Packed => limited(24).to_le_bytes(),
        SampleFormat::S32 => limited(32).to_le_bytes(),
        SampleFormat::Float => x.to_le_bytes(),
    };
    out.copy_from_slice(&bytes[..out.len()]);
}

/// The loop of the device's thread: reads a period, calls the client, plays its output.
struct DuplexLoop<'a, S> {
    device: &'a Device,
    /// A period of interleaved input.
    bytes: Vec<u8>,
    /// A period of each input channel.
    planar: Vec<Vec<S>>,
    /// A period of each output of the client.
    output: Vec<Vec<f32>>,
    /// A period of interleaved output.
    output_bytes: Vec<u8>,
    /// Frames since the start, read or lost.
    frames: u64,
    /// A time of the monotonic clock in nanoseconds, and the number of frames that the device had captured then.
    anchor: Option<(i64, u64)>,
}

impl<'a, S: ClientSample> DuplexLoop<'a, S> {
    fn new(device: &'a Device, zero: S) -> Self {
        let PcmStream { period_frames: n, channels, format, .. } = device.capture;
        let output_bytes = device.playback.as_ref().map_or(0, |playback| n * playback.channels * playback.format.bytes());
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

    /// Runs until the stream is told to stop. `input` makes a block of the channels' samples.
    ///
    /// # Errors
    /// If the device fails or gives nothing for [`TIMEOUT`].
    fn run(
        mut self,
        status: &StreamStatus,
        client_slot: &ClientSlot,
        input: impl for<'b> Fn(&'b [&'b [S]]) -> InputBlock<'b>,
    ) -> alsa::Result<()> {
        let pcm = &self.device.capture.pcm;
        let io = pcm.io_bytes();
        let mut lost = 0;
        let mut last_input = Instant::now();
        self.start()?;
        while !status.stop.load(Ordering::Acquire) {
            if last_input.elapsed() > TIMEOUT {
                return Err(alsa::Error::new("snd_pcm_wait", Errno::ETIMEDOUT as i32));
            }
            let read = match pcm.wait(Some(WAIT_MS)) {
                Ok(false) => continue,
                Ok(true) => io.readi(&mut self.bytes),
                Err(e) => Err(e),
            };
            match read {
                Ok(0) => {}
                Ok(n) => {
                    last_input = Instant::now();
                    self.deliver(n, lost, status, client_slot, &input);
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

    /// Starts the output, which begins with silence, and the input.
    fn start(&self) -> alsa::Result<()> {
        self.device.capture.pcm.prepare()?;
        if self.device.playback.is_some() {
            self.prefill()?;
        }
        self.device.capture.pcm.start()
    }

    /// Starts the output with [`PREFILL_PERIODS`] periods of silence.
    fn prefill(&self) -> alsa::Result<()> {
        let Some(playback) = &self.device.playback else { return Ok(()) };
        playback.pcm.prepare()?;
        let silence = vec![0; self.output_bytes.len()];
        for _ in 0..PREFILL_PERIODS {
            playback.pcm.io_bytes().writei(&silence)?;
        }
        playback.pcm.start()
    }

    /// Keeps the number of frames that the device has captured, with the time: the device's time stamp or, without one, the
    /// machine's clock.
    fn set_anchor(&mut self) {
        if let Ok(status) = self.device.capture.pcm.status() {
            let waiting = u64::try_from(status.get_avail()).unwrap_or(0);
            let stamp = status.get_htstamp();
            let time = if stamp.tv_sec != 0 { stamp.tv_sec * 1_000_000_000 + stamp.tv_nsec } else { now() };
            self.anchor = Some((time, self.frames + waiting));
        }
    }

    /// Starts the device again after an overrun. Returns the frames that are missing, by the clock.
    fn restart(&mut self) -> alsa::Result<u64> {
        self.start()?;
        let Some((time, frames)) = self.anchor else { return Ok(0) };
        let passed = (now() - time) as f64 * 1e-9 * f64::from(self.device.capture.sample_rate);
        let lost = (frames + whole_frames(passed)).saturating_sub(self.frames);
        self.frames += lost;
        Ok(lost)
    }

    /// Calls the client with the `n` frames that were read after `lost` missing ones, and plays its output.
    fn deliver(
        &mut self,
        n: usize,
        lost: u64,
        status: &StreamStatus,
        client_slot: &ClientSlot,
        input: &impl for<'b> Fn(&'b [&'b [S]]) -> InputBlock<'b>,
    ) {
        let PcmStream { channels, format, .. } = self.device.capture;
        for (channel, out) in self.planar.iter_mut().enumerate() {
            unpack(format, &self.bytes, channels, channel, &mut out[..n]);
        }
        self.frames += n as u64;
        let views: ArrayVec<&[S], MAX_CHANNELS> = self.planar.iter().map(|channel| &channel[..n]).collect();
        self.output.iter_mut().for_each(|channel| channel.fill(0.0));
        let mut output: ArrayVec<&mut [f32], MAX_CHANNELS> = self.output.iter_mut().map(|channel| &mut channel[..n]).collect();
        status.count_block(n);
        status.call_client(client_slot, lost, input(&views), &mut output);
        drop((views, output));
        if self.device.playback.is_some() {
            self.play(n, status);
        }
    }

    /// Plays `n` frames of the client's output. Frames that do not fit into the device's buffer are dropped; an output that has
    /// run empty is started again.
    fn play(&mut self, n: usize, status: &StreamStatus) {
        let Some(playback) = &self.device.playback else { return };
        let sample_bytes = playback.format.bytes();
        let frame_bytes = playback.channels * sample_bytes;
        for (channel, output) in self.device.outputs.iter().zip(&self.output) {
            for (frame, x) in self.output_bytes.chunks_exact_mut(frame_bytes).zip(&output[..n]) {
                pack(playback.format, *x, &mut frame[channel * sample_bytes..][..sample_bytes]);
            }
        }
        let written = playback.pcm.io_bytes().writei(&self.output_bytes[..n * frame_bytes]);
        if written.is_ok_and(|frames| frames == n) {
            return;
        }
        status.underruns.fetch_add(1, Ordering::Relaxed);
        if written.is_err_and(|e| e.errno() != Errno::EAGAIN as i32) {
            // An error leaves the output silent; the next block tries again.
            let _ = self.prefill();
        }
    }
}

/// Returns the time of the monotonic clock in nanoseconds.
fn now() -> i64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec())
}

/// Returns the name and description of each device that `libasound` lists for a direction.
fn hints(direction: Direction) -> Vec<(String, String)> {
    let (found, _) = without_printing(|| {
        let hints = HintIter::new_str(None, "pcm").ok()?;
        let fits = |d: Option<Direction>| d.is_none_or(|d| d == direction);
        let named =
            hints.filter(|hint| fits(hint.direction)).filter_map(|hint| Some((hint.name?, hint.desc.unwrap_or_default())));
        Some(named.collect())
    });
    found.unwrap_or_default()
}

/// Returns the name of each device that `libasound` lists for a direction.
fn device_names(direction: Direction) -> Vec<String> {
    hints(direction).into_iter().map(|(name, _)| name).collect()
}

/// Returns the names of the devices that can record, without aliases. [control thread]
pub(super) fn names() -> Vec<String> {
    without_aliases(device_names(Direction::Capture))
}

/// Returns the names that are not aliases.
fn without_aliases(mut names: Vec<String>) -> Vec<String> {
    names.retain(|name| !is_alias(name));
    names
}

/// Names of `libasound`, up to the colon, that are no devices of their own: converters, and other ways to a card or a server.
const ALIASES: [&str; 24] = [
    "a52",
    "default",
    "dmix",
    "dsnoop",
    "front",
    "hdmi",
    "iec958",
    "jack",
    "lavrate",
    "modem",
    "null",
    "oss",
    "phoneline",
    "plug",
    "plughw",
    "rear",
    "samplerate",
    "side",
    "speex",
    "speexrate",
    "sysdefault",
    "upmix",
    "usbstream",
    "vdownmix",
];

/// True if the name is that of a converter, or another name of a device that has one.
fn is_alias(device: &str) -> bool {
    let kind = device.split(':').next().unwrap_or_default();
    ALIASES.contains(&kind) || kind.starts_with("surround") || kind.starts_with("center_lfe")
}

/// Returns the devices that can record, with every configuration that they grant; without `all`, no aliases. [control thread]
pub(super) fn list(all: bool) -> Vec<DeviceInfo> {
    let playback_names = device_names(Direction::Playback);
    let info = |(device, description): (String, String)| {
        let outputs = if playback_names.contains(&device) { outputs(&device) } else { 0 };
        DeviceInfo { host: Host::Alsa, grants: grants(&device), description: description.replace('\n', ", "), device, outputs }
    };
    hints(Direction::Capture).into_iter().filter(|(device, _)| all || !is_alias(device)).map(info).collect()
}

/// Returns the number of channels that a device can play; 0 if it cannot be opened.
fn outputs(device: &str) -> usize {
    let Ok(pcm) = open_pcm(device, Direction::Playback) else { return 0 };
    let max_channels = without_printing(|| HwParams::any(&pcm).and_then(|set| set.get_channels_max())).0;
    max_channels.map_or(0, |n| (n as usize).min(MAX_CHANNELS))
}

/// Returns the configuration of every format and rate that a device really grants: each is tried.
///
/// # Errors
/// The last reason for a refusal, if every one is refused.
fn grants(device: &str) -> Result<Vec<GrantedConfig>, DeviceError> {
    let mut all = Vec::new();
    let mut refused = None;
    for format in SampleFormat::ALL {
        for rate in RATES {
            let request = OpenRequest { format: Some(format), sample_rate: Some(rate), ..OpenRequest::new(Host::Alsa, device) };
            match Device::open(&request) {
                Ok((granted, _)) => all.push(granted),
                // Another format or rate may be granted.
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
    fn the_names_of_devices_are_those_of_the_list_without_converters_and_aliases() {
        let found = ["null", "lavrate", "default", "sysdefault:CARD=X32", "surround71:CARD=X32", "plughw:CARD=X32,DEV=0"];
        let devices = ["hw:CARD=X32,DEV=0", "pulse", "pipewire", "nullable"];
        let names = found.iter().chain(&devices).map(|name| (*name).to_owned()).collect();
        assert_eq!(without_aliases(names), devices);
        let listed: Vec<String> = list(false).into_iter().map(|info| info.device).collect();
        assert_eq!(super::names(), listed);
    }

    #[test]
    fn packed_samples_of_every_format_are_unpacked_unchanged_and_clamped_at_full_scale() {
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
                // A float keeps 24 bits.
                #[expect(clippy::cast_possible_truncation, reason = "back to the integer that the float stands for")]
                let expected = code as f32 as i32;
                assert_eq!(out[0], expected, "{format:?}");
            }
            let mut bytes = vec![0; format.bytes()];
            pack(format, 2.0, &mut bytes);
            assert!(i32::unpack(format, &bytes) > 0x7FFF_0000 - 1, "{format:?}");
        }
    }

    #[test]
    fn converters_and_other_names_of_a_card_are_aliases() {
        for name in
            ["null", "default", "plug:hw", "plughw:CARD=X32,DEV=0", "dsnoop:CARD=X32,DEV=0", "sysdefault:CARD=X32", "speex"]
        {
            assert!(is_alias(name), "{name}");
        }
        for name in ["hw:CARD=X32,DEV=0", "x32s32", "pulse", "pipewire", "nullify"] {
            assert!(!is_alias(name), "{name}");
        }
    }

    #[test]
    fn a_channel_is_unpacked_from_interleaved_frames() {
        let bytes: Vec<u8> = (0..3 * 2 * 3).collect();
        let mut out = [0i32; 3];
        unpack(SampleFormat::S24Packed, &bytes, 2, 1, &mut out);
        assert_eq!(out, [0x0504_0300, 0x0B0A_0900, 0x1110_0F00]);
    }
}
