"""The statistics of listening tests by SciPy, for statistics.rs: reads a list of jobs in JSON, writes a list of numbers in JSON."""

import functools
import itertools
import json
import sys

import numpy as np
from scipy import integrate, optimize, stats


def fewest_right(n, alpha):
    return next((k for k in range(n + 1) if stats.binom.sf(k - 1, n, 0.5) <= alpha), None)


def upper_bound(k, n, alpha):
    return 1.0 if k == n else float(stats.beta.ppf(1 - alpha, k + 1, n - k))


def e_value(k, n):
    """By quadrature, around the place where the integrand is largest."""
    f = lambda t: 2 * np.exp(k * np.log(2 * t) + (n - k) * np.log(2 - 2 * t)) if 0 < t < 1 else (2.0**(n + 1) if k == n and t >= 1 else 0.0)
    top = min(max(k / n, 0.5), 1.0)
    points = sorted({0.5, top, min(1.0, top + 0.05), max(0.5, top - 0.05), 1.0})
    return sum(integrate.quad(f, a, b, epsabs=0, epsrel=1e-13, limit=400)[0] for a, b in zip(points, points[1:]))


def abx_share(d):
    c = stats.norm.cdf
    return c(d / 2**0.5) * c(d / 6**0.5) + c(-d / 2**0.5) * c(-d / 6**0.5)


def same_different(hits, differing, false_alarms, same):
    h, f = (hits + 0.5) / (differing + 1), (false_alarms + 0.5) / (same + 1)
    k = -(2**0.5) * stats.norm.ppf(f / 2)
    c = stats.norm.cdf
    rate = lambda d: c((d - k) / 2**0.5) + c((-d - k) / 2**0.5) - h
    return [0.0 if h <= f else optimize.brentq(rate, 0, 40, xtol=1e-14, rtol=1e-14), k]


def ends(rule, cap, p):
    """By going through all ways, with the likelihood ratio and the e-value from their definitions."""
    states, shown, rejected, undecided, mean = {0: 1.0}, 0.0, 0.0, 0.0, 0.0
    low, high = np.log(0.1 / 0.95), np.log(0.9 / 0.05)
    for n in range(1, cap + 1):
        after = {}
        for k, w in states.items():
            after[k] = after.get(k, 0.0) + w * (1 - p)
            after[k + 1] = after.get(k + 1, 0.0) + w * p
        states = {}
        for k, w in after.items():
            ratio = k * np.log(1.5) + (n - k) * np.log(0.5)
            if (rule == "sprt" and ratio >= high) or (rule == "e-value" and k > n / 2 and e_beta(k, n) >= 20):
                shown += w
                mean += w * n
            elif rule == "sprt" and ratio <= low:
                rejected += w
                mean += w * n
            elif n == cap:
                undecided += w
                mean += w * n
            else:
                states[k] = w
    return [shown, rejected, undecided, mean]


@functools.cache
def e_beta(k, n):
    """The e-value by the incomplete beta function."""
    return float(2 * np.exp(n * np.log(2) + stats.beta.logsf(0.5, k + 1, n - k + 1) + log_beta(k + 1, n - k + 1)))


def log_beta(a, b):
    from scipy.special import betaln

    return betaln(a, b)


def holm(p, tests):
    """By closed testing: the Bonferroni test of every set of hypotheses that holds one. Those without a p have 1."""
    p = p + [1.0] * (tests - len(p))
    sets = [[i for i in range(tests) if bits >> i & 1] for bits in range(1, 2**tests)]
    bonferroni = [min(1.0, len(chosen) * min(p[i] for i in chosen)) for chosen in sets]
    return [max(b for chosen, b in zip(sets, bonferroni) if i in chosen) for i in range(tests)]


def stagewise(rule, cap, right, n):
    """By all sequences of answers of a guesser, each of 2^cap: those that end as far, or farther."""
    low, high = np.log(0.1 / 0.95), np.log(0.9 / 0.05)

    def end(answers):
        k = 0
        for m, answer in enumerate(answers, 1):
            k += answer
            ratio = k * np.log(1.5) + (m - k) * np.log(0.5)
            if (rule == "sprt" and ratio >= high) or (rule == "e-value" and k > m / 2 and e_beta(k, m) >= 20):
                return "shown", k, m
            if rule == "sprt" and ratio <= low:
                return "rejected", k, m
        return "cap", k, cap

    def is_as_far(one, other):
        order = ["rejected", "cap", "shown"]
        if one[0] != other[0]:
            return order.index(one[0]) > order.index(other[0])
        if one[0] == "shown":
            return one[2] < other[2] or (one[2] == other[2] and one[1] >= other[1])
        if one[0] == "cap":
            return one[1] >= other[1]
        return one[2] > other[2] or (one[2] == other[2] and one[1] >= other[1])

    ends = [end(answers) for answers in itertools.product([0, 1], repeat=cap)]
    found = next(e for e in ends if e[1:] == (right, n))
    return sum(is_as_far(e, found) for e in ends) / 2**cap


def pooled(counts, margin):
    """All answers together: p of more than guessing, two-sided p, p at the margin, interval, upper bound, product of e-values."""
    k, n = (sum(column) for column in zip(*counts))
    both = stats.binomtest(k, n).proportion_ci(0.95, "exact")
    upper = stats.binomtest(k, n, alternative="less").proportion_ci(0.95, "exact").high
    more = stats.binomtest(k, n, alternative="greater").pvalue
    less = stats.binomtest(k, n, margin, alternative="less").pvalue
    e = float(np.sum([np.log(e_beta(k, n)) for k, n in counts]))
    return [more, stats.binomtest(k, n).pvalue, less, both.low, both.high, upper, e]


JOBS = {
    "upper_tail": lambda k, n, p: float(stats.binom.sf(k - 1, n, p)),
    "lower_tail": lambda k, n, p: float(stats.binom.cdf(k, n, p)),
    "two_sided": lambda k, n: float(stats.binomtest(k, n, 0.5).pvalue),
    "upper_bound": upper_bound,
    "lower_bound": lambda k, n, alpha: 0.0 if k == 0 else float(stats.beta.ppf(alpha, k, n - k + 1)),
    "e_value": e_value,
    "abx_share": abx_share,
    "abx_d_prime": lambda share: optimize.brentq(lambda d: abx_share(d) - share, 0, 40, xtol=1e-14, rtol=1e-14),
    "same_different": same_different,
    "fixed_power": lambda n, p: float(stats.binom.sf(fewest_right(n, 0.05) - 1, n, p)),
    "ends": ends,
    "holm": holm,
    "stagewise": stagewise,
    "pooled": pooled,
}

print(json.dumps([JOBS[name](*arguments) for name, *arguments in json.load(sys.stdin)]))
