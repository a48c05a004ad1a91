//! Metadata of the files of a take, out of its manifest.

use super::manifest::{Manifest, Stem};
use super::wav::{Cue, Description};

/// The number and name of the file with all channels.
pub const ALL: (usize, &str) = (0, "All");

/// What a file of a take says of itself: of a stem, or of all channels. Its first frame is the take's frame `first`.
pub fn description(manifest: &Manifest, stem: Option<&Stem>, first: u64) -> Description {
    let (date, time) = manifest.started.split_once('T').unwrap_or_default();
    Description {
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
        time_reference: manifest.time_reference.saturating_add(first),
    }
}

/// Markers and gaps of a part, from frame `first` of the take on.
pub fn cues(manifest: &Manifest, first: u64, frames: u64) -> Vec<Cue> {
    let markers = manifest.markers.iter().map(|m| (m.position, m.name.clone()));
    let gaps = manifest.gaps.iter().map(|g| (g.position, format!("Gap: {} frames, {}", g.frames, g.reason)));
    let mut cues: Vec<Cue> = markers
        .chain(gaps)
        .filter(|(position, _)| (first..first + frames).contains(position))
        .map(|(position, name)| Cue { frame: position - first, name })
        .collect();
    cues.sort_by_key(|cue| cue.frame);
    cues
}

/// The tracks of a file, and the take it belongs to. (iXML 2.10, <http://www.ixml.info>)
pub fn ixml(manifest: &Manifest, stem: Option<&Stem>) -> String {
    let tracks: Vec<&Stem> = stem.map_or_else(|| manifest.stems.iter().collect(), |stem| vec![stem]);
    let mut list = String::new();
    for (index, track) in (1..).zip(&tracks) {
        list += &format!(
            "<TRACK><CHANNEL_INDEX>{}</CHANNEL_INDEX><INTERLEAVE_INDEX>{index}</INTERLEAVE_INDEX><NAME>{}</NAME><FUNCTION/></TRACK>",
            track.channel,
            escape(&track.name)
        );
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<BWFXML><IXML_VERSION>2.10</IXML_VERSION><PROJECT>{name}</PROJECT>\
         <FILE_UID>{id}{number:03}</FILE_UID><FILE_SET><TOTAL_FILES>{total}</TOTAL_FILES><FAMILY_UID>{id}</FAMILY_UID>\
         <FAMILY_NAME>{name}</FAMILY_NAME><FILE_SET_INDEX>{number}</FILE_SET_INDEX></FILE_SET>\
         <TRACK_LIST><TRACK_COUNT>{count}</TRACK_COUNT>{list}</TRACK_LIST></BWFXML>",
        name = escape(&manifest.name),
        id = manifest.id,
        number = stem.map_or(0, |stem| stem.number),
        total = manifest.stems.len() + usize::from(!manifest.interleaved.is_empty()),
        count = tracks.len(),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
