//! Stored comparisons with their verdicts: `verdicts.json`. A side `made:CHANGE` is a file made of side A, `CHANGE:MODEL` one made of a
//! shipped model's output.

use std::path::{Path, PathBuf};

use isotherm::audio::wav::{WavFormat, write};
use isotherm::audio::{Audio, generate};
use isotherm::compare::{BuiltIn, MeasureFacts, RANDOM_DB, Side, Sound, SoundSource, VERDICTS, low_pass};
use serde_json::Value;

use super::{finish, model};

const RATE: u32 = 48_000;
/// Frames by which the delayed file is late, and the gain in dB of the louder one.
const DELAY_FRAMES: usize = 37;
const GAIN_DB: f64 = 1.5;
/// Factor for files in which there is room for a click, and for 16 bit.
const ROOM: f64 = 0.5;
/// First frame of a gap, a click or a beep: in the middle of a sound of guitar and drums.
const AT: usize = 2 * RATE as usize;

/// The usual sounds of the stored comparisons.
fn sounds() -> Vec<SoundSource> {
    vec![SoundSource::BuiltIn(BuiltIn::Guitar, -3.0, 1), SoundSource::BuiltIn(BuiltIn::Drums, -3.0, 1)]
}

/// Sounds by their name in a stored comparison; those that are not built in are written to the folder.
fn sounds_of(name: &str, folder: &Path) -> Vec<SoundSource> {
    let guitar = |level| vec![SoundSource::BuiltIn(BuiltIn::Guitar, level, 1)];
    let file = |audio: &Audio| {
        let path = folder.join(format!("{name}.wav"));
        write(&path, audio, WavFormat::Float32).unwrap();
        vec![SoundSource::File(path)]
    };
    match name {
        "usual" => sounds(),
        "guitar" => guitar(-3.0),
        "guitar -20" => guitar(-20.0),
        "guitar -40" => guitar(-40.0),
        "guitar and sweep" => [BuiltIn::Guitar, BuiltIn::Sweep].map(|kind| SoundSource::BuiltIn(kind, -3.0, 1)).to_vec(),
        // A sound of which a short fault is a small part.
        "long" => {
            let parts = [generate::guitar(RATE, 1, 1).unwrap(), generate::drums(RATE, 1, 1).unwrap()];
            file(&Audio::concatenate(&[&parts[0], &parts[1], &parts[0]]).unwrap())
        }
        "stereo, right quieter" => {
            let mut guitar = generate::guitar(RATE, 2, 1).unwrap();
            guitar.channel_mut(1).iter_mut().for_each(|x| *x *= 0.5);
            file(&guitar)
        }
        "stereo" => file(&generate::guitar(RATE, 2, 1).unwrap()),
        "pause" => {
            let guitar = generate::guitar(RATE, 1, 1).unwrap();
            file(&Audio::concatenate(&[&guitar, &Audio::silence(RATE, 1, RATE as usize)]).unwrap())
        }
        "bass and hats" => file(&bass().add(&hats()).unwrap()),
        "bass" => file(&bass()),
        other => panic!("{other}"),
    }
}

/// Four seconds of a loud, low tone.
fn bass() -> Audio {
    generate::sine(RATE, 55.0, 0.5, 4 * RATE as usize).unwrap()
}

/// Strokes of noise above 8 kHz, two a second, some 60 dB below the bass.
fn hats() -> Audio {
    let noise = generate::white(RATE, 0.008, 4 * RATE as usize, 3).unwrap();
    let mut hats = noise.add(&low_pass(&noise, 8000.0).unwrap().multiply(-1.0).unwrap()).unwrap();
    for (frame, x) in hats.channel_mut(0).iter_mut().enumerate() {
        *x *= (-((frame % (RATE as usize / 2)) as f32) / 800.0).exp();
    }
    hats
}

/// A tone of 3 kHz at [`AT`] or another frame, 100 ms, that fades in and out.
fn beep(out: &mut Audio, at: usize, amplitude: f32) {
    let frames = RATE as usize / 10;
    for (i, x) in out.channel_mut(0)[at..at + frames].iter_mut().enumerate() {
        let phase = |hz: f32| std::f32::consts::TAU * hz * i as f32 / RATE as f32;
        *x += amplitude * phase(3000.0).sin() * 0.5 * (1.0 - phase(10.0).cos());
    }
}

