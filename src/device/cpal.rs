//! The system's devices where there is no ALSA: Core Audio and WASAPI, by cpal. Input only.
//!
//! Checked against cpal's interface on Linux; it has not run on the systems that it is for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use ::cpal::{BufferSize, Data, ErrorKind, InputCallbackInfo, SampleFormat as Given, StreamConfig, StreamInstant};
use arrayvec::ArrayVec;
use rtrb::Consumer;

use super::chair::{Chair, chair};
use super::{
    Client, DeviceError, Granted, Host, Input, Listed, MAX_CHANNELS, PERIOD_FRAMES, SAMPLE_RATE, SampleFormat, Status, Wish,
};
use crate::record::pcm::Words;

/// The largest block that is taken at once.
const LARGEST_FRAMES: usize = 8192;

pub(super) struct Device {
    device: ::cpal::Device,
    granted: Granted,
    given: Given,
}

/// What we take, and what it is called here.
const FORMATS: [(Given, SampleFormat); 3] =
    [(Given::I32, SampleFormat::S32), (Given::F32, SampleFormat::Float), (Given::I16, SampleFormat::S16)];

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

/// Every form that the device offers, at its own number of channels.
fn grants(name: &str, device: &::cpal::Device) -> Result<Vec<(Given, Granted)>, DeviceError> {
    let mut all = Vec::new();
    let offered: Vec<_> = device.supported_input_configs().map_err(|e| failed(name, &e))?.collect();
    for (given, format) in FORMATS {
        for range in offered.iter().filter(|range| range.sample_format() == given) {
            for rate in [SAMPLE_RATE, 44_100, 96_000, 88_200, 192_000] {
                if (range.min_sample_rate()..=range.max_sample_rate()).contains(&rate) {
                    let granted = Granted {
                        host: Host::Cpal,
                        device: name.into(),
                        sample_rate: rate,
                        format,
                        channels: usize::from(range.channels()).min(MAX_CHANNELS),
                        period_frames: PERIOD_FRAMES,
                        buffer_frames: PERIOD_FRAMES,
                        outputs: 0,
                    };
                    all.push((given, granted));
                }
            }
        }
    }
    all.sort_by_key(|(_, granted)| std::cmp::Reverse(granted.channels));
    Ok(all)
}

pub(super) fn list() -> Vec<Listed> {
    let listed = |(name, device): (String, ::cpal::Device)| Listed {
        host: Host::Cpal,
        grants: grants(&name, &device).map(|all| all.into_iter().map(|(_, granted)| granted).collect()),
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
        let offered = grants(&name, &device)?;
        // The first that is what was asked for; else the first, whose difference the caller names.
        let fits = |granted: &Granted| super::compare(&Wish { period_frames: None, ..wish.clone() }, granted).is_ok();
        let chosen = offered.iter().find(|(_, granted)| fits(granted)).or(offered.first());
        let (given, granted) =
            chosen.ok_or_else(|| DeviceError::failed(&name, "no form of it is 16 or 32-bit integer or float"))?;
        let granted =
            Granted { period_frames: wish.period_frames.unwrap_or(PERIOD_FRAMES).min(LARGEST_FRAMES), ..granted.clone() };
        Ok((granted.clone(), Self { device, given: *given, granted }))
    }

    pub fn start<C: Client>(self, client: C, status: &Arc<Status>) -> Result<Running<C>, (C, DeviceError)> {
        let Self { device, granted, given } = self;
        let config = StreamConfig {
            channels: granted.channels as u16,
            sample_rate: granted.sample_rate,
            buffer_size: BufferSize::Fixed(granted.period_frames as u32),
        };
        let (mut send, chair, back) = chair();
        let told = status.clone();
        let wrong = move |e: ::cpal::Error| match e.kind() {
            ErrorKind::Xrun => {
                told.overruns.fetch_add(1, Ordering::Relaxed);
            }
            ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
            _ => told.end(e),
        };
        let built = if granted.format.words() == Words::Float {
            let mut seat = Seat::new(&granted, chair, status, 0.0f32);
            let call =
                move |data: &Data, info: &InputCallbackInfo| seat.call(data.as_slice(), info, |x| *x, |c| Input::Floats(c));
            device.build_input_stream_raw(config, given, call, wrong, None)
        } else if given == Given::I16 {
            let mut seat = Seat::new(&granted, chair, status, 0i32);
            let top = |x: &i16| i32::from(*x) << 16;
            let call = move |data: &Data, info: &InputCallbackInfo| seat.call(data.as_slice(), info, top, |c| Input::Integers(c));
            device.build_input_stream_raw(config, given, call, wrong, None)
        } else {
            let mut seat = Seat::new(&granted, chair, status, 0i32);
            let call =
                move |data: &Data, info: &InputCallbackInfo| seat.call(data.as_slice(), info, |x| *x, |c| Input::Integers(c));
            device.build_input_stream_raw(config, given, call, wrong, None)
        };
        let stream = match built.and_then(|stream| stream.play().map(|()| stream)) {
            Ok(stream) => stream,
            Err(e) => return Err((client, failed(&granted.device, &e))),
        };
        match send.push(client) {
            Ok(()) => Ok(Running { stream, back }),
            Err(rtrb::PushError::Full(client)) => Err((client, DeviceError::failed(&granted.device, "its thread ended"))),
        }
    }
}

