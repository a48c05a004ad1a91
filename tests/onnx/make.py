"""Makes the .onnx files of this folder and the weights of the good ones as JSON.

Needs `onnx` (1.16 or later) and `numpy`: python3 make.py
"""

import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
FLOAT = TensorProto.FLOAT
AUDIO = ["batch", "frames"]


def weights(random, *shape):
    """Four decimals, so that JSON and f32 hold the same numbers."""
    return random.uniform(-0.6, 0.6, shape).round(4).astype(np.float32)


def value(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def model(name, nodes, inputs, outputs, initializers=(), metadata=None):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(made, {"sample_rate": "48000"} if metadata is None else metadata)
    (HERE / f"{name}.onnx").write_bytes(made.SerializeToString())


def keep(name, tensors):
    (HERE / f"{name}.json").write_text(json.dumps({key: tensor.tolist() for key, tensor in tensors.items()}) + "\n")


def lstm(hidden=8):
    """One LSTM and a dense layer. The weights in JSON have PyTorch's order of gates, i f g o; ONNX has i o f g."""
    random = np.random.default_rng(1)
    w, u, b = weights(random, 4 * hidden, 1), weights(random, 4 * hidden, hidden), weights(random, 4 * hidden)
    head, bias = weights(random, hidden), weights(random, 1)
    keep("lstm8", {"w": w, "u": u, "b": b, "head": head, "bias": bias})
    order = lambda x: np.concatenate([np.split(x, 4)[gate] for gate in (0, 3, 1, 2)])
    both = np.concatenate([order(b), np.zeros_like(b)])
    state = [1, "batch", hidden]
    model(
        "lstm8",
        [
            helper.make_node("Transpose", ["audio"], ["time"], perm=[1, 0]),
            helper.make_node("Unsqueeze", ["time", "two"], ["x"]),
            helper.make_node(
                "LSTM", ["x", "w", "u", "b", "", "state_h", "state_c"], ["y", "state_h_out", "state_c_out"], hidden_size=hidden
            ),
            helper.make_node("Squeeze", ["y", "one"], ["hidden"]),
            helper.make_node("MatMul", ["hidden", "head"], ["z"]),
            helper.make_node("Add", ["z", "bias"], ["sum"]),
            helper.make_node("Squeeze", ["sum", "two"], ["out"]),
            helper.make_node("Transpose", ["out"], ["output"], perm=[1, 0]),
        ],
        [value("audio", AUDIO), value("state_h", state), value("state_c", state)],
        [value("output", AUDIO), value("state_h_out", state), value("state_c_out", state)],
        [
            numpy_helper.from_array(order(w)[None], "w"),
            numpy_helper.from_array(order(u)[None], "u"),
            numpy_helper.from_array(both[None], "b"),
            numpy_helper.from_array(head[:, None], "head"),
            numpy_helper.from_array(bias, "bias"),
            ints("one", 1),
            ints("two", 2),
        ],
        {"sample_rate": "44100", "loudness": "-18.5", "name": "Small LSTM", "author": "Isotherm", "unknown": "is ignored"},
    )


def tcn(channels=4, taps=3, dilations=(1, 4)):
    """Dilated convolutions with tanh; what each must remember of its input is a state."""
    random = np.random.default_rng(2)
    nodes = [helper.make_node("Unsqueeze", ["audio", "one"], ["x0"])]
    inputs, outputs, initializers, kept = [value("audio", AUDIO)], [value("output", AUDIO)], [ints("one", 1), ints("end", 2**31)], {}
    for i, dilation in enumerate(dilations):
        size = 1 if i == 0 else channels
        reach = (taps - 1) * dilation
        w, b = weights(random, channels, size, taps), weights(random, channels)
        kept |= {f"w{i}": w, f"b{i}": b}
        initializers += [numpy_helper.from_array(w, f"w{i}"), numpy_helper.from_array(b, f"b{i}"), ints(f"last{i}", -reach), ints("axis" + str(i), 2)]
        inputs.append(value(f"state_{i}", ["batch", size, reach]))
        outputs.append(value(f"state_{i}_out", ["batch", size, reach]))
        nodes += [
            helper.make_node("Concat", [f"state_{i}", f"x{i}"], [f"all{i}"], axis=2),
            helper.make_node("Slice", [f"all{i}", f"last{i}", "end", f"axis{i}"], [f"state_{i}_out"]),
            helper.make_node("Conv", [f"all{i}", f"w{i}", f"b{i}"], [f"z{i}"], dilations=[dilation]),
            helper.make_node("Tanh", [f"z{i}"], [f"x{i + 1}"]),
        ]
    head = weights(random, 1, channels, 1)
    keep("tcn", kept | {"head": head})
    nodes += [helper.make_node("Conv", [f"x{len(dilations)}", "head"], ["y"]), helper.make_node("Squeeze", ["y", "one"], ["output"])]
    model("tcn", nodes, inputs, outputs, initializers + [numpy_helper.from_array(head, "head")])


def one_sample_delay(name, frames, metadata=None, audio=None, extra=(), output=None, state=None, after=None, nodes=(), initializers=()):
    """output(t) = audio(t - 1), the smallest graph with a state, and ways to spoil it."""
    shape = [1, frames] if audio is None else audio
    model(
        name,
        [
            helper.make_node("Concat", ["state_x", "audio"], ["all"], axis=1),
            helper.make_node("Slice", ["all", "zero", "minus_one", "one"], ["output"]),
            helper.make_node("Slice", ["all", "minus_one", "end", "one"], ["state_x_out"]),
            *nodes,
        ],
        [value("audio", shape), value("state_x", state or [shape[0], 1]), *extra],
        [value("output", output or shape), value(*(after or ("state_x_out", state or [shape[0], 1])))],
        [ints("zero", 0), ints("one", 1), ints("minus_one", -1), ints("end", 2**31), *initializers],
        metadata,
    )


def knobs():
    """output = audio * first knob + second knob"""
    model(
        "knobs",
        [
            helper.make_node("Split", ["knobs", "each"], ["first", "second"], axis=1),
            helper.make_node("Mul", ["audio", "first"], ["product"]),
            helper.make_node("Add", ["product", "second"], ["output"]),
        ],
        [value("audio", AUDIO), value("knobs", ["batch", 2])],
        [value("output", AUDIO)],
        [ints("each", 1, 1)],
        {"knobs": "gain, offset"},
    )


def slow_knob():
    """Each run, a state goes half of the way to the knob; output = audio + state."""
    half = [numpy_helper.from_array(np.array([0.5], np.float32), "half")]
    model(
        "slow_knob",
        [
            helper.make_node("Add", ["state_x", "knobs"], ["sum"]),
            helper.make_node("Mul", ["sum", "half"], ["state_x_out"]),
            helper.make_node("Add", ["audio", "state_x_out"], ["output"]),
        ],
        [value("audio", AUDIO), value("knobs", ["batch", 1]), value("state_x", ["batch", 1])],
        [value("output", AUDIO), value("state_x_out", ["batch", 1])],
        half,
        {"knobs": "level"},
    )


def gain(name, nodes=(), initializers=None, kind=FLOAT):
    """output = audio * w"""
    w = [helper.make_tensor("w", kind, [1], [0.5])] if initializers is None else initializers
    nodes = nodes or [helper.make_node("Mul", ["audio", "w"], ["output"])]
    model(name, nodes, [value("audio", AUDIO, kind)], [value("output", AUDIO, kind)], w)


def hollow(shape):
    """A tensor that says it is large and holds nothing."""
    tensor = TensorProto(name="w", data_type=FLOAT, raw_data=b"")
    tensor.dims.extend(shape)
    return tensor


def bad():
    one_sample_delay("bad_input", 64, extra=[value("side_chain", [1, 64])])
    one_sample_delay("bad_state", 64, state=[1, "n"])
    one_sample_delay("bad_state_out", 64, after=("state_x_out", [1, 2]))
    one_sample_delay("bad_state_name", 64, after=("new_x", [1, 1]), nodes=[helper.make_node("Identity", ["state_x_out"], ["new_x"])])
    one_sample_delay("bad_rank", 64, audio=[1, 64, 1])
    one_sample_delay("bad_batch", 64, audio=[3, 64])
    one_sample_delay("bad_frames", 1_000_000)
    one_sample_delay("bad_rate", 64, {"sample_rate": "fast"})
    gain("bad_type", kind=TensorProto.DOUBLE)
    gain("bad_weight", initializers=[helper.make_tensor("w", FLOAT, [2], [1.0, float("nan")])])
    gain("bad_size", initializers=[hollow([50_000, 50_000])])
    external = hollow([1])
    external.data_location = TensorProto.EXTERNAL
    external.external_data.add(key="location", value="../../../etc/passwd")
    gain("bad_external", initializers=[external])
    gain("bad_operator", nodes=[helper.make_node("Warm", ["audio"], ["output"])], initializers=[])
    # 2^33 values out of 24 bytes.
    big = [ints("big", 2**16, 2**17)]
    nodes = [
        helper.make_node("ConstantOfShape", ["big"], ["zeros"]),
        helper.make_node("ReduceMax", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("Add", ["audio", "zero"], ["output"]),
    ]
    gain("bad_memory", nodes=nodes, initializers=big)
    # As many again with every node.
    nodes = [helper.make_node("Concat", [f"x{i}", f"x{i}"], [f"x{i + 1}"], axis=1) for i in range(40)]
    nodes[0].input[:] = ["audio", "audio"]
    nodes += [helper.make_node("ReduceMax", ["x40"], ["zero"], keepdims=0), helper.make_node("Add", ["audio", "zero"], ["output"])]
    gain("bad_growth", nodes=nodes, initializers=[])
    # The state of silence doubles with every run, and more with sound.
    model(
        "bad_explosion",
        [
            helper.make_node("Mul", ["state_x", "two"], ["twice"]),
            helper.make_node("Add", ["twice", "two"], ["state_x_out"]),
            helper.make_node("Add", ["audio", "state_x_out"], ["output"]),
        ],
        [value("audio", [1, 64]), value("state_x", [1, 1])],
        [value("output", [1, 64]), value("state_x_out", [1, 1])],
        [helper.make_tensor("two", FLOAT, [1], [2.0])],
    )
    # for ever: output = audio
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("x", AUDIO)],
        [value("go_on", [], TensorProto.BOOL), value("y", AUDIO)],
    )
    endless = [numpy_helper.from_array(np.array(2**62), "many"), numpy_helper.from_array(np.array(True), "yes")]
    gain("bad_loop", nodes=[helper.make_node("Loop", ["many", "yes", "audio"], ["output"], body=body)], initializers=endless)


if __name__ == "__main__":
    lstm()
    tcn()
    knobs()
    slow_knob()
    one_sample_delay("fixed", 64)
    bad()
