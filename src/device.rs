//! Sound devices, opened strictly: what was asked for is what runs, or there is an error that names both.
//!
//! [`open`] takes a [`Wish`] and gives an [`Opened`] device that says what was [`Granted`]. [`Opened::start`] hands a [`Client`] to
//! the device's thread, which calls it with every block; [`Stream::stop`] hands it back, also after the device has gone. Integer
//! samples stay integers. Frames that a device lost are counted by its clock and told with the block behind them.
//!
//! [`Capture`] is the client that records: it feeds a [`record::Writer`](crate::record::Writer) and meters, and keeps the time line
//! while a device is away. [`Session`] keeps it running. [`Monitor`] plays channels through an [`Insert`].

#[cfg(target_os = "linux")]
mod alsa;
mod capture;
#[cfg(target_os = "linux")]
mod card;
mod chair;
#[cfg(any(test, not(target_os = "linux")))]
mod cpal;
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

use crate::record::pcm::Words;

use chair::Chair;

pub use capture::{Capture, Feed};
#[cfg(target_os = "linux")]
pub use card::FakeCard;
pub use monitor::{Insert, Monitor, MonitorCounts, Sides};
pub use session::{Counts, Prepared, Session, State};

/// Channels of a device that are used; further ones are left out.
pub const MAX_CHANNELS: usize = crate::dsp::MAX_CHANNELS;
/// The period where none is asked for.
const PERIOD_FRAMES: usize = 256;
/// A device that is told to stop is waited for so long.
const STOP_PATIENCE: Duration = Duration::from_millis(300);
/// The rate where none is asked for and the device lets us choose: a desk's own.
const SAMPLE_RATE: u32 = 48_000;

/// What devices are reached through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The kernel's devices, by `libasound`.
    #[cfg(target_os = "linux")]
    Alsa,
    /// Clients of a JACK server (that of `JACK_DEFAULT_SERVER`). Its library is opened when it is asked for.
    #[cfg(target_os = "linux")]
    Jack,
    /// The system's own: Core Audio, WASAPI.
    #[cfg(any(test, not(target_os = "linux")))]
    Cpal,
    /// A WAV file stands in for a device: looped, at the pace of the clock. What is played is thrown away.
    File,
}

impl Host {
    /// All of this system; the first is the default.
    #[cfg(target_os = "linux")]
    pub const ALL: &[Self] = &[Self::Alsa, Self::Jack, Self::File];
    /// All of this system; the first is the default.
    #[cfg(not(target_os = "linux"))]
    pub const ALL: &[Self] = &[Self::Cpal, Self::File];

    /// As on the command line.
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

    /// The host of an id.
    #[must_use]
    pub fn find(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|host| host.id() == id)
    }
}

/// Samples as a device gives them, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleFormat {
    S16,
    /// 24 bits at the bottom of 32.
    S24,
    /// 24 bits in three bytes.
    S24Packed,
    S32,
    Float,
}

impl SampleFormat {
    /// In the order in which they are tried where none is asked for.
    pub const ALL: [Self; 5] = [Self::S32, Self::S24, Self::S24Packed, Self::Float, Self::S16];

    /// ALSA's name.
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

    /// The format of a name, in any case.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(name))
    }

    /// Of one sample.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::S16 => 2,
            Self::S24Packed => 3,
            Self::S24 | Self::S32 | Self::Float => 4,
        }
    }

    /// What a [`Client`] gets: floats, or integers at the top of 32 bits.
    #[must_use]
    pub fn words(self) -> Words {
        if self == Self::Float { Words::Float } else { Words::Int32 }
    }
}

/// What is asked of a device. `None` leaves a choice to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    pub host: Host,
    /// An ALSA name, a JACK client with outputs, or a file.
    pub device: String,
    /// Hertz.
    pub sample_rate: Option<u32>,
    pub format: Option<SampleFormat>,
    /// Input channels; without it, as many as it has.
    pub channels: Option<usize>,
    pub period_frames: Option<usize>,
    /// Plays, too: the device's output channel, from 0, of each output of the client. Empty: input only.
    pub outputs: Vec<usize>,
    /// The device that plays; without it, the one that records (at JACK: `system`).
    pub output_device: Option<String>,
}

