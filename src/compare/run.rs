//! The work of a comparison: sound after sound on all cores, the rulers, each side alone, time, and the verdict.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::excerpt::{Heard, Player};
use super::figures::{
    Figures, Limit, LimitResult, MeasureFacts, blocks_of, comparing, comparison_figures, finite, sound_figures,
};
use super::report::{
    Alone, Machine, Refused, Report, SCHEMA, SCHEMA_VERSION, Settings, SidePair, SoundReport, Trap, WorstFigure, bands,
};
use super::ruler::{RANDOM_DB, RULER_SECONDS, Ruler, RulerInput, floor};
use super::side::{Side, SideError};
use super::sound::{SoundError, SoundSource};
use super::verdict::{Evidence, Verdict};
use crate::audio::{Audio, generate};
use crate::measure::bench::{BenchError, BenchSpec, BlockSize, CostTable, measure_interleaved};
use crate::measure::measures::ESR;
use crate::measure::{
    AlignError, Alignment, Comparison, MEASURES, Measure, MeasureError, MeasureFn, Preference, WINDOW_SECONDS, align,
    align_levels, align_synchronous, characterise, noise_to_mask, tone_response, worst_windows,
};
use crate::render::render;

/// Number of worst windows of a sound.
const WINDOWS: usize = 10;
/// Number of sounds, from the first, that have a ruler and a player: the page stays small, and so does the memory.
pub const DETAILED_SOUNDS: usize = 3;
/// Error to signal without alignment, below which two sounds have something in common: that of an unrelated sound is 1 or more.
const RELATED_ESR: f64 = 0.5;
/// Frequency in hertz and amplitude (-6 dBFS) of the tone for measures of a tone.
pub const TONE: (f32, f32) = (1000.0, 0.5);
/// Frames of the impulse's response for measures of an impulse.
pub const IMPULSE_FRAMES: usize = 8192;
/// Frames from which a measured delay is held against none.
const LEAST_DELAY_FRAMES: f64 = 0.5;
/// Fewest frames that both sides must have at the same time: those that can be aligned.
const FEWEST_FRAMES: usize = 512;
/// Stages of a sound's work, after each of which the progress moves.
const STAGES: usize = 5;
/// Work of what follows when all sounds are known (rulers after refused sounds, floors), of each side alone and of the time, in units of a sound.
const RULER_WORK: f64 = 2.0;
const ALONE_WORK: f64 = 1.0;
/// Seconds of a sound's work, on which the share of the time for measuring time is based.
const SOUND_SECONDS: f64 = 2.0;

/// A comparison to make.
#[derive(Clone, Debug)]
pub struct Request {
    /// Side A, the reference.
    pub a: Side,
    /// Side B.
    pub b: Side,
    /// The sounds; one or more.
    pub sounds: Vec<SoundSource>,
    /// Sizes of the blocks whose time is measured.
    pub blocks: Vec<BlockSize>,
    /// Seconds for measuring time; 0 for none.
    pub cost_seconds: f64,
    /// True if players and the figures of each side alone are wanted; false for the difference, the verdict and the time alone, which
    /// takes a fraction of the time.
    pub in_detail: bool,
    /// Limits for measures.
    pub limits: Vec<Limit>,
    /// The command line, for the report.
    pub command: String,
}

/// A finished comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// The figures.
    pub report: Report,
    /// The players of the first sounds.
    pub players: Vec<Player>,
}