/// Side A's output, changed.
fn changed(out: &Audio, kind: &str) -> Audio {
    let times = |gain: f64| out.multiply(gain).unwrap();
    let late = |sound: &Audio| {
        Audio::concatenate(&[&Audio::silence(sound.sample_rate(), sound.channels(), DELAY_FRAMES), sound]).unwrap()
    };
    let low_pass = |hz: f64| low_pass(out, hz).unwrap();
    let with = |change: &dyn Fn(&mut Audio)| {
        let mut out = times(ROOM);
        change(&mut out);
        out
    };
    let silent = |frames: usize| with(&|out| out.channel_mut(0)[AT..AT + frames].fill(0.0));
    match kind {
        "itself" => out.clone(),
        "gain" => times(10f64.powf(GAIN_DB / 20.0)),
        "delay" => late(out),
        "polarity" => times(-1.0),
        "inverted_half" => times(-0.5),
        "inverted_half_late" => late(&times(-0.5)),
        "low_pass" => low_pass(7_000.0),
        "low_pass_10k" => low_pass(10_000.0),
        "low_pass_12k" => low_pass(12_000.0),
        "inverted_low_pass_10k" => low_pass(10_000.0).multiply(-1.0).unwrap(),
        "louder_low_pass_10k" => low_pass(10_000.0).multiply(1.4).unwrap(),
        "late_low_pass_10k" => late(&low_pass(10_000.0)),
        "gap" => silent(144),
        "dropout" => silent(2400),
        "half_second" => silent(RATE as usize / 2),
        "click" => with(&|out| out.channel_mut(0)[AT] += 0.05),
        "beep" => with(&|out| beep(out, AT, 0.02)),
        "beep_in_the_pause" => with(&|out| {
            let at = out.frames() - RATE as usize / 2;
            beep(out, at, 0.002);
        }),
        "right_louder" => with(&|out| out.channel_mut(1).iter_mut().for_each(|x| *x *= 10f32.powf(0.05))),
        "right_inverted" => with(&|out| out.channel_mut(1).iter_mut().for_each(|x| *x = -*x)),
        "bass" => bass(),
        "bass_and_hats" => bass().add(&hats()).unwrap(),
        // A file of 16 bit.
        "rounded" => times(ROOM),
        "other_sound" => generate::pink(out.sample_rate(), 0.1, out.frames(), 7).unwrap(),
        other => panic!("{other}"),
    }
}

/// Writes the files of a made side and returns the side.
fn make(folder: &Path, kind: &str, a: &str, sources: &[SoundSource]) -> String {
    let side: Side = a.parse().unwrap();
    let output = |sound: &Sound| side.output(sound, sources.len()).unwrap().audio;
    let mut path = PathBuf::new();
    for source in sources {
        let sound = source.load().unwrap();
        let out = if kind == "later" {
            // A begins 0.3 s earlier, in silence that is cut away.
            let silence = Audio::silence(RATE, sound.audio.channels(), RATE as usize * 3 / 10);
            let audio = Audio::concatenate(&[&silence, &sound.audio]).unwrap();
            output(&Sound { audio, ..sound.clone() }).slice(silence.frames()..).unwrap()
        } else {
            changed(&output(&sound), kind)
        };
        path = folder.join(format!("{}.wav", sound.name));
        write(&path, &out, if kind == "rounded" { WavFormat::Int16 } else { WavFormat::Float32 }).unwrap();
    }
    format!("file:{}", if sources.len() == 1 { path } else { folder.into() }.display())
}

/// True if an effect gives the same sound whenever it starts.
fn is_exact(effect: &str) -> bool {
    !effect.contains("dither") && !effect.contains("jitter")
}

/// The output of an effect for sounds, as sounds.
fn rendered(folder: &Path, a: &str, sources: &[SoundSource]) -> Vec<SoundSource> {
    let folder = folder.join("rendered");
    std::fs::create_dir(&folder).unwrap();
    make(&folder, "itself", a, sources);
    let name = |source: &SoundSource| folder.join(format!("{}.wav", source.load().unwrap().name));
    sources.iter().map(|source| SoundSource::File(name(source))).collect()
}

