//! The verdict: two sentences and the three numbers that decide, by a table of rules.

use serde::Serialize;

use super::report::{Band, SoundReport, worst_band};
use crate::measure::SILENCE_DB;

/// Null after alignment in dB, below which nothing but level, delay, polarity or DC differs: the error of a 16-bit file.
pub const EQUAL_DB: f64 = -60.0;
/// Decibels by which alignment must make the null better, so that gain, delay or polarity is the difference.
pub const ALIGNED_BY_DB: f64 = 20.0;
/// Smallest difference of gain in dB, delay in frames and DC (of full scale) that counts.
pub const MIN_GAIN_DB: f64 = 0.01;
/// See [`MIN_GAIN_DB`].
pub const MIN_DELAY_FRAMES: f64 = 0.02;
/// See [`MIN_GAIN_DB`].
pub const MIN_DC: f64 = 1e-5;
/// Largest spread of the gain between sounds in dB that is still one gain.
pub const MAX_GAIN_SPREAD_DB: f64 = 0.1;
/// Decibels by which B may be further from A than A from itself, and count as equal.
pub const FLOOR_MARGIN_DB: f64 = 1.0;
/// Largest difference of gain in dB and of delay in frames, with which B may be as equal as A is to itself: those of the ruler's
/// rows *louder* and *late*. Random parts make the measured ones inexact.
pub const FLOOR_GAIN_DB: f64 = 0.1;
/// See [`FLOOR_GAIN_DB`].
pub const FLOOR_DELAY_FRAMES: f64 = 0.1;
/// Largest DC of B against A, with which B may be as equal as A is to itself: -60 dB of full scale, as [`EQUAL_DB`].
pub const FLOOR_DC: f64 = 1e-3;
/// Error in a third octave against the signal in dB, above which the band is missing, if B is also quieter there by
/// [`MISSING_LEVEL_DB`].
pub const MISSING_ERROR_DB: f64 = -3.0;
/// See [`MISSING_ERROR_DB`].
pub const MISSING_LEVEL_DB: f64 = 6.0;
/// Third octaves at the top or at the bottom that must be missing in one sound for a verdict.
pub const MISSING_BANDS: usize = 2;
/// Level in dB below A's loudest third octave, down to which a band can be missing; what is fainter nobody hears beside it.
pub const MISSING_FAINT_DB: f64 = -80.0;
/// Highest null after alignment in dB with which a missing band is the verdict; with more, more than a band differs.
pub const FILTERED_NULL_DB: f64 = -10.0;
/// Highest noise-to-mask ratio in dB of a close twin: below -10 dB noise is not heard (K. Brandenburg, "Evaluation of quality for
/// audio encoding at low bit rates", AES 82, 1987).
pub const CLOSE_NMR_DB: f64 = -10.0;
/// Highest error in the worst third octave of a close twin in dB: that of a delay of 0.1 frames, which nobody hears, at 20 kHz
/// and 48 kHz: 20 log10 (2 sin (pi 0.1 20 / 48)).
pub const CLOSE_OCTAVE_DB: f64 = -12.0;
/// Highest null after alignment of a coarse twin in dB; ESR 0.035, "not bad" in Neural Amp Modeler's grading.
pub const COARSE_NULL_DB: f64 = -14.6;

/// The evidence for a verdict from one sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Name of the sound.
    pub sound: String,
    /// True if the sides have nothing in common.
    pub is_unrelated: bool,
    /// True if every sample is equal, without alignment, and both sides are equally long.
    pub is_identical: bool,
    /// True if B's polarity is inverted.
    pub is_inverted: bool,
    /// Gain of B against A in dB.
    pub gain_db: f64,
    /// Delay of B against A in frames.
    pub delay_frames: f64,
    /// DC of B against A, where 1 is full scale.
    pub dc: f64,
    /// Null without alignment in dB; infinity if A is silent there.
    pub raw_null_db: f64,
    /// Null after alignment in dB.
    pub null_db: f64,
    /// Null of A against itself in dB; `None` if that is exact.
    pub floor_db: Option<f64>,
    /// Noise-to-mask ratio in dB.
    pub nmr_db: f64,
    /// Error in the worst third octave in dB.
    pub octave_db: f64,
    /// Centre of that third octave in hertz.
    pub octave_hz: f64,
    /// The lowest of the third octaves at the top that B lacks, in hertz.
    pub missing_from_hz: Option<f64>,
    /// The highest of the third octaves at the bottom that B lacks, in hertz.
    pub missing_to_hz: Option<f64>,
}

