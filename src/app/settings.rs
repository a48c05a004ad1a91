//! What the program keeps between runs: a JSON file.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::instance::InstanceState;
use crate::ui::DeviceSetup;
use crate::view::TakeSetup;

/// Fields are only ever added.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    pub device: DeviceSetup,
    pub takes: TakeSetup,
    pub strips: Vec<Strip>,
    /// Whose they are: host and device.
    pub strips_of: String,
    /// Those of other devices.
    pub shelf: BTreeMap<String, Vec<Strip>>,
    #[serde(rename = "rack")]
    pub instance: InstanceState,
}

/// A channel of the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Strip {
    /// As it was typed; empty for a desk's, or for its number.
    pub name: String,
    pub armed: bool,
    pub left: bool,
    pub right: bool,
}

impl Default for Strip {
    fn default() -> Self {
        Self { name: String::new(), armed: true, left: false, right: false }
    }
}

/// Where the file is, as each system has it.
#[must_use]
pub fn path() -> PathBuf {
    let home = std::env::home_dir().unwrap_or_default();
    let given = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    if cfg!(windows) {
        given("APPDATA").unwrap_or(home).join("Isotherm").join("app.json")
    } else if cfg!(target_os = "macos") {
        home.join("Library/Application Support/Isotherm/app.json")
    } else {
        given("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")).join("isotherm/app.json")
    }
}

/// What was kept. A file that cannot be read is set aside, and the second value says so in one line.
#[must_use]
pub fn load(path: &Path) -> (Kept, Option<String>) {
    let error = match fs::read(path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(kept) => return (kept, None),
            Err(error) => error.to_string(),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Kept::default(), None),
        Err(error) => error.to_string(),
    };
    let aside = path.with_extension("json.broken");
    let kept = if fs::rename(path, &aside).is_ok() { format!("; it is kept as {}", aside.display()) } else { String::new() };
    (Kept::default(), Some(format!("settings {}: {error}{kept}", path.display())))
}

/// Writes them; whoever reads meanwhile sees the old ones or the new ones.
///
/// # Errors
/// The system's.
pub fn save(path: &Path, kept: &Kept) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = path.with_extension("json.new");
    fs::write(&new, serde_json::to_vec_pretty(kept)?)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_what_is_unknown_is_no_trouble() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/app.json");
        assert_eq!(load(&path), (Kept::default(), None));
        let mut kept = Kept::default();
        kept.device.device = "hw:X32".into();
        kept.strips = vec![Strip { name: "Kick \"in\"".into(), armed: false, left: true, right: false }];
        kept.instance.parameters.insert("a_saturator_drive".into(), 18.0);
        save(&path, &kept).unwrap();
        assert_eq!(load(&path), (kept, None));
        fs::write(&path, r#"{"device": {"host": "jack", "colour": 3}, "later": []}"#).unwrap();
        let (kept, trouble) = load(&path);
        assert_eq!((kept.device.host.as_str(), trouble), ("jack", None));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_set_aside_and_named_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.json");
        fs::write(&path, "{").unwrap();
        let (kept, trouble) = load(&path);
        let trouble = trouble.unwrap();
        assert!(kept == Kept::default() && trouble.contains("app.json") && trouble.lines().count() == 1, "{trouble}");
        assert_eq!(fs::read(folder.path().join("app.json.broken")).unwrap(), b"{");
    }
}
