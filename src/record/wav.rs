//! One file of a take: a Broadcast Wave file that is playable while it grows and becomes RF64 in place before 4 GiB.
//!
//! `RIFF`, `JUNK` (the room of `ds64`), `fmt `, `bext`, `data`; behind the sound, when it is finished, `iXML`, `cue ` and `LIST`:
//! readers of desk sessions take nothing else before the sound. RF64 is EBU Tech 3306, `bext` EBU Tech 3285.

use std::io::{self, Read, Seek, SeekFrom};

use super::disk::Medium;
use crate::audio::Format;

/// Body of `ds64` without a table: three sizes of 8 bytes and the table's length.
const DS64_BYTES: usize = 28;
/// Where the body of `JUNK` or `ds64` begins.
const DS64_AT: u64 = 20;
/// `bext` without a coding history.
const BEXT_BYTES: usize = 602;
/// A file becomes RF64 when its size comes this close to 4 GiB, so that what follows the sound still fits.
const RF64_MARGIN: u64 = 1 << 20;
/// A size that stands in `ds64`.
const ELSEWHERE: u32 = u32::MAX;
/// `wFormatTag` of Microsoft's mmreg.h.
const PCM: u16 = 1;
const IEEE_FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xFFFE;
/// Bytes 2 to 15 of the sub-format GUIDs that carry a `wFormatTag` in bytes 0 and 1.
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

/// What a file says of itself before its sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Hertz.
    pub sample_rate: u32,
    pub channels: u16,
    pub format: Format,
    /// Up to 256 characters; others than ASCII become `?`.
    pub text: String,
    /// Up to 32 characters.
    pub originator: String,
    /// Up to 32 characters.
    pub reference: String,
    /// `2026-11-20`
    pub date: String,
    /// `20:15:03`
    pub time: String,
    /// Frames from midnight to the first frame.
    pub time_reference: u64,
}

impl Description {
    /// Bytes of a frame.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        usize::from(self.channels) * self.format.bytes()
    }

    /// Bytes before the sound.
    #[must_use]
    pub fn header_bytes(&self) -> u64 {
        self.header().len() as u64
    }

    fn fmt(&self) -> Vec<u8> {
        let tag = if self.format == Format::Float32 { IEEE_FLOAT } else { PCM };
        let frame_bytes = self.frame_bytes();
        let mut body = Vec::new();
        body.extend((if self.channels > 2 { EXTENSIBLE } else { tag }).to_le_bytes());
        body.extend(self.channels.to_le_bytes());
        body.extend(self.sample_rate.to_le_bytes());
        body.extend(self.sample_rate.wrapping_mul(frame_bytes as u32).to_le_bytes());
        body.extend((frame_bytes as u16).to_le_bytes());
        body.extend(self.format.bits().to_le_bytes());
        if self.channels > 2 {
            body.extend(22_u16.to_le_bytes());
            body.extend(self.format.bits().to_le_bytes());
            // No loudspeaker belongs to any channel.
            body.extend(0_u32.to_le_bytes());
            body.extend(tag.to_le_bytes());
            body.extend(GUID_TAIL);
        } else if tag == IEEE_FLOAT {
            body.extend(0_u16.to_le_bytes());
        }
        body
    }

    fn bext(&self) -> Vec<u8> {
        let mut body = vec![0; BEXT_BYTES];
        let mut at = 0;
        let mut put = |text: &str, room: usize| {
            for (byte, c) in body[at..at + room].iter_mut().zip(text.chars()) {
                *byte = if c.is_ascii() && !c.is_ascii_control() { c as u8 } else { b'?' };
            }
            at += room;
        };
        put(&self.text, 256);
        put(&self.originator, 32);
        put(&self.reference, 32);
        put(&self.date, 10);
        put(&self.time, 8);
        body[at..at + 8].copy_from_slice(&self.time_reference.to_le_bytes());
        // Version 1: without loudness.
        body[at + 8] = 1;
        body
    }

    fn header(&self) -> Vec<u8> {
        let mut header = b"RIFF\0\0\0\0WAVE".to_vec();
        chunk(&mut header, b"JUNK", &[0; DS64_BYTES]);
        chunk(&mut header, b"fmt ", &self.fmt());
        chunk(&mut header, b"bext", &self.bext());
        header.extend(b"data\0\0\0\0");
        header
    }
}

