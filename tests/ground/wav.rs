//! Tests of WAV files: the same codes as `hound` in both directions, an error of its own for every malformed header, and no
//! half-written file.

use isotherm::audio::wav::{self, Reader, Writer};
use isotherm::audio::{Audio, I24, NonFinitePolicy, Sample, WavError, WavFormat};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const RATE: u32 = 48_000;

/// A temporary folder, and the path of a file in it that does not exist yet.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sound.wav");
    (folder, path)
}

fn spec(channels: u16, format: WavFormat) -> hound::WavSpec {
    let sample_format = if format == WavFormat::Float32 { hound::SampleFormat::Float } else { hound::SampleFormat::Int };
    hound::WavSpec { channels, sample_rate: RATE, bits_per_sample: format.bits(), sample_format }
}

/// The message of an error without the path with which it begins.
fn message<T: std::fmt::Debug>(result: Result<T, WavError>, path: &Path) -> String {
    let message = result.unwrap_err().to_string();
    assert!(!message.contains('\n'), "one line: {message}");
    message.strip_prefix(&format!("{}: ", path.display())).unwrap_or_else(|| panic!("begins with the path: {message}")).into()
}

// ---- files built by hand

/// A RIFF file of chunks (name, size in the header, contents), padded to even bytes.
fn riff(chunks: &[(&[u8; 4], u32, &[u8])]) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
    for (name, size, body) in chunks {
        file.extend_from_slice(*name);
        file.extend(size.to_le_bytes());
        file.extend_from_slice(body);
        file.extend(vec![0; body.len() % 2]);
    }
    let size = file.len() as u32 - 8;
    file[4..8].copy_from_slice(&size.to_le_bytes());
    file
}

/// The contents of a plain `fmt ` chunk.
fn fmt(tag: u16, channels: u16, rate: u32, frame_bytes: u16, bits: u16) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(tag.to_le_bytes());
    body.extend(channels.to_le_bytes());
    body.extend(rate.to_le_bytes());
    body.extend((rate.wrapping_mul(frame_bytes.into())).to_le_bytes());
    body.extend(frame_bytes.to_le_bytes());
    body.extend(bits.to_le_bytes());
    body
}

/// The contents of an extensible `fmt ` chunk.
fn extensible(tag: u16, channels: u16, frame_bytes: u16, bits: u16, valid_bits: u16) -> Vec<u8> {
    let mut body = fmt(0xFFFE, channels, RATE, frame_bytes, bits);
    body.extend(22_u16.to_le_bytes());
    body.extend(valid_bits.to_le_bytes());
    body.extend(0_u32.to_le_bytes());
    body.extend(tag.to_le_bytes());
    body.extend([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]);
    body
}

/// A RIFF file with a `fmt ` and a `data` chunk; `size` is the data size in the header, by default the true one.
fn sound(fmt: &[u8], data: &[u8], size: Option<u32>) -> Vec<u8> {
    riff(&[(b"fmt ", fmt.len() as u32, fmt), (b"data", size.unwrap_or(data.len() as u32), data)])
}

/// Writes `bytes` to a file and reads it as samples of type `S`; an error as its message without the path.
fn read_bytes<S: Sample>(bytes: &[u8]) -> Result<Audio<S>, String> {
    let (_folder, path) = folder();
    fs::write(&path, bytes).unwrap();
    match wav::read_exact::<S>(&path) {
        Ok(audio) => Ok(audio),
        failed => Err(message(failed, &path)),
    }
}

fn codes24(audio: &Audio<I24>) -> Vec<i32> {
    audio.to_interleaved().iter().map(|code| code.inner()).collect()
}

#[test]
fn plain_and_extensible_headers_of_every_format_are_read() {
    let data = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    // The 18-byte form, WAVEFORMATEX, with an extension of 0 bytes.
    let wide = |mut fmt: Vec<u8>| {
        fmt.extend([0, 0]);
        fmt
    };
    for fmt in [fmt(1, 2, RATE, 6, 24), wide(fmt(1, 2, RATE, 6, 24)), extensible(1, 2, 6, 24, 24), extensible(1, 2, 6, 24, 20)] {
        let audio = read_bytes::<I24>(&sound(&fmt, &data, None)).unwrap();
        assert_eq!(codes24(&audio), [0x03_02_01, 0x06_05_04, 0x09_08_07, 0x0C_0B_0A]);
        assert_eq!((audio.sample_rate(), audio.channels(), audio.frames()), (RATE, 2, 2));
    }
    for fmt in
        [fmt(1, 3, RATE, 12, 32), wide(fmt(1, 3, RATE, 12, 32)), extensible(1, 3, 12, 32, 32), extensible(1, 3, 12, 32, 24)]
    {
        let audio = read_bytes::<i32>(&sound(&fmt, &data, None)).unwrap();
        assert_eq!(audio.to_interleaved(), [0x04_03_02_01, 0x08_07_06_05, 0x0C_0B_0A_09]);
    }
    for fmt in [fmt(1, 1, RATE, 2, 16), wide(fmt(1, 1, RATE, 2, 16)), extensible(1, 1, 2, 16, 16), extensible(1, 1, 2, 16, 0)] {
        let audio = read_bytes::<i16>(&sound(&fmt, &data[..4], None)).unwrap();
        assert_eq!(audio.to_interleaved(), [0x02_01, 0x04_03]);
    }
    let floats: Vec<u8> = [0.5_f32, -2.0].iter().flat_map(|f| f.to_le_bytes()).collect();
    for fmt in [fmt(3, 1, RATE, 4, 32), wide(fmt(3, 1, RATE, 4, 32)), extensible(3, 1, 4, 32, 32)] {
        assert_eq!(read_bytes::<f32>(&sound(&fmt, &floats, None)).unwrap().to_interleaved(), [0.5, -2.0]);
    }
    // 24-bit samples keep their sign.
    let audio = read_bytes::<I24>(&sound(&fmt(1, 1, RATE, 3, 24), &[0xFF, 0xFF, 0xFF, 0, 0, 0x80], None)).unwrap();
    assert_eq!(codes24(&audio), [-1, -8_388_608]);
}

#[test]
fn chunks_before_and_after_the_samples_are_skipped_padded_or_not() {
    let (format, data) = (fmt(1, 1, RATE, 2, 16), [1, 0, 2, 0]);
    let mut file = riff(&[
        (b"JUNK", 28, &[0; 28]),
        (b"fmt ", 16, &format),
        (b"LIST", 3, b"abc"),
        (b"data", 4, &data),
        (b"iXML", 5, b"after"),
    ]);
    assert_eq!(read_bytes::<i16>(&file).unwrap().to_interleaved(), [1, 2]);
    // Some writers leave out the pad byte.
    let pad = file.windows(4).position(|w| w == b"abc\0").unwrap() + 3;
    file.remove(pad);
    assert_eq!(read_bytes::<i16>(&file).unwrap().to_interleaved(), [1, 2]);
}

