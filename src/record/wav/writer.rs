//! Writing a WAV file of a take, which is playable while it grows.

use std::io::{self, SeekFrom};

use super::{DS64_BYTES, WavHeader, WavMetadata};
use crate::record::file_system::WritableFile;

/// Offset of the body of `JUNK`, which becomes `ds64`.
const DS64_OFFSET: u64 = 20;
/// A file becomes RF64 when its size is less than this many bytes below 4 GiB, so that the chunks after the sound still fit.
const RF64_MARGIN: u64 = 1 << 20;
/// Value of a 32-bit size whose actual value is in `ds64`.
const SIZE_IN_DS64: u32 = u32::MAX;

/// A WAV file of a take that is being written. [disk thread]
pub struct WavWriter<F> {
    file: F,
    /// All bytes before the sound; out of date once the file is RF64.
    header: Vec<u8>,
    frame_bytes: u64,
    data_start: u64,
    data_bytes: u64,
    rf64: bool,
}

impl<F: WritableFile> WavWriter<F> {
    /// Writes the header to an empty file.
    ///
    /// # Errors
    /// The system's error.
    pub fn new(mut file: F, metadata: &WavMetadata) -> io::Result<Self> {
        let header = metadata.header();
        file.write_all(&header)?;
        let data_start = header.len() as u64;
        Ok(Self { file, header, frame_bytes: metadata.frame_bytes() as u64, data_start, data_bytes: 0, rf64: false })
    }

    /// Continues a file that a crash left behind, after its first `frames` frames; later ones are cut off.
    ///
    /// # Errors
    /// The system's error.
    pub fn resume(file: F, header: &WavHeader, frames: u64) -> io::Result<Self> {
        let frame_bytes = header.metadata.frame_bytes() as u64;
        let data_bytes = frames * frame_bytes;
        let WavHeader { data_start, rf64, bytes: header, .. } = header.clone();
        let mut writer = Self { file, header, frame_bytes, data_start, data_bytes, rf64 };
        writer.truncate(frames).map(|()| writer)
    }

    /// Returns the file, positioned at its end.
    pub fn into_file(self) -> F {
        self.file
    }

