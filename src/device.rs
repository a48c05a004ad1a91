//! Sound devices for recording and monitoring: ALSA and JACK on Linux, cpal elsewhere, or a file that stands in for a device.
//!
//! A device is opened strictly: it runs exactly as requested, or the error names what was requested and what the device gave.
//!
//! [`open`] takes an [`OpenRequest`] and returns an [`OpenDevice`], whose [`GrantedConfig`] is what the device really gives.
//! [`OpenDevice::start`] hands a [`Client`] to the device's thread, which calls it with every block. [`Stream::stop`] hands the
//! client back, also after the device has been disconnected. Integer samples stay integers. Frames that the device lost are
//! counted by the device's clock and reported with the next block.
//!
//! [`Capture`] is the client that records: it feeds a [`record::Writer`](crate::record::Writer) and meters, and keeps the take's
//! time line while a device is disconnected. [`Monitor`] plays some channels through an [`Insert`]. [`Session`] runs both and
//! opens the device again when it was disconnected.
//!
//! [device thread] is the thread that calls the client: with ALSA and a file a thread of this module, with JACK the server's
//! audio thread, with cpal the system's. It must not wait, allocate or lock.

#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

#[cfg(target_os = "linux")]
mod alsa;
mod capture;
mod client_slot;
#[cfg(any(test, not(target_os = "linux")))]
mod cpal;
#[cfg(target_os = "linux")]
mod fake_usb_card;
mod file;
#[cfg(target_os = "linux")]
mod jack;
mod monitor;
mod session;

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::record::pcm::WordFormat;

use client_slot::ClientSlot;

pub use capture::{Capture, WriterFeed};
#[cfg(target_os = "linux")]
pub use fake_usb_card::{FakeUsbCard, FakeUsbCardError};
pub use monitor::{Insert, Monitor, MonitorCounts, MonitorRouting};
pub use session::{DeviceState, PreparedSession, Session, SessionCounts};

/// Largest number of channels of a device that is used. Further channels are left out.
pub const MAX_CHANNELS: usize = crate::dsp::MAX_CHANNELS;
/// Frames of a period if the request names none.
const PERIOD_FRAMES: usize = 256;
/// Longest time that a stop waits for the device.
const STOP_TIMEOUT: Duration = Duration::from_millis(300);
/// 2^-31, which scales integers in the high bits of 32 to floats.
const INTEGER_SCALE: f32 = 1.0 / 2_147_483_648.0;
/// Sample rate in hertz if the request names none and the device offers several: that of most mixing desks.
const SAMPLE_RATE: u32 = 48_000;

/// An audio system through which devices are reached, `--host` on the command line. It is not a plug-in's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// ALSA: the kernel's devices, through `libasound`.
    #[cfg(target_os = "linux")]
    Alsa,
    /// JACK: clients of the server that `JACK_DEFAULT_SERVER` names. Its library is opened at the first use.
    #[cfg(target_os = "linux")]
    Jack,
    /// The system's own audio interface, Core Audio or WASAPI, through the crate `cpal`.
    #[cfg(any(test, not(target_os = "linux")))]
    Cpal,
    /// A WAV file in place of a device, read in a loop in real time. Output is discarded.
    File,
}

impl Host {
    /// Hosts of this operating system. The first is the default.
    #[cfg(target_os = "linux")]
    pub const ALL: &[Self] = &[Self::Alsa, Self::Jack, Self::File];
    /// Hosts of this operating system. The first is the default.
    #[cfg(not(target_os = "linux"))]
    pub const ALL: &[Self] = &[Self::Cpal, Self::File];

    /// Returns the name that the command line has for the host, such as `alsa`. [any thread]
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            #[cfg(target_os = "linux")]
            Self::Alsa => "alsa",
            #[cfg(target_os = "linux")]
            Self::Jack => "jack",
            #[cfg(any(test, not(target_os = "linux")))]
            Self::Cpal => "cpal",
            Self::File => "file",
        }
    }

    /// Returns the host of this operating system with an [`id`](Self::id). [any thread]
    #[must_use]
    pub fn find(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|host| host.id() == id)
    }
}

/// Format of a device's samples. All are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleFormat {
    /// Signed 16-bit integer.
    S16,
    /// Signed 24-bit integer in the low bits of a 32-bit word.
    S24,
    /// Signed 24-bit integer in three bytes.
    S24Packed,
    /// Signed 32-bit integer.
    S32,
    /// 32-bit float, full scale at ±1.
    Float,
}

