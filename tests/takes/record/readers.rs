//! Stems read by other programs.

use super::*;

#[test]
fn libsndfile_sox_and_ffmpeg_read_the_same_samples() {
    let folder = tempfile::tempdir().unwrap();
    let (path, manifest) = take_with_all_features(&folder);
    for part in &manifest.stems[0].parts {
        let file = path.join(&part.file);
        let names = chunk_names(&file);
        assert_eq!(names[..4], ["JUNK", "fmt ", "bext", "data"], "no other chunk before the sound");
        assert!(names.contains(&"iXML".into()));
        let bytes: Vec<u8> = codes(&file).into_iter().flat_map(|x| x.to_le_bytes()[..3].to_vec()).collect();
        let name = file.as_os_str();
        if let Some((output, _)) = output("sndfile-info", &[name]) {
            let text = String::from_utf8_lossy(&output);
            assert!(text.contains(&format!("Frames      : {}\n", part.frames)), "{text}");
            assert!(text.contains("bext : 602") && !text.contains("***"), "{text}");
        }
        let raw = ["-t", "raw", "-e", "signed", "-b", "24", "-"].map(std::ffi::OsStr::new);
        if let Some((sound, errors)) = output("sox", &[&[name][..], &raw].concat()) {
            assert!(sound == bytes && errors.is_empty(), "{errors}");
        }
        let options = ["-v", "error", "-i"].map(std::ffi::OsStr::new);
        let raw = ["-f", "s24le", "-"].map(std::ffi::OsStr::new);
        if let Some((sound, errors)) = output("ffmpeg", &[&options[..], &[name], &raw].concat()) {
            assert!(sound == bytes && errors.is_empty(), "{errors}");
        }
    }
    // The gap and the marker are cue points.
    let all = manifest.stems[0].parts.iter().flat_map(|part| chunk_names(&path.join(&part.file)));
    assert!(all.filter(|name| name == "cue ").count() >= 1);
}