impl Wish {
    /// A device as it is, input only.
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

impl std::fmt::Display for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let any = |text: Option<String>, of: &str| text.unwrap_or_else(|| format!("any {of}"));
        let channels = any(self.channels.map(|n| format!("{n} channels")), "channels");
        let rate = any(self.sample_rate.map(|n| format!("{n} Hz")), "rate");
        let format = any(self.format.map(|n| n.name().into()), "format");
        let period = any(self.period_frames.map(|n| format!("period {n} frames")), "period");
        write!(f, "{channels}, {rate}, {format}, {period}")
    }
}

/// What a device really gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    pub host: Host,
    pub device: String,
    /// Hertz.
    pub sample_rate: u32,
    pub format: SampleFormat,
    pub channels: usize,
    /// Frames of a block. A server may change them while it runs; no other device gives more.
    pub period_frames: usize,
    /// What the device holds while nobody listens.
    pub buffer_frames: usize,
    /// Output channels of the client.
    pub outputs: usize,
}

impl Granted {
    /// Frames from an input to the output on which a [`Monitor`] plays it, without what the effect adds: one period at JACK; at ALSA the
    /// periods of silence that are played while the first block comes in.
    #[must_use]
    pub fn heard_after_frames(&self) -> usize {
        match self.host {
            #[cfg(target_os = "linux")]
            Host::Alsa => alsa::PREFILL_PERIODS * self.period_frames,
            _ => self.period_frames,
        }
    }
}

impl std::fmt::Display for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { channels, sample_rate, period_frames, buffer_frames, .. } = self;
        let format = self.format.name();
        write!(f, "{channels} channels, {sample_rate} Hz, {format}, period {period_frames} frames, buffer {buffer_frames} frames")
    }
}

/// Why a device cannot be used, or ended. Every message is one line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeviceError {
    #[error("{host}: unknown device '{device}'; expected {expected}", host = .host.id())]
    Unknown { host: Host, device: String, expected: String },
    #[error("{device}: the device is in use by another program")]
    Busy { device: String },
    #[error("{device}: asked for {asked}, the device gave {granted}")]
    Difference { device: String, asked: String, granted: String },
    #[error("{device}: {what}")]
    Failed { device: String, what: String },
}

impl DeviceError {
    fn failed(device: &str, what: impl std::fmt::Display) -> Self {
        Self::Failed { device: device.into(), what: what.to_string().replace('\n', " ") }
    }

    fn difference(device: &str, asked: impl std::fmt::Display, granted: impl std::fmt::Display) -> Self {
        Self::Difference { device: device.into(), asked: asked.to_string(), granted: granted.to_string() }
    }
}

/// Samples of a block: a slice per channel, all of one length.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    Floats(&'a [&'a [f32]]),
    /// At the top of 32 bits.
    Integers(&'a [&'a [i32]]),
}

impl Input<'_> {
    /// [device thread]
    #[must_use]
    pub fn frames(&self) -> usize {
        match self {
            Self::Floats(channels) => channels.first().map_or(0, |c| c.len()),
            Self::Integers(channels) => channels.first().map_or(0, |c| c.len()),
        }
    }
}

/// What a device calls.
pub trait Client: Send + 'static {
    /// A block comes in, and one of the same length goes out; `output` is silent. `lost` frames are missing in front of it.
    /// [device thread: no wait, no allocation, no lock]
    fn process(&mut self, lost: u64, input: Input<'_>, output: &mut [&mut [f32]]);
}

