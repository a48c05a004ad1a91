//! Other readers.

use super::*;

#[test]
fn files_are_read_alike_by_libsndfile_sox_and_ffmpeg() {
    let folder = tempfile::tempdir().unwrap();
    let (path, manifest) = eventful(&folder);
    for part in &manifest.stems[0].parts {
        let file = path.join(&part.file);
        let names = chunks(&file);
        assert_eq!(names[..4], ["JUNK", "fmt ", "bext", "data"], "readers of desk sessions take no other");
        assert!(names.contains(&"iXML".into()));
        let bytes: Vec<u8> = codes(&file).into_iter().flat_map(|x| x.to_le_bytes()[..3].to_vec()).collect();
        let name = file.as_os_str();
        if let Some((told, _)) = output("sndfile-info", &[name]) {
            let told = String::from_utf8_lossy(&told);
            assert!(told.contains(&format!("Frames      : {}\n", part.frames)), "{told}");
            assert!(told.contains("bext : 602") && !told.contains("***"), "{told}");
        }
        let raw = ["-t", "raw", "-e", "signed", "-b", "24", "-"].map(std::ffi::OsStr::new);
        if let Some((sound, told)) = output("sox", &[&[name][..], &raw].concat()) {
            assert!(sound == bytes && told.is_empty(), "{told}");
        }
        let options = ["-v", "error", "-i"].map(std::ffi::OsStr::new);
        let raw = ["-f", "s24le", "-"].map(std::ffi::OsStr::new);
        if let Some((sound, told)) = output("ffmpeg", &[&options[..], &[name], &raw].concat()) {
            assert!(sound == bytes && told.is_empty(), "{told}");
        }
    }
    // The gap and the marker.
    let all = manifest.stems[0].parts.iter().flat_map(|part| chunks(&path.join(&part.file)));
    assert!(all.filter(|name| name == "cue ").count() >= 1);
}