pub(super) struct Running<C: Client> {
    stream: ::cpal::Stream,
    back: Consumer<C>,
}

impl<C: Client> Running<C> {
    pub fn stop(mut self) -> Option<C> {
        drop(self.stream);
        self.back.pop().ok()
    }
}

/// What the system calls.
struct Seat<C: Client, S> {
    chair: Chair<C>,
    status: Arc<Status>,
    planar: Vec<Vec<S>>,
    sample_rate: f64,
    /// When the next block should begin.
    next: Option<StreamInstant>,
    overruns: u64,
}

impl<C: Client, S: Copy> Seat<C, S> {
    fn new(granted: &Granted, chair: Chair<C>, status: &Arc<Status>, zero: S) -> Self {
        Self {
            chair,
            status: status.clone(),
            planar: vec![vec![zero; LARGEST_FRAMES]; granted.channels],
            sample_rate: f64::from(granted.sample_rate),
            next: None,
            overruns: 0,
        }
    }

    /// [audio thread]
    fn call<T>(
        &mut self,
        data: Option<&[T]>,
        info: &InputCallbackInfo,
        sample: impl Fn(&T) -> S,
        input: impl for<'a> Fn(&'a [&'a [S]]) -> Input<'a>,
    ) {
        let (Some(data), Some(client)) = (data, self.chair.client()) else { return };
        let channels = self.planar.len();
        let first = info.timestamp().capture;
        // Sized by the device's own clock, and only where it says that there was something.
        let overruns = self.status.overruns.load(Ordering::Relaxed);
        let late = self.next.map_or(0.0, |next| first.duration_since(next).as_secs_f64() * self.sample_rate);
        let mut lost = if overruns == self.overruns { 0 } else { late.round() as u64 };
        self.overruns = overruns;
        let frames = data.len() / channels;
        self.next = first.checked_add(std::time::Duration::from_secs_f64(frames as f64 / self.sample_rate));
        for part in data.chunks(LARGEST_FRAMES * channels) {
            let n = part.len() / channels;
            for (channel, out) in self.planar.iter_mut().enumerate() {
                for (out, row) in out.iter_mut().zip(part.chunks_exact(channels)) {
                    *out = sample(&row[channel]);
                }
            }
            let views: ArrayVec<&[S], MAX_CHANNELS> = self.planar.iter().map(|channel| &channel[..n]).collect();
            self.status.run(client, std::mem::take(&mut lost), input(&views), &mut []);
        }
    }
}
