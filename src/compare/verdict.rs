//! The verdict: two sentences and the numbers that decide, by a table of rules.

use serde::Serialize;

use super::figures::{Figures, finite};
use super::report::{Band, SoundReport, audible, worst_band};
use super::ruler::RANDOM_DB;
use crate::measure::SILENCE_DB;

/// Null after alignment in dB, below which two sounds can be equal: about what a 16-bit file leaves of a quiet sound.
pub const EQUAL_DB: f64 = -60.0;
/// Decibels by which alignment must make the null better, so that gain, delay or polarity is the difference.
pub const ALIGNED_BY_DB: f64 = 20.0;
/// Smallest difference of gain in dB, delay in frames and DC (of full scale) that counts.
pub const MIN_GAIN_DB: f64 = 0.01;
/// See [`MIN_GAIN_DB`].
pub const MIN_DELAY_FRAMES: f64 = 0.02;
/// See [`MIN_GAIN_DB`].
pub const MIN_DC: f64 = 1e-5;
/// Smallest correction of gain in dB, delay in frames and DC (of full scale) that the verdict tells. An effect that is not A has
/// small ones of its own.
const TOLD_GAIN_DB: f64 = 0.05;
/// See [`TOLD_GAIN_DB`].
const TOLD_DELAY_FRAMES: f64 = 0.05;
/// See [`TOLD_GAIN_DB`].
const TOLD_DC: f64 = 1e-4;
/// Largest spread of the gain between sounds in dB that is still one gain.
pub const MAX_GAIN_SPREAD_DB: f64 = 0.1;
/// Decibels by which B's null may be above or below that of A against itself, and count as equal. A B without the random part
/// is 3 dB nearer to A than A is to itself, one with half the noise 1.2 dB.
pub const FLOOR_NULL_DB: f64 = 0.5;
/// Decibels by which B's log-spectral distance may be above that of A against itself.
pub const FLOOR_LOG_SPECTRAL_DB: f64 = 0.5;
/// Factor by which B's multi-resolution STFT distance may be above that of A against itself.
pub const FLOOR_STFT: f64 = 1.1;
/// Decibels by which B's worst noise-to-mask band may be above that of A against itself.
pub const FLOOR_MASK_DB: f64 = 1.0;
/// Decibels by which B's worst third octave may be above that of A against itself: a low band has few values in a short sound.
pub const FLOOR_OCTAVE_DB: f64 = 2.0;
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
/// Third octaves at the top or at the bottom that must be missing in one sound for a verdict, one of which is not faint.
pub const MISSING_BANDS: usize = 2;
/// Highest null after alignment in dB with which a missing band is the verdict; with more, more than a band differs.
pub const FILTERED_NULL_DB: f64 = -10.0;
/// Highest noise-to-mask ratio in dB, in the worst band, of what is masked: below -10 dB noise is not heard (K. Brandenburg,
/// "Evaluation of quality for audio encoding at low bit rates", AES 82, 1987).
pub const MASKED_DB: f64 = -10.0;
/// Highest error in the worst third octave of a close twin in dB: that of a delay of 0.1 frames, which nobody hears, at 20 kHz
/// and 48 kHz: 20 log10 (2 sin (pi 0.1 20 / 48)).
pub const CLOSE_OCTAVE_DB: f64 = -12.0;
/// Highest error in the worst window of a close twin in dB: that of 0.2 dB more gain, 20 log10 (10^(0.2 / 20) - 1).
pub const CLOSE_WINDOW_DB: f64 = -32.7;
/// Highest null after alignment of a coarse twin in dB; ESR 0.035, "not bad" in Neural Amp Modeler's grading.
pub const COARSE_NULL_DB: f64 = -14.6;
/// Decibels by which the worst noise-to-mask band is below the null, if only the phases differ. Of an error that the magnitudes
/// have it is above.
const PHASES_DB: f64 = 10.0;

/// The figures of a difference that decide; NaN where there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distance {
    /// Null in dB.
    pub null_db: f64,
    /// Error in the worst third octave in dB.
    pub octave_db: f64,
    /// Noise-to-mask ratio in the worst band in dB.
    pub mask_db: f64,
    /// Disturbed frames in percent.
    pub disturbed: f64,
    /// Error in the worst window in dB.
    pub window_db: f64,
    /// Log-spectral distance in dB.
    pub log_spectral_db: f64,
    /// Multi-resolution STFT distance.
    pub mr_stft: f64,
}