impl Evidence {
    /// The evidence in a report on a sound.
    pub(super) fn of(sound: &SoundReport) -> Self {
        let figure = |id: &str| sound.aligned.get(id).copied().flatten().unwrap_or(f64::NAN);
        let worst = worst_band(&sound.third_octaves);
        let alignment = sound.alignment.as_ref();
        Self {
            sound: sound.name.clone(),
            is_unrelated: sound.unrelated_correlation.is_some(),
            is_identical: sound.is_equal_as_it_is() && sound.a_frames == sound.b_frames,
            is_inverted: alignment.is_some_and(|a| a.inverted),
            gain_db: alignment.map_or(0.0, |a| a.gain_db),
            delay_frames: alignment.map_or(0.0, |a| a.delay_frames),
            dc: alignment.map_or(0.0, |a| a.dc),
            // There is no null where A is still silent; then any sound of B is far from it.
            raw_null_db: sound.raw.get("null_db").copied().flatten().unwrap_or(f64::INFINITY),
            null_db: figure("null_db"),
            floor_db: sound.floor_db,
            nmr_db: figure("nmr_db"),
            octave_db: worst.map_or(f64::NAN, |(_, error)| error),
            octave_hz: worst.map_or(f64::NAN, |(hz, _)| hz),
            missing_from_hz: missing(sound.third_octaves.iter().rev()),
            missing_to_hz: missing(sound.third_octaves.iter()),
        }
    }

    /// True if nothing is left after alignment.
    fn is_equal(&self) -> bool {
        self.null_db <= EQUAL_DB
    }

    /// True if nothing is left after alignment, and much without it.
    fn is_equal_by_alignment(&self) -> bool {
        self.is_equal() && self.null_db <= self.raw_null_db - ALIGNED_BY_DB
    }

    fn has_gain(&self) -> bool {
        self.gain_db.abs() >= MIN_GAIN_DB
    }

    fn has_delay(&self) -> bool {
        self.delay_frames.abs() >= MIN_DELAY_FRAMES
    }

    fn has_dc(&self) -> bool {
        self.dc.abs() >= MIN_DC
    }

    /// True if B is no further from A than A from itself.
    fn is_within_floor(&self) -> bool {
        let floor = self.floor_db.map_or(f64::from(SILENCE_DB), |floor| floor + FLOOR_MARGIN_DB);
        let is_as_it_was = !self.is_inverted
            && self.gain_db.abs() <= FLOOR_GAIN_DB
            && self.delay_frames.abs() <= FLOOR_DELAY_FRAMES
            && self.dc.abs() <= FLOOR_DC;
        self.null_db <= floor && is_as_it_was
    }
}

/// The last of at least [`MISSING_BANDS`] bands, from one end, that B lacks; `None` if it lacks fewer, or all. Bands that are
/// faint in A do not count.
fn missing<'a>(bands: impl Iterator<Item = &'a Band> + Clone) -> Option<f64> {
    let loudest = bands.clone().map(|band| band.a_db).fold(f64::MIN, f64::max);
    let counted = bands.filter(|band| band.a_db >= loudest + MISSING_FAINT_DB);
    let mut missing = Vec::new();
    for (band, error_db) in counted.filter_map(|band| Some((band, band.error_db?))) {
        let is_missing = error_db > MISSING_ERROR_DB && band.b_db <= band.a_db - MISSING_LEVEL_DB;
        if !is_missing {
            return (missing.len() >= MISSING_BANDS).then(|| missing.last().copied()).flatten();
        }
        missing.push(band.hz);
    }
    None
}

