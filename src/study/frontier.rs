//! The frontier of error against cost: the models of one effect, the effect itself, and what they say in words.

use std::collections::BTreeMap;

use serde::Serialize;

use super::table::{BlockCost, Row, Status};

/// Noise-to-mask ratio in dB below which a difference is hardly heard (ITU-R BS.1387-1 calls a frame disturbed from 1.5 dB on; -10 dB
/// is the project's limit for a twin that sounds the same, see `docs/comparing.md`).
pub const AUDIBLE_NMR_DB: f64 = -10.0;
/// Size of the blocks whose time counts, in frames, if it was measured; else the smallest that was.
const BLOCK: usize = 64;

/// A model of an effect: the worst of its figures over all sounds, and its time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Name of the model.
    pub model: String,
    /// The largest error to signal in dB over all sounds.
    pub error_db: f64,
    /// The largest noise-to-mask ratio in dB over all sounds.
    pub nmr_db: f64,
    /// Nanoseconds for a sample, the median over the rows.
    pub ns: f64,
    /// Time divided by that of the effect in the same run, the median over the rows.
    pub ratio: f64,
    /// Number of sounds.
    pub sounds: usize,
    /// True if no other model has less noise to mask at the same or less time.
    pub is_on_frontier: bool,
}

/// The models of one effect, and the effect itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EffectFrontier {
    /// Name of the effect.
    pub effect: String,
    /// Frames of the blocks whose time counts.
    pub block: usize,
    /// Nanoseconds for a sample of the effect itself, the median over the rows.
    pub effect_ns: f64,
    /// The models, from the cheapest to the most expensive. Models that lack a row, or a figure in one, are not among them.
    pub points: Vec<Point>,
    /// Names of the models that are left out, as a sound has no figures.
    pub left_out: Vec<String>,
    /// What the points say: the cheapest model below [`AUDIBLE_NMR_DB`], and whether any is cheaper than the effect.
    pub sentences: Vec<String>,
}

/// The median; `None` without values.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

impl EffectFrontier {
    /// The frontiers of all effects that have times. [any thread: allocates]
    #[must_use]
    pub fn all(rows: &[Row]) -> Vec<Self> {
        let mut effects: Vec<&str> = Vec::new();
        for row in rows {
            if !effects.contains(&row.effect.as_str()) {
                effects.push(&row.effect);
            }
        }
        let of = |effect: &&str| Self::of(effect, &rows.iter().filter(|row| row.effect == **effect).collect::<Vec<_>>());
        effects.iter().filter_map(of).collect()
    }

    /// The frontier of one effect; `None` if its time was not measured.
    fn of(effect: &str, rows: &[&Row]) -> Option<Self> {
        let sizes = || rows.iter().flat_map(|row| &row.costs).filter(|cost| cost.ratio().is_some()).map(|cost| cost.block);
        let block = sizes().find(|size| *size == BLOCK).or_else(|| sizes().min())?;
        let cost_of = |row: &Row| row.costs.iter().find(|cost| cost.block == block).copied();
        let effect_ns = median(rows.iter().filter_map(|row| cost_of(row)?.a_ns).collect())?;
        let mut models: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        rows.iter().for_each(|row| models.entry(&row.model).or_default().push(row));
        let (mut points, mut left_out) = (Vec::new(), Vec::new());
        for (model, rows) in models {
            match Point::of(model, &rows, cost_of) {
                Some(point) => points.push(point),
                None => left_out.push(model.to_owned()),
            }
        }
        points.sort_by(|a, b| a.ratio.total_cmp(&b.ratio).then(a.nmr_db.total_cmp(&b.nmr_db)));
        let mut best = f64::INFINITY;
        for point in &mut points {
            point.is_on_frontier = point.nmr_db < best;
            best = best.min(point.nmr_db);
        }
        let sentences = sentences(&points, effect_ns);
        Some(Self { effect: effect.into(), block, effect_ns, points, left_out, sentences })
    }
}

impl Point {
    /// The point of a model; `None` if one of its rows has no figures.
    fn of(model: &str, rows: &[&Row], cost_of: impl Fn(&Row) -> Option<BlockCost>) -> Option<Self> {
        if rows.iter().any(|row| row.status != Status::Done) {
            return None;
        }
        let worst = |id: &str| {
            let figures: Option<Vec<f64>> = rows.iter().map(|row| row.figure(id)).collect();
            figures?.into_iter().reduce(f64::max)
        };
        let median_of =
            |figure: fn(&BlockCost) -> Option<f64>| median(rows.iter().filter_map(|row| figure(&cost_of(row)?)).collect());
        Some(Self {
            model: model.into(),
            error_db: worst("null_db")?,
            nmr_db: worst("nmr_db")?,
            ns: median_of(|cost| cost.b_ns)?,
            ratio: median_of(BlockCost::ratio)?,
            sounds: rows.len(),
            is_on_frontier: false,
        })
    }
}

/// A ratio with two digits or more: `95`, `3.3`, `0.61`, `0.0027`. [any thread but the audio thread: allocates]
#[must_use]
pub fn ratio_text(ratio: f64) -> String {
    let decimals = match ratio {
        ratio if ratio >= 10.0 => 0,
        ratio if ratio >= 1.0 => 1,
        ratio if ratio > 0.0 => (-ratio.log10()).ceil() as usize + 1,
        _ => 2,
    };
    format!("{ratio:.decimals$}")
}

/// A ratio of times in words.
fn times(ratio: f64) -> String {
    format!("{} times", ratio_text(ratio))
}

