//! Numbered pieces: the files of a recorder that begins another file each 4 GiB.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The pieces of a recording whose first file is `first`: it, and the files that follow it by number in its folder, up to the
/// first that is missing. The number is the end of the name without extension, and keeps its digits: `00000001.WAV`,
/// `00000002.WAV` as an X-LIVE card writes them, or `live_9.wav`, `live_10.wav`. [control thread: looks for files]
#[must_use]
pub fn numbered_pieces(first: &Path) -> Vec<PathBuf> {
    let mut pieces = vec![first.to_path_buf()];
    let Some(stem) = first.file_stem() else { return pieces };
    let bytes = stem.as_encoded_bytes();
    let digits = bytes.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (name, number) = bytes.split_at(bytes.len() - digits);
    let Some(name) = os_string(name) else { return pieces };
    let mut number: Option<u64> = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
    while let Some(next) = number.and_then(|number| number.checked_add(1)) {
        number = Some(next);
        let mut file = name.clone();
        file.push(format!("{next:0digits$}"));
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

/// The beginning of a file's name, from its bytes; on other systems than Unix only in UTF-8.
fn os_string(bytes: &[u8]) -> Option<OsString> {
    #[cfg(unix)]
    let name = Some(std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec()));
    #[cfg(not(unix))]
    let name = std::str::from_utf8(bytes).ok().map(OsString::from);
    name
}
