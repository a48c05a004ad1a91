//! PNG files (ISO/IEC 15948).

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// Bytes of a pixel: red, green, blue.
pub const PIXEL: usize = 3;

/// Encodes rows of pixels, from the top down, as a PNG file.
///
/// # Errors
/// Never: it is written to memory.
pub fn encode((width, height): (u32, u32), pixels: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    // 8 bits a channel, in colour, not interlaced.
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes()[..], &[8, 2, 0, 0, 0]].concat();
    chunk(&mut png, b"IHDR", &header);
    let mut rows = ZlibEncoder::new(Vec::new(), Compression::default());
    for row in pixels.chunks_exact(width as usize * PIXEL) {
        // Filter type 0: the row itself, not its difference from another.
        rows.write_all(&[0])?;
        rows.write_all(row)?;
    }
    chunk(&mut png, b"IDAT", &rows.finish()?);
    chunk(&mut png, b"IEND", &[]);
    Ok(png)
}

/// Appends a chunk: length, kind, data, checksum.
fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    png.extend((data.len() as u32).to_be_bytes());
    png.extend(kind);
    png.extend(data);
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(data);
    png.extend(crc.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_its_size_its_pixels_and_valid_checksums() {
        let pixels: Vec<u8> = (0..2 * 3 * PIXEL as u8).collect();
        let png = encode((2, 3), &pixels).unwrap();
        let mut rest = &png[8..];
        let mut kinds = Vec::new();
        while let Some((head, after)) = rest.split_first_chunk::<8>() {
            let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let (data, after) = after.split_at(length);
            let (sum, after) = after.split_first_chunk::<4>().unwrap();
            let mut crc = Crc::new();
            crc.update(&head[4..]);
            crc.update(data);
            assert_eq!(crc.sum(), u32::from_be_bytes(*sum));
            if &head[4..] == b"IHDR" {
                assert_eq!(data[..8], [0, 0, 0, 2, 0, 0, 0, 3]);
            } else if &head[4..] == b"IDAT" {
                let mut rows = Vec::new();
                std::io::copy(&mut flate2::read::ZlibDecoder::new(data), &mut rows).unwrap();
                let rows: Vec<u8> = rows.chunks(1 + 2 * PIXEL).flat_map(|row| row[1..].to_vec()).collect();
                assert_eq!(rows, pixels);
            }
            kinds.push(head[4..].to_vec());
            rest = after;
        }
        assert_eq!(kinds, [b"IHDR", b"IDAT", b"IEND"]);
    }
}
