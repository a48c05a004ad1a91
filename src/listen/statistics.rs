//! The statistics of listening tests, exact: binomial tails and bounds, sequential rules, d', and what a test can show.
//!
//! A trial has two answers, and a listener who hears nothing is right in half of the trials, whatever habits the listener has,
//! because the mapping of each trial is drawn anew. `p_c` is the probability of a right answer; `p_d = 2 p_c - 1` is the share
//! of trials in which the difference is heard. All functions: [any thread], but for those that say otherwise.
//!
//! Sources: A. Wald, *Sequential Analysis* (1947); C. J. Clopper and E. S. Pearson, Biometrika 26 (1934); N. A. Macmillan and
//! C. D. Creelman, *Detection Theory* (2nd edition, 2005), chapter 9; M. J. Hautus, Behavior Research Methods 27 (1995). Those of
//! several listeners are named where they stand.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};
use std::ops::RangeInclusive;

use crate::view::{Protocol, Question, Rule};

/// Largest p at which a difference or a preference counts as shown.
pub const ALPHA: f64 = 0.05;
/// Probability of so few right answers for a guesser, at which or below it a test of equivalence shows nothing: the listener may
/// hear a difference and mix up the answers.
pub const MIXED_ALPHA: f64 = 0.01;
/// Confidence of all bounds and intervals.
pub const CONFIDENCE: f64 = 1.0 - ALPHA;
/// Share of right answers of a listener who hears nothing.
pub const GUESSING: f64 = 0.5;
/// Share of right answers that the sequential probability ratio test weighs against guessing.
pub const SPRT_P1: f64 = 0.75;
/// Probability with which the sequential probability ratio test misses a listener of [`SPRT_P1`].
pub const SPRT_BETA: f64 = 0.10;
/// The e-value that shows a difference: 1 / [`ALPHA`].
pub const E_SHOWN: f64 = 20.0;

/// Probabilities of 0 to `n` successes in `n` trials that succeed with probability `p`, each with a relative error of about
/// 1e-15 n. They are found from the most likely count outwards and divided by their sum. [control thread: allocates]
#[must_use]
pub fn binomial(n: u32, p: f64) -> Vec<f64> {
    let count = n as usize + 1;
    let mut weights = vec![0.0; count];
    if p <= 0.0 {
        weights[0] = 1.0;
        return weights;
    }
    if p >= 1.0 {
        weights[count - 1] = 1.0;
        return weights;
    }
    let odds = p / (1.0 - p);
    let mode = ((f64::from(n) + 1.0) * p).floor().min(f64::from(n)) as usize;
    weights[mode] = 1.0;
    for k in mode + 1..count {
        weights[k] = weights[k - 1] * (count - k) as f64 / k as f64 * odds;
    }
    for k in (0..mode).rev() {
        weights[k] = weights[k + 1] * (k + 1) as f64 / (count - 1 - k) as f64 / odds;
    }
    // The small terms first, so that none is lost.
    let total: f64 = weights[mode..].iter().rev().sum::<f64>() + weights[..mode].iter().sum::<f64>();
    weights.iter_mut().for_each(|weight| *weight /= total);
    weights
}

/// Probability of `k` or more successes in `n` trials that succeed with probability `p`.
#[must_use]
pub fn upper_tail(k: u32, n: u32, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    binomial(n, p).get(k as usize..).map_or(0.0, |tail| tail.iter().rev().sum::<f64>().min(1.0))
}

/// Probability of `k` or fewer successes in `n` trials that succeed with probability `p`.
#[must_use]
pub fn lower_tail(k: u32, n: u32, p: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    binomial(n, p)[..=k as usize].iter().sum::<f64>().min(1.0)
}

/// Probability that `n` tosses of a fair coin are as uneven as `k` heads, or more so, to either side.
#[must_use]
pub fn two_sided(k: u32, n: u32) -> f64 {
    let fewer = k.min(n.saturating_sub(k));
    (2.0 * lower_tail(fewer, n, GUESSING)).min(1.0)
}

