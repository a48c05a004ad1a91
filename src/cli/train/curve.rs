//! The plot of a training: its error over time as a black and white PNG.

/// Width and height of the bitmap in pixels.
const SIZE: (usize, usize) = (640, 400);
/// Left, top, right and bottom edge of the plot in pixels.
const PLOT: (usize, usize, usize, usize) = (48, 12, 628, 376);
/// Pixels between two dots of a grid line.
const DOT_SPACING: usize = 4;
/// Width of the curve in pixels.
const LINE_WIDTH: usize = 2;

/// The characters of the labels, 3 x 5 pixels each: rows from the top, the highest of three bits is the leftmost pixel.
const GLYPHS: [(char, [u8; 5]); 14] = [
    ('0', [7, 5, 5, 5, 7]),
    ('1', [2, 6, 2, 2, 7]),
    ('2', [7, 1, 7, 4, 7]),
    ('3', [7, 1, 7, 1, 7]),
    ('4', [5, 5, 7, 1, 1]),
    ('5', [7, 4, 7, 1, 7]),
    ('6', [7, 4, 7, 5, 7]),
    ('7', [7, 1, 1, 2, 2]),
    ('8', [7, 5, 7, 5, 7]),
    ('9', [7, 5, 7, 1, 7]),
    ('e', [0, 7, 7, 4, 7]),
    ('-', [0, 0, 7, 0, 0]),
    ('.', [0, 0, 0, 0, 2]),
    ('s', [0, 7, 6, 3, 7]),
];
/// Each pixel of a glyph is drawn as a square of this width.
const GLYPH_SCALE: usize = 2;

/// A bitmap of one bit per pixel: 0 is black, 1 is white, the highest bit of a byte is the leftmost pixel.
struct Bitmap(Vec<u8>);

impl Bitmap {
    /// Bytes of a row.
    const ROW_BYTES: usize = SIZE.0 / 8;

    /// Makes a pixel black; does nothing outside of the bitmap.
    fn set_black(&mut self, x: usize, y: usize) {
        if x < SIZE.0 && y < SIZE.1 {
            self.0[y * Self::ROW_BYTES + x / 8] &= !(128 >> (x % 8));
        }
    }

    /// Draws a text; characters without a glyph are left out.
    fn draw_text(&mut self, text: &str, (left, top): (usize, usize)) {
        for (i, character) in text.chars().enumerate() {
            let Some((_, rows)) = GLYPHS.iter().find(|(c, _)| *c == character) else { continue };
            for (y, row) in rows.iter().enumerate() {
                for x in (0..3).filter(|x| row & (4 >> x) != 0) {
                    for k in 0..GLYPH_SCALE * GLYPH_SCALE {
                        self.set_black(
                            left + GLYPH_SCALE * (4 * i + x) + k % GLYPH_SCALE,
                            top + GLYPH_SCALE * y + k / GLYPH_SCALE,
                        );
                    }
                }
            }
        }
    }

    fn draw_line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
        for i in 0..=steps as usize {
            let fraction = i as f64 / steps;
            let (x, y) = (from.0 + fraction * (to.0 - from.0), from.1 + fraction * (to.1 - from.1));
            for k in 0..LINE_WIDTH * LINE_WIDTH {
                self.set_black(x as usize + k % LINE_WIDTH, y as usize + k / LINE_WIDTH);
            }
        }
    }
}

/// Returns a PNG of errors over seconds. The axis of errors is logarithmic, with a grid line for each power of ten.
pub fn plot_png(points: &[(f64, f64)]) -> Vec<u8> {
    let mut bitmap = Bitmap(vec![255; SIZE.1 * Bitmap::ROW_BYTES]);
    let (left, top, right, bottom) = PLOT;
    let points: Vec<(f64, f64)> = points.iter().filter(|(_, e)| *e > 0.0).map(|(s, e)| (*s, e.log10())).collect();
    let highest = points.iter().map(|p| p.1).fold(-1.0, f64::max).ceil();
    let lowest = points.iter().map(|p| p.1).fold(highest - 1.0, f64::min).floor();
    let end = points.iter().map(|p| p.0).fold(1e-9, f64::max);
    let x_of = |seconds: f64| left as f64 + seconds / end * (right - left) as f64;
    let y_of = |log: f64| top as f64 + (highest - log) / (highest - lowest) * (bottom - top) as f64;
    for power in lowest as i32..=highest as i32 {
        let y = y_of(f64::from(power)) as usize;
        (left..right).step_by(DOT_SPACING).for_each(|x| bitmap.set_black(x, y));
        bitmap.draw_text(&format!("1e{power}"), (4, y.saturating_sub(4)));
    }
    (top..=bottom).for_each(|y| bitmap.set_black(left, y));
    bitmap.draw_text("0", (left, bottom + 8));
    let text = format!("{end:.1}s");
    bitmap.draw_text(&text, (right - 4 * GLYPH_SCALE * text.len(), bottom + 8));
    let position = |point: (f64, f64)| (x_of(point.0), y_of(point.1));
    for (from, to) in points.iter().zip(points.iter().skip(1).chain(points.last())) {
        bitmap.draw_line(position(*from), position(*to));
    }
    encode_png(&bitmap)
}

/// Returns the bitmap as a PNG file (ISO/IEC 15948): a header, a stored (uncompressed) block per row, and the end.
fn encode_png(bitmap: &Bitmap) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8; 4], data: &[u8]| {
        let body = [name.as_slice(), data].concat();
        out.extend((data.len() as u32).to_be_bytes());
        out.extend(&body);
        out.extend(crc32(&body).to_be_bytes());
    };
    let mut header = [(SIZE.0 as u32).to_be_bytes(), (SIZE.1 as u32).to_be_bytes()].concat();
    // Bit depth 1, greyscale, deflate, adaptive filters, no interlacing.
    header.extend([1, 0, 0, 0, 0]);
    chunk(b"IHDR", &header);
    // The header of a zlib stream (RFC 1950).
    let mut data = vec![0x78, 0x01];
    // The two sums of its checksum, Adler-32.
    let (mut a, mut b) = (1u32, 0u32);
    for (y, row) in bitmap.0.chunks_exact(Bitmap::ROW_BYTES).enumerate() {
        let length = 1 + Bitmap::ROW_BYTES as u16;
        data.push(u8::from(y + 1 == SIZE.1));
        data.extend(length.to_le_bytes());
        data.extend((!length).to_le_bytes());
        // The row's filter type, 0 for none, and its bytes.
        for &byte in [0].iter().chain(row) {
            data.push(byte);
            a = (a + u32::from(byte)) % 65_521;
            b = (b + a) % 65_521;
        }
    }
    data.extend((b << 16 | a).to_be_bytes());
    chunk(b"IDAT", &data);
    chunk(b"IEND", &[]);
    out
}

/// Returns the CRC-32 of ISO 3309, which PNG uses.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
