//! The error over the time of a training, as a picture.

/// Width and height in pixels, and where the plot is: left, top, right, bottom.
const SIZE: (usize, usize) = (640, 400);
const PLOT: (usize, usize, usize, usize) = (48, 12, 628, 376);
/// Between two dots of a grid line, and how wide the curve is.
const DOTS: usize = 4;
const PEN: usize = 2;

/// 3 x 5 pixels each, rows from the top, the leftmost pixel the highest of three bits.
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
/// Pixels of a glyph's pixel.
const SCALE: usize = 2;

/// One bit a pixel, 1 is white.
struct Picture(Vec<u8>);

impl Picture {
    const ROW: usize = SIZE.0 / 8;

    fn blacken(&mut self, x: usize, y: usize) {
        if x < SIZE.0 && y < SIZE.1 {
            self.0[y * Self::ROW + x / 8] &= !(128 >> (x % 8));
        }
    }

    fn write(&mut self, text: &str, (left, top): (usize, usize)) {
        for (i, letter) in text.chars().enumerate() {
            let Some((_, rows)) = GLYPHS.iter().find(|(c, _)| *c == letter) else { continue };
            for (y, row) in rows.iter().enumerate() {
                for x in (0..3).filter(|x| row & (4 >> x) != 0) {
                    for k in 0..SCALE * SCALE {
                        self.blacken(left + SCALE * (4 * i + x) + k % SCALE, top + SCALE * y + k / SCALE);
                    }
                }
            }
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
        for i in 0..=steps as usize {
            let part = i as f64 / steps;
            let (x, y) = (from.0 + part * (to.0 - from.0), from.1 + part * (to.1 - from.1));
            for k in 0..PEN * PEN {
                self.blacken(x as usize + k % PEN, y as usize + k / PEN);
            }
        }
    }
}

/// A PNG of errors over seconds: the axis of errors is logarithmic, with a line for each power of ten.
pub fn png(points: &[(f64, f64)]) -> Vec<u8> {
    let mut picture = Picture(vec![255; SIZE.1 * Picture::ROW]);
    let (left, top, right, bottom) = PLOT;
    let points: Vec<(f64, f64)> = points.iter().filter(|(_, e)| *e > 0.0).map(|(s, e)| (*s, e.log10())).collect();
    let highest = points.iter().map(|p| p.1).fold(-1.0, f64::max).ceil();
    let lowest = points.iter().map(|p| p.1).fold(highest - 1.0, f64::min).floor();
    let end = points.iter().map(|p| p.0).fold(1e-9, f64::max);
    let x_of = |seconds: f64| left as f64 + seconds / end * (right - left) as f64;
    let y_of = |log: f64| top as f64 + (highest - log) / (highest - lowest) * (bottom - top) as f64;
    for power in lowest as i32..=highest as i32 {
        let y = y_of(f64::from(power)) as usize;
        (left..right).step_by(DOTS).for_each(|x| picture.blacken(x, y));
        picture.write(&format!("1e{power}"), (4, y.saturating_sub(4)));
    }
    (top..=bottom).for_each(|y| picture.blacken(left, y));
    picture.write("0", (left, bottom + 8));
    let text = format!("{end:.1}s");
    picture.write(&text, (right - 4 * SCALE * text.len(), bottom + 8));
    let place = |point: (f64, f64)| (x_of(point.0), y_of(point.1));
    for (from, to) in points.iter().zip(points.iter().skip(1).chain(points.last())) {
        picture.line(place(*from), place(*to));
    }
    file(&picture)
}

/// PNG (ISO/IEC 15948): header, one stored block a row, end.
fn file(picture: &Picture) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8; 4], data: &[u8]| {
        let body = [name.as_slice(), data].concat();
        out.extend((data.len() as u32).to_be_bytes());
        out.extend(&body);
        out.extend(crc32(&body).to_be_bytes());
    };
    let mut header = [(SIZE.0 as u32).to_be_bytes(), (SIZE.1 as u32).to_be_bytes()].concat();
    // One bit of grey, no interlacing.
    header.extend([1, 0, 0, 0, 0]);
    chunk(b"IHDR", &header);
    let mut data = vec![0x78, 0x01];
    // Adler-32 (RFC 1950).
    let (mut a, mut b) = (1u32, 0u32);
    for (y, row) in picture.0.chunks_exact(Picture::ROW).enumerate() {
        let length = 1 + Picture::ROW as u16;
        data.push(u8::from(y + 1 == SIZE.1));
        data.extend(length.to_le_bytes());
        data.extend((!length).to_le_bytes());
        // The row's filter, none, and its bytes.
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

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