impl Distance {
    /// The figures that decide, of all.
    fn of(figures: &Figures) -> Self {
        let figure = |id: &str| figures.get(id).copied().flatten().unwrap_or(f64::NAN);
        Self {
            null_db: figure("null_db"),
            octave_db: figure("third_octave_error_db"),
            mask_db: figure("nmr_worst_band_db"),
            disturbed: figure("disturbed_frames"),
            window_db: figure("worst_window_db"),
            log_spectral_db: figure("log_spectral_distance_db"),
            mr_stft: figure("mr_stft"),
        }
    }
}

/// The evidence for a verdict from one sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Name of the sound.
    pub sound: String,
    /// True if the sound is a built-in test signal, which shows what music masks.
    pub is_test_signal: bool,
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
    /// Drift of B against A in millionths, if it is corrected.
    pub drift_ppm: Option<f64>,
    /// Null without alignment in dB; infinity if A is silent there.
    pub raw_null_db: f64,
    /// The difference after alignment.
    pub distance: Distance,
    /// The difference of A against itself; `None` if A has no random part.
    pub floor: Option<Distance>,
    /// Centre of the third octave with the largest error in hertz.
    pub octave_hz: f64,
    /// The lowest of the third octaves at the top that B lacks, in hertz.
    pub missing_from_hz: Option<f64>,
    /// The highest of the third octaves at the bottom that B lacks, in hertz.
    pub missing_to_hz: Option<f64>,
    /// True if B lacks third octaves at an end, be they faint or not.
    pub lacks_faint_bands: bool,
}

impl Evidence {
    /// The evidence in a report on a sound.
    pub(super) fn of(sound: &SoundReport) -> Self {
        let alignment = sound.alignment.as_ref();
        let bands: Vec<(&Band, bool)> = sound.third_octaves.iter().zip(audible(&sound.third_octaves)).collect();
        let all = || sound.third_octaves.iter().map(|band| (band, true));
        Self {
            sound: sound.name.clone(),
            is_test_signal: sound.is_test_signal,
            is_unrelated: sound.unrelated_correlation.is_some(),
            is_identical: sound.is_equal_as_it_is() && sound.a_frames == sound.b_frames,
            is_inverted: alignment.is_some_and(|a| a.inverted),
            gain_db: alignment.map_or(0.0, |a| a.gain_db),
            delay_frames: alignment.map_or(0.0, |a| a.delay_frames),
            dc: alignment.map_or(0.0, |a| a.dc),
            drift_ppm: alignment.filter(|a| a.is_drifting).and_then(|a| a.drift_ppm),
            // There is no null where A is still silent; then any sound of B is far from it.
            raw_null_db: sound.raw.get("null_db").copied().flatten().unwrap_or(f64::INFINITY),
            distance: Distance::of(&sound.aligned),
            floor: sound.floor.as_ref().map(Distance::of),
            octave_hz: worst_band(&sound.third_octaves).map_or(f64::NAN, |(hz, _)| hz),
            missing_from_hz: missing(bands.iter().rev().copied()),
            missing_to_hz: missing(bands.iter().copied()),
            lacks_faint_bands: missing(all()).is_some() || missing(all().rev()).is_some(),
        }
    }

    /// True if A masks the difference, in every band and at any time.
    fn is_masked(&self) -> bool {
        self.distance.mask_db <= MASKED_DB && self.distance.disturbed <= 0.0
    }

    /// True if B lacks bands at an end of the spectrum.
    fn lacks_bands(&self) -> bool {
        self.missing_from_hz.is_some() || self.missing_to_hz.is_some()
    }

    /// True if next to nothing is left after alignment, and A masks it.
    fn is_equal(&self) -> bool {
        self.distance.null_db <= EQUAL_DB && self.is_masked() && !self.lacks_bands() && !self.lacks_faint_bands
    }

    /// True if next to nothing is left after alignment, and much without it.
    fn is_equal_by_alignment(&self) -> bool {
        self.is_equal() && self.distance.null_db <= self.raw_null_db - ALIGNED_BY_DB && self.drift_ppm.is_none()
    }

