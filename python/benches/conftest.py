"""Benchmarks by turns: each case is timed against a rival in the same run, and their table is printed at the end.

``cargo xtask bench --python`` runs them. A ratio is the median over pairs of runs, one of each side directly after the other and in
random order, so that a slow moment of the machine meets both. Times are processor time, so that they hold beside other work; threads
take time by the clock.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

#: Pairs of runs per case.
PAIRS = 41
#: The time in seconds that one run should take: short calls are repeated in a run.
RUN_SECONDS = 2e-3

Work = Callable[[], object]
Clock = Callable[[], float]


@dataclass
class Row:
    """A line of a table: a case, the times of a call in seconds, and the median of the ratios of pairs."""

    table: str
    case: str
    ours: float
    rival_name: str
    rival: float
    ratio: float


ROWS = pytest.StashKey[list[Row]]()


def repeats(work: Work, clock: Clock) -> int:
    """Calls that fill one run."""
    begin = clock()
    calls = 0
    while clock() - begin < RUN_SECONDS:
        work()
        calls += 1
    return max(calls, 1)


def seconds(work: Work, calls: int, clock: Clock) -> float:
    """The time of one call, over some."""
    begin = clock()
    for _ in range(calls):
        work()
    return (clock() - begin) / calls


def by_turns(ours: Work, rival: Work, clock: Clock) -> tuple[float, float, float]:
    """Median seconds of a call of both, and the median ratio of pairs."""
    works = (ours, rival)
    calls = [repeats(work, clock) for work in works]
    pairs = []
    order = random.Random(1)
    for _ in range(PAIRS):
        pair = [0.0, 0.0]
        for side in order.sample((0, 1), 2):
            pair[side] = seconds(works[side], calls[side], clock)
        pairs.append(pair)
    medians = [statistics.median(pair[side] for pair in pairs) for side in (0, 1)]
    return medians[0], medians[1], statistics.median(mine / other for mine, other in pairs)


@pytest.fixture
def compare(benchmark, request) -> Iterator[Callable[[str, str, Work, str, Work], Row]]:
    """Times ``ours`` against ``rival`` and keeps a line of the table; ``pytest-benchmark`` also records ``ours``."""

    def run(table: str, case: str, ours: Work, rival_name: str, rival: Work, *, threads: bool = False) -> Row:
        clock = time.perf_counter if threads else time.thread_time
        row = Row(table, case, *_order(by_turns(ours, rival, clock), rival_name))
        request.config.stash.setdefault(ROWS, []).append(row)
        benchmark.extra_info.update(case=case, rival=rival_name, ratio=row.ratio)
        benchmark.group = table
        benchmark.pedantic(ours, rounds=5, iterations=repeats(ours, time.perf_counter))
        return row

    yield run


def _order(times: tuple[float, float, float], rival_name: str) -> tuple[float, str, float, float]:
    ours, rival, ratio = times
    return ours, rival_name, rival, ratio


def duration(value: float) -> str:
    """Seconds as text with a unit."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value / 1e-9:.0f} ns"


def pytest_terminal_summary(terminalreporter, config) -> None:
    """Prints the tables in Markdown."""
    rows = config.stash.get(ROWS, [])
    for table in dict.fromkeys(row.table for row in rows):
        terminalreporter.write_line(f"\n{table}\n")
        terminalreporter.write_line("| case | Isotherm | against | time | difference | ratio |")
        terminalreporter.write_line("|---|---|---|---|---|---|")
        for row in rows:
            if row.table == table:
                times = [row.ours, row.rival, row.ours - row.rival]
                ours, rival, difference = map(duration, times)
                cells = [row.case, ours, row.rival_name, rival, difference, f"{row.ratio:.2f}"]
                terminalreporter.write_line("| " + " | ".join(cells) + " |")