impl SampleFormat {
    /// Every format, in the order in which a device is tried if the request names none.
    pub const ALL: [Self; 5] = [Self::S32, Self::S24, Self::S24Packed, Self::Float, Self::S16];

    /// Returns ALSA's name of the format, such as `S32_LE`. [any thread]
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::S16 => "S16_LE",
            Self::S24 => "S24_LE",
            Self::S24Packed => "S24_3LE",
            Self::S32 => "S32_LE",
            Self::Float => "FLOAT_LE",
        }
    }

    /// Returns the format of an ALSA name in upper or lower case. [any thread]
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(name))
    }

    /// Returns the number of bytes of one sample. [any thread]
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::S16 => 2,
            Self::S24Packed => 3,
            Self::S24 | Self::S32 | Self::Float => 4,
        }
    }

    /// Returns the format in which a [`Client`] receives the samples: floats, or integers in the high bits of 32. [any thread]
    #[must_use]
    pub fn word_format(self) -> WordFormat {
        if self == Self::Float { WordFormat::Float } else { WordFormat::Int32 }
    }
}

/// Configuration that a device is to be opened with. `None` leaves the choice to the device.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenRequest {
    /// Audio system that has the device.
    pub host: Host,
    /// Name of the device that records: an ALSA or cpal device, a JACK client with outputs, or the path of a WAV file.
    pub device: String,
    /// Sample rate in hertz.
    pub sample_rate: Option<u32>,
    /// Format of the device's samples.
    pub format: Option<SampleFormat>,
    /// Number of input channels; `None` for all that the device has, at most [`MAX_CHANNELS`].
    pub channels: Option<usize>,
    /// Frames of a period; `None` for 256 or the nearest that the device offers.
    pub period_frames: Option<usize>,
    /// Output channel of the device, from 0, for each output of the client. Empty: the device only records.
    pub outputs: Vec<usize>,
    /// Name of the device that plays; `None` for `device` itself, or with JACK for `system`.
    pub output_device: Option<String>,
}

impl OpenRequest {
    /// Returns the request for a device in the configuration that it has or prefers, for input only. [any thread]
    #[must_use]
    pub fn new(host: Host, device: &str) -> Self {
        Self {
            host,
            device: device.into(),
            sample_rate: None,
            format: None,
            channels: None,
            period_frames: None,
            outputs: Vec::new(),
            output_device: None,
        }
    }
}

impl std::fmt::Display for OpenRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let any = |text: Option<String>, of: &str| text.unwrap_or_else(|| format!("any {of}"));
        let channels = any(self.channels.map(|n| format!("{n} channels")), "channels");
        let rate = any(self.sample_rate.map(|n| format!("{n} Hz")), "rate");
        let format = any(self.format.map(|n| n.name().into()), "format");
        let period = any(self.period_frames.map(|n| format!("period {n} frames")), "period");
        write!(f, "{channels}, {rate}, {format}, {period}")
    }
}

/// Configuration that a device really has after it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedConfig {
    /// Audio system that has the device.
    pub host: Host,
    /// Name of the device that records, as in the request.
    pub device: String,
    /// Sample rate in hertz.
    pub sample_rate: u32,
    /// Format of the device's samples.
    pub format: SampleFormat,
    /// Number of input channels that a client receives, at most [`MAX_CHANNELS`].
    pub channels: usize,
    /// Frames of a block. A JACK server may change them while it runs; the other hosts never give a longer block.
    pub period_frames: usize,
    /// Frames of input that the device holds before frames are lost.
    pub buffer_frames: usize,
    /// Number of output channels that a client fills.
    pub outputs: usize,
}

impl GrantedConfig {
    /// Returns the delay in frames from an input to the output on which a [`Monitor`] plays it, without the latency of its
    /// insert: with JACK one period; with ALSA the periods of silence that are played before the first block. [any thread]
    #[must_use]
    pub fn monitor_delay_frames(&self) -> usize {
        match self.host {
            #[cfg(target_os = "linux")]
            Host::Alsa => alsa::PREFILL_PERIODS * self.period_frames,
            _ => self.period_frames,
        }
    }
}

impl std::fmt::Display for GrantedConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { channels, sample_rate, period_frames, buffer_frames, .. } = self;
        let format = self.format.name();
        write!(f, "{channels} channels, {sample_rate} Hz, {format}, period {period_frames} frames, buffer {buffer_frames} frames")
    }
}

