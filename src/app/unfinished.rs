//! Takes that a crash left unfinished: they are found in the folder of takes, and recovered and verified on a thread of its own,
//! which pauses while a take is recorded.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use thread_priority::{ThreadPriority, ThreadPriorityValue};

use crate::record::{self, TakeError, unfinished_message};
use crate::ui::UnfinishedTakeView;

/// Interval at which a paused recovery checks whether it may go on.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The value of `RecoveryState::progress` at the end.
const PROGRESS_STEPS: f64 = 1000.0;

/// A line for the log, and true if it is an alarm.
type LogEntry = (String, bool);

/// A message from a thread that searches or recovers.
enum ThreadMessage {
    /// The unfinished takes that were found in a folder.
    Found(PathBuf, Vec<PathBuf>),
    /// The result of the recovery of a take.
    Recovered(PathBuf, Result<LogEntry, String>),
}

/// A recovery that runs.
struct Recovery {
    take: PathBuf,
    state: Arc<RecoveryState>,
}

/// The state that a recovery's thread shares with the controller thread.
#[derive(Default)]
struct RecoveryState {
    /// 0 to `PROGRESS_STEPS`.
    progress: AtomicU32,
    /// True while a take is recorded, which has the disk for itself.
    is_paused: AtomicBool,
    is_cancelled: AtomicBool,
}

impl RecoveryState {
    /// Stores the progress (0 to 1) and waits while the recovery is paused. Returns false if it is cancelled.
    fn proceed(&self, progress: f64) -> bool {
        self.progress.store((progress * PROGRESS_STEPS) as u32, Ordering::Relaxed);
        while self.is_paused.load(Ordering::Relaxed) && !self.is_cancelled.load(Ordering::Relaxed) {
            std::thread::sleep(POLL_INTERVAL);
        }
        !self.is_cancelled.load(Ordering::Relaxed)
    }
}

/// The unfinished takes of the folder of takes. Dropping it cancels a running recovery; the take can be recovered later.
pub struct UnfinishedTakes {
    /// The folder that was searched last.
    folder: Option<PathBuf>,
    takes: Vec<PathBuf>,
    recovery: Option<Recovery>,
    sender: Sender<ThreadMessage>,
    receiver: Receiver<ThreadMessage>,
}

impl UnfinishedTakes {
    pub fn new() -> Self {
        let (sender, receiver) = channel();
        Self { folder: None, takes: Vec::new(), recovery: None, sender, receiver }
    }

    /// Starts the recovery of a take that was found; does nothing while another one is recovered. Does not wait.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn recover(&mut self, take: &Path, recording: bool) -> Result<(), String> {
        if self.recovery.is_some() || !self.takes.iter().any(|found| found == take) {
            return Ok(());
        }
        let state = Arc::new(RecoveryState { is_paused: AtomicBool::new(recording), ..RecoveryState::default() });
        let (sender, shared, folder) = (self.sender.clone(), state.clone(), take.to_path_buf());
        let work = move || {
            lower_priority();
            let result = recover_and_verify(&folder, &shared);
            let _ = sender.send(ThreadMessage::Recovered(folder, result.map_err(|error| error.to_string())));
        };
        let thread = std::thread::Builder::new().name("isotherm-recover".into());
        thread.spawn(work).map_err(|error| format!("no thread to recover a take: {error}"))?;
        self.recovery = Some(Recovery { take: take.into(), state });
        Ok(())
    }

    /// Searches a new folder of takes, pauses or resumes a recovery, and returns lines for the log. To be called several times a
    /// second with the folder of takes, and true while a take is recorded. Does not wait.
    pub fn poll(&mut self, folder: &Path, recording: bool) -> Vec<LogEntry> {
        if self.folder.as_deref() != Some(folder) {
            self.folder = Some(folder.into());
            self.takes.clear();
            let (sender, folder) = (self.sender.clone(), folder.to_path_buf());
            let search = move || {
                let takes = record::unfinished_takes(&folder);
                let _ = sender.send(ThreadMessage::Found(folder, takes));
            };
            // If the system cannot start a thread, nothing is found.
            drop(std::thread::Builder::new().name("isotherm-search".into()).spawn(search));
        }
        if let Some(recovery) = &self.recovery {
            recovery.state.is_paused.store(recording, Ordering::Relaxed);
        }
        let mut lines = Vec::new();
        while let Ok(message) = self.receiver.try_recv() {
            match message {
                ThreadMessage::Found(folder, takes) if self.folder.as_ref() == Some(&folder) => {
                    lines.extend(takes.iter().map(|take| (unfinished_message(take), true)));
                    self.takes = takes;
                }
                ThreadMessage::Found(..) => {}
                ThreadMessage::Recovered(take, result) => {
                    self.recovery = None;
                    match result {
                        Ok(line) => {
                            self.takes.retain(|found| *found != take);
                            lines.push(line);
                        }
                        Err(error) => lines.push((format!("not recovered: {error}"), true)),
                    }
                }
            }
        }
        lines
    }

    /// Returns the takes as the window shows them.
    pub fn view(&self) -> Vec<UnfinishedTakeView> {
        let view = |take: &PathBuf| {
            let recovery = self.recovery.as_ref().filter(|recovery| recovery.take == *take).map(|recovery| &recovery.state);
            UnfinishedTakeView {
                name: take.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                folder: take.clone(),
                progress: recovery.map(|state| state.progress.load(Ordering::Relaxed) as f32 / PROGRESS_STEPS as f32),
                is_waiting: recovery.is_some_and(|state| state.is_paused.load(Ordering::Relaxed)),
            }
        };
        self.takes.iter().map(view).collect()
    }
}

