//! The host [`Host::Cpal`]: the devices of Core Audio and WASAPI through the crate `cpal`. They record only.
//!
//! On Linux this module is compiled for its tests alone. It has not yet run on macOS or Windows.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use ::cpal::{
    BufferSize, Data, ErrorKind, I24, InputCallbackInfo, SampleFormat as CpalFormat, SizedSample, StreamConfig, StreamInstant,
    SupportedBufferSize, SupportedStreamConfigRange,
};
use arrayvec::ArrayVec;

use super::client_slot::ClientSlot;
use super::{
    DeviceError, DeviceInfo, GrantedConfig, Host, InputBlock, MAX_CHANNELS, OpenRequest, PERIOD_FRAMES, SAMPLE_RATE,
    SampleFormat, StreamStatus, whole_frames,
};

/// Sample rates in hertz that are offered, in this order.
const RATES: [u32; 5] = [SAMPLE_RATE, 44_100, 96_000, 88_200, 192_000];

/// The formats of cpal that are used, each with the [`SampleFormat`] that it is here.
const FORMATS: [(CpalFormat, SampleFormat); 4] = [
    (CpalFormat::I32, SampleFormat::S32),
    (CpalFormat::I24, SampleFormat::S24),
    (CpalFormat::F32, SampleFormat::Float),
    (CpalFormat::I16, SampleFormat::S16),
];

/// A configuration that a device offers, in cpal's terms and in ours.
#[derive(Clone)]
struct OfferedConfig {
    format: CpalFormat,
    config: StreamConfig,
    granted: GrantedConfig,
}

/// A device with the configuration that was chosen for it.
pub(super) struct Device {
    device: ::cpal::Device,
    offer: OfferedConfig,
}

/// Converts an error of cpal.
fn failed(device: &str, e: &::cpal::Error) -> DeviceError {
    match e.kind() {
        ErrorKind::DeviceBusy => DeviceError::Busy { device: device.into() },
        _ => DeviceError::failed(device, e),
    }
}

/// Returns the name and handle of each device that can record.
fn devices() -> Vec<(String, ::cpal::Device)> {
    let all = ::cpal::default_host().input_devices().into_iter().flatten();
    all.filter_map(|device| Some((device.description().ok()?.name().to_string(), device))).collect()
}

/// Returns every configuration that a device offers, those with more channels first.
fn offers(name: &str, device: &::cpal::Device) -> Result<Vec<OfferedConfig>, DeviceError> {
    let mut all = Vec::new();
    let supported: Vec<_> = device.supported_input_configs().map_err(|e| failed(name, &e))?.collect();
    for (cpal_format, format) in FORMATS {
        for range in supported.iter().filter(|range| range.sample_format() == cpal_format) {
            let rates = range.min_sample_rate()..=range.max_sample_rate();
            all.extend(RATES.into_iter().filter(|rate| rates.contains(rate)).map(|rate| offer(name, range, format, rate)));
        }
    }
    all.sort_by_key(|offer| std::cmp::Reverse(offer.granted.channels));
    Ok(all)
}

/// Returns one configuration out of a range that cpal reports.
fn offer(name: &str, range: &SupportedStreamConfigRange, format: SampleFormat, sample_rate: u32) -> OfferedConfig {
    let period_frames = match range.buffer_size() {
        SupportedBufferSize::Range { min, max } => PERIOD_FRAMES.clamp(*min as usize, (*min).max(*max) as usize),
        SupportedBufferSize::Unknown => PERIOD_FRAMES,
    };
    let granted = GrantedConfig {
        host: Host::Cpal,
        device: name.into(),
        sample_rate,
        format,
        channels: usize::from(range.channels()).min(MAX_CHANNELS),
        period_frames,
        buffer_frames: period_frames,
        outputs: 0,
    };
    let config = StreamConfig { channels: range.channels(), sample_rate, buffer_size: fixed_buffer(period_frames) };
    OfferedConfig { format: range.sample_format(), config, granted }
}

/// Returns cpal's value for a period of this many frames.
fn fixed_buffer(period_frames: usize) -> BufferSize {
    BufferSize::Fixed(u32::try_from(period_frames).unwrap_or(u32::MAX))
}

/// Returns the devices that can record, with every configuration that they offer. [control thread]
pub(super) fn list() -> Vec<DeviceInfo> {
    let info = |(name, device): (String, ::cpal::Device)| DeviceInfo {
        host: Host::Cpal,
        grants: offers(&name, &device).map(|all| all.into_iter().map(|offer| offer.granted).collect()),
        description: "the system's".into(),
        device: name,
        outputs: 0,
    };
    devices().into_iter().map(info).collect()
}

