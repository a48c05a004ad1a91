//! The summary of a listening test that several listeners took: who heard it, whether anybody did, and what all answers show together.
//!
//! [`collect`] looks for the sessions in a folder, checks each and sorts out those that do not count; [`Summary::new`] computes.
//! Two statements are told, each with its own error of [`ALPHA`]:
//!
//! - *Somebody hears it* (or has a preference): of each listener's exact p, adjusted by Holm's method ([`holm`]). It names them. Every
//!   session of the test that began is one of the tests in that method, also one that was left: else a listener who leaves when it
//!   goes badly would raise the errors.
//! - *All answers together*: exact binomial figures of all right answers of all trials. If every listener guesses, each answer is
//!   right with probability 1/2 and independent of the others, whatever the listeners do, so the p of more is exact. If listeners
//!   differ, the number of right answers is a sum of unequal trials; then the probability of as few of them, below the mean, is at
//!   most that of equal trials with the same mean (W. Hoeffding, Annals of Mathematical Statistics 27, 1956, theorem 5), so an upper
//!   bound holds for the *mean* share of right answers of these listeners. It says nothing of each one of them. That *nobody* is
//!   beyond the margin is shown only if each listener's own test shows it; then no adjustment is needed (the union of several
//!   hypotheses is rejected if each of them is: R. L. Berger, Technometrics 24, 1982).
//!
//! With a rule that ends a test by its answers the number of trials follows from them, so all answers together have no p: the
//! listeners' e-values are multiplied ([`ln_e`]). Everything here is [control thread: allocates, takes its time].

mod collect;
mod forest;
mod page;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::log::Configuration;
use super::matching::Prepared;
use super::outcome::{Finding, Score, is_proven};
use super::session::{ControlResult, End};
use super::statistics::{
    ALPHA, E_SHOWN, GUESSING, MIXED_ALPHA, holm, ln_e, lower_bound, lower_tail, stagewise_p, two_sided, upper_bound, upper_tail,
};
use super::verify::side_texts;
use crate::compare::{FolderError, ReportFolder, ReportKind, png};
use crate::view::{ControlTrial, Protocol, Question, Rule, SoundSource};

pub use collect::{CollectError, Collected, collect};
pub use page::PageError;

/// Name of the schema of `summary.json`.
pub const SUMMARY_SCHEMA: &str = "isotherm-listening-summary";
/// Version of the schema. It grows when a key changes its meaning or goes; new keys do not change it.
pub const SUMMARY_SCHEMA_VERSION: u32 = 1;
/// The folder of a summary, as one that may be replaced.
pub const SUMMARY_REPORT: ReportKind = ReportKind { mark: "summary.json", schema: SUMMARY_SCHEMA, is_file: is_of_summary };

/// True if a summary has a file of this name.
fn is_of_summary(name: &str) -> bool {
    ["summary.json", "index.html", "listeners.csv", "shares.png", "counts.png"].contains(&name)
}

/// Everything that sessions must share, so that their answers are answers to one question about one pair of sounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestIdentity {
    /// Question, form, rule, number of trials, margin.
    pub protocol: Protocol,
    /// The positive control.
    pub control: ControlTrial,
    /// Both sides are bit for bit the same.
    pub is_aa: bool,
    /// A loop, or live sound.
    pub source: SoundSource,
    /// Side A and B in words.
    pub sides: [String; 2],
    /// SHA-256 of the samples of each path as it is played: A, B, and the control if there is one.
    pub stimuli_sha256: Vec<String>,
    /// SHA-256 of each file from which they were rendered, by name.
    pub files: BTreeMap<String, String>,
}

impl TestIdentity {
    /// The test of a session.
    pub(super) fn new(configuration: &Configuration, sides: [String; 2]) -> Self {
        let hashes = configuration.matching.get("stimuli_sha256").cloned();
        Self {
            protocol: configuration.setup.protocol,
            control: configuration.setup.control,
            is_aa: configuration.is_aa,
            source: configuration.setup.source,
            sides,
            stimuli_sha256: hashes.and_then(|hashes| serde_json::from_value(hashes).ok()).unwrap_or_default(),
            files: configuration.files.clone(),
        }
    }