/// How a stream goes. [any thread]
#[derive(Debug, Default)]
pub(crate) struct Status {
    stop: AtomicBool,
    ended: AtomicBool,
    /// The sample rate that it has now, if it ended because that is another one than was granted; else 0.
    rate: AtomicU32,
    /// The client has panicked: nothing shall call it again.
    broken: AtomicBool,
    why: OnceLock<String>,
    /// Times that the device has called us.
    calls: AtomicU64,
    /// Frames of the last block; 0 before the first one.
    period_frames: AtomicUsize,
    overruns: AtomicU64,
    underruns: AtomicU64,
    worst_nanoseconds: AtomicU64,
}

impl Status {
    /// The device is gone. [the device's thread, which ends]
    fn end(&self, why: impl std::fmt::Display) {
        let _ = self.why.set(why.to_string());
        self.ended.store(true, Ordering::Release);
    }

    /// The device goes on at another sample rate. [device thread]
    fn change(&self, rate: u32) {
        self.rate.store(rate, Ordering::Relaxed);
        self.ended.store(true, Ordering::Release);
    }

    /// The device calls us, with a block of so many frames. [device thread]
    fn called(&self, frames: usize) {
        self.period_frames.store(frames, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Release);
    }

    /// Calls the client, if one sits there, and keeps the longest time that it took. [device thread]
    fn run(&self, chair: &Chair, lost: u64, input: Input<'_>, output: &mut [&mut [f32]]) -> bool {
        let begun = Instant::now();
        let called = chair.call(|client| {
            let unwound = Unwound(self);
            client.process(lost, input, output);
            std::mem::forget(unwound);
        });
        self.worst_nanoseconds.fetch_max(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        called
    }
}

/// Dropped while a client panics, whoever catches that.
struct Unwound<'a>(&'a Status);

impl Drop for Unwound<'_> {
    fn drop(&mut self) {
        self.0.broken.store(true, Ordering::Release);
        self.0.end("what the device calls has broken");
    }
}

/// A device that is open and has no client yet.
pub struct Opened {
    granted: Granted,
    status: Arc<Status>,
    chair: Arc<Chair>,
    device: Kind,
}

enum Kind {
    #[cfg(target_os = "linux")]
    Alsa(alsa::Device),
    /// It runs already: only so a server tells its period, and whether its cables carry.
    #[cfg(target_os = "linux")]
    Jack(jack::Device),
    #[cfg(any(test, not(target_os = "linux")))]
    Cpal(cpal::Device),
    File(file::Device),
}

/// Opens a device and compares what it grants with what was asked. A server that stands still is waited for a few seconds.
/// [control thread]
///
/// # Errors
/// An unknown device, one in use, one that gives nothing, or a difference.
pub fn open(wish: &Wish) -> Result<Opened, DeviceError> {
    let (status, chair) = (Arc::<Status>::default(), Arc::<Chair>::default());
    let (granted, device) = match wish.host {
        #[cfg(target_os = "linux")]
        Host::Alsa => alsa::Device::open(wish).map(|(g, d)| (g, Kind::Alsa(d)))?,
        #[cfg(target_os = "linux")]
        Host::Jack => jack::Device::open(wish, &status, &chair).map(|(g, d)| (g, Kind::Jack(d)))?,
        #[cfg(any(test, not(target_os = "linux")))]
        Host::Cpal => cpal::Device::open(wish).map(|(g, d)| (g, Kind::Cpal(d)))?,
        Host::File => file::Device::open(wish).map(|(g, d)| (g, Kind::File(d)))?,
    };
    compare(wish, &granted)?;
    Ok(Opened { granted, status, chair, device })
}