/// Reason why a device cannot be opened or started. Every message is one line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// The host has no device of this name.
    #[error("{host}: unknown device '{device}'; expected {expected}", host = .host.id())]
    Unknown {
        /// Audio system that was asked.
        host: Host,
        /// Requested name.
        device: String,
        /// Names of the existing devices, separated by commas.
        expected: String,
    },
    /// Another program uses the device.
    #[error("{device}: the device is in use by another program")]
    Busy {
        /// Name of the device.
        device: String,
    },
    /// The device does not give what was requested.
    #[error("{device}: asked for {asked}, the device gave {granted}")]
    Difference {
        /// Name of the device.
        device: String,
        /// Requested value with its unit.
        asked: String,
        /// Value, or range of values, that the device gives.
        granted: String,
    },
    /// The audio system or the file reported an error.
    #[error("{device}: {what}")]
    Failed {
        /// Name of the device.
        device: String,
        /// Text of the error, in one line.
        what: String,
    },
}

impl DeviceError {
    /// Returns [`Self::Failed`], its text in one line.
    fn failed(device: &str, what: impl std::fmt::Display) -> Self {
        Self::Failed { device: device.into(), what: what.to_string().replace('\n', " ") }
    }

    /// Returns [`Self::Difference`].
    fn difference(device: &str, asked: impl std::fmt::Display, granted: impl std::fmt::Display) -> Self {
        Self::Difference { device: device.into(), asked: asked.to_string(), granted: granted.to_string() }
    }
}

/// Samples of one block of a device's input: a slice for each channel, all of one length.
#[derive(Clone, Copy, Debug)]
pub enum InputBlock<'a> {
    /// Floats, full scale at ±1.
    Floats(&'a [&'a [f32]]),
    /// Integers in the high bits of 32, whatever number of bits the device has.
    Integers(&'a [&'a [i32]]),
}

impl InputBlock<'_> {
    /// Returns the number of frames. [any thread]
    #[must_use]
    pub fn frames(&self) -> usize {
        match self {
            Self::Floats(channels) => channels.first().map_or(0, |c| c.len()),
            Self::Integers(channels) => channels.first().map_or(0, |c| c.len()),
        }
    }
}

/// Receiver of a device's blocks. The device's thread calls it once for each block.
pub trait Client: Send + 'static {
    /// Processes one block. `input` has the granted number of channels; `output` has a slice of the same number of frames for
    /// each requested output, filled with silence. `lost_frames` is the number of frames that are missing before
    /// this block. [device thread: must not wait, allocate or lock]
    fn process(&mut self, lost_frames: u64, input: InputBlock<'_>, output: &mut [&mut [f32]]);
}

/// State of a stream, shared by the device's thread and the control thread. [any thread]
#[derive(Debug, Default)]
pub(crate) struct StreamStatus {
    /// The device's thread is told to end.
    stop: AtomicBool,
    /// The device does not call the client any more.
    ended: AtomicBool,
    /// New sample rate in hertz if the stream ended because the rate changed; else 0.
    changed_rate: AtomicU32,
    /// The client has panicked and must not be called again.
    client_panicked: AtomicBool,
    /// Reason of the end, unless the sample rate changed.
    end_reason: OnceLock<String>,
    /// Number of blocks that the device has delivered.
    blocks: AtomicU64,
    /// Frames of the last block; 0 before the first one.
    period_frames: AtomicUsize,
    /// Number of times that the device lost input.
    overruns: AtomicU64,
    /// Number of times that the output had nothing to play.
    underruns: AtomicU64,
    /// Longest time that the client took for a block, in nanoseconds.
    longest_callback_nanoseconds: AtomicU64,
}

impl StreamStatus {
    /// Notes that the device is gone, and why. Only the first reason is kept. [not the audio thread: allocates]
    fn end(&self, reason: impl std::fmt::Display) {
        let _ = self.end_reason.set(reason.to_string());
        self.ended.store(true, Ordering::Release);
    }

    /// Notes that the device now runs at another sample rate, in hertz. [device thread]
    fn end_by_rate_change(&self, rate: u32) {
        self.changed_rate.store(rate, Ordering::Relaxed);
        self.ended.store(true, Ordering::Release);
    }

    /// Notes that the device delivers a block of `frames` frames. [device thread]
    fn count_block(&self, frames: usize) {
        self.period_frames.store(frames, Ordering::Relaxed);
        self.blocks.fetch_add(1, Ordering::Release);
    }

