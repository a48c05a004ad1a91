//! The keeper's state as the window shows it.

use super::{Worker, lock};
use crate::device::{Host, State};
use crate::ui::{DeviceStage, DeviceView, ProgramView, StripView};
use crate::view::Level;

/// What can be chosen; a device may have others, which are typed on the command line.
const RATES: [u32; 4] = [44_100, 48_000, 88_200, 96_000];
const PERIODS: [usize; 7] = [32, 64, 128, 256, 512, 1024, 2048];

impl Worker {
    fn device_view(&self) -> DeviceView {
        let live = self.live.as_ref();
        let stage = match live.map(|live| &live.state) {
            None if self.starting => DeviceStage::Starting,
            None => DeviceStage::Stopped,
            Some(State::Running) => DeviceStage::Running,
            Some(State::Away(why) | State::Changed(why) | State::Broken(why)) => DeviceStage::Away(why.clone()),
        };
        let counts = live.map(|live| live.session.counts()).unwrap_or_default();
        let monitor_seconds = live.filter(|live| live.granted.outputs > 0 || self.kept.device.outputs.is_some()).map(|live| {
            let frames = live.granted.heard_after_frames() + self.instance.latency_frames();
            frames as f64 / f64::from(live.granted.sample_rate)
        });
        DeviceView {
            setup: self.kept.device.clone(),
            stage,
            hosts: Host::ALL.iter().map(|host| host.id().into()).collect(),
            devices: self.listed.clone(),
            rates: RATES.to_vec(),
            periods: PERIODS.to_vec(),
            granted: live.map(|live| live.granted.to_string()),
            monitor_seconds,
            overruns: counts.overruns,
            underruns: counts.underruns,
            error: self.error.clone(),
            desk: self.desk.status(),
        }
    }

    fn strip_views(&self) -> Vec<StripView> {
        let channels = self.live.as_ref().map_or(self.kept.strips.len(), |live| live.granted.channels);
        let strips = self.kept.strips.iter().enumerate().take(channels).map(|(channel, strip)| {
            let desk = self.desk.strip(channel).cloned().unwrap_or_default();
            StripView {
                name: if strip.name.is_empty() { desk.name } else { strip.name.clone() },
                armed: strip.armed,
                left: strip.left,
                right: strip.right,
                level: Level::default(),
                colour: desk.colour,
                note: desk.track.note,
            }
        });
        strips.collect()
    }

    /// Shows the other threads how things are.
    pub(super) fn publish(&self) {
        let strips = self.strip_views();
        let take = self.deck.view(&self.kept.takes, strips.iter().filter(|strip| strip.armed).count());
        let view = ProgramView {
            device: self.device_view(),
            recording: take.recording,
            strips,
            left: self.leftovers.view(),
            log: self.log.lines().to_vec(),
        };
        let mut told = lock(&self.told);
        told.failed = self.error.is_some() && self.live.is_none();
        told.view = view;
        told.take = take;
    }
}
