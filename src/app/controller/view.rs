//! The controller's state as the window shows it.

use super::device::RunningDevice;
use super::{ControllerThread, lock};
use crate::device::{DeviceState, Host};
use crate::ui::{DeviceStage, DeviceView, ProgramView, StripView};
use crate::view::ChannelLevel;

/// Sample rates in Hz that the window offers; the command line takes others, too.
const RATES: [u32; 4] = [44_100, 48_000, 88_200, 96_000];
/// Periods in frames that the window offers; the command line takes others, too.
const PERIODS: [usize; 7] = [32, 64, 128, 256, 512, 1024, 2048];

impl ControllerThread {
    fn device_view(&self) -> DeviceView {
        let device = self.device.as_ref();
        let stage = match device.map(|device| &device.state) {
            None if self.is_starting => DeviceStage::Starting,
            None => DeviceStage::Stopped,
            Some(DeviceState::Running) => DeviceStage::Running,
            Some(DeviceState::Disconnected(reason) | DeviceState::RateChanged(reason) | DeviceState::Panicked(reason)) => {
                let seconds = device.and_then(|device| device.gone_since).map_or(0, |since| since.elapsed().as_secs());
                DeviceStage::Disconnected { reason: reason.clone(), seconds }
            }
        };
        let counts = device.map(|device| device.session.counts()).unwrap_or_default();
        let plays = |device: &&RunningDevice| device.granted.outputs > 0 || self.settings.device.outputs.is_some();
        let monitor_seconds = device.filter(plays).map(|device| {
            let frames = device.granted.monitor_delay_frames() + self.instance.latency_frames();
            frames as f64 / f64::from(device.granted.sample_rate)
        });
        DeviceView {
            setup: self.settings.device.clone(),
            stage,
            hosts: Host::ALL.iter().map(|host| host.id().into()).collect(),
            devices: self.device_names.clone(),
            rates: RATES.to_vec(),
            periods: PERIODS.to_vec(),
            granted: device.map(|device| device.granted.to_string()),
            monitor_seconds,
            overruns: counts.overruns,
            underruns: counts.underruns,
            error: self.error.clone(),
            desk: self.desk.status(),
        }
    }

    fn strip_views(&self) -> Vec<StripView> {
        let channels = self.device.as_ref().map_or(self.settings.strips.len(), |device| device.granted.channels);
        let strips = self.settings.strips.iter().enumerate().take(channels).map(|(channel, strip)| {
            let desk = self.desk.channel(channel).cloned().unwrap_or_default();
            StripView {
                name: if strip.name.is_empty() { desk.name } else { strip.name.clone() },
                armed: strip.armed,
                monitor_left: strip.left,
                monitor_right: strip.right,
                level: ChannelLevel::default(),
                colour: desk.colour,
                note: desk.info.note,
            }
        });
        strips.collect()
    }

    /// Publishes the state for the other threads, except the meter.
    pub(super) fn publish(&self) {
        let strips = self.strip_views();
        let take = self.recorder.view(&self.settings.takes, strips.iter().filter(|strip| strip.armed).count());
        let view = ProgramView {
            device: self.device_view(),
            recording: take.recording,
            strips,
            unfinished_takes: self.unfinished.view(),
            log: self.log.lines().to_vec(),
        };
        let mut published = lock(&self.published);
        published.failed = self.error.is_some() && self.device.is_none();
        published.view = view;
        published.take = take;
    }
}