    /// Calls the client in the slot and keeps the longest time that it took. Returns false if there was no client to call.
    /// [device thread]
    fn call_client(&self, client_slot: &ClientSlot, lost_frames: u64, input: InputBlock<'_>, output: &mut [&mut [f32]]) -> bool {
        let begun = Instant::now();
        let called = client_slot.call(|client| {
            let guard = PanicGuard(self);
            client.process(lost_frames, input, output);
            std::mem::forget(guard);
        });
        let nanoseconds = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.longest_callback_nanoseconds.fetch_max(nanoseconds, Ordering::Relaxed);
        called
    }
}

/// Ends the stream if it is dropped while the client panics, wherever the panic is caught.
struct PanicGuard<'a>(&'a StreamStatus);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        self.0.client_panicked.store(true, Ordering::Release);
        self.0.end("what the device calls has broken");
    }
}

/// A device that is open and has no [`Client`] yet.
pub struct OpenDevice {
    granted: GrantedConfig,
    status: Arc<StreamStatus>,
    client_slot: Arc<ClientSlot>,
    device: OpenBackend,
}

/// The open device of a host.
enum OpenBackend {
    #[cfg(target_os = "linux")]
    Alsa(alsa::Device),
    /// A JACK client that already runs: before that, neither the period nor the state of its connections is known.
    #[cfg(target_os = "linux")]
    Jack(jack::Device),
    #[cfg(any(test, not(target_os = "linux")))]
    Cpal(cpal::Device),
    File(file::Device),
}

/// Opens a device and compares what it grants with the request. Waits at most a few seconds for a server that does not answer.
/// [control thread]
///
/// # Errors
/// If the device is unknown, in use, gives no usable format or no sound, or differs from the request.
pub fn open(request: &OpenRequest) -> Result<OpenDevice, DeviceError> {
    let (status, client_slot) = (Arc::<StreamStatus>::default(), Arc::<ClientSlot>::default());
    let (granted, device) = match request.host {
        #[cfg(target_os = "linux")]
        Host::Alsa => alsa::Device::open(request).map(|(g, d)| (g, OpenBackend::Alsa(d)))?,
        #[cfg(target_os = "linux")]
        Host::Jack => jack::Device::open(request, &status, &client_slot).map(|(g, d)| (g, OpenBackend::Jack(d)))?,
        #[cfg(any(test, not(target_os = "linux")))]
        Host::Cpal => cpal::Device::open(request).map(|(g, d)| (g, OpenBackend::Cpal(d)))?,
        Host::File => file::Device::open(request).map(|(g, d)| (g, OpenBackend::File(d)))?,
    };
    compare(request, &granted)?;
    Ok(OpenDevice { granted, status, client_slot, device })
}

/// Compares what a device grants with the request.
///
/// # Errors
/// [`DeviceError::Difference`] for the first value that differs.
fn compare(request: &OpenRequest, granted: &GrantedConfig) -> Result<(), DeviceError> {
    let device = &request.device;
    let differs = |asked: Option<usize>, gave: usize| asked.filter(|asked| *asked != gave);
    if let Some(asked) = request.sample_rate.filter(|rate| *rate != granted.sample_rate) {
        return Err(DeviceError::difference(device, format_args!("{asked} Hz"), granted.sample_rate));
    }
    if let Some(asked) = request.format.filter(|format| *format != granted.format) {
        return Err(DeviceError::difference(device, asked.name(), granted.format.name()));
    }
    if let Some(asked) = differs(request.channels, granted.channels) {
        return Err(DeviceError::difference(device, format_args!("{asked} channels"), granted.channels));
    }
    if let Some(asked) = differs(request.period_frames, granted.period_frames) {
        return Err(DeviceError::difference(device, format_args!("a period of {asked} frames"), granted.period_frames));
    }
    Ok(())
}

impl OpenDevice {
    /// Returns the configuration of the device. [control thread]
    #[must_use]
    pub fn granted(&self) -> &GrantedConfig {
        &self.granted
    }