/// Whether `granted` is what was asked for.
fn compare(wish: &Wish, granted: &Granted) -> Result<(), DeviceError> {
    let device = &wish.device;
    let differs = |asked: Option<usize>, gave: usize| asked.filter(|asked| *asked != gave);
    if let Some(asked) = wish.sample_rate.filter(|rate| *rate != granted.sample_rate) {
        return Err(DeviceError::difference(device, format_args!("{asked} Hz"), granted.sample_rate));
    }
    if let Some(asked) = wish.format.filter(|format| *format != granted.format) {
        return Err(DeviceError::difference(device, asked.name(), granted.format.name()));
    }
    if let Some(asked) = differs(wish.channels, granted.channels) {
        return Err(DeviceError::difference(device, format_args!("{asked} channels"), granted.channels));
    }
    if let Some(asked) = differs(wish.period_frames, granted.period_frames) {
        return Err(DeviceError::difference(device, format_args!("a period of {asked} frames"), granted.period_frames));
    }
    Ok(())
}

impl Opened {
    /// What the device gives. [control thread]
    #[must_use]
    pub fn granted(&self) -> &Granted {
        &self.granted
    }

    /// Lets the device run; from now on it calls `client`. [control thread]
    ///
    /// # Errors
    /// The device's; with the client, unless that has panicked, for another try.
    pub fn start<C: Client>(self, client: C) -> Result<Stream<C>, (Option<C>, DeviceError)> {
        let Self { granted, status, chair, device } = self;
        // First: so no block comes before it.
        chair.seat(Box::new(client));
        let running = match device {
            #[cfg(target_os = "linux")]
            Kind::Alsa(device) => Running::thread(&granted, &status, &chair, |status, chair| device.run(status, chair)),
            #[cfg(target_os = "linux")]
            Kind::Jack(device) => Ok(Running::Jack(device)),
            #[cfg(any(test, not(target_os = "linux")))]
            Kind::Cpal(device) => device.start(&status, &chair).map(Running::Cpal),
            Kind::File(device) => Running::thread(&granted, &status, &chair, |status, chair| device.run(status, chair)),
        };
        match running {
            Ok(running) => Ok(Stream { granted, status, chair, running: Some(running), client: PhantomData }),
            Err(error) => Err((chair.leave_as(), error)),
        }
    }
}

/// A device that runs. Dropped, it stops. All of it: [control thread]
pub struct Stream<C: Client> {
    granted: Granted,
    status: Arc<Status>,
    chair: Arc<Chair>,
    /// None after the stop.
    running: Option<Running>,
    client: PhantomData<C>,
}

enum Running {
    Thread(JoinHandle<()>),
    #[cfg(target_os = "linux")]
    Jack(jack::Device),
    #[cfg(any(test, not(target_os = "linux")))]
    Cpal(cpal::Running),
}

impl Running {
    /// A thread of our own calls the client until it is told to stop.
    fn thread(
        granted: &Granted,
        status: &Arc<Status>,
        chair: &Arc<Chair>,
        run: impl FnOnce(&Status, &Chair) + Send + 'static,
    ) -> Result<Self, DeviceError> {
        let (status, chair) = (status.clone(), chair.clone());
        let work = move || {
            run(&status, &chair);
            status.ended.store(true, Ordering::Release);
        };
        let spawned = std::thread::Builder::new().name("isotherm-device".into()).spawn(work);
        let none = |e| DeviceError::failed(&granted.device, format_args!("no thread for it: {e}"));
        spawned.map(Self::Thread).map_err(none)
    }

    /// Stops the device. One that does not answer is left to a thread of its own.
    fn stop(self) {
        match self {
            Self::Thread(thread) => {
                let _ = within(STOP_PATIENCE, move || drop(thread.join()));
            }
            #[cfg(target_os = "linux")]
            Self::Jack(device) => drop(device),
            #[cfg(any(test, not(target_os = "linux")))]
            Self::Cpal(running) => drop(running),
        }
    }
}

/// Does something that others may hold up, on a thread of its own, and waits for it so long; after that it is left to itself. None if
/// it took longer, or there is no thread for it. [control thread]
fn within<T: Send + 'static>(patience: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, outcome) = std::sync::mpsc::sync_channel(1);
    let work = move || drop(done.send(work()));
    std::thread::Builder::new().name("isotherm-wait".into()).spawn(work).ok()?;
    outcome.recv_timeout(patience).ok()
}

