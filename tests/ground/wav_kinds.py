"""Makes WAV files as crashed recorders, streams, editors and desks leave them, and reads each with libsndfile.

Called as `python wav_kinds.py FOLDER`; needs numpy and soundfile. Writes for each kind `NAME.wav`; `NAME.true`, the sound that it
carries, as float64; and `NAME.peer`, what libsndfile reads, as float64. Prints a JSON object: the version of libsndfile
and a list of the kinds with name, description, channels, and libsndfile's frames or error.

Called as `python wav_kinds.py FOLDER read`, it only writes `NAME.peer` for each `NAME.mended` in the folder, a WAV file; an error is one
of the script.
"""

import json
import os
import struct
import sys

import numpy as np
import soundfile

RATE, FRAMES = 48000, 4800
FOLDER = sys.argv[1]
GUID_TAIL = bytes([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71])
AMBISONIC_TAIL = bytes([0, 0, 0x21, 0x07, 0xD3, 0x11, 0x86, 0x44, 0xC8, 0xC1, 0xCA, 0, 0, 0])
UNKNOWN = 0xFFFFFFFF
time = np.arange(FRAMES) / RATE
if sys.argv[2:] == ["read"]:
    for name in os.listdir(FOLDER):
        stem, ending = os.path.splitext(os.path.join(FOLDER, name))
        if ending == ".mended":
            with open(stem + ending, "rb") as file:
                soundfile.read(file, always_2d=True)[0].astype("<f8").tofile(stem + ".peer")
    sys.exit()
SOUND = np.stack([0.5 * np.sin(2 * np.pi * 440 * time), 0.25 * np.sin(2 * np.pi * 1000 * time)], axis=1)


def chunk(name, body, size=None, pad=True):
    head = name + struct.pack("<I", len(body) if size is None else size)
    return head + body + (b"\0" if pad and len(body) % 2 else b"")


def riff(*chunks, name=b"RIFF", size=None):
    body = b"WAVE" + b"".join(chunks)
    return name + struct.pack("<I", len(body) if size is None else size) + body


def fmt(tag=1, channels=2, rate=RATE, bits=24, container=None, frame=None, byte_rate=None, more=b""):
    frame = channels * (container or (bits + 7) // 8) if frame is None else frame
    byte_rate = rate * frame if byte_rate is None else byte_rate
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, byte_rate, frame, bits) + more)


def extensible(tag=1, channels=2, bits=24, container=None, valid=None, tail=GUID_TAIL, size=22, more=b""):
    extension = struct.pack("<HHIH", size, bits if valid is None else valid, 3 if channels == 2 else 0, tag) + tail + more
    return fmt(0xFFFE, channels, bits=bits, container=container, more=extension)


def sound(channels=2):
    return np.stack([SOUND[:, i % 2] for i in range(channels)], axis=1)


def codes(bits, channels=2):
    return np.round(sound(channels) * 2 ** (bits - 1)).astype(np.int64)


def pcm(bits, channels=2, container=None, at_top=True):
    """The bytes of integer samples, and their values."""
    width = container or (bits + 7) // 8
    values, shift = codes(bits, channels), 8 * width - bits
    shifted = values << shift if at_top else values
    if width == 1:
        data = (shifted + 128).astype(np.uint8).tobytes()
    else:
        data = shifted.astype("<i8").view(np.uint8).reshape(FRAMES, channels, 8)[:, :, :width].tobytes()
    return data, shifted / 2.0 ** (8 * width - 1)


def floats(kind, gain=1):
    values = (SOUND * gain).astype(kind)
    return values.tobytes(), values.astype(np.float64)


P24, T24 = pcm(24)
P16, T16 = pcm(16)
F32, TF32 = floats("<f4")
F64, TF64 = floats("<f8")
HALF = len(P24) // 2 // 6 * 6
INFO = chunk(b"LIST", b"INFOISFT\x04\0\0\0abc\0")
KINDS = []


def kind(name, description, file, true):
    KINDS.append((name, description, file, true))


def ds64(riff_size, data_size):
    return chunk(b"ds64", struct.pack("<QQQI", riff_size, data_size, FRAMES, 0))


