//! Folders of model files: what is in one, and which file comes next.

use std::fs;
use std::path::{Path, PathBuf};

use crate::neural::formats;
use crate::view::FolderView;

/// What a folder holds, or why that cannot be told.
pub fn list(path: PathBuf) -> FolderView {
    let path = path.canonicalize().unwrap_or(path);
    match entries(&path) {
        Ok((folders, files)) => FolderView { path, folders, files, error: None },
        Err(error) => FolderView { error: Some(format!("{}: {error}", path.display())), path, ..FolderView::default() },
    }
}

/// Names of the folders and of the model files in a folder, sorted as a user reads them; nothing that hides.
fn entries(folder: &Path) -> std::io::Result<(Vec<String>, Vec<String>)> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A name that is no text cannot be shown, and a link may lead nowhere.
        let (Ok(name), Ok(about)) = (entry.file_name().into_string(), fs::metadata(entry.path())) else { continue };
        if name.starts_with('.') {
            continue;
        }
        if about.is_dir() {
            folders.push(name);
        } else if formats::is_model_file(name.as_ref()) {
            files.push(name);
        }
    }
    folders.sort_by_cached_key(|name| order(name));
    files.sort_by_cached_key(|name| order(name));
    Ok((folders, files))
}

/// Small and capital letters side by side.
fn order(name: &str) -> (String, String) {
    (name.to_lowercase(), name.to_owned())
}

/// The model file so many places behind (or before) a file that may be gone, round and round.
pub fn neighbour(place: &Path, step: i32) -> Result<PathBuf, String> {
    let folder = place.parent().unwrap_or(Path::new(""));
    let (_, files) = entries(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let here = order(&place.file_name().unwrap_or_default().to_string_lossy());
    let at = match files.binary_search_by_key(&here, |name| order(name)) {
        Ok(at) => at as i64 + i64::from(step),
        // Between two: the one behind is one step away.
        Err(behind) => behind as i64 + i64::from(step) - i64::from(step > 0),
    };
    let count = i64::try_from(files.len()).unwrap_or(i64::MAX);
    if count == 0 {
        return Err(format!("{}: no model file; expected {}", folder.display(), formats::endings()));
    }
    Ok(folder.join(&files[at.rem_euclid(count) as usize]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_goes_round_the_folders_model_files_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.nam", "A.NAM", "c.json", "d.onnx", "notes.txt", ".hidden.nam"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("e.nam")).unwrap();
        let step = |name: &str, by| {
            let path = neighbour(&folder.path().join(name), by).unwrap();
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(["A.NAM", "b.nam", "c.json", "d.onnx"].map(|n| step(n, 1)), ["b.nam", "c.json", "d.onnx", "A.NAM"]);
        assert_eq!(["A.NAM", "b.nam", "c.json", "d.onnx"].map(|n| step(n, -1)), ["d.onnx", "A.NAM", "b.nam", "c.json"]);
        // From where a file was.
        assert_eq!((step("bb.nam", 1), step("bb.nam", -1)), ("c.json".into(), "b.nam".into()));
        assert_eq!((step("z.nam", 1), step("a", -1)), ("A.NAM".into(), "d.onnx".into()));
        let empty = tempfile::tempdir().unwrap();
        assert!(neighbour(&empty.path().join("x.nam"), 1).unwrap_err().contains("no model file"));
        assert!(neighbour(Path::new("/nowhere/x.nam"), 1).unwrap_err().contains("/nowhere"));
    }
}