/// A row of the decision table. The first row whose rule holds gives the verdict.
pub struct VerdictRow {
    /// Key that never changes.
    pub id: &'static str,
    /// The verdict in a few words.
    pub title: &'static str,
    /// The rule in plain English, for the documentation.
    pub rule: &'static str,
    /// The rule.
    holds: fn(&[Evidence]) -> bool,
    /// The first sentence of the verdict.
    sentence: fn(&Worst<'_>) -> String,
}

/// The sound of the worst figure of each measure that decides.
struct Worst<'a> {
    null: &'a Evidence,
    nmr: &'a Evidence,
    octave: &'a Evidence,
    gain: &'a Evidence,
    delay: &'a Evidence,
    /// The highest null of A against itself in dB.
    floor_db: f64,
}

/// The decision table, in the order in which it is asked. The figures are those of the worst sound.
pub static VERDICTS: &[VerdictRow] = &[
    VerdictRow {
        id: "identical",
        title: "Identical",
        rule: "every sample of every sound is equal, without alignment, and both sides are equally long",
        holds: |all| all.iter().all(|e| e.is_identical),
        sentence: |_| "A and B give the same samples, bit for bit.".into(),
    },
    VerdictRow {
        id: "unrelated",
        title: "Unrelated",
        rule: "in some sound the sides have nothing in common: their correlation is that of noise",
        holds: |all| all.iter().any(|e| e.is_unrelated),
        sentence: |_| "A and B have nothing in common, so no number can say how far apart they are.".into(),
    },
    VerdictRow {
        id: "within_floor",
        title: "As equal as A is to itself",
        rule: "A against itself is not exact (random parts), and in every sound B is no further from A than that, by at most \
               1 dB; polarity is the same, gain and delay are within 0.1 dB and 0.1 frames, and DC within 0.001",
        holds: |all| all.iter().any(|e| e.floor_db.is_some()) && all.iter().all(Evidence::is_within_floor),
        sentence: |worst| {
            format!("A has random parts and differs from itself by up to {:.1} dB; B is no further away.", worst.floor_db)
        },
    },
    VerdictRow {
        id: "polarity",
        title: "Polarity inverted, otherwise equal",
        rule: "alignment makes the null better by 20 dB or more, to -60 dB or better, and B's polarity is inverted in \
               every sound",
        holds: |all| all.iter().all(|e| e.is_equal_by_alignment() && e.is_inverted),
        sentence: |worst| {
            let mut more = String::new();
            if worst.gain.has_gain() {
                more += &format!(", {:+.2} dB", worst.gain.gain_db);
            }
            if worst.delay.has_delay() {
                more += &format!(", {:.2} frames late", worst.delay.delay_frames);
            }
            format!("B is A with inverted polarity{more}; otherwise they are equal.")
        },
    },
    VerdictRow {
        id: "gain",
        title: "Louder or quieter, otherwise equal",
        rule: "alignment makes the null better by 20 dB or more, to -60 dB or better; only the gain differs, by 0.01 dB or more, \
               and it is the same in every sound within 0.1 dB",
        holds: |all| {
            all.iter().all(|e| e.is_equal_by_alignment() && !e.has_delay() && !e.has_dc())
                && one_gain(all)
                && all.iter().any(Evidence::has_gain)
        },
        sentence: |worst| format!("B is A with {:+.2} dB of gain; otherwise they are equal.", worst.gain.gain_db),
    },
    VerdictRow {
        id: "delay",
        title: "Earlier or later, otherwise equal",
        rule: "alignment makes the null better by 20 dB or more, to -60 dB or better; only the delay differs, by \
               0.02 frames or more",
        holds: |all| {
            all.iter().all(|e| e.is_equal_by_alignment() && !e.has_gain() && !e.has_dc()) && all.iter().any(Evidence::has_delay)
        },
        sentence: |worst| {
            let frames = worst.delay.delay_frames;
            let late = if frames < 0.0 { "early" } else { "late" };
            format!("B is A, {:.2} frames {late}; otherwise they are equal.", frames.abs())
        },
    },
    VerdictRow {
        id: "aligned",
        title: "Equal after alignment",
        rule: "after alignment the null is -60 dB or better, with gain, delay and DC together or none of them",
        holds: |all| all.iter().all(Evidence::is_equal) && one_gain(all),
        sentence: |worst| {
            format!(
                "After alignment ({:+.2} dB, {:.2} frames) B equals A down to {:.1} dB.",
                worst.gain.gain_db, worst.delay.delay_frames, worst.null.null_db
            )
        },
    },
    VerdictRow {
        id: "filtered",
        title: "A part of the spectrum is missing",
        rule: "in some sound B lacks two or more third octaves at the top or at the bottom (6 dB quieter or more, and an \
               error above -3 dB), and the null after alignment is -10 dB or better in every sound",
        holds: |all| {
            all.iter().all(|e| e.null_db <= FILTERED_NULL_DB)
                && all.iter().any(|e| e.missing_from_hz.is_some() || e.missing_to_hz.is_some())
        },
        sentence: |worst| {
            let evidence = worst.octave;
            let part = match (evidence.missing_from_hz, evidence.missing_to_hz) {
                (Some(hz), _) => format!("from the third octave of {} upwards", hertz(hz)),
                (None, Some(hz)) => format!("up to the third octave of {}", hertz(hz)),
                (None, None) => "at an end of the spectrum".into(),
            };
            format!("B lacks what A has {part}; a single error to signal does not see this.")
        },
    },
    VerdictRow {
        id: "close_twin",
        title: "A close twin",
        rule: "the noise-to-mask ratio is -10 dB or better, and the error in the worst third octave -12 dB or better",
        holds: |all| all.iter().all(|e| e.nmr_db <= CLOSE_NMR_DB && e.octave_db <= CLOSE_OCTAVE_DB),
        sentence: |worst| {
            format!(
                "B does what A does: the difference is {}, and is likely to be masked by it everywhere.",
                from_sound(worst.null.null_db)
            )
        },
    },
    VerdictRow {
        id: "coarse_twin",
        title: "A coarse twin",
        rule: "the null after alignment is -14.6 dB or better (an error to signal of 0.035)",
        holds: |all| all.iter().all(|e| e.null_db <= COARSE_NULL_DB),
        sentence: |worst| format!("B is like A, and can be told apart: the difference is {}.", from_sound(worst.null.null_db)),
    },
    VerdictRow {
        id: "different",
        title: "Different",
        rule: "none of the above",
        holds: |_| true,
        sentence: |worst| format!("B does something else than A: the difference is {}.", from_sound(worst.null.null_db)),
    },
];