/// The sentences for points from the cheapest to the most expensive.
fn sentences(points: &[Point], effect_ns: f64) -> Vec<String> {
    let Some(cheapest) = points.first() else { return vec!["No model has figures on every sound.".into()] };
    let figures = |point: &Point| {
        format!(
            "{:.1} dB on its worst sound, {:.0} ns a sample, {} the time of the effect ({effect_ns:.0} ns)",
            point.nmr_db,
            point.ns,
            times(point.ratio)
        )
    };
    let is_quiet = |point: &&Point| point.nmr_db < AUDIBLE_NMR_DB;
    let quiet = match points.iter().find(is_quiet) {
        Some(point) => format!(
            "The cheapest model with a noise-to-mask ratio below {AUDIBLE_NMR_DB} dB on every sound is {}: {}.",
            point.model,
            figures(point)
        ),
        None => {
            let best = points.iter().min_by(|a, b| a.nmr_db.total_cmp(&b.nmr_db)).unwrap_or(cheapest);
            format!(
                "No model has a noise-to-mask ratio below {AUDIBLE_NMR_DB} dB on every sound. The nearest is {}: {}.",
                best.model,
                figures(best)
            )
        }
    };
    let cheaper: Vec<&Point> = points.iter().filter(|point| point.ratio < 1.0).collect();
    let names = |points: &[&Point]| points.iter().map(|point| point.model.as_str()).collect::<Vec<_>>().join(", ");
    let cost = if cheaper.is_empty() {
        format!(
            "No model is cheaper than the effect: the cheapest, {}, takes {} its time.",
            cheapest.model,
            times(cheapest.ratio)
        )
    } else {
        let both: Vec<&Point> = cheaper.iter().copied().filter(is_quiet).collect();
        let of_these = if both.is_empty() {
            format!("None of them is below {AUDIBLE_NMR_DB} dB.")
        } else {
            format!("Below {AUDIBLE_NMR_DB} dB of them: {}.", names(&both))
        };
        format!("Cheaper than the effect: {}. {of_these}", names(&cheaper))
    };
    vec![quiet, cost]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row with these figures and times.
    fn row(model: &str, sound: &str, nmr_db: f64, a_ns: f64, b_ns: f64) -> Row {
        Row {
            cell: format!("{model}.{sound}"),
            effect: "warm".into(),
            model: model.into(),
            sound: sound.into(),
            seed: None,
            status: Status::Done,
            reason: None,
            verdict: Some("close".into()),
            figures: [("nmr_db", nmr_db), ("null_db", nmr_db - 30.0)].map(|(id, x)| (id.to_owned(), Some(x))).into(),
            costs: vec![BlockCost { block: 64, a_ns: Some(a_ns), b_ns: Some(b_ns) }],
            twin: None,
        }
    }

    #[test]
    fn the_worst_sound_counts_and_the_frontier_has_what_nothing_cheaper_betters() {
        let rows = [
            row("small", "guitar", -12.0, 20.0, 30.0),
            row("small", "drums", -4.0, 20.0, 30.0),
            row("large", "guitar", -25.0, 20.0, 80.0),
            row("large", "drums", -20.0, 20.0, 80.0),
            row("wide", "guitar", -22.0, 20.0, 90.0),
            row("wide", "drums", -15.0, 20.0, 90.0),
        ];
        let [frontier] = &EffectFrontier::all(&rows)[..] else { panic!("one effect") };
        let points: Vec<_> = frontier.points.iter().map(|p| (p.model.as_str(), p.nmr_db, p.ratio, p.is_on_frontier)).collect();
        assert_eq!(points, [("small", -4.0, 1.5, true), ("large", -20.0, 4.0, true), ("wide", -15.0, 4.5, false)]);
        assert_eq!(frontier.points[1].error_db, -50.0);
        assert_eq!(
            frontier.sentences,
            [
                "The cheapest model with a noise-to-mask ratio below -10 dB on every sound is large: -20.0 dB on its worst sound, \
                 80 ns a sample, 4.0 times the time of the effect (20 ns).",
                "No model is cheaper than the effect: the cheapest, small, takes 1.5 times its time."
            ]
        );
    }

    #[test]
    fn a_model_without_figures_on_a_sound_is_left_out_and_named() {
        let mut failed = row("small", "drums", 0.0, 20.0, 10.0);
        failed.status = Status::Failed;
        let rows = [row("small", "guitar", -40.0, 20.0, 10.0), failed, row("large", "guitar", -5.0, 20.0, 10.0)];
        let frontier = &EffectFrontier::all(&rows)[0];
        assert_eq!((frontier.points.len(), &frontier.left_out[..]), (1, &["small".to_owned()][..]));
        assert!(frontier.sentences[0].starts_with("No model has a noise-to-mask ratio below -10 dB"), "{:?}", frontier.sentences);
        assert_eq!(frontier.sentences[1], "Cheaper than the effect: large. None of them is below -10 dB.");
    }

    #[test]
    fn a_ratio_has_two_digits_however_small_it_is() {
        for (ratio, text) in [(94.48, "94"), (3.25, "3.2"), (1.0, "1.0"), (0.61, "0.61"), (0.1, "0.10"), (0.002_74, "0.0027")] {
            assert_eq!(ratio_text(ratio), text);
        }
    }

    #[test]
    fn without_times_there_is_no_frontier() {
        let mut row = row("small", "guitar", -40.0, 20.0, 10.0);
        row.costs[0].a_ns = None;
        assert!(EffectFrontier::all(&[row]).is_empty());
    }
}
