"""Plays a sound through the VST3 plug-in in pedalboard (a Python package with JUCE's VST3 host). Driven by pedalboard.rs.

Standard input is a JSON object: {"plugin", "sound" and "output" (files of raw little-endian f32, channel after channel),
"channels", "rate", "block", "values": {name: normalised value}, "state": hexadecimal or null, "model": path or null (for slot
A)}. Standard output is {"raw": {name: normalised value read back}, "state": hexadecimal}.

With "set_without_blocks" ("before blocks" or "after blocks") some values are set while no block comes. The output then is {"raw",
"restored": {name: normalised value in another instance with the state}, "shown": {name: text}, "texts": {name: [text, unit]}}.

pedalboard prepares a plug-in when it loads it. So values that need other slots arrive while it runs, and its builder thread makes
the slots meanwhile: the sound is played until it comes out the same twice in a row.
"""

import json
import pathlib
import struct
import sys
import tempfile
import time

import numpy
import pedalboard

job = json.load(sys.stdin)
sound = numpy.fromfile(job["sound"], dtype="<f4").reshape(job["channels"], -1)


def play(plugin):
    output = plugin.process(sound, job["rate"], buffer_size=job["block"])
    assert output.shape == sound.shape, f"expected {sound.shape}, found {output.shape}"
    return output


def load_model(plugin, model):
    """Loads a model by a preset (Steinberg's .vstpreset): the plug-in's own, with another text in the field of the model."""
    # The preset begins with "VST3", version and class, then the offset of a list: a count, then (id, offset, size) of each chunk.
    preset = plugin.preset_data
    head, list_offset = preset[:40], struct.unpack_from("<q", preset, 40)[0]
    count = struct.unpack_from("<i", preset, list_offset + 4)[0]
    chunks = [struct.unpack_from("<4sqq", preset, list_offset + 8 + 20 * i) for i in range(count)]
    offset, size = next((offset, size) for id, offset, size in chunks if id == b"Comp")
    state = json.loads(preset[offset : offset + size])
    state["fields"]["a_model"] = json.dumps({"name": model.name, "folder": str(model.parent)})
    component = json.dumps(state).encode()
    tail = b"List" + struct.pack("<i4sqq", 1, b"Comp", 48, len(component))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.vstpreset"
        path.write_bytes(head + struct.pack("<q", 48 + len(component)) + component + tail)
        plugin.load_preset(str(path))


plugin = pedalboard.load_plugin(job["plugin"])
if job["state"] is not None:
    plugin.raw_state = bytes.fromhex(job["state"])
for name, value in job["values"].items():
    plugin.parameters[name].raw_value = value
if job["model"] is not None:
    load_model(plugin, pathlib.Path(job["model"]))

if job.get("set_without_blocks"):
    # Values that are set while no block comes count, are shown and are saved.
    if job["set_without_blocks"] == "after blocks":
        play(plugin)
    plugin.a_algorithm = "Clipper"
    plugin.a_saturator_drive_db = 24.0
    plugin.a_bitcrusher_quantiser = "Mid-rise"
    plugin.parameters["listen"].raw_value = 0.3
    state = plugin.raw_state
    shown = {name: str(getattr(plugin, name)) for name in ("a_algorithm", "a_saturator_drive_db", "a_bitcrusher_quantiser")}
    raw = {name: parameter.raw_value for name, parameter in plugin.parameters.items()}
    again = pedalboard.load_plugin(job["plugin"])
    again.raw_state = state
    restored = {name: parameter.raw_value for name, parameter in again.parameters.items()}
    texts = {name: [parameter.string_value, parameter.label] for name, parameter in again.parameters.items()}
    json.dump({"raw": raw, "restored": restored, "shown": shown, "texts": texts}, sys.stdout)
    sys.exit()

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
