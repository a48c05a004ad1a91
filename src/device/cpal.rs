//! The system's devices where there is no ALSA: Core Audio and WASAPI, by cpal. Input only.
//!
//! On Linux it is compiled for the tests alone. It has not run on the systems that it is for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use ::cpal::{
    BufferSize, Data, ErrorKind, I24, InputCallbackInfo, SampleFormat as Given, SizedSample, StreamConfig, StreamInstant,
    SupportedBufferSize, SupportedStreamConfigRange,
};
use arrayvec::ArrayVec;

use super::chair::Chair;
use super::{DeviceError, Granted, Host, Input, Listed, MAX_CHANNELS, PERIOD_FRAMES, SAMPLE_RATE, SampleFormat, Status, Wish};

/// The rates that are looked for, in this order.
const RATES: [u32; 5] = [SAMPLE_RATE, 44_100, 96_000, 88_200, 192_000];

/// What we take, and what it is called here.
const FORMATS: [(Given, SampleFormat); 4] = [
    (Given::I32, SampleFormat::S32),
    (Given::I24, SampleFormat::S24),
    (Given::F32, SampleFormat::Float),
    (Given::I16, SampleFormat::S16),
];

/// A form that a device offers.
#[derive(Clone)]
struct Offer {
    given: Given,
    config: StreamConfig,
    granted: Granted,
}

pub(super) struct Device {
    device: ::cpal::Device,
    offer: Offer,
}

fn failed(device: &str, e: &::cpal::Error) -> DeviceError {
    match e.kind() {
        ErrorKind::DeviceBusy => DeviceError::Busy { device: device.into() },
        _ => DeviceError::failed(device, e),
    }
}

fn devices() -> Vec<(String, ::cpal::Device)> {
    let all = ::cpal::default_host().input_devices().into_iter().flatten();
    all.filter_map(|device| Some((device.description().ok()?.name().to_string(), device))).collect()
}

/// Every form that the device offers, the widest first.
fn offers(name: &str, device: &::cpal::Device) -> Result<Vec<Offer>, DeviceError> {
    let mut all = Vec::new();
    let offered: Vec<_> = device.supported_input_configs().map_err(|e| failed(name, &e))?.collect();
    for (given, format) in FORMATS {
        for range in offered.iter().filter(|range| range.sample_format() == given) {
            let rates = range.min_sample_rate()..=range.max_sample_rate();
            all.extend(RATES.into_iter().filter(|rate| rates.contains(rate)).map(|rate| offer(name, range, format, rate)));
        }
    }
    all.sort_by_key(|offer| std::cmp::Reverse(offer.granted.channels));
    Ok(all)
}

fn offer(name: &str, range: &SupportedStreamConfigRange, format: SampleFormat, sample_rate: u32) -> Offer {
    let period_frames = match range.buffer_size() {
        SupportedBufferSize::Range { min, max } => PERIOD_FRAMES.clamp(*min as usize, (*min).max(*max) as usize),
        SupportedBufferSize::Unknown => PERIOD_FRAMES,
    };
    let granted = Granted {
        host: Host::Cpal,
        device: name.into(),
        sample_rate,
        format,
        channels: usize::from(range.channels()).min(MAX_CHANNELS),
        period_frames,
        buffer_frames: period_frames,
        outputs: 0,
    };
    let buffer_size = BufferSize::Fixed(period_frames as u32);
    Offer { given: range.sample_format(), config: StreamConfig { channels: range.channels(), sample_rate, buffer_size }, granted }
}

pub(super) fn list() -> Vec<Listed> {
    let listed = |(name, device): (String, ::cpal::Device)| Listed {
        host: Host::Cpal,
        grants: offers(&name, &device).map(|all| all.into_iter().map(|offer| offer.granted).collect()),
        description: "the system's".into(),
        device: name,
        outputs: 0,
    };
    devices().into_iter().map(listed).collect()
}

