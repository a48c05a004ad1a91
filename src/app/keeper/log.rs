//! The program's log: in the window, and as lines on standard output.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::Duration;

use chrono::Local;

use crate::ui::LogLine;

/// Lines of the log.
const LOG_LINES: usize = 300;

/// See the module.
pub struct Log {
    lines: Vec<LogLine>,
    printer: Printer,
}

impl Log {
    pub fn new() -> Self {
        Self { lines: Vec::new(), printer: Printer::new() }
    }

    /// The newest last.
    pub fn lines(&self) -> &[LogLine] {
        &self.lines
    }

    /// On standard output only.
    pub fn print(&self, line: String) {
        self.printer.say(line);
    }

    pub fn say(&mut self, text: String, alarm: bool) {
        let time = Local::now().format("%H:%M:%S").to_string();
        self.print(format!("{time} {text}"));
        if self.lines.len() >= LOG_LINES {
            self.lines.remove(0);
        }
        self.lines.push(LogLine { time, text, alarm });
    }
}

/// Does something that takes its time. Without a thread to be had it is not done.
pub fn aside(work: impl FnOnce() + Send + 'static) {
    drop(std::thread::Builder::new().name("isotherm-aside".into()).spawn(work));
}

/// Writes lines to standard output, which may stand still: then they are left out, and nobody waits.
struct Printer {
    lines: Option<SyncSender<String>>,
    done: Receiver<()>,
}

impl Printer {
    fn new() -> Self {
        let (lines, waiting) = sync_channel::<String>(LOG_LINES);
        let (ended, done) = channel();
        aside(move || {
            use std::io::Write as _;
            // A closed pipe is nobody's loss.
            waiting.iter().for_each(|line| drop(writeln!(std::io::stdout(), "{line}")));
            let _ = ended.send(());
        });
        Self { lines: Some(lines), done }
    }

    fn say(&self, line: String) {
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