/// Appends a chunk, padded to even bytes.
fn chunk(file: &mut Vec<u8>, name: &[u8; 4], body: &[u8]) {
    file.extend(name);
    file.extend((body.len() as u32).to_le_bytes());
    file.extend(body);
    file.resize(file.len() + body.len() % 2, 0);
}

/// A point with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cue {
    /// Frames from the beginning of the file.
    pub frame: u64,
    pub name: String,
}

/// The chunks behind the sound: `iXML`, if it is not empty, and cue points with their names. A cue chunk has 32 bits for a frame;
/// points behind that are left out.
#[must_use]
pub fn tail(ixml: &str, cues: &[Cue]) -> Vec<u8> {
    let mut tail = Vec::new();
    if !ixml.is_empty() {
        chunk(&mut tail, b"iXML", ixml.as_bytes());
    }
    let cues: Vec<(u32, u32, &str)> =
        (1..).zip(cues).filter_map(|(id, cue)| Some((id, u32::try_from(cue.frame).ok()?, &*cue.name))).collect();
    if cues.is_empty() {
        return tail;
    }
    let mut points = (cues.len() as u32).to_le_bytes().to_vec();
    let mut labels = b"adtl".to_vec();
    for (id, frame, name) in cues {
        for field in [id, frame, u32::from_le_bytes(*b"data"), 0, 0, frame] {
            points.extend(field.to_le_bytes());
        }
        let mut label = id.to_le_bytes().to_vec();
        label.extend(name.bytes().filter(|b| *b != 0));
        label.push(0);
        chunk(&mut labels, b"labl", &label);
    }
    chunk(&mut tail, b"cue ", &points);
    chunk(&mut tail, b"LIST", &labels);
    tail
}

/// A file of a take while it is written. [disk thread]
pub struct WavWriter<M> {
    medium: M,
    /// All bytes before the sound, while it is no RF64.
    header: Vec<u8>,
    frame_bytes: u64,
    data_start: u64,
    data_bytes: u64,
    rf64: bool,
}

impl<M: Medium> WavWriter<M> {
    /// Writes the header of an empty file.
    ///
    /// # Errors
    /// The medium's.
    pub fn new(mut medium: M, description: &Description) -> io::Result<Self> {
        let header = description.header();
        medium.write_all(&header)?;
        let data_start = header.len() as u64;
        Ok(Self { medium, header, frame_bytes: description.frame_bytes() as u64, data_start, data_bytes: 0, rf64: false })
    }

    /// Goes on with a file that was left behind, with its first `frames` frames.
    ///
    /// # Errors
    /// The medium's.
    pub fn resume(medium: M, header: &Header, frames: u64) -> io::Result<Self> {
        let frame_bytes = header.description.frame_bytes() as u64;
        let data_bytes = frames * frame_bytes;
        let Header { data_start, rf64, bytes: header, .. } = header.clone();
        let mut writer = Self { medium, header, frame_bytes, data_start, data_bytes, rf64 };
        writer.cut(frames).map(|()| writer)
    }

    /// The medium, at its end.
    pub fn into_medium(self) -> M {
        self.medium
    }

