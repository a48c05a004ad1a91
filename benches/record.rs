//! Cost of recording: conversion, the whole path to the disk, and a block on the audio thread.
//! `cargo bench --no-default-features --features record --bench record`

#![allow(clippy::unwrap_used)]

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use isotherm::audio::WavFormat;
use isotherm::record::pcm::{Converter, InstructionSet, WordFormat, float_words};
use isotherm::record::{Recorder, RecorderSettings};

/// Channels of the recorded sound.
const CHANNELS: usize = 32;
/// Sample rate in hertz.
const RATE: usize = 48_000;
/// Frames per block.
const FRAMES: usize = 256;

/// Format of the files that the crate hound writes for comparison.
const HOUND: hound::WavSpec =
    hound::WavSpec { channels: 1, sample_rate: RATE as u32, bits_per_sample: 24, sample_format: hound::SampleFormat::Int };

/// A second of sound per channel, below full scale.
fn one_second() -> Vec<Vec<f32>> {
    (0..CHANNELS).map(|c| (0..RATE).map(|i| ((i * (c + 7)) % 1999) as f32 / 1000.0 - 0.9995).collect()).collect()
}

fn conversion(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("32 channels x 48 kHz, a second, to 24-bit");
    let planar = one_second();
    // One block is written again and again, so that it is in the cache, as in a callback.
    let interleaved: Vec<f32> = (0..FRAMES).flat_map(|i| planar.iter().map(move |c| c[i])).collect();
    let mut out = vec![0; RATE * 3];
    for set in [InstructionSet::Portable, InstructionSet::Avx2] {
        let converter = Converter::with_instruction_set(set, WordFormat::Float, WavFormat::Int24);
        group.bench_function(format!("planar, blocks of 256, {}", converter.instruction_set()), |b| {
            b.iter(|| {
                for at in (0..RATE).step_by(FRAMES) {
                    for channel in &planar {
                        let samples = &channel[..FRAMES.min(RATE - at)];
                        converter.convert(black_box(float_words(samples)), &mut out[..samples.len() * 3]);
                    }
                }
            });
        });
        group.bench_function(format!("interleaved, blocks of 256, {}", converter.instruction_set()), |b| {
            b.iter(|| {
                for at in (0..RATE).step_by(FRAMES) {
                    for channel in 0..CHANNELS {
                        let out = &mut out[..FRAMES.min(RATE - at) * 3];
                        converter.convert_strided(black_box(&float_words(&interleaved)[channel..]), CHANNELS, out);
                    }
                }
            });
        });
    }
    group.bench_function("hound in memory", |b| {
        b.iter(|| {
            for channel in &planar {
                let mut writer = hound::WavWriter::new(std::io::Cursor::new(Vec::with_capacity(200_000)), HOUND).unwrap();
                for x in channel {
                    writer.write_sample((black_box(x) * 8_388_608.0).round_ties_even() as i32).unwrap();
                }
                writer.finalize().unwrap();
            }
        });
    });
}

/// libsndfile, loaded at run time.
struct Sndfile {
    library: libloading::Library,
}

/// `SF_INFO` of sndfile.h.
#[repr(C)]
struct SfInfo {
    frames: i64,
    samplerate: c_int,
    channels: c_int,
    format: c_int,
    sections: c_int,
    seekable: c_int,
}

/// `SFM_WRITE` of sndfile.h.
const SFM_WRITE: c_int = 0x20;
/// `SF_FORMAT_WAV | SF_FORMAT_PCM_24` of sndfile.h.
const WAV_24: c_int = 0x01_0000 | 0x0003;

impl Sndfile {
    fn load() -> Option<Self> {
        // SAFETY: the initialisers of libsndfile have no preconditions.
        let library = unsafe { libloading::Library::new("libsndfile.so.1") };
        if library.is_err() {
            println!("skipped: libsndfile is not installed");
        }
        Some(Self { library: library.ok()? })
    }

    fn create(&self, path: &Path) -> *mut c_void {
        let path = CString::new(path.to_str().unwrap()).unwrap();
        let mut info = SfInfo { frames: 0, samplerate: RATE as c_int, channels: 1, format: WAV_24, sections: 0, seekable: 0 };
        // SAFETY: the type is the function's signature in sndfile.h, and both pointers are valid during the call.
        let file = unsafe {
            type Open = unsafe extern "C" fn(*const c_char, c_int, *mut SfInfo) -> *mut c_void;
            (self.library.get::<Open>(b"sf_open").unwrap())(path.as_ptr(), SFM_WRITE, &raw mut info)
        };
        assert!(!file.is_null());
        file
    }

    fn write(&self, file: *mut c_void, samples: &[f32]) {
        type Write = unsafe extern "C" fn(*mut c_void, *const f32, i64) -> i64;
        // SAFETY: the type is the function's signature in sndfile.h; the file is open, and the pointer is valid for so many
        // samples.
        let n = unsafe { (self.library.get::<Write>(b"sf_write_float").unwrap())(file, samples.as_ptr(), samples.len() as i64) };
        assert_eq!(n, samples.len() as i64);
    }

    fn close(&self, file: *mut c_void) {
        // SAFETY: the type is the function's signature in sndfile.h; the file is open and not used again.
        unsafe { (self.library.get::<unsafe extern "C" fn(*mut c_void) -> c_int>(b"sf_close").unwrap())(file) };
    }
}

/// CPU time of the process; wall-clock time on systems other than Linux.
fn cpu_time() -> Duration {
    #[cfg(target_os = "linux")]
    if let Ok(time) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID) {
        return time.into();
    }
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}