    /// The test of a session in a folder. [control thread: does I/O]
    #[must_use]
    pub fn of_session(folder: &std::path::Path, configuration: &Configuration) -> Self {
        Self::new(configuration, side_texts(folder))
    }

    /// The test of sounds that were prepared, which no session has yet.
    #[must_use]
    pub fn of_prepared(protocol: Protocol, prepared: &Prepared) -> Self {
        Self {
            protocol,
            control: prepared.matching.control,
            is_aa: prepared.matching.identical,
            source: SoundSource::Loop,
            sides: [0, 1].map(|side: usize| prepared.sides[side].text.clone()),
            stimuli_sha256: prepared.matching.stimuli_sha256.clone(),
            files: BTreeMap::new(),
        }
    }

    /// A few words on why this is another test than `expected`; None if it is the same. Sounds are the same if their samples are, or if
    /// they were rendered from the same bytes: machines may differ in the last bit of a sample.
    #[must_use]
    pub fn difference(&self, expected: &Self) -> Option<String> {
        let (found, wanted) = (&self.protocol, &expected.protocol);
        if (found.question, found.form, found.rule, found.margin) != (wanted.question, wanted.form, wanted.rule, wanted.margin) {
            return Some("another question, form, rule or margin".into());
        }
        if found.trials != wanted.trials {
            return Some(format!("{} trials; the test of this summary has {}", found.trials, wanted.trials));
        }
        if self.control != expected.control {
            return Some("another positive control".into());
        }
        let is_same_sound = !self.stimuli_sha256.is_empty() && self.stimuli_sha256 == expected.stimuli_sha256
            || !self.files.is_empty() && self.files == expected.files;
        if !is_same_sound || self.is_aa != expected.is_aa {
            return Some("other sounds or sides".into());
        }
        None
    }
}

/// The place where a session comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A session of Isotherm, whose log was verified.
    Session,
    /// An answer sheet of webMUSHRA, which cannot be verified.
    Webmushra,
}

/// The way in which a session stands in a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Its answers count.
    Counted,
    /// A session that was aborted, was left, or failed its verification: of this test it counts as begun, in Holm's method only.
    Begun,
    /// Its listener's answers count already, from an earlier session.
    Repeated,
    /// A copy of another session, or one session with two ends.
    Copy,
    /// A session of another test or another version, or one that cannot be read.
    Other,
}

/// A session before anything is computed from several: its place, standing and result.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Path of its folder below the folder of the summary; for an imported listener that of the import.
    pub session: String,
    /// The name of the listener; may be empty.
    pub listener: String,
    /// The place where it comes from.
    pub origin: Origin,
    /// The receipt: the hash of the log's last line. Empty for an imported listener.
    pub receipt: String,
    /// The way in which it stands.
    pub standing: Standing,
    /// The reason why it does not count; empty if it does.
    pub reason: String,
    /// End and score; None if there are none to be trusted.
    pub result: Option<(End, Score)>,
}

/// A session in a summary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Path of its folder below the folder of the summary.
    pub session: String,
    /// The name of the listener, or that of the folder if there is none.
    pub listener: String,
    /// The place where it comes from.
    pub origin: Origin,
    /// The receipt; empty for an imported listener.
    pub receipt: String,
    /// The way in which it stands.
    pub standing: Standing,
    /// The reason why it does not count; empty if it does.
    pub reason: String,
    /// Figures; None if it does not count.
    pub figures: Option<ListenerFigures>,
}