/// The reason why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// No sound could be compared; the reason of the first one.
    #[error("{0}")]
    NoSound(String),
    /// There are no sounds.
    #[error("no sounds; expected one or more")]
    NoSounds,
    /// A sound cannot be read.
    #[error(transparent)]
    Sound(#[from] SoundError),
    /// A side has no output.
    #[error(transparent)]
    Side(#[from] SideError),
    /// The time cannot be measured.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// The two outputs cannot be aligned.
    #[error("{sound}: {source}")]
    Align {
        /// Name of the sound.
        sound: String,
        /// The reason.
        source: AlignError,
    },
    /// The two outputs have too little at the same time.
    #[error("{sound}: the sides have {found} frames at the same time after alignment; expected {FEWEST_FRAMES} or more")]
    TooShort {
        /// Name of the sound.
        sound: String,
        /// Frames that both have.
        found: usize,
    },
    /// `watch` cancelled.
    #[error("called off")]
    Cancelled,
}

/// Function of a caller that gets the share of the work that is done, 0 to 1, and returns false to cancel. It is called
/// on several threads.
pub type Watch<'a> = &'a (dyn Fn(f64) -> bool + Sync);

/// The results for a sound.
struct Compared {
    report: SoundReport,
    ruler: Option<Ruler>,
    player: Option<Player>,
}

/// Compares two sides on every sound. All cores are used; no more sounds are in memory than there are cores. A sound that cannot
/// be compared is listed in the report. [control thread: takes its time]
///
/// # Errors
/// [`CompareError`]; [`CompareError::NoSound`] if no sound can be compared.
pub fn compare(request: &Request, watch: Watch<'_>) -> Result<Finished, CompareError> {
    let count = request.sounds.len();
    let cost_work = request.cost_seconds / SOUND_SECONDS;
    let total = count as f64 + RULER_WORK + ALONE_WORK + cost_work;
    let done = AtomicUsize::new(0);
    let is_cancelled = || !watch(done.load(Ordering::Relaxed) as f64 / STAGES as f64 / total);
    if is_cancelled() {
        return Err(CompareError::Cancelled);
    }
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Result<Compared, CompareError>)>> = Mutex::default();
    let workers = Machine::this().cores.min(count);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(source) = request.sounds.get(index) else { break };
                    let stages = AtomicUsize::new(0);
                    let go_on = || {
                        stages.fetch_add(1, Ordering::Relaxed);
                        done.fetch_add(1, Ordering::Relaxed);
                        if is_cancelled() { Err(CompareError::Cancelled) } else { Ok(()) }
                    };
                    let result = compare_sound(request, source, index < DETAILED_SOUNDS, &go_on);
                    let stop = matches!(result, Err(CompareError::Cancelled));
                    if let Ok(mut results) = results.lock() {
                        results.push((index, result));
                    }
                    done.fetch_add(STAGES.saturating_sub(stages.into_inner()), Ordering::Relaxed);
                    if stop || is_cancelled() {
                        break;
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if is_cancelled() {
        return Err(CompareError::Cancelled);
    }
    results.sort_by_key(|(index, _)| *index);
    let (mut compared, mut refused) = (Vec::new(), Vec::new());
    for (index, result) in results {
        match result {
            Ok(one) => compared.push((index, one)),
            Err(error) => refused.push(Refused { sound: request.sounds[index].name(), reason: error.to_string() }),
        }
    }
    let at = |work: f64| watch((count as f64 + work) / total);
    complete(request, &mut compared, &|share| at(share * RULER_WORK))?;
    let (mut sounds, mut rulers, mut players) = (Vec::new(), Vec::new(), Vec::new());
    for (_, Compared { report, ruler, player }) in compared {
        sounds.push(report);
        rulers.extend(ruler);
        players.extend(player);
    }
    let Some(first) = sounds.first() else {
        let reason = refused.into_iter().next().map(|refused| refused.reason);
        return Err(reason.map_or(CompareError::NoSounds, CompareError::NoSound));
    };
    let sample_rate = first.sample_rate;
    if !at(RULER_WORK) {
        return Err(CompareError::Cancelled);
    }
    let (alone, warnings) = if request.in_detail { measure_alone(request, sample_rate) } else { Default::default() };
    let costs = measure_costs(request, sample_rate, |share| at(RULER_WORK + ALONE_WORK + share * cost_work))?;
    let parts = Parts { sounds, rulers, refused, alone, costs, sample_rate, warnings };
    Ok(Finished { report: assemble(request, parts), players })
}

/// Measures what is known only when every sound is: the rulers and players of the first compared sounds if others before them
/// were refused, and, if A has a random part, how far it is from itself in each sound. `compared`: with the index of each source, in
/// order.
fn complete(request: &Request, compared: &mut [(usize, Compared)], watch: Watch<'_>) -> Result<(), CompareError> {
    let go_on = || if watch(0.0) { Ok(()) } else { Err(CompareError::Cancelled) };
    for (index, one) in compared.iter_mut().take(DETAILED_SOUNDS).filter(|(index, _)| *index >= DETAILED_SOUNDS) {
        match compare_sound(request, &request.sounds[*index], true, &go_on) {
            Ok(detailed) => *one = detailed,
            Err(CompareError::Cancelled) => return Err(CompareError::Cancelled),
            // A file that has gone since keeps the figures that it has.
            Err(_) => {}
        }
    }
    let is_random = compared.iter().any(|(_, one)| one.ruler.as_ref().is_some_and(Ruler::is_random));
    let Some(effect) = request.a.effect().filter(|_| is_random) else { return Ok(()) };
    let done = AtomicUsize::new(0);
    let sounds = request.sounds.len();
    compared.par_iter_mut().try_for_each(|(index, one)| {
        if !watch(done.fetch_add(1, Ordering::Relaxed) as f64 / sounds as f64) {
            return Err(CompareError::Cancelled);
        }
        one.report.floor = floor(effect, &request.sounds[*index].load()?, sounds)?;
        one.report.floor_db = one.report.floor.as_ref().and_then(|floor| floor.get("null_db").copied().flatten());
        Ok(())
    })
}

/// Compares both sides on a sound; `has_ruler`: with a ruler, and with a player if the request is in detail. `go_on` is called after each stage but the last.
fn compare_sound(
    request: &Request,
    source: &SoundSource,
    has_ruler: bool,
    go_on: &dyn Fn() -> Result<(), CompareError>,
) -> Result<Compared, CompareError> {
    let sound = source.load()?;
    let sounds = request.sounds.len();
    let (a, b) = rayon::join(|| request.a.output(&sound, sounds), || request.b.output(&sound, sounds));
    let (of_a, of_b) = (a?, b?);
    let (a, b) = (&of_a.audio, &of_b.audio);
    // Both are read from their first frames on if B is read as it is.
    let are_whole = of_a.first_frame() == 0 && of_b.first_frame() == 0;
    go_on()?;
    let mut report = SoundReport {
        name: sound.name.clone(),
        path: sound.path.as_ref().map(|path| path.display().to_string()),
        sha256: sound.sha256.clone(),
        sample_rate: sound.audio.sample_rate(),
        channels: sound.audio.channels(),
        frames: sound.audio.frames(),
        a_frames: of_a.frames,
        b_frames: of_b.frames,
        a_file: request.a.file_facts(&sound, sounds),
        b_file: request.b.file_facts(&sound, sounds),
        compared_frames: 0,
        first_frame: 0,
        is_test_signal: source.is_test_signal(),
        full_scale_samples: sound.full_scale_samples(),
        floor_db: None,
        floor: None,
        verdict: "",
        unrelated_correlation: None,
        alignment_remark: None,
        alignment: None,
        raw: Figures::new(),
        aligned: Figures::new(),
        input: sound_figures(&sound.audio),
        a: sound_figures(a),
        b: sound_figures(b),
        third_octaves: Vec::new(),
        noise_to_mask: None,
        worst_windows: Vec::new(),
    };
    let shared = of_a.unaligned().frames().min(of_b.unaligned().frames());
    let (raw_a, raw_b) = (cut(of_a.unaligned(), 0..shared), cut(of_b.unaligned(), 0..shared));
    let raw = Comparison::new(&raw_a, &raw_b).expect("both sides have the sound's format");
    // Equal sounds need no alignment, and a measured delay would only add its uncertainty.
    // Only what was processed elsewhere can come from another clock.
    let is_foreign = |side: &Side| matches!(side, Side::File(_) | Side::Sound(_));
    let has_foreign = is_foreign(&request.a) || is_foreign(&request.b);
    let alignment = if are_whole && a == b {
        Ok(Alignment::NONE)
    } else if has_foreign {
        align(a, b)
    } else {
        align_synchronous(a, b)
    };
    let alignment = match alignment {
        Ok(alignment) => alignment,
        Err(AlignError::NothingInCommon { .. }) if are_whole && esr(&raw_a, &raw_b) < RELATED_ESR => {
            report.alignment_remark = Some("no delay was found, and B is near A without one".into());
            align_levels(a, b).map_err(|source| CompareError::Align { sound: sound.name.clone(), source })?
        }
        Err(AlignError::NothingInCommon { correlation, .. }) => {
            report.unrelated_correlation = Some(correlation);
            return Ok(Compared { report, ruler: None, player: None });
        }
        Err(source) => return Err(CompareError::Align { sound: sound.name, source }),
    };
    go_on()?;
    let apply = |alignment: &Alignment| {
        let overlap = alignment.overlap(a.frames(), b.frames());
        (overlap.start, cut(a, overlap.clone()), cut(&alignment.apply(b, a.frames()), overlap))
    };
    let mut parts = apply(&alignment);
    let mut alignment = alignment;
    // A delay may be that of a harmonic, as of a distorted sweep: then B fits better without it.
    if are_whole && alignment.delay_frames.abs() >= LEAST_DELAY_FRAMES {
        let better = without_delay(a, b, esr(&parts.1, &parts.2));
        if let Some(better) = better.map_err(|source| CompareError::Align { sound: sound.name.clone(), source })? {
            let delay = alignment.delay_frames;
            report.alignment_remark = Some(format!("the delay that was measured ({delay:.2} frames) fits worse than none"));
            alignment = better;
            parts = apply(&alignment);
        }
    }
    let (first, aligned_a, aligned_b) = parts;
    if aligned_a.frames() < FEWEST_FRAMES {
        return Err(CompareError::TooShort { sound: sound.name, found: aligned_a.frames() });
    }
    let aligned = Comparison::new(&aligned_a, &aligned_b).expect("both parts are equally long");
    let (raw_figures, aligned_figures) = rayon::join(|| comparison_figures(&raw), || comparison_figures(&aligned));
    go_on()?;
    let (third_octaves, (noise, windows)) = rayon::join(
        || bands(&aligned_a, &aligned_b),
        || rayon::join(|| noise_to_mask(&aligned), || worst_windows(&aligned, WINDOW_SECONDS, WINDOWS)),
    );
    let offset = of_a.first_frame() + first;
    (report.compared_frames, report.first_frame) = (aligned_a.frames(), offset);
    (report.raw, report.aligned, report.third_octaves) = (raw_figures, aligned_figures, third_octaves);
    (report.noise_to_mask, report.worst_windows) = (noise.into(), windows);
    report.alignment = Some(alignment.of_whole(of_a.passage.as_ref(), of_b.passage.as_ref()));
    go_on()?;
    let (mut ruler, mut player) = (None, None);
    if has_ruler {
        let input = RulerInput { side: &request.a, sound: &sound, sounds, a: &aligned_a, b: &aligned_b, offset };
        ruler = Some(Ruler::measure(&input)?);
        let heard_input = input_beside(&request.a, a, &sound.audio).map(|input| cut(&input, first..first + aligned_a.frames()));
        let heard = Heard { input: heard_input.as_ref(), a: &aligned_a, b: &aligned_b, offset };
        player = request.in_detail.then(|| Player::new(&sound.name, &heard, &report.worst_windows));
    }
    Ok(Compared { report, ruler, player })
}

/// Error to signal of two sounds of one length; infinite if there is none.
fn esr(a: &Audio, b: &Audio) -> f64 {
    Comparison::new(a, b).ok().and_then(|both| ESR.compare(&both)).unwrap_or(f64::INFINITY)
}

/// The alignment without a delay, with polarity, gain and DC, if its error to signal is below `with_delay`, that with a delay
/// and the gain of the same rule.
fn without_delay(a: &Audio, b: &Audio, with_delay: f64) -> Result<Option<Alignment>, AlignError> {
    let alignment = align_levels(a, b)?;
    // No gain makes the error smaller than the correlation leaves it.
    if 1.0 - alignment.correlation.powi(2) >= with_delay {
        return Ok(None);
    }
    let shared = alignment.overlap(a.frames(), b.frames());
    let is_better = esr(&cut(a, shared.clone()), &cut(&alignment.apply(b, a.frames()), shared)) < with_delay;
    Ok(is_better.then_some(alignment))
}

/// Frames of a sound.
fn cut(audio: &Audio, range: std::ops::Range<usize>) -> Audio {
    audio.slice(range).expect("the frames are within the sound")
}

/// The sound at the time at which A has it, as long as A. A file may have it later; `None` if that place is not found.
fn input_beside(side: &Side, a: &Audio, sound: &Audio) -> Option<Audio> {
    if side.effect().is_some() || a == sound {
        return Some(sound.clone());
    }
    let found = align(a, sound).ok()?;
    let (delay_frames, drift_ppm, is_drifting) = (found.delay_frames, found.drift_ppm, found.is_drifting);
    Some(Alignment { delay_frames, drift_ppm, is_drifting, ..Alignment::NONE }.apply(sound, a.frames()))
}

/// Measures each side alone that is an effect; with a warning for each that cannot be, as at an unusual sample rate.
fn measure_alone(request: &Request, sample_rate: u32) -> (SidePair<Option<Alone>>, Vec<String>) {
    let alone = |side: &Side| side.effect().map(|effect| measure_effect(effect, sample_rate)).transpose();
    let (a, b) = rayon::join(|| alone(&request.a), || alone(&request.b));
    let mut warnings = Vec::new();
    let mut shown = |name: &str, alone: Result<Option<Alone>, MeasureError>| {
        alone.unwrap_or_else(|error| {
            warnings.push(format!("{name} is not measured alone: {error}."));
            None
        })
    };
    let pair = SidePair { a: shown("A", a), b: shown("B", b) };
    (pair, warnings)
}

/// The figures of an effect alone.
fn measure_effect(effect: &crate::effect::Effect, sample_rate: u32) -> Result<Alone, MeasureError> {
    let characteristics = characterise(effect, sample_rate)?;
    let tone = tone_response(effect, sample_rate, TONE.0, TONE.1)?;
    let response = render(effect, &generate::impulse(sample_rate, 1.0, 0, IMPULSE_FRAMES)?)?;
    let figure = |row: &&'static Measure| {
        let figure = match row.function {
            MeasureFn::Tone(run) => run(&tone),
            MeasureFn::Impulse(run) => run(response.channel(0)),
            MeasureFn::Effect(run) => run(&characteristics),
            _ => return None,
        };
        Some((row.id, finite(figure)))
    };
    Ok(Alone { figures: MEASURES.iter().filter_map(figure).collect(), characteristics })
}