    fn is_close(&self) -> bool {
        self.is_masked() && self.distance.octave_db <= CLOSE_OCTAVE_DB && self.distance.window_db <= CLOSE_WINDOW_DB
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

    /// True if B is as far from A as A from itself, and not further in what hears more than the null. Where A is exact, B is, too.
    fn is_within_floor(&self) -> bool {
        let is_as_it_was = !self.is_inverted
            && self.drift_ppm.is_none()
            && self.gain_db.abs() <= FLOOR_GAIN_DB
            && self.delay_frames.abs() <= FLOOR_DELAY_FRAMES
            && self.dc.abs() <= FLOOR_DC;
        let b = &self.distance;
        let is_near = self.floor.as_ref().map_or(b.null_db <= RANDOM_DB, |floor| {
            b.null_db <= f64::from(SILENCE_DB)
                || (b.null_db - floor.null_db).abs() <= FLOOR_NULL_DB
                    && b.log_spectral_db <= floor.log_spectral_db + FLOOR_LOG_SPECTRAL_DB
                    && b.mr_stft <= floor.mr_stft * FLOOR_STFT
                    && b.mask_db <= floor.mask_db + FLOOR_MASK_DB
                    && b.octave_db <= floor.octave_db + FLOOR_OCTAVE_DB
        });
        is_as_it_was && is_near
    }

    /// Decibels by which B is nearer to A than A to itself, if that is more than chance: B lacks A's random part.
    pub(super) fn nearer_than_a_db(&self) -> Option<f64> {
        let nearer = self.floor.as_ref()?.null_db - self.distance.null_db;
        (nearer > FLOOR_NULL_DB && !self.is_identical).then_some(nearer)
    }

    /// True if phases differ and magnitudes hardly do, so that the noise-to-mask ratio does not see the difference.
    fn has_other_phases(&self) -> bool {
        let Distance { null_db, mask_db, .. } = self.distance;
        mask_db <= MASKED_DB && null_db > CLOSE_WINDOW_DB && mask_db < null_db - PHASES_DB
    }
}

/// The last of at least [`MISSING_BANDS`] bands that are not faint, from one end, that B lacks; `None` if it lacks fewer, or all.
/// Faint bands in between count if they are missing, and are passed by if not: their noise is not A's. One band or more that is
/// not faint must be missing. `bands`: each with true if it is not faint.
fn missing<'a>(bands: impl Iterator<Item = (&'a Band, bool)>) -> Option<f64> {
    let (mut count, mut last) = (0, None);
    for (band, is_audible) in bands {
        let Some(error_db) = band.error_db else { continue };
        let is_missing = error_db > MISSING_ERROR_DB && band.b_db <= band.a_db - MISSING_LEVEL_DB;
        match (is_missing, is_audible) {
            (true, _) => {
                count += 1;
                last = if is_audible { Some(band.hz) } else { last };
            }
            (false, true) => return last.filter(|_| count >= MISSING_BANDS),
            (false, false) => {}
        }
    }
    None
}

/// A step of the scale of verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The step in a word or two.
    pub title: &'static str,
    /// Its meaning in a few words.
    pub meaning: &'static str,
}

/// The scale of verdicts, from the nearest to the furthest.
pub static SCALE: [Step; 6] = [
    Step { title: "Identical", meaning: "every sample is equal" },
    Step { title: "Equal", meaning: "after gain, delay and polarity, or as A is to itself" },
    Step { title: "Close twin", meaning: "in music the difference is hardly heard" },
    Step { title: "Coarse twin", meaning: "alike, with a difference that may be heard" },
    Step { title: "Part missing", meaning: "treble or bass is lost" },
    Step { title: "Different", meaning: "another sound" },
];

/// A row of the decision table. The first row whose rule holds gives the verdict.
pub struct VerdictRow {
    /// Key that never changes.
    pub id: &'static str,
    /// The verdict in a few words.
    pub title: &'static str,
    /// The rule in plain English, for the documentation.
    pub rule: &'static str,
    /// Index in [`SCALE`].
    pub step: usize,
    /// The rule.
    holds: fn(&[&Evidence]) -> bool,
    /// The first sentence of the verdict.
    sentence: fn(&Worst<'_>) -> String,
}

/// The sound of the worst figure of each measure that decides.
struct Worst<'a> {
    all: &'a [&'a Evidence],
    null: &'a Evidence,
    octave: &'a Evidence,
    mask: &'a Evidence,
    disturbed: &'a Evidence,
    window: &'a Evidence,
    gain: &'a Evidence,
    delay: &'a Evidence,
}

