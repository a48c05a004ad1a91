//! A test that runs: what plays, the present trial, and its answers.

use std::time::Instant;

use crate::dsp::ProcessSpec;
use crate::effect::Effect;
use crate::listen::course::test_view;
use crate::listen::folder::SessionFolder;
use crate::listen::live::{TrialMeter, prepare_live};
use crate::listen::matching::Prepared;
use crate::listen::player::{Player, PlayerControl};
use crate::listen::session::{Entry, Flag, Session, Switch};
use crate::listen::side::{ResolvedSide, SideSource};
use crate::view::{Answer, Button, SideChoice, SoundSource, TestPart, TestSetup, TestStep, TestView};

/// The reason for a wait while settings move.
pub(super) const SETTINGS_MOVE: &str =
    "A setting of a slot moves. Stop the automation: the test goes on when nothing has moved for a second.";
/// The note on a trial with drop-outs.
pub(super) const SOUND_LOST: &str =
    "Sound was lost in this trial, so it is flagged. Close other programs, or take longer blocks.";
/// The reason for a void trial in which a side went beyond full scale.
pub(super) const WOULD_CLIP: &str = "a side would clip; play softer";
/// The reason for a wait after the effects have begun anew.
pub(super) const WARMING_UP: &str = "Both sides are warming up. The test goes on in a second.";
/// The reason for a wait without a stream.
pub(super) const NO_SOUND_NOW: &str = "No sound comes. The test goes on when the sound is back.";

/// A test that runs.
pub(super) struct Running {
    pub folder: SessionFolder,
    pub session: Session,
    pub prepared: Prepared,
    pub control: PlayerControl,
    /// On live sound: the loudness of both sides in this trial.
    pub meter: Option<TrialMeter>,
    /// The stream when the player was made.
    pub spec: ProcessSpec,
    /// True while the venue has no stream, or does not take a player.
    pub is_gone: bool,
    /// Ticks until a player is made again for a stream that did not take the last one.
    pub retry: u32,
    /// True if the session was left before: its sides come from its folder, and not from the slots.
    pub is_resumed: bool,
    pub generation: u64,
    /// On live sound: times that a model of the sides gave NaN or infinity and was reset.
    pub nan_resets: u64,
    /// Reason why the present trial is void, until that is written.
    pub pending_void: Option<String>,
    /// The slots as they were looked at last.
    pub slots: [Effect; 2],
    /// Ticks for which nothing can be heard or answered yet, and the reason.
    pub hold: Option<(u32, &'static str)>,
    /// Drop-outs of the venue, and of the sides' models on live sound, when the trial began.
    pub drop_outs: u64,
    /// The trial's start.
    pub start: Instant,
    pub switches: Vec<Switch>,
    pub playing: Option<Button>,
    /// The button that played before the last press.
    pub before: Option<Button>,
    pub note: Option<String>,
    pub measures: Vec<(String, String)>,
}

impl Running {
    /// Plays what is behind a button.
    pub fn press(&mut self, button: Button) {
        let Some(path) = self.session.path(button) else { return };
        self.control.play(Some(path));
        // Sound that came in before anybody listened does not count.
        if let Some(meter) = self.meter.as_mut().filter(|_| self.switches.is_empty()) {
            meter.begin();
        }
        self.switches.push(Switch { button, at: self.start.elapsed().as_secs_f64() });
        if self.playing != Some(button) {
            self.before = self.playing.or(self.before);
        }
        self.playing = Some(button);
    }

    /// Plays what was played before the last press; at first, the other one of the first two buttons.
    pub fn switch_back(&mut self) {
        let other = if self.playing == Some(Button::First) { Button::Second } else { Button::First };
        self.press(self.before.filter(|before| Some(*before) != self.playing).unwrap_or(other));
    }

    /// The reason for which nothing can be heard or answered now.
    pub fn waits_for(&self) -> Option<&'static str> {
        if self.is_gone { Some(NO_SOUND_NOW) } else { self.hold.map(|(_, reason)| reason) }
    }

    /// True if a side went beyond full scale on live sound since the first press of the trial.
    pub fn is_clipping(&self) -> bool {
        let with_control = self.session.part() == TestPart::Control;
        !self.switches.is_empty() && self.meter.as_ref().is_some_and(|meter| meter.is_clipping(with_control))
    }

    /// Waits for a tick less; the trial begins at the end of the wait.
    pub fn wait(&mut self, drop_outs: u64) {
        let Some((ticks, reason)) = self.hold else { return };
        self.hold = (ticks > 1).then_some((ticks - 1, reason));
        if self.hold.is_none() {
            if self.note.as_deref() == Some(reason) {
                self.note = None;
            }
            self.begin_trial(drop_outs);
        }
    }