impl Drop for UnfinishedTakes {
    fn drop(&mut self) {
        if let Some(recovery) = &self.recovery {
            recovery.state.is_cancelled.store(true, Ordering::Relaxed);
        }
    }
}

/// Lowers the calling thread's priority below that of sound and window, but not so far that a busy machine never runs it.
fn lower_priority() {
    // On failure the recovery runs with normal priority.
    let _ = ThreadPriorityValue::try_from(25u8).map(|quarter| ThreadPriority::Crossplatform(quarter).set_for_current());
}

/// Recovers a take and verifies it. Returns a line for the log, an alarm if the verification found problems.
fn recover_and_verify(take: &Path, state: &RecoveryState) -> Result<LogEntry, TakeError> {
    // Waits here, before anything is read or written, if a take is recorded at the start.
    if !state.proceed(0.0) {
        return Err(TakeError::Cancelled { folder: take.into() });
    }
    let recovered = record::recover_with_progress(take, &mut |done| state.proceed(done / 2.0))?;
    let problems = record::verify_with_progress(take, &mut |done| state.proceed(0.5 + done / 2.0))?.problems;
    let (folder, summary) = (take.display(), recovered.manifest.summary());
    Ok(match problems.first() {
        None => (format!("{folder}: recovered and verified: {summary}"), false),
        Some(problem) => (format!("{folder}: recovered, but it is not whole: {problem}"), true),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::record::{Recorder, RecorderSettings, verify};

    /// Makes an unfinished take, as a crash leaves one: a copy of a take that is still being recorded. Returns a temporary folder
    /// and the take's folder in it.
    fn unfinished_take() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (recorder, mut writer) =
            Recorder::open(RecorderSettings::new(folder.path().join("recorded"), "take", 48_000, 2)).unwrap();
        writer.set_blocking(true);
        for _ in 0..100 {
            writer.write(&[[0.25_f32; 4800], [0.5; 4800]]);
        }
        let running = recorder.health().folder.unwrap();
        let stem = |take: &Path| std::fs::metadata(take.join("01 Channel 1.wav")).map_or(0, |file| file.len());
        let started = Instant::now();
        while stem(&running) < 3 * 48_000 {
            assert!(started.elapsed() < Duration::from_secs(30), "no sound was written");
            std::thread::sleep(Duration::from_millis(5));
        }
        let take = folder.path().join("takes").join("2026-11-20T20-15-03 Show");
        std::fs::create_dir_all(&take).unwrap();
        for entry in std::fs::read_dir(running).unwrap().flatten() {
            std::fs::copy(entry.path(), take.join(entry.file_name())).unwrap();
        }
        (folder, take)
    }

    /// Polls until there are lines for the log, and returns them.
    fn next_lines(unfinished: &mut UnfinishedTakes, folder: &Path) -> Vec<LogEntry> {
        let started = Instant::now();
        loop {
            let lines = unfinished.poll(folder, false);
            if !lines.is_empty() {
                return lines;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "no line for the log");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn an_unfinished_take_is_found_and_recovered_once_no_take_is_recorded() {
        let (folder, take) = unfinished_take();
        let takes = take.parent().unwrap();
        let mut unfinished = UnfinishedTakes::new();
        let found = next_lines(&mut unfinished, takes);
        assert_eq!(found, [(unfinished_message(&take), true)]);
        assert_eq!(
            unfinished.view().iter().map(|left| (&*left.name, left.progress)).collect::<Vec<_>>(),
            [("2026-11-20T20-15-03 Show", None)]
        );
        // A take that is being recorded does not count as unfinished.
        assert!(record::unfinished_takes(&folder.path().join("recorded")).is_empty());

        unfinished.recover(&take, true).unwrap();
        for _ in 0..20 {
            assert_eq!(unfinished.poll(takes, true), []);
            std::thread::sleep(Duration::from_millis(10));
        }
        let waiting = &unfinished.view()[0];
        assert_eq!((waiting.progress, waiting.is_waiting), (Some(0.0), true));
        assert_eq!(verify(&take).unwrap().problems.len(), 1, "nothing was touched");
        let done = next_lines(&mut unfinished, takes);
        assert!(done[0].0.contains("recovered and verified: 2 stems") && !done[0].1, "{done:?}");
        assert!(done[0].0.contains("not known: what came in the last second"), "{done:?}");
        assert_eq!(verify(&take).unwrap().problems, Vec::<String>::new());
        assert!(unfinished.view().is_empty() && record::unfinished_takes(takes).is_empty());
    }

    #[test]
    fn a_recovery_that_failed_or_was_cancelled_can_be_started_again() {
        let (_folder, take) = unfinished_take();
        let takes = take.parent().unwrap();
        let mut unfinished = UnfinishedTakes::new();
        next_lines(&mut unfinished, takes);
        let stem = take.join("01 Channel 1.wav");
        let whole = std::fs::read(&stem).unwrap();
        std::fs::write(&stem, vec![1; 10_000]).unwrap();
        unfinished.recover(&take, false).unwrap();
        let failed = next_lines(&mut unfinished, takes);
        assert!(failed[0].0.starts_with("not recovered: ") && failed[0].1, "{failed:?}");
        std::fs::write(&stem, whole).unwrap();
        unfinished.recover(&take, true).unwrap();
        drop(unfinished);
        let mut unfinished = UnfinishedTakes::new();
        next_lines(&mut unfinished, takes);
        unfinished.recover(&take, false).unwrap();
        assert!(next_lines(&mut unfinished, takes)[0].0.contains("recovered and verified"));
    }
}