impl<'a> Worst<'a> {
    fn of(all: &'a [&'a Evidence]) -> Self {
        let by = |figure: fn(&Evidence) -> f64| {
            // NaN, no figure, counts as the worst of all.
            *all.iter().max_by(|a, b| figure(a).total_cmp(&figure(b))).expect("a verdict needs evidence")
        };
        Self {
            all,
            null: by(|e| e.distance.null_db),
            octave: by(|e| e.distance.octave_db),
            mask: by(|e| e.distance.mask_db),
            disturbed: by(|e| e.distance.disturbed),
            window: by(|e| e.distance.window_db),
            gain: by(|e| e.gain_db.abs()),
            delay: by(|e| e.delay_frames.abs()),
        }
    }

    /// The worst band, and the distance to what is heard, in two sentences.
    fn details(&self) -> String {
        let (octave, mask) = (self.octave.distance.octave_db, self.mask.distance.mask_db);
        let band = if octave <= f64::from(SILENCE_DB) {
            "No band has an error.".into()
        } else {
            let place = format!("{}, {}", hertz(self.octave.octave_hz), self.octave.sound);
            format!("In the worst band ({place}) the error is {}.", against(octave, "the sound"))
        };
        let disturbed = self.disturbed.distance.disturbed;
        let heard = if disturbed > 0.0 {
            let share = percent(disturbed);
            format!("For {share} of the time the difference is above what A masks ({}).", self.disturbed.sound)
        } else if mask <= f64::from(SILENCE_DB) {
            "The spectra do not differ.".into()
        } else {
            format!("The difference is {} ({}).", against(mask, "what A masks"), self.mask.sound)
        };
        let phases = if self.all.iter().any(|e| e.has_other_phases()) {
            " The noise-to-mask ratio sees magnitudes only, and here it is the phases that differ."
        } else {
            ""
        };
        format!("{band} {heard}{phases}")
    }
}