/// True if the gain is the same in every sound.
fn one_gain(all: &[Evidence]) -> bool {
    let gains = || all.iter().map(|e| e.gain_db);
    gains().fold(f64::MIN, f64::max) - gains().fold(f64::MAX, f64::min) <= MAX_GAIN_SPREAD_DB
}

/// A frequency with its unit.
fn hertz(hz: f64) -> String {
    if hz >= 1000.0 { format!("{:.1} kHz", hz / 1000.0).replace(".0 ", " ") } else { format!("{hz:.0} Hz") }
}

/// A number that decides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deciding {
    /// Id of the measure.
    pub measure: &'static str,
    /// Name for users.
    pub name: String,
    /// The worst figure of all sounds; `None` if there is none.
    pub figure: Option<f64>,
    /// The figure with its unit.
    pub text: String,
    /// The sound of the worst figure.
    pub sound: String,
}

/// The verdict of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Key of the row of [`VERDICTS`].
    pub id: &'static str,
    /// The verdict in a few words.
    pub title: &'static str,
    /// The rule that holds.
    pub rule: &'static str,
    /// The two sentences.
    pub sentences: [String; 2],
    /// The three numbers that decide.
    pub deciding: Vec<Deciding>,
}

impl Verdict {
    /// The verdict on the evidence of one or more sounds. [any thread but the audio thread: allocates]
    ///
    /// # Panics
    /// If there is no evidence.
    #[must_use]
    pub fn of(all: &[Evidence]) -> Self {
        let worst_by = |figure: fn(&Evidence) -> f64| {
            // NaN, no figure, counts as the worst of all.
            all.iter().max_by(|a, b| figure(a).total_cmp(&figure(b))).expect("a verdict needs evidence")
        };
        let worst = Worst {
            null: worst_by(|e| e.null_db),
            nmr: worst_by(|e| e.nmr_db),
            octave: worst_by(|e| e.octave_db),
            gain: worst_by(|e| e.gain_db.abs()),
            delay: worst_by(|e| e.delay_frames.abs()),
            floor_db: all.iter().filter_map(|e| e.floor_db).fold(f64::from(SILENCE_DB), f64::max),
        };
        let row = VERDICTS.iter().find(|row| (row.holds)(all)).expect("the last row always holds");
        let number = |measure, name: String, figure: f64, sound: &Evidence| Deciding {
            measure,
            name,
            figure: super::figures::finite(figure),
            text: decibels(figure),
            sound: sound.sound.clone(),
        };
        let octave = format!("Error in the worst third octave, {}", hertz(worst.octave.octave_hz));
        let deciding = if row.id == "unrelated" {
            Vec::new()
        } else {
            vec![
                number("null_db", "Null after alignment".into(), worst.null.null_db, worst.null),
                number("third_octave_error_db", octave, worst.octave.octave_db, worst.octave),
                number("nmr_db", "Noise-to-mask ratio".into(), worst.nmr.nmr_db, worst.nmr),
            ]
        };
        let second = match row.id {
            "identical" => "Every measure of their difference is zero.".into(),
            "unrelated" => "Check that both sides are of the same sound.".into(),
            _ => format!(
                "At worst the error is {} of the third octave at {} ({}), and {} of what the ear masks ({}).",
                below(worst.octave.octave_db),
                hertz(worst.octave.octave_hz),
                worst.octave.sound,
                below(worst.nmr.nmr_db),
                worst.nmr.sound
            ),
        };
        Self { id: row.id, title: row.title, rule: row.rule, sentences: [(row.sentence)(&worst), second], deciding }
    }
}