def rf64(name, data_size, chunk_size):
    head = ds64(36 + 24 + 8 + 4 + len(P24), data_size)
    return riff(head, fmt(), chunk(b"data", P24, chunk_size), name=name, size=UNKNOWN)


plain = riff(fmt(), chunk(b"data", P24))
kind("plain", "24 bits, in order", plain, T24)

# Sizes that were never filled in.
for size in [0, 0x7FFFFFFF, 0x7FFFEFFC, 0x7FFFF000, 0xFFFFFFDB, UNKNOWN]:
    kind(f"size-{size:X}", f"size of the sound {size:X}, of a stream or a killed recorder", riff(fmt(), chunk(b"data", P24, size), size=size), T24)
kind("size-0-list", "size of the sound 0, with a LIST chunk after it", riff(fmt(), chunk(b"data", P24, 0), INFO, size=0), T24)
mono, mono_true = pcm(16, 1)
kind("size-0-fllr", "size of the sound 0, a filler in front (Apple's AVAudioRecorder)", riff(fmt(1, 1, bits=16), chunk(b"FLLR", bytes(4032)), chunk(b"data", mono, 0), size=4088), mono_true)
kind("size-too-small", "half the size of the sound, of a recorder killed between two updates", riff(fmt(), chunk(b"data", P24, HALF)), T24)
kind("size-too-small-list", "the same, with a LIST chunk after the sound", riff(fmt(), chunk(b"data", P24, HALF), INFO), T24)