    /// Starts the device, which then calls `client` with every block. [control thread]
    ///
    /// # Errors
    /// The device's error, with the client for another try. The client is `None` if it has panicked.
    pub fn start<C: Client>(self, client: C) -> Result<Stream<C>, (Option<C>, DeviceError)> {
        let Self { granted, status, client_slot, device } = self;
        // The client is in its slot before the device starts, so that it misses no block.
        client_slot.put(Box::new(client));
        let running = match device {
            #[cfg(target_os = "linux")]
            OpenBackend::Alsa(device) => RunningBackend::thread(&granted, &status, &client_slot, |s, c| device.run(s, c)),
            #[cfg(target_os = "linux")]
            OpenBackend::Jack(device) => Ok(RunningBackend::Jack(device)),
            #[cfg(any(test, not(target_os = "linux")))]
            OpenBackend::Cpal(device) => device.start(&status, &client_slot).map(RunningBackend::Cpal),
            OpenBackend::File(device) => RunningBackend::thread(&granted, &status, &client_slot, |s, c| device.run(s, c)),
        };
        match running {
            Ok(running) => Ok(Stream { granted, status, client_slot, running: Some(running), client: PhantomData }),
            Err(error) => Err((client_slot.take_as(), error)),
        }
    }
}

/// A device that runs and calls a [`Client`]. Stops when it is dropped. All methods: [control thread]
pub struct Stream<C: Client> {
    granted: GrantedConfig,
    status: Arc<StreamStatus>,
    client_slot: Arc<ClientSlot>,
    /// The device; `None` after the stop.
    running: Option<RunningBackend>,
    client: PhantomData<C>,
}

/// The running device of a host.
enum RunningBackend {
    /// A thread that reads the device and calls the client, with ALSA and a file.
    Thread(JoinHandle<()>),
    #[cfg(target_os = "linux")]
    Jack(jack::Device),
    #[cfg(any(test, not(target_os = "linux")))]
    Cpal(cpal::RunningStream),
}

impl RunningBackend {
    /// Starts the device's thread, which executes `run` until [`StreamStatus::stop`] is set or the device ends.
    fn thread(
        granted: &GrantedConfig,
        status: &Arc<StreamStatus>,
        client_slot: &Arc<ClientSlot>,
        run: impl FnOnce(&StreamStatus, &ClientSlot) + Send + 'static,
    ) -> Result<Self, DeviceError> {
        let (status, client_slot) = (status.clone(), client_slot.clone());
        let work = move || {
            run(&status, &client_slot);
            status.ended.store(true, Ordering::Release);
        };
        let spawned = std::thread::Builder::new().name("isotherm-device".into()).spawn(work);
        let no_thread = |e| DeviceError::failed(&granted.device, format_args!("no thread for it: {e}"));
        spawned.map(Self::Thread).map_err(no_thread)
    }

    /// Stops the device. A device that does not stop within [`STOP_TIMEOUT`] is left to a thread that waits for it.
    fn stop(self) {
        match self {
            Self::Thread(thread) => {
                let _ = run_with_timeout(STOP_TIMEOUT, move || drop(thread.join()));
            }
            #[cfg(target_os = "linux")]
            Self::Jack(device) => drop(device),
            #[cfg(any(test, not(target_os = "linux")))]
            Self::Cpal(running) => drop(running),
        }
    }
}

/// Executes `work`, which a device or a server may block, on a thread of its own, and waits for its result. Returns `None` if it
/// takes longer than `timeout`, in which case the thread goes on alone, or if there is no thread. [control thread]
fn run_with_timeout<T: Send + 'static>(timeout: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, outcome) = std::sync::mpsc::sync_channel(1);
    let work = move || drop(done.send(work()));
    std::thread::Builder::new().name("isotherm-wait".into()).spawn(work).ok()?;
    outcome.recv_timeout(timeout).ok()
}

/// Rounds a number of frames to the nearest whole one; a negative number becomes 0. [any thread]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, so a negative number becomes 0")]
fn whole_frames(frames: f64) -> u64 {
    frames.round() as u64
}

/// Returns the number of whole frames in a duration at a sample rate in hertz. [any thread]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "durations here are positive and a few seconds long")]
fn frames_in(seconds: f64, sample_rate: u32) -> usize {
    (seconds * f64::from(sample_rate)) as usize
}

/// Reason why a stream ended, as a text of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The device is gone or gives no blocks. It may come back.
    Disconnected(String),
    /// The device runs at another sample rate, so its sound does not continue the earlier sound.
    RateChanged(String),
}

impl std::fmt::Display for StreamEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disconnected(why) | Self::RateChanged(why) => f.write_str(why),
        }
    }
}