/// The decision table, in the order in which it is asked. The figures are those of the worst sound.
pub static VERDICTS: &[VerdictRow] = &[
    VerdictRow {
        id: "identical",
        title: "Identical",
        rule: "every sample of every sound is equal, without alignment, and both sides are equally long",
        step: 0,
        holds: |all| all.iter().all(|e| e.is_identical),
        sentence: |_| "A and B give the same samples, bit for bit.".into(),
    },
    VerdictRow {
        id: "unrelated",
        title: "Unrelated",
        rule: "in some sound the sides have nothing in common: their correlation is that of noise",
        step: 5,
        holds: |all| all.iter().any(|e| e.is_unrelated),
        sentence: |_| "A and B have nothing in common, so no number can say how far apart they are.".into(),
    },
    VerdictRow {
        id: "within_floor",
        title: "As equal as A is to itself",
        rule: "A has a random part, and in every sound B is as far from A as A is from itself: the null is within 0.5 dB of that, \
               the log-spectral distance at most 0.5 dB more, the multi-resolution STFT distance at most 10 % more, the worst \
               noise-to-mask band at most 1 dB and the worst third octave at most 2 dB more; polarity is the same, there is no \
               drift, gain and delay are within 0.1 dB and 0.1 frames, and DC within 0.001",
        step: 1,
        holds: |all| all.iter().any(|e| e.floor.is_some()) && all.iter().all(|e| e.is_within_floor()),
        sentence: |worst| {
            let floor = worst.all.iter().filter_map(|e| Some(e.floor.as_ref()?.null_db)).fold(f64::NAN, f64::max);
            format!("A has a random part: two runs of A differ by {}. B is as near to A as A is to itself.", decibels(floor))
        },
    },
    VerdictRow {
        id: "filtered",
        title: "A part of the spectrum is missing",
        rule: "in some sound B lacks two or more third octaves at the top or at the bottom (6 dB quieter or more, and an \
               error above -3 dB), one of which is not faint, and the null after alignment is -10 dB or better in every sound",
        step: 4,
        holds: |all| all.iter().all(|e| e.distance.null_db <= FILTERED_NULL_DB) && all.iter().any(|e| e.lacks_bands()),
        sentence: |worst| {
            let lost = |hz: fn(&Evidence) -> Option<f64>| worst.all.iter().find_map(|e| Some((hz(e)?, e.sound.as_str())));
            let part = match (lost(|e| e.missing_from_hz), lost(|e| e.missing_to_hz)) {
                (Some((hz, sound)), _) => format!("from the third octave of {} upwards ({sound})", hertz(hz)),
                (None, Some((hz, sound))) => format!("up to the third octave of {} ({sound})", hertz(hz)),
                (None, None) => "at an end of the spectrum".into(),
            };
            format!("B lacks what A has {part}. A single error to signal does not see this.")
        },
    },
    VerdictRow {
        id: "polarity",
        title: "Polarity inverted, otherwise equal",
        rule: "as *Equal after alignment*; alignment makes the null better by 20 dB or more, there is no drift, and B's polarity is \
               inverted in every sound",
        step: 1,
        holds: |all| all.iter().all(|e| e.is_equal_by_alignment() && e.is_inverted),
        sentence: |_| "B is A with inverted polarity; otherwise they are equal.".into(),
    },
    VerdictRow {
        id: "gain",
        title: "Louder or quieter, otherwise equal",
        rule: "as *Equal after alignment*; alignment makes the null better by 20 dB or more, there is no drift, only the gain \
               differs, by 0.01 dB or more, and it is the same in every sound within 0.1 dB",
        step: 1,
        holds: |all| {
            all.iter().all(|e| e.is_equal_by_alignment() && !e.has_delay() && !e.has_dc())
                && one_gain(all)
                && all.iter().any(|e| e.has_gain())
        },
        sentence: |worst| {
            let gain = worst.gain.gain_db;
            let louder = if gain < 0.0 { "quieter" } else { "louder" };
            format!("B is A, {:.2} dB {louder}; otherwise they are equal.", gain.abs())
        },
    },
    VerdictRow {
        id: "delay",
        title: "Earlier or later, otherwise equal",
        rule: "as *Equal after alignment*; alignment makes the null better by 20 dB or more, there is no drift, and only the delay \
               differs, by 0.02 frames or more",
        step: 1,
        holds: |all| {
            all.iter().all(|e| e.is_equal_by_alignment() && !e.has_gain() && !e.has_dc()) && all.iter().any(|e| e.has_delay())
        },
        sentence: |worst| {
            let delay = worst.delay.delay_frames;
            let late = if delay < 0.0 { "early" } else { "late" };
            format!("B is A, {} {late}; otherwise they are equal.", frames(delay.abs()))
        },
    },
    VerdictRow {
        id: "aligned",
        title: "Equal after alignment",
        rule: "after alignment the null is -60 dB or better, B lacks no third octaves at an end of the spectrum, be they faint or not, the worst \
               noise-to-mask band is -10 dB or better, no frame is disturbed, and the gain is the same in every sound within 0.1 dB",
        step: 1,
        holds: |all| all.iter().all(|e| e.is_equal()) && one_gain(all),
        sentence: |worst| match worst.null.distance.null_db {
            null if null <= f64::from(SILENCE_DB) => "B equals A: nothing is left of the difference.".into(),
            null => format!("B equals A: what is left is {}, and A masks it.", against(null, "the sound")),
        },
    },
    VerdictRow {
        id: "close_twin",
        title: "A close twin",
        rule: "no frame is disturbed, the worst noise-to-mask band is -10 dB or better, the error in the worst third octave -12 dB or \
               better, and that in the worst 400 ms -32.7 dB or better",
        step: 2,
        holds: |all| all.iter().all(|e| e.is_close()),
        sentence: |worst| {
            let null = against(worst.null.distance.null_db, "the sound");
            format!("B does what A does: the difference is {null}, and A is likely to mask it.")
        },
    },
    VerdictRow {
        id: "coarse_twin",
        title: "A coarse twin",
        rule: "the null after alignment is -14.6 dB or better (an error to signal of 0.035)",
        step: 3,
        holds: |all| all.iter().all(|e| e.distance.null_db <= COARSE_NULL_DB),
        sentence: |worst| {
            let null = against(worst.null.distance.null_db, "the sound");
            if worst.all.iter().any(|e| !e.is_masked()) {
                return format!("B is like A, and the difference may be heard: it is {null}.");
            }
            let part = if worst.octave.distance.octave_db > CLOSE_OCTAVE_DB { "worst band" } else { "worst 400 ms" };
            format!("B is like A: the difference is {null}. In its {part} it is too large for a close twin.")
        },
    },
    VerdictRow {
        id: "different",
        title: "Different",
        rule: "none of the above",
        step: 5,
        holds: |_| true,
        sentence: |worst| {
            format!("B does something else than A: the difference is {}.", against(worst.null.distance.null_db, "the sound"))
        },
    },
];