    /// Frames of sound.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.data_bytes / self.frame_bytes
    }

    /// Appends sound, whole frames.
    ///
    /// # Errors
    /// The medium's. Some of the bytes may be in the file then: [`Self::cut`] makes it whole.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.medium.write_all(bytes)?;
        self.data_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Makes the header say what is in the file.
    ///
    /// # Errors
    /// The medium's.
    pub fn refresh(&mut self) -> io::Result<()> {
        // An even number of bytes: what follows is no pad byte yet.
        let frames = self.frames() - self.frames() % (1 + self.frame_bytes % 2);
        let data_bytes = frames * self.frame_bytes;
        self.sizes(self.data_start + data_bytes, data_bytes)?;
        self.medium.seek(SeekFrom::Start(self.data_start + self.data_bytes)).map(|_| ())
    }

    /// Brings everything to the disk.
    ///
    /// # Errors
    /// The medium's.
    pub fn sync(&mut self) -> io::Result<()> {
        self.medium.sync()
    }

    /// Keeps the first `frames` frames only.
    ///
    /// # Errors
    /// The medium's.
    pub fn cut(&mut self, frames: u64) -> io::Result<()> {
        self.data_bytes = self.data_bytes.min(frames * self.frame_bytes);
        self.medium.cut(self.data_start + self.data_bytes)
    }

    /// Completes the header and appends the chunks behind the sound. In this order nobody ever takes these for sound. If it fails,
    /// [`Self::cut`] and [`Self::refresh`] make the file whole without them.
    ///
    /// # Errors
    /// The medium's.
    pub fn finish(&mut self, tail: &[u8]) -> io::Result<()> {
        let (end, pad) = (self.data_start + self.data_bytes, self.data_bytes % 2);
        self.sizes(end + pad + tail.len() as u64, self.data_bytes)?;
        self.medium.seek(SeekFrom::Start(end))?;
        self.medium.write_all(&[0][..pad as usize])?;
        self.medium.write_all(tail)
    }

    /// Writes the sizes of a file of `file_bytes`.
    fn sizes(&mut self, file_bytes: u64, data_bytes: u64) -> io::Result<()> {
        let riff_bytes = file_bytes - 8;
        if !self.rf64 && riff_bytes + RF64_MARGIN <= u64::from(u32::MAX) {
            // In one write: nobody sees half of it.
            let data_size = self.header.len() - 4;
            self.header[data_size..].copy_from_slice(&(data_bytes as u32).to_le_bytes());
            self.header[4..8].copy_from_slice(&(riff_bytes as u32).to_le_bytes());
            self.medium.seek(SeekFrom::Start(0))?;
            return self.medium.write_all(&self.header);
        }
        let mut ds64 = Vec::with_capacity(DS64_BYTES);
        for size in [riff_bytes, data_bytes, data_bytes / self.frame_bytes] {
            ds64.extend(size.to_le_bytes());
        }
        ds64.extend(0_u32.to_le_bytes());
        self.patch(DS64_AT, &ds64)?;
        if !self.rf64 {
            // In this order the file is readable after every step: what counts is there before it counts.
            self.medium.sync()?;
            self.patch(self.data_start - 4, &ELSEWHERE.to_le_bytes())?;
            self.patch(12, b"ds64")?;
            let mut first = *b"RF64\0\0\0\0";
            first[4..].copy_from_slice(&ELSEWHERE.to_le_bytes());
            self.patch(0, &first)?;
            self.rf64 = true;
        }
        Ok(())
    }

    fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.medium.seek(SeekFrom::Start(at))?;
        self.medium.write_all(bytes)
    }
}

/// What the header of a file says, and where its sound is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub description: Description,
    pub data_start: u64,
    /// As the header says.
    pub data_bytes: u64,
    /// The file's length, as the header says.
    pub riff_bytes: u64,
    /// The file's true length.
    pub file_bytes: u64,
    pub rf64: bool,
    /// All bytes before the sound.
    bytes: Vec<u8>,
}

impl Header {
    /// Frames, as the header says.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.data_bytes / self.description.frame_bytes() as u64
    }

    /// Frames that are there: those of the header in a finished file; up to the end of the file in one that was left behind.
    #[must_use]
    pub fn frames_there(&self) -> u64 {
        let there = self.file_bytes.saturating_sub(self.data_start);
        let finished = self.riff_bytes >= self.file_bytes && self.data_bytes <= there;
        if finished { self.frames() } else { there / self.description.frame_bytes() as u64 }
    }

    /// Reads the header of a file that [`WavWriter`] wrote.
    ///
    /// # Errors
    /// What is wrong with the file, or the system's error.
    pub fn read(file: &mut (impl Read + Seek)) -> Result<Self, String> {
        let failed = |e: io::Error| format!("cannot read it: {e}");
        let file_bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut head = Vec::new();
        file.take(4096).read_to_end(&mut head).map_err(failed)?;
        let form = head.get(..4).unwrap_or(&[]);
        let rf64 = form == b"RF64";
        if !(rf64 || form == b"RIFF") || head.get(8..12) != Some(b"WAVE") {
            return Err("it is no WAV file".into());
        }
        let (mut fmt, mut bext, mut ds64) = (None, None, None);
        let mut at = 12;
        while let Some(start) = head.get(at..at + 8) {
            let size = u32_at(start, 4);
            let body = head.get(at + 8..at + 8 + size as usize).unwrap_or(&[]);
            match &start[..4] {
                b"fmt " if body.len() >= 16 => fmt = Some(body),
                b"bext" if body.len() >= BEXT_BYTES => bext = Some(body),
                b"ds64" if body.len() >= DS64_BYTES => ds64 = Some((u64_at(body, 0), u64_at(body, 8))),
                b"data" => {
                    let description = described(fmt.ok_or("it has no fmt chunk before its sound")?, bext)?;
                    let data_start = at as u64 + 8;
                    let (riff_bytes, data_bytes) = match ds64 {
                        Some(sizes) if rf64 => sizes,
                        None if rf64 => return Err("it is RF64 without a ds64 chunk".into()),
                        _ => (u64::from(u32_at(&head, 4)), u64::from(size)),
                    };
                    let riff_bytes = riff_bytes.saturating_add(8);
                    let bytes = head[..at + 8].to_vec();
                    return Ok(Self { description, data_start, data_bytes, riff_bytes, file_bytes, rf64, bytes });
                }
                _ => {}
            }
            at += 8 + size as usize + size as usize % 2;
        }
        Err("it has no data chunk in its first 4096 bytes".into())
    }
}