/// The place between `low` and `high` at which `is_low` turns from true to false, to the last bit that halving finds.
fn bisect(mut low: f64, mut high: f64, is_low: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if is_low(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The upper bound of the probability of success after `k` of `n`, with an error of `alpha` at most (Clopper-Pearson,
/// one-sided): the probability at which `k` or fewer successes have the probability `alpha`.
#[must_use]
pub fn upper_bound(k: u32, n: u32, alpha: f64) -> f64 {
    if k >= n { 1.0 } else { bisect(0.0, 1.0, |p| lower_tail(k, n, p) > alpha) }
}

/// The lower bound that belongs to [`upper_bound`].
#[must_use]
pub fn lower_bound(k: u32, n: u32, alpha: f64) -> f64 {
    if k == 0 || n == 0 { 0.0 } else { bisect(0.0, 1.0, |p| upper_tail(k, n, p) < alpha) }
}

/// Fewest right answers of `n` whose one-sided p is [`ALPHA`] or less; None if not even `n` are enough.
#[must_use]
pub fn fewest_right(n: u32, alpha: f64) -> Option<u32> {
    let mut tail = 0.0;
    let mut fewest = None;
    for (k, weight) in binomial(n, GUESSING).iter().enumerate().rev() {
        tail += weight;
        if tail > alpha {
            break;
        }
        fewest = Some(k as u32);
    }
    fewest
}

/// Fewest choices of one side of `n` that show a preference, two-sided; None if not even `n` are enough.
#[must_use]
pub fn fewest_preferred(n: u32) -> Option<u32> {
    (n / 2 + 1..=n).find(|k| two_sided(*k, n) <= ALPHA)
}

/// Most right answers of `n` that show that p_c is below `margin`: those whose upper bound is below it. None if not even 0 do.
#[must_use]
pub fn most_right(n: u32, margin: f64) -> Option<u32> {
    let mut tail = 0.0;
    let mut most = None;
    for (k, weight) in binomial(n, margin).iter().enumerate() {
        tail += weight;
        // The bound after n of n is 1, which is below no margin.
        if tail >= ALPHA || k == n as usize {
            break;
        }
        most = Some(k as u32);
    }
    most
}

/// The numbers of right answers of `n` that show that a listener does not tell two sides apart beyond `margin`: at most
/// [`most_right`], but fewer than show a difference ([`fewest_right`]), and more than those that are rare for a guesser
/// ([`MIXED_ALPHA`]). None if there are none.
#[must_use]
pub fn equivalent_right(n: u32, margin: f64) -> Option<RangeInclusive<u32>> {
    let fewest = (0..=n).find(|k| lower_tail(*k, n, GUESSING) > MIXED_ALPHA)?;
    let most = most_right(n, margin)?.min(fewest_right(n, ALPHA).map_or(n, |difference| difference.saturating_sub(1)));
    (fewest <= most).then_some(fewest..=most)
}

/// Fewest trials in which a listener who guesses shows with probability `power` that p_c is below `margin`; None if more than
/// `most` are needed. [control thread: takes its time]
#[must_use]
pub fn equivalence_trials(margin: f64, power: f64, most: u32) -> Option<u32> {
    (1..=most).find(|n| most_right(*n, margin).is_some_and(|k| lower_tail(k, *n, GUESSING) >= power))
}

/// Log of the likelihood ratio of Wald's test after `right` of `n`: p_c = [`SPRT_P1`] against guessing.
#[must_use]
pub fn sprt_ratio(right: u32, n: u32) -> f64 {
    let step = |p1: f64| (p1 / GUESSING).ln();
    f64::from(right) * step(SPRT_P1) + f64::from(n - right) * step(1.0 - SPRT_P1)
}

/// The bounds of [`sprt_ratio`] (Wald): at the first or below, p_c = [`SPRT_P1`] is rejected; at the second or above, a
/// difference is shown.
#[must_use]
pub fn sprt_bounds() -> [f64; 2] {
    [(SPRT_BETA / (1.0 - ALPHA)).ln(), ((1.0 - SPRT_BETA) / ALPHA).ln()]
}

/// The e-value of `right` of `n`: the likelihood ratio against guessing, averaged over p_c from 0.5 to 1,
/// `2 * integral_{.5}^{1} (2t)^k (2-2t)^(n-k) dt`. In closed form `2 P(X <= k) / ((n + 1) P(Y = k))`, X of n + 1 and Y of n
/// tosses of a fair coin.
#[must_use]
pub fn e_value(right: u32, n: u32) -> f64 {
    2.0 * lower_tail(right, n + 1, GUESSING) / (f64::from(n + 1) * binomial(n, GUESSING)[right as usize])
}

/// Decision of a rule after some trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The test goes on.
    GoOn,
    /// The test ends: a difference is shown.
    Shown,
    /// The test ends: p_c = [`SPRT_P1`] is rejected.
    Rejected,
    /// The test ends after its last trial.
    LastTrial,
}

/// Decision of a protocol's rule after `right` of `n` trials.
#[must_use]
pub fn decide(protocol: &Protocol, right: u32, n: u32) -> Decision {
    if is_shown(protocol.rule, right, n) {
        Decision::Shown
    } else if protocol.rule == Rule::Sprt && sprt_ratio(right, n) <= sprt_bounds()[0] {
        Decision::Rejected
    } else if n >= protocol.trials {
        Decision::LastTrial
    } else {
        Decision::GoOn
    }
}

/// True if a sequential rule ends with a difference after `right` of `n` trials.
fn is_shown(rule: Rule, right: u32, n: u32) -> bool {
    match rule {
        Rule::Fixed | Rule::Staircase { .. } => false,
        Rule::Sprt => sprt_ratio(right, n) >= sprt_bounds()[1],
        Rule::EValue => n > 0 && e_value(right, n) >= E_SHOWN,
    }
}

/// The probabilities of the ends of a test, for a listener of a certain p_c.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ends {
    /// A difference (or a preference) is shown; for equivalence: the sides are shown to be the same up to the margin.
    pub shown: f64,
    /// Wald's test rejects p_c = [`SPRT_P1`].
    pub rejected: f64,
    /// Nothing is shown.
    pub undecided: f64,
    /// Mean number of trials.
    pub mean_trials: f64,
}

/// The probabilities of the ends of a test for a listener who is right (for a preference: chooses the same side) with
/// probability `p_c`: exact, by dynamic programming over the counts of right answers. [control thread: allocates]
#[must_use]
pub fn ends(protocol: &Protocol, p_c: f64) -> Ends {
    let n = protocol.trials;
    let fixed = |shown: f64| Ends { shown, rejected: 0.0, undecided: 1.0 - shown, mean_trials: f64::from(n) };
    match (protocol.question, protocol.rule) {
        (Question::Preference, _) => {
            fixed(fewest_preferred(n).map_or(0.0, |k| upper_tail(k, n, p_c) + lower_tail(n - k, n, p_c)))
        }
        (Question::Equivalence, _) => {
            let counts = equivalent_right(n, protocol.margin);
            let shown =
                counts.map_or(0.0, |counts| binomial(n, p_c)[*counts.start() as usize..=*counts.end() as usize].iter().sum());
            fixed(f64::min(shown, 1.0))
        }
        // A staircase estimates, and the share of its right answers shows nothing.
        (Question::Threshold, _) | (_, Rule::Staircase { .. }) => fixed(0.0),
        (Question::Difference, Rule::Fixed) => fixed(fewest_right(n, ALPHA).map_or(0.0, |k| upper_tail(k, n, p_c))),
        (Question::Difference, Rule::Sprt | Rule::EValue) => sequential_ends(protocol, p_c),
    }
}

/// The ends of a sequential rule.
fn sequential_ends(protocol: &Protocol, p_c: f64) -> Ends {
    let mut ends = Ends { shown: 0.0, rejected: 0.0, undecided: 0.0, mean_trials: 0.0 };
    for_each_end(protocol, p_c, |decision, _, n, probability| {
        let end = match decision {
            Decision::Shown => &mut ends.shown,
            Decision::Rejected => &mut ends.rejected,
            Decision::LastTrial | Decision::GoOn => &mut ends.undecided,
        };
        *end += probability;
        ends.mean_trials += probability * f64::from(n);
    });
    ends
}

/// Calls `end` with every way in which a test can end, for a listener of a certain p_c: the decision, right answers, trials, and
/// the probability of that end.
fn for_each_end(protocol: &Protocol, p_c: f64, mut end: impl FnMut(Decision, u32, u32, f64)) {
    // Probability of having come so far with so many right answers.
    let mut running = vec![1.0];
    // Fewest right answers that show a difference: with each trial as many as before, or one more.
    let mut fewest = 0;
    for n in 1..=protocol.trials {
        let mut next = vec![0.0; n as usize + 1];
        for (right, probability) in running.iter().enumerate() {
            next[right] += probability * (1.0 - p_c);
            next[right + 1] += probability * p_c;
        }
        while fewest <= n && !is_shown(protocol.rule, fewest, n) {
            fewest += 1;
        }
        for (right, probability) in (0..).zip(next.iter_mut()) {
            let decision = if right >= fewest {
                Decision::Shown
            } else if protocol.rule == Rule::Sprt && sprt_ratio(right, n) <= sprt_bounds()[0] {
                Decision::Rejected
            } else if n == protocol.trials {
                Decision::LastTrial
            } else {
                continue;
            };
            end(decision, right, n, *probability);
            *probability = 0.0;
        }
        running = next;
    }
}

/// The one-sided p of a test of the question for a difference that ended by its rule: the probability that a guesser's test ends as
/// far, or farther, in the *stagewise order*. In it, ends that show a difference come first, the earlier the farther; then those at
/// the last trial, the more right answers the farther; then those that reject p_c = [`SPRT_P1`], the later the farther (Fairbanks
/// and Madsen, Biometrika 69, 1982; Jennison and Turnbull, *Group Sequential Methods*, 2000, section 8.4). For a fixed number of
/// trials it is [`upper_tail`]. A test that goes on has none: 1. [control thread: takes its time]
#[must_use]
pub fn stagewise_p(protocol: &Protocol, right: u32, n: u32) -> f64 {
    let place = |decision: Decision, right: u32, n: u32| match decision {
        Decision::Shown => Some((2, protocol.trials.saturating_sub(n), right)),
        Decision::LastTrial => Some((1, right, 0)),
        Decision::Rejected => Some((0, n, right)),
        Decision::GoOn => None,
    };
    let Some(found) = place(decide(protocol, right, n), right, n) else { return 1.0 };
    let mut p = 0.0;
    for_each_end(protocol, GUESSING, |decision, right, n, probability| {
        if place(decision, right, n).is_some_and(|other| other >= found) {
            p += probability;
        }
    });
    p.min(1.0)
}

/// The natural logarithm of a listener's e-value against guessing; None for a fixed number of trials and for a staircase. A likelihood ratio is an
/// e-value, whenever the test ends, so that of Wald's test is one, too. The e-values of independent listeners multiply (Vovk and
/// Wang, Annals of Statistics 49, 2021): the logarithms add.
#[must_use]
pub fn ln_e(rule: Rule, right: u32, n: u32) -> Option<f64> {
    match rule {
        Rule::Fixed | Rule::Staircase { .. } => None,
        Rule::Sprt => Some(sprt_ratio(right, n)),
        Rule::EValue => Some(e_value(right, n).ln()),
    }
}

/// The p of several tests, adjusted by Holm's method (Scandinavian Journal of Statistics 6, 1979): those that are at most alpha
/// contain a wrong one with a probability of alpha at most, whatever the tests have to do with each other. The i-th smallest, from
/// 0, is multiplied by `tests` - i, and is no less than the one before. `tests`: the number of all tests, of which some may have no
/// p, which then counts as 1; at least as many as there are p. [control thread: allocates]
#[must_use]
pub fn holm(p: &[f64], tests: usize) -> Vec<f64> {
    let tests = tests.max(p.len());
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least: f64 = 0.0;
    for (place, index) in order.into_iter().enumerate() {
        least = least.max((p[index] * (tests - place) as f64).min(1.0));
        adjusted[index] = least;
    }
    adjusted
}

/// Distribution function of the standard normal distribution.
fn normal(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// The d' beyond which no share of right answers can be told from 1.
const LARGEST_D_PRIME: f64 = 40.0;

/// Share of right answers in ABX of a listener of sensitivity d', who compares X with A and with B (the differencing model;
/// Macmillan and Creelman, chapter 9): `Phi(d/sqrt2) Phi(d/sqrt6) + Phi(-d/sqrt2) Phi(-d/sqrt6)`.
#[must_use]
pub fn abx_share(d_prime: f64) -> f64 {
    let (a, b) = (d_prime / SQRT_2, d_prime / 6f64.sqrt());
    normal(a) * normal(b) + normal(-a) * normal(-b)
}

/// The d' of a share of right answers in ABX: the inverse of [`abx_share`]. 0 up to 0.5; infinite for 1.
#[must_use]
pub fn abx_d_prime(share: f64) -> f64 {
    if share <= GUESSING {
        0.0
    } else if share >= 1.0 {
        f64::INFINITY
    } else {
        bisect(0.0, LARGEST_D_PRIME, |d| abx_share(d) < share)
    }
}

/// Sensitivity and criterion of a same-different test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SameDifferent {
    /// Distance of the two sides in standard deviations of one impression; 0 if "different" is said no more often where the
    /// sides differ.
    pub d_prime: f64,
    /// The difference of two impressions, in the same unit, from which on the listener says "different". A large one: the
    /// listener is reluctant to say so.
    pub criterion: f64,
}

/// d' and criterion of a listener who says "different" if two impressions differ by more than a criterion (the differencing
/// model for same-different; Macmillan and Creelman, chapter 9): with hits H, the share of "different" where the sides differ,
/// and false alarms F, the share of "different" where they are the same, `F = 2 Phi(-k/sqrt2)` and
/// `H = Phi((d-k)/sqrt2) + Phi((-d-k)/sqrt2)`. So that no rate is 0 or 1, half a count is added to each (log-linear rule;
/// Hautus). `hits` of `differing` trials, `false_alarms` of `same` trials.
#[must_use]
pub fn same_different(hits: u32, differing: u32, false_alarms: u32, same: u32) -> SameDifferent {
    let rate = |count: u32, of: u32| (f64::from(count) + 0.5) / (f64::from(of) + 1.0);
    let (hit, false_alarm) = (rate(hits, differing), rate(false_alarms, same));
    let criterion = bisect(0.0, LARGEST_D_PRIME, |k| 2.0 * normal(-k / SQRT_2) > false_alarm);
    let hit_rate = |d: f64| normal((d - criterion) / SQRT_2) + normal((-d - criterion) / SQRT_2);
    let d_prime = if hit <= false_alarm { 0.0 } else { bisect(0.0, LARGEST_D_PRIME, |d| hit_rate(d) < hit) };
    SameDifferent { d_prime, criterion }
}