/// The figures of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ListenerFigures {
    /// Trials of the test.
    pub trials: u32,
    /// Right answers; for a preference: choices of side A.
    pub count: u32,
    /// Trials that are flagged.
    pub flagged: u32,
    /// Counts among the trials that are not flagged.
    pub count_unflagged: u32,
    /// `count` of `trials`.
    pub share: f64,
    /// Its 95 % interval (Clopper-Pearson).
    pub interval: [f64; 2],
    /// The exact p: one-sided, against guessing; of a preference two-sided. By the stagewise order if the rule ends a test by its
    /// answers; None after an abort.
    pub p: Option<f64>,
    /// That p, adjusted by Holm's method over all sessions of this test that began.
    pub adjusted_p: Option<f64>,
    /// The natural logarithm of the e-value; None if the number of trials is fixed.
    pub ln_e: Option<f64>,
    /// Finding of this listener's test alone.
    pub finding: Finding,
    /// The positive control.
    pub control: ControlResult,
    /// True if the listener is one of those of whom the summary says that they hear a difference, or have a preference.
    pub is_shown: bool,
}

/// Figures of several listeners' answers together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pooled {
    /// Listeners.
    pub listeners: u32,
    /// Trials of all of them.
    pub trials: u32,
    /// Right answers; for a preference: choices of side A.
    pub count: u32,
    /// `count` of `trials`.
    pub share: f64,
    /// Its 95 % interval (Clopper-Pearson), for the mean share of these listeners; as if the number of trials had been fixed.
    pub interval: [f64; 2],
    /// The upper bound of the mean share (Clopper-Pearson, one-sided, 95 %); as if the number of trials had been fixed.
    pub upper_bound: f64,
    /// The exact p: one-sided, against guessing; of a preference two-sided. None if the rule ends a test by its answers.
    pub p: Option<f64>,
    /// The p of a mean share at the margin; None unless the question is for equivalence.
    pub equivalence_p: Option<f64>,
    /// The natural logarithm of the product of all e-values; None if the number of trials is fixed.
    pub ln_e: Option<f64>,
    /// The finding of these answers together.
    pub finding: Finding,
}

/// What a set of answers shows: that of all trials, and that without the flagged ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// All answers together.
    pub pooled: Pooled,
    /// The answers of the listeners who heard the positive control, by which equivalence is shown; None if nobody did.
    pub proven: Option<Pooled>,
    /// Names of the listeners who hear a difference, or have a preference, by Holm's method.
    pub shown: Vec<String>,
    /// Listeners whose own test shows that they do not tell the sides apart beyond the margin.
    pub same: u32,
    /// True if each listener's own test shows that: nobody of them is beyond the margin.
    pub everybody_same: bool,
}

/// The summary of a listening test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// [`SUMMARY_SCHEMA`].
    pub schema: &'static str,
    /// [`SUMMARY_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name and version of the program.
    pub program: String,
    /// Date and time (UTC, RFC 3339).
    pub date: String,
    /// The folder of the sessions.
    pub folder: String,
    /// The test.
    pub test: TestIdentity,
    /// The test in words.
    pub subject: String,
    /// Sessions of this test that began: the number of tests in Holm's method.
    pub begun: u32,
    /// Every session that was found, those that count first.
    pub rows: Vec<Row>,
    /// What all trials show.
    pub result: Evaluation,
    /// What the trials show that are not flagged; None if none is flagged, or all of them are.
    pub without_flagged: Option<Evaluation>,
    /// The result in sentences.
    pub sentences: Vec<String>,
    /// Remarks on what makes it weaker, or helps to read it.
    pub remarks: Vec<String>,
}

/// A listener's counts, from which an [`Evaluation`] follows.
struct Tally<'a> {
    name: &'a str,
    trials: u32,
    count: u32,
    p: Option<f64>,
    ln_e: Option<f64>,
    finding: Finding,
    is_proven: bool,
}