/// True if the gain is the same in every sound.
fn one_gain(all: &[&Evidence]) -> bool {
    let gains = || all.iter().map(|e| e.gain_db);
    gains().fold(f64::MIN, f64::max) - gains().fold(f64::MAX, f64::min) <= MAX_GAIN_SPREAD_DB
}

/// The corrections of B before it was compared, each as what B was: `turned over (polarity)`.
fn corrections(all: &[&Evidence]) -> Vec<String> {
    let mut out = Vec::new();
    let range = |of: &dyn Fn(&Evidence) -> f64| {
        let values = || all.iter().map(|e| of(e));
        (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max))
    };
    match all.iter().filter(|e| e.is_inverted).count() {
        0 => {}
        count if count == all.len() => out.push("turned over (polarity)".into()),
        count => out.push(format!("turned over (polarity) in {count} of {} sounds", all.len())),
    }
    // B is made louder by what it is quieter.
    let (low, high) = range(&|e| -e.gain_db);
    let louder = |db: f64| format!("{} dB {}", short(db.abs()), if db < 0.0 { "quieter" } else { "louder" });
    if low.abs().max(high.abs()) >= TOLD_GAIN_DB {
        out.push(if high - low <= MAX_GAIN_SPREAD_DB {
            format!("made {}", louder(if high.abs() > low.abs() { high } else { low }))
        } else {
            format!("made from {} to {}", louder(low), louder(high))
        });
    }
    let (low, high) = range(&|e| e.delay_frames);
    let earlier = |delay: f64| format!("{} {}", frames(delay.abs()), if delay < 0.0 { "later" } else { "earlier" });
    if low.abs().max(high.abs()) >= TOLD_DELAY_FRAMES {
        out.push(if high - low <= TOLD_DELAY_FRAMES {
            format!("moved {}", earlier(if high.abs() > low.abs() { high } else { low }))
        } else {
            format!("moved from {} to {}", earlier(low), earlier(high))
        });
    }
    if let Some(ppm) = all.iter().filter_map(|e| e.drift_ppm).max_by(|a, b| a.abs().total_cmp(&b.abs())) {
        out.push(format!("freed of a drift of {ppm:.2} ppm"));
    }
    let (low, high) = range(&|e| e.dc);
    let dc = if high.abs() > low.abs() { high } else { low };
    if dc.abs() >= TOLD_DC {
        out.push(format!("freed of a DC offset of {dc:.4}"));
    }
    out
}

/// Words in a row: `a, b and c`.
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
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
    /// The limit of a close twin, or what the figure is.
    pub note: String,
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
    /// Title of the step of [`SCALE`].
    pub step: &'static str,
    /// The two sentences.
    pub sentences: [String; 2],
    /// The corrections of B before it was compared: `turned over (polarity)`, `made 6.0 dB louder`, `moved 480 frames earlier`.
    pub corrections: Vec<String>,
    /// A sentence on the test signals, if there are some beside music.
    pub test_signals: Option<String>,
    /// The numbers that decide.
    pub deciding: Vec<Deciding>,
}

impl Verdict {
    /// The verdict on the evidence of one or more sounds. Test signals decide only if there is nothing else.
    /// [any thread but the audio thread: allocates]
    ///
    /// # Panics
    /// If there is no evidence.
    #[must_use]
    pub fn of(all: &[Evidence]) -> Self {
        let (tests, music): (Vec<&Evidence>, Vec<&Evidence>) = all.iter().partition(|e| e.is_test_signal);
        if music.is_empty() {
            return Self::of_kind(&tests);
        }
        let mut verdict = Self::of_kind(&music);
        if !tests.is_empty() {
            let of_tests = Self::of_kind(&tests);
            verdict.test_signals = Some(if of_tests.id == verdict.id {
                "Test signals give the same verdict.".into()
            } else {
                let [first, second] = &of_tests.sentences;
                format!("Test signals show what music masks: with them the verdict is “{}”. {first} {second}", of_tests.title)
            });
        }
        verdict
    }

    /// The verdict on sounds of which each counts.
    fn of_kind(all: &[&Evidence]) -> Self {
        let worst = Worst::of(all);
        let row = VERDICTS.iter().find(|row| (row.holds)(all)).expect("the last row always holds");
        let is_unrelated = row.id == "unrelated";
        let second = match row.id {
            "identical" => "Every measure of their difference is zero.".into(),
            "unrelated" => "Check that both sides are of the same sound.".into(),
            _ => worst.details(),
        };
        Self {
            id: row.id,
            title: row.title,
            rule: row.rule,
            step: SCALE[row.step].title,
            sentences: [(row.sentence)(&worst), second],
            corrections: if is_unrelated { Vec::new() } else { corrections(all) },
            test_signals: None,
            deciding: if is_unrelated { Vec::new() } else { deciding(&worst) },
        }
    }

