//! A-law and mu-law, the 8-bit codes of telephones (ITU-T G.711), as 16-bit values.

/// The value of an A-law code.
pub(super) fn alaw(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, step) = (code >> 4 & 7, i16::from(code & 0x0F));
    // Values in the middle of their steps, which are 16 wide in the first two segments and double with each further one.
    let size = match segment {
        0 => step * 16 + 8,
        _ => (step * 16 + 0x108) << (segment - 1),
    };
    if code & 0x80 == 0 { -size } else { size }
}

/// The value of a mu-law code.
pub(super) fn mulaw(code: u8) -> i16 {
    /// The offset that the code adds to each value before it takes the logarithm.
    const BIAS: i16 = 0x84;
    let code = !code;
    let size = (((i16::from(code & 0x0F) << 3) + BIAS) << (code >> 4 & 7)) - BIAS;
    if code & 0x80 == 0 { size } else { -size }
}