impl Summary {
    /// The summary of the sessions of a test. `folder` is only named.
    ///
    /// # Errors
    /// [`CollectError::NoneCounts`] if there is no session that counts.
    pub fn new(test: TestIdentity, folder: &str, mut entries: Vec<Entry>) -> Result<Self, CollectError> {
        entries.sort_by_key(|entry| entry.standing != Standing::Counted);
        let begun = entries.iter().filter(|entry| matches!(entry.standing, Standing::Counted | Standing::Begun)).count() as u32;
        let names: Vec<String> = entries.iter().map(Entry::name).collect();
        let counted: Vec<(&str, End, Score)> = names
            .iter()
            .zip(&entries)
            .filter_map(|(name, entry)| entry.counted().map(|(end, score)| (name.as_str(), end, score)))
            .collect();
        let tallies: Vec<Tally> = counted.iter().map(|(name, end, score)| Tally::new(name, &test, *end, score)).collect();
        let Some((result, adjusted)) = evaluate(&test, &tallies, begun) else {
            return Err(CollectError::none_counts(folder, &entries));
        };
        let unflagged: Vec<Tally> = counted.iter().filter_map(|(name, _, score)| Tally::unflagged(name, &test, score)).collect();
        let has_flagged = counted.iter().any(|(.., score)| score.flagged > 0);
        let without_flagged = has_flagged.then(|| evaluate(&test, &unflagged, begun)).flatten().map(|(result, _)| result);
        let mut figures = tallies.iter().zip(&adjusted).zip(&counted).map(|((tally, adjusted), (.., score))| ListenerFigures {
            trials: score.trials,
            count: score.count,
            flagged: score.flagged,
            count_unflagged: score.count_unflagged,
            share: share(score.count, score.trials),
            interval: interval(score.count, score.trials),
            p: tally.p,
            adjusted_p: *adjusted,
            ln_e: tally.ln_e,
            finding: score.finding,
            control: score.control,
            is_shown: is_shown(&test, tally, *adjusted),
        });
        let rows: Vec<Row> = entries
            .iter()
            .zip(&names)
            .map(|(entry, name)| Row {
                session: entry.session.clone(),
                listener: name.clone(),
                origin: entry.origin,
                receipt: entry.receipt.clone(),
                standing: entry.standing,
                reason: entry.reason.clone(),
                figures: entry.counted().and_then(|_| figures.next()),
            })
            .collect();
        let mut summary = Self {
            schema: SUMMARY_SCHEMA,
            schema_version: SUMMARY_SCHEMA_VERSION,
            program: super::course::program(),
            date: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            folder: folder.into(),
            subject: words::subject(&test),
            test,
            begun,
            rows,
            result,
            without_flagged,
            sentences: Vec::new(),
            remarks: Vec::new(),
        };
        summary.sentences = words::sentences(&summary);
        summary.remarks = words::remarks(&summary);
        Ok(summary)
    }

    /// The listeners whose answers count, with their figures.
    pub fn listeners(&self) -> impl Iterator<Item = (&Row, &ListenerFigures)> {
        self.rows.iter().filter_map(|row| row.figures.as_ref().map(|figures| (row, figures)))
    }

    /// The table of the listeners whose answers count, as lines of text: a head, all answers together, and a line for each.
    #[must_use]
    pub fn listener_lines(&self) -> Vec<String> {
        words::table(self)
    }

    /// `summary.json`, with line breaks.
    ///
    /// # Errors
    /// Never with the types of a summary.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// `listeners.csv`: a header, then a line for each session that was found. Figures of a session that does not count are empty.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let mut text = String::from(
            "session,listener,origin,standing,reason,trials,count,share,low,high,p,adjusted_p,e,finding,control,flagged,\
             count_unflagged,receipt\n",
        );
        for row in &self.rows {
            let figures = row.figures.map_or_else(
                || vec![String::new(); 12],
                |found| {
                    let optional = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
                    vec![
                        found.trials.to_string(),
                        found.count.to_string(),
                        found.share.to_string(),
                        found.interval[0].to_string(),
                        found.interval[1].to_string(),
                        optional(found.p),
                        optional(found.adjusted_p),
                        optional(found.ln_e.map(f64::exp)),
                        word(found.finding),
                        word(found.control),
                        found.flagged.to_string(),
                        found.count_unflagged.to_string(),
                    ]
                },
            );
            let first = [row.session.clone(), row.listener.clone(), word(row.origin), word(row.standing), row.reason.clone()];
            let fields: Vec<String> =
                first.iter().chain(&figures).chain([&row.receipt]).map(|field| crate::compare::csv_field(field)).collect();
            text += &(fields.join(",") + "\n");
        }
        text
    }

    /// Writes the folder of the summary at `target`, which appears only when it is complete: `index.html`, `summary.json`,
    /// `listeners.csv`, and pictures. With `force` it replaces an earlier summary.
    ///
    /// # Errors
    /// [`WriteError`]; then there is no folder, or the earlier summary.
    pub fn write(&self, target: &std::path::Path, force: bool) -> Result<(), WriteError> {
        let folder = ReportFolder::create(&SUMMARY_REPORT, target, force)?;
        let counts = forest::counts(self);
        folder.write("index.html", page::page(self, counts.as_ref())?.as_bytes())?;
        folder.write("summary.json", self.to_json()?.as_bytes())?;
        folder.write("listeners.csv", self.to_csv().as_bytes())?;
        folder.write("shares.png", &forest::picture(self)?)?;
        if let Some(counts) = &counts {
            folder.write("counts.png", &png(counts)?)?;
        }
        Ok(folder.finish()?)
    }
}