/// Measures time and memory of both sides in one run, if both are effects; of the one that is, if one is.
fn measure_costs(
    request: &Request,
    sample_rate: u32,
    mut watch: impl FnMut(f64) -> bool,
) -> Result<SidePair<Option<CostTable>>, CompareError> {
    let effects: Vec<_> = [&request.a, &request.b].into_iter().filter_map(|side| side.effect().cloned()).collect();
    if request.cost_seconds <= 0.0 || effects.is_empty() {
        return Ok(SidePair::default());
    }
    let (blocks, seconds) = (request.blocks.clone(), request.cost_seconds);
    let spec = BenchSpec { sample_rate: sample_rate as f32, blocks, seconds, ..BenchSpec::default() };
    let tables = measure_interleaved(&effects, &spec, &mut watch);
    if matches!(tables, Err(BenchError::Cancelled)) {
        return Err(CompareError::Cancelled);
    }
    let mut tables = tables?.into_iter();
    let mut of = |side: &Side| side.effect().and_then(|_| tables.next());
    Ok(SidePair { a: of(&request.a), b: of(&request.b) })
}

/// The parts that a report is made of.
struct Parts {
    sounds: Vec<SoundReport>,
    rulers: Vec<Ruler>,
    refused: Vec<Refused>,
    alone: SidePair<Option<Alone>>,
    costs: SidePair<Option<CostTable>>,
    sample_rate: u32,
    warnings: Vec<String>,
}

