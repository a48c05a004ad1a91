//! The keeper's takes: asked for, described, looked after.

use super::Worker;
use crate::app::take::{Finished, Given};
use crate::plugin::take_folder;
use crate::record::Channel;
use crate::source::stem_names;
use crate::ui::TakeAction;

/// A take is warned of the disk when there is room for so many seconds.
const LOW_SECONDS: [f64; 3] = [1800.0, 600.0, 120.0];

impl Worker {
    pub(super) fn take(&mut self, action: TakeAction) {
        match action {
            TakeAction::Arm(on) => self.deck.armed = on,
            // The panel says why not.
            TakeAction::Record(true) if self.live.is_some() => drop(self.record()),
            TakeAction::Record(true) => {
                self.start();
                self.record_soon = self.live.is_some();
            }
            TakeAction::Record(false) => {
                self.desk_changed();
                self.deck.stop();
            }
            TakeAction::Mark => self.deck.mark(),
            TakeAction::Setup(setup) => self.kept.takes = setup,
        }
    }

    /// Starts a take.
    ///
    /// # Errors
    /// Why there is no recorder for it.
    pub(super) fn record(&mut self) -> Result<(), String> {
        if self.desk.is_asking() {
            self.log.say("desk: no answer yet; the take has numbers for names".into(), true);
        }
        self.deck.want();
        match self.fit() {
            Some(error) => Err(error),
            None => {
                self.deck.record();
                Ok(())
            }
        }
    }

    /// Brings the recorder to what is wanted. Returns why there is none, once.
    pub(super) fn fit(&mut self) -> Option<String> {
        let count = self.live.as_ref().map_or(0, |live| live.granted.channels);
        let armed = (0..count).filter(|channel| self.kept.strips.get(*channel).is_some_and(|strip| strip.armed));
        let armed = self.channels(armed);
        let live = self.live.as_mut()?;
        let device = &live.granted.device;
        let source = self.desk.source(device);
        let given = Given { granted: &live.granted, asked: &live.asked, source, channels: armed };
        let error = self.deck.fit(&self.kept.takes, given, &mut live.feed);
        if let Some(error) = &error {
            self.log.say(error.clone(), true);
        }
        error
    }

    /// Stems, named as was typed, or by the desk, or by their numbers.
    fn channels(&self, sources: impl Iterator<Item = usize>) -> Vec<Channel> {
        let sources: Vec<usize> = sources.collect();
        let wanted = sources.iter().map(|source| {
            let typed = self.kept.strips.get(*source).map_or("", |strip| strip.name.as_str());
            let desk = self.desk.strip(*source).map_or("", |strip| strip.name.as_str());
            (if typed.is_empty() { desk } else { typed }.into(), format!("Channel {}", source + 1))
        });
        let names = stem_names(wanted);
        let desk = |source: usize| self.desk.strip(source).map(|strip| strip.track.clone());
        sources
            .into_iter()
            .zip(names)
            .map(|(source, name)| Channel { desk: desk(source), ..Channel::new(source, name) })
            .collect()
    }

    /// Tells what became of takes.
    pub(super) fn ended(&mut self, takes: Vec<Finished>) {
        for (folder, manifest) in takes {
            let loss = manifest.loss();
            self.log.say(format!("{}: {}", folder.display(), manifest.summary()), loss.is_some());
            self.lost.extend(loss);
        }
    }

    /// Looks after takes, those of before and the disk, and adds what there is to tell.
    pub(super) fn attend_takes(&mut self, lines: &mut Vec<(String, bool)>) {
        let seen = self.deck.attend();
        if let Some((folder, channels)) = seen.began {
            lines.push((format!("take: {channels} channels to {}", folder.display()), false));
            self.low = 0;
        }
        if let Some(error) = seen.failed {
            lines.push((format!("no take: {error}"), true));
            self.lost.push(format!("no take: {error}"));
        }
        self.ended(seen.ended);
        lines.extend(self.leftovers.attend(&take_folder(&self.kept.takes), self.deck.is_recording()));
        let left = self.deck.seconds_left().filter(|_| self.deck.is_recording());
        while let Some(seconds) = left.filter(|left| LOW_SECONDS.get(self.low).is_some_and(|low| left < low)) {
            lines.retain(|(line, _)| !line.starts_with("the disk"));
            lines.push((format!("the disk has room for {:.0} minutes", (seconds / 60.0).floor()), true));
            self.low += 1;
        }
    }
}