impl Device {
    pub fn open(wish: &Wish) -> Result<(Granted, Self), DeviceError> {
        if !wish.outputs.is_empty() {
            return Err(DeviceError::failed(&wish.device, "this host only records; hear it by --monitor-file"));
        }
        let mut all = devices();
        let Some(at) = all.iter().position(|(name, _)| *name == wish.device) else {
            let expected = all.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
            return Err(DeviceError::Unknown { host: Host::Cpal, device: wish.device.clone(), expected });
        };
        let (name, device) = all.swap_remove(at);
        let offered = offers(&name, &device)?;
        // The first that is what was asked for; else the first, whose difference the caller names.
        let wanted = Wish { period_frames: None, ..wish.clone() };
        let fits = |offer: &&Offer| super::compare(&wanted, &offer.granted).is_ok();
        let chosen = offered.iter().find(fits).or(offered.first());
        let nothing = || DeviceError::failed(&name, "no form of it is 16, 24 or 32-bit integer or float");
        let mut offer = chosen.ok_or_else(nothing)?.clone();
        if let Some(asked) = wish.period_frames {
            offer.config.buffer_size = BufferSize::Fixed(asked as u32);
        }
        // Only a stream knows the period that it has.
        let stream = device.build_input_stream_raw(offer.config, offer.given, |_, _| {}, |_| {}, None);
        let period = stream.and_then(|stream| stream.buffer_size()).map_err(|e| failed(&name, &e))?;
        offer.granted.period_frames = period as usize;
        offer.granted.buffer_frames = period as usize;
        Ok((offer.granted.clone(), Self { device, offer }))
    }

    pub fn start(self, status: &Arc<Status>, chair: &Arc<Chair>) -> Result<Running, DeviceError> {
        let built = match self.offer.given {
            Given::F32 => self.build(Seat::new(&self.offer, chair, status, 0.0), |x: &f32| *x, |c| Input::Floats(c)),
            Given::I16 => {
                self.build(Seat::new(&self.offer, chair, status, 0), |x: &i16| i32::from(*x) << 16, |c| Input::Integers(c))
            }
            Given::I24 => self.build(Seat::new(&self.offer, chair, status, 0), |x: &I24| x.inner() << 8, |c| Input::Integers(c)),
            _ => self.build(Seat::new(&self.offer, chair, status, 0), |x: &i32| *x, |c| Input::Integers(c)),
        };
        let stream = built.and_then(|stream| stream.play().map(|()| stream));
        stream.map(|stream| Running { _stream: stream }).map_err(|e| failed(&self.offer.granted.device, &e))
    }

    fn build<T: SizedSample + 'static, S: Copy + Send + 'static>(
        &self,
        mut seat: Seat<S>,
        sample: fn(&T) -> S,
        input: for<'a> fn(&'a [&'a [S]]) -> Input<'a>,
    ) -> Result<::cpal::Stream, ::cpal::Error> {
        let told = seat.status.clone();
        let wrong = move |e: ::cpal::Error| match e.kind() {
            ErrorKind::Xrun => {
                told.overruns.fetch_add(1, Ordering::Relaxed);
            }
            ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
            _ => told.end(e),
        };
        let call = move |data: &Data, info: &InputCallbackInfo| {
            if let Some(samples) = data.as_slice() {
                seat.call(samples, info.timestamp().capture, sample, input);
            }
        };
        self.device.build_input_stream_raw(self.offer.config, self.offer.given, call, wrong, None)
    }
}

/// Dropped, it stops.
pub(super) struct Running {
    _stream: ::cpal::Stream,
}

/// What the system calls.
struct Seat<S> {
    chair: Arc<Chair>,
    status: Arc<Status>,
    /// A period of each channel that is used.
    planar: Vec<Vec<S>>,
    period_frames: usize,
    /// Channels of the device.
    width: usize,
    sample_rate: f64,
    /// When the next block should begin.
    next: Option<StreamInstant>,
    overruns: u64,
}

impl<S: Copy> Seat<S> {
    fn new(offer: &Offer, chair: &Arc<Chair>, status: &Arc<Status>, zero: S) -> Self {
        let Granted { channels, period_frames, sample_rate, .. } = offer.granted;
        Self {
            chair: chair.clone(),
            status: status.clone(),
            planar: vec![vec![zero; period_frames]; channels],
            period_frames,
            width: offer.config.channels.into(),
            sample_rate: f64::from(sample_rate),
            next: None,
            overruns: 0,
        }
    }