/// Makes the report: verdict, worst figures, limits and warnings.
fn assemble(request: &Request, parts: Parts) -> Report {
    let Parts { mut sounds, rulers, refused, alone, costs, sample_rate, warnings: mut remarks } = parts;
    let evidence: Vec<Evidence> = sounds.iter().map(Evidence::of).collect();
    let mut verdict = Verdict::of(&evidence);
    if !refused.is_empty() {
        verdict.sentences[1] += &format!(" {} of {} sounds could not be compared.", refused.len(), request.sounds.len());
    }
    for (sound, evidence) in sounds.iter_mut().zip(&evidence) {
        sound.verdict = Verdict::of(std::slice::from_ref(evidence)).id;
    }
    let worst = comparing().map(|row| worst_figure(row, &sounds)).collect();
    let limits = request
        .limits
        .iter()
        .map(|limit| LimitResult::of(limit, limited_figures(limit.measure, &sounds, &refused, &alone, &costs)))
        .collect();
    remarks.extend(warnings(request, &sounds, &rulers));
    remarks.extend(random_part_remark(&evidence));
    remarks.extend(aliasing_remark(&alone));
    Report {
        schema: SCHEMA,
        schema_version: SCHEMA_VERSION,
        program: concat!("isotherm ", env!("CARGO_PKG_VERSION")).into(),
        command: request.command.clone(),
        machine: Machine::this(),
        settings: Settings {
            cost_seconds: request.cost_seconds,
            alone_sample_rate: sample_rate,
            window_seconds: WINDOW_SECONDS,
            ruler_seconds: RULER_SECONDS,
        },
        a: request.a.facts(),
        b: request.b.facts(),
        verdict,
        trap: Trap::find(&rulers),
        worst,
        sounds,
        refused,
        rulers,
        alone,
        costs,
        limits,
        warnings: remarks,
        measures: MeasureFacts::all(),
    }
}

