//! Takes that a crash left behind: found in the folder of takes, and made whole on a thread of its own, which waits while a take is
//! recorded.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use thread_priority::{ThreadPriority, ThreadPriorityValue};

use crate::record::{self, TakeError, unfinished_text};
use crate::ui::LeftView;

/// A recovery that waits looks this often whether it may go on.
const LOOK: Duration = Duration::from_millis(50);
/// Progress counts to this.
const WHOLE: f64 = 1000.0;

/// A line of the log, and whether it is an alarm.
type Line = (String, bool);

enum News {
    /// What was found in a folder.
    Found(PathBuf, Vec<PathBuf>),
    /// What became of a take.
    Done(PathBuf, Result<Line, String>),
}

/// A recovery that runs.
struct Running {
    take: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    done: AtomicU32,
    /// A take is recorded: the disk is its own.
    waits: AtomicBool,
    stop: AtomicBool,
}

impl Shared {
    /// Waits as long as it shall. Whether to go on.
    fn go_on(&self, done: f64) -> bool {
        self.done.store((done * WHOLE) as u32, Ordering::Relaxed);
        while self.waits.load(Ordering::Relaxed) && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK);
        }
        !self.stop.load(Ordering::Relaxed)
    }
}

/// See the module. Dropped, it calls a recovery off, which can be begun again.
pub struct Leftovers {
    /// The folder that was looked through.
    folder: Option<PathBuf>,
    takes: Vec<PathBuf>,
    running: Option<Running>,
    tell: Sender<News>,
    news: Receiver<News>,
}

impl Leftovers {
    pub fn new() -> Self {
        let (tell, news) = channel();
        Self { folder: None, takes: Vec::new(), running: None, tell, news }
    }