#[test]
fn rf64_takes_its_size_from_ds64() {
    let (format, data) = (fmt(1, 1, RATE, 2, 16), [1, 0, 2, 0]);
    let mut ds64 = [0; 28];
    ds64[8] = 4;
    let mut file = riff(&[(b"ds64", 28, &ds64), (b"fmt ", 16, &format), (b"data", u32::MAX, &data), (b"iXML", 2, b"ab")]);
    file[..4].copy_from_slice(b"RF64");
    assert_eq!(read_bytes::<i16>(&file).unwrap().to_interleaved(), [1, 2]);
    file[..4].copy_from_slice(b"BW64");
    assert_eq!(read_bytes::<i16>(&file).unwrap().to_interleaved(), [1, 2]);
}

#[test]
fn samples_whose_size_was_never_filled_in_reach_to_the_end_of_the_file() {
    let format = fmt(1, 2, RATE, 4, 16);
    // One frame and a half: the half is dropped.
    let data = [1, 0, 2, 0, 3, 0];
    for size in [0, u32::MAX] {
        let bytes = sound(&format, &data, Some(size));
        assert_eq!(read_bytes::<i16>(&bytes).unwrap().to_interleaved(), [1, 2]);
        let (_folder, path) = folder();
        fs::write(&path, &bytes).unwrap();
        let reader = Reader::open(&path).unwrap();
        assert!(reader.unfinished());
        assert_eq!(reader.frames(), 1);
    }
    // No samples at all, with or without chunks after them.
    let empty = "expected at least 1 frame of sound, found 0";
    for after in [vec![], vec![(b"LIST", 3, b"abc" as &[u8]), (b"iXML", 2, b"ab")]] {
        let mut chunks: Vec<(&[u8; 4], u32, &[u8])> = vec![(b"fmt ", 16, &format), (b"data", 0, b"")];
        chunks.extend(after);
        assert_eq!(read_bytes::<i16>(&riff(&chunks)).unwrap_err(), empty);
    }
    assert_eq!(read_bytes::<i16>(&sound(&format, b"", Some(u32::MAX))).unwrap_err(), empty);
    let (_folder, path) = folder();
    fs::write(&path, sound(&format, &[0; 8], None)).unwrap();
    assert!(!Reader::open(&path).unwrap().unfinished());
}

/// Reads the bytes of a file as `f64`; returns the interleaved samples in units of 16-bit codes, and the notes.
fn read_noted(bytes: &[u8]) -> (Vec<f64>, Vec<String>) {
    let (_folder, path) = folder();
    fs::write(&path, bytes).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let samples = reader.read_to_end::<f64>().unwrap().to_interleaved();
    // A stream that cannot seek gives the same samples.
    let mut stream = Reader::stream(std::io::Cursor::new(bytes.to_vec()), "stream").unwrap();
    let streamed = stream.read_to_end::<f64>().unwrap().to_interleaved();
    assert_eq!(streamed[..samples.len()], samples);
    (samples.iter().map(|sample| sample * 32_768.0).collect(), reader.notes().to_vec())
}

/// Like [`read_noted`], of a file with exactly one note, which begins with `note`.
fn read_odd(bytes: &[u8], note: &str) -> Vec<f64> {
    let (samples, notes) = read_noted(bytes);
    assert!(notes.len() == 1 && notes[0].starts_with(note), "expected {note}, found {notes:?}");
    samples
}

#[test]
fn placeholders_of_crashed_recorders_and_streams_mean_up_to_the_end() {
    let format = fmt(1, 1, RATE, 2, 16);
    for size in [0, 0x7FFF_FFFF, 0x7FFF_EFFC, 0x7FFF_F000, 0xFFFF_FFDB, u32::MAX] {
        let note = format!("the size of the sound was never filled in (found {size:X}): read up to the end, 2 frames");
        assert_eq!(read_odd(&sound(&format, &[1, 0, 2, 0], Some(size)), &note), [1.0, 2.0]);
        // Chunks at the end are no sound.
        let mut file =
            riff(&[(b"fmt ", 16, &format), (b"data", size, &[1, 0, 2, 0]), (b"LIST", 4, b"INFO"), (b"id3 ", 3, b"ID3")]);
        assert_eq!(read_odd(&file, &note), [1.0, 2.0]);
        file[..4].copy_from_slice(b"RF64");
        let (samples, notes) = read_noted(&file);
        assert_eq!((samples, notes.len()), (vec![1.0, 2.0], 2), "no ds64 chunk: {notes:?}");
    }
}

