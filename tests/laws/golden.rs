//! Golden renders: the output of each algorithm must not change between versions.
//!
//! `tests/golden/NAME.f32` holds the render of a recipe below: [`FRAMES`] frames of channel 0, then of channel 1, as
//! little-endian 32-bit floats. The input is [`input`]. After a deliberate change of sound, which the changelog must mention,
//! `ISOTHERM_BLESS=1 cargo test --test laws golden` writes the renders again.

use std::path::PathBuf;

use isotherm::algorithm;
use isotherm::dsp::{ProcessSpec, Settings};

const SAMPLE_RATE: f32 = 48_000.0;
const FRAMES: usize = 2048;
/// Largest difference of a sample: the rounding of library functions differs between machines.
const TOLERANCE: f32 = 1e-6;

/// A name, an algorithm, its settings as a user writes them (defaults are left out), and changes on the way: the frame, the
/// parameter, the value.
type Recipe = (&'static str, &'static str, &'static str, &'static [(usize, &'static str, &'static str)]);

const RECIPES: &[Recipe] = &[
    ("saturator_default", "saturator", "", &[]),
    ("saturator_reference", "saturator", "drive=18 bias=0.2 tone=off oversampling=1x dc_blocker=off compensation=off", &[]),
    (
        "saturator_warm",
        "saturator",
        "drive=24 bias=-0.3 tone=2500 slope=12-db/oct oversampling=4x antialiasing=first mix=60 output=-3",
        &[(700, "drive", "6"), (900, "tone", "off"), (1000, "mix", "100"), (1100, "compensation", "off")],
    ),
    ("bitcrusher_default", "bitcrusher", "", &[]),
    (
        "bitcrusher_lofi",
        "bitcrusher",
        "bits=6.5 rate=11025 quantiser=mid-rise dither=tpdf jitter=20 pre_filter=8000 post_filter=6000 mix=90",
        &[(800, "bits", "3"), (1200, "rate", "off")],
    ),
    ("clipper_default", "clipper", "", &[]),
    ("clipper_hard", "clipper", "threshold=-12 shape=hard oversampling=2x output=6", &[(1000, "threshold", "-24")]),
    ("neural_default", "neural", "", &[]),
];

/// The input: in each channel a falling chirp of full scale that fades out (in channel 1 twice as high), and silence in the last
/// eighth.
fn input() -> [Vec<f32>; 2] {
    [1.0, 2.0].map(|high| {
        let mut phase = 0.0f64;
        (0..FRAMES)
            .map(|i| {
                let part = i as f64 / (FRAMES as f64 * 0.875);
                if part >= 1.0 {
                    return 0.0;
                }
                phase += high * 6000.0 * 0.02f64.powf(part) / f64::from(SAMPLE_RATE);
                ((1.0 - part) * (std::f64::consts::TAU * phase).sin()) as f32
            })
            .collect()
    })
}

/// The render of a recipe: channel 0, then channel 1.
fn render(&(name, id, text, changes): &Recipe) -> Vec<f32> {
    let mut settings = Settings::new(algorithm::find(id).unwrap());
    for word in text.split_whitespace() {
        let (id, value) = word.split_once('=').expect("id=value");
        settings.parse(id, value).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let mut processor = settings.prepare(ProcessSpec::new(SAMPLE_RATE, 2, FRAMES)).unwrap();
    let [mut a, mut b] = input();
    let mut at = 0;
    for (frame, id, text) in changes.iter().chain([&(FRAMES, "", "")]) {
        processor.process(&mut [&mut a[at..*frame], &mut b[at..*frame]]);
        if !id.is_empty() {
            settings.parse(id, text).unwrap_or_else(|e| panic!("{name}: {e}"));
            let index = settings.index(id).unwrap();
            processor.set(index, settings.get(index));
        }
        at = *frame;
    }
    [a, b].concat()
}

/// The file of the render `name`.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.f32"))
}

#[test]
fn every_recipe_gives_its_golden_render() {
    let bless = std::env::var_os("ISOTHERM_BLESS").is_some_and(|v| v == "1");
    let mut wrong = Vec::new();
    for recipe in RECIPES {
        let (name, found) = (recipe.0, render(recipe));
        if bless {
            let bytes: Vec<u8> = found.iter().flat_map(|x| x.to_le_bytes()).collect();
            std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            std::fs::write(path(name), bytes).unwrap();
            continue;
        }
        let bytes = std::fs::read(path(name)).unwrap_or_else(|e| panic!("{}: {e}", path(name).display()));
        let golden: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        assert_eq!(golden.len(), found.len(), "{name}");
        let difference = |i: &usize| (golden[*i] - found[*i]).abs();
        let worst = (0..found.len()).max_by(|a, b| difference(a).total_cmp(&difference(b))).unwrap();
        // A negated `<=`, so that NaN is wrong, too.
        if !(0..found.len()).all(|i| difference(&i) <= TOLERANCE) {
            let (channel, frame) = (worst / FRAMES, worst % FRAMES);
            wrong.push(format!("{name}: channel {channel}, frame {frame}: {} was {}", found[worst], golden[worst]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_algorithm_has_a_recipe_with_its_defaults_and_every_render_a_recipe() {
    for row in algorithm::REGISTRY {
        assert!(RECIPES.iter().any(|r| r.1 == row.id && r.2.is_empty() && r.3.is_empty()), "{}", row.id);
    }
    for entry in std::fs::read_dir(path("").parent().unwrap()).unwrap() {
        let file = entry.unwrap().file_name();
        assert!(RECIPES.iter().any(|r| *file == *format!("{}.f32", r.0)), "{}: no recipe", file.display());
    }
}