    /// True if a slot that is a side of the test is another one than before.
    pub fn has_moved(&mut self, slots: [Effect; 2]) -> bool {
        let before = std::mem::replace(&mut self.slots, slots);
        let TestSetup { sides, rungs, .. } = &self.folder.configuration().setup;
        let is_played = |slot| sides.iter().chain(rungs).any(|side| *side == SideChoice::Slot(slot));
        !self.is_resumed && (0..2).any(|slot| is_played(slot) && before[slot] != self.slots[slot])
    }

    /// The entry for an answer; None if nothing was listened to.
    pub fn answer(&mut self, answer: Answer, drop_outs: u64) -> Option<Entry> {
        if self.session.step() == Some(TestStep::Answer) && self.switches.is_empty() {
            self.note = Some("Listen first: press one of the buttons.".into());
            return None;
        }
        let difference_lu = self.meter.as_mut().map(TrialMeter::difference_lu);
        if self.session.step() == Some(TestStep::Answer) && difference_lu == Some(None) {
            self.note = Some("Listen first: there was no sound, or less than 0.4 s of it.".into());
            return None;
        }
        let blocks = (drop_outs + self.live_underruns()).saturating_sub(self.drop_outs);
        let mut flags = if blocks > 0 { vec![Flag::DropOuts { blocks }] } else { Vec::new() };
        flags.extend(self.meter.iter_mut().flat_map(TrialMeter::flags));
        let seconds = self.start.elapsed().as_secs_f64();
        Some(self.session.answered(answer, seconds, self.switches.clone(), flags))
    }

    /// Begins a trial.
    pub fn begin_trial(&mut self, drop_outs: u64) {
        self.control.play(None);
        (self.playing, self.before) = (None, None);
        self.switches.clear();
        if let Some(meter) = &mut self.meter {
            meter.begin();
        }
        self.drop_outs = drop_outs + self.live_underruns();
        self.start = Instant::now();
    }

    /// Writes that the present trial is void, if it is so. It is tried again until it is on the disk.
    pub fn write_void(&mut self, drop_outs: u64) -> Result<(), String> {
        let Some(reason) = self.pending_void.clone() else { return Ok(()) };
        self.void(&reason, drop_outs)?;
        self.pending_void = None;
        Ok(())
    }

    /// Times that a model was late on live sound; a loop was rendered before the test.
    pub fn live_underruns(&self) -> u64 {
        if self.meter.is_some() { underruns(&self.prepared) } else { 0 }
    }

    /// Makes the present trial void, if one runs.
    pub fn void(&mut self, reason: &str, drop_outs: u64) -> Result<(), String> {
        if self.session.step() != Some(TestStep::Answer) {
            return Ok(());
        }
        let entry = self.session.void(reason);
        self.folder.enter(&mut self.session, entry).map_err(|error| error.to_string())?;
        self.begin_trial(drop_outs);
        self.note = Some(format!("This trial does not count and is repeated: {reason}."));
        Ok(())
    }

    /// The test as the listener may see it.
    pub fn view(&self) -> TestView {
        test_view(&self.folder, &self.session, self.playing, self.note.clone())
    }
}

/// Times that the models of both sides were late, so that dry sound was heard.
pub(super) fn underruns(prepared: &Prepared) -> u64 {
    let late = |side: &ResolvedSide| match &side.source {
        SideSource::Effect(effect) => effect.active_model().map_or(0, |model| model.underruns()),
        SideSource::File { .. } | SideSource::Dry => 0,
    };
    prepared.sides.iter().map(late).sum()
}

/// Times that the models of both sides gave NaN or infinity and were reset.
pub(super) fn nan_resets(prepared: &Prepared) -> u64 {
    let resets = |side: &ResolvedSide| match &side.source {
        SideSource::Effect(effect) => effect.active_model().map_or(0, |model| model.nan_resets()),
        SideSource::File { .. } | SideSource::Dry => 0,
    };
    prepared.sides.iter().map(resets).sum()
}

/// Both ends of a player, and the meter.
pub(super) struct Heard {
    pub control: PlayerControl,
    pub player: Box<Player>,
    /// On live sound.
    pub meter: Option<TrialMeter>,
}

/// A player for a test that is prepared.
pub(super) fn hear(prepared: &Prepared, source: SoundSource, spec: ProcessSpec) -> Result<Heard, String> {
    match source {
        SoundSource::Loop => {
            let (control, player) = Player::of_loop(prepared.stimuli.clone(), spec.channels);
            Ok(Heard { control, player: Box::new(player), meter: None })
        }
        SoundSource::Live => {
            let live = prepare_live(&prepared.sides, &prepared.matching, spec).map_err(|error| error.to_string())?;
            Ok(Heard { control: live.control, player: Box::new(live.player), meter: Some(live.meter) })
        }
    }
}
