//! The keys of a terminal, one by one.

use std::io::Read;
use std::sync::mpsc::{Receiver, channel};

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A letter or digit, in lower case; a space.
    Char(char),
    Enter,
    Left,
    Right,
    /// The input has ended.
    End,
}

/// Keys as they are pressed, from a thread of its own. Standard input may be a terminal or anything else that gives bytes.
pub struct Keys {
    receiver: Receiver<Key>,
    /// Settings of the terminal as they were before.
    before: TerminalSettings,
}

/// Settings of the terminal at standard input, if there is one.
#[derive(Clone)]
pub struct TerminalSettings {
    #[cfg(unix)]
    termios: Option<nix::sys::termios::Termios>,
}

impl TerminalSettings {
    /// The settings as they are.
    pub fn read() -> Self {
        Self {
            #[cfg(unix)]
            termios: nix::sys::termios::tcgetattr(std::io::stdin()).ok(),
        }
    }

    /// Lets the terminal give each key at once and show none. Ctrl-C stays what it is; the keys that end or stop a program at once,
    /// so that it cannot give the terminal back, do nothing.
    fn set_for_keys(&self) {
        #[cfg(unix)]
        if let Some(mut settings) = self.termios.clone() {
            use nix::libc::_POSIX_VDISABLE;
            use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, tcsetattr};
            settings.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            for key in [SpecialCharacterIndices::VQUIT, SpecialCharacterIndices::VSUSP] {
                settings.control_chars[key as usize] = _POSIX_VDISABLE;
            }
            // Without it, keys come line by line, which is only less convenient.
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &settings);
        }
    }

    /// Gives the terminal these settings back.
    pub fn restore(&self) {
        #[cfg(unix)]
        if let Some(settings) = &self.termios {
            let _ = nix::sys::termios::tcsetattr(std::io::stdin(), nix::sys::termios::SetArg::TCSANOW, settings);
        }
    }
}

impl Keys {
    /// Starts to read. A terminal then gives each key at once and shows none, until this is dropped and it has the settings `before`.
    pub fn start(before: TerminalSettings) -> Self {
        before.set_for_keys();
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut reader = KeyReader::default();
            for byte in std::io::stdin().lock().bytes() {
                let Ok(byte) = byte else { break };
                if reader.add(byte).is_some_and(|key| sender.send(key).is_err()) {
                    return;
                }
            }
            let _ = sender.send(Key::End);
        });
        Self { receiver, before }
    }

    /// The next key, if one is pressed within the time.
    pub fn next(&self, timeout: std::time::Duration) -> Option<Key> {
        self.receiver.recv_timeout(timeout).ok()
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.before.restore();
    }
}

/// Reads keys from bytes; an arrow has three.
#[derive(Default)]
struct KeyReader {
    /// Bytes of an escape sequence so far.
    escape: usize,
}

impl KeyReader {
    /// Adds a byte. Returns the key that it completes.
    fn add(&mut self, byte: u8) -> Option<Key> {
        match (self.escape, byte) {
            (_, 0x1b) => {
                self.escape = 1;
                None
            }
            (1, b'[' | b'O') => {
                self.escape = 2;
                None
            }
            (2, _) => {
                self.escape = 0;
                match byte {
                    b'C' => Some(Key::Right),
                    b'D' => Some(Key::Left),
                    _ => None,
                }
            }
            _ => {
                self.escape = 0;
                match byte {
                    b'\r' | b'\n' => Some(Key::Enter),
                    b' ' => Some(Key::Char(' ')),
                    byte if byte.is_ascii_alphanumeric() => Some(Key::Char(char::from(byte.to_ascii_lowercase()))),
                    _ => None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_arrows_and_enter_are_read_and_other_sequences_are_left_out() {
        let mut reader = KeyReader::default();
        let keys: Vec<Key> = b"aB \x1b[C\x1bOD\x1b[A3\r\n\x1bx\x07".iter().filter_map(|byte| reader.add(*byte)).collect();
        let expected = [
            Key::Char('a'),
            Key::Char('b'),
            Key::Char(' '),
            Key::Right,
            Key::Left,
            Key::Char('3'),
            Key::Enter,
            Key::Enter,
            Key::Char('x'),
        ];
        assert_eq!(keys, expected);
    }
}
