//! Folders of model files: their contents for the browser, and the file that a step leads to.

use std::fs;
use std::path::{Path, PathBuf};

use crate::neural::formats;
use crate::view::FolderView;

/// The contents of a folder, or the reason why it cannot be listed. [builder thread]
pub(crate) fn list(path: PathBuf) -> FolderView {
    let path = path.canonicalize().unwrap_or(path);
    match entries(&path) {
        Ok((folders, files)) => FolderView { path, folders, files, error: None },
        Err(error) => FolderView { error: Some(format!("{error}: {}", path.display())), path, ..FolderView::default() },
    }
}

/// Names of the folders and of the model files in a folder, each sorted as a user reads them, without hidden ones.
fn entries(folder: &Path) -> std::io::Result<(Vec<String>, Vec<String>)> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A name that is not Unicode cannot be shown, and a link may lead nowhere: both are left out.
        let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), fs::metadata(entry.path())) else { continue };
        if name.starts_with('.') {
            continue;
        }
        if metadata.is_dir() {
            folders.push(name);
        } else if formats::is_model_file(name.as_ref()) {
            files.push(name);
        }
    }
    folders.sort_by_cached_key(|name| sort_key(name));
    files.sort_by_cached_key(|name| sort_key(name));
    Ok((folders, files))
}

/// Sorts names by their letters, upper and lower case side by side.
fn sort_key(name: &str) -> (String, String) {
    (name.to_lowercase(), name.to_owned())
}

/// The model file that is `step` places after `path` in its folder (before it, if negative). The last file is followed by the
/// first. The file at `path` may be gone: then the one after its name is one step away.
///
/// # Errors
/// If the folder cannot be read or holds no model file, as one line for the user.
pub(crate) fn step_from(path: &Path, step: i32) -> Result<PathBuf, String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let (_, files) = entries(folder).map_err(|error| format!("{error}: {}", folder.display()))?;
    let own_key = sort_key(&path.file_name().unwrap_or_default().to_string_lossy());
    let at = match files.binary_search_by_key(&own_key, |name| sort_key(name)) {
        Ok(at) => at as i64 + i64::from(step),
        // The name falls between two files: the next one is one step away.
        Err(next) => next as i64 + i64::from(step) - i64::from(step > 0),
    };
    let count = i64::try_from(files.len()).unwrap_or(i64::MAX);
    if count == 0 {
        return Err(format!("no model file in this folder; expected {}: {}", formats::extensions(), folder.display()));
    }
    Ok(folder.join(&files[at.rem_euclid(count) as usize]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_goes_round_the_folders_model_files_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.nam", "A.NAM", "c.json", "d.onnx", "notes.txt", ".hidden.nam", "a.card.json"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("e.nam")).unwrap();
        let step = |name: &str, by| {
            let path = step_from(&folder.path().join(name), by).unwrap();
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(["A.NAM", "b.nam", "c.json", "d.onnx"].map(|n| step(n, 1)), ["b.nam", "c.json", "d.onnx", "A.NAM"]);
        assert_eq!(["A.NAM", "b.nam", "c.json", "d.onnx"].map(|n| step(n, -1)), ["d.onnx", "A.NAM", "b.nam", "c.json"]);
        // Steps from files that are gone.
        assert_eq!((step("bb.nam", 1), step("bb.nam", -1)), ("c.json".into(), "b.nam".into()));
        assert_eq!((step("z.nam", 1), step("a", -1)), ("A.NAM".into(), "d.onnx".into()));
        let empty = tempfile::tempdir().unwrap();
        assert!(step_from(&empty.path().join("x.nam"), 1).unwrap_err().contains("no model file"));
        assert!(step_from(Path::new("/nowhere/x.nam"), 1).unwrap_err().contains("/nowhere"));
    }
}