impl Device {
    /// Chooses the offered configuration that fits the request and reads the period that it really has. [control thread]
    ///
    /// # Errors
    /// If the device is unknown or in use, offers no usable format, or is asked to play. A difference from the request is no
    /// error here: the caller compares.
    pub fn open(request: &OpenRequest) -> Result<(GrantedConfig, Self), DeviceError> {
        if !request.outputs.is_empty() {
            return Err(DeviceError::failed(&request.device, "this host only records; hear it by --monitor-file"));
        }
        let mut all = devices();
        let Some(at) = all.iter().position(|(name, _)| *name == request.device) else {
            let expected = all.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
            return Err(DeviceError::Unknown { host: Host::Cpal, device: request.device.clone(), expected });
        };
        let (name, device) = all.swap_remove(at);
        let offered = offers(&name, &device)?;
        // The first one that fits the request; else the first one, whose difference the caller reports.
        let any_period = OpenRequest { period_frames: None, ..request.clone() };
        let fits = |offer: &&OfferedConfig| super::compare(&any_period, &offer.granted).is_ok();
        let chosen = offered.iter().find(fits).or(offered.first());
        let nothing = || DeviceError::failed(&name, "no form of it is 16, 24 or 32-bit integer or float");
        let mut offer = chosen.ok_or_else(nothing)?.clone();
        if let Some(asked) = request.period_frames {
            offer.config.buffer_size = fixed_buffer(asked);
        }
        // Only a stream knows its period.
        let stream = device.build_input_stream_raw(offer.config, offer.format, |_, _| {}, |_| {}, None);
        let period = stream.and_then(|stream| stream.buffer_size()).map_err(|e| failed(&name, &e))?;
        offer.granted.period_frames = period as usize;
        offer.granted.buffer_frames = period as usize;
        Ok((offer.granted.clone(), Self { device, offer }))
    }

    /// Starts a stream that calls the client in the slot. [control thread]
    ///
    /// # Errors
    /// If the stream cannot be built or started.
    pub fn start(self, status: &Arc<StreamStatus>, client_slot: &Arc<ClientSlot>) -> Result<RunningStream, DeviceError> {
        let integers = || InputCallback::new(&self.offer, client_slot, status, 0);
        let built = match self.offer.format {
            CpalFormat::F32 => {
                let floats = InputCallback::new(&self.offer, client_slot, status, 0.0);
                self.build(floats, |x: &f32| *x, |c| InputBlock::Floats(c))
            }
            CpalFormat::I16 => self.build(integers(), |x: &i16| i32::from(*x) << 16, |c| InputBlock::Integers(c)),
            CpalFormat::I24 => self.build(integers(), |x: &I24| x.inner() << 8, |c| InputBlock::Integers(c)),
            _ => self.build(integers(), |x: &i32| *x, |c| InputBlock::Integers(c)),
        };
        let stream = built.and_then(|stream| stream.play().map(|()| stream));
        stream.map(|stream| RunningStream { _stream: stream }).map_err(|e| failed(&self.offer.granted.device, &e))
    }

    /// Builds a stream of samples of type `T`. `sample` converts one of them, `input` makes a block of the channels' samples.
    fn build<T: SizedSample + 'static, S: Copy + Send + 'static>(
        &self,
        mut callback: InputCallback<S>,
        sample: fn(&T) -> S,
        input: for<'a> fn(&'a [&'a [S]]) -> InputBlock<'a>,
    ) -> Result<::cpal::Stream, ::cpal::Error> {
        let status = callback.status.clone();
        let on_error = move |e: ::cpal::Error| match e.kind() {
            ErrorKind::Xrun => {
                status.overruns.fetch_add(1, Ordering::Relaxed);
            }
            ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
            _ => status.end(e),
        };
        let call = move |data: &Data, info: &InputCallbackInfo| {
            if let Some(samples) = data.as_slice() {
                callback.call(samples, info.timestamp().capture, sample, input);
            }
        };
        self.device.build_input_stream_raw(self.offer.config, self.offer.format, call, on_error, None)
    }
}

/// A running stream. Stops when it is dropped.
pub(super) struct RunningStream {
    _stream: ::cpal::Stream,
}

/// The callback of a cpal stream. Splits the input into periods and calls the client with each. [device thread]
struct InputCallback<S> {
    client_slot: Arc<ClientSlot>,
    status: Arc<StreamStatus>,
    /// A period of each used channel.
    planar: Vec<Vec<S>>,
    period_frames: usize,
    /// Number of channels of the device, including unused ones.
    device_channels: usize,
    /// Sample rate in hertz.
    sample_rate: f64,
    /// Time at which the next block should begin.
    next: Option<StreamInstant>,
    /// Number of overruns at the last call.
    overruns: u64,
}

impl<S: Copy> InputCallback<S> {
    fn new(offer: &OfferedConfig, client_slot: &Arc<ClientSlot>, status: &Arc<StreamStatus>, zero: S) -> Self {
        let GrantedConfig { channels, period_frames, sample_rate, .. } = offer.granted;
        Self {
            client_slot: client_slot.clone(),
            status: status.clone(),
            planar: vec![vec![zero; period_frames]; channels],
            period_frames,
            device_channels: offer.config.channels.into(),
            sample_rate: f64::from(sample_rate),
            next: None,
            overruns: 0,
        }
    }