/// The worse of two figures of a measure.
fn is_worse(row: &Measure, figure: f64, than: f64) -> bool {
    if row.better == Preference::Higher { figure < than } else { figure > than }
}

/// The worst figure of a measure that compares.
fn worst_figure(row: &'static Measure, sounds: &[SoundReport]) -> WorstFigure {
    let figures = sounds.iter().filter_map(|sound| Some((sound.aligned.get(row.id).copied().flatten()?, &sound.name)));
    let worst = figures.reduce(|worst, next| if is_worse(row, next.0, worst.0) { next } else { worst });
    WorstFigure { measure: row.id, figure: worst.map(|w| w.0), sound: worst.map(|w| w.1.clone()) }
}

/// The figures that a limit of a measure holds for: of each sound after alignment, of B alone, or of B's time at each block size.
/// A refused sound has none.
fn limited_figures(
    row: &'static Measure,
    sounds: &[SoundReport],
    refused: &[Refused],
    alone: &SidePair<Option<Alone>>,
    costs: &SidePair<Option<CostTable>>,
) -> Vec<(Option<String>, Option<f64>)> {
    let of_sounds = |figures: fn(&SoundReport) -> &Figures| {
        let found = sounds.iter().map(|sound| (Some(sound.name.clone()), figures(sound).get(row.id).copied().flatten()));
        found.chain(refused.iter().map(|refused| (Some(refused.sound.clone()), None))).collect()
    };
    match row.function {
        MeasureFn::Comparison(_) => of_sounds(|sound| &sound.aligned),
        MeasureFn::Sound(_) => of_sounds(|sound| &sound.b),
        MeasureFn::Tone(_) | MeasureFn::Impulse(_) | MeasureFn::Effect(_) => {
            let figure = alone.b.as_ref().and_then(|alone| alone.figures.get(row.id).copied().flatten());
            vec![(None, figure)]
        }
        MeasureFn::Cost(_) => {
            let rows = costs.b.iter().flat_map(|table| &table.rows);
            rows.map(|costs| (Some(blocks_of(costs)), row.cost(costs).and_then(finite))).collect()
        }
    }
}

