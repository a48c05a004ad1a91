//! Mending: a copy of a damaged WAV file with a header that is right.

use super::header::{self, ALAW, Chunk, IEEE_FLOAT, Input, MULAW, PCM};
use super::writer::{fmt_body, push_chunk, write_sizes};
use super::{CHUNK_BYTES, Encoding, Reader, WavError};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Chunks that a mended copy does not have: those it has of its own, fillers, and `fact`, whose number of frames may be wrong.
const LEFT_OUT: [&[u8; 4]; 8] = [b"data", b"fmt ", b"ds64", b"fact", b"JUNK", b"junk", b"FLLR", b"PAD "];

/// The result of [`mend`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MendReport {
    /// Frames of the copy.
    pub frames: u64,
    /// Sample rate in Hz.
    pub sample_rate: u32,
    /// Oddities of the damaged file; see [`Reader::notes`](super::Reader::notes).
    pub notes: Vec<String>,
}

/// Copies the damaged WAV file at `from` to the new file `to`, with a header that is right. The samples that the reader finds
/// are copied bit for bit (those of RIFX in the order of RIFF), and with them the other chunks, such as `bext` and `iXML`. A
/// copy of more than 4 GiB is RF64. The copy is opened again, and its length compared. `from` is not changed.
/// [control thread: reads and writes the whole file]
///
/// # Errors
/// [`WavError::Whole`] if nothing is wrong with the file, the errors of [`Reader::open`](super::Reader::open), [`WavError::Io`],
/// also if `to` exists. After an error there is no new file.
pub fn mend(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<MendReport, WavError> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let file = File::open(from).map_err(|source| WavError::io("open", from, source))?;
    let mut input = Input::File(BufReader::with_capacity(CHUNK_BYTES, file));
    let header = header::parse(&mut input, from)?;
    if header.notes.is_empty() {
        return Err(WavError::Whole { path: from.into() });
    }
    let created = OpenOptions::new().write(true).create_new(true).open(to);
    let mut copy = created.map_err(|source| WavError::io("create", to, source))?;
    let written = write_copy(&mut input, &header, &mut copy).map_err(|source| WavError::io("write", to, source));
    if let Err(error) = written.and_then(|()| check_copy(to, header.frames)) {
        let _ = fs::remove_file(to);
        return Err(error);
    }
    Ok(MendReport { frames: header.frames, sample_rate: header.sample_rate, notes: header.notes })
}

/// Checks that the copy at `path` has `frames` frames, and nothing odd.
fn check_copy(path: &Path, frames: u64) -> Result<(), WavError> {
    let copy = Reader::open(path)?;
    if copy.frames() == frames && copy.notes().is_empty() {
        return Ok(());
    }
    let found = format!("the copy has {} frames, expected {frames}; {}", copy.frames(), copy.notes().join("; "));
    Err(WavError::io("write", path, io::Error::other(found)))
}

/// Copies the chunks that a mended copy has, with the sizes of RIFF, each padded to an even number of bytes.
fn copy_chunks(input: &mut Input, chunks: &[Chunk], copy: &mut File) -> io::Result<()> {
    for Chunk { name, start, size } in chunks.iter().filter(|chunk| !LEFT_OUT.contains(&&chunk.name)) {
        copy.write_all(name)?;
        copy.write_all(&size.to_le_bytes())?;
        input.seek(SeekFrom::Start(*start))?;
        if io::copy(&mut input.by_ref().take(u64::from(*size)), copy)? < u64::from(*size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        copy.write_all(if size.is_multiple_of(2) { &[] } else { &[0] })?;
    }
    Ok(())
}

/// Writes the copy of a file with this header to the empty file `copy`.
fn write_copy(input: &mut Input, header: &header::Header, copy: &mut File) -> io::Result<()> {
    let (tag, bits) = match header.encoding {
        Encoding::Unsigned8 => (PCM, 8),
        Encoding::Int16 => (PCM, 16),
        Encoding::Int24 => (PCM, 24),
        Encoding::Int32 => (PCM, 32),
        Encoding::Float32 => (IEEE_FLOAT, 32),
        Encoding::Float64 => (IEEE_FLOAT, 64),
        Encoding::ALaw => (ALAW, 8),
        Encoding::MuLaw => (MULAW, 8),
    };
    let channels = u16::try_from(header.channels).map_err(io::Error::other)?;
    let mut start = b"RIFF\0\0\0\0WAVE".to_vec();
    // Room for the 64-bit sizes, three of 8 bytes and the length of a table.
    push_chunk(&mut start, b"JUNK", &[0; 28]);
    push_chunk(&mut start, b"fmt ", &fmt_body(tag, bits, channels, header.sample_rate, channels > 2));
    copy.write_all(&start)?;
    copy_chunks(input, &header.chunks, copy)?;
    copy.write_all(b"data\0\0\0\0")?;
    let header_bytes = copy.stream_position()?;
    let sample_bytes = header.encoding.bytes();
    let data_bytes = header.frames * (header.channels * sample_bytes) as u64;
    input.seek(SeekFrom::Start(header.data_start))?;
    let mut bytes = vec![0; CHUNK_BYTES - CHUNK_BYTES % sample_bytes];
    let mut left = data_bytes;
    while left > 0 {
        let count = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        input.read_exact(&mut bytes[..count])?;
        if header.big_endian {
            bytes[..count].chunks_mut(sample_bytes).for_each(<[u8]>::reverse);
        }
        copy.write_all(&bytes[..count])?;
        left -= count as u64;
    }
    copy.write_all(if data_bytes.is_multiple_of(2) { &[] } else { &[0] })?;
    copy_chunks(input, &header.after, copy)?;
    write_sizes(copy, header_bytes, data_bytes, header.frames)
}