    /// Calls the client with interleaved samples, the first of which was captured at `first`. They may be more than a period.
    /// [device thread]
    fn call<T>(
        &mut self,
        data: &[T],
        first: StreamInstant,
        sample: impl Fn(&T) -> S,
        input: impl for<'a> Fn(&'a [&'a [S]]) -> InputBlock<'a>,
    ) {
        // Lost frames are counted by the device's own clock, but only if the device reported an overrun.
        let overruns = self.status.overruns.load(Ordering::Relaxed);
        let late = self.next.map_or(0.0, |next| first.duration_since(next).as_secs_f64() * self.sample_rate);
        let mut lost = if overruns == self.overruns { 0 } else { whole_frames(late) };
        self.overruns = overruns;
        let frames = data.len() / self.device_channels;
        self.next = first.checked_add(Duration::from_secs_f64(frames as f64 / self.sample_rate));
        self.status.count_block(frames);
        for part in data.chunks(self.period_frames * self.device_channels) {
            let n = part.len() / self.device_channels;
            for (channel, out) in self.planar.iter_mut().enumerate() {
                for (out, frame) in out.iter_mut().zip(part.chunks_exact(self.device_channels)) {
                    *out = sample(&frame[channel]);
                }
            }
            let views: ArrayVec<&[S], MAX_CHANNELS> = self.planar.iter().map(|channel| &channel[..n]).collect();
            self.status.call_client(&self.client_slot, std::mem::take(&mut lost), input(&views), &mut []);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Client;
    use super::*;

    /// A client that keeps the arguments of each call.
    #[derive(Default)]
    struct RecordingClient {
        lost: Vec<u64>,
        blocks: Vec<Vec<Vec<i32>>>,
    }

    impl Client for RecordingClient {
        fn process(&mut self, lost_frames: u64, input: InputBlock<'_>, _: &mut [&mut [f32]]) {
            let InputBlock::Integers(channels) = input else { panic!("integers were given") };
            self.lost.push(lost_frames);
            self.blocks.push(channels.iter().map(|channel| channel.to_vec()).collect());
        }
    }

    /// Returns a callback for three channels at 48 kHz, of which two are used, in periods of 4 frames.
    fn callback() -> (InputCallback<i32>, Arc<ClientSlot>, Arc<StreamStatus>) {
        let granted = GrantedConfig {
            host: Host::Cpal,
            device: String::new(),
            sample_rate: 48_000,
            format: SampleFormat::S16,
            channels: 2,
            period_frames: 4,
            buffer_frames: 4,
            outputs: 0,
        };
        let config = StreamConfig { channels: 3, sample_rate: 48_000, buffer_size: BufferSize::Fixed(4) };
        let offer = OfferedConfig { format: CpalFormat::I16, config, granted };
        let status = Arc::new(StreamStatus::default());
        let client_slot = Arc::<ClientSlot>::default();
        client_slot.put(Box::new(RecordingClient::default()));
        (InputCallback::new(&offer, &client_slot, &status, 0), client_slot, status)
    }

    /// Returns interleaved frames of three channels; the sample of frame `n` is `10 n + channel`.
    fn frames(range: std::ops::Range<i16>) -> Vec<i16> {
        range.flat_map(|n| (0..3).map(move |channel| 10 * n + channel)).collect()
    }

    /// Returns the time at which a frame is captured.
    fn at(frame: u64) -> StreamInstant {
        StreamInstant::from_nanos(1_000_000_000 + frame * 1_000_000_000 / 48_000)
    }

    #[test]
    fn a_block_of_any_length_is_split_into_periods_of_the_used_channels() {
        let (mut callback, client_slot, _) = callback();
        callback.call(&frames(0..10), at(0), |x| (*x).into(), |c| InputBlock::Integers(c));
        drop(callback);
        let client = client_slot.take_as::<RecordingClient>().unwrap();
        assert_eq!(client.blocks.iter().map(|block| block[0].len()).collect::<Vec<_>>(), [4, 4, 2]);
        for (channel, offset) in (0..2).zip(0i32..) {
            let all: Vec<i32> = client.blocks.iter().flat_map(|block| block[channel].clone()).collect();
            assert_eq!(all, (0..10).map(|n| 10 * n + offset).collect::<Vec<_>>());
        }
        assert_eq!(client.blocks[0].len(), 2);
    }

    #[test]
    fn after_an_overrun_lost_frames_are_counted_by_the_devices_clock() {
        let (mut callback, client_slot, status) = callback();
        let mut call =
            |range: std::ops::Range<i16>, time| callback.call(&frames(range), time, |x| (*x).into(), |c| InputBlock::Integers(c));
        call(0..4, at(0));
        // The time stamps of devices are not exact.
        call(4..8, at(4) + Duration::from_micros(50));
        status.overruns.fetch_add(1, Ordering::Relaxed);
        call(0..6, at(108));
        call(6..10, at(114));
        drop(callback);
        let client = client_slot.take_as::<RecordingClient>().unwrap();
        assert_eq!(client.lost[..2], [0, 0]);
        // 100 frames minus the 50 us (2.4 frames) by which the previous time stamp was late.
        assert!((97..=100).contains(&client.lost[2]), "{:?}", client.lost);
        assert_eq!(client.lost[3..], [0, 0]);
    }
}
