"""Nanoseconds per sample and channel of ONNX Runtime on one thread, on the models that `cargo bench --bench neural` writes.
State goes from block to block. Needs onnx and onnxruntime: target/venv/bin/python benches/peers_onnx.py [FOLDER]"""

import json
import pathlib
import statistics
import sys
import time

import numpy
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = pathlib.Path(__file__).parents[1] / "target/tmp/models"
CASES = [(1, 16), (1, 64), (1, 256), (32, 64)]  # channels, frames of a block
SECONDS = 0.3


class Graph:
    """A network from `in` and states to `out` and the next states."""

    def __init__(self, channels, frames):
        self.channels, self.frames = channels, frames
        self.nodes, self.constants, self.states = [], [], []

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(numpy.ascontiguousarray(array), name))
        return name

    def node(self, kind, inputs, outputs=1, **attributes):
        names = [f"n{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def state(self, shape):
        """The name of a state's input; `keep` gives its next value."""
        self.states.append([f"s{len(self.states)}", shape, None])
        return self.states[-1][0]

    def keep(self, name):
        self.states[-1][2] = name

    def conv(self, x, weights, bias=None, dilation=1):
        """weights: [outputs][inputs][taps]"""
        past = (weights.shape[2] - 1) * dilation
        if past:
            x = self.node("Concat", [self.state([self.channels, weights.shape[1], past]), x], axis=2)
            bounds = [self.constant(numpy.array([n])) for n in (self.frames, self.frames + past, 2)]
            self.keep(self.node("Slice", [x, *bounds]))
        constants = [self.constant(a) for a in (weights, bias) if a is not None]
        return self.node("Conv", [x, *constants], dilations=[dilation], kernel_shape=[weights.shape[2]])

    def model(self, y):
        tensor = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        sound = [self.channels, 1, self.frames]
        self.nodes.append(helper.make_node("Identity", [y], ["out"]))
        inputs = [tensor("in", sound)] + [tensor(name, shape) for name, shape, _ in self.states]
        outputs = [tensor("out", sound)] + [tensor(after, shape) for _, shape, after in self.states]
        graph = helper.make_graph(self.nodes, "model", inputs, outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Weights:
    def __init__(self, numbers):
        self.left = numpy.array(numbers, numpy.float32)

    def take(self, *shape):
        count = int(numpy.prod(shape))
        taken, self.left = self.left[:count], self.left[count:]
        return taken.reshape(shape)


def wavenet(graph, config, numbers):
    weights = Weights(numbers)
    x, head = "in", None
    for array in config["layers"]:
        count = array["channels"]
        x = graph.conv(x, weights.take(count, array["input_size"], 1))
        sizes = array.get("kernel_sizes", [array.get("kernel_size")] * len(array["dilations"]))
        for taps, dilation in zip(sizes, array["dilations"]):
            z = graph.conv(x, weights.take(count, count, taps), weights.take(count), dilation)
            z = graph.node("Add", [z, graph.conv("in", weights.take(count, 1, 1))])
            tanh = array["activation"] == "Tanh"
            z = graph.node("Tanh", [z]) if tanh else graph.node("LeakyRelu", [z], alpha=0.01)
            head = z if head is None else graph.node("Add", [head, z])
            x = graph.node("Add", [x, graph.conv(z, weights.take(count, count, 1), weights.take(count))])
        end = array.get("head") or {"out_channels": array["head_size"], "kernel_size": 1, "bias": array["head_bias"]}
        shape = end["out_channels"], count, end["kernel_size"]
        head = graph.conv(head, weights.take(*shape), weights.take(shape[0]) if end["bias"] else None)
    return graph.node("Mul", [head, graph.constant(weights.take(1))])


def recurrent(graph, kind, hidden, input_weights, hidden_weights, bias, states, head_weights, head_bias):
    """`states`: how many. Weights as the operator has them."""
    inputs = [graph.node("Transpose", ["in"], perm=[2, 0, 1])]
    inputs += [graph.constant(a[None]) for a in (input_weights, hidden_weights, bias)] + [""]
    inputs += [graph.state([1, graph.channels, hidden]) for _ in range(states)]
    more = {"linear_before_reset": 1} if kind == "GRU" else {}
    y, *after = graph.node(kind, inputs, 1 + states, hidden_size=hidden, **more)
    for state, name in zip(graph.states, after):
        state[2] = name
    y = graph.node("Squeeze", [y, graph.constant(numpy.array([1]))])
    y = graph.node("Add", [graph.node("MatMul", [y, graph.constant(head_weights.reshape(hidden, 1))]), graph.constant(head_bias)])
    return graph.node("Transpose", [y], perm=[1, 2, 0])


def lstm(graph, config, numbers):
    hidden = config["hidden_size"]
    weights = Weights(numbers)
    order = lambda a: numpy.concatenate([a[g * hidden : (g + 1) * hidden] for g in (0, 3, 1, 2)])  # i f g o to i o f c
    both, bias = order(weights.take(4 * hidden, 1 + hidden)), order(weights.take(4 * hidden))
    weights.take(2 * hidden)
    bias = numpy.concatenate([bias, numpy.zeros_like(bias)])
    return recurrent(graph, "LSTM", hidden, both[:, :1], both[:, 1:], bias, 2, weights.take(hidden), weights.take(1))


def gru(graph, file):
    first, dense = ([numpy.array(a, numpy.float32) for a in layer["weights"]] for layer in file["layers"])
    hidden = first[1].shape[0]
    return recurrent(graph, "GRU", hidden, first[0].T, first[1].T, first[2].reshape(-1), 1, *dense)


def build(file, channels, frames):
    graph = Graph(channels, frames)
    kind = file.get("architecture")
    if kind is None:
        return graph, graph.model(gru(graph, file))
    return graph, graph.model({"WaveNet": wavenet, "LSTM": lstm}[kind](graph, file["config"], file["weights"]))


class Runner:
    """What one block gives as state, the next one takes: two bindings by turns, nothing copied."""

    def __init__(self, graph, model):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        new = lambda shape: onnxruntime.OrtValue.ortvalue_from_numpy(numpy.zeros(shape, numpy.float32))
        sound = [graph.channels, 1, graph.frames]
        self.input, self.output = new(sound), new(sound)
        sides = [[new(shape) for _, shape, _ in graph.states] for _ in range(2)]
        self.bindings = []
        for before, after in (sides, sides[::-1]):
            binding = self.session.io_binding()
            binding.bind_ortvalue_input("in", self.input)
            binding.bind_ortvalue_output("out", self.output)
            for (name, _, kept), old, new_value in zip(graph.states, before, after):
                binding.bind_ortvalue_input(name, old)
                binding.bind_ortvalue_output(kept, new_value)
            self.bindings.append(binding)

    def run(self):
        self.session.run_with_iobinding(self.bindings[0])
        self.bindings.reverse()


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    print("onnxruntime", onnxruntime.__version__, file=sys.stderr)
    print("model,channels,block,minimum,median")
    for path in sorted(folder.iterdir()):
        file = json.loads(path.read_text())
        for channels, frames in CASES:
            runner = Runner(*build(file, channels, frames))
            noise = numpy.random.default_rng(1).uniform(-0.3, 0.3, (channels, 1, frames))
            runner.input.update_inplace(noise.astype(numpy.float32))
            times, end = [], time.perf_counter() + SECONDS
            while time.perf_counter() < end or len(times) < 100:
                start = time.perf_counter_ns()
                runner.run()
                times.append((time.perf_counter_ns() - start) / (channels * frames))
            print(f"{path.stem},{channels},{frames},{min(times):.1f},{statistics.median(times):.1f}", flush=True)


if __name__ == "__main__":
    main()