fn described(fmt: &[u8], bext: Option<&[u8]>) -> Result<Description, String> {
    let bits = u16_at(fmt, 14);
    let tag = match u16_at(fmt, 0) {
        EXTENSIBLE if fmt.len() >= 40 => u16_at(fmt, 24),
        tag => tag,
    };
    let format = match (tag, bits) {
        (PCM, 16) => Format::Int16,
        (PCM, 24) => Format::Int24,
        (PCM, 32) => Format::Int32,
        (IEEE_FLOAT, 32) => Format::Float32,
        _ => return Err(format!("it has format tag {tag} with {bits} bits; expected 16, 24 or 32-bit integer or 32-bit float")),
    };
    let (channels, sample_rate) = (u16_at(fmt, 2), u32_at(fmt, 4));
    if channels == 0 || sample_rate == 0 {
        return Err(format!("it has {channels} channels at {sample_rate} Hz; expected 1 or more"));
    }
    let text = |range: std::ops::Range<usize>| {
        let bytes = bext.map_or(&[][..], |b| &b[range]);
        String::from_utf8_lossy(bytes.split(|b| *b == 0).next().unwrap_or(&[])).into_owned()
    };
    Ok(Description {
        sample_rate,
        channels,
        format,
        text: text(0..256),
        originator: text(256..288),
        reference: text(288..320),
        date: text(320..330),
        time: text(330..338),
        time_reference: bext.map_or(0, |b| u64_at(b, 338)),
    })
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;
    use std::process::Command;

    const FRAME_BYTES: u64 = 3;
    /// Some frames before a file becomes RF64.
    const BEFORE: u64 = (u32::MAX as u64 - RF64_MARGIN) / FRAME_BYTES - 100_000;
    /// More than the margin, so that the file passes 4 GiB.
    const BATCH: usize = 700_000;

    fn description() -> Description {
        Description {
            sample_rate: 48_000,
            channels: 1,
            format: Format::Int24,
            text: "Lang: Bass, channel 1".into(),
            originator: "isotherm".into(),
            reference: "0123".into(),
            date: "2026-11-20".into(),
            time: "20:15:03".into(),
            time_reference: 5_000_000_000,
        }
    }

    /// A file of which only the first bytes are kept, and which fails after so many writes.
    #[derive(Clone)]
    struct Sparse {
        head: Vec<u8>,
        position: u64,
        length: u64,
        writes: usize,
    }

    impl Write for Sparse {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes = self.writes.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            for (at, byte) in (self.position..4096).zip(bytes) {
                self.head[at as usize] = *byte;
            }
            self.position += bytes.len() as u64;
            self.length = self.length.max(self.position);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for Sparse {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let n = bytes.len().min((self.length.min(4096) - self.position.min(4096)) as usize);
            bytes[..n].copy_from_slice(&self.head[self.position as usize..][..n]);
            self.position += n as u64;
            Ok(n)
        }
    }

    impl Seek for Sparse {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.position = match to {
                SeekFrom::Start(at) => at,
                SeekFrom::End(by) => self.length.saturating_add_signed(by),
                SeekFrom::Current(by) => self.position.saturating_add_signed(by),
            };
            Ok(self.position)
        }
    }

    impl Medium for Sparse {
        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn cut(&mut self, length: u64) -> io::Result<()> {
            (self.length, self.position) = (length, length);
            Ok(())
        }
    }

    /// A writer that has written [`BEFORE`] frames.
    fn long<M: Medium>(medium: M) -> WavWriter<M> {
        let mut writer = WavWriter::new(medium, &description()).unwrap();
        writer.data_bytes = BEFORE * FRAME_BYTES;
        writer.cut(BEFORE).unwrap();
        writer.refresh().unwrap();
        writer
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        for (channels, format) in
            [(1, Format::Int16), (1, Format::Int24), (2, Format::Float32), (32, Format::Int32), (3, Format::Float32)]
        {
            let description = Description { channels, format, ..description() };
            let mut file = io::Cursor::new(description.header());
            let header = Header::read(&mut file).unwrap();
            assert_eq!(header.description, description);
            assert_eq!((header.data_start, header.frames_there(), header.rf64), (description.header_bytes(), 0, false));
        }
    }

    #[test]
    fn a_file_that_is_cut_off_at_any_write_on_its_way_past_4_gib_keeps_its_sound() {
        let whole = Sparse { head: vec![0; 4096], position: 0, length: 0, writes: usize::MAX };
        let start = long(whole).into_medium();
        let read = |mut file: Sparse| Header::read(&mut file).unwrap();
        let mut rf64 = Vec::new();
        for writes in 0..100 {
            let mut left = WavWriter::resume(Sparse { writes, ..start.clone() }, &read(start.clone()), BEFORE).unwrap();
            let batch = vec![1; BATCH * FRAME_BYTES as usize];
            let done = left.append(&batch).and_then(|()| left.refresh()).and_then(|()| left.finish(&tail("<BWFXML/>", &[])));
            let header = read(left.medium.clone());
            let there = BEFORE + if writes > 0 { BATCH as u64 } else { 0 };
            assert_eq!(header.frames_there(), there, "after {writes} writes");
            assert!(header.file_bytes > u64::from(u32::MAX) || writes == 0);
            rf64.push(header.rf64);
            if done.is_ok() {
                assert_eq!((header.riff_bytes, header.frames()), (header.file_bytes, there));
                assert!(rf64.is_sorted() && rf64.contains(&false) && header.rf64);
                return;
            }
        }
        panic!("it never finished");
    }

    #[test]
    fn a_file_past_4_gib_is_read_by_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.wav");
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        // The first 4 GiB are a hole.
        let mut writer = long(file);
        let batch: Vec<u8> = (0..BATCH as u32).flat_map(|i| (i % 1000 + 1).to_le_bytes()[..3].to_vec()).collect();
        writer.append(&batch).unwrap();
        writer.refresh().unwrap();
        let cue = Cue { frame: BEFORE + 5, name: "Late".into() };
        writer.finish(&tail("<BWFXML/>", &[cue, Cue { frame: 1 << 33, name: "Beyond".into() }])).unwrap();
        let frames = BEFORE + BATCH as u64;
        let mut reader = crate::audio::wav::Reader::open(&path).unwrap();
        assert_eq!(reader.frames(), frames);
        reader.seek(BEFORE - 1).unwrap();
        let sound = reader.read_to_end::<f64>().unwrap();
        let expected = (0..=BATCH).map(|i| if i == 0 { 0.0 } else { ((i - 1) % 1000 + 1) as f64 / 8_388_608.0 });
        assert!(sound.channel(0).iter().copied().eq(expected));
        let options = ["-v", "error", "-show_entries", "stream=duration_ts,codec_name", "-of", "csv=p=0"];
        match Command::new("ffprobe").args(options).arg(&path).output() {
            Ok(told) => assert_eq!(String::from_utf8_lossy(&told.stdout).trim(), format!("pcm_s24le,{frames}"), "{told:?}"),
            Err(_) => println!("skipped: ffprobe is not installed"),
        }
        if std::env::var_os("ISOTHERM_LONG").is_none() {
            println!("skipped: sndfile-info reads 4 GiB; ISOTHERM_LONG=1 lets it");
            return;
        }
        match Command::new("sndfile-info").arg(&path).output() {
            Ok(told) => assert!(String::from_utf8_lossy(&told.stdout).contains(&format!("Frames      : {frames}\n")), "{told:?}"),
            Err(_) => println!("skipped: sndfile-info is not installed"),
        }
    }
}
