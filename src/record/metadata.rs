//! Metadata chunks of a take's WAV files, made from its manifest.

use super::manifest::{Manifest, Stem};
use super::wav::{CuePoint, WavMetadata};

/// Number and name of the file with all channels.
pub const ALL_CHANNELS: (usize, &str) = (0, "All");

/// Header metadata of a stem's file or, without a stem, of the file with all channels. The file begins at frame `first_frame` of
/// the take.
pub fn wav_metadata(manifest: &Manifest, stem: Option<&Stem>, first_frame: u64) -> WavMetadata {
    let (date, time) = manifest.started.split_once('T').unwrap_or_default();
    WavMetadata {
        sample_rate: manifest.sample_rate,
        channels: if stem.is_some() { 1 } else { u16::try_from(manifest.stems.len()).unwrap_or(u16::MAX) },
        format: manifest.format,
        text: match stem {
            Some(stem) => format!("{}: {}, channel {} of {}", manifest.name, stem.name, stem.channel, manifest.source),
            None => format!("{}: all channels of {}", manifest.name, manifest.source),
        },
        originator: manifest.program.clone(),
        reference: manifest.id.clone(),
        date: date.into(),
        time: time.chars().take(8).collect(),
        time_reference: manifest.time_reference.saturating_add(first_frame),
    }
}

/// Cue points at the markers and gaps within a part of `frames` frames that begins at frame `first_frame` of the take.
pub fn cue_points(manifest: &Manifest, first_frame: u64, frames: u64) -> Vec<CuePoint> {
    let markers = manifest.markers.iter().map(|m| (m.position, m.name.clone()));
    let gaps = manifest.gaps.iter().map(|g| (g.position, format!("Gap: {} frames, {}", g.frames, g.reason)));
    let mut cues: Vec<CuePoint> = markers
        .chain(gaps)
        .filter(|(position, _)| (first_frame..first_frame + frames).contains(position))
        .map(|(position, name)| CuePoint { frame: position - first_frame, name })
        .collect();
    cues.sort_by_key(|cue| cue.frame);
    cues
}

/// The `iXML` chunk's text: the channels of a file, and the take that the file belongs to. (iXML 2.10, <http://www.ixml.info>)
pub fn ixml(manifest: &Manifest, stem: Option<&Stem>) -> String {
    let stems: Vec<&Stem> = stem.map_or_else(|| manifest.stems.iter().collect(), |stem| vec![stem]);
    let mut tracks = String::new();
    for (index, stem) in (1..).zip(&stems) {
        tracks += &format!(
            "<TRACK><CHANNEL_INDEX>{}</CHANNEL_INDEX><INTERLEAVE_INDEX>{index}</INTERLEAVE_INDEX><NAME>{}</NAME><FUNCTION/></TRACK>",
            stem.channel,
            escape_xml(&stem.name)
        );
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<BWFXML><IXML_VERSION>2.10</IXML_VERSION><PROJECT>{name}</PROJECT>\
         <FILE_UID>{id}{number:03}</FILE_UID><FILE_SET><TOTAL_FILES>{total}</TOTAL_FILES><FAMILY_UID>{id}</FAMILY_UID>\
         <FAMILY_NAME>{name}</FAMILY_NAME><FILE_SET_INDEX>{number}</FILE_SET_INDEX></FILE_SET>\
         <TRACK_LIST><TRACK_COUNT>{count}</TRACK_COUNT>{tracks}</TRACK_LIST></BWFXML>",
        name = escape_xml(&manifest.name),
        id = manifest.id,
        number = stem.map_or(0, |stem| stem.number),
        total = manifest.stems.len() + usize::from(!manifest.interleaved.is_empty()),
        count = stems.len(),
    )
}

fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