# Sound that is not all there.
kind("half", "cut half way", plain[: 44 + HALF], T24[: HALF // 6])
kind("one-byte-less", "the last byte is missing", plain[:-1], T24[:-1])
kind("inside-frame", "the sound ends inside a frame", riff(fmt(), chunk(b"data", P24[:-2])), T24[:-1])
kind("riff-size", "a wrong size of the file in its header", riff(fmt(), chunk(b"data", P24), size=0x01F92214), T24)
kind("no-frames", "no sound", riff(fmt(), chunk(b"data", b"")), None)
kind("no-data", "no data chunk", riff(fmt()), None)

# Chunks.
bext = bytes(b"a" * 603)
kind("odd-unpadded", "an odd chunk without its pad byte", riff(chunk(b"bext", bext, pad=False), fmt(), chunk(b"data", P24)), T24)
kind("odd-pad", "a pad byte that is not 0", riff(chunk(b"bext", bext, pad=False) + b"x", fmt(), chunk(b"data", P24)), T24)
kind("list-first", "a LIST chunk before fmt", riff(INFO, fmt(), chunk(b"data", P24)), T24)
kind("id3-after", "an ID3 chunk after the sound", riff(fmt(), chunk(b"data", P24), chunk(b"id3 ", b"ID3\x03" + bytes(17))), T24)
kind("id3-before", "an ID3 tag before RIFF", b"ID3\x03\0\0\0\0\0\x0a" + bytes(10) + plain, T24)
kind("id3v1-after", "an ID3v1 tag after the file", plain + b"TAG" + bytes(125), T24)
kind("zeros-after", "zeros after the file", plain + bytes(4096), T24)
kind("list-zeros-after", "a LIST chunk and zeros after the sound", riff(fmt(), chunk(b"data", P24), INFO) + bytes(4096), T24)
kind("long-list-after", "a chunk after the sound that is longer than the file", plain + b"LIST\xff\xff\xff\x7fINFO", T24)
kind("data-first", "data before fmt", riff(chunk(b"data", P24), fmt()), None)
kind("two-data", "two data chunks", riff(fmt(), chunk(b"data", P24[:HALF]), chunk(b"data", P24[HALF:])), T24[: HALF // 6])
xlive, xlive_true = pcm(24, 32, container=4)
kind("x-live", "32 channels of 32 bits after 32 KiB of junk (X-LIVE)", riff(fmt(1, 32, bits=32), chunk(b"junk", bytes(32716)), chunk(b"data", xlive)), xlive_true)

# Forms of the fmt chunk.
kind("fmt-40", "a plain fmt chunk of 40 bytes", riff(fmt(more=bytes(24)), chunk(b"data", P24)), T24)
kind("valid-0", "extensible, 0 valid bits", riff(extensible(bits=16, valid=0), chunk(b"data", P16)), T16)
kind("ext-48", "extensible, 48 bytes", riff(extensible(size=30, more=bytes(8)), chunk(b"data", P24)), T24)
kind("ext-size-0", "extensible, size of the extension 0", riff(extensible(size=0), chunk(b"data", P24)), T24)
kind("ext-18", "extensible, 18 bytes", riff(fmt(0xFFFE, more=b"\0\0"), chunk(b"data", P24)), T24)
p4, t4 = pcm(24, 4)
kind("ambisonic", "extensible, ambisonic B-format", riff(extensible(channels=4, tail=AMBISONIC_TAIL), chunk(b"data", p4)), t4)
p20, t20 = pcm(20, container=3)
kind("20-in-24", "20 bits in 3 bytes, extensible", riff(extensible(valid=20), chunk(b"data", p20)), t20)
kind("20-plain", "20 bits in 3 bytes", riff(fmt(bits=20), chunk(b"data", p20)), t20)
p32, t32 = pcm(24, container=4)
kind("24-in-32", "24 bits in 4 bytes, extensible", riff(extensible(bits=32, container=4, valid=24), chunk(b"data", p32)), t32)
kind("24-in-32-plain", "24 bits in 4 bytes", riff(fmt(container=4), chunk(b"data", p32)), t32)
low, low_true = pcm(24, container=4, at_top=False)
kind("24-in-32-low", "24 bits in the low bytes of 4", riff(fmt(container=4), chunk(b"data", low)), low_true)
p12, t12 = pcm(12, container=2)
kind("12-bit", "12 bits in 2 bytes", riff(fmt(bits=12), chunk(b"data", p12)), t12)
kind("align-0", "size of a frame 0", riff(fmt(frame=0), chunk(b"data", P24)), T24)
kind("align-4", "size of a frame that disagrees", riff(fmt(frame=4), chunk(b"data", P24)), T24)
kind("byte-rate-0", "byte rate 0", riff(fmt(byte_rate=0), chunk(b"data", P24)), T24)
kind("rate-0", "sample rate 0", riff(fmt(rate=0), chunk(b"data", P24)), None)
kind("rate-384000", "sample rate 384 kHz", riff(fmt(rate=384000), chunk(b"data", P24)), T24)
p64, t64 = pcm(24, 64)
kind("64-channels", "64 channels, extensible", riff(extensible(channels=64), chunk(b"data", p64)), t64)

# Codings.
p8, t8 = pcm(8)
kind("8-bit", "8 bits", riff(fmt(bits=8), chunk(b"data", p8)), t8)
kind("f32", "32-bit float", riff(fmt(3, bits=32), chunk(b"data", F32)), TF32)
kind("f32-ext", "32-bit float, extensible", riff(extensible(3, bits=32), chunk(b"data", F32)), TF32)
loud, loud_true = floats("<f4", 9)
kind("f32-loud", "32-bit float above full scale", riff(fmt(3, bits=32), chunk(b"data", loud)), loud_true)
kind("f64", "64-bit float", riff(fmt(3, bits=64, more=b"\0\0"), chunk(b"data", F64)), TF64)
nan = np.frombuffer(F32, "<f4").copy()
nan[200] = np.nan
kind("f32-nan", "32-bit float with a NaN", riff(fmt(3, bits=32), chunk(b"data", nan.tobytes())), None)
kind("f16", "16-bit float", riff(fmt(3, bits=16), chunk(b"data", SOUND.astype("<f2").tobytes())), None)
kind("f24-adobe", "24-bit float of Adobe Audition", riff(fmt(3, bits=24, container=4), chunk(b"data", F32)), None)
kind("mp3", "MP3 in WAV", riff(fmt(0x55, bits=0, frame=1, more=struct.pack("<HHIHHH", 12, 1, 2, 1152, 1, 1393)), chunk(b"data", bytes(1152))), None)
swapped = np.frombuffer(P16, "<i2").astype(">i2").tobytes()
big = struct.pack(">HHIIHH", 1, 2, RATE, 4 * RATE, 4, 16)
unfilled = b"RIFX" + bytes(4) + b"WAVEfmt " + struct.pack(">I", 16) + big + b"data" + bytes(4) + swapped
kind("rifx-size-0", "RIFX, size of the sound 0, with a LIST chunk after it", unfilled + b"LIST" + struct.pack(">I", 4) + b"INFO", T16)
kind("rifx", "RIFX, 16 bits", b"RIFX" + struct.pack(">I", 36 + len(P16)) + b"WAVEfmt " + struct.pack(">I", 16) + big + b"data" + struct.pack(">I", len(P16)) + swapped, T16)

# 64-bit sizes.
kind("rf64", "RF64", rf64(b"RF64", len(P24), UNKNOWN), T24)
kind("bw64", "BW64", rf64(b"BW64", len(P24), UNKNOWN), T24)
kind("rf64-size", "RF64, size also in the data chunk", rf64(b"RF64", len(P24), len(P24)), T24)
kind("rf64-size-0", "RF64, size of the data chunk 0", rf64(b"RF64", len(P24), 0), T24)
kind("rf64-ds64-0", "RF64, size 0 in ds64", rf64(b"RF64", 0, UNKNOWN), T24)
kind("rf64-ds64-minus-1", "RF64, size -1 in ds64", rf64(b"RF64", 2**64 - 1, UNKNOWN), T24)
kind("rf64-ds64-small", "RF64, half the size in ds64", rf64(b"RF64", HALF, UNKNOWN), T24)
kind("rf64-ds64-long", "RF64, 4 GiB too many in ds64", rf64(b"RF64", 2**32 + len(P24), UNKNOWN), T24)
kind("rf64-no-ds64", "RF64 without ds64", riff(fmt(), chunk(b"data", P24, UNKNOWN), name=b"RF64", size=UNKNOWN), T24)
kind("riff-ds64", "RIFF with ds64", rf64(b"RIFF", len(P24), UNKNOWN), T24)


def path(name, ending="wav"):
    return os.path.join(FOLDER, f"{name}.{ending}")


for name, description, file, _ in KINDS:
    with open(path(name), "wb") as out:
        out.write(file)

# Kinds that libsndfile writes; None in the place of the sound that it reads back itself.
for name, description, subtype, form in [
    ("a-law", "A-law", "ALAW", "WAV"),
    ("mu-law", "mu-law", "ULAW", "WAV"),
    ("ima-adpcm", "IMA ADPCM", "IMA_ADPCM", "WAV"),
    ("ms-adpcm", "Microsoft ADPCM", "MS_ADPCM", "WAV"),
    ("gsm", "GSM 6.10", "GSM610", "WAV"),
    ("w64", "Sony Wave64", "PCM_24", "W64"),
    ("rifx-f32", "RIFX, 32-bit float", "FLOAT", "WAV"),
    ("rf64-f32", "RF64, 32-bit float, by libsndfile", "FLOAT", "RF64"),
]:
    is_gsm = subtype == "GSM610"
    endian = "BIG" if name == "rifx-f32" else "FILE"
    with soundfile.SoundFile(path(name), "w", 8000 if is_gsm else RATE, 1 if is_gsm else 2, subtype, endian, form) as out:
        out.write(SOUND[:, :1] if is_gsm else SOUND)
    reads = name in ("a-law", "mu-law", "rifx-f32", "rf64-f32")
    KINDS.append((name, description, None, soundfile.read(path(name), always_2d=True)[0] if reads else None))

rows = []
for name, description, _, true in KINDS:
    row = {"name": name, "description": description, "reads": true is not None}
    if true is not None:
        row["channels"] = true.shape[1]
        true.astype("<f8").tofile(path(name, "true"))
    try:
        data, _ = soundfile.read(path(name), always_2d=True)
        row["frames"] = len(data)
        data.astype("<f8").tofile(path(name, "peer"))
    except (soundfile.LibsndfileError, RuntimeError) as error:
        row["error"] = str(error).split(": ", 1)[-1]
    rows.append(row)
print(json.dumps({"libsndfile": soundfile.__libsndfile_version__, "kinds": rows}))