/// The reason why a summary's folder cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The folder cannot be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The page cannot be made.
    #[error(transparent)]
    Page(#[from] PageError),
    /// A picture cannot be drawn.
    #[error(transparent)]
    Picture(#[from] crate::compare::PictureError),
    /// `summary.json` cannot be made.
    #[error("summary.json cannot be made: {0}")]
    Json(#[from] serde_json::Error),
}

impl Entry {
    /// End and score if they count.
    fn counted(&self) -> Option<(End, Score)> {
        self.result.filter(|_| self.standing == Standing::Counted)
    }

    /// The name of the listener, or that of the folder if there is none.
    fn name(&self) -> String {
        let name = self.listener.trim();
        // A name comes from anybody, and control characters would steer a terminal.
        let plain = |text: &str| text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        plain(if name.is_empty() { &self.session } else { name })
    }
}

/// A share, 0 of none.
fn share(count: u32, trials: u32) -> f64 {
    if trials == 0 { 0.0 } else { f64::from(count) / f64::from(trials) }
}

/// The 95 % interval of a share.
fn interval(count: u32, trials: u32) -> [f64; 2] {
    [lower_bound(count, trials, ALPHA / 2.0), upper_bound(count, trials, ALPHA / 2.0)]
}

impl<'a> Tally<'a> {
    /// The counts of all trials.
    fn new(name: &'a str, test: &TestIdentity, end: End, score: &Score) -> Self {
        let (n, count) = (score.trials, score.count);
        let p = (end == End::Complete).then(|| match (test.protocol.question, test.protocol.rule) {
            (Question::Preference, _) => two_sided(count, n),
            (_, Rule::Fixed | Rule::Staircase { .. }) => upper_tail(count, n, GUESSING),
            (_, Rule::Sprt | Rule::EValue) => stagewise_p(&test.protocol, count, n),
        });
        let is_proven = is_proven(score.control);
        Self { name, trials: n, count, p, ln_e: ln_e(test.protocol.rule, count, n), finding: score.finding, is_proven }
    }

    /// The counts of the trials that are not flagged; None if all are. Where the answers ended the test, the trials that are left
    /// could not have ended it so, and have no p.
    fn unflagged(name: &'a str, test: &TestIdentity, score: &Score) -> Option<Self> {
        let (n, count) = (score.trials - score.flagged, score.count_unflagged);
        if n == 0 {
            return None;
        }
        let p = match (test.protocol.question, test.protocol.rule) {
            (Question::Preference, _) => Some(two_sided(count, n)),
            (_, Rule::Fixed) => Some(upper_tail(count, n, GUESSING)),
            (_, Rule::Sprt | Rule::EValue | Rule::Staircase { .. }) => None,
        };
        let is_proven = is_proven(score.control);
        let finding = super::outcome::finding_of(&test.protocol, test.is_aa, score.control, count, n);
        Some(Self { name, trials: n, count, p, ln_e: ln_e(test.protocol.rule, count, n), finding, is_proven })
    }
}

/// True if a listener is one of those of whom a summary says that they hear a difference, or have a preference: alone, and by
/// Holm's method.
fn is_shown(test: &TestIdentity, tally: &Tally, adjusted: Option<f64>) -> bool {
    let is_found = matches!(tally.finding, Finding::Difference | Finding::PrefersA | Finding::PrefersB);
    !test.is_aa && is_found && adjusted.is_some_and(|p| p <= ALPHA)
}

/// What listeners' counts show, and their adjusted p; None if there are no trials.
fn evaluate(test: &TestIdentity, tallies: &[Tally], begun: u32) -> Option<(Evaluation, Vec<Option<f64>>)> {
    let p: Vec<f64> = tallies.iter().filter_map(|tally| tally.p).collect();
    let mut adjusted = holm(&p, begun as usize).into_iter();
    let adjusted: Vec<Option<f64>> = tallies.iter().map(|tally| tally.p.and_then(|_| adjusted.next())).collect();
    let both = tallies.iter().zip(&adjusted);
    let shown: Vec<String> =
        both.filter(|(tally, adjusted)| is_shown(test, tally, **adjusted)).map(|(tally, _)| tally.name.to_owned()).collect();
    let mut pooled = pool(test, tallies.iter())?;
    let proven = pool(test, tallies.iter().filter(|tally| tally.is_proven));
    // That the mean is below the margin hides no listener who hears the difference.
    let is_same = test.protocol.question == Question::Equivalence && !test.is_aa && shown.is_empty();
    if is_same && pooled.finding == Finding::Undecided && proven.as_ref().is_some_and(|proven| is_same_pool(test, proven)) {
        pooled.finding = Finding::Same;
    }
    let same = tallies.iter().filter(|tally| tally.finding == Finding::Same).count() as u32;
    let everybody_same = same > 0 && same as usize == tallies.len();
    Some((Evaluation { pooled, proven, shown, same, everybody_same }, adjusted))
}

/// True if the mean share is below the margin, and not so low that the answers may have been mixed up.
fn is_same_pool(test: &TestIdentity, pooled: &Pooled) -> bool {
    let (k, n) = (pooled.count, pooled.trials);
    let is_below = k < n && lower_tail(k, n, test.protocol.margin) < ALPHA;
    is_below && lower_tail(k, n, GUESSING) > MIXED_ALPHA && upper_tail(k, n, GUESSING) > ALPHA
}

/// The figures of answers together; None without trials.
fn pool<'a, 'b: 'a>(test: &TestIdentity, tallies: impl Iterator<Item = &'a Tally<'b>>) -> Option<Pooled> {
    let (mut listeners, mut n, mut k) = (0, 0, 0);
    let mut product = (test.protocol.rule != Rule::Fixed).then_some(0.0);
    for tally in tallies {
        listeners += 1;
        n += tally.trials;
        k += tally.count;
        product = product.zip(tally.ln_e).map(|(sum, ln_e)| sum + ln_e);
    }
    if n == 0 {
        return None;
    }
    let question = test.protocol.question;
    let p = (test.protocol.rule == Rule::Fixed).then(|| match question {
        Question::Preference => two_sided(k, n),
        Question::Difference | Question::Equivalence | Question::Threshold => upper_tail(k, n, GUESSING),
    });
    let is_shown = p.map_or_else(|| product.is_some_and(|ln_e| ln_e >= E_SHOWN.ln()), |p| p <= ALPHA);
    let finding = match question {
        _ if test.is_aa || !is_shown => Finding::Undecided,
        // Thresholds are not counted together.
        Question::Threshold => Finding::Undecided,
        Question::Preference if 2 * k > n => Finding::PrefersA,
        Question::Preference => Finding::PrefersB,
        Question::Difference | Question::Equivalence => Finding::Difference,
    };
    Some(Pooled {
        listeners,
        trials: n,
        count: k,
        share: share(k, n),
        interval: interval(k, n),
        upper_bound: upper_bound(k, n, ALPHA),
        p,
        equivalence_p: (question == Question::Equivalence).then(|| lower_tail(k, n, test.protocol.margin)),
        ln_e: product,
        finding,
    })
}

/// The word of a variant, as JSON has it.
fn word(variant: impl Serialize) -> String {
    serde_json::to_value(variant).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
