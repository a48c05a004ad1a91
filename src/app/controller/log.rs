//! The program's log: in the window, and as lines on standard output.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::Duration;

use chrono::Local;

use crate::ui::LogLine;

/// Largest number of lines that the window's log keeps, and of lines that wait for standard output.
const MAX_LINES: usize = 300;

/// The program's log.
pub struct Log {
    lines: Vec<LogLine>,
    printer: Printer,
}

impl Log {
    pub fn new() -> Self {
        Self { lines: Vec::new(), printer: Printer::new() }
    }

    /// Returns the lines of the window's log, the newest last.
    pub fn lines(&self) -> &[LogLine] {
        &self.lines
    }

    /// Writes a line to standard output only. Does not wait.
    pub fn print(&self, line: String) {
        self.printer.print(line);
    }

    /// Adds a line that reports a fault, in the colour of an alarm; see [`Self::add`]. Does not wait.
    pub fn add_alarm(&mut self, text: String) {
        self.add(text, true);
    }

    /// Adds a line that reports no fault; see [`Self::add`]. Does not wait.
    pub fn add_line(&mut self, text: String) {
        self.add(text, false);
    }

    /// Adds a line with the time of day to the window's log and writes it to standard output. Does not wait.
    pub fn add(&mut self, text: String, alarm: bool) {
        let time = Local::now().format("%H:%M:%S").to_string();
        self.print(format!("{time} {text}"));
        if self.lines.len() >= MAX_LINES {
            self.lines.remove(0);
        }
        self.lines.push(LogLine { time, text, alarm });
    }
}

/// Runs slow work on a thread of its own, which nobody joins. The work is not done if the system cannot start a thread.
pub fn spawn_detached(work: impl FnOnce() + Send + 'static) {
    drop(std::thread::Builder::new().name("isotherm-task".into()).spawn(work));
}

/// A thread that writes lines to standard output. If the output blocks, further lines are dropped and no other thread waits.
/// Dropping it waits up to a second for the last lines.
struct Printer {
    /// `None` once the printer is dropped, which ends the thread.
    lines: Option<SyncSender<String>>,
    /// Receives a message when the thread has written its last line.
    done: Receiver<()>,
}

impl Printer {
    fn new() -> Self {
        let (lines, receiver) = sync_channel::<String>(MAX_LINES);
        let (ended, done) = channel();
        spawn_detached(move || {
            use std::io::Write as _;
            // Errors are ignored: the output may be a closed pipe.
            receiver.iter().for_each(|line| drop(writeln!(std::io::stdout(), "{line}")));
            let _ = ended.send(());
        });
        Self { lines: Some(lines), done }
    }

    fn print(&self, line: String) {
        if let Some(lines) = &self.lines {
            let _ = lines.try_send(line);
        }
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.lines = None;
        let _ = self.done.recv_timeout(Duration::from_secs(1));
    }
}