/// Decibels as text.
fn decibels(db: f64) -> String {
    match db {
        db if !db.is_finite() => "no figure".into(),
        db if db <= f64::from(SILENCE_DB) => "zero".into(),
        db => format!("{db:.1} dB"),
    }
}

/// A null as a distance to the sound.
fn from_sound(db: f64) -> String {
    if db < 0.0 { format!("{:.1} dB below the sound", -db) } else { format!("{db:.1} dB above the sound") }
}

/// Decibels as a distance to something.
fn below(db: f64) -> String {
    match db {
        db if !db.is_finite() => "without a figure".into(),
        db if db < 0.0 => format!("{:.1} dB below the level", -db),
        db => format!("{db:.1} dB above the level"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence() -> Evidence {
        Evidence {
            sound: "guitar".into(),
            is_unrelated: false,
            is_identical: false,
            is_inverted: false,
            gain_db: 0.0,
            delay_frames: 0.0,
            dc: 0.0,
            raw_null_db: -30.0,
            null_db: -50.0,
            floor_db: None,
            nmr_db: -15.0,
            octave_db: -25.0,
            octave_hz: 16_000.0,
            missing_from_hz: None,
            missing_to_hz: None,
        }
    }

    #[test]
    fn the_first_rule_that_holds_gives_the_verdict() {
        let verdict = |all: &[Evidence]| Verdict::of(all).id;
        let with = |change: fn(&mut Evidence)| {
            let mut e = evidence();
            change(&mut e);
            e
        };
        assert_eq!(verdict(&[evidence()]), "close_twin");
        assert_eq!(verdict(&[with(|e| e.octave_db = -11.0)]), "coarse_twin");
        assert_eq!(verdict(&[with(|e| e.nmr_db = f64::NAN)]), "coarse_twin");
        assert_eq!(verdict(&[with(|e| (e.null_db, e.nmr_db) = (-6.0, 8.0))]), "different");
        assert_eq!(verdict(&[with(|e| e.missing_from_hz = Some(8000.0))]), "filtered");
        assert_eq!(verdict(&[with(|e| e.is_identical = true)]), "identical");
        assert_eq!(verdict(&[with(|e| e.is_identical = true), evidence()]), "close_twin");
        assert_eq!(verdict(&[evidence(), with(|e| e.is_unrelated = true)]), "unrelated");
        let equal = |change: fn(&mut Evidence)| {
            let mut e = with(|e| e.null_db = -90.0);
            change(&mut e);
            verdict(&[e])
        };
        assert_eq!(equal(|e| e.gain_db = 0.5), "gain");
        assert_eq!(equal(|e| e.delay_frames = 1.0), "delay");
        assert_eq!(equal(|e| (e.gain_db, e.delay_frames) = (0.5, 1.0)), "aligned");
        assert_eq!(equal(|e| (e.gain_db, e.dc) = (0.5, 0.01)), "aligned");
        assert_eq!(equal(|e| (e.gain_db, e.is_inverted) = (0.5, true)), "polarity");
        // A gain that hardly changes the null is no reason for the difference.
        assert_eq!(equal(|e| (e.gain_db, e.raw_null_db) = (0.5, -80.0)), "aligned");
        assert_eq!(verdict(&[with(|e| e.floor_db = Some(-50.5))]), "within_floor");
        assert_eq!(verdict(&[with(|e| e.floor_db = Some(-60.0))]), "close_twin");
    }

    #[test]
    fn a_gain_that_differs_from_sound_to_sound_is_no_gain() {
        let with = |gain_db| Evidence { gain_db, null_db: -90.0, ..evidence() };
        assert_eq!(Verdict::of(&[with(0.5), with(0.55)]).id, "gain");
        assert_eq!(Verdict::of(&[with(0.5), with(3.0)]).id, "close_twin");
    }

    #[test]
    fn b_is_as_equal_as_a_is_to_itself_only_in_every_sound_and_without_gain_delay_dc_and_inversion() {
        let near = Evidence { floor_db: Some(-50.5), ..evidence() };
        let id = |all: &[Evidence]| Verdict::of(all).id;
        assert_eq!(id(&[Evidence { gain_db: 0.05, delay_frames: 0.05, dc: 1e-4, ..near.clone() }]), "within_floor");
        for changed in [
            Evidence { is_inverted: true, ..near.clone() },
            Evidence { gain_db: -6.0, ..near.clone() },
            Evidence { delay_frames: 1.0, ..near.clone() },
            Evidence { dc: 0.01, ..near.clone() },
        ] {
            assert_eq!(id(&[changed]), "close_twin");
        }
        // The floor of one sound is not that of another one; where A is exact, B must be, too.
        let loud = Evidence { floor_db: Some(-20.0), ..evidence() };
        assert_eq!(id(&[loud.clone(), Evidence { floor_db: Some(-60.0), ..evidence() }]), "close_twin");
        assert_eq!(id(&[loud.clone(), evidence()]), "close_twin");
        assert_eq!(id(&[loud, Evidence { null_db: f64::from(SILENCE_DB), ..evidence() }]), "within_floor");
    }

    #[test]
    fn bands_are_missing_only_at_an_end_and_only_where_b_is_quieter() {
        let band = |hz, b_db, error_db| Band { hz, a_db: -30.0, b_db, error_db: Some(error_db) };
        let bands = [band(1e3, -30.0, -40.0), band(2e3, -30.0, -40.0), band(4e3, -60.0, 0.0), band(8e3, -60.0, 0.0)];
        assert_eq!((missing(bands.iter().rev()), missing(bands.iter())), (Some(4e3), None));
        let noisy = bands.map(|band| Band { b_db: -30.0, ..band });
        assert_eq!(missing(noisy.iter().rev()), None);
        assert_eq!(missing(bands[2..].iter()), None);
        assert_eq!(missing(bands[..3].iter().rev()), None);
        // 80 dB below the loudest band nothing is missing, and the bands below are looked at.
        let faint = |hz, a_db: f64| Band { hz, a_db, b_db: a_db - 30.0, error_db: Some(0.0) };
        let loud = [band(1e3, -30.0, -40.0), faint(8e3, -111.0), faint(16e3, -120.0)];
        assert_eq!(missing(loud.iter().rev()), None);
        let both = [band(1e3, -30.0, -40.0), faint(4e3, -60.0), faint(8e3, -70.0), faint(16e3, -120.0)];
        assert_eq!(missing(both.iter().rev()), Some(4e3));
    }

    #[test]
    fn every_row_has_an_id_and_a_rule_of_its_own_and_the_last_one_always_holds() {
        for (i, row) in VERDICTS.iter().enumerate() {
            assert!(VERDICTS[..i].iter().all(|other| other.id != row.id && other.rule != row.rule), "{}", row.id);
        }
        assert_eq!(VERDICTS.last().unwrap().id, "different");
    }
}