/// Remarks on what may make a number unreliable.
fn warnings(request: &Request, sounds: &[SoundReport], rulers: &[Ruler]) -> Vec<String> {
    let mut warnings = Vec::new();
    for sound in sounds {
        let name = &sound.name;
        if sound.full_scale_samples > 0 {
            let samples =
                if sound.full_scale_samples == 1 { "1 sample".into() } else { format!("{} samples", sound.full_scale_samples) };
            warnings.push(format!("{name}: {samples} of the input at full scale, probably clipped."));
        }
        if let Some(correlation) = sound.unrelated_correlation {
            warnings.push(format!(
                "{name}: the sides have nothing in common (correlation {correlation:.3}), so there are no figures."
            ));
        }
        if sound.is_equal_as_it_is() && sound.a_frames != sound.b_frames {
            let (a, b) = (sound.a_frames, sound.b_frames);
            warnings.push(format!("{name}: A has {a} frames and B {b}; the samples that both have are equal."));
        }
        let Some(alignment) = &sound.alignment else { continue };
        if alignment.ambiguous {
            warnings.push(format!("{name}: the delay is ambiguous; a second one fits nearly as well."));
        }
        if alignment.delay_uncertainty_frames > UNCERTAIN_FRAMES {
            let error = alignment.delay_uncertainty_frames;
            warnings.push(format!("{name}: the delay is uncertain, by {error:.2} frames either way (standard error)."));
        }
        if let (true, Some(ppm)) = (alignment.is_drifting, alignment.drift_ppm) {
            warnings.push(format!(
                "{name}: the sides drift apart by {ppm:.2} ppm, as recordings with two clocks do; it is corrected."
            ));
        }
        if let [first, second, ..] = sound.worst_windows.as_slice() {
            let step = first.error_db - second.error_db;
            if step >= WINDOW_STEP_DB && first.error_db >= WINDOW_TOLD_DB {
                let at = (sound.first_frame + first.start_frame) as f64 / f64::from(sound.sample_rate);
                warnings.push(format!(
                    "{name}: in the 400 ms from {at:.2} s on the error is {step:.0} dB larger than anywhere else: a gap or a click? Listen."
                ));
            }
        }
        if let Some(remark) = &sound.alignment_remark {
            warnings.push(format!("{name}: {remark}, so B is compared without one."));
        }
        if (sound.compared_frames as f64) < MIN_COMPARED * sound.frames as f64 {
            let seconds = sound.compared_frames as f64 / f64::from(sound.sample_rate);
            warnings.push(format!("{name}: only {seconds:.2} s are compared, where both sides have sound."));
        }
    }
    for ruler in rulers {
        let left = |id: &str| ruler.figure(id, "null_db").filter(|null| *null > RANDOM_DB);
        if let Some(null) = left("self") {
            warnings.push(format!("{}: A is not deterministic; against itself {null:.1} dB are left.", ruler.sound));
        }
        if let Some(null) = left("self_later") {
            let text = "A has a random part: two runs that start at different times differ by";
            let limit = "A B with a random part of its own cannot be nearer";
            warnings.push(format!("{}: {text} {null:.1} dB. {limit}.", ruler.sound));
        }
    }
    for (side, name) in [(&request.a, "A"), (&request.b, "B")] {
        let resets = side.effect().and_then(|effect| effect.active_model()).map_or(0, |model| model.nan_resets());
        if resets > 0 {
            warnings.push(format!("{name}: the network gave NaN or infinity {resets} times and was silenced each time."));
        }
    }
    warnings
}

