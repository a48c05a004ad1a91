"""Two threads against one: an effect releases Python's lock, so two sounds take half the time on two cores.

The ratio is near 0.5 on a machine with two idle cores, and near 1 where the lock is held or one core is busy.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import isotherm as aus

RATE = 48_000
TABLE = "Two sounds in two threads against one after the other (0.5 is the best on two cores)"
EFFECTS = {"saturator 8x": aus.Saturator(), "bitcrusher": aus.Bitcrusher(), "clipper 8x": aus.Clipper()}


@pytest.mark.parametrize("name", EFFECTS)
def test_two_threads(compare, name):
    effect = EFFECTS[name]
    sounds = [np.random.default_rng(seed).uniform(-0.4, 0.4, 480_000).astype(np.float32) for seed in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        compare(
            TABLE,
            f"{name}, 2 x {sounds[0].size} frames",
            lambda: list(pool.map(lambda sound: effect(sound, RATE), sounds)),
            "one thread",
            lambda: [effect(sound, RATE) for sound in sounds],
            threads=True,
        )
