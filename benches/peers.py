"""Nanoseconds per sample of pedalboard's effects, to stand beside `isotherm bench`: target/venv/bin/python benches/peers.py"""

import statistics
import time

import numpy
import pedalboard

RATE, FRAMES, ROUNDS = 48_000, 480_000, 30
random = numpy.random.default_rng(1)
for name, effect in [("Distortion", pedalboard.Distortion(24)), ("Bitcrush", pedalboard.Bitcrush(8))]:
    for channels in (1, 2):
        sound = random.uniform(-0.4, 0.4, (channels, FRAMES)).astype(numpy.float32)
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter_ns()
            effect.process(sound, RATE, reset=False)
            times.append((time.perf_counter_ns() - start) / (FRAMES * channels))
        print(f"pedalboard {pedalboard.__version__} {name}, {channels} channels: {statistics.median(times):.2f} ns per sample and channel")