/// Standard error of a delay in frames above which it is said to be uncertain.
const UNCERTAIN_FRAMES: f64 = 0.1;
/// Share of a sound below which it is said that not all of it is compared.
const MIN_COMPARED: f64 = 0.99;
/// Decibels by which the error of the worst window is above that of the next one, so that it is told: a gap, a click.
const WINDOW_STEP_DB: f64 = 15.0;
/// Error of a window in dB, from which on it is told.
const WINDOW_TOLD_DB: f64 = -60.0;
/// Decibels by which B must alias more than A, and aliasing to signal in dB from which on it is told.
const ALIASING_STEP_DB: f64 = 10.0;
/// See [`ALIASING_STEP_DB`].
const ALIASING_TOLD_DB: f64 = -60.0;

/// A remark on the sound in which B is nearer to A than A to itself, as it lacks A's random part.
fn random_part_remark(evidence: &[Evidence]) -> Option<String> {
    let nearer = evidence.iter().filter_map(|evidence| Some((evidence.nearer_than_a_db()?, &evidence.sound)));
    let (db, sound) = nearer.max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(format!("B lacks A's random part: in {sound} it is {db:.1} dB nearer to A than a second run of A is."))
}

/// A remark on aliasing, if B has much more of it than A.
fn aliasing_remark(alone: &SidePair<Option<Alone>>) -> Option<String> {
    let worst = |alone: &Option<Alone>| alone.as_ref()?.characteristics.aliasing.worst();
    let ((a, _), (b, hz)) = (worst(&alone.a)?, worst(&alone.b)?);
    let at = |hz: f64| format!("{:.1} kHz", hz / 1000.0).replace(".0 ", " ");
    (b >= a + ALIASING_STEP_DB && b >= ALIASING_TOLD_DB).then(|| {
        format!("With high, loud, pure tones B aliases more: {b:.0} dB at {}, A {a:.0} dB at most. See each side alone.", at(hz))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_delay_polarity_gain_and_dc_are_still_corrected() {
        let a = generate::guitar(48_000, 2, 1).unwrap();
        let b = a.multiply(-0.5).unwrap().add(0.01).unwrap();
        let found = without_delay(&a, &b, 0.01).unwrap().unwrap();
        assert_eq!((found.delay_frames, found.inverted), (0.0, true));
        assert!((found.gain_db + 6.0206).abs() < 1e-3 && (found.dc - 0.01).abs() < 1e-5, "{found:?}");
        assert!(esr(&a, &found.apply(&b, a.frames())) < 1e-6);
    }

    #[test]
    fn a_delay_is_kept_if_it_fits_better_at_its_own_gain() {
        let a = generate::guitar(48_000, 1, 1).unwrap();
        // B is quieter, so that its plain error, without a gain, is smaller than with the right delay and gain.
        let noise = generate::pink(48_000, 0.1, a.frames(), 2).unwrap();
        let late = Audio::concatenate(&[&Audio::silence(48_000, 1, 2), &a]).unwrap().slice(..a.frames()).unwrap();
        let b = late.add(&noise).unwrap().multiply(0.25).unwrap();
        let right = align_synchronous(&a, &b).unwrap();
        assert!((right.delay_frames - 2.0).abs() < 0.5, "{right:?}");
        let shared = right.overlap(a.frames(), b.frames());
        let with_delay = esr(&cut(&a, shared.clone()), &cut(&right.apply(&b, a.frames()), shared));
        assert!(esr(&a, &b) < with_delay, "{} {with_delay}", esr(&a, &b));
        assert_eq!(without_delay(&a, &b, with_delay).unwrap(), None);
    }
}