/// Returns the text for a change of the sample rate, both in hertz.
fn rate_change_text(from: u32, to: u32) -> String {
    format!("the sample rate changed from {from} to {to} Hz")
}

impl<C: Client> Stream<C> {
    /// Returns the configuration that the device had when it was opened.
    #[must_use]
    pub fn granted(&self) -> &GrantedConfig {
        &self.granted
    }

    /// Returns the reason why the stream ended; `None` while it runs.
    #[must_use]
    pub fn ended(&self) -> Option<StreamEnd> {
        if !self.status.ended.load(Ordering::Acquire) {
            return None;
        }
        Some(match self.status.changed_rate.load(Ordering::Relaxed) {
            0 => StreamEnd::Disconnected(self.status.end_reason.get().cloned().unwrap_or_else(|| "the device stopped".into())),
            rate => StreamEnd::RateChanged(rate_change_text(self.granted.sample_rate, rate)),
        })
    }

    /// Returns the number of blocks that the device has delivered. While it does not grow, the device gives no blocks.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.status.blocks.load(Ordering::Acquire)
    }

    /// Returns the frames of the last block. A JACK server may change them while it runs.
    #[must_use]
    pub fn period_frames(&self) -> usize {
        match self.status.period_frames.load(Ordering::Relaxed) {
            0 => self.granted.period_frames,
            frames => frames,
        }
    }

    /// Returns the number of times that the device reported lost input.
    #[must_use]
    pub fn overruns(&self) -> u64 {
        self.status.overruns.load(Ordering::Relaxed)
    }

    /// Returns the number of times that the output had nothing to play.
    #[must_use]
    pub fn underruns(&self) -> u64 {
        self.status.underruns.load(Ordering::Relaxed)
    }

    /// Returns the longest time that the client took for a block.
    #[must_use]
    pub fn longest_callback(&self) -> Duration {
        Duration::from_nanos(self.status.longest_callback_nanoseconds.load(Ordering::Relaxed))
    }

    /// Stops the device and returns its client, or `None` if the client has panicked. Waits for the end of a call that is under
    /// way, and at most 0.3 s for the device.
    #[must_use]
    pub fn stop(mut self) -> Option<C> {
        self.end()
    }

    fn end(&mut self) -> Option<C> {
        let running = self.running.take()?;
        self.status.stop.store(true, Ordering::Release);
        let client = self.client_slot.take_as();
        running.stop();
        client.filter(|_| !self.status.client_panicked.load(Ordering::Acquire))
    }
}

impl<C: Client> Drop for Stream<C> {
    fn drop(&mut self) {
        drop(self.end());
    }
}

/// An entry of the list of devices.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceInfo {
    /// Audio system that has the device.
    pub host: Host,
    /// Name of the device, as an [`OpenRequest`] takes it.
    pub device: String,
    /// Description in the host's words, in one line; may be empty.
    pub description: String,
    /// Every configuration that the device grants with all its channels, or the reason why it grants none.
    pub grants: Result<Vec<GrantedConfig>, DeviceError>,
    /// Number of channels that the device can play.
    pub outputs: usize,
}

/// Returns the names of a host's devices that can record, as [`list`] has them without `all`. Opens none of them. [control thread]
#[must_use]
pub fn names(host: Host) -> Vec<String> {
    match host {
        #[cfg(target_os = "linux")]
        Host::Alsa => alsa::names(),
        #[cfg(target_os = "linux")]
        Host::Jack => jack::names(),
        #[cfg(any(test, not(target_os = "linux")))]
        Host::Cpal => list(host, true).into_iter().map(|info| info.device).collect(),
        // Any WAV file can stand in for a device, so the list is empty.
        Host::File => Vec::new(),
    }
}

/// Returns the devices of a host that can record. Opens each for a moment, in every configuration, to see what it grants. Without
/// `all`, ALSA's converters and other names of the same devices (`plughw`, `dsnoop`, `default`, `null` ...) are left out.
/// [control thread]
#[must_use]
pub fn list(host: Host, all: bool) -> Vec<DeviceInfo> {
    match host {
        #[cfg(target_os = "linux")]
        Host::Alsa => alsa::list(all),
        #[cfg(target_os = "linux")]
        Host::Jack => jack::list(),
        #[cfg(any(test, not(target_os = "linux")))]
        Host::Cpal => cpal::list(),
        // Any WAV file can stand in for a device, so the list is empty.
        Host::File => Vec::new(),
    }
}
