//! OSC packets of a desk: one message each, with integers, floats, texts and blobs.

use rosc::{OscMessage, OscPacket, OscType};
use thiserror::Error;

/// Largest accepted packet in bytes. The longest answer of a desk, the one with the meters, has fewer than 1000.
const MAX_PACKET_BYTES: usize = 8192;
/// OSC type tags that a desk sends: integer, float, text, blob.
const TYPES: &str = "ifsb";

/// A value in a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Type tag `i`.
    Int(i32),
    /// Type tag `f`.
    Float(f32),
    /// Type tag `s`.
    Text(String),
    /// Type tag `b`: bytes.
    Blob(Vec<u8>),
}

/// A message to or from a desk: a question or an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// OSC address, which starts with `/`.
    pub address: String,
    /// Values; none in a question.
    pub values: Vec<Value>,
}

/// Reason why a packet is not a message of a desk.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PacketError {
    /// The packet has this number of bytes, too few or too many.
    #[error("a packet of {0} bytes; expected 4 to {MAX_PACKET_BYTES}")]
    Length(usize),
    /// The packet starts with this byte, not with an address.
    #[error("a packet that starts with byte {0}; expected '/'")]
    Start(u8),
    /// The packet has a value of this type, which a desk does not send.
    #[error("a packet with the type {0:?}; expected one of {TYPES}")]
    Type(char),
    /// The packet is shorter than its address and types require.
    #[error("a packet that ends inside its address or its values")]
    Cut,
}

/// Decodes the message in a packet. Bytes of a text that are not valid UTF-8 (the desk cuts names at 12 bytes) become `?`.
/// [any thread]
///
/// # Errors
/// If the packet is not a message, or has other types than integer, float, text and blob. Bundles and arrays are refused by their
/// first byte or type tag before they are decoded, so depth and size of the result are bounded.
pub fn decode(packet: &[u8]) -> Result<Message, PacketError> {
    if !(4..=MAX_PACKET_BYTES).contains(&packet.len()) {
        return Err(PacketError::Length(packet.len()));
    }
    if packet[0] != b'/' {
        return Err(PacketError::Start(packet[0]));
    }
    let end = text_end(packet, 0).ok_or(PacketError::Cut)?;
    if end >= packet.len() {
        return Ok(Message { address: text(packet), values: Vec::new() });
    }
    let tags = packet[end..].split(|b| *b == 0).next().unwrap_or_default();
    let (comma, types) = tags.split_first().ok_or(PacketError::Cut)?;
    if *comma != b',' {
        return Err(PacketError::Type(char::from(*comma)));
    }
    if let Some(other) = types.iter().find(|t| !TYPES.as_bytes().contains(t)) {
        return Err(PacketError::Type(char::from(*other)));
    }
    let readable = if types.contains(&b'b') { None } else { repaired(packet) };
    let decoded = rosc::decoder::decode_udp(readable.as_deref().unwrap_or(packet));
    let Ok((_, OscPacket::Message(OscMessage { addr, args }))) = decoded else { return Err(PacketError::Cut) };
    let value = |argument| match argument {
        OscType::Int(i) => Ok(Value::Int(i)),
        OscType::Float(f) => Ok(Value::Float(f)),
        OscType::String(s) => Ok(Value::Text(s)),
        OscType::Blob(b) => Ok(Value::Blob(b)),
        _ => Err(PacketError::Cut),
    };
    Ok(Message { address: addr, values: args.into_iter().map(value).collect::<Result<_, _>>()? })
}

/// Encodes a message as a packet. [any thread]
///
/// # Panics
/// If the address does not start with `/`.
#[must_use]
pub fn encode(message: &Message) -> Vec<u8> {
    assert!(message.address.starts_with('/'), "no address: {}", message.address);
    let argument = |value: &Value| match value {
        Value::Int(i) => OscType::Int(*i),
        Value::Float(f) => OscType::Float(*f),
        Value::Text(s) => OscType::String(s.clone()),
        Value::Blob(b) => OscType::Blob(b.clone()),
    };
    let args = message.values.iter().map(argument).collect();
    rosc::encoder::encode(&OscPacket::Message(OscMessage { addr: message.address.clone(), args }))
        .expect("a message with an address can be written")
}

/// Encodes a question: an address without values, which sets nothing.
pub(super) fn question(address: &str) -> Vec<u8> {
    encode(&Message { address: address.into(), values: Vec::new() })
}

/// Decodes the blob of a `/meters` message: the number of levels as a little-endian `u32`, then the levels as little-endian
/// floats, linear, 1.0 at full scale. `None` if the blob is shorter than its number says, or a level is not finite. [any thread]
#[must_use]
pub fn meters(blob: &[u8]) -> Option<Vec<f32>> {
    let (count, levels) = blob.split_first_chunk::<4>()?;
    let count = u32::from_le_bytes(*count) as usize;
    let (levels, _) = levels.as_chunks::<4>();
    let levels: Vec<f32> = levels.get(..count)?.iter().map(|b| f32::from_le_bytes(*b)).collect();
    levels.iter().all(|l| l.is_finite()).then_some(levels)
}

/// Returns the position after the text at `start` and its padding: OSC texts end with a zero byte and fill a multiple of four
/// bytes.
fn text_end(packet: &[u8], start: usize) -> Option<usize> {
    let length = packet[start..].iter().position(|b| *b == 0)?;
    Some((start + length + 1).next_multiple_of(4))
}

/// Returns the text that a packet begins with.
fn text(packet: &[u8]) -> String {
    String::from_utf8_lossy(packet.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
}

/// Returns the packet with `?` for each byte of its texts that is not valid UTF-8. `None` if all bytes are ASCII, or the packet
/// is cut.
fn repaired(packet: &[u8]) -> Option<Vec<u8>> {
    if packet.is_ascii() {
        return None;
    }
    let mut repaired = packet.to_vec();
    let tags = text_end(packet, 0)?;
    let mut at = text_end(packet, tags.min(packet.len()))?;
    let types: Vec<u8> = packet[tags + 1..].iter().copied().take_while(|t| *t != 0).collect();
    question_marks(&mut repaired[..tags]);
    for kind in types {
        let end = if kind == b's' { text_end(packet, at.min(packet.len()))? } else { at + 4 };
        let value = repaired.get_mut(at..end)?;
        if kind == b's' {
            question_marks(value);
        }
        at = end;
    }
    Some(repaired)
}

/// Replaces each byte that is not valid UTF-8 by `?`.
fn question_marks(bytes: &mut [u8]) {
    let mut from = 0;
    while let Err(error) = std::str::from_utf8(&bytes[from..]) {
        from += error.valid_up_to();
        bytes[from] = b'?';
    }
}
