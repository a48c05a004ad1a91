//! Numbered pieces: the files of a recorder that begins another file each 4 GiB.

use std::path::{Path, PathBuf};

/// The pieces of a recording whose first file is `first`: it, and the files that follow it by number in its folder, up to the
/// first that is missing. The number is the end of the name without extension, and keeps its digits: `00000001.WAV`,
/// `00000002.WAV` as an X-LIVE card writes them, or `live_9.wav`, `live_10.wav`. [control thread: looks for files]
#[must_use]
pub fn numbered_pieces(first: &Path) -> Vec<PathBuf> {
    let mut pieces = vec![first.to_path_buf()];
    let Some(stem) = first.file_stem().and_then(|stem| stem.to_str()) else { return pieces };
    let name = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = stem.len() - name.len();
    let mut number: Option<u64> = stem[name.len()..].parse().ok();
    while let Some(next) = number.and_then(|number| number.checked_add(1)) {
        number = Some(next);
        let mut file = std::ffi::OsString::from(format!("{name}{next:0digits$}"));
        if let Some(extension) = first.extension() {
            file.push(".");
            file.push(extension);
        }
        let piece = first.with_file_name(file);
        if !piece.is_file() {
            break;
        }
        pieces.push(piece);
    }
    pieces
}
