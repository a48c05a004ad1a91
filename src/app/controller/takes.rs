//! The controller's takes: started and stopped by the user, named, and polled for their log lines.

use super::ControllerThread;
use crate::app::recorder::{FinishedTake, TakeSource};
use crate::instance::takes;
use crate::record::Channel;
use crate::source::stem_names;
use crate::view::TakeAction;

/// During a take, a warning is logged when the disk has room for fewer seconds of sound than each of these.
const DISK_WARNING_SECONDS: [f64; 3] = [1800.0, 600.0, 120.0];

impl ControllerThread {
    pub(super) fn handle_take_action(&mut self, action: TakeAction) {
        match action {
            TakeAction::Standby(on) => self.recorder.standby = on,
            // The panel shows the error.
            TakeAction::Record(true) if self.device.is_some() => drop(self.start_take()),
            TakeAction::Record(true) => {
                self.start_device();
                self.record_when_ready = self.device.is_some();
            }
            TakeAction::Record(false) => {
                self.forward_desk_changes();
                self.recorder.stop_take();
            }
            TakeAction::Mark => self.recorder.mark(),
            TakeAction::Setup(setup) => self.settings.takes = setup,
        }
    }

    /// Starts a take.
    ///
    /// # Errors
    /// If the recorder cannot be opened; the error is in the log already.
    pub(super) fn start_take(&mut self) -> Result<(), String> {
        if self.desk.is_querying() {
            self.log.add_alarm("desk: no answer yet; the take has numbers for names".into());
        }
        self.recorder.request_take();
        match self.update_recorder() {
            Some(error) => Err(error),
            None => {
                self.recorder.start_take();
                Ok(())
            }
        }
    }

    /// Opens, changes or closes the recorder so that it fits the settings and the armed channels. Returns the error if it cannot
    /// be opened, once, and logs it.
    pub(super) fn update_recorder(&mut self) -> Option<String> {
        let count = self.device.as_ref().map_or(0, |device| device.granted.channels);
        let armed = (0..count).filter(|channel| self.settings.strips.get(*channel).is_some_and(|strip| strip.armed));
        let channels = self.stem_channels(armed);
        let device = self.device.as_mut()?;
        let description = self.desk.source(&device.granted.device);
        let source = TakeSource { granted: &device.granted, requested: &device.requested, description, channels };
        let error = self.recorder.update(&self.settings.takes, source, &mut device.feed);
        if let Some(error) = &error {
            self.log.add_alarm(error.clone());
        }
        error
    }

    /// Returns the channels to record, named as the user typed, else by the desk, else by their numbers.
    fn stem_channels(&self, source_channels: impl Iterator<Item = usize>) -> Vec<Channel> {
        let source_channels: Vec<usize> = source_channels.collect();
        let wanted = source_channels.iter().map(|source| {
            let typed = self.settings.strips.get(*source).map_or("", |strip| strip.name.as_str());
            let desk = self.desk.channel(*source).map_or("", |channel| channel.name.as_str());
            (if typed.is_empty() { desk } else { typed }.into(), format!("Channel {}", source + 1))
        });
        let names = stem_names(wanted);
        let desk = |source: usize| self.desk.channel(source).map(|channel| channel.info.clone());
        source_channels
            .into_iter()
            .zip(names)
            .map(|(source, name)| Channel { desk: desk(source), ..Channel::new(source, name) })
            .collect()
    }

    /// Logs finished takes and keeps their losses for the shutdown report.
    pub(super) fn report_takes(&mut self, takes: Vec<FinishedTake>) {
        for (folder, manifest) in takes {
            let loss = manifest.loss_text();
            self.log.add(format!("{}: {}", folder.display(), manifest.summary()), loss.is_some());
            self.losses.extend(loss);
        }
    }

    /// Polls the recorder, the unfinished takes and the room on the disk, and adds lines for the log, each with true if it is an
    /// alarm.
    pub(super) fn poll_takes(&mut self, lines: &mut Vec<(String, bool)>) {
        let events = self.recorder.poll();
        if let Some((folder, channels)) = events.started {
            lines.push((format!("take: {channels} channels to {}", folder.display()), false));
            self.disk_warnings = 0;
        }
        if let Some(error) = events.failed {
            lines.push((format!("no take: {error}"), true));
            self.losses.push(format!("no take: {error}"));
        }
        self.report_takes(events.ended);
        lines.extend(self.unfinished.poll(&takes::folder(&self.settings.takes), self.recorder.is_recording()));
        let left = self.recorder.seconds_left().filter(|_| self.recorder.is_recording());
        let is_low = |left: &f64, given: usize| DISK_WARNING_SECONDS.get(given).is_some_and(|limit| left < limit);
        while let Some(seconds) = left.filter(|left| is_low(left, self.disk_warnings)) {
            lines.retain(|(line, _)| !line.starts_with("the disk"));
            lines.push((format!("the disk has room for {:.0} minutes", (seconds / 60.0).floor()), true));
            self.disk_warnings += 1;
        }
    }
}
