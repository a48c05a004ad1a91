//! A file of a take that grows.

use std::io::{self, SeekFrom};

use super::{DS64_BYTES, Description, Header};
use crate::record::disk::Medium;

/// Where the body of `JUNK` or `ds64` begins.
const DS64_AT: u64 = 20;
/// A file becomes RF64 when its size comes this close to 4 GiB, so that what follows the sound still fits.
const RF64_MARGIN: u64 = 1 << 20;
/// A size that stands in `ds64`.
const ELSEWHERE: u32 = u32::MAX;

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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::process::Command;

    use super::*;
    use crate::audio::Format;
    use crate::record::wav::{Cue, tail};

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
