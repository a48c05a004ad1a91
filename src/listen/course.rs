//! Steps in the course of a session that are the same wherever it is taken: its plan, its sounds, going on, what the listener sees.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::folder::{FolderError, LOOP, SessionFolder};
use super::log::{Configuration, LOG_VERSION};
use super::matching::{MatchError, Matching, Prepared};
use super::session::{Earlier, Resumption, Session};
use super::side::rung_file;
use super::statistics::ALPHA;
use crate::audio::wav::{WavFormat, write};
use crate::dsp::ProcessSpec;
use crate::view::{Button, GateView, Question, ResultView, SideChoice, SoundSource, TestPart, TestSetup, TestStep, TestView};

/// Name and version of this program.
pub(super) fn program() -> String {
    format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

/// The gates of a match, and one more that fails if both sides are the same and were not chosen so.
pub(super) fn gate_views(setup: &TestSetup, matching: &Matching) -> Vec<GateView> {
    let mut gates: Vec<GateView> = matching.gates.iter().map(GateView::from).collect();
    // A side that is chosen twice is meant: a test of the test.
    let wants_aa = setup.sides[0] == setup.sides[1];
    if matching.identical && !wants_aa {
        gates.push(GateView {
            passed: false,
            text: "A and B are the same, bit for bit; to see your own habits (an A/A test), choose the same side twice".into(),
        });
    }
    gates
}

/// The first line of a new session's log, without files and earlier tests.
pub(super) fn configuration_of(
    setup: TestSetup,
    matching: &Matching,
    esr_db: Option<f64>,
    venue: String,
    spec: ProcessSpec,
) -> Result<Configuration, String> {
    Ok(Configuration {
        version: LOG_VERSION,
        program: program(),
        venue,
        alpha: ALPHA,
        sample_rate: f64::from(spec.sample_rate),
        channels: spec.channels,
        max_frames: spec.max_frames,
        is_aa: matching.identical,
        esr_db,
        matching: serde_json::to_value(matching).map_err(|error| error.to_string())?,
        files: BTreeMap::new(),
        earlier: Earlier::default(),
        setup,
    })
}

/// The setup as it is tested, and the named rungs of its ladder if it asks for a threshold: the largest of them is side B. Without
/// named rungs the ladder is the error of B.
///
/// # Errors
/// A line if a threshold is asked for on live sound.
pub(super) fn with_ladder(mut setup: TestSetup) -> Result<(TestSetup, Option<Vec<SideChoice>>), String> {
    match (setup.protocol.question, setup.rungs.last()) {
        (Question::Threshold, _) if setup.source == SoundSource::Live => return Err(MatchError::LiveLadder.to_string()),
        (Question::Threshold, Some(largest)) => setup.sides[1] = largest.clone(),
        _ => setup.rungs.clear(),
    }
    let ladder = (setup.protocol.question == Question::Threshold).then(|| setup.rungs.clone());
    Ok((setup, ladder))
}

/// Writes the loop, both sides and the rungs between them into a folder.
pub(super) fn write_sounds(prepared: &Prepared, folder: &Path) -> io::Result<()> {
    write(folder.join(LOOP), &prepared.around, WavFormat::Float32).map_err(io::Error::other)?;
    for (side, name) in prepared.sides.iter().zip(["a", "b"]) {
        side.save(folder, name).map_err(io::Error::other)?;
    }
    for (number, rung) in (1..).zip(&prepared.rungs) {
        rung.save(folder, &rung_file(number)).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Lets a session that was left go on in a venue, with a new secret; a trial that was open is void.
pub(super) fn resume_session(
    folder: &mut SessionFolder,
    session: &mut Session,
    cut_bytes: u64,
    venue: String,
    spec: ProcessSpec,
) -> Result<(), FolderError> {
    let resumption = Resumption {
        commitment: String::new(),
        cut_bytes,
        program: program(),
        venue,
        channels: spec.channels,
        max_frames: spec.max_frames,
    };
    folder.resume(session, resumption)?;
    if session.step() == Some(TestStep::Answer) {
        let void = session.void("the session was left during this trial");
        folder.enter(session, void)?;
    }
    Ok(())
}

/// A running test as the listener may see it.
pub(super) fn test_view(folder: &SessionFolder, session: &Session, playing: Option<Button>, note: Option<String>) -> TestView {
    let is_closing = session.step().is_none();
    let is_feedback = matches!(session.step(), Some(TestStep::Feedback { .. }));
    // An answered trial of the test is still the present one while its confidence is asked for.
    let number = session.counted() + u32::from(session.part() != TestPart::Training || !is_feedback);
    TestView {
        part: session.part(),
        form: session.form(),
        step: session.step().unwrap_or(TestStep::Pause),
        number: session.of().map_or(number, |of| number.min(of)),
        of: session.of(),
        playing,
        answer: session.answer(),
        instruction: if is_closing {
            "The result could not be written. Make room on the disk and go on.".into()
        } else {
            session.instruction()
        },
        note,
        commitment: folder.commitment().into(),
        receipt: folder.receipt().into(),
    }
}

/// The result of a session that is closed.
pub(super) fn result_view(folder: &SessionFolder, session: &Session, measures: Vec<(String, String)>) -> ResultView {
    let outcome = session.outcome();
    ResultView {
        sentences: outcome.sentences,
        figures: outcome.figures,
        measures,
        remarks: outcome.remarks,
        folder: folder.path().into(),
        receipt: folder.receipt().into(),
    }
}
