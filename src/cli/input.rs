//! Sounds that commands read: WAV files, also in numbered pieces, and standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction};

use super::{Failure, print_error_line};
use crate::audio::wav::{Reader, numbered_pieces};
use crate::audio::{Audio, WavError};

/// The name of standard input in messages.
pub const STANDARD_INPUT: &str = "standard input";

/// The flag `--join`.
pub fn join_argument() -> Arg {
    Arg::new("join").long("join").action(ArgAction::SetTrue).help(
        "Read several files end to end, such as the 4 GB pieces of a desk's card; \
         of a single file, also those that follow it by number",
    )
}

/// True for `-`, which stands for standard input or output.
pub fn is_dash(path: &Path) -> bool {
    path == Path::new("-")
}

/// Opens a WAV file, or standard input for `-`, and says what is odd about it.
pub fn open(path: &Path) -> Result<Reader, Failure> {
    if is_dash(path) { open_stream(std::io::stdin()) } else { Reader::open(path).map(noted).map_err(Failure::failed) }
}

/// Reads the header of a WAV stream, standard input, and says what is odd about it.
pub fn open_stream(stream: impl Read + Send + 'static) -> Result<Reader, Failure> {
    Reader::stream(stream, STANDARD_INPUT).map(noted).map_err(Failure::failed)
}

/// The files that are read end to end with `--join`: the named ones; of a single one, also those that follow it by number in
/// its folder.
pub fn joined_files(paths: &[&Path]) -> Vec<PathBuf> {
    match paths {
        [first] => numbered_pieces(first),
        all => all.iter().map(|path| path.to_path_buf()).collect(),
    }
}

/// Opens the files of [`joined_files`] as one.
pub fn open_joined(paths: &[&Path]) -> Result<Reader, Failure> {
    if paths.iter().any(|path| is_dash(path)) {
        return Err(Failure::Usage("--join: standard input is one stream already; expected files".into()));
    }
    let pieces = joined_files(paths);
    let mut readers = pieces.iter().map(Reader::open);
    let first = readers.next().ok_or_else(|| Failure::Usage("--join: no file".into()))?;
    let joined = first.and_then(|first| readers.try_fold(first, |reader, next| reader.followed_by(next?)));
    let reader = joined.map(noted).map_err(Failure::failed)?;
    if let [only] = &pieces[..] {
        print_error_line(format_args!("--join: no file follows {} by number; only it is read", only.display()));
    }
    if let [first, .., last] = &pieces[..] {
        let seconds = reader.frames() as f64 / f64::from(reader.sample_rate());
        print_error_line(format_args!(
            "joined {} files, {seconds:.1} s: {} to {}",
            pieces.len(),
            first.display(),
            last.display()
        ));
    }
    Ok(reader)
}

/// Reads a whole WAV file like [`crate::audio::wav::read`], and says what is odd about it.
pub fn read_wav(path: &Path) -> Result<Audio<f32>, WavError> {
    noted(Reader::open(path)?).read_to_end()
}

/// Says what is odd about a reader's file, and returns the reader.
fn noted(reader: Reader) -> Reader {
    warn_notes(reader.path(), reader.notes());
    reader
}

/// Writes notes on the WAV file at `path` to standard error, a line each.
pub fn warn_notes(path: &Path, notes: &[String]) {
    for note in notes {
        print_error_line(format_args!("{}: {note}", path.display()));
    }
}