#[test]
fn a_size_that_lies_is_corrected_and_said() {
    let format = fmt(1, 2, RATE, 4, 16);
    let data = [1, 0, 2, 0, 3, 0, 4, 0];
    let missing = "cut short: the header says 16 bytes of sound, found 8: 2 of 4 frames are missing";
    assert_eq!(read_odd(&sound(&format, &data, Some(16)), missing), [1.0, 2.0, 3.0, 4.0]);
    let missing = "cut short: the header says 8 bytes of sound, found 6: 1 of 2 frames are missing";
    assert_eq!(read_odd(&sound(&format, &data[..6], Some(8)), missing), [1.0, 2.0]);
    let inside = "the sound ends inside a frame: the last 2 bytes are left out";
    assert_eq!(read_odd(&sound(&format, &data[..6], None), inside), [1.0, 2.0]);
    // A ds64 chunk with other sizes than the file's: 0, -1, 4 GiB too many; and the size in the data chunk alone.
    let filled = "the size of the sound was never filled in";
    for (low, high, size, note) in [
        (0, 0, u32::MAX, filled),
        (u32::MAX, u32::MAX, u32::MAX, filled),
        (8, 1, u32::MAX, "cut short: the header says 4294967304"),
        (8, 0, 0, ""),
        (3, 7, 8, ""),
    ] {
        let ds64: Vec<u8> = [0, 0, low, high, 2, 0, 0].iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        let mut file = riff(&[(b"ds64", 28, &ds64), (b"fmt ", 16, &format), (b"data", size, &data)]);
        file[..4].copy_from_slice(b"RF64");
        let (samples, notes) = read_noted(&file);
        assert_eq!(samples, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(notes.len(), usize::from(!note.is_empty()), "{notes:?}");
        assert!(notes.iter().all(|found| found.starts_with(note)), "{notes:?}");
    }
    let ds64: Vec<u8> = [0, 0, 8, 0, 2, 0, 0].iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    let file = riff(&[(b"ds64", 28, &ds64), (b"fmt ", 16, &format), (b"data", u32::MAX, &data)]);
    assert_eq!(read_odd(&file, "a ds64 chunk in a RIFF file"), [1.0, 2.0, 3.0, 4.0]);
    let file = riff(&[(b"fmt ", 16, &format), (b"data", 8, &data), (b"data", 8, &data)]);
    assert_eq!(read_odd(&file, "a second data chunk follows"), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn sound_beyond_a_size_that_is_too_small_is_read_and_said() {
    let format = fmt(1, 1, RATE, 2, 16);
    let codes: Vec<i16> = (1..=100).collect();
    let data: Vec<u8> = codes.iter().flat_map(|code| code.to_le_bytes()).collect();
    let all: Vec<f64> = codes.iter().map(|code| f64::from(*code)).collect();
    let note = "the header says 4 bytes of sound; 196 bytes more follow, and are read";
    assert_eq!(read_odd(&sound(&format, &data, Some(4)), note), all);
    // The sizes of RF64, and chunks at the end.
    let ds64: Vec<u8> = [0, 0, 4, 0, 2, 0, 0].iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    let mut file = riff(&[
        (b"ds64", 28, &ds64),
        (b"fmt ", 16, &format),
        (b"data", u32::MAX, &data),
        (b"LIST", 3, b"abc"),
        (b"id3 ", 1, b"x"),
    ]);
    file[..4].copy_from_slice(b"RF64");
    assert_eq!(read_odd(&file, note), all);
    // A stream says it at its end, also if the size is inside a frame, or silence is between.
    for (size, silence) in [(4, 0), (5, 0), (4, 300_000)] {
        let mut body = data[..4].to_vec();
        body.extend(vec![0; silence]);
        body.extend_from_slice(&data[4..]);
        let file = sound(&format, &body, Some(size));
        let (samples, notes) = read_noted(&file);
        let mut stream = Reader::stream(std::io::Cursor::new(file), "stream").unwrap();
        assert_eq!((stream.frames(), stream.notes().len()), (2, 0));
        let streamed: Vec<f64> =
            stream.read_to_end::<i16>().unwrap().to_interleaved().iter().map(|code| f64::from(*code)).collect();
        assert_eq!((samples.len(), &streamed), (100 + silence / 2, &samples));
        assert_eq!(stream.notes(), notes);
        let more = body.len() - size as usize;
        assert_eq!(notes, [format!("the header says {size} bytes of sound; {more} bytes more follow, and are read")]);
    }
}

#[test]
fn bytes_after_a_file_that_are_no_sound_are_not_read() {
    let plain = sound(&fmt(1, 1, RATE, 2, 16), &[1, 0, 2, 0], None);
    let chunk = b"iXML\x02\0\0\0ab";
    let tag = [&b"TAG"[..], &[b'x'; 125]].concat();
    for after in [
        vec![0; 4096],
        tag.clone(),
        b"LIST\xff\xff\xff\x7fINFO".to_vec(),
        vec![b'x'],
        [&chunk[..], &[0; 700]].concat(),
        [&chunk[..], &tag].concat(),
        [&chunk[..], b"LIST\xff"].concat(),
        [&b"SyLp\x03\0\0\0abc\0"[..], chunk].concat(),
    ] {
        let file = [&plain[..], &after].concat();
        assert_eq!(read_noted(&file), (vec![1.0, 2.0], vec![]), "{}", after.escape_ascii());
        let mut stream = Reader::stream(std::io::Cursor::new(file), "stream").unwrap();
        assert_eq!(stream.read_to_end::<i16>().unwrap().frames(), 2, "{}", after.escape_ascii());
        assert!(stream.notes().is_empty());
    }
}

#[test]
fn a_row_of_empty_chunks_is_no_trap() {
    // Each begins a row of chunks that does not reach the end: a search that follows each row has billions of bytes to read.
    let row = b"LIST\0\0\0\0".repeat(8190);
    let body = [&row[..], b"xx"].concat();
    for size in [0, u32::MAX] {
        let (samples, notes) = read_noted(&sound(&fmt(1, 1, RATE, 2, 16), &body, Some(size)));
        assert_eq!((samples.len(), notes.len()), (body.len() / 2, 1));
    }
}

#[test]
fn a_riff_file_of_more_than_4_gib_is_read_to_its_end() {
    let (_folder, path) = folder();
    let bytes: u64 = (5 << 30) + 4;
    let mut start = sound(&fmt(1, 2, RATE, 4, 16), &[], Some((bytes & 0xFFFF_FFFF) as u32));
    start.truncate(44);
    fs::write(&path, &start).unwrap();
    // A hole: no room on the disk.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(44 + bytes).unwrap();
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.frames(), bytes / 4);
    assert!(reader.notes()[0].starts_with("longer than 4 GiB, with a size that wrapped (1073741828)"), "{:?}", reader.notes());
    // A size of 64 bits that wrapped, too.
    let ds64: Vec<u8> = [0, 0, 1 << 30, 0, 2, 0, 0].iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    let mut start = riff(&[(b"ds64", 28, &ds64), (b"fmt ", 16, &fmt(1, 2, RATE, 4, 16)), (b"data", u32::MAX, &[])]);
    start[..4].copy_from_slice(b"RF64");
    fs::write(&path, &start).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(start.len() as u64 + (5 << 30)).unwrap();
    assert_eq!(Reader::open(&path).unwrap().frames(), (5 << 30) / 4);
    // A size that stayed at 2 GiB, with sound after it.
    let mut start = sound(&fmt(1, 2, RATE, 4, 16), &[], Some(2 << 30));
    start.truncate(44);
    fs::write(&path, &start).unwrap();
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(44 + bytes).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(44 + (2 << 30))).unwrap();
    std::io::Write::write_all(&mut file, &[1, 2, 3, 4]).unwrap();
    let reader = Reader::open(&path).unwrap();
    assert_eq!((reader.frames(), reader.notes().len()), (bytes / 4, 1), "{:?}", reader.notes());
}

#[test]
fn odd_headers_are_read_and_said() {
    let (format, data) = (fmt(1, 1, RATE, 2, 16), [1, 0, 2, 0]);
    let plain = sound(&format, &data, None);
    let id3 = [b"ID3\x03\0\0\0\0\x01\x02".to_vec(), vec![7; 130], plain.clone()].concat();
    assert_eq!(read_odd(&id3, "an ID3 tag of 140 bytes is in front of the WAV header"), [1.0, 2.0]);
    let mut pad = riff(&[(b"bext", 3, b"abc"), (b"fmt ", 16, &format), (b"data", 4, &data)]);
    pad[12 + 8 + 3] = b'x';
    assert_eq!(read_odd(&pad, "the pad byte of chunk \"bext\" is 0x78, not 0"), [1.0, 2.0]);
    pad.remove(12 + 8 + 3);
    assert_eq!(read_odd(&pad, "chunk \"bext\" is odd and has no pad byte"), [1.0, 2.0]);
    for frame_bytes in [0, 1, 5] {
        let file = sound(&fmt(1, 1, RATE, frame_bytes, 16), &data, None);
        assert_eq!(read_odd(&file, "the header says "), [1.0, 2.0]);
    }
    // Fewer bits than the bytes hold: they are at the top.
    let file = sound(&fmt(1, 1, RATE, 4, 24), &[0, 0, 1, 0, 0, 0x80, 0xFF, 0xFF], None);
    assert_eq!(read_odd(&file, "24 bits in 4 bytes, read as 32-bit integer"), [1.0, -0.5]);
    // The extensible form without its extension.
    let mut short = fmt(0xFFFE, 1, RATE, 2, 16);
    short.extend([0, 0]);
    assert_eq!(read_odd(&sound(&short, &data, None), "an extensible fmt chunk of 18 bytes"), [1.0, 2.0]);
    // Ambisonic B-format is in order.
    let mut ambisonic = extensible(1, 1, 2, 16, 16);
    ambisonic[26..].copy_from_slice(&[0, 0, 0x21, 0x07, 0xD3, 0x11, 0x86, 0x44, 0xC8, 0xC1, 0xCA, 0, 0, 0]);
    assert_eq!(read_noted(&sound(&ambisonic, &data, None)), (vec![1.0, 2.0], vec![]));
}

#[test]
fn rifx_is_read_in_every_width() {
    let swapped = |words: &[u32], halves: &[u16]| -> Vec<u8> {
        let [tag, channels, frame_bytes, bits] = halves else { unreachable!() };
        let mut file = b"RIFX\0\0\0\0WAVEfmt \0\0\0\x10".to_vec();
        file.extend([tag.to_be_bytes(), channels.to_be_bytes()].concat());
        file.extend([RATE.to_be_bytes(), [0; 4]].concat());
        file.extend([frame_bytes.to_be_bytes(), bits.to_be_bytes()].concat());
        let bytes = usize::from(bits / 8);
        file.extend(b"data");
        file.extend(((words.len() * bytes) as u32).to_be_bytes());
        file.extend(words.iter().flat_map(|word| word.to_be_bytes()[..bytes].to_vec()));
        file
    };
    let words = [0x4000_0000_u32, 0x8000_0000, 0xFFFF_0000];
    for bits in [16, 24, 32] {
        assert_eq!(read_noted(&swapped(&words, &[1, 1, bits / 8, bits])), (vec![16_384.0, -32_768.0, -1.0], vec![]));
    }
    let floats = [0.5_f32, -2.0].map(f32::to_bits);
    assert_eq!(read_noted(&swapped(&floats, &[3, 1, 4, 32])), (vec![16_384.0, -65_536.0], vec![]));
}

#[test]
fn eight_bits_laws_and_64_bit_float_have_their_values() {
    let read = |tag, bits, data: &[u8]| read_noted(&sound(&fmt(tag, 1, RATE, bits / 8, bits), data, None));
    assert_eq!(read(1, 8, &[0, 127, 128, 255]), (vec![-32_768.0, -256.0, 0.0, 32_512.0], vec![]));
    // ITU-T G.711: the largest, the smallest and the values next to zero.
    assert_eq!(read(6, 8, &[0xAA, 0x2A, 0xD5, 0x55]), (vec![32_256.0, -32_256.0, 8.0, -8.0], vec![]));
    assert_eq!(read(7, 8, &[0x80, 0x00, 0xFF, 0x7F, 0xFE]), (vec![32_124.0, -32_124.0, 0.0, 0.0, 8.0], vec![]));
    let values = [0.1_f64, -3.0, 1e-300];
    let file = sound(&fmt(3, 1, RATE, 8, 64), &values.map(f64::to_le_bytes).concat(), None);
    assert_eq!(read_bytes::<f64>(&file).unwrap().to_interleaved(), values);
    assert_eq!(read_bytes::<f32>(&file).unwrap_err(), "expected samples that 32-bit float holds exactly, found 64-bit float");
    let (_folder, path) = folder();
    fs::write(&path, sound(&fmt(3, 1, RATE, 8, 64), &f64::NAN.to_le_bytes(), None)).unwrap();
    assert_eq!(message(wav::read(&path), &path), "expected finite samples, found NaN at channel 0, frame 0");
}

#[test]
fn a_stream_ends_where_it_ends() {
    let format = fmt(1, 1, RATE, 2, 16);
    let mut cut = Reader::stream(std::io::Cursor::new(sound(&format, &[1, 0, 2, 0], Some(8))), "stream").unwrap();
    assert_eq!((cut.frames(), cut.notes().len()), (4, 0));
    assert_eq!(cut.read_to_end::<i16>().unwrap().to_interleaved(), [1, 2]);
    assert_eq!(cut.notes(), ["cut short: 2 of 4 frames are missing"]);
    let bytes = sound(&format, &[1, 0, 2], Some(u32::MAX))[..44 + 3].to_vec();
    let mut open = Reader::stream(std::io::Cursor::new(bytes), "stream").unwrap();
    assert_eq!(open.frames(), u64::MAX);
    assert_eq!(open.read_to_end::<i16>().unwrap().to_interleaved(), [1]);
    assert_eq!(open.notes(), ["the sound ends inside a frame: the last byte is left out"]);
}

#[test]
fn every_malformed_file_has_its_own_message() {
    let format = fmt(1, 2, RATE, 4, 16);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "not a WAV file: expected RIFF or RF64 with WAVE, found an empty file"),
        (b"RIFF\0".to_vec(), "not a WAV file: expected RIFF or RF64 with WAVE, found 5 bytes"),
        (b"OggS\0\0\0\0\0\0\0\0\0\0".to_vec(), "not a WAV file: expected RIFF or RF64 with WAVE, found Ogg"),
        (riff(&[]), "damaged WAV header: expected a fmt chunk and a data chunk, found the end of the file at byte 12"),
        (riff(&[(b"fmt ", 16, &format)]), "damaged WAV header: expected a data chunk, found the end of the file at byte 36"),
        (riff(&[(b"data", 4, &[0; 4])]), "damaged WAV header: expected a fmt chunk before the data chunk, found none"),
        (riff(&[(b"fmt ", 14, &format[..14])]), "damaged WAV header: expected a fmt chunk of 16, 18 or 40 bytes, found 14 bytes"),
        (
            riff(&[(b"LIST", 4_000, b"ab"), (b"fmt ", 16, &format)]),
            "damaged WAV header: expected chunks within the file, \
             found chunk \"LIST\" of 4000 bytes, which ends at byte 4020 of 46",
        ),
        (sound(&fmt(1, 0, RATE, 0, 16), &[0; 4], None), "expected 1 to 32767 channels, found 0"),
        (sound(&fmt(1, 2, 0, 4, 16), &[0; 4], None), "expected a sample rate of 1 to 4294967295 Hz, found 0 Hz"),
        (sound(&format, &[], None), "expected at least 1 frame of sound, found 0"),
        (
            sound(&fmt(3, 1, RATE, 2, 16), &[0; 8], None),
            "expected integer samples of 8 to 32 bits, float of 32 or 64 bits, A-law or mu-law, found 16-bit float",
        ),
        (
            sound(&fmt(3, 1, RATE, 4, 24), &[0; 8], None),
            "expected integer samples of 8 to 32 bits, float of 32 or 64 bits, A-law or mu-law, \
             found 24-bit float (of Adobe Audition)",
        ),
        (
            b"riff\x2E\x91\xCF\x11\xA5\xD6\x28\xDB".to_vec(),
            "not a WAV file: expected RIFF or RF64 with WAVE, found Sony Wave64 (W64)",
        ),
        (
            sound(&fmt(0x11, 1, RATE, 256, 4), &[0; 8], None),
            "expected integer samples of 8 to 32 bits, float of 32 or 64 bits, A-law or mu-law, found format tag 0x0011 (IMA ADPCM)",
        ),
        (
            sound(&extensible(0x55, 1, 2, 16, 16), &[0; 8], None),
            "expected integer samples of 8 to 32 bits, float of 32 or 64 bits, A-law or mu-law, found format tag 0x0055 (MP3)",
        ),
    ];
    for (bytes, message) in cases {
        assert_eq!(read_bytes::<f64>(&bytes).unwrap_err(), message);
    }
    let (_folder, path) = folder();
    assert!(message(Reader::open(&path), &path).starts_with("cannot open: "));
}

