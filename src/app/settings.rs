//! The settings that the program saves between runs, as a JSON file.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::instance::InstanceState;
use crate::ui::DeviceSetup;
use crate::view::TakeSetup;

/// The contents of the settings file. The names in the file are fixed: later versions only add fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedSettings {
    pub device: DeviceSetup,
    pub takes: TakeSetup,
    /// The settings of each channel of the device in `strips_of`.
    pub strips: Vec<StripSettings>,
    /// The device to which `strips` belong: the host's id, a space and the device's name. Empty if they belong to no device yet.
    pub strips_of: String,
    /// The strips of other devices, by the same text as in `strips_of`.
    #[serde(rename = "shelf")]
    pub strips_of_others: BTreeMap<String, Vec<StripSettings>>,
    #[serde(rename = "rack")]
    pub instance: InstanceState,
}

/// The settings of a channel of the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StripSettings {
    /// The name that the user typed; if empty, the desk's name or the channel's number is shown.
    pub name: String,
    /// True if takes record the channel.
    pub armed: bool,
    /// True if the monitor plays the channel on the left.
    pub left: bool,
    /// True if the monitor plays the channel on the right.
    pub right: bool,
}

impl Default for StripSettings {
    fn default() -> Self {
        Self { name: String::new(), armed: true, left: false, right: false }
    }
}

/// Returns the path of the settings file in the user's folder of settings, which depends on the system.
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

/// Loads the settings; without a file, the defaults. A file that cannot be read is renamed to `*.json.broken`, and the second
/// value is the error in one line.
#[must_use]
pub fn load(path: &Path) -> (SavedSettings, Option<String>) {
    let error = match fs::read(path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(settings) => return (settings, None),
            Err(error) => error.to_string(),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (SavedSettings::default(), None),
        Err(error) => error.to_string(),
    };
    let broken = path.with_extension("json.broken");
    let note = if fs::rename(path, &broken).is_ok() { format!("; it is kept as {}", broken.display()) } else { String::new() };
    (SavedSettings::default(), Some(format!("settings {}: {error}{note}", path.display())))
}

/// Saves the settings: writes a new file, then renames it, so that a reader sees either the old settings or the new ones.
///
/// # Errors
/// If the folder or the file cannot be written.
pub fn save(path: &Path, settings: &SavedSettings) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = path.with_extension("json.new");
    fs::write(&new, serde_json::to_vec_pretty(settings)?)?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_settings_are_loaded_again_and_unknown_keys_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/app.json");
        assert_eq!(load(&path), (SavedSettings::default(), None));
        let mut settings = SavedSettings::default();
        settings.device.device = "hw:X32".into();
        settings.strips = vec![StripSettings { name: "Kick \"in\"".into(), armed: false, left: true, right: false }];
        settings.instance.parameters.insert("a_saturator_drive".into(), 18.0);
        save(&path, &settings).unwrap();
        assert_eq!(load(&path), (settings, None));
        fs::write(&path, r#"{"device": {"host": "jack", "colour": 3}, "later": []}"#).unwrap();
        let (settings, error) = load(&path);
        assert_eq!((settings.device.host.as_str(), error), ("jack", None));
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_of_takes_that_is_not_utf_8_is_saved_and_loaded_as_it_is() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.json");
        let mut settings = SavedSettings::default();
        settings.takes.folder = std::ffi::OsStr::from_bytes(b"/shows/caf\xe9").into();
        save(&path, &settings).unwrap();
        assert_eq!(load(&path), (settings, None));
        // People read the text beside the bytes, and may change it.
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("/shows/caf\u{fffd}"), "{text}");
        fs::write(&path, text.replace("/shows/caf\u{fffd}", "/shows/bar")).unwrap();
        assert_eq!(load(&path).0.takes.folder, PathBuf::from("/shows/bar"));
        // A file of an earlier version has the text alone.
        fs::write(&path, r#"{"takes": {"folder": "/shows", "name": "Show"}}"#).unwrap();
        let takes = load(&path).0.takes;
        assert_eq!((takes.folder.to_str(), takes.name.as_str(), takes.level_db), (Some("/shows"), "Show", -40.0));
    }

    #[test]
    fn a_broken_file_is_renamed_and_reported_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.json");
        fs::write(&path, "{").unwrap();
        let (settings, error) = load(&path);
        let error = error.unwrap();
        assert!(settings == SavedSettings::default() && error.contains("app.json") && error.lines().count() == 1, "{error}");
        assert_eq!(fs::read(folder.path().join("app.json.broken")).unwrap(), b"{");
    }
}