    /// Length of the sound in frames.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.data_bytes / self.frame_bytes
    }

    /// Appends the bytes of whole frames.
    ///
    /// # Errors
    /// The system's error. Some of the bytes may be in the file then; [`Self::truncate`] removes them.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.data_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Updates the sizes in the header, so that other programs can play the file at its present length.
    ///
    /// # Errors
    /// The system's error.
    pub fn refresh(&mut self) -> io::Result<()> {
        // The header claims an even number of bytes, because a growing file has no pad byte yet.
        let frames = self.frames() - self.frames() % (1 + self.frame_bytes % 2);
        let data_bytes = frames * self.frame_bytes;
        self.write_sizes(self.data_start + data_bytes, data_bytes)?;
        self.file.seek(SeekFrom::Start(self.data_start + self.data_bytes)).map(|_| ())
    }

    /// Waits until everything is on the disk itself, not only in the system's cache.
    ///
    /// # Errors
    /// The system's error.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }

    /// Cuts the file to its first `frames` frames.
    ///
    /// # Errors
    /// The system's error.
    pub fn truncate(&mut self, frames: u64) -> io::Result<()> {
        self.data_bytes = self.data_bytes.min(frames * self.frame_bytes);
        self.file.truncate(self.data_start + self.data_bytes)
    }

    /// Completes the header, then appends the chunks after the sound: in this order no reader takes them for sound. If that
    /// fails, [`Self::truncate`] and [`Self::refresh`] restore the file without them.
    ///
    /// # Errors
    /// The system's error.
    pub fn finish(&mut self, trailing_chunks: &[u8]) -> io::Result<()> {
        let (end, pad) = (self.data_start + self.data_bytes, self.data_bytes % 2);
        self.write_sizes(end + pad + trailing_chunks.len() as u64, self.data_bytes)?;
        self.file.seek(SeekFrom::Start(end))?;
        self.file.write_all(if pad > 0 { &[0] } else { &[] })?;
        self.file.write_all(trailing_chunks)
    }

    /// Writes the sizes of a file of `file_bytes` into its header; makes it RF64 when it is time.
    fn write_sizes(&mut self, file_bytes: u64, data_bytes: u64) -> io::Result<()> {
        let riff_bytes = file_bytes - 8;
        if !self.rf64
            && riff_bytes + RF64_MARGIN <= u64::from(u32::MAX)
            && let (Ok(riff_size), Ok(data_size)) = (u32::try_from(riff_bytes), u32::try_from(data_bytes))
        {
            // One write of the whole header, so that no reader sees only one of the new sizes.
            let data_size_at = self.header.len() - 4;
            self.header[data_size_at..].copy_from_slice(&data_size.to_le_bytes());
            self.header[4..8].copy_from_slice(&riff_size.to_le_bytes());
            self.file.seek(SeekFrom::Start(0))?;
            return self.file.write_all(&self.header);
        }
        let mut ds64 = Vec::with_capacity(DS64_BYTES);
        for size in [riff_bytes, data_bytes, data_bytes / self.frame_bytes] {
            ds64.extend(size.to_le_bytes());
        }
        ds64.extend(0_u32.to_le_bytes());
        self.patch(DS64_OFFSET, &ds64)?;
        if !self.rf64 {
            // In this order the file is readable after every step: the 64-bit sizes are on the disk before the file says that
            // they apply.
            self.file.sync()?;
            self.patch(self.data_start - 4, &SIZE_IN_DS64.to_le_bytes())?;
            self.patch(12, b"ds64")?;
            let mut first = *b"RF64\0\0\0\0";
            first[4..].copy_from_slice(&SIZE_IN_DS64.to_le_bytes());
            self.patch(0, &first)?;
            self.rf64 = true;
        }
        Ok(())
    }

    /// Overwrites bytes of the header.
    fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(bytes)
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "the numbers of these tests are small")]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::process::Command;

    use super::*;
    use crate::audio::WavFormat;
    use crate::record::wav::{CuePoint, trailing_chunks};

    const FRAME_BYTES: u64 = 3;
    /// Length of a file that becomes RF64 100 000 frames later.
    const FRAMES_BEFORE_RF64: u64 = (u32::MAX as u64 - RF64_MARGIN) / FRAME_BYTES - 100_000;
    /// Frames that are appended to it: more bytes than [`RF64_MARGIN`], so that the file passes 4 GiB.
    const BATCH_FRAMES: usize = 700_000;

    fn metadata() -> WavMetadata {
        WavMetadata {
            sample_rate: 48_000,
            channels: 1,
            format: WavFormat::Int24,
            text: "Long: Bass, channel 1".into(),
            originator: "isotherm".into(),
            reference: "0123".into(),
            date: "2026-11-20".into(),
            time: "20:15:03".into(),
            time_reference: 5_000_000_000,
        }
    }

    /// A file in memory that keeps only its first 4096 bytes.
    #[derive(Clone)]
    struct SparseFile {
        head: Vec<u8>,
        position: u64,
        length: u64,
        /// Number of writes that still succeed.
        writes_left: usize,
    }

    impl Write for SparseFile {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes_left = self.writes_left.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
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

    impl Read for SparseFile {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            let n = bytes.len().min((self.length.min(4096) - self.position.min(4096)) as usize);
            bytes[..n].copy_from_slice(&self.head[self.position as usize..][..n]);
            self.position += n as u64;
            Ok(n)
        }
    }

    impl Seek for SparseFile {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.position = match to {
                SeekFrom::Start(at) => at,
                SeekFrom::End(by) => self.length.saturating_add_signed(by),
                SeekFrom::Current(by) => self.position.saturating_add_signed(by),
            };
            Ok(self.position)
        }
    }

    impl WritableFile for SparseFile {
        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn truncate(&mut self, length: u64) -> io::Result<()> {
            (self.length, self.position) = (length, length);
            Ok(())
        }
    }

    /// A writer of a file with [`FRAMES_BEFORE_RF64`] frames.
    fn long_writer<F: WritableFile>(file: F) -> WavWriter<F> {
        let mut writer = WavWriter::new(file, &metadata()).unwrap();
        writer.data_bytes = FRAMES_BEFORE_RF64 * FRAME_BYTES;
        writer.truncate(FRAMES_BEFORE_RF64).unwrap();
        writer.refresh().unwrap();
        writer
    }

    #[test]
    fn a_header_is_read_back_as_it_was_written() {
        for (channels, format) in [
            (1, WavFormat::Int16),
            (1, WavFormat::Int24),
            (2, WavFormat::Float32),
            (32, WavFormat::Int32),
            (3, WavFormat::Float32),
        ] {
            let metadata = WavMetadata { channels, format, ..metadata() };
            let mut file = io::Cursor::new(metadata.header());
            let header = WavHeader::read(&mut file).unwrap();
            assert_eq!(header.metadata, metadata);
            assert_eq!((header.data_start, header.frames_present(), header.rf64), (metadata.header_bytes(), 0, false));
        }
    }

    #[test]
    fn a_file_that_is_cut_off_at_any_write_on_its_way_past_4_gib_keeps_its_sound() {
        let empty = SparseFile { head: vec![0; 4096], position: 0, length: 0, writes_left: usize::MAX };
        let start = long_writer(empty).into_file();
        let read = |mut file: SparseFile| WavHeader::read(&mut file).unwrap();
        let mut rf64 = Vec::new();
        for writes in 0..100 {
            let mut writer =
                WavWriter::resume(SparseFile { writes_left: writes, ..start.clone() }, &read(start.clone()), FRAMES_BEFORE_RF64)
                    .unwrap();
            let batch = vec![1; BATCH_FRAMES * FRAME_BYTES as usize];
            let done = writer
                .append(&batch)
                .and_then(|()| writer.refresh())
                .and_then(|()| writer.finish(&trailing_chunks("<BWFXML/>", &[])));
            let header = read(writer.file.clone());
            let frames = FRAMES_BEFORE_RF64 + if writes > 0 { BATCH_FRAMES as u64 } else { 0 };
            assert_eq!(header.frames_present(), frames, "after {writes} writes");
            assert!(header.file_bytes > u64::from(u32::MAX) || writes == 0);
            rf64.push(header.rf64);
            if done.is_ok() {
                assert_eq!((header.riff_bytes, header.frames()), (header.file_bytes, frames));
                assert!(rf64.is_sorted() && rf64.contains(&false) && header.rf64);
                return;
            }
        }
        panic!("it never finished");
    }

    #[test]
    fn other_programs_read_a_file_past_4_gib() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.wav");
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        // The first 4 GiB are a hole.
        let mut writer = long_writer(file);
        let batch: Vec<u8> = (0..BATCH_FRAMES as u32).flat_map(|i| (i % 1000 + 1).to_le_bytes()[..3].to_vec()).collect();
        writer.append(&batch).unwrap();
        writer.refresh().unwrap();
        let cue = CuePoint { frame: FRAMES_BEFORE_RF64 + 5, name: "Late".into() };
        writer.finish(&trailing_chunks("<BWFXML/>", &[cue, CuePoint { frame: 1 << 33, name: "Beyond".into() }])).unwrap();
        let frames = FRAMES_BEFORE_RF64 + BATCH_FRAMES as u64;
        let mut reader = crate::audio::wav::Reader::open(&path).unwrap();
        assert_eq!(reader.frames(), frames);
        reader.seek(FRAMES_BEFORE_RF64 - 1).unwrap();
        let sound = reader.read_to_end::<f64>().unwrap();
        let expected = (0..=BATCH_FRAMES).map(|i| if i == 0 { 0.0 } else { ((i - 1) % 1000 + 1) as f64 / 8_388_608.0 });
        assert!(sound.channel(0).iter().copied().eq(expected));
        let options = ["-v", "error", "-show_entries", "stream=duration_ts,codec_name", "-of", "csv=p=0"];
        match Command::new("ffprobe").args(options).arg(&path).output() {
            Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), format!("pcm_s24le,{frames}"), "{output:?}"),
            Err(_) => println!("skipped: ffprobe is not installed"),
        }
        if std::env::var_os("ISOTHERM_LONG").is_none() {
            println!("skipped: sndfile-info reads 4 GiB; ISOTHERM_LONG=1 lets it");
            return;
        }
        match Command::new("sndfile-info").arg(&path).output() {
            Ok(output) => {
                assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("Frames      : {frames}\n")), "{output:?}")
            }
            Err(_) => println!("skipped: sndfile-info is not installed"),
        }
    }
}