#[test]
fn samples_that_are_not_finite_are_treated_by_the_policy() {
    let values = [0.5, 0.25, f32::NAN, -0.5, 1.0, f32::NEG_INFINITY];
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let (_folder, path) = folder();
    fs::write(&path, sound(&fmt(3, 2, RATE, 8, 32), &data, None)).unwrap();
    assert_eq!(message(wav::read(&path), &path), "expected finite samples, found NaN at channel 0, frame 1");
    let silenced = wav::read_with(&path, NonFinitePolicy::Silence).unwrap();
    assert_eq!(silenced.to_interleaved(), [0.5, 0.25, 0.0, -0.5, 1.0, 0.0]);
    let kept = wav::read_with(&path, NonFinitePolicy::Keep).unwrap();
    assert!(kept.channel(0)[1].is_nan() && kept.channel(1)[2] == f32::NEG_INFINITY);
    let mut reader = Reader::open(&path).unwrap();
    reader.seek(2).unwrap();
    let found = reader.read_block(&mut [&mut [0.0_f32], &mut [0.0]]).unwrap_err().to_string();
    assert!(found.ends_with("found -inf at channel 1, frame 2"), "{found}");
}

#[test]
fn an_exact_reading_refuses_formats_that_it_would_round() {
    let (_folder, path) = folder();
    wav::write(&path, &Audio::<f32>::silence(RATE, 1, 4), WavFormat::Int24).unwrap();
    assert_eq!(
        message(wav::read_exact::<i16>(&path), &path),
        "expected samples that 16-bit integer holds exactly, found 24-bit integer"
    );
    assert!(wav::read_exact::<I24>(&path).is_ok() && wav::read_exact::<i32>(&path).is_ok());
    assert!(wav::read_exact::<f32>(&path).is_ok() && wav::read_exact::<f64>(&path).is_ok());
    wav::write(&path, &Audio::<f32>::silence(RATE, 1, 4), WavFormat::Int32).unwrap();
    assert!(wav::read_exact::<f32>(&path).is_err() && wav::read_exact::<f64>(&path).is_ok());
    wav::write(&path, &Audio::<f32>::silence(RATE, 1, 4), WavFormat::Float32).unwrap();
    assert!(wav::read_exact::<i32>(&path).is_err() && wav::read_exact::<f32>(&path).is_ok());
}