/// Calls `process_block` with each block of a second of sound in real time. Returns the CPU time that this took.
fn time_paced(sound: &[Vec<f32>], mut process_block: impl FnMut(&[&[f32]])) -> Duration {
    let (start, before) = (Instant::now(), cpu_time());
    for at in (0..RATE).step_by(FRAMES) {
        let due = start + Duration::from_secs(1) * at as u32 / RATE as u32;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let views: Vec<&[f32]> = sound.iter().map(|c| &c[at..RATE.min(at + FRAMES)]).collect();
        process_block(&views);
    }
    cpu_time() - before
}

/// Number of seconds that each method is measured for; the median counts.
const ROUNDS: usize = 9;

/// Compares methods of writing sound to the disk in CPU milliseconds per second of sound. The methods take turns, so that other
/// load on the machine affects all of them. The cost of the first method, which only sleeps, is subtracted.
fn whole_path(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into())).unwrap();
    let sound = one_second();
    let methods = [
        "sleeping",
        "the bytes alone, 64 KiB at a time",
        "recorder",
        "recorder, hashes",
        "recorder, hashes, sync",
        "hound",
        "libsndfile",
    ];
    let sndfile = Sndfile::load();
    let recorder = |sync, hashes| {
        let mut settings = RecorderSettings::new(folder.path().join(format!("{sync} {hashes}")), "bench", RATE as u32, CHANNELS);
        (settings.sync, settings.hashes) = (sync, hashes);
        Recorder::open(settings).unwrap()
    };
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); methods.len()];
    for _ in 0..ROUNDS {
        for (method, times) in times.iter_mut().enumerate().take(if sndfile.is_some() { 7 } else { 6 }) {
            times.push(match method {
                0 => time_paced(&sound, |block| assert_eq!(black_box(block).len(), CHANNELS)),
                1 => {
                    let path = |c| folder.path().join(format!("{c}.raw"));
                    let mut files: Vec<File> = (0..CHANNELS).map(|c| File::create(path(c)).unwrap()).collect();
                    let (bytes, mut waiting) = (vec![1_u8; 64 * 1024], 0);
                    time_paced(&sound, |block| {
                        waiting += block[0].len() * 3;
                        if waiting >= bytes.len() {
                            waiting -= bytes.len();
                            files.iter_mut().for_each(|file| file.write_all(&bytes).unwrap());
                        }
                    })
                }
                2..=4 => {
                    let (recorder, mut writer) = recorder(method == 4, method > 2);
                    // The first second, in which files are created, is not measured.
                    time_paced(&sound, |block| assert_eq!(writer.write(block), 0));
                    let time = time_paced(&sound, |block| assert_eq!(writer.write(block), 0));
                    recorder.close().iter().for_each(|(folder, _)| std::fs::remove_dir_all(folder).unwrap());
                    time
                }
                6 => {
                    let sndfile = sndfile.as_ref().unwrap();
                    let path = |c| folder.path().join(format!("{c} sf.wav"));
                    let files: Vec<_> = (0..CHANNELS).map(|c| sndfile.create(&path(c))).collect();
                    let time = time_paced(&sound, |block| {
                        files.iter().zip(block).for_each(|(file, channel)| sndfile.write(*file, channel));
                    });
                    files.iter().for_each(|file| sndfile.close(*file));
                    time
                }
                _ => {
                    let path = |c| folder.path().join(format!("{c}.wav"));
                    let mut files: Vec<_> = (0..CHANNELS).map(|c| hound::WavWriter::create(path(c), HOUND).unwrap()).collect();
                    time_paced(&sound, |block| {
                        for (file, channel) in files.iter_mut().zip(block) {
                            for x in *channel {
                                file.write_sample((x * 8_388_608.0).round_ties_even() as i32).unwrap();
                            }
                        }
                    })
                }
            });
        }
    }
    println!("32 channels x 48 kHz in blocks of 256: CPU ms per second of sound, median and minimum of {ROUNDS}");
    for times in &mut times {
        times.sort();
    }
    let sleeping = [times[0][ROUNDS / 2], times[0][0]];
    for (method, times) in methods.iter().zip(&times).filter(|(_, times)| !times.is_empty()) {
        let [median, minimum] = [times[ROUNDS / 2], times[0]].map(|t| t.as_secs_f64() * 1e3);
        let [net, net_minimum] = [0, 1].map(|i| [median, minimum][i] - sleeping[i].as_secs_f64() * 1e3);
        println!("{method:36} {median:6.2} {minimum:6.2}   without sleeping {net:6.2} {net_minimum:6.2}");
    }

    let mut group = criterion.benchmark_group("the audio thread");
    group.bench_function("a block of 256 x 32", |b| {
        let mut settings = RecorderSettings::new(folder.path().into(), "bench", RATE as u32, CHANNELS);
        settings.sync = false;
        let (recorder, mut writer) = Recorder::open(settings).unwrap();
        let block: Vec<&[f32]> = sound.iter().map(|c| &c[..FRAMES]).collect();
        b.iter_custom(|n| {
            let mut time = Duration::ZERO;
            for i in 0..n {
                // Waits for the disk thread now and then, so that the ring stays nearly empty, as it is when the disk is fast.
                if i % 64 == 0 {
                    while recorder.health().frames + 48_000 < writer.position() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                let start = Instant::now();
                writer.write(black_box(&block));
                time += start.elapsed();
            }
            time
        });
        recorder.close().iter().for_each(|(folder, _)| std::fs::remove_dir_all(folder).unwrap());
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    targets = conversion, whole_path
}
criterion_main!(benches);
