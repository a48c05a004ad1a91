"""Plays a sound through the VST3 plug-in in pedalboard (a JUCE host). Driven by host_vst3.rs.

Standard input: {"plugin", "sound", "output" (raw little-endian f32, channel after channel), "channels", "rate", "block",
"values": {name: raw value}, "state": hex or null}. Standard output: {"raw": {name: raw value read back}, "state": hex}.

pedalboard prepares a plug-in when it loads it, so values that need other slots arrive while it runs, and the slots are made beside the
audio thread: silence is played until the plug-in has come to rest, that is until the same sound comes out twice in a row.
"""

import json
import sys
import time

import numpy
import pedalboard

job = json.load(sys.stdin)
sound = numpy.fromfile(job["sound"], dtype="<f4").reshape(job["channels"], -1)


def play(plugin):
    output = plugin.process(sound, job["rate"], buffer_size=job["block"])
    assert output.shape == sound.shape, f"expected {sound.shape}, found {output.shape}"
    return output


plugin = pedalboard.load_plugin(job["plugin"])
if job["state"] is not None:
    plugin.raw_state = bytes.fromhex(job["state"])
for name, value in job["values"].items():
    plugin.parameters[name].raw_value = value
before, output = play(plugin), None
for _ in range(100):
    time.sleep(0.1)
    output = play(plugin)
    if (output == before).all():
        break
    before = output
else:
    sys.exit("the same sound never came out twice in a row")
numpy.ascontiguousarray(output, dtype="<f4").tofile(job["output"])
raw = {name: parameter.raw_value for name, parameter in plugin.parameters.items()}
json.dump({"raw": raw, "state": plugin.raw_state.hex()}, sys.stdout)