// ---- against hound

/// A random file: its format, 1 to 32 channels, and interleaved codes as hound has them (floats as their bits).
fn file_contents() -> impl Strategy<Value = (WavFormat, u16, Vec<i32>)> {
    (prop::sample::select(&WavFormat::ALL), 1_u16..=32, 1_usize..70).prop_flat_map(|(format, channels, frames)| {
        let shift = 32 - u32::from(format.bits());
        let code = any::<i32>().prop_map(move |code| match format {
            WavFormat::Float32 if !f32::from_bits(code as u32).is_finite() => 0,
            _ => code >> shift,
        });
        let codes = prop::collection::vec(code, usize::from(channels) * frames);
        (Just(format), Just(channels), codes)
    })
}

fn write_with_hound(path: &Path, format: WavFormat, channels: u16, codes: &[i32]) {
    let mut writer = hound::WavWriter::create(path, spec(channels, format)).unwrap();
    for &code in codes {
        match format {
            WavFormat::Float32 => writer.write_sample(f32::from_bits(code as u32)).unwrap(),
            _ => writer.write_sample(code).unwrap(),
        }
    }
    writer.finalize().unwrap();
}

fn read_with_hound(path: &Path) -> (hound::WavSpec, Vec<i32>) {
    let mut reader = hound::WavReader::open(path).unwrap();
    let codes = match reader.spec().sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().map(|s| s.unwrap().to_bits() as i32).collect(),
        hound::SampleFormat::Int => reader.samples::<i32>().map(Result::unwrap).collect(),
    };
    (reader.spec(), codes)
}

/// The codes of `audio` in `format`; floats as their bits.
fn codes(audio: &Audio<f64>, format: WavFormat) -> Vec<i32> {
    let code = |value: f64| match format {
        WavFormat::Int16 => i16::from_f64(value).into(),
        WavFormat::Int24 => I24::from_f64(value).inner(),
        WavFormat::Int32 => i32::from_f64(value),
        WavFormat::Float32 => f32::from_f64(value).to_bits() as i32,
    };
    audio.to_interleaved().into_iter().map(code).collect()
}

