//! The keeper's device: listed, started, looked after, stopped.

use std::time::{Duration, Instant};

use super::desk::Console;
use super::log::aside;
use super::{Command, Worker, lock};
use crate::app::settings::Strip;
use crate::device::{self, Capture, Feed, Granted, Host, Insert, Monitor, Session, Sides, State, Wish};
use crate::dsp::{Block, Spec};
use crate::graph::Meter;
use crate::plugin::Voice;
use crate::ui::DeviceSetup;

/// What happens again and again is told this often.
const AGAIN: Duration = Duration::from_secs(5);

/// The slots behind a monitor.
struct Heard(Voice);

impl Insert for Heard {
    fn process(&mut self, block: &mut Block<'_>) {
        self.0.process(block);
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

/// A device that runs.
pub struct Live {
    pub session: Session,
    pub granted: Granted,
    pub feed: Feed,
    pub sides: Sides,
    pub asked: String,
    /// As they were told last.
    pub state: State,
    monitor_state: Option<State>,
    overruns: u64,
    /// When overruns were told.
    told: Option<Instant>,
}

impl Worker {
    /// Lists the devices of the chosen host, which may take its time.
    pub(super) fn list(&self) {
        let Some(host) = Host::find(&self.kept.device.host) else { return };
        let back = self.back.clone();
        aside(move || {
            let _ = back.send(Command::Listed(host, device::names(host)));
        });
    }

    pub(super) fn start(&mut self) {
        if self.live.is_some() {
            return;
        }
        self.error = None;
        self.starting = true;
        self.publish();
        let opened = self.open();
        self.starting = false;
        match opened {
            Ok(live) => {
                self.log.say(format!("{}: asked for {}; granted {}", live.granted.device, live.asked, live.granted), false);
                self.live = Some(live);
                self.starts += 1;
                self.ask_desk();
                self.fit();
            }
            Err(error) => self.fail(error),
        }
    }

    fn open(&mut self) -> Result<Live, String> {
        let DeviceSetup { host, device, sample_rate, period_frames, outputs, .. } = &self.kept.device;
        let host = Host::find(host).ok_or_else(|| format!("unknown host '{host}'"))?;
        if device.is_empty() {
            return Err("no device is chosen".into());
        }
        let wish = Wish {
            sample_rate: *sample_rate,
            period_frames: *period_frames,
            outputs: outputs.map_or_else(Vec::new, |pair| pair.to_vec()),
            ..Wish::new(host, device)
        };
        let prepared = Session::prepare(&wish, true).map_err(|e| e.to_string())?;
        let granted = prepared.granted().clone();
        let channels = granted.channels;
        let meter = Meter::new(channels);
        let (capture, feed) = Capture::fed(&meter, &granted);
        let spec = Spec { sample_rate: granted.sample_rate as f32, channels: 2, max_frames: granted.period_frames };
        let voice = self.rack.voice(spec).ok_or_else(|| format!("no slots for {granted}"))?;
        // Names and arms are a device's.
        let device = format!("{} {}", host.id(), device);
        if self.kept.strips_of != device {
            let strips = self.kept.shelf.remove(&device);
            let of = std::mem::replace(&mut self.kept.strips_of, device);
            // What nobody said whose it is is this one's.
            if !of.is_empty() {
                let old = std::mem::replace(&mut self.kept.strips, strips.unwrap_or_default());
                self.kept.shelf.insert(of, old);
            }
        }
        self.kept.strips.resize_with(channels.max(self.kept.strips.len()), Strip::default);
        let sides = Sides::new(2);
        for (channel, strip) in self.kept.strips.iter().enumerate().take(channels) {
            sides.set(0, channel, strip.left);
            sides.set(1, channel, strip.right);
        }
        let monitor = Monitor::new(Heard(voice), sides.clone(), &granted, None);
        let session = prepared.start(capture, Some(monitor)).map_err(|e| e.to_string())?;
        lock(&self.told).meter = Some(meter);
        Ok(Live {
            session,
            granted,
            feed,
            sides,
            asked: wish.to_string(),
            state: State::Running,
            monitor_state: None,
            overruns: 0,
            told: None,
        })
    }

    /// Stops the device and finishes the take.
    pub(super) fn stop(&mut self) {
        self.desk_changed();
        (self.desk, self.record_soon) = (Console::default(), false);
        let Some(live) = self.live.take() else { return };
        let device = live.granted.device.clone();
        let (counts, heard) = live.session.stop();
        if counts.broken {
            self.lost.push("the capture broke".into());
        }
        // The slots are freed here.
        drop(heard);
        self.deck.end();
        lock(&self.told).meter = None;
        let overruns = if counts.overruns > 0 { format!(", {} overruns", counts.overruns) } else { String::new() };
        self.log.say(format!("{device}: stopped{overruns}"), false);
    }

    pub(super) fn fail(&mut self, error: String) {
        self.record_soon = false;
        self.log.say(error.clone(), true);
        self.error = Some(error);
    }

    /// Looks after the device that runs, and adds what there is to tell. Returns why it has ended.
    pub(super) fn attend_device(&mut self, lines: &mut Vec<(String, bool)>) -> Option<String> {
        let live = self.live.as_mut()?;
        let mut ended = None;
        live.session.attend();
        live.feed.free();
        let broken = live.session.is_broken();
        live.granted = live.session.granted().clone();
        let heard = live.session.monitor_state().cloned();
        if heard != live.monitor_state {
            match &heard {
                // The device's own line says it.
                Some(State::Changed(_)) => {}
                Some(State::Away(why) | State::Broken(why)) => {
                    lines.push((format!("nothing is heard: {why}; the recording goes on"), true));
                }
                Some(State::Running) if live.monitor_state.is_some() => lines.push(("heard again".into(), false)),
                _ => {}
            }
            live.monitor_state = heard;
        }
        if *live.session.state() != live.state {
            live.state = live.session.state().clone();
            let device = &live.granted.device;
            match &live.state {
                State::Running => lines.push((format!("{device}: back"), false)),
                State::Away(why) => lines.push((format!("{device}: away: {why}; trying again"), true)),
                State::Changed(why) => {
                    self.deck.source_ended(why);
                    ended = Some(format!("{device}: {why}; start it again"));
                }
                State::Broken(why) => lines.push((format!("{device}: {why}"), true)),
            }
        }
        let overruns = live.session.counts().overruns;
        if overruns > live.overruns && live.told.is_none_or(|told| told.elapsed() >= AGAIN) {
            lines.push((format!("{}: {} overruns", live.granted.device, overruns - live.overruns), true));
            (live.overruns, live.told) = (overruns, Some(Instant::now()));
        }
        if broken { Some("the capture broke".into()) } else { ended }
    }
}