/// The reason for which a device runs no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has gone, for this reason, and may come back.
    Gone(String),
    /// Its sample rate is another one: what comes now does not belong to what came before.
    Changed(String),
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone(why) | Self::Changed(why) => f.write_str(why),
        }
    }
}

/// The words for another sample rate.
fn changed(from: u32, to: u32) -> String {
    format!("the sample rate changed from {from} to {to} Hz")
}

impl<C: Client> Stream<C> {
    /// The form that the device gave when it was opened.
    #[must_use]
    pub fn granted(&self) -> &Granted {
        &self.granted
    }

    /// Why the device runs no more; none while it runs.
    #[must_use]
    pub fn ended(&self) -> Option<Ending> {
        if !self.status.ended.load(Ordering::Acquire) {
            return None;
        }
        Some(match self.status.rate.load(Ordering::Relaxed) {
            0 => Ending::Gone(self.status.why.get().cloned().unwrap_or_else(|| "the device stopped".into())),
            rate => Ending::Changed(changed(self.granted.sample_rate, rate)),
        })
    }

    /// Times that the device has called us. While they do not grow, nothing comes.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.status.calls.load(Ordering::Acquire)
    }

    /// Frames of the last block: at a server it may change while it runs.
    #[must_use]
    pub fn period_frames(&self) -> usize {
        match self.status.period_frames.load(Ordering::Relaxed) {
            0 => self.granted.period_frames,
            frames => frames,
        }
    }

    /// Times that the device lost frames, as it says.
    #[must_use]
    pub fn overruns(&self) -> u64 {
        self.status.overruns.load(Ordering::Relaxed)
    }

    /// Times that the output had nothing to play.
    #[must_use]
    pub fn underruns(&self) -> u64 {
        self.status.underruns.load(Ordering::Relaxed)
    }

    /// The longest time that the client took for a block.
    #[must_use]
    pub fn worst(&self) -> Duration {
        Duration::from_nanos(self.status.worst_nanoseconds.load(Ordering::Relaxed))
    }

    /// Stops the device and gives back its client; none if that has panicked. It waits for the client's call, if one is under way, and
    /// for the device only a moment.
    #[must_use]
    pub fn stop(mut self) -> Option<C> {
        self.end()
    }

    fn end(&mut self) -> Option<C> {
        let running = self.running.take()?;
        self.status.stop.store(true, Ordering::Release);
        let client = self.chair.leave_as();
        running.stop();
        client.filter(|_| !self.status.broken.load(Ordering::Acquire))
    }
}

impl<C: Client> Drop for Stream<C> {
    fn drop(&mut self) {
        drop(self.end());
    }
}

/// A device that is there, for a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub host: Host,
    pub device: String,
    pub description: String,
    /// Every form that it grants at its own number of channels, or why it grants none.
    pub grants: Result<Vec<Granted>, DeviceError>,
    /// Channels that it can play.
    pub outputs: usize,
}

/// The names of a host's devices, none of which is opened. [control thread]
#[must_use]
pub fn names(host: Host) -> Vec<String> {
    match host {
        #[cfg(target_os = "linux")]
        Host::Alsa => alsa::names(),
        #[cfg(target_os = "linux")]
        Host::Jack => jack::names(),
        #[cfg(any(test, not(target_os = "linux")))]
        Host::Cpal => list(host).into_iter().map(|listed| listed.device).collect(),
        // Every file may be one.
        Host::File => Vec::new(),
    }
}

/// The devices of a host. Each is opened for a moment, in every form, to see what it grants. [control thread]
#[must_use]
pub fn list(host: Host) -> Vec<Listed> {
    match host {
        #[cfg(target_os = "linux")]
        Host::Alsa => alsa::list(),
        #[cfg(target_os = "linux")]
        Host::Jack => jack::list(),
        #[cfg(any(test, not(target_os = "linux")))]
        Host::Cpal => cpal::list(),
        // Every file may be one.
        Host::File => Vec::new(),
    }
}