    /// Interleaved samples, the first of them captured at `first`. The system may give more than a period at once. [audio thread]
    fn call<T>(
        &mut self,
        data: &[T],
        first: StreamInstant,
        sample: impl Fn(&T) -> S,
        input: impl for<'a> Fn(&'a [&'a [S]]) -> Input<'a>,
    ) {
        // Sized by the device's own clock, and only where it says that there was something.
        let overruns = self.status.overruns.load(Ordering::Relaxed);
        let late = self.next.map_or(0.0, |next| first.duration_since(next).as_secs_f64() * self.sample_rate);
        let mut lost = if overruns == self.overruns { 0 } else { late.round() as u64 };
        self.overruns = overruns;
        let frames = data.len() / self.width;
        self.next = first.checked_add(Duration::from_secs_f64(frames as f64 / self.sample_rate));
        self.status.called(frames);
        for part in data.chunks(self.period_frames * self.width) {
            let n = part.len() / self.width;
            for (channel, out) in self.planar.iter_mut().enumerate() {
                for (out, row) in out.iter_mut().zip(part.chunks_exact(self.width)) {
                    *out = sample(&row[channel]);
                }
            }
            let views: ArrayVec<&[S], MAX_CHANNELS> = self.planar.iter().map(|channel| &channel[..n]).collect();
            self.status.run(&self.chair, std::mem::take(&mut lost), input(&views), &mut []);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Client;
    use super::*;

    /// Keeps what it is given.
    #[derive(Default)]
    struct Keeper {
        lost: Vec<u64>,
        blocks: Vec<Vec<Vec<i32>>>,
    }

    impl Client for Keeper {
        fn process(&mut self, lost: u64, input: Input<'_>, _: &mut [&mut [f32]]) {
            let Input::Integers(channels) = input else { panic!("integers were given") };
            self.lost.push(lost);
            self.blocks.push(channels.iter().map(|channel| channel.to_vec()).collect());
        }
    }

    /// Three channels at 48 kHz, of which two are used, in periods of 4 frames.
    fn seat() -> (Seat<i32>, Arc<Chair>, Arc<Status>) {
        let granted = Granted {
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
        let offer = Offer { given: Given::I16, config, granted };
        let status = Arc::new(Status::default());
        let chair = Arc::<Chair>::default();
        chair.seat(Box::new(Keeper::default()));
        (Seat::new(&offer, &chair, &status, 0), chair, status)
    }

    /// Frame `n` has `10 n + channel`.
    fn frames(range: std::ops::Range<i16>) -> Vec<i16> {
        range.flat_map(|n| (0..3).map(move |channel| 10 * n + channel)).collect()
    }

    fn at(frame: u64) -> StreamInstant {
        StreamInstant::from_nanos(1_000_000_000 + frame * 1_000_000_000 / 48_000)
    }

    #[test]
    fn a_block_of_any_length_comes_in_parts_of_a_period_with_every_channel_in_its_place() {
        let (mut seat, chair, _) = seat();
        seat.call(&frames(0..10), at(0), |x| (*x).into(), |c| Input::Integers(c));
        drop(seat);
        let keeper = chair.leave_as::<Keeper>().unwrap();
        assert_eq!(keeper.blocks.iter().map(|block| block[0].len()).collect::<Vec<_>>(), [4, 4, 2]);
        for channel in 0..2 {
            let all: Vec<i32> = keeper.blocks.iter().flat_map(|block| block[channel].clone()).collect();
            assert_eq!(all, (0..10).map(|n| 10 * n + channel as i32).collect::<Vec<_>>());
        }
        assert_eq!(keeper.blocks[0].len(), 2);
    }

    #[test]
    fn frames_that_are_missing_are_counted_by_the_devices_clock_where_it_tells_of_an_overrun() {
        let (mut seat, chair, status) = seat();
        let mut call =
            |range: std::ops::Range<i16>, time| seat.call(&frames(range), time, |x| (*x).into(), |c| Input::Integers(c));
        call(0..4, at(0));
        // Its time stamps are not exact.
        call(4..8, at(4) + Duration::from_micros(50));
        status.overruns.fetch_add(1, Ordering::Relaxed);
        call(0..6, at(108));
        call(6..10, at(114));
        drop(seat);
        let keeper = chair.leave_as::<Keeper>().unwrap();
        assert_eq!(keeper.lost[..2], [0, 0]);
        // 100, or less by what the stamp before was late.
        assert!((97..=100).contains(&keeper.lost[2]), "{:?}", keeper.lost);
        assert_eq!(keeper.lost[3..], [0, 0]);
    }
}
