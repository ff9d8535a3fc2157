"""Encodes texts with ONNX Runtime from Moiety's own weights, checks that the vectors agree, and prints one line of JSON.

    benches/peers/run.sh encode_peers.py MODEL TEXTS VECTORS --threads 1,2

MODEL is a model directory, TEXTS a JSON list of texts, VECTORS the global vectors that Moiety gave them (.npy). The graph is
put together here from the names in the weights; attention is ONNX Runtime's own fused kernel. Texts go in sorted by length,
in batches, padded to the longest of their batch. It computes global vectors only; Moiety also makes those of words and
phrases.
"""

import argparse
import json
import pathlib
import struct
import time

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

EPS = 1e-12
RUNS = 3
ALONE = 200


def read_weights(path):
    """Name to float32 array, from a safetensors file."""
    blob = path.read_bytes()
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + length])
    kinds = {"F16": numpy.float16, "F32": numpy.float32}
    weights = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + at for at in entry["data_offsets"])
        weights[name] = numpy.frombuffer(blob[begin:end], kinds[entry["dtype"]]).reshape(entry["shape"]).astype("f4")
    return weights


class Graph:
    """Nodes of the text tower, one method a layer."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants, self.count = weights, [], {}, 0

    def node(self, kind, inputs, domain="", **attributes):
        self.count += 1
        out = f"x{self.count}"
        self.nodes.append(helper.make_node(kind, inputs, [out], domain=domain, **attributes))
        return out

    def weight(self, name):
        self.constants[name] = self.weights[name]
        return name

    def constant(self, name, value):
        self.constants[name] = value
        return name

    def linear(self, x, name):
        return self.node("Add", [self.node("MatMul", [x, self.weight(f"{name}.weight")]), self.weight(f"{name}.bias")])

    def norm(self, x, name):
        inputs = [x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
        return self.node("LayerNormalization", inputs, axis=-1, epsilon=EPS)

    def block(self, x, name, heads):
        query_key_value = [self.weight(f"{name}.query_key_value.{part}") for part in ("weight", "bias")]
        attended = self.node("Attention", [x, *query_key_value, "mask"], domain="com.microsoft", num_heads=heads)
        attended = self.linear(attended, f"{name}.attention_out")
        x = self.norm(self.node("Add", [x, attended]), f"{name}.attention_norm")
        fed = self.node("Gelu", [self.linear(x, f"{name}.ffn_in")], domain="com.microsoft")
        return self.norm(self.node("Add", [x, self.linear(fed, f"{name}.ffn_out")]), f"{name}.ffn_norm")

    def global_vector(self, x, name):
        score = self.node("MatMul", [x, self.weight(f"{name}.global_attention")])
        score = self.node("Squeeze", [score, self.constant("last", numpy.array([2], "i8"))])
        # Rows of padding must weigh nothing.
        real = self.node("Cast", ["mask"], to=TensorProto.FLOAT)
        away = self.node("Sub", [real, self.constant("one", numpy.array(1, "f4"))])
        far = self.node("Mul", [away, self.constant("far", numpy.array(1e9, "f4"))])
        weight = self.node("Softmax", [self.node("Add", [score, far])], axis=1)
        weight = self.node("Unsqueeze", [weight, self.constant("middle", numpy.array([1], "i8"))])
        mean = self.node("Squeeze", [self.node("MatMul", [weight, x]), "middle"])
        return self.node("LpNormalization", [self.linear(mean, f"{name}.global")], axis=1, p=2)


def tower(config, weights):
    """The text tower as a serialized ONNX model: ids and mask [batch, length] to global vectors."""
    graph = Graph(weights)
    words = graph.node("Gather", [graph.weight("text.words"), "ids"])
    positions = graph.node("Gather", [graph.weight("text.positions"), "places"])
    x = graph.norm(graph.node("Add", [words, positions]), "text.norm")
    for layer in range(config["layers"]):
        x = graph.block(x, f"text.layers.{layer}", config["heads"])
    out = graph.global_vector(x, "text.head")
    integers = [
        helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "length"]),
        helper.make_tensor_value_info("mask", TensorProto.INT32, ["batch", "length"]),
        helper.make_tensor_value_info("places", TensorProto.INT32, ["length"]),
    ]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "text",
            integers,
            [helper.make_tensor_value_info(out, TensorProto.FLOAT, ["batch", None])],
            [numpy_helper.from_array(numpy.ascontiguousarray(value), name) for name, value in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)],
        ir_version=9,
    )
    return model.SerializeToString()


def session(model, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def encode(run, tokenizer, texts, batch):
    """Global vectors in the order of the texts, tokenization included."""
    ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    vectors = None
    for begin in range(0, len(order), batch):
        chosen = order[begin : begin + batch]
        length = max(len(ids[i]) for i in chosen)
        rows = numpy.zeros((len(chosen), length), "i4")
        mask = numpy.zeros((len(chosen), length), "i4")
        for row, i in enumerate(chosen):
            rows[row, : len(ids[i])] = ids[i]
            mask[row, : len(ids[i])] = 1
        (out,) = run.run(None, {"ids": rows, "mask": mask, "places": numpy.arange(length, dtype="i4")})
        if vectors is None:
            vectors = numpy.empty((len(ids), out.shape[1]), "f4")
        vectors[chosen] = out
    return vectors


def timed(work):
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def main():
    parser = argparse.ArgumentParser(description="Encode texts with ONNX Runtime.")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("texts", type=pathlib.Path)
    parser.add_argument("vectors", type=pathlib.Path)
    parser.add_argument("--threads", type=lambda text: [int(n) for n in text.split(",")], default=[1])
    parser.add_argument("--batch", type=int, default=32)
    given = parser.parse_args()
    config = json.loads((given.model / "config.json").read_text())["text"]
    tokenizer = Tokenizer.from_file(str(given.model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(config["max_tokens"])
    model = tower(config, read_weights(given.model / "model.safetensors"))
    texts = json.loads(given.texts.read_text())
    ours = numpy.load(given.vectors)
    # A text that is too long is cut, and the two cut at different places.
    whole = [not encoding.overflowing for encoding in tokenizer.encode_batch(texts)]
    rows = []
    for threads in given.threads:
        run = session(model, threads)
        theirs = encode(run, tokenizer, texts, given.batch)
        seconds = min(timed(lambda: encode(run, tokenizer, texts, given.batch))[0] for _ in range(RUNS))
        alone = sorted(timed(lambda: encode(run, tokenizer, [text], 1))[0] for text in texts[:ALONE])
        rows.append(
            {
                "name": f"onnxruntime {onnxruntime.__version__}",
                "threads": threads,
                "texts_per_s": len(texts) / seconds,
                "alone_ms": alone[len(alone) // 2] * 1e3,
                "largest_difference": float(numpy.abs(theirs - ours)[whole].max(initial=0.0)),
            }
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