    /// The sentence on the corrections; `None` if there are none. [any thread but the audio thread: allocates]
    #[must_use]
    pub fn correction(&self) -> Option<String> {
        (!self.corrections.is_empty()).then(|| format!("Before that B was {}.", listed(&self.corrections)))
    }

    /// All sentences. [any thread but the audio thread: allocates]
    #[must_use]
    pub fn text(&self) -> String {
        let [first, second] = &self.sentences;
        let sentences = [Some(first.clone()), self.correction(), Some(second.clone()), self.test_signals.clone()];
        sentences.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// The numbers that decide.
fn deciding(worst: &Worst<'_>) -> Vec<Deciding> {
    let number = |measure, name: String, sound: &Evidence, figure: f64, text: String, note: String| Deciding {
        measure,
        name,
        figure: finite(figure),
        text,
        sound: sound.sound.clone(),
        note,
    };
    let limit = |db: f64| format!("close twin: {db} dB or less");
    let in_db = |measure, name: String, sound: &Evidence, db: f64, note| number(measure, name, sound, db, decibels(db), note);
    let octave = format!("Error in the worst third octave, {}", hertz(worst.octave.octave_hz));
    let disturbed = worst.disturbed.distance.disturbed;
    vec![
        in_db(
            "null_db",
            "Null after alignment".into(),
            worst.null,
            worst.null.distance.null_db,
            "plain error to signal, in dB".into(),
        ),
        in_db("third_octave_error_db", octave, worst.octave, worst.octave.distance.octave_db, limit(CLOSE_OCTAVE_DB)),
        in_db(
            "nmr_worst_band_db",
            "Noise-to-mask ratio in the worst band".into(),
            worst.mask,
            worst.mask.distance.mask_db,
            limit(MASKED_DB),
        ),
        number(
            "disturbed_frames",
            "Disturbed frames".into(),
            worst.disturbed,
            disturbed,
            if disturbed.is_finite() { percent(disturbed) } else { NO_FIGURE.into() },
            "close twin: none".into(),
        ),
        in_db(
            "worst_window_db",
            "Error in the worst 400 ms".into(),
            worst.window,
            worst.window.distance.window_db,
            limit(CLOSE_WINDOW_DB),
        ),
    ]
}

/// Text for a figure that is not there.
const NO_FIGURE: &str = "no figure";

/// A number with a digit after the point, two below 1, none if it is whole.
fn short(number: f64) -> String {
    match number {
        x if x.fract() == 0.0 => format!("{x:.0}"),
        x if x.abs() < 0.995 => format!("{x:.2}"),
        x => format!("{x:.1}"),
    }
}

/// A number of frames, to a hundredth.
pub(super) fn frames(frames: f64) -> String {
    let text = format!("{frames:.2}");
    let text = text.strip_suffix(".00").unwrap_or(&text);
    format!("{text} {}", if text == "1" { "frame" } else { "frames" })
}

/// A share in percent.
fn percent(percent: f64) -> String {
    match percent {
        p if p <= 0.0 => "0 %".into(),
        p if p < 0.1 => "less than 0.1 %".into(),
        p => format!("{p:.1} %"),
    }
}

/// Decibels as text.
pub(super) fn decibels(db: f64) -> String {
    match db {
        db if !db.is_finite() => NO_FIGURE.into(),
        db if db <= f64::from(SILENCE_DB) => "zero".into(),
        // No minus sign before a zero.
        db => format!("{:.1} dB", (db * 10.0).round() / 10.0 + 0.0),
    }
}

/// Decibels as a distance to something.
fn against(db: f64, what: &str) -> String {
    match (db * 10.0).round() / 10.0 {
        db if !db.is_finite() => format!("without a figure against {what}"),
        db if db <= f64::from(SILENCE_DB) => "zero".into(),
        0.0 => format!("as strong as {what}"),
        db if db < 0.0 => format!("{:.1} dB below {what}", -db),
        db => format!("{db:.1} dB above {what}"),
    }
}

#[cfg(test)]
mod tests;