    /// Makes a take whole that was found, one at a time. Does not wait.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn recover(&mut self, take: &Path, recording: bool) -> Result<(), String> {
        if self.running.is_some() || !self.takes.iter().any(|left| left == take) {
            return Ok(());
        }
        let shared = Arc::new(Shared { waits: AtomicBool::new(recording), ..Shared::default() });
        let (tell, of_thread, folder) = (self.tell.clone(), shared.clone(), take.to_path_buf());
        let work = move || {
            step_back();
            let done = whole(&folder, &of_thread);
            let _ = tell.send(News::Done(folder, done.map_err(|error| error.to_string())));
        };
        let thread = std::thread::Builder::new().name("isotherm-recover".into());
        thread.spawn(work).map_err(|error| format!("no thread to recover a take: {error}"))?;
        self.running = Some(Running { take: take.into(), shared });
        Ok(())
    }

    /// To be called several times a second, with the folder of takes and whether one is recorded. Returns what there is to say.
    pub fn attend(&mut self, folder: &Path, recording: bool) -> Vec<Line> {
        if self.folder.as_deref() != Some(folder) {
            self.folder = Some(folder.into());
            self.takes.clear();
            let (tell, folder) = (self.tell.clone(), folder.to_path_buf());
            let look = move || {
                let takes = record::unfinished(&folder);
                let _ = tell.send(News::Found(folder, takes));
            };
            // Without a thread nothing is found.
            drop(std::thread::Builder::new().name("isotherm-look".into()).spawn(look));
        }
        if let Some(running) = &self.running {
            running.shared.waits.store(recording, Ordering::Relaxed);
        }
        let mut lines = Vec::new();
        while let Ok(news) = self.news.try_recv() {
            match news {
                News::Found(folder, takes) if self.folder.as_ref() == Some(&folder) => {
                    lines.extend(takes.iter().map(|take| (unfinished_text(take), true)));
                    self.takes = takes;
                }
                News::Found(..) => {}
                News::Done(take, done) => {
                    self.running = None;
                    match done {
                        Ok(line) => {
                            self.takes.retain(|left| *left != take);
                            lines.push(line);
                        }
                        Err(error) => lines.push((format!("not recovered: {error}"), true)),
                    }
                }
            }
        }
        lines
    }

    /// For the window.
    pub fn view(&self) -> Vec<LeftView> {
        let view = |take: &PathBuf| {
            let running = self.running.as_ref().filter(|running| running.take == *take).map(|running| &running.shared);
            LeftView {
                name: take.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                folder: take.clone(),
                done: running.map(|shared| shared.done.load(Ordering::Relaxed) as f32 / WHOLE as f32),
                waits: running.is_some_and(|shared| shared.waits.load(Ordering::Relaxed)),
            }
        };
        self.takes.iter().map(view).collect()
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.shared.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// All that sounds or is shown goes first, but a busy machine still comes to it. [the thread itself]
fn step_back() {
    // Without it the recovery is only less modest.
    let _ = ThreadPriorityValue::try_from(25u8).map(|quarter| ThreadPriority::Crossplatform(quarter).set_for_current());
}

/// Recovers a take and verifies it: only then it is called whole.
fn whole(take: &Path, shared: &Shared) -> Result<Line, TakeError> {
    // A take that is recorded just now is waited for before the first byte, too.
    if !shared.go_on(0.0) {
        return Err(TakeError::CalledOff { folder: take.into() });
    }
    let recovered = record::recover_while(take, &mut |done| shared.go_on(done / 2.0))?;
    let problems = record::verify_while(take, &mut |done| shared.go_on(0.5 + done / 2.0))?.problems;
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
    use crate::record::{Recorder, Settings, verify};

    /// A folder of takes with one that a crash left: a copy of one that is still being recorded.
    fn left() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (recorder, mut writer) = Recorder::open(Settings::new(folder.path().join("recorded"), "take", 48_000, 2)).unwrap();
        writer.wait(true);
        for _ in 0..100 {
            writer.write(&[[0.25_f32; 4800], [0.5; 4800]]);
        }
        let running = recorder.health().folder.unwrap();
        let stem = |take: &Path| std::fs::metadata(take.join("01 Channel 1.wav")).map_or(0, |file| file.len());
        let begun = Instant::now();
        while stem(&running) < 3 * 48_000 {
            assert!(begun.elapsed() < Duration::from_secs(30), "no sound came to the disk");
            std::thread::sleep(Duration::from_millis(5));
        }
        let take = folder.path().join("takes").join("2026-11-20T20-15-03 Show");
        std::fs::create_dir_all(&take).unwrap();
        for entry in std::fs::read_dir(running).unwrap().flatten() {
            std::fs::copy(entry.path(), take.join(entry.file_name())).unwrap();
        }
        (folder, take)
    }

    /// Looks until something is said.
    fn said(leftovers: &mut Leftovers, folder: &Path) -> Vec<Line> {
        let begun = Instant::now();
        loop {
            let lines = leftovers.attend(folder, false);
            if !lines.is_empty() {
                return lines;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing was said");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_take_that_a_crash_left_is_recovered_beside_the_keeper_and_waits_for_the_take_that_is_recorded() {
        let (folder, take) = left();
        let takes = take.parent().unwrap();
        let mut leftovers = Leftovers::new();
        let found = said(&mut leftovers, takes);
        assert_eq!(found, [(unfinished_text(&take), true)]);
        assert_eq!(
            leftovers.view().iter().map(|left| (&*left.name, left.done)).collect::<Vec<_>>(),
            [("2026-11-20T20-15-03 Show", None)]
        );
        // One that is recorded is not offered.
        assert!(record::unfinished(&folder.path().join("recorded")).is_empty());

        leftovers.recover(&take, true).unwrap();
        for _ in 0..20 {
            assert_eq!(leftovers.attend(takes, true), []);
            std::thread::sleep(Duration::from_millis(10));
        }
        let waiting = &leftovers.view()[0];
        assert_eq!((waiting.done, waiting.waits), (Some(0.0), true));
        assert_eq!(verify(&take).unwrap().problems.len(), 1, "nothing was touched");
        let done = said(&mut leftovers, takes);
        assert!(done[0].0.contains("recovered and verified: 2 stems") && !done[0].1, "{done:?}");
        assert!(done[0].0.contains("not known: what came in the last second"), "{done:?}");
        assert_eq!(verify(&take).unwrap().problems, Vec::<String>::new());
        assert!(leftovers.view().is_empty() && record::unfinished(takes).is_empty());
    }

    #[test]
    fn a_recovery_that_fails_or_is_called_off_can_be_begun_again() {
        let (_folder, take) = left();
        let takes = take.parent().unwrap();
        let mut leftovers = Leftovers::new();
        said(&mut leftovers, takes);
        let stem = take.join("01 Channel 1.wav");
        let whole = std::fs::read(&stem).unwrap();
        std::fs::write(&stem, vec![1; 10_000]).unwrap();
        leftovers.recover(&take, false).unwrap();
        let failed = said(&mut leftovers, takes);
        assert!(failed[0].0.starts_with("not recovered: ") && failed[0].1, "{failed:?}");
        std::fs::write(&stem, whole).unwrap();
        leftovers.recover(&take, true).unwrap();
        drop(leftovers);
        let mut leftovers = Leftovers::new();
        said(&mut leftovers, takes);
        leftovers.recover(&take, false).unwrap();
        assert!(said(&mut leftovers, takes)[0].0.contains("recovered and verified"));
    }
}