#[test]
fn every_stored_comparison_gives_its_stated_verdict() {
    let stored: Vec<Value> = serde_json::from_str(include_str!("verdicts.json")).unwrap();
    let mut wrong = Vec::new();
    for case in &stored {
        let [name, mut a, b, verdict] = ["name", "a", "b", "verdict"].map(|key| case[key].as_str().unwrap());
        let says = case["says"].as_str().unwrap_or_default();
        let (dry, wet) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut sources = sounds_of(case["sounds"].as_str().unwrap_or("usual"), dry.path());
        let b = match b.split_once(':') {
            Some(("made", kind)) => {
                let made = make(wet.path(), kind, a, &sources);
                if is_exact(a) {
                    // The sounds that A gives, instead of A, which then need not be measured alone.
                    sources = rendered(dry.path(), a, &sources);
                    a = "dry";
                }
                made
            }
            Some(("model", file)) => format!("neural model={}", model(file)),
            // The output of a model, changed.
            Some((kind, file)) => make(wet.path(), kind, &format!("neural model={}", model(file)), &sources),
            None => b.to_owned(),
        };
        let report = finish(a, &b, sources).report;
        let text = report.verdict.text();
        if report.verdict.id != verdict || !text.contains(says) {
            let deciding = report.verdict.deciding.iter().map(|number| format!("{} {}", number.name, number.text));
            let found = format!("{} {text} {:?}", report.verdict.id, deciding.collect::<Vec<_>>());
            wrong.push(format!("{name}: expected {verdict} {says:?}, found {found}, remarks {:?}", report.warnings));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_part_of_a_that_is_random_is_told_and_so_is_a_b_without_it() {
    let remarks = |a: &str, b: &str| finish(a, b, sounds()).report.warnings.join(" ");
    let found = remarks("bitcrusher bits=8 dither=tpdf", "dry");
    assert!(found.contains("A has a random part: two runs that start at different times differ by -"), "{found}");
    assert!(found.contains("B lacks A's random part: in "), "{found}");
    // A network that starts later differs by less than a rounding of 16 bit, and by nothing random.
    let twin = format!("neural model={}", model("saturator-24db-lstm16.nam"));
    let report = finish(&twin, "saturator drive=24", sounds()).report;
    let later = report.rulers.iter().map(|ruler| ruler.figure("self_later", "null_db").unwrap());
    assert!(later.clone().all(|null| null < RANDOM_DB) && report.sounds.iter().all(|sound| sound.floor.is_none()));
    assert!(!report.warnings.join(" ").contains("random"), "{:?}", report.warnings);
}

#[test]
fn a_click_and_more_aliasing_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let sources = sounds_of("long", folder.path());
    let wet = tempfile::tempdir().unwrap();
    let b = make(wet.path(), "click", "saturator drive=24", &sources);
    let found = finish("saturator drive=24", &b, sources).report.warnings.join(" ");
    assert!(found.contains("larger than anywhere else: a gap or a click? Listen."), "{found}");
    let found = finish("saturator drive=24", "saturator drive=24 oversampling=1x", sounds()).report.warnings.join(" ");
    assert!(found.contains("With high, loud, pure tones B aliases more: "), "{found}");
    let found = finish("saturator drive=24 oversampling=1x", "saturator drive=24", sounds()).report.warnings.join(" ");
    assert!(!found.contains("aliases more"), "{found}");
}

#[test]
fn the_documentation_states_every_rule_of_the_decision_table() {
    let page = include_str!("../../docs/comparing.md");
    for row in VERDICTS {
        assert!(page.contains(&format!("`{}`", row.id)) && page.contains(row.rule), "{}: {}", row.id, row.rule);
    }
}

#[test]
fn a_low_pass_that_scores_like_the_twin_is_called_a_trap() {
    // An earlier twin, which was as far from the effect in plain error as the low-pass is.
    let twin = format!("neural model={}/tests/compare/earlier_twin.nam", env!("CARGO_MANIFEST_DIR"));
    let report = finish("saturator drive=24", &twin, sounds()).report;
    assert_eq!(report.tally(), "A close twin: 2");
    let trap = report.trap.unwrap();
    assert!((trap.low_pass_null_db - trap.b_null_db).abs() < 10.0 && !trap.told_apart_by.is_empty(), "{trap:?}");
    assert!(trap.told_apart_by.iter().all(|figure| figure.low_pass - figure.b >= 10.0), "{trap:?}");
    assert!(trap.text().contains("Error of the worst third octave: low-pass 0.0 dB, B -"), "{}", trap.text());
    // No figure tells a low-pass from itself.
    let folder = tempfile::tempdir().unwrap();
    let b = make(folder.path(), "low_pass", "saturator drive=24", &sounds());
    assert_eq!(finish("saturator drive=24", &b, sounds()).report.trap, None);
}

/// The table of measures for `docs/comparing.md`.
fn table_of_measures() -> String {
    let mut table = "| measure | id | better | definition |\n|---|---|---|---|\n".to_owned();
    for measure in MeasureFacts::all() {
        table += &format!("| {} | `{}` | {} | {} |\n", measure.name, measure.id, measure.better, measure.definition);
    }
    table
}

#[test]
fn the_documentation_defines_every_measure() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/comparing.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("## The measures\n").unwrap();
    let (_, after) = rest.split_once("## report.json\n").unwrap();
    let expected = format!("{before}## The measures\n\n{}\n## report.json\n{after}", table_of_measures());
    if std::env::var_os("ISOTHERM_BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap() == expected, "ISOTHERM_BLESS=1 writes the table of measures");
}