/// The buffer with these interleaved codes in `format`.
fn audio(format: WavFormat, channels: u16, codes: &[i32]) -> Audio<f64> {
    let value = |&code: &i32| match format {
        WavFormat::Int16 => (code as i16).to_f64(),
        WavFormat::Int24 => I24::new(code).unwrap().to_f64(),
        WavFormat::Int32 => code.to_f64(),
        WavFormat::Float32 => f32::from_bits(code as u32).into(),
    };
    Audio::from_interleaved(RATE, channels.into(), &codes.iter().map(value).collect::<Vec<_>>()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn files_written_by_hound_are_read_code_by_code((format, channels, expected) in file_contents()) {
        let (_folder, path) = folder();
        write_with_hound(&path, format, channels, &expected);
        let found = wav::read_exact::<f64>(&path).unwrap();
        prop_assert_eq!((found.channels(), found.sample_rate()), (channels.into(), RATE));
        prop_assert_eq!(codes(&found, format), expected.clone());
        if format != WavFormat::Int32 {
            prop_assert_eq!(codes(&wav::read(&path).unwrap().convert(), format), expected);
        }
    }

    #[test]
    fn written_files_are_read_by_hound_code_by_code((format, channels, expected) in file_contents()) {
        let (_folder, path) = folder();
        wav::write(&path, &audio(format, channels, &expected), format).unwrap();
        let (found_spec, found) = read_with_hound(&path);
        prop_assert_eq!(found_spec, spec(channels, format));
        prop_assert_eq!(found, expected.clone());
        // The reader reads the same codes; chunks are padded, and the RIFF size is that of the file.
        prop_assert_eq!(codes(&wav::read_exact(&path).unwrap(), format), expected);
        let bytes = fs::read(&path).unwrap();
        prop_assert_eq!(bytes.len() % 2, 0);
        prop_assert_eq!(u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize, bytes.len() - 8);
    }

    #[test]
    fn block_sizes_change_no_sample_written_or_read(
        (format, channels, expected) in file_contents(), cuts in prop::collection::vec(1_usize..30, 1..20),
    ) {
        let (_folder, path) = folder();
        let whole = audio(format, channels, &expected);
        let mut writer = Writer::create(&path, RATE, channels.into(), format).unwrap();
        let mut start = 0;
        for cut in cuts.iter().cycle() {
            let end = (start + cut).min(whole.frames());
            writer.write_block(&whole.slice(start..end).unwrap().slices()).unwrap();
            start = end;
            if start == whole.frames() { break }
        }
        let written = writer.finish().unwrap();
        prop_assert_eq!((written.frames, written.clipped, written.replaced), (whole.frames() as u64, 0, 0));

        let mut reader = Reader::open(&path).unwrap();
        prop_assert_eq!((reader.frames(), reader.format()), (whole.frames() as u64, format));
        let mut parts = Vec::new();
        for &cut in cuts.iter().cycle() {
            let mut block = Audio::<f64>::silence(RATE, channels.into(), cut);
            let count = reader.read_block(&mut block.slices_mut()).unwrap();
            if count == 0 { break }
            parts.push(block.slice(..count).unwrap());
        }
        let parts: Vec<&Audio<f64>> = parts.iter().collect();
        prop_assert_eq!(codes(&Audio::concatenate(&parts).unwrap(), format), expected);
        reader.seek(1).unwrap();
        prop_assert_eq!(reader.position(), 1);
        prop_assert_eq!(reader.read_to_end::<f64>().unwrap(), whole.slice(1..).unwrap());
        prop_assert!(reader.seek(whole.frames() as u64 + 1).is_err());
    }

    #[test]
    fn mutated_files_never_panic(
        (format, channels, expected) in file_contents(),
        changes in prop::collection::vec((0_usize..120, any::<u8>()), 1..12),
        cut in prop::option::of(0_usize..200),
    ) {
        let (_folder, path) = folder();
        wav::write(&path, &audio(format, channels, &expected), format).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        for (at, byte) in changes {
            if let Some(old) = bytes.get_mut(at) { *old = byte }
        }
        bytes.truncate(cut.unwrap_or(usize::MAX));
        fs::write(&path, &bytes).unwrap();
        for policy in [NonFinitePolicy::Refuse, NonFinitePolicy::Silence, NonFinitePolicy::Keep] {
            if let Err(error) = wav::read_with(&path, policy) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
        let _ = wav::read_exact::<i32>(&path);
    }
}

#[test]
fn every_24_bit_code_survives_a_file() {
    let codes: Vec<I24> = (-(1 << 23)..1 << 23).map(|code| I24::new(code).unwrap()).collect();
    let all = Audio::from_mono(96_000, &codes).unwrap();
    let (_folder, path) = folder();
    wav::write(&path, &all.convert::<f32>(), WavFormat::Int24).unwrap();
    assert_eq!(wav::read_exact::<I24>(&path).unwrap(), all);
    assert_eq!(wav::read(&path).unwrap().convert::<I24>(), all);
}

// ---- writing

#[test]
fn limited_and_replaced_samples_are_counted() {
    let (_folder, path) = folder();
    let block = [0.5_f32, 1.0, 1.1, -1.0, -1.000_1, f32::NAN, f32::INFINITY, 0.99];
    for (format, clipped, replaced) in
        [(WavFormat::Int16, 4, 1), (WavFormat::Int24, 4, 1), (WavFormat::Int32, 4, 1), (WavFormat::Float32, 0, 2)]
    {
        let mut writer = Writer::create(&path, RATE, 1, format).unwrap();
        writer.write_block(&[&block]).unwrap();
        let written = writer.finish().unwrap();
        assert_eq!((written.frames, written.clipped, written.replaced), (8, clipped, replaced), "{format}");
    }
    assert_eq!(wav::read(&path).unwrap().channel(0)[..6], [0.5, 1.0, 1.1, -1.0, -1.000_1, 0.0]);
}

#[test]
fn a_target_is_replaced_completely_or_not_at_all() {
    let (folder, path) = folder();
    let names = || -> Vec<_> { fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect() };
    let (first, second) = (Audio::<f32>::silence(RATE, 1, 3), Audio::<f32>::silence(RATE, 2, 5));
    wav::write(&path, &first, WavFormat::Int16).unwrap();
    let before = fs::read(&path).unwrap();
    // The writer is dropped before it is finished.
    let mut writer = Writer::create(&path, RATE, 2, WavFormat::Int24).unwrap();
    writer.write_block(&second.slices()).unwrap();
    assert_eq!(names().len(), 2, "the new file grows beside the old");
    assert_eq!(fs::read(&path).unwrap(), before);
    drop(writer);
    assert_eq!(fs::read(&path).unwrap(), before);
    // No frame was written.
    assert_eq!(
        message(Writer::create(&path, RATE, 2, WavFormat::Int24).unwrap().finish(), &path),
        "expected at least 1 frame of sound, found 0"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
    // The writer is finished.
    wav::write(&path, &second, WavFormat::Int24).unwrap();
    assert_eq!(wav::read(&path).unwrap(), second);
    assert_eq!(names(), ["sound.wav"]);
}

#[test]
fn a_path_that_cannot_be_written_is_an_error_and_leaves_no_file() {
    let (folder, _) = folder();
    let silence = Audio::<f32>::silence(RATE, 1, 3);
    let missing = folder.path().join("no/such/folder/sound.wav");
    assert!(message(wav::write(&missing, &silence, WavFormat::Int16), &missing).starts_with("cannot create: "));
    // A folder has the name of the target; it is created before or while the file is written.
    let taken = folder.path().join("taken.wav");
    let mut writer = Writer::create(&taken, RATE, 1, WavFormat::Int16).unwrap();
    writer.write_block(&silence.slices()).unwrap();
    fs::create_dir(&taken).unwrap();
    assert!(message(writer.finish(), &taken).starts_with("cannot write: "));
    assert_eq!(
        message(wav::write(&taken, &silence, WavFormat::Int16), &taken),
        "cannot create: expected the name of a file, found a folder"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the folder is there");
    // The target's parent is a file.
    let under_file = folder.path().join("file");
    fs::write(&under_file, b"").unwrap();
    assert!(wav::write(under_file.join("sound.wav"), &silence, WavFormat::Int16).is_err());
}

#[test]
fn formats_and_blocks_that_a_wav_file_cannot_hold_are_refused() {
    let (_folder, path) = folder();
    let refused = |rate, channels, format| message(Writer::create(&path, rate, channels, format), &path);
    assert_eq!(refused(RATE, 0, WavFormat::Int16), "expected 1 to 32767 channels, found 0");
    assert_eq!(refused(RATE, 65_536, WavFormat::Int16), "expected 1 to 32767 channels, found 65536");
    assert_eq!(refused(RATE, 21_846, WavFormat::Int24), "expected 1 to 21845 channels, found 21846");
    assert_eq!(refused(0, 1, WavFormat::Int16), "expected a sample rate of 1 to 2147483647 Hz, found 0 Hz");
    assert_eq!(refused(u32::MAX, 1, WavFormat::Int24), "expected a sample rate of 1 to 1431655765 Hz, found 4294967295 Hz");
    let mut writer = Writer::create(&path, RATE, 2, WavFormat::Int16).unwrap();
    assert_eq!(
        message(writer.write_block(&[&[0.0_f32; 4] as &[f32]]), &path),
        "expected a block of 2 x 4 (channels x frames), found 1 x 4"
    );
    assert_eq!(
        message(writer.write_block(&[&[0.0_f32; 4] as &[f32], &[0.0; 3]]), &path),
        "expected a block of 2 x 4 (channels x frames), found 2 x 3 in channel 1"
    );
    assert_eq!(writer.frames(), 0);
    wav::write(&path, &Audio::<f32>::silence(RATE, 2, 4), WavFormat::Int16).unwrap();
    assert_eq!(
        message(Reader::open(&path).unwrap().read_block(&mut [&mut [0.0_f32; 4] as &mut [f32]]), &path),
        "expected a block of 2 x 4 (channels x frames), found 1 x 4"
    );
}

/// Writes 16-bit mono files of these frames, named `piece_9.wav`, `piece_10.wav` ..., and returns the path of the first.
fn write_pieces(folder: &Path, pieces: &[&[i16]]) -> PathBuf {
    for (number, frames) in (9..).zip(pieces) {
        let audio = Audio::from_interleaved(RATE, 1, frames).unwrap();
        wav::write(folder.join(format!("piece_{number}.wav")), &audio, WavFormat::Int16).unwrap();
    }
    folder.join("piece_9.wav")
}

#[test]
fn joined_files_are_read_as_one() {
    let (folder, other) = folder();
    let first = write_pieces(folder.path(), &[&[1, 2, 3], &[4], &[5, 6]]);
    let join = || {
        let mut readers = wav::numbered_pieces(&first).into_iter().map(|path| Reader::open(path).unwrap());
        let first = readers.next().unwrap();
        readers.fold(first, |joined, next| joined.followed_by(next).unwrap())
    };
    let mut joined = join();
    assert_eq!((joined.frames(), joined.path()), (6, first.as_path()));
    assert_eq!(joined.read_to_end::<i16>().unwrap().to_interleaved(), [1, 2, 3, 4, 5, 6]);
    // From any frame on, in blocks of any size.
    for frame in (0..=6).rev() {
        for size in 1..8 {
            joined.seek(frame as u64).unwrap();
            let mut found = Vec::new();
            let mut block = vec![0_i16; size];
            loop {
                let count = joined.read_block(&mut [&mut block]).unwrap();
                assert!(count == size || joined.position() == 6);
                found.extend_from_slice(&block[..count]);
                if count == 0 {
                    break;
                }
            }
            assert_eq!(found, [1, 2, 3, 4, 5, 6][frame..]);
        }
    }
    assert!(joined.seek(7).is_err());
    // Notes have the name of the piece.
    fs::write(folder.path().join("piece_11.wav"), sound(&fmt(1, 1, RATE, 2, 16), &[5, 0], Some(4))).unwrap();
    assert_eq!(join().notes(), ["piece_11.wav: cut short: the header says 4 bytes of sound, found 2: 1 of 2 frames are missing"]);
    // Other formats and streams are refused.
    wav::write(&other, &Audio::<f32>::silence(44_100, 2, 1), WavFormat::Int24).unwrap();
    let error = join().followed_by(Reader::open(&other).unwrap()).unwrap_err().to_string();
    assert!(error.ends_with("expected 1 x 16-bit integer at 48000 Hz, found 2 x 24-bit integer at 44100 Hz"), "{error}");
    let stream = || Reader::stream(std::io::Cursor::new(sound(&fmt(1, 1, RATE, 2, 16), &[5, 0], None)), "stream").unwrap();
    assert!(matches!(join().followed_by(stream()), Err(WavError::Join { .. })));
    assert!(matches!(stream().followed_by(stream()), Err(WavError::Join { .. })));
}

#[test]
fn numbered_pieces_end_where_a_number_is_missing() {
    let (folder, other) = folder();
    let names = |first: &str| -> Vec<String> {
        let pieces = wav::numbered_pieces(&folder.path().join(first));
        pieces.iter().map(|piece| piece.file_name().unwrap().to_string_lossy().into_owned()).collect()
    };
    for name in ["00000001.WAV", "00000002.WAV", "00000004.WAV", "99.wav", "100.wav", "1.wav"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    assert_eq!(names("00000001.WAV"), ["00000001.WAV", "00000002.WAV"]);
    assert_eq!(names("00000004.WAV"), ["00000004.WAV"]);
    assert_eq!(names("99.wav"), ["99.wav", "100.wav"]);
    assert_eq!(names("sound.wav"), ["sound.wav"]);
    assert_eq!(names("18446744073709551615.wav"), ["18446744073709551615.wav"]);
    assert_eq!(wav::numbered_pieces(&other), [other]);
    // The name is any bytes.
    #[cfg(unix)]
    {
        let piece = |number: &[u8]| {
            let name = [b"b\xFChne_", number, b".wav"].concat();
            folder.path().join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&name))
        };
        let pieces = [piece(b"09"), piece(b"10")];
        for piece in &pieces {
            fs::write(piece, "").unwrap();
        }
        assert_eq!(wav::numbered_pieces(&pieces[0]), pieces);
    }
}

#[test]
fn a_written_stream_has_no_sizes_and_every_sample() {
    #[derive(Clone, Default)]
    struct Pipe(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for format in WavFormat::ALL {
        let pipe = Pipe::default();
        let mut writer = Writer::stream(pipe.clone(), "pipe", RATE, 3, format).unwrap();
        let audio = Audio::from_interleaved(RATE, 3, &[0.5_f32, -0.25, 0.0, 0.125, 0.75, -1.0, 0.0, 0.0, 0.5]).unwrap();
        writer.write_block(&audio.slices()).unwrap();
        assert_eq!(writer.finish().unwrap().frames, 3);
        let bytes = pipe.0.lock().unwrap().clone();
        assert_eq!((&bytes[4..8], &bytes[64..68]), (&[0xFF; 4][..], &[0xFF; 4][..]));
        let mut reader = Reader::stream(std::io::Cursor::new(bytes), "pipe").unwrap();
        assert_eq!((reader.frames(), reader.format()), (u64::MAX, format));
        assert_eq!(reader.read_to_end::<f32>().unwrap(), audio);
        assert!(reader.notes().is_empty());
    }
}

#[test]
fn a_file_with_room_becomes_rf64_only_beyond_4_gib() {
    let (_folder, path) = folder();
    let audio = Audio::from_interleaved(RATE, 1, &[0.5_f32, -0.25, 0.125]).unwrap();
    let mut writer = Writer::create_long(&path, RATE, 1, WavFormat::Int24).unwrap();
    writer.write_block(&audio.slices()).unwrap();
    writer.finish().unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!((&bytes[..4], &bytes[12..16]), (&b"RIFF"[..], &b"JUNK"[..]));
    assert_eq!(wav::read(&path).unwrap(), audio);
    // The mended copy of a file of more than 4 GiB, which is a hole.
    if std::env::var_os("ISOTHERM_LONG").is_none() {
        println!("skipped: writes 4 GiB; ISOTHERM_LONG=1 lets it");
        return;
    }
    let bytes: u64 = (4 << 30) + 8;
    let mut start = sound(&fmt(1, 2, RATE, 4, 16), &[], Some(8));
    start.truncate(44);
    fs::write(&path, &start).unwrap();
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(44 + bytes).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
    std::io::Write::write_all(&mut file, b"iXML\x02\0\0\0ab").unwrap();
    let copy = path.with_file_name("copy.wav");
    assert_eq!(wav::mend(&path, &copy).unwrap().frames, bytes / 4);
    let mended = Reader::open(&copy).unwrap();
    assert_eq!((mended.frames(), mended.notes().len()), (bytes / 4, 0));
    let mut name = [0; 4];
    fs::File::open(&copy).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut name)).unwrap();
    assert_eq!(name, *b"RF64");
    // The chunk after the sound.
    let mut end = [0; 10];
    let mut file = fs::File::open(&copy).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(-10)).unwrap();
    std::io::Read::read_exact(&mut file, &mut end).unwrap();
    assert_eq!(&end, b"iXML\x02\0\0\0ab");
}

#[test]
fn a_mended_copy_keeps_the_other_chunks_and_the_file() {
    let (_folder, path) = folder();
    let file = riff(&[
        (b"bext", 3, b"abc"),
        (b"fmt ", 16, &fmt(1, 1, RATE, 2, 16)),
        (b"fact", 4, &[9; 4]),
        (b"data", 0, &[1, 0, 2, 0]),
        (b"iXML", 3, b"xml"),
    ]);
    fs::write(&path, &file).unwrap();
    let copy = path.with_file_name("copy.wav");
    let report = wav::mend(&path, &copy).unwrap();
    assert_eq!((report.frames, report.sample_rate, report.notes.len()), (2, RATE, 1));
    let expected = riff(&[
        (b"JUNK", 28, &[0; 28]),
        (b"fmt ", 16, &fmt(1, 1, RATE, 2, 16)),
        (b"bext", 3, b"abc"),
        (b"data", 4, &[1, 0, 2, 0]),
        (b"iXML", 3, b"xml"),
    ]);
    assert_eq!(fs::read(&copy).unwrap(), expected);
    assert_eq!(fs::read(&path).unwrap(), file);
    // Neither a second copy, nor one of a whole file.
    assert!(matches!(wav::mend(&path, &copy), Err(WavError::Io { action: "create", .. })));
    let third = path.with_file_name("third.wav");
    assert!(matches!(wav::mend(&copy, &third), Err(WavError::Whole { .. })));
    assert!(!third.exists());
}

#[test]
fn a_mended_copy_has_the_chunks_after_the_sound_padded_and_with_the_sizes_of_riff() {
    let (_folder, path) = folder();
    let copy = path.with_file_name("copy.wav");
    let mended = |file: &[u8], samples: &[u8]| {
        fs::write(&path, file).unwrap();
        wav::mend(&path, &copy).unwrap();
        let expected = riff(&[
            (b"JUNK", 28, &[0; 28]),
            (b"fmt ", 16, &fmt(1, 1, RATE, 2, 16)),
            (b"data", samples.len() as u32, samples),
            (b"iXML", 3, b"xml"),
            (b"LIST", 5, b"INFOx"),
        ]);
        assert_eq!(fs::read(&copy).unwrap(), expected);
        fs::remove_file(&copy).unwrap();
    };
    // Chunks without their pad bytes, after sound of an unfilled size, and after a frame that is cut short.
    let format = [b"fmt \x10\0\0\0".to_vec(), fmt(1, 1, RATE, 2, 16)].concat();
    for (size, body) in [(0_u8, &b"\x01\0\x02\0"[..]), (5, b"\x01\0\x02\0\x03")] {
        let data = [&b"data"[..], &[size, 0, 0, 0], body].concat();
        let file = [b"RIFF\0\0\0\0WAVE", &format[..], &data, b"iXML\x03\0\0\0xmlLIST\x05\0\0\0INFOx"].concat();
        mended(&file, &body[..4]);
    }
    // The sizes of RIFX.
    let format = [&b"fmt \0\0\0\x10\0\x01\0\x01"[..], &RATE.to_be_bytes(), &[0; 4], &[0, 2, 0, 16]].concat();
    let data = b"data\0\0\0\0\0\x01\0\x02iXML\0\0\0\x03xml\0LIST\0\0\0\x05INFOx\0";
    mended(&[b"RIFX\0\0\0\0WAVE", &format[..], data].concat(), &[1, 0, 2, 0]);
}
