//! The measures of the two sides of a test on its sound, which stand beside the result.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::player::Stimuli;
use super::side::{ResolvedSide, SideSource};
use crate::audio::Audio;
use crate::effect::Effect;
use crate::measure::bench::{BenchSpec, BlockSize, measure_interleaved};
use crate::measure::measures::{ALIASING, ESR, MEASURES, THD};
use crate::measure::{Comparison, Measure, MeasureFn, loudness, tone_response};

/// Frequency in hertz and amplitude (-6 dBFS) of the tone for THD and aliasing, as `isotherm compare` has it.
const TONE: (f32, f32) = (1000.0, 0.5);
/// Seconds for measuring time.
const COST_SECONDS: f64 = 0.25;
/// Id of the measure of time.
const REAL_TIME: &str = "rtf";
/// Frames of the blocks with which time is measured.
const COST_BLOCK: usize = 512;

/// Error to signal of the two sides, as they are played, in dB; None if they are the same. [control thread: takes its time]
#[must_use]
pub(super) fn esr_db(stimuli: &Stimuli) -> Option<f64> {
    let [a, b, ..] = stimuli.paths.as_slice() else { return None };
    let esr = ESR.compare(&Comparison::new(a, b).ok()?)?;
    Some(10.0 * esr.log10()).filter(|db| db.is_finite())
}

/// Names and figures of the measures of both sides: their difference on the loop, as it is played, and each effect alone;
/// those that are found until it is to `cancel`. [control thread: takes its time]
#[must_use]
pub(super) fn side_measures(stimuli: &Stimuli, sides: &[ResolvedSide; 2], cancel: &AtomicBool) -> Vec<(String, String)> {
    let is_cancelled = || cancel.load(Ordering::Relaxed);
    let [a, b, ..] = stimuli.paths.as_slice() else { return Vec::new() };
    let mut found: Vec<(String, String)> = Vec::new();
    if let Ok(comparison) = Comparison::new(a, b) {
        let rows: Vec<&Measure> =
            MEASURES.iter().copied().filter(|row| matches!(row.function, MeasureFn::Comparison(_))).collect();
        let figures: Vec<Option<f64>> =
            rows.par_iter().map(|row| if is_cancelled() { None } else { row.compare(&comparison) }).collect();
        for (row, figure) in rows.iter().zip(figures) {
            if let Some(figure) = figure.filter(|figure| figure.is_finite()) {
                found.push((row.name.into(), with_unit(row, figure)));
            }
        }
    }
    let lufs = |sound: &Audio| loudness(sound).integrated_lufs;
    for (name, sound) in [("A", a), ("B", b)] {
        if let Some(lufs) = lufs(sound) {
            found.push((format!("Integrated loudness of {name}"), format!("{lufs:.2} LUFS")));
        }
    }
    let effects: Vec<(&str, &Effect)> =
        ["A", "B"].into_iter().zip(sides).filter_map(|(name, side)| Some((name, effect(side)?))).collect();
    for (name, effect) in &effects {
        if is_cancelled() {
            return found;
        }
        let Ok(tone) = tone_response(effect, a.sample_rate(), TONE.0, TONE.1) else { continue };
        for row in [&THD, &ALIASING] {
            if let MeasureFn::Tone(run) = row.function {
                add(&mut found, row, name, run(&tone));
            }
        }
    }
    let spec = BenchSpec {
        sample_rate: a.sample_rate() as f32,
        channels: a.channels(),
        blocks: vec![BlockSize::fixed(COST_BLOCK)],
        seconds: COST_SECONDS,
        ..BenchSpec::default()
    };
    let alone: Vec<Effect> = effects.iter().map(|(_, effect)| (*effect).clone()).collect();
    let real_time = MEASURES.iter().find(|row| row.id == REAL_TIME);
    if let (Ok(tables), Some(row)) = (measure_interleaved(&alone, &spec, |_| !is_cancelled()), real_time) {
        for ((name, _), table) in effects.iter().zip(&tables) {
            if let Some(figure) = table.rows.first().and_then(|costs| row.cost(costs)) {
                add(&mut found, row, name, figure);
            }
        }
    }
    found
}

/// A figure with its unit.
fn with_unit(row: &Measure, figure: f64) -> String {
    format!("{} {}", row.text(figure), row.unit.symbol()).trim_end().into()
}

/// Adds a figure of a side.
fn add(found: &mut Vec<(String, String)>, row: &Measure, name: &str, figure: f64) {
    if figure.is_finite() {
        found.push((format!("{} of {name}", row.name), with_unit(row, figure)));
    }
}

/// The effect of a side, if it is one.
fn effect(side: &ResolvedSide) -> Option<&Effect> {
    match &side.source {
        SideSource::Effect(effect) => Some(effect),
        _ => None,
    }
}
