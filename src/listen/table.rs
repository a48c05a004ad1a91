//! The table of the trials of a session.

use std::fmt::Write as _;

use super::blinding::part_name;
use super::session::{Entry, Flag, Session};
use crate::view::{Answer, Form, TestPart};

/// The table of trials as CSV: a row for each trial of control and test that was answered or void, for a staircase with two columns
/// more. What a void trial played is not told: in a copy of the folder the trial may still run.
pub(super) fn table(session: &Session, entries: &[(String, Entry)]) -> String {
    let plan = session.plan();
    let mut rungs = session.track().map(|track| track.rungs.iter());
    let mut blindings = session.blindings().iter();
    let Some(mut blinding) = blindings.next() else { return String::new() };
    let mut csv = String::from(
        "part,trial,time,void,button_1,second_bit,answer,right,preferred,confidence,seconds,presses,drop_outs,\
         loudness_difference_lu,true_peak_dbtp,lost_frames",
    );
    csv.push_str(if rungs.is_some() { ",rung,esr_db\n" } else { "\n" });
    let side = |side: usize| if side == 0 { "A" } else { "B" };
    for (index, (time, entry)) in entries.iter().enumerate() {
        match entry {
            Entry::Answer(record) if record.part != TestPart::Training => {
                let form = if record.part == TestPart::Control { Form::Abx } else { plan.protocol.form };
                let mapping = blinding.mapping(record.part, record.trial);
                let [swapped, second] = mapping.bits();
                let answer = match record.answer {
                    Answer::First => "first",
                    Answer::Second => "second",
                    Answer::Same => "same",
                    Answer::Different => "different",
                };
                let right = mapping.is_right(form, record.answer).map_or("", |right| if right { "1" } else { "0" });
                let preferred = mapping.preferred(form, record.answer).map_or("", side);
                let confidence = entries[index + 1..]
                    .iter()
                    .find_map(|(_, later)| match later {
                        Entry::Confidence { confidence } => Some(Some(*confidence)),
                        Entry::Answer(_) | Entry::Void { .. } => Some(None),
                        _ => None,
                    })
                    .flatten()
                    .filter(|_| record.part == TestPart::Test)
                    .map_or(String::new(), |confidence| confidence.to_string());
                let (mut drop_outs, mut lost, mut loudness, mut peak) = (0, 0, String::new(), String::new());
                for flag in &record.flags {
                    match flag {
                        Flag::DropOuts { blocks } => drop_outs = *blocks,
                        Flag::Loudness { difference_lu } => loudness = format!("{difference_lu:.2}"),
                        Flag::Peak { true_peak_dbtp } => peak = format!("{true_peak_dbtp:.2}"),
                        Flag::NotMeasured { lost_frames } => lost = *lost_frames,
                    }
                }
                let _ = write!(
                    csv,
                    "{},{},{time},0,{},{second},{answer},{right},{preferred},{confidence},{:.3},{},{drop_outs},{loudness},{peak},{lost}",
                    part_name(record.part),
                    record.trial,
                    side(usize::from(swapped)),
                    record.seconds,
                    record.switches.len()
                );
                let rung = rungs.as_mut().filter(|_| record.part == TestPart::Test).and_then(Iterator::next);
                csv.push_str(&match rung.and_then(|rung| Some((rung + 1, plan.ladder.get(*rung as usize)?))) {
                    Some((number, rung)) => format!(",{number},{:.2}\n", rung.esr_db),
                    None if rungs.is_some() => ",,\n".into(),
                    None => "\n".into(),
                });
            }
            Entry::Void { part, trial, .. } if *part != TestPart::Training => {
                let more = if rungs.is_some() { ",," } else { "" };
                let _ = writeln!(csv, "{},{trial},{time},1,,,,,,,,,,,,{more}", part_name(*part));
            }
            Entry::Resume(_) => blinding = blindings.next().unwrap_or(blinding),
            _ => {}
        }
    }
    csv
}
